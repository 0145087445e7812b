#include "base/bytes.h"
#include "insights.h"

static void use_is_bounded_in_time(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_add(&history, KW_USE_OUTCOME, "VALID", 60, 5);
    CHECK_I64(t, history.use.passed, 0);
    history_add(&history, KW_USE_OUTCOME, "VALID", 59, 5);
    history_add(&history, KW_USE_OUTCOME, "REVOKED", 0, 3);
    history_add(&history, KW_USE_OUTCOME, "VALID", -2, 7); /* a clock that stepped back */
    history_add(&history, KW_USE_OUTCOME, "VALID", 1, -9);
    CHECK_I64(t, history.use.passed, 12);
    CHECK_I64(t, history.use.refused, 3);
    CHECK_I64(t, history.use.days[0], 7);
    CHECK_I64(t, history.use.days[59], 5);
    CHECK_I64(t, kw_use_day_count(&history.use), 2);
    CHECK_I64(t, kw_use_of_days(&history.use, 1, 58), 0);
    CHECK_I64(t, kw_use_of_days(&history.use, 1, 1000), 5);
    history_add(&history, KW_USE_OUTCOME, "VALID", 1, INT64_MAX);
    history_add(&history, KW_USE_OUTCOME, "VALID", 1, INT64_MAX);
    CHECK_I64(t, history.use.passed, KW_USE_AMOUNT_MAX);
}

static void hours_are_those_of_two_days(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_add_hour(&history, 0, 1); /* this hour is not whole */
    history_add_hour(&history, 49, 1);
    CHECK_I64(t, history.use.hours[12] + history.use.hours[11], 0);
    history_add_hour(&history, 1, 2);
    history_add_hour(&history, 48, 4);
    CHECK_I64(t, history.use.hours[11], 2);
    CHECK_I64(t, history.use.hours[12], 4);
    CHECK_I64(t, history.use.hour_max, 4);
    history_add_hour(&history, 1, 3);
    CHECK_I64(t, history.use.hour_max, 5);
    history_add(&history, KW_USE_OUTCOME, "VALID", 1, 1000); /* a day tells nothing of hours */
    CHECK_I64(t, history.use.hour_max, 5);
}

static void values_beyond_the_bound_are_other(struct test *t)
{
    struct history history;
    char name[] = "GET /a00";
    char longest[KW_USE_VALUE_SIZE + 2] = {0};
    history_begin(t, &history);
    for (unsigned i = 0; i < KW_USE_VALUES_MAX + 3; i++) {
        name[5] = (char)('a' + i / 100);
        name[6] = (char)('0' + i / 10 % 10);
        name[7] = (char)('0' + i % 10);
        history_add(&history, KW_USE_ENDPOINT, name, 0, 2);
    }
    history_add(&history, KW_USE_ENDPOINT, "GET /a00", 1, 5);
    CHECK_I64(t, history.use.endpoints.count, KW_USE_VALUES_MAX);
    CHECK_I64(t, history.use.endpoints.other, 6);
    CHECK_I64(t, history.use.endpoints.items[0].amount, 7);
    CHECK_I64(t, history.use.endpoints.total, 2 * KW_USE_VALUES_MAX + 6 + 5);
    memset(longest, 'a', KW_USE_VALUE_SIZE);
    history_add(&history, KW_USE_SCOPE, longest, 0, 1);
    CHECK_I64(t, history.use.scopes.count, 1);
    longest[KW_USE_VALUE_SIZE] = 'a';
    history_add(&history, KW_USE_SCOPE, longest, 0, 1);
    history_add(&history, KW_USE_SCOPE, "", 0, 1);
    CHECK_I64(t, history.use.scopes.count, 1);
    CHECK_I64(t, history.use.scopes.other, 2);
}

