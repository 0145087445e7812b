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
 *     if (kw_verify(kw, &(struct kw_verify_request){.key = sent}, &verdict) == KW_OK && verdict.code == KW_CODE_NONE) {
 * … }
 *
 * Every function may be called from any thread, without registration. Changes block until they are durable. Verifying a
 * key that the index knows does no I/O, takes no lock and allocates nothing (a thread's first verification sets up its
 * part of userspace RCU). Do not call into the library between fork and exec.
 *
 * The text of a key leaves the library once, in struct kw_new_key; nothing else ever holds it.
 */
#ifndef KEYWARD_KEYWARD_H
#define KEYWARD_KEYWARD_H

#include <keyward/codes.h>
#include <keyward/document.h>
#include <keyward/record.h>
#include <keyward/store.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward;

struct kw_options {
    /* A folder for database and pepper, made when it is not there; held by one process at a time. */
    const char *data;
    /* Instead of `data`: a store of your own, which kw_open takes over, and 32 random bytes to digest keys under, kept
     * apart from it. */
    struct kw_store *store_take;
    const uint8_t *pepper;
    /* How digests of new keys are made; 0: hmac-sha256. */
    enum kw_digest_scheme digest;
    /* Milliseconds since 1970 UTC, for programs that keep time themselves (tests); NULL: the system's clock. */
    int64_t (*now_ms)(void *context);
    void *now_context;
};

/*
 * Opens, and begins to read keys into memory in the background. `error_out` may be NULL here and below. DATA_IN_USE
 * (KW_E_BUSY), PEPPER_MISMATCH, STORE_CORRUPT, STORE_NEWER, STORE_UNAVAILABLE, INVALID_FIELD for options that do not go
 * together.
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
/* Writes "key_…" and a NUL: KW_ID_TEXT_SIZE + 1 bytes. */
KW_API void kw_id_to_text(const struct kw_id *id, char *out);

/* --- verifying --- */

/* What is asked of a key. Everything is borrowed for the call; all but `key` may be left zero. */
struct kw_verify_request {
    struct kw_bytes key;           /* as the client sent it */
    struct kw_bytes project;       /* "default" when empty */
    struct kw_bytes env;           /* the environment that the work is for; empty: any */
    const struct kw_bytes *scopes; /* the key must hold all of them */
    size_t scope_count;
    struct kw_bytes resource; /* "website:123": the key must hold these scopes on it, here or globally */
    const struct kw_bytes *resource_scopes;
    size_t resource_scope_count;
    /* Memory for the key's record, KW_RECORD_MAX bytes to be sure: then verdict.record is filled. NULL: not wanted. */
    void *record_memory;
    size_t record_memory_size;
};

struct kw_verdict {
    enum kw_code code; /* KW_CODE_NONE: the key is valid for what was asked. Else one of KW_VERDICT_CODES */
    struct kw_id id;   /* of the key; none for MISSING_KEY, INVALID_FORMAT, INVALID_KEY */
    char missing[KW_SCOPE_MAX + 1]; /* INSUFFICIENT_SCOPE: the first scope that is missing */
    bool has_record;
    struct kw_record record; /* borrows from record_memory */
};

/*
 * Decides. KW_OK whenever there is a verdict, whatever it says. A failure never reads as valid: verdict_out is
 * untouched, and the status is KW_E_INVALID for a request that cannot be asked (no such project; a resource, or a scope
 * that the verdict hangs on, of no valid form), KW_E_LIMIT when the record does not fit its memory, KW_E_UNAVAILABLE or
 * KW_E_CORRUPT when the key had to be looked up in the store.
 */
KW_API KW_MUST_USE enum kw_status kw_verify(struct keyward *keyward, const struct kw_verify_request *request,
                                            struct kw_verdict *verdict_out);

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
    struct kw_bytes reason;             /* revoke, disable; at most KW_REASON_MAX */
    int64_t grace_ms;                   /* rotate: how long the old key goes on; 0: it is revoked at once */
    struct kw_bytes template_name;      /* create: a template of the project, whose fields `params` overrides */
    struct kw_bytes preset;             /* create: scopes under a name, beside those in `params` */
    uint64_t if_version;                /* only if the record still has this version; 0: whatever it has */
};

/*
 * Every change is durable, and seen by every verification that begins, before the call returns. On failure nothing was
 * changed (but for KW_E_UNCERTAIN) and the outputs are untouched. The codes are those of KW_ERROR_CODES. `held_out` may
 * be NULL.
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

/* KEY_NOT_FOUND also for a key of another project. */
KW_API KW_MUST_USE enum kw_status kw_get(struct keyward *keyward, struct kw_bytes project, const struct kw_id *id,
                                         struct kw_held_record *held_out, struct kw_error *error_out);

/* Which keys to list. Empty texts mean any. */
struct kw_list_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_bytes owner, org_id, tag, env;
    bool has_status;
    enum kw_key_status status;
    struct kw_bytes text; /* in name or description, without regard to the case of ASCII letters */
    struct kw_id after;   /* the cursor of the page before; none: the first page */
    size_t limit;         /* 1 to 1000; 0: 50 */
};

/*
 * Hands each record to `sink`, oldest first, borrowed for that call. When there may be more, `has_more_out` is true and
 * `cursor_out` is where to go on; a page can be short, or empty, and have more behind it, where a status or text is
 * searched for. The sink's first status but KW_OK ends the listing and is returned.
 */
KW_API KW_MUST_USE enum kw_status kw_list(struct keyward *keyward, const struct kw_list_request *request,
                                          enum kw_status (*sink)(void *context, const struct kw_record *record),
                                          void *context, bool *has_more_out, struct kw_id *cursor_out,
                                          struct kw_error *error_out);

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
};

/* A document's JSON with memory of its own. Clear with kw_held_document_clear. */
struct kw_held_document {
    struct kw_bytes json;
    void *memory;
};
KW_API void kw_held_document_clear(struct kw_held_document *held);

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

/* What a record's status is at a time: an expired or revoked key stays in the store. */
KW_API enum kw_key_status kw_status_of(const struct kw_record *record, int64_t now_ms);

/* Waits until every key of the store is in memory. Verifying works before, by asking the store. */
KW_API void kw_wait_filled(struct keyward *keyward);

#ifdef __cplusplus
}
#endif
#endif
