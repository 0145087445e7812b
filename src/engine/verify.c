#include "engine/internal.h"

#include "base/bytes.h"
#include "core/claims.h"
#include "engine/charge.h"

#define AHEAD 1     /* keys before their turn, when what they read of a parent is asked for */
#define TOGETHER 32 /* keys whose digests and reads overlap; more would outlive the first-level cache */
/* Keys before their turn, when their entries are asked for. All at once would wait for one another: a processor has
 * some ten to twenty lines under way. */
#define ENTRIES_AHEAD 16
#define RANK 16 /* of them, whose digests are computed at once */

void kw_engine_read_begin(void)
{
    kw_index_read_begin();
}

void kw_engine_read_end(void)
{
    kw_index_read_end();
}

/* Nothing is looked at after the form was refused. */
static void explain_form(struct kw_check checks[KW_RULE_COUNT], enum kw_code code)
{
    for (size_t rule = 0; rule < KW_RULE_COUNT; rule++) {
        checks[rule] = (struct kw_check){.outcome = KW_OUTCOME_SKIPPED};
    }
    checks[KW_RULE_FORMAT] = (struct kw_check){.outcome = KW_OUTCOME_REFUSED, .decision.code = code};
}

static const struct kw__method *refuse_form(struct kw_verification *v, enum kw_code code)
{
    v->code = code;
    if (v->checks != NULL) {
        explain_form(v->checks, code);
    }
    return NULL;
}

/* Refuses what needs no look-up: then NULL. Else the method under which the key is looked for first. */
static const struct kw__method *admit(const struct kw_engine *engine, const struct kw_catalog *catalog,
                                      const struct kw__methods *methods, struct kw_verification *v)
{
    v->code = KW_CODE_NONE;
    v->needs_store = v->needs_funds = false;
    v->entry = NULL;
    v->bound = NULL;
    v->has_rate_limit = v->has_rate_limit && v->has_paid; /* what was said then still holds */
    v->has_quota = v->has_quota && v->has_paid;
    v->policy = (struct kw_bytes){NULL, 0};
    v->missing = v->missing_on = (struct kw_bytes){NULL, 0};
    if (v->key.size == 0) {
        return refuse_form(v, KW_CODE_MISSING_KEY);
    }
    const struct kw_project *project = kw_project_by_number(catalog, v->question.project);
    bool is_ours = project != NULL && kw_key_well_formed(v->key) && kw_project_has_prefix_of(project, v->key);
    if (!is_ours && (project == NULL || !kw__foreign_admits(engine, methods, project->number, v->key))) {
        return refuse_form(v, KW_CODE_INVALID_FORMAT);
    }
    return kw__own_method(methods, project);
}

/* What a key is looked for with. */
struct look_up {
    const struct kw_engine *engine;
    const struct kw__methods *methods;
    const struct kw__method *own;
    uint16_t project;
    bool complete;          /* asked first: what is not found after it is in no store */
    struct kw_entry *found; /* what decides */
};

/* How much an entry, or what stands above it, says that the key has ended. */
enum finality {
    ALIVE,
    AT_REST, /* disabled or expired */
    REVOKED,
    ERASED,
};

static enum finality finality(const struct kw_entry *entry, int64_t now_ms)
{
    unsigned flags = kw_entry_flags(entry);
    enum kw_key_status above = KW_KEY_ACTIVE;
    if ((flags & KW_ENTRY_ERASED) != 0) {
        return ERASED;
    }
    if (!kw_bound_status(kw_entry_parent(entry), now_ms, &above)) {
        above = KW_KEY_ACTIVE; /* not known yet: the decision says so */
    }
    if ((flags & (KW_ENTRY_REVOKED | KW_ENTRY_SEEN_ENDED)) != 0 || now_ms >= kw_entry_ends_at_ms(entry) ||
        above == KW_KEY_REVOKED) {
        return REVOKED;
    }
    bool is_at_rest = (flags & (KW_ENTRY_DISABLED | KW_ENTRY_LAPSED | KW_ENTRY_SEEN_LAPSED)) != 0 ||
                      now_ms >= kw_entry_stops_at_ms(entry) || above != KW_KEY_ACTIVE;
    return is_at_rest ? AT_REST : ALIVE;
}

static bool is_imported(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_IMPORTED) != 0;
}

/* Of two finds of one key that which has ended further; of equals the one that was made here. */
static bool counts_more(const struct kw_entry *entry, const struct kw_entry *other, int64_t now_ms)
{
    enum finality mine = finality(entry, now_ms);
    enum finality others = finality(other, now_ms);
    return mine != others ? mine > others : is_imported(other) && !is_imported(entry);
}

