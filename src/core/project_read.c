#include "core/document_form.h"

#include "base/error.h"
#include "core/digest.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/schema_parts.h"
#include "core/usage.h"

struct environment_body {
    struct kw_bytes name, secret_prefix, public_prefix, alphabet;
    int64_t length;
    uint32_t given;
    const struct kw_rate_limit *rate_limits;
    size_t rate_limit_count;
    const struct kw_quota_rule *quotas;
    size_t quota_count;
};

struct project_body {
    struct kw__envelope envelope;
    struct kw_bytes description;
    const struct environment_body *environments;
    size_t environment_count;
    int64_t default_expires_in_ms, max_expires_in_ms;
    const struct kw_resource_scopes *presets;
    size_t preset_count;
    const struct kw_bytes *key_headers;
    size_t key_header_count;
    struct kw_bytes allow_key_in_query;
    const struct kw_rate_limit *rate_limits;
    size_t rate_limit_count;
    struct kw_bytes digest;
    const struct kw_quota_rule *quotas;
    size_t quota_count;
    const struct kw_bytes *metrics;
    size_t metric_count;
    int64_t usage_retention_ms, event_retention_ms, audit_retention_ms, unused_after_ms;
    struct kw_bytes authorize;
    struct kw_audit_context audit_context;
};

static const struct kw_field environment_fields[] = {
    {.name = KW__NAME("name"),
     .kind = KW_FIELD_TEXT,
     KW__AT(environment_body, name),
     .size_min = 1,
     .size_max = KW_ENV_MAX},
    {.name = KW__NAME("secretPrefix"),
     .kind = KW_FIELD_TEXT,
     KW__AT(environment_body, secret_prefix),
     .size_max = KW_PREFIX_MAX},
    {.name = KW__NAME("publicPrefix"),
     .kind = KW_FIELD_TEXT,
     KW__AT(environment_body, public_prefix),
     .size_min = 1,
     .size_max = KW_PREFIX_MAX},
    {.name = KW__NAME("length"),
     .kind = KW_FIELD_INTEGER,
     KW__AT(environment_body, length),
     .low = 1,
     .high = KW_KEY_LENGTH_MAX,
     .otherwise = KW_KEY_LENGTH_DEFAULT},
    {.name = KW__NAME("alphabet"),
     .kind = KW_FIELD_TEXT,
     KW__AT(environment_body, alphabet),
     .size_min = 1,
     .size_max = 62},
    KW__RATE_LIMITS_FIELD(environment_body, rate_limits, rate_limit_count, KW_GIVEN_RATE_LIMITS, KW_FIELD_OBJECTS,
                          "rateLimits"),
    KW__QUOTAS_FIELD(environment_body, quotas, quota_count, KW_GIVEN_QUOTAS, KW_FIELD_OBJECTS, "quotas"),
};
static const struct kw_schema environment_schema = {.name = "environment",
                                                    .size = sizeof(struct environment_body),
                                                    .given_offset = offsetof(struct environment_body, given),
                                                    .required = 1U << 0 | 1U << 1,
                                                    .fields = environment_fields,
                                                    .field_count = KW_COUNT_OF(environment_fields)};

static const struct kw_bytes digests[] = {KW__NAME("hmac-sha256"), KW__NAME("sha256"), KW__NAME("sha512"),
                                          KW__NAME("sha256-salted"), KW__NAME("sha512-salted")};

