/* libkeyward's side of places and families: what is asked, who refuses, and every rule's outcome. */
#include "library_fixture.h"

/* Of user:1, with the scope a; from 10/8 and the EU only. */
static bool create_bound(struct test *t, struct library *library, struct kw_new_key *made)
{
    struct kw_bytes scope = KW_BYTES("a");
    struct kw_bytes ip = KW_BYTES("10.0.0.0/8");
    struct kw_bytes region = KW_BYTES("EU");
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES | KW_GIVEN_ALLOWED_IPS |
                                            KW_GIVEN_ALLOWED_REGIONS,
                                   .owner = KW_BYTES("user:1"),
                                   .scopes = &scope,
                                   .scope_count = 1,
                                   .allowed_ips = &ip,
                                   .allowed_ip_count = 1,
                                   .allowed_regions = &region,
                                   .allowed_region_count = 1};
    return library_create_as(t, library, &params, made);
}

static void places_and_requirements_are_asked(struct test *t)
{
    static const struct {
        const char *ip, *country, *region, *require;
        enum kw_status status;
        enum kw_code code;
    } rows[] = {
        {"10.1.2.3", "DE", NULL, NULL, KW_OK, KW_CODE_NONE},
        {"::ffff:10.1.2.3", "FR", "IDF", "a OR b", KW_OK, KW_CODE_NONE},
        {NULL, "DE", NULL, NULL, KW_OK, KW_CODE_IP_NOT_ALLOWED},
        {"11.0.0.1", "DE", NULL, NULL, KW_OK, KW_CODE_IP_NOT_ALLOWED},
        {"10.1.2.3", NULL, NULL, NULL, KW_OK, KW_CODE_REGION_NOT_ALLOWED},
        {"10.1.2.3", "US", "US-CA", NULL, KW_OK, KW_CODE_REGION_NOT_ALLOWED},
        {"10.1.2.3", "DE", NULL, "a AND (b OR c)", KW_OK, KW_CODE_INSUFFICIENT_SCOPE},
        {"10.1.2", "DE", NULL, NULL, KW_E_INVALID, KW_CODE_NONE},
        {"10.1.2.3", "EU", NULL, NULL, KW_E_INVALID, KW_CODE_NONE},
        {"10.1.2.3", NULL, "DE-BY", NULL, KW_E_INVALID, KW_CODE_NONE},
        {"10.1.2.3", "DE", "US-CA", NULL, KW_E_INVALID, KW_CODE_NONE},
        {"10.1.2.3", "DE", NULL, "a AND", KW_E_INVALID, KW_CODE_NONE},
    };
    struct library library;
    struct kw_new_key made;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_bound(t, &library, &made));
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_verify_request request = {.key = kw_text(made.key),
                                            .ip = kw_text(rows[i].ip),
                                            .country = kw_text(rows[i].country),
                                            .region = kw_text(rows[i].region),
                                            .require = kw_text(rows[i].require)};
        struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
        struct kw_verdict many = {.code = KW_CODE_INTERNAL};
        enum kw_status status;
        enum kw_code expected = rows[i].status == KW_OK ? rows[i].code : KW_CODE_INTERNAL; /* untouched */
        CHECK_STATUS(t, kw_verify(library.keyward, &request, &verdict), rows[i].status);
        CHECK_CODE(t, verdict.code, expected);
        CHECK_STATUS(t, kw_verify_many(library.keyward, &request, 1, &status, &many), rows[i].status);
        CHECK_CODE(t, many.code, expected);
        if (expected == KW_CODE_INSUFFICIENT_SCOPE) {
            CHECK_TEXT(t, verdict.missing, "b OR c");
        }
    }
    kw_new_key_clear(&made);
    library_end(&library);
}

/* The same request and verdict give all that is missing; other verdicts give nothing. */
static void all_that_is_missing_is_named(struct test *t)
{
    static const struct kw_bytes scopes[KW_SCOPE_COUNT_MAX + 1] = {
        {(const uint8_t *)"a", 1}, {(const uint8_t *)"x", 1}, {(const uint8_t *)"y", 1}};
    struct library library;
    struct kw_new_key made;
    struct kw_verdict verdict = {.code = KW_CODE_NONE};
    struct kw_missing missing[KW_MISSING_MAX];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_bound(t, &library, &made));
    struct kw_verify_request request = {.key = kw_text(made.key),
                                        .ip = KW_BYTES("10.1.2.3"),
                                        .country = KW_BYTES("DE"),
                                        .scopes = scopes,
                                        .scope_count = 3,
                                        .require = KW_BYTES("z AND (b OR c)")};
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    CHECK_I64(t, kw_missing_list(&request, &verdict, missing, KW_MISSING_MAX), 4);
    CHECK_BYTES(t, missing[0].scope, KW_BYTES("x"));
    CHECK_BYTES(t, missing[1].scope, KW_BYTES("y"));
    CHECK_BYTES(t, missing[2].scope, KW_BYTES("z"));
    CHECK_BYTES(t, missing[3].require, KW_BYTES("b OR c"));
    CHECK_TEXT(t, verdict.missing, "x");
    CHECK_TEXT(t, verdict.field, "");
    request.ip = KW_BYTES("11.0.0.1");
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    CHECK_I64(t, kw_missing_list(&request, &verdict, missing, KW_MISSING_MAX), 0);
    request.scope_count = KW_COUNT_OF(scopes); /* one more than may be asked for */
    CHECK_STATUS(t, kw_verify(library.keyward, &request, &verdict), KW_E_INVALID);
    kw_new_key_clear(&made);
    library_end(&library);
}

