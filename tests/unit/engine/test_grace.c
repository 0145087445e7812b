/*
 * The end of a rotation's grace period before its time: when asked, and with the first use of the new key. The clock
 * stands still, so that no grace period ends by itself.
 */
#include "core/id.h"
#include "support/engine.h"

#define HOUR_MS INT64_C(3600000)
#define CALLS_MAX 100

/* An old key, and its successor. */
struct pair {
    struct kw_id old_id, new_id;
    struct kw_secret old_key, new_key;
};

static void forget(struct pair *pair)
{
    kw_secret_wipe(&pair->old_key);
    kw_secret_wipe(&pair->new_key);
}

static bool rotate(struct test *t, struct test_engine *fixture, const struct kw_id *id, bool ends_grace,
                   struct kw_id *id_out, struct kw_secret *key_out)
{
    struct kw_op op;
    struct kw_record record = {.version = 0};
    kw_op_init(&op, KW_OP_ROTATE, KW_PROJECT_DEFAULT);
    op.id = *id;
    op.grace_ms = HOUR_MS;
    op.ends_grace = ends_grace;
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    CHECK_STATUS(t, status, KW_OK);
    CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    *id_out = record.id;
    *key_out = op.secret;
    kw_op_deinit(&op);
    return status == KW_OK;
}

static bool make_pair(struct test *t, struct test_engine *fixture, bool ends_grace, struct pair *pair)
{
    return test_engine_create(t, fixture, NULL, &pair->old_id, &pair->old_key) &&
           rotate(t, fixture, &pair->old_id, ends_grace, &pair->new_id, &pair->new_key);
}

static struct kw_verification ask(struct test_engine *fixture, const struct kw_secret *key, struct kw_bytes env)
{
    struct kw_verification v = {.key = kw_secret_expose(key), .question = {.project = KW_PROJECT_DEFAULT, .env = env}};
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    v.entry = NULL;
    kw_engine_read_end();
    return v;
}

/* Whether the first use of this valid key is still to be told, after this use. */
static bool is_untold(struct test_engine *fixture, const struct kw_secret *key)
{
    struct kw_verification v = {.key = kw_secret_expose(key), .question = {.project = KW_PROJECT_DEFAULT}};
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    bool is_untold = v.entry == NULL || (kw_entry_flags(v.entry) & KW_ENTRY_ENDS_GRACE) != 0;
    kw_engine_read_end();
    return is_untold;
}

/* The writer has gone round when two changes of its own came after: what was noted before is written by then. */
static void let_the_writer_go_round(struct test *t, struct test_engine *fixture)
{
    for (int i = 0; i < 3; i++) {
        struct kw_id id;
        struct kw_secret key KW_WIPED = {0};
        CHECK(t, test_engine_create(t, fixture, NULL, &id, &key));
    }
}

static void wait_until_revoked(struct test_engine *fixture, const struct kw_secret *key)
{
    while (test_engine_verify(fixture, key) != KW_CODE_REVOKED) {
    }
}

/* By its record: to verify a key is to use it. */
static bool is_revoked(struct test *t, struct test_engine *fixture, const struct kw_id *id)
{
    struct kw_record record = {.version = 0};
    struct kw_op op;
    kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op.id = *id;
    CHECK_STATUS(t, kw_engine_run(fixture->engine, &op), KW_OK);
    CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    kw_op_deinit(&op);
    return record.revoked_at_ms != 0;
}

struct account {
    unsigned count;
    char actor[64];
    char context[128];
    char body[1024];
};

static enum kw_status keep_account(void *context, const struct kw_store_audit *audit)
{
    struct account *account = context;
    if (audit->actor.size >= sizeof account->actor || audit->body.size >= sizeof account->body ||
        audit->context.size >= sizeof account->context) {
        return KW_E_LIMIT;
    }
    account->count++;
    memcpy(account->actor, audit->actor.data, audit->actor.size);
    if (audit->context.size > 0) {
        memcpy(account->context, audit->context.data, audit->context.size);
    }
    memcpy(account->body, audit->body.data, audit->body.size);
    return KW_OK;
}

static struct account revocations_of(struct test *t, struct test_engine *fixture, const struct kw_id *id)
{
    struct account account = {.count = 0};
    struct kw_store_audit_filter filter = {.key_id = *id, .action = KW_BYTES("key.revoked"), .limit = 10};
    CHECK_STATUS(t, fixture->store->ops->audit_query(fixture->store, &filter, keep_account, &account), KW_OK);
    return account;
}

static void the_first_use_ends_the_grace_period(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    let_the_writer_go_round(t, &fixture);
    kw_engine_wait_filled(fixture.engine);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_NONE);
    CHECK(t, !is_untold(&fixture, &pair.new_key));
    wait_until_revoked(&fixture, &pair.old_key);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    for (int i = 0; i < 100; i++) {
        CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    }
    let_the_writer_go_round(t, &fixture);
    struct account account = revocations_of(t, &fixture, &pair.old_id);
    CHECK_I64(t, account.count, 1);
    CHECK_TEXT(t, account.actor, "system");
    CHECK(t, strstr(account.context, "\"reason\":\"rotated\"") != NULL);
    CHECK(t, strstr(account.body, "\"revokeReason\":{\"from\":null,\"to\":\"rotated\"}") != NULL);
    CHECK_I64(t, revocations_of(t, &fixture, &pair.new_id).count, 0);
    forget(&pair);
    test_engine_close(&fixture);
}

static void without_being_set_the_grace_period_goes_on(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, false, &pair));
    for (int i = 0; i < 3; i++) {
        CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
        let_the_writer_go_round(t, &fixture);
        CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_NONE);
    }
    forget(&pair);
    test_engine_close(&fixture);
}

