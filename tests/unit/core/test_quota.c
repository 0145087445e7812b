#include "core/amount.h"
#include "core/quota.h"
#include "support/test.h"

#define HOUR_MS INT64_C(3600000)
#define ONE KW_AMOUNT_ONE

static struct kw_quota quota_of(int64_t limit, enum kw_quota_exceeded on_exceeded)
{
    return (struct kw_quota){.limit = limit,
                             .period = KW_PERIOD_HOUR,
                             .anchor_ms = KW_PERIOD_UTC,
                             .metric = KW_BYTES("requests"),
                             .on_exceeded = on_exceeded,
                             .mark_count = 2,
                             .marks = {80, 100}};
}

/* --- A store of one allowance a period, and lives that end in crashes and clean stops --- */

#define PERIODS 64

struct world {
    struct kw_quota quota;
    struct kw_quota_state state;
    int64_t taken[PERIODS];    /* by hour, in the store */
    int64_t admitted[PERIODS]; /* over all lives */
    int64_t lost[PERIODS];     /* in crashes */
};

static size_t hour_of(int64_t start_ms)
{
    return (size_t)(start_ms / HOUR_MS) % PERIODS;
}

static void reserve(struct test *t, struct world *world, int64_t now_ms, int64_t amount)
{
    struct kw_span period = kw_quota_period(&world->state, &world->quota, now_ms);
    int64_t wanted = kw_quota_wanted(&world->state, &world->quota, now_ms, amount);
    int64_t *taken = &world->taken[hour_of(period.start_ms)];
    int64_t ceiling = kw_quota_ceiling(&world->quota);
    int64_t left = ceiling > *taken ? ceiling - *taken : 0;
    int64_t granted = wanted < left ? wanted : left;
    *taken += granted;
    CHECK(t, kw_quota_grant(&world->state, &world->quota, period.start_ms, granted, *taken));
}

/* As the engine will do it: look, reserve where that is asked for, look again, spend. */
static struct kw_quota_answer ask(struct test *t, struct world *world, int64_t now_ms, int64_t amount)
{
    struct kw_quota_answer answer = kw_quota_look(&world->state, &world->quota, now_ms, amount);
    for (int tries = 0; answer.outcome == KW_QUOTA_UNFUNDED && tries < 2; tries++) {
        reserve(t, world, now_ms, amount);
        answer = kw_quota_look(&world->state, &world->quota, now_ms, amount);
    }
    CHECK(t, answer.outcome != KW_QUOTA_UNFUNDED);
    if (answer.outcome == KW_QUOTA_ADMITTED || answer.outcome == KW_QUOTA_OVER) {
        kw_quota_spend(&world->state, &world->quota, now_ms, amount);
        kw_quota_tell(&world->state, &world->quota, answer.marks);
    }
    return answer;
}

static void crash(struct world *world)
{
    world->lost[hour_of(world->state.period.start_ms)] += kw_quota_unspent(&world->state);
    world->state = (struct kw_quota_state){0};
}

static void stop(struct test *t, struct world *world)
{
    int64_t unspent = kw_quota_unspent(&world->state);
    int64_t start_ms = world->state.period.start_ms;
    int64_t *taken = &world->taken[hour_of(start_ms)];
    *taken -= unspent;
    CHECK(t, kw_quota_grant(&world->state, &world->quota, start_ms, -unspent, *taken));
    CHECK_I64(t, kw_quota_unspent(&world->state), 0);
    world->state = (struct kw_quota_state){0};
}

static void the_whole_limit_is_admitted_and_no_more(struct test *t)
{
    struct world world = {.quota = quota_of(1000 * ONE, KW_QUOTA_BLOCK)};
    for (int i = 1; i <= 1000; i++) {
        struct kw_quota_answer answer = ask(t, &world, HOUR_MS + i, ONE);
        REQUIRE(t, answer.outcome == KW_QUOTA_ADMITTED);
        CHECK_I64(t, answer.used, i * ONE);
        CHECK_I64(t, answer.remaining, (1000 - i) * ONE);
        CHECK_I64(t, answer.resets_at_ms, 2 * HOUR_MS);
        CHECK_I64(t, answer.marks, i == 800 ? 1 : i == 1000 ? 2 : 0);
    }
    struct kw_quota_answer refused = ask(t, &world, 2 * HOUR_MS - 1, ONE);
    CHECK_I64(t, refused.outcome, KW_QUOTA_REFUSED);
    CHECK_I64(t, refused.remaining, 0);
    CHECK_I64(t, refused.resets_at_ms, 2 * HOUR_MS);
    CHECK_I64(t, ask(t, &world, 2 * HOUR_MS - 1, 0).outcome, KW_QUOTA_REFUSED);
    CHECK_I64(t, ask(t, &world, 2 * HOUR_MS, ONE).outcome, KW_QUOTA_ADMITTED);
    /* The clock steps back: the new hour it is, and stays. */
    CHECK_I64(t, ask(t, &world, HOUR_MS, ONE).used, 2 * ONE);
    CHECK_I64(t, ask(t, &world, HOUR_MS, ONE).resets_at_ms, 3 * HOUR_MS);
}

