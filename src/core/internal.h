/*
 * What the files of the core share among themselves and with nobody else: packed lists, the table of a record's
 * fields, params on their way into a record, digests side by side.
 */
#ifndef KW_CORE_INTERNAL_H
#define KW_CORE_INTERNAL_H

#include "base/bytes.h"
#include "base/memory.h"
#include <keyward/record.h>

/* --- Packed lists: each string is its length in LEB128, shortest form, and its bytes --- */

#define KW_LEB128_MAX 10

/* Writes at most KW_LEB128_MAX bytes and returns how many. */
static inline size_t kw__leb128_write(uint64_t value, uint8_t *out)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) {
        out[size++] = (uint8_t)(value | 0x80);
    }
    out[size++] = (uint8_t)value;
    return size;
}

static inline size_t kw__leb128_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7) {
        size++;
    }
    return size;
}

/* A number and how many bytes it takes; 0 where there is none. In registers, so that who reads it needs no memory. */
struct kw__number {
    uint64_t value;
    size_t size;
};
/* The number of two bytes or more that these begin with, shortest form only. */
KW_MUST_USE struct kw__number kw__leb128_long(struct kw_bytes bytes);

KW_MUST_USE static inline bool kw__leb128_read(struct kw_bytes *rest, uint64_t *value_out)
{
    if (rest->size != 0 && rest->data[0] < 0x80) {
        *value_out = rest->data[0];
        rest->data++;
        rest->size--;
        return true;
    }
    struct kw__number number = kw__leb128_long(*rest);
    rest->data += number.size;
    rest->size -= number.size;
    *value_out = number.value;
    return number.size != 0;
}

/* kw_list_next, for the places where every nanosecond counts. */
static inline bool kw__list_next(struct kw_bytes *rest, struct kw_bytes *item_out)
{
    struct kw_bytes after = *rest;
    uint64_t size;
    if (!kw__leb128_read(&after, &size) || size > after.size) {
        return false;
    }
    *item_out = (struct kw_bytes){after.data, (size_t)size};
    *rest = (struct kw_bytes){after.data + size, after.size - (size_t)size};
    return true;
}

/* --- The table of a record's fields --- */

/* Times are kept in 48 bits, big end first: as short as LEB128 would make today's, and one form for each. */
#define KW__TIME_SIZE 6

enum kw__field_kind {
    KW__FIELD_NONE,
    KW__FIELD_OWN_ID, /* the record's own, which is its line's too unless said otherwise */
    KW__FIELD_ID,
    KW__FIELD_TEXT,
    KW__FIELD_JSON, /* a text that is JSON already */
    KW__FIELD_LAST_FOUR,
    KW__FIELD_SET,     /* a bool: its tag alone means true */
    KW__FIELD_CLEARED, /* a bool: its tag alone means false */
    KW__FIELD_LIST,
    KW__FIELD_RESOURCES,
    KW__FIELD_RANGES, /* a list of packed ranges of addresses */
    KW__FIELD_RATE_LIMITS,
    KW__FIELD_QUOTAS,
    KW__FIELD_SCHEME,
    KW__FIELD_METHOD, /* a number that is present when it is not the scheme's own */
    KW__FIELD_TIME,
    KW__FIELD_UPDATED, /* a time that is present when it is not the creation's */
    KW__FIELD_LINEAGE, /* an id that is present when it is not the record's own */
    KW__FIELD_VERSION,
    KW__FIELD_STATUS,  /* shown, never kept */
    KW__FIELD_USER_ID, /* shown, never kept: the ID of an owner that is a user */
};

enum {
    KW__FIELD_HIDDEN = 1 << 0,     /* not in the record's JSON */
    KW__FIELD_UNCOMPARED = 1 << 1, /* not among the differences of two records */
    KW__FIELD_RARE = 1 << 2,       /* a bool or list that is shown only where it is true, or not empty */
};

#define KW__LABEL_MAX 24

struct kw__field {
    char label[KW__LABEL_MAX + 1]; /* its name in JSON: comma, quoted name, colon */
    uint8_t label_size;
    uint8_t kind;
    uint8_t flags;
    uint16_t offset;    /* in struct kw_record */
    uint16_t size_max;  /* of a text, or of a list's items */
    uint16_t count_max; /* of a list */
};

