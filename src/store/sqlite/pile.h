/*
 * Digests in memory that wait for their place in the store's table: found by digest, and put in order when there are
 * many. One thread changes a pile; who looks on beside it needs the lock of whoever owns the pile (digests.h).
 */
#ifndef KW_STORE_SQLITE_PILE_H
#define KW_STORE_SQLITE_PILE_H

#include <keyward/record.h>

#define KW__PILE_DIGEST_SIZE 32 /* only digests of this size are piled up */
#define KW__PILE_ENTRIES_MAX 65536
#define KW__PILE_SLOTS (2 * KW__PILE_ENTRIES_MAX)

struct kw__pile_entry {
    uint8_t digest[KW__PILE_DIGEST_SIZE];
    struct kw_id id;
    uint64_t gone_at; /* the commit that took the digest from the row; 0: it is the row's */
};

struct kw__pile {
    struct kw__pile_entry *entries; /* in the order in which they came */
    uint32_t *slots;                /* an entry's place and 1, from where its hash points to; 0: empty */
    size_t count;
};

/* A place in a pile, with what it is sorted by: the digest's first bytes as a number. */
struct kw__pile_place {
    uint64_t start;
    uint32_t at;
};

/* False without memory. Deinit it also then. */
KW_MUST_USE bool kw__pile_init(struct kw__pile *pile);
void kw__pile_deinit(struct kw__pile *pile);
/* False when the pile is full. The digest is of KW__PILE_DIGEST_SIZE bytes. */
KW_MUST_USE bool kw__pile_add(struct kw__pile *pile, struct kw_bytes digest, const struct kw_id *id);
/* Takes out what came last, but for the first `count`. */
void kw__pile_cut(struct kw__pile *pile, size_t count);
void kw__pile_clear(struct kw__pile *pile);
/*
 * Of the first `count` entries the one whose digest was its row's after that commit (UINT64_MAX: after all so far);
 * NULL when there is none.
 */
struct kw__pile_entry *kw__pile_find(const struct kw__pile *pile, struct kw_bytes digest, size_t count,
                                     uint64_t sequence);
/* All places, by the first bytes of their digests. There is room for pile->count. */
void kw__pile_sort(const struct kw__pile *pile, struct kw__pile_place *places_out);

#endif
