#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"

#include <stdio.h>

/* Rows that one action looks at, most of which are revoked already: so long the writer keeps others waiting. */
#define LOOKED_AT_MAX ((size_t)10 * KW_BULK_MAX)

#define PIECES_A_GRACE_PERIOD 64 /* what was replaced in the index is freed so often */

struct search {
    struct kw_crowd *crowd;
    const struct kw_project *project;
    struct kw_op *op;
    size_t keys_max;
    bool is_too_many;
    size_t on_page;
    struct kw_id last; /* looked at */
};

/* Whether a refusal says no more than that the key is so already, or is revoked: then it is left alone. */
static bool spares(const struct kw_error *error)
{
    switch (kw_code_of_name(error->code)) {
    case KW_CODE_ALREADY_ENABLED:
    case KW_CODE_ALREADY_DISABLED:
    case KW_CODE_ALREADY_REVOKED:
    case KW_CODE_CANNOT_MODIFY_REVOKED:
        return true;
    default:
        return false;
    }
}

/* What the core would refuse for certain: such keys need no memory. The core judges all others. */
static bool stays(const struct kw_op *op, const struct kw_record *record)
{
    bool is_enabled = kw_record_is_enabled(record, op->now_ms);
    return record->revoked_at_ms != 0 || (op->then != KW_OP_REVOKE && is_enabled == (op->then == KW_OP_ENABLE));
}

static enum kw_status look_at(void *context, const struct kw_store_row *row)
{
    struct search *search = context;
    struct kw_record record;
    search->last = row->id;
    search->on_page++;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status != KW_OK) {
        return status;
    }
    if (!kw_bytes_equal(record.project, search->project->name)) {
        return KW_E_NOT_FOUND;
    }
    search->op->matched++;
    if (stays(search->op, &record)) {
        return KW_OK;
    }
    search->is_too_many = search->crowd->count == search->keys_max;
    struct kw_digest digest;
    status = search->is_too_many ? KW_E_LIMIT : kw__row_digest(row, &digest);
    return status == KW_OK ? kw_crowd_add(search->crowd, &row->id, &digest, row->record) : status;
}

static enum kw_status search_failed(struct search *search, enum kw_status status)
{
    struct kw_error *error = &search->op->error;
    if (search->is_too_many) {
        return kw_refuse(error, KW_CODE_TOO_MANY_KEYS, NULL,
                         "more than %zu keys match, and one action changes no more: narrow it by owner, org or tag, or "
                         "name ids; nothing was changed",
                         search->keys_max);
    }
    if (status == KW_E_LIMIT) {
        return kw_refuse(error, KW_CODE_TOO_MANY_KEYS, NULL,
                         "the keys that match are too large to be changed in one action: narrow it by owner, org or "
                         "tag, or name ids; nothing was changed");
    }
    return kw__store_failed(error, status);
}

static enum kw_status search_filter(struct kw_engine *engine, struct search *search)
{
    const struct kw_where *where = search->op->where;
    struct kw_store_filter filter = {
        .project = search->project->name,
        .owner = where->owner,
        .org_id = where->org_id,
        .limit = KW_STORE_LIST_MAX,
    };
    /* Tags are kept in lower case, and none is longer. */
    uint8_t lower[KW_TAG_MAX];
    if (where->tag.size > sizeof lower) {
        return KW_OK;
    }
    kw_bytes_lower(where->tag, lower);
    struct kw_bytes tag = kw_bytes_of(lower, where->tag.size);
    filter.tags = &tag;
    filter.tag_count = tag.size > 0 ? 1 : 0;
    size_t looked_at = 0;
    do {
        search->on_page = 0;
        enum kw_status status = engine->store->ops->list(engine->store, &filter, look_at, search);
        if (status != KW_OK) {
            return search_failed(search, status);
        }
        filter.after.id = search->last;
        looked_at += search->on_page;
        if (looked_at > LOOKED_AT_MAX) {
            return kw_refuse(&search->op->error, KW_CODE_TOO_MANY_KEYS, NULL,
                             "more than %zu keys match, and one action looks at no more: narrow it by owner, org or "
                             "tag, or name ids; nothing was changed",
                             LOOKED_AT_MAX);
        }
    } while (search->on_page == filter.limit);
    return KW_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return kw_id_compare(a, b);
}

