/*
 * Peppers that come and go while an engine runs: who gets which, when one may go, what is refused, and that nobody who
 * verifies meanwhile is refused.
 */
#include "drawer.h"
#include "shelf.h"

#include <pthread.h>
#include <stdio.h>

#define KEYS 12
#define ROUNDS 20
#define VERIFIERS 2

static size_t list(struct house *house, struct kw_pepper_use uses[KW_PEPPERS_MAX])
{
    return kw_engine_peppers(house->fixture.engine, uses, KW_PEPPERS_MAX);
}

#define CHECK_KEPT(t, drawer, letters) \
    do { \
        char shown[KW_PEPPERS_MAX + 1]; \
        drawer_show(drawer, shown); \
        CHECK_TEXT(t, shown, letters); \
    } while (0)

struct account {
    size_t lines, added, retired;
    char last[160];
    char actor[64];
};

static enum kw_status read_line(void *context, const struct kw_store_audit *audit)
{
    struct account *account = context;
    account->lines++;
    account->added += kw_bytes_equal(audit->action, KW_BYTES("pepper.added"));
    account->retired += kw_bytes_equal(audit->action, KW_BYTES("pepper.retired"));
    size_t size = audit->body.size < sizeof account->last ? audit->body.size : sizeof account->last - 1;
    memcpy(account->last, audit->body.data, size);
    account->last[size] = '\0';
    snprintf(account->actor, sizeof account->actor, "%.*s", (int)audit->actor.size, (const char *)audit->actor.data);
    return KW_OK;
}

static struct account read_account(struct house *house)
{
    struct account account = {.lines = 0};
    struct kw_store *store = house->fixture.store;
    struct kw_store_audit_filter filter = {.project = KW_BYTES("keyward"), .limit = 100};
    CHECK_STATUS(house->t, store->ops->audit_query(store, &filter, read_line, &account), KW_OK);
    return account;
}

static void a_new_pepper_takes_over_and_the_old_one_goes(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id ids[2];
    struct kw_secret keys[2] = {{{0}, 0}};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    struct kw_error error = {0};
    struct kw_record record;
    REQUIRE(t, drawer_begin(t, &house, &drawer, "a"));
    REQUIRE_OK(t, house_open(&house, NULL));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &ids[0], &keys[0]));
    REQUIRE_OK(t, drawer_add(&house, '\0', &error));
    CHECK_KEPT(t, &drawer, "?a");
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &ids[1], &keys[1]));
    REQUIRE(t, list(&house, uses) == 2);
    CHECK(t, uses[0].is_current && uses[0].keys == 1 && uses[0].is_counted);
    CHECK(t, !uses[1].is_current && uses[1].keys == 1);
    REQUIRE(t, house_record(&house, &ids[1], &record));
    CHECK_I64(t, record.digest_method, 6);

    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "PEPPER_IN_USE");
    CHECK(t, strstr(error.message, "still needed by 1 key:") != NULL);
    CHECK_STATUS(t, drawer_retire(&house, uses[0].fingerprint, &error), KW_E_CONFLICT);
    CHECK(t, strstr(error.message, "that of new keys") != NULL);
    CHECK_STATUS(t, drawer_retire_letter(&house, 'z', &error), KW_E_NOT_FOUND);
    CHECK_TEXT(t, error.code, "PEPPER_NOT_FOUND");
    CHECK_KEPT(t, &drawer, "?a");

    CHECK_I64(t, test_engine_verify(&house.fixture, &keys[0]), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &ids[0], &record));
    CHECK(t, record.digest_method == 6 && record.version == 2); /* it moved when it was used */
    REQUIRE_OK(t, drawer_retire_letter(&house, 'a', &error));
    CHECK_KEPT(t, &drawer, "?");
    CHECK_I64(t, list(&house, uses), 1);
    struct account account = read_account(&house);
    CHECK(t, account.added == 1 && account.retired == 1);
    CHECK(t, strstr(account.last, "\"fingerprint\":\"") != NULL && strcmp(account.actor, "test") == 0);
    for (int start = 0; start < 2; start++) {
        CHECK_I64(t, test_engine_verify(&house.fixture, &keys[0]), KW_CODE_NONE);
        CHECK_I64(t, test_engine_verify(&house.fixture, &keys[1]), KW_CODE_NONE);
        house_close(&house);
        REQUIRE_OK(t, house_open(&house, NULL));
    }
    CHECK(t, house_has_digest(&house, 6, kw_secret_expose(&keys[0])));
    drawer_end(&house, &drawer);
}

