#include "cli/import.h"

#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE ((size_t)128 * 1024)
#define TEXT_MAX (2 * KW_IMPORT_ITEM_MAX + 2 * BLOCK_SIZE)
#define BODY_MAX ((size_t)960 * 1024) /* a request's, with room for one line more */
#define MAPS_MAX KW_IMPORT_COLUMNS_MAX

/* An import on its way. What holds pieces of the input may hold keys: it is wiped. */
struct import {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    bool as_json;
    struct kw_target *target;
    struct kw_formed_request formed;
    struct kw_import_options options;
    struct kw_bytes maps[MAPS_MAX];
    struct kw_import_source source;
    int fd;
    uint64_t size_read, taken; /* bytes of the input */
    struct kw_buffer text;     /* of the input, not taken yet */
    bool is_end;
    struct kw_buffer body; /* the chunk: a line an item */
    uint64_t lines[KW_IMPORT_LINES_TOLD_MAX];
    size_t count;
    uint64_t item_count, tail_count;
    bool has_head, has_tail;
    struct kw_progress progress;
    struct kw_import_report report;
};

/* --- the command line --- */

static enum kw_status usage(struct kw_error *error_out, const char *why)
{
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "%s", why);
}

/* What the first bytes say: an array, an object that does not end with its line, or an object a line. */
static enum kw_import_format sniff(struct kw_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t' || text.data[0] == '\n' ||
                             text.data[0] == '\r' || text.data[0] >= 0x80)) {
        text = kw_bytes_skip(text, 1);
    }
    struct kw_bytes first, rest;
    kw_bytes_split(text, '\n', &first, &rest);
    while (first.size > 0 && (first.data[first.size - 1] == '\r' || first.data[first.size - 1] == ' ')) {
        first.size--;
    }
    bool is_whole = first.size > 0 && first.data[first.size - 1] == '}';
    if (text.size > 0 && text.data[0] == '{') {
        return is_whole ? KW_IMPORT_NDJSON : KW_IMPORT_JSON;
    }
    return text.size > 0 && text.data[0] == '[' ? KW_IMPORT_JSON : KW_IMPORT_CSV;
}

static enum kw_status choose_format(struct import *import, struct kw_error *error_out)
{
    static const struct {
        const char *name, *ending;
        enum kw_import_format format;
    } names[] = {{"ndjson", ".ndjson", KW_IMPORT_NDJSON},
                 {"ndjson", ".jsonl", KW_IMPORT_NDJSON},
                 {"csv", ".csv", KW_IMPORT_CSV},
                 {"json", "", KW_IMPORT_JSON},
                 {"keypal", "", KW_IMPORT_JSON}};
    const char *given = kw_line_value(import->line, "format");
    const char *path = import->line->operands[0];
    import->options.format = sniff(kw_buffer_bytes(&import->text));
    if (given != NULL && strcmp(given, "keypal") == 0) {
        return KW_OK; /* a list, or an object a line */
    }
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        bool is_it = given != NULL ? strcmp(given, names[i].name) == 0
                                   : names[i].ending[0] != '\0' && kw_text_ends_with(path, names[i].ending);
        if (is_it) {
            import->options.format = names[i].format;
            return KW_OK;
        }
    }
    return given == NULL ? KW_OK : usage(error_out, "--format must be ndjson, json, csv or keypal");
}

static enum kw_status take_maps(struct import *import, struct kw_error *error_out)
{
    const struct kw_command_line *line = import->line;
    for (size_t i = 0; i < line->given_count; i++) {
        if (strcmp(line->given[i].option->name, "map") != 0) {
            continue;
        }
        if (import->options.map_count == MAPS_MAX || strchr(line->given[i].value, '=') == NULL) {
            return usage(error_out, "--map reads COLUMN=FIELD, COLUMN=metadata.NAME or COLUMN=-");
        }
        import->maps[import->options.map_count++] = kw_bytes_of_text(line->given[i].value);
    }
    import->options.map = import->maps;
    return import->options.map_count == 0 || import->options.format == KW_IMPORT_CSV
               ? KW_OK
               : usage(error_out, "--map is about the columns of CSV");
}

static void add_to_query(struct import *import)
{
    struct kw_buffer *query = &import->formed.query;
    kw_buffer_add_text(query, query->size > 0 ? "&" : "");
    kw_buffer_add_text(query, "format=ndjson"); /* whatever was read: it is sent an object a line */
    kw_buffer_add_text(query, kw_line_has(import->line, "dry-run") ? "&dryRun=true" : "");
    import->formed.request.query = kw_buffer_bytes(query);
    import->formed.request.if_unknown = "the same import can be run again";
}

