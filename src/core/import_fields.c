#include "base/error.h"
#include "base/time.h"
#include "core/document_form.h"
#include "core/id.h"
#include "core/import_parts.h"
#include "core/internal.h"
#include "core/schema_parts.h"

#include <stddef.h>

#define ITEMS_MAX 129 /* of a list: one more than any may hold, so that the core says which are too many */

enum kind {
    IGNORED, /* shown by Keyward, and made anew here */
    TEXT,
    USER, /* ownerId */
    TEXTS,
    RESOURCES,
    RATE_LIMITS,
    QUOTAS,
    SCHEDULE,
    OBJECT, /* JSON as it is */
    BOOL,
    TIME,
    ID,
    LAST_FOUR,
};

struct field {
    const char *name;
    uint8_t name_size;
    uint8_t kind;
    uint8_t where;
    uint32_t given;  /* of enum kw_given: it goes into params, else into the record */
    size_t offset;   /* there */
    size_t count_at; /* of lists */
    size_t size_max; /* of texts in the record */
};

#define NAMED(name_) .name = (name_), .name_size = sizeof(name_) - 1
#define PARAM(kind_, name_, member_, given_) \
    { \
        NAMED(name_), .kind = (kind_), .where = KW__IN_RECORD | KW__IN_FOREIGN, .given = (given_), \
                      .offset = offsetof(struct kw_key_params, member_) \
    }
#define PARAMS(kind_, name_, member_, count_, given_) \
    { \
        NAMED(name_), .kind = (kind_), .where = KW__IN_RECORD | KW__IN_FOREIGN, .given = (given_), \
                      .offset = offsetof(struct kw_key_params, member_), \
                      .count_at = offsetof(struct kw_key_params, count_) \
    }
#define MEMBER(kind_, name_, member_, where_) \
    { \
        NAMED(name_), .kind = (kind_), .where = (where_), .offset = offsetof(struct kw_record, member_) \
    }
#define MEMBER_TEXT(name_, member_, max_, where_) \
    { \
        NAMED(name_), .kind = TEXT, .where = (where_), .offset = offsetof(struct kw_record, member_), \
                      .size_max = (max_) \
    }
#define SHOWN(name_) \
    { \
        NAMED(name_), .kind = IGNORED, .where = KW__IN_RECORD \
    }
#define ANYWHERE (KW__IN_RECORD | KW__IN_FOREIGN)

