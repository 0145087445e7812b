/*
 * The one writer: takes what is waiting, decides on all of it, commits it with one sync, puts it into the index, and
 * only then tells anybody. A group is worked on in steps that each pass over all of its units (prepare, commit,
 * settle). A unit is what is committed together or not at all: one change, or many that an operation binds together.
 */
#ifndef KW_ENGINE_WRITER_H
#define KW_ENGINE_WRITER_H

#include "core/id.h"
#include "engine/crowd.h"
#include "engine/internal.h"
#include <keyward/import.h>

#define KW_WRITE_ATTEMPTS 3   /* when another writer was quicker */
#define KW_WRITER_TICK_MS 250 /* how long a noticed lapse or a doubt waits at most */
#define KW_LAPSES_TOGETHER 32
#define KW_TOUCHED_BUCKETS 4096 /* a power of two */
/* Changes of one group. An action on a filter is a group of its own, and takes them piece by piece (crowd.h). */
#define KW_GROUP_WORKS_MAX KW_TOGETHER_MAX
#define KW_GROUP_UNITS_MAX KW_IMPORT_TOGETHER_MAX /* an import's chunk is a group of its own where it is larger */

/* One change on its way through a group. Everything it points to lives in the group's arena. */
struct kw_work {
    struct kw_op *op;
    struct kw_record before;
    struct kw_digest before_digest;
    bool is_loaded; /* `before` is there already: it is a part of an action on a filter */
    bool has_before;
    struct kw_record parent; /* of a child: the newest key of its parent's line */
    struct kw_digest parent_digest;
    bool has_parent;
    bool marks_parent; /* `parent` is written too: it has its first child */
    const struct kw_project *project;
    const struct kw_key_params *params; /* the operation's, with what a creation gets from elsewhere */
    bool expiry_is_added;               /* `params` got their expiry from project or policy: nobody asked for it */
    struct kw_change change;
    struct kw_digest digests[2]; /* of the rows that are written: the key, and a successor */
    struct kw_store_put puts[2];
    size_t put_count;
    struct kw_store_audit audit;
    struct kw_store_event event;
    /* What had happened before (struct kw_change), told before it. */
    struct kw_store_audit *passed_audits;
    struct kw_store_event *passed_events;
    size_t passed_count;
    struct kw_store_request request; /* where op->once */
    struct kw_store_setting former;  /* of a move or an erasure (former.c); without a name: none is written */
    struct kw_former_end *ends;      /* of an erasure: digests that the key had before */
    size_t end_count;
    uint32_t touched_next[3]; /* in the chains of kw_writer.touched: the key, a successor, a parent */
    uint32_t imported_next;   /* in the chains of kw_writer.imported */
    bool may_share;           /* a new key of an import: it may be committed with others, and told with them */
    bool is_shared;           /* and is: no audit line and no event are its own */
    bool settled;             /* op->status says how it ended */
    bool is_refused;          /* for what a caller asks, not for want of a store */
};

/* A tombstone for a digest that an erased key had before it moved. */
struct kw_former_end {
    struct kw_store_put put;
    struct kw_digest digest; /* the row's */
};

struct kw_unit {
    struct kw_op *op;    /* KW_OP_WHERE, KW_OP_TOGETHER when it is atomic, else the change itself */
    size_t first, count; /* its works */
    unsigned attempts;
    bool settled;                 /* all of its works are */
    bool is_rehearsed;            /* of a dry run: decided, and never committed */
    struct kw_store_batch *batch; /* NULL: not in this round */
};

struct kw_writer {
    struct kw_arena arena;
    struct kw_buffer scratch; /* one text at a time, before it is copied into the arena */
    struct kw_work *works;    /* `own_works`, or memory of the group where those are not enough */
    size_t work_count;
    struct kw_unit units[KW_GROUP_UNITS_MAX];
    size_t unit_count;
    struct kw_store_batch batches[KW_GROUP_UNITS_MAX];
    size_t batch_count;
    size_t shared_first;                   /* the unit that began the last batch, where that is `is_sharing` */
    bool is_sharing;                       /* the last batch is one of an import's new keys, and more may join it */
    uint32_t touched[KW_TOUCHED_BUCKETS];  /* by id: what the group has changed so far; 0 ends a chain */
    uint32_t imported[KW_TOUCHED_BUCKETS]; /* by digest: what the group has imported so far */
    struct kw_work own_works[KW_ENGINE_GROUP_MAX];
    struct kw_lapse lapses[KW_LAPSES_TOGETHER];
    struct kw_op lapse_ops[KW_LAPSES_TOGETHER];
    struct kw_crowd crowd;                 /* of the action on a filter that is under way */
    struct kw_op where_part;               /* the change that every key of an action on a filter undergoes */
    struct kw_op where_lapse;              /* and what becomes of those whose grace period has passed unseen */
    struct kw_id last_id;                  /* of the newest key */
    uint8_t drawn[64 * KW_ID_RANDOM_SIZE]; /* random bytes for events of imports */
    size_t drawn_left;                     /* events that they suffice for */
    int64_t prune_at_ms;                   /* when to look for requests that are too old */
    int64_t funds_prune_at_ms;             /* the same of reservations */
    int64_t events_prune_at_ms;            /* and of events */
    int64_t unused_look_at_ms;             /* when to look for keys that nobody uses */
    uint16_t unused_project;               /* the project whose turn it is; 0: the first */
    uint16_t events_pruned;                /* the project whose turn it is */
};

