/*
 * Policies: what a key may be at most, and who may make one under it. A policy is read from its document (document.h);
 * whether a record keeps within it is decided here and nowhere else.
 */
#ifndef KW_CORE_POLICY_H
#define KW_CORE_POLICY_H

#include "core/project.h"
#include <keyward/document.h>

struct kw_policy {
    struct kw_bytes name;
    bool bounds_authority;                   /* scopes or resources are given: no key may do more than these together */
    struct kw_list scopes, resources;        /* as in a record */
    int64_t max_ttl_ms;                      /* 0: any */
    struct kw_list rate_limits;              /* as in a record: a key must keep to each of them */
    struct kw_list quotas;                   /* the same of quotas */
    struct kw_default_limits default_limits; /* both again, for a key that names none */
    bool require_ip;                         /* a key must name the addresses that it may be used from */
    int64_t max_resources;                   /* -1: any number */
    const struct kw_bytes *environments;     /* none: any */
    size_t environment_count;
    const struct kw_bytes *creators; /* ids of management keys; none: any */
    size_t creator_count;
};

/* By what a record can go beyond a policy: bits. */
enum kw_policy_excess {
    KW_EXCESS_ENV = 1 << 0,
    KW_EXCESS_EXPIRY = 1 << 1,
    KW_EXCESS_ADDRESSES = 1 << 2, /* it names none */
    KW_EXCESS_RESOURCE_COUNT = 1 << 3,
    KW_EXCESS_SCOPES = 1 << 4,
    KW_EXCESS_RESOURCES = 1 << 5,
    KW_EXCESS_RATE_LIMITS = 1 << 6,
    KW_EXCESS_QUOTAS = 1 << 7,
    KW_EXCESS_COUNT = 8, /* how many there are */
};

/* The record's field in which the excess of that number (0: the first bit) lies: "env", "expiresAt" … */
const char *kw_policy_excess_field(size_t number);

/* By what the record goes beyond the policy; its life is reckoned from `born_ms`. */
unsigned kw_policy_excess(const struct kw_policy *policy, const struct kw_record *record, int64_t born_ms);

/* Whether a key that was born then has outlived what the policy allows. */
bool kw_policy_has_outlived(const struct kw_policy *policy, int64_t born_ms, int64_t now_ms);

/* In what a policy allows less than it did before, as bits of an excess. `before` NULL: there was none. */
unsigned kw_policy_tightened(const struct kw_policy *before, const struct kw_policy *after);

/* KW_OK when the record keeps within the policy; POLICY_VIOLATION names the field of the record that does not. */
KW_MUST_USE enum kw_status kw_policy_admits(const struct kw_policy *policy, const struct kw_record *record,
                                            int64_t born_ms, struct kw_error *error_out);

/* Whether `actor` ("key:key_…", "operator") may make keys under the policy. The operator may. POLICY_VIOLATION. */
KW_MUST_USE enum kw_status kw_policy_lets_create(const struct kw_policy *policy, struct kw_bytes actor,
                                                 struct kw_error *error_out);

#endif
