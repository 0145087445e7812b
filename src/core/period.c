#include "core/period.h"

#include "base/bytes.h"
#include "base/time.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define FIRST_MONDAY_MS (-3 * DAY_MS) /* 1969-12-29: 1970 began on a Thursday */

static const struct {
    const char *name;
    int64_t length_ms; /* 0 where it varies */
    unsigned months;
    int64_t utc_anchor_ms;
} periods[] = {
    [KW_PERIOD_HOUR] = {"hour", HOUR_MS, 0, 0},
    [KW_PERIOD_DAY] = {"day", DAY_MS, 0, 0},
    [KW_PERIOD_WEEK] = {"week", 7 * DAY_MS, 0, FIRST_MONDAY_MS},
    [KW_PERIOD_MONTH] = {"month", 0, 1, 0},
    [KW_PERIOD_YEAR] = {"year", 0, 12, 0},
};

static int64_t within_calendar(int64_t time_ms)
{
    return time_ms < 0 ? 0 : time_ms > KW_TIME_MS_MAX ? KW_TIME_MS_MAX : time_ms;
}

/* The anchor's day and time that many months later. */
static int64_t months_later(struct kw_date anchor, int64_t time_of_day_ms, unsigned months)
{
    unsigned month = anchor.month - 1 + months;
    struct kw_date date = {.year = anchor.year + month / 12, .month = month % 12 + 1, .day = anchor.day};
    unsigned days = kw_days_of_month(date.year, date.month);
    date.day = date.day > days ? days : date.day;
    return kw_date_to_days(date) * DAY_MS + time_of_day_ms;
}

static struct kw_span calendar_span(unsigned step, int64_t anchor_ms, int64_t time_ms)
{
    struct kw_date anchor = kw_date_of_days((unsigned)(anchor_ms / DAY_MS));
    struct kw_date date = kw_date_of_days((unsigned)(time_ms / DAY_MS));
    int64_t time_of_day_ms = anchor_ms % DAY_MS;
    unsigned months = (date.year - anchor.year) * 12 + date.month - anchor.month;
    months -= months % step;
    if (months_later(anchor, time_of_day_ms, months) > time_ms) {
        months -= step;
    }
    return (struct kw_span){months_later(anchor, time_of_day_ms, months),
                            months_later(anchor, time_of_day_ms, months + step)};
}

struct kw_span kw_period_at(enum kw_period period, int64_t anchor_ms, int64_t time_ms)
{
    int64_t length_ms = periods[period].length_ms;
    anchor_ms = anchor_ms == KW_PERIOD_UTC ? periods[period].utc_anchor_ms : within_calendar(anchor_ms);
    time_ms = within_calendar(time_ms);
    time_ms = time_ms < anchor_ms ? anchor_ms : time_ms;
    if (length_ms == 0) {
        return calendar_span(periods[period].months, anchor_ms, time_ms);
    }
    int64_t start_ms = time_ms - (time_ms - anchor_ms) % length_ms;
    return (struct kw_span){start_ms, start_ms + length_ms};
}

bool kw_period_parse(struct kw_bytes name, enum kw_period *out)
{
    for (size_t period = KW_PERIOD_HOUR; period < KW_COUNT_OF(periods); period++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(periods[period].name))) {
            *out = (enum kw_period)period;
            return true;
        }
    }
    return false;
}

const char *kw_period_name(enum kw_period period)
{
    return (size_t)period < KW_COUNT_OF(periods) ? periods[period].name : NULL;
}
