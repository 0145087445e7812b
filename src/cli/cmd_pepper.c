#include "cli/keys.h"
#include "cli/pepper.h"
#include "core/transition.h"

#include <keyward/pepper.h>
#include <stdio.h>

#define PATH "/v1/peppers"
#define FINGERPRINT_TEXT ((size_t)2 * KW_PEPPER_FINGERPRINT_SIZE)
#define FINGERPRINT_TEXT_MIN 8 /* what messages show of one, and what is enough to name it */

/* One run that asks a server, or a data folder. */
struct asking {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    bool as_json;
    struct kw_target *target;
    struct kw_bytes query; /* of the next request */
    struct kw_answer answer;
    struct kw_arena arena; /* of one answer */
    char found[FINGERPRINT_TEXT + 1];
    size_t found_count;
};

static const char *operand(const struct kw_command_line *line)
{
    return line->operand_count > 1 ? line->operands[1] : NULL;
}

static bool send(struct asking *asking, enum kw_method method, const char *path)
{
    struct kw_error error = {0};
    struct kw_request request = {.method = method, .path = path, .query = asking->query, .counts_keys = true};
    kw_buffer_reset(&asking->answer.body);
    if (asking->target->ops->send(asking->target, &request, &asking->answer, &error) != KW_OK) {
        (void)kw_report(asking->cli, &error, asking->as_json);
        return false;
    }
    if (asking->answer.status >= 400) {
        (void)kw_report_problem(asking->cli, &asking->answer, asking->as_json);
        return false;
    }
    return true;
}

/* Calls `each` with every pepper that there is. False: it failed and was reported. */
static bool each_pepper(struct asking *asking,
                        enum kw_status (*each)(void *context, const struct kw_json_token *item, struct kw_bytes raw))
{
    struct kw_member members[] = {{"items"}};
    if (!send(asking, KW_GET, PATH)) {
        return false;
    }
    enum kw_status status = kw_members_read(kw_buffer_bytes(&asking->answer.body), &asking->arena, members, 1);
    status = status != KW_OK ? status : kw_items_each(members[0].text, &asking->arena, each, asking);
    if (status != KW_OK) {
        (void)kw_report_nonsense(asking->cli, asking->as_json);
    }
    return status == KW_OK;
}

/* --- list --- */

enum { FINGERPRINT, CURRENT, KEYS, ERASED, MEMBER_COUNT };
#define MEMBERS \
    { \
        [FINGERPRINT] = {"fingerprint"}, [CURRENT] = {"current"}, [KEYS] = {"keys"}, [ERASED] = { "erased" } \
    }

static enum kw_status list_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct asking *asking = context;
    struct kw_member members[MEMBER_COUNT] = MEMBERS;
    (void)item;
    enum kw_status status = kw_members_read(raw, &asking->arena, members, MEMBER_COUNT);
    if (status != KW_OK || asking->as_json) {
        return status;
    }
    struct kw_bytes fingerprint = members[FINGERPRINT].text;
    struct kw_bytes keys = members[KEYS].type == KW_JSON_NUMBER ? members[KEYS].text : KW_BYTES("not counted yet");
    struct kw_bytes erased = members[ERASED].type == KW_JSON_NUMBER ? members[ERASED].text : KW_BYTES("-");
    kw_buffer_add_format(&asking->cli->out.text, "%-*.*s  %-7s  %-15.*s  %.*s\n", (int)FINGERPRINT_TEXT,
                         (int)fingerprint.size, (const char *)fingerprint.data,
                         members[CURRENT].type == KW_JSON_TRUE ? "yes" : "no", (int)keys.size, (const char *)keys.data,
                         (int)erased.size, (const char *)erased.data);
    return KW_OK;
}

static bool list(struct asking *asking)
{
    struct kw_buffer *text = &asking->cli->out.text;
    kw_buffer_add_text(text,
                       asking->as_json ? "" : "FINGERPRINT                       CURRENT  KEYS             ERASED\n");
    bool done = each_pepper(asking, list_item);
    if (done && asking->as_json) {
        kw_buffer_add(text, kw_buffer_bytes(&asking->answer.body));
        kw_buffer_add_byte(text, '\n');
    }
    return done;
}

/* --- rotate, retire --- */

/* Says what was done, as a line for people or an object for programs. */
static void say(const struct asking *asking, const char *what, const char *fingerprint, const char *advice)
{
    struct kw_buffer *text = &asking->cli->out.text;
    if (!asking->as_json) {
        kw_buffer_add_format(text, "%s %s. %s\n", what, fingerprint, advice);
        return;
    }
    struct kw_json_writer json;
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "fingerprint");
    kw_json_text(&json, fingerprint);
    kw_json_end_object(&json);
    kw_buffer_add_byte(text, '\n');
}

