/*
 * Where the ledger keeps accounts: runs of slots that lie side by side, in chunks of a huge page, and a table that
 * finds a run by its account. The ledger's own lock guards all of it, but for what is said of slots.
 *
 * A run is known by the number of its first slot and a generation, which together never come again. A slot whose chunk
 * is there can be read by anybody inside of a read section of the index; one that was given back is zero but for its
 * lock, and for what only counts under a stamp.
 */
#ifndef KW_ENGINE_LEDGER_ROOM_H
#define KW_ENGINE_LEDGER_ROOM_H

#include "core/id.h"
#include "core/limit.h"
#include "core/quota.h"

#define KW_RUN_LIMITS_MAX 320 /* in a run: all that one request is asked, and some that were */
#define KW_RUN_QUOTAS_MAX 192
#define KW_SLOT_QUOTAS 3
#define KW_CHUNK_SLOTS 7178 /* as many as a huge page holds */
#define KW_CHUNK_BYTES ((size_t)2 * 1024 * 1024)

/* One rate limit's. */
struct kw_limit_slot {
    uint32_t claim;
    uint32_t window_ms;      /* of the limit when it was last spent from, or a longer one that is written down */
    uint32_t reserve : 30;   /* of a long window: what may be spent before more is written down */
    uint32_t is_unknown : 1; /* an earlier life may have left a note, which is to be read first */
    uint32_t epoch : 1;      /* in which the reserve was written down, of two by turns */
    struct kw_limit_state state;
};

/* What of a quota counts under a stamp. */
struct kw_quota_terms {
    int64_t limit; /* below 0: it is not asked */
    uint8_t marks[KW_QUOTA_MARK_COUNT_MAX], mark_count;
    uint8_t on_exceeded;
    uint8_t counts_requests; /* or what is reported afterwards */
    uint8_t unused;
};

struct kw_quota_slot {
    struct kw_quota_state state;
    uint32_t claim;
    uint32_t unused_s; /* since when a sweep has seen no use of it; 0: it was used since the last (ledger_idle.c) */
    struct kw_quota_terms terms;
    int64_t calm_until; /* as much may be spent before there is anything else to do, under a stamp */
};

/* A run begins with the slots of its limits; those of its quotas follow, some in each, from the first place on that
 * they may stand at. What is read of a slot comes first in it, and what is read of a run stands before the second slot:
 * a line less for each. */
struct kw_slot {
    union {
        struct kw_limit_slot limit;
        uint8_t quotas[KW_SLOT_QUOTAS * sizeof(struct kw_quota_slot) + _Alignof(uint32_t)]; /* kw_run_quota */
    };
    /* Of the first of a run; its lock guards all of the run. */
    struct kw_id account; /* none: not the first of a run, or not in use */
    uint32_t generation;
    /* Under which the slots hold all that the claims of a key ask, so that they need not be read again; 0: there is
     * none (ledger_usual.c). Whoever writes to a run other than by charging takes it away. */
    uint32_t stamp;
    uint8_t lock;
    uint8_t quota_count;
    uint16_t limit_count : 15;
    uint16_t is_noted : 1; /* somebody was told that a reserve is to be filled up */
};

struct kw_room;

/* KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_room_new(struct kw_room **room_out);
void kw_room_free(struct kw_room *room);

/* Where a run is: its number and its generation. 0: nowhere. */
static inline uint64_t kw_run_place(uint32_t number, const struct kw_slot *run)
{
    return (uint64_t)number << 32 | run->generation;
}

/* The first slot of what once was a run there; NULL: its chunk is gone. Needs no lock. */
struct kw_slot *kw_room_at(const struct kw_room *room, uint64_t place);

/* Of a run in use; for who holds a lock that keeps it so. */
struct kw_slot *kw_room_run(const struct kw_room *room, uint32_t number);

void kw_slot_lock(struct kw_slot *run);
void kw_slot_unlock(struct kw_slot *run);

/* Asks the processor to fetch what a charge reads of a run of two limits and a quota, from up to 15 bytes before it on.
 * Those of fewer are others' lines, and cost little. */
static inline void kw_run_prefetch(const uint8_t *run)
{
    static const uint16_t places[] = {0, 43, 264, 302, 335, 584, 640, 679};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        __builtin_prefetch(run + places[i], 1);
    }
}

/* The account's run, 0 where there is none. */
uint32_t kw_room_find(const struct kw_room *room, const struct kw_id *account);
/*
 * A zeroed run for so many limits and quotas, one at least, with the account's name, a generation, and its lock taken:
 * it takes the place of the account's run in the table, which is the caller's to give back. 0: no
 * memory.
 */
uint32_t kw_room_take(struct kw_room *room, const struct kw_id *account, size_t limit_count, size_t quota_count);
/* Ends a run that is locked; the account is forgotten if this is its run still. */
void kw_room_give(struct kw_room *room, uint32_t number);

/* Chunks that were ever in use; some may be gone. */
size_t kw_room_chunks(const struct kw_room *room);
/* Takes a chunk without runs out: it is the caller's to unmap, once all who may read it are out of their read sections.
 * NULL: there are runs. */
void *kw_room_take_out(struct kw_room *room, size_t at);
/* Accounts, slots in use, and bytes that all of it takes. */
void kw_room_count(const struct kw_room *room, uint64_t *accounts_out, uint64_t *slots_out, uint64_t *bytes_out);

static inline uint32_t kw_room_number(size_t chunk, size_t slot)
{
    return (uint32_t)(chunk * KW_CHUNK_SLOTS + slot + 1);
}

/* Of a run. */
static inline struct kw_quota_slot *kw_run_quota(struct kw_slot *run, size_t index)
{
    uintptr_t first = (uintptr_t)run[run->limit_count + index / KW_SLOT_QUOTAS].quotas;
    first = (first + _Alignof(struct kw_quota_slot) - 1) & ~(_Alignof(struct kw_quota_slot) - 1);
    return (struct kw_quota_slot *)first + index % KW_SLOT_QUOTAS; // NOLINT(performance-no-int-to-ptr)
}

/* Slots that a run of so many limits and quotas takes. */
static inline size_t kw_run_size(size_t limit_count, size_t quota_count)
{
    return limit_count + (quota_count + KW_SLOT_QUOTAS - 1) / KW_SLOT_QUOTAS;
}

#endif
