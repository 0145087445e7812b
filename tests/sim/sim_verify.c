#include "sim/model_claims.h"
#include "sim/sim.h"

#include <stdio.h>

static bool is_spent(enum kw_code code)
{
    return code == KW_CODE_RATE_LIMITED || code == KW_CODE_QUOTA_EXCEEDED;
}

/* --- what limits and quotas say --- */

/* The only one that is called that; NULL where there are several. */
static const struct model_claim *find_claim(const struct model_weighed *weighed, bool is_quota, const char *name)
{
    const struct model_claim *found = NULL;
    for (int i = 0; i < weighed->count; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        if (claim->is_quota == is_quota && strcmp(is_quota ? claim->quota.name : claim->limit.name, name) == 0) {
            if (found != NULL) {
                return NULL;
            }
            found = claim;
        }
    }
    return found;
}

static void check_between(struct sim *sim, const struct model_claim *claim, int64_t shown, int64_t slack)
{
    int64_t least, most;
    model_spent_of(&sim->spent, claim, &least, &most);
    most += slack;
    if (shown < least || shown > most) {
        test_fail(sim->t, __FILE__, __LINE__, "of %s (%s) %lld are said to be spent: it is %lld to %lld", claim->id,
                  claim->account, (long long)shown, (long long)least, (long long)most);
    }
}

static void check_shown(struct sim *sim, const struct model_weighed *weighed, const struct kw_verdict *verdict)
{
    struct test *t = sim->t;
    bool is_admitted = verdict->code == KW_CODE_NONE;
    const struct model_claim *claim =
        verdict->has_rate_limit ? find_claim(weighed, false, verdict->rate_limit.name) : NULL;
    if (claim != NULL && is_admitted && !claim->is_ambiguous && claim->throttled_by < 0) {
        int64_t shown = verdict->rate_limit.requests - verdict->rate_limit.remaining - weighed->cost;
        CHECK_I64(t, verdict->rate_limit.requests, claim->limit.requests);
        CHECK_I64(t, verdict->rate_limit.window_ms, claim->limit.window);
        check_between(sim, claim, shown, claim->slot->spent.coarse);
    }
    claim = verdict->has_quota ? find_claim(weighed, true, verdict->quota.name) : NULL;
    if (claim != NULL && verdict->code != KW_CODE_RATE_LIMITED) {
        bool is_counted = is_admitted && strcmp(claim->quota.metric, "requests") == 0;
        int64_t shown = verdict->quota.used / KW_AMOUNT_ONE - (is_counted ? weighed->cost : 0);
        CHECK_I64(t, verdict->quota.limit, claim->quota.limit * KW_AMOUNT_ONE);
        check_between(sim, claim, shown, 0);
    }
    bool has_limit = false, has_quota = false;
    for (int i = 0; i < weighed->count; i++) {
        has_quota = has_quota || weighed->claims[i].is_quota;
        has_limit = has_limit || (!weighed->claims[i].is_quota && weighed->claims[i].throttled_by < 0);
    }
    CHECK(t, verdict->has_rate_limit || !has_limit);
    CHECK_I64(t, verdict->has_quota, has_quota);
}

/* That whose limit or quota refuses is one that has such a one. */
static void check_owner(struct sim *sim, const struct model_weighed *weighed, const struct kw_verdict *verdict)
{
    static const struct kw_id none;
    bool is_quota = verdict->code == KW_CODE_QUOTA_EXCEEDED;
    const char *name = is_quota ? verdict->quota.name : verdict->rate_limit.name;
    bool is_found = false;
    for (int i = 0; i < weighed->count && !is_found; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        const struct kw_id *by = claim->ancestor < 0 ? &none : &sim->model.keys[claim->ancestor].id;
        is_found = claim->is_quota == is_quota && memcmp(&verdict->refused_by, by, sizeof none) == 0 &&
                   strcmp(verdict->policy, claim->policy < 0 ? "" : model_policies[claim->policy]) == 0 &&
                   strcmp(is_quota ? claim->quota.name : claim->limit.name, name) == 0;
    }
    CHECK(sim->t, is_found);
}

