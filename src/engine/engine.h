/*
 * The engine: the only place where decisions of the core meet a store, the clock, entropy and other threads.
 *
 * Verifying reads a live index (index.h) under userspace RCU: no lock, no allocation, no system call once a thread has
 * verified for the first time. Everything else is an operation: a small struct in the caller's memory that is handed
 * in, done by a worker, and handed back through its `done` function. Writes go through one writer thread, which commits
 * in groups and puts each change into the index before anybody is told of it; reads of the store have workers of their
 * own.
 */
#ifndef KW_ENGINE_ENGINE_H
#define KW_ENGINE_ENGINE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/catalog.h"
#include "core/guard.h"
#include "core/once.h"
#include "core/record.h"
#include "core/transition.h"
#include "core/usage.h"
#include "core/verdict.h"
#include "engine/audit_files.h"
#include <keyward/audit.h>
#include <keyward/keyward.h>

struct kw__pruning;
struct kw_audit_job;
struct kw_audit_query;
struct kw_engine;
struct kw_event_query;
struct kw_export;
struct kw_import_job;
struct kw_import_one;
struct kw_index;
struct kw_insights;
struct kw_pepper_keeper;
struct kw_store_batch;
struct kw__method;
struct kw__methods;

#define KW_ENGINE_READERS_MAX 16
#define KW_ENGINE_QUEUE_MAX 65536 /* operations waiting; one more answers TOO_BUSY */
#define KW_ENGINE_GROUP_MAX 256   /* operations committed with one sync */

struct kw_digest_method;
struct kw_delivery_query;

/* Where the key comes from that the secrets of webhooks are sealed under. */
struct kw_sealing_keeper {
    void *context; /* outlives the engine */
    /* From any thread. KW_E_NOT_FOUND where there is none and it may not be made. */
    enum kw_status (*find)(void *context, bool may_make, struct kw_secret *key_out, struct kw_error *error_out);
};

struct kw_engine_options {
    const struct kw_secret *pepper; /* copied; that of new keys, and behind it those of older ones */
    size_t pepper_count;            /* 0: 1 */
    /* How the fingerprint of a pepper begins, in hexadecimal digits, that is retired where it is missing and none but
     * erased keys need it. Empty: there is none, and such a start is refused. */
    struct kw_bytes forgotten;
    const struct kw_pepper_keeper *pepper_keeper; /* copied; NULL: whoever adds a pepper keeps it */
    struct kw_sealing_keeper sealing_keeper;      /* zero: webhooks cannot be made */
    struct kw_guard guard;                        /* what the operator opens; its ranges are copied */
    enum kw_digest_scheme
        digest_scheme; /* of new keys whose project does not say; 0: as it was, hmac-sha256 at first */
    struct kw_clock clock;
    struct kw_entropy entropy;
    const struct kw_log *log;           /* borrowed as long as the engine lives; NULL: none */
    unsigned reader_count;              /* workers that read the store; 0: 2 */
    size_t bulk_max;                    /* for tests: what stands for KW_BULK_MAX; 0: that */
    bool seals_audit;                   /* has a thread that chains the audit log (sealer.h) */
    const struct kw_secret *audit_seed; /* copied; what its checkpoints are signed with; NULL: there are none */
    struct kw_checkpoint_keeper checkpoint_keeper; /* copied */
    bool runs_schedules;                           /* has a thread that sees to what is due of keys (scheduler.h) */
    bool counts_by_hand; /* for tests: what was counted is written by kw_usage_flush, and at the end, alone */
};

/*
 * Takes over the store, also on failure. A pepper that records were made with must be there (PEPPER_MISMATCH); starts
 * the workers and begins to fill the index in the background: it returns before that is done.
 */
KW_MUST_USE enum kw_status kw_engine_open(const struct kw_engine_options *options, struct kw_store *store_take,
                                          struct kw_engine **engine_out, struct kw_error *error_out);

