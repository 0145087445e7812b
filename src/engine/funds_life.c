#include "engine/funds.h"

#include "base/bytes.h"
#include "base/time.h"
#include "engine/writer.h"

#include <stdio.h>

#define SETTING_RUNNING KW_BYTES("ledger.running")
#define SETTING_CLEAN KW_BYTES("ledger.clean")
#define LIFE_SIZE 8
#define PRUNE_MS 600000
#define NAME_SIZE 10

/* --- what the store is told of a claim, and of a life --- */

struct kw_bytes kw__fund_name(struct kw_arena *arena, char kind, uint32_t claim)
{
    char *name = kw_arena_take(arena, NAME_SIZE);
    if (name == NULL) {
        return (struct kw_bytes){NULL, 0};
    }
    return kw_bytes_of(name, (size_t)snprintf(name, NAME_SIZE, "%c%08x", kind, claim));
}

struct kw_bytes kw__fund_note(struct kw_engine *engine, struct kw_bytes state)
{
    uint8_t *note = kw_arena_take(&engine->writer_state->arena, LIFE_SIZE + state.size);
    if (note == NULL) {
        return (struct kw_bytes){NULL, 0};
    }
    for (size_t i = 0; i < LIFE_SIZE; i++) {
        note[i] = (uint8_t)((uint64_t)engine->life_ms >> (8 * i));
    }
    memcpy(note + LIFE_SIZE, state.data, state.size);
    return kw_bytes_of(note, LIFE_SIZE + state.size);
}

struct kw_bytes kw__fund_note_read(const struct kw_store_reservation *row, int64_t *life_ms_out)
{
    struct kw_bytes note = row->note;
    uint64_t life_ms = 0;
    if (note.size <= LIFE_SIZE || note.size - LIFE_SIZE > KW_LIMIT_NOTE_MAX) {
        return (struct kw_bytes){NULL, 0};
    }
    for (size_t i = 0; i < LIFE_SIZE; i++) {
        life_ms |= (uint64_t)note.data[i] << (8 * i);
    }
    *life_ms_out = (int64_t)life_ms;
    return kw_bytes_skip(note, LIFE_SIZE);
}

bool kw__fund_mark(struct kw_engine *engine, struct kw_store_batch *batch)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_store_setting *setting = kw_arena_take(arena, sizeof *setting);
    char *text = kw_arena_take(arena, 32);
    if (setting == NULL || text == NULL) {
        return false;
    }
    int size = snprintf(text, 32, "%lld", (long long)engine->life_ms);
    *setting = (struct kw_store_setting){SETTING_RUNNING, kw_bytes_of(text, (size_t)size)};
    batch->settings = setting;
    batch->setting_count = 1;
    return true;
}

/* --- beginnings --- */

/* Two numbers at most, 0 where they are missing. */
static bool read_numbers(struct kw_bytes text, int64_t numbers_out[2])
{
    for (size_t i = 0; i < 2 && text.size > 0; i++) {
        const uint8_t *space = memchr(text.data, ' ', text.size);
        struct kw_bytes digits = kw_bytes_of(text.data, space == NULL ? text.size : (size_t)(space - text.data));
        uint64_t number = 0;
        if (!kw_bytes_to_u64(digits, &number) || number > KW_TIME_MS_MAX) {
            return false;
        }
        numbers_out[i] = (int64_t)number;
        text = kw_bytes_skip(text, digits.size + (space == NULL ? 0 : 1));
    }
    return text.size == 0;
}

static enum kw_status read_setting(struct kw_engine *engine, struct kw_bytes name, int64_t numbers_out[2],
                                   bool *is_there_out)
{
    char text[64];
    size_t size = 0;
    enum kw_status status = engine->store->ops->setting(engine->store, name, text, sizeof text, &size);
    *is_there_out = status == KW_OK;
    numbers_out[0] = numbers_out[1] = 0;
    if (status == KW_E_NOT_FOUND) {
        return KW_OK;
    }
    bool is_good = status != KW_OK || (size <= sizeof text && read_numbers(kw_bytes_of(text, size), numbers_out));
    return is_good ? status : KW_E_CORRUPT;
}

enum kw_status kw__funds_begin(struct kw_engine *engine, struct kw_error *error_out)
{
    int64_t running[2], clean[2];
    bool is_running, is_clean;
    enum kw_status status = read_setting(engine, SETTING_RUNNING, running, &is_running);
    status = status == KW_OK ? read_setting(engine, SETTING_CLEAN, clean, &is_clean) : status;
    if (status != KW_OK) {
        return kw__store_failed(error_out, status);
    }
    int64_t life_ms = kw_engine_now_ms(engine);
    life_ms = life_ms > running[0] ? life_ms : running[0] + 1;
    life_ms = life_ms > clean[0] ? life_ms : clean[0] + 1;
    life_ms = life_ms > clean[1] ? life_ms : clean[1] + 1;
    engine->life_ms = life_ms;
    engine->clean_life_ms = clean[0];
    kw_ledger_begin(engine->ledger, life_ms, is_running, is_clean ? clean[1] + KW_DURABLE_WINDOW_MS : 0);
    return KW_OK;
}

/* --- the end --- */

