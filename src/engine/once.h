/*
 * Requests that are to be done once, on their way through the writer: whether one was done already, and what is
 * answered then. A request that was done is written in the batch of its change; what is older than a day is forgotten.
 */
#ifndef KW_ENGINE_ONCE_H
#define KW_ENGINE_ONCE_H

#include "engine/writer.h"

#define KW_ONCE_KEPT_MS (INT64_C(24) * 3600 * 1000)
#define KW_ONCE_PRUNE_MS 60000 /* between two looks for what is too old */
#define KW_ONCE_PRUNED_MAX 256 /* at a tick */

enum kw_once_way {
    KW_ONCE_GO_ON, /* it was not done yet, or need not be looked for */
    KW_ONCE_WAIT,  /* the same request stands earlier in the group, and has not ended */
    KW_ONCE_ENDED, /* it was done, or cannot be: op->status says how it ended */
};

/* Looks for works[index] among what was done. Before anything is decided about it. */
enum kw_once_way kw__once_begin(struct kw_engine *engine, size_t index);

/* Makes work->request of a work that is otherwise complete. Where op->once is there. */
void kw__once_fill(struct kw_work *work);
/* Puts the request into the batch of its work, which is otherwise complete. */
void kw__once_note(struct kw_work *work, struct kw_store_batch *batch);

/* Forgets what is too old, a little of it. The writer's tick. */
void kw__once_prune(struct kw_engine *engine);

#endif
