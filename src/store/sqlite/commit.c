#include "store/sqlite/inserts.h"

#include "base/bytes.h"
#include "store/check.h"

/*
 * Digests fall anywhere into their index, so that commits of many new rows write the same pages again and again. What
 * the log takes before it goes into the file is then written there once: four times as much log, a third of those
 * writes.
 */
#define MANY_ROWS 1000
#define SMALL_COMMITS 16 /* in a row: the import is over, it was not only the last part of a text */
#define CHECKPOINT_PAGES_MANY (4 * KW__SQLITE_CHECKPOINT_PAGES)

static enum kw_status run_plain(struct kw__connection *writer, enum kw__sql sql)
{
    struct kw__query query = kw__query_open(writer, sql);
    return kw__query_run(&query);
}

static enum kw_status write_setting(struct kw__connection *writer, const struct kw_store_setting *setting)
{
    bool removes = setting->value.size == 0;
    struct kw__query query = kw__query_open(writer, removes ? KW__SQL_SETTING_DELETE : KW__SQL_SETTING_WRITE);
    kw__query_text(&query, setting->name);
    if (!removes) {
        kw__query_blob(&query, setting->value);
    }
    return kw__query_run(&query);
}

/* What is told of lines of the log that are there. */
static enum kw_status write_beside_lines(struct kw__inserts *inserts, const struct kw_store_batch *batch)
{
    enum kw_status status = batch->erasure_count > 0 ? kw__inserts_run_all(inserts) : KW_OK;
    for (size_t i = 0; i < batch->erasure_count && status == KW_OK; i++) {
        status = kw__sqlite_erase(inserts->writer, &batch->erasures[i]);
    }
    for (size_t i = 0; i < batch->checkpoint_count && status == KW_OK; i++) {
        status = kw__sqlite_set_checkpoint(inserts->writer, &batch->checkpoints[i]);
    }
    return status;
}

/* The batch's own part, or a piece of it. */
static enum kw_status write_part(struct kw__inserts *inserts, const struct kw_store_batch *batch,
                                 struct kw__sequences *next)
{
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < batch->put_count && status == KW_OK; i++) {
        status = kw__sqlite_put(inserts, &batch->puts[i], next->commit);
    }
    for (size_t i = 0; i < batch->audit_count && status == KW_OK; i++) {
        int64_t at_ms = batch->audits[i].at_ms;
        next->audit++;
        next->audit_high_ms = at_ms > next->audit_high_ms ? at_ms : next->audit_high_ms;
        status = kw__inserts_add_audit(inserts, &batch->audits[i], next);
    }
    for (size_t i = 0; i < batch->seal_count && status == KW_OK; i++) {
        status = kw__inserts_add_seal(inserts, &batch->seals[i]);
    }
    status = status == KW_OK ? write_beside_lines(inserts, batch) : status;
    for (size_t i = 0; i < batch->event_count && status == KW_OK; i++) {
        status = kw__inserts_add_event(inserts, &batch->events[i], ++next->event);
    }
    for (size_t i = 0; i < batch->setting_count && status == KW_OK; i++) {
        status = write_setting(inserts->writer, &batch->settings[i]);
    }
    for (size_t i = 0; i < batch->request_count && status == KW_OK; i++) {
        status = kw__sqlite_request_add(inserts->writer, &batch->requests[i]);
    }
    for (size_t i = 0; i < batch->reservation_count && status == KW_OK; i++) {
        status = kw__sqlite_reserve(inserts->writer, &batch->reservations[i]);
    }
    for (size_t i = 0; i < batch->usage_count && status == KW_OK; i++) {
        status = kw__sqlite_count_use(inserts->writer, KW__SQL_USAGE_ADD, &batch->usages[i]);
    }
    return status;
}

