#include "cli/batch.h"
#include "cli/commands_events.h"
#include "cli/text.h"
#include "core/event.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LINE_SIZE_MAX ((size_t)4 * 1024 * 1024) /* of a stream */
#define EVENT_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define LAST_SIZE 32
#define PAUSE_MS_MIN 500
#define PAUSE_MS_MAX 10000

/* --- showing --- */

enum { TIMESTAMP, EVENT, DATA, EVENT_COUNT };

static void add_word(struct kw_buffer *text, struct kw_bytes word)
{
    kw_buffer_add_text(text, "  ");
    kw_text_clean(text, word.size == 0 ? KW_BYTES("-") : word);
}

/* "2026-01-31T10:00:00.000Z  key.revoked  key_01…  user:1  operator  leaked" */
static enum kw_status show_event(struct kw_cli *cli, struct kw_bytes raw)
{
    enum { KEY, OWNER, ACTOR, QUOTA, NAME, REASON, COUNT };
    struct kw_buffer *text = &cli->out.text;
    struct kw_member members[EVENT_COUNT] = {[TIMESTAMP] = {"timestamp"}, [EVENT] = {"event"}, [DATA] = {"data"}};
    struct kw_member data[COUNT] = {[KEY] = {"keyId"},   [OWNER] = {"owner"}, [ACTOR] = {"actor"},
                                    [QUOTA] = {"quota"}, [NAME] = {"name"},   [REASON] = {"reason"}};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, EVENT_ARENA_MAX);
    enum kw_status status = kw_members_read(raw, &arena, members, EVENT_COUNT);
    status = status == KW_OK ? kw_members_read(members[DATA].text, &arena, data, COUNT) : status;
    if (status == KW_OK) {
        kw_text_clean(text, members[TIMESTAMP].text);
        add_word(text, members[EVENT].text);
        for (size_t i = KEY; i <= ACTOR; i++) {
            add_word(text, data[i].text);
        }
        for (size_t i = QUOTA; i < COUNT; i++) {
            if (data[i].text.size > 0) {
                add_word(text, data[i].text);
            }
        }
        kw_buffer_add_byte(text, '\n');
    }
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status show_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    return show_event(context, raw);
}

static enum kw_status show_page(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    return kw_page_show(cli, line, answer, show_item);
}

/* --- following --- */

struct following {
    struct kw_cli *cli;
    bool as_json;
    int signals;
    struct kw_buffer line;               /* what has come of one so far */
    struct kw_buffer data;               /* of the event that is arriving */
    char id[LAST_SIZE], last[LAST_SIZE]; /* of that event; of the last one that was shown */
    bool has_heard;                      /* the stream has begun at least once */
    int pause_ms;
};

static enum kw_status end_event(struct following *following, struct kw_error *error_out)
{
    struct kw_output *out = &following->cli->out;
    struct kw_bytes data = kw_buffer_bytes(&following->data);
    if (data.size == 0) {
        return KW_OK;
    }
    enum kw_status status = KW_OK;
    if (following->as_json) {
        kw_buffer_add(&out->text, data);
        kw_buffer_add_byte(&out->text, '\n');
    } else {
        status = show_event(following->cli, data);
    }
    kw_buffer_reset(&following->data);
    if (status != KW_OK) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "the stream is not understood");
    }
    memcpy(following->last, following->id, sizeof following->last);
    following->pause_ms = PAUSE_MS_MIN;
    return kw_output_flush(out, error_out);
}

/* A line of the stream; an empty one ends an event. */
static enum kw_status take_line(struct following *following, struct kw_bytes line, struct kw_error *error_out)
{
    struct kw_bytes name, value;
    if (line.size == 0) {
        return end_event(following, error_out);
    }
    kw_bytes_split(line, ':', &name, &value);
    value = value.size > 0 && value.data[0] == ' ' ? kw_bytes_skip(value, 1) : value;
    if (kw_bytes_equal(name, KW_BYTES("data"))) {
        kw_buffer_add(&following->data, value);
    } else if (kw_bytes_equal(name, KW_BYTES("id")) && value.size < sizeof following->id) {
        snprintf(following->id, sizeof following->id, "%.*s", (int)value.size, (const char *)value.data);
    }
    return KW_OK;
}