static void without_room_nothing_is_added(struct test *t)
{
    struct kw_use use;
    struct kw_arena none;
    struct kw_use_row row = {KW_USE_COUNTRY, KW_BYTES("DE"), NOON_MS, true, 1};
    kw_use_init(&use, NOON_MS, 0);
    kw_arena_init(&none, NULL, 0, 0);
    CHECK_STATUS(t, kw_use_add(&use, &none, &row), KW_E_LIMIT);
    CHECK_I64(t, use.countries.count, 0);
    CHECK_I64(t, use.countries.total, 0);
}

static void modes_have_their_edges(struct test *t)
{
    static const struct {
        const char *read, *write;
        int64_t reads, writes;
        enum kw_use_mode mode;
        int percent;
    } cases[] = {
        {"GET /v1/a", "POST /v1/a", 10, 9, KW_MODE_UNKNOWN, 0},
        {"GET /v1/a", "POST /v1/a", 10, 10, KW_MODE_MIXED, 50},
        {"GET /v1/a", "POST /v1/a", 79, 21, KW_MODE_MIXED, 79},
        {"GET /v1/a", "POST /v1/a", 80, 20, KW_MODE_READS, 80},
        {"HEAD /v1/a", "PUT /v1/a", 81, 19, KW_MODE_READS, 81},
        {"OPTIONS /v1/a", "PATCH /v1/a", 21, 79, KW_MODE_MIXED, 21},
        {"get /v1/a", "DELETE /v1/a", 20, 80, KW_MODE_WRITES, 20},
        {"GETTING /v1/a", "POST", 100, 20, KW_MODE_WRITES, 0},
        {"list", "make", 100, 100, KW_MODE_UNKNOWN, 0},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        history_begin(t, &history);
        history_add(&history, KW_USE_ENDPOINT, cases[i].read, 1, cases[i].reads);
        history_add(&history, KW_USE_ENDPOINT, cases[i].write, 2, cases[i].writes);
        struct kw_use_pattern pattern = kw_use_pattern(&history.use);
        CHECK_I64(t, pattern.mode, cases[i].mode);
        CHECK_I64(t, pattern.read_percent, cases[i].percent);
    }
}

static void scopes_tell_the_mode_where_endpoints_do_not(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_add(&history, KW_USE_ENDPOINT, "things", 1, 1000);
    history_add(&history, KW_USE_SCOPE, "invoices:read", 1, 12);
    history_add(&history, KW_USE_SCOPE, "list:invoices", 1, 12);
    history_add(&history, KW_USE_SCOPE, "billing:thread", 1, 1000);
    CHECK_I64(t, kw_use_pattern(&history.use).mode, KW_MODE_READS);
    history_add(&history, KW_USE_SCOPE, "keys:delete", 1, 12);
    CHECK_I64(t, kw_use_pattern(&history.use).mode, KW_MODE_MIXED);
    history_add(&history, KW_USE_ENDPOINT, "POST /v1/things", 1, 20); /* these know it better */
    CHECK_I64(t, kw_use_pattern(&history.use).mode, KW_MODE_WRITES);
}

static void peaks_are_twice_the_average(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_add_hour(&history, 3, 99); /* 9 o'clock */
    CHECK(t, !kw_use_pattern(&history.use).knows_peaks);
    history_add_hour(&history, 27, 1);
    CHECK(t, kw_use_pattern(&history.use).knows_peaks);
    CHECK_I64(t, kw_use_pattern(&history.use).peak_hours, 1 << 9);
    for (int64_t back = 1; back <= 24; back++) {
        history_add_hour(&history, back, back == 3 ? 0 : 100);
    }
    CHECK_I64(t, kw_use_pattern(&history.use).peak_hours, 0);
    history_add_hour(&history, 27, 109); /* 209 of 2509: just below twice the average */
    CHECK_I64(t, kw_use_pattern(&history.use).peak_hours, 0);
    history_add_hour(&history, 27, 1);
    CHECK_I64(t, kw_use_pattern(&history.use).peak_hours, 1 << 9); /* 210 of 2510 */
}

