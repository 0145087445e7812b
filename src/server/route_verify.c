#include "server/inquiry.h"

#include "base/error.h"
#include "core/record.h"
#include "core/scope.h"
#include "core/transition.h"

#include <stdio.h>

static enum kw_status refuse_resource(const struct kw_resource_body *body, struct kw_error *error)
{
    if (body->type.size + 1 + body->id.size > KW_RESOURCE_MAX) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "resource.id", "is too long: at most %d bytes with its type",
                         KW_RESOURCE_MAX);
    }
    for (size_t i = 0; i < body->type.size; i++) {
        uint8_t c = body->type.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return kw_refuse(error, KW_CODE_INVALID_FIELD, "resource.type", "must be of a-z, 0-9, '_' and '-'");
        }
    }
    return kw_refuse(error, KW_CODE_INVALID_FIELD, "resource.id",
                     "must be letters, digits or any of . _ / @ + : -, or '*' alone");
}

/* "type:id" of the body, held to the grammar of resources. */
static enum kw_status join_resource(struct kw_arena *arena, const struct kw_resource_body *body,
                                    struct kw_bytes *resource_out, struct kw_error *error)
{
    size_t size = body->type.size + 1 + body->id.size;
    uint8_t *text = kw_arena_take(arena, size);
    if (text == NULL) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    memcpy(text, body->type.data, body->type.size);
    text[body->type.size] = ':';
    memcpy(text + body->type.size + 1, body->id.data, body->id.size);
    *resource_out = kw_bytes_of(text, size);
    /* A colon inside the type would make another type and id of the same text. */
    bool has_colon = memchr(body->type.data, ':', body->type.size) != NULL;
    return has_colon || !kw_resource_valid(*resource_out) ? refuse_resource(body, error) : KW_OK;
}

static enum kw_status make_question(const struct kw_request *request, const struct kw_verify_body *body,
                                    struct kw_verification *verification, struct kw_error *error)
{
    if (body->env.size > 0 && !kw__has_environment(request, body->env)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    verification->key = body->key;
    verification->question = (struct kw_question){
        .project = request->project->number,
        .env = body->env,
        .scopes = body->scopes,
        .scope_count = body->scope_count,
        .resource_scopes = body->resource.scopes,
        .resource_scope_count = body->resource.scope_count,
    };
    return body->resource.type.size == 0
               ? KW_OK
               : join_resource(&request->call->arena, &body->resource, &verification->question.resource, error);
}

/* A key that was refused for what it is shows its record; one that is not known has none to show. */
static bool shows_record(const struct kw_verification *verification)
{
    return verification->entry != NULL && verification->code != KW_CODE_INVALID_KEY &&
           verification->code != KW_CODE_INVALID_FORMAT && verification->code != KW_CODE_MISSING_KEY;
}

static void write_refusal(struct kw_json_writer *writer, const struct kw_verification *verification)
{
    const struct kw_code_info *info = kw_code_info(verification->code);
    kw_json_name(writer, "code");
    kw_json_text(writer, info->name);
    kw_json_name(writer, "message");
    kw_json_text(writer, info->meaning);
    if (verification->missing.size > 0) {
        kw_json_name(writer, "missing");
        kw_json_string(writer, verification->missing);
    }
}

static void write_verdict(struct kw_json_writer *writer, const struct kw_verification *verification, int64_t now_ms)
{
    struct kw_record record;
    kw_json_begin_object(writer);
    kw_json_name(writer, "valid");
    kw_json_bool(writer, verification->code == KW_CODE_NONE);
    if (verification->code != KW_CODE_NONE) {
        write_refusal(writer, verification);
    }
    /* Its entry was made from the record, so it can be decoded. */
    if (shows_record(verification) && kw_record_decode(kw_entry_record(verification->entry), &record) == KW_OK) {
        kw_json_name(writer, "record");
        kw_record_write_json(&record, now_ms, writer);
    }
    kw_json_end_object(writer);
}

static void answer_one(struct kw_inquiry *inquiry)
{
    struct kw_call *call = inquiry->request->call;
    struct kw_json_writer writer = kw__answer_begin(call, 200);
    call->code = inquiry->verifications[0].code;
    write_verdict(&writer, &inquiry->verifications[0], inquiry->now_ms);
}

static void answer_many(struct kw_inquiry *inquiry)
{
    struct kw_json_writer writer = kw__answer_begin(inquiry->request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < inquiry->count; i++) {
        write_verdict(&writer, &inquiry->verifications[i], inquiry->now_ms);
    }
    kw_json_end_array(&writer);
    kw_json_end_object(&writer);
}

/* Room for the verdicts on `count` keys; NULL when there is no memory (then the call is finished). */
static struct kw_inquiry *begin(struct kw_request *request, size_t count, void (*decided)(struct kw_inquiry *inquiry))
{
    struct kw_arena *arena = &request->call->arena;
    struct kw_inquiry *inquiry = kw_arena_take(arena, sizeof *inquiry);
    struct kw_verification *verifications = kw_arena_take_array(arena, count, sizeof *verifications);
    if (inquiry == NULL || verifications == NULL) {
        kw__finish_no_memory(request);
        return NULL;
    }
    inquiry->request = request;
    inquiry->verifications = verifications;
    inquiry->count = count;
    inquiry->decided = decided;
    return inquiry;
}

void kw__keys_verify(struct kw_request *request)
{
    struct kw_inquiry *inquiry = begin(request, 1, answer_one);
    if (inquiry == NULL) {
        return;
    }
    struct kw_error error;
    if (make_question(request, request->body, &inquiry->verifications[0], &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    kw__inquire(inquiry);
}

void kw__keys_verify_many(struct kw_request *request)
{
    const struct kw_verify_many_body *body = request->body;
    struct kw_inquiry *inquiry = begin(request, body->item_count, answer_many);
    if (inquiry == NULL) {
        return;
    }
    for (size_t i = 0; i < body->item_count; i++) {
        struct kw_error error;
        if (make_question(request, &body->items[i], &inquiry->verifications[i], &error) != KW_OK) {
            char item[32];
            snprintf(item, sizeof item, "items[%zu]", i);
            kw_error_nest(&error, item);
            kw__finish_error(request, &error);
            return;
        }
    }
    kw__inquire(inquiry);
}
