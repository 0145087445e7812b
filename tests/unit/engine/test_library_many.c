/* The library's changes of many keys: what each item gets, what stays after reopening, and actions on a filter. */
#include "library_fixture.h"

#include "core/id.h"

static const struct kw_key_params of_user_2 = {.given = KW_GIVEN_OWNER | KW_GIVEN_ORG,
                                               .owner = {(const uint8_t *)"user:2", 6},
                                               .org_id = {(const uint8_t *)"acme", 4}};

static struct kw_change_item creation(void)
{
    return (struct kw_change_item){.kind = KW_CHANGE_CREATE, .request = {.params = &of_user_2}};
}

static struct kw_change_item change_of(enum kw_change_kind kind, const struct kw_new_key *made)
{
    return (struct kw_change_item){.kind = kind, .request = {.id = made->held.record.id}};
}

/* Every kind, the last three on keys that the first ones changed. */
static void every_kind_in_one_call(struct test *t)
{
    struct library library;
    struct kw_new_key one, two;
    struct kw_outcome outcomes[7];
    struct kw_key_params name = {.given = KW_GIVEN_NAME, .name = KW_BYTES("n")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    REQUIRE(t, library_create(t, &library, &two));
    struct kw_change_item items[] = {creation(),
                                     change_of(KW_CHANGE_UPDATE, &one),
                                     change_of(KW_CHANGE_DISABLE, &one),
                                     change_of(KW_CHANGE_ENABLE, &one),
                                     change_of(KW_CHANGE_ROTATE, &one),
                                     change_of(KW_CHANGE_REVOKE, &two),
                                     change_of(KW_CHANGE_ERASE, &two)};
    items[1].request.params = &name;
    items[5].request.reason = KW_BYTES("lost");
    REQUIRE_OK(t, kw_change_many(library.keyward, items, 7, true, outcomes));
    CHECK_FIELD(t, outcomes[0].made.held.record.owner, "user:2");
    CHECK_FIELD(t, outcomes[1].made.held.record.name, "n");
    CHECK_I64(t, outcomes[3].made.held.record.version, 4);
    CHECK_I64(t, outcomes[4].made.previous.record.version, 5);
    CHECK_FIELD(t, outcomes[5].made.held.record.revoke_reason, "lost");
    CHECK_FIELD(t, outcomes[5].made.held.record.revoked_by, "library");
    CHECK(t, outcomes[6].made.held.memory == NULL);
    for (size_t i = 0; i < 7; i++) {
        CHECK_I64(t, outcomes[i].made.key[0] != '\0', i == 0 || i == 4);
    }
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, outcomes[0].made.key), KW_CODE_NONE);
    CHECK_CODE(t, library_verify(t, &library, outcomes[4].made.key), KW_CODE_NONE);
    CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, two.key), KW_CODE_INVALID_KEY);
    kw_outcomes_clear(outcomes, 7);
    for (size_t i = 0; i < sizeof outcomes[0].made.key; i++) {
        CHECK_I64(t, outcomes[0].made.key[i], 0);
    }
    kw_new_key_clear(&one);
    kw_new_key_clear(&two);
    library_end(&library);
}

