#include "base/bytes.h"
#include "core/id.h"
#include "core/requirement.h"
#include "core/scope.h"
#include "core/usage.h"
#include "engine/library.h"

#define TOGETHER 32

/* What a question borrows beside the request's own texts. */
struct asked {
    struct kw_address address;
    struct kw_place place;
};

/* False when what is stated of the place, or the requirement, is none. */
static bool ask_rest(const struct kw_verify_request *request, struct asked *asked, struct kw_question *question)
{
    size_t at;
    const char *why;
    bool is_good = true;
    if (request->ip.size > 0) {
        is_good = kw_address_parse(request->ip, &asked->address);
        question->address = &asked->address;
    }
    if ((request->country.size | request->region.size) > 0) {
        asked->place = (struct kw_place){request->country, request->region};
        is_good = is_good && kw_place_valid(&asked->place);
        question->place = &asked->place;
    }
    question->require = request->require;
    return is_good && (request->require.size == 0 || kw_requirement_check(request->require, &at, &why) == KW_OK);
}

static void begin(const struct keyward *keyward, const struct kw_verify_request *request, struct kw_check *checks,
                  struct kw_verification *v)
{
    v->key = request->key;
    v->checks = checks;
    v->cost = request->cost;
    v->endpoint = request->endpoint;
    v->has_paid = false;
    v->is_counted = v->waits_for_place = false;
    v->has_rate_limit = false;
    v->has_quota = false;
    v->question.project = kw__project_of(keyward, request->project);
}

/* An environment that there is not is no question, here as elsewhere. */
static bool has_environment(const struct keyward *keyward, const struct kw_question *question)
{
    const struct kw_project *project = kw_project_by_number(kw_engine_catalog(keyward->engine), question->project);
    return project != NULL && kw_project_environment(project, question->env) != NULL;
}

/* False when there is no such project, or something is not what it should be. Between read_begin and read_end. */
static bool ask(const struct keyward *keyward, const struct kw_verify_request *request, struct asked *asked,
                struct kw_question *question)
{
    *question = (struct kw_question){.project = question->project,
                                     .env = request->env,
                                     .scopes = request->scopes,
                                     .scope_count = request->scope_count,
                                     .resource = request->resource,
                                     .resource_scopes = request->resource_scopes,
                                     .resource_scope_count = request->resource_scope_count};
    bool is_good =
        request->resource.size == 0 ? request->resource_scope_count == 0 : kw_resource_valid(request->resource);
    if ((request->ip.size | request->country.size | request->region.size | request->require.size) != 0) {
        is_good = is_good && ask_rest(request, asked, question);
    }
    is_good = is_good && (request->endpoint.size == 0 || kw_endpoint_valid(request->endpoint));
    is_good = is_good && (request->env.size == 0 || has_environment(keyward, question));
    is_good =
        is_good && request->scope_count <= KW_SCOPE_COUNT_MAX && request->resource_scope_count <= KW_SCOPE_COUNT_MAX;
    return is_good && request->cost <= KW_COST_MAX && question->project != KW_PROJECT_NONE;
}

static bool are_scopes(const struct kw_bytes *scopes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!kw_scope_valid(scopes[i])) {
            return false;
        }
    }
    return true;
}

/* Copies the key's record into the caller's memory. */
static enum kw_status copy_record(const struct kw_verify_request *request, const struct kw_entry *entry,
                                  struct kw_record *record_out)
{
    struct kw_bytes encoding = kw_entry_record(entry);
    if (encoding.size > request->record_memory_size) {
        return KW_E_LIMIT;
    }
    memcpy(request->record_memory, encoding.data, encoding.size);
    return kw_record_decode(kw_bytes_of(request->record_memory, encoding.size), record_out);
}

/* Nothing where it would not fit. */
static void put_text(struct kw_bytes text, size_t size_max, char *text_out)
{
    size_t size = text.size <= size_max ? text.size : 0;
    if (size > 0) {
        memcpy(text_out, text.data, size);
    }
    text_out[size] = '\0';
}

static void put_texts(const struct kw_verification *v, struct kw_verdict *verdict_out)
{
    verdict_out->policy[0] = verdict_out->field[0] = verdict_out->missing[0] = verdict_out->missing_on[0] = '\0';
    if (v->code == KW_CODE_NONE) {
        return;
    }
    put_text(v->policy, KW_POLICY_MAX, verdict_out->policy);
    if (v->code == KW_CODE_POLICY_VIOLATION) {
        put_text(v->missing, KW_ERROR_FIELD_MAX - 1, verdict_out->field);
    } else {
        put_text(v->missing, KW_REQUIRE_MAX, verdict_out->missing);
    }
    put_text(v->missing_on, KW_RESOURCE_MAX, verdict_out->missing_on);
    if (v->code == KW_CODE_INSUFFICIENT_SCOPE) {
        verdict_out->lacks = v->lacks;
    }
}

