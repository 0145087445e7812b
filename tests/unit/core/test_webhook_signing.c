#include "core/sealing.h"
#include "core/tries.h"
#include "core/webhook_signing.h"
#include "support/test.h"

#define NOW_MS INT64_C(1614265330000)
#define ID KW_BYTES("msg_p5jXN8AQM9LWM0D4loKWxJek")
#define BODY KW_BYTES("{\"test\": 2432232314}")

/*
 * The example of the Standard Webhooks specification, whose secret has 24 bytes; HMAC fills a short key up with zeros
 * (RFC 2104), so that ours of 32 with zeros at its end is the same.
 */
#define SPEC_SECRET "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b00000000000000000"
#define SPEC_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* RFC 8032, 7.1, test 1: a seed and its public key. */
#define RFC_SEED "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define RFC_PUBLIC "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static struct kw_signing spec_signing(void)
{
    struct kw_signing signing = {.count = 1};
    (void)!kw_hex_decode(KW_BYTES(SPEC_SECRET), signing.sets[0].hmac, KW_SIGNING_SIZE);
    (void)!kw_hex_decode(KW_BYTES(RFC_SEED), signing.sets[0].seed, KW_SIGNING_SIZE);
    return signing;
}

/* How many signatures of a kind stand in a header's value. */
static size_t count_of(struct kw_bytes value, const char *mark)
{
    struct kw_bytes one;
    size_t count = 0;
    while (value.size > 0) {
        (void)kw_bytes_split(value, ' ', &one, &value);
        count += kw_bytes_starts_with(one, kw_bytes_of_text(mark));
    }
    return count;
}

static void the_published_signature_comes_out(struct test *t)
{
    uint8_t memory[KW_SIGNATURES_MAX];
    struct kw_buffer value;
    struct kw_signing signing = spec_signing();
    struct kw_signed_message message = {ID, NOW_MS / 1000, BODY};
    kw_buffer_init_fixed(&value, memory, sizeof memory);
    REQUIRE_OK(t, kw_signing_sign(&signing, KW_SIGNATURE_HMAC, &message, NOW_MS, &value));
    CHECK_BYTES(t, kw_buffer_bytes(&value), KW_BYTES(SPEC_SIGNATURE));
    message.timestamp_s++;
    kw_buffer_reset(&value);
    REQUIRE_OK(t, kw_signing_sign(&signing, KW_SIGNATURE_HMAC, &message, NOW_MS, &value));
    CHECK(t, !kw_bytes_equal(kw_buffer_bytes(&value), KW_BYTES(SPEC_SIGNATURE)));
}

static void the_published_public_key_comes_out(struct test *t)
{
    char text[KW_SIGNING_TEXT_MAX];
    size_t size = 0;
    struct kw_signing signing = spec_signing();
    REQUIRE_OK(t, kw_signing_public_text(&signing, text, &size));
    CHECK_BYTES(t, kw_bytes_of(text, size), KW_BYTES(RFC_PUBLIC));
}

static void a_rotation_overlaps(struct test *t)
{
    uint8_t memory[KW_SIGNATURES_MAX];
    uint8_t random[2 * KW_SIGNING_SIZE] = {1};
    struct kw_buffer value;
    struct kw_signing signing = spec_signing();
    struct kw_signed_message message = {ID, NOW_MS / 1000, BODY};
    kw_signing_rotate(&signing, random, NOW_MS, 1000);
    static const struct {
        int64_t later_ms;
        enum kw_signature kind;
        size_t hmacs, ed25519s;
    } cases[] = {
        {0, KW_SIGNATURE_HMAC, 2, 0},    {999, KW_SIGNATURE_BOTH, 2, 2},  {1000, KW_SIGNATURE_HMAC, 1, 0},
        {0, KW_SIGNATURE_ED25519, 0, 2}, {1000, KW_SIGNATURE_BOTH, 1, 1},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        kw_buffer_init_fixed(&value, memory, sizeof memory);
        REQUIRE_OK(t, kw_signing_sign(&signing, cases[i].kind, &message, NOW_MS + cases[i].later_ms, &value));
        CHECK_I64(t, count_of(kw_buffer_bytes(&value), "v1,"), cases[i].hmacs);
        CHECK_I64(t, count_of(kw_buffer_bytes(&value), "v1a,"), cases[i].ed25519s);
        CHECK_I64(t, memmem(memory, value.size, SPEC_SIGNATURE, sizeof SPEC_SIGNATURE - 1) != NULL,
                  cases[i].hmacs == 2);
    }
}

