/*
 * For authors of store adapters: the one contract between the engine and whatever keeps the records. An adapter is
 * a table of functions; it knows nothing of what a key may do. It keeps rows, finds them again, and commits a batch
 * whole or not at all. Every adapter passes the suite in tests/contract, alone and with its n-th call failing for every
 * n.
 *
 * Calls block. The engine makes them from its own workers, never from a thread that verifies or serves a socket;
 * several at once may read, and one at a time commits. Everything handed to a function, and every row handed to a sink,
 * is borrowed for that call. Unless a function says otherwise it returns KW_OK or one of these:
 *
 * - KW_E_UNAVAILABLE: out of reach; nothing was changed.
 * - KW_E_FULL: no room is left to write; nothing was changed.
 * - KW_E_UNCERTAIN, of what writes only: it may have happened or not. Reading it proves that it has; not reading it
 *   proves nothing, since after a failed sync a crash can bring it back until a later commit has taken its place.
 * - KW_E_CORRUPT: what is there is not what was written.
 * - KW_E_MEMORY: no memory; nothing was changed.
 * - KW_E_LIMIT: a size, a number of rows asked for, or an amount to reserve is outside the bounds below; nothing was
 * changed.
 * - KW_E_INVALID: a row without id, digest or version, an event or request without id, a reservation without name, an
 * amount of use or a limit below 0; nothing was changed.
 */
#ifndef KEYWARD_STORE_H
#define KEYWARD_STORE_H

#include <keyward/record.h>
#include <keyward/store_audit.h>
#include <keyward/store_delivery.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_STORE_VERSION 10 /* grows with each change of what stands here */
#define KW_STORE_DIGEST_MAX 64
#define KW_STORE_LIST_MAX 1000 /* every `limit` on rows, lines, events or deliveries is 1 to this; else KW_E_LIMIT */
#define KW_STORE_NAME_MAX 64   /* of an action, an event's type, a limit */
#define KW_STORE_USAGE_VALUE_MAX 128
#define KW_STORE_BODY_MAX 1048576
#define KW_STORE_SETTING_NAME_MAX 256
#define KW_STORE_SETTING_MAX 65536
#define KW_STORE_REQUEST_SIZE 32 /* of a request's name and of its digest */
#define KW_STORE_LAST_FOUR_SIZE 4
#define KW_STORE_SCAN_MAX 20000   /* rows that a list which says how far it came looks at */
#define KW_STORE_COUNT_MAX 100000 /* rows that are counted one by one */

#define KW_STORE_RESERVATIONS_MAX 1000                   /* of a batch */
#define KW_STORE_AMOUNT_MAX INT64_C(1000000000000000000) /* that one reservation takes or gives back */
#define KW_STORE_NOTE_MAX 1024
#define KW_STORE_DEFERRED_MAX 65536 /* bytes of one piece of use that is added later */

/* One record as an adapter sees it: opaque bytes, and beside them what it must be able to search by. */
struct kw_store_row {
    struct kw_id id;
    struct kw_bytes digest; /* 32 or 64 bytes; unique in the store, also among erased rows */
    uint8_t digest_scheme;  /* a number that the store keeps beside the digest: how it was made */
    struct kw_bytes project;
    struct kw_bytes env;
    struct kw_bytes owner;
    struct kw_bytes org_id; /* may be empty */
    struct kw_list tags;
    struct kw_id parent_id; /* none: it has no parent */
    struct kw_bytes policy; /* may be empty */
    uint8_t last_four[KW_STORE_LAST_FOUR_SIZE];
    int64_t expires_at_ms; /* 0 none */
    int64_t due_at_ms;     /* when somebody is to look after it next; 0: never. A tombstone is never due */
    uint64_t version;
    bool erased;            /* a tombstone: found by digest, changes and tombstones, never by id or in a list */
    struct kw_bytes record; /* the encoding; for a tombstone what little is left */
    /* Set by the store, as is the next. Of the latest use that was added (struct kw_store_use); no put touches it, but
     * that a tombstone has none. 0: none. */
    int64_t used_at_ms;
    struct kw_bytes used_address, used_region;
    uint64_t sequence; /* ascending in the order of commits, the same for all rows of a batch */
};

