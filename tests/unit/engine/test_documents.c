/*
 * Documents in the engine: a change is seen by the next verification, by all threads, and after a start; it is written
 * whole or not at all; and a store that fails at its n-th call, for every n, loses nothing that was acknowledged.
 */
#include "core/id.h"
#include "shelf.h"
#include "support/engine.h"

#include <pthread.h>

#define CALLS_MAX 200

static enum kw_status edit(struct test_engine *fixture, enum kw_op_kind kind, enum kw_document_kind document,
                           const char *name, const char *json, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, kind, KW_PROJECT_DEFAULT);
    op.document = document;
    op.name = kw_bytes_of_text(name);
    op.json = kw_bytes_of_text(json);
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    if (error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

#define CREATE KW_OP_DOCUMENT_CREATE
#define UPDATE KW_OP_DOCUMENT_UPDATE
#define DELETE KW_OP_DOCUMENT_DELETE

static uint64_t version_of(struct kw_engine *engine, enum kw_document_kind kind, const char *name)
{
    kw_engine_read_begin();
    const struct kw_document *document =
        kw_catalog_find(kw_engine_catalog(engine), kind, KW_BYTES("default"), kw_bytes_of_text(name));
    uint64_t version = document == NULL || document->is_deleted ? 0 : document->version;
    kw_engine_read_end();
    return version;
}

static void verifications_see_a_change_at_once(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default",
                       "{\"environments\":[{\"name\":\"prod\",\"secretPrefix\":\"own_\",\"length\":40}]}", &error));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    CHECK(t, kw_bytes_starts_with(kw_secret_expose(&key), KW_BYTES("own_")));
    CHECK_I64(t, kw_secret_expose(&key).size, 4 + 40 + 6);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    CHECK(t, edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default", "{\"environments\":null}", &error) != KW_OK);
    CHECK_TEXT(t, error.code, "IN_USE");
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_REVOKE, &id, NULL));
    REQUIRE_OK(t, test_engine_do(&fixture, KW_OP_ERASE, &id, NULL));
    REQUIRE_OK(t, edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default", "{\"environments\":null}", &error));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_INVALID_FORMAT);
    test_engine_close(&fixture);
}

static void documents_survive_a_start(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store = NULL;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error;
    REQUIRE(t, shelf_open(&store) && test_engine_open(t, &fixture, store));
    REQUIRE_OK(t, edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default",
                       "{\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"own_\"}]}", &error));
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_PROJECT, "", "{\"name\":\"gone\"}", &error));
    REQUIRE_OK(t, edit(&fixture, DELETE, KW_DOCUMENT_PROJECT, "gone", "", &error));
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_POLICY, "", "{\"name\":\"a\"}", &error));
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_TEMPLATE, "", "{\"name\":\"b\"}", &error));
    REQUIRE_OK(t, edit(&fixture, UPDATE, KW_DOCUMENT_TEMPLATE, "b", "{\"locked\":[\"tags\"]}", &error));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    test_engine_close(&fixture);

    REQUIRE(t, test_engine_open(t, &fixture, store));
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "default"), 2);
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "gone"), 0);
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_POLICY, "a"), 1);
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_TEMPLATE, "b"), 2);
    CHECK(t, edit(&fixture, CREATE, KW_DOCUMENT_PROJECT, "", "{\"name\":\"gone\"}", &error) != KW_OK);
    CHECK_TEXT(t, error.code, "ALREADY_EXISTS");
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_PROJECT, "", "{\"name\":\"next\"}", &error));
    kw_engine_read_begin();
    const struct kw_project *next = kw_project_by_name(kw_engine_catalog(fixture.engine), KW_BYTES("next"));
    CHECK_I64(t, next == NULL ? 0 : next->number, 4); /* 3 was given once */
    kw_engine_read_end();
    test_engine_close(&fixture);
    shelf_close(store);
}

static enum kw_status count_setting(void *context, const struct kw_store_setting *setting)
{
    (void)setting;
    (*(size_t *)context)++;
    return KW_OK;
}

