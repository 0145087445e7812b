/* When hours and days begin, and what stands for whom. */
#include "base/bytes.h"
#include "core/id.h"
#include "core/usage.h"
#include "support/test.h"

static void hours_and_days_begin_before_their_times(struct test *t)
{
    CHECK_I64(t, kw_usage_hour(0), 0);
    CHECK_I64(t, kw_usage_hour(KW_HOUR_MS - 1), 0);
    CHECK_I64(t, kw_usage_hour(KW_HOUR_MS), KW_HOUR_MS);
    CHECK_I64(t, kw_usage_hour(-1), -KW_HOUR_MS);
    CHECK_I64(t, kw_usage_day(KW_DAY_MS - 1), 0);
    CHECK_I64(t, kw_usage_day(-1), -KW_DAY_MS);
    for (int i = 0; i < 1000; i++) {
        int64_t time_ms = (int64_t)(test_random(t) >> 2);
        int64_t begin_ms = kw_usage_hour(time_ms);
        CHECK(t, begin_ms <= time_ms && time_ms - begin_ms < KW_HOUR_MS && begin_ms % KW_HOUR_MS == 0);
        CHECK_I64(t, kw_usage_day(begin_ms), kw_usage_day(time_ms));
    }
}

static void hours_are_kept_for_two_whole_days(struct test *t)
{
    int64_t noon = 10 * KW_DAY_MS + KW_DAY_MS / 2;
    CHECK_I64(t, kw_usage_hours_from(noon), 8 * KW_DAY_MS);
    CHECK_I64(t, kw_usage_hours_from(10 * KW_DAY_MS), 8 * KW_DAY_MS);
    CHECK_I64(t, kw_usage_hours_from(10 * KW_DAY_MS - 1), 7 * KW_DAY_MS);
}

static void endpoints_are_short_texts(struct test *t)
{
    uint8_t text[KW_ENDPOINT_MAX + 1];
    memset(text, 'x', sizeof text);
    CHECK(t, kw_endpoint_valid(kw_bytes_of(text, KW_ENDPOINT_MAX)));
    CHECK(t, !kw_endpoint_valid(kw_bytes_of(text, KW_ENDPOINT_MAX + 1)));
    CHECK(t, !kw_endpoint_valid(kw_bytes_of(text, 0)));
    CHECK(t, kw_endpoint_valid(KW_BYTES("GET /v1/caf\xc3\xa9")));
    CHECK(t, !kw_endpoint_valid(KW_BYTES("GET /v1/caf\xc3")));
    CHECK(t, !kw_endpoint_valid(KW_BYTES("GET /\x01")));
    CHECK_BYTES(t, kw_usage_endpoint_of(KW_BYTES("GET /\x01tokens")), KW_BYTES("GET /"));
    CHECK_BYTES(t, kw_usage_endpoint_of(KW_BYTES("GET /")), KW_BYTES("GET /"));
}

static void owners_and_organizations_are_no_keys(struct test *t)
{
    struct kw_id owner = kw_usage_owner(KW_BYTES("user:1"));
    struct kw_id org = kw_usage_org(KW_BYTES("user:1"));
    struct kw_id other = kw_usage_owner(KW_BYTES("user:2"));
    struct kw_id again = kw_usage_owner(KW_BYTES("user:1"));
    const uint8_t random[KW_ID_RANDOM_SIZE] = {0xff};
    struct kw_id latest = kw_id_make(INT64_C(253402300799999), random); /* the year 9999 */
    CHECK(t, kw_id_equal(&owner, &again));
    CHECK(t, !kw_id_equal(&owner, &org) && !kw_id_equal(&owner, &other));
    CHECK(t, !kw_id_is_none(&owner) && kw_id_compare(&owner, &latest) > 0 && kw_id_compare(&org, &latest) > 0);
}

static void dimensions_have_names(struct test *t)
{
    const enum kw_usage_dimension all[] = {KW_USAGE_CODE, KW_USAGE_ENDPOINT, KW_USAGE_REGION, KW_USAGE_METRIC};
    enum kw_usage_dimension found = KW_USAGE_ENDPOINT_METRIC;
    for (size_t i = 0; i < KW_COUNT_OF(all); i++) {
        CHECK(t, kw_usage_dimension_of_name(kw_bytes_of_text(kw_usage_dimension_name(all[i])), &found));
        CHECK_I64(t, found, all[i]);
    }
    CHECK(t, !kw_usage_dimension_of_name(KW_BYTES("colour"), &found));
    CHECK(t, !kw_usage_dimension_of_name(KW_BYTES(""), &found));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(hours_and_days_begin_before_their_times),
        TEST_CASE(hours_are_kept_for_two_whole_days),
        TEST_CASE(endpoints_are_short_texts),
        TEST_CASE(owners_and_organizations_are_no_keys),
        TEST_CASE(dimensions_have_names),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
