/*
 * Which rate limits a request of a key has to keep to: the key's own, and of all that it stands under (policy, parent,
 * their policies and parents) those that its own do not keep it within, since they were narrowed after it was made.
 * What a key spends is its own all the same: a parent's limit holds for each of its children by itself.
 */
#ifndef KW_CORE_CLAIMS_H
#define KW_CORE_CLAIMS_H

#include "core/verdict.h"

struct kw_claim {
    struct kw_rate_limit limit; /* the name is borrowed from the entry or policy that it is of */
    uint32_t id;                /* stands for where the limit is from and its name; no two of a request have the same */
};

/* A key's own, its policy's, and those of each generation above. */
#define KW_CLAIMS_MAX (KW_RATE_LIMIT_COUNT_MAX * 2 * (KW_FAMILY_DEPTH_MAX + 1))

/* The packed limits of the entry's own record. */
struct kw_list kw_entry_limits(const struct kw_entry *entry);

/*
 * Of an entry that was decided to be valid; `has_above` as that decision says: else the bounds are not looked at.
 * Returns how many.
 */
size_t kw_entry_claims(const struct kw_entry *entry, bool has_above, struct kw_claim claims_out[KW_CLAIMS_MAX]);

/* The lineage whose limits are spent from: the first key of the entry's line of rotations. */
struct kw_id kw_entry_lineage(const struct kw_entry *entry);

#endif
