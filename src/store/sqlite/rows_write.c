#include "store/sqlite/sqlite.h"

#include "base/bytes.h"

static enum kw_status add_count(struct kw__connection *writer, struct kw_bytes project, int64_t change)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_COUNT_ADD);
    kw__query_text(&query, project);
    kw__query_i64(&query, change);
    return kw__query_run(&query);
}

static enum kw_status write_tags(struct kw__connection *writer, enum kw__sql sql, struct kw_bytes project,
                                 struct kw_bytes packed_tags, const struct kw_id *id)
{
    struct kw_bytes tag;
    enum kw_status status = KW_OK;
    while (status == KW_OK && kw_list_next(&packed_tags, &tag)) {
        struct kw__query query = kw__query_open(writer, sql);
        kw__query_text(&query, project);
        kw__query_text(&query, tag);
        kw__query_id(&query, id);
        status = kw__query_run(&query);
    }
    return status;
}

/* What is found by lists and counted: everything but a tombstone. */
static enum kw_status show(struct kw__connection *writer, const struct kw_store_row *row, struct kw__tally *tally)
{
    if (row->erased) {
        return KW_OK;
    }
    if (!kw_bytes_equal(tally->project, row->project)) {
        enum kw_status status = kw__sqlite_write_tally(writer, tally);
        if (status != KW_OK) {
            return status;
        }
    }
    tally->project = row->project;
    tally->added++;
    return write_tags(writer, KW__SQL_TAG_INSERT, row->project, row->tags.packed, &row->id);
}

static enum kw_status hide(struct kw__connection *writer, const struct kw_store_row *row)
{
    enum kw_status status = write_tags(writer, KW__SQL_TAG_DELETE, row->project, row->tags.packed, &row->id);
    return status == KW_OK ? add_count(writer, row->project, -1) : status;
}

enum kw_status kw__sqlite_write_tally(struct kw__connection *writer, struct kw__tally *tally)
{
    enum kw_status status = tally->added == 0 ? KW_OK : add_count(writer, tally->project, tally->added);
    tally->added = 0;
    return status;
}

static void bind_from_erased(struct kw__query *query, const struct kw_store_row *row)
{
    kw__query_i64(query, row->erased);
    kw__query_blob(query, row->digest);
    kw__query_i64(query, row->digest_scheme);
    kw__query_text(query, row->project);
    kw__query_text(query, row->env);
    kw__query_text(query, row->owner);
    kw__query_text(query, row->org_id);
    kw__query_i64(query, row->tags.count);
    kw__query_blob(query, row->tags.packed);
    kw__query_blob(query, row->record);
}

static enum kw_status insert(struct kw__connection *writer, const struct kw_store_row *row, uint64_t sequence,
                             struct kw__tally *tally)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_ROW_INSERT);
    kw__query_id(&query, &row->id);
    kw__query_i64(&query, (int64_t)sequence);
    kw__query_i64(&query, (int64_t)row->version);
    bind_from_erased(&query, row);
    enum kw_status status = kw__query_run(&query);
    return status == KW_OK ? show(writer, row, tally) : status;
}

/* Most changes touch nothing that a row is found by; then only one index has to follow. */
static enum kw_status update_record(struct kw__connection *writer, const struct kw_store_row *row, uint64_t sequence)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_ROW_UPDATE);
    kw__query_id(&query, &row->id);
    kw__query_i64(&query, (int64_t)sequence);
    kw__query_i64(&query, (int64_t)row->version);
    kw__query_blob(&query, row->record);
    return kw__query_run(&query);
}

static enum kw_status update_all(struct kw__connection *writer, const struct kw_store_row *row, uint64_t sequence,
                                 const struct kw_store_row *old, struct kw__tally *tally)
{
    enum kw_status status = hide(writer, old);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(writer, KW__SQL_ROW_UPDATE_ALL);
    kw__query_id(&query, &row->id);
    kw__query_i64(&query, (int64_t)sequence);
    kw__query_i64(&query, (int64_t)row->version);
    bind_from_erased(&query, row);
    status = kw__query_run(&query);
    return status == KW_OK ? show(writer, row, tally) : status;
}

/* Everything of the old row but its sequence and record; borrowed from the query. */
static struct kw_store_row read_old(const struct kw__query *query, const struct kw_id *id)
{
    return (struct kw_store_row){
        .id = *id,
        .version = (uint64_t)sqlite3_column_int64(query->statement, 0),
        .erased = sqlite3_column_int(query->statement, 1) != 0,
        .digest = kw__column_bytes(query, 2),
        .digest_scheme = (uint8_t)sqlite3_column_int(query->statement, 3),
        .project = kw__column_bytes(query, 4),
        .env = kw__column_bytes(query, 5),
        .owner = kw__column_bytes(query, 6),
        .org_id = kw__column_bytes(query, 7),
        .tags.packed = kw__column_bytes(query, 8),
    };
}

static bool is_found_as_before(const struct kw_store_row *old, const struct kw_store_row *row)
{
    return !row->erased && old->digest_scheme == row->digest_scheme && kw_bytes_equal(old->digest, row->digest) &&
           kw_bytes_equal(old->project, row->project) && kw_bytes_equal(old->env, row->env) &&
           kw_bytes_equal(old->owner, row->owner) && kw_bytes_equal(old->org_id, row->org_id) &&
           kw_bytes_equal(old->tags.packed, row->tags.packed);
}

static enum kw_status replace(struct kw__connection *writer, const struct kw_store_put *put, uint64_t sequence,
                              struct kw__tally *tally)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_ROW_OLD);
    bool is_there = false;
    kw__query_id(&query, &put->row.id);
    enum kw_status status = kw__query_next(&query, &is_there);
    if (status == KW_OK && !is_there) {
        status = KW_E_CONFLICT;
    }
    if (status == KW_OK) {
        struct kw_store_row old = read_old(&query, &put->row.id);
        bool as_expected = !old.erased && old.version == put->replaces;
        if (!as_expected) {
            status = KW_E_CONFLICT;
        } else if (is_found_as_before(&old, &put->row)) {
            status = update_record(writer, &put->row, sequence);
        } else {
            status = update_all(writer, &put->row, sequence, &old, tally);
        }
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_put(struct kw__connection *writer, const struct kw_store_put *put, uint64_t sequence,
                              struct kw__tally *tally)
{
    return put->replaces == 0 ? insert(writer, &put->row, sequence, tally) : replace(writer, put, sequence, tally);
}
