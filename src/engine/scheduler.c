#include "engine/scheduler.h"

#include "base/bytes.h"
#include "core/schedule.h"
#include "engine/writer.h"

#include <errno.h>

#define ROUND_MS 250
#define ROWS_TOGETHER 100 /* that one operation sees to */
#define TRIES_MAX 3       /* where others change rows at the same time */
#define ARENA_MAX ((size_t)ROWS_TOGETHER * 2 * KW_RECORD_MAX)
#define NS_A_SECOND UINT64_C(1000000000)

struct kw_scheduler {
    struct kw_engine *engine;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool is_stopping;
    bool knows_all; /* every row says when it is due */

    struct kw_arena arena;
    struct kw_op parts[ROWS_TOGETHER]; /* what has passed of keys */
    size_t part_count;
    struct kw_store_put puts[ROWS_TOGETHER]; /* rows that say a wrong time */
    size_t put_count;
    struct kw_id last;
    size_t seen_count;
    int64_t now_ms;
    bool has_done; /* something of this page */
};

/* --- one page of rows --- */

static void begin_page(struct kw_scheduler *scheduler)
{
    kw_arena_reset(&scheduler->arena);
    scheduler->part_count = scheduler->put_count = scheduler->seen_count = 0;
    scheduler->has_done = false;
}

static enum kw_status mend(struct kw_scheduler *scheduler, const struct kw_store_row *row)
{
    struct kw_found found = {.arena = &scheduler->arena};
    struct kw_record record;
    struct kw_digest *digest = kw_arena_take(&scheduler->arena, sizeof *digest);
    enum kw_status status = digest == NULL ? KW_E_MEMORY : kw__found_sink(&found, row);
    status = status == KW_OK ? kw_record_decode(found.row.record, &record) : status;
    status = status == KW_OK ? kw__row_digest(row, digest) : status;
    if (status == KW_OK) {
        scheduler->puts[scheduler->put_count++] =
            (struct kw_store_put){.row = kw__row_of(&record, digest, found.row.record), .replaces = record.version};
    }
    return status;
}

static bool project_of(struct kw_engine *engine, struct kw_bytes name, uint16_t *number_out)
{
    kw_index_read_begin();
    *number_out = kw_project_number(kw__catalog(engine), name);
    kw_index_read_end();
    return *number_out != KW_PROJECT_NONE;
}

static void add_part(struct kw_scheduler *scheduler, const struct kw_record *record, uint16_t project)
{
    struct kw_op *op = &scheduler->parts[scheduler->part_count++];
    kw_op_init(op, KW_OP_LAPSE, project);
    op->id = record->id;
    op->if_version = record->version;
    op->now_ms = scheduler->now_ms;
    op->actor = KW_SCHEDULE_ACTOR;
}

/* A row that is due, or should be. What cannot be read is left alone: the filler has told of it. */
static enum kw_status take_row(void *context, const struct kw_store_row *row)
{
    struct kw_scheduler *scheduler = context;
    struct kw_record record;
    uint16_t project;
    scheduler->last = row->id;
    scheduler->seen_count++;
    if (kw_record_decode(row->record, &record) != KW_OK || !project_of(scheduler->engine, record.project, &project)) {
        return KW_OK;
    }
    int64_t due_ms = kw_record_due(&record);
    if (row->due_at_ms != due_ms) {
        return mend(scheduler, row);
    }
    if (due_ms != 0 && due_ms <= scheduler->now_ms) {
        add_part(scheduler, &record, project);
    }
    return KW_OK;
}

/* The same of what is due, until there is enough for one operation. */
static enum kw_status take_due(void *context, const struct kw_store_row *row)
{
    struct kw_scheduler *scheduler = context;
    bool is_full = scheduler->part_count + scheduler->put_count == ROWS_TOGETHER;
    return is_full ? KW_E_LIMIT : take_row(context, row);
}