static void a_project_takes_its_documents_with_it(struct test *t)
{
    struct test_engine fixture;
    struct kw_error error;
    struct kw_op op;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_PROJECT, "", "{\"name\":\"shop\"}", &error));
    for (int i = 0; i < 2; i++) {
        kw_op_init(&op, CREATE, 3);
        op.document = i == 0 ? KW_DOCUMENT_POLICY : KW_DOCUMENT_TEMPLATE;
        op.json = KW_BYTES("{\"name\":\"a\"}");
        op.actor = KW_BYTES("test");
        REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
        kw_op_deinit(&op);
    }
    REQUIRE_OK(t, edit(&fixture, DELETE, KW_DOCUMENT_PROJECT, "shop", "", &error));
    size_t count = 0;
    const char *const prefixes[] = {"policy/", "template/"};
    for (size_t i = 0; i < KW_COUNT_OF(prefixes); i++) {
        REQUIRE_OK(
            t, fixture.store->ops->settings_list(fixture.store, kw_bytes_of_text(prefixes[i]), count_setting, &count));
    }
    CHECK_I64(t, count, 0);
    kw_op_init(&op, CREATE, 3);
    op.document = KW_DOCUMENT_POLICY;
    op.json = KW_BYTES("{\"name\":\"a\"}");
    CHECK(t, kw_engine_run(fixture.engine, &op) != KW_OK);
    CHECK_TEXT(t, op.error.code, "PROJECT_NOT_FOUND");
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

struct account {
    size_t count;
    char last[64];
};

static enum kw_status read_line(void *context, const struct kw_store_audit *audit)
{
    struct account *account = context;
    account->count++;
    size_t size = audit->action.size < sizeof account->last ? audit->action.size : sizeof account->last - 1;
    memcpy(account->last, audit->action.data, size);
    account->last[size] = '\0';
    return KW_OK;
}

static enum kw_status read_event(void *context, const struct kw_store_event *event)
{
    (void)event;
    (*(size_t *)context)++;
    return KW_OK;
}

static void every_change_is_accounted_for(struct test *t)
{
    struct test_engine fixture;
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    static const struct {
        enum kw_op_kind kind;
        const char *json, *action;
    } steps[] = {{CREATE, "{\"name\":\"a\"}", "policy.created"},
                 {UPDATE, "{\"maxTtl\":\"1d\"}", "policy.updated"},
                 {DELETE, "", "policy.deleted"}};
    for (size_t i = 0; i < KW_COUNT_OF(steps); i++) {
        struct account account = {.count = 0};
        struct kw_store_audit_filter filter = {.project = KW_BYTES("default"), .limit = 100};
        REQUIRE_OK(t, edit(&fixture, steps[i].kind, KW_DOCUMENT_POLICY, "a", steps[i].json, &error));
        REQUIRE_OK(t, fixture.store->ops->audit_query(fixture.store, &filter, read_line, &account));
        CHECK_I64(t, account.count, i + 1);
        CHECK_TEXT(t, account.last, steps[i].action);
        CHECK(t, edit(&fixture, UPDATE, KW_DOCUMENT_POLICY, "a", "{\"x\":1}", &error) != KW_OK);
    }
    size_t events = 0;
    REQUIRE_OK(t,
               fixture.store->ops->events_claim(fixture.store, TEST_NOW_MS, TEST_NOW_MS + 1, 100, read_event, &events));
    CHECK_I64(t, events, KW_COUNT_OF(steps));
    test_engine_close(&fixture);
}

static void there_is_a_bound_to_everything(struct test *t)
{
    struct test_engine fixture;
    struct kw_error error;
    char json[64];
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (unsigned i = 0; i < KW_DOCUMENT_COUNT_MAX; i++) {
        struct kw_buffer text;
        kw_buffer_init_fixed(&text, json, sizeof json);
        kw_buffer_add_format(&text, "{\"name\":\"p%u\"}", i);
        kw_buffer_add_byte(&text, '\0');
        REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_POLICY, "", json, &error));
    }
    CHECK(t, edit(&fixture, CREATE, KW_DOCUMENT_POLICY, "", "{\"name\":\"more\"}", &error) != KW_OK);
    CHECK_TEXT(t, error.code, "LIMIT_REACHED");
    REQUIRE_OK(t, edit(&fixture, DELETE, KW_DOCUMENT_POLICY, "p7", "", &error));
    REQUIRE_OK(t, edit(&fixture, CREATE, KW_DOCUMENT_POLICY, "", "{\"name\":\"more\"}", &error));
    test_engine_close(&fixture);
}