/* clang-format off */
static const struct field fields[] = {
    MEMBER(ID, "id", id, KW__IN_RECORD),
    SHOWN("projectId"),
    MEMBER_TEXT("env", env, KW_ENV_MAX, ANYWHERE),
    MEMBER_TEXT("prefix", prefix, KW_PREFIX_MAX, ANYWHERE),
    MEMBER(LAST_FOUR, "lastFour", last_four, ANYWHERE),
    PARAM(BOOL, "isPublic", is_public, KW_GIVEN_PUBLIC),
    SHOWN("status"),
    MEMBER(BOOL, "enabled", enabled, ANYWHERE),
    PARAM(USER, "ownerId", owner, KW_GIVEN_OWNER),
    PARAM(TEXT, "owner", owner, KW_GIVEN_OWNER),
    PARAM(TEXT, "orgId", org_id, KW_GIVEN_ORG),
    PARAM(TEXT, "name", name, KW_GIVEN_NAME),
    PARAM(TEXT, "description", description, KW_GIVEN_DESCRIPTION),
    PARAMS(TEXTS, "tags", tags, tag_count, KW_GIVEN_TAGS),
    {NAMED("metadata"), .kind = OBJECT, .where = KW__IN_RECORD, .given = KW_GIVEN_METADATA,
     .offset = offsetof(struct kw_key_params, metadata)},
    PARAMS(TEXTS, "scopes", scopes, scope_count, KW_GIVEN_SCOPES),
    PARAMS(RESOURCES, "resources", resources, resource_count, KW_GIVEN_RESOURCES),
    SHOWN("digest"),
    MEMBER(TIME, "createdAt", created_at_ms, ANYWHERE),
    MEMBER_TEXT("createdBy", created_by, KW_ACTOR_MAX, ANYWHERE),
    MEMBER(TIME, "updatedAt", updated_at_ms, ANYWHERE),
    PARAM(TIME, "expiresAt", expires_at_ms, KW_GIVEN_EXPIRES_AT),
    MEMBER(TIME, "lapsedAt", lapsed_at_ms, KW__IN_KEPT),
    MEMBER(TIME, "revokedAt", revoked_at_ms, ANYWHERE),
    MEMBER_TEXT("revokedBy", revoked_by, KW_ACTOR_MAX, ANYWHERE),
    MEMBER_TEXT("revokeReason", revoke_reason, KW_REASON_MAX, ANYWHERE),
    MEMBER(ID, "rotatedFrom", rotated_from, KW__IN_RECORD),
    MEMBER(ID, "rotatedTo", rotated_to, KW__IN_RECORD),
    MEMBER(TIME, "graceUntil", grace_until_ms, KW__IN_RECORD),
    MEMBER(ID, "lineageId", lineage_id, KW__IN_RECORD | KW__IN_KEPT),
    SHOWN("version"),
    PARAMS(TEXTS, "allowedIPs", allowed_ips, allowed_ip_count, KW_GIVEN_ALLOWED_IPS),
    PARAMS(TEXTS, "blockedIPs", blocked_ips, blocked_ip_count, KW_GIVEN_BLOCKED_IPS),
    PARAMS(TEXTS, "allowedRegions", allowed_regions, allowed_region_count, KW_GIVEN_ALLOWED_REGIONS),
    PARAMS(TEXTS, "blockedRegions", blocked_regions, blocked_region_count, KW_GIVEN_BLOCKED_REGIONS),
    PARAMS(RATE_LIMITS, "rateLimits", rate_limits, rate_limit_count, KW_GIVEN_RATE_LIMITS),
    PARAMS(QUOTAS, "quotas", quotas, quota_count, KW_GIVEN_QUOTAS),
    PARAM(TEXT, "policy", policy, KW_GIVEN_POLICY),
    PARAM(SCHEDULE, "schedule", schedule, KW_GIVEN_SCHEDULE),
    MEMBER_TEXT("template", template_name, KW_TEMPLATE_MAX, ANYWHERE),
    MEMBER(ID, "parentId", parent_id, ANYWHERE),
    MEMBER(BOOL, "endGraceOnFirstUse", ends_grace, KW__IN_RECORD | KW__IN_KEPT),
    MEMBER(BOOL, "hasChildren", has_children, KW__IN_KEPT),
    SHOWN("imported"),
};
/* clang-format on */

_Static_assert(KW_COUNT_OF(fields) <= 64, "a bit of `seen` for each");
_Static_assert(ITEMS_MAX > KW_SCOPE_COUNT_MAX, "the longest lists");
_Static_assert(ITEMS_MAX > KW_REGION_COUNT_MAX, "the longest lists");

static size_t find(struct kw_bytes name)
{
    size_t i = 0;
    while (i < KW_COUNT_OF(fields) && !kw_bytes_equal(kw_bytes_of(fields[i].name, fields[i].name_size), name)) {
        i++;
    }
    return i;
}

bool kw__draft_has(const struct kw__draft *draft, const char *name)
{
    size_t index = find(kw_bytes_of_text(name));
    return index < KW_COUNT_OF(fields) && (draft->seen >> index & 1) != 0;
}

