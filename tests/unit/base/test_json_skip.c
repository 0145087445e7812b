#include "base/error.h"
#include "base/json.h"
#include "support/test.h"
#include <stdio.h>

static enum kw_status skip_first(struct kw_bytes input, struct kw_arena *arena, struct kw_bytes *raw_out,
                                 struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token first;
    kw_json_reader_init(&reader, input, arena);
    enum kw_status status = kw_json_next(&reader, &first, error_out);
    return status != KW_OK ? status : kw_json_skip(&reader, &first, raw_out, error_out);
}

static void a_value_is_given_as_it_was_written(struct test *t)
{
    static const char *const values[] = {"1.50", "\"a\\n\"", "true",        "null",
                                         "[]",   "{}",       "[ 1, [2 ] ]", "{ \"a\" : {\"a\":[{\"a\":\"}\"}]} }"};
    for (size_t i = 0; i < KW_COUNT_OF(values); i++) {
        struct kw_buffer document;
        kw_buffer_init(&document, 1000);
        kw_buffer_add_format(&document, "{\"x\" : %s , \"y\":2}", values[i]);
        struct kw_arena arena;
        struct kw_json_reader reader;
        struct kw_json_token token;
        struct kw_bytes raw;
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        kw_json_reader_init(&reader, kw_buffer_bytes(&document), &arena);
        for (int tokens = 0; tokens < 3; tokens++) {
            REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        }
        REQUIRE_OK(t, kw_json_skip(&reader, &token, &raw, NULL));
        CHECK_BYTES(t, raw, kw_bytes_of_text(values[i]));
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        CHECK_BYTES(t, token.text, KW_BYTES("y"));
        kw_arena_reset(&arena);
        kw_buffer_deinit(&document);
    }
}

static void names_that_stand_twice_are_refused(struct test *t)
{
    static const struct {
        const char *json;
        size_t duplicate_at; /* 0: there is none */
    } examples[] = {
        {"{\"a\":1,\"a\":2}", 7},
        {"{\"a\":1,\"b\":1,\"a\":1}", 13},
        {"{\"\":1,\"\":1}", 6},
        {"{\"a\":1,\"\\u0061\":1}", 7},
        {"{\"x\":{\"a\":1,\"b\":[{\"c\":1,\"c\":1}]}}", 24},
        {"[{\"a\":1},{\"a\":1,\"a\":1}]", 16},
        {"{\"a\":{\"b\":{}},\"b\":1,\"a\":1}", 20},
        {"{\"a\":[{}],\"a\":1}", 10},
        {"{\"a\":1,\"A\":1,\"aa\":1,\"\":1}", 0},
        {"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}", 0},
        {"[{\"a\":1},{\"a\":1},[{\"a\":1}]]", 0},
        {"{\"a\":\"a\",\"b\":\"a\"}", 0},
        {"{\"a\":[{\"b\":1},{\"b\":2}],\"b\":1}", 0},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        struct kw_arena arena;
        struct kw_bytes raw = KW_BYTES("untouched");
        struct kw_error error;
        char expected[KW_ERROR_TEXT_MAX];
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        enum kw_status status = skip_first(kw_bytes_of_text(examples[i].json), &arena, &raw, &error);
        if (examples[i].duplicate_at == 0) {
            CHECK_STATUS(t, status, KW_OK);
            CHECK_BYTES(t, raw, kw_bytes_of_text(examples[i].json));
        } else {
            CHECK_STATUS(t, status, KW_E_INVALID);
            CHECK_BYTES(t, raw, KW_BYTES("untouched"));
            CHECK_TEXT(t, error.code, "INVALID_JSON");
            struct kw_buffer message;
            kw_buffer_init_fixed(&message, expected, sizeof expected);
            kw_buffer_add_format(&message, "This is not valid JSON at byte %zu: the name stands twice in its object.",
                                 examples[i].duplicate_at);
            CHECK_BYTES(t, kw_bytes_of_text(error.message), kw_buffer_bytes(&message));
        }
        kw_arena_reset(&arena);
    }
}

/* Objects of many names: one repeated name is found wherever the two stand, and none is found where there is none. */
static void one_duplicate_among_many_is_found(struct test *t)
{
    for (int round = 0; round < 300; round++) {
        size_t count = 2 + test_random_below(t, 600);
        size_t twice = test_random_below(t, count);
        size_t place = test_random_below(t, count);
        bool nested = test_random_below(t, 2) == 0;
        uint64_t prefix = test_random(t);
        struct kw_buffer document;
        struct kw_json_writer writer;
        kw_buffer_init(&document, 1 << 20);
        kw_json_writer_init(&writer, &document);
        kw_json_begin_object(&writer);
        for (size_t i = 0; i < count; i++) {
            /* A bijection of i, so that names come in no order. */
            char name[40];
            struct kw_buffer text;
            kw_buffer_init_fixed(&text, name, sizeof name);
            kw_buffer_add_u64(&text, prefix ^ (uint64_t)(i == place ? twice : i) * UINT64_C(0x9e3779b97f4a7c15));
            kw_json_name_bytes(&writer, kw_buffer_bytes(&text));
            if (nested) {
                kw_json_begin_object(&writer);
                kw_json_name_bytes(&writer, kw_buffer_bytes(&text));
            }
            kw_json_null(&writer);
            if (nested) {
                kw_json_end_object(&writer);
            }
        }
        kw_json_end_object(&writer);
        struct kw_arena arena;
        struct kw_bytes raw;
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        CHECK_STATUS(t, skip_first(kw_buffer_bytes(&document), &arena, &raw, NULL),
                     place == twice ? KW_OK : KW_E_INVALID);
        kw_arena_reset(&arena);
        kw_buffer_deinit(&document);
    }
}