/* A fingerprint as it is to be; false when it is something else. */
static bool take_fingerprint(struct kw_bytes text, char out[FINGERPRINT_TEXT + 1])
{
    uint8_t bytes[KW_PEPPER_FINGERPRINT_SIZE];
    bool is_one = kw_hex_decode(text, bytes, sizeof bytes);
    if (is_one) {
        kw_hex_encode(kw_bytes_of(bytes, sizeof bytes), out);
        out[FINGERPRINT_TEXT] = '\0';
    }
    return is_one;
}

static bool rotate(struct asking *asking)
{
    struct kw_member members[] = {{"fingerprint"}};
    char fingerprint[FINGERPRINT_TEXT + 1];
    if (!send(asking, KW_POST, PATH)) {
        return false;
    }
    if (kw_members_read(kw_buffer_bytes(&asking->answer.body), &asking->arena, members, 1) != KW_OK ||
        !take_fingerprint(members[0].text, fingerprint)) {
        (void)kw_report_nonsense(asking->cli, asking->as_json);
        return false;
    }
    say(asking, "New keys get the pepper", fingerprint,
        "Keys of the others move to it at their next use. Back the file up, apart from the data.");
    return true;
}

static enum kw_status compare_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct asking *asking = context;
    struct kw_member members[MEMBER_COUNT] = MEMBERS;
    struct kw_bytes wanted = kw_bytes_of_text(operand(asking->line));
    (void)item;
    enum kw_status status = kw_members_read(raw, &asking->arena, members, MEMBER_COUNT);
    if (status == KW_OK && kw_bytes_starts_with(members[FINGERPRINT].text, wanted)) {
        status = take_fingerprint(members[FINGERPRINT].text, asking->found) ? KW_OK : KW_E_INVALID;
        asking->found_count++;
    }
    return status;
}

static bool retire(struct asking *asking)
{
    char path[sizeof PATH "/" + FINGERPRINT_TEXT];
    struct kw_error error = {0};
    bool forgets = kw_line_has(asking->line, "forget-erased");
    if (!each_pepper(asking, compare_item)) {
        return false;
    }
    if (asking->found_count == 0 && forgets && strcmp(asking->target->ops->name, "folder") == 0) {
        /* It was missing, and the folder was opened without it. */
        say(asking, "There is no pepper", operand(asking->line), "What was erased with it is forgotten.");
        return true;
    }
    if (asking->found_count != 1 || strlen(operand(asking->line)) < FINGERPRINT_TEXT_MIN) {
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "FINGERPRINT",
                        "must be that of one pepper, or its first %d characters at least: 'keyward pepper list' "
                        "shows them",
                        FINGERPRINT_TEXT_MIN);
        (void)kw_report(asking->cli, &error, asking->as_json);
        return false;
    }
    (void)snprintf(path, sizeof path, PATH "/%s", asking->found);
    asking->query = forgets ? KW_BYTES("forgetErased=true") : (struct kw_bytes){NULL, 0};
    if (!send(asking, KW_DELETE, path)) {
        return false;
    }
    say(asking, "Retired the pepper", asking->found,
        forgets ? "What was erased with it is forgotten." : "No key needs it.");
    return true;
}

/* --- the command --- */

static int ask(struct kw_cli *cli, const struct kw_command_line *line, bool (*run)(struct asking *asking))
{
    struct asking asking = {.cli = cli, .line = line, .as_json = kw_line_has(line, "json")};
    struct kw_error error = {0};
    if (kw_target_open_or_default(cli, line, &asking.target, &error) != KW_OK) {
        return kw_report(cli, &error, asking.as_json);
    }
    kw_answer_init(&asking.answer);
    kw_arena_init(&asking.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    bool done = run(&asking);
    kw_arena_reset(&asking.arena);
    kw_answer_deinit(&asking.answer);
    kw_target_close(asking.target);
    return done ? kw_finish(cli, KW_EXIT_OK, asking.as_json) : KW_EXIT_FAILED;
}

static const struct action {
    const char *name;
    size_t operands_min, operands_max; /* its name counted */
    bool (*ask)(struct asking *asking);
    int (*run)(struct kw_cli *cli, const struct kw_command_line *line);
} actions[] = {
    {"list", 1, 1, list, NULL},
    {"rotate", 1, 1, rotate, NULL},
    {"retire", 2, 2, retire, NULL},
    {"export", 1, 2, NULL, kw_pepper_export},
    {"import", 2, 2, NULL, kw_pepper_import},
};

int kw_cmd_pepper(struct kw_cli *cli, const struct kw_command_line *line)
{
    for (size_t i = 0; i < KW_COUNT_OF(actions); i++) {
        const struct action *action = &actions[i];
        if (strcmp(action->name, line->operands[0]) == 0 && line->operand_count >= action->operands_min &&
            line->operand_count <= action->operands_max) {
            return action->ask != NULL ? ask(cli, line, action->ask) : action->run(cli, line);
        }
    }
    struct kw_error error = {0};
    (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                  "say list, rotate, retire FINGERPRINT, export [FILE] or import FILE");
    return kw_report(cli, &error, kw_line_has(line, "json"));
}
