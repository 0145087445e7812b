/* Families in the engine: what happens to a key happens to all that stand below it, at once and for good. */
#include "core/id.h"
#include "kin.h"
#include "shelf.h"

#include <pthread.h>

static void set_clock(struct test_engine *fixture, int64_t now_ms)
{
    __atomic_store_n(&fixture->now_ms, now_ms, __ATOMIC_RELAXED);
}

/* Three generations, and who of them refuses. */
static void what_ends_a_parent_ends_its_descendants(struct test *t)
{
    struct test_engine fixture;
    struct kin line[3];
    struct kw_id bound;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], NULL, &line[i]));
        CHECK_KIN(t, &fixture, &line[i], KW_CODE_NONE);
    }
    for (size_t who = 0; who < 3; who++) {
        REQUIRE_OK(t, kin_change(&fixture, &line[who], KW_OP_DISABLE, NULL, 0, NULL));
        for (size_t i = 0; i < 3; i++) {
            CHECK_I64(t, kin_verify(&fixture, &line[i], NULL, &bound), i < who ? KW_CODE_NONE : KW_CODE_DISABLED);
            CHECK(t, i > who ? kw_id_equal(&bound, &line[who].id) : kw_id_is_none(&bound));
            CHECK_I64(t, kin_explain(&fixture, &line[i]), i < who ? KW_CODE_NONE : KW_CODE_DISABLED);
        }
        REQUIRE_OK(t, kin_change(&fixture, &line[who], KW_OP_ENABLE, NULL, 0, NULL));
        CHECK_KIN(t, &fixture, &line[2], KW_CODE_NONE);
    }
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_REVOKE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &line[0], KW_CODE_NONE);
    CHECK_I64(t, kin_verify(&fixture, &line[2], NULL, &bound), KW_CODE_REVOKED);
    CHECK(t, kw_id_equal(&bound, &line[1].id));
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_ERASE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &line[1], KW_CODE_INVALID_KEY);
    CHECK_KIN(t, &fixture, &line[2], KW_CODE_REVOKED);
    test_engine_close(&fixture);
}

static void a_narrowed_parent_narrows_its_descendants(struct test *t)
{
    struct test_engine fixture;
    struct kin line[3];
    struct kw_id bound;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], &kin_reads_and_writes, &line[i]));
    }
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_UPDATE, &kin_reads, 0, NULL));
    for (size_t i = 0; i < 3; i++) {
        CHECK_I64(t, kin_verify(&fixture, &line[i], "read", NULL), KW_CODE_NONE);
        CHECK_I64(t, kin_verify(&fixture, &line[i], "write", &bound), KW_CODE_INSUFFICIENT_SCOPE);
        CHECK(t, i > 0 ? kw_id_equal(&bound, &line[0].id) : kw_id_is_none(&bound));
    }
    struct kw_key_params homeless = {.given = KW_GIVEN_ALLOWED_IPS};
    struct kw_bytes home = KW_BYTES("10.0.0.0/8");
    homeless.allowed_ips = &home;
    homeless.allowed_ip_count = 1;
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_UPDATE, &homeless, 0, NULL));
    CHECK_KIN(t, &fixture, &line[0], KW_CODE_NONE);
    CHECK_KIN(t, &fixture, &line[1], KW_CODE_IP_NOT_ALLOWED);
    CHECK_KIN(t, &fixture, &line[2], KW_CODE_IP_NOT_ALLOWED);
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_UPDATE, &kin_reads_and_writes, 0, NULL));
    homeless.allowed_ip_count = 0;
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_UPDATE, &homeless, 0, NULL));
    CHECK_I64(t, kin_verify(&fixture, &line[2], "write", NULL), KW_CODE_NONE);
    test_engine_close(&fixture);
}

