#include "cli/batch.h"
#include "cli/progress.h"

#include "engine/once.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PATH_SIZE 4096
/* Names are remembered for a day; some of it is left for clocks that differ. */
#define RESUMABLE_MS (KW_ONCE_KEPT_MS - INT64_C(3600) * 1000)

static const struct kw_batch_action actions[] = {
    {"create", "/v1/keys/batch/create", "Created", true, true},
    {"verify", "/v1/keys/batch/verify", "Verified", false, false},
    {"update", "/v1/keys/batch/update", "Updated", false, true},
    {"revoke", "/v1/keys/batch/revoke", "Revoked", false, true},
};

/* One run. */
struct batch {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    const struct kw_batch_action *action;
    bool as_json, resumes, is_dry;
    const char *out_path;       /* NULL: standard output */
    char state_path[PATH_SIZE]; /* empty: none is kept */
    struct kw_batch_terms terms;
    struct kw_buffer map;
    struct kw_batch_state state;
    struct kw_batch_input input;
    struct kw_batch_output output;
    struct kw_batch_chunk chunk;
    struct kw_batch_sender sender;
    struct kw_target *target;
    struct kw_answer answer;
    struct kw_progress progress;
    int signals;
    sigset_t signals_before;
    bool is_ready; /* the state is known, and the output open */
    bool is_clean; /* nothing can have been done that the state does not tell of */
    bool is_stopped, has_failed_items;
    uint64_t line_now;
};

/* --- what was asked for --- */

static enum kw_status find_action(struct batch *batch, struct kw_error *error_out)
{
    const char *names[KW_COUNT_OF(actions) + 1] = {NULL};
    const char *wanted = batch->line->operands[0];
    for (size_t i = 0; i < KW_COUNT_OF(actions); i++) {
        names[i] = actions[i].name;
        if (strcmp(actions[i].name, wanted) == 0) {
            batch->action = &actions[i];
            return KW_OK;
        }
    }
    const char *near = kw_looks_like_key(wanted) ? NULL : kw_suggest(names, wanted);
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "'batch' does create, verify, update or revoke%s%s%s",
                   near == NULL ? "" : ": did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

static enum kw_status choose_output(struct batch *batch, struct kw_error *error_out)
{
    const char *out = kw_line_value(batch->line, "out"), *format = kw_line_value(batch->line, "out-format");
    if (out == NULL && batch->action->makes_keys && !batch->is_dry) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "say where the keys are to go: --out FILE, or --out - for standard output");
    }
    if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "ndjson") != 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--out-format must be csv or ndjson");
    }
    batch->terms.out_format = format == NULL ? "ndjson" : format;
    batch->out_path = out == NULL || strcmp(out, "-") == 0 ? NULL : out;
    const char *state = kw_line_value(batch->line, "state");
    int size = 0;
    if (state != NULL || batch->out_path != NULL) {
        size = snprintf(batch->state_path, sizeof batch->state_path, "%s%s", state != NULL ? state : batch->out_path,
                        state != NULL ? "" : ".state");
    }
    if (size < 0 || (size_t)size >= sizeof batch->state_path) {
        return kw_fail(error_out, KW_E_LIMIT, KW_CLI_USAGE, NULL, "the name of the state's file is too long");
    }
    if (batch->resumes && batch->state_path[0] == '\0') {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "--resume needs what the stopped run was given: --out FILE, or --state FILE");
    }
    return KW_OK;
}

