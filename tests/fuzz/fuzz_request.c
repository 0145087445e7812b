/*
 * Bodies and queries against every schema of the interface. The first byte chooses the schema (behind the bodies stands
 * the query of lists), the rest is the request. What is taken must lie where it may, what is refused must say why.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "server/bodies.h"
#include "server/router.h"
#include <keyward/codes.h>

#include <stdlib.h>

#define ARENA_MAX (8 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Reads every byte, so that the sanitizer sees the ones that are not there. */
static void touch(struct kw_bytes bytes)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        sum = (uint8_t)(sum + bytes.data[i]);
    }
}

static void touch_member(const struct kw_field *field, const uint8_t *out);

static void touch_struct(const struct kw_schema *schema, const uint8_t *out)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        touch_member(&schema->fields[i], out);
    }
}

/* An item with a fault is zero but for that. */
static void touch_fault(const struct kw_schema *schema, const uint8_t *out)
{
    const struct kw_error *fault = NULL;
    if (schema->fault_offset != 0) {
        memcpy(&fault, out + schema->fault_offset, sizeof fault);
    }
    for (size_t i = 0; i < schema->size && fault != NULL; i++) {
        bool is_fault = i >= schema->fault_offset && i < schema->fault_offset + sizeof fault;
        require(is_fault || out[i] == 0);
    }
    require(fault == NULL || (kw_code_of_name(fault->code) != KW_CODE_NONE && fault->message[0] != '\0'));
}

static void touch_rows(const struct kw_field *field, const uint8_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (field->kind == KW_FIELD_TEXTS) {
            touch(((const struct kw_bytes *)(const void *)rows)[i]);
        } else if (field->kind == KW_FIELD_OBJECTS || field->kind == KW_FIELD_ONE) {
            touch_struct(field->items, rows + i * field->items->size);
            touch_fault(field->items, rows + i * field->items->size);
        } else {
            const struct kw_resource_scopes *resource = (const struct kw_resource_scopes *)(const void *)rows + i;
            touch(resource->resource);
            require(resource->scope_count <= KW_SCOPE_COUNT_MAX);
            for (size_t j = 0; j < resource->scope_count; j++) {
                touch(resource->scopes[j]);
            }
        }
    }
}

static void touch_member(const struct kw_field *field, const uint8_t *out)
{
    struct kw_bytes text;
    const uint8_t *rows;
    size_t count;
    switch (field->kind) {
    case KW_FIELD_TEXT:
    case KW_FIELD_JSON:
        memcpy(&text, out + field->offset, sizeof text);
        touch(text);
        require(field->size_max == 0 || text.size <= field->size_max + field->before.size);
        return;
    case KW_FIELD_TEXTS:
    case KW_FIELD_OBJECTS:
    case KW_FIELD_ONE:
    case KW_FIELD_RESOURCES:
        memcpy(&rows, out + field->offset, sizeof rows);
        memcpy(&count, out + field->count_offset, sizeof count);
        require(field->count_max == 0 || count <= field->count_max);
        touch_rows(field, rows, count);
        return;
    case KW_FIELD_OBJECT:
        touch_struct(field->items, out + field->offset);
        return;
    default:
        return;
    }
}

static void check(const struct kw_schema *schema, enum kw_status status, const struct kw_error *error, const void *out)
{
    if (status == KW_OK) {
        touch_struct(schema, out);
        return;
    }
    require(kw_code_of_name(error->code) != KW_CODE_NONE);
    require(error->message[0] != '\0');
    require(kw_utf8_valid(kw_bytes_of_text(error->field)) && kw_utf8_valid(kw_bytes_of_text(error->message)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct kw_bytes request = kw_bytes_of(data + 1, size - 1);
    size_t choice = data[0] % (kw__body_schema_count + 1);
    bool is_query = choice == kw__body_schema_count;
    const struct kw_schema *schema =
        is_query ? kw_route_find(KW_GET, KW_BYTES("/v1/keys")).route->query : kw__body_schemas[choice];
    struct kw_arena arena;
    struct kw_error error = {0};
    kw_arena_init(&arena, NULL, 0, ARENA_MAX);
    void *out = kw_arena_take(&arena, schema->size);
    require(out != NULL);
    enum kw_status status = is_query ? kw_schema_bind_query(schema, request, &arena, out, &error)
                                     : kw_schema_bind_json(schema, request, &arena, out, &error);
    check(schema, status, &error, out);
    kw_arena_reset(&arena);
    return 0;
}