/* Nothing of a piece waits when the next one is asked for: what waits is borrowed. */
static enum kw_status write_pieces(struct kw__sqlite *sqlite, struct kw__inserts *inserts,
                                   const struct kw_store_batch *batch, struct kw__sequences *next)
{
    struct kw_store_batch piece = {.put_count = 1};
    enum kw_status status = kw__inserts_run_all(inserts);
    while (status == KW_OK && piece.put_count > 0) {
        status = kw__store_next_piece(batch, &piece);
        sqlite->is_refused = status != KW_OK;
        status = status == KW_OK ? write_part(inserts, &piece, next) : status;
        status = status == KW_OK ? kw__inserts_run_all(inserts) : status;
        sqlite->piece_rows += piece.put_count;
    }
    return status;
}

static enum kw_status write_batch(struct kw__sqlite *sqlite, struct kw__inserts *inserts,
                                  const struct kw_store_batch *batch, struct kw__sequences *next)
{
    next->commit++;
    enum kw_status status = write_part(inserts, batch, next);
    return status == KW_OK && batch->next != NULL ? write_pieces(sqlite, inserts, batch, next) : status;
}

/*
 * Sets the batch's outcome. Not KW_OK: the transaction as a whole is lost. With `is_apart` nothing of the batch waits
 * any more, so that the outcome is its own.
 */
static enum kw_status commit_batch(struct kw__sqlite *sqlite, struct kw__inserts *inserts, struct kw_store_batch *batch,
                                   bool is_apart, struct kw__sequences *last)
{
    struct kw__sequences next = *last;
    enum kw_status status = write_batch(sqlite, inserts, batch, &next);
    status = status == KW_OK && is_apart ? kw__inserts_run_all(inserts) : status;
    batch->outcome = status;
    if (status == KW_OK) {
        batch->sequence = next.commit;
        *last = next;
    }
    return status;
}

/* As commit_batch, and a conflict takes back this batch alone. */
static enum kw_status commit_batch_apart(struct kw__sqlite *sqlite, struct kw__inserts *inserts,
                                         struct kw_store_batch *batch, struct kw__sequences *last)
{
    enum kw_status status = run_plain(inserts->writer, KW__SQL_SAVEPOINT);
    size_t digests_before = inserts->digests->open->count;
    if (status != KW_OK) {
        return status;
    }
    status = commit_batch(sqlite, inserts, batch, true, last);
    if (status == KW_E_CONFLICT) {
        kw__inserts_drop(inserts);
        kw__digests_undo(inserts->digests, digests_before, last->commit);
        status = run_plain(inserts->writer, KW__SQL_SAVEPOINT_UNDO);
    }
    return status == KW_OK ? run_plain(inserts->writer, KW__SQL_SAVEPOINT_END) : status;
}

enum kw_status kw__sequences_write(struct kw__connection *writer, const struct kw__sequences *last)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_SEQUENCES_WRITE);
    kw__query_i64(&query, (int64_t)last->commit);
    kw__query_i64(&query, (int64_t)last->audit);
    kw__query_i64(&query, last->audit_high_ms);
    kw__query_i64(&query, (int64_t)last->event);
    kw__query_i64(&query, (int64_t)last->digests);
    return kw__query_run(&query);
}

static size_t count_rows(const struct kw_store_batch *batches, size_t batch_count)
{
    size_t rows = 0;
    for (size_t i = 0; i < batch_count; i++) {
        rows += batches[i].put_count;
    }
    return rows;
}

static enum kw_status write_all(struct kw__sqlite *sqlite, struct kw_store_batch *batches, size_t batch_count,
                                bool apart, struct kw__sequences *last)
{
    struct kw__inserts inserts = {.writer = &sqlite->writer, .digests = &sqlite->digests};
    enum kw_status status = KW_OK;
    uint64_t commit_before = last->commit;
    for (size_t i = 0; i < batch_count && status == KW_OK; i++) {
        batches[i].outcome = kw__store_check_batch_of(&batches[i], batch_count);
        if (batches[i].outcome == KW_OK) {
            status = apart ? commit_batch_apart(sqlite, &inserts, &batches[i], last)
                           : commit_batch(sqlite, &inserts, &batches[i], batch_count == 1, last);
        }
    }
    status = status == KW_OK ? kw__inserts_run_all(&inserts) : status;
    bool wrote = last->commit != commit_before;
    if (status != KW_OK || !wrote) {
        return status;
    }
    status = kw__digests_merge(&inserts, count_rows(batches, batch_count) + sqlite->piece_rows, last);
    return status == KW_OK ? kw__sequences_write(&sqlite->writer, last) : status;
}

