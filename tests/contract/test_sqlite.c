/* The SQLite store's file: what it looks like, whose it may be, what is refused, and who else may have it open. */
#include "contract/contract.h"
#include "contract/version_1.h"
#include "store/sqlite/sql.h"
#include "store/sqlite/sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE 4096
#define ROWS 300

static void check_refused(struct contract *c, const char *path, enum kw_status expected, const char *code)
{
    struct kw_error error = {0};
    struct kw_store *store = NULL;
    CHECK_STATUS(c->t, kw_store_sqlite_open(path, &store, &error), expected);
    CHECK_STATUS(c->t, error.status, expected);
    CHECK_TEXT(c->t, error.code, code);
    CHECK(c->t, error.message[0] != '\0');
    CHECK(c->t, error.detail[0] != '\0');
    CHECK(c->t, strstr(error.message, "/") == NULL || strstr(error.message, c->folder) == NULL);
    CHECK(c->t, store == NULL);
}

static void check_opens(struct contract *c)
{
    CHECK(c->t, contract_open(c));
    if (c->store != NULL) {
        c->store->ops->close(c->store);
        c->store = NULL;
    }
}

/* Runs SQL on the closed file, as some other program would. */
static void run_sql(struct contract *c, const char *sql)
{
    sqlite3 *db = NULL;
    CHECK_I64(c->t, sqlite3_open(c->path, &db), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_close(db), SQLITE_OK);
}

static int read_version(struct contract *c)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    CHECK_I64(c->t, sqlite3_open(c->path, &db), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_step(statement), SQLITE_ROW);
    int version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    CHECK_I64(c->t, sqlite3_close(db), SQLITE_OK);
    return version;
}

static bool make_store(struct contract *c, struct test *t)
{
    bool is_open = contract_begin(c, t, &contract_sqlite) && contract_open(c);
    for (uint64_t first = 1; first < ROWS && is_open; first += 100) {
        struct kw_store_put puts[100];
        for (uint64_t i = 0; i < KW_COUNT_OF(puts); i++) {
            puts[i] = contract_put(c, first + i, 0);
        }
        CHECK_STATUS(t, contract_commit_puts(c, puts, KW_COUNT_OF(puts)), KW_OK);
    }
    return is_open;
}

static void close_store(struct contract *c)
{
    c->store->ops->close(c->store);
    c->store = NULL;
}

static void only_the_owner_may_read_the_files(struct test *t)
{
    struct contract c;
    const char *const endings[] = {"", "-wal", "-shm", ".lock"};
    mode_t before = umask(0);
    if (make_store(&c, t)) {
        for (size_t i = 0; i < KW_COUNT_OF(endings); i++) {
            char path[CONTRACT_PATH_MAX + 8];
            struct stat info = {0};
            snprintf(path, sizeof path, "%s%s", c.path, endings[i]);
            CHECK_I64(t, stat(path, &info), 0);
            CHECK_I64(t, info.st_mode & 07777, 0600);
        }
    }
    contract_end(&c);
    umask(before);
}