/* Alone, and among others of a batch: it shows what they leave, and counts as done. */
static void an_update_that_names_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key one;
    struct kw_held_record held;
    struct kw_key_params name = {.given = KW_GIVEN_NAME, .name = KW_BYTES("n")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    struct kw_change_item items[] = {change_of(KW_CHANGE_UPDATE, &one), change_of(KW_CHANGE_UPDATE, &one),
                                     change_of(KW_CHANGE_DISABLE, &one)};
    REQUIRE_OK(t, kw_update(library.keyward, &items[1].request, &held, NULL));
    CHECK_I64(t, held.record.version, 1);
    CHECK_FIELD(t, held.record.owner, "user:1");
    kw_held_record_clear(&held);
    items[0].request.params = &name;
    for (int atomic = 0; atomic < 2; atomic++) {
        struct kw_outcome outcomes[3];
        items[2].kind = atomic ? KW_CHANGE_ENABLE : KW_CHANGE_DISABLE;
        REQUIRE_OK(t, kw_change_many(library.keyward, items, 3, atomic, outcomes));
        CHECK_I64(t, outcomes[0].made.held.record.version, 2 + 2 * atomic);
        CHECK_FIELD(t, outcomes[1].made.held.record.name, "n");
        CHECK_I64(t, outcomes[2].made.held.record.version, 3 + 2 * atomic);
        kw_outcomes_clear(outcomes, 3);
    }
    for (int atomic = 0; atomic < 2; atomic++) {
        struct kw_outcome outcome;
        REQUIRE_OK(t, kw_change_many(library.keyward, &items[1], 1, atomic, &outcome));
        CHECK_I64(t, outcome.made.held.record.version, 5);
        kw_outcomes_clear(&outcome, 1);
    }
    items[1].request.if_version = 4;
    CHECK_STATUS(t, kw_update(library.keyward, &items[1].request, &held, NULL), KW_E_CONFLICT);
    kw_new_key_clear(&one);
    library_end(&library);
}

/* An action that found a key revoked by its grace period has said so for good: the clock may step back. */
static void an_action_writes_down_what_has_passed(struct test *t)
{
    struct library library;
    struct kw_new_key one, successor;
    struct kw_held_record held;
    struct kw_where_result result;
    REQUIRE(t, library_open(t, &library));
    for (int disables = 0; disables < 2; disables++) {
        REQUIRE(t, library_create(t, &library, &one));
        struct kw_change_request rotation = {.id = one.held.record.id, .grace_ms = 1000};
        struct kw_where_request where = {.ids = &one.held.record.id, .id_count = 1};
        struct kw_where_request all = {.owner = KW_BYTES("user:1")};
        REQUIRE_OK(t, kw_rotate(library.keyward, &rotation, &successor, NULL));
        library_set_clock(&library, LIBRARY_NOW_MS + 1000);
        if (disables) {
            REQUIRE_OK(t, kw_disable_where(library.keyward, &where, &result, NULL));
        } else {
            REQUIRE_OK(t, kw_revoke_where(library.keyward, &all, &result, NULL));
        }
        CHECK_I64(t, result.matched, disables ? 1 : 2);
        CHECK_I64(t, result.changed, disables ? 0 : 1);
        REQUIRE_OK(t, kw_get(library.keyward, kw_text(NULL), &one.held.record.id, &held, NULL));
        CHECK_I64(t, held.record.revoked_at_ms, LIBRARY_NOW_MS + 1000);
        CHECK_FIELD(t, held.record.revoke_reason, "rotated");
        kw_held_record_clear(&held);
        library_set_clock(&library, LIBRARY_NOW_MS);
        REQUIRE(t, library_reopen(t, &library, 0));
        CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_REVOKED);
        CHECK_CODE(t, library_verify(t, &library, successor.key), disables ? KW_CODE_NONE : KW_CODE_REVOKED);
        kw_new_key_clear(&one);
        kw_new_key_clear(&successor);
    }
    library_end(&library);
}

static void check_outcome(struct test *t, const struct kw_outcome *outcome, const char *code)
{
    CHECK_TEXT(t, outcome->status == KW_OK ? "" : outcome->error.code, code);
    CHECK_I64(t, outcome->made.held.memory != NULL, outcome->status == KW_OK);
}

static bool create_under(struct test *t, struct library *library, const struct kw_new_key *parent,
                         struct kw_new_key *made)
{
    char id[KW_ID_TEXT_SIZE];
    kw_id_format(&parent->held.record.id, id);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = {(const uint8_t *)id, sizeof id}};
    return library_create_as(t, library, &params, made);
}

