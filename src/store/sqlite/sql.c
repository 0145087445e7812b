#include "store/sqlite/sql.h"

#define ROW_COLUMNS \
    "id, sequence, version, erased, digest, digest_scheme, project, env, owner, org_id, tag_count, tags, parent_id, " \
    "policy, last_four, expires_at_ms, record, due_at_ms"
#define ROW_SHOWN ROW_COLUMNS ", used_at_ms, used_address, used_region"

/*
 * Lists and counts share their parameters: 1 project, 2 and 3 the ids between which rows are looked at, 4 the most rows
 * (-1: all), 5 and 6 what is wanted. One of them reads a range of one index in its order, so that a late page costs
 * what the first one does; what else a filter asks of a row is the caller's to see to.
 */
#define RANGE " AND id > ?2 AND id < ?3"
#define WAY(index, where) "record INDEXED BY " index " WHERE erased = 0 AND project = ?1 AND " where RANGE
#define WAY_PROJECT "record INDEXED BY record_by_project WHERE erased = 0 AND project = ?1" RANGE
#define WAY_EXPIRY "record INDEXED BY record_by_expiry WHERE erased = 0 AND expires_at_ms <> 0 AND project = ?1"
#define WAY_USE "record INDEXED BY record_by_use WHERE erased = 0 AND project = ?1"
#define WAY_TAG "record_tag WHERE project = ?1 AND tag = ?5" RANGE
#define LIST(from) "SELECT " ROW_SHOWN " FROM " from " ORDER BY id LIMIT ?4"
#define LIST_BACK(from) "SELECT " ROW_SHOWN " FROM " from " ORDER BY id DESC LIMIT ?4"
#define COUNT(from) "SELECT count(*) FROM (SELECT 1 FROM " from " LIMIT ?4)"
#define LISTS(name, from) \
    [KW__SQL_LIST_##name] = LIST(from), [KW__SQL_LIST_##name##_BACK] = LIST_BACK(from), \
    [KW__SQL_COUNT_##name] = COUNT(from)

#define AUDIT_COLUMNS "sequence, at_ms, project, key_id, owner, actor, action, body, context"
#define AUDIT_SHOWN AUDIT_COLUMNS ", (SELECT seal FROM audit_seal WHERE audit_seal.sequence = audit.sequence)"
/* 1 after, 2 limit, 3 project, 4 key, 5 owner, 6 actor, 7 action, 8 from, 9 until, 10 last; empty, NULL or 0 means any.
 */
#define AUDIT_BY(from) \
    "SELECT " AUDIT_SHOWN " FROM audit " from " AND sequence > ?1 AND sequence <= ?10" \
    " AND (?3 = '' OR project = ?3) AND (?4 IS NULL OR key_id = ?4) AND (?5 = '' OR owner = ?5)" \
    " AND (?6 = '' OR actor = ?6) AND (?7 = '' OR action = ?7) AND at_ms >= ?8 AND (?9 = 0 OR at_ms < ?9)"
#define AUDITS(name, from) \
    [KW__SQL_AUDIT_##name] = AUDIT_BY(from) " ORDER BY sequence LIMIT ?2", \
    [KW__SQL_AUDIT_##name##_BACK] = AUDIT_BY(from) " ORDER BY sequence DESC LIMIT ?2"
/* The lines that are pruned next: the same for their seals, as long as these go first. */
#define AUDIT_OLDEST \
    "(SELECT sequence FROM audit INDEXED BY audit_by_project WHERE project = ?1 AND sequence <= ?2 ORDER BY sequence " \
    "LIMIT ?3)"

#define ROWS_4(row) row ", " row ", " row ", " row
#define ROWS_SOME(row) ROWS_4(row) ", " ROWS_4(row)                                               /* 8 */
#define ROWS_MANY(row) ROWS_SOME(row) ", " ROWS_SOME(row) ", " ROWS_SOME(row) ", " ROWS_SOME(row) /* 32 */
/*
 * To fail leaves the lines before it in place, and spares SQLite the copies of pages by which it could take them back:
 * whoever runs these takes back more than one statement.
 */
#define INSERT(into, row) "INSERT OR FAIL INTO " into " VALUES " row
#define ROW_INTO "record (" ROW_COLUMNS ")"
#define ROW_VALUES "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define TAG_INSERT(rows) "INSERT OR IGNORE INTO record_tag (project, tag, id) VALUES " rows
#define DIGEST_INSERT(rows) "INSERT OR IGNORE INTO digest (start, id) VALUES " rows
#define AUDIT_INTO "audit (" AUDIT_COLUMNS ", high_ms)"
#define AUDIT_VALUES "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define SEAL_INTO "audit_seal (sequence, seal)"
#define SEAL_VALUES "(?, ?)"
#define EVENT_COLUMNS "sequence, id, at_ms, project, key_id, env, owner, type, body"
#define EVENT_INTO "event (" EVENT_COLUMNS ")"
#define EVENT_VALUES "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
/* 1 after, 2 limit, 3 project, 4 key, 5 from, 6 last; empty, NULL or 0 means any. */
#define EVENT_BY(from) \
    "SELECT " EVENT_COLUMNS " FROM event " from " AND sequence > ?1 AND sequence <= ?6" \
    " AND (?3 = '' OR project = ?3) AND (?4 IS NULL OR key_id = ?4) AND at_ms >= ?5"
#define EVENTS(name, from) \
    [KW__SQL_EVENT_##name] = EVENT_BY(from) " ORDER BY sequence LIMIT ?2", \
    [KW__SQL_EVENT_##name##_BACK] = EVENT_BY(from) " ORDER BY sequence DESC LIMIT ?2"
/* 1 project, 2 before, 3 limit, 4 how many are looked at. Both find the same ones, as long as their claims go first. */
#define EVENT_DELETE(from) \
    "DELETE FROM " from " WHERE sequence IN (SELECT sequence FROM (SELECT sequence, at_ms FROM event INDEXED BY" \
    " event_by_project WHERE project = ?1 ORDER BY sequence LIMIT ?4) WHERE at_ms < ?2 LIMIT ?3)"
#define CLAIM_INTO "event_claim (sequence, until_ms, attempts)"
#define CLAIM_VALUES "(?, -9223372036854775808, 0)"

#define USAGE_ADD(into) \
    "INSERT INTO " into \
    " (project, bucket_start_ms, lineage_id, dimension, value, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)" \
    " ON CONFLICT (project, bucket_start_ms, lineage_id, dimension, value) DO UPDATE SET amount = CASE WHEN amount >" \
    " 9223372036854775807 - excluded.amount THEN 9223372036854775807 ELSE amount + excluded.amount END"
/* The first bucket of a project that begins at ?2 or after it, and before ?3. */
#define USAGE_BUCKET(from) \
    "SELECT bucket_start_ms FROM " from " WHERE project = ?1 AND bucket_start_ms >= ?2 AND bucket_start_ms < ?3" \
    " ORDER BY bucket_start_ms LIMIT 1"
#define USAGE_READ(from) \
    "SELECT dimension, value, amount FROM " from " WHERE project = ?1 AND bucket_start_ms = ?2 AND lineage_id = ?3" \
    " ORDER BY dimension, value"
#define USAGE_DROP(from) \
    "DELETE FROM " from " WHERE (project, bucket_start_ms, lineage_id, dimension, value) IN (SELECT project," \
    " bucket_start_ms, lineage_id, dimension, value FROM " from " WHERE project = ?1 AND bucket_start_ms < ?2" \
    " ORDER BY bucket_start_ms, lineage_id, dimension, value LIMIT ?3)"

/* The first of a key that has not ended: the states from KW_DELIVERY_DONE on have. */
#define FIRST_OF_KEY(what, of_channel, of_key) \
    "(SELECT " what " FROM delivery AS f INDEXED BY delivery_by_key WHERE f.channel = " of_channel \
    " AND f.key_id = " of_key " AND f.state < 3 AND f.key_id IS NOT NULL)"
/* KW_DELIVERY_HELD where there is one of its key before it, else KW_DELIVERY_WAITING. */
#define WAITING_OR_HELD(channel, key) "iif(EXISTS " FIRST_OF_KEY("1", channel, key) ", 2, 0)"
#define DELIVERY_SHOWN \
    "SELECT d.sequence, d.key_id, d.state, d.due_ms, d.attempts, d.tries, d.is_ordered, m.id, m.at_ms, m.type, " \
    "m.body, " \
    "m.key_id FROM delivery AS d JOIN message AS m ON m.sequence = d.sequence "

const char *const kw__sql_texts[KW__SQL_COUNT] = {
    [KW__SQL_BEGIN] = "BEGIN IMMEDIATE",
    [KW__SQL_BEGIN_READ] = "BEGIN",
    [KW__SQL_COMMIT] = "COMMIT",
    [KW__SQL_ROLLBACK] = "ROLLBACK",
    [KW__SQL_SAVEPOINT] = "SAVEPOINT batch",
    [KW__SQL_SAVEPOINT_UNDO] = "ROLLBACK TO batch",
    [KW__SQL_SAVEPOINT_END] = "RELEASE batch",
    [KW__SQL_SEQUENCES_READ] = "SELECT commits, audits, audit_high_ms, events, digests FROM counter WHERE one = 1",
    [KW__SQL_SEQUENCES_WRITE] =
        "UPDATE counter SET commits = ?1, audits = ?2, audit_high_ms = ?3, events = ?4, digests = ?5 WHERE one = 1",

    [KW__SQL_ROW_BY_DIGEST] = "SELECT " ROW_SHOWN " FROM record WHERE (id = ?3 OR id IN (SELECT id FROM digest WHERE "
                              "start = ?2)) AND digest = ?1",
    [KW__SQL_ROW_BY_ID] = "SELECT " ROW_SHOWN " FROM record WHERE id = ?1 AND erased = 0",
    [KW__SQL_ROW_SCAN] = LIST("record NOT INDEXED WHERE erased = 0" RANGE),
    [KW__SQL_ROW_SCAN_BACK] = LIST_BACK("record NOT INDEXED WHERE erased = 0" RANGE),
    LISTS(PROJECT, WAY_PROJECT),
    LISTS(ENV, WAY("record_by_env", "env = ?5")),
    LISTS(OWNER, WAY("record_by_owner", "owner = ?5")),
    LISTS(ORG, WAY("record_by_org", "org_id <> '' AND org_id = ?5")),
    LISTS(ORG_OWNER, WAY("record_by_org_owner", "org_id <> '' AND org_id = ?5 AND owner = ?6")),
    LISTS(PARENT, WAY("record_by_parent", "parent_id IS NOT NULL AND parent_id = ?5")),
    LISTS(POLICY, WAY("record_by_policy", "policy <> '' AND policy = ?5")),
    [KW__SQL_LIST_EXPIRY] = "SELECT " ROW_SHOWN " FROM " WAY_EXPIRY
                            " AND (expires_at_ms, id) > (?5, ?2) AND expires_at_ms <= ?6 ORDER BY expires_at_ms, id "
                            "LIMIT ?4",
    [KW__SQL_COUNT_EXPIRY] = COUNT(WAY_EXPIRY " AND expires_at_ms <= ?6"),
    [KW__SQL_LIST_USE] = "SELECT " ROW_SHOWN " FROM " WAY_USE " AND (used_at_ms, id) > (?5, ?2) AND used_at_ms <= ?6 "
                         "ORDER BY used_at_ms, id LIMIT ?4",
    [KW__SQL_COUNT_USE] = COUNT(WAY_USE " AND used_at_ms >= ?5 AND used_at_ms <= ?6"),
    [KW__SQL_TAG_NEXT] = "SELECT id FROM " WAY_TAG " ORDER BY id LIMIT ?4",
    [KW__SQL_TAG_NEXT_BACK] = "SELECT id FROM " WAY_TAG " ORDER BY id DESC LIMIT ?4",
    [KW__SQL_COUNT_TAG] = COUNT(WAY_TAG),
    [KW__SQL_ROW_CHANGES] =
        "SELECT " ROW_SHOWN " FROM record INDEXED BY record_by_sequence WHERE sequence > ?1 ORDER BY sequence, id",
    [KW__SQL_ROW_TOMBSTONES] =
        "SELECT " ROW_SHOWN " FROM record INDEXED BY record_by_erased WHERE erased = 1 AND id > ?1 ORDER BY id "
        "LIMIT ?2",
    [KW__SQL_ROW_DUE] = "SELECT " ROW_SHOWN " FROM record INDEXED BY record_by_due WHERE due_at_ms <> 0 AND "
                        "due_at_ms <= ?1 ORDER BY due_at_ms, id LIMIT ?2",

    [KW__SQL_ROW_OLD] = "SELECT version, erased, digest, digest_scheme, project, env, owner, org_id, tags, parent_id, "
                        "policy, last_four, expires_at_ms, due_at_ms FROM record WHERE id = ?1",
    [KW__SQL_ROW_INSERT] = INSERT(ROW_INTO, ROW_VALUES),
    [KW__SQL_ROW_INSERT_SOME] = INSERT(ROW_INTO, ROWS_SOME(ROW_VALUES)),
    [KW__SQL_ROW_INSERT_MANY] = INSERT(ROW_INTO, ROWS_MANY(ROW_VALUES)),
    [KW__SQL_DIGEST_READ] = "SELECT id FROM digest WHERE start = ?1",
    [KW__SQL_DIGEST_COMPARE] = "SELECT 1 FROM record WHERE id = ?1 AND digest = ?2",
    [KW__SQL_DIGEST_ALL] = "SELECT start FROM digest",
    [KW__SQL_DIGEST_UNMERGED] = "SELECT sequence, digest, id FROM record INDEXED BY record_by_sequence WHERE "
                                "sequence > ?1 ORDER BY sequence",
    [KW__SQL_DIGEST_INSERT] = DIGEST_INSERT("(?, ?)"),
    [KW__SQL_DIGEST_INSERT_SOME] = DIGEST_INSERT(ROWS_SOME("(?, ?)")),
    [KW__SQL_DIGEST_INSERT_MANY] = DIGEST_INSERT(ROWS_MANY("(?, ?)")),
    [KW__SQL_DIGEST_DELETE] = "DELETE FROM digest WHERE start = ?1 AND id = ?2",
    [KW__SQL_ROW_UPDATE] = "UPDATE record SET sequence = ?2, version = ?3, record = ?4 WHERE id = ?1",
    [KW__SQL_ROW_UPDATE_DUE] =
        "UPDATE record SET sequence = ?2, version = ?3, record = ?4, due_at_ms = ?5 WHERE id = ?1",
    [KW__SQL_ROW_UPDATE_ALL] =
        "UPDATE record SET sequence = ?2, version = ?3, erased = ?4, digest = ?5, digest_scheme = ?6, project = ?7, "
        "env = ?8, owner = ?9, org_id = ?10, tag_count = ?11, tags = ?12, parent_id = ?13, policy = ?14, "
        "last_four = ?15, expires_at_ms = ?16, record = ?17, due_at_ms = ?18, used_at_ms = iif(?4, 0, used_at_ms), "
        "used_address = iif(?4, x'', used_address), used_region = iif(?4, '', used_region) WHERE id = ?1",
    [KW__SQL_TAG_INSERT] = TAG_INSERT("(?, ?, ?)"),
    [KW__SQL_TAG_INSERT_SOME] = TAG_INSERT(ROWS_SOME("(?, ?, ?)")),
    [KW__SQL_TAG_INSERT_MANY] = TAG_INSERT(ROWS_MANY("(?, ?, ?)")),
    [KW__SQL_TAG_DELETE] = "DELETE FROM record_tag WHERE project = ?1 AND tag = ?2 AND id = ?3",
    [KW__SQL_COUNT_READ] = "SELECT ifnull(sum(live), 0) FROM project WHERE name = ?1",
    [KW__SQL_COUNT_READ_ALL] = "SELECT ifnull(sum(live), 0) FROM project",
    [KW__SQL_COUNT_ADD] = "INSERT INTO project (name, live) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET live = "
                          "live + excluded.live",

    [KW__SQL_SETTING_READ] = "SELECT value FROM setting WHERE name = ?1",
    [KW__SQL_SETTING_LIST] = "SELECT name, value FROM setting WHERE name >= ?1 ORDER BY name",
    [KW__SQL_SETTING_WRITE] = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET "
                              "value = excluded.value",
    [KW__SQL_SETTING_DELETE] = "DELETE FROM setting WHERE name = ?1",

    [KW__SQL_AUDIT_INSERT] = INSERT(AUDIT_INTO, AUDIT_VALUES),
    [KW__SQL_AUDIT_INSERT_SOME] = INSERT(AUDIT_INTO, ROWS_SOME(AUDIT_VALUES)),
    [KW__SQL_AUDIT_INSERT_MANY] = INSERT(AUDIT_INTO, ROWS_MANY(AUDIT_VALUES)),
    AUDITS(SCAN, "NOT INDEXED WHERE 1"),
    AUDITS(BY_PROJECT, "INDEXED BY audit_by_project WHERE project = ?3"),
    AUDITS(BY_KEY, "INDEXED BY audit_by_key WHERE key_id = ?4"),
    AUDITS(BY_OWNER, "INDEXED BY audit_by_owner WHERE owner <> '' AND project = ?3 AND owner = ?5"),
    AUDITS(BY_ACTOR, "INDEXED BY audit_by_actor WHERE project = ?3 AND actor = ?6"),
    AUDITS(BY_ACTION, "INDEXED BY audit_by_action WHERE project = ?3 AND action = ?7"),
    AUDITS(LATE, "INDEXED BY audit_late WHERE high_ms - at_ms > 5000"),
    [KW__SQL_AUDIT_SEEK] =
        "SELECT sequence FROM audit INDEXED BY audit_by_high WHERE high_ms >= ?1 ORDER BY high_ms, sequence LIMIT 1",
    [KW__SQL_AUDIT_PRUNE] = "DELETE FROM audit WHERE sequence IN " AUDIT_OLDEST,
    [KW__SQL_AUDIT_PRUNE_SEALS] = "DELETE FROM audit_seal WHERE sequence IN " AUDIT_OLDEST,
    [KW__SQL_AUDIT_ERASE] = "UPDATE audit SET owner = iif(?2, '', owner), actor = iif(?3, '', actor), context = "
                            "iif(?4, x'', context), body = iif(?5, x'', body) WHERE sequence = ?1",
    [KW__SQL_SEAL_REPLACE] = "UPDATE audit_seal SET seal = ?2 WHERE sequence = ?1",
    [KW__SQL_CHECKPOINT_WRITE] = "INSERT INTO audit_checkpoint (project, place, bytes) VALUES (?1, ?2, ?3) ON CONFLICT "
                                 "(project, place) DO UPDATE SET bytes = excluded.bytes",
    [KW__SQL_CHECKPOINT_DELETE] = "DELETE FROM audit_checkpoint WHERE project = ?1 AND place = ?2",
    [KW__SQL_CHECKPOINT_LIST] =
        "SELECT place, bytes FROM audit_checkpoint WHERE project = ?1 AND place > ?2 ORDER BY place LIMIT ?3",
    [KW__SQL_CHECKPOINT_LIST_BACK] =
        "SELECT place, bytes FROM audit_checkpoint WHERE project = ?1 AND place < ?2 ORDER BY place DESC LIMIT ?3",
    [KW__SQL_SEAL_INSERT] = INSERT(SEAL_INTO, SEAL_VALUES),
    [KW__SQL_SEAL_INSERT_SOME] = INSERT(SEAL_INTO, ROWS_SOME(SEAL_VALUES)),
    [KW__SQL_SEAL_INSERT_MANY] = INSERT(SEAL_INTO, ROWS_MANY(SEAL_VALUES)),

    [KW__SQL_EVENT_INSERT] = INSERT(EVENT_INTO, EVENT_VALUES),
    [KW__SQL_EVENT_INSERT_SOME] = INSERT(EVENT_INTO, ROWS_SOME(EVENT_VALUES)),
    [KW__SQL_EVENT_INSERT_MANY] = INSERT(EVENT_INTO, ROWS_MANY(EVENT_VALUES)),
    [KW__SQL_EVENT_CLAIM_INSERT] = INSERT(CLAIM_INTO, CLAIM_VALUES),
    [KW__SQL_EVENT_CLAIM_INSERT_SOME] = INSERT(CLAIM_INTO, ROWS_SOME(CLAIM_VALUES)),
    [KW__SQL_EVENT_CLAIM_INSERT_MANY] = INSERT(CLAIM_INTO, ROWS_MANY(CLAIM_VALUES)),
    [KW__SQL_EVENT_CLAIMABLE] = "SELECT sequence FROM event_claim WHERE until_ms <= ?1 ORDER BY sequence LIMIT ?2",
    [KW__SQL_EVENT_CLAIM] = "UPDATE event_claim SET until_ms = ?2, attempts = attempts + 1 WHERE sequence = ?1",
    [KW__SQL_EVENT_READ] = "SELECT e.sequence, e.id, e.at_ms, e.project, e.key_id, e.env, e.owner, e.type, e.body, "
                           "c.attempts FROM event AS e JOIN "
                           "event_claim AS c ON c.sequence = e.sequence WHERE e.sequence = ?1",
    [KW__SQL_EVENT_CLAIM_DELETE] =
        "DELETE FROM event_claim WHERE sequence = (SELECT sequence FROM event WHERE id = ?1)",
    EVENTS(SCAN, "NOT INDEXED WHERE 1"),
    EVENTS(BY_PROJECT, "INDEXED BY event_by_project WHERE project = ?3"),
    EVENTS(BY_KEY, "INDEXED BY event_by_key WHERE key_id = ?4"),
    [KW__SQL_EVENT_PRUNE] = EVENT_DELETE("event"),
    [KW__SQL_EVENT_PRUNE_CLAIMS] = EVENT_DELETE("event_claim"),
    [KW__SQL_EVENT_SEQUENCE] =
        "SELECT e.sequence FROM event AS e JOIN event_claim AS c ON c.sequence = e.sequence WHERE "
        "e.id = ?1",

    [KW__SQL_MESSAGE_INSERT] =
        INSERT("message (sequence, id, at_ms, type, body, key_id, channels)", "(?, ?, ?, ?, ?, ?, ?)"),
    [KW__SQL_MESSAGE_OLDEST] =
        "SELECT sequence, at_ms, key_id, channels FROM message WHERE sequence > 0 ORDER BY sequence LIMIT 1",
    [KW__SQL_MESSAGE_DELETE] = "DELETE FROM message WHERE sequence = ?1",
    [KW__SQL_DELIVERY_INSERT] =
        "INSERT INTO delivery (channel, sequence, key_id, is_ordered, due_ms, state, attempts, tries) "
        "VALUES (?1, ?2, ?3, ?4, ?5, " WAITING_OR_HELD("?1", "?3") ", 0, x'')",
    [KW__SQL_DELIVERY_DUE] =
        "SELECT sequence FROM delivery INDEXED BY delivery_by_due WHERE channel = ?1 AND state = ?2 AND "
        "state < 2 AND due_ms <= ?3 ORDER BY due_ms, sequence LIMIT ?4",
    [KW__SQL_DELIVERY_CLAIM] = "UPDATE delivery SET state = 1, due_ms = ?3 WHERE channel = ?1 AND sequence = ?2",
    [KW__SQL_DELIVERY_READ] = DELIVERY_SHOWN "WHERE d.channel = ?1 AND d.sequence = ?2",
    [KW__SQL_DELIVERY_SETTLE] =
        "UPDATE delivery SET state = ?3, due_ms = ?4, attempts = ?5, tries = ?6 WHERE channel = ?1 AND "
        "sequence = ?2 AND state = 1 RETURNING key_id",
    [KW__SQL_DELIVERY_NEXT] =
        "UPDATE delivery SET state = 0, due_ms = ?3 WHERE channel = ?1 AND sequence = " FIRST_OF_KEY(
            "min(sequence)", "?1", "?2") " AND state = 2",
    [KW__SQL_DELIVERY_RELEASE] =
        "UPDATE delivery INDEXED BY delivery_by_due SET state = 0, due_ms = ?2 WHERE channel = ?1 AND "
        "state = 1 AND state < 2",
    [KW__SQL_DELIVERY_LIST] = DELIVERY_SHOWN "WHERE d.channel = ?1 AND d.sequence >= ?2 AND d.sequence < ?3 AND (?4 = "
                                             "0 OR (?4 >> d.state) & 1) AND m.at_ms >= ?5 "
                                             "ORDER BY d.sequence DESC LIMIT ?6",
    [KW__SQL_DELIVERY_ENDED] =
        "SELECT d.sequence, d.state, m.at_ms FROM delivery AS d JOIN message AS m ON m.sequence = "
        "d.sequence WHERE d.channel = ?1 AND d.sequence >= ?2 AND d.sequence < ?3 ORDER BY d.sequence "
        "DESC LIMIT ?4",
    [KW__SQL_DELIVERY_REPLAY] = "UPDATE delivery SET state = " WAITING_OR_HELD(
        "delivery.channel",
        "delivery.key_id") ", due_ms = ?3, attempts = 0 WHERE channel = ?1 AND sequence = ?2 AND state >= 3",
    [KW__SQL_DELIVERY_DELETE] = "DELETE FROM delivery WHERE channel = ?1 AND sequence = ?2",

    [KW__SQL_USAGE_ADD] = USAGE_ADD("usage_hour"),
    [KW__SQL_USAGE_ADD_DAY] = USAGE_ADD("usage_day"),
    [KW__SQL_USAGE_BUCKET] = USAGE_BUCKET("usage_hour"),
    [KW__SQL_USAGE_BUCKET_DAY] = USAGE_BUCKET("usage_day"),
    [KW__SQL_USAGE_READ] = USAGE_READ("usage_hour"),
    [KW__SQL_USAGE_READ_DAY] = USAGE_READ("usage_day"),
    [KW__SQL_USAGE_OLD] =
        "SELECT bucket_start_ms, lineage_id, dimension, value, amount FROM usage_hour WHERE project = ?1 "
        "AND bucket_start_ms < ?2 ORDER BY bucket_start_ms, lineage_id, dimension, value LIMIT ?3",
    [KW__SQL_USAGE_DROP] = USAGE_DROP("usage_hour"),
    [KW__SQL_USAGE_DROP_DAY] = USAGE_DROP("usage_day"),
    [KW__SQL_USE_NOTE] = "UPDATE record SET used_at_ms = ?2, used_address = ?3, used_region = ?4 WHERE id = ?1 AND "
                         "erased = 0 AND used_at_ms <= ?2",
    [KW__SQL_DEFERRED_INSERT] = INSERT("usage_deferred (part, bytes)", "(?1, ?2)"),
    [KW__SQL_DEFERRED_READ] = "SELECT part, sequence, bytes FROM usage_deferred WHERE part = (SELECT min(part) FROM "
                              "usage_deferred WHERE part >= ?1) ORDER BY sequence LIMIT ?2",
    [KW__SQL_DEFERRED_BYTES] =
        "SELECT coalesce(sum(length(bytes)), 0) FROM usage_deferred WHERE part = ?1 AND sequence <= ?2",
    [KW__SQL_DEFERRED_COUNT] = "UPDATE counter SET deferred = deferred + ?1 WHERE one = 1",
    [KW__SQL_DEFERRED_WAITING] = "SELECT deferred FROM counter WHERE one = 1",
    [KW__SQL_DEFERRED_DROP] = "DELETE FROM usage_deferred WHERE part = ?1 AND sequence <= ?2",

    [KW__SQL_RESERVATION_TAKEN] =
        "SELECT taken FROM reservation WHERE lineage_id = ?1 AND name = ?2 AND period_start_ms = ?3",
    [KW__SQL_RESERVATION_WRITE] =
        "INSERT INTO reservation (lineage_id, name, period_start_ms, taken, until_ms, note) VALUES (?1, ?2, ?3, ?4, "
        "?5, "
        "?6) ON CONFLICT (lineage_id, name, period_start_ms) DO UPDATE SET taken = excluded.taken, until_ms = "
        "max(until_ms, excluded.until_ms), note = coalesce(excluded.note, note)",
    [KW__SQL_RESERVATION_READ] = "SELECT name, period_start_ms, taken, until_ms, note FROM reservation WHERE "
                                 "lineage_id = ?1 AND (name = ?2 OR ?2 = '') AND until_ms > ?3 ORDER BY name, "
                                 "period_start_ms",
    [KW__SQL_RESERVATION_PRUNE] =
        "DELETE FROM reservation WHERE (lineage_id, name, period_start_ms) IN (SELECT lineage_id, name, "
        "period_start_ms FROM reservation INDEXED BY reservation_by_until WHERE until_ms <= ?1 LIMIT ?2)",

    [KW__SQL_REQUEST_INSERT] = INSERT("request (name, digest, key_id, at_ms)", "(?1, ?2, ?3, ?4)"),
    [KW__SQL_REQUEST_READ] = "SELECT digest, key_id, at_ms FROM request WHERE name = ?1",
    [KW__SQL_REQUEST_PRUNE] = "DELETE FROM request WHERE name IN (SELECT name FROM request INDEXED BY request_by_time "
                              "WHERE at_ms < ?1 LIMIT ?2)",
};
