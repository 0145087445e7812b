#include "notify/notify.h"
#include "server/request.h"

#include "base/error.h"
#include "core/transition.h"

void kw__channels_list(struct kw_request *request)
{
    kw__documents_list(request, KW_DOCUMENT_CHANNEL);
}

void kw__channels_get(struct kw_request *request)
{
    kw__documents_get(request, KW_DOCUMENT_CHANNEL);
}

void kw__channels_delete(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_DELETE, KW_DOCUMENT_CHANNEL, NULL);
}

/* What a channel names must be there, as far as it is known here: a process that sends nothing knows of none. */
static void look(struct kw_request *request, struct kw_op *op)
{
    const struct kw_notify *notify = request->api->options.notify;
    struct kw_bytes command = kw__member_of(op->json, "command", &request->call->arena);
    bool is_mail = kw_bytes_equal(kw__member_of(op->json, "kind", &request->call->arena), KW_BYTES("email"));
    struct kw_error error;
    enum kw_status status = KW_OK;
    if (notify != NULL && command.size > 0 && !kw_bytes_equal(command, KW_BYTES("null")) &&
        !kw_notify_has_command(notify, command)) {
        status = kw_refuse(&error, KW_CODE_INVALID_FIELD, "command",
                           "is none of the server's configuration: commands are named there, by the operator");
    } else if (notify != NULL && is_mail && !kw_notify_has_relay(notify)) {
        status = kw_refuse(&error, KW_CODE_INVALID_FIELD, "kind",
                           "the server's configuration has no relay for mail: the operator sets one up");
    }
    if (status != KW_OK) {
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    kw_engine_submit(request->api->options.engine, op);
}

void kw__channels_create(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_CREATE, KW_DOCUMENT_CHANNEL, look);
}

void kw__channels_update(struct kw_request *request)
{
    kw__documents_change(request, KW_OP_DOCUMENT_UPDATE, KW_DOCUMENT_CHANNEL, look);
}

void kw__channels_enable(struct kw_request *request)
{
    kw__documents_update_with(request, KW_DOCUMENT_CHANNEL, KW_BYTES("{\"status\":\"active\"}"));
}

void kw__channels_disable(struct kw_request *request)
{
    kw__documents_update_with(request, KW_DOCUMENT_CHANNEL, KW_BYTES("{\"status\":\"disabled\"}"));
}

void kw__channels_test(struct kw_request *request)
{
    kw__notify_try(request, KW_NOTIFY_TEST);
}

void kw__channels_deliveries(struct kw_request *request)
{
    kw__deliveries_answer(request, KW_DOCUMENT_CHANNEL);
}

void kw__channels_replay(struct kw_request *request)
{
    kw__deliveries_replay_from(request, KW_DOCUMENT_CHANNEL);
}
