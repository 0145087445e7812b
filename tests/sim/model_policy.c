#include "sim/model_policy.h"

#include <string.h>

const char *const model_policies[POLICIES] = {"loose", "tight"};

static const struct model_policy *policy_of(const struct model *model, const struct model_key *key)
{
    return key->policy < 0 ? NULL : &model->policies[key->policy];
}

unsigned model_excess(const struct model_policy *policy, const struct model_key *key, int64_t born)
{
    struct model_rights scopes = {.scopes = key->rights.scopes};
    struct model_rights resources = key->rights;
    int count = 0;
    resources.scopes = 0;
    for (int i = 0; i < RESOURCES; i++) {
        count += key->rights.resources[i] != 0;
    }
    bool is_late = policy->ttl != 0 && (key->expires_at == 0 || key->expires_at > born + policy->ttl);
    return (unsigned)(policy->env != NULL && strcmp(policy->env, key->env) != 0) << BEYOND_ENV |
           (unsigned)is_late << BEYOND_EXPIRY |
           (unsigned)(policy->requires_ip && key->rights.allowed_ips == 0) << BEYOND_IPS |
           (unsigned)(policy->resources >= 0 && count > policy->resources) << BEYOND_RESOURCE_COUNT |
           (unsigned)(policy->bounds_rights && !model_scopes_within(&scopes, &policy->rights)) << BEYOND_SCOPES |
           (unsigned)(policy->bounds_rights && !model_scopes_within(&resources, &policy->rights)) << BEYOND_RESOURCES |
           (unsigned)!model_rates_within(&key->limits, &policy->limits) << BEYOND_RATE_LIMITS |
           (unsigned)!model_quotas_within(&key->limits, &policy->limits) << BEYOND_QUOTAS;
}

enum kw_code model_admits(const struct model *model, const struct model_key *key, int64_t born, bool is_given)
{
    const struct model_policy *policy = policy_of(model, key);
    if (policy == NULL) {
        return KW_CODE_NONE;
    }
    if (!policy->is_there) {
        return is_given ? KW_CODE_INVALID_FIELD : KW_CODE_POLICY_VIOLATION;
    }
    return model_excess(policy, key, born) != 0 ? KW_CODE_POLICY_VIOLATION : KW_CODE_NONE;
}

void model_take_from_policy(const struct model *model, const struct model_key *parent, struct model_params *params)
{
    const uint32_t expiry = KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN;
    if ((params->given & KW_GIVEN_POLICY) == 0 || params->policy < 0) {
        return;
    }
    const struct model_policy *policy = &model->policies[params->policy];
    if ((params->given & (KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES)) == 0) {
        params->given |= KW_GIVEN_SCOPES;
        params->rights.scopes = policy->rights.scopes;
    }
    uint32_t spends = (policy->limits.limit_count > 0 ? (uint32_t)KW_GIVEN_RATE_LIMITS : 0) |
                      (policy->limits.quota_count > 0 ? (uint32_t)KW_GIVEN_QUOTAS : 0);
    model_limits_take(&params->limits, &policy->limits, spends & ~params->given);
    params->given |= spends;
    /* A child ends with its parent, where that is sooner. */
    bool ends_sooner = parent != NULL && parent->expires_at != 0 && parent->expires_at < model->now + policy->ttl;
    if ((params->given & expiry) == 0 && policy->ttl != 0 && !ends_sooner) {
        params->given |= KW_GIVEN_EXPIRES_IN;
        params->expires_in = policy->ttl;
    }
}

bool model_outlived(const struct model *model, const struct model_key *key)
{
    const struct model_policy *policy = policy_of(model, key);
    return policy != NULL && policy->is_there && policy->ttl != 0 && model->now >= key->created_at + policy->ttl;
}

/* Keys and the policies that say something of rights, each behind its key. */
struct authorities {
    const struct model_rights *rights[2 * (MODEL_DEPTH_MAX + 1)];
    int links[2 * (MODEL_DEPTH_MAX + 1)];
    bool is_policy[2 * (MODEL_DEPTH_MAX + 1)];
    int count;
};

static void add_authority(struct authorities *authorities, const struct model_rights *rights, int link, bool is_policy)
{
    authorities->rights[authorities->count] = rights;
    authorities->links[authorities->count] = link;
    authorities->is_policy[authorities->count++] = is_policy;
}

