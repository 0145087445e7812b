/*
 * The sealer: a thread that chains the lines of the audit log (core/audit.h) soon after they were committed, so that
 * no change waits for it. It reads what is not sealed yet in the order of the log, reckons the links, and hands the
 * seals to the writer, with the new heads of the chains, as one batch of the store. So whatever ends the process, a
 * line is sealed with its head or not at all, and the next life goes on where this one stopped.
 *
 * Now and then it has the chains signed (checkpoints.h).
 *
 * The head of a project's chain is the setting audit.head.PROJECT. The sealer trusts what it finds: what somebody did
 * to heads or seals, a proof says.
 */
#ifndef KW_ENGINE_SEALER_H
#define KW_ENGINE_SEALER_H

#include "core/audit.h"
#include "engine/internal.h"

#define KW_AUDIT_HEAD_SETTING "audit.head."
#define KW_CHECKPOINT_LINES 1000 /* of a project that are not signed yet: then a checkpoint is made */
#define KW_CHECKPOINT_PAUSE_MS (INT64_C(10) * 60 * 1000) /* or so long after the first of them, or at the end */

struct kw_sealer;

/* Starts the thread. KW_E_MEMORY, KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw__sealer_start(struct kw_engine *engine);
/* Seals what there is, within reason, and ends the thread; while the writer still works. NULL is fine. */
void kw__sealer_stop(struct kw_engine *engine);

/* Hands in a job on the log (audit_jobs.h), which the thread does once all is sealed; without one `done` is called
 * with TOO_BUSY. */
void kw__sealer_submit(struct kw_engine *engine, struct kw_op *op);
/* The same by hand: seals, then does it. Not beside a thread; `done` is not called. Returns op->status. */
KW_MUST_USE enum kw_status kw_engine_audit_job(struct kw_engine *engine, struct kw_op *op);

/* One round by hand: seals and signs all that is committed. Not beside a thread. Fails as the store does. */
KW_MUST_USE enum kw_status kw_engine_seal(struct kw_engine *engine);

/* What of a row of the log is chained and shown. Borrows its texts. */
struct kw_audit_line kw__audit_line_of(const struct kw_store_audit *audit);

/* KW_OP_SEAL, as the writer: commits op->seals. */
void kw__seal_write(struct kw_engine *engine, struct kw_op *op);

#endif
