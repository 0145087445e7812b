#include "base/bytes.h"
#include "core/import_parts.h"
#include "core/internal.h"
#include "core/schema_parts.h"

/* Columns of an item that are no fields of a record. */
static bool is_item_text(struct kw_bytes name)
{
    static const char *const names[] = {"id", "key", "keyHash", "algorithm", "salt", "saltPlace"};
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        if (kw_bytes_equal(kw_bytes_of_text(names[i]), name)) {
            return true;
        }
    }
    return false;
}

static enum kw__cell_kind cell_kind(struct kw_bytes field)
{
    if (kw_bytes_equal(field, KW_BYTES("metadata"))) {
        return KW__CELL_JSON;
    }
    return is_item_text(field) ? KW__CELL_TEXT : kw__field_cell(field);
}

static enum kw_status refuse_map(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "map",
                     "must read \"column=field\", \"column=metadata.NAME\" or \"column=-\", with a field of a key "
                     "and a column of the header");
}

/* What a column is said to mean; false where nothing is said. */
static bool look_up(const struct kw_import_options *options, struct kw_bytes name, struct kw_bytes *means_out)
{
    for (size_t i = 0; i < options->map_count; i++) {
        struct kw_bytes column, means;
        if (kw_bytes_split(options->map[i], '=', &column, &means) && kw_bytes_equal(column, name)) {
            *means_out = means;
            return true;
        }
    }
    return false;
}

static enum kw_status take_column(struct kw_import_source *source, struct kw_bytes name, struct kw_error *error_out)
{
    struct kw_import_column *column = &source->columns[source->column_count++];
    struct kw_bytes means = name;
    struct kw_bytes start = KW_BYTES("metadata.");
    enum kw_status status = kw_arena_copy(&source->names, name, &column->name);
    bool is_mapped = look_up(source->options, name, &means);
    if (is_mapped && kw_bytes_equal(means, KW_BYTES("-"))) {
        return status;
    }
    column->is_metadata = kw_bytes_starts_with(means, start) && means.size > start.size;
    means = column->is_metadata ? kw_bytes_skip(means, start.size) : means;
    if (!column->is_metadata && cell_kind(means) == KW__CELL_NONE) {
        return is_mapped ? refuse_map(error_out)
                         : kw__schema_refuse_name(KW_CODE_INVALID_FIELD, name,
                                                  "is a column that names no field: map it (column=field, "
                                                  "column=metadata.NAME, or column=- to leave it out); commas part "
                                                  "the columns",
                                                  error_out);
    }
    status = status == KW_OK ? kw_arena_copy(&source->names, means, &column->field) : status;
    for (size_t i = 0; i + 1 < source->column_count; i++) {
        const struct kw_import_column *other = &source->columns[i];
        if (other->field.size > 0 && other->is_metadata == column->is_metadata &&
            kw_bytes_equal(other->field, column->field)) {
            return kw__schema_refuse_name(KW_CODE_DUPLICATE_FIELD, name, "means what another column means", error_out);
        }
    }
    return status == KW_OK ? KW_OK : kw__no_memory(error_out);
}

/* Every mapping must be of a column that there is: else a slip of the pen would go unseen. */
static enum kw_status check_map(const struct kw_import_source *source, struct kw_error *error_out)
{
    const struct kw_import_options *options = source->options;
    for (size_t i = 0; i < options->map_count; i++) {
        struct kw_bytes column, means;
        bool is_used = false;
        (void)kw_bytes_split(options->map[i], '=', &column, &means);
        for (size_t j = 0; j < source->column_count; j++) {
            is_used = is_used || kw_bytes_equal(source->columns[j].name, column);
        }
        if (!is_used) {
            return refuse_map(error_out);
        }
    }
    return KW_OK;
}

static enum kw_status read_header(struct kw_import_source *source, struct kw_error *error_out)
{
    if (source->csv->cell_count > KW_IMPORT_COLUMNS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "The header has too many columns: at most %d.",
                         KW_IMPORT_COLUMNS_MAX);
    }
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < source->csv->cell_count && status == KW_OK; i++) {
        status = take_column(source, kw_csv_cell(source->csv, i), error_out);
    }
    return status == KW_OK ? check_map(source, error_out) : status;
}

/* --- rows --- */

static bool is_json(struct kw_bytes cell)
{
    return cell.data[0] == '[' || cell.data[0] == '{';
}

/* JSON in a cell is read here, so that what is no JSON is the cell's fault and not that of the row. */
static enum kw_status write_json(struct kw_bytes cell, struct kw_json_writer *writer)
{
    uint8_t memory[2048];
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_arena_init(&arena, memory, sizeof memory, (size_t)4 * KW_IMPORT_ITEM_MAX);
    kw_json_reader_init(&reader, cell, &arena);
    enum kw_status status = kw_json_next(&reader, &token, NULL);
    status = status == KW_OK ? kw_json_skip(&reader, &token, &raw, NULL) : status;
    status = status == KW_OK ? kw_json_next(&reader, &token, NULL) : status;
    kw_arena_reset(&arena);
    if (status == KW_OK) {
        kw_json_raw(writer, raw);
    }
    return status;
}

