/*
 * New lines that wait within the open transaction, to be inserted many by one statement: that costs half of what one
 * statement a line does, since its cursors stay where the line before was put. What waits is borrowed from the batches.
 */
#ifndef KW_STORE_SQLITE_INSERTS_H
#define KW_STORE_SQLITE_INSERTS_H

#include "store/sqlite/sqlite.h"

enum kw__insert {
    KW__INSERT_ROW,
    KW__INSERT_TAG,
    KW__INSERT_AUDIT,
    KW__INSERT_SEAL,
    KW__INSERT_EVENT,
    KW__INSERT_CLAIM,
    KW__INSERT_DIGEST,
    KW__INSERT_KINDS /* how many there are */
};

struct kw__waiting {
    const void *item;     /* by kind: a kw_store_row, a tag's kw_store_row, a kw_store_audit, a kw_store_seal, a
                             kw_store_event,     a kw_id */
    struct kw_bytes text; /* a tag, or that id's digest */
    uint64_t sequence;
    int64_t high_ms; /* of an audit line */
};

struct kw__inserts {
    struct kw__connection *writer;
    struct kw__digests *digests;
    size_t counts[KW__INSERT_KINDS];
    struct kw__waiting waiting[KW__INSERT_KINDS][KW__SQL_ROWS_TOGETHER];
    struct kw_bytes project; /* of the rows that were added and not counted yet: one statement counts a run of them */
    int64_t added;
};

/*
 * Each may run what waits, and then fails as that does: KW_E_CONFLICT when one of the lines is there already, whichever
 * it is. After a failure the transaction, or the savepoint that the lines came in, has to be taken back.
 */
KW_MUST_USE enum kw_status kw__inserts_add_row(struct kw__inserts *inserts, const struct kw_store_row *row,
                                               uint64_t sequence);
/* What lists and counts find of a row: nothing for a tombstone. */
KW_MUST_USE enum kw_status kw__inserts_show_row(struct kw__inserts *inserts, const struct kw_store_row *row);
KW_MUST_USE enum kw_status kw__inserts_add_audit(struct kw__inserts *inserts, const struct kw_store_audit *audit,
                                                 const struct kw__sequences *last);
KW_MUST_USE enum kw_status kw__inserts_add_seal(struct kw__inserts *inserts, const struct kw_store_seal *seal);
KW_MUST_USE enum kw_status kw__inserts_add_event(struct kw__inserts *inserts, const struct kw_store_event *event,
                                                 uint64_t sequence);
/* That one is there already is no failure. */
KW_MUST_USE enum kw_status kw__inserts_add_digest(struct kw__inserts *inserts, struct kw_bytes digest,
                                                  const struct kw_id *id);
KW_MUST_USE enum kw_status kw__inserts_run_digests(struct kw__inserts *inserts);
/* Rows and their tags: before a statement that may look for one of them. */
KW_MUST_USE enum kw_status kw__inserts_run_rows(struct kw__inserts *inserts);
KW_MUST_USE enum kw_status kw__inserts_run_all(struct kw__inserts *inserts);
/* Forgets what waits. */
void kw__inserts_drop(struct kw__inserts *inserts);

/* Changes how many keys a project has by `change`. */
KW_MUST_USE enum kw_status kw__inserts_count(struct kw__inserts *inserts, struct kw_bytes project, int64_t change);

#endif
