#include "core/schema_parts.h"

#include "base/error.h"
#include "base/time.h"
#include "core/key.h"
#include "core/scope.h"

/* One less than the shortest key there can be: a prefix of two, 22 characters for 128 bits, the checksum. */
#define SHOWN_NAME_MAX 29
#define CHOICES_TEXT_MAX 200

enum kw_status kw__schema_no_room(const struct kw_arena *arena, size_t size, struct kw_error *error_out)
{
    if (kw_arena_refusal(arena, size) == KW_E_LIMIT) {
        return kw_refuse(error_out, KW_CODE_BODY_TOO_LARGE, NULL,
                         "The request holds too much: send it in smaller parts.");
    }
    return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
}

size_t kw__schema_find(const struct kw_schema *schema, struct kw_bytes name)
{
    size_t i = 0;
    while (i < schema->field_count && !kw_bytes_equal(schema->fields[i].name, name)) {
        i++;
    }
    return i;
}

enum kw_status kw__schema_refuse_name(enum kw_code code, struct kw_bytes name, const char *message,
                                      struct kw_error *error_out)
{
    if (name.size > SHOWN_NAME_MAX) {
        return kw_refuse(error_out, code, NULL, "A field whose name has %zu bytes %s.", name.size, message);
    }
    char text[SHOWN_NAME_MAX + 1] = {0};
    if (name.size > 0) {
        memcpy(text, name.data, name.size);
    }
    return kw_refuse(error_out, code, text, "%s", message);
}

enum kw_status kw__schema_under(enum kw_status status, const char *parent, struct kw_error *error_out)
{
    if (status == KW_OK || error_out == NULL) {
        return status;
    }
    switch (kw_code_of_name(error_out->code)) {
    case KW_CODE_INVALID_FIELD:
    case KW_CODE_UNKNOWN_FIELD:
    case KW_CODE_DUPLICATE_FIELD:
    case KW_CODE_MISSING_FIELD:
        kw_error_nest(error_out, parent);
        return status;
    default:
        return status;
    }
}

void kw__schema_index(size_t index, char text_out[32])
{
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, text_out, 32);
    kw_buffer_add_byte(&text, '[');
    kw_buffer_add_u64(&text, index);
    kw_buffer_add(&text, KW_BYTES("]\0"));
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

size_t kw__schema_compact(struct kw_bytes json, uint8_t *out)
{
    size_t size = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.size; i++) {
        uint8_t byte = json.data[i];
        if (!in_string && is_space(byte)) {
            continue;
        }
        out[size++] = byte;
        if (in_string && byte == '\\') {
            out[size++] = json.data[++i];
        } else if (byte == '"') {
            in_string = !in_string;
        }
    }
    return size;
}

void kw__schema_prefill(const struct kw_schema *schema, void *out)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].kind == KW_FIELD_INTEGER) {
            memcpy((uint8_t *)out + schema->fields[i].offset, &schema->fields[i].otherwise, sizeof(int64_t));
        }
    }
}

static const char *field_name(const struct kw_schema *schema, uint32_t fields)
{
    return (const char *)schema->fields[31 - __builtin_clz(fields)].name.data;
}

enum kw_status kw__schema_complete(const struct kw_schema *schema, uint32_t seen, struct kw_error *error_out)
{
    uint32_t missing = schema->required & ~seen;
    if (missing != 0) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, field_name(schema, missing & -missing), "is required");
    }
    for (size_t i = 0; i < schema->group_count; i++) {
        const struct kw_field_group *group = &schema->groups[i];
        uint32_t given = seen & group->fields;
        if (given == 0 && group->is_required) {
            return kw_refuse(error_out, KW_CODE_MISSING_FIELD, field_name(schema, group->fields & -group->fields),
                             "is required: give %s", group->advice);
        }
        if ((given & (given - 1)) != 0) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field_name(schema, given), "give %s, not both",
                             group->advice);
        }
    }
    return KW_OK;
}

