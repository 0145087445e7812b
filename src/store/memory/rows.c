#include "store/memory/memory.h"

#include "base/bytes.h"
#include "store/check.h"
#include "store/filter.h"

static const struct kw__memory_row *row_of_id(const struct kw__tree_node *node)
{
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_row, by_id);
}

enum kw_status kw__memory_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                         void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row probe = {.row.digest = digest};
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_find(&memory->rows_by_digest, &probe.by_digest);
    enum kw_status status =
        node == NULL ? KW_E_NOT_FOUND : sink(context, &KW__TREE_OWNER(node, struct kw__memory_row, by_digest)->row);
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                     void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row probe = {.row.id = *id};
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__memory_row *found = row_of_id(kw__tree_find(&memory->rows_by_id, &probe.by_id));
    bool is_there = found != NULL && !found->row.erased;
    enum kw_status status = is_there ? sink(context, &found->row) : KW_E_NOT_FOUND;
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                                  void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row probe = {.row.sequence = after};
    memset(probe.row.id.bytes, 0xff, sizeof probe.row.id.bytes);
    enum kw_status status = kw__store_check_limit(limit);
    uint64_t last = after;
    size_t given = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->rows_by_sequence, &probe.by_sequence);
    while (status == KW_OK && node != NULL) {
        const struct kw_store_row *row = &KW__TREE_OWNER(node, struct kw__memory_row, by_sequence)->row;
        if (given >= limit && row->sequence != last) {
            break;
        }
        status = sink(context, row);
        last = row->sequence;
        given++;
        node = kw__tree_after(&memory->rows_by_sequence, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                     kw_store_row_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row probe = {.row.id = *after};
    enum kw_status status = kw__store_check_limit(limit);
    size_t given = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->tombstones, &probe.by_erased);
    for (; status == KW_OK && node != NULL && given < limit; given++) {
        status = sink(context, &KW__TREE_OWNER(node, struct kw__memory_row, by_erased)->row);
        node = kw__tree_after(&memory->tombstones, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                              void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row first = {.row.due_at_ms = 0};
    enum kw_status status = kw__store_check_limit(limit);
    size_t given = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->rows_by_due, &first.by_due);
    for (; status == KW_OK && node != NULL && given < limit; given++) {
        const struct kw_store_row *row = &KW__TREE_OWNER(node, struct kw__memory_row, by_due)->row;
        if (row->due_at_ms > until_ms) {
            break;
        }
        status = sink(context, row);
        node = kw__tree_after(&memory->rows_by_due, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw_store_filter filter = {.project = project};
    struct kw__memory_row first = {.row.sequence = 0};
    uint64_t count = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->rows_by_id, &first.by_id);
    for (; node != NULL; node = kw__tree_after(&memory->rows_by_id, node)) {
        count += kw__filter_finds(&filter, &row_of_id(node)->row);
    }
    pthread_rwlock_unlock(&memory->lock);
    *count_out = count;
    return KW_OK;
}
