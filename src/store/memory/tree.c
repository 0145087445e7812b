#include "store/memory/tree.h"

void kw__tree_init(struct kw__tree *tree, kw__tree_compare *compare)
{
    *tree = (struct kw__tree){.compare = compare, .random = UINT64_C(0x2545f4914f6cdd1d)};
}

/* splitmix64, Steele, Lea and Flood 2014. */
static uint64_t next_weight(struct kw__tree *tree)
{
    uint64_t z = (tree->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct kw__tree_node *kw__tree_find(const struct kw__tree *tree, const struct kw__tree_node *probe)
{
    struct kw__tree_node *node = tree->root;
    while (node != NULL) {
        int order = tree->compare(probe, node);
        if (order == 0) {
            return node;
        }
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

struct kw__tree_node *kw__tree_after(const struct kw__tree *tree, const struct kw__tree_node *probe)
{
    struct kw__tree_node *node = tree->root;
    struct kw__tree_node *best = NULL;
    while (node != NULL) {
        if (tree->compare(probe, node) < 0) {
            best = node;
            node = node->left;
            continue;
        }
        node = node->right;
    }
    return best;
}

struct kw__tree_node *kw__tree_before(const struct kw__tree *tree, const struct kw__tree_node *probe)
{
    struct kw__tree_node *node = tree->root;
    struct kw__tree_node *best = NULL;
    while (node != NULL) {
        if (tree->compare(probe, node) > 0) {
            best = node;
            node = node->right;
            continue;
        }
        node = node->left;
    }
    return best;
}

void kw__tree_insert(struct kw__tree *tree, struct kw__tree_node *node)
{
    node->weight = next_weight(tree);
    struct kw__tree_node **link = &tree->root;
    while (*link != NULL && (*link)->weight >= node->weight) {
        link = tree->compare(node, *link) < 0 ? &(*link)->left : &(*link)->right;
    }
    /* What hung here is split into what stands before the node and what stands after it. */
    struct kw__tree_node *rest = *link;
    struct kw__tree_node **before = &node->left;
    struct kw__tree_node **after = &node->right;
    *link = node;
    while (rest != NULL) {
        if (tree->compare(rest, node) < 0) {
            *before = rest;
            before = &rest->right;
            rest = *before;
            continue;
        }
        *after = rest;
        after = &rest->left;
        rest = *after;
    }
    *before = NULL;
    *after = NULL;
}

void kw__tree_remove(struct kw__tree *tree, struct kw__tree_node *node)
{
    struct kw__tree_node **link = &tree->root;
    while (*link != node) {
        link = tree->compare(node, *link) < 0 ? &(*link)->left : &(*link)->right;
    }
    struct kw__tree_node *left = node->left;
    struct kw__tree_node *right = node->right;
    while (left != NULL && right != NULL) {
        if (left->weight >= right->weight) {
            *link = left;
            link = &left->right;
            left = *link;
            continue;
        }
        *link = right;
        link = &right->left;
        right = *link;
    }
    *link = left != NULL ? left : right;
}
