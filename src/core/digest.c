/*
 * OpenSSL's low-level functions, deprecated since 3.0, in this one file: they compute on a state that lies on the
 * stack, so the states that depend on pepper and salt are computed once and copied for each key. HMAC-SHA-256 of a key
 * takes 314 ns through a reused EVP_MAC context, which each thread would need for itself, 154 with SHA256_Update and
 * SHA256_Final on copied states, and 127 with the padding done here.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/digest.h"

#include "core/internal.h"

#include <assert.h>
#include <openssl/sha.h>

#define BLOCK_256 SHA256_CBLOCK
#define BLOCK_512 SHA512_CBLOCK
#define LENGTH_SIZE_256 8 /* of the message's length, which ends the padding (FIPS 180-4, 5.1) */
#define LENGTH_SIZE_512 16
#define MESSAGE_MAX (KW_SALT_MAX + KW_KEY_SIZE_MAX)
#define PADDED_MAX 384

_Static_assert(MESSAGE_MAX + 1 + LENGTH_SIZE_256 <= PADDED_MAX && MESSAGE_MAX + 1 + LENGTH_SIZE_512 <= PADDED_MAX,
               "a padded message fits");
_Static_assert(PADDED_MAX % BLOCK_512 == 0 && PADDED_MAX % BLOCK_256 == 0, "in whole blocks");

struct kw_digester {
    enum kw_digest_scheme scheme;
    bool is_wide_helpful;
    SHA256_CTX inner; /* after the pepper's inner block (RFC 2104), or at the start */
    SHA256_CTX outer; /* after its outer block */
    SHA512_CTX start_512;
    uint8_t salt[KW_SALT_MAX];
    size_t salt_size;
    enum kw_salt_place salt_place;
};

static const struct {
    enum kw_digest_scheme scheme;
    const char *name;
} schemes[] = {
    {KW_DIGEST_HMAC_SHA256, "hmac-sha256"},
    {KW_DIGEST_SHA256, "sha256"},
    {KW_DIGEST_SHA512, "sha512"},
    {KW_DIGEST_SHA256_SALTED, "sha256-salted"},
    {KW_DIGEST_SHA512_SALTED, "sha512-salted"},
};

const char *kw_digest_scheme_name(enum kw_digest_scheme scheme)
{
    for (size_t i = 0; i < KW_COUNT_OF(schemes); i++) {
        if (schemes[i].scheme == scheme) {
            return schemes[i].name;
        }
    }
    return NULL;
}

bool kw_digest_scheme_of_name(struct kw_bytes name, enum kw_digest_scheme *scheme_out)
{
    for (size_t i = 0; i < KW_COUNT_OF(schemes); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(schemes[i].name))) {
            *scheme_out = schemes[i].scheme;
            return true;
        }
    }
    return false;
}

bool kw_digest_scheme_is_salted(enum kw_digest_scheme scheme)
{
    return scheme == KW_DIGEST_SHA256_SALTED || scheme == KW_DIGEST_SHA512_SALTED;
}

static bool is_512(enum kw_digest_scheme scheme)
{
    return scheme == KW_DIGEST_SHA512 || scheme == KW_DIGEST_SHA512_SALTED;
}

static void store_u32(uint32_t value, uint8_t *out)
{
    value = __builtin_bswap32(value);
    memcpy(out, &value, sizeof value);
}

static void store_u64(uint64_t value, uint8_t *out)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

/* A message in whole blocks, as FIPS 180-4 pads it. */
struct padded {
    uint8_t bytes[PADDED_MAX];
    size_t size;
};

/* `prior_size` bytes went into the state before. */
static inline void pad(struct padded *padded, const struct kw_digester *digester, struct kw_bytes key,
                       uint64_t prior_size, size_t block_size, size_t length_size)
{
    size_t size = digester->salt_size + key.size;
    padded->size = (size + 1 + length_size + block_size - 1) / block_size * block_size;
    memset(padded->bytes, 0, padded->size);
    size_t key_at = 0;
    if (digester->salt_size != 0) {
        bool is_first = digester->salt_place == KW_SALT_BEFORE_KEY;
        key_at = is_first ? digester->salt_size : 0;
        memcpy(padded->bytes + (is_first ? 0 : key.size), digester->salt, digester->salt_size);
    }
    if (key.size != 0) {
        memcpy(padded->bytes + key_at, key.data, key.size);
    }
    padded->bytes[size] = 0x80;
    store_u64((prior_size + size) * 8, padded->bytes + padded->size - sizeof(uint64_t));
}

