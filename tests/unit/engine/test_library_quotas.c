/* libkeyward's side of quotas as data: given, kept over a restart and a rotation, refused by field, lifted. */
#include "library_fixture.h"

#define MONTHLY (10000 * KW_AMOUNT_ONE)

static bool create_with(struct test *t, struct library *library, const struct kw_quota_rule *quotas, size_t count,
                        struct kw_new_key *made)
{
    struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS, .owner = KW_BYTES("user:1"), .quotas = quotas, .quota_count = count};
    return library_create_as(t, library, &params, made);
}

/* The one quota of a record. */
static void check_quota(struct test *t, const struct kw_record *record, const char *name, int64_t limit)
{
    struct kw_bytes rest = record->quotas.packed;
    struct kw_quota_rule quota;
    CHECK_I64(t, record->quotas.count, 1);
    REQUIRE(t, kw_quota_rules_next(&rest, &quota));
    CHECK_FIELD(t, quota.name, name);
    CHECK_I64(t, quota.limit, limit);
    CHECK(t, quota.mark_count == 2 && quota.marks[0] == 80 && quota.marks[1] == 100);
    CHECK_I64(t, rest.size, 0);
}

static void quotas_are_kept_rotated_and_lifted(struct test *t)
{
    struct library library;
    struct kw_new_key made, next;
    struct kw_held_record held;
    struct kw_error error;
    struct kw_quota_rule quota = {.limit = MONTHLY, .period = KW_PERIOD_MONTH};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_with(t, &library, &quota, 1, &made));
    check_quota(t, &made.held.record, "requests-month", MONTHLY);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_NONE); /* nothing of it is used up yet */
    REQUIRE_OK(t, kw_get(library.keyward, KW_BYTES(""), &made.held.record.id, &held, &error));
    check_quota(t, &held.record, "requests-month", MONTHLY);
    kw_held_record_clear(&held);
    struct kw_change_request request = {.id = made.held.record.id, .grace_ms = 60000};
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &next, &error));
    check_quota(t, &next.held.record, "requests-month", MONTHLY);
    CHECK_CODE(t, library_verify(t, &library, next.key), KW_CODE_NONE);
    struct kw_key_params params = {.given = KW_GIVEN_QUOTAS, .quotas = &quota, .quota_count = 1};
    quota.limit = MONTHLY + 1;
    request = (struct kw_change_request){.id = next.held.record.id, .params = &params};
    struct kw_new_key none;
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "quotas");
    REQUIRE_OK(t, kw_update(library.keyward, &request, &held, &error)); /* who may change it may raise it */
    check_quota(t, &held.record, "requests-month", MONTHLY + 1);
    kw_held_record_clear(&held);
    params.quota_count = 0;
    REQUIRE_OK(t, kw_update(library.keyward, &request, &held, &error));
    CHECK_I64(t, held.record.quotas.count, 0);
    kw_held_record_clear(&held);
    kw_new_key_clear(&made);
    kw_new_key_clear(&next);
    library_end(&library);
}

