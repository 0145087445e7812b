#include "cli/plan.h"

#include <stdio.h>

#define PLAN_MEMORY_MAX ((size_t)256 * 1024 * 1024)
#define ITEM_COUNT_MAX 10000
#define FIELDS_MAX 64
#define PLACE_SIZE 64

/* The fields of a document as a file, or the other side, has them. */
struct side {
    struct kw_planning *planning;
    struct kw_planned_field fields[FIELDS_MAX]; /* `to` is the text */
    size_t count;
    struct kw_bytes name, project, version;
};

void kw_plan_init(struct kw_plan *plan)
{
    *plan = (struct kw_plan){.change_count = 0};
    kw_arena_init(&plan->arena, NULL, 0, PLAN_MEMORY_MAX);
}

void kw_plan_deinit(struct kw_plan *plan)
{
    for (size_t i = 0; i < plan->change_count; i++) {
        kw_document_release(plan->changes[i].foreseen);
    }
    kw_arena_reset(&plan->arena);
}

/* What Keyward itself writes into a document is no wish of the file's. */
static bool is_written_by_keyward(struct kw_bytes name)
{
    static const char *const names[] = {"number", "version", "createdAt", "updatedAt"};
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(names[i]))) {
            return true;
        }
    }
    return false;
}

static enum kw_status shorten(const struct kw_planning *planning, struct kw_bytes raw, struct kw_bytes *text_out)
{
    struct kw_buffer text;
    kw_buffer_init(&text, KW_CALL_BODY_MAX);
    enum kw_status status = kw_json_shorten(raw, &planning->plan->arena, &text);
    if (status == KW_OK) {
        status = kw_arena_copy(&planning->plan->arena, kw_buffer_bytes(&text), text_out);
    }
    kw_buffer_deinit(&text);
    return status == KW_OK ? KW_OK : kw_plan_no_memory(planning);
}

static enum kw_status take_member(void *context, struct kw_bytes name, struct kw_bytes raw)
{
    struct side *side = context;
    if (kw_bytes_equal(name, KW_BYTES("version"))) {
        side->version = raw;
    }
    if (is_written_by_keyward(name)) {
        return KW_OK;
    }
    struct kw_bytes text = {NULL, 0};
    enum kw_status status = shorten(side->planning, raw, &text);
    if (status != KW_OK) {
        return status;
    }
    bool is_text = text.size >= 2 && text.data[0] == '"';
    struct kw_bytes inner = kw_bytes_of(text.data + 1, is_text ? text.size - 2 : 0);
    if (kw_bytes_equal(name, KW_BYTES("name"))) {
        side->name = inner;
    } else if (kw_bytes_equal(name, KW_BYTES("project")) && side->planning->words->kind != KW_DOCUMENT_PROJECT) {
        side->project = inner;
        return KW_OK;
    }
    if (side->count == FIELDS_MAX) {
        return kw_refuse(side->planning->error, KW_CODE_INVALID_FIELD, NULL, "has more fields than there are");
    }
    side->fields[side->count++] = (struct kw_planned_field){.name = name, .to = text};
    return KW_OK;
}

static struct kw_bytes text_of(const struct side *side, struct kw_bytes name)
{
    for (size_t i = 0; i < side->count; i++) {
        if (kw_bytes_equal(side->fields[i].name, name)) {
            return side->fields[i].to;
        }
    }
    return (struct kw_bytes){NULL, 0};
}

/* What the other side has; nothing where the document, or its project, is not there. */
static enum kw_status look_up(struct kw_planning *planning, struct kw_planned_change *change, struct side *there)
{
    enum kw_status status = kw_plan_send(change, KW_GET, "", (struct kw_bytes){NULL, 0}, planning->target,
                                         planning->answer, planning->error);
    if (status != KW_OK || planning->answer->status == 404) {
        return status;
    }
    if (planning->answer->status != 200) {
        planning->error->code = NULL;
        return KW_E_DENIED;
    }
    struct kw_bytes json;
    status = kw_arena_copy(&planning->plan->arena, kw_buffer_bytes(&planning->answer->body), &json);
    status = status != KW_OK ? kw_plan_no_memory(planning)
                             : kw_members_each(json, &planning->plan->arena, take_member, there, planning->error);
    change->there = status == KW_OK ? json : change->there;
    if (status == KW_OK && !kw_bytes_to_u64(there->version, &change->version)) {
        return kw_fail(planning->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "the answer is not what Keyward answers");
    }
    return status;
}

