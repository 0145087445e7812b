/*
 * The sealer: every line gets its seal, in the order of the log, in the chain of its project; a life goes on where the
 * one before stopped, wherever that was; and a store that fails at its n-th call, for every n, leaves a whole log.
 */
#include "engine/sealer.h"

#include "core/audit.h"
#include "core/id.h"
#include "shelf.h"
#include "support/engine.h"

#include <sched.h>
#include <stdio.h>

#define CALLS_MAX 400
#define MANY 1203 /* two batches of the sealer and a part of one */

/* Lines of two projects, which take turns as they like. */
static bool add_lines(struct test *t, struct kw_store *store, size_t count)
{
    struct kw_store_audit line = {.owner = KW_BYTES("user:1"),
                                  .actor = KW_BYTES("test"),
                                  .action = KW_BYTES("key.created"),
                                  .context = KW_BYTES("{\"reason\":\"test\"}"),
                                  .body = KW_BYTES("{\"changes\":{}}")};
    bool is_added = true;
    for (size_t i = 0; i < count && is_added; i++) {
        struct kw_store_batch batch = {.audits = &line, .audit_count = 1};
        line.at_ms = TEST_NOW_MS + (int64_t)i;
        line.project = test_random_below(t, 2) == 0 ? KW_BYTES("default") : KW_BYTES("shop");
        is_added = store->ops->commit(store, &batch, 1) == KW_OK && batch.outcome == KW_OK;
    }
    return is_added;
}

static enum kw_status prove_line(void *context, const struct kw_store_audit *audit)
{
    struct kw_audit_seal seal;
    bool has_seal = kw_audit_seal_decode(audit->seal, &seal);
    struct kw_audit_line line = {.sequence = audit->sequence,
                                 .at_ms = audit->at_ms,
                                 .project = audit->project,
                                 .key_id = audit->key_id,
                                 .owner = audit->owner,
                                 .actor = audit->actor,
                                 .action = audit->action,
                                 .context = audit->context,
                                 .details = audit->body};
    kw_audit_proof_add(context, &line, has_seal ? &seal : NULL);
    return KW_OK;
}

/* What the store holds of a project, proved against the head that stands beside it. */
static struct kw_audit_proof prove(struct test *t, struct kw_store *store, const char *project)
{
    char name[64];
    uint8_t value[KW_AUDIT_HEAD_SIZE];
    size_t size = 0;
    struct kw_audit_chain head;
    struct kw_audit_proof proof;
    uint64_t before = 1;
    struct kw_store_audit_filter filter = {.project = kw_bytes_of_text(project), .limit = KW_STORE_LIST_MAX};
    snprintf(name, sizeof name, KW_AUDIT_HEAD_SETTING "%s", project);
    bool has_head = store->ops->setting(store, kw_bytes_of_text(name), value, sizeof value, &size) == KW_OK &&
                    kw_audit_head_decode(kw_bytes_of(value, size), &head);
    kw_audit_proof_begin(&proof, has_head ? &head : NULL);
    while (filter.after != before) {
        before = filter.after;
        CHECK_STATUS(t, store->ops->audit_query(store, &filter, prove_line, &proof), KW_OK);
        filter.after = proof.last_sequence;
    }
    kw_audit_proof_end(&proof);
    return proof;
}

static void check_whole(struct test *t, struct kw_store *store, uint64_t expected)
{
    struct kw_audit_proof proofs[] = {prove(t, store, "default"), prove(t, store, "shop")};
    for (size_t i = 0; i < KW_COUNT_OF(proofs); i++) {
        CHECK_TEXT(t, kw_audit_fault_name(proofs[i].fault), "whole");
        CHECK_I64(t, proofs[i].unsealed, 0);
        CHECK(t, proofs[i].expected.place == proofs[i].chain.place);
    }
    CHECK_I64(t, proofs[0].proved + proofs[1].proved, expected);
}

static void every_line_is_sealed_in_the_chain_of_its_project(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine)); /* there is nothing yet */
    REQUIRE(t, add_lines(t, fixture.store, MANY));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    check_whole(t, fixture.store, MANY);
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    REQUIRE(t, add_lines(t, fixture.store, 5));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    check_whole(t, fixture.store, MANY + 5);
    test_engine_close(&fixture);
}

