/* Use, for programs: what was counted as JSON, reports, and when keys were last used. */
#include "library_fixture.h"

#include "base/bytes.h"

static struct kw_id id_of(const struct kw_new_key *made)
{
    return made->held.record.id;
}

/* Whether the JSON of a question holds a text. */
static bool answers(struct test *t, struct library *library, const struct kw_usage_request *request, const char *text)
{
    struct kw_held_document held = {.memory = NULL};
    struct kw_error error = {0};
    CHECK_STATUS(t, kw_usage(library->keyward, request, &held, &error), KW_OK);
    bool holds = held.json.size > 0 && memmem(held.json.data, held.json.size, text, strlen(text)) != NULL;
    if (!holds) {
        test_fail(t, __FILE__, __LINE__, "%.*s without %s", (int)held.json.size, (const char *)held.json.data, text);
    }
    kw_held_document_clear(&held);
    return holds;
}

static void use(struct test *t, struct library *library, const struct kw_new_key *made, const char *endpoint)
{
    struct kw_verify_request request = {
        .key = kw_text(made->key), .endpoint = kw_text(endpoint), .ip = kw_text("192.0.2.1"), .country = kw_text("CH")};
    struct kw_verdict verdict;
    CHECK_STATUS(t, kw_verify(library->keyward, &request, &verdict), KW_OK);
    CHECK_CODE(t, verdict.code, KW_CODE_NONE);
}

static void what_was_verified_is_counted(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    if (library_open(t, &library) && library_create(t, &library, &made)) {
        use(t, &library, &made, "GET /a");
        use(t, &library, &made, "GET /a");
        use(t, &library, &made, "");
        const struct kw_usage_request of_key = {.id = id_of(&made)};
        const struct kw_usage_request of_owner = {.owner = kw_text("user:1"), .by_day = true};
        const struct kw_usage_request by_endpoint = {.id = id_of(&made), .group = KW_USAGE_ENDPOINT};
        (void)answers(t, &library, &of_key, "\"totals\":{\"verifications\":3,\"valid\":3,\"counts\":{\"VALID\":3}}");
        (void)answers(t, &library, &of_owner, "\"verifications\":3");
        (void)answers(t, &library, &by_endpoint, "\"counts\":{\"GET /a\":2}");
        /* A clean end writes all of it. */
        use(t, &library, &made, "GET /b");
        if (library_reopen(t, &library, (enum kw_digest_scheme)0)) {
            (void)answers(t, &library, &by_endpoint, "\"counts\":{\"GET /a\":2,\"GET /b\":1}");
        }
        kw_new_key_clear(&made);
    }
    library_end(&library);
}

static enum kw_status note(void *context, const struct kw_record *record)
{
    *(int64_t *)context = record->last_used_at_ms;
    return KW_OK;
}

static void the_latest_use_is_handed_out(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_held_record held;
    struct kw_error error;
    if (library_open(t, &library) && library_create(t, &library, &made)) {
        struct kw_id id = id_of(&made);
        use(t, &library, &made, "");
        (void)answers(t, &library, &(struct kw_usage_request){.id = id}, "VALID");
        if (kw_get(library.keyward, kw_text(""), &id, &held, &error) == KW_OK) {
            CHECK_I64(t, held.record.last_used_at_ms, LIBRARY_NOW_MS);
            CHECK_I64(t, held.record.last_used_ip.size, 16);
            CHECK_FIELD(t, held.record.last_used_region, "CH");
            kw_held_record_clear(&held);
        }
        int64_t seen = 0;
        bool has_more = true;
        struct kw_position cursor;
        struct kw_list_request recent = {.used_from_ms = LIBRARY_NOW_MS};
        CHECK_STATUS(t, kw_list(library.keyward, &recent, note, &seen, &has_more, &cursor, &error), KW_OK);
        CHECK_I64(t, seen, LIBRARY_NOW_MS);
        seen = -1;
        struct kw_list_request old = {.used_before_ms = LIBRARY_NOW_MS};
        CHECK_STATUS(t, kw_list(library.keyward, &old, note, &seen, &has_more, &cursor, &error), KW_OK);
        CHECK_I64(t, seen, -1);
        kw_new_key_clear(&made);
    }
    library_end(&library);
}

