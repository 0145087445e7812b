/*
 * The n-th call fails, for every n; then the n-th allocation. Each time the store must be where it was before the call,
 * or, when it is said to be uncertain, there or where the call would have brought it, and the workload must end well.
 */
#include "contract/script.h"

/* What a failed step left behind: index of the expectation that the store is at. */
static size_t place_of(struct contract *c, size_t step, enum kw_status status, const struct kw_bytes *expected)
{
    struct kw_bytes picture = script_picture(c);
    bool is_before = kw_bytes_equal(picture, expected[step]);
    bool is_after = !is_before && status == KW_E_UNCERTAIN && kw_bytes_equal(picture, expected[step + 1]);
    if (!is_after) {
        CHECK_BYTES(c->t, picture, expected[step]);
    }
    return is_after ? step + 1 : step;
}

/* Runs the steps from `first` on; the number of the one that failed, or script_step_count. */
static size_t run_from(struct contract *c, size_t first, enum kw_status *status_out)
{
    *status_out = KW_OK;
    for (size_t step = first; step < script_step_count; step++) {
        *status_out = script_step(c, step);
        if (*status_out != KW_OK) {
            return step;
        }
    }
    return script_step_count;
}

/*
 * One run with call `nth` failing. A picture changes what it is taken of, so that the run goes on in a second store
 * that failed in the same way. False when there was no such call. `places` is a bit for each outcome seen.
 */
static bool fail_call(struct test *t, const struct contract_kind *kind, enum kw_fault_kind fault, uint64_t nth,
                      uint64_t seed, const struct kw_bytes *expected, unsigned *places)
{
    size_t failed = script_step_count;
    size_t place = 0;
    for (int round = 0; round < 2; round++) {
        struct contract c;
        enum kw_status status = KW_OK;
        struct kw_store *decorated = NULL;
        if (!contract_begin(&c, t, kind) || !contract_open(&c) ||
            kw_store_fault_open(c.store, seed, &decorated) != KW_OK) {
            contract_end(&c);
            return false;
        }
        c.store = decorated;
        kw_store_fault_arm(c.store, fault, nth);
        failed = run_from(&c, 0, &status);
        kw_store_fault_arm(c.store, fault, 0);
        if (failed < script_step_count && round == 0) {
            bool may_be_uncertain = fault == KW_FAULT_UNCERTAIN;
            CHECK(t, status == KW_E_UNAVAILABLE || (may_be_uncertain && status == KW_E_UNCERTAIN));
            place = place_of(&c, failed, status, expected);
            *places |= 1U << (place - failed);
        }
        if (failed < script_step_count && round == 1) {
            CHECK(t, run_from(&c, place, &status) == script_step_count);
            CHECK_BYTES(t, script_picture(&c), expected[script_step_count]);
        }
        contract_end(&c);
    }
    return failed < script_step_count;
}

static void fail_every_call(struct test *t, const struct contract_kind *kind, enum kw_fault_kind fault)
{
    struct contract model;
    unsigned places = 0;
    if (contract_begin(&model, t, &contract_memory)) {
        const struct kw_bytes *expected = script_expectations(&model);
        uint64_t nth = 1;
        while (expected != NULL && fail_call(t, kind, fault, nth, nth, expected, &places)) {
            nth++;
        }
        CHECK_I64(t, nth, script_step_count + 1);
    }
    CHECK_I64(t, places, fault == KW_FAULT_UNCERTAIN ? 3 : 1);
    contract_end(&model);
}

static void unavailable_calls_leave_memory_as_it_was(struct test *t)
{
    fail_every_call(t, &contract_memory, KW_FAULT_UNAVAILABLE);
}

static void unavailable_calls_leave_sqlite_as_it_was(struct test *t)
{
    fail_every_call(t, &contract_sqlite, KW_FAULT_UNAVAILABLE);
}

static void uncertain_commits_are_done_or_not_in_memory(struct test *t)
{
    fail_every_call(t, &contract_memory, KW_FAULT_UNCERTAIN);
}

static void uncertain_commits_are_done_or_not_in_sqlite(struct test *t)
{
    fail_every_call(t, &contract_sqlite, KW_FAULT_UNCERTAIN);
}

