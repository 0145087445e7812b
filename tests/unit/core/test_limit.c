#include "core/limit.h"
#include "limit_log.h"

#define MINUTE_MS 60000

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

/* --- By hand --- */

static void the_limit_is_admitted_and_no_more(struct test *t)
{
    struct kw_rate_limit limit = limit_of(3, 1000);
    struct kw_limit_state state = {0};
    CHECK_I64(t, take(&state, &limit, 5000, 1).remaining, 2);
    CHECK_I64(t, take(&state, &limit, 5400, 1).remaining, 1);
    struct kw_limit_answer last = take(&state, &limit, 5900, 1);
    CHECK(t, last.is_admitted);
    CHECK_I64(t, last.remaining, 0);
    CHECK_I64(t, last.resets_at_ms, 6900);

    struct kw_limit_answer refused = take(&state, &limit, 5999, 1);
    CHECK(t, !refused.is_admitted && !refused.is_never);
    CHECK_I64(t, refused.remaining, 0);
    CHECK_I64(t, refused.retry_after_ms, 1); /* the first has left the window at 6000 */
    CHECK_I64(t, take(&state, &limit, 5999, 2).retry_after_ms, 401);
    CHECK_I64(t, take(&state, &limit, 5999, 3).retry_after_ms, 901);
    CHECK(t, take(&state, &limit, 6000, 1).is_admitted);
    CHECK(t, !take(&state, &limit, 6399, 1).is_admitted);
    CHECK(t, take(&state, &limit, 6400, 1).is_admitted);
}

static void a_cost_above_the_limit_is_refused_for_ever(struct test *t)
{
    struct kw_rate_limit limit = limit_of(10, MINUTE_MS);
    struct kw_limit_state state = {0};
    struct kw_limit_answer refused = take(&state, &limit, 0, 11);
    CHECK(t, !refused.is_admitted && refused.is_never);
    CHECK_I64(t, refused.retry_after_ms, 0);
    CHECK_I64(t, refused.remaining, 10);
    CHECK(t, take(&state, &limit, 0, 10).is_admitted);
}

/* A whole limit less a sixtieth at once, again and again as early as the window allows: with buckets of time instead of
 * cost the second would be refused. */
static void bursts_a_window_apart_are_admitted(struct test *t)
{
    struct kw_rate_limit limit = limit_of(6000, MINUTE_MS);
    struct kw_limit_state state = {0};
    for (int burst = 0; burst < 10; burst++) {
        for (int i = 0; i < 5900; i++) {
            REQUIRE(t, take(&state, &limit, 12345 + burst * (int64_t)MINUTE_MS, 1).is_admitted);
        }
    }
}

static void a_clock_that_steps_back_admits_no_more(struct test *t)
{
    struct kw_rate_limit limit = limit_of(100, 1000);
    struct kw_limit_state state = {0};
    CHECK(t, take(&state, &limit, 100000, 60).is_admitted);
    CHECK(t, take(&state, &limit, 40000, 40).is_admitted);
    struct kw_limit_answer refused = take(&state, &limit, 50000, 1);
    CHECK(t, !refused.is_admitted);
    CHECK_I64(t, refused.retry_after_ms, 51000);
    CHECK_I64(t, refused.resets_at_ms, 101000);
    CHECK(t, !take(&state, &limit, 100999, 1).is_admitted);
    CHECK(t, take(&state, &limit, 101000, 1).is_admitted);
}

static void the_largest_limits_fit(struct test *t)
{
    struct kw_rate_limit limit = limit_of(KW_RATE_LIMIT_REQUESTS_MAX, KW_RATE_LIMIT_WINDOW_MS_MAX);
    struct kw_limit_state state = {0};
    int64_t late_ms = INT64_C(253402300799999);
    CHECK(t, take(&state, &limit, 1, KW_COST_MAX - 1).is_admitted);
    CHECK(t, take(&state, &limit, KW_RATE_LIMIT_WINDOW_MS_MAX, 1).is_admitted);
    CHECK_I64(t, take(&state, &limit, KW_RATE_LIMIT_WINDOW_MS_MAX, 1).retry_after_ms, 1);
    uint32_t rest = KW_COST_MAX - KW_COST_MAX / KW_LIMIT_BUCKET_COUNT - 1;
    CHECK(t, take(&state, &limit, KW_RATE_LIMIT_WINDOW_MS_MAX + 1, rest).is_admitted);
    CHECK(t, take(&state, &limit, late_ms, KW_COST_MAX).is_admitted);
    CHECK(t, !take(&state, &limit, late_ms + KW_RATE_LIMIT_WINDOW_MS_MAX - 1, 1).is_admitted);
    CHECK(t, take(&state, &limit, late_ms + KW_RATE_LIMIT_WINDOW_MS_MAX, 1).is_admitted);
}