static void reports_are_added_once(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    const struct kw_usage_amount amounts[] = {{kw_text("tokens"), 1500000000}, {kw_text("cost"), 2000}};
    const struct kw_usage_amount doubled[] = {{kw_text("cost"), 1}, {kw_text("cost"), 2}};
    const struct kw_usage_amount unknown = {kw_text("pages"), 1};
    const struct kw_usage_amount negative = {kw_text("cost"), -1};
    if (library_open(t, &library) && library_create(t, &library, &made)) {
        struct kw_report_request request = {
            .id = id_of(&made), .amounts = amounts, .amount_count = 2, .idempotency_key = kw_text("once")};
        CHECK_STATUS(t, kw_report_usage(library.keyward, &request, &error), KW_OK);
        CHECK_STATUS(t, kw_report_usage(library.keyward, &request, &error), KW_OK);
        request.amount_count = 1;
        CHECK_REFUSED(t, kw_report_usage(library.keyward, &request, &error), error, KW_E_INVALID,
                      "IDEMPOTENCY_KEY_REUSED", "");
        request.idempotency_key = kw_text("");
        request.amounts = doubled;
        request.amount_count = 2;
        CHECK_REFUSED(t, kw_report_usage(library.keyward, &request, &error), error, KW_E_INVALID, "DUPLICATE_FIELD",
                      "amounts");
        request.amounts = &unknown;
        request.amount_count = 1;
        CHECK_REFUSED(t, kw_report_usage(library.keyward, &request, &error), error, KW_E_INVALID, "UNKNOWN_FIELD",
                      "pages");
        request.amounts = &negative;
        CHECK_REFUSED(t, kw_report_usage(library.keyward, &request, &error), error, KW_E_INVALID, "INVALID_FIELD",
                      "amounts");
        request.amounts = amounts;
        request.endpoint = kw_text("a\tb");
        CHECK_REFUSED(t, kw_report_usage(library.keyward, &request, &error), error, KW_E_INVALID, "INVALID_FIELD",
                      "endpoint");
        (void)answers(t, &library, &(struct kw_usage_request){.id = id_of(&made), .group = KW_USAGE_METRIC},
                      "\"counts\":{\"cost\":0.002,\"tokens\":1500}");
        kw_new_key_clear(&made);
    }
    library_end(&library);
}

/* --- how limits stand --- */

#define HOUR_MS (INT64_C(3600) * 1000)

static void stands(struct test *t, struct library *library, const struct kw_new_key *made, const char *text)
{
    for (int times = 0; times < 2; times++) { /* asking spends nothing */
        (void)answers(t, library, &(struct kw_usage_request){.id = id_of(made)}, text);
    }
}

static void limits_stand_as_they_were_spent(struct test *t)
{
    struct library library;
    struct kw_new_key made, other;
    struct kw_held_record held;
    struct kw_error error;
    struct kw_rate_limit limits[] = {library_limit("burst", 10, 30000), library_limit("steady", 100, HOUR_MS),
                                     library_limit("all", 1000, HOUR_MS)};
    limits[2].per = KW_PER_OWNER;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_limited(t, &library, limits, 3, &made));
    REQUIRE(t, library_create_limited(t, &library, limits, 3, &other));
    stands(t, &library, &made,
           "\"quotas\":[],\"rateLimits\":["
           "{\"name\":\"burst\",\"per\":\"key\",\"limit\":10,\"window\":\"30s\",\"used\":0,\"remaining\":10,"
           "\"resetsAt\":\"2026-01-01T00:00:00.000Z\"},{\"name\":\"steady\"");
    CHECK_CODE(t, library_spend(t, &library, made.key, 3).code, KW_CODE_NONE);
    library_set_clock(&library, LIBRARY_NOW_MS + 20000);
    CHECK_CODE(t, library_spend(t, &library, other.key, 5).code, KW_CODE_NONE);
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_NONE);
    library_set_clock(&library, LIBRARY_NOW_MS + 30000);
    static const char after[] =
        "\"rateLimits\":["
        "{\"name\":\"burst\",\"per\":\"key\",\"limit\":10,\"window\":\"30s\",\"used\":1,\"remaining\":9,"
        "\"resetsAt\":\"2026-01-01T00:00:50.000Z\"},"
        "{\"name\":\"steady\",\"per\":\"key\",\"limit\":100,\"window\":\"1h\",\"used\":4,\"remaining\":96,"
        "\"resetsAt\":\"2026-01-01T01:00:20.000Z\"},"
        "{\"name\":\"all\",\"per\":\"owner\",\"limit\":1000,\"window\":\"1h\",\"used\":9,\"remaining\":991,"
        "\"resetsAt\":\"2026-01-01T01:00:20.000Z\"}]";
    stands(t, &library, &made, after);
    REQUIRE(t, library_reopen(t, &library, 0)); /* from the notes, and nobody has spent since */
    stands(t, &library, &made, after);
    limits[1].requests = 3;
    struct kw_key_params params = {.given = KW_GIVEN_RATE_LIMITS, .rate_limits = &limits[1], .rate_limit_count = 1};
    REQUIRE_OK(t, kw_update(library.keyward, &(struct kw_change_request){.id = id_of(&made), .params = &params}, &held,
                            &error));
    kw_held_record_clear(&held);
    stands(t, &library, &made, "\"limit\":3,\"window\":\"1h\",\"used\":4,\"remaining\":0,");
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_RATE_LIMITED);
    kw_new_key_clear(&made);
    kw_new_key_clear(&other);
    library_end(&library);
}

