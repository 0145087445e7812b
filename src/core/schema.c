#include "core/schema_parts.h"

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "core/amount.h"
#include "core/key.h"
#include "core/scope.h"

#define ITEMS_ROOM_FIRST 4

struct binder {
    struct kw_json_reader reader;
    struct kw_arena *arena;
    struct kw_error *error;
};

/* A row of items that grows up to what its field allows. */
struct items {
    uint8_t *data;
    size_t count, room, item_size;
    size_t count_max; /* 0: no limit */
};

static enum kw_status bind_members(struct binder *binder, const struct kw_schema *schema, uint8_t *out);

static enum kw_status refuse(struct binder *binder, const char *message)
{
    return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "%s", message);
}

static enum kw_status next(struct binder *binder, struct kw_json_token *token_out)
{
    return kw_json_next(&binder->reader, token_out, binder->error);
}

static enum kw_status under_index(struct binder *binder, enum kw_status status, size_t index)
{
    if (status == KW_OK) {
        return KW_OK;
    }
    char parent[32];
    kw__schema_index(index, parent);
    return kw__schema_under(status, parent, binder->error);
}

/* One more, zeroed. */
static enum kw_status add_item(struct binder *binder, struct items *items, void **item_out)
{
    if (items->count_max != 0 && items->count == items->count_max) {
        return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "holds too many: at most %zu", items->count_max);
    }
    if (items->count == items->room) {
        size_t room = items->room == 0 ? ITEMS_ROOM_FIRST : items->room * 2;
        uint8_t *data = kw_arena_take_array(binder->arena, room, items->item_size);
        if (data == NULL) {
            return kw__schema_no_room(binder->arena, room * items->item_size, binder->error);
        }
        if (items->count > 0) {
            memcpy(data, items->data, items->count * items->item_size);
        }
        items->data = data;
        items->room = room;
    }
    *item_out = items->data + items->count++ * items->item_size;
    return KW_OK;
}

/* Puts a row of items where the field says. */
static enum kw_status put_items(struct binder *binder, const struct kw_field *field, const struct items *items,
                                uint8_t *out)
{
    if (items->count < field->count_min) {
        return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "must hold at least %u", field->count_min);
    }
    const void *data = items->data;
    memcpy(out + field->offset, &data, sizeof data);
    memcpy(out + field->count_offset, &items->count, sizeof items->count);
    return KW_OK;
}

static enum kw_status take_text(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                struct kw_bytes *text_out)
{
    if (token->type != KW_JSON_STRING) {
        return refuse(binder, "must be a string");
    }
    return kw__schema_text(field, token->text, binder->arena, text_out, binder->error);
}

static enum kw_status bind_text(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                uint8_t *out)
{
    return take_text(binder, field, token, (struct kw_bytes *)(void *)(out + field->offset));
}

/* A whole array of strings. */
static enum kw_status take_texts(struct binder *binder, const struct kw_field *field, const struct kw_json_token *first,
                                 struct items *items)
{
    if (first->type != KW_JSON_ARRAY_BEGIN) {
        return refuse(binder, "must be an array of strings");
    }
    *items = (struct items){.item_size = sizeof(struct kw_bytes), .count_max = field->count_max};
    for (;;) {
        struct kw_json_token token;
        enum kw_status status = next(binder, &token);
        if (status != KW_OK || token.type == KW_JSON_ARRAY_END) {
            return status;
        }
        void *item = NULL;
        status = add_item(binder, items, &item);
        if (status == KW_OK) {
            status = under_index(binder, take_text(binder, field, &token, item), items->count - 1);
        }
        if (status != KW_OK) {
            return status;
        }
    }
}

static enum kw_status bind_texts(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                 uint8_t *out)
{
    struct items items;
    enum kw_status status = take_texts(binder, field, token, &items);
    return status == KW_OK ? put_items(binder, field, &items, out) : status;
}

static enum kw_status bind_bool(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                uint8_t *out)
{
    if (token->type != KW_JSON_TRUE && token->type != KW_JSON_FALSE) {
        return refuse(binder, "must be true or false");
    }
    *(bool *)(out + field->offset) = token->type == KW_JSON_TRUE;
    return KW_OK;
}

static enum kw_status bind_integer(struct binder *binder, const struct kw_field *field,
                                   const struct kw_json_token *token, uint8_t *out)
{
    int64_t value = 0;
    bool is_whole = token->type == KW_JSON_NUMBER && kw_json_to_i64(token->text, &value);
    return kw__schema_integer(field, is_whole, value, (int64_t *)(void *)(out + field->offset), binder->error);
}

