#include "engine/ledger_state.h"

#include "base/memory.h"
#include "core/amount.h"
#include "engine/index.h"
#include "engine/pool.h"

#include <assert.h>
#include <string.h>

#define PIECE_SLOTS 512 /* that are swept under one hold of the lock */
#define PIECES ((KW_CHUNK_SLOTS + PIECE_SLOTS - 1) / PIECE_SLOTS)
#define SWEPT_PART 16 /* of all are swept with each call */

enum kw_status kw_ledger_new(bool is_durable, struct kw_ledger **ledger_out)
{
    struct kw_ledger *ledger = kw_alloc(1, sizeof *ledger);
    if (ledger == NULL) {
        return KW_E_MEMORY;
    }
    if (kw_room_new(&ledger->room) != KW_OK) {
        kw_free(ledger);
        return KW_E_MEMORY;
    }
    ledger->aside = is_durable ? kw_alloc(KW_ASIDE_MAX, sizeof *ledger->aside) : NULL;
    if (is_durable && ledger->aside == NULL) {
        kw_room_free(ledger->room);
        kw_free(ledger);
        return KW_E_MEMORY;
    }
    ledger->is_durable = is_durable;
    ledger->is_open = !is_durable;
    pthread_mutex_init(&ledger->lock, NULL);
    *ledger_out = ledger;
    return KW_OK;
}

void kw_ledger_free(struct kw_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    kw_room_free(ledger->room);
    pthread_mutex_destroy(&ledger->lock);
    kw_free(ledger->aside);
    kw_free(ledger);
}

/* --- what a charge finds in its runs, which are locked --- */

bool kw__ledger_match(struct kw_slot *const runs[KW_PER_COUNT], const struct kw_claim *claims, size_t count,
                      struct kw_found_claim *found_out)
{
    size_t limits_seen[KW_PER_COUNT] = {0}, quotas_seen[KW_PER_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        const struct kw_claim *claim = &claims[i];
        struct kw_slot *run = runs[claim->per];
        size_t of_kind = claim->is_quota ? run->quota_count : run->limit_count;
        size_t *seen = claim->is_quota ? &quotas_seen[claim->per] : &limits_seen[claim->per];
        bool is_found = false;
        for (size_t tried = 0; tried < of_kind && !is_found; tried++) { /* as a rule they stand in the same order */
            size_t at = *seen < of_kind ? *seen : 0;
            *seen = at + 1;
            if (claim->is_quota) {
                found_out[i].quota = kw_run_quota(run, at);
                is_found = found_out[i].quota->claim == claim->id;
            } else {
                found_out[i].limit = &run[at].limit;
                is_found = found_out[i].limit->claim == claim->id;
            }
        }
        if (!is_found) {
            return false;
        }
    }
    return true;
}

uint32_t kw__ledger_share(const struct kw_rate_limit *limit)
{
    return (uint32_t)(limit->requests / KW_QUOTA_SHARES + 1);
}

int64_t kw__ledger_amount(const struct kw_quota *quota, uint32_t cost)
{
    return kw_bytes_equal(quota->metric, KW_BYTES("requests")) ? (int64_t)cost * KW_AMOUNT_ONE : 0;
}

static void weigh_quota(const struct kw_charge *charge, const struct kw_quota *quota, const struct kw_quota_slot *slot,
                        struct kw_charged *charged, struct kw_quota_answer *answer)
{
    int64_t amount = kw__ledger_amount(quota, charge->cost);
    *answer = kw_quota_look(&slot->state, quota, charge->now_ms, amount);
    bool is_known = slot->state.is_known && charge->now_ms < slot->state.period.end_ms;
    if (charge->is_trial && answer->outcome == KW_QUOTA_UNFUNDED && is_known) {
        bool is_over = slot->state.elsewhere + slot->state.spent + amount > quota->limit;
        answer->outcome = is_over ? KW_QUOTA_OVER : KW_QUOTA_ADMITTED; /* it would be, after a moment */
    }
    if (answer->outcome == KW_QUOTA_REFUSED && charged->outcome != KW_CHARGE_RATE_LIMITED) {
        charged->outcome = KW_CHARGE_QUOTA_EXCEEDED;
    } else if (answer->outcome == KW_QUOTA_UNFUNDED && charged->outcome == KW_CHARGE_ADMITTED) {
        charged->outcome = KW_CHARGE_UNFUNDED;
    }
}

/* Whether the claim is asked at all. */
static bool is_asked(const struct kw_claim *claim, const struct kw_charged *charged)
{
    return claim->throttles == 0 || charged->answers[claim->throttles - 1].quota.is_exceeded;
}

