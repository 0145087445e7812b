#include "base/time.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static struct kw_bytes formatted(int64_t time_ms, char out[KW_TIME_TEXT_SIZE])
{
    kw_time_format(time_ms, out);
    return kw_bytes_of(out, KW_TIME_TEXT_SIZE);
}

/* What the C library makes of the same time. */
static void check_against_library(struct test *t, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm date;
    REQUIRE(t, gmtime_r(&seconds, &date) != NULL);
    char expected[80], text[KW_TIME_TEXT_SIZE];
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date.tm_year + 1900, date.tm_mon + 1,
             date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec, (int)(time_ms % 1000));
    CHECK_BYTES(t, formatted(time_ms, text), kw_bytes_of_text(expected));
    int64_t parsed = -1;
    CHECK(t, kw_time_parse(kw_bytes_of_text(expected), &parsed));
    CHECK_I64(t, parsed, time_ms);
}

static void times_agree_with_the_c_library(struct test *t)
{
    for (int i = 0; i < 100000 && t->failures == 0; i++) {
        check_against_library(t, (int64_t)test_random_below(t, KW_TIME_MS_MAX + 1));
    }
}

static void every_day_agrees_with_the_c_library(struct test *t)
{
    for (int64_t day = 0; day * 86400000 <= KW_TIME_MS_MAX && t->failures == 0; day++) {
        check_against_library(t, day * 86400000);
        check_against_library(t, day * 86400000 + 86399999);
    }
}

/* Every date that can be written is taken when timegm leaves it as it is, and refused otherwise. */
static void dates_that_do_not_exist_are_refused(struct test *t)
{
    static const int years[] = {1970, 1971, 1972, 1999, 2000, 2023, 2024, 2100, 2400, 9996, 9999};
    for (size_t i = 0; i < KW_COUNT_OF(years); i++) {
        for (int month = 0; month <= 13; month++) {
            for (int day = 0; day <= 32; day++) {
                struct tm date = {.tm_year = years[i] - 1900, .tm_mon = month - 1, .tm_mday = day};
                int64_t expected = (int64_t)timegm(&date) * 1000;
                bool exists = date.tm_mday == day && date.tm_mon == month - 1;
                char text[64];
                snprintf(text, sizeof text, "%04d-%02d-%02dT00:00:00Z", years[i], month, day);
                int64_t parsed = -1;
                CHECK(t, kw_time_parse(kw_bytes_of_text(text), &parsed) == exists);
                CHECK_I64(t, parsed, exists ? expected : -1);
            }
        }
    }
}

static void offsets_and_fractions_are_taken_into_account(struct test *t)
{
    static const struct {
        const char *text;
        int64_t time_ms;
    } examples[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000Z", 0},
        {"1970-01-01T00:00:00.1Z", 100},
        {"1970-01-01T00:00:00.12Z", 120},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T00:00:00.999999999Z", 999},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"1970-01-01T23:59:00+23:59", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2026-01-31T23:59:59.999Z", INT64_C(1769903999999)},
        {"2026-02-01T05:29:59.999+05:30", INT64_C(1769903999999)},
        {"9999-12-31T23:59:59.999Z", KW_TIME_MS_MAX},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        int64_t parsed = -1;
        CHECK(t, kw_time_parse(kw_bytes_of_text(examples[i].text), &parsed));
        CHECK_I64(t, parsed, examples[i].time_ms);
    }
}

static void other_texts_are_no_times(struct test *t)
{
    static const char *const refused[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31 23:59:59Z",
        "2026-01-31t23:59:59Z",
        "2026-01-31T23:59:59z",
        "2026-01-31T23:59Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:60Z",
        "2016-12-31T23:59:60Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59,5Z",
        "2026-01-31T23:59:59.1234567890Z",
        "2026-01-31T23:59:59.-1Z",
        "2026-01-31T23:59:59.1 Z",
        "2026-01-31T23:59:59ZZ",
        "2026-01-31T23:59:59Z ",
        " 2026-01-31T23:59:59Z",
        "2026-01-31T23:59:59+0100",
        "2026-01-31T23:59:59+01",
        "2026-01-31T23:59:59+1:00",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+01:60",
        "2026-01-31T23:59:59+01:00Z",
        "2026-01-31T23:59:59 01:00",
        "2026-1-31T23:59:59Z",
        "2026-01-31T3:59:59Z",
        "02026-01-31T23:59:59Z",
        "+2026-01-31T23:59:59Z",
        "-026-01-31T23:59:59Z",
        "2026/01/31T23:59:59Z",
        "2026-01-31T23-59-59Z",
        "2026-01-31T23:59:5:Z",
        "1769903999999",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "0000-03-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "never",
        "null",
    };
    int64_t kept = 77;
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        if (kw_time_parse(kw_bytes_of_text(refused[i]), &kept)) {
            test_fail(t, __FILE__, __LINE__, "'%s' was taken", refused[i]);
        }
    }
    CHECK(t, !kw_time_parse((struct kw_bytes){NULL, 0}, &kept));
    CHECK(t, !kw_time_parse(KW_BYTES("2026-01-31T23:59:59Z\0"), &kept));
    CHECK_I64(t, kept, 77);
}

