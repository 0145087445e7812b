#include "core/profile.h"

#include "base/error.h"
#include "core/catalog.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/requirement.h"
#include "core/scope.h"
#include "core/transition.h"

struct resource_body {
    struct kw_bytes type, id;
    const struct kw_bytes *scopes;
    size_t scope_count;
};

struct profile_body {
    struct kw_bytes env, require;
    const struct kw_bytes *scopes;
    size_t scope_count;
    struct resource_body resource;
};

#define SCOPES_FIELD(body, member, count) \
    { \
        .name = KW__NAME("scopes"), .kind = KW_FIELD_TEXTS, .format = KW_FORMAT_SCOPE, KW__AT(body, member), \
        .count_offset = offsetof(struct body, count), .size_min = 1, .size_max = KW_SCOPE_MAX, \
        .count_max = KW_SCOPE_COUNT_MAX \
    }

static const struct kw_field resource_fields[] = {
    {.name = KW__NAME("type"),
     .kind = KW_FIELD_TEXT,
     KW__AT(resource_body, type),
     .size_min = 1,
     .size_max = KW_RESOURCE_MAX},
    {.name = KW__NAME("id"),
     .kind = KW_FIELD_TEXT,
     KW__AT(resource_body, id),
     .size_min = 1,
     .size_max = KW_RESOURCE_MAX},
    SCOPES_FIELD(resource_body, scopes, scope_count),
};
static const struct kw_schema resource_schema = {.name = "resource",
                                                 .size = sizeof(struct resource_body),
                                                 .given_offset = SIZE_MAX,
                                                 .required = 1U << 0 | 1U << 1,
                                                 .fields = resource_fields,
                                                 .field_count = KW_COUNT_OF(resource_fields)};

static const struct kw_field profile_fields[] = {
    {.name = KW__NAME("env"), .kind = KW_FIELD_TEXT, KW__AT(profile_body, env), .size_min = 1, .size_max = KW_ENV_MAX},
    SCOPES_FIELD(profile_body, scopes, scope_count),
    {.name = KW__NAME("require"),
     .kind = KW_FIELD_TEXT,
     KW__AT(profile_body, require),
     .size_min = 1,
     .size_max = KW_REQUIRE_MAX},
    {.name = KW__NAME("resource"), .kind = KW_FIELD_OBJECT, KW__AT(profile_body, resource), .items = &resource_schema},
};
static const struct kw_schema profile_schema = {.name = "profile",
                                                .size = sizeof(struct profile_body),
                                                .given_offset = SIZE_MAX,
                                                .fields = profile_fields,
                                                .field_count = KW_COUNT_OF(profile_fields)};

/* --- what verifications have too --- */

static enum kw_status refuse_resource(struct kw_bytes type, struct kw_bytes id, struct kw_error *error_out)
{
    if (type.size + 1 + id.size > KW_RESOURCE_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resource.id", "is too long: at most %d bytes with its type",
                         KW_RESOURCE_MAX);
    }
    for (size_t i = 0; i < type.size; i++) {
        uint8_t c = type.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resource.type", "must be of a-z, 0-9, '_' and '-'");
        }
    }
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resource.id",
                     "must be letters, digits or any of . _ / @ + : -, or '*' alone");
}

enum kw_status kw_question_resource(struct kw_bytes type, struct kw_bytes id, struct kw_arena *arena,
                                    struct kw_bytes *resource_out, struct kw_error *error_out)
{
    size_t size = type.size + 1 + id.size;
    uint8_t *text = kw_arena_take(arena, size);
    if (text == NULL) {
        return kw__no_memory(error_out);
    }
    memcpy(text, type.data, type.size);
    text[type.size] = ':';
    memcpy(text + type.size + 1, id.data, id.size);
    *resource_out = kw_bytes_of(text, size);
    /* A colon inside the type would make another type and id of the same text. */
    bool has_colon = memchr(type.data, ':', type.size) != NULL;
    return has_colon || !kw_resource_valid(*resource_out) ? refuse_resource(type, id, error_out) : KW_OK;
}

enum kw_status kw_question_require(struct kw_bytes require, struct kw_error *error_out)
{
    size_t at;
    const char *why;
    if (require.size > 0 && kw_requirement_check(require, &at, &why) != KW_OK) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "require", "cannot be read at byte %zu: %s", at, why);
    }
    return KW_OK;
}

/* --- reading them --- */

static enum kw_status take_profile(const struct kw_project *project, const struct profile_body *body,
                                   struct kw_arena *arena, struct kw_profile *profile, struct kw_error *error_out)
{
    if (body->env.size > 0 && kw_project_environment(project, body->env) == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    profile->env = body->env;
    profile->scopes = body->scopes;
    profile->scope_count = body->scope_count;
    profile->require = body->require;
    profile->resource_scopes = body->resource.scopes;
    profile->resource_scope_count = body->resource.scope_count;
    enum kw_status status = kw_question_require(body->require, error_out);
    return status != KW_OK || body->resource.type.size == 0
               ? status
               : kw_question_resource(body->resource.type, body->resource.id, arena, &profile->resource, error_out);
}

static enum kw_status read_profile(const struct kw_project *project, struct kw_bytes json, struct kw_arena *arena,
                                   struct kw_profile *profile, struct kw_error *error_out)
{
    struct profile_body body = {.env = {NULL, 0}};
    if (json.data[0] != '{') {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be an object");
    }
    enum kw_status status = kw_schema_bind_json(&profile_schema, json, arena, &body, error_out);
    return status != KW_OK ? status : take_profile(project, &body, arena, profile, error_out);
}

static enum kw_status refuse_name(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "authorize",
                     "must be profiles, each named with 1 to %d letters, digits, '-' and '_', starting with a letter",
                     KW_DOCUMENT_NAME_MAX);
}

