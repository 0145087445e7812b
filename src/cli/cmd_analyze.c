#include "cli/keys.h"
#include "cli/text.h"
#include "core/insight.h"

#define CELL_MAX 512

/* --- a line of the shell that follows a recommendation --- */

enum { EXPIRES_IN, GRACE, SCOPES, ALLOWED_IPS, RATE_LIMITS, SUGGESTED_MEMBERS };

struct command_text {
    struct kw_buffer *text;
    struct kw_arena *arena;
    const char *option;
};

static bool is_plain(struct kw_bytes value)
{
    bool good = value.size != 0;
    for (size_t i = 0; good && i < value.size; i++) {
        uint8_t c = value.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        good = is_letter || (c >= '0' && c <= '9') || (c != '\0' && strchr("./:_@+-", c) != NULL);
    }
    return good;
}

static void add_option(const struct command_text *command, const char *option, struct kw_bytes value)
{
    kw_buffer_add_format(command->text, " --%s ", option);
    if (is_plain(value)) {
        kw_buffer_add(command->text, value);
        return;
    }
    uint8_t memory[CELL_MAX];
    struct kw_buffer quoted;
    kw_buffer_init_fixed(&quoted, memory, sizeof memory);
    kw_text_shell_quote(&quoted, value);
    kw_text_clean(command->text, kw_buffer_bytes(&quoted));
}

static enum kw_status add_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    const struct command_text *command = context;
    (void)raw;
    add_option(command, command->option, item->text);
    return KW_OK;
}

