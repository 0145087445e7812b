#include "core/address.h"
#include "core/audit.h"
#include "core/transition.h"
#include "engine/attempts.h"
#include "server/request.h"

static enum kw_status refuse_memory(struct kw_error *error)
{
    return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
}

static enum kw_status note_address(struct kw_request *request, struct kw_bytes *address_out)
{
    char text[KW_ADDRESS_TEXT_MAX];
    const struct kw_address *address = kw__client_address(request);
    size_t size = address == NULL ? 0 : kw_address_format(address, text);
    return kw_arena_copy(&request->call->arena, kw_bytes_of(text, size), address_out);
}

/* Its begin, where it is longer; what is no text is written so that it is one. */
static struct kw_bytes note_user_agent(struct kw_call *call)
{
    struct kw_bytes agent = call->headers[KW_HEADER_USER_AGENT];
    bool is_text = kw_utf8_valid(agent) && !kw_bytes_has_control(agent);
    agent = is_text ? agent : kw__visible(&call->arena, agent, "");
    if (agent.size > KW_AUDIT_USER_AGENT_MAX) {
        agent.size = KW_AUDIT_USER_AGENT_MAX;
        while (agent.size > 0 && (agent.data[agent.size] & 0xc0) == 0x80) { /* the cut lies within a character */
            agent.size--;
        }
    }
    return agent;
}

void kw__note_attempt(struct kw_request *request)
{
    struct kw_call *call = request->call;
    struct kw_bytes address;
    const struct kw_code_info *info = kw_code_info(call->code);
    if (note_address(request, &address) != KW_OK) {
        address = (struct kw_bytes){NULL, 0};
    }
    const struct kw_attempt attempt = {.project = request->project == NULL ? (struct kw_bytes){NULL, 0}
                                                                           : request->project->name,
                                       .actor = request->actor.size > 0 ? request->actor : request->refused_actor,
                                       .address = address,
                                       .user_agent = note_user_agent(call),
                                       .code = info == NULL ? "FORBIDDEN" : info->name,
                                       .route = request->route->name,
                                       .at_ms = request->now_ms};
    kw_engine_note_attempt(request->api->options.engine, &attempt);
}

enum kw_status kw__note_circumstances(struct kw_request *request, struct kw_error *error)
{
    struct kw_call *call = request->call;
    struct kw_bytes header = call->headers[KW_HEADER_KEYWARD_CONTEXT];
    struct kw_circumstances *circumstances = kw_arena_take(&call->arena, sizeof *circumstances);
    if (circumstances == NULL || note_address(request, &circumstances->address) != KW_OK) {
        return refuse_memory(error);
    }
    circumstances->user_agent = note_user_agent(call);
    request->circumstances = circumstances;
    return header.data == NULL
               ? KW_OK
               : kw_audit_context_read(header, "Keyward-Context", &call->arena, &circumstances->said, error);
}