/*
 * Decides on works[index] and makes what its batch is to hold: loads the record as the group has left it so far, asks
 * the core, encodes. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__prepare(struct kw_engine *engine, size_t index);

/* An update that names no field: it is refused like any other, else answered with the record as it is. */
bool kw__changes_nothing(const struct kw_op *op);

/* Where an earlier operation of the same group has left this key; NULL, and the record untouched, when none did. */
const struct kw_work *kw__touched_before(struct kw_writer *writer, const struct kw_id *id,
                                         const struct kw_record **record_out);
/* A key as the group has left it so far. KW_E_NOT_FOUND also when the group has erased it. */
KW_MUST_USE enum kw_status kw__load_key(struct kw_engine *engine, const struct kw_id *id, struct kw_record *record_out,
                                        struct kw_digest *digest_out);

/* The digest that KW_OP_MOVE is to give its key (move.c). */
struct kw_digest kw__moved_digest(const struct kw_op *op);
/*
 * A digest belongs to one record: where another has it, this is a KW_E_CONFLICT, and is logged; the key stays as it is,
 * and works on. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__admit_move(struct kw_engine *engine, struct kw_work *work);

/*
 * What a key was found by before it moved, as far as anybody could name it again without a pepper (former.c): a move
 * notes it, an erasure leaves a tombstone for each. Fail with op->error set.
 */
KW_MUST_USE enum kw_status kw__former_note(struct kw_engine *engine, struct kw_work *work);
KW_MUST_USE enum kw_status kw__former_end(struct kw_engine *engine, struct kw_work *work);

/* HAS_CHILDREN where a revocation or disabling that is to spare children would end one (family.c). */
KW_MUST_USE enum kw_status kw__refuse_orphans(struct kw_engine *engine, struct kw_work *work);
/* The same of one key of an action on a filter, whose `before` stands in the work: what the action ends itself is no
 * orphan. `looked_at` grows by the children that were looked at. */
KW_MUST_USE enum kw_status kw__refuse_orphans_where(struct kw_engine *engine, struct kw_work *work, size_t *looked_at);

/* The latest time of the key that was seen to have passed, by a clock that may have stepped back since; 0: none. What
 * is changed of it is changed at that time at the earliest. */
KW_MUST_USE int64_t kw__seen_until(struct kw_engine *engine, const struct kw_digest *digest,
                                   const struct kw_record *record);
/* What was seen to have passed of a key that bounds others counts, though its record does not say so yet. */
void kw__apply_seen(struct kw_engine *engine, const struct kw_digest *digest, struct kw_record *record);

/* A record as a row that is not erased; borrows from all three. */
struct kw_store_row kw__row_of(const struct kw_record *record, const struct kw_digest *digest,
                               struct kw_bytes encoding);

/* Finds the parent that a new child names, or an old one has (family.c). Fails with op->error set. */
KW_MUST_USE enum kw_status kw__find_parent(struct kw_engine *engine, size_t index);
/* INVALID_FIELD for the rotation of a key below one that is revoked for good, or erased: nobody could use the new key.
 * That of a key below others that have ended is let through: a new expiry, or an enabling, brings them back. */
KW_MUST_USE enum kw_status kw__admit_rotation(struct kw_engine *engine, struct kw_work *work);

/* Chooses work->params (choose.c). This and the next two fail with op->error set. */
KW_MUST_USE enum kw_status kw__choose_params(struct kw_engine *engine, struct kw_work *work);
/* A child whose expiry nobody asked for ends with its parent at the latest, as one without expiry does. */
KW_MUST_USE enum kw_status kw__leave_expiry_to_parent(struct kw_engine *engine, struct kw_work *work);
/* POLICY_VIOLATION when a change leaves a key that its policy does not allow; INVALID_FIELD for no such policy. */
KW_MUST_USE enum kw_status kw__check_policy(struct kw_engine *engine, const struct kw_work *work);

/* Room for the works of a group, zeroed; false when there is no memory. Given back by kw__works_give_back. */
KW_MUST_USE bool kw__works_take(struct kw_writer *writer, size_t count);
void kw__works_give_back(struct kw_writer *writer);

/* The next id: ids ascend. KW_E_SYSTEM when the system gives no random bytes. */
KW_MUST_USE enum kw_status kw__draw_id(struct kw_engine *engine, int64_t now_ms, struct kw_id *id_out);

/* --- imports (import.c, import_find.c) --- */

