#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

/* The counter of that lineage, metric and bucket; made, at 0, when there is none. NULL: no memory. */
static struct kw__memory_usage *counter_of(struct kw__memory *memory, struct kw__memory_journal *journal,
                                           const struct kw_store_usage *usage)
{
    struct kw__memory_usage probe = {.usage = *usage};
    struct kw__tree_node *node = kw__tree_find(&memory->usages, &probe.by_bucket);
    if (node != NULL) {
        return KW__TREE_OWNER(node, struct kw__memory_usage, by_bucket);
    }
    uint8_t *text = NULL;
    struct kw__memory_usage *made = kw__memory_object(sizeof *made, usage->metric.size, &text);
    if (made == NULL) {
        return NULL;
    }
    made->usage = *usage;
    made->usage.metric = kw__memory_keep(&text, usage->metric);
    made->usage.amount = 0;
    kw__memory_link(journal, &memory->usages, &made->by_bucket, made);
    return made;
}

static void count_use(struct kw__memory_usage *counter, int64_t amount)
{
    bool fits = counter->usage.amount <= INT64_MAX - amount;
    counter->usage.amount = fits ? counter->usage.amount + amount : INT64_MAX;
}

/* Every counter is there before the first one moves, so that no memory means nothing was added. */
static enum kw_status add_all(struct kw__memory *memory, struct kw__memory_journal *journal,
                              const struct kw_store_usage *usages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (counter_of(memory, journal, &usages[i]) == NULL) {
            return KW_E_MEMORY;
        }
    }
    for (size_t i = 0; i < count; i++) {
        count_use(counter_of(memory, journal, &usages[i]), usages[i].amount);
    }
    return KW_OK;
}

enum kw_status kw__memory_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t count)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_journal journal;
    enum kw_status status = kw__store_check_usages(usages, count);
    if (status != KW_OK) {
        return status;
    }
    status = kw__memory_journal_init(&journal, count);
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_wrlock(&memory->lock);
    status = kw__memory_journal_end(&journal, add_all(memory, &journal, usages, count));
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_usage_read(struct kw_store *store, const struct kw_id *lineage_id, int64_t from_ms,
                                     int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_usage before = {.usage = {.lineage_id = *lineage_id, .bucket_start_ms = INT64_MIN}};
    enum kw_status status = KW_OK;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->usages, &before.by_bucket);
    for (; node != NULL && status == KW_OK; node = kw__tree_after(&memory->usages, node)) {
        const struct kw_store_usage *usage = &KW__TREE_OWNER(node, struct kw__memory_usage, by_bucket)->usage;
        if (!kw_id_equal(&usage->lineage_id, lineage_id)) {
            break;
        }
        if (usage->bucket_start_ms >= from_ms && usage->bucket_start_ms < until_ms) {
            status = sink(context, usage);
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}