static void a_throttle_stands_where_it_holds(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    const struct kw_quota_rule quota = {.limit = 2 * KW_AMOUNT_ONE,
                                        .period = KW_PERIOD_DAY,
                                        .on_exceeded = KW_QUOTA_THROTTLE,
                                        .throttle = {.requests = 5, .window_ms = 60000}};
    const struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS, .owner = KW_BYTES("user:1"), .quotas = &quota, .quota_count = 1};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &params, &made));
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_NONE);
    stands(t, &library, &made, "\"rateLimits\":[]");
    CHECK_CODE(t, library_spend(t, &library, made.key, 1).code, KW_CODE_NONE);
    stands(t, &library, &made,
           "\"rateLimits\":[{\"name\":\"requests-day\",\"per\":\"key\",\"limit\":5,\"window\":\"1m\","
           "\"used\":0,");
    CHECK_CODE(t, library_spend(t, &library, made.key, 4).code, KW_CODE_NONE);
    stands(t, &library, &made, "\"used\":4,\"remaining\":1,\"resetsAt\":\"2026-01-01T00:01:00.000Z\"}]");
    kw_new_key_clear(&made);
    library_end(&library);
}

static void what_cannot_be_asked_is_refused(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    struct kw_held_document held;
    if (library_open(t, &library) && library_create(t, &library, &made)) {
        const struct kw_usage_request both = {.id = id_of(&made), .owner = kw_text("user:1")};
        CHECK_REFUSED(t, kw_usage(library.keyward, &both, &held, &error), error, KW_E_INVALID, "INVALID_FIELD", "id");
        struct kw_usage_request other = {.id = id_of(&made)};
        other.id.bytes[15] ^= 1;
        CHECK_REFUSED(t, kw_usage(library.keyward, &other, &held, &error), error, KW_E_NOT_FOUND, "KEY_NOT_FOUND", "");
        const struct kw_usage_request nowhere = {.project = kw_text("nowhere")};
        CHECK_REFUSED(t, kw_usage(library.keyward, &nowhere, &held, &error), error, KW_E_NOT_FOUND, "PROJECT_NOT_FOUND",
                      "project");
        const struct kw_usage_request old = {.from_ms = 1};
        CHECK_REFUSED(t, kw_usage(library.keyward, &old, &held, &error), error, KW_E_INVALID, "INVALID_FIELD", "from");
        char text[66];
        memset(text, 'x', sizeof text);
        text[65] = '\0';
        struct kw_verdict verdict;
        struct kw_verify_request request = {.key = kw_text(made.key), .endpoint = kw_text(text)};
        CHECK_STATUS(t, kw_verify(library.keyward, &request, &verdict), KW_E_INVALID);
        kw_new_key_clear(&made);
    }
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_was_verified_is_counted),     TEST_CASE(the_latest_use_is_handed_out),
        TEST_CASE(reports_are_added_once),           TEST_CASE(limits_stand_as_they_were_spent),
        TEST_CASE(a_throttle_stands_where_it_holds), TEST_CASE(what_cannot_be_asked_is_refused),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