/* --- Against a log --- */

static struct kw_rate_limit random_limit(struct test *t)
{
    static const uint32_t ceilings[] = {3, 60, 62, 130, 1000, 100000, KW_RATE_LIMIT_REQUESTS_MAX};
    static const int64_t windows[] = {1, 2, 7, 60, 1000, MINUTE_MS, KW_RATE_LIMIT_WINDOW_MS_MAX};
    uint32_t ceiling = ceilings[test_random_below(t, KW_COUNT_OF(ceilings))];
    return limit_of((uint32_t)test_random_below(t, ceiling) + 1, windows[test_random_below(t, KW_COUNT_OF(windows))]);
}

/* What an answer says about other times and costs is tried out on the state as it is. */
static void check_promises(struct test *t, const struct kw_limit_state *state, const struct kw_rate_limit *limit,
                           int64_t now_ms, uint32_t cost, const struct kw_limit_answer *answer)
{
    if (!answer->is_admitted && !answer->is_never) {
        int64_t retry_ms = now_ms + answer->retry_after_ms;
        CHECK(t, answer->retry_after_ms > 0);
        CHECK(t, kw_limit_look(state, limit, retry_ms, cost).is_admitted);
        CHECK(t, !kw_limit_look(state, limit, retry_ms - 1, cost).is_admitted);
    }
    CHECK(t, answer->is_never == (cost > limit->requests));
    CHECK(t, !kw_limit_look(state, limit, now_ms, answer->remaining + 1).is_admitted);
    CHECK(t, answer->remaining == 0 || kw_limit_look(state, limit, now_ms, answer->remaining).is_admitted);
    CHECK(t, kw_limit_look(state, limit, answer->resets_at_ms, limit->requests).is_admitted);
    bool is_fresh = answer->resets_at_ms <= now_ms;
    CHECK(t, is_fresh || !kw_limit_look(state, limit, answer->resets_at_ms - 1, limit->requests).is_admitted);
    CHECK(t, kw_limit_is_idle(state, limit, answer->resets_at_ms));
    CHECK(t, is_fresh || !kw_limit_is_idle(state, limit, answer->resets_at_ms - 1));
}

/* One caller with one limit and one manner, a few thousand arrivals long. */
static bool run_arrivals(struct test *t, struct log *log, bool steps_back, size_t arrivals)
{
    struct kw_rate_limit limit = random_limit(t);
    struct kw_limit_state state = {0};
    struct arrivals manner = arrivals_random(t, &limit);
    int64_t real_ms = (int64_t)test_random_below(t, INT64_C(4000000000000));
    int64_t behind_ms = 0;
    log_reset(log);
    for (size_t i = 0; i < arrivals; i++) {
        real_ms += arrivals_gap(t, &manner, log, real_ms);
        behind_ms += steps_back && test_random_below(t, 50) == 0 ? (int64_t)test_random_below(t, 3000) : 0;
        int64_t now_ms = real_ms - behind_ms;
        uint32_t cost = arrivals_cost(t, &manner, &limit);
        struct kw_limit_answer answer = take(&state, &limit, now_ms, cost);
        if (answer.is_admitted) {
            log_add(log, real_ms, cost);
        }
        int64_t spent = log_sum(log, real_ms, limit.window_ms);
        CHECK(t, spent <= limit.requests);
        CHECK(t, spent + answer.remaining <= limit.requests);
        bool is_early = !answer.is_admitted && !steps_back && (spent + cost) * 60 <= limit.requests * 59;
        CHECK(t, !is_early);
        if (i % 8 == 0) {
            check_promises(t, &state, &limit, now_ms, cost, &answer);
        }
        if (!steps_back && kw_limit_is_idle(&state, &limit, now_ms)) {
            state = (struct kw_limit_state){0};
        }
        manner.hint_ms = answer.retry_after_ms;
        if (t->failures > 0) {
            test_fail(t, __FILE__, __LINE__, "arrival %zu: %lld in %lld ms, cost %u at %lld, spent %lld", i,
                      (long long)limit.requests, (long long)limit.window_ms, cost, (long long)real_ms,
                      (long long)spent);
            return false;
        }
    }
    return true;
}

