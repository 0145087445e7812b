#include "core/verdict.h"

#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/rules.h"

_Static_assert(offsetof(struct kw_entry, scopes_at) < 64, "what a key without scopes is decided by is one cache line");
_Static_assert(sizeof(struct kw_entry) <= 112, "entries are what memory is spent on");
_Static_assert(KW_RECORD_MAX <= UINT16_MAX, "places in an encoding are 16 bits");
_Static_assert(KW_SCOPE_COUNT_MAX <= UINT8_MAX && KW_RESOURCE_COUNT_MAX <= UINT8_MAX, "counts are 8 bits");
_Static_assert(KW_ENV_MAX <= UINT8_MAX, "the size of an environment's name is 8 bits");

size_t kw_entry_size(size_t encoding_size)
{
    size_t size = offsetof(struct kw_entry, record) + encoding_size;
    return size < sizeof(struct kw_entry) ? sizeof(struct kw_entry) : size;
}

static uint8_t flags_of(const struct kw_record *record, bool erased)
{
    unsigned flags = (record->revoked_at_ms != 0 ? KW_ENTRY_REVOKED : 0U) | (record->enabled ? 0U : KW_ENTRY_DISABLED) |
                     (record->lapsed_at_ms != 0 ? KW_ENTRY_LAPSED : 0U) | (erased ? KW_ENTRY_ERASED : 0U) |
                     (record->ends_grace ? KW_ENTRY_ENDS_GRACE : 0U);
    return (uint8_t)flags;
}

static uint16_t place_of(struct kw_bytes part, struct kw_bytes encoding)
{
    return part.size == 0 ? 0 : (uint16_t)(part.data - encoding.data);
}

