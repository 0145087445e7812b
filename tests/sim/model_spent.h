/*
 * What was spent, to the model: for each limit a plain list of times and costs, for each quota one of times and
 * amounts. What may be asked of the library in every case is answered twice: what is spent for sure, beyond which
 * nobody may be let through, and what may count as spent, below which nobody may be refused. The two are the same but
 * where it is documented otherwise: the sixtieth, what a crash costs, what had left a window that became longer, a
 * limit that comes back under a name that it once had, a clock that stepped back.
 */
#ifndef KW_TESTS_SIM_MODEL_SPENT_H
#define KW_TESTS_SIM_MODEL_SPENT_H

#include "sim/model.h"

#define MODEL_COST_MAX 40
#define MODEL_SLOTS_MAX 500
#define MODEL_ENTRIES_MAX 160
#define MODEL_CLAIMS_MAX 192
#define MODEL_MINUTE INT64_C(60000) /* a longer window is written down before it is spent */
#define MODEL_HOUR INT64_C(3600000)

/* At some time from `low` to `high`, which differ where the clock was behind. */
struct model_entry {
    int64_t low, high, amount;
    unsigned number; /* of the request; the same in all lists that it stands in */
    bool is_sure;
    bool is_kept; /* a crash does not take it away: it was written down */
};

struct model_list {
    int64_t coarse;   /* so much more a limit may count than was spent */
    int64_t sixtieth; /* of the limit when it was last spent from; -1: of which, nobody knows */
    int count;
    struct model_entry entries[MODEL_ENTRIES_MAX];
};

/* What a life leaves of a limit to those that follow. */
struct model_note {
    bool may_be_there, is_there;
    int64_t window;                      /* where it is there for sure, that which it is of at least */
    int64_t longest;                     /* that it may be of */
    int64_t reserve;                     /* that may count as spent, too */
    unsigned number;                     /* of the reserve, as if it were a request */
    int64_t requests_low, requests_high; /* of the limit that the reserve was written down for */
    int64_t spent_low;                   /* when the reserve counts as spent, at the earliest */
    struct model_list list;
};

/* Of one limit or quota of an account: a line of keys, an owner, an organisation. */
struct model_slot {
    char account[32], claim[64];
    bool is_quota;
    struct model_list spent;             /* of a limit: in this life, and what it has from others */
    int64_t reserve;                     /* that this life may have written down at most, beyond what was spent */
    int64_t reserve_low;                 /* of a quota: since when */
    int64_t requests_low, requests_high; /* of the limit that it may have been written down for */
    /* The rest is of limits. */
    bool is_open;         /* it was asked in this life */
    bool may_be_gone;     /* since it was idle: then it begins again, with what others of the account know */
    bool is_written;      /* down in this life, when it was spent from with a long window */
    int64_t window;       /* when it was last spent from, or a longer one that refused since; 0: nobody has */
    int64_t longest;      /* that it may be: one that refuses may still be on its way to the store */
    int64_t long_window;  /* when it was last spent from with one that is written down */
    int64_t long_longest; /* of those that may be written down */
    int64_t asked_window; /* with which it was written down first */
    unsigned opened;      /* by which request */
    struct model_note note;
};

struct model_spent {
    struct model_slot slots[MODEL_SLOTS_MAX];
    int count;
    unsigned numbers, asked, lives;
    int64_t now, high;         /* the clock, and the latest it has shown */
    int64_t life_low, life;    /* when this one began, at the earliest and at the latest */
    bool may_wait, waits;      /* the life before ended in a crash, for all that this one knows */
    int64_t may_read, reads;   /* until when notes of short windows are read */
    bool has_spent, may_spend; /* in this life: then it says so in the store */
    bool has_failed;           /* but what it said may not have arrived, or may not have been heard of */
    bool is_full;              /* of more than it can hold */
};

/* A limit or quota that a request of a key is held to. */
struct model_claim {
    bool is_quota;
    struct model_limit limit;
    struct model_quota quota;
    char account[32], id[64];
    int ancestor, policy; /* whose it is: key and policy; -1: the key's own, none */
    int throttled_by;     /* claim of a quota that must be exceeded first; -1: none */
    bool is_second;       /* a quota: it counts what an earlier one does */
    bool is_ambiguous;    /* which of several it is, cannot be told */
    int64_t born;         /* where the periods of a quota begin */
    struct model_slot *slot;
    bool may_be_over, must_be_over; /* a quota, with this request */
};

struct model_weighed {
    struct model_claim claims[MODEL_CLAIMS_MAX];
    int count;
    int64_t cost;
    bool may_limit, must_limit, must_throttle, may_exceed, must_exceed;
};

void model_spent_begin(struct model_spent *spent, int64_t now);
void model_spent_clock(struct model_spent *spent, int64_t now);
/* What a request of the key would meet; it is asked, or tried. */
void model_weigh(struct model_spent *spent, const struct model *model, int key, int64_t cost,
                 struct model_weighed *weighed_out);
/* It was asked, and not only tried: something may be written down for it. `is_answered` false: the store failed. */
void model_asked(struct model_spent *spent, const struct model_weighed *weighed, bool is_answered);
/* It was let through. */
void model_spend(struct model_spent *spent, const struct model_weighed *weighed);
/* A store that does not say what it did may have cost something of the quotas. */
void model_lose(struct model_spent *spent, const struct model_weighed *weighed);
/* What is reported of the key; `is_sure` false: perhaps. */
void model_report(struct model_spent *spent, const struct model *model, int key, const char *metric, int64_t amount,
                  bool is_sure);

/* A clean stop, or the process ended without a word; and the next life. */
void model_spent_stop(struct model_spent *spent);
void model_spent_crash(struct model_spent *spent);

/* What counts as spent of a claim, at least and at most, before the request. */
void model_spent_of(const struct model_spent *spent, const struct model_claim *claim, int64_t *least, int64_t *most);

/* --- what the files of this part share --- */

void model_put(struct model_spent *spent, struct model_list *list, struct model_entry entry);
const struct model_entry *model_find_entry(const struct model_list *list, unsigned number);
/* Of a window that ends now. */
void model_sum_window(const struct model_spent *spent, const struct model_list *list, int64_t window, int64_t *least,
                      int64_t *most);
/* What has left the window is not known any more, and a limit that is idle may be gone. */
void model_age(const struct model_spent *spent, struct model_slot *slot);
/* A limit of a key's own learns what another one that the key has no more has let through since. */
void model_catch_up(struct model_spent *spent, struct model_slot *slot, const struct model_slot *other);
/* The limit is asked in this life, for the first time or as if it were. */
void model_open_limit(struct model_spent *spent, struct model_slot *slot, const struct model_limit *limit);

#endif
