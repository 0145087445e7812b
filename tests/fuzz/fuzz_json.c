/*
 * Our JSON reader against jansson: the same documents are taken and refused, but for what is known to differ:
 *   - nesting deeper than KW_JSON_DEPTH_MAX (ours gives KW_E_LIMIT; jansson goes down to 2048 levels);
 *   - a NUL byte, which jansson takes for the end of the input; ours refuses it wherever it stands;
 *   - memory: a limit is no judgement on the document.
 * With the flags below jansson agrees on the rest: duplicates are refused (ours does that in kw_json_skip), any value
 * may stand at the top, whole numbers beyond 64 bits are doubles, numbers beyond a double and \u0000 are refused.
 * What was taken is written again with our writer, and that reads as the same tokens.
 */
#include "base/json.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_MAX ((size_t)64 << 20)

static enum kw_status read_whole(struct kw_bytes input, struct kw_arena *arena)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_json_reader_init(&reader, input, arena);
    enum kw_status status = kw_json_next(&reader, &token, NULL);
    if (status == KW_OK) {
        status = kw_json_skip(&reader, &token, &raw, NULL);
    }
    return status == KW_OK ? kw_json_next(&reader, &token, NULL) : status;
}

static void write_token(struct kw_json_writer *writer, const struct kw_json_token *token)
{
    switch (token->type) {
    case KW_JSON_NULL:
        kw_json_null(writer);
        return;
    case KW_JSON_TRUE:
    case KW_JSON_FALSE:
        kw_json_bool(writer, token->type == KW_JSON_TRUE);
        return;
    case KW_JSON_NUMBER:
        kw_json_raw(writer, token->text);
        return;
    case KW_JSON_STRING:
        kw_json_string(writer, token->text);
        return;
    case KW_JSON_OBJECT_BEGIN:
        kw_json_begin_object(writer);
        return;
    case KW_JSON_OBJECT_END:
        kw_json_end_object(writer);
        return;
    case KW_JSON_ARRAY_BEGIN:
        kw_json_begin_array(writer);
        return;
    case KW_JSON_ARRAY_END:
        kw_json_end_array(writer);
        return;
    case KW_JSON_NAME:
        kw_json_name_bytes(writer, token->text);
        return;
    case KW_JSON_END:
        return;
    }
}

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void write_again(struct kw_bytes input, struct kw_arena *arena, struct kw_buffer *out)
{
    struct kw_json_reader reader;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    struct kw_json_writer writer;
    kw_json_reader_init(&reader, input, arena);
    kw_json_writer_init(&writer, out);
    while (token.type != KW_JSON_END) {
        must(kw_json_next(&reader, &token, NULL) == KW_OK);
        must(kw_utf8_valid(token.text));
        write_token(&writer, &token);
    }
    must(kw_buffer_status(out) == KW_OK);
}

static void check_same_tokens(struct kw_bytes a, struct kw_bytes b, struct kw_arena *arena)
{
    struct kw_json_reader readers[2];
    struct kw_json_token tokens[2] = {{.type = KW_JSON_NULL}, {.type = KW_JSON_NULL}};
    kw_json_reader_init(&readers[0], a, arena);
    kw_json_reader_init(&readers[1], b, arena);
    while (tokens[0].type != KW_JSON_END) {
        must(kw_json_next(&readers[0], &tokens[0], NULL) == KW_OK);
        must(kw_json_next(&readers[1], &tokens[1], NULL) == KW_OK);
        must(tokens[0].type == tokens[1].type);
        must(kw_bytes_equal(tokens[0].text, tokens[1].text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_bytes input = kw_bytes_of(data, size);
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, MEMORY_MAX);
    enum kw_status status = read_whole(input, &arena);
    if (status == KW_E_LIMIT || status == KW_E_MEMORY) {
        kw_arena_reset(&arena);
        return 0;
    }
    if (size > 0 && memchr(data, 0, size) != NULL) {
        must(status != KW_OK);
        kw_arena_reset(&arena);
        return 0;
    }
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
    json_t *theirs = json_loadb((const char *)data, size, flags, NULL);
    must((status == KW_OK) == (theirs != NULL));
    json_decref(theirs);
    if (status == KW_OK) {
        struct kw_buffer again;
        kw_buffer_init(&again, MEMORY_MAX);
        write_again(input, &arena, &again);
        check_same_tokens(input, kw_buffer_bytes(&again), &arena);
        kw_buffer_deinit(&again);
    }
    kw_arena_reset(&arena);
    return 0;
}