/* What others changed meanwhile comes again if it is due. */
static enum kw_status run_parts(struct kw_scheduler *scheduler)
{
    struct kw_op op;
    enum kw_status status = KW_OK;
    if (scheduler->part_count == 0) {
        return KW_OK;
    }
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_KEYWARD);
    op.parts = scheduler->parts;
    op.part_count = scheduler->part_count;
    enum kw_status whole = kw_engine_run(scheduler->engine, &op);
    kw_op_deinit(&op);
    for (size_t i = 0; i < scheduler->part_count; i++) {
        enum kw_status part = whole == KW_OK ? scheduler->parts[i].status : whole;
        bool is_changed = part == KW_E_CONFLICT || part == KW_E_NOT_FOUND;
        status = status != KW_OK || is_changed ? status : part;
        scheduler->has_done = scheduler->has_done || part == KW_OK;
        kw_op_deinit(&scheduler->parts[i]);
    }
    return status;
}

static enum kw_status commit(struct kw_scheduler *scheduler, const struct kw_store_batch *batch)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_SEAL, KW_PROJECT_KEYWARD);
    op.seals = batch;
    enum kw_status status = kw_engine_run(scheduler->engine, &op);
    kw_op_deinit(&op);
    return status;
}

static enum kw_status run_puts(struct kw_scheduler *scheduler)
{
    struct kw_store_batch batch = {.puts = scheduler->puts, .put_count = scheduler->put_count};
    enum kw_status status = scheduler->put_count == 0 ? KW_OK : commit(scheduler, &batch);
    scheduler->has_done = scheduler->has_done || (status == KW_OK && scheduler->put_count > 0);
    return status;
}

/* --- rows of before --- */

static bool is_stopping(struct kw_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    bool is = scheduler->is_stopping;
    pthread_mutex_unlock(&scheduler->lock);
    return is;
}

static enum kw_status note_all_known(struct kw_scheduler *scheduler)
{
    const struct kw_store_setting known = {KW_BYTES(KW_SCHEDULE_SETTING), KW_BYTES("1")};
    struct kw_store_batch batch = {.settings = &known, .setting_count = 1};
    return commit(scheduler, &batch);
}

/* Goes through all rows once in a store's life, and writes to each when it is due. Who stops it begins anew. */
static enum kw_status learn_all(struct kw_scheduler *scheduler)
{
    struct kw_store *store = scheduler->engine->store;
    struct kw_store_filter filter = {.limit = ROWS_TOGETHER};
    uint8_t value;
    size_t size;
    unsigned tries = 0;
    enum kw_status status = store->ops->setting(store, KW_BYTES(KW_SCHEDULE_SETTING), &value, sizeof value, &size);
    if (status != KW_E_NOT_FOUND) {
        scheduler->knows_all = status == KW_OK;
        return status;
    }
    do {
        if (is_stopping(scheduler)) {
            return KW_OK;
        }
        begin_page(scheduler);
        scheduler->now_ms = INT64_MIN; /* nothing is due yet */
        status = store->ops->list(store, &filter, take_row, scheduler);
        status = status == KW_OK ? run_puts(scheduler) : status;
        if (status == KW_OK) {
            filter.after.id = scheduler->last;
            tries = 0;
        } else if (status == KW_E_CONFLICT && ++tries < TRIES_MAX) {
            status = KW_OK; /* somebody has changed one of them, which says its time by now */
        }
    } while (status == KW_OK && (tries > 0 || scheduler->seen_count == filter.limit));
    status = status == KW_OK ? note_all_known(scheduler) : status;
    scheduler->knows_all = status == KW_OK;
    return status;
}

/* --- rounds --- */

