#include "core/policy.h"

#include "base/error.h"
#include "base/time.h"
#include "core/document_form.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/scope.h"
#include "core/transition.h"

struct policy_body {
    struct kw__envelope envelope;
    struct kw_bytes description;
    uint32_t given; /* of enum kw_given */
    const struct kw_bytes *scopes;
    size_t scope_count;
    const struct kw_resource_scopes *resources;
    size_t resource_count;
    int64_t max_ttl_ms;
    bool require_ip;
    int64_t max_resources;
    const struct kw_bytes *environments;
    size_t environment_count;
    const struct kw_bytes *creators;
    size_t creator_count;
    const struct kw_rate_limit *rate_limits;
    size_t rate_limit_count;
    const struct kw_quota_rule *quotas;
    size_t quota_count;
};

static const struct kw_field policy_fields[] = {
    KW__ENVELOPE_FIELDS(policy_body, KW_DOCUMENT_NAME_MAX),
    KW__DESCRIPTION_FIELD(policy_body),
    {.name = KW__NAME("scopes"),
     .kind = KW_FIELD_TEXTS,
     .format = KW_FORMAT_SCOPE,
     KW__AT(policy_body, scopes),
     .count_offset = offsetof(struct policy_body, scope_count),
     .given = KW_GIVEN_SCOPES,
     .size_max = KW_SCOPE_MAX,
     .count_max = KW_SCOPE_COUNT_MAX},
    {.name = KW__NAME("resources"),
     .kind = KW_FIELD_RESOURCES,
     KW__AT(policy_body, resources),
     .count_offset = offsetof(struct policy_body, resource_count),
     .given = KW_GIVEN_RESOURCES,
     .size_max = KW_RESOURCE_MAX,
     .count_max = KW_RESOURCE_COUNT_MAX,
     .items = &kw__each_scope},
    {.name = KW__NAME("maxTtl"), .kind = KW_FIELD_DURATION, KW__AT(policy_body, max_ttl_ms)},
    {.name = KW__NAME("requireIP"), .kind = KW_FIELD_BOOL, KW__AT(policy_body, require_ip)},
    {.name = KW__NAME("maxResources"),
     .kind = KW_FIELD_INTEGER,
     KW__AT(policy_body, max_resources),
     .high = KW_RESOURCE_COUNT_MAX,
     .otherwise = -1},
    {.name = KW__NAME("environments"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(policy_body, environments),
     .count_offset = offsetof(struct policy_body, environment_count),
     .size_min = 1,
     .size_max = KW_ENV_MAX,
     .count_min = 1,
     .count_max = KW_ENVIRONMENT_COUNT_MAX},
    {.name = KW__NAME("creators"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(policy_body, creators),
     .count_offset = offsetof(struct policy_body, creator_count),
     .size_min = 1,
     .size_max = KW_ID_TEXT_SIZE,
     .count_min = 1,
     .count_max = KW_CREATOR_COUNT_MAX},
    KW__RATE_LIMITS_FIELD(policy_body, rate_limits, rate_limit_count, 0, KW_FIELD_OBJECTS, "rateLimits"),
    KW__QUOTAS_FIELD(policy_body, quotas, quota_count, 0, KW_FIELD_OBJECTS, "quotas"),
};

static const char *const policy_otherwise[KW_COUNT_OF(policy_fields)];

static const struct kw_schema policy_schema = {.name = "policy",
                                               .size = sizeof(struct policy_body),
                                               .given_offset = offsetof(struct policy_body, given),
                                               .required = 1U << 0,
                                               .fields = policy_fields,
                                               .field_count = KW_COUNT_OF(policy_fields)};

/* Scopes and resources, checked and packed as a record's are. */
static enum kw_status take_authority(struct kw_document *document, const struct policy_body *body,
                                     struct kw_error *error_out)
{
    struct kw_policy *policy = &document->is.policy;
    struct kw_record record = {.version = 1};
    struct kw_key_params params = {.given = body->given | KW_GIVEN_RATE_LIMITS | KW_GIVEN_QUOTAS,
                                   .scopes = body->scopes,
                                   .scope_count = body->scope_count,
                                   .resources = body->resources,
                                   .resource_count = body->resource_count,
                                   .rate_limits = body->rate_limits,
                                   .rate_limit_count = body->rate_limit_count,
                                   .quotas = body->quotas,
                                   .quota_count = body->quota_count};
    enum kw_status status = kw_key_params_check(&params, 0, &document->arena, error_out);
    status = status != KW_OK ? status : kw__params_apply(&params, 0, &document->arena, &record, error_out);
    policy->bounds_authority = body->given != 0;
    policy->scopes = record.scopes;
    policy->resources = record.resources;
    policy->rate_limits = record.rate_limits;
    policy->quotas = record.quotas;
    policy->default_limits = (struct kw_default_limits){.limits = body->rate_limits,
                                                        .count = body->rate_limit_count,
                                                        .is_given = body->rate_limit_count > 0,
                                                        .quotas = body->quotas,
                                                        .quota_count = body->quota_count,
                                                        .has_quotas = body->quota_count > 0};
    return status;
}

static enum kw_status check_creators(const struct policy_body *body, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->creator_count; i++) {
        struct kw_id id;
        if (!kw_id_parse(body->creators[i], &id)) {
            return kw__document_under(kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                                                "must be the id of a management key, such as \"key_01JD…\""),
                                      "creators", i, error_out);
        }
    }
    return KW_OK;
}

