#include "engine/policies.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <string.h>

#define CAPACITY_MIN 16

struct kw__policy_slot {
    struct kw_policy_bound bound;
    uint16_t project;
    uint8_t name[];
};

void kw_policies_deinit(struct kw_policies *policies)
{
    for (size_t i = 0; i < policies->capacity; i++) {
        kw_free(policies->slots[i]);
    }
    kw_free(policies->slots);
    *policies = (struct kw_policies){.count = 0};
}

/* FNV-1a: few names, chosen by operators. */
static uint64_t hash_of(uint16_t project, struct kw_bytes name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ project;
    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ name.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* The slot of that policy, or the empty one where it belongs. */
static struct kw__policy_slot **find_slot(const struct kw_policies *policies, uint16_t project, struct kw_bytes name)
{
    size_t at = hash_of(project, name) & (policies->capacity - 1);
    for (struct kw__policy_slot *slot = policies->slots[at]; slot != NULL; slot = policies->slots[at]) {
        if (slot->project == project && kw_bytes_equal(slot->bound.name, name)) {
            break;
        }
        at = (at + 1) & (policies->capacity - 1);
    }
    return &policies->slots[at];
}

static bool grow(struct kw_policies *policies)
{
    struct kw_policies bigger = *policies;
    bigger.capacity = policies->capacity == 0 ? CAPACITY_MIN : policies->capacity * 2;
    bigger.slots = kw_alloc(bigger.capacity, sizeof(struct kw__policy_slot *));
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < policies->capacity; i++) {
        struct kw__policy_slot *slot = policies->slots[i];
        if (slot != NULL) {
            *find_slot(&bigger, slot->project, slot->bound.name) = slot;
        }
    }
    kw_free(policies->slots);
    *policies = bigger;
    return true;
}

static void show(struct kw__policy_slot *slot, const struct kw_catalog *catalog)
{
    const struct kw_project *project = catalog == NULL ? NULL : kw_project_by_number(catalog, slot->project);
    const struct kw_policy *policy =
        project == NULL ? NULL : kw_policy_by_name(catalog, project->name, slot->bound.name);
    if (policy != slot->bound.policy) {
        __atomic_store_n(&slot->bound.policy, policy, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&slot->bound.changes, 1, __ATOMIC_SEQ_CST);
    }
}

const struct kw_policy_bound *kw_policies_take(struct kw_policies *policies, uint16_t project, struct kw_bytes name)
{
    struct kw__policy_slot *slot = policies->capacity == 0 ? NULL : *find_slot(policies, project, name);
    if (slot != NULL) {
        return &slot->bound;
    }
    if (2 * (policies->count + 1) > policies->capacity && !grow(policies)) {
        return NULL;
    }
    slot = kw_alloc(1, sizeof *slot + name.size);
    if (slot == NULL) {
        return NULL;
    }
    memcpy(slot->name, name.data, name.size);
    slot->project = project;
    slot->bound.name = kw_bytes_of(slot->name, name.size);
    show(slot, policies->catalog);
    *find_slot(policies, project, name) = slot;
    policies->count++;
    return &slot->bound;
}

void kw_policies_set_catalog(struct kw_policies *policies, const struct kw_catalog *catalog)
{
    policies->catalog = catalog;
    for (size_t i = 0; i < policies->capacity; i++) {
        if (policies->slots[i] != NULL) {
            show(policies->slots[i], catalog);
        }
    }
}
