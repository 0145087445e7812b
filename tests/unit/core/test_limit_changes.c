#include "core/limit.h"
#include "limit_log.h"

static struct kw_rate_limit limit_of(uint32_t requests, int64_t window_ms)
{
    return (struct kw_rate_limit){.name = KW_BYTES("default"), .requests = requests, .window_ms = window_ms};
}

static struct kw_limit_answer take(struct kw_limit_state *state, const struct kw_rate_limit *limit, int64_t now_ms,
                                   uint32_t cost)
{
    struct kw_limit_use use = {.limit = limit, .state = state};
    bool is_taken = kw_limits_take(&use, 1, now_ms, cost);
    (void)is_taken; /* the answer says it too */
    return use.answer;
}

static void a_lowered_limit_forgives_nothing(struct test *t)
{
    struct kw_rate_limit high = limit_of(1000, 1000), low = limit_of(10, 1000);
    struct kw_limit_state state = {0};
    for (int64_t at = 0; at < 1000; at++) {
        CHECK(t, take(&state, &high, at, 1).is_admitted);
    }
    struct kw_limit_answer refused = take(&state, &low, 1000, 1);
    CHECK(t, !refused.is_admitted);
    CHECK_I64(t, refused.remaining, 0);
    /* The newest ten are at 990 to 999, in buckets of 17. */
    CHECK(t, refused.retry_after_ms >= 990 && refused.retry_after_ms <= 999);
    /* Raised again, it is as if nothing had been: one has left the window, a bucket of seventeen a little later. */
    CHECK(t, !take(&state, &high, 1015, 1).is_admitted);
    CHECK_I64(t, take(&state, &high, 1016, 1).remaining, 16);
}

static void a_raised_limit_admits_the_difference(struct test *t)
{
    struct kw_rate_limit low = limit_of(10, 1000), high = limit_of(500, 1000);
    struct kw_limit_state state = {0};
    CHECK(t, take(&state, &low, 0, 10).is_admitted);
    CHECK(t, !take(&state, &low, 1, 1).is_admitted);
    CHECK_I64(t, take(&state, &high, 2, 1).remaining, 489);
    CHECK(t, take(&state, &high, 3, 489).is_admitted);
    CHECK(t, !take(&state, &high, 4, 1).is_admitted);
}

static void a_changed_window_counts_what_the_old_one_held(struct test *t)
{
    struct kw_rate_limit shorter = limit_of(100, 1000), longer = limit_of(100, 60000);
    struct kw_limit_state state = {0};
    CHECK(t, take(&state, &shorter, 0, 100).is_admitted);
    CHECK(t, !take(&state, &shorter, 999, 1).is_admitted);
    CHECK(t, !take(&state, &longer, 59999, 1).is_admitted); /* nothing was spent since, so it was not forgotten */
    CHECK(t, take(&state, &shorter, 1000, 1).is_admitted);  /* now it is */
    CHECK_I64(t, take(&state, &longer, 1001, 99).remaining, 0);
    CHECK(t, !take(&state, &longer, 60999, 1).is_admitted);
    CHECK(t, take(&state, &longer, 61001, 100).is_admitted);
}

/*
 * Limits change at random. What the state may forget is what had left the window at some spending; everything else
 * counts against whatever the limit is now. A whole window after the last change the bound on refusals holds again.
 */
static void changes_in_flight_forgive_nothing(struct test *t)
{
    static const uint32_t ceilings[] = {3, 59, 62, 300, 5000, 100000, KW_RATE_LIMIT_REQUESTS_MAX};
    static struct log log;
    for (int run = 0; run < 400; run++) {
        struct kw_rate_limit limit = limit_of(100, 1000);
        struct kw_limit_state state = {0};
        struct arrivals manner = arrivals_random(t, &limit);
        int64_t now_ms = 1000000, forgotten_ms = 0, changed_ms = 0;
        log_reset(&log);
        for (int arrival = 0; arrival < 2500; arrival++) {
            now_ms += arrivals_gap(t, &manner, &log, now_ms);
            if (test_random_below(t, 100) == 0) {
                uint32_t ceiling = ceilings[test_random_below(t, KW_COUNT_OF(ceilings))];
                limit = limit_of((uint32_t)test_random_below(t, ceiling) + 1, (int64_t)test_random_below(t, 3000) + 1);
                manner = arrivals_random(t, &limit);
                changed_ms = now_ms;
            }
            uint32_t cost = arrivals_cost(t, &manner, &limit);
            int64_t from_ms = now_ms - limit.window_ms > forgotten_ms ? now_ms - limit.window_ms : forgotten_ms;
            int64_t spent = log_sum(&log, now_ms, now_ms - from_ms);
            struct kw_limit_answer answer = take(&state, &limit, now_ms, cost);
            REQUIRE(t, !answer.is_admitted || spent + cost <= limit.requests);
            REQUIRE(t, answer.is_admitted || answer.is_never || now_ms < changed_ms + limit.window_ms ||
                           (spent + cost) * 60 > limit.requests * 59);
            if (answer.is_admitted) {
                log_add(&log, now_ms, cost);
                forgotten_ms = from_ms;
            }
            manner.hint_ms = answer.retry_after_ms;
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_lowered_limit_forgives_nothing),
        TEST_CASE(a_raised_limit_admits_the_difference),
        TEST_CASE(a_changed_window_counts_what_the_old_one_held),
        TEST_CASE(changes_in_flight_forgive_nothing),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
