/* What the model knows of rate limits and quotas as they are given, and of which lie within which. */
#ifndef KW_TESTS_SIM_MODEL_LIMITS_H
#define KW_TESTS_SIM_MODEL_LIMITS_H

#include <keyward/keyward.h>

#define MODEL_LIMITS_MAX 3
#define MODEL_QUOTAS_MAX 3

struct model_limit {
    const char *name;
    int64_t requests, window;
    enum kw_limit_per per;
};

/* Amounts are whole ones. */
struct model_quota {
    const char *name, *metric;
    int64_t limit;
    enum kw_period period; /* an hour or a day */
    enum kw_quota_anchor anchor;
    enum kw_quota_exceeded on_exceeded;
    enum kw_limit_per per;
    struct model_limit throttle; /* requests and window, where it throttles; else nothing */
};

/* Each in the order of its names. */
struct model_limits {
    struct model_limit limits[MODEL_LIMITS_MAX];
    struct model_quota quotas[MODEL_QUOTAS_MAX];
    int limit_count, quota_count;
};

/* What `given` names is taken from `from`. */
void model_limits_take(struct model_limits *limits, const struct model_limits *from, uint32_t given);
/* Whoever keeps to the inner keeps to the outer: each of the outer has one of the inner that holds by itself. */
bool model_rates_within(const struct model_limits *inner, const struct model_limits *outer);
bool model_quotas_within(const struct model_limits *inner, const struct model_limits *outer);
bool model_limits_of_org(const struct model_limits *limits);

#endif
