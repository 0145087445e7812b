/*
 * The store in one SQLite file: WAL mode with full syncs, one connection that writes (under a mutex) and a few that
 * read beside it and beside each other. This header is shared by the adapter's own files only: the connections, the
 * statements they keep prepared, and the functions of the contract.
 */
#ifndef KW_STORE_SQLITE_SQLITE_H
#define KW_STORE_SQLITE_SQLITE_H

#include "store/sqlite/digests.h"
#include "store/sqlite/sql.h"
#include <keyward/store.h>
#include <pthread.h>
#include <sqlite3.h>

#define KW__SQLITE_READER_COUNT 4
#define KW__SQLITE_PATH_MAX 4096
#define KW__SQLITE_CHECKPOINT_PAGES 16000 /* of the log: 64 MB, what a start after a crash reads back */
#define KW__SQLITE_LOG_LIMIT "PRAGMA journal_size_limit = 67108864" /* those */
#define KW__SQLITE_FULL_TEXT "The disk that the store is on is full. Make room on it and try again."

struct kw__connection {
    sqlite3 *db;
    sqlite3_stmt *statements[KW__SQL_COUNT]; /* prepared when first used */
    struct kw__connection *next_free;        /* in the pool */
};

/* The last sequences given, as the table `counter` has them. */
struct kw__sequences {
    uint64_t commit, audit, event;
    int64_t audit_high_ms; /* the latest time of a line so far */
    uint64_t digests;      /* the commit up to which the table of digests has all of them */
};

struct kw__sqlite {
    struct kw_store base;
    int lock_fd;                 /* the file PATH.lock, held as long as the store is open; -1: not held */
    pthread_mutex_t write_mutex; /* guards writer, last, digests, and what chooses the log */
    struct kw__connection writer;
    struct kw__sequences last;
    struct kw__digests digests;
    bool has_large_log;         /* one of the last commits was of many rows */
    size_t small_commits;       /* since then */
    bool is_lazy;               /* the transaction that is open is not synced at its end */
    bool is_refused;            /* whoever gave the pieces of the commit under way did not want it */
    size_t piece_rows;          /* that came in pieces of it */
    pthread_mutex_t pool_mutex; /* guards free_readers */
    pthread_cond_t reader_is_free;
    struct kw__connection *free_readers;
    struct kw__connection readers[KW__SQLITE_READER_COUNT];
};

/* What a result code of SQLite means to the contract. A key that is there already is KW_E_CONFLICT. */
enum kw_status kw__sqlite_status(int result);

/* Opens one more connection to an existing file, configured. On failure nothing is open. */
KW_MUST_USE int kw__sqlite_connection_open(struct kw__connection *connection, const char *path);
void kw__sqlite_connection_close(struct kw__connection *connection);

/* A connection of one's own to read with; waits for one. */
struct kw__connection *kw__reader_take(struct kw__sqlite *sqlite);
void kw__reader_give(struct kw__sqlite *sqlite, struct kw__connection *reader);

/* Takes the writer and begins a transaction. On failure the writer is not held. */
KW_MUST_USE enum kw_status kw__write_begin(struct kw__sqlite *sqlite);
/* The same, for what need not outlive a crash of the machine: its commit is synced with the next that is. */
KW_MUST_USE enum kw_status kw__write_begin_lazy(struct kw__sqlite *sqlite);
/*
 * Commits when `status` is KW_OK, else takes everything back; gives the writer back; returns how it ended. `last`,
 * which may be NULL, is what the sequences are once it is committed.
 */
enum kw_status kw__write_end(struct kw__sqlite *sqlite, enum kw_status status, const struct kw__sequences *last);
KW_MUST_USE enum kw_status kw__sequences_write(struct kw__connection *writer, const struct kw__sequences *last);

/*
 * One run of a prepared statement: open, bind in order, then run (no rows wanted) or next … close. The first failure
 * stays and comes out of run or next, so that nothing in between needs a look.
 */
struct kw__query {
    sqlite3_stmt *statement;
    int bound;
    int result;
};

struct kw__query kw__query_open(struct kw__connection *connection, enum kw__sql sql);
void kw__query_i64(struct kw__query *query, int64_t value);
void kw__query_text(struct kw__query *query, struct kw_bytes text);
void kw__query_blob(struct kw__query *query, struct kw_bytes blob);
void kw__query_id(struct kw__query *query, const struct kw_id *id);
/* NULL for an id that is none. */
void kw__query_id_or_null(struct kw__query *query, const struct kw_id *id);
/* KW_OK and true: a row is there. KW_OK and false: no more. */
KW_MUST_USE enum kw_status kw__query_next(struct kw__query *query, bool *row_out);
void kw__query_close(struct kw__query *query);
KW_MUST_USE enum kw_status kw__query_run(struct kw__query *query);

struct kw_bytes kw__column_bytes(const struct kw__query *query, int column);
/* False when what is stored there is no id. NULL is none. */
KW_MUST_USE bool kw__column_id(const struct kw__query *query, int column, struct kw_id *id_out);

/* False when what is stored there is not four bytes. */
KW_MUST_USE bool kw__column_last_four(const struct kw__query *query, int column, struct kw_store_row *row_out);
/* A row as the statements on ROW_COLUMNS have it, borrowed. KW_E_CORRUPT. */
KW_MUST_USE enum kw_status kw__row_read(const struct kw__query *query, struct kw_store_row *row_out);

/*
 * Makes the file when there is none, and holds it against every other opening, of this process too, until the returned
 * descriptor is closed or the process ends. `path_out` is where the file really is: links lead to one lock.
 */
KW_MUST_USE enum kw_status kw__sqlite_lock(const char *path, char path_out[KW__SQLITE_PATH_MAX], int *lock_fd_out,
                                           struct kw_error *error_out);

