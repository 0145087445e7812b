#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "core/transition.h"

#include <stdio.h>

/* Left for what follows a record: as many refusals as a batch can hold. */
#define ANSWER_SPARE ((size_t)2 * 1024 * 1024)
/* JSON of a record: its texts with every byte escaped, and the names. */
#define RECORD_ROOM(encoding_size) (2 * (encoding_size) + 4096)

/* --- batches --- */

static void write_id(struct kw_json_writer *writer, struct kw_bytes encoding)
{
    struct kw_record record;
    char text[KW_ID_TEXT_SIZE];
    if (kw_record_decode(encoding, &record) == KW_OK) {
        kw_id_format(&record.id, text);
        kw_json_name(writer, "id");
        kw_json_string(writer, kw_bytes_of(text, sizeof text));
    }
}

/* A record that does not fit is left out: what was made and done must not be lost with it. */
static enum kw_status write_done(struct kw_call *call, struct kw_json_writer *writer, const struct kw_op *part)
{
    struct kw_bytes encoding = kw_buffer_bytes(&part->result);
    bool is_made = part->kind == KW_OP_CREATE && !part->is_replay;
    kw_json_name(writer, "status");
    kw_json_i64(writer, is_made ? 201 : 200);
    if (is_made) {
        kw_json_name(writer, "key");
        kw_json_string(writer, kw_secret_expose(&part->secret));
    } else if (part->kind == KW_OP_CREATE) {
        kw_json_name(writer, "code");
        kw_json_text(writer, kw_code_info(KW_CODE_SECRET_ALREADY_SHOWN)->name);
        kw_json_name(writer, "detail");
        kw_json_text(writer, kw_code_info(KW_CODE_SECRET_ALREADY_SHOWN)->meaning);
    }
    if (call->answer.size + RECORD_ROOM(encoding.size) + ANSWER_SPARE > KW_CALL_ANSWER_MAX) {
        write_id(writer, encoding);
        return KW_OK;
    }
    kw_json_name(writer, "record");
    return kw__write_shown(writer, part, encoding);
}

static enum kw_status write_part(struct kw_request *request, struct kw_json_writer *writer, const struct kw_op *part,
                                 bool *logged)
{
    if (part->status == KW_OK) {
        return write_done(request->call, writer, part);
    }
    enum kw_code code = kw__code_of(&part->error);
    if (!*logged && kw_code_info(code)->http_status >= 500) {
        *logged = true; /* one line says it for all of them */
        kw__log_failure(request, &part->error);
    }
    kw__write_refusal(writer, code, code == KW_CODE_KEY_NOT_FOUND ? NULL : &part->error);
    return KW_OK;
}

static void give_back_parts(struct kw_op *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kw_op_deinit(&parts[i]);
    }
}

/* Beside the creation of one key, the one answer that full keys leave by (DESIGN, invariant 1). */
static void answer_many(struct kw_op *op)
{
    struct kw_op *parts = op->parts;
    size_t count = op->part_count;
    if (kw__op_failed(op)) {
        return; /* and no part holds anything */
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_call *call = request->call;
    call->answer.secret = true;
    kw__answer_header(call, "Cache-Control", KW_BYTES("no-store"));
    struct kw_json_writer writer = kw__answer_begin(call, 200);
    enum kw_status status = KW_OK;
    bool logged = false;
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        kw_json_begin_object(&writer);
        status = write_part(request, &writer, &parts[i], &logged);
        kw_json_end_object(&writer);
    }
    kw_json_end_array(&writer);
    kw_json_end_object(&writer);
    give_back_parts(parts, count);
    kw_op_deinit(op);
    kw__finish_change(request, status);
}

/* What is wrong with one item is that item's answer. */
static void refuse_part(struct kw_op *part, const struct kw_error *fault)
{
    part->is_refused = true;
    part->error = *fault;
}

static void fill_part(struct kw_request *request, const struct kw_key_body *item, enum kw_op_kind kind,
                      struct kw_op *part)
{
    kw_op_init(part, kind, request->project->number);
    if (item->fault != NULL) {
        refuse_part(part, item->fault);
        return;
    }
    part->actor = request->actor;
    part->circumstances = request->circumstances;
    part->authority = request->authority;
    part->params = kind == KW_OP_REVOKE ? NULL : &item->params;
    part->template_name = item->template_name;
    part->preset = item->preset;
    part->reason = item->reason;
    part->spares_children = (item->given & KW_GIVEN_CASCADE) != 0 && !item->cascade;
    part->if_version = (uint64_t)item->if_version;
    /* What is no id is that of no key, and is answered like it. */
    if (kind != KW_OP_CREATE && !kw_id_parse(item->id, &part->id)) {
        part->id = (struct kw_id){{0}};
    }
}

/* --- items that are to be done once --- */

/* Reads up to the first item of a body that was bound already: an object with a member `items`. */
static enum kw_status find_items(struct kw_json_reader *reader)
{
    struct kw_json_token token;
    struct kw_bytes raw;
    enum kw_status status = kw_json_next(reader, &token, NULL);
    bool is_found = false;
    while (status == KW_OK && !is_found) {
        status = kw_json_next(reader, &token, NULL);
        is_found = token.type == KW_JSON_NAME && kw_bytes_equal(token.text, KW_BYTES("items"));
        status = status == KW_OK ? kw_json_next(reader, &token, NULL) : status;
        if (status == KW_OK && !is_found) {
            status = kw_json_skip(reader, &token, &raw, NULL);
        }
    }
    return status;
}