static enum kw_status read_options(struct batch *batch, struct kw_error *error_out)
{
    const struct kw_command_line *line = batch->line;
    batch->is_dry = kw_line_has(line, "dry-run");
    batch->resumes = kw_line_has(line, "resume");
    enum kw_status status = find_action(batch, error_out);
    status = status == KW_OK ? choose_output(batch, error_out) : status;
    status = status == KW_OK ? kw_line_number(line, "chunk", 1, KW_BATCH_CHUNK_MAX, KW_BATCH_CHUNK_MAX,
                                              &batch->terms.chunk_size, error_out)
                             : status;
    if (status != KW_OK) {
        return status;
    }
    batch->terms.atomic = kw_line_has(line, "atomic");
    if (batch->terms.atomic && !batch->action->changes) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--atomic is about changes: verifying makes none");
    }
    if (kw_line_has(line, "rotate-unseen") && !batch->action->makes_keys) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--rotate-unseen is about creating");
    }
    if (batch->is_dry && batch->resumes) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--dry-run and --resume exclude each other");
    }
    for (size_t i = 0; i < line->given_count; i++) {
        if (strcmp(line->given[i].option->name, "map") == 0) {
            kw_buffer_add_text(&batch->map, line->given[i].value);
            kw_buffer_add_byte(&batch->map, '\n');
        }
    }
    batch->terms.map = kw_buffer_bytes(&batch->map);
    batch->terms.action = batch->action->name;
    batch->terms.project = kw_line_value(line, "project") == NULL ? "" : kw_line_value(line, "project");
    return kw_progress_init(&batch->progress, batch->cli, line, "items", error_out);
}

/* --- beginning --- */

/* Before any thread is there: signals arrive through a descriptor, and are looked at between chunks. */
static enum kw_status catch_signals(struct batch *batch, struct kw_error *error_out)
{
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    batch->signals = signalfd(-1, &caught, SFD_CLOEXEC);
    if (batch->signals < 0 || sigprocmask(SIG_BLOCK, &caught, &batch->signals_before) != 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "signals cannot be waited for");
    }
    return KW_OK;
}

static enum kw_status name_run(struct batch *batch, struct kw_error *error_out)
{
    uint8_t bytes[KW_BATCH_RUN_SIZE / 2];
    if (batch->cli->entropy.draw(batch->cli->entropy.context, bytes, sizeof bytes) != KW_OK) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "the operating system gives no random numbers");
    }
    kw_hex_encode(kw_bytes_of(bytes, sizeof bytes), batch->state.run);
    return KW_OK;
}

static enum kw_status write_state(struct batch *batch, bool may_be_under_way, struct kw_error *error_out)
{
    if (batch->state_path[0] == '\0' || batch->is_dry) {
        return KW_OK;
    }
    batch->state.may_be_under_way = may_be_under_way;
    batch->state.written_ms = batch->cli->clock.now_ms(batch->cli->clock.context);
    batch->state.out_size = batch->out_path == NULL ? 0 : batch->output.size;
    return kw_batch_state_write(batch->state_path, &batch->terms, &batch->state, error_out);
}

/* The state before the output, so that an output without a state is never one that can be gone on with. */
static enum kw_status begin(struct batch *batch, struct kw_error *error_out)
{
    bool is_csv = strcmp(batch->terms.out_format, "csv") == 0;
    if (batch->is_dry) {
        return kw_batch_output_open(NULL, is_csv, &batch->output, error_out);
    }
    if (batch->state_path[0] != '\0' && access(batch->state_path, F_OK) == 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "%s says that a run was stopped: --resume goes on with it; remove that file to give it up",
                       batch->state_path);
    }
    if (batch->out_path != NULL && access(batch->out_path, F_OK) == 0) {
        return kw_batch_output_open(batch->out_path, is_csv, &batch->output, error_out); /* says why not */
    }
    enum kw_status status = write_state(batch, true, error_out);
    return status == KW_OK ? kw_batch_output_open(batch->out_path, is_csv, &batch->output, error_out) : status;
}

static enum kw_status too_late(const struct batch *batch, struct kw_error *error_out)
{
    return kw_fail(
        error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
        "this run broke off too long ago to tell which of the items from the %llu. on were done: see to these "
        "by hand, and put those that are left into a file of their own",
        (unsigned long long)batch->state.item_count + 1);
}

static enum kw_status not_the_same(const struct batch *batch, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                   "%s is not what it was when this run began: give the same input to go on with it",
                   batch->input.name);
}

