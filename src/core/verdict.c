#include "core/verdict.h"

#include "base/time.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/rules.h"
#include "core/schedule.h"

_Static_assert(offsetof(struct kw_entry, scopes_at) < 64, "what a key without scopes is decided by is one cache line");
_Static_assert(sizeof(struct kw_bound) == 64, "what is read of a parent is one cache line");
_Static_assert(offsetof(struct kw_entry, record) <= 84, "entries are what memory is spent on");
_Static_assert((uint64_t)KW_TIME_MS_MAX < KW_ENTRY_NEVER, "times are 48 bits");
_Static_assert(KW_RECORD_MAX + KW__ENTRY_FRONT_MAX <= UINT16_MAX, "places in an entry are 16 bits");
_Static_assert(KW_SCOPE_COUNT_MAX <= UINT8_MAX && KW_RESOURCE_COUNT_MAX <= UINT8_MAX, "counts are 8 bits");
_Static_assert(KW_RATE_LIMIT_COUNT_MAX < 128 && KW_RATE_LIMIT_PACKED_MAX < 128, "their number and sizes are one byte");
_Static_assert(KW_QUOTA_COUNT_MAX < 128 && KW_QUOTA_PACKED_MAX < 128, "as those of quotas are");
_Static_assert(KW_ENV_MAX <= UINT8_MAX, "the size of an environment's name is 8 bits");

size_t kw_entry_size(unsigned marks, size_t encoding_size)
{
    size_t size = offsetof(struct kw_entry, record) + kw__entry_record_at(marks) + encoding_size;
    return size < sizeof(struct kw_entry) ? sizeof(struct kw_entry) : size;
}

static uint8_t flags_of(const struct kw_record *record, bool erased)
{
    unsigned flags = (record->revoked_at_ms != 0 ? KW_ENTRY_REVOKED : 0U) | (record->enabled ? 0U : KW_ENTRY_DISABLED) |
                     (record->lapsed_at_ms != 0 ? KW_ENTRY_LAPSED : 0U) | (erased ? KW_ENTRY_ERASED : 0U) |
                     (record->ends_grace ? KW_ENTRY_ENDS_GRACE : 0U);
    return (uint8_t)flags;
}

unsigned kw_record_marks(const struct kw_record *record)
{
    bool is_limited = record->rate_limits.count != 0 || record->quotas.count != 0;
    bool is_bounded = !kw_id_is_none(&record->parent_id) || record->policy.size != 0;
    return (record->imported ? KW_ENTRY_IMPORTED : 0U) | (record->has_children ? KW_ENTRY_BOUNDS_OTHERS : 0U) |
           (is_limited ? KW_ENTRY_LIMITED : 0U) | (is_limited || record->has_children ? KW_ENTRY_EXTENDED : 0U) |
           (is_bounded ? KW_ENTRY_BOUNDED : 0U);
}

/* When it is good no longer, and yet not revoked. What was done of its schedule stands in its flags. */
static int64_t stop_of(const struct kw_record *record)
{
    int64_t disable_at_ms = record->enabled ? record->schedule.disable_at_ms : 0;
    bool expires_first = record->expires_at_ms != 0 && (disable_at_ms == 0 || record->expires_at_ms < disable_at_ms);
    return expires_first ? record->expires_at_ms : disable_at_ms;
}

static uint64_t time_of(int64_t time_ms)
{
    return time_ms == 0 || time_ms > KW_TIME_MS_MAX ? KW_ENTRY_NEVER : (uint64_t)time_ms & KW_ENTRY_NEVER;
}

/* 0: there is none. */
static uint16_t place_of(struct kw_bytes part, struct kw_bytes encoding, size_t start)
{
    return part.size == 0 ? 0 : (uint16_t)(start + (size_t)(part.data - encoding.data));
}

