#include "core/limit_list.h"
#include "records.h"

static struct kw_rate_limit limit_of(const char *name, int64_t requests, int64_t window_ms)
{
    return (struct kw_rate_limit){kw_bytes_of_text(name), requests, window_ms, KW_PER_KEY};
}

static void limits_are_packed_by_name(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 65536);
    const struct kw_rate_limit limits[] = {limit_of("z", 1, 2), limit_of("", KW_RATE_LIMIT_REQUESTS_MAX, 3),
                                           limit_of("a-long-name-of-thirty-two-bytes_", 7, KW_RATE_LIMIT_WINDOW_MS_MAX),
                                           limit_of("a", 5, 6)};
    static const size_t order[] = {3, 2, 1, 0};
    struct kw_list list;
    REQUIRE_OK(t, kw_rate_limits_check(limits, KW_COUNT_OF(limits), "rateLimits", NULL));
    REQUIRE(t, kw_rate_limits_pack(&arena, limits, KW_COUNT_OF(limits), &list));
    CHECK_I64(t, list.count, KW_COUNT_OF(limits));
    CHECK(t, kw_rate_limits_valid(&list));
    struct kw_bytes rest = list.packed;
    for (size_t i = 0; i < KW_COUNT_OF(limits); i++) {
        struct kw_rate_limit limit;
        const struct kw_rate_limit *expected = &limits[order[i]];
        REQUIRE(t, kw_rate_limits_next(&rest, &limit));
        CHECK_BYTES(t, limit.name, expected->name.size == 0 ? KW_BYTES("default") : expected->name);
        CHECK_I64(t, limit.requests, expected->requests);
        CHECK_I64(t, limit.window_ms, expected->window_ms);
    }
    CHECK_I64(t, rest.size, 0);
    REQUIRE(t, kw_rate_limits_pack(&arena, NULL, 0, &list));
    CHECK_I64(t, list.count + list.packed.size, 0);
    kw_arena_reset(&arena);
}

