#include "cli/keys.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define TAIL_SIZE 64 /* more than the end of an export takes */

/* An export on its way to a file or to standard output. */
struct export
{
    struct kw_cli *cli;
    const struct kw_command_line *line;
    const char *path; /* NULL: standard output */
    int fd;
    uint64_t line_count, byte_count;
    char tail[TAIL_SIZE + 1]; /* what came last */
    size_t tail_size;
    struct kw_progress progress;
};

/* --- the file --- */

/* Beside the file that is to be: what is not whole goes by another name. Static, since a signal takes it away. */
static char part_path[PATH_SIZE];

static void remove_part(int number)
{
    if (part_path[0] != '\0') {
        (void)unlink(part_path);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static enum kw_status fail_file(const struct export *export, const char *what, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be %s: %s", export->path, what,
                   strerror(errno));
}

static enum kw_status open_file(struct export *export, struct kw_error *error_out)
{
    export->fd = export->cli->out.fd;
    if (export->path == NULL) {
        return KW_OK;
    }
    int size = snprintf(part_path, sizeof part_path, "%s.part-XXXXXX", export->path);
    if (size < 0 || (size_t)size >= sizeof part_path || export->path[0] == '\0') {
        part_path[0] = '\0';
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--out takes the path of a file");
    }
    struct stat there;
    if (stat(export->path, &there) == 0 && !S_ISREG(there.st_mode)) {
        part_path[0] = '\0';
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "%s is no plain file, and is not replaced: without --out the keys go to standard output",
                       export->path);
    }
    export->fd = mkostemp(part_path, O_CLOEXEC); /* 0600 */
    if (export->fd < 0) {
        part_path[0] = '\0';
        return fail_file(export, "written", error_out);
    }
    (void)signal(SIGINT, remove_part);
    (void)signal(SIGTERM, remove_part);
    (void)signal(SIGHUP, remove_part);
    return KW_OK;
}

/* What is whole gets its name; what is not goes. */
static enum kw_status close_file(struct export *export, bool is_whole, struct kw_error *error_out)
{
    if (export->path == NULL || export->fd < 0) {
        return KW_OK;
    }
    enum kw_status status = KW_OK;
    if (is_whole && fsync(export->fd) != 0) {
        status = fail_file(export, "written", error_out);
    }
    if (close(export->fd) != 0 && is_whole && status == KW_OK) {
        status = fail_file(export, "written", error_out);
    }
    if (is_whole && status == KW_OK && (rename(part_path, export->path) != 0 || !kw_sync_folder_of(export->path))) {
        status = fail_file(export, "given its name", error_out);
    }
    if (!is_whole || status != KW_OK) {
        (void)unlink(part_path);
    }
    part_path[0] = '\0';
    return status;
}

/* --- pieces --- */

static uint64_t count_lines(struct kw_bytes piece)
{
    uint64_t count = 0;
    const uint8_t *end = piece.data + piece.size;
    for (const uint8_t *at = piece.data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        count++;
    }
    return count;
}

static void keep_tail(struct export *export, struct kw_bytes piece)
{
    if (piece.size > TAIL_SIZE) {
        piece = kw_bytes_of(piece.data + (piece.size - TAIL_SIZE), TAIL_SIZE);
    }
    size_t room = TAIL_SIZE - piece.size;
    size_t kept = export->tail_size < room ? export->tail_size : room;
    memmove(export->tail, export->tail + export->tail_size - kept, kept);
    memcpy(export->tail + kept, piece.data, piece.size);
    export->tail_size = kept + piece.size;
}

/* Each key is a line; two more stand around them. */
static uint64_t keys_in(const struct export *export)
{
    return export->line_count > 2 ? export->line_count - 2 : 0;
}

static enum kw_status take(void *context, struct kw_bytes piece, struct kw_error *error_out)
{
    struct export *export = context;
    if (piece.size == 0) {
        return KW_OK;
    }
    if (!kw_write_whole(export->fd, piece)) {
        return export->path != NULL ? fail_file(export, "written", error_out)
                                    : kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL,
                                              "the output could not be written: %s", strerror(errno));
    }
    export->line_count += count_lines(piece);
    export->byte_count += piece.size;
    keep_tail(export, piece);
    kw_progress_show(&export->progress, keys_in(export), export->byte_count);
    return KW_OK;
}

