#include "core/template.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "core/catalog.h"
#include "core/internal.h"
#include "core/transition.h"

#include <stddef.h>

#define GIVEN_EXPIRY ((uint32_t)(KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN))

/* Every member that a template can fill in, with its name for people. Lists are a pointer and a count in a row. */
static const struct {
    uint32_t given;
    uint16_t offset, size;
    const char *name;
} members[] = {
#define MEMBER(bit, member, label) \
    { \
        (bit), offsetof(struct kw_key_params, member), sizeof(((struct kw_key_params *)0)->member), (label) \
    }
#define LIST(bit, member, label) \
    { \
        (bit), offsetof(struct kw_key_params, member), sizeof(void *), (label) \
    }
    MEMBER(KW_GIVEN_ENV, env, "env"),
    MEMBER(KW_GIVEN_PUBLIC, is_public, "isPublic"),
    MEMBER(KW_GIVEN_OWNER, owner, "owner"),
    MEMBER(KW_GIVEN_ORG, org_id, "orgId"),
    MEMBER(KW_GIVEN_NAME, name, "name"),
    MEMBER(KW_GIVEN_DESCRIPTION, description, "description"),
    LIST(KW_GIVEN_TAGS, tags, "tags"),
    MEMBER(KW_GIVEN_TAGS, tag_count, "tags"),
    MEMBER(KW_GIVEN_METADATA, metadata, "metadata"),
    LIST(KW_GIVEN_SCOPES, scopes, "scopes"),
    MEMBER(KW_GIVEN_SCOPES, scope_count, "scopes"),
    LIST(KW_GIVEN_RESOURCES, resources, "resources"),
    MEMBER(KW_GIVEN_RESOURCES, resource_count, "resources"),
    MEMBER(KW_GIVEN_EXPIRES_AT, expires_at_ms, "expiresAt"),
    MEMBER(KW_GIVEN_EXPIRES_IN, expires_in_ms, "expiresIn"),
    LIST(KW_GIVEN_ALLOWED_IPS, allowed_ips, "allowedIPs"),
    MEMBER(KW_GIVEN_ALLOWED_IPS, allowed_ip_count, "allowedIPs"),
    LIST(KW_GIVEN_BLOCKED_IPS, blocked_ips, "blockedIPs"),
    MEMBER(KW_GIVEN_BLOCKED_IPS, blocked_ip_count, "blockedIPs"),
    LIST(KW_GIVEN_ALLOWED_REGIONS, allowed_regions, "allowedRegions"),
    MEMBER(KW_GIVEN_ALLOWED_REGIONS, allowed_region_count, "allowedRegions"),
    LIST(KW_GIVEN_BLOCKED_REGIONS, blocked_regions, "blockedRegions"),
    MEMBER(KW_GIVEN_BLOCKED_REGIONS, blocked_region_count, "blockedRegions"),
    LIST(KW_GIVEN_RATE_LIMITS, rate_limits, "rateLimits"),
    MEMBER(KW_GIVEN_RATE_LIMITS, rate_limit_count, "rateLimits"),
    LIST(KW_GIVEN_QUOTAS, quotas, "quotas"),
    MEMBER(KW_GIVEN_QUOTAS, quota_count, "quotas"),
    MEMBER(KW_GIVEN_POLICY, policy, "policy"),
    MEMBER(KW_GIVEN_SCHEDULE, schedule, "schedule"),
#undef MEMBER
#undef LIST
};

static enum kw_status check_locks(const struct kw_creation *creation, uint32_t given, struct kw_error *error_out)
{
    const struct kw_template *template = creation->template;
    const char *field = NULL;
    for (size_t i = 0; i < KW_COUNT_OF(members) && field == NULL; i++) {
        if ((template->locked & given & members[i].given) != 0) {
            field = members[i].name;
        }
    }
    if (field == NULL && creation->preset.size > 0 && (template->locked & KW_GIVEN_SCOPES) != 0) {
        field = "preset";
    }
    return field == NULL
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_FIELD_LOCKED, field, "is locked by the template \"%.*s\": leave it out",
                           (int)template->name.size, (const char *)template->name.data);
}

/* Fills in what the caller does not give. What says the same thing in two ways is overridden together. */
static void fill_in(const struct kw_template *template, bool has_preset, struct kw_key_params *params)
{
    uint32_t theirs = params->given;
    theirs |= (theirs & GIVEN_EXPIRY) != 0 ? GIVEN_EXPIRY : 0;
    theirs |= has_preset ? (uint32_t)KW_GIVEN_SCOPES : 0;
    uint32_t ours = template->params.given & ~theirs;
    for (size_t i = 0; i < KW_COUNT_OF(members); i++) {
        if ((ours & members[i].given) != 0) {
            memcpy((uint8_t *)params + members[i].offset, (const uint8_t *)&template->params + members[i].offset,
                   members[i].size);
        }
    }
    params->given |= ours;
}

