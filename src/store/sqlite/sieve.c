#include "store/sqlite/sieve.h"

#include "base/memory.h"

#define BITS_A_DIGEST 4

bool kw__sieve_init(struct kw__sieve *sieve)
{
    sieve->words = kw_alloc(KW__SIEVE_WORDS, sizeof *sieve->words);
    return sieve->words != NULL;
}

void kw__sieve_deinit(struct kw__sieve *sieve)
{
    kw_free(sieve->words);
    sieve->words = NULL;
}

/* Which word, and the bits in it. */
static size_t word_of(struct kw_bytes start, uint64_t *bits_out)
{
    uint64_t hash = 0;
    memcpy(&hash, start.data, start.size < sizeof hash ? start.size : sizeof hash);
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    *bits_out = 0;
    for (size_t i = 0; i < BITS_A_DIGEST; i++) {
        *bits_out |= UINT64_C(1) << (hash >> (6 * i) & 63);
    }
    return (size_t)((hash >> 32) % KW__SIEVE_WORDS);
}

void kw__sieve_add(struct kw__sieve *sieve, struct kw_bytes start)
{
    uint64_t bits;
    size_t word = word_of(start, &bits);
    if (sieve->words != NULL) {
        sieve->words[word] |= bits;
    }
}

bool kw__sieve_passes(const struct kw__sieve *sieve, struct kw_bytes start)
{
    uint64_t bits;
    size_t word = word_of(start, &bits);
    return sieve->words == NULL || (sieve->words[word] & bits) == bits;
}
