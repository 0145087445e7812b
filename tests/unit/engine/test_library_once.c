/* What the library does once: requests of the same idempotency key, and the end of a grace period. */
#include "library_fixture.h"

#include <keyward/keyward.h>

static struct kw_change_request request_of(const struct kw_key_params *params, const char *name)
{
    return (struct kw_change_request){.params = params, .idempotency_key = kw_text(name)};
}

static void check_replay(struct test *t, struct library *library, const struct kw_change_request *request, bool rotates,
                         const struct kw_new_key *made)
{
    struct kw_new_key again;
    struct kw_error error = {0};
    enum kw_status status = rotates ? kw_rotate(library->keyward, request, &again, &error)
                                    : kw_create(library->keyward, request, &again, &error);
    CHECK_STATUS(t, status, KW_OK);
    if (status != KW_OK) {
        return;
    }
    CHECK(t, again.is_replay);
    CHECK_TEXT(t, again.key, "");
    CHECK(t, memcmp(&again.held.record.id, &made->held.record.id, sizeof(struct kw_id)) == 0);
    CHECK(t, (again.previous.memory != NULL) == rotates);
    kw_new_key_clear(&again);
}

static void a_creation_that_comes_again_makes_no_key(struct test *t)
{
    struct library library;
    struct kw_new_key made, other;
    struct kw_error error;
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_key_params another = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:2")};
    struct kw_change_request request = request_of(&params, "first");
    struct kw_change_request changed = request_of(&another, "first");
    REQUIRE(t, library_open(t, &library));
    REQUIRE_OK(t, kw_create(library.keyward, &request, &made, &error));
    CHECK(t, !made.is_replay && made.key[0] != '\0');
    check_replay(t, &library, &request, false, &made);
    CHECK_REFUSED(t, kw_create(library.keyward, &changed, &other, &error), error, KW_E_INVALID,
                  "IDEMPOTENCY_KEY_REUSED", "");
    changed = request;
    changed.preset = KW_BYTES("readOnly");
    CHECK_REFUSED(t, kw_create(library.keyward, &changed, &other, &error), error, KW_E_INVALID,
                  "IDEMPOTENCY_KEY_REUSED", "");
    changed = request;
    changed.template_name = KW_BYTES("ci");
    CHECK_REFUSED(t, kw_create(library.keyward, &changed, &other, &error), error, KW_E_INVALID,
                  "IDEMPOTENCY_KEY_REUSED", "");
    request.actor = KW_BYTES("somebody else");
    REQUIRE_OK(t, kw_create(library.keyward, &request, &other, &error));
    CHECK(t, !other.is_replay);
    kw_new_key_clear(&other);
    request.actor = (struct kw_bytes){NULL, 0};
    REQUIRE(t, library_reopen(t, &library, 0));
    check_replay(t, &library, &request, false, &made);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_rotation_that_comes_again_makes_no_key(struct test *t)
{
    struct library library;
    struct kw_new_key old, successor, other;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &old));
    struct kw_change_request request = request_of(NULL, "rotate");
    request.id = old.held.record.id;
    request.grace_ms = 1000;
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &successor, &error));
    check_replay(t, &library, &request, true, &successor);
    request.grace_ms = 2000;
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &other, &error), error, KW_E_INVALID,
                  "IDEMPOTENCY_KEY_REUSED", "");
    request.idempotency_key = KW_BYTES("another");
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &other, &error), error, KW_E_CONFLICT, "ALREADY_ROTATED", "");
    CHECK_CODE(t, library_verify(t, &library, successor.key), KW_CODE_NONE);
    kw_new_key_clear(&old);
    kw_new_key_clear(&successor);
    library_end(&library);
}

