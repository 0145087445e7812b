#include "cli/keys.h"
#include "cli/text.h"
#include "support/test.h"

#include <locale.h>

static void check_clean(struct test *t, const char *text, const char *expected, size_t width)
{
    struct kw_buffer clean;
    kw_buffer_init(&clean, 4096);
    kw_text_clean(&clean, kw_bytes_of_text(text));
    CHECK_BYTES(t, kw_buffer_bytes(&clean), kw_bytes_of_text(expected));
    CHECK_I64(t, kw_text_width(kw_bytes_of_text(text)), width);
    kw_buffer_deinit(&clean);
}

static void what_a_terminal_obeys_is_replaced(struct test *t)
{
    check_clean(t, "", "", 0);
    check_clean(t, "plain", "plain", 5);
    check_clean(t, "a\033[31mb", "a\xef\xbf\xbd[31mb", 7);
    check_clean(t, "a\tb\nc\x7f",
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd"
                "c\xef\xbf\xbd",
                6);
    check_clean(t,
                "\xc2\x9b"
                "31m",
                "\xef\xbf\xbd"
                "31m",
                4);
    /* RIGHT-TO-LEFT OVERRIDE and LEFT-TO-RIGHT ISOLATE, spelt so that this file is no trick itself. */
    static const char turned[] = {'a',        (char)0xe2, (char)0x80, (char)0xae, 'b',
                                  (char)0xe2, (char)0x81, (char)0xa6, 'c',        0};
    check_clean(t, turned,
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd"
                "c",
                5);
    check_clean(t, "a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd", 3);
}

static void widths_are_columns(struct test *t)
{
    check_clean(t, "Läptop", "Läptop", 6);
    check_clean(t, "日本", "日本", 4);
    check_clean(t, "e\xcc\x81", "e\xcc\x81", 1); /* a combining accent */
    check_clean(t, "😀", "😀", 2);
}

static void check_fit(struct test *t, const char *text, size_t width, const char *expected)
{
    struct kw_buffer fit;
    kw_buffer_init(&fit, 4096);
    kw_text_fit(&fit, kw_bytes_of_text(text), width);
    CHECK_BYTES(t, kw_buffer_bytes(&fit), kw_bytes_of_text(expected));
    kw_buffer_deinit(&fit);
}

static void long_texts_are_cut(struct test *t)
{
    check_fit(t, "12345", 5, "12345");
    check_fit(t, "123456", 5, "1234…");
    check_fit(t, "日本語", 5, "日本…");
    check_fit(t, "日本語", 4, "日…");
    check_fit(t, "123", 1, "…");
}

static void check_relative(struct test *t, int64_t distance_ms, const char *expected)
{
    struct kw_buffer text;
    kw_buffer_init(&text, 64);
    kw_text_relative(&text, INT64_C(1700000000000) + distance_ms, INT64_C(1700000000000));
    CHECK_BYTES(t, kw_buffer_bytes(&text), kw_bytes_of_text(expected));
    kw_buffer_deinit(&text);
}

static void times_read_as_people_say_them(struct test *t)
{
    const int64_t second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
    check_relative(t, 0, "now");
    check_relative(t, -999, "now");
    check_relative(t, second, "in 1 second");
    check_relative(t, -90 * second, "2 minutes ago");
    check_relative(t, 90 * minute, "in 2 hours");
    check_relative(t, -day, "1 day ago");
    check_relative(t, 90 * day - second, "in 90 days");
    check_relative(t, 365 * day, "in 365 days");
    check_relative(t, -730 * day, "2 years ago");
    check_relative(t, INT64_C(36500) * day, "in 100 years");
}

static void words_of_a_shell_are_quoted(struct test *t)
{
    struct kw_buffer text;
    kw_buffer_init(&text, 256);
    kw_text_shell_quote(&text, KW_BYTES("it's $(a) \"b\" \\"));
    CHECK_BYTES(t, kw_buffer_bytes(&text), KW_BYTES("'it'\\''s $(a) \"b\" \\'"));
    kw_buffer_deinit(&text);
}

static void the_nearest_word_is_suggested(struct test *t)
{
    static const char *const names[] = {"list", "show", "update", "verify", "revoke", "rotate", NULL};
    static const struct {
        const char *word, *expected;
    } cases[] = {
        {"lsit", "list"},     {"lst", "list"},       {"lis", "list"},     {"verfy", "verify"},
        {"veirfy", "verify"}, {"revoked", "revoke"}, {"rotat", "rotate"}, {"up", NULL},
        {"", NULL},           {"banana", NULL},      {"ver", "verify"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        CHECK_TEXT(t, kw_suggest(names, cases[i].word), cases[i].expected);
    }
    char endless[4096];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK(t, kw_suggest(names, endless) == NULL);
}

static void keys_are_told_from_words(struct test *t)
{
    CHECK(t, kw_looks_like_key("sk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVabcdef"));
    CHECK(t, kw_looks_like_key("key=acme_prod_0123456789ABCDEFGHIJKL"));
    CHECK(t, !kw_looks_like_key("key_01J9ZV3T5K8W2Q7R4M6N0PXYBC"));
    CHECK(t, !kw_looks_like_key("--management-key-file"));
    CHECK(t, !kw_looks_like_key(""));
}

static void answers_that_are_no_objects_are_refused(struct test *t)
{
    static const char *const wrong[] = {"",       "[]", "1", "{", "{\"a\":1", "{\"a\":1}x", "{\"a\":{\"b\":1,\"b\":2}}",
                                        "{\"a\"}"};
    struct kw_member members[] = {{.name = "a"}, {.name = "b"}};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    for (size_t i = 0; i < KW_COUNT_OF(wrong); i++) {
        CHECK(t, kw_members_read(kw_bytes_of_text(wrong[i]), &arena, members, 2) != KW_OK);
    }
    struct kw_bytes right = KW_BYTES("{\"c\": [{}], \"b\": \"\\u0041\", \"a\": {\"x\": 1}}");
    REQUIRE_OK(t, kw_members_read(right, &arena, members, 2));
    CHECK_BYTES(t, members[0].text, KW_BYTES("{\"x\": 1}"));
    CHECK_BYTES(t, members[1].text, KW_BYTES("A"));
    REQUIRE_OK(t, kw_members_read(KW_BYTES("{}"), &arena, members, 2));
    CHECK(t, members[0].type == KW_JSON_NULL && members[1].text.size == 0);
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_a_terminal_obeys_is_replaced),
        TEST_CASE(widths_are_columns),
        TEST_CASE(long_texts_are_cut),
        TEST_CASE(times_read_as_people_say_them),
        TEST_CASE(words_of_a_shell_are_quoted),
        TEST_CASE(the_nearest_word_is_suggested),
        TEST_CASE(keys_are_told_from_words),
        TEST_CASE(answers_that_are_no_objects_are_refused),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
