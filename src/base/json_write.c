#include "base/json.h"

#include "base/json_scan.h"

static const char hex_digits[] = "0123456789abcdef";

/* The letter after the backslash, 'u' for four hexadecimal digits, 0 for what stands for itself. */
static uint8_t escape_letter(uint8_t byte)
{
    static const uint8_t letters[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (byte >= 0x20) {
        return byte == '"' || byte == '\\' ? byte : 0;
    }
    return letters[byte] == 0 ? 'u' : letters[byte];
}

static size_t escaped_size(struct kw_bytes text)
{
    size_t size = text.size;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t letter = escape_letter(text.data[i]);
        size += letter == 0 ? 0 : letter == 'u' ? 5 : 1;
    }
    return size;
}

static uint8_t *put_escape(uint8_t *out, uint8_t byte)
{
    uint8_t letter = escape_letter(byte);
    *out++ = '\\';
    *out++ = letter;
    if (letter == 'u') {
        *out++ = '0';
        *out++ = '0';
        *out++ = (uint8_t)hex_digits[byte >> 4];
        *out++ = (uint8_t)hex_digits[byte & 15];
    }
    return out;
}

static uint8_t *put_escaped(uint8_t *out, struct kw_bytes text)
{
    for (;;) {
        size_t run = kw__json_plain_run(text.data, text.size, false);
        memcpy(out, text.data, run);
        out += run;
        if (run == text.size) {
            return out;
        }
        out = put_escape(out, text.data[run]);
        text = kw_bytes_of(text.data + run + 1, text.size - run - 1);
    }
}

/* Copies bytes of which none needs escaping; false, with `out` in any state, when one does. */
static inline bool copy_plain(uint8_t *out, struct kw_bytes text)
{
    if (text.size >= 8) {
        uint64_t marks = 0;
        for (size_t at = 0; at < text.size; at += 8) {
            /* The last eight may overlap those before. */
            at = at > text.size - 8 ? text.size - 8 : at;
            uint64_t eight = kw__load_eight(text.data + at);
            marks |= kw__json_marks(eight, false);
            memcpy(out + at, &eight, sizeof eight);
        }
        return marks == 0;
    }
    if (text.size >= 4) {
        uint32_t halves[2];
        memcpy(&halves[0], text.data, 4);
        memcpy(&halves[1], text.data + text.size - 4, 4);
        memcpy(out, &halves[0], 4);
        memcpy(out + text.size - 4, &halves[1], 4);
        return kw__json_marks((uint64_t)halves[1] << 32 | halves[0], false) == 0;
    }
    bool plain = true;
    for (size_t i = 0; i < text.size; i++) {
        out[i] = text.data[i];
        plain &= !kw__json_is_special(text.data[i], false);
    }
    return plain;
}

/* A comma where asked for, the string, a colon where asked for: all, or nothing when there is no room. */
static __attribute__((noinline)) void write_escaped(struct kw_buffer *buffer, bool comma, struct kw_bytes text,
                                                    bool colon)
{
    uint8_t *out = kw_buffer_reserve(buffer, escaped_size(text) + 2 + comma + colon);
    if (out == NULL) {
        return;
    }
    uint8_t *at = out;
    *at = ',';
    at += comma;
    *at++ = '"';
    at = put_escaped(at, text);
    *at++ = '"';
    if (colon) {
        *at++ = ':';
    }
    buffer->size += (size_t)(at - out);
}

/* The same for a text that most likely needs no escaping. */
__attribute__((always_inline)) static inline void write_string(struct kw_buffer *buffer, bool comma,
                                                               struct kw_bytes text, bool colon)
{
    size_t size_before = buffer->size;
    size_t size = text.size + 2 + comma + colon;
    uint8_t *out = kw_buffer_reserve(buffer, size);
    if (out == NULL) {
        return;
    }
    *out = ',';
    out[comma] = '"';
    if (!copy_plain(out + comma + 1, text)) {
        write_escaped(buffer, comma, text, colon);
        return;
    }
    out[comma + 1 + text.size] = '"';
    if (colon) {
        out[size - 1] = ':';
    }
    buffer->size = size_before + size;
}

static inline void write_plain(struct kw_json_writer *writer, struct kw_bytes text, bool needs_comma_after)
{
    if (writer->needs_comma) {
        kw_buffer_add_byte(writer->buffer, ',');
    }
    kw_buffer_add(writer->buffer, text);
    writer->needs_comma = needs_comma_after;
}

static inline void write_close(struct kw_json_writer *writer, uint8_t bracket)
{
    kw_buffer_add_byte(writer->buffer, bracket);
    writer->needs_comma = true;
}

void kw_json_write_string(struct kw_buffer *buffer, struct kw_bytes text)
{
    write_string(buffer, false, text, false);
}

void kw_json_begin_object(struct kw_json_writer *writer)
{
    write_plain(writer, KW_BYTES("{"), false);
}

void kw_json_end_object(struct kw_json_writer *writer)
{
    write_close(writer, '}');
}

void kw_json_begin_array(struct kw_json_writer *writer)
{
    write_plain(writer, KW_BYTES("["), false);
}

void kw_json_end_array(struct kw_json_writer *writer)
{
    write_close(writer, ']');
}

void kw_json_name_bytes(struct kw_json_writer *writer, struct kw_bytes name)
{
    bool comma = writer->needs_comma;
    writer->needs_comma = false;
    write_string(writer->buffer, comma, name, true);
}

void kw_json_string(struct kw_json_writer *writer, struct kw_bytes text)
{
    bool comma = writer->needs_comma;
    writer->needs_comma = true;
    write_string(writer->buffer, comma, text, false);
}

void kw_json_i64(struct kw_json_writer *writer, int64_t value)
{
    write_plain(writer, (struct kw_bytes){NULL, 0}, true);
    kw_buffer_add_i64(writer->buffer, value);
}

void kw_json_bool(struct kw_json_writer *writer, bool value)
{
    write_plain(writer, value ? KW_BYTES("true") : KW_BYTES("false"), true);
}

void kw_json_null(struct kw_json_writer *writer)
{
    write_plain(writer, KW_BYTES("null"), true);
}

void kw_json_raw(struct kw_json_writer *writer, struct kw_bytes json)
{
    write_plain(writer, json, true);
}