static bool leave_one(struct kw_engine *engine, const struct kw_left *left, struct kw_store_reservation *reservation)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    *reservation = (struct kw_store_reservation){.lineage_id = left->account,
                                                 .name = kw__fund_name(arena, left->is_quota ? 'q' : 'r', left->claim),
                                                 .period_start_ms = left->is_quota ? left->period.start_ms : 0,
                                                 .amount = left->is_quota ? -left->unspent : 0,
                                                 .is_credit = true, /* all of it, also after a credit */
                                                 .until_ms = left->until_ms};
    if (!left->is_quota) {
        reservation->note = kw__fund_note(engine, kw_bytes_of(left->note, left->note_size));
    }
    return reservation->name.data != NULL && (left->is_quota || reservation->note.data != NULL);
}

static enum kw_status commit_left(struct kw_engine *engine, struct kw_store_reservation *reservations, size_t count)
{
    struct kw_store_batch batch = {.reservations = reservations, .reservation_count = count, .outcome = KW_E_UNCERTAIN};
    uint64_t returned = 0;
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count && batch.outcome == KW_OK; i++) {
        returned += reservations[i].granted < 0;
    }
    __atomic_fetch_add(&engine->returned, returned, __ATOMIC_RELAXED);
    return batch.outcome;
}

static bool write_left(struct kw_engine *engine, const struct kw_left *left, size_t count)
{
    struct kw_store_reservation *reservations =
        kw_arena_take_array(&engine->writer_state->arena, count, sizeof *reservations);
    bool is_good = reservations != NULL;
    for (size_t i = 0; i < count && is_good; i++) {
        is_good = leave_one(engine, &left[i], &reservations[i]);
    }
    is_good = is_good && commit_left(engine, reservations, count) == KW_OK;
    kw_arena_reset(&engine->writer_state->arena);
    return is_good;
}

void kw__funds_give_back(struct kw_engine *engine)
{
    const struct kw_aside *aside;
    size_t count = kw_ledger_aside(engine->ledger, &aside);
    if (count == 0) {
        return;
    }
    struct kw_store_reservation *reservations =
        kw_arena_take_array(&engine->writer_state->arena, count, sizeof *reservations);
    enum kw_status status = reservations == NULL ? KW_E_MEMORY : KW_OK;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        const struct kw_left left = {.account = aside[i].account,
                                     .claim = aside[i].claim,
                                     .is_quota = true,
                                     .period = aside[i].state.period,
                                     .until_ms = aside[i].state.period.end_ms,
                                     .unspent = kw_quota_unspent(&aside[i].state)};
        status = leave_one(engine, &left, &reservations[i]) ? KW_OK : KW_E_MEMORY;
    }
    status = status == KW_OK ? commit_left(engine, reservations, count) : status;
    kw_arena_reset(&engine->writer_state->arena);
    /* Of what may have been given back nothing may be spent: it is lost where it was not. */
    kw_ledger_aside_end(engine->ledger, status != KW_OK && status != KW_E_UNCERTAIN);
}

void kw__funds_leave(struct kw_engine *engine)
{
    if (!kw_ledger_is_open(engine->ledger)) {
        return; /* it has spent nothing: what the life before has left, still holds */
    }
    struct kw_left *left = kw_alloc(KW_STORE_RESERVATIONS_MAX, sizeof *left);
    int64_t now_ms = kw_engine_now_ms(engine);
    uint64_t cursor = 0;
    bool is_good = left != NULL;
    size_t count = 1;
    uint64_t returned = __atomic_load_n(&engine->returned, __ATOMIC_RELAXED);
    while (is_good && count > 0) {
        count = kw_ledger_leave(engine->ledger, &cursor, now_ms, left, KW_STORE_RESERVATIONS_MAX);
        is_good = count == 0 || write_left(engine, left, count);
    }
    kw_free(left);
    char text[64];
    int size = snprintf(text, sizeof text, "%lld %lld", (long long)engine->life_ms, (long long)now_ms);
    struct kw_store_setting settings[] = {{SETTING_RUNNING, {NULL, 0}},
                                          {SETTING_CLEAN, kw_bytes_of(text, (size_t)size)}};
    struct kw_store_batch batch = {.settings = settings, .setting_count = KW_COUNT_OF(settings)};
    if (is_good && (engine->store->ops->commit(engine->store, &batch, 1) != KW_OK || batch.outcome != KW_OK)) {
        is_good = false;
    }
    struct kw_log_line line; /* nobody can ask for metrics any more */
    kw_log_begin(&line, &engine->log, is_good ? KW_LOG_INFO : KW_LOG_WARN, is_good ? "ledger_left" : "ledger_not_left");
    returned = __atomic_load_n(&engine->returned, __ATOMIC_RELAXED) - returned;
    kw_log_i64(&line, "quotasReturned", (int64_t)returned);
    kw_log_end(&line);
}

void kw__funds_prune(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    int64_t now_ms = kw_engine_now_ms(engine);
    if (now_ms < writer->funds_prune_at_ms) {
        return;
    }
    uint64_t removed = 0;
    enum kw_status status = engine->store->ops->reservations_prune(engine->store, now_ms, KW_STORE_LIST_MAX, &removed);
    bool goes_on = status == KW_OK && removed == KW_STORE_LIST_MAX;
    writer->funds_prune_at_ms = goes_on ? now_ms : now_ms + PRUNE_MS;
}
