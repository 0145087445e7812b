#include "core/address.h"
#include "core/id.h"
#include "core/limit_list.h"
#include "insights.h"

static enum kw_urgency urgency_of(struct history *history, enum kw_advice advice)
{
    const struct kw_recommendation *recommendation = history_advice(history, advice);
    return recommendation == NULL ? KW_URGENCY_NONE : recommendation->urgency;
}

static void check_message(struct history *history, enum kw_advice advice, const char *message)
{
    const struct kw_recommendation *recommendation = history_advice(history, advice);
    REQUIRE(history->t, recommendation != NULL);
    CHECK_TEXT(history->t, recommendation->message, message);
}

static void allow_range(struct history *history, const char *text)
{
    static uint8_t packed[KW_ADDRESS_RANGE_SIZE];
    struct kw_address_range range;
    const char *why = NULL;
    CHECK_STATUS(history->t, kw_address_range_parse(kw_bytes_of_text(text), &range, &why), KW_OK);
    kw_address_range_pack(&range, packed);
    struct kw_bytes items[] = {kw_bytes_of(packed, sizeof packed)};
    history->record.allowed_ips = list_of(&history->arena, items, 1);
}

static void allow_region(struct history *history)
{
    struct kw_bytes items[] = {KW_BYTES("EU")};
    history->record.allowed_regions = list_of(&history->arena, items, 1);
}

static void limit(struct history *history)
{
    struct kw_rate_limit limit = {KW_BYTES("default"), 10, 1000};
    CHECK(history->t, kw_rate_limits_pack(&history->arena, &limit, 1, &history->record.rate_limits));
}

/* --- The score --- */

static void a_score_is_the_sum_of_its_parts(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history_look(&history);
    CHECK_I64(t, history.insight.score, 0 + 20 + 0 + 0 + 15 + 10);
    history.record.expires_at_ms = NOON_MS + DAY_MS;
    allow_range(&history, "192.0.2.0/24");
    limit(&history);
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
        allow_range(&history, cases[i].range);
        CHECK_I64(t, history_points(&history, KW_PART_PLACES), cases[i].points);
    }
    allow_region(&history);
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
    limit(&history);
    CHECK_I64(t, history_points(&history, KW_PART_LIMITS), 15);
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 15);
    history.subject.has_old_digest = true;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 8);
    history.record.digest_scheme = KW_DIGEST_SHA256;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 5);
    history.subject.has_old_digest = false;
    CHECK_I64(t, history_points(&history, KW_PART_DIGEST), 12);
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

/* --- Recommendations --- */

static void many_countries_are_five(struct test *t)
{
    static const char *const countries[] = {"DE", "FR", "US", "JP"};
    struct history history;
    history_begin(t, &history);
    for (size_t i = 0; i < KW_COUNT_OF(countries); i++) {
        history_add(&history, KW_USE_COUNTRY, countries[i], 3, 1);
        history_add(&history, KW_USE_COUNTRY, countries[i], 4, 1);
    }
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_MANY_COUNTRIES), KW_URGENCY_NONE);
    history_add(&history, KW_USE_COUNTRY, "BR", 60, 1); /* before the time that counts */
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_MANY_COUNTRIES), KW_URGENCY_NONE);
    history_add(&history, KW_USE_COUNTRY, "BR", 59, 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_MANY_COUNTRIES), KW_URGENCY_HIGH);
    check_message(&history, KW_ADVICE_MANY_COUNTRIES, "This secret key was used from 5 countries in 60 days.");
    history_add(&history, KW_USE_COUNTRY, "other", 2, 1);
    check_message(&history, KW_ADVICE_MANY_COUNTRIES, "This secret key was used from 6 countries in 60 days.");
    CHECK_I64(t, history.insight.recommendations[0].advice, KW_ADVICE_MANY_COUNTRIES);
    history.record.is_public = true;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_MANY_COUNTRIES), KW_URGENCY_NONE);
    history.record.is_public = false;
    allow_region(&history);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_MANY_COUNTRIES), KW_URGENCY_NONE);
}