/* The same bytes may stand in several places, since other keys are named too: any of these will do. */
static uint16_t lineage_place(const struct kw_record *record, struct kw_bytes encoding, size_t start)
{
    if (kw_id_equal(&record->lineage_id, &record->id)) {
        return 0;
    }
    const uint8_t *found =
        memmem(encoding.data, encoding.size, record->lineage_id.bytes, sizeof record->lineage_id.bytes);
    return found == NULL ? 0 : (uint16_t)(start + (size_t)(found - encoding.data));
}

/* From the first to the last field on addresses and regions: their tags stand beside each other. */
static struct kw_bytes rules_of(const struct kw_record *record)
{
    const struct kw_list *lists[] = {&record->allowed_ips, &record->blocked_ips, &record->allowed_regions,
                                     &record->blocked_regions};
    struct kw_bytes rules = {NULL, 0};
    for (size_t i = 0; i < KW_COUNT_OF(lists); i++) {
        if (lists[i]->count == 0) {
            continue;
        }
        const uint8_t *end = lists[i]->packed.data + lists[i]->packed.size;
        if (rules.data == NULL) {
            rules.data = lists[i]->packed.data - 1 - kw__leb128_size(lists[i]->count);
        }
        rules.size = (size_t)(end - rules.data);
    }
    return rules;
}

void kw_entry_make(const struct kw_digest *digest, uint16_t project, bool erased, struct kw_bytes encoding,
                   const struct kw_record *record, struct kw_entry *entry_out)
{
    struct kw_bytes rules = rules_of(record);
    unsigned marks = kw_record_marks(record);
    size_t start = kw__entry_record_at(marks);
    *entry_out = (struct kw_entry){
        .stops_at_ms = time_of(stop_of(record)),
        .ends_at_ms = time_of(kw_record_ends_at(record)),
        .version = record->version,
        .project = project,
        .flags = flags_of(record, erased),
        .env_size = (uint8_t)record->env.size,
        .env_at = place_of(record->env, encoding, start),
        .scopes_at = place_of(record->scopes.packed, encoding, start),
        .scopes_size = (uint16_t)record->scopes.packed.size,
        .resources_at = place_of(record->resources.packed, encoding, start),
        .resources_size = (uint16_t)record->resources.packed.size,
        .record_size = (uint16_t)encoding.size,
        .scope_count = (uint8_t)record->scopes.count,
        .resource_count = (uint8_t)record->resources.count,
        .method = kw_record_digest_method(record),
        .marks = (uint8_t)marks,
        .rules_at = place_of(rules, encoding, start),
        .rules_size = (uint16_t)rules.size,
    };
    memcpy(entry_out->digest, digest->bytes, sizeof entry_out->digest);
    memcpy(entry_out->record + start, encoding.data, encoding.size);
    if (kw_entry_bounds(entry_out) != NULL) {
        *kw_entry_bounds(entry_out) = (struct kw_entry_bounds){.parent = NULL};
    }
    if (kw_entry_has_extra(entry_out)) {
        struct kw_entry_extra *extra = kw_entry_extra(entry_out);
        uint16_t nowhere = (uint16_t)(&extra->zero + 1 - entry_out->record);
        *extra = (struct kw_entry_extra){.limits_at = place_of(record->rate_limits.packed, encoding, start),
                                         .quotas_at = place_of(record->quotas.packed, encoding, start),
                                         .lineage_at = lineage_place(record, encoding, start)};
        extra->limits_at = extra->limits_at == 0 ? nowhere : extra->limits_at;
        extra->quotas_at = extra->quotas_at == 0 ? nowhere : extra->quotas_at;
    }
}

struct kw_list kw_entry_quotas(const struct kw_entry *entry)
{
    struct kw_list quotas = {.count = 0};
    if (!kw_entry_is_limited(entry)) {
        return quotas;
    }
    quotas.packed.data = entry->record + kw_entry_extra(entry)->quotas_at;
    quotas.count = quotas.packed.data[-1]; /* of one byte, as the size of each is */
    for (unsigned i = 0; i < quotas.count; i++) {
        quotas.packed.size += 1U + quotas.packed.data[quotas.packed.size];
    }
    return quotas;
}

