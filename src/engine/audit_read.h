/*
 * Reading the audit log, on a reader: pages of it, how much there is, and the proof that it is whole. All answers are
 * JSON in op->result, and are about one project.
 */
#ifndef KW_ENGINE_AUDIT_READ_H
#define KW_ENGINE_AUDIT_READ_H

#include "core/audit.h"
#include "core/checkpoint.h"
#include "engine/engine.h"

#define KW_AUDIT_COUNT_MAX 100000                        /* lines that are counted, from the latest on */
#define KW_AUDIT_JSON_MAX ((size_t)12 * 1024 * 1024)     /* of an answer */
#define KW_AUDIT_PAGE_SIZE_MAX ((size_t)8 * 1024 * 1024) /* a page that has so many bytes ends there */

enum kw_audit_what {
    KW_AUDIT_LIST,        /* {"items":[…],"nextCursor":…} */
    KW_AUDIT_COUNT,       /* {"count":…,"atLeast":…} */
    KW_AUDIT_STATS,       /* the same with "actions" and "lastActivityAt" */
    KW_AUDIT_CHECKPOINTS, /* {"publicKey":…,"items":[…],"nextCursor":…} */
    KW_AUDIT_VERIFY,      /* {"whole":…,…}; in pieces: to be submitted again until `has_ended` */
    KW_AUDIT_EXPORT       /* lines of JSON; the same, and each piece is a part of the text */
};

struct kw_audit_query {
    enum kw_audit_what what;
    struct kw_id key_id; /* as in struct kw_store_audit_filter, as is what follows */
    struct kw_bytes owner, actor, action;
    int64_t from_ms, until_ms;
    bool is_back;
    uint64_t after;
    size_t limit;

    /* Of a proof or an export, between its pieces. */
    struct kw_audit_proof proof;
    struct kw_checkpoint start; /* where the log begins; place 0: at its first line. Without its project */
    uint64_t signed_until;      /* the last place that was signed when it began */
    bool takes_foreign;      /* whoever signed them, checkpoints are taken: the reader of a copy knows whom to trust */
    bool has_foreign;        /* there are checkpoints that this engine's seed has not signed */
    uint64_t torn_at;        /* the last line without a seal that was looked at once more */
    uint64_t place, entries; /* of an export: of the last line with a seal; how many lines */
    bool is_tail;            /* of an export: no seals are shown any more */
    bool has_begun, has_ended;
};

/* KW_OP_AUDIT. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__audit_read(struct kw_engine *engine, struct kw_op *op);

#endif
