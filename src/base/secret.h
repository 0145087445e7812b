/*
 * A secret that a person or program could use: a full key, a pepper. It has its own type so that no function that
 * prints, logs or formats takes one; kw_secret_expose is the only way to its bytes, and `./dev lint` keeps the list of
 * files that may call it. Whoever declares one wipes it.
 */
#ifndef KW_BASE_SECRET_H
#define KW_BASE_SECRET_H

#include "base/memory.h"

#define KW_SECRET_MAX 224

struct kw_secret {
    uint8_t hidden[KW_SECRET_MAX];
    size_t size;
};

/* Copies; KW_E_LIMIT when there are more than KW_SECRET_MAX bytes. */
KW_MUST_USE enum kw_status kw_secret_set(struct kw_secret *secret_out, struct kw_bytes bytes);

static inline struct kw_bytes kw_secret_expose(const struct kw_secret *secret)
{
    return (struct kw_bytes){secret->hidden, secret->size};
}

static inline void kw_secret_wipe(struct kw_secret *secret)
{
    kw_wipe(secret, sizeof *secret);
}

/* For `struct kw_secret key KW_WIPED = {0};`: wiped at the end of its scope. */
#define KW_WIPED __attribute__((cleanup(kw_secret_wipe)))

/*
 * The one comparison of secret bytes: its time depends on the sizes only. Sizes are no secret; different sizes are
 * unequal.
 */
KW_MUST_USE bool kw_constant_time_equal(struct kw_bytes a, struct kw_bytes b);

#endif
