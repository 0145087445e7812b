#include "engine/account.h"

#include "base/bytes.h"
#include "core/audit.h"
#include "core/id.h"
#include "engine/import.h"

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

static void write_id(struct kw_json_writer *json, const char *name, const struct kw_id *id)
{
    char text[KW_ID_TEXT_SIZE];
    kw_id_format(id, text);
    kw_json_name(json, name);
    kw_json_string(json, kw_bytes_of(text, sizeof text));
}

static void write_text(struct kw_json_writer *json, const char *name, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(json, name);
        kw_json_string(json, text);
    }
}

/* What stands beside a line of the audit log, an event has to say itself. */
static void write_event(const struct kw_work *work, struct kw_json_writer *json)
{
    const struct kw_record *shown = work->change.erased ? &work->before : &work->change.after;
    write_id(json, "keyId", &shown->id);
    write_text(json, "owner", work->change.erased ? (struct kw_bytes){NULL, 0} : shown->owner);
    write_text(json, "env", shown->env);
    write_text(json, "actor", work->op->actor);
    write_text(json, "reason", work->op->reason);
}

static enum kw_status body_of(struct kw_engine *engine, const struct kw_work *work, bool is_audit,
                              struct kw_bytes *body_out)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_json_writer json;
    kw_buffer_reset(&writer->scratch);
    kw_json_writer_init(&json, &writer->scratch);
    kw_json_begin_object(&json);
    if (is_audit) {
        write_text(&json, "env", work->change.erased ? work->before.env : work->change.after.env);
    } else {
        write_event(work, &json);
    }
    if (work->change.has_successor) {
        write_id(&json, "rotatedTo", &work->change.successor.id);
    }
    if (is_audit && !work->change.erased) {
        kw_json_name(&json, "changes");
        kw_record_write_changes(work->has_before ? &work->before : NULL, &work->change.after, &json);
    }
    kw_json_end_object(&json);
    enum kw_status status = kw_buffer_status(&writer->scratch);
    return status != KW_OK ? status : kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), body_out);
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
        status = body_of(engine, work, true, &work->audit.body);
    }
    if (status == KW_OK) {
        status = body_of(engine, work, false, &work->event.body);
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&work->op->error, KW_E_MEMORY);
}
