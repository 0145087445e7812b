#include "base/csv.h"

#include "base/bytes.h"
#include "base/error.h"

enum { CELL_BEGINS, PLAIN, QUOTED, QUOTE_IN_QUOTED };
enum { NO_FAULT, TEXT_AFTER_QUOTE, OPEN_QUOTE, TOO_MANY_CELLS, ROW_TOO_LONG };

static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
#define MARK_IS_OVER 0xff

void kw_csv_init(struct kw_csv *csv, size_t row_max)
{
    *csv = (struct kw_csv){.line = 1, .line_now = 1};
    kw_buffer_init_secret(&csv->cells, row_max);
}

void kw_csv_deinit(struct kw_csv *csv)
{
    kw_buffer_deinit(&csv->cells);
}

/* A row at fault is read to its end like any other, but nothing of it is kept. */
static void note_fault(struct kw_csv *csv, unsigned fault)
{
    if (csv->fault == NO_FAULT) {
        csv->fault = fault;
        csv->fault_line = csv->line_now;
        csv->fault_column = csv->cell_count + 1;
    }
}

static void add_byte(struct kw_csv *csv, uint8_t byte)
{
    if (csv->fault != NO_FAULT) {
        return;
    }
    kw_buffer_add_byte(&csv->cells, byte);
    if (kw_buffer_status(&csv->cells) == KW_E_LIMIT) {
        note_fault(csv, ROW_TOO_LONG);
    }
}

static void end_cell(struct kw_csv *csv)
{
    csv->state = CELL_BEGINS;
    if (csv->cell_count == KW_CSV_COLUMNS_MAX) {
        note_fault(csv, TOO_MANY_CELLS);
    } else {
        csv->ends[csv->cell_count++] = csv->cells.size;
    }
}

static void begin_row(struct kw_csv *csv)
{
    /* Not kw_buffer_reset, which wipes all that a long row once made it grow to. */
    kw_wipe(csv->cells.data, csv->cells.size);
    csv->cells.size = 0;
    csv->cells.failed = KW_OK;
    csv->cell_count = 0;
    csv->fault = NO_FAULT;
    csv->line = csv->line_now;
    csv->row_is_open = false;
    csv->has_row = false;
    csv->state = CELL_BEGINS;
}

static void end_row(struct kw_csv *csv)
{
    if (csv->row_is_open) {
        end_cell(csv);
        csv->has_row = true;
    }
}

/* A line break outside quotes. */
static void break_line(struct kw_csv *csv)
{
    end_row(csv);
    csv->line_now++;
    if (!csv->has_row) {
        csv->line = csv->line_now; /* an empty line */
    }
}

static void take_quoted(struct kw_csv *csv, uint8_t byte, bool was_cr)
{
    if (byte == '"') {
        csv->state = QUOTE_IN_QUOTED;
        return;
    }
    csv->line_now += byte == '\r' || (byte == '\n' && !was_cr);
    add_byte(csv, byte);
}

static void take(struct kw_csv *csv, uint8_t byte)
{
    bool was_cr = csv->was_cr;
    csv->was_cr = byte == '\r';
    if (csv->state == QUOTED) {
        take_quoted(csv, byte, was_cr);
        return;
    }
    if (csv->state == QUOTE_IN_QUOTED && byte == '"') {
        csv->state = QUOTED;
        add_byte(csv, byte);
        return;
    }
    if (byte == '\r' || byte == '\n') {
        if (!(byte == '\n' && was_cr)) {
            break_line(csv);
        }
        return;
    }
    csv->row_is_open = true;
    if (byte == ',') {
        end_cell(csv);
    } else if (csv->state == CELL_BEGINS && byte == '"') {
        csv->state = QUOTED;
    } else if (csv->state == QUOTE_IN_QUOTED) {
        note_fault(csv, TEXT_AFTER_QUOTE);
        csv->state = PLAIN;
    } else {
        csv->state = PLAIN;
        add_byte(csv, byte);
    }
}

