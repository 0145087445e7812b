/*
 * Policies that change over keys that are there: from the acknowledgement on no verification passes on the old one, on
 * any thread, whatever is loaded meanwhile; nothing is written to the keys; and what the change says of them is so. On
 * both stores.
 */
#include "core/id.h"
#include "support/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CREATE KW_OP_DOCUMENT_CREATE
#define UPDATE KW_OP_DOCUMENT_UPDATE
#define DELETE KW_OP_DOCUMENT_DELETE
#define DAY_MS INT64_C(86400000)
#define CALLS_MAX 200

static struct kw_bytes both[] = {{(const uint8_t *)"read", 4}, {(const uint8_t *)"write", 5}};

struct shop {
    struct test_engine fixture;
    struct test *t;
    char folder[64];
    struct kw_error error; /* of the last that failed */
    char narrowed[1024];   /* of the last that changed a policy */
};

static struct kw_store *open_store(struct shop *shop)
{
    char path[96];
    struct kw_store *store = NULL;
    snprintf(path, sizeof path, "%s/keys.db", shop->folder);
    CHECK_STATUS(shop->t, kw_store_sqlite_open(path, &store, &shop->error), KW_OK);
    return store;
}

static bool shop_open(struct test *t, struct shop *shop, bool is_sqlite)
{
    *shop = (struct shop){.t = t};
    if (!is_sqlite) {
        return test_engine_open(t, &shop->fixture, NULL);
    }
    const char *place = getenv("TMPDIR");
    snprintf(shop->folder, sizeof shop->folder, "%.40s/keyward-XXXXXX", place == NULL ? "/tmp" : place);
    return mkdtemp(shop->folder) != NULL && test_engine_open(t, &shop->fixture, open_store(shop));
}

static void shop_close(struct shop *shop)
{
    static const char *const files[] = {"keys.db", "keys.db-wal", "keys.db-shm", "keys.db-lock", "keys.db.lock"};
    test_engine_close(&shop->fixture);
    for (size_t i = 0; i < KW_COUNT_OF(files) && shop->folder[0] != '\0'; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", shop->folder, files[i]);
        (void)unlink(path);
    }
    CHECK(shop->t, shop->folder[0] == '\0' || rmdir(shop->folder) == 0);
}

static enum kw_status edit_as(struct shop *shop, enum kw_op_kind kind, const char *json, bool is_dry_run)
{
    struct kw_op op;
    kw_op_init(&op, kind, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_POLICY;
    op.name = KW_BYTES("partners");
    op.json = kw_bytes_of_text(json);
    op.actor = KW_BYTES("test");
    op.is_dry_run = is_dry_run;
    enum kw_status status = kw_engine_run(shop->fixture.engine, &op);
    struct kw_bytes narrowed = kw_buffer_bytes(&op.other);
    size_t size = narrowed.size < sizeof shop->narrowed ? narrowed.size : 0;
    if (size > 0) {
        memcpy(shop->narrowed, narrowed.data, size);
    }
    shop->narrowed[size] = '\0';
    shop->error = op.error;
    kw_op_deinit(&op);
    return status;
}

static enum kw_status edit(struct shop *shop, enum kw_op_kind kind, const char *json)
{
    return edit_as(shop, kind, json, false);
}

/* A key that may read and write; with a policy, or a parent, or neither. */
static bool create(struct shop *shop, const char *policy, const struct kw_id *parent, struct kw_id *id_out,
                   struct kw_secret *key_out)
{
    char parent_text[KW_ID_TEXT_SIZE];
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES,
                                   .owner = KW_BYTES("user:1"),
                                   .scopes = both,
                                   .scope_count = 2,
                                   .policy = kw_bytes_of_text(policy)};
    params.given |= policy == NULL ? 0 : (uint32_t)KW_GIVEN_POLICY;
    if (parent != NULL) {
        kw_id_format(parent, parent_text);
        params.parent = kw_bytes_of(parent_text, sizeof parent_text);
        params.given |= KW_GIVEN_PARENT;
    }
    return test_engine_create(shop->t, &shop->fixture, &params, id_out, key_out);
}

static enum kw_code ask(struct shop *shop, const struct kw_secret *key, const char *scope)
{
    struct kw_bytes scopes[] = {kw_bytes_of_text(scope)};
    struct kw_verification v = {
        .key = kw_secret_expose(key),
        .question = {.project = KW_PROJECT_DEFAULT, .scopes = scopes, .scope_count = scope == NULL ? 0 : 1}};
    kw_engine_read_begin();
    kw_engine_verify(shop->fixture.engine, &v, kw_engine_now_ms(shop->fixture.engine));
    kw_engine_read_end();
    return v.code;
}