/* NOON_MS is a Monday: so many days ago was a Friday, Saturday, Sunday, Monday. */
enum { FRIDAY = 3, SATURDAY = 2, SUNDAY = 1, MONDAY = 7 };

static void weeks_have_their_shapes(struct test *t)
{
    static const struct {
        int64_t weekdays, weekend;
        enum kw_use_week week;
    } cases[] = {
        {90, 10, KW_WEEK_WEEKDAYS},  {91, 9, KW_WEEK_WEEKDAYS},  {89, 11, KW_WEEK_EVERY_DAY},
        {41, 59, KW_WEEK_EVERY_DAY}, {40, 60, KW_WEEK_WEEKENDS}, {39, 61, KW_WEEK_WEEKENDS},
        {89, 10, KW_WEEK_UNKNOWN},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        history_begin(t, &history);
        history_add(&history, KW_USE_OUTCOME, "VALID", 0, 1000); /* today is not whole */
        history_add(&history, KW_USE_OUTCOME, "VALID", 29, 1000);
        history_add(&history, KW_USE_OUTCOME, "VALID", FRIDAY + 14, cases[i].weekdays);
        history_add(&history, KW_USE_OUTCOME, "VALID", SATURDAY, cases[i].weekend / 2);
        history_add(&history, KW_USE_OUTCOME, "VALID", SUNDAY, cases[i].weekend - cases[i].weekend / 2);
        struct kw_use_pattern pattern = kw_use_pattern(&history.use);
        CHECK_I64(t, pattern.week, cases[i].week);
        if (pattern.week != KW_WEEK_UNKNOWN) {
            CHECK_I64(t, pattern.weekday_percent[4], cases[i].weekdays);
            CHECK_I64(t, pattern.weekday_percent[5], cases[i].weekend / 2);
        }
    }
}

static void a_week_needs_two_weeks_of_history(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_add(&history, KW_USE_OUTCOME, "VALID", 13, 200);
    CHECK_I64(t, kw_use_pattern(&history.use).week, KW_WEEK_UNKNOWN);
    history_begin(t, &history);
    history_add(&history, KW_USE_OUTCOME, "VALID", 14, 200);
    CHECK_I64(t, kw_use_pattern(&history.use).week, KW_WEEK_WEEKDAYS);
    CHECK_I64(t, kw_use_pattern(&history.use).weekday_percent[0], 100); /* a Monday */
    history_begin(t, &history);
    history_add(&history, KW_USE_OUTCOME, "VALID", 28, 200);
    CHECK_I64(t, kw_use_pattern(&history.use).weekday_percent[0], 100);
    CHECK_I64(t, MONDAY, 7);
}

static void growth_is_from_week_to_week(struct test *t)
{
    static const struct {
        int64_t before, last, percent;
        enum kw_use_trend trend;
    } cases[] = {
        {19, 100, 0, KW_TREND_UNKNOWN},     {20, 23, 15, KW_TREND_STEADY},      {100, 119, 19, KW_TREND_STEADY},
        {100, 120, 20, KW_TREND_GROWING},   {100, 121, 21, KW_TREND_GROWING},   {100, 81, -19, KW_TREND_STEADY},
        {100, 80, -20, KW_TREND_SHRINKING}, {100, 0, -100, KW_TREND_SHRINKING}, {100, 100, 0, KW_TREND_STEADY},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        history_begin(t, &history);
        history_add(&history, KW_USE_OUTCOME, "VALID", 0, 500);
        history_add(&history, KW_USE_OUTCOME, "VALID", 15, 500);
        history_add(&history, KW_USE_OUTCOME, "VALID", 14, cases[i].before - 1);
        history_add(&history, KW_USE_OUTCOME, "VALID", 8, 1);
        history_add(&history, KW_USE_OUTCOME, "VALID", 7, cases[i].last);
        struct kw_use_pattern pattern = kw_use_pattern(&history.use);
        CHECK_I64(t, pattern.trend, cases[i].trend);
        CHECK_I64(t, pattern.growth_percent, cases[i].percent);
        CHECK_I64(t, pattern.last_week, cases[i].last);
        CHECK_I64(t, pattern.week_before, cases[i].before);
    }
}

