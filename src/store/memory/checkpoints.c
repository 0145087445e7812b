#include "store/memory/memory.h"

#include "base/bytes.h"
#include "store/check.h"

enum kw_status kw__memory_set_checkpoint(struct kw__memory *memory, struct kw__memory_journal *journal,
                                         const struct kw_store_checkpoint *from)
{
    struct kw__memory_checkpoint probe = {.checkpoint = *from};
    struct kw__tree_node *old = kw__tree_find(&memory->checkpoints, &probe.by_place);
    if (old != NULL) {
        kw__memory_unlink(journal, &memory->checkpoints, old,
                          KW__TREE_OWNER(old, struct kw__memory_checkpoint, by_place));
    }
    if (from->bytes.size == 0) {
        return KW_OK;
    }
    uint8_t *text = NULL;
    struct kw__memory_checkpoint *made = kw__memory_object(sizeof *made, from->project.size + from->bytes.size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->checkpoint.place = from->place;
    made->checkpoint.project = kw__memory_keep(&text, from->project);
    made->checkpoint.bytes = kw__memory_keep(&text, from->bytes);
    kw__memory_link(journal, &memory->checkpoints, &made->by_place, made);
    return KW_OK;
}

enum kw_status kw__memory_audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after,
                                            bool is_back, size_t limit, kw_store_checkpoint_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    uint64_t place = is_back && after == 0 ? UINT64_MAX : after;
    struct kw__memory_checkpoint probe = {.checkpoint = {.project = project, .place = place}};
    enum kw_status status = kw__store_check_limit(limit);
    const struct kw__tree_node *node = &probe.by_place;
    pthread_rwlock_rdlock(&memory->lock);
    for (size_t i = 0; i < limit && status == KW_OK; i++) {
        node = is_back ? kw__tree_before(&memory->checkpoints, node) : kw__tree_after(&memory->checkpoints, node);
        const struct kw_store_checkpoint *found =
            node == NULL ? NULL : &KW__TREE_OWNER(node, struct kw__memory_checkpoint, by_place)->checkpoint;
        if (found == NULL || !kw_bytes_equal(found->project, project)) {
            break;
        }
        status = sink(context, found);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_erase(struct kw__memory *memory, struct kw__memory_journal *journal,
                                const struct kw_store_erasure *erasure)
{
    struct kw__memory_audit line_probe = {.audit.sequence = erasure->sequence};
    struct kw__memory_seal seal_probe = {.seal.sequence = erasure->sequence};
    struct kw__tree_node *line = kw__tree_find(&memory->audits, &line_probe.by_sequence);
    struct kw__tree_node *seal = kw__tree_find(&memory->seals, &seal_probe.by_sequence);
    if (line == NULL || seal == NULL) {
        return KW_E_CONFLICT;
    }
    struct kw__memory_audit *old = KW__TREE_OWNER(line, struct kw__memory_audit, by_sequence);
    struct kw_store_audit left = old->audit;
    left.owner.size = erasure->owner ? 0 : left.owner.size;
    left.actor.size = erasure->actor ? 0 : left.actor.size;
    left.context.size = erasure->context ? 0 : left.context.size;
    left.body.size = erasure->body ? 0 : left.body.size;
    kw__memory_unlink(journal, &memory->audits, line, old);
    kw__memory_unlink(journal, &memory->seals, seal, KW__TREE_OWNER(seal, struct kw__memory_seal, by_sequence));
    enum kw_status status = kw__memory_add_audit(memory, journal, &left, erasure->sequence);
    return status == KW_OK
               ? kw__memory_add_seal(memory, journal, &(struct kw_store_seal){erasure->sequence, erasure->seal})
               : status;
}
