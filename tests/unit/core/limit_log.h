/*
 * An exact log of what a rate limit admitted, which is what a limit is held against, and arrivals of several manners:
 * steady, hammering, in bursts, and just around the moment when something leaves the window.
 */
#ifndef KW_TESTS_UNIT_CORE_LIMIT_LOG_H
#define KW_TESTS_UNIT_CORE_LIMIT_LOG_H

#include "core/limit.h"
#include "support/test.h"

#define LOG_MAX 4096

/* Times never fall; costs are summed up to each entry. */
struct log {
    size_t count;
    int64_t times[LOG_MAX];
    uint64_t sums[LOG_MAX];
};

void log_reset(struct log *log);
void log_add(struct log *log, int64_t time_ms, uint32_t cost);
/* What the log has in the window that ends with `time_ms`: after time_ms - window_ms. */
int64_t log_sum(const struct log *log, int64_t time_ms, int64_t window_ms);

struct arrivals {
    int kind;
    int64_t window_ms;
    uint32_t cost_max;
    int64_t hint_ms; /* the last answer's retry_after_ms */
};

struct arrivals arrivals_random(struct test *t, const struct kw_rate_limit *limit);
/* How long after `time_ms` the next one comes. */
int64_t arrivals_gap(struct test *t, const struct arrivals *arrivals, const struct log *log, int64_t time_ms);
uint32_t arrivals_cost(struct test *t, const struct arrivals *arrivals, const struct kw_rate_limit *limit);

#endif