enum kw__cell_kind kw__field_cell(struct kw_bytes name)
{
    static const enum kw__cell_kind by_kind[] = {
        [TEXT] = KW__CELL_TEXT,      [USER] = KW__CELL_TEXT,      [TEXTS] = KW__CELL_LIST,
        [RESOURCES] = KW__CELL_JSON, [OBJECT] = KW__CELL_JSON,    [BOOL] = KW__CELL_BOOL,
        [TIME] = KW__CELL_TEXT,      [ID] = KW__CELL_TEXT,        [IGNORED] = KW__CELL_NONE,
        [SCHEDULE] = KW__CELL_JSON,  [LAST_FOUR] = KW__CELL_TEXT, [RATE_LIMITS] = KW__CELL_JSON,
        [QUOTAS] = KW__CELL_JSON,
    };
    size_t index = find(name);
    bool is_field = index < KW_COUNT_OF(fields) && (fields[index].where & KW__IN_FOREIGN) != 0;
    return is_field ? by_kind[fields[index].kind] : KW__CELL_NONE;
}

enum kw_status kw__draft_next(struct kw__draft *draft, struct kw_json_token *token_out)
{
    return kw_json_next(&draft->reader, token_out, draft->error);
}

enum kw_status kw__draft_refuse(struct kw__draft *draft, const char *field, const char *why)
{
    return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, field, "%s", why);
}

enum kw_status kw__draft_text(struct kw__draft *draft, const char *field, const struct kw_json_token *token,
                              size_t size_max, struct kw_bytes *text_out)
{
    if (token->type != KW_JSON_STRING) {
        return kw__draft_refuse(draft, field, "must be a string");
    }
    *text_out = token->text;
    return kw__text_check(token->text, size_max, field, draft->error);
}

/* What goes into params is looked at with all of them. */
static enum kw_status take_text(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token,
                                struct kw_bytes *text_out)
{
    if (field->given == 0 || token->type != KW_JSON_STRING) {
        return kw__draft_text(draft, field->name, token, field->size_max, text_out);
    }
    *text_out = token->text;
    return KW_OK;
}

/* "user:" before what the source has; `owner` says more where both are there. */
static enum kw_status take_user(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token,
                                struct kw_bytes *owner)
{
    struct kw_bytes start = KW_BYTES("user:");
    if (token->type != KW_JSON_STRING) {
        return kw__draft_refuse(draft, field->name, "must be a string");
    }
    if (token->text.size == 0 || kw__draft_has(draft, "owner")) {
        return KW_OK;
    }
    uint8_t *text = kw_arena_take(draft->arena, start.size + token->text.size);
    if (text == NULL) {
        return kw__no_memory(draft->error);
    }
    memcpy(text, start.data, start.size);
    memcpy(text + start.size, token->text.data, token->text.size);
    *owner = kw_bytes_of(text, start.size + token->text.size);
    return KW_OK;
}

static enum kw_status take_texts(struct kw__draft *draft, const char *name, const struct kw_json_token *first,
                                 const struct kw_bytes **texts_out, size_t *count_out)
{
    struct kw_bytes texts[ITEMS_MAX];
    size_t count = 0;
    if (first->type != KW_JSON_ARRAY_BEGIN) {
        return kw__draft_refuse(draft, name, "must be an array of strings");
    }
    for (;;) {
        struct kw_json_token token;
        enum kw_status status = kw__draft_next(draft, &token);
        if (status != KW_OK) {
            return status;
        }
        if (token.type == KW_JSON_ARRAY_END) {
            break;
        }
        if (token.type != KW_JSON_STRING) {
            return kw__draft_refuse(draft, name, "must be an array of strings");
        }
        if (count == ITEMS_MAX) {
            return kw__draft_refuse(draft, name, "are too many");
        }
        texts[count++] = token.text;
    }
    struct kw_bytes *kept = kw_arena_take_array(draft->arena, count, sizeof *kept);
    if (kept == NULL) {
        return kw__no_memory(draft->error);
    }
    memcpy(kept, texts, count * sizeof *kept);
    *texts_out = kept;
    *count_out = count;
    return KW_OK;
}