/* For one more change. */
static bool make_room(struct kw_plan *plan)
{
    if (plan->change_count < plan->room) {
        return true;
    }
    size_t room = plan->room == 0 ? 16 : plan->room * 2;
    struct kw_planned_change *longer = kw_arena_take_array(&plan->arena, room, sizeof *longer);
    if (longer != NULL && plan->change_count > 0) {
        memcpy(longer, plan->changes, plan->change_count * sizeof *longer);
    }
    plan->changes = longer != NULL ? longer : plan->changes;
    plan->room = longer != NULL ? room : plan->room;
    return longer != NULL;
}

/* Puts the fields that differ into the change, and the change into the plan, if there are any or it is new. */
static enum kw_status compare(struct kw_planning *planning, struct kw_planned_change *change, const struct side *wanted,
                              const struct side *there)
{
    struct kw_plan *plan = planning->plan;
    change->fields = kw_arena_take_array(&plan->arena, wanted->count, sizeof *change->fields);
    if (change->fields == NULL) {
        return kw_plan_no_memory(planning);
    }
    for (size_t i = 0; i < wanted->count; i++) {
        struct kw_planned_field field = wanted->fields[i];
        field.from = text_of(there, field.name);
        bool is_absent = field.from.size == 0 && kw_bytes_equal(field.to, KW_BYTES("null"));
        if (!is_absent && !kw_bytes_equal(field.from, field.to)) {
            change->fields[change->field_count++] = field;
        }
    }
    if (change->version != 0 && change->field_count == 0) {
        return KW_OK;
    }
    if (!make_room(plan)) {
        return kw_plan_no_memory(planning);
    }
    enum kw_status status = kw_plan_rehearse(planning, change);
    status = status == KW_OK && change->version == 0 ? kw_plan_find_room(planning, change) : status;
    if (status != KW_OK) {
        kw_document_release(change->foreseen);
        return status;
    }
    plan->changes[plan->change_count++] = *change;
    return KW_OK;
}

static enum kw_status plan_item(struct kw_planning *planning, struct kw_bytes raw)
{
    struct side *sides = kw_arena_take_array(&planning->plan->arena, 2, sizeof *sides);
    if (sides == NULL) {
        return kw_plan_no_memory(planning);
    }
    struct side *wanted = &sides[0];
    struct side *there = &sides[1];
    wanted->planning = there->planning = planning;
    enum kw_status status = kw_members_each(raw, &planning->plan->arena, take_member, wanted, planning->error);
    if (status != KW_OK) {
        return status;
    }
    if (!kw_document_name_valid(planning->words->kind, wanted->name)) {
        return kw_refuse(planning->error, KW_CODE_INVALID_FIELD, "name",
                         "must be the document's name: 1 to %d letters, digits, '-' and '_'", KW_DOCUMENT_NAME_MAX);
    }
    if (wanted->project.size > 0 && !kw_document_name_valid(KW_DOCUMENT_PROJECT, wanted->project)) {
        return kw_refuse(planning->error, KW_CODE_INVALID_FIELD, "project", "must be the name of a project");
    }
    struct kw_planned_change change = planning->plan->refused;
    change.name = kw_plan_text(planning, wanted->name);
    if (planning->words->kind != KW_DOCUMENT_PROJECT) {
        change.project = wanted->project.size == 0 ? planning->project : kw_plan_text(planning, wanted->project);
    }
    if (change.name == NULL || (wanted->project.size > 0 && change.project == NULL)) {
        return kw_plan_no_memory(planning);
    }
    planning->plan->refused = change;
    if (kw_plan_has(planning->plan, &change)) {
        return kw_refuse(planning->error, KW_CODE_DUPLICATE_FIELD, "name",
                         "stands twice in this file: keep one of them");
    }
    status = look_up(planning, &change, there);
    return status != KW_OK ? status : compare(planning, &change, wanted, there);
}