/* What a batch erases is gone for what comes behind it in the batch: nothing can be made below it any more. */
static void a_batch_erases_above_what_it_makes(struct test *t)
{
    struct library library;
    struct kw_new_key oldest, parent;
    REQUIRE(t, library_open(t, &library));
    for (int atomic = 0; atomic < 2; atomic++) {
        struct kw_outcome outcomes[3];
        REQUIRE(t, library_create(t, &library, &oldest));
        REQUIRE(t, create_under(t, &library, &oldest, &parent));
        char id[KW_ID_TEXT_SIZE];
        kw_id_format(&parent.held.record.id, id);
        struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = {(const uint8_t *)id, sizeof id}};
        struct kw_change_item items[] = {change_of(KW_CHANGE_REVOKE, &oldest),
                                         change_of(KW_CHANGE_ERASE, &oldest),
                                         {.kind = KW_CHANGE_CREATE, .request = {.params = &params}}};
        CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, atomic, outcomes),
                     atomic ? KW_E_CONFLICT : KW_E_INVALID);
        CHECK_I64(t, outcomes[1].status == KW_OK, !atomic);
        check_outcome(t, &outcomes[2], "INVALID_FIELD");
        CHECK_TEXT(t, outcomes[2].error.field, "parentId");
        CHECK_CODE(t, library_verify(t, &library, parent.key), atomic ? KW_CODE_NONE : KW_CODE_REVOKED);
        kw_outcomes_clear(outcomes, 3);
        kw_new_key_clear(&oldest);
        kw_new_key_clear(&parent);
    }
    library_end(&library);
}

/* What a batch revokes has ended for what comes behind it, two generations below too; and what it rotates lives on. */
static void a_batch_ends_the_family_of_what_it_makes(struct test *t)
{
    struct library library;
    struct kw_new_key oldest, parent;
    REQUIRE(t, library_open(t, &library));
    for (int revokes = 0; revokes < 2; revokes++) {
        struct kw_outcome outcomes[2];
        REQUIRE(t, library_create(t, &library, &oldest));
        REQUIRE(t, create_under(t, &library, &oldest, &parent));
        char id[KW_ID_TEXT_SIZE];
        kw_id_format(&parent.held.record.id, id);
        struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = {(const uint8_t *)id, sizeof id}};
        struct kw_change_item items[] = {change_of(revokes ? KW_CHANGE_REVOKE : KW_CHANGE_ROTATE, &oldest),
                                         {.kind = KW_CHANGE_CREATE, .request = {.params = &params}}};
        CHECK_STATUS(t, kw_change_many(library.keyward, items, 2, false, outcomes), revokes ? KW_E_INVALID : KW_OK);
        check_outcome(t, &outcomes[1], revokes ? "INVALID_FIELD" : "");
        kw_outcomes_clear(outcomes, 2);
        kw_new_key_clear(&oldest);
        kw_new_key_clear(&parent);
    }
    library_end(&library);
}

/* What a batch takes from a parent, in place or by a rotation, no child can be given behind it. */
static void a_batch_narrows_above_what_it_changes(struct test *t)
{
    static const struct kw_bytes scopes[] = {{(const uint8_t *)"read", 4}, {(const uint8_t *)"write", 5}};
    const struct kw_key_params both = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES, .owner = KW_BYTES("user:1"), .scopes = scopes, .scope_count = 2};
    const struct kw_key_params reads = {.given = KW_GIVEN_SCOPES, .scopes = scopes, .scope_count = 1};
    const struct kw_key_params writes = {.given = KW_GIVEN_SCOPES, .scopes = scopes + 1, .scope_count = 1};
    struct library library;
    struct kw_new_key parent, child;
    REQUIRE(t, library_open(t, &library));
    for (int way = 0; way < 4; way++) {
        struct kw_outcome outcomes[2];
        bool is_atomic = way % 2 != 0;
        REQUIRE(t, library_create_as(t, &library, &both, &parent));
        REQUIRE(t, create_under(t, &library, &parent, &child));
        struct kw_change_item items[] = {change_of(way < 2 ? KW_CHANGE_UPDATE : KW_CHANGE_ROTATE, &parent),
                                         change_of(KW_CHANGE_UPDATE, &child)};
        items[0].request.params = &reads;
        items[1].request.params = &writes;
        CHECK(t, kw_change_many(library.keyward, items, 2, is_atomic, outcomes) != KW_OK);
        check_outcome(t, &outcomes[0], is_atomic ? "NOT_DONE" : "");
        check_outcome(t, &outcomes[1], "EXCEEDS_PARENT");
        kw_outcomes_clear(outcomes, 2);
        kw_new_key_clear(&parent);
        kw_new_key_clear(&child);
    }
    library_end(&library);
}

