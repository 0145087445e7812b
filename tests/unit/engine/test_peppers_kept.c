/*
 * What becomes of peppers where it goes wrong: the machine stops at any write, the file cannot be written, a call of
 * the store fails. A start on what is left comes up, every key that was acknowledged is good, and it can be done again.
 */
#include "drawer.h"
#include "shelf.h"

#define KEYS 4
#define WRITES_MAX 60
#define CALLS_MAX 120

/* A life with peppers, in which anything may fail. */
struct life {
    struct house house;
    struct drawer drawer;
    struct kw_secret keys[KEYS];
    size_t key_count; /* that were acknowledged */
    size_t lost;      /* that may be there, and nobody has */
};

static void make_key(struct life *life)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
    op.params = &params;
    op.actor = KW_BYTES("test");
    if (kw_engine_run(life->house.fixture.engine, &op) == KW_OK) {
        life->keys[life->key_count++] = op.secret;
    } else {
        life->lost++;
    }
    kw_op_deinit(&op);
}

/* Verifies all keys, none of which is ever refused, and gives the writer the time to move them. */
static void use_keys(struct test *t, struct life *life)
{
    for (size_t i = 0; i < life->key_count; i++) {
        CHECK_I64(t, test_engine_verify(&life->house.fixture, &life->keys[i]), KW_CODE_NONE);
    }
    for (int i = 0; i < 2; i++) {
        struct kw_id nobody = {{0xff}};
        (void)test_engine_do(&life->house.fixture, KW_OP_REVOKE, &nobody, NULL);
    }
}

static void rotate_and_retire(struct test *t, struct life *life)
{
    (void)drawer_add(&life->house, 'b', NULL);
    make_key(life);
    use_keys(t, life);
    (void)drawer_retire_letter(&life->house, 'a', NULL);
    use_keys(t, life);
    (void)drawer_add(&life->house, 'c', NULL);
    make_key(life);
    use_keys(t, life);
    (void)drawer_retire_letter(&life->house, 'b', NULL);
    make_key(life);
    use_keys(t, life);
}

static bool begin(struct test *t, struct life *life)
{
    *life = (struct life){.key_count = 0};
    bool is_open = drawer_begin(t, &life->house, &life->drawer, "a") && house_open(&life->house, NULL) == KW_OK;
    CHECK(t, is_open);
    if (is_open) {
        make_key(life);
        CHECK_I64(t, life->key_count, 1);
    }
    return is_open;
}

static void retire_in_the_end(struct test *t, struct life *life, const uint8_t *fingerprint)
{
    struct kw_error error = {0};
    enum kw_status status = drawer_retire(&life->house, fingerprint, &error);
    bool is_held = status != KW_OK && strcmp(error.code, "PEPPER_IN_USE") == 0 && life->lost > 0;
    CHECK(t, status == KW_OK || is_held);
}

/* On what is left of a life: everything is good, and all can be brought to one pepper, without which nothing is. */
static void go_on(struct test *t, struct life *life)
{
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    size_t count = kw_engine_peppers(life->house.fixture.engine, uses, KW_PEPPERS_MAX);
    use_keys(t, life);
    use_keys(t, life);
    for (size_t i = count; i-- > 1;) {
        retire_in_the_end(t, life, uses[i].fingerprint);
    }
    CHECK_STATUS(t, drawer_add(&life->house, 'd', NULL), KW_OK);
    use_keys(t, life);
    retire_in_the_end(t, life, uses[0].fingerprint);
    CHECK(t, life->drawer.kept.count <= 1 + life->lost);
    for (int start = 0; start < 2; start++) {
        use_keys(t, life);
        house_close(&life->house);
        REQUIRE_OK(t, house_open(&life->house, NULL));
    }
}

static void end(struct life *life)
{
    for (size_t i = 0; i < life->key_count; i++) {
        kw_secret_wipe(&life->keys[i]);
    }
    drawer_end(&life->house, &life->drawer);
}

/* --- the machine stops --- */

/* False when all was done before. */
static bool stop_at(struct test *t, unsigned nth, bool happens)
{
    static struct life life;
    if (!begin(t, &life)) {
        return false;
    }
    drawer_stop_machine(nth, happens);
    rotate_and_retire(t, &life);
    bool has_stopped = drawer_machine_writes() >= nth;
    house_close(&life.house);
    drawer_stop_machine(0, false);
    CHECK_STATUS(t, house_open(&life.house, NULL), KW_OK);
    if (life.house.fixture.engine == NULL) {
        test_fail(t, __FILE__, __LINE__, "write %u (%s): %s", nth, happens ? "made" : "lost", life.house.error.message);
    } else {
        go_on(t, &life);
    }
    end(&life);
    return has_stopped;
}

static void a_start_comes_up_wherever_the_machine_stopped(struct test *t)
{
    for (int happens = 0; happens < 2; happens++) {
        unsigned nth = 1;
        while (nth < WRITES_MAX && t->failures == 0 && stop_at(t, nth, happens == 1)) {
            nth++;
        }
        CHECK(t, nth > 12); /* four changes of two writes, keys, and their moves */
        CHECK(t, nth < WRITES_MAX);
    }
}

