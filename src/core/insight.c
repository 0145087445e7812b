#include "core/insight.h"

#include "base/bytes.h"
#include "core/address.h"
#include "core/digest.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/schedule.h"
#include "core/scope.h"

static const char *const part_names[KW_PART_COUNT] = {"expiry", "scopes", "places", "limits", "digest", "use"};
static const char *const urgency_names[] = {"none", "low", "medium", "high"};
static const char *const advice_names[KW_ADVICE_COUNT] = {
    "MANY_COUNTRIES", "UNUSED", "NO_EXPIRY", "UNUSED_SCOPES", "ONE_NETWORK", "NO_LIMIT", "OLD_DIGEST",
};

const char *kw_score_part_name(enum kw_score_part_kind part)
{
    return (unsigned)part < KW_PART_COUNT ? part_names[part] : NULL;
}

const char *kw_urgency_name(enum kw_urgency urgency)
{
    return (size_t)urgency < KW_COUNT_OF(urgency_names) ? urgency_names[urgency] : NULL;
}

const char *kw_advice_name(enum kw_advice advice)
{
    return (unsigned)advice < KW_ADVICE_COUNT ? advice_names[advice] : NULL;
}

/* --- What several rules ask --- */

/* When the key ends by itself; 0: never. */
static int64_t end_of(const struct kw_record *record)
{
    int64_t life = kw_record_lives_until(record);
    int64_t revocation = kw_record_ends_at(record);
    int64_t end = revocation < life ? revocation : life;
    return end == INT64_MAX ? 0 : end;
}

/* Since its last use, or since it was made if there was none. */
static int64_t idle_ms(const struct kw_insight_subject *subject)
{
    int64_t last = subject->use->last_used_ms;
    int64_t born = subject->record->created_at_ms;
    return subject->now_ms - (last > born ? last : born);
}

/* A quota that only warns holds nothing back. */
static bool has_limit(const struct kw_record *record)
{
    struct kw_bytes rest = record->quotas.packed;
    struct kw_quota_rule quota;
    bool has_quota = false;
    while (!has_quota && kw_quota_rules_next(&rest, &quota)) {
        has_quota = quota.on_exceeded != KW_QUOTA_WARN;
    }
    return has_quota || record->rate_limits.count != 0;
}

/* A range that holds so much that it bounds little. */
static bool is_wide(const struct kw_address_range *range)
{
    return kw_address_is_ipv4(&range->first) && range->bits >= KW_ADDRESS_IPV4_BITS
               ? range->bits < KW_ADDRESS_IPV4_BITS + KW_INSIGHT_WIDE_IPV4_BITS
               : range->bits < KW_INSIGHT_WIDE_IPV6_BITS;
}

static bool has_wide_range(const struct kw_list *packed_ranges)
{
    struct kw_bytes rest = packed_ranges->packed;
    struct kw_bytes item;
    struct kw_address_range range;
    while (kw__list_next(&rest, &item)) {
        if (kw_address_range_unpack(item, &range) && is_wide(&range)) {
            return true;
        }
    }
    return false;
}

static bool is_scope_used(const struct kw_use *use, struct kw_bytes granted)
{
    for (size_t i = 0; i < use->scopes.count; i++) {
        if (kw_scope_covers(granted, use->scopes.items[i].value)) {
            return true;
        }
    }
    return false;
}

/* How many of the key's scopes nobody asked for; 0 also where too little is known to say so. */
static size_t count_unused_scopes(const struct kw_insight_subject *subject)
{
    const struct kw_use_values *asked = &subject->use->scopes;
    struct kw_bytes rest = subject->record->scopes.packed;
    struct kw_bytes scope;
    size_t unused = 0;
    if (asked->total < KW_INSIGHT_EVIDENCE || asked->other != 0) {
        return 0;
    }
    while (kw__list_next(&rest, &scope)) {
        unused += !is_scope_used(subject->use, scope);
    }
    return unused;
}

/* --- The score --- */

static struct kw_score_part rate_expiry(const struct kw_insight_subject *subject)
{
    int64_t end_ms = end_of(subject->record);
    int64_t left_ms = end_ms - subject->now_ms;
    if (end_ms == 0) {
        return (struct kw_score_part){0, 20, "It never expires."};
    }
    if (left_ms <= KW_INSIGHT_SOON_DAYS * KW_INSIGHT_DAY_MS) {
        return (struct kw_score_part){20, 20, "It ends within 90 days."};
    }
    if (left_ms <= KW_INSIGHT_YEAR_DAYS * KW_INSIGHT_DAY_MS) {
        return (struct kw_score_part){12, 20, "It ends within a year, but not within 90 days."};
    }
    return (struct kw_score_part){5, 20, "It ends in more than a year."};
}

