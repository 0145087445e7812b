#include "base/time.h"
#include "cli/keys.h"
#include "cli/record_view.h"
#include "cli/secret_input.h"

bool kw_key_begin(struct kw_cli *cli, const struct kw_command_line *line, struct kw_bytes key,
                  struct kw_formed_request *formed_out, struct kw_target **target_out)
{
    struct kw_error error = {0};
    enum kw_status status = kw_request_form(line, key, NULL, formed_out, &error);
    if (status == KW_OK) {
        status = kw_target_open(cli, line, line->command->key_call->may_make, target_out, &error);
    }
    if (status != KW_OK) {
        (void)kw_report(cli, &error, kw_line_has(line, "json"));
    }
    return status == KW_OK;
}

bool kw_key_send(struct kw_cli *cli, const struct kw_command_line *line, struct kw_target *target,
                 const struct kw_formed_request *formed, struct kw_answer *answer_out)
{
    bool as_json = kw_line_has(line, "json");
    struct kw_error error = {0};
    if (target->ops->send(target, &formed->request, answer_out, &error) != KW_OK) {
        (void)kw_report(cli, &error, as_json);
        return false;
    }
    if (answer_out->status >= 400) {
        (void)kw_report_problem(cli, answer_out, as_json);
        return false;
    }
    return true;
}

int kw_key_ask(struct kw_cli *cli, const struct kw_command_line *line,
               enum kw_status (*check)(const struct kw_command_line *line, struct kw_error *error_out),
               enum kw_status (*show)(struct kw_cli *cli, const struct kw_command_line *line,
                                      const struct kw_answer *answer))
{
    bool as_json = kw_line_has(line, "json");
    int code = KW_EXIT_FAILED;
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_error error = {0};
    struct kw_answer answer;
    kw_answer_init(&answer);
    if (check != NULL && check(line, &error) != KW_OK) {
        code = kw_report(cli, &error, as_json);
    } else if (kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target) &&
               kw_key_send(cli, line, target, &formed, &answer)) {
        bool understood = show(cli, line, &answer) == KW_OK;
        code = understood ? kw_finish(cli, KW_EXIT_OK, as_json) : kw_report_nonsense(cli, as_json);
    }
    kw_answer_deinit(&answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}

enum { KEY, RECORD, PREVIOUS, MEMBER_COUNT };

/* The parts of an answer that went well: the new key, if there is one, and the record. */
static enum kw_status take_apart(const struct kw_answer *answer, struct kw_arena *arena, struct kw_member *members)
{
    members[KEY].name = "key";
    members[RECORD].name = "record";
    members[PREVIOUS].name = "previous";
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), arena, members, MEMBER_COUNT);
    if (status == KW_OK && members[RECORD].type == KW_JSON_NULL) {
        members[RECORD].text = kw_buffer_bytes(&answer->body);
    }
    return status;
}

static void show_new_key(struct kw_output *out, const struct kw_member *key)
{
    if (key->type != KW_JSON_STRING) {
        return; /* a command that makes none, or made it before */
    }
    kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_BOLD : "");
    kw_text_clean(&out->text, key->text);
    kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_RESET : "");
    kw_buffer_add_text(&out->text, "\n\nThis is the key. Keep it now: it will not be shown again.\n\n");
}

