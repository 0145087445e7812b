#include "server/request.h"

#include "base/error.h"
#include "core/amount.h"
#include "core/id.h"
#include "core/quota_list.h"

/* --- reading --- */

static void answer_counts(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    (void)kw__answer_begin(request->call, 200);
    kw_buffer_add(&request->call->answer, kw_buffer_bytes(&op->result));
    kw_op_deinit(op);
    kw__finish_written(request);
}

/* Longer times are asked for in days, unless the caller says. */
static bool is_by_day(const struct kw_usage_params *params, int64_t now_ms)
{
    if (params->by.size > 0) {
        return kw_bytes_equal(params->by, KW_BYTES("day"));
    }
    int64_t until_ms = params->until_ms == 0 ? now_ms : params->until_ms;
    return params->from_ms != 0 && until_ms - params->from_ms > KW_HOURS_KEPT_MS;
}

/* An operation that reads counts; NULL when the call was answered instead. */
static struct kw_op *begin(struct kw_request *request, bool is_of_key)
{
    const struct kw_usage_params *params = request->query;
    struct kw_usage_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return NULL;
    }
    *query = (struct kw_usage_query){.owner = params->owner,
                                     .org_id = params->org_id,
                                     .is_of_key = is_of_key,
                                     .from_ms = params->from_ms,
                                     .until_ms = params->until_ms,
                                     .by_day = is_by_day(params, request->now_ms),
                                     .group = KW_USAGE_CODE};
    if (params->group.size > 0 && !kw_usage_dimension_of_name(params->group, &query->group)) {
        query->group = KW_USAGE_CODE; /* the schema lets no other in */
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_USAGE, answer_counts);
    if (op != NULL) {
        op->usage = query;
    }
    return op;
}

void kw__usage_of_key(struct kw_request *request)
{
    struct kw_id id;
    if (!kw_id_parse(request->parameter, &id)) {
        kw__finish_code(request, KW_CODE_KEY_NOT_FOUND, "There is no such key in this project.");
        return;
    }
    struct kw_op *op = begin(request, true);
    if (op != NULL) {
        op->id = id;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__usage_of_others(struct kw_request *request)
{
    const struct kw_usage_params *params = request->query;
    if (params->owner.size > 0 && params->org_id.size > 0) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "org", "cannot stand beside an owner: ask for one of them");
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = begin(request, false);
    if (op != NULL) {
        kw_engine_submit(request->api->options.engine, op);
    }
}

/* --- reporting --- */

static enum kw_status take_endpoint(struct kw_bytes text, const struct kw_json_token *token,
                                    struct kw_usage_report *report, struct kw_error *error)
{
    if (token->type != KW_JSON_STRING || !kw_endpoint_valid(text)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "endpoint",
                         "must be a text of 1 to %d bytes without control characters", KW_ENDPOINT_MAX);
    }
    report->endpoint = text;
    return KW_OK;
}

static void name_field(struct kw_error *error, struct kw_bytes name)
{
    size_t size = name.size < sizeof error->field ? name.size : sizeof error->field - 1;
    memcpy(error->field, name.data, size);
    error->field[size] = '\0';
}

static enum kw_status take_amount(struct kw_bytes metric, const struct kw_json_token *token,
                                  struct kw_usage_amount *amounts, struct kw_usage_report *report,
                                  struct kw_error *error)
{
    const char *why = NULL;
    enum kw_status status = KW_OK;
    if (kw_bytes_equal(metric, KW_BYTES(KW_METRIC_REQUESTS))) {
        status = kw_refuse(error, KW_CODE_INVALID_FIELD, NULL, "is counted by verifications, and cannot be reported");
    } else if (!kw_metric_valid(metric)) {
        status = kw_refuse(error, KW_CODE_UNKNOWN_FIELD, NULL,
                           "is no metric: tokens, cost, and those that the project declares are");
    } else if (token->type != KW_JSON_NUMBER) {
        status = kw_refuse(error, KW_CODE_INVALID_FIELD, NULL, "must be a number, such as 1500 or 0.002");
    } else if (kw_amount_parse(token->text, &amounts[report->amount_count].amount, &why) != KW_OK) {
        status = kw_refuse(error, KW_CODE_INVALID_FIELD, NULL, "%s", why);
    }
    for (size_t i = 0; i < report->amount_count && status == KW_OK; i++) {
        if (kw_bytes_equal(amounts[i].metric, metric)) {
            status = kw_refuse(error, KW_CODE_DUPLICATE_FIELD, NULL, "stands twice");
        }
    }
    if (status == KW_OK && report->amount_count == KW_USAGE_AMOUNTS_MAX) {
        status =
            kw_refuse(error, KW_CODE_INVALID_FIELD, NULL, "is one metric too many: at most %d", KW_USAGE_AMOUNTS_MAX);
    }
    if (status != KW_OK) {
        name_field(error, metric);
        return status;
    }
    amounts[report->amount_count++].metric = metric;
    return KW_OK;
}

