#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "core/record.h"
#include "core/transition.h"

#include <stdio.h>

/* --- what is looked for --- */

static enum kw_status refuse_memory(struct kw_error *error)
{
    return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
}

/* Tags are kept in lower case, so that is how they are looked for. */
static enum kw_status lower_tag(struct kw_arena *arena, struct kw_bytes tag, struct kw_bytes *tag_out,
                                struct kw_error *error)
{
    uint8_t *text = kw_arena_take(arena, tag.size);
    if (text == NULL) {
        return refuse_memory(error);
    }
    kw_bytes_lower(tag, text);
    *tag_out = kw_bytes_of(text, tag.size);
    return KW_OK;
}

/* No tag holds a comma. */
static enum kw_status take_tags(struct kw_arena *arena, struct kw_bytes rest, struct kw_list_query *query,
                                struct kw_error *error)
{
    if (rest.size == 0) {
        return KW_OK;
    }
    struct kw_bytes *tags = kw_arena_take_array(arena, KW_TAG_COUNT_MAX, sizeof *tags);
    if (tags == NULL) {
        return refuse_memory(error);
    }
    bool goes_on = true;
    while (goes_on) {
        struct kw_bytes tag;
        goes_on = rest.size > 0 && memchr(rest.data, ',', rest.size) != NULL;
        kw_bytes_split(rest, ',', &tag, &rest);
        if (query->tag_count == KW_TAG_COUNT_MAX) {
            return kw_refuse(error, KW_CODE_INVALID_FIELD, "tag", "holds too many: at most %d", KW_TAG_COUNT_MAX);
        }
        if (tag.size == 0 || tag.size > KW_TAG_MAX) {
            return kw_refuse(error, KW_CODE_INVALID_FIELD, "tag", "each tag must have 1 to %d bytes", KW_TAG_MAX);
        }
        enum kw_status status = lower_tag(arena, tag, &tags[query->tag_count++], error);
        if (status != KW_OK) {
            return status;
        }
    }
    query->tags = tags;
    return KW_OK;
}

static enum kw_order order_of(const struct kw_list_params *params)
{
    if (params->sort.size == 0) {
        bool is_by_use = params->used_before_ms != 0 || params->used_after_ms != 0;
        return params->expires_before_ms != 0 ? KW_ORDER_EXPIRES : is_by_use ? KW_ORDER_USED : KW_ORDER_CREATED;
    }
    if (params->sort.data[0] == '-') {
        return KW_ORDER_CREATED_BACK;
    }
    return kw_bytes_equal(params->sort, KW_BYTES("expiresAt"))    ? KW_ORDER_EXPIRES
           : kw_bytes_equal(params->sort, KW_BYTES("lastUsedAt")) ? KW_ORDER_USED
                                                                  : KW_ORDER_CREATED;
}

/* A cursor shows its order by what stands before the id: nothing, '-', the expiry and a dot, or 'u', the use and a dot.
 */
static size_t format_cursor(enum kw_order order, const struct kw_position *position, char out[KW_CURSOR_MAX + 1])
{
    char id[KW_ID_TEXT_SIZE];
    int size = 0;
    kw_id_format(&position->id, id);
    if (order == KW_ORDER_EXPIRES) {
        size = snprintf(out, KW_CURSOR_MAX + 1, "%llu.", (unsigned long long)position->expires_at_ms);
    } else if (order == KW_ORDER_USED) {
        size = snprintf(out, KW_CURSOR_MAX + 1, "u%llu.", (unsigned long long)position->used_at_ms);
    } else if (order == KW_ORDER_CREATED_BACK) {
        out[size++] = '-';
    }
    memcpy(out + size, id, sizeof id);
    return (size_t)size + sizeof id;
}

/* The time before the dot; what is behind it stays in `text`. */
static bool take_time(struct kw_bytes *text, int64_t *time_ms_out)
{
    struct kw_bytes before;
    uint64_t time_ms;
    kw_bytes_split(*text, '.', &before, text);
    if (!kw_bytes_to_u64(before, &time_ms) || time_ms > INT64_MAX) {
        return false;
    }
    *time_ms_out = (int64_t)time_ms;
    return true;
}

static bool take_sign(struct kw_bytes *text, uint8_t sign)
{
    if (text->size == 0 || text->data[0] != sign) {
        return false;
    }
    *text = kw_bytes_skip(*text, 1);
    return true;
}

static bool parse_cursor(enum kw_order order, struct kw_bytes text, struct kw_position *position_out)
{
    struct kw_position position = {.expires_at_ms = 0};
    if (order == KW_ORDER_EXPIRES && (!take_time(&text, &position.expires_at_ms) || position.expires_at_ms == 0)) {
        return false;
    }
    if (order == KW_ORDER_USED && (!take_sign(&text, 'u') || !take_time(&text, &position.used_at_ms))) {
        return false;
    }
    if (order == KW_ORDER_CREATED_BACK && !take_sign(&text, '-')) {
        return false;
    }
    if (!kw_id_parse(text, &position.id) || kw_id_is_none(&position.id)) {
        return false;
    }
    *position_out = position;
    return true;
}

