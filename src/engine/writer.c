#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"
#include "engine/events_read.h"
#include "engine/export.h"
#include "engine/funds.h"
#include "engine/import.h"
#include "engine/once.h"
#include "engine/quotas.h"
#include "engine/sealer.h"
#include "engine/tell.h"
#include "engine/unused.h"

#define GROUP_MEMORY_MAX ((size_t)256 * 1024 * 1024) /* the usual is a thousandth */
#define GROUP_FIRST_BLOCK ((size_t)256 * 1024)

enum kw_status kw__writer_new(struct kw_engine *engine)
{
    struct kw_writer *writer = kw_alloc(1, sizeof *writer);
    void *block = kw_alloc(1, GROUP_FIRST_BLOCK);
    if (writer == NULL || block == NULL) {
        kw_free(writer);
        kw_free(block);
        return KW_E_MEMORY;
    }
    writer->works = writer->own_works;
    kw_arena_init(&writer->arena, block, GROUP_FIRST_BLOCK, GROUP_MEMORY_MAX);
    kw_buffer_init(&writer->scratch, (size_t)16 * KW_RECORD_MAX);
    engine->writer_state = writer;
    return KW_OK;
}

void kw__writer_free(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    if (writer == NULL) {
        return;
    }
    kw__doubts_free(engine);
    kw_arena_reset(&writer->arena);
    kw_free(writer->arena.first_block);
    kw_buffer_deinit(&writer->scratch);
    kw_free(writer);
    engine->writer_state = NULL;
}

/* The digest under which the index may know the key still: that before a move, this one or one that is in doubt. */
static const struct kw_digest *former_digest(const struct kw_engine *engine, const struct kw_work *work, size_t put)
{
    if (work->op->kind == KW_OP_MOVE) {
        return &work->before_digest;
    }
    return kw__doubted_move(engine, &work->digests[put]);
}

enum kw_status kw__show_row(struct kw_engine *engine, uint16_t project, const struct kw_store_row *row,
                            const struct kw_digest *digest, const struct kw_digest *former)
{
    return former == NULL ? kw_index_put(engine->index, digest, project, row->erased, row->record)
                          : kw_index_move(engine->index, former, digest, project, row->erased, row->record);
}

/* Puts what was committed into the index. False when it could not be put there. */
static bool show(struct kw_engine *engine, const struct kw_work *work)
{
    bool is_seen = true;
    /* A successor before the key that it follows: children of their line are never without a parent. */
    for (size_t i = work->put_count; i-- > 0;) {
        const struct kw_store_row *row = &work->puts[i].row;
        const struct kw_digest *former = former_digest(engine, work, i);
        if (kw__show_row(engine, work->op->project, row, &work->digests[i], former) != KW_OK) {
            /* A key that did not get to its new digest is still what it was under the old one. */
            if (work->op->kind != KW_OP_MOVE) {
                kw__condemn(engine, &work->digests[i]);
            }
            kw__doubt(engine, &work->digests[i], former);
            is_seen = false;
        }
    }
    for (size_t i = 0; i < work->end_count; i++) { /* it is not there to be found valid: later will do */
        if (kw__show_row(engine, work->op->project, &work->ends[i].put.row, &work->ends[i].digest, NULL) != KW_OK) {
            kw__doubt(engine, &work->ends[i].digest, NULL);
        }
    }
    return is_seen;
}

/* Hands out the records of what was done. False when there is no memory for it. */
static bool tell(struct kw_engine *engine, const struct kw_work *work)
{
    struct kw_op *op = work->op;
    size_t shown = work->change.has_successor ? 1 : 0;
    if (work->put_count > 0) { /* else the result is there already */
        kw_buffer_add(&op->result, work->puts[shown].row.record);
    }
    if (work->change.has_successor) {
        kw_buffer_add(&op->other, work->puts[0].row.record);
    }
    kw__look_above(engine, op);
    return kw_buffer_status(&op->result) == KW_OK && kw_buffer_status(&op->other) == KW_OK;
}

