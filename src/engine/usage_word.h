/*
 * Counting in the entry. A good verification that came as the key's last ones did, from the same origin, is one more in
 * a word of the key's entry, which the verification has just read: nothing is handed on, and whoever counts (usage.h)
 * finds it there in its own time. All else goes through the ring of the thread.
 *
 * The word, from its low bits on: how many; whether what was asked for is not known of one of them; the last one's
 * millisecond in its hour; which of two hours that is; the number of the origin, 0 for none stated; and a few bits that
 * change with the origin, so that a word is not taken for an older one. It is set by compare-and-swap alone: where
 * another thread was faster, this one counts in its ring.
 */
#ifndef KW_ENGINE_USAGE_WORD_H
#define KW_ENGINE_USAGE_WORD_H

#include "core/usage.h"
#include "core/verdict.h"
#include <keyward/store.h>

#define KW__WORD_COUNT UINT64_C(0x3fff)
#define KW__WORD_LOST (UINT64_C(1) << 14)
#define KW__WORD_MS_AT 15
#define KW__WORD_MS (UINT64_C(0x3fffff) << KW__WORD_MS_AT)
#define KW__WORD_HOUR_AT 37
#define KW__WORD_HOUR (UINT64_C(1) << KW__WORD_HOUR_AT)
#define KW__WORD_ORIGIN_AT 38
#define KW__WORD_ORIGIN_MAX UINT64_C(0xffffff)
#define KW__WORD_TURN_AT 62

/* Of an entry that another has taken the place of: nothing is counted in it any more. */
#define KW__WORD_CLOSED KW__WORD_COUNT

_Static_assert(KW_HOUR_MS <= KW__WORD_MS >> KW__WORD_MS_AT, "the milliseconds of an hour fit");

static inline uint32_t kw__word_count(uint64_t word)
{
    return (uint32_t)(word & KW__WORD_COUNT);
}

static inline uint32_t kw__word_origin(uint64_t word)
{
    return (uint32_t)(word >> KW__WORD_ORIGIN_AT & KW__WORD_ORIGIN_MAX);
}

static inline unsigned kw__word_hour(uint64_t word)
{
    return (unsigned)(word >> KW__WORD_HOUR_AT & 1);
}

static inline int64_t kw__word_ms(uint64_t word)
{
    return (int64_t)((word & KW__WORD_MS) >> KW__WORD_MS_AT);
}

/* The word without what it counts. */
static inline uint64_t kw__word_taken(uint64_t word)
{
    return word & ~(KW__WORD_COUNT | KW__WORD_LOST);
}

/* What stays of an entry that is replaced, for the one that replaces it. */
static inline uint64_t kw__word_inherit(struct kw_entry *old)
{
    uint64_t word = __atomic_exchange_n(&old->uses, KW__WORD_CLOSED, __ATOMIC_SEQ_CST);
    return kw__word_count(word) == KW__WORD_CLOSED ? 0 : word;
}

/* From where keys are used: an address, a region, both, neither. It may be read while another thread writes it, and
 * then what was read is of no use, since the word that led there has changed. */
struct kw__origin {
    uint64_t words[4]; /* atomic; struct kw__origin_text */
};

struct kw__origin_text {
    uint8_t address[16];
    uint8_t region[KW_STORE_USE_REGION_MAX]; /* behind a shorter one, zeros */
    uint8_t has_address;
    uint8_t unused[7];
};
_Static_assert(sizeof(struct kw__origin_text) == sizeof(struct kw__origin), "one is read as the other");

static inline bool kw__origin_has(const struct kw__origin *origin, const uint64_t words[4])
{
    uint64_t differs = 0;
    for (size_t i = 0; i < 4; i++) {
        differs |= words[i] ^ __atomic_load_n(&origin->words[i], __ATOMIC_RELAXED);
    }
    return differs == 0;
}

static inline bool kw__origin_is(const struct kw__origin *origin, const struct kw__origin_text *text)
{
    uint64_t wanted[4];
    memcpy(wanted, text, sizeof wanted);
    return kw__origin_has(origin, wanted);
}

/*
 * The same of an address, or none, and of a country alone, or no place at all. In registers: a word that has just been
 * written in parts takes long to be read.
 */
static inline bool kw__origin_is_country(const struct kw__origin *origin, const struct kw_address *address,
                                         const struct kw_bytes *country)
{
    static const uint8_t has_address[8] = {1};
    uint64_t wanted[4] = {0};
    uint16_t letters;
    if (address != NULL) {
        memcpy(wanted, address->bytes, sizeof address->bytes);
        memcpy(&wanted[3], has_address, sizeof wanted[3]);
    }
    if (country != NULL && country->size == sizeof letters) {
        memcpy(&letters, country->data, sizeof letters);
        wanted[2] = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? (uint64_t)letters << 48 : letters;
    }
    return kw__origin_has(origin, wanted);
}

#endif