/* A row to write. */
struct kw_store_put {
    struct kw_store_row row;
    /* The version that must be there now; 0: the id must not be there. No other row may have the digest. A tombstone is
     * never replaced. */
    uint64_t replaces;
};

/* An event: on its way to whoever listens until it is settled, and in the log until it is pruned. */
struct kw_store_event {
    struct kw_id id;
    int64_t at_ms;
    struct kw_bytes project;
    struct kw_id key_id; /* none where it is not about one key */
    struct kw_bytes env; /* of that key; may be empty, as may be the next */
    struct kw_bytes owner;
    struct kw_bytes type; /* "key.created" */
    struct kw_bytes body; /* JSON */
    uint64_t sequence;    /* set by the store, as for audit lines */
    uint32_t attempts;    /* times it was claimed; a list does not say */
};

/* A small named value: the pepper's fingerprint, a project's settings. */
struct kw_store_setting {
    struct kw_bytes name;
    struct kw_bytes value; /* empty: the setting is removed */
};

/* A request that was done, so that it is not done again when it comes again. */
struct kw_store_request {
    uint8_t name[KW_STORE_REQUEST_SIZE];   /* unique in the store */
    uint8_t digest[KW_STORE_REQUEST_SIZE]; /* of what was asked for */
    struct kw_id key_id;                   /* the key that came of it */
    int64_t at_ms;
};

/*
 * Part of an allowance, taken ahead of use. For each lineage, name and period the store keeps a row with the sum that
 * is taken, from the first reservation that was granted any or has a note. Another that is granted 0 changes nothing.
 */
struct kw_store_reservation {
    struct kw_id lineage_id;
    struct kw_bytes name; /* of the limit; 1 to KW_STORE_NAME_MAX bytes */
    int64_t period_start_ms;
    int64_t limit; /* of the whole period, 0 or more; it may differ from one reservation to the next */
    /* Above 0: takes what is left of the limit, at most this. Below 0: gives back. 0: looks. Neither above
     * KW_STORE_AMOUNT_MAX nor below minus that. */
    int64_t amount;
    /* Giving back ends where nothing is taken any more; a credit goes on below 0, to -KW_STORE_AMOUNT_MAX. */
    bool is_credit;
    int64_t until_ms;     /* from then on the row says nothing more; the latest of those that were granted any stays */
    struct kw_bytes note; /* kept with the row as it is, in the place of the one before; empty: that stays */
    /* Set by commit when the outcome of the batch is KW_OK; they mean nothing with another. */
    int64_t granted; /* 0 to amount, or from amount to 0 */
    int64_t taken;   /* by everybody, after this one */
};

/*
 * Use, counted by hour: amounts of the same project, lineage, bucket, dimension and value are added up. A lineage may
 * also stand for an owner, an organisation, or a whole project.
 */
struct kw_store_usage {
    struct kw_id lineage_id; /* none is one like any other */
    struct kw_bytes value;   /* at most KW_STORE_USAGE_VALUE_MAX: "RATE_LIMITED", "GET /v1/things", "CH", "tokens" */
    int64_t bucket_start_ms; /* of its hour or day */
    int64_t amount;          /* 0 or more; a sum beyond 64 bits stays at the largest */
    struct kw_bytes project; /* at most KW_PROJECT_MAX */
    uint8_t dimension;       /* enum kw_usage_dimension */
    bool is_day;             /* set by the store: it is the sum of a day (usage_roll) */
};

#define KW_STORE_USE_ADDRESS_SIZE 16
#define KW_STORE_USE_REGION_MAX 8

/* When a key was last used, and from where. An earlier one than what is there changes nothing. */
struct kw_store_use {
    struct kw_id key_id;     /* one that is not there, or erased: it is left out */
    int64_t at_ms;           /* above 0 */
    struct kw_bytes address; /* KW_STORE_USE_ADDRESS_SIZE bytes, or empty: not known */
    struct kw_bytes region;  /* at most KW_STORE_USE_REGION_MAX; may be empty */
};

/*
 * A piece of use that was counted and is yet to be added: bytes that mean nothing to the store. Pieces of one part are
 * added together.
 */
struct kw_store_deferred {
    uint32_t part;
    struct kw_bytes bytes; /* 1 to KW_STORE_DEFERRED_MAX */
    uint64_t sequence;     /* set by the store: ascends within a part, as long as something waits there */
};