/*
 * Takes a find into account; true when it settles what the key is. One that came from elsewhere does not: under another
 * method it may have ended here, or have been made here, and that counts. A key of another project is as good as none.
 */
static bool consider(struct look_up *look, struct kw_entry *entry, int64_t now_ms)
{
    if (entry == NULL || entry->project != look->project) {
        return false;
    }
    if (look->found == NULL || counts_more(entry, look->found, now_ms)) {
        look->found = entry;
    }
    return !is_imported(look->found);
}

/* Under methods that the project's keys may have, but for its own. True when that settles what the key is. */
static bool look_under(struct look_up *look, struct kw_method_set methods, struct kw_bytes key, int64_t now_ms)
{
    bool is_settled = false;
    uint8_t number;
    while (!is_settled && kw_method_set_take(&methods, &number)) {
        const struct kw__method *method = look->methods->by_number[number];
        if (method == NULL || method == look->own || !kw__method_serves(method, look->project)) {
            continue;
        }
        struct kw_digest digest;
        kw_digest_key(method->digester, key, &digest);
        is_settled = consider(look, kw_index_find(look->engine->index, &digest), now_ms);
    }
    return is_settled;
}

/*
 * Until the index is full the project may have keys of any method. What was erased is as good as unknown: it is looked
 * for only where the key is found under another method.
 */
static void look_elsewhere(struct look_up *look, struct kw_bytes key, int64_t now_ms)
{
    const struct kw_index *index = look->engine->index;
    struct kw_method_set of_keys = look->methods->all;
    struct kw_method_set of_erased;
    if (look->complete) {
        kw_index_methods(index, look->project, false, &of_keys);
    }
    if (look_under(look, of_keys, key, now_ms) || look->found == NULL) {
        return;
    }
    kw_index_methods(index, look->project, true, &of_erased);
    kw_method_set_remove_all(&of_erased, &of_keys);
    (void)look_under(look, of_erased, key, now_ms);
}

/*
 * Everything but a key of the project under its own method, native to this store. False when it takes the store to
 * decide.
 */
static __attribute__((noinline)) bool look_further(struct look_up *look, struct kw_verification *v, int64_t now_ms)
{
    const struct kw_index *index = look->engine->index;
    uint64_t moves;
    do { /* a key that moves meanwhile may be missed on either side */
        moves = kw_index_moves(index);
        look->found = NULL;
        if (!consider(look, kw_index_find(index, &v->digest), now_ms)) {
            look_elsewhere(look, v->key, now_ms);
        }
    } while (look->found == NULL && kw_index_moves(index) != moves);
    if (look->found == NULL) {
        return look->complete;
    }
    /* What ended elsewhere may be a row that is not in the index, since it could not be read: it is asked for once. */
    bool is_known = !is_imported(look->found) || finality(look->found, now_ms) >= REVOKED ||
                    (kw_entry_marks(look->found) & KW_ENTRY_CHECKED) != 0;
    look->found = is_known ? look->found : NULL;
    return is_known;
}

static inline bool is_at_home(const struct kw_entry *entry, const struct look_up *look)
{
    return entry != NULL && entry->project == look->project && entry->method == look->own->is.number &&
           !is_imported(entry);
}

/* They stand near the end of a record, which is not fetched with its beginning. */
static void fetch_limits(const struct kw_entry *entry)
{
    const struct kw_entry_extra *extra = kw_entry_extra(entry);
    __builtin_prefetch(entry->record + extra->limits_at);
    __builtin_prefetch(entry->record + extra->quotas_at);
    struct kw_bytes record = kw_entry_record(entry);
    __builtin_prefetch(record.data + record.size - 1);
}

void kw_engine_count(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    if (v->checks == NULL && !v->needs_store && !v->is_counted) {
        v->is_counted = true;
        kw__usage_count(engine->usage, v, v->entry, now_ms);
    }
}

static inline void count(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    v->waits_for_place = v->waits_for_place && v->code == KW_CODE_REGION_NOT_ALLOWED && v->question.place == NULL;
    if (!v->waits_for_place) {
        kw_engine_count(engine, v, now_ms);
    }
}

