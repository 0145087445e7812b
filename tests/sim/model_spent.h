/*
 * What was spent, to the model: for each limit a plain list of times and costs, for each quota one of times and
 * amounts. What may be asked of the library in every case is answered twice: what is spent for sure, beyond which
 * nobody may be let through, and what may count as spent, below which nobody may be refused. The two are the same but
 * where it is documented otherwise: the sixtieth, what a crash costs, what had left a window that became longer, a
 * clock that stepped back.
 */
#ifndef KW_TESTS_SIM_MODEL_SPENT_H
#define KW_TESTS_SIM_MODEL_SPENT_H

#include "sim/model.h"

#define MODEL_COST_MAX 40
#define MODEL_SLOTS_MAX 600
#define MODEL_ENTRIES_MAX 160
#define MODEL_CLAIMS_MAX 192

/* At some time from `low` to `high`, which differ where the clock was behind. */
struct model_entry {
    int64_t low, high, amount;
    unsigned number; /* of the request; the same in all lists that it stands in */
    bool is_sure;
};

/* Of one limit or quota of an account: a line of keys, an owner, an organisation. */
struct model_slot {
    char account[32], claim[64];
    bool is_quota;
    int64_t window;   /* of a limit when it was last spent from; 0: it never was */
    int64_t most;     /* that the limit or quota ever was */
    int64_t coarsest; /* limit whose sixtieth it may count too much */
    bool may_be_gone; /* of a limit: it is idle, so that it begins again from what others of the account know */
    int count;
    struct model_entry entries[MODEL_ENTRIES_MAX];
};

struct model_spent {
    struct model_slot slots[MODEL_SLOTS_MAX];
    int count;
    unsigned numbers;
    int64_t now, high;   /* the clock, and the latest it has shown */
    int64_t crashed_at;  /* 0: never */
    bool is_after_crash; /* the life before ended so, or others have passed since that spent nothing */
    bool has_spent;      /* in this life */
    bool is_full;        /* of more than it can hold */
};

/* A limit or quota that a request of a key is held to. */
struct model_claim {
    bool is_quota;
    struct model_limit limit;
    struct model_quota quota;
    char account[32], id[64];
    int throttled_by;  /* claim of a quota that must be exceeded first; -1: none */
    bool is_second;    /* a quota: it counts what an earlier one does */
    bool is_ambiguous; /* which of several it is, cannot be told */
    int64_t born;      /* where the periods of a quota begin */
    struct model_slot *slot;
    bool may_be_over, must_be_over; /* a quota, with this request */
};

struct model_weighed {
    struct model_claim claims[MODEL_CLAIMS_MAX];
    int count;
    int64_t cost;
    bool may_limit, must_limit, must_throttle, may_exceed, must_exceed;
};

void model_spent_clock(struct model_spent *spent, int64_t now);
/* What a request of the key would meet. */
void model_weigh(struct model_spent *spent, const struct model *model, int key, int64_t cost,
                 struct model_weighed *weighed_out);
/* It was let through. */
void model_spend(struct model_spent *spent, const struct model_weighed *weighed);
/* A store's failure may have cost something of the quotas. */
void model_lose(struct model_spent *spent, const struct model_weighed *weighed);
/* What is reported of the key; `is_sure` false: perhaps. */
void model_report(struct model_spent *spent, const struct model *model, int key, const char *metric, int64_t amount,
                  bool is_sure);
/*
 * A clean stop: all goes on. But the reserve of a limit that was idle then may count in a life behind the next; and
 * a life that spent nothing leaves it at what it found, be it a crash.
 */
void model_spent_stop(struct model_spent *spent);
/* The process ended without a word, or it may look so; it begins again now. */
void model_spent_crash(struct model_spent *spent);

/* What counts as spent of a claim, at least and at most, before the request. */
void model_spent_of(const struct model_spent *spent, const struct model_claim *claim, int64_t *least, int64_t *most);

#endif
