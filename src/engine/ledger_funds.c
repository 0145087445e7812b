#include "engine/ledger_state.h"

#include <string.h>

#define EPOCH_MS KW_RATE_LIMIT_WINDOW_MS_MAX /* a reserve lasts one or two: so its note can be forgotten one day */

void kw_ledger_begin(struct kw_ledger *ledger, int64_t life_ms, bool after_crash, int64_t notes_until_ms)
{
    ledger->life_ms = life_ms;
    ledger->waits_until_ms = after_crash ? life_ms + KW_DURABLE_WINDOW_MS : 0;
    ledger->notes_until_ms = notes_until_ms;
}

void kw_ledger_open(struct kw_ledger *ledger)
{
    __atomic_store_n(&ledger->is_open, true, __ATOMIC_RELEASE);
}

bool kw_ledger_is_open(const struct kw_ledger *ledger)
{
    return __atomic_load_n(&ledger->is_open, __ATOMIC_ACQUIRE);
}

static uint8_t epoch_of(int64_t now_ms)
{
    return (uint8_t)(now_ms / EPOCH_MS & 1);
}

void kw__ledger_expire_reserves(struct kw_slot *run, int64_t now_ms)
{
    for (size_t i = 0; i < run->limit_count; i++) {
        struct kw_limit_slot *slot = &run[i].limit;
        if (slot->reserve > 0 && slot->epoch != epoch_of(now_ms)) {
            slot->reserve = 0;
        }
    }
}

static void want_limit(const struct kw_limit_slot *slot, const struct kw_rate_limit *limit,
                       const struct kw_charge *charge, struct kw_want *want)
{
    uint32_t share = kw__ledger_share(limit);
    if (slot->is_unknown) {
        want->kind = KW_WANT_NOTE;
        return;
    }
    bool is_longer = kw__ledger_outgrew_note(slot, limit);
    bool is_short = slot->reserve < charge->cost || slot->reserve <= share / 2;
    bool is_kept = limit->window_ms > KW_DURABLE_WINDOW_MS && charge->cost <= limit->requests;
    if (!is_kept || (!is_short && !is_longer) || charge->is_trial) {
        return;
    }
    uint32_t most = (uint32_t)limit->requests;
    uint32_t add = !is_short ? 0 : share > charge->cost ? share : charge->cost; /* a crash costs all that was added */
    add = slot->reserve + add <= most ? add : slot->reserve < most ? most - slot->reserve : 0;
    want->kind = add > 0 || is_longer ? KW_WANT_RESERVE : KW_WANT_NOTHING;
    want->reserve = add;
    want->epoch = epoch_of(charge->now_ms);
    want->note_size = kw_limit_write(&slot->state, limit, slot->reserve + add, want->note);
}

static void want_quota(const struct kw_quota_slot *slot, const struct kw_claim *claim, const struct kw_charge *charge,
                       struct kw_want *want)
{
    const struct kw_quota *quota = &claim->quota;
    bool is_first = claim->second == 0; /* which reserves for all that share its state */
    int64_t amount = kw__ledger_amount(quota, charge->cost);
    struct kw_quota_answer answer = kw_quota_look(&slot->state, quota, charge->now_ms, amount);
    bool is_reserved = amount > 0 && is_first && !charge->is_trial;
    want->amount = is_reserved ? kw_quota_wanted(&slot->state, quota, charge->now_ms, amount) : 0;
    want->period = kw_quota_period(&slot->state, quota, charge->now_ms);
    struct kw_quota_answer before = kw_quota_look(&slot->state, quota, charge->now_ms, 0);
    want->marks = charge->is_trial ? 0 : before.marks;
    bool is_asked = (charge->is_trial ? before.outcome : answer.outcome) == KW_QUOTA_UNFUNDED;
    bool is_any = want->amount > 0 || want->marks != 0 || (is_first && is_asked);
    want->kind = is_any ? KW_WANT_QUOTA : KW_WANT_NOTHING;
    want->used = answer.used;
}

/* The runs of a charge and the slots of its claims, all locked; false without memory. Ended by let_go. */
static bool hold(struct kw_ledger *ledger, const struct kw_charge *charge, struct kw_slot *runs[KW_PER_COUNT],
                 struct kw_found_claim *found_out)
{
    pthread_mutex_lock(&ledger->lock);
    return kw__ledger_open_runs(ledger, charge, kw__ledger_kinds(charge), runs) &&
           kw__ledger_match(runs, charge->claims, charge->claim_count, found_out);
}

static void let_go(struct kw_ledger *ledger, struct kw_slot *const runs[KW_PER_COUNT])
{
    kw__ledger_unlock_all(runs);
    pthread_mutex_unlock(&ledger->lock);
}