enum kw_status kw_entry_build(const struct kw_digest *digest, uint16_t project, bool erased, struct kw_bytes encoding,
                              struct kw_entry *entry_out, struct kw_record *record_out)
{
    enum kw_status status = kw_record_decode(encoding, record_out);
    if (status == KW_OK) {
        kw_entry_make(digest, project, erased, encoding, record_out, entry_out);
    }
    return status;
}

void kw_bound_show(struct kw_bound *bound, struct kw_entry *entry)
{
    /* Only an entry that knows of its bound can be told off in both places. */
    bool is_bad = entry == NULL || !kw_entry_bounds_others(entry) || (kw_entry_flags(entry) & KW__ENTRY_BAD) != 0;
    int64_t good_until_ms = INT64_MIN;
    if (!is_bad) {
        int64_t ends_at_ms = kw_entry_ends_at_ms(entry);
        good_until_ms = kw_entry_stops_at_ms(entry);
        good_until_ms = ends_at_ms < good_until_ms ? ends_at_ms : good_until_ms;
    }
    __atomic_fetch_add(&bound->changes, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&bound->good_until_ms, good_until_ms, __ATOMIC_SEQ_CST);
    __atomic_store_n(&bound->parent, entry == NULL ? NULL : kw_entry_parent(entry), __ATOMIC_SEQ_CST);
    __atomic_store_n(&bound->policy, entry == NULL ? NULL : kw_entry_policy(entry), __ATOMIC_SEQ_CST);
    __atomic_store_n(&bound->entry, entry, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&bound->changes, 1, __ATOMIC_SEQ_CST);
}

void kw_entry_tell_off(struct kw_entry *entry, unsigned flags)
{
    __atomic_fetch_or(&entry->flags, (uint8_t)flags, __ATOMIC_SEQ_CST);
    struct kw_bound *bound = kw_entry_bounds_others(entry) ? kw_entry_extra(entry)->line : NULL;
    if (bound != NULL && __atomic_load_n(&bound->entry, __ATOMIC_SEQ_CST) == entry) {
        /* At worst a newer entry is in its place meanwhile: then that is looked at, until the next change. */
        __atomic_store_n(&bound->good_until_ms, INT64_MIN, __ATOMIC_SEQ_CST);
    }
}

/* The rules in the order of DESIGN section 5. */
static const struct {
    const char *name;
    bool (*refuses)(const struct kw__hearing *hearing, struct kw_decision *decision);
    bool (*applies)(const struct kw__hearing *hearing);
} rules[KW_RULE_COUNT] = {
    [KW_RULE_FORMAT] = {"format", NULL, NULL},
    [KW_RULE_KNOWN] = {"known", NULL, NULL},
    [KW_RULE_REVOKED] = {"revoked", kw__refuses_revoked, NULL},
    [KW_RULE_EXPIRED] = {"expired", kw__refuses_expired, kw__has_expiry},
    [KW_RULE_DISABLED] = {"disabled", kw__refuses_disabled, NULL},
    [KW_RULE_ADDRESS] = {"address", kw__refuses_address, kw__has_address_rule},
    [KW_RULE_REGION] = {"region", kw__refuses_region, kw__has_region_rule},
    [KW_RULE_ENVIRONMENT] = {"environment", kw__refuses_environment, kw__asks_environment},
    [KW_RULE_POLICY] = {"policy", kw__refuses_policy, kw__has_policy},
    [KW_RULE_SCOPES] = {"scopes", kw__refuses_scopes, kw__asks_scopes},
    [KW_RULE_RATE_LIMITS] = {"rateLimits", NULL, NULL},
    [KW_RULE_QUOTAS] = {"quotas", NULL, NULL},
};

const char *kw_rule_name(enum kw_rule rule)
{
    return (size_t)rule < KW_COUNT_OF(rules) ? rules[rule].name : NULL;
}

const char *kw_finding_name(enum kw_finding outcome)
{
    static const char *const names[] = {
        [KW_OUTCOME_PASSED] = "passed",
        [KW_OUTCOME_REFUSED] = "refused",
        [KW_OUTCOME_NONE] = "none",
        [KW_OUTCOME_SKIPPED] = "skipped",
    };
    return (size_t)outcome < KW_COUNT_OF(names) ? names[outcome] : NULL;
}

