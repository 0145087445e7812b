#include "engine/index_state.h"

#include "base/memory.h"
#include "core/id.h"
#include "engine/ledger_room.h"
#include "engine/rcu.h"

#include <string.h>

#define BUCKETS_MIN ((size_t)64)
#define HOPS_MAX 64 /* moves of one key in one process, while a single find is under way */

/* What the sanitizer is told that read sections belong to; liburcu itself has one domain a process. */
static char rcu_domain;

void kw_index_read_begin(void)
{
    kw__rcu_read_begin();
}

void kw_index_read_end(void)
{
    kw__rcu_read_end(&rcu_domain);
}

void kw_index_read_wait(void)
{
    kw__rcu_wait(&rcu_domain);
}

static __attribute__((noinline)) struct kw_entry *follow(const struct kw_index *index, struct kw_entry *entry)
{
    for (int hops = 0; entry != NULL && kw__is_signpost(entry) && hops < HOPS_MAX; hops++) {
        entry = kw__index_at(index, entry->record + KW__SIGNPOST_TO);
    }
    return entry == NULL || kw__is_signpost(entry) ? NULL : entry;
}

struct kw_entry *kw_index_find(const struct kw_index *index, const struct kw_digest *digest)
{
    struct kw_entry *entry = kw__index_at(index, digest->bytes);
    return __builtin_expect(entry != NULL && kw__is_signpost(entry), 0) ? follow(index, entry) : entry;
}

const struct kw_table *kw_index_table(const struct kw_index *index)
{
    return __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
}

void kw_index_prefetch_bucket(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    const uint32_t *hints = __atomic_load_n(&table->hints, __ATOMIC_RELAXED);
    size_t at = kw_table_hash(digest->bytes) & table->mask;
    __builtin_prefetch(&table->buckets[at]);
    if (hints != NULL) {
        __builtin_prefetch(&hints[at * KW_TABLE_SLOTS]);
    }
}

static inline void prefetch_next(const struct kw_table *table, const uint64_t *slot, const struct kw_entry *entry,
                                 bool is_alone)
{
    const uint32_t *hints = __atomic_load_n(&table->hints, __ATOMIC_ACQUIRE);
    uint32_t hint = hints == NULL ? 0 : __atomic_load_n(&hints[slot - table->buckets[0].slots], __ATOMIC_RELAXED);
    if ((hint & KW_TABLE_HINT_RUN) != 0) {
        if (is_alone) {
            kw_table_prefetch_rest(entry);
        }
        kw_run_prefetch(kw_table_hinted(entry, hint));
    } else if (hint != 0) {
        __builtin_prefetch(kw_table_hinted(entry, hint));
    }
}

struct kw_entry *kw_index_expect(const struct kw_index *index, const struct kw_digest *digest, bool is_alone)
{
    const struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t hash = kw_table_hash(digest->bytes);
    uint64_t *slots = table->buckets[hash & table->mask].slots;
    for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
        if (slot != 0 && (slot ^ hash) >> 48 == 0) {
            struct kw_entry *entry = kw_table_entry(slot);
            kw_table_prefetch(entry);
            prefetch_next(table, &slots[i], entry, is_alone);
            return entry;
        }
    }
    return NULL;
}

void kw_index_hint_run(struct kw_index *index, const struct kw_entry *entry, const struct kw_slot *run)
{
    struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t slot;
    uint64_t *place = kw_table_find(table, entry->digest, &slot);
    if (slot != 0) {
        kw_table_set_hint(table, place, kw_table_hint(run, KW_TABLE_HINT_RUN));
    }
}

struct kw_entry *kw_index_find_expected(const struct kw_index *index, const struct kw_digest *digest,
                                        struct kw_entry *expected)
{
    bool is_it = expected != NULL && kw__digest_equal(expected->digest, digest->bytes) && !kw__is_signpost(expected);
    return is_it ? expected : kw_index_find(index, digest);
}

enum kw_status kw_index_new(struct kw_index **index_out)
{
    struct kw_index *index = kw_alloc(1, sizeof *index);
    if (index == NULL) {
        return KW_E_MEMORY;
    }
    index->table = kw_table_new(BUCKETS_MIN);
    if (index->table == NULL) {
        kw_free(index);
        return KW_E_MEMORY;
    }
    index->table_bytes = BUCKETS_MIN * sizeof(struct kw_bucket);
    kw_pool_init(&index->pool);
    pthread_mutex_init(&index->lock, NULL);
    *index_out = index;
    return KW_OK;
}

void kw_index_free(struct kw_index *index)
{
    if (index == NULL) {
        return;
    }
    kw_index_reclaim(index);
    kw_table_free(index->table);
    kw_bounds_deinit(&index->bounds);
    kw_policies_deinit(&index->policies);
    kw_tally_deinit(&index->tally);
    kw_pool_deinit(&index->pool);
    pthread_mutex_destroy(&index->lock);
    kw_free(index);
}

