#include "store/sqlite/inserts.h"

#include "base/bytes.h"
#include "core/id.h"

/* What lists and counts found of a row. */
static enum kw_status hide(struct kw__inserts *inserts, const struct kw_store_row *row)
{
    struct kw_bytes packed_tags = row->tags.packed;
    struct kw_bytes tag;
    enum kw_status status = KW_OK;
    while (status == KW_OK && kw_list_next(&packed_tags, &tag)) {
        struct kw__query query = kw__query_open(inserts->writer, KW__SQL_TAG_DELETE);
        kw__query_text(&query, row->project);
        kw__query_text(&query, tag);
        kw__query_id(&query, &row->id);
        status = kw__query_run(&query);
    }
    return status == KW_OK ? kw__inserts_count(inserts, row->project, -1) : status;
}

void kw__query_row_rest(struct kw__query *query, const struct kw_store_row *row)
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
    kw__query_id_or_null(query, &row->parent_id);
    kw__query_text(query, row->policy);
    kw__query_blob(query, kw_bytes_of(row->last_four, sizeof row->last_four));
    kw__query_i64(query, row->expires_at_ms);
    kw__query_blob(query, row->record);
    kw__query_i64(query, row->erased ? 0 : row->due_at_ms);
}

/* Most changes touch nothing that a row is found by; then only one index has to follow, or that of what is due, too. */
static enum kw_status update_record(struct kw__connection *writer, const struct kw_store_row *row, uint64_t sequence,
                                    bool is_due_as_before)
{
    struct kw__query query = kw__query_open(writer, is_due_as_before ? KW__SQL_ROW_UPDATE : KW__SQL_ROW_UPDATE_DUE);
    kw__query_id(&query, &row->id);
    kw__query_i64(&query, (int64_t)sequence);
    kw__query_i64(&query, (int64_t)row->version);
    kw__query_blob(&query, row->record);
    if (!is_due_as_before) {
        kw__query_i64(&query, row->due_at_ms);
    }
    return kw__query_run(&query);
}

static enum kw_status move_digest(struct kw__inserts *inserts, const struct kw_store_row *row, uint64_t sequence,
                                  const struct kw_store_row *old)
{
    if (kw_bytes_equal(old->digest, row->digest)) {
        return KW_OK;
    }
    enum kw_status status = kw__digests_take(inserts, old->digest, &old->id, sequence);
    return status == KW_OK ? kw__digests_put(inserts, row->digest, &row->id) : status;
}

static enum kw_status update_all(struct kw__inserts *inserts, const struct kw_store_row *row, uint64_t sequence,
                                 const struct kw_store_row *old)
{
    enum kw_status status = hide(inserts, old);
    status = status == KW_OK ? move_digest(inserts, row, sequence, old) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_ROW_UPDATE_ALL);
    kw__query_id(&query, &row->id);
    kw__query_i64(&query, (int64_t)sequence);
    kw__query_i64(&query, (int64_t)row->version);
    kw__query_row_rest(&query, row);
    status = kw__query_run(&query);
    return status == KW_OK ? kw__inserts_show_row(inserts, row) : status;
}

/* What the old row was found by, and its version; borrowed from the query. KW_E_CORRUPT when it is no row. */
static enum kw_status read_old(const struct kw__query *query, const struct kw_id *id, struct kw_store_row *old_out)
{
    struct kw_store_row old = {
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
        .policy = kw__column_bytes(query, 10),
        .expires_at_ms = sqlite3_column_int64(query->statement, 12),
        .due_at_ms = sqlite3_column_int64(query->statement, 13),
    };
    bool is_row = kw__column_id(query, 9, &old.parent_id) && kw__column_last_four(query, 11, &old);
    *old_out = old;
    return is_row ? KW_OK : KW_E_CORRUPT;
}

static bool is_found_as_before(const struct kw_store_row *old, const struct kw_store_row *row)
{
    return !row->erased && old->digest_scheme == row->digest_scheme && kw_bytes_equal(old->digest, row->digest) &&
           kw_bytes_equal(old->project, row->project) && kw_bytes_equal(old->env, row->env) &&
           kw_bytes_equal(old->owner, row->owner) && kw_bytes_equal(old->org_id, row->org_id) &&
           kw_bytes_equal(old->tags.packed, row->tags.packed) && kw_id_equal(&old->parent_id, &row->parent_id) &&
           kw_bytes_equal(old->policy, row->policy) && old->expires_at_ms == row->expires_at_ms &&
           memcmp(old->last_four, row->last_four, sizeof old->last_four) == 0;
}

static enum kw_status replace(struct kw__inserts *inserts, const struct kw_store_put *put, uint64_t sequence)
{
    enum kw_status status = kw__inserts_run_rows(inserts);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_ROW_OLD);
    bool is_there = false;
    kw__query_id(&query, &put->row.id);
    status = kw__query_next(&query, &is_there);
    if (status == KW_OK && !is_there) {
        status = KW_E_CONFLICT;
    }
    struct kw_store_row old;
    status = status == KW_OK ? read_old(&query, &put->row.id, &old) : status;
    if (status == KW_OK) {
        bool as_expected = !old.erased && old.version == put->replaces;
        if (!as_expected) {
            status = KW_E_CONFLICT;
        } else if (is_found_as_before(&old, &put->row)) {
            status = update_record(inserts->writer, &put->row, sequence, old.due_at_ms == put->row.due_at_ms);
        } else {
            status = update_all(inserts, &put->row, sequence, &old);
        }
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_put(struct kw__inserts *inserts, const struct kw_store_put *put, uint64_t sequence)
{
    return put->replaces == 0 ? kw__inserts_add_row(inserts, &put->row, sequence) : replace(inserts, put, sequence);
}
