/*
 * The form of a key: <prefix><random><checksum>. The checksum is CRC-32 (IEEE 802.3) over prefix and random part, as
 * six base62 digits (0-9A-Za-z, most significant first): it lets a server refuse a typo and a scanner recognise a key
 * with no look-up.
 */
#ifndef KW_CORE_KEY_H
#define KW_CORE_KEY_H

#include "base/secret.h"
#include <keyward/record.h>

#define KW_KEY_CHECKSUM_SIZE 6
#define KW_KEY_LENGTH_DEFAULT 32
#define KW_KEY_LENGTH_MAX 128
#define KW_KEY_STRENGTH_BITS_MIN 128
#define KW_KEY_RANDOM_SIZE 512 /* random bytes that always suffice, but for odds below 2^-100 */

/* How a project's keys of one kind look. */
struct kw_key_format {
    struct kw_bytes prefix;   /* 1 to KW_PREFIX_MAX of a-z 0-9 '_' '-', starting with a letter and ending with '_' */
    uint32_t length;          /* of the random part, in characters */
    struct kw_bytes alphabet; /* 2 to 62 different characters of 0-9A-Za-z; empty means all 62 */
};

/*
 * KW_E_INVALID: WEAK_KEY_FORMAT when length * log2(alphabet) is below KW_KEY_STRENGTH_BITS_MIN (computed exactly: no
 * format passes by rounding), INVALID_FIELD for a bad prefix, length or alphabet, naming "prefix", "length",
 * "alphabet".
 */
KW_MUST_USE enum kw_status kw_key_format_check(const struct kw_key_format *format, struct kw_error *error_out);

/*
 * Makes a key from random bytes by rejection, so that every character is equally likely. KW_E_LIMIT when `random` ran
 * out: call again with fresh bytes. The format must have passed kw_key_format_check.
 */
KW_MUST_USE enum kw_status kw_key_generate(const struct kw_key_format *format, struct kw_bytes random,
                                           struct kw_secret *key_out);

/* True when `text` has a possible size, only characters that keys have, and a true checksum. No allocation. */
KW_MUST_USE bool kw_key_well_formed(struct kw_bytes text);

/* The CRC-32 (IEEE) of `bytes`. */
uint32_t kw_crc32(struct kw_bytes bytes);

#endif