static void an_item_that_is_refused(struct test *t)
{
    struct library library;
    struct kw_new_key one;
    struct kw_outcome outcomes[3];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    struct kw_change_item items[] = {creation(), change_of(KW_CHANGE_ENABLE, &one), change_of(KW_CHANGE_DISABLE, &one)};
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, true, outcomes), KW_E_CONFLICT);
    check_outcome(t, &outcomes[0], "NOT_DONE");
    check_outcome(t, &outcomes[1], "ALREADY_ENABLED");
    check_outcome(t, &outcomes[2], "NOT_DONE");
    CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_NONE);
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, false, outcomes), KW_E_CONFLICT);
    check_outcome(t, &outcomes[0], "");
    check_outcome(t, &outcomes[1], "ALREADY_ENABLED");
    check_outcome(t, &outcomes[2], "");
    CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_DISABLED);
    kw_outcomes_clear(outcomes, 3);
    kw_outcomes_clear(NULL, 3);
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 0, true, outcomes), KW_OK);
    kw_new_key_clear(&one);
    library_end(&library);
}

/* What cannot even be asked is the fault of that item too. */
static void an_item_that_cannot_be_asked(struct test *t)
{
    static const struct {
        struct kw_change_item item;
        const char *code;
    } faults[] = {
        {{.kind = KW_CHANGE_CREATE, .request.project = {(const uint8_t *)"nowhere", 7}}, "PROJECT_NOT_FOUND"},
        {{.kind = KW_CHANGE_CREATE, .request.actor = {(const uint8_t *)"a\nb", 3}}, "INVALID_FIELD"},
        {{.kind = KW_CHANGE_REVOKE, .request.idempotency_key = {(const uint8_t *)"a b", 3}}, "INVALID_FIELD"},
        {{.kind = (enum kw_change_kind)99}, "INVALID_FIELD"},
    };
    struct library library;
    struct kw_new_key one;
    struct kw_outcome outcomes[3];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    for (size_t i = 0; i < KW_COUNT_OF(faults); i++) {
        struct kw_change_item items[] = {creation(), faults[i].item,
                                         change_of(i % 2 == 0 ? KW_CHANGE_DISABLE : KW_CHANGE_ENABLE, &one)};
        enum kw_code before = library_verify(t, &library, one.key);
        CHECK(t, kw_change_many(library.keyward, items, 3, true, outcomes) != KW_OK);
        check_outcome(t, &outcomes[0], "NOT_DONE");
        check_outcome(t, &outcomes[1], faults[i].code);
        check_outcome(t, &outcomes[2], "NOT_DONE");
        CHECK_CODE(t, library_verify(t, &library, one.key), before);
        CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, false, outcomes), outcomes[1].status);
        check_outcome(t, &outcomes[0], "");
        check_outcome(t, &outcomes[1], faults[i].code);
        check_outcome(t, &outcomes[2], "");
        CHECK_CODE(t, library_verify(t, &library, one.key), i % 2 == 0 ? KW_CODE_DISABLED : KW_CODE_NONE);
        kw_outcomes_clear(outcomes, 3);
    }
    kw_new_key_clear(&one);
    library_end(&library);
}

