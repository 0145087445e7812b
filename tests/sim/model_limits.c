#include "sim/model_limits.h"

#include <string.h>

void model_limits_take(struct model_limits *limits, const struct model_limits *from, uint32_t given)
{
    if ((given & KW_GIVEN_RATE_LIMITS) != 0) {
        memcpy(limits->limits, from->limits, sizeof from->limits);
        limits->limit_count = from->limit_count;
    }
    if ((given & KW_GIVEN_QUOTAS) != 0) {
        memcpy(limits->quotas, from->quotas, sizeof from->quotas);
        limits->quota_count = from->quota_count;
    }
}

static bool counts_as_much(enum kw_limit_per inner, enum kw_limit_per outer)
{
    return inner == outer || outer == KW_PER_KEY;
}

/* In a window of the outer's length. */
static bool lets_no_more(const struct model_limit *inner, const struct model_limit *outer)
{
    int64_t windows = outer->window / inner->window + (outer->window % inner->window != 0);
    return inner->requests * windows <= outer->requests;
}

bool model_rates_within(const struct model_limits *inner, const struct model_limits *outer)
{
    for (int i = 0; i < outer->limit_count; i++) {
        bool holds = false;
        for (int n = 0; n < inner->limit_count; n++) {
            holds = holds || (counts_as_much(inner->limits[n].per, outer->limits[i].per) &&
                              lets_no_more(&inner->limits[n], &outer->limits[i]));
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}

static bool quota_within(const struct model_quota *inner, const struct model_quota *outer)
{
    bool throttles = inner->on_exceeded == KW_QUOTA_THROTTLE && outer->on_exceeded == KW_QUOTA_THROTTLE &&
                     lets_no_more(&inner->throttle, &outer->throttle);
    return strcmp(inner->metric, outer->metric) == 0 && inner->anchor == outer->anchor &&
           (inner->period == outer->period || outer->period == KW_PERIOD_HOUR) && inner->limit <= outer->limit &&
           counts_as_much(inner->per, outer->per) && (inner->on_exceeded == KW_QUOTA_BLOCK || throttles);
}

bool model_quotas_within(const struct model_limits *inner, const struct model_limits *outer)
{
    for (int i = 0; i < outer->quota_count; i++) {
        bool holds = outer->quotas[i].on_exceeded == KW_QUOTA_WARN;
        for (int n = 0; n < inner->quota_count; n++) {
            holds = holds || quota_within(&inner->quotas[n], &outer->quotas[i]);
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}

bool model_limits_of_org(const struct model_limits *limits)
{
    bool is_so = false;
    for (int i = 0; i < limits->limit_count; i++) {
        is_so = is_so || limits->limits[i].per == KW_PER_ORG;
    }
    for (int i = 0; i < limits->quota_count; i++) {
        is_so = is_so || limits->quotas[i].per == KW_PER_ORG;
    }
    return is_so;
}
