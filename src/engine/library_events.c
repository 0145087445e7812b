#include "base/bytes.h"
#include "engine/events_read.h"
#include "engine/library.h"
#include <keyward/events.h>

#define SHOWN_DEFAULT 50

_Static_assert(KW_EVENTS_LIST_MAX == KW_STORE_LIST_MAX, "what the library offers is what a store lists");

static enum kw_status check(const struct kw_events_request *request, struct kw_error *error_out)
{
    const struct {
        const char *field;
        struct kw_bytes text;
        size_t size_max;
    } texts[] = {{"owner", request->owner, KW_OWNER_MAX}, {"env", request->env, KW_ENV_MAX}};
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        if (texts[i].text.size > texts[i].size_max || !kw_utf8_valid(texts[i].text)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, texts[i].field,
                             "must be UTF-8 text of at most %zu bytes", texts[i].size_max);
        }
    }
    if (request->limit > KW_EVENTS_LIST_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "limit", "must be 1 to %d, or 0 for %d", KW_EVENTS_LIST_MAX,
                         SHOWN_DEFAULT);
    }
    if (request->after > INT64_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "after", "is none that a list has given");
    }
    return kw_event_list_check(request->types, "types", error_out);
}

enum kw_status kw_events(struct keyward *keyward, const struct kw_events_request *request,
                         struct kw_held_document *held_out, struct kw_events_reached *reached_out,
                         struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status = project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_event_query query = {.types = request->types,
                                   .key_id = request->key_id,
                                   .owner = request->owner,
                                   .env = request->env,
                                   .from_ms = request->since_ms,
                                   .is_back = request->latest_first,
                                   .after = request->after,
                                   .limit = request->limit == 0 ? SHOWN_DEFAULT : request->limit};
    struct kw_op op;
    kw_op_init(&op, KW_OP_EVENTS, project);
    op.events = &query;
    status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status == KW_OK &&
        kw__hold_document(kw_buffer_bytes(&op.result), (struct kw_bytes){NULL, 0}, held_out) != KW_OK) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
    }
    if (status == KW_OK && reached_out != NULL) {
        *reached_out = (struct kw_events_reached){.after = query.reached, .has_more = query.has_more};
    }
    kw_op_deinit(&op);
    return status;
}