/* A parent whose expiry is brought forward; then the clock steps back before the writer has written it down. */
static void a_parents_expiry_stays_passed(struct test *t)
{
    struct test_engine fixture;
    struct kin parent;
    struct kin child;
    struct kin late;
    struct kw_error error;
    struct kw_key_params early = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = TEST_NOW_MS + 5000};
    struct kw_key_params named = {.given = KW_GIVEN_NAME, .name = KW_BYTES("Renamed")};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, kin_make(t, &fixture, NULL, NULL, &parent));
    REQUIRE(t, kin_make(t, &fixture, &parent, NULL, &child));
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_UPDATE, &early, 0, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    set_clock(&fixture, TEST_NOW_MS + 5000);
    CHECK_KIN(t, &fixture, &child, KW_CODE_EXPIRED);
    set_clock(&fixture, TEST_NOW_MS);
    CHECK_KIN(t, &fixture, &child, KW_CODE_EXPIRED);
    CHECK_KIN(t, &fixture, &parent, KW_CODE_EXPIRED);
    CHECK_STATUS(t, kin_try(&fixture, &parent, NULL, &late, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "parentId");
    CHECK_KIN(t, &fixture, &parent, KW_CODE_EXPIRED);
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_UPDATE, &named, 0, NULL));
    REQUIRE_OK(t, kin_change(&fixture, &child, KW_OP_UPDATE, &named, 0, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_EXPIRED);
    CHECK_KIN(t, &fixture, &parent, KW_CODE_EXPIRED);
    test_engine_close(&fixture);
}

/* The same, and the first child ever is made between: what marks its parent must not revive it. */
static void a_first_child_does_not_revive_its_parent(struct test *t)
{
    struct test_engine fixture;
    struct kin parent;
    struct kin child;
    struct kw_error error;
    struct kw_key_params early = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = TEST_NOW_MS + 5000};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, kin_make(t, &fixture, NULL, &early, &parent));
    set_clock(&fixture, TEST_NOW_MS + 5000);
    CHECK_KIN(t, &fixture, &parent, KW_CODE_EXPIRED);
    set_clock(&fixture, TEST_NOW_MS);
    CHECK_STATUS(t, kin_try(&fixture, &parent, NULL, &child, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "parentId");
    CHECK_KIN(t, &fixture, &parent, KW_CODE_EXPIRED);
    test_engine_close(&fixture);
}

static void families_are_eight_generations_deep(struct test *t)
{
    struct test_engine fixture;
    struct kin line[10];
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i <= 8; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], NULL, &line[i]));
        if (i % 3 == 1) { /* a rotation is no generation */
            REQUIRE_OK(t, kin_change(&fixture, &line[i], KW_OP_ROTATE, NULL, 0, NULL));
        }
        CHECK_KIN(t, &fixture, &line[i], KW_CODE_NONE);
    }
    CHECK_STATUS(t, kin_try(&fixture, &line[8], NULL, &line[9], &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "parentId");
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    REQUIRE(t, kin_make(t, &fixture, &line[7], NULL, &line[9])); /* a sibling */
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_DISABLE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &line[8], KW_CODE_DISABLED);
    test_engine_close(&fixture);
}

static void a_parent_is_a_key_of_this_project_that_goes_on(struct test *t)
{
    struct test_engine fixture;
    struct kin parent;
    struct kin child;
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    struct kw_secret root KW_WIPED = {0};
    REQUIRE_OK(t, kw_engine_root_key(fixture.engine, NULL, &root, &error));
    struct kw_verification v = {.key = kw_secret_expose(&root), .question = {.project = KW_PROJECT_KEYWARD}};
    kw_engine_read_begin();
    kw_engine_verify(fixture.engine, &v, TEST_NOW_MS);
    struct kin foreign = {.id = v.entry == NULL ? (struct kw_id){{0}} : kw_entry_id(v.entry)};
    kw_engine_read_end();
    struct kin nobody = {.id = {{1}}};
    const struct kin *strangers[] = {&foreign, &nobody};
    for (size_t i = 0; i < KW_COUNT_OF(strangers); i++) {
        CHECK_STATUS(t, kin_try(&fixture, strangers[i], NULL, &child, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.code, "INVALID_FIELD");
        CHECK_TEXT(t, error.field, "parentId");
        CHECK_TEXT(t, error.message, "names no key of this project");
    }
    REQUIRE(t, kin_make(t, &fixture, NULL, NULL, &parent));
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_DISABLE, NULL, 0, NULL));
    REQUIRE(t, kin_make(t, &fixture, &parent, NULL, &child)); /* a disabled one may be enabled again */
    CHECK_KIN(t, &fixture, &child, KW_CODE_DISABLED);
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_REVOKE, NULL, 0, NULL));
    CHECK_STATUS(t, kin_try(&fixture, &parent, NULL, &child, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "parentId");
    test_engine_close(&fixture);
}

