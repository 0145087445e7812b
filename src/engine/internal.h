/*
 * What the files of the engine share. Threads: one writer (writer.c), some readers (reader.c), one filler
 * (filler.c) that ends when the index is full; verifying (verify.c) happens on whatever thread asks.
 */
#ifndef KW_ENGINE_INTERNAL_H
#define KW_ENGINE_INTERNAL_H

#include "core/signing.h"
#include "engine/engine.h"
#include "engine/index.h"
#include "engine/ledger.h"
#include "engine/method_table.h"
#include "engine/usage.h"

#include <pthread.h>

#define KW_LINE_LENGTH_MAX 10000 /* rotations of one line */
#define KW_DOUBTS_MAX 11024      /* beside those of actions on a filter */
#define KW_FUND_NOTES_MAX 4096
#define KW_LAPSES_MAX 256 /* lapses noticed by verifications and not yet written; more are noticed again later */

/* Operations waiting for a worker. */
struct kw_queue {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct kw_op *first, *last;
    size_t count;
    bool closed;
};

/*
 * What a verification saw that is to be written down: a time that has passed, the first use of a key that ends the
 * grace period of the one before, a key whose digest is not made as its project's are.
 */
struct kw_lapse {
    struct kw_id id;         /* of the key that is to be changed */
    enum kw_op_kind kind;    /* KW_OP_LAPSE, KW_OP_END_GRACE, KW_OP_MOVE */
    struct kw_digest digest; /* what an index compares of the key that was seen */
    struct kw_index *index;  /* the writer's */
    uint16_t project;
    uint64_t version; /* that was seen: a change in between makes the lapse void, and the next use notices anew */
    int64_t noticed_ms;
    struct kw_digest moved; /* move: the digest that the key is to have */
    uint8_t method;         /* and how it is made */
};

/* Keys whose time was seen to have passed. Filled by verifications, which do not wait: whoever finds it taken or full
 * leaves it to the next one. */
struct kw_lapses {
    int lock;
    uint32_t count;
    struct kw_lapse items[KW_LAPSES_MAX];
};

/* Keys of which a reserve was found low. As with lapses, nobody waits for the list. */
struct kw_fund_notes {
    int lock;
    uint32_t count;
    struct kw_digest items[KW_FUND_NOTES_MAX];
};

/* A write of unknown outcome whose key the index may show too kindly; reloaded until the store answers. */
struct kw_doubt {
    struct kw_digest digest;
    struct kw_digest before; /* where it is a move: the digest before it */
    bool is_move;
    struct kw_doubt *next;
};

struct kw_engine {
    struct kw_store *store;
    struct kw_index *index;
    struct kw_ledger *ledger;
    struct kw_usage *usage;
    struct kw_sealer *sealer;       /* NULL: none */
    struct kw_scheduler *scheduler; /* NULL: none */
    struct kw_secret audit_seed;    /* size 0: none */
    uint8_t audit_public[KW_PUBLIC_KEY_SIZE];
    struct kw_checkpoint_keeper checkpoint_keeper;
    struct kw_attempts *attempts;
    struct kw__methods *methods; /* atomic; the writer's to replace */
    struct kw__method_memory method_memory;
    struct kw_pepper_keeper pepper_keeper; /* NULLs: none */
    struct kw_sealing_keeper sealing_keeper;
    struct kw_guard guard;
    struct kw_address_range guard_ranges[KW_GUARD_ALLOWED_MAX];
    bool methods_doubted; /* the writer's, like catalog_doubted */
    struct kw_clock clock;
    struct kw_entropy entropy;
    struct kw_log log;

    struct kw_queue writes;
    struct kw_queue reads;
    pthread_t writer, filler, readers[KW_ENGINE_READERS_MAX];
    unsigned reader_count;
    bool writer_started, filler_started;

    struct kw_catalog *catalog; /* atomic; the writer's to replace */
    uint64_t catalog_version;   /* atomic */
    bool catalog_doubted;       /* the writer's: a document's last write had no known outcome */

    struct kw_lapses lapses;
    struct kw_fund_notes fund_notes;
    int64_t life_ms, clean_life_ms; /* when this process began, and the last before it that ended well; see funds.h */
    struct kw_doubt *doubts;        /* the writer's, a digest once, KW_DOUBTS_MAX at most */
    size_t doubt_count;
    struct kw_crowd_piece *doubted; /* keys of actions on a filter, bulk_max at most */
    size_t doubted_count, bulk_max;
    struct kw_writer *writer_state;

    pthread_mutex_t filled_lock;
    pthread_cond_t filled;
    bool fill_ended;     /* atomic */
    bool fill_skipped;   /* atomic: records that cannot be read are in the store and not in the index */
    struct kw_id newest; /* the filler's, until fill_ended */
    bool stopping;

    uint64_t store_loads, commits, commit_ops;
    uint64_t tellings;     /* commits that may have brought events */
    uint64_t reservations; /* parts of allowances that were reserved */
    uint64_t returned;     /* of quotas, given back unspent */
    uint64_t funds_waited; /* verifications that waited for one */
    bool writable;
};

/* For the writer, and for whoever is inside read_begin and read_end. */
static inline const struct kw_catalog *kw__catalog(const struct kw_engine *engine)
{
    return __atomic_load_n(&engine->catalog, __ATOMIC_ACQUIRE);
}

/* Reads all documents of the store: before there are threads, and as the writer when one is in doubt. */
KW_MUST_USE enum kw_status kw__catalog_load(struct kw_engine *engine, struct kw_error *error_out);
/* Puts a catalog in the place of the one before, and frees that as soon as nobody looks into it. */
void kw__catalog_publish(struct kw_engine *engine, struct kw_catalog *next_take);
/* Copies a project's name; false when there is no such project. */
KW_MUST_USE bool kw__project_name(const struct kw_engine *engine, uint16_t number, uint8_t memory[KW_PROJECT_MAX],
                                  struct kw_bytes *name_out);
