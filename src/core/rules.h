/*
 * The rules of a verdict, one function each. A rule looks at the key and at every bound that the key stands under; the
 * first of them to refuse is named. verdict.c puts the rules in their order; nobody else asks them.
 */
#ifndef KW_CORE_RULES_H
#define KW_CORE_RULES_H

#include "core/verdict.h"

/* One of these speaks against a key; without any, only times can. */
#define KW__ENTRY_BAD \
    (KW_ENTRY_REVOKED | KW_ENTRY_DISABLED | KW_ENTRY_LAPSED | KW_ENTRY_ERASED | KW_ENTRY_SEEN_LAPSED | \
     KW_ENTRY_SEEN_ENDED)

/* The key, its policy, its parent, that one's policy, and so on to the first parent. */
#define KW__LINKS_MAX (2 * (KW_FAMILY_DEPTH_MAX + 1))

struct kw__link {
    struct kw_entry *entry;
    const struct kw_policy_bound *bound; /* NULL: the key itself speaks; else the policy that it names */
    const struct kw_policy *policy;      /* NULL with a bound: there is none of that name */
};

struct kw__hearing {
    const struct kw_question *question;
    int64_t now_ms;
    struct kw__link links[KW__LINKS_MAX];
    size_t link_count;
    bool is_open; /* a bound is not known: nothing is for sure */
};

void kw__hear(struct kw__hearing *hearing, struct kw_entry *entry, const struct kw_question *question, int64_t now_ms);

/* Says in the decision that this link refuses. True. */
bool kw__refuse(const struct kw__hearing *hearing, size_t at, enum kw_code code, struct kw_decision *decision);

/* True when the rule refuses; then the decision says everything. */
bool kw__refuses_revoked(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_expired(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_disabled(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_address(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_region(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_environment(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_policy(const struct kw__hearing *hearing, struct kw_decision *decision);
bool kw__refuses_scopes(const struct kw__hearing *hearing, struct kw_decision *decision);

/* Whether there is anything for the rule to refuse by. */
bool kw__has_expiry(const struct kw__hearing *hearing);
bool kw__has_address_rule(const struct kw__hearing *hearing);
bool kw__has_region_rule(const struct kw__hearing *hearing);
bool kw__asks_environment(const struct kw__hearing *hearing);
bool kw__has_policy(const struct kw__hearing *hearing);
bool kw__asks_scopes(const struct kw__hearing *hearing);

struct kw_list kw__scopes_of(const struct kw_entry *entry);
struct kw_list kw__resources_of(const struct kw_entry *entry);

/* An empty environment is any. */
bool kw__is_of_environment(const struct kw_entry *entry, struct kw_bytes env);

/* False when a rule of this one entry on addresses or regions refuses. */
bool kw__is_in_place(const struct kw_entry *entry, const struct kw_question *question);

enum {
    KW__WITHIN_PLACES = 1 << 0,
    KW__WITHIN_AUTHORITY = 1 << 1,
    KW__WITHIN_POLICY = 1 << 2, /* but for what it may do */
    KW__WITHIN_POLICY_AUTHORITY = 1 << 3,
    KW__WITHIN_LIMITS = 1 << 4, /* rate limits and quotas, as the next */
    KW__WITHIN_POLICY_LIMITS = 1 << 5,
    KW__WITHIN_BITS = 6, /* how many there are */
    KW__WITHIN_ALL = (1 << KW__WITHIN_BITS) - 1,
};

/* What of `inner` lies within its parent `outer`, whatever is asked: KW__WITHIN_… bits. */
unsigned kw__within(const struct kw_entry *inner, const struct kw_entry *outer);
/* And what of it within a policy: so that the policy cannot refuse before the key's own expiry does. */
unsigned kw__within_policy(const struct kw_entry *entry, const struct kw_policy *policy);

/* True when this one entry holds all that is asked for (requirements apart). */
bool kw__holds_what_is_asked(const struct kw_entry *entry, const struct kw_question *question);
/* The same of what a policy leaves; any scope on a resource is not looked for. */
bool kw__leaves_what_is_asked(const struct kw_policy *policy, const struct kw_question *question);

#endif
