#include "core/document_form.h"

#include "base/error.h"
#include "core/internal.h"
#include "core/schema_parts.h"

#define PARSE_MEMORY_MAX ((size_t)4 * 1024 * 1024) /* the JSON, and what reading it makes of it */

static const struct kw__form *const forms[] = {
    [KW_DOCUMENT_PROJECT] = &kw__project_form,   [KW_DOCUMENT_POLICY] = &kw__policy_form,
    [KW_DOCUMENT_TEMPLATE] = &kw__template_form, [KW_DOCUMENT_WEBHOOK] = &kw__webhook_form,
    [KW_DOCUMENT_CHANNEL] = &kw__channel_form,
};

static const struct kw_field scope_field[] = {
    {.name = KW__NAME("scopes"),
     .kind = KW_FIELD_TEXTS,
     .format = KW_FORMAT_SCOPE,
     .size_max = KW_SCOPE_MAX,
     .count_max = KW_SCOPE_COUNT_MAX},
};
const struct kw_schema kw__each_scope = {.name = "scopes", .fields = scope_field, .field_count = 1};

static const struct kw_bytes per_choices[] = {KW__NAME("key"), KW__NAME("owner"), KW__NAME("org")};
static const struct kw_bytes period_choices[] = {KW__NAME("hour"), KW__NAME("day"), KW__NAME("week"), KW__NAME("month"),
                                                 KW__NAME("year")};
static const struct kw_bytes exceeded_choices[] = {KW__NAME("block"), KW__NAME("warn"), KW__NAME("throttle")};
static const struct kw_bytes anchor_choices[] = {KW__NAME("utc"), KW__NAME("created")};

#define CHOICE(label, body, member, list, first) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_CHOICE, KW__AT(body, member), .low = (first), .choices = (list), \
        .choice_count = KW_COUNT_OF(list) \
    }

static const struct kw_field rate_limit_fields[] = {
    {.name = KW__NAME("name"),
     .kind = KW_FIELD_TEXT,
     KW__AT(kw_rate_limit, name),
     .size_min = 1,
     .size_max = KW_RATE_LIMIT_NAME_MAX},
    {.name = KW__NAME("requests"),
     .kind = KW_FIELD_INTEGER,
     KW__AT(kw_rate_limit, requests),
     .low = 1,
     .high = KW_RATE_LIMIT_REQUESTS_MAX},
    {.name = KW__NAME("window"), .kind = KW_FIELD_DURATION, KW__AT(kw_rate_limit, window_ms)},
    CHOICE("per", kw_rate_limit, per, per_choices, KW_PER_KEY),
};
const struct kw_schema kw__each_rate_limit = {.name = "rateLimit",
                                              .size = sizeof(struct kw_rate_limit),
                                              .given_offset = SIZE_MAX,
                                              .required = 1U << 1 | 1U << 2,
                                              .fields = rate_limit_fields,
                                              .field_count = KW_COUNT_OF(rate_limit_fields)};

/* What a quota throttles to: a rate limit without a name. */
static const struct kw_schema throttle_schema = {.name = "throttle",
                                                 .size = sizeof(struct kw_rate_limit),
                                                 .given_offset = SIZE_MAX,
                                                 .required = 1U << 0 | 1U << 1,
                                                 .fields = rate_limit_fields + 1,
                                                 .field_count = 2};

static const struct kw_field quota_fields[] = {
    {.name = KW__NAME("limit"), .kind = KW_FIELD_AMOUNT, KW__AT(kw_quota_rule, limit)},
    CHOICE("period", kw_quota_rule, period, period_choices, KW_PERIOD_HOUR),
    {.name = KW__NAME("name"),
     .kind = KW_FIELD_TEXT,
     KW__AT(kw_quota_rule, name),
     .size_min = 1,
     .size_max = KW_QUOTA_NAME_MAX},
    {.name = KW__NAME("metric"),
     .kind = KW_FIELD_TEXT,
     KW__AT(kw_quota_rule, metric),
     .size_min = 1,
     .size_max = KW_METRIC_MAX},
    CHOICE("onExceeded", kw_quota_rule, on_exceeded, exceeded_choices, KW_QUOTA_BLOCK),
    CHOICE("anchor", kw_quota_rule, anchor, anchor_choices, KW_ANCHOR_UTC),
    CHOICE("per", kw_quota_rule, per, per_choices, KW_PER_KEY),
    {.name = KW__NAME("warnAt"),
     .kind = KW_FIELD_BYTES,
     KW__AT(kw_quota_rule, marks),
     .count_offset = offsetof(struct kw_quota_rule, mark_count),
     .low = 1,
     .high = 100,
     .count_min = 1,
     .count_max = KW_QUOTA_MARK_COUNT_MAX},
    {.name = KW__NAME("throttle"), .kind = KW_FIELD_OBJECT, KW__AT(kw_quota_rule, throttle), .items = &throttle_schema},
};
const struct kw_schema kw__each_quota = {.name = "quota",
                                         .size = sizeof(struct kw_quota_rule),
                                         .given_offset = SIZE_MAX,
                                         .required = 1U << 0 | 1U << 1,
                                         .fields = quota_fields,
                                         .field_count = KW_COUNT_OF(quota_fields)};

