#include "engine/writer.h"

#include "base/bytes.h"
#include "engine/once.h"

bool kw__works_take(struct kw_writer *writer, size_t count)
{
    kw__works_give_back(writer);
    if (count <= KW_COUNT_OF(writer->own_works)) {
        memset(writer->own_works, 0, count * sizeof *writer->own_works);
        return true;
    }
    struct kw_work *works = kw_alloc(count, sizeof *works);
    writer->works = works == NULL ? writer->own_works : works;
    return works != NULL;
}

void kw__works_give_back(struct kw_writer *writer)
{
    if (writer->works != writer->own_works) {
        kw_free(writer->works);
    }
    writer->works = writer->own_works;
    writer->work_count = 0;
}

void kw__work_finish(struct kw_work *work, enum kw_status status)
{
    work->op->status = status;
    work->settled = true;
}

void kw__unit_finish(struct kw_unit *unit, enum kw_status status)
{
    unit->op->status = status;
    unit->settled = true;
}

struct kw_work *kw__unit_works(const struct kw_engine *engine, const struct kw_unit *unit)
{
    return &engine->writer_state->works[unit->first];
}

void kw__unit_fail(struct kw_engine *engine, struct kw_unit *unit,
                   enum kw_status (*explain)(struct kw_error *error_out, enum kw_status status), enum kw_status why)
{
    for (size_t i = 0; i < unit->count; i++) {
        struct kw_work *work = &kw__unit_works(engine, unit)[i];
        if (!work->settled) {
            kw__work_finish(work, explain(&work->op->error, why));
        }
    }
    kw__unit_finish(unit, unit->op->kind == KW_OP_TOGETHER ? KW_OK : explain(&unit->op->error, why));
}

static enum kw_status explain_not_done(struct kw_error *error_out, enum kw_status status)
{
    (void)status;
    return kw_refuse(error_out, KW_CODE_NOT_DONE, NULL,
                     "this was left alone, because another of the same batch could not be done");
}

/* A refusal is about one change; with anything else the others would meet it too. */
static bool is_refusal(enum kw_status status)
{
    return status == KW_E_INVALID || status == KW_E_NOT_FOUND || status == KW_E_CONFLICT || status == KW_E_DENIED ||
           status == KW_E_LIMIT;
}

/* Decides on every change of the unit. False: not all can be done, and the unit is settled. */
static bool decide(struct kw_engine *engine, struct kw_unit *unit)
{
    enum kw_status status = KW_OK;
    bool is_whole = true;
    for (size_t i = 0; i < unit->count && (status == KW_OK || is_refusal(status)); i++) {
        const struct kw_op *op = kw__unit_works(engine, unit)[i].op;
        if (op->is_refused) {
            kw__work_finish(&kw__unit_works(engine, unit)[i], op->error.status);
            is_whole = false;
            continue;
        }
        struct kw_work *work = &kw__unit_works(engine, unit)[i];
        status = kw__prepare(engine, unit->first + i);
        status = status == KW_OK ? kw__former_end(engine, work) : status;
        if (status != KW_OK) {
            bool is_asked = work->op->kind != KW_OP_LAPSE && work->op->kind != KW_OP_END_GRACE;
            work->is_refused = is_asked && is_refusal(status);
            kw__work_finish(work, status);
            is_whole = false;
        }
    }
    if (!is_whole && unit->op->kind == KW_OP_TOGETHER) {
        kw__unit_fail(engine, unit, explain_not_done, KW_E_CONFLICT);
    }
    unit->settled = !is_whole;
    return is_whole;
}

/* What one work writes, behind what is in the batch already; its arrays have room for it. */
static void bind_work(struct kw_work *work, struct kw_store_put *puts, struct kw_store_setting *settings,
                      struct kw_store_batch *batch)
{
    memcpy(puts + batch->put_count, work->puts, work->put_count * sizeof *puts);
    batch->put_count += work->put_count;
    for (size_t i = 0; i < work->end_count; i++) {
        puts[batch->put_count++] = work->ends[i].put;
    }
    if (work->former.name.size > 0) {
        settings[batch->setting_count++] = work->former;
    }
}

static size_t count_puts(const struct kw_work *works, size_t count)
{
    size_t puts = 0;
    for (size_t i = 0; i < count; i++) {
        puts += works[i].put_count + works[i].end_count;
    }
    return puts;
}

/* What the works tell, each what had happened before it, too. */
static size_t count_told(const struct kw_work *works, size_t count)
{
    size_t told = count;
    for (size_t i = 0; i < count; i++) {
        told += works[i].passed_count;
    }
    return told;
}

/* What the one work writes. False when there is no memory. */
static bool bind_alone(struct kw_engine *engine, struct kw_work *work, struct kw_store_batch *batch)
{
    if (work->end_count > 0 || work->passed_count > 0) {
        return kw__works_bind(engine, work, 1, batch);
    }
    *batch = (struct kw_store_batch){.puts = work->puts,
                                     .put_count = work->put_count,
                                     .audits = &work->audit,
                                     .audit_count = 1,
                                     .events = &work->event,
                                     .event_count = 1,
                                     .settings = &work->former,
                                     .setting_count = work->former.name.size > 0};
    kw__once_note(work, batch);
    return true;
}

