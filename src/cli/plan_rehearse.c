#include "cli/plan.h"

#include <stdio.h>

#define PATH_SIZE 128

enum kw_status kw_plan_no_memory(const struct kw_planning *planning)
{
    return kw_fail(planning->error, KW_E_MEMORY, KW_CLI_FAILED, NULL, "there is no memory left for this file");
}

const char *kw_plan_text(struct kw_planning *planning, struct kw_bytes text)
{
    char *copy = kw_arena_take(&planning->plan->arena, text.size + 1);
    if (copy != NULL && text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return copy;
}

enum kw_status kw_plan_send(const struct kw_planned_change *change, enum kw_method method, const char *query,
                            struct kw_bytes body, struct kw_target *target, struct kw_answer *answer,
                            struct kw_error *error_out)
{
    char path[PATH_SIZE];
    char version[24];
    snprintf(path, sizeof path, "%s%s%s", change->words->path, method == KW_POST ? "" : "/",
             method == KW_POST ? "" : change->name);
    snprintf(version, sizeof version, "\"%llu\"", (unsigned long long)change->version);
    struct kw_request request = {.method = method,
                                 .path = path,
                                 .query = kw_bytes_of_text(query),
                                 .body = body,
                                 .project = change->project,
                                 .if_version = method == KW_PATCH ? version : NULL};
    kw_buffer_reset(&answer->body);
    return target->ops->send(target, &request, answer, error_out);
}

static void write_body(const struct kw_planned_change *change, struct kw_buffer *body)
{
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, body);
    kw_json_begin_object(&writer);
    for (size_t i = 0; i < change->field_count; i++) {
        kw_json_name_bytes(&writer, change->fields[i].name);
        kw_json_raw(&writer, change->fields[i].to);
    }
    kw_json_end_object(&writer);
}

enum kw_status kw_plan_send_fields(const struct kw_planned_change *change, const char *query, struct kw_target *target,
                                   struct kw_answer *answer, struct kw_error *error_out)
{
    struct kw_buffer body;
    kw_buffer_init(&body, KW_CALL_BODY_MAX);
    write_body(change, &body);
    enum kw_status status = kw_buffer_status(&body);
    if (status == KW_OK) {
        status = kw_plan_send(change, change->version == 0 ? KW_POST : KW_PATCH, query, kw_buffer_bytes(&body), target,
                              answer, error_out);
    } else {
        status = kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s is too large", change->name);
    }
    kw_buffer_deinit(&body);
    return status;
}

bool kw_plan_has(const struct kw_plan *plan, const struct kw_planned_change *wanted)
{
    for (size_t i = 0; i < plan->change_count; i++) {
        const struct kw_planned_change *change = &plan->changes[i];
        bool has_project = change->project != NULL && wanted->project != NULL;
        if (change->words == wanted->words && strcmp(change->name, wanted->name) == 0 &&
            (has_project ? strcmp(change->project, wanted->project) == 0 : change->project == wanted->project)) {
            return true;
        }
    }
    return false;
}

/*
 * What the same file does to the project that a policy or template belongs to; NULL: nothing. Where none is named, it
 * is that of the management key: the default one, or else any.
 */
static const struct kw_planned_change *change_of_project(const struct kw_plan *plan,
                                                         const struct kw_planned_change *change)
{
    const struct kw_planned_change *any = NULL;
    const char *project = change->project == NULL ? "default" : change->project;
    for (size_t i = 0; i < plan->change_count && change->words->kind != KW_DOCUMENT_PROJECT; i++) {
        const struct kw_planned_change *other = &plan->changes[i];
        if (other->words->kind == KW_DOCUMENT_PROJECT && strcmp(other->name, project) == 0) {
            return other;
        }
        any = other->words->kind == KW_DOCUMENT_PROJECT && change->project == NULL ? other : any;
    }
    return any;
}

/* Whether the project that would be is known, and is the one that the change belongs to. */
static bool is_known(const struct kw_planned_change *change, const struct kw_planned_change *project)
{
    return project->foreseen != NULL && (change->project != NULL || strcmp(project->name, "default") == 0);
}

/* Whether there is such a policy, or will be by then. Where that may not be asked, there is. */
static enum kw_status find_policy(struct kw_planning *planning, const struct kw_planned_change *change,
                                  struct kw_bytes name, bool *has_out)
{
    struct kw_answer answer;
    struct kw_planned_change policy = {.words = &kw_document_words[KW_DOCUMENT_POLICY],
                                       .project = change->project,
                                       .name = kw_plan_text(planning, name)};
    if (policy.name == NULL) {
        return kw_plan_no_memory(planning);
    }
    *has_out = kw_plan_has(planning->plan, &policy);
    if (*has_out) {
        return KW_OK;
    }
    kw_answer_init(&answer);
    enum kw_status status =
        kw_plan_send(&policy, KW_GET, "", (struct kw_bytes){NULL, 0}, planning->target, &answer, planning->error);
    *has_out = answer.status != 404;
    kw_answer_deinit(&answer);
    return status;
}

