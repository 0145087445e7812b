#include "base/json.h"
#include "support/test.h"

static void commas_stand_between_values_and_nowhere_else(struct test *t)
{
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    kw_buffer_init(&buffer, 1000);
    kw_json_writer_init(&writer, &buffer);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "a");
    kw_json_i64(&writer, 1);
    kw_json_name(&writer, "b");
    kw_json_begin_array(&writer);
    kw_json_bool(&writer, true);
    kw_json_bool(&writer, false);
    kw_json_null(&writer);
    kw_json_i64(&writer, INT64_MIN);
    kw_json_begin_array(&writer);
    kw_json_end_array(&writer);
    kw_json_begin_object(&writer);
    kw_json_end_object(&writer);
    kw_json_text(&writer, "text");
    kw_json_text(&writer, NULL);
    kw_json_raw(&writer, KW_BYTES("{\"raw\": 1}"));
    kw_json_end_array(&writer);
    kw_json_name_bytes(&writer, KW_BYTES("c\n"));
    kw_json_begin_object(&writer);
    kw_json_name_bytes(&writer, KW_BYTES("d"));
    kw_json_string(&writer, KW_BYTES("e"));
    kw_json_end_object(&writer);
    kw_json_name(&writer, "");
    kw_json_string(&writer, (struct kw_bytes){NULL, 0});
    kw_json_end_object(&writer);
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    CHECK_BYTES(t, kw_buffer_bytes(&buffer),
                KW_BYTES("{\"a\":1,\"b\":[true,false,null,-9223372036854775808,[],{},\"text\",\"\",{\"raw\": 1}],"
                         "\"c\\n\":{\"d\":\"e\"},\"\":\"\"}"));
    kw_buffer_deinit(&buffer);
}

static void what_must_be_escaped_is_escaped(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 1000);
    kw_json_write_string(&buffer, KW_BYTES("\"\\/\b\f\n\r\t\x01\x1f\x7f \0z\xc3\xa4\xe2\x80\xa8\xf0\x9f\x94\x91"));
    CHECK_BYTES(
        t, kw_buffer_bytes(&buffer),
        KW_BYTES("\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \\u0000z\xc3\xa4\xe2\x80\xa8\xf0\x9f\x94\x91\""));
    kw_buffer_deinit(&buffer);
}

/* Written character by character. */
static void reference_string(struct kw_buffer *out, struct kw_bytes text)
{
    kw_buffer_add_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        const char *found = byte == 0 ? NULL : strchr("\"\"\\\\\bb\ff\nn\rr\tt", byte);
        if (found != NULL && (byte < 0x20 || byte == '"' || byte == '\\')) {
            kw_buffer_add_format(out, "\\%c", found[1]);
        } else if (byte < 0x20) {
            kw_buffer_add_format(out, "\\u%04x", byte);
        } else {
            kw_buffer_add_byte(out, byte);
        }
    }
    kw_buffer_add_byte(out, '"');
}

static void strings_of_every_length_are_written_right(struct test *t)
{
    static const uint8_t usual[] = {' ', 'a', 0x7f, '!', '#', '[', ']', 0x80, 0xff};
    static const uint8_t special[] = {0, 1, '\n', 0x1f, '"', '\\'};
    for (int round = 0; round < 40000 && t->failures == 0; round++) {
        /* In memory of just this size, so that a sanitizer sees a byte read too far. */
        size_t size = test_random_below(t, 70);
        uint8_t *text = malloc(size + 1);
        REQUIRE(t, text != NULL);
        text++;
        uint64_t rarity = test_random_below(t, 3) == 0 ? 4 : 60;
        for (size_t i = 0; i < size; i++) {
            text[i] = test_random_below(t, rarity) == 0 ? special[test_random_below(t, KW_COUNT_OF(special))]
                                                        : usual[test_random_below(t, KW_COUNT_OF(usual))];
        }
        struct kw_buffer expected, actual;
        kw_buffer_init(&expected, 1000);
        reference_string(&expected, kw_bytes_of(text, size));
        /* The room that is needed is enough, and one byte less is not. */
        uint8_t *memory = malloc(expected.size);
        REQUIRE(t, memory != NULL);
        kw_buffer_init_fixed(&actual, memory, expected.size);
        kw_json_write_string(&actual, kw_bytes_of(text, size));
        CHECK_BYTES(t, kw_buffer_bytes(&actual), kw_buffer_bytes(&expected));
        kw_buffer_init_fixed(&actual, memory, expected.size - 1);
        kw_json_write_string(&actual, kw_bytes_of(text, size));
        CHECK_STATUS(t, kw_buffer_status(&actual), KW_E_LIMIT);
        CHECK_I64(t, actual.size, 0);
        free(memory);
        free(text - 1);
        kw_buffer_deinit(&expected);
    }
}

