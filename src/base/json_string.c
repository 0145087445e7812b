#include "base/json_scan.h"

/* A place in the input of one reader, and where to say what is wrong there. */
struct cursor {
    const struct kw_json_reader *reader;
    const uint8_t *at, *end;
    struct kw_error *error;
};

static enum kw_status refuse(const struct cursor *cursor, const char *reason)
{
    return kw__json_refuse(cursor->reader, (size_t)(cursor->at - cursor->reader->input.data), reason, cursor->error);
}

/* Four hexadecimal digits after the backslash and u at `at`; false when they are not there. */
static bool read_code_unit(const uint8_t *at, const uint8_t *end, unsigned *unit_out)
{
    uint8_t bytes[2];
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u' || !kw_hex_decode(kw_bytes_of(at + 2, 4), bytes, 2)) {
        return false;
    }
    *unit_out = (unsigned)bytes[0] << 8 | bytes[1];
    return true;
}

/* Checks the \u at the cursor, with its second half when it is a pair, and steps over it. */
static enum kw_status check_unicode_escape(struct cursor *cursor)
{
    unsigned unit, low;
    if (!read_code_unit(cursor->at, cursor->end, &unit)) {
        return refuse(cursor, "four hexadecimal digits must follow \\u");
    }
    if (unit == 0) {
        return refuse(cursor, "a string may not hold NUL");
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        cursor->at += 6;
        return KW_OK;
    }
    if (unit > 0xdbff || !read_code_unit(cursor->at + 6, cursor->end, &low) || low < 0xdc00 || low > 0xdfff) {
        return refuse(cursor, "half of a surrogate pair stands alone");
    }
    cursor->at += 12;
    return KW_OK;
}

/* What a letter after a backslash stands for; 0 for letters that may not stand there. */
static uint8_t unescaped(uint8_t letter)
{
    static const uint8_t meanings[256] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    return meanings[letter];
}

/* Checks the one special thing at the cursor (not the closing quote) and steps over it. */
static enum kw_status check_special(struct cursor *cursor)
{
    uint8_t byte = *cursor->at;
    if (byte >= 0x80) {
        size_t length = kw_utf8_sequence(kw_bytes_of(cursor->at, (size_t)(cursor->end - cursor->at)));
        cursor->at += length;
        return length == 0 ? refuse(cursor, "this is not UTF-8") : KW_OK;
    }
    if (byte != '\\') {
        return refuse(cursor, "a control character must be escaped");
    }
    if (cursor->end - cursor->at < 2) {
        cursor->at = cursor->end;
        return refuse(cursor, KW__JSON_ENDS_EARLY);
    }
    if (cursor->at[1] == 'u') {
        return check_unicode_escape(cursor);
    }
    if (unescaped(cursor->at[1]) == 0) {
        return refuse(cursor, "there is no such escape");
    }
    cursor->at += 2;
    return KW_OK;
}

static uint8_t *put_utf8(uint8_t *out, unsigned code_point)
{
    if (code_point < 0x80) {
        *out++ = (uint8_t)code_point;
        return out;
    }
    if (code_point < 0x800) {
        *out++ = (uint8_t)(0xc0 | code_point >> 6);
    } else if (code_point < 0x10000) {
        *out++ = (uint8_t)(0xe0 | code_point >> 12);
        *out++ = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | code_point >> 18);
        *out++ = (uint8_t)(0x80 | (code_point >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
    }
    *out++ = (uint8_t)(0x80 | (code_point & 0x3f));
    return out;
}

/* Writes what the checked escape at `at` stands for and gives the place behind it. */
static const uint8_t *decode_escape(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
    unsigned unit = 0, low = 0;
    if (at[1] != 'u') {
        *(*out)++ = unescaped(at[1]);
        return at + 2;
    }
    if (!read_code_unit(at, end, &unit) || unit < 0xd800 || unit > 0xdfff || !read_code_unit(at + 6, end, &low)) {
        *out = put_utf8(*out, unit);
        return at + 6;
    }
    *out = put_utf8(*out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
    return at + 12;
}

/* The text of a checked string, into the arena. No escape is shorter than what it stands for. */
static enum kw_status decode_string(struct cursor *cursor, struct kw_bytes raw, struct kw_bytes *text_out)
{
    struct kw_arena *arena = cursor->reader->arena;
    uint8_t *text = arena == NULL ? NULL : kw_arena_take(arena, raw.size);
    if (text == NULL) {
        return kw__json_refuse_size(cursor->reader, raw.size, cursor->error);
    }
    uint8_t *out = text;
    const uint8_t *at = raw.data;
    const uint8_t *end = raw.data + raw.size;
    while (at < end) {
        const uint8_t *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape == NULL ? end : escape) - at);
        memcpy(out, at, run);
        out += run;
        at = escape == NULL ? end : decode_escape(escape, end, &out);
    }
    *text_out = kw_bytes_of(text, (size_t)(out - text));
    return KW_OK;
}

enum kw_status kw__json_read_string(const struct kw_json_reader *reader, size_t start, struct kw_bytes *text_out,
                                    size_t *end_out, struct kw_error *error_out)
{
    struct kw_bytes input = reader->input;
    struct cursor cursor = {reader, input.data + start, input.data + input.size, error_out};
    bool escaped = false;
    for (;;) {
        cursor.at += kw__json_plain_run(cursor.at, (size_t)(cursor.end - cursor.at), true);
        if (cursor.at == cursor.end) {
            return refuse(&cursor, KW__JSON_ENDS_EARLY);
        }
        if (*cursor.at == '"') {
            break;
        }
        escaped |= *cursor.at == '\\';
        enum kw_status status = check_special(&cursor);
        if (status != KW_OK) {
            return status;
        }
    }
    size_t end = (size_t)(cursor.at - input.data);
    struct kw_bytes raw = kw_bytes_of(input.data + start, end - start);
    if (escaped) {
        enum kw_status status = decode_string(&cursor, raw, &raw);
        if (status != KW_OK) {
            return status;
        }
    }
    *text_out = raw;
    *end_out = end + 1;
    return KW_OK;
}