static void unused_is_sixty_days(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history.record.created_at_ms = RECORD_BORN_MS;
    history.use.last_used_ms = NOON_MS - 60 * DAY_MS + 1;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED), KW_URGENCY_NONE);
    history.use.last_used_ms = NOON_MS - 60 * DAY_MS;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED), KW_URGENCY_MEDIUM);
    check_message(&history, KW_ADVICE_UNUSED, "It was not used for 60 days.");
    history.use.last_used_ms = NOON_MS - 61 * DAY_MS;
    check_message(&history, KW_ADVICE_UNUSED, "It was not used for 61 days.");
    history.use.last_used_ms = 0; /* never: since it was made */
    check_message(&history, KW_ADVICE_UNUSED, "It was not used for 200 days.");
    history.record.created_at_ms = NOON_MS - 60 * DAY_MS + 1;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED), KW_URGENCY_NONE);
}

static void no_expiry_suggests_what_the_project_allows(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_EXPIRY), KW_URGENCY_MEDIUM);
    CHECK_I64(t, history.insight.expires_in_ms, 90 * DAY_MS);
    history.subject.max_expires_in_ms = 91 * DAY_MS;
    history_look(&history);
    CHECK_I64(t, history.insight.expires_in_ms, 90 * DAY_MS);
    history.subject.max_expires_in_ms = 89 * DAY_MS;
    history_look(&history);
    CHECK_I64(t, history.insight.expires_in_ms, 89 * DAY_MS);
    history.record.is_public = true;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_EXPIRY), KW_URGENCY_LOW);
    history.record.expires_at_ms = NOON_MS + 1000 * DAY_MS;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_EXPIRY), KW_URGENCY_NONE);
}

static void unused_scopes_need_evidence(struct test *t)
{
    static const char *const scopes[] = {"billing:*", "invoices:read", "reports:read"};
    struct history history;
    struct kw_bytes scope;
    history_begin(t, &history);
    history_scopes(&history, scopes, 3);
    history_add(&history, KW_USE_SCOPE, "billing:pay:card", 3, KW_INSIGHT_EVIDENCE - 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED_SCOPES), KW_URGENCY_NONE);
    history_add(&history, KW_USE_SCOPE, "billing:pay:card", 4, 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED_SCOPES), KW_URGENCY_MEDIUM);
    check_message(&history, KW_ADVICE_UNUSED_SCOPES, "2 of its 3 scopes were never asked for in 60 days.");
    CHECK_I64(t, history.insight.scopes.count, 1);
    struct kw_bytes rest = history.insight.scopes.packed;
    CHECK(t, kw_list_next(&rest, &scope) && rest.size == 0);
    CHECK_BYTES(t, scope, KW_BYTES("billing:*"));
    history_add(&history, KW_USE_SCOPE, "invoices:read", 59, 1);
    check_message(&history, KW_ADVICE_UNUSED_SCOPES, "1 of its 3 scopes was never asked for in 60 days.");
    CHECK_I64(t, history.insight.scopes.count, 2);
    history_add(&history, KW_USE_SCOPE, "other", 3, 1); /* which may have been that one */
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED_SCOPES), KW_URGENCY_NONE);
}

static void all_scopes_used_are_no_advice(struct test *t)
{
    static const char *const scopes[] = {"read", "write"};
    struct history history;
    history_begin(t, &history);
    history_scopes(&history, scopes, 2);
    history_add(&history, KW_USE_SCOPE, "read", 3, KW_INSIGHT_EVIDENCE);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED_SCOPES), KW_URGENCY_MEDIUM);
    history_add(&history, KW_USE_SCOPE, "write", 3, 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_UNUSED_SCOPES), KW_URGENCY_NONE);
}

/* On `days` days, `amount` in all, of which the network was known for `known`. */
static void use_from(struct history *history, const char *network, int64_t days, int64_t amount, int64_t known)
{
    for (int64_t day = 1; day < days; day++) {
        history_add(history, KW_USE_OUTCOME, "VALID", day, 1);
    }
    history_add(history, KW_USE_OUTCOME, "VALID", days, amount - (days - 1));
    history_add(history, KW_USE_NETWORK, network, days, known);
}

