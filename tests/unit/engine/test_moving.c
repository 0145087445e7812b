/*
 * Keys on their way from one digest to another: verified by other threads meanwhile, changed meanwhile, and on a store
 * whose n-th call fails. The key is never unknown, no change is lost, and one that was revoked stays so under every
 * digest that it ever had.
 */
#include "engine/internal.h"
#include "engine/usage_table.h"
#include "house.h"
#include "shelf.h"

#include <pthread.h>

#define FLIPS 60
#define VERIFIERS 2
#define CALLS_MAX 60

static const char *const digests[] = {"{\"digest\":\"sha256\"}", "{\"digest\":\"hmac-sha256\"}",
                                      "{\"digest\":\"sha512\"}"};

/* Lets the writer go round, whatever comes of it. */
static void nudge(struct test_engine *fixture)
{
    for (int i = 0; i < 2; i++) {
        struct kw_id nobody = {{0xff}};
        (void)test_engine_do(fixture, KW_OP_REVOKE, &nobody, NULL);
    }
}

/* --- other threads --- */

struct traffic {
    struct house house;
    struct kw_secret key;
    int stop;          /* atomic, as what follows */
    int acknowledged;  /* the revocation */
    uint64_t refused;  /* before it began */
    uint64_t accepted; /* after it was acknowledged */
    uint64_t asked;
    int begun;
};

static void *verify_all_the_time(void *context)
{
    struct traffic *traffic = context;
    while (__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED) == 0) {
        int acknowledged = __atomic_load_n(&traffic->acknowledged, __ATOMIC_ACQUIRE);
        enum kw_code code = test_engine_verify(&traffic->house.fixture, &traffic->key);
        if (code != KW_CODE_NONE && __atomic_load_n(&traffic->begun, __ATOMIC_ACQUIRE) == 0) {
            __atomic_fetch_add(&traffic->refused, 1, __ATOMIC_RELAXED);
        }
        if (code == KW_CODE_NONE && acknowledged != 0) {
            __atomic_fetch_add(&traffic->accepted, 1, __ATOMIC_RELAXED);
        }
        __atomic_fetch_add(&traffic->asked, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* A slow reader of the store: what it brings was true before. */
static void *load_all_the_time(void *context)
{
    struct traffic *traffic = context;
    while (__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED) == 0) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_DEFAULT);
        op.key = kw_secret_expose(&traffic->key);
        (void)kw_engine_run(traffic->house.fixture.engine, &op);
        kw_op_deinit(&op);
    }
    return NULL;
}

static void flip_and_revoke(struct test *t, struct traffic *traffic, const struct kw_id *id)
{
    struct kw_record record;
    uint64_t version = 1;
    for (int i = 0; i < FLIPS; i++) {
        CHECK_STATUS(t, house_change_project(&traffic->house, digests[i % 3]), KW_OK);
        CHECK_I64(t, test_engine_verify(&traffic->house.fixture, &traffic->key), KW_CODE_NONE);
        house_settle(&traffic->house);
        REQUIRE(t, house_record(&traffic->house, id, &record));
        version = record.version;
    }
    CHECK(t, version > FLIPS / 2); /* it moved again and again */
    __atomic_store_n(&traffic->begun, 1, __ATOMIC_RELEASE);
    CHECK_STATUS(t, test_engine_do(&traffic->house.fixture, KW_OP_REVOKE, id, NULL), KW_OK);
    __atomic_store_n(&traffic->acknowledged, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) { /* whichever digest is looked for first */
        CHECK_STATUS(t, house_change_project(&traffic->house, digests[i]), KW_OK);
        CHECK_I64(t, test_engine_verify(&traffic->house.fixture, &traffic->key), KW_CODE_REVOKED);
    }
}

static void nobody_misses_a_key_that_moves(struct test *t)
{
    static struct traffic traffic;
    pthread_t threads[VERIFIERS + 1];
    struct kw_id id;
    traffic = (struct traffic){.stop = 0};
    REQUIRE(t, house_begin(t, &traffic.house, false));
    REQUIRE_OK(t, house_open(&traffic.house, "a"));
    REQUIRE(t, test_engine_create(t, &traffic.house.fixture, NULL, &id, &traffic.key));
    for (size_t i = 0; i <= VERIFIERS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, i < VERIFIERS ? verify_all_the_time : load_all_the_time,
                                  &traffic) == 0);
    }
    flip_and_revoke(t, &traffic, &id);
    __atomic_store_n(&traffic.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= VERIFIERS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_I64(t, traffic.refused, 0);
    CHECK_I64(t, traffic.accepted, 0);
    CHECK_I64(t, kw_index_count(kw_engine_index(traffic.house.fixture.engine)), 1);
    kw_secret_wipe(&traffic.key);
    house_end(&traffic.house);
}