/* The members of the body, which is an object. */
static enum kw_status read_report(struct kw_request *request, struct kw_usage_amount *amounts,
                                  struct kw_usage_report *report, struct kw_error *error)
{
    const struct kw_document_body *body = request->body;
    struct kw_json_reader reader;
    struct kw_json_token token;
    bool has_endpoint = false;
    kw_json_reader_init(&reader, body->json, &request->call->arena);
    enum kw_status status = kw_json_next(&reader, &token, error);
    status = status == KW_OK ? kw_json_next(&reader, &token, error) : status;
    while (status == KW_OK && token.type == KW_JSON_NAME) {
        struct kw_bytes name = token.text;
        status = kw_json_next(&reader, &token, error);
        if (status != KW_OK) {
            return status;
        }
        if (kw_bytes_equal(name, KW_BYTES("endpoint"))) {
            status = has_endpoint ? kw_refuse(error, KW_CODE_DUPLICATE_FIELD, "endpoint", "stands twice")
                                  : take_endpoint(token.text, &token, report, error);
            has_endpoint = true;
        } else {
            status = take_amount(name, &token, amounts, report, error);
        }
        status = status == KW_OK ? kw_json_next(&reader, &token, error) : status;
    }
    if (status == KW_OK && report->amount_count == 0) {
        status = kw_refuse(error, KW_CODE_MISSING_FIELD, "tokens", "give an amount of at least one metric");
    }
    return status;
}

static void answer_report(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    (void)kw__answer_begin(request->call, 200);
    kw_buffer_add(&request->call->answer, kw_buffer_bytes(&op->result));
    kw_op_deinit(op);
    kw__finish_change(request, KW_OK);
}

void kw__usage_report(struct kw_request *request)
{
    struct kw_arena *arena = &request->call->arena;
    struct kw_usage_report *report = kw_arena_take(arena, sizeof *report);
    struct kw_usage_amount *amounts = kw_arena_take_array(arena, KW_USAGE_AMOUNTS_MAX + 1, sizeof *amounts);
    struct kw_error error;
    struct kw_id id;
    if (report == NULL || amounts == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    if (!kw_id_parse(request->parameter, &id)) {
        kw__finish_code(request, KW_CODE_KEY_NOT_FOUND, "There is no such key in this project.");
        return;
    }
    report->amounts = amounts;
    if (read_report(request, amounts, report, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_REPORT, answer_report);
    if (op != NULL) {
        op->id = id;
        op->report = report;
        kw__submit_once(request, op);
    }
}

/* --- credits --- */

static bool take_credit(const struct kw_credit_body *body, struct kw_quota_credit *credit, struct kw_error *error)
{
    *credit = (struct kw_quota_credit){.quota = body->quota, .amount = body->amount};
    if (body->refill == (body->amount > 0)) {
        (void)kw_refuse(error, KW_CODE_MISSING_FIELD, "amount",
                        "give an amount above 0, or \"refill\": true for all that was used");
        return false;
    }
    return true;
}

void kw__quota_credit(struct kw_request *request)
{
    const struct kw_credit_body *body = request->body;
    struct kw_quota_credit *credit = kw_arena_take(&request->call->arena, sizeof *credit);
    struct kw_error error;
    struct kw_id id;
    if (credit == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    if (!kw_id_parse(request->parameter, &id)) {
        kw__finish_code(request, KW_CODE_KEY_NOT_FOUND, "There is no such key in this project.");
        return;
    }
    if (!take_credit(body, credit, &error)) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_CREDIT, answer_report);
    if (op != NULL) {
        op->id = id;
        op->reason = body->reason;
        op->credit = credit;
        kw_engine_submit(request->api->options.engine, op);
    }
}
