/* The engine on a memory store: what a change does to the next verification, and what a refusal leaves alone. */
#include "core/id.h"
#include "support/engine.h"

static void a_created_key_verifies_at_once(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    test_engine_close(&fixture);
}

static void what_was_acknowledged_is_what_is_verified(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_DISABLE, &id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_DISABLED);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ENABLE, &id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_REVOKED);
    struct kw_error error;
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_ENABLE, &id, &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "CANNOT_MODIFY_REVOKED");
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_REVOKED);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ERASE, &id, NULL));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_INVALID_KEY);
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_GET, &id, NULL), KW_E_NOT_FOUND);
    test_engine_close(&fixture);
}

static void another_projects_key_is_unknown(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    struct kw_op op;
    kw_op_init(&op, KW_OP_REVOKE, KW_PROJECT_KEYWARD);
    op.id = id;
    CHECK_STATUS(t, kw_engine_run(fixture.engine, &op), KW_E_NOT_FOUND);
    error = op.error;
    kw_op_deinit(&op);
    struct kw_error unknown;
    struct kw_id nobody = {{1}};
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_REVOKE, &nobody, &unknown), KW_E_NOT_FOUND);
    CHECK_TEXT(t, error.message, unknown.message);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    test_engine_close(&fixture);
}

static void a_rotation_with_grace_ends_on_time_and_stays_ended(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret old_key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &old_key));
    struct kw_op op;
    kw_op_init(&op, KW_OP_ROTATE, KW_PROJECT_DEFAULT);
    op.id = id;
    op.grace_ms = 1000;
    REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
    struct kw_secret new_key KW_WIPED = op.secret;
    kw_op_deinit(&op);
    CHECK_I64(t, test_engine_verify(&fixture, &old_key), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&fixture, &new_key), KW_CODE_NONE);
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + 1000, __ATOMIC_RELAXED);
    CHECK_I64(t, test_engine_verify(&fixture, &old_key), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&fixture, &new_key), KW_CODE_NONE);
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS, __ATOMIC_RELAXED); /* the clock steps back */
    CHECK_I64(t, test_engine_verify(&fixture, &old_key), KW_CODE_REVOKED);
    test_engine_close(&fixture);
}

static void a_passed_expiry_is_written_down(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_AT,
                                   .owner = KW_BYTES("user:1"),
                                   .expires_at_ms = TEST_NOW_MS + 5000};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + 5000, __ATOMIC_RELAXED);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_EXPIRED);
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS, __ATOMIC_RELAXED);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_EXPIRED);
    struct kw_record record = {0};
    struct kw_op op;
    /* The writer's own tick writes it; reading again until then costs no clock. */
    do {
        kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
        op.id = id;
        REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
        REQUIRE_OK(t, kw_record_decode(kw_buffer_bytes(&op.result), &record));
        kw_op_deinit(&op);
    } while (record.lapsed_at_ms == 0);
    CHECK_I64(t, record.lapsed_at_ms, TEST_NOW_MS + 5000);
    test_engine_close(&fixture);
}

static int64_t lapsed_at(struct test *t, struct test_engine *fixture, const struct kw_id *id)
{
    struct kw_record record = {0};
    struct kw_op op;
    kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op.id = *id;
    CHECK_STATUS(t, kw_engine_run(fixture->engine, &op), KW_OK);
    CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    kw_op_deinit(&op);
    return record.lapsed_at_ms;
}

/* More than the list of lapses holds: what finds it full is noticed again. */
static void many_expiries_at_once_are_all_written_down(struct test *t)
{
    enum { COUNT = 600 };
    static struct kw_id ids[COUNT];
    static struct kw_secret keys[COUNT];
    struct test_engine fixture;
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_AT,
                                   .owner = KW_BYTES("user:1"),
                                   .expires_at_ms = TEST_NOW_MS + 5000};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(t, test_engine_create(t, &fixture, &params, &ids[i], &keys[i]));
    }
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + 5000, __ATOMIC_RELAXED);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_I64(t, test_engine_verify(&fixture, &keys[i]), KW_CODE_EXPIRED);
    }
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS, __ATOMIC_RELAXED); /* the clock steps back */
    size_t waiting = COUNT;
    while (waiting > 0 && t->failures == 0) { /* each tick of the writer takes what the list held */
        waiting = 0;
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_I64(t, test_engine_verify(&fixture, &keys[i]), KW_CODE_EXPIRED);
            waiting += lapsed_at(t, &fixture, &ids[i]) == 0;
        }
    }
    kw_wipe(keys, sizeof keys);
    test_engine_close(&fixture);
}

