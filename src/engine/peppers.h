/*
 * Peppers in a row: the first is that of new keys, those behind it are kept for keys that were made with them. As text
 * each is 64 hexadecimal characters, on a line of its own, or between commas.
 */
#ifndef KW_ENGINE_PEPPERS_H
#define KW_ENGINE_PEPPERS_H

#include "base/clock.h"
#include "core/digest.h"
#include <keyward/pepper.h>

/* Whether two fingerprints, which are no secret, are of one pepper. */
static inline bool kw_fingerprint_equal(const uint8_t *a, const uint8_t *b)
{
    struct kw_bytes left = {a, KW_PEPPER_FINGERPRINT_SIZE};
    struct kw_bytes right = {b, KW_PEPPER_FINGERPRINT_SIZE};
    return kw_constant_time_equal(left, right);
}

#define KW_PEPPERS_TEXT_MAX ((size_t)KW_PEPPERS_MAX * (2 * KW_PEPPER_SIZE + 1))

struct kw_peppers {
    struct kw_secret items[KW_PEPPERS_MAX];
    size_t count;
};

void kw_peppers_wipe(struct kw_peppers *peppers);
/* For `struct kw_peppers peppers KW_PEPPERS_WIPED = {0};`. */
#define KW_PEPPERS_WIPED __attribute__((cleanup(kw_peppers_wipe)))

/* PEPPER_MISMATCH, saying that `where` does not hold what it should. One that stands twice counts once. */
KW_MUST_USE enum kw_status kw_peppers_parse(struct kw_bytes text, const char *where, struct kw_peppers *peppers_out,
                                            struct kw_error *error_out);
/* Appends them to a secret buffer, a line each. Fails as the buffer does. */
KW_MUST_USE enum kw_status kw_peppers_write(const struct kw_peppers *peppers, struct kw_buffer *text);
/* Draws one. */
KW_MUST_USE enum kw_status kw_pepper_draw(const struct kw_entropy *entropy, struct kw_secret *pepper_out,
                                          struct kw_error *error_out);
/* Puts one first, where it may stand already. LIMIT_REACHED when there are KW_PEPPERS_MAX others. */
KW_MUST_USE enum kw_status kw_peppers_put_first(struct kw_peppers *peppers, const struct kw_secret *pepper,
                                                struct kw_error *error_out);
/* Puts those that are not there yet behind the others; `added_out` is how many. LIMIT_REACHED. */
KW_MUST_USE enum kw_status kw_peppers_join(struct kw_peppers *peppers, const struct kw_peppers *more, size_t *added_out,
                                           struct kw_error *error_out);
bool kw_peppers_has(const struct kw_peppers *peppers, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE]);
/* Takes the one of that fingerprint out. False when it is not there. */
bool kw_peppers_remove(struct kw_peppers *peppers, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE]);

/* Where peppers are kept, by whoever opened the engine: what is to be there at the next start. Asked by the writer. */
struct kw_pepper_keeper {
    void *context;
    /* What is kept now. Fails where it is not the process's to change. */
    enum kw_status (*read)(void *context, struct kw_peppers *peppers_out, struct kw_error *error_out);
    /* Keeps these instead; durable when it returns. Where it fails, either are kept. */
    enum kw_status (*write)(void *context, const struct kw_peppers *peppers, struct kw_error *error_out);
};

#endif
