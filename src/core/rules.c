#include "core/rules.h"

#include "core/claims.h"
#include "core/family.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/schedule.h"
#include "core/scope.h"

/* What became an entry was read once already. */
static struct kw_record record_of(const struct kw_entry *entry)
{
    struct kw_record record;
    return kw_record_decode(kw_entry_record(entry), &record) == KW_OK ? record : (struct kw_record){.version = 0};
}

/* A revocation is for ever, and so is the end of a grace period; the flags say what was seen of times. */
static bool is_revoked(const struct kw_entry *entry, int64_t now_ms)
{
    return (kw_entry_flags(entry) & (KW_ENTRY_REVOKED | KW_ENTRY_ERASED | KW_ENTRY_SEEN_ENDED)) != 0 ||
           now_ms >= kw_entry_ends_at_ms(entry);
}

/* Which of the two times it is that has passed only the record says. */
static bool is_expired(const struct kw_entry *entry, int64_t now_ms)
{
    if ((kw_entry_flags(entry) & (KW_ENTRY_LAPSED | KW_ENTRY_SEEN_LAPSED)) != 0) {
        return true;
    }
    if (now_ms < kw_entry_stops_at_ms(entry)) {
        return false;
    }
    struct kw_record record = record_of(entry);
    return record.expires_at_ms != 0 && now_ms >= record.expires_at_ms;
}

/* Disabled by its schedule. */
static bool is_stopped(const struct kw_entry *entry, int64_t now_ms)
{
    if ((kw_entry_marks(entry) & KW_ENTRY_SEEN_DISABLED) != 0) {
        return true;
    }
    if (now_ms < kw_entry_stops_at_ms(entry)) {
        return false;
    }
    struct kw_record record = record_of(entry);
    return record.enabled && !kw_record_is_enabled(&record, now_ms);
}

static bool is_disabled(const struct kw_entry *entry, int64_t now_ms)
{
    return (kw_entry_flags(entry) & KW_ENTRY_DISABLED) != 0 || is_stopped(entry, now_ms);
}

void kw__hear(struct kw__hearing *hearing, struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    hearing->question = question;
    hearing->now_ms = now_ms;
    hearing->link_count = 0;
    hearing->is_open = false;
    size_t generation = 0;
    while (entry != NULL && generation++ <= KW_FAMILY_DEPTH_MAX) {
        hearing->links[hearing->link_count++] = (struct kw__link){.entry = entry};
        const struct kw_policy_bound *bound = kw_entry_policy(entry);
        const struct kw_bound *parent = kw_entry_parent(entry);
        if (bound != NULL) {
            const struct kw_policy *policy = __atomic_load_n(&bound->policy, __ATOMIC_ACQUIRE);
            hearing->links[hearing->link_count++] = (struct kw__link){entry, bound, policy};
        }
        if (parent == NULL) {
            return;
        }
        entry = __atomic_load_n(&parent->entry, __ATOMIC_ACQUIRE);
    }
    hearing->is_open = true;
}

/* A key that has outlived its policy. Nobody writes that down: a policy that gives more time again gives it to all. */
static bool has_outlived(const struct kw_entry *entry, const struct kw_policy *policy, int64_t now_ms)
{
    return policy != NULL && policy->max_ttl_ms > 0 &&
           kw_policy_has_outlived(policy, record_of(entry).created_at_ms, now_ms);
}

/* What its policy makes of the state of an entry. */
static enum kw_key_status status_by_policy(const struct kw_entry *entry, int64_t now_ms)
{
    const struct kw_policy_bound *bound = kw_entry_policy(entry);
    const struct kw_policy *policy = bound == NULL ? NULL : __atomic_load_n(&bound->policy, __ATOMIC_ACQUIRE);
    return has_outlived(entry, policy, now_ms) ? KW_KEY_EXPIRED : KW_KEY_ACTIVE;
}

static enum kw_key_status worse_of(enum kw_key_status one, enum kw_key_status other)
{
    return one > other ? one : other;
}