/* A careful revocation sees the children that the changes before it make, and those that they end. */
static void a_child_that_the_call_itself_makes_or_ends(struct test *t)
{
    struct library library;
    struct kw_new_key parent;
    struct kw_outcome outcomes[2];
    char id[KW_ID_TEXT_SIZE + 1];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &parent));
    kw_id_to_text(&parent.held.record.id, id);
    struct kw_key_params child = {.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
    struct kw_change_item items[] = {
        {KW_CHANGE_CREATE, {.params = &child}},
        {KW_CHANGE_REVOKE, {.id = parent.held.record.id, .no_cascade = true}},
    };
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 2, false, outcomes), KW_E_CONFLICT);
    check_outcome(t, &outcomes[1], "HAS_CHILDREN");
    items[0] = (struct kw_change_item){KW_CHANGE_REVOKE, {.id = outcomes[0].made.held.record.id}};
    kw_outcomes_clear(outcomes, 2);
    REQUIRE_OK(t, kw_change_many(library.keyward, items, 2, true, outcomes));
    kw_outcomes_clear(outcomes, 2);
    kw_new_key_clear(&parent);
    library_end(&library);
}

static void too_many_items(struct test *t)
{
    static struct kw_change_item items[KW_TOGETHER_MAX + 1];
    static struct kw_outcome outcomes[KW_TOGETHER_MAX + 1];
    struct library library;
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i <= KW_TOGETHER_MAX; i++) {
        items[i] = creation();
    }
    CHECK_STATUS(t, kw_change_many(library.keyward, items, KW_TOGETHER_MAX + 1, true, outcomes), KW_E_INVALID);
    check_outcome(t, &outcomes[KW_TOGETHER_MAX], "INVALID_FIELD");
    REQUIRE_OK(t, kw_change_many(library.keyward, items, KW_TOGETHER_MAX, true, outcomes));
    CHECK_CODE(t, library_verify(t, &library, outcomes[KW_TOGETHER_MAX - 1].made.key), KW_CODE_NONE);
    kw_outcomes_clear(outcomes, KW_TOGETHER_MAX);
    library_end(&library);
}

