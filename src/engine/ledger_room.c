#include "engine/ledger_room.h"

#include "base/memory.h"
#include "engine/pool.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

#define CHUNKS_MAX 65536
#define TABLE_MIN 64
#define SPINS_MAX 100 /* before others get the processor: the lock's holder may be waiting for it */
#define WORDS ((KW_CHUNK_SLOTS + 63) / 64)

static_assert(sizeof(struct kw_slot) <= 292, "a limit costs at most 300 bytes, with its part of the table");
static_assert(sizeof(struct kw_slot) % _Alignof(uint32_t) == 0, "quotas of any slot find a place to stand at");

struct chunk {
    struct kw_slot slots[KW_CHUNK_SLOTS];
    uint64_t taken[WORDS]; /* a bit for each slot */
    uint32_t used;
    uint32_t next;      /* where the last run ended: the search goes on there */
    uint32_t too_large; /* no run of so many slots is free; 0: not known */
};

static_assert(sizeof(struct chunk) <= KW_CHUNK_BYTES, "a chunk is one huge page: slots are read at random");

struct kw_room {
    struct chunk *chunks[CHUNKS_MAX]; /* atomic */
    size_t chunk_count;               /* places in `chunks` that were ever used */
    size_t roomy;                     /* no chunk before it has a free slot */
    uint32_t *table; /* numbers of runs by account; open addressing, between three fifths and three quarters full */
    size_t table_size, account_count;
    uint64_t slot_count, chunk_bytes;
    uint32_t generation;
};

enum kw_status kw_room_new(struct kw_room **room_out)
{
    struct kw_room *room = kw_alloc(1, sizeof *room);
    if (room == NULL) {
        return KW_E_MEMORY;
    }
    room->table = kw_alloc(TABLE_MIN, sizeof *room->table);
    if (room->table == NULL) {
        kw_free(room);
        return KW_E_MEMORY;
    }
    room->table_size = TABLE_MIN;
    *room_out = room;
    return KW_OK;
}

void kw_room_free(struct kw_room *room)
{
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < room->chunk_count; i++) {
        kw_pages_unmap(room->chunks[i], KW_CHUNK_BYTES);
    }
    kw_free(room->table);
    kw_free(room);
}

struct kw_slot *kw_room_at(const struct kw_room *room, uint64_t place)
{
    uint32_t index = (uint32_t)(place >> 32) - 1;
    struct chunk *chunk = place == 0 ? NULL : __atomic_load_n(&room->chunks[index / KW_CHUNK_SLOTS], __ATOMIC_ACQUIRE);
    return chunk == NULL ? NULL : &chunk->slots[index % KW_CHUNK_SLOTS];
}

struct kw_slot *kw_room_run(const struct kw_room *room, uint32_t number)
{
    uint32_t index = number - 1;
    return &room->chunks[index / KW_CHUNK_SLOTS]->slots[index % KW_CHUNK_SLOTS];
}

void kw_slot_lock(struct kw_slot *run)
{
    for (unsigned spins = 1; __atomic_exchange_n(&run->lock, 1, __ATOMIC_ACQUIRE) != 0; spins++) {
        while (__atomic_load_n(&run->lock, __ATOMIC_RELAXED) != 0 && spins % SPINS_MAX != 0) {
            spins++;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        if (spins % SPINS_MAX == 0) {
            (void)sched_yield();
        }
    }
}

void kw_slot_unlock(struct kw_slot *run)
{
    __atomic_store_n(&run->lock, 0, __ATOMIC_RELEASE);
}

/* --- the table of accounts --- */

/* Of a table of any size, by the hash's upper half. */
static size_t home_of(const struct kw_room *room, const struct kw_id *account)
{
    return (size_t)((kw_id_hash(account) >> 32) * room->table_size >> 32);
}

/* Places from one on to another. */
static size_t way(const struct kw_room *room, size_t from, size_t to)
{
    return to >= from ? to - from : to + room->table_size - from;
}

static uint32_t *table_place(const struct kw_room *room, const struct kw_id *account)
{
    size_t at = home_of(room, account);
    while (room->table[at] != 0 && !kw_id_equal(&kw_room_run(room, room->table[at])->account, account)) {
        at = at + 1 < room->table_size ? at + 1 : 0;
    }
    return &room->table[at];
}

uint32_t kw_room_find(const struct kw_room *room, const struct kw_id *account)
{
    return *table_place(room, account);
}

static bool table_resize(struct kw_room *room, size_t size)
{
    uint32_t *old = room->table;
    size_t old_size = room->table_size;
    uint32_t *table = kw_alloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    room->table = table;
    room->table_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != 0) {
            *table_place(room, &kw_room_run(room, old[i])->account) = old[i];
        }
    }
    kw_free(old);
    return true;
}

