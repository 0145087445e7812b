#include "engine/charge.h"

/* The limit that stands closest to refusing, or of those that refuse the one that will do so longest. */
static size_t tightest(const struct kw_charge *charge, const struct kw_charged *charged)
{
    size_t best = charge->claim_count;
    for (size_t i = 0; i < charge->claim_count; i++) {
        if (charge->claims[i].is_quota) {
            continue;
        }
        const struct kw_limit_answer *a = &charged->answers[i].limit;
        const struct kw_limit_answer *b = best == charge->claim_count ? NULL : &charged->answers[best].limit;
        bool is_worse = b == NULL                          ? true
                        : a->is_admitted != b->is_admitted ? !a->is_admitted
                        : a->is_never != b->is_never       ? a->is_never
                        : a->is_admitted                   ? a->remaining < b->remaining
                                                           : a->retry_after_ms > b->retry_after_ms;
        best = is_worse ? i : best;
    }
    return best;
}

static void show_limit(struct kw_verification *v, const struct kw_claim *claim, const struct kw_limit_answer *answer)
{
    struct kw_bytes name = claim->limit.name;
    v->has_rate_limit = true;
    v->rate_limit = (struct kw_rate_limit_state){
        .requests = claim->limit.requests,
        .window_ms = claim->limit.window_ms,
        .remaining = answer->remaining,
        .resets_at_ms = answer->resets_at_ms,
        .retry_after_ms = answer->is_never ? -1 : answer->retry_after_ms,
    };
    memcpy(v->rate_limit.name, name.data, name.size <= KW_RATE_LIMIT_NAME_MAX ? name.size : KW_RATE_LIMIT_NAME_MAX);
}

void kw__charge_of(struct kw_entry *entry, bool has_above, uint32_t cost, int64_t now_ms, struct kw_claim *claims,
                   uint64_t *nowhere, struct kw_charge *charge_out)
{
    bool has_tail = kw_entry_is_limited(entry);
    *charge_out = (struct kw_charge){.claims = claims, .now_ms = now_ms, .cost = cost == 0 ? 1 : cost};
    charge_out->claim_count = kw_entry_claims(entry, has_above, claims);
    /* Without limits of its own it has no place to keep: it is looked for each time. */
    charge_out->accounts[KW_PER_KEY].place = has_tail ? &kw_entry_tail(entry)->spending : nowhere;
    charge_out->accounts[KW_PER_KEY].id = kw_entry_lineage(entry);
}

static void explain_charge(struct kw_verification *v, enum kw_charge_outcome outcome)
{
    bool is_refused = outcome == KW_CHARGE_RATE_LIMITED;
    v->checks[KW_RULE_RATE_LIMITS] =
        (struct kw_check){.outcome = is_refused ? KW_OUTCOME_REFUSED : KW_OUTCOME_PASSED,
                          .decision.code = is_refused ? KW_CODE_RATE_LIMITED : KW_CODE_NONE};
}

enum kw_code kw__charge(struct kw_engine *engine, struct kw_verification *v, struct kw_entry *entry, bool has_above,
                        int64_t now_ms)
{
    struct kw_claim claims[KW_CLAIMS_MAX];
    struct kw_charged charged;
    struct kw_charge charge;
    uint64_t nowhere = 0;
    if (v->has_paid) {
        return KW_CODE_NONE;
    }
    kw__charge_of(entry, has_above, v->cost, now_ms, claims, &nowhere, &charge);
    if (charge.claim_count == 0) {
        return KW_CODE_NONE;
    }
    charge.is_trial = v->checks != NULL;
    if (kw_ledger_charge(engine->ledger, &charge, &charged) != KW_OK) {
        charged.answers[0].limit = (struct kw_limit_answer){.resets_at_ms = now_ms + 1000, .retry_after_ms = 1000};
        show_limit(v, &claims[0], &charged.answers[0].limit);
        return KW_CODE_RATE_LIMITED;
    }
    if (charged.outcome == KW_CHARGE_UNFUNDED) {
        v->needs_store = v->needs_funds = true;
        v->digest.size = sizeof entry->digest; /* by which the writer finds the entry, whatever the key was found by */
        memcpy(v->digest.bytes, entry->digest, sizeof entry->digest);
        return KW_CODE_INVALID_KEY;
    }
    size_t shown = tightest(&charge, &charged);
    if (shown < charge.claim_count) {
        show_limit(v, &claims[shown], &charged.answers[shown].limit);
    }
    v->has_paid = charged.outcome == KW_CHARGE_ADMITTED && !charge.is_trial;
    if (v->checks != NULL) {
        explain_charge(v, charged.outcome);
    }
    if (charged.wants_funds) {
        kw__note_funds(engine, entry);
    }
    return charged.outcome == KW_CHARGE_ADMITTED ? KW_CODE_NONE : KW_CODE_RATE_LIMITED;
}
