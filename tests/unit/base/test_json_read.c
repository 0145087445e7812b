#include "base/error.h"
#include "base/json.h"
#include "support/test.h"

#include <math.h>

/* Reads a whole document; the last token's text lives as long as the arena. */
static enum kw_status read_all(struct kw_bytes input, struct kw_arena *arena, struct kw_error *error_out)
{
    struct kw_json_reader reader;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    enum kw_status status = KW_OK;
    kw_json_reader_init(&reader, input, arena);
    while (status == KW_OK && token.type != KW_JSON_END) {
        status = kw_json_next(&reader, &token, error_out);
    }
    return status;
}

static void tokens_come_in_order_with_their_places(struct test *t)
{
    static const struct {
        enum kw_json_type type;
        const char *text;
        size_t offset;
    } expected[] = {
        {KW_JSON_OBJECT_BEGIN, "", 1}, {KW_JSON_NAME, "a", 2},        {KW_JSON_NUMBER, "-1.5e3", 7},
        {KW_JSON_NAME, "b\n", 15},     {KW_JSON_ARRAY_BEGIN, "", 22}, {KW_JSON_TRUE, "", 23},
        {KW_JSON_FALSE, "", 28},       {KW_JSON_NULL, "", 34},        {KW_JSON_STRING, "\xe2\x82\xac", 39},
        {KW_JSON_ARRAY_BEGIN, "", 45}, {KW_JSON_ARRAY_END, "", 46},   {KW_JSON_OBJECT_BEGIN, "", 48},
        {KW_JSON_OBJECT_END, "", 49},  {KW_JSON_ARRAY_END, "", 50},   {KW_JSON_OBJECT_END, "", 51},
        {KW_JSON_END, "", 53},         {KW_JSON_END, "", 53},         {KW_JSON_END, "", 53},
    };
    struct kw_bytes input = KW_BYTES(" {\"a\" :-1.5e3, \"b\\n\" :[true,false,null,\"\xe2\x82\xac\",[],{}]} ");
    struct kw_arena arena;
    struct kw_json_reader reader;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    kw_json_reader_init(&reader, input, &arena);
    for (size_t i = 0; i < KW_COUNT_OF(expected); i++) {
        struct kw_json_token token;
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        CHECK_I64(t, token.type, expected[i].type);
        CHECK_BYTES(t, token.text, kw_bytes_of_text(expected[i].text));
        CHECK_I64(t, token.offset, expected[i].offset);
    }
    kw_arena_reset(&arena);
}

static void escapes_are_decoded(struct test *t)
{
    static const struct {
        const char *json, *text;
    } examples[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u007f\\u0080\\u07FF\\u0800\\uFFFF\"", "A\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\\ud83D\\uDd11\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\x9f\x94\x91"},
        {"\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80"},
        {"\"x\\ny\xe2\x82\xacz\\u0001\"", "x\ny\xe2\x82\xacz\x01"},
        {"\"a long run of plain text, then \\\\ and plain again\"",
         "a long run of plain text, then \\ and plain again"},
        {"\"\\\\u0041\"", "\\u0041"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        struct kw_arena arena;
        struct kw_json_reader reader;
        struct kw_json_token token;
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        kw_json_reader_init(&reader, kw_bytes_of_text(examples[i].json), &arena);
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        CHECK_BYTES(t, token.text, kw_bytes_of_text(examples[i].text));
        kw_arena_reset(&arena);
    }
}

static void every_code_point_is_decoded(struct test *t)
{
    for (uint32_t point = 1; point < 0x110000 && t->failures == 0; point += 1 + (uint32_t)test_random_below(t, 7)) {
        if (point >= 0xd800 && point <= 0xdfff) {
            continue;
        }
        uint8_t json[16], memory[64];
        struct kw_buffer escaped;
        kw_buffer_init_fixed(&escaped, json, sizeof json);
        if (point < 0x10000) {
            kw_buffer_add_format(&escaped, "\"\\u%04x\"", point);
        } else {
            kw_buffer_add_format(&escaped, "\"\\u%04X\\u%04x\"", 0xd800 + ((point - 0x10000) >> 10),
                                 0xdc00 + ((point - 0x10000) & 0x3ff));
        }
        struct kw_arena arena;
        struct kw_json_reader reader;
        struct kw_json_token token;
        kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
        kw_json_reader_init(&reader, kw_buffer_bytes(&escaped), &arena);
        REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        REQUIRE(t, token.text.size > 0 && kw_utf8_sequence(token.text) == token.text.size);
        uint32_t decoded = token.text.size == 1 ? token.text.data[0] : token.text.data[0] & (0x7fU >> token.text.size);
        for (size_t i = 1; i < token.text.size; i++) {
            decoded = decoded << 6 | (token.text.data[i] & 0x3f);
        }
        CHECK_I64(t, decoded, point);
    }
}

static void plain_strings_stay_in_the_input(struct test *t)
{
    struct kw_bytes input = KW_BYTES("[\"plain \xc3\xa4\",\"with \\n\"]");
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    kw_json_reader_init(&reader, input, &arena);
    REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
    REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
    CHECK(t, token.text.data == input.data + 2);
    CHECK_I64(t, arena.total, 0);
    REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
    CHECK(t, token.text.data < input.data || token.text.data > input.data + input.size);
    kw_arena_reset(&arena);
}

