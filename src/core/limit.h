/*
 * Rate limits: at most so much cost in any window of a length, wherever the window starts. A limit is what a key's
 * record says; its state is what was spent, and lives beside the records, since a rotation shares it and a change of
 * the record does not forgive it. Both are handed in with each call, so a limit can be changed while it is in use.
 *
 * What was spent is kept in up to 60 buckets of equal cost, each with the time of its last spending; a bucket counts
 * in full until that time has left the window. So what is counted is never less than what was spent within the window,
 * and more by less than one bucket, a sixtieth of the limit: only the oldest bucket may reach over the window's edge.
 *
 * Nothing here locks or is atomic. A state belongs to one caller at a time; kw_limits_take is meant to be the whole
 * of a critical section: it allocates nothing, waits for nothing, and in the usual case touches the first 20 bytes of
 * each state. A window holds the moments t with start <= t < start + length, by the clock that is handed in.
 * A clock that stands still or steps back is taken to stand at the newest spending until it has caught up. A state that
 * is given up because it was idle has forgotten that time: whoever gives states up must never again hand in a time
 * before the one that the state was found idle at.
 */
#ifndef KW_CORE_LIMIT_H
#define KW_CORE_LIMIT_H

#include <keyward/record.h>

#define KW_LIMIT_BUCKET_COUNT 60

/*
 * What was spent of one limit. All zero: nothing. The time of the newest bucket is `newest_ms`, and that of the oldest
 * stands beside it: a request that neither opens a bucket nor lets one go reads and writes 20 bytes, and no ring.
 */
struct __attribute__((packed, aligned(4))) kw_limit_state {
    int64_t newest_ms : 49;    /* of the last spending */
    uint32_t count : 7;        /* of buckets */
    uint32_t first : 8;        /* of the ring */
    uint32_t newest_cost : 24; /* of the newest bucket; all others are full */
    uint32_t is_asked : 1;     /* the caller's, as is the next */
    uint32_t is_heeded : 1;
    uint32_t requests;                              /* of the limit that was last spent from: what a full bucket is */
    uint32_t oldest_end;                            /* the low bits of the time of the oldest bucket's last spending */
    uint32_t inner_ends[KW_LIMIT_BUCKET_COUNT - 2]; /* those of the buckets in between, a ring */
};

/*
 * What a full bucket holds: the largest cost with which a bucket that is counted in full overstates by at most a
 * sixtieth, since all but one of it may have left the window. Below 60 each bucket is a single request. So a limit
 * fills 60 buckets at most.
 */
static inline uint32_t kw_limit_bucket_cost(uint32_t requests)
{
    return requests / KW_LIMIT_BUCKET_COUNT + 1;
}

/* How one limit stands to one request. */
struct kw_limit_answer {
    bool is_asked; /* it was looked at */
    bool is_admitted;
    bool is_never;          /* the cost is more than the limit: no waiting helps */
    uint32_t remaining;     /* what can be spent now, after this request if it was taken */
    int64_t resets_at_ms;   /* when all of the limit can be spent, if nobody spends until then */
    int64_t retry_after_ms; /* where refused and not for ever: who waits this long is admitted, if nobody else spends */
};

/* A limit of a request, and where it stands. No state may stand in two uses of one request. */
struct kw_limit_use {
    const struct kw_rate_limit *limit;
    struct kw_limit_state *state;
    struct kw_limit_answer answer; /* out */
};

/* How a request of that cost (1 to KW_COST_MAX) would fare. Changes nothing. */
struct kw_limit_answer kw_limit_look(const struct kw_limit_state *state, const struct kw_rate_limit *limit,
                                     int64_t now_ms, uint32_t cost);

/*
 * Spends the cost from all the limits when each of them admits it; else from none, and says false. Each use has its
 * answer in both cases; where refused, `remaining` is what was left, also of limits that would have admitted.
 */
KW_MUST_USE bool kw_limits_take(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost);
/* Its two steps: what each limit says, and, where all admit it and nothing came between, the spending. */
KW_MUST_USE bool kw_limits_look(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost);
void kw_limits_spend(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost);

/*
 * A state in bytes, for a store: with the limit that it was of, and a `reserve` of further cost that may have been
 * spent without having been written down. KW_LIMIT_NOTE_MAX at most; returns the size.
 */
#define KW_LIMIT_NOTE_MAX 288
size_t kw_limit_write(const struct kw_limit_state *state, const struct kw_rate_limit *limit, uint32_t reserve,
                      uint8_t note_out[KW_LIMIT_NOTE_MAX]);
/*
 * What it says: the reserve counts as spent at `spent_ms`, or not at all with KW_LIMIT_UNSPENT. KW_E_CORRUPT. There may
 * be more spent then than the limit admits.
 */
#define KW_LIMIT_UNSPENT INT64_MIN
KW_MUST_USE enum kw_status kw_limit_read(struct kw_bytes note, int64_t spent_ms, struct kw_limit_state *state_out);
/* The window of the limit that a note is of; 0 where it is none. */
uint32_t kw_limit_note_window(struct kw_bytes note);

/*
 * The usual case of both steps, for where every nanosecond counts: a request that the limit admits, at whose time no
 * bucket has left the window, and whose cost fits the newest one. Then kw_limit_add spends it. False says nothing. The
 * limit is that which the state was last spent from under.
 */
static inline bool kw_limit_is_usual(const struct kw_limit_state *state, uint32_t window_ms, int64_t now_ms,
                                     uint32_t cost, uint32_t *remaining_out)
{
    uint32_t bucket_cost = kw_limit_bucket_cost(state->requests);
    int64_t since_ms = now_ms > state->newest_ms ? now_ms - state->newest_ms : 0;
    uint32_t oldest_age_ms = state->count > 1 ? (uint32_t)state->newest_ms - state->oldest_end : 0;
    uint64_t newest_cost = (uint64_t)state->newest_cost + cost;
    uint64_t spent = (uint64_t)(state->count - 1U) * bucket_cost + newest_cost;
    *remaining_out = (uint32_t)(state->requests - spent);
    return (state->count > 0) & (newest_cost <= bucket_cost) & (spent <= state->requests) &
           (since_ms + oldest_age_ms < window_ms);
}

static inline void kw_limit_add(struct kw_limit_state *state, int64_t now_ms, uint32_t cost)
{
    state->newest_cost = (state->newest_cost + cost) & 0xffffffU;
    state->newest_ms = now_ms > state->newest_ms ? now_ms : state->newest_ms;
}

/* True when the state says nothing more than one that is all zero: it can be given up. */
bool kw_limit_is_idle(const struct kw_limit_state *state, const struct kw_rate_limit *limit, int64_t now_ms);

#endif
