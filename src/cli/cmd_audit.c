#include "cli/audit_copy.h"
#include "cli/keys.h"
#include "cli/text.h"

/* The audit log: a page of it for people, all of it as lines, and the proof that it, or a copy of it, is whole. */

#define REASON_WIDTH 40
#define JOB_BODY_SIZE 4096
#define ENTRY_ARENA_MAX ((size_t)4 * KW_AUDIT_LINE_JSON_MAX)

/* --- list --- */

static enum kw_status show_entry(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { TIMESTAMP, ACTION, KEY, ACTOR, CONTEXT, COUNT };
    struct kw_cli *cli = context;
    struct kw_buffer *text = &cli->out.text;
    struct kw_arena arena;
    struct kw_member reason = {.name = "reason"};
    struct kw_member members[COUNT] = {[TIMESTAMP] = {"timestamp"},
                                       [ACTION] = {"action"},
                                       [KEY] = {"keyId"},
                                       [ACTOR] = {"actor"},
                                       [CONTEXT] = {"context"}};
    (void)item;
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    enum kw_status status = kw_members_read(raw, &arena, members, COUNT);
    if (status == KW_OK && members[CONTEXT].type == KW_JSON_OBJECT_BEGIN) {
        status = kw_members_read(members[CONTEXT].text, &arena, &reason, 1);
    }
    const struct kw_bytes columns[] = {members[TIMESTAMP].text, members[ACTION].text, members[KEY].text,
                                       members[ACTOR].text};
    for (size_t i = 0; i < KW_COUNT_OF(columns); i++) {
        kw_buffer_add_text(text, i == 0 ? "" : "  ");
        kw_text_clean(text, columns[i].size == 0 ? KW_BYTES("-") : columns[i]);
    }
    if (reason.text.size > 0) {
        kw_buffer_add_text(text, "  ");
        kw_text_fit(text, reason.text, REASON_WIDTH);
    }
    kw_buffer_add_byte(text, '\n');
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status show_page(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    return kw_page_show(cli, line, answer, show_entry);
}

/* --- checkpoints --- */

static enum kw_status show_checkpoint(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { PLACE, TIMESTAMP, LINK, COUNT };
    struct kw_cli *cli = context;
    struct kw_arena arena;
    struct kw_member members[COUNT] = {[PLACE] = {"place"}, [TIMESTAMP] = {"timestamp"}, [LINK] = {"link"}};
    (void)item;
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    enum kw_status status = kw_members_read(raw, &arena, members, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        kw_buffer_add_text(&cli->out.text, i == 0 ? "" : "  ");
        kw_text_clean(&cli->out.text, members[i].text);
    }
    kw_buffer_add_byte(&cli->out.text, '\n');
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status show_checkpoints(struct kw_cli *cli, const struct kw_command_line *line,
                                       const struct kw_answer *answer)
{
    enum { PUBLIC_KEY, ITEMS_OF_IT, COUNT };
    struct kw_member members[COUNT] = {[PUBLIC_KEY] = {"publicKey"}, [ITEMS_OF_IT] = {"items"}};
    struct kw_arena arena;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&arena, NULL, 0, (size_t)2 * KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, COUNT);
    kw_buffer_add_text(&cli->out.text, "Public key: ");
    kw_text_clean(&cli->out.text, members[PUBLIC_KEY].text.size > 0 ? members[PUBLIC_KEY].text : KW_BYTES("none"));
    kw_buffer_add_byte(&cli->out.text, '\n');
    status = status == KW_OK ? kw_items_each(members[ITEMS_OF_IT].text, &arena, show_checkpoint, cli) : status;
    kw_arena_reset(&arena);
    return status;
}

struct kw_asking {
    enum kw_method method;
    const char *path;
    struct kw_bytes body; /* may be empty */
    bool has_no_query;    /* what a list is narrowed by stands in the body */
};

/* As kw_key_ask, of another path. */
static int ask_path(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_asking *asking,
                    enum kw_status (*show)(struct kw_cli *cli, const struct kw_command_line *line,
                                           const struct kw_answer *answer))
{
    bool as_json = kw_line_has(line, "json");
    int code = KW_EXIT_FAILED;
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_answer answer;
    kw_answer_init(&answer);
    if (kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target)) {
        formed.request.method = asking->method;
        formed.request.path = asking->path;
        formed.request.body = asking->body;
        formed.request.query = asking->has_no_query ? (struct kw_bytes){NULL, 0} : formed.request.query;
        if (kw_key_send(cli, line, target, &formed, &answer)) {
            bool understood = show(cli, line, &answer) == KW_OK;
            code = understood ? kw_finish(cli, KW_EXIT_OK, as_json) : kw_report_nonsense(cli, as_json);
        }
    }
    kw_answer_deinit(&answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}

/* --- verify --- */

/* "PLACE:SEQUENCE:LINK", as an earlier proof gave it. */
static enum kw_status read_head(const struct kw_command_line *line, struct kw_audit_chain *head_out,
                                struct kw_error *error_out)
{
    const char *value = kw_line_value(line, "head");
    struct kw_bytes place, rest, sequence, link;
    *head_out = (struct kw_audit_chain){.place = 0};
    if (value == NULL) {
        return KW_OK;
    }
    kw_bytes_split(kw_bytes_of_text(value), ':', &place, &rest);
    kw_bytes_split(rest, ':', &sequence, &link);
    bool is_head = kw_bytes_to_u64(place, &head_out->place) && head_out->place > 0 &&
                   kw_bytes_to_u64(sequence, &head_out->sequence) &&
                   kw_hex_decode(link, head_out->link, sizeof head_out->link);
    return is_head ? KW_OK
                   : kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                             "--head takes what an earlier proof said: PLACE:SEQUENCE:LINK");
}

