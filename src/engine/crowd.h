/*
 * The keys that one action on a filter changes. They may be a hundred times more than a group has works, so they wait
 * as what is least: an encoded record and a digest each. Pieces of a group's size become works, one piece after the
 * other, while the store commits them as one batch; what was made of a record then stands in its place, and goes into
 * the index when the commit is there.
 */
#ifndef KW_ENGINE_CROWD_H
#define KW_ENGINE_CROWD_H

#include "base/memory.h"
#include "core/record.h"
#include "engine/engine.h"

#define KW_CROWD_PIECE KW_ENGINE_GROUP_MAX
#define KW_CROWD_MEMORY_MAX \
    ((size_t)512 * 1024 * 1024) /* a million keys with records of usual size take two thirds \
                                 */

struct kw_crowd_key {
    struct kw_id id;
    struct kw_digest digest;
    bool is_written; /* the batch has a row of it */
    bool is_changed; /* by the action; else what time had done was written down with it */
    uint32_t size;   /* of its encoding */
};

struct kw_crowd_piece {
    struct kw_crowd_piece *next;
    size_t count;
    struct kw_buffer records; /* one after the other: as they are, and once they are in the batch, as they will be */
    struct kw_crowd_key keys[KW_CROWD_PIECE];
};

struct kw_crowd {
    struct kw_crowd_piece *first, *last; /* keys in the order of their ids */
    size_t count, size;                  /* in bytes */
    struct kw_crowd_piece *next;         /* to become works */
    struct kw_buffer former;             /* the records that works and rows of the piece before it point into */
    size_t written;
    enum kw_status refusal; /* why it came to nothing; KW_OK: nobody refused */
};

/* KW_E_LIMIT beyond KW_CROWD_MEMORY_MAX, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_crowd_add(struct kw_crowd *crowd, const struct kw_id *id, const struct kw_digest *digest,
                                        struct kw_bytes record);
/* Whether the key is one of them. */
KW_MUST_USE bool kw_crowd_has(const struct kw_crowd *crowd, const struct kw_id *id);
/* Frees; it is empty then. */
void kw_crowd_end(struct kw_crowd *crowd);
void kw_crowd_free_pieces(struct kw_crowd_piece *pieces);

/* Cuts the next record off what is left of a piece's. */
struct kw_bytes kw_crowd_record(const struct kw_crowd_key *key, struct kw_bytes *rest);

#endif
