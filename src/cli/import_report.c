#include "cli/import.h"

#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)8 * 1024 * 1024)

static bool goes_to_output(const struct kw_import_report *report)
{
    return report->fd == report->cli->out.fd;
}

enum kw_status kw_import_report_open(struct kw_import_report *report, const char *path, struct kw_error *error_out)
{
    report->fd = -1;
    report->path = path;
    kw_buffer_init(&report->text, TEXT_MAX);
    if (path == NULL) {
        return KW_OK;
    }
    if (strcmp(path, "-") == 0) {
        report->fd = report->cli->out.fd;
        report->path = "standard output";
        return KW_OK;
    }
    report->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    return report->fd >= 0 ? KW_OK
                           : kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be written: %s", path,
                                     strerror(errno));
}

void kw_import_report_close(struct kw_import_report *report)
{
    kw_buffer_deinit(&report->text);
    if (report->fd >= 0 && !goes_to_output(report)) {
        (void)close(report->fd);
    }
}

enum kw_status kw_import_report_flush(struct kw_import_report *report, struct kw_error *error_out)
{
    struct kw_bytes rest = kw_buffer_bytes(&report->text);
    enum kw_status status = kw_buffer_status(&report->text);
    while (status == KW_OK && report->fd >= 0 && rest.size > 0) {
        ssize_t size = write(report->fd, rest.data, rest.size);
        if (size < 0 && errno != EINTR) {
            return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be written: %s", report->path,
                           strerror(errno));
        }
        rest = kw_bytes_skip(rest, size < 0 ? 0 : (size_t)size);
    }
    kw_buffer_reset(&report->text);
    return status == KW_OK ? KW_OK
                           : kw_fail(error_out, status, KW_CLI_FAILED, NULL, "there is no memory for the report");
}

/* What is told of one line. Absent members are empty. */
struct told {
    uint64_t line;
    struct kw_bytes outcome, id, code, field, detail;
};

static void write_member(struct kw_json_writer *writer, const char *name, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(writer, name);
        kw_json_string(writer, text);
    }
}

static void tell(struct kw_import_report *report, const struct told *told)
{
    struct kw_json_writer writer;
    if (report->fd >= 0) {
        kw_json_writer_init(&writer, &report->text);
        kw_json_begin_object(&writer);
        kw_json_name(&writer, "line");
        kw_json_i64(&writer, (int64_t)told->line);
        write_member(&writer, "outcome", told->outcome);
        write_member(&writer, "id", told->id);
        write_member(&writer, "code", told->code);
        write_member(&writer, "field", told->field);
        write_member(&writer, "detail", told->detail);
        kw_json_end_object(&writer);
        kw_buffer_add_byte(&report->text, '\n');
        return;
    }
    if (!kw_bytes_equal(told->outcome, KW_BYTES("refused")) || report->as_json) {
        return; /* what was here already is counted */
    }
    struct kw_buffer *text = &report->cli->err.text;
    kw_progress_clear(report->progress);
    if (report->shown++ < KW_IMPORT_SHOWN_MAX) {
        if (!kw_bytes_starts_with(told->detail, KW_BYTES("line "))) { /* a row of CSV says where in it */
            kw_buffer_add_format(text, "line %llu: ", (unsigned long long)told->line);
        }
        kw_text_clean(text, told->detail);
        kw_buffer_add_text(text, " (");
        kw_text_clean(text, told->code);
        kw_buffer_add_text(text, ")\n");
    } else if (report->shown == KW_IMPORT_SHOWN_MAX + 1) {
        kw_buffer_add_text(text, "More lines are refused: --report FILE keeps all of them.\n");
    }
    kw_output_say(&report->cli->err);
}

void kw_import_report_bad(struct kw_import_report *report, uint64_t line, const struct kw_error *error)
{
    char detail[KW_ERROR_FIELD_MAX + KW_ERROR_TEXT_MAX + 2];
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, detail, sizeof detail);
    kw_buffer_add_text(&text, error->field);
    kw_buffer_add_text(&text, error->field[0] == '\0' ? "" : ": ");
    kw_buffer_add_text(&text, error->message);
    report->refused++;
    tell(report, &(struct told){.line = line,
                                .outcome = KW_BYTES("refused"),
                                .code = kw_bytes_of_text(error->code),
                                .field = kw_bytes_of_text(error->field),
                                .detail = kw_buffer_bytes(&text)});
}

