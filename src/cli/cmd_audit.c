#include "cli/keys.h"
#include "cli/text.h"
#include "core/audit.h"

#include <errno.h>
#include <stdio.h>

/* The audit log: a page of it for people, all of it as lines, and the proof that it, or a copy of it, is whole. */

#define CURSOR_SIZE 64
#define PAGE_QUERY "sort=timestamp&limit=1000"
#define END_START "{\"keyward\":\"end\",\"entries\":"
#define REASON_WIDTH 40
#define CHUNK_SIZE ((size_t)65536)
#define ENTRY_ARENA_MAX ((size_t)4 * KW_AUDIT_LINE_JSON_MAX)

enum { ITEMS, NEXT_CURSOR, PAGE_COUNT };

/* All pages, from the earliest entry on. */
struct pages {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    struct kw_target *target;
    struct kw_formed_request *formed;
    enum kw_status (*each)(void *context, const struct kw_json_token *item, struct kw_bytes raw);
    void *context;
    uint64_t count;
    struct kw_error error; /* of `each`, where it says stop */
};

static enum kw_status count_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct pages *pages = context;
    pages->count++;
    return pages->each(pages->context, item, raw);
}

/* False: it failed and was reported, or `each` said stop with pages->error. */
static bool walk_pages(struct pages *pages)
{
    char cursor[CURSOR_SIZE] = "";
    bool goes_on = true;
    bool is_good = true;
    while (goes_on && is_good) {
        char query[sizeof PAGE_QUERY + CURSOR_SIZE + 8];
        struct kw_member members[PAGE_COUNT] = {[ITEMS] = {"items"}, [NEXT_CURSOR] = {"nextCursor"}};
        struct kw_answer answer;
        struct kw_arena arena;
        kw_answer_init(&answer);
        kw_arena_init(&arena, NULL, 0, (size_t)2 * KW_ANSWER_ARENA_MAX);
        snprintf(query, sizeof query, PAGE_QUERY "%s%s", cursor[0] == '\0' ? "" : "&cursor=", cursor);
        pages->formed->request.query = kw_bytes_of_text(query);
        is_good = kw_key_send(pages->cli, pages->line, pages->target, pages->formed, &answer);
        if (is_good) {
            enum kw_status status = kw_members_read(kw_buffer_bytes(&answer.body), &arena, members, PAGE_COUNT);
            struct kw_bytes next = members[NEXT_CURSOR].text;
            status = status == KW_OK ? kw_items_each(members[ITEMS].text, &arena, count_item, pages) : status;
            goes_on = members[NEXT_CURSOR].type == KW_JSON_STRING && next.size > 0;
            is_good = status == KW_OK && next.size < sizeof cursor;
            if (!is_good && pages->error.code == NULL) {
                (void)kw_report_nonsense(pages->cli, false);
            }
            snprintf(cursor, sizeof cursor, "%.*s", goes_on ? (int)next.size : 0, (const char *)next.data);
        }
        kw_arena_reset(&arena);
        kw_answer_deinit(&answer);
    }
    return is_good;
}

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
    struct kw_member members[PAGE_COUNT] = {[ITEMS] = {"items"}, [NEXT_CURSOR] = {"nextCursor"}};
    struct kw_arena arena;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&arena, NULL, 0, (size_t)2 * KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, PAGE_COUNT);
    status = status == KW_OK ? kw_items_each(members[ITEMS].text, &arena, show_entry, cli) : status;
    if (status == KW_OK && members[NEXT_CURSOR].type == KW_JSON_STRING) {
        kw_buffer_add_text(&cli->out.text, "There is more: --cursor=");
        kw_text_clean(&cli->out.text, members[NEXT_CURSOR].text);
        kw_buffer_add_byte(&cli->out.text, '\n');
    }
    kw_arena_reset(&arena);
    return status;
}

/* --- export --- */

static enum kw_status write_entry(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct pages *pages = context;
    struct kw_output *out = &pages->cli->out;
    (void)item;
    kw_buffer_add(&out->text, raw);
    kw_buffer_add_byte(&out->text, '\n');
    return kw_output_flush(out, &pages->error);
}

