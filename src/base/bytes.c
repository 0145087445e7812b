#include "base/bytes.h"

const char kw__digit_pairs[201] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

void kw_bytes_lower(struct kw_bytes text, uint8_t *lower_out)
{
    for (size_t i = 0; i < text.size; i++) {
        lower_out[i] = lower(text.data[i]);
    }
}

int kw_bytes_compare(struct kw_bytes a, struct kw_bytes b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

/* Eight at once. A byte below 128 is from 'A' on where adding 128 - 'A' sets its top bit, and the same beyond 'Z'. */
static uint64_t lower_eight(const uint8_t *bytes)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t eight;
    memcpy(&eight, bytes, sizeof eight);
    uint64_t low = eight & each * 0x7f;
    uint64_t is_upper = (low + each * (0x80 - 'A')) & ~(low + each * (0x80 - 'Z' - 1)) & ~eight & each * 0x80;
    return eight | is_upper >> 2;
}

bool kw_bytes_equal_ignoring_case(struct kw_bytes a, struct kw_bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    size_t at = 0;
    for (; a.size - at >= 8; at += 8) {
        if (lower_eight(a.data + at) != lower_eight(b.data + at)) {
            return false;
        }
    }
    for (; at < a.size; at++) {
        if (lower(a.data[at]) != lower(b.data[at])) {
            return false;
        }
    }
    return true;
}

bool kw_bytes_contains_ignoring_case(struct kw_bytes hay, struct kw_bytes needle)
{
    if (needle.size == 0) {
        return true;
    }
    uint8_t first = lower(needle.data[0]);
    for (size_t i = 0; i + needle.size <= hay.size; i++) {
        if (lower(hay.data[i]) == first &&
            kw_bytes_equal_ignoring_case(kw_bytes_of(hay.data + i, needle.size), needle)) {
            return true;
        }
    }
    return false;
}

bool kw_bytes_split(struct kw_bytes bytes, uint8_t separator, struct kw_bytes *head_out, struct kw_bytes *rest_out)
{
    const uint8_t *found = bytes.size == 0 ? NULL : memchr(bytes.data, separator, bytes.size);
    if (found == NULL) {
        *head_out = bytes;
        *rest_out = (struct kw_bytes){NULL, 0};
        return false;
    }
    size_t head_size = (size_t)(found - bytes.data);
    *head_out = kw_bytes_of(bytes.data, head_size);
    *rest_out = kw_bytes_of(found + 1, bytes.size - head_size - 1);
    return true;
}

bool kw_bytes_to_u64(struct kw_bytes digits, uint64_t *value_out)
{
    if (digits.size == 0 || (digits.size > 1 && digits.data[0] == '0')) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = (unsigned)digits.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *value_out = value;
    return true;
}

/*
 * The well-formed sequences, table 3-7 of the Unicode standard: the first byte gives the length and the range of the
 * second; all others are 80..BF. The narrow ranges keep out overlong forms, surrogates and what lies past U+10FFFF.
 */
size_t kw_utf8_sequence(struct kw_bytes text)
{
    if (text.size == 0) {
        return 0;
    }
    uint8_t first = text.data[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text.size < length || text.data[1] < low || text.data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool kw_utf8_valid(struct kw_bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        uint64_t eight = UINT64_C(0x8080808080808080);
        if (text.size - at >= sizeof eight) {
            memcpy(&eight, text.data + at, sizeof eight);
        }
        if ((eight & UINT64_C(0x8080808080808080)) == 0) {
            at += sizeof eight;
            continue;
        }
        size_t length = kw_utf8_sequence(kw_bytes_of(text.data + at, text.size - at));
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

size_t kw_utf8_length(struct kw_bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

bool kw_bytes_has_control(struct kw_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

void kw_hex_encode(struct kw_bytes bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        out[2 * i] = digits[bytes.data[i] >> 4];
        out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
}

/* 0 to 15, or 16 for what is no digit. */
static unsigned hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - (unsigned)'0';
    }
    uint8_t letter = lower(digit);
    return letter >= 'a' && letter <= 'f' ? letter - (unsigned)'a' + 10 : 16;
}

bool kw_hex_decode(struct kw_bytes hex, uint8_t *out, size_t size)
{
    if (hex.size % 2 != 0 || hex.size / 2 != size) {
        return false;
    }
    for (size_t i = 0; i < hex.size; i++) {
        if (hex_value(hex.data[i]) > 15) {
            return false;
        }
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(hex_value(hex.data[2 * i]) << 4 | hex_value(hex.data[2 * i + 1]));
    }
    return true;
}

bool kw_bytes_percent_decode(struct kw_bytes text, uint8_t *out, size_t *size_out)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            out[size++] = text.data[i];
            continue;
        }
        bool has_digits = text.size - i > 2 && hex_value(text.data[i + 1]) < 16 && hex_value(text.data[i + 2]) < 16;
        if (!has_digits) {
            return false;
        }
        out[size++] = (uint8_t)(hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
        i += 2;
    }
    *size_out = size;
    return true;
}