static void no_window_holds_more_than_the_limit(struct test *t)
{
    static struct log log;
    for (int run = 0; run < 700; run++) {
        REQUIRE(t, run_arrivals(t, &log, false, 3000));
    }
}

static void no_window_holds_more_when_the_clock_stands_or_steps_back(struct test *t)
{
    static struct log log;
    for (int run = 0; run < 300; run++) {
        REQUIRE(t, run_arrivals(t, &log, true, 3000));
    }
}

/* --- Written down, and read again --- */

static bool states_equal(const struct kw_limit_state *a, const struct kw_limit_state *b)
{
    struct kw_rate_limit limit = limit_of(1, 1);
    uint8_t notes[2][KW_LIMIT_NOTE_MAX];
    return kw_bytes_equal(kw_bytes_of(notes[0], kw_limit_write(a, &limit, 0, notes[0])),
                          kw_bytes_of(notes[1], kw_limit_write(b, &limit, 0, notes[1])));
}

static void a_note_holds_the_state(struct test *t)
{
    for (int run = 0; run < 200; run++) {
        struct kw_rate_limit limit = random_limit(t);
        struct kw_limit_state state = {0};
        struct kw_limit_state again;
        struct arrivals manner = arrivals_random(t, &limit);
        static struct log log;
        int64_t now_ms = 1000000;
        log_reset(&log);
        for (int i = 0; i < 200; i++) {
            uint8_t note[KW_LIMIT_NOTE_MAX];
            now_ms += arrivals_gap(t, &manner, &log, now_ms);
            manner.hint_ms = take(&state, &limit, now_ms, arrivals_cost(t, &manner, &limit)).retry_after_ms;
            size_t size = kw_limit_write(&state, &limit, 0, note);
            REQUIRE_OK(t, kw_limit_read(kw_bytes_of(note, size), now_ms, &again));
            REQUIRE(t, states_equal(&state, &again));
            CHECK_STATUS(t, kw_limit_read(kw_bytes_of(note, size - 1), now_ms, &again), KW_E_CORRUPT);
        }
    }
}

/* A caller whose process is killed now and then: what it spent since the last note is at most the note's reserve. */
static bool run_lives(struct test *t, struct log *log, size_t arrivals)
{
    struct kw_rate_limit limit = random_limit(t);
    struct kw_limit_state state = {0};
    struct arrivals manner = arrivals_random(t, &limit);
    uint8_t note[KW_LIMIT_NOTE_MAX];
    size_t note_size = 0;
    uint32_t reserve = 0;
    int64_t now_ms = 1000000;
    log_reset(log);
    for (size_t i = 0; i < arrivals; i++) {
        now_ms += arrivals_gap(t, &manner, log, now_ms);
        if (note_size > 0 && test_random_below(t, 40) == 0) {
            CHECK_STATUS(t, kw_limit_read(kw_bytes_of(note, note_size), now_ms, &state), KW_OK);
            reserve = 0;
        }
        uint32_t cost = arrivals_cost(t, &manner, &limit);
        if (cost > reserve) {
            reserve = cost + (uint32_t)test_random_below(t, (uint64_t)limit.requests / 32 + 1);
            note_size = kw_limit_write(&state, &limit, reserve, note);
        }
        struct kw_limit_answer answer = take(&state, &limit, now_ms, cost);
        if (answer.is_admitted) {
            log_add(log, now_ms, cost);
            reserve -= cost;
        }
        manner.hint_ms = answer.retry_after_ms;
        if (log_sum(log, now_ms, limit.window_ms) > limit.requests) {
            test_fail(t, __FILE__, __LINE__, "arrival %zu: more than %lld in %lld ms", i, (long long)limit.requests,
                      (long long)limit.window_ms);
            return false;
        }
    }
    return true;
}

