/*
 * Rate limits as a record keeps them, and when one set of them lies within another.
 */
#ifndef KW_CORE_LIMIT_LIST_H
#define KW_CORE_LIMIT_LIST_H

#include "base/memory.h"
#include <keyward/record.h>

#define KW_RATE_LIMIT_PACKED_MAX (KW_RATE_LIMIT_NAME_MAX + 13)

/* "key", "owner", "org". */
const char *kw_limit_per_name(enum kw_limit_per per);

/*
 * Whether what is counted per `inner` includes, for each key, all that is counted per `outer`: what an owner or an
 * organisation may spend bounds each of its keys, and no key's bounds an owner.
 */
static inline bool kw_limit_per_within(enum kw_limit_per inner, enum kw_limit_per outer)
{
    return inner == outer || outer == KW_PER_KEY;
}

/* KW_OK, or INVALID_FIELD or DUPLICATE_FIELD under the name `field`. */
KW_MUST_USE enum kw_status kw_rate_limits_check(const struct kw_rate_limit *limits, size_t count, const char *field,
                                                struct kw_error *error_out);

/* Sorted by name, of limits that passed the check. False without memory. */
KW_MUST_USE bool kw_rate_limits_pack(struct kw_arena *arena, const struct kw_rate_limit *limits, size_t count,
                                     struct kw_list *list_out);

/* True when the list is one that packing makes. */
KW_MUST_USE bool kw_rate_limits_valid(const struct kw_list *list);

/*
 * The next of packed limits, whose bytes are trusted: those of a record were looked at when it was decoded. The number
 * stands for the name: kw__claim_hash of it, from KW__CLAIM_HASH_BEGIN on, its upper half. False when nothing is left.
 */
bool kw__rate_limits_next_packed(struct kw_bytes *packed, struct kw_rate_limit *limit_out, uint32_t *number_out);
#define KW__CLAIM_HASH_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t kw__claim_hash(uint64_t hash, struct kw_bytes bytes);

/* Whether who keeps to `inner` keeps to `outer` too, whosever spending the two count. */
bool kw_rate_limit_implies(const struct kw_rate_limit *inner, const struct kw_rate_limit *outer);

/*
 * True when whatever keeps to the limits of `inner` keeps to each of `outer` too: for each of these there is one of
 * `inner` that admits no more in a window of the outer's length, which is its requests times the windows of its own
 * that it takes to cover that length, and whose spending includes that of the outer (kw_limit_per_within). So 10 a
 * minute lies within 100 a minute, and within 10 a second, and 1 a second within 60 a minute; 2 a second does not.
 * Limits of `inner` are not put together.
 */
bool kw_rate_limits_within(const struct kw_list *inner, const struct kw_list *outer);

#endif
