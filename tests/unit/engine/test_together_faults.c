/*
 * Many changes as one, on a store whose n-th call fails, for every n and both ways of failing: all of it is in the
 * store or nothing, whatever the answer was; what was acknowledged is there, and nothing that is revoked in the store
 * is accepted.
 */
#include "support/engine.h"

#define KEYS 600 /* an action on a filter takes them in three pieces */
#define CALLS_MAX 200

struct crowd {
    struct test *t;
    struct test_engine fixture;
    struct kw_store *inner; /* below the faults: the truth */
    struct kw_store *faulty;
    struct kw_id ids[KEYS];
    struct kw_secret keys[KEYS];
};

struct truth {
    bool revoked;
    uint64_t version;
};

static enum kw_status keep(void *context, const struct kw_store_row *row)
{
    struct truth *truth = context;
    struct kw_record record;
    enum kw_status status = kw_record_decode(row->record, &record);
    *truth = (struct truth){.revoked = record.revoked_at_ms != 0, .version = record.version};
    return status;
}

static struct truth look_up(struct crowd *crowd, size_t index)
{
    struct truth truth = {.revoked = false};
    CHECK_STATUS(crowd->t, crowd->inner->ops->find_by_id(crowd->inner, &crowd->ids[index], keep, &truth), KW_OK);
    return truth;
}

static enum kw_status count_row(void *context, const struct kw_store_row *row)
{
    (void)row;
    (*(size_t *)context)++;
    return KW_OK;
}

static size_t rows_of(struct crowd *crowd, const char *owner)
{
    struct kw_store_filter filter = {.owner = kw_bytes_of_text(owner), .limit = KW_STORE_LIST_MAX};
    size_t count = 0;
    CHECK_STATUS(crowd->t, crowd->inner->ops->list(crowd->inner, &filter, count_row, &count), KW_OK);
    return count;
}

static bool gather(struct test *t, struct crowd *crowd, uint64_t seed)
{
    *crowd = (struct crowd){.t = t};
    bool gathered = kw_store_memory_open(&crowd->inner) == KW_OK &&
                    kw_store_fault_open(crowd->inner, seed, &crowd->faulty) == KW_OK &&
                    test_engine_open(t, &crowd->fixture, crowd->faulty);
    for (size_t i = 0; i < KEYS && gathered; i++) {
        gathered = test_engine_create(t, &crowd->fixture, NULL, &crowd->ids[i], &crowd->keys[i]);
    }
    if (gathered) {
        kw_engine_wait_filled(crowd->fixture.engine);
    }
    return gathered;
}

static void scatter(struct crowd *crowd)
{
    for (size_t i = 0; i < KEYS; i++) {
        kw_secret_wipe(&crowd->keys[i]);
    }
    test_engine_close(&crowd->fixture);
}

/* Whether the keys are revoked in the store: all of them, or none. */
static bool are_revoked(struct crowd *crowd)
{
    size_t revoked = 0;
    for (size_t i = 0; i < KEYS; i++) {
        revoked += look_up(crowd, i).revoked;
    }
    CHECK(crowd->t, revoked == 0 || revoked == KEYS);
    return revoked > 0;
}

static void check_refused_by_all(struct crowd *crowd)
{
    for (size_t i = 0; i < KEYS; i++) {
        CHECK_I64(crowd->t, test_engine_verify(&crowd->fixture, &crowd->keys[i]), KW_CODE_REVOKED);
    }
}

static enum kw_status revoke_where(struct crowd *crowd)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
    op.then = KW_OP_REVOKE;
    op.where = &(struct kw_where){.owner = KW_BYTES("user:1")};
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(crowd->fixture.engine, &op);
    CHECK_I64(crowd->t, op.changed, status == KW_OK ? KEYS : 0);
    kw_op_deinit(&op);
    return status;
}

/* Each answer must be true of the store. */
static void check_answer(struct crowd *crowd, enum kw_status status)
{
    bool revoked = are_revoked(crowd);
    CHECK(crowd->t, status == KW_OK || status == KW_E_UNAVAILABLE || status == KW_E_UNCERTAIN);
    if (status == KW_OK) {
        CHECK(crowd->t, revoked);
        check_refused_by_all(crowd);
    } else if (status == KW_E_UNAVAILABLE) {
        CHECK(crowd->t, !revoked);
        CHECK_I64(crowd->t, test_engine_verify(&crowd->fixture, &crowd->keys[0]), KW_CODE_NONE);
    }
}