static enum kw_status check_params(const struct kw_request *request, const struct kw_list_params *params,
                                   struct kw_list_query *query, struct kw_error *error)
{
    if (query->has_status && !kw_key_status_of_name(params->status, &query->status)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "status", "is not a status");
    }
    if (params->env.size > 0 && !kw__has_environment(request, params->env)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    if (params->last_four.size > 0 && params->last_four.size != KW_STORE_LAST_FOUR_SIZE) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "lastFour", "must be %d characters, the last of a key",
                         KW_STORE_LAST_FOUR_SIZE);
    }
    if (params->parent.size > 0 &&
        (!kw_id_parse(params->parent, &query->parent_id) || kw_id_is_none(&query->parent_id))) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "parent", "must be the id of a key: key_ and 26 characters");
    }
    if (params->cursor.size > 0 && !parse_cursor(query->order, params->cursor, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "cursor",
                         "is not one that this list gave in this order: use nextCursor of the answer before, or start "
                         "without");
    }
    return take_tags(&request->call->arena, params->tags, query, error);
}

struct kw_list_query *kw__list_query(struct kw_request *request)
{
    struct kw_error error;
    const struct kw_list_params *params = request->query;
    struct kw_list_query *query = kw_arena_take(&request->call->arena, sizeof *query);
    if (query == NULL) {
        kw__finish_no_memory(request);
        return NULL;
    }
    *query = (struct kw_list_query){
        .owner = params->owner,
        .org_id = params->org_id,
        .env = params->env,
        .policy = params->policy,
        .last_four = params->last_four,
        .all_tags = kw_bytes_equal(params->tag_mode, KW_BYTES("all")),
        .created_from_ms = params->created_after_ms,
        .created_until_ms = params->created_before_ms,
        .expires_before_ms = params->expires_before_ms,
        .used_before_ms = params->used_before_ms,
        .used_from_ms = params->used_after_ms,
        .has_status = params->status.size > 0,
        .text = params->text,
        .order = order_of(params),
        .limit = (size_t)params->limit,
    };
    if (check_params(request, params, query, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return NULL;
    }
    return query;
}

/* --- answers --- */

static void write_next_cursor(struct kw_json_writer *writer, const struct kw_op *op)
{
    char cursor[KW_CURSOR_MAX + 1];
    if (op->has_more) {
        size_t size = format_cursor(op->query->order, &op->cursor, cursor);
        kw_json_name(writer, "nextCursor");
        kw_json_string(writer, kw_bytes_of(cursor, size));
    }
}

static void answer_list(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    struct kw_bytes rest = kw_buffer_bytes(&op->result);
    struct kw_bytes encoding;
    enum kw_status status = KW_OK;
    struct kw_bytes others = kw_buffer_bytes(&op->other);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    while (status == KW_OK && kw_op_next(&rest, &encoding)) {
        struct kw_listed listed = kw_op_next_listed(&others);
        status = kw__write_listed(&writer, encoding, &listed, op->now_ms);
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

static void answer_count(struct kw_op *op)
{
    if (kw__op_failed(op)) {
        return;
    }
    struct kw_request *request = kw__op_request(op);
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "count");
    kw_json_i64(&writer, (int64_t)op->count);
    kw_json_name(&writer, "atLeast");
    kw_json_bool(&writer, !op->is_exact);
    kw_json_end_object(&writer);
    kw_op_deinit(op);
    kw__finish_written(request);
}

/* --- requests --- */

static bool is_left(const struct kw_op *op)
{
    const struct kw_call *call = kw__op_request(op)->call;
    return call->is_gone != NULL && call->is_gone(call);
}

static void submit_query(struct kw_request *request, enum kw_op_kind kind, void (*done)(struct kw_op *op))
{
    const struct kw_list_query *query = kw__list_query(request);
    struct kw_op *op = query == NULL ? NULL : kw__op_begin(request, kind, done);
    if (op != NULL) {
        op->query = query;
        op->is_left = is_left;
        kw_engine_submit(request->api->options.engine, op);
    }
}

void kw__keys_list(struct kw_request *request)
{
    submit_query(request, KW_OP_LIST, answer_list);
}

void kw__keys_count(struct kw_request *request)
{
    submit_query(request, KW_OP_COUNT, answer_count);
}

/* False when the call was answered instead. */
static bool take_digest(struct kw_request *request, struct kw_bytes hex, struct kw_bytes *digest_out)
{
    size_t size = hex.size / 2;
    uint8_t *digest = kw_arena_take(&request->call->arena, size == 0 ? 1 : size);
    if (digest == NULL) {
        kw__finish_no_memory(request);
        return false;
    }
    bool has_size = hex.size == 64 || hex.size == 128; /* SHA-256, SHA-512 */
    if (!has_size || !kw_hex_decode(hex, digest, size)) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_INVALID_FIELD, "digest", "must be 64 or 128 hexadecimal digits");
        kw__finish_error(request, &error);
        return false;
    }
    *digest_out = kw_bytes_of(digest, size);
    return true;
}

void kw__keys_look_up(struct kw_request *request)
{
    const struct kw_lookup_body *body = request->body;
    struct kw_bytes digest = {NULL, 0};
    if (body->digest.size > 0 && !take_digest(request, body->digest, &digest)) {
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_FIND, kw__answer_record);
    if (op != NULL) {
        op->key = body->key;
        op->digest = digest;
        kw_engine_submit(request->api->options.engine, op);
    }
}
