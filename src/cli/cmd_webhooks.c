#include "cli/commands_webhooks.h"
#include "cli/text.h"

#include "core/document.h"

#include <stdio.h>

#define PATH_SIZE 160
#define WIDTH 20
#define MEMBERS_MAX 16

struct verb;

/* Webhooks and channels are asked for alike. */
struct noun {
    const char *plural; /* the command */
    const char *name, *none;
    const char *example;
    enum kw_document_kind kind;
    const struct verb *verbs;
    size_t verb_count;
    const char *where;          /* the member that a list shows behind name and status */
    const char *once;           /* the member that is shown once; NULL: none */
    const char *const *members; /* in the order in which one is shown; NULL behind the last */
};

/* One run of `keyward webhooks` or `keyward channels`. */
struct run {
    const struct noun *noun;
    struct kw_cli *cli;
    const struct kw_command_line *line;
    bool as_json;
    const struct verb *verb;
    struct kw_answer answer;
    struct kw_arena arena;
    size_t count;
};

struct verb {
    const char *name;
    bool has_name; /* of one */
    enum kw_method method;
    const char *behind; /* of the path */
    bool has_body;
    enum kw_status (*show)(struct run *run);
    const char *done; /* "Deleted" */
};

static void pad(struct kw_buffer *text, size_t from)
{
    for (size_t width = text->size - from; width < WIDTH; width++) {
        kw_buffer_add_byte(text, ' ');
    }
}

/* --- what is shown --- */

static enum kw_status show_done(struct run *run)
{
    kw_buffer_add_format(&run->cli->out.text, "%s the %s %s.\n", run->verb->done, run->noun->name,
                         run->line->operands[1]);
    return KW_OK;
}

static enum kw_status show_one(struct run *run)
{
    struct kw_member members[MEMBERS_MAX] = {{NULL}};
    struct kw_buffer *text = &run->cli->out.text;
    bool is_new = false;
    size_t count = 0;
    for (; run->noun->members[count] != NULL; count++) {
        members[count].name = run->noun->members[count];
    }
    enum kw_status status = kw_members_read(kw_buffer_bytes(&run->answer.body), &run->arena, members, count);
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        size_t from = text->size;
        if (members[i].type == KW_JSON_NULL) {
            continue;
        }
        is_new = is_new || (run->noun->once != NULL && strcmp(members[i].name, run->noun->once) == 0);
        kw_buffer_add_text(text, members[i].name);
        pad(text, from);
        kw_text_clean(text, members[i].text);
        kw_buffer_add_byte(text, '\n');
    }
    if (is_new) {
        kw_buffer_add_text(text, "\nThe secret is shown this once. Keep it where the receiver finds it.\n");
    }
    return KW_OK;
}

static enum kw_status list_one(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct run *run = context;
    struct kw_member members[] = {{"name"}, {"status"}, {run->noun->where}};
    struct kw_buffer *text = &run->cli->out.text;
    (void)item;
    enum kw_status status = kw_members_read(raw, &run->arena, members, 3);
    for (size_t i = 0; i < 3 && status == KW_OK; i++) {
        size_t from = text->size;
        kw_text_clean(text, members[i].text);
        if (i < 2) {
            pad(text, from);
            kw_buffer_add_byte(text, ' ');
        }
    }
    kw_buffer_add_byte(text, '\n');
    run->count++;
    return status;
}

static enum kw_status show_last_try(struct run *run, struct kw_bytes tries);

static enum kw_status list_delivery(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct run *run = context;
    struct kw_member members[] = {{"id"}, {"timestamp"}, {"event"}, {"state"}, {"tries"}};
    struct kw_buffer *text = &run->cli->out.text;
    (void)item;
    enum kw_status status = kw_members_read(raw, &run->arena, members, 5);
    for (size_t i = 0; i < 4 && status == KW_OK; i++) {
        size_t from = text->size;
        kw_text_clean(text, members[i].text);
        if (i > 0) {
            pad(text, from);
        }
        kw_buffer_add_byte(text, ' ');
    }
    status = status == KW_OK ? show_last_try(run, members[4].text) : status;
    kw_buffer_add_byte(text, '\n');
    run->count++;
    return status;
}

struct last {
    struct run *run;
    struct kw_bytes status, error;
};

