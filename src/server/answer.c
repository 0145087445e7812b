#include "server/request.h"

#include "base/error.h"
#include "core/transition.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define FORMATTED_MAX 256

void kw__answer_header(struct kw_call *call, const char *name, struct kw_bytes value)
{
    assert(call->answer_header_count < KW_CALL_ANSWER_HEADERS_MAX);
    call->answer_headers[call->answer_header_count++] = (struct kw_answer_header){name, value};
}

void kw__answer_header_format(struct kw_call *call, const char *name, const char *format, ...)
{
    char text[FORMATTED_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct kw_bytes value;
    if (size < 0 || (size_t)size >= sizeof text ||
        kw_arena_copy(&call->arena, kw_bytes_of(text, (size_t)size), &value) != KW_OK) {
        return;
    }
    kw__answer_header(call, name, value);
}

static bool is_visible(uint8_t byte, const char *also)
{
    return byte > 0x20 && byte < 0x7f && byte != '%' && (*also == '\0' || strchr(also, byte) == NULL);
}

struct kw_bytes kw__visible(struct kw_arena *arena, struct kw_bytes bytes, const char *also)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0;
    while (plain < bytes.size && is_visible(bytes.data[plain], also)) {
        plain++;
    }
    uint8_t *out = kw_arena_take(arena, plain + (bytes.size - plain) * 3);
    if (out == NULL) {
        return (struct kw_bytes){NULL, 0};
    }
    size_t size = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        if (is_visible(byte, also)) {
            out[size++] = byte;
            continue;
        }
        out[size++] = '%';
        out[size++] = (uint8_t)digits[byte >> 4];
        out[size++] = (uint8_t)digits[byte & 15];
    }
    return kw_bytes_of(out, size);
}

struct kw_json_writer kw__answer_begin(struct kw_call *call, uint16_t status)
{
    call->status = status;
    call->content_type = "application/json";
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, &call->answer);
    return writer;
}

void kw__finish(struct kw_request *request)
{
    struct kw_call *call = request->call;
    bool is_refused = call->status == 401 || call->status == 403;
    if (is_refused && request->route->scope != NULL) { /* of the management interface */
        kw__note_attempt(request);
    }
    kw_counters_answered(request->api->counters, request->route->number, call->status);
    call->done(call);
}

void kw__finish_written(struct kw_request *request)
{
    struct kw_call *call = request->call;
    enum kw_status status = kw_buffer_status(&call->answer);
    if (status == KW_E_LIMIT) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_BODY_TOO_LARGE, NULL, "The answer would be too large: ask for fewer at once.");
        kw_api_problem(call, KW_CODE_BODY_TOO_LARGE, &error);
    } else if (status != KW_OK) {
        kw_api_problem(call, KW_CODE_TOO_BUSY, NULL);
    }
    kw__finish(request);
}

void kw__log_failure(const struct kw_request *request, const struct kw_error *error)
{
    if (request->api->options.log == NULL) {
        return;
    }
    struct kw_log_line line;
    kw_log_begin(&line, request->api->options.log, KW_LOG_ERROR, "request_failed");
    kw_log_text(&line, "requestId", request->call->request_id);
    kw_log_text(&line, "route", request->route->name);
    kw_log_error(&line, error);
    kw_log_end(&line);
}

/* For errors that come without a code of the table. */
static enum kw_code code_of_status(enum kw_status status)
{
    switch (status) {
    case KW_E_INVALID:
        return KW_CODE_INVALID_REQUEST;
    case KW_E_NOT_FOUND:
        return KW_CODE_KEY_NOT_FOUND;
    case KW_E_CONFLICT:
        return KW_CODE_VERSION_CONFLICT;
    case KW_E_DENIED:
        return KW_CODE_FORBIDDEN;
    case KW_E_LIMIT:
        return KW_CODE_BODY_TOO_LARGE;
    case KW_E_BUSY:
    case KW_E_MEMORY:
        return KW_CODE_TOO_BUSY;
    case KW_E_UNAVAILABLE:
        return KW_CODE_STORE_UNAVAILABLE;
    case KW_E_FULL:
        return KW_CODE_STORE_FULL;
    case KW_E_UNCERTAIN:
        return KW_CODE_OUTCOME_UNCERTAIN;
    case KW_E_CORRUPT:
        return KW_CODE_STORE_CORRUPT;
    case KW_E_NEWER:
        return KW_CODE_STORE_NEWER;
    default:
        return KW_CODE_INTERNAL;
    }
}