static void what_is_over_warns(struct test *t)
{
    struct world world = {.quota = quota_of(10 * ONE, KW_QUOTA_WARN)};
    CHECK_I64(t, ask(t, &world, 5, 7 * ONE).outcome, KW_QUOTA_ADMITTED);
    struct kw_quota_answer over = ask(t, &world, 6, 5 * ONE);
    CHECK_I64(t, over.outcome, KW_QUOTA_OVER);
    CHECK_I64(t, over.used, 12 * ONE);
    CHECK_I64(t, over.remaining, 0);
    CHECK_I64(t, over.marks, 3);
    CHECK_I64(t, ask(t, &world, 7, ONE).marks, 0);
    CHECK_I64(t, ask(t, &world, 7, 0).used, 13 * ONE);
    world.quota.limit = 20 * ONE;
    CHECK_I64(t, ask(t, &world, 8, 7 * ONE).outcome, KW_QUOTA_ADMITTED);
    CHECK_I64(t, ask(t, &world, 8, 1).outcome, KW_QUOTA_OVER);
}

/* Two quotas that count the same, of which the second was never granted anything itself. */
static void what_an_earlier_life_has_told_of_is_not_told_again(struct test *t)
{
    struct world world = {.quota = quota_of(100 * ONE, KW_QUOTA_BLOCK)};
    struct kw_quota soft = quota_of(50 * ONE, KW_QUOTA_WARN);
    soft.told_at = 1;
    CHECK_I64(t, ask(t, &world, 1, 45 * ONE).outcome, KW_QUOTA_ADMITTED);
    CHECK_I64(t, kw_quota_look(&world.state, &soft, 2, 0).marks, 1);
    kw_quota_tell(&world.state, &soft, 1);
    CHECK_I64(t, ask(t, &world, 2, 35 * ONE).marks, 1);
    CHECK_I64(t, kw_quota_look(&world.state, &soft, 3, 0).marks, 2);
    kw_quota_tell(&world.state, &soft, 2);
    stop(t, &world);
    CHECK_I64(t, ask(t, &world, 4, ONE).marks, 0);
    CHECK_I64(t, kw_quota_look(&world.state, &soft, 4, 0).marks, 0);
    CHECK_I64(t, ask(t, &world, HOUR_MS, 40 * ONE).marks, 0); /* another hour: all may be told of once more */
    CHECK_I64(t, kw_quota_look(&world.state, &soft, HOUR_MS, 0).marks, 1);
    kw_quota_tell(&world.state, &soft, 1);
    stop(t, &world);
    CHECK_I64(t, ask(t, &world, HOUR_MS, 10 * ONE).marks, 0);
    CHECK_I64(t, kw_quota_look(&world.state, &soft, HOUR_MS, 0).marks, 2); /* which this life has reached */
    /* What a commit of unknown outcome took counts as used, and nobody was told of that. */
    world.taken[1] += 40 * ONE;
    CHECK_I64(t, ask(t, &world, HOUR_MS, 4 * ONE).marks, 1);
    world.taken[1] -= 40 * ONE;
    /* Asked for itself it knows the same. */
    CHECK(t, kw_quota_grant(&world.state, &soft, HOUR_MS, 0, world.taken[1]));
    CHECK_I64(t, kw_quota_look(&world.state, &soft, HOUR_MS, 0).marks, 2);
}

static void a_changed_limit_forgives_nothing(struct test *t)
{
    struct world world = {.quota = quota_of(100 * ONE, KW_QUOTA_BLOCK)};
    CHECK_I64(t, ask(t, &world, 1, 40 * ONE).outcome, KW_QUOTA_ADMITTED);
    world.quota.limit = 30 * ONE;
    struct kw_quota_answer refused = ask(t, &world, 2, 1);
    CHECK_I64(t, refused.outcome, KW_QUOTA_REFUSED);
    CHECK_I64(t, refused.used, 40 * ONE);
    CHECK_I64(t, refused.remaining, 0);
    world.quota.limit = 50 * ONE;
    CHECK_I64(t, ask(t, &world, 3, 10 * ONE).outcome, KW_QUOTA_ADMITTED);
    CHECK_I64(t, ask(t, &world, 4, 1).outcome, KW_QUOTA_REFUSED);
    world.quota.limit = 0;
    CHECK_I64(t, ask(t, &world, HOUR_MS, 0).outcome, KW_QUOTA_REFUSED);
}

