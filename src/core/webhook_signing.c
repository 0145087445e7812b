#include "core/webhook_signing.h"

#include "base/base64.h"
#include "base/bytes.h"
#include "core/signing.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

_Static_assert(KW_SIGNING_PACKED_MAX <= KW_SECRET_MAX, "all sets fit a secret");

#define PACKED_VERSION 1

void kw_signing_wipe(struct kw_signing *signing)
{
    kw_wipe(signing, sizeof *signing);
}

static bool signs(const struct kw_signing_set *set, int64_t now_ms)
{
    return set->until_ms == 0 || set->until_ms > now_ms;
}

void kw_signing_rotate(struct kw_signing *signing, const uint8_t random[2 * KW_SIGNING_SIZE], int64_t now_ms,
                       int64_t overlap_ms)
{
    struct kw_signing next = {.count = 1};
    memcpy(next.sets[0].hmac, random, KW_SIGNING_SIZE);
    memcpy(next.sets[0].seed, random + KW_SIGNING_SIZE, KW_SIGNING_SIZE);
    for (size_t i = 0; i < signing->count && next.count < KW_SIGNING_SETS_MAX; i++) {
        struct kw_signing_set *set = &signing->sets[i];
        set->until_ms = set->until_ms == 0 ? now_ms + overlap_ms : set->until_ms;
        if (signs(set, now_ms)) {
            next.sets[next.count++] = *set;
        }
    }
    *signing = next;
    kw_signing_wipe(&next);
}

enum kw_status kw_signing_pack(const struct kw_signing *signing, struct kw_secret *packed_out)
{
    uint8_t bytes[KW_SIGNING_PACKED_MAX];
    size_t size = 1;
    bytes[0] = PACKED_VERSION;
    for (size_t i = 0; i < signing->count; i++) {
        const struct kw_signing_set *set = &signing->sets[i];
        uint64_t until = (uint64_t)set->until_ms;
        for (size_t at = 8; at-- > 0; until >>= 8) {
            bytes[size + at] = (uint8_t)until;
        }
        memcpy(bytes + size + 8, set->hmac, KW_SIGNING_SIZE);
        memcpy(bytes + size + 8 + KW_SIGNING_SIZE, set->seed, KW_SIGNING_SIZE);
        size += 8 + (size_t)2 * KW_SIGNING_SIZE;
    }
    enum kw_status status = kw_secret_set(packed_out, kw_bytes_of(bytes, size));
    kw_wipe(bytes, sizeof bytes);
    return status;
}

bool kw_signing_unpack(const struct kw_secret *packed, struct kw_signing *signing_out)
{
    const size_t each = 8 + (size_t)2 * KW_SIGNING_SIZE;
    struct kw_bytes rest = kw_secret_expose(packed);
    size_t count = rest.size == 0 ? 0 : (rest.size - 1) / each;
    if (rest.size == 0 || rest.data[0] != PACKED_VERSION || rest.size != 1 + count * each || count == 0 ||
        count > KW_SIGNING_SETS_MAX) {
        return false;
    }
    *signing_out = (struct kw_signing){.count = count};
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = rest.data + 1 + i * each;
        uint64_t until = 0;
        for (size_t at = 0; at < 8; at++) {
            until = until << 8 | from[at];
        }
        signing_out->sets[i].until_ms = (int64_t)until;
        memcpy(signing_out->sets[i].hmac, from + 8, KW_SIGNING_SIZE);
        memcpy(signing_out->sets[i].seed, from + 8 + KW_SIGNING_SIZE, KW_SIGNING_SIZE);
    }
    return true;
}

enum kw_status kw_signing_secret_text(const struct kw_signing *signing, struct kw_secret *text_out)
{
    char text[6 + KW_BASE64_SIZE(KW_SIGNING_SIZE)] = "whsec_";
    kw_base64_encode(kw_bytes_of(signing->sets[0].hmac, KW_SIGNING_SIZE), text + 6);
    enum kw_status status = kw_secret_set(text_out, kw_bytes_of(text, sizeof text));
    kw_wipe(text, sizeof text);
    return status;
}

