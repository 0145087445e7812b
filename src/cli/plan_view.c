#include "cli/documents.h"
#include "cli/text.h"

#include <stdio.h>

#define VALUE_WIDTH_MAX 100
#define SHOWN_BEFORE_CHANGE 24 /* bytes of what stays */
#define NAME_WIDTH_MAX 40
#define PLACE_SIZE 64

/* Where what is shown of two values begins: shortly before they part, if they do so beyond what would be shown. */
static size_t place_of_change(struct kw_bytes from, struct kw_bytes to)
{
    size_t at = 0;
    while (at < from.size && at < to.size && from.data[at] == to.data[at]) {
        at++;
    }
    bool fit = from.size <= VALUE_WIDTH_MAX && to.size <= VALUE_WIDTH_MAX;
    if (fit || at < VALUE_WIDTH_MAX / 2) {
        return 0;
    }
    at -= SHOWN_BEFORE_CHANGE;
    while (at > 0 && (from.data[at] & 0xc0) == 0x80) {
        at--; /* within a character of UTF-8 */
    }
    return at;
}

static void add_value(struct kw_buffer *text, struct kw_bytes json, size_t start)
{
    if (json.size == 0) {
        kw_buffer_add_text(text, "(none)");
        return;
    }
    kw_buffer_add_text(text, start > 0 ? "\u2026" : "");
    kw_text_fit(text, kw_bytes_skip(json, start), VALUE_WIDTH_MAX);
}

/* The keys that a policy takes something from, a line for each that is named. */
struct narrowing {
    struct kw_buffer *text;
    struct kw_arena *arena;
};

static enum kw_status add_field(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct narrowing *narrowing = context;
    (void)raw;
    kw_buffer_add_text(narrowing->text, " ");
    kw_text_clean(narrowing->text, item->text);
    return KW_OK;
}

static enum kw_status add_key(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    enum { ID, NAME, ANCESTOR, FIELDS, COUNT };
    struct narrowing *narrowing = context;
    struct kw_member members[COUNT] = {
        [ID] = {"id"}, [NAME] = {"name"}, [ANCESTOR] = {"ancestorId"}, [FIELDS] = {"fields"}};
    (void)item;
    enum kw_status status = kw_members_read(raw, narrowing->arena, members, COUNT);
    if (status != KW_OK) {
        return status;
    }
    kw_buffer_add_text(narrowing->text, "      ");
    kw_text_clean(narrowing->text, members[ID].text);
    if (members[NAME].type == KW_JSON_STRING) {
        kw_buffer_add_text(narrowing->text, " (");
        kw_text_fit(narrowing->text, members[NAME].text, NAME_WIDTH_MAX);
        kw_buffer_add_text(narrowing->text, ")");
    }
    if (members[ANCESTOR].type == KW_JSON_STRING) {
        kw_buffer_add_text(narrowing->text, ", below ");
        kw_text_clean(narrowing->text, members[ANCESTOR].text);
    }
    kw_buffer_add_text(narrowing->text, ":");
    status = kw_items_each(members[FIELDS].text, narrowing->arena, add_field, narrowing);
    kw_buffer_add_byte(narrowing->text, '\n');
    return status;
}

static void show_narrowed(struct kw_bytes json, struct kw_buffer *text)
{
    enum { ITEMS, COUNT, EXACT, MORE, MEMBERS };
    struct kw_member members[MEMBERS] = {
        [ITEMS] = {"items"}, [COUNT] = {"count"}, [EXACT] = {"exact"}, [MORE] = {"more"}};
    struct kw_arena arena;
    struct narrowing narrowing = {text, &arena};
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    uint64_t count = 0;
    bool is_sound =
        kw_members_read(json, &arena, members, MEMBERS) == KW_OK && kw_bytes_to_u64(members[COUNT].text, &count);
    bool is_exact = members[EXACT].type == KW_JSON_TRUE;
    if (is_sound && (count > 0 || !is_exact)) {
        kw_buffer_add_format(text, "    takes something from %s%llu key%s%s\n", is_exact ? "" : "at least ",
                             (unsigned long long)count, count == 1 ? "" : "s", count == 0 ? "" : ":");
        bool is_whole = kw_items_each(members[ITEMS].text, &arena, add_key, &narrowing) == KW_OK;
        kw_buffer_add_text(text, members[MORE].type == KW_JSON_TRUE || !is_whole ? "      and more\n" : "");
    }
    kw_arena_reset(&arena);
}

