#include "engine/narrowed.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "core/id.h"
#include "engine/narrowed_path.h"

struct walk {
    struct kw_engine *engine;
    struct kw_bytes project, policy;
    int64_t now_ms;
    size_t looked_at;
    uint64_t count;
    struct kw__narrowed_path *path; /* NULL: every key counts that is not revoked */
    struct kw_json_writer writer;
    bool is_below;        /* it is about the descendants of keys that were looked at before */
    bool has_families;    /* there may be such */
    size_t below;         /* of them that were looked at */
    size_t at;            /* the step whose children are looked at */
    bool is_held;         /* the store's list was left at a key, so that more can be asked of it */
    struct kw_arena held; /* that key */
    struct kw_bytes encoding;
    struct kw_id last;
};

static void write_item(struct kw_json_writer *writer, const struct kw__narrowed_step *step)
{
    const struct kw_record *record = &step->record;
    char id[KW_ID_TEXT_SIZE];
    kw_id_format(&record->id, id);
    kw_json_begin_object(writer);
    kw_json_name(writer, "id");
    kw_json_string(writer, kw_bytes_of(id, sizeof id));
    if (record->name.size > 0) {
        kw_json_name(writer, "name");
        kw_json_string(writer, record->name);
    }
    if (step->by != &record->id) {
        kw_id_format(step->by, id);
        kw_json_name(writer, "ancestorId");
        kw_json_string(writer, kw_bytes_of(id, sizeof id));
    }
    kw_json_name(writer, "fields");
    kw_json_begin_array(writer);
    bool has_resources = false;
    for (size_t i = 0; i < KW_EXCESS_COUNT; i++) {
        bool is_resources = (1U << i & (KW_EXCESS_RESOURCE_COUNT | KW_EXCESS_RESOURCES)) != 0;
        if ((step->fields >> i & 1) != 0 && !(is_resources && has_resources)) {
            kw_json_text(writer, kw_policy_excess_field(i));
            has_resources = has_resources || is_resources;
        }
    }
    kw_json_end_array(writer);
    kw_json_end_object(writer);
}

static void count_step(struct walk *walk, const struct kw__narrowed_step *step)
{
    if (step->fields != 0 && walk->count++ < KW_NARROWED_ITEMS_MAX) {
        write_item(&walk->writer, step);
    }
}

/* Its children stand under the newest key of its line. */
static bool bounds_children(const struct kw_record *record)
{
    return record->has_children && kw_id_is_none(&record->rotated_to);
}

/* --- the keys under a policy --- */

/* What is below a key cannot be asked of the store while it shows one; nor can ancestors that the index lacks. */
static enum kw_status hold(struct walk *walk, const struct kw_store_row *row)
{
    kw_arena_reset(&walk->held);
    enum kw_status status = kw_arena_copy(&walk->held, row->record, &walk->encoding);
    walk->is_held = status == KW_OK;
    return walk->is_held ? KW_E_CONFLICT : status;
}

static enum kw_status go_below(struct walk *walk, size_t top);

/* Counts it, or goes below it. `row`: the store shows it just now; NULL: it is held. */
static enum kw_status look_closer(struct walk *walk, struct kw_bytes encoding, const struct kw_store_row *row)
{
    size_t at;
    enum kw_status status = kw__narrowed_path_to(walk->path, walk->engine, encoding, &at);
    const struct kw__narrowed_step *step = &walk->path->steps[at];
    if (status != KW_OK) {
        return status == KW_E_NOT_FOUND ? KW_OK : status;
    }
    bool has_more = step->fields != 0 && bounds_children(&step->record);
    if (walk->is_below) {
        return !has_more ? KW_OK : row != NULL ? hold(walk, row) : go_below(walk, at);
    }
    count_step(walk, step);
    walk->has_families = walk->has_families || has_more;
    return KW_OK;
}

static bool is_index_ready(const struct walk *walk, const struct kw_id *parent_id)
{
    size_t generation;
    struct kw_id unknown;
    return kw_id_is_none(parent_id) || kw_index_ancestry(walk->engine->index, parent_id, &generation, &unknown);
}

static enum kw_status look_at(void *context, const struct kw_store_row *row)
{
    struct walk *walk = context;
    struct kw_record record;
    walk->looked_at++;
    walk->last = row->id;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status != KW_OK || kw_record_status(&record, walk->now_ms) == KW_KEY_REVOKED) {
        return status;
    }
    if (walk->path == NULL) {
        walk->count++;
        return KW_OK;
    }
    return is_index_ready(walk, &record.parent_id) ? look_closer(walk, row->record, row) : hold(walk, row);
}

/* Goes through the keys under a policy until enough were looked at, but never stops before the first that counts where
 * `must_find`. */
static enum kw_status go_through(struct walk *walk, bool must_find, bool *ended_out)
{
    struct kw_store *store = walk->engine->store;
    struct kw_store_reached reached = {.ended = false};
    struct kw_store_filter filter = {
        .project = walk->project, .policy = walk->policy, .limit = KW_STORE_LIST_MAX, .reached = &reached};
    bool goes_on = true;
    while (goes_on) {
        walk->is_held = false;
        filter.after = reached.position;
        enum kw_status status = store->ops->list(store, &filter, look_at, walk);
        if (walk->is_held) {
            reached = (struct kw_store_reached){.position.id = walk->last, .ended = false};
            status = look_closer(walk, walk->encoding, NULL);
        }
        if (status != KW_OK) {
            return status;
        }
        bool needs_more = walk->looked_at < KW_NARROWED_SCAN_MAX || (must_find && walk->count == 0);
        goes_on = !reached.ended && needs_more && walk->below < KW_NARROWED_BELOW_MAX;
    }
    *ended_out = reached.ended;
    return KW_OK;
}

