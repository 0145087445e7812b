#include "core/claims.h"

#include "core/limit_list.h"

/* FNV-1a, 64 bits. */
static uint64_t hash_on(uint64_t hash, struct kw_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* Of names that meet in one hash the later ones take the next that is free: what was spent is not shared. */
static uint32_t free_id(const struct kw_claim *claims, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (claims[i].id == id) {
            return free_id(claims, count, id + 1);
        }
    }
    return id;
}

static size_t add_all(struct kw_bytes packed, uint64_t source, struct kw_claim *claims, size_t count)
{
    struct kw_rate_limit limit;
    while (count < KW_CLAIMS_MAX && kw_rate_limits_next(&packed, &limit)) {
        uint32_t id = free_id(claims, count, (uint32_t)(hash_on(source, limit.name) >> 32));
        claims[count] = (struct kw_claim){.per = KW_PER_KEY, .id = id, .limit = limit};
        count++;
    }
    return count;
}

struct kw_list kw_entry_limits(const struct kw_entry *entry)
{
    struct kw_list limits = {.count = 0};
    if (!kw_entry_is_limited(entry)) {
        return limits;
    }
    limits.packed.data = entry->record + kw_entry_tail(entry)->limits_at;
    limits.count = limits.packed.data[-1]; /* of one byte, as the size of each is */
    for (unsigned i = 0; i < limits.count; i++) {
        limits.packed.size += 1U + limits.packed.data[limits.packed.size];
    }
    return limits;
}

size_t kw_entry_claims(const struct kw_entry *entry, bool has_above, struct kw_claim claims_out[KW_CLAIMS_MAX])
{
    struct kw_list own = kw_entry_limits(entry);
    size_t count = add_all(own.packed, HASH_BEGIN, claims_out, 0);
    for (size_t generation = 0; has_above && entry != NULL && generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        const struct kw_policy_bound *bound = entry->policy;
        const struct kw_policy *policy = bound == NULL ? NULL : __atomic_load_n(&bound->policy, __ATOMIC_ACQUIRE);
        if (policy != NULL && !kw_rate_limits_within(&own, &policy->rate_limits)) {
            uint64_t source = hash_on(hash_on(HASH_BEGIN, KW_BYTES("policy:")), bound->name);
            count = add_all(policy->rate_limits.packed, hash_on(source, KW_BYTES(":")), claims_out, count);
        }
        const struct kw_bound *parent = entry->parent;
        entry = parent == NULL ? NULL : __atomic_load_n(&parent->entry, __ATOMIC_ACQUIRE);
        struct kw_list outer = {.count = 0};
        if (entry != NULL) {
            outer = kw_entry_limits(entry);
        }
        if (!kw_rate_limits_within(&own, &outer)) {
            uint64_t source = hash_on(HASH_BEGIN, KW_BYTES("parent:"));
            source = hash_on(source, (struct kw_bytes){parent->id.bytes, sizeof parent->id.bytes});
            count = add_all(outer.packed, source, claims_out, count);
        }
    }
    return count;
}

struct kw_id kw_entry_lineage(const struct kw_entry *entry)
{
    struct kw_id id = kw_entry_id(entry);
    uint16_t at = kw_entry_has_tail(entry) ? kw_entry_tail(entry)->lineage_at : 0;
    if (at != 0) {
        memcpy(id.bytes, entry->record + at, sizeof id.bytes);
    }
    return id;
}
