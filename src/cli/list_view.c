#include "cli/record_view.h"

#include "base/time.h"

#define CELLS_MAX (16 * 1024 * 1024)
#define RECORD_ARENA_MAX (4 * 1024 * 1024)

static const struct {
    const char *head;
    enum kw_shown_field field;
    size_t width_max;
} columns[] = {
    {"ID", KW_SHOWN_ID, 0},
    {"STATUS", KW_SHOWN_STATUS, 0},
    {"NAME", KW_SHOWN_NAME, 32},
    {"OWNER", KW_SHOWN_OWNER, 32},
    {"KEY", KW_SHOWN_PREFIX, 0},
    {"CREATED", KW_SHOWN_CREATED_AT, 0},
    {"EXPIRES", KW_SHOWN_EXPIRES_AT, 0},
};
enum { COLUMN_COUNT = KW_COUNT_OF(columns) };

_Static_assert(COLUMN_COUNT <= KW_TABLE_COLUMNS_MAX, "every column fits a table");

void kw_list_table_init(struct kw_table *table)
{
    *table = (struct kw_table){.column_count = COLUMN_COUNT};
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        table->width_max[i] = columns[i].width_max;
    }
}

/* The texts of a page's cells in a row, each with its size: columns are measured before the first row is written. */
struct page {
    struct kw_table *table;
    int64_t now_ms;
    struct kw_buffer texts;
    struct kw_output *out;
};

static void add_relative(const struct kw_shown_record *record, enum kw_shown_field field, struct kw_buffer *text)
{
    int64_t time_ms;
    if (record->fields[field].type == KW_JSON_STRING && kw_time_parse(record->fields[field].text, &time_ms)) {
        kw_text_relative(text, time_ms, record->now_ms);
        return;
    }
    kw_buffer_add_text(text, field == KW_SHOWN_EXPIRES_AT ? "never" : "");
}

static void add_cell(const struct kw_shown_record *record, enum kw_shown_field field, struct kw_buffer *text)
{
    switch (field) {
    case KW_SHOWN_PREFIX:
        kw_shown_key(record, text);
        return;
    case KW_SHOWN_CREATED_AT:
    case KW_SHOWN_EXPIRES_AT:
        add_relative(record, field, text);
        return;
    case KW_SHOWN_STATUS: { /* as it works: the column has room for one */
        bool is_child = record->fields[KW_SHOWN_EFFECTIVE].type == KW_JSON_STRING;
        kw_buffer_add(text, record->fields[is_child ? KW_SHOWN_EFFECTIVE : KW_SHOWN_STATUS].text);
        return;
    }
    default:
        kw_buffer_add(text, record->fields[field].text);
        return;
    }
}

/* Appends the cells of one record, each behind its size. */
static enum kw_status add_record(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    struct page *page = context;
    struct kw_arena arena;
    struct kw_shown_record record;
    kw_arena_init(&arena, NULL, 0, RECORD_ARENA_MAX);
    enum kw_status status = kw_shown_record_read(raw, &arena, page->now_ms, &record);
    for (size_t i = 0; status == KW_OK && i < COLUMN_COUNT; i++) {
        size_t at = page->texts.size;
        uint32_t size = 0;
        kw_buffer_add(&page->texts, kw_bytes_of(&size, sizeof size));
        add_cell(&record, columns[i].field, &page->texts);
        status = kw_buffer_status(&page->texts);
        if (status == KW_OK) {
            size = (uint32_t)(page->texts.size - at - sizeof size);
            memcpy(page->texts.data + at, &size, sizeof size);
        }
    }
    kw_arena_reset(&arena);
    return status;
}

static bool next_row(struct kw_bytes *rest, struct kw_cell cells[COLUMN_COUNT])
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        uint32_t size;
        if (rest->size < sizeof size) {
            return false;
        }
        memcpy(&size, rest->data, sizeof size);
        *rest = kw_bytes_skip(*rest, sizeof size);
        cells[i] = (struct kw_cell){.text = kw_bytes_of(rest->data, size)};
        cells[i].colour = columns[i].field == KW_SHOWN_STATUS ? kw_status_colour(cells[i].text) : NULL;
        *rest = kw_bytes_skip(*rest, size);
    }
    return true;
}

static void write_page(struct page *page, bool with_head)
{
    struct kw_cell head[COLUMN_COUNT];
    struct kw_cell cells[COLUMN_COUNT];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        head[i] = (struct kw_cell){kw_bytes_of_text(columns[i].head), KW_COLOUR_BOLD};
    }
    kw_table_measure(page->table, head);
    for (struct kw_bytes rest = kw_buffer_bytes(&page->texts); next_row(&rest, cells);) {
        kw_table_measure(page->table, cells);
    }
    if (with_head) {
        kw_table_row(page->table, head, page->out->colour, &page->out->text);
    }
    for (struct kw_bytes rest = kw_buffer_bytes(&page->texts); next_row(&rest, cells);) {
        kw_table_row(page->table, cells, page->out->colour, &page->out->text);
    }
}

enum kw_status kw_list_page(struct kw_table *table, struct kw_bytes items, bool with_head, int64_t now_ms,
                            struct kw_output *out)
{
    struct page page = {.table = table, .now_ms = now_ms, .out = out};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    kw_buffer_init(&page.texts, CELLS_MAX);
    enum kw_status status = kw_items_each(items, &arena, add_record, &page);
    if (status == KW_OK) {
        write_page(&page, with_head);
    }
    kw_buffer_deinit(&page.texts);
    kw_arena_reset(&arena);
    return status;
}
