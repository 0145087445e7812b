#include "core/amount.h"
#include "support/test.h"

#include <stdio.h>

static void amounts_are_read_exactly(struct test *t)
{
    static const struct {
        const char *text;
        int64_t amount;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"0.0e9", 0},
        {"0e-999999999999999999999", 0},
        {"1", 1000000},
        {"1500", 1500000000},
        {"0.002", 2000},
        {"0.000001", 1},
        {"0.1", 100000},
        {"2e-3", 2000},
        {"2E+3", 2000000000},
        {"12.5e1", 125000000},
        {"1.50000000000000000000000", 1500000},
        {"100000e-5", 1000000},
        {"0.00000000001e11", 1000000},
        {"0.0000000000000000000000000002e28", 2000000},
        {"1000000000000", KW_AMOUNT_MAX},
        {"1e12", KW_AMOUNT_MAX},
        {"999999999999.999999", KW_AMOUNT_MAX - 1},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        int64_t amount = -1;
        const char *why = "";
        CHECK_STATUS(t, kw_amount_parse(kw_bytes_of_text(cases[i].text), &amount, &why), KW_OK);
        CHECK_I64(t, amount, cases[i].amount);
    }
}

static void what_is_no_amount_is_refused_with_its_reason(struct test *t)
{
    static const char number[] = "must be a number, such as 1500 or 0.002";
    static const char places[] = "must have at most six places after the point";
    static const char large[] = "must be at most 1000000000000";
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", number},
        {"-", number},
        {".5", number},
        {"5.", number},
        {"05", number},
        {"1e", number},
        {"1e+", number},
        {"1 ", number},
        {"+1", number},
        {"0x1", number},
        {"1,5", number},
        {"-1", "must not be below 0"},
        {"0.0000001", places},
        {"1.0000001", places},
        {"1e-7", places},
        {"1000000000000.000001", large},
        {"1e13", large},
        {"1e99", large},
        {"1e999999999999999999999999", large},
        {"99999999999999999999999999999999", large},
        {"18446744073709551617", large},
        {"18446744073709.551617", large},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        int64_t amount = -7;
        const char *why = "";
        CHECK_STATUS(t, kw_amount_parse(kw_bytes_of_text(cases[i].text), &amount, &why), KW_E_INVALID);
        CHECK_TEXT(t, why, cases[i].why);
        CHECK_I64(t, amount, -7);
    }
}

/* The amount's own digits, with the point moved about and the exponent moving it back. */
static void amounts_survive_every_form(struct test *t)
{
    for (int i = 0; i < 200000; i++) {
        int64_t bound = 1;
        for (uint64_t digits = test_random_below(t, 19); digits > 0; digits--) {
            bound *= 10;
        }
        int64_t amount = (int64_t)test_random_below(t, (uint64_t)bound + 1);
        int64_t parsed = -1;
        const char *why = "";
        char text[KW_AMOUNT_TEXT_MAX];
        size_t size = kw_amount_format(amount, text);
        REQUIRE(t, size <= KW_AMOUNT_TEXT_MAX);
        REQUIRE_OK(t, kw_amount_parse(kw_bytes_of(text, size), &parsed, &why));
        REQUIRE(t, parsed == amount);

        char other[64];
        int point = (int)test_random_below(t, 12);
        int64_t power = 1;
        for (int place = 0; place < point; place++) {
            power *= 10;
        }
        int length = snprintf(other, sizeof other, "%lld.%0*llde%d", (long long)(amount / power), point + 1,
                              (long long)(amount % power) * 10, point - 6);
        REQUIRE_OK(t, kw_amount_parse(kw_bytes_of(other, (size_t)length), &parsed, &why));
        REQUIRE(t, parsed == amount);
    }
}

static void amounts_are_written_short(struct test *t)
{
    static const struct {
        int64_t amount;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "0.000001"},
        {2000, "0.002"},
        {1000000, "1"},
        {1500000, "1.5"},
        {KW_AMOUNT_MAX, "1000000000000"},
        {INT64_MAX, "9223372036854.775807"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        char text[KW_AMOUNT_TEXT_MAX];
        size_t size = kw_amount_format(cases[i].amount, text);
        CHECK_BYTES(t, kw_bytes_of(text, size), kw_bytes_of_text(cases[i].text));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(amounts_are_read_exactly),
        TEST_CASE(what_is_no_amount_is_refused_with_its_reason),
        TEST_CASE(amounts_survive_every_form),
        TEST_CASE(amounts_are_written_short),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