/* Reads an item that is done already, and forgets it. */
static enum kw_status pass_over(struct batch *batch, uint64_t line, struct kw_error *error_out)
{
    bool has_item = false;
    enum kw_status status = kw_batch_input_next(&batch->input, &batch->chunk, &has_item, error_out);
    bool is_other =
        status == KW_OK && !batch->input.is_stopped && (!has_item || (line > 0 && batch->chunk.items[0].line != line));
    kw_batch_chunk_reset(&batch->chunk);
    return is_other ? not_the_same(batch, error_out) : status;
}

/* Takes up the run that the state tells of, and what its output has beyond that. */
static enum kw_status resume(struct batch *batch, struct kw_error *error_out)
{
    const struct kw_batch_state *state = &batch->state;
    bool is_csv = strcmp(batch->terms.out_format, "csv") == 0;
    int64_t age_ms = batch->cli->clock.now_ms(batch->cli->clock.context) - state->written_ms;
    if (state->may_be_under_way && batch->action->changes && age_ms > RESUMABLE_MS) {
        return too_late(batch, error_out);
    }
    enum kw_status status = KW_OK;
    for (uint64_t i = 0; i < state->item_count && status == KW_OK && !batch->input.is_stopped; i++) {
        status = pass_over(batch, 0, error_out);
    }
    if (status != KW_OK || batch->input.is_stopped) {
        return status;
    }
    if (memcmp(batch->input.digest, state->digest, sizeof state->digest) != 0) {
        return not_the_same(batch, error_out);
    }
    status = kw_batch_output_reopen(batch->out_path, is_csv, state->out_size, batch->terms.atomic, &batch->output,
                                    error_out);
    const struct kw_batch_output *output = &batch->output;
    for (size_t i = 0; i < output->found_count && status == KW_OK && !batch->input.is_stopped; i++) {
        status = pass_over(batch, output->found_lines[i], error_out);
    }
    if (status != KW_OK || batch->input.is_stopped) {
        return status;
    }
    memcpy(batch->state.digest, batch->input.digest, sizeof batch->state.digest);
    batch->state.item_count += output->found_count;
    batch->state.done_count += output->found_done;
    batch->state.lost_count += output->found_lost;
    batch->state.refused_count += output->found_count - output->found_done - output->found_lost;
    return output->found_count > 0 ? write_state(batch, true, error_out) : KW_OK;
}

/* Of the input; what was read ahead is not done. */
static uint64_t size_taken(const struct batch *batch)
{
    return batch->input.size_read - batch->input.rest.size;
}

