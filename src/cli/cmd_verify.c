#include "cli/keys.h"
#include "cli/record_view.h"
#include "cli/secret_input.h"

#include <fcntl.h>
#include <keyward/codes.h>
#include <stdio.h>

enum kw_status kw_key_read(struct kw_cli *cli, const struct kw_command_line *line, struct kw_buffer *key,
                           struct kw_error *error_out)
{
    const char *path = kw_line_value(line, "key-file");
    if (line->operand_count > 0 && strcmp(line->operands[0], "-") != 0) {
        /* It is not repeated: it may well be the key. */
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "'%s' reads the key from standard input or --key-file FILE, not from the command line, where "
                       "the shell's history and the list of processes show it",
                       line->command->name);
    }
    if (path != NULL && line->operand_count > 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--key-file and '-' exclude each other: give one");
    }
    bool from_input = path == NULL || strcmp(path, "-") == 0;
    enum kw_status status = from_input ? kw_secret_from_input(cli, "Key: ", key, error_out)
                                       : kw_secret_from_file(AT_FDCWD, path, "the key", false, key, error_out);
    if (status == KW_OK && !kw_utf8_valid(kw_buffer_bytes(key))) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "what was read is not text, so it is no key");
    }
    return status;
}

struct checklist {
    struct kw_output *out;
    struct kw_arena *arena;
};

enum { VALID, CODE, RECORD, MISSING, FIELD, REFUSED_BY, POLICY, LIMIT_STATE, QUOTA_STATE, CHECKS, MEMBER_COUNT };

/* A list of what is missing, with commas between. */
struct missing_list {
    struct kw_buffer *text;
    struct kw_arena *arena;
    size_t count;
    struct kw_bytes resource; /* on which the next is; empty: on none */
};

static void add_one_missing(struct missing_list *list, struct kw_bytes what)
{
    kw_buffer_add_text(list->text, list->count++ == 0 ? "Missing: " : ", ");
    kw_text_clean(list->text, what);
    if (list->resource.size > 0) {
        kw_buffer_add_text(list->text, " on ");
        kw_text_clean(list->text, list->resource);
    }
}

static enum kw_status list_missing(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)raw;
    if (item->type != KW_JSON_STRING) {
        return KW_E_INVALID;
    }
    add_one_missing(context, item->text);
    return KW_OK;
}

/* Those on a resource: {"website:1": ["read"]}, with an empty list where any scope there would do. */
static enum kw_status list_on_resource(struct missing_list *list, struct kw_bytes resources)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, resources, list->arena);
    enum kw_status status = kw_json_next(&reader, &token, NULL);
    status = status == KW_OK ? kw_json_next(&reader, &token, NULL) : status;
    while (status == KW_OK && token.type == KW_JSON_NAME) {
        struct kw_bytes scopes;
        size_t count = list->count;
        list->resource = token.text;
        status = kw_json_next(&reader, &token, NULL);
        status = status == KW_OK ? kw_json_skip(&reader, &token, &scopes, NULL) : status;
        status = status == KW_OK ? kw_items_each(scopes, list->arena, list_missing, list) : status;
        if (status == KW_OK && list->count == count) {
            add_one_missing(list, KW_BYTES("any scope"));
        }
        status = status == KW_OK ? kw_json_next(&reader, &token, NULL) : status;
    }
    list->resource = (struct kw_bytes){NULL, 0};
    return status;
}

