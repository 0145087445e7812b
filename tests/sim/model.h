/*
 * A model of the whole key, to be compared with the library: plain arrays, every field as plain data, sets as bits over
 * a few words. It is written from the design and the public headers, slow and obvious on purpose, and shares no code
 * with what it is a model of.
 */
#ifndef KW_TESTS_SIM_MODEL_H
#define KW_TESTS_SIM_MODEL_H

#include "sim/model_limits.h"

#define MODEL_KEYS_MAX 96
#define MODEL_DEPTH_MAX 8

/* The words that sets are made of; bit i stands for word i. */
enum { SCOPES = 6, RESOURCES = 5, RANGES = 5, REGIONS = 5, TAGS = 3, ADDRESSES = 5, PLACES = 5 };
extern const char *const model_scopes[SCOPES];
extern const char *const model_resources[RESOURCES];
extern const char *const model_ranges[RANGES];
extern const char *const model_regions[REGIONS];
extern const char *const model_tags[TAGS];
extern const char *const model_addresses[ADDRESSES]; /* that requests come from */
extern const char *const model_places[PLACES][2];    /* country, and region or none */

/* What a key may do, and from where. */
struct model_rights {
    unsigned scopes;
    unsigned resources[RESOURCES]; /* the scopes on each */
    unsigned allowed_ips, blocked_ips, allowed_regions, blocked_regions;
};

enum { POLICIES = 2 };
extern const char *const model_policies[POLICIES];

/* What bounds keys. Of its rights only scopes and resources say anything. */
struct model_policy {
    bool is_there, bounds_rights, requires_ip;
    struct model_rights rights;
    struct model_limits limits;
    const char *env; /* NULL: any */
    int64_t ttl;     /* 0: any */
    int resources;   /* at most; -1: any number */
    uint64_t version;
};

/* A record; keys are named by their places in the array, -1 is none. Texts are never NULL. */
struct model_key {
    struct kw_id id;
    char text[KW_KEY_SIZE_MAX + 1]; /* empty: nobody got to see it */
    uint64_t version;
    bool erased, enabled, is_public, has_children, ends_grace;
    const char *env, *owner, *org, *name;
    unsigned tags;
    struct model_rights rights;
    struct model_limits limits;
    const char *created_by, *revoked_by, *reason;
    int64_t created_at, updated_at, expires_at, lapsed_at, revoked_at, grace_until;
    int64_t disable_at, revoke_at, notify_before;
    bool told_of_disabling, told_of_revocation, told_of_expiry;
    int rotated_from, rotated_to, line, parent; /* the last two: the first key of a line */
    int policy;
    bool first_use_told;              /* and the grace period of the key before has ended with it */
    bool is_forgotten;                /* erased, and nobody remembers whose parent it was since a restart */
    bool touched;                     /* by an earlier command of the same batch */
    uint64_t noted_first, noted_last; /* versions at which refusals met a time that has passed; 0: none did */
    bool acknowledged_dead;           /* somebody was told that it is revoked; kept by the simulation */
};

struct model {
    struct model_key keys[MODEL_KEYS_MAX];
    int count;
    int64_t now;
    struct model_policy policies[POLICIES];
};

struct model_params {
    uint32_t given; /* of enum kw_given */
    const char *env, *owner, *org, *name;
    bool is_public;
    unsigned tags;
    struct model_rights rights;
    struct model_limits limits;
    int64_t expires_at, expires_in;
    unsigned scheduled; /* of enum kw_given_schedule */
    int64_t disable_at, revoke_at, notify_before;
    int parent; /* any key of the line */
    int policy; /* -1: none */
};

struct model_command {
    enum kw_change_kind kind;
    int key;
    struct model_params params;
    const char *actor, *reason;
    int64_t grace;
    bool ends_grace, no_cascade;
    uint64_t if_version;
};

/* KW_CODE_NONE and the change is made, else nothing is. `made_out`: the new key of a creation or rotation. */
enum kw_code model_apply(struct model *model, const struct model_command *command, int *made_out);