static void what_is_no_quota_is_refused(struct test *t)
{
    struct library library;
    struct kw_new_key none;
    struct kw_error error;
    struct kw_quota_rule quotas[] = {{.limit = 1, .period = KW_PERIOD_DAY}, {.limit = 1, .period = KW_PERIOD_HOUR}};
    struct kw_rate_limit limit = {.requests = 1, .window_ms = 1000, .per = KW_PER_ORG};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS,
                                   .owner = KW_BYTES("user:1"),
                                   .quotas = quotas,
                                   .quota_count = 2,
                                   .rate_limits = &limit,
                                   .rate_limit_count = 1};
    struct kw_change_request request = {.params = &params};
    REQUIRE(t, library_open(t, &library));
    quotas[1].metric = KW_BYTES("images");
    CHECK_REFUSED(t, kw_create(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "quotas[1].metric");
    quotas[1].metric = KW_BYTES("tokens");
    quotas[1].per = KW_PER_ORG;
    CHECK_REFUSED(t, kw_create(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "quotas[1].per");
    quotas[1].per = KW_PER_KEY;
    params.given |= KW_GIVEN_RATE_LIMITS;
    CHECK_REFUSED(t, kw_create(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "rateLimits[0].per");
    limit.per = (enum kw_limit_per)7;
    CHECK_REFUSED(t, kw_create(library.keyward, &request, &none, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "rateLimits[0].per");
    library_end(&library);
}

static enum kw_code explain(struct test *t, struct library *library, const char *key, uint32_t cost)
{
    struct kw_rule_outcome outcomes[KW_RULES_MAX] = {{0}};
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    struct kw_verify_request request = {.key = kw_text(key), .cost = cost};
    size_t count = 2;
    CHECK_STATUS(t, kw_explain(library->keyward, &request, &verdict, outcomes, &count), KW_OK);
    const struct kw_rule_outcome *limits = &outcomes[count - 2], *quotas = &outcomes[count - 1];
    CHECK(t, limits->has_rate_limit == (limits->code != KW_CODE_NONE));
    CHECK(t, quotas->has_quota == (quotas->code != KW_CODE_NONE));
    if (quotas->has_quota) {
        CHECK_TEXT(t, quotas->quota.name, verdict.quota.name);
        CHECK_I64(t, quotas->quota.limit, verdict.quota.limit);
        CHECK_I64(t, quotas->quota.resets_at_ms, verdict.quota.resets_at_ms);
        CHECK(t, quotas->quota.resets_at_ms > library->now_ms);
    }
    if (limits->has_rate_limit) {
        CHECK_TEXT(t, limits->rate_limit.name, verdict.rate_limit.name);
        CHECK_I64(t, limits->rate_limit.requests, 2);
    }
    return verdict.code;
}

/* Also where nothing is reserved for it: in a new period, and beyond what throttles. */
static void a_dry_run_says_what_a_request_would_meet(struct test *t)
{
    struct library library;
    struct kw_new_key blocked, slowed;
    struct kw_quota_rule quota = {.limit = 5 * KW_AMOUNT_ONE, .period = KW_PERIOD_HOUR};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_with(t, &library, &quota, 1, &blocked));
    quota.on_exceeded = KW_QUOTA_THROTTLE;
    quota.throttle = (struct kw_rate_limit){.requests = 2, .window_ms = 1000};
    REQUIRE(t, create_with(t, &library, &quota, 1, &slowed));
    for (int period = 0; period < 2; period++) {
        CHECK_CODE(t, explain(t, &library, blocked.key, 6), KW_CODE_QUOTA_EXCEEDED);
        CHECK_CODE(t, library_spend(t, &library, blocked.key, 1).code, KW_CODE_NONE);
        CHECK_CODE(t, explain(t, &library, blocked.key, 4), KW_CODE_NONE);
        CHECK_CODE(t, library_spend(t, &library, slowed.key, 1).code, KW_CODE_NONE);
        CHECK_CODE(t, explain(t, &library, slowed.key, 4), KW_CODE_NONE);
        CHECK_CODE(t, explain(t, &library, slowed.key, 5), KW_CODE_RATE_LIMITED);
        library_set_clock(&library, library.now_ms + 3600000);
    }
    kw_new_key_clear(&blocked);
    kw_new_key_clear(&slowed);
    library_end(&library);
}

/* What throttles was not spent from: it says nothing of what was, though its window is the longest. */
static void another_name_beside_a_throttle_forgives_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    struct kw_held_record held = {.memory = NULL};
    struct kw_rate_limit limit = library_limit("calls", 5, 60000);
    const struct kw_quota_rule quota = {.limit = 100 * KW_AMOUNT_ONE,
                                        .period = KW_PERIOD_HOUR,
                                        .on_exceeded = KW_QUOTA_THROTTLE,
                                        .throttle = {.requests = 5, .window_ms = 3600000}};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_RATE_LIMITS | KW_GIVEN_QUOTAS,
                                   .owner = KW_BYTES("user:1"),
                                   .rate_limits = &limit,
                                   .rate_limit_count = 1,
                                   .quotas = &quota,
                                   .quota_count = 1};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &params, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 5).code, KW_CODE_NONE);
    limit.name = KW_BYTES("other");
    params.given = KW_GIVEN_RATE_LIMITS;
    const struct kw_change_request change = {.id = made.held.record.id, .params = &params};
    REQUIRE_OK(t, kw_update(library.keyward, &change, &held, &error));
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_RATE_LIMITED);
    kw_held_record_clear(&held);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* Spends as often as it may at this time; the refusal says when there is more. */
static void check_let_through(struct test *t, struct library *library, const char *key, int expected)
{
    for (int i = 0; i < expected; i++) {
        CHECK_CODE(t, library_spend(t, library, key, 1).code, KW_CODE_NONE);
    }
    const struct kw_verdict refused = library_spend(t, library, key, 1);
    CHECK_CODE(t, refused.code, KW_CODE_RATE_LIMITED);
    CHECK(t, refused.rate_limit.retry_after_ms > 0);
}

/* Each throttle holds while its quota is exceeded, so beyond both the slower one says how many; and what it refuses is
 * spent from neither. In either order, of one period or of two. */
static void of_two_throttles_the_slower_governs(struct test *t)
{
    for (int variant = 0; variant < 4; variant++) {
        struct library library;
        struct kw_new_key made;
        struct kw_quota_rule quotas[2];
        struct kw_quota_rule *fast = &quotas[variant & 1];
        struct kw_quota_rule *slow = &quotas[1 - (variant & 1)];
        bool is_day = (variant & 2) != 0;
        *fast = (struct kw_quota_rule){.name = KW_BYTES("fast"),
                                       .limit = 3 * KW_AMOUNT_ONE,
                                       .period = KW_PERIOD_HOUR,
                                       .on_exceeded = KW_QUOTA_THROTTLE,
                                       .throttle = {.requests = 2, .window_ms = 60000}};
        *slow = *fast;
        slow->name = KW_BYTES("slow");
        slow->limit = 5 * KW_AMOUNT_ONE;
        slow->period = is_day ? KW_PERIOD_DAY : KW_PERIOD_HOUR;
        slow->throttle.requests = 1;
        REQUIRE(t, library_open(t, &library));
        REQUIRE(t, create_with(t, &library, quotas, 2, &made));
        check_let_through(t, &library, made.key, 5); /* three, then two of the fast one; both are at their ends */
        library_set_clock(&library, library.now_ms + 60000);
        check_let_through(t, &library, made.key, 1);
        library_set_clock(&library, library.now_ms + 30000);
        check_let_through(t, &library, made.key, 0);
        library_set_clock(&library, library.now_ms + 30000);
        check_let_through(t, &library, made.key, 1);
        library_set_clock(&library, library.now_ms + 3600000);
        if (is_day) {
            check_let_through(t, &library, made.key, 1); /* the hour is new, the day is not */
        } else {
            check_let_through(t, &library, made.key, 5);
        }
        kw_new_key_clear(&made);
        library_end(&library);
    }
}

