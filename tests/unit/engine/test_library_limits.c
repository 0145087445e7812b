/* libkeyward's side of rate limits: spent, refused, changed in use, shared by a rotation, narrowed from above. */
#include "library_fixture.h"

#include <pthread.h>

#define MINUTE_MS 60000

static void check_spent(struct test *t, struct library *library, const char *key, uint32_t cost, enum kw_code code,
                        int64_t remaining)
{
    struct kw_verdict verdict = library_spend(t, library, key, cost);
    CHECK_CODE(t, verdict.code, code);
    CHECK(t, verdict.has_rate_limit);
    CHECK_I64(t, verdict.rate_limit.remaining, remaining);
}

static void set_limits(struct test *t, struct library *library, const struct kw_new_key *key,
                       const struct kw_rate_limit *limits, size_t count)
{
    struct kw_key_params params = {.given = KW_GIVEN_RATE_LIMITS, .rate_limits = limits, .rate_limit_count = count};
    struct kw_held_record held = {.memory = NULL};
    struct kw_error error;
    CHECK_STATUS(t,
                 kw_update(library->keyward, &(struct kw_change_request){.id = key->held.record.id, .params = &params},
                           &held, &error),
                 KW_OK);
    kw_held_record_clear(&held);
}

static void a_limit_is_spent_and_comes_back(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("calls", 3, MINUTE_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    check_spent(t, &library, made.key, 0, KW_CODE_NONE, 2);
    library_set_clock(&library, LIBRARY_NOW_MS + 10000);
    check_spent(t, &library, made.key, 2, KW_CODE_NONE, 0);
    library_set_clock(&library, LIBRARY_NOW_MS + 20000);
    struct kw_verdict refused = library_spend(t, &library, made.key, 1);
    CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
    CHECK_TEXT(t, refused.rate_limit.name, "calls");
    CHECK_I64(t, refused.rate_limit.requests, 3);
    CHECK_I64(t, refused.rate_limit.window_ms, MINUTE_MS);
    CHECK_I64(t, refused.rate_limit.retry_after_ms, 40000);
    CHECK_I64(t, refused.rate_limit.resets_at_ms, LIBRARY_NOW_MS + 70000);
    CHECK_I64(t, library_spend(t, &library, made.key, 4).rate_limit.retry_after_ms, -1);
    library_set_clock(&library, LIBRARY_NOW_MS + 60000);
    check_spent(t, &library, made.key, 1, KW_CODE_NONE, 0);
    check_spent(t, &library, made.key, 1, KW_CODE_RATE_LIMITED, 0);
    CHECK_STATUS(t,
                 kw_verify(library.keyward,
                           &(struct kw_verify_request){.key = kw_text(made.key), .cost = KW_COST_MAX + 1U}, &refused),
                 KW_E_INVALID);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void all_limits_are_taken_or_none_and_refusals_spend_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    const struct kw_rate_limit limits[] = {library_limit("burst", 2, 1000), library_limit("steady", 3, MINUTE_MS)};
    struct kw_rule_outcome outcomes[KW_RULES_MAX];
    struct kw_verdict verdict;
    size_t count;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, limits, 2, &made));
    struct kw_bytes scope = KW_BYTES("admin");
    struct kw_verify_request request = {.key = kw_text(made.key)};
    struct kw_verify_request forbidden = {.key = kw_text(made.key), .scopes = &scope, .scope_count = 1};
    for (int i = 0; i < 5; i++) { /* neither a dry run nor what is refused for another reason spends */
        CHECK_STATUS(t, kw_explain(library.keyward, &request, &verdict, outcomes, &count), KW_OK);
        CHECK_CODE(t, verdict.code, KW_CODE_NONE);
        CHECK_TEXT(t, outcomes[count - 2].rule, "rateLimits");
        CHECK_TEXT(t, outcomes[count - 2].outcome, "passed");
        CHECK_STATUS(t, kw_verify(library.keyward, &forbidden, &verdict), KW_OK);
        CHECK_CODE(t, verdict.code, KW_CODE_INSUFFICIENT_SCOPE);
        CHECK(t, !verdict.has_rate_limit);
    }
    check_spent(t, &library, made.key, 1, KW_CODE_NONE, 1);
    check_spent(t, &library, made.key, 1, KW_CODE_NONE, 0);
    for (int i = 0; i < 5; i++) { /* burst refuses, so steady is not spent from */
        struct kw_verdict refused = library_spend(t, &library, made.key, 1);
        CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
        CHECK_TEXT(t, refused.rate_limit.name, "burst");
    }
    CHECK_STATUS(t, kw_explain(library.keyward, &request, &verdict, outcomes, &count), KW_OK);
    CHECK_CODE(t, verdict.code, KW_CODE_RATE_LIMITED);
    CHECK_TEXT(t, outcomes[count - 2].outcome, "refused");
    CHECK(t, outcomes[count - 2].has_rate_limit && !outcomes[count - 1].has_rate_limit);
    CHECK_TEXT(t, outcomes[count - 2].rate_limit.name, "burst");
    CHECK_I64(t, outcomes[count - 2].rate_limit.retry_after_ms, 1000);
    CHECK_I64(t, outcomes[count - 2].rate_limit.requests, 2);
    library_set_clock(&library, LIBRARY_NOW_MS + 1000);
    check_spent(t, &library, made.key, 1, KW_CODE_NONE, 0); /* of steady */
    struct kw_verdict refused = library_spend(t, &library, made.key, 1);
    CHECK_TEXT(t, refused.rate_limit.name, "steady");
    CHECK_I64(t, refused.rate_limit.retry_after_ms, 59000);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void changes_forgive_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_rate_limit limit = library_limit("calls", 10, MINUTE_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &made));
    check_spent(t, &library, made.key, 6, KW_CODE_NONE, 4);
    limit.requests = 5;
    set_limits(t, &library, &made, &limit, 1);
    check_spent(t, &library, made.key, 1, KW_CODE_RATE_LIMITED, 0);
    limit.requests = 8;
    set_limits(t, &library, &made, &limit, 1);
    check_spent(t, &library, made.key, 1, KW_CODE_NONE, 1);
    struct kw_rate_limit renamed[] = {limit, library_limit("other", 9, 2 * MINUTE_MS)};
    set_limits(t, &library, &made, renamed, 2);
    check_spent(t, &library, made.key, 3, KW_CODE_RATE_LIMITED, 2);
    set_limits(t, &library, &made, &renamed[1], 1);
    check_spent(t, &library, made.key, 3, KW_CODE_RATE_LIMITED, 2);
    set_limits(t, &library, &made, NULL, 0);
    CHECK(t, !library_spend(t, &library, made.key, 1000).has_rate_limit);
    set_limits(t, &library, &made, &limit, 1);
    check_spent(t, &library, made.key, 2, KW_CODE_RATE_LIMITED, 1);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* There and back again, in both orders, and over a restart: what was spent under either name counts. */
