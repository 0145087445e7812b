/*
 * For authors of store adapters: the lines of the audit log and what belongs to them, as an adapter keeps it (store.h).
 */
#ifndef KEYWARD_STORE_AUDIT_H
#define KEYWARD_STORE_AUDIT_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_STORE_CONTEXT_MAX 16384 /* of an audit line */
#define KW_STORE_SEAL_MAX 256
#define KW_STORE_CHECKPOINT_MAX 1024

/* A line of the audit log. */
struct kw_store_audit {
    int64_t at_ms;
    struct kw_bytes project;
    struct kw_id key_id;   /* none where the action is not about a key */
    struct kw_bytes owner; /* of that key; may be empty */
    struct kw_bytes actor;
    struct kw_bytes action;  /* "key.created" */
    struct kw_bytes context; /* JSON: the circumstances; may be empty */
    struct kw_bytes body;    /* JSON */
    uint64_t sequence;       /* set by the store: ascending in the order of commits, one for each line */
    struct kw_bytes seal;    /* set by the store: of its struct kw_store_seal; empty: it has none yet */
};

/* What is put beside a line of the audit log when it is chained to the one before it. */
struct kw_store_seal {
    uint64_t sequence;    /* of a line that is there and has none: else KW_E_CONFLICT, where the store looks */
    struct kw_bytes seal; /* 1 to KW_STORE_SEAL_MAX bytes; kept as it is */
};

/* What is taken out of a line of the audit log for good. */
struct kw_store_erasure {
    uint64_t sequence;                /* of a line that has a seal: else KW_E_CONFLICT */
    bool owner, actor, context, body; /* which of them become empty */
    struct kw_bytes seal;             /* takes the place of the one before; 1 to KW_STORE_SEAL_MAX bytes */
};

/* What somebody signed of a project's log at one of its places. */
struct kw_store_checkpoint {
    struct kw_bytes project; /* at most KW_PROJECT_MAX */
    uint64_t place;          /* 1 to INT64_MAX; a later one takes the place of one that is there */
    struct kw_bytes bytes;   /* at most KW_STORE_CHECKPOINT_MAX, kept as they are; empty: it is removed */
};

#ifdef __cplusplus
}
#endif

#endif
