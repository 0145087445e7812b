#include "core/signing.h"

#include <openssl/evp.h>

static EVP_PKEY *key_of(const struct kw_secret *seed)
{
    struct kw_bytes bytes = kw_secret_expose(seed);
    return bytes.size != KW_SIGNING_SEED_SIZE
               ? NULL
               : EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes.data, bytes.size);
}

/* Why there is no key. */
static enum kw_status failure_of(const struct kw_secret *seed)
{
    return seed->size != KW_SIGNING_SEED_SIZE ? KW_E_INVALID : KW_E_MEMORY;
}

enum kw_status kw_signing_public(const struct kw_secret *seed, uint8_t public_out[KW_PUBLIC_KEY_SIZE])
{
    EVP_PKEY *key = key_of(seed);
    if (key == NULL) {
        return failure_of(seed);
    }
    size_t size = KW_PUBLIC_KEY_SIZE;
    bool is_made = EVP_PKEY_get_raw_public_key(key, public_out, &size) == 1;
    EVP_PKEY_free(key);
    return is_made ? KW_OK : KW_E_MEMORY;
}

enum kw_status kw_sign(const struct kw_secret *seed, struct kw_bytes message, uint8_t signature_out[KW_SIGNATURE_SIZE])
{
    EVP_PKEY *key = key_of(seed);
    if (key == NULL) {
        return failure_of(seed);
    }
    uint8_t signature[KW_SIGNATURE_SIZE];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_made = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                   EVP_DigestSign(context, signature, &size, message.data, message.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (is_made) {
        memcpy(signature_out, signature, sizeof signature);
    }
    return is_made ? KW_OK : KW_E_MEMORY;
}

bool kw_signature_holds(const uint8_t public_key[KW_PUBLIC_KEY_SIZE], struct kw_bytes message,
                        const uint8_t signature[KW_SIGNATURE_SIZE])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, KW_PUBLIC_KEY_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool holds = key != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                 EVP_DigestVerify(context, signature, KW_SIGNATURE_SIZE, message.data, message.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return holds;
}