bool kw_index_was_moved(const struct kw_index *index, const struct kw_digest *digest, const struct kw_id *id)
{
    kw_index_read_begin();
    const struct kw_entry *entry = kw__index_at(index, digest->bytes);
    bool was_moved = false;
    if (entry != NULL && kw__is_signpost(entry)) {
        struct kw_id moved = kw_entry_id(entry);
        was_moved = !kw_id_equal(&moved, id);
    }
    kw_index_read_end();
    return was_moved;
}

uint64_t kw_index_moves(const struct kw_index *index)
{
    return __atomic_load_n(&index->moves, __ATOMIC_SEQ_CST);
}

uint64_t kw_index_method_keys(const struct kw_index *index, uint8_t method)
{
    return __atomic_load_n(&index->tally.keys[method], __ATOMIC_SEQ_CST);
}

uint64_t kw_index_method_erased(const struct kw_index *index, uint8_t method)
{
    return __atomic_load_n(&index->tally.erased[method], __ATOMIC_SEQ_CST);
}

void kw_index_methods(const struct kw_index *index, uint16_t project, bool of_erased, struct kw_method_set *methods_out)
{
    kw_tally_methods(&index->tally, project, of_erased, methods_out);
}

bool kw_index_has_imported(const struct kw_index *index, uint16_t project)
{
    return kw_tally_imported(&index->tally, project) != 0;
}

bool kw_index_ancestry(struct kw_index *index, const struct kw_id *lineage, size_t *generation_out,
                       struct kw_id *unknown_out)
{
    *unknown_out = *lineage;
    *generation_out = 0;
    pthread_mutex_lock(&index->lock); /* which keeps entries from being freed, too */
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, lineage);
    while (bound != NULL && bound->entry != NULL && *generation_out <= KW_FAMILY_DEPTH_MAX) {
        const struct kw_bound *parent = kw_entry_parent(bound->entry);
        if (parent == NULL) {
            break;
        }
        bound = parent;
        *unknown_out = bound->id;
        (*generation_out)++;
    }
    /* Of a line that has ended in an erasure nothing is known, before a restart as after it. */
    bool is_known = bound != NULL && bound->entry != NULL && (kw_entry_flags(bound->entry) & KW_ENTRY_ERASED) == 0;
    pthread_mutex_unlock(&index->lock);
    return is_known;
}

bool kw_index_family_status(struct kw_index *index, const struct kw_id *lineage, int64_t now_ms,
                            enum kw_key_status *status_out)
{
    bool is_complete = kw_index_complete(index); /* asked first: what is not here after it is gone */
    pthread_mutex_lock(&index->lock);
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, lineage);
    bool is_known = bound != NULL && kw_bound_status(bound, now_ms, status_out);
    pthread_mutex_unlock(&index->lock);
    if (!is_known && is_complete) {
        *status_out = KW_KEY_REVOKED;
    }
    return is_known || is_complete;
}

enum kw_status kw_index_copy_newest(struct kw_index *index, const struct kw_id *lineage, struct kw_arena *arena,
                                    struct kw_bytes *encoding_out)
{
    pthread_mutex_lock(&index->lock);
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, lineage);
    const struct kw_entry *entry = bound == NULL ? NULL : bound->entry;
    bool is_here = entry != NULL && (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0;
    enum kw_status status = is_here ? kw_arena_copy(arena, kw_entry_record(entry), encoding_out) : KW_E_NOT_FOUND;
    pthread_mutex_unlock(&index->lock);
    return status;
}

void kw_index_set_catalog(struct kw_index *index, const struct kw_catalog *catalog)
{
    pthread_mutex_lock(&index->lock);
    kw_policies_set_catalog(&index->policies, catalog);
    pthread_mutex_unlock(&index->lock);
}

void kw_index_set_complete(struct kw_index *index)
{
    __atomic_store_n(&index->complete, true, __ATOMIC_RELEASE);
}

bool kw_index_complete(const struct kw_index *index)
{
    return __atomic_load_n(&index->complete, __ATOMIC_ACQUIRE);
}

uint64_t kw_index_count(const struct kw_index *index)
{
    return __atomic_load_n(&index->count, __ATOMIC_RELAXED) - __atomic_load_n(&index->signpost_count, __ATOMIC_RELAXED);
}

uint64_t kw_index_bytes(const struct kw_index *index)
{
    kw_index_read_begin();
    uint64_t hint_bytes = kw_table_hint_bytes(kw_index_table(index));
    kw_index_read_end();
    return __atomic_load_n(&index->pool.bytes, __ATOMIC_RELAXED) +
           __atomic_load_n(&index->table_bytes, __ATOMIC_RELAXED) + hint_bytes;
}