static void weigh_limit(const struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_claim *claim,
                        const struct kw_limit_slot *slot, struct kw_charged *charged, struct kw_limit_answer *answer)
{
    *answer = (struct kw_limit_answer){.is_asked = false, .is_admitted = true};
    if (!is_asked(claim, charged)) {
        return;
    }
    *answer = kw_limit_look(&slot->state, &claim->limit, charge->now_ms, charge->cost);
    bool is_short = slot->reserve < charge->cost || kw__ledger_outgrew_note(slot, &claim->limit);
    is_short = is_short && kw__ledger_is_durable(ledger, claim->limit.window_ms) && !charge->is_trial;
    if (!answer->is_admitted) {
        charged->outcome = KW_CHARGE_RATE_LIMITED;
    } else if (is_short && charged->outcome == KW_CHARGE_ADMITTED) {
        charged->outcome = KW_CHARGE_UNFUNDED;
    }
}

static void spend_limit(const struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_claim *claim,
                        struct kw_slot *run, struct kw_limit_slot *slot, struct kw_charged *charged,
                        struct kw_limit_answer *answer)
{
    struct kw_limit_use use = {&claim->limit, &slot->state, *answer};
    if (!is_asked(claim, charged)) {
        return;
    }
    if (slot->window_ms != claim->limit.window_ms || slot->state.requests != claim->limit.requests) {
        run->stamp = 0;
    }
    kw_limits_spend(&use, 1, charge->now_ms, charge->cost);
    *answer = use.answer;
    slot->state.is_heeded = 0;
    slot->window_ms = (uint32_t)claim->limit.window_ms;
    if (kw__ledger_is_durable(ledger, claim->limit.window_ms)) {
        slot->reserve -= charge->cost;
        charged->wants_funds = charged->wants_funds || slot->reserve <= kw__ledger_share(&claim->limit) / 2;
    }
}

static void spend_quota(const struct kw_charge *charge, const struct kw_claim *claim, struct kw_quota_slot *slot,
                        struct kw_charged *charged, unsigned marks)
{
    int64_t amount = kw__ledger_amount(&claim->quota, charge->cost);
    charged->wants_funds = charged->wants_funds || marks != 0;
    slot->unused_s = 0;
    if (amount > 0 && claim->second == 0) {
        kw_quota_spend(&slot->state, &claim->quota, charge->now_ms, amount);
        charged->wants_funds =
            charged->wants_funds || kw_quota_wanted(&slot->state, &claim->quota, charge->now_ms, 0) > 0;
    }
}

/* A limit that was made longer holds on for its new window, though it may only refuse from now on. What outlives a
 * crash is written down so first. */
static void lengthen(const struct kw_ledger *ledger, const struct kw_rate_limit *limit, struct kw_slot *run,
                     struct kw_limit_slot *slot, struct kw_charged *charged)
{
    if (!kw__ledger_outgrew_note(slot, limit)) {
        return;
    }
    if (kw__ledger_is_durable(ledger, limit->window_ms)) {
        charged->wants_funds = true;
        return;
    }
    run->stamp = 0;
    slot->window_ms = (uint32_t)limit->window_ms;
}

/* All that is unknown is unfunded, whatever else refuses. */
static bool is_unknown(const struct kw_claim *claim, const struct kw_found_claim *found)
{
    return claim->is_quota ? !found->quota->state.is_known : found->limit->is_unknown != 0;
}

/* A quota that would have admitted a request which another claim refuses: nothing of it was used. */
static void show_unspent(const struct kw_charge *charge, const struct kw_found_claim *found, struct kw_charged *charged)
{
    for (size_t i = 0; i < charge->claim_count; i++) {
        struct kw_quota_answer *answer = &charged->answers[i].quota;
        if (charge->claims[i].is_quota) {
            struct kw_quota_answer now =
                kw_quota_look(&found[i].quota->state, &charge->claims[i].quota, charge->now_ms, 0);
            answer->used = now.used;
            answer->remaining = now.remaining;
        }
    }
}

static bool is_found(const struct kw_charge *charge, const struct kw_found_claim *found,
                     const struct kw_limit_slot *slot)
{
    for (size_t i = 0; i < charge->claim_count; i++) {
        if (!charge->claims[i].is_quota && found[i].limit == slot) {
            return true;
        }
    }
    return false;
}

/* How much is spent of a limit of that window, also beyond what it admits. */
static uint32_t spent_of(const struct kw_limit_state *state, int64_t window_ms, int64_t now_ms)
{
    const struct kw_rate_limit most = {.requests = KW_RATE_LIMIT_REQUESTS_MAX, .window_ms = window_ms};
    return KW_RATE_LIMIT_REQUESTS_MAX - kw_limit_look(state, &most, now_ms, 1).remaining;
}

