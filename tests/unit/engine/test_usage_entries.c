/*
 * What is counted in entries, against a plain model: whatever the order of verifications from here and there, changes
 * of keys and hours, each verification is in the store once, in its hour, with its region and its network.
 */
#include "base/bytes.h"
#include "core/use.h"
#include "engine/usage_table.h"
#include "support/engine.h"

#include <stdio.h>

#define HOUR_MS (INT64_C(3600) * 1000)
#define KEYS 40
#define HOURS 12
#define ORIGINS 6 /* the first states nothing */
#define STEPS 4000

struct counted {
    int64_t valid[HOURS];
    int64_t requests; /* what they cost */
    int64_t regions[2];
    int64_t addressed, marks;
    int64_t last_ms;
    size_t last_origin;
};

struct house {
    struct test *t;
    struct test_engine fixture;
    struct kw_id ids[KEYS];
    struct kw_secret keys[KEYS];
    bool is_revoked[KEYS];
    struct counted expected[KEYS];
    struct kw_address addresses[2];
};

static const struct kw_place places[] = {{.country = {(const uint8_t *)"CH", 2}},
                                         {{(const uint8_t *)"US", 2}, {(const uint8_t *)"US-CA", 5}}};

/* 0: nowhere; 1 and 2: an address; 3: a place; 4 and 5: both. */
static void state_origin(const struct house *house, size_t origin, struct kw_question *question)
{
    question->address = origin == 1 || origin == 4   ? &house->addresses[0]
                        : origin == 2 || origin == 5 ? &house->addresses[1]
                                                     : NULL;
    question->place = origin < 3 ? NULL : &places[origin % 2];
}

static void verify_one(struct house *house, size_t key, size_t origin, uint32_t cost)
{
    struct counted *expected = &house->expected[key];
    int64_t now_ms = kw_engine_now_ms(house->fixture.engine);
    struct kw_verification v = {
        .key = kw_secret_expose(&house->keys[key]), .cost = cost, .question = {.project = KW_PROJECT_DEFAULT}};
    state_origin(house, origin, &v.question);
    kw_engine_read_begin();
    kw_engine_verify(house->fixture.engine, &v, now_ms);
    kw_engine_read_end();
    CHECK_I64(house->t, v.code, house->is_revoked[key] ? KW_CODE_REVOKED : KW_CODE_NONE);
    if (v.code == KW_CODE_NONE) {
        expected->valid[(now_ms - TEST_NOW_MS) / HOUR_MS]++;
        expected->requests += cost;
        if (v.question.address != NULL) {
            expected->addressed++;
            expected->marks += kw_network_mark(v.question.address);
        }
        bool is_last = now_ms >= expected->last_ms;
        expected->last_ms = is_last ? now_ms : expected->last_ms;
        expected->last_origin = is_last ? origin : expected->last_origin;
    }
    if (v.question.place != NULL) {
        expected->regions[v.question.place == &places[1]]++; /* refusals too */
    }
}

static void change(struct house *house, size_t key)
{
    char name[32];
    struct kw_op op;
    int size = snprintf(name, sizeof name, "name %u", (unsigned)test_random_below(house->t, 1000));
    struct kw_key_params params = {.given = KW_GIVEN_NAME, .name = kw_bytes_of((uint8_t *)name, (size_t)size)};
    kw_op_init(&op, KW_OP_UPDATE, KW_PROJECT_DEFAULT);
    op.id = house->ids[key];
    op.params = &params;
    CHECK_STATUS(house->t, kw_engine_run(house->fixture.engine, &op), house->is_revoked[key] ? KW_E_CONFLICT : KW_OK);
    kw_op_deinit(&op);
}

static enum kw_status add_up(void *context, const struct kw_store_usage *usage)
{
    struct counted *sums = context;
    if (usage->dimension == KW_USAGE_CODE && kw_bytes_equal(usage->value, KW_BYTES("VALID"))) {
        sums->valid[(usage->bucket_start_ms - TEST_NOW_MS) / HOUR_MS] += usage->amount;
    } else if (usage->dimension == KW_USAGE_METRIC) {
        sums->requests += usage->amount / 1000000;
    } else if (usage->dimension == KW_USAGE_REGION) {
        sums->regions[kw_bytes_equal(usage->value, KW_BYTES("US"))] += usage->amount;
    } else if (usage->dimension == KW_USAGE_NETWORK) {
        *(kw_bytes_equal(usage->value, KW_NETWORK_USES) ? &sums->addressed : &sums->marks) += usage->amount;
    }
    return KW_OK;
}

