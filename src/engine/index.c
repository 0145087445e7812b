#include "engine/index.h"

#include "base/memory.h"
#include "core/id.h"
#include "engine/bounds.h"
#include "engine/policies.h"
#include "engine/pool.h"
#include "engine/rcu.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

/*
 * Open addressing over buckets of one cache line. A slot holds an entry's address in its low 48 bits and 16 bits of its
 * hash above, so that a find reads an entry only when it is (but for 1 in 65,536) the right one. Slots fill from the
 * left and are never emptied: an empty slot ends a search. Digests are evenly spread by nature, and under a pepper
 * nobody outside can choose them.
 */
#define SLOTS 8
#define BUCKETS_MIN ((size_t)64)
#define RETIRED_MAX 1024
#define ADDRESS_MASK UINT64_C(0x0000ffffffffffff)

struct bucket {
    uint64_t slots[SLOTS];
};

struct table {
    struct bucket *buckets;
    size_t mask; /* buckets - 1; a power of two less one */
};

struct kw_index {
    struct table *table; /* readers */
    uint64_t count;
    bool complete;

    pthread_mutex_t lock __attribute__((aligned(64))); /* writers: everything below, and the right to write above */
    struct kw_pool pool;
    struct kw_bounds bounds;
    struct kw_policies policies;
    struct kw_entry *retired[RETIRED_MAX];
    size_t retired_count;
    uint64_t table_bytes;
};

/* What the sanitizer is told that read sections belong to; liburcu itself has one domain a process. */
static char rcu_domain;

void kw_index_read_begin(void)
{
    kw__rcu_read_begin();
}

void kw_index_read_end(void)
{
    kw__rcu_read_end(&rcu_domain);
}

void kw_index_read_wait(void)
{
    kw__rcu_wait(&rcu_domain);
}

static uint64_t hash_of(const uint8_t *digest)
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static struct kw_entry *entry_of(uint64_t slot)
{
    return (struct kw_entry *)(uintptr_t)(slot & ADDRESS_MASK); // NOLINT(performance-no-int-to-ptr): tagged pointer
}

/* Constant time: every byte is looked at, whatever the first ones say. */
static bool digest_equal(const uint8_t *a, const uint8_t *b)
{
    uint64_t x[KW_DIGEST_INDEX_SIZE / 8];
    uint64_t y[KW_DIGEST_INDEX_SIZE / 8];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

/* Four lines are what a typical entry takes. An address that is not mapped does no harm. */
static inline void prefetch_entry(const struct kw_entry *entry)
{
    const uint8_t *line = (const uint8_t *)entry;
    __builtin_prefetch(line);
    __builtin_prefetch(line + 64);
    __builtin_prefetch(line + 128);
    __builtin_prefetch(line + 192);
}

/* The slot that holds the digest, or the empty one where it belongs; `slot_out` gets what is in it. */
static uint64_t *find_slot(const struct table *table, const uint8_t *digest, uint64_t *slot_out)
{
    uint64_t hash = hash_of(digest);
    for (size_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t *slots = table->buckets[at].slots;
        for (size_t i = 0; i < SLOTS; i++) {
            uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
            if (slot != 0 && (slot ^ hash) >> 48 != 0) {
                continue;
            }
            prefetch_entry(entry_of(slot)); /* all of it at once, while its first line is compared */
            if (slot == 0 || digest_equal(entry_of(slot)->digest, digest)) {
                *slot_out = slot;
                return &slots[i];
            }
        }
    }
}

struct kw_entry *kw_index_find(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t slot;
    (void)find_slot(table, digest->bytes, &slot);
    return entry_of(slot);
}

void kw_index_prefetch_bucket(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    __builtin_prefetch(&table->buckets[hash_of(digest->bytes) & table->mask]);
}

void kw_index_prefetch_entry(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t hash = hash_of(digest->bytes);
    uint64_t *slots = table->buckets[hash & table->mask].slots;
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
        if ((slot ^ hash) >> 48 == 0) {
            prefetch_entry(entry_of(slot));
            return;
        }
    }
}

static struct table *table_new(size_t bucket_count)
{
    struct table *table = kw_alloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->buckets = kw_pages_map(bucket_count * sizeof *table->buckets);
    table->mask = bucket_count - 1;
    if (table->buckets == NULL) {
        kw_free(table);
        return NULL;
    }
    return table;
}

static void table_free(struct table *table)
{
    if (table == NULL) {
        return;
    }
    kw_pages_unmap(table->buckets, (table->mask + 1) * sizeof *table->buckets);
    kw_free(table);
}

