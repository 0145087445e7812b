/* Threads that verify at once: every verification is counted once, for the right key. */
#include "base/bytes.h"
#include "engine/usage_table.h"
#include "support/engine.h"

#include <pthread.h>

#define THREADS 4
#define EACH 30000
#define KEYS 3
#define ALLOWED 2000 /* verifications of each at a time: all of them fit one ring */
#define STALLS 60

struct crowd {
    struct test_engine fixture;
    struct kw_id ids[KEYS];
    struct kw_secret keys[KEYS];
};

static void *verify_all(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < EACH; i++) {
        struct kw_verification v = {.key = kw_secret_expose(&crowd->keys[i % KEYS]),
                                    .endpoint = i % 5 == 0 ? KW_BYTES("GET /") : (struct kw_bytes){NULL, 0},
                                    .question = {.project = KW_PROJECT_DEFAULT}};
        kw_engine_read_begin();
        kw_engine_verify(crowd->fixture.engine, &v, kw_engine_now_ms(crowd->fixture.engine));
        kw_engine_read_end();
        if (i % ALLOWED ==
            ALLOWED - 1) { /* on a busy machine nobody else might for long, and a ring that is full drops */
            (void)!kw_usage_flush(crowd->fixture.engine);
        }
    }
    return NULL;
}

/* Writes all the while, as whoever asks for counts does. */
static void *flush_often(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < 50; i++) {
        (void)!kw_usage_flush(crowd->fixture.engine);
    }
    return NULL;
}

static enum kw_status add_up(void *context, const struct kw_store_usage *usage)
{
    int64_t *sums = context;
    sums[usage->dimension] += usage->amount;
    return KW_OK;
}

static void check_sums(struct test *t, struct crowd *crowd, const struct kw_id *id, int64_t expected)
{
    int64_t sums[KW_USAGE_SCOPE + 1] = {0};
    const struct kw_store_ops *ops = crowd->fixture.store->ops;
    CHECK_STATUS(t, ops->usage_read(crowd->fixture.store, KW_BYTES("default"), id, INT64_MIN, INT64_MAX, add_up, sums),
                 KW_OK);
    CHECK_I64(t, sums[KW_USAGE_CODE], expected);
    CHECK_I64(t, sums[KW_USAGE_ENDPOINT], expected / 5);
    CHECK_I64(t, sums[KW_USAGE_METRIC], expected * 1000000);
}

static void every_verification_is_counted_once(struct test *t)
{
    struct crowd crowd;
    pthread_t threads[THREADS + 1];
    if (!test_engine_open(t, &crowd.fixture, NULL)) {
        return;
    }
    kw_engine_wait_filled(crowd.fixture.engine);
    for (size_t i = 0; i < KEYS; i++) {
        REQUIRE(t, test_engine_create(t, &crowd.fixture, NULL, &crowd.ids[i], &crowd.keys[i]));
    }
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, verify_all, &crowd) == 0);
    }
    REQUIRE(t, pthread_create(&threads[THREADS], NULL, flush_often, &crowd) == 0);
    for (size_t i = 0; i <= THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_STATUS(t, kw_usage_flush(crowd.fixture.engine), KW_OK);
    struct kw_engine_stats stats;
    kw_engine_stats(crowd.fixture.engine, &stats);
    CHECK_I64(t, stats.uses_written + stats.uses_dropped, THREADS * EACH);
    CHECK_I64(t, stats.uses_dropped, 0);
    for (size_t i = 0; i < KEYS; i++) {
        check_sums(t, &crowd, &crowd.ids[i], THREADS * EACH / KEYS);
    }
    check_sums(t, &crowd, &(struct kw_id){{0}}, THREADS * EACH);
    for (size_t i = 0; i < KEYS; i++) {
        kw_secret_wipe(&crowd.keys[i]);
    }
    test_engine_close(&crowd.fixture);
}

/* More threads than there are rings: the last one is shared. */
static void a_crowd_of_threads_is_counted_too(struct test *t)
{
    enum { CROWD = 80 };
    struct crowd crowd;
    pthread_t threads[CROWD];
    if (!test_engine_open(t, &crowd.fixture, NULL)) {
        return;
    }
    kw_engine_wait_filled(crowd.fixture.engine);
    REQUIRE(t, test_engine_create(t, &crowd.fixture, NULL, &crowd.ids[0], &crowd.keys[0]));
    crowd.keys[1] = crowd.keys[2] = crowd.keys[0];
    for (size_t i = 0; i < CROWD; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, verify_all, &crowd) == 0);
    }
    for (size_t i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_STATUS(t, kw_usage_flush(crowd.fixture.engine), KW_OK);
    struct kw_engine_stats stats;
    kw_engine_stats(crowd.fixture.engine, &stats);
    CHECK_I64(t, stats.uses_written + stats.uses_dropped, CROWD * EACH);
    CHECK(t, stats.uses_written > 0);
    kw_secret_wipe(&crowd.keys[0]);
    test_engine_close(&crowd.fixture);
}

