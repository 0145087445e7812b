/*
 * Quotas that nobody uses go back to the store: what was spent stays spent, all else can be used by who comes next,
 * also after a crash, and also where the store fails meanwhile. The clock goes on while the engine's own ticks pass.
 */
#include "core/amount.h"
#include "engine/ledger.h"
#include "support/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 640
#define SHARE 20
#define STEP_MS 10000 /* between two questions: the least tick of the engine is some hundreds of them */

struct spending {
    struct test *t;
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key;
};

static bool begin_on(struct test *t, struct spending *s, struct kw_store *store)
{
    const struct kw_quota_rule quotas[] = {
        {.limit = LIMIT * KW_AMOUNT_ONE, .period = KW_PERIOD_YEAR},
        {.limit = LIMIT * KW_AMOUNT_ONE, .period = KW_PERIOD_YEAR, .metric = KW_BYTES("tokens")},
    };
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS,
                                   .owner = KW_BYTES("user:1"),
                                   .quotas = quotas,
                                   .quota_count = KW_COUNT_OF(quotas)};
    *s = (struct spending){.t = t};
    if (!test_engine_open(t, &s->fixture, store)) {
        return false;
    }
    kw_engine_wait_filled(s->fixture.engine);
    return test_engine_create(t, &s->fixture, &params, &s->id, &s->key);
}

static void end(struct spending *s)
{
    kw_secret_wipe(&s->key);
    test_engine_close(&s->fixture);
}

/* KW_CODE_STORE_UNAVAILABLE where a failure is the answer. */
static enum kw_code spend(struct spending *s, uint32_t cost)
{
    struct kw_verification v = {
        .key = kw_secret_expose(&s->key), .cost = cost, .question = {.project = KW_PROJECT_DEFAULT}};
    enum kw_status status = KW_OK;
    for (int tries = 0; tries < KW_TRIES_MAX && status == KW_OK; tries++) {
        kw_engine_read_begin();
        kw_engine_verify(s->fixture.engine, &v, kw_engine_now_ms(s->fixture.engine));
        kw_engine_read_end();
        if (!v.needs_store) {
            return v.code;
        }
        struct kw_op op;
        kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_DEFAULT);
        kw_op_ask_missing(&op, &v);
        status = kw_engine_run(s->fixture.engine, &op);
        kw_op_deinit(&op);
    }
    return KW_CODE_STORE_UNAVAILABLE;
}

static int spend_all(struct spending *s)
{
    int spent = 0;
    while (spend(s, 1) == KW_CODE_NONE) {
        spent++;
    }
    return spent;
}

static enum kw_status see_taken(void *context, const struct kw_store_reservation *row)
{
    *(int64_t *)context += row->taken;
    return KW_OK;
}

/* Of all of the key's quotas, as the store below has it. */
static int64_t taken(struct spending *s, struct kw_store *store)
{
    int64_t sum = 0;
    CHECK_STATUS(s->t, store->ops->reservations_read(store, &s->id, (struct kw_bytes){NULL, 0}, 0, see_taken, &sum),
                 KW_OK);
    return sum / KW_AMOUNT_ONE;
}

static uint64_t accounts(struct spending *s, uint64_t *returned_out)
{
    struct kw_engine_stats stats;
    kw_engine_stats(s->fixture.engine, &stats);
    *returned_out = stats.returned;
    return stats.accounts;
}

/* Time goes by until nobody has anything; how many parts went back so far. */
static uint64_t wait_until_gone(struct spending *s)
{
    uint64_t returned;
    while (accounts(s, &returned) > 0) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
        op.id = s->id;
        (void)kw_engine_run(s->fixture.engine, &op);
        kw_op_deinit(&op);
        __atomic_fetch_add(&s->fixture.now_ms, STEP_MS, __ATOMIC_RELAXED);
    }
    return returned;
}

static void what_is_unspent_goes_back(struct test *t)
{
    struct spending s;
    REQUIRE(t, begin_on(t, &s, NULL));
    CHECK_I64(t, spend(&s, 5), KW_CODE_NONE);
    CHECK_I64(t, taken(&s, s.fixture.store), SHARE);
    CHECK_I64(t, wait_until_gone(&s), 1);
    CHECK_I64(t, taken(&s, s.fixture.store), 5);
    CHECK_I64(t, spend(&s, 1), KW_CODE_NONE);
    CHECK_I64(t, taken(&s, s.fixture.store), 5 + SHARE);
    CHECK_I64(t, wait_until_gone(&s), 2);
    CHECK_I64(t, taken(&s, s.fixture.store), 6);
    CHECK_I64(t, spend_all(&s), LIMIT - 6);
    CHECK_I64(t, wait_until_gone(&s), 2); /* nothing is left of it */
    CHECK_I64(t, spend(&s, 1), KW_CODE_QUOTA_EXCEEDED);
    end(&s);
}

