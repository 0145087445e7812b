#include "engine/webhooks.h"
#include "notify/notify.h"
#include "server/request.h"

#include "base/error.h"
#include "core/transition.h"

#define OVERLAP_DEFAULT_MS INT64_C(86400000)
#define OVERLAP_MAX_MS INT64_C(2592000000) /* thirty days */

void kw__webhooks_list(struct kw_request *request)
{
    kw__documents_list(request, KW_DOCUMENT_WEBHOOK);
}

void kw__webhooks_get(struct kw_request *request)
{
    kw__documents_get(request, KW_DOCUMENT_WEBHOOK);
}

void kw__webhooks_delete(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_DELETE, KW_DOCUMENT_WEBHOOK, NULL);
}

/* --- setting one up: where its name leads is looked at first --- */

static void looked(struct kw_notify_job *job)
{
    struct kw_op *op = job->context;
    struct kw_request *request = kw__op_request(op);
    if (job->status == KW_OK && job->refused != NULL) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_ADDRESS_NOT_ALLOWED, "url",
                        "has a name that leads to %s: only public addresses are sent to, unless the operator opens a "
                        "range with --allow-private",
                        job->refused);
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    /* A name that nobody knows yet may be known later; what it leads to is looked at whenever it is sent to. */
    kw_engine_submit(request->api->options.engine, op);
}

static void look(struct kw_request *request, struct kw_op *op)
{
    struct kw_notify *notify = request->api->options.notify;
    struct kw_url parts;
    const char *why;
    struct kw_bytes url = kw__member_of(op->json, "url", &request->call->arena);
    bool has_name = url.size > 0 && kw_url_parse(url, &parts, &why) && !parts.is_address;
    struct kw_notify_job *job = notify == NULL || !has_name ? NULL : kw_arena_take(&request->call->arena, sizeof *job);
    if (job == NULL) {
        kw_engine_submit(request->api->options.engine, op);
        return;
    }
    *job = (struct kw_notify_job){.kind = KW_NOTIFY_LOOK, .url = url, .done = looked, .context = op};
    kw_notify_submit(notify, job);
}

void kw__webhooks_create(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_CREATE, KW_DOCUMENT_WEBHOOK, look);
}

void kw__webhooks_update(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_UPDATE, KW_DOCUMENT_WEBHOOK, look);
}

/* --- what is an update by another name --- */

static void update_with(struct kw_request *request, enum kw_document_kind kind, struct kw_bytes json,
                        int64_t overlap_ms, bool renews_secret)
{
    struct kw_error error;
    uint64_t version;
    if (kw__if_match(request->call, &version, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_DOCUMENT_UPDATE, kw__answer_document);
    if (op == NULL) {
        return;
    }
    op->document = kind;
    op->name = request->parameter;
    op->if_version = version;
    op->json = json;
    op->renews_secret = renews_secret;
    op->grace_ms = overlap_ms;
    kw_engine_submit(request->api->options.engine, op);
}

void kw__documents_update_with(struct kw_request *request, enum kw_document_kind kind, struct kw_bytes json)
{
    update_with(request, kind, json, 0, false);
}

void kw__webhooks_enable(struct kw_request *request)
{
    update_with(request, KW_DOCUMENT_WEBHOOK, KW_BYTES("{\"status\":\"active\"}"), 0, false);
}

void kw__webhooks_disable(struct kw_request *request)
{
    update_with(request, KW_DOCUMENT_WEBHOOK, KW_BYTES("{\"status\":\"disabled\"}"), 0, false);
}

void kw__webhooks_renew(struct kw_request *request)
{
    const struct kw_webhook_secret_body *body = request->body;
    int64_t overlap_ms = body->overlap_ms == 0 ? OVERLAP_DEFAULT_MS : body->overlap_ms;
    if (overlap_ms > OVERLAP_MAX_MS) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "overlap", "must be at most 30d");
        kw__finish_error(request, &error);
        return;
    }
    update_with(request, KW_DOCUMENT_WEBHOOK, KW_BYTES("{}"), overlap_ms, true);
}

/* --- trying it out --- */

