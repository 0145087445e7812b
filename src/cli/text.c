#include "cli/text.h"

#include "base/time.h"

#include <wchar.h>

/* The first code point of valid UTF-8. */
static uint32_t code_point(struct kw_bytes text, size_t size)
{
    static const uint8_t first_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = text.data[0] & first_bits[size];
    for (size_t i = 1; i < size; i++) {
        point = point << 6 | (text.data[i] & 0x3f);
    }
    return point;
}

/* Embeddings, overrides and isolates (Unicode, UAX 9): they show text in another order than it is. */
static bool turns_direction(uint32_t point)
{
    return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) || point == 0x200e ||
           point == 0x200f;
}

/* Takes one character off the text; gives its columns and whether it may be shown as it is. */
static size_t next_character(struct kw_bytes *rest, struct kw_bytes *character_out)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t size = kw_utf8_sequence(*rest);
    uint32_t point = size == 0 ? 0 : code_point(*rest, size);
    int width = size == 0 || turns_direction(point) ? -1 : wcwidth((wchar_t)point);
    if (width < 0 || point == 0) {
        *character_out = kw_bytes_of(replacement, sizeof replacement - 1);
        width = 1;
    } else {
        *character_out = kw_bytes_of(rest->data, size);
    }
    *rest = kw_bytes_skip(*rest, size == 0 ? 1 : size);
    return (size_t)width;
}

size_t kw_text_width(struct kw_bytes text)
{
    size_t width = 0;
    struct kw_bytes character;
    while (text.size > 0) {
        width += next_character(&text, &character);
    }
    return width;
}

void kw_text_clean(struct kw_buffer *buffer, struct kw_bytes text)
{
    struct kw_bytes character;
    while (text.size > 0) {
        (void)next_character(&text, &character);
        kw_buffer_add(buffer, character);
    }
}

void kw_text_fit(struct kw_buffer *buffer, struct kw_bytes text, size_t width)
{
    if (kw_text_width(text) <= width) {
        kw_text_clean(buffer, text);
        return;
    }
    size_t used = 1; /* the ellipsis */
    while (text.size > 0) {
        struct kw_bytes character;
        used += next_character(&text, &character);
        if (used > width) {
            break;
        }
        kw_buffer_add(buffer, character);
    }
    kw_buffer_add_text(buffer, "…");
}

void kw_text_relative(struct kw_buffer *buffer, int64_t time_ms, int64_t now_ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {
        {INT64_C(365) * 86400 * 1000, "year"}, {INT64_C(86400) * 1000, "day"}, {INT64_C(3600) * 1000, "hour"},
        {INT64_C(60) * 1000, "minute"},        {INT64_C(1000), "second"},
    };
    bool past = time_ms < now_ms;
    int64_t distance = past ? now_ms - time_ms : time_ms - now_ms;
    for (size_t i = 0; i < KW_COUNT_OF(units); i++) {
        /* Two years and more as years: before that, "400 days" says more than "1 year". */
        if (distance < units[i].ms * (i == 0 ? 2 : 1)) {
            continue;
        }
        int64_t count = (distance + units[i].ms / 2) / units[i].ms;
        kw_buffer_add_format(buffer, "%s%lld %s%s%s", past ? "" : "in ", (long long)count, units[i].name,
                             count == 1 ? "" : "s", past ? " ago" : "");
        return;
    }
    kw_buffer_add_text(buffer, "now");
}

void kw_text_time(struct kw_buffer *buffer, int64_t time_ms)
{
    char text[KW_TIME_TEXT_SIZE];
    kw_time_format(time_ms, text);
    kw_buffer_add_format(buffer, "%.10s %.8s UTC", text, text + 11);
}

bool kw_text_ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

void kw_text_shell_quote(struct kw_buffer *buffer, struct kw_bytes text)
{
    kw_buffer_add_byte(buffer, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') {
            kw_buffer_add_text(buffer, "'\\''");
            continue;
        }
        kw_buffer_add_byte(buffer, text.data[i]);
    }
    kw_buffer_add_byte(buffer, '\'');
}

static size_t cell_width(const struct kw_table *table, const struct kw_cell *cells, size_t column)
{
    size_t width = kw_text_width(cells[column].text);
    size_t most = table->width_max[column];
    return most > 0 && width > most ? most : width;
}

void kw_table_measure(struct kw_table *table, const struct kw_cell *cells)
{
    for (size_t i = 0; i < table->column_count; i++) {
        size_t width = cell_width(table, cells, i);
        table->widths[i] = width > table->widths[i] ? width : table->widths[i];
    }
}

void kw_table_row(const struct kw_table *table, const struct kw_cell *cells, bool colour, struct kw_buffer *buffer)
{
    for (size_t i = 0; i < table->column_count; i++) {
        bool coloured = colour && cells[i].colour != NULL && cells[i].text.size > 0;
        kw_buffer_add_text(buffer, coloured ? cells[i].colour : "");
        kw_text_fit(buffer, cells[i].text, table->width_max[i] > 0 ? table->width_max[i] : SIZE_MAX);
        kw_buffer_add_text(buffer, coloured ? KW_COLOUR_RESET : "");
        if (i + 1 == table->column_count) {
            break;
        }
        for (size_t width = cell_width(table, cells, i); width < table->widths[i] + 2; width++) {
            kw_buffer_add_byte(buffer, ' ');
        }
    }
    kw_buffer_add_byte(buffer, '\n');
}
