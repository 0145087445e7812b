/*
 * A ledger whose quotas come from a store, here a number for each line, and go back to it when nobody uses them: by
 * itself to the second, and with threads that spend while one thread reserves, sweeps and gives back, and the store
 * fails in every way. What was spent is taken in the store at any moment, and in the end nothing else is, but for what
 * failures have lost.
 */
#include "core/amount.h"
#include "engine/index.h"
#include "engine/ledger.h"
#include "support/test.h"

#include <pthread.h>
#include <sched.h>

#define LINES 1100 /* more than one batch */
#define NOW_MS INT64_C(1767225600000)
#define LIMIT 640
#define SHARE 20
#define WINDOW_MS 1000

static struct kw_id lineage_of(size_t line)
{
    struct kw_id id = {{1}};
    memcpy(id.bytes + 8, &line, sizeof line);
    return id;
}

static size_t line_of(const struct kw_id *id)
{
    size_t line;
    memcpy(&line, id->bytes + 8, sizeof line);
    return line;
}

#define CLAIMS 2

enum way {
    WAY_GOOD,
    WAY_FAILED,    /* nothing was written, and it says so */
    WAY_UNCERTAIN, /* it does not know */
};

struct house {
    struct kw_ledger *ledger;
    struct kw_claim claims[CLAIMS];
    int64_t now_ms; /* atomic, as is all that several threads use */
    uint64_t places[LINES];
    int64_t taken[LINES]; /* by the store, in requests */
    int64_t lost[LINES];  /* of that, what failures have left to nobody */
    uint64_t wanted[LINES];
    uint64_t admitted[LINES];
    uint64_t returned, told;
};

static bool house_begin(struct test *t, struct house *house)
{
    memset(house, 0, sizeof *house);
    house->now_ms = NOW_MS;
    /* A short limit, which needs no store and never refuses, beside the quota. */
    house->claims[0] = (struct kw_claim){.id = 11, .limit = {.requests = 1000000, .window_ms = WINDOW_MS}};
    house->claims[1] = (struct kw_claim){.is_quota = true,
                                         .id = 12,
                                         .quota = {.limit = LIMIT * KW_AMOUNT_ONE,
                                                   .period = KW_PERIOD_YEAR,
                                                   .anchor_ms = KW_PERIOD_UTC,
                                                   .metric = KW_BYTES("requests"),
                                                   .on_exceeded = KW_QUOTA_BLOCK,
                                                   .name = KW_BYTES("requests-year"),
                                                   .mark_count = 1,
                                                   .marks = {50}}};
    bool is_good = kw_ledger_new(true, &house->ledger) == KW_OK;
    CHECK(t, is_good);
    if (is_good) {
        kw_ledger_begin(house->ledger, NOW_MS, false, 0);
        kw_ledger_open(house->ledger);
    }
    return is_good;
}

static struct kw_charge charge_of(struct house *house, size_t line, uint32_t cost)
{
    return (struct kw_charge){.accounts = {{lineage_of(line), &house->places[line]}},
                              .claims = house->claims,
                              .claim_count = CLAIMS,
                              .now_ms = __atomic_load_n(&house->now_ms, __ATOMIC_RELAXED),
                              .cost = cost};
}

static enum kw_charge_outcome spend(struct house *house, size_t line, uint32_t cost)
{
    struct kw_charged charged = {.outcome = KW_CHARGE_UNFUNDED};
    struct kw_charge charge = charge_of(house, line, cost);
    kw_index_read_begin();
    enum kw_status status = kw_ledger_charge(house->ledger, &charge, &charged);
    kw_index_read_end();
    if (status != KW_OK) {
        return KW_CHARGE_RATE_LIMITED;
    }
    if (charged.outcome == KW_CHARGE_ADMITTED) {
        __atomic_fetch_add(&house->admitted[line], cost, __ATOMIC_RELAXED);
    }
    if (charged.wants_funds || charged.outcome == KW_CHARGE_UNFUNDED) {
        __atomic_store_n(&house->wanted[line], cost, __ATOMIC_RELEASE);
    }
    return charged.outcome;
}

/* --- the writer --- */

