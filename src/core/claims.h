/*
 * Which rate limits and quotas a request of a key has to keep to: the key's own, and of all that it stands under
 * (policy, parent, their policies and parents) those that its own do not keep it within, since they were narrowed after
 * it was made. A limit counts what the key spends, or all keys of its owner or organisation; a parent's, that counts
 * per key, holds for each of its children by itself.
 */
#ifndef KW_CORE_CLAIMS_H
#define KW_CORE_CLAIMS_H

#include "core/quota.h"
#include "core/verdict.h"

#define KW_PER_COUNT (KW_PER_ORG + 1)

/* Names and metrics are borrowed from the entry or policy that it is of. */
struct kw_claim {
    bool is_quota;
    uint8_t per;        /* enum kw_limit_per; claims stand in its order */
    uint8_t second;     /* of a quota that counts what an earlier one of the claims does: the how-manieth beside it */
    uint8_t link;       /* whose it is, as kw_claim_owner reads it; 0: the key's own */
    uint16_t throttles; /* a limit that holds only while this claim, counted from 1, is a quota that is exceeded */
    uint32_t id;        /* stands for where it is from and its name; no two of a request have the same */
    union {
        struct kw_rate_limit limit;
        struct kw_quota quota;
    };
};

/* A key's own, its policy's, and those of each generation above; a quota that throttles brings a limit. */
#define KW_CLAIMS_MAX ((KW_RATE_LIMIT_COUNT_MAX + 2 * KW_QUOTA_COUNT_MAX) * 2 * (KW_FAMILY_DEPTH_MAX + 1))

/* The packed limits of the entry's own record. */
struct kw_list kw_entry_limits(const struct kw_entry *entry);

/* One of the packed limits or quotas of the entry's own record, which has as many and more; of a quota no anchor. */
struct kw_rate_limit kw_entry_limit(const struct kw_entry *entry, size_t at);
struct kw_quota kw_entry_quota(const struct kw_entry *entry, size_t at);

/*
 * Of an entry that was decided to be valid; `has_above` as that decision says: else the bounds are not looked at.
 * Returns how many.
 */
size_t kw_entry_claims(const struct kw_entry *entry, bool has_above, struct kw_claim claims_out[KW_CLAIMS_MAX]);

/* Whose claim it is: an ancestor (NULL: the key itself), or a policy, which is the ancestor's or the key's (empty:
 * none). Right after kw_entry_claims; a policy or parent that has changed since may be gone. */
void kw_claim_owner(const struct kw_entry *entry, const struct kw_claim *claim, const struct kw_entry **bound_out,
                    struct kw_bytes *policy_out);

/* Stands for an owner ("user:1") or an organisation of a project, as a lineage does for a key. */
void kw_account_id(enum kw_limit_per per, struct kw_bytes project, struct kw_bytes name, struct kw_id *id_out);

/* The lineage whose limits are spent from: the first key of the entry's line of rotations. */
struct kw_id kw_entry_lineage(const struct kw_entry *entry);

#endif