/* Writes down what refusals have met, of keys that nothing has changed since. */
void model_write_noted(struct model *model);
/* Hands them on to what the model was before. */
void model_keep_notes(const struct model *model, struct model *before);

/* Applies them in order; with `atomic` all or none. Codes as struct kw_outcome says them. */
void model_apply_many(struct model *model, const struct model_command *commands, int count, bool atomic,
                      enum kw_code *codes_out, int *made_out);

/* Of all keys of an owner, organisation and tag (NULL: any; tag -1: any). */
struct model_where {
    const char *owner, *org;
    int tag;
    enum kw_change_kind kind;
    const char *actor, *reason;
    bool no_cascade;
};
/* KW_CODE_NONE, or HAS_CHILDREN: then nothing is changed. */
enum kw_code model_apply_where(struct model *model, const struct model_where *where, uint64_t *matched,
                               uint64_t *changed);
bool model_matches(const struct model_key *key, const struct model_where *where);

enum model_require { REQUIRE_NOTHING, REQUIRE_BOTH, REQUIRE_EITHER, REQUIRE_NESTED };

struct model_question {
    const char *env; /* "": any */
    unsigned scopes;
    int resource; /* -1: none */
    unsigned resource_scopes;
    enum model_require require;
    int words[3];       /* scopes in the requirement: a AND b, a OR b, a AND (b OR c) */
    int address, place; /* -1: not stated */
    int cost;           /* of limits and quotas, which model_spent.h knows; 0: 1 */
};

/* Who refuses. */
struct model_refusal {
    int ancestor;   /* -1: the key itself */
    bool by_policy; /* that of the one who refuses */
};

/*
 * The verdict, limits and quotas aside, and what it sets off: a time that is seen to have passed is written down.
 */
enum kw_code model_verify(struct model *model, int key, const struct model_question *question,
                          struct model_refusal *refusal_out);
/* It was let through, limits or not: the first use of a new key ends a grace period. */
void model_use(struct model *model, int index);

enum kw_key_status model_status(const struct model_key *key, int64_t now);
/* The worst of all that it stands under; REVOKED where one of them is gone. */
enum kw_key_status model_status_above(const struct model *model, const struct model_key *key);
/* The key that stands for a line: its last; -1 when that was erased. */
int model_newest(const struct model *model, int line);

/* --- what the files of the model share --- */

/* Of a key and those above it the first that is revoked or expired; -1: none, or one of them is gone. Nobody may be
 * made below it. */
int model_first_ended(const struct model *model, int key);
bool model_has_expired(const struct model *model, const struct model_key *key);
/* Does to the key what time has done to it by now, but for what is only told of. True: it was anything that is told. */
bool model_pass(const struct model *model, struct model_key *key);
/* Whether it would, of a key that is not erased. */
bool model_has_passed(const struct model *model, const struct model_key *key);
/* Writes down what has passed of it and what is to be told of, if there is any. */
void model_lapse(struct model *model, struct model_key *key);
/* Sees to the schedules of all keys. */
void model_run_schedules(struct model *model);
/* When it is revoked by time; INT64_MAX: never. */
int64_t model_ends_at(const struct model_key *key);
bool model_is_enabled(const struct model_key *key, int64_t now);
/* Whether it would stop a child that it does not mean. `where`: what else is meant; NULL: nothing. */
bool model_leaves_orphan(const struct model *model, const struct model_key *key, enum kw_change_kind kind,
                         const struct model_where *where);
/* Takes over what params give (model_params.c), says whether they are none, and whether what is given of a child goes
 * beyond its parent. */
void model_set_params(const struct model *model, const struct model_params *params, struct model_key *key);
bool model_params_are_bad(const struct model *model, const struct model_params *params);
bool model_exceeds(const struct model_key *child, const struct model_key *parent, uint32_t given);
/* A limit of an organisation, and the key has none. */
bool model_lacks_org(const struct model_key *key);
/* A refusal sees what a verification would see of the key, or of the parent that a child was to have. */
void model_note_refusal(struct model *model, const struct model_command *command);
void model_note(struct model *model, int index);

#endif