/* Shows a unit that was committed, and only then says that it is done. */
static void publish(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_op *op = unit->op;
    if (op->kind == KW_OP_WHERE) {
        kw__where_publish(engine, unit);
        return;
    }
    for (size_t i = 0; i < unit->count; i++) {
        struct kw_work *work = &kw__unit_works(engine, unit)[i];
        bool shown = show(engine, work);
        /* The change is made and durable, but not seen everywhere or not to be shown: no answer may claim more. */
        bool is_told = work->op->kind == KW_OP_IMPORT_ONE || tell(engine, work);
        bool whole = shown && is_told;
        kw__work_finish(work, whole ? KW_OK : kw__store_failed(&work->op->error, KW_E_UNCERTAIN));
    }
    kw__unit_finish(unit, op->kind == KW_OP_TOGETHER ? KW_OK : op->status);
}

/*
 * True when the write is there. That it is not there proves nothing: a commit whose sync failed can be out of sight now
 * and come back after a crash, until a later commit has taken its place.
 */
static bool has_happened(struct kw_engine *engine, const struct kw_unit *unit)
{
    if (unit->op->kind == KW_OP_WHERE) {
        return kw__where_has_happened(engine);
    }
    struct kw_found found = {.arena = &engine->writer_state->arena};
    /* The last row: no other of the batch was written over it. */
    const struct kw_store_row *row = &unit->batch->puts[unit->batch->put_count - 1].row;
    return engine->store->ops->find_by_digest(engine->store, row->digest, kw__found_sink, &found) == KW_OK &&
           found.row.version == row->version && kw_bytes_equal(found.row.record, row->record);
}

static void settle_uncertain(struct kw_engine *engine, struct kw_unit *unit)
{
    if (has_happened(engine, unit)) {
        publish(engine, unit);
        return;
    }
    if (unit->op->kind == KW_OP_WHERE) {
        kw__doubt_crowd(engine, &engine->writer_state->crowd);
    }
    for (size_t i = 0; i < unit->count; i++) {
        const struct kw_work *work = &kw__unit_works(engine, unit)[i];
        for (size_t j = 0; j < work->put_count; j++) {
            kw__doubt(engine, &work->digests[j], work->op->kind == KW_OP_MOVE ? &work->before_digest : NULL);
        }
        for (size_t j = 0; j < work->end_count; j++) {
            kw__doubt(engine, &work->ends[j].digest, NULL);
        }
    }
    kw__unit_fail(engine, unit, kw__store_failed, KW_E_UNCERTAIN);
}

static enum kw_status explain_conflict(struct kw_error *error_out, enum kw_status status)
{
    (void)status;
    return kw_refuse(error_out, KW_CODE_VERSION_CONFLICT, NULL,
                     "others keep changing this key: read it again and repeat the change");
}

static void settle(struct kw_engine *engine, struct kw_unit *unit)
{
    enum kw_status refusal = engine->writer_state->crowd.refusal;
    if (refusal != KW_OK) { /* of an action on a filter, which is the only unit then */
        kw__unit_finish(unit, refusal);
        return;
    }
    switch (unit->batch->outcome) {
    case KW_OK:
        publish(engine, unit);
        break;
    case KW_E_CONFLICT:
        if (unit->op->kind == KW_OP_IMPORT_ONE) {
            unit->op->import_one->meets_conflict = true;
        }
        if (++unit->attempts == KW_WRITE_ATTEMPTS) {
            bool is_import = unit->op->kind == KW_OP_IMPORT_ONE;
            kw__unit_fail(engine, unit, is_import ? kw__import_conflict : explain_conflict, KW_E_CONFLICT);
        }
        break;
    case KW_E_UNCERTAIN:
        settle_uncertain(engine, unit);
        break;
    default:
        kw__unit_fail(engine, unit, kw__store_failed, unit->batch->outcome);
        break;
    }
}

static void prepare_all(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    writer->batch_count = 0;
    memset(writer->touched, 0, sizeof writer->touched);
    memset(writer->imported, 0, sizeof writer->imported);
    for (size_t i = 0; i < writer->unit_count; i++) {
        if (!writer->units[i].settled) {
            kw__unit_prepare(engine, &writer->units[i]);
        }
    }
    kw__import_seal(engine);
}