void kw_plan_name(const struct kw_planned_change *change, struct kw_buffer *text)
{
    kw_buffer_add_format(text, "%s ", kw_document_kind_name(change->words->kind));
    if (change->project != NULL) {
        kw_buffer_add_format(text, "%s/", change->project);
    }
    kw_buffer_add_text(text, change->name);
}

static void write_kind(const struct kw_planned_change *change, struct kw_json_writer *writer)
{
    kw_json_name(writer, "kind");
    kw_json_text(writer, kw_document_kind_name(change->words->kind));
    if (change->project != NULL) {
        kw_json_name(writer, "project");
        kw_json_text(writer, change->project);
    }
}

void kw_plan_name_json(const struct kw_planned_change *change, struct kw_json_writer *writer)
{
    char place[PLACE_SIZE];
    snprintf(place, sizeof place, "%s[%zu]", change->words->plural, change->number);
    kw_json_begin_object(writer);
    write_kind(change, writer);
    if (change->name != NULL) {
        kw_json_name(writer, "name");
        kw_json_text(writer, change->name);
    }
    kw_json_name(writer, "place");
    kw_json_text(writer, place);
    kw_json_name(writer, "line");
    kw_json_i64(writer, (int64_t)change->line);
    kw_json_end_object(writer);
}

static void show_change(const struct kw_planned_change *change, struct kw_output *out)
{
    struct kw_buffer *text = &out->text;
    bool is_new = change->version == 0;
    const char *colour = is_new ? KW_COLOUR_GREEN : KW_COLOUR_YELLOW;
    kw_buffer_add_text(text, out->colour ? colour : "");
    kw_buffer_add_text(text, is_new ? "+ " : "~ ");
    kw_plan_name(change, text);
    kw_buffer_add_text(text, out->colour ? KW_COLOUR_RESET : "");
    kw_buffer_add_byte(text, '\n');
    for (size_t i = 0; i < change->field_count; i++) {
        const struct kw_planned_field *field = &change->fields[i];
        if (kw_bytes_equal(field->name, KW_BYTES("name"))) {
            continue;
        }
        kw_buffer_add_text(text, "    ");
        kw_text_clean(text, field->name);
        kw_buffer_add_text(text, ": ");
        size_t start = is_new ? 0 : place_of_change(field->from, field->to);
        if (!is_new) {
            add_value(text, field->from, start);
            kw_buffer_add_text(text, " -> ");
        }
        add_value(text, field->to, start);
        kw_buffer_add_byte(text, '\n');
    }
    if (change->narrowed.size > 0) {
        show_narrowed(change->narrowed, text);
    }
}

void kw_plan_show(const struct kw_plan *plan, struct kw_output *out)
{
    for (size_t i = 0; i < plan->change_count; i++) {
        show_change(&plan->changes[i], out);
    }
    if (plan->change_count == 0) {
        kw_buffer_add_text(&out->text, "Everything is as the file says.\n");
    }
}

static void write_side(struct kw_json_writer *writer, const char *name, struct kw_bytes json)
{
    kw_json_name(writer, name);
    kw_json_raw(writer, json.size > 0 ? json : KW_BYTES("null"));
}

static void write_change(const struct kw_planned_change *change, struct kw_json_writer *writer)
{
    kw_json_begin_object(writer);
    write_kind(change, writer);
    kw_json_name(writer, "name");
    kw_json_text(writer, change->name);
    kw_json_name(writer, "action");
    kw_json_text(writer, change->version == 0 ? "create" : "update");
    kw_json_name(writer, "fields");
    kw_json_begin_object(writer);
    for (size_t i = 0; i < change->field_count; i++) {
        kw_json_name_bytes(writer, change->fields[i].name);
        kw_json_begin_object(writer);
        write_side(writer, "from", change->fields[i].from);
        write_side(writer, "to", change->fields[i].to);
        kw_json_end_object(writer);
    }
    kw_json_end_object(writer);
    if (change->narrowed.size > 0) {
        kw_json_name(writer, "narrowed");
        kw_json_raw(writer, change->narrowed);
    }
    kw_json_end_object(writer);
}

void kw_plan_write_json(const struct kw_plan *plan, bool is_applied, struct kw_buffer *text)
{
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "changes");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < plan->change_count; i++) {
        write_change(&plan->changes[i], &writer);
    }
    kw_json_end_array(&writer);
    kw_json_name(&writer, "applied");
    kw_json_bool(&writer, is_applied);
    kw_json_end_object(&writer);
    kw_buffer_add_byte(text, '\n');
}
