#include "base/bytes.h"
#include "base/clock.h"
#include "core/amount.h"
#include "core/id.h"
#include "core/use.h"
#include "engine/usage_defer.h"

#include <errno.h>
#include <time.h>

/* The thread that empties the rings and writes what was counted. */

#define BUSY_TICK_MS 4
#define QUIET_AFTER_MS 4000
#define AHEAD 8                         /* keys before their turn, when their place in the index is asked for */
#define SHARE_WHEN_CROWDED 16           /* the same while threads verify hundreds of thousands of times a second */
#define SHARE_OF_TIME 4                 /* writing takes one part of so many; the rest is others', who write too */
#define SWEPT_MAX (KW__USAGE_SLOTS / 4) /* keys that are looked for in entries, for one table */
#define TABLES_MAX 4                    /* that are deferred in a row, until others have their turn */
#define TEND_ROWS_MAX 1000              /* at once */
#define RECLAIM_EVERY_MS 5000           /* looks for threads that have ended */

static enum kw_status add(struct kw_engine *engine, const struct kw__use_subjects *subjects, int32_t hour,
                          enum kw_usage_dimension dimension, struct kw_bytes value, int64_t amount)
{
    struct kw_store_usage usage = {.value = value,
                                   .bucket_start_ms = (int64_t)hour * KW_HOUR_MS,
                                   .amount = amount,
                                   .dimension = (uint8_t)dimension};
    return kw__use_rows_add(engine, engine->usage->rows, subjects, usage);
}

int64_t kw__use_amount_of(uint64_t cost)
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

static enum kw_status add_places_and_scopes(struct kw_engine *engine, const struct kw__use_subjects *subjects,
                                            const struct kw__use_slot *slot, const struct kw__use_place *place)
{
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

enum kw_status kw__use_rows_add_slot(struct kw_engine *engine, const struct kw__use_subjects *subjects,
                                     const struct kw__use_slot *slot, const struct kw__use_place *place)
{
    if (slot->valid == 0) {
        return KW_OK;
    }
    enum kw_status status = add(engine, subjects, slot->hour, KW_USAGE_CODE, KW_BYTES("VALID"), slot->valid);
    status = status != KW_OK ? status
                             : add(engine, subjects, slot->hour, KW_USAGE_METRIC, KW_BYTES(KW_METRIC_REQUESTS),
                                   kw__use_amount_of(slot->cost));
    return status != KW_OK ? status : add_places_and_scopes(engine, subjects, slot, place);
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
    enum kw_status status = kw__use_rows_add_slot(engine, &subjects, slot, &table->places[number]);
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
    int64_t amount = cell->dimension == KW_USAGE_METRIC ? kw__use_amount_of((uint64_t)cell->amount) : cell->amount;
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

/*
 * From now on the other table takes what comes; this one is written, and what `most` keys or so have counted with it.
 */
static void swap(struct kw_engine *engine, size_t most)
{
    struct kw_usage *usage = engine->usage;
    struct kw__pieces *swept = &usage->deferral->swept;
    bool may_defer = usage->deferred < usage->deferred_max;
    (void)kw__usage_empty_all(usage);
    kw__pieces_clear(swept);
    kw__usage_sweep(engine, most, may_defer);
    kw__usage_hold(usage);
    kw__use_table_clear(&usage->tables[1 - usage->active]);
    usage->active = 1 - usage->active;
    kw__usage_let_go(usage);
    const struct kw__use_table *table = &usage->tables[1 - usage->active];
    usage->slot_at = usage->cell_at = 0;
    usage->is_writing = true;
    usage->is_deferring = may_defer && (swept->at.size > 0 || table->slot_count > usage->at_once_max ||
                                        table->cell_count > usage->at_once_max);
    usage->swaps++;
    if (usage->is_deferring) {
        kw__defer_begin(usage, table);
    }
}

static enum kw_status add_part(struct kw_engine *engine, const struct kw__use_table *table, bool *more_out,
                               uint64_t *codes_out)
{
    struct kw_usage *usage = engine->usage;
    size_t slot_at = usage->slot_at;
    size_t cell_at = usage->cell_at;
    enum kw_status status = collect(engine, table, &slot_at, &cell_at);
    status = status == KW_OK ? kw__use_rows_write(engine, usage->rows, codes_out) : status;
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        usage->slot_at = slot_at;
        usage->cell_at = cell_at;
    }
    *more_out = slot_at < table->slot_count || cell_at < table->cell_count;
    return status;
}

static enum kw_status write_swept(struct kw_engine *engine, const struct kw__use_table *table, bool *more_out,
                                  uint64_t *codes_out)
{
    struct kw__pieces *swept = &engine->usage->deferral->swept;
    *codes_out = swept->at.codes;
    *more_out = table->slot_count > 0 || table->cell_count > 0;
    enum kw_status status = kw__pieces_write(engine, swept);
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        kw__pieces_clear(swept);
    }
    return status;
}

