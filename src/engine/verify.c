#include "engine/internal.h"

#include "base/bytes.h"
#include "core/claims.h"

#define TOGETHER 32 /* keys whose digests and reads overlap; more would outlive the first-level cache */

void kw_engine_read_begin(void)
{
    kw_index_read_begin();
}

void kw_engine_read_end(void)
{
    kw_index_read_end();
}

#define TRIES_MAX 64 /* at a list that others are just writing to */

/* Leaves word for the writer; false while the list is taken or full. Never waits. */
static bool leave_word(struct kw_lapses *lapses, const struct kw_lapse *lapse)
{
    if (__atomic_exchange_n(&lapses->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        return false;
    }
    bool fits = lapses->count < KW_LAPSES_MAX;
    if (fits) {
        lapses->items[lapses->count++] = *lapse;
    }
    __atomic_store_n(&lapses->lock, 0, __ATOMIC_RELEASE);
    return fits;
}

/*
 * Marks the entry, so that what has passed stays passed though the clock steps back, and leaves word for the writer.
 * Never waits: while the list is taken or full the entry is not marked as noted, and the next verification tries again.
 */
static void note_lapse(struct kw_engine *engine, struct kw_entry *entry, enum kw_code code, int64_t now_ms)
{
    uint8_t seen = code == KW_CODE_REVOKED ? KW_ENTRY_SEEN_ENDED : KW_ENTRY_SEEN_LAPSED;
    int64_t passed_ms = code == KW_CODE_REVOKED ? entry->grace_until_ms : entry->expires_at_ms;
    struct kw_lapse lapse = {.id = kw_entry_id(entry),
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .version = entry->version,
                             .noticed_ms = now_ms > passed_ms ? now_ms : passed_ms};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    kw_entry_tell_off(entry, seen);
    if (leave_word(&engine->lapses, &lapse)) {
        __atomic_fetch_or(&entry->flags, KW_ENTRY_NOTED, __ATOMIC_RELAXED);
    }
}

/*
 * The first use of a key that ends the grace period of the one before it. Told once: whoever takes the flag away leaves
 * word, and puts it back where that was not possible. A key may be used once only, so it is tried more than once.
 */
static void note_first_use(struct kw_engine *engine, struct kw_entry *entry, int64_t now_ms)
{
    struct kw_record record;
    unsigned flags = __atomic_fetch_and(&entry->flags, (uint8_t)~KW_ENTRY_ENDS_GRACE, __ATOMIC_RELAXED);
    if ((flags & KW_ENTRY_ENDS_GRACE) == 0 || kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return;
    }
    struct kw_lapse lapse = {.id = record.rotated_from,
                             .is_first_use = true,
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .noticed_ms = now_ms};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    for (int i = 0; i < TRIES_MAX; i++) {
        if (leave_word(&engine->lapses, &lapse)) {
            return;
        }
    }
    __atomic_fetch_or(&entry->flags, KW_ENTRY_ENDS_GRACE, __ATOMIC_RELAXED);
}

/* Nothing is looked at after the form was refused. */
static void explain_form(struct kw_check checks[KW_RULE_COUNT], enum kw_code code)
{
    for (size_t rule = 0; rule < KW_RULE_COUNT; rule++) {
        checks[rule] = (struct kw_check){.outcome = KW_OUTCOME_SKIPPED};
    }
    checks[KW_RULE_FORMAT] = (struct kw_check){.outcome = KW_OUTCOME_REFUSED, .decision.code = code};
}

static bool refuse_form(struct kw_verification *v, enum kw_code code)
{
    v->code = code;
    if (v->checks != NULL) {
        explain_form(v->checks, code);
    }
    return false;
}

/* Refuses what needs no look-up. True when there is a digest to look up. */
static bool admit(const struct kw_catalog *catalog, struct kw_verification *v)
{
    v->code = KW_CODE_NONE;
    v->needs_store = false;
    v->entry = NULL;
    v->bound = NULL;
    v->has_rate_limit = v->has_rate_limit && v->has_paid; /* what was said then still holds */
    v->policy = (struct kw_bytes){NULL, 0};
    v->missing = (struct kw_bytes){NULL, 0};
    if (v->key.size == 0) {
        return refuse_form(v, KW_CODE_MISSING_KEY);
    }
    const struct kw_project *project = kw_project_by_number(catalog, v->question.project);
    if (project == NULL || !kw_key_well_formed(v->key) || !kw_project_has_prefix_of(project, v->key)) {
        return refuse_form(v, KW_CODE_INVALID_FORMAT);
    }
    return true;
}

/* Looks further where a project holds keys of several schemes. */
static struct kw_entry *find_elsewhere(const struct kw_engine *engine, struct kw_verification *v)
{
    struct kw_entry *entry = NULL;
    for (size_t i = 1; i < engine->digester_count && entry == NULL; i++) {
        kw_digest_key(engine->digesters[i], v->key, &v->digest);
        entry = kw_index_find(engine->index, &v->digest);
    }
    return entry;
}

/* The limit that stands closest to refusing, or of those that refuse the one that will do so longest. */
static size_t tightest(const struct kw_limit_answer *answers, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        const struct kw_limit_answer *a = &answers[i];
        const struct kw_limit_answer *b = &answers[best];
        bool is_worse = a->is_admitted != b->is_admitted ? !a->is_admitted
                        : a->is_never != b->is_never     ? a->is_never
                        : a->is_admitted                 ? a->remaining < b->remaining
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

/*
 * What a good key's limits say. A dry run only looks. Where there is no memory to write down what is spent nobody is
 * let through: it is tried again after a second.
 */
static enum kw_code charge(struct kw_engine *engine, struct kw_verification *v, struct kw_entry *entry, bool has_above,
                           int64_t now_ms)
{
    struct kw_claim claims[KW_CLAIMS_MAX];
    struct kw_limit_answer answers[KW_CLAIMS_MAX];
    bool is_admitted = false;
    size_t count = kw_entry_claims(entry, has_above, claims);
    if (count == 0 || v->has_paid) {
        return KW_CODE_NONE;
    }
    uint32_t nowhere = 0; /* without limits of its own it has no place to keep: it is looked for each time */
    struct kw_charge charge = {.lineage = kw_entry_lineage(entry),
                               .place = entry->limit_count != 0 ? &kw_entry_tail(entry)->spending : &nowhere,
                               .claims = claims,
                               .claim_count = count,
                               .now_ms = now_ms,
                               .cost = v->cost == 0 ? 1 : v->cost,
                               .is_trial = v->checks != NULL};
    if (kw_ledger_charge(engine->ledger, &charge, answers, &is_admitted) != KW_OK) {
        answers[0] = (struct kw_limit_answer){.resets_at_ms = now_ms + 1000, .retry_after_ms = 1000};
        count = 1;
    }
    size_t shown = tightest(answers, count);
    show_limit(v, &claims[shown], &answers[shown]);
    v->has_paid = is_admitted && !charge.is_trial;
    if (v->checks != NULL) {
        v->checks[KW_RULE_RATE_LIMITS] =
            (struct kw_check){.outcome = is_admitted ? KW_OUTCOME_PASSED : KW_OUTCOME_REFUSED,
                              .decision.code = is_admitted ? KW_CODE_NONE : KW_CODE_RATE_LIMITED};
    }
    return is_admitted ? KW_CODE_NONE : KW_CODE_RATE_LIMITED;
}

static void fetch_spending(const struct kw_engine *engine, const struct kw_entry *entry)
{
    kw_ledger_prefetch(engine->ledger, __atomic_load_n(&kw_entry_tail(entry)->spending, __ATOMIC_RELAXED));
}

static void decide(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    bool complete = kw_index_complete(engine->index); /* asked first: a NULL after it is final */
    struct kw_entry *entry = kw_index_find(engine->index, &v->digest);
    if (entry == NULL) {
        entry = find_elsewhere(engine, v);
    }
    if (entry == NULL && !complete) {
        v->needs_store = true;
        v->code = KW_CODE_INVALID_KEY;
        return;
    }
    if (entry != NULL && entry->limit_count != 0) {
        fetch_spending(engine, entry); /* it comes while the rules are looked at */
    }
    struct kw_decision decision = kw_decide(entry, &v->question, now_ms);
    if (v->checks != NULL) {
        kw_decide_each(entry, &v->question, now_ms, v->checks);
    }
    if (decision.is_open) {
        /* A parent that is in no store, or not in the index yet: nobody says that this key may go. */
        v->needs_store = !complete;
        decision.code = KW_CODE_REVOKED;
        if (v->checks != NULL) {
            v->checks[KW_RULE_REVOKED] =
                (struct kw_check){.outcome = KW_OUTCOME_REFUSED, .decision.code = KW_CODE_REVOKED};
        }
    }
    bool is_charged =
        entry != NULL && decision.code == KW_CODE_NONE && (entry->limit_count != 0 || decision.has_limits_above);
    v->code = is_charged ? charge(engine, v, entry, decision.has_limits_above, now_ms) : decision.code;
    v->missing = decision.missing;
    v->bound = decision.bound;
    v->policy = decision.policy;
    v->entry = decision.code == KW_CODE_INVALID_KEY ? NULL : entry;
    if (decision.lapsed != NULL) {
        note_lapse(engine, decision.lapsed, decision.code, now_ms);
    }
    if (entry != NULL && decision.first_use && v->code == KW_CODE_NONE && v->checks == NULL) { /* a dry run is no use */
        note_first_use(engine, entry, now_ms);
    }
}

void kw_engine_verify(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    if (!admit(kw__catalog(engine), v)) {
        return;
    }
    kw_digest_key(engine->digesters[0], v->key, &v->digest);
    decide(engine, v, now_ms);
}

static void verify_together(struct kw_engine *engine, struct kw_verification *verifications, size_t count,
                            int64_t now_ms)
{
    struct kw_verification *admitted[TOGETHER];
    struct kw_bytes keys[TOGETHER];
    struct kw_digest digests[TOGETHER];
    size_t admitted_count = 0;
    const struct kw_catalog *catalog = kw__catalog(engine);
    for (size_t i = 0; i < count; i++) {
        if (admit(catalog, &verifications[i])) {
            keys[admitted_count] = verifications[i].key;
            admitted[admitted_count++] = &verifications[i];
        }
    }
    if (admitted_count == 0) {
        return;
    }
    kw_digest_keys(engine->digesters[0], keys, admitted_count, digests);
    for (size_t i = 0; i < admitted_count; i++) {
        kw_index_prefetch_bucket(engine->index, &digests[i]);
    }
    for (size_t i = 0; i < admitted_count; i++) {
        kw_index_prefetch_entry(engine->index, &digests[i]);
    }
    for (size_t i = 0; i < admitted_count; i++) {
        admitted[i]->digest = digests[i];
        decide(engine, admitted[i], now_ms);
    }
}

void kw_engine_verify_many(struct kw_engine *engine, struct kw_verification *verifications, size_t count,
                           int64_t now_ms)
{
    for (size_t at = 0; at < count; at += TOGETHER) {
        size_t together = count - at < TOGETHER ? count - at : TOGETHER;
        verify_together(engine, verifications + at, together, now_ms);
    }
}