static bool bind(struct kw_engine *engine, const struct kw_unit *unit, struct kw_store_batch *batch)
{
    struct kw_work *work = kw__unit_works(engine, unit);
    if (unit->op->kind != KW_OP_TOGETHER) {
        return bind_alone(engine, work, batch);
    }
    return kw__works_bind(engine, work, unit->count, batch);
}

bool kw__works_bind(struct kw_engine *engine, struct kw_work *works, size_t count, struct kw_store_batch *batch)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_store_put *puts = kw_arena_take_array(arena, count_puts(works, count) + 1, sizeof *puts);
    size_t told = count_told(works, count);
    struct kw_store_audit *audits = kw_arena_take_array(arena, told, sizeof *audits);
    struct kw_store_event *events = kw_arena_take_array(arena, told, sizeof *events);
    if (puts == NULL || audits == NULL || events == NULL) {
        return false;
    }
    struct kw_store_request *requests = kw_arena_take_array(arena, count, sizeof *requests);
    struct kw_store_setting *settings = kw_arena_take_array(arena, count, sizeof *settings);
    if (requests == NULL || settings == NULL) {
        return false;
    }
    *batch = (struct kw_store_batch){
        .puts = puts, .audits = audits, .events = events, .requests = requests, .settings = settings};
    for (size_t i = 0; i < count; i++) {
        struct kw_work *work = &works[i];
        if (work->put_count == 0) {
            continue;
        }
        if (work->op->once != NULL) {
            kw__once_fill(work);
            requests[batch->request_count++] = work->request;
        }
        bind_work(work, puts, settings, batch);
        for (size_t told_before = 0; told_before < work->passed_count; told_before++) {
            audits[batch->audit_count++] = work->passed_audits[told_before];
            events[batch->event_count++] = work->passed_events[told_before];
        }
        audits[batch->audit_count++] = work->audit;
        events[batch->event_count++] = work->event;
    }
    return true;
}

