/*
 * Limits over many lives of a process: what was spent counts after a clean stop as it was spent, and after a crash at
 * most a reserve more. A crash is a process that ends without closing anything.
 */
#include "library_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)

/* As many single requests as are let through, at most `most`. */
static int spend_single(struct test *t, struct library *library, const char *key, int most)
{
    int admitted = 0;
    while (admitted < most && library_spend(t, library, key, 1).code == KW_CODE_NONE) {
        admitted++;
    }
    return admitted;
}

/* What a process lets through that is killed then; the library is closed before and after. -1: it did not come to it.
 */
static int spend_and_crash(struct test *t, struct library *library, const char *key, int most)
{
    pid_t child = fork();
    if (child == 0) {
        struct library life = *library;
        struct kw_options options = library_options(&life);
        struct kw_error error;
        life.keyward = NULL;
        if (kw_open(&options, &life.keyward, &error) != KW_OK) {
            _exit(255);
        }
        kw_wait_filled(life.keyward);
        int admitted = spend_single(t, &life, key, most);
        _exit(t->failures > 0 ? 255 : admitted);
    }
    int status = 0;
    bool is_good = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 255;
    CHECK(t, is_good);
    return is_good ? WEXITSTATUS(status) : -1;
}

static void a_clean_stop_forgives_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    const struct kw_rate_limit limits[] = {library_limit("burst", 70, MINUTE_MS),
                                           library_limit("steady", 100, HOUR_MS)};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, limits, 2, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 40).code, KW_CODE_NONE);
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS / 2);
    CHECK_CODE(t, library_spend(t, &library, made.key, 50).code, KW_CODE_NONE);
    REQUIRE(t, library_reopen(t, &library, 0));
    struct kw_verdict refused = library_spend(t, &library, made.key, 11);
    CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
    CHECK_TEXT(t, refused.rate_limit.name, "steady");
    CHECK_I64(t, refused.rate_limit.remaining, 10);
    CHECK_I64(t, refused.rate_limit.retry_after_ms, HOUR_MS / 2); /* when the 40 leave, as they were spent */
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_I64(t, library_spend(t, &library, made.key, 1).rate_limit.remaining, 49);
    CHECK_CODE(t, library_spend(t, &library, made.key, 49).code, KW_CODE_NONE);
    REQUIRE(t, library_reopen(t, &library, 0));
    refused = library_spend(t, &library, made.key, 21); /* the short window was not waited out, nor forgotten */
    CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS + HOUR_MS / 2);
    CHECK_CODE(t, library_spend(t, &library, made.key, 50).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_RATE_LIMITED);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void crashes_give_nothing_back(struct test *t)
{
    enum { LIMIT = 320, SHARE = LIMIT / 32 + 1 };
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", LIMIT, HOUR_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    int admitted = 0, lives = 0, last = 1;
    for (; last > 0 && lives < 100; lives++) { /* each a minute after the one before */
        kw_close(library.keyward);
        library.keyward = NULL;
        last = spend_and_crash(t, &library, made.key, 7);
        REQUIRE(t, last >= 0);
        admitted += last;
        library_set_clock(&library, library.now_ms + MINUTE_MS / 2);
        REQUIRE(t, library_reopen(t, &library, 0));
    }
    CHECK(t, admitted <= LIMIT);
    CHECK(t, admitted >= LIMIT - lives * 2 * SHARE); /* each crash loses two shares at most */
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_RATE_LIMITED);
    library_set_clock(&library, LIBRARY_NOW_MS + 3 * HOUR_MS);
    CHECK_CODE(t, library_spend(t, &library, made.key, LIMIT).code, KW_CODE_NONE);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_crash_waits_short_windows_out(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("burst", 5, 30000);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    kw_close(library.keyward);
    library.keyward = NULL;
    CHECK_I64(t, spend_and_crash(t, &library, made.key, 3), 3); /* the first life has nothing to wait for */
    library_set_clock(&library, LIBRARY_NOW_MS + 1000);
    REQUIRE(t, library_reopen(t, &library, 0));
    struct kw_verdict refused = library_spend(t, &library, made.key, 1);
    CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
    CHECK_I64(t, refused.rate_limit.retry_after_ms, 30000);
    library_set_clock(&library, LIBRARY_NOW_MS + 31000);
    CHECK_I64(t, spend_single(t, &library, made.key, 10), 5);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_life_that_spends_nothing_changes_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", 100, HOUR_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 30).code, KW_CODE_NONE);
    for (int life = 0; life < 3; life++) {
        REQUIRE(t, library_reopen(t, &library, 0));
    }
    CHECK_I64(t, library_spend(t, &library, made.key, 1).rate_limit.remaining, 69);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void another_name_after_a_stop_forgives_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", 100, HOUR_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 30).code, KW_CODE_NONE);
    REQUIRE(t, library_reopen(t, &library, 0));
    limit = library_limit("renamed", 90, 2 * HOUR_MS);
    struct kw_key_params params = {.given = KW_GIVEN_RATE_LIMITS, .rate_limits = &limit, .rate_limit_count = 1};
    struct kw_held_record held = {.memory = NULL};
    struct kw_error error;
    REQUIRE_OK(t, kw_update(library.keyward, &(struct kw_change_request){.id = made.held.record.id, .params = &params},
                            &held, &error));
    kw_held_record_clear(&held);
    CHECK_I64(t, library_spend(t, &library, made.key, 1).rate_limit.remaining, 59);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* The note of the limit and what is taken of the quota are both asked for with the first request of a life. */
static void what_was_reported_counts_in_the_next_life(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    const struct kw_rate_limit limit = library_limit("steady", 100, HOUR_MS);
    const struct kw_quota_rule quota = {
        .metric = KW_BYTES("tokens"), .limit = 3 * KW_AMOUNT_ONE, .period = KW_PERIOD_DAY};
    const struct kw_usage_amount tokens = {.metric = KW_BYTES("tokens"), .amount = 4 * KW_AMOUNT_ONE};
    const struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_RATE_LIMITS | KW_GIVEN_QUOTAS,
                                         .owner = KW_BYTES("user:1"),
                                         .rate_limits = &limit,
                                         .rate_limit_count = 1,
                                         .quotas = &quota,
                                         .quota_count = 1};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &params, &made));
    const struct kw_report_request report = {.id = made.held.record.id, .amounts = &tokens, .amount_count = 1};
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_NONE);
    REQUIRE_OK(t, kw_report_usage(library.keyward, &report, &error));
    REQUIRE(t, library_reopen(t, &library, 0));
    struct kw_verdict refused = library_spend(t, &library, made.key, 1);
    CHECK_CODE(t, refused.code, KW_CODE_QUOTA_EXCEEDED);
    CHECK_I64(t, refused.quota.used, 4 * KW_AMOUNT_ONE);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* Each finds its own note, whichever was asked for first. */
