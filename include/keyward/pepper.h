/*
 * Peppers: what digests of keys are made with, kept apart from them. A new one takes the place of the first while
 * everything runs: new keys get it, those of the others move to it at their next use, and one that no key needs any
 * more is retired. Each is known by its fingerprint, which is no secret.
 */
#ifndef KEYWARD_PEPPER_H
#define KEYWARD_PEPPER_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward; /* keyward.h */

#define KW_PEPPERS_MAX 16 /* at once */

struct kw_pepper_use {
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    bool is_current; /* that of new keys */
    bool is_counted; /* every key is in memory (kw_wait_filled); else more keys may need it than `keys` says */
    uint64_t keys;   /* that need it, revoked ones too */
    uint64_t erased; /* that were erased, and are kept away by it: as `keys` */
};

/* All of them, that of new keys first; `count` at most. Returns how many. */
KW_API size_t kw_pepper_list(struct keyward *keyward, struct kw_pepper_use *uses_out, size_t count);

/*
 * Makes a pepper that of new keys. Verifications that are under way, and keys of the others, stay valid. One that is
 * there already becomes the first; the first itself changes nothing. `pepper`: KW_PEPPER_SIZE random bytes, or NULL:
 * Keyward draws them. `actor` is for the audit log, at most KW_ACTOR_MAX, "library" when empty; `fingerprint_out` and
 * `error_out` may be NULL. Blocks.
 *
 * With a data folder Keyward keeps the pepper in the folder's file, which is durable before any key is made with it:
 * back that file up. With a store of your own it is you who keeps peppers: make the bytes durable first, then call,
 * and give them from then on before the others to kw_open. A drawn one would be lost with the process, and is refused
 * (MISSING_FIELD).
 *
 * LIMIT_REACHED beyond KW_PEPPERS_MAX, or when the store knows as many digest methods as it can; PEPPER_MISMATCH where
 * the file no longer holds what this process works with; FILE_UNUSABLE; and as any change. After OUTCOME_UNCERTAIN
 * call again with the same bytes.
 */
KW_API KW_MUST_USE enum kw_status kw_pepper_add(struct keyward *keyward, const uint8_t *pepper, struct kw_bytes actor,
                                                uint8_t fingerprint_out[KW_PEPPER_FINGERPRINT_SIZE],
                                                struct kw_error *error_out);

/*
 * Retires a pepper that no key needs; with a data folder it is taken out of the folder's file. With a store of your own
 * leave it out of what you give to kw_open once this has returned. PEPPER_NOT_FOUND; PEPPER_IN_USE for that of new
 * keys, and, with their number, where keys need it: those in use move by themselves, the others are to be rotated.
 * Erased keys need it too, since without it an import could bring them in anew. TOO_BUSY as long as not every key is in
 * memory. Else as kw_pepper_add. Blocks.
 */
KW_API KW_MUST_USE enum kw_status kw_pepper_retire(struct keyward *keyward,
                                                   const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE],
                                                   struct kw_bytes actor, struct kw_error *error_out);
/* The same, though erased keys need it: from then on an import may bring them in anew, but for one that names their id
 * or a digest that needs no pepper. */
KW_API KW_MUST_USE enum kw_status kw_pepper_retire_and_forget(struct keyward *keyward,
                                                              const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE],
                                                              struct kw_bytes actor, struct kw_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
