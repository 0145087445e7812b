/*
 * Requests that are to be done once: what comes of the second, the tenth at the same time, another one of the same
 * name, and of each when a call of the store fails.
 */
#include "core/id.h"
#include "engine/once.h"
#include "support/engine.h"

#include <pthread.h>
#include <semaphore.h>

#define CALLS_MAX 100
#define CROWD 100

/* Request `number`, asking for `asked`. */
static struct kw_once once_of(unsigned number, const char *asked)
{
    uint8_t letter = (uint8_t)('a' + number);
    struct kw_once_place place = {KW_BYTES("test"), KW_BYTES("default"), KW_BYTES("POST /v1/keys")};
    struct kw_bytes parts = kw_bytes_of_text(asked);
    struct kw_once once;
    kw_once_make(&place, kw_bytes_of(&letter, 1), &parts, 1, &once);
    return once;
}

/* What came of an operation. */
struct outcome {
    enum kw_status status;
    struct kw_error error;
    struct kw_id id;
    bool is_replay, has_secret, has_previous, is_enabled;
};

static const struct kw_key_params of_user_1 = {.given = KW_GIVEN_OWNER, .owner = {(const uint8_t *)"user:1", 6}};

static void prepare(struct kw_op *op, enum kw_op_kind kind, const struct kw_id *id, const struct kw_once *once)
{
    kw_op_init(op, kind, KW_PROJECT_DEFAULT);
    op->params = kind == KW_OP_CREATE ? &of_user_1 : NULL;
    op->id = id == NULL ? (struct kw_id){{0}} : *id;
    op->actor = KW_BYTES("test");
    op->grace_ms = 1000;
    op->once = once;
}

static struct outcome take_outcome(struct test *t, struct kw_op *op)
{
    struct outcome outcome = {.status = op->status,
                              .error = op->error,
                              .is_replay = op->is_replay,
                              .has_secret = op->secret.size > 0,
                              .has_previous = op->other.size > 0};
    struct kw_record record;
    if (op->status == KW_OK) {
        CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&op->result), &record), KW_OK);
        outcome.id = record.id;
        outcome.is_enabled = record.enabled;
    }
    CHECK(t, outcome.has_secret == (op->status == KW_OK && !op->is_replay));
    kw_op_deinit(op);
    return outcome;
}

static struct outcome ask(struct test *t, struct test_engine *fixture, enum kw_op_kind kind, const struct kw_id *id,
                          const struct kw_once *once)
{
    struct kw_op op;
    prepare(&op, kind, id, once);
    (void)kw_engine_run(fixture->engine, &op);
    return take_outcome(t, &op);
}

static uint64_t key_count(struct kw_store *store)
{
    uint64_t count = 0;
    (void)store->ops->count(store, KW_BYTES("default"), &count);
    return count;
}

static void the_same_request_is_done_once(struct test *t)
{
    struct test_engine fixture;
    struct kw_once once = once_of(0, "a key");
    struct kw_once other = once_of(0, "another key");
    struct kw_once second = once_of(1, "a key");
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct outcome made = ask(t, &fixture, KW_OP_CREATE, NULL, &once);
    CHECK(t, made.status == KW_OK && !made.is_replay);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_DISABLE, &made.id, NULL));
    for (int i = 0; i < 3; i++) {
        struct outcome again = ask(t, &fixture, KW_OP_CREATE, NULL, &once);
        CHECK_STATUS(t, again.status, KW_OK);
        CHECK(t, again.is_replay && !again.is_enabled && kw_id_equal(&again.id, &made.id)); /* as it is now */
    }
    struct outcome refused = ask(t, &fixture, KW_OP_CREATE, NULL, &other);
    CHECK_STATUS(t, refused.status, KW_E_INVALID);
    CHECK_TEXT(t, refused.error.code, "IDEMPOTENCY_KEY_REUSED");
    CHECK_I64(t, key_count(fixture.store), 1);
    CHECK(t, !ask(t, &fixture, KW_OP_CREATE, NULL, &second).is_replay);
    CHECK(t, !ask(t, &fixture, KW_OP_CREATE, NULL, NULL).is_replay);
    CHECK_I64(t, key_count(fixture.store), 3);
    test_engine_close(&fixture);
}