static enum kw_status refuse_id(struct search *search, const struct kw_id *id)
{
    const struct kw_where *where = search->op->where;
    size_t at = 0;
    while (at + 1 < where->id_count && !kw_id_equal(&where->ids[at], id)) {
        at++;
    }
    char field[32];
    snprintf(field, sizeof field, "ids[%zu]", at);
    return kw_refuse(&search->op->error, KW_CODE_KEY_NOT_FOUND, field,
                     "there is no such key in this project; nothing was changed");
}

static enum kw_status search_ids(struct kw_engine *engine, struct search *search)
{
    const struct kw_where *where = search->op->where;
    struct kw_id *ids = kw_arena_take_array(&engine->writer_state->arena, where->id_count, sizeof *ids);
    if (ids == NULL) {
        return search_failed(search, KW_E_MEMORY);
    }
    memcpy(ids, where->ids, where->id_count * sizeof *ids);
    qsort(ids, where->id_count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < where->id_count; i++) {
        if (i > 0 && kw_id_equal(&ids[i - 1], &ids[i])) {
            continue;
        }
        enum kw_status status = engine->store->ops->find_by_id(engine->store, &ids[i], look_at, search);
        if (status != KW_OK) {
            return status == KW_E_NOT_FOUND ? refuse_id(search, &ids[i]) : search_failed(search, status);
        }
    }
    return KW_OK;
}

static enum kw_status check(const struct kw_where *where, struct kw_error *error_out)
{
    bool has_filter = where->owner.size > 0 || where->org_id.size > 0 || where->tag.size > 0;
    if (where->id_count > 0 && has_filter) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "ids", "cannot stand beside owner, org or tag: give either");
    }
    if (where->id_count == 0 && !has_filter) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, NULL,
                         "say which keys are meant: by ids, or by owner, org or tag");
    }
    return where->id_count <= KW_BULK_IDS_MAX
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_TOO_MANY_KEYS, "ids", "holds too many: at most %d", KW_BULK_IDS_MAX);
}

/* One change that stands for that of every key: what differs between them stands in the works. */
static void make_part(struct kw_writer *writer, const struct kw_op *op)
{
    kw_op_deinit(&writer->where_part);
    kw_op_init(&writer->where_part, op->then, op->project);
    writer->where_part.actor = op->actor;
    writer->where_part.reason = op->reason;
    writer->where_part.circumstances = op->circumstances;
    writer->where_part.authority = op->authority;
    writer->where_part.spares_children = op->spares_children;
    writer->where_part.now_ms = op->now_ms;
    kw_op_deinit(&writer->where_lapse);
    kw_op_init(&writer->where_lapse, KW_OP_LAPSE, op->project);
    writer->where_lapse.actor = KW_BYTES("system");
}

/*
 * A key that an action on a filter finds revoked though its record does not say so: its grace period has passed. That
 * is written down with the action, whose answer counts on it: else a crash and a clock that steps back would revive it.
 */
static enum kw_status prepare_lapse(struct kw_engine *engine, size_t index)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_work *work = &writer->works[index];
    int64_t now_ms = writer->where_part.now_ms;
    int64_t until_ms = kw_record_ends_at(&work->before);
    work->op = &writer->where_lapse;
    work->op->now_ms = now_ms > until_ms ? now_ms : until_ms; /* it may have been seen before the clock stepped back */
    work->before.revoked_at_ms = 0;
    enum kw_status status = kw__prepare(engine, index);
    work->op->now_ms = now_ms;
    return status;
}