/* Keys that come in no order are counted in their entries, while these are changed, written and asked for. */
struct market {
    struct test_engine fixture;
    struct kw_id ids[STALLS];
    struct kw_secret keys[STALLS];
    int64_t used[STALLS]; /* atomic */
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void *visit(void *context)
{
    struct market *market = context;
    uint64_t state = (uint64_t)(uintptr_t)&state;
    struct kw_address addresses[2] = {{{0}}};
    addresses[1].bytes[15] = 1;
    for (int i = 0; i < EACH; i++) {
        size_t stall = next_random(&state) % STALLS;
        struct kw_verification v = {
            .key = kw_secret_expose(&market->keys[stall]),
            .question = {.project = KW_PROJECT_DEFAULT, .address = &addresses[next_random(&state) % 16 == 0]}};
        kw_engine_read_begin();
        kw_engine_verify(market->fixture.engine, &v, kw_engine_now_ms(market->fixture.engine));
        kw_engine_read_end();
        __atomic_fetch_add(&market->used[stall], v.code == KW_CODE_NONE, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void *rename_and_write(void *context)
{
    struct market *market = context;
    uint64_t state = 7;
    for (int i = 0; i < 300; i++) {
        char name = (char)('a' + i % 26);
        struct kw_key_params params = {.given = KW_GIVEN_NAME, .name = kw_bytes_of((uint8_t *)&name, 1)};
        struct kw_op op;
        kw_op_init(&op, KW_OP_UPDATE, KW_PROJECT_DEFAULT);
        op.id = market->ids[next_random(&state) % STALLS];
        op.params = &params;
        (void)!kw_engine_run(market->fixture.engine, &op);
        kw_op_deinit(&op);
        if (i % 10 == 0) {
            (void)!kw_usage_flush(market->fixture.engine);
            __atomic_fetch_add(&market->fixture.now_ms, INT64_C(1200) * 1000, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void what_entries_count_is_counted_once(struct test *t)
{
    struct market market = {.used = {0}};
    pthread_t threads[THREADS + 1];
    if (!test_engine_open(t, &market.fixture, NULL)) {
        return;
    }
    kw_engine_wait_filled(market.fixture.engine);
    market.fixture.engine->usage->at_once_max = 0; /* all of it is kept in pieces first */
    for (size_t i = 0; i < STALLS; i++) {
        REQUIRE(t, test_engine_create(t, &market.fixture, NULL, &market.ids[i], &market.keys[i]));
    }
    for (size_t i = 0; i <= THREADS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, i < THREADS ? visit : rename_and_write, &market) == 0);
    }
    for (size_t i = 0; i <= THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_STATUS(t, kw_usage_flush(market.fixture.engine), KW_OK);
    struct kw_engine_stats stats;
    kw_engine_stats(market.fixture.engine, &stats);
    CHECK_I64(t, stats.uses_written + stats.uses_dropped, THREADS * EACH);
    CHECK(t, stats.uses_dropped <= THREADS * EACH / 1000); /* who never gets a turn goes on without */
    int64_t missing = 0;
    for (size_t i = 0; i < STALLS; i++) {
        int64_t sums[KW_USAGE_SCOPE + 1] = {0};
        const struct kw_store_ops *ops = market.fixture.store->ops;
        CHECK_STATUS(t,
                     ops->usage_read(market.fixture.store, KW_BYTES("default"), &market.ids[i], INT64_MIN, INT64_MAX,
                                     add_up, sums),
                     KW_OK);
        CHECK(t, sums[KW_USAGE_CODE] <= market.used[i]);
        missing += market.used[i] - sums[KW_USAGE_CODE];
        kw_secret_wipe(&market.keys[i]);
    }
    CHECK_I64(t, missing, stats.uses_dropped);
    test_engine_close(&market.fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_entries_count_is_counted_once),
        TEST_CASE(every_verification_is_counted_once),
        TEST_CASE(a_crowd_of_threads_is_counted_too),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
