/*
 * Use of more keys than one write can add to their counts is deferred: what was gathered is kept in the store as it is,
 * in pieces that cost little more than their bytes (usage_defer.c), and is added to the counts afterwards, piece by
 * piece (usage_settle.c). So however many keys are in use, what a crash may lose is no older than a second. A key's use
 * is in pieces of the same part, as a rule: of the pieces of a part that wait, what belongs together is added up first,
 * and its rows are written once. A piece is removed in the transaction that adds it.
 *
 * A piece is a byte for its form, then entries, each behind a byte for its kind. Numbers are in LEB128.
 */
#ifndef KW_ENGINE_USAGE_DEFER_H
#define KW_ENGINE_USAGE_DEFER_H

#include "engine/usage_rows.h"
#include "engine/usage_table.h"

#define KW__DEFER_FORM 1
enum kw__defer_kind {
    KW__DEFER_PROJECT = 1, /* a size, a name: what follows is the project's alone */
    KW__DEFER_KEY,         /* 16 bytes: what follows is that key's, of the project before it */
    KW__DEFER_USE,         /* what a slot says: hour, valid, cost, at, flags, and what these tell of */
    KW__DEFER_COUNT,       /* a row: dimension, hour, amount, a size, a value */
};
enum {
    KW__DEFER_NETWORKS = 1 << 0,    /* how many had an address, and their networks' marks */
    KW__DEFER_LOST_SCOPES = 1 << 1, /* nothing more */
    KW__DEFER_PLACE = 1 << 2,       /* a size and a region */
    KW__DEFER_ADDRESS = 1 << 3,     /* 16 bytes */
};
#define KW__DEFER_PARTS 1024 /* of keys; one more is that of projects */
#define KW__DEFER_HEAD_MAX (1 + 1 + 1 + KW_PROJECT_MAX + 1 + 16)
#define KW__DEFER_ENTRY_MAX (16 + 7 * 10 + KW_STORE_USAGE_VALUE_MAX)
#define KW__DEFER_ROWS_MAX (KW__USE_ROWS_MAX / 2) /* that one piece may become */
#define KW__DEFER_KEYS_MAX (KW__USES_MAX / 2)
#define KW__DEFER_BYTES ((size_t)4 << 20) /* written, or read, at once */
#define KW__DEFER_PIECES ((size_t)4096)
#define KW__DEFER_NONE UINT32_MAX

/* One key of the pieces that are being added. */
struct kw__settled_key {
    struct kw_id id;
    struct kw__use_subjects subjects; /* the project's alone, where the key is gone */
    bool is_there;                    /* else it counts for nobody */
    struct kw_store_use use;          /* the latest; of none at_ms is 0 */
};

struct kw__deferral {
    uint8_t bytes[KW__DEFER_BYTES]; /* of the pieces */
    struct kw_store_deferred pieces[KW__DEFER_PIECES];
    size_t size, count;
    unsigned part_shift;
    /* Of the table that is being deferred: its slots in order of their parts, and the cells of each. */
    uint32_t order[KW__USAGE_SLOTS];
    uint32_t first_cell[KW__USAGE_SLOTS + 1]; /* the last: of projects */
    uint32_t next_cell[KW__USAGE_CELLS];
    /* Of the pieces that are being settled. */
    struct kw__settled_key keys[KW__USES_MAX];
    size_t key_count;
    uint16_t key_index[2 * KW__USES_MAX]; /* one more than a key's number; 0: none */
};

/* Whether there is something to be settled. */
static inline bool kw__usage_has_deferred(const struct kw_usage *usage)
{
    return usage->deferred > 0 || !usage->knows_deferred;
}

/* Sorts the table that is to be written. `writing` is held, as for all below. */
void kw__defer_begin(struct kw_usage *usage, const struct kw__use_table *table);
/* Keeps the next part of it in the store, and says in `slot_at` and `cell_at` of `usage` how far it came, where it
 * succeeded. `more_out`: it is not all. `codes_out`: how many verifications it is of. Fails as the store does. */
KW_MUST_USE enum kw_status kw__defer_part(struct kw_engine *engine, const struct kw__use_table *table, bool *more_out,
                                          uint64_t *codes_out);
/*
 * Adds pieces of the first part from `*part` on that has any, as many as one write may hold, and says where to go on.
 * `found_out`: there were some. Fails as the store does.
 */
KW_MUST_USE enum kw_status kw__settle_some(struct kw_engine *engine, uint32_t *part, bool *found_out);

/* Adds to the rows what a slot says of a key that is used, but for its latest use. */
KW_MUST_USE enum kw_status kw__use_rows_add_slot(struct kw_engine *engine, const struct kw__use_subjects *subjects,
                                                 const struct kw__use_slot *slot, const struct kw__use_place *place);
/* An amount as it is kept; what is beyond stays at the largest. */
int64_t kw__use_amount_of(uint64_t cost);

#endif
