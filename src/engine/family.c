#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/management.h"

/* Of all keys of an action on a filter, most of which have ended: so long the writer keeps others waiting. */
#define CHILDREN_LOOKED_AT_MAX (10 * KW_BULK_MAX)

/* The search for a child that a parent's end would take along. */
struct life {
    struct kw_writer *writer;
    int64_t now_ms;
    bool is_pause; /* a disabling: children that are disabled are so already */
    struct kw_id last;
    size_t looked_at;
    bool found;
};

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
        bool is_complete = kw_index_complete(engine->index); /* asked first: what is not found after it is gone */
        status = i > KW_FAMILY_DEPTH_MAX ? KW_E_CORRUPT : load_line(engine, &arena, unknown);
        /* A line whose older keys were erased cannot be followed to its newest, which may be there all the same. */
        status = status == KW_E_NOT_FOUND && !is_complete ? KW_E_UNAVAILABLE : status;
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

/* Whether the line `above` is this one, or stands above it, as the index has them. */
static bool is_at_or_above(struct kw_engine *engine, struct kw_id line, const struct kw_id *above)
{
    for (size_t step = 0; step <= KW_FAMILY_DEPTH_MAX && !kw_id_is_none(&line); step++) {
        struct kw_bytes encoding;
        struct kw_record newest;
        if (kw_id_equal(&line, above)) {
            return true;
        }
        if (kw_index_copy_newest(engine->index, &line, &engine->writer_state->arena, &encoding) != KW_OK ||
            kw_record_decode(encoding, &newest) != KW_OK) {
            return false;
        }
        line = newest.parent_id;
    }
    return false;
}

/* As kw__load_family, as the group has left the family so far: the index knows what it erases only afterwards. */
static enum kw_status load_family(struct kw_engine *engine, const struct kw_work *work, const struct kw_id *lineage,
                                  size_t *generation_out)
{
    for (const struct kw_work *earlier = engine->writer_state->works; earlier < work; earlier++) {
        bool ends_line = !earlier->settled && earlier->put_count > 0 && earlier->change.erased &&
                         kw_id_is_none(&earlier->before.rotated_to);
        if (ends_line && is_at_or_above(engine, *lineage, &earlier->before.lineage_id)) {
            return KW_E_NOT_FOUND;
        }
    }
    return kw__load_family(engine, lineage, generation_out);
}

static bool has_ended(const struct kw_record *record, int64_t now_ms)
{
    enum kw_key_status status = kw_record_status(record, now_ms);
    return status == KW_KEY_REVOKED || status == KW_KEY_EXPIRED;
}

/* The key that the group has put into the place of one that it left so; none where it has not. `earlier` may be NULL.
 */
static struct kw_id put_in_place(const struct kw_work *earlier, const struct kw_record *left)
{
    const struct kw_id none = {{0}};
    if (earlier == NULL) {
        return none;
    }
    bool is_tombstone = left == &earlier->change.after && earlier->change.erased;
    return is_tombstone ? earlier->before.rotated_to : left->rotated_to;
}

/* The key that bounds a line's children, as the group has left it so far. Its line must be in the index. */
static enum kw_status load_bound(struct kw_engine *engine, const struct kw_id *lineage, struct kw_record *record_out,
                                 struct kw_digest *digest_out)
{
    struct kw_bytes encoding;
    enum kw_status status = kw_index_copy_newest(engine->index, lineage, &engine->writer_state->arena, &encoding);
    status = status == KW_OK ? kw_record_decode(encoding, record_out) : status;
    struct kw_id id = status == KW_OK ? record_out->id : *lineage;
    /* The group may have rotated it, and erased the old one then. */
    for (size_t step = 0; status == KW_OK && !kw_id_is_none(&id) && step < KW_LINE_LENGTH_MAX; step++) {
        const struct kw_record *left = NULL;
        const struct kw_work *earlier = kw__touched_before(engine->writer_state, &id, &left);
        struct kw_id next = put_in_place(earlier, left);
        if (kw_id_is_none(&next)) {
            status = kw__load_key(engine, &id, record_out, digest_out);
            next = record_out->rotated_to;
        }
        id = next;
    }
    if (status == KW_OK) {
        kw__apply_seen(engine, digest_out, record_out);
    }
    return status;
}

