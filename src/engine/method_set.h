/* A set of digest methods, by their numbers. */
#ifndef KW_ENGINE_METHOD_SET_H
#define KW_ENGINE_METHOD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KW_METHODS_MAX 256
#define KW_METHOD_WORDS ((size_t)(KW_METHODS_MAX / 64))

_Static_assert(KW_METHODS_MAX > UINT8_MAX, "every number has its bit");

struct kw_method_set {
    uint64_t words[KW_METHOD_WORDS];
};

static inline uint64_t kw_method_bit(uint8_t number)
{
    return UINT64_C(1) << (number % 64);
}

static inline bool kw_method_set_has(const struct kw_method_set *set, uint8_t number)
{
    return (set->words[number / 64] & kw_method_bit(number)) != 0;
}

static inline void kw_method_set_add(struct kw_method_set *set, uint8_t number)
{
    set->words[number / 64] |= kw_method_bit(number);
}

static inline void kw_method_set_remove(struct kw_method_set *set, uint8_t number)
{
    set->words[number / 64] &= ~kw_method_bit(number);
}

static inline void kw_method_set_add_all(struct kw_method_set *set, const struct kw_method_set *more)
{
    for (size_t i = 0; i < KW_METHOD_WORDS; i++) {
        set->words[i] |= more->words[i];
    }
}

static inline void kw_method_set_remove_all(struct kw_method_set *set, const struct kw_method_set *less)
{
    for (size_t i = 0; i < KW_METHOD_WORDS; i++) {
        set->words[i] &= ~less->words[i];
    }
}

/* Takes the lowest number out; false when there is none. */
static inline bool kw_method_set_take(struct kw_method_set *set, uint8_t *number_out)
{
    for (size_t i = 0; i < KW_METHOD_WORDS; i++) {
        uint64_t word = set->words[i];
        if (word != 0) {
            *number_out = (uint8_t)(i * 64 + (size_t)__builtin_ctzll(word));
            set->words[i] = word & (word - 1);
            return true;
        }
    }
    return false;
}

#endif
