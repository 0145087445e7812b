#include "engine/usage_rows.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/scope.h"
#include "engine/usage_table.h"

#define ROW_INDEX (2 * KW__USE_ROWS_MAX)
#define ENDPOINT_SETS 256
#define MEMORY_MAX ((size_t)8 << 20)
#define FIRST_BLOCK ((size_t)256 << 10)

/* The endpoints of one day that somebody has counts of. */
struct endpoint_set {
    struct kw_id lineage_id;
    uint64_t project; /* hashed */
    int64_t day_ms;
    size_t count;
    uint64_t hashes[KW_ENDPOINTS_OF_OTHERS];
};

struct kw__use_rows {
    struct kw_arena arena;
    struct kw_store_usage rows[KW__USE_ROWS_MAX];
    size_t row_count;
    uint16_t index[ROW_INDEX]; /* one more than a row's number; 0: none */
    struct kw_store_use uses[KW__USES_MAX];
    size_t use_count;
    uint64_t codes;
    struct endpoint_set *endpoints; /* ENDPOINT_SETS of them, each for those that share its place; made when needed */
};

_Static_assert(KW__USE_ROWS_MAX < UINT16_MAX, "a row's number fits the index");

enum kw_status kw__use_rows_new(struct kw__use_rows **rows_out)
{
    struct kw__use_rows *rows = kw_alloc(1, sizeof *rows);
    void *block = kw_alloc(1, FIRST_BLOCK);
    if (rows == NULL || block == NULL) {
        kw_free(rows);
        kw_free(block);
        return KW_E_MEMORY;
    }
    kw_arena_init(&rows->arena, block, FIRST_BLOCK, MEMORY_MAX);
    *rows_out = rows;
    return KW_OK;
}

void kw__use_rows_free(struct kw__use_rows *rows)
{
    if (rows != NULL) {
        kw_arena_reset(&rows->arena);
        kw_free(rows->arena.first_block);
        kw_free(rows->endpoints);
        kw_free(rows);
    }
}

void kw__use_rows_reset(struct kw__use_rows *rows)
{
    memset(rows->index, 0, sizeof rows->index);
    rows->row_count = rows->use_count = 0;
    rows->codes = 0;
    kw_arena_reset(&rows->arena);
}

bool kw__use_rows_are_many(const struct kw__use_rows *rows)
{
    return rows->row_count >= KW__USE_ROWS_MAX / 2 || rows->use_count == KW__USES_MAX ||
           rows->arena.total >= MEMORY_MAX / 2;
}

enum kw_status kw__use_rows_write(struct kw_engine *engine, struct kw__use_rows *rows, uint64_t *codes_out)
{
    *codes_out = rows->codes;
    if (rows->row_count == 0 && rows->use_count == 0) {
        return KW_OK;
    }
    return engine->store->ops->usage_add(engine->store, rows->rows, rows->row_count, rows->uses, rows->use_count);
}

struct kw_arena *kw__use_rows_arena(struct kw__use_rows *rows)
{
    return &rows->arena;
}

enum kw_status kw__use_rows_settle(struct kw_engine *engine, const struct kw__use_rows *rows,
                                   const struct kw_store_deferred *settled)
{
    return engine->store->ops->usage_settle(engine->store, settled, rows->rows, rows->row_count, rows->uses,
                                            rows->use_count);
}

bool kw__use_subjects_of_record(struct kw_arena *arena, const struct kw_record *record,
                                struct kw__use_subjects *subjects_out)
{
    struct kw__use_subjects subjects = {.key_id = record->id,
                                        .lineage_id =
                                            kw_id_is_none(&record->lineage_id) ? record->id : record->lineage_id,
                                        .owner = kw_usage_owner(record->owner),
                                        .has_org = record->org_id.size > 0};
    if (subjects.has_org) {
        subjects.org = kw_usage_org(record->org_id);
    }
    if (kw_arena_copy(arena, record->project, &subjects.project) != KW_OK) {
        return false;
    }
    *subjects_out = subjects;
    return true;
}

bool kw__use_subjects_of(struct kw_engine *engine, struct kw__use_rows *rows, const uint8_t *digest,
                         struct kw__use_subjects *subjects_out)
{
    struct kw_digest wanted = {.size = KW_DIGEST_INDEX_SIZE};
    struct kw_record record;
    memcpy(wanted.bytes, digest, KW_DIGEST_INDEX_SIZE);
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, &wanted);
    bool is_there = entry != NULL && (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0 &&
                    kw_record_decode(kw_entry_record(entry), &record) == KW_OK &&
                    kw__use_subjects_of_record(&rows->arena, &record, subjects_out);
    kw_index_read_end();
    return is_there;
}

