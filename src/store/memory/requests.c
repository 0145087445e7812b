#include "store/memory/memory.h"

#include "base/bytes.h"
#include "store/check.h"

static struct kw__memory_request *find(const struct kw__memory *memory, const uint8_t name[KW_STORE_REQUEST_SIZE])
{
    struct kw__memory_request probe = {.request.at_ms = 0};
    memcpy(probe.request.name, name, KW_STORE_REQUEST_SIZE);
    struct kw__tree_node *node = kw__tree_find(&memory->requests_by_name, &probe.by_name);
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_request, by_name);
}

enum kw_status kw__memory_request_add(struct kw__memory *memory, struct kw__memory_journal *journal,
                                      const struct kw_store_request *request)
{
    if (find(memory, request->name) != NULL) {
        return KW_E_CONFLICT;
    }
    uint8_t *text = NULL;
    struct kw__memory_request *made = kw__memory_object(sizeof *made, 0, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->request = *request;
    kw__memory_link(journal, &memory->requests_by_name, &made->by_name, made);
    kw__memory_link(journal, &memory->requests_by_time, &made->by_time, NULL);
    return KW_OK;
}

enum kw_status kw__memory_request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                       struct kw_store_request *request_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__memory_request *found = find(memory, name);
    if (found != NULL) {
        *request_out = found->request;
    }
    pthread_rwlock_unlock(&memory->lock);
    return found == NULL ? KW_E_NOT_FOUND : KW_OK;
}

enum kw_status kw__memory_request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_request first = {.request.at_ms = INT64_MIN};
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__tree_node *node = kw__tree_after(&memory->requests_by_time, &first.by_time);
    while (node != NULL && removed < limit) {
        struct kw__memory_request *oldest = KW__TREE_OWNER(node, struct kw__memory_request, by_time);
        if (oldest->request.at_ms >= before_ms) {
            break;
        }
        node = kw__tree_after(&memory->requests_by_time, node);
        kw__tree_remove(&memory->requests_by_time, &oldest->by_time);
        kw__tree_remove(&memory->requests_by_name, &oldest->by_name);
        kw_free(oldest);
        removed++;
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}
