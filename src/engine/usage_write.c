#include "base/bytes.h"
#include "base/clock.h"
#include "core/amount.h"
#include "core/id.h"
#include "core/use.h"
#include "engine/usage_rows.h"
#include "engine/usage_table.h"

#include <errno.h>
#include <time.h>

/* The thread that empties the rings and writes what was counted. */

#define BUSY_TICK_MS 4
#define QUIET_AFTER_MS 4000
#define AHEAD 8               /* keys before their turn, when their place in the index is asked for */
#define SHARE_WHEN_CROWDED 16 /* the same while threads verify hundreds of thousands of times a second */
#define SHARE_OF_TIME 4       /* writing takes one part of so many; the rest is others', who write too */
#define TEND_ROWS_MAX 1000    /* at once */
#define RECLAIM_EVERY_MS 5000 /* looks for threads that have ended */

static enum kw_status add(struct kw_engine *engine, const struct kw__use_subjects *subjects, int32_t hour,
                          enum kw_usage_dimension dimension, struct kw_bytes value, int64_t amount)
{
    struct kw_store_usage usage = {.value = value,
                                   .bucket_start_ms = (int64_t)hour * KW_HOUR_MS,
                                   .amount = amount,
                                   .dimension = (uint8_t)dimension};
    return kw__use_rows_add(engine, engine->usage->rows, subjects, usage);
}

/* As amounts are kept; what is beyond them stays at the largest. */
static int64_t amount_of(uint64_t cost)
{
    return cost > (uint64_t)(INT64_MAX / KW_AMOUNT_ONE) ? INT64_MAX : (int64_t)cost * KW_AMOUNT_ONE;
}

/* Whom a slot counts for: the project alone, where the key was erased meanwhile. False: for nobody. */
static bool subjects_of_slot(struct kw_engine *engine, const struct kw__use_slot *slot,
                             struct kw__use_subjects *subjects_out)
{
    struct kw__use_rows *rows = engine->usage->rows;
    return kw__use_subjects_of(engine, rows, slot->digest, subjects_out) ||
           kw__use_subjects_of_project(engine, rows, slot->project, subjects_out);
}

static void note_use(struct kw_usage *usage, const struct kw__use_table *table, size_t number,
                     const struct kw__use_subjects *subjects)
{
    const struct kw__use_slot *slot = &table->slots[number];
    const struct kw__use_place *place = &table->places[number];
    struct kw_store_use use = {.key_id = subjects->key_id, .at_ms = slot->at_ms};
    if (slot->has_place) {
        use.address = kw_bytes_of(place->address.bytes, place->has_address ? sizeof place->address.bytes : 0);
        use.region = kw_bytes_of(place->region, place->region_size);
    }
    kw__use_rows_note(usage->rows, &use);
}

static enum kw_status add_places_and_scopes(struct kw_engine *engine, const struct kw__use_table *table, size_t number,
                                            const struct kw__use_subjects *subjects)
{
    const struct kw__use_slot *slot = &table->slots[number];
    const struct kw__use_place *place = &table->places[number];
    enum kw_status status = KW_OK;
    if (slot->has_networks) {
        status = add(engine, subjects, slot->hour, KW_USAGE_NETWORK, KW_NETWORK_USES, place->addressed);
        status = status != KW_OK
                     ? status
                     : add(engine, subjects, slot->hour, KW_USAGE_NETWORK, KW_NETWORK_MARKS, place->network_marks);
    }
    if (status == KW_OK && slot->has_lost_scopes) {
        status = add(engine, subjects, slot->hour, KW_USAGE_SCOPE, KW_USE_OTHER, 1);
    }
    return status;
}

