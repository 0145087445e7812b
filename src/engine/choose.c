#include "engine/writer.h"

#include "base/bytes.h"

#define GIVEN_EXPIRY ((uint32_t)(KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN))

/* What the caller gives, and what template, preset, policy and project add to it. */
static enum kw_status choose_creation(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_op *op = work->op;
    const struct kw_catalog *catalog = kw__catalog(engine);
    struct kw_creation creation = {
        .catalog = catalog, .project = work->project, .params = op->params, .preset = op->preset};
    struct kw_key_params *params = kw_arena_take(&engine->writer_state->arena, sizeof *params);
    if (params == NULL) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    if (op->template_name.size > 0) {
        creation.template = kw_template_by_name(catalog, work->project->name, op->template_name);
        if (creation.template == NULL) {
            return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "template",
                             "there is no such template in this project");
        }
    }
    enum kw_status status = kw_creation_params(&creation, &engine->writer_state->arena, params, &op->error);
    uint32_t asked = op->params == NULL ? 0 : op->params->given;
    asked |= creation.template == NULL ? 0 : creation.template->params.given;
    work->expiry_is_added = (asked & GIVEN_EXPIRY) == 0 && (params->given & GIVEN_EXPIRY) != 0;
    work->params = params;
    return status;
}

enum kw_status kw__choose_params(struct kw_engine *engine, struct kw_work *work)
{
    work->params = work->op->params;
    const struct kw_key_params *asked = work->op->params;
    enum kw_status status = work->op->kind == KW_OP_CREATE ? choose_creation(engine, work) : KW_OK;
    /* Only what the caller asks for: a template or policy may count what the project has forgotten since. */
    if (status == KW_OK && asked != NULL && (asked->given & KW_GIVEN_QUOTAS) != 0) {
        status = kw_project_admits_quotas(work->project, asked->quotas, asked->quota_count, &work->op->error);
    }
    return status != KW_OK ? status
                           : kw_project_admits_expiry(work->project, work->params, work->op->now_ms, &work->op->error);
}

enum kw_status kw__leave_expiry_to_parent(struct kw_engine *engine, struct kw_work *work)
{
    if (!work->expiry_is_added || !work->has_parent || work->parent.expires_at_ms == 0 ||
        work->parent.expires_at_ms >= work->op->now_ms + work->params->expires_in_ms) {
        return KW_OK;
    }
    struct kw_key_params *params = kw_arena_take(&engine->writer_state->arena, sizeof *params);
    if (params == NULL) {
        return kw__store_failed(&work->op->error, KW_E_MEMORY);
    }
    *params = *work->params;
    params->given &= ~GIVEN_EXPIRY;
    work->params = params;
    return KW_OK;
}

static enum kw_status refuse_missing(struct kw_op *op, struct kw_bytes policy, bool is_given)
{
    return is_given ? kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "policy", "there is no such policy in this project")
                    : kw_refuse(&op->error, KW_CODE_POLICY_VIOLATION, "policy",
                                "the policy \"%.*s\" was deleted: give the key another one, or none", (int)policy.size,
                                (const char *)policy.data);
}

enum kw_status kw__check_policy(struct kw_engine *engine, const struct kw_work *work)
{
    struct kw_op *op = work->op;
    const struct kw_record *record = work->change.has_successor ? &work->change.successor : &work->change.after;
    bool shapes = op->kind == KW_OP_CREATE || op->kind == KW_OP_UPDATE || op->kind == KW_OP_ROTATE ||
                  op->kind == KW_OP_IMPORT_ONE;
    if (!shapes || kw__changes_nothing(op) || record->policy.size == 0) {
        return KW_OK;
    }
    bool is_given = work->params != NULL && (work->params->given & KW_GIVEN_POLICY) != 0;
    const struct kw_policy *policy = kw_policy_by_name(kw__catalog(engine), work->project->name, record->policy);
    if (policy == NULL) {
        return refuse_missing(op, record->policy, is_given);
    }
    /* Else a key could be made without a policy, and be brought under it by who may make none there. */
    bool comes_under_it = !work->has_before || !kw_bytes_equal(work->before.policy, record->policy);
    enum kw_status status = comes_under_it ? kw_policy_lets_create(policy, op->actor, &op->error) : KW_OK;
    /* A rotation begins a new life only where it is asked for a new expiry: else it would extend the old one. */
    bool keeps_life = work->change.has_successor && (work->params == NULL || (work->params->given & GIVEN_EXPIRY) == 0);
    int64_t born_ms = keeps_life ? work->before.created_at_ms : record->created_at_ms;
    return status != KW_OK ? status : kw_policy_admits(policy, record, born_ms, &op->error);
}
