#include "core/retry.h"
#include "support/test.h"

#define DAY_MS INT64_C(86400000)

/* Whatever is drawn: each pause is longer than the one before, there are ten of them, and three days hold them all. */
static void pauses_grow_and_end(struct test *t)
{
    for (int run = 0; run < 2000; run++) {
        int64_t first_ms = (int64_t)test_random_below(t, UINT64_C(4000000000000));
        int64_t now_ms = first_ms;
        int64_t pause_ms = 0;
        uint32_t attempts = 0;
        int64_t due_ms = 0;
        for (;;) {
            struct kw_retry retry = {
                .first_ms = first_ms, .now_ms = now_ms, .attempts = ++attempts, .random = (uint32_t)test_random(t)};
            if (!kw_retry_next(&retry, &due_ms)) {
                break;
            }
            CHECK(t, due_ms - now_ms > pause_ms);
            pause_ms = due_ms - now_ms;
            now_ms = due_ms;
            CHECK(t, now_ms <= first_ms + KW_RETRY_SPAN_MS);
        }
        CHECK_I64(t, attempts, KW_RETRY_COUNT + 1);
        CHECK(t, now_ms - first_ms >= KW_RETRY_SPAN_MS * 3 / 4); /* it goes on for nearly that long */
    }
}

static void the_first_pause_is_short_and_jittered(struct test *t)
{
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 2000; i++) {
        struct kw_retry retry = {.first_ms = 1000, .now_ms = 2000, .attempts = 1, .random = (uint32_t)test_random(t)};
        int64_t due_ms = 0;
        REQUIRE(t, kw_retry_next(&retry, &due_ms));
        least = due_ms < least ? due_ms : least;
        most = due_ms > most ? due_ms : most;
    }
    CHECK(t, least >= 6000 && least < 6100 && most <= 7000 && most > 6900);
}

static void what_the_receiver_asks_for_counts(struct test *t)
{
    struct kw_retry retry = {.first_ms = 0, .now_ms = 0, .attempts = 1, .retry_after_ms = 3600000, .random = 7};
    int64_t due_ms = 0;
    REQUIRE(t, kw_retry_next(&retry, &due_ms));
    CHECK_I64(t, due_ms, 3600000);
    retry.retry_after_ms = 1; /* sooner than we would */
    REQUIRE(t, kw_retry_next(&retry, &due_ms));
    CHECK(t, due_ms >= 4000);
    retry.retry_after_ms = 30 * DAY_MS;
    REQUIRE(t, kw_retry_next(&retry, &due_ms));
    CHECK_I64(t, due_ms, DAY_MS);
    retry.now_ms = KW_RETRY_SPAN_MS - DAY_MS + 1; /* there are not three days left for it */
    CHECK(t, !kw_retry_next(&retry, &due_ms));
}

static void retry_after_is_read(struct test *t)
{
    const int64_t now_ms = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"120", 120000},
        {"0", 0},
        {"86401", DAY_MS},
        {"18446744073709551615", DAY_MS},
        {"99999999999999999999", 0},
        {"-1", 0},
        {"1.5", 0},
        {"soon", 0},
        {"", 0},
        {"Sun, 06 Nov 1994 08:50:00 GMT", 23000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sat, 05 Nov 1994 08:49:37 GMT", 0},
        {"Mon, 07 Nov 1994 00:00:00 GMT", 54623000},
        {"Sun, 06 Nov 1994 08:50:00 UTC", 0},
        {"Sun, 06 Nox 1994 08:50:00 GMT", 0},
        {"Sun, 06 Nov 1994 24:50:00 GMT", 0},
        {"Sun, a6 Nov 1994 08:50:00 GMT", 0},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        int64_t ms = kw_retry_after(kw_bytes_of_text(cases[i].text), now_ms);
        if (ms != cases[i].ms) {
            test_fail(t, __FILE__, __LINE__, "\"%s\": %lld", cases[i].text, (long long)ms);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(pauses_grow_and_end),
        TEST_CASE(the_first_pause_is_short_and_jittered),
        TEST_CASE(what_the_receiver_asks_for_counts),
        TEST_CASE(retry_after_is_read),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
