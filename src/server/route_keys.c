#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "core/record.h"
#include "core/transition.h"

/* --- answers --- */

static bool has_failed(struct kw_op *op)
{
    return kw__op_failed(op);
}

static enum kw_status write_record(struct kw_json_writer *writer, struct kw_bytes encoding, int64_t now_ms)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK) {
        kw_record_write_json(&record, now_ms, writer);
    }
    return status;
}

/* Writes one record and its version as ETag. */
static enum kw_status write_versioned(struct kw_call *call, struct kw_json_writer *writer, struct kw_bytes encoding,
                                      int64_t now_ms)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status != KW_OK) {
        return status;
    }
    kw__answer_header_format(call, "ETag", "\"%llu\"", (unsigned long long)record.version);
    if (call->status == 201) {
        char id[KW_ID_TEXT_SIZE];
        kw_id_format(&record.id, id);
        kw__answer_header_format(call, "Location", "/v1/keys/%.*s", KW_ID_TEXT_SIZE, id);
    }
    kw_record_write_json(&record, now_ms, writer);
    return KW_OK;
}

/* What was done stays done, though it can not be shown. */
static void finish_change(struct kw_request *request, enum kw_status status)
{
    if (status == KW_OK && kw_buffer_status(&request->call->answer) == KW_OK) {
        kw__finish(request);
        return;
    }
    kw__finish_code(request, KW_CODE_OUTCOME_UNCERTAIN,
                    "The change was made, but its result could not be shown: read the key before going on.");
}

