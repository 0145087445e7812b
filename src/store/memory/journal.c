#include "store/memory/memory.h"

#include "base/bytes.h"

enum kw_status kw__memory_journal_reserve(struct kw__memory_journal *journal, size_t more)
{
    if (more <= journal->capacity - journal->count) {
        return KW_OK;
    }
    /* A batch of one piece takes what it needs; one of many does not copy all of it for each. */
    size_t doubled = 2 * journal->capacity;
    size_t capacity = journal->count + more > doubled ? journal->count + more : doubled;
    struct kw__memory_change *changes = kw_realloc(journal->changes, capacity * sizeof *changes);
    if (changes == NULL) {
        return KW_E_MEMORY;
    }
    journal->changes = changes;
    journal->capacity = capacity;
    return KW_OK;
}

void kw__memory_link(struct kw__memory_journal *journal, struct kw__tree *tree, struct kw__tree_node *node,
                     void *object)
{
    kw__tree_insert(tree, node);
    journal->changes[journal->count++] = (struct kw__memory_change){tree, node, true, object};
}

void kw__memory_unlink(struct kw__memory_journal *journal, struct kw__tree *tree, struct kw__tree_node *node,
                       void *object)
{
    kw__tree_remove(tree, node);
    journal->changes[journal->count++] = (struct kw__memory_change){tree, node, false, object};
}

static void undo(const struct kw__memory_change *change)
{
    if (change->linked) {
        kw__tree_remove(change->tree, change->node);
        return;
    }
    kw__tree_insert(change->tree, change->node);
}

enum kw_status kw__memory_journal_end(struct kw__memory_journal *journal, enum kw_status status)
{
    for (size_t i = journal->count; i > 0 && status != KW_OK; i--) {
        undo(&journal->changes[i - 1]);
    }
    for (size_t i = 0; i < journal->count; i++) {
        bool is_out = journal->changes[i].linked != (status == KW_OK);
        if (is_out) {
            kw_free(journal->changes[i].object);
        }
    }
    kw_free(journal->changes);
    *journal = (struct kw__memory_journal){0};
    return status;
}

void *kw__memory_object(size_t size, size_t text_size, uint8_t **text_out)
{
    uint8_t *object = kw_alloc(1, size + text_size);
    if (object == NULL) {
        return NULL;
    }
    *text_out = object + size;
    return object;
}

struct kw_bytes kw__memory_keep(uint8_t **text, struct kw_bytes bytes)
{
    if (bytes.size == 0) {
        return (struct kw_bytes){NULL, 0};
    }
    struct kw_bytes copy = kw_bytes_of(memcpy(*text, bytes.data, bytes.size), bytes.size);
    *text += bytes.size;
    return copy;
}
