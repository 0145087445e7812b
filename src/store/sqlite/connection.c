#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "core/id.h"

#define BUSY_TIMEOUT_MS 2000 /* another program, such as a backup, may hold the file for a moment */

static const char connection_pragmas[] =
    "PRAGMA page_size = 4096;" /* has an effect on a new file only, as the next */
    "PRAGMA auto_vacuum = NONE;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA secure_delete = ON;" /* what is erased leaves the file's pages, not only its indices */
    KW__SQLITE_LOG_LIMIT ";"
    "PRAGMA cache_size = -16384;";

enum kw_status kw__sqlite_status(int result)
{
    if (result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return KW_E_CONFLICT;
    }
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return KW_OK;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return KW_E_CORRUPT;
    case SQLITE_NOMEM:
        return KW_E_MEMORY;
    case SQLITE_FULL:
        return KW_E_FULL;
    default:
        return KW_E_UNAVAILABLE;
    }
}

int kw__sqlite_connection_open(struct kw__connection *connection, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(path, &connection->db, flags, NULL);
    if (result == SQLITE_OK) {
        sqlite3_busy_timeout(connection->db, BUSY_TIMEOUT_MS);
        sqlite3_db_config(connection->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        result = sqlite3_exec(connection->db, connection_pragmas, NULL, NULL, NULL);
        (void)sqlite3_wal_autocheckpoint(connection->db, KW__SQLITE_CHECKPOINT_PAGES);
    }
    return result;
}

void kw__sqlite_connection_close(struct kw__connection *connection)
{
    for (size_t i = 0; i < KW_COUNT_OF(connection->statements); i++) {
        sqlite3_finalize(connection->statements[i]);
    }
    sqlite3_close(connection->db);
    *connection = (struct kw__connection){0};
}

struct kw__connection *kw__reader_take(struct kw__sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->pool_mutex);
    while (sqlite->free_readers == NULL) {
        pthread_cond_wait(&sqlite->reader_is_free, &sqlite->pool_mutex);
    }
    struct kw__connection *reader = sqlite->free_readers;
    sqlite->free_readers = reader->next_free;
    pthread_mutex_unlock(&sqlite->pool_mutex);
    return reader;
}

void kw__reader_give(struct kw__sqlite *sqlite, struct kw__connection *reader)
{
    pthread_mutex_lock(&sqlite->pool_mutex);
    reader->next_free = sqlite->free_readers;
    sqlite->free_readers = reader;
    pthread_cond_signal(&sqlite->reader_is_free);
    pthread_mutex_unlock(&sqlite->pool_mutex);
}

static enum kw_status run_plain(struct kw__connection *connection, enum kw__sql sql)
{
    struct kw__query query = kw__query_open(connection, sql);
    return kw__query_run(&query);
}

enum kw_status kw__write_begin(struct kw__sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->write_mutex);
    enum kw_status status = run_plain(&sqlite->writer, KW__SQL_BEGIN);
    if (status != KW_OK) {
        pthread_mutex_unlock(&sqlite->write_mutex);
    }
    return status;
}

/* The pragma takes effect when it is compiled, so it cannot be kept prepared. */
static bool set_syncs(struct kw__sqlite *sqlite, bool are_full)
{
    const char *pragma = are_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
    return sqlite3_exec(sqlite->writer.db, pragma, NULL, NULL, NULL) == SQLITE_OK;
}

enum kw_status kw__write_begin_lazy(struct kw__sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->write_mutex);
    sqlite->is_lazy = set_syncs(sqlite, false);
    enum kw_status status = run_plain(&sqlite->writer, KW__SQL_BEGIN);
    if (status != KW_OK) {
        (void)set_syncs(sqlite, true);
        sqlite->is_lazy = false;
        pthread_mutex_unlock(&sqlite->write_mutex);
    }
    return status;
}

/*
 * A commit that failed to write never left its last frame in the log, and without that frame it did not happen. One
 * whose sync failed left the frame behind: this process takes it back, yet it would be found again after a crash.
 */
static bool is_uncertain(int result)
{
    bool is_io = (result & 0xff) == SQLITE_IOERR;
    return is_io && result != SQLITE_IOERR_WRITE && result != SQLITE_IOERR_NOMEM && result != SQLITE_IOERR_LOCK;
}

