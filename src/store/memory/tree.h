/*
 * An ordered set of nodes that live inside their owners' structs: a treap (Seidel and Aragon 1996), balanced by
 * weights drawn at random. Linking and unlinking never allocate, so that a batch can be undone whatever the memory.
 */
#ifndef KW_STORE_MEMORY_TREE_H
#define KW_STORE_MEMORY_TREE_H

#include <keyward/types.h>

struct kw__tree_node {
    struct kw__tree_node *left, *right;
    uint64_t weight; /* a node's is never below its children's */
};

typedef int kw__tree_compare(const struct kw__tree_node *a, const struct kw__tree_node *b);

struct kw__tree {
    struct kw__tree_node *root;
    kw__tree_compare *compare;
    uint64_t random;
};

/* The struct that `node` is the member `member` of. */
#define KW__TREE_OWNER(node, type, member) ((type *)(void *)((uint8_t *)(uintptr_t)(node)-offsetof(type, member)))

void kw__tree_init(struct kw__tree *tree, kw__tree_compare *compare);
/* The node equal to `probe`, or NULL. */
struct kw__tree_node *kw__tree_find(const struct kw__tree *tree, const struct kw__tree_node *probe);
/* The first node greater than `probe`, or NULL. */
struct kw__tree_node *kw__tree_after(const struct kw__tree *tree, const struct kw__tree_node *probe);
/* The last node less than `probe`, or NULL. */
struct kw__tree_node *kw__tree_before(const struct kw__tree *tree, const struct kw__tree_node *probe);
/* No equal node may be there. */
void kw__tree_insert(struct kw__tree *tree, struct kw__tree_node *node);
/* `node` must be there. */
void kw__tree_remove(struct kw__tree *tree, struct kw__tree_node *node);

#endif
