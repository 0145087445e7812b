#include "engine/internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "engine/attempts.h"
#include "engine/audit_read.h"
#include "engine/events_read.h"
#include "engine/export.h"
#include "engine/funds.h"
#include "engine/insights.h"
#include "engine/narrowed.h"
#include "engine/scheduler.h"
#include "engine/sealer.h"
#include "engine/webhooks.h"

#include <semaphore.h>
#include <unistd.h>

int64_t kw_engine_now_ms(const struct kw_engine *engine)
{
    return engine->clock.now_ms(engine->clock.context);
}

static void stop_threads(struct kw_engine *engine)
{
    kw__scheduler_stop(engine);
    kw__sealer_stop(engine);
    pthread_mutex_lock(&engine->filled_lock);
    engine->stopping = true;
    pthread_cond_broadcast(&engine->filled);
    pthread_mutex_unlock(&engine->filled_lock);
    kw__queue_close(&engine->writes);
    kw__queue_close(&engine->reads);
    if (engine->filler_started) {
        pthread_join(engine->filler, NULL);
    }
    if (engine->writer_started) {
        pthread_join(engine->writer, NULL);
    }
    for (unsigned i = 0; i < engine->reader_count; i++) {
        pthread_join(engine->readers[i], NULL);
    }
    kw__usage_stop(engine);
}

void kw_engine_close(struct kw_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    stop_threads(engine);
    kw__writer_free(engine);
    kw_index_free(engine->index);
    kw_ledger_free(engine->ledger);
    kw_usage_free(engine->usage);
    kw__attempts_free(engine->attempts);
    kw_catalog_free(engine->catalog);
    kw__methods_free(engine->methods);
    kw__method_memory_deinit(&engine->method_memory);
    engine->store->ops->close(engine->store);
    kw__queue_deinit(&engine->writes);
    kw__queue_deinit(&engine->reads);
    pthread_cond_destroy(&engine->filled);
    pthread_mutex_destroy(&engine->filled_lock);
    kw_secret_wipe(&engine->audit_seed);
    kw_free(engine);
}

static enum kw_status start_threads(struct kw_engine *engine, unsigned reader_count)
{
    if (pthread_create(&engine->writer, NULL, kw__writer_main, engine) != 0) {
        return KW_E_SYSTEM;
    }
    engine->writer_started = true;
    for (; engine->reader_count < reader_count; engine->reader_count++) {
        if (pthread_create(&engine->readers[engine->reader_count], NULL, kw__reader_main, engine) != 0) {
            return KW_E_SYSTEM;
        }
    }
    if (pthread_create(&engine->filler, NULL, kw__filler_main, engine) != 0) {
        return KW_E_SYSTEM;
    }
    engine->filler_started = true;
    return KW_OK;
}

static struct kw_engine *engine_new(const struct kw_engine_options *options, struct kw_store *store)
{
    struct kw_engine *engine = kw_alloc(1, sizeof *engine);
    if (engine == NULL) {
        return NULL;
    }
    engine->store = store;
    engine->clock = options->clock;
    engine->entropy = options->entropy;
    if (options->pepper_keeper != NULL) {
        engine->pepper_keeper = *options->pepper_keeper;
    }
    engine->checkpoint_keeper = options->checkpoint_keeper;
    engine->sealing_keeper = options->sealing_keeper;
    engine->guard = (struct kw_guard){engine->guard_ranges, options->guard.allowed_count < KW_GUARD_ALLOWED_MAX
                                                                ? options->guard.allowed_count
                                                                : KW_GUARD_ALLOWED_MAX};
    for (size_t i = 0; i < engine->guard.allowed_count; i++) {
        engine->guard_ranges[i] = options->guard.allowed[i];
    }
    engine->log = options->log != NULL ? *options->log : (struct kw_log){.fd = -1, .clock = options->clock};
    engine->bulk_max = options->bulk_max == 0 ? KW_BULK_MAX : options->bulk_max;
    engine->writable = true;
    kw__queue_init(&engine->writes);
    kw__queue_init(&engine->reads);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&engine->filled_lock, NULL);
    pthread_cond_init(&engine->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    return engine;
}