static void who_has_a_store_of_his_own_keeps_peppers_himself(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    struct kw_error error = {0};
    struct kw_record record;
    REQUIRE(t, house_begin(t, &house, true));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    CHECK_STATUS(t, drawer_add(&house, '\0', &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "MISSING_FIELD");
    CHECK_TEXT(t, error.field, "pepper");
    REQUIRE_OK(t, drawer_add(&house, 'b', &error));
    REQUIRE_OK(t, drawer_add(&house, 'b', &error)); /* a second time it is so already */
    CHECK_I64(t, read_account(&house).added, 1);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_settle(&house);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "ba"));
    REQUIRE_OK(t, drawer_add(&house, 'a', &error)); /* an older one becomes the first again */
    CHECK_I64(t, list(&house, uses), 2);
    CHECK(t, uses[0].keys == 0 && uses[1].keys == 1);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK(t, record.digest_method == 0 && record.version == 3); /* the store's first */
    REQUIRE_OK(t, drawer_retire_letter(&house, 'b', &error));
    REQUIRE_OK(t, drawer_add(&house, 'b', &error)); /* what was retired means what it meant */
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.digest_method, 6);
    house_close(&house);
    CHECK_STATUS(t, house_open(&house, "a"), KW_E_INVALID);
    CHECK_TEXT(t, house.error.code, "PEPPER_MISMATCH");
    REQUIRE_OK(t, house_open(&house, "b"));
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_end(&house);
}

static void what_is_revoked_stays_so_under_every_pepper(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error = {0};
    REQUIRE(t, drawer_begin(t, &house, &drawer, "a"));
    REQUIRE_OK(t, house_open(&house, NULL));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL));
    REQUIRE_OK(t, drawer_add(&house, 'b', &error));
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_REVOKED);
    house_settle(&house);
    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_CONFLICT); /* it does not move, so it holds */
    CHECK_TEXT(t, error.code, "PEPPER_IN_USE");
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_ERASE, &id, NULL));
    for (int start = 0; start < 2; start++) {
        CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_CONFLICT); /* and so does a tombstone */
        CHECK_TEXT(t, error.code, "PEPPER_IN_USE");
        CHECK(t, strstr(error.message, "still needed by 1 erased key:") != NULL);
        house_close(&house);
        REQUIRE_OK(t, house_open(&house, NULL));
    }
    CHECK_KEPT(t, &drawer, "ba");
    house.forgets_erased = true;
    REQUIRE_OK(t, drawer_retire_letter(&house, 'a', &error));
    CHECK(t, strstr(read_account(&house).last, "\"forgetErased\":true") != NULL);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_INVALID_KEY);
    CHECK_KEPT(t, &drawer, "b");
    drawer_end(&house, &drawer);
}

static void there_is_a_bound_to_peppers(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error = {0};
    char before[KW_PEPPERS_MAX + 1];
    REQUIRE(t, drawer_begin(t, &house, &drawer, "a"));
    REQUIRE_OK(t, house_open(&house, NULL));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    for (int i = 1; i < KW_PEPPERS_MAX; i++) {
        REQUIRE_OK(t, drawer_add(&house, (char)('a' + i), &error));
    }
    drawer_show(&drawer, before);
    CHECK_STATUS(t, drawer_add(&house, 'z', &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "LIMIT_REACHED");
    CHECK_KEPT(t, &drawer, before);
    REQUIRE_OK(t, drawer_add(&house, 'c', &error)); /* which is there already */
    CHECK_KEPT(t, &drawer, "cponmlkjihgfedba");
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE);
    house_settle(&house);
    for (const char *letter = "abcdefghijklmnop"; *letter != '\0'; letter++) {
        CHECK_STATUS(t, drawer_retire_letter(&house, *letter, &error), *letter == 'c' ? KW_E_CONFLICT : KW_OK);
    }
    CHECK_KEPT(t, &drawer, "c");
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, NULL));
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE);
    drawer_end(&house, &drawer);
}

/* Somebody changed the file under a running engine. */
static void what_is_kept_must_hold_what_is_in_use(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_error error = {0};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    REQUIRE(t, drawer_begin(t, &house, &drawer, "ba"));
    REQUIRE_OK(t, house_open(&house, NULL));
    house_pepper('x', &drawer.kept.items[0]);
    CHECK_STATUS(t, drawer_add(&house, 'c', &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "PEPPER_MISMATCH");
    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_INVALID);
    CHECK_KEPT(t, &drawer, "xa");
    drawer.is_out_of_reach = true;
    CHECK(t, drawer_add(&house, 'c', &error) != KW_OK);
    CHECK_TEXT(t, error.code, "FILE_UNUSABLE");
    drawer.is_out_of_reach = false;
    house_pepper('b', &drawer.kept.items[0]);
    house_pepper('x', &drawer.kept.items[2]);
    drawer.kept.count = 3; /* one more is his who put it there, and stays */
    REQUIRE_OK(t, drawer_add(&house, 'c', &error));
    CHECK_KEPT(t, &drawer, "cbax");
    REQUIRE_OK(t, drawer_retire_letter(&house, 'a', &error));
    CHECK_KEPT(t, &drawer, "cbx");
    CHECK_I64(t, list(&house, uses), 2);
    drawer_end(&house, &drawer);
}

