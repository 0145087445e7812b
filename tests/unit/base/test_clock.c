#include "base/clock.h"

#include "support/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static void the_system_clock_gives_milliseconds_of_the_day(struct test *t)
{
    struct kw_clock clock = kw_clock_system();
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t now = clock.now_ms(clock.context);
    CHECK(t, now >= before - 1000 && now < before + 60000);
}

static void the_monotonic_clock_runs_in_nanoseconds(struct test *t)
{
    uint64_t start = kw_monotonic_ns();
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
    uint64_t taken = kw_monotonic_ns() - start;
    CHECK(t, taken >= 2000000 && taken < UINT64_C(60000000000));
}

static void entropy_fills_all_bytes(struct test *t)
{
    struct kw_entropy entropy = kw_entropy_system();
    uint8_t first[1000] = {0}, second[1000] = {0};
    REQUIRE_OK(t, entropy.draw(entropy.context, first, sizeof first));
    REQUIRE_OK(t, entropy.draw(entropy.context, second, sizeof second));
    CHECK(t, memcmp(first, second, sizeof first) != 0);
    /* Sixteen zeros on end in random bytes: once in 2^118 runs. */
    static const uint8_t zeros[16] = {0};
    for (size_t i = 0; i + sizeof zeros <= sizeof first; i++) {
        CHECK(t, memcmp(first + i, zeros, sizeof zeros) != 0);
    }
    uint8_t kept = 7;
    REQUIRE_OK(t, entropy.draw(entropy.context, &kept, 0));
    CHECK_I64(t, kept, 7);
}

static void take_note(int signal_number)
{
    (void)signal_number;
}

/* Signals end a draw of getrandom(2) early; what is missing must be drawn again. */
static void draws_go_on_after_signals(struct test *t)
{
    size_t size = (size_t)16 << 20;
    uint8_t *bytes = calloc(1, size);
    REQUIRE(t, bytes != NULL);
    struct sigaction action = {.sa_handler = take_note};
    struct itimerval often = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}};
    struct itimerval never = {.it_value = {.tv_usec = 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    struct kw_entropy entropy = kw_entropy_system();
    CHECK_STATUS(t, entropy.draw(entropy.context, bytes, size), KW_OK);
    setitimer(ITIMER_REAL, &never, NULL);
    static const uint8_t zeros[16] = {0};
    for (size_t at = 0; at < size && t->failures == 0; at += sizeof zeros) {
        CHECK(t, memcmp(bytes + at, zeros, sizeof zeros) != 0);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_system_clock_gives_milliseconds_of_the_day),
        TEST_CASE(the_monotonic_clock_runs_in_nanoseconds),
        TEST_CASE(entropy_fills_all_bytes),
        TEST_CASE(draws_go_on_after_signals),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