/* --- the input --- */

static enum kw_status open_input(struct import *import, struct kw_error *error_out)
{
    const char *path = import->line->operands[0];
    struct stat file;
    import->fd = strcmp(path, "-") == 0 ? import->cli->in : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (import->fd < 0 || fstat(import->fd, &file) != 0 || S_ISDIR(file.st_mode)) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path,
                       strerror(import->fd < 0 ? errno : EISDIR));
    }
    if (S_ISREG(file.st_mode)) {
        kw_progress_aim(&import->progress, (uint64_t)file.st_size);
    }
    return KW_OK;
}

/* More of the input behind what is not taken yet. */
static enum kw_status read_more(struct import *import, struct kw_error *error_out)
{
    uint8_t *place = kw_buffer_reserve(&import->text, BLOCK_SIZE);
    if (place == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    ssize_t size;
    do {
        size = read(import->fd, place, BLOCK_SIZE);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", import->line->operands[0],
                       strerror(errno));
    }
    import->is_end = size == 0;
    import->text.size += (size_t)size;
    import->size_read += (uint64_t)size;
    return KW_OK;
}

/* --- sending --- */

/* False: it failed and was reported. */
static bool send_chunk(struct import *import)
{
    struct kw_answer answer;
    struct kw_error error = {0};
    if (import->count == 0) {
        return true;
    }
    kw_answer_init(&answer);
    import->formed.request.body = kw_buffer_bytes(&import->body);
    kw_progress_clear(&import->progress);
    bool done = kw_key_send(import->cli, import->line, import->target, &import->formed, &answer);
    if (done && kw_import_report_answer(&import->report, kw_buffer_bytes(&answer.body), import->lines, import->count) !=
                    KW_OK) {
        (void)kw_report_nonsense(import->cli, import->as_json);
        done = false;
    }
    if (done && kw_import_report_flush(&import->report, &error) != KW_OK) {
        (void)kw_report(import->cli, &error, import->as_json);
        done = false;
    }
    kw_answer_deinit(&answer);
    import->count = 0;
    kw_buffer_reset(&import->body);
    kw_progress_show(&import->progress, import->item_count, import->taken);
    return done;
}

/* The first and last lines of an export stay here: they are about all of it. False: it is refused. */
static bool is_envelope(struct import *import, struct kw_bytes item, struct kw_error *error_out, bool *failed_out)
{
    struct kw_import_item read;
    struct kw_arena arena;
    *failed_out = false;
    if (!kw_bytes_starts_with(item, KW_BYTES("{\"keyward\""))) {
        return false;
    }
    kw_arena_init(&arena, NULL, 0, (size_t)4 * KW_IMPORT_ITEM_MAX);
    *failed_out = kw_import_read(item, &import->options, &arena, &read, error_out) != KW_OK;
    if (!*failed_out) {
        import->has_head = import->has_head || read.kind == KW_IMPORT_HEAD;
        import->has_tail = import->has_tail || read.kind == KW_IMPORT_TAIL;
        import->tail_count += read.tail_count;
    }
    kw_arena_reset(&arena);
    return true;
}

/* As one line: what breaks lines between the tokens of JSON may as well be a space. */
static void add_item(struct import *import, struct kw_bytes item)
{
    size_t start = import->body.size;
    kw_buffer_add(&import->body, item);
    for (size_t i = start; i < import->body.size; i++) {
        uint8_t *byte = &import->body.data[i];
        *byte = *byte == '\n' || *byte == '\r' ? ' ' : *byte;
    }
    kw_buffer_add_byte(&import->body, '\n');
    import->lines[import->count++] = import->source.line;
}

static bool fail(struct import *import, const struct kw_error *error)
{
    kw_progress_clear(&import->progress);
    (void)kw_report(import->cli, error, import->as_json);
    return false;
}

