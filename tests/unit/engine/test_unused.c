/*
 * Keys that nobody uses are told of once each, whichever call of the store fails, and whatever became of a commit that
 * nobody knows the outcome of.
 */
#include "core/id.h"
#include "support/engine.h"

#include <time.h>

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)
#define KEYS 3
#define FAILURES 8
#define PATIENCE_NS UINT64_C(60000000000)

struct seen {
    struct kw_id ids[4 * KEYS];
    size_t count;
};

static enum kw_status see(void *context, const struct kw_store_event *event)
{
    struct seen *seen = context;
    if (kw_bytes_equal(event->type, KW_BYTES("key.unused")) && seen->count < KW_COUNT_OF(seen->ids)) {
        seen->ids[seen->count++] = event->key_id;
    }
    return KW_OK;
}

/* Past the decorator: to look is no call that may fail. */
static struct seen look(struct test *t, struct kw_store *inner)
{
    struct seen seen = {.count = 0};
    struct kw_store_event_filter all = {.limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, inner->ops->events_list(inner, &all, see, &seen), KW_OK);
    return seen;
}

static size_t times(const struct seen *seen, const struct kw_id *id)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->count; i++) {
        count += kw_id_equal(&seen->ids[i], id);
    }
    return count;
}

/* The engine's minutes pass until the key is told of: the writer looks whenever it is idle. */
static bool is_told(struct test *t, struct test_engine *fixture, struct kw_store *inner, const struct kw_id *id)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    uint64_t until_ns = kw_monotonic_ns() + PATIENCE_NS;
    bool is = false;
    while (!is && kw_monotonic_ns() < until_ns) {
        struct seen seen = look(t, inner);
        is = times(&seen, id) > 0;
        __atomic_fetch_add(&fixture->now_ms, MINUTE_MS, __ATOMIC_RELAXED);
        (void)nanosleep(&moment, NULL);
    }
    return is;
}

static void set_project(struct test *t, struct test_engine *fixture)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_DOCUMENT_UPDATE, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_PROJECT;
    op.name = KW_BYTES("default");
    op.json = KW_BYTES("{\"unusedAfter\":\"1d\",\"eventRetention\":\"1y\"}");
    op.actor = KW_BYTES("test");
    CHECK_STATUS(t, kw_engine_run(fixture->engine, &op), KW_OK);
    kw_op_deinit(&op);
}

static void create(struct test *t, struct test_engine *fixture, struct kw_id *id_out)
{
    const struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_secret key;
    CHECK(t, test_engine_create(t, fixture, &params, id_out, &key));
    kw_secret_wipe(&key);
}

static void check_failure(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct test_engine fixture;
    struct kw_store *inner, *fault;
    struct kw_id ids[KEYS + 1];
    REQUIRE_OK(t, kw_store_memory_open(&inner));
    REQUIRE_OK(t, kw_store_fault_open(inner, nth, &fault));
    REQUIRE(t, test_engine_open(t, &fixture, fault));
    kw_engine_wait_filled(fixture.engine);
    set_project(t, &fixture);
    for (size_t i = 0; i < KEYS; i++) {
        create(t, &fixture, &ids[i]);
    }
    kw_store_fault_arm(fault, kind, nth);
    __atomic_fetch_add(&fixture.now_ms, 2 * DAY_MS, __ATOMIC_RELAXED);
    CHECK(t, is_told(t, &fixture, inner, &ids[KEYS - 1]));
    kw_store_fault_arm(fault, kind, 0);
    create(t, &fixture, &ids[KEYS]); /* what would be told of twice is so before this one */
    __atomic_fetch_add(&fixture.now_ms, 2 * DAY_MS, __ATOMIC_RELAXED);
    CHECK(t, is_told(t, &fixture, inner, &ids[KEYS]));
    struct seen seen = look(t, inner);
    for (size_t i = 0; i < KW_COUNT_OF(ids); i++) {
        CHECK_I64(t, times(&seen, &ids[i]), 1);
    }
    test_engine_close(&fixture);
}

static void each_is_told_of_once_whatever_fails(struct test *t)
{
    for (uint64_t nth = 1; nth <= FAILURES; nth++) {
        check_failure(t, KW_FAULT_UNAVAILABLE, nth);
        check_failure(t, KW_FAULT_UNCERTAIN, nth);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(each_is_told_of_once_whatever_fails),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
