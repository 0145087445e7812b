/*
 * Digests of keys: what is kept instead of the key. HMAC-SHA-256 under a pepper (RFC 2104, FIPS 198-1) by default;
 * SHA-256 and SHA-512 (FIPS 180-4), plain or salted, as choices. A digester is made once, is read-only afterwards and
 * can be used by any number of threads: the states that depend on pepper and salt are computed in advance.
 */
#ifndef KW_CORE_DIGEST_H
#define KW_CORE_DIGEST_H

#include "base/secret.h"
#include <keyward/record.h>

#define KW_DIGEST_MAX 64
#define KW_DIGEST_INDEX_SIZE 32 /* what an index compares: all of SHA-256, half of SHA-512, 256 bits either way */
#define KW_SALT_SIZE 16         /* of the salts that are drawn here */
#define KW_SALT_MAX 64          /* of those that imports bring */

struct kw_digest {
    uint8_t bytes[KW_DIGEST_MAX]; /* zero beyond size */
    uint8_t size;                 /* 32 or 64 */
};

/* Where the salt stands: the digest is that of salt and key, or of key and salt, with nothing between them. */
enum kw_salt_place { KW_SALT_BEFORE_KEY, KW_SALT_AFTER_KEY };

struct kw_digester; /* holds what depends on the pepper: wiped when freed */

/*
 * `pepper` (KW_PEPPER_SIZE bytes, used by hmac only) and `salt` (1 to KW_SALT_MAX bytes, used by salted schemes only,
 * which put it before the key) are borrowed for the call. KW_E_INVALID for a scheme that is not known, KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_digester_new(enum kw_digest_scheme scheme, const struct kw_secret *pepper,
                                           struct kw_bytes salt, struct kw_digester **digester_out);
/* One of a salted scheme, with the salt where `place` says. Else as above. */
KW_MUST_USE enum kw_status kw_digester_new_salted(enum kw_digest_scheme scheme, struct kw_bytes salt,
                                                  enum kw_salt_place place, struct kw_digester **digester_out);
void kw_digester_free(struct kw_digester *digester);
enum kw_digest_scheme kw_digester_scheme(const struct kw_digester *digester);

/* The digest of one key. No allocation, no lock, no system call. `key` has at most KW_KEY_SIZE_MAX bytes (asserted). */
void kw_digest_key(const struct kw_digester *digester, struct kw_bytes key, struct kw_digest *digest_out);

/* The same for many keys: what a processor can do side by side is done so. Same results as one by one. */
void kw_digest_keys(const struct kw_digester *digester, const struct kw_bytes *keys, size_t count,
                    struct kw_digest *digests_out);

/* SHA-256 of several texts, each led by its size, so that other texts never come to the same bytes. */
void kw_digest_parts(const struct kw_bytes *parts, size_t count, uint8_t out[32]);

bool kw_digest_scheme_is_salted(enum kw_digest_scheme scheme);
/* "hmac-sha256", "sha256", "sha512", "sha256-salted", "sha512-salted"; NULL for a number that means nothing. */
const char *kw_digest_scheme_name(enum kw_digest_scheme scheme);
KW_MUST_USE bool kw_digest_scheme_of_name(struct kw_bytes name, enum kw_digest_scheme *scheme_out);

/* Tells peppers apart without telling anything of them: HMAC-SHA-256 of a fixed text, its first 16 bytes. */
void kw_pepper_fingerprint(const struct kw_secret *pepper, uint8_t out[KW_PEPPER_FINGERPRINT_SIZE]);

#endif