static void set_clock(struct shop *shop, int64_t now_ms)
{
    __atomic_store_n(&shop->fixture.now_ms, now_ms, __ATOMIC_RELAXED);
}

static uint64_t version_of(struct shop *shop, const struct kw_id *id)
{
    struct kw_op op;
    struct kw_record record = {.version = 0};
    kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op.id = *id;
    CHECK_STATUS(shop->t, kw_engine_run(shop->fixture.engine, &op), KW_OK);
    CHECK_STATUS(shop->t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    uint64_t version = record.version;
    kw_op_deinit(&op);
    return version;
}

static void narrow_and_widen(struct test *t, bool is_sqlite)
{
    struct shop shop;
    struct kw_id ids[2];
    struct kw_secret keys[2] = {{.size = 0}};
    REQUIRE(t, shop_open(t, &shop, is_sqlite));
    REQUIRE_OK(t, edit(&shop, CREATE, "{\"name\":\"partners\"}"));
    REQUIRE(t, create(&shop, "partners", NULL, &ids[0], &keys[0]) && create(&shop, NULL, &ids[0], &ids[1], &keys[1]));
    CHECK_I64(t, ask(&shop, &keys[0], "write"), KW_CODE_NONE);
    CHECK_I64(t, ask(&shop, &keys[1], "write"), KW_CODE_NONE);
    uint64_t version = version_of(&shop, &ids[0]);
    for (int round = 0; round < 3; round++) {
        REQUIRE_OK(t, edit_as(&shop, UPDATE, "{\"scopes\":[\"read\"]}", true));
        CHECK_I64(t, ask(&shop, &keys[0], "write"), KW_CODE_NONE);
        REQUIRE_OK(t, edit(&shop, UPDATE, "{\"scopes\":[\"read\"]}"));
        CHECK_I64(t, ask(&shop, &keys[0], "write"), KW_CODE_INSUFFICIENT_SCOPE);
        CHECK_I64(t, ask(&shop, &keys[1], "write"), KW_CODE_INSUFFICIENT_SCOPE);
        CHECK_I64(t, ask(&shop, &keys[0], "read"), KW_CODE_NONE);
        CHECK_I64(t, ask(&shop, &keys[1], "read"), KW_CODE_NONE);
        if (is_sqlite) { /* it is so after a start */
            test_engine_close(&shop.fixture);
            REQUIRE(t, test_engine_open(t, &shop.fixture, open_store(&shop)));
            kw_engine_wait_filled(shop.fixture.engine);
            CHECK_I64(t, ask(&shop, &keys[1], "write"), KW_CODE_INSUFFICIENT_SCOPE);
        }
        REQUIRE_OK(t, edit(&shop, UPDATE, "{\"scopes\":null,\"requireIP\":true}"));
        CHECK_I64(t, ask(&shop, &keys[0], NULL), KW_CODE_POLICY_VIOLATION);
        CHECK_I64(t, ask(&shop, &keys[1], NULL), KW_CODE_POLICY_VIOLATION);
        REQUIRE_OK(t, edit(&shop, UPDATE, "{\"environments\":[\"test\"],\"requireIP\":false}"));
        CHECK_I64(t, ask(&shop, &keys[0], NULL), KW_CODE_POLICY_VIOLATION);
        REQUIRE_OK(t, edit(&shop, UPDATE, "{\"environments\":null}"));
        CHECK_I64(t, ask(&shop, &keys[0], "write"), KW_CODE_NONE);
        CHECK_I64(t, ask(&shop, &keys[1], "write"), KW_CODE_NONE);
    }
    CHECK_I64(t, version_of(&shop, &ids[0]), version);
    shop_close(&shop);
}

static void a_change_takes_effect_at_once(struct test *t)
{
    narrow_and_widen(t, false);
    narrow_and_widen(t, true);
}

/* A time that passes by a policy is no time of the record: nobody writes it down, and more time gives life back. */
static void a_key_may_outlive_its_policy_for_a_while(struct test *t)
{
    struct shop shop;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, shop_open(t, &shop, false));
    REQUIRE_OK(t, edit(&shop, CREATE, "{\"name\":\"partners\",\"maxTtl\":\"30d\"}"));
    REQUIRE(t, create(&shop, "partners", NULL, &id, &key));
    uint64_t version = version_of(&shop, &id);
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"maxTtl\":\"10d\"}"));
    set_clock(&shop, TEST_NOW_MS + 10 * DAY_MS - 1);
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_NONE);
    set_clock(&shop, TEST_NOW_MS + 10 * DAY_MS);
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_EXPIRED);
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"maxTtl\":\"20d\"}"));
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_NONE);
    CHECK_I64(t, version_of(&shop, &id), version);
    /* It is not rotated into a longer life than it had; with an expiry that is asked for it is. */
    struct kw_op op;
    struct kw_key_params params = {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = 20 * DAY_MS};
    set_clock(&shop, TEST_NOW_MS + 15 * DAY_MS);
    for (int i = 0; i < 2; i++) {
        kw_op_init(&op, KW_OP_ROTATE, KW_PROJECT_DEFAULT);
        op.id = id;
        op.actor = KW_BYTES("test");
        op.params = i == 0 ? NULL : &params;
        CHECK_STATUS(t, kw_engine_run(shop.fixture.engine, &op), i == 0 ? KW_E_DENIED : KW_OK);
        if (i == 0) {
            CHECK_TEXT(t, op.error.code, "POLICY_VIOLATION");
            CHECK_TEXT(t, op.error.field, "expiresAt");
        } else {
            CHECK_I64(t, ask(&shop, &op.secret, NULL), KW_CODE_NONE);
        }
        kw_op_deinit(&op);
    }
    /* The expiry of the record stays passed whatever the policy says. */
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"maxTtl\":null}"));
    set_clock(&shop, TEST_NOW_MS + 30 * DAY_MS);
    CHECK(t, ask(&shop, &key, NULL) != KW_CODE_NONE);
    set_clock(&shop, TEST_NOW_MS);
    CHECK(t, ask(&shop, &key, NULL) != KW_CODE_NONE);
    shop_close(&shop);
}

