#include "cli/plan.h"

#include <stdio.h>

#define QUERY_SIZE 128
#define PAGE "limit=200"

static enum kw_status count_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    size_t *count = context;
    (void)item;
    (void)raw;
    (*count)++;
    return KW_OK;
}

/* One page of documents of the change's kind and project; `query` is where the next one begins, empty behind the last.
 * Of a project that is not there yet, or that may not be read, there are none. */
static enum kw_status count_page(struct kw_planning *planning, const struct kw_planned_change *change,
                                 char query[QUERY_SIZE], size_t *count)
{
    struct kw_member members[] = {{"items"}, {"nextCursor"}};
    struct kw_arena arena;
    struct kw_request request = {
        .method = KW_GET, .path = change->words->path, .query = kw_bytes_of_text(query), .project = change->project};
    struct kw_answer answer;
    kw_answer_init(&answer);
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = planning->target->ops->send(planning->target, &request, &answer, planning->error);
    bool is_there = status == KW_OK && answer.status == 200;
    query[0] = '\0';
    if (is_there) {
        status = kw_members_read(kw_buffer_bytes(&answer.body), &arena, members, KW_COUNT_OF(members));
        status = status == KW_OK ? kw_items_each(members[0].text, &arena, count_item, count) : status;
        bool has_more = status == KW_OK && members[1].type == KW_JSON_STRING;
        if (status != KW_OK || (has_more && !kw_document_name_valid(change->words->kind, members[1].text))) {
            status = kw_fail(planning->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                             "the answer is not what Keyward answers: is the server of another version?");
        } else if (has_more) {
            snprintf(query, QUERY_SIZE, PAGE "&cursor=%.*s", (int)members[1].text.size,
                     (const char *)members[1].text.data);
        }
    }
    kw_arena_reset(&arena);
    kw_answer_deinit(&answer);
    return status;
}

static enum kw_status count_there(struct kw_planning *planning, const struct kw_planned_change *change,
                                  size_t *count_out)
{
    char query[QUERY_SIZE] = PAGE;
    size_t count = 0;
    enum kw_status status = KW_OK;
    while (status == KW_OK && query[0] != '\0' && count < KW_DOCUMENT_COUNT_MAX) {
        status = count_page(planning, change, query, &count);
    }
    *count_out = count;
    return status;
}

static bool is_beside(const struct kw_planned_change *one, const struct kw_planned_change *other)
{
    bool has_projects = one->project != NULL && other->project != NULL;
    return one->words == other->words && one->version == 0 && other->version == 0 &&
           (has_projects ? strcmp(one->project, other->project) == 0 : one->project == other->project);
}

enum kw_status kw_plan_find_room(struct kw_planning *planning, const struct kw_planned_change *change)
{
    struct kw_plan *plan = planning->plan;
    struct kw_planned_change *first = NULL;
    size_t made = 0;
    for (size_t i = 0; i < plan->change_count; i++) {
        if (is_beside(&plan->changes[i], change)) {
            first = first == NULL ? &plan->changes[i] : first;
            made++;
        }
    }
    if (first == NULL) {
        return KW_OK; /* for one there is room: the other side has said so */
    }
    if (made == 1) {
        enum kw_status status = count_there(planning, first, &first->there_count);
        if (status != KW_OK) {
            return status;
        }
    }
    if (first->there_count + made < KW_DOCUMENT_COUNT_MAX) {
        return KW_OK;
    }
    plan->is_foreseen = true;
    return kw_refuse(planning->error, KW_CODE_LIMIT_REACHED, NULL,
                     "there may be %d of this kind, and with those that this file makes before it there are",
                     KW_DOCUMENT_COUNT_MAX);
}
