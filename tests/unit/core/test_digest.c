#include "base/bytes.h"
#include "core/digest.h"
#include "core/internal.h"
#include "support/test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

static struct kw_digester *digester_of(struct test *t, enum kw_digest_scheme scheme, const char *pepper_hex,
                                       struct kw_bytes salt)
{
    struct kw_secret pepper = {.size = KW_PEPPER_SIZE};
    struct kw_digester *digester = NULL;
    /* RFC 2104 pads a key with zeros, so a shorter one of a test vector is the pepper that ends in them. */
    CHECK(t, kw_hex_decode(kw_bytes_of_text(pepper_hex), pepper.hidden, strlen(pepper_hex) / 2));
    CHECK_STATUS(t, kw_digester_new(scheme, &pepper, salt, &digester), KW_OK);
    return digester;
}

static void check_digest(struct test *t, enum kw_digest_scheme scheme, const char *pepper_hex, struct kw_bytes message,
                         const char *expected_hex)
{
    struct kw_digester *digester = digester_of(t, scheme, pepper_hex, (struct kw_bytes){NULL, 0});
    if (digester == NULL) {
        return;
    }
    struct kw_digest digest;
    char hex[2 * KW_DIGEST_MAX];
    memset(&digest, 0xee, sizeof digest);
    kw_digest_key(digester, message, &digest);
    kw_hex_encode(kw_bytes_of(digest.bytes, digest.size), hex);
    CHECK_BYTES(t, kw_bytes_of(hex, 2 * (size_t)digest.size), kw_bytes_of_text(expected_hex));
    for (size_t i = digest.size; i < sizeof digest.bytes; i++) {
        CHECK_I64(t, digest.bytes[i], 0);
    }
    kw_digester_free(digester);
}

