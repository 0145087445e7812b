#include "base/time.h"
#include "core/period.h"
#include "support/test.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static int64_t at(const char *text)
{
    int64_t time_ms = -1;
    return kw_time_parse(kw_bytes_of_text(text), &time_ms) ? time_ms : -1;
}

static void calendars_have_their_corners(struct test *t)
{
    static const struct {
        enum kw_period period;
        const char *anchor, *time, *start, *end; /* no anchor: UTC */
    } cases[] = {
        {KW_PERIOD_HOUR, NULL, "2026-03-29T01:59:59.999Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"},
        {KW_PERIOD_DAY, NULL, "2026-03-29T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
        {KW_PERIOD_WEEK, NULL, "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
        {KW_PERIOD_WEEK, NULL, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
        {KW_PERIOD_MONTH, NULL, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
        {KW_PERIOD_YEAR, NULL, "2024-12-31T23:59:59.999Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
        {KW_PERIOD_HOUR, "2026-01-31T10:20:30.400Z", "2026-01-31T11:20:30.399Z", "2026-01-31T10:20:30.400Z",
         "2026-01-31T11:20:30.400Z"},
        {KW_PERIOD_WEEK, "2026-01-31T10:20:30.400Z", "2026-02-09T00:00:00Z", "2026-02-07T10:20:30.400Z",
         "2026-02-14T10:20:30.400Z"},
        {KW_PERIOD_MONTH, "2026-01-31T10:20:30.400Z", "2026-02-28T10:20:30.399Z", "2026-01-31T10:20:30.400Z",
         "2026-02-28T10:20:30.400Z"},
        {KW_PERIOD_MONTH, "2026-01-31T10:20:30.400Z", "2026-02-28T10:20:30.400Z", "2026-02-28T10:20:30.400Z",
         "2026-03-31T10:20:30.400Z"},
        {KW_PERIOD_MONTH, "2026-01-31T10:20:30.400Z", "2028-02-29T11:00:00Z", "2028-02-29T10:20:30.400Z",
         "2028-03-31T10:20:30.400Z"},
        {KW_PERIOD_MONTH, "2026-12-31T00:00:00Z", "2027-01-30T23:59:59Z", "2026-12-31T00:00:00Z",
         "2027-01-31T00:00:00Z"},
        {KW_PERIOD_YEAR, "2024-02-29T08:00:00Z", "2026-02-28T07:59:59Z", "2025-02-28T08:00:00Z",
         "2026-02-28T08:00:00Z"},
        {KW_PERIOD_YEAR, "2024-02-29T08:00:00Z", "2028-02-29T08:00:00Z", "2028-02-29T08:00:00Z",
         "2029-02-28T08:00:00Z"},
        /* What is before the creation counts to the first period. */
        {KW_PERIOD_MONTH, "2026-01-31T10:00:00Z", "2025-06-01T00:00:00Z", "2026-01-31T10:00:00Z",
         "2026-02-28T10:00:00Z"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        int64_t anchor_ms = cases[i].anchor == NULL ? KW_PERIOD_UTC : at(cases[i].anchor);
        struct kw_span span = kw_period_at(cases[i].period, anchor_ms, at(cases[i].time));
        CHECK_I64(t, span.start_ms, at(cases[i].start));
        CHECK_I64(t, span.end_ms, at(cases[i].end));
    }
}

/* --- A slow model: it walks from day to day --- */

struct day {
    int64_t start_ms;
    int year, month, day, weekday; /* 0: Monday */
};

static const struct day first_day = {.year = 1970, .month = 1, .day = 1, .weekday = 3};

static bool is_last_of_month(const struct day *day)
{
    switch (day->month) {
    case 4:
    case 6:
    case 9:
    case 11:
        return day->day == 30;
    case 2:
        return day->day == 29 || (day->day == 28 && (day->year % 4 != 0 || (day->year % 100 == 0 && day->year % 400)));
    default:
        return day->day == 31;
    }
}

static void next_day(struct day *day)
{
    bool ends_month = is_last_of_month(day);
    bool ends_year = ends_month && day->month == 12;
    day->start_ms += DAY_MS;
    day->weekday = (day->weekday + 1) % 7;
    day->day = ends_month ? 1 : day->day + 1;
    day->month = ends_year ? 1 : day->month + ends_month;
    day->year += ends_year;
}

/* Whether a period begins on that day, at the anchor's time of day. */
static bool begins_on(enum kw_period period, const struct day *anchor, const struct day *day)
{
    bool is_day = day->day == anchor->day || (day->day < anchor->day && is_last_of_month(day));
    switch (period) {
    case KW_PERIOD_WEEK:
        return day->weekday == anchor->weekday;
    case KW_PERIOD_MONTH:
        return is_day;
    case KW_PERIOD_YEAR:
        return is_day && day->month == anchor->month;
    default:
        return true;
    }
}

static void check_span(struct test *t, enum kw_period period, int64_t anchor_ms, int64_t start_ms, int64_t end_ms)
{
    int64_t inside_ms = start_ms + (int64_t)test_random_below(t, (uint64_t)(end_ms - start_ms));
    int64_t times[] = {start_ms, end_ms - 1, inside_ms};
    for (size_t i = 0; i < KW_COUNT_OF(times); i++) {
        struct kw_span span = kw_period_at(period, anchor_ms, times[i]);
        if (span.start_ms != start_ms || span.end_ms != end_ms) {
            test_fail(t, __FILE__, __LINE__, "%s anchored at %lld, at %lld: %lld to %lld instead of %lld to %lld",
                      kw_period_name(period), (long long)anchor_ms, (long long)times[i], (long long)span.start_ms,
                      (long long)span.end_ms, (long long)start_ms, (long long)end_ms);
        }
    }
}

/* Walks `days` from the anchor on and checks each period that begins and ends on the way. */
static void walk(struct test *t, enum kw_period period, const struct day *anchor, int64_t time_of_day_ms, bool is_utc,
                 int days)
{
    struct day day = *anchor;
    int64_t start_ms = day.start_ms + time_of_day_ms;
    int64_t anchor_ms = is_utc ? KW_PERIOD_UTC : start_ms;
    for (int i = 0; i < days && t->failures == 0; i++) {
        next_day(&day);
        if (!begins_on(period, anchor, &day)) {
            continue;
        }
        int64_t next_ms = day.start_ms + time_of_day_ms;
        check_span(t, period, anchor_ms, start_ms, next_ms);
        start_ms = next_ms;
    }
}

static void utc_periods_are_the_calendar(struct test *t)
{
    struct day monday = first_day;
    while (monday.weekday != 0) {
        next_day(&monday);
    }
    walk(t, KW_PERIOD_DAY, &first_day, 0, true, 160000);
    walk(t, KW_PERIOD_WEEK, &monday, 0, true, 160000);
    walk(t, KW_PERIOD_MONTH, &first_day, 0, true, 160000);
    walk(t, KW_PERIOD_YEAR, &first_day, 0, true, 160000);
}

static void anchored_periods_keep_day_and_time(struct test *t)
{
    struct day anchor = first_day;
    for (int i = 0; i < 900; i++) {
        for (uint64_t skip = test_random_below(t, 60); skip > 0; skip--) {
            next_day(&anchor);
        }
        while (i % 3 == 0 && !is_last_of_month(&anchor)) {
            next_day(&anchor);
        }
        int64_t time_of_day_ms = (int64_t)test_random_below(t, (uint64_t)DAY_MS);
        for (int period = KW_PERIOD_DAY; period <= KW_PERIOD_YEAR; period++) {
            walk(t, (enum kw_period)period, &anchor, time_of_day_ms, false, 3700);
        }
    }
}

static void hours_follow_each_other(struct test *t)
{
    for (int i = 0; i < 20000; i++) {
        int64_t anchor_ms = (int64_t)test_random_below(t, INT64_C(2000000000000));
        int64_t start_ms = anchor_ms + (int64_t)test_random_below(t, 500000) * HOUR_MS;
        check_span(t, KW_PERIOD_HOUR, anchor_ms, start_ms, start_ms + HOUR_MS);
        start_ms -= start_ms % HOUR_MS;
        check_span(t, KW_PERIOD_HOUR, KW_PERIOD_UTC, start_ms, start_ms + HOUR_MS);
    }
}

static void the_ends_of_time_have_periods(struct test *t)
{
    for (int period = KW_PERIOD_HOUR; period <= KW_PERIOD_YEAR; period++) {
        struct kw_span first = kw_period_at((enum kw_period)period, KW_PERIOD_UTC, -5);
        CHECK(t, first.start_ms <= 0 && first.end_ms > 0);
        struct kw_span last = kw_period_at((enum kw_period)period, KW_PERIOD_UTC, INT64_MAX);
        CHECK(t, last.start_ms <= KW_TIME_MS_MAX && last.end_ms > KW_TIME_MS_MAX);
        struct kw_span late = kw_period_at((enum kw_period)period, INT64_MAX, 0);
        CHECK_I64(t, late.start_ms, KW_TIME_MS_MAX);
        CHECK(t, late.end_ms > KW_TIME_MS_MAX);
    }
    CHECK_I64(t, kw_period_at(KW_PERIOD_WEEK, KW_PERIOD_UTC, 0).start_ms, -3 * DAY_MS);
}

static void periods_have_names(struct test *t)
{
    for (int period = KW_PERIOD_HOUR; period <= KW_PERIOD_YEAR; period++) {
        enum kw_period parsed = 0;
        CHECK(t, kw_period_parse(kw_bytes_of_text(kw_period_name((enum kw_period)period)), &parsed));
        CHECK_I64(t, parsed, period);
    }
    enum kw_period untouched = KW_PERIOD_DAY;
    CHECK(t, !kw_period_parse(KW_BYTES("Month"), &untouched));
    CHECK(t, !kw_period_parse(KW_BYTES(""), &untouched));
    CHECK(t, !kw_period_parse(KW_BYTES("months"), &untouched));
    CHECK_I64(t, untouched, KW_PERIOD_DAY);
    CHECK(t, kw_period_name((enum kw_period)6) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(calendars_have_their_corners),       TEST_CASE(utc_periods_are_the_calendar),
        TEST_CASE(anchored_periods_keep_day_and_time), TEST_CASE(hours_follow_each_other),
        TEST_CASE(the_ends_of_time_have_periods),      TEST_CASE(periods_have_names),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