/* The step is made with its n-th allocation failing, for every n, until it gets through. */
static void fail_allocations_of(struct contract *c, size_t step, const struct kw_bytes *expected)
{
    for (int64_t nth = 1;; nth++) {
        struct contract fresh;
        enum kw_status status = KW_OK;
        bool is_ready = contract_begin(&fresh, c->t, c->kind) && contract_open(&fresh);
        for (size_t before = 0; before < step && is_ready; before++) {
            CHECK_STATUS(c->t, script_step(&fresh, before), KW_OK);
        }
        kw_alloc_fail_after(nth);
        status = is_ready ? script_step(&fresh, step) : KW_E_SYSTEM;
        kw_alloc_fail_after(-1);
        CHECK(c->t, status == KW_OK || status == KW_E_MEMORY);
        if (status == KW_OK || script_is_single(step)) {
            CHECK_BYTES(c->t, script_picture(&fresh), expected[status == KW_OK ? step + 1 : step]);
        }
        contract_end(&fresh);
        if (status != KW_E_MEMORY) {
            return;
        }
    }
}

static void fail_every_allocation(struct test *t, const struct contract_kind *kind)
{
    struct contract model;
    if (contract_begin(&model, t, kind)) {
        const struct kw_bytes *expected = script_expectations(&model);
        for (size_t step = 0; step < script_step_count && expected != NULL; step++) {
            fail_allocations_of(&model, step, expected);
        }
    }
    contract_end(&model);
}

static void failed_allocations_leave_memory_as_it_was(struct test *t)
{
    fail_every_allocation(t, &contract_memory);
}

static void failed_allocations_leave_sqlite_as_it_was(struct test *t)
{
    fail_every_allocation(t, &contract_sqlite);
}

static void opening_without_memory_fails(struct test *t)
{
    struct contract c;
    struct kw_store *store = NULL;
    struct kw_error error = {0};
    if (contract_begin(&c, t, &contract_sqlite)) {
        kw_alloc_fail_after(1);
        CHECK_STATUS(t, kw_store_memory_open(&store), KW_E_MEMORY);
        CHECK_STATUS(t, kw_store_sqlite_open(c.path, &store, &error), KW_E_MEMORY);
        kw_alloc_fail_after(-1);
        struct kw_store *inner = NULL;
        CHECK_STATUS(t, kw_store_memory_open(&inner), KW_OK);
        kw_alloc_fail_after(1);
        CHECK_STATUS(t, kw_store_fault_open(inner, 1, &store), KW_E_MEMORY);
        kw_alloc_fail_after(-1);
        CHECK(t, store == NULL);
    }
    contract_end(&c);
}

static void the_decorator_counts_and_fails_one_call(struct test *t)
{
    struct contract c;
    uint64_t count = 0;
    if (contract_begin(&c, t, &contract_faulty_memory) && contract_open(&c)) {
        struct kw_store *fault = c.fault;
        CHECK_STATUS(t, fault->ops->count(fault, KW_BYTES("default"), &count), KW_OK);
        CHECK_I64(t, kw_store_fault_calls(fault), 1);
        kw_store_fault_arm(fault, KW_FAULT_UNCERTAIN, 2);
        CHECK_I64(t, kw_store_fault_calls(fault), 0);
        CHECK_STATUS(t, fault->ops->count(fault, KW_BYTES("default"), &count), KW_OK);
        CHECK_STATUS(t, fault->ops->count(fault, KW_BYTES("default"), &count), KW_E_UNAVAILABLE);
        CHECK_STATUS(t, fault->ops->count(fault, KW_BYTES("default"), &count), KW_OK);
        CHECK_I64(t, kw_store_fault_calls(fault), 3);
    }
    contract_end(&c);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(unavailable_calls_leave_memory_as_it_was),
        TEST_CASE(unavailable_calls_leave_sqlite_as_it_was),
        TEST_CASE(uncertain_commits_are_done_or_not_in_memory),
        TEST_CASE(uncertain_commits_are_done_or_not_in_sqlite),
        TEST_CASE(failed_allocations_leave_memory_as_it_was),
        TEST_CASE(failed_allocations_leave_sqlite_as_it_was),
        TEST_CASE(opening_without_memory_fails),
        TEST_CASE(the_decorator_counts_and_fails_one_call),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
