#include "core/claims.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/limit_list.h"
#include "core/quota_list.h"

/* Where claims are from: the key itself, a policy, a parent. */
struct source {
    struct kw_list limits, quotas;
    uint64_t hash; /* tells it from others; that of the key itself is where all hashes begin */
    uint8_t link;  /* twice the generations above the key, and 1 for the policy there */
};

#define SOURCES_MAX (1 + 2 * (KW_FAMILY_DEPTH_MAX + 1))

struct kw_list kw_entry_limits(const struct kw_entry *entry)
{
    struct kw_list limits = {.count = 0};
    if (!kw_entry_is_limited(entry)) {
        return limits;
    }
    limits.packed.data = entry->record + kw_entry_extra(entry)->limits_at;
    limits.count = limits.packed.data[-1]; /* of one byte, as the size of each is */
    for (unsigned i = 0; i < limits.count; i++) {
        limits.packed.size += 1U + limits.packed.data[limits.packed.size];
    }
    return limits;
}

/* Each has its size in one byte before it. */
static struct kw_bytes packed_at(const uint8_t *packed, size_t at)
{
    for (; at > 0; at--) {
        packed += 1U + packed[0];
    }
    return kw_bytes_of(packed, 1U + packed[0]);
}

struct kw_rate_limit kw_entry_limit(const struct kw_entry *entry, size_t at)
{
    struct kw_bytes packed = packed_at(entry->record + kw_entry_extra(entry)->limits_at, at);
    struct kw_rate_limit limit;
    uint32_t number;
    (void)kw__rate_limits_next_packed(&packed, &limit, &number);
    return limit;
}

struct kw_quota kw_entry_quota(const struct kw_entry *entry, size_t at)
{
    struct kw_bytes packed = packed_at(entry->record + kw_entry_extra(entry)->quotas_at, at);
    struct kw_quota quota;
    (void)kw_quotas_next(&packed, 0, &quota);
    return quota;
}

/* --- sources --- */

static size_t add_source(struct source *sources, size_t count, const struct kw_list *limits,
                         const struct kw_list *quotas, uint64_t hash, size_t link)
{
    sources[count] = (struct source){.hash = hash, .link = (uint8_t)link};
    if (!kw_rate_limits_within(&sources[0].limits, limits)) {
        sources[count].limits = *limits;
    }
    if (!kw_quotas_within(&sources[0].quotas, quotas)) {
        sources[count].quotas = *quotas;
    }
    return count + (sources[count].limits.count > 0 || sources[count].quotas.count > 0);
}

static size_t add_policy(struct source *sources, size_t count, const struct kw_policy_bound *bound, size_t link)
{
    const struct kw_policy *policy = bound == NULL ? NULL : __atomic_load_n(&bound->policy, __ATOMIC_ACQUIRE);
    if (policy == NULL) {
        return count;
    }
    uint64_t hash = kw__claim_hash(kw__claim_hash(KW__CLAIM_HASH_BEGIN, KW_BYTES("policy:")), bound->name);
    return add_source(sources, count, &policy->rate_limits, &policy->quotas, kw__claim_hash(hash, KW_BYTES(":")), link);
}

static size_t add_above(const struct kw_entry *entry, struct source *sources)
{
    size_t count = 1;
    for (size_t generation = 0; entry != NULL && generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        count = add_policy(sources, count, kw_entry_policy(entry), 2 * generation + 1);
        const struct kw_bound *parent = kw_entry_parent(entry);
        entry = parent == NULL ? NULL : __atomic_load_n(&parent->entry, __ATOMIC_ACQUIRE);
        if (entry != NULL) {
            struct kw_list limits = kw_entry_limits(entry);
            struct kw_list quotas = kw_entry_quotas(entry);
            uint64_t hash = kw__claim_hash(KW__CLAIM_HASH_BEGIN, KW_BYTES("parent:"));
            hash = kw__claim_hash(hash, kw_bytes_of(parent->id.bytes, sizeof parent->id.bytes));
            count = add_source(sources, count, &limits, &quotas, hash, 2 * generation + 2);
        }
    }
    return count;
}

/* --- claims --- */