/* The refusal names the nearest key above the parent that has ended. */
static void check_ended_above(struct test *t, struct test_engine *fixture, const struct kin *parent,
                              const struct kw_id *ended)
{
    struct kin child;
    struct kw_error error = {.message = ""};
    char id[KW_ID_TEXT_SIZE + 1] = "";
    kw_id_format(ended, id);
    CHECK_STATUS(t, kin_try(fixture, parent, NULL, &child, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    CHECK_TEXT(t, error.field, "parentId");
    CHECK(t, strstr(error.message, id) != NULL);
}

static void nobody_is_born_below_a_key_that_has_ended(struct test *t)
{
    struct test_engine fixture;
    struct kin line[4];
    struct kin child;
    struct kw_key_params named = {.given = KW_GIVEN_NAME, .name = KW_BYTES("Renamed")};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < 4; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], NULL, &line[i]));
    }
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_ROTATE, NULL, 0, NULL)); /* which ends the old key alone */
    REQUIRE(t, kin_make(t, &fixture, &line[3], NULL, &child));
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_DISABLE, NULL, 0, NULL));
    REQUIRE(t, kin_make(t, &fixture, &line[3], NULL, &child)); /* as below a disabled parent */
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_ENABLE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_REVOKE, NULL, 0, NULL));
    check_ended_above(t, &fixture, &line[1], &line[0].id);
    check_ended_above(t, &fixture, &line[3], &line[0].id);
    REQUIRE_OK(t, kin_change(&fixture, &line[1], KW_OP_REVOKE, NULL, 0, NULL));
    check_ended_above(t, &fixture, &line[3], &line[1].id);
    REQUIRE_OK(t, kin_change(&fixture, &line[3], KW_OP_UPDATE, &named, 0, NULL)); /* who is there goes on */
    struct kw_error error;
    CHECK_STATUS(t, kin_change(&fixture, &line[3], KW_OP_ROTATE, NULL, 0, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "parentId");
    CHECK_KIN(t, &fixture, &line[3], KW_CODE_REVOKED);
    test_engine_close(&fixture);
}

/* An expiry that the refusal alone has met stays passed though the clock steps back. */
static void an_expiry_above_that_was_met_stays_passed(struct test *t)
{
    struct test_engine fixture;
    struct kin line[3];
    struct kin child;
    struct kw_key_params early = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = TEST_NOW_MS + 5000};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], NULL, &line[i]));
    }
    REQUIRE_OK(t, kin_change(&fixture, &line[0], KW_OP_UPDATE, &early, 0, NULL));
    REQUIRE(t, kin_make(t, &fixture, &line[2], NULL, &child));
    set_clock(&fixture, TEST_NOW_MS + 5000);
    check_ended_above(t, &fixture, &line[2], &line[0].id);
    set_clock(&fixture, TEST_NOW_MS);
    CHECK_KIN(t, &fixture, &line[0], KW_CODE_EXPIRED);
    CHECK_KIN(t, &fixture, &child, KW_CODE_EXPIRED);
    check_ended_above(t, &fixture, &line[1], &line[0].id);
    test_engine_close(&fixture);
}

