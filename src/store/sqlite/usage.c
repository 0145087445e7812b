#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "store/check.h"

enum kw_status kw__sqlite_count_use(struct kw__connection *writer, enum kw__sql sql, const struct kw_store_usage *usage)
{
    struct kw__query query = kw__query_open(writer, sql);
    kw__query_text(&query, usage->project);
    kw__query_i64(&query, usage->bucket_start_ms);
    kw__query_id(&query, &usage->lineage_id);
    kw__query_i64(&query, usage->dimension);
    kw__query_text(&query, usage->value);
    kw__query_i64(&query, usage->amount);
    return kw__query_run(&query);
}

static enum kw_status note_use(struct kw__connection *writer, const struct kw_store_use *use)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_USE_NOTE);
    kw__query_id(&query, &use->key_id);
    kw__query_i64(&query, use->at_ms);
    kw__query_blob(&query, use->address);
    kw__query_text(&query, use->region);
    return kw__query_run(&query);
}

static enum kw_status add_all(struct kw__connection *writer, const struct kw_store_usage *usages, size_t usage_count,
                              const struct kw_store_use *uses, size_t use_count)
{
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < usage_count && status == KW_OK; i++) {
        status = kw__sqlite_count_use(writer, KW__SQL_USAGE_ADD, &usages[i]);
    }
    for (size_t i = 0; i < use_count && status == KW_OK; i++) {
        status = note_use(writer, &uses[i]);
    }
    return status;
}

enum kw_status kw__sqlite_usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                       const struct kw_store_usage *usages, size_t usage_count,
                                       const struct kw_store_use *uses, size_t use_count)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_usages(usages, usage_count);
    status = status == KW_OK ? kw__store_check_uses(uses, use_count) : status;
    status = status == KW_OK ? kw__write_begin(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    status = add_all(&sqlite->writer, usages, usage_count, uses, use_count);
    if (status == KW_OK && settled != NULL) {
        status = kw__sqlite_drop_deferred(&sqlite->writer, settled);
    }
    return kw__write_end(sqlite, status, NULL);
}

enum kw_status kw__sqlite_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                    const struct kw_store_use *uses, size_t use_count)
{
    return kw__sqlite_usage_settle(store, NULL, usages, usage_count, uses, use_count);
}

/* What is asked for, beside where it is looked for. */
struct reading {
    struct kw__connection *reader;
    struct kw_store_usage usage; /* of the one that is shown next */
    int64_t until_ms;
    kw_store_usage_sink *sink;
    void *context;
};

static enum kw_status next_bucket(const struct reading *reading, enum kw__sql sql, int64_t from_ms, bool *is_there_out,
                                  int64_t *bucket_out)
{
    struct kw__query query = kw__query_open(reading->reader, sql);
    kw__query_text(&query, reading->usage.project);
    kw__query_i64(&query, from_ms);
    kw__query_i64(&query, reading->until_ms);
    enum kw_status status = kw__query_next(&query, is_there_out);
    *bucket_out = *is_there_out ? sqlite3_column_int64(query.statement, 0) : 0;
    kw__query_close(&query);
    return status;
}

static enum kw_status read_bucket(struct reading *reading, enum kw__sql sql)
{
    struct kw__query query = kw__query_open(reading->reader, sql);
    struct kw_store_usage *usage = &reading->usage;
    bool is_there = false;
    kw__query_text(&query, usage->project);
    kw__query_i64(&query, usage->bucket_start_ms);
    kw__query_id(&query, &usage->lineage_id);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        usage->dimension = (uint8_t)sqlite3_column_int(query.statement, 0);
        usage->value = kw__column_bytes(&query, 1);
        usage->amount = sqlite3_column_int64(query.statement, 2);
        status = reading->sink(reading->context, usage);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    return status;
}

/* There are few buckets, two days of hours and a retention of days, and many lineages in each. */
static enum kw_status read_span(struct reading *reading, int64_t from_ms, bool is_day)
{
    enum kw__sql find = is_day ? KW__SQL_USAGE_BUCKET_DAY : KW__SQL_USAGE_BUCKET;
    int64_t *bucket = &reading->usage.bucket_start_ms;
    bool is_there = false;
    reading->usage.is_day = is_day;
    enum kw_status status = next_bucket(reading, find, from_ms, &is_there, bucket);
    while (status == KW_OK && is_there) {
        status = read_bucket(reading, is_day ? KW__SQL_USAGE_READ_DAY : KW__SQL_USAGE_READ);
        if (status == KW_OK && *bucket < INT64_MAX) {
            status = next_bucket(reading, find, *bucket + 1, &is_there, bucket);
        }
    }
    return status;
}