static const char *outcome_of(const struct kw_rule_outcome *outcomes, size_t count, const char *rule)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(outcomes[i].rule, rule) == 0) {
            return outcomes[i].outcome;
        }
    }
    return "(none)";
}

static void an_explanation_names_every_rule(struct test *t)
{
    static const char *const rules[] = {"format", "known",       "revoked", "expired", "disabled",   "address",
                                        "region", "environment", "policy",  "scopes",  "rateLimits", "quotas"};
    struct library library;
    struct kw_new_key made;
    struct kw_verdict verdict;
    struct kw_rule_outcome outcomes[KW_RULES_MAX];
    size_t count = 0;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_bound(t, &library, &made));
    struct kw_verify_request request = {.key = kw_text(made.key), .ip = KW_BYTES("10.0.0.1")};
    REQUIRE_OK(t, kw_explain(library.keyward, &request, &verdict, outcomes, &count));
    CHECK_I64(t, count, KW_COUNT_OF(rules));
    for (size_t i = 0; i < KW_COUNT_OF(rules) && i < count; i++) {
        CHECK_TEXT(t, outcomes[i].rule, rules[i]);
        bool is_refused = strcmp(outcomes[i].outcome, "refused") == 0;
        CHECK(t, is_refused == (outcomes[i].code != KW_CODE_NONE));
    }
    CHECK_CODE(t, verdict.code, KW_CODE_REGION_NOT_ALLOWED);
    CHECK_TEXT(t, outcome_of(outcomes, count, "address"), "passed");
    CHECK_TEXT(t, outcome_of(outcomes, count, "region"), "refused");
    CHECK_TEXT(t, outcome_of(outcomes, count, "expired"), "none");
    request.key = KW_BYTES("no key");
    REQUIRE_OK(t, kw_explain(library.keyward, &request, &verdict, outcomes, &count));
    CHECK_CODE(t, verdict.code, KW_CODE_INVALID_FORMAT);
    CHECK_TEXT(t, outcome_of(outcomes, count, "format"), "refused");
    CHECK_TEXT(t, outcome_of(outcomes, count, "scopes"), "skipped");
    request.ip = KW_BYTES("nowhere");
    verdict.code = KW_CODE_INTERNAL;
    CHECK_STATUS(t, kw_explain(library.keyward, &request, &verdict, outcomes, &count), KW_E_INVALID);
    CHECK_CODE(t, verdict.code, KW_CODE_INTERNAL);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_verdict_names_the_parent_that_refuses(struct test *t)
{
    struct library library;
    struct kw_new_key parent;
    struct kw_new_key child;
    struct kw_error error;
    struct kw_verdict verdict;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &parent));
    struct kw_bytes wide = KW_BYTES("*");
    char parent_id[KW_ID_TEXT_SIZE + 1];
    kw_id_to_text(&parent.held.record.id, parent_id);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = kw_text(parent_id)};
    struct kw_change_request request = {.params = &params};
    REQUIRE_OK(t, kw_create(library.keyward, &request, &child, &error));
    CHECK_FIELD(t, child.held.record.owner, "user:1");
    CHECK_CODE(t, library_verify(t, &library, child.key), KW_CODE_NONE);
    params.given |= KW_GIVEN_SCOPES;
    params.scopes = &wide;
    params.scope_count = 1;
    struct kw_new_key none;
    CHECK_REFUSED(t, kw_create(library.keyward, &request, &none, &error), error, KW_E_INVALID, "EXCEEDS_PARENT",
                  "scopes");
    struct kw_change_request change = {.id = parent.held.record.id};
    for (int again = 0; again < 2; again++) {
        REQUIRE_OK(t, again == 0 ? kw_disable(library.keyward, &change, NULL, &error) : KW_OK);
        struct kw_verify_request asked = {.key = kw_text(child.key)};
        REQUIRE_OK(t, kw_verify(library.keyward, &asked, &verdict));
        CHECK_CODE(t, verdict.code, KW_CODE_DISABLED);
        CHECK(t, memcmp(&verdict.refused_by, &parent.held.record.id, sizeof verdict.refused_by) == 0);
        CHECK(t, memcmp(&verdict.id, &child.held.record.id, sizeof verdict.id) == 0);
        asked.key = kw_text(parent.key);
        REQUIRE_OK(t, kw_verify(library.keyward, &asked, &verdict));
        CHECK(t, memcmp(&verdict.refused_by, &(struct kw_id){{0}}, sizeof verdict.refused_by) == 0);
        REQUIRE(t, library_reopen(t, &library, 0)); /* from SQLite, perhaps before the index is full */
    }
    REQUIRE_OK(t, kw_revoke(library.keyward, &change, NULL, &error));
    CHECK_CODE(t, library_verify(t, &library, child.key), KW_CODE_REVOKED);
    kw_new_key_clear(&parent);
    kw_new_key_clear(&child);
    library_end(&library);
}

