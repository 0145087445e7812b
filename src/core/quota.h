/*
 * Quotas: so much of a metric in each period of the calendar. What is spent must outlive a crash, so it is spent from a
 * reserve: a part of the period's allowance that the store has written down as taken before any of it is used. A crash
 * loses what was reserved and not spent, never the other way round; a clean stop gives it back.
 *
 * As with rate limits, the quota is what the record says and the state lives beside it, on the line of rotations. A
 * quota is told from others of a key by metric, period and anchor: a change of one of these makes another quota, a
 * change of `limit` or `on_exceeded` does not forgive what was spent. Nothing here locks; a state belongs to one caller
 * at a time. A clock that steps back into an earlier period stays in the later one.
 */
#ifndef KW_CORE_QUOTA_H
#define KW_CORE_QUOTA_H

#include "core/period.h"

#define KW_QUOTA_SHARES 32 /* of the limit. A crash loses one and a half at most, or one request's amount */

/* A quota of a record (struct kw_quota_rule) as it is kept to. Amounts are millionths (core/amount.h). */
struct kw_quota {
    int64_t limit; /* 0 to KW_AMOUNT_MAX */
    enum kw_period period;
    int64_t anchor_ms; /* the creation of the line's first key, or KW_PERIOD_UTC */
    struct kw_bytes metric;
    enum kw_quota_exceeded on_exceeded;
    enum kw_limit_per per;
    struct kw_bytes name;
    uint8_t mark_count;
    uint8_t marks[KW_QUOTA_MARK_COUNT_MAX]; /* percent, ascending */
    int64_t throttle_requests;              /* with KW_QUOTA_THROTTLE; else 0, as is the next */
    int64_t throttle_window_ms;
    uint32_t number; /* stands for metric, period and anchor, when it was read from a record */
    uint8_t told_at; /* which of the quotas that share a state it is, for their marks: 0 to KW_QUOTA_COUNT_MAX - 1 */
};

/* All zero: nothing is known. The sum of `reserved` and `elsewhere` is what the store has as taken in this period. */
struct kw_quota_state {
    struct kw_span period;
    bool is_known;     /* the store was asked in this period */
    uint8_t met;       /* of the quotas that share the state, those that were granted of since, a bit each */
    uint32_t told;     /* marks that somebody was told of, a bit each; KW_QUOTA_MARK_COUNT_MAX of each quota that shares
                        * the state */
    int64_t reserved;  /* for this process, in this period */
    int64_t elsewhere; /* taken by others, and by earlier lives of this process */
    int64_t spent;     /* of what is reserved */
};

enum kw_quota_outcome {
    KW_QUOTA_ADMITTED,
    KW_QUOTA_OVER,     /* exceeded, and admitted with a warning or under a throttle, as on_exceeded says */
    KW_QUOTA_REFUSED,  /* exceeded: nothing is to be had before resets_at_ms */
    KW_QUOTA_UNFUNDED, /* the reserve does not hold it, or nothing is known: reserve kw_quota_wanted, even if that is 0,
                        * then ask again. Also what is over the limit is reserved */
};

struct kw_quota_answer {
    enum kw_quota_outcome outcome;
    bool is_exceeded;        /* by this amount, whatever the outcome; never where nothing is known */
    int64_t used, remaining; /* with this amount where it is admitted; of what others reserved all counts as used */
    int64_t resets_at_ms;
    unsigned marks; /* a bit for each of the quota's that is reached with this amount, and nobody was told of */
};

/*
 * How a request that spends `amount` would fare; changes nothing. Amount 0 asks whether anything is left, as a metric
 * does that is reported afterwards.
 */
struct kw_quota_answer kw_quota_look(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms,
                                     int64_t amount);

/* Spends, after a look at the same state, time and amount that said ADMITTED or OVER. */
void kw_quota_spend(struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms, int64_t amount);

/*
 * How much may be spent in all of what is reserved, so that each request is admitted, reaches no mark that somebody is
 * to be told of, and leaves kw_quota_wanted at 0. `spends`: requests spend of it; else they ask whether anything is
 * left. Until the state changes otherwise, and the period ends.
 */
int64_t kw_quota_calm_until(const struct kw_quota_state *state, const struct kw_quota *quota, bool spends);

/* From now on these marks of an answer were told of. */
void kw_quota_tell(struct kw_quota_state *state, const struct kw_quota *quota, unsigned marks);

/* The period that is to be reserved for: that of the state, or a later one if the clock says so. */
struct kw_span kw_quota_period(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms);

/*
 * How much to ask the store for so that `amount` can be spent: a share of the limit, one at least, or what `amount`
 * lacks where that is more. 0 when the reserve is still more than half a share; so, asked now and then with amount 0,
 * it is filled up ahead of use.
 */
int64_t kw_quota_wanted(const struct kw_quota_state *state, const struct kw_quota *quota, int64_t now_ms,
                        int64_t amount);

/*
 * Writes down what the store granted for the period that starts at `start_ms`: `granted` of it (below 0: given back),
 * after which `taken` is taken of that period by everybody. False, and nothing is changed, when the period is an
 * earlier one by now; the grant is then lost to nobody, since its period is over.
 */
KW_MUST_USE bool kw_quota_grant(struct kw_quota_state *state, const struct kw_quota *quota, int64_t start_ms,
                                int64_t granted, int64_t taken);

/* Up to what the store may grant: the limit where it blocks, else all. */
int64_t kw_quota_ceiling(const struct kw_quota *quota);

/* What is reserved and not spent: to be given back at a clean stop. */
int64_t kw_quota_unspent(const struct kw_quota_state *state);

#endif
