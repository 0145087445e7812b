/*
 * The engine on a store whose n-th call fails, for every n and both ways of failing. After every step of a life from
 * creation to erasure: what was acknowledged is in the store, what was refused has changed nothing, and a verification
 * says what the store says.
 */
#include "core/id.h"
#include "support/engine.h"

#define CALLS_MAX 400

struct life {
    struct test *t;
    struct test_engine fixture;
    struct kw_store *inner; /* below the faults: the truth */
    struct kw_id id;
    struct kw_secret key;
    bool born;
};

struct truth {
    bool found, erased;
    struct kw_record record;
    uint8_t memory[4096];
};

static enum kw_status keep(void *context, const struct kw_store_row *row)
{
    struct truth *truth = context;
    if (row->record.size > sizeof truth->memory) {
        return KW_E_LIMIT;
    }
    memcpy(truth->memory, row->record.data, row->record.size);
    truth->found = true;
    truth->erased = row->erased;
    return kw_record_decode(kw_bytes_of(truth->memory, row->record.size), &truth->record);
}

static void look_up(struct life *life, struct truth *truth_out)
{
    *truth_out = (struct truth){.found = false};
    (void)life->inner->ops->find_by_id(life->inner, &life->id, keep, truth_out);
}

static enum kw_code expected_code(const struct truth *truth)
{
    if (!truth->found || truth->erased) {
        return KW_CODE_INVALID_KEY;
    }
    switch (kw_record_status(&truth->record, TEST_NOW_MS)) {
    case KW_KEY_ACTIVE:
        return KW_CODE_NONE;
    case KW_KEY_DISABLED:
        return KW_CODE_DISABLED;
    case KW_KEY_EXPIRED:
        return KW_CODE_EXPIRED;
    default:
        return KW_CODE_REVOKED;
    }
}

/* One change. True when it was acknowledged. */
static bool change(struct life *life, enum kw_op_kind kind, enum kw_code wanted)
{
    struct truth before;
    struct truth after;
    look_up(life, &before);
    struct kw_error error;
    enum kw_status status = test_engine_do(&life->fixture, kind, &life->id, &error);
    look_up(life, &after);
    if (status == KW_OK) {
        CHECK_I64(life->t, expected_code(&after), wanted);
    } else if (status != KW_E_UNCERTAIN) {
        CHECK_I64(life->t, after.found, before.found);
        CHECK_I64(life->t, after.record.version, before.record.version);
    }
    enum kw_code code = test_engine_verify(&life->fixture, &life->key);
    if (code != KW_CODE_STORE_UNAVAILABLE) { /* a failure, and said to be one: it does not read as valid */
        CHECK_I64(life->t, code, expected_code(&after));
    }
    return status == KW_OK;
}

static void be_born(struct life *life)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    for (int attempt = 0; attempt < 3 && !life->born; attempt++) {
        struct kw_op op;
        struct kw_record record;
        kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
        op.params = &params;
        if (kw_engine_run(life->fixture.engine, &op) == KW_OK &&
            kw_record_decode(kw_buffer_bytes(&op.result), &record) == KW_OK) {
            life->id = record.id;
            life->key = op.secret;
            life->born = true;
        } else {
            CHECK_I64(life->t, op.secret.size, 0); /* a key that is not there is not shown */
        }
        kw_op_deinit(&op);
    }
}

/* Each step is tried until it is acknowledged: the one fault is spent by then. */
static void insist(struct life *life, enum kw_op_kind kind, enum kw_code wanted)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        if (change(life, kind, wanted)) {
            return;
        }
        struct truth truth;
        look_up(life, &truth);
        if (expected_code(&truth) == wanted) {
            return; /* it happened, and the answer was lost */
        }
    }
    test_fail(life->t, __FILE__, __LINE__, "operation %d never went through", (int)kind);
}

/* False when the fault did not come to pass any more: the life makes fewer calls. */
static bool live(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct life life = {.t = t};
    struct kw_store *faulty = NULL;
    if (kw_store_memory_open(&life.inner) != KW_OK ||
        kw_store_fault_open(life.inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &life.fixture, faulty)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(life.fixture.engine);
    kw_store_fault_arm(faulty, kind, nth);
    be_born(&life);
    CHECK(t, life.born);
    insist(&life, KW_OP_DISABLE, KW_CODE_DISABLED);
    insist(&life, KW_OP_ENABLE, KW_CODE_NONE);
    insist(&life, KW_OP_REVOKE, KW_CODE_REVOKED);
    insist(&life, KW_OP_ERASE, KW_CODE_INVALID_KEY);
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    kw_secret_wipe(&life.key);
    test_engine_close(&life.fixture);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && live(t, kind, nth)) {
        nth++;
    }
    CHECK(t, nth > 9); /* one commit at birth, a read and a commit for each of four changes */
    CHECK(t, nth < CALLS_MAX);
}

static void a_store_out_of_reach_changes_nothing_and_loses_nothing(struct test *t)
{
    sweep(t, KW_FAULT_UNAVAILABLE);
}

static void an_uncertain_write_is_found_out(struct test *t)
{
    sweep(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_store_out_of_reach_changes_nothing_and_loses_nothing),
        TEST_CASE(an_uncertain_write_is_found_out),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
