#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

static struct kw__memory_reservation *find(const struct kw__memory *memory,
                                           const struct kw_store_reservation *reservation)
{
    struct kw__memory_reservation probe = {.row = *reservation};
    struct kw__tree_node *node = kw__tree_find(&memory->reservations_by_period, &probe.by_period);
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_reservation, by_period);
}

/* A row in the place of `old`, which may be NULL: the journal can take it back. */
static enum kw_status replace(struct kw__memory *memory, struct kw__memory_journal *journal,
                              struct kw__memory_reservation *old, const struct kw_store_reservation *row)
{
    uint8_t *text = NULL;
    struct kw__memory_reservation *made = kw__memory_object(sizeof *made, row->name.size + row->note.size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->row = *row;
    made->row.name = kw__memory_keep(&text, row->name);
    made->row.note = kw__memory_keep(&text, row->note);
    if (old != NULL) {
        kw__memory_unlink(journal, &memory->reservations_by_until, &old->by_until, NULL);
        kw__memory_unlink(journal, &memory->reservations_by_period, &old->by_period, old);
    }
    kw__memory_link(journal, &memory->reservations_by_until, &made->by_until, NULL);
    kw__memory_link(journal, &memory->reservations_by_period, &made->by_period, made);
    return KW_OK;
}

enum kw_status kw__memory_reserve(struct kw__memory *memory, struct kw__memory_journal *journal,
                                  struct kw_store_reservation *reservation)
{
    struct kw__memory_reservation *old = find(memory, reservation);
    int64_t taken = old == NULL ? 0 : old->row.taken;
    int64_t until_ms = reservation->until_ms;
    reservation->granted = kw__store_grant(reservation, taken);
    reservation->taken = taken + reservation->granted;
    if (reservation->granted == 0 && reservation->note.size == 0) {
        return KW_OK;
    }
    struct kw_store_reservation row = {
        .lineage_id = reservation->lineage_id,
        .name = reservation->name,
        .period_start_ms = reservation->period_start_ms,
        .until_ms = old != NULL && old->row.until_ms > until_ms ? old->row.until_ms : until_ms,
        .note = old != NULL && reservation->note.size == 0 ? old->row.note : reservation->note,
        .taken = reservation->taken,
    };
    return replace(memory, journal, old, &row);
}

enum kw_status kw__memory_reservations_read(struct kw_store *store, const struct kw_id *lineage_id,
                                            struct kw_bytes name, int64_t from_ms, kw_store_reservation_sink *sink,
                                            void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_reservation first = {
        .row = {.lineage_id = *lineage_id, .name = name, .period_start_ms = INT64_MIN}};
    enum kw_status status = kw__store_check_reservation_name(name);
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_find(&memory->reservations_by_period, &first.by_period);
    node = node != NULL ? node : kw__tree_after(&memory->reservations_by_period, &first.by_period);
    for (; node != NULL && status == KW_OK; node = kw__tree_after(&memory->reservations_by_period, node)) {
        const struct kw_store_reservation *row = &KW__TREE_OWNER(node, struct kw__memory_reservation, by_period)->row;
        if (!kw_id_equal(&row->lineage_id, lineage_id) || (name.size > 0 && !kw_bytes_equal(row->name, name))) {
            break;
        }
        if (row->until_ms > from_ms) {
            status = sink(context, row);
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

/* The row with the earliest end; NULL when there is none. */
static struct kw__memory_reservation *first_to_end(const struct kw__memory *memory)
{
    struct kw__memory_reservation probe = {.row = {.period_start_ms = INT64_MIN, .until_ms = INT64_MIN}};
    struct kw__tree_node *node = kw__tree_find(&memory->reservations_by_until, &probe.by_until);
    node = node != NULL ? node : kw__tree_after(&memory->reservations_by_until, &probe.by_until);
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_reservation, by_until);
}

enum kw_status kw__memory_reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                             uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__memory_reservation *first = first_to_end(memory);
    while (first != NULL && first->row.until_ms <= before_ms && removed < limit) {
        kw__tree_remove(&memory->reservations_by_until, &first->by_until);
        kw__tree_remove(&memory->reservations_by_period, &first->by_period);
        kw_free(first);
        removed++;
        first = first_to_end(memory);
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}
