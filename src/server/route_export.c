#include "engine/export.h"
#include "server/request.h"

/* What an export keeps between two pieces, in the call's arena. */
struct export_answer {
    struct kw_export export;
    struct kw_error error; /* why it gave up before its head was sent */
};

static struct export_answer *answer_of(const struct kw_op *op)
{
    return (struct export_answer *)op->export;
}

static void submit(struct kw_op *op, void (*done)(struct kw_op *op))
{
    op->done = done;
    kw_engine_submit(kw__op_request(op)->api->options.engine, op);
}

/* Gives the operation back: the export is over. */
static void leave(struct kw_op *op)
{
    kw__export_leave(kw__op_request(op)->api);
    kw_op_deinit(op);
}

/* --- after the head was sent --- */

static void end(struct kw_op *op, enum kw_stream stream)
{
    struct kw_call *call = kw__op_request(op)->call;
    leave(op);
    call->stream = stream;
    call->done(call);
}

static void cut(struct kw_op *op)
{
    end(op, KW_STREAM_CUT);
}

/* Has it written down that this export did not come to its end. */
static void give_up(struct kw_op *op, void (*done)(struct kw_op *op))
{
    op->export->gives_up = true;
    submit(op, done);
}

static void next_made(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    struct kw_call *call = request->call;
    if (op->status != KW_OK) {
        call->code = kw__code_of(&op->error);
        kw__log_failure(request, &op->error);
        give_up(op, cut);
        return;
    }
    kw__hand_over(op);
    if (op->export->stage == KW_EXPORT_ENDED) {
        end(op, KW_STREAM_END);
        return;
    }
    call->done(call);
}

static void go_on(struct kw_call *call)
{
    struct kw_request *request = call->route_state;
    if (call->is_left) {
        give_up(request->op, cut);
        return;
    }
    submit(request->op, next_made);
}

/* --- before --- */

static void refuse(struct kw_op *op)
{
    struct kw_error error = answer_of(op)->error;
    struct kw_request *request = kw__op_request(op);
    leave(op);
    kw__finish_error(request, &error);
}

static const char *type_of(const struct kw_export *export)
{
    return export->format == KW_EXPORT_JSON ? "application/json" : "application/x-ndjson";
}

/* The head leaves with the first keys: until then whatever fails is answered like anything else. */
static void first_made(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    if (op->status != KW_OK) {
        answer_of(op)->error = op->error;
        give_up(op, refuse);
        return;
    }
    kw__begin_export(request, type_of(op->export), go_on);
    kw__hand_over(op);
    kw__finish(request);
}

static void begun(struct kw_op *op)
{
    if (op->status == KW_OK) {
        submit(op, first_made);
        return;
    }
    answer_of(op)->error = op->error;
    refuse(op);
}

void kw__keys_export(struct kw_request *request)
{
    const struct kw_list_params *params = request->query;
    const struct kw_list_query *query = kw__list_query(request);
    if (query == NULL) {
        return;
    }
    struct export_answer *answer = kw_arena_take(&request->call->arena, sizeof *answer);
    if (answer == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    bool is_json = kw_bytes_equal(params->format, KW_BYTES("json"));
    answer->export = (struct kw_export){.query = query, .format = is_json ? KW_EXPORT_JSON : KW_EXPORT_NDJSON};
    if (request->call->method == KW_HEAD) { /* takes nothing, so there is nothing to write down */
        kw__begin_export(request, type_of(&answer->export), kw__export_left_alone);
        kw__finish(request);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_EXPORT, begun);
    if (op == NULL) {
        return;
    }
    op->export = &answer->export;
    if (kw__export_enter(request->api)) {
        kw_engine_submit(request->api->options.engine, op);
        return;
    }
    kw_op_deinit(op);
    kw__finish_code(request, KW_CODE_TOO_BUSY, KW__TOO_MANY_EXPORTS);
}
