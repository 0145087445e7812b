/* A file as the first version of the schema left it: what the store of that time wrote, as SQL. */
#ifndef KW_TESTS_CONTRACT_VERSION_1_H
#define KW_TESTS_CONTRACT_VERSION_1_H

static const char *const version_1[] = {
    "PRAGMA application_id = 1262836055; PRAGMA user_version = 1;",
    "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, high_ms INTEGER NOT NULL, "
    "project TEXT NOT NULL, key_id BLOB, owner TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, "
    "body BLOB NOT NULL) STRICT;",
    "INSERT INTO \"audit\" VALUES(1,1000,1000,'default',X'01000000000000000000000000000001','user:1',"
    "'root','key.created',X'7B226C696E65223A317D');",
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), commits INTEGER NOT NULL, audits "
    "INTEGER NOT NULL, audit_high_ms INTEGER NOT NULL, events INTEGER NOT NULL) STRICT;",
    "INSERT INTO \"counter\" VALUES(1,3,1,1000,1);",
    "CREATE TABLE event (sequence INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at_ms INTEGER NOT NULL, "
    "project TEXT NOT NULL, key_id BLOB, type TEXT NOT NULL, body BLOB NOT NULL) STRICT;",
    "INSERT INTO \"event\" VALUES(1,X'01000000000000000000000000000001',1000,'default',"
    "X'01000000000000000000000000000002','key.created',X'7B226576656E74223A317D');",
    "CREATE TABLE event_claim (sequence INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL, attempts INTEGER "
    "NOT NULL) STRICT;",
    "INSERT INTO \"event_claim\" VALUES(1,-9223372036854775808,0);",
    "CREATE TABLE project (name TEXT NOT NULL PRIMARY KEY, live INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "INSERT INTO \"project\" VALUES('default',3);",
    "CREATE TABLE record (id BLOB NOT NULL PRIMARY KEY, sequence INTEGER NOT NULL, version INTEGER NOT "
    "NULL, erased INTEGER NOT NULL, digest BLOB NOT NULL, digest_scheme INTEGER NOT NULL, project TEXT "
    "NOT NULL, env TEXT NOT NULL, owner TEXT NOT NULL, org_id TEXT NOT NULL, tag_count INTEGER NOT NULL, "
    "tags BLOB NOT NULL, parent_id BLOB, policy TEXT NOT NULL, last_four BLOB NOT NULL, expires_at_ms "
    "INTEGER NOT NULL, record BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    "INSERT INTO \"record\" VALUES(X'01000000000000000000000000000001',1,1,0,"
    "X'C1675E0BB980A575A89661FEC08AA83B63F1EE08469CCDAC9FF735AB278A84BA',1,'default','live','user:1','',"
    "1,X'0A70726F64756374696F6E',NULL,'',X'00000000',0,X'7265636F726420312061742076657273696F6E2031');",
    "INSERT INTO \"record\" VALUES(X'01000000000000000000000000000002',2,2,0,"
    "X'CE422F6429B38683FF6C357761AEF31912D452D5C11DB196E4528E202D823955',1,'default','live','user:1','',"
    "0,X'',NULL,'',X'00000000',0,X'7265636F726420322061742076657273696F6E2032');",
    "INSERT INTO \"record\" VALUES(X'01000000000000000000000000000003',3,2,1,"
    "X'ED8901CF9607B8167A72CC7FF4C35CEAE6F5A82D32C693D194F5D4BDD75071A1',1,'default','live','','',0,X'',"
    "NULL,'',X'00000000',0,X'676F6E65');",
    "INSERT INTO \"record\" VALUES(X'01000000000000000000000000000004',1,1,0,"
    "X'CA305F9EB9E15E52C90522F9BC3829513BE4867A5491720BD00DFDEF5AD14EA0ED8901CF9607B8167A72CC7FF4C35CEAE6"
    "F5A82D32C693D194F5D4BDD75071A1',1,'default','live','user:1','',0,X'',NULL,'',X'00000000',0,"
    "X'7265636F726420342061742076657273696F6E2031');",
    "CREATE TABLE record_tag (project TEXT NOT NULL, tag TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY "
    "(tag, project, id)) STRICT, WITHOUT ROWID;",
    "INSERT INTO \"record_tag\" VALUES('default','production',X'01000000000000000000000000000001');",
    "CREATE TABLE request (name BLOB NOT NULL PRIMARY KEY, digest BLOB NOT NULL, key_id BLOB NOT NULL, "
    "at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE reservation (lineage_id BLOB NOT NULL, name TEXT NOT NULL, period_start_ms INTEGER NOT "
    "NULL, taken INTEGER NOT NULL, PRIMARY KEY (lineage_id, name, period_start_ms)) STRICT, WITHOUT "
    "ROWID;",
    "CREATE TABLE setting (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;",
    "INSERT INTO \"setting\" VALUES('pepper',X'66696E6765727072696E74');",
    "CREATE TABLE usage (lineage_id BLOB NOT NULL, metric TEXT NOT NULL, bucket_start_ms INTEGER NOT "
    "NULL, amount INTEGER NOT NULL, PRIMARY KEY (lineage_id, metric, bucket_start_ms)) STRICT, WITHOUT "
    "ROWID;",
    "CREATE UNIQUE INDEX record_by_digest ON record (digest);",
    "CREATE INDEX record_by_sequence ON record (sequence);",
    "CREATE INDEX record_by_project ON record (project) WHERE erased = 0;",
    "CREATE INDEX record_by_env ON record (env, project) WHERE erased = 0;",
    "CREATE INDEX record_by_owner ON record (owner, project) WHERE erased = 0;",
    "CREATE INDEX record_by_org ON record (org_id, project) WHERE erased = 0 AND org_id <> '';",
    "CREATE INDEX record_by_org_owner ON record (org_id, owner, project) WHERE erased = 0 AND org_id <> "
    "'';",
    "CREATE INDEX record_by_parent ON record (parent_id, project) WHERE erased = 0 AND parent_id IS NOT "
    "NULL;",
    "CREATE INDEX record_by_policy ON record (policy, project) WHERE erased = 0 AND policy <> '';",
    "CREATE INDEX record_by_expiry ON record (project, expires_at_ms) WHERE erased = 0 AND expires_at_ms "
    "<> 0;",
    "CREATE INDEX audit_by_project ON audit (project);",
    "CREATE INDEX audit_by_key ON audit (key_id) WHERE key_id IS NOT NULL;",
    "CREATE INDEX audit_by_owner ON audit (owner, project) WHERE owner <> '';",
    "CREATE INDEX audit_by_actor ON audit (actor, project);",
    "CREATE INDEX audit_by_action ON audit (action, project);",
    "CREATE INDEX audit_by_high ON audit (high_ms);",
    "CREATE INDEX audit_late ON audit (sequence) WHERE high_ms - at_ms > 5000;",
    "CREATE INDEX request_by_time ON request (at_ms);",
};

#endif
