#include "core/transition.h"
#include "engine/methods.h"
#include "server/request.h"

/* Peppers belong to no project: only the root key has to do with them. False when the call was answered instead. */
static bool is_allowed(struct kw_request *request)
{
    if (!request->is_root) {
        kw__finish_code(request, KW_CODE_FORBIDDEN, "Only the root key sees and changes peppers.");
    }
    return request->is_root;
}

static void write_fingerprint(struct kw_json_writer *writer, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE])
{
    char text[2 * KW_PEPPER_FINGERPRINT_SIZE];
    kw_hex_encode(kw_bytes_of(fingerprint, KW_PEPPER_FINGERPRINT_SIZE), text);
    kw_json_name(writer, "fingerprint");
    kw_json_string(writer, kw_bytes_of(text, sizeof text));
}

void kw__peppers_list(struct kw_request *request)
{
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    if (!is_allowed(request)) {
        return;
    }
    size_t count = kw_engine_peppers(request->api->options.engine, uses, KW_COUNT_OF(uses));
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        kw_json_begin_object(&writer);
        write_fingerprint(&writer, uses[i].fingerprint);
        kw_json_name(&writer, "current");
        kw_json_bool(&writer, uses[i].is_current);
        if (uses[i].is_counted) {
            kw_json_name(&writer, "keys");
            kw_json_i64(&writer, (int64_t)uses[i].keys);
            kw_json_name(&writer, "erased");
            kw_json_i64(&writer, (int64_t)uses[i].erased);
        }
        kw_json_end_object(&writer);
    }
    kw_json_end_array(&writer);
    kw_json_end_object(&writer);
    kw__finish_written(request);
}

static void answer_added(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 201);
    kw_json_begin_object(&writer);
    write_fingerprint(&writer, op->fingerprint);
    kw_json_name(&writer, "current");
    kw_json_bool(&writer, true);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_change(request, KW_OK);
}

void kw__peppers_add(struct kw_request *request)
{
    struct kw_op *op = is_allowed(request) ? kw__op_begin(request, KW_OP_PEPPER_ADD, answer_added) : NULL;
    if (op != NULL) {
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__peppers_retire(struct kw_request *request)
{
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    struct kw_error error;
    if (!is_allowed(request)) {
        return;
    }
    if (!kw_hex_decode(request->parameter, fingerprint, sizeof fingerprint)) {
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "fingerprint",
                        "must be the %zu hexadecimal digits that GET /v1/peppers shows", 2 * sizeof fingerprint);
        kw__finish_error(request, &error);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_PEPPER_RETIRE, kw__answer_nothing);
    if (op != NULL) {
        const struct kw_pepper_params *params = request->query;
        memcpy(op->fingerprint, fingerprint, sizeof fingerprint);
        op->forgets_erased = params->forgets_erased;
        kw_engine_submit(request->api->options.engine, op);
    }
}
