/* Threads that verify at once: every verification is counted once, for the right key. */
#include "base/bytes.h"
#include "support/engine.h"

#include <pthread.h>

#define THREADS 4
#define EACH 30000
#define KEYS 3

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
    int64_t sums[KW_USAGE_ENDPOINT_METRIC + 1] = {0};
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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_verification_is_counted_once),
        TEST_CASE(a_crowd_of_threads_is_counted_too),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
