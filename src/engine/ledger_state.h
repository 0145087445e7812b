/* What the files of the ledger share. */
#ifndef KW_ENGINE_LEDGER_STATE_H
#define KW_ENGINE_LEDGER_STATE_H

#include "engine/ledger.h"
#include "engine/ledger_room.h"

#include <pthread.h>

struct kw_ledger {
    struct kw_room *room;
    bool is_durable;
    bool is_open; /* atomic: nothing is spent before */
    pthread_mutex_t lock __attribute__((aligned(64)));
    int64_t floor_ms; /* what was given up, was idle then: no time before it is taken for true */
    size_t swept;     /* the piece that was swept last, over all chunks */
    int64_t life_ms;
    int64_t
        waits_until_ms; /* after a crash: what an earlier life has spent from short windows is not known until then */
    int64_t notes_until_ms; /* after a clean stop: it stands in notes */
    uint32_t stamps;        /* atomic; that were given */
    struct kw_aside *aside; /* the sweeper's, KW_ASIDE_MAX; NULL: not durable */
    size_t aside_count;
};

/* Whether what is spent of a limit of that window is written down before. */
static inline bool kw__ledger_is_durable(const struct kw_ledger *ledger, int64_t window_ms)
{
    return ledger->is_durable && window_ms > KW_DURABLE_WINDOW_MS;
}

/* The ledger is locked. The clock, but no time before that of what was given up. */
static inline int64_t kw__ledger_time_of(const struct kw_ledger *ledger, const struct kw_charge *charge)
{
    return charge->now_ms > ledger->floor_ms ? charge->now_ms : ledger->floor_ms;
}

/* Where a claim's state is. */
struct kw_found_claim {
    struct kw_limit_slot *limit; /* one of them */
    struct kw_quota_slot *quota;
};

/* The slots of all claims, in runs that are locked; false where one has none. */
KW_MUST_USE bool kw__ledger_match(struct kw_slot *const runs[KW_PER_COUNT], const struct kw_claim *claims, size_t count,
                                  struct kw_found_claim *found_out);

/*
 * The ledger is locked. Locks the runs of those kinds (a bit each), with a slot for each claim, and keeps their places.
 * False without memory; some may be locked then, too.
 */
KW_MUST_USE bool kw__ledger_open_runs(struct kw_ledger *ledger, const struct kw_charge *charge, unsigned kinds,
                                      struct kw_slot *runs[KW_PER_COUNT]);

/* After a charge that was admitted: so that the next one of this entry is a usual one (ledger_usual.c). `found` NULL:
 * it is to be a full one, since there is something to be told until it was heard. */
void kw__ledger_stamp(struct kw_ledger *ledger, struct kw_slot *run, const struct kw_charge *charge,
                      const struct kw_found_claim *found);

/* All that a limit admits counts as spent at `at_ms`: an earlier life may have done so just before. */
void kw__ledger_wait_out(struct kw_limit_slot *slot, const struct kw_rate_limit *limit, int64_t at_ms);
/* Gives up reserves of long ago: their notes may be gone. The run is locked. */
void kw__ledger_expire_reserves(struct kw_slot *run, int64_t now_ms);

/* --- of a run that is locked (ledger_idle.c) --- */

/* It says nothing more than one that is not there. */
bool kw__ledger_is_idle(struct kw_slot *run, int64_t now_ms);
/*
 * A sweep that finds nobody to have used it for KW_UNUSED_MS takes what was reserved and not spent off its quotas, and
 * sets it aside. True where there is none: then it can go.
 */
KW_MUST_USE bool kw__ledger_goes_unused(struct kw_ledger *ledger, struct kw_slot *run, int64_t now_ms);
/* A word of it may be lost, of a mark perhaps: it stays until it is used again. */
void kw__ledger_owe(struct kw_slot *run);
void kw__ledger_was_used(struct kw_slot *run);

/* The kinds of accounts that the claims are of, a bit each. */
unsigned kw__ledger_kinds(const struct kw_charge *charge);
/* Those that are not NULL. */
void kw__ledger_unlock_all(struct kw_slot *const runs[KW_PER_COUNT]);

/*
 * A limit whose window became longer, which what is written down of it does not know: a crash would forget what has
 * left the shorter one since.
 */
static inline bool kw__ledger_outgrew_note(const struct kw_limit_slot *slot, const struct kw_rate_limit *limit)
{
    return slot->window_ms > 0 && limit->window_ms > slot->window_ms;
}

/* How much of a limit is reserved at a time. */
uint32_t kw__ledger_share(const struct kw_rate_limit *limit);
/* What a request of that cost spends of a quota: nothing of what is reported afterwards. */
int64_t kw__ledger_amount(const struct kw_quota *quota, uint32_t cost);

#endif