static bool has_once(const struct kw_key_many_body *body)
{
    for (size_t i = 0; i < body->item_count; i++) {
        if (body->items[i].once.size > 0) {
            return true;
        }
    }
    return false;
}

/* The name of an item, by caller, project and route, and what is asked for: the item as it is written. */
static enum kw_status name_item(const struct kw_request *request, const struct kw_key_body *item, struct kw_bytes raw,
                                struct kw_op *part)
{
    const struct kw_once_place place = {
        .caller = request->actor, .project = request->project->name, .route = kw_bytes_of_text(request->route->name)};
    struct kw_error fault;
    if (item->once.size == 0) {
        return KW_OK;
    }
    struct kw_once *once = kw_arena_take(&request->call->arena, sizeof *once);
    if (once == NULL) {
        return KW_E_MEMORY;
    }
    if (kw_once_key_check(item->once, "idempotencyKey", &fault) != KW_OK) {
        refuse_part(part, &fault);
        return KW_OK;
    }
    kw_once_make(&place, item->once, &raw, 1, once);
    part->once = once;
    return KW_OK;
}

/* Reads past an item, and names it. One with a fault may hold names twice, and is not looked at again. */
static enum kw_status read_item(const struct kw_request *request, const struct kw_key_body *item,
                                struct kw_json_reader *reader, struct kw_op *part)
{
    struct kw_json_token token;
    struct kw_bytes raw;
    enum kw_status status = kw_json_next(reader, &token, NULL);
    if (status == KW_OK && item->fault != NULL) {
        return kw_json_pass(reader, &token, NULL);
    }
    status = status == KW_OK ? kw_json_skip(reader, &token, &raw, NULL) : status;
    return status == KW_OK ? name_item(request, item, raw, part) : status;
}

/* Names all items that have a key of their own. Fails only where there is no memory: all of it was read before. */
static enum kw_status name_items(struct kw_request *request, struct kw_op *parts)
{
    const struct kw_key_many_body *body = request->body;
    if (!has_once(body)) {
        return KW_OK;
    }
    struct kw_json_reader reader;
    kw_json_reader_init(&reader, request->call->body, &request->call->arena);
    enum kw_status status = find_items(&reader);
    for (size_t i = 0; i < body->item_count && status == KW_OK; i++) {
        status = read_item(request, &body->items[i], &reader, &parts[i]);
    }
    return status;
}

static void submit_many(struct kw_request *request, enum kw_op_kind kind)
{
    const struct kw_key_many_body *body = request->body;
    struct kw_op *parts = kw_arena_take_array(&request->call->arena, body->item_count, sizeof *parts);
    if (parts == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    for (size_t i = 0; i < body->item_count; i++) {
        fill_part(request, &body->items[i], kind, &parts[i]);
    }
    if (name_items(request, parts) != KW_OK) {
        kw__finish_no_memory(request);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_TOGETHER, answer_many);
    if (op == NULL) {
        return;
    }
    op->parts = parts;
    op->part_count = body->item_count;
    op->atomic = body->atomic;
    kw_engine_submit(request->api->options.engine, op);
}

void kw__keys_create_many(struct kw_request *request)
{
    submit_many(request, KW_OP_CREATE);
}

void kw__keys_update_many(struct kw_request *request)
{
    submit_many(request, KW_OP_UPDATE);
}

void kw__keys_revoke_many(struct kw_request *request)
{
    submit_many(request, KW_OP_REVOKE);
}

/* --- actions on a filter --- */

static void answer_where(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "changed");
    kw_json_i64(&writer, (int64_t)op->changed);
    kw_json_name(&writer, "matched");
    kw_json_i64(&writer, (int64_t)op->matched);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_change(request, KW_OK);
}

static enum kw_status parse_ids(const struct kw_where_body *body, struct kw_id *ids, struct kw_error *error)
{
    for (size_t i = 0; i < body->id_count; i++) {
        if (!kw_id_parse(body->ids[i], &ids[i])) {
            char field[32];
            snprintf(field, sizeof field, "ids[%zu]", i);
            return kw_refuse(error, KW_CODE_KEY_NOT_FOUND, field,
                             "there is no such key in this project; nothing was changed");
        }
    }
    return KW_OK;
}

static void submit_where(struct kw_request *request, enum kw_op_kind then)
{
    const struct kw_where_body *body = request->body;
    struct kw_where *where = kw_arena_take(&request->call->arena, sizeof *where);
    struct kw_id *ids = kw_arena_take_array(&request->call->arena, body->id_count, sizeof *ids);
    if (where == NULL || ids == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    struct kw_error error;
    if (parse_ids(body, ids, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    *where = (struct kw_where){
        .owner = body->owner, .org_id = body->org_id, .tag = body->tag, .ids = ids, .id_count = body->id_count};
    struct kw_op *op = kw__op_begin(request, KW_OP_WHERE, answer_where);
    if (op != NULL) {
        op->then = then;
        op->where = where;
        op->reason = body->reason;
        op->spares_children = (body->given & KW_GIVEN_CASCADE) != 0 && !body->cascade;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__keys_revoke_where(struct kw_request *request)
{
    submit_where(request, KW_OP_REVOKE);
}

void kw__keys_disable_where(struct kw_request *request)
{
    submit_where(request, KW_OP_DISABLE);
}

void kw__keys_enable_where(struct kw_request *request)
{
    submit_where(request, KW_OP_ENABLE);
}