/* --- a change in between --- */

static void let_go(struct kw_op *op)
{
    __atomic_store_n((int *)op->context, 1, __ATOMIC_RELEASE);
}

static void a_change_that_was_quicker_is_kept(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_record record;
    int is_done = 0;
    struct kw_key_params params = {.given = KW_GIVEN_NAME, .name = KW_BYTES("renamed")};
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    REQUIRE_OK(t, house_change_project(&house, digests[0]));
    struct kw_op op;
    kw_op_init(&op, KW_OP_UPDATE, KW_PROJECT_DEFAULT);
    op.id = id;
    op.params = &params;
    op.done = let_go;
    op.context = &is_done;
    shelf_stop_commits();
    kw_engine_submit(house.fixture.engine, &op);
    shelf_wait_for_commit();
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE); /* leaves word about version 1 */
    shelf_let_commits_go(false);
    house_settle(&house);
    CHECK(t, __atomic_load_n(&is_done, __ATOMIC_ACQUIRE) == 1);
    kw_op_deinit(&op);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 2);
    CHECK_BYTES(t, record.name, KW_BYTES("renamed"));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 3);
    CHECK_BYTES(t, record.name, KW_BYTES("renamed"));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_SHA256);
    house_end(&house);
}

/* --- what was counted --- */

static enum kw_status add_valid(void *context, const struct kw_store_usage *usage)
{
    bool is_valid = usage->dimension == KW_USAGE_CODE && kw_bytes_equal(usage->value, KW_BYTES("VALID"));
    *(int64_t *)context += is_valid ? usage->amount : 0;
    return KW_OK;
}

/* From one address, a second after the one before. */
static void use_at(struct house *house, const struct kw_secret *key, int64_t second)
{
    struct kw_address address;
    CHECK(house->t, kw_address_parse(KW_BYTES("192.0.2.7"), &address));
    struct kw_verification v = {.key = kw_secret_expose(key),
                                .question = {.project = KW_PROJECT_DEFAULT, .address = &address}};
    __atomic_store_n(&house->fixture.now_ms, TEST_NOW_MS + second * 1000, __ATOMIC_RELAXED);
    kw_engine_read_begin();
    kw_engine_verify(house->fixture.engine, &v, kw_engine_now_ms(house->fixture.engine));
    kw_engine_read_end();
    CHECK_I64(house->t, v.code, KW_CODE_NONE);
}

static void compare_uses(struct house *house, const struct kw_id *id, int64_t count, int64_t last_second)
{
    const struct kw_store_ops *ops = house->fixture.store->ops;
    int64_t valid = 0;
    CHECK_STATUS(house->t, kw_usage_flush(house->fixture.engine), KW_OK);
    CHECK_STATUS(
        house->t,
        ops->usage_read(house->fixture.store, KW_BYTES("default"), id, INT64_MIN, INT64_MAX, add_valid, &valid), KW_OK);
    CHECK_I64(house->t, valid, count);
    struct kw_op op;
    kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op.id = *id;
    CHECK_STATUS(house->t, kw_engine_run(house->fixture.engine, &op), KW_OK);
    CHECK_I64(house->t, op.last_use.at_ms, TEST_NOW_MS + last_second * 1000);
    CHECK_I64(house->t, op.last_use.address_size, 16);
    kw_op_deinit(&op);
}

/* Makes the move that was left word of, up to where it is in the store and not in the index. */
static void begin_move(struct house *house, struct kw_op *op, int *is_done)
{
    kw_op_init(op, KW_OP_REVOKE, KW_PROJECT_DEFAULT);
    op->id = (struct kw_id){{0xff}};
    op->done = let_go;
    op->context = is_done;
    kw_engine_submit(house->fixture.engine, op);
    shelf_wait_for_commit();
}

