#include "engine/index_state.h"

#include "core/id.h"
#include "engine/usage_word.h"

/* What changes the index: by one thread at a time, beside any number that read. */

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
    kw_index_read_wait();
    kw_table_mark_all(bigger); /* whoever marked the old one has done so */
    kw_table_free(old);
    return KW_OK;
}

static void reclaim_locked(struct kw_index *index)
{
    if (index->retired_count == 0) {
        return;
    }
    kw_index_read_wait();
    for (size_t i = 0; i < index->retired_count; i++) {
        struct kw_entry *entry = index->retired[i];
        kw_pool_give(&index->pool, entry, kw_entry_size(kw_entry_marks(entry), entry->record_size));
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
    if (kw__is_signpost(entry)) {
        __atomic_store_n(&index->signpost_count, index->signpost_count + 1, __ATOMIC_RELAXED);
    } else {
        kw_tally_add(&index->tally, entry);
    }
}

static void count_out(struct kw_index *index, const struct kw_entry *entry)
{
    if (kw__is_signpost(entry)) {
        __atomic_store_n(&index->signpost_count, index->signpost_count - 1, __ATOMIC_RELAXED);
    } else {
        kw_tally_remove(&index->tally, entry);
    }
}

/* What stays true of a key whatever becomes of its record. Where it moves, its counts have gone ahead (put_moved), or
 * are found at the signpost. */
static void inherit(struct kw_entry *old, struct kw_entry *entry)
{
    if (!kw__is_signpost(entry) && !kw__is_signpost(old)) {
        entry->marks |= (uint8_t)(kw_entry_marks(old) & KW_ENTRY_CHECKED); /* nobody sees it yet */
    }
    entry->uses = entry->uses == 0 ? kw__word_inherit(old) : entry->uses;
}

static void replace(struct kw_index *index, uint64_t *place, struct kw_entry *old, struct kw_entry *entry)
{
    if (index->retired_count == KW__RETIRED_MAX) {
        reclaim_locked(index);
    }
    inherit(old, entry);
    index->retired[index->retired_count++] = old;
    __atomic_store_n(place, kw_table_slot(entry), __ATOMIC_SEQ_CST);
    kw_table_mark(index->table, entry);
    count_out(index, old);
}

static void hint_parent(struct kw_index *index, const uint64_t *place, const struct kw_entry *entry)
{
    if (kw_entry_parent(entry) != NULL) {
        kw_table_set_hint(index->table, place, kw_table_hint(kw_entry_parent(entry), 0));
    }
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
        hint_parent(index, place, entry);
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
    hint_parent(index, place, entry);
    __atomic_store_n(&index->count, index->count + 1, __ATOMIC_RELAXED);
    return KW_OK;
}

/* The bounds that a record's entry stands under. */
static enum kw_status link_bounds(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry)
{
    struct kw_entry_bounds *above = kw_entry_bounds(entry);
    if (!kw_id_is_none(&record->parent_id)) {
        above->parent = kw_bounds_take(&index->bounds, &record->parent_id);
        if (above->parent == NULL) {
            return KW_E_MEMORY;
        }
    }
    if (record->policy.size > 0) {
        above->policy = kw_policies_take(&index->policies, entry->project, record->policy);
        if (above->policy == NULL) {
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

static bool shows_key(const struct kw_bound *bound, const struct kw_id *id)
{
    if (bound->entry == NULL) {
        return false;
    }
    struct kw_id shown = kw_entry_id(bound->entry);
    return kw_id_equal(&shown, id);
}

/* Whether another key of the line follows this one. A tombstone has forgotten it. */
static bool may_be_followed(const struct kw_record *record, bool erased)
{
    return erased || !kw_id_is_none(&record->rotated_to);
}

enum source {
    WRITER, /* puts everything, in its order */
    LOADER,
};

/* Of two keys of a line that both say that nobody follows them one is old news: the loader's may be. */
static bool may_displace(const struct kw_bound *bound, enum source source)
{
    struct kw_record shown;
    return source == WRITER || bound->entry == NULL ||
           (kw_record_decode(kw_entry_record(bound->entry), &shown) == KW_OK && !kw_id_is_none(&shown.rotated_to));
}

/*
 * A line's bound is its newest key: the one that was not rotated. An older one of the line, which may come later from a
 * slow reader, does not take its place; but a newer version of the entry that is there always does, since the old one
 * will be freed.
 */
static void follow_bound(struct kw_index *index, const struct kw_record *record, struct kw_entry *entry,
                         enum source source)
{
    struct kw_bound *bound = kw_bounds_find(&index->bounds, &record->lineage_id);
    if (bound == NULL) {
        return;
    }
    bool is_erased = (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
    if (shows_key(bound, &record->id) || (!may_be_followed(record, is_erased) && may_displace(bound, source))) {
        kw_bound_show(bound, entry);
    }
}

/* A loader was quicker to bring what the writer puts, and has left the line's bound to it. */
static void follow_present(struct kw_index *index, const struct kw_digest *digest)
{
    struct kw_entry *present = kw__index_at(index, digest->bytes);
    struct kw_record record;
    if (!kw__is_signpost(present) && kw_record_decode(kw_entry_record(present), &record) == KW_OK) {
        follow_bound(index, &record, present, WRITER);
    }
}

/* The end of a key that others stand under, whose successor may not be here yet: they would end with it. */
static bool leaves_orphans(const struct kw_index *index, const struct kw_record *record, bool erased)
{
    const struct kw_bound *bound = kw_bounds_find(&index->bounds, &record->lineage_id);
    return bound != NULL && may_be_followed(record, erased) && shows_key(bound, &record->id);
}

/* `uses`: what was counted of the key elsewhere. KW_E_CONFLICT: what is there is as new, or the writer's to replace. */
static enum kw_status put_record(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                                 struct kw_bytes encoding, uint64_t uses, enum source source)
{
    if (encoding.size == 0 || encoding.size > KW_RECORD_MAX || project == 0) {
        return KW_E_CORRUPT; /* whatever a store hands out */
    }
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK && source == LOADER && leaves_orphans(index, &record, erased)) {
        status = KW_E_CONFLICT;
    }
    if (status != KW_OK) {
        return status;
    }
    size_t size = kw_entry_size(kw_record_marks(&record), encoding.size);
    struct kw_entry *entry = kw_pool_take(&index->pool, size);
    if (entry != NULL) {
        kw_entry_make(digest, project, erased, encoding, &record, entry);
        entry->uses = uses;
    }
    status = entry == NULL ? KW_E_MEMORY : link_bounds(index, &record, entry);
    status = status == KW_OK ? kw_tally_make_room(&index->tally, entry) : status;
    if (status == KW_OK) {
        kw_entry_compare(entry);
    }
    status = status == KW_OK ? put_locked(index, entry) : status;
    if (status == KW_OK) {
        follow_bound(index, &record, entry, source);
    } else if (status == KW_E_CONFLICT && source == WRITER) {
        follow_present(index, digest);
    }
    if (status != KW_OK && entry != NULL) {
        kw_pool_give(&index->pool, entry, size);
    }
    return status;
}

enum kw_status kw_index_put(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                            struct kw_bytes encoding)
{
    pthread_mutex_lock(&index->lock);
    enum kw_status status = put_record(index, digest, project, erased, encoding, 0, WRITER);
    pthread_mutex_unlock(&index->lock);
    return status == KW_E_CONFLICT ? KW_OK : status;
}

enum kw_status kw_index_load(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                             struct kw_bytes encoding)
{
    pthread_mutex_lock(&index->lock);
    enum kw_status status = put_record(index, digest, project, erased, encoding, 0, LOADER);
    pthread_mutex_unlock(&index->lock);
    return status == KW_E_CONFLICT ? KW_OK : status;
}

/* --- moving --- */

static void write_signpost(const struct kw_digest *from, const struct kw_entry *to, struct kw_entry *signpost)
{
    *signpost = (struct kw_entry){.version = to->version, .record_size = KW__SIGNPOST_SIZE};
    memcpy(signpost->digest, from->bytes, sizeof signpost->digest);
    memcpy(signpost->record, to->record, KW__SIGNPOST_TO);
    memcpy(signpost->record + KW__SIGNPOST_TO, to->digest, sizeof to->digest);
}

/*
 * The key's entry stands under its new digest before the signpost takes the old one's place: a find that comes by the
 * old digest meets one of the two. A signpost that is there already, of the same or a later move, stays.
 */
static enum kw_status move_locked(struct kw_index *index, const struct kw_digest *from, const struct kw_digest *to,
                                  struct kw_entry *signpost)
{
    const struct kw_entry *old = kw__index_at(index, from->bytes);
    struct kw_entry *entry = kw__index_at(index, to->bytes);
    if (old != NULL && !kw__is_signpost(old)) {
        __atomic_fetch_or(&entry->marks, kw_entry_marks(old) & KW_ENTRY_CHECKED, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&index->moves, 1, __ATOMIC_SEQ_CST);
    write_signpost(from, entry, signpost);
    return put_locked(index, signpost);
}

static bool counts(const struct kw_entry *entry)
{
    uint32_t count = entry == NULL ? 0 : kw__word_count(__atomic_load_n(&entry->uses, __ATOMIC_SEQ_CST));
    return count != 0 && count != KW__WORD_CLOSED;
}

/*
 * The record under its new digest. What was counted under the old one goes with it, but where something counts there
 * already, as where a loader was quicker to bring it: then that stays for the signpost.
 */
static enum kw_status put_moved(struct kw_index *index, const struct kw_digest *from, const struct kw_digest *to,
                                uint16_t project, bool erased, struct kw_bytes encoding)
{
    struct kw_entry *old = kw__index_at(index, from->bytes);
    bool is_counted = old != NULL && !kw__is_signpost(old) && !counts(kw__index_at(index, to->bytes));
    uint64_t uses = is_counted ? kw__word_inherit(old) : 0;
    enum kw_status status = put_record(index, to, project, erased, encoding, uses, WRITER);
    if (status == KW_OK && uses != 0) {
        kw_table_mark(index->table, kw__index_at(index, to->bytes));
    } else if (status != KW_OK && is_counted) {
        __atomic_store_n(&old->uses, uses, __ATOMIC_SEQ_CST);
    }
    return status == KW_E_CONFLICT ? KW_OK : status;
}

enum kw_status kw_index_move(struct kw_index *index, const struct kw_digest *from, const struct kw_digest *to,
                             uint16_t project, bool erased, struct kw_bytes encoding)
{
    pthread_mutex_lock(&index->lock);
    struct kw_entry *signpost = kw_pool_take(&index->pool, kw_entry_size(0, KW__SIGNPOST_SIZE));
    enum kw_status status = signpost == NULL ? KW_E_MEMORY : put_moved(index, from, to, project, erased, encoding);
    if (status == KW_OK) {
        status = move_locked(index, from, to, signpost);
    }
    if (status != KW_OK && signpost != NULL) {
        kw_pool_give(&index->pool, signpost, kw_entry_size(0, KW__SIGNPOST_SIZE));
    }
    pthread_mutex_unlock(&index->lock);
    return status == KW_E_CONFLICT ? KW_OK : status;
}
