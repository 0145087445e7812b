#include "engine/once.h"

#include "base/bytes.h"
#include "core/id.h"

_Static_assert(KW_ONCE_SIZE == KW_STORE_REQUEST_SIZE, "names and digests are kept whole");

static bool waits_for_earlier(const struct kw_writer *writer, size_t index)
{
    const uint8_t *name = writer->works[index].op->once->name;
    for (size_t i = 0; i < index; i++) {
        const struct kw_work *work = &writer->works[i];
        if (!work->settled && work->op->once != NULL && memcmp(work->op->once->name, name, KW_ONCE_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* A record as the store has it now. */
static enum kw_status find_record(struct kw_engine *engine, const struct kw_id *id, struct kw_bytes *encoding_out)
{
    struct kw_found found = {.arena = &engine->writer_state->arena};
    enum kw_status status = engine->store->ops->find_by_id(engine->store, id, kw__found_sink, &found);
    if (status == KW_OK) {
        *encoding_out = found.row.record;
    }
    return status;
}

/* The key that a rotation replaced, which may be erased by now. */
static enum kw_status add_previous(struct kw_engine *engine, struct kw_bytes successor, struct kw_buffer *other)
{
    struct kw_record record;
    struct kw_bytes previous = {NULL, 0};
    enum kw_status status = kw_record_decode(successor, &record);
    status = status == KW_OK ? find_record(engine, &record.rotated_from, &previous) : status;
    kw_buffer_add(other, previous);
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

static enum kw_status answer_again(struct kw_engine *engine, struct kw_op *op, const struct kw_id *key_id)
{
    struct kw_bytes encoding;
    enum kw_status status = find_record(engine, key_id, &encoding);
    if (status == KW_E_NOT_FOUND) {
        return kw_refuse(&op->error, KW_CODE_KEY_NOT_FOUND, NULL,
                         "this was done before, and the key that came of it was erased since");
    }
    if (status == KW_OK && op->kind == KW_OP_ROTATE) {
        status = add_previous(engine, encoding, &op->other);
    }
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    kw_buffer_reset(&op->result); /* of an attempt that had to wait for another part */
    kw_buffer_add(&op->result, encoding);
    bool whole = kw_buffer_status(&op->result) == KW_OK && kw_buffer_status(&op->other) == KW_OK;
    kw_secret_wipe(&op->secret); /* of an attempt that another writer forestalled */
    op->is_replay = whole;
    return whole ? KW_OK : kw__store_failed(&op->error, KW_E_MEMORY);
}

enum kw_once_way kw__once_begin(struct kw_engine *engine, size_t index)
{
    struct kw_op *op = engine->writer_state->works[index].op;
    struct kw_store_request request;
    if (op->once == NULL) {
        return KW_ONCE_GO_ON;
    }
    if (waits_for_earlier(engine->writer_state, index)) {
        return KW_ONCE_WAIT;
    }
    op->now_ms = kw_engine_now_ms(engine);
    enum kw_status status = engine->store->ops->request_find(engine->store, op->once->name, &request);
    if (status == KW_E_NOT_FOUND) {
        return KW_ONCE_GO_ON;
    }
    if (status != KW_OK) {
        op->status = kw__store_failed(&op->error, status);
    } else if (memcmp(request.digest, op->once->digest, KW_ONCE_SIZE) != 0) {
        op->status = kw_refuse(&op->error, KW_CODE_IDEMPOTENCY_KEY_REUSED, NULL,
                               "the idempotency key was used for another request: use a new one");
    } else {
        op->status = answer_again(engine, op, &request.key_id);
    }
    return KW_ONCE_ENDED;
}

void kw__once_fill(struct kw_work *work)
{
    const struct kw_once *once = work->op->once;
    const struct kw_record *made = work->change.has_successor ? &work->change.successor : &work->change.after;
    work->request = (struct kw_store_request){.key_id = made->id, .at_ms = work->op->now_ms};
    memcpy(work->request.name, once->name, sizeof once->name);
    memcpy(work->request.digest, once->digest, sizeof once->digest);
}

void kw__once_note(struct kw_work *work, struct kw_store_batch *batch)
{
    if (work->op->once == NULL) {
        return;
    }
    kw__once_fill(work);
    batch->requests = &work->request;
    batch->request_count = 1;
}

void kw__once_prune(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    int64_t now_ms = kw_engine_now_ms(engine);
    if (now_ms < writer->prune_at_ms) {
        return;
    }
    uint64_t removed = 0;
    enum kw_status status =
        engine->store->ops->request_prune(engine->store, now_ms - KW_ONCE_KEPT_MS, KW_ONCE_PRUNED_MAX, &removed);
    bool goes_on = status == KW_OK && removed == KW_ONCE_PRUNED_MAX;
    writer->prune_at_ms = goes_on ? now_ms : now_ms + KW_ONCE_PRUNE_MS;
}