static bool is_wildcard(struct kw_bytes scope)
{
    return scope.size != 0 && scope.data[scope.size - 1] == '*';
}

static void look_at_wildcards(const struct kw_list *scopes, bool *all_out, bool *some_out)
{
    struct kw_bytes rest = scopes->packed;
    struct kw_bytes scope;
    while (kw__list_next(&rest, &scope)) {
        *all_out |= kw_bytes_equal(scope, KW_BYTES("*"));
        *some_out |= is_wildcard(scope);
    }
}

static struct kw_score_part rate_scopes(const struct kw_insight_subject *subject)
{
    bool all = false;
    bool some = false;
    struct kw_bytes rest = subject->record->resources.packed;
    struct kw_bytes resource;
    struct kw_list scopes;
    look_at_wildcards(&subject->record->scopes, &all, &some);
    while (kw_resources_next(&rest, &resource, &scopes)) {
        bool all_of_it = false;
        look_at_wildcards(&scopes, &all_of_it, &some);
        all |= all_of_it && kw_bytes_equal(resource, KW_BYTES("*"));
    }
    bool unused = count_unused_scopes(subject) != 0;
    if (all) {
        return (struct kw_score_part){0, 20, "It may do everything: name the scopes that it needs."};
    }
    if (some) {
        return unused ? (struct kw_score_part){6, 20, "It has wildcards, and scopes that were never used."}
                      : (struct kw_score_part){12, 20, "It has wildcards: name the scopes that it needs."};
    }
    return unused ? (struct kw_score_part){14, 20, "It has scopes that were never used."}
                  : (struct kw_score_part){20, 20, "Its scopes are named one by one."};
}

static struct kw_score_part rate_places(const struct kw_insight_subject *subject)
{
    const struct kw_record *record = subject->record;
    if (record->is_public) {
        return (struct kw_score_part){20, 20, "A public key is meant to be used from anywhere."};
    }
    if (record->allowed_ips.count != 0 && !has_wide_range(&record->allowed_ips)) {
        return (struct kw_score_part){20, 20, "It may be used from a few addresses only."};
    }
    if (record->allowed_regions.count != 0) {
        return (struct kw_score_part){10, 20, "It may be used from some regions only, but from any address there."};
    }
    if (record->allowed_ips.count != 0) {
        return (struct kw_score_part){5, 20, "The ranges of addresses that it may be used from are very wide."};
    }
    return (struct kw_score_part){0, 20, "It may be used from anywhere."};
}

static struct kw_score_part rate_limits(const struct kw_insight_subject *subject)
{
    return has_limit(subject->record) ? (struct kw_score_part){15, 15, "How much it can be used is limited."}
                                      : (struct kw_score_part){0, 15, "It can be used without limit."};
}

static struct kw_score_part rate_digest(const struct kw_insight_subject *subject)
{
    bool has_pepper = subject->record->digest_scheme == KW_DIGEST_HMAC_SHA256;
    if (!subject->has_old_digest) {
        return has_pepper
                   ? (struct kw_score_part){15, 15, "Its digest is under the present pepper."}
                   : (struct kw_score_part){12, 15, "Its digest is as the project wants it, but under no pepper."};
    }
    return has_pepper ? (struct kw_score_part){8, 15, "Its digest is under an older pepper or method."}
                      : (struct kw_score_part){5, 15, "Its digest is of an older method, and under no pepper."};
}

static struct kw_score_part rate_use(const struct kw_insight_subject *subject)
{
    int64_t idle = idle_ms(subject);
    if (idle < KW_INSIGHT_IDLE_DAYS * KW_INSIGHT_DAY_MS) {
        return (struct kw_score_part){10, 10, "It was used, or made, within 30 days."};
    }
    if (idle < KW_INSIGHT_UNUSED_DAYS * KW_INSIGHT_DAY_MS) {
        return (struct kw_score_part){5, 10, "It was not used for 30 days."};
    }
    return (struct kw_score_part){0, 10, "It was not used for 60 days: nobody would notice who finds it."};
}

static struct kw_score_part (*const raters[KW_PART_COUNT])(const struct kw_insight_subject *subject) = {
    rate_expiry, rate_scopes, rate_places, rate_limits, rate_digest, rate_use,
};

/* --- What to do: each rule says how urgent it is, and what it saw --- */

static struct kw_buffer text_in(char text[KW_INSIGHT_TEXT_MAX])
{
    struct kw_buffer buffer;
    kw_buffer_init_fixed(&buffer, text, KW_INSIGHT_TEXT_MAX - 1); /* the NUL behind it is there */
    return buffer;
}