static void catch_up_with(const struct kw_charge *charge, const struct kw_claim *claim, struct kw_limit_slot *slot,
                          const struct kw_limit_slot *other)
{
    bool counts = claim->per == KW_PER_KEY && claim->throttles == 0;
    if (!counts || slot->is_unknown || other->state.newest_ms < slot->state.newest_ms) {
        return;
    }
    int64_t window_ms = claim->limit.window_ms;
    if (spent_of(&other->state, window_ms, charge->now_ms) > spent_of(&slot->state, window_ms, charge->now_ms)) {
        slot->state = other->state;
        slot->reserve = 0; /* it was written down with the state of before */
    }
}

/*
 * All limits of a key's own account are spent from together, under whatever names they have at the time. So one that
 * comes back under the name of before learns what was spent under another one meanwhile, where that is more than it
 * knows itself. It does so once: what it is told later would make a `retryAfter` untrue. What throttles counts only
 * what it throttled.
 */
static void catch_up(const struct kw_charge *charge, const struct kw_found_claim *found, struct kw_slot *run)
{
    for (size_t at = 0; at < run->limit_count; at++) {
        struct kw_limit_slot *other = &run[at].limit;
        if (other->is_unknown || other->state.is_heeded || is_found(charge, found, other)) {
            continue;
        }
        for (size_t i = 0; i < charge->claim_count; i++) {
            if (!charge->claims[i].is_quota) {
                catch_up_with(charge, &charge->claims[i], found[i].limit, other);
            }
        }
        other->state.is_heeded = 1;
        run->stamp = 0; /* whoever spends from it says so in full */
    }
}

/* The runs are locked. False when a claim has no slot yet: then nothing is said. */
static bool charge_runs(struct kw_ledger *ledger, struct kw_slot *const runs[KW_PER_COUNT],
                        const struct kw_charge *charge, struct kw_charged *charged)
{
    struct kw_found_claim found[KW_CLAIMS_MAX];
    if (!kw__ledger_match(runs, charge->claims, charge->claim_count, found)) {
        return false;
    }
    if (runs[KW_PER_KEY] != NULL) {
        catch_up(charge, found, runs[KW_PER_KEY]);
    }
    charged->outcome = KW_CHARGE_ADMITTED;
    charged->wants_funds = false;
    bool is_known = charge->is_trial || __atomic_load_n(&ledger->is_open, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        is_known = is_known && !is_unknown(claim, &found[i]);
        if (claim->is_quota) {
            weigh_quota(charge, &claim->quota, found[i].quota, charged, &charged->answers[i].quota);
        } else {
            weigh_limit(ledger, charge, claim, found[i].limit, charged, &charged->answers[i].limit);
            if (!charge->is_trial) {
                lengthen(ledger, &claim->limit, runs[claim->per], found[i].limit, charged);
            }
        }
    }
    if (!is_known) {
        charged->outcome = KW_CHARGE_UNFUNDED;
    } else if (charged->outcome != KW_CHARGE_ADMITTED) {
        show_unspent(charge, found, charged);
    }
    for (size_t i = 0; i < charge->claim_count && charged->outcome == KW_CHARGE_ADMITTED && !charge->is_trial; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->is_quota) {
            spend_quota(charge, claim, found[i].quota, charged, charged->answers[i].quota.marks);
        } else {
            spend_limit(ledger, charge, claim, runs[claim->per], found[i].limit, charged, &charged->answers[i].limit);
        }
    }
    if (charged->outcome == KW_CHARGE_ADMITTED && !charge->is_trial && runs[KW_PER_KEY] != NULL) {
        kw__ledger_stamp(ledger, runs[KW_PER_KEY], charge, charged->wants_funds ? NULL : found);
    }
    return true;
}

/* A want is told once, until it was met. */
static void tell_once(struct kw_slot *const runs[KW_PER_COUNT], struct kw_charged *charged)
{
    bool is_news = false;
    for (size_t per = 0; per < KW_PER_COUNT && charged->wants_funds; per++) {
        if (runs[per] != NULL && !runs[per]->is_noted) {
            runs[per]->is_noted = is_news = true;
        }
    }
    charged->wants_funds = is_news;
}

/* --- holding the runs of a charge --- */

void kw__ledger_unlock_all(struct kw_slot *const runs[KW_PER_COUNT])
{
    for (size_t per = KW_PER_COUNT; per-- > 0;) {
        if (runs[per] != NULL) {
            kw_slot_unlock(runs[per]);
        }
    }
}

unsigned kw__ledger_kinds(const struct kw_charge *charge)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < charge->claim_count; i++) {
        kinds |= 1U << charge->claims[i].per;
    }
    return kinds;
}