static bool is_owner(struct kw_bytes text)
{
    static const struct kw_bytes kinds[] = {
        {(const uint8_t *)"user:", 5}, {(const uint8_t *)"team:", 5}, {(const uint8_t *)"service:", 8}};
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        if (kw_bytes_starts_with(text, kinds[i])) {
            return text.size > kinds[i].size;
        }
    }
    return false;
}

static enum kw_status check_format(const struct kw_field *field, struct kw_bytes text, struct kw_error *error_out)
{
    /* A scope that is missing is named in the answer: a key that was sent as one is not. */
    if (field->format == KW_FORMAT_SCOPE && (!kw_scope_valid(text) || kw_key_well_formed(text))) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "is not a scope: write words joined by colons, such as \"orders:read\" or \"orders:*\"");
    }
    if (field->format == KW_FORMAT_OWNER && !is_owner(text)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be \"user:ID\", \"team:ID\" or \"service:ID\"");
    }
    return KW_OK;
}

enum kw_status kw__schema_choice(const struct kw_field *field, struct kw_bytes text, size_t *index_out,
                                 struct kw_error *error_out)
{
    uint8_t memory[CHOICES_TEXT_MAX];
    struct kw_buffer list;
    kw_buffer_init_fixed(&list, memory, sizeof memory);
    for (size_t i = 0; i < field->choice_count; i++) {
        if (kw_bytes_equal(field->choices[i], text)) {
            *index_out = i;
            return KW_OK;
        }
        kw_buffer_add_text(&list, i == 0 ? "" : ", ");
        kw_buffer_add(&list, field->choices[i]);
    }
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be one of %.*s", (int)list.size,
                     (const char *)list.data);
}

static enum kw_status check_size(const struct kw_field *field, struct kw_bytes text, struct kw_error *error_out)
{
    if (text.size < field->size_min) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must not be empty");
    }
    if (field->size_max != 0 && text.size > field->size_max) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "is too long: at most %u bytes", field->size_max);
    }
    return KW_OK;
}

enum kw_status kw__schema_text(const struct kw_field *field, struct kw_bytes text, struct kw_arena *arena,
                               struct kw_bytes *text_out, struct kw_error *error_out)
{
    enum kw_status status = check_size(field, text, error_out);
    if (status == KW_OK && field->format != KW_FORMAT_NONE) {
        status = check_format(field, text, error_out);
    }
    if (status == KW_OK && field->choices != NULL) {
        size_t index;
        status = kw__schema_choice(field, text, &index, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    if (field->before.size == 0) {
        *text_out = text;
        return KW_OK;
    }
    size_t size = field->before.size + text.size;
    uint8_t *joined = kw_arena_take(arena, size);
    if (joined == NULL) {
        return kw__schema_no_room(arena, size, error_out);
    }
    memcpy(joined, field->before.data, field->before.size);
    if (text.size > 0) {
        memcpy(joined + field->before.size, text.data, text.size);
    }
    *text_out = kw_bytes_of(joined, size);
    return KW_OK;
}

enum kw_status kw__schema_integer(const struct kw_field *field, bool is_whole, int64_t value, int64_t *value_out,
                                  struct kw_error *error_out)
{
    if (!is_whole || value < field->low || value > field->high) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be a whole number from %lld to %lld",
                         (long long)field->low, (long long)field->high);
    }
    *value_out = value;
    return KW_OK;
}

enum kw_status kw__schema_time(struct kw_bytes text, int64_t *time_ms_out, struct kw_error *error_out)
{
    int64_t time_ms;
    if (!kw_time_parse(text, &time_ms)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "must be a time that exists, such as \"2031-01-31T12:00:00Z\"");
    }
    /* 0 says "none" to the core; the first millisecond of 1970 must not come to mean "never". */
    *time_ms_out = time_ms == 0 ? 1 : time_ms;
    return KW_OK;
}
