/*
 * An engine for tests: on a store of the test's choice, with a clock that the test sets.
 */
#ifndef KW_TESTS_SUPPORT_ENGINE_H
#define KW_TESTS_SUPPORT_ENGINE_H

#include "engine/engine.h"
#include "support/test.h"

#define TEST_NOW_MS INT64_C(1767225600000) /* 2026-01-01 */

struct test_engine {
    struct kw_engine *engine;
    struct kw_store *store;
    int64_t now_ms; /* atomic */
};

/* On `store_take`, or a memory store when NULL. False (and a failed check) when it cannot be opened. */
bool test_engine_open(struct test *t, struct test_engine *fixture, struct kw_store *store_take);
/* The same with a seed that its audit log is signed with. */
bool test_engine_open_signing(struct test *t, struct test_engine *fixture, struct kw_store *store_take);
/* The same with another cap for the keys of an action on a filter. */
bool test_engine_open_small(struct test *t, struct test_engine *fixture, struct kw_store *store_take, size_t bulk_max);
void test_engine_close(struct test_engine *fixture);

/* A key of user:1 with these scopes. Fills id and key. */
bool test_engine_create(struct test *t, struct test_engine *fixture, const struct kw_key_params *params,
                        struct kw_id *id_out, struct kw_secret *key_out);
/* One operation on an existing key; op->status. */
enum kw_status test_engine_do(struct test_engine *fixture, enum kw_op_kind kind, const struct kw_id *id,
                              struct kw_error *error_out);
/* What a verification says now, asking the store where the index does not know. */
enum kw_code test_engine_verify(struct test_engine *fixture, const struct kw_secret *key);

#endif