static void no_window_holds_more_over_many_lives(struct test *t)
{
    static struct log log;
    for (int run = 0; run < 400; run++) {
        REQUIRE(t, run_lives(t, &log, 2000));
    }
}

/* The limit was raised after the note was written, and the reserve was spent under that. */
static void a_reserve_counts_beyond_the_limit(struct test *t)
{
    static const uint32_t requests[] = {1, 2, 59, 60, 61, 500, 1000000, KW_RATE_LIMIT_REQUESTS_MAX / 2};
    for (size_t i = 0; i < KW_COUNT_OF(requests); i++) {
        struct kw_rate_limit limit = limit_of(requests[i], 1000);
        struct kw_limit_state state = {0};
        struct kw_limit_state again;
        uint8_t note[KW_LIMIT_NOTE_MAX];
        uint32_t reserve = requests[i] / 32 + 1;
        for (uint32_t spent = 0; spent < requests[i]; spent += requests[i] / 50 + 1) {
            uint32_t left = requests[i] - spent;
            CHECK(t,
                  take(&state, &limit, 1000000, left < requests[i] / 50 + 1 ? left : requests[i] / 50 + 1).is_admitted);
        }
        size_t size = kw_limit_write(&state, &limit, reserve, note);
        REQUIRE_OK(t, kw_limit_read(kw_bytes_of(note, size), 1000500, &again));
        limit.requests *= 2;
        CHECK_I64(t, kw_limit_look(&again, &limit, 1000999, 1).remaining, requests[i] - reserve);
        uint32_t later = kw_limit_look(&again, &limit, 1001499, 1).remaining;
        CHECK(t, later <= 2 * requests[i] - reserve);
        CHECK(t, later >= 2 * requests[i] - reserve - (requests[i] + reserve) / 60);
        CHECK_I64(t, kw_limit_look(&again, &limit, 1001500, 1).remaining, 2 * requests[i]);
    }
}

/* --- Several at once --- */

static void all_limits_are_taken_or_none(struct test *t)
{
    enum { LIMITS = 4 };
    for (int run = 0; run < 300; run++) {
        struct kw_rate_limit limits[LIMITS];
        struct kw_limit_state states[LIMITS] = {0};
        for (size_t i = 0; i < LIMITS; i++) {
            limits[i] = limit_of((uint32_t)test_random_below(t, 200) + 1, (int64_t)test_random_below(t, 2000) + 1);
        }
        int64_t now_ms = 1000000;
        for (int arrival = 0; arrival < 500; arrival++) {
            now_ms += (int64_t)test_random_below(t, 60);
            uint32_t cost = (uint32_t)test_random_below(t, 4) + 1;
            struct kw_limit_use uses[LIMITS];
            struct kw_limit_state before[LIMITS];
            bool all_admit = true;
            for (size_t i = 0; i < LIMITS; i++) {
                uses[i] = (struct kw_limit_use){.limit = &limits[i], .state = &states[i]};
                before[i] = states[i];
                all_admit = all_admit && kw_limit_look(&states[i], &limits[i], now_ms, cost).is_admitted;
            }
            REQUIRE(t, kw_limits_take(uses, LIMITS, now_ms, cost) == all_admit);
            for (size_t i = 0; i < LIMITS; i++) {
                struct kw_limit_answer alone = kw_limit_look(&before[i], &limits[i], now_ms, cost);
                REQUIRE(t, uses[i].answer.is_admitted == alone.is_admitted);
                REQUIRE(t, uses[i].answer.remaining == alone.remaining - (all_admit ? cost : 0));
                REQUIRE(t, states_equal(&before[i], &states[i]) == !all_admit);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_limit_is_admitted_and_no_more),
        TEST_CASE(a_cost_above_the_limit_is_refused_for_ever),
        TEST_CASE(bursts_a_window_apart_are_admitted),
        TEST_CASE(a_clock_that_steps_back_admits_no_more),
        TEST_CASE(the_largest_limits_fit),
        TEST_CASE(no_window_holds_more_than_the_limit),
        TEST_CASE(no_window_holds_more_when_the_clock_stands_or_steps_back),
        TEST_CASE(a_note_holds_the_state),
        TEST_CASE(no_window_holds_more_over_many_lives),
        TEST_CASE(a_reserve_counts_beyond_the_limit),
        TEST_CASE(all_limits_are_taken_or_none),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
