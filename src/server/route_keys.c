#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "core/record.h"
#include "core/transition.h"

/* --- answers --- */

static void write_under(struct kw_json_writer *writer, const struct kw_record *record, const struct kw_above *above,
                        int64_t now_ms)
{
    if (above->has_word) {
        kw_record_write_json_under(record, above->status, now_ms, writer);
    } else {
        kw_record_write_json(record, now_ms, writer);
    }
}

enum kw_status kw__write_listed(struct kw_json_writer *writer, struct kw_bytes encoding, const struct kw_listed *listed,
                                int64_t now_ms)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK) {
        kw_last_use_show(&listed->use, &record);
        write_under(writer, &record, &listed->above, now_ms);
    }
    return status;
}

static enum kw_status write_encoded(struct kw_json_writer *writer, struct kw_bytes encoding,
                                    const struct kw_above *above, int64_t now_ms)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK) {
        write_under(writer, &record, above, now_ms);
    }
    return status;
}

enum kw_status kw__write_shown(struct kw_json_writer *writer, const struct kw_op *op, struct kw_bytes encoding)
{
    return write_encoded(writer, encoding, &op->above, op->now_ms);
}

/* Writes one record and its version as ETag. */
static enum kw_status write_versioned(struct kw_call *call, struct kw_json_writer *writer, const struct kw_op *op)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(kw_buffer_bytes(&op->result), &record);
    if (status != KW_OK) {
        return status;
    }
    kw__answer_header_format(call, "ETag", "\"%llu\"", (unsigned long long)record.version);
    if (call->status == 201) {
        char id[KW_ID_TEXT_SIZE];
        kw_id_format(&record.id, id);
        kw__answer_header_format(call, "Location", "/v1/keys/%.*s", KW_ID_TEXT_SIZE, id);
    }
    kw_last_use_show(&op->last_use, &record);
    write_under(writer, &record, &op->above, op->now_ms);
    return KW_OK;
}

void kw__finish_change(struct kw_request *request, enum kw_status status)
{
    if (status == KW_OK && kw_buffer_status(&request->call->answer) == KW_OK) {
        kw__finish(request);
        return;
    }
    kw__finish_code(request, KW_CODE_OUTCOME_UNCERTAIN,
                    "The change was made, but its result could not be shown: read the key before going on.");
}

void kw__answer_record(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    enum kw_status status = write_versioned(request->call, &writer, op);
    kw_op_deinit(op);
    if (request->route->changes) {
        kw__finish_change(request, status);
    } else if (status != KW_OK) {
        kw__finish_code(request, KW_CODE_STORE_CORRUPT, "The record of this key is damaged.");
    } else {
        kw__finish_written(request);
    }
}

/* The records of an answer to a creation or rotation. */
static enum kw_status write_made(struct kw_call *call, struct kw_json_writer *writer, const struct kw_op *op)
{
    kw_json_name(writer, "record");
    enum kw_status status = write_versioned(call, writer, op);
    if (status == KW_OK && op->kind == KW_OP_ROTATE && op->other.size > 0) {
        kw_json_name(writer, "previous");
        status = write_encoded(writer, kw_buffer_bytes(&op->other), &op->above_old, op->now_ms);
    }
    return status;
}

static void answer_shown_already(struct kw_op *op)
{
    const struct kw_code_info *info = kw_code_info(KW_CODE_SECRET_ALREADY_SHOWN);
    struct kw_request *request = kw__op_request(op);
    request->call->code = KW_CODE_SECRET_ALREADY_SHOWN;
    struct kw_json_writer writer = kw__answer_begin(request->call, info->http_status);
    kw_json_begin_object(&writer);
    enum kw_status status = write_made(request->call, &writer, op);
    kw_json_name(&writer, "code");
    kw_json_text(&writer, info->name);
    kw_json_name(&writer, "message");
    kw_json_text(&writer, info->meaning);
    kw_json_name(&writer, "advice");
    kw_json_text(&writer, info->advice);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_change(request, status);
}