static void a_first_use_ends_the_grace_period(struct test *t)
{
    struct library library;
    struct kw_new_key old, successor, other;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &old));
    struct kw_change_request request = request_of(NULL, "rotate");
    request.id = old.held.record.id;
    request.end_grace_on_first_use = true;
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &other, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "endGraceOnFirstUse");
    request.grace_ms = 1000;
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &successor, &error));
    CHECK(t, successor.held.record.ends_grace && !successor.previous.record.ends_grace);
    check_replay(t, &library, &request, true, &successor);
    request.end_grace_on_first_use = false;
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &other, &error), error, KW_E_INVALID,
                  "IDEMPOTENCY_KEY_REUSED", "");
    REQUIRE(t, library_reopen(t, &library, 0)); /* what is pending stands in the record */
    CHECK_CODE(t, library_verify(t, &library, old.key), KW_CODE_NONE);
    while (library_verify(t, &library, old.key) == KW_CODE_NONE) { /* the writer's tick, once the new key was used */
        CHECK_CODE(t, library_verify(t, &library, successor.key), KW_CODE_NONE);
    }
    CHECK_CODE(t, library_verify(t, &library, old.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, successor.key), KW_CODE_NONE);
    kw_new_key_clear(&old);
    kw_new_key_clear(&successor);
    library_end(&library);
}

/* A creation, an update and a revocation, alone and all together: each is done once. */
static void a_batch_that_comes_again_changes_nothing(struct test *t)
{
    struct library library;
    struct kw_new_key one, two;
    struct kw_outcome outcomes[3];
    struct kw_key_params owner = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_key_params name = {.given = KW_GIVEN_NAME, .name = KW_BYTES("n")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &one));
    REQUIRE(t, library_create(t, &library, &two));
    struct kw_change_item items[] = {
        {.kind = KW_CHANGE_CREATE, .request = request_of(&owner, "first")},
        {.kind = KW_CHANGE_UPDATE, .request = request_of(&name, "first")},
        {.kind = KW_CHANGE_REVOKE, .request = request_of(NULL, "first")},
    };
    items[1].request.id = one.held.record.id;
    items[2].request.id = two.held.record.id;
    for (int round = 0; round < 4; round++) {
        REQUIRE_OK(t, kw_change_many(library.keyward, items, 3, round % 2 == 0, outcomes));
        CHECK(t, (outcomes[0].made.key[0] != '\0') == (round == 0));
        CHECK(t, outcomes[0].made.is_replay == (round > 0));
        CHECK_I64(t, outcomes[1].made.held.record.version, 2);
        CHECK_I64(t, outcomes[2].made.held.record.version, 2);
        kw_outcomes_clear(outcomes, 3);
    }
    items[2].request.reason = KW_BYTES("another");
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, true, outcomes), KW_E_INVALID);
    CHECK_TEXT(t, outcomes[2].error.code, "IDEMPOTENCY_KEY_REUSED");
    kw_outcomes_clear(outcomes, 3);
    items[2].request.idempotency_key = KW_BYTES("a b");
    CHECK_STATUS(t, kw_change_many(library.keyward, items, 3, false, outcomes), KW_E_INVALID);
    CHECK_TEXT(t, outcomes[2].error.field, "idempotency_key");
    kw_outcomes_clear(outcomes, 3);
    kw_new_key_clear(&one);
    kw_new_key_clear(&two);
    library_end(&library);
}

static void a_name_must_be_visible_text(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    char longest[257];
    const char *const bad[] = {"a b", "\x01", "\xc3\xa4", longest};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    memset(longest, 'x', sizeof longest - 1);
    longest[256] = '\0';
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i < KW_COUNT_OF(bad); i++) {
        struct kw_change_request request = request_of(&params, bad[i]);
        CHECK_REFUSED(t, kw_create(library.keyward, &request, &made, &error), error, KW_E_INVALID, "INVALID_FIELD",
                      "idempotency_key");
    }
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_creation_that_comes_again_makes_no_key),
        TEST_CASE(a_rotation_that_comes_again_makes_no_key),
        TEST_CASE(a_batch_that_comes_again_changes_nothing),
        TEST_CASE(a_first_use_ends_the_grace_period),
        TEST_CASE(a_name_must_be_visible_text),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