bool kw_bound_status(const struct kw_bound *parent, int64_t now_ms, enum kw_key_status *status_out)
{
    enum kw_key_status worst = KW_KEY_ACTIVE;
    for (size_t generation = 0; parent != NULL && generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        const struct kw_entry *entry = __atomic_load_n(&parent->entry, __ATOMIC_ACQUIRE);
        if (entry == NULL) {
            return false;
        }
        enum kw_key_status status = is_revoked(entry, now_ms)    ? KW_KEY_REVOKED
                                    : is_expired(entry, now_ms)  ? KW_KEY_EXPIRED
                                    : is_disabled(entry, now_ms) ? KW_KEY_DISABLED
                                                                 : KW_KEY_ACTIVE;
        worst = worse_of(worst, worse_of(status, status_by_policy(entry, now_ms)));
        parent = kw_entry_parent(entry);
    }
    *status_out = worst;
    return true;
}

bool kw_entry_status_above(const struct kw_entry *entry, int64_t now_ms, enum kw_key_status *status_out)
{
    enum kw_key_status above;
    if (!kw_bound_status(kw_entry_parent(entry), now_ms, &above)) {
        return false;
    }
    *status_out = worse_of(above, status_by_policy(entry, now_ms));
    return true;
}

bool kw__refuse(const struct kw__hearing *hearing, size_t at, enum kw_code code, struct kw_decision *decision)
{
    const struct kw__link *link = &hearing->links[at];
    *decision =
        (struct kw_decision){.code = code, .bound = link->entry == hearing->links[0].entry ? NULL : link->entry};
    if (link->bound != NULL) {
        decision->policy = link->bound->name;
    }
    return true;
}

/* The key that speaks for itself at this place; NULL: a policy does. */
static struct kw_entry *key_at(const struct kw__hearing *hearing, size_t at)
{
    return hearing->links[at].bound == NULL ? hearing->links[at].entry : NULL;
}

bool kw__refuses_revoked(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct kw_entry *entry = key_at(hearing, i);
        if (entry == NULL || !is_revoked(entry, hearing->now_ms)) {
            continue;
        }
        kw__refuse(hearing, i, KW_CODE_REVOKED, decision);
        bool is_news = (kw_entry_flags(entry) & (KW_ENTRY_REVOKED | KW_ENTRY_ERASED | KW_ENTRY_NOTED)) == 0;
        decision->lapsed = is_news ? entry : NULL;
        return true;
    }
    return false;
}

bool kw__refuses_expired(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct kw_entry *entry = key_at(hearing, i);
        const struct kw__link *link = &hearing->links[i];
        if (link->bound != NULL && has_outlived(link->entry, link->policy, hearing->now_ms)) {
            return kw__refuse(hearing, i, KW_CODE_EXPIRED, decision);
        }
        if (entry == NULL || !is_expired(entry, hearing->now_ms)) {
            continue;
        }
        kw__refuse(hearing, i, KW_CODE_EXPIRED, decision);
        bool is_news = (kw_entry_flags(entry) & (KW_ENTRY_LAPSED | KW_ENTRY_NOTED)) == 0;
        decision->lapsed = is_news ? entry : NULL;
        return true;
    }
    return false;
}

bool kw__has_expiry(const struct kw__hearing *hearing)
{
    bool has = false;
    for (size_t i = 0; i < hearing->link_count; i++) {
        const struct kw__link *link = &hearing->links[i];
        has = has || (link->bound == NULL ? record_of(link->entry).expires_at_ms != 0
                                          : link->policy != NULL && link->policy->max_ttl_ms > 0);
    }
    return has;
}

bool kw__refuses_disabled(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct kw_entry *entry = key_at(hearing, i);
        if (entry == NULL || !is_disabled(entry, hearing->now_ms)) {
            continue;
        }
        kw__refuse(hearing, i, KW_CODE_DISABLED, decision);
        bool is_news = is_stopped(entry, hearing->now_ms) && (kw_entry_flags(entry) & KW_ENTRY_NOTED) == 0;
        decision->lapsed = is_news ? entry : NULL;
        return true;
    }
    return false;
}

/* The next list on places, and its tag; start with all of them. An encoding that became an entry is sound. */
static bool next_rule(struct kw_bytes *rest, unsigned *tag_out, struct kw_list *list_out)
{
    uint64_t count;
    struct kw_bytes item;
    if (rest->size == 0) {
        return false;
    }
    *tag_out = rest->data[0];
    struct kw_bytes after = {rest->data + 1, rest->size - 1};
    if (!kw__leb128_read(&after, &count)) {
        return false;
    }
    *list_out = (struct kw_list){after, (uint32_t)count};
    if (*tag_out <= KW__TAG_BLOCKED_IPS) {
        after = kw_bytes_skip(after, count * (1 + KW_ADDRESS_RANGE_SIZE));
    } else {
        for (uint64_t i = 0; i < count && kw__list_next(&after, &item); i++) {
        }
    }
    list_out->packed.size -= after.size;
    *rest = after;
    return true;
}

