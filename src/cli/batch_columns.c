#include "cli/batch.h"

#include "core/transition.h"

#include <stdio.h>

/* --- the header --- */

static const struct kw_field *find_field(const struct kw_schema *schema, struct kw_bytes name)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (kw_bytes_equal(schema->fields[i].name, name)) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

/* What --map says of a column; true when it names it. The field is empty where the column is to be left out. */
static bool find_map(const struct kw_command_line *line, struct kw_bytes column, struct kw_bytes *field_out)
{
    for (size_t i = 0; i < line->given_count; i++) {
        struct kw_bytes named;
        if (strcmp(line->given[i].option->name, "map") == 0 &&
            kw_bytes_split(kw_bytes_of_text(line->given[i].value), '=', &named, field_out) &&
            kw_bytes_equal(named, column)) {
            return true;
        }
    }
    return false;
}

/* `name` is that of the column, or what --map says of it. */
static enum kw_status no_such_field(const struct kw_batch_input *input, size_t column, struct kw_bytes name,
                                    struct kw_error *error_out)
{
    char texts[KW_SCHEMA_FIELDS_MAX][48], wanted[48], header[48];
    struct kw_bytes cell = kw_csv_cell(&input->csv, column);
    const char *names[KW_SCHEMA_FIELDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < input->schema->field_count; i++) {
        struct kw_bytes field = input->schema->fields[i].name;
        snprintf(texts[i], sizeof texts[i], "%.*s", (int)field.size, (const char *)field.data);
        names[i] = texts[i];
    }
    snprintf(wanted, sizeof wanted, "%.*s", (int)name.size, (const char *)name.data);
    snprintf(header, sizeof header, "%.*s", (int)cell.size, (const char *)cell.data);
    if (kw_looks_like_key(wanted) || kw_looks_like_key(header)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "%s: column %zu of the first line is a key: the first line must name the fields", input->name,
                       column + 1);
    }
    const char *near = kw_suggest(names, wanted);
    return kw_fail(
        error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
        "%s: column %zu, '%s', is no field%s%s%s: --map '%s=FIELD' says which one it is, --map '%s=-' leaves it "
        "out",
        input->name, column + 1, wanted, near == NULL ? "" : " (did you mean ", near == NULL ? "" : near,
        near == NULL ? "" : "?)", header, header);
}

static enum kw_status take_column(struct kw_batch_input *input, size_t column, struct kw_error *error_out)
{
    struct kw_bytes name = kw_csv_cell(&input->csv, column), mapped;
    bool is_mapped = find_map(input->line, name, &mapped);
    bool is_left_out = is_mapped && (mapped.size == 0 || kw_bytes_equal(mapped, KW_BYTES("-"))); /* as imports say it */
    const struct kw_field *field = NULL;
    if (!is_left_out) {
        field = find_field(input->schema, is_mapped ? mapped : name);
        if (field == NULL) {
            return no_such_field(input, column, is_mapped ? mapped : name, error_out);
        }
    }
    for (size_t i = 0; i < column && field != NULL; i++) {
        if (input->columns[i] == field) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "%s: columns %zu and %zu are both %.*s",
                           input->name, i + 1, column + 1, (int)field->name.size, (const char *)field->name.data);
        }
    }
    input->columns[column] = field;
    return KW_OK;
}

/* Every --map names a column that is there. */
static enum kw_status check_maps(const struct kw_batch_input *input, struct kw_error *error_out)
{
    for (size_t i = 0; i < input->line->given_count; i++) {
        const struct kw_given_option *given = &input->line->given[i];
        struct kw_bytes column, field;
        if (strcmp(given->option->name, "map") != 0) {
            continue;
        }
        if (!kw_bytes_split(kw_bytes_of_text(given->value), '=', &column, &field)) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--map must read COLUMN=FIELD");
        }
        bool is_there = false;
        for (size_t cell = 0; cell < input->column_count; cell++) {
            is_there = is_there || kw_bytes_equal(kw_csv_cell(&input->csv, cell), column);
        }
        if (!is_there) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "%s: has no column '%.*s', which --map names",
                           input->name, (int)column.size, (const char *)column.data);
        }
    }
    return KW_OK;
}

