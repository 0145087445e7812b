#include "server/request.h"

#include "base/error.h"
#include "core/transition.h"

/* Projects, policies, templates, webhooks and channels are asked for and changed alike. */
static const struct {
    const char *address;
    enum kw_code not_found;
} kinds[] = {
    [KW_DOCUMENT_PROJECT] = {"/v1/projects", KW_CODE_PROJECT_NOT_FOUND},
    [KW_DOCUMENT_POLICY] = {"/v1/policies", KW_CODE_POLICY_NOT_FOUND},
    [KW_DOCUMENT_TEMPLATE] = {"/v1/templates", KW_CODE_TEMPLATE_NOT_FOUND},
    [KW_DOCUMENT_WEBHOOK] = {"/v1/webhooks", KW_CODE_WEBHOOK_NOT_FOUND},
    [KW_DOCUMENT_CHANNEL] = {"/v1/channels", KW_CODE_CHANNEL_NOT_FOUND},
};

static void finish_missing(struct kw_request *request, enum kw_document_kind kind)
{
    kw__finish_code(request, kinds[kind].not_found, kw_code_info(kinds[kind].not_found)->meaning);
}

/* A management key sees its own project; every other is as unknown as one that does not exist. */
static bool may_see(const struct kw_request *request, enum kw_document_kind kind, struct kw_bytes name)
{
    return kind != KW_DOCUMENT_PROJECT || request->is_root || kw_bytes_equal(name, request->project->name);
}

/* --- reading --- */

void kw__documents_get(struct kw_request *request, enum kw_document_kind kind)
{
    struct kw_call *call = request->call;
    kw_engine_read_begin();
    const struct kw_document *document = kw_catalog_find(kw_engine_catalog(request->api->options.engine), kind,
                                                         request->project->name, request->parameter);
    bool is_there = document != NULL && !document->is_deleted && may_see(request, kind, document->name);
    if (is_there) {
        struct kw_json_writer writer = kw__answer_begin(call, 200);
        kw__answer_header_format(call, "ETag", "\"%llu\"", (unsigned long long)document->version);
        kw_json_raw(&writer, document->json);
    }
    kw_engine_read_end();
    if (is_there) {
        kw__finish_written(request);
    } else {
        finish_missing(request, kind);
    }
}

/* Writes a page; the last one on it, where there are more behind it, else NULL. */
static const struct kw_document *write_items(const struct kw_request *request, enum kw_document_kind kind,
                                             struct kw_json_writer *writer)
{
    const struct kw_document_list_params *params = request->query;
    const struct kw_catalog *catalog = kw_engine_catalog(request->api->options.engine);
    struct kw_bytes project = request->project->name;
    const struct kw_document *last = NULL;
    const struct kw_document *document = kw_catalog_after(catalog, kind, project, params->cursor);
    for (int64_t count = 0; document != NULL && count < params->limit;) {
        bool is_shown = may_see(request, kind, document->name);
        if (is_shown) {
            kw_json_raw(writer, document->json);
            count++;
        }
        last = is_shown ? document : last; /* a cursor tells no name that is not shown */
        document = kw_catalog_after(catalog, kind, project, document->name);
    }
    bool is_all = document == NULL || (kind == KW_DOCUMENT_PROJECT && !request->is_root);
    return is_all ? NULL : last;
}

void kw__documents_list(struct kw_request *request, enum kw_document_kind kind)
{
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    kw_engine_read_begin();
    const struct kw_document *last = write_items(request, kind, &writer);
    kw_json_end_array(&writer);
    if (last != NULL) {
        kw_json_name(&writer, "nextCursor");
        kw_json_string(&writer, last->name);
    }
    kw_engine_read_end();
    kw_json_end_object(&writer);
    kw__finish_written(request);
}

/* --- changing --- */

struct kw_bytes kw__member_of(struct kw_bytes json, const char *name, struct kw_arena *arena)
{
    struct kw_json_reader reader;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    kw_json_reader_init(&reader, json, arena);
    while (token.type != KW_JSON_END && kw_json_next(&reader, &token, NULL) == KW_OK) {
        if (reader.depth == 1 && token.type == KW_JSON_NAME && kw_bytes_equal(token.text, kw_bytes_of_text(name))) {
            return kw_json_next(&reader, &token, NULL) == KW_OK ? token.text : (struct kw_bytes){NULL, 0};
        }
    }
    return (struct kw_bytes){NULL, 0};
}