/* --- Names --- */

static void check_name(struct history *history, const char *expected)
{
    char name[KW_NAME_MAX];
    CHECK_BYTES(history->t, kw_bytes_of(name, kw_insight_name(&history->subject, name)), kw_bytes_of_text(expected));
}

static void names_come_from_endpoints(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    check_name(&history, "user 42 (live)");
    history_add(&history, KW_USE_ENDPOINT, "GET /api/v1/reports/{id}", 1, 100);
    check_name(&history, "user 42: reads reports (live)");
    history_add(&history, KW_USE_ENDPOINT, "POST /v1/invoices", 1, 24);
    check_name(&history, "user 42: reads reports (live)"); /* 24 of 124 is less than a fifth */
    history_add(&history, KW_USE_ENDPOINT, "GET /v1/invoices/123", 1, 1);
    check_name(&history, "user 42: reads invoices and reports (live)");
    history_add(&history, KW_USE_ENDPOINT, "GET /v1/invoices", 1, 300); /* more by now: the name stays */
    check_name(&history, "user 42: reads invoices and reports (live)");
    history_add(&history, KW_USE_ENDPOINT, "DELETE /v1/users", 1, 200);
    check_name(&history, "user 42: uses invoices and users (live)");
}

static void names_come_from_scopes_otherwise(struct test *t)
{
    static const char *const scopes[] = {"read:invoices", "invoices:write", "billing:*", "write", "*"};
    static const char *const many[] = {"a-one:read", "b-two:read", "c-three:read"};
    struct history history;
    history_begin(t, &history);
    history_scopes(&history, scopes, 5);
    history.record.env = KW_BYTES("test");
    history.record.owner = KW_BYTES("service:ci");
    check_name(&history, "service ci: uses billing and invoices (test)");
    history_add(&history, KW_USE_ENDPOINT, "GET /v1/12345", 1, 100);
    check_name(&history, "service ci: reads billing and invoices (test)");
    history_scopes(&history, many, 3);
    check_name(&history, "service ci (test)");
}

static void names_are_never_too_long(struct test *t)
{
    static uint8_t owner[KW_OWNER_MAX], env[KW_ENV_MAX];
    struct history history;
    char name[KW_NAME_MAX];
    history_begin(t, &history);
    memset(env, 'e', sizeof env);
    for (size_t i = 0; i < sizeof owner; i += 2) {
        memcpy(owner + i, "\xc3\xa4", 2);
    }
    memcpy(owner, "service:x", 9);
    owner[9] = 'y';
    history.record.owner = kw_bytes_of(owner, sizeof owner);
    history.record.env = kw_bytes_of(env, sizeof env);
    history_add(&history, KW_USE_ENDPOINT, "POST /aaaaaaaaaaaaaaaaaaaa", 1, 100);
    history_add(&history, KW_USE_ENDPOINT, "POST /bbbbbbbbbbbbbbbbbbbb", 1, 100);
    history_add(&history, KW_USE_ENDPOINT, "POST /ccccccccccccccccccccc", 1, 100); /* too long for a topic */
    size_t size = kw_insight_name(&history.subject, name);
    CHECK(t, size <= KW_NAME_MAX && name[size - 1] == ')');
    CHECK(t, kw_utf8_valid(kw_bytes_of(name, size)));
    CHECK(t, kw_bytes_contains_ignoring_case(kw_bytes_of(name, size),
                                             KW_BYTES(": writes aaaaaaaaaaaaaaaaaaaa and bbbbbbbbbbbbbbbbbbbb (ee")));
}

