/*
 * Reading CSV (RFC 4180) piece by piece: the input comes in pieces of any size, rows go out one at a time, and no more
 * is kept than one row. Cells in quotes may hold commas, doubled quotes and line breaks. Lines end in CR LF, LF or CR.
 * A byte order mark before the first row, and empty lines, are passed over; a quote inside a cell that did not begin
 * with one stands for itself. What a cell holds (its text encoding, too) is the caller's to judge.
 */
#ifndef KW_BASE_CSV_H
#define KW_BASE_CSV_H

#include "base/memory.h"

#define KW_CSV_COLUMNS_MAX 128

struct kw_csv {
    struct kw_buffer cells;          /* the text of all cells of the row, one behind the other; wiped */
    size_t ends[KW_CSV_COLUMNS_MAX]; /* where each cell ends there */
    size_t cell_count;
    uint64_t line; /* where the row began, from 1 */
    /* The reader's own. */
    uint64_t line_now;
    uint64_t fault_line;
    size_t fault_column;
    unsigned fault;
    uint8_t state, mark_size;
    bool was_cr, has_row, row_is_open;
};

/* `row_max`: bytes of a row's cells. Free with kw_csv_deinit. */
void kw_csv_init(struct kw_csv *csv, size_t row_max);
void kw_csv_deinit(struct kw_csv *csv);

/*
 * Reads from `input`, and cuts off what was read, until a row is complete (`has_row_out`) or the input is used up. With
 * `is_end` nothing follows the input: then a last line needs no line break, and no row means that there is none left.
 *
 * KW_E_INVALID: a row that is none (it is passed over, `line` says where it began, and the next call goes on behind
 * it): something stands between a closing quote and the comma, a quote is never closed, or it has too many cells or
 * bytes. KW_E_MEMORY ends the reading.
 */
KW_MUST_USE enum kw_status kw_csv_read(struct kw_csv *csv, struct kw_bytes *input, bool is_end, bool *has_row_out,
                                       struct kw_error *error_out);

/* A cell of the row, from 0; no bytes behind the last. Good until the next kw_csv_read. */
struct kw_bytes kw_csv_cell(const struct kw_csv *csv, size_t index);

/* Appends a cell as CSV, in quotes where it needs them. Commas and line breaks are the caller's. */
void kw_csv_write_cell(struct kw_buffer *buffer, struct kw_bytes text);

#endif