static enum kw_urgency many_countries(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    (void)insight;
    const struct kw_use_values *countries = &subject->use->countries;
    size_t count = countries->count + (countries->other != 0);
    struct kw_buffer message = text_in(text);
    kw_buffer_add_format(&message, "This secret key was used from %zu countries in %d days.", count, KW_USE_DAYS);
    bool is_bounded = subject->record->is_public || subject->record->allowed_regions.count != 0;
    return count >= KW_INSIGHT_COUNTRIES && !is_bounded ? KW_URGENCY_HIGH : KW_URGENCY_NONE;
}

static enum kw_urgency unused(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    (void)insight;
    int64_t days = idle_ms(subject) / KW_INSIGHT_DAY_MS;
    struct kw_buffer message = text_in(text);
    kw_buffer_add_format(&message, "It was not used for %lld days.", (long long)days);
    return days >= KW_INSIGHT_UNUSED_DAYS ? KW_URGENCY_MEDIUM : KW_URGENCY_NONE;
}

static enum kw_urgency no_expiry(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    int64_t wanted_ms = KW_INSIGHT_SOON_DAYS * KW_INSIGHT_DAY_MS;
    int64_t most_ms = subject->max_expires_in_ms;
    insight->expires_in_ms = most_ms != 0 && most_ms < wanted_ms ? most_ms : wanted_ms;
    struct kw_buffer message = text_in(text);
    kw_buffer_add_text(&message, "It never expires: who finds it can use it for ever.");
    return end_of(subject->record) != 0 ? KW_URGENCY_NONE
           : subject->record->is_public ? KW_URGENCY_LOW
                                        : KW_URGENCY_MEDIUM;
}

static enum kw_urgency unused_scopes(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    (void)insight;
    size_t count = count_unused_scopes(subject);
    struct kw_buffer message = text_in(text);
    kw_buffer_add_format(&message, "%zu of its %u scopes %s never asked for in %d days.", count,
                         (unsigned)subject->record->scopes.count, count == 1 ? "was" : "were", KW_USE_DAYS);
    return count != 0 ? KW_URGENCY_MEDIUM : KW_URGENCY_NONE;
}

/* Where every use said where it came from, a rule on addresses refuses none of them. */
static enum kw_urgency one_network(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    const struct kw_use *use = subject->use;
    bool is_one = use->has_last_address && use->addressed >= use->passed && use->addressed <= KW_USE_AMOUNT_MAX &&
                  use->network_marks == use->addressed * kw_network_mark(&use->last_address);
    bool is_enough = use->passed >= KW_INSIGHT_EVIDENCE && kw_use_day_count(use) >= KW_INSIGHT_NETWORK_DAYS;
    if (!is_one || !is_enough || subject->record->is_public || subject->record->allowed_ips.count != 0) {
        return KW_URGENCY_NONE;
    }
    struct kw_buffer message = text_in(text);
    struct kw_address_range network = kw_network_of(&use->last_address);
    insight->network_size = kw_address_range_format(&network, insight->network);
    kw_buffer_add_text(&message, "It was only ever used from ");
    kw_buffer_add(&message, kw_bytes_of(insight->network, insight->network_size));
    kw_buffer_add_text(&message, ", and may be used from anywhere.");
    return KW_URGENCY_LOW;
}

/* Up to two digits that are not zero: 4321 becomes 4400. */
static int64_t rounded_up(int64_t number)
{
    int64_t unit = 1;
    while (number / unit >= 100) {
        unit *= 10;
    }
    return (number + unit - 1) / unit * unit;
}

static enum kw_urgency no_limit(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    int64_t wanted = rounded_up(subject->use->hour_max * KW_INSIGHT_LIMIT_TIMES);
    wanted = wanted < KW_INSIGHT_LIMIT_MIN ? KW_INSIGHT_LIMIT_MIN : wanted;
    insight->requests_an_hour = wanted > KW_RATE_LIMIT_REQUESTS_MAX ? KW_RATE_LIMIT_REQUESTS_MAX : wanted;
    struct kw_buffer message = text_in(text);
    kw_buffer_add_text(&message, "It has neither rate limits nor quotas that hold it back.");
    return has_limit(subject->record)   ? KW_URGENCY_NONE
           : subject->record->is_public ? KW_URGENCY_MEDIUM
                                        : KW_URGENCY_LOW;
}