static void a_later_life_goes_on_with_the_chain(struct test *t)
{
    struct kw_store *store = NULL;
    uint64_t count = 0;
    REQUIRE(t, shelf_open(&store));
    for (size_t i = 0; i < 4; i++) {
        struct test_engine fixture;
        if (!test_engine_open(t, &fixture, store) || !add_lines(t, store, 7 * i)) {
            test_fail(t, __FILE__, __LINE__, "no life");
            break;
        }
        count += 7 * i;
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        CHECK(t, add_lines(t, store, i)); /* that nobody seals in this life */
        count += i;
        test_engine_close(&fixture);
    }
    struct test_engine fixture;
    if (test_engine_open(t, &fixture, store)) {
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        check_whole(t, store, count);
        test_engine_close(&fixture);
    }
    shelf_close(store);
}

static void run_with_fault(struct test *t, enum kw_fault_kind kind)
{
    bool failed = true;
    for (uint64_t nth = 1; nth < CALLS_MAX && failed; nth++) {
        struct kw_store *inner = NULL;
        struct kw_store *fault = NULL;
        struct test_engine fixture;
        REQUIRE(t, kw_store_memory_open(&inner) == KW_OK && kw_store_fault_open(inner, t->seed + nth, &fault) == KW_OK);
        REQUIRE(t, test_engine_open(t, &fixture, fault));
        kw_engine_wait_filled(fixture.engine);
        REQUIRE(t, add_lines(t, fault, MANY));
        kw_store_fault_arm(fault, kind, nth);
        enum kw_status status = kw_engine_seal(fixture.engine);
        failed = kw_store_fault_calls(fault) >= nth;
        CHECK(t, status == KW_OK || failed);
        kw_store_fault_arm(fault, kind, 0);
        CHECK_STATUS(t, kw_engine_seal(fixture.engine), KW_OK);
        check_whole(t, fault, MANY);
        test_engine_close(&fixture);
    }
    CHECK(t, !failed);
}

static void a_store_that_fails_leaves_a_whole_log(struct test *t)
{
    run_with_fault(t, KW_FAULT_UNAVAILABLE);
}

static void a_seal_of_unknown_outcome_leaves_a_whole_log(struct test *t)
{
    run_with_fault(t, KW_FAULT_UNCERTAIN);
}

static void a_line_that_is_tampered_with_is_named(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, add_lines(t, fixture.store, 20));
    REQUIRE_OK(t, kw_engine_seal(fixture.engine));
    uint64_t removed = 0;
    uint64_t last = prove(t, fixture.store, "default").chain.place;
    REQUIRE_OK(t, fixture.store->ops->audit_prune(fixture.store, KW_BYTES("default"), UINT64_MAX, 20, &removed));
    struct kw_audit_proof proof = prove(t, fixture.store, "default");
    CHECK_TEXT(t, kw_audit_fault_name(proof.fault), "missing");
    CHECK_I64(t, proof.fault_place, 1);
    CHECK_I64(t, proof.expected.place, last);
    test_engine_close(&fixture);
}

/* With a thread of its own, and nobody who asks it to. */
static void the_thread_seals_by_itself_and_before_it_ends(struct test *t)
{
    struct kw_store *store = NULL;
    struct test_engine fixture;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    CHECK_STATUS(t, kw__sealer_start(fixture.engine), KW_OK);
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    CHECK(t, test_engine_create(t, &fixture, NULL, &id, &key));
    while (prove(t, store, "default").proved == 0) {
        (void)sched_yield();
    }
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_DISABLE, &id, NULL), KW_OK);
    test_engine_close(&fixture);
    check_whole(t, store, 2);
    shelf_close(store);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_line_is_sealed_in_the_chain_of_its_project),
        TEST_CASE(a_later_life_goes_on_with_the_chain),
        TEST_CASE(a_store_that_fails_leaves_a_whole_log),
        TEST_CASE(a_seal_of_unknown_outcome_leaves_a_whole_log),
        TEST_CASE(a_line_that_is_tampered_with_is_named),
        TEST_CASE(the_thread_seals_by_itself_and_before_it_ends),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
