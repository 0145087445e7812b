#include "engine/library.h"

#include "base/bytes.h"

static const enum kw_op_kind op_kinds[] = {
    [KW_CHANGE_CREATE] = KW_OP_CREATE,   [KW_CHANGE_UPDATE] = KW_OP_UPDATE, [KW_CHANGE_ENABLE] = KW_OP_ENABLE,
    [KW_CHANGE_DISABLE] = KW_OP_DISABLE, [KW_CHANGE_REVOKE] = KW_OP_REVOKE, [KW_CHANGE_ROTATE] = KW_OP_ROTATE,
    [KW_CHANGE_ERASE] = KW_OP_ERASE,
};

void kw_outcomes_clear(struct kw_outcome *outcomes, size_t count)
{
    for (size_t i = 0; outcomes != NULL && i < count; i++) {
        kw_new_key_clear(&outcomes[i].made);
    }
}

/* What cannot be asked at all is refused before it comes to the engine. */
static void prepare(const struct keyward *keyward, const struct kw_change_item *items, size_t count,
                    struct kw_op *parts, struct kw_once *names)
{
    for (size_t i = 0; i < count; i++) {
        struct kw_error *error = &parts[i].error;
        bool is_known = (size_t)items[i].kind < KW_COUNT_OF(op_kinds);
        enum kw_op_kind kind = is_known ? op_kinds[items[i].kind] : KW_OP_CREATE;
        enum kw_status status = kw__op_of_request(keyward, &items[i].request, kind, &parts[i], error);
        if (!is_known) {
            status = kw_refuse(error, KW_CODE_INVALID_FIELD, "kind", "is no kind of change");
        }
        if (status == KW_OK) {
            status = kw__op_name_once(&items[i].request, &parts[i], &names[i], error);
        }
        if (status != KW_OK) {
            parts[i].is_refused = true;
            parts[i].once = NULL;
        }
    }
}

static void give_back(struct kw_op *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kw_op_deinit(&parts[i]);
    }
    kw_free(parts);
}

/* All for the same reason. */
static enum kw_status fail_all(struct kw_outcome *outcomes, size_t count, const struct kw_error *error)
{
    for (size_t i = 0; i < count; i++) {
        outcomes[i].status = error->status;
        outcomes[i].error = *error;
    }
    return error->status;
}

/* Takes over how each part ended. */
static enum kw_status conclude(const struct kw_op *parts, struct kw_outcome *outcomes, size_t count)
{
    enum kw_status first = KW_OK;
    for (size_t i = 0; i < count; i++) {
        struct kw_outcome *outcome = &outcomes[i];
        outcome->status = parts[i].status;
        if (outcome->status != KW_OK) {
            outcome->error = parts[i].error;
        } else if (parts[i].kind != KW_OP_ERASE) {
            outcome->status = kw__hand_out_key(&parts[i], &outcome->made, &outcome->error);
        }
        first = first == KW_OK ? outcome->status : first;
    }
    return first;
}

static enum kw_status run_together(struct keyward *keyward, struct kw_op *parts, size_t count, bool atomic,
                                   struct kw_outcome *outcomes)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = parts;
    op.part_count = count;
    op.atomic = atomic;
    enum kw_status status = kw_engine_run(keyward->engine, &op);
    status = status == KW_OK ? conclude(parts, outcomes, count) : fail_all(outcomes, count, &op.error);
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_change_many(struct keyward *keyward, const struct kw_change_item *items, size_t count, bool atomic,
                              struct kw_outcome *outcomes_out)
{
    struct kw_error error;
    memset(outcomes_out, 0, count * sizeof *outcomes_out);
    if (count > KW_TOGETHER_MAX) {
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "items", "holds too many: at most %d", KW_TOGETHER_MAX);
        return fail_all(outcomes_out, count, &error);
    }
    struct kw_op *parts = kw_alloc(count == 0 ? 1 : count, sizeof *parts);
    struct kw_once *names = kw_alloc(count == 0 ? 1 : count, sizeof *names);
    if (parts == NULL || names == NULL) {
        kw_free(parts);
        kw_free(names);
        (void)kw_refuse(&error, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
        return fail_all(outcomes_out, count, &error);
    }
    prepare(keyward, items, count, parts, names);
    enum kw_status first = run_together(keyward, parts, count, atomic, outcomes_out);
    give_back(parts, count);
    kw_free(names);
    return first;
}

static enum kw_status change_where(struct keyward *keyward, const struct kw_where_request *request,
                                   enum kw_op_kind then, struct kw_where_result *result_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    if (project == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    enum kw_status status = kw__check_texts(request->actor, request->reason, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_where where = {.owner = request->owner,
                             .org_id = request->org_id,
                             .tag = request->tag,
                             .ids = request->ids,
                             .id_count = request->id_count};
    struct kw_op op;
    kw_op_init(&op, KW_OP_WHERE, project);
    op.then = then;
    op.where = &where;
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op.reason = request->reason;
    op.spares_children = request->no_cascade;
    status = kw_engine_run(keyward->engine, &op);
    if (status == KW_OK) {
        *result_out = (struct kw_where_result){.matched = op.matched, .changed = op.changed};
    } else if (error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_revoke_where(struct keyward *keyward, const struct kw_where_request *request,
                               struct kw_where_result *result_out, struct kw_error *error_out)
{
    return change_where(keyward, request, KW_OP_REVOKE, result_out, error_out);
}

enum kw_status kw_enable_where(struct keyward *keyward, const struct kw_where_request *request,
                               struct kw_where_result *result_out, struct kw_error *error_out)
{
    return change_where(keyward, request, KW_OP_ENABLE, result_out, error_out);
}

enum kw_status kw_disable_where(struct keyward *keyward, const struct kw_where_request *request,
                                struct kw_where_result *result_out, struct kw_error *error_out)
{
    return change_where(keyward, request, KW_OP_DISABLE, result_out, error_out);
}