enum kw_status kw_batch_header(struct kw_batch_input *input, struct kw_error *error_out)
{
    input->column_count = input->csv.cell_count;
    for (size_t i = 0; i < input->column_count; i++) {
        enum kw_status status = take_column(input, i, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    return check_maps(input, error_out);
}

/* --- a row --- */

/* One complete value, so that nothing beside it can slip into the item. */
static enum kw_status check_json(struct kw_bytes json, struct kw_error *error_out)
{
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_arena_init(&arena, NULL, 0, KW_CALL_ARENA_MAX);
    kw_json_reader_init(&reader, json, &arena);
    enum kw_status status = kw_json_next(&reader, &token, error_out);
    status = status == KW_OK ? kw_json_skip(&reader, &token, &raw, error_out) : status;
    status = status == KW_OK ? kw_json_next(&reader, &token, error_out) : status;
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status write_json(struct kw_json_writer *writer, struct kw_bytes cell, struct kw_error *error_out)
{
    enum kw_status status = check_json(cell, error_out);
    if (status == KW_OK) {
        kw_json_raw(writer, cell);
    }
    return status;
}

static struct kw_bytes trim(struct kw_bytes text)
{
    while (text.size > 0 && text.data[0] == ' ') {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] == ' ') {
        text.size--;
    }
    return text;
}

/* "a;b", or JSON. */
static enum kw_status write_list(struct kw_json_writer *writer, struct kw_bytes cell, struct kw_error *error_out)
{
    if (cell.data[0] == '[') {
        return write_json(writer, cell, error_out);
    }
    struct kw_bytes one;
    kw_json_begin_array(writer);
    while (cell.size > 0) {
        (void)kw_bytes_split(cell, ';', &one, &cell);
        one = trim(one);
        if (one.size > 0) {
            kw_json_string(writer, one);
        }
    }
    kw_json_end_array(writer);
    return KW_OK;
}

static enum kw_status write_bool(struct kw_json_writer *writer, struct kw_bytes cell, struct kw_error *error_out)
{
    bool is_true = kw_bytes_equal_ignoring_case(cell, KW_BYTES("true"));
    if (!is_true && !kw_bytes_equal_ignoring_case(cell, KW_BYTES("false"))) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be true or false");
    }
    kw_json_bool(writer, is_true);
    return KW_OK;
}

static enum kw_status write_integer(struct kw_json_writer *writer, struct kw_bytes cell, struct kw_error *error_out)
{
    int64_t value;
    if (!kw_json_to_i64(cell, &value) || check_json(cell, NULL) != KW_OK) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "must be a whole number");
    }
    kw_json_i64(writer, value);
    return KW_OK;
}

static enum kw_status write_cell(struct kw_json_writer *writer, const struct kw_field *field, struct kw_bytes cell,
                                 struct kw_error *error_out)
{
    if (!kw_utf8_valid(cell)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "is not valid UTF-8");
    }
    switch (field->kind) {
    case KW_FIELD_TEXT:
    case KW_FIELD_TIME:
    case KW_FIELD_DURATION:
        kw_json_string(writer, cell);
        return KW_OK;
    case KW_FIELD_TEXTS:
        return write_list(writer, cell, error_out);
    case KW_FIELD_BOOL:
        return write_bool(writer, cell, error_out);
    case KW_FIELD_INTEGER:
        return write_integer(writer, cell, error_out);
    default:
        return write_json(writer, cell, error_out);
    }
}

enum kw_status kw_batch_row(const struct kw_batch_input *input, struct kw_buffer *json, struct kw_error *error_out)
{
    struct kw_json_writer writer;
    if (input->csv.cell_count != input->column_count) {
        return kw_fail(error_out, KW_E_INVALID, KW_BATCH_INVALID_ROW, NULL, "has %zu cells, and the header has %zu",
                       input->csv.cell_count, input->column_count);
    }
    kw_json_writer_init(&writer, json);
    kw_json_begin_object(&writer);
    for (size_t i = 0; i < input->column_count; i++) {
        const struct kw_field *field = input->columns[i];
        struct kw_bytes cell = kw_csv_cell(&input->csv, i);
        if (field == NULL || cell.size == 0) {
            continue;
        }
        kw_json_name_bytes(&writer, field->name);
        enum kw_status status = write_cell(&writer, field, cell, error_out);
        if (status != KW_OK) {
            char name[64];
            snprintf(name, sizeof name, "%.*s (column %zu)", (int)field->name.size, (const char *)field->name.data,
                     i + 1);
            kw_error_nest(error_out, name);
            return status;
        }
    }
    kw_json_end_object(&writer);
    return KW_OK;
}