/* What is written together or not at all. */
struct kw_store_batch {
    const struct kw_store_put *puts;
    size_t put_count;
    const struct kw_store_audit *audits;
    size_t audit_count;
    const struct kw_store_event *events;
    size_t event_count;
    const struct kw_store_setting *settings;
    size_t setting_count;
    const struct kw_store_request *requests;
    size_t request_count;
    /* In their order: a later one sees an earlier one. None of them makes a conflict. At most
     * KW_STORE_RESERVATIONS_MAX. */
    struct kw_store_reservation *reservations;
    size_t reservation_count;
    const struct kw_store_usage *usages; /* added, as by usage_add */
    size_t usage_count;
    const struct kw_store_seal *seals;
    size_t seal_count;
    const struct kw_store_erasure *erasures; /* of lines that were there, or were sealed, before */
    size_t erasure_count;
    const struct kw_store_checkpoint *checkpoints;
    size_t checkpoint_count;
    /*
     * NULL, or where more of the batch comes from, which is too much to be held at once. Such a batch is the only one
     * of its commit. Commit calls it on its own thread when what stands above is written, again and again, until it
     * gives a piece without a put: `piece_out` is zeroed, and gets puts, audit lines and events, which are borrowed
     * until the next call. It does not call the store. What it returns but KW_OK is the outcome of the batch, of
     * which nothing is written then, and no failure of the commit. A commit goes through the pieces once at most.
     */
    enum kw_status (*next)(void *context, struct kw_store_batch *piece_out);
    void *context;
    /* Set by commit. KW_OK; KW_E_CONFLICT: a version, id or digest was not as expected, an event of that id is
     * there already, or a request of that name was done already; KW_E_LIMIT, KW_E_INVALID, KW_E_MEMORY,
     * KW_E_UNAVAILABLE, KW_E_FULL; nothing of this batch was written with any of these. KW_E_UNCERTAIN: it may be there
     * or not (see above). */
    enum kw_status outcome;
    uint64_t sequence; /* set by commit when the outcome is KW_OK; it is that of the batch's rows */
};

/* The order of a list. Rows of the same expiry or use are in the order of their ids, and ids ascend with time. */
enum kw_order {
    KW_ORDER_CREATED,
    KW_ORDER_CREATED_BACK, /* the latest first */
    KW_ORDER_EXPIRES,      /* rows that have an expiry, and no others */
    KW_ORDER_USED,         /* the one whose latest use is the longest ago first, before it those that have none */
};

/* A place in an order: that of a row, whether it is still there or not. None: before the first. */
struct kw_position {
    struct kw_id id;
    int64_t expires_at_ms; /* KW_ORDER_EXPIRES only */
    int64_t used_at_ms;    /* KW_ORDER_USED only */
};

/* How far a list came. */
struct kw_store_reached {
    struct kw_position position; /* of the last row that it looked at, or where it began */
    bool ended;                  /* there is nothing behind */
};

/* Each member narrows what is found; one that is empty, none or 0 does not. */
struct kw_store_filter {
    struct kw_bytes project;
    struct kw_bytes owner;
    struct kw_bytes org_id;
    struct kw_bytes env;
    struct kw_bytes policy;
    const struct kw_bytes *tags; /* at most KW_TAG_COUNT_MAX */
    size_t tag_count;
    bool all_tags;             /* rows that have all of the tags; else any of them */
    struct kw_bytes last_four; /* KW_STORE_LAST_FOUR_SIZE bytes, else KW_E_INVALID */
    struct kw_id parent_id;
    int64_t created_from_ms, created_until_ms; /* the time in the row's id, in [from, until) */
    int64_t expires_before_ms;                 /* rows that have an expiry, before this */
    int64_t used_before_ms;                    /* rows whose latest use is before this; without any use, too */
    int64_t used_from_ms;                      /* rows whose latest use is at this time or after it */

    /* Of a list only. */
    enum kw_order order;      /* KW_ORDER_EXPIRES and KW_ORDER_USED need a project, else KW_E_INVALID */
    struct kw_position after; /* rows behind this place */
    size_t limit;             /* 1 to KW_STORE_LIST_MAX */
    /*
     * NULL: the list looks on until it has `limit` rows or none is left. Else it may also stop once it has looked at
     * KW_STORE_SCAN_MAX rows, few of which may have been what is wanted, and says here how far it came.
     */
    struct kw_store_reached *reached;
};

