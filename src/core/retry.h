/*
 * When a delivery that failed is tried again: ten more times over three days, each pause longer than the one before,
 * and none quite the same for two deliveries, so that what failed together does not come back together. Pure: time and
 * random bits are handed in.
 */
#ifndef KW_CORE_RETRY_H
#define KW_CORE_RETRY_H

#include <keyward/types.h>

#define KW_RETRY_SPAN_MS INT64_C(259200000) /* three days: no try begins later after the first */
#define KW_RETRY_COUNT 10
#define KW_RETRY_AFTER_MAX_MS INT64_C(86400000) /* the longest Retry-After that is listened to: a day */
#define KW_RETRY_AFTER_TEXT_MAX 64

struct kw_retry {
    int64_t first_ms;       /* when it was first tried */
    int64_t now_ms;         /* when it failed */
    uint32_t attempts;      /* so far; 1 or more */
    int64_t retry_after_ms; /* what the receiver asked for, from now; 0: nothing */
    uint32_t random;
};

/*
 * True, and when it is to be tried again: after 80 to 100 per cent of the pause of so many attempts (5s, 30s, 2m, 10m,
 * 30m, 1h, 3h, 7h, 20h, 40h), and no sooner than the receiver asked for, if that was at most a day. False: it was tried
 * often enough, or the next try would come later than three days after the first.
 */
KW_MUST_USE bool kw_retry_next(const struct kw_retry *retry, int64_t *due_ms_out);

/*
 * What Retry-After says (RFC 9110, 10.2.3), in milliseconds from `now_ms`: whole seconds, or a date in the form that
 * all senders must use. 0 for what is neither, or past.
 */
int64_t kw_retry_after(struct kw_bytes value, int64_t now_ms);

#endif
