#include "cli/documents.h"
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define ANSWER_SIZE 16
#define SENTENCE_SIZE 96
#define MEMBERS_SIZE_MAX 4096

struct apply {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    bool as_json;
    struct kw_target *target;
    struct kw_plan plan;
    struct kw_answer answer;
};

static enum kw_status read_file(struct apply *apply, struct kw_buffer *json, struct kw_error *error_out)
{
    const char *path = apply->line->operands[0];
    bool is_input = strcmp(path, "-") == 0;
    int fd = is_input ? apply->cli->in : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum kw_status status = fd < 0 ? KW_E_SYSTEM : kw_file_drain(fd, json);
    int reason = errno;
    if (fd >= 0 && !is_input) {
        (void)close(fd);
    }
    if (status == KW_E_SYSTEM) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path, strerror(reason));
    }
    return status == KW_OK ? KW_OK : kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s is too large", path);
}

/*
 * A problem names fields, and not the document that they are of (`change`; without `words`: none). Without a code the
 * error is the other side's answer.
 */
static void report(struct apply *apply, const struct kw_error *error, const struct kw_planned_change *change,
                   size_t made_count)
{
    struct kw_buffer members;
    kw_buffer_init(&members, MEMBERS_SIZE_MAX);
    if (change->words != NULL) {
        struct kw_json_writer writer;
        kw_json_writer_init(&writer, &members);
        kw_json_name(&writer, "document");
        kw_plan_name_json(change, &writer);
        kw_json_name(&writer, "changesMade");
        kw_json_i64(&writer, (int64_t)made_count);
    }
    if (kw_buffer_status(&members) != KW_OK) {
        kw_buffer_reset(&members);
    }
    if (error->code == NULL && apply->answer.status >= 400) {
        (void)kw_report_problem_with(apply->cli, &apply->answer, apply->as_json, kw_buffer_bytes(&members));
    } else {
        (void)kw_report_with(apply->cli, error, apply->as_json, kw_buffer_bytes(&members));
    }
    kw_buffer_deinit(&members);
}

/* The same for people. */
static void say_which(struct apply *apply, const struct kw_planned_change *change, const char *and_then)
{
    if (!apply->as_json) {
        kw_buffer_add_text(&apply->cli->err.text, "  That is said of ");
        kw_plan_name(change, &apply->cli->err.text);
        kw_buffer_add_format(&apply->cli->err.text, "; %s.\n", and_then);
        kw_output_say(&apply->cli->err);
    }
}

/* False: it failed and was reported. */
static bool make_plan(struct apply *apply)
{
    struct kw_error error = {0};
    struct kw_buffer json;
    kw_buffer_init(&json, FILE_SIZE_MAX);
    enum kw_status status = read_file(apply, &json, &error);
    status = status != KW_OK ? status : kw_target_open(apply->cli, apply->line, false, &apply->target, &error);
    if (status == KW_OK) {
        struct kw_bytes kept;
        status = kw_arena_copy(&apply->plan.arena, kw_buffer_bytes(&json), &kept);
        status = status != KW_OK ? kw_fail(&error, status, KW_CLI_FAILED, NULL, "there is no memory left for this file")
                                 : kw_plan_make(kept, kw_line_value(apply->line, "project"), apply->target,
                                                &apply->plan, &apply->answer, &error);
    }
    kw_buffer_deinit(&json);
    if (status == KW_OK) {
        return true;
    }
    report(apply, &error, &apply->plan.refused, 0);
    if ((error.code == NULL || apply->plan.is_foreseen) && apply->plan.refused.words != NULL) {
        say_which(apply, &apply->plan.refused, "nothing was changed");
    }
    return false;
}

/* Asks whoever sits there. */
static bool is_wanted(struct apply *apply)
{
    struct kw_output *err = &apply->cli->err;
    char answer[ANSWER_SIZE];
    kw_buffer_add_format(&err->text, "Make %zu change%s? [y/N] ", apply->plan.change_count,
                         apply->plan.change_count == 1 ? "" : "s");
    kw_output_say(err);
    ssize_t size = read(apply->cli->in, answer, sizeof answer);
    return size > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

/* One after another; the first that fails ends it, and says how far it came. */
static int make_changes(struct apply *apply)
{
    for (size_t i = 0; i < apply->plan.change_count; i++) {
        struct kw_error error = {0};
        enum kw_status status = kw_plan_apply_one(&apply->plan.changes[i], apply->target, &apply->answer, &error);
        if (status == KW_OK && apply->answer.status < 400) {
            continue;
        }
        report(apply, &error, &apply->plan.changes[i], i);
        char made[SENTENCE_SIZE];
        snprintf(made, sizeof made, "%zu of %zu changes were made before that", i, apply->plan.change_count);
        say_which(apply, &apply->plan.changes[i], made);
        return KW_EXIT_FAILED;
    }
    if (apply->as_json) {
        kw_plan_write_json(&apply->plan, true, &apply->cli->out.text);
    } else {
        kw_buffer_add_format(&apply->cli->out.text, "%zu change%s made.\n", apply->plan.change_count,
                             apply->plan.change_count == 1 ? "" : "s");
    }
    return kw_finish(apply->cli, KW_EXIT_OK, apply->as_json);
}

static int refuse_to_guess(struct apply *apply)
{
    struct kw_error error = {0};
    (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                  "nobody is there to ask: --yes makes these changes, --dry-run only shows them");
    return kw_report(apply->cli, &error, apply->as_json);
}

static int run(struct apply *apply)
{
    bool is_dry = kw_line_has(apply->line, "dry-run");
    if (!make_plan(apply)) {
        return KW_EXIT_FAILED;
    }
    if (!apply->as_json) {
        kw_plan_show(&apply->plan, &apply->cli->out);
    } else if (is_dry || apply->plan.change_count == 0) {
        kw_plan_write_json(&apply->plan, false, &apply->cli->out.text);
    }
    int code = kw_finish(apply->cli, KW_EXIT_OK, apply->as_json);
    if (code != KW_EXIT_OK || is_dry || apply->plan.change_count == 0) {
        return code;
    }
    if (!kw_line_has(apply->line, "yes")) {
        if (isatty(apply->cli->in) != 1 || apply->as_json) {
            return refuse_to_guess(apply);
        }
        if (!is_wanted(apply)) {
            kw_buffer_add_text(&apply->cli->err.text, "Nothing was changed.\n");
            kw_output_say(&apply->cli->err);
            return KW_EXIT_NOT_VALID;
        }
    }
    return make_changes(apply);
}

int kw_cmd_apply(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct apply apply = {.cli = cli, .line = line, .as_json = kw_line_has(line, "json")};
    kw_plan_init(&apply.plan);
    kw_answer_init(&apply.answer);
    int code = run(&apply);
    kw_answer_deinit(&apply.answer);
    kw_plan_deinit(&apply.plan);
    kw_target_close(apply.target);
    return code;
}