static void add_hex(struct kw_buffer *text, const uint8_t *bytes, size_t size)
{
    char hex[2 * KW_AUDIT_LINK_SIZE];
    kw_hex_encode(kw_bytes_of(bytes, size), hex);
    kw_buffer_add(text, kw_bytes_of(hex, 2 * size));
}

/* What was signed of it, and by whom. */
static void show_signed(const struct kw_copy_proof *copy, struct kw_buffer *text)
{
    const struct kw_audit_proof *proof = &copy->proof;
    if (proof->start.place > 0) {
        kw_buffer_add_format(text, "It begins behind place %llu: what stood before was pruned.\n",
                             (unsigned long long)proof->start.place);
    }
    if (proof->signed_count > 0) {
        kw_buffer_add_format(text, "Signed up to place %llu, by ", (unsigned long long)proof->signed_place);
        add_hex(text, copy->public_key, sizeof copy->public_key);
        kw_buffer_add_text(text, ".\n");
    } else {
        kw_buffer_add_text(text, "Nothing of it is signed.\n");
    }
    if (copy->has_foreign) {
        kw_buffer_add_text(text, "It has checkpoints that another key has signed, or nobody: they prove nothing.\n");
    }
}

static int show_proof(struct kw_cli *cli, const struct kw_copy_proof *copy)
{
    struct kw_buffer *text = &cli->out.text;
    const struct kw_audit_proof *proof = &copy->proof;
    const struct kw_audit_chain *head = &proof->chain;
    bool is_whole = proof->fault == KW_AUDIT_WHOLE;
    if (is_whole) {
        kw_buffer_add_format(text, "The log is whole: %llu entries are as they were written.\n",
                             (unsigned long long)proof->proved);
    } else {
        kw_buffer_add_format(text, "The log is not whole: the entry at place %llu is the first that is not right: %s",
                             (unsigned long long)proof->fault_place, kw_audit_fault_name(proof->fault));
        if (proof->fault_sequence > 0) {
            kw_buffer_add_format(text, ", seen at sequence %llu", (unsigned long long)proof->fault_sequence);
        }
        kw_buffer_add_format(text, ".\n%llu entries before it are as they were written.\n",
                             (unsigned long long)proof->proved);
    }
    if (proof->unsealed > 0) {
        kw_buffer_add_format(text, "%llu are too new to be sealed.\n", (unsigned long long)proof->unsealed);
    }
    show_signed(copy, text);
    if (head->place > 0) {
        kw_buffer_add_format(text, "Head: %llu:%llu:", (unsigned long long)head->place,
                             (unsigned long long)head->sequence);
        add_hex(text, head->link, sizeof head->link);
        kw_buffer_add_byte(text, '\n');
    }
    return kw_finish(cli, is_whole ? KW_EXIT_OK : KW_EXIT_NOT_VALID, false);
}

