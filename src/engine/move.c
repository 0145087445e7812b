#include "base/bytes.h"
#include "core/id.h"
#include "engine/writer.h"

struct kw_digest kw__moved_digest(const struct kw_op *op)
{
    struct kw_digest digest = {.size = (uint8_t)op->digest.size};
    memcpy(digest.bytes, op->digest.data, op->digest.size);
    return digest;
}

static enum kw_status see_holder(void *context, const struct kw_store_row *row)
{
    *(struct kw_id *)context = row->id;
    return KW_OK;
}

enum kw_status kw__admit_move(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_op *op = work->op;
    struct kw_id holder = work->before.id;
    struct kw_digest digest = kw__moved_digest(op);
    enum kw_status status = engine->store->ops->find_by_digest(engine->store, op->digest, see_holder, &holder);
    if (status != KW_OK && status != KW_E_NOT_FOUND) {
        return kw__store_failed(&op->error, status);
    }
    if (kw_id_equal(&holder, &work->before.id) && !kw_index_was_moved(engine->index, &digest, &work->before.id)) {
        return kw__former_note(engine, work);
    }
    char text[KW_ID_TEXT_SIZE];
    struct kw_log_line line;
    kw_id_format(&work->before.id, text);
    kw_log_begin(&line, &engine->log, KW_LOG_WARN, "digest_not_moved");
    kw_log_bytes(&line, "keyId", kw_bytes_of(text, sizeof text));
    kw_log_text(&line, "reason", "another record has the digest");
    kw_log_end(&line);
    return kw_refuse(&op->error, KW_CODE_VERSION_CONFLICT, NULL, "another key has this digest");
}