/* False when the fault did not come to pass any more. */
static bool revoke_once(struct test *t, enum kw_fault_kind kind, uint64_t nth, size_t *uncertain)
{
    static struct crowd crowd;
    if (!gather(t, &crowd, t->seed + nth)) {
        return false;
    }
    kw_store_fault_arm(crowd.faulty, kind, nth);
    enum kw_status status = revoke_where(&crowd);
    check_answer(&crowd, status);
    *uncertain += status == KW_E_UNCERTAIN;
    bool came_to_pass = kw_store_fault_calls(crowd.faulty) >= nth;
    kw_store_fault_arm(crowd.faulty, kind, 0);
    scatter(&crowd);
    return came_to_pass;
}

static void a_filter_revokes_all_or_none(struct test *t)
{
    for (int kind = KW_FAULT_UNAVAILABLE; kind <= KW_FAULT_UNCERTAIN; kind++) {
        uint64_t nth = 1;
        size_t uncertain = 0;
        while (nth < CALLS_MAX && revoke_once(t, (enum kw_fault_kind)kind, nth, &uncertain)) {
            nth++;
        }
        CHECK(t, nth > 2 && nth < CALLS_MAX); /* a page of the list, and a commit */
    }
}

static void an_uncertain_revocation_is_looked_up(struct test *t)
{
    size_t happened = 0;
    for (uint64_t seed = 0; seed < 16; seed++) {
        static struct crowd crowd;
        REQUIRE(t, gather(t, &crowd, t->seed + seed));
        kw_store_fault_arm(crowd.faulty, KW_FAULT_UNCERTAIN, 2);
        enum kw_status status = revoke_where(&crowd);
        CHECK(t, status == (are_revoked(&crowd) ? KW_OK : KW_E_UNCERTAIN));
        happened += status == KW_OK;
        check_answer(&crowd, status);
        scatter(&crowd);
    }
    CHECK(t, happened > 0 && happened < 16);
}

/* --- a store that answers as it is told --- */

static struct manners {
    const struct kw_store_ops *real;
    struct kw_store_ops told;
    bool hides; /* atomic, for it changes while the writer is at work: no key is found by its digest */
    bool loses; /* what is committed is not written */
    enum kw_status outcome;
    int commits; /* that end so; the others are real */
} manners;

static enum kw_status find_or_hide(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                   void *context)
{
    bool hides = __atomic_load_n(&manners.hides, __ATOMIC_RELAXED);
    return hides ? KW_E_UNAVAILABLE : manners.real->find_by_digest(store, digest, sink, context);
}

static enum kw_status commit_as_told(struct kw_store *store, struct kw_store_batch *batches, size_t count)
{
    if (manners.commits == 0) {
        return manners.real->commit(store, batches, count);
    }
    manners.commits--;
    enum kw_status status = manners.loses ? KW_OK : manners.real->commit(store, batches, count);
    for (size_t i = 0; i < count; i++) {
        batches[i].outcome = manners.outcome;
    }
    return status;
}

/* The memory store below the faults learns them; nothing of the engine is under way. */
static void teach(struct crowd *crowd, struct manners how)
{
    manners = how;
    manners.real = crowd->inner->ops;
    manners.told = *crowd->inner->ops;
    manners.told.find_by_digest = find_or_hide;
    manners.told.commit = commit_as_told;
    crowd->inner->ops = &manners.told;
}

/* What the writer does behind its answers is done when it has answered twice more. */
static void let_the_writer_go_on(struct crowd *crowd)
{
    struct kw_id nobody = {{1}};
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(crowd->t, test_engine_do(&crowd->fixture, KW_OP_ENABLE, &nobody, NULL), KW_E_NOT_FOUND);
    }
}

static void a_doubt_is_kept_for_every_key_until_the_store_answers(struct test *t)
{
    for (int loses = 0; loses < 2; loses++) {
        static struct crowd crowd;
        REQUIRE(t, gather(t, &crowd, t->seed));
        teach(&crowd, (struct manners){.hides = true, .loses = loses == 1, .outcome = KW_E_UNCERTAIN, .commits = 1});
        CHECK_STATUS(t, revoke_where(&crowd), KW_E_UNCERTAIN);
        CHECK_I64(t, are_revoked(&crowd), loses == 0);
        let_the_writer_go_on(&crowd); /* still hidden: the doubts stay */
        __atomic_store_n(&manners.hides, false, __ATOMIC_RELAXED);
        let_the_writer_go_on(&crowd);
        for (size_t i = 0; i < KEYS; i++) {
            CHECK_I64(t, test_engine_verify(&crowd.fixture, &crowd.keys[i]),
                      loses == 0 ? KW_CODE_REVOKED : KW_CODE_NONE);
        }
        scatter(&crowd);
    }
}