static void a_closed_store_is_one_sound_file(struct test *t)
{
    struct contract c;
    struct stat info;
    char wal_path[CONTRACT_PATH_MAX + 8];
    if (make_store(&c, t)) {
        close_store(&c);
        snprintf(wal_path, sizeof wal_path, "%s-wal", c.path);
        CHECK(t, stat(wal_path, &info) != 0);
        sqlite3 *db = NULL;
        sqlite3_stmt *check = NULL;
        CHECK_I64(t, sqlite3_open(c.path, &db), SQLITE_OK);
        CHECK_I64(t, sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
        CHECK_I64(t, sqlite3_step(check), SQLITE_ROW);
        CHECK_TEXT(t, (const char *)sqlite3_column_text(check, 0), "ok");
        sqlite3_finalize(check);
        sqlite3_close(db);
    }
    contract_end(&c);
}

static void a_file_of_a_newer_version_is_refused(struct test *t)
{
    struct contract c;
    if (make_store(&c, t)) {
        char pragma[64];
        close_store(&c);
        snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", read_version(&c));
        run_sql(&c, "PRAGMA user_version = 1000");
        check_refused(&c, c.path, KW_E_NEWER, "STORE_NEWER");
        run_sql(&c, pragma);
        check_opens(&c);
    }
    contract_end(&c);
}

/* What was put into the file of version_1.h: four keys, the second changed, the third erased. */
static void check_version_1(struct contract *c)
{
    struct kw_store_put tagged = contract_put(c, 1, 0);
    struct kw_store_put changed = contract_put(c, 2, 1);
    struct kw_store_put wide = contract_put(c, 4, 0);
    uint8_t wide_digest[64];
    memcpy(wide_digest, wide.row.digest.data, 32);
    memcpy(wide_digest + 32, contract_digest(c, 3).data, 32);
    wide.row.digest = kw_bytes_of(wide_digest, sizeof wide_digest);
    tagged.row.tags = contract_tags(c, "production");
    contract_check_found(c, 1, &tagged);
    contract_check_found(c, 2, &changed);
    contract_check_found(c, 3, NULL);
    contract_check_found(c, 4, &wide);
    struct contract_rows erased = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->tombstones(c->store, &(struct kw_id){{0}}, 9, contract_keep_row, &erased), KW_OK);
    CHECK(c->t, erased.count == 1 && contract_id_equal(erased.items[0].id, contract_id(3)));
    const struct kw_bytes digests[] = {tagged.row.digest, changed.row.digest, contract_digest(c, 3), wide.row.digest};
    for (size_t i = 0; i < KW_COUNT_OF(digests); i++) {
        struct contract_rows rows = contract_rows(c);
        CHECK_STATUS(c->t, c->store->ops->find_by_digest(c->store, digests[i], contract_keep_row, &rows), KW_OK);
        CHECK(c->t, rows.count == 1 && contract_id_equal(rows.items[0].id, contract_id(i + 1)));
        struct kw_store_put again = contract_put(c, 100 + i, 0);
        again.row.digest = digests[i];
        CHECK_STATUS(c->t, contract_commit_put(c, again), KW_E_CONFLICT);
    }
}

static void a_file_of_the_first_version_is_brought_up_to_date(struct test *t)
{
    struct contract c;
    if (contract_begin(&c, t, &contract_sqlite)) {
        for (size_t i = 0; i < KW_COUNT_OF(version_1); i++) {
            run_sql(&c, version_1[i]);
        }
        REQUIRE(t, contract_open(&c));
        check_version_1(&c);
        CHECK_STATUS(t, contract_commit_put(&c, contract_put(&c, 5, 0)), KW_OK);
        CHECK(t, contract_reopen(&c));
        check_version_1(&c);
        struct kw_store_put fifth = contract_put(&c, 5, 0);
        contract_check_found(&c, 5, &fifth);
    }
    contract_end(&c);
}

/* Two that the log has in today's names and form, and that nobody is told of any more. */
static void check_older_events(struct contract *c)
{
    struct contract_events waiting = contract_events(c);
    struct contract_events events = contract_events(c);
    struct kw_store_event_filter all = {.limit = 9};
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, 1, 2, 9, contract_keep_event, &waiting), KW_OK);
    CHECK_I64(c->t, waiting.count, 0);
    CHECK_STATUS(c->t, c->store->ops->events_list(c->store, &all, contract_keep_event, &events), KW_OK);
    REQUIRE(c->t, events.count == 2);
    CHECK_BYTES(c->t, events.items[0].type, KW_BYTES("key.quota.exceeded"));
    CHECK_BYTES(c->t, events.items[0].owner, KW_BYTES("user:1"));
    CHECK_BYTES(c->t, events.items[0].body, KW_BYTES("{\"percent\":100}"));
    CHECK_BYTES(c->t, events.items[1].type, KW_BYTES("policy.changed"));
    CHECK_BYTES(c->t, events.items[1].body, KW_BYTES("{\"name\":\"a\",\"change\":\"updated\"}"));
}

