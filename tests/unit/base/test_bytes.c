#include "support/test.h"

static void comparing_orders_prefixes_before_what_they_begin(struct test *t)
{
    CHECK(t, kw_bytes_compare(KW_BYTES("abc"), KW_BYTES("abc")) == 0);
    CHECK(t, kw_bytes_compare(KW_BYTES("ab"), KW_BYTES("abc")) < 0);
    CHECK(t, kw_bytes_compare(KW_BYTES("abc"), KW_BYTES("ab")) > 0);
    CHECK(t, kw_bytes_compare(KW_BYTES("b"), KW_BYTES("abc")) > 0);
    CHECK(t, kw_bytes_compare(KW_BYTES("\x7f"), KW_BYTES("\x80")) < 0);
    CHECK(t, kw_bytes_compare(KW_BYTES(""), KW_BYTES("a")) < 0);
    CHECK(t, kw_bytes_compare((struct kw_bytes){NULL, 0}, KW_BYTES("")) == 0);
}

static void equality_and_starts_look_at_all_bytes(struct test *t)
{
    CHECK(t, kw_bytes_equal(KW_BYTES("a\0b"), KW_BYTES("a\0b")));
    CHECK(t, !kw_bytes_equal(KW_BYTES("a\0b"), KW_BYTES("a\0c")));
    CHECK(t, !kw_bytes_equal(KW_BYTES("a"), KW_BYTES("ab")));
    CHECK(t, kw_bytes_equal((struct kw_bytes){NULL, 0}, KW_BYTES("")));
    CHECK(t, kw_bytes_starts_with(KW_BYTES("sk_live_x"), KW_BYTES("sk_live_")));
    CHECK(t, kw_bytes_starts_with(KW_BYTES("x"), (struct kw_bytes){NULL, 0}));
    CHECK(t, !kw_bytes_starts_with(KW_BYTES("sk_"), KW_BYTES("sk_live_")));
    CHECK_BYTES(t, kw_bytes_skip(KW_BYTES("abc"), 2), KW_BYTES("c"));
    CHECK(t, kw_bytes_skip(KW_BYTES("abc"), 3).data == NULL);
    CHECK_I64(t, kw_bytes_skip(KW_BYTES("abc"), 4).size, 0);
    CHECK_I64(t, kw_bytes_of_text(NULL).size, 0);
}

static void case_is_ignored_for_ascii_letters_only(struct test *t)
{
    CHECK(t, kw_bytes_equal_ignoring_case(KW_BYTES("Content-Type"), KW_BYTES("cONTENT-tYPE")));
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("abc"), KW_BYTES("abd")));
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("abc"), KW_BYTES("ab")));
    /* Each pair differs in the bit that tells the cases of letters apart. */
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("@"), KW_BYTES("`")));
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("["), KW_BYTES("{")));
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("\xc4"), KW_BYTES("\xe4")));
    CHECK(t, !kw_bytes_equal_ignoring_case(KW_BYTES("\r"), KW_BYTES("-")));
    for (unsigned pair = 0; pair < 65536; pair++) { /* at each place of a word, and behind it */
        uint8_t a[] = "--------X", b[] = "--------x";
        uint8_t one = (uint8_t)(pair >> 8), other = (uint8_t)pair;
        uint8_t other_lower = other >= 'A' && other <= 'Z' ? (uint8_t)(other + 32) : other;
        a[pair % 9] = one;
        b[pair % 9] = other;
        CHECK(t, kw_bytes_equal_ignoring_case(kw_bytes_of(a, 9), kw_bytes_of(b, 9)) ==
                     ((one >= 'A' && one <= 'Z' ? one + 32 : one) == other_lower));
    }
    uint8_t text[8];
    kw_bytes_lower(KW_BYTES("aZ@[\xc4-9A"), text);
    CHECK_BYTES(t, kw_bytes_of(text, sizeof text), KW_BYTES("az@[\xc4-9a"));
}

static void searching_finds_the_needle_anywhere(struct test *t)
{
    CHECK(t, kw_bytes_contains_ignoring_case(KW_BYTES("Production Key"), KW_BYTES("production")));
    CHECK(t, kw_bytes_contains_ignoring_case(KW_BYTES("Production Key"), KW_BYTES("TION k")));
    CHECK(t, kw_bytes_contains_ignoring_case(KW_BYTES("Production Key"), KW_BYTES("key")));
    CHECK(t, kw_bytes_contains_ignoring_case(KW_BYTES("aaab"), KW_BYTES("AAB")));
    CHECK(t, kw_bytes_contains_ignoring_case(KW_BYTES(""), KW_BYTES("")));
    CHECK(t, !kw_bytes_contains_ignoring_case(KW_BYTES("Production Key"), KW_BYTES("keys")));
    CHECK(t, !kw_bytes_contains_ignoring_case(KW_BYTES("ab"), KW_BYTES("abc")));
    CHECK(t, !kw_bytes_contains_ignoring_case((struct kw_bytes){NULL, 0}, KW_BYTES("a")));
}