static void end_rehearsals(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    for (size_t i = 0; i < writer->unit_count; i++) {
        struct kw_unit *unit = &writer->units[i];
        if (unit->is_rehearsed && !unit->settled) {
            kw__work_finish(kw__unit_works(engine, unit), KW_OK);
            kw__unit_finish(unit, KW_OK);
        }
    }
}

static void commit_all(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    if (writer->batch_count == 0) {
        return;
    }
    enum kw_status status = engine->store->ops->commit(engine->store, writer->batches, writer->batch_count);
    kw__tell_committed(engine);
    uint64_t changes = 0;
    for (size_t i = 0; i < writer->unit_count; i++) {
        const struct kw_unit *unit = &writer->units[i];
        bool is_in = !unit->settled && unit->batch != NULL;
        changes += !is_in                                    ? 0
                   : unit->op->kind == KW_OP_WHERE           ? writer->crowd.written
                   : kw__unit_works(engine, unit)->is_shared ? 1
                                                             : unit->batch->audit_count;
    }
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commits, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commit_ops, changes, __ATOMIC_RELAXED);
    for (size_t i = 0; i < writer->unit_count; i++) {
        if (!writer->units[i].settled && writer->units[i].batch != NULL) {
            settle(engine, &writer->units[i]);
        }
    }
}

/* Ends keys that have not come into being, then hands the operation back. The writer does not touch it afterwards. */
static void hand_back(struct kw_op *op)
{
    if (op->status != KW_OK) {
        kw_secret_wipe(&op->secret);
    }
    for (size_t i = 0; i < op->part_count; i++) {
        if (op->parts[i].status != KW_OK) {
            kw_secret_wipe(&op->parts[i].secret);
        }
    }
    op->done(op);
}

void kw__note_refused(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    for (size_t i = 0; i < writer->work_count; i++) {
        const struct kw_work *work = &writer->works[i];
        const struct kw_op *op = work->op;
        if (work->is_refused && work->has_before) {
            kw__note_passed(engine, &work->before_digest, op->project, &work->before, op->now_ms);
        } else if (work->is_refused && work->has_parent) {
            kw__note_passed(engine, &work->parent_digest, op->project, &work->parent, op->now_ms);
        }
    }
}

static void write_group(struct kw_engine *engine, struct kw_op *chain)
{
    struct kw_writer *writer = engine->writer_state;
    size_t open = kw__group_begin(writer, chain) ? writer->unit_count : 0;
    while (open > 0) {
        prepare_all(engine);
        commit_all(engine);
        end_rehearsals(engine);
        open = 0;
        for (size_t i = 0; i < writer->unit_count; i++) {
            open += !writer->units[i].settled;
        }
    }
    kw__note_refused(engine);
    for (struct kw_op *op = chain, *next; op != NULL; op = next) {
        next = op->next;
        hand_back(op);
    }
    kw_op_deinit(&writer->where_part);
    kw_op_deinit(&writer->where_lapse);
    kw_crowd_end(&writer->crowd);
    kw__works_give_back(writer);
    kw_arena_reset(&writer->arena);
    kw_index_reclaim(engine->index);
}

/* A lapse, a first use or a move that could not be written is noticed again at the next verification. */
static void end_lapse(struct kw_op *op)
{
    const struct kw_lapse *lapse = op->context;
    if (op->status != KW_OK && op->status != KW_E_CONFLICT && op->status != KW_E_NOT_FOUND) {
        kw_index_read_begin();
        struct kw_entry *entry = kw_index_find(lapse->index, &lapse->digest);
        if (entry != NULL && lapse->kind == KW_OP_END_GRACE) {
            __atomic_fetch_or(&entry->flags, KW_ENTRY_ENDS_GRACE, __ATOMIC_RELAXED);
        } else if (entry != NULL && lapse->kind == KW_OP_MOVE) {
            __atomic_fetch_and(&entry->marks, (uint8_t)~KW_ENTRY_MOVING, __ATOMIC_RELAXED);
        } else if (entry != NULL) {
            __atomic_fetch_and(&entry->flags, (uint8_t)~KW_ENTRY_NOTED, __ATOMIC_RELAXED);
        }
        kw_index_read_end();
    }
    kw_op_deinit(op);
}