/* --- their descendants --- */

/* Who names the policy is listed for himself, and what is below him with him. */
static enum kw_status look_below(void *context, const struct kw_store_row *row)
{
    struct walk *walk = context;
    struct kw__narrowed_path *path = walk->path;
    const struct kw__narrowed_step *step = &path->steps[walk->at + 1];
    walk->below++;
    path->steps[walk->at].after = row->id;
    enum kw_status status = kw__narrowed_step(path, walk->at + 1, row->record);
    if (status != KW_OK || kw_record_status(&step->record, walk->now_ms) == KW_KEY_REVOKED ||
        step->by == &step->record.id) {
        return status;
    }
    count_step(walk, step);
    if (step->fields == 0 || !bounds_children(&step->record) || walk->at + 2 >= KW__NARROWED_PATH_MAX) {
        return KW_OK;
    }
    status = kw__narrowed_keep(path, walk->at + 1, row->record);
    walk->is_held = status == KW_OK;
    return walk->is_held ? KW_E_CONFLICT : status;
}

/* From child to child, and first to what is below each. */
static enum kw_status go_below(struct walk *walk, size_t top)
{
    struct kw_store *store = walk->engine->store;
    walk->at = top;
    while (walk->below < KW_NARROWED_BELOW_MAX && walk->at + 1 < KW__NARROWED_PATH_MAX) {
        const struct kw__narrowed_step *step = &walk->path->steps[walk->at];
        size_t left = KW_NARROWED_BELOW_MAX - walk->below;
        struct kw_store_filter filter = {.project = walk->project,
                                         .parent_id = step->record.lineage_id,
                                         .after.id = step->after,
                                         .limit = left < KW_STORE_LIST_MAX ? left : KW_STORE_LIST_MAX};
        size_t before = walk->below;
        walk->is_held = false;
        enum kw_status status = store->ops->list(store, &filter, look_below, walk);
        if (walk->is_held) {
            walk->at++;
            continue;
        }
        if (status != KW_OK) {
            return status;
        }
        bool is_through = walk->below - before < filter.limit;
        if (is_through && walk->at == top) {
            break;
        }
        walk->at -= is_through;
    }
    return KW_OK;
}

/* --- what is said --- */

static enum kw_status find_all(struct walk *walk, bool *exact_out)
{
    bool saw_all = true;
    enum kw_status status = go_through(walk, false, exact_out);
    if (status == KW_OK && walk->has_families) {
        walk->is_below = true;
        walk->looked_at = 0;
        status = go_through(walk, false, &saw_all);
    }
    *exact_out = *exact_out && saw_all;
    return status;
}

enum kw_status kw__narrowed_write(struct kw_engine *engine, struct kw_bytes project, const struct kw_policy *before,
                                  const struct kw_policy *after, struct kw_buffer *json)
{
    struct walk walk = {
        .engine = engine, .project = project, .policy = after->name, .now_ms = kw_engine_now_ms(engine)};
    unsigned tightened = kw_policy_tightened(before, after);
    bool is_exact = true;
    enum kw_status status = KW_OK;
    kw_json_writer_init(&walk.writer, json);
    kw_json_begin_object(&walk.writer);
    kw_json_name(&walk.writer, "items");
    kw_json_begin_array(&walk.writer);
    if (tightened != 0) {
        walk.path = kw_alloc(1, sizeof *walk.path);
        status = walk.path == NULL ? KW_E_MEMORY : KW_OK;
    }
    if (walk.path != NULL) {
        kw_arena_init(&walk.held, NULL, 0, KW_RECORD_MAX + 64);
        kw__narrowed_path_init(walk.path, after, tightened, walk.now_ms);
        status = find_all(&walk, &is_exact);
        kw__narrowed_path_deinit(walk.path);
        kw_arena_reset(&walk.held);
        kw_free(walk.path);
    }
    kw_json_end_array(&walk.writer);
    kw_json_name(&walk.writer, "count");
    kw_json_i64(&walk.writer, (int64_t)walk.count);
    kw_json_name(&walk.writer, "exact");
    kw_json_bool(&walk.writer, is_exact);
    kw_json_name(&walk.writer, "more");
    kw_json_bool(&walk.writer, !is_exact || walk.count > KW_NARROWED_ITEMS_MAX);
    kw_json_end_object(&walk.writer);
    return status != KW_OK ? status : kw_buffer_status(json);
}

enum kw_status kw__policy_count_keys(struct kw_engine *engine, struct kw_bytes project, struct kw_bytes policy,
                                     uint64_t *count_out, bool *exact_out)
{
    struct walk walk = {.engine = engine, .project = project, .policy = policy, .now_ms = kw_engine_now_ms(engine)};
    enum kw_status status = go_through(&walk, true, exact_out);
    *count_out = walk.count;
    return status;
}
