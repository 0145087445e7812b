/*
 * What the writer does for the ledger: whatever must outlive a crash is written down before it is spent. Of a limit
 * with a long window the store has a note of its state, and of a reserve beyond it; of a quota, what is reserved in its
 * period. A life that ended badly counts as having spent all its reserves; one that ended well has left exact notes.
 *
 * The settings `ledger.running` (a life that spends) and `ledger.clean` (the last that ended well, and when) tell them
 * apart. They are written with the first reserve of a life, and with what it leaves at its end.
 */
#ifndef KW_ENGINE_FUNDS_H
#define KW_ENGINE_FUNDS_H

#include "engine/internal.h"

/* Before anything is spent: what the life before has left. Fails with the error set. */
KW_MUST_USE enum kw_status kw__funds_begin(struct kw_engine *engine, struct kw_error *error_out);

/* As the writer: does a chain of KW_OP_FUND, and hands them back. */
void kw__funds_write(struct kw_engine *engine, struct kw_op *chain);

/* As the writer: fills up the reserves that verifications have found low. */
void kw__funds_fill(struct kw_engine *engine);

/* As the writer, after each sweep of the ledger: gives back what it has set aside. */
void kw__funds_give_back(struct kw_engine *engine);

/* As the writer, now and then: removes some rows of periods that are over, and notes that say nothing any more. */
void kw__funds_prune(struct kw_engine *engine);

/* Of the row of a limit ('r') or a quota ('q'). No bytes: no memory. */
struct kw_bytes kw__fund_name(struct kw_arena *arena, char kind, uint32_t claim);
/* Copies what claims borrow from records, so that they are good beyond the read section. False without memory. */
KW_MUST_USE bool kw__fund_keep_names(struct kw_arena *arena, struct kw_claim *claims, size_t count);
/* A limit's state in bytes, as a note of this life. No bytes: no memory. */
struct kw_bytes kw__fund_note(struct kw_engine *engine, struct kw_bytes state);
/* The state in a row's note, and whose it is. No bytes: there is none. */
struct kw_bytes kw__fund_note_read(const struct kw_store_reservation *row, int64_t *life_ms_out);
/* Reads the note that a limit of an account goes by, if there is one, into a want. KW_E_MEMORY, or as the store. */
KW_MUST_USE enum kw_status kw__fund_find_note(struct kw_engine *engine, struct kw_arena *arena,
                                              const struct kw_id *account, uint32_t claim, struct kw_want *want);
/* The first reserve of a life says that it spends: with it, or before. False without memory. */
KW_MUST_USE bool kw__fund_mark(struct kw_engine *engine, struct kw_store_batch *batch);

/* The key whose use is told of. */
struct kw_told_key {
    struct kw_id id;
    uint16_t project;
    struct kw_digest digest; /* what the index finds it by */
};

/*
 * Adds an event (`key.quota.warning`, `key.quota.exceeded`) for each quota of a charge whose wants say that a mark was
 * reached: the highest of them is told of, the others are below it. False without memory.
 */
KW_MUST_USE bool kw__fund_tell(struct kw_engine *engine, const struct kw_told_key *key, const struct kw_charge *charge,
                               const struct kw_want *wants, struct kw_store_batch *batch);

/* As the writer, at the end, when nobody spends any more. Where the store fails, the next life takes it for a crash. */
void kw__funds_leave(struct kw_engine *engine);

#endif
