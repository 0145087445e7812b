/*
 * The bounds that policies are found by, by project and name. A bound is made when the first record names its policy
 * and stays where it is as long as the index lives, so that entries can point to it; what it shows changes with the
 * catalog. Not thread safe but for what kw_policy_bound calls atomic: the index's lock guards it.
 */
#ifndef KW_ENGINE_POLICIES_H
#define KW_ENGINE_POLICIES_H

#include "core/catalog.h"
#include "core/verdict.h"

struct kw__policy_slot;

struct kw_policies {
    struct kw__policy_slot **slots; /* open addressing */
    size_t capacity;                /* a power of two; 0 without any */
    size_t count;
    const struct kw_catalog *catalog; /* borrowed; NULL: there are no policies yet */
};

void kw_policies_deinit(struct kw_policies *policies);
/* Makes it when it is not there; NULL without memory. */
KW_MUST_USE const struct kw_policy_bound *kw_policies_take(struct kw_policies *policies, uint16_t project,
                                                           struct kw_bytes name);
/* When it returns, every bound shows what its policy is in this catalog, and none anything of the one before. */
void kw_policies_set_catalog(struct kw_policies *policies, const struct kw_catalog *catalog);

#endif