/* The one answer that a full key leaves by (DESIGN, invariant 1). */
static void answer_new_key(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    if (op->is_replay) {
        answer_shown_already(op);
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
    enum kw_status status = write_made(call, &writer, op);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_change(request, status);
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

/* Names the request by caller, project and route. Someone may send a key for a name: nothing of it stays. */
static enum kw_status name_once(const struct kw_request *request, struct kw_once *once, struct kw_error *error)
{
    const struct kw_call *call = request->call;
    const struct kw_once_place place = {
        .caller = request->actor, .project = request->project->name, .route = kw_bytes_of_text(request->route->name)};
    const struct kw_bytes asked[] = {request->parameter, call->body};
    uint8_t memory[KW_ONCE_KEY_MAX];
    struct kw_bytes key;
    enum kw_status status =
        kw_once_key_read(call->headers[KW_HEADER_IDEMPOTENCY_KEY], "Idempotency-Key", memory, &key, error);
    if (status == KW_OK) {
        kw_once_make(&place, key, asked, KW_COUNT_OF(asked), once);
    }
    kw_wipe(memory, sizeof memory);
    return status;
}

void kw__submit_once(struct kw_request *request, struct kw_op *op)
{
    if (request->call->headers[KW_HEADER_IDEMPOTENCY_KEY].data == NULL) {
        submit(request, op);
        return;
    }
    struct kw_error error;
    struct kw_once *once = kw_arena_take(&request->call->arena, sizeof *once);
    if (once == NULL) {
        kw_op_deinit(op);
        kw__finish_no_memory(request);
        return;
    }
    if (name_once(request, once, &error) != KW_OK) {
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    op->once = once;
    submit(request, op);
}

void kw__keys_create(struct kw_request *request)
{
    const struct kw_key_body *body = request->body;
    struct kw_op *op = kw__op_begin(request, KW_OP_CREATE, answer_new_key);
    if (op != NULL) {
        op->params = &body->params;
        op->template_name = body->template_name;
        op->preset = body->preset;
        kw__submit_once(request, op);
    }
}

void kw__keys_get(struct kw_request *request)
{
    struct kw_op *op = begin_on_key(request, KW_OP_GET, kw__answer_record);
    if (op != NULL) {
        submit(request, op);
    }
}

void kw__keys_update(struct kw_request *request)
{
    const struct kw_key_body *body = request->body;
    struct kw_op *op = begin_on_key(request, KW_OP_UPDATE, kw__answer_record);
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
        op->ends_grace = body->ends_grace;
        kw__submit_once(request, op);
    }
}

static void submit_stop(struct kw_request *request, enum kw_op_kind kind)
{
    const struct kw_stop_body *body = request->body;
    struct kw_op *op = begin_on_key(request, kind, kw__answer_record);
    if (op != NULL) {
        op->reason = body->reason;
        op->spares_children = (body->given & KW_GIVEN_CASCADE) != 0 && !body->cascade;
        submit(request, op);
    }
}

void kw__keys_revoke(struct kw_request *request)
{
    submit_stop(request, KW_OP_REVOKE);
}

void kw__keys_disable(struct kw_request *request)
{
    submit_stop(request, KW_OP_DISABLE);
}

void kw__keys_enable(struct kw_request *request)
{
    const struct kw_stop_body *body = request->body;
    struct kw_op *op = begin_on_key(request, KW_OP_ENABLE, kw__answer_record);
    if (op != NULL) {
        op->reason = body->reason;
        submit(request, op);
    }
}

static void erased(struct kw_op *op)
{
    kw_record_cache_forget(kw__op_request(op)->api->record_cache);
    kw__answer_nothing(op);
}

void kw__keys_erase(struct kw_request *request)
{
    struct kw_op *op = begin_on_key(request, KW_OP_ERASE, erased);
    if (op != NULL) {
        submit(request, op);
    }
}
