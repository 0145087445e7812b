#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"
#include "store/memory/memory.h"

enum kw_status kw__memory_events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                       kw_store_event_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_event first = {.event.sequence = 0};
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    size_t given = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__tree_node *node = kw__tree_after(&memory->events_waiting, &first.by_claim);
    for (; node != NULL && given < limit; node = kw__tree_after(&memory->events_waiting, node)) {
        struct kw__memory_event *found = KW__TREE_OWNER(node, struct kw__memory_event, by_claim);
        if (found->claimed_until_ms > now_ms) {
            continue;
        }
        /* All of them are claimed, also those that a sink which stops early does not see. */
        found->claimed_until_ms = until_ms;
        found->event.attempts++;
        given++;
        status = status == KW_OK ? sink(context, &found->event) : status;
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

uint64_t kw__memory_settle_event(struct kw__memory *memory, const struct kw_id *id)
{
    struct kw__memory_event probe = {.event.id = *id};
    struct kw__tree_node *node = kw__tree_find(&memory->events_by_id, &probe.by_id);
    struct kw__memory_event *found = node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_event, by_id);
    if (found == NULL || found->is_settled) {
        return 0;
    }
    found->is_settled = true;
    kw__tree_remove(&memory->events_waiting, &found->by_claim);
    return found->event.sequence;
}

enum kw_status kw__memory_events_settle(struct kw_store *store, const struct kw_id *id)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    pthread_rwlock_wrlock(&memory->lock);
    uint64_t sequence = kw__memory_settle_event(memory, id);
    pthread_rwlock_unlock(&memory->lock);
    return sequence == 0 ? KW_E_NOT_FOUND : KW_OK;
}

static bool matches(const struct kw_store_event_filter *filter, const struct kw_store_event *event)
{
    bool of_project = filter->project.size == 0 || kw_bytes_equal(filter->project, event->project);
    bool of_key = kw_id_is_none(&filter->key_id) || kw_id_equal(&filter->key_id, &event->key_id);
    return of_project && of_key && event->at_ms >= filter->from_ms;
}

enum kw_status kw__memory_events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                      kw_store_event_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    uint64_t from = filter->is_back && filter->after == 0 ? UINT64_MAX : filter->after;
    struct kw__memory_event probe = {.event.sequence = from};
    enum kw_status status = kw__store_check_limit(filter->limit);
    size_t given = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = &probe.by_sequence;
    while (status == KW_OK && given < filter->limit) {
        node = filter->is_back ? kw__tree_before(&memory->events, node) : kw__tree_after(&memory->events, node);
        if (node == NULL) {
            break;
        }
        struct kw_store_event shown = KW__TREE_OWNER(node, struct kw__memory_event, by_sequence)->event;
        if (matches(filter, &shown)) {
            shown.attempts = 0;
            status = sink(context, &shown);
            given++;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

static void remove_event(struct kw__memory *memory, struct kw__memory_event *event)
{
    if (!event->is_settled) {
        kw__tree_remove(&memory->events_waiting, &event->by_claim);
    }
    kw__tree_remove(&memory->events_by_id, &event->by_id);
    kw__tree_remove(&memory->events, &event->by_sequence);
    kw_free(event);
}

enum kw_status kw__memory_events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                       uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_event first = {.event.sequence = 0};
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    size_t seen = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__tree_node *node = kw__tree_after(&memory->events, &first.by_sequence);
    while (node != NULL && removed < limit && seen < KW_STORE_SCAN_MAX) {
        struct kw__memory_event *event = KW__TREE_OWNER(node, struct kw__memory_event, by_sequence);
        node = kw__tree_after(&memory->events, node);
        if (!kw_bytes_equal(event->event.project, project)) {
            continue;
        }
        seen++;
        if (event->event.at_ms < before_ms) {
            remove_event(memory, event);
            removed++;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}
