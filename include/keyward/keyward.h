/*
 * libkeyward: issue, verify and revoke API keys inside a program of your own.
 *
 *     struct keyward *kw;
 *     struct kw_error error;
 *     if (kw_open(&(struct kw_options){.data = "./data"}, &kw, &error) != KW_OK) { puts(error.message); return 1; }
 *
 *     struct kw_new_key made;
 *     struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = kw_text("user:1")};
 *     if (kw_create(kw, &(struct kw_change_request){.params = &params}, &made, &error) == KW_OK) { show(made.key); }
 *     kw_new_key_clear(&made);
 *
 *     struct kw_verdict verdict;
 *     struct kw_verify_request request = {.key = kw_text(sent)};
 *     if (kw_verify(kw, &request, &verdict) == KW_OK && verdict.code == KW_CODE_NONE) { … }
 *
 * Every function may be called from any thread, without registration. Changes block until they are durable. Verifying a
 * key that the index knows does no I/O, takes no lock and allocates nothing (a thread's first verification sets up its
 * part of userspace RCU). Do not call into the library between fork and exec.
 *
 * The text of a key leaves the library once, in struct kw_new_key; nothing else ever holds it.
 */
#ifndef KEYWARD_KEYWARD_H
#define KEYWARD_KEYWARD_H

#include <keyward/auditing.h>
#include <keyward/codes.h>
#include <keyward/document.h>
#include <keyward/import.h>
#include <keyward/missing.h>
#include <keyward/pepper.h>
#include <keyward/record.h>
#include <keyward/resources.h>
#include <keyward/schedule.h>
#include <keyward/store.h>
#include <keyward/usage.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward;

struct kw_options {
    /* A folder for database and pepper, made when it is not there; held by one process at a time. */
    const char *data;
    /* Instead of `data`: a store of your own, which kw_open takes over, and 32 random bytes to digest keys under, kept
     * apart from it. Several behind each other after a new one was added (pepper.h), that of new keys first. */
    struct kw_store *store_take;
    const uint8_t *pepper;
    size_t pepper_count; /* 0: 1; at most KW_PEPPERS_MAX */
    /* Of a pepper that is lost, KW_PEPPER_FINGERPRINT_SIZE bytes: where none but erased keys need it, it is retired as
     * by kw_pepper_retire_and_forget. Else, or with NULL, such a start is refused (PEPPER_MISMATCH). */
    const uint8_t *forget_erased;
    /* How digests of new keys are made, where their project does not say; the store keeps it. 0: as it was said
     * before, hmac-sha256 at first. */
    enum kw_digest_scheme digest;
    struct kw_audit_options audit; /* auditing.h */
    /* Milliseconds since 1970 UTC; NULL: the system's clock. A program that keeps time calls kw_schedules_run, too. */
    int64_t (*now_ms)(void *context);
    void *now_context;
};

/*
 * Opens, and begins to read keys into memory in the background. `error_out` may be NULL here and below. DATA_IN_USE
 * (KW_E_BUSY), PEPPER_MISMATCH, STORE_CORRUPT, STORE_NEWER, STORE_UNAVAILABLE, INVALID_FIELD for options that do not go
 * together, and for a store of another KW_STORE_VERSION, which is not taken over: there is no telling how to close it.
 */
KW_API KW_MUST_USE enum kw_status kw_open(const struct kw_options *options, struct keyward **keyward_out,
                                          struct kw_error *error_out);
/* Finishes what is under way and closes. No other call may be running. NULL is fine. */
KW_API void kw_close(struct keyward *keyward);

