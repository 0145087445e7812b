#include "server/section.h"

#include "base/bytes.h"

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/*
 * How many bytes stand before the first control character. Of eight, a mark can be wrong only above a right one, so
 * the lowest is right ("Bit Twiddling Hacks", Sean Anderson, "Determine if a word has a byte less than n").
 */
static size_t plain_run(const uint8_t *data, size_t size)
{
    size_t at = 0;
    for (; size - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, data + at, sizeof eight);
        uint64_t below_space = (eight - EACH_BYTE(0x20)) & ~eight;
        uint64_t delete_to_zero = eight ^ EACH_BYTE(0x7f);
        uint64_t is_delete = (delete_to_zero - EACH_BYTE(1)) & ~delete_to_zero;
        uint64_t marks = (below_space | is_delete) & EACH_BYTE(0x80);
        if (marks == 0) {
            continue;
        }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return at + (size_t)__builtin_ctzll(marks) / 8;
#else
        break;
#endif
    }
    while (at < size && !is_control(data[at])) {
        at++;
    }
    return at;
}

enum kw_section kw__section_scan(struct kw_message_parser *parser, struct kw_bytes input,
                                 const struct kw_section_limits *limits)
{
    const uint8_t *data = input.data;
    while (parser->scanned < input.size) {
        size_t start = parser->scanned;
        bool at_line_start = start == 0 || data[start - 1] == '\n';
        if (at_line_start && (data[start] == ' ' || data[start] == '\t')) {
            return KW_SECTION_MALFORMED;
        }
        size_t at = start + plain_run(data + start, input.size - start);
        if (parser->line_count == 0 && at > limits->first_line_max) {
            return KW_SECTION_LONG_FIRST_LINE;
        }
        if (at > limits->size_max) {
            return KW_SECTION_TOO_LARGE;
        }
        parser->scanned = at;
        if (at == input.size) {
            return KW_SECTION_MORE;
        }
        if (data[at] == '\t') {
            parser->scanned = at + 1;
            continue;
        }
        if (data[at] != '\r') {
            return KW_SECTION_MALFORMED;
        }
        if (at + 1 == input.size) {
            return KW_SECTION_MORE;
        }
        if (data[at + 1] != '\n') {
            return KW_SECTION_MALFORMED;
        }
        parser->scanned = at + 2;
        if (at_line_start && at == start) {
            return KW_SECTION_COMPLETE;
        }
        if (++parser->line_count > limits->line_max) {
            return KW_SECTION_TOO_LARGE;
        }
    }
    return KW_SECTION_MORE;
}