static void tell_outcome(const struct kw_verification *v, enum kw_rule rule, struct kw_rule_outcome *outcome_out)
{
    const struct kw_check *check = &v->checks[rule];
    const struct kw_decision *decision = &check->decision;
    *outcome_out = (struct kw_rule_outcome){
        .rule = kw_rule_name(rule), .outcome = kw_finding_name(check->outcome), .code = decision->code};
    if (check->outcome != KW_OUTCOME_REFUSED) {
        return;
    }
    if (decision->bound != NULL) {
        outcome_out->refused_by = kw_entry_id(decision->bound);
    }
    put_text(decision->policy, KW_POLICY_MAX, outcome_out->policy);
    if (decision->code == KW_CODE_POLICY_VIOLATION) {
        put_text(decision->missing, KW_ERROR_FIELD_MAX - 1, outcome_out->field);
    } else if (decision->code == KW_CODE_INSUFFICIENT_SCOPE) {
        outcome_out->lacks = decision->lacks;
    }
    outcome_out->has_rate_limit = rule == KW_RULE_RATE_LIMITS && v->has_rate_limit;
    if (outcome_out->has_rate_limit) {
        outcome_out->rate_limit = v->rate_limit;
    }
    outcome_out->has_quota = rule == KW_RULE_QUOTAS && v->has_quota;
    if (outcome_out->has_quota) {
        outcome_out->quota = v->quota;
    }
}

/* Takes over what lives only as long as the read section. The verdict is touched last, when nothing can fail any more.
 */
static enum kw_status answer(const struct kw_verify_request *request, const struct kw_verification *v,
                             struct kw_verdict *verdict_out)
{
    if (v->code == KW_CODE_INSUFFICIENT_SCOPE &&
        !(are_scopes(request->scopes, request->scope_count) &&
          are_scopes(request->resource_scopes, request->resource_scope_count))) {
        return KW_E_INVALID; /* what is no scope must not read as one that is not held */
    }
    bool wants_record = v->entry != NULL && request->record_memory != NULL;
    if (wants_record) {
        struct kw_record record;
        enum kw_status status = copy_record(request, v->entry, &record);
        if (status != KW_OK) {
            return status;
        }
        verdict_out->record = record;
    }
    verdict_out->has_rate_limit = v->has_rate_limit;
    if (v->has_rate_limit) {
        verdict_out->rate_limit = v->rate_limit;
    }
    verdict_out->has_quota = v->has_quota;
    if (v->has_quota) {
        verdict_out->quota = v->quota;
    }
    verdict_out->has_record = wants_record;
    verdict_out->code = v->code;
    memset(&verdict_out->id, 0, sizeof verdict_out->id);
    if (v->entry != NULL) {
        verdict_out->id = kw_entry_id(v->entry);
    }
    memset(&verdict_out->refused_by, 0, sizeof verdict_out->refused_by);
    if (v->bound != NULL) {
        verdict_out->refused_by = kw_entry_id(v->bound);
    }
    put_texts(v, verdict_out);
    return KW_OK;
}

/* `outcomes_out`: NULL, or room for every rule's. */
static enum kw_status answer_all(const struct kw_verify_request *request, const struct kw_verification *v,
                                 struct kw_verdict *verdict_out, struct kw_rule_outcome *outcomes_out)
{
    enum kw_status status = answer(request, v, verdict_out);
    for (size_t rule = 0; status == KW_OK && outcomes_out != NULL && rule < KW_RULE_COUNT; rule++) {
        tell_outcome(v, (enum kw_rule)rule, &outcomes_out[rule]);
    }
    return status;
}

size_t kw_missing_list(const struct kw_verify_request *request, const struct kw_verdict *verdict,
                       struct kw_missing *missing_out, size_t count_max)
{
    const struct kw_question question = {.scopes = request->scopes,
                                         .scope_count = request->scope_count,
                                         .require = request->require,
                                         .resource = request->resource,
                                         .resource_scopes = request->resource_scopes,
                                         .resource_scope_count = request->resource_scope_count};
    return verdict->code == KW_CODE_INSUFFICIENT_SCOPE
               ? kw_lacks_list(&verdict->lacks, &question, missing_out, count_max)
               : 0;
}

/* The index does not know all of the key, or it has nothing to spend yet: a worker asks the store. */
static enum kw_status load(struct keyward *keyward, const struct kw_verification *v)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_LOAD, v->question.project);
    kw_op_ask_missing(&op, v);
    enum kw_status status = kw_engine_run(keyward->engine, &op);
    kw_op_deinit(&op);
    return status;
}

