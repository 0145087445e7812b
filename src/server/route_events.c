#include "engine/events_read.h"
#include "server/request.h"

#include "core/id.h"

/* A sequence; '-' stands before it where the list goes back. */
static bool parse_cursor(struct kw_bytes text, bool is_back, uint64_t *after_out)
{
    if (is_back && (text.size == 0 || text.data[0] != '-')) {
        return false;
    }
    text = is_back ? kw_bytes_skip(text, 1) : text;
    return kw_bytes_to_u64(text, after_out) && *after_out <= INT64_MAX && (!is_back || *after_out > 0);
}

static enum kw_status take_params(const struct kw_events_params *params, struct kw_event_query *query,
                                  struct kw_error *error)
{
    query->types = params->types;
    query->owner = params->owner;
    query->env = params->env;
    query->from_ms = params->since_ms;
    query->is_back = kw_bytes_equal(params->sort, KW_BYTES("-timestamp"));
    query->limit = (size_t)params->limit;
    if (params->key.size > 0 && (!kw_id_parse(params->key, &query->key_id) || kw_id_is_none(&query->key_id))) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "key", "must be the id of a key: key_ and 26 characters");
    }
    if (params->cursor.size > 0 && !parse_cursor(params->cursor, query->is_back, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "cursor",
                         "is not one that this list gave in this order: use nextCursor of the answer before, or start "
                         "without");
    }
    return kw_event_list_check(params->types, "type", error);
}

void kw__events_list(struct kw_request *request)
{
    struct kw_error error;
    struct kw_event_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    if (take_params(request->query, query, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_EVENTS, kw__answer_result);
    if (op != NULL) {
        op->events = query;
        kw_engine_submit(request->api->options.engine, op);
    }
}