static enum kw_status add_slot(struct kw_engine *engine, const struct kw__use_table *table, size_t number)
{
    const struct kw__use_slot *slot = &table->slots[number];
    struct kw__use_subjects subjects;
    if (slot->valid == 0 && slot->at_ms == 0) {
        return KW_OK; /* it is there for its cells */
    }
    if (!subjects_of_slot(engine, slot, &subjects)) {
        __atomic_fetch_add(&engine->usage->dropped, slot->valid, __ATOMIC_RELAXED);
        return KW_OK;
    }
    enum kw_status status = KW_OK;
    if (slot->valid > 0) {
        status = add(engine, &subjects, slot->hour, KW_USAGE_CODE, KW_BYTES("VALID"), slot->valid);
        status = status != KW_OK ? status
                                 : add(engine, &subjects, slot->hour, KW_USAGE_METRIC, KW_BYTES(KW_METRIC_REQUESTS),
                                       amount_of(slot->cost));
        status = status != KW_OK ? status : add_places_and_scopes(engine, table, number, &subjects);
    }
    if (status == KW_OK && slot->at_ms > 0 && !kw_id_is_none(&subjects.key_id)) {
        note_use(engine->usage, table, number, &subjects);
    }
    return status;
}

static enum kw_status add_cell(struct kw_engine *engine, const struct kw__use_table *table, size_t number)
{
    const struct kw__use_cell *cell = &table->cells[number];
    bool is_projects = (cell->subject & KW__SUBJECT_PROJECT) != 0;
    bool is_code = cell->dimension == KW_USAGE_CODE;
    uint16_t project = (uint16_t)(cell->subject & ~KW__SUBJECT_PROJECT);
    struct kw__use_subjects subjects;
    bool is_anybodys = is_projects ? kw__use_subjects_of_project(engine, engine->usage->rows, project, &subjects)
                                   : subjects_of_slot(engine, &table->slots[cell->subject], &subjects);
    if (!is_anybodys) {
        __atomic_fetch_add(&engine->usage->dropped, is_code ? (uint64_t)cell->amount : 0, __ATOMIC_RELAXED);
        return KW_OK;
    }
    struct kw_bytes value = kw_bytes_of(cell->value, cell->size);
    if (cell->dimension == KW_USAGE_SCOPE) {
        return kw__use_rows_add_scope(engine, engine->usage->rows, &subjects, table->slots[cell->subject].digest,
                                      &(struct kw_store_usage){.value = value,
                                                               .bucket_start_ms = (int64_t)cell->hour * KW_HOUR_MS,
                                                               .amount = cell->amount,
                                                               .dimension = KW_USAGE_SCOPE});
    }
    value = is_code ? kw_bytes_of_text(kw_code_info((enum kw_code)cell->value[0])->name) : value;
    int64_t amount = cell->dimension == KW_USAGE_METRIC ? amount_of((uint64_t)cell->amount) : cell->amount;
    return add(engine, &subjects, cell->hour, (enum kw_usage_dimension)cell->dimension, value, amount);
}

/* The index answers by the time that it is a slot's turn. */
static void fetch_ahead(const struct kw_engine *engine, const struct kw__use_table *table, size_t number)
{
    struct kw_digest digest;
    if (number < table->slot_count) {
        digest.size = KW_DIGEST_INDEX_SIZE;
        memcpy(digest.bytes, table->slots[number].digest, KW_DIGEST_INDEX_SIZE);
        kw_index_read_begin();
        kw_index_prefetch_bucket(engine->index, &digest);
        kw_index_read_end();
    }
}

/* The rows of the next part; `slot_out` and `cell_out` are how far it comes. */
static enum kw_status collect(struct kw_engine *engine, const struct kw__use_table *table, size_t *slot_out,
                              size_t *cell_out)
{
    struct kw_usage *usage = engine->usage;
    enum kw_status status = KW_OK;
    kw__use_rows_reset(usage->rows);
    while (status == KW_OK && *slot_out < table->slot_count && !kw__use_rows_are_many(usage->rows)) {
        fetch_ahead(engine, table, *slot_out + AHEAD);
        status = add_slot(engine, table, (*slot_out)++);
    }
    while (status == KW_OK && *cell_out < table->cell_count && !kw__use_rows_are_many(usage->rows)) {
        status = add_cell(engine, table, (*cell_out)++);
    }
    return status;
}

/* From now on the other table takes what comes; this one is written, and what `most` keys or so have counted with it.
 */
static void swap(struct kw_usage *usage, size_t most)
{
    (void)kw__usage_empty_all(usage);
    kw__usage_sweep(usage, most);
    kw__usage_hold(usage);
    kw__use_table_clear(&usage->tables[1 - usage->active]);
    usage->active = 1 - usage->active;
    kw__usage_let_go(usage);
    usage->slot_at = usage->cell_at = 0;
    usage->is_writing = true;
    usage->swaps++;
}