static void nothing_goes_before_all_keys_are_counted(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error = {0};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    REQUIRE(t, drawer_begin(t, &house, &drawer, "ba"));
    REQUIRE_OK(t, house_open(&house, NULL));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    house_close(&house);
    shelf_hold_back(true);
    house.opens_at_once = true;
    REQUIRE_OK(t, house_open(&house, NULL));
    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_BUSY);
    CHECK_TEXT(t, error.code, "TOO_BUSY");
    REQUIRE_OK(t, drawer_add(&house, 'c', &error)); /* that needs no counting */
    CHECK_I64(t, list(&house, uses), 3);
    CHECK(t, !uses[0].is_counted);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE);
    shelf_hold_back(false);
    kw_engine_wait_filled(house.fixture.engine);
    house_settle(&house);
    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_OK);
    drawer_end(&house, &drawer);
}

static void let_go(struct kw_op *op)
{
    __atomic_fetch_add((int *)op->context, 1, __ATOMIC_RELEASE);
}

struct traveller {
    struct house *house;
    struct kw_secret key;
    enum kw_code code;
};

static void set_off(void *context)
{
    struct traveller *traveller = context;
    traveller->code = test_engine_verify(&traveller->house->fixture, &traveller->key);
}

/* A key is on its way to a pepper that is retired ahead of its arrival: it goes to the next one instead. */
static void a_key_does_not_move_to_a_pepper_that_went(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id id;
    struct traveller traveller = {.house = &house};
    struct kw_secret pepper KW_WIPED = {0};
    struct kw_record record;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    int done = 0;
    static const enum kw_op_kind kinds[] = {KW_OP_ENABLE, KW_OP_PEPPER_ADD, KW_OP_PEPPER_RETIRE};
    struct kw_op ops[KW_COUNT_OF(kinds)];
    REQUIRE(t, drawer_begin(t, &house, &drawer, "a"));
    REQUIRE_OK(t, house_open(&house, NULL));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &traveller.key));
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_DISABLE, &id, NULL));
    REQUIRE_OK(t, drawer_add(&house, 'b', NULL));
    REQUIRE(t, list(&house, uses) == 2);
    house_pepper('c', &pepper);
    drawer.on_write = set_off;
    drawer.context = &traveller;
    shelf_stop_commits();
    for (size_t i = 0; i < KW_COUNT_OF(ops); i++) {
        kw_op_init(&ops[i], kinds[i], i == 0 ? KW_PROJECT_DEFAULT : KW_PROJECT_KEYWARD);
        ops[i].id = id;
        ops[i].pepper = &pepper;
        memcpy(ops[i].fingerprint, uses[0].fingerprint, sizeof ops[i].fingerprint);
        ops[i].done = let_go;
        ops[i].context = &done;
        kw_engine_submit(house.fixture.engine, &ops[i]);
        if (i == 0) {
            shelf_wait_for_commit(); /* the others wait together, and are done without a word in between */
        }
    }
    shelf_let_commits_go(false);
    house_settle(&house);
    drawer.on_write = NULL;
    REQUIRE(t, __atomic_load_n(&done, __ATOMIC_ACQUIRE) == KW_COUNT_OF(ops));
    for (size_t i = 0; i < KW_COUNT_OF(ops); i++) {
        CHECK_STATUS(t, ops[i].status, KW_OK);
        kw_op_deinit(&ops[i]);
    }
    CHECK_I64(t, traveller.code, KW_CODE_NONE); /* it was to go to b */
    CHECK_KEPT(t, &drawer, "ca");
    CHECK_I64(t, test_engine_verify(&house.fixture, &traveller.key), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.digest_method, 7);
    kw_secret_wipe(&traveller.key);
    drawer_end(&house, &drawer);
}

/* --- other threads --- */

struct traffic {
    struct house house;
    struct drawer drawer;
    struct kw_secret keys[KEYS];
    int stop; /* atomic, as what follows */
    uint64_t refused, asked;
};