bool kw__use_subjects_of_project(struct kw_engine *engine, struct kw__use_rows *rows, uint16_t project,
                                 struct kw__use_subjects *subjects_out)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name;
    *subjects_out = (struct kw__use_subjects){.has_org = false};
    return kw__project_name(engine, project, memory, &name) &&
           kw_arena_copy(&rows->arena, name, &subjects_out->project) == KW_OK;
}

static uint64_t hash_of(struct kw_bytes bytes, uint64_t hash)
{
    for (size_t i = 0; i < bytes.size; i++) { /* FNV-1a */
        hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static bool is_same(const struct kw_store_usage *a, const struct kw_store_usage *b)
{
    return kw_id_equal(&a->lineage_id, &b->lineage_id) && a->bucket_start_ms == b->bucket_start_ms &&
           a->dimension == b->dimension && kw_bytes_equal(a->value, b->value) && kw_bytes_equal(a->project, b->project);
}

static enum kw_status add_row(struct kw__use_rows *rows, const struct kw_store_usage *usage)
{
    uint64_t hash = hash_of(kw_bytes_of(usage->lineage_id.bytes, sizeof usage->lineage_id.bytes), HASH_BEGIN);
    hash = hash_of(usage->value, hash ^ (uint64_t)usage->bucket_start_ms ^ usage->dimension);
    size_t at = hash_of(usage->project, hash) % ROW_INDEX;
    for (; rows->index[at] != 0; at = (at + 1) % ROW_INDEX) {
        struct kw_store_usage *found = &rows->rows[rows->index[at] - 1];
        if (is_same(found, usage)) {
            found->amount = found->amount <= INT64_MAX - usage->amount ? found->amount + usage->amount : INT64_MAX;
            return KW_OK;
        }
    }
    struct kw_store_usage row = *usage;
    if (rows->row_count == KW__USE_ROWS_MAX || kw_arena_copy(&rows->arena, usage->value, &row.value) != KW_OK) {
        return KW_E_MEMORY;
    }
    rows->rows[rows->row_count++] = row;
    rows->index[at] = (uint16_t)rows->row_count;
    return KW_OK;
}

static bool holds(const struct endpoint_set *set, uint64_t hash)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->hashes[i] == hash) {
            return true;
        }
    }
    return false;
}

static enum kw_status keep_endpoint(void *context, const struct kw_store_usage *usage)
{
    struct endpoint_set *set = context;
    uint64_t hash = hash_of(kw_usage_endpoint_of(usage->value), HASH_BEGIN);
    bool has_endpoint = usage->dimension == KW_USAGE_ENDPOINT || usage->dimension == KW_USAGE_ENDPOINT_METRIC;
    if (has_endpoint && !holds(set, hash) && set->count < KW_COUNT_OF(set->hashes)) {
        set->hashes[set->count++] = hash;
    }
    return KW_OK;
}

/* The set of that day; read from the store where another one had its place. */
static enum kw_status find_set(struct kw_engine *engine, struct kw__use_rows *rows, const struct kw_store_usage *usage,
                               struct endpoint_set **set_out)
{
    if (rows->endpoints == NULL) {
        rows->endpoints = kw_alloc(ENDPOINT_SETS, sizeof *rows->endpoints);
        if (rows->endpoints == NULL) {
            return KW_E_MEMORY;
        }
    }
    uint64_t project = hash_of(usage->project, HASH_BEGIN);
    int64_t day_ms = kw_usage_day(usage->bucket_start_ms);
    struct endpoint_set *set = &rows->endpoints[(kw_id_hash(&usage->lineage_id) ^ project) % ENDPOINT_SETS];
    *set_out = set;
    if (set->count > 0 && set->day_ms == day_ms && set->project == project &&
        kw_id_equal(&set->lineage_id, &usage->lineage_id)) {
        return KW_OK;
    }
    *set = (struct endpoint_set){.lineage_id = usage->lineage_id, .project = project, .day_ms = day_ms};
    return engine->store->ops->usage_read(engine->store, usage->project, &usage->lineage_id, day_ms, day_ms + KW_DAY_MS,
                                          keep_endpoint, set);
}