/* --- the whole log, on its way --- */

struct passing {
    struct kw_cli *cli;
    struct kw_copy_proof *copy;
    bool shows;
};

static enum kw_status take_piece(void *context, struct kw_bytes piece, struct kw_error *error_out)
{
    struct passing *passing = context;
    if (passing->shows) {
        kw_buffer_add(&passing->cli->out.text, piece);
        enum kw_status status = kw_output_flush(&passing->cli->out, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    enum kw_status status = kw_copy_add(passing->copy, piece);
    if (status != KW_OK) {
        *error_out = *passing->copy->error;
    }
    return status;
}

/* Asks for the whole log. False: it failed and was reported. */
static bool pass_log(struct kw_cli *cli, const struct kw_command_line *line, struct passing *passing)
{
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_answer answer;
    kw_answer_init(&answer);
    bool is_good = kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target);
    if (is_good) {
        formed.request.path = "/v1/audit/export";
        formed.request.query = (struct kw_bytes){NULL, 0};
        formed.request.take = take_piece;
        formed.request.take_context = passing;
        is_good = kw_key_send(cli, line, target, &formed, &answer);
    }
    if (is_good && kw_copy_end(passing->copy) != KW_OK) {
        (void)kw_report(cli, passing->copy->error, false);
        is_good = false;
    }
    kw_answer_deinit(&answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return is_good;
}

/* Of the log, or of a copy where a file is named. What passes by is looked at either way: an export is a whole copy. */
static int go_through(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_audit_chain *head,
                      const uint8_t *public_key)
{
    bool verifies = strcmp(line->operands[0], "verify") == 0;
    struct kw_error error = {0};
    struct kw_copy_proof copy;
    struct passing passing = {cli, &copy, !verifies};
    int code = KW_EXIT_FAILED;
    kw_copy_begin(&copy, head, public_key, kw_line_value(line, "checkpoints"), &error);
    bool is_read = false;
    if (line->operand_count > 1) {
        is_read = kw_copy_of_file(&copy, line->operands[1]) == KW_OK;
        code = is_read ? code : kw_report(cli, &error, false);
    } else {
        is_read = pass_log(cli, line, &passing);
    }
    if (is_read) {
        code = verifies ? show_proof(cli, &copy) : kw_finish(cli, KW_EXIT_OK, false);
    }
    kw_copy_deinit(&copy);
    return code;
}

/* --- what is done to it --- */

static void write_member(struct kw_json_writer *json, const struct kw_command_line *line, const char *option,
                         const char *name)
{
    const char *value = kw_line_value(line, option);
    if (value != NULL) {
        kw_json_name(json, name);
        kw_json_text(json, value);
    }
}

static enum kw_status show_job(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    struct kw_member entries = {.name = "entries"};
    struct kw_arena arena;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, &entries, 1);
    kw_buffer_add_text(&cli->out.text, "Entries: ");
    kw_text_clean(&cli->out.text, entries.text);
    kw_buffer_add_byte(&cli->out.text, '\n');
    kw_arena_reset(&arena);
    return status;
}

static int run_job(struct kw_cli *cli, const struct kw_command_line *line, const char *path)
{
    char memory[JOB_BODY_SIZE];
    struct kw_asking asking = {.method = KW_POST, .path = path, .has_no_query = true};
    struct kw_buffer body;
    struct kw_json_writer json;
    kw_buffer_init_fixed(&body, memory, sizeof memory);
    kw_json_writer_init(&json, &body);
    kw_json_begin_object(&json);
    write_member(&json, line, "before", "before");
    if (kw_line_value(line, "before") == NULL) {
        write_member(&json, line, "owner", "owner");
        write_member(&json, line, "actor", "actor");
    }
    write_member(&json, line, "reason", "reason");
    kw_json_end_object(&json);
    if (kw_buffer_status(&body) != KW_OK) {
        struct kw_error error = {0};
        (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL, "--reason takes 256 bytes of text at most");
        return kw_report(cli, &error, kw_line_has(line, "json"));
    }
    asking.body = kw_buffer_bytes(&body);
    return ask_path(cli, line, &asking, show_job);
}

/* --- the command --- */

/* What a list is narrowed by would leave out entries of the chain. */
static bool is_narrowed(const struct kw_command_line *line)
{
    bool is = false;
    for (size_t i = 0; i < line->given_count; i++) {
        is = is || line->given[i].option->place == KW_PLACE_QUERY;
    }
    return is;
}

static enum kw_status read_public_key(const struct kw_command_line *line, uint8_t key[KW_PUBLIC_KEY_SIZE],
                                      struct kw_error *error_out)
{
    const char *value = kw_line_value(line, "public-key");
    return value == NULL || kw_hex_decode(kw_bytes_of_text(value), key, KW_PUBLIC_KEY_SIZE)
               ? KW_OK
               : kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                         "--public-key takes %d hexadecimal digits, as `keyward audit checkpoints` shows them",
                         2 * KW_PUBLIC_KEY_SIZE);
}

