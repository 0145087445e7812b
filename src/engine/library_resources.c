#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"
#include "core/schema.h"
#include "core/scope.h"
#include "core/transition.h"
#include <keyward/resources.h>

/* What a packed list needs beside the texts, at most: as params are measured. */
#define SCOPE_OVERHEAD 3
#define RESOURCE_OVERHEAD 6

#define JSON_MAX 262144 /* what the largest resources take with every byte escaped, and more */
#define JSON_MEMORY_MAX ((size_t)1024 * 1024)
#define JSON_BEGIN "{\"resources\":"

/* One resource. Names are copies of our own. */
struct grant {
    struct kw_bytes resource;
    struct kw_bytes scopes[KW_SCOPE_COUNT_MAX];
    size_t scope_count;
};

struct kw_resources {
    struct grant *grants[KW_RESOURCE_COUNT_MAX];
    size_t count;
    size_t size; /* towards KW_RESOURCES_MAX */
    struct kw_resource_scopes built[KW_RESOURCE_COUNT_MAX];
};

/* "type:id" on its way to a look-up; what is longer than any resource's name is cut, and is none. */
struct name {
    uint8_t text[KW_RESOURCE_MAX + 1];
    struct kw_buffer buffer;
};

static void add_part(struct kw_buffer *buffer, struct kw_bytes part)
{
    size_t room = buffer->capacity - buffer->size;
    kw_buffer_add(buffer, kw_bytes_of(part.data, part.size < room ? part.size : room));
}

/* Empty, which is no resource, where the type is none: "a:b" and "c" must not come to mean "a" and "b:c". */
static struct kw_bytes join(struct name *name, struct kw_bytes type, struct kw_bytes id)
{
    struct kw_bytes before, behind;
    kw_buffer_init_fixed(&name->buffer, name->text, sizeof name->text);
    if (kw_bytes_split(type, ':', &before, &behind)) {
        return KW_BYTES("");
    }
    add_part(&name->buffer, type);
    if (id.size > 0 || !kw_bytes_equal(type, KW_BYTES("*"))) {
        add_part(&name->buffer, KW_BYTES(":"));
        add_part(&name->buffer, id);
    }
    return kw_buffer_bytes(&name->buffer);
}

static enum kw_status no_memory(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
}

static bool copy_text(struct kw_bytes text, struct kw_bytes *copy_out)
{
    uint8_t *copy = kw_alloc(1, text.size == 0 ? 1 : text.size);
    if (copy != NULL) {
        memcpy(copy, text.data, text.size);
        *copy_out = kw_bytes_of(copy, text.size);
    }
    return copy != NULL;
}

static void free_text(struct kw_bytes text)
{
    kw_free((void *)text.data);
}

/* --- grants --- */

static size_t find_grant(const struct kw_resources *resources, struct kw_bytes resource)
{
    size_t at = 0;
    while (at < resources->count && !kw_bytes_equal(resources->grants[at]->resource, resource)) {
        at++;
    }
    return at;
}

static size_t find_scope(const struct grant *grant, struct kw_bytes scope)
{
    size_t at = 0;
    while (at < grant->scope_count && !kw_bytes_equal(grant->scopes[at], scope)) {
        at++;
    }
    return at;
}

static void drop_scopes(struct kw_resources *resources, struct grant *grant, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        resources->size -= grant->scopes[i].size + SCOPE_OVERHEAD;
        free_text(grant->scopes[i]);
    }
    memmove(&grant->scopes[first], &grant->scopes[first + count],
            (grant->scope_count - first - count) * sizeof *grant->scopes);
    grant->scope_count -= count;
}

static void drop_grant(struct kw_resources *resources, size_t at)
{
    struct grant *grant = resources->grants[at];
    drop_scopes(resources, grant, 0, grant->scope_count);
    resources->size -= grant->resource.size + RESOURCE_OVERHEAD;
    free_text(grant->resource);
    kw_free(grant);
    resources->count--;
    for (size_t i = at; i < resources->count; i++) {
        resources->grants[i] = resources->grants[i + 1];
    }
}

static struct grant *new_grant(struct kw_resources *resources, struct kw_bytes resource)
{
    struct grant *grant = kw_alloc(1, sizeof *grant);
    if (grant == NULL || !copy_text(resource, &grant->resource)) {
        kw_free(grant);
        return NULL;
    }
    resources->grants[resources->count++] = grant;
    resources->size += resource.size + RESOURCE_OVERHEAD;
    return grant;
}

struct kw_resources *kw_resources_new(void)
{
    return kw_alloc(1, sizeof(struct kw_resources));
}

void kw_resources_free(struct kw_resources *resources)
{
    while (resources != NULL && resources->count > 0) {
        drop_grant(resources, resources->count - 1);
    }
    kw_free(resources);
}

/* --- adding --- */

