/*
 * Inside src/base only: what the files of the JSON reader and writer share. They spend most of their time finding out
 * how many bytes of a string can be taken as they are, so eight bytes are looked at in one go.
 */
#ifndef KW_BASE_JSON_SCAN_H
#define KW_BASE_JSON_SCAN_H

#include "base/json.h"

#define KW__JSON_ENDS_EARLY "it ends too early"

/* Fails with INVALID_JSON, the byte at `offset` and the reason. */
enum kw_status kw__json_refuse(const struct kw_json_reader *reader, size_t offset, const char *reason,
                               struct kw_error *error_out);

/* Fails because the reader's arena did not give `size` bytes. */
enum kw_status kw__json_refuse_size(const struct kw_json_reader *reader, size_t size, struct kw_error *error_out);

/* Any string, from behind its opening quote: its text, and the offset behind the closing quote. */
KW_MUST_USE enum kw_status kw__json_read_string(const struct kw_json_reader *reader, size_t start,
                                                struct kw_bytes *text_out, size_t *end_out, struct kw_error *error_out);

/*
 * Whether a well-formed number rounds to a finite double: whether it is below 2^1024 - 2^970, half-way from the largest
 * double to what would be the next one. (strtod would need a NUL and depends on the locale.)
 */
KW_MUST_USE bool kw__json_number_fits(struct kw_bytes number);

#define KW__EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* A quote, a backslash, a control character, or (with `ascii_only`) what is beyond ASCII. */
static inline bool kw__json_is_special(uint8_t byte, bool ascii_only)
{
    return byte < 0x20 || byte == '"' || byte == '\\' || (ascii_only && byte >= 0x80);
}

/*
 * Looks at eight bytes at once: not 0 when one of them is special. The top bit of each special byte is then set; a
 * borrow can set a wrong one, but only above a right one, so that the lowest is always right ("Bit Twiddling Hacks",
 * Sean Anderson, "Determine if a word has a byte less than n").
 */
static inline uint64_t kw__json_marks(uint64_t eight, bool ascii_only)
{
    uint64_t marks = (eight - KW__EACH_BYTE(0x20)) | ((eight ^ KW__EACH_BYTE('"')) - KW__EACH_BYTE(1)) |
                     ((eight ^ KW__EACH_BYTE('\\')) - KW__EACH_BYTE(1));
    return (ascii_only ? marks | eight : marks & ~eight) & KW__EACH_BYTE(0x80);
}

static inline uint64_t kw__load_eight(const uint8_t *data)
{
    uint64_t eight;
    memcpy(&eight, data, sizeof eight);
    return eight;
}

/* The number of bytes before the first special one. */
static inline size_t kw__json_plain_run(const uint8_t *data, size_t size, bool ascii_only)
{
    size_t at = 0;
    for (; size - at >= 8; at += 8) {
        uint64_t marks = kw__json_marks(kw__load_eight(data + at), ascii_only);
        if (marks == 0) {
            continue;
        }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return at + (size_t)__builtin_ctzll(marks) / 8;
#else
        break;
#endif
    }
    while (at < size && !kw__json_is_special(data[at], ascii_only)) {
        at++;
    }
    return at;
}

#endif
