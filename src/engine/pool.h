/*
 * Memory for the index's entries: many pieces of a few hundred bytes that live long. Pieces come from large mappings
 * for which huge pages are asked (random reads of entries then miss the TLB far less), rounded up to 16 bytes, without
 * a header; freed ones wait in a list of their size. Not thread safe: the index's lock guards it.
 */
#ifndef KW_ENGINE_POOL_H
#define KW_ENGINE_POOL_H

#include <keyward/types.h>

#define KW_POOL_PIECE_MAX 65536
#define KW_POOL_ALIGNMENT 64 /* a cache line: an entry's first one then holds what every decision reads */

struct kw_pool {
    struct kw_pool_region *regions;
    uint8_t *next; /* of the newest region */
    size_t left;
    size_t bytes; /* mapped */
    struct kw_pool_piece *freed[KW_POOL_PIECE_MAX / KW_POOL_ALIGNMENT + 1];
};

void kw_pool_init(struct kw_pool *pool);
void kw_pool_deinit(struct kw_pool *pool);
/* `size` bytes (1 to KW_POOL_PIECE_MAX), aligned to a cache line, not zeroed; NULL when there is no memory. */
KW_MUST_USE void *kw_pool_take(struct kw_pool *pool, size_t size);
/* `size` as it was taken with. */
void kw_pool_give(struct kw_pool *pool, void *piece, size_t size);

/* A mapping of zeroed memory for which huge pages are asked; NULL when there is none. Give back with kw_pages_unmap. */
KW_MUST_USE void *kw_pages_map(size_t size);
void kw_pages_unmap(void *pages, size_t size);

#endif