/* The document; of a policy with the keys that it narrows, of a webhook with a new secret as more members. */
static void write_document(const struct kw_op *op, struct kw_buffer *answer)
{
    struct kw_bytes json = kw_buffer_bytes(&op->result);
    struct kw_bytes narrowed = kw_buffer_bytes(&op->other);
    kw_buffer_add(answer, kw_bytes_of(json.data, json.size - 1));
    if (op->document == KW_DOCUMENT_WEBHOOK && op->secret.size > 0) {
        answer->secret = true;
        kw_buffer_add_text(answer, ",\"secret\":\"");
        kw_buffer_add(answer, kw_secret_expose(&op->secret));
        kw_buffer_add_text(answer, "\",\"publicKey\":\"");
        kw_buffer_add(answer, narrowed);
        kw_buffer_add_byte(answer, '"');
    } else if (narrowed.size > 0) {
        kw_buffer_add_text(answer, ",\"narrowed\":");
        kw_buffer_add(answer, narrowed);
    }
    kw_buffer_add_text(answer, op->is_dry_run ? ",\"dryRun\":true}" : "}");
}

void kw__answer_document(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_call *call = request->call;
    bool is_new = op->kind == KW_OP_DOCUMENT_CREATE && !op->is_dry_run;
    (void)kw__answer_begin(call, is_new ? 201 : 200);
    struct kw_bytes json = kw_buffer_bytes(&op->result);
    struct kw_bytes name = kw__member_of(json, "name", &call->arena);
    uint64_t number;
    struct kw_bytes version = kw__member_of(json, "version", &call->arena);
    if (!op->is_dry_run) {
        kw__answer_header_format(call, "ETag", "\"%.*s\"", (int)version.size, (const char *)version.data);
    } else if (op->kind == KW_OP_DOCUMENT_UPDATE && kw_bytes_to_u64(version, &number)) {
        /* The one that it still has: with it in If-Match, what is done is what was shown. */
        kw__answer_header_format(call, "ETag", "\"%llu\"", (unsigned long long)number - 1);
    }
    if (is_new) {
        kw__answer_header_format(call, "Location", "%s/%.*s", kinds[op->document].address, (int)name.size,
                                 (const char *)name.data);
    }
    write_document(op, &call->answer);
    bool is_dry_run = op->is_dry_run;
    kw_op_deinit(op);
    if (kw_buffer_status(&call->answer) != KW_OK && is_dry_run) {
        kw__finish_code(request, KW_CODE_TOO_BUSY, "There was no memory to show what would be changed.");
        return;
    }
    if (kw_buffer_status(&call->answer) != KW_OK) {
        kw__finish_code(request, KW_CODE_OUTCOME_UNCERTAIN,
                        "The change was made, but its result could not be shown: read it before going on.");
        return;
    }
    kw__finish(request);
}

void kw__documents_change(struct kw_request *request, enum kw_op_kind what, enum kw_document_kind kind,
                          void (*look)(struct kw_request *request, struct kw_op *op))
{
    const struct kw_document_body *body = request->body;
    const struct kw_document_params *params = request->query;
    struct kw_error error;
    uint64_t version;
    if (what != KW_OP_DOCUMENT_CREATE && !may_see(request, kind, request->parameter)) {
        finish_missing(request, kind);
        return;
    }
    if (kind == KW_DOCUMENT_PROJECT && what != KW_OP_DOCUMENT_UPDATE && !request->is_root) {
        kw__finish_code(request, KW_CODE_FORBIDDEN, "Only the root key makes and deletes projects.");
        return;
    }
    if (kw__if_match(request->call, &version, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op =
        kw__op_begin(request, what, what == KW_OP_DOCUMENT_DELETE ? kw__answer_nothing : kw__answer_document);
    if (op == NULL) {
        return;
    }
    op->document = kind;
    op->name = request->parameter;
    op->if_version = version;
    op->is_dry_run = params != NULL && params->dry_run;
    op->json = body != NULL ? body->json : (struct kw_bytes){NULL, 0};
    if (look != NULL) {
        look(request, op);
    } else {
        kw_engine_submit(request->api->options.engine, op);
    }
}

#define HANDLERS(name, kind) \
    void kw__##name##_list(struct kw_request *request) \
    { \
        kw__documents_list(request, kind); \
    } \
    void kw__##name##_create(struct kw_request *request) \
    { \
        kw__documents_change(request, KW_OP_DOCUMENT_CREATE, kind, NULL); \
    } \
    void kw__##name##_get(struct kw_request *request) \
    { \
        kw__documents_get(request, kind); \
    } \
    void kw__##name##_update(struct kw_request *request) \
    { \
        kw__documents_change(request, KW_OP_DOCUMENT_UPDATE, kind, NULL); \
    } \
    void kw__##name##_delete(struct kw_request *request) \
    { \
        kw__documents_change(request, KW_OP_DOCUMENT_DELETE, kind, NULL); \
    }

HANDLERS(projects, KW_DOCUMENT_PROJECT)
HANDLERS(policies, KW_DOCUMENT_POLICY)
HANDLERS(templates, KW_DOCUMENT_TEMPLATE)