static void a_full_buffer_shows_at_the_end(struct test *t)
{
    for (size_t room = 0; room <= 31; room++) {
        uint8_t memory[32];
        struct kw_buffer buffer;
        struct kw_json_writer writer;
        memset(memory, '#', sizeof memory);
        kw_buffer_init_fixed(&buffer, memory, room);
        kw_json_writer_init(&writer, &buffer);
        kw_json_begin_object(&writer);
        kw_json_name(&writer, "a");
        kw_json_string(&writer, KW_BYTES("text"));
        kw_json_name_bytes(&writer, KW_BYTES("b"));
        kw_json_i64(&writer, 12);
        kw_json_name(&writer, "c");
        kw_json_bool(&writer, false);
        kw_json_end_object(&writer);
        static const char whole[] = "{\"a\":\"text\",\"b\":12,\"c\":false}";
        CHECK_STATUS(t, kw_buffer_status(&buffer), room < sizeof whole - 1 ? KW_E_LIMIT : KW_OK);
        CHECK(t, kw_bytes_starts_with(kw_bytes_of_text(whole), kw_buffer_bytes(&buffer)));
        CHECK_I64(t, memory[room], '#');
    }
}

#define EVENTS_MAX 400

struct event {
    enum kw_json_type type;
    struct kw_bytes text;
};

struct document {
    struct event events[EVENTS_MAX];
    size_t count;
    uint8_t memory[EVENTS_MAX * 24]; /* of the texts */
    size_t used;
};

static struct kw_bytes random_text(struct test *t, struct document *document)
{
    static const char *const pieces[] = {
        "a", "key", "\"", "\\", "\n", "\x01", "\x7f", "/", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "u0041"};
    uint8_t *text = document->memory + document->used;
    size_t size = 0;
    while (size < 20 && test_random_below(t, 6) != 0) {
        const char *piece = pieces[test_random_below(t, KW_COUNT_OF(pieces))];
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    document->used += size;
    return kw_bytes_of(text, size);
}

static struct kw_bytes random_number(struct test *t, struct document *document)
{
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, document->memory + document->used, 24);
    kw_buffer_add_i64(&text, (int64_t)test_random(t) >> test_random_below(t, 64));
    document->used += text.size;
    return kw_buffer_bytes(&text);
}

static void add_event(struct document *document, enum kw_json_type type, struct kw_bytes text)
{
    document->events[document->count++] = (struct event){type, text};
}

/* A random walk: open, close, or put a value, with a name before it inside an object. */
static void make_document(struct test *t, struct document *document)
{
    bool is_object[KW_JSON_DEPTH_MAX];
    size_t depth = 0;
    document->count = document->used = 0;
    do {
        bool room = document->count + 2 * KW_JSON_DEPTH_MAX < EVENTS_MAX;
        if (depth > 0 && (!room || test_random_below(t, 5) == 0)) {
            depth--;
            add_event(document, is_object[depth] ? KW_JSON_OBJECT_END : KW_JSON_ARRAY_END, KW_BYTES(""));
            continue;
        }
        if (depth > 0 && is_object[depth - 1]) {
            add_event(document, KW_JSON_NAME, random_text(t, document));
        }
        enum kw_json_type type = (enum kw_json_type)test_random_below(t, 7);
        if (type == KW_JSON_OBJECT_END) {
            type = KW_JSON_ARRAY_BEGIN;
        }
        if (depth == KW_JSON_DEPTH_MAX && (type == KW_JSON_OBJECT_BEGIN || type == KW_JSON_ARRAY_BEGIN)) {
            type = KW_JSON_NULL;
        }
        add_event(document, type,
                  type == KW_JSON_STRING   ? random_text(t, document)
                  : type == KW_JSON_NUMBER ? random_number(t, document)
                                           : KW_BYTES(""));
        if (type == KW_JSON_OBJECT_BEGIN || type == KW_JSON_ARRAY_BEGIN) {
            is_object[depth++] = type == KW_JSON_OBJECT_BEGIN;
        }
    } while (depth > 0);
}