/* Those behind it that would not be found across the gap move into it. */
static void table_remove(struct kw_room *room, const struct kw_id *account)
{
    size_t last = room->table_size - 1;
    size_t gap = (size_t)(table_place(room, account) - room->table);
    room->table[gap] = 0;
    for (size_t at = gap < last ? gap + 1 : 0; room->table[at] != 0; at = at < last ? at + 1 : 0) {
        size_t home = home_of(room, &kw_room_run(room, room->table[at])->account);
        if (way(room, home, at) >= way(room, gap, at)) {
            room->table[gap] = room->table[at];
            room->table[at] = 0;
            gap = at;
        }
    }
    room->account_count--;
    if (room->table_size > TABLE_MIN && room->account_count < room->table_size / 8) {
        size_t half = room->table_size / 2;
        (void)table_resize(room, half > TABLE_MIN ? half : TABLE_MIN); /* without memory it stays as it is */
    }
}

/* --- chunks, and runs in them --- */

/* Zeroed, and where a huge page can be: what is mapped too much goes back. */
static struct chunk *chunk_map(void)
{
    uint8_t *pages = kw_pages_map(2 * KW_CHUNK_BYTES);
    if (pages == NULL) {
        return NULL;
    }
    size_t before = -(uintptr_t)pages & (KW_CHUNK_BYTES - 1);
    if (before > 0) {
        kw_pages_unmap(pages, before);
    }
    kw_pages_unmap(pages + before + KW_CHUNK_BYTES, KW_CHUNK_BYTES - before);
    return (struct chunk *)(void *)(pages + before);
}

static bool is_taken(const struct chunk *chunk, size_t slot)
{
    return (chunk->taken[slot / 64] >> slot % 64 & 1) != 0;
}

static void mark(struct chunk *chunk, size_t first, size_t size)
{
    for (size_t slot = first; slot < first + size; slot++) {
        chunk->taken[slot / 64] ^= UINT64_C(1) << slot % 64;
    }
}

/* The first of `size` free slots in [from, until), side by side; `until` where there are none. */
static size_t find_free(const struct chunk *chunk, size_t from, size_t until, size_t size)
{
    size_t free_count = 0;
    for (size_t slot = from; slot < until; slot++) {
        if (chunk->taken[slot / 64] == UINT64_MAX) {
            slot |= 63;
            free_count = 0;
            continue;
        }
        free_count = is_taken(chunk, slot) ? 0 : free_count + 1;
        if (free_count == size) {
            return slot + 1 - size;
        }
    }
    return until;
}

/* KW_CHUNK_SLOTS: it has no room. */
static size_t chunk_take(struct chunk *chunk, size_t size)
{
    if (chunk->used + size > KW_CHUNK_SLOTS || (chunk->too_large != 0 && size >= chunk->too_large)) {
        return KW_CHUNK_SLOTS;
    }
    size_t first = find_free(chunk, chunk->next, KW_CHUNK_SLOTS, size);
    if (first == KW_CHUNK_SLOTS) {
        size_t until = chunk->next + size - 1;
        until = until < KW_CHUNK_SLOTS ? until : KW_CHUNK_SLOTS;
        first = find_free(chunk, 0, until, size);
        first = first == until ? KW_CHUNK_SLOTS : first;
    }
    if (first == KW_CHUNK_SLOTS) {
        chunk->too_large = (uint32_t)size;
        return first;
    }
    mark(chunk, first, size);
    chunk->used += (uint32_t)size;
    chunk->next = (uint32_t)(first + size);
    return first;
}

