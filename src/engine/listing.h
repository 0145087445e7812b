/*
 * Lists and counts of keys, on a reader. A text, and the status that a verification would find, are in no index of the
 * store: they are looked for row by row, the status with what the engine's index says of the ancestors.
 */
#ifndef KW_ENGINE_LISTING_H
#define KW_ENGINE_LISTING_H

#include "engine/internal.h"

KW_MUST_USE enum kw_status kw__run_list(struct kw_engine *engine, struct kw_op *op);
KW_MUST_USE enum kw_status kw__run_count(struct kw_engine *engine, struct kw_op *op);

#endif
