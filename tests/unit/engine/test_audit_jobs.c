/*
 * What is done to the audit log: it is signed, and pruned by age, in pieces of which any may fail; what is left is
 * whole, begins where that is signed, and misses nothing behind it.
 */
#include "engine/audit_jobs.h"

#include "base/bytes.h"
#include "engine/audit_read.h"
#include "engine/sealer.h"
#include "support/engine.h"

#include <stdio.h>

#define CALLS_MAX 400
#define MANY 2503 /* more than one page, and than two checkpoints */
#define FEW 12
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* A line a second, of project "default". */
static bool add_lines(struct kw_store *store, size_t count, int64_t from_ms)
{
    struct kw_store_audit line = {.project = KW_BYTES("default"),
                                  .owner = KW_BYTES("user:1"),
                                  .actor = KW_BYTES("user:2"),
                                  .action = KW_BYTES("key.updated"),
                                  .context = KW_BYTES("{\"reason\":\"test\"}"),
                                  .body = KW_BYTES("{\"changes\":{}}")};
    bool is_added = true;
    for (size_t i = 0; i < count && is_added; i++) {
        struct kw_store_batch batch = {.audits = &line, .audit_count = 1};
        line.at_ms = from_ms + (int64_t)i * 1000;
        is_added = store->ops->commit(store, &batch, 1) == KW_OK && batch.outcome == KW_OK;
    }
    return is_added;
}

/* What the engine says of the whole log. */
static struct kw_audit_query prove(struct test *t, struct kw_engine *engine)
{
    struct kw_audit_query query = {.what = KW_AUDIT_VERIFY};
    struct kw_op op;
    kw_op_init(&op, KW_OP_AUDIT, KW_PROJECT_DEFAULT);
    op.audit = &query;
    while (!query.has_ended && kw_engine_run(engine, &op) == KW_OK) {
    }
    CHECK_STATUS(t, op.status, KW_OK);
    kw_op_deinit(&op);
    return query;
}

static enum kw_status prune(struct kw_engine *engine, int64_t before_ms, uint64_t *entries_out)
{
    struct kw_audit_job job = {.before_ms = before_ms};
    struct kw_op op;
    kw_op_init(&op, KW_OP_AUDIT_PRUNE, KW_PROJECT_DEFAULT);
    op.audit_job = &job;
    op.actor = KW_BYTES("operator");
    enum kw_status status = kw_engine_audit_job(engine, &op);
    kw_op_deinit(&op);
    *entries_out = job.entries;
    return status;
}

struct seen {
    size_t count;
    uint64_t first;
    bool has_told;
};

static enum kw_status see(void *context, const struct kw_store_audit *audit)
{
    struct seen *seen = context;
    seen->first = seen->count++ == 0 ? audit->sequence : seen->first;
    seen->has_told = seen->has_told || kw_bytes_equal(audit->action, KW_BYTES("audit.pruned"));
    return KW_OK;
}

static struct seen see_all(struct test *t, struct kw_store *store)
{
    struct seen seen = {.count = 0};
    struct kw_store_audit_filter filter = {.project = KW_BYTES("default"), .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, store->ops->audit_query(store, &filter, see, &seen), KW_OK);
    return seen;
}

static void check_whole(struct test *t, const struct kw_audit_query *query, uint64_t proved, uint64_t start)
{
    CHECK_TEXT(t, kw_audit_fault_name(query->proof.fault), "whole");
    CHECK_I64(t, query->proof.proved, proved);
    CHECK_I64(t, query->proof.start.place, start);
    CHECK_I64(t, query->proof.unsealed, 0);
}

static void a_log_is_signed_every_so_many_lines_and_at_its_end(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
    REQUIRE(t, add_lines(fixture.store, MANY, TEST_NOW_MS));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    struct kw_audit_query query = prove(t, fixture.engine);
    check_whole(t, &query, MANY, 0);
    CHECK_I64(t, query.proof.signed_place, MANY);
    CHECK_I64(t, query.proof.signed_count, 1 + MANY / KW_CHECKPOINT_LINES);
    CHECK(t, !query.has_foreign);
    test_engine_close(&fixture);
}

static void an_engine_without_a_seed_signs_nothing_and_prunes_nothing(struct test *t)
{
    struct test_engine fixture;
    uint64_t entries = 7;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, add_lines(fixture.store, FEW, TEST_NOW_MS));
    CHECK_STATUS(t, prune(fixture.engine, TEST_NOW_MS + DAY_MS, &entries), KW_E_INVALID);
    struct kw_audit_query query = prove(t, fixture.engine);
    check_whole(t, &query, FEW, 0);
    CHECK_I64(t, query.proof.signed_count, 0);
    test_engine_close(&fixture);
}

