#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/memory.h"
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
        struct kw_store_event event = {
            .sequence = (uint64_t)sequence,
            .at_ms = sqlite3_column_int64(query.statement, 1),
            .project = kw__column_bytes(&query, 2),
            .type = kw__column_bytes(&query, 4),
            .body = kw__column_bytes(&query, 5),
            .attempts = (uint32_t)sqlite3_column_int64(query.statement, 6),
        };
        bool is_sound = kw__column_id(&query, 0, &event.id) && kw__column_id(&query, 3, &event.key_id);
        status = is_sound ? sink(context, &event) : KW_E_CORRUPT;
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
    if (was_there) {
        struct kw__query event = kw__query_open(&sqlite->writer, KW__SQL_EVENT_DELETE);
        kw__query_id(&event, id);
        status = kw__query_run(&event);
    }
    status = kw__write_end(sqlite, status, NULL);
    return status == KW_OK && !was_there ? KW_E_NOT_FOUND : status;
}
