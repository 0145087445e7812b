/*
 * Threads that verify against a thread that changes. The law (DESIGN, invariant 8): a verification that begins after a
 * revocation was acknowledged does not accept the key, on any thread; a slow loader cannot put an older version back.
 */
#include "core/id.h"
#include "support/engine.h"

#include <pthread.h>

#define VERIFIERS 3
#define KEYS 24
#define ROUNDS 40

/* What the changing thread has been told so far of a key. */
enum acknowledged { ACK_ACTIVE, ACK_REVOKED, ACK_ERASED };

struct shared {
    struct test_engine fixture;
    struct kw_secret keys[KEYS];
    struct kw_id ids[KEYS];
    int acknowledged[KEYS]; /* atomic */
    int stop;               /* atomic */
    uint64_t broken;        /* atomic: times that the law was broken */
    uint64_t verified;      /* atomic */
};

static bool breaks_the_law(int acknowledged, enum kw_code code)
{
    switch (acknowledged) {
    case ACK_REVOKED:
        return code != KW_CODE_REVOKED && code != KW_CODE_INVALID_KEY;
    case ACK_ERASED:
        return code != KW_CODE_INVALID_KEY;
    default:
        return false;
    }
}

static void *verify_all_the_time(void *context)
{
    struct shared *shared = context;
    while (__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < KEYS; i++) {
            int acknowledged = __atomic_load_n(&shared->acknowledged[i], __ATOMIC_ACQUIRE);
            enum kw_code code = test_engine_verify(&shared->fixture, &shared->keys[i]);
            if (breaks_the_law(acknowledged, code)) {
                __atomic_fetch_add(&shared->broken, 1, __ATOMIC_RELAXED);
            }
            __atomic_fetch_add(&shared->verified, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

/* Loads keys from the store over and over, as a miss would: each load races with the changes. */
static void *load_all_the_time(void *context)
{
    struct shared *shared = context;
    while (__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < KEYS; i++) {
            struct kw_op op;
            kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
            op.key = kw_secret_expose(&shared->keys[i]);
            (void)kw_engine_run(shared->fixture.engine, &op);
            kw_op_deinit(&op);
        }
    }
    return NULL;
}

static void change_keys(struct test *t, struct shared *shared)
{
    for (size_t i = 0; i < KEYS; i++) {
        size_t key = (i * 7 + test_random_below(t, 3)) % KEYS;
        if (shared->acknowledged[key] != ACK_ACTIVE) {
            continue;
        }
        CHECK_STATUS(t, test_engine_do(&shared->fixture, KW_OP_REVOKE, &shared->ids[key], NULL), KW_OK);
        __atomic_store_n(&shared->acknowledged[key], ACK_REVOKED, __ATOMIC_RELEASE);
        if (test_random_below(t, 2) == 0) {
            CHECK_STATUS(t, test_engine_do(&shared->fixture, KW_OP_ERASE, &shared->ids[key], NULL), KW_OK);
            __atomic_store_n(&shared->acknowledged[key], ACK_ERASED, __ATOMIC_RELEASE);
        }
    }
}

/* All of them by one action, and none is to be accepted once it was acknowledged. */
static void revoke_all(struct test *t, struct shared *shared)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
    op.then = KW_OP_REVOKE;
    op.where = &(struct kw_where){.owner = KW_BYTES("user:1")};
    op.actor = KW_BYTES("test");
    CHECK_STATUS(t, kw_engine_run(shared->fixture.engine, &op), KW_OK);
    CHECK_I64(t, op.changed, KEYS);
    kw_op_deinit(&op);
    for (size_t i = 0; i < KEYS; i++) {
        __atomic_store_n(&shared->acknowledged[i], ACK_REVOKED, __ATOMIC_RELEASE);
    }
    for (size_t i = 0; i < KEYS; i++) {
        CHECK_I64(t, test_engine_verify(&shared->fixture, &shared->keys[i]), KW_CODE_REVOKED);
    }
}

static void run_round(struct test *t, struct shared *shared, void (*change)(struct test *t, struct shared *shared))
{
    *shared = (struct shared){0};
    REQUIRE(t, test_engine_open(t, &shared->fixture, NULL));
    for (size_t i = 0; i < KEYS; i++) {
        REQUIRE(t, test_engine_create(t, &shared->fixture, NULL, &shared->ids[i], &shared->keys[i]));
    }
    pthread_t threads[VERIFIERS + 1];
    for (size_t i = 0; i <= VERIFIERS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, i < VERIFIERS ? verify_all_the_time : load_all_the_time, shared) ==
                       0);
    }
    change(t, shared);
    __atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= VERIFIERS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_I64(t, shared->broken, 0);
    test_engine_close(&shared->fixture);
}