static void compare_last_use(struct house *house, size_t key)
{
    const struct counted *expected = &house->expected[key];
    struct kw_question question;
    struct kw_record record;
    struct kw_op op;
    kw_op_init(&op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op.id = house->ids[key];
    CHECK_STATUS(house->t, kw_engine_run(house->fixture.engine, &op), KW_OK);
    CHECK_STATUS(house->t, kw_record_decode(kw_buffer_bytes(&op.result), &record), KW_OK);
    kw_last_use_show(&op.last_use, &record);
    CHECK_I64(house->t, record.last_used_at_ms, expected->last_ms);
    state_origin(house, expected->last_origin, &question);
    CHECK_I64(house->t, record.last_used_ip.size, question.address == NULL ? 0 : sizeof question.address->bytes);
    if (question.address != NULL) {
        CHECK_BYTES(house->t, record.last_used_ip,
                    kw_bytes_of(question.address->bytes, sizeof question.address->bytes));
    }
    CHECK_BYTES(house->t, record.last_used_region,
                question.place == NULL            ? KW_BYTES("")
                : question.place->region.size > 0 ? question.place->region
                                                  : question.place->country);
    kw_op_deinit(&op);
}

static void compare(struct house *house)
{
    const struct kw_store_ops *ops = house->fixture.store->ops;
    CHECK_STATUS(house->t, kw_usage_flush(house->fixture.engine), KW_OK);
    for (size_t key = 0; key < KEYS; key++) {
        struct counted sums = {.requests = 0};
        const struct counted *expected = &house->expected[key];
        CHECK_STATUS(house->t,
                     ops->usage_read(house->fixture.store, KW_BYTES("default"), &house->ids[key], INT64_MIN, INT64_MAX,
                                     add_up, &sums),
                     KW_OK);
        for (size_t hour = 0; hour < HOURS; hour++) {
            CHECK_I64(house->t, sums.valid[hour], expected->valid[hour]);
        }
        CHECK_I64(house->t, sums.requests, expected->requests);
        CHECK_I64(house->t, sums.regions[0], expected->regions[0]);
        CHECK_I64(house->t, sums.regions[1], expected->regions[1]);
        CHECK_I64(house->t, sums.addressed, expected->addressed);
        CHECK_I64(house->t, sums.marks, expected->marks);
        compare_last_use(house, key);
    }
}

/* As a caller does: mostly from where it was before. */
static void step(struct house *house)
{
    size_t key = test_random_below(house->t, KEYS);
    uint64_t what = test_random_below(house->t, 1000);
    int64_t *clock = &house->fixture.now_ms;
    if (what < 3 && *clock + HOUR_MS < TEST_NOW_MS + (HOURS - 1) * HOUR_MS) {
        __atomic_fetch_add(clock, (int64_t)test_random_below(house->t, 2 * HOUR_MS), __ATOMIC_RELAXED);
    } else if (what < 6 && *clock > TEST_NOW_MS + HOUR_MS) {
        __atomic_fetch_sub(clock, 1000, __ATOMIC_RELAXED); /* it is set back a little */
    } else if (what < 15) {
        house->fixture.engine->usage->at_once_max = test_random_below(house->t, 2) == 0 ? 0 : KW_USAGE_AT_ONCE;
        CHECK_STATUS(house->t, kw_usage_flush(house->fixture.engine), KW_OK);
    } else if (what < 60) {
        change(house, key);
    } else if (what < 62 && !house->is_revoked[key]) {
        CHECK_STATUS(house->t, test_engine_do(&house->fixture, KW_OP_REVOKE, &house->ids[key], NULL), KW_OK);
        house->is_revoked[key] = true;
    } else {
        size_t usual = house->expected[key].last_origin;
        size_t origin = test_random_below(house->t, 10) == 0 ? test_random_below(house->t, ORIGINS) : usual;
        __atomic_fetch_add(clock, 1, __ATOMIC_RELAXED);
        verify_one(house, key, origin, test_random_below(house->t, 20) == 0 ? 3 : 1);
    }
}

static bool enter(struct test *t, struct house *house)
{
    *house = (struct house){.t = t};
    bool is_open = kw_address_parse(KW_BYTES("192.0.2.7"), &house->addresses[0]) &&
                   kw_address_parse(KW_BYTES("2001:db8::9"), &house->addresses[1]) &&
                   test_engine_open(t, &house->fixture, NULL);
    if (is_open) {
        kw_engine_wait_filled(house->fixture.engine);
    }
    for (size_t i = 0; i < KEYS && is_open; i++) {
        is_open = test_engine_create(t, &house->fixture, NULL, &house->ids[i], &house->keys[i]);
    }
    CHECK(t, is_open);
    return is_open;
}

static void leave(struct house *house)
{
    for (size_t i = 0; i < KEYS; i++) {
        kw_secret_wipe(&house->keys[i]);
    }
    test_engine_close(&house->fixture);
}

static void every_use_is_counted_where_it_belongs(struct test *t)
{
    struct house house;
    if (!enter(t, &house)) {
        return;
    }
    for (int i = 0; i < STEPS; i++) {
        step(&house);
    }
    compare(&house);
    leave(&house);
}

/* The clock may be set on while something is counted and not yet written. */
static void an_hour_stays_the_hour_it_was(struct test *t)
{
    struct house house;
    if (!enter(t, &house)) {
        return;
    }
    for (int64_t hour = 0; hour < HOURS; hour += 1 + hour % 3) {
        __atomic_store_n(&house.fixture.now_ms, TEST_NOW_MS + hour * HOUR_MS + hour, __ATOMIC_RELAXED);
        for (size_t key = 0; key < KEYS; key++) {
            verify_one(&house, key, 0, 1);
        }
    }
    compare(&house);
    leave(&house);
}

/* More than a word holds, and more keys than come with one write. */
static void many_keys_and_many_uses_are_all_written(struct test *t)
{
    struct house house;
    if (!enter(t, &house)) {
        return;
    }
    for (int i = 0; i < 20000; i++) {
        for (size_t key = 0; key < 12; key++) { /* more than a thread takes for hot */
            verify_one(&house, key, 0, 1);
        }
    }
    compare(&house);
    leave(&house);
}

static void what_was_counted_before_the_index_grew_is_found(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    if (!enter(t, &house)) {
        return;
    }
    CHECK_STATUS(t, kw_usage_flush(house.fixture.engine), KW_OK);
    for (size_t i = 0; i < KEYS; i++) {
        verify_one(&house, i, 0, 1);
    }
    for (size_t i = 0; i < 1500; i++) {
        REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    }
    compare(&house);
    leave(&house);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_use_is_counted_where_it_belongs),
        TEST_CASE(an_hour_stays_the_hour_it_was),
        TEST_CASE(what_was_counted_before_the_index_grew_is_found),
        TEST_CASE(many_keys_and_many_uses_are_all_written),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
