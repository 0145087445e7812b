#include "engine/ledger.h"

#include "base/memory.h"
#include "core/id.h"
#include "engine/index.h"
#include "engine/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)2 * 1024 * 1024) /* a huge page: slots are read at random */
#define CHUNK_SLOTS ((uint32_t)7168)
#define CHUNKS_MAX 65536
#define TABLE_MIN 64
#define PIECE_SLOTS 512 /* that are swept under one hold of the lock */
#define PIECES (CHUNK_SLOTS / PIECE_SLOTS)
#define SWEPT_PART 16 /* of all are swept with each call */
#define SPINS_MAX 100 /* before others get the processor: the lock's holder may be waiting for it */

/* One limit's. The first of a line stands for it, and its lock guards all of them. */
struct slot {
    struct kw_id lineage; /* of the first; none: not in use, or not the first of its line */
    uint32_t claim_id;
    struct kw_limit_state state;
    uint32_t window_ms; /* of the limit when it was last spent from */
    uint32_t next;      /* of the line, or free; 0: none */
    uint32_t lock;
};

static_assert(sizeof(struct slot) <= 292, "a limit in use costs at most 300 bytes, with its part of the table");

struct chunk {
    struct slot slots[CHUNK_SLOTS];
    uint32_t first_free; /* in the chunk, counted from 1; 0: none */
    uint32_t used;
};

static_assert(sizeof(struct chunk) <= CHUNK_BYTES && CHUNK_SLOTS % PIECE_SLOTS == 0, "a chunk is one huge page");

struct kw_ledger {
    struct chunk *chunks[CHUNKS_MAX]; /* atomic */
    pthread_mutex_t lock __attribute__((aligned(64)));
    size_t chunk_count; /* places in `chunks` that were ever used */
    size_t roomy;       /* no chunk before it has a free slot */
    uint32_t *table;    /* numbers of first slots by lineage; open addressing, at most half full */
    size_t table_size, line_count;
    uint64_t slot_count, chunk_bytes;
    int64_t floor_ms; /* what was given up, was idle then: no time before it is taken for true */
    size_t swept;     /* the piece that was swept last, over all chunks */
};

enum kw_status kw_ledger_new(struct kw_ledger **ledger_out)
{
    struct kw_ledger *ledger = kw_alloc(1, sizeof *ledger);
    if (ledger == NULL) {
        return KW_E_MEMORY;
    }
    ledger->table = kw_alloc(TABLE_MIN, sizeof *ledger->table);
    if (ledger->table == NULL) {
        kw_free(ledger);
        return KW_E_MEMORY;
    }
    ledger->table_size = TABLE_MIN;
    pthread_mutex_init(&ledger->lock, NULL);
    *ledger_out = ledger;
    return KW_OK;
}

void kw_ledger_free(struct kw_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    for (size_t i = 0; i < ledger->chunk_count; i++) {
        kw_pages_unmap(ledger->chunks[i], CHUNK_BYTES);
    }
    kw_free(ledger->table);
    pthread_mutex_destroy(&ledger->lock);
    kw_free(ledger);
}

/* --- slots; numbers count from 1 --- */

/* Of a slot in use; for who holds a lock that keeps it so. */
static struct slot *slot_of(const struct kw_ledger *ledger, uint32_t number)
{
    uint32_t index = number - 1;
    return &ledger->chunks[index / CHUNK_SLOTS]->slots[index % CHUNK_SLOTS];
}

/* NULL: number 0, or what was there was given up. */
static struct slot *slot_at(const struct kw_ledger *ledger, uint32_t number)
{
    uint32_t index = number - 1;
    struct chunk *chunk = number == 0 ? NULL : __atomic_load_n(&ledger->chunks[index / CHUNK_SLOTS], __ATOMIC_ACQUIRE);
    return chunk == NULL ? NULL : &chunk->slots[index % CHUNK_SLOTS];
}

/* Zeroed, and where a huge page can be: what is mapped too much goes back. */
static struct chunk *chunk_map(void)
{
    uint8_t *pages = kw_pages_map(2 * CHUNK_BYTES);
    if (pages == NULL) {
        return NULL;
    }
    size_t before = -(uintptr_t)pages & (CHUNK_BYTES - 1);
    if (before > 0) {
        kw_pages_unmap(pages, before);
    }
    kw_pages_unmap(pages + before + CHUNK_BYTES, CHUNK_BYTES - before);
    return (struct chunk *)(void *)(pages + before);
}

static bool chunk_make(struct kw_ledger *ledger, size_t at)
{
    struct chunk *chunk = at == CHUNKS_MAX ? NULL : chunk_map();
    if (chunk == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
        chunk->slots[i].next = i + 1 < CHUNK_SLOTS ? i + 2 : 0;
    }
    chunk->first_free = 1;
    ledger->chunk_bytes += CHUNK_BYTES;
    ledger->chunk_count = at < ledger->chunk_count ? ledger->chunk_count : at + 1;
    __atomic_store_n(&ledger->chunks[at], chunk, __ATOMIC_RELEASE);
    return true;
}

