#include "engine/internal.h"

#include "base/bytes.h"

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
    __atomic_fetch_or(&entry->flags, seen, __ATOMIC_RELAXED);
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
    v->code = decision.code;
    v->missing = decision.missing;
    v->bound = decision.bound;
    v->policy = decision.policy;
    v->entry = decision.code == KW_CODE_INVALID_KEY ? NULL : entry;
    if (decision.lapsed != NULL) {
        note_lapse(engine, decision.lapsed, decision.code, now_ms);
    }
    if (entry != NULL && decision.first_use && v->checks == NULL) { /* a dry run is no use */
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
