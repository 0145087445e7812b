/*
 * The tests' own small harness: cases in a table, checks that say what they saw, TAP on standard output.
 *
 *     static void durations_round_trip(struct test *t) { CHECK(t, kw_duration_parse(...)); CHECK_I64(t, ms, 90000); }
 *     int main(int argc, char **argv)
 *     {
 *         static const struct test_case cases[] = {TEST_CASE(durations_round_trip)};
 *         return test_main(cases, KW_COUNT_OF(cases), argc, argv);
 *     }
 *
 * A failed CHECK is counted and the case goes on; a failed REQUIRE leaves the case. Random tests draw from `t->random`,
 * whose seed is printed on a failure; KW_TEST_SEED replays it. `PROGRAM [name part]` runs only the cases that match.
 */
#ifndef KW_TESTS_SUPPORT_TEST_H
#define KW_TESTS_SUPPORT_TEST_H

#include "base/bytes.h"

struct test {
    const char *name;
    int failures;
    uint64_t seed;
    uint64_t random;
};

struct test_case {
    const char *name;
    void (*run)(struct test *t);
};

#define TEST_CASE(function) \
    { \
#function, function \
    }

int test_main(const struct test_case *cases, size_t case_count, int argc, char **argv);

/* The next number of the case's own sequence; `below` gives one in [0, bound). */
uint64_t test_random(struct test *t);
uint64_t test_random_below(struct test *t, uint64_t bound);

void test_fail(struct test *t, const char *file, int line, const char *format, ...) KW_PRINTF(4, 5);
bool test_check_i64(struct test *t, const char *file, int line, const char *what, int64_t actual, int64_t expected);
bool test_check_bytes(struct test *t, const char *file, int line, const char *what, struct kw_bytes actual,
                      struct kw_bytes expected);
bool test_check_status(struct test *t, const char *file, int line, const char *what, enum kw_status actual,
                       enum kw_status expected);

#define CHECK(t, condition) ((condition) ? (void)0 : test_fail((t), __FILE__, __LINE__, "not true: %s", #condition))
#define CHECK_I64(t, actual, expected) \
    ((void)test_check_i64((t), __FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected)))
#define CHECK_BYTES(t, actual, expected) \
    ((void)test_check_bytes((t), __FILE__, __LINE__, #actual, (actual), (expected)))
#define CHECK_TEXT(t, actual, expected) \
    ((void)test_check_bytes((t), __FILE__, __LINE__, #actual, kw_bytes_of_text(actual), kw_bytes_of_text(expected)))
#define CHECK_STATUS(t, actual, expected) \
    ((void)test_check_status((t), __FILE__, __LINE__, #actual, (actual), (expected)))
#define REQUIRE(t, condition) \
    do { \
        if (!(condition)) { \
            test_fail((t), __FILE__, __LINE__, "required: %s", #condition); \
            return; \
        } \
    } while (0)
#define REQUIRE_OK(t, call) \
    do { \
        if (!test_check_status((t), __FILE__, __LINE__, #call, (call), KW_OK)) { \
            return; \
        } \
    } while (0)

#endif