static void write_event(struct kw_json_writer *writer, enum kw_json_type type, struct kw_bytes text)
{
    int64_t number = 0;
    switch (type) {
    case KW_JSON_NULL:
        kw_json_null(writer);
        return;
    case KW_JSON_TRUE:
    case KW_JSON_FALSE:
        kw_json_bool(writer, type == KW_JSON_TRUE);
        return;
    case KW_JSON_NUMBER:
        if (kw_json_to_i64(text, &number)) {
            kw_json_i64(writer, number);
        }
        return;
    case KW_JSON_STRING:
        kw_json_string(writer, text);
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
        kw_json_name_bytes(writer, text);
        return;
    case KW_JSON_END:
        return;
    }
}

/* White space where the standard allows it: around the structural characters, outside of strings. */
static void spread(struct test *t, struct kw_bytes json, struct kw_buffer *out)
{
    bool in_string = false;
    for (size_t i = 0; i < json.size; i++) {
        uint8_t byte = json.data[i];
        bool structural = !in_string && memchr("{}[]:,", byte, 6) != NULL;
        for (uint64_t spaces = structural ? test_random_below(t, 3) : 0; spaces > 0; spaces--) {
            kw_buffer_add_byte(out, (uint8_t) " \t\r\n"[test_random_below(t, 4)]);
        }
        kw_buffer_add_byte(out, byte);
        if (in_string && byte == '\\') {
            kw_buffer_add_byte(out, json.data[++i]);
        } else if (byte == '"') {
            in_string = !in_string;
        }
        for (uint64_t spaces = structural ? test_random_below(t, 3) : 0; spaces > 0; spaces--) {
            kw_buffer_add_byte(out, ' ');
        }
    }
}

static void check_reads_as(struct test *t, struct kw_bytes json, const struct document *document)
{
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    kw_json_reader_init(&reader, json, &arena);
    for (size_t i = 0; i < document->count; i++) {
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        CHECK_I64(t, token.type, document->events[i].type);
        CHECK_BYTES(t, token.text, document->events[i].text);
    }
    REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
    CHECK_I64(t, token.type, KW_JSON_END);
    kw_arena_reset(&arena);
}

static void what_is_written_reads_back_the_same(struct test *t)
{
    static struct document document;
    for (int round = 0; round < 5000 && t->failures == 0; round++) {
        make_document(t, &document);
        struct kw_buffer json, spaced;
        struct kw_json_writer writer;
        kw_buffer_init(&json, 1 << 20);
        kw_buffer_init(&spaced, 1 << 20);
        kw_json_writer_init(&writer, &json);
        for (size_t i = 0; i < document.count; i++) {
            write_event(&writer, document.events[i].type, document.events[i].text);
        }
        REQUIRE_OK(t, kw_buffer_status(&json));
        check_reads_as(t, kw_buffer_bytes(&json), &document);
        spread(t, kw_buffer_bytes(&json), &spaced);
        check_reads_as(t, kw_buffer_bytes(&spaced), &document);
        kw_buffer_deinit(&json);
        kw_buffer_deinit(&spaced);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(commas_stand_between_values_and_nowhere_else), TEST_CASE(what_must_be_escaped_is_escaped),
        TEST_CASE(strings_of_every_length_are_written_right),    TEST_CASE(a_full_buffer_shows_at_the_end),
        TEST_CASE(what_is_written_reads_back_the_same),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