static enum kw_status verify_after_load(struct keyward *keyward, const struct kw_verify_request *request,
                                        struct kw_verification *v, struct kw_verdict *verdict_out,
                                        struct kw_rule_outcome *outcomes_out)
{
    bool is_open = true;
    for (int tries = 0; is_open && tries < KW_TRIES_MAX; tries++) {
        enum kw_status status = load(keyward, v);
        if (status != KW_OK && status != KW_E_NOT_FOUND) {
            return status;
        }
        bool was_loaded = !v->needs_funds;
        kw_engine_read_begin();
        kw_engine_verify(keyward->engine, v, kw_engine_now_ms(keyward->engine));
        /* What the store did not know either is unknown: the code says so already. */
        is_open = v->needs_funds || (v->needs_store && !was_loaded);
        status = is_open ? KW_OK : answer_all(request, v, verdict_out, outcomes_out);
        kw_engine_read_end();
        if (!is_open) {
            return status;
        }
    }
    return KW_E_BUSY;
}

static enum kw_status verify_one(struct keyward *keyward, const struct kw_verify_request *request,
                                 struct kw_check *checks, struct kw_verdict *verdict_out,
                                 struct kw_rule_outcome *outcomes_out)
{
    struct kw_verification v;
    struct asked asked;
    begin(keyward, request, checks, &v);
    kw_engine_read_begin();
    kw_engine_verify_start(keyward->engine, &v);
    bool is_good = ask(keyward, request, &asked, &v.question); /* while memory answers */
    enum kw_status status = KW_E_INVALID;
    if (is_good) {
        kw_engine_verify_finish(keyward->engine, &v, kw_engine_now_ms(keyward->engine));
        status = v.needs_store ? KW_OK : answer_all(request, &v, verdict_out, outcomes_out);
    }
    kw_engine_read_end();
    return is_good && v.needs_store ? verify_after_load(keyward, request, &v, verdict_out, outcomes_out) : status;
}

enum kw_status kw_verify(struct keyward *keyward, const struct kw_verify_request *request,
                         struct kw_verdict *verdict_out)
{
    return verify_one(keyward, request, NULL, verdict_out, NULL);
}

enum kw_status kw_explain(struct keyward *keyward, const struct kw_verify_request *request,
                          struct kw_verdict *verdict_out, struct kw_rule_outcome outcomes_out[KW_RULES_MAX],
                          size_t *count_out)
{
    _Static_assert(KW_RULE_COUNT <= KW_RULES_MAX, "callers have room for all rules");
    struct kw_check checks[KW_RULE_COUNT];
    enum kw_status status = verify_one(keyward, request, checks, verdict_out, outcomes_out);
    *count_out = status == KW_OK ? KW_RULE_COUNT : 0;
    return status;
}

static void verify_together(struct keyward *keyward, const struct kw_verify_request *requests, size_t count,
                            enum kw_status *statuses_out, struct kw_verdict *verdicts_out)
{
    struct kw_verification verifications[TOGETHER];
    struct asked asked[TOGETHER];
    kw_engine_read_begin();
    for (size_t i = 0; i < count; i++) {
        begin(keyward, &requests[i], NULL, &verifications[i]);
        statuses_out[i] = ask(keyward, &requests[i], &asked[i], &verifications[i].question) ? KW_OK : KW_E_INVALID;
        if (statuses_out[i] != KW_OK) {
            verifications[i].key = (struct kw_bytes){NULL, 0};
            verifications[i].is_counted = true; /* nothing was asked */
        }
    }
    kw_engine_verify_many(keyward->engine, verifications, count, kw_engine_now_ms(keyward->engine));
    for (size_t i = 0; i < count; i++) {
        if (statuses_out[i] == KW_OK && !verifications[i].needs_store) {
            statuses_out[i] = answer(&requests[i], &verifications[i], &verdicts_out[i]);
        }
    }
    kw_engine_read_end();
    for (size_t i = 0; i < count; i++) {
        if (statuses_out[i] == KW_OK && verifications[i].needs_store) {
            statuses_out[i] = verify_after_load(keyward, &requests[i], &verifications[i], &verdicts_out[i], NULL);
        }
    }
}

enum kw_status kw_verify_many(struct keyward *keyward, const struct kw_verify_request *requests, size_t count,
                              enum kw_status *statuses_out, struct kw_verdict *verdicts_out)
{
    for (size_t at = 0; at < count; at += TOGETHER) {
        size_t together = count - at < TOGETHER ? count - at : TOGETHER;
        verify_together(keyward, requests + at, together, statuses_out + at, verdicts_out + at);
    }
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = statuses_out[i];
    }
    return status;
}

enum kw_key_status kw_status_of(const struct kw_record *record, int64_t now_ms)
{
    return kw_record_status(record, now_ms);
}

bool kw_effective_status(struct keyward *keyward, const struct kw_record *record, int64_t now_ms,
                         enum kw_key_status *status_out)
{
    enum kw_key_status own = kw_record_status(record, now_ms);
    struct kw_above above;
    if (!kw_engine_look_above(keyward->engine, record, now_ms, &above)) {
        return false;
    }
    *status_out = above.status > own ? above.status : own;
    return true;
}