static void so_many_sets_sign_and_no_more(struct test *t)
{
    struct kw_signing signing = spec_signing();
    for (uint8_t i = 1; i <= 5; i++) {
        uint8_t random[2 * KW_SIGNING_SIZE] = {i};
        kw_signing_rotate(&signing, random, NOW_MS, 1000);
    }
    CHECK_I64(t, signing.count, KW_SIGNING_SETS_MAX);
    for (size_t i = 0; i < signing.count; i++) {
        CHECK_I64(t, signing.sets[i].hmac[0], 5 - i); /* the newest first */
        CHECK_I64(t, signing.sets[i].until_ms, i == 0 ? 0 : NOW_MS + 1000);
    }
    uint8_t random[2 * KW_SIGNING_SIZE] = {9};
    kw_signing_rotate(&signing, random, NOW_MS + 1000, 0); /* an overlap of nothing, and the others are over */
    CHECK_I64(t, signing.count, 1);
    CHECK_I64(t, signing.sets[0].hmac[0], 9);
}

static void secrets_are_packed_and_come_back(struct test *t)
{
    uint8_t random[2 * KW_SIGNING_SIZE];
    struct kw_signing signing = spec_signing(), back;
    struct kw_secret packed = {.size = 0};
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_OK(t, kw_signing_pack(&signing, &packed));
        REQUIRE(t, kw_signing_unpack(&packed, &back));
        CHECK_BYTES(t, kw_bytes_of(&back, sizeof back), kw_bytes_of(&signing, sizeof signing));
        for (size_t at = 0; at < sizeof random; at++) {
            random[at] = (uint8_t)test_random(t);
        }
        kw_signing_rotate(&signing, random, NOW_MS, 1000);
    }
    packed.size--;
    CHECK(t, !kw_signing_unpack(&packed, &back));
    packed.size = 0;
    CHECK(t, !kw_signing_unpack(&packed, &back));
}

/* Every byte of what is sealed, of its place and of its key matters. */
static void a_seal_shows_every_change(struct test *t)
{
    uint8_t nonce[KW_SEALING_NONCE_SIZE] = {1, 2, 3}, sealed[KW_SEALED_MAX], bytes[KW_SEALING_KEY_SIZE] = {4, 5};
    struct kw_secret key = {.size = 0}, secret = {.size = 0}, back = {.size = 0};
    size_t size = 0;
    REQUIRE_OK(t, kw_secret_set(&key, kw_bytes_of(bytes, sizeof bytes)));
    REQUIRE_OK(t, kw_secret_set(&secret, KW_BYTES("what nobody may read")));
    REQUIRE_OK(t, kw_seal(&key, nonce, KW_BYTES("a/b"), &secret, sealed, &size));
    CHECK_I64(t, size, secret.size + KW_SEALED_MORE);
    CHECK(t, memmem(sealed, size, "nobody", 6) == NULL);
    REQUIRE_OK(t, kw_unseal(&key, KW_BYTES("a/b"), kw_bytes_of(sealed, size), &back));
    CHECK(t, kw_constant_time_equal(kw_secret_expose(&back), kw_secret_expose(&secret)));
    CHECK_STATUS(t, kw_unseal(&key, KW_BYTES("a/c"), kw_bytes_of(sealed, size), &back), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_unseal(&key, KW_BYTES("a/b"), kw_bytes_of(sealed, size - 1), &back), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_unseal(&key, KW_BYTES("a/b"), kw_bytes_of(sealed, KW_SEALED_MORE - 1), &back), KW_E_CORRUPT);
    for (size_t i = 0; i < size; i++) {
        sealed[i] ^= 1;
        CHECK_STATUS(t, kw_unseal(&key, KW_BYTES("a/b"), kw_bytes_of(sealed, size), &back), KW_E_CORRUPT);
        sealed[i] ^= 1;
    }
    bytes[31] ^= 1;
    REQUIRE_OK(t, kw_secret_set(&key, kw_bytes_of(bytes, sizeof bytes)));
    CHECK_STATUS(t, kw_unseal(&key, KW_BYTES("a/b"), kw_bytes_of(sealed, size), &back), KW_E_CORRUPT);
}