/* Of names that meet in one number the later ones take the next that is free: what was spent is not shared. */
static uint32_t free_id(const struct kw_claim *claims, size_t count, const struct kw_claim *claim)
{
    uint32_t id = claim->id;
    for (size_t i = 0; i < count; i++) {
        if (claims[i].id == id && claims[i].per == claim->per && claims[i].is_quota == claim->is_quota) {
            id++;
            i = SIZE_MAX; /* from the beginning */
        }
    }
    return id;
}

static size_t add_limits(const struct source *source, enum kw_limit_per per, struct kw_claim *claims, size_t count,
                         unsigned *others)
{
    struct kw_bytes packed = source->limits.packed;
    struct kw_claim *claim = &claims[count];
    while (count < KW_CLAIMS_MAX && kw__rate_limits_next_packed(&packed, &claim->limit, &claim->id)) {
        if (claim->limit.per != per) {
            *others |= 1U << claim->limit.per;
            continue;
        }
        claim->is_quota = false;
        claim->per = (uint8_t)per;
        claim->second = 0;
        claim->link = source->link;
        claim->throttles = 0;
        if (source->hash != KW__CLAIM_HASH_BEGIN) {
            claim->id = (uint32_t)(kw__claim_hash(source->hash, claim->limit.name) >> 32);
        }
        claim->id = free_id(claims, count, claim);
        claim = &claims[++count];
    }
    return count;
}

/* Two quotas on the same: that which blocks, or of two of a kind the smaller one. */
static bool is_tighter(const struct kw_quota *a, const struct kw_quota *b)
{
    return a->on_exceeded != b->on_exceeded
               ? a->on_exceeded == KW_QUOTA_BLOCK ||
                     (a->on_exceeded == KW_QUOTA_THROTTLE && b->on_exceeded == KW_QUOTA_WARN)
               : a->limit < b->limit;
}

/* The first that counts the same. */
static struct kw_claim *find_quota(struct kw_claim *claims, size_t count, const struct kw_claim *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const struct kw_quota *quota = &claims[i].quota;
        if (claims[i].is_quota && claims[i].per == wanted->per && quota->period == wanted->quota.period &&
            quota->anchor_ms == wanted->quota.anchor_ms && kw_bytes_equal(quota->metric, wanted->quota.metric)) {
            return &claims[i];
        }
    }
    return NULL;
}

/* Beside others on the same the tightest comes first: what it lets be spent is what is reserved. The claim is the one
 * behind the last. */
static void place_quota(struct kw_claim *claims, size_t count, struct kw_claim *claim)
{
    struct kw_claim *same = find_quota(claims, count, claim);
    claim->second = 0;
    claim->quota.told_at = 0;
    claim->id = claim->quota.number; /* what is spent is known by what it counts, whoever asks for it */
    if (same == NULL) {
        claim->id = free_id(claims, count, claim);
        return;
    }
    claim->id = same->id;
    if (is_tighter(&claim->quota, &same->quota)) {
        struct kw_quota looser = same->quota;
        uint8_t link = same->link;
        same->quota = claim->quota;
        same->link = claim->link;
        claim->quota = looser;
        claim->link = link;
    }
    for (size_t i = 0; i < count; i++) {
        claim->second += claims[i].is_quota && claims[i].per == claim->per && claims[i].id == claim->id;
    }
    claim->quota.told_at = claim->second < KW_QUOTA_COUNT_MAX ? claim->second : KW_QUOTA_COUNT_MAX - 1;
    same->quota.told_at = 0;
}

static size_t add_quotas(const struct source *source, enum kw_limit_per per, int64_t born_ms, struct kw_claim *claims,
                         size_t count, unsigned *others)
{
    struct kw_bytes packed = source->quotas.packed;
    struct kw_claim *claim = &claims[count];
    while (count < KW_CLAIMS_MAX && kw_quotas_next(&packed, born_ms, &claim->quota)) {
        if (claim->quota.per != per) {
            *others |= 1U << claim->quota.per;
            continue;
        }
        claim->is_quota = true;
        claim->per = (uint8_t)per;
        claim->throttles = 0;
        claim->link = source->link;
        place_quota(claims, count, claim);
        claim = &claims[++count];
    }
    return count;
}

