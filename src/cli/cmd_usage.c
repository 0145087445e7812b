#include "base/csv.h"
#include "base/json.h"
#include "base/time.h"
#include "cli/keys.h"
#include "cli/text.h"

#include <stdlib.h>

/* What was counted: a line with a bar for each hour or day, and one for each code, endpoint, region or metric. */

#define BAR_WIDTH 40

enum { TOTALS, SERIES, GROUP, BY, QUOTAS, RATE_LIMITS, MEMBER_COUNT };
enum { AT, VERIFICATIONS, VALID, COUNTS, PART_COUNT };

/* An answer on its way to the terminal. */
struct counts_view {
    struct kw_output *out;
    struct kw_arena arena;
    struct kw_bytes group; /* "code" */
    bool by_day;
    double most; /* the longest bar's */
    size_t named_count;
    struct kw_table table;
    struct kw_bytes at; /* of the part that is shown; CSV */
};

typedef enum kw_status each_count(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount);

/* Calls `each` with every member of an object of numbers. */
static enum kw_status counts_each(struct counts_view *view, struct kw_bytes object, each_count *each)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_error error;
    kw_json_reader_init(&reader, object, &view->arena);
    enum kw_status status = kw_json_next(&reader, &token, &error);
    status = status == KW_OK ? kw_json_next(&reader, &token, &error) : status;
    while (status == KW_OK && token.type == KW_JSON_NAME) {
        struct kw_bytes name = token.text;
        status = kw_json_next(&reader, &token, &error);
        if (status == KW_OK && token.type != KW_JSON_NUMBER) {
            return KW_E_INVALID;
        }
        status = status == KW_OK ? each(view, name, token.text) : status;
        status = status == KW_OK ? kw_json_next(&reader, &token, &error) : status;
    }
    return status;
}

static double number_of(struct kw_bytes text)
{
    char memory[64];
    size_t size = text.size < sizeof memory ? text.size : sizeof memory - 1;
    memcpy(memory, text.data, size);
    memory[size] = '\0';
    return strtod(memory, NULL);
}

/* In proportion to the most; what is there at all has an eighth. */
static void add_bar(struct kw_buffer *text, double amount, double most)
{
    static const char *const parts[] = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
    unsigned eighths = most <= 0 ? 0 : (unsigned)(amount / most * BAR_WIDTH * 8 + 0.5);
    eighths = eighths == 0 && amount > 0 ? 1 : eighths;
    for (unsigned i = 0; i < eighths / 8; i++) {
        kw_buffer_add_text(text, "\u2588");
    }
    kw_buffer_add_text(text, parts[eighths % 8]);
}

static void add_line(struct counts_view *view, struct kw_bytes first, struct kw_bytes second, struct kw_bytes third,
                     double amount, bool is_measured)
{
    uint8_t memory[BAR_WIDTH * 3 + 8];
    struct kw_buffer bar;
    kw_buffer_init_fixed(&bar, memory, sizeof memory);
    add_bar(&bar, amount, view->most);
    const struct kw_cell cells[] = {{first, NULL}, {second, NULL}, {third, NULL}, {kw_buffer_bytes(&bar), NULL}};
    if (is_measured) {
        kw_table_row(&view->table, cells, view->out->colour, &view->out->text);
    } else {
        kw_table_measure(&view->table, cells);
    }
}

static void add_head(struct counts_view *view, const char *first, const char *second, const char *third,
                     bool is_measured)
{
    const struct kw_cell cells[] = {{kw_bytes_of_text(first), KW_COLOUR_BOLD},
                                    {kw_bytes_of_text(second), KW_COLOUR_BOLD},
                                    {kw_bytes_of_text(third), KW_COLOUR_BOLD},
                                    {KW_BYTES(""), NULL}};
    if (is_measured) {
        kw_table_row(&view->table, cells, view->out->colour, &view->out->text);
    } else {
        kw_table_measure(&view->table, cells);
    }
}

static enum kw_status read_part(struct counts_view *view, struct kw_bytes raw, struct kw_member members[PART_COUNT])
{
    const char *const names[PART_COUNT] = {
        [AT] = "at", [VERIFICATIONS] = "verifications", [VALID] = "valid", [COUNTS] = "counts"};
    for (size_t i = 0; i < PART_COUNT; i++) {
        members[i] = (struct kw_member){.name = names[i]};
    }
    enum kw_status status = kw_members_read(raw, &view->arena, members, PART_COUNT);
    bool is_part = members[VERIFICATIONS].type == KW_JSON_NUMBER && members[VALID].type == KW_JSON_NUMBER &&
                   members[COUNTS].type == KW_JSON_OBJECT_BEGIN;
    return status == KW_OK && !is_part ? KW_E_INVALID : status;
}

static enum kw_status find_most_part(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    struct counts_view *view = context;
    struct kw_member members[PART_COUNT];
    enum kw_status status = read_part(view, raw, members);
    double amount = status == KW_OK ? number_of(members[VERIFICATIONS].text) : 0;
    view->most = amount > view->most ? amount : view->most;
    return status;
}