/* The preset's scopes behind those that are given. */
static enum kw_status add_preset(const struct kw_project *project, struct kw_bytes name, struct kw_arena *arena,
                                 struct kw_key_params *params, struct kw_error *error_out)
{
    struct kw_resource_scopes preset;
    if (!kw_project_preset(project, name, &preset)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "preset", "there is no such preset in this project");
    }
    size_t count = (params->given & KW_GIVEN_SCOPES) != 0 ? params->scope_count : 0;
    struct kw_bytes *scopes = kw_arena_take_array(arena, count + preset.scope_count, sizeof *scopes);
    if (scopes == NULL) {
        return kw__no_memory(error_out);
    }
    if (count > 0) {
        memcpy(scopes, params->scopes, count * sizeof *scopes);
    }
    if (preset.scope_count > 0) {
        memcpy(scopes + count, preset.scopes, preset.scope_count * sizeof *scopes);
    }
    params->given |= KW_GIVEN_SCOPES;
    params->scopes = scopes;
    params->scope_count = count + preset.scope_count;
    return KW_OK;
}

/* The policy that the key is to stand under; NULL for none. */
static enum kw_status find_policy(const struct kw_creation *creation, const struct kw_key_params *params,
                                  const struct kw_policy **policy_out, struct kw_error *error_out)
{
    *policy_out = NULL;
    if ((params->given & KW_GIVEN_POLICY) == 0 || params->policy.size == 0) {
        return KW_OK;
    }
    if (creation->catalog != NULL) {
        *policy_out = kw_policy_by_name(creation->catalog, creation->project->name, params->policy);
    }
    return *policy_out != NULL
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "policy", "there is no such policy in this project");
}

static enum kw_status add_policy_scopes(const struct kw_policy *policy, struct kw_arena *arena,
                                        struct kw_key_params *params, struct kw_error *error_out)
{
    struct kw_bytes *scopes = kw_arena_take_array(arena, policy->scopes.count, sizeof *scopes);
    if (scopes == NULL) {
        return kw__no_memory(error_out);
    }
    struct kw_bytes rest = policy->scopes.packed;
    size_t count = 0;
    while (count < policy->scopes.count && kw_list_next(&rest, &scopes[count])) {
        count++;
    }
    params->given |= KW_GIVEN_SCOPES;
    params->scopes = scopes;
    params->scope_count = count;
    return KW_OK;
}

/*
 * Whose limits a key has that names none: the policy's, or those of the environment, or the project's; a child has its
 * parent's, which is NULL here. A policy or environment that is silent leaves it to the next: `has` says which is not.
 */
static const struct kw_default_limits *defaults_of(const struct kw_creation *creation, const struct kw_policy *policy,
                                                   const struct kw_key_params *params,
                                                   bool (*has)(const struct kw_default_limits *))
{
    const struct kw_project *project = creation->project;
    struct kw_bytes env = (params->given & KW_GIVEN_ENV) != 0 ? params->env : project->environments[0].name;
    const struct kw_environment *environment = kw_project_environment(project, env);
    if (policy != NULL && has(&policy->default_limits)) {
        return &policy->default_limits;
    }
    if ((params->given & KW_GIVEN_PARENT) != 0) {
        return NULL;
    }
    return environment != NULL && has(&environment->default_limits) ? &environment->default_limits
                                                                    : &project->default_limits;
}

static bool has_limits(const struct kw_default_limits *limits)
{
    return limits->is_given;
}

static bool has_quotas(const struct kw_default_limits *limits)
{
    return limits->has_quotas;
}

/* Project and environment have limits of organisations for the keys that belong to one. A policy insists on its own. */
static bool takes_org_limits(const struct kw_default_limits *from, const struct kw_policy *policy,
                             const struct kw_key_params *params)
{
    return (policy != NULL && from == &policy->default_limits) ||
           ((params->given & KW_GIVEN_ORG) != 0 && params->org_id.size > 0);
}

/* Limits that are given as none are none. */
static enum kw_status add_rate_limits(const struct kw_creation *creation, const struct kw_policy *policy,
                                      struct kw_arena *arena, struct kw_key_params *params)
{
    const struct kw_default_limits *from = defaults_of(creation, policy, params, has_limits);
    if ((params->given & KW_GIVEN_RATE_LIMITS) != 0 || from == NULL || from->count == 0) {
        return KW_OK;
    }
    struct kw_rate_limit *limits = kw_arena_take_array(arena, from->count, sizeof *limits);
    if (limits == NULL) {
        return KW_E_MEMORY;
    }
    bool takes_all = takes_org_limits(from, policy, params);
    params->rate_limit_count = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (takes_all || from->limits[i].per != KW_PER_ORG) {
            limits[params->rate_limit_count++] = from->limits[i];
        }
    }
    params->rate_limits = limits;
    params->given |= params->rate_limit_count > 0 ? (uint32_t)KW_GIVEN_RATE_LIMITS : 0U;
    return KW_OK;
}

