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
    struct kw_digest *digests; /* lie with the item */
    size_t digest_count;
    /* Out: */
    enum kw_import_outcome outcome; /* where the operation failed: skipped or refused */
    struct kw_id id;
};

#define KW_IMPORT_METHODS_KNOWN_MAX 16

/* What an import has found out of the digests and forms of its keys, so that it asks the engine once for each. */
struct kw_import_forms {
    struct kw_engine *engine;
    uint16_t project;
    bool dry_run; /* nothing is added */
    uint8_t own_method;
    struct {
        struct kw_digest_method method;
        uint8_t number;
    } known[KW_IMPORT_METHODS_KNOWN_MAX];
    size_t known_count;
    uint8_t prefixes[KW_FOREIGN_COUNT_MAX][KW_PREFIX_MAX]; /* of keys of another form than Keyward's */
    size_t prefix_sizes[KW_FOREIGN_COUNT_MAX];
    size_t prefix_count;
};

/* Sees to it that verifications look the item's key up, whatever its form; its prefix lies in `arena` then. */
KW_MUST_USE enum kw_status kw__import_take_form(struct kw_import_forms *forms, struct kw_arena *arena,
                                                struct kw_import_item *item, struct kw_error *error_out);
/* Finds or adds the method of the item's digest; of a plain key all digests are made that the project may know it by.
 * They lie in `arena`. */
KW_MUST_USE enum kw_status kw__import_take_digest(struct kw_import_forms *forms, struct kw_arena *arena,
                                                  struct kw_import_one *one, struct kw_import_item *item,
                                                  struct kw_error *error_out);

#endif
