#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

static bool text_matches(struct kw_bytes wanted, struct kw_bytes text)
{
    return wanted.size == 0 || kw_bytes_equal(wanted, text);
}

static bool audit_matches(const struct kw_store_audit_filter *filter, const struct kw_store_audit *audit)
{
    bool in_time = audit->at_ms >= filter->from_ms && (filter->until_ms == 0 || audit->at_ms < filter->until_ms);
    bool of_key = kw_id_is_none(&filter->key_id) || kw_id_equal(&filter->key_id, &audit->key_id);
    return in_time && of_key && text_matches(filter->project, audit->project) &&
           text_matches(filter->owner, audit->owner) && text_matches(filter->actor, audit->actor) &&
           text_matches(filter->action, audit->action);
}

/* The one behind `line` in the order that is asked for; at the begin the one behind the cursor. */
static const struct kw__tree_node *next_audit(const struct kw__memory *memory,
                                              const struct kw_store_audit_filter *filter,
                                              const struct kw__tree_node *line)
{
    uint64_t from = filter->is_back && filter->after == 0 ? UINT64_MAX : filter->after;
    struct kw__memory_audit probe = {.audit.sequence = from};
    const struct kw__tree_node *behind = line == NULL ? &probe.by_sequence : line;
    return filter->is_back ? kw__tree_before(&memory->audits, behind) : kw__tree_after(&memory->audits, behind);
}

/* As it is kept, with its seal. */
static struct kw_store_audit shown_audit(const struct kw__memory *memory, const struct kw_store_audit *audit)
{
    struct kw_store_audit shown = *audit;
    struct kw__memory_seal probe = {.seal.sequence = audit->sequence};
    const struct kw__tree_node *node = kw__tree_find(&memory->seals, &probe.by_sequence);
    if (node != NULL) {
        shown.seal = KW__TREE_OWNER(node, struct kw__memory_seal, by_sequence)->seal.seal;
    }
    return shown;
}

enum kw_status kw__memory_audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                      kw_store_audit_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(filter->limit);
    size_t given = 0;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = next_audit(memory, filter, NULL);
    while (status == KW_OK && node != NULL && given < filter->limit) {
        const struct kw_store_audit *audit = &KW__TREE_OWNER(node, struct kw__memory_audit, by_sequence)->audit;
        if (audit_matches(filter, audit)) {
            struct kw_store_audit shown = shown_audit(memory, audit);
            status = sink(context, &shown);
            given++;
        }
        node = next_audit(memory, filter, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

static void remove_seal(struct kw__memory *memory, uint64_t sequence)
{
    struct kw__memory_seal probe = {.seal.sequence = sequence};
    struct kw__tree_node *node = kw__tree_find(&memory->seals, &probe.by_sequence);
    if (node != NULL) {
        kw__tree_remove(&memory->seals, node);
        kw_free(KW__TREE_OWNER(node, struct kw__memory_seal, by_sequence));
    }
}

enum kw_status kw__memory_audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                      uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_audit first = {.audit.sequence = 0};
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__tree_node *node = kw__tree_after(&memory->audits, &first.by_sequence);
    while (node != NULL && removed < limit) {
        struct kw__memory_audit *line = KW__TREE_OWNER(node, struct kw__memory_audit, by_sequence);
        if (line->audit.sequence > sequence) {
            break;
        }
        node = kw__tree_after(&memory->audits, node);
        if (kw_bytes_equal(line->audit.project, project)) {
            remove_seal(memory, line->audit.sequence);
            kw__tree_remove(&memory->audits, &line->by_sequence);
            kw_free(line);
            removed++;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}
