/*
 * Every change to a key is a pure transition: (record, command, now) -> (new record, audit, event) or a refusal.
 * No I/O, no clock, no entropy: what a birth needs is handed in. All rules about what may change when live here
 * and nowhere else.
 */
#ifndef KW_CORE_TRANSITION_H
#define KW_CORE_TRANSITION_H

#include "base/memory.h"
#include <keyward/codes.h>
#include <keyward/record.h>

enum kw_command_kind {
    KW_COMMAND_CREATE,
    KW_COMMAND_UPDATE,
    KW_COMMAND_ENABLE,
    KW_COMMAND_DISABLE,
    KW_COMMAND_REVOKE,
    KW_COMMAND_ROTATE,
    KW_COMMAND_ERASE,
    KW_COMMAND_LAPSE,     /* writes down that an expiry or a grace period has passed; nothing to do is KW_E_CONFLICT */
    KW_COMMAND_END_GRACE, /* revokes a rotated key, now that its successor is in use; nothing to do is KW_E_CONFLICT */
    KW_COMMAND_MOVE, /* the key's digest is made by another method from now on; of a revoked key it is KW_E_CONFLICT */
};

/* Beside enum kw_given, in the params of updates and rotations: for the field by which one is refused. */
enum kw_given_name {
    KW_GIVEN_OWNER_ID = 1 << 30, /* with KW_GIVEN_OWNER: it was named ownerId */
    KW_GIVEN_PROJECT = 1 << 29,  /* a project was named, whichever it was */
};

/* What a key that is being born gets from outside: create and rotate need it. */
struct kw_birth {
    struct kw_id id;
    struct kw_bytes env; /* the environment that was chosen, and its prefix */
    struct kw_bytes prefix;
    uint8_t last_four[4];
    enum kw_digest_scheme digest_scheme;
    uint8_t digest_method;
};

struct kw_command {
    enum kw_command_kind kind;
    struct kw_bytes project;            /* create */
    const struct kw_key_params *params; /* create, update, rotate; NULL means nothing given */
    const struct kw_birth *birth;       /* create, rotate */
    const struct kw_record *parent;     /* create: what params name as parent; update, rotate: of a child; else NULL */
    struct kw_bytes template_name;      /* create: what `params` come from in part; may be empty */
    struct kw_bytes actor;              /* who asks: "key:key_…", "system", "cli" */
    struct kw_bytes reason;             /* revoke, disable, enable; may be empty */
    int64_t grace_ms;                   /* rotate: how long the old key goes on; 0: it is revoked at once */
    bool ends_grace;                    /* rotate: or until the new key is used for the first time */
    uint64_t if_version;                /* 0: whatever it is now */
    enum kw_digest_scheme moved_scheme; /* move: how the new digest is made */
    uint8_t moved_method;
};

/* What a transition came to. Borrows from record, command and arena. */
struct kw_change {
    struct kw_record after;
    struct kw_record successor; /* of a rotation */
    bool has_successor;
    bool erased;        /* `after` is a tombstone: id, project, digest scheme, revocation, version; nothing personal */
    const char *action; /* "key.created": names audit entry and event alike */
};

/*
 * `before` is NULL for create only. Lists of the new record are packed into `arena`. Fails with a code of
 * KW_ERROR_CODES: INVALID_FIELD, MISSING_FIELD, CANNOT_CHANGE_FIELD (KW_E_INVALID), ALREADY_…, CANNOT_MODIFY_REVOKED,
 * NOT_REVOKED, VERSION_CONFLICT (KW_E_CONFLICT), or KW_E_MEMORY. Nothing is changed in place.
 */
KW_MUST_USE enum kw_status kw_transition(const struct kw_record *before, const struct kw_command *command,
                                         int64_t now_ms, struct kw_arena *arena, struct kw_change *change_out,
                                         struct kw_error *error_out);

/*
 * The checks of one call's params, all of them, as create, update and rotate make them: UTF-8, control characters,
 * caps, grammar of tags, scopes, resources and owner, metadata a JSON object, times. Fields are named as in the
 * interface ("scopes[1]").
 */
KW_MUST_USE enum kw_status kw_key_params_check(const struct kw_key_params *params, int64_t now_ms,
                                               struct kw_arena *arena, struct kw_error *error_out);
/*
 * Whether ISO 3166-2 has the subdivisions that the params name, but for those that they named `before` (NULL: nothing).
 * The standard changes; so what was taken once stays good, and kw_key_params_check looks at the form of regions alone.
 */
KW_MUST_USE enum kw_status kw_key_regions_check(const struct kw_key_params *params, const struct kw_key_params *before,
                                                struct kw_error *error_out);

/* Fills an error from the table of codes: status from the code's HTTP status, message as given. Returns the status. */
enum kw_status kw_refuse(struct kw_error *error_out, enum kw_code code, const char *field, const char *message, ...)
    KW_PRINTF(4, 5);

#endif
