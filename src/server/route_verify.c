#include "server/inquiry.h"

#include "base/error.h"
#include "base/time.h"
#include "core/id.h"
#include "core/profile.h"
#include "core/record.h"
#include "core/transition.h"

#include <stdio.h>

/* Memory for what a question states beside its texts. */
struct stated {
    struct kw_address address;
    struct kw_place place;
    struct kw_check checks[KW_RULE_COUNT];
};

static enum kw_status state_place(const struct kw_verify_body *body, struct stated *stated,
                                  struct kw_question *question, struct kw_error *error)
{
    if (body->ip.size > 0) {
        if (!kw_address_parse(body->ip, &stated->address)) {
            return kw_refuse(error, KW_CODE_INVALID_FIELD, "ip",
                             "must be an address of IPv4 or IPv6, such as \"192.0.2.1\" or \"2001:db8::1\"");
        }
        question->address = &stated->address;
    }
    if (body->geo.country.size > 0) {
        stated->place = (struct kw_place){body->geo.country, body->geo.region};
        if (!kw_place_valid(&stated->place)) {
            return kw_refuse(
                error, KW_CODE_INVALID_FIELD, "geo",
                "must be a country of ISO 3166-1, such as \"US\", and a part of it, such as \"US-CA\", in capitals");
        }
        question->place = &stated->place;
    }
    return KW_OK;
}

static enum kw_status require(const struct kw_verify_body *body, struct kw_question *question, struct kw_error *error)
{
    question->require = body->require;
    return kw_question_require(body->require, error);
}

/* What only some questions have; the others pay for none of it. */
static enum kw_status add_rest(const struct kw_request *request, const struct kw_verify_body *body,
                               struct kw_verification *verification, struct kw_error *error)
{
    if ((body->ip.size | body->geo.country.size | body->require.size) == 0 && !body->dry_run) {
        return KW_OK;
    }
    struct stated *stated = kw_arena_take(&request->call->arena, sizeof *stated);
    if (stated == NULL) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    verification->checks = body->dry_run ? stated->checks : NULL;
    enum kw_status status = state_place(body, stated, &verification->question, error);
    return status == KW_OK ? require(body, &verification->question, error) : status;
}

static enum kw_status make_question(const struct kw_request *request, const struct kw_verify_body *body,
                                    struct kw_verification *verification, struct kw_error *error)
{
    if (body->env.size > 0 && !kw__has_environment(request, body->env)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    verification->key = body->key;
    verification->cost = (uint32_t)body->cost;
    verification->endpoint = body->endpoint;
    if (body->endpoint.size > 0 && !kw_endpoint_valid(body->endpoint)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "endpoint", "must be text without control characters");
    }
    verification->question = (struct kw_question){
        .project = request->project->number,
        .env = body->env,
        .scopes = body->scopes,
        .scope_count = body->scope_count,
        .resource_scopes = body->resource.scopes,
        .resource_scope_count = body->resource.scope_count,
    };
    enum kw_status status = add_rest(request, body, verification, error);
    return status != KW_OK || body->resource.type.size == 0
               ? status
               : kw_question_resource(body->resource.type, body->resource.id, &request->call->arena,
                                      &verification->question.resource, error);
}

/* A key that was refused for what it is shows its record; one that is not known has none to show. */
static bool shows_record(const struct kw_verification *verification)
{
    return verification->entry != NULL && verification->code != KW_CODE_INVALID_KEY &&
           verification->code != KW_CODE_INVALID_FORMAT && verification->code != KW_CODE_MISSING_KEY;
}

/* Whose rule it is, where it is not the key's own. */
static void write_bound(struct kw_json_writer *writer, const struct kw_entry *bound, struct kw_bytes policy)
{
    if (bound != NULL) {
        char text[KW_ID_TEXT_SIZE];
        struct kw_id id = kw_entry_id(bound);
        kw_id_format(&id, text);
        kw_json_name(writer, "refusedBy");
        kw_json_string(writer, kw_bytes_of(text, sizeof text));
    }
    if (policy.size > 0) {
        kw_json_name(writer, "refusedByPolicy");
        kw_json_string(writer, policy);
    }
}