enum kw_status kw__sqlite_usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                     int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct reading reading = {.reader = reader,
                              .usage = {.lineage_id = *lineage_id, .project = project},
                              .until_ms = until_ms,
                              .sink = sink,
                              .context = context};
    /* In one picture: what moves from hours to days meanwhile must not be read twice, or never. */
    struct kw__query begin = kw__query_open(reader, KW__SQL_BEGIN_READ);
    enum kw_status status = kw__query_run(&begin);
    status = status == KW_OK ? read_span(&reading, from_ms, true) : status;
    status = status == KW_OK ? read_span(&reading, from_ms, false) : status;
    if (sqlite3_get_autocommit(reader->db) == 0) {
        struct kw__query end = kw__query_open(reader, KW__SQL_ROLLBACK);
        enum kw_status ended = kw__query_run(&end);
        status = status == KW_OK ? ended : status;
    }
    kw__reader_give(sqlite, reader);
    return status;
}

static enum kw_status drop(struct kw__connection *writer, enum kw__sql sql, struct kw_bytes project, int64_t before_ms,
                           uint64_t count, uint64_t *dropped_out)
{
    struct kw__query query = kw__query_open(writer, sql);
    kw__query_text(&query, project);
    kw__query_i64(&query, before_ms);
    kw__query_i64(&query, (int64_t)count);
    enum kw_status status = kw__query_run(&query);
    *dropped_out = status == KW_OK ? (uint64_t)sqlite3_changes64(writer->db) : 0;
    return status;
}

/* Adds the oldest hours to their days; `count_out` is how many. */
static enum kw_status add_to_days(struct kw__connection *writer, struct kw_bytes project, int64_t before_ms,
                                  size_t limit, uint64_t *count_out)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_USAGE_OLD);
    bool is_there = false;
    uint64_t count = 0;
    kw__query_text(&query, project);
    kw__query_i64(&query, before_ms);
    kw__query_i64(&query, (int64_t)limit);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_usage usage = {
            .project = project,
            .bucket_start_ms = kw__store_day_of(sqlite3_column_int64(query.statement, 0)),
            .dimension = (uint8_t)sqlite3_column_int(query.statement, 2),
            .value = kw__column_bytes(&query, 3),
            .amount = sqlite3_column_int64(query.statement, 4),
        };
        bool is_id = kw__column_id(&query, 1, &usage.lineage_id);
        status = is_id ? kw__sqlite_count_use(writer, KW__SQL_USAGE_ADD_DAY, &usage) : KW_E_CORRUPT;
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
        count++;
    }
    kw__query_close(&query);
    *count_out = count;
    return status;
}

/* Whether there is anything to do, found out without keeping those waiting who write. */
static enum kw_status is_any_before(struct kw__sqlite *sqlite, enum kw__sql sql, struct kw_bytes project,
                                    int64_t before_ms, bool *is_any_out)
{
    struct reading reading = {.reader = kw__reader_take(sqlite), .usage = {.project = project}, .until_ms = before_ms};
    int64_t bucket = 0;
    enum kw_status status = next_bucket(&reading, sql, INT64_MIN, is_any_out, &bucket);
    kw__reader_give(sqlite, reading.reader);
    return status;
}

enum kw_status kw__sqlite_usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                     uint64_t *rolled_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    bool is_any = false;
    uint64_t count = 0;
    uint64_t dropped = 0;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? is_any_before(sqlite, KW__SQL_USAGE_BUCKET, project, before_ms, &is_any) : status;
    if (status == KW_OK && is_any) {
        status = kw__write_begin(sqlite);
        if (status != KW_OK) {
            return status;
        }
        status = add_to_days(&sqlite->writer, project, before_ms, limit, &count);
        status =
            status == KW_OK ? drop(&sqlite->writer, KW__SQL_USAGE_DROP, project, before_ms, count, &dropped) : status;
        status = kw__write_end(sqlite, status == KW_OK && dropped != count ? KW_E_CORRUPT : status, NULL);
    }
    if (status == KW_OK) {
        *rolled_out = count;
    }
    return status;
}

enum kw_status kw__sqlite_usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                      uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    bool is_any = false;
    uint64_t dropped = 0;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? is_any_before(sqlite, KW__SQL_USAGE_BUCKET_DAY, project, before_ms, &is_any) : status;
    if (status == KW_OK && is_any) {
        status = kw__write_begin(sqlite);
        if (status != KW_OK) {
            return status;
        }
        status = drop(&sqlite->writer, KW__SQL_USAGE_DROP_DAY, project, before_ms, limit, &dropped);
        status = kw__write_end(sqlite, status, NULL);
    }
    if (status == KW_OK) {
        *removed_out = dropped;
    }
    return status;
}