static void what_is_no_word_is_no_topic(struct test *t)
{
    static const char *const endpoints[] = {"GET /v1/",
                                            "GET /api/v2/8c6d1f00-6b1e-4a7b",
                                            "GET /{id}/:x",
                                            "GET /v1/a",
                                            "\"><script>",
                                            "GET /v1/a\nb",
                                            "GET /42/43",
                                            "",
                                            "/",
                                            "GET /rest/rpc"};
    for (size_t i = 0; i < KW_COUNT_OF(endpoints); i++) {
        struct history history;
        history_begin(t, &history);
        history_add(&history, KW_USE_ENDPOINT, endpoints[i], 1, 10);
        check_name(&history, "user 42 (live)");
    }
}

/* --- JSON --- */

static void json_shows_all_of_it(struct test *t)
{
    static const char *const scopes[] = {"invoices:read", "reports:read"};
    static const char expected[] =
        "{\"id\":\"key_01KDVDNA00041061050R3GG28A\",\"name\":\"Production "
        "key\",\"owner\":\"user:42\",\"env\":\"live\",\"status\":\"active\","
        "\"lastUsedAt\":\"2026-07-20T12:00:00.000Z\",\"suggestedName\":\"user 42: reads invoices (live)\","
        "\"usagePattern\":{\"days\":60,\"passed\":220,\"refused\":4,\"kind\":\"mostlyReads\",\"readPercent\":100,"
        "\"peakHours\":[9],\"weekdays\":{\"shape\":\"weekdays\",\"percent\":[100,0,0,0,0,0,0]},"
        "\"growth\":{\"trend\":\"shrinking\",\"percent\":-100,\"lastWeek\":0,\"weekBefore\":120},"
        "\"endpoints\":[{\"endpoint\":\"GET /v1/invoices\",\"count\":220}]},"
        "\"securityScore\":39,\"scoreParts\":["
        "{\"part\":\"expiry\",\"points\":0,\"of\":20,\"why\":\"It never expires.\"},"
        "{\"part\":\"scopes\",\"points\":14,\"of\":20,\"why\":\"It has scopes that were never used.\"},"
        "{\"part\":\"places\",\"points\":0,\"of\":20,\"why\":\"It may be used from anywhere.\"},"
        "{\"part\":\"limits\",\"points\":0,\"of\":15,\"why\":\"It can be used without limit.\"},"
        "{\"part\":\"digest\",\"points\":15,\"of\":15,\"why\":\"Its digest is under the present pepper.\"},"
        "{\"part\":\"use\",\"points\":10,\"of\":10,\"why\":\"It was used, or made, within 30 days.\"}],"
        "\"recommendations\":["
        "{\"code\":\"NO_EXPIRY\",\"urgency\":\"medium\","
        "\"message\":\"It never expires: who finds it can use it for ever.\","
        "\"advice\":\"Set an expiry, and rotate it before.\",\"action\":\"update\","
        "\"suggested\":{\"expiresIn\":\"90d\"}},"
        "{\"code\":\"UNUSED_SCOPES\",\"urgency\":\"medium\","
        "\"message\":\"1 of its 2 scopes was never asked for in 60 days.\","
        "\"advice\":\"Take them away: what is suggested are the scopes that were used.\",\"action\":\"update\","
        "\"suggested\":{\"scopes\":[\"invoices:read\"]}},"
        "{\"code\":\"NO_LIMIT\",\"urgency\":\"low\","
        "\"message\":\"It has neither rate limits nor quotas that hold it back.\","
        "\"advice\":\"Set a rate limit: what is suggested is well above its busiest hour.\",\"action\":\"update\","
        "\"suggested\":{\"rateLimits\":[{\"requests\":1000,\"window\":\"1h\"}]}}]}";
    struct history history;
    uint8_t memory[8192];
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    history_begin(t, &history);
    history_scopes(&history, scopes, 2);
    history_add(&history, KW_USE_OUTCOME, "VALID", 14, 120);
    history_add_hour(&history, 3, 100);
    history_add(&history, KW_USE_OUTCOME, "IP_NOT_ALLOWED", 2, 4);
    history_add(&history, KW_USE_ENDPOINT, "GET /v1/invoices", 1, 220);
    history_add(&history, KW_USE_SCOPE, "invoices:read", 1, 220);
    kw_buffer_init_fixed(&buffer, memory, sizeof memory);
    kw_json_writer_init(&writer, &buffer);
    history_look(&history);
    kw_insight_write_json(&history.subject, &history.insight, &writer);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_OK);
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES(expected));
}

