#include "engine/account.h"

#include "base/bytes.h"
#include "base/time.h"
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

/* One thing that happened to a key, as its audit line and event tell it. */
struct telling {
    const struct kw_work *work;
    struct kw_bytes action;
    const struct kw_record *before; /* NULL: it was not there */
    const struct kw_record *after;
    struct kw_happening happening; /* what time did; without an action: somebody asked for it */
};

/* Whether it is what the operation itself does, and not what had passed before. */
static bool is_own(const struct telling *telling)
{
    return telling->after == &telling->work->change.after;
}

/* What time has done, or is to do: {"scheduled": {"action": "revoke", "at": "…"}}. */
static void write_happening(const struct kw_happening *happening, struct kw_json_writer *json)
{
    if (happening->action == NULL) {
        return;
    }
    kw_json_name(json, happening->is_announcement ? "expiring" : "scheduled");
    kw_json_begin_object(json);
    kw__tell_text(json, "action", kw_bytes_of_text(kw_end_name(happening->end)));
    kw__tell_time(json, "at", happening->at_ms);
    kw_json_end_object(json);
}

/* The line's details. */
static enum kw_status write_details(struct kw_engine *engine, const struct telling *telling,
                                    struct kw_store_audit *audit)
{
    const struct kw_change *change = &telling->work->change;
    bool is_erasure = is_own(telling) && change->erased;
    struct kw_json_writer json;
    kw__line_begin(engine, &json);
    kw__tell_text(&json, "env", is_erasure ? telling->work->before.env : telling->after->env);
    write_happening(&telling->happening, &json);
    if (is_own(telling) && change->has_successor) {
        kw__tell_id(&json, "rotatedTo", &change->successor.id);
    }
    if (!is_erasure) {
        kw_json_name(&json, "changes");
        kw_record_write_changes(telling->before, telling->after, &json);
    }
    return kw__line_end(engine, &json, &audit->body);
}

static void tell_more(const struct telling *telling, struct kw_bytes actor, struct kw_json_writer *json)
{
    const struct kw_record *after = telling->after;
    if (kw_bytes_equal(telling->action, KW_BYTES("key.updated"))) {
        kw_json_name(json, "changed");
        kw_record_write_changed(telling->before, after, json);
    } else if (kw_bytes_equal(telling->action, KW_BYTES("key.revoked"))) {
        kw__tell_text(json, "revokedBy", after->revoked_by.size > 0 ? after->revoked_by : actor);
    } else if (kw_bytes_equal(telling->action, KW_BYTES("key.rotated"))) {
        kw__tell_id(json, "rotatedTo", &telling->work->change.successor.id);
        kw__tell_time(json, "graceUntil", after->grace_until_ms);
    } else if (kw_bytes_equal(telling->action, KW_BYTES("key.expired")) ||
               kw_bytes_equal(telling->action, KW_BYTES("key.created"))) {
        kw__tell_time(json, "expiresAt", after->expires_at_ms);
    }
    write_happening(&telling->happening, json);
}

static enum kw_status write_event(struct kw_engine *engine, const struct telling *telling, struct kw_store_event *event)
{
    const struct kw_work *work = telling->work;
    const struct kw_happening *happening = &telling->happening;
    bool is_by_time = happening->action != NULL;
    bool is_erasure = is_own(telling) && work->change.erased;
    struct kw_bytes actor = is_by_time ? happening->actor : kw__tell_actor(work->op);
    struct kw_json_writer json;
    kw__tell_begin(engine, is_erasure ? &work->before : telling->after, is_erasure, &json, event);
    kw__tell_text(&json, "actor", actor);
    kw__tell_text(&json, "reason", is_by_time ? happening->reason : work->op->reason);
    tell_more(telling, actor, &json);
    return kw__tell_end(engine, &json, event);
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
        status = write_details(engine, telling, audit);
    }
    return status == KW_OK ? write_event(engine, telling, event) : status;
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