/* --- answers --- */

struct answer {
    struct kw_import_report *report;
    struct kw_arena *arena;
    const uint64_t *lines;
    size_t count;
};

static enum kw_status take_line(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { LINE, OUTCOME, ID, CODE, FIELD, DETAIL, COUNT };
    struct answer *answer = context;
    struct kw_member members[COUNT] = {[LINE] = {"line"}, [OUTCOME] = {"outcome"}, [ID] = {"id"},
                                       [CODE] = {"code"}, [FIELD] = {"field"},     [DETAIL] = {"detail"}};
    uint64_t line;
    (void)item;
    enum kw_status status = kw_members_read(raw, answer->arena, members, COUNT);
    if (status != KW_OK || !kw_bytes_to_u64(members[LINE].text, &line) || line == 0 || line > answer->count) {
        return KW_E_INVALID;
    }
    tell(answer->report, &(struct told){.line = answer->lines[line - 1],
                                        .outcome = members[OUTCOME].text,
                                        .id = members[ID].text,
                                        .code = members[CODE].text,
                                        .field = members[FIELD].text,
                                        .detail = members[DETAIL].text});
    return KW_OK;
}

enum kw_status kw_import_report_answer(struct kw_import_report *report, struct kw_bytes answer_text,
                                       const uint64_t *lines, size_t count)
{
    enum { CREATED, OVERWRITTEN, SKIPPED, REFUSED, LINES, COUNT };
    struct kw_member members[COUNT] = {[CREATED] = {"created"},
                                       [OVERWRITTEN] = {"overwritten"},
                                       [SKIPPED] = {"skipped"},
                                       [REFUSED] = {"refused"},
                                       [LINES] = {"lines"}};
    uint64_t counts[LINES];
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(answer_text, &arena, members, COUNT);
    for (size_t i = 0; i < LINES && status == KW_OK; i++) {
        status = kw_bytes_to_u64(members[i].text, &counts[i]) ? KW_OK : KW_E_INVALID;
    }
    if (status == KW_OK) {
        struct answer answer = {report, &arena, lines, count};
        report->created += counts[CREATED];
        report->overwritten += counts[OVERWRITTEN];
        report->skipped += counts[SKIPPED];
        report->refused += counts[REFUSED];
        status = kw_items_each(members[LINES].text, &arena, take_line, &answer);
    }
    kw_arena_reset(&arena);
    return status;
}

/* --- the last words --- */

static void write_json(const struct kw_import_report *report, struct kw_buffer *text, bool is_dry, bool is_cut)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {{"created", report->created},
                  {"overwritten", report->overwritten},
                  {"skipped", report->skipped},
                  {"refused", report->refused}};
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "dryRun");
    kw_json_bool(&writer, is_dry);
    for (size_t i = 0; i < KW_COUNT_OF(counts); i++) {
        kw_json_name(&writer, counts[i].name);
        kw_json_i64(&writer, (int64_t)counts[i].count);
    }
    kw_json_name(&writer, "isCut");
    kw_json_bool(&writer, is_cut);
    kw_json_end_object(&writer);
    kw_buffer_add_byte(text, '\n');
}

static void write_text(const struct kw_import_report *report, struct kw_buffer *text, bool is_dry)
{
    kw_buffer_add_format(text, "%s %llu key%s", is_dry ? "Would create" : "Created",
                         (unsigned long long)report->created, report->created == 1 ? "" : "s");
    kw_buffer_add_format(text,
                         is_dry ? ", overwrite %llu, skip %llu, refuse %llu. Nothing was changed.\n"
                                : ", overwrote %llu, skipped %llu, refused %llu.\n",
                         (unsigned long long)report->overwritten, (unsigned long long)report->skipped,
                         (unsigned long long)report->refused);
}

void kw_import_report_summary(struct kw_import_report *report, bool is_dry, bool is_cut)
{
    struct kw_output *err = &report->cli->err;
    struct kw_buffer *text = goes_to_output(report) ? &err->text : &report->cli->out.text;
    if (is_cut && !report->as_json) {
        kw_buffer_add_text(&err->text,
                           "The file was cut short: its end is not there, or names another number of keys.\n");
    }
    if (report->as_json) {
        write_json(report, text, is_dry, is_cut);
    } else {
        write_text(report, text, is_dry);
    }
    kw_output_say(err);
}
