#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

/* Use that was counted and is added later. */

static enum kw_status read_one(struct kw__query *query, int64_t *number_out, bool *is_there_out)
{
    enum kw_status status = kw__query_next(query, is_there_out);
    *number_out = *is_there_out ? sqlite3_column_int64(query->statement, 0) : 0;
    kw__query_close(query);
    return status;
}

/* Notes how many bytes more wait, and says how many all are. */
static enum kw_status count_bytes(struct kw__connection *writer, int64_t more, int64_t *waiting_out)
{
    struct kw__query count = kw__query_open(writer, KW__SQL_DEFERRED_COUNT);
    bool is_there = false;
    kw__query_i64(&count, more);
    enum kw_status status = more == 0 ? KW_OK : kw__query_run(&count);
    struct kw__query waiting = kw__query_open(writer, KW__SQL_DEFERRED_WAITING);
    status = status == KW_OK ? read_one(&waiting, waiting_out, &is_there) : status;
    return status == KW_OK && (!is_there || *waiting_out < 0) ? KW_E_CORRUPT : status;
}

enum kw_status kw__sqlite_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                      uint64_t *waiting_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    int64_t bytes = 0;
    int64_t waiting = 0;
    enum kw_status status = kw__store_check_deferred(pieces, count);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_DEFERRED_INSERT);
        kw__query_i64(&query, pieces[i].part);
        kw__query_blob(&query, pieces[i].bytes);
        status = kw__query_run(&query);
        bytes += (int64_t)pieces[i].bytes.size;
    }
    status = status == KW_OK ? count_bytes(&sqlite->writer, bytes, &waiting) : status;
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        *waiting_out = (uint64_t)waiting;
    }
    return status;
}

enum kw_status kw__sqlite_drop_deferred(struct kw__connection *writer, const struct kw_store_deferred *settled)
{
    const enum kw__sql steps[] = {KW__SQL_DEFERRED_BYTES, KW__SQL_DEFERRED_DROP};
    int64_t bytes = 0;
    int64_t waiting = 0;
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < KW_COUNT_OF(steps) && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(writer, steps[i]);
        bool is_there = false;
        kw__query_i64(&query, settled->part);
        kw__query_i64(&query, (int64_t)settled->sequence);
        status = i == 0 ? read_one(&query, &bytes, &is_there) : kw__query_run(&query);
    }
    return status == KW_OK ? count_bytes(writer, -bytes, &waiting) : status;
}

enum kw_status kw__sqlite_usage_deferred(struct kw_store *store, uint32_t part, size_t limit,
                                         kw_store_deferred_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    bool is_there = false;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_DEFERRED_READ);
    kw__query_i64(&query, part);
    kw__query_i64(&query, (int64_t)limit);
    status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_deferred piece = {.part = (uint32_t)sqlite3_column_int64(query.statement, 0),
                                          .sequence = (uint64_t)sqlite3_column_int64(query.statement, 1),
                                          .bytes = kw__column_bytes(&query, 2)};
        status = sink(context, &piece);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}