static const struct kw_field project_fields[] = {
    KW__ENVELOPE_FIELDS(project_body, KW_PROJECT_MAX),
    KW__DESCRIPTION_FIELD(project_body),
    {.name = KW__NAME("environments"),
     .kind = KW_FIELD_OBJECTS,
     KW__AT(project_body, environments),
     .count_offset = offsetof(struct project_body, environment_count),
     .count_min = 1,
     .count_max = KW_ENVIRONMENT_COUNT_MAX,
     .items = &environment_schema},
    {.name = KW__NAME("defaultExpiresIn"), .kind = KW_FIELD_DURATION, KW__AT(project_body, default_expires_in_ms)},
    {.name = KW__NAME("maxExpiresIn"), .kind = KW_FIELD_DURATION, KW__AT(project_body, max_expires_in_ms)},
    {.name = KW__NAME("presets"),
     .kind = KW_FIELD_RESOURCES,
     KW__AT(project_body, presets),
     .count_offset = offsetof(struct project_body, preset_count),
     .size_max = KW_DOCUMENT_NAME_MAX,
     .count_max = KW_PRESET_COUNT_MAX,
     .items = &kw__each_scope},
    {.name = KW__NAME("keyHeaders"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(project_body, key_headers),
     .count_offset = offsetof(struct project_body, key_header_count),
     .size_min = 1,
     .size_max = KW_KEY_HEADER_MAX,
     .count_min = 1,
     .count_max = KW_KEY_HEADER_COUNT_MAX},
    {.name = KW__NAME("allowKeyInQuery"),
     .kind = KW_FIELD_VALUE,
     KW__AT(project_body, allow_key_in_query),
     .size_max = 1024},
    KW__RATE_LIMITS_FIELD(project_body, rate_limits, rate_limit_count, 0, KW_FIELD_OBJECTS, "rateLimits"),
    {.name = KW__NAME("digest"),
     .kind = KW_FIELD_TEXT,
     KW__AT(project_body, digest),
     .choices = digests,
     .choice_count = KW_COUNT_OF(digests)},
    KW__QUOTAS_FIELD(project_body, quotas, quota_count, 0, KW_FIELD_OBJECTS, "quotas"),
    {.name = KW__NAME("metrics"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(project_body, metrics),
     .count_offset = offsetof(struct project_body, metric_count),
     .size_min = 1,
     .size_max = KW_METRIC_MAX,
     .count_max = KW_METRIC_COUNT_MAX},
    {.name = KW__NAME("usageRetention"), .kind = KW_FIELD_DURATION, KW__AT(project_body, usage_retention_ms)},
    {.name = KW__NAME("authorize"),
     .kind = KW_FIELD_VALUE,
     KW__AT(project_body, authorize),
     .size_max = KW_DOCUMENT_MAX},
    {.name = KW__NAME("auditContext"),
     .kind = KW_FIELD_OBJECT,
     KW__AT(project_body, audit_context),
     .items = &kw__audit_context_schema},
    {.name = KW__NAME("eventRetention"), .kind = KW_FIELD_DURATION, KW__AT(project_body, event_retention_ms)},
    {.name = KW__NAME("unusedAfter"), .kind = KW_FIELD_DURATION, KW__AT(project_body, unused_after_ms)},
    {.name = KW__NAME("auditRetention"), .kind = KW_FIELD_DURATION, KW__AT(project_body, audit_retention_ms)},
};

static const char environments_otherwise[] =
    "[{\"name\":\"live\",\"secretPrefix\":\"sk_live_\",\"publicPrefix\":\"pk_live_\"},"
    "{\"name\":\"test\",\"secretPrefix\":\"sk_test_\",\"publicPrefix\":\"pk_test_\"}]";

static const char *const project_otherwise[KW_COUNT_OF(project_fields)] = {
    [KW__ENVELOPE_COUNT + 1] = environments_otherwise,
    [KW__ENVELOPE_COUNT + 4] = "{}",
    [KW__ENVELOPE_COUNT + 5] = "[\"Authorization\",\"X-API-Key\"]",
    [KW__ENVELOPE_COUNT + 6] = "\"never\"",
};

static const struct kw_schema project_schema = {.name = "project",
                                                .size = sizeof(struct project_body),
                                                .given_offset = SIZE_MAX,
                                                .required = 1U << 0,
                                                .fields = project_fields,
                                                .field_count = KW_COUNT_OF(project_fields)};

/* --- environments --- */

static bool is_environment_name(struct kw_bytes name)
{
    bool good = name.data[0] >= 'a' && name.data[0] <= 'z';
    for (size_t i = 0; good && i < name.size; i++) {
        uint8_t c = name.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    return good;
}

/* The core's own check, whose "prefix" is this one here. */
static enum kw_status check_format(const struct kw_key_format *format, const char *prefix_field,
                                   struct kw_error *error_out)
{
    struct kw_error error;
    enum kw_status status = kw_key_format_check(format, &error);
    if (status != KW_OK && error_out != NULL) {
        *error_out = error;
        if (strcmp(error.field, "prefix") == 0) {
            error_out->field[0] = '\0';
            kw_error_nest(error_out, prefix_field);
        }
    }
    return status;
}

static enum kw_status check_limits(const struct kw_project *project, const struct kw_default_limits *limits,
                                   struct kw_error *error_out)
{
    enum kw_status status = kw_rate_limits_check(limits->limits, limits->count, "rateLimits", error_out);
    status = status != KW_OK ? status : kw_quotas_check(limits->quotas, limits->quota_count, "quotas", error_out);
    return status != KW_OK ? status : kw_project_admits_quotas(project, limits->quotas, limits->quota_count, error_out);
}

static enum kw_status take_environment(const struct kw_project *project, const struct environment_body *body,
                                       struct kw_environment *environment, struct kw_error *error_out)
{
    struct kw_key_format format = {.length = (uint32_t)body->length, .alphabet = body->alphabet};
    if (!is_environment_name(body->name)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "name",
                         "must be 1 to %d of a-z, 0-9, '-' and '_', starting with a letter", KW_ENV_MAX);
    }
    *environment = (struct kw_environment){.name = body->name, .secret_keys = format, .public_keys = format};
    environment->secret_keys.prefix = body->secret_prefix;
    environment->public_keys.prefix = body->public_prefix;
    environment->default_limits = (struct kw_default_limits){.limits = body->rate_limits,
                                                             .count = body->rate_limit_count,
                                                             .is_given = (body->given & KW_GIVEN_RATE_LIMITS) != 0,
                                                             .quotas = body->quotas,
                                                             .quota_count = body->quota_count,
                                                             .has_quotas = (body->given & KW_GIVEN_QUOTAS) != 0};
    enum kw_status status = check_limits(project, &environment->default_limits, error_out);
    status = status != KW_OK ? status : check_format(&environment->secret_keys, "secretPrefix", error_out);
    if (status == KW_OK && body->public_prefix.size > 0) {
        status = check_format(&environment->public_keys, "publicPrefix", error_out);
    }
    return status;
}

static bool overlap(struct kw_bytes a, struct kw_bytes b)
{
    return a.size > 0 && b.size > 0 && (kw_bytes_starts_with(a, b) || kw_bytes_starts_with(b, a));
}

static enum kw_status refuse_overlap(const char *field, struct kw_bytes prefix, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field,
                     "'%.*s' equals another prefix of the project, or one begins with the other: which keys are whose "
                     "must be seen from the first characters",
                     (int)prefix.size, (const char *)prefix.data);
}

/* The environment against those before it, and against itself. */
static enum kw_status check_apart(const struct kw_environment *environments, size_t index, struct kw_error *error_out)
{
    const struct kw_environment *own = &environments[index];
    struct kw_bytes of_secret = own->secret_keys.prefix;
    struct kw_bytes of_public = own->public_keys.prefix;
    for (size_t i = 0; i < index; i++) {
        const struct kw_environment *other = &environments[i];
        if (kw_bytes_equal(own->name, other->name)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "name", "stands twice");
        }
        if (overlap(of_secret, other->secret_keys.prefix) || overlap(of_secret, other->public_keys.prefix)) {
            return refuse_overlap("secretPrefix", of_secret, error_out);
        }
        if (overlap(of_public, other->secret_keys.prefix) || overlap(of_public, other->public_keys.prefix)) {
            return refuse_overlap("publicPrefix", of_public, error_out);
        }
    }
    return overlap(of_secret, of_public) ? refuse_overlap("publicPrefix", of_public, error_out) : KW_OK;
}