static void *verify_each(void *context)
{
    struct traffic *traffic = context;
    while (__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < KEYS; i++) {
            bool is_good = test_engine_verify(&traffic->house.fixture, &traffic->keys[i]) == KW_CODE_NONE;
            __atomic_fetch_add(&traffic->refused, !is_good, __ATOMIC_RELAXED);
        }
        __atomic_fetch_add(&traffic->asked, KEYS, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void *verify_together(void *context)
{
    struct traffic *traffic = context;
    struct kw_engine *engine = traffic->house.fixture.engine;
    while (__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED) == 0) {
        struct kw_verification many[KEYS];
        for (size_t i = 0; i < KEYS; i++) {
            many[i] = (struct kw_verification){.key = kw_secret_expose(&traffic->keys[i]),
                                               .question = {.project = KW_PROJECT_DEFAULT}};
        }
        kw_engine_read_begin();
        kw_engine_verify_many(engine, many, KEYS, TEST_NOW_MS);
        kw_engine_read_end();
        for (size_t i = 0; i < KEYS; i++) {
            __atomic_fetch_add(&traffic->refused, many[i].code != KW_CODE_NONE, __ATOMIC_RELAXED);
        }
        __atomic_fetch_add(&traffic->asked, KEYS, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Keys that are made in between are good at once, and for good. */
static void *make_keys(void *context)
{
    struct traffic *traffic = context;
    while (__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED) == 0) {
        struct kw_id id;
        struct kw_secret key KW_WIPED = {0};
        bool is_good = test_engine_create(traffic->house.t, &traffic->house.fixture, NULL, &id, &key) &&
                       test_engine_verify(&traffic->house.fixture, &key) == KW_CODE_NONE &&
                       test_engine_do(&traffic->house.fixture, KW_OP_REVOKE, &id, NULL) == KW_OK &&
                       test_engine_do(&traffic->house.fixture, KW_OP_ERASE, &id, NULL) == KW_OK;
        __atomic_fetch_add(&traffic->refused, !is_good, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Until no key needs any but the first; each verification brings its key there, so this ends. */
static void retire_all_but_the_first(struct test *t, struct traffic *traffic)
{
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    while (list(&traffic->house, uses) > 1 && t->failures == 0) {
        struct kw_error error = {0};
        for (size_t i = 0; i < KEYS; i++) {
            CHECK_I64(t, test_engine_verify(&traffic->house.fixture, &traffic->keys[i]), KW_CODE_NONE);
        }
        house_settle(&traffic->house);
        enum kw_status status = drawer_retire(&traffic->house, uses[1].fingerprint, &error);
        CHECK(t, status == KW_OK || strcmp(error.code, "PEPPER_IN_USE") == 0);
    }
}

static void nobody_is_refused_while_peppers_change(struct test *t)
{
    static struct traffic traffic;
    static void *(*const mains[])(void *) = {verify_each, verify_together, make_keys};
    pthread_t threads[KW_COUNT_OF(mains)];
    struct kw_id id;
    struct kw_error error;
    traffic = (struct traffic){.stop = 0};
    REQUIRE(t, drawer_begin(t, &traffic.house, &traffic.drawer, "a"));
    traffic.house.forgets_erased = true; /* which keys leave that are made in between */
    REQUIRE_OK(t, house_open(&traffic.house, NULL));
    for (size_t i = 0; i < KEYS; i++) {
        REQUIRE(t, test_engine_create(t, &traffic.house.fixture, NULL, &id, &traffic.keys[i]));
    }
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, mains[i], &traffic) == 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        CHECK_STATUS(t, drawer_add(&traffic.house, '\0', &error), KW_OK);
        if (round % 3 == 2) {
            retire_all_but_the_first(t, &traffic);
        }
    }
    retire_all_but_the_first(t, &traffic);
    __atomic_store_n(&traffic.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_I64(t, traffic.refused, 0);
    CHECK(t, traffic.asked > 0);
    CHECK_KEPT(t, &traffic.drawer, "?");
    house_close(&traffic.house);
    REQUIRE_OK(t, house_open(&traffic.house, NULL));
    for (size_t i = 0; i < KEYS; i++) {
        CHECK_I64(t, test_engine_verify(&traffic.house.fixture, &traffic.keys[i]), KW_CODE_NONE);
        kw_secret_wipe(&traffic.keys[i]);
    }
    drawer_end(&traffic.house, &traffic.drawer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_new_pepper_takes_over_and_the_old_one_goes),
        TEST_CASE(who_has_a_store_of_his_own_keeps_peppers_himself),
        TEST_CASE(what_is_revoked_stays_so_under_every_pepper),
        TEST_CASE(there_is_a_bound_to_peppers),
        TEST_CASE(what_is_kept_must_hold_what_is_in_use),
        TEST_CASE(nothing_goes_before_all_keys_are_counted),
        TEST_CASE(a_key_does_not_move_to_a_pepper_that_went),
        TEST_CASE(nobody_is_refused_while_peppers_change),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