enum kw_status kw_ledger_want(struct kw_ledger *ledger, const struct kw_charge *charge, struct kw_want *wants_out,
                              bool *any_out)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    struct kw_found_claim found[KW_CLAIMS_MAX];
    bool is_held = hold(ledger, charge, runs, found);
    struct kw_charge late = *charge; /* as it is looked at where an account is new: of the same period */
    late.now_ms = kw__ledger_time_of(ledger, charge);
    *any_out = false;
    for (size_t i = 0; is_held && i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        wants_out[i] = (struct kw_want){.kind = KW_WANT_NOTHING};
        if (claim->is_quota) {
            want_quota(found[i].quota, claim, &late, &wants_out[i]);
        } else {
            want_limit(found[i].limit, &claim->limit, &late, &wants_out[i]);
        }
        *any_out = *any_out || wants_out[i].kind != KW_WANT_NOTHING;
    }
    let_go(ledger, runs);
    return is_held ? KW_OK : KW_E_MEMORY;
}

/* Whether the first says that more is spent. */
static bool says_more(const struct kw_limit_state *state, const struct kw_limit_state *other,
                      const struct kw_rate_limit *limit, int64_t now_ms)
{
    return kw_limit_look(state, limit, now_ms, 1).remaining < kw_limit_look(other, limit, now_ms, 1).remaining;
}

/*
 * A note that nobody can read may have said that all was spent. One of another claim counts where this life knows of
 * less.
 */
static void take_note(const struct kw_ledger *ledger, const struct kw_rate_limit *limit, const struct kw_want *want,
                      int64_t now_ms, struct kw_limit_slot *slot)
{
    struct kw_limit_state state;
    slot->is_unknown = 0;
    if (want->note_size == 0) {
        return;
    }
    if (kw_limit_read(kw_bytes_of(want->note, want->note_size), want->dead_by_ms, &state) != KW_OK) {
        kw__ledger_wait_out(slot, limit, ledger->life_ms);
    } else if (want->is_own || says_more(&state, &slot->state, limit, now_ms)) {
        slot->state = state;
        slot->window_ms = want->is_own ? (uint32_t)limit->window_ms : 0; /* else it was never spent from */
    }
}

static void take_reserve(const struct kw_want *want, const struct kw_rate_limit *limit, struct kw_limit_slot *slot)
{
    uint32_t kept = slot->epoch == want->epoch ? slot->reserve : 0;
    slot->reserve = (kept + want->reserve) & 0x3fffffffU; /* no more than the limit: it fits */
    slot->epoch = want->epoch & 1U;
    if (kw__ledger_outgrew_note(slot, limit)) {
        slot->window_ms = (uint32_t)limit->window_ms;
    }
}

static void take(const struct kw_ledger *ledger, const struct kw_claim *claim, const struct kw_want *want,
                 int64_t now_ms, const struct kw_found_claim *found)
{
    switch (want->kind) {
    case KW_WANT_NOTE:
        if (found->limit->is_unknown) {
            take_note(ledger, &claim->limit, want, now_ms, found->limit);
        }
        break;
    case KW_WANT_RESERVE:
        if (!found->limit->is_unknown) {
            take_reserve(want, &claim->limit, found->limit);
        }
        break;
    case KW_WANT_QUOTA: /* a late one of an earlier period is lost to nobody */
        if (kw_quota_grant(&found->quota->state, &claim->quota, want->period.start_ms, want->granted, want->taken)) {
            kw_quota_tell(&found->quota->state, &claim->quota, want->marks);
        }
        break;
    default:
        break;
    }
}

void kw_ledger_fund(struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_want *wants, bool is_done)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    struct kw_found_claim found[KW_CLAIMS_MAX];
    bool is_held = hold(ledger, charge, runs, found);
    for (size_t i = 0; is_held && is_done && i < charge->claim_count; i++) {
        take(ledger, &charge->claims[i], &wants[i], charge->now_ms, &found[i]);
    }
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        if (runs[per] != NULL) {
            runs[per]->is_noted = false;
            runs[per]->stamp = 0;
            if (is_done) {
                kw__ledger_was_used(runs[per]);
            } else {
                kw__ledger_owe(runs[per]);
            }
        }
    }
    let_go(ledger, runs);
}