/* An array of those that `pick` finds; no member where there are none. */
static void write_picked(struct kw_json_writer *writer, const char *name, const struct kw_missing *missing,
                         size_t count, struct kw_bytes (*pick)(const struct kw_missing *one))
{
    bool has_any = false;
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes text = pick(&missing[i]);
        if (text.size == 0) {
            continue;
        }
        if (!has_any) {
            kw_json_name(writer, name);
            kw_json_begin_array(writer);
            has_any = true;
        }
        kw_json_string(writer, text);
    }
    if (has_any) {
        kw_json_end_array(writer);
    }
}

static struct kw_bytes scope_of(const struct kw_missing *one)
{
    return one->resource.size == 0 ? one->scope : (struct kw_bytes){NULL, 0};
}

static struct kw_bytes requirement_of(const struct kw_missing *one)
{
    return one->require;
}

/* In the forms in which a record holds scopes, and a question asks for them. */
static void write_all_missing(struct kw_json_writer *writer, const struct kw_lacks *lacks,
                              const struct kw_question *question)
{
    struct kw_missing missing[KW_MISSING_MAX];
    size_t count = kw_lacks_list(lacks, question, missing, KW_COUNT_OF(missing));
    bool is_on_resource = false;
    kw_json_name(writer, "missingAll");
    kw_json_begin_object(writer);
    write_picked(writer, "scopes", missing, count, scope_of);
    for (size_t i = 0; i < count; i++) {
        if (missing[i].resource.size > 0 && !is_on_resource) {
            kw_json_name(writer, "resources");
            kw_json_begin_object(writer);
            kw_json_name_bytes(writer, missing[i].resource);
            kw_json_begin_array(writer);
            is_on_resource = true;
        }
        if (missing[i].resource.size > 0 && missing[i].scope.size > 0) {
            kw_json_string(writer, missing[i].scope);
        }
    }
    if (is_on_resource) {
        kw_json_end_array(writer);
        kw_json_end_object(writer);
    }
    write_picked(writer, "require", missing, count, requirement_of);
    kw_json_end_object(writer);
}

/* What the key lacks, or by which field it goes beyond its policy. */
static void write_reason(struct kw_json_writer *writer, enum kw_code code, struct kw_bytes missing,
                         struct kw_bytes missing_on)
{
    if (missing.size > 0) {
        kw_json_name(writer, code == KW_CODE_POLICY_VIOLATION ? "field" : "missing");
        kw_json_string(writer, missing);
    }
    if (missing_on.size > 0) {
        kw_json_name(writer, "missingOn");
        kw_json_string(writer, missing_on);
    }
}

static void write_refusal(struct kw_json_writer *writer, const struct kw_verification *verification)
{
    const struct kw_code_info *info = kw_code_info(verification->code);
    kw_json_name(writer, "code");
    kw_json_text(writer, info->name);
    kw_json_name(writer, "message");
    kw_json_text(writer, info->meaning);
    write_reason(writer, verification->code, verification->missing, verification->missing_on);
    if (verification->code == KW_CODE_INSUFFICIENT_SCOPE) {
        write_all_missing(writer, &verification->lacks, &verification->question);
    }
    write_bound(writer, verification->bound, verification->policy);
}

static void write_rate_limit(struct kw_json_writer *writer, const struct kw_rate_limit_state *limit)
{
    char window[KW_DURATION_TEXT_MAX];
    char resets_at[KW_TIME_TEXT_SIZE];
    kw_duration_format(limit->window_ms, window);
    kw_time_format(limit->resets_at_ms, resets_at);
    kw_json_name(writer, "rateLimit");
    kw_json_begin_object(writer);
    kw_json_name(writer, "name");
    kw_json_text(writer, limit->name);
    kw_json_name(writer, "limit");
    kw_json_i64(writer, limit->requests);
    kw_json_name(writer, "window");
    kw_json_text(writer, window);
    kw_json_name(writer, "remaining");
    kw_json_i64(writer, limit->remaining);
    kw_json_name(writer, "resetsAt");
    kw_json_string(writer, kw_bytes_of(resets_at, sizeof resets_at));
    if (limit->retry_after_ms > 0) {
        char seconds[32];
        int size = snprintf(seconds, sizeof seconds, "%lld.%03lld", (long long)(limit->retry_after_ms / 1000),
                            (long long)(limit->retry_after_ms % 1000));
        kw_json_name(writer, "retryAfter");
        kw_json_raw(writer, kw_bytes_of(seconds, (size_t)size));
    }
    kw_json_end_object(writer);
}