static void a_refused_verification_is_no_use(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_DISABLE, &pair.new_id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_DISABLED);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ENABLE, &pair.new_id, NULL));
    CHECK_I64(t, ask(&fixture, &pair.new_key, KW_BYTES("test")).code, KW_CODE_ENVIRONMENT_MISMATCH);
    let_the_writer_go_round(t, &fixture);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_NONE);
    CHECK_I64(t, ask(&fixture, &pair.new_key, KW_BYTES("live")).code, KW_CODE_NONE);
    wait_until_revoked(&fixture, &pair.old_key);
    forget(&pair);
    test_engine_close(&fixture);
}

static void revoking_the_old_key_ends_its_grace_period(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &pair.old_id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE); /* and has nothing left to end */
    let_the_writer_go_round(t, &fixture);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    struct account account = revocations_of(t, &fixture, &pair.old_id);
    CHECK_I64(t, account.count, 1);
    CHECK_TEXT(t, account.actor, "test");
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_REVOKE, &pair.old_id, &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "ALREADY_REVOKED");
    forget(&pair);
    test_engine_close(&fixture);
}

static void an_erased_key_has_no_grace_period_to_end(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &pair.old_id, NULL));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ERASE, &pair.old_id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    let_the_writer_go_round(t, &fixture);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_INVALID_KEY);
    forget(&pair);
    test_engine_close(&fixture);
}

/* The store outlives the first engine: its `close` is taken away for that time. */
static void keep_open(struct kw_store *store)
{
    (void)store;
}

static void a_restart_does_not_forget_what_a_first_use_ends(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    struct kw_store *store = NULL;
    REQUIRE_OK(t, kw_store_memory_open(&store));
    const struct kw_store_ops *ops = store->ops;
    struct kw_store_ops kept = *ops;
    kept.close = keep_open;
    store->ops = &kept;
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    test_engine_close(&fixture);
    store->ops = ops;
    REQUIRE(t, test_engine_open(t, &fixture, store));
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    wait_until_revoked(&fixture, &pair.old_key);
    forget(&pair);
    test_engine_close(&fixture);
}

/* Each key ends that of the one before it, and no other. */
static void a_line_of_rotations_ends_key_by_key(struct test *t)
{
    struct test_engine fixture;
    struct pair pair = {0};
    struct kw_id third_id;
    struct kw_secret third_key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_pair(t, &fixture, true, &pair));
    REQUIRE(t, rotate(t, &fixture, &pair.new_id, true, &third_id, &third_key));
    CHECK_I64(t, test_engine_verify(&fixture, &third_key), KW_CODE_NONE);
    while (!is_revoked(t, &fixture, &pair.new_id)) {
    }
    let_the_writer_go_round(t, &fixture);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.old_key), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&fixture, &third_key), KW_CODE_NONE);
    forget(&pair);
    test_engine_close(&fixture);
}

/* More than the list of what is noted holds: what finds it full is told by the next use. */
static void many_first_uses_at_once_are_all_told(struct test *t)
{
    enum { COUNT = 300 };
    static struct pair pairs[COUNT];
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(t, make_pair(t, &fixture, true, &pairs[i]));
    }
    size_t waiting = COUNT;
    while (waiting > 0 && t->failures == 0) {
        waiting = 0;
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_I64(t, test_engine_verify(&fixture, &pairs[i].new_key), KW_CODE_NONE);
            waiting += test_engine_verify(&fixture, &pairs[i].old_key) != KW_CODE_REVOKED;
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_I64(t, revocations_of(t, &fixture, &pairs[i].old_id).count, 1);
        forget(&pairs[i]);
    }
    test_engine_close(&fixture);
}

/* Whichever call of the store fails meanwhile: the uses after it tell again. False when there was no such call. */
static bool use_with_fault(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct test_engine fixture;
    struct pair pair = {0};
    struct kw_store *inner = NULL;
    struct kw_store *faulty = NULL;
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &fixture, faulty)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    bool is_made = make_pair(t, &fixture, true, &pair);
    kw_store_fault_arm(faulty, kind, nth);
    while (is_made && test_engine_verify(&fixture, &pair.old_key) != KW_CODE_REVOKED) {
        CHECK_I64(t, test_engine_verify(&fixture, &pair.new_key), KW_CODE_NONE);
    }
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    forget(&pair);
    test_engine_close(&fixture);
    return came_to_pass;
}

static void a_store_that_fails_only_delays_it(struct test *t)
{
    for (int kind = KW_FAULT_UNAVAILABLE; kind <= KW_FAULT_UNCERTAIN; kind++) {
        uint64_t nth = 1;
        while (nth < CALLS_MAX && use_with_fault(t, (enum kw_fault_kind)kind, nth)) {
            nth++;
        }
        CHECK(t, nth > 2); /* the old key's record, and the commit */
        CHECK(t, nth < CALLS_MAX);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_first_use_ends_the_grace_period),      TEST_CASE(without_being_set_the_grace_period_goes_on),
        TEST_CASE(a_refused_verification_is_no_use),         TEST_CASE(revoking_the_old_key_ends_its_grace_period),
        TEST_CASE(an_erased_key_has_no_grace_period_to_end), TEST_CASE(a_restart_does_not_forget_what_a_first_use_ends),
        TEST_CASE(a_line_of_rotations_ends_key_by_key),      TEST_CASE(many_first_uses_at_once_are_all_told),
        TEST_CASE(a_store_that_fails_only_delays_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