/* A special byte at every place of strings of every length around the width that is looked at in one go. */
static void special_bytes_are_seen_at_every_place(struct test *t)
{
    static const uint8_t special[] = {0x00, 0x01, 0x1f, 0x80, 0xff, '\\'};
    for (size_t size = 1; size < 40; size++) {
        for (size_t place = 0; place < size; place++) {
            for (size_t i = 0; i < KW_COUNT_OF(special); i++) {
                uint8_t text[64];
                for (size_t j = 1; j <= size; j++) {
                    text[j] = (uint8_t)(test_random_below(t, 2) == 0 ? 0x20 : 0x7f);
                }
                text[0] = text[size + 1] = '"';
                CHECK_STATUS(t, read_all(kw_bytes_of(text, size + 2), NULL, NULL), KW_OK);
                text[1 + place] = special[i];
                CHECK_STATUS(t, read_all(kw_bytes_of(text, size + 2), NULL, NULL), KW_E_INVALID);
                text[1 + place] = '"';
                struct kw_json_reader reader;
                struct kw_json_token token;
                kw_json_reader_init(&reader, kw_bytes_of(text, size + 2), NULL);
                REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
                CHECK_I64(t, token.text.size, place);
            }
        }
    }
}

static void depth_is_bounded(struct test *t)
{
    for (size_t depth = KW_JSON_DEPTH_MAX - 1; depth <= KW_JSON_DEPTH_MAX + 1; depth++) {
        for (int objects = 0; objects < 2; objects++) {
            struct kw_buffer buffer;
            kw_buffer_init(&buffer, 4096);
            for (size_t i = 0; i < depth; i++) {
                kw_buffer_add_text(&buffer, !objects ? "[" : i + 1 < depth ? "{\"a\":" : "{");
            }
            for (size_t i = 0; i < depth; i++) {
                kw_buffer_add_text(&buffer, objects ? "}" : "]");
            }
            struct kw_error error = {.status = KW_OK};
            enum kw_status expected = depth <= KW_JSON_DEPTH_MAX ? KW_OK : KW_E_LIMIT;
            CHECK_STATUS(t, read_all(kw_buffer_bytes(&buffer), NULL, &error), expected);
            CHECK_STATUS(t, error.status, expected);
            kw_buffer_deinit(&buffer);
        }
    }
}

static void a_bracket_of_the_other_kind_does_not_close(struct test *t)
{
    CHECK_STATUS(t, read_all(KW_BYTES("[{},[{\"a\":[]}],[]]"), NULL, NULL), KW_OK);
    CHECK_STATUS(t, read_all(KW_BYTES("[{},[{\"a\":[]]}]]"), NULL, NULL), KW_E_INVALID);
    CHECK_STATUS(t, read_all(KW_BYTES("{\"a\":[{}}}"), NULL, NULL), KW_E_INVALID);
    CHECK_STATUS(t, read_all(KW_BYTES("[[[]],{\"a\":{}},1,{\"b\":2}]"), NULL, NULL), KW_OK);
}

static void long_numbers_are_judged_by_their_value(struct test *t)
{
    /* 10^308 in full is a double, 10^309 is none, whatever way they are written. */
    for (size_t zeros = 300; zeros < 320; zeros++) {
        uint8_t memory[1024];
        struct kw_buffer number;
        enum kw_status expected = zeros <= 308 ? KW_OK : KW_E_INVALID;
        kw_buffer_init_fixed(&number, memory, sizeof memory);
        kw_buffer_add_format(&number, "1%0*d", (int)zeros, 0);
        CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), expected);
        kw_buffer_add_text(&number, ".5");
        CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), expected);
        kw_buffer_add_text(&number, "e-20");
        CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), KW_OK);
        kw_buffer_reset(&number);
        kw_buffer_add_format(&number, "0.%0*d1e%zu", (int)zeros, 0, 2 * zeros + 1);
        CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), expected);
    }
    /* 2^1024 - 2^970 and its neighbours: the first number that does not round to a double. */
    static const char half[] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "34271155969950809304288017790417449779";
    struct kw_buffer number;
    kw_buffer_init(&number, 1024);
    kw_buffer_add_text(&number, half);
    kw_buffer_add_text(&number, "1.999");
    CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), KW_OK);
    number.data[number.size - 5] = '2';
    CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), KW_E_INVALID);
    number.size -= 4;
    CHECK_STATUS(t, read_all(kw_buffer_bytes(&number), NULL, NULL), KW_E_INVALID);
    kw_buffer_deinit(&number);
}

