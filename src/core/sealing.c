#include "core/sealing.h"

#include "base/bytes.h"

#include <openssl/evp.h>

#define VERSION 1
#define TAG_SIZE 16

enum kw_status kw_seal(const struct kw_secret *key, const uint8_t nonce[KW_SEALING_NONCE_SIZE], struct kw_bytes place,
                       const struct kw_secret *secret, uint8_t out[KW_SEALED_MAX], size_t *size_out)
{
    struct kw_bytes plain = kw_secret_expose(secret);
    uint8_t *text = out + 1 + KW_SEALING_NONCE_SIZE;
    int size = 0;
    if (key->size != KW_SEALING_KEY_SIZE) {
        return KW_E_INVALID;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good = context != NULL &&
                EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, kw_secret_expose(key).data, nonce) == 1 &&
                EVP_EncryptUpdate(context, NULL, &size, place.data, (int)place.size) == 1 &&
                EVP_EncryptUpdate(context, text, &size, plain.data, (int)plain.size) == 1 &&
                EVP_EncryptFinal_ex(context, text + plain.size, &size) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, text + plain.size) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!good) {
        return KW_E_SYSTEM;
    }
    out[0] = VERSION;
    memcpy(out + 1, nonce, KW_SEALING_NONCE_SIZE);
    *size_out = plain.size + KW_SEALED_MORE;
    return KW_OK;
}

enum kw_status kw_unseal(const struct kw_secret *key, struct kw_bytes place, struct kw_bytes sealed,
                         struct kw_secret *secret_out)
{
    uint8_t plain[KW_SECRET_MAX];
    uint8_t tag[TAG_SIZE];
    int size = 0;
    if (key->size != KW_SEALING_KEY_SIZE || sealed.size < KW_SEALED_MORE || sealed.size > KW_SEALED_MAX ||
        sealed.data[0] != VERSION) {
        return KW_E_CORRUPT;
    }
    const uint8_t *text = sealed.data + 1 + KW_SEALING_NONCE_SIZE;
    size_t text_size = sealed.size - KW_SEALED_MORE;
    memcpy(tag, text + text_size, TAG_SIZE);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool ready = context != NULL &&
                 EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, kw_secret_expose(key).data, sealed.data + 1) == 1;
    bool good = ready && EVP_DecryptUpdate(context, NULL, &size, place.data, (int)place.size) == 1 &&
                EVP_DecryptUpdate(context, plain, &size, text, (int)text_size) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
                EVP_DecryptFinal_ex(context, plain + text_size, &size) == 1;
    EVP_CIPHER_CTX_free(context);
    enum kw_status status = !ready ? KW_E_SYSTEM : good ? KW_OK : KW_E_CORRUPT;
    if (good) {
        status = kw_secret_set(secret_out, kw_bytes_of(plain, text_size));
    }
    kw_wipe(plain, sizeof plain);
    return status;
}