/* Finishes what was submitted, stops the workers, closes the store. No other call may be under way. */
void kw_engine_close(struct kw_engine *engine);

/* The engine's time. */
int64_t kw_engine_now_ms(const struct kw_engine *engine);

/* --- verifying --- */

struct kw_verification {
    struct kw_bytes key;         /* in: as the caller sent it; empty: MISSING_KEY */
    struct kw_question question; /* in */
    uint32_t cost;               /* in: 0 is 1; at most KW_COST_MAX */
    bool has_paid;               /* in: it was asked before and spent what it costs; out: it has now */
    bool has_rate_limit;         /* out: a limit of the key was looked at, which is the next */
    struct kw_rate_limit_state rate_limit;
    bool has_quota; /* out: the same of a quota */
    struct kw_quota_status quota;
    struct kw_bytes endpoint; /* in: what the key is used for, to be counted; valid (kw_endpoint_valid) or empty */
    /* in: where a place is missing it will be asked again with one, and such a refusal is not counted; out: it was not.
     */
    bool waits_for_place;
    bool is_counted;         /* in: it was asked before, and is counted; out: it is now */
    struct kw_check *checks; /* in: NULL, or room for KW_RULE_COUNT outcomes; out: they are filled */

    enum kw_code code; /* out: KW_CODE_NONE is valid */
    bool needs_store;  /* out: not decided: the index does not know the key, or not all that an imported one is to be
                          held against, or needs_funds (kw_op_ask_missing, then again) */
    bool needs_funds;  /* out: what it spends is to be reserved first */
    struct kw_bytes missing;      /* out: INSUFFICIENT_SCOPE, POLICY_VIOLATION */
    struct kw_bytes missing_on;   /* out: as in struct kw_decision */
    struct kw_lacks lacks;        /* out: INSUFFICIENT_SCOPE, and else undefined; kw_lacks_list reads it */
    const struct kw_entry *bound; /* out: the ancestor that refuses, or whose policy does; NULL: the key itself */
    struct kw_bytes policy;       /* out: the name of the policy that refuses; empty: none does. Both until read_end */
    struct kw_entry *entry; /* out: the key's entry where it is of the project asked about, else NULL; until read_end */
    struct kw_digest digest;           /* the engine's own: under the method of the project's new keys */
    const struct kw__methods *methods; /* the engine's own, too */
    const struct kw__method *own;      /* NULL: refused without a look-up */
};

/* What a verification hands out is valid between these two. They nest. Do not block in between. */
void kw_engine_read_begin(void);
void kw_engine_read_end(void);

/* Never blocks. Inside read_begin and read_end. */
void kw_engine_verify(struct kw_engine *engine, struct kw_verification *verification, int64_t now_ms);
/*
 * The same in two steps, in one read section: what a caller does in between costs nothing while the index's cache line
 * comes. Of the question the first step reads `project` alone, and the second need not follow.
 */
void kw_engine_verify_start(struct kw_engine *engine, struct kw_verification *verification);
void kw_engine_verify_finish(struct kw_engine *engine, struct kw_verification *verification, int64_t now_ms);
/* The same for many, side by side: digests together, reads prefetched. */
void kw_engine_verify_many(struct kw_engine *engine, struct kw_verification *verifications, size_t count,
                           int64_t now_ms);

/* Counts a verification that waited for a place and gets none. In the read section of the verification. */
void kw_engine_count(struct kw_engine *engine, struct kw_verification *verification, int64_t now_ms);

/*
 * All projects, policies and templates as they are now. Inside read_begin and read_end: nothing of it may be kept
 * beyond.
 */
const struct kw_catalog *kw_engine_catalog(const struct kw_engine *engine);

/* How a quota stands, as answers show it: an object. */
void kw_quota_status_write_json(const struct kw_quota_status *status, struct kw_json_writer *writer);

/* --- operations --- */