static void splitting_happens_at_the_first_separator(struct test *t)
{
    struct kw_bytes head, rest;
    CHECK(t, kw_bytes_split(KW_BYTES("team:a:b"), ':', &head, &rest));
    CHECK_BYTES(t, head, KW_BYTES("team"));
    CHECK_BYTES(t, rest, KW_BYTES("a:b"));
    CHECK(t, kw_bytes_split(KW_BYTES("team:"), ':', &head, &rest));
    CHECK_BYTES(t, head, KW_BYTES("team"));
    CHECK(t, rest.size == 0 && rest.data != NULL);
    CHECK(t, kw_bytes_split(KW_BYTES(":x"), ':', &head, &rest));
    CHECK_I64(t, head.size, 0);
    CHECK_BYTES(t, rest, KW_BYTES("x"));
    CHECK(t, !kw_bytes_split(KW_BYTES("team"), ':', &head, &rest));
    CHECK_BYTES(t, head, KW_BYTES("team"));
    CHECK(t, rest.size == 0 && rest.data == NULL);
    CHECK(t, !kw_bytes_split((struct kw_bytes){NULL, 0}, ':', &head, &rest));
}

static void numbers_are_digits_of_64_bits_and_nothing_else(struct test *t)
{
    static const char *const refused[] = {"",
                                          "00",
                                          "01",
                                          "-1",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "1.0",
                                          "1e3",
                                          "0x1",
                                          "a",
                                          "/",
                                          ":",
                                          "1:",
                                          "\xb1",
                                          "18446744073709551616",
                                          "18446744073709551620",
                                          "99999999999999999999",
                                          "100000000000000000000"};
    uint64_t value = 77;
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        CHECK(t, !kw_bytes_to_u64(kw_bytes_of_text(refused[i]), &value));
        CHECK_I64(t, value, 77);
    }
    CHECK(t, kw_bytes_to_u64(KW_BYTES("0"), &value) && value == 0);
    CHECK(t, kw_bytes_to_u64(KW_BYTES("1234567890"), &value) && value == 1234567890);
    CHECK(t, kw_bytes_to_u64(KW_BYTES("18446744073709551615"), &value) && value == UINT64_MAX);
}

/* Independent of the implementation's tables: decodes first, then asks whether that was the shortest form. */
static size_t reference_sequence(const uint8_t *bytes, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = bytes[0] < 0x80           ? 1
                    : (bytes[0] >> 5) == 0x06 ? 2
                    : (bytes[0] >> 4) == 0x0e ? 3
                    : (bytes[0] >> 3) == 0x1e ? 4
                                              : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    uint32_t code_point = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] >> 6 != 2) {
            return 0;
        }
        code_point = code_point << 6 | (bytes[i] & 0x3f);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    return code_point < smallest[length] || code_point > 0x10ffff || surrogate ? 0 : length;
}

static void utf8_is_told_from_all_else(struct test *t)
{
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned i = 0; i < 256 * 256 * KW_COUNT_OF(edges); i++) {
        uint8_t bytes[4] = {(uint8_t)i, (uint8_t)(i >> 8), edges[i >> 16], edges[test_random_below(t, 10)]};
        size_t size = 1 + test_random_below(t, 4);
        size_t expected = reference_sequence(bytes, size);
        if (kw_utf8_sequence(kw_bytes_of(bytes, size)) != expected) {
            test_fail(t, __FILE__, __LINE__, "%02x %02x %02x %02x, size %zu: expected %zu", bytes[0], bytes[1],
                      bytes[2], bytes[3], size, expected);
            return;
        }
    }
    CHECK_I64(t, kw_utf8_sequence((struct kw_bytes){NULL, 0}), 0);
}

static void utf8_is_checked_wherever_it_stands(struct test *t)
{
    static const char *const wrong[] = {"\x80",     "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xc0\x80", "\xff"};
    CHECK(t, kw_utf8_valid((struct kw_bytes){NULL, 0}));
    CHECK(t, kw_utf8_valid(KW_BYTES("plain, na\xc3\xafve, \xe2\x82\xac and \xf0\x9f\x94\x91, then plain again")));
    for (size_t i = 0; i < KW_COUNT_OF(wrong); i++) {
        for (size_t before = 0; before < 24; before++) {
            uint8_t text[40];
            size_t size = strlen(wrong[i]);
            memset(text, 'a', sizeof text);
            memcpy(text + before, wrong[i], size);
            CHECK(t, !kw_utf8_valid(kw_bytes_of(text, sizeof text)));
            CHECK(t, !kw_utf8_valid(kw_bytes_of(text, before + size)));
            CHECK(t, kw_utf8_valid(kw_bytes_of(text, before)));
        }
    }
}