static void what_is_older_goes_and_the_rest_is_whole(struct test *t)
{
    for (size_t gone = 0; gone <= FEW; gone += 3) {
        struct test_engine fixture;
        uint64_t entries = 99;
        REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
        REQUIRE(t, add_lines(fixture.store, FEW, TEST_NOW_MS));
        uint64_t first = see_all(t, fixture.store).first;
        REQUIRE_OK(t, prune(fixture.engine, TEST_NOW_MS + (int64_t)gone * 1000, &entries));
        CHECK_I64(t, entries, gone);
        REQUIRE_OK(t, kw_engine_seal(fixture.engine));
        struct seen seen = see_all(t, fixture.store);
        CHECK(t, seen.has_told == (gone > 0));
        CHECK_I64(t, seen.count, FEW - gone + (gone > 0));
        CHECK(t, gone == FEW || seen.first == first + gone);
        struct kw_audit_query query = prove(t, fixture.engine);
        check_whole(t, &query, seen.count, gone);
        CHECK_I64(t, query.proof.chain.place, FEW + (gone > 0));
        test_engine_close(&fixture);
    }
}

/* The first line that is not older stays, and all behind it: what comes late is no reason for a gap. */
static void an_older_line_behind_a_later_one_stays(struct test *t)
{
    struct test_engine fixture;
    uint64_t entries = 0;
    REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
    REQUIRE(t, add_lines(fixture.store, 3, TEST_NOW_MS) && add_lines(fixture.store, 3, TEST_NOW_MS));
    REQUIRE_OK(t, prune(fixture.engine, TEST_NOW_MS + 2000, &entries));
    CHECK_I64(t, entries, 2);
    REQUIRE_OK(t, prune(fixture.engine, TEST_NOW_MS + 2000, &entries));
    CHECK_I64(t, entries, 0);
    test_engine_close(&fixture);
}

static void set(struct test *t, struct kw_store *store, const char *name, struct kw_bytes value)
{
    struct kw_store_setting setting = {kw_bytes_of_text(name), value};
    struct kw_store_batch batch = {.settings = &setting, .setting_count = 1};
    CHECK(t, store->ops->commit(store, &batch, 1) == KW_OK && batch.outcome == KW_OK);
}

static enum kw_status keep_checkpoint(void *context, const struct kw_store_checkpoint *checkpoint)
{
    kw_buffer_reset(context);
    kw_buffer_add(context, checkpoint->bytes);
    return kw_buffer_status(context);
}

static void check_fault(struct test *t, struct kw_engine *engine, const char *name, uint64_t place)
{
    struct kw_audit_query query = prove(t, engine);
    CHECK_TEXT(t, kw_audit_fault_name(query.proof.fault), name);
    CHECK_I64(t, query.proof.fault_place, place);
}

static void no_line_behind_the_start_goes_unnoticed(struct test *t)
{
    struct test_engine fixture;
    struct kw_buffer checkpoint, start;
    uint64_t entries = 0;
    uint64_t removed = 0;
    REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
    struct kw_store *store = fixture.store;
    kw_buffer_init(&checkpoint, KW_STORE_CHECKPOINT_MAX);
    kw_buffer_init(&start, KW_STORE_CHECKPOINT_MAX);
    REQUIRE(t, add_lines(store, FEW, TEST_NOW_MS));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    REQUIRE_OK(t, store->ops->audit_checkpoints(store, KW_BYTES("default"), 0, true, 1, keep_checkpoint, &checkpoint));
    REQUIRE_OK(t, prune(fixture.engine, TEST_NOW_MS + 3000, &entries));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    struct kw_checkpoint kept;
    REQUIRE_OK(t, kw__audit_start(fixture.engine, KW_BYTES("default"), &kept));
    struct kw_json_writer json;
    kw_json_writer_init(&json, &start);
    kw_checkpoint_write(&kept, &json);
    REQUIRE_OK(t, kw_buffer_status(&start));
    set(t, store, "audit.start.default", KW_BYTES("")); /* nobody says that it begins there */
    check_fault(t, fixture.engine, "missing", 1);
    set(t, store, "audit.start.default", kw_buffer_bytes(&start));
    REQUIRE_OK(t, store->ops->audit_prune(store, KW_BYTES("default"), UINT64_MAX, 1, &removed));
    check_fault(t, fixture.engine, "missing", 4); /* one line too many */
    REQUIRE_OK(t, store->ops->audit_prune(store, KW_BYTES("default"), UINT64_MAX, FEW - 4, &removed));
    check_fault(t, fixture.engine, "missing", 4);
    /* A checkpoint is no start, though the same key has signed it. */
    kw_buffer_reset(&start);
    kw_buffer_add_text(&start, "{\"keyward\":\"start\"");
    kw_buffer_add(&start, kw_bytes_skip(kw_buffer_bytes(&checkpoint), sizeof "{\"keyward\":\"checkpoint\"" - 1));
    set(t, store, "audit.start.default", kw_buffer_bytes(&start));
    check_fault(t, fixture.engine, "missing", 1);
    kw_buffer_deinit(&checkpoint);
    kw_buffer_deinit(&start);
    test_engine_close(&fixture);
}

