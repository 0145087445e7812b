#include "cli/batch.h"

#include "core/transition.h"

#include <poll.h>
#include <stdio.h>

#define ATTEMPTS_MAX 6
#define WAIT_MS 25 /* doubled for each attempt */

void kw_batch_chunk_init(struct kw_batch_chunk *chunk)
{
    chunk->count = 0;
    kw_buffer_init_secret(&chunk->text, (size_t)2 * KW_CALL_BODY_MAX);
    kw_arena_init(&chunk->arena, NULL, 0, KW_ANSWER_ARENA_MAX);
}

void kw_batch_chunk_reset(struct kw_batch_chunk *chunk)
{
    chunk->count = 0;
    kw_buffer_reset(&chunk->text);
    kw_arena_reset(&chunk->arena);
}

void kw_batch_chunk_deinit(struct kw_batch_chunk *chunk)
{
    chunk->count = 0;
    kw_buffer_deinit(&chunk->text);
    kw_arena_reset(&chunk->arena);
}

/* --- the request --- */

/* Some of the items of a chunk: those without a result from `first` on, `count` of them. */
struct part {
    size_t places[KW_BATCH_CHUNK_MAX];
    size_t count;
};

static void take_open(const struct kw_batch_chunk *chunk, struct part *part)
{
    part->count = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->items[i].result.is_known) {
            part->places[part->count++] = i;
        }
    }
}

static void write_body(const struct kw_batch_sender *sender, const struct kw_batch_chunk *chunk,
                       const struct part *part, size_t count, struct kw_buffer *body)
{
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, body);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        const struct kw_batch_item *item = &chunk->items[part->places[i]];
        kw_json_raw(&writer, kw_bytes_of(chunk->text.data + item->at, item->size));
    }
    kw_json_end_array(&writer);
    if (sender->atomic) {
        kw_json_name(&writer, "atomic");
        kw_json_bool(&writer, true);
    }
    kw_json_end_object(&writer);
}

/* --- problems --- */

enum { CODE, DETAIL, TITLE, FIELD, PROBLEM_MEMBERS };

static enum kw_status read_problem(const struct kw_batch_sender *sender, struct kw_arena *arena,
                                   struct kw_member *members)
{
    static const char *const names[] = {"code", "detail", "title", "field"};
    for (size_t i = 0; i < PROBLEM_MEMBERS; i++) {
        members[i].name = names[i];
    }
    return kw_members_read(kw_buffer_bytes(&sender->answer->body), arena, members, PROBLEM_MEMBERS);
}

static bool is_code(const struct kw_member *member, const char *code)
{
    return kw_bytes_equal(member->text, kw_bytes_of_text(code));
}

/* "items[3].name": 3, and "name". */
static bool names_item(struct kw_bytes field, size_t count, size_t *index_out, struct kw_bytes *inner_out)
{
    struct kw_bytes start = KW_BYTES("items["), number, rest;
    uint64_t index;
    if (!kw_bytes_starts_with(field, start) || !kw_bytes_split(kw_bytes_skip(field, start.size), ']', &number, &rest) ||
        !kw_bytes_to_u64(number, &index) || index >= count) {
        return false;
    }
    *index_out = (size_t)index;
    *inner_out = rest.size > 0 && rest.data[0] == '.' ? kw_bytes_skip(rest, 1) : rest;
    return true;
}

/* The whole request was refused for the sake of one item: that one gets the reason. False: it was for another. */
static bool refuse_named(struct kw_batch_chunk *chunk, const struct part *part, size_t count,
                         const struct kw_member *members)
{
    size_t index;
    struct kw_bytes inner;
    char code[64], message[KW_ERROR_TEXT_MAX];
    if (!names_item(members[FIELD].text, count, &index, &inner)) {
        return false;
    }
    struct kw_bytes detail = members[DETAIL].text.size > 0 ? members[DETAIL].text : members[TITLE].text;
    snprintf(code, sizeof code, "%.*s", (int)members[CODE].text.size, (const char *)members[CODE].text.data);
    snprintf(message, sizeof message, "%.*s%s%.*s", (int)inner.size, (const char *)inner.data,
             inner.size > 0 ? ": " : "", (int)detail.size, (const char *)detail.data);
    struct kw_bytes kept = {NULL, 0};
    struct kw_batch_item *item = &chunk->items[part->places[index]];
    kw_batch_refuse(chunk, item, NULL, message);
    if (kw_arena_copy(&chunk->arena, kw_bytes_of_text(code), &kept) == KW_OK) {
        item->result.code = kept;
    }
    return true;
}