static void limits_of_an_owner_go_on_each_by_itself(struct test *t)
{
    struct library library;
    struct kw_new_key first, second;
    struct kw_rate_limit limit = library_limit("first", 50, HOUR_MS);
    limit.per = KW_PER_OWNER;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &first));
    limit.name = KW_BYTES("second");
    limit.requests = 100;
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &second));
    CHECK_CODE(t, library_spend(t, &library, first.key, 5).code, KW_CODE_NONE);
    CHECK_I64(t, library_spend(t, &library, second.key, 60).rate_limit.remaining, 35);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_I64(t, library_spend(t, &library, first.key, 1).rate_limit.remaining, 44);
    CHECK_I64(t, library_spend(t, &library, second.key, 1).rate_limit.remaining, 34);
    kw_new_key_clear(&first);
    kw_new_key_clear(&second);
    library_end(&library);
}

/* What the clean stop wrote down is not all that was spent. */
static void a_crash_counts_though_a_clean_stop_came_just_before(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("burst", 5, 30000);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_NONE);
    kw_close(library.keyward);
    library.keyward = NULL;
    CHECK_I64(t, spend_and_crash(t, &library, made.key, 9), 4);
    library_set_clock(&library, LIBRARY_NOW_MS + 1000);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_RATE_LIMITED);
    library_set_clock(&library, LIBRARY_NOW_MS + 31000);
    CHECK_I64(t, spend_single(t, &library, made.key, 10), 5);
    kw_new_key_clear(&made);
    library_end(&library);
}

static bool change_limit(struct library *library, const struct kw_id *id, const struct kw_rate_limit *limit)
{
    struct kw_key_params params = {.given = KW_GIVEN_RATE_LIMITS, .rate_limits = limit, .rate_limit_count = 1};
    struct kw_held_record held = {.memory = NULL};
    struct kw_error error;
    enum kw_status status =
        kw_update(library->keyward, &(struct kw_change_request){.id = *id, .params = &params}, &held, &error);
    kw_held_record_clear(&held);
    return status == KW_OK;
}

/* A life of a library, in a process of its own that then ends without a word. False: something went otherwise. */
typedef bool life(struct test *t, struct library *library, const struct kw_new_key *made);

/* Made in a life before, of a library that is opened; `live` crashes. The caller opens it again. */
static bool live_and_crash(struct test *t, struct library *library, const struct kw_rate_limit *limit,
                           struct kw_new_key *made, life *live)
{
    if (!library_open(t, library) || !library_create_limited(t, library, limit, 1, made)) {
        return false;
    }
    kw_close(library->keyward);
    library->keyward = NULL;
    pid_t child = fork();
    if (child == 0) {
        struct kw_options options = library_options(library);
        struct kw_error error;
        bool is_good = kw_open(&options, &library->keyward, &error) == KW_OK && live(t, library, made);
        _exit(is_good ? 0 : 255);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool lengthen_the_window(struct test *t, struct library *library, const struct kw_new_key *made)
{
    struct kw_rate_limit limit = library_limit("steady", 640, 2 * MINUTE_MS);
    bool is_good = library_spend(t, library, made->key, 500).code == KW_CODE_NONE;
    for (int i = 0; i < 3 && is_good;
         i++) { /* a part is filled up behind the first ones: the longer window needs none */
        limit.window_ms = i < 2 ? 2 * MINUTE_MS : HOUR_MS;
        is_good = change_limit(library, &made->held.record.id, &limit);
    }
    library_set_clock(library, LIBRARY_NOW_MS + MINUTE_MS);
    return is_good && library_spend(t, library, made->key, 1).code == KW_CODE_NONE;
}

/* Its reserve was written down with a window that has passed by now, unlike the new one. */
static void a_crash_after_a_window_became_longer_forgets_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", 640, 2 * MINUTE_MS);
    REQUIRE(t, live_and_crash(t, &library, &limit, &made, lengthen_the_window));
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS / 2);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_spend(t, &library, made.key, 640 - 501 + 1).code, KW_CODE_RATE_LIMITED);
    kw_new_key_clear(&made);
    library_end(&library);
}