/*
 * What is not written for want of a store is kept, and tried again. A write of unknown outcome is taken for done: of
 * statistics it is better that some are missing than that some are counted twice.
 */
enum kw_status kw__usage_write_part(struct kw_engine *engine, size_t most, bool *more_out)
{
    struct kw_usage *usage = engine->usage;
    if (!usage->is_writing) {
        swap(usage, most);
    }
    const struct kw__use_table *table = &usage->tables[1 - usage->active];
    size_t slot_at = usage->slot_at;
    size_t cell_at = usage->cell_at;
    uint64_t codes = 0;
    enum kw_status status = collect(engine, table, &slot_at, &cell_at);
    status = status == KW_OK ? kw__use_rows_write(engine, usage->rows, &codes) : status;
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        uint64_t *counter = status == KW_OK ? &usage->written : &usage->dropped;
        __atomic_fetch_add(counter, codes, __ATOMIC_RELAXED);
        usage->slot_at = slot_at;
        usage->cell_at = cell_at;
        usage->is_writing = slot_at < table->slot_count || cell_at < table->cell_count;
    }
    *more_out = usage->is_writing;
    return status;
}

enum kw_status kw_usage_flush(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    enum kw_status status = KW_OK;
    pthread_mutex_lock(&usage->writing);
    uint64_t wanted = usage->swaps + 1; /* what is in the rings now comes with the next table */
    uint64_t passed = usage->parts_passed;
    size_t parts = usage->part_count;
    bool is_done = false;
    while (!is_done && status == KW_OK) {
        bool more = false;
        status = kw__usage_write_part(engine, KW__USAGE_SLOTS / 2, &more);
        passed = parts == usage->part_count ? passed : usage->parts_passed; /* it has grown: once more */
        parts = usage->part_count;
        is_done = !more && usage->swaps >= wanted && usage->parts_passed - passed >= parts;
        pthread_mutex_unlock(&usage->writing); /* others have their turn between two parts */
        pthread_mutex_lock(&usage->writing);
    }
    pthread_mutex_unlock(&usage->writing);
    kw__usage_keep(engine);
    return status;
}

/* The names of all projects that there are: one after the other, `number` from 1 on. False behind the last. */
static bool next_project(struct kw_engine *engine, uint16_t *number, uint8_t memory[KW_PROJECT_MAX],
                         struct kw_bytes *name_out, int64_t *retention_out)
{
    bool is_found = false;
    kw_index_read_begin();
    const struct kw_catalog *catalog = kw__catalog(engine);
    for (; *number < catalog->number_count && !is_found; (*number)++) {
        const struct kw_project *project = kw_project_by_number(catalog, *number);
        if (project != NULL) {
            memcpy(memory, project->name.data, project->name.size);
            *name_out = kw_bytes_of(memory, project->name.size);
            *retention_out = project->usage_retention_ms == 0 ? KW_USAGE_RETENTION_MS : project->usage_retention_ms;
            is_found = true;
        }
    }
    kw_index_read_end();
    return is_found;
}

bool kw_usage_tend(struct kw_engine *engine)
{
    const struct kw_store_ops *ops = engine->store->ops;
    int64_t now_ms = kw_engine_now_ms(engine);
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name;
    int64_t retention_ms;
    bool more = false;
    for (uint16_t number = 1; next_project(engine, &number, memory, &name, &retention_ms);) {
        uint64_t rolled = 0;
        uint64_t removed = 0;
        int64_t kept_from_ms = kw_usage_day(now_ms - retention_ms);
        enum kw_status status =
            ops->usage_roll(engine->store, name, kw_usage_hours_from(now_ms), TEND_ROWS_MAX, &rolled);
        status =
            status != KW_OK ? status : ops->usage_prune(engine->store, name, kept_from_ms, TEND_ROWS_MAX, &removed);
        more = more || (status == KW_OK && (rolled == TEND_ROWS_MAX || removed == TEND_ROWS_MAX));
    }
    return more;
}

static uint64_t now_in_ms(void)
{
    return kw_monotonic_ns() / 1000000;
}