static void fund(struct test *t, struct house *house, size_t line, uint32_t cost, enum way way, bool is_written)
{
    struct kw_want wants[CLAIMS];
    struct kw_charge charge = charge_of(house, line, cost);
    bool any;
    REQUIRE_OK(t, kw_ledger_want(house->ledger, &charge, wants, &any));
    struct kw_want *want = &wants[1];
    int64_t before = house->taken[line];
    int64_t after = before + want->amount / KW_AMOUNT_ONE;
    after = want->kind != KW_WANT_QUOTA || way == WAY_FAILED ? before : after < LIMIT ? after : LIMIT;
    house->taken[line] = way == WAY_GOOD || is_written ? after : before;
    house->lost[line] += way == WAY_GOOD ? 0 : house->taken[line] - before;
    house->told += want->kind == KW_WANT_QUOTA && want->marks != 0 && way == WAY_GOOD;
    want->granted = (after - before) * KW_AMOUNT_ONE;
    want->taken = after * KW_AMOUNT_ONE;
    kw_ledger_fund(house->ledger, &charge, wants, way == WAY_GOOD);
}

/* Gives back what the sweep has set aside; how much of all there was. */
static size_t give_back(struct test *t, struct house *house, enum way way, bool is_written)
{
    const struct kw_aside *aside;
    size_t count = kw_ledger_aside(house->ledger, &aside);
    for (size_t i = 0; i < count; i++) {
        size_t line = line_of(&aside[i].account);
        int64_t unspent = kw_quota_unspent(&aside[i].state) / KW_AMOUNT_ONE;
        CHECK(t, unspent > 0 && aside[i].claim == 12);
        house->taken[line] -= way == WAY_GOOD || (way == WAY_UNCERTAIN && is_written) ? unspent : 0;
        house->lost[line] += way == WAY_UNCERTAIN && !is_written ? unspent : 0;
    }
    house->returned += way == WAY_GOOD ? count : 0;
    kw_ledger_aside_end(house->ledger, way == WAY_FAILED);
    return count;
}

static size_t sweep(struct test *t, struct house *house, int64_t now_ms)
{
    __atomic_store_n(&house->now_ms, now_ms, __ATOMIC_RELAXED);
    kw_ledger_sweep(house->ledger, now_ms);
    return give_back(t, house, WAY_GOOD, true);
}

static uint64_t accounts(const struct house *house)
{
    struct kw_ledger_counts counts;
    kw_ledger_count(house->ledger, &counts);
    return counts.accounts;
}

/* --- by itself --- */

/* A first use: asks the store, then spends. */
static void use(struct test *t, struct house *house, size_t line, uint32_t cost)
{
    CHECK_I64(t, spend(house, line, cost), KW_CHARGE_UNFUNDED);
    fund(t, house, line, cost, WAY_GOOD, true);
    CHECK_I64(t, spend(house, line, cost), KW_CHARGE_ADMITTED);
}

static void what_is_not_used_goes_back(struct test *t)
{
    static struct house house;
    REQUIRE(t, house_begin(t, &house));
    use(t, &house, 0, 5);
    CHECK_I64(t, house.taken[0], SHARE);
    CHECK_I64(t, sweep(t, &house, NOW_MS), 0); /* from which on it is not used */
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS - 1000), 0);
    CHECK_I64(t, spend(&house, 0, 1), KW_CHARGE_ADMITTED);
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS), 0);
    CHECK_I64(t, sweep(t, &house, NOW_MS + 2 * KW_UNUSED_MS - 1000), 0);
    CHECK_I64(t, sweep(t, &house, NOW_MS), 0); /* a clock that steps back begins anew */
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS - 1000), 0);
    CHECK_I64(t, accounts(&house), 1);
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS), 1);
    CHECK_I64(t, house.taken[0], 6);
    CHECK_I64(t, accounts(&house), 1); /* its slots go with the next one */
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS), 0);
    CHECK_I64(t, accounts(&house), 0);
    use(t, &house, 0, 3); /* and it begins again where it was */
    CHECK_I64(t, house.taken[0], 6 + SHARE);
    CHECK_I64(t, sweep(t, &house, NOW_MS + 2 * KW_UNUSED_MS), 0);
    CHECK_I64(t, sweep(t, &house, NOW_MS + 3 * KW_UNUSED_MS), 1);
    CHECK_I64(t, house.taken[0], 9);
    kw_ledger_free(house.ledger);
}

/* Of an account whose place nobody keeps; the ledger has seen the next period begin. */
static void a_clock_that_is_behind_spends_what_was_reserved_then(struct test *t)
{
    static struct house house;
    REQUIRE(t, house_begin(t, &house));
    use(t, &house, 0, 5);
    (void)sweep(t, &house, NOW_MS);
    (void)sweep(t, &house, NOW_MS + KW_UNUSED_MS);
    (void)sweep(t, &house, NOW_MS + KW_UNUSED_MS);
    CHECK_I64(t, accounts(&house), 0);
    house.now_ms = NOW_MS - 1000; /* a year ago */
    CHECK_I64(t, spend(&house, 1, 5), KW_CHARGE_UNFUNDED);
    fund(t, &house, 1, 5, WAY_GOOD, true);
    house.places[1] = 0;
    CHECK_I64(t, spend(&house, 1, 5), KW_CHARGE_ADMITTED);
    CHECK_I64(t, spend(&house, 1, 5), KW_CHARGE_ADMITTED); /* whose place is known */
    kw_ledger_free(house.ledger);
}