static void a_rotated_parent_keeps_its_children(struct test *t)
{
    struct test_engine fixture;
    struct kin parent;
    struct kin child;
    struct kin later;
    struct kw_id bound;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, kin_make(t, &fixture, NULL, &kin_reads_and_writes, &parent));
    REQUIRE(t, kin_make(t, &fixture, &parent, &kin_reads_and_writes, &child));
    struct kin first = parent;
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_ROTATE, NULL, 1000, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    set_clock(&fixture, TEST_NOW_MS + 1000);
    CHECK_KIN(t, &fixture, &first, KW_CODE_REVOKED);
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_ROTATE, &kin_reads, 0, NULL)); /* a narrower one */
    CHECK_I64(t, kin_verify(&fixture, &child, "read", NULL), KW_CODE_NONE);
    CHECK_I64(t, kin_verify(&fixture, &child, "write", &bound), KW_CODE_INSUFFICIENT_SCOPE);
    CHECK(t, kw_id_equal(&bound, &parent.id));
    REQUIRE(t, kin_make(t, &fixture, &first, &kin_reads, &later)); /* any key of the line names it */
    CHECK_KIN(t, &fixture, &later, KW_CODE_NONE);
    struct kw_error error;
    CHECK_STATUS(t, kin_try(&fixture, &first, &kin_reads_and_writes, &later, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "EXCEEDS_PARENT");
    CHECK_TEXT(t, error.field, "scopes");
    REQUIRE_OK(t, kin_change(&fixture, &child, KW_OP_ROTATE, &kin_reads, 0, NULL));
    CHECK_I64(t, kin_verify(&fixture, &child, "read", NULL), KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_REVOKE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_REVOKED);
    CHECK_KIN(t, &fixture, &later, KW_CODE_REVOKED);
    test_engine_close(&fixture);
}

/* What was narrowed above a key binds it, and must not keep it from being renamed or, above all, rotated. */
static void a_child_of_a_narrowed_parent_can_be_changed(struct test *t)
{
    struct test_engine fixture;
    struct kin parent;
    struct kin child;
    struct kw_error error;
    struct kw_key_params named = {.given = KW_GIVEN_NAME, .name = KW_BYTES("Renamed")};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, kin_make(t, &fixture, NULL, &kin_reads_and_writes, &parent));
    REQUIRE(t, kin_make(t, &fixture, &parent, &kin_reads_and_writes, &child));
    REQUIRE_OK(t, kin_change(&fixture, &parent, KW_OP_UPDATE, &kin_reads, 0, NULL));
    CHECK_STATUS(t, kin_change(&fixture, &child, KW_OP_UPDATE, &named, 0, NULL), KW_OK);
    CHECK_STATUS(t, kin_change(&fixture, &child, KW_OP_ROTATE, NULL, 0, NULL), KW_OK);
    CHECK_I64(t, kin_verify(&fixture, &child, "read", NULL), KW_CODE_NONE);
    CHECK_I64(t, kin_verify(&fixture, &child, "write", NULL), KW_CODE_INSUFFICIENT_SCOPE);
    CHECK_STATUS(t, kin_change(&fixture, &child, KW_OP_UPDATE, &kin_reads_and_writes, 0, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "EXCEEDS_PARENT");
    CHECK_STATUS(t, kin_change(&fixture, &child, KW_OP_UPDATE, &kin_reads, 0, NULL), KW_OK);
    test_engine_close(&fixture);
}

struct watcher {
    struct test_engine *fixture;
    const struct kin *child;
    int stop; /* atomic */
    uint64_t asked, refused;
};

static void *watch(void *context)
{
    struct watcher *watcher = context;
    while (__atomic_load_n(&watcher->stop, __ATOMIC_RELAXED) == 0) {
        watcher->asked++;
        watcher->refused += kin_verify(watcher->fixture, watcher->child, "read", NULL) != KW_CODE_NONE;
    }
    return NULL;
}

