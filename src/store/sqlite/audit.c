#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

/* No sum here passes the last millisecond of 64 bits. */
static int64_t with_slack(int64_t time_ms)
{
    return time_ms > INT64_MAX - KW__AUDIT_SLACK_MS ? INT64_MAX : time_ms + KW__AUDIT_SLACK_MS;
}

/* The index that leaves the fewest lines to look at; a key has few, a project many. */
static enum kw__sql choose_audit(const struct kw_store_audit_filter *filter)
{
    if (!kw_id_is_none(&filter->key_id)) {
        return KW__SQL_AUDIT_BY_KEY;
    }
    if (filter->project.size == 0) {
        return KW__SQL_AUDIT_SCAN;
    }
    if (filter->owner.size > 0) {
        return KW__SQL_AUDIT_BY_OWNER;
    }
    if (filter->action.size > 0) {
        return KW__SQL_AUDIT_BY_ACTION;
    }
    return filter->actor.size > 0 ? KW__SQL_AUDIT_BY_ACTOR : KW__SQL_AUDIT_BY_PROJECT;
}

/* The first line at which high_ms is `time_ms` or more; INT64_MAX when there is none. */
static enum kw_status seek(struct kw__connection *reader, int64_t time_ms, int64_t *sequence_out)
{
    struct kw__query query = kw__query_open(reader, KW__SQL_AUDIT_SEEK);
    bool is_there = false;
    kw__query_i64(&query, time_ms);
    enum kw_status status = kw__query_next(&query, &is_there);
    *sequence_out = is_there ? sqlite3_column_int64(query.statement, 0) : INT64_MAX;
    kw__query_close(&query);
    return status;
}

static enum kw_status give_audit(const struct kw__query *query, kw_store_audit_sink *sink, void *context)
{
    struct kw_store_audit audit = {
        .sequence = (uint64_t)sqlite3_column_int64(query->statement, 0),
        .at_ms = sqlite3_column_int64(query->statement, 1),
        .project = kw__column_bytes(query, 2),
        .owner = kw__column_bytes(query, 4),
        .actor = kw__column_bytes(query, 5),
        .action = kw__column_bytes(query, 6),
        .body = kw__column_bytes(query, 7),
        .context = kw__column_bytes(query, 8),
        .seal = kw__column_bytes(query, 9),
    };
    return kw__column_id(query, 3, &audit.key_id) ? sink(context, &audit) : KW_E_CORRUPT;
}

/* Sequences above `after`, up to `last`. */
struct range {
    int64_t after, last;
};

/* The lines of a range; takes from `*limit` what it gave. */
static enum kw_status give_range(struct kw__connection *reader, enum kw__sql sql,
                                 const struct kw_store_audit_filter *filter, struct range range, size_t *limit,
                                 kw_store_audit_sink *sink, void *context)
{
    struct kw__query query = kw__query_open(reader, filter->is_back ? sql + 1 : sql);
    bool is_there = false;
    kw__query_i64(&query, range.after);
    kw__query_i64(&query, (int64_t)*limit);
    kw__query_text(&query, filter->project);
    kw__query_id_or_null(&query, &filter->key_id);
    kw__query_text(&query, filter->owner);
    kw__query_text(&query, filter->actor);
    kw__query_text(&query, filter->action);
    kw__query_i64(&query, filter->from_ms);
    kw__query_i64(&query, filter->until_ms);
    kw__query_i64(&query, range.last);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        (*limit)--;
        status = give_audit(&query, sink, context);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    return status;
}

/* The part of a range that lies on the far side of the cursor. */
static struct range beyond_cursor(const struct kw_store_audit_filter *filter, struct range range)
{
    int64_t cursor = filter->after < INT64_MAX ? (int64_t)filter->after : 0;
    if (!filter->is_back) {
        range.after = range.after > cursor ? range.after : cursor;
    } else if (cursor > 0) {
        range.last = range.last < cursor - 1 ? range.last : cursor - 1;
    }
    return range;
}

static enum kw_status query_with(struct kw__connection *reader, const struct kw_store_audit_filter *filter,
                                 kw_store_audit_sink *sink, void *context)
{
    int64_t first = 1;
    int64_t end = INT64_MAX;
    size_t limit = filter->limit;
    enum kw_status status = filter->from_ms > 0 ? seek(reader, filter->from_ms, &first) : KW_OK;
    bool has_end = filter->until_ms != 0 && with_slack(filter->until_ms) < INT64_MAX;
    if (status == KW_OK && has_end) {
        status = seek(reader, with_slack(filter->until_ms), &end);
    }
    if (status != KW_OK) {
        return status;
    }
    int64_t behind = first > end ? first - 1 : end - 1;
    /* The usual lines, and behind them those that came late; the other way round where the list goes back. */
    const struct {
        enum kw__sql sql;
        struct range range;
    } parts[] = {{choose_audit(filter), {first - 1, end - 1}},
                 {KW__SQL_AUDIT_LATE, {behind, end == INT64_MAX ? 0 : INT64_MAX}}};
    for (size_t i = 0; i < KW_COUNT_OF(parts) && status == KW_OK && limit > 0; i++) {
        size_t which = filter->is_back ? KW_COUNT_OF(parts) - 1 - i : i;
        struct range range = beyond_cursor(filter, parts[which].range);
        if (range.after < range.last) {
            status = give_range(reader, parts[which].sql, filter, range, &limit, sink, context);
        }
    }
    return status;
}

enum kw_status kw__sqlite_audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                      kw_store_audit_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(filter->limit);
    if (status != KW_OK || (filter->after >= INT64_MAX && !filter->is_back)) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    status = query_with(reader, filter, sink, context);
    kw__reader_give(sqlite, reader);
    return status;
}

static enum kw_status prune_with(struct kw__connection *writer, enum kw__sql sql, struct kw_bytes project,
                                 uint64_t sequence, size_t limit)
{
    struct kw__query query = kw__query_open(writer, sql);
    kw__query_text(&query, project);
    kw__query_i64(&query, sequence > INT64_MAX ? INT64_MAX : (int64_t)sequence);
    kw__query_i64(&query, (int64_t)limit);
    return kw__query_run(&query);
}

enum kw_status kw__sqlite_audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                      uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    status = prune_with(&sqlite->writer, KW__SQL_AUDIT_PRUNE_SEALS, project, sequence, limit);
    status = status == KW_OK ? prune_with(&sqlite->writer, KW__SQL_AUDIT_PRUNE, project, sequence, limit) : status;
    uint64_t removed = status == KW_OK ? (uint64_t)sqlite3_changes64(sqlite->writer.db) : 0;
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        *removed_out = removed;
    }
    return status;
}