/* One member of "authorize", whose name was read. Names that stand twice were refused with the document. */
static enum kw_status next_profile(struct kw_document *document, struct kw_bytes name, struct kw_json_reader *reader,
                                   struct kw_profile *profile, struct kw_error *error_out)
{
    char parent[KW_DOCUMENT_NAME_MAX + 1] = "";
    struct kw_json_token token;
    struct kw_bytes json;
    if (!kw_document_name_valid(KW_DOCUMENT_TEMPLATE, name) || kw_key_well_formed(name)) {
        return refuse_name(error_out);
    }
    memcpy(parent, name.data, name.size);
    profile->name = name;
    enum kw_status status = kw_json_next(reader, &token, error_out);
    status = status != KW_OK ? status : kw_json_skip(reader, &token, &json, error_out);
    status = status != KW_OK ? status : read_profile(&document->is.project, json, &document->arena, profile, error_out);
    if (status != KW_OK) {
        kw_error_nest(error_out, parent);
        kw_error_nest(error_out, "authorize");
    }
    return status;
}

enum kw_status kw__profiles_take(struct kw_document *document, struct kw_bytes json, struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    if (json.size == 0) {
        return KW_OK;
    }
    if (json.data[0] != '{') {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "authorize",
                         "must be an object whose members are profiles, such as {\"orders\": {\"env\": \"live\"}}");
    }
    struct kw_profile *profiles = kw_arena_take_array(&document->arena, KW_PROFILE_COUNT_MAX, sizeof *profiles);
    if (profiles == NULL) {
        return kw__no_memory(error_out);
    }
    size_t count = 0;
    kw_json_reader_init(&reader, json, &document->arena);
    enum kw_status status = kw_json_next(&reader, &token, error_out);
    for (; status == KW_OK; count++) {
        status = kw_json_next(&reader, &token, error_out);
        if (status != KW_OK || token.type == KW_JSON_OBJECT_END) {
            break;
        }
        status = count == KW_PROFILE_COUNT_MAX
                     ? kw_refuse(error_out, KW_CODE_INVALID_FIELD, "authorize", "holds too many: at most %d",
                                 KW_PROFILE_COUNT_MAX)
                     : next_profile(document, token.text, &reader, &profiles[count], error_out);
    }
    document->is.project.profiles = profiles;
    document->is.project.profile_count = count;
    return status;
}

/* --- asking by them --- */

bool kw_profile_find(const struct kw_catalog *catalog, struct kw_bytes reference, const struct kw_project **project_out,
                     const struct kw_profile **profile_out)
{
    static const struct kw_profile valid_key;
    struct kw_bytes project_name = reference;
    struct kw_bytes name;
    bool is_named = kw_bytes_split(reference, '.', &project_name, &name);
    const struct kw_project *project = kw_project_by_name(catalog, project_name);
    if (project == NULL || project->number == KW_PROJECT_KEYWARD) {
        return false;
    }
    name = is_named ? name : KW_BYTES(KW_PROFILE_DEFAULT);
    const struct kw_profile *profile = kw_project_profile(project, name);
    if (profile == NULL && kw_bytes_equal(name, KW_BYTES(KW_PROFILE_DEFAULT))) {
        profile = &valid_key;
    }
    *project_out = project;
    *profile_out = profile;
    return profile != NULL;
}

static enum kw_status copy_scopes(struct kw_arena *arena, const struct kw_bytes *scopes, size_t count,
                                  const struct kw_bytes **scopes_out)
{
    if (count == 0) {
        return KW_OK;
    }
    struct kw_bytes *copies = kw_arena_take_array(arena, count, sizeof *copies);
    if (copies == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = KW_OK;
    for (size_t i = 0; status == KW_OK && i < count; i++) {
        status = kw_arena_copy(arena, scopes[i], &copies[i]);
    }
    *scopes_out = copies;
    return status;
}

enum kw_status kw_profile_question(const struct kw_project *project, const struct kw_profile *profile,
                                   struct kw_arena *arena, struct kw_question *question_out)
{
    *question_out = (struct kw_question){.project = project->number,
                                         .scope_count = profile->scope_count,
                                         .resource_scope_count = profile->resource_scope_count};
    enum kw_status status = kw_arena_copy(arena, profile->env, &question_out->env);
    status = status != KW_OK ? status : kw_arena_copy(arena, profile->require, &question_out->require);
    status = status != KW_OK ? status : kw_arena_copy(arena, profile->resource, &question_out->resource);
    status =
        status != KW_OK ? status : copy_scopes(arena, profile->scopes, profile->scope_count, &question_out->scopes);
    return status != KW_OK ? status
                           : copy_scopes(arena, profile->resource_scopes, profile->resource_scope_count,
                                         &question_out->resource_scopes);
}