static void run_with_fault(struct test *t, enum kw_fault_kind kind)
{
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < CALLS_MAX; nth++) {
        struct test_engine fixture;
        struct kw_store *memory = NULL;
        struct kw_store *fault = NULL;
        uint64_t entries = 0;
        REQUIRE_OK(t, kw_store_memory_open(&memory));
        REQUIRE_OK(t, kw_store_fault_open(memory, nth, &fault));
        REQUIRE(t, test_engine_open_signing(t, &fixture, fault));
        kw_engine_wait_filled(fixture.engine);
        REQUIRE(t, add_lines(fault, MANY, TEST_NOW_MS));
        kw_store_fault_arm(fault, kind, nth);
        enum kw_status status = prune(fixture.engine, TEST_NOW_MS + 2200 * 1000, &entries);
        failed = kw_store_fault_calls(fault) >= nth;
        CHECK(t, status == KW_OK || failed);
        kw_store_fault_arm(fault, kind, 0);
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        struct kw_audit_query query = prove(t, fixture.engine); /* whatever is there by now */
        CHECK_TEXT(t, kw_audit_fault_name(query.proof.fault), "whole");
        CHECK_STATUS(t, prune(fixture.engine, TEST_NOW_MS + 2200 * 1000, &entries), KW_OK);
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        query = prove(t, fixture.engine);
        CHECK_TEXT(t, kw_audit_fault_name(query.proof.fault), "whole");
        CHECK_I64(t, query.proof.start.place, 2200);
        CHECK_I64(t, see_all(t, fault).count, query.proof.proved);
        test_engine_close(&fixture);
    }
    CHECK(t, !failed);
}

static void a_store_that_fails_leaves_a_whole_log(struct test *t)
{
    run_with_fault(t, KW_FAULT_UNAVAILABLE);
}

static void a_step_of_unknown_outcome_leaves_a_whole_log(struct test *t)
{
    run_with_fault(t, KW_FAULT_UNCERTAIN);
}