static enum kw_status bind_time(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                uint8_t *out)
{
    /* What is no string is no time either: an empty text is refused as one. */
    struct kw_bytes text = token->type == KW_JSON_STRING ? token->text : (struct kw_bytes){NULL, 0};
    return kw__schema_time(text, (int64_t *)(void *)(out + field->offset), binder->error);
}

static enum kw_status bind_duration(struct binder *binder, const struct kw_field *field,
                                    const struct kw_json_token *token, uint8_t *out)
{
    int64_t duration_ms;
    if (token->type != KW_JSON_STRING || !kw_duration_parse(token->text, &duration_ms)) {
        return refuse(binder,
                      "must be a duration such as \"90d\", \"12h\" or \"30m\", above zero and of 100 years at most");
    }
    memcpy(out + field->offset, &duration_ms, sizeof duration_ms);
    return KW_OK;
}

static enum kw_status bind_json(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                uint8_t *out)
{
    if (field->kind == KW_FIELD_JSON && token->type != KW_JSON_OBJECT_BEGIN) {
        return refuse(binder, "must be an object");
    }
    struct kw_bytes raw;
    enum kw_status status = kw_json_skip(&binder->reader, token, &raw, binder->error);
    if (status != KW_OK) {
        return status;
    }
    uint8_t *text = kw_arena_take(binder->arena, raw.size);
    if (text == NULL) {
        return kw__schema_no_room(binder->arena, raw.size, binder->error);
    }
    struct kw_bytes json = kw_bytes_of(text, kw__schema_compact(raw, text));
    if (field->size_max != 0 && json.size > field->size_max) {
        return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "is too long: at most %u bytes of JSON",
                         field->size_max);
    }
    memcpy(out + field->offset, &json, sizeof json);
    return KW_OK;
}

/* The name of a resource ("type:id") as the parent of an error's field, unless somebody took a key for an id. */
static enum kw_status under_resource(struct binder *binder, enum kw_status status, struct kw_bytes name)
{
    char parent[KW_ERROR_FIELD_MAX] = "*";
    struct kw_bytes type, id;
    kw_bytes_split(name, ':', &type, &id);
    bool is_plain = kw_resource_valid(name) || (kw_scope_valid(name) && name.data[name.size - 1] != '*');
    if (is_plain && name.size < sizeof parent && !kw_key_well_formed(type) && !kw_key_well_formed(id)) {
        memcpy(parent, name.data, name.size);
        parent[name.size] = '\0';
    }
    return kw__schema_under(status, parent, binder->error);
}

static enum kw_status bind_resource(struct binder *binder, const struct kw_field *field, struct kw_bytes name,
                                    struct kw_resource_scopes *resource)
{
    if (name.size > field->size_max) {
        return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "a resource's name is too long: at most %u bytes",
                         field->size_max);
    }
    struct kw_json_token token;
    struct items scopes;
    const struct kw_field *each = &field->items->fields[0];
    enum kw_status status = next(binder, &token);
    if (status == KW_OK) {
        status = take_texts(binder, each, &token, &scopes);
    }
    if (status != KW_OK) {
        return status;
    }
    *resource = (struct kw_resource_scopes){name, (const struct kw_bytes *)(void *)scopes.data, scopes.count};
    return KW_OK;
}

static bool has_resource(const struct items *items, struct kw_bytes name)
{
    const struct kw_resource_scopes *resources = (const void *)items->data;
    for (size_t i = 0; i < items->count; i++) {
        if (kw_bytes_equal(resources[i].resource, name)) {
            return true;
        }
    }
    return false;
}

static enum kw_status bind_resources(struct binder *binder, const struct kw_field *field,
                                     const struct kw_json_token *first, uint8_t *out)
{
    if (first->type != KW_JSON_OBJECT_BEGIN) {
        return refuse(binder,
                      "must be an object whose members are arrays of strings, such as {\"website:123\": [\"read\"]}");
    }
    struct items items = {.item_size = sizeof(struct kw_resource_scopes), .count_max = field->count_max};
    for (;;) {
        struct kw_json_token name;
        enum kw_status status = next(binder, &name);
        if (status == KW_OK && name.type == KW_JSON_OBJECT_END) {
            return put_items(binder, field, &items, out);
        }
        if (status == KW_OK && has_resource(&items, name.text)) {
            return kw__schema_refuse_name(KW_CODE_DUPLICATE_FIELD, name.text, "stands twice", binder->error);
        }
        void *item = NULL;
        status = status != KW_OK ? status : add_item(binder, &items, &item);
        if (status != KW_OK) {
            return status;
        }
        status = under_resource(binder, bind_resource(binder, field, name.text, item), name.text);
        if (status != KW_OK) {
            return status;
        }
    }
}

