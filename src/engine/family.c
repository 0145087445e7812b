#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"

/* Puts the newest key of a line into the index, from its first one along the rotations. */
static enum kw_status load_line(struct kw_engine *engine, struct kw_arena *arena, struct kw_id id)
{
    for (size_t step = 0; step < KW_LINE_LENGTH_MAX; step++) {
        struct kw_found found = {.arena = arena};
        struct kw_record record;
        enum kw_status status = engine->store->ops->find_by_id(engine->store, &id, kw__found_sink, &found);
        status = status == KW_OK ? kw_record_decode(found.row.record, &record) : status;
        if (status != KW_OK) {
            return status;
        }
        if (kw_id_is_none(&record.rotated_to)) {
            return kw__index_row(engine, &found.row);
        }
        id = record.rotated_to;
        kw_arena_reset(arena);
    }
    return KW_E_NOT_FOUND;
}

enum kw_status kw__load_family(struct kw_engine *engine, const struct kw_id *lineage, size_t *generation_out)
{
    uint8_t memory[2048];
    struct kw_arena arena;
    struct kw_id unknown;
    enum kw_status status = KW_OK;
    kw_arena_init(&arena, memory, sizeof memory, (size_t)2 * KW_RECORD_MAX);
    for (size_t i = 0; !kw_index_ancestry(engine->index, lineage, generation_out, &unknown); i++) {
        status = i > KW_FAMILY_DEPTH_MAX ? KW_E_CORRUPT : load_line(engine, &arena, unknown);
        kw_arena_reset(&arena);
        if (status != KW_OK) {
            break;
        }
    }
    return status;
}

/* --- the parents of what the writer is to change --- */

static enum kw_status refuse_parent(struct kw_op *op, const char *why)
{
    return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "parentId", "%s", why);
}

static enum kw_status admit_generation(struct kw_engine *engine, struct kw_work *work)
{
    size_t generation = 0;
    if (kw_id_is_none(&work->parent.parent_id)) {
        return KW_OK;
    }
    enum kw_status status = kw__load_family(engine, &work->parent.parent_id, &generation);
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, status == KW_E_NOT_FOUND ? KW_E_UNAVAILABLE : status);
    }
    /* Of a parent whose own parent is of that generation, a child is two further. */
    if (generation + 2 > KW_FAMILY_DEPTH_MAX) {
        return refuse_parent(work->op, "is too deep in its family: at most 8 generations stand below the first key");
    }
    return KW_OK;
}

/*
 * The newest key of the line that is the parent: from the key that a creation names, or from the first of the line,
 * along its rotations.
 */
static enum kw_status load_parent(struct kw_engine *engine, size_t index, struct kw_id id)
{
    struct kw_work *work = &engine->writer_state->works[index];
    for (size_t step = 0; step < KW_LINE_LENGTH_MAX; step++) {
        enum kw_status status = kw__load_key(engine, &id, &work->parent, &work->parent_digest);
        if (status == KW_E_NOT_FOUND ||
            (status == KW_OK && !kw_bytes_equal(work->parent.project, work->project->name))) {
            return refuse_parent(work->op, "names no key of this project");
        }
        if (status != KW_OK) {
            return kw__store_failed(&work->op->error, status);
        }
        if (kw_id_is_none(&work->parent.rotated_to)) {
            work->has_parent = true;
            return KW_OK;
        }
        id = work->parent.rotated_to;
    }
    return refuse_parent(work->op, "names a key that was rotated too often");
}

/* The parent of a child as it stands in the index, which is where the group's changes come from and go to. */
static enum kw_status copy_parent(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_bytes encoding = {NULL, 0};
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, &work->before_digest);
    const struct kw_entry *parent =
        entry == NULL || entry->parent == NULL ? NULL : __atomic_load_n(&entry->parent->entry, __ATOMIC_ACQUIRE);
    enum kw_status status = parent == NULL
                                ? KW_E_NOT_FOUND
                                : kw_arena_copy(&engine->writer_state->arena, kw_entry_record(parent), &encoding);
    kw_index_read_end();
    status = status == KW_OK ? kw_record_decode(encoding, &work->parent) : status;
    work->has_parent = status == KW_OK;
    return status;
}

enum kw_status kw__find_parent(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    struct kw_op *op = work->op;
    bool is_creation = op->kind == KW_OP_CREATE;
    bool names_parent = is_creation && work->params != NULL && (work->params->given & KW_GIVEN_PARENT) != 0;
    bool has_parent = (op->kind == KW_OP_UPDATE || op->kind == KW_OP_ROTATE) && !kw_id_is_none(&work->before.parent_id);
    if (has_parent) {
        return copy_parent(engine, work) == KW_OK ? KW_OK : load_parent(engine, index, work->before.parent_id);
    }
    if (!names_parent) {
        return KW_OK;
    }
    struct kw_id id;
    if (!kw_id_parse(work->params->parent, &id)) {
        return refuse_parent(op, "must be the id of a key: \"key_\" and 26 characters");
    }
    enum kw_status status = load_parent(engine, index, id);
    return status == KW_OK ? admit_generation(engine, work) : status;
}
