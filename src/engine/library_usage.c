#include "base/bytes.h"
#include "core/amount.h"
#include "core/id.h"
#include "core/quota_list.h"
#include "engine/library.h"

enum kw_status kw_usage(struct keyward *keyward, const struct kw_usage_request *request,
                        struct kw_held_document *held_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    bool is_of_key = !kw_id_is_none(&request->id);
    if (project == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    if (is_of_key + (request->owner.size > 0) + (request->org_id.size > 0) > 1) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "id", "give one of id, owner and org_id");
    }
    if (request->group > KW_USAGE_METRIC) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "group", "must be code, endpoint, region or metric");
    }
    struct kw_usage_query query = {.owner = request->owner,
                                   .org_id = request->org_id,
                                   .is_of_key = is_of_key,
                                   .from_ms = request->from_ms,
                                   .until_ms = request->until_ms,
                                   .by_day = request->by_day,
                                   .group = request->group == 0 ? KW_USAGE_CODE : request->group};
    struct kw_op op;
    kw_op_init(&op, KW_OP_USAGE, project);
    op.id = request->id;
    op.usage = &query;
    enum kw_status status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status == KW_OK) {
        uint8_t *memory = kw_alloc(1, op.result.size);
        if (memory == NULL) {
            status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this");
        } else {
            memcpy(memory, op.result.data, op.result.size);
            *held_out = (struct kw_held_document){.json = kw_bytes_of(memory, op.result.size), .memory = memory};
        }
    }
    kw_op_deinit(&op);
    return status;
}

static enum kw_status check_amounts(const struct kw_report_request *request, struct kw_error *error_out)
{
    if (request->amount_count == 0 || request->amount_count > KW_USAGE_AMOUNTS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "amounts", "must be 1 to %d", KW_USAGE_AMOUNTS_MAX);
    }
    for (size_t i = 0; i < request->amount_count; i++) {
        const struct kw_usage_amount *amount = &request->amounts[i];
        if (!kw_metric_valid(amount->metric)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "amounts",
                             "names no metric: tokens, cost, and those that the project declares are");
        }
        if (amount->amount < 0 || amount->amount > KW_AMOUNT_MAX) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "amounts", "must be 0 to 1000000000000, in millionths");
        }
        for (size_t j = 0; j < i; j++) {
            if (kw_bytes_equal(request->amounts[j].metric, amount->metric)) {
                return kw_refuse(error_out, KW_CODE_DUPLICATE_FIELD, "amounts", "names a metric twice");
            }
        }
    }
    if (request->endpoint.size > 0 && !kw_endpoint_valid(request->endpoint)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "endpoint",
                         "must be at most %d bytes of UTF-8 without control characters", KW_ENDPOINT_MAX);
    }
    return KW_OK;
}

/* Names the report by who makes it, and tells it by what it says. */
static enum kw_status name_once(const struct kw_report_request *request, struct kw_once *once_out,
                                struct kw_error *error_out)
{
    enum kw_status status = kw_once_key_check(request->idempotency_key, "idempotency_key", error_out);
    if (status != KW_OK) {
        return status;
    }
    const struct kw_once_place place = {.caller = request->actor.size == 0 ? KW_BYTES("library") : request->actor,
                                        .project = request->project.size == 0 ? KW_BYTES("default") : request->project,
                                        .route = KW_BYTES("library report")};
    struct kw_bytes asked[2 + 2 * KW_USAGE_AMOUNTS_MAX] = {kw_bytes_of(request->id.bytes, sizeof request->id.bytes),
                                                           request->endpoint};
    size_t count = 2;
    for (size_t i = 0; i < request->amount_count; i++) {
        const struct kw_usage_amount *amount = &request->amounts[i];
        asked[count++] = amount->metric;
        asked[count++] = kw_bytes_of((const uint8_t *)&amount->amount, sizeof amount->amount);
    }
    kw_once_make(&place, request->idempotency_key, asked, count, once_out);
    return KW_OK;
}

enum kw_status kw_report_usage(struct keyward *keyward, const struct kw_report_request *request,
                               struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    struct kw_once once;
    enum kw_status status =
        project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check_amounts(request, error_out);
    bool is_named = request->idempotency_key.size > 0;
    status = status == KW_OK && is_named ? name_once(request, &once, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    const struct kw_usage_report report = {request->endpoint, request->amounts, request->amount_count};
    struct kw_op op;
    kw_op_init(&op, KW_OP_REPORT, project);
    op.id = request->id;
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op.report = &report;
    op.once = is_named ? &once : NULL;
    status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

/* --- credits --- */

static enum kw_status check_credit(const struct kw_credit_request *request, struct kw_error *error_out)
{
    if (request->quota.size == 0) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, "quota", "give the quota's name");
    }
    if (request->refill == (request->amount != 0)) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, "amount",
                         "give an amount above 0, or refill for all that was used");
    }
    if (request->amount < 0 || request->amount > KW_AMOUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "amount", "must be at most 1000000000000, in millionths");
    }
    return kw__check_texts(request->actor, request->reason, error_out);
}

enum kw_status kw_credit(struct keyward *keyward, const struct kw_credit_request *request,
                         struct kw_held_document *held_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status =
        project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check_credit(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    const struct kw_quota_credit credit = {.quota = request->quota, .amount = request->amount};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREDIT, project);
    op.id = request->id;
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op.reason = request->reason;
    op.credit = &credit;
    status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status == KW_OK && held_out != NULL &&
        kw__hold_document(kw_buffer_bytes(&op.result), (struct kw_bytes){NULL, 0}, held_out) != KW_OK) {
        status = kw__result_lost(error_out);
    }
    kw_op_deinit(&op);
    return status;
}