/* Nothing is sent, and nothing written, before all of this went well. */
static enum kw_status prepare(struct batch *batch, struct kw_error *error_out)
{
    enum kw_status status = read_options(batch, error_out);
    status = status == KW_OK ? catch_signals(batch, error_out) : status;
    batch->input.signals = batch->signals;
    status = status == KW_OK ? kw_batch_input_open(batch->line, batch->action, &batch->input, error_out) : status;
    batch->input.run = batch->state.run;
    batch->terms.format = batch->input.is_csv ? "csv" : "ndjson";
    if (status == KW_OK && !batch->is_dry) {
        status = kw_target_open(batch->cli, batch->line, batch->action->makes_keys, &batch->target, error_out);
        batch->terms.place = batch->target == NULL ? "" : batch->target->place;
    }
    if (status == KW_OK && batch->resumes) {
        status = kw_batch_state_read(batch->state_path, &batch->terms, &batch->state, error_out);
    } else if (status == KW_OK) {
        status = name_run(batch, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    kw_progress_aim(&batch->progress, batch->input.size);
    batch->is_clean = !batch->resumes || !batch->state.may_be_under_way;
    status = batch->resumes ? resume(batch, error_out) : begin(batch, error_out);
    batch->is_ready = status == KW_OK && !batch->input.is_stopped;
    kw_progress_start_at(&batch->progress, batch->state.item_count, size_taken(batch));
    batch->sender = (struct kw_batch_sender){.action = batch->action,
                                             .target = batch->target,
                                             .project = kw_line_value(batch->line, "project"),
                                             .run = batch->state.run,
                                             .atomic = batch->terms.atomic,
                                             .rotates_unseen = kw_line_has(batch->line, "rotate-unseen"),
                                             .answer = &batch->answer};
    return status;
}

/* --- the work --- */

/* As many items as one request takes. Fewer with the rest of an all-or-none chunk whose lines are there in part. */
static enum kw_status fill(struct batch *batch, bool *has_more_out, struct kw_error *error_out)
{
    uint64_t size = batch->terms.chunk_size;
    if (batch->terms.atomic) {
        size -= batch->state.item_count % size;
    }
    enum kw_status status = KW_OK;
    bool has_item = true;
    kw_batch_chunk_reset(&batch->chunk);
    while (status == KW_OK && has_item && batch->chunk.count < size &&
           (batch->terms.atomic || batch->chunk.text.size < KW_BATCH_BODY_ROOM - KW_BATCH_ITEM_MAX)) {
        status = kw_batch_input_next(&batch->input, &batch->chunk, &has_item, error_out);
    }
    *has_more_out = has_item;
    return status;
}

static void count(struct batch *batch)
{
    const struct kw_batch_chunk *chunk = &batch->chunk;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct kw_batch_result *result = &chunk->items[i].result;
        batch->state.done_count += result->is_ok;
        batch->state.lost_count += result->is_unseen;
        batch->state.refused_count += !result->is_ok && !result->is_unseen;
        batch->has_failed_items = batch->has_failed_items || result->is_failed;
        batch->line_now = chunk->items[i].line;
    }
    batch->state.item_count += chunk->count;
    memcpy(batch->state.digest, batch->input.digest, sizeof batch->state.digest);
    batch->is_clean = true;
}

/* What a dry run says: refused here, or it would be sent. */
static void pretend(struct kw_batch_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        struct kw_batch_result *result = &chunk->items[i].result;
        if (!result->is_known) {
            *result = (struct kw_batch_result){.is_known = true, .is_ok = true};
        }
    }
}