static enum kw_status bind_object(struct binder *binder, const struct kw_field *field,
                                  const struct kw_json_token *token, uint8_t *out)
{
    if (token->type != KW_JSON_OBJECT_BEGIN) {
        return refuse(binder, "must be an object");
    }
    return bind_members(binder, field->items, out + field->offset);
}

/* For want of room none of the items can be answered. */
static bool lacks_room(enum kw_status status, const struct kw_error *error)
{
    enum kw_code code = kw_code_of_name(error->code);
    return status == KW_E_MEMORY || code == KW_CODE_BODY_TOO_LARGE || code == KW_CODE_TOO_BUSY;
}

/* What is wrong becomes the item's own fault, as long as the item is JSON at all. */
static enum kw_status set_aside(struct binder *binder, const struct kw_schema *schema,
                                const struct kw_json_token *token, void *item)
{
    struct kw_error *fault = kw_arena_take(binder->arena, sizeof *fault);
    if (fault == NULL) {
        return kw__schema_no_room(binder->arena, sizeof *fault, binder->error);
    }
    *fault = *binder->error;
    memset(item, 0, schema->size);
    *(const struct kw_error **)(void *)((uint8_t *)item + schema->fault_offset) = fault;
    return kw_json_pass(&binder->reader, token, binder->error);
}

static enum kw_status bind_item(struct binder *binder, const struct kw_schema *schema,
                                const struct kw_json_token *token, void *item)
{
    struct kw_json_reader before = binder->reader;
    enum kw_status status =
        token->type == KW_JSON_OBJECT_BEGIN ? bind_members(binder, schema, item) : refuse(binder, "must be an object");
    if (status == KW_OK || schema->fault_offset == 0 || lacks_room(status, binder->error)) {
        return status;
    }
    binder->reader = before;
    return set_aside(binder, schema, token, item);
}

static enum kw_status bind_objects(struct binder *binder, const struct kw_field *field,
                                   const struct kw_json_token *first, uint8_t *out)
{
    if (first->type != KW_JSON_ARRAY_BEGIN) {
        return refuse(binder, "must be an array of objects");
    }
    struct items items = {.item_size = field->items->size, .count_max = field->count_max};
    for (;;) {
        struct kw_json_token token;
        enum kw_status status = next(binder, &token);
        if (status == KW_OK && token.type == KW_JSON_ARRAY_END) {
            return put_items(binder, field, &items, out);
        }
        void *item = NULL;
        status = status != KW_OK ? status : add_item(binder, &items, &item);
        if (status != KW_OK || item == NULL) {
            return status;
        }
        status = bind_item(binder, field->items, &token, item);
        if (status != KW_OK) {
            return under_index(binder, status, items.count - 1);
        }
    }
}

/* An object where several could stand elsewhere. */
static enum kw_status bind_one(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                               uint8_t *out)
{
    if (token->type != KW_JSON_OBJECT_BEGIN) {
        return refuse(binder, "must be an object");
    }
    struct items items = {.item_size = field->items->size};
    void *item = NULL;
    enum kw_status status = add_item(binder, &items, &item);
    status = status != KW_OK ? status : bind_members(binder, field->items, item);
    return status != KW_OK ? status : put_items(binder, field, &items, out);
}

static enum kw_status bind_amount(struct binder *binder, const struct kw_field *field,
                                  const struct kw_json_token *token, uint8_t *out)
{
    const char *why = "must be a number, such as 1500 or 0.002";
    if (token->type != KW_JSON_NUMBER ||
        kw_amount_parse(token->text, (int64_t *)(void *)(out + field->offset), &why) != KW_OK) {
        return refuse(binder, why);
    }
    return KW_OK;
}

static enum kw_status bind_choice(struct binder *binder, const struct kw_field *field,
                                  const struct kw_json_token *token, uint8_t *out)
{
    size_t index = 0;
    /* What is no string is no choice either: an empty text is refused as one. */
    struct kw_bytes text = token->type == KW_JSON_STRING ? token->text : (struct kw_bytes){NULL, 0};
    enum kw_status status = kw__schema_choice(field, text, &index, binder->error);
    if (status == KW_OK) {
        int value = (int)field->low + (int)index;
        memcpy(out + field->offset, &value, sizeof value);
    }
    return status;
}

