/*
 * Bytes that somebody else owns: comparing, searching, splitting, and reading numbers out of them. Everything that
 * came from outside the process is looked at through here, never through functions that want a NUL at the end.
 */
#ifndef KW_BASE_BYTES_H
#define KW_BASE_BYTES_H

#include <keyward/types.h>
#include <string.h>

#define KW_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline struct kw_bytes kw_bytes_of(const void *data, size_t size)
{
    return (struct kw_bytes){(const uint8_t *)data, size};
}

/* The bytes of a NUL-ended string; NULL gives no bytes. */
static inline struct kw_bytes kw_bytes_of_text(const char *text)
{
    return kw_bytes_of(text, text == NULL ? 0 : strlen(text));
}

#define KW__SHORT 16

/*
 * Whether `size` bytes are the same, at most KW__SHORT. Most texts are short, and a call of memcmp costs more than they
 * do: they are read as two words, which may overlap.
 */
static inline bool kw__same_short(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size >= 8) {
        uint64_t words[4];
        memcpy(&words[0], a, 8);
        memcpy(&words[1], b, 8);
        memcpy(&words[2], a + size - 8, 8);
        memcpy(&words[3], b + size - 8, 8);
        return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
    }
    if (size >= 4) {
        uint32_t words[4];
        memcpy(&words[0], a, 4);
        memcpy(&words[1], b, 4);
        memcpy(&words[2], a + size - 4, 4);
        memcpy(&words[3], b + size - 4, 4);
        return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
    }
    return size == 0 || ((a[0] ^ b[0]) | (a[size / 2] ^ b[size / 2]) | (a[size - 1] ^ b[size - 1])) == 0;
}

static inline bool kw__same(const uint8_t *a, const uint8_t *b, size_t size)
{
    return size > KW__SHORT ? memcmp(a, b, size) == 0 : kw__same_short(a, b, size);
}

static inline bool kw_bytes_equal(struct kw_bytes a, struct kw_bytes b)
{
    return a.size == b.size && kw__same(a.data, b.data, a.size);
}

static inline bool kw_bytes_starts_with(struct kw_bytes bytes, struct kw_bytes start)
{
    return bytes.size >= start.size && kw__same(bytes.data, start.data, start.size);
}

/* The rest after the first `count` bytes; no bytes when there are fewer. */
static inline struct kw_bytes kw_bytes_skip(struct kw_bytes bytes, size_t count)
{
    return count >= bytes.size ? (struct kw_bytes){NULL, 0} : kw_bytes_of(bytes.data + count, bytes.size - count);
}

/* Alphabetical order of unsigned bytes, a prefix before what it begins: <0, 0 or >0. */
int kw_bytes_compare(struct kw_bytes a, struct kw_bytes b);

/* The text with its ASCII letters in lower case; `lower_out` has as many bytes. */
void kw_bytes_lower(struct kw_bytes text, uint8_t *lower_out);

/*
 * `text` as it was before it was put into an address: %XX is the byte (RFC 3986), all else is itself. `out` has room
 * for `text`, and may be where it stands. False for a '%' without two hexadecimal digits.
 */
KW_MUST_USE bool kw_bytes_percent_decode(struct kw_bytes text, uint8_t *out, size_t *size_out);

/* Equal but for the case of ASCII letters. */
bool kw_bytes_equal_ignoring_case(struct kw_bytes a, struct kw_bytes b);

/* True when `needle` occurs in `hay`, ASCII letters compared without case. An empty needle occurs everywhere. */
bool kw_bytes_contains_ignoring_case(struct kw_bytes hay, struct kw_bytes needle);

/*
 * Splits at the first `separator`: `head_out` gets what stands before it, `rest_out` what follows. Without a
 * separator the head is everything and the rest is empty with NULL data. True when the separator was there.
 */
bool kw_bytes_split(struct kw_bytes bytes, uint8_t separator, struct kw_bytes *head_out, struct kw_bytes *rest_out);

/* "00" to "99" on end, for writing decimal numbers two digits at a time. */
extern const char kw__digit_pairs[201];

/* Decimal digits only, no sign, no leading zero unless it is all there is; false when empty or beyond 64 bits. */
KW_MUST_USE bool kw_bytes_to_u64(struct kw_bytes digits, uint64_t *value_out);

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF. */
KW_MUST_USE bool kw_utf8_valid(struct kw_bytes text);

/* Length of the one code point that `text` begins with, 1 to 4; 0 when it begins with none, or is empty. */
KW_MUST_USE size_t kw_utf8_sequence(struct kw_bytes text);

/* Code points in valid UTF-8. */
size_t kw_utf8_length(struct kw_bytes text);

/* True when a byte below 0x20, or 0x7f, occurs. */
bool kw_bytes_has_control(struct kw_bytes text);

/*
 * Lower-case hexadecimal. Encoding writes exactly 2 * bytes.size characters, without a NUL. Decoding takes either
 * case, wants exactly 2 * size characters, and leaves `out` untouched on false.
 */
void kw_hex_encode(struct kw_bytes bytes, char *out);
KW_MUST_USE bool kw_hex_decode(struct kw_bytes hex, uint8_t *out, size_t size);

#endif
