#include "engine/import.h"
#include "engine/library.h"

#include "base/bytes.h"

enum kw_status kw_import_many(struct keyward *keyward, const struct kw_import_request *request, kw_import_sink *sink,
                              void *context, struct kw_import_counts *counts_out, struct kw_error *error_out)
{
    *counts_out = (struct kw_import_counts){.created = 0};
    uint16_t project = kw__project_of(keyward, request->project);
    if (project == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    enum kw_status status = kw__check_texts(request->actor, (struct kw_bytes){NULL, 0}, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_import_job job = {.text = request->text, .options = &request->options, .sink = sink, .context = context};
    struct kw_op op;
    kw_op_init(&op, KW_OP_IMPORT, project);
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op.import = &job;
    status = kw_engine_run(keyward->engine, &op);
    *counts_out = job.counts;
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}
