#include "base/bytes.h"
#include "engine/library.h"

void kw_held_document_clear(struct kw_held_document *held)
{
    if (held != NULL) {
        kw_free(held->memory);
        *held = (struct kw_held_document){.memory = NULL};
    }
}

enum kw_status kw__hold_document(struct kw_bytes json, struct kw_bytes narrowed, struct kw_held_document *held_out)
{
    uint8_t *memory = kw_alloc(1, json.size + narrowed.size);
    if (memory == NULL) {
        return KW_E_MEMORY;
    }
    memcpy(memory, json.data, json.size);
    if (narrowed.size > 0) {
        memcpy(memory + json.size, narrowed.data, narrowed.size);
    }
    *held_out = (struct kw_held_document){kw_bytes_of(memory, json.size),
                                          kw_bytes_of(memory + json.size, narrowed.size), memory};
    return KW_OK;
}

static enum kw_status check(const struct kw_document_request *request, struct kw_error *error_out)
{
    if (request->kind > KW_DOCUMENT_CHANNEL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "kind", "must be one of enum kw_document_kind");
    }
    if (request->actor.size > KW_ACTOR_MAX || !kw_utf8_valid(request->actor) || kw_bytes_has_control(request->actor)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "actor",
                         "must be UTF-8 text without control characters, at most %d bytes", KW_ACTOR_MAX);
    }
    return KW_OK;
}

static enum kw_status change(struct keyward *keyward, const struct kw_document_request *request, enum kw_op_kind kind,
                             struct kw_held_document *held_out, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status = check(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (project == KW_PROJECT_NONE) {
        return kw_refuse(error_out, KW_CODE_PROJECT_NOT_FOUND, "project", "there is no such project");
    }
    struct kw_op op;
    kw_op_init(&op, kind, project);
    op.document = request->kind;
    op.name = request->name;
    op.json = request->json;
    op.actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op.if_version = request->if_version;
    op.is_dry_run = request->is_dry_run;
    status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    if (status == KW_OK && held_out != NULL &&
        kw__hold_document(kw_buffer_bytes(&op.result), kw_buffer_bytes(&op.other), held_out) != KW_OK) {
        status = kw_refuse(error_out, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                           "the change was made, but there was no memory to hand out its result: read the document");
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_document_create(struct keyward *keyward, const struct kw_document_request *request,
                                  struct kw_held_document *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_DOCUMENT_CREATE, held_out, error_out);
}

enum kw_status kw_document_update(struct keyward *keyward, const struct kw_document_request *request,
                                  struct kw_held_document *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_DOCUMENT_UPDATE, held_out, error_out);
}

enum kw_status kw_document_delete(struct keyward *keyward, const struct kw_document_request *request,
                                  struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_DOCUMENT_DELETE, NULL, error_out);
}

static enum kw_status read(struct keyward *keyward, const struct kw_document_request *request, bool wants_next,
                           struct kw_held_document *held_out, struct kw_error *error_out)
{
    static const enum kw_code codes[] = {
        [KW_DOCUMENT_PROJECT] = KW_CODE_PROJECT_NOT_FOUND,   [KW_DOCUMENT_POLICY] = KW_CODE_POLICY_NOT_FOUND,
        [KW_DOCUMENT_TEMPLATE] = KW_CODE_TEMPLATE_NOT_FOUND, [KW_DOCUMENT_WEBHOOK] = KW_CODE_WEBHOOK_NOT_FOUND,
        [KW_DOCUMENT_CHANNEL] = KW_CODE_CHANNEL_NOT_FOUND,
    };
    enum kw_status status = check(request, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_bytes project = request->project.size == 0 ? KW_BYTES("default") : request->project;
    kw_engine_read_begin();
    const struct kw_catalog *catalog = kw_engine_catalog(keyward->engine);
    const struct kw_document *document = wants_next ? kw_catalog_after(catalog, request->kind, project, request->name)
                                                    : kw_catalog_find(catalog, request->kind, project, request->name);
    bool is_there = document != NULL && !document->is_deleted;
    status =
        is_there && held_out != NULL ? kw__hold_document(document->json, (struct kw_bytes){NULL, 0}, held_out) : KW_OK;
    kw_engine_read_end();
    if (!is_there) {
        return kw_refuse(error_out, codes[request->kind], NULL, "there is no such %s",
                         kw_document_kind_name(request->kind));
    }
    return status == KW_OK ? KW_OK : kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this");
}

enum kw_status kw_document_get(struct keyward *keyward, const struct kw_document_request *request,
                               struct kw_held_document *held_out, struct kw_error *error_out)
{
    return read(keyward, request, false, held_out, error_out);
}

enum kw_status kw_document_after(struct keyward *keyward, const struct kw_document_request *request,
                                 struct kw_held_document *held_out, struct kw_error *error_out)
{
    return read(keyward, request, true, held_out, error_out);
}
