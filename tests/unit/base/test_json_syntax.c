#include "base/error.h"
#include "base/json.h"
#include "support/test.h"

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

struct document {
    const char *text;
    size_t size;
};

#define DOCUMENT(literal) \
    { \
        literal, sizeof(literal) - 1 \
    }

/* In the manner of Nicolas Seriot's JSONTestSuite: what every reader must take. */
static const struct document taken[] = {
    DOCUMENT("null"),
    DOCUMENT("true"),
    DOCUMENT("false"),
    DOCUMENT("0"),
    DOCUMENT("-0"),
    DOCUMENT("-0.0"),
    DOCUMENT("0e1"),
    DOCUMENT("0e+1"),
    DOCUMENT("-1"),
    DOCUMENT("10"),
    DOCUMENT("123.456e78"),
    DOCUMENT("1E22"),
    DOCUMENT("1E-2"),
    DOCUMENT("1E+2"),
    DOCUMENT("1e-400"),
    DOCUMENT("0e400"),
    DOCUMENT("0.00e99999999999999999999"),
    DOCUMENT("-0.000000000000000000000000000000000000000000000000000000000000000000000000000000000001"),
    DOCUMENT("1.7976931348623157e308"),
    DOCUMENT("-1.7976931348623157e308"),
    DOCUMENT("1.797693134862315807e308"),
    DOCUMENT("17976931348623157e292"),
    DOCUMENT("0.00017976931348623157e312"),
    DOCUMENT("1000000e-1000000000000000000000000"),
    DOCUMENT("123456789012345678901234567890"),
    DOCUMENT("\"\""),
    DOCUMENT("\"a\""),
    DOCUMENT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    DOCUMENT("\"\\u0012\\u00e4\\u20AC\\uFFFF\""),
    DOCUMENT("\"\\uD83d\\udd11\""),
    DOCUMENT("\"\\uDBFF\\uDFFF\""),
    DOCUMENT("\"\\\\u0000\""),
    DOCUMENT("\"\\\\a\""),
    DOCUMENT("\"\x7f\""),
    DOCUMENT("\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x91 \xef\xbf\xbf \xe2\x80\xa8\""),
    DOCUMENT("[]"),
    DOCUMENT("{}"),
    DOCUMENT(" [ ] "),
    DOCUMENT("\t{\r\n} \n"),
    DOCUMENT("[[],[[]],{}]"),
    DOCUMENT("[1,null,\"x\",true , false]"),
    DOCUMENT("{\"\":0}"),
    DOCUMENT("{\"a\":[],\"b\":{\"c\":{}}}"),
    DOCUMENT(" { \"a\" : 1 , \"b\" : [ 1 , 2 ] } "),
    DOCUMENT("{\"a\\u0062\":\"\\u0063\"}"),
};

static void what_the_standard_allows_is_taken(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(taken); i++) {
        struct kw_arena arena;
        struct kw_error error = {.status = KW_OK};
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        if (read_all(kw_bytes_of(taken[i].text, taken[i].size), &arena, &error) != KW_OK) {
            test_fail(t, __FILE__, __LINE__, "'%s': %s", taken[i].text, error.message);
        }
        kw_arena_reset(&arena);
    }
}