/* False when the thread is to end. */
static bool wait_for(struct kw_usage *usage, uint64_t wait_ms)
{
    uint64_t until = kw_monotonic_ns() + wait_ms * 1000000;
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    pthread_mutex_lock(&usage->lock);
    while (!usage->stopping && pthread_cond_timedwait(&usage->wake, &usage->lock, &deadline) != ETIMEDOUT) {
    }
    bool goes_on = !usage->stopping;
    pthread_mutex_unlock(&usage->lock);
    return goes_on;
}

/* Writes one part, unless nothing was counted; says when to write again. `share`: one part of the time is for it. */
static uint64_t write_one(struct kw_engine *engine, uint64_t share)
{
    struct kw_usage *usage = engine->usage;
    uint64_t began = now_in_ms();
    bool more = false;
    pthread_mutex_lock(&usage->writing);
    enum kw_status status = kw__usage_write_part(engine, KW_USAGE_KEYS, &more);
    pthread_mutex_unlock(&usage->writing);
    uint64_t ended = now_in_ms();
    bool goes_on = more && status == KW_OK;
    return goes_on ? ended + (ended - began) * (share - 1) : began + KW_USAGE_WRITE_MS;
}

/* As long as there is something to count rings are looked at so often that none fills up in between. */
static uint64_t next_tick(size_t fullest, uint64_t now, uint64_t *quiet_since)
{
    *quiet_since = fullest > 0 ? now : *quiet_since;
    if (fullest > KW__RING_UNITS / 4) {
        return 1;
    }
    return now - *quiet_since < QUIET_AFTER_MS ? BUSY_TICK_MS : KW_USAGE_TICK_MS;
}

void kw__usage_keep(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    pthread_mutex_lock(&usage->writing);
    kw__usage_turn_hour(usage, kw_engine_now_ms(engine));
    (void)!kw__origins_reserve(usage); /* else more goes through rings */
    pthread_mutex_unlock(&usage->writing);
}

static void *usage_main(void *context)
{
    struct kw_engine *engine = context;
    struct kw_usage *usage = engine->usage;
    uint64_t tick_ms = KW_USAGE_TICK_MS;
    uint64_t write_at = now_in_ms() + KW_USAGE_WRITE_MS;
    uint64_t tend_at = now_in_ms() + KW_USAGE_TEND_MS;
    uint64_t reclaim_at = now_in_ms() + RECLAIM_EVERY_MS;
    uint64_t quiet_since = 0;
    uint64_t wait_ms = tick_ms;
    while (wait_for(usage, wait_ms)) {
        size_t fullest = kw__usage_empty_all(usage);
        uint64_t now = now_in_ms();
        tick_ms = next_tick(fullest, now, &quiet_since);
        kw__usage_keep(engine);
        if (now >= write_at) {
            bool is_crowded = fullest > KW__RING_UNITS / 16;
            write_at = write_one(engine, is_crowded ? SHARE_WHEN_CROWDED : SHARE_OF_TIME);
        }
        if (now >= tend_at) {
            tend_at = kw_usage_tend(engine) ? now + KW_USAGE_WRITE_MS : now + KW_USAGE_TEND_MS;
        }
        if (now >= reclaim_at) {
            kw__shards_reclaim(usage);
            reclaim_at = now + RECLAIM_EVERY_MS;
        }
        now = now_in_ms();
        uint64_t until_write = write_at > now ? write_at - now : 1;
        wait_ms = until_write < tick_ms ? until_write : tick_ms;
    }
    return NULL;
}

enum kw_status kw__usage_start(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    if (pthread_create(&usage->thread, NULL, usage_main, engine) != 0) {
        return KW_E_SYSTEM;
    }
    usage->is_started = true;
    return KW_OK;
}

void kw__usage_stop(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    if (usage == NULL) {
        return;
    }
    pthread_mutex_lock(&usage->lock);
    usage->stopping = true;
    pthread_cond_broadcast(&usage->wake);
    pthread_mutex_unlock(&usage->lock);
    if (usage->is_started) {
        pthread_join(usage->thread, NULL);
    }
    usage->is_started = false;
    (void)!kw_usage_flush(engine); /* where the store fails now, these are lost with all that waits for it */
}