static bool is_named_before(const struct kw_work *works, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        const struct kw_once *once = works[i].op->once;
        if (once != NULL && memcmp(once->name, works[index].op->once->name, sizeof once->name) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * The same for parts that are all done or none. Those of them that were done before were so in another batch, or in
 * this one when it came before: only then all of them were.
 */
static bool may_begin_together(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_work *works = kw__unit_works(engine, unit);
    size_t ended = 0;
    for (size_t i = 0; i < unit->count; i++) {
        if (works[i].op->once == NULL) {
            continue;
        }
        if (is_named_before(works, i)) {
            enum kw_status status = kw_refuse(&works[i].op->error, KW_CODE_IDEMPOTENCY_KEY_REUSED, NULL,
                                              "the idempotency key is that of another item: use one for each");
            kw__work_finish(&works[i], status);
            ended++;
            continue;
        }
        enum kw_once_way way = kw__once_begin(engine, unit->first + i);
        if (way == KW_ONCE_WAIT) {
            return false;
        }
        works[i].settled = way == KW_ONCE_ENDED;
        ended += works[i].settled;
    }
    if (ended > 0) {
        kw__unit_fail(engine, unit, explain_not_done, KW_E_CONFLICT);
    }
    return ended == 0;
}

/* False when the change was done before, which settles it, or when the same one stands earlier in the group. */
static bool may_begin(struct kw_engine *engine, struct kw_unit *unit)
{
    if (unit->op->kind == KW_OP_TOGETHER) {
        return may_begin_together(engine, unit);
    }
    enum kw_once_way way = kw__once_begin(engine, unit->first);
    if (way == KW_ONCE_ENDED) {
        kw__unit_works(engine, unit)->settled = true;
        unit->settled = true;
    }
    return way == KW_ONCE_GO_ON;
}

bool kw__changes_nothing(const struct kw_op *op)
{
    return op->kind == KW_OP_UPDATE && (op->params == NULL || op->params->given == 0);
}

/* Whether an answer would show what an earlier unit of the group makes of a record: that may still come to nothing. */
static bool would_show_unmade(struct kw_engine *engine, const struct kw_unit *unit)
{
    for (size_t i = 0; i < unit->count; i++) {
        const struct kw_op *op = kw__unit_works(engine, unit)[i].op;
        const struct kw_record *record = NULL;
        if (kw__changes_nothing(op) && kw__touched_before(engine->writer_state, &op->id, &record) != NULL) {
            return true;
        }
    }
    return false;
}

/* Every key is so already. */
static void finish_idle(struct kw_engine *engine, struct kw_unit *unit)
{
    for (size_t i = 0; i < unit->count; i++) {
        struct kw_work *work = &kw__unit_works(engine, unit)[i];
        kw__look_above(engine, work->op);
        kw__work_finish(work, KW_OK);
    }
    kw__unit_finish(unit, KW_OK);
}

static void add_batch(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    unit->batch = &writer->batches[writer->batch_count++];
}

/* Its keys are decided on while they are committed. */
static void prepare_where(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    enum kw_status status = kw__where_find(engine, unit);
    if (status != KW_OK || writer->crowd.count == 0) {
        kw__unit_finish(unit, status);
        return;
    }
    add_batch(engine, unit);
    *unit->batch = (struct kw_store_batch){.next = kw__where_next, .context = engine};
}

void kw__unit_prepare(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    unit->batch = NULL;
    if (unit->op->kind == KW_OP_WHERE) {
        prepare_where(engine, unit);
        return;
    }
    for (size_t i = 0; i < unit->count; i++) {
        struct kw_work *work = &kw__unit_works(engine, unit)[i];
        *work = (struct kw_work){.op = work->op, .may_share = kw__import_may_share(unit)};
    }
    if (would_show_unmade(engine, unit) || !may_begin(engine, unit) || !decide(engine, unit)) {
        return;
    }
    if (unit->count > 0 && kw__unit_works(engine, unit)->is_shared && !kw__is_rehearsal(unit->op)) {
        kw__import_join(engine, unit);
        return;
    }
    kw__import_seal(engine);
    struct kw_store_batch *batch = &writer->batches[writer->batch_count];
    if (!bind(engine, unit, batch)) {
        kw__unit_fail(engine, unit, kw__store_failed, KW_E_MEMORY);
    } else if (batch->put_count == 0) {
        finish_idle(engine, unit);
    } else if (kw__is_rehearsal(unit->op)) {
        unit->is_rehearsed = true; /* it is settled after the whole group, which must find what this one would leave */
    } else {
        add_batch(engine, unit);
    }
}

static size_t works_in(const struct kw_op *op)
{
    return op->kind == KW_OP_TOGETHER ? op->part_count : 1;
}

static void add_unit(struct kw_writer *writer, struct kw_op *op, struct kw_op *changes, size_t count)
{
    writer->units[writer->unit_count++] = (struct kw_unit){.op = op, .first = writer->work_count, .count = count};
    for (size_t i = 0; i < count; i++) {
        writer->works[writer->work_count++].op = &changes[i];
    }
}

static void add_op(struct kw_writer *writer, struct kw_op *op)
{
    op->status = KW_OK;
    if (op->kind == KW_OP_WHERE) {
        add_unit(writer, op, NULL, 0);
    } else if (op->kind != KW_OP_TOGETHER) {
        add_unit(writer, op, op, 1);
    } else if (op->atomic && op->part_count > 0) {
        add_unit(writer, op, op->parts, op->part_count);
    } else {
        for (size_t i = 0; i < op->part_count; i++) {
            add_unit(writer, &op->parts[i], &op->parts[i], 1);
        }
    }
}

bool kw__group_begin(struct kw_writer *writer, struct kw_op *chain)
{
    size_t count = 0;
    for (const struct kw_op *op = chain; op != NULL; op = op->next) {
        count += works_in(op);
    }
    writer->unit_count = 0;
    bool has_room = kw__works_take(writer, count);
    for (struct kw_op *op = chain; op != NULL; op = op->next) {
        if (has_room) {
            add_op(writer, op);
        } else {
            op->status = kw__store_failed(&op->error, KW_E_MEMORY);
        }
    }
    return has_room;
}

/* An action on a filter takes all works; what keys are decided by changes with a document; an export has no works; a
 * rehearsal leaves nothing. */
static bool stands_alone(const struct kw_op *op)
{
    return op->kind == KW_OP_WHERE || op->kind == KW_OP_SEAL || op->kind == KW_OP_REPORT || op->kind == KW_OP_CREDIT ||
           op->kind == KW_OP_EXPORT || kw__op_is_document(op) || kw__op_is_method(op) || kw__is_rehearsal(op);
}

/* Reports are committed together, and with nothing else. */
static struct kw_op *cut_reports(struct kw_op *chain)
{
    while (chain->next != NULL && chain->next->kind == KW_OP_REPORT) {
        chain = chain->next;
    }
    struct kw_op *rest = chain->next;
    chain->next = NULL;
    return rest;
}

struct kw_op *kw__group_cut(struct kw_op *chain)
{
    if (chain->kind == KW_OP_REPORT) {
        return cut_reports(chain);
    }
    size_t count = works_in(chain);
    while (chain->next != NULL && !stands_alone(chain) && !stands_alone(chain->next) &&
           (chain->kind == KW_OP_FUND) == (chain->next->kind == KW_OP_FUND) &&
           count + works_in(chain->next) <= KW_GROUP_WORKS_MAX) {
        chain = chain->next;
        count += works_in(chain);
    }
    struct kw_op *rest = chain->next;
    chain->next = NULL;
    return rest;
}
