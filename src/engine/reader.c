#include "engine/internal.h"

#include "base/bytes.h"
#include "core/id.h"
#include "engine/audit_read.h"
#include "engine/events_read.h"
#include "engine/export.h"
#include "engine/insights.h"
#include "engine/listing.h"
#include "engine/webhooks.h"

enum kw_status kw__store_failed(struct kw_error *error_out, enum kw_status status)
{
    switch (status) {
    case KW_E_NOT_FOUND:
        return kw_refuse(error_out, KW_CODE_KEY_NOT_FOUND, NULL, "there is no such key in this project");
    case KW_E_CORRUPT:
        return kw_refuse(error_out, KW_CODE_STORE_CORRUPT, NULL, "the store holds damaged data: see the server's log");
    case KW_E_NEWER:
        return kw_refuse(error_out, KW_CODE_STORE_NEWER, NULL, "the store was written by a newer version of Keyward");
    case KW_E_FULL:
        return kw_refuse(error_out, KW_CODE_STORE_FULL, NULL,
                         "the disk that the store is on is full: make room and try again; nothing was changed");
    case KW_E_UNCERTAIN:
        return kw_refuse(error_out, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                         "the change may or may not have happened: read the key before trying again");
    case KW_E_MEMORY:
    case KW_E_LIMIT:
        return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
    default:
        return kw_refuse(error_out, KW_CODE_STORE_UNAVAILABLE, NULL,
                         "the store cannot be reached or written: try again; nothing was changed");
    }
}

enum kw_status kw__found_sink(void *context, const struct kw_store_row *row)
{
    struct kw_found *found = context;
    if (row->digest.size < KW_DIGEST_INDEX_SIZE || row->digest.size > KW_DIGEST_MAX) {
        return KW_E_CORRUPT; /* whatever a store hands out */
    }
    found->row = *row;
    enum kw_status status = kw_arena_copy(found->arena, row->digest, &found->row.digest);
    status = status != KW_OK ? status : kw_arena_copy(found->arena, row->project, &found->row.project);
    status = status != KW_OK ? status : kw_arena_copy(found->arena, row->record, &found->row.record);
    status = status != KW_OK ? status : kw_arena_copy(found->arena, row->used_address, &found->row.used_address);
    found->row.env = found->row.owner = found->row.org_id = found->row.policy = (struct kw_bytes){NULL, 0};
    found->row.used_region = (struct kw_bytes){NULL, 0};
    found->row.tags = (struct kw_list){{NULL, 0}, 0};
    return status;
}

static bool is_of_project(struct kw_engine *engine, const struct kw_store_row *row, uint16_t project)
{
    kw_index_read_begin();
    const struct kw_project *wanted = kw_project_by_number(kw__catalog(engine), project);
    bool is = wanted != NULL && kw_bytes_equal(row->project, wanted->name);
    kw_index_read_end();
    return is;
}

struct kw_last_use kw__last_use_of(const struct kw_store_row *row)
{
    struct kw_last_use use = {.at_ms = row->used_at_ms};
    if (row->used_address.size == sizeof use.address) {
        memcpy(use.address, row->used_address.data, sizeof use.address);
        use.address_size = sizeof use.address;
    }
    if (row->used_region.size > 0 && row->used_region.size <= sizeof use.region) {
        memcpy(use.region, row->used_region.data, row->used_region.size);
        use.region_size = (uint8_t)row->used_region.size;
    }
    return use;
}

struct get {
    struct kw_engine *engine;
    struct kw_op *op;
};

static enum kw_status get_sink(void *context, const struct kw_store_row *row)
{
    struct get *get = context;
    if (row->erased || !is_of_project(get->engine, row, get->op->project)) {
        return KW_E_NOT_FOUND;
    }
    get->op->last_use = kw__last_use_of(row);
    kw_buffer_add(&get->op->result, row->record);
    return kw_buffer_status(&get->op->result);
}

static enum kw_status run_get(struct kw_engine *engine, struct kw_op *op)
{
    struct get get = {.engine = engine, .op = op};
    enum kw_status status = engine->store->ops->find_by_id(engine->store, &op->id, get_sink, &get);
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    kw__look_above(engine, op);
    return KW_OK;
}

/* The digests that a key may have in a project (in any, for none), its own method's first. */
struct digests {
    struct kw_digest of[KW_METHODS_MAX];
    size_t count;
};

static enum kw_status digest_all(struct kw_engine *engine, uint16_t project, struct kw_bytes key,
                                 struct digests **digests_out)
{
    struct digests *digests = key.size > KW_KEY_SIZE_MAX ? NULL : kw_alloc(1, sizeof *digests);
    if (digests == NULL) {
        return key.size > KW_KEY_SIZE_MAX ? KW_E_NOT_FOUND : KW_E_MEMORY;
    }
    kw_index_read_begin();
    const struct kw__methods *methods = kw__methods(engine);
    const struct kw_project *known = kw_project_by_number(kw__catalog(engine), project);
    const struct kw__method *own =
        known == NULL ? methods->by_number[methods->own_of[0]] : kw__own_method(methods, known);
    kw_digest_key(own->digester, key, &digests->of[digests->count++]);
    for (size_t i = 0; i < methods->count; i++) {
        const struct kw__method *method = methods->by_number[methods->numbers[i]];
        if (method != own && (project == KW_PROJECT_NONE || kw__method_serves(method, project))) {
            kw_digest_key(method->digester, key, &digests->of[digests->count++]);
        }
    }
    kw_index_read_end();
    *digests_out = digests;
    return KW_OK;
}

