#include "limit_log.h"

#include <stdlib.h>

void log_reset(struct log *log)
{
    log->count = 0;
}

void log_add(struct log *log, int64_t time_ms, uint32_t cost)
{
    if (log->count == LOG_MAX) {
        abort(); /* the test's own bound */
    }
    uint64_t before = log->count == 0 ? 0 : log->sums[log->count - 1];
    log->times[log->count] = time_ms;
    log->sums[log->count++] = before + cost;
}

int64_t log_sum(const struct log *log, int64_t time_ms, int64_t window_ms)
{
    size_t begin = 0, end = log->count;
    while (begin < end) {
        size_t middle = (begin + end) / 2;
        if (log->times[middle] > time_ms - window_ms) {
            end = middle;
        } else {
            begin = middle + 1;
        }
    }
    uint64_t left = begin == 0 ? 0 : log->sums[begin - 1];
    return log->count == 0 ? 0 : (int64_t)(log->sums[log->count - 1] - left);
}

enum { STEADY, HAMMER, BURSTS, EDGES, OBEDIENT, KINDS };

struct arrivals arrivals_random(struct test *t, const struct kw_rate_limit *limit)
{
    struct arrivals arrivals = {.kind = (int)test_random_below(t, KINDS), .window_ms = limit->window_ms, .cost_max = 1};
    switch (test_random_below(t, 3)) {
    case 0: /* around a few buckets each */
        arrivals.cost_max = limit->requests / 20 + 1;
        break;
    case 1: /* so that the limit is met by some hundred arrivals, whatever it is */
        arrivals.cost_max = limit->requests / 200 + 2;
        break;
    default:
        arrivals.cost_max = limit->requests > 3000 ? limit->requests / 1000 : 1;
        break;
    }
    return arrivals;
}

static int64_t gap_to_edge(struct test *t, const struct arrivals *arrivals, const struct log *log, int64_t time_ms)
{
    if (log->count == 0) {
        return 0;
    }
    size_t back = test_random_below(t, log->count < 70 ? log->count : 70);
    int64_t leaves_ms = log->times[log->count - 1 - back] + arrivals->window_ms;
    int64_t gap_ms = leaves_ms - time_ms + (int64_t)test_random_below(t, 3) - 1;
    return gap_ms < 0 ? 0 : gap_ms;
}

int64_t arrivals_gap(struct test *t, const struct arrivals *arrivals, const struct log *log, int64_t time_ms)
{
    uint64_t window = (uint64_t)arrivals->window_ms;
    switch (arrivals->kind) {
    case STEADY:
        return (int64_t)test_random_below(t, window / 50 + 2);
    case HAMMER:
        return test_random_below(t, 20) == 0 ? (int64_t)test_random_below(t, window / 7 + 2) : 0;
    case BURSTS:
        return test_random_below(t, 150) == 0 ? (int64_t)(window - 1 + test_random_below(t, 3))
                                              : (int64_t)test_random_below(t, 2);
    case EDGES:
        return test_random_below(t, 10) == 0 ? gap_to_edge(t, arrivals, log, time_ms) : 0;
    default: /* waits as it was told, or a little less */
        return arrivals->hint_ms - (arrivals->hint_ms > 0 && test_random_below(t, 4) == 0);
    }
}

uint32_t arrivals_cost(struct test *t, const struct arrivals *arrivals, const struct kw_rate_limit *limit)
{
    if (test_random_below(t, 100) == 0) {
        uint64_t cost = test_random_below(t, (uint64_t)limit->requests + limit->requests / 8) + 1;
        return cost > KW_COST_MAX ? KW_COST_MAX : (uint32_t)cost;
    }
    return (uint32_t)test_random_below(t, arrivals->cost_max) + 1;
}
