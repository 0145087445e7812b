/*
 * What is done to lines of the audit log that are sealed: old ones are pruned, and what tells of a person is taken out
 * of them. It happens on the sealer's thread, which
 * alone goes on with the chains, and by way of the writer, which alone commits.
 */
#ifndef KW_ENGINE_AUDIT_JOBS_H
#define KW_ENGINE_AUDIT_JOBS_H

#include "engine/checkpoints.h"

struct kw_audit_job {
    int64_t before_ms;             /* prune: lines up to the first that is of this time or later */
    struct kw_audit_person person; /* erase */
    uint64_t entries;              /* out: how many lines it came to */
};

/* A job on one project, under way. */
struct kw__audit_work {
    struct kw_engine *engine;
    const struct kw_op *op; /* who asks; NULL: nobody does */
    struct kw_bytes project;
    int64_t now_ms;
    struct kw_arena arena;
};

/* Fills in who has it done: the line's actor and context, in the arena. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__audit_write_who(struct kw__audit_work *work, struct kw_store_audit *line);
/* By way of the writer: a batch, or what goes; the other is NULL. Fails as the store does. */
struct kw__pruning;
KW_MUST_USE enum kw_status kw__audit_commit(struct kw_engine *engine, const struct kw_store_batch *batch,
                                            struct kw__pruning *pruning);

/* What the writer takes out of the store for a job: a project's lines up to that sequence. */
struct kw__pruning {
    struct kw_bytes project;
    uint64_t sequence, removed; /* `removed` is set */
};

/*
 * KW_OP_AUDIT_PRUNE and KW_OP_AUDIT_ERASE, as the sealer, once all is sealed. Of pruning: a start is signed for the
 * last line that goes, and committed with a line of the log that says so, before any line goes; what a crash leaves of
 * them goes with the next pruning. Of erasing: the whole log is looked through, and what goes is committed in pieces,
 * each with a line that says so. Sets op->status and the error: INVALID_FIELD where nothing can be signed.
 */
void kw__audit_job(struct kw_engine *engine, struct kw_op *op);

/* What an erasing comes to (audit_erase.c). */
KW_MUST_USE enum kw_status kw__audit_erase_person(struct kw__audit_work *work, const struct kw_audit_person *person,
                                                  uint64_t *entries_out);

/* Prunes every project that has an `auditRetention`, as that says. Fails as the store does. */
KW_MUST_USE enum kw_status kw__audit_keep_retentions(struct kw_engine *engine);

#endif