static void a_late_grant_of_an_earlier_period_is_dropped(struct test *t)
{
    struct kw_quota quota = quota_of(100 * ONE, KW_QUOTA_BLOCK);
    struct kw_quota_state state = {0};
    CHECK(t, kw_quota_grant(&state, &quota, HOUR_MS, 5 * ONE, 5 * ONE));
    CHECK(t, !kw_quota_grant(&state, &quota, 0, 5 * ONE, 5 * ONE));
    CHECK_I64(t, kw_quota_unspent(&state), 5 * ONE);
    CHECK(t, kw_quota_grant(&state, &quota, 2 * HOUR_MS, 3 * ONE, 3 * ONE));
    CHECK_I64(t, kw_quota_unspent(&state), 3 * ONE);
}

static void the_reserve_is_filled_ahead_of_use(struct test *t)
{
    struct kw_quota quota = quota_of(3200 * ONE, KW_QUOTA_BLOCK);
    struct kw_quota_state state = {0};
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 0), 100 * ONE);
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 500 * ONE), 500 * ONE);
    CHECK(t, kw_quota_grant(&state, &quota, 0, 100 * ONE, 100 * ONE));
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 0), 0);
    kw_quota_spend(&state, &quota, 0, 49 * ONE);
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 0), 0);
    kw_quota_spend(&state, &quota, 0, ONE);
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 0), 100 * ONE);
    CHECK(t, kw_quota_grant(&state, &quota, 0, 0, 3150 * ONE)); /* others took the rest but for 50 */
    CHECK_I64(t, kw_quota_wanted(&state, &quota, 0, 0), 50 * ONE);
    CHECK_I64(t, kw_quota_wanted(&state, &quota, HOUR_MS, 0), 100 * ONE);
    CHECK_I64(t, kw_quota_wanted(&state, &quota, HOUR_MS, 3201 * ONE), 100 * ONE); /* more than there can be */
}

static void what_was_spent_before_is_asked_for(struct test *t)
{
    struct world world = {.quota = quota_of(10 * ONE, KW_QUOTA_BLOCK), .taken = {10 * ONE}};
    CHECK_I64(t, kw_quota_look(&world.state, &world.quota, 1, 0).outcome, KW_QUOTA_UNFUNDED);
    CHECK_I64(t, ask(t, &world, 1, 0).outcome, KW_QUOTA_REFUSED);
    CHECK_I64(t, ask(t, &world, 1, 0).used, 10 * ONE);
}

/*
 * Many lives: the total admitted never passes the limit, each crash loses no more than a share and a half or one
 * request's amount, and where something was refused no more was left than the request wanted and crashes lost.
 */
static void crashes_never_give_back(struct test *t)
{
    for (int run = 0; run < 300; run++) {
        struct world world = {.quota = quota_of((int64_t)test_random_below(t, 4000 * ONE) + 1, KW_QUOTA_BLOCK)};
        int64_t cost_max = (int64_t)test_random_below(t, 20 * ONE) + 1;
        int64_t now_ms = 0;
        for (int i = 0; i < 4000 && now_ms < (PERIODS - 1) * HOUR_MS; i++) {
            now_ms += (int64_t)test_random_below(t, 30000);
            int64_t read_ms = now_ms - (test_random_below(t, 10) == 0 ? (int64_t)test_random_below(t, 600000) : 0);
            int64_t amount = (int64_t)test_random_below(t, (uint64_t)cost_max) + 1;
            struct kw_quota_state before = world.state;
            struct kw_quota_answer answer = ask(t, &world, read_ms, amount);
            if (before.period.start_ms != world.state.period.start_ms) {
                world.lost[hour_of(before.period.start_ms)] += kw_quota_unspent(&before);
            }
            size_t hour = hour_of(answer.resets_at_ms - HOUR_MS);
            bool is_admitted = answer.outcome == KW_QUOTA_ADMITTED;
            world.admitted[hour] += is_admitted ? amount : 0;
            REQUIRE(t, world.admitted[hour] <= world.quota.limit);
            REQUIRE(t, answer.used == world.admitted[hour] + world.lost[hour]);
            REQUIRE(t, is_admitted || world.admitted[hour] + world.lost[hour] + amount > world.quota.limit);
            int64_t share = world.quota.limit / KW_QUOTA_SHARES;
            share = share > ONE ? share : ONE;
            int64_t loss_max = cost_max > share + share / 2 ? cost_max : share + share / 2;
            REQUIRE(t, kw_quota_unspent(&world.state) <= loss_max);
            if (test_random_below(t, 60) == 0) {
                crash(&world);
            } else if (test_random_below(t, 60) == 0) {
                stop(t, &world);
            }
            REQUIRE(t, t->failures == 0);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_whole_limit_is_admitted_and_no_more),
        TEST_CASE(what_is_over_warns),
        TEST_CASE(what_an_earlier_life_has_told_of_is_not_told_again),
        TEST_CASE(a_changed_limit_forgives_nothing),
        TEST_CASE(a_late_grant_of_an_earlier_period_is_dropped),
        TEST_CASE(the_reserve_is_filled_ahead_of_use),
        TEST_CASE(what_was_spent_before_is_asked_for),
        TEST_CASE(crashes_never_give_back),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
