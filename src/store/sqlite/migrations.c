#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/error.h"
#include <stdio.h>

/* "KEYW": tells this file from any other program's. */
#define APPLICATION_ID 0x4b455957
#define PRAGMA_SIZE 96

/*
 * Each brings a file from the version before to its own. One that has been released is never changed again.
 * Tables without row ids are ordered by their key, and each of their indices ends in that key: an index on (owner,
 * project) gives an owner's rows in the order of their ids.
 *
 * Audit lines come in the order of their commits, which is not quite that of their times. high_ms is the latest time up
 * to a line, so that it ascends with the sequence, and a range of times is a range of sequences: it begins where
 * high_ms reaches its begin, and ends where high_ms is KW__AUDIT_SLACK_MS beyond its end. What comes later still has an
 * index of its own, audit_late.
 *
 * A digest is in its row at once and in the table `digest` later (digests.h): counter.digests is the commit up to which
 * all of them are there.
 */
static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), commits INTEGER NOT NULL, audits INTEGER NOT NULL,"
    "    audit_high_ms INTEGER NOT NULL, events INTEGER NOT NULL) STRICT;"
    "INSERT INTO counter VALUES (1, 0, 0, 0, 0);"
    "CREATE TABLE record (id BLOB NOT NULL PRIMARY KEY, sequence INTEGER NOT NULL, version INTEGER NOT NULL,"
    "    erased INTEGER NOT NULL, digest BLOB NOT NULL, digest_scheme INTEGER NOT NULL, project TEXT NOT NULL,"
    "    env TEXT NOT NULL, owner TEXT NOT NULL, org_id TEXT NOT NULL, tag_count INTEGER NOT NULL,"
    "    tags BLOB NOT NULL, parent_id BLOB, policy TEXT NOT NULL, last_four BLOB NOT NULL,"
    "    expires_at_ms INTEGER NOT NULL, record BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX record_by_digest ON record (digest);"
    "CREATE INDEX record_by_sequence ON record (sequence);"
    "CREATE INDEX record_by_project ON record (project) WHERE erased = 0;"
    "CREATE INDEX record_by_env ON record (env, project) WHERE erased = 0;"
    "CREATE INDEX record_by_owner ON record (owner, project) WHERE erased = 0;"
    "CREATE INDEX record_by_org ON record (org_id, project) WHERE erased = 0 AND org_id <> '';"
    "CREATE INDEX record_by_org_owner ON record (org_id, owner, project) WHERE erased = 0 AND org_id <> '';"
    "CREATE INDEX record_by_parent ON record (parent_id, project) WHERE erased = 0 AND parent_id IS NOT NULL;"
    "CREATE INDEX record_by_policy ON record (policy, project) WHERE erased = 0 AND policy <> '';"
    "CREATE INDEX record_by_expiry ON record (project, expires_at_ms) WHERE erased = 0 AND expires_at_ms <> 0;"
    "CREATE TABLE record_tag (project TEXT NOT NULL, tag TEXT NOT NULL, id BLOB NOT NULL,"
    "    PRIMARY KEY (tag, project, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE project (name TEXT NOT NULL PRIMARY KEY, live INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE setting (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;"
    "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, high_ms INTEGER NOT NULL,"
    "    project TEXT NOT NULL, key_id BLOB, owner TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, body BLOB "
    "NOT NULL) STRICT;"
    "CREATE INDEX audit_by_project ON audit (project);"
    "CREATE INDEX audit_by_key ON audit (key_id) WHERE key_id IS NOT NULL;"
    "CREATE INDEX audit_by_owner ON audit (owner, project) WHERE owner <> '';"
    "CREATE INDEX audit_by_actor ON audit (actor, project);"
    "CREATE INDEX audit_by_action ON audit (action, project);"
    "CREATE INDEX audit_by_high ON audit (high_ms);"
    "CREATE INDEX audit_late ON audit (sequence) WHERE high_ms - at_ms > 5000;"
    "CREATE TABLE event (sequence INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at_ms INTEGER NOT NULL,"
    "    project TEXT NOT NULL, key_id BLOB, type TEXT NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE event_claim (sequence INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL, attempts INTEGER NOT NULL)"
    "    STRICT;"
    "CREATE TABLE usage (lineage_id BLOB NOT NULL, metric TEXT NOT NULL, bucket_start_ms INTEGER NOT NULL,"
    "    amount INTEGER NOT NULL, PRIMARY KEY (lineage_id, metric, bucket_start_ms)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE reservation (lineage_id BLOB NOT NULL, name TEXT NOT NULL, period_start_ms INTEGER NOT NULL,"
    "    taken INTEGER NOT NULL, PRIMARY KEY (lineage_id, name, period_start_ms)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE request (name BLOB NOT NULL PRIMARY KEY, digest BLOB NOT NULL, key_id BLOB NOT NULL,"
    "    at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX request_by_time ON request (at_ms);",
    /* 2: what was reserved before says nothing of its end, so it stays. */
    "ALTER TABLE reservation ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 9223372036854775807;"
    "ALTER TABLE reservation ADD COLUMN note BLOB;"
    "CREATE INDEX reservation_by_until ON reservation (until_ms);",
    /* 3: nothing had been counted before. A project's hours and days are ranges of their tables, so that adding them up
     * and removing them needs no index; a lineage is read bucket by bucket. */
    "DROP TABLE usage;"
    "CREATE TABLE usage_hour (project TEXT NOT NULL, bucket_start_ms INTEGER NOT NULL, lineage_id BLOB NOT NULL,"
    "    dimension INTEGER NOT NULL, value TEXT NOT NULL, amount INTEGER NOT NULL,"
    "    PRIMARY KEY (project, bucket_start_ms, lineage_id, dimension, value)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE usage_day (project TEXT NOT NULL, bucket_start_ms INTEGER NOT NULL, lineage_id BLOB NOT NULL,"
    "    dimension INTEGER NOT NULL, value TEXT NOT NULL, amount INTEGER NOT NULL,"
    "    PRIMARY KEY (project, bucket_start_ms, lineage_id, dimension, value)) STRICT, WITHOUT ROWID;"
    "ALTER TABLE record ADD COLUMN used_at_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE record ADD COLUMN used_address BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE record ADD COLUMN used_region TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX record_by_use ON record (project, used_at_ms) WHERE erased = 0 AND used_at_ms <> 0;",
    /* 4 */
    "ALTER TABLE counter ADD COLUMN digests INTEGER NOT NULL DEFAULT 0;"
    "UPDATE counter SET digests = commits;"
    "CREATE TABLE digest (start BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (start, id)) STRICT, WITHOUT ROWID;"
    "INSERT INTO digest (start, id) SELECT substr(digest, 1, 6), id FROM record INDEXED BY record_by_digest"
    "    ORDER BY digest;"
    "DROP INDEX record_by_digest;",
    /* 5: what was never used is looked for too. */
    "DROP INDEX record_by_use;"
    "CREATE INDEX record_by_use ON record (project, used_at_ms) WHERE erased = 0;",
    /* 6 */
    "CREATE INDEX record_by_erased ON record (id) WHERE erased = 1;",
    /* 7 */
    "CREATE TABLE usage_deferred (sequence INTEGER PRIMARY KEY, part INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;"
    "CREATE INDEX usage_deferred_by_part ON usage_deferred (part);"
    "ALTER TABLE counter ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;", /* bytes of all that wait */
    /* 8: a table of its own, so that sealing a line does not write its row again. */
    "ALTER TABLE audit ADD COLUMN context BLOB NOT NULL DEFAULT x'';"
    "CREATE TABLE audit_seal (sequence INTEGER PRIMARY KEY, seal BLOB NOT NULL) STRICT;",
    /* 9: events are a log. Those of before get the names and the form of the catalogue; nobody could ask to be told of
     * them, so none waits. */
    "ALTER TABLE event ADD COLUMN env TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE event ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "UPDATE event SET env = ifnull(CAST(json_extract(CAST(body AS TEXT), '$.env') AS TEXT), ''),"
    "    owner = ifnull(CAST(json_extract(CAST(body AS TEXT), '$.owner') AS TEXT), ''),"
    "    body = CAST(json_remove(CAST(body AS TEXT), '$.keyId', '$.env', '$.owner') AS BLOB)"
    "    WHERE key_id IS NOT NULL AND json_valid(CAST(body AS TEXT));"
    "UPDATE event SET type = iif(json_extract(CAST(body AS TEXT), '$.percent') >= 100, 'key.quota.exceeded',"
    "    'key.quota.warning') WHERE type = 'quota.reached' AND json_valid(CAST(body AS TEXT));"
    "UPDATE event SET type = 'key.quota.credited' WHERE type = 'quota.credited';"
    "UPDATE event SET type = substr(type, 1, instr(type, '.')) || 'changed',"
    "    body = CAST(json_set(CAST(body AS TEXT), '$.change', substr(type, instr(type, '.') + 1)) AS BLOB)"
    "    WHERE json_valid(CAST(body AS TEXT)) AND substr(type, 1, instr(type, '.')) IN ('project.', 'policy.', "
    "'template.');"
    "DELETE FROM event_claim;"
    "CREATE INDEX event_by_project ON event (project, sequence, at_ms);"
    "CREATE INDEX event_by_key ON event (key_id) WHERE key_id IS NOT NULL;",
    /* 10: when rows are due only their records say, which whoever reads them sees to. */
    "ALTER TABLE record ADD COLUMN due_at_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX record_by_due ON record (due_at_ms) WHERE due_at_ms <> 0;",
    /* 11 */
    "CREATE TABLE audit_checkpoint (project TEXT NOT NULL, place INTEGER NOT NULL, bytes BLOB NOT NULL,"
    "    PRIMARY KEY (project, place)) STRICT, WITHOUT ROWID;",
    /* 12: a delivery's key_id is there where it keeps the order of its key; channels are those of a message's
     * deliveries, eight bytes each, so that these are found when it is removed. */
    "CREATE TABLE message (sequence INTEGER PRIMARY KEY, id BLOB NOT NULL, at_ms INTEGER NOT NULL, type TEXT NOT NULL,"
    "    body BLOB NOT NULL, key_id BLOB, channels BLOB NOT NULL) STRICT;"
    "CREATE TABLE delivery (channel INTEGER NOT NULL, sequence INTEGER NOT NULL, key_id BLOB, is_ordered INTEGER NOT "
    "NULL,"
    "    state INTEGER NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, tries BLOB NOT NULL,"
    "    PRIMARY KEY (channel, sequence)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX delivery_by_due ON delivery (channel, state, due_ms) WHERE state < 2;"
    "CREATE INDEX delivery_by_key ON delivery (channel, key_id) WHERE state < 3 AND key_id IS NOT NULL;",
};
#define VERSION_NEWEST ((int64_t)KW_COUNT_OF(migrations))

