#include "base/memory.h"

#include "base/bytes.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#define HEAP_BLOCK_MIN 4096
#define BUFFER_MIN 64
#define FORMAT_SHORT_MAX 256
#define DIGITS_MAX 20 /* of 2^64 - 1 */

struct kw_arena_block {
    alignas(max_align_t) struct kw_arena_block *next;
    size_t size; /* of what follows this header */
};

/* How many allocations still succeed on this thread; negative: all. In the initial-exec model it costs one read. */
static _Thread_local int64_t allocations_left __attribute__((tls_model("initial-exec"))) = -1;

static bool allocation_must_fail(void)
{
    if (allocations_left < 0) {
        return false;
    }
    if (allocations_left == 0) {
        return true;
    }
    allocations_left--;
    return false;
}

void kw_alloc_fail_after(int64_t count)
{
    allocations_left = count > 0 ? count - 1 : count;
}

void *kw_alloc(size_t count, size_t size)
{
    size_t product;
    if (__builtin_mul_overflow(count, size, &product) || allocation_must_fail()) {
        return NULL;
    }
    return calloc(1, product == 0 ? 1 : product);
}

void *kw_realloc(void *old, size_t size)
{
    return allocation_must_fail() ? NULL : realloc(old, size == 0 ? 1 : size);
}

void kw_free(void *memory)
{
    free(memory);
}

void kw_wipe(void *data, size_t size)
{
    if (size != 0) {
        explicit_bzero(data, size);
    }
}

void kw_arena_init(struct kw_arena *arena, void *first_block, size_t first_size, size_t size_max)
{
    size_t usable = first_block == NULL ? 0 : first_size;
    if (usable > size_max) {
        usable = size_max;
    }
    *arena = (struct kw_arena){
        .block = first_block,
        .size = usable,
        .total = usable,
        .size_max = size_max,
        .first_block = first_block,
        .first_size = usable,
    };
}

void kw_arena_reset(struct kw_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    bool first_was_left = arena->heap_blocks != NULL;
    kw_wipe(arena->first_block, first_was_left ? arena->first_size : arena->used);
    while (arena->heap_blocks != NULL) {
        struct kw_arena_block *block = arena->heap_blocks;
        arena->heap_blocks = block->next;
        kw_wipe(block, sizeof *block + block->size);
        kw_free(block);
    }
    kw_arena_init(arena, arena->first_block, arena->first_size, arena->size_max);
}

/* The next piece of the present block, or NULL when it does not fit. Blocks of the caller may start anywhere. */
static uint8_t *take_from_block(struct kw_arena *arena, size_t size)
{
    if (arena->block == NULL) {
        return NULL;
    }
    size_t misaligned = (uintptr_t)(arena->block + arena->used) % alignof(max_align_t);
    size_t padding = misaligned == 0 ? 0 : alignof(max_align_t) - misaligned;
    size_t left = arena->size - arena->used;
    if (left < padding || left - padding < size) {
        return NULL;
    }
    uint8_t *piece = arena->block + arena->used + padding;
    arena->used += padding + size;
    return piece;
}

/* Each block is twice the one before, so that many small pieces cost few allocations. */
static bool add_heap_block(struct kw_arena *arena, size_t size)
{
    size_t room = arena->size_max - arena->total;
    if (size > room) {
        return false;
    }
    size_t block_size = arena->heap_blocks == NULL ? HEAP_BLOCK_MIN / 2 : arena->heap_blocks->size;
    block_size = block_size > room / 2 ? room : block_size * 2;
    if (block_size < size) {
        block_size = size;
    }
    if (block_size > SIZE_MAX - sizeof(struct kw_arena_block)) {
        return false;
    }
    struct kw_arena_block *block = kw_alloc(1, sizeof *block + block_size);
    if (block == NULL) {
        return false;
    }
    block->next = arena->heap_blocks;
    block->size = block_size;
    arena->heap_blocks = block;
    arena->block = (uint8_t *)(block + 1);
    arena->used = 0;
    arena->size = block_size;
    arena->total += block_size;
    return true;
}

void *kw_arena_take(struct kw_arena *arena, size_t size)
{
    size_t wanted = size == 0 ? 1 : size;
    uint8_t *piece = take_from_block(arena, wanted);
    if (piece == NULL) {
        if (!add_heap_block(arena, wanted)) {
            return NULL;
        }
        piece = take_from_block(arena, wanted);
    }
    return piece == NULL ? NULL : memset(piece, 0, wanted);
}

void *kw_arena_take_array(struct kw_arena *arena, size_t count, size_t size)
{
    size_t product;
    return __builtin_mul_overflow(count, size, &product) ? NULL : kw_arena_take(arena, product);
}

enum kw_status kw_arena_refusal(const struct kw_arena *arena, size_t size)
{
    return size > arena->size_max - arena->total ? KW_E_LIMIT : KW_E_MEMORY;
}