/* Of a key that all other rules let through. */
static void check_spent(struct sim *sim, int key, const struct model_weighed *weighed, const struct kw_verdict *verdict)
{
    struct test *t = sim->t;
    sim->retry_after = 0;
    check_shown(sim, weighed, verdict);
    if (is_spent(verdict->code)) {
        check_owner(sim, weighed, verdict);
    }
    if (verdict->code == KW_CODE_RATE_LIMITED) {
        CHECK(t, weighed->may_limit);
        sim->retry_after = verdict->rate_limit.retry_after_ms;
    } else if (verdict->code == KW_CODE_QUOTA_EXCEEDED) {
        CHECK(t, weighed->may_exceed && !weighed->must_limit);
    } else {
        sim_check_code(sim, verdict->code, KW_CODE_NONE);
        CHECK(t, !weighed->must_limit && !weighed->must_throttle);
        CHECK(t, !weighed->must_exceed);
        model_spend(&sim->spent, weighed);
        model_use(&sim->model, key);
    }
    CHECK(t, !sim->spent.is_full);
}

/* --- verifying --- */

static bool has_ended(enum kw_code code)
{
    return code == KW_CODE_INVALID_KEY || code == KW_CODE_REVOKED || code == KW_CODE_EXPIRED ||
           code == KW_CODE_DISABLED;
}

/* A dry run, which must not be a use, and spend nothing. KW_CODE_INTERNAL: the store failed. */
static enum kw_code explain(struct sim *sim, const struct kw_verify_request *request, bool may_fail)
{
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    struct kw_rule_outcome outcomes[KW_RULES_MAX];
    size_t count;
    enum kw_status status = kw_explain(sim->keyward, request, &verdict, outcomes, &count);
    CHECK(sim->t, status == KW_OK || may_fail);
    return verdict.code;
}

static void check_refusal(struct sim *sim, int index, const struct model_refusal *refusal,
                          const struct kw_verdict *verdict)
{
    static const struct kw_id none;
    const struct model_key *key = &sim->model.keys[index];
    CHECK(sim->t, verdict->code != KW_CODE_NONE || !(key->acknowledged_dead || key->erased));
    if (is_spent(verdict->code)) {
        return; /* check_owner */
    }
    if (verdict->code == KW_CODE_NONE || refusal->ancestor >= 0) {
        const struct kw_id *by = refusal->ancestor >= 0 ? &sim->model.keys[refusal->ancestor].id : &none;
        CHECK(sim->t, memcmp(&verdict->refused_by, by, sizeof none) == 0);
    }
    int policy = sim->model.keys[refusal->ancestor >= 0 ? refusal->ancestor : index].policy;
    CHECK_TEXT(sim->t, verdict->policy, refusal->by_policy ? model_policies[policy] : "");
}

/* What the model says is not of limits. KW_CODE_INTERNAL: the store failed, and nothing was decided. */
static enum kw_code ask(struct sim *sim, int index, const struct model_question *question)
{
    static struct model_weighed weighed;
    struct model_refusal refusal;
    struct wire wire;
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    enum kw_code expected = model_verify(&sim->model, index, question, &refusal);
    struct kw_verify_request request = wire_question(sim->model.keys[index].text, question, &wire);
    bool explains = test_random_below(sim->t, 4) == 0;
    weighed.count = 0;
    if (expected == KW_CODE_NONE || (explains && !has_ended(expected))) { /* a dry run looks at limits all the same */
        model_weigh(&sim->spent, &sim->model, index, question->cost == 0 ? 1 : question->cost, &weighed);
    }
    bool may_fail = sim->armed != SIM_IS_WELL && weighed.count > 0;
    enum kw_code explained = explains ? explain(sim, &request, may_fail) : KW_CODE_INTERNAL;
    if (explains && may_fail && explained == KW_CODE_INTERNAL) {
        model_asked(&sim->spent, &weighed, false);
    }
    enum kw_status status = kw_verify(sim->keyward, &request, &verdict);
    if (expected == KW_CODE_NONE) {
        model_asked(&sim->spent, &weighed, status == KW_OK);
    }
    if (sim->armed == SIM_IS_UNCERTAIN) { /* also what was to be reserved ahead */
        model_lose(&sim->spent, &weighed);
    }
    if (status != KW_OK && may_fail) {
        return KW_CODE_INTERNAL;
    }
    CHECK_STATUS(sim->t, status, KW_OK);
    /* Who is refused by a quota may not have been asked for what another throttles to. */
    bool may_differ = may_fail || (is_spent(explained) && is_spent(verdict.code));
    bool is_open = (weighed.may_limit && !weighed.must_limit && !weighed.must_throttle) ||
                   (weighed.may_exceed && !weighed.must_exceed);
    is_open = is_open || sim->spent.now < sim->spent.high;
    may_differ = may_differ || (is_open && (is_spent(explained) || is_spent(verdict.code)));
    if (explained != KW_CODE_INTERNAL && !may_differ) {
        sim_check_code(sim, explained, verdict.code);
    }
    check_refusal(sim, index, &refusal, &verdict);
    if (expected == KW_CODE_NONE) {
        check_spent(sim, index, &weighed, &verdict);
    } else {
        sim_check_code(sim, verdict.code, expected);
    }
    return verdict.code;
}

