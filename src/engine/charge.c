#include "engine/charge.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/amount.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"

/* Whether the first answer stands closer to refusing, or refuses longer. */
static bool is_limit_worse(const struct kw_limit_answer *a, const struct kw_limit_answer *b)
{
    return a->is_admitted != b->is_admitted ? !a->is_admitted
           : a->is_never != b->is_never     ? a->is_never
           : a->is_admitted                 ? a->remaining < b->remaining
                                            : a->retry_after_ms > b->retry_after_ms;
}

/* The same of quotas, by the part that is left of each: amounts of different metrics say nothing to each other. */
static bool is_quota_worse(const struct kw_charge *charge, const struct kw_charged *charged, size_t a, size_t b)
{
    const struct kw_quota_answer *first = &charged->answers[a].quota;
    const struct kw_quota_answer *second = &charged->answers[b].quota;
    bool is_refused = first->outcome == KW_QUOTA_REFUSED;
    if (is_refused != (second->outcome == KW_QUOTA_REFUSED)) {
        return is_refused;
    }
    if (is_refused) {
        return first->resets_at_ms > second->resets_at_ms;
    }
    double first_limit = (double)charge->claims[a].quota.limit + 1;
    double second_limit = (double)charge->claims[b].quota.limit + 1;
    return (double)first->remaining / first_limit < (double)second->remaining / second_limit;
}

/* The limit or quota that is shown; charge->claim_count where there is none of the kind. */
static size_t worst_of(const struct kw_charge *charge, const struct kw_charged *charged, bool is_quota)
{
    size_t worst = charge->claim_count;
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->is_quota != is_quota || (claim->throttles != 0 && !charged->answers[i].limit.is_asked)) {
            continue;
        }
        bool is_worse = worst == charge->claim_count ||
                        (is_quota ? is_quota_worse(charge, charged, i, worst)
                                  : is_limit_worse(&charged->answers[i].limit, &charged->answers[worst].limit));
        worst = is_worse ? i : worst;
    }
    return worst;
}

/* A text of at most `size_max` bytes, and a NUL. */
static void put_text(struct kw_bytes text, size_t size_max, char *out)
{
    size_t size = text.size <= size_max ? text.size : size_max;
    memcpy(out, text.data, size);
    out[size] = '\0';
}

static void show_limit(struct kw_verification *v, const struct kw_rate_limit *limit,
                       const struct kw_limit_answer *answer)
{
    v->has_rate_limit = true;
    v->rate_limit.requests = limit->requests;
    v->rate_limit.window_ms = limit->window_ms;
    v->rate_limit.remaining = answer->remaining;
    v->rate_limit.resets_at_ms = answer->resets_at_ms;
    v->rate_limit.retry_after_ms = answer->is_never ? -1 : answer->retry_after_ms;
    put_text(limit->name, KW_RATE_LIMIT_NAME_MAX, v->rate_limit.name);
}

void kw__quota_status(const struct kw_quota *quota, const struct kw_quota_answer *answer,
                      struct kw_quota_status *status_out)
{
    status_out->period = quota->period;
    status_out->per = quota->per;
    status_out->on_exceeded = quota->on_exceeded;
    status_out->limit = quota->limit;
    status_out->used = answer->used;
    status_out->remaining = answer->remaining;
    status_out->resets_at_ms = answer->resets_at_ms;
    put_text(quota->name, KW_QUOTA_NAME_MAX, status_out->name);
    put_text(quota->metric, KW_METRIC_MAX, status_out->metric);
}

void kw_quota_status_write_json(const struct kw_quota_status *status, struct kw_json_writer *writer)
{
    char resets_at[KW_TIME_TEXT_SIZE];
    kw_time_format(status->resets_at_ms, resets_at);
    kw_json_begin_object(writer);
    kw_json_name(writer, "name");
    kw_json_text(writer, status->name);
    kw_json_name(writer, "metric");
    kw_json_text(writer, status->metric);
    kw_json_name(writer, "period");
    kw_json_text(writer, kw_period_name(status->period));
    kw_json_name(writer, "per");
    kw_json_text(writer, kw_limit_per_name(status->per));
    kw_json_name(writer, "onExceeded");
    kw_json_text(writer, kw_quota_exceeded_name(status->on_exceeded));
    kw_amount_write_json(writer, "limit", status->limit);
    kw_amount_write_json(writer, "used", status->used);
    kw_amount_write_json(writer, "remaining", status->remaining);
    kw_json_name(writer, "resetsAt");
    kw_json_string(writer, kw_bytes_of(resets_at, sizeof resets_at));
    kw_json_end_object(writer);
}