/* A key that is so already is left alone, and any other refusal is that of all. */
static enum kw_status prepare(struct kw_engine *engine, size_t index)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_work *work = &writer->works[index];
    int64_t now_ms = writer->where_part.now_ms;
    enum kw_status status = kw__prepare(engine, index);
    if (status != KW_OK && spares(&work->op->error)) {
        work->is_refused = true;
        work->put_count = 0;
        bool has_ended = kw_record_status(&work->before, writer->where_part.now_ms) == KW_KEY_REVOKED;
        status = has_ended ? prepare_lapse(engine, index) : KW_OK;
    }
    writer->where_part.now_ms =
        now_ms; /* it may be later for a key whose time was seen before the clock stepped back */
    return status;
}

/* Makes works of a piece, in place of those before. Fails with the error set in the operation. */
static enum kw_status load_piece(struct kw_engine *engine, struct kw_op *op, const struct kw_crowd_piece *piece)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_bytes rest = kw_buffer_bytes(&piece->records);
    memset(writer->touched, 0, sizeof writer->touched);
    kw_arena_reset(&writer->arena);
    if (!kw__works_take(writer, piece->count)) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    for (size_t i = 0; i < piece->count; i++) {
        struct kw_work *work = &writer->works[writer->work_count++];
        work->op = &writer->where_part;
        work->before_digest = piece->keys[i].digest;
        work->is_loaded = true;
        if (kw_record_decode(kw_crowd_record(&piece->keys[i], &rest), &work->before) != KW_OK) {
            return kw__store_failed(&op->error, KW_E_CORRUPT);
        }
    }
    return KW_OK;
}

static enum kw_status decide_piece(struct kw_engine *engine, struct kw_op *op, const struct kw_crowd_piece *piece)
{
    struct kw_writer *writer = engine->writer_state;
    enum kw_status status = load_piece(engine, op, piece);
    for (size_t i = 0; i < writer->work_count && status == KW_OK; i++) {
        status = prepare(engine, i);
        if (status != KW_OK) {
            op->error = writer->works[i].op->error;
        }
    }
    return status;
}

/* Whether any would leave an orphan is asked last, as of one key alone: all of them are decided on before. */
static enum kw_status refuse_orphans(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_writer *writer = engine->writer_state;
    enum kw_status status = KW_OK;
    size_t looked_at = 0;
    for (const struct kw_crowd_piece *piece = writer->crowd.first; piece != NULL && status == KW_OK;
         piece = piece->next) {
        status = decide_piece(engine, op, piece);
        kw__note_refused(engine); /* should the action come to nothing */
    }
    for (const struct kw_crowd_piece *piece = writer->crowd.first; piece != NULL && status == KW_OK;
         piece = piece->next) {
        status = load_piece(engine, op, piece);
        for (size_t i = 0; i < writer->work_count && status == KW_OK; i++) {
            status = kw__refuse_orphans_where(engine, &writer->works[i], &looked_at);
            if (status != KW_OK) {
                op->error = writer->where_part.error;
            }
        }
    }
    return status;
}

enum kw_status kw__where_find(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_op *op = unit->op;
    kw_crowd_end(&writer->crowd);
    struct search search = {.crowd = &writer->crowd,
                            .op = op,
                            .project = kw_project_by_number(kw__catalog(engine), op->project),
                            .keys_max = engine->bulk_max};
    op->matched = op->changed = 0;
    op->now_ms = kw_engine_now_ms(engine);
    if (search.project == NULL) {
        return kw__project_gone(&op->error);
    }
    enum kw_status status = check(op->where, &op->error);
    if (status == KW_OK) {
        status = op->where->id_count > 0 ? search_ids(engine, &search) : search_filter(engine, &search);
    }
    if (status != KW_OK) {
        return status;
    }
    make_part(writer, op);
    return op->spares_children ? refuse_orphans(engine, op) : KW_OK;
}