static enum kw_status refuse_erased_above(struct kw_op *op)
{
    return refuse_parent(op, "names a key whose own parent was erased: its children would be dead from the start");
}

static enum kw_status refuse_ended_above(struct kw_work *work)
{
    char text[KW_ID_TEXT_SIZE];
    kw_id_format(&work->parent.id, text);
    return kw_refuse(&work->op->error, KW_CODE_INVALID_FIELD, "parentId",
                     "names a key below %.*s, which has ended: its children would be dead from the start",
                     KW_ID_TEXT_SIZE, text);
}

/*
 * Above a parent that has not ended itself: whoever has is the one that is noted as met, and so takes the parent's
 * place in the work, which is refused.
 */
static enum kw_status admit_above(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_id line = work->parent.parent_id;
    for (size_t generation = 0; generation <= KW_FAMILY_DEPTH_MAX && !kw_id_is_none(&line); generation++) {
        struct kw_record above;
        struct kw_digest digest;
        enum kw_status status = load_bound(engine, &line, &above, &digest);
        if (status == KW_E_NOT_FOUND) {
            return refuse_erased_above(work->op); /* by the group, which had rotated it before */
        }
        if (status != KW_OK) {
            return kw__store_failed(&work->op->error, status);
        }
        if (has_ended(&above, work->op->now_ms)) {
            work->parent = above;
            work->parent_digest = digest;
            return refuse_ended_above(work);
        }
        line = above.parent_id;
    }
    return KW_OK;
}

static enum kw_status admit_generation(struct kw_engine *engine, struct kw_work *work)
{
    size_t generation = 0;
    if (kw_id_is_none(&work->parent.parent_id)) {
        return KW_OK;
    }
    enum kw_status status = load_family(engine, work, &work->parent.parent_id, &generation);
    if (status == KW_E_NOT_FOUND) {
        return refuse_erased_above(work->op);
    }
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, status);
    }
    /* Of a parent whose own parent is of that generation, a child is two further. */
    if (generation + 2 > KW_FAMILY_DEPTH_MAX) {
        return refuse_parent(work->op, "is too deep in its family: at most 8 generations stand below the first key");
    }
    return has_ended(&work->parent, work->op->now_ms) ? KW_OK : admit_above(engine, work);
}

/* The newest key of the line that is the parent: from the key that a creation names along its rotations. */
static enum kw_status load_parent(struct kw_engine *engine, struct kw_work *work, struct kw_id id)
{
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
            kw__apply_seen(engine, &work->parent_digest, &work->parent);
            work->has_parent = true;
            return KW_OK;
        }
        id = work->parent.rotated_to;
    }
    return refuse_parent(work->op, "names a key that was rotated too often");
}

/* What the group has made of the newest key of a line so far: that key changed, or the one that it was rotated to. */
static struct kw_record as_left(struct kw_writer *writer, const struct kw_record *newest)
{
    const struct kw_record *left = newest;
    struct kw_id id = newest->id;
    while (!kw_id_is_none(&id)) {
        const struct kw_work *earlier = kw__touched_before(writer, &id, &left);
        id = put_in_place(earlier, left);
    }
    return *left;
}

/*
 * The parent of a child as it stands in the index, and as the group has left it. Without one when the line has ended in
 * an erasure: then nothing that the child is given can be used.
 */
static enum kw_status copy_parent(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_writer *writer = engine->writer_state;
    size_t generation;
    enum kw_status status = load_family(engine, work, &work->before.parent_id, &generation);
    struct kw_bytes encoding = {NULL, 0};
    if (status == KW_OK) {
        status = kw_index_copy_newest(engine->index, &work->before.parent_id, &writer->arena, &encoding);
    }
    status = status == KW_OK ? kw_record_decode(encoding, &work->parent) : status;
    work->has_parent = status == KW_OK;
    if (work->has_parent) {
        work->parent = as_left(writer, &work->parent);
    }
    return status == KW_OK || status == KW_E_NOT_FOUND ? KW_OK : kw__store_failed(&work->op->error, status);
}