/* 0: no memory. Nobody else knows the slot, but some may lock it for a moment to see that it is not theirs. */
static uint32_t slot_take(struct kw_ledger *ledger)
{
    size_t at = ledger->roomy;
    while (at < ledger->chunk_count && (ledger->chunks[at] != NULL && ledger->chunks[at]->first_free == 0)) {
        at++;
    }
    ledger->roomy = at;
    if ((at == ledger->chunk_count || ledger->chunks[at] == NULL) && !chunk_make(ledger, at)) {
        return 0;
    }
    struct chunk *chunk = ledger->chunks[at];
    uint32_t place = chunk->first_free;
    chunk->first_free = chunk->slots[place - 1].next;
    chunk->used++;
    ledger->slot_count++;
    return (uint32_t)at * CHUNK_SLOTS + place;
}

static void slot_give(struct kw_ledger *ledger, uint32_t number)
{
    size_t at = (number - 1) / CHUNK_SLOTS;
    struct chunk *chunk = ledger->chunks[at];
    chunk->slots[(number - 1) % CHUNK_SLOTS].next = chunk->first_free;
    chunk->first_free = (number - 1) % CHUNK_SLOTS + 1;
    chunk->used--;
    ledger->slot_count--;
    ledger->roomy = at < ledger->roomy ? at : ledger->roomy;
}

static void lock(struct slot *slot)
{
    for (unsigned spins = 1; __atomic_exchange_n(&slot->lock, 1, __ATOMIC_ACQUIRE) != 0; spins++) {
        while (__atomic_load_n(&slot->lock, __ATOMIC_RELAXED) != 0 && spins % SPINS_MAX != 0) {
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

static void unlock(struct slot *slot)
{
    __atomic_store_n(&slot->lock, 0, __ATOMIC_RELEASE);
}

/* --- the table of lines --- */

static uint32_t *table_place(const struct kw_ledger *ledger, const struct kw_id *lineage)
{
    size_t mask = ledger->table_size - 1;
    size_t at = kw_id_hash(lineage) & mask;
    while (ledger->table[at] != 0 && !kw_id_equal(&slot_of(ledger, ledger->table[at])->lineage, lineage)) {
        at = (at + 1) & mask;
    }
    return &ledger->table[at];
}

static bool table_resize(struct kw_ledger *ledger, size_t size)
{
    uint32_t *old = ledger->table;
    size_t old_size = ledger->table_size;
    uint32_t *table = kw_alloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    ledger->table = table;
    ledger->table_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != 0) {
            *table_place(ledger, &slot_of(ledger, old[i])->lineage) = old[i];
        }
    }
    kw_free(old);
    return true;
}

/* Those behind it that would not be found across the gap move into it. */
static void table_remove(struct kw_ledger *ledger, const struct kw_id *lineage)
{
    size_t mask = ledger->table_size - 1;
    size_t gap = (size_t)(table_place(ledger, lineage) - ledger->table);
    ledger->table[gap] = 0;
    for (size_t at = (gap + 1) & mask; ledger->table[at] != 0; at = (at + 1) & mask) {
        size_t home = kw_id_hash(&slot_of(ledger, ledger->table[at])->lineage) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            ledger->table[gap] = ledger->table[at];
            ledger->table[at] = 0;
            gap = at;
        }
    }
    ledger->line_count--;
    if (ledger->table_size > TABLE_MIN && ledger->line_count < ledger->table_size / 8) {
        (void)table_resize(ledger, ledger->table_size / 2); /* without memory it stays as it is */
    }
}

/* --- charging --- */

static struct slot *find_claim(const struct kw_ledger *ledger, struct slot *slot, uint32_t claim_id)
{
    while (slot != NULL && slot->claim_id != claim_id) {
        slot = slot_at(ledger, slot->next);
    }
    return slot;
}