static void one_network_needs_days_uses_and_addresses(struct test *t)
{
    static const struct {
        int64_t days, amount, known;
        enum kw_urgency urgency;
    } cases[] = {
        {7, 100, 100, KW_URGENCY_LOW}, {6, 100, 100, KW_URGENCY_NONE}, {7, 99, 99, KW_URGENCY_NONE},
        {7, 100, 99, KW_URGENCY_NONE}, {8, 101, 101, KW_URGENCY_LOW},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        history_begin(t, &history);
        use_from(&history, "192.0.2.0/24", cases[i].days, cases[i].amount, cases[i].known);
        CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), cases[i].urgency);
    }
}

static void one_network_is_one_and_not_yet_a_rule(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    use_from(&history, "2001:db8::/48", 7, 100, 100);
    check_message(&history, KW_ADVICE_ONE_NETWORK,
                  "It was only ever used from 2001:db8::/48, and may be used from anywhere.");
    CHECK_BYTES(t, history.insight.network, KW_BYTES("2001:db8::/48"));
    history.record.is_public = true;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.record.is_public = false;
    struct kw_list none = history.record.allowed_ips;
    allow_range(&history, "2001:db8::/32");
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.record.allowed_ips = none;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_LOW);
    struct kw_use before = history.use;
    history_add(&history, KW_USE_NETWORK, "other", 3, 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.use = before;
    history_add(&history, KW_USE_NETWORK, "198.51.100.0/24", 3, 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
}

static void no_limit_suggests_four_times_the_busiest_hour(struct test *t)
{
    static const struct {
        int64_t hour_max, requests;
    } cases[] = {
        {0, 1000},
        {249, 1000},
        {250, 1000},
        {251, 1100},
        {1080, 4400},
        {1100, 4400},
        {1101, 4500},
        {240000000, 960000000},
        {250000000, 1000000000},
        {250000001, 1000000000},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct history history;
        history_begin(t, &history);
        history_add_hour(&history, 3, cases[i].hour_max);
        history_add_hour(&history, 5, cases[i].hour_max / 2);
        CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_LIMIT), KW_URGENCY_LOW);
        CHECK_I64(t, history.insight.requests_an_hour, cases[i].requests);
        history.record.is_public = true;
        CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_LIMIT), KW_URGENCY_MEDIUM);
        limit(&history);
        CHECK_I64(t, urgency_of(&history, KW_ADVICE_NO_LIMIT), KW_URGENCY_NONE);
    }
}

static void an_old_digest_is_told(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_OLD_DIGEST), KW_URGENCY_NONE);
    history.subject.has_old_digest = true;
    history.record.digest_scheme = KW_DIGEST_SHA512_SALTED;
    check_message(&history, KW_ADVICE_OLD_DIGEST,
                  "Its digest is not made as those of the project's new keys: sha512-salted, of an older method or "
                  "pepper.");
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_OLD_DIGEST), KW_URGENCY_LOW);
}

static void what_has_ended_needs_nothing(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    history.record.enabled = false;
    history_look(&history);
    CHECK(t, history.insight.recommendation_count != 0);
    history.record.expires_at_ms = NOON_MS;
    history_look(&history);
    CHECK_I64(t, history.insight.recommendation_count, 0);
    history.record.expires_at_ms = 0;
    history.record.rotated_to = random_id(t);
    history_look(&history);
    CHECK_I64(t, history.insight.recommendation_count, 0);
    history.record.rotated_to = (struct kw_id){{0}};
    history.record.revoked_at_ms = NOON_MS;
    history_look(&history);
    CHECK_I64(t, history.insight.recommendation_count, 0);
}

static void the_most_urgent_comes_first(struct test *t)
{
    static const enum kw_advice order[] = {KW_ADVICE_UNUSED, KW_ADVICE_NO_LIMIT, KW_ADVICE_NO_EXPIRY,
                                           KW_ADVICE_OLD_DIGEST};
    struct history history;
    history_begin(t, &history);
    history.record.is_public = true;
    history.record.created_at_ms = RECORD_BORN_MS;
    history.use.last_used_ms = 0;
    history.subject.has_old_digest = true;
    history_look(&history);
    REQUIRE(t, history.insight.recommendation_count == KW_COUNT_OF(order));
    for (size_t i = 0; i < KW_COUNT_OF(order); i++) {
        CHECK_I64(t, history.insight.recommendations[i].advice, order[i]);
    }
}