static enum kw_code ask_scopes(const struct model *model, const int *links, int count,
                               const struct model_question *question, int *link_out, bool *by_policy_out)
{
    struct authorities all = {.count = 0};
    for (int i = 0; i < count; i++) {
        const struct model_key *key = &model->keys[links[i]];
        const struct model_policy *policy = policy_of(model, key);
        add_authority(&all, &key->rights, i, false);
        if (policy != NULL && policy->bounds_rights) {
            add_authority(&all, &policy->rights, i, true);
        }
    }
    int at = 0;
    while (at < all.count && model_holds(all.rights[at], question) && model_meets(all.rights, at + 1, question)) {
        at++;
    }
    bool wants_any = question->resource >= 0 && question->resource_scopes == 0;
    if (at == all.count && (!wants_any || model_share_a_scope(all.rights, all.count, question->resource))) {
        return KW_CODE_NONE;
    }
    at = at == all.count ? at - 1 : at;
    *link_out = all.links[at];
    *by_policy_out = all.is_policy[at];
    return KW_CODE_INSUFFICIENT_SCOPE;
}

enum kw_code model_ask_rules(const struct model *model, const int *links, int count,
                             const struct model_question *question, int *link_out, bool *by_policy_out)
{
    *by_policy_out = false;
    for (*link_out = 0; *link_out < count; ++*link_out) {
        if (!model_address_passes(&model->keys[links[*link_out]].rights, question->address)) {
            return KW_CODE_IP_NOT_ALLOWED;
        }
    }
    for (*link_out = 0; *link_out < count; ++*link_out) {
        if (!model_place_passes(&model->keys[links[*link_out]].rights, question->place)) {
            return KW_CODE_REGION_NOT_ALLOWED;
        }
    }
    *link_out = 0;
    if (question->env[0] != '\0' && strcmp(question->env, model->keys[links[0]].env) != 0) {
        return KW_CODE_ENVIRONMENT_MISMATCH;
    }
    for (*link_out = 0; *link_out < count; ++*link_out) {
        const struct model_key *key = &model->keys[links[*link_out]];
        const struct model_policy *policy = policy_of(model, key);
        unsigned stops = 1U << BEYOND_ENV | 1U << BEYOND_IPS;
        if (policy != NULL && (!policy->is_there || (model_excess(policy, key, key->created_at) & stops) != 0)) {
            *by_policy_out = true;
            return KW_CODE_POLICY_VIOLATION;
        }
    }
    return ask_scopes(model, links, count, question, link_out, by_policy_out);
}

/* In what it allows less than before. */
static bool takes(const struct model_policy *before, const struct model_policy *after, int excess)
{
    switch (excess) {
    case BEYOND_ENV:
        return after->env != NULL && (before->env == NULL || strcmp(before->env, after->env) != 0);
    case BEYOND_EXPIRY:
        return after->ttl != 0 && (before->ttl == 0 || after->ttl < before->ttl);
    case BEYOND_IPS:
        return after->requires_ip && !before->requires_ip;
    case BEYOND_RESOURCE_COUNT:
        return after->resources >= 0 && (before->resources < 0 || after->resources < before->resources);
    case BEYOND_RATE_LIMITS:
        return !model_rates_within(&before->limits, &after->limits);
    case BEYOND_QUOTAS:
        return !model_quotas_within(&before->limits, &after->limits);
    default:
        return after->bounds_rights && !(before->bounds_rights && model_scopes_within(&before->rights, &after->rights));
    }
}

static bool is_under(const struct model *model, const struct model_key *key, int policy)
{
    return !key->erased && key->policy == policy && model_status(key, model->now) != KW_KEY_REVOKED;
}

/* From the first key of a family down to one of it. */
struct path {
    int keys[MODEL_DEPTH_MAX + 2];
    int count;
};

/* All that the keys from the first one that names the policy on may do, and whether that goes beyond it. */
static bool share_more(const struct model *model, const struct path *path, int first, const struct model_rights *bound)
{
    for (int resource = -1; resource < RESOURCES; resource++) {
        for (int scope = 0; scope < SCOPES; scope++) {
            bool is_more =
                resource < 0 ? !model_allows(bound->scopes, scope) : !model_allows_on(bound, resource, scope);
            for (int i = first; i < path->count && is_more; i++) {
                const struct model_rights *rights = &model->keys[path->keys[i]].rights;
                is_more = resource < 0 ? model_allows(rights->scopes, scope) : model_allows_on(rights, resource, scope);
            }
            if (is_more) {
                return true;
            }
        }
    }
    return false;
}