/* The first bytes may be a mark, and may come one by one: what turns out to be none is taken after all. */
static void take_first(struct kw_csv *csv, uint8_t byte)
{
    if (csv->mark_size < sizeof byte_order_mark && byte == byte_order_mark[csv->mark_size]) {
        csv->mark_size++;
        return;
    }
    size_t held = csv->mark_size < sizeof byte_order_mark ? csv->mark_size : 0;
    csv->mark_size = MARK_IS_OVER;
    for (size_t i = 0; i < held; i++) {
        take(csv, byte_order_mark[i]);
    }
    take(csv, byte);
}

static enum kw_status explain(const struct kw_csv *csv, struct kw_error *error_out)
{
    unsigned long long line = csv->fault_line, row_line = csv->line;
    size_t column = csv->fault_column;
    switch (csv->fault) {
    case TEXT_AFTER_QUOTE:
        return kw_fail(error_out, KW_E_INVALID, "INVALID_ROW", NULL,
                       "line %llu, column %zu: something stands between a closing quote and the comma: a quote inside "
                       "quotes is written twice",
                       line, column);
    case OPEN_QUOTE:
        return kw_fail(error_out, KW_E_INVALID, "INVALID_ROW", NULL,
                       "line %llu, column %zu: a quote is opened and never closed", row_line, column);
    case TOO_MANY_CELLS:
        return kw_fail(error_out, KW_E_INVALID, "INVALID_ROW", NULL, "line %llu: has more than %d cells", line,
                       KW_CSV_COLUMNS_MAX);
    default:
        return kw_fail(
            error_out, KW_E_INVALID, "INVALID_ROW", NULL,
            "line %llu, column %zu: the row is longer than %zu bytes: is a quote missing that closes a cell?", row_line,
            column, csv->cells.size_max);
    }
}

/* What is left when nothing more comes. */
static void finish(struct kw_csv *csv)
{
    if (csv->mark_size > 0 && csv->mark_size < sizeof byte_order_mark) {
        size_t held = csv->mark_size;
        csv->mark_size = MARK_IS_OVER;
        for (size_t i = 0; i < held; i++) {
            take(csv, byte_order_mark[i]);
        }
    }
    if (csv->state == QUOTED) {
        note_fault(csv, OPEN_QUOTE);
    }
    end_row(csv);
}

enum kw_status kw_csv_read(struct kw_csv *csv, struct kw_bytes *input, bool is_end, bool *has_row_out,
                           struct kw_error *error_out)
{
    if (csv->has_row) {
        begin_row(csv);
    }
    size_t at = 0;
    while (at < input->size && !csv->has_row) {
        uint8_t byte = input->data[at++];
        if (csv->mark_size == MARK_IS_OVER) {
            take(csv, byte);
        } else {
            take_first(csv, byte);
        }
    }
    *input = kw_bytes_skip(*input, at);
    if (is_end && input->size == 0 && !csv->has_row) {
        finish(csv);
    }
    if (kw_buffer_status(&csv->cells) == KW_E_MEMORY) {
        return kw_fail(error_out, KW_E_MEMORY, "FAILED", NULL, "not enough memory for a row");
    }
    *has_row_out = csv->has_row && csv->fault == NO_FAULT;
    return csv->has_row && csv->fault != NO_FAULT ? explain(csv, error_out) : KW_OK;
}

struct kw_bytes kw_csv_cell(const struct kw_csv *csv, size_t index)
{
    if (index >= csv->cell_count) {
        return (struct kw_bytes){NULL, 0};
    }
    size_t begin = index == 0 ? 0 : csv->ends[index - 1];
    return kw_bytes_skip(kw_bytes_of(csv->cells.data, csv->ends[index]), begin);
}

void kw_csv_write_cell(struct kw_buffer *buffer, struct kw_bytes text)
{
    bool needs_quotes = false;
    for (size_t i = 0; i < text.size && !needs_quotes; i++) {
        uint8_t byte = text.data[i];
        needs_quotes = byte == '"' || byte == ',' || byte == '\r' || byte == '\n' || byte == ';' || byte == ' ';
    }
    if (!needs_quotes) {
        kw_buffer_add(buffer, text);
        return;
    }
    kw_buffer_add_byte(buffer, '"');
    for (size_t i = 0; i < text.size; i++) {
        kw_buffer_add_text(buffer, text.data[i] == '"' ? "\"" : "");
        kw_buffer_add_byte(buffer, text.data[i]);
    }
    kw_buffer_add_byte(buffer, '"');
}