static inline void store_state_256(const SHA256_CTX *state, uint8_t *out)
{
    for (size_t i = 0; i < 8; i++) {
        store_u32(state->h[i], out + 4 * i);
    }
}

static void digest_256(const struct kw_digester *digester, struct kw_bytes key, uint8_t out[SHA256_DIGEST_LENGTH])
{
    bool is_hmac = digester->scheme == KW_DIGEST_HMAC_SHA256;
    struct padded padded;
    pad(&padded, digester, key, is_hmac ? BLOCK_256 : 0, BLOCK_256, LENGTH_SIZE_256);
    SHA256_CTX state = digester->inner;
    for (size_t at = 0; at < padded.size; at += BLOCK_256) {
        SHA256_Transform(&state, padded.bytes + at);
    }
    kw_wipe(padded.bytes, padded.size);
    if (!is_hmac) {
        store_state_256(&state, out);
        return;
    }
    uint8_t block[BLOCK_256] = {[SHA256_DIGEST_LENGTH] = 0x80};
    store_state_256(&state, block);
    store_u64((BLOCK_256 + SHA256_DIGEST_LENGTH) * 8, block + BLOCK_256 - LENGTH_SIZE_256);
    state = digester->outer;
    SHA256_Transform(&state, block);
    store_state_256(&state, out);
}

static void digest_512(const struct kw_digester *digester, struct kw_bytes key, uint8_t out[SHA512_DIGEST_LENGTH])
{
    struct padded padded;
    pad(&padded, digester, key, 0, BLOCK_512, LENGTH_SIZE_512);
    SHA512_CTX state = digester->start_512;
    for (size_t at = 0; at < padded.size; at += BLOCK_512) {
        SHA512_Transform(&state, padded.bytes + at);
    }
    kw_wipe(padded.bytes, padded.size);
    for (size_t i = 0; i < 8; i++) {
        store_u64(state.h[i], out + 8 * i);
    }
}

void kw_digest_key(const struct kw_digester *digester, struct kw_bytes key, struct kw_digest *digest_out)
{
    assert(key.size <= KW_KEY_SIZE_MAX);
    if (is_512(digester->scheme)) {
        digest_512(digester, key, digest_out->bytes);
        digest_out->size = SHA512_DIGEST_LENGTH;
        return;
    }
    digest_256(digester, key, digest_out->bytes);
    memset(digest_out->bytes + SHA256_DIGEST_LENGTH, 0, KW_DIGEST_MAX - SHA256_DIGEST_LENGTH);
    digest_out->size = SHA256_DIGEST_LENGTH;
}

static bool fit_lanes(const struct kw_bytes *keys, size_t count)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        longest = keys[i].size > longest ? keys[i].size : longest;
    }
    return longest <= KW__WIDE_MESSAGE_MAX;
}

/* `count` keys, at most KW__WIDE_LANES: lanes that are left over repeat the first. */
static void digest_lanes(const struct kw_digester *digester, const struct kw_bytes *keys, size_t count,
                         struct kw_digest *digests_out)
{
    bool is_hmac = digester->scheme == KW_DIGEST_HMAC_SHA256;
    struct kw_bytes messages[KW__WIDE_LANES];
    uint8_t digests[KW__WIDE_LANES][SHA256_DIGEST_LENGTH];
    for (size_t i = 0; i < KW__WIDE_LANES; i++) {
        messages[i] = keys[i < count ? i : 0];
    }
    kw__sha256_wide(digester->inner.h, is_hmac ? BLOCK_256 : 0, is_hmac ? digester->outer.h : NULL, messages, digests);
    for (size_t i = 0; i < count; i++) {
        digests_out[i] = (struct kw_digest){.size = SHA256_DIGEST_LENGTH};
        memcpy(digests_out[i].bytes, digests[i], SHA256_DIGEST_LENGTH);
    }
}

void kw_digest_keys(const struct kw_digester *digester, const struct kw_bytes *keys, size_t count,
                    struct kw_digest *digests_out)
{
    bool wide = digester->is_wide_helpful;
    while (count != 0) {
        size_t part = count < KW__WIDE_LANES ? count : KW__WIDE_LANES;
        if (wide && part >= KW__WIDE_WORTH && fit_lanes(keys, part)) {
            digest_lanes(digester, keys, part, digests_out);
        } else {
            for (size_t i = 0; i < part; i++) {
                kw_digest_key(digester, keys[i], &digests_out[i]);
            }
        }
        keys += part;
        digests_out += part;
        count -= part;
    }
}

