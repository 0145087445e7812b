#include "engine/narrowed.h"

#include "base/bytes.h"
#include "core/id.h"

struct walk {
    int64_t now_ms;
    size_t looked_at;
    uint64_t count;
    const struct kw_policy *policy; /* NULL: every key counts that is not revoked */
    unsigned tightened;
    struct kw_json_writer writer;
};

static void write_item(struct kw_json_writer *writer, const struct kw_record *record, unsigned excess)
{
    char id[KW_ID_TEXT_SIZE];
    kw_id_format(&record->id, id);
    kw_json_begin_object(writer);
    kw_json_name(writer, "id");
    kw_json_string(writer, kw_bytes_of(id, sizeof id));
    if (record->name.size > 0) {
        kw_json_name(writer, "name");
        kw_json_string(writer, record->name);
    }
    kw_json_name(writer, "fields");
    kw_json_begin_array(writer);
    bool has_resources = false;
    for (size_t i = 0; i < KW_EXCESS_COUNT; i++) {
        bool is_resources = (1U << i & (KW_EXCESS_RESOURCE_COUNT | KW_EXCESS_RESOURCES)) != 0;
        if ((excess >> i & 1) != 0 && !(is_resources && has_resources)) {
            kw_json_text(writer, kw_policy_excess_field(i));
            has_resources = has_resources || is_resources;
        }
    }
    kw_json_end_array(writer);
    kw_json_end_object(writer);
}

static enum kw_status look_at(void *context, const struct kw_store_row *row)
{
    struct walk *walk = context;
    struct kw_record record;
    walk->looked_at++;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status != KW_OK || kw_record_status(&record, walk->now_ms) == KW_KEY_REVOKED) {
        return status;
    }
    if (walk->policy == NULL) {
        walk->count++;
        return KW_OK;
    }
    unsigned excess = kw_policy_excess(walk->policy, &record, record.created_at_ms) & walk->tightened;
    if (excess != 0 && walk->count++ < KW_NARROWED_ITEMS_MAX) {
        write_item(&walk->writer, &record, excess);
    }
    return KW_OK;
}

/* Goes through the keys under a policy until enough were looked at, but never stops before the first that counts where
 * `must_find`. */
static enum kw_status go_through(struct kw_engine *engine, struct kw_bytes project, struct kw_bytes policy,
                                 bool must_find, struct walk *walk, bool *ended_out)
{
    struct kw_store_reached reached = {.ended = false};
    struct kw_store_filter filter = {
        .project = project, .policy = policy, .limit = KW_STORE_LIST_MAX, .reached = &reached};
    bool goes_on = true;
    while (goes_on) {
        filter.after = reached.position;
        enum kw_status status = engine->store->ops->list(engine->store, &filter, look_at, walk);
        if (status != KW_OK) {
            return status;
        }
        bool needs_more = walk->looked_at < KW_NARROWED_SCAN_MAX || (must_find && walk->count == 0);
        goes_on = !reached.ended && needs_more;
    }
    *ended_out = reached.ended;
    return KW_OK;
}

enum kw_status kw__narrowed_write(struct kw_engine *engine, struct kw_bytes project, const struct kw_policy *before,
                                  const struct kw_policy *after, struct kw_buffer *json)
{
    struct walk walk = {
        .now_ms = kw_engine_now_ms(engine), .policy = after, .tightened = kw_policy_tightened(before, after)};
    bool is_exact = true;
    enum kw_status status = KW_OK;
    kw_json_writer_init(&walk.writer, json);
    kw_json_begin_object(&walk.writer);
    kw_json_name(&walk.writer, "items");
    kw_json_begin_array(&walk.writer);
    if (walk.tightened != 0) {
        status = go_through(engine, project, after->name, false, &walk, &is_exact);
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
    struct walk walk = {.now_ms = kw_engine_now_ms(engine)};
    enum kw_status status = go_through(engine, project, policy, true, &walk, exact_out);
    *count_out = walk.count;
    return status;
}
