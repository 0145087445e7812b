#include "core/internal.h"
#include "core/key.h"
#include "support/test.h"

#define BASE62 "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const struct kw_key_format plain_format = {.prefix = {(const uint8_t *)"sk_live_", 8}, .length = 32};

static bool generate(struct test *t, const struct kw_key_format *format, struct kw_secret *key)
{
    uint8_t random[KW_KEY_RANDOM_SIZE];
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (uint8_t)(test_random(t) >> 24);
    }
    enum kw_status status = kw_key_generate(format, kw_bytes_of(random, sizeof random), key);
    CHECK_STATUS(t, status, KW_OK);
    return status == KW_OK;
}

/* The definition, bit by bit: remainder by 0x04c11db7, bits of a byte from the least, inverted before and after. */
static uint32_t slow_crc32(struct kw_bytes bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint32_t feedback = (crc ^ (uint32_t)(bytes.data[i] >> bit)) & 1;
            crc >>= 1;
            if (feedback == 1) {
                crc ^= UINT32_C(0xedb88320);
            }
        }
    }
    return ~crc;
}

static void the_checksum_is_crc_32(struct test *t)
{
    CHECK_I64(t, kw_crc32(KW_BYTES("123456789")), 0xcbf43926); /* the check value of the RevEng catalogue */
    CHECK_I64(t, kw_crc32((struct kw_bytes){NULL, 0}), 0);
    uint8_t bytes[192];
    for (size_t size = 0; size <= sizeof bytes; size++) {
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)test_random(t);
        }
        struct kw_bytes text = kw_bytes_of(bytes, size);
        CHECK_I64(t, kw_crc32(text), slow_crc32(text));
        CHECK_I64(t, kw__crc32_by_tables(text), slow_crc32(text));
    }
}

static void a_key_is_prefix_random_part_and_checksum(struct test *t)
{
    struct kw_secret key KW_WIPED = {.size = 0};
    for (int i = 0; i < 500 && generate(t, &plain_format, &key); i++) {
        struct kw_bytes text = kw_secret_expose(&key);
        REQUIRE(t, text.size == 8 + 32 + KW_KEY_CHECKSUM_SIZE);
        CHECK(t, kw_bytes_starts_with(text, KW_BYTES("sk_live_")));
        uint64_t checksum = 0;
        for (size_t at = 8; at < text.size; at++) {
            const char *digit = strchr(BASE62, text.data[at]);
            REQUIRE(t, digit != NULL && text.data[at] != 0);
            checksum = at < 40 ? 0 : checksum * 62 + (uint64_t)(digit - BASE62);
        }
        CHECK_I64(t, checksum, slow_crc32(kw_bytes_of(text.data, 40)));
        CHECK(t, kw_key_well_formed(text));
    }
}

static void a_key_made_long_ago_stays_well_formed(struct test *t)
{
    CHECK(t, kw_key_well_formed(KW_BYTES("sk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV28hqg7")));
}

static void every_single_change_is_caught(struct test *t)
{
    struct kw_secret key KW_WIPED = {.size = 0};
    REQUIRE(t, generate(t, &plain_format, &key));
    struct kw_bytes text = kw_secret_expose(&key);
    for (size_t at = 0; at < text.size; at++) {
        uint8_t kept = key.hidden[at];
        for (unsigned c = 0; c < 256; c++) {
            key.hidden[at] = (uint8_t)c;
            if ((c == kept) != kw_key_well_formed(text)) {
                test_fail(t, __FILE__, __LINE__, "byte %zu as 0x%02x", at, c);
            }
        }
        key.hidden[at] = kept;
    }
}