static size_t count_in(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

/* Three keys, of which one is revoked; then so many that not all can be named. */
static void name_those_that_are_narrowed(struct test *t, bool is_sqlite)
{
    static char text[131072];
    struct shop shop;
    struct kw_id ids[3];
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, shop_open(t, &shop, is_sqlite));
    REQUIRE_OK(t, edit(&shop, CREATE, "{\"name\":\"partners\"}"));
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, create(&shop, "partners", NULL, &ids[i], &key));
    }
    REQUIRE_OK(t, test_engine_do(&shop.fixture, KW_OP_REVOKE, &ids[0], NULL));
    REQUIRE_OK(t, test_engine_do(&shop.fixture, KW_OP_DISABLE, &ids[1], NULL));
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"description\":\"none is narrowed\"}"));
    CHECK_TEXT(t, shop.narrowed, "{\"items\":[],\"count\":0,\"exact\":true,\"more\":false}");
    REQUIRE_OK(t, edit_as(&shop, UPDATE, "{\"scopes\":[\"read\"],\"maxTtl\":\"1d\"}", true));
    char dry[sizeof shop.narrowed];
    memcpy(dry, shop.narrowed, sizeof dry);
    CHECK_I64(t, count_in(dry, "\"fields\":[\"expiresAt\",\"scopes\"]"), 2);
    CHECK_I64(t, count_in(dry, "\"count\":2,\"exact\":true,\"more\":false"), 1);
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"scopes\":[\"read\"],\"maxTtl\":\"1d\"}"));
    CHECK_TEXT(t, shop.narrowed, dry);
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"scopes\":[\"read\"],\"maxTtl\":\"1h\"}"));
    CHECK_I64(t, count_in(shop.narrowed, "\"fields\":[\"expiresAt\"]"), 2); /* scopes were taken before */
    REQUIRE_OK(t, edit(&shop, UPDATE, "{\"scopes\":null,\"maxTtl\":null}"));
    CHECK(t, edit(&shop, DELETE, "") == KW_E_CONFLICT);
    CHECK_TEXT(t, shop.error.code, "POLICY_IN_USE");
    CHECK(t, strstr(shop.error.message, "2 keys") != NULL);
    for (int i = 0; i < 100; i++) {
        REQUIRE(t, create(&shop, "partners", NULL, &ids[0], &key));
    }
    struct kw_op op;
    kw_op_init(&op, UPDATE, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_POLICY;
    op.name = KW_BYTES("partners");
    op.json = KW_BYTES("{\"scopes\":[]}");
    REQUIRE_OK(t, kw_engine_run(shop.fixture.engine, &op));
    struct kw_bytes narrowed = kw_buffer_bytes(&op.other);
    REQUIRE(t, narrowed.size < sizeof text);
    memcpy(text, narrowed.data, narrowed.size);
    text[narrowed.size] = '\0';
    CHECK_I64(t, count_in(text, "\"id\":"), 100);
    CHECK_I64(t, count_in(text, "\"count\":102,\"exact\":true,\"more\":true"), 1);
    kw_op_deinit(&op);
    shop_close(&shop);
}