struct kw_store_audit_filter {
    struct kw_bytes project;              /* empty: every project */
    struct kw_id key_id;                  /* none: any */
    struct kw_bytes owner, actor, action; /* empty: any */
    int64_t from_ms, until_ms;            /* at_ms in [from, until); until 0: no end */
    uint64_t after;                       /* lines of a greater sequence */
    bool is_back;                         /* the latest first: then lines of a lesser one than `after`; 0: all */
    size_t limit;
};

struct kw_store_event_filter {
    struct kw_bytes project; /* empty: every project */
    struct kw_id key_id;     /* none: any */
    int64_t from_ms;         /* at_ms at that time or after it */
    uint64_t after;          /* events of a greater sequence */
    bool is_back;            /* the latest first: then events of a lesser one than `after`; 0: all */
    size_t limit;
};

/* Receives one row; KW_OK for the next, anything else ends the call, which then returns that. */
typedef enum kw_status kw_store_row_sink(void *context, const struct kw_store_row *row);
typedef enum kw_status kw_store_audit_sink(void *context, const struct kw_store_audit *audit);
typedef enum kw_status kw_store_checkpoint_sink(void *context, const struct kw_store_checkpoint *checkpoint);
typedef enum kw_status kw_store_event_sink(void *context, const struct kw_store_event *event);
typedef enum kw_status kw_store_usage_sink(void *context, const struct kw_store_usage *usage);
typedef enum kw_status kw_store_deferred_sink(void *context, const struct kw_store_deferred *piece);
typedef enum kw_status kw_store_reservation_sink(void *context, const struct kw_store_reservation *reservation);
typedef enum kw_status kw_store_setting_sink(void *context, const struct kw_store_setting *setting);

struct kw_store; /* below: the adapter keeps its own members behind it */

/* A sink must not call the store again. */
struct kw_store_ops {
    uint32_t version; /* KW_STORE_VERSION; a table of another is refused, untouched but for this member */
    const char *name; /* "sqlite" */

    /* Both call the sink once, or return KW_E_NOT_FOUND. by_digest finds tombstones too, by_id does not. */
    enum kw_status (*find_by_digest)(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                     void *context);
    enum kw_status (*find_by_id)(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                 void *context);

    /*
     * Rows in the order asked for. A filter of one member (beside the project, and `expires_before_ms` in the order of
     * expiry) costs no more at its end than at its begin, however many rows there are; of several the narrowest does.
     */
    enum kw_status (*list)(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                           void *context);
    /*
     * Rows in order of their sequence, then id, tombstones too, whose sequence is greater than `after`. A batch is
     * never parted, so that a follower can go on from the last sequence it saw: after `limit` rows the call goes on to
     * the end of the last one's batch. Of a row that changed several times only the last state is there.
     */
    enum kw_status (*changes)(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                              void *context);
    /* Tombstones of ids above `after` (none: all of them), in the order of their ids. Costs no more at their end than
     * at their begin, nor where there are many other rows. */
    enum kw_status (*tombstones)(struct kw_store *store, const struct kw_id *after, size_t limit,
                                 kw_store_row_sink *sink, void *context);
    /* Rows that are due at `until_ms` or before, of all projects, the earliest first, then by their ids. Costs no more
     * where there are many other rows. */
    enum kw_status (*due)(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                          void *context);
    /* Rows that are not erased, of `project` or of all when empty. May be an estimate from below while others commit.
     */
    enum kw_status (*count)(struct kw_store *store, struct kw_bytes project, uint64_t *count_out);
    /*
     * Rows that a filter finds, the members for lists aside. `exact_out` is false where there may be more: it stops at
     * KW_STORE_COUNT_MAX of them, and where it has looked at ten times as many rows for fewer.
     */
    enum kw_status (*count_found)(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                  bool *exact_out);

    /*
     * Writes several batches, each atomic by itself, in their order (a later one sees an earlier one), durable when it
     * returns. Returns KW_OK when every batch has its outcome, whatever that is; otherwise every batch has that same
     * failure as outcome.
     */
    enum kw_status (*commit)(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count);

