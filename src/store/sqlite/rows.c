#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

enum kw_status kw__row_read(const struct kw__query *query, struct kw_store_row *row_out)
{
    struct kw_store_row row = {0};
    bool is_row = kw__column_id(query, 0, &row.id) && kw__column_id(query, 12, &row.parent_id) &&
                  kw__column_last_four(query, 14, &row);
    if (!is_row) {
        return KW_E_CORRUPT;
    }
    row.sequence = (uint64_t)sqlite3_column_int64(query->statement, 1);
    row.version = (uint64_t)sqlite3_column_int64(query->statement, 2);
    row.erased = sqlite3_column_int(query->statement, 3) != 0;
    row.digest = kw__column_bytes(query, 4);
    row.digest_scheme = (uint8_t)sqlite3_column_int(query->statement, 5);
    row.project = kw__column_bytes(query, 6);
    row.env = kw__column_bytes(query, 7);
    row.owner = kw__column_bytes(query, 8);
    row.org_id = kw__column_bytes(query, 9);
    row.tags.count = (uint32_t)sqlite3_column_int(query->statement, 10);
    row.tags.packed = kw__column_bytes(query, 11);
    row.policy = kw__column_bytes(query, 13);
    row.expires_at_ms = sqlite3_column_int64(query->statement, 15);
    row.record = kw__column_bytes(query, 16);
    row.due_at_ms = sqlite3_column_int64(query->statement, 17);
    row.used_at_ms = sqlite3_column_int64(query->statement, 18);
    row.used_address = kw__column_bytes(query, 19);
    row.used_region = kw__column_bytes(query, 20);
    *row_out = row;
    return KW_OK;
}

/* Hands every row of the query to the sink; `count_out` says how many. */
static enum kw_status give_rows(struct kw__query *query, kw_store_row_sink *sink, void *context, size_t *count_out)
{
    bool row_is_there = false;
    size_t count = 0;
    enum kw_status status = kw__query_next(query, &row_is_there);
    while (status == KW_OK && row_is_there) {
        struct kw_store_row row;
        status = kw__row_read(query, &row);
        status = status == KW_OK ? sink(context, &row) : status;
        status = status == KW_OK ? kw__query_next(query, &row_is_there) : status;
        count++;
    }
    *count_out = count;
    return status;
}

static enum kw_status run_find(struct kw__query *query, kw_store_row_sink *sink, void *context)
{
    size_t count = 0;
    enum kw_status status = give_rows(query, sink, context, &count);
    kw__query_close(query);
    return status == KW_OK && count == 0 ? KW_E_NOT_FOUND : status;
}

enum kw_status kw__sqlite_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                         void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    if (digest.size < KW__DIGEST_START_SIZE) {
        return KW_E_NOT_FOUND;
    }
    struct kw_id id = kw__digests_find(&sqlite->digests, digest); /* before the read: it may be in the table by then */
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_BY_DIGEST);
    kw__query_blob(&query, digest);
    kw__query_blob(&query, kw__digest_start(digest));
    kw__query_id_or_null(&query, &id);
    enum kw_status status = run_find(&query, sink, context);
    kw__reader_give(sqlite, reader);
    return status;
}

enum kw_status kw__sqlite_find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                     void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_BY_ID);
    kw__query_id(&query, id);
    enum kw_status status = run_find(&query, sink, context);
    kw__reader_give(sqlite, reader);
    return status;
}

/* The rows of a batch are never parted: a follower goes on from a sequence, and would miss the rest. */
static enum kw_status give_changes(struct kw__query *query, size_t limit, kw_store_row_sink *sink, void *context)
{
    bool row_is_there = false;
    size_t count = 0;
    uint64_t last = 0;
    enum kw_status status = kw__query_next(query, &row_is_there);
    while (status == KW_OK && row_is_there) {
        struct kw_store_row row;
        status = kw__row_read(query, &row);
        if (status != KW_OK || (count >= limit && row.sequence != last)) {
            return status;
        }
        status = sink(context, &row);
        last = row.sequence;
        count++;
        status = status == KW_OK ? kw__query_next(query, &row_is_there) : status;
    }
    return status;
}

enum kw_status kw__sqlite_changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                                  void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK || after >= INT64_MAX) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_CHANGES);
    kw__query_i64(&query, (int64_t)after);
    status = give_changes(&query, limit, sink, context);
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}

/* The rows of a query whose last value is a limit; ends it, and gives the reader back. */
static enum kw_status give_limited(struct kw__sqlite *sqlite, struct kw__connection *reader, struct kw__query *query,
                                   size_t limit, kw_store_row_sink *sink, void *context)
{
    size_t count = 0;
    kw__query_i64(query, (int64_t)limit);
    enum kw_status status = give_rows(query, sink, context, &count);
    kw__query_close(query);
    kw__reader_give(sqlite, reader);
    return status;
}

enum kw_status kw__sqlite_tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                     kw_store_row_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_TOMBSTONES);
    kw__query_id(&query, after);
    return give_limited(sqlite, reader, &query, limit, sink, context);
}

enum kw_status kw__sqlite_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                              void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_DUE);
    kw__query_i64(&query, until_ms);
    return give_limited(sqlite, reader, &query, limit, sink, context);
}

enum kw_status kw__sqlite_count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    bool every_project = project.size == 0;
    struct kw__query query = kw__query_open(reader, every_project ? KW__SQL_COUNT_READ_ALL : KW__SQL_COUNT_READ);
    if (!every_project) {
        kw__query_text(&query, project);
    }
    bool row = false;
    enum kw_status status = kw__query_next(&query, &row);
    if (row) {
        *count_out = (uint64_t)sqlite3_column_int64(query.statement, 0);
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}