/* The bytes of a NUL-ended string, borrowed; NULL gives none. */
static inline struct kw_bytes kw_text(const char *text)
{
    struct kw_bytes bytes = {(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

/* Reads "key_…"; false when it is no id. */
KW_API KW_MUST_USE bool kw_id_from_text(struct kw_bytes text, struct kw_id *id_out);
#define KW_RANGE_TEXT_SIZE 44
/* Writes a range as struct kw_record's lists of addresses hold it: "192.0.2.0/24" and a NUL; false when it is none. */
KW_API KW_MUST_USE bool kw_range_to_text(struct kw_bytes packed, char text_out[KW_RANGE_TEXT_SIZE]);

/* Writes "key_…" and a NUL: KW_ID_TEXT_SIZE + 1 bytes. */
KW_API void kw_id_to_text(const struct kw_id *id, char *out);

/* --- verifying --- */

/* What is asked of a key. Everything is borrowed for the call; all but `key` may be left zero. */
struct kw_verify_request {
    struct kw_bytes key;           /* as the client sent it */
    struct kw_bytes project;       /* "default" when empty */
    struct kw_bytes env;           /* the environment that the work is for; empty: any */
    const struct kw_bytes *scopes; /* the key must hold all of them; at most KW_SCOPE_COUNT_MAX, as of the next */
    size_t scope_count;
    struct kw_bytes resource; /* "website:123": the key must hold these scopes on it, here or globally */
    const struct kw_bytes *resource_scopes;
    size_t resource_scope_count;
    struct kw_bytes
        require;        /* scopes that it must hold: "read AND (invoices OR admin)", at most KW_REQUIRE_MAX bytes */
    struct kw_bytes ip; /* where the request comes from: an address of IPv4 or IPv6 */
    /* And a country of ISO 3166-1, with a part of it as in ISO 3166-2, or none. The library looks no address up. */
    struct kw_bytes country;
    struct kw_bytes region;
    uint32_t cost;            /* what it takes from each rate limit, at most KW_COST_MAX; 0 is 1 */
    struct kw_bytes endpoint; /* what it is used for, at most 64 bytes of text, to be counted: "GET /v1/things" */
    /* Memory for the key's record, KW_RECORD_MAX bytes to be sure: then verdict.record is filled. NULL: not wanted. */
    void *record_memory;
    size_t record_memory_size;
};

/* How the rate limit that leaves least stands after the request; or, where one refuses, how that one stands. */
struct kw_rate_limit_state {
    char name[KW_RATE_LIMIT_NAME_MAX + 1];
    int64_t requests, window_ms; /* the limit */
    int64_t remaining;
    int64_t resets_at_ms;   /* when all of it can be spent, if nobody spends until then */
    int64_t retry_after_ms; /* RATE_LIMITED: who waits so long is let through, if nobody else spends. 0: it was let
                               through; -1: it costs more than the limit, and no waiting helps */
};

/* How the quota stands that has the least part of its limit left; or, where one refuses, that one. Amounts are
 * millionths. */
struct kw_quota_status {
    char name[KW_QUOTA_NAME_MAX + 1];
    char metric[KW_METRIC_MAX + 1];
    enum kw_period period;
    enum kw_limit_per per;
    enum kw_quota_exceeded on_exceeded;
    int64_t limit, used, remaining;
    int64_t resets_at_ms; /* when its next period begins */
};

struct kw_verdict {
    enum kw_code code;       /* KW_CODE_NONE: the key is valid for what was asked. Else one of KW_VERDICT_CODES */
    struct kw_id id;         /* of the key; none for MISSING_KEY, INVALID_FORMAT, INVALID_KEY */
    struct kw_id refused_by; /* the parent whose rule refuses; none: the key's own */
    char missing[KW_REQUIRE_MAX + 1]; /* INSUFFICIENT_SCOPE: the first scope, or part of `require`, that is missing */
    char missing_on[KW_RESOURCE_MAX + 1]; /* the resource on which that scope is missing; empty: it is on none */
    struct kw_lacks lacks;                /* INSUFFICIENT_SCOPE: all that is missing; kw_missing_list reads it */
    char policy[KW_POLICY_MAX + 1];       /* that refuses: the key's, or that of `refused_by`; empty: none does */
    /* POLICY_VIOLATION: the field of the record that does not keep within the policy; "policy": there is none of that
     * name any more. */
    char field[KW_ERROR_FIELD_MAX];
    bool has_rate_limit;
    struct kw_rate_limit_state rate_limit;
    bool has_quota;
    struct kw_quota_status quota;
    bool has_record;
    struct kw_record record; /* borrows from record_memory */
};

/*
 * Decides. KW_OK whenever there is a verdict, whatever it says. A failure never reads as valid: verdict_out is
 * untouched, and the status is KW_E_INVALID for a request that cannot be asked (no such project or environment; a
 * resource, requirement, address or region, or a scope that the verdict hangs on, of no valid form), KW_E_LIMIT when
 * the record does not fit its memory, KW_E_UNAVAILABLE or KW_E_CORRUPT when the key had to be looked up in the store.
 */
KW_API KW_MUST_USE enum kw_status kw_verify(struct keyward *keyward, const struct kw_verify_request *request,
                                            struct kw_verdict *verdict_out);

/*
 * Names what INSUFFICIENT_SCOPE lacks, at most `count_max` things of it, and returns how many there are; 0 where the
 * verdict says something else. The request is the one that was verified, and lends the texts. All of it is lacked by
 * one: the key, or who `refused_by` and `policy` name. What others above it lack shows once that is granted.
 */
KW_API size_t kw_missing_list(const struct kw_verify_request *request, const struct kw_verdict *verdict,
                              struct kw_missing *missing_out, size_t count_max);

/* What came of one rule. */
struct kw_rule_outcome {
    const char *rule;    /* "address"; static, as is `outcome` */
    const char *outcome; /* "passed", "refused", "none" (there is no such rule), "skipped" (nothing left to look at) */
    enum kw_code code;   /* of a refusal, else KW_CODE_NONE */
    /* Of a refusal, as a verdict has them that it would be the reason of. */
    struct kw_id refused_by;
    char policy[KW_POLICY_MAX + 1], field[KW_ERROR_FIELD_MAX];
    struct kw_lacks lacks; /* a verdict with this code and these is what kw_missing_list reads */
    bool has_rate_limit, has_quota;
    struct kw_rate_limit_state rate_limit; /* RATE_LIMITED: by what, and how long to wait */
    struct kw_quota_status quota;          /* QUOTA_EXCEEDED */
};
#define KW_RULES_MAX 16

/*
 * As kw_verify, and the outcome of every rule in the order in which they are looked at: the first refusal is the
 * verdict. Spends nothing.
 */
KW_API KW_MUST_USE enum kw_status kw_explain(struct keyward *keyward, const struct kw_verify_request *request,
                                             struct kw_verdict *verdict_out,
                                             struct kw_rule_outcome outcomes_out[KW_RULES_MAX], size_t *count_out);

/*
 * Many at once, in less than half the time of one by one. As kw_verify; `statuses_out` and `verdicts_out` have `count`
 * places each. Returns the first status that is not KW_OK, else KW_OK.
 */
KW_API KW_MUST_USE enum kw_status kw_verify_many(struct keyward *keyward, const struct kw_verify_request *requests,
                                                 size_t count, enum kw_status *statuses_out,
                                                 struct kw_verdict *verdicts_out);

/* --- keys and their records --- */

/* A record with memory of its own. Clear with kw_held_record_clear. */
struct kw_held_record {
    struct kw_record record;
    void *memory;
};
KW_API void kw_held_record_clear(struct kw_held_record *held);

/* A key that was just made: the one time that it is seen. Show it and clear this, which wipes it. */
struct kw_new_key {
    char key[KW_KEY_SIZE_MAX + 1];
    bool is_replay; /* the same request was done before (idempotency_key): `key` is empty, the records are as they are
                       now, and `previous` is empty when that key was erased */
    struct kw_held_record held;
    struct kw_held_record previous; /* of a rotation: the old key's record, else empty */
};
KW_API void kw_new_key_clear(struct kw_new_key *made);

/* What to change, and on whose behalf. All borrowed for the call; what a function does not read may be left zero. */
struct kw_change_request {
    struct kw_bytes project;            /* "default" when empty */
    struct kw_id id;                    /* all but create */
    const struct kw_key_params *params; /* create, update, rotate */
    struct kw_bytes actor;              /* for record and audit log, at most KW_ACTOR_MAX; "library" when empty */
    struct kw_bytes reason;             /* revoke, disable, enable; at most KW_REASON_MAX */
    int64_t grace_ms;                   /* rotate: how long the old key goes on; 0: it is revoked at once */
    bool end_grace_on_first_use; /* rotate: but no longer than the new key's first use, and a second; needs grace_ms */
    bool no_cascade;             /* revoke, disable: HAS_CHILDREN, naming one, as long as a child of the key is not
                                    revoked (or, to disable it, is enabled) */
    struct kw_bytes template_name; /* create: a template of the project, whose fields `params` overrides */
    struct kw_bytes preset;        /* create: scopes under a name, beside those in `params` */
    uint64_t if_version;           /* only if the record still has this version; 0: whatever it has */
    /* create, rotate, update, revoke: the same request with the same key of 1 to 255 visible ASCII characters is done
     * once, for a day at least; another one with it is IDEMPOTENCY_KEY_REUSED. Keys of other actors and projects are
     * others, as are those of the other functions. KEY_NOT_FOUND when what came of it was erased. Empty: done as often
     * as it comes. */
    struct kw_bytes idempotency_key;
};

/*
 * Every change is durable, and seen by every verification that begins, before the call returns. On failure nothing was
 * changed (but for KW_E_UNCERTAIN) and the outputs are untouched. The codes are those of KW_ERROR_CODES. `held_out` may
 * be NULL. An update that names no field changes nothing, and gives the record as it is.
 */
KW_API KW_MUST_USE enum kw_status kw_create(struct keyward *keyward, const struct kw_change_request *request,
                                            struct kw_new_key *made_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_update(struct keyward *keyward, const struct kw_change_request *request,
                                            struct kw_held_record *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_enable(struct keyward *keyward, const struct kw_change_request *request,
                                            struct kw_held_record *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_disable(struct keyward *keyward, const struct kw_change_request *request,
                                             struct kw_held_record *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_revoke(struct keyward *keyward, const struct kw_change_request *request,
                                            struct kw_held_record *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_rotate(struct keyward *keyward, const struct kw_change_request *request,
                                            struct kw_new_key *made_out, struct kw_error *error_out);
/* Only of a revoked key: forgets all but that its digest is not to come back. */
KW_API KW_MUST_USE enum kw_status kw_erase(struct keyward *keyward, const struct kw_change_request *request,
                                           struct kw_error *error_out);

/* --- many at once --- */

enum kw_change_kind {
    KW_CHANGE_CREATE,
    KW_CHANGE_UPDATE,
    KW_CHANGE_ENABLE,
    KW_CHANGE_DISABLE,
    KW_CHANGE_REVOKE,
    KW_CHANGE_ROTATE,
    KW_CHANGE_ERASE,
};

/* One of many: what the function of that name would be given. */
struct kw_change_item {
    enum kw_change_kind kind;
    struct kw_change_request request;
};

/* What became of one. Clear with kw_outcomes_clear, which wipes the keys. */
struct kw_outcome {
    enum kw_status status;
    struct kw_error error;  /* where it is not KW_OK */
    struct kw_new_key made; /* `key` of a creation or rotation only; `held` of all but an erasure */
};
/* NULL is fine. */
KW_API void kw_outcomes_clear(struct kw_outcome *outcomes, size_t count);

/*
 * Up to KW_TOGETHER_MAX changes with one wait for the disk, in their order: a later one finds what an earlier one left.
 * Each for itself; or, with `atomic`, all of them or none: then those that could have been done say NOT_DONE beside the
 * refusals of the others. `outcomes_out` has `count` places, and all of them are filled, also on failure. Returns the
 * first status that is not KW_OK, else KW_OK. Where nothing was looked at all say the same: TOO_BUSY, or INVALID_FIELD
 * for more than KW_TOGETHER_MAX.
 */
KW_API KW_MUST_USE enum kw_status kw_change_many(struct keyward *keyward, const struct kw_change_item *items,
                                                 size_t count, bool atomic, struct kw_outcome *outcomes_out);

/* Which keys: those of these ids, or those for which all that is given holds. All borrowed for the call. */
struct kw_where_request {
    struct kw_bytes project;            /* "default" when empty */
    struct kw_bytes owner, org_id, tag; /* empty: any, but not all of them */
    const struct kw_id *ids;            /* not beside the three above; a doubled one counts once */
    size_t id_count;                    /* at most KW_BULK_IDS_MAX */
    struct kw_bytes actor;              /* as in struct kw_change_request, and so is `reason` */
    struct kw_bytes reason;
    bool no_cascade; /* revoke, disable: HAS_CHILDREN where a child would stop with its parent that is not meant itself
                      */
};

struct kw_where_result {
    uint64_t matched; /* keys that are meant */
    uint64_t changed; /* those of them that were not so yet */
};

/*
 * One atomic change to all keys that are meant at the moment when it is made: every key whose creation was acknowledged
 * before the call is among them. Keys that are so already, and revoked ones, are left alone, so it can be repeated. On
 * failure nothing was changed (but for KW_E_UNCERTAIN). MISSING_FIELD where nothing says which keys, KEY_NOT_FOUND for
 * an id that is not there, TOO_MANY_KEYS (KW_E_LIMIT) where more than KW_BULK_MAX keys would change, or their records
 * are more than 512 MB. The time (some 40 us a key) and the memory (some 400 bytes a key) are proportional to the keys;
 * other changes wait meanwhile, verifications do not.
 */
KW_API KW_MUST_USE enum kw_status kw_revoke_where(struct keyward *keyward, const struct kw_where_request *request,
                                                  struct kw_where_result *result_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_enable_where(struct keyward *keyward, const struct kw_where_request *request,
                                                  struct kw_where_result *result_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_disable_where(struct keyward *keyward, const struct kw_where_request *request,
                                                   struct kw_where_result *result_out, struct kw_error *error_out);

/* KEY_NOT_FOUND also for a key of another project. */
KW_API KW_MUST_USE enum kw_status kw_get(struct keyward *keyward, struct kw_bytes project, const struct kw_id *id,
                                         struct kw_held_record *held_out, struct kw_error *error_out);

/* The record of a key, whatever its state, by the key itself or, with `key` empty, by its digest. KEY_NOT_FOUND. */
KW_API KW_MUST_USE enum kw_status kw_find(struct keyward *keyward, struct kw_bytes project, struct kw_bytes key,
                                          struct kw_bytes digest, struct kw_held_record *held_out,
                                          struct kw_error *error_out);

/* Which keys to list or to count. What is empty, none or 0 means any. */
struct kw_list_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_bytes owner, org_id, env, policy;
    const struct kw_bytes *tags; /* at most KW_TAG_COUNT_MAX, in lower case */
    size_t tag_count;
    bool all_tags;                             /* keys that have all of the tags; else any of them */
    struct kw_bytes last_four;                 /* the key's last four characters */
    struct kw_id parent_id;                    /* children of this key, or of those that it was rotated from or to */
    int64_t created_from_ms, created_until_ms; /* in [from, until) */
    int64_t expires_before_ms;                 /* keys that have an expiry, before this */
    int64_t used_before_ms;                    /* keys that were last used before this, or never */
    int64_t used_from_ms;                      /* keys that were last used at this time or later */
    /* By expiry or use alone a late page costs what the first does in KW_ORDER_EXPIRES or KW_ORDER_USED. */
    bool has_status; /* `status` is what kw_effective_status says */
    enum kw_key_status status;
    struct kw_bytes text; /* in name or description, without regard to the case of ASCII letters */

    enum kw_order order; /* lists, as what follows. KW_ORDER_EXPIRES: keys that have an expiry. KW_ORDER_USED: a key
                          * that is used while the pages are turned moves to the end, and may come twice */
    struct kw_position after; /* the cursor of the page before, of the same order; none: the first page */
    size_t limit;             /* 1 to 1000; 0: 50 */
};

/*
 * Hands each record to `sink`, in the order asked for, borrowed for that call. When there may be more, `has_more_out`
 * is true and `cursor_out` is where to go on; a page can be short, or empty, and have more behind it, where a status or
 * text is searched for, or several things that many keys have and few together. The sink's first status but KW_OK ends
 * the listing and is returned.
 */
KW_API KW_MUST_USE enum kw_status kw_list(struct keyward *keyward, const struct kw_list_request *request,
                                          enum kw_status (*sink)(void *context, const struct kw_record *record),
                                          void *context, bool *has_more_out, struct kw_position *cursor_out,
                                          struct kw_error *error_out);
/*
 * How many keys a list would give in all. `exact_out` is false where there may be more: from KW_STORE_COUNT_MAX on, and
 * where a status or text had to be looked for in more than 20,000 records.
 */
KW_API KW_MUST_USE enum kw_status kw_count(struct keyward *keyward, const struct kw_list_request *request,
                                           uint64_t *count_out, bool *exact_out, struct kw_error *error_out);

/* A document's JSON with memory of its own. Clear with kw_held_document_clear. */
struct kw_held_document {
    struct kw_bytes json;
    /* Of a policy that was created or changed:
     * {"count":…,"exact":…,"items":[{"id":…,"name":…,"ancestorId":…,"fields":[…]}],"more":…}, the keys under it that
     * allow themselves more than it does from now on, and what is narrowed below them. Else empty. */
    struct kw_bytes narrowed;
    void *memory;
};
KW_API void kw_held_document_clear(struct kw_held_document *held);

/* --- taking keys elsewhere --- */

enum kw_export_format {
    KW_EXPORT_NDJSON, /* a line for the export, a line for each key, a line for the end */
    KW_EXPORT_JSON,   /* the same as one JSON document */
};

/* Which keys, and for whom. What is empty means any; all borrowed for the call. */
struct kw_export_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_bytes owner, org_id, env;
    const struct kw_bytes *tags; /* at most KW_TAG_COUNT_MAX, in lower case */
    size_t tag_count;
    bool all_tags; /* keys that have all of the tags; else any of them */
    enum kw_export_format format;
    struct kw_bytes actor; /* for the audit log, at most KW_ACTOR_MAX; "library" when empty */
};

/*
 * Writes all that is kept of each key, its digest too, for `kw_import_many` or another system: never a key, never a
 * pepper. Keys come in the order of their creation, so a parent stands before its children; revoked ones are among
 * them, erased ones are not. A key that is made or changed meanwhile may be there as it was or as it is, and none is
 * there twice. `sink` gets the text in pieces of any size; its first status but KW_OK ends the export and is returned.
 * An export is whole when the call returns KW_OK, and its last line says so too. The audit log says before the first
 * key who takes what ("export.started"), and afterwards how many it were ("export.ended"); where it cannot, the export
 * fails. `count_out`, which may be NULL, is how many keys. Takes memory for one piece, however many there are.
 */
KW_API KW_MUST_USE enum kw_status kw_export(struct keyward *keyward, const struct kw_export_request *request,
                                            enum kw_status (*sink)(void *context, struct kw_bytes piece), void *context,
                                            uint64_t *count_out, struct kw_error *error_out);

/* --- imports --- */

/* What to import. All borrowed for the call. */
struct kw_import_request {
    struct kw_bytes project;          /* "default" when empty */
    struct kw_bytes text;             /* of the form that options.format says: an export, a foreign list, CSV */
    struct kw_import_options options; /* import.h; docs/import.md says which forms are understood */
    struct kw_bytes actor;            /* for records and audit log, at most KW_ACTOR_MAX; "library" when empty */
};

/*
 * Imports keys, up to KW_IMPORT_TOGETHER_MAX with one wait for the disk, each with an outcome of its own: `sink` (which
 * may be NULL) is called for every item in its order, from another thread, while this call waits. Nothing that is
 * imported brings back what is revoked, expired or erased here. Larger texts can be handed in piece by piece, cut at
 * the end of a line. As long as it lasts an import takes one of the two threads that read the store: with two imports
 * at a time lists and single records wait, verifications of keys that are in memory do not.
 *
 * Fails where the options or the text as a whole are wrong (INVALID_FIELD, INVALID_JSON), or the store is; then
 * `counts_out`, which is filled in any case, says how far it came, and the same text can be imported again with
 * KW_IMPORT_SKIP. The text may hold plain keys: wipe it.
 */
KW_API KW_MUST_USE enum kw_status kw_import_many(struct keyward *keyward, const struct kw_import_request *request,
                                                 kw_import_sink *sink, void *context,
                                                 struct kw_import_counts *counts_out, struct kw_error *error_out);

/* --- projects, policies and templates --- */

/* Which document, and what is to become of it. All borrowed for the call; what a function does not read may be zero. */
struct kw_document_request {
    enum kw_document_kind kind;
    struct kw_bytes project; /* of policies and templates; "default" when empty */
    struct kw_bytes name;    /* all but create, whose JSON names it */
    /* create, update: a JSON object as the HTTP interface takes it. An update changes the fields that are given; null
     * makes one as if it had never been given. */
    struct kw_bytes json;
    struct kw_bytes actor; /* for the audit log, at most KW_ACTOR_MAX; "library" when empty */
    uint64_t if_version;   /* only if the document still has this version; 0: whatever it has */
    bool is_dry_run;       /* nothing is changed, but everything is checked and said as if it were */
};

/*
 * Durable, and seen by every call that begins, before they return. On failure nothing was changed (but for
 * KW_E_UNCERTAIN) and the outputs are untouched. `held_out` and `error_out` may be NULL.
 */
KW_API KW_MUST_USE enum kw_status kw_document_create(struct keyward *keyward, const struct kw_document_request *request,
                                                     struct kw_held_document *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_document_update(struct keyward *keyward, const struct kw_document_request *request,
                                                     struct kw_held_document *held_out, struct kw_error *error_out);
KW_API KW_MUST_USE enum kw_status kw_document_delete(struct keyward *keyward, const struct kw_document_request *request,
                                                     struct kw_error *error_out);
/* PROJECT_NOT_FOUND, POLICY_NOT_FOUND, TEMPLATE_NOT_FOUND. */
KW_API KW_MUST_USE enum kw_status kw_document_get(struct keyward *keyward, const struct kw_document_request *request,
                                                  struct kw_held_document *held_out, struct kw_error *error_out);
/* The next document after `name` (empty: the first), in order of names; KW_E_NOT_FOUND behind the last. */
KW_API KW_MUST_USE enum kw_status kw_document_after(struct keyward *keyward, const struct kw_document_request *request,
                                                    struct kw_held_document *held_out, struct kw_error *error_out);

/* What a record's own status is at a time: an expired or revoked key stays in the store. */
KW_API enum kw_key_status kw_status_of(const struct kw_record *record, int64_t now_ms);
/*
 * What a verification goes by: the worst of a key's own status and those of its ancestors as they are now; one that was
 * erased counts as revoked, and one that has outlived the `maxTtl` of its policy as expired. False, and the output
 * untouched, where an ancestor is not in memory yet (kw_wait_filled).
 */
KW_API KW_MUST_USE bool kw_effective_status(struct keyward *keyward, const struct kw_record *record, int64_t now_ms,
                                            enum kw_key_status *status_out);

/* Waits until every key of the store is in memory. Verifying works before, by asking the store. */
KW_API void kw_wait_filled(struct keyward *keyward);

#ifdef __cplusplus
}
#endif
#endif
