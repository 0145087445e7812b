#include "core/template.h"

#include "base/error.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/transition.h"

/* What stands in "fields": the names of a creation's own. */
struct fields_body {
    struct kw_key_params params;
    struct kw_bytes preset;
};

struct template_body {
    struct kw__envelope envelope;
    struct kw_bytes description;
    struct fields_body fields;
    const struct kw_bytes *locked;
    size_t locked_count;
};

#define TEXT(label, member, bit, max) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_TEXT, KW__AT(fields_body, params.member), .given = (bit), \
        .size_max = (max) \
    }
#define OTHER(label, of_kind, member, bit) \
    { \
        .name = KW__NAME(label), .kind = (of_kind), KW__AT(fields_body, params.member), .given = (bit) \
    }
#define TEXTS(label, member, count, bit, max, most) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_TEXTS, KW__AT(fields_body, params.member), \
        .count_offset = offsetof(struct fields_body, params.count), .given = (bit), .size_min = 1, .size_max = (max), \
        .count_max = (most) \
    }
#define REGION_TEXT_MAX 64 /* as in a creation; what is no region is refused below */

/* A field that a creation learns to take is a row here too. */
static const struct kw_field creation_fields[] = {
    {.name = KW__NAME("ownerId"),
     .kind = KW_FIELD_TEXT,
     KW__AT(fields_body, params.owner),
     .given = KW_GIVEN_OWNER,
     .size_min = 1,
     .size_max = KW_OWNER_MAX - 5,
     .before = KW__NAME("user:")},
    {.name = KW__NAME("owner"),
     .kind = KW_FIELD_TEXT,
     .format = KW_FORMAT_OWNER,
     KW__AT(fields_body, params.owner),
     .given = KW_GIVEN_OWNER,
     .size_min = 1,
     .size_max = KW_OWNER_MAX},
    TEXT("env", env, KW_GIVEN_ENV, KW_ENV_MAX),
    OTHER("isPublic", KW_FIELD_BOOL, is_public, KW_GIVEN_PUBLIC),
    TEXT("orgId", org_id, KW_GIVEN_ORG, KW_OWNER_MAX),
    TEXT("name", name, KW_GIVEN_NAME, KW_NAME_MAX),
    TEXT("description", description, KW_GIVEN_DESCRIPTION, KW_DESCRIPTION_MAX),
    {.name = KW__NAME("tags"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(fields_body, params.tags),
     .count_offset = offsetof(struct fields_body, params.tag_count),
     .given = KW_GIVEN_TAGS,
     .size_min = 1,
     .size_max = KW_TAG_MAX,
     .count_max = KW_TAG_COUNT_MAX},
    {.name = KW__NAME("metadata"),
     .kind = KW_FIELD_JSON,
     KW__AT(fields_body, params.metadata),
     .given = KW_GIVEN_METADATA,
     .size_max = KW_METADATA_MAX},
    {.name = KW__NAME("scopes"),
     .kind = KW_FIELD_TEXTS,
     .format = KW_FORMAT_SCOPE,
     KW__AT(fields_body, params.scopes),
     .count_offset = offsetof(struct fields_body, params.scope_count),
     .given = KW_GIVEN_SCOPES,
     .size_max = KW_SCOPE_MAX,
     .count_max = KW_SCOPE_COUNT_MAX},
    {.name = KW__NAME("resources"),
     .kind = KW_FIELD_RESOURCES,
     KW__AT(fields_body, params.resources),
     .count_offset = offsetof(struct fields_body, params.resource_count),
     .given = KW_GIVEN_RESOURCES,
     .size_max = KW_RESOURCE_MAX,
     .count_max = KW_RESOURCE_COUNT_MAX,
     .items = &kw__each_scope},
    OTHER("expiresAt", KW_FIELD_TIME, expires_at_ms, KW_GIVEN_EXPIRES_AT),
    OTHER("expiresIn", KW_FIELD_DURATION, expires_in_ms, KW_GIVEN_EXPIRES_IN),
    {.name = KW__NAME("preset"),
     .kind = KW_FIELD_TEXT,
     KW__AT(fields_body, preset),
     .size_min = 1,
     .size_max = KW_DOCUMENT_NAME_MAX},
    TEXTS("allowedIPs", allowed_ips, allowed_ip_count, KW_GIVEN_ALLOWED_IPS, KW_IP_TEXT_MAX, KW_IP_COUNT_MAX),
    TEXTS("blockedIPs", blocked_ips, blocked_ip_count, KW_GIVEN_BLOCKED_IPS, KW_IP_TEXT_MAX, KW_IP_COUNT_MAX),
    TEXTS("allowedRegions", allowed_regions, allowed_region_count, KW_GIVEN_ALLOWED_REGIONS, REGION_TEXT_MAX,
          KW_REGION_COUNT_MAX),
    TEXTS("blockedRegions", blocked_regions, blocked_region_count, KW_GIVEN_BLOCKED_REGIONS, REGION_TEXT_MAX,
          KW_REGION_COUNT_MAX),
    {.name = KW__NAME("policy"),
     .kind = KW_FIELD_TEXT,
     KW__AT(fields_body, params.policy),
     .given = KW_GIVEN_POLICY,
     .size_min = 1,
     .size_max = KW_POLICY_MAX},
    {.name = KW__NAME("schedule"),
     .kind = KW_FIELD_OBJECT,
     KW__AT(fields_body, params.schedule),
     .given = KW_GIVEN_SCHEDULE,
     .items = &kw__schedule_schema},
    KW__RATE_LIMITS_FIELD(fields_body, params.rate_limits, params.rate_limit_count, KW_GIVEN_RATE_LIMITS,
                          KW_FIELD_OBJECTS, "rateLimits"),
    KW__RATE_LIMITS_FIELD(fields_body, params.rate_limits, params.rate_limit_count, KW_GIVEN_RATE_LIMITS, KW_FIELD_ONE,
                          "rateLimit"),
    KW__QUOTAS_FIELD(fields_body, params.quotas, params.quota_count, KW_GIVEN_QUOTAS, KW_FIELD_OBJECTS, "quotas"),
    KW__QUOTAS_FIELD(fields_body, params.quotas, params.quota_count, KW_GIVEN_QUOTAS, KW_FIELD_ONE, "quota"),
};
#define QUOTA_BITS (UINT32_C(3) << (KW_COUNT_OF(creation_fields) - 2))
#define RATE_LIMIT_BITS (QUOTA_BITS >> 2)
static const struct kw_field_group creation_groups[] = {
    {1U << 0 | 1U << 1, false, "ownerId or owner"},
    {1U << 11 | 1U << 12, false, "expiresAt or expiresIn"},
    {RATE_LIMIT_BITS, false, "rateLimits or rateLimit"},
    {QUOTA_BITS, false, "quotas or quota"},
};
static const struct kw_schema creation_schema = {.name = "fields",
                                                 .size = sizeof(struct fields_body),
                                                 .given_offset = offsetof(struct fields_body, params.given),
                                                 .fields = creation_fields,
                                                 .field_count = KW_COUNT_OF(creation_fields),
                                                 .groups = creation_groups,
                                                 .group_count = KW_COUNT_OF(creation_groups)};

static const struct kw_field template_fields[] = {
    KW__ENVELOPE_FIELDS(template_body, KW_DOCUMENT_NAME_MAX),
    KW__DESCRIPTION_FIELD(template_body),
    {.name = KW__NAME("fields"), .kind = KW_FIELD_OBJECT, KW__AT(template_body, fields), .items = &creation_schema},
    {.name = KW__NAME("locked"),
     .kind = KW_FIELD_TEXTS,
     KW__AT(template_body, locked),
     .count_offset = offsetof(struct template_body, locked_count),
     .size_min = 1,
     .size_max = KW_DOCUMENT_NAME_MAX,
     .count_max = KW_SCHEMA_FIELDS_MAX},
};

static const char *const template_otherwise[KW_COUNT_OF(template_fields)] = {
    [KW__ENVELOPE_COUNT + 1] = "{}",
    [KW__ENVELOPE_COUNT + 2] = "[]",
};

static const struct kw_schema template_schema = {.name = "template",
                                                 .size = sizeof(struct template_body),
                                                 .given_offset = SIZE_MAX,
                                                 .required = 1U << 0,
                                                 .fields = template_fields,
                                                 .field_count = KW_COUNT_OF(template_fields)};

/* Fields that say the same thing in two ways are locked together. */
static uint32_t lock_of(const struct kw_field *field)
{
    const uint32_t expiry = KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN;
    return field->given == 0 ? KW_GIVEN_SCOPES : (field->given & expiry) != 0 ? expiry : field->given;
}

static enum kw_status take_locks(const struct template_body *body, uint32_t *locked_out, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->locked_count; i++) {
        size_t at = 0;
        while (at < KW_COUNT_OF(creation_fields) && !kw_bytes_equal(creation_fields[at].name, body->locked[i])) {
            at++;
        }
        if (at == KW_COUNT_OF(creation_fields)) {
            return kw__document_under(kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                                                "is no field of a creation: name one such as \"scopes\""),
                                      "locked", i, error_out);
        }
        *locked_out |= lock_of(&creation_fields[at]);
    }
    return KW_OK;
}

static enum kw_status take_template(struct kw_document *document, const void *bound, struct kw_error *error_out)
{
    const struct template_body *body = bound;
    struct kw_template *template = &document->is.template;
    *template =
        (struct kw_template){.name = document->name, .params = body->fields.params, .preset = body->fields.preset};
    /* As of the first moment there is: a time that has passed since is refused by the creation that takes it. */
    enum kw_status status = kw_key_params_check(&template->params, 0, &document->arena, error_out);
    if (status != KW_OK) {
        kw_error_nest(error_out, "fields");
        return status;
    }
    return take_locks(body, &template->locked, error_out);
}

const struct kw__form kw__template_form = {"template", &template_schema, template_otherwise, take_template};
