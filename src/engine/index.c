#include "engine/index.h"

#include "base/memory.h"
#include "core/id.h"
#include "engine/bounds.h"
#include "engine/policies.h"
#include "engine/pool.h"
#include "engine/rcu.h"
#include "engine/table.h"
#include "engine/tally.h"

#include <pthread.h>
#include <string.h>

#define BUCKETS_MIN ((size_t)64)
#define RETIRED_MAX 1024
#define HOPS_MAX 64 /* moves of one key in one process, while a single find is under way */

struct kw_index {
    struct kw_table *table; /* readers */
    uint64_t count;         /* slots that are taken */
    uint64_t moves;
    bool complete;
    uint64_t signpost_count;
    struct kw_tally tally;

    pthread_mutex_t lock __attribute__((aligned(64))); /* writers: everything below, and the right to write above */
    struct kw_pool pool;
    struct kw_bounds bounds;
    struct kw_policies policies;
    struct kw_entry *retired[RETIRED_MAX];
    size_t retired_count;
    uint64_t table_bytes;
};

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

static struct kw_entry *find(const struct kw_index *index, const uint8_t *digest)
{
    const struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t slot;
    (void)kw_table_find(table, digest, &slot);
    return kw_table_entry(slot);
}

/*
 * A signpost stands where a key was before it moved: an entry of no project, whose record is cut after the id and ends
 * in the digest that the key has now.
 */
#define SIGNPOST_TO (KW_RECORD_ID_AT + sizeof(struct kw_id))
#define SIGNPOST_SIZE (SIGNPOST_TO + KW_DIGEST_INDEX_SIZE)

static inline bool is_signpost(const struct kw_entry *entry)
{
    return entry->project == 0;
}

static __attribute__((noinline)) struct kw_entry *follow(const struct kw_index *index, struct kw_entry *entry)
{
    for (int hops = 0; entry != NULL && is_signpost(entry) && hops < HOPS_MAX; hops++) {
        entry = find(index, entry->record + SIGNPOST_TO);
    }
    return entry == NULL || is_signpost(entry) ? NULL : entry;
}

struct kw_entry *kw_index_find(const struct kw_index *index, const struct kw_digest *digest)
{
    struct kw_entry *entry = find(index, digest->bytes);
    return __builtin_expect(entry != NULL && is_signpost(entry), 0) ? follow(index, entry) : entry;
}

void kw_index_prefetch_bucket(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    __builtin_prefetch(&table->buckets[kw_table_hash(digest->bytes) & table->mask]);
}

/* What may be the entry of that digest: a hint, not compared. NULL: nothing is. */
static inline struct kw_entry *likely_entry(const struct kw_index *index, const struct kw_digest *digest)
{
    const struct kw_table *table = __atomic_load_n(&index->table, __ATOMIC_ACQUIRE);
    uint64_t hash = kw_table_hash(digest->bytes);
    uint64_t *slots = table->buckets[hash & table->mask].slots;
    for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
        if (slot != 0 && (slot ^ hash) >> 48 == 0) {
            return kw_table_entry(slot);
        }
    }
    return NULL;
}

struct kw_entry *kw_index_expect(const struct kw_index *index, const struct kw_digest *digest)
{
    struct kw_entry *entry = likely_entry(index, digest);
    kw_table_prefetch(entry);
    return entry;
}