/* --- answers --- */

struct answers {
    const struct kw_batch_sender *sender;
    struct kw_batch_chunk *chunk;
    const struct part *part;
    size_t count, seen;
    bool is_last; /* attempt: what failed has failed then */
    bool has_failed;
};

enum { STATUS, VALID, KEY, ITEM_CODE, ITEM_FIELD, ITEM_DETAIL, MESSAGE, RECORD, ID, ITEM_MEMBERS };

static enum kw_status keep(struct kw_batch_chunk *chunk, struct kw_bytes text, struct kw_bytes *kept_out)
{
    return kw_arena_copy(&chunk->arena, text, kept_out);
}

/* "tags[2]: is too long" */
static enum kw_status keep_message(struct kw_batch_chunk *chunk, const struct kw_member *members,
                                   struct kw_bytes *kept_out)
{
    struct kw_bytes what = members[ITEM_DETAIL].text.size > 0 ? members[ITEM_DETAIL].text : members[MESSAGE].text;
    struct kw_bytes field = members[ITEM_FIELD].text;
    struct kw_buffer text;
    kw_buffer_init(&text, (size_t)64 * 1024);
    if (field.size > 0 && !kw_bytes_starts_with(what, field)) {
        kw_buffer_add(&text, field);
        kw_buffer_add_text(&text, ": ");
    }
    kw_buffer_add(&text, what);
    enum kw_status status = kw_buffer_status(&text);
    status = status == KW_OK ? keep(chunk, kw_buffer_bytes(&text), kept_out) : status;
    kw_buffer_deinit(&text);
    return status;
}

static enum kw_status read_id(const struct kw_member *members, struct kw_arena *arena, struct kw_bytes *id_out)
{
    struct kw_member id = {.name = "id"};
    *id_out = members[ID].text;
    if (members[RECORD].type != KW_JSON_OBJECT_BEGIN) {
        return KW_OK;
    }
    enum kw_status status = kw_members_read(members[RECORD].text, arena, &id, 1);
    *id_out = id.text;
    return status;
}

/* One item of the answer. */
static enum kw_status take_answer(void *context, const struct kw_json_token *token, struct kw_bytes raw)
{
    static const char *const names[] = {"status", "valid", "key", "code", "field", "detail", "message", "record", "id"};
    struct answers *answers = context;
    struct kw_batch_chunk *chunk = answers->chunk;
    struct kw_member members[ITEM_MEMBERS];
    struct kw_bytes id;
    uint64_t http = 0;
    (void)token;
    if (answers->seen == answers->count) {
        return KW_E_INVALID;
    }
    for (size_t i = 0; i < ITEM_MEMBERS; i++) {
        members[i].name = names[i];
    }
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    struct kw_batch_item *item = &chunk->items[answers->part->places[answers->seen++]];
    struct kw_batch_result result = {.is_known = true};
    enum kw_status status = kw_members_read(raw, &arena, members, ITEM_MEMBERS);
    status = status == KW_OK ? read_id(members, &arena, &id) : status;
    bool is_change = status == KW_OK && answers->sender->action->changes;
    if (is_change && !kw_bytes_to_u64(members[STATUS].text, &http)) {
        status = KW_E_INVALID;
    }
    result.is_unseen = is_change && is_code(&members[ITEM_CODE], "SECRET_ALREADY_SHOWN");
    result.is_failed = is_change && http >= 500;
    result.is_known = !result.is_failed || answers->is_last;
    answers->has_failed = answers->has_failed || !result.is_known;
    result.is_ok = is_change ? http < 400 && !result.is_unseen : members[VALID].type == KW_JSON_TRUE;
    status = status == KW_OK ? keep(chunk, id, &result.id) : status;
    status = status == KW_OK ? keep(chunk, members[KEY].text, &result.key) : status;
    status = status == KW_OK ? keep(chunk, members[ITEM_CODE].text, &result.code) : status;
    status = status == KW_OK ? keep_message(chunk, members, &result.message) : status;
    if (result.is_unseen && item->is_named) {
        result.message = KW_BYTES("the key was made, but this run broke off before its secret was written: rotate it");
    }
    if (status == KW_OK) {
        item->result = result;
    }
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status take_answers(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                   const struct part *part, size_t count, bool is_last, struct kw_error *error_out)
{
    struct answers answers = {.sender = sender, .chunk = chunk, .part = part, .count = count, .is_last = is_last};
    struct kw_member items = {.name = "items"};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&sender->answer->body), &arena, &items, 1);
    status = status == KW_OK ? kw_items_each(items.text, &arena, take_answer, &answers) : status;
    kw_arena_reset(&arena);
    for (size_t i = 0; i < count && sender->atomic && answers.has_failed; i++) {
        chunk->items[part->places[i]].result.is_known = false; /* none was done */
    }
    if (status == KW_OK && answers.seen == count) {
        return KW_OK;
    }
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                   "the answer is not what Keyward answers: is the server of another version?");
}

