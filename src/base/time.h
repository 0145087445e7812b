/*
 * Times and durations as text. Outside, times are RFC 3339 in UTC with milliseconds, durations are a number and a
 * unit; inside, both are signed 64-bit milliseconds. Parsing is strict: what does not exist is an error, never "none".
 */
#ifndef KW_BASE_TIME_H
#define KW_BASE_TIME_H

#include <keyward/types.h>

#define KW_TIME_TEXT_SIZE 24                    /* 2026-01-31T23:59:59.999Z */
#define KW_TIME_MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define KW_DURATION_TEXT_MAX 24
#define KW_DURATION_MS_MAX (INT64_C(100) * 365 * 86400 * 1000) /* "100y" */

/*
 * RFC 3339 with 'T' and either 'Z' or a numeric offset, up to nine digits of a second's fraction (what is finer than a
 * millisecond is cut). 1970 to 9999. Leap seconds (:60) are refused: they have no millisecond of their own.
 */
KW_MUST_USE bool kw_time_parse(struct kw_bytes text, int64_t *time_ms_out);
/* Writes KW_TIME_TEXT_SIZE characters, no NUL. Times outside 0…KW_TIME_MS_MAX are clamped to it. */
void kw_time_format(int64_t time_ms, char *out);

/* A day of the Gregorian calendar; month and day count from 1. */
struct kw_date {
    unsigned year, month, day;
};

/* `days` from 1970-01-01 on, of which kw_date_to_days is the reverse; it takes any date from the year 0 on. */
struct kw_date kw_date_of_days(unsigned days);
int64_t kw_date_to_days(struct kw_date date);
unsigned kw_days_of_month(unsigned year, unsigned month);

/*
 * "90s" "15m" "1h" "7d" "2w" "1y" and "250ms": a number without leading zero and one unit; a year is 365 days. Above
 * zero and at most KW_DURATION_MS_MAX.
 */
KW_MUST_USE bool kw_duration_parse(struct kw_bytes text, int64_t *duration_ms_out);
/* The shortest text that parses to the same duration, in the longest unit where there are several, with a NUL, in `out`
 * of KW_DURATION_TEXT_MAX bytes. What kw_duration_parse would refuse is written in milliseconds. */
void kw_duration_format(int64_t duration_ms, char *out);

#endif