/* What was made of the records takes their place. They stay until the next piece: works and rows point into them. */
static enum kw_status keep_made(struct kw_writer *writer, struct kw_crowd_piece *piece)
{
    struct kw_crowd *crowd = &writer->crowd;
    size_t size = 0;
    for (size_t i = 0; i < piece->count; i++) {
        size += writer->works[i].put_count > 0 ? writer->works[i].puts[0].row.record.size : 0;
    }
    kw_buffer_deinit(&crowd->former);
    crowd->former = piece->records;
    kw_buffer_init(&piece->records, size == 0 ? 1 : size);
    for (size_t i = 0; i < piece->count; i++) {
        const struct kw_work *work = &writer->works[i];
        struct kw_crowd_key *key = &piece->keys[i];
        struct kw_bytes made = work->put_count > 0 ? work->puts[0].row.record : (struct kw_bytes){NULL, 0};
        kw_buffer_add(&piece->records, made);
        key->size = (uint32_t)made.size;
        key->is_written = work->put_count > 0;
        key->is_changed = key->is_written && work->op->kind != KW_OP_LAPSE;
        crowd->written += key->is_written;
    }
    return kw_buffer_status(&piece->records);
}

enum kw_status kw__where_next(void *engine, struct kw_store_batch *piece_out)
{
    struct kw_writer *writer = ((struct kw_engine *)engine)->writer_state;
    struct kw_crowd *crowd = &writer->crowd;
    struct kw_op *op = writer->units[0].op; /* it is a group of its own */
    while (crowd->next != NULL && crowd->refusal == KW_OK && piece_out->put_count == 0) {
        struct kw_crowd_piece *piece = crowd->next;
        kw__note_refused(engine);
        crowd->refusal = decide_piece(engine, op, piece);
        bool is_whole = crowd->refusal != KW_OK || (kw__works_bind(engine, writer->works, piece->count, piece_out) &&
                                                    keep_made(writer, piece) == KW_OK);
        crowd->refusal = is_whole ? crowd->refusal : kw__store_failed(&op->error, KW_E_MEMORY);
        crowd->next = piece->next;
    }
    return crowd->refusal;
}

bool kw__where_has_happened(struct kw_engine *engine)
{
    struct kw_found found = {.arena = &engine->writer_state->arena};
    const struct kw_crowd_key *last = NULL;
    struct kw_bytes made = {NULL, 0};
    for (const struct kw_crowd_piece *piece = engine->writer_state->crowd.first; piece != NULL; piece = piece->next) {
        struct kw_bytes rest = kw_buffer_bytes(&piece->records);
        for (size_t i = 0; i < piece->count; i++) {
            struct kw_bytes record = kw_crowd_record(&piece->keys[i], &rest);
            made = piece->keys[i].is_written ? record : made;
            last = piece->keys[i].is_written ? &piece->keys[i] : last;
        }
    }
    return last != NULL &&
           engine->store->ops->find_by_digest(engine->store, kw_bytes_of(last->digest.bytes, last->digest.size),
                                              kw__found_sink, &found) == KW_OK &&
           kw_bytes_equal(found.row.record, made);
}

static bool show(struct kw_engine *engine, const struct kw_op *op, const struct kw_crowd_key *key,
                 struct kw_bytes record)
{
    const struct kw_digest *former = kw__doubted_move(engine, &key->digest);
    enum kw_status status = former == NULL
                                ? kw_index_put(engine->index, &key->digest, op->project, false, record)
                                : kw_index_move(engine->index, former, &key->digest, op->project, false, record);
    if (status != KW_OK) {
        kw__condemn(engine, &key->digest);
        kw__doubt(engine, &key->digest, former);
    }
    return status == KW_OK;
}

void kw__where_publish(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_op *op = unit->op;
    bool is_seen = true;
    size_t pieces = 0;
    for (const struct kw_crowd_piece *piece = engine->writer_state->crowd.first; piece != NULL; piece = piece->next) {
        struct kw_bytes rest = kw_buffer_bytes(&piece->records);
        for (size_t i = 0; i < piece->count; i++) {
            const struct kw_crowd_key *key = &piece->keys[i];
            struct kw_bytes record = kw_crowd_record(key, &rest);
            op->changed += key->is_changed;
            is_seen = (!key->is_written || show(engine, op, key, record)) && is_seen;
        }
        if (++pieces % PIECES_A_GRACE_PERIOD == 0) {
            kw_index_reclaim(engine->index);
        }
    }
    kw__unit_finish(unit, is_seen ? KW_OK : kw__store_failed(&op->error, KW_E_UNCERTAIN));
}