static enum kw_status part_line(struct counts_view *view, struct kw_bytes raw, bool is_measured)
{
    struct kw_member members[PART_COUNT];
    char at[32] = "";
    enum kw_status status = read_part(view, raw, members);
    if (status == KW_OK && members[AT].text.size == KW_TIME_TEXT_SIZE) { /* "2026-01-31 10:00", or the day alone */
        memcpy(at, members[AT].text.data, 16);
        at[10] = view->by_day ? '\0' : ' ';
        add_line(view, kw_bytes_of_text(at), members[VERIFICATIONS].text, members[VALID].text,
                 number_of(members[VERIFICATIONS].text), is_measured);
    }
    return status;
}

static enum kw_status measure_part(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    return part_line(context, raw, false);
}

static enum kw_status write_part(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    return part_line(context, raw, true);
}

static enum kw_status find_most_count(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount)
{
    (void)name;
    double value = number_of(amount);
    view->most = value > view->most ? value : view->most;
    return KW_OK;
}

static enum kw_status measure_count(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount)
{
    add_line(view, name, amount, (struct kw_bytes){NULL, 0}, number_of(amount), false);
    return KW_OK;
}

static enum kw_status write_count(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount)
{
    add_line(view, name, amount, (struct kw_bytes){NULL, 0}, number_of(amount), true);
    return KW_OK;
}

static void begin_table(struct counts_view *view)
{
    view->table = (struct kw_table){.column_count = 4, .width_max = {64}};
    view->most = 0;
}

static enum kw_status show_series(struct counts_view *view, struct kw_bytes series)
{
    begin_table(view);
    enum kw_status status = kw_items_each(series, &view->arena, find_most_part, view);
    add_head(view, view->by_day ? "DAY (UTC)" : "HOUR (UTC)", "VERIFIED", "VALID", false);
    status = status == KW_OK ? kw_items_each(series, &view->arena, measure_part, view) : status;
    add_head(view, view->by_day ? "DAY (UTC)" : "HOUR (UTC)", "VERIFIED", "VALID", true);
    return status == KW_OK ? kw_items_each(series, &view->arena, write_part, view) : status;
}

static enum kw_status show_totals(struct counts_view *view, const struct kw_member *totals)
{
    static const struct {
        const char *group, *head;
    } heads[] = {{"code", "CODE"}, {"endpoint", "ENDPOINT"}, {"region", "REGION"}, {"metric", "METRIC"}};
    const char *head = "";
    for (size_t i = 0; i < KW_COUNT_OF(heads); i++) {
        head = kw_bytes_equal(view->group, kw_bytes_of_text(heads[i].group)) ? heads[i].head : head;
    }
    begin_table(view);
    enum kw_status status = counts_each(view, totals[COUNTS].text, find_most_count);
    add_head(view, head, "AMOUNT", "", false);
    status = status == KW_OK ? counts_each(view, totals[COUNTS].text, measure_count) : status;
    add_head(view, head, "AMOUNT", "", true);
    return status == KW_OK ? counts_each(view, totals[COUNTS].text, write_count) : status;
}

/* --- CSV: a line for each amount --- */

static enum kw_status csv_count(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount)
{
    struct kw_buffer *text = &view->out->text;
    kw_buffer_add(text, view->at);
    kw_buffer_add_byte(text, ',');
    kw_csv_write_cell(text, name);
    kw_buffer_add_byte(text, ',');
    kw_buffer_add(text, amount);
    kw_buffer_add_byte(text, '\n');
    return KW_OK;
}

static enum kw_status csv_part(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    (void)item;
    struct counts_view *view = context;
    struct kw_member members[PART_COUNT];
    enum kw_status status = read_part(view, raw, members);
    view->at = members[AT].text;
    return status == KW_OK ? counts_each(view, members[COUNTS].text, csv_count) : status;
}

static enum kw_status show_csv(struct counts_view *view, struct kw_bytes series)
{
    kw_buffer_add_text(&view->out->text, "at,");
    kw_buffer_add(&view->out->text, view->group);
    kw_buffer_add_text(&view->out->text, ",amount\n");
    return kw_items_each(series, &view->arena, csv_part, view);
}

/* --- */

