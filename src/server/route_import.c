#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "engine/import.h"

#define LINES_TOLD_MAX 1000                      /* lines of a report; the others are counted */
#define LINES_SIZE_MAX ((size_t)4 * 1024 * 1024) /* of their text */
#define MAP_PARTS_MAX KW_IMPORT_COLUMNS_MAX

/* An import on its way. It lives in the call's arena. */
struct import {
    struct kw_request *request;
    struct kw_import_options options;
    struct kw_import_job job;
    struct kw_bytes map[MAP_PARTS_MAX];
    struct kw_buffer lines; /* what became of those that were not simply created, as items of an array */
    struct kw_json_writer writer;
    uint64_t told, not_told;
};

static const char *const outcome_names[] = {
    [KW_IMPORT_CREATED] = "created",
    [KW_IMPORT_OVERWRITTEN] = "overwritten",
    [KW_IMPORT_SKIPPED] = "skipped",
    [KW_IMPORT_REFUSED] = "refused",
};

/* --- what is asked for --- */

static const struct {
    const char *name;
    const char *type;
} formats[] = {
    [KW_IMPORT_NDJSON] = {"ndjson", "application/x-ndjson"},
    [KW_IMPORT_JSON] = {"json", "application/json"},
    [KW_IMPORT_CSV] = {"csv", "text/csv"},
};

static enum kw_status take_format(const struct kw_request *request, struct kw_bytes name,
                                  enum kw_import_format *format_out, struct kw_error *error)
{
    struct kw_bytes type, parameters;
    kw_bytes_split(request->call->headers[KW_HEADER_CONTENT_TYPE], ';', &type, &parameters);
    while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t')) {
        type.size--;
    }
    for (size_t i = 0; i < KW_COUNT_OF(formats); i++) {
        bool is_named = kw_bytes_equal(name, kw_bytes_of_text(formats[i].name));
        bool is_typed = name.size == 0 && kw_bytes_equal_ignoring_case(type, kw_bytes_of_text(formats[i].type));
        if (is_named || is_typed) {
            *format_out = (enum kw_import_format)i;
            return KW_OK;
        }
    }
    return kw_refuse(error, KW_CODE_UNSUPPORTED_MEDIA_TYPE, NULL,
                     "Send the keys with Content-Type: application/x-ndjson, application/json or text/csv.");
}

/* "column=field,column=field" */
static enum kw_status take_map(struct import *import, struct kw_bytes text, struct kw_error *error)
{
    struct kw_bytes part;
    while (text.size > 0) {
        (void)kw_bytes_split(text, ',', &part, &text);
        if (import->options.map_count == MAP_PARTS_MAX) {
            return kw_refuse(error, KW_CODE_INVALID_FIELD, "map", "holds too many: at most %d", MAP_PARTS_MAX);
        }
        import->map[import->options.map_count++] = part;
    }
    import->options.map = import->map;
    return KW_OK;
}

static bool is_word(struct kw_bytes text, const char *word)
{
    return kw_bytes_equal(text, kw_bytes_of_text(word));
}

static enum kw_status take_options(struct import *import, struct kw_error *error)
{
    const struct kw_import_params *params = import->request->query;
    struct kw_import_options *options = &import->options;
    *options = (struct kw_import_options){
        .on_conflict = is_word(params->on_conflict, "overwrite") ? KW_IMPORT_OVERWRITE
                       : is_word(params->on_conflict, "error")   ? KW_IMPORT_ERROR
                                                                 : KW_IMPORT_SKIP,
        .dry_run = is_word(params->dry_run, "true"),
        .owner = params->owner,
        .env = params->env,
        .prefix = params->prefix,
        .algorithm = is_word(params->algorithm, "sha256")   ? KW_DIGEST_SHA256
                     : is_word(params->algorithm, "sha512") ? KW_DIGEST_SHA512
                                                            : (enum kw_digest_scheme)0,
        .salt = params->salt,
        .salt_before = is_word(params->salt_place, "before"),
    };
    enum kw_status status = take_format(import->request, params->format, &options->format, error);
    return status == KW_OK ? take_map(import, params->map, error) : status;
}

/* --- the report --- */

static void note_line(void *context, const struct kw_import_line *line)
{
    struct import *import = context;
    if (line->outcome == KW_IMPORT_CREATED) {
        return;
    }
    if (import->told == LINES_TOLD_MAX) {
        import->not_told++;
        return;
    }
    struct kw_json_writer *writer = &import->writer;
    import->told++;
    kw_json_begin_object(writer);
    kw_json_name(writer, "line");
    kw_json_i64(writer, (int64_t)line->line);
    kw_json_name(writer, "outcome");
    kw_json_text(writer, outcome_names[line->outcome]);
    if (!kw_id_is_none(&line->id)) {
        char text[KW_ID_TEXT_SIZE];
        kw_id_format(&line->id, text);
        kw_json_name(writer, "id");
        kw_json_string(writer, kw_bytes_of(text, sizeof text));
    }
    if (line->error != NULL) {
        kw__write_refusal(writer, kw__code_of(line->error), line->error);
    }
    kw_json_end_object(writer);
}

static void write_count(struct kw_json_writer *writer, const char *name, uint64_t count)
{
    kw_json_name(writer, name);
    kw_json_i64(writer, (int64_t)count);
}

static void write_report(const struct import *import, struct kw_json_writer *writer)
{
    const struct kw_import_counts *counts = &import->job.counts;
    kw_json_begin_object(writer);
    kw_json_name(writer, "dryRun");
    kw_json_bool(writer, import->options.dry_run);
    write_count(writer, "created", counts->created);
    write_count(writer, "overwritten", counts->overwritten);
    write_count(writer, "skipped", counts->skipped);
    write_count(writer, "refused", counts->refused);
    kw_json_name(writer, "isCut");
    kw_json_bool(writer, counts->is_cut);
    kw_json_name(writer, "lines");
    kw_json_begin_array(writer);
    if (import->told > 0) {
        kw_json_raw(writer, kw_buffer_bytes(&import->lines));
    }
    kw_json_end_array(writer);
    write_count(writer, "linesNotShown", import->not_told);
    kw_json_end_object(writer);
}

static void answer(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    struct import *import = request->call->route_state;
    if (op->status != KW_OK) {
        struct kw_error error = op->error;
        kw_buffer_deinit(&import->lines);
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    enum kw_status status = kw_buffer_status(&import->lines);
    write_report(import, &writer);
    kw_buffer_deinit(&import->lines);
    kw_op_deinit(op);
    kw__finish_change(request, status);
}

void kw__import(struct kw_request *request)
{
    struct import *import = kw_arena_take(&request->call->arena, sizeof *import);
    if (import == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    struct kw_error error;
    import->request = request;
    if (take_options(import, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_IMPORT, answer);
    if (op == NULL) {
        return;
    }
    kw_buffer_init(&import->lines, LINES_SIZE_MAX);
    kw_json_writer_init(&import->writer, &import->lines);
    import->job = (struct kw_import_job){
        .text = request->call->body, .options = &import->options, .sink = note_line, .context = import};
    request->call->route_state = import;
    op->import = &import->job;
    kw_engine_submit(request->api->options.engine, op);
}