static enum kw_status add_quotas(const struct kw_creation *creation, const struct kw_policy *policy,
                                 struct kw_arena *arena, struct kw_key_params *params)
{
    const struct kw_default_limits *from = defaults_of(creation, policy, params, has_quotas);
    if ((params->given & KW_GIVEN_QUOTAS) != 0 || from == NULL || from->quota_count == 0) {
        return KW_OK;
    }
    struct kw_quota_rule *quotas = kw_arena_take_array(arena, from->quota_count, sizeof *quotas);
    if (quotas == NULL) {
        return KW_E_MEMORY;
    }
    bool takes_all = takes_org_limits(from, policy, params);
    params->quota_count = 0;
    for (size_t i = 0; i < from->quota_count; i++) {
        if (takes_all || from->quotas[i].per != KW_PER_ORG) {
            quotas[params->quota_count++] = from->quotas[i];
        }
    }
    params->quotas = quotas;
    params->given |= params->quota_count > 0 ? (uint32_t)KW_GIVEN_QUOTAS : 0U;
    return KW_OK;
}

/* Of project and policy the shorter one. */
static void add_expiry(const struct kw_project *project, const struct kw_policy *policy, struct kw_key_params *params)
{
    int64_t ttl_ms = project->default_expires_in_ms != 0 ? project->default_expires_in_ms : project->max_expires_in_ms;
    int64_t max_ms = policy == NULL ? 0 : policy->max_ttl_ms;
    ttl_ms = max_ms != 0 && (ttl_ms == 0 || max_ms < ttl_ms) ? max_ms : ttl_ms;
    if ((params->given & GIVEN_EXPIRY) == 0 && ttl_ms != 0) {
        params->given |= KW_GIVEN_EXPIRES_IN;
        params->expires_in_ms = ttl_ms;
    }
}

enum kw_status kw_creation_params(const struct kw_creation *creation, struct kw_arena *arena,
                                  struct kw_key_params *params_out, struct kw_error *error_out)
{
    struct kw_key_params params = {.given = 0};
    struct kw_bytes preset = creation->preset;
    if (creation->params != NULL) {
        params = *creation->params;
    }
    enum kw_status status = KW_OK;
    if (creation->template != NULL) {
        status = check_locks(creation, params.given, error_out);
        if (preset.size == 0 && (params.given & KW_GIVEN_SCOPES) == 0) {
            preset = creation->template->preset;
        }
        fill_in(creation->template, creation->preset.size > 0, &params);
    }
    if (status == KW_OK && preset.size > 0) {
        status = add_preset(creation->project, preset, arena, &params, error_out);
    }
    const struct kw_policy *policy = NULL;
    status = status != KW_OK ? status : find_policy(creation, &params, &policy, error_out);
    /* A key that names resources only is asked to do that and no more. */
    bool names_rights = (params.given & (KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES)) != 0;
    if (status == KW_OK && policy != NULL && !names_rights) {
        status = add_policy_scopes(policy, arena, &params, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    add_expiry(creation->project, policy, &params);
    status = add_rate_limits(creation, policy, arena, &params);
    status = status != KW_OK ? status : add_quotas(creation, policy, arena, &params);
    if (status != KW_OK) {
        return kw__no_memory(error_out);
    }
    *params_out = params;
    return KW_OK;
}

enum kw_status kw_project_admits_expiry(const struct kw_project *project, const struct kw_key_params *params,
                                        int64_t now_ms, struct kw_error *error_out)
{
    int64_t max_ms = project->max_expires_in_ms;
    if (max_ms == 0 || params == NULL || (params->given & GIVEN_EXPIRY) == 0) {
        return KW_OK;
    }
    bool is_time = (params->given & KW_GIVEN_EXPIRES_AT) != 0;
    bool is_within = is_time ? params->expires_at_ms != 0 && params->expires_at_ms <= now_ms + max_ms
                             : params->expires_in_ms <= max_ms;
    if (is_within) {
        return KW_OK;
    }
    char text[KW_DURATION_TEXT_MAX];
    kw_duration_format(max_ms, text);
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, is_time ? "expiresAt" : "expiresIn",
                     "lies further off than this project allows: at most %s from now", text);
}