static void every_transposition_of_neighbours_is_caught(struct test *t)
{
    for (int round = 0; round < 200; round++) {
        struct kw_secret key KW_WIPED = {.size = 0};
        REQUIRE(t, generate(t, &plain_format, &key));
        struct kw_bytes text = kw_secret_expose(&key);
        for (size_t at = 0; at + 1 < text.size; at++) {
            uint8_t left = key.hidden[at];
            uint8_t right = key.hidden[at + 1];
            key.hidden[at] = right;
            key.hidden[at + 1] = left;
            CHECK(t, kw_key_well_formed(text) == (left == right));
            key.hidden[at] = left;
            key.hidden[at + 1] = right;
        }
    }
}

static void what_is_lost_or_added_is_caught(struct test *t)
{
    struct kw_secret key KW_WIPED = {.size = 0};
    REQUIRE(t, generate(t, &plain_format, &key));
    uint8_t longer[KW_SECRET_MAX + 1] = {0};
    memcpy(longer + 1, key.hidden, key.size);
    for (size_t size = 0; size < key.size; size++) {
        CHECK(t, !kw_key_well_formed(kw_bytes_of(longer + 1, size)));
        CHECK(t, !kw_key_well_formed(kw_bytes_of(longer + 1 + key.size - size, size)));
    }
    for (unsigned c = 0; c < 256; c++) {
        longer[0] = (uint8_t)c;
        longer[1 + key.size] = (uint8_t)c;
        CHECK(t, !kw_key_well_formed(kw_bytes_of(longer, key.size + 1)));
        CHECK(t, !kw_key_well_formed(kw_bytes_of(longer + 1, key.size + 1)));
    }
    uint8_t huge[1000];
    memset(huge, 'a', sizeof huge);
    for (size_t size = 0; size < sizeof huge; size++) {
        CHECK(t, !kw_key_well_formed(kw_bytes_of(huge, size)));
    }
}

/* '_' stands for no digit, so that a number has one form: "2_" is not another "1z". */
static void a_checksum_has_one_form(struct test *t)
{
    int tried = 0;
    while (tried < 20) {
        struct kw_secret key KW_WIPED = {.size = 0};
        REQUIRE(t, generate(t, &plain_format, &key));
        uint8_t *last = &key.hidden[key.size - 1];
        const char *digit = strchr(BASE62, last[-1]);
        if (*last != 'z' || digit == NULL || *digit == 'z') {
            continue;
        }
        last[-1] = (uint8_t)digit[1];
        *last = '_';
        CHECK(t, !kw_key_well_formed(kw_secret_expose(&key)));
        *last = '-';
        CHECK(t, !kw_key_well_formed(kw_secret_expose(&key)));
        tried++;
    }
}

/* A true checksum over characters that no key has does not make a key. */
static void only_characters_of_keys_pass(struct test *t)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[46];
        memcpy(text, "sk_live_", 8);
        memset(text + 8, 'a', 32);
        text[20] = (uint8_t)c;
        uint32_t crc = slow_crc32(kw_bytes_of(text, 40));
        for (int i = 45; i >= 40; i--, crc /= 62) {
            text[i] = (uint8_t)BASE62[crc % 62];
        }
        bool expected = c != 0 && strchr(BASE62 "_-", (int)c) != NULL;
        if (kw_key_well_formed(kw_bytes_of(text, sizeof text)) != expected) {
            test_fail(t, __FILE__, __LINE__, "0x%02x", c);
        }
    }
}

/* Lengths of every alphabet's first key of 2^128 possibilities or more, reckoned with big integers. */
static const uint8_t shortest[63] = {
    [2] = 128, 81, 64, 56, 50, 46, 43, 41, 39, 38, 36, 35, 34, 33, 32, 32, 31, 31, 30, 30, 29,
    29,        28, 28, 28, 27, 27, 27, 27, 26, 26, 26, 26, 25, 25, 25, 25, 25, 25, 24, 24, 24,
    24,        24, 24, 24, 23, 23, 23, 23, 23, 23, 23, 23, 23, 22, 22, 22, 22, 22, 22,
};