static void what_is_set_aside_is_nobodys(struct test *t)
{
    static struct house house;
    REQUIRE(t, house_begin(t, &house));
    use(t, &house, 0, 5);
    kw_ledger_sweep(house.ledger, NOW_MS + WINDOW_MS);
    house.now_ms += WINDOW_MS + KW_UNUSED_MS;
    kw_ledger_sweep(house.ledger, house.now_ms);
    CHECK_I64(t, spend(&house, 0, 1), KW_CHARGE_UNFUNDED);
    CHECK_I64(t, give_back(t, &house, WAY_FAILED, false), 1);
    CHECK_I64(t, spend(&house, 0, 1), KW_CHARGE_ADMITTED); /* it has it again */
    CHECK_I64(t, house.taken[0], SHARE);
    kw_ledger_sweep(house.ledger, house.now_ms);
    kw_ledger_sweep(house.ledger, house.now_ms + WINDOW_MS);
    CHECK_I64(t, give_back(t, &house, WAY_GOOD, true), 0); /* and is tried again after the same time */
    house.now_ms += WINDOW_MS + KW_UNUSED_MS;
    kw_ledger_sweep(house.ledger, house.now_ms);
    CHECK_I64(t, give_back(t, &house, WAY_UNCERTAIN, false), 1);
    CHECK_I64(t, spend(&house, 0, 1), KW_CHARGE_UNFUNDED); /* the store is asked, whatever came of it */
    fund(t, &house, 0, 1, WAY_GOOD, true);
    CHECK_I64(t, house.taken[0], 2 * SHARE);
    CHECK_I64(t, house.lost[0], SHARE - 6);
    kw_ledger_free(house.ledger);
}

/* A word of it that nobody took may be of a mark: it stays. */
static void what_is_owed_stays(struct test *t)
{
    static struct house house;
    int64_t now_ms = NOW_MS;
    REQUIRE(t, house_begin(t, &house));
    use(t, &house, 0, LIMIT / 2);
    CHECK_I64(t, house.wanted[0], LIMIT / 2);
    CHECK_I64(t, house.told, 0);
    for (int i = 0; i < 5; i++, now_ms += KW_UNUSED_MS) {
        CHECK_I64(t, sweep(t, &house, now_ms), 0);
    }
    CHECK_I64(t, accounts(&house), 1);
    fund(t, &house, 0, 1, WAY_FAILED, false); /* nor was it met now */
    for (int i = 0; i < 5; i++, now_ms += KW_UNUSED_MS) {
        CHECK_I64(t, sweep(t, &house, now_ms), 0);
    }
    fund(t, &house, 0, 1, WAY_GOOD, true);
    CHECK_I64(t, house.told, 1);
    CHECK_I64(t, sweep(t, &house, now_ms), 0);
    CHECK_I64(t, sweep(t, &house, now_ms + KW_UNUSED_MS), 1);
    CHECK_I64(t, house.taken[0], LIMIT / 2);
    CHECK_I64(t, sweep(t, &house, now_ms + KW_UNUSED_MS), 0);
    use(t, &house, 0, 1);
    fund(t, &house, 0, 1, WAY_GOOD, true);
    CHECK_I64(t, house.told, 1); /* once */
    kw_ledger_free(house.ledger);
}

/* Limits that are not idle keep an account, and what is too much for one batch waits for the next sweep. */
static void batches_and_limits_bound_it(struct test *t)
{
    static struct house house;
    REQUIRE(t, house_begin(t, &house));
    for (size_t line = 0; line < LINES; line++) {
        use(t, &house, line, 1);
    }
    (void)sweep(t, &house, NOW_MS);
    house.now_ms = NOW_MS + KW_UNUSED_MS - WINDOW_MS + 1;
    kw_index_read_begin(); /* line 0 spends of its limit alone */
    struct kw_charged charged;
    struct kw_charge charge = charge_of(&house, 0, 1);
    charge.claim_count = 1;
    CHECK_STATUS(t, kw_ledger_charge(house.ledger, &charge, &charged), KW_OK);
    kw_index_read_end();
    size_t returned = sweep(t, &house, NOW_MS + KW_UNUSED_MS);
    CHECK_I64(t, returned, KW_ASIDE_MAX);
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS), LINES - 1 - KW_ASIDE_MAX);
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS), 0);
    CHECK_I64(t, accounts(&house), 1);
    CHECK_I64(t, house.taken[0], SHARE);
    CHECK_I64(t, sweep(t, &house, NOW_MS + KW_UNUSED_MS + 1), 1);
    for (size_t line = 0; line < LINES; line++) {
        CHECK_I64(t, house.taken[line], 1);
    }
    kw_ledger_free(house.ledger);
}

