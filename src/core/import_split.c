#include "base/bytes.h"
#include "core/import.h"

/* Where a text of JSON stands. */
enum {
    AT_START,
    IN_HEAD, /* inside the object before its "keys" */
    IN_ARRAY,
    IN_END,
};

static enum kw_status refuse_long(const struct kw_import_split *split, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "item %llu is too long: at most %zu bytes",
                     (unsigned long long)split->line + 1, KW_IMPORT_ITEM_MAX);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static struct kw_bytes trim(struct kw_bytes text)
{
    while (text.size > 0 && is_space(text.data[0])) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && is_space(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* --- lines --- */

/* The end of the line or row that `text` begins with; text.size where it is not there. Of CSV: outside of quotes. */
static size_t end_of_line(struct kw_bytes text, bool is_csv)
{
    const uint8_t *end = memchr(text.data, '\n', text.size);
    if (!is_csv || end == NULL || memchr(text.data, '"', (size_t)(end - text.data)) == NULL) {
        return end == NULL && !is_csv ? text.size : end == NULL ? text.size : (size_t)(end - text.data);
    }
    bool in_quotes = false;
    for (size_t i = 0; i < text.size; i++) {
        in_quotes = in_quotes != (text.data[i] == '"');
        if (text.data[i] == '\n' && !in_quotes) {
            return i;
        }
    }
    return text.size;
}

static uint64_t newlines_in(struct kw_bytes text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    return count;
}

static enum kw_status next_line(struct kw_import_split *split, struct kw_bytes text, bool is_last,
                                enum kw_import_part *part_out, struct kw_bytes *item_out, size_t *used_out,
                                struct kw_error *error_out)
{
    bool is_csv = split->format == KW_IMPORT_CSV;
    size_t used = 0;
    for (;;) {
        struct kw_bytes rest = kw_bytes_skip(text, used);
        size_t end = rest.size == 0 ? 0 : end_of_line(rest, is_csv);
        if (end > KW_IMPORT_ITEM_MAX) {
            return refuse_long(split, error_out);
        }
        *used_out = used;
        if (end == rest.size && (!is_last || rest.size == 0)) {
            *part_out = is_last ? KW_IMPORT_PART_END : KW_IMPORT_PART_MORE;
            return KW_OK;
        }
        struct kw_bytes line = kw_bytes_of(rest.data, end);
        uint64_t first = split->newlines + 1;
        split->newlines += end < rest.size ? 1 : 0;
        split->newlines += is_csv ? newlines_in(line) : 0;
        used += end < rest.size ? end + 1 : end;
        if (first == 1 && kw_bytes_starts_with(line, KW_BYTES("\xef\xbb\xbf"))) {
            line = kw_bytes_skip(line, 3);
        }
        if (trim(line).size > 0) {
            if (line.data[line.size - 1] == '\r') {
                line.size--;
            }
            *used_out = used;
            *item_out = is_csv ? line : trim(line);
            split->line = first;
            *part_out = KW_IMPORT_PART_ITEM;
            return KW_OK;
        }
    }
}

/* --- JSON --- */

/* The end of the JSON value that `text` begins with; 0 where it is not there yet. Strings, braces and brackets are
 * looked at, no more: what is wrong in between is the item's own. */
static size_t end_of_value(struct kw_bytes text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (in_string) {
            i += byte == '\\';
            in_string = byte != '"';
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && depth > 1) {
            depth--;
        } else if (byte == '}' || byte == ']') {
            return depth == 1 ? i + 1 : i; /* of what holds it, where the value is a plain word */
        } else if (depth == 0 && (byte == ',' || is_space(byte))) {
            return i;
        }
        if (depth == 0 && !in_string && byte == '"') {
            return i + 1;
        }
    }
    return 0;
}

static enum kw_status refuse_json(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_JSON, NULL,
                     "must be an array of objects, or an object whose \"keys\" are such an array");
}

/* One step through what is no item: `at` goes on, or the state changes. False: more bytes are needed. */
static bool step_json(struct kw_import_split *split, struct kw_bytes text, size_t *at, bool *is_wrong)
{
    struct kw_bytes rest = kw_bytes_skip(text, *at);
    uint8_t byte = rest.data[0];
    if (is_space(byte) || (byte == ',' && split->state != AT_START)) {
        (*at)++;
        return true;
    }
    if (split->state == AT_START) {
        *is_wrong = byte != '[' && byte != '{';
        split->state = byte == '[' ? IN_ARRAY : IN_HEAD;
        (*at)++;
        return true;
    }
    /* A name in the object before the array. */
    size_t name_end = byte == '"' ? end_of_value(rest) : 0;
    *is_wrong = byte != '"';
    if (name_end == 0) {
        return *is_wrong;
    }
    size_t value = name_end;
    while (value < rest.size && (is_space(rest.data[value]) || rest.data[value] == ':')) {
        value++;
    }
    if (value == rest.size) {
        return false;
    }
    if (kw_bytes_equal(kw_bytes_of(rest.data, name_end), KW_BYTES("\"keys\""))) {
        *is_wrong = rest.data[value] != '[';
        split->state = IN_ARRAY;
        *at += value + 1;
        return true;
    }
    size_t value_end = end_of_value(kw_bytes_skip(rest, value));
    *at += value_end == 0 ? 0 : value + value_end;
    return value_end != 0;
}

static enum kw_status next_json(struct kw_import_split *split, struct kw_bytes text, bool is_last,
                                enum kw_import_part *part_out, struct kw_bytes *item_out, size_t *used_out,
                                struct kw_error *error_out)
{
    size_t at = 0;
    bool goes_on = true;
    *part_out = KW_IMPORT_PART_MORE;
    if (split->state == AT_START && kw_bytes_starts_with(text, KW_BYTES("\xef\xbb\xbf"))) {
        at = 3;
    }
    while (goes_on && at < text.size && split->state != IN_END) {
        uint8_t byte = text.data[at];
        bool is_wrong = false;
        if (split->state == IN_ARRAY && byte == ']') {
            split->state = IN_END;
            split->is_past = true;
        } else if (split->state == IN_ARRAY && !is_space(byte) && byte != ',') {
            size_t size = end_of_value(kw_bytes_skip(text, at));
            if (size > KW_IMPORT_ITEM_MAX || (size == 0 && text.size - at > KW_IMPORT_ITEM_MAX)) {
                return refuse_long(split, error_out);
            }
            if (size > 0) {
                *item_out = kw_bytes_of(text.data + at, size);
                *used_out = at + size;
                *part_out = KW_IMPORT_PART_ITEM;
                split->line++;
                return KW_OK;
            }
            goes_on = false;
        } else {
            goes_on = step_json(split, text, &at, &is_wrong);
        }
        if (is_wrong || (!goes_on && text.size - at > KW_IMPORT_ITEM_MAX)) {
            return refuse_json(error_out);
        }
    }
    *used_out = split->state == IN_END ? text.size : at;
    if (is_last) {
        split->is_cut = split->state != IN_END;
        *part_out = KW_IMPORT_PART_END;
    }
    return is_last && split->state == AT_START ? refuse_json(error_out) : KW_OK;
}

enum kw_status kw_import_next(struct kw_import_split *split, struct kw_bytes text, bool is_last,
                              enum kw_import_part *part_out, struct kw_bytes *item_out, size_t *used_out,
                              struct kw_error *error_out)
{
    return split->format == KW_IMPORT_JSON ? next_json(split, text, is_last, part_out, item_out, used_out, error_out)
                                           : next_line(split, text, is_last, part_out, item_out, used_out, error_out);
}
