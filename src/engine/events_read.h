/*
 * Reading the log of events of a project, on a reader: a page of it as JSON, or a piece of a stream. A cursor is the
 * sequence of an event: sequences follow the order of commits, so whoever goes on from one misses nothing.
 */
#ifndef KW_ENGINE_EVENTS_READ_H
#define KW_ENGINE_EVENTS_READ_H

#include "core/event.h"
#include "engine/engine.h"

#define KW_EVENTS_JSON_MAX ((size_t)4 * 1024 * 1024)      /* of a page */
#define KW_EVENTS_PAGE_SIZE_MAX ((size_t)2 * 1024 * 1024) /* one that has so many bytes ends there */
#define KW_EVENTS_PIECE_SIZE_MAX ((size_t)128 * 1024)     /* the same of a stream */
#define KW_EVENTS_RETENTION_MS (INT64_C(30) * 86400000)   /* where a project does not say */
#define KW_EVENTS_RETENTION_LEAST_MS (INT64_C(1) * 86400000)

struct kw_event_query {
    struct kw_bytes types; /* patterns with commas between them, checked; empty: all, as is what follows */
    struct kw_id key_id;
    struct kw_bytes owner, env;
    int64_t from_ms;
    bool is_back;   /* the latest first */
    uint64_t after; /* the cursor */
    size_t limit;   /* 1 to KW_STORE_LIST_MAX */
    bool is_stream; /* server-sent events instead of a page; the latest last */
    bool from_end;  /* a stream that begins behind the last event that there is; false from then on */

    uint64_t reached; /* out: the cursor behind all that was looked at */
    bool has_more;    /* out: there may be more behind that */
};

/*
 * KW_OP_EVENTS: {"items":[…],"nextCursor":…,"resume":…}, or for a stream "id: 7\nevent: key.created\ndata: {…}\n\n"
 * each. A page may hold fewer than the limit, even none, and have more behind it. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__events_read(struct kw_engine *engine, struct kw_op *op);

/* As the writer, now and then: removes some events that are older than their project keeps them. */
void kw__events_prune(struct kw_engine *engine);

/* Grows with each commit that may have brought events. Any thread. */
uint64_t kw_engine_tellings(const struct kw_engine *engine);

#endif