static void a_change_names_the_keys_that_it_narrows(struct test *t)
{
    name_those_that_are_narrowed(t, false);
    name_those_that_are_narrowed(t, true);
}

/* As a store of an earlier version may have it: the policy is gone, and the key names it still. */
static void a_key_without_its_policy_is_refused(struct test *t)
{
    struct shop shop;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, shop_open(t, &shop, true));
    REQUIRE_OK(t, edit(&shop, CREATE, "{\"name\":\"partners\"}"));
    REQUIRE(t, create(&shop, "partners", NULL, &id, &key));
    test_engine_close(&shop.fixture);
    struct kw_store *store = open_store(&shop);
    struct kw_store_setting setting = {.name = KW_BYTES("policy/default/partners")};
    struct kw_store_batch batch = {.settings = &setting, .setting_count = 1};
    REQUIRE_OK(t, store->ops->commit(store, &batch, 1));
    REQUIRE(t, test_engine_open(t, &shop.fixture, store));
    kw_engine_wait_filled(shop.fixture.engine);
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_POLICY_VIOLATION);
    CHECK_STATUS(t, test_engine_do(&shop.fixture, KW_OP_DISABLE, &id, NULL), KW_OK);
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_DISABLED);
    CHECK_STATUS(t, test_engine_do(&shop.fixture, KW_OP_ENABLE, &id, NULL), KW_OK);
    REQUIRE_OK(t, edit(&shop, CREATE, "{\"name\":\"partners\"}"));
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_NONE);
    REQUIRE_OK(t, test_engine_do(&shop.fixture, KW_OP_REVOKE, &id, NULL));
    REQUIRE_OK(t, edit(&shop, DELETE, ""));
    CHECK_I64(t, ask(&shop, &key, NULL), KW_CODE_REVOKED);
    shop_close(&shop);
}

/* --- the n-th call fails --- */

/* False when the change makes fewer calls than that. */
static bool narrow_with_fault(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct kw_store *inner = NULL;
    struct kw_store *faulty = NULL;
    struct shop shop = {.t = t};
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &shop.fixture, faulty) || edit(&shop, CREATE, "{\"name\":\"partners\"}") != KW_OK ||
        !create(&shop, "partners", NULL, &id, &key)) {
        test_fail(t, __FILE__, __LINE__, "no engine with a key under a policy");
        return false;
    }
    kw_engine_wait_filled(shop.fixture.engine);
    kw_store_fault_arm(faulty, kind, nth);
    enum kw_status status = edit(&shop, UPDATE, "{\"scopes\":[\"read\"]}");
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    enum kw_code code = ask(&shop, &key, "write");
    if (status == KW_OK) {
        CHECK_I64(t, code, KW_CODE_INSUFFICIENT_SCOPE);
    } else if (status != KW_E_UNCERTAIN) {
        CHECK_I64(t, code, KW_CODE_NONE);
    }
    for (int i = 0; i < 3 && edit(&shop, UPDATE, "{\"scopes\":[\"read\"]}") != KW_OK; i++) {
    }
    CHECK_I64(t, ask(&shop, &key, "write"), KW_CODE_INSUFFICIENT_SCOPE);
    CHECK_I64(t, ask(&shop, &key, "read"), KW_CODE_NONE);
    test_engine_close(&shop.fixture);
    return came_to_pass;
}

static void a_change_that_fails_takes_nothing(struct test *t)
{
    static const enum kw_fault_kind kinds[] = {KW_FAULT_UNAVAILABLE, KW_FAULT_UNCERTAIN};
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        uint64_t nth = 1;
        while (nth < CALLS_MAX && narrow_with_fault(t, kinds[i], nth)) {
            nth++;
        }
        CHECK(t, nth > 2 && nth < CALLS_MAX); /* the list of keys, a commit */
    }
}

