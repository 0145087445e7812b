#include "server/request.h"

#define EXPORTS_MAX 32 /* at once: a slow client holds a megabyte or two */

bool kw__export_enter(struct kw_api *api)
{
    if (__atomic_add_fetch(&api->export_count, 1, __ATOMIC_RELAXED) <= EXPORTS_MAX) {
        return true;
    }
    __atomic_sub_fetch(&api->export_count, 1, __ATOMIC_RELAXED);
    return false;
}

void kw__export_leave(struct kw_api *api)
{
    __atomic_sub_fetch(&api->export_count, 1, __ATOMIC_RELAXED);
}

void kw__hand_over(struct kw_op *op)
{
    struct kw_call *call = kw__op_request(op)->call;
    struct kw_buffer piece = op->result;
    op->result = call->answer;
    call->answer = piece;
    kw_buffer_reset(&op->result);
}

void kw__begin_export(struct kw_request *request, const char *content_type, void (*go_on)(struct kw_call *call))
{
    struct kw_call *call = request->call;
    call->status = 200;
    call->content_type = content_type;
    call->stream = KW_STREAM_MORE;
    call->go_on = go_on;
    call->route_state = request;
}

void kw__export_left_alone(struct kw_call *call)
{
    call->stream = KW_STREAM_CUT;
    call->done(call);
}