/* What is in memory, once the settings are read. KW_E_MEMORY. */
static enum kw_status make_parts(struct kw_engine *engine, const struct kw_engine_options *options)
{
    enum kw_status status = KW_OK;
    if (options->audit_seed != NULL) {
        engine->audit_seed = *options->audit_seed;
        status = kw_signing_public(&engine->audit_seed, engine->audit_public);
    }
    status = status != KW_OK ? status : kw_index_new(&engine->index);
    if (status == KW_OK) {
        kw_index_set_catalog(engine->index, engine->catalog);
    }
    status = status != KW_OK ? status : kw_ledger_new(true, &engine->ledger);
    status = status != KW_OK ? status : kw__attempts_new(&engine->attempts);
    status = status != KW_OK ? status : kw_usage_new(engine->index, &engine->usage);
    if (status == KW_OK) {
        kw__usage_keep(engine);
    }
    return status;
}

enum kw_status kw_engine_open(const struct kw_engine_options *options, struct kw_store *store_take,
                              struct kw_engine **engine_out, struct kw_error *error_out)
{
    struct kw_engine *engine = engine_new(options, store_take);
    if (engine == NULL) {
        store_take->ops->close(store_take);
        return kw__store_failed(error_out, KW_E_MEMORY);
    }
    unsigned readers = options->reader_count == 0 ? 2 : options->reader_count;
    readers = readers > KW_ENGINE_READERS_MAX ? KW_ENGINE_READERS_MAX : readers;
    enum kw_status status = kw__settings_open(engine, options, error_out);
    status = status != KW_OK ? status : kw__catalog_load(engine, error_out);
    status = status != KW_OK ? status : kw__methods_load(engine, error_out);
    if (status == KW_OK) {
        status = make_parts(engine, options);
        status = status != KW_OK ? status : kw__writer_new(engine);
        if (status == KW_OK && kw__funds_begin(engine, error_out) != KW_OK) {
            kw_engine_close(engine);
            return KW_E_UNAVAILABLE;
        }
        status = status != KW_OK ? status : start_threads(engine, readers);
        status = status != KW_OK || options->counts_by_hand ? status : kw__usage_start(engine);
        status = status != KW_OK || !options->seals_audit ? status : kw__sealer_start(engine);
        status = status != KW_OK || !options->runs_schedules ? status : kw__scheduler_start(engine);
        if (status != KW_OK) {
            status =
                kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "the system has no memory or threads left to start with");
        }
    }
    if (status != KW_OK) {
        kw_engine_close(engine);
        return status;
    }
    *engine_out = engine;
    return KW_OK;
}

/* Of results that are no record; 0: it is one. */
static const size_t result_sizes[] = {
    [KW_OP_LIST] = (size_t)(KW_STORE_LIST_MAX + 1) * KW_RECORD_MAX,
    [KW_OP_EXPORT] = KW_EXPORT_PIECE_MAX,
    [KW_OP_USAGE] = KW_USAGE_JSON_MAX,
    [KW_OP_AUDIT] = KW_AUDIT_JSON_MAX,
    [KW_OP_EVENTS] = KW_EVENTS_JSON_MAX,
    [KW_OP_DELIVERIES] = KW_DELIVERIES_JSON_MAX,
    [KW_OP_INSIGHTS] = KW_INSIGHTS_JSON_MAX,
};

void kw_op_init(struct kw_op *op, enum kw_op_kind kind, uint16_t project)
{
    *op = (struct kw_op){.kind = kind, .project = project};
    size_t size_max = (size_t)kind < KW_COUNT_OF(result_sizes) ? result_sizes[kind] : 0;
    kw_buffer_init(&op->result, kw__op_is_document(op) ? KW_DOCUMENT_MAX : size_max > 0 ? size_max : KW_RECORD_MAX);
    kw_buffer_init(&op->other, kw__op_is_document(op) ? KW_NARROWED_JSON_MAX
                               : kind == KW_OP_LIST   ? (KW_STORE_LIST_MAX + 1) * sizeof(struct kw_listed)
                                                      : KW_RECORD_MAX);
}

void kw_op_ask_missing(struct kw_op *op, const struct kw_verification *v)
{
    op->kind = v->needs_funds ? KW_OP_FUND : KW_OP_LOAD;
    op->project = v->question.project;
    op->key = v->key;
    op->cost = v->cost == 0 ? 1 : v->cost;
    op->is_trial = v->checks != NULL;
    op->entry_digest = v->digest;
}

void kw_op_deinit(struct kw_op *op)
{
    kw_secret_wipe(&op->secret);
    kw_buffer_deinit(&op->result);
    kw_buffer_deinit(&op->other);
}