static void sha_agrees_with_the_examples_of_fips_180(struct test *t)
{
    struct kw_bytes two_blocks = KW_BYTES("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    struct kw_bytes two_blocks_512 = KW_BYTES(
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqr"
        "stnopqrstu");
    check_digest(t, KW_DIGEST_SHA256, "", KW_BYTES("abc"),
                 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest(t, KW_DIGEST_SHA256, "", KW_BYTES(""),
                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest(t, KW_DIGEST_SHA256, "", two_blocks,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_digest(t, KW_DIGEST_SHA512, "", KW_BYTES("abc"),
                 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    check_digest(t, KW_DIGEST_SHA512, "", two_blocks_512,
                 "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
                 "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909");
}

static void hmac_agrees_with_rfc_4231(struct test *t)
{
    uint8_t fifty[50];
    check_digest(t, KW_DIGEST_HMAC_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", KW_BYTES("Hi There"),
                 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_digest(t, KW_DIGEST_HMAC_SHA256, "4a656665", KW_BYTES("what do ya want for nothing?"),
                 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(fifty, 0xdd, sizeof fifty);
    check_digest(t, KW_DIGEST_HMAC_SHA256, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", kw_bytes_of(fifty, 50),
                 "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    memset(fifty, 0xcd, sizeof fifty);
    check_digest(t, KW_DIGEST_HMAC_SHA256, "0102030405060708090a0b0c0d0e0f10111213141516171819", kw_bytes_of(fifty, 50),
                 "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
}

static void fill(struct test *t, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)test_random(t);
    }
}

/* By OpenSSL's one-shot functions: a second opinion on what is done here in steps. */
static void reckon(enum kw_digest_scheme scheme, const uint8_t *pepper, const uint8_t *salt, struct kw_bytes key,
                   uint8_t out[KW_DIGEST_MAX])
{
    static const uint8_t nothing[1];
    uint8_t salted[KW_SALT_SIZE + KW_KEY_SIZE_MAX];
    memcpy(salted, salt, KW_SALT_SIZE);
    memcpy(salted + KW_SALT_SIZE, key.size == 0 ? nothing : key.data, key.size);
    switch (scheme) {
    case KW_DIGEST_HMAC_SHA256:
        HMAC(EVP_sha256(), pepper, KW_PEPPER_SIZE, key.data, key.size, out, NULL);
        return;
    case KW_DIGEST_SHA256:
        EVP_Digest(key.data, key.size, out, NULL, EVP_sha256(), NULL);
        return;
    case KW_DIGEST_SHA512:
        EVP_Digest(key.data, key.size, out, NULL, EVP_sha512(), NULL);
        return;
    case KW_DIGEST_SHA256_SALTED:
        EVP_Digest(salted, KW_SALT_SIZE + key.size, out, NULL, EVP_sha256(), NULL);
        return;
    case KW_DIGEST_SHA512_SALTED:
        EVP_Digest(salted, KW_SALT_SIZE + key.size, out, NULL, EVP_sha512(), NULL);
        return;
    }
}

static void every_size_of_every_scheme_agrees_with_openssl(struct test *t)
{
    for (int scheme = KW_DIGEST_HMAC_SHA256; scheme <= KW_DIGEST_SHA512_SALTED; scheme++) {
        struct kw_secret pepper = {.size = KW_PEPPER_SIZE};
        uint8_t salt[KW_SALT_SIZE];
        struct kw_digester *digester = NULL;
        fill(t, pepper.hidden, KW_PEPPER_SIZE);
        fill(t, salt, sizeof salt);
        REQUIRE_OK(t,
                   kw_digester_new((enum kw_digest_scheme)scheme, &pepper, kw_bytes_of(salt, sizeof salt), &digester));
        CHECK_I64(t, kw_digester_scheme(digester), scheme);
        for (size_t size = 0; size <= KW_KEY_SIZE_MAX; size++) {
            uint8_t key[KW_KEY_SIZE_MAX];
            uint8_t expected[KW_DIGEST_MAX] = {0};
            struct kw_digest digest;
            fill(t, key, size);
            reckon((enum kw_digest_scheme)scheme, pepper.hidden, salt, kw_bytes_of(key, size), expected);
            kw_digest_key(digester, kw_bytes_of(key, size), &digest);
            CHECK_BYTES(t, kw_bytes_of(digest.bytes, sizeof digest.bytes), kw_bytes_of(expected, sizeof expected));
        }
        kw_digester_free(digester);
    }
}

/* Salts of every size, before the key and after it, by OpenSSL on the two laid side by side. */
static void salts_of_every_size_stand_where_they_are_to(struct test *t)
{
    static const size_t key_sizes[] = {0, 1, 38, 46, 47, 55, 56, 63, 64, 119, 128, KW_KEY_SIZE_MAX};
    for (size_t size = 1; size <= KW_SALT_MAX; size++) {
        for (size_t i = 0; i < 4 * sizeof key_sizes / sizeof *key_sizes; i++) {
            size_t key_size = key_sizes[i / 4];
            enum kw_salt_place place = i % 2 == 0 ? KW_SALT_BEFORE_KEY : KW_SALT_AFTER_KEY;
            bool is_512 = i % 4 >= 2;
            uint8_t both[KW_SALT_MAX + KW_KEY_SIZE_MAX];
            uint8_t expected[KW_DIGEST_MAX] = {0};
            struct kw_digester *digester = NULL;
            struct kw_digest digest;
            fill(t, both, size + key_size);
            bool is_first = place == KW_SALT_BEFORE_KEY;
            struct kw_bytes salt = kw_bytes_of(both + (is_first ? 0 : key_size), size);
            REQUIRE_OK(t, kw_digester_new_salted(is_512 ? KW_DIGEST_SHA512_SALTED : KW_DIGEST_SHA256_SALTED, salt,
                                                 place, &digester));
            kw_digest_key(digester, kw_bytes_of(both + (is_first ? size : 0), key_size), &digest);
            EVP_Digest(both, size + key_size, expected, NULL, is_512 ? EVP_sha512() : EVP_sha256(), NULL);
            CHECK_BYTES(t, kw_bytes_of(digest.bytes, sizeof digest.bytes), kw_bytes_of(expected, sizeof expected));
            kw_digester_free(digester);
        }
    }
}

#define MANY_MAX 70

static void many_agree_with_one_by_one(struct test *t)
{
    static uint8_t texts[MANY_MAX][KW_KEY_SIZE_MAX];
    for (int round = 0; round < 400; round++) {
        enum kw_digest_scheme scheme = (enum kw_digest_scheme)(1 + round % 5);
        struct kw_secret pepper = {.size = KW_PEPPER_SIZE};
        uint8_t salt[KW_SALT_SIZE];
        struct kw_digester *digester = NULL;
        fill(t, pepper.hidden, KW_PEPPER_SIZE);
        fill(t, salt, sizeof salt);
        REQUIRE_OK(t, kw_digester_new(scheme, &pepper, kw_bytes_of(salt, sizeof salt), &digester));
        static const size_t sizes_max[] = {KW__WIDE_MESSAGE_MAX, KW__WIDE_MESSAGE_MAX + 1, KW_KEY_SIZE_MAX};
        struct kw_digest digests[MANY_MAX + 1];
        size_t count = 1 + test_random_below(t, MANY_MAX);
        size_t size_max = sizes_max[round % 3];
        struct kw_bytes *keys = malloc(count * sizeof *keys); /* a sanitizer sees a read beyond the last */
        REQUIRE(t, keys != NULL);
        for (size_t i = 0; i < count; i++) {
            fill(t, texts[i], KW_KEY_SIZE_MAX);
            keys[i] = kw_bytes_of(texts[i], test_random_below(t, size_max + 1));
        }
        memset(digests, 0xee, sizeof digests);
        kw_digest_keys(digester, keys, count, digests);
        for (size_t i = 0; i < count; i++) {
            struct kw_digest alone;
            kw_digest_key(digester, keys[i], &alone);
            CHECK(t, memcmp(&alone, &digests[i], sizeof alone) == 0);
        }
        CHECK_I64(t, digests[count].bytes[0], 0xee); /* not a byte further */
        kw_digest_keys(digester, NULL, 0, digests);
        free(keys);
        kw_digester_free(digester);
    }
}

/* The lanes themselves against OpenSSL, each of another size, where this processor has them. */
static void lanes_agree_with_openssl(struct test *t)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    if (!kw__sha256_wide_helps()) {
        return;
    }
    for (size_t round = 0; round < 300; round++) {
        uint8_t texts[KW__WIDE_LANES][KW__WIDE_MESSAGE_MAX];
        uint8_t digests[KW__WIDE_LANES][32];
        struct kw_bytes messages[KW__WIDE_LANES];
        for (size_t i = 0; i < KW__WIDE_LANES; i++) {
            fill(t, texts[i], sizeof texts[i]);
            messages[i] = kw_bytes_of(texts[i], round < 56 ? (round + i) % 56 : test_random_below(t, 56));
        }
        kw__sha256_wide(start, 0, NULL, messages, digests);
        for (size_t i = 0; i < KW__WIDE_LANES; i++) {
            uint8_t expected[32];
            EVP_Digest(messages[i].data, messages[i].size, expected, NULL, EVP_sha256(), NULL);
            CHECK_BYTES(t, kw_bytes_of(digests[i], 32), kw_bytes_of(expected, 32));
        }
    }
}

static void digesters_refuse_what_they_cannot_use(struct test *t)
{
    struct kw_secret pepper = {.size = KW_PEPPER_SIZE};
    struct kw_secret short_pepper = {.size = KW_PEPPER_SIZE - 1};
    struct kw_bytes none = {NULL, 0};
    static const uint8_t long_salt[KW_SALT_MAX + 1];
    struct kw_digester *digester = NULL;
    CHECK_STATUS(t, kw_digester_new((enum kw_digest_scheme)0, &pepper, none, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new((enum kw_digest_scheme)6, &pepper, none, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new(KW_DIGEST_HMAC_SHA256, NULL, none, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new(KW_DIGEST_HMAC_SHA256, &short_pepper, none, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new(KW_DIGEST_SHA256_SALTED, NULL, none, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new(KW_DIGEST_SHA512_SALTED, NULL, kw_bytes_of(long_salt, sizeof long_salt), &digester),
                 KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new_salted(KW_DIGEST_SHA512_SALTED, none, KW_SALT_AFTER_KEY, &digester), KW_E_INVALID);
    CHECK_STATUS(t, kw_digester_new_salted(KW_DIGEST_SHA512, KW_BYTES("salt"), KW_SALT_AFTER_KEY, &digester),
                 KW_E_INVALID);
    CHECK(t, digester == NULL);
    kw_alloc_fail_after(0);
    CHECK_STATUS(t, kw_digester_new(KW_DIGEST_SHA256, NULL, none, &digester), KW_E_MEMORY);
    kw_alloc_fail_after(-1);
    CHECK(t, digester == NULL);
    kw_digester_free(NULL);
}

static void schemes_have_names(struct test *t)
{
    static const char *const names[] = {"hmac-sha256", "sha256", "sha512", "sha256-salted", "sha512-salted"};
    enum kw_digest_scheme scheme = KW_DIGEST_SHA512;
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        CHECK_TEXT(t, kw_digest_scheme_name((enum kw_digest_scheme)(i + 1)), names[i]);
        CHECK(t, kw_digest_scheme_of_name(kw_bytes_of_text(names[i]), &scheme));
        CHECK_I64(t, scheme, i + 1);
    }
    CHECK(t, kw_digest_scheme_name((enum kw_digest_scheme)0) == NULL);
    CHECK(t, kw_digest_scheme_name((enum kw_digest_scheme)6) == NULL);
    CHECK(t, !kw_digest_scheme_of_name(KW_BYTES("md5"), &scheme));
    CHECK(t, !kw_digest_scheme_of_name(KW_BYTES("sha25"), &scheme));
    CHECK(t, !kw_digest_scheme_of_name((struct kw_bytes){NULL, 0}, &scheme));
}

static void fingerprints_tell_peppers_apart(struct test *t)
{
    struct kw_secret pepper = {.size = KW_PEPPER_SIZE};
    uint8_t first[KW_PEPPER_FINGERPRINT_SIZE];
    uint8_t again[KW_PEPPER_FINGERPRINT_SIZE];
    kw_pepper_fingerprint(&pepper, first);
    for (size_t bit = 0; bit < 8 * (size_t)KW_PEPPER_SIZE; bit++) {
        pepper.hidden[bit / 8] ^= (uint8_t)(1 << bit % 8);
        kw_pepper_fingerprint(&pepper, again);
        CHECK(t, memcmp(first, again, sizeof first) != 0);
        pepper.hidden[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    kw_pepper_fingerprint(&pepper, again);
    CHECK(t, memcmp(first, again, sizeof first) == 0);
    /* Databases keep it: it may never come out differently. */
    char hex[2 * KW_PEPPER_FINGERPRINT_SIZE];
    kw_hex_encode(kw_bytes_of(first, sizeof first), hex);
    CHECK_BYTES(t, kw_bytes_of(hex, sizeof hex), KW_BYTES("043e1bcbfc49037b03aac6b20dde79b6"));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(sha_agrees_with_the_examples_of_fips_180),
        TEST_CASE(hmac_agrees_with_rfc_4231),
        TEST_CASE(every_size_of_every_scheme_agrees_with_openssl),
        TEST_CASE(salts_of_every_size_stand_where_they_are_to),
        TEST_CASE(many_agree_with_one_by_one),
        TEST_CASE(lanes_agree_with_openssl),
        TEST_CASE(digesters_refuse_what_they_cannot_use),
        TEST_CASE(schemes_have_names),
        TEST_CASE(fingerprints_tell_peppers_apart),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
