/*
 * What has been spent: of rate limits and quotas, by account. An account is a line of rotations, or an owner or an
 * organisation, whose keys share it; it has slots here from its first use on, until none of them says anything more.
 * Records and entries come and go without it.
 *
 * Spending locks the accounts that a request spends from, in the order of their kinds, for some tens of nanoseconds,
 * and nothing else. An account's first use takes the ledger's own lock, to make its slots; later ones find them by a
 * place that the entry keeps. Slots are freed in chunks of a huge page, after userspace RCU has seen all readers go: so
 * takers must be inside of a read section of the index.
 *
 * What must outlive a crash is spent from a reserve, which a store has written down before (see funds.h). What is not
 * used for a while is given back there, and forgotten here, long before its period ends. A ledger that is not durable
 * knows no reserves: all is there from the start, and ends with it.
 */
#ifndef KW_ENGINE_LEDGER_H
#define KW_ENGINE_LEDGER_H

#include "core/claims.h"
#include "core/limit.h"
#include "core/quota.h"

#define KW_DURABLE_WINDOW_MS 60000 /* a longer window is restored after a crash; of another the end is waited for */
#define KW_UNUSED_MS 600000        /* so long nobody has used an account whose quotas are given back */
#define KW_ASIDE_MAX 1000          /* quotas that one sweep sets aside, for one batch of the store */

struct kw_ledger;

/* KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_ledger_new(bool is_durable, struct kw_ledger **ledger_out);
void kw_ledger_free(struct kw_ledger *ledger);

/* Where a request spends. */
struct kw_account {
    struct kw_id id; /* none: the caller tells it where its place is not known */
    uint64_t *place; /* kept for the ledger by the caller, 0 at first; may be shared by threads */
};

/* What a request asks of its accounts. */
struct kw_charge {
    struct kw_account accounts[KW_PER_COUNT]; /* those that no claim is of need nothing */
    const struct kw_claim *claims;
    size_t claim_count;
    int64_t now_ms;
    uint32_t cost;
    bool is_trial; /* looks and spends nothing */
    /* Kept by the caller beside the place of the key's account, 0 at first, where all claims are of the key's own
     * record (kw_ledger_spend); else NULL. */
    uint32_t *stamp;
    /* The caller's: places of accounts that nobody keeps, so that they are looked for each time. */
    uint64_t nowhere[KW_PER_COUNT];
};

enum kw_charge_outcome {
    KW_CHARGE_ADMITTED,
    KW_CHARGE_RATE_LIMITED,
    KW_CHARGE_QUOTA_EXCEEDED,
    KW_CHARGE_UNFUNDED, /* not decided: ask funds.h to write down a reserve, then again */
};

/* The answer to each claim, by its kind; of one that was not asked (`throttles`) is_admitted, and no limit. */
union kw_claim_answer {
    struct kw_limit_answer limit;
    struct kw_quota_answer quota;
};

struct kw_charged {
    enum kw_charge_outcome outcome;
    bool wants_funds; /* a reserve is low or a mark is reached, and nobody was told so before */
    union kw_claim_answer answers[KW_CLAIMS_MAX];
};

/*
 * Spends from all claims or from none. KW_E_NOT_FOUND: the ledger must be told the ids of all accounts. KW_E_MEMORY
 * where an account's first use finds no memory: nobody may be let through then. `charged_out` is whole where KW_OK.
 */
KW_MUST_USE enum kw_status kw_ledger_charge(struct kw_ledger *ledger, const struct kw_charge *charge,
                                            struct kw_charged *charged_out);

/* Which of a key's own limits and quotas stand closest to refusing, by their order in the record, and how. */
struct kw_spent {
    bool has_limit, has_quota;
    uint8_t limit_at, quota_at;
    struct kw_limit_answer limit;
    struct kw_quota_answer quota;
};

/*
 * The usual charge, without claims: of a key that was charged before, whose limits and quotas stand in its account as
 * they did then, all admit the request, and nothing else is to be done. Says and spends what kw_ledger_charge would.
 * False: nothing was spent, and that is to be asked. `place` and `stamp` as they were kept; inside of a read section.
 */
KW_MUST_USE bool kw_ledger_spend(const struct kw_ledger *ledger, uint64_t place, uint32_t stamp, uint32_t cost,
                                 int64_t now_ms, struct kw_spent *spent_out);

/* Where a charge will read. `place` as it was kept, inside of a read section; NULL: nowhere. */
struct kw_slot;
const struct kw_slot *kw_ledger_run(const struct kw_ledger *ledger, uint64_t place);

/*
 * Frees what says nothing more: some of it with each call, all of it with a few. Outside of any read section. What it
 * sets aside of a durable ledger is the caller's to give back (kw_ledger_aside).
 */
