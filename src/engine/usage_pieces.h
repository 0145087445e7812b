/*
 * Pieces of deferred use (usage_defer.h), as they are written: entries one after the other, in a buffer that the store
 * is handed at once.
 *
 * A piece is a byte for its form, then entries, each behind a byte for its kind. Numbers are in LEB128.
 */
#ifndef KW_ENGINE_USAGE_PIECES_H
#define KW_ENGINE_USAGE_PIECES_H

#include "engine/usage_rows.h"
#include "engine/usage_table.h"

#define KW__DEFER_FORM 1
enum kw__defer_kind {
    KW__DEFER_PROJECT = 1, /* a size, a name: what follows is the project's alone */
    KW__DEFER_KEY,         /* 16 bytes: what follows is that key's, of the project before it */
    KW__DEFER_USE,         /* what a slot says: hour, valid, cost, at, flags, and what these tell of */
    KW__DEFER_COUNT,       /* a row: dimension, hour, amount, a size, a value */
};
enum {
    KW__DEFER_NETWORKS = 1 << 0,    /* how many had an address, and their networks' marks */
    KW__DEFER_LOST_SCOPES = 1 << 1, /* nothing more */
    KW__DEFER_PLACE = 1 << 2,       /* a size and a region */
    KW__DEFER_ADDRESS = 1 << 3,     /* 16 bytes */
    KW__DEFER_ALIKE = 1 << 4,       /* nothing more: all of them came from that address and region */
};
#define KW__DEFER_PARTS 1024 /* of keys; one more is that of projects */
#define KW__DEFER_HEAD_MAX (1 + 1 + 1 + KW_PROJECT_MAX + 1 + 16)
#define KW__DEFER_ENTRY_MAX (16 + 7 * 10 + KW_STORE_USAGE_VALUE_MAX)
#define KW__DEFER_ROWS_MAX (KW__USE_ROWS_MAX / 2) /* that one piece may become */
#define KW__DEFER_KEYS_MAX (KW__USES_MAX / 2)
#define KW__DEFER_BYTES ((size_t)4 << 20) /* written, or read, at once */
#define KW__DEFER_PIECES ((size_t)4096)
#define KW__DEFER_KEYS_EACH 128 /* of a piece, as a rule: few writes, and none that takes long */
#define KW__DEFER_NONE UINT32_MAX

#define KW__COUNT_ROWS 4                       /* that one amount may become */
#define KW__SLOT_ROWS (2 * KW__COUNT_ROWS + 3) /* two of these are told of all subjects, three of the key alone */
#define KW__ALIKE_ROWS (KW__SLOT_ROWS + KW__COUNT_ROWS) /* and its region */

/* How far the writing of pieces is; all zeros but for `part`, which is KW__DEFER_NONE: nothing is written. */
struct kw__pieces_at {
    size_t size, count; /* of bytes, and of pieces that have ended */
    size_t begin;       /* of the piece that is being written */
    size_t rows, keys;  /* of that piece */
    uint32_t part;
    uint16_t project; /* that the piece was last told of; KW_PROJECT_NONE: none */
    struct kw_id key; /* the same */
    uint64_t codes;   /* verifications that all of them are of */
};

struct kw__pieces {
    struct kw__pieces_at at;
    uint8_t bytes[KW__DEFER_BYTES];
    struct kw_store_deferred items[KW__DEFER_PIECES];
};

void kw__pieces_clear(struct kw__pieces *pieces);
/* Whether as much as one more entry may need fits what is written at once. */
bool kw__pieces_have_room(const struct kw__pieces *pieces);
/* The piece that is being written ends here: what follows is in one of its own. */
void kw__pieces_end(struct kw__pieces *pieces);
/* Room in a piece of that part for an entry of so many rows, and whose it is; no key: the project's alone. The three
 * below go on from here. False: the project is gone. */
KW_MUST_USE bool kw__pieces_begin_entry(const struct kw_engine *engine, struct kw__pieces *pieces, uint32_t part,
                                        uint16_t project, const struct kw_id *key, size_t rows);
void kw__pieces_put_count(struct kw__pieces *pieces, const struct kw_store_usage *usage);
void kw__pieces_put_use(struct kw__pieces *pieces, const struct kw__use_slot *slot, const struct kw__use_place *place);
/* What an entry of the index has counted: uses that were all alike, and cost one each. */
void kw__pieces_put_alike(struct kw__pieces *pieces, const struct kw__use *use);
/* Hands them to the store. Fails as that does; it is told then how much waits there where it is KW_OK. */
KW_MUST_USE enum kw_status kw__pieces_write(struct kw_engine *engine, struct kw__pieces *pieces);

/* The part of a key, always the same but for a table that has grown: keys come in its order where the index is swept.
 */
uint32_t kw__defer_part_of(const struct kw_usage *usage, const uint8_t *digest);
/* Of each 2^n parts the first stands for all where there are few keys for so many parts; n. */
unsigned kw__defer_shift(size_t keys, uint64_t parts);

#endif
