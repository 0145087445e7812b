/*
 * Threads that spend from the same lines, while another one gives up what is idle. The clock jumps between rounds,
 * further than any window, so the sum that each round admits is the limit exactly: no more, and since all threads ask
 * for more than there is, no less.
 */
#include "core/amount.h"
#include "engine/index.h"
#include "engine/ledger.h"
#include "engine/ledger_room.h"
#include "support/test.h"

#include <pthread.h>

#define THREADS 4
#define LINES 400
#define ROUNDS 60
#define LIMIT 50
#define ASKED 20 /* by each thread of each line, with costs of 1 and 2 */
#define WINDOW_MS 1000

struct shared {
    struct kw_ledger *ledger;
    pthread_barrier_t begin, end;
    uint64_t places[LINES];
    uint32_t stamps[LINES];
    uint64_t usual;           /* atomic: charges that were */
    uint64_t admitted[LINES]; /* atomic, of the round */
    int64_t now_ms;           /* of the round */
    int stop;                 /* atomic */
    uint64_t failures;        /* atomic */
};

static struct kw_id lineage_of(size_t line)
{
    struct kw_id id = {{1}};
    memcpy(id.bytes + 8, &line, sizeof line);
    return id;
}

/* Two limits, of which the second never refuses. */
static const struct kw_claim claims[] = {
    {.id = 11, .limit = {.requests = LIMIT, .window_ms = WINDOW_MS}},
    {.id = 12, .limit = {.requests = 3 * LIMIT, .window_ms = 2 * WINDOW_MS}},
};

static void spend(struct shared *shared, size_t line, uint32_t cost)
{
    struct kw_charged charged = {.outcome = KW_CHARGE_UNFUNDED};
    struct kw_charge charge = {.accounts = {{lineage_of(line), &shared->places[line]}},
                               .claims = claims,
                               .claim_count = KW_COUNT_OF(claims),
                               .now_ms = shared->now_ms,
                               .cost = cost,
                               .stamp = &shared->stamps[line]};
    struct kw_spent spent;
    kw_index_read_begin();
    uint64_t place = __atomic_load_n(&shared->places[line], __ATOMIC_RELAXED);
    uint32_t stamp = __atomic_load_n(&shared->stamps[line], __ATOMIC_RELAXED);
    bool is_usual = kw_ledger_spend(shared->ledger, place, stamp, cost, shared->now_ms, &spent);
    enum kw_status status = is_usual ? KW_OK : kw_ledger_charge(shared->ledger, &charge, &charged);
    kw_index_read_end();
    bool is_admitted = is_usual || charged.outcome == KW_CHARGE_ADMITTED;
    __atomic_fetch_add(&shared->usual, is_usual, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->failures, status != KW_OK, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->admitted[line], is_admitted ? cost : 0, __ATOMIC_RELAXED);
}

static void *spend_all_the_time(void *context)
{
    struct shared *shared = context;
    for (;;) {
        (void)pthread_barrier_wait(&shared->begin);
        if (__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) != 0) {
            return NULL;
        }
        for (size_t i = 0; i < (size_t)LINES * ASKED; i++) {
            spend(shared, i % LINES, 1 + i / LINES % 2);
        }
        (void)pthread_barrier_wait(&shared->end);
    }
}

static void *sweep_all_the_time(void *context)
{
    struct shared *shared = context;
    while (__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) == 0) {
        kw_ledger_sweep(shared->ledger, __atomic_load_n(&shared->now_ms, __ATOMIC_RELAXED));
    }
    return NULL;
}

static void check_round(struct test *t, struct shared *shared)
{
    for (size_t line = 0; line < LINES; line++) {
        CHECK_I64(t, shared->admitted[line], LIMIT);
        shared->admitted[line] = 0;
    }
}