static void weak_formats_are_refused_at_the_exact_edge(struct test *t)
{
    for (size_t count = 2; count <= 62; count++) {
        struct kw_key_format format = {.prefix = KW_BYTES("a_"), .alphabet = {(const uint8_t *)BASE62, count}};
        struct kw_error error;
        for (format.length = 1; format.length <= KW_KEY_LENGTH_MAX; format.length++) {
            enum kw_status status = kw_key_format_check(&format, &error);
            bool strong = format.length >= shortest[count];
            if ((status == KW_OK) != strong) {
                test_fail(t, __FILE__, __LINE__, "%zu letters, length %u", count, format.length);
            }
            if (!strong) {
                CHECK_STATUS(t, status, KW_E_INVALID);
                CHECK_TEXT(t, error.code, "WEAK_KEY_FORMAT");
            }
        }
    }
    struct kw_key_format all = {.prefix = KW_BYTES("a_"), .length = 21};
    CHECK_STATUS(t, kw_key_format_check(&all, NULL), KW_E_INVALID);
    all.length = 22;
    CHECK_STATUS(t, kw_key_format_check(&all, NULL), KW_OK);
}

static void bad_formats_name_what_is_wrong(struct test *t)
{
    static const struct {
        const char *prefix;
        uint32_t length;
        const char *alphabet;
        const char *field; /* NULL: a good format */
    } rows[] = {
        {"", 32, "", "prefix"},
        {"_", 32, "", "prefix"},
        {"a", 32, "", "prefix"},
        {"a_", 32, "", NULL},
        {"sk-9_live_", 32, "", NULL},
        {"sk_live", 32, "", "prefix"},
        {"9k_", 32, "", "prefix"},
        {"Sk_", 32, "", "prefix"},
        {"-k_", 32, "", "prefix"},
        {"s k_", 32, "", "prefix"},
        {"s\xc3\xa4_", 32, "", "prefix"},
        {"abcdefghijklmnopqrstuvwxyz01234_", 32, "", NULL},
        {"abcdefghijklmnopqrstuvwxyz012345_", 32, "", "prefix"},
        {"sk_", 0, "", "length"},
        {"sk_", 128, "", NULL},
        {"sk_", 129, "", "length"},
        {"sk_", 128, "a", "alphabet"},
        {"sk_", 128, "ab", NULL},
        {"sk_", 128, "aba", "alphabet"},
        {"sk_", 128, "0123456789abcdef", NULL},
        {"sk_", 128, "ab-", "alphabet"},
        {"sk_", 128, "ab_", "alphabet"},
        {"sk_", 128, "ab\x7f", "alphabet"},
        {"sk_", 128, BASE62, NULL},
        {"sk_", 128, BASE62 "a", "alphabet"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_key_format format = {kw_bytes_of_text(rows[i].prefix), rows[i].length,
                                       kw_bytes_of_text(rows[i].alphabet)};
        struct kw_error error = {.code = NULL};
        enum kw_status status = kw_key_format_check(&format, &error);
        CHECK_STATUS(t, status, rows[i].field == NULL ? KW_OK : KW_E_INVALID);
        if (rows[i].field != NULL && status != KW_OK) {
            CHECK_TEXT(t, error.code, "INVALID_FIELD");
            CHECK_TEXT(t, error.field, rows[i].field);
        }
    }
}

/* Pearson's chi-square over the letters drawn; the bound lies eight standard deviations above what is expected. */
static void check_unbiased(struct test *t, const char *alphabet)
{
    size_t count = strlen(alphabet);
    uint32_t seen[256] = {0};
    struct kw_key_format format = {KW_BYTES("k_"), 128, kw_bytes_of_text(alphabet)};
    for (int i = 0; i < 4000; i++) {
        struct kw_secret key KW_WIPED = {.size = 0};
        REQUIRE(t, generate(t, &format, &key));
        for (size_t at = 2; at < 2 + 128; at++) {
            seen[key.hidden[at]]++;
        }
    }
    uint64_t total = UINT64_C(4000) * 128;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t off = (int64_t)(seen[(uint8_t)alphabet[i]] * count) - (int64_t)total;
        sum += (uint64_t)(off * off) / (total * count / 1000); /* thousandths */
    }
    uint64_t freedom = count - 1;
    uint64_t slack = 8;
    while (slack * slack < 64 * 2 * freedom) {
        slack++;
    }
    if (sum / 1000 > freedom + slack + 8) {
        test_fail(t, __FILE__, __LINE__, "%zu letters: chi-square %d", count, (int)(sum / 1000));
    }
}