static void a_repeated_rotation_shows_both_keys(struct test *t)
{
    struct test_engine fixture;
    struct kw_once once = once_of(0, "rotate");
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct outcome old = ask(t, &fixture, KW_OP_CREATE, NULL, NULL);
    struct outcome made = ask(t, &fixture, KW_OP_ROTATE, &old.id, &once);
    CHECK(t, made.status == KW_OK && !made.is_replay && !kw_id_equal(&made.id, &old.id));
    struct outcome again = ask(t, &fixture, KW_OP_ROTATE, &old.id, &once);
    CHECK_STATUS(t, again.status, KW_OK);
    CHECK(t, again.is_replay && again.has_previous && kw_id_equal(&again.id, &made.id));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &old.id, NULL));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ERASE, &old.id, NULL));
    again = ask(t, &fixture, KW_OP_ROTATE, &old.id, &once);
    CHECK(t, again.status == KW_OK && again.is_replay && !again.has_previous);
    CHECK_I64(t, key_count(fixture.store), 1);
    test_engine_close(&fixture);
}

static void what_was_erased_is_not_made_again(struct test *t)
{
    struct test_engine fixture;
    struct kw_once once = once_of(0, "a key");
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct outcome made = ask(t, &fixture, KW_OP_CREATE, NULL, &once);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &made.id, NULL));
    CHECK_STATUS(t, ask(t, &fixture, KW_OP_CREATE, NULL, &once).status, KW_OK);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ERASE, &made.id, NULL));
    struct outcome again = ask(t, &fixture, KW_OP_CREATE, NULL, &once);
    CHECK_STATUS(t, again.status, KW_E_NOT_FOUND);
    CHECK_TEXT(t, again.error.code, "KEY_NOT_FOUND");
    CHECK_I64(t, key_count(fixture.store), 0);
    test_engine_close(&fixture);
}

static void a_refused_request_may_come_again(struct test *t)
{
    struct test_engine fixture;
    struct kw_once once = once_of(0, "rotate");
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct outcome old = ask(t, &fixture, KW_OP_CREATE, NULL, NULL);
    struct kw_op op;
    prepare(&op, KW_OP_ROTATE, &old.id, &once);
    op.if_version = 9;
    CHECK_STATUS(t, kw_engine_run(fixture.engine, &op), KW_E_CONFLICT);
    error = op.error;
    kw_op_deinit(&op);
    CHECK_TEXT(t, error.code, "VERSION_CONFLICT");
    struct outcome made = ask(t, &fixture, KW_OP_ROTATE, &old.id, &once);
    CHECK(t, made.status == KW_OK && !made.is_replay);
    test_engine_close(&fixture);
}

static void post(struct kw_op *op)
{
    sem_post(op->context);
}

/* All are handed in before the first is done, so that most of them share a group. */
static void ask_many(struct test *t, struct test_engine *fixture, enum kw_op_kind kind, const struct kw_id *id)
{
    static struct kw_op ops[CROWD];
    struct kw_once onces[] = {once_of(0, "a"), once_of(1, "a"), once_of(0, "b")};
    struct kw_id made[3] = {{{0}}};
    unsigned made_count[3] = {0};
    sem_t done;
    sem_init(&done, 0, 0);
    for (size_t i = 0; i < CROWD; i++) {
        prepare(&ops[i], kind, id, &onces[i % 3]);
        ops[i].done = post;
        ops[i].context = &done;
        kw_engine_submit(fixture->engine, &ops[i]);
    }
    for (size_t i = 0; i < CROWD; i++) {
        while (sem_wait(&done) != 0) {
        }
    }
    for (size_t i = 0; i < CROWD; i++) {
        struct outcome outcome = take_outcome(t, &ops[i]);
        bool is_other = i % 3 == 2;
        CHECK(t, !is_other || outcome.status == KW_E_INVALID);
        if (outcome.status == KW_OK) {
            made_count[i % 3] += !outcome.is_replay;
            made[i % 3] = kw_id_is_none(&made[i % 3]) ? outcome.id : made[i % 3];
            CHECK(t, kw_id_equal(&made[i % 3], &outcome.id));
        }
    }
    CHECK_I64(t, made_count[0], 1);
    CHECK_I64(t, made_count[1], kind == KW_OP_CREATE ? 1 : 0); /* a key is rotated once, whoever asks */
    sem_destroy(&done);
}

static void many_at_the_same_time_make_one_key(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    ask_many(t, &fixture, KW_OP_CREATE, NULL);
    CHECK_I64(t, key_count(fixture.store), 2);
    test_engine_close(&fixture);
}

static void many_rotations_at_the_same_time_make_one_successor(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct outcome old = ask(t, &fixture, KW_OP_CREATE, NULL, NULL);
    ask_many(t, &fixture, KW_OP_ROTATE, &old.id);
    CHECK_I64(t, key_count(fixture.store), 2);
    test_engine_close(&fixture);
}