/* --- while others verify --- */

#define VERIFIERS 3
#define ROUNDS 40

struct crowd {
    struct shop shop;
    struct kw_id ids[2];
    struct kw_secret keys[2]; /* under the policy, and a child of that */
    int phase; /* atomic: grows; of four, the second is narrow and the fourth wide, and the others may be either */
    int stop;  /* atomic */
    uint64_t asked, accepted, refused; /* atomic: the last two against what was acknowledged */
};

static void *verify_all_the_time(void *context)
{
    struct crowd *crowd = context;
    while (__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < KW_COUNT_OF(crowd->keys); i++) {
            int phase = __atomic_load_n(&crowd->phase, __ATOMIC_SEQ_CST);
            enum kw_code code = ask(&crowd->shop, &crowd->keys[i], "write");
            if (__atomic_load_n(&crowd->phase, __ATOMIC_SEQ_CST) == phase) {
                __atomic_fetch_add(&crowd->accepted, phase % 4 == 1 && code == KW_CODE_NONE, __ATOMIC_RELAXED);
                __atomic_fetch_add(&crowd->refused, phase % 4 == 3 && code != KW_CODE_NONE, __ATOMIC_RELAXED);
            }
            __atomic_fetch_add(&crowd->asked, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

/* As misses would: reads the keys from the store over and over, and changes one, whose entry then is a new one. */
static void *load_all_the_time(void *context)
{
    struct crowd *crowd = context;
    while (__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < KW_COUNT_OF(crowd->keys); i++) {
            struct kw_op op;
            kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
            op.key = kw_secret_expose(&crowd->keys[i]);
            (void)kw_engine_run(crowd->shop.fixture.engine, &op);
            kw_op_deinit(&op);
        }
    }
    return NULL;
}

static void wait_for_some(struct crowd *crowd)
{
    uint64_t seen = __atomic_load_n(&crowd->asked, __ATOMIC_RELAXED);
    while (__atomic_load_n(&crowd->asked, __ATOMIC_RELAXED) < seen + 4) {
        sched_yield();
    }
}

static void narrow_under_their_eyes(struct test *t, bool is_sqlite)
{
    static struct crowd crowd;
    pthread_t threads[VERIFIERS + 1];
    crowd = (struct crowd){.phase = 0};
    REQUIRE(t, shop_open(t, &crowd.shop, is_sqlite));
    REQUIRE_OK(t, edit(&crowd.shop, CREATE, "{\"name\":\"partners\"}"));
    REQUIRE(t, create(&crowd.shop, "partners", NULL, &crowd.ids[0], &crowd.keys[0]));
    REQUIRE(t, create(&crowd.shop, NULL, &crowd.ids[0], &crowd.ids[1], &crowd.keys[1]));
    kw_engine_wait_filled(crowd.shop.fixture.engine);
    for (size_t i = 0; i <= VERIFIERS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, i < VERIFIERS ? verify_all_the_time : load_all_the_time, &crowd) ==
                       0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int to_wide = 0; to_wide < 2; to_wide++) {
            const char *json = to_wide ? "{\"scopes\":null}" : "{\"scopes\":[\"read\"]}";
            CHECK_STATUS(t, edit(&crowd.shop, UPDATE, json), KW_OK);
            __atomic_fetch_add(&crowd.phase, 1, __ATOMIC_SEQ_CST);
            wait_for_some(&crowd);
            __atomic_fetch_add(&crowd.phase, 1, __ATOMIC_SEQ_CST);
        }
    }
    __atomic_store_n(&crowd.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= VERIFIERS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_I64(t, crowd.accepted, 0);
    CHECK_I64(t, crowd.refused, 0);
    shop_close(&crowd.shop);
}

static void nobody_passes_after_the_acknowledgement(struct test *t)
{
    narrow_under_their_eyes(t, false);
    narrow_under_their_eyes(t, true);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_change_takes_effect_at_once),           TEST_CASE(a_key_may_outlive_its_policy_for_a_while),
        TEST_CASE(a_change_names_the_keys_that_it_narrows), TEST_CASE(a_key_without_its_policy_is_refused),
        TEST_CASE(a_change_that_fails_takes_nothing),       TEST_CASE(nobody_passes_after_the_acknowledgement),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