static void ranges_as_text(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    char text[KW_RANGE_TEXT_SIZE] = "untouched";
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, create_bound(t, &library, &made));
    struct kw_bytes rest = made.held.record.allowed_ips.packed;
    struct kw_bytes range;
    REQUIRE(t, kw_list_next(&rest, &range));
    CHECK(t, kw_range_to_text(range, text));
    CHECK_TEXT(t, text, "10.0.0.0/8");
    CHECK(t, !kw_range_to_text(kw_bytes_of(range.data, range.size - 1), text));
    CHECK(t, !kw_range_to_text(KW_BYTES("10.0.0.0/8"), text));
    CHECK(t, !kw_range_to_text((struct kw_bytes){NULL, 0}, text));
    CHECK_TEXT(t, text, "10.0.0.0/8");
    static const uint8_t longest[] = {0x20, 0x01, 0x0d, 0xb8, 0x11, 0x11, 0x22, 0x22, 0x33,
                                      0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66, 127};
    CHECK(t, kw_range_to_text(kw_bytes_of(longest, sizeof longest), text));
    CHECK_TEXT(t, text, "2001:db8:1111:2222:3333:4444:5555:6666/127");
    kw_new_key_clear(&made);
    library_end(&library);
}

/* Before a restart as after it. */
static void nothing_is_born_under_an_erased_grandparent(struct test *t)
{
    struct library library;
    struct kw_new_key keys[2], made;
    struct kw_error error;
    char id[KW_ID_TEXT_SIZE + 1];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &keys[0]));
    kw_id_to_text(&keys[0].held.record.id, id);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
    REQUIRE(t, library_create_as(t, &library, &params, &keys[1]));
    struct kw_change_request end = {.id = keys[0].held.record.id};
    REQUIRE_OK(t, kw_revoke(library.keyward, &end, NULL, NULL));
    REQUIRE_OK(t, kw_erase(library.keyward, &end, NULL));
    kw_id_to_text(&keys[1].held.record.id, id);
    struct kw_change_request birth = {.params = &params};
    for (int i = 0; i < 2; i++) {
        CHECK_REFUSED(t, kw_create(library.keyward, &birth, &made, &error), error, KW_E_INVALID, "INVALID_FIELD",
                      "parentId");
        REQUIRE(t, library_reopen(t, &library, 0));
        kw_wait_filled(library.keyward);
    }
    kw_new_key_clear(&keys[0]);
    kw_new_key_clear(&keys[1]);
    library_end(&library);
}

/* Changes that come to nothing: what was noted before them is written when the second one is answered. */
static void let_the_writer_go_round(struct test *t, struct library *library)
{
    const struct kw_change_request nobody = {.id = {{1}}};
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(t, kw_revoke(library->keyward, &nobody, NULL, NULL), KW_E_NOT_FOUND);
    }
}

/* Nobody verifies while the time has passed: the refusal alone has met it. */
static void a_time_that_a_refusal_has_met_stays_passed(struct test *t)
{
    struct library library;
    struct kw_new_key key, old, successor;
    struct kw_error error;
    struct kw_key_params minute = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_IN, .owner = KW_BYTES("user:1"), .expires_in_ms = 60000};
    struct kw_key_params longer = {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = 3600000};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &minute, &key));
    REQUIRE(t, library_create(t, &library, &old));
    struct kw_change_request rotation = {.id = old.held.record.id, .grace_ms = 60000};
    REQUIRE_OK(t, kw_rotate(library.keyward, &rotation, &successor, &error));
    library_set_clock(&library, LIBRARY_NOW_MS + 60000);
    struct kw_change_request update = {.id = key.held.record.id, .params = &longer};
    CHECK_REFUSED(t, kw_update(library.keyward, &update, NULL, &error), error, KW_E_CONFLICT, "ALREADY_EXPIRED", "");
    struct kw_change_request revocation = {.id = old.held.record.id};
    CHECK_REFUSED(t, kw_revoke(library.keyward, &revocation, NULL, &error), error, KW_E_CONFLICT, "ALREADY_REVOKED",
                  "");
    library_set_clock(&library, LIBRARY_NOW_MS);
    CHECK_CODE(t, library_verify(t, &library, key.key), KW_CODE_EXPIRED);
    CHECK_CODE(t, library_verify(t, &library, old.key), KW_CODE_REVOKED);
    let_the_writer_go_round(t, &library);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, key.key), KW_CODE_EXPIRED);
    CHECK_CODE(t, library_verify(t, &library, old.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, successor.key), KW_CODE_NONE);
    kw_new_key_clear(&key);
    kw_new_key_clear(&old);
    kw_new_key_clear(&successor);
    library_end(&library);
}

