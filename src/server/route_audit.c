#include "engine/audit_jobs.h"
#include "engine/audit_read.h"
#include "server/request.h"

#include "core/id.h"

/* One piece of a proof after the other; between them others have their turn. */
static void piece_made(struct kw_op *op)
{
    if (op->status == KW_OK && !op->audit->has_ended) {
        kw_engine_submit(kw__op_request(op)->api->options.engine, op);
        return;
    }
    kw__answer_result(op);
}

/* A sequence; '-' stands before it where the list goes back. */
static bool parse_cursor(struct kw_bytes text, bool is_back, uint64_t *after_out)
{
    if (is_back && (text.size == 0 || text.data[0] != '-')) {
        return false;
    }
    text = is_back ? kw_bytes_skip(text, 1) : text;
    return kw_bytes_to_u64(text, after_out) && *after_out > 0 && *after_out <= INT64_MAX;
}

static enum kw_status take_params(const struct kw_audit_params *params, struct kw_audit_query *query,
                                  struct kw_error *error)
{
    query->owner = params->owner;
    query->actor = params->actor;
    query->action = params->action;
    query->from_ms = params->from_ms;
    query->until_ms = params->until_ms;
    query->is_back = !kw_bytes_equal(params->sort, KW_BYTES("timestamp"));
    query->limit = (size_t)params->limit;
    if (params->key.size > 0 && (!kw_id_parse(params->key, &query->key_id) || kw_id_is_none(&query->key_id))) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "key", "must be the id of a key: key_ and 26 characters");
    }
    if (params->action.size > 0 && !kw_audit_action_known(params->action)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "action",
                         "is no action of the log: docs/audit.md lists them, such as key.created");
    }
    if (params->cursor.size > 0 && !parse_cursor(params->cursor, query->is_back, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "cursor",
                         "is not one that this list gave in this order: use nextCursor of the answer before, or start "
                         "without");
    }
    return KW_OK;
}

static void submit(struct kw_request *request, enum kw_audit_what what, void (*done)(struct kw_op *op))
{
    struct kw_error error;
    struct kw_audit_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    query->what = what;
    if (request->query != NULL && take_params(request->query, query, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_AUDIT, done);
    if (op != NULL) {
        op->audit = query;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__audit_checkpoint_list(struct kw_request *request)
{
    submit(request, KW_AUDIT_CHECKPOINTS, kw__answer_result);
}

void kw__audit_list(struct kw_request *request)
{
    submit(request, KW_AUDIT_LIST, kw__answer_result);
}

void kw__audit_count(struct kw_request *request)
{
    submit(request, KW_AUDIT_COUNT, kw__answer_result);
}

void kw__audit_stats(struct kw_request *request)
{
    submit(request, KW_AUDIT_STATS, kw__answer_result);
}

void kw__audit_verify(struct kw_request *request)
{
    submit(request, KW_AUDIT_VERIFY, piece_made);
}

/* --- what is done to the log --- */

static void answer_job(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "entries");
    kw_json_i64(&writer, (int64_t)op->audit_job->entries);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_change(request, KW_OK);
}

static void submit_job(struct kw_request *request, enum kw_op_kind kind, const struct kw_audit_job *wanted,
                       struct kw_bytes reason)
{
    struct kw_audit_job *job = kw_arena_take(&request->call->arena, sizeof *job);
    if (job == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    *job = *wanted;
    struct kw_op *op = kw__op_begin(request, kind, answer_job);
    if (op != NULL) {
        op->audit_job = job;
        op->reason = reason;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__audit_prune(struct kw_request *request)
{
    const struct kw_audit_prune_body *body = request->body;
    submit_job(request, KW_OP_AUDIT_PRUNE, &(struct kw_audit_job){.before_ms = body->before_ms}, body->reason);
}

void kw__audit_erase(struct kw_request *request)
{
    const struct kw_audit_erase_body *body = request->body;
    if (body->owner.size == 0 && body->actor.size == 0) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_MISSING_FIELD, "owner", "or actor is needed: whose data is to go?");
        kw__finish_error(request, &error);
        return;
    }
    submit_job(request, KW_OP_AUDIT_ERASE, &(struct kw_audit_job){.person = {body->owner, body->actor}}, body->reason);
}

/* --- the export --- */

static void next_piece(struct kw_op *op, void (*done)(struct kw_op *op))
{
    kw_buffer_reset(&op->result);
    op->done = done;
    kw_engine_submit(kw__op_request(op)->api->options.engine, op);
}

static void end_export(struct kw_op *op, enum kw_stream stream)
{
    struct kw_call *call = kw__op_request(op)->call;
    kw__export_leave(kw__op_request(op)->api);
    kw_op_deinit(op);
    call->stream = stream;
    call->done(call);
}

static void next_made(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    if (op->status != KW_OK) {
        request->call->code = kw__code_of(&op->error);
        kw__log_failure(request, &op->error);
        end_export(op, KW_STREAM_CUT);
        return;
    }
    kw__hand_over(op);
    if (op->audit->has_ended) {
        end_export(op, KW_STREAM_END);
        return;
    }
    request->call->done(request->call);
}

static void go_on(struct kw_call *call)
{
    struct kw_request *request = call->route_state;
    if (call->is_left) {
        end_export(request->op, KW_STREAM_CUT);
    } else if (request->op->audit->has_ended) { /* all of it stood in the first piece */
        end_export(request->op, KW_STREAM_END);
    } else {
        next_piece(request->op, next_made);
    }
}

/* The head leaves with the first piece: until then a failure is answered like any other. */
static void first_made(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    if (op->status != KW_OK) {
        struct kw_error error = op->error;
        kw__export_leave(request->api);
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    kw__begin_export(request, "application/x-ndjson", go_on);
    kw__hand_over(op);
    kw__finish(request);
}

void kw__audit_export(struct kw_request *request)
{
    struct kw_audit_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    *query = (struct kw_audit_query){.what = KW_AUDIT_EXPORT};
    if (request->call->method == KW_HEAD) {
        kw__begin_export(request, "application/x-ndjson", kw__export_left_alone);
        kw__finish(request);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_AUDIT, first_made);
    if (op == NULL) {
        return;
    }
    op->audit = query;
    if (kw__export_enter(request->api)) {
        kw_engine_submit(request->api->options.engine, op);
        return;
    }
    kw_op_deinit(op);
    kw__finish_code(request, KW_CODE_TOO_BUSY, KW__TOO_MANY_EXPORTS);
}
