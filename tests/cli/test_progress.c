#include "cli/progress.h"
#include "support/test.h"

static void check_line(struct test *t, const struct kw_progress *progress, uint64_t elapsed_ms, size_t columns,
                       const char *expected)
{
    struct kw_buffer text;
    kw_buffer_init(&text, 4096);
    kw_progress_line(progress, elapsed_ms * 1000000, columns, &text);
    CHECK_BYTES(t, kw_buffer_bytes(&text), kw_bytes_of_text(expected));
    kw_buffer_deinit(&text);
}

static void a_known_size_gives_a_share_and_a_time(struct test *t)
{
    struct kw_progress progress = {.noun = "keys", .way = KW_PROGRESS_BAR};
    kw_progress_aim(&progress, 1000);
    check_line(t, &progress, 0, 80, "[........................]   0%  0 keys");
    progress.item_count = 1234567;
    progress.size_done = 500;
    check_line(t, &progress, 1000, 79, "[############............]  50%  1,234,567 keys, 1,234,567/s, 1s left");
    check_line(t, &progress, 100000, 78, " 50%  1,234,567 keys, 12,346/s, 1m 40s left");
    check_line(t, &progress, 7200000, 78, " 50%  1,234,567 keys, 171/s, 2h 00m left");
    check_line(t, &progress, 7200000, 10, " 50%  1,23");
    progress.size_done = 1001; /* a file that has grown */
    check_line(t, &progress, 1000, 80, "[########################] 100%  1,234,567 keys, 1,234,567/s");
}

static void an_unknown_size_gives_counts(struct test *t)
{
    struct kw_progress progress = {.noun = "keys", .way = KW_PROGRESS_PLAIN};
    progress.item_count = 999;
    progress.size_done = 500;
    check_line(t, &progress, 10, 80, "999 keys");
    check_line(t, &progress, 2000, 80, "999 keys, 500/s");
}

static void what_was_done_before_is_no_rate(struct test *t)
{
    struct kw_progress progress = {.noun = "keys", .way = KW_PROGRESS_PLAIN};
    kw_progress_aim(&progress, 1000);
    kw_progress_start_at(&progress, 900, 900);
    progress.item_count = 910;
    progress.size_done = 910;
    check_line(t, &progress, 1000, 80, " 91%  910 keys, 10/s, 9s left");
    progress.size_done = 899; /* a part of it has to be done again */
    check_line(t, &progress, 1000, 80, " 89%  910 keys, 10/s");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_known_size_gives_a_share_and_a_time),
        TEST_CASE(an_unknown_size_gives_counts),
        TEST_CASE(what_was_done_before_is_no_rate),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