static int read_number(sqlite3 *db, const char *sql, int64_t *number_out)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result != SQLITE_OK) {
        return result;
    }
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *number_out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

static int run_one(sqlite3 *db, size_t index)
{
    char pragma[PRAGMA_SIZE];
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %zu;", APPLICATION_ID,
             index + 1);
    int result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        return result;
    }
    const char *steps[] = {migrations[index], pragma, "COMMIT"};
    for (size_t i = 0; i < KW_COUNT_OF(steps) && result == SQLITE_OK; i++) {
        result = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
    }
    if (result != SQLITE_OK) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return result;
}

static enum kw_status fail_reading(sqlite3 *db, int result, struct kw_error *error_out)
{
    enum kw_status status = kw__sqlite_status(result);
    /* A fresh failure of SQL here is a schema that is not what the file's version says. */
    bool is_damaged = status == KW_E_CORRUPT || result == SQLITE_ERROR;
    if (is_damaged) {
        kw_fail(error_out, KW_E_CORRUPT, "STORE_CORRUPT", NULL,
                "The store holds damaged data. Restore it from a backup.");
    } else if (status == KW_E_FULL) {
        kw_fail(error_out, status, "STORE_FULL", NULL, KW__SQLITE_FULL_TEXT);
    } else {
        kw_fail(error_out, status, "STORE_UNAVAILABLE", NULL, "The store cannot be read or written.");
    }
    kw_error_detail(error_out, "SQLite: %s (%d)", sqlite3_errmsg(db), sqlite3_extended_errcode(db));
    return is_damaged ? KW_E_CORRUPT : status;
}

