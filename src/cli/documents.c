#include "cli/documents.h"

const struct kw_document_words kw_document_words[3] = {
    {KW_DOCUMENT_PROJECT, "projects", "/v1/projects"},
    {KW_DOCUMENT_POLICY, "policies", "/v1/policies"},
    {KW_DOCUMENT_TEMPLATE, "templates", "/v1/templates"},
};

static void write_token(struct kw_json_writer *writer, const struct kw_json_token *token)
{
    switch (token->type) {
    case KW_JSON_NULL:
        kw_json_null(writer);
        break;
    case KW_JSON_FALSE:
    case KW_JSON_TRUE:
        kw_json_bool(writer, token->type == KW_JSON_TRUE);
        break;
    case KW_JSON_NUMBER:
        kw_json_raw(writer, token->text);
        break;
    case KW_JSON_STRING:
        kw_json_string(writer, token->text);
        break;
    case KW_JSON_OBJECT_BEGIN:
        kw_json_begin_object(writer);
        break;
    case KW_JSON_OBJECT_END:
        kw_json_end_object(writer);
        break;
    case KW_JSON_ARRAY_BEGIN:
        kw_json_begin_array(writer);
        break;
    case KW_JSON_ARRAY_END:
        kw_json_end_array(writer);
        break;
    case KW_JSON_NAME:
        kw_json_name_bytes(writer, token->text);
        break;
    case KW_JSON_END:
        break;
    }
}

enum kw_status kw_json_shorten(struct kw_bytes json, struct kw_arena *arena, struct kw_buffer *text)
{
    struct kw_json_reader reader;
    struct kw_json_writer writer;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    enum kw_status status = KW_OK;
    kw_json_reader_init(&reader, json, arena);
    kw_json_writer_init(&writer, text);
    while (status == KW_OK && token.type != KW_JSON_END) {
        status = kw_json_next(&reader, &token, NULL);
        if (status == KW_OK) {
            write_token(&writer, &token);
        }
    }
    return status != KW_OK ? status : kw_buffer_status(text);
}

enum kw_status kw_members_each(struct kw_bytes object, struct kw_arena *arena, kw_member_sink *each, void *context,
                               struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, object, arena);
    enum kw_status status = kw_json_next(&reader, &token, error_out);
    if (status == KW_OK && token.type != KW_JSON_OBJECT_BEGIN) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be a JSON object");
    }
    while (status == KW_OK) {
        status = kw_json_next(&reader, &token, error_out);
        if (status != KW_OK || token.type == KW_JSON_OBJECT_END) {
            break;
        }
        struct kw_bytes name = token.text;
        struct kw_bytes raw;
        status = kw_json_next(&reader, &token, error_out);
        status = status != KW_OK ? status : kw_json_skip(&reader, &token, &raw, error_out);
        status = status != KW_OK ? status : each(context, name, raw);
    }
    return status != KW_OK ? status : kw_json_next(&reader, &token, error_out);
}
