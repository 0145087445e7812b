#include "cli/documents.h"
#include "cli/text.h"

#define VALUE_WIDTH_MAX 100

static void add_value(struct kw_buffer *text, struct kw_bytes json)
{
    if (json.size == 0) {
        kw_buffer_add_text(text, "(none)");
    } else {
        kw_text_fit(text, json, VALUE_WIDTH_MAX);
    }
}

static void show_change(const struct kw_planned_change *change, struct kw_output *out)
{
    struct kw_buffer *text = &out->text;
    bool is_new = change->version == 0;
    const char *colour = is_new ? KW_COLOUR_GREEN : KW_COLOUR_YELLOW;
    kw_buffer_add_text(text, out->colour ? colour : "");
    kw_buffer_add_format(text, "%s %s ", is_new ? "+" : "~", kw_document_kind_name(change->words->kind));
    if (change->project != NULL) {
        kw_buffer_add_format(text, "%s/", change->project);
    }
    kw_buffer_add_text(text, change->name);
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
        if (!is_new) {
            add_value(text, field->from);
            kw_buffer_add_text(text, " -> ");
        }
        add_value(text, field->to);
        kw_buffer_add_byte(text, '\n');
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
    kw_json_name(writer, "kind");
    kw_json_text(writer, kw_document_kind_name(change->words->kind));
    if (change->project != NULL) {
        kw_json_name(writer, "project");
        kw_json_text(writer, change->project);
    }
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