static enum kw_status take_resources(struct kw__draft *draft, const char *name, const struct kw_json_token *first,
                                     const struct kw_resource_scopes **resources_out, size_t *count_out)
{
    struct kw_resource_scopes resources[KW_RESOURCE_COUNT_MAX];
    size_t count = 0;
    if (first->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, name, "must be an object such as {\"website:123\": [\"read\"]}");
    }
    for (;;) {
        struct kw_json_token token;
        enum kw_status status = kw__draft_next(draft, &token);
        if (status != KW_OK || token.type == KW_JSON_OBJECT_END) {
            if (status != KW_OK) {
                return status;
            }
            break;
        }
        if (count == KW_RESOURCE_COUNT_MAX) {
            return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, name, "are too many: at most %d",
                             KW_RESOURCE_COUNT_MAX);
        }
        struct kw_resource_scopes *resource = &resources[count++];
        resource->resource = token.text;
        status = kw__draft_next(draft, &token);
        if (status == KW_OK) {
            status = take_texts(draft, name, &token, &resource->scopes, &resource->scope_count);
        }
        if (status != KW_OK) {
            return status;
        }
    }
    struct kw_resource_scopes *kept = kw_arena_take_array(draft->arena, count, sizeof *kept);
    if (kept == NULL) {
        return kw__no_memory(draft->error);
    }
    memcpy(kept, resources, count * sizeof *kept);
    *resources_out = kept;
    *count_out = count;
    return KW_OK;
}

/* Bodies of the one field that is to be read as in a creation. */
struct objects_body {
    const void *items;
    size_t count;
};

static const struct kw_field rate_limits_field =
    KW__RATE_LIMITS_FIELD(objects_body, items, count, 0, KW_FIELD_OBJECTS, "rateLimits");
static const struct kw_schema rate_limits_schema = {.name = "body",
                                                    .size = sizeof(struct objects_body),
                                                    .given_offset = SIZE_MAX,
                                                    .fields = &rate_limits_field,
                                                    .field_count = 1};
static const struct kw_field quotas_field = KW__QUOTAS_FIELD(objects_body, items, count, 0, KW_FIELD_OBJECTS, "quotas");
static const struct kw_schema quotas_schema = {.name = "body",
                                               .size = sizeof(struct objects_body),
                                               .given_offset = SIZE_MAX,
                                               .fields = &quotas_field,
                                               .field_count = 1};

static enum kw_status take_objects(struct kw__draft *draft, const struct kw_schema *schema,
                                   const struct kw_json_token *first, const void **items_out, size_t *count_out)
{
    struct objects_body body = {NULL, 0};
    struct kw_bytes json;
    enum kw_status status = kw_json_skip(&draft->reader, first, &json, draft->error);
    if (status != KW_OK) {
        return status;
    }
    struct kw_buffer object;
    struct kw_bytes name = schema->fields[0].name;
    size_t size = name.size + json.size + strlen("{\"\":}");
    uint8_t *memory = kw_arena_take(draft->arena, size);
    if (memory == NULL) {
        return kw__no_memory(draft->error);
    }
    kw_buffer_init_fixed(&object, memory, size);
    kw_buffer_add_text(&object, "{\"");
    kw_buffer_add(&object, name);
    kw_buffer_add_text(&object, "\":");
    kw_buffer_add(&object, json);
    kw_buffer_add_byte(&object, '}');
    status = kw_schema_bind_json(schema, kw_buffer_bytes(&object), draft->arena, &body, draft->error);
    if (status == KW_OK) {
        *items_out = body.items;
        *count_out = body.count;
    }
    return status;
}

/* Bound as in a creation, and by the same table. */
static enum kw_status take_schedule(struct kw__draft *draft, const struct field *field,
                                    const struct kw_json_token *token, struct kw_schedule_params *schedule)
{
    struct kw_bytes json;
    if (token->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, field->name,
                                "must be an object such as {\"revokeAt\": \"2031-01-31T12:00:00Z\"}");
    }
    enum kw_status status = kw_json_skip(&draft->reader, token, &json, draft->error);
    if (status == KW_OK) {
        status = kw_schema_bind_json(&kw__schedule_schema, json, draft->arena, schedule, draft->error);
        status = kw__schema_under(status, field->name, draft->error);
    }
    return status;
}