/* Somebody may have so many different endpoints a day; further ones are counted as "other". */
static enum kw_status bound_endpoint(struct kw_engine *engine, struct kw__use_rows *rows, struct kw_store_usage *usage,
                                     size_t most)
{
    struct endpoint_set *set;
    struct kw_bytes endpoint = kw_usage_endpoint_of(usage->value);
    uint64_t hash = hash_of(endpoint, HASH_BEGIN);
    enum kw_status status = find_set(engine, rows, usage, &set);
    if (status != KW_OK || holds(set, hash)) {
        return status;
    }
    if (set->count < most) {
        set->hashes[set->count++] = hash;
        return KW_OK;
    }
    struct kw_bytes rest = kw_bytes_skip(usage->value, endpoint.size);
    size_t other_size = sizeof KW_ENDPOINT_OTHER - 1;
    uint8_t *text = kw_arena_take(&rows->arena, other_size + rest.size);
    if (text == NULL) {
        return KW_E_MEMORY;
    }
    memcpy(text, KW_ENDPOINT_OTHER, other_size);
    if (rest.size > 0) {
        memcpy(text + other_size, rest.data, rest.size);
    }
    usage->value = kw_bytes_of(text, other_size + rest.size);
    return KW_OK;
}

enum kw_status kw__use_spread(struct kw_engine *engine, struct kw__use_rows *rows,
                              const struct kw__use_subjects *subjects, struct kw_store_usage usage,
                              struct kw_store_usage out[KW__USE_SUBJECTS_MAX], size_t *count_out)
{
    const struct kw_id project = {{0}};
    bool is_of_key = !kw_id_is_none(&subjects->key_id);
    bool is_others = usage.dimension != KW_USAGE_NETWORK && usage.dimension != KW_USAGE_SCOPE;
    const struct {
        const struct kw_id *id;
        bool is_meant;
        size_t endpoints_max;
    } all[KW__USE_SUBJECTS_MAX] = {{&subjects->lineage_id, is_of_key, KW_ENDPOINTS_OF_KEY},
                                   {&subjects->owner, is_of_key && is_others, KW_ENDPOINTS_OF_OTHERS},
                                   {&subjects->org, subjects->has_org && is_others, KW_ENDPOINTS_OF_OTHERS},
                                   {&project, is_others, KW_ENDPOINTS_OF_OTHERS}};
    bool has_endpoint = usage.dimension == KW_USAGE_ENDPOINT || usage.dimension == KW_USAGE_ENDPOINT_METRIC;
    enum kw_status status = KW_OK;
    size_t count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(all) && status == KW_OK; i++) {
        if (all[i].is_meant) {
            struct kw_store_usage *row = &out[count++];
            *row = usage;
            row->lineage_id = *all[i].id;
            row->project = subjects->project;
            status = has_endpoint ? bound_endpoint(engine, rows, row, all[i].endpoints_max) : KW_OK;
        }
    }
    *count_out = count;
    return status;
}

enum kw_status kw__use_rows_add(struct kw_engine *engine, struct kw__use_rows *rows,
                                const struct kw__use_subjects *subjects, struct kw_store_usage usage)
{
    struct kw_store_usage spread[KW__USE_SUBJECTS_MAX];
    size_t count = 0;
    enum kw_status status = kw__use_spread(engine, rows, subjects, usage, spread, &count);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = add_row(rows, &spread[i]);
    }
    rows->codes += usage.dimension == KW_USAGE_CODE ? (uint64_t)usage.amount : 0;
    return status;
}

enum kw_status kw__use_rows_add_scope(struct kw_engine *engine, struct kw__use_rows *rows,
                                      const struct kw__use_subjects *subjects, const uint8_t *digest,
                                      const struct kw_store_usage *usage)
{
    struct kw_digest wanted = {.size = KW_DIGEST_INDEX_SIZE};
    struct kw_record record = {.version = 0};
    struct kw_bytes granted;
    enum kw_status status = KW_OK;
    memcpy(wanted.bytes, digest, KW_DIGEST_INDEX_SIZE);
    kw_index_read_begin();
    const struct kw_entry *entry = kw_id_is_none(&subjects->key_id) ? NULL : kw_index_find(engine->index, &wanted);
    bool is_there = entry != NULL && kw_record_decode(kw_entry_record(entry), &record) == KW_OK;
    struct kw_bytes rest = is_there ? record.scopes.packed : (struct kw_bytes){NULL, 0};
    while (status == KW_OK && kw_list_next(&rest, &granted)) {
        struct kw_store_usage row = *usage;
        row.value = granted;
        status = kw_scope_covers(granted, usage->value) ? kw__use_rows_add(engine, rows, subjects, row) : KW_OK;
    }
    kw_index_read_end();
    return status;
}

void kw__use_rows_note(struct kw__use_rows *rows, const struct kw_store_use *use)
{
    struct kw_store_use kept = *use;
    if (rows->use_count < KW__USES_MAX && kw_arena_copy(&rows->arena, use->address, &kept.address) == KW_OK &&
        kw_arena_copy(&rows->arena, use->region, &kept.region) == KW_OK) {
        rows->uses[rows->use_count++] = kept;
    }
}
