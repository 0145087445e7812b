#include "engine/ledger_state.h"

#include "core/amount.h"

#include <string.h>

/*
 * The usual charge. What a key's claims ask stands in the slots of its run, under a stamp that the key's entry keeps:
 * so the next charge reads no claims, and of the record only what is shown. Entries of one line of rotations whose
 * claims ask the same have the same stamp; others take turns. A stamp is never given twice, but for the one that
 * comes 2^32 stamps later. Whatever is not usual (a refusal, a reserve that is low, a mark, a new period) is left to
 * kw_ledger_charge, which alone says what is right.
 */

#define SPENT_AT_ONCE 16 /* limits; a key with more is charged in full */

/* --- giving a stamp --- */

static uint32_t next_stamp(struct kw_ledger *ledger)
{
    uint32_t stamp;
    do {
        stamp = __atomic_add_fetch(&ledger->stamps, 1, __ATOMIC_RELAXED);
    } while (stamp == 0);
    return stamp;
}

/* The claims' slots stand in the order of the claims; a run may have others between. */
static bool are_in_order(const struct kw_charge *charge, const struct kw_found_claim *found)
{
    const struct kw_found_claim *limit = NULL, *quota = NULL;
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->per != KW_PER_KEY || claim->second > 0) {
            return false;
        }
        const struct kw_found_claim **before = claim->is_quota ? &quota : &limit;
        if (*before != NULL &&
            (claim->is_quota ? (*before)->quota >= found[i].quota : (*before)->limit >= found[i].limit)) {
            return false;
        }
        *before = &found[i];
    }
    return true;
}

/* Of how many requests its limit is stands in the state, which was just spent from. */
static bool set_asked(struct kw_limit_slot *slot, const struct kw_claim *claim)
{
    /* A throttle holds beyond its quota, and what is beyond is not usual. */
    bool is_asked = claim != NULL && claim->throttles == 0;
    bool is_other = slot->state.is_asked != is_asked;
    slot->state.is_asked = is_asked;
    return is_other;
}

static bool set_terms(struct kw_quota_slot *slot, const struct kw_claim *claim)
{
    struct kw_quota_terms terms = {.limit = -1};
    if (claim != NULL) {
        bool counts_requests = kw__ledger_amount(&claim->quota, 1) > 0;
        terms = (struct kw_quota_terms){.limit = claim->quota.limit,
                                        .mark_count = claim->quota.mark_count,
                                        .on_exceeded = (uint8_t)claim->quota.on_exceeded,
                                        .counts_requests = counts_requests};
        memcpy(terms.marks, claim->quota.marks, sizeof terms.marks);
        slot->calm_until = kw_quota_calm_until(&slot->state, &claim->quota, counts_requests);
    }
    bool is_other = memcmp(&slot->terms, &terms, sizeof terms) != 0;
    slot->terms = terms;
    return is_other;
}

static const struct kw_claim *claim_of(const struct kw_charge *charge, const struct kw_found_claim *found,
                                       const void *slot)
{
    for (size_t i = 0; i < charge->claim_count; i++) {
        if (slot == (charge->claims[i].is_quota ? (const void *)found[i].quota : found[i].limit)) {
            return &charge->claims[i];
        }
    }
    return NULL;
}

void kw__ledger_stamp(struct kw_ledger *ledger, struct kw_slot *run, const struct kw_charge *charge,
                      const struct kw_found_claim *found)
{
    if (found == NULL || charge->stamp == NULL || run->limit_count > SPENT_AT_ONCE || !are_in_order(charge, found)) {
        run->stamp = 0; /* what was spent, was spent on other terms */
        return;
    }
    bool is_other = run->stamp == 0;
    for (size_t i = 0; i < run->limit_count; i++) {
        is_other = set_asked(&run[i].limit, claim_of(charge, found, &run[i].limit)) || is_other;
    }
    for (size_t i = 0; i < run->quota_count; i++) {
        struct kw_quota_slot *slot = kw_run_quota(run, i);
        is_other = set_terms(slot, claim_of(charge, found, slot)) || is_other;
    }
    run->stamp = is_other ? next_stamp(ledger) : run->stamp;
    __atomic_store_n(charge->stamp, run->stamp, __ATOMIC_RELAXED);
}

/* --- spending under it --- */

struct limit_use {
    bool is_asked, is_usual;
    struct kw_limit_answer answer;
};

static struct kw_rate_limit limit_of(const struct kw_slot *slot)
{
    return (struct kw_rate_limit){.requests = slot->limit.state.requests, .window_ms = slot->limit.window_ms};
}

static inline bool has_reserve(const struct kw_ledger *ledger, const struct kw_slot *slot, uint32_t cost)
{
    if (!kw__ledger_is_durable(ledger, slot->limit.window_ms)) {
        return true;
    }
    const struct kw_rate_limit limit = limit_of(slot);
    return slot->limit.reserve > (uint64_t)cost + kw__ledger_share(&limit) / 2;
}