static enum kw_status take_environments(struct kw_document *document, const struct project_body *body,
                                        struct kw_error *error_out)
{
    struct kw_environment *environments =
        kw_arena_take_array(&document->arena, body->environment_count, sizeof *environments);
    if (environments == NULL) {
        return kw__no_memory(error_out);
    }
    for (size_t i = 0; i < body->environment_count; i++) {
        enum kw_status status =
            take_environment(&document->is.project, &body->environments[i], &environments[i], error_out);
        status = status != KW_OK ? status : check_apart(environments, i, error_out);
        if (status != KW_OK) {
            return kw__document_under(status, "environments", i, error_out);
        }
    }
    document->is.project.environments = environments;
    document->is.project.environment_count = body->environment_count;
    return KW_OK;
}

/* --- the rest --- */

static enum kw_status check_presets(const struct project_body *body, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->preset_count; i++) {
        if (!kw_document_name_valid(KW_DOCUMENT_TEMPLATE, body->presets[i].resource)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "presets",
                             "must be named with 1 to %d letters, digits, '-' and '_', starting with a letter",
                             KW_DOCUMENT_NAME_MAX);
        }
    }
    return KW_OK;
}

static enum kw_status check_metric(const struct project_body *body, size_t index, struct kw_error *error_out)
{
    static const struct kw_project bare;
    struct kw_bytes metric = body->metrics[index];
    if (!kw_metric_valid(metric)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "must be 1 to %d of a-z, 0-9, '_', '.' and '-', starting with a letter", KW_METRIC_MAX);
    }
    bool stands_before = kw_project_has_metric(&bare, metric);
    if (stands_before) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "is there in every project: leave it out");
    }
    for (size_t i = 0; i < index; i++) {
        stands_before = stands_before || kw_bytes_equal(body->metrics[i], metric);
    }
    return stands_before ? kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "stands twice") : KW_OK;
}