/* Before the writer has written it down, a change must not bring back what has passed. */
static void a_change_does_not_revive_what_was_seen_to_have_passed(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_AT,
                                   .owner = KW_BYTES("user:1"),
                                   .expires_at_ms = TEST_NOW_MS + 5000};
    struct kw_key_params named = {.given = KW_GIVEN_NAME, .name = KW_BYTES("Renamed")};
    struct kw_key_params longer = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = TEST_NOW_MS + 90000};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + 5000, __ATOMIC_RELAXED);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_EXPIRED);
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS, __ATOMIC_RELAXED);
    const struct kw_key_params *changes[] = {&named, &longer};
    for (size_t i = 0; i < KW_COUNT_OF(changes); i++) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_UPDATE, KW_PROJECT_DEFAULT);
        op.id = id;
        op.params = changes[i];
        enum kw_status status = kw_engine_run(fixture.engine, &op);
        CHECK_STATUS(t, status, i == 0 ? KW_OK : KW_E_CONFLICT);
        kw_op_deinit(&op);
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_EXPIRED);
    }
    test_engine_close(&fixture);
}

static enum kw_status first_audit(void *context, const struct kw_store_audit *audit)
{
    char *text = context;
    memcpy(text, audit->action.data, audit->action.size);
    text[audit->action.size] = '|';
    memcpy(text + audit->action.size + 1, audit->body.data, audit->body.size);
    text[audit->action.size + 1 + audit->body.size] = '\0';
    return KW_OK;
}

static void a_change_leaves_an_audit_entry_and_an_event(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    char text[4096] = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    struct kw_store_audit_filter filter = {.key_id = id, .limit = 10};
    REQUIRE_OK(t, fixture.store->ops->audit_query(fixture.store, &filter, first_audit, text));
    CHECK(t, strstr(text, "key.created|{\"env\":\"live\",\"changes\":{") != NULL);
    CHECK(t, strstr(text, "\"owner\":{\"from\":null,\"to\":\"user:1\"}") != NULL);
    test_engine_close(&fixture);
}

static void the_root_key_is_made_once_and_replaced_when_told(struct test *t)
{
    struct test_engine fixture;
    struct kw_secret made KW_WIPED = {0};
    struct kw_secret again KW_WIPED = {0};
    struct kw_error error = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, kw_engine_root_key(fixture.engine, NULL, &made, &error));
    CHECK(t, made.size > 40);
    REQUIRE_OK(t, kw_engine_root_key(fixture.engine, NULL, &again, &error));
    CHECK_I64(t, again.size, 0);
    uint8_t random[KW_KEY_RANDOM_SIZE];
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (uint8_t)test_random(t);
    }
    struct kw_secret chosen KW_WIPED = {0};
    const struct kw_project *project = kw_project_built_in(KW_PROJECT_KEYWARD);
    REQUIRE_OK(t, kw_key_generate(&project->environments[0].secret_keys, kw_bytes_of(random, sizeof random), &chosen));
    REQUIRE_OK(t, kw_engine_root_key(fixture.engine, &chosen, &again, &error));
    CHECK_I64(t, again.size, 0);
    REQUIRE_OK(t, kw_engine_root_key(fixture.engine, &chosen, &again, &error));
    CHECK_STATUS(t, kw_engine_root_key(fixture.engine, &made, &again, &error), KW_E_INVALID); /* retired */
    struct kw_verification v = {.key = kw_secret_expose(&made), .question = {.project = KW_PROJECT_KEYWARD}};
    kw_engine_read_begin();
    kw_engine_verify(fixture.engine, &v, TEST_NOW_MS);
    kw_engine_read_end();
    CHECK_I64(t, v.code, KW_CODE_REVOKED);
    test_engine_close(&fixture);
}

static enum kw_status create_management(struct test_engine *fixture, const struct kw_key_params *params,
                                        struct kw_bytes authority, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_KEYWARD);
    op.params = params;
    op.authority = authority;
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    *error_out = op.error;
    kw_op_deinit(&op);
    return status;
}