    /* Copies at most `size` bytes; `size_out` is the whole size. KW_E_NOT_FOUND. */
    enum kw_status (*setting)(struct kw_store *store, struct kw_bytes name, void *value, size_t size, size_t *size_out);
    /* The settings whose names begin with `prefix` (empty: all), in order of the bytes of their names. */
    enum kw_status (*settings_list)(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                    void *context);

    /* Lines in order of their sequence. A filter of one member beside the project, or of times, costs no more at its
     * end than at its begin. */
    enum kw_status (*audit_query)(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                  kw_store_audit_sink *sink, void *context);
    /* Removes a project's lines up to that sequence, with their seals, the earliest first, `limit` at most. */
    enum kw_status (*audit_prune)(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                  uint64_t *removed_out);
    /* A project's checkpoints behind the place `after`, in order of their places, `limit` at most; `is_back`: before
     * it (0: all), the last first. */
    enum kw_status (*audit_checkpoints)(struct kw_store *store, struct kw_bytes project, uint64_t after, bool is_back,
                                        size_t limit, kw_store_checkpoint_sink *sink, void *context);

    /*
     * Hands out events in order of their sequence that are neither settled nor under a claim that lasts beyond
     * `now_ms`, and claims them until `until_ms`. The claim is durable before the sink sees the first event, and holds
     * also for those that a sink which stops early does not see. KW_E_UNCERTAIN: they may be claimed and not all handed
     * out; they come again when the claim runs out.
     */
    enum kw_status (*events_claim)(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                   kw_store_event_sink *sink, void *context);
    /* An event is handed out no more; it stays in the log. KW_E_NOT_FOUND when it is settled already. */
    enum kw_status (*events_settle)(struct kw_store *store, const struct kw_id *id);
    /* Events in order of their sequence, settled or not. Of a key, or of a project, they cost no more at their end than
     * at their begin. */
    enum kw_status (*events_list)(struct kw_store *store, const struct kw_store_event_filter *filter,
                                  kw_store_event_sink *sink, void *context);
    /* Removes events of a project older than `before_ms`, settled or not, `limit` at most: of its first
     * KW_STORE_SCAN_MAX, in order of their sequence. */
    enum kw_status (*events_prune)(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                   uint64_t *removed_out);

    /* What follows on deliveries may come while another call commits, and need not be durable at once: a crash of the
     * machine may take back the latest of all calls that are not. This settles events and keeps what is to be delivered
     * of them, due at `now_ms`, or held behind another of their key; one that is settled already is left out. */
    enum kw_status (*deliveries_add)(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                     int64_t now_ms);
    /* Hands out deliveries of a channel that are due, the one that is due the longest first, and claims them until
     * `until_ms`; those too whose claim has run out. A failure says as much as that of events_claim. */
    enum kw_status (*deliveries_claim)(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                       size_t limit, kw_store_delivery_sink *sink, void *context);
    /* Notes what became of deliveries, at most KW_STORE_LIST_MAX; leaves out what is not claimed. Where one is done or
     * has failed, the next of its key is due at `now_ms`. */
    enum kw_status (*deliveries_settle)(struct kw_store *store, const struct kw_store_settled *settled, size_t count,
                                        int64_t now_ms);
    /* Ends all claims of a channel, for a start; they are due at `now_ms`. */
    enum kw_status (*deliveries_release)(struct kw_store *store, uint64_t channel, int64_t now_ms);
    enum kw_status (*deliveries_list)(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                      kw_store_delivery_sink *sink, void *context);
    /* Lets those wait again that `filter` means and that are done or have failed, as if never tried. It looks at
     * `limit` of them; `reached_out` is the last one's sequence, the `before` of the next call; 0: there are no more.
     */
    enum kw_status (*deliveries_replay)(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                        int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out);
    /* Removes up to `limit` messages older than `before_ms`, the first first, with their deliveries of any state. */
    enum kw_status (*deliveries_prune)(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out);

