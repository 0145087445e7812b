/*
 * Families: a child key lies within its parent in all that it may do. Here is what is checked when a child is made or
 * changed; what a parent that is narrowed later takes from its children, the verdict sees to (core/rules.h).
 */
#ifndef KW_CORE_FAMILY_H
#define KW_CORE_FAMILY_H

#include <keyward/record.h>

/*
 * KW_OK, or EXCEEDS_PARENT naming the field by which `child` would pass `parent`: scopes, resources, expiry, addresses,
 * regions, rate limits, quotas, environment. Rules on places need not be repeated: a child without any stands under its
 * parent's.
 */
KW_MUST_USE enum kw_status kw_family_admits(const struct kw_record *parent, const struct kw_record *child,
                                            struct kw_error *error_out);

/*
 * NULL when `inner` may be used from no place that `outer` may not be used from, by their own rules on addresses and
 * regions; else the name of the field that would let it.
 */
const char *kw_places_beyond(const struct kw_record *inner, const struct kw_record *outer);

#endif