static void a_project_keeps_its_log_as_long_as_it_says(struct test *t)
{
    struct test_engine fixture;
    struct kw_op op;
    REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
    REQUIRE(t, add_lines(fixture.store, FEW, TEST_NOW_MS));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    fixture.now_ms = TEST_NOW_MS + 2 * DAY_MS + 5000;
    REQUIRE_OK(t, kw__audit_keep_retentions(fixture.engine)); /* for ever, if nothing is said */
    CHECK_I64(t, see_all(t, fixture.store).count, FEW);
    kw_op_init(&op, KW_OP_DOCUMENT_UPDATE, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_PROJECT;
    op.name = KW_BYTES("default");
    op.json = KW_BYTES("{\"auditRetention\":\"2d\"}");
    op.actor = KW_BYTES("test");
    REQUIRE_OK(t, kw_engine_run(fixture.engine, &op));
    kw_op_deinit(&op);
    REQUIRE_OK(t, kw__audit_keep_retentions(fixture.engine));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    struct kw_audit_query query = prove(t, fixture.engine);
    check_whole(t, &query, FEW - 5 + 2, 5); /* and the lines of the change and of the pruning */
    test_engine_close(&fixture);
}

static enum kw_status erase(struct kw_engine *engine, struct kw_bytes owner, struct kw_bytes actor,
                            uint64_t *entries_out)
{
    struct kw_audit_job job = {.person = {owner, actor}};
    struct kw_op op;
    kw_op_init(&op, KW_OP_AUDIT_ERASE, KW_PROJECT_DEFAULT);
    op.audit_job = &job;
    op.actor = KW_BYTES("operator");
    enum kw_status status = kw_engine_audit_job(engine, &op);
    kw_op_deinit(&op);
    *entries_out = job.entries;
    return status;
}

struct told {
    size_t owner, actor, context, body, erased;
};

static enum kw_status count_told(void *context, const struct kw_store_audit *audit)
{
    struct told *told = context;
    told->owner += audit->owner.size > 0;
    told->actor += audit->actor.size > 0;
    told->context += audit->context.size > 0;
    told->body += audit->body.size > 0;
    told->erased += kw_bytes_equal(audit->action, KW_BYTES("audit.erased"));
    return KW_OK;
}

static struct told told_by(struct test *t, struct kw_store *store)
{
    struct told told = {0};
    struct kw_store_audit_filter filter = {.project = KW_BYTES("default"), .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, store->ops->audit_query(store, &filter, count_told, &told), KW_OK);
    return told;
}

static void a_person_s_data_goes_and_the_log_stays_whole(struct test *t)
{
    struct test_engine fixture;
    uint64_t entries = 0;
    REQUIRE(t, test_engine_open_signing(t, &fixture, NULL));
    REQUIRE(t, add_lines(fixture.store, FEW, TEST_NOW_MS));
    REQUIRE_OK(t, erase(fixture.engine, KW_BYTES("user:3"), KW_BYTES("user:4"), &entries));
    CHECK_I64(t, entries, 0);
    CHECK_I64(t, told_by(t, fixture.store).erased, 0);
    REQUIRE_OK(t, erase(fixture.engine, KW_BYTES("user:1"), KW_BYTES(""), &entries));
    CHECK_I64(t, entries, FEW);
    struct told told = told_by(t, fixture.store);
    CHECK_I64(t, told.owner, 0);
    CHECK_I64(t, told.actor, FEW + 1);
    CHECK_I64(t, told.context, FEW);
    CHECK_I64(t, told.body, 1);
    REQUIRE_OK(t, erase(fixture.engine, KW_BYTES(""), KW_BYTES("user:2"), &entries));
    CHECK_I64(t, entries, FEW);
    told = told_by(t, fixture.store);
    CHECK_I64(t, told.actor, 2); /* of the two lines that tell of it */
    CHECK_I64(t, told.context, 0);
    CHECK_I64(t, told.erased, 2);
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    struct kw_audit_query query = prove(t, fixture.engine);
    check_whole(t, &query, FEW + 2, 0);
    test_engine_close(&fixture);
}

static void erase_with_fault(struct test *t, enum kw_fault_kind kind)
{
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < CALLS_MAX; nth++) {
        struct test_engine fixture;
        struct kw_store *memory = NULL;
        struct kw_store *fault = NULL;
        uint64_t entries = 0;
        REQUIRE_OK(t, kw_store_memory_open(&memory));
        REQUIRE_OK(t, kw_store_fault_open(memory, nth, &fault));
        REQUIRE(t, test_engine_open_signing(t, &fixture, fault));
        kw_engine_wait_filled(fixture.engine);
        REQUIRE(t, add_lines(fault, 450, TEST_NOW_MS)); /* three pieces */
        kw_store_fault_arm(fault, kind, nth);
        enum kw_status status = erase(fixture.engine, KW_BYTES("user:1"), KW_BYTES("user:2"), &entries);
        failed = kw_store_fault_calls(fault) >= nth;
        CHECK(t, status == KW_OK || failed);
        kw_store_fault_arm(fault, kind, 0);
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        struct kw_audit_query query = prove(t, fixture.engine); /* whatever is gone by now */
        CHECK_TEXT(t, kw_audit_fault_name(query.proof.fault), "whole");
        CHECK_STATUS(t, erase(fixture.engine, KW_BYTES("user:1"), KW_BYTES("user:2"), &entries), KW_OK);
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        query = prove(t, fixture.engine);
        CHECK_TEXT(t, kw_audit_fault_name(query.proof.fault), "whole");
        struct told told = told_by(t, fault);
        CHECK_I64(t, told.owner + told.context, 0);
        CHECK_I64(t, told.body, told.erased);
        CHECK_I64(t, query.proof.proved, 450 + told.erased);
        test_engine_close(&fixture);
    }
    CHECK(t, !failed);
}

static void an_erasing_that_fails_leaves_a_whole_log(struct test *t)
{
    erase_with_fault(t, KW_FAULT_UNAVAILABLE);
}

static void an_erasing_of_unknown_outcome_leaves_a_whole_log(struct test *t)
{
    erase_with_fault(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_log_is_signed_every_so_many_lines_and_at_its_end),
        TEST_CASE(an_engine_without_a_seed_signs_nothing_and_prunes_nothing),
        TEST_CASE(what_is_older_goes_and_the_rest_is_whole),
        TEST_CASE(an_older_line_behind_a_later_one_stays),
        TEST_CASE(no_line_behind_the_start_goes_unnoticed),
        TEST_CASE(a_store_that_fails_leaves_a_whole_log),
        TEST_CASE(a_step_of_unknown_outcome_leaves_a_whole_log),
        TEST_CASE(a_project_keeps_its_log_as_long_as_it_says),
        TEST_CASE(a_person_s_data_goes_and_the_log_stays_whole),
        TEST_CASE(an_erasing_that_fails_leaves_a_whole_log),
        TEST_CASE(an_erasing_of_unknown_outcome_leaves_a_whole_log),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
