#include "engine/pool.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 * 1024 * 1024)
#define REGION_MIN ((size_t)256 * 1024)
#define REGION_MAX ((size_t)64 * 1024 * 1024)

struct kw_pool_region {
    struct kw_pool_region *older;
    size_t size;
};

struct kw_pool_piece {
    struct kw_pool_piece *next;
};

void *kw_pages_map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    if (size >= HUGE_PAGE) {
        (void)madvise(pages, size, MADV_HUGEPAGE); /* a wish: everything works without */
    }
    return pages;
}

void kw_pages_unmap(void *pages, size_t size)
{
    if (pages != NULL) {
        (void)munmap(pages, size);
    }
}

void kw_pool_init(struct kw_pool *pool)
{
    memset(pool, 0, sizeof *pool);
}

void kw_pool_deinit(struct kw_pool *pool)
{
    while (pool->regions != NULL) {
        struct kw_pool_region *region = pool->regions;
        pool->regions = region->older;
        kw_pages_unmap(region, region->size);
    }
    kw_pool_init(pool);
}

static size_t rounded(size_t size)
{
    return (size + KW_POOL_ALIGNMENT - 1) & ~(size_t)(KW_POOL_ALIGNMENT - 1);
}

/* Grows by what there is already, so that a small store stays small and a large one makes few mappings. */
static bool add_region(struct kw_pool *pool)
{
    size_t size = pool->bytes < REGION_MIN ? REGION_MIN : pool->bytes > REGION_MAX ? REGION_MAX : rounded(pool->bytes);
    struct kw_pool_region *region = kw_pages_map(size);
    if (region == NULL) {
        return false;
    }
    *region = (struct kw_pool_region){.older = pool->regions, .size = size};
    pool->regions = region;
    pool->next = (uint8_t *)region + rounded(sizeof *region);
    pool->left = size - rounded(sizeof *region);
    __atomic_store_n(&pool->bytes, pool->bytes + size, __ATOMIC_RELAXED); /* read by metrics */
    return true;
}

void *kw_pool_take(struct kw_pool *pool, size_t size)
{
    assert(size > 0 && size <= KW_POOL_PIECE_MAX);
    size = rounded(size);
    struct kw_pool_piece *freed = pool->freed[size / KW_POOL_ALIGNMENT];
    if (freed != NULL) {
        pool->freed[size / KW_POOL_ALIGNMENT] = freed->next;
        return freed;
    }
    if (pool->left < size && !add_region(pool)) {
        return NULL;
    }
    void *piece = pool->next;
    pool->next += size;
    pool->left -= size;
    return piece;
}

void kw_pool_give(struct kw_pool *pool, void *piece, size_t size)
{
    struct kw_pool_piece *freed = piece;
    freed->next = pool->freed[rounded(size) / KW_POOL_ALIGNMENT];
    pool->freed[rounded(size) / KW_POOL_ALIGNMENT] = freed;
}