static struct kw_bytes rules_of(const struct kw_entry *entry)
{
    return (struct kw_bytes){entry->record + entry->rules_at, entry->rules_size};
}

/* One of the lists on places. */
static struct kw_list rule_list(const struct kw_entry *entry, unsigned wanted_tag)
{
    struct kw_bytes rest = rules_of(entry);
    unsigned tag;
    struct kw_list list;
    while (next_rule(&rest, &tag, &list)) {
        if (tag == wanted_tag) {
            return list;
        }
    }
    return (struct kw_list){.count = 0};
}

bool kw__refuses_address(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    const struct kw_address *address = hearing->question->address;
    for (size_t i = 0; i < hearing->link_count; i++) {
        const struct kw_entry *entry = key_at(hearing, i);
        if (entry == NULL || entry->rules_size == 0) {
            continue;
        }
        struct kw_list allowed = rule_list(entry, KW__TAG_ALLOWED_IPS);
        struct kw_list blocked = rule_list(entry, KW__TAG_BLOCKED_IPS);
        if ((allowed.count | blocked.count) == 0) {
            continue;
        }
        if (address == NULL || kw_addresses_hold(blocked.packed, address) ||
            (allowed.count != 0 && !kw_addresses_hold(allowed.packed, address))) {
            return kw__refuse(hearing, i, KW_CODE_IP_NOT_ALLOWED, decision);
        }
    }
    return false;
}

static bool has_rule(const struct kw__hearing *hearing, unsigned allowed_tag, unsigned blocked_tag)
{
    bool has = false;
    for (size_t i = 0; i < hearing->link_count; i++) {
        const struct kw_entry *entry = hearing->links[i].entry;
        has = has || rule_list(entry, allowed_tag).count != 0 || rule_list(entry, blocked_tag).count != 0;
    }
    return has;
}

bool kw__has_address_rule(const struct kw__hearing *hearing)
{
    return has_rule(hearing, KW__TAG_ALLOWED_IPS, KW__TAG_BLOCKED_IPS);
}

/* Whether the place may lie in one of them: where only the country is known, any part of it is possible. */
static bool may_be_in(struct kw_bytes regions, const struct kw_place *place)
{
    struct kw_bytes rest = regions;
    struct kw_bytes region;
    while (place->region.size == 0 && kw__list_next(&rest, &region)) {
        if (kw_region_covers(place->country, region)) {
            return true;
        }
    }
    return kw_regions_hold(regions, place);
}

bool kw__refuses_region(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    const struct kw_place *place = hearing->question->place;
    for (size_t i = 0; i < hearing->link_count; i++) {
        const struct kw_entry *entry = key_at(hearing, i);
        if (entry == NULL || entry->rules_size == 0) {
            continue;
        }
        struct kw_list allowed = rule_list(entry, KW__TAG_ALLOWED_REGIONS);
        struct kw_list blocked = rule_list(entry, KW__TAG_BLOCKED_REGIONS);
        if ((allowed.count | blocked.count) == 0) {
            continue;
        }
        if (place == NULL || may_be_in(blocked.packed, place) ||
            (allowed.count != 0 && !kw_regions_hold(allowed.packed, place))) {
            return kw__refuse(hearing, i, KW_CODE_REGION_NOT_ALLOWED, decision);
        }
    }
    return false;
}

bool kw__is_in_place(const struct kw_entry *entry, const struct kw_question *question)
{
    struct kw_bytes rest = rules_of(entry);
    unsigned tag;
    struct kw_list list;
    bool is_good = true;
    while (is_good && next_rule(&rest, &tag, &list)) {
        if (tag <= KW__TAG_BLOCKED_IPS) {
            is_good = question->address != NULL &&
                      kw_addresses_hold(list.packed, question->address) == (tag == KW__TAG_ALLOWED_IPS);
        } else {
            is_good = question->place != NULL &&
                      (tag == KW__TAG_ALLOWED_REGIONS ? kw_regions_hold(list.packed, question->place)
                                                      : !may_be_in(list.packed, question->place));
        }
    }
    return is_good;
}