static enum kw_status refuse_dead_line(struct kw_op *op, const struct kw_record *above)
{
    char text[KW_ID_TEXT_SIZE];
    if (above == NULL) {
        return refuse_parent(op, "names a key that was erased, or whose own parent was: the new key would be dead from "
                                 "the start");
    }
    kw_id_format(&above->id, text);
    return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "parentId",
                     "leads to %.*s, which is revoked: the new key would be dead from the start. Create one elsewhere",
                     KW_ID_TEXT_SIZE, text);
}

enum kw_status kw__admit_rotation(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_id line = work->before.parent_id;
    for (size_t generation = 0; generation <= KW_FAMILY_DEPTH_MAX && !kw_id_is_none(&line); generation++) {
        struct kw_bytes encoding = {NULL, 0};
        struct kw_record above;
        enum kw_status status = kw_index_copy_newest(engine->index, &line, &writer->arena, &encoding);
        status = status == KW_OK ? kw_record_decode(encoding, &above) : status;
        if (status == KW_E_NOT_FOUND) {
            return refuse_dead_line(work->op, NULL);
        }
        if (status != KW_OK) {
            return kw__store_failed(&work->op->error, status);
        }
        above = as_left(writer, &above);
        if (kw_record_status(&above, work->op->now_ms) == KW_KEY_REVOKED) {
            return refuse_dead_line(work->op, &above);
        }
        line = above.parent_id;
    }
    return KW_OK;
}

enum kw_status kw__find_parent(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    struct kw_op *op = work->op;
    bool is_creation = op->kind == KW_OP_CREATE;
    bool names_parent = is_creation && work->params != NULL && (work->params->given & KW_GIVEN_PARENT) != 0;
    bool has_parent = (op->kind == KW_OP_UPDATE || op->kind == KW_OP_ROTATE) && !kw_id_is_none(&work->before.parent_id);
    if (has_parent) {
        return copy_parent(engine, work);
    }
    if (!names_parent) {
        return KW_OK;
    }
    struct kw_id id;
    if (!kw_id_parse(work->params->parent, &id)) {
        return refuse_parent(op, "must be the id of a key: \"key_\" and 26 characters");
    }
    enum kw_status status = load_parent(engine, work, id);
    return status == KW_OK ? admit_generation(engine, work) : status;
}

static bool would_suffer(const struct life *life, const struct kw_record *child)
{
    return kw_record_status(child, life->now_ms) != KW_KEY_REVOKED &&
           (kw_record_is_enabled(child, life->now_ms) || !life->is_pause);
}

/* Stops at the first child that is alive. */
static enum kw_status look_for_life(void *context, const struct kw_store_row *row)
{
    struct life *life = context;
    struct kw_record record;
    life->looked_at++;
    life->last = row->id;
    enum kw_status status = kw_record_decode(row->record, &record);
    const struct kw_record *left = &record;
    (void)kw__touched_before(life->writer, &row->id, &left);
    life->found = status == KW_OK && would_suffer(life, left) && !kw_crowd_has(&life->writer->crowd, &row->id);
    return life->found ? KW_E_CONFLICT : status;
}

static bool is_alive(struct life *life, const struct kw_record *made, const struct kw_id *lineage)
{
    const struct kw_record *left = made;
    (void)kw__touched_before(life->writer, &made->id, &left);
    if (!kw_id_equal(&made->parent_id, lineage) || !would_suffer(life, left)) {
        return false;
    }
    life->last = made->id;
    return true;
}

/* Among the children that earlier operations of the group make: the store does not know them yet. */
static bool is_life_begun(struct life *life, const struct kw_work *work)
{
    const struct kw_id *lineage = &work->before.lineage_id;
    for (const struct kw_work *earlier = life->writer->works; earlier < work; earlier++) {
        const struct kw_change *change = &earlier->change;
        bool is_made = !earlier->settled && earlier->put_count > 0;
        if (is_made && (is_alive(life, &change->after, lineage) ||
                        (change->has_successor && is_alive(life, &change->successor, lineage)))) {
            return true;
        }
    }
    return false;
}