/* One line: how much of a quota is used, and until when; or of a rate limit, and when all of it is back. */
static enum kw_status show_standing(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { NAME, USED, LIMIT, WINDOW, REMAINING, RESETS_AT, COUNT };
    struct counts_view *view = context;
    struct kw_buffer *text = &view->out->text;
    struct kw_member members[COUNT] = {[NAME] = {"name"},     [USED] = {"used"},           [LIMIT] = {"limit"},
                                       [WINDOW] = {"window"}, [REMAINING] = {"remaining"}, [RESETS_AT] = {"resetsAt"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, &view->arena, members, COUNT);
    if (status != KW_OK) {
        return status;
    }
    bool is_limit = members[WINDOW].text.size > 0;
    kw_text_clean(text, members[NAME].text);
    kw_buffer_add_text(text, "  ");
    kw_text_clean(text, members[USED].text);
    kw_buffer_add_text(text, " of ");
    kw_text_clean(text, members[LIMIT].text);
    kw_buffer_add_text(text, is_limit ? "/" : "");
    kw_text_clean(text, members[WINDOW].text);
    kw_buffer_add_text(text, " used, ");
    kw_text_clean(text, members[REMAINING].text);
    kw_buffer_add_text(text, is_limit ? " left, all of it at " : " left until ");
    kw_text_clean(text, members[RESETS_AT].text);
    kw_buffer_add_byte(text, '\n');
    return KW_OK;
}

static enum kw_status show_standings(struct counts_view *view, const char *head, const struct kw_member *array)
{
    if (array->type != KW_JSON_ARRAY_BEGIN || array->text.size <= 2) {
        return KW_OK;
    }
    kw_buffer_add_byte(&view->out->text, '\n');
    kw_buffer_add_text(&view->out->text, head);
    kw_buffer_add_byte(&view->out->text, '\n');
    return kw_items_each(array->text, &view->arena, show_standing, view);
}

static enum kw_status show(struct counts_view *view, struct kw_bytes body, bool as_csv)
{
    struct kw_member members[MEMBER_COUNT] = {
        [TOTALS] = {"totals"}, [SERIES] = {"series"}, [GROUP] = {"group"},
        [BY] = {"by"},         [QUOTAS] = {"quotas"}, [RATE_LIMITS] = {"rateLimits"}};
    struct kw_member totals[PART_COUNT];
    enum kw_status status = kw_members_read(body, &view->arena, members, MEMBER_COUNT);
    if (status == KW_OK &&
        (members[TOTALS].type != KW_JSON_OBJECT_BEGIN || members[SERIES].type != KW_JSON_ARRAY_BEGIN)) {
        status = KW_E_INVALID;
    }
    status = status == KW_OK ? read_part(view, members[TOTALS].text, totals) : status;
    if (status != KW_OK) {
        return status;
    }
    view->group = members[GROUP].text;
    view->by_day = kw_bytes_equal(members[BY].text, KW_BYTES("day"));
    if (as_csv) {
        return show_csv(view, members[SERIES].text);
    }
    status = show_series(view, members[SERIES].text);
    kw_buffer_add_byte(&view->out->text, '\n');
    status = status == KW_OK ? show_totals(view, totals) : status;
    status = status == KW_OK ? show_standings(view, "Quotas", &members[QUOTAS]) : status;
    return status == KW_OK ? show_standings(view, "Rate limits", &members[RATE_LIMITS]) : status;
}

static enum kw_status check_line(const struct kw_command_line *line, struct kw_error *error_out)
{
    static const char *const others[] = {"owner", "org"};
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        if (line->operand_count > 0 && kw_line_has(line, others[i])) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "give the id of a key or --%s, not both",
                           others[i]);
        }
    }
    if (kw_line_has(line, "json") && kw_line_has(line, "csv")) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--json and --csv exclude each other: give one");
    }
    return KW_OK;
}

static enum kw_status show_answer(struct kw_cli *cli, const struct kw_command_line *line,
                                  const struct kw_answer *answer)
{
    struct counts_view view = {.out = &cli->out};
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&view.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = show(&view, kw_buffer_bytes(&answer->body), kw_line_has(line, "csv"));
    kw_arena_reset(&view.arena);
    return status;
}

static enum kw_status show_credit(struct kw_cli *cli, const struct kw_command_line *line,
                                  const struct kw_answer *answer)
{
    struct counts_view view = {.out = &cli->out};
    if (kw_line_has(line, "json")) {
        return show_answer(cli, line, answer);
    }
    kw_arena_init(&view.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = show_standing(&view, NULL, kw_buffer_bytes(&answer->body));
    kw_arena_reset(&view.arena);
    return status;
}

int kw_cmd_usage(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_key_ask(cli, line, check_line, show_answer);
}

static enum kw_status add_counted(struct counts_view *view, struct kw_bytes name, struct kw_bytes amount)
{
    kw_buffer_add_text(&view->out->text, view->named_count++ > 0 ? ", " : " ");
    kw_text_clean(&view->out->text, name);
    kw_buffer_add_byte(&view->out->text, ' ');
    kw_text_clean(&view->out->text, amount);
    return KW_OK;
}

/* "Counted of key_01…: tokens 1500, cost 0.002" */
static enum kw_status show_report(struct kw_cli *cli, const struct kw_command_line *line,
                                  const struct kw_answer *answer)
{
    struct counts_view view = {.out = &cli->out};
    struct kw_member counted = {"counted"};
    if (kw_line_has(line, "json")) {
        return show_answer(cli, line, answer);
    }
    kw_arena_init(&view.arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &view.arena, &counted, 1);
    kw_buffer_add_format(&cli->out.text, "Counted of %s:", line->operands[0]);
    status = status == KW_OK ? counts_each(&view, counted.text, add_counted) : status;
    kw_buffer_add_byte(&cli->out.text, '\n');
    kw_arena_reset(&view.arena);
    return status;
}

int kw_cmd_report(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_key_ask(cli, line, NULL, show_report);
}

int kw_cmd_credit(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_key_ask(cli, line, NULL, show_credit);
}