static enum kw_status check_metrics(const struct project_body *body, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->metric_count; i++) {
        enum kw_status status = check_metric(body, i, error_out);
        if (status != KW_OK) {
            return kw__document_under(status, "metrics", i, error_out);
        }
    }
    return KW_OK;
}

static enum kw_status take_project(struct kw_document *document, const void *bound, struct kw_error *error_out)
{
    const struct project_body *body = bound;
    struct kw_project *project = &document->is.project;
    *project = (struct kw_project){.number = (uint16_t)body->envelope.number,
                                   .name = document->name,
                                   .default_expires_in_ms = body->default_expires_in_ms,
                                   .max_expires_in_ms = body->max_expires_in_ms,
                                   .usage_retention_ms = body->usage_retention_ms,
                                   .event_retention_ms = body->event_retention_ms,
                                   .unused_after_ms = body->unused_after_ms,
                                   .audit_retention_ms = body->audit_retention_ms,
                                   .presets = body->presets,
                                   .preset_count = body->preset_count,
                                   .default_limits = {.limits = body->rate_limits,
                                                      .count = body->rate_limit_count,
                                                      .is_given = true,
                                                      .quotas = body->quotas,
                                                      .quota_count = body->quota_count,
                                                      .has_quotas = true},
                                   .metrics = body->metrics,
                                   .metric_count = body->metric_count};
    if (document->is_deleted) {
        return KW_OK;
    }
    if (body->digest.size > 0 && !kw_digest_scheme_of_name(body->digest, &project->digest_scheme)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "digest", "there is no such digest scheme");
    }
    if (body->max_expires_in_ms != 0 && body->default_expires_in_ms > body->max_expires_in_ms) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "defaultExpiresIn", "must not be longer than maxExpiresIn");
    }
    if (body->usage_retention_ms != 0 && body->usage_retention_ms < KW_HOURS_KEPT_MS + KW_DAY_MS) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "usageRetention",
                         "must be at least 3d: hours are kept for two days, and days longer than those");
    }
    const struct {
        const char *name;
        int64_t span_ms;
    } of_days[] = {{"eventRetention", body->event_retention_ms},
                   {"unusedAfter", body->unused_after_ms},
                   {"auditRetention", body->audit_retention_ms}};
    for (size_t i = 0; i < KW_COUNT_OF(of_days); i++) {
        if (of_days[i].span_ms != 0 && of_days[i].span_ms < KW_DAY_MS) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, of_days[i].name, "must be at least 1d");
        }
    }
    project->audit_context = body->audit_context;
    enum kw_status status = check_presets(body, error_out);
    status = status != KW_OK ? status : check_metrics(body, error_out);
    status = status != KW_OK ? status : check_limits(project, &project->default_limits, error_out);
    status = status != KW_OK ? status : take_environments(document, body, error_out);
    status =
        status != KW_OK ? status : kw__take_key_places(document, body->key_headers, body->key_header_count, error_out);
    status = status != KW_OK ? status : kw__take_key_parameter(document, body->allow_key_in_query, error_out);
    return status != KW_OK ? status : kw__profiles_take(document, body->authorize, error_out);
}

const struct kw__form kw__project_form = {"project", &project_schema, project_otherwise, take_project};