static enum kw_status seed_of(const struct kw_signing_set *set, struct kw_secret *seed_out)
{
    return kw_secret_set(seed_out, kw_bytes_of(set->seed, sizeof set->seed));
}

enum kw_status kw_signing_public_text(const struct kw_signing *signing, char out[KW_SIGNING_TEXT_MAX], size_t *size_out)
{
    uint8_t bytes[KW_SIGNING_SIZE];
    struct kw_secret seed KW_WIPED = {.size = 0};
    bool good = seed_of(&signing->sets[0], &seed) == KW_OK && kw_signing_public(&seed, bytes) == KW_OK;
    if (!good) {
        return KW_E_SYSTEM;
    }
    memcpy(out, "whpk_", 5);
    kw_base64_encode(kw_bytes_of(bytes, sizeof bytes), out + 5);
    *size_out = 5 + KW_BASE64_SIZE(sizeof bytes);
    return KW_OK;
}

static void add_signature(struct kw_buffer *value, const char *mark, struct kw_bytes signature)
{
    char text[KW_BASE64_SIZE(KW_SIGNATURE_SIZE)];
    kw_base64_encode(signature, text);
    kw_buffer_add_text(value, value->size > 0 ? " " : "");
    kw_buffer_add_text(value, mark);
    kw_buffer_add(value, kw_bytes_of(text, KW_BASE64_SIZE(signature.size)));
}

static enum kw_status sign_hmac(const struct kw_signing_set *set, struct kw_bytes content, struct kw_buffer *value)
{
    uint8_t signature[KW_SIGNING_SIZE];
    unsigned size = 0;
    if (HMAC(EVP_sha256(), set->hmac, KW_SIGNING_SIZE, content.data, content.size, signature, &size) == NULL) {
        return KW_E_SYSTEM;
    }
    add_signature(value, "v1,", kw_bytes_of(signature, size));
    return KW_OK;
}

static enum kw_status sign_ed25519(const struct kw_signing_set *set, struct kw_bytes content, struct kw_buffer *value)
{
    uint8_t signature[KW_SIGNATURE_SIZE];
    struct kw_secret seed KW_WIPED = {.size = 0};
    bool good = seed_of(set, &seed) == KW_OK && kw_sign(&seed, content, signature) == KW_OK;
    if (!good) {
        return KW_E_SYSTEM;
    }
    add_signature(value, "v1a,", kw_bytes_of(signature, sizeof signature));
    return KW_OK;
}

enum kw_status kw_signing_sign(const struct kw_signing *signing, enum kw_signature kind,
                               const struct kw_signed_message *message, int64_t now_ms, struct kw_buffer *value)
{
    struct kw_buffer content;
    kw_buffer_init(&content, message->id.size + message->body.size + 32);
    kw_buffer_add(&content, message->id);
    kw_buffer_add_byte(&content, '.');
    kw_buffer_add_i64(&content, message->timestamp_s);
    kw_buffer_add_byte(&content, '.');
    kw_buffer_add(&content, message->body);
    enum kw_status status = kw_buffer_status(&content);
    for (size_t i = 0; i < signing->count && status == KW_OK; i++) {
        if (!signs(&signing->sets[i], now_ms)) {
            continue;
        }
        if (kind != KW_SIGNATURE_ED25519) {
            status = sign_hmac(&signing->sets[i], kw_buffer_bytes(&content), value);
        }
        if (kind != KW_SIGNATURE_HMAC && status == KW_OK) {
            status = sign_ed25519(&signing->sets[i], kw_buffer_bytes(&content), value);
        }
    }
    kw_buffer_deinit(&content);
    return status == KW_OK ? kw_buffer_status(value) : status;
}
