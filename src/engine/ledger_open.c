#include "engine/ledger_state.h"

#include <assert.h>
#include <string.h>

static_assert(
    2 * (KW_FAMILY_DEPTH_MAX + 1) * KW_QUOTA_COUNT_MAX <= KW_RUN_QUOTAS_MAX &&
        2 * (KW_FAMILY_DEPTH_MAX + 1) * (KW_RATE_LIMIT_COUNT_MAX + KW_QUOTA_COUNT_MAX) <= KW_RUN_LIMITS_MAX,
    "what a request is asked finds room: of each ancestor and its policy, limits, quotas and their throttles");

/* Slots for claims that an account has none for yet, in a run that is made anew where they are more than it holds. */

/* What is known of an account's spending when a limit is new to it: all its limits are spent from together, so that of
 * the longest window has the most. So nothing is forgiven by another name, or by a limit that comes from above. */
static const struct kw_limit_slot *longest_of(const struct kw_slot *run)
{
    const struct kw_limit_slot *longest = NULL;
    for (size_t i = 0; run != NULL && i < run->limit_count; i++) {
        if (longest == NULL || run[i].limit.window_ms > longest->window_ms) {
            longest = &run[i].limit;
        }
    }
    return longest;
}

void kw__ledger_wait_out(struct kw_limit_slot *slot, const struct kw_rate_limit *limit, int64_t at_ms)
{
    struct kw_limit_use use = {.limit = limit, .state = &slot->state};
    slot->window_ms = (uint32_t)limit->window_ms;
    slot->state = (struct kw_limit_state){0};
    (void)!kw_limits_take(&use, 1, at_ms, (uint32_t)limit->requests);
}

static void begin_limit(const struct kw_ledger *ledger, const struct kw_slot *before, const struct kw_charge *charge,
                        const struct kw_claim *claim, struct kw_limit_slot *slot)
{
    const struct kw_limit_slot *known = longest_of(before);
    slot->claim = claim->id;
    if (known != NULL) {
        slot->state = known->state;
        slot->is_unknown = known->is_unknown;
    }
    if (!ledger->is_durable) {
        return;
    }
    bool is_long = claim->limit.window_ms > KW_DURABLE_WINDOW_MS;
    /* An earlier life may have spent from it under its own name, whatever this one knows of others. */
    slot->is_unknown = slot->is_unknown || is_long || charge->now_ms < ledger->notes_until_ms;
    if (!is_long && charge->now_ms < ledger->waits_until_ms) {
        kw__ledger_wait_out(slot, &claim->limit, known == NULL ? ledger->life_ms : charge->now_ms);
        slot->is_unknown = 0; /* no note says more, and one of before the crash less */
    }
}

static bool has_claim(struct kw_slot *run, const struct kw_claim *claim)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    struct kw_found_claim found;
    runs[claim->per] = run;
    return run != NULL && kw__ledger_match(runs, claim, 1, &found);
}

static bool is_claimed(const struct kw_charge *charge, size_t per, bool is_quota, uint32_t id)
{
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->per == per && claim->is_quota == is_quota && claim->id == id) {
            return true;
        }
    }
    return false;
}

/* Whether a slot that no claim of this charge is about says something still. */
static bool says_something(const struct kw_slot *run, size_t limit, int64_t now_ms)
{
    struct kw_rate_limit was = {.window_ms = run[limit].limit.window_ms};
    return run[limit].limit.is_unknown || !kw_limit_is_idle(&run[limit].limit.state, &was, now_ms);
}