struct kw_entry *kw_index_find_expected(const struct kw_index *index, const struct kw_digest *digest,
                                        struct kw_entry *expected)
{
    bool is_it = expected != NULL && kw__digest_equal(expected->digest, digest->bytes) && !is_signpost(expected);
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

/* Readers go on in the old table until the new one is whole. */
static enum kw_status grow(struct kw_index *index)
{
    struct kw_table *old = index->table;
    struct kw_table *bigger = kw_table_bigger(old);
    if (bigger == NULL) {
        return KW_E_MEMORY;
    }
    __atomic_store_n(&index->table, bigger, __ATOMIC_RELEASE);
    __atomic_store_n(&index->table_bytes, (bigger->mask + 1) * sizeof(struct kw_bucket), __ATOMIC_RELAXED);
    kw__rcu_wait(&rcu_domain);
    kw_table_free(old);
    return KW_OK;
}

static size_t size_of(size_t encoding_size, bool has_extra)
{
    return has_extra ? kw_entry_extra_size(encoding_size) : kw_entry_size(encoding_size);
}

static void reclaim_locked(struct kw_index *index)
{
    if (index->retired_count == 0) {
        return;
    }
    kw__rcu_wait(&rcu_domain);
    for (size_t i = 0; i < index->retired_count; i++) {
        struct kw_entry *entry = index->retired[i];
        kw_pool_give(&index->pool, entry, size_of(entry->record_size, kw_entry_has_extra(entry)));
    }
    index->retired_count = 0;
}

void kw_index_reclaim(struct kw_index *index)
{
    pthread_mutex_lock(&index->lock);
    reclaim_locked(index);
    pthread_mutex_unlock(&index->lock);
}

/* Above five eighths full, buckets begin to overflow into their neighbours. */
static bool is_full(const struct kw_index *index)
{
    return index->count + 1 > (index->table->mask + 1) * KW_TABLE_SLOTS / 8 * 5;
}

static void count_in(struct kw_index *index, const struct kw_entry *entry)
{
    if (is_signpost(entry)) {
        __atomic_store_n(&index->signpost_count, index->signpost_count + 1, __ATOMIC_RELAXED);
    } else {
        kw_tally_add(&index->tally, entry, 1);
    }
}

static void count_out(struct kw_index *index, const struct kw_entry *entry)
{
    if (is_signpost(entry)) {
        __atomic_store_n(&index->signpost_count, index->signpost_count - 1, __ATOMIC_RELAXED);
    } else {
        kw_tally_add(&index->tally, entry, -1);
    }
}

/* What stays true of a key whatever becomes of its record. */
static void inherit(const struct kw_entry *old, struct kw_entry *entry)
{
    if (!is_signpost(entry) && !is_signpost(old)) {
        entry->marks |= (uint8_t)(kw_entry_marks(old) & KW_ENTRY_CHECKED); /* nobody sees it yet */
    }
}

static void replace(struct kw_index *index, uint64_t *place, struct kw_entry *old, struct kw_entry *entry)
{
    if (index->retired_count == RETIRED_MAX) {
        reclaim_locked(index);
    }
    inherit(old, entry);
    index->retired[index->retired_count++] = old;
    __atomic_store_n(place, kw_table_slot(entry), __ATOMIC_SEQ_CST);
    count_out(index, old);
}

/* KW_E_CONFLICT: what is there is as new. Methods count an entry before it is seen, and until it is seen no more. */
static enum kw_status put_locked(struct kw_index *index, struct kw_entry *entry)
{
    uint64_t slot;
    uint64_t *place = kw_table_find(index->table, entry->digest, &slot);
    if (slot != 0 && kw_table_entry(slot)->version >= entry->version) {
        return KW_E_CONFLICT;
    }
    if (slot != 0) {
        count_in(index, entry);
        replace(index, place, kw_table_entry(slot), entry);
        return KW_OK;
    }
    if (is_full(index)) {
        enum kw_status status = grow(index);
        if (status != KW_OK) {
            return status;
        }
        place = kw_table_find(index->table, entry->digest, &slot);
    }
    count_in(index, entry);
    __atomic_store_n(place, kw_table_slot(entry), __ATOMIC_SEQ_CST);
    __atomic_store_n(&index->count, index->count + 1, __ATOMIC_RELAXED);
    return KW_OK;
}

/* The bounds that a record's entry stands under. */
static enum kw_status link_bounds(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry)
{
    if (!kw_id_is_none(&record->parent_id)) {
        entry->parent = kw_bounds_take(&index->bounds, &record->parent_id);
        if (entry->parent == NULL) {
            return KW_E_MEMORY;
        }
    }
    if (record->policy.size > 0) {
        entry->policy = kw_policies_take(&index->policies, entry->project, record->policy);
        if (entry->policy == NULL) {
            return KW_E_MEMORY;
        }
    }
    /* What others stand under has its bound before it is seen, so that following it cannot fail. */
    if (record->has_children) {
        struct kw_bound *line = kw_bounds_take(&index->bounds, &record->lineage_id);
        kw_entry_extra(entry)->line = line;
        return line == NULL ? KW_E_MEMORY : KW_OK;
    }
    return KW_OK;
}

/*
 * A line's bound is its newest key: the one that was not rotated. An older one of the line, which may come later from a
 * slow reader, does not take its place; but a newer version of the entry that is there always does, since the old one
 * will be freed.
 */
static void follow_bound(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry)
{
    struct kw_bound *bound = kw_bounds_find(&index->bounds, &record->lineage_id);
    if (bound == NULL) {
        return;
    }
    bool is_same = false;
    if (bound->entry != NULL) {
        struct kw_id id = kw_entry_id(bound->entry);
        is_same = kw_id_equal(&id, &record->id);
    }
    /* A tombstone has forgotten whether it was rotated. */
    bool is_erased = (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
    if ((kw_id_is_none(&record->rotated_to) && !is_erased) || is_same) {
        kw_bound_show(bound, entry);
    }
}

static enum kw_status put_record(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                                 struct kw_bytes encoding)
{
    if (encoding.size == 0 || encoding.size > KW_RECORD_MAX || project == 0) {
        return KW_E_CORRUPT; /* whatever a store hands out */
    }
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status != KW_OK) {
        return status;
    }
    size_t size = size_of(encoding.size, kw_record_asks_extra(&record));
    struct kw_entry *entry = kw_pool_take(&index->pool, size);
    if (entry != NULL) {
        kw_entry_make(digest, project, erased, encoding, &record, entry);
    }
    status = entry == NULL ? KW_E_MEMORY : link_bounds(index, &record, entry);
    status = status == KW_OK ? kw_tally_make_room(&index->tally, entry) : status;
    if (status == KW_OK) {
        kw_entry_compare(entry);
    }
    status = status == KW_OK ? put_locked(index, entry) : status;
    if (status == KW_OK) {
        follow_bound(index, &record, entry);
    }
    if (status != KW_OK && entry != NULL) {
        kw_pool_give(&index->pool, entry, size);
    }
    return status == KW_E_CONFLICT ? KW_OK : status;
}

enum kw_status kw_index_put(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                            struct kw_bytes encoding)
{
    pthread_mutex_lock(&index->lock);
    enum kw_status status = put_record(index, digest, project, erased, encoding);
    pthread_mutex_unlock(&index->lock);
    return status;
}

/* --- moving --- */

static void write_signpost(const struct kw_digest *from, const struct kw_entry *to, struct kw_entry *signpost)
{
    *signpost = (struct kw_entry){.version = to->version, .record_size = SIGNPOST_SIZE};
    memcpy(signpost->digest, from->bytes, sizeof signpost->digest);
    memcpy(signpost->record, to->record, SIGNPOST_TO);
    memcpy(signpost->record + SIGNPOST_TO, to->digest, sizeof to->digest);
}

/*
 * The key's entry stands under its new digest before the signpost takes the old one's place: a find that comes by the
 * old digest meets one of the two. A signpost that is there already, of the same or a later move, stays.
 */
static enum kw_status move_locked(struct kw_index *index, const struct kw_digest *from, const struct kw_digest *to,
                                  struct kw_entry *signpost)
{
    const struct kw_entry *old = find(index, from->bytes);
    struct kw_entry *entry = find(index, to->bytes);
    if (old != NULL && !is_signpost(old) && (kw_entry_marks(old) & KW_ENTRY_CHECKED) != 0) {
        __atomic_fetch_or(&entry->marks, KW_ENTRY_CHECKED, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&index->moves, 1, __ATOMIC_SEQ_CST);
    write_signpost(from, entry, signpost);
    return put_locked(index, signpost);
}

enum kw_status kw_index_move(struct kw_index *index, const struct kw_digest *from, const struct kw_digest *to,
                             uint16_t project, bool erased, struct kw_bytes encoding)
{
    pthread_mutex_lock(&index->lock);
    struct kw_entry *signpost = kw_pool_take(&index->pool, kw_entry_size(SIGNPOST_SIZE));
    enum kw_status status = signpost == NULL ? KW_E_MEMORY : put_record(index, to, project, erased, encoding);
    if (status == KW_OK) {
        status = move_locked(index, from, to, signpost);
    }
    if (status != KW_OK && signpost != NULL) {
        kw_pool_give(&index->pool, signpost, kw_entry_size(SIGNPOST_SIZE));
    }
    pthread_mutex_unlock(&index->lock);
    return status == KW_E_CONFLICT ? KW_OK : status;
}

bool kw_index_was_moved(const struct kw_index *index, const struct kw_digest *digest, const struct kw_id *id)
{
    kw_index_read_begin();
    const struct kw_entry *entry = find(index, digest->bytes);
    bool was_moved = false;
    if (entry != NULL && is_signpost(entry)) {
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
    while (bound != NULL && bound->entry != NULL && bound->entry->parent != NULL &&
           *generation_out <= KW_FAMILY_DEPTH_MAX) {
        bound = bound->entry->parent;
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
    return __atomic_load_n(&index->pool.bytes, __ATOMIC_RELAXED) +
           __atomic_load_n(&index->table_bytes, __ATOMIC_RELAXED);
}
