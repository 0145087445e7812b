#include "engine/ledger_state.h"

/*
 * When an account is given up: what says nothing more at once; what a period would keep for long, once nobody has used
 * it for a while. A quota that is set aside is not known any more, so nobody can spend of it: whoever comes asks the
 * store, behind what is given back there. What is lost between the two is a reserve, as in any crash.
 */

#define OWED UINT32_MAX /* in the place of the second since when it is not used */

static bool are_limits_idle(const struct kw_slot *run, int64_t now_ms)
{
    for (size_t i = 0; i < run->limit_count; i++) {
        struct kw_rate_limit limit = {.window_ms = run[i].limit.window_ms};
        if (!kw_limit_is_idle(&run[i].limit.state, &limit, now_ms)) {
            return false;
        }
    }
    return true;
}

static bool is_running(const struct kw_quota_slot *slot, int64_t now_ms)
{
    return slot->state.is_known && now_ms < slot->state.period.end_ms;
}

bool kw__ledger_is_idle(struct kw_slot *run, int64_t now_ms)
{
    for (size_t i = 0; i < run->quota_count; i++) {
        if (is_running(kw_run_quota(run, i), now_ms)) {
            return false;
        }
    }
    return are_limits_idle(run, now_ms);
}

static void mark(struct kw_slot *run, uint32_t unused_s)
{
    for (size_t i = 0; i < run->quota_count; i++) {
        kw_run_quota(run, i)->unused_s = unused_s;
    }
}

void kw__ledger_owe(struct kw_slot *run)
{
    mark(run, OWED);
}

void kw__ledger_was_used(struct kw_slot *run)
{
    mark(run, 0);
}

/* The time is begun where it was used since the last sweep, and where the clock steps back. */
static bool is_unused(struct kw_quota_slot *slot, int64_t now_ms)
{
    uint32_t now_s = (uint32_t)(now_ms / 1000);
    uint32_t unused_s = now_s - slot->unused_s;
    if (slot->unused_s == OWED) {
        return false;
    }
    if (slot->unused_s == 0 || unused_s > INT32_MAX) {
        slot->unused_s = now_s == 0 || now_s == OWED ? 1 : now_s;
        return false;
    }
    return unused_s >= KW_UNUSED_MS / 1000;
}

bool kw__ledger_goes_unused(struct kw_ledger *ledger, struct kw_slot *run, int64_t now_ms)
{
    bool goes = ledger->is_durable && are_limits_idle(run, now_ms);
    size_t unspent = 0;
    for (size_t i = 0; i < run->quota_count; i++) {
        struct kw_quota_slot *slot = kw_run_quota(run, i);
        goes = (!is_running(slot, now_ms) || is_unused(slot, now_ms)) && goes;
        unspent += is_running(slot, now_ms) && kw_quota_unspent(&slot->state) > 0;
    }
    if (!goes || ledger->aside_count + unspent > KW_ASIDE_MAX) {
        return false;
    }
    for (size_t i = 0; i < run->quota_count; i++) {
        struct kw_quota_slot *slot = kw_run_quota(run, i);
        if (!is_running(slot, now_ms)) {
            continue;
        }
        if (kw_quota_unspent(&slot->state) > 0) {
            ledger->aside[ledger->aside_count++] = (struct kw_aside){run->account, slot->claim, slot->state};
        }
        slot->state = (struct kw_quota_state){.period = slot->state.period};
    }
    run->stamp = 0;
    return unspent == 0;
}

size_t kw_ledger_aside(const struct kw_ledger *ledger, const struct kw_aside **aside_out)
{
    *aside_out = ledger->aside;
    return ledger->aside_count;
}

/* As it was, if nobody has asked the store since. */
static void put_back(struct kw_ledger *ledger, const struct kw_aside *aside)
{
    uint32_t number = kw_room_find(ledger->room, &aside->account);
    if (number == 0) {
        return;
    }
    struct kw_slot *run = kw_room_run(ledger->room, number);
    kw_slot_lock(run);
    for (size_t i = 0; i < run->quota_count; i++) {
        struct kw_quota_slot *slot = kw_run_quota(run, i);
        if (slot->claim == aside->claim && !slot->state.is_known) {
            slot->state = aside->state;
            slot->unused_s = 0; /* it is tried again after the same time */
            run->stamp = 0;
        }
    }
    kw_slot_unlock(run);
}

void kw_ledger_aside_end(struct kw_ledger *ledger, bool is_kept)
{
    pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < ledger->aside_count && is_kept; i++) {
        put_back(ledger, &ledger->aside[i]);
    }
    ledger->aside_count = 0;
    pthread_mutex_unlock(&ledger->lock);
}