/* Claims first, in their order, then what else is to be kept of the run before, as far as there is room. */
static void fill(const struct kw_ledger *ledger, const struct kw_charge *charge, size_t per, struct kw_slot *before,
                 struct kw_slot *run)
{
    size_t limits = 0, quotas = 0;
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        struct kw_slot *runs[KW_PER_COUNT] = {NULL};
        struct kw_found_claim found;
        runs[per] = before;
        bool fits = claim->is_quota ? quotas < run->quota_count : limits < run->limit_count;
        if (claim->per != per || claim->second > 0 || !fits) { /* without a slot nobody is let through */
            continue;
        }
        bool is_there = before != NULL && kw__ledger_match(runs, claim, 1, &found);
        if (claim->is_quota) {
            struct kw_quota_slot *slot = kw_run_quota(run, quotas++);
            *slot = is_there ? *found.quota : (struct kw_quota_slot){.claim = claim->id};
        } else if (is_there) {
            run[limits++].limit = *found.limit;
        } else {
            begin_limit(ledger, before, charge, claim, &run[limits++].limit);
        }
    }
    for (size_t i = 0; before != NULL && i < before->limit_count && limits < run->limit_count; i++) {
        if (!is_claimed(charge, per, false, before[i].limit.claim) && says_something(before, i, charge->now_ms)) {
            run[limits++].limit = before[i].limit;
        }
    }
    for (size_t i = 0; before != NULL && i < before->quota_count && quotas < run->quota_count; i++) {
        if (!is_claimed(charge, per, true, kw_run_quota(before, i)->claim)) {
            *kw_run_quota(run, quotas++) = *kw_run_quota(before, i);
        }
    }
}

/* How many slots of a kind an account needs: for its claims, and for what else it has. */
static void count(const struct kw_charge *charge, size_t per, struct kw_slot *before, size_t *limits_out,
                  size_t *quotas_out)
{
    *limits_out = *quotas_out = 0;
    for (size_t i = 0; i < charge->claim_count; i++) {
        if (charge->claims[i].per == per && charge->claims[i].second == 0) {
            *(charge->claims[i].is_quota ? quotas_out : limits_out) += 1;
        }
    }
    for (size_t i = 0; before != NULL && i < before->limit_count; i++) {
        *limits_out +=
            !is_claimed(charge, per, false, before[i].limit.claim) && says_something(before, i, charge->now_ms);
    }
    for (size_t i = 0; before != NULL && i < before->quota_count; i++) {
        *quotas_out += !is_claimed(charge, per, true, kw_run_quota(before, i)->claim);
    }
}

static bool has_all(struct kw_slot *run, const struct kw_charge *charge, size_t per)
{
    bool has = true;
    for (size_t i = 0; i < charge->claim_count && has; i++) {
        has = charge->claims[i].per != per || has_claim(run, &charge->claims[i]);
    }
    return has;
}

/* An account whose limits were renamed again and again within their windows loses what was oldest of them. */
static void bound(size_t *limits, size_t *quotas)
{
    *limits = *limits < KW_RUN_LIMITS_MAX ? *limits : KW_RUN_LIMITS_MAX;
    *quotas = *quotas < KW_RUN_QUOTAS_MAX ? *quotas : KW_RUN_QUOTAS_MAX;
}

static struct kw_slot *open_run(struct kw_ledger *ledger, const struct kw_charge *charge, size_t per)
{
    const struct kw_account *account = &charge->accounts[per];
    uint32_t number = kw_room_find(ledger->room, &account->id);
    struct kw_slot *before = number == 0 ? NULL : kw_room_run(ledger->room, number);
    struct kw_slot *run = before;
    if (before != NULL) {
        kw_slot_lock(before);
    }
    if (before == NULL || !has_all(before, charge, per)) {
        size_t limits, quotas;
        count(charge, per, before, &limits, &quotas);
        bound(&limits, &quotas);
        uint32_t made = kw_room_take(ledger->room, &account->id, limits, quotas);
        if (made == 0) {
            if (before != NULL) {
                kw_slot_unlock(before);
            }
            return NULL;
        }
        run = kw_room_run(ledger->room, made);
        fill(ledger, charge, per, before, run);
        if (before != NULL) {
            kw_room_give(ledger->room, number);
        }
        number = made;
    }
    __atomic_store_n(account->place, kw_run_place(number, run), __ATOMIC_RELAXED);
    return run;
}

bool kw__ledger_open_runs(struct kw_ledger *ledger, const struct kw_charge *charge, unsigned kinds,
                          struct kw_slot *runs[KW_PER_COUNT])
{
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        if ((kinds >> per & 1) != 0) {
            runs[per] = open_run(ledger, charge, per);
            if (runs[per] == NULL) {
                return false;
            }
        }
    }
    return true;
}
