#include "base/bytes.h"
#include "core/id.h"
#include "engine/writer.h"

/*
 * Digests that keys had before they moved. A list of hashes may be imported again after its keys have moved, were
 * revoked and erased: so a tombstone for each of these is left beside that of the last one. Those under a pepper are
 * not kept: only an export names them, and it names the id, too.
 *
 * Until the erasure they stand in a setting of their own, "former." and the key's id: for each the method's number, a
 * size and so many bytes.
 */

#define PREFIX "former."
#define NAME_SIZE (sizeof PREFIX - 1 + KW_ID_TEXT_SIZE)
#define COUNT_MAX 8 /* a key moves between its project's own methods: of those that need no pepper there are four */
#define HEAD_SIZE 2
#define VALUE_MAX ((size_t)COUNT_MAX * (HEAD_SIZE + KW_DIGEST_MAX))

/* What is noted of the key: its name, and the value that is there, which has room for one more. */
struct former {
    struct kw_bytes name;
    uint8_t *value;
    size_t size;
};

static enum kw_status read_former(struct kw_engine *engine, const struct kw_id *id, struct former *former_out)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_store *store = engine->store;
    uint8_t *name = kw_arena_take(arena, NAME_SIZE);
    uint8_t *value = kw_arena_take(arena, VALUE_MAX);
    if (name == NULL || value == NULL) {
        return KW_E_MEMORY;
    }
    memcpy(name, PREFIX, sizeof PREFIX - 1);
    kw_id_format(id, (char *)name + sizeof PREFIX - 1);
    *former_out = (struct former){.name = {name, NAME_SIZE}, .value = value};
    enum kw_status status = store->ops->setting(store, former_out->name, value, VALUE_MAX, &former_out->size);
    if (status == KW_E_NOT_FOUND) {
        former_out->size = 0;
        return KW_OK;
    }
    return status == KW_OK && former_out->size > VALUE_MAX ? KW_E_CORRUPT : status;
}

/* The next of what is noted; false when there is none. */
static bool next_former(struct kw_bytes *rest, uint8_t *method_out, struct kw_digest *digest_out)
{
    if (rest->size < HEAD_SIZE || rest->data[1] > KW_DIGEST_MAX || rest->size - HEAD_SIZE < rest->data[1]) {
        return false;
    }
    *method_out = rest->data[0];
    *digest_out = (struct kw_digest){.size = rest->data[1]};
    memcpy(digest_out->bytes, rest->data + HEAD_SIZE, digest_out->size);
    *rest = kw_bytes_skip(*rest, (size_t)HEAD_SIZE + digest_out->size);
    return true;
}

static bool has_former(const struct former *former, uint8_t wanted)
{
    struct kw_bytes rest = {former->value, former->size};
    struct kw_digest digest;
    uint8_t method;
    while (next_former(&rest, &method, &digest)) {
        if (method == wanted) {
            return true;
        }
    }
    return false;
}

enum kw_status kw__former_note(struct kw_engine *engine, struct kw_work *work)
{
    uint8_t number = kw_record_digest_method(&work->before);
    const struct kw_digest_method *method = kw__methods(engine)->meant[number];
    const struct kw_digest *digest = &work->before_digest;
    struct former former;
    if (method == NULL || method->scheme == KW_DIGEST_HMAC_SHA256) {
        return KW_OK;
    }
    enum kw_status status = read_former(engine, &work->before.id, &former);
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, status);
    }
    if (has_former(&former, number) || VALUE_MAX - former.size < (size_t)HEAD_SIZE + digest->size) {
        return KW_OK;
    }
    former.value[former.size] = number;
    former.value[former.size + 1] = digest->size;
    memcpy(former.value + former.size + HEAD_SIZE, digest->bytes, digest->size);
    work->former = (struct kw_store_setting){former.name, {former.value, former.size + HEAD_SIZE + digest->size}};
    return KW_OK;
}

static enum kw_status see_nothing(void *context, const struct kw_store_row *row)
{
    (void)context;
    (void)row;
    return KW_OK;
}

/*
 * It has an id of its own, since that of the key is the last digest's. That it says `imported` tells it from what was
 * erased under that method: nobody need look a key up there for its sake (tally.c).
 */
static enum kw_status make_end(struct kw_engine *engine, const struct kw_work *work, uint8_t number,
                               struct kw_former_end *end)
{
    struct kw_writer *writer = engine->writer_state;
    const struct kw_digest_method *method = kw__methods(engine)->meant[number];
    struct kw_record tombstone = {.project = work->before.project,
                                  .digest_scheme = method->scheme,
                                  .digest_method = number == (uint8_t)method->scheme ? 0 : number,
                                  .revoked_at_ms = work->change.after.revoked_at_ms,
                                  .version = 1,
                                  .imported = true};
    enum kw_status status = kw__draw_id(engine, work->op->now_ms, &tombstone.id);
    tombstone.lineage_id = tombstone.id;
    kw_buffer_reset(&writer->scratch);
    struct kw_bytes encoding = {NULL, 0};
    status = status != KW_OK ? status : kw_record_encode(&tombstone, &writer->scratch);
    status = status != KW_OK ? status : kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), &encoding);
    end->put = (struct kw_store_put){.row = {.id = tombstone.id,
                                             .digest = kw_bytes_of(end->digest.bytes, end->digest.size),
                                             .digest_scheme = number,
                                             .project = tombstone.project,
                                             .version = tombstone.version,
                                             .erased = true,
                                             .record = encoding}};
    return status;
}

static enum kw_status make_ends(struct kw_engine *engine, struct kw_work *work, const struct former *former)
{
    struct kw_store *store = engine->store;
    struct kw_bytes rest = {former->value, former->size};
    struct kw_digest digest;
    uint8_t number;
    enum kw_status status = KW_OK;
    work->ends = kw_arena_take_array(&engine->writer_state->arena, COUNT_MAX, sizeof *work->ends);
    if (work->ends == NULL) {
        return KW_E_MEMORY;
    }
    while (status == KW_OK && work->end_count < COUNT_MAX && next_former(&rest, &number, &digest)) {
        struct kw_bytes bytes = kw_bytes_of(digest.bytes, digest.size);
        enum kw_status found = store->ops->find_by_digest(store, bytes, see_nothing, NULL);
        if (found == KW_E_NOT_FOUND && kw__methods(engine)->meant[number] != NULL) {
            struct kw_former_end *end = &work->ends[work->end_count++];
            end->digest = digest;
            status = make_end(engine, work, number, end);
        } else if (found != KW_E_NOT_FOUND) {
            status = found; /* another key has it by now: what becomes of that is its own affair */
        }
    }
    return status;
}

enum kw_status kw__former_end(struct kw_engine *engine, struct kw_work *work)
{
    struct former former;
    if (!work->change.erased) {
        return KW_OK;
    }
    enum kw_status status = read_former(engine, &work->before.id, &former);
    if (status == KW_OK && former.size > 0) {
        work->former = (struct kw_store_setting){former.name, {NULL, 0}};
        status = make_ends(engine, work, &former);
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&work->op->error, status);
}