static void the_latest_tries_are_kept(struct test *t)
{
    struct kw_buffer kept, longer;
    uint8_t answer[2 * KW_TRY_ANSWER_MAX];
    memset(answer, 'x', sizeof answer);
    kw_buffer_init(&kept, KW_TRIES_SIZE_MAX);
    for (int64_t i = 1; i <= 20; i++) {
        struct kw_try one = {.at_ms = i, .http_status = 500, .answer = kw_bytes_of(answer, sizeof answer)};
        kw_buffer_init(&longer, KW_TRIES_SIZE_MAX);
        kw_tries_add(kw_buffer_bytes(&kept), &one, &longer);
        REQUIRE_OK(t, kw_buffer_status(&longer));
        kw_buffer_deinit(&kept);
        kept = longer;
        CHECK_I64(t, kw_tries_count(kw_buffer_bytes(&kept)), i < KW_TRIES_KEPT_MAX ? i : KW_TRIES_KEPT_MAX);
    }
    struct kw_bytes rest = kw_buffer_bytes(&kept);
    struct kw_try one;
    for (int64_t i = 20 - KW_TRIES_KEPT_MAX + 1; kw_tries_next(&rest, &one); i++) {
        CHECK_I64(t, one.at_ms, i);
        CHECK_I64(t, one.answer.size, KW_TRY_ANSWER_MAX);
    }
    CHECK_I64(t, rest.size, 0);
    kw_buffer_deinit(&kept);
}

static void tries_are_shown_as_json(struct test *t)
{
    struct kw_buffer kept, text;
    struct kw_json_writer json;
    struct kw_try one = {.at_ms = 0, .duration_ms = 12, .http_status = 503, .answer = KW_BYTES("a\xff\"\xc3\xa9")};
    struct kw_try other = {.at_ms = 1, .error = KW_BYTES("no route")};
    kw_buffer_init(&kept, KW_TRIES_SIZE_MAX);
    kw_buffer_init(&text, 4096);
    kw_tries_add((struct kw_bytes){NULL, 0}, &one, &kept);
    struct kw_buffer both;
    kw_buffer_init(&both, KW_TRIES_SIZE_MAX);
    kw_tries_add(kw_buffer_bytes(&kept), &other, &both);
    kw_json_writer_init(&json, &text);
    kw_tries_write(kw_buffer_bytes(&both), &json);
    CHECK_BYTES(t, kw_buffer_bytes(&text),
                KW_BYTES("[{\"at\":\"1970-01-01T00:00:00.000Z\",\"durationMs\":12,\"status\":503,"
                         "\"answer\":\"a\xef\xbf\xbd\\\"\xc3\xa9\"},"
                         "{\"at\":\"1970-01-01T00:00:00.001Z\",\"durationMs\":0,\"error\":\"no route\"}]"));
    kw_buffer_deinit(&kept);
    kw_buffer_deinit(&both);
    kw_buffer_deinit(&text);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_published_signature_comes_out),
        TEST_CASE(the_published_public_key_comes_out),
        TEST_CASE(a_rotation_overlaps),
        TEST_CASE(so_many_sets_sign_and_no_more),
        TEST_CASE(secrets_are_packed_and_come_back),
        TEST_CASE(a_seal_shows_every_change),
        TEST_CASE(the_latest_tries_are_kept),
        TEST_CASE(tries_are_shown_as_json),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