static void write_quota(struct kw_json_writer *writer, const struct kw_quota_status *quota)
{
    kw_json_name(writer, "quota");
    kw_quota_status_write_json(quota, writer);
}

static void write_check(struct kw_json_writer *writer, const struct kw_verification *verification, enum kw_rule rule)
{
    const struct kw_check *check = &verification->checks[rule];
    kw_json_begin_object(writer);
    kw_json_name(writer, "rule");
    kw_json_text(writer, kw_rule_name(rule));
    kw_json_name(writer, "outcome");
    kw_json_text(writer, kw_finding_name(check->outcome));
    if (check->outcome == KW_OUTCOME_REFUSED) {
        const struct kw_code_info *info = kw_code_info(check->decision.code);
        kw_json_name(writer, "code");
        kw_json_text(writer, info->name);
        kw_json_name(writer, "detail");
        kw_json_text(writer, info->meaning);
    }
    write_reason(writer, check->decision.code, check->decision.missing, check->decision.missing_on);
    if (check->decision.code == KW_CODE_INSUFFICIENT_SCOPE) {
        write_all_missing(writer, &check->decision.lacks, &verification->question);
    }
    write_bound(writer, check->decision.bound, check->decision.policy);
    if (check->outcome == KW_OUTCOME_REFUSED && rule == KW_RULE_RATE_LIMITS && verification->has_rate_limit) {
        write_rate_limit(writer, &verification->rate_limit);
    }
    if (check->outcome == KW_OUTCOME_REFUSED && rule == KW_RULE_QUOTAS && verification->has_quota) {
        write_quota(writer, &verification->quota);
    }
    kw_json_end_object(writer);
}

static void write_checks(struct kw_json_writer *writer, const struct kw_verification *verification)
{
    kw_json_name(writer, "checks");
    kw_json_begin_array(writer);
    for (size_t rule = 0; rule < KW_RULE_COUNT; rule++) {
        write_check(writer, verification, (enum kw_rule)rule);
    }
    kw_json_end_array(writer);
}

/*
 * Its entry was made from the record, so it can be decoded. What is kept shows an active key: no time changes that of a
 * valid one under no other.
 */
static void write_record(struct kw_json_writer *writer, struct kw_record_cache *cache,
                         const struct kw_verification *verification, int64_t now_ms)
{
    const struct kw_entry *entry = verification->entry;
    const struct kw_bound *parent = kw_entry_parent(entry);
    bool is_kept = verification->code == KW_CODE_NONE && parent == NULL;
    kw_json_name(writer, "record");
    if (is_kept && kw_record_cache_write(cache, entry, writer)) {
        return;
    }
    struct kw_record record;
    if (kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        kw_json_null(writer);
        return;
    }
    size_t before = writer->buffer->size;
    bool is_valid = verification->code == KW_CODE_NONE;                   /* then nothing above it is against it */
    enum kw_key_status above = is_valid ? KW_KEY_ACTIVE : KW_KEY_REVOKED; /* as an ancestor that was erased */
    bool is_known = is_valid || kw_entry_status_above(entry, now_ms, &above) || verification->code == KW_CODE_REVOKED;
    if (is_known && (parent != NULL || above != KW_KEY_ACTIVE)) {
        kw_record_write_json_under(&record, above, now_ms, writer);
    } else {
        kw_record_write_json(&record, now_ms, writer);
    }
    if (is_kept && kw_buffer_status(writer->buffer) == KW_OK) {
        kw_record_cache_keep(cache, entry, kw_bytes_skip(kw_buffer_bytes(writer->buffer), before));
    }
}

static void write_verdict(struct kw_json_writer *writer, struct kw_record_cache *cache,
                          const struct kw_verification *verification, int64_t now_ms)
{
    kw_json_begin_object(writer);
    kw_json_name(writer, "valid");
    kw_json_bool(writer, verification->code == KW_CODE_NONE);
    if (verification->code != KW_CODE_NONE) {
        write_refusal(writer, verification);
    }
    if (shows_record(verification)) {
        write_record(writer, cache, verification, now_ms);
    }
    if (verification->has_rate_limit) {
        write_rate_limit(writer, &verification->rate_limit);
    }
    if (verification->has_quota) {
        write_quota(writer, &verification->quota);
    }
    if (verification->checks != NULL) {
        write_checks(writer, verification);
    }
    kw_json_end_object(writer);
}

