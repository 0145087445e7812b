/*
 * Every change to a key is a pure transition: (record, command, now) -> (new record, audit, event) or a refusal.
 * No I/O, no clock, no entropy: what a birth needs is handed in. All rules about what may change when live here
 * and nowhere else.
 */
#ifndef KW_CORE_TRANSITION_H
#define KW_CORE_TRANSITION_H

#include "base/memory.h"
#include "core/schedule.h"
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
    KW_COMMAND_LAPSE,     /* writes down what time has done, and what is announced; nothing to do is KW_E_CONFLICT */
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

/* A step that time has taken, and the record behind it, as far as it tells of the key. */
struct kw_passed {
    struct kw_happening happening;
    struct kw_record after;
};

/* What a transition came to. Borrows from record, command and arena. */
struct kw_change {
    struct kw_record after;
    struct kw_record successor; /* of a rotation */
    bool has_successor;
    bool erased;        /* `after` is a tombstone: id, project, digest scheme, revocation, version; nothing personal */
    const char *action; /* "key.created": names audit entry and event alike */
    /*
     * What had happened before and was not written down: it is told of before the action, in its order, each with what
     * it makes of the record that the one before it left.
     */
    const struct kw_passed *passed;
    size_t passed_count;
    /* Of KW_COMMAND_LAPSE: what time did, the last of it where it was more. Else without an action. */
    struct kw_happening happening;
};

/*
 * `before` is NULL for create only. What has passed of it by `now_ms` has passed for every command: it becomes a part
 * of the change. The version grows by one with each thing that is told of the key. Lists of the new record are packed
 * into `arena`. Fails with a code of KW_ERROR_CODES: INVALID_FIELD, MISSING_FIELD, CANNOT_CHANGE_FIELD (KW_E_INVALID),
 * ALREADY_…, CANNOT_MODIFY_REVOKED, NOT_REVOKED, VERSION_CONFLICT (KW_E_CONFLICT), or KW_E_MEMORY. Nothing is changed
 * in place.
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

/*
 * Takes all that has passed of a record by then into a copy of it, and lists the steps: with announcements only where
 * they are asked for. `settled_out` is `before` itself where there is nothing. KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_record_settle(const struct kw_record *before, int64_t now_ms, bool announces,
                                            struct kw_arena *arena, const struct kw_record **settled_out,
                                            const struct kw_passed **passed_out, size_t *count_out);

/* Fills an error from the table of codes: status from the code's HTTP status, message as given. Returns the status. */
enum kw_status kw_refuse(struct kw_error *error_out, enum kw_code code, const char *field, const char *message, ...)
    KW_PRINTF(4, 5);

#endif
