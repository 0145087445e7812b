/*
 * Text for people: how wide it stands on a terminal, and that nothing which came from elsewhere can drive the terminal
 * (control characters, characters that turn the direction of writing). Times as people say them.
 */
#ifndef KW_CLI_TEXT_H
#define KW_CLI_TEXT_H

#include "base/bytes.h"
#include "base/memory.h"

/* Columns that the text takes on a terminal, once cleaned. main has set a locale of UTF-8. */
size_t kw_text_width(struct kw_bytes text);
/* Appends the text with everything that a terminal would obey replaced by U+FFFD. */
void kw_text_clean(struct kw_buffer *buffer, struct kw_bytes text);
/* The same, cut to at most `width` columns, with U+2026 for what is left out. */
void kw_text_fit(struct kw_buffer *buffer, struct kw_bytes text, size_t width);

/* "in 3 days", "2 hours ago", "now". */
void kw_text_relative(struct kw_buffer *buffer, int64_t time_ms, int64_t now_ms);
/* "2026-01-31 23:59:59 UTC". */
void kw_text_time(struct kw_buffer *buffer, int64_t time_ms);

/* Whether something stands before `end`, and nothing behind it: "keys.csv" ends with ".csv", and ".csv" does not. */
bool kw_text_ends_with(const char *text, const char *end);

/* Appends `text` as one word of a POSIX shell. */
void kw_text_shell_quote(struct kw_buffer *buffer, struct kw_bytes text);

/* A table: cells are gathered row by row, then written with every column as wide as its widest cell. */
#define KW_TABLE_COLUMNS_MAX 12

struct kw_cell {
    struct kw_bytes text;
    const char *colour; /* an escape sequence, or NULL */
};

struct kw_table {
    size_t column_count;
    size_t widths[KW_TABLE_COLUMNS_MAX];    /* at least; they only grow, from one page of a list to the next */
    size_t width_max[KW_TABLE_COLUMNS_MAX]; /* wider cells are cut; 0: never */
};

/* Makes the columns wide enough for the row. */
void kw_table_measure(struct kw_table *table, const struct kw_cell *cells);
void kw_table_row(const struct kw_table *table, const struct kw_cell *cells, bool colour, struct kw_buffer *buffer);

#define KW_COLOUR_RESET "\033[0m"
#define KW_COLOUR_BOLD "\033[1m"
#define KW_COLOUR_DIM "\033[2m"
#define KW_COLOUR_RED "\033[31m"
#define KW_COLOUR_GREEN "\033[32m"
#define KW_COLOUR_YELLOW "\033[33m"

#endif
