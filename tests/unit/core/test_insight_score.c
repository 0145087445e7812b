#include "core/quota_list.h"
#include "insights.h"

/* --- The score --- */

static void a_score_is_the_sum_of_its_parts(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_look(&history);
    CHECK_I64(t, history.insight.score, 0 + 20 + 0 + 0 + 15 + 10);
    history.record.expires_at_ms = NOON_MS + DAY_MS;
    history_allow_range(&history, "192.0.2.0/24");
    history_limit(&history);
    history_look(&history);
    CHECK_I64(t, history.insight.score, 100);
    int of = 0;
    for (size_t part = 0; part < KW_PART_COUNT; part++) {
        CHECK_I64(t, history.insight.parts[part].points, history.insight.parts[part].of);
        CHECK(t, history.insight.parts[part].why[0] != '\0');
        CHECK(t, kw_score_part_name((enum kw_score_part_kind)part) != NULL);
        of += history.insight.parts[part].of;
    }
    CHECK_I64(t, of, 100);
    CHECK(t, kw_score_part_name(KW_PART_COUNT) == NULL);
}

static void the_part_of_expiry_has_its_edges(struct test *t)
{
    static const struct {
        int64_t left_ms;
        int points;
    } cases[] = {
        {1, 20},
        {90 * DAY_MS - 1, 20},
        {90 * DAY_MS, 20},
        {90 * DAY_MS + 1, 12},
        {365 * DAY_MS - 1, 12},
        {365 * DAY_MS, 12},
        {365 * DAY_MS + 1, 5},
    };
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, history_points(&history, KW_PART_EXPIRY), 0);
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        history.record.expires_at_ms = NOON_MS + cases[i].left_ms;
        CHECK_I64(t, history_points(&history, KW_PART_EXPIRY), cases[i].points);
    }
    history.record.grace_until_ms = NOON_MS + DAY_MS; /* it ends before it expires */
    CHECK_I64(t, history_points(&history, KW_PART_EXPIRY), 20);
    history.record.expires_at_ms = 0;
    CHECK_I64(t, history_points(&history, KW_PART_EXPIRY), 20);
}

static void the_part_of_scopes_has_its_kinds(struct test *t)
{
    static const char *const named[] = {"invoices:read", "reports:read"};
    static const char *const wild[] = {"invoices:*", "reports:read"};
    static const char *const all[] = {"*", "reports:read"};
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 20);
    history_scopes(&history, named, 2);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 20);
    history_scopes(&history, wild, 2);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 12);
    history_add(&history, KW_USE_SCOPE, "reports:read", 0, KW_INSIGHT_EVIDENCE);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 6);
    history_scopes(&history, named, 2);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 14);
    history_scopes(&history, all, 2);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 0);
}

static void wildcards_on_resources_count(struct test *t)
{
    struct history history;
    struct kw_bytes all[] = {KW_BYTES("*")};
    struct kw_bytes read[] = {KW_BYTES("read")};
    history_begin(t, &history);
    struct resource_of one = {KW_BYTES("website:1"), list_of(&history.arena, read, 1)};
    history.record.resources = resources_of(&history.arena, &one, 1);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 20);
    one.scopes = list_of(&history.arena, all, 1);
    history.record.resources = resources_of(&history.arena, &one, 1);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 12);
    one.resource = KW_BYTES("*");
    history.record.resources = resources_of(&history.arena, &one, 1);
    CHECK_I64(t, history_points(&history, KW_PART_SCOPES), 0);
}

static void the_part_of_places_has_its_edges(struct test *t)
{
    static const struct {
        const char *range;
        int points;
    } cases[] = {
        {"0.0.0.0/0", 5},     {"10.0.0.0/7", 5},     {"10.0.0.0/8", 20},    {"10.0.0.0/9", 20}, {"192.0.2.1", 20},
        {"2001:db8::/31", 5}, {"2001:db8::/32", 20}, {"2001:db8::/33", 20}, {"::/0", 5},
    };
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, history_points(&history, KW_PART_PLACES), 0);
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        history_allow_range(&history, cases[i].range);
        CHECK_I64(t, history_points(&history, KW_PART_PLACES), cases[i].points);
    }
    history_allow_region(&history);
    CHECK_I64(t, history_points(&history, KW_PART_PLACES), 10); /* better than ::/0 alone */
    history.record.allowed_ips = (struct kw_list){.count = 0};
    CHECK_I64(t, history_points(&history, KW_PART_PLACES), 10);
    history.record.is_public = true;
    CHECK_I64(t, history_points(&history, KW_PART_PLACES), 20);
}

static void the_parts_of_limits_and_digest_have_their_kinds(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, history_points(&history, KW_PART_LIMITS), 0);
    history_limit(&history);
    CHECK_I64(t, history_points(&history, KW_PART_LIMITS), 15);
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 15);
    history.subject.has_old_digest = true;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 8);
    history.record.digest_scheme = KW_DIGEST_SHA256;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 5);
    history.subject.has_old_digest = false;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 12);
}

static void a_quota_that_holds_back_is_a_limit(struct test *t)
{
    static const struct {
        enum kw_quota_exceeded on_exceeded;
        int points;
    } cases[] = {{KW_QUOTA_WARN, 0}, {KW_QUOTA_BLOCK, 15}, {KW_QUOTA_THROTTLE, 15}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        struct kw_quota_rule rules[] = {
            {.name = KW_BYTES("a"), .limit = 1, .period = KW_PERIOD_DAY, .on_exceeded = KW_QUOTA_WARN},
            {.name = KW_BYTES("b"), .limit = 1, .period = KW_PERIOD_DAY, .on_exceeded = cases[i].on_exceeded}};
        rules[1].throttle = (struct kw_rate_limit){.requests = 1, .window_ms = 1000};
        history_begin(t, &history);
        CHECK(t, kw_quotas_pack(&history.arena, rules, KW_COUNT_OF(rules), &history.record.quotas));
        CHECK_I64(t, history_points(&history, KW_PART_LIMITS), cases[i].points);
        CHECK(t, (history_advice(&history, KW_ADVICE_NO_LIMIT) == NULL) == (cases[i].points != 0));
    }
}

static void the_part_of_use_has_its_edges(struct test *t)
{
    static const struct {
        int64_t idle_ms;
        int points;
    } cases[] = {
        {0, 10}, {30 * DAY_MS - 1, 10}, {30 * DAY_MS, 5}, {60 * DAY_MS - 1, 5}, {60 * DAY_MS, 0}, {61 * DAY_MS, 0},
    };
    struct history history;
    history_begin(t, &history);
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        history.record.created_at_ms = RECORD_BORN_MS;
        history.use.last_used_ms = NOON_MS - cases[i].idle_ms;
        CHECK_I64(t, history_points(&history, KW_PART_USE), cases[i].points);
        history.record.created_at_ms = NOON_MS - cases[i].idle_ms;
        history.use.last_used_ms = 0;
        CHECK_I64(t, history_points(&history, KW_PART_USE), cases[i].points);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_score_is_the_sum_of_its_parts),    TEST_CASE(the_part_of_expiry_has_its_edges),
        TEST_CASE(the_part_of_scopes_has_its_kinds),   TEST_CASE(wildcards_on_resources_count),
        TEST_CASE(the_part_of_places_has_its_edges),   TEST_CASE(the_parts_of_limits_and_digest_have_their_kinds),
        TEST_CASE(a_quota_that_holds_back_is_a_limit), TEST_CASE(the_part_of_use_has_its_edges),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
