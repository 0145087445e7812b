/*
 * The audit log: what a line of it is, how lines are chained so that nobody rewrites one quietly, and how a chain is
 * proved whole. All of it is pure: whoever seals a line brings the salt, whoever proves a log brings its lines.
 *
 * Each project has a chain of its own. A line is committed with the change that it tells of; soon after, it is
 * sealed: it gets its place in the chain, a salt, and a link, which is a digest over the link before it and over all of
 * the line. What may be about a person (owner, actor, context, details) goes into the link as a digest of its own, with
 * a salt of its own: taken away together with its salt it can be neither read nor guessed, and the chain is as provable
 * as it was.
 */
#ifndef KW_CORE_AUDIT_H
#define KW_CORE_AUDIT_H

#include "base/json.h"
#include "core/signing.h"
#include <keyward/audit.h>

#define KW_AUDIT_SALT_SIZE 16
#define KW_AUDIT_LINK_SIZE 32
#define KW_AUDIT_SEAL_SIZE (1 + 8 + KW_AUDIT_SALT_SIZE + KW_AUDIT_LINK_SIZE)
#define KW_AUDIT_SEAL_MAX 256 /* where something was erased */
#define KW_AUDIT_HEAD_SIZE (1 + 8 + 8 + KW_AUDIT_LINK_SIZE)
#define KW_AUDIT_LINE_JSON_MAX ((size_t)2 * 1024 * 1024) /* of one line of an exported log */

/* --- actions --- */

struct kw_audit_action {
    const char *name;  /* "key.created" */
    const char *means; /* for the reference */
};

/* Everything that the log may tell of, in the order of the reference. */
const struct kw_audit_action *kw_audit_actions(size_t *count_out);
KW_MUST_USE bool kw_audit_action_known(struct kw_bytes action);

/* --- lines --- */

struct kw_audit_line {
    uint64_t sequence;
    int64_t at_ms;
    struct kw_bytes project;
    struct kw_id key_id;     /* none where the action is not about a key */
    struct kw_bytes owner;   /* of that key; may be empty, as may be the next ones but `action` */
    struct kw_bytes actor;   /* who did it */
    struct kw_bytes action;  /* "key.created" */
    struct kw_bytes context; /* a JSON object: address, userAgent, reason, metadata, via */
    struct kw_bytes details; /* a JSON object: what changed from what to what, and what else there is to say */
};

/* --- the chain --- */

/* How far a project's chain has come; all zero: it has not begun. */
struct kw_audit_chain {
    uint64_t place;    /* of the last line: the first one's is 1 */
    uint64_t sequence; /* of the last line */
    uint8_t link[KW_AUDIT_LINK_SIZE];
};

/* What of a line goes into the link by a digest, in that order. */
enum kw_audit_veiled { KW_AUDIT_OWNER, KW_AUDIT_ACTOR, KW_AUDIT_CONTEXT, KW_AUDIT_DETAILS, KW_AUDIT_VEILED_COUNT };

struct kw_audit_seal {
    uint64_t place;
    uint8_t salt[KW_AUDIT_SALT_SIZE]; /* drawn for this line; those of its fields are made of it */
    uint8_t link[KW_AUDIT_LINK_SIZE];
    /*
     * Where something was erased: which fields, a bit for each. Then the line's salt is gone, of an erased field its
     * digest is here, of another one its salt; and whoever signs checkpoints has signed that this is so.
     */
    uint8_t erased;
    uint8_t veils[KW_AUDIT_VEILED_COUNT][KW_AUDIT_LINK_SIZE]; /* of salts the first KW_AUDIT_SALT_SIZE bytes */
    uint8_t signature[KW_SIGNATURE_SIZE];
};

/* Makes the line the next of its chain. */
void kw_audit_seal(struct kw_audit_chain *chain, const struct kw_audit_line *line,
                   const uint8_t salt[KW_AUDIT_SALT_SIZE], struct kw_audit_seal *seal_out);

/* Returns how many bytes: KW_AUDIT_SEAL_SIZE, unless something was erased. */
size_t kw_audit_seal_encode(const struct kw_audit_seal *seal, uint8_t out[KW_AUDIT_SEAL_MAX]);
KW_MUST_USE bool kw_audit_seal_decode(struct kw_bytes bytes, struct kw_audit_seal *seal_out);
void kw_audit_head_encode(const struct kw_audit_chain *chain, uint8_t out[KW_AUDIT_HEAD_SIZE]);
KW_MUST_USE bool kw_audit_head_decode(struct kw_bytes bytes, struct kw_audit_chain *chain_out);

/* --- erasing --- */

/* Whose data is to go; empty: nobody's. */
struct kw_audit_person {
    struct kw_bytes owner, actor;
};
/* Which fields of a line tell of them: as struct kw_audit_seal's `erased`. */
uint8_t kw_audit_tells_of(const struct kw_audit_line *line, const struct kw_audit_person *person);
/*
 * Makes of a line's seal the one that it has without these fields, which are to be taken out of the line; what was
 * erased before stays so. The line is as it was until now. KW_E_INVALID for a seed that is none, KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_audit_erase(const struct kw_audit_line *line, uint8_t fields,
                                          const struct kw_secret *seed, struct kw_audit_seal *seal);

/* --- proving --- */

