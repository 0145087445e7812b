/*
 * Digest methods: what the number beside a digest means. 1 to 5 are the store's own, one for each scheme, with the
 * scheme's number: hmac-sha256 under the store's first pepper, sha256, sha512, and the two salted ones under the salt
 * that the store drew for itself. Further ones come with peppers and with imports and are kept as a setting, so that a
 * number never changes its meaning.
 *
 * All of them are one table, which is replaced as a whole (like the catalog) and read without a lock. A key is looked
 * for under its project's own method first, then under the others that the project has keys of.
 */
#ifndef KW_ENGINE_METHODS_H
#define KW_ENGINE_METHODS_H

#include "core/digest.h"
#include "engine/engine.h"

#define KW_METHODS_OF_PROJECT_MAX 8 /* in use in one project, when an import brings another */
#define KW_METHODS_SALTED_MAX 200   /* that imports bring into a store in its life, for all projects */
#define KW_FOREIGN_COUNT_MAX 8      /* prefixes of foreign keys that a project admits */

struct kw_digest_method {
    uint8_t number; /* what rows and records have (kw_record_digest_method); kw_engine_method_take gives it */
    enum kw_digest_scheme scheme;
    uint16_t project; /* whose keys may have it; KW_PROJECT_NONE: all. Always that for hmac-sha256 */
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE]; /* hmac-sha256: of its pepper; else zero */
    uint8_t salt[KW_SALT_MAX];                       /* of salted schemes; zero beyond salt_size */
    uint8_t salt_size;                               /* 1 to KW_SALT_MAX for those, else 0 */
    enum kw_salt_place salt_place;
};

/* Equal but for their numbers. */
KW_MUST_USE bool kw_digest_method_equal(const struct kw_digest_method *a, const struct kw_digest_method *b);

/* PEPPER_MISMATCH, naming the fingerprint, where the method needs a pepper that the engine was not given. Any thread.
 */
KW_MUST_USE enum kw_status kw_engine_pepper_check(const struct kw_engine *engine, const struct kw_digest_method *method,
                                                  struct kw_error *error_out);

/*
 * Finds the method that is equal but for its number, or adds it, for keys that are to come into `project`; durable and
 * known to all verifications when it returns. `method->number` is not read. Blocks: not from a worker's `done`.
 * PEPPER_MISMATCH, naming the fingerprint, for one under a pepper that this engine was not given; LIMIT_REACHED when
 * the project would have more than KW_METHODS_OF_PROJECT_MAX in use, or the store more than KW_METHODS_SALTED_MAX
 * salts; TOO_BUSY when the former is not known yet; PROJECT_NOT_FOUND, also for a method of another project;
 * INVALID_FIELD
 * ("salt", "digest") for what is no method. A dry run changes nothing; of what is not there the number is the scheme's.
 */
KW_MUST_USE enum kw_status kw_engine_method_take(struct kw_engine *engine, uint16_t project,
                                                 const struct kw_digest_method *method, bool is_dry_run,
                                                 uint8_t *number_out, struct kw_error *error_out);

/* The method of that number. False when there is none, or its pepper was retired. Any thread. */
KW_MUST_USE bool kw_engine_method(const struct kw_engine *engine, uint8_t number, struct kw_digest_method *method_out);

/* The method that new keys of a project get. False when there is no such project. Any thread. */
KW_MUST_USE bool kw_engine_own_method(const struct kw_engine *engine, uint16_t project,
                                      struct kw_digest_method *method_out);

/* The digest of a key (at most KW_KEY_SIZE_MAX bytes) under a method. False when there is none of that number. */
KW_MUST_USE bool kw_engine_digest(const struct kw_engine *engine, uint8_t number, struct kw_bytes key,
                                  struct kw_digest *digest_out);

/*
 * From now on keys of the project that begin with `prefix` (any bytes, at most KW_PREFIX_MAX; empty: any key) are
 * looked up though they are not of Keyward's form, as long as the project has imported keys. Durable when it returns.
 * Blocks. LIMIT_REACHED beyond KW_FOREIGN_COUNT_MAX; an empty one takes in all others. PROJECT_NOT_FOUND.
 */
KW_MUST_USE enum kw_status kw_engine_foreign_add(struct kw_engine *engine, uint16_t project, struct kw_bytes prefix,
                                                 struct kw_error *error_out);

/* Whether keys of that method are here, in any project, erased ones too, or may be: the index is filling. Any thread.
 */
KW_MUST_USE bool kw_engine_method_has_keys(const struct kw_engine *engine, uint8_t number);

/* What the number means, or meant before its pepper was retired: for who read it from a store before that. */
KW_MUST_USE bool kw_engine_method_meant(const struct kw_engine *engine, uint8_t number,
                                        struct kw_digest_method *method_out);

/* The peppers that the engine has, in their order, `count` at most. Returns how many. Any thread. */
size_t kw_engine_peppers(const struct kw_engine *engine, struct kw_pepper_use *uses_out, size_t count);

/*
 * True when the digest was that of another key which has moved to another method since this process started. The store
 * would take it again; the index would not, so nobody may. Any thread.
 */
KW_MUST_USE bool kw_engine_digest_was_moved(const struct kw_engine *engine, const struct kw_digest *digest,
                                            const struct kw_id *id);

#endif
