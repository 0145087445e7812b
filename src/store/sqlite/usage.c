#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

enum kw_status kw__sqlite_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t count)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_usages(usages, count);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_USAGE_ADD);
        kw__query_id(&query, &usages[i].lineage_id);
        kw__query_text(&query, usages[i].metric);
        kw__query_i64(&query, usages[i].bucket_start_ms);
        kw__query_i64(&query, usages[i].amount);
        status = kw__query_run(&query);
    }
    return kw__write_end(sqlite, status, NULL);
}

enum kw_status kw__sqlite_usage_read(struct kw_store *store, const struct kw_id *lineage_id, int64_t from_ms,
                                     int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_USAGE_READ);
    bool is_there = false;
    kw__query_id(&query, lineage_id);
    kw__query_i64(&query, from_ms);
    kw__query_i64(&query, until_ms);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_usage usage = {
            .lineage_id = *lineage_id,
            .metric = kw__column_bytes(&query, 0),
            .bucket_start_ms = sqlite3_column_int64(query.statement, 1),
            .amount = sqlite3_column_int64(query.statement, 2),
        };
        status = sink(context, &usage);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}