static enum kw_status take_object(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token,
                                  struct kw_bytes *json_out)
{
    if (token->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, field->name, "must be an object");
    }
    return kw_json_skip(&draft->reader, token, json_out, draft->error);
}

static enum kw_status take_time(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token,
                                int64_t *time_ms_out)
{
    struct kw_bytes text = token->type == KW_JSON_STRING ? token->text : (struct kw_bytes){NULL, 0};
    enum kw_status status = kw__schema_time(text, time_ms_out, draft->error);
    return kw__schema_under(status, field->name, draft->error);
}

static enum kw_status take_id(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token,
                              struct kw_id *id_out)
{
    if (token->type != KW_JSON_STRING || !kw_id_parse(token->text, id_out) || kw_id_is_none(id_out)) {
        return kw__draft_refuse(draft, field->name, "must be the id of a key: \"key_\" and 26 characters");
    }
    return KW_OK;
}

static enum kw_status take_last_four(struct kw__draft *draft, const struct field *field,
                                     const struct kw_json_token *token, uint8_t last_four[4])
{
    bool good = token->type == KW_JSON_STRING && token->text.size == 4;
    for (size_t i = 0; good && i < 4; i++) {
        good = token->text.data[i] > ' ' && token->text.data[i] < 0x7f;
    }
    if (!good) {
        return kw__draft_refuse(draft, field->name, "must be the last four characters of the key");
    }
    memcpy(last_four, token->text.data, 4);
    return KW_OK;
}

static enum kw_status take_value(struct kw__draft *draft, const struct field *field, const struct kw_json_token *token)
{
    uint8_t *base = field->given != 0 ? (uint8_t *)&draft->params : (uint8_t *)&draft->item->record;
    void *place = base + field->offset;
    struct kw_bytes ignored;
    switch ((enum kind)field->kind) {
    case IGNORED:
        return kw_json_skip(&draft->reader, token, &ignored, draft->error);
    case TEXT:
        return take_text(draft, field, token, place);
    case USER:
        return take_user(draft, field, token, place);
    case TEXTS:
        return take_texts(draft, field->name, token, place, (size_t *)(void *)(base + field->count_at));
    case RESOURCES:
        return take_resources(draft, field->name, token, place, (size_t *)(void *)(base + field->count_at));
    case RATE_LIMITS:
        return take_objects(draft, &rate_limits_schema, token, place, (size_t *)(void *)(base + field->count_at));
    case QUOTAS:
        return take_objects(draft, &quotas_schema, token, place, (size_t *)(void *)(base + field->count_at));
    case SCHEDULE:
        return take_schedule(draft, field, token, place);
    case OBJECT:
        return take_object(draft, field, token, place);
    case BOOL:
        if (token->type != KW_JSON_TRUE && token->type != KW_JSON_FALSE) {
            return kw__draft_refuse(draft, field->name, "must be true or false");
        }
        *(bool *)place = token->type == KW_JSON_TRUE;
        return KW_OK;
    case TIME:
        return take_time(draft, field, token, place);
    case ID:
        return take_id(draft, field, token, place);
    case LAST_FOUR:
        return take_last_four(draft, field, token, place);
    }
    return KW_E_INVALID;
}

enum kw_status kw__draft_field(struct kw__draft *draft, struct kw_bytes name, unsigned where,
                               const struct kw_json_token *token, bool *is_known_out)
{
    size_t index = find(name);
    *is_known_out = index < KW_COUNT_OF(fields) && (fields[index].where & where) != 0;
    if (!*is_known_out) {
        return KW_OK;
    }
    const struct field *field = &fields[index];
    if ((draft->seen >> index & 1) != 0) {
        return kw_refuse(draft->error, KW_CODE_DUPLICATE_FIELD, field->name, "stands twice");
    }
    if (token->type == KW_JSON_NULL) {
        return KW_OK;
    }
    enum kw_status status = take_value(draft, field, token);
    if (status == KW_OK) {
        draft->seen |= UINT64_C(1) << index;
        draft->params.given |= field->given;
    }
    return status;
}