/* --- the file cannot be written --- */

static void fail_to_write(struct test *t, unsigned nth, bool lately)
{
    static struct life life;
    REQUIRE(t, begin(t, &life));
    life.drawer.fails_at = nth;
    life.drawer.fails_lately = lately;
    rotate_and_retire(t, &life);
    CHECK(t, life.drawer.writes >= nth);
    use_keys(t, &life);
    go_on(t, &life); /* the same engine, then the next one */
    end(&life);
}

static void a_file_that_cannot_be_written_costs_no_key(struct test *t)
{
    for (unsigned nth = 1; nth <= 4; nth++) {
        fail_to_write(t, nth, false);
        fail_to_write(t, nth, true);
    }
}

/* No key may come under it any more: the next start might lack it. */
static void check_untakable(struct test *t, struct life *life, const uint8_t *fingerprint)
{
    struct kw_digest_method method = {.scheme = KW_DIGEST_HMAC_SHA256};
    struct kw_error error = {0};
    uint8_t number;
    memcpy(method.fingerprint, fingerprint, sizeof method.fingerprint);
    CHECK_STATUS(t,
                 kw_engine_method_take(life->house.fixture.engine, KW_PROJECT_DEFAULT, &method, false, &number, &error),
                 KW_E_INVALID);
    CHECK_TEXT(t, error.code, "PEPPER_MISMATCH");
}

static void a_retirement_that_failed_half_way_is_done_again(struct test *t)
{
    static struct life life;
    struct kw_error error = {0};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    REQUIRE(t, begin(t, &life));
    REQUIRE_OK(t, drawer_add(&life.house, 'b', &error));
    use_keys(t, &life);
    for (int lately = 0; lately < 2; lately++) {
        life.drawer.fails_at = life.drawer.writes + 1;
        life.drawer.fails_lately = lately == 1;
        CHECK(t, drawer_retire_letter(&life.house, 'a', &error) != KW_OK);
        CHECK_TEXT(t, error.code, "FILE_UNUSABLE");
        CHECK_I64(t, kw_engine_peppers(life.house.fixture.engine, uses, KW_PEPPERS_MAX), 2);
        CHECK(t, uses[1].keys == 0);
        check_untakable(t, &life, uses[1].fingerprint);
        drawer_stop_machine(1, false); /* again, and the store does not even write that down */
        CHECK_STATUS(t, drawer_retire_letter(&life.house, 'a', &error), KW_E_UNAVAILABLE);
        drawer_stop_machine(0, false);
        check_untakable(t, &life, uses[1].fingerprint);
        use_keys(t, &life);
    }
    REQUIRE_OK(t, drawer_add(&life.house, 'c', &error)); /* that it is kept no more is in nobody's way */
    CHECK_STATUS(t, drawer_retire_letter(&life.house, 'a', &error), KW_OK);
    CHECK_I64(t, kw_engine_peppers(life.house.fixture.engine, uses, KW_PEPPERS_MAX), 2);
    use_keys(t, &life);
    go_on(t, &life);
    end(&life);
}

/* --- a call of the store fails --- */

/* False when the fault did not come to pass any more. */
static bool live(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    static struct life life;
    struct kw_store *faulty = NULL;
    if (!begin(t, &life)) {
        return false;
    }
    house_close(&life.house);
    struct kw_store *shelf = life.house.shelf;
    CHECK_STATUS(t, kw_store_fault_open(shelf, t->seed + nth, &faulty), KW_OK);
    life.house.shelf = faulty;
    CHECK_STATUS(t, house_open(&life.house, NULL), KW_OK);
    kw_store_fault_arm(faulty, kind, nth);
    rotate_and_retire(t, &life);
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    kw_store_fault_arm(faulty, kind, 0);
    use_keys(t, &life);
    CHECK_STATUS(t, drawer_add(&life.house, 'e', NULL), KW_OK);
    use_keys(t, &life);
    house_close(&life.house);
    life.house.shelf = shelf;
    CHECK_STATUS(t, house_open(&life.house, NULL), KW_OK);
    go_on(t, &life);
    end(&life);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && t->failures == 0 && live(t, kind, nth)) {
        nth++;
    }
    CHECK(t, nth > 12);
    CHECK(t, nth < CALLS_MAX);
}

static void a_store_out_of_reach_costs_no_key(struct test *t)
{
    sweep(t, KW_FAULT_UNAVAILABLE);
}

static void what_may_or_may_not_have_happened_costs_no_key(struct test *t)
{
    sweep(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_start_comes_up_wherever_the_machine_stopped),
        TEST_CASE(a_file_that_cannot_be_written_costs_no_key),
        TEST_CASE(a_retirement_that_failed_half_way_is_done_again),
        TEST_CASE(a_store_out_of_reach_costs_no_key),
        TEST_CASE(what_may_or_may_not_have_happened_costs_no_key),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