enum kw_status kw_index_new(struct kw_index **index_out)
{
    struct kw_index *index = kw_alloc(1, sizeof *index);
    if (index == NULL) {
        return KW_E_MEMORY;
    }
    index->table = table_new(BUCKETS_MIN);
    if (index->table == NULL) {
        kw_free(index);
        return KW_E_MEMORY;
    }
    index->table_bytes = BUCKETS_MIN * sizeof(struct bucket);
    kw_pool_init(&index->pool);
    pthread_mutex_init(&index->lock, NULL);
    *index_out = index;
    return KW_OK;
}

void kw_index_free(struct kw_index *index)
{
    if (index == NULL) {
        return;
    }
    kw_index_reclaim(index);
    table_free(index->table);
    kw_bounds_deinit(&index->bounds);
    kw_policies_deinit(&index->policies);
    kw_pool_deinit(&index->pool);
    pthread_mutex_destroy(&index->lock);
    kw_free(index);
}

/* Twice the buckets. Readers go on in the old table until the new one is whole. */
static enum kw_status grow(struct kw_index *index)
{
    struct table *old = index->table;
    struct table *bigger = table_new((old->mask + 1) * 2);
    if (bigger == NULL) {
        return KW_E_MEMORY;
    }
    for (size_t at = 0; at <= old->mask; at++) {
        const uint64_t *slots = old->buckets[at].slots;
        const uint64_t *ahead = old->buckets[(at + 4) & old->mask].slots;
        for (size_t i = 0; i < SLOTS; i++) {
            __builtin_prefetch(entry_of(ahead[i]));
        }
        for (size_t i = 0; i < SLOTS && slots[i] != 0; i++) {
            uint64_t empty;
            *find_slot(bigger, entry_of(slots[i])->digest, &empty) = slots[i];
        }
    }
    __atomic_store_n(&index->table, bigger, __ATOMIC_RELEASE);
    __atomic_store_n(&index->table_bytes, (bigger->mask + 1) * sizeof(struct bucket), __ATOMIC_RELAXED);
    kw__rcu_wait(&rcu_domain);
    table_free(old);
    return KW_OK;
}

static size_t size_of(size_t encoding_size, bool has_tail)
{
    return has_tail ? kw_entry_tailed_size(encoding_size) : kw_entry_size(encoding_size);
}

static void reclaim_locked(struct kw_index *index)
{
    if (index->retired_count == 0) {
        return;
    }
    kw__rcu_wait(&rcu_domain);
    for (size_t i = 0; i < index->retired_count; i++) {
        struct kw_entry *entry = index->retired[i];
        kw_pool_give(&index->pool, entry, size_of(entry->record_size, kw_entry_has_tail(entry)));
    }
    index->retired_count = 0;
}

void kw_index_reclaim(struct kw_index *index)
{
    pthread_mutex_lock(&index->lock);
    reclaim_locked(index);
    pthread_mutex_unlock(&index->lock);
}

static uint64_t slot_of(const struct kw_entry *entry)
{
    uint64_t address = (uint64_t)(uintptr_t)entry;
    assert((address & ~ADDRESS_MASK) == 0);
    return address | (hash_of(entry->digest) & ~ADDRESS_MASK);
}

/* Above five eighths full, buckets begin to overflow into their neighbours. */
static bool is_full(const struct kw_index *index)
{
    return index->count + 1 > (index->table->mask + 1) * SLOTS / 8 * 5;
}

static enum kw_status put_locked(struct kw_index *index, struct kw_entry *entry)
{
    uint64_t slot;
    uint64_t *place = find_slot(index->table, entry->digest, &slot);
    if (slot != 0) {
        if (entry_of(slot)->version >= entry->version) {
            return KW_E_CONFLICT;
        }
        if (index->retired_count == RETIRED_MAX) {
            reclaim_locked(index);
        }
        index->retired[index->retired_count++] = entry_of(slot);
        __atomic_store_n(place, slot_of(entry), __ATOMIC_SEQ_CST);
        return KW_OK;
    }
    if (is_full(index)) {
        enum kw_status status = grow(index);
        if (status != KW_OK) {
            return status;
        }
        place = find_slot(index->table, entry->digest, &slot);
    }
    __atomic_store_n(place, slot_of(entry), __ATOMIC_SEQ_CST);
    __atomic_store_n(&index->count, index->count + 1, __ATOMIC_RELAXED);
    return KW_OK;
}

/* The bounds that a record's entry stands under. */
static enum kw_status link_bounds(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry)
{
    if (!kw_id_is_none(&record->parent_id)) {
        entry->parent = kw_bounds_take(&index->bounds, &record->parent_id);
        if (entry->parent == NULL) {
            return KW_E_MEMORY;
        }
    }
    if (record->policy.size > 0) {
        entry->policy = kw_policies_take(&index->policies, entry->project, record->policy);
        if (entry->policy == NULL) {
            return KW_E_MEMORY;
        }
    }
    /* What others stand under has its bound before it is seen, so that following it cannot fail. */
    if (record->has_children) {
        struct kw_bound *line = kw_bounds_take(&index->bounds, &record->lineage_id);
        kw_entry_tail(entry)->line = line;
        return line == NULL ? KW_E_MEMORY : KW_OK;
    }
    return KW_OK;
}