/* Indexed by tag; tag 0 is no field, nor is a tag without a row. */
#define KW__FIELD_COUNT 45
/* The tags that other files name. Those on places stand in a row. */
enum {
    KW__TAG_VERSION = 31, /* the last field of every encoding, whatever its tag: one that was cut off lacks it */
    KW__TAG_ALLOWED_IPS = 32,
    KW__TAG_BLOCKED_IPS = 33,
    KW__TAG_ALLOWED_REGIONS = 34,
    KW__TAG_BLOCKED_REGIONS = 35,
};

extern const struct kw__field kw__fields[KW__FIELD_COUNT];

/* The place of a tag in an encoding of that version (1 to KW_RECORD_ENCODING_VERSION), from 1 on. */
#define KW__ENCODINGS 3 /* and no version 0 */
extern const uint8_t kw__field_places[KW__ENCODINGS][KW__FIELD_COUNT];

/* As kw_record_encode, in the order of an earlier version too: for tests of what was written once. */
struct kw_buffer;
KW_MUST_USE enum kw_status kw__record_encode_as(const struct kw_record *record, unsigned version,
                                                struct kw_buffer *buffer);

static inline const void *kw__field_of(const struct kw_record *record, const struct kw__field *field)
{
    return (const uint8_t *)record + field->offset;
}

static inline void *kw__field_in(struct kw_record *record, const struct kw__field *field)
{
    return (uint8_t *)record + field->offset;
}

/* Writes the end of a grace period down: revoked from then on, by the system, as rotated (transition.c). */
void kw__grace_end(struct kw_record *record);

/* --- Params (params.c) --- */

/* "tags[2]" */
void kw__name_item(struct kw_bytes parent, size_t index, char field_out[KW_ERROR_FIELD_MAX]);

struct kw_key_params;
struct kw_error;

/*
 * Writes what `params` gives into `record`: tags lowered, lists sorted without doubles and packed into `arena`,
 * metadata without white space. The params must have passed kw_key_params_check at the same time.
 */
KW_MUST_USE enum kw_status kw__params_apply(const struct kw_key_params *params, int64_t now_ms, struct kw_arena *arena,
                                            struct kw_record *record, struct kw_error *error_out);

/* Refuses a limit or quota that counts the spending of an organisation, of a key that has none. `params` were applied
 * to the record. */
KW_MUST_USE enum kw_status kw__org_check(const struct kw_key_params *params, const struct kw_record *record,
                                         struct kw_error *error_out);

/* KW_OK, or INVALID_FIELD when `text` is too long, no UTF-8, or holds control characters. */
KW_MUST_USE enum kw_status kw__text_check(struct kw_bytes text, size_t size_max, const char *field,
                                          struct kw_error *error_out);

/* KW_E_MEMORY, with a message. */
enum kw_status kw__no_memory(struct kw_error *error_out);

/* kw_crc32 where the processor has no instruction for it. */
uint32_t kw__crc32_by_tables(struct kw_bytes bytes);

/* --- Digests side by side (digest_wide.c) --- */

#define KW__WIDE_LANES 16
#define KW__WIDE_MESSAGE_MAX 55 /* what fits a block beside its padding (FIPS 180-4, 5.1.1) */
#define KW__WIDE_WORTH 8        /* fewer are faster one after another */

/* Whether this processor computes KW__WIDE_LANES digests faster together than one after another. */
bool kw__sha256_wide_helps(void);

/*
 * SHA-256 of KW__WIDE_LANES messages of at most KW__WIDE_MESSAGE_MAX bytes, each after the `prior_size` bytes that led
 * to the state `inner`; then, unless `outer` is NULL, of that digest after the 64 bytes that led to `outer`.
 * Only where kw__sha256_wide_helps().
 */
void kw__sha256_wide(const uint32_t inner[8], uint64_t prior_size, const uint32_t *outer,
                     const struct kw_bytes messages[KW__WIDE_LANES], uint8_t digests[KW__WIDE_LANES][32]);

#endif
