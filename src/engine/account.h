/*
 * The account of a change: its line in the audit log and its event, which are committed with the change or not at all
 * (DESIGN, invariant 7). Everything is made in the writer's arena, on its thread.
 */
#ifndef KW_ENGINE_ACCOUNT_H
#define KW_ENGINE_ACCOUNT_H

#include "engine/writer.h"

/*
 * Fills in who did it and under which circumstances: what the caller says, what is known of the call, what the
 * project of the line gives. The line's project and action are set before. KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw__account_who(struct kw_engine *engine, const struct kw_op *op,
                                           struct kw_store_audit *audit);

/* The line and the event of one change to a key. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__account_work(struct kw_engine *engine, struct kw_work *work);

#endif
