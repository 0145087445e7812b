/*
 * Keys that have outlived the `maxTtl` of their policy: what verifications refuse is what lists and counts say of it,
 * for the key and all below it, and a dry run says which policy it was.
 */
#include "library_fixture.h"

#define DAY_MS INT64_C(86400000)
#define KEYS 3 /* under the policy, a child of that, and its child */

struct family {
    struct test *t;
    struct library library;
    struct kw_new_key keys[KEYS], other;
};

static void edit(struct family *family, const char *json, bool is_new)
{
    struct kw_document_request request = {
        .kind = KW_DOCUMENT_POLICY, .name = KW_BYTES("partners"), .json = kw_text(json)};
    struct kw_error error;
    REQUIRE_OK(family->t, is_new ? kw_document_create(family->library.keyward, &request, NULL, &error)
                                 : kw_document_update(family->library.keyward, &request, NULL, &error));
}

static bool family_open(struct test *t, struct family *family)
{
    char id[KW_ID_TEXT_SIZE + 1];
    *family = (struct family){.t = t};
    if (!library_open(t, &family->library)) {
        return false;
    }
    edit(family, "{\"name\":\"partners\",\"maxTtl\":\"30d\"}", true);
    struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_POLICY, .owner = KW_BYTES("user:1"), .policy = KW_BYTES("partners")};
    bool is_made = library_create_as(t, &family->library, &params, &family->keys[0]);
    for (int i = 1; i < KEYS && is_made; i++) {
        kw_id_to_text(&family->keys[i - 1].held.record.id, id);
        params = (struct kw_key_params){.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
        is_made = library_create_as(t, &family->library, &params, &family->keys[i]);
    }
    return is_made && library_create(t, &family->library, &family->other);
}

static void family_close(struct family *family)
{
    for (int i = 0; i < KEYS; i++) {
        kw_new_key_clear(&family->keys[i]);
    }
    kw_new_key_clear(&family->other);
    library_end(&family->library);
}

static enum kw_status note(void *context, const struct kw_record *record)
{
    size_t *count = context;
    (*count)++;
    return record == NULL ? KW_E_INVALID : KW_OK;
}

/* A list and a count by this status find so many. */
static void check_found(struct family *family, enum kw_key_status status, size_t expected)
{
    const struct kw_list_request request = {.has_status = true, .status = status};
    struct kw_position cursor;
    size_t listed = 0;
    uint64_t counted = 0;
    bool has_more, is_exact;
    REQUIRE_OK(family->t, kw_list(family->library.keyward, &request, note, &listed, &has_more, &cursor, NULL));
    REQUIRE_OK(family->t, kw_count(family->library.keyward, &request, &counted, &is_exact, NULL));
    CHECK_I64(family->t, listed, expected);
    CHECK_I64(family->t, counted, expected);
}

static void check_family(struct family *family, bool has_ended)
{
    for (int i = 0; i < KEYS; i++) {
        const struct kw_new_key *key = &family->keys[i];
        enum kw_key_status status = KW_KEY_REVOKED;
        CHECK_CODE(family->t, library_verify(family->t, &family->library, key->key),
                   has_ended ? KW_CODE_EXPIRED : KW_CODE_NONE);
        CHECK(family->t,
              kw_effective_status(family->library.keyward, &key->held.record, family->library.now_ms, &status));
        CHECK_I64(family->t, status, has_ended ? KW_KEY_EXPIRED : KW_KEY_ACTIVE);
        CHECK_I64(family->t, kw_status_of(&key->held.record, family->library.now_ms), KW_KEY_ACTIVE);
    }
    check_found(family, KW_KEY_EXPIRED, has_ended ? KEYS : 0);
    check_found(family, KW_KEY_ACTIVE, has_ended ? 1 : KEYS + 1);
}

static void lists_say_what_verifications_say(struct test *t)
{
    struct family family;
    REQUIRE(t, family_open(t, &family));
    edit(&family, "{\"maxTtl\":\"10d\"}", false);
    library_set_clock(&family.library, LIBRARY_NOW_MS + 10 * DAY_MS - 1);
    check_family(&family, false);
    library_set_clock(&family.library, LIBRARY_NOW_MS + 10 * DAY_MS);
    check_family(&family, true);
    REQUIRE(t, library_reopen(t, &family.library, 0));
    check_family(&family, true);
    edit(&family, "{\"maxTtl\":\"20d\"}", false);
    check_family(&family, false);
    family_close(&family);
}

/* Beside what refuses first, each rule names who refuses, and by what. */
static void a_dry_run_names_the_policy_and_the_key(struct test *t)
{
    struct family family;
    struct kw_rule_outcome outcomes[KW_RULES_MAX];
    struct kw_verdict verdict;
    struct kw_missing missing[KW_MISSING_MAX];
    struct kw_bytes scope = KW_BYTES("admin");
    size_t count;
    REQUIRE(t, family_open(t, &family));
    edit(&family, "{\"maxTtl\":\"1d\"}", false);
    library_set_clock(&family.library, LIBRARY_NOW_MS + DAY_MS);
    struct kw_verify_request request = {.key = kw_text(family.keys[1].key), .scopes = &scope, .scope_count = 1};
    REQUIRE_OK(t, kw_explain(family.library.keyward, &request, &verdict, outcomes, &count));
    CHECK_CODE(t, verdict.code, KW_CODE_EXPIRED);
    for (size_t i = 0; i < count; i++) {
        const struct kw_rule_outcome *one = &outcomes[i];
        bool is_expired = one->code == KW_CODE_EXPIRED, is_lacking = one->code == KW_CODE_INSUFFICIENT_SCOPE;
        CHECK_CODE(t, one->code,
                   strcmp(one->rule, "expired") == 0  ? KW_CODE_EXPIRED
                   : strcmp(one->rule, "scopes") == 0 ? KW_CODE_INSUFFICIENT_SCOPE
                                                      : KW_CODE_NONE);
        CHECK_TEXT(t, one->policy, is_expired ? "partners" : "");
        const struct kw_id none = {{0}};
        const struct kw_id *by = is_expired ? &family.keys[0].held.record.id : &none;
        CHECK(t, memcmp(&one->refused_by, by, sizeof none) == 0);
        struct kw_verdict as_if = {.code = one->code, .lacks = one->lacks};
        CHECK_I64(t, kw_missing_list(&request, &as_if, missing, KW_MISSING_MAX), is_lacking ? 1 : 0);
    }
    family_close(&family);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(lists_say_what_verifications_say),
        TEST_CASE(a_dry_run_names_the_policy_and_the_key),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