enum kw_op_kind {
    KW_OP_CREATE,
    KW_OP_UPDATE,
    KW_OP_ENABLE,
    KW_OP_DISABLE,
    KW_OP_REVOKE,
    KW_OP_ROTATE,
    KW_OP_ERASE,
    KW_OP_LAPSE,
    KW_OP_END_GRACE,
    KW_OP_IMPORT_ONE,      /* an item of an import: `import_one`; made by KW_OP_IMPORT alone */
    KW_OP_MOVE,            /* the engine's own, as the two before: a key gets a digest of its project's method */
    KW_OP_TOGETHER,        /* many changes in one: `parts` */
    KW_OP_WHERE,           /* one change to every key that a filter means: `where` */
    KW_OP_REPORT,          /* amounts of metrics that a key used: `report` */
    KW_OP_DOCUMENT_CREATE, /* a project, policy or template: `document` */
    KW_OP_DOCUMENT_UPDATE,
    KW_OP_DOCUMENT_DELETE,
    KW_OP_METHOD_TAKE, /* these two: by the functions of methods.h alone */
    KW_OP_FOREIGN_ADD,
    KW_OP_PEPPER_ADD,    /* makes `pepper` that of new keys; `fingerprint` says which it was */
    KW_OP_PEPPER_RETIRE, /* takes the one of `fingerprint` out, which no key needs, but for `forgets_erased` */
    KW_OP_SEAL,          /* commits `seals`: what the sealer chains, or was told of refused attempts */
    KW_OP_AUDIT_PRUNE,   /* lines of the audit log that are old enough go: `audit_job` (audit_jobs.h) */
    KW_OP_AUDIT_ERASE,   /* what tells of a person goes from its lines: `audit_job` too */
    KW_OP_CREDIT,        /* gives a quota of the key `id` back what was used of it: `credit` */
    KW_OP_FUND,          /* reserves what a verification is to spend */
    KW_OP_GET,           /* from here on they only read */
    KW_OP_FIND,          /* the record of a key or a digest */
    KW_OP_LIST,
    KW_OP_COUNT,
    KW_OP_USAGE,      /* what was counted, as JSON: `usage` */
    KW_OP_LOAD,       /* brings all that the store has of a key into the index; an unknown one is KW_E_NOT_FOUND */
    KW_OP_EXPORT,     /* the next piece of `export` */
    KW_OP_INSIGHT,    /* of a key, as JSON */
    KW_OP_INSIGHTS,   /* the next piece of `insights` */
    KW_OP_AUDIT,      /* the audit log: `audit` (audit_read.h) */
    KW_OP_EVENTS,     /* the log of events: `events` (events_read.h) */
    KW_OP_DELIVERIES, /* what was sent to the webhook `name`, as JSON: `deliveries` (webhooks.h) */
    KW_OP_REPLAY,     /* the same, to be sent again; it writes beside the writer */
    KW_OP_IMPORT,     /* reads a whole text of keys, and changes by way of KW_OP_IMPORT_ONE: `import` (import.h) */
};

/* Which keys, and in which order; what each member means, struct kw_store_filter says. Empty, none or 0: any. */
struct kw_list_query {
    struct kw_bytes owner, org_id, env, policy;
    const struct kw_bytes *tags; /* as records have them: in lower case */
    size_t tag_count;
    bool all_tags;
    struct kw_bytes last_four;
    struct kw_id parent_id;
    int64_t created_from_ms, created_until_ms, expires_before_ms;
    int64_t used_before_ms, used_from_ms;
    bool has_status;
    enum kw_key_status status;
    struct kw_bytes text; /* in name or description, ASCII letters without case */

    enum kw_order order;      /* lists, as what follows */
    struct kw_position after; /* the cursor */
    size_t limit;             /* 1 to 1000 */
};

/*
 * Which keys KW_OP_WHERE changes: those of these ids, or those for which all that is given holds. Something must be
 * given (MISSING_FIELD), and ids not beside the others.
 */