/* Finds what is here of an item, and decides whether it is to be put. Fails with op->error and the outcome set. */
KW_MUST_USE enum kw_status kw__import_find(struct kw_engine *engine, size_t index);
/* Makes the change. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__import_decide(struct kw_engine *engine, size_t index);
/* For the id of an event: an import makes many at once, and no secret is made of these. KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw__import_draw(struct kw_engine *engine, uint8_t random[KW_ID_RANDOM_SIZE]);
/* Notes what works[index] leaves, for those with the same digest behind it in the group. */
void kw__import_note(struct kw_writer *writer, size_t index);
/* Whether it only says what would become of items. Such an operation is a group of its own: nothing that is to be
 * committed may build on what will not be. */
KW_MUST_USE bool kw__is_rehearsal(const struct kw_op *op);
/* Why an item could not be put though nothing was in its way. */
enum kw_status kw__import_conflict(struct kw_error *error_out, enum kw_status status);

/* --- new keys of an import, committed and told together (import_account.c) --- */

/* Whether the unit's key, if it turns out to be a new one, may be told together with others. */
KW_MUST_USE bool kw__import_may_share(const struct kw_unit *unit);
/* Adds a unit to the batch of those that stand before it, or begins one. */
void kw__import_join(struct kw_engine *engine, struct kw_unit *unit);
/*
 * Ends the batch that new keys were joining, if there is one: before any other batch is added, and before the commit.
 * Its units fail where there is no memory for it.
 */
void kw__import_seal(struct kw_engine *engine);

/* --- units (unit.c) --- */

struct kw_work *kw__unit_works(const struct kw_engine *engine, const struct kw_unit *unit);
void kw__work_finish(struct kw_work *work, enum kw_status status);
/* An action on a filter has one outcome, its own; the parts of a batch have one each. */
void kw__unit_finish(struct kw_unit *unit, enum kw_status status);
/* Ends all works of a unit that did not come about, for the reason that `explain` fills in. */
void kw__unit_fail(struct kw_engine *engine, struct kw_unit *unit,
                   enum kw_status (*explain)(struct kw_error *error_out, enum kw_status status), enum kw_status why);
/* Decides on all that a unit is to change, and makes its batch; or settles it. */
void kw__unit_prepare(struct kw_engine *engine, struct kw_unit *unit);
/* Makes the units of a chain of operations. False when there is no memory: then every operation says so. */
KW_MUST_USE bool kw__group_begin(struct kw_writer *writer, struct kw_op *chain);
/* Cuts the operations of one group off a chain; gives what is left of it. */
struct kw_op *kw__group_cut(struct kw_op *chain);

/* What the works write, as one batch. False when there is no memory. */
KW_MUST_USE bool kw__works_bind(struct kw_engine *engine, struct kw_work *works, size_t count,
                                struct kw_store_batch *batch);
/* A time that a refusal has met stays passed though the clock steps back, as one that a verification has met. */
void kw__note_refused(struct kw_engine *engine);

/* Puts a row as it was committed into the index: kept under `digest`, and known there under `former` until then where
 * that is not NULL. Fails as kw_index_put. */
KW_MUST_USE enum kw_status kw__show_row(struct kw_engine *engine, uint16_t project, const struct kw_store_row *row,
                                        const struct kw_digest *digest, const struct kw_digest *former);

/* --- actions on a filter (where.c) --- */

/* Finds the keys that the unit's operation (KW_OP_WHERE) means. Fails with the error set in the operation. */
KW_MUST_USE enum kw_status kw__where_find(struct kw_engine *engine, struct kw_unit *unit);
/* Decides on the next piece of them while the batch is committed (struct kw_store_batch.next); of the engine. */
enum kw_status kw__where_next(void *engine, struct kw_store_batch *piece_out);
/* Whether a commit of unknown outcome is there. */
KW_MUST_USE bool kw__where_has_happened(struct kw_engine *engine);
/* Puts what was committed into the index, and ends the unit. */
void kw__where_publish(struct kw_engine *engine, struct kw_unit *unit);

/* --- writes of unknown outcome (doubts.c) --- */

/* Without memory an entry cannot be replaced. The old one must not go on saying "valid" after the answer: it is told
 * off in place. */
void kw__condemn(struct kw_engine *engine, const struct kw_digest *digest);
/* `before`: the digest that the key had until then, if it is a move; else NULL. */
void kw__doubt(struct kw_engine *engine, const struct kw_digest *digest, const struct kw_digest *before);
/* The same of all keys of an action on a filter, which is empty then. */
void kw__doubt_crowd(struct kw_engine *engine, struct kw_crowd *crowd);
/* Where the move of a key to this digest is in doubt: the digest before; else NULL. */
const struct kw_digest *kw__doubted_move(const struct kw_engine *engine, const struct kw_digest *digest);
/* Brings the index to what the store says of those keys. */
void kw__doubts_resolve(struct kw_engine *engine);
void kw__doubts_free(struct kw_engine *engine);

#endif