static void utf8_length_counts_code_points(struct test *t)
{
    CHECK_I64(t, kw_utf8_length(KW_BYTES("")), 0);
    CHECK_I64(t, kw_utf8_length(KW_BYTES("key")), 3);
    CHECK_I64(t, kw_utf8_length(KW_BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91!")), 4);
}

static void control_characters_are_seen(struct test *t)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[] = {'a', (uint8_t)byte, 'b'};
        CHECK(t, kw_bytes_has_control(kw_bytes_of(text, sizeof text)) == (byte < 0x20 || byte == 0x7f));
    }
    CHECK(t, !kw_bytes_has_control((struct kw_bytes){NULL, 0}));
}

static void hexadecimal_round_trips(struct test *t)
{
    uint8_t bytes[256], decoded[256];
    char hex[512];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    kw_hex_encode(kw_bytes_of(bytes, sizeof bytes), hex);
    CHECK(t, memcmp(hex, "000102", 6) == 0 && memcmp(hex + 506, "fdfeff", 6) == 0);
    REQUIRE(t, kw_hex_decode(kw_bytes_of(hex, sizeof hex), decoded, sizeof decoded));
    CHECK_BYTES(t, kw_bytes_of(decoded, sizeof decoded), kw_bytes_of(bytes, sizeof bytes));
    CHECK(t, kw_hex_decode(KW_BYTES("AbCd"), decoded, 2) && decoded[0] == 0xab && decoded[1] == 0xcd);
    CHECK(t, kw_hex_decode(KW_BYTES(""), decoded, 0));
}

static void wrong_hexadecimal_leaves_the_output_alone(struct test *t)
{
    static const char *const refused[] = {"",     "0",    "00",   "000",  "00000", "000000", "000g",
                                          "g000", "00 0", "0x00", "00:0", "0@00",  "00`0",   "/000"};
    uint8_t out[2] = {1, 2};
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        CHECK(t, !kw_hex_decode(kw_bytes_of_text(refused[i]), out, sizeof out));
        CHECK(t, out[0] == 1 && out[1] == 2);
    }
}

static void addresses_are_decoded(struct test *t)
{
    static const struct {
        const char *text, *meant; /* NULL: refused */
    } cases[] = {{"", ""},      {"a+b", "a+b"},   {"%41%7a", "Az"}, {"a%2Fb%2b", "a/b+"}, {"%C3%a9", "\xc3\xa9"},
                 {"%25", "%"},  {"%2525", "%25"}, {"%", NULL},      {"a%", NULL},         {"%4", NULL},
                 {"a%4", NULL}, {"%g0", NULL},    {"%0g", NULL},    {"%%41", NULL},       {"%41%", NULL},
                 {"%+1", NULL}, {"% 1", NULL},    {"%4\xb1", NULL}, {"%41%4", NULL}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        uint8_t memory[16];
        size_t size = 99;
        struct kw_bytes text = kw_bytes_of_text(cases[i].text);
        bool is_decoded = kw_bytes_percent_decode(text, memory, &size);
        CHECK(t, is_decoded == (cases[i].meant != NULL));
        CHECK(t, !is_decoded || kw_bytes_equal(kw_bytes_of(memory, size), kw_bytes_of_text(cases[i].meant)));
        CHECK(t, is_decoded || size == 99);
        memcpy(memory, text.data, text.size); /* where it stands */
        CHECK(t, kw_bytes_percent_decode(kw_bytes_of(memory, text.size), memory, &size) == is_decoded);
        CHECK(t, !is_decoded || kw_bytes_equal(kw_bytes_of(memory, size), kw_bytes_of_text(cases[i].meant)));
    }
    uint8_t zero[3] = {'%', '0', '0'};
    size_t size = 0;
    CHECK(t, kw_bytes_percent_decode(kw_bytes_of(zero, sizeof zero), zero, &size) && size == 1 && zero[0] == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(comparing_orders_prefixes_before_what_they_begin),
        TEST_CASE(equality_and_starts_look_at_all_bytes),
        TEST_CASE(case_is_ignored_for_ascii_letters_only),
        TEST_CASE(searching_finds_the_needle_anywhere),
        TEST_CASE(splitting_happens_at_the_first_separator),
        TEST_CASE(numbers_are_digits_of_64_bits_and_nothing_else),
        TEST_CASE(utf8_is_told_from_all_else),
        TEST_CASE(utf8_is_checked_wherever_it_stands),
        TEST_CASE(utf8_length_counts_code_points),
        TEST_CASE(control_characters_are_seen),
        TEST_CASE(hexadecimal_round_trips),
        TEST_CASE(wrong_hexadecimal_leaves_the_output_alone),
        TEST_CASE(addresses_are_decoded),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
