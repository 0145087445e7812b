/*
 * What the readers of projects, policies and templates share: each kind is a table of fields (schema.h), what they are
 * when nobody gives them, and a function that makes of the bound fields what the core works with.
 */
#ifndef KW_CORE_DOCUMENT_FORM_H
#define KW_CORE_DOCUMENT_FORM_H

#include "base/bytes.h"
#include "core/document.h"
#include "core/schema.h"

#include <stddef.h>

/* What every document has; the first member of each kind's body. */
struct kw__envelope {
    struct kw_bytes name;
    int64_t number; /* of a project */
    int64_t version;
    int64_t created_at_ms, updated_at_ms, deleted_at_ms;
};

#define KW__ENVELOPE_COUNT 6
#define KW__NAME(text) \
    { \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define KW__AT(body, member) .offset = offsetof(struct body, member)
#define KW__ENVELOPE_FIELDS(body, name_max) \
    {.name = KW__NAME("name"), \
     .kind = KW_FIELD_TEXT, \
     KW__AT(body, envelope.name), \
     .size_min = 1, \
     .size_max = (name_max)}, \
        {.name = KW__NAME("number"), .kind = KW_FIELD_INTEGER, KW__AT(body, envelope.number), .high = UINT16_MAX}, \
        {.name = KW__NAME("version"), \
         .kind = KW_FIELD_INTEGER, \
         KW__AT(body, envelope.version), \
         .low = 1, \
         .high = INT64_MAX, \
         .otherwise = 1}, \
        {.name = KW__NAME("createdAt"), .kind = KW_FIELD_TIME, KW__AT(body, envelope.created_at_ms)}, \
        {.name = KW__NAME("updatedAt"), .kind = KW_FIELD_TIME, KW__AT(body, envelope.updated_at_ms)}, \
    { \
        .name = KW__NAME("deletedAt"), .kind = KW_FIELD_TIME, KW__AT(body, envelope.deleted_at_ms) \
    }

struct kw__form {
    const char *noun;
    const struct kw_schema *schema;
    const char *const *otherwise; /* JSON by field, NULL: none; as many as the schema has fields */
    /* Fills document->is from the bound body. Everything may be borrowed from body, document->json and its arena. */
    enum kw_status (*take)(struct kw_document *document, const void *body, struct kw_error *error_out);
};

extern const struct kw__form kw__project_form, kw__policy_form, kw__template_form, kw__webhook_form, kw__channel_form;
const struct kw__form *kw__form_of(enum kw_document_kind kind);

/* Of a struct kw_audit_context (audit_json.c). */
extern const struct kw_schema kw__audit_context_schema;

/* Reads document->json, checks all of it, and fills what the kind is. */
KW_MUST_USE enum kw_status kw__document_parse(struct kw_document *document, struct kw_error *error_out);
/* Reads where a project's keys stand: names of headers, in their order, and the JSON of `allowKeyInQuery`, or nothing
 * (project_places.c). Fail with the error set. */
KW_MUST_USE enum kw_status kw__take_key_places(struct kw_document *document, const struct kw_bytes *headers,
                                               size_t count, struct kw_error *error_out);
KW_MUST_USE enum kw_status kw__take_key_parameter(struct kw_document *document, struct kw_bytes json,
                                                  struct kw_error *error_out);

/* Reads a project's profiles from the JSON of `authorize` (profile.c). Its environments must be there. */
KW_MUST_USE enum kw_status kw__profiles_take(struct kw_document *document, struct kw_bytes json,
                                             struct kw_error *error_out);
/* One without content, held once. NULL: no memory. */
KW_MUST_USE struct kw_document *kw__document_new(enum kw_document_kind kind);

/* The text of each field of an object, by its place in the schema; no bytes where it is not given. */
KW_MUST_USE enum kw_status kw__document_split(const struct kw_schema *schema, struct kw_bytes json,
                                              struct kw_arena *arena, struct kw_bytes raws[KW_SCHEMA_FIELDS_MAX],
                                              struct kw_error *error_out);

/* Puts "parent[index]" before the field of an error. Returns `status`. */
enum kw_status kw__document_under(enum kw_status status, const char *parent, size_t index, struct kw_error *error_out);

/* Rows that several kinds have. */
#define KW__DESCRIPTION_FIELD(body) \
    { \
        .name = KW__NAME("description"), .kind = KW_FIELD_TEXT, KW__AT(body, description), \
        .size_max = KW_DESCRIPTION_MAX \
    }
/* A member that is a list of texts, and one that is one of a list of names. */
#define KW__TEXTS_FIELD(body, label, member, count, of_format, max, most) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_TEXTS, .format = (of_format), KW__AT(body, member), \
        .count_offset = offsetof(struct body, count), .size_min = 1, .size_max = (max), .count_max = (most) \
    }
#define KW__CHOICE_FIELD(body, label, member, list, first) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_CHOICE, KW__AT(body, member), .low = (first), .choices = (list), \
        .choice_count = KW_COUNT_OF(list) \
    }
/* What says of which events somebody is told (subscription.h), of a body with a `subscription`; and its status. */
#define KW__SUBSCRIPTION_FIELDS(body) \
    KW__TEXTS_FIELD(body, "events", subscription.events, subscription.event_count, KW_FORMAT_NONE, \
                    KW_EVENT_PATTERN_MAX, KW_EVENT_PATTERN_COUNT_MAX), \
        KW__TEXTS_FIELD(body, "environments", subscription.environments, subscription.environment_count, \
                        KW_FORMAT_NONE, KW_ENV_MAX, KW_ENVIRONMENT_COUNT_MAX), \
        KW__TEXTS_FIELD(body, "owners", subscription.owners, subscription.owner_count, KW_FORMAT_OWNER, KW_OWNER_MAX, \
                        KW_SUBSCRIPTION_OWNERS_MAX)
#define KW__SUBSCRIPTION_STATUS_FIELD(body) \
    KW__CHOICE_FIELD(body, "status", subscription.status, kw__subscription_statuses, KW_SUBSCRIPTION_ACTIVE)
#define KW__SUBSCRIPTION_STATUS_COUNT 3
extern const struct kw_bytes kw__subscription_statuses[KW__SUBSCRIPTION_STATUS_COUNT];
/* Checks the patterns of events, and fills in `channel`. `noun`: "webhook". Fails with the error set. */
KW_MUST_USE enum kw_status kw__subscription_take(const struct kw_document *document, struct kw_bytes noun,
                                                 int64_t created_at_ms, struct kw_subscription *subscription,
                                                 struct kw_error *error_out);
extern const struct kw_schema kw__each_scope; /* the one field: the scopes of a resource */

#define KW__RATE_LIMITS_FIELD(body, member, count, bit, of_kind, label) \
    { \
        .name = KW__NAME(label), .kind = (of_kind), KW__AT(body, member), \
        .count_offset = offsetof(struct body, count), .given = (bit), .count_max = KW_RATE_LIMIT_COUNT_MAX, \
        .items = &kw__each_rate_limit \
    }
extern const struct kw_schema kw__each_rate_limit; /* name, requests, window, per */

#define KW__QUOTAS_FIELD(body, member, count, bit, of_kind, label) \
    { \
        .name = KW__NAME(label), .kind = (of_kind), KW__AT(body, member), \
        .count_offset = offsetof(struct body, count), .given = (bit), .count_max = KW_QUOTA_COUNT_MAX, \
        .items = &kw__each_quota \
    }
extern const struct kw_schema kw__each_quota;

/* struct kw_schedule_params */
extern const struct kw_schema kw__schedule_schema;

#endif