static void pinged(struct kw_notify_job *job)
{
    struct kw_request *request = job->context;
    if (job->status == KW_E_NOT_FOUND) {
        bool is_ping = job->kind == KW_NOTIFY_PING;
        kw__finish_code(request, is_ping ? KW_CODE_WEBHOOK_NOT_FOUND : KW_CODE_CHANNEL_NOT_FOUND,
                        is_ping ? "there is no such webhook" : "there is no such channel");
    } else if (job->status == KW_E_CORRUPT) {
        kw__finish_code(request, KW_CODE_FILE_UNUSABLE,
                        "its secrets cannot be read: restore the sealing key, or renew its secret");
    } else if (job->status != KW_OK) {
        kw__finish_code(request, KW_CODE_TOO_BUSY, "too much is being sent: try again after a moment");
    } else {
        struct kw_json_writer writer = kw__answer_begin(request->call, 200);
        kw_json_raw(&writer, job->json);
        kw__finish_written(request);
    }
}

void kw__notify_try(struct kw_request *request, enum kw_notify_job_kind kind)
{
    struct kw_notify *notify = request->api->options.notify;
    struct kw_notify_job *job = kw_arena_take(&request->call->arena, sizeof *job);
    if (notify == NULL) {
        kw__finish_code(request, KW_CODE_NOT_SENDING, "only a running server sends: use --url");
        return;
    }
    if (job == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    *job = (struct kw_notify_job){.kind = kind,
                                  .project = request->project->name,
                                  .name = request->parameter,
                                  .done = pinged,
                                  .context = request};
    kw_notify_submit(notify, job);
}

void kw__webhooks_ping(struct kw_request *request)
{
    kw__notify_try(request, KW_NOTIFY_PING);
}

/* --- what was sent --- */

static enum kw_status take_id(struct kw_bytes text, const char *field, uint64_t *id_out, struct kw_error *error)
{
    bool good = text.size == 0 || (kw_bytes_to_u64(text, id_out) && *id_out > 0 && *id_out < INT64_MAX);
    return good ? KW_OK : kw_refuse(error, KW_CODE_INVALID_FIELD, field, "is not one that a list of deliveries gave");
}

static void submit(struct kw_request *request, enum kw_op_kind what, enum kw_document_kind kind,
                   const struct kw_delivery_query *query)
{
    struct kw_delivery_query *kept = kw_arena_take(&request->call->arena, sizeof *kept);
    if (kept == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    *kept = *query;
    struct kw_op *op = kw__op_begin(request, what, kw__answer_result);
    if (op != NULL) {
        op->name = request->parameter;
        op->document = kind;
        op->deliveries = kept;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__deliveries_answer(struct kw_request *request, enum kw_document_kind kind)
{
    const struct kw_delivery_params *params = request->query;
    struct kw_delivery_query query = {.from_ms = params->from_ms, .limit = (size_t)params->limit};
    struct kw_error error;
    enum kw_delivery_state state;
    enum kw_status status = take_id(params->id, "id", &query.sequence, &error);
    status = status == KW_OK ? take_id(params->cursor, "cursor", &query.before, &error) : status;
    if (status == KW_OK && params->state.size > 0) {
        status = kw_delivery_state_of_name(params->state, &state)
                     ? KW_OK
                     : kw_refuse(&error, KW_CODE_INVALID_FIELD, "state",
                                 "must be one of waiting, sending, held, delivered, failed");
        query.states = status == KW_OK ? UINT32_C(1) << state : 0;
    }
    if (status != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    submit(request, KW_OP_DELIVERIES, kind, &query);
}

void kw__deliveries_replay_from(struct kw_request *request, enum kw_document_kind kind)
{
    const struct kw_replay_body *body = request->body;
    struct kw_delivery_query query = {.from_ms = body->since_ms};
    struct kw_error error;
    enum kw_status status = take_id(body->id, "id", &query.sequence, &error);
    if (status == KW_OK && (body->id.size > 0) == (body->since_ms != 0)) {
        status = kw_refuse(&error, KW_CODE_MISSING_FIELD, "id", "give one of id and since");
    }
    if (status != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    query.states = body->failed_only ? UINT32_C(1) << KW_DELIVERY_FAILED : 0;
    submit(request, KW_OP_REPLAY, kind, &query);
}

void kw__webhooks_deliveries(struct kw_request *request)
{
    kw__deliveries_answer(request, KW_DOCUMENT_WEBHOOK);
}

void kw__webhooks_replay(struct kw_request *request)
{
    kw__deliveries_replay_from(request, KW_DOCUMENT_WEBHOOK);
}
