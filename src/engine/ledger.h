/*
 * What the rate limits of each line of rotations have spent. A line has slots here from its first use on, one a limit,
 * until none of them says anything more; records and entries come and go without it.
 *
 * Spending locks the line's first slot, for some tens of nanoseconds, and nothing else. A key's first use takes the
 * ledger's own lock, to make its slots; later ones find them by a number that the entry keeps. Slots are freed in
 * chunks of a huge page, after userspace RCU has seen all readers go: so takers must be inside of a read section of the
 * index.
 */
#ifndef KW_ENGINE_LEDGER_H
#define KW_ENGINE_LEDGER_H

#include "core/claims.h"
#include "core/limit.h"

struct kw_ledger;

/* KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_ledger_new(struct kw_ledger **ledger_out);
void kw_ledger_free(struct kw_ledger *ledger);

/* What a request asks of a line's limits. */
struct kw_charge {
    struct kw_id lineage;
    uint32_t *place; /* kept for the ledger by the caller, 0 at first; may be shared by threads */
    const struct kw_claim *claims;
    size_t claim_count;
    int64_t now_ms;
    uint32_t cost;
    bool is_trial; /* looks and spends nothing */
};

/*
 * Spends from all claims or from none; `answers_out` has one for each claim in either case. False: refused. KW_E_MEMORY
 * where a line's first use finds no memory: nobody may be let through then.
 */
KW_MUST_USE enum kw_status kw_ledger_charge(struct kw_ledger *ledger, const struct kw_charge *charge,
                                            struct kw_limit_answer *answers_out, bool *is_admitted_out);

/* Asks the processor to fetch what a charge will read. `place` as the entry has it; inside of a read section. */
void kw_ledger_prefetch(const struct kw_ledger *ledger, uint32_t place);

/* Frees what says nothing more: some of it with each call, all of it with a few. Outside of any read section. */
void kw_ledger_sweep(struct kw_ledger *ledger, int64_t now_ms);

/* Slots in use, and the bytes that the ledger takes. */
void kw_ledger_count(struct kw_ledger *ledger, uint64_t *slots_out, uint64_t *bytes_out);

#endif