static bool says(const struct kw_held_document *held, const char *part)
{
    return memmem(held->json.data, held->json.size, part, strlen(part)) != NULL;
}

static void a_credit_gives_back_what_was_used(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    struct kw_held_document held;
    const struct kw_quota_rule quota = {.limit = 5 * KW_AMOUNT_ONE, .period = KW_PERIOD_MONTH};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_with(t, &library, &quota, 1, &made));
    struct kw_credit_request request = {.id = made.held.record.id,
                                        .quota = KW_BYTES("requests-month"),
                                        .amount = 2 * KW_AMOUNT_ONE,
                                        .actor = KW_BYTES("billing"),
                                        .reason = KW_BYTES("an outage")};
    CHECK_CODE(t, library_spend(t, &library, made.key, 5).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_QUOTA_EXCEEDED);
    REQUIRE_OK(t, kw_credit(library.keyward, &request, &held, &error));
    CHECK(t, says(&held, "\"name\":\"requests-month\"") && says(&held, "\"used\":3,\"remaining\":2"));
    kw_held_document_clear(&held);
    CHECK_CODE(t, library_spend(t, &library, made.key, 2).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_QUOTA_EXCEEDED);
    request.amount = 0;
    request.refill = true;
    REQUIRE_OK(t, kw_credit(library.keyward, &request, NULL, NULL));
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_spend(t, &library, made.key, 5).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_QUOTA_EXCEEDED);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void what_is_no_credit_is_refused(struct test *t)
{
    static const struct {
        struct kw_credit_request request;
        enum kw_status status;
        const char *code, *field;
    } cases[] = {
        {{.amount = 1}, KW_E_INVALID, "MISSING_FIELD", "quota"},
        {{.quota = {(const uint8_t *)"requests-month", 14}}, KW_E_INVALID, "MISSING_FIELD", "amount"},
        {{.quota = {(const uint8_t *)"requests-month", 14}, .amount = 1, .refill = true},
         KW_E_INVALID,
         "MISSING_FIELD",
         "amount"},
        {{.quota = {(const uint8_t *)"requests-month", 14}, .amount = -1}, KW_E_INVALID, "INVALID_FIELD", "amount"},
        {{.quota = {(const uint8_t *)"requests-month", 14}, .amount = KW_AMOUNT_MAX + 1},
         KW_E_INVALID,
         "INVALID_FIELD",
         "amount"},
        {{.quota = {(const uint8_t *)"requests-day", 12}, .amount = 1}, KW_E_INVALID, "INVALID_FIELD", "quota"},
        {{.quota = {(const uint8_t *)"requests-month", 14}, .amount = 1, .reason = {(const uint8_t *)"a\nb", 3}},
         KW_E_INVALID,
         "INVALID_FIELD",
         "reason"},
        {{.project = {(const uint8_t *)"nowhere", 7}, .amount = 1}, KW_E_NOT_FOUND, "PROJECT_NOT_FOUND", "project"},
    };
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    const struct kw_quota_rule quota = {.limit = 5 * KW_AMOUNT_ONE, .period = KW_PERIOD_MONTH};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_with(t, &library, &quota, 1, &made));
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_held_document held = {.memory = NULL};
        struct kw_credit_request request = cases[i].request;
        request.id = made.held.record.id;
        CHECK_REFUSED(t, kw_credit(library.keyward, &request, &held, &error), error, cases[i].status, cases[i].code,
                      cases[i].field);
        CHECK(t, held.memory == NULL);
    }
    struct kw_credit_request nobody = {.quota = KW_BYTES("requests-month"), .refill = true, .id = {{1}}};
    CHECK_REFUSED(t, kw_credit(library.keyward, &nobody, NULL, &error), error, KW_E_NOT_FOUND, "KEY_NOT_FOUND", "");
    kw_new_key_clear(&made);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(quotas_are_kept_rotated_and_lifted),
        TEST_CASE(what_is_no_quota_is_refused),
        TEST_CASE(a_dry_run_says_what_a_request_would_meet),
        TEST_CASE(another_name_beside_a_throttle_forgives_nothing),
        TEST_CASE(of_two_throttles_the_slower_governs),
        TEST_CASE(a_credit_gives_back_what_was_used),
        TEST_CASE(what_is_no_credit_is_refused),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