static void a_management_key_belongs_to_one_project(struct test *t)
{
    struct test_engine fixture;
    struct kw_error error = {0};
    struct kw_bytes scope = KW_BYTES("keys:verify");
    struct kw_resource_scopes one[] = {{KW_BYTES("project:default"), &scope, 1}};
    struct kw_resource_scopes nowhere[] = {{KW_BYTES("project:nowhere"), &scope, 1}};
    struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES, .owner = KW_BYTES("service:ci"), .scopes = &scope, .scope_count = 1};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    CHECK_STATUS(t, create_management(&fixture, &params, (struct kw_bytes){0}, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "scopes");
    params.given = KW_GIVEN_OWNER | KW_GIVEN_RESOURCES;
    params.resources = nowhere;
    params.resource_count = 1;
    CHECK_STATUS(t, create_management(&fixture, &params, (struct kw_bytes){0}, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "resources");
    params.resources = one;
    CHECK_STATUS(t, create_management(&fixture, &params, (struct kw_bytes){0}, &error), KW_OK);
    params.owner = KW_BYTES(KW_ROOT_OWNER);
    CHECK_STATUS(t, create_management(&fixture, &params, (struct kw_bytes){0}, &error), KW_E_DENIED);
    test_engine_close(&fixture);
}

/* The encoded record of a management key for `keyward` that expires; the caller frees it with kw_buffer_deinit. */
static bool make_caller(struct test *t, struct test_engine *fixture, struct kw_buffer *encoding_out)
{
    struct kw_bytes scope = KW_BYTES("keys:create");
    struct kw_resource_scopes on = {KW_BYTES("project:keyward"), &scope, 1};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_RESOURCES | KW_GIVEN_EXPIRES_AT,
                                   .owner = KW_BYTES("service:ci"),
                                   .resources = &on,
                                   .resource_count = 1,
                                   .expires_at_ms = TEST_NOW_MS + 1000};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_KEYWARD);
    op.params = &params;
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    CHECK_STATUS(t, status, KW_OK);
    kw_buffer_init(encoding_out, KW_RECORD_MAX);
    kw_buffer_add(encoding_out, kw_buffer_bytes(&op.result));
    kw_op_deinit(&op);
    return status == KW_OK;
}

static void a_management_key_makes_none_that_outlives_it(struct test *t)
{
    struct test_engine fixture;
    struct kw_buffer caller;
    struct kw_error error = {0};
    struct kw_bytes scope = KW_BYTES("keys:create");
    struct kw_resource_scopes on = {KW_BYTES("project:keyward"), &scope, 1};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_RESOURCES,
                                   .owner = KW_BYTES("service:ci"),
                                   .resources = &on,
                                   .resource_count = 1};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_caller(t, &fixture, &caller));
    CHECK_STATUS(t, create_management(&fixture, &params, kw_buffer_bytes(&caller), &error), KW_E_DENIED);
    CHECK_TEXT(t, error.field, "expiresAt");
    params.given |= KW_GIVEN_EXPIRES_AT;
    params.expires_at_ms = TEST_NOW_MS + 1001;
    CHECK_STATUS(t, create_management(&fixture, &params, kw_buffer_bytes(&caller), &error), KW_E_DENIED);
    params.expires_at_ms = TEST_NOW_MS + 1000;
    CHECK_STATUS(t, create_management(&fixture, &params, kw_buffer_bytes(&caller), &error), KW_OK);
    struct kw_bytes wider[] = {KW_BYTES("keys:create"), KW_BYTES("keys:verify")};
    on.scopes = wider;
    on.scope_count = 2;
    CHECK_STATUS(t, create_management(&fixture, &params, kw_buffer_bytes(&caller), &error), KW_E_DENIED);
    kw_buffer_deinit(&caller);
    test_engine_close(&fixture);
}

static void ids_ascend_in_the_order_of_creation(struct test *t)
{
    struct test_engine fixture;
    struct kw_id before = {{0}};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (int i = 0; i < 200; i++) { /* the clock stands still, and then steps back */
        struct kw_secret key KW_WIPED = {0};
        struct kw_id id;
        __atomic_store_n(&fixture.now_ms, i < 100 ? TEST_NOW_MS : TEST_NOW_MS - 5000, __ATOMIC_RELAXED);
        REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
        CHECK(t, kw_id_compare(&id, &before) > 0);
        before = id;
    }
    test_engine_close(&fixture);
}

