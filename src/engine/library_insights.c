#include "base/bytes.h"
#include "engine/insights.h"
#include "engine/library.h"

#define SHOWN_DEFAULT 20

_Static_assert(KW_INSIGHTS_MAX == KW_ATTENTION_MAX, "what the library offers is what there is");

static enum kw_status check(const struct kw_insights_request *request, struct kw_error *error_out)
{
    const struct {
        const char *field;
        struct kw_bytes text;
        size_t size_max;
    } texts[] = {{"owner", request->owner, KW_OWNER_MAX},
                 {"org_id", request->org_id, KW_OWNER_MAX},
                 {"env", request->env, KW_ENV_MAX}};
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        if (texts[i].text.size > texts[i].size_max || !kw_utf8_valid(texts[i].text)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, texts[i].field,
                             "must be UTF-8 text of at most %zu bytes", texts[i].size_max);
        }
    }
    if (request->tag_count > KW_TAG_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "tags", "must be at most %d", KW_TAG_COUNT_MAX);
    }
    for (size_t i = 0; i < request->tag_count; i++) {
        if (request->tags[i].size == 0 || request->tags[i].size > KW_TAG_MAX || !kw_utf8_valid(request->tags[i])) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "tags", "each must be UTF-8 text of 1 to %d bytes",
                             KW_TAG_MAX);
        }
    }
    if (request->limit > KW_INSIGHTS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "limit", "must be 1 to %d, or 0 for %d", KW_INSIGHTS_MAX,
                         SHOWN_DEFAULT);
    }
    return KW_OK;
}

static enum kw_status run(struct keyward *keyward, const struct kw_insights_request *request, struct kw_op *op)
{
    struct kw_list_query query = {.owner = request->owner,
                                  .org_id = request->org_id,
                                  .env = request->env,
                                  .tags = request->tags,
                                  .tag_count = request->tag_count,
                                  .all_tags = request->all_tags,
                                  .limit = request->limit == 0 ? SHOWN_DEFAULT : request->limit};
    struct kw_insights insights = {.query = &query};
    enum kw_status status = KW_OK;
    if (request->id != NULL) {
        op->id = *request->id;
        return kw_engine_run(keyward->engine, op);
    }
    op->insights = &insights;
    while (status == KW_OK && !insights.has_ended) {
        status = kw_engine_run(keyward->engine, op);
    }
    op->insights = NULL;
    return status;
}

enum kw_status kw_insights(struct keyward *keyward, const struct kw_insights_request *request,
                           struct kw_held_document *held_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status = project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_op op;
    kw_op_init(&op, request->id != NULL ? KW_OP_INSIGHT : KW_OP_INSIGHTS, project);
    status = run(keyward, request, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status == KW_OK &&
        kw__hold_document(kw_buffer_bytes(&op.result), (struct kw_bytes){NULL, 0}, held_out) != KW_OK) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
    }
    kw_op_deinit(&op);
    return status;
}