/* One page of what is due; `more_out` says that there may be more. */
static enum kw_status run_due(struct kw_scheduler *scheduler, bool *more_out)
{
    struct kw_engine *engine = scheduler->engine;
    begin_page(scheduler);
    scheduler->now_ms = kw_engine_now_ms(engine);
    enum kw_status status =
        engine->store->ops->due(engine->store, scheduler->now_ms, KW_STORE_LIST_MAX, take_due, scheduler);
    bool is_full = status == KW_E_LIMIT;
    if (status != KW_OK && !is_full) {
        for (size_t i = 0; i < scheduler->part_count; i++) {
            kw_op_deinit(&scheduler->parts[i]);
        }
        return status;
    }
    status = run_puts(scheduler);
    enum kw_status parts = run_parts(scheduler);
    status = status == KW_OK || status == KW_E_CONFLICT ? parts : status;
    *more_out = status == KW_OK && is_full && scheduler->has_done;
    return status;
}

static enum kw_status run_round(struct kw_scheduler *scheduler)
{
    enum kw_status status = scheduler->knows_all ? KW_OK : learn_all(scheduler);
    bool more = true;
    while (status == KW_OK && more && !is_stopping(scheduler)) {
        more = false;
        status = run_due(scheduler, &more);
    }
    return status;
}

static void free_scheduler(struct kw_scheduler *scheduler)
{
    pthread_cond_destroy(&scheduler->told);
    pthread_mutex_destroy(&scheduler->lock);
    kw_arena_reset(&scheduler->arena);
    kw_free(scheduler);
}

static struct kw_scheduler *new_scheduler(struct kw_engine *engine)
{
    struct kw_scheduler *scheduler = kw_alloc(1, sizeof *scheduler);
    if (scheduler == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&scheduler->lock, NULL);
    pthread_cond_init(&scheduler->told, &attributes);
    pthread_condattr_destroy(&attributes);
    scheduler->engine = engine;
    kw_arena_init(&scheduler->arena, NULL, 0, ARENA_MAX);
    return scheduler;
}

enum kw_status kw_engine_run_schedules(struct kw_engine *engine)
{
    struct kw_scheduler *scheduler = new_scheduler(engine);
    if (scheduler == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = run_round(scheduler);
    free_scheduler(scheduler);
    return status;
}

/* True when it is to stop. */
static bool wait_a_round(struct kw_scheduler *scheduler)
{
    uint64_t until_ns = kw_monotonic_ns() + ROUND_MS * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_A_SECOND), .tv_nsec = (long)(until_ns % NS_A_SECOND)};
    pthread_mutex_lock(&scheduler->lock);
    int result = 0;
    while (!scheduler->is_stopping && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&scheduler->told, &scheduler->lock, &until);
    }
    bool stops = scheduler->is_stopping;
    pthread_mutex_unlock(&scheduler->lock);
    return stops;
}

static void *scheduler_main(void *context)
{
    struct kw_scheduler *scheduler = context;
    do {
        (void)run_round(scheduler); /* what could not be done is due in the next round, too */
    } while (!wait_a_round(scheduler));
    return NULL;
}

enum kw_status kw__scheduler_start(struct kw_engine *engine)
{
    struct kw_scheduler *scheduler = new_scheduler(engine);
    if (scheduler == NULL) {
        return KW_E_MEMORY;
    }
    if (pthread_create(&scheduler->thread, NULL, scheduler_main, scheduler) != 0) {
        free_scheduler(scheduler);
        return KW_E_SYSTEM;
    }
    engine->scheduler = scheduler;
    return KW_OK;
}

void kw__scheduler_stop(struct kw_engine *engine)
{
    struct kw_scheduler *scheduler = engine->scheduler;
    if (scheduler == NULL) {
        return;
    }
    pthread_mutex_lock(&scheduler->lock);
    scheduler->is_stopping = true;
    pthread_cond_signal(&scheduler->told);
    pthread_mutex_unlock(&scheduler->lock);
    pthread_join(scheduler->thread, NULL);
    free_scheduler(scheduler);
    engine->scheduler = NULL;
}
