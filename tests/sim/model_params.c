#include "sim/model_rights.h"

#define GIVEN_EXPIRY (KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN)

/* Without members all of it is cleared. What is another time now is told of anew. */
static void take_schedule(const struct model_params *params, struct model_key *key)
{
    unsigned given = params->scheduled != 0 ? params->scheduled : ~0U;
    bool is_all = (params->given & KW_GIVEN_SCHEDULE) != 0;
    key->disable_at = is_all && (given & KW_GIVEN_DISABLE_AT) != 0 ? params->disable_at : key->disable_at;
    key->revoke_at = is_all && (given & KW_GIVEN_REVOKE_AT) != 0 ? params->revoke_at : key->revoke_at;
    key->notify_before = is_all && (given & KW_GIVEN_NOTIFY_BEFORE) != 0 ? params->notify_before : key->notify_before;
}

static void tell_anew(const struct model_key *before, struct model_key *key)
{
    bool is_all = before->notify_before != key->notify_before;
    key->told_of_disabling = key->told_of_disabling && !is_all && before->disable_at == key->disable_at;
    key->told_of_revocation = key->told_of_revocation && !is_all && before->revoke_at == key->revoke_at;
    key->told_of_expiry = key->told_of_expiry && !is_all && before->expires_at == key->expires_at;
}

void model_set_params(const struct model *model, const struct model_params *params, struct model_key *key)
{
    const struct model_rights *rights = &params->rights;
    uint32_t given = params->given;
    const struct model_key before = *key;
    key->env = (given & KW_GIVEN_ENV) != 0 ? params->env : key->env;
    key->owner = (given & KW_GIVEN_OWNER) != 0 ? params->owner : key->owner;
    key->org = (given & KW_GIVEN_ORG) != 0 ? params->org : key->org;
    key->name = (given & KW_GIVEN_NAME) != 0 ? params->name : key->name;
    key->tags = (given & KW_GIVEN_TAGS) != 0 ? params->tags : key->tags;
    key->is_public = (given & KW_GIVEN_PUBLIC) != 0 ? params->is_public : key->is_public;
    key->expires_at = (given & KW_GIVEN_EXPIRES_AT) != 0 ? params->expires_at : key->expires_at;
    key->expires_at = (given & KW_GIVEN_EXPIRES_IN) != 0 ? model->now + params->expires_in : key->expires_at;
    take_schedule(params, key);
    key->policy = (given & KW_GIVEN_POLICY) != 0 ? params->policy : key->policy;
    key->rights.scopes = (given & KW_GIVEN_SCOPES) != 0 ? rights->scopes : key->rights.scopes;
    if ((given & KW_GIVEN_RESOURCES) != 0) {
        memcpy(key->rights.resources, rights->resources, sizeof rights->resources);
    }
    key->rights.allowed_ips = (given & KW_GIVEN_ALLOWED_IPS) != 0 ? rights->allowed_ips : key->rights.allowed_ips;
    key->rights.blocked_ips = (given & KW_GIVEN_BLOCKED_IPS) != 0 ? rights->blocked_ips : key->rights.blocked_ips;
    if ((given & KW_GIVEN_ALLOWED_REGIONS) != 0) {
        key->rights.allowed_regions = rights->allowed_regions;
    }
    if ((given & KW_GIVEN_BLOCKED_REGIONS) != 0) {
        key->rights.blocked_regions = rights->blocked_regions;
    }
    model_limits_take(&key->limits, &params->limits, given);
    tell_anew(&before, key);
}

bool model_params_are_bad(const struct model *model, const struct model_params *params)
{
    bool at = (params->given & KW_GIVEN_EXPIRES_AT) != 0;
    bool in = (params->given & KW_GIVEN_EXPIRES_IN) != 0;
    bool is_late =
        (params->given & KW_GIVEN_SCHEDULE) != 0 && ((params->disable_at != 0 && params->disable_at <= model->now) ||
                                                     (params->revoke_at != 0 && params->revoke_at <= model->now));
    return (at && params->expires_at != 0 && params->expires_at <= model->now) || (in && params->expires_in <= 0) ||
           (at && in) || is_late;
}

/* Nothing but what is given is looked at. */
bool model_exceeds(const struct model_key *child, const struct model_key *parent, uint32_t given)
{
    static const struct model_rights nothing;
    struct model_rights asked = nothing;
    asked.scopes = (given & KW_GIVEN_SCOPES) != 0 ? child->rights.scopes : 0;
    if ((given & KW_GIVEN_RESOURCES) != 0) {
        memcpy(asked.resources, child->rights.resources, sizeof asked.resources);
    }
    asked.allowed_ips = (given & KW_GIVEN_ALLOWED_IPS) != 0 ? child->rights.allowed_ips : 0;
    asked.allowed_regions = (given & KW_GIVEN_ALLOWED_REGIONS) != 0 ? child->rights.allowed_regions : 0;
    bool lives_longer = (given & GIVEN_EXPIRY) != 0 && parent->expires_at != 0 &&
                        (child->expires_at == 0 || child->expires_at > parent->expires_at);
    bool spends_more = ((given & KW_GIVEN_RATE_LIMITS) != 0 && !model_rates_within(&child->limits, &parent->limits)) ||
                       ((given & KW_GIVEN_QUOTAS) != 0 && !model_quotas_within(&child->limits, &parent->limits));
    return strcmp(child->env, parent->env) != 0 || spends_more || !model_scopes_within(&asked, &parent->rights) ||
           lives_longer || !model_lists_within(&asked, &parent->rights);
}

bool model_lacks_org(const struct model_key *key)
{
    return key->org[0] == '\0' && model_limits_of_org(&key->limits);
}