static const struct document refused[] = {
    DOCUMENT(""),
    DOCUMENT(" "),
    DOCUMENT("\xef\xbb\xbf{}"),
    DOCUMENT("\xff\xfe{\0}\0"),
    DOCUMENT("nul"),
    DOCUMENT("nulll"),
    DOCUMENT("Null"),
    DOCUMENT("TRUE"),
    DOCUMENT("truefalse"),
    DOCUMENT("fals"),
    DOCUMENT("NaN"),
    DOCUMENT("Infinity"),
    DOCUMENT("-Infinity"),
    DOCUMENT("undefined"),
    DOCUMENT("1 2"),
    DOCUMENT("1,"),
    DOCUMENT("[]]"),
    DOCUMENT("{}}"),
    DOCUMENT("{}#"),
    DOCUMENT("null\0"),
    DOCUMENT("\0"),
    DOCUMENT("[]\f"),
    DOCUMENT("\v[]"),
    DOCUMENT("\xc2\xa0[]"),
    /* Numbers. */
    DOCUMENT("-"),
    DOCUMENT("+1"),
    DOCUMENT("--1"),
    DOCUMENT("01"),
    DOCUMENT("-01"),
    DOCUMENT("00"),
    DOCUMENT("1."),
    DOCUMENT(".1"),
    DOCUMENT("-.1"),
    DOCUMENT("1.e1"),
    DOCUMENT("1e"),
    DOCUMENT("1e+"),
    DOCUMENT("1E-"),
    DOCUMENT("1e1.5"),
    DOCUMENT("1e 1"),
    DOCUMENT("1 e1"),
    DOCUMENT("0x1"),
    DOCUMENT("1_000"),
    DOCUMENT("1a"),
    DOCUMENT("1-2"),
    DOCUMENT("1.2.3"),
    DOCUMENT("\xef\xbc\x91"),
    DOCUMENT("1e400"),
    DOCUMENT("-1e400"),
    DOCUMENT("1e309"),
    DOCUMENT("1.7976931348623159e308"),
    DOCUMENT("1.797693134862315808e308"),
    DOCUMENT("-17976931348623159e292"),
    DOCUMENT("0.0001e313"),
    DOCUMENT("1e99999999999999999999999999999999"),
    /* Strings. */
    DOCUMENT("\""),
    DOCUMENT("\"a"),
    DOCUMENT("a"),
    DOCUMENT("'a'"),
    DOCUMENT("\"\\\""),
    DOCUMENT("\"\\"),
    DOCUMENT("\"\\a\""),
    DOCUMENT("\"\\'\""),
    DOCUMENT("\"\\x41\""),
    DOCUMENT("\"\\U0041\""),
    DOCUMENT("\"\\\0\""),
    DOCUMENT("\"\\\xc3\xa4\""),
    DOCUMENT("\"\\u\""),
    DOCUMENT("\"\\u00\""),
    DOCUMENT("\"\\u004\""),
    DOCUMENT("\"\\u00g1\""),
    DOCUMENT("\"\\u+041\""),
    DOCUMENT("\"\\u0000\""),
    DOCUMENT("\"a\\u0000b\""),
    DOCUMENT("\"\\ud800\""),
    DOCUMENT("\"\\udc00\""),
    DOCUMENT("\"\\udfff\""),
    DOCUMENT("\"\\ud800a\""),
    DOCUMENT("\"\\ud800\\n\""),
    DOCUMENT("\"\\ud800\\u0041\""),
    DOCUMENT("\"\\ud800\\ud800\\udc00\""),
    DOCUMENT("\"\\udc00\\ud800\""),
    DOCUMENT("\"\\ud800\\udbff\""),
    DOCUMENT("\"\\ud83d\\ue000\""),
    DOCUMENT("\"\\ud83d"),
    DOCUMENT("\"\\ud83d\\u"),
    DOCUMENT("\"\\ud83d\\udd1"),
    DOCUMENT("\"a\nb\""),
    DOCUMENT("\"a\tb\""),
    DOCUMENT("\"a\0b\""),
    DOCUMENT("\"\x1f\""),
    DOCUMENT("\"\xff\""),
    DOCUMENT("\"\xc3\""),
    DOCUMENT("\"\xe2\x82\""),
    DOCUMENT("\"\xc0\x80\""),
    DOCUMENT("\"\xed\xa0\x80\""),
    DOCUMENT("\"\xf4\x90\x80\x80\""),
    DOCUMENT("\"\xf0\x9f\x94"),
    DOCUMENT("\"plain text before it, then \xe4\""),
    /* Arrays and objects. */
    DOCUMENT("["),
    DOCUMENT("]"),
    DOCUMENT("[1"),
    DOCUMENT("[1,"),
    DOCUMENT("[1,]"),
    DOCUMENT("[,1]"),
    DOCUMENT("[,]"),
    DOCUMENT("[1,,2]"),
    DOCUMENT("[1 2]"),
    DOCUMENT("[1:2]"),
    DOCUMENT("[\"a\":1]"),
    DOCUMENT("[1}"),
    DOCUMENT("[[]"),
    DOCUMENT("[}"),
    DOCUMENT("[/**/]"),
    DOCUMENT("{"),
    DOCUMENT("}"),
    DOCUMENT("{]"),
    DOCUMENT("{\"a\""),
    DOCUMENT("{\"a\":"),
    DOCUMENT("{\"a\":1"),
    DOCUMENT("{\"a\":1,"),
    DOCUMENT("{\"a\":1,}"),
    DOCUMENT("{,\"a\":1}"),
    DOCUMENT("{\"a\" 1}"),
    DOCUMENT("{\"a\",1}"),
    DOCUMENT("{\"a\"::1}"),
    DOCUMENT("{\"a\":}"),
    DOCUMENT("{\"a\"}"),
    DOCUMENT("{a:1}"),
    DOCUMENT("{'a':1}"),
    DOCUMENT("{1:1}"),
    DOCUMENT("{null:1}"),
    DOCUMENT("{\"a\":1]"),
    DOCUMENT("{\"a\":1 \"b\":2}"),
    DOCUMENT("{\"a\":1:\"b\"}"),
    DOCUMENT("{\"a\":1,,\"b\":2}"),
    DOCUMENT("{\"a\":1,[]}"),
    DOCUMENT("{\"a\":1}//"),
    DOCUMENT("{\"\\ud800\":1}"),
};

static void what_the_standard_forbids_is_refused(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        struct kw_arena arena;
        struct kw_error error = {.status = KW_OK};
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        enum kw_status status = read_all(kw_bytes_of(refused[i].text, refused[i].size), &arena, &error);
        kw_arena_reset(&arena);
        if (status != KW_E_INVALID || strcmp(error.code, "INVALID_JSON") != 0) {
            test_fail(t, __FILE__, __LINE__, "'%s': %s", refused[i].text, kw_status_name(status));
        }
        CHECK_STATUS(t, read_all(kw_bytes_of(refused[i].text, refused[i].size), NULL, NULL), status);
    }
}

static void every_cut_of_a_document_is_refused(struct test *t)
{
    static const char text[] = " {\"a\\u00e4\" : [1.5e3, \"\xf0\x9f\x94\x91\\ud83d\\udd11\", true, null], \"b\":{}}";
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t size = 0; size < sizeof text - 1; size++) {
        /* Memory of exactly this size, so that a sanitizer sees a byte read too far. */
        uint8_t *cut = malloc(size + 1);
        REQUIRE(t, cut != NULL);
        memcpy(cut + 1, text, size);
        CHECK_STATUS(t, read_all(kw_bytes_of(cut + 1, size), &arena, NULL), KW_E_INVALID);
        free(cut);
    }
    CHECK_STATUS(t, read_all(kw_bytes_of_text(text), &arena, NULL), KW_OK);
    CHECK_STATUS(t, read_all((struct kw_bytes){NULL, 0}, &arena, NULL), KW_E_INVALID);
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_the_standard_allows_is_taken),
        TEST_CASE(what_the_standard_forbids_is_refused),
        TEST_CASE(every_cut_of_a_document_is_refused),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