/* A file as the first version left it: what is in it stays, and what came later is there. */
static void a_file_of_an_older_version_is_brought_up_to_date(struct test *t)
{
    struct contract c;
    sqlite3 *db = NULL;
    if (contract_begin(&c, t, &contract_sqlite)) {
        struct kw_error error = {0};
        CHECK_I64(t, sqlite3_open(c.path, &db), SQLITE_OK);
        CHECK_STATUS(t, kw__sqlite_migrate_to(db, 1, &error), KW_OK);
        CHECK_I64(t, sqlite3_close(db), SQLITE_OK);
        run_sql(&c, "INSERT INTO setting VALUES ('kept', x'01')");
        run_sql(&c, "INSERT INTO audit VALUES (1, 5, 5, 'default', NULL, '', 'root', 'a', x'7b7d')");
        run_sql(&c, "INSERT INTO reservation VALUES (x'01000000000000000000000000000001', 'day', 1000, 7)");
        run_sql(&c, "INSERT INTO event VALUES (3, x'00000000000000000000000000000003', 5, 'default', "
                    "x'00000000000000000000000000000009', 'quota.reached', "
                    "CAST('{\"percent\":100,\"owner\":\"user:1\"}' AS BLOB))");
        run_sql(&c, "INSERT INTO event VALUES (4, x'00000000000000000000000000000004', 6, 'default', NULL, "
                    "'policy.updated', CAST('{\"name\":\"a\"}' AS BLOB))");
        run_sql(&c, "INSERT INTO event_claim VALUES (3, 0, 0), (4, 0, 0)");
        struct contract_reservations rows = contract_reservations(&c);
        struct kw_id id = contract_id(1);
        size_t size = 0;
        REQUIRE(t, contract_open(&c));
        CHECK_STATUS(t, c.store->ops->setting(c.store, KW_BYTES("kept"), NULL, 0, &size), KW_OK);
        struct contract_audits lines = contract_audits(&c);
        struct kw_store_audit_filter all = {.limit = 9};
        CHECK_STATUS(t, c.store->ops->audit_query(c.store, &all, contract_keep_audit, &lines), KW_OK);
        REQUIRE(t, lines.count == 1);
        CHECK_BYTES(t, lines.items[0].body, KW_BYTES("{}"));
        CHECK_I64(t, lines.items[0].context.size + lines.items[0].seal.size, 0);
        CHECK_STATUS(t,
                     c.store->ops->reservations_read(c.store, &id, KW_BYTES("day"), INT64_MAX - 1,
                                                     contract_keep_reservation, &rows),
                     KW_OK);
        CHECK_I64(t, rows.count, 1);
        struct kw_store_reservation more = contract_reservation(10, 5);
        struct kw_store_batch batch = {.reservations = &more, .reservation_count = 1};
        CHECK_STATUS(t, contract_commit(&c, &batch), KW_OK);
        CHECK_I64(t, more.granted, 3);
        check_older_events(&c);
    }
    contract_end(&c);
}

static void a_file_of_another_program_is_refused(struct test *t)
{
    const char *const strangers[] = {
        "CREATE TABLE theirs (a)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 7; PRAGMA user_version = 1; CREATE TABLE record (id)",
        "PRAGMA application_id = 1262835031; PRAGMA user_version = 0; CREATE TABLE theirs (a)",
    };
    for (size_t i = 0; i < KW_COUNT_OF(strangers); i++) {
        struct contract c;
        if (contract_begin(&c, t, &contract_sqlite)) {
            run_sql(&c, strangers[i]);
            check_refused(&c, c.path, KW_E_CORRUPT, "STORE_CORRUPT");
        }
        contract_end(&c);
    }
}

static void write_file(struct contract *c, const void *data, size_t size)
{
    int fd = open(c->path, O_RDWR | O_CREAT, 0600);
    CHECK(c->t, fd >= 0);
    CHECK_I64(c->t, pwrite(fd, data, size, 0), size);
    close(fd);
}

static void garbage_is_refused(struct test *t)
{
    static const size_t sizes[] = {1, 15, 16, 99, 100, 511, 512, PAGE_SIZE, 3 * PAGE_SIZE + 7};
    for (size_t i = 0; i < KW_COUNT_OF(sizes); i++) {
        struct contract c;
        uint8_t data[4 * PAGE_SIZE];
        for (size_t byte = 0; byte < sizeof data; byte++) {
            data[byte] = (uint8_t)test_random(t);
        }
        if (contract_begin(&c, t, &contract_sqlite)) {
            write_file(&c, data, sizes[i]);
            check_refused(&c, c.path, KW_E_CORRUPT, "STORE_CORRUPT");
        }
        contract_end(&c);
    }
}

static void a_truncated_file_is_refused(struct test *t)
{
    struct contract c;
    if (make_store(&c, t)) {
        struct stat info = {0};
        close_store(&c);
        CHECK_I64(t, stat(c.path, &info), 0);
        const off_t sizes[] = {info.st_size - PAGE_SIZE,
                               info.st_size - 1,
                               info.st_size / 2,
                               2 * PAGE_SIZE,
                               PAGE_SIZE,
                               PAGE_SIZE - 1,
                               100,
                               1};
        for (size_t i = 0; i < KW_COUNT_OF(sizes); i++) {
            CHECK_I64(t, truncate(c.path, sizes[i]), 0);
            check_refused(&c, c.path, KW_E_CORRUPT, "STORE_CORRUPT");
        }
    }
    contract_end(&c);
}