/* False: it failed and was reported. */
static bool take_items(struct import *import, bool *ended_out)
{
    struct kw_bytes rest = kw_buffer_bytes(&import->text);
    enum kw_import_part part = KW_IMPORT_PART_ITEM;
    bool goes_on = true;
    while (goes_on && part != KW_IMPORT_PART_MORE && part != KW_IMPORT_PART_END) {
        struct kw_bytes item = {NULL, 0};
        struct kw_error error = {0};
        bool failed = false;
        if (kw_import_source_next(&import->source, &rest, import->is_end, &part, &item, &error) != KW_OK) {
            return fail(import, &error);
        }
        import->taken = import->size_read - rest.size;
        if (part == KW_IMPORT_PART_BAD) {
            import->item_count++;
            kw_import_report_bad(&import->report, import->source.line, &error);
        } else if (part == KW_IMPORT_PART_ITEM && is_envelope(import, item, &error, &failed)) {
            goes_on = !failed || fail(import, &error);
        } else if (part == KW_IMPORT_PART_ITEM) {
            /* No more than an answer can tell of. */
            bool is_full = import->count == KW_IMPORT_LINES_TOLD_MAX || import->body.size + item.size > BODY_MAX;
            goes_on = !is_full || send_chunk(import);
            import->item_count++;
            add_item(import, item);
        }
    }
    *ended_out = part == KW_IMPORT_PART_END;
    if (rest.size > 0) {
        memmove(import->text.data, rest.data, rest.size);
    }
    kw_wipe(import->text.data + rest.size, import->text.size - rest.size);
    import->text.size = rest.size;
    return goes_on;
}

static bool send_all(struct import *import)
{
    struct kw_error error = {0};
    bool ended = false;
    while (!ended) {
        if (!take_items(import, &ended)) {
            return false;
        }
        if (!ended && read_more(import, &error) != KW_OK) {
            return fail(import, &error);
        }
    }
    return send_chunk(import);
}

static enum kw_status begin(struct import *import, struct kw_error *error_out)
{
    enum kw_status status = kw_progress_init(&import->progress, import->cli, import->line, "keys", error_out);
    status = status == KW_OK ? open_input(import, error_out) : status;
    status = status == KW_OK ? read_more(import, error_out) : status;
    status = status == KW_OK ? choose_format(import, error_out) : status;
    status = status == KW_OK ? take_maps(import, error_out) : status;
    status = status == KW_OK ? kw_import_source_init(&import->source, &import->options, error_out) : status;
    import->report = (struct kw_import_report){
        .cli = import->cli, .as_json = import->as_json, .fd = -1, .progress = &import->progress};
    return status == KW_OK ? kw_import_report_open(&import->report, kw_line_value(import->line, "report"), error_out)
                           : status;
}

static int run(struct import *import)
{
    struct kw_error error = {0};
    if (begin(import, &error) != KW_OK) {
        return kw_report(import->cli, &error, import->as_json);
    }
    if (!kw_key_begin(import->cli, import->line, (struct kw_bytes){NULL, 0}, &import->formed, &import->target)) {
        return KW_EXIT_FAILED;
    }
    add_to_query(import);
    bool done = send_all(import);
    kw_progress_end(&import->progress);
    bool is_cut =
        import->source.is_cut || (import->has_head && (!import->has_tail || import->tail_count != import->item_count));
    if (kw_import_report_flush(&import->report, &error) != KW_OK) {
        return kw_report(import->cli, &error, import->as_json);
    }
    kw_import_report_summary(&import->report, kw_line_has(import->line, "dry-run"), done && is_cut);
    int code = !done ? KW_EXIT_FAILED : import->report.refused > 0 || is_cut ? KW_EXIT_NOT_VALID : KW_EXIT_OK;
    return kw_finish(import->cli, code, import->as_json);
}

int kw_cmd_import(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct import *import = kw_alloc(1, sizeof *import);
    if (import == NULL) {
        struct kw_error error = {0};
        (void)kw_fail(&error, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
        return kw_report(cli, &error, kw_line_has(line, "json"));
    }
    *import =
        (struct import){.cli = cli, .line = line, .as_json = kw_line_has(line, "json"), .fd = -1, .report.fd = -1};
    kw_buffer_init_secret(&import->text, TEXT_MAX);
    kw_buffer_init_secret(&import->body, KW_CALL_BODY_MAX);
    int code = run(import);
    kw_import_source_deinit(&import->source);
    kw_import_report_close(&import->report);
    kw_formed_request_deinit(&import->formed);
    kw_target_close(import->target);
    kw_buffer_deinit(&import->text);
    kw_buffer_deinit(&import->body);
    if (import->fd > STDIN_FILENO) {
        (void)close(import->fd);
    }
    kw_free(import);
    return code;
}