/*
 * A line's bound is its newest key: the one that was not rotated. An older one of the line, which may come later from a
 * slow reader, does not take its place; but a newer version of the entry that is there always does, since the old one
 * will be freed.
 */
static void follow_bound(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry)
{
    struct kw_bound *bound = kw_bounds_find(&index->bounds, &record->lineage_id);
    if (bound == NULL) {
        return;
    }
    bool is_same = false;
    if (bound->entry != NULL) {
        struct kw_id id = kw_entry_id(bound->entry);
        is_same = kw_id_equal(&id, &record->id);
    }
    /* A tombstone has forgotten whether it was rotated. */
    bool is_erased = (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
    if ((kw_id_is_none(&record->rotated_to) && !is_erased) || is_same) {
        kw_bound_show(bound, entry);
    }
}

enum kw_status kw_index_put(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                            struct kw_bytes encoding)
{
    if (encoding.size == 0 || encoding.size > KW_RECORD_MAX) {
        return KW_E_CORRUPT; /* whatever a store hands out */
    }
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status != KW_OK) {
        return status;
    }
    size_t size = size_of(encoding.size, kw_record_asks_tail(&record));
    pthread_mutex_lock(&index->lock);
    struct kw_entry *entry = kw_pool_take(&index->pool, size);
    if (entry != NULL) {
        kw_entry_make(digest, project, erased, encoding, &record, entry);
    }
    status = entry == NULL ? KW_E_MEMORY : link_bounds(index, &record, entry);
    status = status == KW_OK ? put_locked(index, entry) : status;
    if (status == KW_OK) {
        follow_bound(index, &record, entry);
    }
    if (status != KW_OK && entry != NULL) {
        kw_pool_give(&index->pool, entry, size);
    }
    pthread_mutex_unlock(&index->lock);
    return status == KW_E_CONFLICT ? KW_OK : status;
}

bool kw_index_ancestry(struct kw_index *index, const struct kw_id *lineage, size_t *generation_out,
                       struct kw_id *unknown_out)
{
    *unknown_out = *lineage;
    *generation_out = 0;
    pthread_mutex_lock(&index->lock); /* which keeps entries from being freed, too */
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, lineage);
    while (bound != NULL && bound->entry != NULL && bound->entry->parent != NULL &&
           *generation_out <= KW_FAMILY_DEPTH_MAX) {
        bound = bound->entry->parent;
        *unknown_out = bound->id;
        (*generation_out)++;
    }
    /* Of a line that has ended in an erasure nothing is known, before a restart as after it. */
    bool is_known = bound != NULL && bound->entry != NULL && (kw_entry_flags(bound->entry) & KW_ENTRY_ERASED) == 0;
    pthread_mutex_unlock(&index->lock);
    return is_known;
}

enum kw_status kw_index_copy_newest(struct kw_index *index, const struct kw_id *lineage, struct kw_arena *arena,
                                    struct kw_bytes *encoding_out)
{
    pthread_mutex_lock(&index->lock);
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, lineage);
    const struct kw_entry *entry = bound == NULL ? NULL : bound->entry;
    bool is_here = entry != NULL && (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0;
    enum kw_status status = is_here ? kw_arena_copy(arena, kw_entry_record(entry), encoding_out) : KW_E_NOT_FOUND;
    pthread_mutex_unlock(&index->lock);
    return status;
}

void kw_index_set_catalog(struct kw_index *index, const struct kw_catalog *catalog)
{
    pthread_mutex_lock(&index->lock);
    kw_policies_set_catalog(&index->policies, catalog);
    pthread_mutex_unlock(&index->lock);
}

void kw_index_set_complete(struct kw_index *index)
{
    __atomic_store_n(&index->complete, true, __ATOMIC_RELEASE);
}

bool kw_index_complete(const struct kw_index *index)
{
    return __atomic_load_n(&index->complete, __ATOMIC_ACQUIRE);
}

uint64_t kw_index_count(const struct kw_index *index)
{
    return __atomic_load_n(&index->count, __ATOMIC_RELAXED);
}

uint64_t kw_index_bytes(const struct kw_index *index)
{
    return __atomic_load_n(&index->pool.bytes, __ATOMIC_RELAXED) +
           __atomic_load_n(&index->table_bytes, __ATOMIC_RELAXED);
}
