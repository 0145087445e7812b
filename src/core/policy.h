/*
 * Policies: what a key may be at most, and who may make one under it. A policy is read from its document (document.h);
 * whether a record keeps within it is decided here and nowhere else.
 */
#ifndef KW_CORE_POLICY_H
#define KW_CORE_POLICY_H

#include <keyward/document.h>

struct kw_policy {
    struct kw_bytes name;
    bool bounds_authority;               /* scopes or resources are given: no key may do more than these together */
    struct kw_list scopes, resources;    /* as in a record */
    int64_t max_ttl_ms;                  /* 0: any */
    bool require_ip;                     /* a key must name the addresses that it may be used from */
    int64_t max_resources;               /* -1: any number */
    const struct kw_bytes *environments; /* none: any */
    size_t environment_count;
    const struct kw_bytes *creators; /* ids of management keys; none: any */
    size_t creator_count;
};

/*
 * KW_OK when the record keeps within the policy as of `now_ms`; POLICY_VIOLATION names the field of the record that
 * does not.
 */
KW_MUST_USE enum kw_status kw_policy_admits(const struct kw_policy *policy, const struct kw_record *record,
                                            int64_t now_ms, struct kw_error *error_out);

/* Whether `actor` ("key:key_…", "operator") may make keys under the policy. The operator may. POLICY_VIOLATION. */
KW_MUST_USE enum kw_status kw_policy_lets_create(const struct kw_policy *policy, struct kw_bytes actor,
                                                 struct kw_error *error_out);

#endif
