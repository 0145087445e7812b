#include "engine/import.h"

#include "base/bytes.h"
#include "core/id.h"
#include "engine/writer.h"

/* What is here of an item: under its id, under its digests, and whether it may be put all the same. */

/* A key that is here and has an item's id or one of its digests. */
struct here {
    struct kw_record record;
    struct kw_digest digest;
    bool is_there, is_erased;
};

/* --- digests of the group --- */

static uint32_t *digest_bucket(struct kw_writer *writer, const struct kw_digest *digest)
{
    uint32_t hash;
    memcpy(&hash, digest->bytes, sizeof hash);
    return &writer->imported[hash % KW_TOUCHED_BUCKETS];
}

void kw__import_note(struct kw_writer *writer, size_t index)
{
    struct kw_work *work = &writer->works[index];
    uint32_t *bucket = digest_bucket(writer, &work->digests[0]);
    work->imported_next = *bucket;
    *bucket = (uint32_t)index + 1;
}

static const struct kw_work *noted(struct kw_writer *writer, const struct kw_digest *digest)
{
    uint32_t at = *digest_bucket(writer, digest);
    while (at != 0) {
        const struct kw_work *work = &writer->works[at - 1];
        if (!work->settled && memcmp(work->digests[0].bytes, digest->bytes, sizeof digest->bytes) == 0) {
            return work;
        }
        at = work->imported_next;
    }
    return NULL;
}

/* --- what is here --- */

static enum kw_status decode_found(const struct kw_found *found, struct here *here)
{
    enum kw_status status = kw_record_decode(found->row.record, &here->record);
    here->is_there = status == KW_OK;
    here->is_erased = found->row.erased;
    here->digest.size = (uint8_t)found->row.digest.size;
    memcpy(here->digest.bytes, found->row.digest.data, found->row.digest.size);
    return status;
}