/* Checks what hangs on the same file's change of a project against that project as it would be. */
static enum kw_status foresee(struct kw_planning *planning, const struct kw_planned_change *change,
                              const struct kw_document *project)
{
    struct kw_bytes policy;
    struct kw_buffer body;
    bool has_policy = true;
    kw_buffer_init(&body, KW_CALL_BODY_MAX);
    write_body(change, &body);
    enum kw_status status =
        kw_plan_foresee(change, project, kw_buffer_bytes(&body), &planning->plan->arena, &policy, planning->error);
    planning->plan->is_foreseen = status != KW_OK;
    kw_buffer_deinit(&body);
    if (status == KW_OK && policy.size > 0) {
        status = find_policy(planning, change, policy, &has_policy);
    }
    if (status == KW_OK && !has_policy) {
        planning->plan->is_foreseen = true;
        status = kw_document_refuse_policy(planning->error);
    }
    return status;
}

/* Whether a refusal of a rehearsal will be none by then, since what comes before in the same file mends it. */
static bool will_be_mended(struct kw_planning *planning, const struct kw_planned_change *change,
                           const struct kw_planned_change *project)
{
    enum { CODE, FIELD, COUNT };
    struct kw_member members[COUNT] = {[CODE] = {"code"}, [FIELD] = {"field"}};
    struct kw_member policy = {"policy"};
    bool has_policy = false;
    if (project != NULL && !is_known(change, project)) {
        return true; /* it is found when its turn comes */
    }
    if (kw_members_read(kw_buffer_bytes(&planning->answer->body), &planning->plan->arena, members, COUNT) != KW_OK) {
        return false;
    }
    bool is_field = kw_bytes_equal(members[CODE].text, KW_BYTES("INVALID_FIELD"));
    if (project != NULL) {
        return is_field || kw_bytes_equal(members[CODE].text, KW_BYTES("PROJECT_NOT_FOUND"));
    }
    /* The policy is looked at last, so all else is as it should be. */
    for (size_t i = 0; i < change->field_count && is_field; i++) {
        if (kw_bytes_equal(members[FIELD].text, KW_BYTES(KW_DOCUMENT_POLICY_FIELD)) &&
            kw_bytes_equal(change->fields[i].name, KW_BYTES("fields")) &&
            kw_members_read(change->fields[i].to, &planning->plan->arena, &policy, 1) == KW_OK) {
            return find_policy(planning, change, policy.text, &has_policy) == KW_OK && has_policy;
        }
    }
    return false;
}

static enum kw_status take_narrowed(struct kw_planning *planning, struct kw_planned_change *change)
{
    struct kw_arena *arena = &planning->plan->arena;
    struct kw_member member = {"narrowed"};
    enum kw_status status = kw_members_read(kw_buffer_bytes(&planning->answer->body), arena, &member, 1);
    if (status != KW_OK || member.type != KW_JSON_OBJECT_BEGIN) {
        return kw_fail(planning->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "the answer is not what Keyward answers");
    }
    return kw_arena_copy(arena, member.text, &change->narrowed) == KW_OK ? KW_OK : kw_plan_no_memory(planning);
}

enum kw_status kw_plan_rehearse(struct kw_planning *planning, struct kw_planned_change *change)
{
    const struct kw_planned_change *project = change_of_project(planning->plan, change);
    enum kw_status status =
        kw_plan_send_fields(change, "dryRun=true", planning->target, planning->answer, planning->error);
    if (status != KW_OK || planning->answer->status == 403) {
        return status;
    }
    bool is_good = planning->answer->status == 200;
    if (is_good && change->words->kind == KW_DOCUMENT_PROJECT) {
        change->foreseen = kw_plan_foresee_project(kw_buffer_bytes(&planning->answer->body), &planning->plan->arena);
    }
    if (project != NULL && is_known(change, project)) {
        status = foresee(planning, change, project->foreseen);
    }
    if (status == KW_OK && !is_good && !will_be_mended(planning, change, project)) {
        planning->error->code = NULL;
        return KW_E_DENIED;
    }
    bool narrows = change->words->kind == KW_DOCUMENT_POLICY && change->version != 0;
    return status == KW_OK && is_good && narrows ? take_narrowed(planning, change) : status;
}