/* The form of names, by the same function that a creation asks. */
static enum kw_status check_form(const struct kw_resource_scopes *added, struct kw_error *error_out)
{
    struct kw_arena arena;
    struct kw_key_params params = {.given = KW_GIVEN_RESOURCES, .resources = added, .resource_count = 1};
    kw_arena_init(&arena, NULL, 0, KW_RECORD_MAX);
    enum kw_status status = kw_key_params_check(&params, 0, &arena, error_out);
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status refuse_scopes(struct kw_bytes resource, struct kw_error *error_out)
{
    char field[KW_ERROR_FIELD_MAX + KW_RESOURCE_MAX];
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, field, sizeof field);
    kw_buffer_add_text(&text, "resources.");
    kw_buffer_add(&text, resource);
    kw_buffer_add_byte(&text, '\0');
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "are too many: at most %d scopes", KW_SCOPE_COUNT_MAX);
}

/* Adds what is not there yet behind what is; the caller takes it back where not all of it could be added. */
static enum kw_status add_scopes(struct kw_resources *resources, struct grant *grant,
                                 const struct kw_resource_scopes *added, struct kw_error *error_out)
{
    for (size_t i = 0; i < added->scope_count; i++) {
        if (find_scope(grant, added->scopes[i]) < grant->scope_count) {
            continue;
        }
        if (grant->scope_count == KW_SCOPE_COUNT_MAX) {
            return refuse_scopes(added->resource, error_out);
        }
        if (!copy_text(added->scopes[i], &grant->scopes[grant->scope_count])) {
            return no_memory(error_out);
        }
        grant->scope_count++;
        resources->size += added->scopes[i].size + SCOPE_OVERHEAD;
    }
    return resources->size <= KW_RESOURCES_MAX
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resources",
                           "are too large together: at most %d bytes; use wildcards such as \"website:*\"",
                           KW_RESOURCES_MAX);
}

static enum kw_status add(struct kw_resources *resources, const struct kw_resource_scopes *added,
                          struct kw_error *error_out)
{
    if (resources == NULL) {
        return no_memory(error_out);
    }
    enum kw_status status = check_form(added, error_out);
    if (status != KW_OK) {
        return status;
    }
    size_t at = find_grant(resources, added->resource);
    bool is_new = at == resources->count;
    if (is_new && at == KW_RESOURCE_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resources",
                         "are too many: at most %d; use wildcards such as \"website:*\"", KW_RESOURCE_COUNT_MAX);
    }
    struct grant *grant = is_new ? new_grant(resources, added->resource) : resources->grants[at];
    if (grant == NULL) {
        return no_memory(error_out);
    }
    size_t before = grant->scope_count;
    status = add_scopes(resources, grant, added, error_out);
    if (status != KW_OK && is_new) {
        drop_grant(resources, at);
    } else if (status != KW_OK) {
        drop_scopes(resources, grant, before, grant->scope_count - before);
    }
    return status;
}

enum kw_status kw_resources_add_many(struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                                     const struct kw_bytes *scopes, size_t scope_count, struct kw_error *error_out)
{
    struct name name;
    const struct kw_resource_scopes added = {join(&name, type, id), scopes, scope_count};
    return add(resources, &added, error_out);
}

enum kw_status kw_resources_add(struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                                struct kw_bytes scope, struct kw_error *error_out)
{
    return kw_resources_add_many(resources, type, id, &scope, 1, error_out);
}

/* Puts what `other` holds in the place of what is there. */
static void take_over(struct kw_resources *resources, struct kw_resources *other)
{
    struct kw_resources before = *resources;
    *resources = *other;
    *other = before;
}

/* Adds several resources to a copy first, which takes the builder's place when all of them were added. */
static enum kw_status add_all(struct kw_resources *resources, const struct kw_resource_scopes *added, size_t count,
                              struct kw_error *error_out)
{
    struct kw_resources *copy = kw_resources_new();
    if (resources == NULL || copy == NULL) {
        kw_resources_free(copy);
        return no_memory(error_out);
    }
    enum kw_status status = KW_OK;
    for (size_t i = 0; status == KW_OK && i < resources->count; i++) {
        const struct grant *grant = resources->grants[i];
        const struct kw_resource_scopes held = {grant->resource, grant->scopes, grant->scope_count};
        status = add(copy, &held, error_out);
    }
    for (size_t i = 0; status == KW_OK && i < count; i++) {
        status = add(copy, &added[i], error_out);
    }
    if (status == KW_OK) {
        take_over(resources, copy);
    }
    kw_resources_free(copy);
    return status;
}

enum kw_status kw_resources_add_record(struct kw_resources *resources, const struct kw_record *record,
                                       struct kw_error *error_out)
{
    struct kw_resource_scopes added[KW_RESOURCE_COUNT_MAX];
    struct kw_arena arena;
    struct kw_bytes rest = record->resources.packed;
    struct kw_bytes resource;
    struct kw_list scopes;
    size_t count = 0;
    enum kw_status status = KW_OK;
    kw_arena_init(&arena, NULL, 0, JSON_MEMORY_MAX);
    while (status == KW_OK && count < KW_COUNT_OF(added) && kw_resources_next(&rest, &resource, &scopes)) {
        struct kw_bytes *texts = kw_arena_take_array(&arena, KW_SCOPE_COUNT_MAX, sizeof *texts);
        struct kw_bytes rest_scopes = scopes.packed;
        size_t scope_count = 0;
        while (texts != NULL && scope_count < KW_SCOPE_COUNT_MAX && kw_list_next(&rest_scopes, &texts[scope_count])) {
            scope_count++;
        }
        added[count++] = (struct kw_resource_scopes){resource, texts, scope_count};
        status = texts == NULL ? no_memory(error_out) : KW_OK;
    }
    status = status == KW_OK ? add_all(resources, added, count, error_out) : status;
    kw_arena_reset(&arena);
    return status;
}