/* All that the key lacks, or the field by which it goes beyond its policy. */
static enum kw_status add_reason(struct kw_buffer *text, char before, const struct kw_member *missing,
                                 const struct kw_member *field, struct kw_arena *arena)
{
    enum { SCOPES, RESOURCES, REQUIRE, COUNT };
    struct kw_member members[COUNT] = {[SCOPES] = {"scopes"}, [RESOURCES] = {"resources"}, [REQUIRE] = {"require"}};
    struct missing_list list = {.text = text, .arena = arena};
    if (field->type == KW_JSON_STRING) {
        bool is_gone = kw_bytes_equal(field->text, KW_BYTES("policy"));
        kw_buffer_add_byte(text, (uint8_t)before);
        kw_buffer_add_text(text, is_gone ? "There is no policy of that name any more" : "What goes beyond it: ");
        kw_text_clean(text, is_gone ? (struct kw_bytes){NULL, 0} : field->text);
    }
    if (missing->type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    kw_buffer_add_byte(text, (uint8_t)before);
    enum kw_status status = kw_members_read(missing->text, arena, members, COUNT);
    if (status == KW_OK && members[SCOPES].type == KW_JSON_ARRAY_BEGIN) {
        status = kw_items_each(members[SCOPES].text, arena, list_missing, &list);
    }
    if (status == KW_OK && members[RESOURCES].type == KW_JSON_OBJECT_BEGIN) {
        status = list_on_resource(&list, members[RESOURCES].text);
    }
    if (status == KW_OK && members[REQUIRE].type == KW_JSON_ARRAY_BEGIN) {
        status = kw_items_each(members[REQUIRE].text, arena, list_missing, &list);
    }
    return status;
}

/* The limit or quota that refuses, and until when. */
static enum kw_status add_limit(struct kw_buffer *text, char before, const struct kw_member *limit,
                                const struct kw_member *quota, struct kw_arena *arena)
{
    enum { NAME, LIMIT, WINDOW, WAIT, METRIC, PERIOD, RESETS_AT, COUNT };
    struct kw_member members[COUNT] = {
        [NAME] = {"name"},     [LIMIT] = {"limit"},   [WINDOW] = {"window"},      [WAIT] = {"retryAfter"},
        [METRIC] = {"metric"}, [PERIOD] = {"period"}, [RESETS_AT] = {"resetsAt"},
    };
    bool is_quota = quota->type == KW_JSON_OBJECT_BEGIN;
    if (!is_quota && limit->type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    enum kw_status status = kw_members_read(is_quota ? quota->text : limit->text, arena, members, COUNT);
    kw_buffer_add_byte(text, (uint8_t)before);
    kw_buffer_add_text(text, is_quota ? "Quota: " : "Limit: ");
    kw_text_clean(text, members[NAME].text);
    kw_buffer_add_text(text, ", ");
    kw_text_clean(text, members[LIMIT].text);
    kw_buffer_add_text(text, is_quota ? " " : " in ");
    kw_text_clean(text, members[is_quota ? METRIC : WINDOW].text);
    if (is_quota) {
        kw_buffer_add_text(text, " each ");
        kw_text_clean(text, members[PERIOD].text);
        kw_buffer_add_text(text, "; the next begins at ");
        kw_text_clean(text, members[RESETS_AT].text);
    } else if (members[WAIT].type == KW_JSON_NUMBER) {
        kw_buffer_add_text(text, "; try again in ");
        kw_text_clean(text, members[WAIT].text);
        kw_buffer_add_text(text, " seconds");
    } else {
        kw_buffer_add_text(text, "; it costs more than that, and no waiting helps");
    }
    kw_buffer_add_byte(text, '.');
    return status;
}

/* Whose rule it is, where it is not the key's own. */
static void add_whose(struct kw_buffer *text, char before, const struct kw_member *parent,
                      const struct kw_member *policy)
{
    bool is_parents = parent->type == KW_JSON_STRING;
    if (policy->type == KW_JSON_STRING) {
        kw_buffer_add_byte(text, (uint8_t)before);
        kw_buffer_add_text(text, is_parents ? "The rule is its parent's policy's: " : "The rule is its policy's: ");
        kw_text_clean(text, policy->text);
        kw_buffer_add_text(text, is_parents ? ", of " : "");
    } else if (is_parents) {
        kw_buffer_add_byte(text, (uint8_t)before);
        kw_buffer_add_text(text, "The rule is its parent's: ");
    }
    if (is_parents) {
        kw_text_clean(text, parent->text);
    }
}

static enum kw_status show_refusal(struct kw_output *out, const struct kw_member *members, struct kw_arena *arena)
{
    char name[64];
    struct kw_bytes code = members[CODE].text;
    snprintf(name, sizeof name, "%.*s", code.size < sizeof name ? (int)code.size : 0, (const char *)code.data);
    kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_RED : "");
    kw_buffer_add_text(&out->text, "Not valid");
    kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_RESET : "");
    kw_buffer_add_text(&out->text, ": ");
    kw_text_clean(&out->text, code);
    enum kw_code known = kw_code_of_name(name);
    if (known != KW_CODE_NONE) {
        kw_buffer_add_format(&out->text, "\n%s %s", kw_code_info(known)->meaning, kw_code_info(known)->advice);
    }
    enum kw_status status = add_reason(&out->text, '\n', &members[MISSING], &members[FIELD], arena);
    static const struct kw_member none = {.type = KW_JSON_NULL};
    bool is_quota = known == KW_CODE_QUOTA_EXCEEDED;
    if (status == KW_OK && (is_quota || known == KW_CODE_RATE_LIMITED)) {
        status = add_limit(&out->text, '\n', &members[LIMIT_STATE], is_quota ? &members[QUOTA_STATE] : &none, arena);
    }
    add_whose(&out->text, '\n', &members[REFUSED_BY], &members[POLICY]);
    kw_buffer_add_byte(&out->text, '\n');
    return status;
}