/* --- sending --- */

static enum kw_status call(const struct kw_batch_sender *sender, const struct kw_batch_chunk *chunk,
                           const struct part *part, size_t count, struct kw_error *error_out)
{
    struct kw_buffer body;
    kw_buffer_init_secret(&body, KW_CALL_BODY_MAX);
    write_body(sender, chunk, part, count, &body);
    enum kw_status status = kw_buffer_status(&body);
    struct kw_request request = {.method = KW_POST,
                                 .path = sender->action->path,
                                 .body = kw_buffer_bytes(&body),
                                 .project = sender->project,
                                 .changes_nothing = !sender->action->changes,
                                 .if_unknown = "--resume goes on, and does nothing twice"};
    if (status != KW_OK) {
        kw_buffer_deinit(&body);
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL,
                       "the items do not fit into a request: give a smaller --chunk");
    }
    kw_buffer_reset(&sender->answer->body);
    status = sender->target->ops->send(sender->target, &request, sender->answer, error_out);
    kw_buffer_deinit(&body);
    return status;
}

/* Because of one of them none is done. */
static void leave_rest(struct kw_batch_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->items[i].result.is_known) {
            kw_batch_refuse(chunk, &chunk->items[i], "NOT_DONE",
                            "this was left alone, because another of the same chunk could not be done");
        }
    }
}

/* What is asked of the server, and how it went so far. */
struct exchange {
    struct part part;
    size_t count;     /* of the part's items that were sent */
    size_t count_max; /* sent at once: fewer, once an answer would have been too large */
    int attempt;      /* from 1; of what fails for reasons of the server's own */
};

/* What a refusal of a whole request means: KW_OK, and there is more to send; or why the run cannot go on. */
static enum kw_status take_problem(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                   struct exchange *exchange, struct kw_error *error_out)
{
    struct kw_member members[PROBLEM_MEMBERS];
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = read_problem(sender, &arena, members);
    bool is_too_large = status == KW_OK && is_code(&members[CODE], "BODY_TOO_LARGE");
    if (status == KW_OK && sender->answer->status >= 500 && exchange->attempt < ATTEMPTS_MAX) {
        exchange->attempt++;
    } else if (is_too_large && exchange->count > 1 && !sender->atomic) {
        exchange->count_max = exchange->count / 2; /* what they are answered with would not fit */
    } else if (status != KW_OK || !refuse_named(chunk, &exchange->part, exchange->count, members)) {
        status = KW_E_DENIED;
        kw_error_clear(error_out);
    }
    kw_arena_reset(&arena);
    return status;
}

/* One call. It may leave items without a result, which are to be sent (again) then. */
static enum kw_status send_open(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                struct exchange *exchange, struct kw_error *error_out)
{
    if (exchange->attempt > 1) {
        /* Nothing is done twice, however often it is sent. */
        (void)poll(NULL, 0, WAIT_MS << exchange->attempt);
    }
    size_t open = exchange->part.count;
    exchange->count = open < exchange->count_max ? open : exchange->count_max;
    enum kw_status status = call(sender, chunk, &exchange->part, exchange->count, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (sender->answer->status >= 400) {
        return take_problem(sender, chunk, exchange, error_out);
    }
    bool is_last = exchange->attempt == ATTEMPTS_MAX;
    status = take_answers(sender, chunk, &exchange->part, exchange->count, is_last, error_out);
    struct part left;
    take_open(chunk, &left);
    exchange->attempt += left.count > open - exchange->count;
    return status;
}

enum kw_status kw_batch_send(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                             struct kw_error *error_out)
{
    struct exchange exchange = {.count_max = KW_BATCH_CHUNK_MAX, .attempt = 1};
    enum kw_status status = KW_OK;
    take_open(chunk, &exchange.part);
    while (status == KW_OK && exchange.part.count > 0) {
        if (sender->atomic && exchange.part.count < chunk->count) {
            leave_rest(chunk); /* one of them is refused already */
            break;
        }
        status = send_open(sender, chunk, &exchange, error_out);
        take_open(chunk, &exchange.part);
    }
    return status == KW_OK && sender->rotates_unseen ? kw_batch_rotate_unseen(sender, chunk, error_out) : status;
}