static void the_name_of_before_forgives_nothing(struct test *t)
{
    for (int64_t window_ms = MINUTE_MS; window_ms <= 10 * MINUTE_MS; window_ms *= 10) {
        struct library library;
        struct kw_new_key made;
        const struct kw_rate_limit first = library_limit("first", 10, window_ms);
        const struct kw_rate_limit second = library_limit("second", 10, window_ms);
        REQUIRE(t, library_open(t, &library));
        REQUIRE(t, library_create_limited(t, &library, &first, 1, &made));
        check_spent(t, &library, made.key, 3, KW_CODE_NONE, 7);
        set_limits(t, &library, &made, &second, 1);
        check_spent(t, &library, made.key, 2, KW_CODE_NONE, 5);
        set_limits(t, &library, &made, &first, 1);
        check_spent(t, &library, made.key, 6, KW_CODE_RATE_LIMITED, 5);
        check_spent(t, &library, made.key, 1, KW_CODE_NONE, 4);
        library_set_clock(&library, library.now_ms + window_ms / 2);
        set_limits(t, &library, &made, &second, 1);
        check_spent(t, &library, made.key, 2, KW_CODE_NONE, 2);
        set_limits(t, &library, &made, &first, 1);
        check_spent(t, &library, made.key, 3, KW_CODE_RATE_LIMITED, 2);
        REQUIRE(t, library_reopen(t, &library, 0));
        check_spent(t, &library, made.key, 1, KW_CODE_NONE, 1);
        library_set_clock(&library, library.now_ms + window_ms / 2); /* what was spent first is out of the window */
        check_spent(t, &library, made.key, 7, KW_CODE_NONE, 0);
        kw_new_key_clear(&made);
        library_end(&library);
    }
}

