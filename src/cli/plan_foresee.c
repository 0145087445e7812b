#include "cli/documents.h"

/* Everything but what an answer to a dry run says beside the document. */
static enum kw_status copy_member(void *context, struct kw_bytes name, struct kw_bytes raw)
{
    struct kw_json_writer *writer = context;
    if (!kw_bytes_equal(name, KW_BYTES("dryRun"))) {
        kw_json_name_bytes(writer, name);
        kw_json_raw(writer, raw);
    }
    return KW_OK;
}

struct kw_document *kw_plan_foresee_project(struct kw_bytes answer, struct kw_arena *arena)
{
    struct kw_document *document = NULL;
    struct kw_json_writer writer;
    struct kw_buffer json;
    kw_buffer_init(&json, KW_CALL_BODY_MAX);
    kw_json_writer_init(&writer, &json);
    kw_json_begin_object(&writer);
    enum kw_status status = kw_members_each(answer, arena, copy_member, &writer, NULL);
    kw_json_end_object(&writer);
    status = status == KW_OK ? kw_buffer_status(&json) : status;
    if (status == KW_OK) {
        status = kw_document_read(KW_DOCUMENT_PROJECT, (struct kw_bytes){NULL, 0}, kw_buffer_bytes(&json), &document);
    }
    kw_buffer_deinit(&json);
    return status == KW_OK ? document : NULL;
}

/* What a server of another version shows may be more than can be read here: then nothing is foreseen. */
enum kw_status kw_plan_foresee(const struct kw_planned_change *change, const struct kw_document *project,
                               struct kw_bytes body, struct kw_arena *arena, struct kw_bytes *policy_out,
                               struct kw_error *error_out)
{
    struct kw_document *before = NULL;
    struct kw_document *after = NULL;
    *policy_out = (struct kw_bytes){NULL, 0};
    if (change->there.size > 0 &&
        kw_document_read(change->words->kind, project->name, change->there, &before) != KW_OK) {
        return KW_OK;
    }
    const struct kw_document_change wanted = {
        .kind = change->words->kind, .before = before, .json = body, .project = project->name};
    enum kw_status status = kw_document_make(&wanted, &after, error_out);
    if (status == KW_OK) {
        status = kw_document_fits(&project->is.project, before, after, error_out);
    }
    if (status == KW_OK && kw_arena_copy(arena, kw_document_new_policy(before, after), policy_out) != KW_OK) {
        status = kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "there is no memory left for this file");
    }
    kw_document_release(before);
    kw_document_release(after);
    return status;
}
