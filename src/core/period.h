/*
 * The periods of quotas. In UTC they are those of the calendar: hours, days, weeks from Monday on, months, years.
 * Anchored, the first begins at the anchor (a key's creation), and each further one as many hours, days, weeks, months
 * or years later: at the same time of the same day, or on the last day of a month that does not have that day. All are
 * counted from the anchor, so that after 31 January and 28 February comes 31 March.
 */
#ifndef KW_CORE_PERIOD_H
#define KW_CORE_PERIOD_H

#include <keyward/record.h>

#define KW_PERIOD_UTC INT64_MIN /* as anchor: the calendar's own periods */

/* From `start_ms` until just before `end_ms`. */
struct kw_span {
    int64_t start_ms, end_ms;
};

/*
 * The period in which that time lies. Times from 0 to KW_TIME_MS_MAX, others are taken for the nearer of the two. What
 * is before the anchor counts to the first period. The week of 1970-01-01 starts before 0.
 */
struct kw_span kw_period_at(enum kw_period period, int64_t anchor_ms, int64_t time_ms);

/* "hour" "day" "week" "month" "year"; false and NULL when it is none. */
KW_MUST_USE bool kw_period_parse(struct kw_bytes name, enum kw_period *out);
const char *kw_period_name(enum kw_period period);

#endif