/* The same of a parent, met by the creation of a child, and written down: no verification sees it before the restart.
 */
static void a_parents_time_that_a_refusal_has_met_stays_passed(struct test *t)
{
    struct library library;
    struct kw_new_key parent, child;
    struct kw_error error;
    char id[KW_ID_TEXT_SIZE + 1];
    struct kw_key_params minute = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_IN, .owner = KW_BYTES("user:1"), .expires_in_ms = 60000};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &minute, &parent));
    kw_id_to_text(&parent.held.record.id, id);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
    library_set_clock(&library, LIBRARY_NOW_MS + 60000);
    CHECK_REFUSED(t, kw_create(library.keyward, &(struct kw_change_request){.params = &params}, &child, &error), error,
                  KW_E_INVALID, "INVALID_FIELD", "parentId");
    let_the_writer_go_round(t, &library);
    library_set_clock(&library, LIBRARY_NOW_MS);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, parent.key), KW_CODE_EXPIRED);
    kw_new_key_clear(&parent);
    library_end(&library);
}

static void check_effective(struct test *t, struct library *library, const struct kw_new_key *key,
                            enum kw_key_status expected)
{
    struct kw_held_record held;
    enum kw_key_status status = KW_KEY_ACTIVE;
    REQUIRE_OK(t, kw_get(library->keyward, KW_BYTES(""), &key->held.record.id, &held, NULL));
    CHECK(t, kw_effective_status(library->keyward, &held.record, library->now_ms, &status));
    CHECK_I64(t, status, expected);
    kw_held_record_clear(&held);
}

/* The worst of a line of three, whoever of them it is of. */
static void what_a_family_comes_to(struct test *t)
{
    struct library library;
    struct kw_new_key line[3];
    char id[KW_ID_TEXT_SIZE + 1];
    struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_IN, .owner = KW_BYTES("user:1"), .expires_in_ms = 60000};
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, library_create_as(t, &library, &params, &line[i]));
        check_effective(t, &library, &line[i], KW_KEY_ACTIVE);
        kw_id_to_text(&line[i].held.record.id, id);
        params = (struct kw_key_params){.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
    }
    struct kw_change_request middle = {.id = line[1].held.record.id};
    REQUIRE_OK(t, kw_disable(library.keyward, &middle, NULL, NULL));
    check_effective(t, &library, &line[0], KW_KEY_ACTIVE);
    check_effective(t, &library, &line[2], KW_KEY_DISABLED);
    library_set_clock(&library, LIBRARY_NOW_MS + 60000);
    check_effective(t, &library, &line[2], KW_KEY_EXPIRED);
    REQUIRE_OK(t, kw_revoke(library.keyward, &middle, NULL, NULL));
    check_effective(t, &library, &line[0], KW_KEY_EXPIRED);
    check_effective(t, &library, &line[1], KW_KEY_REVOKED);
    check_effective(t, &library, &line[2], KW_KEY_REVOKED);
    REQUIRE_OK(t, kw_erase(library.keyward, &middle, NULL));
    check_effective(t, &library, &line[2], KW_KEY_REVOKED);
    REQUIRE(t, library_reopen(t, &library, 0)); /* nothing is known of an erased key's line then */
    kw_wait_filled(library.keyward);
    check_effective(t, &library, &line[2], KW_KEY_REVOKED);
    for (size_t i = 0; i < 3; i++) {
        kw_new_key_clear(&line[i]);
    }
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(places_and_requirements_are_asked),
        TEST_CASE(all_that_is_missing_is_named),
        TEST_CASE(an_explanation_names_every_rule),
        TEST_CASE(a_verdict_names_the_parent_that_refuses),
        TEST_CASE(ranges_as_text),
        TEST_CASE(nothing_is_born_under_an_erased_grandparent),
        TEST_CASE(a_time_that_a_refusal_has_met_stays_passed),
        TEST_CASE(what_a_family_comes_to),
        TEST_CASE(a_parents_time_that_a_refusal_has_met_stays_passed),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