/* Takes what was noted; false when there was nothing, or somebody was just noting. */
static bool take_lapses(struct kw_engine *engine, size_t *count_out)
{
    struct kw_lapses *lapses = &engine->lapses;
    struct kw_writer *writer = engine->writer_state;
    size_t count = 0;
    if (__atomic_exchange_n(&lapses->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        return false;
    }
    while (count < KW_LAPSES_TOGETHER && lapses->count > 0) {
        writer->lapses[count++] = lapses->items[--lapses->count];
    }
    __atomic_store_n(&lapses->lock, 0, __ATOMIC_RELEASE);
    *count_out = count;
    return count > 0;
}

static void write_lapses(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    size_t count;
    while (take_lapses(engine, &count)) {
        for (size_t i = 0; i < count; i++) {
            struct kw_op *op = &writer->lapse_ops[i];
            const struct kw_lapse *lapse = &writer->lapses[i];
            writer->lapses[i].index = engine->index;
            kw_op_init(op, lapse->kind, lapse->project);
            op->reason = lapse->kind == KW_OP_END_GRACE ? KW_BYTES("rotated") : (struct kw_bytes){NULL, 0};
            op->digest = kw_bytes_of(lapse->moved.bytes, lapse->moved.size);
            op->method_number = lapse->method;
            op->id = writer->lapses[i].id;
            op->if_version = writer->lapses[i].version;
            op->now_ms = writer->lapses[i].noticed_ms; /* the time that had passed then has passed for good */
            op->actor = KW_BYTES("system");
            op->context = &writer->lapses[i];
            op->done = end_lapse;
            op->next = i + 1 < count ? &writer->lapse_ops[i + 1] : NULL;
        }
        write_group(engine, writer->lapse_ops);
    }
}

void *kw__writer_main(void *context)
{
    struct kw_engine *engine = context;
    bool closed = false;
    uint64_t tidy_at_ns = 0;
    while (!closed) {
        struct kw_op *chain = kw__queue_take(&engine->writes, KW_ENGINE_GROUP_MAX, KW_WRITER_TICK_MS, &closed);
        while (chain != NULL) {
            struct kw_op *rest = kw__group_cut(chain);
            if (kw__op_is_document(chain)) {
                kw__document_write(engine, chain);
            } else if (chain->kind == KW_OP_EXPORT) {
                kw__export_write(engine, chain);
            } else if (chain->kind == KW_OP_SEAL) {
                kw__seal_write(engine, chain);
            } else if (chain->kind == KW_OP_CREDIT) {
                kw__credit_write(engine, chain);
            } else if (chain->kind == KW_OP_FUND) {
                kw__funds_write(engine, chain);
            } else if (chain->kind == KW_OP_REPORT) {
                kw__reports_write(engine, chain);
            } else if (kw__op_is_method(chain)) {
                kw__method_write(engine, chain);
            } else {
                write_group(engine, chain);
            }
            chain = rest;
        }
        if (engine->catalog_doubted) {
            engine->catalog_doubted = kw__catalog_load(engine, NULL) != KW_OK;
        }
        if (engine->methods_doubted) {
            engine->methods_doubted = kw__methods_load(engine, NULL) != KW_OK;
        }
        if (kw__has_doubts(engine)) {
            kw__doubts_resolve(engine);
        }
        write_lapses(engine);
        kw__funds_fill(engine);
        if (kw_monotonic_ns() >= tidy_at_ns) {
            tidy_at_ns = kw_monotonic_ns() + KW_WRITER_TICK_MS * UINT64_C(1000000);
            kw_ledger_sweep(engine->ledger, kw_engine_now_ms(engine));
            kw__funds_give_back(engine);
            kw__once_prune(engine);
            kw__funds_prune(engine);
            kw__events_prune(engine);
            kw__unused_tell(engine);
        }
    }
    kw__funds_leave(engine);
    return NULL;
}