static void show(struct kw_verification *v, const struct kw_entry *entry, const struct kw_charge *charge,
                 const struct kw_charged *charged)
{
    size_t limit = worst_of(charge, charged, false);
    size_t quota = worst_of(charge, charged, true);
    size_t refuses = charged->outcome == KW_CHARGE_RATE_LIMITED     ? limit
                     : charged->outcome == KW_CHARGE_QUOTA_EXCEEDED ? quota
                                                                    : charge->claim_count;
    if (refuses < charge->claim_count) {
        kw_claim_owner(entry, &charge->claims[refuses], &v->bound, &v->policy);
    }
    if (limit < charge->claim_count) {
        show_limit(v, &charge->claims[limit].limit, &charged->answers[limit].limit);
    }
    if (quota < charge->claim_count) {
        v->has_quota = true;
        kw__quota_status(&charge->claims[quota].quota, &charged->answers[quota].quota, &v->quota);
    }
}

void kw__charge_of(struct kw_entry *entry, bool has_above, uint32_t cost, int64_t now_ms, struct kw_claim *claims,
                   struct kw_charge *charge_out)
{
    charge_out->claims = claims;
    charge_out->now_ms = now_ms;
    charge_out->cost = cost == 0 ? 1 : cost;
    charge_out->is_trial = false;
    charge_out->stamp = NULL;
    charge_out->claim_count = kw_entry_claims(entry, has_above, claims);
    if (charge_out->claim_count == 0) {
        return;
    }
    bool has_extra = kw_entry_has_extra(entry); /* else all of its limits are from above */
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        charge_out->nowhere[per] = 0;
        charge_out->accounts[per].place = has_extra ? &kw_entry_extra(entry)->spending[per] : &charge_out->nowhere[per];
        charge_out->accounts[per].id = (struct kw_id){{0}};
    }
    charge_out->accounts[KW_PER_KEY].id = kw_entry_lineage(entry);
    charge_out->stamp = has_extra && !has_above ? &kw_entry_extra(entry)->stamp : NULL;
}

void kw__charge_name(const struct kw_engine *engine, const struct kw_entry *entry, struct kw_charge *charge)
{
    struct kw_record record;
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), entry->project);
    if (project == NULL || kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return;
    }
    kw_account_id(KW_PER_OWNER, project->name, record.owner, &charge->accounts[KW_PER_OWNER].id);
    /* Who has no organisation is one by itself. */
    struct kw_bytes org = record.org_id.size > 0 ? record.org_id : record.owner;
    kw_account_id(KW_PER_ORG, project->name, org, &charge->accounts[KW_PER_ORG].id);
}

static struct kw_check check_of(bool has_any, bool is_refused, enum kw_code code)
{
    return (struct kw_check){.outcome = is_refused ? KW_OUTCOME_REFUSED
                                        : has_any  ? KW_OUTCOME_PASSED
                                                   : KW_OUTCOME_NONE,
                             .decision.code = is_refused ? code : KW_CODE_NONE};
}

/* Whose limit or quota it is that refuses most. */
static void blame(struct kw_check *check, const struct kw_entry *entry, const struct kw_charge *charge,
                  const struct kw_charged *charged, bool is_quota)
{
    size_t worst = worst_of(charge, charged, is_quota);
    if (check->outcome == KW_OUTCOME_REFUSED && worst < charge->claim_count) {
        kw_claim_owner(entry, &charge->claims[worst], &check->decision.bound, &check->decision.policy);
    }
}

static void explain(struct kw_verification *v, const struct kw_entry *entry, const struct kw_charge *charge,
                    const struct kw_charged *charged)
{
    bool has_limit = false, has_quota = false, is_exceeded = false;
    for (size_t i = 0; i < charge->claim_count; i++) {
        bool is_quota = charge->claims[i].is_quota;
        has_limit = has_limit || !is_quota;
        has_quota = has_quota || is_quota;
        is_exceeded = is_exceeded || (is_quota && charged->answers[i].quota.outcome == KW_QUOTA_REFUSED);
    }
    bool is_limited = charged->outcome == KW_CHARGE_RATE_LIMITED;
    v->checks[KW_RULE_RATE_LIMITS] = check_of(has_limit, is_limited, KW_CODE_RATE_LIMITED);
    v->checks[KW_RULE_QUOTAS] = check_of(has_quota, is_exceeded, KW_CODE_QUOTA_EXCEEDED);
    blame(&v->checks[KW_RULE_RATE_LIMITS], entry, charge, charged, false);
    blame(&v->checks[KW_RULE_QUOTAS], entry, charge, charged, true);
}

