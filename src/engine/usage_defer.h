/*
 * Use of more keys than one write can add to their counts is deferred: what was gathered is kept in the store as it is,
 * in pieces that cost little more than their bytes (usage_pieces.h), and is added to the counts afterwards, piece by
 * piece (usage_settle.c). So however many keys are in use, what a crash may lose is no older than a second. A key's use
 * is in pieces of the same part, as a rule: of the pieces of a part that wait, what belongs together is added up first,
 * and its rows are written once. A piece is removed in the transaction that adds it.
 */
#ifndef KW_ENGINE_USAGE_DEFER_H
#define KW_ENGINE_USAGE_DEFER_H

#include "engine/usage_pieces.h"

/* One key of the pieces that are being added. */
struct kw__settled_key {
    struct kw_id id;
    struct kw__use_subjects subjects; /* the project's alone, where the key is gone */
    bool is_there;                    /* else it counts for nobody */
    struct kw_store_use use;          /* the latest; of none at_ms is 0 */
};

struct kw__deferral {
    struct kw__pieces pieces; /* that are written or settled, one after the other */
    struct kw__pieces swept;  /* what entries of the index have counted, which goes to the store as it is */
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