static void answer_record(struct kw_op *op)
{
    if (has_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    enum kw_status status = write_versioned(request->call, &writer, kw_buffer_bytes(&op->result), op->now_ms);
    kw_op_deinit(op);
    if (request->route->changes) {
        finish_change(request, status);
    } else if (status != KW_OK) {
        kw__finish_code(request, KW_CODE_STORE_CORRUPT, "The record of this key is damaged.");
    } else {
        kw__finish_written(request);
    }
}

/* The one answer that a full key leaves by (DESIGN, invariant 1). */
static void answer_new_key(struct kw_op *op)
{
    if (has_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_call *call = request->call;
    call->answer.secret = true;
    kw__answer_header(call, "Cache-Control", KW_BYTES("no-store"));
    struct kw_json_writer writer = kw__answer_begin(call, 201);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "key");
    kw_json_string(&writer, kw_secret_expose(&op->secret));
    kw_json_name(&writer, "record");
    enum kw_status status = write_versioned(call, &writer, kw_buffer_bytes(&op->result), op->now_ms);
    if (status == KW_OK && op->kind == KW_OP_ROTATE) {
        kw_json_name(&writer, "previous");
        status = write_record(&writer, kw_buffer_bytes(&op->other), op->now_ms);
    }
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    finish_change(request, status);
}

static void answer_nothing(struct kw_op *op)
{
    if (has_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    kw_op_deinit(op);
    request->call->status = 204;
    kw__finish(request);
}

static void write_next_cursor(struct kw_json_writer *writer, const struct kw_op *op)
{
    char cursor[KW_ID_TEXT_SIZE];
    if (op->has_more) {
        kw_id_format(&op->cursor, cursor);
        kw_json_name(writer, "nextCursor");
        kw_json_string(writer, kw_bytes_of(cursor, sizeof cursor));
    }
}

static void answer_list(struct kw_op *op)
{
    if (has_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    struct kw_bytes rest = kw_buffer_bytes(&op->result);
    struct kw_bytes encoding;
    enum kw_status status = KW_OK;
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    while (status == KW_OK && kw_op_next(&rest, &encoding)) {
        status = write_record(&writer, encoding, op->now_ms);
    }
    kw_json_end_array(&writer);
    write_next_cursor(&writer, op);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    if (status != KW_OK) {
        kw__finish_code(request, KW_CODE_STORE_CORRUPT, "The store holds a damaged record.");
        return;
    }
    kw__finish_written(request);
}

/* --- requests --- */

/* An operation on the key that the path names; NULL when the call was answered instead. */
static struct kw_op *begin_on_key(struct kw_request *request, enum kw_op_kind kind, void (*done)(struct kw_op *op))
{
    struct kw_id id;
    uint64_t version;
    if (!kw_id_parse(request->parameter, &id)) {
        kw__finish_code(request, KW_CODE_KEY_NOT_FOUND, "There is no such key in this project.");
        return NULL;
    }
    struct kw_error error;
    if (kw__if_match(request->call, &version, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return NULL;
    }
    struct kw_op *op = kw__op_begin(request, kind, done);
    if (op != NULL) {
        op->id = id;
        op->if_version = version;
    }
    return op;
}

static void submit(struct kw_request *request, struct kw_op *op)
{
    kw_engine_submit(request->api->options.engine, op);
}

void kw__keys_create(struct kw_request *request)
{
    const struct kw_key_body *body = request->body;
    struct kw_op *op = kw__op_begin(request, KW_OP_CREATE, answer_new_key);
    if (op != NULL) {
        op->params = &body->params;
        op->template_name = body->template_name;
        op->preset = body->preset;
        submit(request, op);
    }
}

void kw__keys_get(struct kw_request *request)
{
    struct kw_op *op = begin_on_key(request, KW_OP_GET, answer_record);
    if (op != NULL) {
        submit(request, op);
    }
}

void kw__keys_update(struct kw_request *request)
{
    const struct kw_key_body *body = request->body;
    struct kw_op *op = begin_on_key(request, KW_OP_UPDATE, answer_record);
    if (op != NULL) {
        op->params = &body->params;
        submit(request, op);
    }
}

void kw__keys_rotate(struct kw_request *request)
{
    const struct kw_key_body *body = request->body;
    struct kw_op *op = begin_on_key(request, KW_OP_ROTATE, answer_new_key);
    if (op != NULL) {
        op->params = &body->params;
        op->grace_ms = body->grace_ms;
        submit(request, op);
    }
}

static void submit_with_reason(struct kw_request *request, enum kw_op_kind kind)
{
    const struct kw_reason_body *body = request->body;
    struct kw_op *op = begin_on_key(request, kind, answer_record);
    if (op != NULL) {
        op->reason = body->reason;
        submit(request, op);
    }
}

void kw__keys_revoke(struct kw_request *request)
{
    submit_with_reason(request, KW_OP_REVOKE);
}

void kw__keys_disable(struct kw_request *request)
{
    submit_with_reason(request, KW_OP_DISABLE);
}

void kw__keys_enable(struct kw_request *request)
{
    struct kw_op *op = begin_on_key(request, KW_OP_ENABLE, answer_record);
    if (op != NULL) {
        submit(request, op);
    }
}

void kw__keys_erase(struct kw_request *request)
{
    struct kw_op *op = begin_on_key(request, KW_OP_ERASE, answer_nothing);
    if (op != NULL) {
        submit(request, op);
    }
}

/* Tags are kept in lower case, so that is how they are looked for. */
static enum kw_status lower_tag(struct kw_arena *arena, struct kw_bytes tag, struct kw_bytes *tag_out,
                                struct kw_error *error)
{
    uint8_t *text = kw_arena_take(arena, tag.size);
    if (text == NULL) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    for (size_t i = 0; i < tag.size; i++) {
        text[i] = tag.data[i] >= 'A' && tag.data[i] <= 'Z' ? tag.data[i] | 0x20 : tag.data[i];
    }
    *tag_out = kw_bytes_of(text, tag.size);
    return KW_OK;
}

static enum kw_status make_list_query(const struct kw_request *request, struct kw_list_query *query,
                                      struct kw_error *error)
{
    const struct kw_list_params *params = request->query;
    *query = (struct kw_list_query){
        .owner = params->owner,
        .org_id = params->org_id,
        .env = params->env,
        .has_status = params->status.size > 0,
        .text = params->text,
        .limit = (size_t)params->limit,
    };
    if (query->has_status && !kw_key_status_of_name(params->status, &query->status)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "status", "is not a status");
    }
    if (params->env.size > 0 && !kw__has_environment(request, params->env)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    if (params->cursor.size > 0 && !kw_id_parse(params->cursor, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "cursor",
                         "is not one that this list gave: use nextCursor of the answer before, or start without");
    }
    return lower_tag(&request->call->arena, params->tag, &query->tag, error);
}

void kw__keys_list(struct kw_request *request)
{
    struct kw_error error;
    struct kw_list_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    if (make_list_query(request, query, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_LIST, answer_list);
    if (op != NULL) {
        op->query = query;
        submit(request, op);
    }
}