void kw_ledger_sweep(struct kw_ledger *ledger, int64_t now_ms);

struct kw_ledger_counts {
    uint64_t accounts, slots, bytes;
};
void kw_ledger_count(struct kw_ledger *ledger, struct kw_ledger_counts *counts_out);

/* --- for funds.c, which has the store --- */

/*
 * How a durable ledger begins. `life_ms` is when this process did, later than any life before it. After a crash short
 * windows are waited out; notes of them that a clean stop has left are asked for until `notes_until_ms`.
 */
void kw_ledger_begin(struct kw_ledger *ledger, int64_t life_ms, bool after_crash, int64_t notes_until_ms);
/* From now on it is spent: the store says so, too. */
void kw_ledger_open(struct kw_ledger *ledger);
bool kw_ledger_is_open(const struct kw_ledger *ledger);

enum kw_want_kind {
    KW_WANT_NOTHING,
    KW_WANT_NOTE,    /* to be read: what earlier lives say of the claim */
    KW_WANT_RESERVE, /* of a limit, to be written down with its state */
    KW_WANT_QUOTA,   /* `amount` of a quota to be reserved; 0: what is taken is to be looked at */
};

/* What a claim needs of the store. */
struct kw_want {
    enum kw_want_kind kind;
    uint32_t reserve;      /* RESERVE: what it adds */
    uint8_t epoch;         /* RESERVE: when it was asked for */
    int64_t dead_by_ms;    /* NOTE, in: when its reserve was spent at the latest */
    bool is_own;           /* NOTE, in: it was written of this claim, and not of another of the account */
    size_t note_size;      /* out: RESERVE, what is to be written; in: NOTE, what was read; 0: there is none */
    struct kw_span period; /* QUOTA, as the following */
    int64_t amount;
    unsigned marks;         /* that are to be told of */
    int64_t used;           /* then */
    int64_t granted, taken; /* in */
    uint8_t note[KW_LIMIT_NOTE_MAX];
};

/*
 * What each claim of a charge needs, in wants_out[claim]; `any_out` is false where none needs anything. A note comes
 * first: what it says decides on the rest. KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_ledger_want(struct kw_ledger *ledger, const struct kw_charge *charge,
                                          struct kw_want *wants_out, bool *any_out);
/*
 * Takes what the store said of the wants. `is_done` false: it failed, and all stays as it was. What is about an account
 * that was given up meanwhile is lost.
 */
void kw_ledger_fund(struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_want *wants,
                    bool is_done);

/* What was reported of quotas, which are all that the charge has, and is durable: granted of it, all is spent. */
void kw_ledger_report(struct kw_ledger *ledger, const struct kw_charge *charge, const struct kw_want *wants);
/*
 * How the claims stand. A quota is UNFUNDED, and a limit was not asked, where the store knows and the ledger does not.
 * A limit answers as if it admitted KW_RATE_LIMIT_REQUESTS_MAX: so it says what was spent, also beyond what it admits.
 * KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_ledger_look(struct kw_ledger *ledger, const struct kw_charge *charge,
                                          union kw_claim_answer *answers_out);
/* The same of a limit by the note that a want has, where the ledger does not know of it. */
struct kw_limit_answer kw_ledger_look_at_note(const struct kw_ledger *ledger, const struct kw_rate_limit *limit,
                                              const struct kw_want *want, int64_t now_ms);

/* A quota as it was before a sweep took what was not spent off it. Nobody can spend of it until the store is asked. */
struct kw_aside {
    struct kw_id account;
    uint32_t claim;
    struct kw_quota_state state;
};

/* What the last sweep has set aside, good until kw_ledger_aside_end. */
size_t kw_ledger_aside(const struct kw_ledger *ledger, const struct kw_aside **aside_out);
/* After each sweep. `is_kept`: nothing of it was given back, and it is there again; else it is the store's. */
void kw_ledger_aside_end(struct kw_ledger *ledger, bool is_kept);

/* What a clean stop leaves of a claim: the state of a limit, or what was reserved of a quota and not spent. */
struct kw_left {
    struct kw_id account;
    uint32_t claim;
    bool is_quota;
    int64_t until_ms; /* it says nothing from then on */
    struct kw_span period;
    int64_t unspent;
    size_t note_size;
    uint8_t note[KW_LIMIT_NOTE_MAX];
};

/* The next `size` at most, from `cursor` on (0 at first); none at the end. Nobody may spend any more. */
size_t kw_ledger_leave(struct kw_ledger *ledger, uint64_t *cursor, int64_t now_ms, struct kw_left *left_out,
                       size_t size);

#endif