/* A dry run tells of limits and quotas also where another rule refuses. A key that has ended has nothing to spend. */
static __attribute__((noinline)) void explain_spending(struct kw_engine *engine, struct kw_verification *v,
                                                       struct kw_entry *entry, enum kw_code code, int64_t now_ms)
{
    bool has_above = kw_entry_bounds(entry) != NULL;
    if (code != KW_CODE_REVOKED && code != KW_CODE_EXPIRED && code != KW_CODE_DISABLED) {
        (void)kw__charge(engine, v, entry, has_above, now_ms);
        return;
    }
    struct kw_claim claims[KW_CLAIMS_MAX];
    size_t claim_count = kw_entry_claims(entry, has_above, claims);
    for (size_t i = 0; i < claim_count; i++) {
        v->checks[claims[i].is_quota ? KW_RULE_QUOTAS : KW_RULE_RATE_LIMITS].outcome = KW_OUTCOME_SKIPPED;
    }
}

/* Where it does not pass at a glance, or each rule is to be told of. What it says is of the key; `v` says the rest. */
static __attribute__((noinline)) struct kw_decision decide_in_full(struct kw_engine *engine, struct kw_verification *v,
                                                                   struct kw_entry *entry, bool is_complete,
                                                                   int64_t now_ms)
{
    struct kw_decision decision =
        v->checks == NULL ? kw_decide_by_rule(entry, &v->question, now_ms) : kw_decide(entry, &v->question, now_ms);
    if (v->checks != NULL) {
        kw_decide_each(entry, &v->question, now_ms, v->checks);
    }
    if (decision.is_open) {
        /* A parent that is in no store, or not in the index yet: nobody says that this key may go. */
        v->needs_store = !is_complete;
        decision.code = KW_CODE_REVOKED;
        if (v->checks != NULL) {
            v->checks[KW_RULE_REVOKED] =
                (struct kw_check){.outcome = KW_OUTCOME_REFUSED, .decision.code = KW_CODE_REVOKED};
        }
    }
    bool is_charged =
        entry != NULL && decision.code == KW_CODE_NONE && (kw_entry_is_limited(entry) || decision.has_limits_above);
    v->bound = decision.bound;
    v->policy = decision.policy;
    v->code = is_charged ? kw__charge(engine, v, entry, decision.has_limits_above, now_ms) : decision.code;
    if (v->checks != NULL && entry != NULL && decision.code != KW_CODE_NONE && decision.code != KW_CODE_INVALID_KEY) {
        explain_spending(engine, v, entry, decision.code, now_ms);
        v->bound = decision.bound; /* the verdict is the earlier rule's */
        v->policy = decision.policy;
    }
    v->missing = decision.missing;
    v->missing_on = decision.missing_on;
    if (decision.code == KW_CODE_INSUFFICIENT_SCOPE) {
        v->lacks = decision.lacks;
    }
    v->entry = decision.code == KW_CODE_INVALID_KEY ? NULL : entry;
    if (decision.lapsed != NULL) {
        kw__note_lapse(engine, decision.lapsed, decision.code, now_ms);
    }
    return decision;
}

static void decide(struct kw_engine *engine, const struct kw__methods *methods, const struct kw__method *own,
                   struct kw_verification *v, struct kw_entry *expected, int64_t now_ms)
{
    struct look_up look = {.engine = engine, .methods = methods, .own = own, .project = v->question.project};
    look.complete = kw_index_complete(engine->index);
    struct kw_entry *entry = kw_index_find_expected(engine->index, &v->digest, expected);
    if (__builtin_expect(!is_at_home(entry, &look), 0)) {
        v->needs_store = !look_further(&look, v, now_ms);
        entry = look.found;
    }
    if (v->needs_store) {
        v->code = KW_CODE_INVALID_KEY;
        if (v->checks != NULL) {
            kw_decide_each(NULL, &v->question, now_ms, v->checks);
        }
        return;
    }
    if (entry != NULL && kw_entry_is_limited(entry)) {
        fetch_limits(entry); /* they come while the rules are looked at */
    }
    if (entry != NULL && v->question.address != NULL) {
        kw__usage_prefetch(engine->usage, entry);
    }
    unsigned passes = entry == NULL ? 0 : kw_passes(entry, &v->question, now_ms);
    if (passes != 0 && v->checks == NULL) {
        bool is_bounded = (passes & KW_PASSES_LIMITS_ABOVE) != 0;
        bool is_charged = kw_entry_is_limited(entry) || is_bounded;
        v->entry = entry;
        v->code = is_charged ? kw__charge(engine, v, entry, is_bounded, now_ms) : KW_CODE_NONE;
    } else {
        struct kw_decision decision = decide_in_full(engine, v, entry, look.complete, now_ms);
        passes = decision.first_use ? KW_PASSES_FIRST_USE : 0;
    }
    count(engine, v, now_ms);
    if (entry == NULL || v->checks != NULL || v->code != KW_CODE_NONE) { /* neither a refusal nor a dry run is a use */
        return;
    }
    if ((passes & KW_PASSES_FIRST_USE) != 0) {
        kw__note_first_use(engine, entry, now_ms);
    }
    if (entry->method != own->is.number) {
        kw__note_move(engine, entry, own, &v->digest, now_ms);
    }
}