static bool is_remembered(struct test_engine *fixture, const struct kw_once *once)
{
    struct kw_store_request request;
    return fixture->store->ops->request_find(fixture->store, once->name, &request) == KW_OK;
}

/* The writer forgets at its own ticks; any change makes it go round. */
static void a_day_later_a_request_is_forgotten(struct test *t)
{
    enum { COUNT = KW_ONCE_PRUNED_MAX + 10 };
    struct test_engine fixture;
    struct kw_once last = {{0}};
    struct kw_once fresh = once_of(0, "fresh");
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (unsigned i = 0; i < COUNT; i++) {
        memcpy(last.name, &i, sizeof i);
        CHECK(t, !ask(t, &fixture, KW_OP_CREATE, NULL, &last).is_replay);
    }
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + KW_ONCE_KEPT_MS, __ATOMIC_RELAXED);
    CHECK(t, ask(t, &fixture, KW_OP_CREATE, NULL, &last).is_replay); /* a day is not over yet */
    CHECK(t, !ask(t, &fixture, KW_OP_CREATE, NULL, &fresh).is_replay);
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + KW_ONCE_KEPT_MS + KW_ONCE_PRUNE_MS, __ATOMIC_RELAXED);
    size_t waiting = COUNT;
    while (waiting > 0) {
        (void)ask(t, &fixture, KW_OP_CREATE, NULL, NULL);
        waiting = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            memcpy(last.name, &i, sizeof i);
            waiting += is_remembered(&fixture, &last);
        }
    }
    CHECK(t, is_remembered(&fixture, &fresh));
    CHECK(t, !ask(t, &fixture, KW_OP_CREATE, NULL, &last).is_replay);
    test_engine_close(&fixture);
}

/* One life with call `nth` failing: asks until it is answered, then once more. False when there was no such call. */
static bool insist(struct test *t, enum kw_op_kind kind, enum kw_fault_kind fault, uint64_t nth)
{
    struct test_engine fixture;
    struct kw_store *inner = NULL;
    struct kw_store *faulty = NULL;
    struct kw_once once = once_of(0, "a key");
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &fixture, faulty)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    struct outcome old = kind == KW_OP_ROTATE ? ask(t, &fixture, KW_OP_CREATE, NULL, NULL) : (struct outcome){0};
    kw_store_fault_arm(faulty, fault, nth);
    struct outcome answer = {.status = KW_E_UNAVAILABLE};
    for (int attempt = 0; attempt < 3 && answer.status != KW_OK; attempt++) {
        answer = ask(t, &fixture, kind, &old.id, &once);
        CHECK(t, answer.status == KW_OK || answer.status == KW_E_UNAVAILABLE || answer.status == KW_E_UNCERTAIN);
    }
    CHECK_STATUS(t, answer.status, KW_OK);
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    kw_store_fault_arm(faulty, fault, 0);
    struct outcome again = ask(t, &fixture, kind, &old.id, &once);
    CHECK_STATUS(t, again.status, KW_OK);
    CHECK(t, again.is_replay && kw_id_equal(&again.id, &answer.id));
    CHECK_I64(t, key_count(inner), kind == KW_OP_ROTATE ? 2 : 1);
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_GET, &answer.id, NULL), KW_OK);
    test_engine_close(&fixture);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_op_kind kind, enum kw_fault_kind fault)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && insist(t, kind, fault, nth)) {
        nth++;
    }
    CHECK(t, nth > 2); /* whether it was done, and the commit */
    CHECK(t, nth < CALLS_MAX);
}

static void whichever_call_fails_one_key_is_made(struct test *t)
{
    sweep(t, KW_OP_CREATE, KW_FAULT_UNAVAILABLE);
    sweep(t, KW_OP_CREATE, KW_FAULT_UNCERTAIN);
}

static void whichever_call_fails_one_successor_is_made(struct test *t)
{
    sweep(t, KW_OP_ROTATE, KW_FAULT_UNAVAILABLE);
    sweep(t, KW_OP_ROTATE, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_same_request_is_done_once),
        TEST_CASE(a_repeated_rotation_shows_both_keys),
        TEST_CASE(what_was_erased_is_not_made_again),
        TEST_CASE(a_refused_request_may_come_again),
        TEST_CASE(many_at_the_same_time_make_one_key),
        TEST_CASE(many_rotations_at_the_same_time_make_one_successor),
        TEST_CASE(a_day_later_a_request_is_forgotten),
        TEST_CASE(whichever_call_fails_one_key_is_made),
        TEST_CASE(whichever_call_fails_one_successor_is_made),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
