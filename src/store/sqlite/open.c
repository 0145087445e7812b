#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAL_HEADER_SIZE 32
#define WAL_FRAME_HEADER_SIZE 24

/* The system caches the file once for all of them; a page in memory twice helps only the writer. */
static const char reader_pragmas[] = "PRAGMA query_only = 1; PRAGMA cache_size = -8192;";

static void close_sqlite(struct kw_store *store);

static const struct kw_store_ops sqlite_ops = {
    .version = KW_STORE_VERSION,
    .name = "sqlite",
    .find_by_digest = kw__sqlite_find_by_digest,
    .find_by_id = kw__sqlite_find_by_id,
    .list = kw__sqlite_list,
    .changes = kw__sqlite_changes,
    .tombstones = kw__sqlite_tombstones,
    .due = kw__sqlite_due,
    .count = kw__sqlite_count,
    .count_found = kw__sqlite_count_found,
    .commit = kw__sqlite_commit,
    .setting = kw__sqlite_setting,
    .settings_list = kw__sqlite_settings_list,
    .audit_query = kw__sqlite_audit_query,
    .audit_prune = kw__sqlite_audit_prune,
    .audit_checkpoints = kw__sqlite_audit_checkpoints,
    .events_claim = kw__sqlite_events_claim,
    .events_settle = kw__sqlite_events_settle,
    .events_list = kw__sqlite_events_list,
    .events_prune = kw__sqlite_events_prune,
    .deliveries_add = kw__sqlite_deliveries_add,
    .deliveries_claim = kw__sqlite_deliveries_claim,
    .deliveries_settle = kw__sqlite_deliveries_settle,
    .deliveries_release = kw__sqlite_deliveries_release,
    .deliveries_list = kw__sqlite_deliveries_list,
    .deliveries_replay = kw__sqlite_deliveries_replay,
    .deliveries_prune = kw__sqlite_deliveries_prune,
    .usage_add = kw__sqlite_usage_add,
    .usage_defer = kw__sqlite_usage_defer,
    .usage_deferred = kw__sqlite_usage_deferred,
    .usage_settle = kw__sqlite_usage_settle,
    .usage_read = kw__sqlite_usage_read,
    .reservations_read = kw__sqlite_reservations_read,
    .reservations_prune = kw__sqlite_reservations_prune,
    .usage_roll = kw__sqlite_usage_roll,
    .usage_prune = kw__sqlite_usage_prune,
    .request_find = kw__sqlite_request_find,
    .request_prune = kw__sqlite_request_prune,
    .close = close_sqlite,
};

static enum kw_status fail(struct kw_error *error_out, sqlite3 *db, int result)
{
    enum kw_status status = kw__sqlite_status(result);
    if (status == KW_E_CORRUPT) {
        kw_fail(error_out, status, "STORE_CORRUPT", NULL,
                "The store is damaged or is no Keyward store. Restore it from a backup.");
    } else if (status == KW_E_FULL) {
        kw_fail(error_out, status, "STORE_FULL", NULL, KW__SQLITE_FULL_TEXT);
    } else {
        kw_fail(error_out, status, "STORE_UNAVAILABLE", NULL, "The store cannot be opened or written.");
    }
    kw_error_detail(error_out, "SQLite: %s (%d)", db == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(db), result);
    return status;
}

static int64_t file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : 0;
}

static int64_t pragma_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return number;
}

/*
 * SQLite sees that a file is too short by itself, unless a log lies beside it: pages that the file does not hold may
 * be in there. No more of them than the log has room for, though.
 */
static enum kw_status check_size(sqlite3 *db, int64_t size, int64_t wal_size, struct kw_error *error_out)
{
    int64_t page_size = pragma_number(db, "PRAGMA page_size");
    int64_t page_count = pragma_number(db, "PRAGMA page_count");
    int64_t frame_size = page_size + WAL_FRAME_HEADER_SIZE;
    int64_t in_file = page_size > 0 ? size / page_size : 0;
    int64_t in_wal = wal_size > WAL_HEADER_SIZE ? (wal_size - WAL_HEADER_SIZE) / frame_size : 0;
    if (page_count <= in_file + in_wal) {
        return KW_OK;
    }
    kw_fail(error_out, KW_E_CORRUPT, "STORE_CORRUPT", NULL, "The store's file is cut short. Restore it from a backup.");
    kw_error_detail(error_out, "%lld pages of %lld bytes, %lld in the file, at most %lld in its log",
                    (long long)page_count, (long long)page_size, (long long)in_file, (long long)in_wal);
    return KW_E_CORRUPT;
}

/* Every statement must fit the file's schema: a table that is missing or misshapen shows now and not in use. */
static int prepare_all(struct kw__connection *connection)
{
    int result = SQLITE_OK;
    for (size_t i = 0; i < KW__SQL_COUNT && result == SQLITE_OK; i++) {
        struct kw__query query = kw__query_open(connection, (enum kw__sql)i);
        result = query.result;
    }
    return result == SQLITE_ERROR ? SQLITE_CORRUPT : result;
}