static bool change_the_window_by_turns(struct test *t, struct library *library, const struct kw_new_key *made)
{
    bool is_good = true;
    for (int i = 0; i < 20 && is_good; i++) {
        struct kw_rate_limit limit = library_limit("steady", 320, i % 2 == 0 ? HOUR_MS : 2 * MINUTE_MS);
        is_good = library_spend(t, library, made->key, 1).code == KW_CODE_NONE &&
                  change_limit(library, &made->held.record.id, &limit);
    }
    return is_good;
}

/* Each longer window is written down, and no further part of the limit with it. */
static void a_crash_costs_no_more_for_windows_that_came_and_went(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", 320, 2 * MINUTE_MS);
    REQUIRE(t, live_and_crash(t, &library, &limit, &made, change_the_window_by_turns));
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_spend(t, &library, made.key, 320 - 20 - 2 * (320 / 32 + 1)).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 2 * (320 / 32 + 1) + 1).code, KW_CODE_RATE_LIMITED);
    kw_new_key_clear(&made);
    library_end(&library);
}

static bool raise_the_limit(struct test *t, struct library *library, const struct kw_new_key *made)
{
    static const uint32_t costs[] = {90, 8, 2};
    bool is_good = true;
    for (size_t i = 0; i < KW_COUNT_OF(costs); i++) {
        is_good = is_good && library_spend(t, library, made->key, costs[i]).code == KW_CODE_NONE;
    }
    for (int i = 0; i < 3; i++) { /* a part is filled up behind the first ones */
        struct kw_rate_limit limit = library_limit("steady", i < 2 ? 100 : 140, HOUR_MS);
        is_good = is_good && change_limit(library, &made->held.record.id, &limit);
    }
    return is_good && library_spend(t, library, made->key, 3).code == KW_CODE_NONE;
}

/* What is left of a part is spent under a limit that was raised, and nothing more is written down before the crash. */
static void a_crash_after_a_limit_was_raised_forgets_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("steady", 100, HOUR_MS);
    REQUIRE(t, live_and_crash(t, &library, &limit, &made, raise_the_limit));
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_spend(t, &library, made.key, 140 - 103 + 1).code, KW_CODE_RATE_LIMITED);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* Each life goes on from the newest key's id, and tells of a mark. */
static void events_of_lives_behind_the_clock_have_ids_of_their_own(struct test *t)
{
    struct library library;
    struct kw_new_key keys[3];
    const struct kw_quota_rule quota = {.limit = 10 * KW_AMOUNT_ONE, .period = KW_PERIOD_MONTH};
    const struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS, .owner = KW_BYTES("user:1"), .quotas = &quota, .quota_count = 1};
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i < KW_COUNT_OF(keys); i++) {
        REQUIRE(t, library_create_as(t, &library, &params, &keys[i]));
    }
    library_set_clock(&library, LIBRARY_NOW_MS - HOUR_MS);
    for (size_t i = 0; i < KW_COUNT_OF(keys); i++) {
        REQUIRE(t, library_reopen(t, &library, 0));
        kw_wait_filled(library.keyward);
        CHECK_CODE(t, library_spend(t, &library, keys[i].key, 8).code, KW_CODE_NONE);
        CHECK_CODE(t, library_spend(t, &library, keys[i].key, 1).code, KW_CODE_NONE); /* tells of it, as a rule */
    }
    for (size_t i = 0; i < KW_COUNT_OF(keys); i++) {
        kw_new_key_clear(&keys[i]);
    }
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_clean_stop_forgives_nothing),
        TEST_CASE(crashes_give_nothing_back),
        TEST_CASE(a_crash_waits_short_windows_out),
        TEST_CASE(a_life_that_spends_nothing_changes_nothing),
        TEST_CASE(another_name_after_a_stop_forgives_nothing),
        TEST_CASE(what_was_reported_counts_in_the_next_life),
        TEST_CASE(limits_of_an_owner_go_on_each_by_itself),
        TEST_CASE(a_crash_counts_though_a_clean_stop_came_just_before),
        TEST_CASE(a_crash_after_a_window_became_longer_forgets_nothing),
        TEST_CASE(a_crash_costs_no_more_for_windows_that_came_and_went),
        TEST_CASE(a_crash_after_a_limit_was_raised_forgets_nothing),
        TEST_CASE(events_of_lives_behind_the_clock_have_ids_of_their_own),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
