/*
 * Threads that verify a whole family against threads that change its first key. From the acknowledgement of its
 * revocation no thread accepts any descendant (DESIGN, invariants 6 and 8); and while it is only rotated, no thread
 * refuses one.
 */
#include "core/id.h"
#include "support/engine.h"

#include <pthread.h>

#define VERIFIERS 3
#define GENERATIONS 4
#define ROUNDS 30
#define ROTATIONS 200

struct family {
    struct test_engine fixture;
    struct kw_secret keys[GENERATIONS];
    struct kw_id ids[GENERATIONS];
    struct kw_id newest; /* of the first one's line; the changing thread's */
    int ended;           /* atomic: the generation whose revocation was acknowledged; GENERATIONS: none */
    int stop;            /* atomic */
    uint64_t accepted;   /* atomic: descendants, after the acknowledgement */
    uint64_t refused;    /* atomic: anybody, before anything was revoked */
    int begun;           /* atomic: somebody is being revoked */
};

static void *verify_all_the_time(void *context)
{
    struct family *family = context;
    while (__atomic_load_n(&family->stop, __ATOMIC_RELAXED) == 0) {
        for (int i = GENERATIONS - 1; i > 0; i--) {
            int ended = __atomic_load_n(&family->ended, __ATOMIC_ACQUIRE);
            enum kw_code code = test_engine_verify(&family->fixture, &family->keys[i]);
            if (code == KW_CODE_NONE && i >= ended) {
                __atomic_fetch_add(&family->accepted, 1, __ATOMIC_RELAXED);
            }
            if (code != KW_CODE_NONE && __atomic_load_n(&family->begun, __ATOMIC_ACQUIRE) == 0) {
                __atomic_fetch_add(&family->refused, 1, __ATOMIC_RELAXED);
            }
        }
    }
    return NULL;
}

/* Reads keys and their families from the store over and over, as misses would. */
static void *load_all_the_time(void *context)
{
    struct family *family = context;
    while (__atomic_load_n(&family->stop, __ATOMIC_RELAXED) == 0) {
        for (size_t i = 0; i < GENERATIONS; i++) {
            struct kw_op op;
            kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
            op.key = kw_secret_expose(&family->keys[i]);
            (void)kw_engine_run(family->fixture.engine, &op);
            kw_op_deinit(&op);
        }
    }
    return NULL;
}

static void rotate_first(struct test *t, struct family *family, int64_t grace_ms)
{
    struct kw_record record;
    struct kw_op op;
    kw_op_init(&op, KW_OP_ROTATE, KW_PROJECT_DEFAULT);
    op.id = family->newest;
    op.actor = KW_BYTES("test");
    op.grace_ms = grace_ms;
    CHECK_STATUS(t, kw_engine_run(family->fixture.engine, &op), KW_OK);
    CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    family->newest = record.id;
    kw_op_deinit(&op);
}

static bool found_family(struct test *t, struct family *family)
{
    *family = (struct family){.ended = GENERATIONS};
    if (!test_engine_open(t, &family->fixture, NULL)) {
        return false;
    }
    for (size_t i = 0; i < GENERATIONS; i++) {
        struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
        params.given |= i == 0 ? 0 : (uint32_t)KW_GIVEN_PARENT;
        char parent_id[KW_ID_TEXT_SIZE];
        if (i > 0) {
            kw_id_format(&family->ids[i - 1], parent_id);
            params.parent = kw_bytes_of(parent_id, sizeof parent_id);
        }
        if (!test_engine_create(t, &family->fixture, &params, &family->ids[i], &family->keys[i])) {
            return false;
        }
    }
    family->newest = family->ids[0];
    return true;
}

/* Rotates the first key, then revokes the newest of its line, or a later generation, under everybody's eyes. */
static void run_round(struct test *t, struct family *family, int rotations)
{
    pthread_t threads[VERIFIERS + 1];
    REQUIRE(t, found_family(t, family));
    for (size_t i = 0; i <= VERIFIERS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, i < VERIFIERS ? verify_all_the_time : load_all_the_time, family) ==
                       0);
    }
    for (int i = 0; i < rotations; i++) {
        rotate_first(t, family, i % 2 == 0 ? 0 : 1000);
    }
    int who = (int)test_random_below(t, GENERATIONS - 1);
    __atomic_store_n(&family->begun, 1, __ATOMIC_RELEASE);
    CHECK_STATUS(
        t, test_engine_do(&family->fixture, KW_OP_REVOKE, who == 0 ? &family->newest : &family->ids[who], NULL), KW_OK);
    __atomic_store_n(&family->ended, who, __ATOMIC_RELEASE);
    if (test_random_below(t, 2) == 0) { /* time for the others, and a tombstone in its place */
        CHECK_STATUS(
            t, test_engine_do(&family->fixture, KW_OP_ERASE, who == 0 ? &family->newest : &family->ids[who], NULL),
            KW_OK);
    }
    for (int i = who + 1; i < GENERATIONS; i++) {
        CHECK_I64(t, test_engine_verify(&family->fixture, &family->keys[i]), KW_CODE_REVOKED);
    }
    __atomic_store_n(&family->stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= VERIFIERS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_I64(t, family->accepted, 0);
    CHECK_I64(t, family->refused, 0);
    test_engine_close(&family->fixture);
}

static void no_descendant_is_accepted_after_the_acknowledgement(struct test *t)
{
    static struct family family;
    for (int round = 0; round < ROUNDS && t->failures == 0; round++) {
        run_round(t, &family, 3);
    }
}

static void no_descendant_is_refused_while_its_parent_is_rotated(struct test *t)
{
    static struct family family;
    run_round(t, &family, ROTATIONS);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(no_descendant_is_accepted_after_the_acknowledgement),
        TEST_CASE(no_descendant_is_refused_while_its_parent_is_rotated),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