/* Brings the file up to date; `error_out` says what is wrong with one that cannot be. */
KW_MUST_USE enum kw_status kw__sqlite_migrate(sqlite3 *db, struct kw_error *error_out);
/* As far as `version` only, as the Keyward did to which that one was the newest. */
KW_MUST_USE enum kw_status kw__sqlite_migrate_to(sqlite3 *db, int64_t version, struct kw_error *error_out);

struct kw__inserts;

/* Writes one row within the open transaction; a new one may wait in `inserts`. */
KW_MUST_USE enum kw_status kw__sqlite_put(struct kw__inserts *inserts, const struct kw_store_put *put,
                                          uint64_t sequence);
/* Writes one request down within the open transaction. */
KW_MUST_USE enum kw_status kw__sqlite_request_add(struct kw__connection *writer,
                                                  const struct kw_store_request *request);
/* Makes one reservation within the open transaction, and says in it what came of it. */
KW_MUST_USE enum kw_status kw__sqlite_reserve(struct kw__connection *writer, struct kw_store_reservation *reservation);
/* Adds to one count within the open transaction: hours with KW__SQL_USAGE_ADD, days with KW__SQL_USAGE_ADD_DAY. */
KW_MUST_USE enum kw_status kw__sqlite_count_use(struct kw__connection *writer, enum kw__sql sql,
                                                const struct kw_store_usage *usage);
/* Removes the pieces of deferred use of a part, up to a sequence, within the open transaction. */
KW_MUST_USE enum kw_status kw__sqlite_drop_deferred(struct kw__connection *writer,
                                                    const struct kw_store_deferred *settled);
/* Binds a row's columns from `erased` on. */
void kw__query_row_rest(struct kw__query *query, const struct kw_store_row *row);

/* A delivery as the statements on DELIVERY_SHOWN have it, borrowed; its channel is set already. KW_E_CORRUPT. */
KW_MUST_USE enum kw_status kw__delivery_read(const struct kw__query *query, struct kw_store_delivery *delivery_out);
/* After one of an ordered channel's key ended: the next is due. Within the open transaction. */
KW_MUST_USE enum kw_status kw__delivery_let_next_go(struct kw__connection *writer, uint64_t channel,
                                                    const struct kw_id *key_id, int64_t now_ms);

/* The contract's functions. */
enum kw_status kw__sqlite_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                         void *context);
enum kw_status kw__sqlite_find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                     void *context);
enum kw_status kw__sqlite_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                               void *context);
enum kw_status kw__sqlite_tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                     kw_store_row_sink *sink, void *context);
enum kw_status kw__sqlite_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                              void *context);
enum kw_status kw__sqlite_changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                                  void *context);
enum kw_status kw__sqlite_count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out);
enum kw_status kw__sqlite_count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                      bool *exact_out);
enum kw_status kw__sqlite_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count);
enum kw_status kw__sqlite_setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size,
                                  size_t *size_out);
enum kw_status kw__sqlite_settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                        void *context);
enum kw_status kw__sqlite_audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                      kw_store_audit_sink *sink, void *context);
enum kw_status kw__sqlite_audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                      uint64_t *removed_out);
enum kw_status kw__sqlite_audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after,
                                            bool is_back, size_t limit, kw_store_checkpoint_sink *sink, void *context);
KW_MUST_USE enum kw_status kw__sqlite_set_checkpoint(struct kw__connection *writer,
                                                     const struct kw_store_checkpoint *checkpoint);
/* What it is of must be written: nothing of it may wait. */
KW_MUST_USE enum kw_status kw__sqlite_erase(struct kw__connection *writer, const struct kw_store_erasure *erasure);
enum kw_status kw__sqlite_events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                       kw_store_event_sink *sink, void *context);
enum kw_status kw__sqlite_events_settle(struct kw_store *store, const struct kw_id *id);
enum kw_status kw__sqlite_events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                      kw_store_event_sink *sink, void *context);
enum kw_status kw__sqlite_events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                       uint64_t *removed_out);
enum kw_status kw__sqlite_deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                         int64_t now_ms);
enum kw_status kw__sqlite_deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                           size_t limit, kw_store_delivery_sink *sink, void *context);
enum kw_status kw__sqlite_deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled,
                                            size_t count, int64_t now_ms);
enum kw_status kw__sqlite_deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms);
enum kw_status kw__sqlite_deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                          kw_store_delivery_sink *sink, void *context);
enum kw_status kw__sqlite_deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                            int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out);
enum kw_status kw__sqlite_deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                           uint64_t *removed_out);
enum kw_status kw__sqlite_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                    const struct kw_store_use *uses, size_t use_count);
enum kw_status kw__sqlite_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                      uint64_t *waiting_out);
enum kw_status kw__sqlite_usage_deferred(struct kw_store *store, uint32_t part, size_t limit,
                                         kw_store_deferred_sink *sink, void *context);
enum kw_status kw__sqlite_usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                       const struct kw_store_usage *usages, size_t usage_count,
                                       const struct kw_store_use *uses, size_t use_count);
enum kw_status kw__sqlite_usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                     int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context);
enum kw_status kw__sqlite_usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                     uint64_t *rolled_out);
enum kw_status kw__sqlite_usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                      uint64_t *removed_out);
enum kw_status kw__sqlite_reservations_read(struct kw_store *store, const struct kw_id *lineage_id,
                                            struct kw_bytes name, int64_t from_ms, kw_store_reservation_sink *sink,
                                            void *context);
enum kw_status kw__sqlite_reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                             uint64_t *removed_out);
enum kw_status kw__sqlite_request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                       struct kw_store_request *request_out);
enum kw_status kw__sqlite_request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out);

#endif
