#include "core/amount.h"

#include <string.h>

#define PLACES 6
#define DIGITS_MAX 19   /* of KW_AMOUNT_MAX in millionths */
#define EXPONENT_MAX 99 /* what is beyond can only be a zero */

/* A number taken apart: its digits without point, the zeros at either end left out, times a power of ten. */
struct decimal {
    uint64_t digits;
    size_t digit_count;
    int64_t exponent;
    bool is_negative;
};

static bool is_digit(struct kw_bytes text, size_t at)
{
    return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

/*
 * Digits from `at` on. Zeros are held back until another digit follows, so that those at the end stay away. False when
 * there is no digit. What has more than DIGITS_MAX of them is counted on, but not kept.
 */
static bool take_digits(struct kw_bytes text, size_t *at, struct decimal *number, size_t *zeros, bool is_fraction)
{
    size_t begin = *at;
    for (; is_digit(text, *at); (*at)++) {
        unsigned digit = text.data[*at] - '0';
        number->exponent -= is_fraction;
        if (digit == 0) {
            *zeros += number->digit_count > 0;
            continue;
        }
        for (; *zeros > 0 && number->digit_count < DIGITS_MAX; (*zeros)--, number->digit_count++) {
            number->digits *= 10;
        }
        number->digit_count += *zeros + 1;
        *zeros = 0;
        if (number->digit_count <= DIGITS_MAX) {
            number->digits = number->digits * 10 + digit;
        }
    }
    return *at > begin;
}

static bool take_exponent(struct kw_bytes text, size_t *at, int64_t *exponent_out)
{
    int64_t exponent = 0;
    bool is_negative = *at < text.size && text.data[*at] == '-';
    *at += is_negative || (*at < text.size && text.data[*at] == '+');
    size_t begin = *at;
    for (; is_digit(text, *at); (*at)++) {
        exponent = exponent * 10 + (text.data[*at] - '0');
        exponent = exponent > EXPONENT_MAX ? EXPONENT_MAX : exponent;
    }
    *exponent_out = is_negative ? -exponent : exponent;
    return *at > begin;
}

static bool take_number(struct kw_bytes text, struct decimal *out)
{
    struct decimal number = {0};
    size_t at = 0, zeros = 0;
    int64_t exponent = 0;
    if (at < text.size && text.data[at] == '-') {
        number.is_negative = true;
        at++;
    }
    if (is_digit(text, at) && text.data[at] == '0' && is_digit(text, at + 1)) {
        return false;
    }
    if (!take_digits(text, &at, &number, &zeros, false)) {
        return false;
    }
    if (at < text.size && text.data[at] == '.') {
        at++;
        if (!take_digits(text, &at, &number, &zeros, true)) {
            return false;
        }
    }
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (!take_exponent(text, &at, &exponent)) {
            return false;
        }
    }
    number.exponent += exponent + (int64_t)zeros;
    *out = number;
    return at == text.size;
}

enum kw_status kw_amount_parse(struct kw_bytes number, int64_t *out, const char **why_out)
{
    static const char too_large[] = "must be at most 1000000000000";
    struct decimal decimal;
    if (!take_number(number, &decimal)) {
        *why_out = "must be a number, such as 1500 or 0.002";
        return KW_E_INVALID;
    }
    if (decimal.digit_count == 0) {
        *out = 0;
        return KW_OK;
    }
    if (decimal.is_negative) {
        *why_out = "must not be below 0";
        return KW_E_INVALID;
    }
    int64_t exponent = decimal.exponent + PLACES;
    if (exponent < 0) {
        *why_out = "must have at most six places after the point";
        return KW_E_INVALID;
    }
    if (exponent + (int64_t)decimal.digit_count > DIGITS_MAX) {
        *why_out = too_large;
        return KW_E_INVALID;
    }
    uint64_t amount = decimal.digits;
    for (; exponent > 0; exponent--) {
        amount *= 10;
    }
    if (amount > (uint64_t)KW_AMOUNT_MAX) {
        *why_out = too_large;
        return KW_E_INVALID;
    }
    *out = (int64_t)amount;
    return KW_OK;
}

size_t kw_amount_format(int64_t amount, char out[KW_AMOUNT_TEXT_MAX])
{
    char reversed[KW_AMOUNT_TEXT_MAX];
    size_t size = 0, written = 0;
    uint64_t rest = amount < 0 ? 0 : (uint64_t)amount;
    unsigned places = PLACES;
    for (; places > 0 && rest % 10 == 0; places--) {
        rest /= 10;
    }
    for (; places > 0; places--, rest /= 10) {
        reversed[size++] = (char)('0' + rest % 10);
        if (places == 1) {
            reversed[size++] = '.';
        }
    }
    do {
        reversed[size++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    while (size > 0) {
        out[written++] = reversed[--size];
    }
    return written;
}

void kw_amount_write_json(struct kw_json_writer *writer, const char *name, int64_t amount)
{
    char text[KW_AMOUNT_TEXT_MAX];
    kw_json_name(writer, name);
    if (amount % KW_AMOUNT_ONE == 0 && amount >= 0) {
        kw_json_i64(writer, amount / KW_AMOUNT_ONE);
        return;
    }
    kw_json_raw(writer, kw_bytes_of(text, kw_amount_format(amount, text)));
}