static enum kw_status bind_bytes(struct binder *binder, const struct kw_field *field, const struct kw_json_token *first,
                                 uint8_t *out)
{
    uint8_t *count = out + field->count_offset;
    if (first->type != KW_JSON_ARRAY_BEGIN) {
        return refuse(binder, "must be an array of whole numbers");
    }
    for (;;) {
        struct kw_json_token token;
        int64_t value = 0;
        enum kw_status status = next(binder, &token);
        if (status != KW_OK) {
            return status;
        }
        if (token.type == KW_JSON_ARRAY_END) {
            return *count >= field->count_min ? KW_OK : refuse(binder, "must not be empty: leave it out instead");
        }
        if (*count == field->count_max) {
            return kw_refuse(binder->error, KW_CODE_INVALID_FIELD, NULL, "holds too many: at most %u",
                             field->count_max);
        }
        bool is_whole = token.type == KW_JSON_NUMBER && kw_json_to_i64(token.text, &value);
        status = kw__schema_integer(field, is_whole, value, &value, binder->error);
        if (status != KW_OK) {
            return under_index(binder, status, *count);
        }
        out[field->offset + (*count)++] = (uint8_t)value;
    }
}

static enum kw_status bind_value(struct binder *binder, const struct kw_field *field, const struct kw_json_token *token,
                                 uint8_t *out)
{
    static enum kw_status (*const by_kind[])(struct binder *, const struct kw_field *, const struct kw_json_token *,
                                             uint8_t *) = {
        [KW_FIELD_TEXT] = bind_text,       [KW_FIELD_TEXTS] = bind_texts,         [KW_FIELD_BOOL] = bind_bool,
        [KW_FIELD_INTEGER] = bind_integer, [KW_FIELD_TIME] = bind_time,           [KW_FIELD_DURATION] = bind_duration,
        [KW_FIELD_JSON] = bind_json,       [KW_FIELD_RESOURCES] = bind_resources, [KW_FIELD_OBJECT] = bind_object,
        [KW_FIELD_OBJECTS] = bind_objects, [KW_FIELD_VALUE] = bind_json,          [KW_FIELD_ONE] = bind_one,
        [KW_FIELD_AMOUNT] = bind_amount,   [KW_FIELD_CHOICE] = bind_choice,       [KW_FIELD_BYTES] = bind_bytes,
    };
    if (token->type == KW_JSON_NULL) {
        return field->is_nullable ? KW_OK : refuse(binder, "must not be null: leave it out instead");
    }
    return by_kind[field->kind](binder, field, token, out);
}

static enum kw_status bind_member(struct binder *binder, const struct kw_schema *schema, const struct kw_field *field,
                                  uint8_t *out)
{
    struct kw_json_token token;
    enum kw_status status = next(binder, &token);
    if (status == KW_OK) {
        status = bind_value(binder, field, &token, out);
    }
    if (status != KW_OK) {
        return kw__schema_under(status, (const char *)field->name.data, binder->error);
    }
    if (schema->given_offset != SIZE_MAX) {
        *(uint32_t *)(void *)(out + schema->given_offset) |= field->given;
    }
    return KW_OK;
}

/* Reads up to the end of the object that just began. */
static enum kw_status bind_members(struct binder *binder, const struct kw_schema *schema, uint8_t *out)
{
    uint32_t seen = 0;
    kw__schema_prefill(schema, out);
    for (;;) {
        struct kw_json_token name;
        enum kw_status status = next(binder, &name);
        if (status != KW_OK) {
            return status;
        }
        if (name.type == KW_JSON_OBJECT_END) {
            return kw__schema_complete(schema, seen, binder->error);
        }
        size_t index = kw__schema_find(schema, name.text);
        if (index == schema->field_count) {
            return kw__schema_refuse_name(KW_CODE_UNKNOWN_FIELD, name.text, "is not known here", binder->error);
        }
        if ((seen >> index & 1) != 0) {
            return kw_refuse(binder->error, KW_CODE_DUPLICATE_FIELD, (const char *)schema->fields[index].name.data,
                             "stands twice");
        }
        seen |= UINT32_C(1) << index;
        status = bind_member(binder, schema, &schema->fields[index], out);
        if (status != KW_OK) {
            return status;
        }
    }
}

enum kw_status kw_schema_bind_json(const struct kw_schema *schema, struct kw_bytes body, struct kw_arena *arena,
                                   void *out, struct kw_error *error_out)
{
    struct kw_error unread;
    struct binder binder = {.arena = arena, .error = error_out == NULL ? &unread : error_out};
    if (schema->takes_all) {
        memcpy(out, &body, sizeof body);
        return KW_OK;
    }
    kw_json_reader_init(&binder.reader, body, arena);
    struct kw_json_token token;
    enum kw_status status = next(&binder, &token);
    if (status == KW_OK && token.type != KW_JSON_OBJECT_BEGIN) {
        return kw_refuse(binder.error, KW_CODE_INVALID_REQUEST, NULL, "The body must be a JSON object.");
    }
    status = status == KW_OK ? bind_members(&binder, schema, out) : status;
    return status == KW_OK ? next(&binder, &token) : status; /* the end, or what must not follow */
}
