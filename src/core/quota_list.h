/*
 * Quotas as a record keeps them, when one set of them lies within another, and how whoever keeps to them reads them.
 * What is spent of them is core/quota.h's.
 */
#ifndef KW_CORE_QUOTA_LIST_H
#define KW_CORE_QUOTA_LIST_H

#include "base/memory.h"
#include "core/quota.h"

#define KW_QUOTA_PACKED_MAX (27 + KW_METRIC_MAX + KW_QUOTA_NAME_MAX)

/* a-z, then a-z, 0-9, '_', '.' and '-': KW_METRIC_MAX in all. */
KW_MUST_USE bool kw_metric_valid(struct kw_bytes metric);

/* "block", "warn", "throttle". */
const char *kw_quota_exceeded_name(enum kw_quota_exceeded on_exceeded);

/* The rule's own, or "requests". */
struct kw_bytes kw_quota_metric(const struct kw_quota_rule *rule);

/* KW_OK, or INVALID_FIELD or DUPLICATE_FIELD under the name `field`. Whether a project has the metric is not asked. */
KW_MUST_USE enum kw_status kw_quotas_check(const struct kw_quota_rule *rules, size_t count, const char *field,
                                           struct kw_error *error_out);

/* Sorted by name, of quotas that passed the check. False without memory. */
KW_MUST_USE bool kw_quotas_pack(struct kw_arena *arena, const struct kw_quota_rule *rules, size_t count,
                                struct kw_list *list_out);

/* True when the list is one that packing makes. */
KW_MUST_USE bool kw_quotas_valid(const struct kw_list *list);

/*
 * The next of packed quotas, as it is kept to: fields are of fixed size, for verifications. `born_ms` is when the
 * line's first key was made (kw_id_time_ms of its id). Name and metric are borrowed. False when nothing is left.
 */
bool kw_quotas_next(struct kw_bytes *packed, int64_t born_ms, struct kw_quota *quota_out);

/*
 * True when whatever keeps to the quotas of `inner` keeps to each of `outer` too. For each of these there must be one
 * of `inner` that holds by itself: of the same metric and anchor, whose spending includes that of the other
 * (kw_limit_per_within), which blocks, or throttles to no more where the other throttles; of the same period and no
 * larger, or of a longer period and no larger. A week can lie in two months or years: against a week these count
 * twice. What only warns bounds nothing. Quotas of `inner` are not put together.
 */
bool kw_quotas_within(const struct kw_list *inner, const struct kw_list *outer);

#endif