/*
 * What is not written for want of a store is kept, and tried again. A write of unknown outcome is taken for done: of
 * statistics it is better that some are missing than that some are counted twice.
 */
enum kw_status kw__usage_write_part(struct kw_engine *engine, size_t most, bool *more_out)
{
    struct kw_usage *usage = engine->usage;
    if (!usage->is_writing) {
        swap(engine, most);
    }
    const struct kw__use_table *table = &usage->tables[1 - usage->active];
    uint64_t codes = 0;
    bool more = false;
    enum kw_status status;
    if (usage->deferral->swept.at.size > 0) {
        status = write_swept(engine, table, &more, &codes);
    } else if (usage->is_deferring) {
        status = kw__defer_part(engine, table, &more, &codes);
    } else {
        status = add_part(engine, table, &more, &codes);
    }
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        uint64_t *counter = status == KW_OK ? &usage->written : &usage->dropped;
        __atomic_fetch_add(counter, codes, __ATOMIC_RELAXED);
        usage->is_writing = more;
    }
    *more_out = usage->is_writing;
    return status;
}

/* Lets others have their turn between two parts. */
static void give_turn(struct kw_usage *usage)
{
    pthread_mutex_unlock(&usage->writing);
    pthread_mutex_lock(&usage->writing);
}

/* All that was counted before. `writing` is held, but for moments. */
static enum kw_status write_all(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    enum kw_status status = KW_OK;
    uint64_t wanted = usage->swaps + 1; /* what is in the rings now comes with the next table */
    uint64_t passed = usage->parts_passed;
    size_t parts = usage->part_count;
    bool is_done = false;
    while (!is_done && status == KW_OK) {
        bool more = false;
        status = kw__usage_write_part(engine, SWEPT_MAX, &more);
        passed = parts == usage->part_count ? passed : usage->parts_passed; /* it has grown: once more */
        parts = usage->part_count;
        is_done = !more && usage->swaps >= wanted && usage->parts_passed - passed >= parts;
        give_turn(usage);
    }
    return status;
}

/* All that was deferred before, from the first part to the last. */
static enum kw_status settle_all(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    bool goes_on = kw__usage_has_deferred(usage);
    uint32_t part = 0;
    enum kw_status status = KW_OK;
    while (goes_on && status == KW_OK) {
        status = kw__settle_some(engine, &part, &goes_on);
        give_turn(usage);
    }
    return status;
}