/* --- with threads --- */

#define THREADS 3
#define BUSY_LINES 40
#define ROUNDS 12
#define TRIES 4000
#define ROUND_STEPS 200 /* that the clock makes in a round at most, each so long that all that rests goes */

struct spender {
    struct test random;
    struct house *house;
    int *running; /* atomic */
};

static void *spend_at_random(void *context)
{
    struct spender *spender = context;
    for (int i = 0; i < TRIES; i++) {
        size_t line = test_random_below(&spender->random, BUSY_LINES);
        uint32_t cost = 1 + (uint32_t)test_random_below(&spender->random, 3);
        if (spend(spender->house, line, cost) == KW_CHARGE_UNFUNDED) {
            sched_yield();
        }
    }
    __atomic_fetch_sub(spender->running, 1, __ATOMIC_RELEASE);
    return NULL;
}

static enum way random_way(struct test *t)
{
    uint64_t drawn = test_random_below(t, 10);
    return drawn == 0 ? WAY_FAILED : drawn == 1 ? WAY_UNCERTAIN : WAY_GOOD;
}

static void write_once(struct test *t, struct house *house, int *steps)
{
    for (size_t line = 0; line < BUSY_LINES; line++) {
        uint64_t cost = __atomic_exchange_n(&house->wanted[line], 0, __ATOMIC_ACQUIRE);
        if (cost > 0 && test_random_below(t, 8) > 0) { /* else the word is lost */
            enum way way = random_way(t);
            fund(t, house, line, (uint32_t)cost, way, way == WAY_UNCERTAIN && test_random_below(t, 2) == 0);
        }
    }
    if (*steps < ROUND_STEPS && test_random_below(t, 4) == 0) {
        *steps += 1;
        __atomic_store_n(&house->now_ms, house->now_ms + KW_UNUSED_MS, __ATOMIC_RELAXED);
    }
    kw_ledger_sweep(house->ledger, house->now_ms);
    (void)give_back(t, house, random_way(t), test_random_below(t, 2) == 0);
}

/* Until nobody has anything any more. */
static void settle(struct test *t, struct house *house)
{
    for (size_t line = 0; line < BUSY_LINES; line++) {
        fund(t, house, line, 1, WAY_GOOD, true); /* whatever is owed */
    }
    for (int i = 0; i < 3; i++) {
        (void)sweep(t, house, house->now_ms + KW_UNUSED_MS);
    }
    CHECK_I64(t, accounts(house), 0);
    for (size_t line = 0; line < BUSY_LINES; line++) {
        CHECK_I64(t, house->taken[line], (int64_t)house->admitted[line] + house->lost[line]);
    }
}

static void threads_spend_what_goes_back(struct test *t)
{
    static struct house house;
    REQUIRE(t, house_begin(t, &house));
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        struct spender spenders[THREADS];
        int running = THREADS, steps = 0;
        for (size_t i = 0; i < THREADS; i++) {
            spenders[i] = (struct spender){{.random = test_random(t)}, &house, &running};
            REQUIRE(t, pthread_create(&threads[i], NULL, spend_at_random, &spenders[i]) == 0);
        }
        while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0) {
            write_once(t, &house, &steps);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        settle(t, &house);
    }
    for (size_t line = 0; line < BUSY_LINES; line++) { /* all that is left is to be had, to the last one */
        while (spend(&house, line, 1) != KW_CHARGE_QUOTA_EXCEEDED && t->failures == 0) {
            fund(t, &house, line, 1, WAY_GOOD, true);
        }
        CHECK_I64(t, (int64_t)house.admitted[line] + house.lost[line], LIMIT);
    }
    CHECK(t, house.returned > 0);
    kw_ledger_free(house.ledger);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_is_not_used_goes_back),   TEST_CASE(a_clock_that_is_behind_spends_what_was_reserved_then),
        TEST_CASE(what_is_set_aside_is_nobodys), TEST_CASE(what_is_owed_stays),
        TEST_CASE(batches_and_limits_bound_it),  TEST_CASE(threads_spend_what_goes_back),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
