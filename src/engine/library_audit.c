#include "base/bytes.h"
#include "engine/audit_jobs.h"
#include "engine/audit_read.h"
#include "engine/library.h"

#define SHOWN_DEFAULT 50

static enum kw_status ignore(void *context, struct kw_bytes piece)
{
    (void)context, (void)piece;
    return KW_OK;
}

/* Reads the log, piece after piece; `held_out` (may be NULL) gets what the last one gave. */
static enum kw_status read_log(struct keyward *keyward, struct kw_bytes name, struct kw_audit_query *query,
                               enum kw_status (*sink)(void *context, struct kw_bytes piece), void *context,
                               struct kw_held_document *held_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, name);
    bool is_whole = query->what == KW_AUDIT_CHECKPOINTS;
    struct kw_op op;
    if (project == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    kw_op_init(&op, KW_OP_AUDIT, project);
    op.audit = query;
    enum kw_status status = KW_OK;
    do {
        kw_buffer_reset(&op.result);
        status = kw_engine_run(keyward->engine, &op);
        if (status != KW_OK && error_out != NULL) {
            *error_out = op.error;
        }
        status = status == KW_OK ? sink(context, kw_buffer_bytes(&op.result)) : status;
    } while (status == KW_OK && !is_whole && !query->has_ended);
    if (status == KW_OK && held_out != NULL &&
        kw__hold_document(kw_buffer_bytes(&op.result), (struct kw_bytes){NULL, 0}, held_out) != KW_OK) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_audit_verify(struct keyward *keyward, struct kw_bytes project, struct kw_held_document *held_out,
                               struct kw_error *error_out)
{
    struct kw_audit_query query = {.what = KW_AUDIT_VERIFY};
    return read_log(keyward, project, &query, ignore, NULL, held_out, error_out);
}

enum kw_status kw_audit_export(struct keyward *keyward, struct kw_bytes project,
                               enum kw_status (*sink)(void *context, struct kw_bytes piece), void *context,
                               struct kw_error *error_out)
{
    struct kw_audit_query query = {.what = KW_AUDIT_EXPORT};
    return read_log(keyward, project, &query, sink, context, NULL, error_out);
}

enum kw_status kw_audit_checkpoints(struct keyward *keyward, const struct kw_audit_page *page,
                                    struct kw_held_document *held_out, struct kw_error *error_out)
{
    struct kw_audit_query query = {.what = KW_AUDIT_CHECKPOINTS,
                                   .is_back = !page->is_forth,
                                   .after = page->after,
                                   .limit = page->limit == 0 ? SHOWN_DEFAULT : page->limit};
    if (query.limit > KW_STORE_LIST_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "limit", "must be at most %d", KW_STORE_LIST_MAX);
    }
    return read_log(keyward, page->project, &query, ignore, NULL, held_out, error_out);
}

/* One job on the log, by this actor and for this reason. */
static enum kw_status run_job(struct keyward *keyward, enum kw_op_kind kind, uint16_t project, struct kw_audit_job *job,
                              struct kw_bytes actor, struct kw_bytes reason, struct kw_error *error_out)
{
    struct kw_op op;
    enum kw_status status =
        project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : kw__check_texts(actor, reason, error_out);
    if (status != KW_OK) {
        return status;
    }
    kw_op_init(&op, kind, project);
    op.audit_job = job;
    op.actor = actor.size == 0 ? KW_BYTES("library") : actor;
    op.reason = reason;
    status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_audit_prune(struct keyward *keyward, const struct kw_audit_prune_request *request,
                              uint64_t *count_out, struct kw_error *error_out)
{
    struct kw_audit_job job = {.before_ms = request->before_ms};
    enum kw_status status = run_job(keyward, KW_OP_AUDIT_PRUNE, kw__project_of(keyward, request->project), &job,
                                    request->actor, request->reason, error_out);
    if (status == KW_OK && count_out != NULL) {
        *count_out = job.entries;
    }
    return status;
}

enum kw_status kw_audit_erase_person(struct keyward *keyward, const struct kw_audit_erase_request *request,
                                     uint64_t *count_out, struct kw_error *error_out)
{
    struct kw_audit_job job = {.person = {request->owner, request->actor}};
    bool fits = request->owner.size <= KW_OWNER_MAX && request->actor.size <= KW_ACTOR_MAX;
    if (request->owner.size + request->actor.size == 0) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, "owner", "or actor is needed: whose data is to go?");
    }
    if (!fits || !kw_utf8_valid(request->owner) || !kw_utf8_valid(request->actor)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "owner", "and actor must be UTF-8 text of at most %d bytes",
                         KW_OWNER_MAX);
    }
    enum kw_status status = run_job(keyward, KW_OP_AUDIT_ERASE, kw__project_of(keyward, request->project), &job,
                                    request->by, request->reason, error_out);
    if (status == KW_OK && count_out != NULL) {
        *count_out = job.entries;
    }
    return status;
}
