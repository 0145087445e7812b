#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

#define PROBE_LIMIT 1000 /* rows that are counted to learn which filter is the narrowest */

static enum kw_status read_row(const struct kw__query *query, struct kw_store_row *row_out)
{
    struct kw_store_row row = {0};
    if (!kw__column_id(query, 0, &row.id)) {
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
    row.record = kw__column_bytes(query, 12);
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
        status = read_row(query, &row);
        status = status == KW_OK ? sink(context, &row) : status;
        status = status == KW_OK ? kw__query_next(query, &row_is_there) : status;
        count++;
    }
    *count_out = count;
    return status;
}

static enum kw_status find_one(struct kw_store *store, enum kw__sql sql, struct kw_bytes key, kw_store_row_sink *sink,
                               void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, sql);
    size_t count = 0;
    kw__query_blob(&query, key);
    enum kw_status status = give_rows(&query, sink, context, &count);
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status == KW_OK && count == 0 ? KW_E_NOT_FOUND : status;
}

enum kw_status kw__sqlite_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                         void *context)
{
    return find_one(store, KW__SQL_ROW_BY_DIGEST, digest, sink, context);
}

enum kw_status kw__sqlite_find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                     void *context)
{
    return find_one(store, KW__SQL_ROW_BY_ID, kw_bytes_of(id->bytes, sizeof id->bytes), sink, context);
}

/* Counts what one filter would walk, PROBE_LIMIT at most. */
static enum kw_status probe(struct kw__connection *reader, enum kw__sql sql, const struct kw_store_filter *filter,
                            struct kw_bytes wanted, int64_t *count_out)
{
    struct kw__query query = kw__query_open(reader, sql);
    bool row = false;
    kw__query_text(&query, filter->project);
    kw__query_id(&query, &filter->after);
    kw__query_i64(&query, PROBE_LIMIT);
    kw__query_text(&query, wanted);
    enum kw_status status = kw__query_next(&query, &row);
    *count_out = row ? sqlite3_column_int64(query.statement, 0) : 0;
    kw__query_close(&query);
    return status;
}

/* The list that walks the fewest rows. With one filter there is nothing to compare. */
static enum kw_status choose_list(struct kw__connection *reader, const struct kw_store_filter *filter,
                                  enum kw__sql *sql_out)
{
    const struct {
        struct kw_bytes wanted;
        enum kw__sql probe, list;
    } ways[] = {
        {filter->owner, KW__SQL_ROW_PROBE_OWNER, KW__SQL_ROW_LIST_BY_OWNER},
        {filter->org_id, KW__SQL_ROW_PROBE_ORG, KW__SQL_ROW_LIST_BY_ORG},
        {filter->tag, KW__SQL_ROW_PROBE_TAG, KW__SQL_ROW_LIST_BY_TAG},
        {filter->env, KW__SQL_ROW_PROBE_ENV, KW__SQL_ROW_LIST_BY_ENV},
    };
    size_t given = 0;
    enum kw__sql best = KW__SQL_ROW_LIST_BY_PROJECT;
    for (size_t i = 0; i < KW_COUNT_OF(ways); i++) {
        given += ways[i].wanted.size > 0;
        best = ways[i].wanted.size > 0 ? ways[i].list : best;
    }
    enum kw_status status = KW_OK;
    int64_t fewest = INT64_MAX;
    for (size_t i = 0; i < KW_COUNT_OF(ways) && given > 1 && status == KW_OK; i++) {
        if (ways[i].wanted.size == 0) {
            continue;
        }
        int64_t count = 0;
        status = probe(reader, ways[i].probe, filter, ways[i].wanted, &count);
        best = count < fewest ? ways[i].list : best;
        fewest = count < fewest ? count : fewest;
    }
    *sql_out = best;
    return status;
}

static struct kw__query open_scan(struct kw__connection *reader, const struct kw_store_filter *filter)
{
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_SCAN);
    kw__query_id(&query, &filter->after);
    kw__query_i64(&query, (int64_t)filter->limit);
    return query;
}

static struct kw__query open_list(struct kw__connection *reader, enum kw__sql sql, const struct kw_store_filter *filter)
{
    struct kw__query query = kw__query_open(reader, sql);
    kw__query_text(&query, filter->project);
    kw__query_id(&query, &filter->after);
    kw__query_i64(&query, (int64_t)filter->limit);
    kw__query_text(&query, filter->owner);
    kw__query_text(&query, filter->org_id);
    kw__query_text(&query, filter->tag);
    kw__query_text(&query, filter->env);
    return query;
}

static enum kw_status list_with(struct kw__connection *reader, const struct kw_store_filter *filter,
                                kw_store_row_sink *sink, void *context)
{
    bool is_plain = filter->owner.size + filter->org_id.size + filter->tag.size + filter->env.size == 0;
    bool every_project = filter->project.size == 0;
    enum kw__sql sql = KW__SQL_ROW_LIST;
    enum kw_status status = every_project ? KW_OK : choose_list(reader, filter, &sql);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = is_plain && every_project ? open_scan(reader, filter) : open_list(reader, sql, filter);
    size_t count = 0;
    status = give_rows(&query, sink, context, &count);
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                               void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(filter->limit);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    status = list_with(reader, filter, sink, context);
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
        status = read_row(query, &row);
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
