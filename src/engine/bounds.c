#include "engine/bounds.h"

#include "base/memory.h"
#include "core/id.h"

#define CAPACITY_MIN 64

void kw_bounds_deinit(struct kw_bounds *bounds)
{
    kw_free(bounds->slots);
    kw_pool_deinit(&bounds->pool);
    *bounds = (struct kw_bounds){.count = 0};
}

/* The slot that holds the id, or the empty one where it belongs. */
static struct kw_bound **find_slot(const struct kw_bounds *bounds, const struct kw_id *id)
{
    size_t at = kw_id_hash(id) & (bounds->capacity - 1);
    while (bounds->slots[at] != NULL && !kw_id_equal(&bounds->slots[at]->id, id)) {
        at = (at + 1) & (bounds->capacity - 1);
    }
    return &bounds->slots[at];
}

struct kw_bound *kw_bounds_find(const struct kw_bounds *bounds, const struct kw_id *id)
{
    return bounds->capacity == 0 ? NULL : *find_slot(bounds, id);
}

static bool grow(struct kw_bounds *bounds)
{
    struct kw_bounds bigger = {.capacity = bounds->capacity == 0 ? CAPACITY_MIN : bounds->capacity * 2,
                               .count = bounds->count,
                               .pool = bounds->pool};
    bigger.slots = kw_alloc(bigger.capacity, sizeof(struct kw_bound *));
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < bounds->capacity; i++) {
        if (bounds->slots[i] != NULL) {
            *find_slot(&bigger, &bounds->slots[i]->id) = bounds->slots[i];
        }
    }
    kw_free(bounds->slots);
    *bounds = bigger;
    return true;
}

struct kw_bound *kw_bounds_take(struct kw_bounds *bounds, const struct kw_id *id)
{
    struct kw_bound *found = kw_bounds_find(bounds, id);
    if (found != NULL) {
        return found;
    }
    if (2 * (bounds->count + 1) > bounds->capacity && !grow(bounds)) {
        return NULL;
    }
    struct kw_bound *bound = kw_pool_take(&bounds->pool, sizeof *bound);
    if (bound == NULL) {
        return NULL;
    }
    *bound = (struct kw_bound){.id = *id, .good_until_ms = INT64_MIN};
    *find_slot(bounds, id) = bound;
    bounds->count++;
    return bound;
}