/* The first that the sink takes. */
static enum kw_status find_by_key(struct kw_engine *engine, const struct kw_op *op, kw_store_row_sink *sink,
                                  void *context)
{
    struct digests *digests = NULL;
    enum kw_status status = digest_all(engine, op->project, op->key, &digests);
    if (status != KW_OK) {
        return status;
    }
    status = KW_E_NOT_FOUND;
    for (size_t i = 0; i < digests->count && status == KW_E_NOT_FOUND; i++) {
        struct kw_bytes digest = kw_bytes_of(digests->of[i].bytes, digests->of[i].size);
        status = engine->store->ops->find_by_digest(engine->store, digest, sink, context);
    }
    kw_free(digests);
    return status;
}

static enum kw_status run_find(struct kw_engine *engine, struct kw_op *op)
{
    struct get get = {.engine = engine, .op = op};
    enum kw_status status = op->digest.size > 0
                                ? engine->store->ops->find_by_digest(engine->store, op->digest, get_sink, &get)
                                : find_by_key(engine, op, get_sink, &get);
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    kw__look_above(engine, op);
    return KW_OK;
}

/* A line that cannot be followed stays unknown: its children are refused until the whole of the store was read. */
static enum kw_status load_parents(struct kw_engine *engine, struct kw_bytes encoding)
{
    struct kw_record record;
    size_t generation;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK && !kw_id_is_none(&record.parent_id)) {
        status = kw__load_family(engine, &record.parent_id, &generation);
    }
    return status;
}

/* Brings what the store has under one digest into the index. */
static enum kw_status load_digest(struct kw_engine *engine, const struct kw_digest *digest)
{
    uint8_t memory[2048];
    struct kw_arena arena;
    kw_arena_init(&arena, memory, sizeof memory, (size_t)2 * KW_RECORD_MAX);
    struct kw_found found = {.arena = &arena};
    enum kw_status status = engine->store->ops->find_by_digest(engine->store, kw_bytes_of(digest->bytes, digest->size),
                                                               kw__found_sink, &found);
    status = status == KW_OK ? kw__index_row(engine, &found.row) : status;
    status = status == KW_OK && !found.row.erased ? load_parents(engine, found.row.record) : status;
    kw_arena_reset(&arena);
    return status;
}

/* All methods were asked: imported keys that were found need not be looked for in the store again. */
static void mark_checked(struct kw_engine *engine, const struct digests *digests)
{
    kw_index_read_begin();
    for (size_t i = 0; i < digests->count; i++) {
        struct kw_entry *entry = kw_index_find(engine->index, &digests->of[i]);
        if (entry != NULL) {
            __atomic_fetch_or(&entry->marks, KW_ENTRY_CHECKED, __ATOMIC_RELAXED);
        }
    }
    kw_index_read_end();
}

static enum kw_status run_load(struct kw_engine *engine, struct kw_op *op)
{
    struct digests *digests = NULL;
    enum kw_status status = digest_all(engine, op->project, op->key, &digests);
    size_t found_count = 0;
    for (size_t i = 0; status == KW_OK && i < digests->count; i++) {
        status = load_digest(engine, &digests->of[i]);
        found_count += status == KW_OK;
        status = status == KW_E_NOT_FOUND ? KW_OK : status;
    }
    if (status == KW_OK) {
        mark_checked(engine, digests);
        status = found_count == 0 ? KW_E_NOT_FOUND : KW_OK;
    }
    kw_free(digests);
    __atomic_fetch_add(&engine->store_loads, 1, __ATOMIC_RELAXED);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

static void run_read(struct kw_engine *engine, struct kw_op *op)
{
    op->now_ms = kw_engine_now_ms(engine);
    switch (op->kind) {
    case KW_OP_GET:
        op->status = run_get(engine, op);
        break;
    case KW_OP_FIND:
        op->status = run_find(engine, op);
        break;
    case KW_OP_LIST:
        op->status = kw__run_list(engine, op);
        break;
    case KW_OP_COUNT:
        op->status = kw__run_count(engine, op);
        break;
    case KW_OP_USAGE:
        op->status = kw__usage_read(engine, op);
        break;
    case KW_OP_IMPORT:
        op->status = kw__import_run(engine, op);
        break;
    case KW_OP_EXPORT:
        op->status = kw__export_read(engine, op);
        break;
    case KW_OP_INSIGHT:
        op->status = kw__insight_read(engine, op);
        break;
    case KW_OP_AUDIT:
        op->status = kw__audit_read(engine, op);
        break;
    case KW_OP_EVENTS:
        op->status = kw__events_read(engine, op);
        break;
    case KW_OP_DELIVERIES:
        op->status = kw__deliveries_read(engine, op);
        break;
    case KW_OP_REPLAY:
        op->status = kw__deliveries_replay(engine, op);
        break;
    case KW_OP_INSIGHTS:
        op->status = kw__insights_read(engine, op);
        break;
    default:
        op->status = run_load(engine, op);
        break;
    }
    op->done(op);
}

void *kw__reader_main(void *context)
{
    struct kw_engine *engine = context;
    bool closed = false;
    while (!closed) {
        struct kw_op *op = kw__queue_take(&engine->reads, 1, -1, &closed);
        if (op != NULL) {
            run_read(engine, op);
        }
    }
    return NULL;
}