static void many_verify_as_one_by_one(struct test *t)
{
    struct test_engine fixture;
    struct kw_secret keys[40] = {0};
    struct kw_verification many[80] = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(keys); i++) {
        struct kw_id id;
        REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &keys[i]));
        if (i % 3 == 0) {
            REQUIRE_OK(t, test_engine_do(&fixture, i % 2 == 0 ? KW_OP_REVOKE : KW_OP_DISABLE, &id, NULL));
        }
    }
    kw_engine_wait_filled(fixture.engine);
    for (size_t i = 0; i < KW_COUNT_OF(many); i++) {
        many[i].question.project = test_random_below(t, 8) == 0 ? KW_PROJECT_KEYWARD : KW_PROJECT_DEFAULT;
        many[i].key = kw_secret_expose(&keys[test_random_below(t, KW_COUNT_OF(keys))]);
        many[i].key.size -= test_random_below(t, 10) == 0; /* a letter lost */
    }
    kw_engine_read_begin();
    kw_engine_verify_many(fixture.engine, many, KW_COUNT_OF(many), TEST_NOW_MS);
    for (size_t i = 0; i < KW_COUNT_OF(many); i++) {
        struct kw_verification one = {.key = many[i].key, .question = many[i].question};
        kw_engine_verify(fixture.engine, &one, TEST_NOW_MS);
        CHECK_I64(t, many[i].code, one.code);
        CHECK(t, many[i].entry == one.entry);
    }
    kw_engine_read_end();
    kw_wipe(keys, sizeof keys);
    test_engine_close(&fixture);
}

/* How often a search asks whether anybody waits, and when nobody does any more. */
static struct asked {
    int times, leaves_at;
} asked;

static bool is_left(const struct kw_op *op)
{
    (void)op;
    return ++asked.times == asked.leaves_at;
}

/* For disabled keys, of which there are none. */
static void search(struct test *t, struct test_engine *fixture, enum kw_op_kind kind, int leaves_at, struct kw_op *op)
{
    const struct kw_list_query query = {.has_status = true, .status = KW_KEY_DISABLED, .limit = 5};
    asked = (struct asked){.leaves_at = leaves_at};
    kw_op_init(op, kind, KW_PROJECT_DEFAULT);
    op->query = &query;
    op->is_left = is_left;
    CHECK_STATUS(t, kw_engine_run(fixture->engine, op), KW_OK);
    op->query = NULL;
    kw_op_deinit(op);
}

static void a_search_that_nobody_waits_for_ends(struct test *t)
{
    struct test_engine fixture;
    struct kw_secret key KW_WIPED = {0};
    struct kw_id ids[600];
    struct kw_op op;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(ids); i++) {
        REQUIRE(t, test_engine_create(t, &fixture, NULL, &ids[i], &key));
    }
    search(t, &fixture, KW_OP_LIST, 0, &op);
    CHECK(t, !op.has_more && asked.times > 1);
    search(t, &fixture, KW_OP_LIST, 1, &op);
    CHECK_I64(t, asked.times, 1);
    CHECK(t, op.has_more && kw_id_compare(&op.cursor.id, &ids[0]) > 0 && kw_id_compare(&op.cursor.id, &ids[599]) < 0);
    search(t, &fixture, KW_OP_COUNT, 0, &op);
    CHECK(t, op.is_exact && asked.times > 1);
    search(t, &fixture, KW_OP_COUNT, 1, &op);
    CHECK_I64(t, asked.times, 1);
    CHECK(t, !op.is_exact);
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_created_key_verifies_at_once),
        TEST_CASE(what_was_acknowledged_is_what_is_verified),
        TEST_CASE(another_projects_key_is_unknown),
        TEST_CASE(a_rotation_with_grace_ends_on_time_and_stays_ended),
        TEST_CASE(a_passed_expiry_is_written_down),
        TEST_CASE(many_expiries_at_once_are_all_written_down),
        TEST_CASE(a_change_does_not_revive_what_was_seen_to_have_passed),
        TEST_CASE(a_change_leaves_an_audit_entry_and_an_event),
        TEST_CASE(the_root_key_is_made_once_and_replaced_when_told),
        TEST_CASE(a_management_key_belongs_to_one_project),
        TEST_CASE(a_management_key_makes_none_that_outlives_it),
        TEST_CASE(ids_ascend_in_the_order_of_creation),
        TEST_CASE(many_verify_as_one_by_one),
        TEST_CASE(a_search_that_nobody_waits_for_ends),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