static const struct kw_field schedule_fields[] = {
    {.name = KW__NAME("disableAt"),
     .kind = KW_FIELD_TIME,
     .is_nullable = true,
     KW__AT(kw_schedule_params, to.disable_at_ms),
     .given = KW_GIVEN_DISABLE_AT},
    {.name = KW__NAME("revokeAt"),
     .kind = KW_FIELD_TIME,
     .is_nullable = true,
     KW__AT(kw_schedule_params, to.revoke_at_ms),
     .given = KW_GIVEN_REVOKE_AT},
    {.name = KW__NAME("notifyBefore"),
     .kind = KW_FIELD_DURATION,
     .is_nullable = true,
     KW__AT(kw_schedule_params, to.notify_before_ms),
     .given = KW_GIVEN_NOTIFY_BEFORE},
};
const struct kw_schema kw__schedule_schema = {.name = "schedule",
                                              .size = sizeof(struct kw_schedule_params),
                                              .given_offset = offsetof(struct kw_schedule_params, given),
                                              .fields = schedule_fields,
                                              .field_count = KW_COUNT_OF(schedule_fields)};

const struct kw__form *kw__form_of(enum kw_document_kind kind)
{
    return forms[kind];
}

const char *kw_document_kind_name(enum kw_document_kind kind)
{
    return forms[kind]->noun;
}

bool kw_document_name_valid(enum kw_document_kind kind, struct kw_bytes name)
{
    bool good = name.size >= 1 && name.size <= KW_DOCUMENT_NAME_MAX;
    for (size_t i = 0; good && i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z' && kind != KW_DOCUMENT_PROJECT);
        good = is_letter || (i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '_'));
    }
    return good;
}

struct kw_document *kw__document_new(enum kw_document_kind kind)
{
    struct kw_document *document = kw_alloc(1, sizeof *document);
    if (document != NULL) {
        document->kind = kind;
        document->references = 1;
        kw_arena_init(&document->arena, NULL, 0, PARSE_MEMORY_MAX);
    }
    return document;
}

struct kw_document *kw_document_hold(struct kw_document *document)
{
    document->references++;
    return document;
}

void kw_document_release(struct kw_document *document)
{
    if (document != NULL && --document->references == 0) {
        kw_arena_reset(&document->arena);
        kw_free(document);
    }
}

enum kw_status kw__document_under(enum kw_status status, const char *parent, size_t index, struct kw_error *error_out)
{
    if (status != KW_OK) {
        char place[32];
        kw__schema_index(index, place);
        kw_error_nest(error_out, place);
        kw_error_nest(error_out, parent);
    }
    return status;
}

static enum kw_status refuse_name(enum kw_document_kind kind, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "name", "must be 1 to %d %s, starting with a letter",
                     KW_DOCUMENT_NAME_MAX,
                     kind == KW_DOCUMENT_PROJECT ? "of a-z, 0-9, '-' and '_'" : "letters, digits, '-' and '_'");
}

enum kw_status kw__document_parse(struct kw_document *document, struct kw_error *error_out)
{
    const struct kw__form *form = forms[document->kind];
    struct kw__envelope *body = kw_arena_take(&document->arena, form->schema->size);
    if (body == NULL) {
        return kw__no_memory(error_out);
    }
    enum kw_status status = kw_schema_bind_json(form->schema, document->json, &document->arena, body, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (!kw_document_name_valid(document->kind, body->name)) {
        return refuse_name(document->kind, error_out);
    }
    document->name = body->name;
    document->version = (uint64_t)body->version;
    document->is_deleted = body->deleted_at_ms != 0;
    if (document->kind == KW_DOCUMENT_PROJECT) {
        document->project = body->name;
    }
    return form->take(document, body, error_out);
}

enum kw_status kw_document_read(enum kw_document_kind kind, struct kw_bytes project, struct kw_bytes json,
                                struct kw_document **document_out)
{
    struct kw_error error = {.code = ""};
    struct kw_document *document = kw__document_new(kind);
    if (document == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = kw_arena_copy(&document->arena, json, &document->json);
    status = status != KW_OK ? status : kw_arena_copy(&document->arena, project, &document->project);
    status = status != KW_OK ? KW_E_MEMORY : kw__document_parse(document, &error);
    if (status != KW_OK) {
        kw_document_release(document);
        bool is_newer = status != KW_E_MEMORY && kw_code_of_name(error.code) == KW_CODE_UNKNOWN_FIELD;
        return status == KW_E_MEMORY ? KW_E_MEMORY : is_newer ? KW_E_NEWER : KW_E_CORRUPT;
    }
    *document_out = document;
    return KW_OK;
}

enum kw_status kw__document_split(const struct kw_schema *schema, struct kw_bytes json, struct kw_arena *arena,
                                  struct kw_bytes raws[KW_SCHEMA_FIELDS_MAX], struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, json, arena);
    enum kw_status status = kw_json_next(&reader, &token, error_out);
    if (status == KW_OK && token.type != KW_JSON_OBJECT_BEGIN) {
        return kw_refuse(error_out, KW_CODE_INVALID_REQUEST, NULL, "The body must be a JSON object.");
    }
    while (status == KW_OK) {
        status = kw_json_next(&reader, &token, error_out);
        if (status != KW_OK || token.type == KW_JSON_OBJECT_END) {
            break;
        }
        size_t index = kw__schema_find(schema, token.text);
        if (index == schema->field_count) {
            return kw__schema_refuse_name(KW_CODE_UNKNOWN_FIELD, token.text, "is not known here", error_out);
        }
        if (raws[index].size > 0) {
            return kw__schema_refuse_name(KW_CODE_DUPLICATE_FIELD, token.text, "stands twice", error_out);
        }
        status = kw_json_next(&reader, &token, error_out);
        status = status != KW_OK ? status : kw_json_skip(&reader, &token, &raws[index], error_out);
    }
    return status != KW_OK ? status : kw_json_next(&reader, &token, error_out);
}
