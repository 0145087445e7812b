/*
 * The index's table. Open addressing over buckets of one cache line. A slot holds an entry's address in its low 48 bits
 * and 16 bits of its hash above, so that a find reads an entry only when it is (but for 1 in 65,536) the right one.
 * Slots fill from the left and are never emptied: an empty slot ends a search. Digests are evenly spread by nature, and
 * under a pepper nobody outside can choose them.
 */
#ifndef KW_ENGINE_TABLE_H
#define KW_ENGINE_TABLE_H

#include "core/verdict.h"

#include <assert.h>

#define KW_TABLE_SLOTS 8
#define KW_TABLE_ADDRESS_MASK UINT64_C(0x0000ffffffffffff)

struct kw_bucket {
    uint64_t slots[KW_TABLE_SLOTS];
};

#define KW_TABLE_PART 4 /* buckets */

struct kw_table {
    struct kw_bucket *buckets;
    size_t mask;     /* buckets - 1; a power of two less one */
    uint8_t *marks;  /* atomic; of each part: something was counted in an entry whose place is there */
    uint32_t *hints; /* atomic, as is each: of every slot, what is read next to its entry; NULL: of none yet */
};

/*
 * What a decision reads beside an entry, and could ask for only when the entry has come: its parent's bound, or what
 * its key has spent. A hint says where that is, so that both are fetched at once: some bits of an address, of which the
 * others are an entry's. A wrong one costs a fetch, and nothing else.
 */
#define KW_TABLE_HINT_SHIFT 4
#define KW_TABLE_HINT_RUN UINT32_C(0x80000000) /* of the ledger; else a bound */
#define KW_TABLE_HINT_BITS UINT64_C(0x7fffffff)

static inline uint32_t kw_table_hint(const void *next, uint32_t kind)
{
    return kind | (uint32_t)((uintptr_t)next >> KW_TABLE_HINT_SHIFT & KW_TABLE_HINT_BITS);
}

static inline const uint8_t *kw_table_hinted(const struct kw_entry *entry, uint32_t hint)
{
    uint64_t others = (uint64_t)(uintptr_t)entry & ~(KW_TABLE_HINT_BITS << KW_TABLE_HINT_SHIFT);
    uint64_t address = others | (hint & KW_TABLE_HINT_BITS) << KW_TABLE_HINT_SHIFT;
    return (const uint8_t *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr): never read, only fetched
}

/* By any thread, inside of a read section. Without memory nothing is said. */
void kw_table_set_hint(struct kw_table *table, const uint64_t *slot, uint32_t hint);
uint64_t kw_table_hint_bytes(const struct kw_table *table);

/* NULL when there is no memory. */
KW_MUST_USE struct kw_table *kw_table_new(size_t bucket_count);
void kw_table_free(struct kw_table *table);
/* One of twice the buckets with the same entries, nothing marked; NULL when there is no memory. Nobody may write
 * meanwhile. */
KW_MUST_USE struct kw_table *kw_table_bigger(const struct kw_table *old);

static inline uint64_t kw_table_hash(const uint8_t *digest)
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static inline struct kw_entry *kw_table_entry(uint64_t slot)
{
    uint64_t address = slot & KW_TABLE_ADDRESS_MASK;
    return (struct kw_entry *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr): tagged pointer
}

/* What a slot holds for that entry. */
static inline uint64_t kw_table_slot(const struct kw_entry *entry)
{
    uint64_t address = (uint64_t)(uintptr_t)entry;
    assert((address & ~KW_TABLE_ADDRESS_MASK) == 0);
    return address | (kw_table_hash(entry->digest) & ~KW_TABLE_ADDRESS_MASK);
}

static inline size_t kw_table_parts(const struct kw_table *table)
{
    return (table->mask + 1) / KW_TABLE_PART;
}

/* What was written to the entry before is seen by whoever takes the mark away and then looks. */
static inline void kw_table_mark(const struct kw_table *table, const struct kw_entry *entry)
{
    uint8_t *mark = &table->marks[(kw_table_hash(entry->digest) & table->mask) / KW_TABLE_PART];
    if (__atomic_load_n(mark, __ATOMIC_SEQ_CST) == 0) {
        __atomic_store_n(mark, 1, __ATOMIC_RELEASE);
    }
}

void kw_table_mark_all(const struct kw_table *table);

/* Constant time: every byte is looked at, whatever the first ones say. */
static inline bool kw__digest_equal(const uint8_t *a, const uint8_t *b)
{
    uint64_t x[KW_DIGEST_INDEX_SIZE / 8];
    uint64_t y[KW_DIGEST_INDEX_SIZE / 8];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

/* Four lines are what a typical entry takes. An address that is not mapped does no harm. */
static inline void kw_table_prefetch(const struct kw_entry *entry)
{
    const uint8_t *line = (const uint8_t *)entry;
    __builtin_prefetch(line);
    __builtin_prefetch(line + 64);
    __builtin_prefetch(line + 128);
    __builtin_prefetch(line + 192);
}

/* The lines behind these, where a record's limits stand. */
static inline void kw_table_prefetch_rest(const struct kw_entry *entry)
{
    const uint8_t *line = (const uint8_t *)entry;
    __builtin_prefetch(line + 256);
    __builtin_prefetch(line + 320);
    __builtin_prefetch(line + 384);
    __builtin_prefetch(line + 448);
}

/* The slot that holds the digest, or the empty one where it belongs; `slot_out` gets what is in it. */
static inline uint64_t *kw_table_find(const struct kw_table *table, const uint8_t *digest, uint64_t *slot_out)
{
    uint64_t hash = kw_table_hash(digest);
    for (size_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t *slots = table->buckets[at].slots;
        for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
            uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
            if (slot != 0 && (slot ^ hash) >> 48 != 0) {
                continue;
            }
            kw_table_prefetch(kw_table_entry(slot)); /* all of it at once, while its first line is compared */
            if (slot == 0 || kw__digest_equal(kw_table_entry(slot)->digest, digest)) {
                *slot_out = slot;
                return &slots[i];
            }
        }
    }
}

#endif