/* What a first use sets off and could not write down is set off again by the next one, which a limit may refuse. */
static bool may_stay_undone(struct sim *sim, int key)
{
    static struct model_weighed weighed;
    const struct model_key *used = &sim->model.keys[key];
    model_find_claims(&sim->model, key, &weighed);
    return used->ends_grace && !used->first_use_told && weighed.count > 0;
}

enum kw_code sim_spend(struct sim *sim, int key, const struct model_question *question)
{
    if (sim->fault != NULL && !may_stay_undone(sim, key)) { /* what it sets off may fail, and is then set off again */
        sim_arm(sim);
        (void)ask(sim, key, question);
        sim_settle(sim);
        sim_disarm(sim);
    }
    enum kw_code code = ask(sim, key, question);
    sim_settle(sim);
    return code;
}

enum kw_code sim_verify(struct sim *sim, int key, const struct model_question *question)
{
    enum kw_code answered = KW_CODE_INTERNAL;
    while (key >= 0 && sim->model.keys[key].text[0] != '\0') {
        enum kw_code code = sim_spend(sim, key, question);
        bool is_refused = code != KW_CODE_NONE && !is_spent(code); /* which is spent by each for itself */
        CHECK(sim->t, !(answered == KW_CODE_NONE && is_refused));
        answered = answered == KW_CODE_INTERNAL ? code : answered;
        if (sim->t->failures != 0) {
            break;
        }
        int parent = sim->model.keys[key].parent;
        key = parent < 0 ? -1 : model_newest(&sim->model, parent);
        CHECK(sim->t, parent < 0 || key >= 0 || (answered != KW_CODE_NONE && !is_spent(answered)));
    }
    return answered;
}

void sim_report(struct sim *sim, int key, int64_t amount)
{
    const struct kw_usage_amount tokens = {.metric = KW_BYTES("tokens"), .amount = amount * KW_AMOUNT_ONE};
    const struct kw_report_request request = {
        .id = sim->model.keys[key].id, .amounts = &tokens, .amount_count = 1, .actor = KW_BYTES("alice")};
    struct kw_error error = {0};
    sim_arm(sim);
    enum kw_status status = kw_report_usage(sim->keyward, &request, &error);
    sim_disarm(sim);
    if (status != KW_OK && sim_is_fault(sim, kw_code_of_name(error.code))) {
        model_report(&sim->spent, &sim->model, key, "tokens", amount, false);
        return;
    }
    CHECK_STATUS(sim->t, status, sim->model.keys[key].erased ? KW_E_NOT_FOUND : KW_OK);
    if (status == KW_OK) {
        model_report(&sim->spent, &sim->model, key, "tokens", amount, true);
    }
}

static void keep_code(void *context, const struct kw_import_line *line)
{
    *(enum kw_code *)context = line->error == NULL ? KW_CODE_NONE : kw_code_of_name(line->error->code);
}

void sim_import_erased(struct sim *sim, int key, bool names_id, enum kw_import_conflict on_conflict, bool is_dry_run)
{
    char text[KW_KEY_SIZE_MAX + 128];
    char id[KW_ID_TEXT_SIZE + 1];
    struct kw_import_counts counts = {.created = 0};
    struct kw_error error = {0};
    enum kw_code code = KW_CODE_INTERNAL;
    kw_id_to_text(&sim->model.keys[key].id, id);
    snprintf(text, sizeof text, "{\"key\":\"%s\",\"ownerId\":\"1\"%s%s%s}", sim->model.keys[key].text,
             names_id ? ",\"id\":\"" : "", names_id ? id : "", names_id ? "\"" : "");
    struct kw_import_request request = {.text = kw_text(text),
                                        .options = {.on_conflict = on_conflict, .dry_run = is_dry_run}};
    sim_arm(sim);
    enum kw_status status = kw_import_many(sim->keyward, &request, keep_code, &code, &counts, &error);
    sim_disarm(sim);
    code = status == KW_OK ? code : kw_code_of_name(error.code);
    CHECK(sim->t, counts.created == 0 && counts.overwritten == 0);
    if (!sim_is_fault(sim, code)) {
        sim_check_code(sim, code, KW_CODE_CANNOT_MODIFY_REVOKED);
    }
}