static enum kw_urgency old_digest(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text)
{
    (void)insight;
    struct kw_buffer message = text_in(text);
    kw_buffer_add_text(&message, "Its digest is not made as those of the project's new keys: ");
    kw_buffer_add_text(&message, kw_digest_scheme_name(subject->record->digest_scheme));
    kw_buffer_add_text(&message, ", of an older method or pepper.");
    return subject->has_old_digest ? KW_URGENCY_LOW : KW_URGENCY_NONE;
}

typedef enum kw_urgency advice_rule(const struct kw_insight_subject *subject, struct kw_insight *insight, char *text);
static advice_rule *const rules[KW_ADVICE_COUNT] = {many_countries, unused,   no_expiry, unused_scopes,
                                                    one_network,    no_limit, old_digest};

static void recommend(struct kw_insight *insight, const struct kw_recommendation *recommendation)
{
    size_t at = insight->recommendation_count++;
    for (; at > 0 && insight->recommendations[at - 1].urgency < recommendation->urgency; at--) {
        insight->recommendations[at] = insight->recommendations[at - 1];
    }
    insight->recommendations[at] = *recommendation;
}

bool kw_insight_is_needed(const struct kw_insight_subject *subject)
{
    enum kw_key_status status = kw_record_status(subject->record, subject->now_ms);
    return (status == KW_KEY_ACTIVE || status == KW_KEY_DISABLED) && kw_id_is_none(&subject->record->rotated_to);
}

static enum kw_status pack_used_scopes(const struct kw_insight_subject *subject, struct kw_arena *arena,
                                       struct kw_list *list_out)
{
    struct kw_bytes rest = subject->record->scopes.packed;
    struct kw_bytes scope;
    struct kw_buffer packed;
    void *memory = kw_arena_take(arena, rest.size);
    if (memory == NULL) {
        return kw_arena_refusal(arena, rest.size);
    }
    kw_buffer_init_fixed(&packed, memory, rest.size);
    while (kw__list_next(&rest, &scope)) {
        if (is_scope_used(subject->use, scope)) {
            kw_list_add(&packed, scope);
            list_out->count++;
        }
    }
    list_out->packed = kw_buffer_bytes(&packed);
    return KW_OK;
}

enum kw_status kw_insight_make(const struct kw_insight_subject *subject, struct kw_arena *arena,
                               struct kw_insight *insight_out)
{
    struct kw_insight insight = {.pattern = kw_use_pattern(subject->use)};
    enum kw_status status = KW_OK;
    for (size_t part = 0; part < KW_PART_COUNT; part++) {
        insight.parts[part] = raters[part](subject);
        insight.score += insight.parts[part].points;
    }
    for (unsigned advice = 0; kw_insight_is_needed(subject) && advice < KW_ADVICE_COUNT; advice++) {
        struct kw_recommendation found = {.advice = (enum kw_advice)advice};
        found.urgency = rules[advice](subject, &insight, found.message);
        if (found.urgency == KW_URGENCY_NONE) {
            continue;
        }
        recommend(&insight, &found);
        if (advice == KW_ADVICE_UNUSED_SCOPES && status == KW_OK) {
            status = pack_used_scopes(subject, arena, &insight.scopes);
        }
    }
    if (status == KW_OK) {
        *insight_out = insight;
    }
    return status;
}

/* --- Over many keys --- */

void kw_attention_init(struct kw_attention_list *list, size_t limit)
{
    memset(list, 0, sizeof *list);
    list->limit = limit < KW_ATTENTION_MAX ? limit : KW_ATTENTION_MAX;
}

static bool is_before(const struct kw_attention *a, const struct kw_attention *b)
{
    if (a->urgency != b->urgency) {
        return a->urgency > b->urgency;
    }
    return a->score != b->score ? a->score < b->score : kw_id_compare(&a->id, &b->id) < 0;
}

void kw_attention_add(struct kw_attention_list *list, const struct kw_id *id, const struct kw_insight *insight)
{
    struct kw_attention key = {.id = *id, .score = insight->score};
    list->looked_at++;
    list->score_sum += (uint64_t)insight->score;
    for (size_t i = 0; i < insight->recommendation_count; i++) {
        key.advices |= UINT32_C(1) << insight->recommendations[i].advice;
        list->advice_counts[insight->recommendations[i].advice]++;
    }
    if (insight->recommendation_count == 0) {
        return;
    }
    key.urgency = insight->recommendations[0].urgency;
    size_t at = list->count < list->limit ? list->count++ : list->limit;
    for (; at > 0 && is_before(&key, &list->items[at - 1]); at--) {
        if (at < list->limit) {
            list->items[at] = list->items[at - 1];
        }
    }
    if (at < list->limit) {
        list->items[at] = key;
    }
}