void kw_engine_verify_start(struct kw_engine *engine, struct kw_verification *v)
{
    v->methods = kw__methods(engine);
    v->own = admit(engine, kw__catalog(engine), v->methods, v);
    if (v->own != NULL) {
        kw_digest_key(v->own->digester, v->key, &v->digest);
        kw_index_prefetch_bucket(engine->index, &v->digest);
    }
}

void kw_engine_verify_finish(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    if (v->own != NULL) {
        decide(engine, v->methods, v->own, v, kw_index_expect(engine->index, &v->digest, true), now_ms);
    } else {
        kw_engine_count(engine, v, now_ms);
    }
}

void kw_engine_verify(struct kw_engine *engine, struct kw_verification *v, int64_t now_ms)
{
    kw_engine_verify_start(engine, v);
    kw_engine_verify_finish(engine, v, now_ms);
}

/* Those among `count` that have one method, from `first` on; they are marked as done by a NULL in `owns`. */
static size_t pick(struct kw_verification **admitted, const struct kw__method **owns, size_t first, size_t count,
                   struct kw_verification *picked[TOGETHER], struct kw_bytes keys[TOGETHER])
{
    const struct kw__method *own = owns[first];
    size_t picked_count = 0;
    for (size_t i = first; i < count; i++) {
        if (owns[i] == own) {
            keys[picked_count] = admitted[i]->key;
            picked[picked_count++] = admitted[i];
            owns[i] = NULL;
        }
    }
    return picked_count;
}

static void verify_picked(struct kw_engine *engine, const struct kw__methods *methods, const struct kw__method *own,
                          struct kw_verification **picked, const struct kw_bytes *keys, size_t count, int64_t now_ms)
{
    struct kw_digest digests[TOGETHER];
    for (size_t at = 0; at < count; at += RANK) { /* buckets come while the next digests are computed */
        size_t part = count - at < RANK ? count - at : RANK;
        kw_digest_keys(own->digester, keys + at, part, digests + at);
        for (size_t i = at; i < at + part; i++) {
            kw_index_prefetch_bucket(engine->index, &digests[i]);
        }
    }
    struct kw_entry *expected[TOGETHER];
    for (size_t i = 0; i < count && i < ENTRIES_AHEAD; i++) {
        expected[i] = kw_index_expect(engine->index, &digests[i], false);
    }
    for (size_t i = 0; i < count; i++) {
        if (i + ENTRIES_AHEAD < count) {
            expected[i + ENTRIES_AHEAD] = kw_index_expect(engine->index, &digests[i + ENTRIES_AHEAD], false);
        }
        const struct kw_entry *later = i + AHEAD < count ? expected[i + AHEAD] : NULL;
        if (later != NULL) {
            __builtin_prefetch(kw_entry_parent(later));
        }
        if (later != NULL && kw_entry_is_limited(later)) {
            fetch_limits(later);
        }
        if (later != NULL && picked[i + AHEAD]->question.address != NULL) {
            kw__usage_prefetch(engine->usage, later);
        }
        picked[i]->digest = digests[i];
        decide(engine, methods, own, picked[i], expected[i], now_ms);
    }
}

static void verify_together(struct kw_engine *engine, struct kw_verification *verifications, size_t count,
                            int64_t now_ms)
{
    struct kw_verification *admitted[TOGETHER];
    const struct kw__method *owns[TOGETHER];
    size_t admitted_count = 0;
    const struct kw_catalog *catalog = kw__catalog(engine);
    const struct kw__methods *methods = kw__methods(engine);
    for (size_t i = 0; i < count; i++) {
        const struct kw__method *own = admit(engine, catalog, methods, &verifications[i]);
        if (own != NULL) {
            owns[admitted_count] = own;
            admitted[admitted_count++] = &verifications[i];
        } else {
            kw_engine_count(engine, &verifications[i], now_ms);
        }
    }
    for (size_t i = 0; i < admitted_count; i++) { /* as a rule all at once: they are of one project */
        const struct kw__method *own = owns[i];
        struct kw_verification *picked[TOGETHER];
        struct kw_bytes keys[TOGETHER];
        if (own != NULL) {
            size_t picked_count = pick(admitted, owns, i, admitted_count, picked, keys);
            verify_picked(engine, methods, own, picked, keys, picked_count, now_ms);
        }
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