/* The states of HMAC (RFC 2104) after its first block, inner and outer. */
static void start_hmac(struct kw_digester *digester, struct kw_bytes pepper)
{
    uint8_t block[BLOCK_256];
    memset(block, 0x36, sizeof block);
    for (size_t i = 0; i < pepper.size; i++) {
        block[i] ^= pepper.data[i];
    }
    SHA256_Transform(&digester->inner, block);
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    SHA256_Transform(&digester->outer, block);
    kw_wipe(block, sizeof block);
}

static enum kw_status digester_init(struct kw_digester *digester, enum kw_digest_scheme scheme,
                                    const struct kw_secret *pepper, struct kw_bytes salt, enum kw_salt_place place)
{
    bool is_salted = kw_digest_scheme_is_salted(scheme);
    if (kw_digest_scheme_name(scheme) == NULL) {
        return KW_E_INVALID;
    }
    if (is_salted && (salt.size == 0 || salt.size > KW_SALT_MAX)) {
        return KW_E_INVALID;
    }
    if (scheme == KW_DIGEST_HMAC_SHA256 && (pepper == NULL || pepper->size != KW_PEPPER_SIZE)) {
        return KW_E_INVALID;
    }
    *digester = (struct kw_digester){.scheme = scheme};
    SHA256_Init(&digester->inner);
    SHA256_Init(&digester->outer);
    SHA512_Init(&digester->start_512);
    if (is_salted) {
        memcpy(digester->salt, salt.data, salt.size);
        digester->salt_size = salt.size;
        digester->salt_place = place;
    }
    if (scheme == KW_DIGEST_HMAC_SHA256) {
        start_hmac(digester, kw_secret_expose(pepper));
    }
    digester->is_wide_helpful = !is_512(scheme) && !is_salted && kw__sha256_wide_helps();
    return KW_OK;
}

static enum kw_status digester_new(enum kw_digest_scheme scheme, const struct kw_secret *pepper, struct kw_bytes salt,
                                   enum kw_salt_place place, struct kw_digester **digester_out)
{
    struct kw_digester *digester = kw_alloc(1, sizeof *digester);
    if (digester == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = digester_init(digester, scheme, pepper, salt, place);
    if (status != KW_OK) {
        kw_digester_free(digester);
        return status;
    }
    *digester_out = digester;
    return KW_OK;
}

enum kw_status kw_digester_new(enum kw_digest_scheme scheme, const struct kw_secret *pepper, struct kw_bytes salt,
                               struct kw_digester **digester_out)
{
    return digester_new(scheme, pepper, salt, KW_SALT_BEFORE_KEY, digester_out);
}

enum kw_status kw_digester_new_salted(enum kw_digest_scheme scheme, struct kw_bytes salt, enum kw_salt_place place,
                                      struct kw_digester **digester_out)
{
    return kw_digest_scheme_is_salted(scheme) ? digester_new(scheme, NULL, salt, place, digester_out) : KW_E_INVALID;
}

void kw_digester_free(struct kw_digester *digester)
{
    if (digester != NULL) {
        kw_wipe(digester, sizeof *digester);
        kw_free(digester);
    }
}

enum kw_digest_scheme kw_digester_scheme(const struct kw_digester *digester)
{
    return digester->scheme;
}

void kw_digest_parts(const struct kw_bytes *parts, size_t count, uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX state;
    SHA256_Init(&state);
    for (size_t i = 0; i < count; i++) {
        uint8_t size[sizeof(uint64_t)];
        store_u64(parts[i].size, size);
        SHA256_Update(&state, size, sizeof size);
        SHA256_Update(&state, parts[i].data, parts[i].size);
    }
    SHA256_Final(out, &state);
    kw_wipe(&state, sizeof state); /* the last part of what went through it */
}

void kw_pepper_fingerprint(const struct kw_secret *pepper, uint8_t out[KW_PEPPER_FINGERPRINT_SIZE])
{
    assert(pepper->size == KW_PEPPER_SIZE);
    struct kw_digester digester;
    if (digester_init(&digester, KW_DIGEST_HMAC_SHA256, pepper, (struct kw_bytes){NULL, 0}, KW_SALT_BEFORE_KEY) !=
        KW_OK) {
        memset(out, 0, KW_PEPPER_FINGERPRINT_SIZE);
        return;
    }
    struct kw_digest digest;
    kw_digest_key(&digester, KW_BYTES("Keyward pepper fingerprint, version 1"), &digest);
    memcpy(out, digest.bytes, KW_PEPPER_FINGERPRINT_SIZE);
    kw_wipe(&digester, sizeof digester);
}