static enum kw_status see_try(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct last *last = context;
    struct kw_member members[] = {{"status"}, {"error"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, &last->run->arena, members, 2);
    last->status = members[0].type == KW_JSON_NULL ? (struct kw_bytes){NULL, 0} : members[0].text;
    last->error = members[1].type == KW_JSON_NULL ? (struct kw_bytes){NULL, 0} : members[1].text;
    return status;
}

/* "200", or why it failed. */
static enum kw_status show_last_try(struct run *run, struct kw_bytes tries)
{
    struct last last = {.run = run};
    enum kw_status status = kw_items_each(tries, &run->arena, see_try, &last);
    kw_text_clean(&run->cli->out.text, last.error.size > 0 ? last.error : last.status);
    return status;
}

static enum kw_status show_items(struct run *run,
                                 enum kw_status (*each)(void *context, const struct kw_json_token *item,
                                                        struct kw_bytes raw),
                                 const char *none)
{
    struct kw_member members[] = {{"items"}, {"nextCursor"}};
    enum kw_status status = kw_members_read(kw_buffer_bytes(&run->answer.body), &run->arena, members, 2);
    status = status == KW_OK ? kw_items_each(members[0].text, &run->arena, each, run) : status;
    if (status == KW_OK && run->count == 0) {
        kw_buffer_add_text(&run->cli->err.text, none);
        kw_output_say(&run->cli->err);
    } else if (status == KW_OK && members[1].type == KW_JSON_STRING) {
        kw_buffer_add_text(&run->cli->err.text, "There are more: --cursor ");
        kw_text_clean(&run->cli->err.text, members[1].text);
        kw_buffer_add_byte(&run->cli->err.text, '\n');
        kw_output_say(&run->cli->err);
    }
    return status;
}

static enum kw_status show_list(struct run *run)
{
    return show_items(run, list_one, run->noun->none);
}

static enum kw_status show_deliveries(struct run *run)
{
    return show_items(run, list_delivery, "Nothing was sent.\n");
}

static enum kw_status show_ping(struct run *run)
{
    struct kw_member members[] = {{"delivered"}, {"tries"}};
    enum kw_status status = kw_members_read(kw_buffer_bytes(&run->answer.body), &run->arena, members, 2);
    if (status == KW_OK) {
        bool delivered = members[0].type == KW_JSON_TRUE;
        kw_buffer_add_text(&run->cli->out.text, delivered ? "It was delivered: " : "It was not delivered: ");
        status = show_last_try(run, members[1].text);
        kw_buffer_add_byte(&run->cli->out.text, '\n');
    }
    return status;
}

static enum kw_status show_replayed(struct run *run)
{
    struct kw_member member = {"replayed"};
    enum kw_status status = kw_members_read(kw_buffer_bytes(&run->answer.body), &run->arena, &member, 1);
    kw_text_clean(&run->cli->out.text, member.text);
    kw_buffer_add_text(&run->cli->out.text, " deliveries are sent again.\n");
    return status;
}

/* --- asking --- */

static const struct verb webhook_verbs[] = {
    {"list", false, KW_GET, "", false, show_list, NULL},
    {"create", false, KW_POST, "", true, show_one, NULL},
    {"show", true, KW_GET, "", false, show_one, NULL},
    {"update", true, KW_PATCH, "", true, show_one, NULL},
    {"delete", true, KW_DELETE, "", false, show_done, "Deleted"},
    {"enable", true, KW_POST, "/enable", false, show_done, "Enabled"},
    {"disable", true, KW_POST, "/disable", false, show_done, "Disabled"},
    {"rotate", true, KW_POST, "/rotate", true, show_one, NULL},
    {"ping", true, KW_POST, "/ping", false, show_ping, NULL},
    {"deliveries", true, KW_GET, "/deliveries", false, show_deliveries, NULL},
    {"replay", true, KW_POST, "/replay", true, show_replayed, NULL},
};

static const struct verb channel_verbs[] = {
    {"list", false, KW_GET, "", false, show_list, NULL},
    {"create", false, KW_POST, "", true, show_one, NULL},
    {"show", true, KW_GET, "", false, show_one, NULL},
    {"update", true, KW_PATCH, "", true, show_one, NULL},
    {"delete", true, KW_DELETE, "", false, show_done, "Deleted"},
    {"enable", true, KW_POST, "/enable", false, show_done, "Enabled"},
    {"disable", true, KW_POST, "/disable", false, show_done, "Disabled"},
    {"test", true, KW_POST, "/test", false, show_ping, NULL},
    {"deliveries", true, KW_GET, "/deliveries", false, show_deliveries, NULL},
    {"replay", true, KW_POST, "/replay", true, show_replayed, NULL},
};

static const char *const webhook_members[] = {"name",   "url",       "status",    "events",  "environments",
                                              "owners", "ordered",   "signature", "timeout", "description",
                                              "secret", "publicKey", NULL};
static const char *const channel_members[] = {"name",    "kind",        "to",     "toOwner",      "url",
                                              "command", "status",      "events", "environments", "owners",
                                              "every",   "description", NULL};

static const struct noun webhooks = {"webhooks",
                                     "webhook",
                                     "No webhooks.\n",
                                     "keyward webhooks ping NAME",
                                     KW_DOCUMENT_WEBHOOK,
                                     webhook_verbs,
                                     KW_COUNT_OF(webhook_verbs),
                                     "url",
                                     "secret",
                                     webhook_members};
static const struct noun channels = {"channels",
                                     "channel",
                                     "No channels.\n",
                                     "keyward channels test NAME",
                                     KW_DOCUMENT_CHANNEL,
                                     channel_verbs,
                                     KW_COUNT_OF(channel_verbs),
                                     "kind",
                                     NULL,
                                     channel_members};

static enum kw_status choose(struct run *run, struct kw_error *error)
{
    const struct kw_command_line *line = run->line;
    for (size_t i = 0; i < run->noun->verb_count && run->verb == NULL; i++) {
        const struct verb *verb = &run->noun->verbs[i];
        bool fits = strcmp(verb->name, line->operands[0]) == 0 && line->operand_count == (verb->has_name ? 2U : 1U);
        run->verb = fits ? verb : NULL;
    }
    if (run->verb == NULL) {
        return kw_fail(error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "say list or create, or what to do with one and its name: %s", run->noun->example);
    }
    bool good = !run->verb->has_name || kw_document_name_valid(run->noun->kind, kw_bytes_of_text(line->operands[1]));
    return good ? KW_OK
                : kw_fail(error, KW_E_INVALID, KW_CLI_USAGE, NULL, "this is not the name of a %s", run->noun->name);
}

static enum kw_status form(struct run *run, struct kw_formed_request *formed, struct kw_error *error)
{
    const struct kw_command_line *line = run->line;
    char path[PATH_SIZE];
    /* Its query and what stands in the options for all; the rest is this verb's. */
    enum kw_status status = kw_request_form(line, (struct kw_bytes){NULL, 0}, NULL, formed, error);
    if (status != KW_OK) {
        return status;
    }
    if (run->verb->has_body) {
        kw_buffer_reset(&formed->body);
        status = kw_request_body(line, (struct kw_bytes){NULL, 0}, &formed->body, error);
        formed->request.body = kw_buffer_bytes(&formed->body);
    }
    snprintf(path, sizeof path, "/v1/%s%s%s%s", run->noun->plural, run->verb->has_name ? "/" : "",
             run->verb->has_name ? line->operands[1] : "", run->verb->behind);
    kw_buffer_reset(&formed->path);
    kw_buffer_add_text(&formed->path, path);
    kw_buffer_add_byte(&formed->path, '\0');
    status = status == KW_OK ? kw_buffer_status(&formed->path) : status;
    formed->request.path = (const char *)formed->path.data;
    formed->request.method = run->verb->method;
    return status;
}

int kw_cmd_webhooks(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool is_webhooks = strcmp(line->command->name, webhooks.plural) == 0;
    struct run run = {
        .noun = is_webhooks ? &webhooks : &channels, .cli = cli, .line = line, .as_json = kw_line_has(line, "json")};
    struct kw_formed_request formed = {0};
    struct kw_target *target = NULL;
    struct kw_error error = {0};
    int code = KW_EXIT_FAILED;
    enum kw_status status = choose(&run, &error);
    status = status == KW_OK ? form(&run, &formed, &error) : status;
    status = status == KW_OK ? kw_target_open(cli, line, false, &target, &error) : status;
    if (status != KW_OK) {
        code = kw_report(cli, &error, run.as_json);
        kw_formed_request_deinit(&formed);
        return code;
    }
    kw_answer_init(&run.answer);
    kw_arena_init(&run.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    if (kw_key_send(cli, line, target, &formed, &run.answer)) {
        struct kw_bytes json = kw_buffer_bytes(&run.answer.body);
        if (run.as_json) {
            kw_buffer_add(&cli->out.text, json);
            kw_buffer_add_text(&cli->out.text, json.size > 0 ? "\n" : "");
        } else {
            status = run.verb->show(&run);
        }
        code = status == KW_OK ? kw_finish(cli, KW_EXIT_OK, run.as_json) : kw_report_nonsense(cli, run.as_json);
    }
    kw_arena_reset(&run.arena);
    kw_answer_deinit(&run.answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}