/* --- JSON --- */

/* That it is one value and nothing behind it, before it stands inside of another. */
static enum kw_status check_json(struct kw_bytes json, struct kw_arena *arena, struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    enum kw_status status;
    kw_json_reader_init(&reader, json, arena);
    do {
        status = kw_json_next(&reader, &token, error_out);
    } while (status == KW_OK && token.type != KW_JSON_END);
    return status;
}

/* Read as the HTTP interface reads a creation's `resources`, by the same table. */
static enum kw_status read_json(struct kw_bytes json, struct kw_arena *arena, struct kw_key_params *params,
                                struct kw_error *error_out)
{
    static const struct kw_field scope = {.name = {(const uint8_t *)"scopes", 6},
                                          .kind = KW_FIELD_TEXTS,
                                          .size_min = 1,
                                          .size_max = KW_SCOPE_MAX,
                                          .count_max = KW_SCOPE_COUNT_MAX};
    static const struct kw_schema scopes = {.name = "Scopes", .fields = &scope, .field_count = 1};
    static const struct kw_field field = {.name = {(const uint8_t *)"resources", 9},
                                          .kind = KW_FIELD_RESOURCES,
                                          .offset = offsetof(struct kw_key_params, resources),
                                          .count_offset = offsetof(struct kw_key_params, resource_count),
                                          .size_max = KW_RESOURCE_MAX,
                                          .count_max = KW_RESOURCE_COUNT_MAX,
                                          .items = &scopes};
    static const struct kw_schema schema = {.name = "Resources",
                                            .size = sizeof(struct kw_key_params),
                                            .given_offset = SIZE_MAX,
                                            .fields = &field,
                                            .field_count = 1};
    struct kw_buffer text;
    struct kw_bytes body;
    kw_buffer_init(&text, JSON_MEMORY_MAX);
    kw_buffer_add_text(&text, JSON_BEGIN);
    kw_buffer_add(&text, json);
    kw_buffer_add_byte(&text, '}');
    enum kw_status status = kw_buffer_status(&text);
    status = status == KW_OK ? kw_arena_copy(arena, kw_buffer_bytes(&text), &body) : status;
    kw_buffer_deinit(&text);
    return status == KW_OK ? kw_schema_bind_json(&schema, body, arena, params, error_out) : no_memory(error_out);
}

enum kw_status kw_resources_add_json(struct kw_resources *resources, struct kw_bytes json, struct kw_error *error_out)
{
    struct kw_key_params params = {.given = 0};
    struct kw_arena arena;
    if (json.size > JSON_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resources", "is too long: at most %d bytes of JSON",
                         JSON_MAX);
    }
    kw_arena_init(&arena, NULL, 0, JSON_MEMORY_MAX);
    enum kw_status status = check_json(json, &arena, error_out);
    status = status == KW_OK ? read_json(json, &arena, &params, error_out) : status;
    status = status == KW_OK ? add_all(resources, params.resources, params.resource_count, error_out) : status;
    kw_arena_reset(&arena);
    return status;
}

/* --- asking and taking away --- */

bool kw_resources_remove(struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                         struct kw_bytes scope)
{
    struct name name;
    size_t at = resources == NULL ? 0 : find_grant(resources, join(&name, type, id));
    if (resources == NULL || at == resources->count) {
        return false;
    }
    struct grant *grant = resources->grants[at];
    size_t scope_at = find_scope(grant, scope);
    if (scope.size > 0 && scope_at == grant->scope_count) {
        return false;
    }
    if (scope.size == 0 || grant->scope_count == 1) {
        drop_grant(resources, at);
    } else {
        drop_scopes(resources, grant, scope_at, 1);
    }
    return true;
}

bool kw_resources_has(const struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                      struct kw_bytes scope)
{
    struct name name;
    size_t at = resources == NULL ? 0 : find_grant(resources, join(&name, type, id));
    if (resources == NULL || at == resources->count) {
        return false;
    }
    const struct grant *grant = resources->grants[at];
    return scope.size == 0 || find_scope(grant, scope) < grant->scope_count;
}

size_t kw_resources_count(const struct kw_resources *resources)
{
    return resources == NULL ? 0 : resources->count;
}

void kw_resources_build(struct kw_resources *resources, struct kw_key_params *params)
{
    size_t count = kw_resources_count(resources);
    for (size_t i = 0; i < count; i++) {
        const struct grant *grant = resources->grants[i];
        resources->built[i] = (struct kw_resource_scopes){grant->resource, grant->scopes, grant->scope_count};
    }
    params->given |= KW_GIVEN_RESOURCES;
    params->resources = count == 0 ? NULL : resources->built;
    params->resource_count = count;
}
