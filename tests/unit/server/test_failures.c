/* The table of refused keys by address, and the counters of /metrics. */
#include "server/counters.h"
#include "server/failures.h"
#include "server/router.h"
#include "support/test.h"

#include <limits.h>
#include <stdio.h>

#define NOON INT64_C(1700006400000) /* a full minute */

static unsigned fail(struct kw_failures *failures, const char *address, int64_t now_ms, int times)
{
    unsigned wait_s = 0;
    struct kw_address parsed = {0};
    if (!kw_address_parse(kw_bytes_of_text(address), &parsed)) {
        return UINT_MAX;
    }
    for (int i = 0; i < times; i++) {
        wait_s = kw_failures_count(failures, &parsed, now_ms);
    }
    return wait_s;
}

static void the_sixty_first_failure_has_to_wait(struct test *t)
{
    struct kw_failures *failures;
    REQUIRE_OK(t, kw_failures_new(&failures));
    CHECK_I64(t, fail(failures, "192.0.2.1", NOON, KW_FAILURES_MAX), 0);
    CHECK_I64(t, fail(failures, "192.0.2.1", NOON, 1), 60);
    CHECK_I64(t, fail(failures, "192.0.2.1", NOON + 59999, 1), 1);
    CHECK_I64(t, fail(failures, "192.0.2.2", NOON, 1), 0);
    CHECK_I64(t, fail(failures, "192.0.2.1", NOON + 60000, KW_FAILURES_MAX), 0); /* the next minute */
    CHECK_I64(t, fail(failures, "192.0.2.1", NOON + 60000, 1), 60);
    kw_failures_free(failures);
}

static void addresses_are_what_a_subscriber_has(struct test *t)
{
    struct kw_failures *failures;
    REQUIRE_OK(t, kw_failures_new(&failures));
    fail(failures, "2001:db8:1:2::1", NOON, KW_FAILURES_MAX);
    CHECK_I64(t, fail(failures, "2001:db8:1:2:ffff::9", NOON, 1), 60); /* the same /64 */
    CHECK_I64(t, fail(failures, "2001:db8:1:3::1", NOON, 1), 0);
    fail(failures, "192.0.2.7", NOON, KW_FAILURES_MAX);
    CHECK_I64(t, fail(failures, "::ffff:192.0.2.7", NOON, 1), 60); /* the same host */
    CHECK_I64(t, fail(failures, "::ffff:192.0.2.8", NOON, 1), 0);
    kw_failures_free(failures);
}

/* Many more addresses than there is room for do not wash away the one that fails most. */
static void a_crowd_does_not_hide_an_attacker(struct test *t)
{
    struct kw_failures *failures;
    REQUIRE_OK(t, kw_failures_new(&failures));
    fail(failures, "192.0.2.1", NOON, KW_FAILURES_MAX + 1);
    for (unsigned i = 0; i < 100000; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        CHECK_I64(t, fail(failures, address, NOON, 1), 0);
    }
    CHECK(t, fail(failures, "192.0.2.1", NOON, 1) > 0);
    kw_failures_free(failures);
}

static void no_count_overflows(struct test *t)
{
    struct kw_failures *failures;
    REQUIRE_OK(t, kw_failures_new(&failures));
    CHECK(t, fail(failures, "192.0.2.1", NOON, 70000) > 0);
    CHECK_I64(t, fail(failures, "192.0.2.1", -1, 1), 0);
    kw_failures_free(failures);
}

static bool holds(const struct kw_buffer *text, const char *line)
{
    return memmem(text->data, text->size, line, strlen(line)) != NULL;
}

static void counters_add_up(struct test *t)
{
    struct kw_counters *counters;
    struct kw_buffer text;
    REQUIRE_OK(t, kw_counters_new(&counters));
    kw_buffer_init(&text, 1 << 20);
    for (int i = 0; i < 3; i++) {
        kw_counters_verified(counters, KW_CODE_NONE);
        kw_counters_answered(counters, 0, 201);
    }
    kw_counters_verified(counters, KW_CODE_INSUFFICIENT_SCOPE);
    kw_counters_answered(counters, 0, 400);
    kw_counters_answered(counters, KW_ROUTES_MAX, 404);
    kw_counters_answered(counters, KW_ROUTES_MAX + 1, 200); /* nowhere, and nowhere written */
    kw_counters_answered(counters, 0, 0);
    kw_counters_answered(counters, 0, 999);
    kw_counters_write(counters, &text);
    CHECK(t, holds(&text, "keyward_verifications_total{code=\"VALID\"} 3\n"));
    CHECK(t, holds(&text, "keyward_verifications_total{code=\"INSUFFICIENT_SCOPE\"} 1\n"));
    CHECK(t, holds(&text, "keyward_verifications_total{code=\"REVOKED\"} 0\n"));
    CHECK(t, holds(&text, "keyward_requests_total{route=\"POST /v1/keys\",class=\"2xx\"} 3\n"));
    CHECK(t, holds(&text, "keyward_requests_total{route=\"POST /v1/keys\",class=\"4xx\"} 1\n"));
    CHECK(t, holds(&text, "keyward_requests_total{route=\"none\",class=\"4xx\"} 1\n"));
    kw_buffer_deinit(&text);
    kw_counters_free(counters);
}

static void making_them_may_fail(struct test *t)
{
    struct kw_counters *counters = NULL;
    struct kw_failures *failures = NULL;
    for (int64_t n = 1; n <= 2; n++) {
        kw_alloc_fail_after(n);
        CHECK_STATUS(t, kw_counters_new(&counters), KW_E_MEMORY);
        kw_alloc_fail_after(n);
        CHECK_STATUS(t, kw_failures_new(&failures), KW_E_MEMORY);
    }
    kw_alloc_fail_after(-1);
    kw_counters_free(counters);
    kw_failures_free(failures);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_sixty_first_failure_has_to_wait),
        TEST_CASE(addresses_are_what_a_subscriber_has),
        TEST_CASE(a_crowd_does_not_hide_an_attacker),
        TEST_CASE(no_count_overflows),
        TEST_CASE(counters_add_up),
        TEST_CASE(making_them_may_fail),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
