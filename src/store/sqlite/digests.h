/*
 * Which digest is whose; the table says it by the digest's first bytes, and the row has all of them. Digests fall
 * anywhere into their table, so that a commit of new rows would write a page of it for nearly each of them. They wait
 * in memory instead, and go into the table many thousand at a time, in order, so that neighbours share their pages:
 * first a pile is filled, then it is closed, and while the next one is filled, each commit puts a slice of the closed
 * one into the table.
 *
 * Nothing of it is lost in a crash: every row holds its digest, and the file says up to which commit all digests are in
 * the table. Those behind it are read again when the store is opened. All but finding is for whoever holds the writer.
 */
#ifndef KW_STORE_SQLITE_DIGESTS_H
#define KW_STORE_SQLITE_DIGESTS_H

#include "store/sqlite/pile.h"
#include "store/sqlite/sieve.h"
#include <pthread.h>

#define KW__DIGEST_START_SIZE 6   /* as migrations.c has it, too */
#define KW__DIGESTS_FULL_AT 49152 /* a commit's own digests still fit behind them */

#define KW__DIGESTS_MANY_AT 1000

struct kw__sqlite;
struct kw__inserts;
struct kw__sequences;

struct kw__digests {
    pthread_mutex_t mutex; /* of the piles: the writer holds it while it changes them, others while they look */
    struct kw__pile piles[2];
    struct kw__pile *open, *closed;
    bool is_loaded;            /* what is not in the table is in the piles */
    uint64_t settled;          /* the last commit that has ended well */
    size_t settled_count;      /* entries of the open pile up to that one */
    bool has_gone;             /* the commit that is being written took digests from rows */
    size_t full_at, row_count; /* rows that the open pile may stand for, and does, those that only changed too */

    bool has_closed;
    struct kw__pile_place *order; /* of the closed pile */
    size_t next, next_tried;      /* in that order: what is in the table, and will be after this commit */
    struct kw__sieve sieve;       /* of the table, once a commit came with many rows */
    size_t many_at;               /* that many */
    bool has_sieved;              /* or has tried to */
    size_t credit;                /* how much may be put into the table, and was not yet */
    uint64_t closed_at;           /* the commit up to which rows are in the table or the closed pile */
};

KW_MUST_USE enum kw_status kw__digests_init(struct kw__digests *digests);
void kw__digests_deinit(struct kw__digests *digests);
/* Reads what is not in the table yet. */
KW_MUST_USE enum kw_status kw__digests_load(struct kw__sqlite *sqlite);
/* At the end: all goes into the table, so that the next opening has nothing to read. What fails is read then. */
void kw__digests_merge_all(struct kw__sqlite *sqlite);

/* What the table has of a digest: it is twice as dense as with all 32 bytes, and hardly any two begin alike. */
struct kw_bytes kw__digest_start(struct kw_bytes digest);
/* The row whose digest waits in memory; none: the table knows. Any thread may ask. */
struct kw_id kw__digests_find(struct kw__digests *digests, struct kw_bytes digest);

/* Within a transaction, before its `row_count` rows are put. */
void kw__digests_expect(struct kw__sqlite *sqlite, size_t row_count);
/* Closes a pile that is full. Between two transactions. */
void kw__digests_begin(struct kw__digests *digests, uint64_t last_commit);
/* Within the transaction: KW_E_CONFLICT when the digest is a row's already. */
KW_MUST_USE enum kw_status kw__digests_put(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id);
KW_MUST_USE enum kw_status kw__digests_take(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id,
                                            uint64_t sequence);
/* At the transaction's end, in which `row_count` rows were written: puts a slice of the closed pile into the table. */
KW_MUST_USE enum kw_status kw__digests_merge(struct kw__inserts *inserts, size_t row_count, struct kw__sequences *last);
/* Forgets what came after the open pile had `count` entries, and what left after `sequence`. */
void kw__digests_undo(struct kw__digests *digests, size_t count, uint64_t sequence);
/* The transaction has ended, and `last_commit` is what is in the file. */
void kw__digests_end(struct kw__digests *digests, bool is_committed, uint64_t last_commit);

#endif