struct kw_where {
    struct kw_bytes owner, org_id, tag; /* empty: any */
    const struct kw_id *ids;            /* a doubled one counts once; one that is not there is KEY_NOT_FOUND */
    size_t id_count;                    /* at most KW_BULK_IDS_MAX */
};

/* From where a call came, and what it says of itself. */
struct kw_circumstances {
    struct kw_audit_context said;        /* checked: what the caller says, which comes before what is known */
    struct kw_bytes address, user_agent; /* what is known; checked, may be empty */
};

/* What was counted, of what and when. The key is op->id. */
struct kw_usage_query {
    struct kw_bytes owner, org_id; /* instead of a key: one of them, or none for all of the project */
    bool is_of_key;
    int64_t from_ms, until_ms; /* hours or days that begin from the one that `from_ms` lies in until before
                                  `until_ms`; `until_ms` 0: until now, `from_ms` 0: a day, or thirty, before that */
    bool by_day;
    enum kw_usage_dimension group;
};

struct kw_usage_report {
    struct kw_bytes endpoint; /* may be empty */
    const struct kw_usage_amount *amounts;
    size_t amount_count; /* 1 to KW_USAGE_AMOUNTS_MAX, no metric twice */
};

struct kw_quota_credit {
    struct kw_bytes quota; /* its name */
    int64_t amount;        /* in millionths; 0: all that was used in this period */
};

/* When and from where a key was last used, as its row said it; a time of 0: never. */
struct kw_last_use {
    int64_t at_ms;
    uint8_t address[KW_STORE_USE_ADDRESS_SIZE];
    uint8_t address_size, region_size;
    uint8_t region[KW_STORE_USE_REGION_MAX];
};

/* What a record's own status does not say of it. */
struct kw_above {
    bool has_word; /* it has ancestors, and they are known; or it has none and has outlived its policy. Then: */
    enum kw_key_status status; /* the worst of the ancestors' statuses, and EXPIRED where it has outlived its policy */
};

/* What a list knows of a record beside it. */
struct kw_listed {
    struct kw_last_use use;
    struct kw_above above;
};

/*
 * One operation, in the caller's memory, which must stay as it is until `done` was called. Inputs are borrowed until
 * then. Prepare with kw_op_init, give back with kw_op_deinit.
 */
struct kw_op {
    enum kw_op_kind kind;
    uint16_t project;
    struct kw_id id;                    /* all but create, find, list, count, load */
    const struct kw_key_params *params; /* create, update, rotate */
    struct kw_bytes actor;              /* who asks; goes into the record and the audit log */
    struct kw_bytes reason;
    const struct kw_circumstances *circumstances; /* for the audit log; NULL: nothing is known */
    int64_t grace_ms;
    bool spares_children; /* revoke, disable, where: HAS_CHILDREN where a child would stop with its parent that is not
                             revoked (or disabled) itself, before or by the same action on a filter */
    bool ends_grace;      /* rotate: the grace period ends with the new key's first use */
    uint64_t if_version;
    const struct kw_list_query *query;
    /* list, count: whether nobody waits any more, asked by a worker now and then; the search ends as one that has more
     * behind it. NULL: somebody does. */
    bool (*is_left)(const struct kw_op *op);
    const struct kw_usage_query *usage;   /* usage */
    const struct kw_usage_report *report; /* report: of the key `id` */
    const struct kw_quota_credit *credit;
    const struct kw_store_batch *seals; /* seal: NULL, or what is committed */
    struct kw__pruning *pruning;        /* seal: or what goes */
    struct kw_audit_job *audit_job;
    const struct kw_secret *chosen_key; /* create: the key itself, already checked (the root key); NULL: draw one */
    bool is_root;                       /* create: the root key; kw_engine_root_key alone sets it */
    struct kw_digest entry_digest;      /* fund: what the index finds the key by */
    uint32_t cost;                      /* fund */
    bool is_trial;                      /* fund: for a dry run, which reserves nothing */
    struct kw_bytes key;                /* load: the key that a verification did not find; find: that key */
    struct kw_bytes digest;             /* find: instead of a key; move: the new one */
    uint8_t method_number;              /* move: how that is made; taking a method: out */
    const struct kw_digest_method *method;
    const struct kw_secret *pepper; /* pepper add; NULL: one is drawn */
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    bool forgets_erased;        /* pepper retire: though erased keys need it */
    struct kw_bytes authority;  /* create, rotate in `keyward`: the encoded record of the management key that
                                   asks and must not be exceeded; empty: the operator, who may do anything */
    const struct kw_once *once; /* create, update, revoke, rotate: a request that is to be done once however
                                   often it comes (IDEMPOTENCY_KEY_REUSED); NULL: as often as it comes */