static enum kw_status take_policy(struct kw_document *document, const void *bound, struct kw_error *error_out)
{
    const struct policy_body *body = bound;
    document->is.policy = (struct kw_policy){.name = document->name,
                                             .max_ttl_ms = body->max_ttl_ms,
                                             .require_ip = body->require_ip,
                                             .max_resources = body->max_resources,
                                             .environments = body->environments,
                                             .environment_count = body->environment_count,
                                             .creators = body->creators,
                                             .creator_count = body->creator_count};
    enum kw_status status = check_creators(body, error_out);
    return status != KW_OK ? status : take_authority(document, body, error_out);
}

const struct kw__form kw__policy_form = {"policy", &policy_schema, policy_otherwise, take_policy};

/* --- what it decides --- */

static bool holds(const struct kw_bytes *items, size_t count, struct kw_bytes item)
{
    for (size_t i = 0; i < count; i++) {
        if (kw_bytes_equal(items[i], item)) {
            return true;
        }
    }
    return false;
}

/* What is said of a record that goes beyond a policy, in the order in which it is told. */
static const struct {
    const char *field, *how, *verb;
} excesses[KW_EXCESS_COUNT] = {
    {"env", "is none that", "allows"},
    {"expiresAt", "lies further off than", "allows"},
    {"allowedIPs", "must name the addresses that the key may be used from:", "requires it"},
    {"resources", "are more than", "allows"},
    {"scopes", "go beyond what", "allows"},
    {"resources", "go beyond what", "allows"},
    {"rateLimits", "admit more than", "allows"},
    {"quotas", "admit more than", "allows"},
};

const char *kw_policy_excess_field(size_t number)
{
    return number < KW_COUNT_OF(excesses) ? excesses[number].field : NULL;
}

static unsigned authority_excess(const struct kw_policy *policy, const struct kw_record *record)
{
    static const struct kw_list none;
    bool scopes = kw_authority_within(&record->scopes, &none, &policy->scopes, &policy->resources);
    bool resources = kw_authority_within(&none, &record->resources, &policy->scopes, &policy->resources);
    return (scopes ? 0U : KW_EXCESS_SCOPES) | (resources ? 0U : KW_EXCESS_RESOURCES);
}

static bool outlives(const struct kw_policy *policy, const struct kw_record *record, int64_t born_ms)
{
    int64_t end_ms;
    return record->expires_at_ms == 0 ||
           (!__builtin_add_overflow(born_ms, policy->max_ttl_ms, &end_ms) && record->expires_at_ms > end_ms);
}

unsigned kw_policy_excess(const struct kw_policy *policy, const struct kw_record *record, int64_t born_ms)
{
    unsigned excess = policy->bounds_authority ? authority_excess(policy, record) : 0U;
    if (policy->environment_count > 0 && !holds(policy->environments, policy->environment_count, record->env)) {
        excess |= KW_EXCESS_ENV;
    }
    if (policy->max_ttl_ms > 0 && outlives(policy, record, born_ms)) {
        excess |= KW_EXCESS_EXPIRY;
    }
    if (policy->require_ip && record->allowed_ips.count == 0) {
        excess |= KW_EXCESS_ADDRESSES;
    }
    if (!kw_rate_limits_within(&record->rate_limits, &policy->rate_limits)) {
        excess |= KW_EXCESS_RATE_LIMITS;
    }
    if (!kw_quotas_within(&record->quotas, &policy->quotas)) {
        excess |= KW_EXCESS_QUOTAS;
    }
    if (policy->max_resources >= 0 && record->resources.count > (uint64_t)policy->max_resources) {
        excess |= KW_EXCESS_RESOURCE_COUNT;
    }
    return excess;
}

bool kw_policy_has_outlived(const struct kw_policy *policy, int64_t born_ms, int64_t now_ms)
{
    int64_t end_ms;
    return policy->max_ttl_ms > 0 && !__builtin_add_overflow(born_ms, policy->max_ttl_ms, &end_ms) && now_ms >= end_ms;
}

static bool names_all_of(const struct kw_policy *after, const struct kw_policy *before)
{
    bool all = before->environment_count > 0;
    for (size_t i = 0; all && i < before->environment_count; i++) {
        all = holds(after->environments, after->environment_count, before->environments[i]);
    }
    return all;
}

