#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"

#include <stdio.h>

/* Rows that one action looks at, most of which are revoked already: so long the writer keeps others waiting. */
#define LOOKED_AT_MAX ((size_t)10 * KW_BULK_MAX)

#define ARRAYS_MAX (2 * KW_BULK_MAX * sizeof(struct kw_store_put)) /* the largest piece that is taken at once */

/* A key that is to change, as long as it is not known how many there are. */
struct meant {
    struct kw_digest digest;
    struct kw_bytes record;
    struct meant *next;
};

struct search {
    struct kw_writer *writer;
    const struct kw_project *project;
    struct kw_op *op;
    struct meant *first, **end;
    size_t count;
    size_t on_page;
    struct kw_id last; /* looked at */
};

bool kw__where_spares(const struct kw_error *error)
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

static enum kw_status refuse_many(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_TOO_MANY_KEYS, NULL,
                     "more than %d keys match, and one action changes no more: narrow it by owner, org or tag, or name "
                     "ids; nothing was changed",
                     KW_BULK_MAX);
}

enum kw_status kw__where_no_memory(struct kw_writer *writer, struct kw_error *error_out)
{
    return kw_arena_refusal(&writer->arena, ARRAYS_MAX) != KW_E_LIMIT
               ? kw__store_failed(error_out, KW_E_MEMORY)
               : kw_refuse(error_out, KW_CODE_TOO_MANY_KEYS, NULL,
                           "the keys that match are too large to be changed in one action: narrow it by owner, org or "
                           "tag, or name ids; nothing was changed");
}

/* What the core would refuse for certain: such keys need no memory. The core judges all others. */
static bool stays(const struct kw_op *op, const struct kw_record *record)
{
    return record->revoked_at_ms != 0 || (op->then != KW_OP_REVOKE && record->enabled == (op->then == KW_OP_ENABLE));
}

static enum kw_status add_meant(struct search *search, const struct kw_store_row *row)
{
    struct meant *meant = kw_arena_take(&search->writer->arena, sizeof *meant);
    if (meant == NULL || kw_arena_copy(&search->writer->arena, row->record, &meant->record) != KW_OK) {
        return KW_E_MEMORY;
    }
    meant->digest.size = (uint8_t)row->digest.size;
    memcpy(meant->digest.bytes, row->digest.data, row->digest.size);
    *search->end = meant;
    search->end = &meant->next;
    search->count++;
    return KW_OK;
}

static enum kw_status look_at(void *context, const struct kw_store_row *row)
{
    struct search *search = context;
    struct kw_record record;
    search->last = row->id;
    search->on_page++;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status != KW_OK || row->digest.size < KW_DIGEST_INDEX_SIZE || row->digest.size > KW_DIGEST_MAX) {
        return status != KW_OK ? status : KW_E_CORRUPT;
    }
    if (!kw_bytes_equal(record.project, search->project->name)) {
        return KW_E_NOT_FOUND;
    }
    search->op->matched++;
    if (stays(search->op, &record)) {
        return KW_OK;
    }
    return search->count == KW_BULK_MAX ? KW_E_LIMIT : add_meant(search, row);
}

static enum kw_status search_failed(struct search *search, enum kw_status status)
{
    struct kw_error *error = &search->op->error;
    if (status == KW_E_LIMIT) {
        return refuse_many(error);
    }
    return status == KW_E_MEMORY ? kw__where_no_memory(search->writer, error) : kw__store_failed(error, status);
}

/* Tags are kept in lower case, so that is how they are looked for. */
static bool lower(struct kw_arena *arena, struct kw_bytes tag, struct kw_bytes *lower_out)
{
    uint8_t *text = kw_arena_take(arena, tag.size);
    if (text == NULL) {
        return false;
    }
    kw_bytes_lower(tag, text);
    *lower_out = kw_bytes_of(text, tag.size);
    return true;
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
    struct kw_bytes tag;
    if (!lower(&search->writer->arena, where->tag, &tag)) {
        return search_failed(search, KW_E_MEMORY);
    }
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
    struct kw_id *ids = kw_arena_take_array(&search->writer->arena, where->id_count, sizeof *ids);
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
    return where->id_count <= KW_BULK_MAX
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_TOO_MANY_KEYS, "ids", "holds too many: at most %d", KW_BULK_MAX);
}

/* One change that stands for that of every key: what differs between them stands in the works. */
static void make_part(struct kw_writer *writer, const struct kw_op *op)
{
    kw_op_deinit(&writer->where_part);
    kw_op_init(&writer->where_part, op->then, op->project);
    writer->where_part.actor = op->actor;
    writer->where_part.reason = op->reason;
    writer->where_part.authority = op->authority;
    writer->where_part.spares_children = op->spares_children;
    kw_op_deinit(&writer->where_lapse);
    kw_op_init(&writer->where_lapse, KW_OP_LAPSE, op->project);
    writer->where_lapse.actor = KW_BYTES("system");
}

enum kw_status kw__where_find(struct kw_engine *engine, struct kw_unit *unit)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_op *op = unit->op;
    struct search search = {
        .writer = writer, .op = op, .project = kw_project_by_number(kw__catalog(engine), op->project)};
    search.end = &search.first;
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
    if (!kw__works_take(writer, search.count)) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    make_part(writer, op);
    for (struct meant *meant = search.first; meant != NULL; meant = meant->next) {
        struct kw_work *work = &writer->works[writer->work_count++];
        work->op = &writer->where_part;
        work->before_digest = meant->digest;
        work->is_loaded = true;
        if (kw_record_decode(meant->record, &work->before) != KW_OK) {
            return kw__store_failed(&op->error, KW_E_CORRUPT);
        }
    }
    unit->first = 0;
    unit->count = search.count;
    return KW_OK;
}