static enum kw_status refuse_orphan(struct kw_op *op, const struct kw_record *parent, const struct life *life)
{
    char key[KW_ID_TEXT_SIZE + 1] = {0};
    char child[KW_ID_TEXT_SIZE + 1] = {0};
    const char *verb = life->is_pause ? "disable" : "revoke";
    kw_id_format(&parent->id, key);
    kw_id_format(&life->last, child);
    return kw_refuse(&op->error, KW_CODE_HAS_CHILDREN, NULL,
                     "The key %s has a child that is alive and would stop working with it, %s: %s its children first, "
                     "or leave cascade out.",
                     key, child, verb);
}

/* One that is so already takes nobody along: the core refuses it. */
static bool may_leave_orphans(const struct life *life, const struct kw_work *work)
{
    const struct kw_record *record = &work->before;
    bool is_stop = work->op->kind == KW_OP_REVOKE || work->op->kind == KW_OP_DISABLE;
    return work->op->spares_children && is_stop && record->has_children && kw_id_is_none(&record->rotated_to) &&
           would_suffer(life, record);
}

/* Looks through the children that the store knows, as the group has left them. */
static enum kw_status refuse_stored_orphan(struct kw_engine *engine, struct kw_work *work, struct life *life)
{
    const struct kw_record *record = &work->before;
    struct kw_store_filter filter = {
        .project = record->project, .parent_id = record->lineage_id, .limit = KW_STORE_LIST_MAX};
    size_t before;
    life->last = (struct kw_id){{0}};
    do {
        before = life->looked_at;
        filter.after.id = life->last;
        enum kw_status status = engine->store->ops->list(engine->store, &filter, look_for_life, life);
        if (life->found) {
            return refuse_orphan(work->op, record, life);
        }
        if (status != KW_OK) {
            return kw__store_failed(&work->op->error, status);
        }
    } while (life->looked_at - before == filter.limit);
    return KW_OK;
}

enum kw_status kw__refuse_orphans(struct kw_engine *engine, struct kw_work *work)
{
    struct life life = {
        .writer = engine->writer_state, .now_ms = work->op->now_ms, .is_pause = work->op->kind == KW_OP_DISABLE};
    /* Those of an action on a filter are looked at together. */
    if (work->is_loaded || !may_leave_orphans(&life, work)) {
        return KW_OK;
    }
    return is_life_begun(&life, work) ? refuse_orphan(work->op, &work->before, &life)
                                      : refuse_stored_orphan(engine, work, &life);
}

enum kw_status kw__refuse_orphans_where(struct kw_engine *engine, struct kw_work *work, size_t *looked_at)
{
    struct life life = {.writer = engine->writer_state,
                        .now_ms = work->op->now_ms,
                        .is_pause = work->op->kind == KW_OP_DISABLE,
                        .looked_at = *looked_at};
    kw__apply_seen(engine, &work->before_digest, &work->before);
    if (!may_leave_orphans(&life, work)) {
        return KW_OK;
    }
    enum kw_status status = refuse_stored_orphan(engine, work, &life);
    *looked_at = life.looked_at;
    if (status == KW_OK && life.looked_at > CHILDREN_LOOKED_AT_MAX) {
        return kw_refuse(&work->op->error, KW_CODE_TOO_MANY_KEYS, NULL,
                         "the keys that match have more than %d children, and one action looks at no more: narrow "
                         "it, or leave cascade out; nothing was changed",
                         CHILDREN_LOOKED_AT_MAX);
    }
    return status;
}

enum kw_status kw__within_authority(struct kw_engine *engine, struct kw_arena *arena, struct kw_op *op,
                                    const struct kw_record *record, bool is_made)
{
    struct kw_bytes encoding = op->authority;
    for (size_t generation = 0; generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        struct kw_record caller;
        if (kw_record_decode(encoding, &caller) != KW_OK) {
            return kw_refuse(&op->error, KW_CODE_INTERNAL, NULL, "the management key's own record cannot be read");
        }
        enum kw_status status = kw_management_within(record, &caller, is_made, &op->error);
        if (status != KW_OK || kw_id_is_none(&caller.parent_id)) {
            return status;
        }
        status = kw_index_copy_newest(engine->index, &caller.parent_id, arena, &encoding);
        if (status != KW_OK) {
            break;
        }
    }
    return kw_refuse(&op->error, KW_CODE_FORBIDDEN, NULL,
                     "The management key's parent is gone: nothing is left to it.");
}