static void who_was_slower_tries_again(struct test *t)
{
    static struct crowd crowd;
    REQUIRE(t, gather(t, &crowd, t->seed));
    teach(&crowd, (struct manners){.loses = true, .outcome = KW_E_CONFLICT, .commits = 3});
    CHECK_STATUS(t, revoke_where(&crowd), KW_E_CONFLICT);
    CHECK(t, !are_revoked(&crowd));
    manners.commits = 2;
    CHECK_STATUS(t, revoke_where(&crowd), KW_OK);
    CHECK(t, are_revoked(&crowd));
    check_refused_by_all(&crowd);
    scatter(&crowd);
}

static void begin(struct kw_op *part, enum kw_op_kind kind, const struct crowd *crowd, size_t index)
{
    kw_op_init(part, kind, KW_PROJECT_DEFAULT);
    part->actor = KW_BYTES("test");
    part->id = crowd->ids[index];
}

/* A creation, two changes of one key, a rotation and a revocation as one. */
static enum kw_status change_together(struct crowd *crowd, struct kw_op parts[5], const struct kw_key_params *params)
{
    struct kw_op op;
    begin(&parts[0], KW_OP_CREATE, crowd, 0);
    begin(&parts[1], KW_OP_DISABLE, crowd, 0);
    begin(&parts[2], KW_OP_ROTATE, crowd, 1);
    begin(&parts[3], KW_OP_REVOKE, crowd, 2);
    begin(&parts[4], KW_OP_ENABLE, crowd, 0);
    parts[0].params = params;
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = parts;
    op.part_count = 5;
    op.atomic = true;
    CHECK_STATUS(crowd->t, kw_engine_run(crowd->fixture.engine, &op), KW_OK);
    kw_op_deinit(&op);
    for (size_t i = 1; i < 5; i++) {
        bool is_done = parts[i].status == KW_OK;
        CHECK_I64(crowd->t, is_done, parts[0].status == KW_OK);
    }
    return parts[0].status;
}

static bool together_once(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    static struct crowd crowd;
    struct kw_op parts[5];
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:2")};
    if (!gather(t, &crowd, t->seed + nth)) {
        return false;
    }
    kw_store_fault_arm(crowd.faulty, kind, nth);
    enum kw_status status = change_together(&crowd, parts, &params);
    bool came_to_pass = kw_store_fault_calls(crowd.faulty) >= nth;
    bool happened = rows_of(&crowd, "user:2") == 1;
    CHECK_I64(t, look_up(&crowd, 0).version, happened ? 3 : 1);
    CHECK_I64(t, look_up(&crowd, 1).revoked, happened);
    CHECK_I64(t, look_up(&crowd, 2).revoked, happened);
    CHECK_I64(t, rows_of(&crowd, "user:1"), happened ? KEYS + 1 : KEYS);
    CHECK(t, status == KW_OK ? happened : status == KW_E_UNCERTAIN || !happened);
    CHECK_I64(t, parts[0].secret.size > 0, status == KW_OK);
    CHECK_I64(t, parts[2].secret.size > 0, status == KW_OK);
    if (status == KW_OK) {
        CHECK_I64(t, test_engine_verify(&crowd.fixture, &parts[2].secret), KW_CODE_NONE);
        CHECK_I64(t, test_engine_verify(&crowd.fixture, &crowd.keys[1]), KW_CODE_REVOKED);
        CHECK_I64(t, test_engine_verify(&crowd.fixture, &crowd.keys[2]), KW_CODE_REVOKED);
    }
    for (size_t i = 0; i < KW_COUNT_OF(parts); i++) {
        kw_op_deinit(&parts[i]);
    }
    scatter(&crowd);
    return came_to_pass;
}

static void a_batch_is_done_whole_or_not_at_all(struct test *t)
{
    for (int kind = KW_FAULT_UNAVAILABLE; kind <= KW_FAULT_UNCERTAIN; kind++) {
        uint64_t nth = 1;
        while (nth < CALLS_MAX && together_once(t, (enum kw_fault_kind)kind, nth)) {
            nth++;
        }
        CHECK(t, nth > 4 && nth < CALLS_MAX); /* a read of each key, and a commit */
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_filter_revokes_all_or_none),
        TEST_CASE(an_uncertain_revocation_is_looked_up),
        TEST_CASE(a_doubt_is_kept_for_every_key_until_the_store_answers),
        TEST_CASE(who_was_slower_tries_again),
        TEST_CASE(a_batch_is_done_whole_or_not_at_all),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
