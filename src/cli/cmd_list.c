#include "cli/keys.h"
#include "cli/record_view.h"

#include <stdio.h>

#define CURSOR_SIZE 512

/* A list on its way: page after page with --all, each written before the next is asked for. */
struct listing {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    struct kw_table table;
    bool as_json;
    bool follows; /* --all */
    size_t page_count, item_count;
    char cursor[CURSOR_SIZE]; /* where the next page begins; empty: that was the last */
};

enum { ITEMS, NEXT_CURSOR, MEMBER_COUNT };

static enum kw_status count_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    (void)raw;
    (*(size_t *)context)++;
    return KW_OK;
}

/* The pages of --all as one object. */
static void add_json_items(struct listing *listing, struct kw_bytes items, size_t count)
{
    struct kw_buffer *text = &listing->cli->out.text;
    kw_buffer_add_text(text, listing->page_count == 0 ? "{\"items\":[" : "");
    kw_buffer_add_text(text, listing->item_count > 0 && count > 0 ? "," : "");
    kw_buffer_add(text, kw_bytes_of(items.data + 1, items.size - 2)); /* without its brackets */
    kw_buffer_add_text(text, listing->cursor[0] == '\0' ? "]}\n" : "");
}

static enum kw_status add_page(struct listing *listing, const struct kw_answer *answer, const struct kw_member *members,
                               struct kw_arena *arena)
{
    size_t count = 0;
    struct kw_output *out = &listing->cli->out;
    enum kw_status status = kw_items_each(members[ITEMS].text, arena, count_item, &count);
    if (status != KW_OK) {
        return status;
    }
    if (listing->as_json && listing->follows) {
        add_json_items(listing, members[ITEMS].text, count);
    } else if (listing->as_json) {
        kw_buffer_add(&out->text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&out->text, '\n');
    } else if (count > 0) {
        struct kw_clock clock = listing->cli->clock;
        status = kw_list_page(&listing->table, members[ITEMS].text, listing->item_count == 0,
                              clock.now_ms(clock.context), out);
    }
    listing->page_count++;
    listing->item_count += count;
    return status;
}

/* Takes the page in; KW_E_INVALID when it is no page. */
static enum kw_status take_page(struct listing *listing, const struct kw_answer *answer)
{
    struct kw_member members[MEMBER_COUNT] = {[ITEMS] = {"items"}, [NEXT_CURSOR] = {"nextCursor"}};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, MEMBER_COUNT);
    struct kw_bytes cursor = members[NEXT_CURSOR].text;
    bool has_cursor = members[NEXT_CURSOR].type == KW_JSON_STRING;
    if (status == KW_OK && (members[ITEMS].type != KW_JSON_ARRAY_BEGIN || cursor.size >= CURSOR_SIZE)) {
        status = KW_E_INVALID;
    }
    if (status == KW_OK) {
        snprintf(listing->cursor, sizeof listing->cursor, "%.*s", has_cursor ? (int)cursor.size : 0,
                 (const char *)cursor.data);
        status = add_page(listing, answer, members, &arena);
    }
    kw_arena_reset(&arena);
    return status;
}

/* One page: asked for, taken in, written. */
static bool list_page(struct listing *listing, struct kw_target *target, const struct kw_formed_request *formed)
{
    struct kw_answer answer;
    struct kw_error error = {0};
    kw_answer_init(&answer);
    bool done = kw_key_send(listing->cli, listing->line, target, formed, &answer);
    if (done && take_page(listing, &answer) != KW_OK) {
        (void)kw_report_nonsense(listing->cli, listing->as_json);
        done = false;
    }
    if (done && kw_output_flush(&listing->cli->out, &error) != KW_OK) {
        (void)kw_report(listing->cli, &error, listing->as_json);
        done = false;
    }
    kw_answer_deinit(&answer);
    return done;
}

static bool next_page(struct listing *listing, struct kw_target *target)
{
    struct kw_formed_request formed = {0};
    struct kw_error error = {0};
    bool done = kw_request_form(listing->line, (struct kw_bytes){0}, listing->cursor, &formed, &error) == KW_OK;
    if (done) {
        done = list_page(listing, target, &formed);
    } else {
        (void)kw_report(listing->cli, &error, listing->as_json);
    }
    kw_formed_request_deinit(&formed);
    return done;
}

/* Beside the list, for people: on standard error, so that the list can be counted and cut. */
static void say_rest(const struct listing *listing)
{
    struct kw_output *err = &listing->cli->err;
    if (listing->as_json) {
        return;
    }
    bool is_empty = listing->item_count == 0;
    if (listing->cursor[0] != '\0') {
        kw_buffer_add_text(&err->text,
                           is_empty ? "No keys so far, and not all were looked at: --all looks at them, --cursor "
                                    : "There are more: --all shows them all, --cursor ");
        kw_text_clean(&err->text, kw_bytes_of_text(listing->cursor));
        kw_buffer_add_text(&err->text, is_empty ? " at the next ones.\n" : " the next ones.\n");
    } else if (is_empty) {
        kw_buffer_add_text(&err->text, "No keys.\n");
    }
    kw_output_say(err);
}

enum { COUNT, AT_LEAST, COUNT_MEMBERS };

static enum kw_status show_count(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    struct kw_output *out = &cli->out;
    bool as_json = kw_line_has(line, "json");
    struct kw_member members[COUNT_MEMBERS] = {[COUNT] = {"count"}, [AT_LEAST] = {"atLeast"}};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, COUNT_MEMBERS);
    if (status == KW_OK && members[COUNT].type != KW_JSON_NUMBER) {
        status = KW_E_INVALID;
    }
    if (status == KW_OK && as_json) {
        kw_buffer_add(&out->text, kw_buffer_bytes(&answer->body));
    } else if (status == KW_OK) {
        kw_buffer_add_text(&out->text, members[AT_LEAST].type == KW_JSON_TRUE ? "at least " : "");
        kw_buffer_add(&out->text, members[COUNT].text);
    }
    kw_buffer_add_byte(&out->text, '\n');
    kw_arena_reset(&arena);
    return status;
}

/* What says which page to show has no place beside a count. */
static enum kw_status check_count(const struct kw_command_line *line, struct kw_error *error_out)
{
    static const char *const of_pages[] = {"sort", "limit", "cursor", "all"};
    for (size_t i = 0; i < KW_COUNT_OF(of_pages); i++) {
        if (kw_line_has(line, of_pages[i])) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--count and --%s exclude each other: give one",
                           of_pages[i]);
        }
    }
    return KW_OK;
}

int kw_cmd_list(struct kw_cli *cli, const struct kw_command_line *line)
{
    if (kw_line_has(line, "count")) {
        return kw_key_ask(cli, line, check_count, show_count);
    }
    struct listing listing = {
        .cli = cli, .line = line, .as_json = kw_line_has(line, "json"), .follows = kw_line_has(line, "all")};
    kw_list_table_init(&listing.table);
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    bool done = kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target) && list_page(&listing, target, &formed);
    while (done && listing.follows && listing.cursor[0] != '\0') {
        done = next_page(&listing, target);
    }
    if (done) {
        say_rest(&listing);
    }
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return done ? KW_EXIT_OK : KW_EXIT_FAILED;
}
