#include "base/bytes.h"
#include "core/import_parts.h"
#include "core/internal.h"

#define NAMES_MAX ((size_t)64 * 1024)                /* of columns */
#define ROW_JSON_MAX (6 * KW_IMPORT_ITEM_MAX + 8192) /* every byte escaped, and the names */

/* Where a text of JSON stands. */
enum {
    AT_START,
    IN_HEAD, /* inside the object before its "keys" */
    IN_ARRAY,
    IN_END,
};

/* What came last in an array. */
enum {
    AFTER_START,
    AFTER_ITEM,
    AFTER_COMMA,
};

static const struct kw_bytes mark = {(const uint8_t *)"\xef\xbb\xbf", 3}; /* of byte order, which some programs write */

static enum kw_status refuse_long(const struct kw_import_source *source, uint64_t line, struct kw_error *error_out)
{
    const char *noun = source->options->format == KW_IMPORT_JSON ? "item" : "line";
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "%s %llu is too long: at most %zu bytes", noun,
                     (unsigned long long)line, KW_IMPORT_ITEM_MAX);
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

static enum kw_status next_line(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                enum kw_import_part *part_out, struct kw_bytes *item_out, struct kw_error *error_out)
{
    while (text->size > 0) {
        const uint8_t *end = memchr(text->data, '\n', text->size);
        size_t size = end == NULL ? text->size : (size_t)(end - text->data);
        if (size > KW_IMPORT_ITEM_MAX) {
            return refuse_long(source, source->lines_read + 1, error_out);
        }
        if (end == NULL && !is_last) {
            *part_out = KW_IMPORT_PART_MORE;
            return KW_OK;
        }
        struct kw_bytes line = kw_bytes_of(text->data, size);
        *text = kw_bytes_skip(*text, end == NULL ? size : size + 1);
        source->lines_read++;
        if (source->lines_read == 1 && kw_bytes_starts_with(line, mark)) {
            line = kw_bytes_skip(line, mark.size);
        }
        line = trim(line);
        if (line.size > 0) {
            *item_out = line;
            source->line = source->lines_read;
            *part_out = KW_IMPORT_PART_ITEM;
            return KW_OK;
        }
    }
    *part_out = is_last ? KW_IMPORT_PART_END : KW_IMPORT_PART_MORE;
    return KW_OK;
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

/* One comma stands between two items of an array, and none else. */
static enum kw_status admit(struct kw_import_source *source, uint8_t byte, struct kw_error *error_out)
{
    if (source->state != IN_ARRAY || is_space(byte)) {
        return KW_OK;
    }
    bool is_item = byte != ',' && byte != ']';
    bool is_due = is_item ? source->after != AFTER_ITEM
                          : source->after == AFTER_ITEM || (byte == ']' && source->after == AFTER_START);
    if (!is_due) {
        return kw_refuse(error_out, KW_CODE_INVALID_JSON, NULL,
                         "after item %llu of the array a comma %s: the items before it were read",
                         (unsigned long long)source->line, source->after == AFTER_ITEM ? "is missing" : "is too many");
    }
    source->after = byte == ',' ? AFTER_COMMA : source->after;
    return KW_OK;
}

/* One step through what is no item: `at` goes on, or the state changes. False: more bytes are needed. */
static bool step_json(struct kw_import_source *source, struct kw_bytes text, size_t *at, bool *is_wrong)
{
    struct kw_bytes rest = kw_bytes_skip(text, *at);
    if (rest.size == 0) {
        return false;
    }
    uint8_t byte = rest.data[0];
    if (is_space(byte) || (byte == ',' && source->state != AT_START)) {
        (*at)++;
        return true;
    }
    if (source->state == AT_START) {
        *is_wrong = byte != '[' && byte != '{';
        source->state = byte == '[' ? IN_ARRAY : IN_HEAD;
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
        source->state = IN_ARRAY;
        *at += value + 1;
        return true;
    }
    size_t value_end = end_of_value(kw_bytes_skip(rest, value));
    *at += value_end == 0 ? 0 : value + value_end;
    return value_end != 0;
}

/* The item that begins at `at`, where all of it is there. */
static enum kw_status take_item(struct kw_import_source *source, struct kw_bytes *text, size_t at,
                                enum kw_import_part *part_out, struct kw_bytes *item_out, struct kw_error *error_out)
{
    size_t size = end_of_value(kw_bytes_skip(*text, at));
    if (size > KW_IMPORT_ITEM_MAX || (size == 0 && text->size - at > KW_IMPORT_ITEM_MAX)) {
        return refuse_long(source, source->line + 1, error_out);
    }
    *part_out = KW_IMPORT_PART_MORE;
    if (size > 0) {
        *item_out = kw_bytes_of(text->data + at, size);
        *part_out = KW_IMPORT_PART_ITEM;
        source->line++;
        source->after = AFTER_ITEM;
    }
    *text = kw_bytes_skip(*text, at + size);
    return KW_OK;
}

static enum kw_status next_json(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                enum kw_import_part *part_out, struct kw_bytes *item_out, struct kw_error *error_out)
{
    size_t at = source->state == AT_START && kw_bytes_starts_with(*text, mark) ? mark.size : 0;
    bool goes_on = true;
    while (goes_on && at < text->size && source->state != IN_END) {
        uint8_t byte = text->data[at];
        bool is_wrong = false;
        enum kw_status status = admit(source, byte, error_out);
        if (status != KW_OK) {
            return status;
        }
        if (source->state == IN_ARRAY && byte == ']') {
            source->state = IN_END;
        } else if (source->state == IN_ARRAY && !is_space(byte) && byte != ',') {
            status = take_item(source, text, at, part_out, item_out, error_out);
            if (status != KW_OK || *part_out == KW_IMPORT_PART_ITEM) {
                return status;
            }
            at = 0;
            goes_on = false;
        } else {
            goes_on = step_json(source, *text, &at, &is_wrong);
        }
        if (is_wrong || (!goes_on && text->size - at > KW_IMPORT_ITEM_MAX)) {
            return refuse_json(error_out);
        }
    }
    *text = source->state == IN_END ? (struct kw_bytes){NULL, 0} : kw_bytes_skip(*text, at);
    *part_out = is_last ? KW_IMPORT_PART_END : KW_IMPORT_PART_MORE;
    source->is_cut = is_last && source->state != IN_END && source->state != AT_START;
    return is_last && source->state == AT_START ? refuse_json(error_out) : KW_OK;
}

/* --- all forms --- */

enum kw_status kw_import_source_init(struct kw_import_source *source, const struct kw_import_options *options,
                                     struct kw_error *error_out)
{
    *source = (struct kw_import_source){.options = options};
    kw_arena_init(&source->names, NULL, 0, NAMES_MAX);
    kw_buffer_init_secret(&source->row, ROW_JSON_MAX);
    if (options->format != KW_IMPORT_CSV) {
        return KW_OK;
    }
    source->csv = kw_alloc(1, sizeof *source->csv);
    if (source->csv == NULL) {
        return kw__no_memory(error_out);
    }
    kw_csv_init(source->csv, KW_IMPORT_ITEM_MAX);
    return KW_OK;
}

void kw_import_source_deinit(struct kw_import_source *source)
{
    if (source->csv != NULL) {
        kw_csv_deinit(source->csv);
        kw_free(source->csv);
        source->csv = NULL;
    }
    kw_buffer_deinit(&source->row);
    kw_arena_reset(&source->names);
}

enum kw_status kw_import_source_next(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                     enum kw_import_part *part_out, struct kw_bytes *item_out,
                                     struct kw_error *error_out)
{
    switch (source->options->format) {
    case KW_IMPORT_NDJSON:
        return next_line(source, text, is_last, part_out, item_out, error_out);
    case KW_IMPORT_JSON:
        return next_json(source, text, is_last, part_out, item_out, error_out);
    case KW_IMPORT_CSV:
        break;
    }
    return kw__import_next_row(source, text, is_last, part_out, item_out, error_out);
}