static void a_rotation_shares_the_balance(struct test *t)
{
    struct library library;
    struct kw_new_key old, made;
    struct kw_error error;
    struct kw_rate_limit limit = library_limit("calls", 10, MINUTE_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &old));
    check_spent(t, &library, old.key, 3, KW_CODE_NONE, 7);
    struct kw_change_request request = {.id = old.held.record.id, .grace_ms = MINUTE_MS};
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &made, &error));
    check_spent(t, &library, made.key, 3, KW_CODE_NONE, 4);
    check_spent(t, &library, old.key, 3, KW_CODE_NONE, 1);
    check_spent(t, &library, made.key, 2, KW_CODE_RATE_LIMITED, 1);
    check_spent(t, &library, old.key, 1, KW_CODE_NONE, 0);
    /* Nor may a rotation widen them. */
    struct kw_rate_limit wider = library_limit("calls", 11, MINUTE_MS);
    struct kw_key_params params = {.given = KW_GIVEN_RATE_LIMITS, .rate_limits = &wider, .rate_limit_count = 1};
    struct kw_new_key none;
    request = (struct kw_change_request){.id = made.held.record.id, .params = &params};
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "rateLimits");
    kw_new_key_clear(&old);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_child_keeps_to_its_parents_limits(struct test *t)
{
    struct library library;
    struct kw_new_key parent, child;
    struct kw_error error;
    struct kw_rate_limit limit = library_limit("calls", 10, MINUTE_MS);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, &limit, 1, &parent));
    char id[KW_ID_TEXT_SIZE + 1];
    kw_id_to_text(&parent.held.record.id, id);
    struct kw_rate_limit wider = library_limit("mine", 1, 1000);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT | KW_GIVEN_RATE_LIMITS,
                                   .parent = kw_text(id),
                                   .rate_limits = &wider,
                                   .rate_limit_count = 1};
    CHECK_REFUSED(t, kw_create(library.keyward, &(struct kw_change_request){.params = &params}, &child, &error), error,
                  KW_E_INVALID, "EXCEEDS_PARENT", "rateLimits");
    params.given = KW_GIVEN_PARENT; /* then it has its parent's */
    REQUIRE_OK(t, kw_create(library.keyward, &(struct kw_change_request){.params = &params}, &child, &error));
    check_spent(t, &library, parent.key, 10, KW_CODE_NONE, 0);
    check_spent(t, &library, child.key, 6, KW_CODE_NONE, 4); /* a balance of its own */
    limit.requests = 5;
    set_limits(t, &library, &parent, &limit, 1);
    check_spent(t, &library, child.key, 1, KW_CODE_RATE_LIMITED, 0); /* six is more than five */
    library_set_clock(&library, LIBRARY_NOW_MS + MINUTE_MS);
    check_spent(t, &library, child.key, 5, KW_CODE_NONE, 0);
    check_spent(t, &library, child.key, 1, KW_CODE_RATE_LIMITED, 0);
    kw_new_key_clear(&parent);
    kw_new_key_clear(&child);
    library_end(&library);
}

/* --- threads --- */

#define THREADS 4
#define TRIES 3000

struct hammer {
    struct library *library;
    const char *key;
    uint64_t admitted; /* atomic */
};

static void *hammer(void *context)
{
    struct hammer *hammer = context;
    for (int i = 0; i < TRIES; i++) {
        struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
        uint32_t cost = 1 + (uint32_t)i % 3;
        bool is_good =
            kw_verify(hammer->library->keyward, &(struct kw_verify_request){.key = kw_text(hammer->key), .cost = cost},
                      &verdict) == KW_OK &&
            verdict.code == KW_CODE_NONE;
        __atomic_fetch_add(&hammer->admitted, is_good ? cost : 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void threads_on_one_key_get_the_limit_exactly(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    pthread_t threads[THREADS];
    const struct kw_rate_limit limits[] = {library_limit("a", 5000, MINUTE_MS),
                                           library_limit("b", 7000, 2 * MINUTE_MS)};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, limits, 2, &made));
    struct hammer shared = {.library = &library, .key = made.key};
    uint64_t admitted = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < THREADS; i++) {
            REQUIRE(t, pthread_create(&threads[i], NULL, hammer, &shared) == 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        admitted += round == 0 ? 5000 : 2000;
        CHECK_I64(t, shared.admitted, admitted);
        library_set_clock(&library, LIBRARY_NOW_MS + MINUTE_MS);
    }
    kw_new_key_clear(&made);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_limit_is_spent_and_comes_back),
        TEST_CASE(all_limits_are_taken_or_none_and_refusals_spend_nothing),
        TEST_CASE(changes_forgive_nothing),
        TEST_CASE(the_name_of_before_forgives_nothing),
        TEST_CASE(a_rotation_shares_the_balance),
        TEST_CASE(a_child_keeps_to_its_parents_limits),
        TEST_CASE(threads_on_one_key_get_the_limit_exactly),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