enum kw_status kw__sqlite_migrate_to(sqlite3 *db, int64_t version_wanted, struct kw_error *error_out)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t objects = 0;
    int result = read_number(db, "SELECT count(*) FROM sqlite_schema", &objects);
    result = result == SQLITE_OK ? read_number(db, "PRAGMA application_id", &application) : result;
    result = result == SQLITE_OK ? read_number(db, "PRAGMA user_version", &version) : result;
    if (result != SQLITE_OK) {
        return fail_reading(db, result, error_out);
    }
    bool is_new = application == 0 && version == 0 && objects == 0;
    if (!is_new && (application != APPLICATION_ID || version < 1)) {
        kw_fail(error_out, KW_E_CORRUPT, "STORE_CORRUPT", NULL,
                "The file belongs to another program. Choose another path for the store.");
        kw_error_detail(error_out, "application_id %lld, user_version %lld", (long long)application,
                        (long long)version);
        return KW_E_CORRUPT;
    }
    if (version > VERSION_NEWEST) {
        kw_fail(error_out, KW_E_NEWER, "STORE_NEWER", NULL,
                "The store was written by a newer Keyward. Start that version or a later one.");
        kw_error_detail(error_out, "schema version %lld, this program knows %lld", (long long)version,
                        (long long)VERSION_NEWEST);
        return KW_E_NEWER;
    }
    for (; version < version_wanted && result == SQLITE_OK; version++) {
        result = run_one(db, (size_t)version);
    }
    return result == SQLITE_OK ? KW_OK : fail_reading(db, result, error_out);
}

enum kw_status kw__sqlite_migrate(sqlite3 *db, struct kw_error *error_out)
{
    return kw__sqlite_migrate_to(db, VERSION_NEWEST, error_out);
}