/* By what the change takes something from the last of a path: from itself, and with what is taken from those above. */
static unsigned narrowed_by(const struct model *model, const struct path *path, int policy,
                            const struct model_policy *after, unsigned taken)
{
    const unsigned refusing = 1U << BEYOND_ENV | 1U << BEYOND_IPS;
    const unsigned rights = 1U << BEYOND_SCOPES | 1U << BEYOND_RESOURCES;
    const unsigned limits = 1U << BEYOND_RATE_LIMITS | 1U << BEYOND_QUOTAS;
    unsigned narrowed = 0;
    int first = -1;
    int64_t born = INT64_MAX;
    for (int i = 0; i < path->count; i++) {
        const struct model_key *key = &model->keys[path->keys[i]];
        struct path so_far = *path;
        unsigned from_above = 0;
        so_far.count = i + 1;
        if (key->policy == policy && key->created_at < born) {
            born = key->created_at;
        }
        if (first >= 0) {
            unsigned excess = model_excess(after, key, born);
            from_above = (narrowed & refusing) | (narrowed & excess & (limits | 1U << BEYOND_EXPIRY));
            if ((narrowed & rights) != 0 && share_more(model, &so_far, first, &after->rights)) {
                from_above |= excess & rights;
            }
        }
        first = first < 0 && key->policy == policy ? i : first;
        narrowed = from_above | (key->policy == policy ? model_excess(after, key, key->created_at) & taken : 0);
    }
    return narrowed;
}

/* None to a key below one that is revoked or gone: it has nothing to lose. */
static struct path path_to(const struct model *model, int key)
{
    struct path path = {.count = 0};
    struct path up = {.keys = {key}, .count = 1};
    for (int parent = model->keys[key].parent; parent >= 0;) {
        int newest = model_newest(model, parent);
        if (newest < 0 || model_status(&model->keys[newest], model->now) == KW_KEY_REVOKED) {
            return path;
        }
        up.keys[up.count++] = newest;
        parent = model->keys[newest].parent;
    }
    while (up.count > 0) {
        path.keys[path.count++] = up.keys[--up.count];
    }
    return path;
}

static void tell_narrowed(struct model_narrowed *narrowed, int key, unsigned excess, int ancestor)
{
    narrowed->keys[narrowed->count] = key;
    narrowed->excess[narrowed->count] = excess;
    narrowed->ancestors[narrowed->count++] = ancestor;
}

/* Each with all that is below it, before the next. */
static void look_below(const struct model *model, int above, int ancestor, int policy, const struct model_policy *after,
                       unsigned taken, struct model_narrowed *narrowed)
{
    if (model->keys[above].rotated_to >= 0) {
        return;
    }
    for (int i = 0; i < model->count; i++) {
        const struct model_key *key = &model->keys[i];
        bool is_other = key->policy != policy && !key->erased && model_status(key, model->now) != KW_KEY_REVOKED;
        if (key->parent != model->keys[above].line || !is_other) {
            continue;
        }
        struct path path = path_to(model, i);
        unsigned excess = narrowed_by(model, &path, policy, after, taken);
        if (excess != 0) {
            tell_narrowed(narrowed, i, excess, ancestor);
            look_below(model, i, ancestor, policy, after, taken, narrowed);
        }
    }
}

void model_find_narrowed(const struct model *model, int policy, const struct model_policy *after,
                         struct model_narrowed *narrowed_out)
{
    static const struct model_policy nothing = {.resources = -1};
    const struct model_policy *before = model->policies[policy].is_there ? &model->policies[policy] : &nothing;
    unsigned taken = 0;
    narrowed_out->count = 0;
    for (int i = 0; i < EXCESSES; i++) {
        taken |= takes(before, after, i) ? 1U << i : 0;
    }
    for (int i = 0; i < model->count; i++) {
        struct path path = path_to(model, i);
        unsigned excess = narrowed_by(model, &path, policy, after, taken);
        if (excess != 0 && is_under(model, &model->keys[i], policy)) {
            tell_narrowed(narrowed_out, i, excess, -1);
        }
    }
    int under = narrowed_out->count;
    for (int i = 0; i < under; i++) {
        int key = narrowed_out->keys[i];
        look_below(model, key, key, policy, after, taken, narrowed_out);
    }
}

int model_policy_keys(const struct model *model, int policy)
{
    int count = 0;
    for (int i = 0; i < model->count; i++) {
        count += is_under(model, &model->keys[i], policy);
    }
    return count;
}