static void many_names_take_bounded_work(struct test *t)
{
    /* Names with one long beginning, in order: the worst for trees and for many hashes. 40,000 compared each with each
     * would take minutes. */
    struct kw_buffer document;
    kw_buffer_init(&document, 1 << 24);
    kw_buffer_add_byte(&document, '{');
    for (int i = 0; i < 40000; i++) {
        kw_buffer_add_format(&document, "%s\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%06d\":0", i == 0 ? "" : ",",
                             i);
    }
    kw_buffer_add_byte(&document, '}');
    struct kw_arena arena;
    struct kw_bytes raw;
    struct kw_error error;
    kw_arena_init(&arena, NULL, 0, 1 << 24);
    CHECK_STATUS(t, skip_first(kw_buffer_bytes(&document), &arena, &raw, &error), KW_OK);
    kw_arena_reset(&arena);
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    CHECK_STATUS(t, skip_first(kw_buffer_bytes(&document), &arena, &raw, &error), KW_E_LIMIT);
    CHECK_TEXT(t, error.code, "BODY_TOO_LARGE");
    kw_arena_reset(&arena);
    CHECK_STATUS(t, skip_first(KW_BYTES("{\"a\":1}"), NULL, &raw, &error), KW_E_LIMIT);
    CHECK_STATUS(t, skip_first(KW_BYTES("[1]"), NULL, &raw, &error), KW_OK);
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    kw_alloc_fail_after(1);
    CHECK_STATUS(t, skip_first(KW_BYTES("{\"a\":1}"), &arena, &raw, &error), KW_E_MEMORY);
    kw_alloc_fail_after(-1);
    kw_arena_reset(&arena);
    kw_buffer_deinit(&document);
}

static void a_refused_skip_leaves_the_reader_where_it_was(struct test *t)
{
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token first, token;
    struct kw_bytes raw = KW_BYTES("untouched");
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    kw_json_reader_init(&reader, KW_BYTES("[[{\"a\":1,\"b\":x}]]"), &arena);
    REQUIRE_OK(t, kw_json_next(&reader, &first, NULL));
    CHECK_STATUS(t, kw_json_skip(&reader, &first, &raw, NULL), KW_E_INVALID);
    CHECK_BYTES(t, raw, KW_BYTES("untouched"));
    REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
    CHECK_I64(t, token.type, KW_JSON_ARRAY_BEGIN);
    CHECK_I64(t, token.offset, 1);
    kw_arena_reset(&arena);
}

static void passing_looks_at_no_names(struct test *t)
{
    static const char *const values[] = {"7",          "\"a\"", "null", "[]", "{}", "{\"a\":1,\"a\":[2,{\"a\":{}}]}",
                                         "[[[]],[{}]]"};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < KW_COUNT_OF(values); i++) {
        char text[64];
        struct kw_json_reader reader;
        struct kw_json_token token;
        snprintf(text, sizeof text, "[%s,5]", values[i]);
        kw_json_reader_init(&reader, kw_bytes_of_text(text), &arena);
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        REQUIRE_OK(t, kw_json_pass(&reader, &token, NULL));
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        CHECK_BYTES(t, token.text, KW_BYTES("5"));
    }
    struct kw_json_reader broken;
    struct kw_json_token first;
    kw_json_reader_init(&broken, KW_BYTES("[{\"a\":1]]"), &arena);
    REQUIRE_OK(t, kw_json_next(&broken, &first, NULL));
    CHECK_STATUS(t, kw_json_pass(&broken, &first, NULL), KW_E_INVALID);
    kw_arena_reset(&arena);
}

static void skipping_keeps_to_the_depth(struct test *t)
{
    struct kw_buffer document;
    struct kw_arena arena;
    struct kw_bytes raw;
    kw_buffer_init(&document, 1000);
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (int i = 0; i < KW_JSON_DEPTH_MAX; i++) {
        kw_buffer_add_text(&document, i % 2 == 0 ? "[" : "{\"a\":");
    }
    kw_buffer_add_text(&document, "0");
    for (int i = KW_JSON_DEPTH_MAX; i > 0; i--) {
        kw_buffer_add_text(&document, i % 2 != 0 ? "]" : "}");
    }
    CHECK_STATUS(t, skip_first(kw_buffer_bytes(&document), &arena, &raw, NULL), KW_OK);
    CHECK_BYTES(t, raw, kw_buffer_bytes(&document));
    kw_buffer_reset(&document);
    for (int i = 0; i <= KW_JSON_DEPTH_MAX; i++) {
        kw_buffer_add_text(&document, "[");
    }
    CHECK_STATUS(t, skip_first(kw_buffer_bytes(&document), &arena, &raw, NULL), KW_E_LIMIT);
    kw_arena_reset(&arena);
    kw_buffer_deinit(&document);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_value_is_given_as_it_was_written),
        TEST_CASE(names_that_stand_twice_are_refused),
        TEST_CASE(one_duplicate_among_many_is_found),
        TEST_CASE(many_names_take_bounded_work),
        TEST_CASE(a_refused_skip_leaves_the_reader_where_it_was),
        TEST_CASE(passing_looks_at_no_names),
        TEST_CASE(skipping_keeps_to_the_depth),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
