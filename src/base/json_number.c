#include "base/json_scan.h"

/* The number after an e or E, held within what can still be added to. */
static int64_t exponent_of(struct kw_bytes text)
{
    if (text.size == 0) {
        return 0;
    }
    bool negative = text.data[1] == '-';
    int64_t value = 0;
    for (size_t i = 1; i < text.size && value < INT64_C(1) << 50; i++) {
        value = (uint8_t)(text.data[i] - '0') <= 9 ? value * 10 + (text.data[i] - '0') : value;
    }
    return negative ? -value : value;
}

bool kw__json_number_fits(struct kw_bytes number)
{
    static const char limit[] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649"
        "017977587207096330286416692887910946555547851940402630657488671505820681908902000708383"
        "676273854845817711531764475730270069855571366959622842914819860834936475292719074168444"
        "365510704342711559699508093042880177904174497792";
    const uint8_t *end = number.data + number.size;
    const uint8_t *mantissa_end = number.data;
    while (mantissa_end < end && (*mantissa_end | 0x20) != 'e') {
        mantissa_end++;
    }
    const uint8_t *point = memchr(number.data, '.', (size_t)(mantissa_end - number.data));
    point = point == NULL ? mantissa_end : point;
    const uint8_t *digit = number.data;
    while (digit < mantissa_end && (*digit == '0' || *digit == '.' || *digit == '-')) {
        digit++;
    }
    if (digit == mantissa_end) {
        return true;
    }
    int64_t power = digit < point ? point - digit - 1 : point - digit;
    power += exponent_of(kw_bytes_of(mantissa_end, (size_t)(end - mantissa_end)));
    if (power != KW_COUNT_OF(limit) - 2) {
        return power < (int64_t)KW_COUNT_OF(limit) - 2;
    }
    for (const char *at = limit; *at != '\0'; at++) {
        digit += digit == point;
        uint8_t actual = digit < mantissa_end ? *digit++ : '0';
        if (actual != (uint8_t)*at) {
            return actual < (uint8_t)*at;
        }
    }
    return false;
}

bool kw_json_to_i64(struct kw_bytes number, int64_t *value_out)
{
    bool negative = number.size > 0 && number.data[0] == '-';
    uint64_t magnitude;
    if (!kw_bytes_to_u64(kw_bytes_skip(number, negative), &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + (uint64_t)negative) {
        return false;
    }
    *value_out = negative ? (int64_t)-magnitude : (int64_t)magnitude;
    return true;
}