enum kw_code kw__code_of(const struct kw_error *error)
{
    enum kw_code code = kw_code_of_name(error->code);
    return code == KW_CODE_NONE ? code_of_status(error->status) : code;
}

void kw__finish_error(struct kw_request *request, const struct kw_error *error)
{
    enum kw_code code = kw__code_of(error);
    if (kw_code_info(code)->http_status >= 500) {
        kw__log_failure(request, error);
    }
    if (code == KW_CODE_TOO_BUSY) {
        kw__answer_header(request->call, "Retry-After", KW_BYTES("1"));
    }
    if (request->on_problem != NULL) {
        request->on_problem(request, code);
    }
    /* Unknown, erased or another project's: one answer, word for word. */
    kw_api_problem(request->call, code, code == KW_CODE_KEY_NOT_FOUND && error->field[0] == '\0' ? NULL : error);
    kw__finish(request);
}

void kw__finish_code(struct kw_request *request, enum kw_code code, const char *message)
{
    struct kw_error error;
    (void)kw_refuse(&error, code, NULL, "%s", message);
    kw__finish_error(request, &error);
}

void kw__finish_no_memory(struct kw_request *request)
{
    kw__finish_code(request, KW_CODE_TOO_BUSY, "There is no memory left for this request: try again later.");
}

struct kw_op *kw__op_begin(struct kw_request *request, enum kw_op_kind kind, void (*done)(struct kw_op *op))
{
    struct kw_op *op = kw_arena_take(&request->call->arena, sizeof *op);
    if (op == NULL) {
        kw__finish_no_memory(request);
        return NULL;
    }
    kw_op_init(op, kind, request->project->number);
    op->done = done;
    op->context = request;
    op->actor = request->actor;
    op->circumstances = request->circumstances;
    op->authority = request->authority;
    request->op = op;
    return op;
}

bool kw__op_failed(struct kw_op *op)
{
    if (op->status == KW_OK) {
        return false;
    }
    struct kw_error error = op->error;
    struct kw_request *request = kw__op_request(op);
    kw_op_deinit(op);
    kw__finish_error(request, &error);
    return true;
}

void kw__answer_result(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_raw(&writer, kw_buffer_bytes(&op->result));
    kw_op_deinit(op);
    kw__finish_written(request);
}

void kw__answer_nothing(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    kw_op_deinit(op);
    request->call->status = 204;
    kw__finish(request);
}

static bool parse_if_match(struct kw_bytes header, uint64_t *version_out)
{
    *version_out = 0;
    if (header.size == 0 || kw_bytes_equal(header, KW_BYTES("*"))) {
        return true;
    }
    struct kw_bytes tag = kw_bytes_starts_with(header, KW_BYTES("W/")) ? kw_bytes_skip(header, 2) : header;
    if (tag.size < 3 || tag.data[0] != '"' || tag.data[tag.size - 1] != '"') {
        return false;
    }
    return kw_bytes_to_u64(kw_bytes_of(tag.data + 1, tag.size - 2), version_out) && *version_out != 0;
}

enum kw_status kw__if_match(const struct kw_call *call, uint64_t *version_out, struct kw_error *error_out)
{
    return parse_if_match(call->headers[KW_HEADER_IF_MATCH], version_out)
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "If-Match",
                           "must be one version as ETag gives it, such as \"3\" with its quotes");
}