/* {"requests":1000,"window":"1h"} as 1000/1h */
static enum kw_status add_limit(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { REQUESTS, WINDOW, COUNT };
    const struct command_text *command = context;
    struct kw_member members[COUNT] = {[REQUESTS] = {"requests"}, [WINDOW] = {"window"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, command->arena, members, COUNT);
    uint8_t memory[CELL_MAX];
    struct kw_buffer limit;
    kw_buffer_init_fixed(&limit, memory, sizeof memory);
    kw_buffer_add(&limit, members[REQUESTS].text);
    kw_buffer_add_byte(&limit, '/');
    kw_buffer_add(&limit, members[WINDOW].text);
    add_option(command, "rate-limit", kw_buffer_bytes(&limit));
    return status;
}

static enum kw_status add_list(struct command_text *command, const char *option, const struct kw_member *list)
{
    command->option = option;
    return list->type == KW_JSON_ARRAY_BEGIN ? kw_items_each(list->text, command->arena, add_item, command) : KW_OK;
}

/* "keyward update key_… --expires-in 90d" */
static enum kw_status add_command(struct command_text *command, struct kw_bytes action, struct kw_bytes id,
                                  const struct kw_member *suggested)
{
    struct kw_member members[SUGGESTED_MEMBERS] = {[EXPIRES_IN] = {"expiresIn"},
                                                   [GRACE] = {"gracePeriod"},
                                                   [SCOPES] = {"scopes"},
                                                   [ALLOWED_IPS] = {"allowedIPs"},
                                                   [RATE_LIMITS] = {"rateLimits"}};
    kw_buffer_add_text(command->text, "keyward ");
    kw_text_clean(command->text, action);
    kw_buffer_add_byte(command->text, ' ');
    kw_text_clean(command->text, id);
    if (suggested->type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    enum kw_status status = kw_members_read(suggested->text, command->arena, members, SUGGESTED_MEMBERS);
    if (status == KW_OK && members[EXPIRES_IN].type == KW_JSON_STRING) {
        add_option(command, "expires-in", members[EXPIRES_IN].text);
    }
    if (status == KW_OK && members[GRACE].type == KW_JSON_STRING) {
        add_option(command, "grace", members[GRACE].text);
    }
    if (status == KW_OK && kw_bytes_equal(members[SCOPES].text, KW_BYTES("[]"))) {
        add_option(command, "clear", KW_BYTES("scope"));
    }
    status = status == KW_OK ? add_list(command, "scope", &members[SCOPES]) : status;
    status = status == KW_OK ? add_list(command, "allow-ip", &members[ALLOWED_IPS]) : status;
    if (status == KW_OK && members[RATE_LIMITS].type == KW_JSON_ARRAY_BEGIN) {
        status = kw_items_each(members[RATE_LIMITS].text, command->arena, add_limit, command);
    }
    return status;
}

/* --- one key: a card --- */

struct card {
    struct kw_output *out;
    struct kw_arena *arena;
    struct kw_bytes id;
};

static const char *urgency_colour(const struct kw_output *out, struct kw_bytes urgency)
{
    bool is_high = kw_bytes_equal(urgency, KW_BYTES("high"));
    bool is_medium = kw_bytes_equal(urgency, KW_BYTES("medium"));
    return !out->colour ? NULL : is_high ? KW_COLOUR_RED : is_medium ? KW_COLOUR_YELLOW : NULL;
}

static void add_padded(struct kw_buffer *text, struct kw_bytes cell, size_t width)
{
    kw_text_clean(text, cell);
    for (size_t i = kw_text_width(cell); i < width; i++) {
        kw_buffer_add_byte(text, ' ');
    }
}

static void add_line(struct card *card, const char *label, struct kw_bytes value)
{
    if (value.size != 0) {
        add_padded(&card->out->text, kw_bytes_of_text(label), 14);
        kw_text_clean(&card->out->text, value);
        kw_buffer_add_byte(&card->out->text, '\n');
    }
}

static enum kw_status show_part(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { PART, POINTS, OF, WHY, COUNT };
    struct card *card = context;
    struct kw_buffer *text = &card->out->text;
    struct kw_member members[COUNT] = {[PART] = {"part"}, [POINTS] = {"points"}, [OF] = {"of"}, [WHY] = {"why"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, card->arena, members, COUNT);
    kw_buffer_add_text(text, "  ");
    add_padded(text, members[PART].text, 8);
    kw_buffer_add_text(text, members[POINTS].text.size < 2 ? "   " : "  ");
    kw_text_clean(text, members[POINTS].text);
    kw_buffer_add_text(text, " of ");
    kw_text_clean(text, members[OF].text);
    kw_buffer_add_text(text, "  ");
    kw_text_clean(text, members[WHY].text);
    kw_buffer_add_byte(text, '\n');
    return status;
}

static enum kw_status show_recommendation(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { CODE, URGENCY, MESSAGE, ADVICE, ACTION, SUGGESTED, COUNT };
    struct card *card = context;
    struct kw_buffer *text = &card->out->text;
    struct kw_member members[COUNT] = {[CODE] = {"code"},     [URGENCY] = {"urgency"}, [MESSAGE] = {"message"},
                                       [ADVICE] = {"advice"}, [ACTION] = {"action"},   [SUGGESTED] = {"suggested"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, card->arena, members, COUNT);
    const char *colour = urgency_colour(card->out, members[URGENCY].text);
    kw_buffer_add_byte(text, '\n');
    kw_buffer_add_text(text, colour);
    kw_text_clean(text, members[CODE].text);
    kw_buffer_add_text(text, colour == NULL ? NULL : KW_COLOUR_RESET);
    kw_buffer_add_text(text, " (");
    kw_text_clean(text, members[URGENCY].text);
    kw_buffer_add_text(text, ")\n  ");
    kw_text_clean(text, members[MESSAGE].text);
    kw_buffer_add_text(text, "\n  ");
    kw_text_clean(text, members[ADVICE].text);
    kw_buffer_add_text(text, "\n  ");
    struct command_text command = {text, card->arena, NULL};
    status = status == KW_OK ? add_command(&command, members[ACTION].text, card->id, &members[SUGGESTED]) : status;
    kw_buffer_add_byte(text, '\n');
    return status;
}

enum { PASSED, REFUSED, KIND, READ_PERCENT, PEAKS, WEEK, GROWTH, PATTERN_MEMBERS };

/* "shape" of the week or "trend" of the growth, where it is known, with what is told beside it. */
static enum kw_status add_known(struct card *card, const struct kw_member *object, const char *name, const char *before)
{
    enum { NAMED, PERCENT, COUNT };
    struct kw_buffer *text = &card->out->text;
    struct kw_member members[COUNT] = {[NAMED] = {name}, [PERCENT] = {"percent"}};
    enum kw_status status = kw_members_read(object->text, card->arena, members, COUNT);
    if (status != KW_OK || kw_bytes_equal(members[NAMED].text, KW_BYTES("unknown"))) {
        return status;
    }
    kw_buffer_add_text(text, before);
    kw_text_clean(text, members[NAMED].text);
    if (members[PERCENT].type == KW_JSON_NUMBER) {
        kw_buffer_add_text(text, " (");
        kw_text_clean(text, members[PERCENT].text);
        kw_buffer_add_text(text, " % in a week)");
    }
    return KW_OK;
}

static enum kw_status show_pattern(struct card *card, const struct kw_member *pattern)
{
    struct kw_buffer *text = &card->out->text;
    struct kw_member members[PATTERN_MEMBERS] = {
        [PASSED] = {"passed"},   [REFUSED] = {"refused"}, [KIND] = {"kind"},    [READ_PERCENT] = {"readPercent"},
        [PEAKS] = {"peakHours"}, [WEEK] = {"weekdays"},   [GROWTH] = {"growth"}};
    enum kw_status status = kw_members_read(pattern->text, card->arena, members, PATTERN_MEMBERS);
    if (status != KW_OK) {
        return status;
    }
    add_padded(text, KW_BYTES("60 days"), 14);
    kw_text_clean(text, members[PASSED].text);
    kw_buffer_add_text(text, " passed, ");
    kw_text_clean(text, members[REFUSED].text);
    kw_buffer_add_text(text, " refused\n");
    if (members[READ_PERCENT].type == KW_JSON_NUMBER) {
        add_padded(text, KW_BYTES("Use"), 14);
        kw_text_clean(text, members[KIND].text);
        kw_buffer_add_text(text, " (");
        kw_text_clean(text, members[READ_PERCENT].text);
        kw_buffer_add_text(text, " % reads)\n");
    }
    if (members[PEAKS].type == KW_JSON_ARRAY_BEGIN && members[PEAKS].text.size > 2) {
        add_padded(text, KW_BYTES("Peak hours"), 14);
        kw_text_clean(text, kw_bytes_of(members[PEAKS].text.data + 1, members[PEAKS].text.size - 2));
        kw_buffer_add_text(text, " (UTC)\n");
    }
    size_t before = text->size;
    status = add_known(card, &members[WEEK], "shape", "Week          ");
    status = status == KW_OK
                 ? add_known(card, &members[GROWTH], "trend", text->size == before ? "Growth        " : ", ")
                 : status;
    kw_buffer_add_text(text, text->size == before ? "" : "\n");
    return status;
}

static enum kw_status show_card(struct kw_cli *cli, struct kw_bytes body, struct kw_arena *arena)
{
    enum { ID, NAME, SUGGESTED, STATUS, OWNER, PATTERN, SCORE, PARTS, RECOMMENDATIONS, COUNT };
    struct kw_member members[COUNT] = {[ID] = {"id"},
                                       [NAME] = {"name"},
                                       [SUGGESTED] = {"suggestedName"},
                                       [STATUS] = {"status"},
                                       [OWNER] = {"owner"},
                                       [PATTERN] = {"usagePattern"},
                                       [SCORE] = {"securityScore"},
                                       [PARTS] = {"scoreParts"},
                                       [RECOMMENDATIONS] = {"recommendations"}};
    enum kw_status status = kw_members_read(body, arena, members, COUNT);
    if (status != KW_OK || members[ID].type != KW_JSON_STRING) {
        return status == KW_OK ? KW_E_INVALID : status;
    }
    struct card card = {&cli->out, arena, members[ID].text};
    add_line(&card, "ID", members[ID].text);
    add_line(&card, "Name", members[NAME].text);
    add_line(&card, "Suggested", members[SUGGESTED].text);
    add_line(&card, "Owner", members[OWNER].text);
    add_line(&card, "Status", members[STATUS].text);
    status = show_pattern(&card, &members[PATTERN]);
    kw_buffer_add_text(&cli->out.text, "Score         ");
    kw_text_clean(&cli->out.text, members[SCORE].text);
    kw_buffer_add_text(&cli->out.text, " of 100\n");
    status = status == KW_OK ? kw_items_each(members[PARTS].text, arena, show_part, &card) : status;
    return status == KW_OK ? kw_items_each(members[RECOMMENDATIONS].text, arena, show_recommendation, &card) : status;
}

/* --- a project: a table --- */

enum { CELL_SCORE, CELL_URGENCY, CELL_ID, CELL_NAME, CELL_OWNER, CELL_CODES, CELL_COUNT };

struct rows {
    struct kw_arena *arena;
    struct kw_cell (*cells)[CELL_COUNT];
    size_t count, room;
    const struct kw_output *out;
    struct kw_buffer codes; /* of one row */
    struct kw_bytes urgency;
};

static enum kw_status add_code(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { CODE, URGENCY, COUNT };
    struct rows *rows = context;
    struct kw_member members[COUNT] = {[CODE] = {"code"}, [URGENCY] = {"urgency"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, rows->arena, members, COUNT);
    kw_buffer_add_text(&rows->codes, rows->codes.size == 0 ? "" : " ");
    kw_buffer_add(&rows->codes, members[CODE].text);
    rows->urgency = rows->urgency.size == 0 ? members[URGENCY].text : rows->urgency; /* the first is the most urgent */
    return status;
}

static enum kw_status add_row(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { SCORE, ID, NAME, OWNER, SUGGESTED, RECOMMENDATIONS, COUNT };
    struct rows *rows = context;
    struct kw_member members[COUNT] = {[SCORE] = {"securityScore"},
                                       [ID] = {"id"},
                                       [NAME] = {"name"},
                                       [OWNER] = {"owner"},
                                       [SUGGESTED] = {"suggestedName"},
                                       [RECOMMENDATIONS] = {"recommendations"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, rows->arena, members, COUNT);
    uint8_t *codes = kw_arena_take(rows->arena, CELL_MAX);
    if (status != KW_OK || codes == NULL || rows->count == rows->room) {
        return status != KW_OK ? status : KW_E_LIMIT;
    }
    rows->urgency = (struct kw_bytes){NULL, 0};
    kw_buffer_init_fixed(&rows->codes, codes, CELL_MAX);
    status = kw_items_each(members[RECOMMENDATIONS].text, rows->arena, add_code, rows);
    struct kw_cell *cells = rows->cells[rows->count++];
    cells[CELL_SCORE].text = members[SCORE].text;
    cells[CELL_URGENCY] = (struct kw_cell){rows->urgency, urgency_colour(rows->out, rows->urgency)};
    cells[CELL_ID].text = members[ID].text;
    cells[CELL_NAME].text = members[NAME].type == KW_JSON_STRING ? members[NAME].text : members[SUGGESTED].text;
    cells[CELL_OWNER].text = members[OWNER].text;
    cells[CELL_CODES].text = kw_buffer_bytes(&rows->codes);
    return status;
}

static void write_rows(const struct rows *rows, struct kw_output *out)
{
    static const char *const heads[CELL_COUNT] = {"SCORE", "URGENCY", "ID", "NAME", "OWNER", "RECOMMENDED"};
    struct kw_table table = {.column_count = CELL_COUNT, .width_max = {[CELL_NAME] = 32, [CELL_OWNER] = 24}};
    struct kw_cell head[CELL_COUNT];
    for (size_t i = 0; i < CELL_COUNT; i++) {
        head[i] = (struct kw_cell){kw_bytes_of_text(heads[i]), KW_COLOUR_BOLD};
    }
    kw_table_measure(&table, head);
    for (size_t i = 0; i < rows->count; i++) {
        kw_table_measure(&table, rows->cells[i]);
    }
    for (size_t i = 0; i <= rows->count && rows->count != 0; i++) {
        kw_table_row(&table, i == 0 ? head : rows->cells[i - 1], out->colour, &out->text);
    }
}

enum { KEYS, COMPLETE, AVERAGE, ITEMS, LIST_MEMBERS };

/* Beside the table, on standard error, so that the table can be counted and cut. */
static void say_summary(struct kw_cli *cli, const struct kw_member *members, size_t row_count)
{
    struct kw_buffer *text = &cli->err.text;
    kw_text_clean(text, members[KEYS].text);
    kw_buffer_add_text(text, kw_bytes_equal(members[KEYS].text, KW_BYTES("1")) ? " key" : " keys");
    if (members[AVERAGE].type == KW_JSON_NUMBER) {
        kw_buffer_add_text(text, ", average score ");
        kw_text_clean(text, members[AVERAGE].text);
    }
    kw_buffer_add_text(text, members[COMPLETE].type == KW_JSON_FALSE
                                 ? ". There are more, which were not looked at: narrow it, as by --org or --tag.\n"
                                 : ".\n");
    kw_buffer_add_text(text,
                       row_count == 0 ? "Nothing is recommended.\n" : "'keyward analyze ID' tells more of one.\n");
    kw_output_say(&cli->err);
}

static enum kw_status show_table(struct kw_cli *cli, struct kw_bytes body, struct kw_arena *arena)
{
    struct kw_cell cells[KW_ATTENTION_MAX][CELL_COUNT] = {0};
    struct rows rows = {.arena = arena, .cells = cells, .room = KW_ATTENTION_MAX, .out = &cli->out};
    struct kw_member members[LIST_MEMBERS] = {
        [KEYS] = {"keys"}, [COMPLETE] = {"complete"}, [AVERAGE] = {"averageScore"}, [ITEMS] = {"items"}};
    enum kw_status status = kw_members_read(body, arena, members, LIST_MEMBERS);
    status = status == KW_OK ? kw_items_each(members[ITEMS].text, arena, add_row, &rows) : status;
    if (status == KW_OK) {
        write_rows(&rows, &cli->out);
        say_summary(cli, members, rows.count);
    }
    return status;
}

/* --- the command --- */

static enum kw_status check(const struct kw_command_line *line, struct kw_error *error_out)
{
    for (size_t i = 0; i < line->given_count && line->operand_count != 0; i++) {
        if (line->given[i].option->place == KW_PLACE_QUERY) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                           "--%s says which keys to look at, and an ID which one: give one of them",
                           line->given[i].option->name);
        }
    }
    return KW_OK;
}

static enum kw_status show(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    struct kw_arena arena;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = line->operand_count != 0 ? show_card(cli, kw_buffer_bytes(&answer->body), &arena)
                                                     : show_table(cli, kw_buffer_bytes(&answer->body), &arena);
    kw_arena_reset(&arena);
    return status;
}

int kw_cmd_analyze(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_key_ask(cli, line, check, show);
}