static enum kw_status take_piece(void *context, struct kw_bytes piece, struct kw_error *error_out)
{
    struct following *following = context;
    enum kw_status status = KW_OK;
    following->has_heard = true;
    while (piece.size > 0 && status == KW_OK) {
        struct kw_bytes part, rest;
        bool is_whole = kw_bytes_split(piece, '\n', &part, &rest);
        kw_buffer_add(&following->line, part);
        if (is_whole) {
            status = take_line(following, kw_buffer_bytes(&following->line), error_out);
            kw_buffer_reset(&following->line);
        }
        piece = rest;
    }
    if (status == KW_OK &&
        (kw_buffer_status(&following->line) != KW_OK || kw_buffer_status(&following->data) != KW_OK)) {
        return kw_fail(error_out, KW_E_LIMIT, KW_CLI_FAILED, NULL, "an event of the stream is longer than any event");
    }
    return status;
}

/* Before it asks again, each time a little longer. */
static void rest(struct following *following)
{
    struct pollfd wait = {.fd = following->signals, .events = POLLIN};
    (void)poll(&wait, 1, following->pause_ms);
    following->pause_ms = following->pause_ms * 2 > PAUSE_MS_MAX ? PAUSE_MS_MAX : following->pause_ms * 2;
}

/* What a stream that has begun may end with, and be asked for again: all but what only the caller can mend. */
static bool may_return(const struct following *following, enum kw_status status, const struct kw_answer *answer)
{
    bool is_passing =
        status == KW_E_UNAVAILABLE || (status == KW_OK && (answer->status == 200 || answer->status == 503));
    return following->has_heard && is_passing;
}

static int follow_on(struct following *following, struct kw_target *target, struct kw_formed_request *formed)
{
    struct kw_cli *cli = following->cli;
    formed->request.take = take_piece;
    formed->request.take_context = following;
    formed->request.follows = true;
    formed->request.signals = following->signals;
    int code = -1;
    while (code < 0) {
        struct kw_error error = {0};
        struct kw_answer answer;
        kw_answer_init(&answer);
        formed->request.last_event = following->last[0] == '\0' ? NULL : following->last;
        enum kw_status status = target->ops->send(target, &formed->request, &answer, &error);
        kw_buffer_reset(&following->line);
        kw_buffer_reset(&following->data);
        if (kw_batch_is_stopped(following->signals)) {
            code = kw_finish(cli, KW_EXIT_OK, following->as_json);
        } else if (may_return(following, status, &answer)) {
            rest(following);
        } else if (status != KW_OK) {
            code = kw_report(cli, &error, following->as_json);
        } else {
            code = kw_report_problem(cli, &answer, following->as_json);
        }
        kw_answer_deinit(&answer);
    }
    return code;
}

static enum kw_status catch_signals(int *signals_out, struct kw_error *error_out)
{
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    *signals_out = signalfd(-1, &caught, SFD_CLOEXEC);
    if (*signals_out < 0 || sigprocmask(SIG_BLOCK, &caught, NULL) != 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "signals cannot be waited for");
    }
    return KW_OK;
}

static int follow(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct following following = {
        .cli = cli, .as_json = kw_line_has(line, "json"), .signals = -1, .pause_ms = PAUSE_MS_MIN};
    struct kw_formed_request formed = {0};
    struct kw_target *target = NULL;
    struct kw_error error = {0};
    int code = KW_EXIT_FAILED;
    kw_buffer_init(&following.line, LINE_SIZE_MAX);
    kw_buffer_init(&following.data, LINE_SIZE_MAX);
    if (kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target)) {
        if (strcmp(target->ops->name, "http") != 0) {
            (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                          "--follow needs a server: on a data folder nothing happens but what a command does");
            code = kw_report(cli, &error, following.as_json);
        } else if (catch_signals(&following.signals, &error) != KW_OK) {
            code = kw_report(cli, &error, following.as_json);
        } else {
            code = follow_on(&following, target, &formed);
        }
    }
    if (following.signals >= 0) {
        (void)close(following.signals);
    }
    kw_buffer_deinit(&following.line);
    kw_buffer_deinit(&following.data);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}

int kw_cmd_events(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_line_has(line, "follow") ? follow(cli, line) : kw_key_ask(cli, line, NULL, show_page);
}
