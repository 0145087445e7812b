/*
 * Tells most digests that are not in the table of digests without a look into it: a Bloom filter of one word a digest,
 * whose size is fixed. It lets 1 in 1,000 of the new ones pass when a million digests are in it, and 3 in 100 at four.
 */
#ifndef KW_STORE_SQLITE_SIEVE_H
#define KW_STORE_SQLITE_SIEVE_H

#include <keyward/types.h>

#define KW__SIEVE_WORDS 524288     /* 4 MB */
#define KW__SIEVE_FILL_MAX 4000000 /* more digests than that are not read to fill it */

struct kw__sieve {
    uint64_t *words; /* NULL: there is none, and everything passes */
};

/* False without memory; then there is none. */
KW_MUST_USE bool kw__sieve_init(struct kw__sieve *sieve);
void kw__sieve_deinit(struct kw__sieve *sieve);
/* `start` is what the table has of a digest. */
void kw__sieve_add(struct kw__sieve *sieve, struct kw_bytes start);
/* False: it was never added. */
bool kw__sieve_passes(const struct kw__sieve *sieve, struct kw_bytes start);

#endif
