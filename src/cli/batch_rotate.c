#include "cli/batch.h"

#include "core/transition.h"

#include <stdio.h>

/* Each attempt that was interrupted left a key that nobody has seen; after so many something else is wrong. */
#define ATTEMPTS_MAX 20
#define NAME_SIZE 64
#define PATH_SIZE 64

enum { KEY, RECORD, CODE, DETAIL, MEMBER_COUNT };

/* What one rotation was answered with. */
struct rotation {
    uint16_t status;
    struct kw_bytes key, id, code, detail; /* in the chunk's arena */
};

static enum kw_status keep_all(struct kw_batch_chunk *chunk, const struct kw_member *members, struct kw_bytes id,
                               struct rotation *rotation_out)
{
    const struct kw_bytes texts[] = {members[KEY].text, id, members[CODE].text, members[DETAIL].text};
    struct kw_bytes *const places[] = {&rotation_out->key, &rotation_out->id, &rotation_out->code,
                                       &rotation_out->detail};
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < KW_COUNT_OF(texts) && status == KW_OK; i++) {
        status = kw_arena_copy(&chunk->arena, texts[i], places[i]);
    }
    return status;
}

static enum kw_status take_answer(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                  struct rotation *rotation_out, struct kw_error *error_out)
{
    struct kw_member members[MEMBER_COUNT] = {
        [KEY] = {"key"}, [RECORD] = {"record"}, [CODE] = {"code"}, [DETAIL] = {"detail"}};
    struct kw_member id = {.name = "id"};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&sender->answer->body), &arena, members, MEMBER_COUNT);
    if (status == KW_OK && members[RECORD].type == KW_JSON_OBJECT_BEGIN) {
        status = kw_members_read(members[RECORD].text, &arena, &id, 1);
    }
    rotation_out->status = sender->answer->status;
    status = status == KW_OK ? keep_all(chunk, members, id.text, rotation_out) : status;
    kw_arena_reset(&arena);
    if (status != KW_OK) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "the answer is not what Keyward answers: is the server of another version?");
    }
    return KW_OK;
}

/* Rotates a key under a name of its own, so that this too is done once. */
static enum kw_status rotate(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                             const struct kw_batch_item *item, int attempt, struct kw_bytes id,
                             struct rotation *rotation_out, struct kw_error *error_out)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    snprintf(name, sizeof name, "%s-%llu-r%d", sender->run, (unsigned long long)item->number, attempt);
    snprintf(path, sizeof path, "/v1/keys/%.*s/rotate", (int)id.size, (const char *)id.data);
    struct kw_request request = {
        .method = KW_POST, .path = path, .body = KW_BYTES("{}"), .project = sender->project, .once = name};
    kw_buffer_reset(&sender->answer->body);
    enum kw_status status = sender->target->ops->send(sender->target, &request, sender->answer, error_out);
    status = status == KW_OK ? take_answer(sender, chunk, rotation_out, error_out) : status;
    if (status == KW_OK && rotation_out->status >= 500) {
        kw_error_clear(error_out);
        return KW_E_DENIED;
    }
    return status;
}

/* Rotates until an answer shows a key: earlier attempts may have been interrupted like the creation itself. */
static enum kw_status replace(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                              struct kw_batch_item *item, struct kw_error *error_out)
{
    struct kw_bytes id = item->result.id;
    for (int attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        struct rotation rotation = {0};
        enum kw_status status = rotate(sender, chunk, item, attempt, id, &rotation, error_out);
        if (status != KW_OK) {
            return status;
        }
        if (rotation.status == 201) {
            item->result = (struct kw_batch_result){
                .is_known = true, .is_ok = true, .id = rotation.id, .key = rotation.key, .rotated_from = id};
            return KW_OK;
        }
        if (rotation.status >= 400) {
            item->result.id = id;
            item->result.code = rotation.code;
            item->result.message = rotation.detail;
            item->result.is_unseen = true;
            return KW_OK;
        }
        id = rotation.id;
    }
    item->result.id = id;
    return KW_OK;
}

enum kw_status kw_batch_rotate_unseen(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                      struct kw_error *error_out)
{
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < chunk->count && status == KW_OK; i++) {
        struct kw_batch_item *item = &chunk->items[i];
        /* A key that the file itself gave a name may have been made, and shown, long before. */
        if (item->result.is_unseen && item->is_named) {
            status = replace(sender, chunk, item, error_out);
        }
    }
    return status;
}
