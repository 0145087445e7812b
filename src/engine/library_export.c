#include "base/bytes.h"
#include "engine/export.h"
#include "engine/library.h"

static enum kw_status check(const struct kw_export_request *request, struct kw_error *error_out)
{
    if (request->format != KW_EXPORT_NDJSON && request->format != KW_EXPORT_JSON) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "format", "must be one of enum kw_export_format");
    }
    if (request->tag_count > KW_TAG_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "tags", "must be at most %d", KW_TAG_COUNT_MAX);
    }
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
    for (size_t i = 0; i < request->tag_count; i++) {
        if (request->tags[i].size == 0 || request->tags[i].size > KW_TAG_MAX || !kw_utf8_valid(request->tags[i])) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "tags", "each must be UTF-8 text of 1 to %d bytes",
                             KW_TAG_MAX);
        }
    }
    return kw__check_texts(request->actor, (struct kw_bytes){NULL, 0}, error_out);
}

/* Piece after piece. On failure `op->error` says why, unless the sink failed, which knows itself. */
static enum kw_status run(struct keyward *keyward, struct kw_op *op,
                          enum kw_status (*sink)(void *context, struct kw_bytes piece), void *context)
{
    enum kw_status status = KW_OK;
    while (status == KW_OK && op->export->stage != KW_EXPORT_ENDED) {
        kw_buffer_reset(&op->result);
        status = kw_engine_run(keyward->engine, op);
        if (status == KW_OK && op->result.size > 0) {
            status = sink(context, kw_buffer_bytes(&op->result));
        }
    }
    return status;
}

enum kw_status kw_export(struct keyward *keyward, const struct kw_export_request *request,
                         enum kw_status (*sink)(void *context, struct kw_bytes piece), void *context,
                         uint64_t *count_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status = project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_list_query query = {.owner = request->owner,
                                  .org_id = request->org_id,
                                  .env = request->env,
                                  .tags = request->tags,
                                  .tag_count = request->tag_count,
                                  .all_tags = request->all_tags};
    struct kw_export export = {.query = &query, .format = request->format};
    struct kw_op op;
    kw_op_init(&op, KW_OP_EXPORT, project);
    op.export = &export;
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    status = run(keyward, &op, sink, context);
    if (op.status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status != KW_OK && export.stage != KW_EXPORT_BEGINS && export.stage != KW_EXPORT_ENDED) {
        export.gives_up = true;
        (void)kw_engine_run(keyward->engine, &op);
    }
    if (status == KW_OK && count_out != NULL) {
        *count_out = export.count;
    }
    kw_op_deinit(&op);
    return status;
}