static void no_rotation_of_a_parent_is_felt_below(struct test *t)
{
    struct test_engine fixture;
    struct kin line[3];
    pthread_t thread;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    kw_engine_wait_filled(fixture.engine);
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &line[i - 1], &kin_reads_and_writes, &line[i]));
    }
    struct watcher watcher = {.fixture = &fixture, .child = &line[2]};
    REQUIRE(t, pthread_create(&thread, NULL, watch, &watcher) == 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_STATUS(t, kin_change(&fixture, &line[i % 2], KW_OP_ROTATE, NULL, i % 4 < 2 ? 0 : 1000, NULL), KW_OK);
    }
    __atomic_store_n(&watcher.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    CHECK(t, watcher.asked > 0);
    CHECK_I64(t, watcher.refused, 0);
    test_engine_close(&fixture);
}

static void count_done(struct kw_op *op)
{
    __atomic_fetch_add((int *)op->context, 1, __ATOMIC_RELEASE);
}

/* Of two first children in one group, the one that would have marked the parent is lost. */
static void a_lost_first_child_takes_no_mark_along(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin parent;
    struct kw_record record;
    static uint8_t memory[4096];
    struct kw_op ops[3];
    int done = 0;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, kin_make(t, &fixture, NULL, NULL, &parent));
    char parent_id[KW_ID_TEXT_SIZE];
    kw_id_format(&parent.id, parent_id);
    struct kw_key_params child = {.given = KW_GIVEN_PARENT, .parent = kw_bytes_of(parent_id, sizeof parent_id)};
    struct kw_key_params other = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:2")};
    shelf_stop_commits();
    for (size_t i = 0; i < 3; i++) {
        kw_op_init(&ops[i], KW_OP_CREATE, KW_PROJECT_DEFAULT);
        ops[i].params = i == 0 ? &other : &child;
        ops[i].done = count_done;
        ops[i].context = &done;
        kw_engine_submit(fixture.engine, &ops[i]);
        if (i == 0) {
            shelf_wait_for_commit();
        }
    }
    shelf_let_commits_go(true);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < 3) {
        CHECK(t, kin_record(&fixture, &parent.id, &record, memory));
    }
    CHECK_STATUS(t, ops[1].status, KW_E_UNAVAILABLE);
    CHECK_STATUS(t, ops[2].status, KW_OK);
    struct kin second = {.key = ops[2].secret};
    REQUIRE(t, kin_record(&fixture, &parent.id, &record, memory));
    CHECK(t, record.has_children);
    CHECK_KIN(t, &fixture, &second, KW_CODE_NONE);
    test_engine_close(&fixture);
    REQUIRE(t, test_engine_open(t, &fixture, store));
    kw_engine_wait_filled(fixture.engine);
    CHECK_KIN(t, &fixture, &second, KW_CODE_NONE);
    test_engine_close(&fixture);
    for (size_t i = 0; i < 3; i++) {
        kw_op_deinit(&ops[i]);
    }
    shelf_close(store);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_ends_a_parent_ends_its_descendants),
        TEST_CASE(a_narrowed_parent_narrows_its_descendants),
        TEST_CASE(a_parents_expiry_stays_passed),
        TEST_CASE(a_first_child_does_not_revive_its_parent),
        TEST_CASE(families_are_eight_generations_deep),
        TEST_CASE(a_parent_is_a_key_of_this_project_that_goes_on),
        TEST_CASE(nobody_is_born_below_a_key_that_has_ended),
        TEST_CASE(an_expiry_above_that_was_met_stays_passed),
        TEST_CASE(a_rotated_parent_keeps_its_children),
        TEST_CASE(a_child_of_a_narrowed_parent_can_be_changed),
        TEST_CASE(no_rotation_of_a_parent_is_felt_below),
        TEST_CASE(a_lost_first_child_takes_no_mark_along),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