/* The line of the file that a place is in. Places come in order, but that lists may stand in any. */
static size_t line_of(struct kw_planning *planning, const uint8_t *place)
{
    if (planning->line == 0 || place < planning->counted_to) {
        planning->line = 1;
        planning->counted_to = planning->file.data;
    }
    for (; planning->counted_to < place; planning->counted_to++) {
        planning->line += *planning->counted_to == '\n';
    }
    return planning->line;
}

static enum kw_status take_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct kw_planning *planning = context;
    (void)item;
    if (planning->item_count == ITEM_COUNT_MAX) {
        return kw_refuse(planning->error, KW_CODE_INVALID_FIELD, planning->words->plural, "are too many: at most %d",
                         ITEM_COUNT_MAX);
    }
    planning->plan->refused = (struct kw_planned_change){
        .words = planning->words, .number = planning->item_count, .line = line_of(planning, raw.data)};
    enum kw_status status = plan_item(planning, raw);
    if (status == KW_OK) {
        planning->plan->refused.words = NULL;
    } else if (planning->error->code != NULL && !planning->plan->is_foreseen) {
        char place[PLACE_SIZE];
        snprintf(place, sizeof place, "%s[%zu]", planning->words->plural, planning->item_count);
        kw_error_nest(planning->error, place);
    }
    planning->item_count++;
    return status;
}

/* The three lists of a file, wherever they stand in it. */
struct file {
    struct kw_bytes lists[3];
    struct kw_error *error;
};

static enum kw_status take_list(void *context, struct kw_bytes name, struct kw_bytes raw)
{
    struct file *file = context;
    for (size_t i = 0; i < KW_COUNT_OF(kw_document_words); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(kw_document_words[i].plural))) {
            if (raw.data[0] != '[' || file->lists[i].size > 0) {
                return kw_refuse(file->error, KW_CODE_INVALID_FIELD, kw_document_words[i].plural,
                                 "must be a list, and stand once");
            }
            file->lists[i] = raw;
            return KW_OK;
        }
    }
    bool is_short = name.size <= KW_DOCUMENT_NAME_MAX && !kw_bytes_has_control(name);
    return kw_refuse(file->error, KW_CODE_UNKNOWN_FIELD, NULL,
                     "The file may hold projects, policies and templates, and nothing else%s%.*s%s.",
                     is_short ? ": not \"" : "", is_short ? (int)name.size : 0, (const char *)name.data,
                     is_short ? "\"" : "");
}

enum kw_status kw_plan_make(struct kw_bytes json, const char *project, struct kw_target *target, struct kw_plan *plan,
                            struct kw_answer *answer, struct kw_error *error_out)
{
    struct file file = {.error = error_out};
    struct kw_planning planning = {
        .plan = plan, .target = target, .project = project, .file = json, .answer = answer, .error = error_out};
    enum kw_status status = kw_members_each(json, &plan->arena, take_list, &file, error_out);
    for (size_t i = 0; i < KW_COUNT_OF(file.lists) && status == KW_OK; i++) {
        planning.words = &kw_document_words[i];
        planning.item_count = 0;
        if (file.lists[i].size > 0) {
            status = kw_items_each(file.lists[i], &plan->arena, take_item, &planning);
        }
    }
    return status;
}

enum kw_status kw_plan_apply_one(const struct kw_planned_change *change, struct kw_target *target,
                                 struct kw_answer *answer, struct kw_error *error_out)
{
    return kw_plan_send_fields(change, "", target, answer, error_out);
}