/* A process that spends, lets it go back, spends once more, and is killed. */
static void live_and_crash(struct spending *s)
{
    bool is_good = spend(s, 3) == KW_CODE_NONE && wait_until_gone(s) == 1 && spend(s, 2) == KW_CODE_NONE;
    _exit(is_good && s->t->failures == 0 ? 0 : 1);
}

static bool open_again(struct spending *s, const char *path)
{
    struct kw_store *store;
    struct kw_error error;
    int64_t now_ms = s->fixture.now_ms;
    if (kw_store_sqlite_open(path, &store, &error) != KW_OK || !test_engine_open(s->t, &s->fixture, store)) {
        return false;
    }
    __atomic_store_n(&s->fixture.now_ms, now_ms, __ATOMIC_RELAXED);
    kw_engine_wait_filled(s->fixture.engine);
    return true;
}

static void a_crash_loses_no_more_than_what_is_in_use(struct test *t)
{
    enum { LIVES = 3 };
    struct spending s;
    struct kw_store *store;
    struct kw_error error;
    char folder[] = "/tmp/keyward-idle-XXXXXX", path[64], file[96];
    REQUIRE(t, mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/keys.db", folder);
    REQUIRE_OK(t, kw_store_sqlite_open(path, &store, &error));
    REQUIRE(t, begin_on(t, &s, store));
    test_engine_close(&s.fixture);
    for (int life = 0; life < LIVES; life++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            if (!open_again(&s, path)) {
                _exit(2);
            }
            live_and_crash(&s);
        }
        REQUIRE(t, child > 0 && waitpid(child, &status, 0) == child);
        CHECK(t, WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    REQUIRE(t, open_again(&s, path));
    CHECK_I64(t, taken(&s, s.fixture.store), LIVES * (3 + SHARE)); /* the last part of each is lost */
    CHECK_I64(t, spend_all(&s), LIMIT - LIVES * (3 + SHARE));
    end(&s);
    static const char *const files[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < KW_COUNT_OF(files); i++) {
        (void)snprintf(file, sizeof file, "%s%s", path, files[i]);
        (void)unlink(file);
    }
    CHECK(t, rmdir(folder) == 0);
}

/* --- a store that fails where something is given back --- */

enum way {
    WAY_UNAVAILABLE,
    WAY_FULL,
    WAY_WRITTEN, /* and it does not know */
    WAY_NOT_WRITTEN,
    WAY_COUNT
};

static struct failing {
    struct kw_store_ops ops;
    enum kw_status (*commit)(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count);
    enum way way;
    int left; /* atomic: failures to come */
} failing;

static enum kw_status commit_or_fail(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    static const enum kw_status statuses[] = {KW_E_UNAVAILABLE, KW_E_FULL, KW_E_UNCERTAIN, KW_E_UNCERTAIN};
    bool gives_back = batches[0].reservation_count > 0 && batches[0].reservations[0].amount < 0;
    if (!gives_back || __atomic_load_n(&failing.left, __ATOMIC_RELAXED) == 0) {
        return failing.commit(store, batches, batch_count);
    }
    __atomic_fetch_sub(&failing.left, 1, __ATOMIC_RELAXED);
    enum kw_status status = failing.way == WAY_WRITTEN ? failing.commit(store, batches, batch_count) : KW_OK;
    batches[0].outcome = statuses[failing.way];
    return status == KW_OK ? statuses[failing.way] : status;
}

static void give_back_with_fault(struct test *t, enum way way)
{
    struct spending s;
    struct kw_store *store;
    REQUIRE_OK(t, kw_store_memory_open(&store));
    failing = (struct failing){.ops = *store->ops, .commit = store->ops->commit, .way = way, .left = 1};
    failing.ops.commit = commit_or_fail;
    store->ops = &failing.ops;
    REQUIRE(t, begin_on(t, &s, store));
    CHECK_I64(t, spend(&s, 5), KW_CODE_NONE);
    bool is_known = way == WAY_UNAVAILABLE || way == WAY_FULL;
    CHECK_I64(t, wait_until_gone(&s), is_known ? 1 : 0); /* where it failed it is tried again */
    CHECK_I64(t, failing.left, 0);
    int64_t kept = taken(&s, store);
    CHECK_I64(t, kept, way == WAY_NOT_WRITTEN ? SHARE : 5);
    CHECK_I64(t, spend_all(&s), LIMIT - kept);
    end(&s);
}

static void a_store_that_fails_gives_nothing_away(struct test *t)
{
    for (enum way way = 0; way < WAY_COUNT; way++) {
        give_back_with_fault(t, way);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_is_unspent_goes_back),
        TEST_CASE(a_crash_loses_no_more_than_what_is_in_use),
        TEST_CASE(a_store_that_fails_gives_nothing_away),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