/* By a digest: as the group has left it, or in the index (whose NULL is final once it is complete), or in the store. */
static enum kw_status find_digest(struct kw_engine *engine, const struct kw_digest *digest, struct here *here)
{
    const struct kw_work *earlier = noted(engine->writer_state, digest);
    if (earlier != NULL) {
        *here = (struct here){.record = earlier->change.after, .digest = *digest, .is_there = true};
        return KW_OK;
    }
    kw_index_read_begin();
    bool is_complete = kw_index_complete(engine->index);
    bool is_known = kw_index_find(engine->index, digest) != NULL;
    kw_index_read_end();
    if (is_complete && !is_known) {
        return KW_OK;
    }
    struct kw_found found = {.arena = &engine->writer_state->arena};
    struct kw_bytes bytes = kw_bytes_of(digest->bytes, digest->size);
    enum kw_status status = engine->store->ops->find_by_digest(engine->store, bytes, kw__found_sink, &found);
    if (status == KW_OK) {
        status = decode_found(&found, here);
    }
    /* An earlier part of the group may have changed it. */
    if (status == KW_OK && !here->is_erased &&
        kw__load_key(engine, &here->record.id, &here->record, &here->digest) != KW_OK) {
        here->is_erased = true;
    }
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

/*
 * A look-up costs a read transaction, and nearly all ids are new. So the store is asked only once it has refused to
 * take the id, and where nothing would tell: in a rehearsal, and where the digest is another key's.
 */
static bool must_look_up(const struct kw_import_one *one, const struct here *by_digest)
{
    bool is_other = by_digest->is_there && !kw_id_equal(&by_digest->record.id, &one->item->record.id);
    return is_other || one->dry_run || one->meets_conflict;
}

static enum kw_status see_tombstone(void *context, const struct kw_store_row *row)
{
    *(struct kw_id *)context = row->id;
    return KW_OK;
}

/* Whether a key of that id was erased, as the store has it. */
static enum kw_status find_tombstone(struct kw_engine *engine, const struct kw_id *id, bool *is_erased_out)
{
    struct kw_id before = *id;
    struct kw_id found = {{0}};
    for (size_t i = sizeof before.bytes; i-- > 0 && before.bytes[i]-- == 0;) {
    }
    enum kw_status status = engine->store->ops->tombstones(engine->store, &before, 1, see_tombstone, &found);
    *is_erased_out = status == KW_OK && kw_id_equal(&found, id);
    return status;
}

static enum kw_status find_id(struct kw_engine *engine, const struct kw_import_one *one, const struct here *by_digest,
                              struct here *here)
{
    const struct kw_id *id = &one->item->record.id;
    const struct kw_record *touched = NULL;
    bool is_touched = !kw_id_is_none(id) && kw__touched_before(engine->writer_state, id, &touched) != NULL;
    if (kw_id_is_none(id) || (!is_touched && !must_look_up(one, by_digest))) {
        return KW_OK;
    }
    enum kw_status status = kw__load_key(engine, id, &here->record, &here->digest);
    here->is_there = status == KW_OK;
    here->is_erased = is_touched && status == KW_E_NOT_FOUND;
    if (status == KW_E_NOT_FOUND) {
        status = is_touched ? KW_OK : find_tombstone(engine, id, &here->is_erased);
    }
    return status;
}

/* --- conflicts --- */

static enum kw_status skip_or_refuse(struct kw_work *work, enum kw_code code, const char *field, const char *why)
{
    struct kw_import_one *one = work->op->import_one;
    one->outcome = one->on_conflict == KW_IMPORT_SKIP ? KW_IMPORT_SKIPPED : KW_IMPORT_REFUSED;
    return kw_refuse(&work->op->error, code, field, "%s", why);
}

static enum kw_status in_the_way(struct kw_work *work, const struct here *here, const char *field)
{
    char text[KW_ID_TEXT_SIZE + 1] = {0};
    char why[160];
    work->op->import_one->id = here->record.id;
    kw_id_format(&here->record.id, text);
    struct kw_buffer buffer;
    kw_buffer_init_fixed(&buffer, why, sizeof why);
    kw_buffer_add_format(&buffer, "%s has %s: it is here already%c", text,
                         strcmp(field, "id") == 0 ? "this id" : "this digest, so it is the same key", '\0');
    return skip_or_refuse(work, KW_CODE_ALREADY_EXISTS, field, why);
}

static enum kw_status refuse_erased(struct kw_work *work)
{
    return skip_or_refuse(work, KW_CODE_CANNOT_MODIFY_REVOKED, NULL,
                          "this key was revoked and erased here, and nothing brings it back");
}

/* Takes what is here of one of the item's digests to what is here of those before it. */
static enum kw_status weigh(struct kw_work *work, const struct here *here, struct here *found)
{
    if (here->is_erased) {
        return refuse_erased(work);
    }
    if (here->is_there && !kw_bytes_equal(here->record.project, work->project->name)) {
        return skip_or_refuse(work, KW_CODE_ALREADY_EXISTS, "digest", "is kept in another project");
    }
    if (here->is_there && found->is_there && !kw_id_equal(&here->record.id, &found->record.id)) {
        return in_the_way(work, here, "digest");
    }
    *found = here->is_there ? *here : *found;
    return KW_OK;
}

/* Chooses the key that the item is to overwrite; none: it is a new one. */
static enum kw_status choose(struct kw_work *work, const struct here *by_id, const struct here *by_digest,
                             const struct here **target_out)
{
    *target_out = NULL;
    if (by_id->is_erased) {
        return refuse_erased(work);
    }
    if (by_id->is_there && !kw_bytes_equal(by_id->record.project, work->project->name)) {
        return skip_or_refuse(work, KW_CODE_ALREADY_EXISTS, "id", "is taken: give the key another id, or none");
    }
    if (by_id->is_there && by_digest->is_there && !kw_id_equal(&by_id->record.id, &by_digest->record.id)) {
        return in_the_way(work, by_digest, "digest");
    }
    const struct kw_import_one *one = work->op->import_one;
    if (!by_digest->is_there && !by_id->is_there) {
        return KW_OK;
    }
    *target_out = by_digest->is_there ? by_digest : by_id;
    if (one->on_conflict != KW_IMPORT_OVERWRITE) {
        return in_the_way(work, *target_out, by_digest->is_there ? "digest" : "id");
    }
    /* Under another method it may well be the same key; under the same one it is not. */
    if (!by_digest->is_there && kw_record_digest_method(&by_id->record) == one->method) {
        return in_the_way(work, by_id, "id");
    }
    return KW_OK;
}

/* What is here under the item's digests. Fails with op->error set. */
static enum kw_status find_digests(struct kw_engine *engine, struct kw_work *work, struct here *found)
{
    const struct kw_import_one *one = work->op->import_one;
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < one->digest_count && status == KW_OK; i++) {
        struct here here = {.is_there = false};
        status = find_digest(engine, &one->digests[i], &here);
        status = status == KW_OK ? weigh(work, &here, found) : kw__store_failed(&work->op->error, status);
    }
    return status;
}

enum kw_status kw__import_find(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    struct kw_op *op = work->op;
    struct kw_import_one *one = op->import_one;
    struct here by_id = {.is_there = false};
    struct here by_digest = {.is_there = false};
    one->outcome = KW_IMPORT_REFUSED;
    one->id = one->item->record.id;
    enum kw_status status = find_digests(engine, work, &by_digest);
    if (status != KW_OK) {
        return status;
    }
    status = find_id(engine, one, &by_digest, &by_id);
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    const struct here *target = NULL;
    status = choose(work, &by_id, &by_digest, &target);
    if (status == KW_OK && target == NULL && kw_engine_digest_was_moved(engine, &one->digests[0], &one->id)) {
        return skip_or_refuse(work, KW_CODE_ALREADY_EXISTS, "digest",
                              "was that of a key that has moved to another one: import it again after a restart");
    }
    if (status != KW_OK || target == NULL) {
        return status;
    }
    one->id = target->record.id;
    work->before = target->record;
    work->before_digest = target->digest;
    work->has_before = true;
    int64_t seen_ms = kw__seen_until(engine, &work->before_digest, &work->before);
    op->now_ms = seen_ms > op->now_ms ? seen_ms : op->now_ms;
    bool is_dead = kw_record_status(&work->before, op->now_ms) == KW_KEY_REVOKED;
    if (is_dead && one->item->record.revoked_at_ms != 0) {
        one->outcome = KW_IMPORT_SKIPPED;
        return kw_refuse(&op->error, KW_CODE_ALREADY_REVOKED, NULL, "the key is revoked here as well");
    }
    return KW_OK;
}