/* A quota that throttles brings the limit that holds while it is exceeded. */
static size_t add_throttles(enum kw_limit_per per, struct kw_claim *claims, size_t first, size_t count)
{
    size_t quotas_end = count;
    for (size_t i = first; i < quotas_end && count < KW_CLAIMS_MAX; i++) {
        const struct kw_quota *quota = &claims[i].quota;
        if (quota->on_exceeded != KW_QUOTA_THROTTLE) {
            continue;
        }
        struct kw_claim claim = {.per = (uint8_t)per,
                                 .link = claims[i].link,
                                 .throttles = (uint16_t)(i + 1),
                                 .id = ~claims[i].id,
                                 .limit = {.name = quota->name,
                                           .requests = quota->throttle_requests,
                                           .window_ms = quota->throttle_window_ms,
                                           .per = per}};
        claim.id = free_id(claims, count, &claim);
        claims[count++] = claim;
    }
    return count;
}

static size_t add_per(const struct source *sources, size_t source_count, enum kw_limit_per per, int64_t born_ms,
                      struct kw_claim *claims, size_t count, unsigned *others)
{
    size_t first = count;
    for (size_t i = 0; i < source_count; i++) {
        if (sources[i].quotas.count > 0) {
            count = add_quotas(&sources[i], per, born_ms, claims, count, others);
        }
    }
    count = add_throttles(per, claims, first, count);
    for (size_t i = 0; i < source_count; i++) {
        count = add_limits(&sources[i], per, claims, count, others);
    }
    return count;
}

size_t kw_entry_claims(const struct kw_entry *entry, bool has_above, struct kw_claim claims_out[KW_CLAIMS_MAX])
{
    struct source sources[SOURCES_MAX];
    sources[0] = (struct source){kw_entry_limits(entry), kw_entry_quotas(entry), KW__CLAIM_HASH_BEGIN, 0};
    size_t source_count = has_above ? add_above(entry, sources) : 1;
    if (source_count == 1 && sources[0].limits.count == 0 && sources[0].quotas.count == 0) {
        return 0;
    }
    struct kw_id lineage = kw_entry_lineage(entry);
    int64_t born_ms = kw_id_time_ms(&lineage);
    unsigned others = 0;
    size_t count = add_per(sources, source_count, KW_PER_KEY, born_ms, claims_out, 0, &others);
    for (unsigned per = KW_PER_OWNER; per < KW_PER_COUNT && others >> per != 0; per++) {
        count = add_per(sources, source_count, (enum kw_limit_per)per, born_ms, claims_out, count, &others);
    }
    return count;
}

void kw_claim_owner(const struct kw_entry *entry, const struct kw_claim *claim, const struct kw_entry **bound_out,
                    struct kw_bytes *policy_out)
{
    const struct kw_entry *owner = entry;
    for (unsigned generation = claim->link / 2; generation > 0 && owner != NULL; generation--) {
        const struct kw_bound *parent = kw_entry_parent(owner);
        owner = parent == NULL ? NULL : __atomic_load_n(&parent->entry, __ATOMIC_ACQUIRE);
    }
    const struct kw_policy_bound *policy = owner == NULL || claim->link % 2 == 0 ? NULL : kw_entry_policy(owner);
    *bound_out = owner == entry ? NULL : owner;
    *policy_out = policy == NULL ? (struct kw_bytes){NULL, 0} : policy->name;
}

struct kw_id kw_entry_lineage(const struct kw_entry *entry)
{
    struct kw_id id = kw_entry_id(entry);
    struct kw_record record;
    uint16_t at = kw_entry_has_extra(entry) ? kw_entry_extra(entry)->lineage_at : 0;
    if (at != 0) {
        memcpy(id.bytes, entry->record + at, sizeof id.bytes);
    } else if (!kw_entry_has_extra(entry) && kw_record_decode(kw_entry_record(entry), &record) == KW_OK &&
               !kw_id_is_none(&record.lineage_id)) {
        id = record.lineage_id;
    }
    return id;
}

void kw_account_id(enum kw_limit_per per, struct kw_bytes project, struct kw_bytes name, struct kw_id *id_out)
{
    uint8_t digest[32];
    const struct kw_bytes parts[] = {per == KW_PER_OWNER ? KW_BYTES("owner") : KW_BYTES("organisation"), project, name};
    kw_digest_parts(parts, KW_COUNT_OF(parts), digest);
    memcpy(id_out->bytes, digest, sizeof id_out->bytes);
}