static enum kw_status check_erase(const struct kw_command_line *line, struct kw_error *error_out)
{
    bool has_person = kw_line_has(line, "owner") || kw_line_has(line, "actor");
    bool has_more = false;
    for (size_t i = 0; i < line->given_count; i++) {
        const char *name = line->given[i].option->name;
        has_more = has_more || (line->given[i].option->place == KW_PLACE_QUERY && strcmp(name, "owner") != 0 &&
                                strcmp(name, "actor") != 0);
    }
    return has_person && !has_more ? KW_OK
                                   : kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                                             "erase takes --owner TYPE:ID, --actor WHO or both, and goes through the "
                                             "whole log");
}

static enum kw_status check_line(const struct kw_command_line *line, const char *what, struct kw_error *error_out)
{
    bool lists = strcmp(what, "list") == 0 || strcmp(what, "checkpoints") == 0;
    bool verifies = strcmp(what, "verify") == 0;
    bool prunes = strcmp(what, "prune") == 0;
    bool erases = strcmp(what, "erase") == 0;
    bool knows = kw_line_has(line, "head") || kw_line_has(line, "public-key") || kw_line_has(line, "checkpoints");
    if (!lists && !verifies && !prunes && !erases && strcmp(what, "export") != 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "'%s' is nothing to do with the log: list, export, verify, checkpoints, prune or erase", what);
    }
    if (prunes != kw_line_has(line, "before") || (!prunes && !erases && kw_line_has(line, "reason"))) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "prune takes --before TIME, which nothing else does; prune and erase alone take --reason");
    }
    if (erases) {
        return check_erase(line, error_out);
    }
    if (line->operand_count > 1 && !verifies) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "only verify takes a file");
    }
    if (!lists && (is_narrowed(line) || (kw_line_has(line, "json") && !prunes))) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "only the list is narrowed, or shown as --json: export and verify take the whole log");
    }
    return verifies || !knows ? KW_OK
                              : kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                                        "--head, --public-key and --checkpoints are for verify");
}

int kw_cmd_audit(struct kw_cli *cli, const struct kw_command_line *line)
{
    const char *what = line->operand_count == 0 ? "list" : line->operands[0];
    uint8_t public_key[KW_PUBLIC_KEY_SIZE];
    struct kw_audit_chain head;
    struct kw_error error = {0};
    if (check_line(line, what, &error) != KW_OK || read_head(line, &head, &error) != KW_OK ||
        read_public_key(line, public_key, &error) != KW_OK) {
        return kw_report(cli, &error, kw_line_has(line, "json"));
    }
    if (strcmp(what, "list") == 0) {
        return kw_key_ask(cli, line, NULL, show_page);
    }
    if (strcmp(what, "prune") == 0 || strcmp(what, "erase") == 0) {
        return run_job(cli, line, strcmp(what, "prune") == 0 ? "/v1/audit/prune" : "/v1/audit/erase");
    }
    return strcmp(what, "checkpoints") == 0
               ? ask_path(cli, line, &(struct kw_asking){KW_GET, "/v1/audit/checkpoints", {0}, false}, show_checkpoints)
               : go_through(cli, line, &head, kw_line_has(line, "public-key") ? public_key : NULL);
}