/* The line is locked. False when a claim has no slot yet: then nothing is said. */
static bool charge_line(const struct kw_ledger *ledger, struct slot *line, const struct kw_charge *charge,
                        struct kw_limit_answer *answers_out, bool *is_admitted_out)
{
    struct kw_limit_use uses[KW_CLAIMS_MAX];
    struct slot *slots[KW_CLAIMS_MAX];
    bool is_admitted = true;
    for (size_t i = 0; i < charge->claim_count; i++) {
        slots[i] = find_claim(ledger, line, charge->claims[i].id);
        if (slots[i] == NULL) {
            return false;
        }
        uses[i].limit = &charge->claims[i].limit;
        uses[i].state = &slots[i]->state;
    }
    if (!charge->is_trial) {
        is_admitted = kw_limits_take(uses, charge->claim_count, charge->now_ms, charge->cost);
    }
    for (size_t i = 0; i < charge->claim_count; i++) {
        if (charge->is_trial) {
            uses[i].answer = kw_limit_look(uses[i].state, uses[i].limit, charge->now_ms, charge->cost);
            is_admitted = is_admitted && uses[i].answer.is_admitted;
        } else {
            slots[i]->window_ms = (uint32_t)charge->claims[i].limit.window_ms;
        }
        answers_out[i] = uses[i].answer;
    }
    *is_admitted_out = is_admitted;
    return true;
}

/* The way of all but the first use. False where the line is not, or not wholly, where it last was. */
static bool charge_known(const struct kw_ledger *ledger, const struct kw_charge *charge,
                         struct kw_limit_answer *answers_out, bool *is_admitted_out)
{
    struct slot *line = slot_at(ledger, __atomic_load_n(charge->place, __ATOMIC_RELAXED));
    if (line == NULL) {
        return false;
    }
    lock(line);
    bool is_known = kw_id_equal(&line->lineage, &charge->lineage) &&
                    charge_line(ledger, line, charge, answers_out, is_admitted_out);
    unlock(line);
    return is_known;
}

/*
 * What is known of a line's spending when a limit is new to it: all limits of a line are spent from together, so that
 * of the longest window has the most. So nothing is forgiven by another name, or by a limit that comes from above.
 */
static struct kw_limit_state known_of(const struct kw_ledger *ledger, const struct slot *line)
{
    const struct slot *longest = line;
    for (; line != NULL; line = slot_at(ledger, line->next)) {
        longest = line->window_ms > longest->window_ms ? line : longest;
    }
    static const struct kw_limit_state nothing;
    return longest == NULL ? nothing : longest->state;
}

/* A slot for the claim in the line, which is locked if it is there; makes it the line where there is none yet. */
static bool add_claim(struct kw_ledger *ledger, const struct kw_id *lineage, uint32_t claim_id, struct slot **line,
                      uint32_t *number_out)
{
    uint32_t number = slot_take(ledger);
    struct slot *slot = slot_at(ledger, number);
    if (slot == NULL) {
        return false;
    }
    bool is_first = *line == NULL;
    if (is_first) {
        lock(slot);
    }
    slot->claim_id = claim_id;
    slot->window_ms = 0;
    slot->state = known_of(ledger, *line);
    slot->next = is_first ? 0 : (*line)->next;
    if (is_first) {
        slot->lineage = *lineage;
        *line = slot;
        *number_out = number;
    } else {
        (*line)->next = number;
    }
    return true;
}

/* The ledger is locked. The line with a slot for each claim, locked; NULL: no memory. */
static struct slot *open_line(struct kw_ledger *ledger, const struct kw_charge *charge)
{
    if (2 * (ledger->line_count + 1) > ledger->table_size && !table_resize(ledger, 2 * ledger->table_size)) {
        return NULL;
    }
    uint32_t *place = table_place(ledger, &charge->lineage);
    uint32_t number = *place;
    struct slot *line = slot_at(ledger, number);
    if (line != NULL) {
        lock(line);
    }
    bool is_whole = true;
    for (size_t i = 0; i < charge->claim_count && is_whole; i++) {
        is_whole = find_claim(ledger, line, charge->claims[i].id) != NULL ||
                   add_claim(ledger, &charge->lineage, charge->claims[i].id, &line, &number);
    }
    if (*place == 0 && number != 0) {
        *place = number;
        ledger->line_count++;
    }
    if (!is_whole && line != NULL) {
        unlock(line);
    }
    __atomic_store_n(charge->place, number, __ATOMIC_RELAXED);
    return is_whole ? line : NULL;
}

/* Of a line that has spent nothing: a look makes no slots. */
static void look_at_nothing(const struct kw_charge *charge, struct kw_limit_answer *answers_out, bool *is_admitted_out)
{
    static const struct kw_limit_state nothing;
    *is_admitted_out = true;
    for (size_t i = 0; i < charge->claim_count; i++) {
        answers_out[i] = kw_limit_look(&nothing, &charge->claims[i].limit, charge->now_ms, charge->cost);
        *is_admitted_out = *is_admitted_out && answers_out[i].is_admitted;
    }
}

