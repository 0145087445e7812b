/*
 * What the proof of a log and its export share (audit_prove.c, audit_copy.c): where it begins, and what is signed of
 * its places. Both go through the log in pieces, between which lines are added, sealed and signed.
 */
#ifndef KW_ENGINE_AUDIT_PROVE_H
#define KW_ENGINE_AUDIT_PROVE_H

#include "engine/audit_read.h"
#include "engine/checkpoints.h"

/* Checkpoints of the places that a page of lines may have, and the next one behind them. */
struct kw__known {
    struct kw_checkpoint items[KW_STORE_LIST_MAX + 1]; /* without their project */
    size_t count;
};

/*
 * Where the log begins and, of a proof, where its chain ends as the store says. Checkpoints that are made from now on
 * are not looked at, since their lines may not be seen any more as they are.
 */
KW_MUST_USE enum kw_status kw__audit_begin(struct kw_engine *engine, struct kw_audit_query *query,
                                           struct kw_bytes project);
/* What this engine's seed has signed of places behind `place`, or anybody's where the query takes that. Fails as the
 * store, or with KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__audit_know(struct kw_engine *engine, struct kw_audit_query *query,
                                          struct kw_bytes project, uint64_t place, struct kw__known *known_out);

/* KW_AUDIT_VERIFY and KW_AUDIT_CHECKPOINTS. */
KW_MUST_USE enum kw_status kw__audit_prove(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project);
KW_MUST_USE enum kw_status kw__audit_checkpoints(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project);
/* KW_AUDIT_EXPORT. */
KW_MUST_USE enum kw_status kw__audit_copy(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project);

/* "-7" or "7", as the cursors of lists are. */
void kw__audit_write_cursor(struct kw_json_writer *json, bool is_back, uint64_t last);

#endif