/* With a log beside it SQLite trusts the log for the size; what neither file holds must still be missed. */
static void a_truncated_file_with_its_log_is_refused(struct test *t)
{
    struct contract c;
    char copy[CONTRACT_PATH_MAX + 8];
    char wal[CONTRACT_PATH_MAX + 8];
    char wal_copy[CONTRACT_PATH_MAX + 16];
    if (make_store(&c, t)) {
        CHECK(t, contract_reopen(&c)); /* everything is in the file now, and the log is empty */
        CHECK_STATUS(t, contract_commit_put(&c, contract_put(&c, ROWS + 1, 0)), KW_OK);
        snprintf(copy, sizeof copy, "%s2", c.path);
        snprintf(wal, sizeof wal, "%s-wal", c.path);
        snprintf(wal_copy, sizeof wal_copy, "%s-wal", copy);
        CHECK(t, contract_copy_file(c.path, copy) && contract_copy_file(wal, wal_copy));
        close_store(&c);
        CHECK_I64(t, truncate(copy, 3 * PAGE_SIZE), 0);
        check_refused(&c, copy, KW_E_CORRUPT, "STORE_CORRUPT");
    }
    contract_end(&c);
}

static void a_missing_table_is_refused(struct test *t)
{
    const char *const damages[] = {"DROP TABLE record_tag", "DROP INDEX record_by_owner", "DELETE FROM counter",
                                   "ALTER TABLE audit RENAME COLUMN body TO text"};
    for (size_t i = 0; i < KW_COUNT_OF(damages); i++) {
        struct contract c;
        if (make_store(&c, t)) {
            close_store(&c);
            run_sql(&c, damages[i]);
            check_refused(&c, c.path, KW_E_CORRUPT, "STORE_CORRUPT");
        }
        contract_end(&c);
    }
}

static void damage_that_is_met_in_use_is_corrupt(struct test *t)
{
    struct contract c;
    if (make_store(&c, t)) {
        close_store(&c);
        run_sql(&c, "UPDATE record SET id = x'01' WHERE id = (SELECT min(id) FROM record)");
        CHECK(t, contract_open(&c));
        struct contract_rows rows = contract_rows(&c);
        struct kw_store_filter filter = {.limit = 10};
        CHECK_STATUS(t, c.store->ops->list(c.store, &filter, contract_keep_row, &rows), KW_E_CORRUPT);
        CHECK_I64(t, rows.count, 0);
    }
    contract_end(&c);
}