static void actions_on_a_filter(struct test *t)
{
    struct library library;
    struct kw_new_key one, two;
    struct kw_where_result result;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    REQUIRE(t, library_create_as(t, &library, &of_user_2, &two));
    struct kw_where_request acme = {.org_id = KW_BYTES("acme"), .reason = KW_BYTES("over")};
    struct kw_where_request named = {.ids = &one.held.record.id, .id_count = 1, .actor = KW_BYTES("me")};
    REQUIRE_OK(t, kw_disable_where(library.keyward, &acme, &result, &error));
    CHECK(t, result.matched == 1 && result.changed == 1);
    CHECK_CODE(t, library_verify(t, &library, two.key), KW_CODE_DISABLED);
    REQUIRE_OK(t, kw_enable_where(library.keyward, &acme, &result, &error));
    CHECK_CODE(t, library_verify(t, &library, two.key), KW_CODE_NONE);
    REQUIRE_OK(t, kw_revoke_where(library.keyward, &acme, &result, &error));
    REQUIRE_OK(t, kw_revoke_where(library.keyward, &acme, &result, &error));
    CHECK(t, result.matched == 1 && result.changed == 0);
    CHECK_CODE(t, library_verify(t, &library, two.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_NONE);
    REQUIRE_OK(t, kw_revoke_where(library.keyward, &named, &result, NULL));
    CHECK_CODE(t, library_verify(t, &library, one.key), KW_CODE_REVOKED);
    struct kw_held_record held;
    REQUIRE_OK(t, kw_get(library.keyward, KW_BYTES(""), &one.held.record.id, &held, &error));
    CHECK_FIELD(t, held.record.revoked_by, "me");
    kw_held_record_clear(&held);
    struct kw_where_request nothing = {.reason = KW_BYTES("all of them?")};
    CHECK_REFUSED(t, kw_revoke_where(library.keyward, &nothing, &result, &error), error, KW_E_INVALID, "MISSING_FIELD",
                  "");
    acme.project = KW_BYTES("nowhere");
    CHECK_REFUSED(t, kw_revoke_where(library.keyward, &acme, &result, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    named.actor = KW_BYTES("a\nb");
    CHECK_REFUSED(t, kw_revoke_where(library.keyward, &named, &result, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "actor");
    kw_new_key_clear(&one);
    kw_new_key_clear(&two);
    library_end(&library);
}

/* A child outside of what is meant keeps its parent; one that is meant too, or is so already, does not. */
static void careful_actions_on_a_filter(struct test *t)
{
    struct library library;
    struct kw_new_key parent, inside, outside;
    struct kw_where_result result = {7, 7};
    struct kw_error error;
    char id[KW_ID_TEXT_SIZE + 1], orphan[KW_ID_TEXT_SIZE + 1];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create_as(t, &library, &of_user_2, &parent));
    kw_id_to_text(&parent.held.record.id, id);
    struct kw_key_params child = {.given = KW_GIVEN_PARENT, .parent = kw_text(id)};
    REQUIRE(t, library_create_as(t, &library, &child, &inside));
    child = (struct kw_key_params){
        .given = KW_GIVEN_PARENT | KW_GIVEN_OWNER, .owner = KW_BYTES("user:3"), .parent = kw_text(id)};
    REQUIRE(t, library_create_as(t, &library, &child, &outside));
    kw_id_to_text(&outside.held.record.id, orphan);
    struct kw_where_request owned = {.owner = KW_BYTES("user:2"), .no_cascade = true};
    struct kw_where_request other = {.owner = KW_BYTES("user:3"), .no_cascade = true};
    CHECK_REFUSED(t, kw_revoke_where(library.keyward, &owned, &result, &error), error, KW_E_CONFLICT, "HAS_CHILDREN",
                  "");
    CHECK(t, strstr(error.message, orphan) != NULL && result.matched == 7);
    CHECK_CODE(t, library_verify(t, &library, inside.key), KW_CODE_NONE);
    REQUIRE_OK(t, kw_disable_where(library.keyward, &other, &result, &error));
    CHECK_REFUSED(t, kw_revoke_where(library.keyward, &owned, &result, &error), error, KW_E_CONFLICT, "HAS_CHILDREN",
                  "");
    REQUIRE_OK(t, kw_disable_where(library.keyward, &owned, &result, &error));
    CHECK(t, result.matched == 2 && result.changed == 2);
    REQUIRE_OK(t, kw_enable_where(library.keyward, &owned, &result, &error));
    REQUIRE_OK(t, kw_revoke_where(library.keyward, &other, &result, &error));
    REQUIRE_OK(t, kw_revoke_where(library.keyward, &owned, &result, &error));
    CHECK(t, result.matched == 2 && result.changed == 2);
    CHECK_CODE(t, library_verify(t, &library, inside.key), KW_CODE_REVOKED);
    kw_new_key_clear(&parent);
    kw_new_key_clear(&inside);
    kw_new_key_clear(&outside);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_kind_in_one_call),
        TEST_CASE(an_update_that_names_nothing),
        TEST_CASE(an_action_writes_down_what_has_passed),
        TEST_CASE(a_batch_ends_the_family_of_what_it_makes),
        TEST_CASE(a_batch_narrows_above_what_it_changes),
        TEST_CASE(an_item_that_is_refused),
        TEST_CASE(an_item_that_cannot_be_asked),
        TEST_CASE(a_batch_erases_above_what_it_makes),
        TEST_CASE(a_child_that_the_call_itself_makes_or_ends),
        TEST_CASE(too_many_items),
        TEST_CASE(actions_on_a_filter),
        TEST_CASE(careful_actions_on_a_filter),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
