#include "engine/insights.h"
#include "server/request.h"

#include "core/id.h"

/* One piece after the other; between them others have their turn. */
static void piece_made(struct kw_op *op)
{
    if (op->status == KW_OK && !op->insights->has_ended) {
        kw_engine_submit(kw__op_request(op)->api->options.engine, op);
        return;
    }
    kw__answer_result(op);
}

void kw__keys_insights(struct kw_request *request)
{
    struct kw_op *op = kw__op_begin(request, KW_OP_INSIGHT, kw__answer_result);
    if (op == NULL) {
        return;
    }
    if (!kw_id_parse(request->parameter, &op->id)) {
        kw_op_deinit(op);
        kw__finish_code(request, KW_CODE_KEY_NOT_FOUND, "There is no such key in this project.");
        return;
    }
    kw_engine_submit(request->api->options.engine, op);
}

void kw__insights(struct kw_request *request)
{
    const struct kw_list_query *query = kw__list_query(request);
    if (query == NULL) {
        return;
    }
    struct kw_insights *insights = kw_arena_take(&request->call->arena, sizeof *insights);
    if (insights == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_INSIGHTS, piece_made);
    if (op != NULL) {
        insights->query = query;
        op->insights = insights;
        kw_engine_submit(request->api->options.engine, op);
    }
}
