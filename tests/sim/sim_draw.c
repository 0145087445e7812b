#include "sim/sim.h"

#define MINUTE INT64_C(60000)

static int below(struct sim *sim, int bound)
{
    return (int)test_random_below(sim->t, (uint64_t)bound);
}

static bool chance(struct sim *sim, int percent)
{
    return below(sim, 100) < percent;
}

static enum kw_limit_per draw_per(struct sim *sim)
{
    return chance(sim, 70) ? KW_PER_KEY : chance(sim, 50) ? KW_PER_OWNER : KW_PER_ORG;
}

static struct model_limit draw_limit(struct sim *sim, const char *name)
{
    static const int64_t windows[] = {2000, MINUTE, MINUTE + 1, 10 * MINUTE, 60 * MINUTE};
    static const int64_t requests[] = {2, 5, 12, 59, 130};
    return (struct model_limit){name, requests[below(sim, 5)], windows[below(sim, 5)], draw_per(sim)};
}

static struct model_quota draw_quota(struct sim *sim, const char *name)
{
    static const int64_t limits[] = {0, 3, 8, 40, 100};
    struct model_quota quota = {.name = name,
                                .metric = chance(sim, 75) ? "requests" : "tokens",
                                .limit = limits[below(sim, 5)],
                                .period = chance(sim, 60) ? KW_PERIOD_HOUR : KW_PERIOD_DAY,
                                .on_exceeded = chance(sim, 60)   ? KW_QUOTA_BLOCK
                                               : chance(sim, 40) ? KW_QUOTA_WARN
                                                                 : KW_QUOTA_THROTTLE,
                                .per = draw_per(sim)};
    quota.anchor = quota.per == KW_PER_KEY && chance(sim, 25) ? KW_ANCHOR_CREATED : KW_ANCHOR_UTC;
    if (quota.on_exceeded == KW_QUOTA_THROTTLE) {
        quota.throttle = draw_limit(sim, "");
        quota.throttle.per = KW_PER_KEY;
    }
    return quota;
}

struct model_limits sim_draw_limits(struct sim *sim, const struct model_key *like)
{
    static const char *const names[] = {"a", "b", "c"};
    static const char *const quota_names[] = {"x", "y", "z"};
    struct model_limits limits = {.limit_count = 0};
    if (like != NULL && chance(sim, 60)) {
        limits = like->limits;
        for (int i = 0; i < limits.limit_count; i++) {
            int64_t *requests = &limits.limits[i].requests;
            *requests = *requests > 1 && chance(sim, 60) ? *requests / 2 : *requests;
        }
        return limits;
    }
    for (int i = 0; i < MODEL_LIMITS_MAX; i++) {
        if (chance(sim, 40)) {
            limits.limits[limits.limit_count++] = draw_limit(sim, names[i]);
        }
        if (chance(sim, 25)) {
            limits.quotas[limits.quota_count++] = draw_quota(sim, quota_names[i]);
        }
    }
    return limits;
}

void sim_draw_schedule(struct sim *sim, struct model_params *params)
{
    static const int64_t times[] = {1, 60000, 3600000, 86400000};
    int64_t now = sim->model.now;
    params->given |= chance(sim, 15) ? (uint32_t)KW_GIVEN_SCHEDULE : 0;
    params->scheduled = (unsigned)below(sim, 8);
    params->disable_at = chance(sim, 40) ? 0 : now + times[below(sim, 4)] - chance(sim, 4);
    params->revoke_at = chance(sim, 40) ? 0 : now + times[below(sim, 4)] - chance(sim, 4);
    params->notify_before = chance(sim, 30) ? 0 : times[below(sim, 4)];
}

int64_t sim_draw_moment(struct sim *sim, const struct model_key *key)
{
    const int64_t moments[] = {key->grace_until, key->expires_at, key->disable_at, key->revoke_at};
    return moments[below(sim, 4)] - (chance(sim, 30) ? key->notify_before : 0);
}
