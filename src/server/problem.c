#include "base/json.h"
#include "server/request.h"

#define TEXT_MAX (KW_ERROR_FIELD_MAX + KW_ERROR_TEXT_MAX + 2)

/* "name: is too long: at most 128 bytes" */
static void write_detail(struct kw_json_writer *writer, const struct kw_code_info *info, const struct kw_error *error)
{
    uint8_t memory[TEXT_MAX];
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    if (error != NULL && error->field[0] != '\0') {
        kw_buffer_add_text(&text, error->field);
        kw_buffer_add_text(&text, ": ");
    }
    kw_buffer_add_text(&text, error != NULL && error->message[0] != '\0' ? error->message : info->meaning);
    kw_json_name(writer, "detail");
    kw_json_string(writer, kw_buffer_bytes(&text));
}

static void write_type(struct kw_json_writer *writer, const struct kw_code_info *info)
{
    uint8_t memory[KW_PROBLEM_TYPE_SIZE];
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    kw_buffer_add_text(&text, KW_PROBLEM_TYPE_START);
    kw_buffer_add_text(&text, info->name);
    kw_json_name(writer, "type");
    kw_json_string(writer, kw_buffer_bytes(&text));
}

static void write_code(struct kw_json_writer *writer, const struct kw_code_info *info, const struct kw_error *error)
{
    kw_json_name(writer, "code");
    kw_json_text(writer, info->name);
    if (error != NULL && error->field[0] != '\0') {
        kw_json_name(writer, "field");
        kw_json_text(writer, error->field);
    }
}

void kw__write_refusal(struct kw_json_writer *writer, enum kw_code code, const struct kw_error *error)
{
    const struct kw_code_info *info = kw_code_info(code);
    kw_json_name(writer, "status");
    kw_json_i64(writer, info->http_status);
    write_code(writer, info, error);
    write_detail(writer, info, error);
}

static void write_problem(struct kw_call *call, const struct kw_code_info *info, const struct kw_error *error)
{
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, &call->answer);
    kw_json_begin_object(&writer);
    write_type(&writer, info);
    kw_json_name(&writer, "title");
    kw_json_text(&writer, info->meaning);
    kw_json_name(&writer, "status");
    kw_json_i64(&writer, info->http_status);
    write_detail(&writer, info, error);
    write_code(&writer, info, error);
    if (call->request_id[0] != '\0') {
        kw_json_name(&writer, "requestId");
        kw_json_text(&writer, call->request_id);
    }
    kw_json_name(&writer, "advice");
    kw_json_text(&writer, info->advice);
    kw_json_end_object(&writer);
}

void kw_api_problem(struct kw_call *call, enum kw_code code, const struct kw_error *error)
{
    const struct kw_code_info *info = kw_code_info(code);
    kw_buffer_reset(&call->answer);
    call->code = code;
    call->status = info->http_status;
    call->content_type = "application/problem+json";
    write_problem(call, info, error);
    if (kw_buffer_status(&call->answer) != KW_OK) {
        kw_buffer_reset(&call->answer);
        call->content_type = NULL;
    }
}
