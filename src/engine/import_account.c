#include "base/bytes.h"
#include "core/id.h"
#include "engine/account.h"
#include "engine/tell.h"

/*
 * New keys of an import are one batch: all of its rows, and an audit line and an event for every thousand of them. A
 * line and an event for each key are ten more places in a store, and cost as much as the keys themselves.
 */

#define KEYS_TOLD_TOGETHER 1000
/* At the last one each is a batch of its own: only what fails fails. */
#define SHARED_ATTEMPTS (KW_WRITE_ATTEMPTS - 1)

bool kw__import_may_share(const struct kw_unit *unit)
{
    return unit->op->kind == KW_OP_IMPORT_ONE && unit->attempts < SHARED_ATTEMPTS &&
           unit->op->project != KW_PROJECT_KEYWARD; /* who may manage is told one by one */
}

/* What is told together is of one project, and one actor's. */
static bool goes_with(const struct kw_unit *first, const struct kw_unit *unit)
{
    return first->op->project == unit->op->project && kw_bytes_equal(first->op->actor, unit->op->actor) &&
           first->op->circumstances == unit->op->circumstances;
}

void kw__import_join(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    if (writer->is_sharing && !goes_with(&writer->units[writer->shared_first], unit)) {
        kw__import_seal(engine);
    }
    if (!writer->is_sharing) {
        writer->is_sharing = true;
        writer->shared_first = (size_t)(unit - writer->units);
        writer->batches[writer->batch_count++] = (struct kw_store_batch){.put_count = 0};
    }
    unit->batch = &writer->batches[writer->batch_count - 1];
    unit->batch->put_count += kw__unit_works(engine, unit)->put_count;
    unit->batch->audit_count++; /* units, until it is sealed */
}

static void write_keys(const struct kw_id *keys, size_t count, struct kw_json_writer *json)
{
    kw_json_name(json, "count");
    kw_json_i64(json, (int64_t)count);
    kw_json_name(json, "keyIds");
    kw_json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        char text[KW_ID_TEXT_SIZE];
        kw_id_format(&keys[i], text);
        kw_json_string(json, kw_bytes_of(text, sizeof text));
    }
    kw_json_end_array(json);
}

/* The line and the event of `count` keys that begin with `keys`. */
static enum kw_status tell(struct kw_engine *engine, const struct kw_work *first, const struct kw_id *keys,
                           size_t count, struct kw_store_audit *audit_out, struct kw_store_event *event_out)
{
    const struct kw_op *op = first->op;
    struct kw_bytes project = first->project->name;
    struct kw_bytes action = KW_BYTES("keys.imported");
    struct kw_json_writer json;
    uint8_t random[KW_ID_RANDOM_SIZE];
    enum kw_status status = kw__import_draw(engine, random);
    if (status != KW_OK) {
        return status;
    }
    *audit_out = (struct kw_store_audit){.at_ms = op->now_ms, .project = project, .action = action};
    *event_out = (struct kw_store_event){
        .id = kw_id_make(op->now_ms, random), .at_ms = op->now_ms, .project = project, .type = action};
    kw__line_begin(engine, &json);
    write_keys(keys, count, &json);
    status = kw__line_end(engine, &json, &audit_out->body);
    if (status == KW_OK) {
        kw__tell_begin(engine, NULL, false, &json, event_out);
        kw__tell_text(&json, "actor", kw__tell_actor(op));
        write_keys(keys, count, &json);
        status = kw__tell_end(engine, &json, event_out);
    }
    return status == KW_OK ? kw__account_who(engine, op, audit_out) : status;
}

static enum kw_status fill(struct kw_engine *engine, struct kw_store_batch *batch)
{
    struct kw_writer *writer = engine->writer_state;
    size_t key_count = batch->audit_count;
    size_t line_count = (key_count + KEYS_TOLD_TOGETHER - 1) / KEYS_TOLD_TOGETHER;
    struct kw_store_put *puts = kw_arena_take_array(&writer->arena, batch->put_count, sizeof *puts);
    struct kw_id *keys = kw_arena_take_array(&writer->arena, key_count, sizeof *keys);
    struct kw_store_audit *audits = kw_arena_take_array(&writer->arena, line_count, sizeof *audits);
    struct kw_store_event *events = kw_arena_take_array(&writer->arena, line_count, sizeof *events);
    if (puts == NULL || keys == NULL || audits == NULL || events == NULL) {
        return KW_E_MEMORY;
    }
    *batch = (struct kw_store_batch){.puts = puts, .audits = audits, .events = events};
    size_t told = 0;
    for (size_t i = writer->shared_first; i < writer->unit_count && told < key_count; i++) {
        if (writer->units[i].settled || writer->units[i].batch != batch) {
            continue;
        }
        const struct kw_work *work = kw__unit_works(engine, &writer->units[i]);
        memcpy(puts + batch->put_count, work->puts, work->put_count * sizeof *puts);
        batch->put_count += work->put_count;
        keys[told++] = work->change.after.id;
    }
    const struct kw_work *first_work = kw__unit_works(engine, &writer->units[writer->shared_first]);
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < line_count && status == KW_OK; i++) {
        size_t first = i * KEYS_TOLD_TOGETHER;
        size_t count = key_count - first < KEYS_TOLD_TOGETHER ? key_count - first : KEYS_TOLD_TOGETHER;
        status = tell(engine, first_work, keys + first, count, &audits[i], &events[i]);
    }
    batch->audit_count = batch->event_count = line_count;
    return status;
}

void kw__import_seal(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    if (!writer->is_sharing) {
        return;
    }
    struct kw_store_batch *batch = &writer->batches[writer->batch_count - 1];
    writer->is_sharing = false;
    enum kw_status status = fill(engine, batch);
    if (status == KW_OK) {
        return;
    }
    writer->batch_count--;
    for (size_t i = writer->shared_first; i < writer->unit_count; i++) {
        if (!writer->units[i].settled && writer->units[i].batch == batch) {
            kw__unit_fail(engine, &writer->units[i], kw__store_failed, status);
        }
    }
}
