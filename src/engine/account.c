#include "engine/account.h"

#include "base/bytes.h"
#include "core/audit.h"
#include "core/id.h"
#include "engine/import.h"
#include "engine/tell.h"

#include <assert.h>

/* What happens by itself has nobody who could have said anything. */
static const struct kw_audit_context *given_by_project(const struct kw_engine *engine, const struct kw_op *op,
                                                       struct kw_bytes name)
{
    if (op->kind == KW_OP_LAPSE || op->kind == KW_OP_END_GRACE || op->kind == KW_OP_MOVE) {
        return NULL;
    }
    const struct kw_project *project = kw_project_by_name(kw__catalog(engine), name);
    return project == NULL ? NULL : &project->audit_context;
}

enum kw_status kw__account_who(struct kw_engine *engine, const struct kw_op *op, struct kw_store_audit *audit)
{
    struct kw_writer *writer = engine->writer_state;
    const struct kw_circumstances *circumstances = op->circumstances;
    struct kw_audit_context known = {.actor = op->actor, .reason = op->reason};
    if (circumstances != NULL) {
        known.address = circumstances->address;
        known.user_agent = circumstances->user_agent;
    }
    assert(kw_audit_action_known(audit->action));
    kw_buffer_reset(&writer->scratch);
    kw_audit_context_write(circumstances == NULL ? NULL : &circumstances->said, &known,
                           given_by_project(engine, op, audit->project), &writer->scratch, &audit->actor);
    audit->context = (struct kw_bytes){NULL, 0};
    enum kw_status status = kw_buffer_status(&writer->scratch);
    if (status == KW_OK && writer->scratch.size > 0) {
        status = kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), &audit->context);
    }
    return status == KW_OK ? KW_OK : KW_E_MEMORY;
}

/* The line's details. */
static enum kw_status write_details(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_json_writer json;
    kw_buffer_reset(&writer->scratch);
    kw_json_writer_init(&json, &writer->scratch);
    kw_json_begin_object(&json);
    kw__tell_text(&json, "env", work->change.erased ? work->before.env : work->change.after.env);
    if (work->change.has_successor) {
        kw__tell_id(&json, "rotatedTo", &work->change.successor.id);
    }
    if (!work->change.erased) {
        kw_json_name(&json, "changes");
        kw_record_write_changes(work->has_before ? &work->before : NULL, &work->change.after, &json);
    }
    kw_json_end_object(&json);
    enum kw_status status = kw_buffer_status(&writer->scratch);
    return status != KW_OK ? status
                           : kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), &work->audit.body);
}

static void tell_more(const struct kw_work *work, struct kw_json_writer *json)
{
    const struct kw_record *after = &work->change.after;
    struct kw_bytes type = work->event.type;
    if (kw_bytes_equal(type, KW_BYTES("key.updated"))) {
        kw_json_name(json, "changed");
        kw_record_write_changed(&work->before, after, json);
    } else if (kw_bytes_equal(type, KW_BYTES("key.revoked"))) {
        kw__tell_text(json, "revokedBy", after->revoked_by.size > 0 ? after->revoked_by : kw__tell_actor(work->op));
    } else if (kw_bytes_equal(type, KW_BYTES("key.rotated"))) {
        kw__tell_id(json, "rotatedTo", &work->change.successor.id);
        kw__tell_time(json, "graceUntil", after->grace_until_ms);
    } else if (kw_bytes_equal(type, KW_BYTES("key.expired")) || kw_bytes_equal(type, KW_BYTES("key.created"))) {
        kw__tell_time(json, "expiresAt", after->expires_at_ms);
    }
}

static enum kw_status write_event(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_json_writer json;
    bool is_erased = work->change.erased;
    kw__tell_begin(engine, is_erased ? &work->before : &work->change.after, is_erased, &json, &work->event);
    kw__tell_text(&json, "actor", kw__tell_actor(work->op));
    kw__tell_text(&json, "reason", work->op->reason);
    tell_more(work, &json);
    return kw__tell_end(engine, &json, &work->event);
}

enum kw_status kw__account_work(struct kw_engine *engine, struct kw_work *work)
{
    const struct kw_record *after = &work->change.after;
    struct kw_bytes action = kw_bytes_of_text(work->change.action);
    uint8_t random[KW_ID_RANDOM_SIZE];
    work->audit = (struct kw_store_audit){.at_ms = work->op->now_ms,
                                          .project = after->project,
                                          .key_id = after->id,
                                          .owner = after->owner,
                                          .action = action};
    work->event = (struct kw_store_event){
        .at_ms = work->op->now_ms, .project = after->project, .key_id = after->id, .type = action};
    bool is_import = work->op->kind == KW_OP_IMPORT_ONE;
    enum kw_status status = is_import ? kw__import_draw(engine, random)
                                      : engine->entropy.draw(engine->entropy.context, random, sizeof random);
    status = status == KW_OK ? kw__account_who(engine, work->op, &work->audit) : status;
    if (status == KW_OK) {
        work->event.id = kw_id_make(work->op->now_ms, random);
        status = write_details(engine, work);
    }
    if (status == KW_OK) {
        status = write_event(engine, work);
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&work->op->error, KW_E_MEMORY);
}
