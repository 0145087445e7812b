#include "engine/account.h"

#include "base/bytes.h"
#include "base/time.h"
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

/* One thing that happened to a key, as its audit line and event tell it. */
struct telling {
    const struct kw_work *work;
    struct kw_bytes action;
    const struct kw_record *before; /* NULL: it was not there */
    const struct kw_record *after;
    struct kw_happening happening; /* what time did; without an action: somebody asked for it */
};

/* What time has done, or is to do: {"scheduled": {"action": "revoke", "at": "…"}}. */
static void write_happening(const struct kw_happening *happening, struct kw_json_writer *json)
{
    char text[KW_TIME_TEXT_SIZE];
    if (happening->action == NULL) {
        return;
    }
    kw_time_format(happening->at_ms, text);
    kw_json_name(json, happening->is_announcement ? "expiring" : "scheduled");
    kw_json_begin_object(json);
    write_text(json, "action", kw_bytes_of_text(kw_end_name(happening->end)));
    kw_json_name(json, "at");
    kw_json_string(json, kw_bytes_of(text, sizeof text));
    kw_json_end_object(json);
}

/* What stands beside a line of the audit log, an event has to say itself. */
static void write_event(const struct telling *telling, struct kw_json_writer *json)
{
    const struct kw_work *work = telling->work;
    bool is_by_time = telling->happening.action != NULL;
    const struct kw_record *shown = work->change.erased ? &work->before : telling->after;
    write_id(json, "keyId", &shown->id);
    write_text(json, "owner", work->change.erased ? (struct kw_bytes){NULL, 0} : shown->owner);
    write_text(json, "env", shown->env);
    write_text(json, "actor", is_by_time ? telling->happening.actor : work->op->actor);
    write_text(json, "reason", is_by_time ? telling->happening.reason : work->op->reason);
}

static enum kw_status body_of(struct kw_engine *engine, const struct telling *telling, bool is_audit,
                              struct kw_bytes *body_out)
{
    struct kw_writer *writer = engine->writer_state;
    const struct kw_work *work = telling->work;
    bool is_own = telling->after == &work->change.after;
    struct kw_json_writer json;
    kw_buffer_reset(&writer->scratch);
    kw_json_writer_init(&json, &writer->scratch);
    kw_json_begin_object(&json);
    if (is_audit) {
        write_text(&json, "env", work->change.erased ? work->before.env : telling->after->env);
    } else {
        write_event(telling, &json);
    }
    write_happening(&telling->happening, &json);
    if (is_own && work->change.has_successor) {
        write_id(&json, "rotatedTo", &work->change.successor.id);
    }
    if (is_audit && !(is_own && work->change.erased)) {
        kw_json_name(&json, "changes");
        kw_record_write_changes(telling->before, telling->after, &json);
    }
    kw_json_end_object(&json);
    enum kw_status status = kw_buffer_status(&writer->scratch);
    return status != KW_OK ? status : kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), body_out);
}

/* What time does has nobody who could have said anything of it. */
static enum kw_status who(struct kw_engine *engine, const struct telling *telling, struct kw_store_audit *audit)
{
    const struct kw_happening *happening = &telling->happening;
    if (happening->action == NULL) {
        return kw__account_who(engine, telling->work->op, audit);
    }
    struct kw_op by_time;
    kw_op_init(&by_time, KW_OP_LAPSE, telling->work->op->project);
    by_time.actor = happening->actor;
    by_time.reason = happening->reason;
    enum kw_status status = kw__account_who(engine, &by_time, audit);
    kw_op_deinit(&by_time);
    return status;
}

static enum kw_status tell(struct kw_engine *engine, const struct telling *telling, struct kw_store_audit *audit,
                           struct kw_store_event *event)
{
    const struct kw_op *op = telling->work->op;
    const struct kw_record *after = telling->after;
    uint8_t random[KW_ID_RANDOM_SIZE];
    *audit = (struct kw_store_audit){.at_ms = op->now_ms,
                                     .project = after->project,
                                     .key_id = after->id,
                                     .owner = after->owner,
                                     .action = telling->action};
    *event = (struct kw_store_event){
        .at_ms = op->now_ms, .project = after->project, .key_id = after->id, .type = telling->action};
    enum kw_status status = op->kind == KW_OP_IMPORT_ONE
                                ? kw__import_draw(engine, random)
                                : engine->entropy.draw(engine->entropy.context, random, sizeof random);
    status = status == KW_OK ? who(engine, telling, audit) : status;
    if (status == KW_OK) {
        event->id = kw_id_make(op->now_ms, random);
        status = body_of(engine, telling, true, &audit->body);
    }
    return status == KW_OK ? body_of(engine, telling, false, &event->body) : status;
}

enum kw_status kw__account_work(struct kw_engine *engine, struct kw_work *work)
{
    const struct kw_change *change = &work->change;
    const struct kw_record *before = work->has_before ? &work->before : NULL;
    struct kw_arena *arena = &engine->writer_state->arena;
    enum kw_status status = KW_OK;
    work->passed_count = change->passed_count;
    if (change->passed_count > 0) {
        work->passed_audits = kw_arena_take_array(arena, change->passed_count, sizeof *work->passed_audits);
        work->passed_events = kw_arena_take_array(arena, change->passed_count, sizeof *work->passed_events);
        bool has_room = work->passed_audits != NULL && work->passed_events != NULL;
        status = has_room ? KW_OK : KW_E_MEMORY;
    }
    for (size_t i = 0; i < change->passed_count && status == KW_OK; i++) {
        const struct kw_passed *passed = &change->passed[i];
        struct telling telling = {.work = work,
                                  .action = kw_bytes_of_text(passed->happening.action),
                                  .before = before,
                                  .after = &passed->after,
                                  .happening = passed->happening};
        status = tell(engine, &telling, &work->passed_audits[i], &work->passed_events[i]);
        before = &passed->after;
    }
    struct telling telling = {.work = work,
                              .action = kw_bytes_of_text(change->action),
                              .before = before,
                              .after = &change->after,
                              .happening = change->happening};
    status = status == KW_OK ? tell(engine, &telling, &work->audit, &work->event) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&work->op->error, KW_E_MEMORY);
}
