/*
 * Memory with a cap. An arena gives pieces that all die together; a buffer grows up to the limit stated when it is
 * made. Both wipe what they held when told that it was secret. Nothing here keeps global state; the allocator can be
 * told by tests to fail the n-th allocation.
 */
#ifndef KW_BASE_MEMORY_H
#define KW_BASE_MEMORY_H

#include <keyward/types.h>
#include <stdlib.h>
#include <string.h>

/* Overwrites memory in a way that the compiler does not remove. */
void kw_wipe(void *data, size_t size);

/*
 * Pieces of memory that all die together. The first block is the caller's (for instance on the stack) and may be
 * empty; further blocks come from the heap, up to `size_max` bytes in all.
 */
struct kw_arena {
    uint8_t *block;    /* where the next piece comes from */
    size_t used, size; /* of that block */
    size_t total, size_max;
    struct kw_arena_block *heap_blocks;
    uint8_t *first_block;
    size_t first_size;
};

void kw_arena_init(struct kw_arena *arena, void *first_block, size_t first_size, size_t size_max);
/* Wipes every block that was used and frees those of the heap. The arena can be used again at once. */
void kw_arena_reset(struct kw_arena *arena);
/* `size` bytes, zeroed, aligned for any type; NULL when the cap or the memory is reached. Size 0 counts as 1. */
KW_MUST_USE void *kw_arena_take(struct kw_arena *arena, size_t size);
/* `count` times `size`, NULL also when the product overflows. */
KW_MUST_USE void *kw_arena_take_array(struct kw_arena *arena, size_t count, size_t size);
/* Why kw_arena_take of this size just gave NULL: KW_E_LIMIT (the cap) or KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_arena_refusal(const struct kw_arena *arena, size_t size);
/* A copy of `bytes`; NULL data with size 0 stays so. KW_E_LIMIT or KW_E_MEMORY when there is no room. */
KW_MUST_USE enum kw_status kw_arena_copy(struct kw_arena *arena, struct kw_bytes bytes, struct kw_bytes *copy_out);

/*
 * A growing buffer. A write that does not fit sets `failed` and writes nothing; further writes do nothing, so that a
 * run of appends needs one look at the end (kw_buffer_status).
 */
struct kw_buffer {
    uint8_t *data;
    size_t size, capacity, size_max;
    bool owns;   /* `data` came from the heap */
    bool secret; /* wipe on growth, reset and free */
    enum kw_status failed;
};

/* On the heap, at most `size_max` bytes. Nothing is allocated until the first write. */
void kw_buffer_init(struct kw_buffer *buffer, size_t size_max);
/* In the caller's memory; it never grows beyond it. */
void kw_buffer_init_fixed(struct kw_buffer *buffer, void *data, size_t size);
/* As kw_buffer_init, and every byte is wiped before its memory is given back. */
void kw_buffer_init_secret(struct kw_buffer *buffer, size_t size_max);
/* Frees; the buffer is as after init. */
void kw_buffer_deinit(struct kw_buffer *buffer);
/* Empties, keeps the memory. */
void kw_buffer_reset(struct kw_buffer *buffer);
/* KW_OK, or what made the first write fail: KW_E_LIMIT, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_buffer_status(const struct kw_buffer *buffer);

/* The slow half of kw_buffer_reserve: grows, or says why not. */
KW_MUST_USE uint8_t *kw__buffer_grow(struct kw_buffer *buffer, size_t size);

/* Room for `size` more bytes at the end, or NULL (and `failed` is set). The caller then adds to `size` what it wrote.
 */
KW_MUST_USE static inline uint8_t *kw_buffer_reserve(struct kw_buffer *buffer, size_t size)
{
    if (buffer->failed == KW_OK && buffer->data != NULL && size <= buffer->capacity - buffer->size) {
        return buffer->data + buffer->size;
    }
    return kw__buffer_grow(buffer, size);
}

static inline void kw_buffer_add(struct kw_buffer *buffer, struct kw_bytes bytes)
{
    if (bytes.size == 0) {
        return;
    }
    uint8_t *end = kw_buffer_reserve(buffer, bytes.size);
    if (end != NULL) {
        memcpy(end, bytes.data, bytes.size);
        buffer->size += bytes.size;
    }
}

static inline void kw_buffer_add_text(struct kw_buffer *buffer, const char *text)
{
    kw_buffer_add(buffer, (struct kw_bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)});
}

static inline void kw_buffer_add_byte(struct kw_buffer *buffer, uint8_t byte)
{
    uint8_t *end = kw_buffer_reserve(buffer, 1);
    if (end != NULL) {
        *end = byte;
        buffer->size++;
    }
}

void kw_buffer_add_u64(struct kw_buffer *buffer, uint64_t value); /* decimal */
void kw_buffer_add_i64(struct kw_buffer *buffer, int64_t value);  /* decimal */
void kw_buffer_add_format(struct kw_buffer *buffer, const char *format, ...) KW_PRINTF(2, 3);

static inline struct kw_bytes kw_buffer_bytes(const struct kw_buffer *buffer)
{
    return (struct kw_bytes){buffer->data, buffer->size};
}

/*
 * All of Keyward's own heap memory comes from here: calloc, realloc and free, but that a test can make the n-th call
 * fail (kw_alloc_fail_after). `kw_alloc` gives zeroed bytes; what kw_realloc adds is not zeroed.
 */
KW_MUST_USE void *kw_alloc(size_t count, size_t size);
KW_MUST_USE void *kw_realloc(void *old, size_t size);
void kw_free(void *memory);
/* For tests: the `count`-th allocation of this thread from now on (1 is the next; 0 counts as 1), and all after it,
 * give NULL. A negative count ends that. */
void kw_alloc_fail_after(int64_t count);

#endif