/* --- the n-th call fails --- */

static uint64_t kept_version(struct kw_store *store)
{
    static uint8_t value[KW_DOCUMENT_MAX];
    size_t size = 0;
    uint64_t version = 0;
    if (store->ops->setting(store, KW_BYTES("project/default"), value, sizeof value, &size) == KW_OK) {
        struct kw_document *document = NULL;
        if (kw_document_read(KW_DOCUMENT_PROJECT, KW_BYTES(""), kw_bytes_of(value, size), &document) == KW_OK) {
            version = document->version;
        }
        kw_document_release(document);
    }
    return version == 0 ? 1 : version; /* as it is built in */
}

/* False when the change makes fewer calls than that. */
static bool change_with_fault(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct kw_store *inner = NULL;
    struct kw_store *faulty = NULL;
    struct test_engine fixture;
    struct kw_error error;
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &fixture, faulty)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    kw_store_fault_arm(faulty, kind, nth);
    static const char json[] = "{\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"own_\"}]}";
    enum kw_status status = edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default", json, &error);
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    uint64_t kept = kept_version(inner);
    if (status == KW_OK) {
        CHECK_I64(t, kept, 2);
        CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "default"), 2);
    } else if (status != KW_E_UNCERTAIN) {
        CHECK_I64(t, kept, 1);
        CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "default"), 1);
    }
    /* The one fault is spent: whatever it was, the next change goes through, and the writer knows what is there. */
    for (int i = 0; i < 3 && edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default", json, &error) != KW_OK; i++) {
    }
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "default"), kept_version(inner));
    test_engine_close(&fixture);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && change_with_fault(t, kind, nth)) {
        nth++;
    }
    CHECK(t, nth > 3); /* a look for keys in each environment, a commit */
    CHECK(t, nth < CALLS_MAX);
}

static void a_store_out_of_reach_changes_nothing(struct test *t)
{
    sweep(t, KW_FAULT_UNAVAILABLE);
}

static void an_uncertain_change_is_found_out(struct test *t)
{
    sweep(t, KW_FAULT_UNCERTAIN);
}

/* --- while others verify --- */

struct verifier {
    struct test_engine *fixture;
    const struct kw_secret *key;
    bool stop; /* atomic */
    uint64_t count, refused;
};

static void *verify_on(void *context)
{
    struct verifier *verifier = context;
    while (!__atomic_load_n(&verifier->stop, __ATOMIC_RELAXED)) {
        verifier->refused += test_engine_verify(verifier->fixture, verifier->key) != KW_CODE_NONE;
        __atomic_fetch_add(&verifier->count, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void threads_verify_while_projects_change(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_error error;
    pthread_t threads[2];
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    struct verifier verifiers[2] = {{.fixture = &fixture, .key = &key}, {.fixture = &fixture, .key = &key}};
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, verify_on, &verifiers[i]) == 0);
    }
    for (int round = 0; round < 100; round++) {
        uint64_t seen = __atomic_load_n(&verifiers[0].count, __ATOMIC_RELAXED);
        CHECK_STATUS(t, edit(&fixture, UPDATE, KW_DOCUMENT_PROJECT, "default", "{\"defaultExpiresIn\":\"1d\"}", &error),
                     KW_OK);
        while (__atomic_load_n(&verifiers[0].count, __ATOMIC_RELAXED) == seen) {
            sched_yield();
        }
    }
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        __atomic_store_n(&verifiers[i].stop, true, __ATOMIC_RELAXED);
        pthread_join(threads[i], NULL);
        CHECK_I64(t, verifiers[i].refused, 0);
    }
    CHECK_I64(t, version_of(fixture.engine, KW_DOCUMENT_PROJECT, "default"), 101);
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(verifications_see_a_change_at_once),    TEST_CASE(documents_survive_a_start),
        TEST_CASE(a_project_takes_its_documents_with_it), TEST_CASE(every_change_is_accounted_for),
        TEST_CASE(there_is_a_bound_to_everything),        TEST_CASE(a_store_out_of_reach_changes_nothing),
        TEST_CASE(an_uncertain_change_is_found_out),      TEST_CASE(threads_verify_while_projects_change),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
