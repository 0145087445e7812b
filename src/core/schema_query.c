#include "core/schema_parts.h"

#include "base/bytes.h"
#include "base/error.h"

static enum kw_status take_text(struct kw_bytes encoded, struct kw_arena *arena, struct kw_bytes *text_out,
                                struct kw_error *error_out)
{
    uint8_t *out = kw_arena_take(arena, encoded.size);
    if (out == NULL) {
        return kw__schema_no_room(arena, encoded.size, error_out);
    }
    size_t size;
    for (size_t i = 0; i < encoded.size; i++) {
        out[i] = encoded.data[i] == '+' ? ' ' : encoded.data[i]; /* a plus itself is encoded */
    }
    if (!kw_bytes_percent_decode(kw_bytes_of(out, encoded.size), out, &size)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "a %% must be followed by two hexadecimal digits: write %%25 for the sign itself");
    }
    struct kw_bytes text = kw_bytes_of(out, size);
    if (!kw_utf8_valid(text) || kw_bytes_has_control(text)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be UTF-8 without control characters");
    }
    *text_out = text;
    return KW_OK;
}

static enum kw_status bind_value(const struct kw_field *field, struct kw_bytes text, struct kw_arena *arena, void *out,
                                 struct kw_error *error_out)
{
    void *member = (uint8_t *)out + field->offset;
    if (field->kind == KW_FIELD_INTEGER) {
        uint64_t value = 0;
        bool is_whole = kw_bytes_to_u64(text, &value) && value <= INT64_MAX;
        return kw__schema_integer(field, is_whole, (int64_t)value, member, error_out);
    }
    if (field->kind == KW_FIELD_BOOL) {
        bool is_true = kw_bytes_equal(text, KW_BYTES("true"));
        if (!is_true && !kw_bytes_equal(text, KW_BYTES("false"))) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be true or false");
        }
        *(bool *)member = is_true;
        return KW_OK;
    }
    if (field->kind == KW_FIELD_TIME) {
        return kw__schema_time(text, member, error_out);
    }
    return kw__schema_text(field, text, arena, member, error_out);
}

static enum kw_status bind_pair(const struct kw_schema *schema, struct kw_bytes pair, struct kw_arena *arena, void *out,
                                uint32_t *seen, struct kw_error *error_out)
{
    struct kw_bytes name, value;
    kw_bytes_split(pair, '=', &name, &value);
    enum kw_status status = take_text(name, arena, &name, error_out);
    if (status != KW_OK) {
        return status;
    }
    size_t index = kw__schema_find(schema, name);
    if (index == schema->field_count) {
        return kw__schema_refuse_name(KW_CODE_UNKNOWN_FIELD, name, "is not a parameter of this address", error_out);
    }
    const struct kw_field *field = &schema->fields[index];
    const char *label = (const char *)field->name.data;
    if ((*seen >> index & 1) != 0) {
        return kw_refuse(error_out, KW_CODE_DUPLICATE_FIELD, label, "stands twice");
    }
    *seen |= UINT32_C(1) << index;
    status = take_text(value, arena, &value, error_out);
    if (status == KW_OK) {
        status = bind_value(field, value, arena, out, error_out);
    }
    return kw__schema_under(status, label, error_out);
}

enum kw_status kw_schema_bind_query(const struct kw_schema *schema, struct kw_bytes query, struct kw_arena *arena,
                                    void *out, struct kw_error *error_out)
{
    uint32_t seen = 0;
    kw__schema_prefill(schema, out);
    while (query.size > 0) {
        struct kw_bytes pair;
        kw_bytes_split(query, '&', &pair, &query);
        if (pair.size == 0) {
            continue;
        }
        enum kw_status status = bind_pair(schema, pair, arena, out, &seen, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    return kw__schema_complete(schema, seen, error_out);
}