static void answer_one(struct kw_inquiry *inquiry)
{
    struct kw_call *call = inquiry->request->call;
    struct kw_json_writer writer = kw__answer_begin(call, 200);
    call->code = inquiry->verifications[0].code;
    write_verdict(&writer, inquiry->request->api->record_cache, &inquiry->verifications[0], inquiry->now_ms);
}

/* An item that nothing could be asked by. It is not valid, for whoever looks at nothing else. */
static void write_fault(struct kw_json_writer *writer, const struct kw_error *fault)
{
    kw_json_begin_object(writer);
    kw_json_name(writer, "valid");
    kw_json_bool(writer, false);
    kw__write_refusal(writer, kw__code_of(fault), fault);
    kw_json_end_object(writer);
}

static void answer_many(struct kw_inquiry *inquiry)
{
    struct kw_record_cache *cache = inquiry->request->api->record_cache;
    struct kw_json_writer writer = kw__answer_begin(inquiry->request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < inquiry->count; i++) {
        if (inquiry->faults[i] != NULL) {
            write_fault(&writer, inquiry->faults[i]);
        } else {
            write_verdict(&writer, cache, &inquiry->verifications[i], inquiry->now_ms);
        }
    }
    kw_json_end_array(&writer);
    kw_json_end_object(&writer);
}

/* Room for the verdicts on `count` keys; NULL when there is no memory (then the call is finished). */
static struct kw_inquiry *begin(struct kw_request *request, size_t count, void (*decided)(struct kw_inquiry *inquiry))
{
    struct kw_arena *arena = &request->call->arena;
    struct kw_inquiry *inquiry = kw_arena_take(arena, sizeof *inquiry);
    struct kw_verification *verifications = kw_arena_take_array(arena, count, sizeof *verifications);
    if (inquiry == NULL || verifications == NULL) {
        kw__finish_no_memory(request);
        return NULL;
    }
    inquiry->request = request;
    inquiry->verifications = verifications;
    inquiry->count = count;
    inquiry->decided = decided;
    return inquiry;
}

void kw__keys_verify(struct kw_request *request)
{
    struct kw_inquiry *inquiry = begin(request, 1, answer_one);
    if (inquiry == NULL) {
        return;
    }
    struct kw_error error;
    if (make_question(request, request->body, &inquiry->verifications[0], &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    kw__inquire(inquiry);
}

/* Why an item asks nothing; NULL where it does. False when there is no memory. */
static bool find_fault(const struct kw_request *request, const struct kw_verify_body *item,
                       struct kw_verification *verification, const struct kw_error **fault_out)
{
    struct kw_error error;
    *fault_out = item->fault;
    if (item->fault != NULL || make_question(request, item, verification, &error) == KW_OK) {
        return true;
    }
    struct kw_error *fault = kw_arena_take(&request->call->arena, sizeof *fault);
    if (fault == NULL || kw__code_of(&error) == KW_CODE_TOO_BUSY) {
        return false;
    }
    *fault = error;
    *fault_out = fault;
    return true;
}

void kw__keys_verify_many(struct kw_request *request)
{
    const struct kw_verify_many_body *body = request->body;
    struct kw_inquiry *inquiry = begin(request, body->item_count, answer_many);
    if (inquiry == NULL) {
        return;
    }
    const struct kw_error **faults = kw_arena_take_array(&request->call->arena, body->item_count, sizeof(void *));
    bool has_memory = faults != NULL;
    for (size_t i = 0; i < body->item_count && has_memory; i++) {
        struct kw_verification *verification = &inquiry->verifications[i];
        has_memory = find_fault(request, &body->items[i], verification, &faults[i]);
        if (has_memory && faults[i] != NULL) {
            *verification = (struct kw_verification){.question.project = request->project->number, .is_counted = true};
        }
    }
    if (!has_memory) {
        kw__finish_no_memory(request);
        return;
    }
    inquiry->faults = faults;
    kw__inquire(inquiry);
}