static void what_is_no_limit_is_refused_by_field(struct test *t)
{
    static const struct {
        const char *name;
        int64_t requests, window_ms;
        const char *field;
    } rows[] = {
        {"A", 1, 1, "rateLimits[1].name"},
        {"1a", 1, 1, "rateLimits[1].name"},
        {"a b", 1, 1, "rateLimits[1].name"},
        {"a-long-name-of-thirty-three-bytes", 1, 1, "rateLimits[1].name"},
        {"first", 1, 1, "rateLimits[1].name"},
        {"a", 0, 1, "rateLimits[1].requests"},
        {"a", -1, 1, "rateLimits[1].requests"},
        {"a", KW_RATE_LIMIT_REQUESTS_MAX + INT64_C(1), 1, "rateLimits[1].requests"},
        {"a", 1, 0, "rateLimits[1].window"},
        {"a", 1, KW_RATE_LIMIT_WINDOW_MS_MAX + 1, "rateLimits[1].window"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_error error = {.code = ""};
        const struct kw_rate_limit limits[] = {limit_of("first", 1, 1),
                                               limit_of(rows[i].name, rows[i].requests, rows[i].window_ms)};
        CHECK_STATUS(t, kw_rate_limits_check(limits, 2, "rateLimits", &error), KW_E_INVALID);
        CHECK_TEXT(t, error.field, rows[i].field);
    }
    struct kw_rate_limit many[KW_RATE_LIMIT_COUNT_MAX + 1] = {{.requests = 1, .window_ms = 1}};
    struct kw_error error = {.code = ""};
    CHECK_STATUS(t, kw_rate_limits_check(many, KW_COUNT_OF(many), "rateLimits", &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "rateLimits");
}

/* The worst that a caller can do who keeps to the limit: all of it at once, as soon as that may be. */
static int64_t most_in(const struct kw_rate_limit *limit, int64_t window_ms)
{
    int64_t sum = 0;
    for (int64_t at = 0; at < window_ms; at += limit->window_ms) {
        sum += limit->requests;
    }
    return sum;
}

static void within_is_what_the_worst_caller_can_do(struct test *t)
{
    size_t within = 0;
    enum { RUNS = 20000 };
    for (int run = 0; run < RUNS; run++) {
        struct kw_arena arena;
        struct kw_rate_limit limits[2][3];
        struct kw_list lists[2];
        size_t counts[2];
        kw_arena_init(&arena, NULL, 0, 65536);
        for (size_t side = 0; side < 2; side++) {
            static const char *const names[] = {"a", "b", "c"};
            counts[side] = test_random_below(t, 4);
            for (size_t i = 0; i < counts[side] && i < KW_COUNT_OF(names); i++) {
                limits[side][i] = limit_of(names[i], 1 + (int64_t)test_random_below(t, side == 0 ? 20 : 60),
                                           1 + (int64_t)test_random_below(t, 20));
            }
            REQUIRE(t, kw_rate_limits_pack(&arena, limits[side], counts[side], &lists[side]));
        }
        bool expected = true;
        for (size_t i = 0; i < counts[1]; i++) {
            bool is_kept = false;
            for (size_t j = 0; j < counts[0]; j++) {
                is_kept = is_kept || most_in(&limits[0][j], limits[1][i].window_ms) <= limits[1][i].requests;
            }
            expected = expected && is_kept;
        }
        REQUIRE(t, kw_rate_limits_within(&lists[0], &lists[1]) == expected);
        REQUIRE(t, kw_rate_limits_within(&lists[0], &lists[0]));
        within += expected;
        kw_arena_reset(&arena);
    }
    CHECK(t, within > RUNS / 10 && within < RUNS - RUNS / 10);
}

static void what_counts_for_more_keys_bounds_each_of_them(struct test *t)
{
    static const bool within[3][3] = {
        [KW_PER_KEY] = {true, false, false}, [KW_PER_OWNER] = {true, true, false}, [KW_PER_ORG] = {true, false, true}};
    struct kw_error error = {.code = ""};
    for (int inner = KW_PER_KEY; inner <= KW_PER_ORG; inner++) {
        for (int outer = KW_PER_KEY; outer <= KW_PER_ORG; outer++) {
            struct kw_arena arena;
            struct kw_list lists[2];
            struct kw_rate_limit limits[] = {limit_of("a", 10, 1000), limit_of("b", 10, 1000)};
            kw_arena_init(&arena, NULL, 0, 4096);
            limits[0].per = (enum kw_limit_per)inner;
            limits[1].per = (enum kw_limit_per)outer;
            REQUIRE_OK(t, kw_rate_limits_check(limits, 2, "rateLimits", &error));
            REQUIRE(t, kw_rate_limits_pack(&arena, &limits[0], 1, &lists[0]));
            REQUIRE(t, kw_rate_limits_pack(&arena, &limits[1], 1, &lists[1]));
            CHECK(t, kw_rate_limits_within(&lists[0], &lists[1]) == within[inner][outer]);
            limits[1].requests = 9;
            REQUIRE(t, kw_rate_limits_pack(&arena, &limits[1], 1, &lists[1]));
            CHECK(t, !kw_rate_limits_within(&lists[0], &lists[1]));
            struct kw_bytes rest = lists[0].packed;
            struct kw_rate_limit again;
            REQUIRE(t, kw_rate_limits_valid(&lists[0]) && kw_rate_limits_next(&rest, &again));
            CHECK_I64(t, again.per, inner);
            kw_arena_reset(&arena);
        }
    }
    struct kw_rate_limit strange = {KW_BYTES("a"), 1, 1, (enum kw_limit_per)3};
    CHECK_STATUS(t, kw_rate_limits_check(&strange, 1, "rateLimits", &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "rateLimits[0].per");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(limits_are_packed_by_name),
        TEST_CASE(what_is_no_limit_is_refused_by_field),
        TEST_CASE(within_is_what_the_worst_caller_can_do),
        TEST_CASE(what_counts_for_more_keys_bounds_each_of_them),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