static void a_path_that_cannot_be_is_unavailable(struct test *t)
{
    struct contract c;
    if (contract_begin(&c, t, &contract_sqlite)) {
        char path[CONTRACT_PATH_MAX + 32];
        char long_path[6000];
        snprintf(path, sizeof path, "%s/none/keys.db", c.folder);
        check_refused(&c, path, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE");
        check_refused(&c, c.folder, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE");
        check_refused(&c, "", KW_E_UNAVAILABLE, "STORE_UNAVAILABLE");
        memset(long_path, 'a', sizeof long_path - 1);
        long_path[sizeof long_path - 1] = '\0';
        check_refused(&c, long_path, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE");
        snprintf(path, sizeof path, "%s/dangling", c.folder);
        CHECK_I64(t, symlink("nowhere/at/all", path), 0);
        check_refused(&c, path, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE");
        CHECK(t, kw_store_sqlite_open(path, &c.store, NULL) == KW_E_UNAVAILABLE);
    }
    contract_end(&c);
}

static void a_second_opening_is_refused_by_any_name(struct test *t)
{
    struct contract c;
    if (make_store(&c, t)) {
        char link_path[CONTRACT_PATH_MAX + 8];
        char dotted[CONTRACT_PATH_MAX + 16];
        snprintf(link_path, sizeof link_path, "%s.link", c.path);
        snprintf(dotted, sizeof dotted, "%s/./keys.db", c.folder);
        CHECK_I64(t, symlink("keys.db", link_path), 0);
        check_refused(&c, c.path, KW_E_BUSY, "DATA_IN_USE");
        check_refused(&c, link_path, KW_E_BUSY, "DATA_IN_USE");
        check_refused(&c, dotted, KW_E_BUSY, "DATA_IN_USE");
        /* The refusals did no harm to the one that has it open. */
        CHECK_STATUS(t, contract_commit_put(&c, contract_put(&c, ROWS + 1, 0)), KW_OK);
        close_store(&c);
        check_opens(&c);
    }
    contract_end(&c);
}

static void an_empty_file_becomes_a_store(struct test *t)
{
    struct contract c;
    if (contract_begin(&c, t, &contract_sqlite)) {
        write_file(&c, "", 0);
        check_opens(&c);
    }
    contract_end(&c);
}

/* Statements that look at all of something by their nature: nothing to be found by was given, or there is little. */
static bool may_scan(int sql)
{
    static const enum kw__sql allowed[] = {KW__SQL_COUNT_READ_ALL, KW__SQL_EVENT_CLAIMABLE, KW__SQL_DIGEST_ALL};
    for (size_t i = 0; i < KW_COUNT_OF(allowed); i++) {
        if ((int)allowed[i] == sql) {
            return true;
        }
    }
    return false;
}

/* Page 10,000 costs what page 1 does when every list is a range of an index, read in its order. */
static void no_statement_scans_or_sorts(struct test *t)
{
    struct contract c;
    sqlite3 *db = NULL;
    if (make_store(&c, t)) {
        close_store(&c);
        CHECK_I64(t, sqlite3_open(c.path, &db), SQLITE_OK);
        for (int i = 0; i < KW__SQL_COUNT; i++) {
            char text[4096];
            sqlite3_stmt *plan = NULL;
            snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", kw__sql_texts[i]);
            CHECK_I64(t, sqlite3_prepare_v2(db, text, -1, &plan, NULL), SQLITE_OK);
            while (sqlite3_step(plan) == SQLITE_ROW) {
                const char *line = (const char *)sqlite3_column_text(plan, 3);
                bool scans = strncmp(line, "SCAN ", 5) == 0 && strncmp(line, "SCAN (", 6) != 0 &&
                             strstr(line, "CONSTANT ROWS") == NULL;
                bool is_good = (may_scan(i) || !scans) && strstr(line, "TEMP B-TREE") == NULL;
                if (!is_good) {
                    test_fail(t, __FILE__, __LINE__, "%s: %s", kw__sql_texts[i], line);
                }
            }
            sqlite3_finalize(plan);
        }
        sqlite3_close(db);
    }
    contract_end(&c);
}

/* A seal that was left behind would take the place of the one that is put there by hand. */
static void a_pruned_line_leaves_no_seal_behind(struct test *t)
{
    struct contract c;
    if (contract_begin(&c, t, &contract_sqlite) && contract_open(&c)) {
        struct kw_store_audit lines[] = {contract_audit(&c, 1, 10), contract_audit(&c, 2, 9000),
                                         contract_audit(&c, 3, 20)};
        struct kw_store_seal seals[] = {{1, KW_BYTES("a")}, {2, KW_BYTES("b")}, {3, KW_BYTES("c")}};
        struct kw_store_batch batch = {
            .audits = lines, .audit_count = KW_COUNT_OF(lines), .seals = seals, .seal_count = KW_COUNT_OF(seals)};
        uint64_t removed = 0;
        CHECK_STATUS(t, contract_commit(&c, &batch), KW_OK);
        CHECK_STATUS(t, c.store->ops->audit_prune(c.store, KW_BYTES("default"), 2, 9, &removed), KW_OK);
        CHECK_I64(t, removed, 2);
        close_store(&c);
        run_sql(&c, "INSERT INTO audit_seal VALUES (1, x'00'), (2, x'00')");
    }
    contract_end(&c);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(only_the_owner_may_read_the_files),
        TEST_CASE(a_closed_store_is_one_sound_file),
        TEST_CASE(a_file_of_a_newer_version_is_refused),
        TEST_CASE(a_file_of_an_older_version_is_brought_up_to_date),
        TEST_CASE(a_file_of_the_first_version_is_brought_up_to_date),
        TEST_CASE(a_file_of_another_program_is_refused),
        TEST_CASE(garbage_is_refused),
        TEST_CASE(a_truncated_file_is_refused),
        TEST_CASE(a_truncated_file_with_its_log_is_refused),
        TEST_CASE(a_missing_table_is_refused),
        TEST_CASE(damage_that_is_met_in_use_is_corrupt),
        TEST_CASE(a_path_that_cannot_be_is_unavailable),
        TEST_CASE(a_second_opening_is_refused_by_any_name),
        TEST_CASE(an_empty_file_becomes_a_store),
        TEST_CASE(no_statement_scans_or_sorts),
        TEST_CASE(a_pruned_line_leaves_no_seal_behind),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
