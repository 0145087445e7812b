#include "core/id.h"
#include "store/filter.h"
#include "store/memory/memory.h"

/* The next row in the order, from a row or from a probe at some position. */
static const struct kw__memory_row *next_row(const struct kw__memory *memory, enum kw_order order,
                                             const struct kw__memory_row *from)
{
    const struct kw__tree_node *node = NULL;
    switch (order) {
    case KW_ORDER_CREATED_BACK:
        node = kw__tree_before(&memory->rows_by_id, &from->by_id);
        break;
    case KW_ORDER_EXPIRES:
        node = kw__tree_after(&memory->rows_by_expiry, &from->by_expiry);
        return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_row, by_expiry);
    case KW_ORDER_USED:
        node = kw__tree_after(&memory->rows_by_use, &from->by_use);
        return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_row, by_use);
    default:
        node = kw__tree_after(&memory->rows_by_id, &from->by_id);
        break;
    }
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_row, by_id);
}

static struct kw__memory_row probe_at(const struct kw_store_filter *filter)
{
    struct kw__memory_row probe = {.row = {.id = filter->after.id,
                                           .expires_at_ms = filter->after.expires_at_ms,
                                           .used_at_ms = filter->after.used_at_ms}};
    bool from_the_end = filter->order == KW_ORDER_CREATED_BACK && kw_id_is_none(&filter->after.id);
    if (from_the_end) {
        for (size_t i = 0; i < sizeof probe.row.id.bytes; i++) {
            probe.row.id.bytes[i] = 0xff;
        }
    }
    return probe;
}

static enum kw_status list_locked(const struct kw__memory *memory, const struct kw_store_filter *filter,
                                  kw_store_row_sink *sink, void *context)
{
    struct kw__memory_row probe = probe_at(filter);
    struct kw_store_reached reached = {.position = filter->after, .ended = true};
    enum kw_status status = KW_OK;
    size_t given = 0;
    size_t looked_at = 0;
    const struct kw__memory_row *found = next_row(memory, filter->order, &probe);
    for (; status == KW_OK && found != NULL; found = next_row(memory, filter->order, found)) {
        if (given == filter->limit || (filter->reached != NULL && looked_at == KW_STORE_SCAN_MAX)) {
            reached.ended = false;
            break;
        }
        looked_at++;
        reached.position = kw__position_of(&found->row);
        if (kw__filter_is_behind(filter, &found->row) && kw__filter_finds(filter, &found->row)) {
            status = sink(context, &found->row);
            given++;
        }
    }
    if (filter->reached != NULL) {
        *filter->reached = reached;
    }
    return status;
}

enum kw_status kw__memory_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                               void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__filter_check_list(filter);
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_rdlock(&memory->lock);
    status = list_locked(memory, filter, sink, context);
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                      bool *exact_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_row first = {.row.sequence = 0};
    enum kw_status status = kw__filter_check(filter);
    if (status != KW_OK) {
        return status;
    }
    uint64_t count = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__memory_row *row = next_row(memory, KW_ORDER_CREATED, &first);
    for (; row != NULL && count <= KW_STORE_COUNT_MAX; row = next_row(memory, KW_ORDER_CREATED, row)) {
        count += kw__filter_finds(filter, &row->row);
    }
    pthread_rwlock_unlock(&memory->lock);
    *exact_out = count <= KW_STORE_COUNT_MAX;
    *count_out = *exact_out ? count : KW_STORE_COUNT_MAX;
    return KW_OK;
}