enum kw_status kw_usage_flush(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    pthread_mutex_lock(&usage->writing);
    enum kw_status status = write_all(engine);
    status = status == KW_OK ? settle_all(engine) : status;
    pthread_mutex_unlock(&usage->writing);
    kw__usage_keep(engine);
    return status;
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

/* What the thread has to do, and when: in milliseconds. */
struct duties {
    uint64_t write_at, settle_at, tend_at, reclaim_at, quiet_since;
    uint64_t settling_took;
    uint32_t settle_part;
    bool may_hurry; /* writing succeeds, and all of it */
};

/* One part, or where use is deferred all of it, or as many keys as some tables hold. `late_out`: others must wait. */
static enum kw_status write_tables(struct kw_engine *engine, bool *late_out)
{
    struct kw_usage *usage = engine->usage;
    enum kw_status status = KW_OK;
    bool more = false;
    pthread_mutex_lock(&usage->writing);
    uint64_t swaps = usage->swaps + TABLES_MAX;
    uint64_t passed = usage->parts_passed;
    for (bool goes_on = true; goes_on;) {
        bool has_room = usage->deferred < usage->deferred_max;
        status = kw__usage_write_part(engine, has_room ? SWEPT_MAX : KW_USAGE_KEYS, &more);
        bool is_turn = usage->parts_passed - passed >= usage->part_count;
        goes_on = status == KW_OK && usage->is_deferring && (more || (!is_turn && usage->swaps < swaps));
        give_turn(usage);
    }
    *late_out = more && !usage->is_deferring;
    pthread_mutex_unlock(&usage->writing);
    return status;
}

/* `share`: one part of the time is for what is not deferred. */
static void write_some(struct kw_engine *engine, struct duties *duties, uint64_t share)
{
    uint64_t began = now_in_ms();
    bool is_late = false;
    enum kw_status status = write_tables(engine, &is_late);
    uint64_t ended = now_in_ms();
    duties->may_hurry = status == KW_OK && !is_late;
    duties->write_at = status == KW_OK && is_late ? ended + (ended - began) * (share - 1) : began + KW_USAGE_WRITE_MS;
}

/* Adds some of what was deferred, where that does not make the next write late. */
static void settle_some(struct kw_engine *engine, struct duties *duties, uint64_t share)
{
    struct kw_usage *usage = engine->usage;
    uint64_t began = now_in_ms();
    uint64_t took = duties->settling_took < KW_USAGE_WRITE_MS / 2 ? duties->settling_took : KW_USAGE_WRITE_MS / 2;
    if (began < duties->settle_at || began + took > duties->write_at) {
        return;
    }
    bool found = false;
    pthread_mutex_lock(&usage->writing);
    bool has_deferred = kw__usage_has_deferred(usage);
    bool is_first = duties->settle_part == 0;
    enum kw_status status = has_deferred ? kw__settle_some(engine, &duties->settle_part, &found) : KW_OK;
    share = usage->deferred > usage->deferred_max / 4 ? 1 : share; /* so much must not wait much longer */
    pthread_mutex_unlock(&usage->writing);
    uint64_t ended = now_in_ms();
    duties->settling_took = ended - began;
    duties->settle_part = found && status == KW_OK ? duties->settle_part : 0;
    bool is_idle = !has_deferred || status != KW_OK || (!found && is_first);
    duties->settle_at = is_idle ? ended + KW_USAGE_WRITE_MS : ended + (ended - began) * (share - 1);
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

/* Much more would not find room in the table. */
static bool is_half_full(struct kw_usage *usage)
{
    kw__usage_hold(usage);
    const struct kw__use_table *table = &usage->tables[usage->active];
    bool is_half = table->slot_count > KW__USAGE_SLOTS / 2 || table->cell_count > KW__USAGE_CELLS / 2;
    kw__usage_let_go(usage);
    return is_half;
}

/* One look at what there is to do; how long to wait until the next. */
static uint64_t work(struct kw_engine *engine, struct duties *duties)
{
    struct kw_usage *usage = engine->usage;
    size_t fullest = kw__usage_empty_all(usage);
    uint64_t now = now_in_ms();
    uint64_t tick_ms = next_tick(fullest, now, &duties->quiet_since);
    uint64_t share = fullest > KW__RING_UNITS / 16 ? SHARE_WHEN_CROWDED : SHARE_OF_TIME;
    kw__usage_keep(engine);
    if (now >= duties->write_at || (duties->may_hurry && is_half_full(usage))) {
        write_some(engine, duties, share);
    }
    settle_some(engine, duties, share);
    if (now >= duties->tend_at) {
        duties->tend_at = kw_usage_tend(engine) ? now + KW_USAGE_WRITE_MS : now + KW_USAGE_TEND_MS;
    }
    if (now >= duties->reclaim_at) {
        kw__shards_reclaim(usage);
        duties->reclaim_at = now + RECLAIM_EVERY_MS;
    }
    now = now_in_ms();
    uint64_t next_at = duties->settle_at < duties->write_at ? duties->settle_at : duties->write_at;
    uint64_t until_next = next_at > now ? next_at - now : 1;
    return until_next < tick_ms ? until_next : tick_ms;
}

static void *usage_main(void *context)
{
    struct kw_engine *engine = context;
    uint64_t now = now_in_ms();
    struct duties duties = {.write_at = now + KW_USAGE_WRITE_MS,
                            .settle_at = now + KW_USAGE_WRITE_MS,
                            .tend_at = now + KW_USAGE_TEND_MS,
                            .reclaim_at = now + RECLAIM_EVERY_MS};
    uint64_t wait_ms = KW_USAGE_TICK_MS;
    while (wait_for(engine->usage, wait_ms)) {
        wait_ms = work(engine, &duties);
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
    pthread_mutex_lock(&usage->writing);
    (void)!write_all(engine); /* where the store fails now, these are lost with all that waits for it */
    pthread_mutex_unlock(&usage->writing);
}