unsigned kw__within(const struct kw_entry *inner, const struct kw_entry *outer)
{
    struct kw_list scopes = kw__scopes_of(inner);
    struct kw_list resources = kw__resources_of(inner);
    struct kw_list outer_scopes = kw__scopes_of(outer);
    struct kw_list outer_resources = kw__resources_of(outer);
    struct kw_record places[2];
    const struct kw_entry *entries[] = {inner, outer};
    for (size_t i = 0; i < KW_COUNT_OF(entries); i++) {
        places[i].allowed_ips = rule_list(entries[i], KW__TAG_ALLOWED_IPS);
        places[i].blocked_ips = rule_list(entries[i], KW__TAG_BLOCKED_IPS);
        places[i].allowed_regions = rule_list(entries[i], KW__TAG_ALLOWED_REGIONS);
        places[i].blocked_regions = rule_list(entries[i], KW__TAG_BLOCKED_REGIONS);
    }
    bool has_authority = kw_authority_within(&scopes, &resources, &outer_scopes, &outer_resources);
    struct kw_list limits = kw_entry_limits(inner);
    struct kw_list outer_limits = kw_entry_limits(outer);
    struct kw_list quotas = kw_entry_quotas(inner);
    struct kw_list outer_quotas = kw_entry_quotas(outer);
    bool has_limits = kw_rate_limits_within(&limits, &outer_limits) && kw_quotas_within(&quotas, &outer_quotas);
    return (has_authority ? KW__WITHIN_AUTHORITY : 0U) | (has_limits ? KW__WITHIN_LIMITS : 0U) |
           (kw_places_beyond(&places[0], &places[1]) == NULL ? KW__WITHIN_PLACES : 0U);
}

unsigned kw__within_policy(const struct kw_entry *entry, const struct kw_policy *policy)
{
    struct kw_record record = record_of(entry);
    unsigned excess = kw_policy_excess(policy, &record, record.created_at_ms);
    bool has_authority = (excess & (KW_EXCESS_SCOPES | KW_EXCESS_RESOURCES)) == 0;
    bool has_all_else = (excess & (KW_EXCESS_ENV | KW_EXCESS_EXPIRY | KW_EXCESS_ADDRESSES)) == 0;
    return (has_authority ? KW__WITHIN_POLICY_AUTHORITY : 0U) | (has_all_else ? KW__WITHIN_POLICY : 0U) |
           ((excess & (KW_EXCESS_RATE_LIMITS | KW_EXCESS_QUOTAS)) == 0 ? KW__WITHIN_POLICY_LIMITS : 0U);
}

bool kw__has_region_rule(const struct kw__hearing *hearing)
{
    return has_rule(hearing, KW__TAG_ALLOWED_REGIONS, KW__TAG_BLOCKED_REGIONS);
}

bool kw__is_of_environment(const struct kw_entry *entry, struct kw_bytes env)
{
    return env.size == 0 || kw_bytes_equal(env, kw_bytes_of(entry->record + entry->env_at, entry->env_size));
}

bool kw__refuses_environment(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    return !kw__is_of_environment(hearing->links[0].entry, hearing->question->env) &&
           kw__refuse(hearing, 0, KW_CODE_ENVIRONMENT_MISMATCH, decision);
}

bool kw__asks_environment(const struct kw__hearing *hearing)
{
    return hearing->question->env.size != 0;
}

/*
 * What no question could be let pass by: a policy that wants other keys than this one is. More resources than it
 * allows are left to the key's next change, since nobody could say which of them are too many.
 */
bool kw__refuses_policy(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        const struct kw__link *link = &hearing->links[i];
        if (link->bound == NULL) {
            continue;
        }
        struct kw_record record = record_of(link->entry);
        unsigned excess = link->policy == NULL ? 0 : kw_policy_excess(link->policy, &record, record.created_at_ms);
        if (link->policy == NULL || (excess & (KW_EXCESS_ENV | KW_EXCESS_ADDRESSES)) != 0) {
            kw__refuse(hearing, i, KW_CODE_POLICY_VIOLATION, decision);
            const char *field = link->policy == NULL ? "policy" : (excess & KW_EXCESS_ENV) != 0 ? "env" : "allowedIPs";
            decision->missing = kw_bytes_of_text(field);
            return true;
        }
    }
    return false;
}

bool kw__has_policy(const struct kw__hearing *hearing)
{
    bool has = false;
    for (size_t i = 0; i < hearing->link_count; i++) {
        has = has || hearing->links[i].bound != NULL;
    }
    return has;
}