static void threads_spend_the_limit_exactly(struct test *t)
{
    static struct shared shared;
    pthread_t threads[THREADS], sweeper;
    shared = (struct shared){.now_ms = 1000000};
    REQUIRE_OK(t, kw_ledger_new(false, &shared.ledger));
    (void)pthread_barrier_init(&shared.begin, NULL, THREADS + 1);
    (void)pthread_barrier_init(&shared.end, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, spend_all_the_time, &shared) == 0);
    }
    REQUIRE(t, pthread_create(&sweeper, NULL, sweep_all_the_time, &shared) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(&shared.begin);
        (void)pthread_barrier_wait(&shared.end);
        check_round(t, &shared);
        __atomic_store_n(&shared.now_ms, shared.now_ms + WINDOW_MS * (1 + round % 3), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
    (void)pthread_barrier_wait(&shared.begin);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(sweeper, NULL);
    CHECK_I64(t, shared.failures, 0);
    CHECK(t, shared.usual > LINES * ROUNDS);
    (void)pthread_barrier_destroy(&shared.begin);
    (void)pthread_barrier_destroy(&shared.end);
    kw_ledger_free(shared.ledger);
}

/* All that a key of the last generation can be asked, of every ancestor and its policy: more than there are of any key.
 */
static void all_that_comes_from_above_finds_room(struct test *t)
{
    static struct kw_claim all[KW_CLAIMS_MAX];
    static struct kw_want wants[KW_CLAIMS_MAX];
    static struct kw_charged charged;
    struct kw_ledger *ledger;
    uint64_t place = 0;
    size_t quotas = (size_t)2 * (KW_FAMILY_DEPTH_MAX + 1) * KW_QUOTA_COUNT_MAX;
    for (size_t i = 0; i < KW_CLAIMS_MAX; i++) {
        all[i] = (struct kw_claim){.id = (uint32_t)i + 1, .is_quota = i < quotas};
        if (i < quotas) {
            all[i].quota =
                (struct kw_quota){.limit = 2 * KW_AMOUNT_ONE, .period = KW_PERIOD_DAY, .metric = KW_BYTES("requests")};
        } else {
            all[i].limit = (struct kw_rate_limit){.requests = 2, .window_ms = WINDOW_MS};
        }
    }
    struct kw_charge charge = {.accounts = {{lineage_of(1), &place}},
                               .claims = all,
                               .claim_count = KW_CLAIMS_MAX,
                               .now_ms = 1000000,
                               .cost = 1};
    REQUIRE_OK(t, kw_ledger_new(false, &ledger));
    kw_index_read_begin();
    for (int request = 0; request < 3; request++) {
        bool any = false;
        REQUIRE_OK(t, kw_ledger_charge(ledger, &charge, &charged));
        for (int i = 0; i < 3 && charged.outcome == KW_CHARGE_UNFUNDED; i++) {
            REQUIRE_OK(t, kw_ledger_want(ledger, &charge, wants, &any));
            for (size_t at = 0; at < KW_CLAIMS_MAX; at++) {
                wants[at].granted = wants[at].amount;
                wants[at].taken = KW_AMOUNT_ONE * (request + 1);
            }
            kw_ledger_fund(ledger, &charge, wants, true);
            REQUIRE_OK(t, kw_ledger_charge(ledger, &charge, &charged));
        }
        CHECK_I64(t, charged.outcome, request < 2 ? KW_CHARGE_ADMITTED : KW_CHARGE_RATE_LIMITED);
    }
    kw_index_read_end();
    kw_ledger_free(ledger);
}

/* Of accounts of one limit, whatever their number; a chunk that is not full yet aside. */
static void a_limit_in_use_costs_300_bytes_at_most(struct test *t)
{
    struct kw_ledger *ledger;
    struct kw_ledger_counts counts, empty;
    REQUIRE_OK(t, kw_ledger_new(false, &ledger));
    kw_ledger_count(ledger, &empty);
    for (size_t line = 1; line <= 120000; line++) {
        uint64_t place = 0;
        struct kw_charged charged;
        struct kw_charge charge = {
            .accounts = {{lineage_of(line), &place}}, .claims = claims, .claim_count = 1, .now_ms = 1000000, .cost = 1};
        kw_index_read_begin();
        CHECK_STATUS(t, kw_ledger_charge(ledger, &charge, &charged), KW_OK);
        kw_index_read_end();
        if (line % 2000 == 0) {
            kw_ledger_count(ledger, &counts);
            CHECK_I64(t, counts.slots, line);
            CHECK(t, counts.bytes - empty.bytes <= 300 * line + KW_CHUNK_BYTES);
        }
    }
    kw_ledger_free(ledger);
}

/* What is idle takes no memory, and where it was others are kept. */
static void idle_lines_are_given_up(struct test *t)
{
    static struct shared shared;
    struct kw_ledger_counts counts, empty;
    shared = (struct shared){.now_ms = 1000000};
    REQUIRE_OK(t, kw_ledger_new(false, &shared.ledger));
    kw_ledger_count(shared.ledger, &empty);
    for (int round = 0; round < 5; round++) {
        for (size_t line = 0; line < LINES; line++) {
            spend(&shared, line, LIMIT);
        }
        kw_ledger_count(shared.ledger, &counts);
        CHECK_I64(t, counts.slots, 2 * LINES);
        CHECK(t, counts.bytes > empty.bytes);
        for (int i = 0; i < 4; i++) {
            kw_ledger_sweep(shared.ledger, shared.now_ms + 2 * WINDOW_MS - 1);
        }
        kw_ledger_count(shared.ledger, &counts);
        CHECK_I64(t, counts.slots, 2 * LINES);
        for (int i = 0; i < 4; i++) {
            kw_ledger_sweep(shared.ledger, shared.now_ms + 2 * WINDOW_MS);
        }
        kw_ledger_count(shared.ledger, &counts);
        CHECK_I64(t, counts.slots, 0);
        CHECK_I64(t, counts.bytes, empty.bytes);
        /* The clock steps back: who was given up at a later time is held to that. */
        spend(&shared, 0, LIMIT);
        spend(&shared, 0, 1);
        CHECK_I64(t, shared.admitted[0], 2 * (round + 1) * LIMIT);
        shared.now_ms += 4 * WINDOW_MS;
    }
    kw_ledger_free(shared.ledger);
}

static enum kw_charge_outcome charge_at(struct kw_ledger *ledger, int64_t window_ms, int64_t now_ms)
{
    uint64_t place = 0;
    struct kw_claim claim = {.id = 11, .limit = {.requests = LIMIT, .window_ms = window_ms}};
    struct kw_charged charged = {.outcome = KW_CHARGE_UNFUNDED};
    struct kw_charge charge = {
        .accounts = {{lineage_of(0), &place}}, .claims = &claim, .claim_count = 1, .now_ms = now_ms, .cost = LIMIT};
    kw_index_read_begin();
    (void)!kw_ledger_charge(ledger, &charge, &charged);
    kw_index_read_end();
    return charged.outcome;
}

/* What was spent is forgiven neither by the change nor by the sweep that finds the old window to be over. */
static void a_limit_made_longer_is_kept_though_it_only_refuses(struct test *t)
{
    struct kw_ledger *ledger;
    REQUIRE_OK(t, kw_ledger_new(false, &ledger));
    CHECK_I64(t, charge_at(ledger, WINDOW_MS, 1000000), KW_CHARGE_ADMITTED);
    CHECK_I64(t, charge_at(ledger, 60 * WINDOW_MS, 1000000 + WINDOW_MS / 2), KW_CHARGE_RATE_LIMITED);
    for (int i = 0; i < 4; i++) {
        kw_ledger_sweep(ledger, 1000000 + 2 * WINDOW_MS);
    }
    CHECK_I64(t, charge_at(ledger, 60 * WINDOW_MS, 1000000 + 60 * WINDOW_MS - 1), KW_CHARGE_RATE_LIMITED);
    CHECK_I64(t, charge_at(ledger, 60 * WINDOW_MS, 1000000 + 60 * WINDOW_MS), KW_CHARGE_ADMITTED);
    kw_ledger_free(ledger);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(threads_spend_the_limit_exactly),
        TEST_CASE(idle_lines_are_given_up),
        TEST_CASE(all_that_comes_from_above_finds_room),
        TEST_CASE(a_limit_in_use_costs_300_bytes_at_most),
        TEST_CASE(a_limit_made_longer_is_kept_though_it_only_refuses),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