static void times_out_of_range_are_clamped_when_written(struct test *t)
{
    char text[KW_TIME_TEXT_SIZE + 1];
    text[KW_TIME_TEXT_SIZE] = '#';
    CHECK_BYTES(t, formatted(-1, text), KW_BYTES("1970-01-01T00:00:00.000Z"));
    CHECK_BYTES(t, formatted(INT64_MIN, text), KW_BYTES("1970-01-01T00:00:00.000Z"));
    CHECK_BYTES(t, formatted(KW_TIME_MS_MAX + 1, text), KW_BYTES("9999-12-31T23:59:59.999Z"));
    CHECK_BYTES(t, formatted(INT64_MAX, text), KW_BYTES("9999-12-31T23:59:59.999Z"));
    CHECK_I64(t, text[KW_TIME_TEXT_SIZE], '#');
}

static void durations_are_a_number_and_a_unit(struct test *t)
{
    static const struct {
        const char *text;
        int64_t duration_ms;
    } examples[] = {
        {"250ms", 250},
        {"1ms", 1},
        {"90s", 90000},
        {"15m", 900000},
        {"1h", 3600000},
        {"7d", 604800000},
        {"2w", 1209600000},
        {"1y", INT64_C(31536000000)},
        {"100y", KW_DURATION_MS_MAX},
        {"3153600000s", KW_DURATION_MS_MAX},
        {"3153600000000ms", KW_DURATION_MS_MAX},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        int64_t parsed = -1;
        CHECK(t, kw_duration_parse(kw_bytes_of_text(examples[i].text), &parsed));
        CHECK_I64(t, parsed, examples[i].duration_ms);
    }
}

static void other_texts_are_no_durations(struct test *t)
{
    static const char *const refused[] = {
        "",
        "1",
        "s",
        "0s",
        "0ms",
        "00s",
        "01s",
        "-1s",
        "+1s",
        " 1s",
        "1 s",
        "1s ",
        "1.5h",
        "1S",
        "1M",
        "1H",
        "1D",
        "1min",
        "1sec",
        "1mss",
        "1h30m",
        "1e3s",
        "0x1s",
        "never",
        "101y",
        "3153600001s",
        "3153600000001ms",
        "18446744073709551615s",
        "18446744073709551616ms",
        "99999999999999999999999999s",
        "1us",
        "1mo",
        "s1",
        "1\xc2\xb5s",
    };
    int64_t kept = 77;
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        if (kw_duration_parse(kw_bytes_of_text(refused[i]), &kept)) {
            test_fail(t, __FILE__, __LINE__, "'%s' was taken", refused[i]);
        }
    }
    CHECK(t, !kw_duration_parse((struct kw_bytes){NULL, 0}, &kept));
    CHECK(t, !kw_duration_parse(KW_BYTES("1s\0"), &kept));
    CHECK_I64(t, kept, 77);
}

static void durations_are_written_short(struct test *t)
{
    static const struct {
        int64_t duration_ms;
        const char *text;
    } examples[] = {
        {1, "1ms"},
        {999, "999ms"},
        {1000, "1s"},
        {1500, "1500ms"},
        {60000, "1m"},
        {90000, "90s"},
        {3600000, "1h"},
        {86400000, "1d"},
        {604800000, "1w"},
        {691200000, "8d"},
        {INT64_C(31536000000), "1y"},
        {KW_DURATION_MS_MAX, "100y"},
        {0, "0ms"},
        {-1000, "-1000ms"},
        {INT64_MIN, "-9223372036854775808ms"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        char text[KW_DURATION_TEXT_MAX];
        kw_duration_format(examples[i].duration_ms, text);
        CHECK_TEXT(t, text, examples[i].text);
    }
}

static void durations_round_trip_and_none_is_shorter(struct test *t)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1},
                 {"s", 1000},
                 {"m", 60000},
                 {"h", 3600000},
                 {"d", 86400000},
                 {"w", 604800000},
                 {"y", INT64_C(31536000000)}};
    for (int i = 0; i < 20000; i++) {
        int64_t unit_ms = units[test_random_below(t, KW_COUNT_OF(units))].ms;
        int64_t duration_ms = unit_ms * (1 + (int64_t)test_random_below(t, (uint64_t)(KW_DURATION_MS_MAX / unit_ms)));
        char text[KW_DURATION_TEXT_MAX], other[64];
        kw_duration_format(duration_ms, text);
        int64_t parsed = -1;
        CHECK(t, kw_duration_parse(kw_bytes_of_text(text), &parsed));
        CHECK_I64(t, parsed, duration_ms);
        for (size_t u = 0; u < KW_COUNT_OF(units); u++) {
            if (duration_ms % units[u].ms == 0) {
                snprintf(other, sizeof other, "%" PRId64 "%s", duration_ms / units[u].ms, units[u].name);
                CHECK(t, strlen(text) <= strlen(other));
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(times_agree_with_the_c_library),
        TEST_CASE(every_day_agrees_with_the_c_library),
        TEST_CASE(dates_that_do_not_exist_are_refused),
        TEST_CASE(offsets_and_fractions_are_taken_into_account),
        TEST_CASE(other_texts_are_no_times),
        TEST_CASE(times_out_of_range_are_clamped_when_written),
        TEST_CASE(durations_are_a_number_and_a_unit),
        TEST_CASE(other_texts_are_no_durations),
        TEST_CASE(durations_are_written_short),
        TEST_CASE(durations_round_trip_and_none_is_shorter),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