enum kw_audit_fault {
    KW_AUDIT_WHOLE,
    KW_AUDIT_CHANGED, /* it says something else than when it was sealed */
    KW_AUDIT_MISSING, /* it is not there */
    KW_AUDIT_ADDED,   /* it never had this place */
    KW_AUDIT_MOVED,   /* it stands where another one did */
};

/* A proof under way, of one project's chain. Begin with kw_audit_proof_begin. */
struct kw_audit_proof {
    struct kw_audit_chain chain;        /* of what was proved so far */
    struct kw_audit_chain expected;     /* what somebody knows of the chain; place 0: nothing */
    struct kw_audit_chain start;        /* where the log begins: behind this; place 0: at its first line */
    const struct kw_audit_chain *known; /* what is signed of the chain, of places that come yet; in their order */
    size_t known_count;
    uint64_t signed_place; /* the last that was found to be as it was signed; 0: none */
    uint64_t signed_count;
    bool has_signer; /* else no line from which something was erased is as it was */
    uint8_t signer[KW_PUBLIC_KEY_SIZE];
    uint64_t last_sequence;    /* of the last line that was looked at */
    uint64_t proved, unsealed; /* lines; unsealed ones stand at the end and are no fault */
    uint64_t first_unsealed;   /* its sequence */
    enum kw_audit_fault fault; /* the first that was found; behind a missing line only that one is looked for */
    uint64_t fault_sequence;   /* of the line that it was found at; 0: at the end */
    uint64_t fault_place;      /* in the chain; 0: it has none */
};

/* `expected` may be NULL: then nobody notices where the end of a chain is cut off. */
void kw_audit_proof_begin(struct kw_audit_proof *proof, const struct kw_audit_chain *expected);
/* Whose signature says that something was erased from a line. */
void kw_audit_proof_trust(struct kw_audit_proof *proof, const uint8_t signer[KW_PUBLIC_KEY_SIZE]);
/* Before the first line: the log begins behind this. Somebody must have signed that it does. */
void kw_audit_proof_start(struct kw_audit_proof *proof, const struct kw_audit_chain *start);
/*
 * What is signed of the chain from here on, in order of places, in the place of what was known before; borrowed until
 * the next call. Of places that were proved already nothing is looked at.
 */
void kw_audit_proof_know(struct kw_audit_proof *proof, const struct kw_audit_chain *known, size_t count);
/* What is signed of the line that was just added, or of one before it. */
void kw_audit_proof_meet(struct kw_audit_proof *proof, const struct kw_audit_chain *known);
/* Whether more lines can still say more. */
static inline bool kw_audit_proof_goes_on(const struct kw_audit_proof *proof)
{
    return proof->fault == KW_AUDIT_WHOLE || (proof->fault == KW_AUDIT_MISSING && proof->fault_place > 0);
}
/* The next line, in the order of the log; `seal` NULL: it has none. */
void kw_audit_proof_add(struct kw_audit_proof *proof, const struct kw_audit_line *line,
                        const struct kw_audit_seal *seal);
/* There are no more. */
void kw_audit_proof_end(struct kw_audit_proof *proof);
/* "changed", "missing", "added", "moved"; "whole". */
const char *kw_audit_fault_name(enum kw_audit_fault fault);

/* --- as JSON --- */

/*
 * {"id":"audit_7","sequence":7,"timestamp":…,"projectId":…,"action":…,"keyId":…,"owner":…,"actor":…,"context":{…},
 * "details":{…},"seal":{"place":7,"salt":"…","link":"…"}}; what is empty is left out, and `seal` where it is NULL.
 */
void kw_audit_line_write(const struct kw_audit_line *line, const struct kw_audit_seal *seal,
                         struct kw_json_writer *json);
/* Reads what that has written; `has_seal_out` says whether one was there. Fails with the error set. */
KW_MUST_USE enum kw_status kw_audit_line_read(struct kw_bytes text, struct kw_arena *arena,
                                              struct kw_audit_line *line_out, struct kw_audit_seal *seal_out,
                                              bool *has_seal_out, struct kw_error *error_out);

/* --- context --- */

/*
 * {"actor":…,"address":…,"userAgent":…,"reason":…,"metadata":{…}}, each of them optional. Fails with INVALID_FIELD,
 * naming `field` or a member of it.
 */
KW_MUST_USE enum kw_status kw_audit_context_read(struct kw_bytes json, const char *field, struct kw_arena *arena,
                                                 struct kw_audit_context *context_out, struct kw_error *error_out);
/* Checks each member as if it had been read; `context_out` is as it will be written, and borrows from both. */
KW_MUST_USE enum kw_status kw_audit_context_check(const struct kw_audit_context *context, struct kw_arena *arena,
                                                  struct kw_audit_context *context_out, struct kw_error *error_out);

/*
 * What a line says of a call: what the caller says of itself (`said`) before what is known of it (`known`) before what
 * the project gives (`project`); each may be NULL. `actor_out` is the line's actor, which borrows. Where the caller
 * says another actor, address or user agent than what is known, the known one stands in `via`. Only of reasons the
 * known one comes first, since that was given for this one change. Appends nothing where
 * there is nothing to say.
 */
void kw_audit_context_write(const struct kw_audit_context *said, const struct kw_audit_context *known,
                            const struct kw_audit_context *project, struct kw_buffer *buffer,
                            struct kw_bytes *actor_out);

#endif