/* One chunk from the input to the state. Its lines are on the disk before the state says so. */
static enum kw_status work_off(struct batch *batch, struct kw_error *error_out)
{
    if (batch->is_dry) {
        pretend(&batch->chunk);
    }
    enum kw_status status = kw_batch_send(&batch->sender, &batch->chunk, error_out);
    status = status == KW_OK ? kw_batch_output_write(&batch->output, &batch->chunk, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    count(batch);
    kw_progress_show(&batch->progress, batch->state.item_count, size_taken(batch));
    return write_state(batch, true, error_out);
}

static enum kw_status run(struct batch *batch, struct kw_error *error_out)
{
    bool has_more = true;
    enum kw_status status = KW_OK;
    while (status == KW_OK && has_more && !batch->has_failed_items) {
        batch->is_stopped = batch->input.is_stopped || kw_batch_is_stopped(batch->signals);
        if (batch->is_stopped) {
            return batch->is_ready ? write_state(batch, !batch->is_clean, error_out) : KW_OK;
        }
        status = fill(batch, &has_more, error_out);
        if (status == KW_OK && batch->chunk.count > 0 && !batch->input.is_stopped) {
            status = work_off(batch, error_out);
        }
        has_more = has_more || batch->input.is_stopped;
    }
    if (status != KW_OK || batch->is_dry) {
        return status;
    }
    if (batch->has_failed_items) {
        return write_state(batch, false, error_out);
    }
    return batch->state_path[0] == '\0' ? KW_OK : kw_batch_state_remove(batch->state_path, error_out);
}

/* --- ending --- */

/* How to go on; for people only. */
static void say_how_to_go_on(const struct batch *batch)
{
    struct kw_buffer *text = &batch->cli->err.text;
    if (batch->as_json || batch->is_dry) {
        return;
    }
    if (batch->state_path[0] != '\0' && access(batch->state_path, F_OK) == 0) {
        kw_buffer_add_format(text,
                             "  %llu items are done. The same command with --resume goes on, and does nothing twice.\n",
                             (unsigned long long)batch->state.item_count);
    } else if (batch->state.item_count > 0) {
        kw_buffer_add_format(text,
                             "  %llu items are done, up to line %llu. It cannot be resumed: no --state was kept.\n",
                             (unsigned long long)batch->state.item_count, (unsigned long long)batch->line_now);
    }
    kw_output_say(&batch->cli->err);
}

static int finish(struct batch *batch, enum kw_status status, const struct kw_error *error)
{
    kw_progress_end(&batch->progress);
    if (status == KW_E_DENIED && error->code == NULL) {
        (void)kw_report_problem(batch->cli, &batch->answer, batch->as_json);
        say_how_to_go_on(batch);
        return KW_EXIT_FAILED;
    }
    if (status != KW_OK) {
        (void)kw_report(batch->cli, error, batch->as_json);
        if (batch->output.fd >= 0) {
            say_how_to_go_on(batch);
        }
        return KW_EXIT_FAILED;
    }
    /* Beside lines on standard output nothing else may stand there. */
    struct kw_output *place = batch->out_path != NULL ? &batch->cli->out : &batch->cli->err;
    const struct kw_batch_summary summary = {
        .action = batch->action, .state = &batch->state, .is_dry = batch->is_dry, .is_stopped = batch->is_stopped};
    if (batch->as_json) {
        kw_batch_summary_json(&summary, &place->text);
    } else {
        kw_batch_summary(&summary, &place->text);
    }
    kw_output_say(&batch->cli->err);
    int code = batch->state.done_count == batch->state.item_count ? KW_EXIT_OK : KW_EXIT_NOT_VALID;
    if (batch->has_failed_items) {
        struct kw_error failure = {0};
        (void)kw_fail(&failure, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL,
                      "the server could not do all items: their lines say why. It broke off there");
        (void)kw_report(batch->cli, &failure, batch->as_json);
    } else if (batch->is_stopped && !batch->as_json) {
        kw_buffer_add_text(&batch->cli->err.text, "keyward: stopped, as it was asked to\n");
    }
    if (batch->has_failed_items || batch->is_stopped) {
        code = batch->is_stopped ? KW_EXIT_STOPPED : KW_EXIT_FAILED;
        say_how_to_go_on(batch);
    }
    return kw_finish(batch->cli, code, batch->as_json);
}

static void let_go(struct batch *batch)
{
    kw_target_close(batch->target);
    kw_batch_output_close(&batch->output);
    if (batch->input.action != NULL) {
        kw_batch_input_close(&batch->input);
    }
    kw_batch_chunk_deinit(&batch->chunk);
    kw_answer_deinit(&batch->answer);
    kw_buffer_deinit(&batch->map);
    if (batch->signals >= 0) {
        (void)close(batch->signals);
    }
    kw_wipe(batch, sizeof *batch);
    kw_free(batch);
}

int kw_cmd_batch(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct kw_error error = {0};
    struct batch *batch = kw_alloc(1, sizeof *batch);
    if (batch == NULL) {
        (void)kw_fail(&error, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
        return kw_report(cli, &error, kw_line_has(line, "json"));
    }
    batch->cli = cli;
    batch->line = line;
    batch->as_json = kw_line_has(line, "json");
    batch->signals = -1;
    batch->output.fd = -1;
    batch->progress.output = &cli->err;
    kw_buffer_init(&batch->map, (size_t)32 * 1024);
    kw_batch_chunk_init(&batch->chunk);
    kw_answer_init(&batch->answer);
    enum kw_status status = prepare(batch, &error);
    status = status == KW_OK ? run(batch, &error) : status;
    int code = finish(batch, status, &error);
    let_go(batch);
    return code;
}