enum kw_status kw_ledger_charge(struct kw_ledger *ledger, const struct kw_charge *charge,
                                struct kw_limit_answer *answers_out, bool *is_admitted_out)
{
    if (charge_known(ledger, charge, answers_out, is_admitted_out)) {
        return KW_OK;
    }
    pthread_mutex_lock(&ledger->lock);
    struct kw_charge late = *charge;
    late.now_ms = late.now_ms > ledger->floor_ms ? late.now_ms : ledger->floor_ms;
    bool is_new = *table_place(ledger, &charge->lineage) == 0;
    if (is_new && charge->is_trial) {
        look_at_nothing(&late, answers_out, is_admitted_out);
        pthread_mutex_unlock(&ledger->lock);
        return KW_OK;
    }
    struct slot *line = open_line(ledger, &late);
    bool is_done = line != NULL && charge_line(ledger, line, &late, answers_out, is_admitted_out);
    if (line != NULL) {
        unlock(line);
    }
    pthread_mutex_unlock(&ledger->lock);
    return is_done ? KW_OK : KW_E_MEMORY;
}

void kw_ledger_prefetch(const struct kw_ledger *ledger, uint32_t place)
{
    const uint8_t *line = (const uint8_t *)slot_at(ledger, place);
    if (line == NULL) {
        return;
    }
    __builtin_prefetch(line);
    __builtin_prefetch(line + 64);
    __builtin_prefetch(line + sizeof(struct slot)); /* mostly its second limit, which was made together with it */
    __builtin_prefetch(line + sizeof(struct slot) + 64);
}

/* --- sweeping --- */

static bool is_idle(const struct kw_ledger *ledger, const struct slot *slot, int64_t now_ms)
{
    for (; slot != NULL; slot = slot_at(ledger, slot->next)) {
        struct kw_rate_limit limit = {.window_ms = slot->window_ms};
        if (!kw_limit_is_idle(&slot->state, &limit, now_ms)) {
            return false;
        }
    }
    return true;
}

/* The line is locked, and gone after this; its first slot is unlocked, which only those lock who do not find it theirs.
 */
static void close_line(struct kw_ledger *ledger, struct slot *line, uint32_t number)
{
    table_remove(ledger, &line->lineage);
    line->lineage = (struct kw_id){{0}};
    uint32_t next = line->next;
    slot_give(ledger, number);
    unlock(line);
    while (next != 0) {
        number = next;
        next = slot_of(ledger, number)->next;
        slot_give(ledger, number);
    }
}

/* The piece's chunk, where nothing is left in it: nobody new finds it, and it can go when no reader is left. */
static struct chunk *sweep_piece(struct kw_ledger *ledger, size_t piece, int64_t now_ms)
{
    size_t at = piece / PIECES;
    uint32_t from = (uint32_t)(piece % PIECES) * PIECE_SLOTS;
    struct chunk *chunk = ledger->chunks[at];
    for (uint32_t i = from; chunk != NULL && i < from + PIECE_SLOTS && chunk->used > 0; i++) {
        struct slot *slot = &chunk->slots[i];
        if (kw_id_is_none(&slot->lineage)) {
            continue;
        }
        lock(slot);
        if (is_idle(ledger, slot, now_ms)) {
            ledger->floor_ms = now_ms > ledger->floor_ms ? now_ms : ledger->floor_ms;
            close_line(ledger, slot, (uint32_t)at * CHUNK_SLOTS + i + 1);
        } else {
            unlock(slot);
        }
    }
    if (chunk == NULL || chunk->used > 0) {
        return NULL;
    }
    __atomic_store_n(&ledger->chunks[at], NULL, __ATOMIC_RELEASE);
    ledger->chunk_bytes -= CHUNK_BYTES;
    ledger->roomy = at < ledger->roomy ? at : ledger->roomy;
    return chunk;
}

void kw_ledger_sweep(struct kw_ledger *ledger, int64_t now_ms)
{
    pthread_mutex_lock(&ledger->lock);
    size_t count = ledger->chunk_count * PIECES;
    pthread_mutex_unlock(&ledger->lock);
    size_t steps = count / SWEPT_PART > PIECES ? count / SWEPT_PART : PIECES;
    for (size_t i = 0; i < steps && i < count; i++) {
        pthread_mutex_lock(&ledger->lock); /* given back in between: first uses wait for it */
        ledger->swept = ledger->swept + 1 < count ? ledger->swept + 1 : 0;
        struct chunk *empty = sweep_piece(ledger, ledger->swept, now_ms);
        pthread_mutex_unlock(&ledger->lock);
        if (empty != NULL) {
            kw_index_read_wait();
            kw_pages_unmap(empty, CHUNK_BYTES);
        }
    }
}

void kw_ledger_count(struct kw_ledger *ledger, uint64_t *slots_out, uint64_t *bytes_out)
{
    pthread_mutex_lock(&ledger->lock);
    *slots_out = ledger->slot_count;
    *bytes_out = ledger->chunk_bytes + ledger->table_size * sizeof *ledger->table + sizeof *ledger;
    pthread_mutex_unlock(&ledger->lock);
}
