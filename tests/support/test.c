#include "support/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_random(struct test *t)
{
    /* splitmix64, Steele, Lea and Flood 2014: every seed gives a full sequence, and a seed replays it. */
    uint64_t z = (t->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t test_random_below(struct test *t, uint64_t bound)
{
    return bound == 0 ? 0 : test_random(t) % bound;
}

void test_fail(struct test *t, const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("# %s:%d: %s: %s (seed %" PRIu64 ")\n", file, line, t->name, text, t->seed);
    t->failures++;
}

bool test_check_i64(struct test *t, const char *file, int line, const char *what, int64_t actual, int64_t expected)
{
    if (actual == expected) {
        return true;
    }
    test_fail(t, file, line, "%s is %" PRId64 ", expected %" PRId64, what, actual, expected);
    return false;
}

bool test_check_bytes(struct test *t, const char *file, int line, const char *what, struct kw_bytes actual,
                      struct kw_bytes expected)
{
    if (kw_bytes_equal(actual, expected)) {
        return true;
    }
    test_fail(t, file, line, "%s is '%.*s' (%zu bytes), expected '%.*s' (%zu bytes)", what, (int)actual.size,
              (const char *)actual.data, actual.size, (int)expected.size, (const char *)expected.data, expected.size);
    return false;
}

bool test_check_status(struct test *t, const char *file, int line, const char *what, enum kw_status actual,
                       enum kw_status expected)
{
    if (actual == expected) {
        return true;
    }
    test_fail(t, file, line, "%s is %s, expected %s", what, kw_status_name(actual), kw_status_name(expected));
    return false;
}

static uint64_t seed_of_run(void)
{
    const char *chosen = getenv("KW_TEST_SEED");
    if (chosen != NULL) {
        return strtoull(chosen, NULL, 10);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000007U ^ (uint64_t)now.tv_nsec;
}

int test_main(const struct test_case *cases, size_t case_count, int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *only = argc > 1 ? argv[1] : "";
    uint64_t seed = seed_of_run();
    int failed = 0;
    int number = 0;
    for (size_t i = 0; i < case_count; i++) {
        if (strstr(cases[i].name, only) == NULL) {
            continue;
        }
        struct test t = {.name = cases[i].name, .seed = seed, .random = seed};
        cases[i].run(&t);
        printf("%s %d - %s\n", t.failures == 0 ? "ok" : "not ok", ++number, cases[i].name);
        failed += t.failures != 0;
    }
    printf("1..%d\n", number);
    return failed == 0 ? 0 : 1;
}
