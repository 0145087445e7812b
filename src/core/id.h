/*
 * Ids: ULIDs (https://github.com/ulid/spec), which sort by the time they were made. Made from a time and ten random
 * bytes that are handed in.
 */
#ifndef KW_CORE_ID_H
#define KW_CORE_ID_H

#include <keyward/record.h>
#include <string.h>

#define KW_ID_RANDOM_SIZE 10

struct kw_id kw_id_make(int64_t now_ms, const uint8_t random[KW_ID_RANDOM_SIZE]);
bool kw_id_equal(const struct kw_id *a, const struct kw_id *b);
int kw_id_compare(const struct kw_id *a, const struct kw_id *b);
/* When it was made, as it says; at most KW_TIME_MS_MAX. */
int64_t kw_id_time_ms(const struct kw_id *id);

/* Inline: a record's JSON asks it of every field that is an id. */
static inline bool kw_id_is_none(const struct kw_id *id)
{
    uint64_t halves[2];
    memcpy(halves, id->bytes, sizeof halves);
    return (halves[0] | halves[1]) == 0;
}

/* Writes "key_" and 26 characters of Crockford's base 32, KW_ID_TEXT_SIZE in all, no NUL. */
void kw_id_format(const struct kw_id *id, char *out);
/* Strict: the prefix "key_", upper case, exact size, no value beyond 128 bits. */
KW_MUST_USE bool kw_id_parse(struct kw_bytes text, struct kw_id *id_out);

/*
 * For tables. Ids that follow each other differ in their last bytes only, so these are spread over all bits (Knuth's
 * multiplicative hashing; the constant is 2^64 divided by the golden ratio).
 */
static inline uint64_t kw_id_hash(const struct kw_id *id)
{
    uint64_t tail;
    memcpy(&tail, id->bytes + sizeof id->bytes - sizeof tail, sizeof tail);
    tail = __builtin_bswap64(tail) * UINT64_C(0x9e3779b97f4a7c15);
    return tail ^ tail >> 32;
}

#endif