enum kw_status kw__write_end(struct kw__sqlite *sqlite, enum kw_status status, const struct kw__sequences *last)
{
    struct kw__connection *writer = &sqlite->writer;
    if (status == KW_OK) {
        struct kw__query commit = kw__query_open(writer, KW__SQL_COMMIT);
        status = kw__query_run(&commit);
        status = is_uncertain(commit.result) ? KW_E_UNCERTAIN : status;
    }
    /* After some failures SQLite has rolled back by itself. */
    if (sqlite3_get_autocommit(writer->db) == 0 && run_plain(writer, KW__SQL_ROLLBACK) != KW_OK) {
        status = status == KW_OK ? KW_E_UNCERTAIN : status;
    }
    if (status == KW_OK && last != NULL) {
        sqlite->last = *last;
    }
    kw__digests_end(&sqlite->digests, status == KW_OK, sqlite->last.commit);
    if (sqlite->is_lazy) {
        (void)set_syncs(sqlite, true); /* no transaction is open, so it cannot fail */
        sqlite->is_lazy = false;
    }
    pthread_mutex_unlock(&sqlite->write_mutex);
    return status;
}

struct kw__query kw__query_open(struct kw__connection *connection, enum kw__sql sql)
{
    struct kw__query query = {.result = SQLITE_OK};
    if (connection->statements[sql] == NULL) {
        query.result = sqlite3_prepare_v3(connection->db, kw__sql_texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                          &connection->statements[sql], NULL);
    }
    query.statement = connection->statements[sql];
    return query;
}

static void note(struct kw__query *query, int result)
{
    query->result = query->result == SQLITE_OK ? result : query->result;
}

void kw__query_i64(struct kw__query *query, int64_t value)
{
    note(query, sqlite3_bind_int64(query->statement, ++query->bound, value));
}

/* Without bytes there is no pointer, and SQLite takes NULL for a missing value. */
void kw__query_text(struct kw__query *query, struct kw_bytes text)
{
    const char *data = text.size == 0 ? "" : (const char *)text.data;
    note(query, sqlite3_bind_text64(query->statement, ++query->bound, data, text.size, SQLITE_STATIC, SQLITE_UTF8));
}

void kw__query_blob(struct kw__query *query, struct kw_bytes blob)
{
    const void *data = blob.size == 0 ? "" : (const void *)blob.data;
    note(query, sqlite3_bind_blob64(query->statement, ++query->bound, data, blob.size, SQLITE_STATIC));
}

void kw__query_id(struct kw__query *query, const struct kw_id *id)
{
    kw__query_blob(query, kw_bytes_of(id->bytes, sizeof id->bytes));
}

void kw__query_id_or_null(struct kw__query *query, const struct kw_id *id)
{
    if (!kw_id_is_none(id)) {
        kw__query_id(query, id);
        return;
    }
    note(query, sqlite3_bind_null(query->statement, ++query->bound));
}

enum kw_status kw__query_next(struct kw__query *query, bool *row_out)
{
    *row_out = false;
    if (query->result != SQLITE_OK) {
        return kw__sqlite_status(query->result);
    }
    int result = sqlite3_step(query->statement);
    *row_out = result == SQLITE_ROW;
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        query->result = result;
    }
    return kw__sqlite_status(result);
}

void kw__query_close(struct kw__query *query)
{
    if (query->statement != NULL) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    }
}

enum kw_status kw__query_run(struct kw__query *query)
{
    bool row = false;
    enum kw_status status = kw__query_next(query, &row);
    kw__query_close(query);
    return status;
}

struct kw_bytes kw__column_bytes(const struct kw__query *query, int column)
{
    const void *data = sqlite3_column_blob(query->statement, column);
    return kw_bytes_of(data, (size_t)sqlite3_column_bytes(query->statement, column));
}

bool kw__column_last_four(const struct kw__query *query, int column, struct kw_store_row *row_out)
{
    struct kw_bytes last_four = kw__column_bytes(query, column);
    if (last_four.size != sizeof row_out->last_four) {
        return false;
    }
    memcpy(row_out->last_four, last_four.data, last_four.size);
    return true;
}

bool kw__column_id(const struct kw__query *query, int column, struct kw_id *id_out)
{
    struct kw_bytes bytes = kw__column_bytes(query, column);
    if (bytes.size == 0) {
        *id_out = (struct kw_id){0};
        return true;
    }
    if (bytes.size != sizeof id_out->bytes) {
        return false;
    }
    memcpy(id_out->bytes, bytes.data, bytes.size);
    return true;
}
