/*
 * The bounds that entries stand under, by the id of a parent's lineage. A bound is made when somebody
 * first needs it and stays where it is as long as the index lives, so that entries can point to it; what it points to
 * changes. Not thread safe but for what kw_bound calls atomic: the index's lock guards it.
 */
#ifndef KW_ENGINE_BOUNDS_H
#define KW_ENGINE_BOUNDS_H

#include "core/verdict.h"
#include "engine/pool.h"

struct kw_bounds {
    struct kw_bound **slots; /* open addressing */
    size_t capacity;         /* a power of two; 0 without any */
    size_t count;
    struct kw_pool pool; /* of the bounds themselves: each has a cache line of its own */
};

void kw_bounds_deinit(struct kw_bounds *bounds);
/* NULL when nobody stands under it. */
struct kw_bound *kw_bounds_find(const struct kw_bounds *bounds, const struct kw_id *id);
/* Makes it when it is not there; NULL without memory. */
KW_MUST_USE struct kw_bound *kw_bounds_take(struct kw_bounds *bounds, const struct kw_id *id);

#endif