/* The end says how many keys there are. A connection that broke can look like an end to what stands in between. */
static bool is_whole(const struct export *export)
{
    char ends[2][TAIL_SIZE];
    unsigned long long count = keys_in(export);
    snprintf(ends[0], sizeof ends[0], "\n{\"keyward\":\"end\",\"keys\":%llu}\n", count);
    snprintf(ends[1], sizeof ends[1], "\n],\"count\":%llu}\n", count);
    for (size_t i = 0; i < KW_COUNT_OF(ends); i++) {
        size_t size = strlen(ends[i]);
        if (export->tail_size >= size && memcmp(export->tail + export->tail_size - size, ends[i], size) == 0) {
            return export->line_count >= 2;
        }
    }
    return false;
}

static enum kw_status check_whole(const struct export *export, struct kw_error *error_out)
{
    if (is_whole(export)) {
        return KW_OK;
    }
    return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL,
                   "the export broke off: its last line is missing, so it is not whole; try again");
}

/* --- the command --- */

static int show_done(struct export *export, bool as_json)
{
    struct kw_output *out = &export->cli->out;
    unsigned long long count = keys_in(export);
    if (export->path == NULL) {
        return KW_EXIT_OK;
    }
    if (as_json) {
        struct kw_json_writer json;
        kw_json_writer_init(&json, &out->text);
        kw_json_begin_object(&json);
        kw_json_name(&json, "keys");
        kw_json_i64(&json, (int64_t)count);
        kw_json_name(&json, "file");
        kw_json_text(&json, export->path);
        kw_json_end_object(&json);
        kw_buffer_add_byte(&out->text, '\n');
    } else {
        kw_buffer_add_format(&out->text, "Exported %llu %s to ", count, count == 1 ? "key" : "keys");
        kw_text_clean(&out->text, kw_bytes_of_text(export->path));
        kw_buffer_add_text(&out->text, ".\n");
    }
    return kw_finish(export->cli, KW_EXIT_OK, as_json);
}

/* Makes the call; false when it failed, and was reported. */
static bool run(struct export *export, struct kw_target *target, struct kw_formed_request *formed, bool as_json)
{
    struct kw_error error = {0};
    struct kw_answer answer;
    formed->request.take = take;
    formed->request.take_context = export;
    kw_answer_init(&answer);
    enum kw_status status = open_file(export, &error);
    bool is_refused = false;
    if (status == KW_OK) {
        status = target->ops->send(target, &formed->request, &answer, &error);
        is_refused = status == KW_OK && answer.status != 200;
        status = status == KW_OK && !is_refused ? check_whole(export, &error) : status;
        kw_progress_end(&export->progress);
        enum kw_status closed = close_file(export, status == KW_OK && !is_refused, &error);
        status = status == KW_OK ? closed : status;
    }
    if (is_refused) {
        (void)kw_report_problem(export->cli, &answer, as_json);
    } else if (status != KW_OK) {
        (void)kw_report(export->cli, &error, as_json);
    }
    kw_answer_deinit(&answer);
    return status == KW_OK && !is_refused;
}

int kw_cmd_export(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool as_json = kw_line_has(line, "json");
    const char *out = kw_line_value(line, "out");
    bool is_standard = out != NULL && strcmp(out, "-") == 0;
    struct export export = {.cli = cli, .line = line, .path = is_standard ? NULL : out, .fd = -1};
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_error error = {0};
    if (kw_progress_init(&export.progress, cli, line, "keys", &error) != KW_OK) {
        return kw_report(cli, &error, as_json);
    }
    if (export.path == NULL && cli->out.is_terminal && export.progress.way == KW_PROGRESS_BAR) {
        export.progress.way = KW_PROGRESS_NONE; /* the keys themselves go by */
    }
    bool is_done =
        kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target) && run(&export, target, &formed, as_json);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return is_done ? show_done(&export, as_json) : KW_EXIT_FAILED;
}