/* --- verify --- */

struct proving {
    struct kw_audit_proof proof;
    struct kw_bytes project; /* of the first entry; in `memory` */
    uint8_t memory[KW_PROJECT_MAX];
    uint64_t entries;
    bool has_ended; /* the last line was there */
    struct kw_error *error;
};

static enum kw_status prove_entry(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct proving *proving = context;
    struct kw_audit_line line;
    struct kw_audit_seal seal;
    struct kw_arena arena;
    bool has_seal = false;
    (void)item;
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    enum kw_status status = kw_audit_line_read(raw, &arena, &line, &seal, &has_seal, proving->error);
    if (status == KW_OK && proving->entries == 0) {
        proving->project = kw_bytes_of(proving->memory, line.project.size);
        if (line.project.size > 0) {
            memcpy(proving->memory, line.project.data, line.project.size);
        }
    }
    if (status == KW_OK && !kw_bytes_equal(proving->project, line.project)) {
        status =
            kw_fail(proving->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                    "these are entries of several projects: each has a chain of its own, so verify them one by one");
    }
    if (status == KW_OK) {
        kw_audit_proof_add(&proving->proof, &line, has_seal ? &seal : NULL);
        proving->entries++;
    }
    kw_arena_reset(&arena);
    return status;
}

/* "PLACE:LINK", as an earlier proof gave it. */
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

static int show_proof(struct kw_cli *cli, const struct kw_audit_proof *proof, bool as_json)
{
    struct kw_buffer *text = &cli->out.text;
    const struct kw_audit_chain *head = &proof->chain;
    char link[2 * KW_AUDIT_LINK_SIZE + 1] = "";
    kw_hex_encode(kw_bytes_of(head->link, sizeof head->link), link);
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
    if (head->place > 0) {
        kw_buffer_add_format(text, "Head: %llu:%llu:%.*s\n", (unsigned long long)head->place,
                             (unsigned long long)head->sequence, 2 * KW_AUDIT_LINK_SIZE, link);
    }
    return kw_finish(cli, is_whole ? KW_EXIT_OK : KW_EXIT_NOT_VALID, as_json);
}

/* The last line says how many there are, so that a copy which was cut off is not taken for the whole. */
static enum kw_status end_copy(struct proving *proving, struct kw_bytes text)
{
    struct kw_bytes rest = kw_bytes_skip(text, sizeof END_START - 1);
    struct kw_bytes number, behind;
    uint64_t entries = 0;
    kw_bytes_split(rest, '}', &number, &behind);
    if (behind.size > 0 || !kw_bytes_to_u64(number, &entries) || entries != proving->entries) {
        return kw_fail(proving->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "the copy is not whole: it has %llu entries, and its last line says otherwise",
                       (unsigned long long)proving->entries);
    }
    proving->has_ended = true;
    return KW_OK;
}

/* One line of a copy, without its end. */
static enum kw_status prove_line(struct proving *proving, struct kw_bytes text, uint64_t number)
{
    if (proving->has_ended) {
        return kw_fail(proving->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "line %llu of the copy stands behind its end",
                       (unsigned long long)number);
    }
    return kw_bytes_starts_with(text, KW_BYTES(END_START)) ? end_copy(proving, text) : prove_entry(proving, NULL, text);
}

/* The lines that are whole in what was read so far; what is left of the last one moves to the front. */
static enum kw_status prove_lines(struct proving *proving, struct kw_buffer *read, bool is_last, uint64_t *number)
{
    struct kw_bytes rest = kw_buffer_bytes(read);
    enum kw_status status = KW_OK;
    while (status == KW_OK && rest.size > 0 && (is_last || memchr(rest.data, '\n', rest.size) != NULL)) {
        struct kw_bytes text;
        kw_bytes_split(rest, '\n', &text, &rest);
        (*number)++;
        status = prove_line(proving, text, *number);
    }
    if (rest.size > 0) {
        memmove(read->data, rest.data, rest.size);
    }
    read->size = rest.size;
    return status;
}

