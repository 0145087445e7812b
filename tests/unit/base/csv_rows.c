/* Standard input as CSV, read in pieces of argv[1] bytes; rows as lines of JSON, "null" for one at fault. */
#include "base/csv.h"
#include "base/json.h"

#include <stdio.h>
#include <unistd.h>

static void show(const struct kw_csv *csv)
{
    struct kw_buffer line;
    struct kw_json_writer writer;
    kw_buffer_init(&line, (size_t)1 << 20);
    kw_json_writer_init(&writer, &line);
    kw_json_begin_array(&writer);
    kw_json_i64(&writer, (int64_t)csv->line);
    for (size_t i = 0; i < csv->cell_count; i++) {
        kw_json_string(&writer, kw_csv_cell(csv, i));
    }
    kw_json_end_array(&writer);
    fwrite(line.data, 1, line.size, stdout);
    kw_buffer_deinit(&line);
}

int main(int argc, char **argv)
{
    static uint8_t piece[4096];
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    struct kw_csv csv;
    kw_csv_init(&csv, 65536);
    bool is_end = false, has_row = true;
    struct kw_bytes rest = {NULL, 0};
    while (!is_end || has_row || rest.size > 0) {
        if (rest.size == 0 && !is_end) {
            ssize_t count = read(STDIN_FILENO, piece, size < sizeof piece ? size : sizeof piece);
            is_end = count <= 0;
            rest = kw_bytes_of(piece, count <= 0 ? 0 : (size_t)count);
        }
        enum kw_status status = kw_csv_read(&csv, &rest, is_end, &has_row, NULL);
        if (status == KW_E_MEMORY) {
            return 1;
        }
        if (has_row && status == KW_OK) {
            show(&csv);
            puts("");
        } else if (status != KW_OK) {
            puts("null");
            has_row = true;
        }
    }
    kw_csv_deinit(&csv);
    return 0;
}
