#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

enum kw_status kw__sqlite_request_add(struct kw__connection *writer, const struct kw_store_request *request)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_REQUEST_INSERT);
    kw__query_blob(&query, kw_bytes_of(request->name, sizeof request->name));
    kw__query_blob(&query, kw_bytes_of(request->digest, sizeof request->digest));
    kw__query_id(&query, &request->key_id);
    kw__query_i64(&query, request->at_ms);
    return kw__query_run(&query);
}

/* False when what is stored there is no request. */
static bool read_request(const struct kw__query *query, struct kw_store_request *request)
{
    struct kw_bytes digest = kw__column_bytes(query, 0);
    if (digest.size != sizeof request->digest || !kw__column_id(query, 1, &request->key_id)) {
        return false;
    }
    memcpy(request->digest, digest.data, digest.size);
    request->at_ms = sqlite3_column_int64(query->statement, 2);
    return true;
}

enum kw_status kw__sqlite_request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                       struct kw_store_request *request_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_REQUEST_READ);
    struct kw_store_request request;
    bool is_there = false;
    memcpy(request.name, name, sizeof request.name);
    kw__query_blob(&query, kw_bytes_of(name, sizeof request.name));
    enum kw_status status = kw__query_next(&query, &is_there);
    if (status == KW_OK) {
        status = !is_there ? KW_E_NOT_FOUND : read_request(&query, &request) ? KW_OK : KW_E_CORRUPT;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    if (status == KW_OK) {
        *request_out = request;
    }
    return status;
}

enum kw_status kw__sqlite_request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_REQUEST_PRUNE);
    kw__query_i64(&query, before_ms);
    kw__query_i64(&query, (int64_t)limit);
    status = kw__query_run(&query);
    uint64_t removed = status == KW_OK ? (uint64_t)sqlite3_changes64(sqlite->writer.db) : 0;
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        *removed_out = removed;
    }
    return status;
}