static enum kw_status prove_copy(const char *path, struct proving *proving)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return kw_fail(proving->error, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path,
                       strerror(errno));
    }
    struct kw_buffer read;
    enum kw_status status = KW_OK;
    uint64_t number = 0;
    size_t size = 1;
    kw_buffer_init(&read, KW_AUDIT_LINE_JSON_MAX + CHUNK_SIZE);
    while (status == KW_OK && size > 0) {
        uint8_t *end = kw_buffer_reserve(&read, CHUNK_SIZE);
        if (end == NULL) {
            status = kw_fail(proving->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                             "line %llu of the copy is longer than any entry", (unsigned long long)number + 1);
            break;
        }
        size = fread(end, 1, CHUNK_SIZE, file);
        read.size += size;
        status = prove_lines(proving, &read, size == 0, &number);
    }
    if (status == KW_OK && ferror(file) != 0) {
        status = kw_fail(proving->error, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read", path);
    } else if (status == KW_OK && !proving->has_ended) {
        status =
            kw_fail(proving->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "the copy is cut off: its last line is missing");
    }
    kw_buffer_deinit(&read);
    (void)fclose(file);
    return status;
}

static int verify_copy(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_audit_chain *head)
{
    struct kw_error error = {0};
    struct proving proving = {.error = &error};
    kw_audit_proof_begin(&proving.proof, head);
    if (prove_copy(line->operands[1], &proving) != KW_OK) {
        return kw_report(cli, &error, false);
    }
    kw_audit_proof_end(&proving.proof);
    return show_proof(cli, &proving.proof, false);
}

/* --- the command --- */

static int run_pages(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_audit_chain *head,
                     bool verifies)
{
    struct kw_formed_request formed = {0};
    struct pages pages = {.cli = cli, .line = line, .formed = &formed};
    struct proving proving = {.error = &pages.error};
    int code = KW_EXIT_FAILED;
    kw_audit_proof_begin(&proving.proof, head);
    pages.each = verifies ? prove_entry : write_entry;
    pages.context = verifies ? (void *)&proving : (void *)&pages;
    if (kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &pages.target) && walk_pages(&pages)) {
        if (verifies) {
            kw_audit_proof_end(&proving.proof);
            code = show_proof(cli, &proving.proof, false);
        } else {
            kw_buffer_add_format(&cli->out.text, END_START "%llu}\n", (unsigned long long)pages.count);
            code = kw_finish(cli, KW_EXIT_OK, false);
        }
    } else if (pages.error.code != NULL) {
        code = kw_report(cli, &pages.error, false);
    }
    kw_formed_request_deinit(&formed);
    kw_target_close(pages.target);
    return code;
}

/* What a list is narrowed by would leave out entries of the chain. */
static bool is_narrowed(const struct kw_command_line *line)
{
    bool is = false;
    for (size_t i = 0; i < line->given_count; i++) {
        is = is || line->given[i].option->place == KW_PLACE_QUERY;
    }
    return is;
}

int kw_cmd_audit(struct kw_cli *cli, const struct kw_command_line *line)
{
    const char *what = line->operand_count == 0 ? "list" : line->operands[0];
    bool lists = strcmp(what, "list") == 0;
    bool verifies = strcmp(what, "verify") == 0;
    struct kw_audit_chain head;
    struct kw_error error = {0};
    if (!lists && !verifies && strcmp(what, "export") != 0) {
        (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                      "'%s' is nothing to do with the log: list, export or verify", what);
    } else if (line->operand_count > 1 && !verifies) {
        (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL, "only verify takes a file");
    } else if (!lists && (is_narrowed(line) || kw_line_has(line, "json"))) {
        (void)kw_fail(&error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                      "only the list is narrowed, or shown as --json: export and verify take the whole log");
    } else if (read_head(line, &head, &error) == KW_OK) {
        return lists                     ? kw_key_ask(cli, line, NULL, show_page)
               : line->operand_count > 1 ? verify_copy(cli, line, &head)
                                         : run_pages(cli, line, &head, verifies);
    }
    return kw_report(cli, &error, kw_line_has(line, "json"));
}