    /*
     * Adds to counts, and notes the latest uses, all of it or nothing. Durable when it returns. The one call that
     * writes and may come while another one commits: of what was counted, many times a minute.
     */
    enum kw_status (*usage_add)(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                const struct kw_store_use *uses, size_t use_count);
    /*
     * Keeps pieces of use that usage_settle adds later, all of them or none. Durable when it returns, and as usage_add
     * it may come while another call commits, as usage_settle may. Costs no more than their bytes do, whatever they are
     * of. `waiting_out`: the bytes of all that wait now; it is set by a call without pieces too.
     */
    enum kw_status (*usage_defer)(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                  uint64_t *waiting_out);
    /* The pieces of one part, the first from `part` on that has any, in order of their sequence, `limit` at most. */
    enum kw_status (*usage_deferred)(struct kw_store *store, uint32_t part, size_t limit, kw_store_deferred_sink *sink,
                                     void *context);
    /* Adds as usage_add does, and removes the pieces of `settled`'s part up to its sequence, both or neither. */
    enum kw_status (*usage_settle)(struct kw_store *store, const struct kw_store_deferred *settled,
                                   const struct kw_store_usage *usages, size_t usage_count,
                                   const struct kw_store_use *uses, size_t use_count);
    /* Of one lineage, with bucket_start_ms in [from, until): days, then hours, each in order of bucket, dimension and
     * value. */
    enum kw_status (*usage_read)(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                 int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context);
    /* Adds up to `limit` hours of a project that begin before `before_ms` to their days (of UTC), and removes them.
     * As usage_add it may come while another call commits, and so may the next. */
    enum kw_status (*usage_roll)(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                 uint64_t *rolled_out);
    /* Removes up to `limit` days of a project that begin before `before_ms`. */
    enum kw_status (*usage_prune)(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *removed_out);

    /*
     * The rows of that lineage and name (empty: all names, in their order) whose until_ms is above `from_ms`, in order
     * of period_start_ms. Lineage, name, period_start_ms, until_ms, note and taken are set, the other members are 0.
     */
    enum kw_status (*reservations_read)(struct kw_store *store, const struct kw_id *lineage_id, struct kw_bytes name,
                                        int64_t from_ms, kw_store_reservation_sink *sink, void *context);
    /* Removes rows whose until_ms is not above `before_ms`, `limit` at most, in no set order. */
    enum kw_status (*reservations_prune)(struct kw_store *store, int64_t before_ms, size_t limit,
                                         uint64_t *removed_out);

    /* KW_E_NOT_FOUND. */
    enum kw_status (*request_find)(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                   struct kw_store_request *request_out);
    /* Removes requests older than `before_ms`, `limit` at most, in no set order. */
    enum kw_status (*request_prune)(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out);

    /* Nothing of the store may be in use. */
    void (*close)(struct kw_store *store);
};

struct kw_store {
    const struct kw_store_ops *ops;
};

/* A store that keeps everything in memory, for tests and for what need not last. KW_E_MEMORY. */
KW_API KW_MUST_USE enum kw_status kw_store_memory_open(struct kw_store **store_out);

/*
 * SQLite in WAL mode with full syncs, one writer. Makes the file (0600) and brings an older one up to date by numbered
 * migrations, each in a transaction. KW_E_NEWER (STORE_NEWER) for a file of a newer Keyward; KW_E_CORRUPT
 * (STORE_CORRUPT) for one that is no database, is truncated or belongs to another program; KW_E_UNAVAILABLE when it
 * cannot be opened or written; KW_E_BUSY (DATA_IN_USE) when another process has it open for writing.
 */
KW_API KW_MUST_USE enum kw_status kw_store_sqlite_open(const char *path, struct kw_store **store_out,
                                                       struct kw_error *error_out);

/* How the fault decorator fails. */
enum kw_fault_kind {
    KW_FAULT_UNAVAILABLE, /* the call does nothing and says so */
    KW_FAULT_UNCERTAIN,   /* a commit happens, or not (by the seed), and says KW_E_UNCERTAIN; other calls as UNAVAILABLE
                           */
};

/*
 * Puts itself before `inner`, which it takes over and closes, and makes the n-th call from now on fail (1: the next).
 * 0: none, until kw_store_fault_arm. Works without memory of its own beyond the opening.
 */
KW_API KW_MUST_USE enum kw_status kw_store_fault_open(struct kw_store *inner_take, uint64_t seed,
                                                      struct kw_store **store_out);
KW_API void kw_store_fault_arm(struct kw_store *fault, enum kw_fault_kind kind, uint64_t nth);
/* Calls made since it was opened or last armed. */
KW_API uint64_t kw_store_fault_calls(const struct kw_store *fault);

#ifdef __cplusplus
}
#endif
#endif
