#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

static void bind_period(struct kw__query *query, const struct kw_store_reservation *reservation)
{
    kw__query_id(query, &reservation->lineage_id);
    kw__query_text(query, reservation->name);
    kw__query_i64(query, reservation->period_start_ms);
}

/* 0 where there is no row. */
static enum kw_status read_taken(struct kw__connection *writer, const struct kw_store_reservation *reservation,
                                 int64_t *taken_out)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_RESERVATION_TAKEN);
    bool is_there = false;
    bind_period(&query, reservation);
    enum kw_status status = kw__query_next(&query, &is_there);
    *taken_out = is_there ? sqlite3_column_int64(query.statement, 0) : 0;
    kw__query_close(&query);
    return status == KW_OK && *taken_out < -KW_STORE_AMOUNT_MAX ? KW_E_CORRUPT : status;
}

static enum kw_status write_taken(struct kw__connection *writer, const struct kw_store_reservation *reservation)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_RESERVATION_WRITE);
    bind_period(&query, reservation);
    kw__query_i64(&query, reservation->taken);
    kw__query_i64(&query, reservation->until_ms);
    if (reservation->note.size > 0) { /* else null: what was there stays */
        kw__query_blob(&query, reservation->note);
    }
    return kw__query_run(&query);
}

enum kw_status kw__sqlite_reserve(struct kw__connection *writer, struct kw_store_reservation *reservation)
{
    int64_t taken = 0;
    enum kw_status status = read_taken(writer, reservation, &taken);
    if (status != KW_OK) {
        return status;
    }
    reservation->granted = kw__store_grant(reservation, taken);
    reservation->taken = taken + reservation->granted;
    return reservation->granted == 0 && reservation->note.size == 0 ? KW_OK : write_taken(writer, reservation);
}

enum kw_status kw__sqlite_reservations_read(struct kw_store *store, const struct kw_id *lineage_id,
                                            struct kw_bytes name, int64_t from_ms, kw_store_reservation_sink *sink,
                                            void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_reservation_name(name);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_RESERVATION_READ);
    bool is_there = false;
    kw__query_id(&query, lineage_id);
    kw__query_text(&query, name);
    kw__query_i64(&query, from_ms);
    status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_reservation row = {
            .lineage_id = *lineage_id,
            .name = kw__column_bytes(&query, 0),
            .period_start_ms = sqlite3_column_int64(query.statement, 1),
            .taken = sqlite3_column_int64(query.statement, 2),
            .until_ms = sqlite3_column_int64(query.statement, 3),
            .note = kw__column_bytes(&query, 4),
        };
        status = sink(context, &row);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}

enum kw_status kw__sqlite_reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                             uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_RESERVATION_PRUNE);
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