static inline bool admits(const struct kw_ledger *ledger, const struct kw_slot *slot, int64_t now_ms, uint32_t cost,
                          struct limit_use *use)
{
    uint32_t remaining;
    use->is_usual = kw_limit_is_usual(&slot->limit.state, slot->limit.window_ms, now_ms, cost, &remaining);
    if (use->is_usual) {
        use->answer.remaining = remaining;
    } else {
        struct kw_rate_limit limit = limit_of(slot);
        use->answer = kw_limit_look(&slot->limit.state, &limit, now_ms, cost);
        if (!use->answer.is_admitted) {
            return false;
        }
    }
    return has_reserve(ledger, slot, cost);
}

static inline void spend_limit(const struct kw_ledger *ledger, struct kw_slot *slot, int64_t now_ms, uint32_t cost,
                               struct limit_use *use)
{
    if (use->is_usual) {
        kw_limit_add(&slot->limit.state, now_ms, cost);
    } else {
        struct kw_rate_limit limit = limit_of(slot);
        struct kw_limit_use spending = {&limit, &slot->limit.state, use->answer};
        kw_limits_spend(&spending, 1, now_ms, cost);
        use->answer.remaining = spending.answer.remaining;
    }
    if (kw__ledger_is_durable(ledger, slot->limit.window_ms)) {
        slot->limit.reserve -= cost;
    }
}

static inline int64_t amount_of(const struct kw_quota_slot *slot, uint32_t cost)
{
    return slot->terms.counts_requests != 0 ? (int64_t)cost * KW_AMOUNT_ONE : 0;
}

static inline bool is_calm(const struct kw_quota_slot *slot, int64_t now_ms, uint32_t cost)
{
    return slot->terms.limit < 0 || (slot->state.is_known && now_ms < slot->state.period.end_ms &&
                                     slot->state.spent + amount_of(slot, cost) <= slot->calm_until);
}

static bool all_admit(const struct kw_ledger *ledger, struct kw_slot *run, size_t limit_count, int64_t now_ms,
                      uint32_t cost, struct limit_use uses[SPENT_AT_ONCE])
{
    for (size_t i = 0; i < limit_count; i++) {
        uses[i].is_asked = run[i].limit.state.is_asked;
        if (uses[i].is_asked && !admits(ledger, &run[i], now_ms, cost, &uses[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < run->quota_count; i++) {
        if (!is_calm(kw_run_quota(run, i), now_ms, cost)) {
            return false;
        }
    }
    return true;
}

static void spend_limits(const struct kw_ledger *ledger, struct kw_slot *run, size_t limit_count, int64_t now_ms,
                         uint32_t cost, struct limit_use uses[SPENT_AT_ONCE], struct kw_spent *spent)
{
    uint8_t at = 0;
    for (size_t i = 0; i < limit_count; i++) {
        if (!uses[i].is_asked) {
            continue;
        }
        spend_limit(ledger, &run[i], now_ms, cost, &uses[i]);
        if (!spent->has_limit || uses[i].answer.remaining < spent->limit.remaining) {
            spent->has_limit = true;
            spent->limit_at = at;
            spent->limit.remaining = uses[i].answer.remaining;
            spent->limit.resets_at_ms = run[i].limit.state.newest_ms + run[i].limit.window_ms;
        }
        at++;
    }
}

static void spend_quotas(struct kw_slot *run, uint32_t cost, struct kw_spent *spent)
{
    double least = 0; /* the part that is left of that which is shown */
    uint8_t at = 0;
    for (size_t i = 0; i < run->quota_count; i++) {
        struct kw_quota_slot *slot = kw_run_quota(run, i);
        if (slot->terms.limit < 0) {
            continue;
        }
        slot->state.spent += amount_of(slot, cost);
        slot->unused_s = 0;
        int64_t used = slot->state.elsewhere + slot->state.spent;
        int64_t remaining = slot->terms.limit - used;
        double part = (double)remaining / ((double)slot->terms.limit + 1);
        if (!spent->has_quota || part < least) {
            least = part;
            spent->has_quota = true;
            spent->quota_at = at;
            spent->quota.used = used > 0 ? used : 0;
            spent->quota.remaining = remaining;
            spent->quota.resets_at_ms = slot->state.period.end_ms;
        }
        at++;
    }
}

bool kw_ledger_spend(const struct kw_ledger *ledger, uint64_t place, uint32_t stamp, uint32_t cost, int64_t now_ms,
                     struct kw_spent *spent_out)
{
    struct limit_use uses[SPENT_AT_ONCE];
    struct kw_slot *run = stamp == 0 ? NULL : kw_room_at(ledger->room, place);
    if (run == NULL) {
        return false;
    }
    kw_slot_lock(run);
    size_t limit_count = run->stamp == stamp ? run->limit_count : 0; /* no more than SPENT_AT_ONCE under a stamp */
    bool is_usual = run->stamp == stamp && all_admit(ledger, run, limit_count, now_ms, cost, uses);
    if (is_usual) {
        spent_out->has_limit = spent_out->has_quota = false;
        spend_limits(ledger, run, limit_count, now_ms, cost, uses, spent_out);
        spend_quotas(run, cost, spent_out);
    }
    kw_slot_unlock(run);
    return is_usual;
}
