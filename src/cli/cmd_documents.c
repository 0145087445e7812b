#include "cli/documents.h"
#include "cli/text.h"

#include <stdio.h>

#define PATH_SIZE 128
#define QUERY_SIZE 128
#define NAME_WIDTH 20

/* One run of `keyward projects`, `policies` or `templates`. */
struct reading {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    const struct kw_document_words *words;
    bool as_json;
    struct kw_target *target;
    struct kw_answer answer;
    struct kw_arena arena; /* of one answer */
    size_t item_count;
};

static bool send(struct reading *reading, enum kw_method method, const char *path, const char *query)
{
    struct kw_error error = {0};
    struct kw_request request = {.method = method,
                                 .path = path,
                                 .query = kw_bytes_of_text(query),
                                 .project = kw_line_value(reading->line, "project")};
    kw_buffer_reset(&reading->answer.body);
    if (reading->target->ops->send(reading->target, &request, &reading->answer, &error) != KW_OK) {
        (void)kw_report(reading->cli, &error, reading->as_json);
        return false;
    }
    if (reading->answer.status >= 400) {
        (void)kw_report_problem(reading->cli, &reading->answer, reading->as_json);
        return false;
    }
    return true;
}

/* --- show, delete --- */

static enum kw_status show_member(void *context, struct kw_bytes name, struct kw_bytes raw)
{
    struct reading *reading = context;
    struct kw_buffer *text = &reading->cli->out.text;
    bool is_plain = raw.size >= 2 && raw.data[0] == '"' && memchr(raw.data, '\\', raw.size) == NULL;
    kw_text_clean(text, name);
    for (size_t width = name.size; width < NAME_WIDTH; width++) {
        kw_buffer_add_byte(text, ' ');
    }
    kw_text_clean(text, is_plain ? kw_bytes_of(raw.data + 1, raw.size - 2) : raw);
    kw_buffer_add_byte(text, '\n');
    return KW_OK;
}