static bool chunk_make(struct kw_room *room, size_t at)
{
    struct chunk *chunk = at == CHUNKS_MAX ? NULL : chunk_map();
    if (chunk == NULL) {
        return false;
    }
    room->chunk_bytes += KW_CHUNK_BYTES;
    room->chunk_count = at < room->chunk_count ? room->chunk_count : at + 1;
    __atomic_store_n(&room->chunks[at], chunk, __ATOMIC_RELEASE);
    return true;
}

/* 0: no memory. */
static uint32_t run_take(struct kw_room *room, size_t size)
{
    bool is_full_so_far = true;
    for (size_t at = room->roomy; at <= room->chunk_count; at++) {
        bool is_here = at < room->chunk_count && room->chunks[at] != NULL;
        if (!is_here && !chunk_make(room, at)) {
            return 0;
        }
        struct chunk *chunk = room->chunks[at];
        size_t first = chunk_take(chunk, size);
        if (first < KW_CHUNK_SLOTS) {
            return kw_room_number(at, first);
        }
        is_full_so_far = is_full_so_far && chunk->used == KW_CHUNK_SLOTS;
        room->roomy = is_full_so_far ? at + 1 : room->roomy;
    }
    return 0;
}

uint32_t kw_room_take(struct kw_room *room, const struct kw_id *account, size_t limit_count, size_t quota_count)
{
    size_t size = kw_run_size(limit_count, quota_count);
    assert(size > 0 && limit_count <= KW_RUN_LIMITS_MAX && quota_count <= KW_RUN_QUOTAS_MAX);
    if (4 * (room->account_count + 1) > 3 * room->table_size &&
        !table_resize(room, room->table_size + room->table_size / 4)) {
        return 0;
    }
    uint32_t number = run_take(room, size);
    if (number == 0) {
        return 0;
    }
    struct kw_slot *run = kw_room_run(room, number);
    kw_slot_lock(run); /* somebody may have it for a moment, to see that it is not his */
    room->generation += room->generation == UINT32_MAX ? 2 : 1;
    run->generation = room->generation;
    run->limit_count = limit_count & 0x7fffU;
    run->quota_count = (uint8_t)quota_count;
    uint32_t *place = table_place(room, account);
    run->account = *account;
    room->slot_count += size;
    room->account_count += *place == 0;
    *place = number;
    return number;
}

static void clear(struct kw_slot *slot)
{
    memset(slot->quotas, 0, sizeof slot->quotas); /* the union's larger half */
}

void kw_room_give(struct kw_room *room, uint32_t number)
{
    struct kw_slot *run = kw_room_run(room, number);
    size_t at = (number - 1) / KW_CHUNK_SLOTS;
    size_t size = kw_run_size(run->limit_count, run->quota_count);
    struct chunk *chunk = room->chunks[at];
    if (*table_place(room, &run->account) == number) {
        table_remove(room, &run->account);
    }
    for (size_t i = 0; i < size; i++) {
        clear(&run[i]);
    }
    run->account = (struct kw_id){{0}};
    run->generation = run->stamp = 0;
    run->is_noted = run->limit_count = run->quota_count = 0;
    kw_slot_unlock(run);
    mark(chunk, (number - 1) % KW_CHUNK_SLOTS, size);
    chunk->used -= (uint32_t)size;
    chunk->too_large = 0;
    room->slot_count -= size;
    room->roomy = at < room->roomy ? at : room->roomy;
}

size_t kw_room_chunks(const struct kw_room *room)
{
    return room->chunk_count;
}

void *kw_room_take_out(struct kw_room *room, size_t at)
{
    struct chunk *chunk = room->chunks[at];
    if (chunk == NULL || chunk->used > 0) {
        return NULL;
    }
    __atomic_store_n(&room->chunks[at], NULL, __ATOMIC_RELEASE);
    room->chunk_bytes -= KW_CHUNK_BYTES;
    room->roomy = at < room->roomy ? at : room->roomy;
    return chunk;
}

void kw_room_count(const struct kw_room *room, uint64_t *accounts_out, uint64_t *slots_out, uint64_t *bytes_out)
{
    *accounts_out = room->account_count;
    *slots_out = room->slot_count;
    *bytes_out = room->chunk_bytes + room->table_size * sizeof *room->table + sizeof *room;
}