static void write_list(struct kw_bytes cell, struct kw_json_writer *writer)
{
    struct kw_bytes item;
    kw_json_begin_array(writer);
    while (cell.size > 0) {
        (void)kw_bytes_split(cell, ';', &item, &cell);
        if (item.size > 0) {
            kw_json_string(writer, item);
        }
    }
    kw_json_end_array(writer);
}

/* False: the cell is not what its column needs. */
static const char *write_cell(enum kw__cell_kind kind, struct kw_bytes cell, struct kw_json_writer *writer)
{
    bool is_true = kw_bytes_equal_ignoring_case(cell, KW_BYTES("true"));
    switch (kind) {
    case KW__CELL_LIST:
        if (!is_json(cell)) {
            write_list(cell, writer);
            return NULL;
        }
        return write_json(cell, writer) == KW_OK ? NULL : "must be words parted by ';', or an array of JSON";
    case KW__CELL_JSON:
        return write_json(cell, writer) == KW_OK ? NULL : "must be an object of JSON";
    case KW__CELL_BOOL:
        if (!is_true && !kw_bytes_equal_ignoring_case(cell, KW_BYTES("false"))) {
            return "must be true or false";
        }
        kw_json_bool(writer, is_true);
        return NULL;
    case KW__CELL_TEXT:
    case KW__CELL_NONE:
        break;
    }
    kw_json_string(writer, cell);
    return NULL;
}

static enum kw_status write_column(const struct kw_import_source *source, size_t index, struct kw_json_writer *writer,
                                   struct kw_error *error_out)
{
    const struct kw_import_column *column = &source->columns[index];
    struct kw_bytes cell = kw_csv_cell(source->csv, index);
    if (!kw_utf8_valid(cell)) {
        return kw__schema_refuse_name(KW_CODE_INVALID_FIELD, column->name, "must be valid UTF-8", error_out);
    }
    kw_json_name_bytes(writer, column->field);
    const char *why = write_cell(column->is_metadata ? KW__CELL_TEXT : cell_kind(column->field), cell, writer);
    return why == NULL ? KW_OK : kw__schema_refuse_name(KW_CODE_INVALID_FIELD, column->name, why, error_out);
}

/* Cells of metadata become one object, unless a column holds that as a whole. */
static enum kw_status write_metadata(const struct kw_import_source *source, struct kw_json_writer *writer,
                                     struct kw_error *error_out)
{
    bool has_any = false;
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < source->column_count && status == KW_OK; i++) {
        if (!source->columns[i].is_metadata || kw_csv_cell(source->csv, i).size == 0) {
            continue;
        }
        if (!has_any) {
            kw_json_name(writer, "metadata");
            kw_json_begin_object(writer);
            has_any = true;
        }
        status = write_column(source, i, writer, error_out);
    }
    if (has_any) {
        kw_json_end_object(writer);
    }
    return status;
}

static enum kw_status write_row(struct kw_import_source *source, struct kw_error *error_out)
{
    struct kw_json_writer writer;
    enum kw_status status = KW_OK;
    kw_buffer_reset(&source->row);
    kw_json_writer_init(&writer, &source->row);
    /* One cell too few may be the one that says that the key is revoked. */
    if (source->csv->cell_count != source->column_count) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "The row has %zu cells, and the header has %zu: write a comma for each cell that is empty.",
                         source->csv->cell_count, source->column_count);
    }
    kw_json_begin_object(&writer);
    for (size_t i = 0; i < source->column_count && status == KW_OK; i++) {
        const struct kw_import_column *column = &source->columns[i];
        if (column->field.size > 0 && !column->is_metadata && kw_csv_cell(source->csv, i).size > 0) {
            status = write_column(source, i, &writer, error_out);
        }
    }
    status = status == KW_OK ? write_metadata(source, &writer, error_out) : status;
    kw_json_end_object(&writer);
    if (status == KW_OK && kw_buffer_status(&source->row) != KW_OK) {
        return kw__no_memory(error_out);
    }
    return status;
}

enum kw_status kw__import_next_row(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                   enum kw_import_part *part_out, struct kw_bytes *item_out, struct kw_error *error_out)
{
    for (;;) {
        bool has_row = false;
        enum kw_status status = kw_csv_read(source->csv, text, is_last, &has_row, error_out);
        source->line = source->csv->line;
        if (status == KW_E_INVALID && source->column_count > 0) {
            *part_out = KW_IMPORT_PART_BAD;
            return KW_OK;
        }
        if (status != KW_OK) {
            return status;
        }
        if (!has_row) {
            *part_out = is_last ? KW_IMPORT_PART_END : KW_IMPORT_PART_MORE;
            return KW_OK;
        }
        if (source->column_count == 0) {
            status = read_header(source, error_out);
            if (status != KW_OK) {
                return status;
            }
            continue;
        }
        status = write_row(source, error_out);
        if (status == KW_E_MEMORY) {
            return status;
        }
        *part_out = status == KW_OK ? KW_IMPORT_PART_ITEM : KW_IMPORT_PART_BAD;
        *item_out = kw_buffer_bytes(&source->row);
        return KW_OK;
    }
}