/* The same bytes may stand in several places, since other keys are named too: any of these will do. */
static uint16_t lineage_place(const struct kw_record *record, struct kw_bytes encoding)
{
    if (kw_id_equal(&record->lineage_id, &record->id)) {
        return 0;
    }
    const uint8_t *found =
        memmem(encoding.data, encoding.size, record->lineage_id.bytes, sizeof record->lineage_id.bytes);
    return found == NULL ? 0 : (uint16_t)(found - encoding.data);
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

enum kw_status kw_entry_build(const struct kw_digest *digest, uint16_t project, bool erased, struct kw_bytes encoding,
                              struct kw_entry *entry_out, struct kw_record *record_out)
{
    enum kw_status status = kw_record_decode(encoding, record_out);
    if (status != KW_OK) {
        return status;
    }
    const struct kw_record *record = record_out;
    struct kw_bytes rules = rules_of(record);
    *entry_out = (struct kw_entry){
        .expires_at_ms = record->expires_at_ms == 0 ? INT64_MAX : record->expires_at_ms,
        .grace_until_ms = record->grace_until_ms == 0 ? INT64_MAX : record->grace_until_ms,
        .version = record->version,
        .project = project,
        .flags = flags_of(record, erased),
        .env_size = (uint8_t)record->env.size,
        .env_at = place_of(record->env, encoding),
        .scopes_at = place_of(record->scopes.packed, encoding),
        .scopes_size = (uint16_t)record->scopes.packed.size,
        .resources_at = place_of(record->resources.packed, encoding),
        .resources_size = (uint16_t)record->resources.packed.size,
        .record_size = (uint16_t)encoding.size,
        .scope_count = (uint8_t)record->scopes.count,
        .resource_count = (uint8_t)record->resources.count,
        .scheme = (uint8_t)record->digest_scheme,
        .rules_at = place_of(rules, encoding),
        .rules_size = (uint16_t)rules.size,
        .limits_at = place_of(record->rate_limits.packed, encoding),
        .limit_count = (uint8_t)record->rate_limits.count,
        .lineage_at = lineage_place(record, encoding),
    };
    memcpy(entry_out->digest, digest->bytes, sizeof entry_out->digest);
    memcpy(entry_out->record, encoding.data, encoding.size);
    return KW_OK;
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
static struct kw_decision decide_by_rule(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
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
    return (struct kw_decision){.first_use = (kw_entry_flags(entry) & KW_ENTRY_ENDS_GRACE) != 0};
}

static bool is_alive(const struct kw_entry *entry, int64_t now_ms)
{
    return ((kw_entry_flags(entry) & KW__ENTRY_BAD) == 0) & (now_ms < entry->expires_at_ms) &
           (now_ms < entry->grace_until_ms);
}

static bool holds_what_is_asked(const struct kw_entry *entry, const struct kw_question *question)
{
    struct kw_bytes missing;
    return (question->scope_count | question->resource_scope_count | question->resource.size) == 0 ||
           !kw__lacks_scope(entry, question, &missing);
}

/* What bounds an entry, as it is now. */
struct bounds {
    struct kw_entry *parent;
    const struct kw_policy *policy;
    uint64_t changes;
};

/* False where one of them is not known. */
static bool bounds_of(const struct kw_entry *entry, struct bounds *bounds)
{
    /* Changes are read before what changed: they grow after it. So what is newer than they say is at worst looked at
     * again. */
    bounds->changes = 0;
    if (entry->policy != NULL) {
        bounds->changes += __atomic_load_n(&entry->policy->changes, __ATOMIC_ACQUIRE);
    }
    if (entry->parent != NULL) {
        bounds->changes += __atomic_load_n(&entry->parent->changes, __ATOMIC_ACQUIRE);
    }
    bounds->policy = entry->policy == NULL ? NULL : __atomic_load_n(&entry->policy->policy, __ATOMIC_ACQUIRE);
    bounds->parent = entry->parent == NULL ? NULL : __atomic_load_n(&entry->parent->entry, __ATOMIC_ACQUIRE);
    return (entry->policy == NULL || bounds->policy != NULL) && (entry->parent == NULL || bounds->parent != NULL);
}

/* What of the entry lies within its bounds as they are now: looked up, or found out for the next time. */
static unsigned within_of(struct kw_entry *entry, const struct bounds *bounds)
{
    uint64_t within = __atomic_load_n(&entry->within, __ATOMIC_RELAXED);
    if (within >> KW__WITHIN_BITS != bounds->changes) {
        within = bounds->changes << KW__WITHIN_BITS;
        within |= bounds->parent == NULL ? 0 : kw__within(entry, bounds->parent);
        within |= bounds->policy == NULL ? 0 : kw__within_policy(entry, bounds->policy);
        __atomic_store_n(&entry->within, within, __ATOMIC_RELAXED);
    }
    return (unsigned)within;
}

static bool policy_agrees(const struct kw_policy *policy, unsigned within, const struct kw_question *question)
{
    struct kw_bytes missing;
    if ((within & KW__WITHIN_POLICY) == 0) {
        return false;
    }
    return (within & KW__WITHIN_POLICY_AUTHORITY) != 0 ||
           ((question->resource.size == 0 || question->resource_scope_count != 0) &&
            !kw__policy_lacks_scope(policy, question, &missing));
}

/*
 * Whether its policy, all parents and their policies let pass what this key itself lets pass. False also where one of
 * them is not known, and where only rule by rule can be said what a policy leaves.
 */
static bool bounds_agree(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    for (size_t generation = 0; entry->parent != NULL || entry->policy != NULL; generation++) {
        struct bounds bounds;
        if (!bounds_of(entry, &bounds)) {
            return false;
        }
        unsigned within = within_of(entry, &bounds);
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
        entry = bounds.parent;
    }
    return true;
}

/* Asks the processor for what a decision reads of a parent. */
static void fetch_parent(const struct kw_entry *entry)
{
    const uint8_t *parent = (const uint8_t *)__atomic_load_n(&entry->parent->entry, __ATOMIC_ACQUIRE);
    __builtin_prefetch(parent);
    __builtin_prefetch(parent + 64);
}

struct kw_decision kw_decide(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    if (is_unknown(entry, question)) {
        return (struct kw_decision){.code = KW_CODE_INVALID_KEY};
    }
    if (entry->parent != NULL) {
        __builtin_prefetch(entry->parent); /* it comes while the key's own rules are looked at */
    }
    /*
     * What a good key passes, in as few steps as can be. Whatever does not pass is looked at again, rule by rule: so a
     * refusal has one place that says why, and what is rare (a requirement, any scope on a resource under a parent) has
     * one place that lets pass, too.
     */
    bool is_plain = (question->require.size == 0) &
                    (entry->parent == NULL || question->resource.size == 0 || question->resource_scope_count != 0);
    bool is_good = is_plain && is_alive(entry, now_ms) && kw__is_of_environment(entry, question->env) &&
                   (entry->rules_size == 0 || kw__is_in_place(entry, question));
    if (is_good && entry->parent != NULL) {
        fetch_parent(entry);
    }
    is_good = is_good && holds_what_is_asked(entry, question) && bounds_agree(entry, question, now_ms);
    if (!is_good) {
        return decide_by_rule(entry, question, now_ms);
    }
    return (struct kw_decision){.first_use = (kw_entry_flags(entry) & KW_ENTRY_ENDS_GRACE) != 0};
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
}