/* The larger log is kept from one checkpoint to the next: to cut it off and let it grow again costs more than a sync.
 */
static void choose_log(struct kw__sqlite *sqlite, bool has_many_rows)
{
    sqlite->small_commits = has_many_rows ? 0 : sqlite->small_commits + 1;
    bool is_large = has_many_rows || (sqlite->has_large_log && sqlite->small_commits < SMALL_COMMITS);
    if (is_large == sqlite->has_large_log) {
        return;
    }
    /* Neither can fail on a connection that is open, and without them it is only slower. */
    (void)sqlite3_wal_autocheckpoint(sqlite->writer.db, is_large ? CHECKPOINT_PAGES_MANY : KW__SQLITE_CHECKPOINT_PAGES);
    (void)sqlite3_exec(sqlite->writer.db, is_large ? "PRAGMA journal_size_limit = -1" : KW__SQLITE_LOG_LIMIT, NULL,
                       NULL, NULL);
    sqlite->has_large_log = is_large;
}

static enum kw_status commit_all(struct kw__sqlite *sqlite, struct kw_store_batch *batches, size_t batch_count,
                                 bool apart, bool *is_refused_out)
{
    enum kw_status status = kw__write_begin(sqlite);
    *is_refused_out = false;
    if (status != KW_OK) {
        return status;
    }
    struct kw__sequences last = sqlite->last;
    size_t row_count = count_rows(batches, batch_count);
    sqlite->is_refused = false;
    sqlite->piece_rows = 0;
    choose_log(sqlite, row_count >= MANY_ROWS || (batch_count > 0 && batches[0].next != NULL));
    kw__digests_expect(sqlite, row_count);
    kw__digests_begin(&sqlite->digests, last.commit);
    status = write_all(sqlite, batches, batch_count, apart, &last);
    *is_refused_out = sqlite->is_refused; /* the next one's, after this */
    return kw__write_end(sqlite, status, &last);
}

/*
 * A savepoint costs a copy of every page that the batch touches, and conflicts are rare: the batches are tried without
 * savepoints first, and only when one of them has a conflict all are taken back and done again with them.
 */
enum kw_status kw__sqlite_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    bool is_refused;
    enum kw_status status = commit_all(sqlite, batches, batch_count, false, &is_refused);
    if (batch_count == 1 && (status == KW_E_CONFLICT || is_refused)) {
        return KW_OK; /* the outcome is the batch's own */
    }
    if (status == KW_E_CONFLICT) {
        status = commit_all(sqlite, batches, batch_count, true, &is_refused);
    }
    return status == KW_OK ? KW_OK : kw__store_outcome_for_all(batches, batch_count, status);
}

enum kw_status kw__sqlite_setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size,
                                  size_t *size_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_setting_name(name);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_SETTING_READ);
    bool is_there = false;
    kw__query_text(&query, name);
    status = kw__query_next(&query, &is_there);
    if (is_there) {
        struct kw_bytes found = kw__column_bytes(&query, 0);
        if (size > 0) {
            memcpy(value, found.data, found.size < size ? found.size : size);
        }
        *size_out = found.size;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status == KW_OK && !is_there ? KW_E_NOT_FOUND : status;
}

enum kw_status kw__sqlite_settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                        void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    if (prefix.size > KW_STORE_SETTING_NAME_MAX) {
        return KW_E_LIMIT;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_SETTING_LIST);
    bool is_there = false;
    kw__query_text(&query, prefix);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_setting setting = {kw__column_bytes(&query, 0), kw__column_bytes(&query, 1)};
        if (!kw_bytes_starts_with(setting.name, prefix)) {
            break; /* what begins with the prefix stands together */
        }
        status = sink(context, &setting);
        status = status != KW_OK ? status : kw__query_next(&query, &is_there);
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}