/* PROJECT_NOT_FOUND: it was deleted since the caller asked. */
enum kw_status kw__project_gone(struct kw_error *error_out);

/* What a query asks of the store, a page of KW_STORE_LIST_MAX, but for its order and where it begins. */
struct kw_store_filter kw__filter_of(const struct kw_list_query *query, struct kw_bytes project);

struct kw_last_use kw__last_use_of(const struct kw_store_row *row);

bool kw__op_is_document(const struct kw_op *op);
static inline bool kw__op_is_method(const struct kw_op *op)
{
    return op->kind >= KW_OP_METHOD_TAKE && op->kind <= KW_OP_PEPPER_RETIRE;
}
/* Does an operation on a document, as the writer, and hands it back. */
void kw__document_write(struct kw_engine *engine, struct kw_op *op);

void kw__queue_init(struct kw_queue *queue);
void kw__queue_deinit(struct kw_queue *queue);
/* False when it is full or closed. */
KW_MUST_USE bool kw__queue_put(struct kw_queue *queue, struct kw_op *op);
/*
 * Takes up to `most` in order of arrival, as a chain; waits for the first at most `wait_ms` (below 0: for ever). NULL
 * after that time, or when the queue is closed and empty (then `closed_out` is true).
 */
struct kw_op *kw__queue_take(struct kw_queue *queue, size_t most, int wait_ms, bool *closed_out);
size_t kw__queue_depth(const struct kw_queue *queue);
/* What is in it is still taken; nothing new comes in. */
void kw__queue_close(struct kw_queue *queue);

/* Whether a write has no known outcome yet. The writer's. */
KW_MUST_USE bool kw__has_doubts(const struct kw_engine *engine);

void *kw__writer_main(void *context); /* struct kw_engine */
void *kw__reader_main(void *context);
void *kw__filler_main(void *context);

/* What the writer needs ahead of the first commit; freed by kw__writer_free. */
KW_MUST_USE enum kw_status kw__writer_new(struct kw_engine *engine);
void kw__writer_free(struct kw_engine *engine);

/* A row's digest. KW_E_CORRUPT for a size that none has. */
KW_MUST_USE enum kw_status kw__row_digest(const struct kw_store_row *row, struct kw_digest *digest_out);
/* Puts a row that was read from the store into the index: as kw_index_load, on any thread. */
KW_MUST_USE enum kw_status kw__index_row(struct kw_engine *engine, const struct kw_store_row *row);

/*
 * Puts the newest key of a line that has children, and all that stand above it, into the index, as far as they are
 * missing. `generation_out` is how many lines stand above it. KW_E_NOT_FOUND: a line has ended in
 * an erasure. KW_E_UNAVAILABLE, also while the index is filling and a line cannot be followed, since a key of it was
 * erased: only the whole of the store will show its newest key.
 */
KW_MUST_USE enum kw_status kw__load_family(struct kw_engine *engine, const struct kw_id *lineage,
                                           size_t *generation_out);

/*
 * FORBIDDEN when `record` may do anything that the management key which asks for `op` may not, or a key that it stands
 * under as that is now.
 */
KW_MUST_USE enum kw_status kw__within_authority(struct kw_engine *engine, struct kw_arena *arena, struct kw_op *op,
                                                const struct kw_record *record, bool is_made);

/* KW_OP_IMPORT, on a reader. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__import_run(struct kw_engine *engine, struct kw_op *op);

/* A sink that copies one row's encoding and index data into a struct kw_found. */
struct kw_found {
    struct kw_arena *arena;
    struct kw_store_row row;
};
enum kw_status kw__found_sink(void *context, const struct kw_store_row *row);

/* The failures of a store in words for the caller. */
enum kw_status kw__store_failed(struct kw_error *error_out, enum kw_status status);

/* Settings: peppers, the default scheme, the salt; makes the methods ready. */
KW_MUST_USE enum kw_status kw__settings_open(struct kw_engine *engine, const struct kw_engine_options *options,
                                             struct kw_error *error_out);

/* The digest of a key under the method of a project's new keys. */
void kw__digest_new_key(const struct kw_engine *engine, const struct kw_project *project, struct kw_bytes key,
                        struct kw_digest *digest_out);

/* Leave word for the writer, and mark the entry so that it is left once (notes.c). Neither waits. */
void kw__note_lapse(struct kw_engine *engine, struct kw_entry *entry, enum kw_code code, int64_t now_ms);
void kw__note_first_use(struct kw_engine *engine, struct kw_entry *entry, int64_t now_ms);
/* `moved` is the key's digest under its project's own method `own`. */
void kw__note_move(struct kw_engine *engine, struct kw_entry *entry, const struct kw__method *own,
                   const struct kw_digest *moved, int64_t now_ms);

/* Leaves word that a reserve of the key is low; not when others are just leaving word. Does not wait. */
void kw__note_funds(struct kw_engine *engine, const struct kw_entry *entry);

/*
 * Leaves word where an expiry or a grace period of this record has passed and nothing says so yet, as a verification
 * does (verify.c).
 */
void kw__note_passed(struct kw_engine *engine, const struct kw_digest *digest, uint16_t project,
                     const struct kw_record *record, int64_t now_ms);

/* Fills in what is known of what the records that the operation shows stand under (above.c). */
void kw__look_above(struct kw_engine *engine, struct kw_op *op);

#endif