/* False where one of them is not where it last was; then none is locked. */
static bool lock_known(const struct kw_ledger *ledger, const struct kw_charge *charge, unsigned kinds,
                       struct kw_slot *runs[KW_PER_COUNT])
{
    bool is_known = true;
    for (size_t per = 0; per < KW_PER_COUNT && is_known; per++) {
        if ((kinds >> per & 1) == 0) {
            continue;
        }
        uint64_t place = __atomic_load_n(charge->accounts[per].place, __ATOMIC_RELAXED);
        runs[per] = kw_room_at(ledger->room, place);
        if (runs[per] != NULL) {
            kw_slot_lock(runs[per]);
        }
        is_known = runs[per] != NULL && runs[per]->generation == (uint32_t)place;
    }
    if (!is_known) {
        kw__ledger_unlock_all(runs);
    }
    return is_known;
}

enum kw_status kw_ledger_charge(struct kw_ledger *ledger, const struct kw_charge *charge,
                                struct kw_charged *charged_out)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    unsigned kinds = kw__ledger_kinds(charge);
    if (lock_known(ledger, charge, kinds, runs)) {
        bool is_done = charge_runs(ledger, runs, charge, charged_out);
        if (is_done && charged_out->wants_funds) {
            tell_once(runs, charged_out);
        }
        kw__ledger_unlock_all(runs);
        if (is_done) {
            return KW_OK;
        }
    }
    memset(runs, 0, sizeof runs);
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        if ((kinds >> per & 1) != 0 && kw_id_is_none(&charge->accounts[per].id)) {
            return KW_E_NOT_FOUND;
        }
    }
    pthread_mutex_lock(&ledger->lock);
    struct kw_charge late = *charge;
    late.now_ms = kw__ledger_time_of(ledger, charge);
    bool is_done = kw__ledger_open_runs(ledger, &late, kinds, runs) && charge_runs(ledger, runs, &late, charged_out);
    if (is_done && charged_out->wants_funds) {
        tell_once(runs, charged_out);
    }
    kw__ledger_unlock_all(runs);
    pthread_mutex_unlock(&ledger->lock);
    return is_done ? KW_OK : KW_E_MEMORY;
}

const struct kw_slot *kw_ledger_run(const struct kw_ledger *ledger, uint64_t place)
{
    return kw_room_at(ledger->room, place);
}

/* --- sweeping --- */

/* The piece's chunk, where nothing is left in it: nobody new finds it, and it can go when no reader is left. */
static void *sweep_piece(struct kw_ledger *ledger, size_t piece, int64_t now_ms)
{
    size_t chunk = piece / PIECES;
    size_t from = piece % PIECES * PIECE_SLOTS;
    struct kw_slot *first = kw_room_at(ledger->room, (uint64_t)kw_room_number(chunk, 0) << 32);
    for (size_t i = from; first != NULL && i < from + PIECE_SLOTS && i < KW_CHUNK_SLOTS; i++) {
        struct kw_slot *run = &first[i];
        if (kw_id_is_none(&run->account)) {
            continue;
        }
        kw_slot_lock(run);
        kw__ledger_expire_reserves(run, now_ms);
        if (run->is_noted) {
            run->is_noted = false; /* a word that met a full list is left again */
            kw__ledger_owe(run);
        }
        if (kw__ledger_is_idle(run, now_ms) || kw__ledger_goes_unused(ledger, run, now_ms)) {
            ledger->floor_ms = now_ms > ledger->floor_ms ? now_ms : ledger->floor_ms;
            kw_room_give(ledger->room, kw_room_number(chunk, i));
        } else {
            kw_slot_unlock(run);
        }
    }
    return kw_room_take_out(ledger->room, chunk);
}

void kw_ledger_sweep(struct kw_ledger *ledger, int64_t now_ms)
{
    pthread_mutex_lock(&ledger->lock);
    size_t count = kw_room_chunks(ledger->room) * PIECES;
    pthread_mutex_unlock(&ledger->lock);
    size_t steps = count / SWEPT_PART > PIECES ? count / SWEPT_PART : PIECES;
    for (size_t i = 0; i < steps && i < count; i++) {
        pthread_mutex_lock(&ledger->lock); /* given back in between: first uses wait for it */
        ledger->swept = ledger->swept + 1 < count ? ledger->swept + 1 : 0;
        void *empty = sweep_piece(ledger, ledger->swept, now_ms);
        pthread_mutex_unlock(&ledger->lock);
        if (empty != NULL) {
            kw_index_read_wait();
            kw_pages_unmap(empty, KW_CHUNK_BYTES);
        }
    }
}

void kw_ledger_count(struct kw_ledger *ledger, struct kw_ledger_counts *counts_out)
{
    pthread_mutex_lock(&ledger->lock);
    kw_room_count(ledger->room, &counts_out->accounts, &counts_out->slots, &counts_out->bytes);
    pthread_mutex_unlock(&ledger->lock);
    counts_out->bytes += sizeof *ledger + (ledger->aside == NULL ? 0 : KW_ASIDE_MAX * sizeof *ledger->aside);
}