    /*
     * together: operations of their own, of the kinds from create to erase, at most KW_TOGETHER_MAX. Each is done as if
     * it had come alone, in their order, a later one on what an earlier one left; `atomic`: all of them or none, and
     * those that could have been done are NOT_DONE then, as are those beside parts that were done before (`once`). Each
     * part says how it ended; the operation itself fails only where nothing was looked at. `done` of a part is not
     * called.
     */
    struct kw_op *parts;
    size_t part_count;
    bool atomic;
    bool is_refused; /* in, of a part: somebody refused it already, as `error` says; that is its outcome */
    /*
     * where: what to do (enable, disable or revoke) with all keys that are meant, in one atomic change. Keys that are
     * so already, and revoked ones, are left alone. TOO_MANY_KEYS where more than KW_BULK_MAX would change.
     */
    enum kw_op_kind then;
    const struct kw_where *where;

    struct kw_import_job *import;     /* import */
    struct kw_import_one *import_one; /* import_one */

    struct kw_bytes template_name; /* create: may be empty, as may be the next */
    struct kw_bytes preset;
    enum kw_document_kind document; /* of operations on documents; a project's needs no `project` */
    struct kw_bytes name;           /* update, delete */
    struct kw_bytes json;           /* create, update: what the caller sends */
    bool is_dry_run;                /* nothing is changed, but all is said that would be */
    bool renews_secret; /* update of a webhook: it gets another secret; the one before signs on for grace_ms */
    bool is_stopped;    /* update of a webhook: it is Keyward that stops it */
    const struct kw_delivery_query *deliveries;

    struct kw_export *export;     /* export: how far it came (export.h) */
    struct kw_insights *insights; /* insights: the same (insights.h) */
    struct kw_audit_query *audit;
    struct kw_event_query *events;

    void (*done)(struct kw_op *op); /* called once, from a worker: must not block or call kw_engine_run */
    void *context;                  /* the caller's */

    enum kw_status status;
    struct kw_error error;
    int64_t now_ms;            /* when it was done */
    struct kw_secret secret;   /* create, rotate: the new key, or the secret of a webhook; the caller shows it once and
                                  wipes it */
    bool is_replay;            /* it was done before: no secret, and the records as they are now; KEY_NOT_FOUND once the
                                  key is erased, and an empty `other` once the old one is */
    struct kw_buffer result;   /* get, find, writes: the encoded record (of a rotation: the successor's), or the
                                  document's   JSON; list: see kw_op_next; insight, insights: JSON */
    struct kw_buffer other;    /* rotate: the old key's encoded record; create and update of a policy: the keys that
                                  it narrows, as JSON (narrowed.h); of a webhook: its public key, where it is new */
    struct kw_above above;     /* get, find, writes */
    struct kw_above above_old; /* rotate: of the old key */
    uint64_t matched, changed; /* where: keys that are meant, and those of them that were not so yet */
    struct kw_last_use last_use; /* get, find */
    bool has_more; /* list: `cursor` is where to go on; `other` holds a struct kw_listed for each record */
    struct kw_position cursor;
    uint64_t count; /* count */
    bool is_exact;  /* count: else there may be more */

