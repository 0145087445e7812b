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
