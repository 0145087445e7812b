/*
 * The one writer: takes what is waiting, decides on all of it, commits it with one sync, puts it into the index, and
 * only then tells anybody. A group is worked on in steps that each pass over all of its members (prepare, commit,
 * settle).
 */
#ifndef KW_ENGINE_WRITER_H
#define KW_ENGINE_WRITER_H

#include "engine/internal.h"

#define KW_WRITE_ATTEMPTS 3   /* when another writer was quicker */
#define KW_WRITER_TICK_MS 250 /* how long a noticed lapse or a doubt waits at most */
#define KW_LAPSES_TOGETHER 32

/* One operation on its way through a group. Everything it points to lives in the group's arena. */
struct kw_work {
    struct kw_op *op;
    struct kw_record before;
    struct kw_digest before_digest;
    bool has_before;
    const struct kw_key_params *params; /* the operation's, with what a creation gets from elsewhere */
    struct kw_change change;
    struct kw_digest digests[2]; /* of the rows that are written: the key, and a successor */
    struct kw_store_put puts[2];
    size_t put_count;
    struct kw_store_audit audit;
    struct kw_store_event event;
    unsigned attempts;
    bool settled; /* op->status says how it ended */
    struct kw_store_batch *batch;
};

struct kw_writer {
    struct kw_arena arena;
    struct kw_buffer scratch; /* one text at a time, before it is copied into the arena */
    struct kw_work works[KW_ENGINE_GROUP_MAX];
    size_t work_count;
    struct kw_store_batch batches[KW_ENGINE_GROUP_MAX];
    size_t batch_count;
    struct kw_lapse lapses[KW_LAPSES_TOGETHER];
    struct kw_op lapse_ops[KW_LAPSES_TOGETHER];
    struct kw_id last_id; /* of the newest key */
};

/*
 * Decides on works[index] and makes its batch's contents: loads the record as the group has left it so far, asks the
 * core, encodes. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__prepare(struct kw_engine *engine, size_t index);

#endif
