#include "core/id.h"
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
    history_allow_region(&history);
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

static void seen_from(struct history *history, const char *address, int64_t amount)
{
    CHECK(history->t, kw_address_parse(kw_bytes_of_text(address), &history->use.last_address));
    history->use.has_last_address = true;
    history_add(history, KW_USE_NETWORK, "uses", 1, amount);
    history_add(history, KW_USE_NETWORK, "marks", 1, amount * kw_network_mark(&history->use.last_address));
}

/* On `days` days, `amount` in all, of which the address was known for `known`. */
static void use_from(struct history *history, const char *address, int64_t days, int64_t amount, int64_t known)
{
    for (int64_t day = 1; day < days; day++) {
        history_add(history, KW_USE_OUTCOME, "VALID", day, 1);
    }
    history_add(history, KW_USE_OUTCOME, "VALID", days, amount - (days - 1));
    seen_from(history, address, known);
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
        use_from(&history, "192.0.2.77", cases[i].days, cases[i].amount, cases[i].known);
        CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), cases[i].urgency);
    }
}

static void one_network_is_one_and_not_yet_a_rule(struct test *t)
{
    struct history history;
    history_begin(t, &history);
    use_from(&history, "2001:db8:0:1::5", 7, 100, 99);
    seen_from(&history, "2001:db8:0:ffff::", 1); /* the same /48 */
    check_message(&history, KW_ADVICE_ONE_NETWORK,
                  "It was only ever used from 2001:db8::/48, and may be used from anywhere.");
    CHECK_BYTES(t, kw_bytes_of(history.insight.network, history.insight.network_size), KW_BYTES("2001:db8::/48"));
    history.record.is_public = true;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.record.is_public = false;
    struct kw_list none = history.record.allowed_ips;
    history_allow_range(&history, "2001:db8::/32");
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.record.allowed_ips = none;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_LOW);
    history.use.has_last_address = false;
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
    history.use.has_last_address = true;
    seen_from(&history, "2001:db8:1::", 1);
    CHECK_I64(t, urgency_of(&history, KW_ADVICE_ONE_NETWORK), KW_URGENCY_NONE);
}

/* Against a list of networks: one is found, others never make one. */
static void networks_add_up_only_if_they_are_one(struct test *t)
{
    for (int i = 0; i < 20000; i++) {
        struct kw_address addresses[3];
        int64_t marks = 0;
        uint64_t count = 1 + test_random_below(t, KW_COUNT_OF(addresses));
        bool is_one = true;
        for (uint64_t j = 0; j < count; j++) {
            addresses[j] = (struct kw_address){.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10, [14] = 7}};
            addresses[j].bytes[13] = (uint8_t)test_random_below(t, 5);
            addresses[j].bytes[15] = (uint8_t)test_random(t);
            struct kw_address_range first = kw_network_of(&addresses[0]);
            is_one = is_one && kw_address_range_holds(&first, &addresses[j]);
            marks += kw_network_mark(&addresses[j]);
        }
        CHECK(t, (marks == (int64_t)count * kw_network_mark(&addresses[0])) == is_one);
    }
    struct kw_address address = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1}};
    CHECK_I64(t, kw_network_mark(&address), 9684); /* as stores have it */
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
        history_limit(&history);
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
        TEST_CASE(many_countries_are_five),
        TEST_CASE(unused_is_sixty_days),
        TEST_CASE(no_expiry_suggests_what_the_project_allows),
        TEST_CASE(unused_scopes_need_evidence),
        TEST_CASE(all_scopes_used_are_no_advice),
        TEST_CASE(one_network_needs_days_uses_and_addresses),
        TEST_CASE(one_network_is_one_and_not_yet_a_rule),
        TEST_CASE(networks_add_up_only_if_they_are_one),
        TEST_CASE(no_limit_suggests_four_times_the_busiest_hour),
        TEST_CASE(an_old_digest_is_told),
        TEST_CASE(what_has_ended_needs_nothing),
        TEST_CASE(the_most_urgent_comes_first),
        TEST_CASE(an_arena_that_is_full_says_so),
        TEST_CASE(the_keys_to_look_at_first_are_as_in_a_sort),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
