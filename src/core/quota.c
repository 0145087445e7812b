#include "core/quota.h"

#include "core/amount.h"

#include <assert.h>

struct kw_span kw_quota_period(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms)
{
    /* The calendar is asked once a period. */
    return now_ms < state->period.end_ms ? state->period : kw_period_at(quota->period, quota->anchor_ms, now_ms);
}

/* The state as the time has left it: a later period starts empty. */
static struct kw_quota_state state_at(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms)
{
    struct kw_span period = kw_quota_period(state, quota, now_ms);
    return period.start_ms == state->period.start_ms && period.end_ms == state->period.end_ms
               ? *state
               : (struct kw_quota_state){.period = period};
}

static int64_t used_of(const struct kw_quota_state *state)
{
    return state->elsewhere + state->spent;
}

/* What is used when the mark is reached. */
static int64_t mark_at(const struct kw_quota *quota, unsigned mark)
{
    int64_t part = quota->limit / 100 * quota->marks[mark];
    int64_t rest = quota->limit % 100 * quota->marks[mark];
    return part + (rest + 99) / 100;
}

/* The quota's marks that are reached, a bit each. A limit of 0 has none. */
static unsigned reached(const struct kw_quota *quota, int64_t used)
{
    unsigned marks = 0;
    for (unsigned i = 0; i < quota->mark_count && quota->limit > 0; i++) {
        marks |= used >= mark_at(quota, i) ? 1U << i : 0;
    }
    return marks;
}

/* What nobody is to be told of any more. An earlier life has told of what was reached before the state was known. */
static unsigned told(const struct kw_quota_state *state, const struct kw_quota *quota)
{
    bool is_met = (state->met >> quota->told_at & 1) != 0;
    return state->told >> KW_QUOTA_MARK_COUNT_MAX * quota->told_at | (is_met ? 0 : reached(quota, state->elsewhere));
}

static bool is_exceeded_by(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t amount)
{
    int64_t used = used_of(state);
    return state->is_known && (amount == 0 ? used >= quota->limit : used + amount > quota->limit);
}

static enum kw_quota_outcome outcome_of(const struct kw_quota_state *state, const struct kw_quota *quota,
                                        int64_t amount, bool is_exceeded)
{
    if (!state->is_known) {
        return KW_QUOTA_UNFUNDED;
    }
    if (is_exceeded && quota->on_exceeded == KW_QUOTA_BLOCK) {
        return KW_QUOTA_REFUSED;
    }
    if (amount > 0 && state->spent + amount > state->reserved) {
        return KW_QUOTA_UNFUNDED;
    }
    return is_exceeded ? KW_QUOTA_OVER : KW_QUOTA_ADMITTED;
}

struct kw_quota_answer kw_quota_look(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms,
                                     int64_t amount)
{
    assert(amount >= 0 && amount <= KW_AMOUNT_MAX && quota->limit >= 0 && quota->limit <= KW_AMOUNT_MAX);
    struct kw_quota_state current = state_at(state, quota, now_ms);
    bool is_exceeded = is_exceeded_by(&current, quota, amount);
    enum kw_quota_outcome outcome = outcome_of(&current, quota, amount, is_exceeded);
    int64_t before = used_of(&current);
    int64_t used = outcome == KW_QUOTA_ADMITTED || outcome == KW_QUOTA_OVER ? before + amount : before;
    unsigned marks = current.is_known ? reached(quota, used) : 0;
    return (struct kw_quota_answer){
        .outcome = outcome,
        .is_exceeded = is_exceeded,
        .used = used > 0 ? used : 0, /* a credit may have made it less than nothing */
        .remaining = used < quota->limit ? quota->limit - used : 0,
        .resets_at_ms = current.period.end_ms,
        .marks = marks == 0 ? 0 : marks & ~told(&current, quota),
    };
}

void kw_quota_spend(struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms, int64_t amount)
{
    *state = state_at(state, quota, now_ms);
    assert(state->is_known && state->spent + amount <= state->reserved);
    state->spent += amount;
}

void kw_quota_tell(struct kw_quota_state *state, const struct kw_quota *quota, unsigned marks)
{
    state->told |= marks << KW_QUOTA_MARK_COUNT_MAX * quota->told_at;
}

static int64_t share_of(const struct kw_quota *quota)
{
    int64_t share = quota->limit / KW_QUOTA_SHARES;
    return share > KW_AMOUNT_ONE ? share : KW_AMOUNT_ONE;
}

/* What nobody has taken of the period yet. */
static int64_t untaken_of(const struct kw_quota_state *state, const struct kw_quota *quota)
{
    return kw_quota_ceiling(quota) - state->elsewhere - state->reserved;
}

int64_t kw_quota_calm_until(const struct kw_quota_state *state, const struct kw_quota *quota, bool spends)
{
    int64_t calm_until = quota->limit - state->elsewhere - (spends ? 0 : 1);
    if (spends) {
        int64_t kept = untaken_of(state, quota) > 0 ? share_of(quota) / 2 + 1 : 0;
        calm_until = calm_until < state->reserved - kept ? calm_until : state->reserved - kept;
    }
    unsigned untold = ~told(state, quota);
    for (unsigned i = 0; i < quota->mark_count && quota->limit > 0; i++) {
        int64_t before = mark_at(quota, i) - state->elsewhere - 1;
        calm_until = (untold >> i & 1) != 0 && before < calm_until ? before : calm_until;
    }
    return calm_until;
}

int64_t kw_quota_wanted(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms,
                        int64_t amount)
{
    struct kw_quota_state current = state_at(state, quota, now_ms);
    int64_t share = share_of(quota);
    int64_t unspent = kw_quota_unspent(&current);
    int64_t untaken = untaken_of(&current, quota);
    if (amount > unspent + untaken) {
        amount = 0; /* it will be refused, and is not to tie down what is left */
    }
    if (untaken <= 0 || (amount <= unspent && unspent > share / 2)) {
        return 0;
    }
    int64_t wanted = amount > unspent + share ? amount - unspent : share;
    return wanted < untaken ? wanted : untaken;
}

bool kw_quota_grant(struct kw_quota_state *state, const struct kw_quota *quota, int64_t start_ms, int64_t granted,
                    int64_t taken)
{
    if (state->is_known && start_ms < state->period.start_ms) {
        return false;
    }
    *state = state_at(state, quota, start_ms);
    state->is_known = true;
    state->reserved += granted;
    state->elsewhere = taken - state->reserved;
    unsigned marks = reached(quota, used_of(state));
    unsigned all = (1U << KW_QUOTA_MARK_COUNT_MAX) - 1;
    kw_quota_tell(state, quota, told(state, quota) & all);
    state->met |= (uint8_t)(1U << quota->told_at);
    /* What a credit has taken back may be reached again. */
    state->told &= ~((all & ~marks) << KW_QUOTA_MARK_COUNT_MAX * quota->told_at);
    return true;
}

int64_t kw_quota_unspent(const struct kw_quota_state *state)
{
    return state->reserved > state->spent ? state->reserved - state->spent : 0;
}

int64_t kw_quota_ceiling(const struct kw_quota *quota)
{
    return quota->on_exceeded == KW_QUOTA_BLOCK ? quota->limit : KW_AMOUNT_MAX;
}
