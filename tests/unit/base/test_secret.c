#include "base/secret.h"

#include "support/test.h"

static void a_secret_holds_what_it_was_given(struct test *t)
{
    uint8_t long_text[KW_SECRET_MAX + 1];
    memset(long_text, 'k', sizeof long_text);
    struct kw_secret secret KW_WIPED = {0};
    REQUIRE_OK(t, kw_secret_set(&secret, kw_bytes_of(long_text, KW_SECRET_MAX)));
    CHECK_BYTES(t, kw_secret_expose(&secret), kw_bytes_of(long_text, KW_SECRET_MAX));
    CHECK_STATUS(t, kw_secret_set(&secret, kw_bytes_of(long_text, sizeof long_text)), KW_E_LIMIT);
    CHECK_I64(t, kw_secret_expose(&secret).size, KW_SECRET_MAX);
    REQUIRE_OK(t, kw_secret_set(&secret, KW_BYTES("abc")));
    CHECK_BYTES(t, kw_secret_expose(&secret), KW_BYTES("abc"));
    CHECK_I64(t, secret.hidden[3], 0);
    REQUIRE_OK(t, kw_secret_set(&secret, (struct kw_bytes){NULL, 0}));
    CHECK_I64(t, kw_secret_expose(&secret).size, 0);
    CHECK_I64(t, secret.hidden[0], 0);
}

static void a_secret_can_be_set_from_itself(struct test *t)
{
    struct kw_secret secret KW_WIPED = {0};
    REQUIRE_OK(t, kw_secret_set(&secret, KW_BYTES("sk_live_abc")));
    REQUIRE_OK(t, kw_secret_set(&secret, kw_bytes_skip(kw_secret_expose(&secret), 3)));
    CHECK_BYTES(t, kw_secret_expose(&secret), KW_BYTES("live_abc"));
}

static void every_differing_byte_is_seen(struct test *t)
{
    uint8_t a[64], b[64];
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = b[i] = (uint8_t)test_random(t);
    }
    CHECK(t, kw_constant_time_equal(kw_bytes_of(a, sizeof a), kw_bytes_of(b, sizeof b)));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] = (uint8_t)(b[bit / 8] ^ 1U << bit % 8);
        CHECK(t, !kw_constant_time_equal(kw_bytes_of(a, sizeof a), kw_bytes_of(b, sizeof b)));
        b[bit / 8] = a[bit / 8];
    }
    CHECK(t, !kw_constant_time_equal(kw_bytes_of(a, 63), kw_bytes_of(a, 64)));
    CHECK(t, kw_constant_time_equal((struct kw_bytes){NULL, 0}, (struct kw_bytes){NULL, 0}));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_secret_holds_what_it_was_given),
        TEST_CASE(a_secret_can_be_set_from_itself),
        TEST_CASE(every_differing_byte_is_seen),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