enum kw_status kw_arena_copy(struct kw_arena *arena, struct kw_bytes bytes, struct kw_bytes *copy_out)
{
    if (bytes.data == NULL) {
        *copy_out = (struct kw_bytes){NULL, 0};
        return KW_OK;
    }
    uint8_t *copy = kw_arena_take(arena, bytes.size);
    if (copy == NULL) {
        return kw_arena_refusal(arena, bytes.size);
    }
    memcpy(copy, bytes.data, bytes.size);
    *copy_out = (struct kw_bytes){copy, bytes.size};
    return KW_OK;
}

void kw_buffer_init(struct kw_buffer *buffer, size_t size_max)
{
    *buffer = (struct kw_buffer){.size_max = size_max, .owns = true};
}

void kw_buffer_init_fixed(struct kw_buffer *buffer, void *data, size_t size)
{
    *buffer = (struct kw_buffer){.data = data, .capacity = size, .size_max = size};
}

void kw_buffer_init_secret(struct kw_buffer *buffer, size_t size_max)
{
    *buffer = (struct kw_buffer){.size_max = size_max, .owns = true, .secret = true};
}

void kw_buffer_deinit(struct kw_buffer *buffer)
{
    if (buffer == NULL) {
        return;
    }
    kw_buffer_reset(buffer);
    if (buffer->owns) {
        kw_free(buffer->data);
        buffer->data = NULL;
        buffer->capacity = 0;
    }
}

void kw_buffer_reset(struct kw_buffer *buffer)
{
    if (buffer->secret) {
        kw_wipe(buffer->data, buffer->capacity);
    }
    buffer->size = 0;
    buffer->failed = KW_OK;
}

enum kw_status kw_buffer_status(const struct kw_buffer *buffer)
{
    return buffer->failed;
}

/* realloc would leave a copy of a secret behind in freed memory. */
static uint8_t *enlarged(struct kw_buffer *buffer, size_t capacity)
{
    if (!buffer->secret) {
        return kw_realloc(buffer->data, capacity);
    }
    uint8_t *data = kw_alloc(1, capacity);
    if (data != NULL && buffer->data != NULL) {
        memcpy(data, buffer->data, buffer->size);
        kw_wipe(buffer->data, buffer->capacity);
        kw_free(buffer->data);
    }
    return data;
}

uint8_t *kw__buffer_grow(struct kw_buffer *buffer, size_t size)
{
    if (buffer->failed != KW_OK) {
        return NULL;
    }
    if (!buffer->owns || size > buffer->size_max - buffer->size) {
        buffer->failed = KW_E_LIMIT;
        return NULL;
    }
    size_t needed = buffer->size + size;
    size_t capacity = buffer->capacity > buffer->size_max / 2 ? buffer->size_max : buffer->capacity * 2;
    capacity = capacity < BUFFER_MIN ? BUFFER_MIN : capacity;
    capacity = capacity > buffer->size_max ? buffer->size_max : capacity;
    capacity = capacity < needed ? needed : capacity;
    uint8_t *data = enlarged(buffer, capacity);
    if (data == NULL) {
        buffer->failed = KW_E_MEMORY;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->size;
}

/* Writes the digits of `value` so that they end before `end`; where they begin. */
static uint8_t *put_digits(uint8_t *end, uint64_t value)
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, kw__digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value < 10) {
        *--end = (uint8_t)('0' + value);
        return end;
    }
    return memcpy(end - 2, kw__digit_pairs + value * 2, 2);
}

void kw_buffer_add_u64(struct kw_buffer *buffer, uint64_t value)
{
    uint8_t text[DIGITS_MAX];
    uint8_t *start = put_digits(text + sizeof text, value);
    kw_buffer_add(buffer, kw_bytes_of(start, (size_t)(text + sizeof text - start)));
}

void kw_buffer_add_i64(struct kw_buffer *buffer, int64_t value)
{
    uint8_t text[1 + DIGITS_MAX];
    uint8_t *start = put_digits(text + sizeof text, value < 0 ? -(uint64_t)value : (uint64_t)value);
    if (value < 0) {
        *--start = '-';
    }
    kw_buffer_add(buffer, kw_bytes_of(start, (size_t)(text + sizeof text - start)));
}

void kw_buffer_add_format(struct kw_buffer *buffer, const char *format, ...)
{
    char text[FORMAT_SHORT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failed = buffer->failed == KW_OK ? KW_E_SYSTEM : buffer->failed;
    } else if ((size_t)length < sizeof text) {
        kw_buffer_add(buffer, kw_bytes_of(text, (size_t)length));
    } else if (kw_buffer_reserve(buffer, (size_t)length) != NULL) {
        /* vsnprintf ends in a NUL for which the buffer may have no room. */
        char *whole = kw_alloc(1, (size_t)length + 1);
        if (whole == NULL) {
            buffer->failed = KW_E_MEMORY;
        } else {
            va_start(arguments, format);
            vsnprintf(whole, (size_t)length + 1, format, arguments);
            va_end(arguments);
            kw_buffer_add(buffer, kw_bytes_of(whole, (size_t)length));
            kw_wipe(whole, (size_t)length);
            kw_free(whole);
        }
    }
    if (buffer->secret) {
        kw_wipe(text, sizeof text);
    }
}
