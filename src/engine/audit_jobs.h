/*
 * What is done to lines of the audit log that are sealed: old ones are pruned. It happens on the sealer's thread, which
 * alone goes on with the chains, and by way of the writer, which alone commits.
 */
#ifndef KW_ENGINE_AUDIT_JOBS_H
#define KW_ENGINE_AUDIT_JOBS_H

#include "engine/checkpoints.h"

struct kw_audit_job {
    int64_t before_ms; /* prune: lines up to the first that is of this time or later */
    uint64_t entries;  /* out: how many lines it came to */
};

/* What the writer takes out of the store for a job: a project's lines up to that sequence. */
struct kw__pruning {
    struct kw_bytes project;
    uint64_t sequence, removed; /* `removed` is set */
};

/*
 * KW_OP_AUDIT_PRUNE, as the sealer, once all is sealed. A start is signed for the last line that goes, and committed
 * with a line of the log that says so, before any line goes; what a crash leaves of them goes with the next pruning.
 * Sets op->status and the error: INVALID_FIELD where nothing can be signed.
 */
void kw__audit_job(struct kw_engine *engine, struct kw_op *op);

/* Prunes every project that has an `auditRetention`, as that says. Fails as the store does. */
KW_MUST_USE enum kw_status kw__audit_keep_retentions(struct kw_engine *engine);

#endif