static void load(struct house *house, const struct kw_secret *key)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_DEFAULT);
    op.key = kw_secret_expose(key);
    CHECK_STATUS(house->t, kw_engine_run(house->fixture.engine, &op), KW_OK);
    kw_op_deinit(&op);
}

/* A key that was used twice and is on its way. `is_overtaken`: a reader brings it under its new digest before the
 * writer does. */
static bool count_and_move(struct test *t, struct house *house, struct kw_id *id, struct kw_secret *key,
                           bool is_overtaken)
{
    struct kw_op op;
    int is_done = 0;
    *house = (struct house){.t = t};
    if (!shelf_open(&house->shelf) || !test_engine_open(t, &house->fixture, house->shelf)) {
        return false;
    }
    kw_engine_wait_filled(house->fixture.engine);
    bool is_made = test_engine_create(t, &house->fixture, NULL, id, key);
    use_at(house, key, 1);
    compare_uses(house, id, 1, 1); /* the key is used from there: that is counted in its entry from now on */
    CHECK_STATUS(t, house_change_project(house, digests[0]), KW_OK);
    shelf_stop_after_commits();
    use_at(house, key, 2);
    use_at(house, key, 3);
    begin_move(house, &op, &is_done);
    if (is_overtaken) {
        load(house, key);
    }
    shelf_let_commits_go(false);
    house_settle(house);
    CHECK(t, __atomic_load_n(&is_done, __ATOMIC_ACQUIRE) == 1);
    kw_op_deinit(&op);
    return is_made;
}

static void a_move_loses_no_count(struct test *t)
{
    for (int i = 0; i < 2; i++) {
        struct house house;
        struct kw_id id;
        struct kw_secret key KW_WIPED = {0};
        REQUIRE(t, count_and_move(t, &house, &id, &key, i == 1));
        compare_uses(&house, &id, 3, 3);
        for (int64_t second = 4; second < 7; second++) {
            use_at(&house, &key, second);
        }
        compare_uses(&house, &id, 6, 6);
        house_end(&house);
    }
}

/* What an overtaken move left behind is still there when the key comes back. */
static void a_key_that_moves_back_loses_no_count(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, count_and_move(t, &house, &id, &key, true));
    REQUIRE_OK(t, house_change_project(&house, digests[1]));
    __atomic_store_n(&house.fixture.now_ms, TEST_NOW_MS + 2000, __ATOMIC_RELAXED); /* it is set back a little */
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE); /* from nowhere: in the entry itself */
    house_settle(&house);
    struct kw_record record;
    CHECK(t, house_record(&house, &id, &record) && record.version == 3);
    compare_uses(&house, &id, 4, 3);
    house_end(&house);
}

/* What is not written yet counts for the project, and nothing is held for the key any more. */
static void a_key_that_was_erased_after_its_move_has_counted(struct test *t)
{
    for (int i = 0; i < 2; i++) {
        struct house house;
        struct kw_id id;
        struct kw_secret key KW_WIPED = {0};
        struct kw_usage_stats stats;
        REQUIRE(t, count_and_move(t, &house, &id, &key, i == 1));
        CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL), KW_OK);
        CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_ERASE, &id, NULL), KW_OK);
        CHECK_STATUS(t, kw_usage_flush(house.fixture.engine), KW_OK);
        kw_usage_stats(house.fixture.engine->usage, &stats);
        CHECK_I64(t, stats.written, 3);
        CHECK_I64(t, stats.dropped, 0);
        CHECK(t, house.fixture.engine->usage->origin_freed != 0);
        house_end(&house);
    }
}

/* --- faults --- */

static enum kw_status see(void *context, const struct kw_store_row *row)
{
    struct kw_record *record = context;
    return kw_record_decode(row->record, record);
}

/* Insists on a revocation, which must hold under whichever digest the key is looked for first. */
static void end_for_good(struct test *t, struct test_engine *fixture, const struct kw_id *id,
                         const struct kw_secret *key)
{
    enum kw_status status = KW_E_UNAVAILABLE;
    for (int i = 0; i < 3 && status != KW_OK; i++) {
        struct kw_error error = {0};
        status = test_engine_do(fixture, KW_OP_REVOKE, id, &error);
        status = status != KW_OK && strcmp(error.code, "ALREADY_REVOKED") == 0 ? KW_OK : status;
    }
    CHECK_STATUS(t, status, KW_OK);
    struct house house = {.t = t, .fixture = *fixture};
    for (int i = 0; i < 6; i++) {
        (void)house_change_project(&house, digests[i % 3]);
        CHECK_I64(t, test_engine_verify(fixture, key), KW_CODE_REVOKED);
        nudge(fixture);
    }
}

