/* Exports under failures of the store: what is not whole never looks so, and no key leaves without a line that says so.
 */
#include "base/error.h"
#include "core/id.h"
#include "engine/export.h"
#include "support/engine.h"

#define KEYS 3
#define CALLS_MAX 40

static const struct kw_list_query all;

/* An export as a caller makes it; its text so far is in `text`. */
static enum kw_status export_all(struct test_engine *fixture, struct kw_export *export, struct kw_buffer *text)
{
    struct kw_op op;
    enum kw_status status = KW_OK;
    kw_op_init(&op, KW_OP_EXPORT, KW_PROJECT_DEFAULT);
    op.export = export;
    op.actor = KW_BYTES("tester");
    while (status == KW_OK && export->stage != KW_EXPORT_ENDED) {
        kw_buffer_reset(&op.result);
        status = kw_engine_run(fixture->engine, &op);
        kw_buffer_add(text, status == KW_OK ? kw_buffer_bytes(&op.result) : KW_BYTES(""));
    }
    if (status != KW_OK && export->stage != KW_EXPORT_BEGINS) {
        export->gives_up = true;
        (void)kw_engine_run(fixture->engine, &op);
    }
    kw_op_deinit(&op);
    return status;
}

static bool ends_with(const struct kw_buffer *text, const char *end)
{
    size_t size = strlen(end);
    return text->size >= size && memcmp(text->data + text->size - size, end, size) == 0;
}

struct audits {
    unsigned started, complete, incomplete;
};

static enum kw_status take_audit(void *context, const struct kw_store_audit *audit)
{
    struct audits *audits = context;
    audits->started += kw_bytes_equal(audit->action, KW_BYTES("export.started"));
    audits->complete += kw_bytes_contains_ignoring_case(audit->body, KW_BYTES("\"complete\":true"));
    audits->incomplete += kw_bytes_contains_ignoring_case(audit->body, KW_BYTES("\"complete\":false"));
    return KW_OK;
}

static struct audits audits_of(struct test *t, struct kw_store *store)
{
    struct audits audits = {0};
    struct kw_store_audit_filter filter = {.limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, store->ops->audit_query(store, &filter, take_audit, &audits), KW_OK);
    return audits;
}

static bool open_with_keys(struct test *t, struct test_engine *fixture, struct kw_store *store_take)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    if (!test_engine_open(t, fixture, store_take)) {
        return false;
    }
    for (size_t i = 0; i < KEYS; i++) {
        struct kw_id id;
        struct kw_secret key;
        if (!test_engine_create(t, fixture, &params, &id, &key)) {
            return false;
        }
        kw_secret_wipe(&key);
    }
    kw_engine_wait_filled(fixture->engine);
    return true;
}

static void a_whole_one_is_noted_before_and_after(struct test *t)
{
    struct test_engine fixture;
    struct kw_buffer text;
    REQUIRE(t, open_with_keys(t, &fixture, NULL));
    kw_buffer_init(&text, 1 << 20);
    struct kw_export export = {.query = &all};
    REQUIRE_OK(t, export_all(&fixture, &export, &text));
    CHECK_I64(t, export.count, KEYS);
    CHECK(t, ends_with(&text, "}\n{\"keyward\":\"end\",\"keys\":3}\n"));
    struct audits audits = audits_of(t, fixture.store);
    CHECK_I64(t, audits.started, 1);
    CHECK_I64(t, audits.complete, 1);
    CHECK_I64(t, audits.incomplete, 0);
    kw_buffer_deinit(&text);
    test_engine_close(&fixture);
}

static void one_that_is_given_up_is_noted_so(struct test *t)
{
    struct test_engine fixture;
    struct kw_op op;
    REQUIRE(t, open_with_keys(t, &fixture, NULL));
    struct kw_export export = {.query = &all};
    kw_op_init(&op, KW_OP_EXPORT, KW_PROJECT_DEFAULT);
    op.export = &export;
    REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
    REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
    CHECK_I64(t, export.stage, KW_EXPORT_ENDS);
    CHECK_I64(t, export.count, KEYS);
    kw_buffer_reset(&op.result);
    export.gives_up = true;
    REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
    CHECK_I64(t, op.result.size, 0);
    CHECK_I64(t, export.stage, KW_EXPORT_ENDED);
    struct audits audits = audits_of(t, fixture.store);
    CHECK_I64(t, audits.complete, 0);
    CHECK_I64(t, audits.incomplete, 1);
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

/* Makes the n-th call of the export fail. False once there is no n-th call. */
static bool fail_at(struct test *t, struct test_engine *fixture, enum kw_fault_kind kind, uint64_t nth)
{
    struct kw_buffer text;
    kw_buffer_init(&text, 1 << 20);
    struct audits before = audits_of(t, fixture->store);
    kw_store_fault_arm(fixture->store, kind, nth);
    struct kw_export export = {.query = &all};
    enum kw_status status = export_all(fixture, &export, &text);
    bool is_reached = kw_store_fault_calls(fixture->store) >= nth;
    kw_store_fault_arm(fixture->store, kind, 0);
    struct audits after = audits_of(t, fixture->store);
    bool is_whole = ends_with(&text, "{\"keyward\":\"end\",\"keys\":3}\n");
    CHECK_I64(t, is_whole, status == KW_OK);
    CHECK(t, text.size == 0 || after.started == before.started + 1);
    CHECK(t, !is_whole || after.complete == before.complete + 1);
    CHECK(t, is_whole || export.count == 0 || status != KW_OK);
    kw_buffer_deinit(&text);
    return is_reached;
}

static void failures_of_the_store(struct test *t)
{
    static const enum kw_fault_kind kinds[] = {KW_FAULT_UNAVAILABLE, KW_FAULT_UNCERTAIN};
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct test_engine fixture;
        struct kw_store *memory;
        struct kw_store *fault;
        uint64_t nth = 1;
        REQUIRE_OK(t, kw_store_memory_open(&memory));
        REQUIRE_OK(t, kw_store_fault_open(memory, t->seed, &fault));
        REQUIRE(t, open_with_keys(t, &fixture, fault));
        while (nth < CALLS_MAX && fail_at(t, &fixture, kinds[i], nth)) {
            nth++;
        }
        CHECK(t, nth > 3 && nth < CALLS_MAX); /* at least two lines of the audit log and a page */
        test_engine_close(&fixture);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(a_whole_one_is_noted_before_and_after),
                                             TEST_CASE(one_that_is_given_up_is_noted_so),
                                             TEST_CASE(failures_of_the_store)};
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
