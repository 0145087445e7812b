#include "base/csv.h"
#include "support/test.h"

/* Rows as "cell|cell¶", a row at fault as "!line: message¶", read in pieces of `piece` bytes. */
static void read_all(struct test *t, struct kw_bytes input, size_t piece, size_t row_max, struct kw_buffer *seen)
{
    struct kw_csv csv;
    kw_csv_init(&csv, row_max);
    bool has_row = true;
    for (size_t steps = 0; steps < 1000; steps++) {
        struct kw_error error = {0};
        struct kw_bytes part = kw_bytes_of(input.data, input.size < piece ? input.size : piece);
        struct kw_bytes rest = part;
        bool is_end = part.size == input.size;
        enum kw_status status = kw_csv_read(&csv, &rest, is_end, &has_row, &error);
        input = kw_bytes_skip(input, part.size - rest.size);
        if (status != KW_OK) {
            CHECK_STATUS(t, status, KW_E_INVALID);
            kw_buffer_add_format(seen, "!%llu: %s\n", (unsigned long long)csv.line, error.message);
        } else if (has_row) {
            kw_buffer_add_format(seen, "%llu:", (unsigned long long)csv.line);
            for (size_t i = 0; i < csv.cell_count; i++) {
                kw_buffer_add_text(seen, i > 0 ? "|" : "");
                kw_buffer_add(seen, kw_csv_cell(&csv, i));
            }
            kw_buffer_add_byte(seen, '\n');
        } else if (is_end) {
            break;
        }
    }
    CHECK_I64(t, kw_csv_cell(&csv, KW_CSV_COLUMNS_MAX).size, 0);
    kw_csv_deinit(&csv);
}

static void check_rows(struct test *t, const char *input, size_t row_max, const char *expected)
{
    static const size_t pieces[] = {1, 2, 3, 7, 4096};
    for (size_t i = 0; i < KW_COUNT_OF(pieces); i++) {
        struct kw_buffer seen;
        kw_buffer_init(&seen, 65536);
        read_all(t, kw_bytes_of_text(input), pieces[i], row_max, &seen);
        CHECK_BYTES(t, kw_buffer_bytes(&seen), kw_bytes_of_text(expected));
        kw_buffer_deinit(&seen);
    }
}

static void rows_and_cells(struct test *t)
{
    check_rows(t, "", 100, "");
    check_rows(t, "a,b\nc,d\n", 100, "1:a|b\n2:c|d\n");
    check_rows(t, "a,b\r\nc,d", 100, "1:a|b\n2:c|d\n");
    check_rows(t, "a\rb\rc", 100, "1:a\n2:b\n3:c\n");
    check_rows(t, ",\n,,x\n", 100, "1:|\n2:||x\n");
    check_rows(t, "a,\n", 100, "1:a|\n");
    check_rows(t, "\n\r\n\na\n\n\n", 100, "4:a\n");
    check_rows(t, " a , b ", 100, "1: a | b \n");
}

static void quotes(struct test *t)
{
    check_rows(t, "\"a,b\",\"c\"\"d\",\"\"\n", 100, "1:a,b|c\"d|\n");
    check_rows(t, "\"\"", 100, "1:\n");
    check_rows(t, "\"1\n2\r\n3\",x\ny\n", 100, "1:1\n2\r\n3|x\n4:y\n");
    check_rows(t, "5\" pipe,b\"\"c\n", 100, "1:5\" pipe|b\"\"c\n");
    check_rows(t, "\"end\"", 100, "1:end\n");
}

static void a_mark_is_passed_over(struct test *t)
{
    check_rows(t, "\xef\xbb\xbf\"a\",b\n", 100, "1:a|b\n");
    check_rows(t, "\xef\xbb\xbf", 100, "");
    check_rows(t, "\xef\xbb", 100, "1:\xef\xbb\n");
    check_rows(t, "\xef\xbbx\n\xef\xbb\xbfy", 100, "1:\xef\xbbx\n2:\xef\xbb\xbfy\n");
}

static void a_row_at_fault_is_passed_over(struct test *t)
{
    check_rows(t, "a\nb,\"c\"d,e\nf\n", 100,
               "1:a\n!2: line 2, column 2: something stands between a closing quote and the comma: a quote inside "
               "quotes is written twice\n3:f\n");
    check_rows(t, "a\nb,\"c\nd\n", 100, "1:a\n!2: line 2, column 2: a quote is opened and never closed\n");
    check_rows(t, "12345,67890\n12345,678901\nx\n", 10,
               "1:12345|67890\n!2: line 2, column 2: the row is longer than 10 bytes: is a quote missing that closes a "
               "cell?\n3:x\n");
}

static void cells_are_bounded(struct test *t)
{
    char input[2 * KW_CSV_COLUMNS_MAX + 8];
    memset(input, ',', sizeof input);
    struct kw_buffer seen;
    kw_buffer_init(&seen, 65536);
    memcpy(input + KW_CSV_COLUMNS_MAX, "\nx\n", 4);
    read_all(t, kw_bytes_of_text(input), 5, 10, &seen);
    CHECK_BYTES(t, kw_buffer_bytes(&seen), KW_BYTES("!1: line 1: has more than 128 cells\n2:x\n"));
    kw_buffer_reset(&seen);
    memcpy(input + KW_CSV_COLUMNS_MAX - 1, "\nx\n", 4);
    read_all(t, kw_bytes_of_text(input), 5, 10, &seen);
    CHECK_I64(t, seen.size, 2 + KW_CSV_COLUMNS_MAX - 1 + 1 + 4);
    kw_buffer_deinit(&seen);
}

static void what_is_written_is_read(struct test *t)
{
    static const char letters[] = "a,\"\r\n ;\xef\xbb\xbf";
    for (int round = 0; round < 500; round++) {
        struct kw_buffer text, expected, seen;
        kw_buffer_init(&text, 4096);
        kw_buffer_init(&expected, 4096);
        kw_buffer_init(&seen, 4096);
        kw_buffer_add_text(&text, "x,");
        kw_buffer_add_text(&expected, "1:x|");
        for (size_t cells = test_random_below(t, 4); cells + 1 > 0; cells--) {
            struct kw_buffer cell;
            kw_buffer_init(&cell, 64);
            for (size_t size = test_random_below(t, 6); size > 0; size--) {
                kw_buffer_add_byte(&cell, (uint8_t)letters[test_random_below(t, sizeof letters - 1)]);
            }
            kw_csv_write_cell(&text, kw_buffer_bytes(&cell));
            kw_buffer_add(&expected, kw_buffer_bytes(&cell));
            kw_buffer_add_text(&text, cells > 0 ? "," : "\r\n");
            kw_buffer_add_text(&expected, cells > 0 ? "|" : "\n");
            kw_buffer_deinit(&cell);
        }
        read_all(t, kw_buffer_bytes(&text), 1 + test_random_below(t, 9), 100, &seen);
        CHECK_BYTES(t, kw_buffer_bytes(&seen), kw_buffer_bytes(&expected));
        kw_buffer_deinit(&text);
        kw_buffer_deinit(&expected);
        kw_buffer_deinit(&seen);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(rows_and_cells),        TEST_CASE(quotes),
        TEST_CASE(a_mark_is_passed_over), TEST_CASE(a_row_at_fault_is_passed_over),
        TEST_CASE(cells_are_bounded),     TEST_CASE(what_is_written_is_read),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