static void no_acceptance_after_the_acknowledgement(struct test *t)
{
    static struct shared shared;
    for (int round = 0; round < ROUNDS && t->failures == 0; round++) {
        run_round(t, &shared, change_keys);
    }
}

static void no_acceptance_after_many_were_revoked_in_one(struct test *t)
{
    static struct shared shared;
    for (int round = 0; round < ROUNDS && t->failures == 0; round++) {
        run_round(t, &shared, revoke_all);
    }
}

struct maker {
    struct test_engine *fixture;
    struct kw_secret keys[ROUNDS];
    size_t made; /* atomic: that were acknowledged */
    int stop;    /* atomic */
    bool has_failed;
};

static void *create_all_the_time(void *context)
{
    struct maker *maker = context;
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    for (size_t i = 0; i < KW_COUNT_OF(maker->keys) && __atomic_load_n(&maker->stop, __ATOMIC_RELAXED) == 0; i++) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
        op.params = &params;
        maker->has_failed = maker->has_failed || kw_engine_run(maker->fixture->engine, &op) != KW_OK;
        maker->keys[i] = op.secret;
        kw_op_deinit(&op);
        __atomic_store_n(&maker->made, i + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* A key whose creation was acknowledged before the action began is among those that it revokes. */
static void no_key_slips_through_that_was_made_before(struct test *t)
{
    struct test_engine fixture;
    static struct maker maker;
    pthread_t thread;
    size_t made = 0;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    maker = (struct maker){.fixture = &fixture};
    REQUIRE(t, pthread_create(&thread, NULL, create_all_the_time, &maker) == 0);
    while (made < ROUNDS && t->failures == 0) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
        op.then = KW_OP_REVOKE;
        op.where = &(struct kw_where){.owner = KW_BYTES("user:1")};
        made = __atomic_load_n(&maker.made, __ATOMIC_ACQUIRE);
        CHECK_STATUS(t, kw_engine_run(fixture.engine, &op), KW_OK);
        kw_op_deinit(&op);
        for (size_t i = 0; i < made; i++) {
            CHECK_I64(t, test_engine_verify(&fixture, &maker.keys[i]), KW_CODE_REVOKED);
        }
    }
    __atomic_store_n(&maker.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    CHECK(t, !maker.has_failed);
    test_engine_close(&fixture);
}

#define CROWD 300 /* more than four of them make a group too large */

struct crowd {
    struct test_engine *fixture;
    struct kw_bytes owner;
    struct kw_op parts[CROWD];
    size_t wrong;
};

static void make_and_revoke(struct crowd *crowd)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = crowd->owner};
    struct kw_op op;
    for (size_t i = 0; i < CROWD; i++) {
        kw_op_init(&crowd->parts[i], KW_OP_CREATE, KW_PROJECT_DEFAULT);
        crowd->parts[i].params = &params;
    }
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = crowd->parts;
    op.part_count = CROWD;
    op.atomic = crowd->owner.data[5] % 2 == 0;
    crowd->wrong += kw_engine_run(crowd->fixture->engine, &op) != KW_OK;
    kw_op_deinit(&op);
    for (size_t i = 0; i < CROWD; i++) {
        crowd->wrong += crowd->parts[i].status != KW_OK ||
                        test_engine_verify(crowd->fixture, &crowd->parts[i].secret) != KW_CODE_NONE;
    }
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
    op.then = KW_OP_REVOKE;
    op.where = &(struct kw_where){.owner = crowd->owner};
    crowd->wrong += kw_engine_run(crowd->fixture->engine, &op) != KW_OK || op.changed != CROWD;
    kw_op_deinit(&op);
    for (size_t i = 0; i < CROWD; i++) {
        crowd->wrong += test_engine_verify(crowd->fixture, &crowd->parts[i].secret) != KW_CODE_REVOKED;
        kw_op_deinit(&crowd->parts[i]);
    }
}

static void *make_and_revoke_again_and_again(void *context)
{
    for (int i = 0; i < 3; i++) {
        make_and_revoke(context);
    }
    return NULL;
}