static void an_arena_that_is_full_says_so(struct test *t)
{
    static const char *const scopes[] = {"read", "write"};
    struct history history;
    struct kw_arena none;
    history_begin(t, &history);
    history_scopes(&history, scopes, 2);
    history_add(&history, KW_USE_SCOPE, "read", 3, KW_INSIGHT_EVIDENCE);
    kw_arena_init(&none, NULL, 0, 0);
    history.insight.score = 77;
    CHECK_STATUS(t, kw_insight_make(&history.subject, &none, &history.insight), KW_E_LIMIT);
    CHECK_I64(t, history.insight.score, 77); /* untouched */
}

/* --- Over many keys --- */

static void the_keys_to_look_at_first_are_as_in_a_sort(struct test *t)
{
    struct kw_attention_list list;
    struct kw_attention all[60];
    for (size_t limit = 1; limit <= 40; limit++) {
        size_t kept = 0;
        kw_attention_init(&list, limit);
        for (size_t i = 0; i < KW_COUNT_OF(all); i++) {
            struct kw_insight insight = {.score = (int)test_random_below(t, 5)};
            struct kw_id id = random_id(t);
            enum kw_urgency urgency = (enum kw_urgency)test_random_below(t, 4);
            insight.recommendations[0] = (struct kw_recommendation){KW_ADVICE_UNUSED, urgency, ""};
            insight.recommendation_count = urgency != KW_URGENCY_NONE;
            kw_attention_add(&list, &id, &insight);
            struct kw_attention key = {id, insight.score, urgency, UINT32_C(1) << KW_ADVICE_UNUSED};
            size_t at = urgency != KW_URGENCY_NONE ? kept++ : KW_COUNT_OF(all);
            for (; at > 0 && at < KW_COUNT_OF(all); at--) { /* all are kept, in order */
                const struct kw_attention *other = &all[at - 1];
                int64_t rank = ((int64_t)key.urgency - other->urgency) * 1000 - (key.score - other->score) * 10;
                if (rank < 0 || (rank == 0 && kw_id_compare(&key.id, &other->id) > 0)) {
                    break;
                }
                all[at] = *other;
            }
            if (at < KW_COUNT_OF(all)) {
                all[at] = key;
            }
        }
        CHECK_I64(t, list.looked_at, KW_COUNT_OF(all));
        CHECK_I64(t, list.advice_counts[KW_ADVICE_UNUSED], kept);
        CHECK_I64(t, list.count, kept < limit ? kept : limit);
        for (size_t i = 0; i < list.count; i++) {
            CHECK(t, kw_id_equal(&list.items[i].id, &all[i].id));
            CHECK_I64(t, list.items[i].advices, all[i].advices);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_score_is_the_sum_of_its_parts),
        TEST_CASE(the_part_of_expiry_has_its_edges),
        TEST_CASE(the_part_of_scopes_has_its_kinds),
        TEST_CASE(wildcards_on_resources_count),
        TEST_CASE(the_part_of_places_has_its_edges),
        TEST_CASE(the_parts_of_limits_and_digest_have_their_kinds),
        TEST_CASE(the_part_of_use_has_its_edges),
        TEST_CASE(many_countries_are_five),
        TEST_CASE(unused_is_sixty_days),
        TEST_CASE(no_expiry_suggests_what_the_project_allows),
        TEST_CASE(unused_scopes_need_evidence),
        TEST_CASE(all_scopes_used_are_no_advice),
        TEST_CASE(one_network_needs_days_uses_and_addresses),
        TEST_CASE(one_network_is_one_and_not_yet_a_rule),
        TEST_CASE(no_limit_suggests_four_times_the_busiest_hour),
        TEST_CASE(an_old_digest_is_told),
        TEST_CASE(what_has_ended_needs_nothing),
        TEST_CASE(the_most_urgent_comes_first),
        TEST_CASE(an_arena_that_is_full_says_so),
        TEST_CASE(the_keys_to_look_at_first_are_as_in_a_sort),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