static void json_tells_the_way_out_of_each(struct test *t)
{
    struct history history;
    uint8_t memory[8192];
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    history_begin(t, &history);
    history.record.created_at_ms = RECORD_BORN_MS;
    history.use.last_used_ms = 0;
    kw_buffer_init_fixed(&buffer, memory, sizeof memory);
    for (int i = 0; i < 2; i++) {
        history.record.enabled = i == 0;
        kw_buffer_reset(&buffer);
        kw_json_writer_init(&writer, &buffer);
        history_look(&history);
        kw_insight_write_json(&history.subject, &history.insight, &writer);
        CHECK(t, kw_bytes_contains_ignoring_case(
                     kw_buffer_bytes(&buffer),
                     kw_bytes_of_text(i == 0 ? "\"action\":\"disable\"" : "\"action\":\"revoke\"")));
        CHECK(t, !kw_bytes_contains_ignoring_case(kw_buffer_bytes(&buffer), KW_BYTES("lastUsedAt")));
    }
}

static void json_shows_the_five_most_used_endpoints(struct test *t)
{
    static const char *const endpoints[] = {"a", "b", "c", "d", "e", "f"};
    struct history history;
    uint8_t memory[8192];
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    history_begin(t, &history);
    for (size_t i = 0; i < KW_COUNT_OF(endpoints); i++) {
        history_add(&history, KW_USE_ENDPOINT, endpoints[i], 0, (int64_t)i + 1);
    }
    kw_buffer_init_fixed(&buffer, memory, sizeof memory);
    kw_json_writer_init(&writer, &buffer);
    history_look(&history);
    kw_insight_write_json(&history.subject, &history.insight, &writer);
    CHECK(t, kw_bytes_contains_ignoring_case(
                 kw_buffer_bytes(&buffer),
                 KW_BYTES("\"endpoints\":[{\"endpoint\":\"f\",\"count\":6},{\"endpoint\":\"e\",\"count\":5},"
                          "{\"endpoint\":\"d\",\"count\":4},{\"endpoint\":\"c\",\"count\":3},"
                          "{\"endpoint\":\"b\",\"count\":2}]}")));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(use_is_bounded_in_time),
        TEST_CASE(hours_are_those_of_two_days),
        TEST_CASE(values_beyond_the_bound_are_other),
        TEST_CASE(without_room_nothing_is_added),
        TEST_CASE(modes_have_their_edges),
        TEST_CASE(scopes_tell_the_mode_where_endpoints_do_not),
        TEST_CASE(peaks_are_twice_the_average),
        TEST_CASE(weeks_have_their_shapes),
        TEST_CASE(a_week_needs_two_weeks_of_history),
        TEST_CASE(growth_is_from_week_to_week),
        TEST_CASE(names_come_from_endpoints),
        TEST_CASE(names_come_from_scopes_otherwise),
        TEST_CASE(names_are_never_too_long),
        TEST_CASE(what_is_no_word_is_no_topic),
        TEST_CASE(json_shows_all_of_it),
        TEST_CASE(json_tells_the_way_out_of_each),
        TEST_CASE(json_shows_the_five_most_used_endpoints),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