/* About the one document that the command line names. */
static bool send_about_one(struct reading *reading, enum kw_method method)
{
    char path[PATH_SIZE];
    struct kw_error error = {0};
    const char *name = reading->line->operands[1];
    if (!kw_document_name_valid(reading->words->kind, kw_bytes_of_text(name))) {
        (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL, "this is not the name of a %s",
                      kw_document_kind_name(reading->words->kind));
        (void)kw_report(reading->cli, &error, reading->as_json);
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", reading->words->path, name);
    return send(reading, method, path, "");
}

static bool show(struct reading *reading)
{
    if (!send_about_one(reading, KW_GET)) {
        return false;
    }
    struct kw_bytes json = kw_buffer_bytes(&reading->answer.body);
    if (reading->as_json) {
        kw_buffer_add(&reading->cli->out.text, json);
        kw_buffer_add_byte(&reading->cli->out.text, '\n');
        return true;
    }
    if (kw_members_each(json, &reading->arena, show_member, reading, NULL) != KW_OK) {
        (void)kw_report_nonsense(reading->cli, false);
        return false;
    }
    return true;
}

/* --- list --- */

enum { NAME, DESCRIPTION, MEMBER_COUNT };

static enum kw_status list_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct reading *reading = context;
    struct kw_buffer *text = &reading->cli->out.text;
    struct kw_member members[MEMBER_COUNT] = {[NAME] = {"name"}, [DESCRIPTION] = {"description"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, &reading->arena, members, MEMBER_COUNT);
    if (status != KW_OK) {
        return status;
    }
    if (reading->as_json) {
        kw_buffer_add_text(text, reading->item_count == 0 ? "" : ",");
        kw_buffer_add(text, raw);
    } else {
        kw_text_clean(text, members[NAME].text);
        for (size_t width = members[NAME].text.size; members[DESCRIPTION].text.size > 0 && width < NAME_WIDTH;
             width++) {
            kw_buffer_add_byte(text, ' ');
        }
        kw_buffer_add_text(text, members[DESCRIPTION].text.size > 0 ? "  " : "");
        kw_text_fit(text, members[DESCRIPTION].text, 80);
        kw_buffer_add_byte(text, '\n');
    }
    reading->item_count++;
    return KW_OK;
}

/* One page; `query` is where the next one begins, empty behind the last. */
static bool list_page(struct reading *reading, char query[QUERY_SIZE])
{
    struct kw_member members[] = {{"items"}, {"nextCursor"}};
    if (!send(reading, KW_GET, reading->words->path, query)) {
        return false;
    }
    enum kw_status status = kw_members_read(kw_buffer_bytes(&reading->answer.body), &reading->arena, members, 2);
    status = status != KW_OK ? status : kw_items_each(members[0].text, &reading->arena, list_item, reading);
    bool has_more = members[1].type == KW_JSON_STRING;
    if (status == KW_OK && has_more && !kw_document_name_valid(reading->words->kind, members[1].text)) {
        status = KW_E_INVALID;
    }
    if (status != KW_OK) {
        (void)kw_report_nonsense(reading->cli, reading->as_json);
        return false;
    }
    query[0] = '\0';
    if (has_more) {
        snprintf(query, QUERY_SIZE, "limit=200&cursor=%.*s", (int)members[1].text.size,
                 (const char *)members[1].text.data);
    }
    kw_arena_reset(&reading->arena);
    return true;
}

static bool list(struct reading *reading)
{
    char query[QUERY_SIZE] = "limit=200";
    struct kw_buffer *text = &reading->cli->out.text;
    kw_buffer_add_text(text, reading->as_json ? "{\"items\":[" : "");
    while (query[0] != '\0') {
        if (!list_page(reading, query)) {
            return false;
        }
    }
    kw_buffer_add_text(text, reading->as_json ? "]}\n" : "");
    if (!reading->as_json && reading->item_count == 0) {
        kw_buffer_add_format(&reading->cli->err.text, "No %s.\n", reading->words->plural);
        kw_output_say(&reading->cli->err);
    }
    return true;
}

static bool delete (struct reading *reading)
{
    bool done = send_about_one(reading, KW_DELETE);
    if (done && !reading->as_json) {
        kw_buffer_add_format(&reading->cli->out.text, "Deleted the %s %s.\n",
                             kw_document_kind_name(reading->words->kind), reading->line->operands[1]);
    }
    return done;
}

static const struct {
    const char *name;
    size_t operand_count; /* with itself */
    bool (*run)(struct reading *reading);
} verbs[] = {{"list", 1, list}, {"show", 2, show}, {"delete", 2, delete}};

static int refuse_operands(struct reading *reading)
{
    struct kw_error error = {0};
    (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                  "say list, or show or delete and a name: keyward %s show NAME", reading->words->plural);
    return kw_report(reading->cli, &error, reading->as_json);
}

int kw_cmd_documents(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct reading reading = {
        .cli = cli, .line = line, .words = &kw_document_words[0], .as_json = kw_line_has(line, "json")};
    for (size_t i = 0; i < KW_COUNT_OF(kw_document_words); i++) {
        if (strcmp(kw_document_words[i].plural, line->command->name) == 0) {
            reading.words = &kw_document_words[i];
        }
    }
    size_t verb = 0;
    while (verb < KW_COUNT_OF(verbs) &&
           (strcmp(line->operands[0], verbs[verb].name) != 0 || line->operand_count != verbs[verb].operand_count)) {
        verb++;
    }
    if (verb == KW_COUNT_OF(verbs)) {
        return refuse_operands(&reading);
    }
    struct kw_error error = {0};
    if (kw_target_open(cli, line, false, &reading.target, &error) != KW_OK) {
        return kw_report(cli, &error, reading.as_json);
    }
    kw_answer_init(&reading.answer);
    kw_arena_init(&reading.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    bool done = verbs[verb].run(&reading);
    kw_arena_reset(&reading.arena);
    kw_answer_deinit(&reading.answer);
    kw_target_close(reading.target);
    return done ? kw_finish(cli, KW_EXIT_OK, reading.as_json) : KW_EXIT_FAILED;
}