static bool is_unknown(const struct kw_entry *entry, const struct kw_question *question)
{
    return entry == NULL || entry->project != question->project || (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
}

/* Rule by rule, of the key and everything that it stands under. */
struct kw_decision kw_decide_by_rule(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    if (is_unknown(entry, question)) {
        return (struct kw_decision){.code = KW_CODE_INVALID_KEY};
    }
    struct kw__hearing hearing;
    kw__hear(&hearing, entry, question, now_ms);
    if (hearing.is_open) {
        return (struct kw_decision){.is_open = true}; /* what is not known yet may refuse before what is */
    }
    for (size_t rule = KW_RULE_REVOKED; rule < KW_RULE_RATE_LIMITS; rule++) {
        struct kw_decision decision = {.code = KW_CODE_NONE};
        if (rules[rule].refuses(&hearing, &decision)) {
            return decision;
        }
    }
    return (struct kw_decision){.first_use = (kw_entry_flags(entry) & KW_ENTRY_ENDS_GRACE) != 0,
                                .has_limits_above = kw_entry_bounds(entry) != NULL};
}

static bool is_alive(const struct kw_entry *entry, int64_t now_ms)
{
    return ((kw_entry_flags(entry) & KW__ENTRY_BAD) == 0) & (now_ms < kw_entry_stops_at_ms(entry)) &
           (now_ms < kw_entry_ends_at_ms(entry));
}

static bool holds_what_is_asked(const struct kw_entry *entry, const struct kw_question *question)
{
    return (question->scope_count | question->resource_scope_count | question->resource.size) == 0 ||
           kw__holds_what_is_asked(entry, question);
}

/* What bounds an entry, as it is now. */
struct bounds {
    struct kw_entry *parent;
    const struct kw_policy *policy;
    uint64_t changes, parent_changes; /* the first of both together */
};

/* Changes of the bound that shows an entry, kept apart from the sum of those above it, which are others for another
 * entry. */
static uint64_t mark_via(uint64_t changes)
{
    return changes << 30;
}

/* What must lie within what, that none of it need be asked. */
static unsigned wanted_of(const struct kw_bound *parent, const struct kw_policy_bound *policy)
{
    return (parent == NULL ? 0U : KW__WITHIN_PLACES | KW__WITHIN_AUTHORITY | KW__WITHIN_LIMITS) |
           (policy == NULL ? 0U : KW__WITHIN_POLICY | KW__WITHIN_POLICY_AUTHORITY | KW__WITHIN_POLICY_LIMITS);
}

/*
 * The same as bounds_agree for the good keys of good families, from the cache lines of the bounds alone: everything
 * lies within everything above it, as was found out before. False says nothing.
 */
static bool is_calm(const struct kw_entry_bounds *above, int64_t now_ms)
{
    const struct kw_bound *parent = above->parent;
    const struct kw_policy_bound *policy = above->policy;
    uint64_t within = __atomic_load_n(&above->within, __ATOMIC_ACQUIRE);
    uint64_t via_changes = 0;
    for (size_t generation = 0; generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        if (parent == NULL && policy == NULL) {
            return true;
        }
        uint64_t parent_changes = parent == NULL ? 0 : __atomic_load_n(&parent->changes, __ATOMIC_ACQUIRE);
        uint64_t changes = mark_via(via_changes) + parent_changes;
        changes += policy == NULL ? 0 : __atomic_load_n(&policy->changes, __ATOMIC_ACQUIRE);
        unsigned wanted = wanted_of(parent, policy);
        if (within >> KW__WITHIN_BITS != changes || (within & wanted) != wanted) {
            return false;
        }
        if (parent == NULL) {
            return true;
        }
        int64_t good_until_ms = __atomic_load_n(&parent->good_until_ms, __ATOMIC_ACQUIRE);
        const struct kw_bound *next = __atomic_load_n(&parent->parent, __ATOMIC_ACQUIRE);
        policy = __atomic_load_n(&parent->policy, __ATOMIC_ACQUIRE);
        within = __atomic_load_n(&parent->within, __ATOMIC_ACQUIRE);
        if (now_ms >= good_until_ms || (parent_changes & 1) != 0 ||
            __atomic_load_n(&parent->changes, __ATOMIC_ACQUIRE) != parent_changes) {
            return false;
        }
        via_changes = parent_changes;
        parent = next;
    }
    return false;
}

/* False where one of them is not known. */
static bool bounds_of(const struct kw_entry_bounds *above, struct bounds *bounds)
{
    /* Changes are read before what changed: they grow after it. So what is newer than they say is at worst looked at
     * again. */
    bounds->changes = 0;
    if (above->policy != NULL) {
        bounds->changes += __atomic_load_n(&above->policy->changes, __ATOMIC_ACQUIRE);
    }
    bounds->parent_changes = above->parent == NULL ? 0 : __atomic_load_n(&above->parent->changes, __ATOMIC_ACQUIRE);
    bounds->changes += bounds->parent_changes;
    bounds->policy = above->policy == NULL ? NULL : __atomic_load_n(&above->policy->policy, __ATOMIC_ACQUIRE);
    bounds->parent = above->parent == NULL ? NULL : __atomic_load_n(&above->parent->entry, __ATOMIC_ACQUIRE);
    return (above->policy == NULL || bounds->policy != NULL) && (above->parent == NULL || bounds->parent != NULL);
}

/* What of the entry lies within its bounds as they are now: looked up, or found out for the next time. */
static unsigned within_of(struct kw_entry *entry, const struct bounds *bounds)
{
    struct kw_entry_bounds *above = kw_entry_bounds(entry);
    uint64_t within = __atomic_load_n(&above->within, __ATOMIC_RELAXED);
    if (within >> KW__WITHIN_BITS != bounds->changes) {
        within = bounds->changes << KW__WITHIN_BITS;
        within |= bounds->parent == NULL ? 0 : kw__within(entry, bounds->parent);
        within |= bounds->policy == NULL ? 0 : kw__within_policy(entry, bounds->policy);
        __atomic_store_n(&above->within, within, __ATOMIC_RELAXED);
    }
    return (unsigned)within;
}

void kw_entry_compare(struct kw_entry *entry)
{
    const struct kw_entry_bounds *above = kw_entry_bounds(entry);
    struct bounds bounds;
    if (above != NULL && bounds_of(above, &bounds)) {
        (void)within_of(entry, &bounds);
    }
}

static bool policy_agrees(const struct kw_policy *policy, unsigned within, const struct kw_question *question)
{
    if ((within & KW__WITHIN_POLICY) == 0) {
        return false;
    }
    return (within & KW__WITHIN_POLICY_AUTHORITY) != 0 ||
           ((question->resource.size == 0 || question->resource_scope_count != 0) &&
            kw__leaves_what_is_asked(policy, question));
}

/*
 * Whether its policy, all parents and their policies let pass what this key itself lets pass. False also where one of
 * them is not known, and where only rule by rule can be said what a policy leaves.
 */
static bool bounds_agree(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    struct kw_bound *via = NULL; /* that led to this entry, and its changes before */
    uint64_t via_changes = 0;
    const struct kw_entry_bounds *above = kw_entry_bounds(entry);
    for (size_t generation = 0; above != NULL; generation++) {
        struct bounds bounds;
        if (!bounds_of(above, &bounds)) {
            return false;
        }
        unsigned within = within_of(entry, &bounds);
        if (via != NULL) {
            /* For is_calm. Read anew it would be of an entry that may have come in between. */
            __atomic_store_n(&via->within,
                             (mark_via(via_changes) + bounds.changes) << KW__WITHIN_BITS | (within & KW__WITHIN_ALL),
                             __ATOMIC_RELEASE);
        }
        if (bounds.policy != NULL && !policy_agrees(bounds.policy, within, question)) {
            return false;
        }
        if (bounds.parent == NULL) {
            return true;
        }
        if (generation == KW_FAMILY_DEPTH_MAX || !is_alive(bounds.parent, now_ms) ||
            ((within & KW__WITHIN_PLACES) == 0 && !kw__is_in_place(bounds.parent, question)) ||
            ((within & KW__WITHIN_AUTHORITY) == 0 && !holds_what_is_asked(bounds.parent, question))) {
            return false;
        }
        via = above->parent;
        via_changes = bounds.parent_changes;
        entry = bounds.parent;
        above = kw_entry_bounds(entry);
    }
    return true;
}

/*
 * Whatever does not pass is looked at again, rule by rule: so a refusal has one place that says why, and what is rare
 * (a requirement, any scope on a resource under a parent) has one place that lets pass, too.
 */
unsigned kw_passes(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    if (is_unknown(entry, question)) {
        return 0;
    }
    const struct kw_entry_bounds *above = kw_entry_bounds(entry);
    const struct kw_bound *parent = above == NULL ? NULL : above->parent;
    __builtin_prefetch(parent); /* it comes while the key's own rules are looked at */
    bool is_plain = (question->require.size == 0) &
                    (parent == NULL || question->resource.size == 0 || question->resource_scope_count != 0);
    bool is_good = is_plain && is_alive(entry, now_ms) && kw__is_of_environment(entry, question->env) &&
                   (entry->rules_size == 0 || kw__is_in_place(entry, question));
    if (!is_good || !holds_what_is_asked(entry, question)) {
        return 0;
    }
    bool is_bounded = above != NULL && !is_calm(above, now_ms);
    if (is_bounded && !bounds_agree(entry, question, now_ms)) {
        return 0;
    }
    bool is_first_use = (kw_entry_flags(entry) & KW_ENTRY_ENDS_GRACE) != 0;
    return KW_PASSES | (is_bounded ? KW_PASSES_LIMITS_ABOVE : 0U) | (is_first_use ? KW_PASSES_FIRST_USE : 0U);
}

struct kw_decision kw_decide(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    unsigned passes = kw_passes(entry, question, now_ms);
    if (passes == 0) {
        return kw_decide_by_rule(entry, question, now_ms);
    }
    return (struct kw_decision){.first_use = (passes & KW_PASSES_FIRST_USE) != 0,
                                .has_limits_above = (passes & KW_PASSES_LIMITS_ABOVE) != 0};
}

void kw_decide_each(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms,
                    struct kw_check checks_out[KW_RULE_COUNT])
{
    bool is_known = !is_unknown(entry, question);
    checks_out[KW_RULE_FORMAT] = (struct kw_check){.outcome = KW_OUTCOME_PASSED};
    checks_out[KW_RULE_KNOWN] = (struct kw_check){
        .outcome = is_known ? KW_OUTCOME_PASSED : KW_OUTCOME_REFUSED,
        .decision.code = is_known ? KW_CODE_NONE : KW_CODE_INVALID_KEY,
    };
    struct kw__hearing hearing;
    if (is_known) {
        kw__hear(&hearing, entry, question, now_ms);
    }
    for (size_t rule = KW_RULE_REVOKED; rule < KW_RULE_RATE_LIMITS; rule++) {
        struct kw_check check = {.outcome = KW_OUTCOME_SKIPPED};
        if (is_known && rules[rule].refuses(&hearing, &check.decision)) {
            check.outcome = KW_OUTCOME_REFUSED;
        } else if (is_known) {
            bool applies = rules[rule].applies == NULL || rules[rule].applies(&hearing);
            check.outcome = applies ? KW_OUTCOME_PASSED : KW_OUTCOME_NONE;
        }
        checks_out[rule] = check;
    }
    checks_out[KW_RULE_RATE_LIMITS] = (struct kw_check){.outcome = is_known ? KW_OUTCOME_NONE : KW_OUTCOME_SKIPPED};
    checks_out[KW_RULE_QUOTAS] = checks_out[KW_RULE_RATE_LIMITS];
}