/* Nobody is let through where there is no memory to write down what is spent. */
static enum kw_code refuse_for_want_of_memory(struct kw_verification *v, int64_t now_ms)
{
    const struct kw_limit_answer later = {.resets_at_ms = now_ms + 1000, .retry_after_ms = 1000};
    const struct kw_rate_limit shown = {.name = KW_BYTES("memory"), .requests = 1, .window_ms = 1000};
    show_limit(v, &shown, &later);
    return KW_CODE_RATE_LIMITED;
}

/* The usual case. False: nothing was spent. */
static bool spend(const struct kw_engine *engine, struct kw_verification *v, const struct kw_entry *entry,
                  int64_t now_ms)
{
    struct kw_spent spent;
    const struct kw_entry_extra *extra = kw_entry_extra(entry);
    uint64_t place = __atomic_load_n(&extra->spending[KW_PER_KEY], __ATOMIC_RELAXED);
    uint32_t stamp = __atomic_load_n(&extra->stamp, __ATOMIC_RELAXED);
    if (!kw_ledger_spend(engine->ledger, place, stamp, v->cost == 0 ? 1 : v->cost, now_ms, &spent)) {
        return false;
    }
    if (spent.has_limit) {
        struct kw_rate_limit limit = kw_entry_limit(entry, spent.limit_at);
        spent.limit.is_never = false;
        spent.limit.retry_after_ms = 0;
        show_limit(v, &limit, &spent.limit);
    }
    if (spent.has_quota) {
        struct kw_quota quota = kw_entry_quota(entry, spent.quota_at);
        v->has_quota = true;
        kw__quota_status(&quota, &spent.quota, &v->quota);
    }
    v->has_paid = true;
    return true;
}

enum kw_code kw__charge(struct kw_engine *engine, struct kw_verification *v, struct kw_entry *entry, bool has_above,
                        int64_t now_ms)
{
    static const enum kw_code codes[] = {[KW_CHARGE_ADMITTED] = KW_CODE_NONE,
                                         [KW_CHARGE_RATE_LIMITED] = KW_CODE_RATE_LIMITED,
                                         [KW_CHARGE_QUOTA_EXCEEDED] = KW_CODE_QUOTA_EXCEEDED,
                                         [KW_CHARGE_UNFUNDED] = KW_CODE_INVALID_KEY};
    struct kw_claim claims[KW_CLAIMS_MAX];
    struct kw_charged charged;
    struct kw_charge charge;
    if (v->has_paid) {
        return KW_CODE_NONE;
    }
    if (!has_above && v->checks == NULL && spend(engine, v, entry, now_ms)) {
        return KW_CODE_NONE;
    }
    kw__charge_of(entry, has_above, v->cost, now_ms, claims, &charge);
    if (charge.claim_count == 0) {
        return KW_CODE_NONE;
    }
    charge.is_trial = v->checks != NULL;
    const uint64_t *place = charge.accounts[KW_PER_KEY].place;
    uint64_t place_before = __atomic_load_n(place, __ATOMIC_RELAXED);
    enum kw_status status = kw_ledger_charge(engine->ledger, &charge, &charged);
    if (status == KW_E_NOT_FOUND) {
        kw__charge_name(engine, entry, &charge);
        status = kw_ledger_charge(engine->ledger, &charge, &charged);
    }
    if (status != KW_OK) {
        return refuse_for_want_of_memory(v, now_ms);
    }
    uint64_t place_now = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (place_now != place_before && kw_entry_has_extra(entry)) {
        kw_index_hint_run(engine->index, entry, kw_ledger_run(engine->ledger, place_now));
    }
    if (charged.outcome == KW_CHARGE_UNFUNDED) {
        v->needs_store = v->needs_funds = true;
        v->digest.size = sizeof entry->digest; /* by which the writer finds the entry, whatever the key was found by */
        memcpy(v->digest.bytes, entry->digest, sizeof entry->digest);
        return KW_CODE_INVALID_KEY;
    }
    show(v, entry, &charge, &charged);
    v->has_paid = charged.outcome == KW_CHARGE_ADMITTED && !charge.is_trial;
    if (v->checks != NULL) {
        explain(v, entry, &charge, &charged);
    }
    if (charged.wants_funds) {
        kw__note_funds(engine, entry);
    }
    return codes[charged.outcome];
}
