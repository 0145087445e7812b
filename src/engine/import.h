/*
 * Imports in the engine. A reader takes the whole text: it parts it, reads the items, finds the method of each digest,
 * digests plain keys, and hands chunks of them to the writer (import_run.c), each item as an operation of its own. The
 * writer holds an item against what is here and decides (import.c). While it commits a chunk, the next one is read.
 */
#ifndef KW_ENGINE_IMPORT_H
#define KW_ENGINE_IMPORT_H

#include "core/import.h"
#include "engine/methods.h"

/* What KW_OP_IMPORT is given. */
struct kw_import_job {
    struct kw_bytes text; /* all of it */
    const struct kw_import_options *options;
    kw_import_sink *sink; /* called by the worker, in the order of the items */
    void *context;
    struct kw_import_counts counts; /* out; also where the operation failed: so far was it done */
};

/* One item for the writer (KW_OP_IMPORT_ONE). */
struct kw_import_one {
    const struct kw_import_item *item;
    enum kw_import_conflict on_conflict;
    bool dry_run;
    bool meets_conflict; /* the store has its id or digest: the writer's */
    uint8_t method;      /* of digests[0] */
    /* The first is what is kept. Of a plain key those under the project's other methods follow: it may be here so. */
    struct kw_digest digests[1 + KW_METHODS_OF_PROJECT_MAX];
    size_t digest_count;
    /* Out: */
    enum kw_import_outcome outcome; /* where the operation failed: skipped or refused */
    struct kw_id id;
};

#endif