static int read_sequences(struct kw__sqlite *sqlite)
{
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_SEQUENCES_READ);
    bool is_there = false;
    if (kw__query_next(&query, &is_there) == KW_OK && !is_there) {
        query.result = SQLITE_CORRUPT;
    }
    if (is_there) {
        sqlite->last = (struct kw__sequences){
            .commit = (uint64_t)sqlite3_column_int64(query.statement, 0),
            .audit = (uint64_t)sqlite3_column_int64(query.statement, 1),
            .audit_high_ms = sqlite3_column_int64(query.statement, 2),
            .event = (uint64_t)sqlite3_column_int64(query.statement, 3),
            .digests = (uint64_t)sqlite3_column_int64(query.statement, 4),
        };
    }
    kw__query_close(&query);
    return query.result;
}

static enum kw_status open_writer(struct kw__sqlite *sqlite, const char *path, struct kw_error *error_out)
{
    char wal_path[KW__SQLITE_PATH_MAX + sizeof "-wal"];
    snprintf(wal_path, sizeof wal_path, "%s-wal", path);
    int64_t size = file_size(path);
    int64_t wal_size = file_size(wal_path);
    int result = kw__sqlite_connection_open(&sqlite->writer, path);
    if (result != SQLITE_OK) {
        return fail(error_out, sqlite->writer.db, result);
    }
    sqlite3 *db = sqlite->writer.db;
    enum kw_status status = size == 0 ? KW_OK : check_size(db, size, wal_size, error_out);
    status = status == KW_OK ? kw__sqlite_migrate(db, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    result = prepare_all(&sqlite->writer);
    result = result == SQLITE_OK ? read_sequences(sqlite) : result;
    return result == SQLITE_OK ? KW_OK : fail(error_out, db, result);
}

static enum kw_status open_readers(struct kw__sqlite *sqlite, const char *path, struct kw_error *error_out)
{
    for (size_t i = 0; i < KW__SQLITE_READER_COUNT; i++) {
        struct kw__connection *reader = &sqlite->readers[i];
        int result = kw__sqlite_connection_open(reader, path);
        result = result == SQLITE_OK ? sqlite3_exec(reader->db, reader_pragmas, NULL, NULL, NULL) : result;
        if (result != SQLITE_OK) {
            return fail(error_out, reader->db, result);
        }
        kw__reader_give(sqlite, reader);
    }
    return KW_OK;
}

static enum kw_status load_digests(struct kw__sqlite *sqlite, struct kw_error *error_out)
{
    enum kw_status status = kw__digests_load(sqlite);
    if (status != KW_OK) {
        (void)fail(error_out, sqlite->writer.db, sqlite3_extended_errcode(sqlite->writer.db));
    }
    return status;
}

static enum kw_status open_all(struct kw__sqlite *sqlite, const char *path, struct kw_error *error_out)
{
    char real_path[KW__SQLITE_PATH_MAX];
    enum kw_status status = kw__sqlite_lock(path, real_path, &sqlite->lock_fd, error_out);
    status = status == KW_OK ? open_writer(sqlite, real_path, error_out) : status;
    status = status == KW_OK ? load_digests(sqlite, error_out) : status;
    return status == KW_OK ? open_readers(sqlite, real_path, error_out) : status;
}

enum kw_status kw_store_sqlite_open(const char *path, struct kw_store **store_out, struct kw_error *error_out)
{
    struct kw__sqlite *sqlite = kw_alloc(1, sizeof *sqlite);
    if (sqlite == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, "STORE_UNAVAILABLE", NULL, "There is no memory to open the store.");
    }
    sqlite->base.ops = &sqlite_ops;
    sqlite->lock_fd = -1;
    pthread_mutex_init(&sqlite->write_mutex, NULL);
    pthread_mutex_init(&sqlite->pool_mutex, NULL);
    pthread_cond_init(&sqlite->reader_is_free, NULL);
    enum kw_status status = kw__digests_init(&sqlite->digests);
    if (status != KW_OK) {
        kw_fail(error_out, status, "STORE_UNAVAILABLE", NULL, "There is no memory to open the store.");
    }
    status = status == KW_OK ? open_all(sqlite, path, error_out) : status;
    if (status != KW_OK) {
        close_sqlite(&sqlite->base);
        return status;
    }
    *store_out = &sqlite->base;
    return KW_OK;
}

static void close_sqlite(struct kw_store *store)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    for (size_t i = 0; i < KW__SQLITE_READER_COUNT; i++) {
        kw__sqlite_connection_close(&sqlite->readers[i]);
    }
    kw__digests_merge_all(sqlite);
    kw__digests_deinit(&sqlite->digests);
    kw__sqlite_connection_close(&sqlite->writer);
    pthread_cond_destroy(&sqlite->reader_is_free);
    pthread_mutex_destroy(&sqlite->pool_mutex);
    pthread_mutex_destroy(&sqlite->write_mutex);
    /* Last, as what holds everybody else off. */
    if (sqlite->lock_fd >= 0) {
        close(sqlite->lock_fd);
    }
    kw_free(sqlite);
}