/* Batches, single changes and actions on a filter meet in the queue: groups are cut so that each is done whole. */
static void crowds_do_not_mix(struct test *t)
{
    static const char *const owners[] = {"user:2", "user:3", "user:4", "user:5", "user:6", "user:7"};
    static struct crowd crowds[KW_COUNT_OF(owners)];
    pthread_t threads[KW_COUNT_OF(owners)];
    struct test_engine fixture;
    struct kw_secret key KW_WIPED = {0};
    struct kw_id id;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(owners); i++) {
        crowds[i] = (struct crowd){.fixture = &fixture, .owner = kw_bytes_of_text(owners[i])};
        REQUIRE(t, pthread_create(&threads[i], NULL, make_and_revoke_again_and_again, &crowds[i]) == 0);
    }
    for (int i = 0; i < 30; i++) {
        REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    }
    for (size_t i = 0; i < KW_COUNT_OF(owners); i++) {
        pthread_join(threads[i], NULL);
        CHECK_I64(t, crowds[i].wrong, 0);
    }
    test_engine_close(&fixture);
}

struct creator {
    struct test *t;
    struct test_engine *fixture;
    size_t wrong;
};

static void *create_and_revoke(void *context)
{
    struct creator *creator = context;
    for (int i = 0; i < 60; i++) {
        struct kw_secret key KW_WIPED = {0};
        struct kw_id id;
        if (!test_engine_create(creator->t, creator->fixture, NULL, &id, &key) ||
            test_engine_verify(creator->fixture, &key) != KW_CODE_NONE ||
            test_engine_do(creator->fixture, KW_OP_REVOKE, &id, NULL) != KW_OK ||
            test_engine_verify(creator->fixture, &key) != KW_CODE_REVOKED) {
            creator->wrong++;
        }
    }
    return NULL;
}

/* Groups form from what several threads want at once; each must see its own change and nobody else's. */
static void threads_see_their_own_changes(struct test *t)
{
    struct test_engine fixture;
    struct creator creators[8];
    pthread_t threads[KW_COUNT_OF(creators)];
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(creators); i++) {
        creators[i] = (struct creator){.t = t, .fixture = &fixture};
        REQUIRE(t, pthread_create(&threads[i], NULL, create_and_revoke, &creators[i]) == 0);
    }
    for (size_t i = 0; i < KW_COUNT_OF(creators); i++) {
        pthread_join(threads[i], NULL);
        CHECK_I64(t, creators[i].wrong, 0);
    }
    test_engine_close(&fixture);
}

struct same_key {
    struct test_engine *fixture;
    struct kw_id id;
    size_t done, refused, wrong;
};

static void *revoke_the_same(void *context)
{
    struct same_key *same = context;
    struct kw_error error;
    enum kw_status status = test_engine_do(same->fixture, KW_OP_REVOKE, &same->id, &error);
    same->done += status == KW_OK;
    same->refused += status == KW_E_CONFLICT && strcmp(error.code, "ALREADY_REVOKED") == 0;
    same->wrong += status != KW_OK && status != KW_E_CONFLICT;
    return NULL;
}

/* Many at once, in one group or several: one revokes, the others are told so. */
static void one_of_many_revocations_counts(struct test *t)
{
    struct test_engine fixture;
    struct kw_secret key KW_WIPED = {0};
    struct same_key same[8];
    pthread_t threads[KW_COUNT_OF(same)];
    struct kw_id id;
    size_t done = 0;
    size_t refused = 0;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    for (size_t i = 0; i < KW_COUNT_OF(same); i++) {
        same[i] = (struct same_key){.fixture = &fixture, .id = id};
        REQUIRE(t, pthread_create(&threads[i], NULL, revoke_the_same, &same[i]) == 0);
    }
    for (size_t i = 0; i < KW_COUNT_OF(same); i++) {
        pthread_join(threads[i], NULL);
        done += same[i].done;
        refused += same[i].refused;
    }
    CHECK_I64(t, done, 1);
    CHECK_I64(t, refused, KW_COUNT_OF(same) - 1);
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(no_acceptance_after_the_acknowledgement),
        TEST_CASE(no_acceptance_after_many_were_revoked_in_one),
        TEST_CASE(no_key_slips_through_that_was_made_before),
        TEST_CASE(crowds_do_not_mix),
        TEST_CASE(threads_see_their_own_changes),
        TEST_CASE(one_of_many_revocations_counts),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