/* A move that happened, whose answer got lost, on a store that does not say so yet. */
static bool move_in_doubt(struct test *t, struct house *house, struct kw_id *id_out, struct kw_secret *key_out)
{
    if (!house_begin(t, house, false) || house_open(house, "a") != KW_OK ||
        !test_engine_create(t, &house->fixture, NULL, id_out, key_out)) {
        return false;
    }
    CHECK_STATUS(t, house_change_project(house, digests[0]), KW_OK);
    shelf_doubt_next_change();
    CHECK_I64(t, test_engine_verify(&house->fixture, key_out), KW_CODE_NONE);
    nudge(&house->fixture);
    CHECK_I64(t, test_engine_verify(&house->fixture, key_out), KW_CODE_NONE);
    CHECK_STATUS(t, house_change_project(house, digests[1]), KW_OK); /* its former digest comes first */
    CHECK_I64(t, test_engine_verify(&house->fixture, key_out), KW_CODE_NONE);
    struct kw_record record;
    bool is_there = house_record(house, id_out, &record);
    CHECK(t, is_there && record.version == 2 && record.digest_scheme == KW_DIGEST_SHA256);
    return is_there;
}

static void a_revocation_holds_while_a_move_is_in_doubt(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, move_in_doubt(t, &house, &id, &key));
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL), KW_OK);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_REVOKED);
    shelf_end_doubt();
    end_for_good(t, &house.fixture, &id, &key);
    house_end(&house);
}

static void a_revocation_holds_after_a_move_was_in_doubt(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, move_in_doubt(t, &house, &id, &key));
    shelf_end_doubt();
    nudge(&house.fixture);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_NONE);
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL), KW_OK);
    CHECK_I64(t, test_engine_verify(&house.fixture, &key), KW_CODE_REVOKED);
    end_for_good(t, &house.fixture, &id, &key);
    house_end(&house);
}

/* False when the fault did not come to pass any more. */
static bool live(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct kw_store *inner = NULL;
    struct kw_store *faulty = NULL;
    struct test_engine fixture = {.engine = NULL};
    struct kw_secret key KW_WIPED = {0};
    struct kw_id id;
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &fixture, faulty)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    if (!test_engine_create(t, &fixture, NULL, &id, &key)) {
        test_engine_close(&fixture);
        return false;
    }
    struct house house = {.t = t, .fixture = fixture};
    CHECK_STATUS(t, house_change_project(&house, digests[0]), KW_OK);
    kw_store_fault_arm(faulty, kind, nth);
    for (int i = 0; i < 8; i++) {
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
        nudge(&fixture);
        if (i % 3 == 2) {
            (void)house_change_project(&house, digests[(i / 3 + 1) % 3]);
        }
    }
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    struct kw_record record = {.version = 0};
    CHECK_STATUS(t, inner->ops->find_by_id(inner, &id, see, &record), KW_OK);
    CHECK(t, record.version > 1); /* it moved all the same */
    end_for_good(t, &fixture, &id, &key);
    test_engine_close(&fixture);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && live(t, kind, nth)) {
        nth++;
    }
    CHECK(t, nth > 12);
    CHECK(t, nth < CALLS_MAX);
}

static void a_store_out_of_reach_leaves_the_key_where_it_was(struct test *t)
{
    sweep(t, KW_FAULT_UNAVAILABLE);
}

static void a_move_of_unknown_outcome_is_found_out(struct test *t)
{
    sweep(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(nobody_misses_a_key_that_moves),
        TEST_CASE(a_change_that_was_quicker_is_kept),
        TEST_CASE(a_move_loses_no_count),
        TEST_CASE(a_key_that_moves_back_loses_no_count),
        TEST_CASE(a_key_that_was_erased_after_its_move_has_counted),
        TEST_CASE(a_revocation_holds_while_a_move_is_in_doubt),
        TEST_CASE(a_revocation_holds_after_a_move_was_in_doubt),
        TEST_CASE(a_store_out_of_reach_leaves_the_key_where_it_was),
        TEST_CASE(a_move_of_unknown_outcome_is_found_out),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
