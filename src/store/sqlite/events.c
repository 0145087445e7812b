#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "core/id.h"
#include "store/check.h"

/* The sequences of what may be claimed, in their order. */
static enum kw_status find_claimable(struct kw__connection *writer, int64_t now_ms, size_t limit, int64_t *sequences,
                                     size_t *count_out)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_EVENT_CLAIMABLE);
    bool is_there = false;
    size_t count = 0;
    kw__query_i64(&query, now_ms);
    kw__query_i64(&query, (int64_t)limit);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        sequences[count++] = sqlite3_column_int64(query.statement, 0);
        status = kw__query_next(&query, &is_there);
    }
    kw__query_close(&query);
    *count_out = count;
    return status;
}

static enum kw_status claim_all(struct kw__sqlite *sqlite, int64_t now_ms, int64_t until_ms, size_t limit,
                                int64_t *sequences, size_t *count_out)
{
    size_t count = 0;
    enum kw_status status = kw__write_begin(sqlite);
    if (status != KW_OK) {
        return status;
    }
    status = find_claimable(&sqlite->writer, now_ms, limit, sequences, &count);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_EVENT_CLAIM);
        kw__query_i64(&query, sequences[i]);
        kw__query_i64(&query, until_ms);
        status = kw__query_run(&query);
    }
    *count_out = count;
    return kw__write_end(sqlite, status, NULL);
}

#define ATTEMPTS 9 /* the column, where it is there */

static enum kw_status give(const struct kw__query *query, uint32_t attempts, kw_store_event_sink *sink, void *context)
{
    struct kw_store_event event = {
        .sequence = (uint64_t)sqlite3_column_int64(query->statement, 0),
        .at_ms = sqlite3_column_int64(query->statement, 2),
        .project = kw__column_bytes(query, 3),
        .env = kw__column_bytes(query, 5),
        .owner = kw__column_bytes(query, 6),
        .type = kw__column_bytes(query, 7),
        .body = kw__column_bytes(query, 8),
        .attempts = attempts,
    };
    bool is_sound = kw__column_id(query, 1, &event.id) && kw__column_id(query, 4, &event.key_id);
    return is_sound ? sink(context, &event) : KW_E_CORRUPT;
}

/*
 * An event that was settled since it was claimed is passed over. The claim is made by now: when the event cannot be
 * read, it was not nothing that happened.
 */
static enum kw_status give_event(struct kw__connection *reader, int64_t sequence, kw_store_event_sink *sink,
                                 void *context)
{
    struct kw__query query = kw__query_open(reader, KW__SQL_EVENT_READ);
    bool is_there = false;
    kw__query_i64(&query, sequence);
    enum kw_status status = kw__query_next(&query, &is_there);
    if (status == KW_E_UNAVAILABLE || status == KW_E_FULL || status == KW_E_MEMORY) {
        status = KW_E_UNCERTAIN;
    }
    if (status == KW_OK && is_there) {
        status = give(&query, (uint32_t)sqlite3_column_int64(query.statement, ATTEMPTS), sink, context);
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                       kw_store_event_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    int64_t *sequences = kw_alloc(limit, sizeof *sequences);
    if (sequences == NULL) {
        return KW_E_MEMORY;
    }
    size_t count = 0;
    status = claim_all(sqlite, now_ms, until_ms, limit, sequences, &count);
    if (status == KW_OK && count > 0) {
        struct kw__connection *reader = kw__reader_take(sqlite);
        for (size_t i = 0; i < count && status == KW_OK; i++) {
            status = give_event(reader, sequences[i], sink, context);
        }
        kw__reader_give(sqlite, reader);
    }
    kw_free(sequences);
    return status;
}

enum kw_status kw__sqlite_events_settle(struct kw_store *store, const struct kw_id *id)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__write_begin(sqlite);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query claim = kw__query_open(&sqlite->writer, KW__SQL_EVENT_CLAIM_DELETE);
    kw__query_id(&claim, id);
    status = kw__query_run(&claim);
    bool was_there = status == KW_OK && sqlite3_changes64(sqlite->writer.db) > 0;
    status = kw__write_end(sqlite, status, NULL);
    return status == KW_OK && !was_there ? KW_E_NOT_FOUND : status;
}

/* The sequences that a list goes through. */
static void bind_range(struct kw__query *query, const struct kw_store_event_filter *filter)
{
    int64_t cursor = filter->after < INT64_MAX ? (int64_t)filter->after : INT64_MAX;
    bool ends_at_cursor = filter->is_back && cursor > 0 && cursor < INT64_MAX;
    kw__query_i64(query, filter->is_back ? 0 : cursor);
    kw__query_i64(query, (int64_t)filter->limit);
    kw__query_text(query, filter->project);
    kw__query_id_or_null(query, &filter->key_id);
    kw__query_i64(query, filter->from_ms);
    kw__query_i64(query, ends_at_cursor ? cursor - 1 : INT64_MAX);
}

enum kw_status kw__sqlite_events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                      kw_store_event_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(filter->limit);
    if (status != KW_OK) {
        return status;
    }
    enum kw__sql sql = !kw_id_is_none(&filter->key_id) ? KW__SQL_EVENT_BY_KEY
                       : filter->project.size > 0      ? KW__SQL_EVENT_BY_PROJECT
                                                       : KW__SQL_EVENT_SCAN;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, filter->is_back ? sql + 1 : sql);
    bool is_there = false;
    bind_range(&query, filter);
    status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        status = give(&query, 0, sink, context);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}

static enum kw_status prune(struct kw__connection *writer, enum kw__sql sql, struct kw_bytes project, int64_t before_ms,
                            size_t limit)
{
    struct kw__query query = kw__query_open(writer, sql);
    kw__query_text(&query, project);
    kw__query_i64(&query, before_ms);
    kw__query_i64(&query, (int64_t)limit);
    kw__query_i64(&query, KW_STORE_SCAN_MAX);
    return kw__query_run(&query);
}

enum kw_status kw__sqlite_events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                       uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    status = prune(&sqlite->writer, KW__SQL_EVENT_PRUNE_CLAIMS, project, before_ms, limit);
    status = status == KW_OK ? prune(&sqlite->writer, KW__SQL_EVENT_PRUNE, project, before_ms, limit) : status;
    uint64_t removed = status == KW_OK ? (uint64_t)sqlite3_changes64(sqlite->writer.db) : 0;
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        *removed_out = removed;
    }
    return status;
}