/* Digits and exponents near the largest double, judged by the C library (in the "C" locale, where tests run). */
static void numbers_beyond_a_double_are_told_as_strtod_does(struct test *t)
{
    static const char edge[] = "17976931348623158079372897140530341507993413271";
    for (int round = 0; round < 50000; round++) {
        uint8_t memory[160];
        struct kw_buffer number;
        size_t same = test_random_below(t, sizeof edge);
        int64_t point = (int64_t)test_random_below(t, 60);
        kw_buffer_init_fixed(&number, memory, sizeof memory);
        kw_buffer_add_text(&number, test_random_below(t, 2) == 0 ? "-" : "");
        int64_t digits = 0;
        for (; digits < point || digits == 0; digits++) {
            bool edgy = (size_t)digits < same;
            kw_buffer_add_byte(&number, edgy ? (uint8_t)edge[digits] : (uint8_t)('0' + test_random_below(t, 10)));
            if (digits == 0 && number.data[number.size - 1] == '0') {
                break;
            }
        }
        kw_buffer_add_format(&number, "%s%.*se%d", test_random_below(t, 2) == 0 ? ".0" : ".", 3, "129",
                             (int)(310 - digits - (int64_t)test_random_below(t, 4)));
        kw_buffer_add_byte(&number, '\0');
        REQUIRE_OK(t, kw_buffer_status(&number));
        bool finite = isfinite(strtod((const char *)number.data, NULL));
        if ((read_all(kw_bytes_of_text((const char *)number.data), NULL, NULL) == KW_OK) != finite) {
            test_fail(t, __FILE__, __LINE__, "%s, strtod finds it %s", (const char *)number.data,
                      finite ? "finite" : "infinite");
            return;
        }
    }
}

static void failures_name_the_byte_and_change_nothing(struct test *t)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_error error;
    kw_json_reader_init(&reader, KW_BYTES("{\"name\":\"x\" \"tags\":[]}"), NULL);
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(t, kw_json_next(&reader, &token, &error));
    }
    for (int i = 0; i < 2; i++) {
        kw_error_clear(&error);
        CHECK_STATUS(t, kw_json_next(&reader, &token, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.code, "INVALID_JSON");
        CHECK_TEXT(t, error.message, "This is not valid JSON at byte 12: a comma or } must stand here.");
        CHECK_I64(t, token.type, KW_JSON_STRING);
        CHECK_BYTES(t, token.text, KW_BYTES("x"));
        CHECK_I64(t, token.offset, 8);
    }
}

static void no_room_for_an_unescaped_string_is_a_limit(struct test *t)
{
    uint8_t memory[16];
    struct kw_arena arena;
    struct kw_error error;
    CHECK_STATUS(t, read_all(KW_BYTES("\"a\\nb\""), NULL, &error), KW_E_LIMIT);
    kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
    CHECK_STATUS(t, read_all(KW_BYTES("\"12345678901234567\\n\""), &arena, &error), KW_E_LIMIT);
    CHECK_TEXT(t, error.code, "BODY_TOO_LARGE");
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    kw_alloc_fail_after(1);
    CHECK_STATUS(t, read_all(KW_BYTES("\"a\\nb\""), &arena, &error), KW_E_MEMORY);
    kw_alloc_fail_after(-1);
    CHECK_STATUS(t, read_all(KW_BYTES("\"a\\nb\""), &arena, &error), KW_OK);
    kw_arena_reset(&arena);
}

static void whole_numbers_are_told_from_others(struct test *t)
{
    static const char *const refused_numbers[] = {"",
                                                  "-",
                                                  "1.0",
                                                  "1e3",
                                                  "1E3",
                                                  "--1",
                                                  "+1",
                                                  "01",
                                                  "-01",
                                                  "9223372036854775808",
                                                  "-9223372036854775809",
                                                  "99999999999999999999"};
    int64_t value = 77;
    for (size_t i = 0; i < KW_COUNT_OF(refused_numbers); i++) {
        CHECK(t, !kw_json_to_i64(kw_bytes_of_text(refused_numbers[i]), &value));
        CHECK_I64(t, value, 77);
    }
    CHECK(t, kw_json_to_i64(KW_BYTES("0"), &value) && value == 0);
    CHECK(t, kw_json_to_i64(KW_BYTES("-0"), &value) && value == 0);
    CHECK(t, kw_json_to_i64(KW_BYTES("-42"), &value) && value == -42);
    CHECK(t, kw_json_to_i64(KW_BYTES("9223372036854775807"), &value) && value == INT64_MAX);
    CHECK(t, kw_json_to_i64(KW_BYTES("-9223372036854775808"), &value) && value == INT64_MIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(tokens_come_in_order_with_their_places),
        TEST_CASE(escapes_are_decoded),
        TEST_CASE(every_code_point_is_decoded),
        TEST_CASE(plain_strings_stay_in_the_input),
        TEST_CASE(special_bytes_are_seen_at_every_place),
        TEST_CASE(depth_is_bounded),
        TEST_CASE(a_bracket_of_the_other_kind_does_not_close),
        TEST_CASE(long_numbers_are_judged_by_their_value),
        TEST_CASE(numbers_beyond_a_double_are_told_as_strtod_does),
        TEST_CASE(failures_name_the_byte_and_change_nothing),
        TEST_CASE(no_room_for_an_unescaped_string_is_a_limit),
        TEST_CASE(whole_numbers_are_told_from_others),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