unsigned kw_policy_tightened(const struct kw_policy *before, const struct kw_policy *after)
{
    static const struct kw_policy no_bound = {.max_resources = -1};
    unsigned bits = 0;
    before = before == NULL ? &no_bound : before;
    if (after->environment_count > 0 && !names_all_of(after, before)) {
        bits |= KW_EXCESS_ENV;
    }
    if (after->max_ttl_ms > 0 && (before->max_ttl_ms == 0 || after->max_ttl_ms < before->max_ttl_ms)) {
        bits |= KW_EXCESS_EXPIRY;
    }
    if (after->require_ip && !before->require_ip) {
        bits |= KW_EXCESS_ADDRESSES;
    }
    if (after->max_resources >= 0 && (before->max_resources < 0 || after->max_resources < before->max_resources)) {
        bits |= KW_EXCESS_RESOURCE_COUNT;
    }
    if (!kw_rate_limits_within(&before->rate_limits, &after->rate_limits)) {
        bits |= KW_EXCESS_RATE_LIMITS;
    }
    if (!kw_quotas_within(&before->quotas, &after->quotas)) {
        bits |= KW_EXCESS_QUOTAS;
    }
    bool keeps_authority = !after->bounds_authority ||
                           (before->bounds_authority && kw_authority_within(&before->scopes, &before->resources,
                                                                            &after->scopes, &after->resources));
    return bits | (keeps_authority ? 0U : KW_EXCESS_SCOPES | KW_EXCESS_RESOURCES);
}

/* What stands behind the sentence that says that something is beyond: what it is, or how much is allowed. */
struct particulars {
    const char *before;
    struct kw_bytes what;
    const char *between;
    struct kw_bytes where;
    char duration[KW_DURATION_TEXT_MAX];
};

static void tell(const struct kw_policy *policy, const struct kw_record *record, unsigned bit, struct particulars *told)
{
    static const struct kw_list none;
    const struct kw_list *scopes = bit == KW_EXCESS_SCOPES ? &record->scopes : &none;
    const struct kw_list *resources = bit == KW_EXCESS_RESOURCES ? &record->resources : &none;
    *told = (struct particulars){.before = "", .what = KW_BYTES(""), .between = "", .where = KW_BYTES("")};
    if (bit == KW_EXCESS_ENV) {
        told->before = ": ";
        told->what = record->env;
    } else if (bit == KW_EXCESS_EXPIRY) {
        kw_duration_format(policy->max_ttl_ms, told->duration);
        told->before = ": at most ";
        told->what = kw_bytes_of_text(told->duration);
        told->between = " after the key's creation";
    } else if (kw_authority_beyond(scopes, resources, &policy->scopes, &policy->resources, &told->what, &told->where)) {
        told->before = ": ";
        told->between = told->where.size > 0 ? " on " : "";
    }
}

enum kw_status kw_policy_admits(const struct kw_policy *policy, const struct kw_record *record, int64_t born_ms,
                                struct kw_error *error_out)
{
    unsigned excess = kw_policy_excess(policy, record, born_ms);
    for (size_t i = 0; i < KW_COUNT_OF(excesses); i++) {
        unsigned bit = excess & 1U << i;
        if (bit == KW_EXCESS_RESOURCE_COUNT) {
            return kw_refuse(error_out, KW_CODE_POLICY_VIOLATION, excesses[i].field,
                             "are more than the policy \"%.*s\" allows: at most %lld", (int)policy->name.size,
                             (const char *)policy->name.data, (long long)policy->max_resources);
        }
        if (bit != 0) {
            struct particulars told;
            tell(policy, record, bit, &told);
            return kw_refuse(error_out, KW_CODE_POLICY_VIOLATION, excesses[i].field,
                             "%s the policy \"%.*s\" %s%s%.*s%s%.*s", excesses[i].how, (int)policy->name.size,
                             (const char *)policy->name.data, excesses[i].verb, told.before, (int)told.what.size,
                             (const char *)told.what.data, told.between, (int)told.where.size,
                             (const char *)told.where.data);
        }
    }
    return KW_OK;
}

enum kw_status kw_policy_lets_create(const struct kw_policy *policy, struct kw_bytes actor, struct kw_error *error_out)
{
    struct kw_bytes start = KW_BYTES("key:");
    if (policy->creator_count == 0 || kw_bytes_equal(actor, KW_BYTES("operator"))) {
        return KW_OK;
    }
    if (kw_bytes_starts_with(actor, start) &&
        holds(policy->creators, policy->creator_count, kw_bytes_skip(actor, start.size))) {
        return KW_OK;
    }
    return kw_refuse(error_out, KW_CODE_POLICY_VIOLATION, "policy",
                     "the policy \"%.*s\" lets only the management keys that it names make keys under it",
                     (int)policy->name.size, (const char *)policy->name.data);
}
