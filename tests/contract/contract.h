/*
 * What the contract suite stands on: a store of each kind in a folder of its own, rows to put in, sinks that keep what
 * they are given, and a picture of everything a store holds. A behaviour is one function; it runs on every kind, and on
 * the faulty kinds once for every call that can fail.
 */
#ifndef KW_TESTS_CONTRACT_CONTRACT_H
#define KW_TESTS_CONTRACT_CONTRACT_H

#include "base/memory.h"
#include "support/test.h"
#include <keyward/store.h>

#define CONTRACT_PATH_MAX 256

struct contract_kind {
    const char *name;
    bool is_file;   /* SQLite: what was committed is there again after a reopening */
    bool is_faulty; /* one call of the behaviour fails, and is made again */
};

extern const struct contract_kind contract_memory;
extern const struct contract_kind contract_sqlite;
extern const struct contract_kind contract_faulty_memory;
extern const struct contract_kind contract_faulty_sqlite;

struct contract {
    struct test *t;
    const struct contract_kind *kind;
    char folder[CONTRACT_PATH_MAX];
    char path[CONTRACT_PATH_MAX];
    struct kw_arena arena; /* what a test puts in and gets out lives here until it ends */
    void *first_block;     /* of the arena; not from kw_alloc, so that it holds while that is made to fail */
    struct kw_store *store;
    struct kw_store *fault; /* of the faulty kinds: the decorator that `store` makes its calls through */
};

typedef void contract_behaviour(struct contract *c);

/* Runs a behaviour on a fresh store; on a faulty kind again and again, until no call is left to fail. */
void contract_run(struct test *t, const struct contract_kind *kind, contract_behaviour *behaviour);

/* For tests of their own: a folder, a path in it, an arena, and no store yet. */
bool contract_begin(struct contract *c, struct test *t, const struct contract_kind *kind);
void contract_end(struct contract *c);
bool contract_open(struct contract *c);
/* Closes and opens the file again; nothing for a store that lasts no longer than it is open. */
bool contract_reopen(struct contract *c);
/* A file as it is now, for a look at what a crash would leave. */
bool contract_copy_file(const char *from, const char *to);

/* A store before `inner_take` that makes a call again when it is told KW_E_UNAVAILABLE: nothing was changed. */
struct kw_store *contract_retry_open(struct kw_store *inner_take);

/* Bytes and text in the arena. */
struct kw_bytes contract_copy(struct contract *c, struct kw_bytes bytes);
struct kw_bytes contract_format(struct contract *c, const char *format, ...) KW_PRINTF(2, 3);
/* "a,b" becomes a list of two. */
struct kw_list contract_tags(struct contract *c, const char *names);

/* The id, digest (32 bytes) and lineage that go by a number; ids ascend with it. */
struct kw_id contract_id(uint64_t number);
struct kw_bytes contract_digest(struct contract *c, uint64_t number);
/* A key of project "default", env "live", owner "user:1", at version replaces + 1. */
struct kw_store_put contract_put(struct contract *c, uint64_t number, uint64_t replaces);
/* The same key's tombstone. */
struct kw_store_put contract_tombstone(struct contract *c, uint64_t number, uint64_t replaces);
struct kw_store_audit contract_audit(struct contract *c, uint64_t number, int64_t at_ms);
/* A request whose name, digest and key go by the number. */
struct kw_store_request contract_request(uint64_t number, int64_t at_ms);
struct kw_store_event contract_event(struct contract *c, uint64_t number, int64_t at_ms);
/* Lineage 1, name "day", the period from 1000 until 2000. */
struct kw_store_reservation contract_reservation(int64_t limit, int64_t amount);

/* Commits one batch; its outcome, or what the commit itself returned. */
enum kw_status contract_commit(struct contract *c, struct kw_store_batch *batch);
enum kw_status contract_commit_put(struct contract *c, struct kw_store_put put);
enum kw_status contract_commit_puts(struct contract *c, const struct kw_store_put *puts, size_t count);

/* What sinks keep: copies in the arena. After `stop_after` of them (0: never) the sink answers `answer`. */
#define CONTRACT_KEPT(name, item) \
    struct name { \
        struct contract *c; \
        struct item *items; \
        size_t count, capacity, stop_after; \
        enum kw_status answer; \
    }
CONTRACT_KEPT(contract_rows, kw_store_row);
CONTRACT_KEPT(contract_audits, kw_store_audit);
CONTRACT_KEPT(contract_checkpoints, kw_store_checkpoint);
CONTRACT_KEPT(contract_events, kw_store_event);
CONTRACT_KEPT(contract_usages, kw_store_usage);
CONTRACT_KEPT(contract_reservations, kw_store_reservation);
CONTRACT_KEPT(contract_settings, kw_store_setting);

struct contract_rows contract_rows(struct contract *c);
struct contract_audits contract_audits(struct contract *c);
struct contract_checkpoints contract_checkpoints(struct contract *c);
struct contract_events contract_events(struct contract *c);
struct contract_usages contract_usages(struct contract *c);
struct contract_reservations contract_reservations(struct contract *c);
struct contract_settings contract_settings(struct contract *c);
enum kw_status contract_keep_row(void *context, const struct kw_store_row *row);
enum kw_status contract_keep_audit(void *context, const struct kw_store_audit *audit);
enum kw_status contract_keep_checkpoint(void *context, const struct kw_store_checkpoint *checkpoint);
enum kw_status contract_keep_event(void *context, const struct kw_store_event *event);
enum kw_status contract_keep_usage(void *context, const struct kw_store_usage *usage);
enum kw_status contract_keep_reservation(void *context, const struct kw_store_reservation *reservation);
enum kw_status contract_keep_setting(void *context, const struct kw_store_setting *setting);

bool contract_id_equal(struct kw_id a, struct kw_id b);
/* Everything but the sequence. */
void contract_check_row(struct contract *c, const struct kw_store_row *actual, const struct kw_store_row *expected);
/* The row of that number as by_id finds it is `put`'s; or, with NULL, is not there. */
void contract_check_found(struct contract *c, uint64_t number, const struct kw_store_put *put);

#endif