void kw_ledger_report(struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_want *wants)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    struct kw_found_claim found[KW_CLAIMS_MAX];
    bool is_held = hold(ledger, charge, runs, found);
    for (size_t i = 0; is_held && i < charge->claim_count; i++) {
        const struct kw_want *want = &wants[i];
        struct kw_quota_state *state = &found[i].quota->state;
        found[i].quota->unused_s = 0;
        runs[charge->claims[i].per]->stamp = 0;
        if (kw_quota_grant(state, &charge->claims[i].quota, want->period.start_ms, want->granted, want->taken)) {
            kw_quota_spend(state, &charge->claims[i].quota, want->period.start_ms, want->granted);
        }
    }
    let_go(ledger, runs);
}

static struct kw_limit_answer look_at_limit(const struct kw_limit_slot *slot, const struct kw_rate_limit *limit,
                                            int64_t now_ms)
{
    struct kw_rate_limit most = {.requests = KW_RATE_LIMIT_REQUESTS_MAX, .window_ms = limit->window_ms};
    const struct kw_limit_answer nothing = {.is_asked = false};
    return slot->is_unknown ? nothing : kw_limit_look(&slot->state, &most, now_ms, 1);
}

struct kw_limit_answer kw_ledger_look_at_note(const struct kw_ledger *ledger, const struct kw_rate_limit *limit,
                                              const struct kw_want *want, int64_t now_ms)
{
    struct kw_limit_slot slot = {0};
    take_note(ledger, limit, want, now_ms, &slot);
    return look_at_limit(&slot, limit, now_ms);
}

enum kw_status kw_ledger_look(struct kw_ledger *ledger, const struct kw_charge *charge,
                              union kw_claim_answer *answers_out)
{
    struct kw_slot *runs[KW_PER_COUNT] = {NULL};
    struct kw_found_claim found[KW_CLAIMS_MAX];
    bool is_held = hold(ledger, charge, runs, found);
    for (size_t i = 0; is_held && i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->is_quota) {
            answers_out[i].quota = kw_quota_look(&found[i].quota->state, &claim->quota, charge->now_ms, 0);
        } else {
            answers_out[i].limit = look_at_limit(found[i].limit, &claim->limit, charge->now_ms);
        }
    }
    let_go(ledger, runs);
    return is_held ? KW_OK : KW_E_MEMORY;
}

/* --- a clean stop --- */

static bool leave_limit(const struct kw_slot *run, size_t at, int64_t now_ms, struct kw_left *left)
{
    const struct kw_limit_slot *slot = &run[at].limit;
    struct kw_rate_limit limit = {.requests = KW_RATE_LIMIT_REQUESTS_MAX, .window_ms = slot->window_ms};
    /* What earlier lives have left stands as it is; of one that is idle no note says anything. */
    if (slot->is_unknown || slot->window_ms == 0 || kw_limit_is_idle(&slot->state, &limit, now_ms)) {
        return false;
    }
    *left = (struct kw_left){
        .account = run->account, .claim = slot->claim, .until_ms = slot->state.newest_ms + slot->window_ms};
    left->note_size = kw_limit_write(&slot->state, &limit, 0, left->note);
    return true;
}

static bool leave_quota(struct kw_slot *run, size_t at, int64_t now_ms, struct kw_left *left)
{
    const struct kw_quota_slot *slot = kw_run_quota(run, at);
    *left = (struct kw_left){.account = run->account,
                             .claim = slot->claim,
                             .is_quota = true,
                             .period = slot->state.period,
                             .until_ms = slot->state.period.end_ms,
                             .unspent = kw_quota_unspent(&slot->state)};
    return slot->state.is_known && left->unspent > 0 && now_ms < left->until_ms;
}

/* The cursor is the slot's number, and in its low 16 bits the claim of its run. */
size_t kw_ledger_leave(struct kw_ledger *ledger, uint64_t *cursor, int64_t now_ms, struct kw_left *left_out,
                       size_t size)
{
    size_t count = 0;
    size_t slots = kw_room_chunks(ledger->room) * KW_CHUNK_SLOTS;
    size_t slot = (size_t)(*cursor >> 16);
    size_t claim = *cursor & 0xffff;
    for (; slot < slots && count < size; slot++, claim = 0) {
        struct kw_slot *run = kw_room_at(ledger->room, (uint64_t)(slot + 1) << 32);
        if (run == NULL || kw_id_is_none(&run->account)) {
            continue;
        }
        size_t claims = (size_t)run->limit_count + run->quota_count;
        for (; claim < claims && count < size; claim++) {
            count += claim < run->limit_count ? leave_limit(run, claim, now_ms, &left_out[count])
                                              : leave_quota(run, claim - run->limit_count, now_ms, &left_out[count]);
        }
        if (claim < claims) {
            break;
        }
    }
    *cursor = (uint64_t)slot << 16 | claim;
    return count;
}