/* What becomes of the key that was rotated. */
static enum kw_status show_previous(struct kw_output *out, const struct kw_member *previous, struct kw_arena *arena,
                                    int64_t now_ms, bool ends_early)
{
    struct kw_shown_record record;
    if (previous->type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    enum kw_status status = kw_shown_record_read(previous->text, arena, now_ms, &record);
    int64_t grace_until_ms;
    if (status != KW_OK) {
        return status;
    }
    if (!kw_time_parse(record.fields[KW_SHOWN_GRACE_UNTIL].text, &grace_until_ms) || grace_until_ms <= now_ms) {
        kw_buffer_add_text(&out->text, "\nThe old key is revoked.\n");
        return KW_OK;
    }
    kw_buffer_add_text(&out->text, "\nThe old key works until ");
    kw_text_time(&out->text, grace_until_ms);
    kw_buffer_add_text(&out->text, ends_early ? ", or until the new one is used.\n" : ".\n");
    return KW_OK;
}

/* "Revoked key_01… (laptop, user:1)" */
static void show_done(struct kw_output *out, const char *done, const char *id, const struct kw_shown_record *record)
{
    kw_buffer_add_format(&out->text, "%s %s", done, id);
    struct kw_bytes name = record->fields[KW_SHOWN_NAME].text;
    struct kw_bytes owner = record->fields[KW_SHOWN_OWNER].text;
    if (name.size > 0 || owner.size > 0) {
        kw_buffer_add_text(&out->text, " (");
        kw_text_clean(&out->text, name);
        kw_buffer_add_text(&out->text, name.size > 0 && owner.size > 0 ? ", " : "");
        kw_text_clean(&out->text, owner);
        kw_buffer_add_byte(&out->text, ')');
    }
    kw_buffer_add_byte(&out->text, '\n');
}

static enum kw_status show_answer(struct kw_cli *cli, const struct kw_command_line *line,
                                  const struct kw_answer *answer)
{
    const struct kw_key_call *call = line->command->key_call;
    struct kw_output *out = &cli->out;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&out->text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_text(&out->text, answer->body.size > 0 ? "\n" : "");
        return KW_OK;
    }
    if (answer->body.size == 0) {
        kw_buffer_add_format(&out->text, "%s %s\n", call->done, line->operands[0]);
        return KW_OK;
    }
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    struct kw_member members[MEMBER_COUNT];
    struct kw_shown_record record;
    int64_t now_ms = cli->clock.now_ms(cli->clock.context);
    enum kw_status status = take_apart(answer, &arena, members);
    if (status == KW_OK) {
        status = kw_shown_record_read(members[RECORD].text, &arena, now_ms, &record);
    }
    if (status == KW_OK && call->view == KW_VIEW_DONE) {
        show_done(out, call->done, line->operands[0], &record);
    } else if (status == KW_OK) {
        show_new_key(out, &members[KEY]);
        kw_record_card(&record, out);
        status = show_previous(out, &members[PREVIOUS], &arena, now_ms, kw_line_has(line, "end-grace-on-first-use"));
    }
    kw_arena_reset(&arena);
    return status;
}

/* A request that came again, whose key was shown the first time: a creation that is none. */
static bool was_done_before(const struct kw_command_line *line, const struct kw_answer *answer)
{
    return line->command->key_call->view == KW_VIEW_CREATED && answer->status == 200;
}

static void say_done_before(struct kw_cli *cli)
{
    kw_buffer_add_text(&cli->err.text, "keyward: this was done before under the same --idempotency-key: the key was "
                                       "shown then, and cannot be shown again\n"
                                       "  Where it is lost, rotate the key below, under another --idempotency-key.\n");
    kw_output_say(&cli->err);
}

/* A new key that cannot be shown is lost: say which one, so that it can be revoked. */
static int finish(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    struct kw_error error = {0};
    bool done_before = was_done_before(line, answer);
    if (done_before && !kw_line_has(line, "json")) {
        say_done_before(cli);
    }
    if (kw_output_flush(&cli->out, &error) == KW_OK) {
        return done_before ? KW_EXIT_DONE_BEFORE : KW_EXIT_OK;
    }
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    struct kw_member members[MEMBER_COUNT];
    struct kw_shown_record record;
    if (line->command->key_call->view == KW_VIEW_CREATED && !done_before &&
        take_apart(answer, &arena, members) == KW_OK &&
        kw_shown_record_read(members[RECORD].text, &arena, 0, &record) == KW_OK) {
        struct kw_bytes id = record.fields[KW_SHOWN_ID].text;
        enum kw_status status =
            kw_fail(&error, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s; the key was made and is lost: revoke %.*s",
                    error.message, (int)id.size, (const char *)id.data);
        (void)status;
    }
    kw_arena_reset(&arena);
    return kw_report(cli, &error, kw_line_has(line, "json"));
}

static int call(struct kw_cli *cli, const struct kw_command_line *line, struct kw_bytes key)
{
    int code = KW_EXIT_FAILED;
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_answer answer;
    kw_answer_init(&answer);
    if (kw_key_begin(cli, line, key, &formed, &target) && kw_key_send(cli, line, target, &formed, &answer)) {
        bool understood = show_answer(cli, line, &answer) == KW_OK;
        code = understood ? finish(cli, line, &answer) : kw_report_nonsense(cli, kw_line_has(line, "json"));
    }
    kw_answer_deinit(&answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}

int kw_cmd_key(struct kw_cli *cli, const struct kw_command_line *line)
{
    return call(cli, line, (struct kw_bytes){0});
}

int kw_cmd_find(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool has_digest = kw_line_has(line, "digest");
    struct kw_error error = {0};
    struct kw_buffer key;
    enum kw_status status = KW_OK;
    kw_buffer_init_secret(&key, KW_SECRET_INPUT_MAX);
    if (!has_digest) {
        status = kw_key_read(cli, line, &key, &error);
    } else if (kw_line_has(line, "key-file") || line->operand_count > 0) {
        status = kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL, "give a key or --digest, not both");
    }
    int code =
        status == KW_OK ? call(cli, line, kw_buffer_bytes(&key)) : kw_report(cli, &error, kw_line_has(line, "json"));
    kw_buffer_deinit(&key);
    return code;
}