static enum kw_status show_valid(struct kw_cli *cli, const struct kw_member *members, struct kw_arena *arena)
{
    struct kw_output *out = &cli->out;
    kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_GREEN "Valid" KW_COLOUR_RESET "\n" : "Valid\n");
    if (members[RECORD].type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    struct kw_shown_record record;
    enum kw_status status =
        kw_shown_record_read(members[RECORD].text, arena, cli->clock.now_ms(cli->clock.context), &record);
    if (status == KW_OK) {
        kw_buffer_add_byte(&out->text, '\n');
        kw_record_card(&record, out);
    }
    return status;
}

/* One line of the checklist: a mark, the rule, and what it says. */
static enum kw_status show_check(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { RULE, OUTCOME, DETAIL, LACKS, FAULT, BY, WHICH, LIMIT, QUOTA, COUNT };
    static const struct {
        const char *outcome, *mark, *colour, *text;
    } looks[] = {
        {"passed", "\u2713", KW_COLOUR_GREEN, "passed"},
        {"refused", "\u2717", KW_COLOUR_RED, "refused"},
        {"none", "-", "", "no such rule, nothing asked"},
        {"skipped", "-", "", "not looked at"},
    };
    struct checklist *list = context;
    struct kw_buffer *text = &list->out->text;
    struct kw_member members[COUNT] = {
        [RULE] = {"rule"},   [OUTCOME] = {"outcome"}, [DETAIL] = {"detail"},         [LACKS] = {"missingAll"},
        [FAULT] = {"field"}, [BY] = {"refusedBy"},    [WHICH] = {"refusedByPolicy"}, [LIMIT] = {"rateLimit"},
        [QUOTA] = {"quota"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, list->arena, members, COUNT);
    for (size_t i = 0; status == KW_OK && i < KW_COUNT_OF(looks); i++) {
        if (!kw_bytes_equal(members[OUTCOME].text, kw_bytes_of_text(looks[i].outcome))) {
            continue;
        }
        bool is_coloured = list->out->colour && looks[i].colour[0] != '\0';
        kw_buffer_add_format(text, "  %s%s%s ", is_coloured ? looks[i].colour : "", looks[i].mark,
                             is_coloured ? KW_COLOUR_RESET : "");
        kw_text_clean(text, members[RULE].text);
        kw_buffer_add_format(text, "%*s", (int)(members[RULE].text.size < 13 ? 13 - members[RULE].text.size : 1), "");
        bool has_detail = members[DETAIL].type == KW_JSON_STRING;
        kw_text_clean(text, has_detail ? members[DETAIL].text : kw_bytes_of_text(looks[i].text));
    }
    if (status == KW_OK) {
        size_t before = text->size;
        bool is_whose = members[BY].type == KW_JSON_STRING || members[WHICH].type == KW_JSON_STRING;
        status = add_reason(text, ' ', &members[LACKS], &members[FAULT], list->arena);
        kw_buffer_add_text(text, is_whose && text->size > before ? "." : "");
    }
    if (status == KW_OK) {
        status = add_limit(text, ' ', &members[LIMIT], &members[QUOTA], list->arena);
    }
    add_whose(text, ' ', &members[BY], &members[WHICH]);
    kw_buffer_add_byte(text, '\n');
    return status;
}

static enum kw_status show_checks(struct kw_cli *cli, const struct kw_member *members, struct kw_arena *arena)
{
    struct checklist list = {&cli->out, arena};
    if (members[CHECKS].type != KW_JSON_ARRAY_BEGIN) {
        return KW_E_INVALID;
    }
    bool is_valid = members[VALID].type == KW_JSON_TRUE;
    kw_buffer_add_text(&cli->out.text, is_valid ? "The key is valid for this request.\n\n" : "The key is refused: ");
    if (!is_valid) {
        kw_text_clean(&cli->out.text, members[CODE].text);
        kw_buffer_add_text(&cli->out.text, "\n\n");
    }
    return kw_items_each(members[CHECKS].text, arena, show_check, &list);
}

/* KW_E_INVALID when the answer is no verdict. */
static enum kw_status show_verdict(struct kw_cli *cli, const struct kw_answer *answer, bool as_json,
                                   struct kw_arena *arena, bool *valid_out)
{
    struct kw_member members[MEMBER_COUNT] = {[VALID] = {"valid"},
                                              [CODE] = {"code"},
                                              [RECORD] = {"record"},
                                              [MISSING] = {"missingAll"},
                                              [FIELD] = {"field"},
                                              [REFUSED_BY] = {"refusedBy"},
                                              [POLICY] = {"refusedByPolicy"},
                                              [LIMIT_STATE] = {"rateLimit"},
                                              [QUOTA_STATE] = {"quota"},
                                              [CHECKS] = {"checks"}};
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), arena, members, MEMBER_COUNT);
    if (status != KW_OK) {
        return status;
    }
    if (members[VALID].type != KW_JSON_TRUE && members[VALID].type != KW_JSON_FALSE) {
        return KW_E_INVALID;
    }
    *valid_out = members[VALID].type == KW_JSON_TRUE;
    if (as_json) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    if (cli->command->key_call->is_dry_run) {
        return show_checks(cli, members, arena);
    }
    if (*valid_out) {
        return show_valid(cli, members, arena);
    }
    return show_refusal(&cli->out, members, arena);
}

static int report_verdict(struct kw_cli *cli, const struct kw_answer *answer, bool as_json)
{
    bool valid = false;
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = show_verdict(cli, answer, as_json, &arena, &valid);
    kw_arena_reset(&arena);
    if (status != KW_OK) {
        return kw_report_nonsense(cli, as_json);
    }
    return kw_finish(cli, valid ? KW_EXIT_OK : KW_EXIT_NOT_VALID, as_json);
}

int kw_cmd_verify(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool as_json = kw_line_has(line, "json");
    int code = KW_EXIT_FAILED;
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_error error = {0};
    struct kw_buffer key;
    struct kw_answer answer;
    kw_buffer_init_secret(&key, KW_SECRET_INPUT_MAX);
    kw_answer_init(&answer);
    if (kw_key_read(cli, line, &key, &error) != KW_OK) {
        code = kw_report(cli, &error, as_json);
    } else if (kw_key_begin(cli, line, kw_buffer_bytes(&key), &formed, &target) &&
               kw_key_send(cli, line, target, &formed, &answer)) {
        code = report_verdict(cli, &answer, as_json);
    }
    kw_answer_deinit(&answer);
    kw_buffer_deinit(&key);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}