static void generation_favours_no_character(struct test *t)
{
    t->random = 1; /* a statistical test may not fail by bad luck: the draws are always the same */
    check_unbiased(t, BASE62);
    check_unbiased(t, "0123456789abcdefghijklmnopqrstuvw"); /* 33: just beyond a power of two */
    check_unbiased(t, "01");
    check_unbiased(t, "abc");
    check_unbiased(t, "0123456789abcdef");
}

static void too_few_random_bytes_make_no_key(struct test *t)
{
    uint8_t random[KW_KEY_RANDOM_SIZE];
    memset(random, 62, sizeof random); /* one that base62 always throws away */
    struct kw_secret key = {.size = 3};
    CHECK_STATUS(t, kw_key_generate(&plain_format, kw_bytes_of(random, sizeof random), &key), KW_E_LIMIT);
    memset(random, 5, sizeof random);
    CHECK_STATUS(t, kw_key_generate(&plain_format, kw_bytes_of(random, 31), &key), KW_E_LIMIT);
    CHECK_I64(t, key.size, 3);
    CHECK_STATUS(t, kw_key_generate(&plain_format, kw_bytes_of(random, 32), &key), KW_OK);
    CHECK(t, kw_key_well_formed(kw_secret_expose(&key)));
    /* An alphabet of a power of two throws nothing away. */
    static const struct kw_key_format bits = {{(const uint8_t *)"a_", 2}, 128, {(const uint8_t *)"01", 2}};
    for (size_t i = 0; i < 128; i++) {
        random[i] = (uint8_t)test_random(t);
    }
    CHECK_STATUS(t, kw_key_generate(&bits, kw_bytes_of(random, 128), &key), KW_OK);
}

static void the_longest_and_shortest_formats_make_keys(struct test *t)
{
    static const struct kw_key_format formats[] = {
        {{(const uint8_t *)"a_", 2}, 22, {NULL, 0}},
        {{(const uint8_t *)"abcdefghijklmnopqrstuvwxyz01234_", 32}, 128, {NULL, 0}},
        {{(const uint8_t *)"abcdefghijklmnopqrstuvwxyz01234_", 32}, 128, {(const uint8_t *)"01", 2}},
    };
    for (size_t i = 0; i < KW_COUNT_OF(formats); i++) {
        struct kw_secret key KW_WIPED = {.size = 0};
        CHECK_STATUS(t, kw_key_format_check(&formats[i], NULL), KW_OK);
        REQUIRE(t, generate(t, &formats[i], &key));
        CHECK(t, kw_key_well_formed(kw_secret_expose(&key)));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_checksum_is_crc_32),
        TEST_CASE(a_key_is_prefix_random_part_and_checksum),
        TEST_CASE(a_key_made_long_ago_stays_well_formed),
        TEST_CASE(every_single_change_is_caught),
        TEST_CASE(every_transposition_of_neighbours_is_caught),
        TEST_CASE(what_is_lost_or_added_is_caught),
        TEST_CASE(a_checksum_has_one_form),
        TEST_CASE(only_characters_of_keys_pass),
        TEST_CASE(weak_formats_are_refused_at_the_exact_edge),
        TEST_CASE(bad_formats_name_what_is_wrong),
        TEST_CASE(generation_favours_no_character),
        TEST_CASE(too_few_random_bytes_make_no_key),
        TEST_CASE(the_longest_and_shortest_formats_make_keys),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