void kw_engine_submit(struct kw_engine *engine, struct kw_op *op)
{
    bool imports = op->part_count > 0 && op->parts[0].kind == KW_OP_IMPORT_ONE;
    int most = imports ? KW_IMPORT_TOGETHER_MAX : KW_TOGETHER_MAX;
    if (op->part_count > (size_t)most) {
        op->status = kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "items", "holds too many: at most %d", most);
        op->done(op);
        return;
    }
    if (op->kind == KW_OP_AUDIT_PRUNE || op->kind == KW_OP_AUDIT_ERASE) {
        kw__sealer_submit(engine, op);
        return;
    }
    bool reads = op->kind == KW_OP_EXPORT ? !kw__export_writes(op->export) : op->kind >= KW_OP_GET;
    if (kw__queue_put(reads ? &engine->reads : &engine->writes, op)) {
        return;
    }
    op->status =
        kw_refuse(&op->error, KW_CODE_TOO_BUSY, NULL, "too many requests are waiting: try again after a moment");
    op->done(op);
}

static void wake(struct kw_op *op)
{
    (void)sem_post(op->context);
}

/* A semaphore: the woken caller has no lock to wait for that its waker still holds. */
enum kw_status kw_engine_run(struct kw_engine *engine, struct kw_op *op)
{
    sem_t done;
    (void)sem_init(&done, 0, 0);
    op->done = wake;
    op->context = &done;
    kw_engine_submit(engine, op);
    while (sem_wait(&done) != 0) { /* a signal came in between */
    }
    (void)sem_destroy(&done);
    return op->status;
}

bool kw_op_next(struct kw_bytes *rest, struct kw_bytes *encoding_out)
{
    return kw_list_next(rest, encoding_out);
}

struct kw_listed kw_op_next_listed(struct kw_bytes *rest)
{
    struct kw_listed listed = {.above.has_word = false};
    if (rest->size >= sizeof listed) {
        memcpy(&listed, rest->data, sizeof listed);
        *rest = kw_bytes_skip(*rest, sizeof listed);
    }
    return listed;
}

void kw_last_use_show(const struct kw_last_use *use, struct kw_record *record)
{
    record->last_used_at_ms = use->at_ms;
    record->last_used_ip = kw_bytes_of(use->address, use->address_size);
    record->last_used_region = kw_bytes_of(use->region, use->region_size);
}

void kw_engine_stats(const struct kw_engine *engine, struct kw_engine_stats *stats_out)
{
    struct kw_ledger_counts counts;
    kw_ledger_count(engine->ledger, &counts);
    struct kw_usage_stats usage;
    kw_usage_stats(engine->usage, &usage);
    *stats_out = (struct kw_engine_stats){
        .uses_counted = usage.counted,
        .uses_written = usage.written,
        .uses_dropped = usage.dropped,
        .uses_unattributed = usage.unattributed,
        .uses_deferred = usage.deferred,
        .index_keys = kw_index_count(engine->index),
        .index_bytes = kw_index_bytes(engine->index),
        .index_complete = kw_index_complete(engine->index),
        .store_loads = __atomic_load_n(&engine->store_loads, __ATOMIC_RELAXED),
        .commits = __atomic_load_n(&engine->commits, __ATOMIC_RELAXED),
        .commit_ops = __atomic_load_n(&engine->commit_ops, __ATOMIC_RELAXED),
        .queue_depth = kw__queue_depth(&engine->writes) + kw__queue_depth(&engine->reads),
        .reserved = __atomic_load_n(&engine->reservations, __ATOMIC_RELAXED),
        .returned = __atomic_load_n(&engine->returned, __ATOMIC_RELAXED),
        .funds_waited = __atomic_load_n(&engine->funds_waited, __ATOMIC_RELAXED),
        .accounts = counts.accounts,
        .ledger_bytes = counts.bytes,
        .writable = __atomic_load_n(&engine->writable, __ATOMIC_RELAXED),
    };
}

const struct kw_index *kw_engine_index(const struct kw_engine *engine)
{
    return engine->index;
}

void kw_engine_wait_filled(struct kw_engine *engine)
{
    pthread_mutex_lock(&engine->filled_lock);
    while (!engine->fill_ended) {
        pthread_cond_wait(&engine->filled, &engine->filled_lock);
    }
    pthread_mutex_unlock(&engine->filled_lock);
}