    struct kw_op *next; /* the engine's */
    void *internal;
};

void kw_op_init(struct kw_op *op, enum kw_op_kind kind, uint16_t project);
/*
 * Makes a fresh operation one that brings what a verification that `needs_store` is waiting for. It may need something
 * else next, and where many spend from one allowance the same again: after KW_TRIES_MAX it is TOO_BUSY.
 */
#define KW_TRIES_MAX 8
void kw_op_ask_missing(struct kw_op *op, const struct kw_verification *verification);
/* Wipes the secret, frees the results. Parts are the caller's to give back. */
void kw_op_deinit(struct kw_op *op);

/* Hands it in. A full queue calls `done` at once, on this thread, with TOO_BUSY. */
void kw_engine_submit(struct kw_engine *engine, struct kw_op *op);

/* Hands it in and waits; `done` is not called. Returns op->status. Not from a worker's `done`. */
enum kw_status kw_engine_run(struct kw_engine *engine, struct kw_op *op);

/* The next encoded record of a list's result: start with `rest` = its bytes. */
bool kw_op_next(struct kw_bytes *rest, struct kw_bytes *encoding_out);
/* The next of a list's latest uses: start with `rest` = the bytes of `other`. */
struct kw_listed kw_op_next_listed(struct kw_bytes *rest);
/* Says in a record that is shown when it was last used; borrows from `use`. */
void kw_last_use_show(const struct kw_last_use *use, struct kw_record *record);
/* Writes all that was counted before the call; durable when it returns. Fails as the store does. */
KW_MUST_USE enum kw_status kw_usage_flush(struct kw_engine *engine);
/* Adds old hours up to days and removes old days, a bounded part of it. True: there is more. */
bool kw_usage_tend(struct kw_engine *engine);

/* What a record stands under makes of it now: its ancestors (REVOKED where one of them was erased) and its policy.
 * False where one of the ancestors is not in memory yet: then `above_out` is of the policy alone, and has no word. */
KW_MUST_USE bool kw_engine_look_above(struct kw_engine *engine, const struct kw_record *record, int64_t now_ms,
                                      struct kw_above *above_out);

/* --- the root key --- */

/*
 * Sees to it that a root management key exists. With `chosen` (checked: WEAK_KEY_FORMAT, INVALID_FIELD) that key
 * becomes the root key and any other root key is revoked. Without: a new one is made if there is none; then `made_out`
 * holds it. `made_out->size` is 0 when nothing was made. Blocks.
 */
KW_MUST_USE enum kw_status kw_engine_root_key(struct kw_engine *engine, const struct kw_secret *chosen,
                                              struct kw_secret *made_out, struct kw_error *error_out);

/* --- for operators --- */

struct kw_engine_stats {
    uint64_t index_keys, index_bytes;
    bool index_complete;          /* every key of the store is in the index */
    uint64_t store_loads;         /* misses that asked the store */
    uint64_t commits, commit_ops; /* groups, and operations in them */
    uint64_t queue_depth;
    uint64_t accounts, ledger_bytes; /* that have spent of limits or quotas */
    uint64_t reserved;               /* parts of allowances that were written down ahead of use */
    uint64_t returned;               /* parts of quotas that were given back unspent */
    uint64_t funds_waited;           /* verifications that waited for such a part */
    uint64_t uses_counted, uses_written, uses_dropped, uses_unattributed; /* as in struct kw_usage_stats */
    uint64_t uses_deferred;                                               /* the same */
    bool writable;                                                        /* the last commit did not fail */
};
void kw_engine_stats(const struct kw_engine *engine, struct kw_engine_stats *stats_out);

/* The live index itself, borrowed: benches hold the engine against reading it alone. */
const struct kw_index *kw_engine_index(const struct kw_engine *engine);

/* Waits until the background filling has ended (for tests and benches). */
void kw_engine_wait_filled(struct kw_engine *engine);

#endif
