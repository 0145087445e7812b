/*
 * The audit log of a project: proved, handed out, signed, pruned. docs/audit.md says how its lines are chained, and
 * what is signed of them.
 */
#ifndef KEYWARD_AUDITING_H
#define KEYWARD_AUDITING_H

#include <keyward/document.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_AUDIT_KEY_SIZE 32

struct keyward;
struct kw_held_document; /* keyward.h */

/* What the log is signed with. All of it may be left zero. */
struct kw_audit_options {
    const char *key_file;        /* with a data folder: where the key is kept; NULL: audit-key in that folder */
    const char *checkpoint_file; /* with a data folder: each checkpoint is appended to it, a line of JSON; NULL: none */
    const uint8_t *key; /* with a store of your own: KW_AUDIT_KEY_SIZE random bytes (a seed of Ed25519), kept apart from
                           it; NULL: nothing is signed, and nothing can be pruned */
};

/* Which checkpoints. Borrowed for the call. */
struct kw_audit_page {
    struct kw_bytes project; /* "default" when empty */
    bool is_forth;           /* the earliest first; else the latest */
    uint64_t after;          /* behind this place, in that order; 0: from the first on */
    size_t limit;            /* 1 to 1000; 0: 50 */
};

/*
 * Reckons a project's chain anew and holds it against what was signed. `held_out` gets JSON, as GET /v1/audit/verify
 * gives it: {"whole":…,"proved":…,"head":{…},"fault":{…},…}. Blocks, some 10 us a line. `error_out` may be NULL here
 * and below. PROJECT_NOT_FOUND, STORE_UNAVAILABLE, STORE_CORRUPT, TOO_BUSY.
 */
KW_API KW_MUST_USE enum kw_status kw_audit_verify(struct keyward *keyward, struct kw_bytes project,
                                                  struct kw_held_document *held_out, struct kw_error *error_out);
/*
 * All of the log as lines of JSON, which `keyward audit verify FILE` proves by themselves. `sink` gets the text in
 * pieces of any size; its first status but KW_OK ends the export and is returned. Fails as the one before.
 */
KW_API KW_MUST_USE enum kw_status kw_audit_export(struct keyward *keyward, struct kw_bytes project,
                                                  enum kw_status (*sink)(void *context, struct kw_bytes piece),
                                                  void *context, struct kw_error *error_out);
/* A page of checkpoints as JSON, {"publicKey":…,"items":[…],"nextCursor":…}. Fails as before, and with INVALID_FIELD.
 */
KW_API KW_MUST_USE enum kw_status kw_audit_checkpoints(struct keyward *keyward, const struct kw_audit_page *page,
                                                       struct kw_held_document *held_out, struct kw_error *error_out);

/* What goes, and for whom. Borrowed for the call. */
struct kw_audit_prune_request {
    struct kw_bytes project; /* "default" when empty */
    int64_t before_ms;       /* lines up to the first of this time or later */
    struct kw_bytes actor;   /* for the log, at most KW_ACTOR_MAX; "library" when empty */
    struct kw_bytes reason;  /* the same, at most KW_REASON_MAX; may be empty */
};
/*
 * Removes the lines at the begin of a project's log that are old. The rest stays provable, since where it begins is
 * signed. `count_out` (may be NULL) is how many. INVALID_FIELD where nothing is signed, PROJECT_NOT_FOUND, or as the
 * store fails: then some may be gone, and the log is whole all the same.
 */
KW_API KW_MUST_USE enum kw_status kw_audit_prune(struct keyward *keyward, const struct kw_audit_prune_request *request,
                                                 uint64_t *count_out, struct kw_error *error_out);

/* Whose data goes, and for whom. Borrowed for the call. */
struct kw_audit_erase_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_bytes owner;   /* whose keys the lines are about, as "user:1"; at most KW_OWNER_MAX */
    struct kw_bytes actor;   /* who did what they tell of, at most KW_ACTOR_MAX; one of the two may be empty */
    struct kw_bytes by;      /* who has it done, for the log, at most KW_ACTOR_MAX; "library" when empty */
    struct kw_bytes reason;  /* the same, at most KW_REASON_MAX; may be empty */
};
/*
 * Takes what tells of a person out of the lines of a project's log, for good: docs/audit.md says which fields. The
 * lines stay, and the log is as provable as before. Goes through the whole log. `count_out` (may be NULL) is how many
 * lines. INVALID_FIELD where nothing is signed, or a text is none; MISSING_FIELD, PROJECT_NOT_FOUND, or as the store
 * fails: then some of it may be gone, and the same call takes the rest.
 */
KW_API KW_MUST_USE enum kw_status kw_audit_erase_person(struct keyward *keyward,
                                                        const struct kw_audit_erase_request *request,
                                                        uint64_t *count_out, struct kw_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
