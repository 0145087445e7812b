/* The library's changes and lists: what each makes of a key, what it refuses, and what is still so after reopening. */
#include "library_fixture.h"

#include <stdio.h>

#define HOUR_MS INT64_C(3600000)

static struct kw_change_request on(const struct kw_new_key *made)
{
    return (struct kw_change_request){.id = made->held.record.id};
}

static void a_created_key_and_its_record(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    struct kw_bytes tags[] = {KW_BYTES("Nightly"), KW_BYTES("export")};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_NAME | KW_GIVEN_TAGS | KW_GIVEN_METADATA |
                                            KW_GIVEN_EXPIRES_IN | KW_GIVEN_ENV | KW_GIVEN_PUBLIC,
                                   .owner = KW_BYTES("team:9"),
                                   .name = KW_BYTES("CI"),
                                   .env = KW_BYTES("test"),
                                   .is_public = true,
                                   .tags = tags,
                                   .tag_count = 2,
                                   .metadata = KW_BYTES("{\"a\":1}"),
                                   .expires_in_ms = HOUR_MS};
    struct kw_change_request request = {.params = &params, .actor = KW_BYTES("tester")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE_OK(t, kw_create(library.keyward, &request, &made, &error));
    CHECK(t, strncmp(made.key, "pk_test_", 8) == 0 && strlen(made.key) == 8 + 32 + 6);
    CHECK(t, made.previous.memory == NULL);
    struct kw_key_params not_given = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1"), .is_public = true};
    struct kw_new_key secret;
    REQUIRE(t, library_create_as(t, &library, &not_given, &secret));
    CHECK(t, strncmp(secret.key, "sk_live_", 8) == 0 && !secret.held.record.is_public);
    kw_new_key_clear(&secret);
    struct kw_held_record held;
    REQUIRE_OK(t, kw_get(library.keyward, KW_BYTES("default"), &made.held.record.id, &held, &error));
    CHECK_FIELD(t, held.record.owner, "team:9");
    CHECK_FIELD(t, held.record.name, "CI");
    CHECK_FIELD(t, held.record.created_by, "tester");
    CHECK_FIELD(t, held.record.metadata, "{\"a\":1}");
    CHECK_I64(t, held.record.expires_at_ms, LIBRARY_NOW_MS + HOUR_MS);
    CHECK_I64(t, held.record.version, 1);
    CHECK(t, memcmp(held.record.last_four, made.key + strlen(made.key) - 4, 4) == 0);
    struct kw_bytes rest = held.record.tags.packed;
    struct kw_bytes tag;
    REQUIRE(t, kw_list_next(&rest, &tag));
    CHECK_FIELD(t, tag, "export");
    REQUIRE(t, kw_list_next(&rest, &tag));
    CHECK_FIELD(t, tag, "nightly");
    CHECK(t, !kw_list_next(&rest, &tag));
    CHECK_I64(t, kw_status_of(&held.record, LIBRARY_NOW_MS + HOUR_MS - 1), KW_KEY_ACTIVE);
    CHECK_I64(t, kw_status_of(&held.record, LIBRARY_NOW_MS + HOUR_MS), KW_KEY_EXPIRED);
    kw_held_record_clear(&held);
    CHECK(t, held.memory == NULL);
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS);
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_EXPIRED);
    kw_new_key_clear(&made);
    for (size_t i = 0; i < sizeof made.key; i++) {
        CHECK(t, made.key[i] == 0);
    }
    library_end(&library);
}

/* Every function says the same of a project, a key or a text that cannot be, and leaves its outputs alone. */
static void refusals_that_all_changes_share(struct test *t)
{
    typedef enum kw_status change(struct keyward *, const struct kw_change_request *, struct kw_held_record *,
                                  struct kw_error *);
    static change *const changes[] = {kw_update, kw_enable, kw_disable, kw_revoke};
    struct library library;
    struct kw_new_key made, other, untouched;
    struct kw_held_record held, held_untouched;
    struct kw_error error;
    char long_actor[KW_ACTOR_MAX + 2];
    memset(long_actor, 'a', sizeof long_actor - 1);
    long_actor[sizeof long_actor - 1] = '\0';
    memset(&held, 0x5a, sizeof held);
    memset(&held_untouched, 0x5a, sizeof held_untouched);
    memset(&other, 0x5a, sizeof other);
    memset(&untouched, 0x5a, sizeof untouched);
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct keyward *kw = library.keyward;
    struct kw_key_params params = {.given = KW_GIVEN_NAME, .name = KW_BYTES("x")};
    const struct {
        enum kw_status status;
        const char *code, *field;
        struct kw_change_request request;
    } rows[] = {
        {KW_E_NOT_FOUND, "PROJECT_NOT_FOUND", "project", {.project = KW_BYTES("nowhere"), .id = made.held.record.id}},
        {KW_E_NOT_FOUND, "KEY_NOT_FOUND", "", {.id = {{1}}}},
        {KW_E_NOT_FOUND, "KEY_NOT_FOUND", "", {.project = KW_BYTES("keyward"), .id = made.held.record.id}},
        {KW_E_CONFLICT, "VERSION_CONFLICT", "", {.id = made.held.record.id, .if_version = 2}},
        {KW_E_INVALID, "INVALID_FIELD", "actor", {.id = made.held.record.id, .actor = kw_text(long_actor)}},
        {KW_E_INVALID, "INVALID_FIELD", "reason", {.id = made.held.record.id, .reason = KW_BYTES("a\nb")}},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_change_request request = rows[i].request;
        request.params = &params;
        for (size_t j = 0; j < KW_COUNT_OF(changes); j++) {
            CHECK_REFUSED(t, changes[j](kw, &request, &held, &error), error, rows[i].status, rows[i].code,
                          rows[i].field);
        }
        CHECK_REFUSED(t, kw_erase(kw, &request, &error), error, rows[i].status, rows[i].code, rows[i].field);
        CHECK_REFUSED(t, kw_rotate(kw, &request, &other, &error), error, rows[i].status, rows[i].code, rows[i].field);
        CHECK_STATUS(t, kw_rotate(kw, &request, &other, NULL), rows[i].status);
        CHECK(t, kw_bytes_equal(kw_bytes_of(&held, sizeof held), kw_bytes_of(&held_untouched, sizeof held_untouched)));
        CHECK(t, kw_bytes_equal(kw_bytes_of(&other, sizeof other), kw_bytes_of(&untouched, sizeof untouched)));
    }
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_NONE);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void creations_that_are_refused(struct test *t)
{
    struct library library;
    struct kw_new_key made, untouched;
    struct kw_error error;
    struct kw_bytes bad[] = {KW_BYTES("a"), KW_BYTES("b c")};
    memset(&made, 0x5a, sizeof made);
    memset(&untouched, 0x5a, sizeof untouched);
    REQUIRE(t, library_open(t, &library));
    const struct {
        enum kw_status status;
        const char *code, *field;
        struct kw_bytes project;
        struct kw_key_params params;
    } rows[] = {
        {KW_E_INVALID, "MISSING_FIELD", "ownerId", {NULL, 0}, {0}},
        {KW_E_NOT_FOUND, "PROJECT_NOT_FOUND", "project", KW_BYTES("nowhere"), {0}},
        {KW_E_INVALID, "INVALID_FIELD", "owner", {NULL, 0}, {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("1")}},
        {KW_E_INVALID,
         "INVALID_FIELD",
         "scopes[1]",
         {NULL, 0},
         {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES, .owner = KW_BYTES("user:1"), .scopes = bad, .scope_count = 2}},
        {KW_E_INVALID,
         "INVALID_FIELD",
         "expiresAt",
         {NULL, 0},
         {.given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_AT, .owner = KW_BYTES("user:1"), .expires_at_ms = LIBRARY_NOW_MS}},
        {KW_E_INVALID,
         "INVALID_FIELD",
         "env",
         {NULL, 0},
         {.given = KW_GIVEN_OWNER | KW_GIVEN_ENV, .owner = KW_BYTES("user:1"), .env = KW_BYTES("moon")}},
        {KW_E_INVALID,
         "INVALID_FIELD",
         "name",
         {NULL, 0},
         {.given = KW_GIVEN_OWNER | KW_GIVEN_NAME, .owner = KW_BYTES("user:1"), .name = KW_BYTES("a\0b")}},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_change_request request = {.project = rows[i].project, .params = &rows[i].params};
        CHECK_REFUSED(t, kw_create(library.keyward, &request, &made, &error), error, rows[i].status, rows[i].code,
                      rows[i].field);
        CHECK(t, kw_bytes_equal(kw_bytes_of(&made, sizeof made), kw_bytes_of(&untouched, sizeof untouched)));
    }
    library_end(&library);
}

static void update_disable_and_enable(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_held_record held;
    struct kw_error error;
    struct kw_bytes scope = KW_BYTES("z");
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_key_params params = {
        .given = KW_GIVEN_NAME | KW_GIVEN_SCOPES, .name = KW_BYTES("new"), .scopes = &scope, .scope_count = 1};
    struct kw_change_request request = on(&made);
    request.params = &params;
    request.if_version = 1;
    library_set_clock(&library, LIBRARY_NOW_MS + 5);
    REQUIRE_OK(t, kw_update(library.keyward, &request, &held, &error));
    CHECK_FIELD(t, held.record.name, "new");
    CHECK_I64(t, held.record.version, 2);
    CHECK_I64(t, held.record.updated_at_ms, LIBRARY_NOW_MS + 5);
    CHECK_I64(t, held.record.created_at_ms, LIBRARY_NOW_MS);
    kw_held_record_clear(&held);
    struct kw_verdict verdict;
    struct kw_bytes gone = KW_BYTES("a");
    struct kw_verify_request question = {.key = kw_text(made.key), .scopes = &gone, .scope_count = 1};
    REQUIRE_OK(t, kw_verify(library.keyward, &question, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_INSUFFICIENT_SCOPE);

    request = on(&made);
    CHECK_REFUSED(t, kw_enable(library.keyward, &request, NULL, &error), error, KW_E_CONFLICT, "ALREADY_ENABLED", "");
    REQUIRE_OK(t, kw_disable(library.keyward, &request, NULL, &error));
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_DISABLED);
    CHECK_REFUSED(t, kw_disable(library.keyward, &request, NULL, &error), error, KW_E_CONFLICT, "ALREADY_DISABLED", "");
    REQUIRE_OK(t, kw_enable(library.keyward, &request, &held, &error));
    CHECK_I64(t, held.record.version, 4);
    CHECK(t, held.record.enabled);
    kw_held_record_clear(&held);
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_NONE);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void revoked_is_for_ever_and_erased_leaves_a_tombstone(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_held_record held;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_change_request request = on(&made);
    CHECK_REFUSED(t, kw_erase(library.keyward, &request, &error), error, KW_E_CONFLICT, "NOT_REVOKED", "");
    request.reason = KW_BYTES("leaked");
    request.actor = KW_BYTES("alice");
    REQUIRE_OK(t, kw_revoke(library.keyward, &request, &held, &error));
    CHECK_FIELD(t, held.record.revoke_reason, "leaked");
    CHECK_FIELD(t, held.record.revoked_by, "alice");
    CHECK_I64(t, kw_status_of(&held.record, 0), KW_KEY_REVOKED);
    kw_held_record_clear(&held);
    struct kw_new_key next;
    CHECK_REFUSED(t, kw_revoke(library.keyward, &request, NULL, &error), error, KW_E_CONFLICT, "ALREADY_REVOKED", "");
    CHECK_REFUSED(t, kw_enable(library.keyward, &request, NULL, &error), error, KW_E_CONFLICT, "CANNOT_MODIFY_REVOKED",
                  "");
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &next, &error), error, KW_E_CONFLICT, "CANNOT_MODIFY_REVOKED",
                  "");
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_REVOKED);
    REQUIRE_OK(t, kw_erase(library.keyward, &request, &error));
    for (int times = 0; times < 2; times++) {
        CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_INVALID_KEY);
        CHECK_REFUSED(t, kw_erase(library.keyward, &request, &error), error, KW_E_NOT_FOUND, "KEY_NOT_FOUND", "");
        CHECK_REFUSED(t, kw_get(library.keyward, (struct kw_bytes){NULL, 0}, &request.id, &held, &error), error,
                      KW_E_NOT_FOUND, "KEY_NOT_FOUND", "");
        REQUIRE(t, library_reopen(t, &library, 0));
    }
    kw_new_key_clear(&made);
    library_end(&library);
}

static void rotations(struct test *t)
{
    struct library library;
    struct kw_new_key first, second, third;
    struct kw_error error;
    struct kw_bytes wider = KW_BYTES("everything");
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &first));
    struct kw_change_request request = on(&first);
    struct kw_key_params params = {.given = KW_GIVEN_SCOPES, .scopes = &wider, .scope_count = 1};
    request.params = &params;
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &second, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "scopes");
    params = (struct kw_key_params){.given = KW_GIVEN_NAME, .name = KW_BYTES("second")};
    request.grace_ms = HOUR_MS;
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &second, &error));
    CHECK(t, strcmp(first.key, second.key) != 0);
    CHECK_FIELD(t, second.held.record.name, "second");
    CHECK(t, memcmp(&second.held.record.rotated_from, &first.held.record.id, sizeof(struct kw_id)) == 0);
    CHECK(t, memcmp(&second.held.record.lineage_id, &first.held.record.id, sizeof(struct kw_id)) == 0);
    CHECK(t, memcmp(&second.previous.record.rotated_to, &second.held.record.id, sizeof(struct kw_id)) == 0);
    CHECK_I64(t, second.previous.record.grace_until_ms, LIBRARY_NOW_MS + HOUR_MS);
    CHECK_REFUSED(t, kw_rotate(library.keyward, &request, &third, &error), error, KW_E_CONFLICT, "ALREADY_ROTATED", "");
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS - 1);
    CHECK_CODE(t, library_verify(t, &library, first.key), KW_CODE_NONE);
    library_set_clock(&library, LIBRARY_NOW_MS + HOUR_MS);
    CHECK_CODE(t, library_verify(t, &library, first.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, second.key), KW_CODE_NONE);
    request = on(&second);
    REQUIRE_OK(t, kw_rotate(library.keyward, &request, &third, &error)); /* no grace */
    CHECK_CODE(t, library_verify(t, &library, second.key), KW_CODE_REVOKED);
    library_set_clock(&library, LIBRARY_NOW_MS); /* the clock steps back */
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, first.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, second.key), KW_CODE_REVOKED);
    CHECK_CODE(t, library_verify(t, &library, third.key), KW_CODE_NONE);
    kw_new_key_clear(&first);
    kw_new_key_clear(&second);
    kw_new_key_clear(&third);
    library_end(&library);
}

/* --- digests --- */

/* The default changes with every opening, to and fro; every key goes on verifying, and says how it was made. */
static void keys_of_every_digest_scheme(struct test *t)
{
    static const enum kw_digest_scheme order[] = {KW_DIGEST_HMAC_SHA256,   KW_DIGEST_SHA256,        KW_DIGEST_SHA512,
                                                  KW_DIGEST_SHA256_SALTED, KW_DIGEST_SHA512_SALTED, KW_DIGEST_SHA256,
                                                  KW_DIGEST_HMAC_SHA256};
    struct library library;
    struct kw_new_key made[KW_COUNT_OF(order) + 1];
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i < KW_COUNT_OF(order); i++) {
        REQUIRE(t, library_reopen(t, &library, order[i]));
        REQUIRE(t, library_create(t, &library, &made[i]));
        CHECK_I64(t, made[i].held.record.digest_scheme, order[i]);
        for (size_t j = 0; j <= i; j++) {
            CHECK_CODE(t, library_verify(t, &library, made[j].key), KW_CODE_NONE);
        }
        kw_wait_filled(library.keyward);
        for (size_t j = 0; j <= i; j++) {
            CHECK_CODE(t, library_verify(t, &library, made[j].key), KW_CODE_NONE);
        }
    }
    /* Not given: as it was. */
    REQUIRE(t, library_reopen(t, &library, 0));
    REQUIRE(t, library_create(t, &library, &made[KW_COUNT_OF(order)]));
    CHECK_I64(t, made[KW_COUNT_OF(order)].held.record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    for (size_t i = 0; i < KW_COUNT_OF(made); i += 2) {
        struct kw_change_request request = on(&made[i]);
        CHECK_STATUS(t, kw_revoke(library.keyward, &request, NULL, NULL), KW_OK);
    }
    REQUIRE(t, library_reopen(t, &library, KW_DIGEST_SHA512_SALTED));
    for (size_t i = 0; i < KW_COUNT_OF(made); i++) {
        CHECK_CODE(t, library_verify(t, &library, made[i].key), i % 2 == 0 ? KW_CODE_REVOKED : KW_CODE_NONE);
        kw_new_key_clear(&made[i]);
    }
    library_end(&library);
}

/* --- lists --- */

#define LISTED_MAX 100

struct listed {
    struct kw_id ids[LISTED_MAX];
    size_t count, stop_at;
};

static enum kw_status note(void *context, const struct kw_record *record)
{
    struct listed *listed = context;
    if (listed->count == LISTED_MAX || (listed->stop_at != 0 && listed->count == listed->stop_at)) {
        return KW_E_DENIED;
    }
    listed->ids[listed->count++] = record->id;
    return KW_OK;
}

/* Pages of three, and after each page one key more: every key once, in the order of their creation. */
static void pages_while_keys_are_added(struct test *t)
{
    struct library library;
    static struct kw_new_key made[20];
    struct listed listed = {.count = 0};
    struct kw_list_request request = {.owner = KW_BYTES("user:1"), .limit = 3};
    struct kw_error error = {0};
    size_t made_count = 0;
    bool has_more = true;
    REQUIRE(t, library_open(t, &library));
    for (; made_count < 10; made_count++) {
        library_set_clock(&library, LIBRARY_NOW_MS + (int64_t)made_count);
        REQUIRE(t, library_create(t, &library, &made[made_count]));
    }
    while (has_more) {
        size_t before = listed.count;
        REQUIRE_OK(t, kw_list(library.keyward, &request, note, &listed, &has_more, &request.after, &error));
        CHECK(t, listed.count - before <= 3);
        CHECK(t, !has_more || listed.count > before);
        if (made_count < 13) {
            library_set_clock(&library, LIBRARY_NOW_MS + (int64_t)made_count);
            REQUIRE(t, library_create(t, &library, &made[made_count++]));
        }
    }
    REQUIRE(t, listed.count == made_count);
    for (size_t i = 0; i < made_count; i++) {
        CHECK(t, memcmp(&listed.ids[i], &made[i].held.record.id, sizeof(struct kw_id)) == 0);
        kw_new_key_clear(&made[i]);
    }
    library_end(&library);
}

static void check_count(struct test *t, struct library *library, struct kw_list_request request, size_t expected)
{
    struct listed listed = {.count = 0};
    bool has_more = true;
    while (has_more) {
        struct kw_error error = {0};
        REQUIRE_OK(t, kw_list(library->keyward, &request, note, &listed, &has_more, &request.after, &error));
    }
    CHECK_I64(t, listed.count, expected);
    uint64_t count = 0;
    bool exact = false;
    request.after = (struct kw_position){.expires_at_ms = 0};
    REQUIRE_OK(t, kw_count(library->keyward, &request, &count, &exact, NULL));
    CHECK(t, count == expected && exact);
}

static void lists_by_what_is_asked_for(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_bytes tag = KW_BYTES("blue");
    REQUIRE(t, library_open(t, &library));
    for (int i = 0; i < 60; i++) {
        struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_ENV | KW_GIVEN_NAME | KW_GIVEN_ORG,
                                       .owner = i % 2 == 0 ? KW_BYTES("user:1") : KW_BYTES("team:1"),
                                       .env = i % 3 == 0 ? KW_BYTES("test") : KW_BYTES("live"),
                                       .name = i % 4 == 0 ? KW_BYTES("The Nightly one") : KW_BYTES("other"),
                                       .org_id = i % 5 == 0 ? KW_BYTES("acme") : KW_BYTES("zeta")};
        if (i % 6 == 0) {
            params.given |= KW_GIVEN_TAGS;
            params.tags = &tag;
            params.tag_count = 1;
        }
        REQUIRE(t, library_create_as(t, &library, &params, &made));
        struct kw_change_request request = on(&made);
        CHECK_STATUS(t, i % 10 == 0 ? kw_revoke(library.keyward, &request, NULL, NULL) : KW_OK, KW_OK);
        kw_new_key_clear(&made);
    }
    check_count(t, &library, (struct kw_list_request){.limit = 7}, 60);
    check_count(t, &library, (struct kw_list_request){.owner = KW_BYTES("team:1")}, 30);
    check_count(t, &library, (struct kw_list_request){.env = KW_BYTES("test")}, 20);
    check_count(t, &library, (struct kw_list_request){.text = KW_BYTES("nIGHTLY"), .limit = 1}, 15);
    check_count(t, &library, (struct kw_list_request){.org_id = KW_BYTES("acme")}, 12);
    check_count(t, &library, (struct kw_list_request){.tags = &tag, .tag_count = 1, .owner = KW_BYTES("user:1")}, 10);
    check_count(t, &library, (struct kw_list_request){.has_status = true, .status = KW_KEY_REVOKED, .limit = 2}, 6);
    check_count(t, &library, (struct kw_list_request){.has_status = true, .status = KW_KEY_ACTIVE}, 54);
    check_count(t, &library, (struct kw_list_request){.project = KW_BYTES("keyward")}, 0);
    struct listed listed = {.count = 0};
    bool has_more;
    struct kw_position cursor;
    REQUIRE_OK(t, kw_list(library.keyward, &(struct kw_list_request){0}, note, &listed, &has_more, &cursor, NULL));
    CHECK(t, listed.count == 50 && has_more);
    library_end(&library);
}

static void lists_that_are_refused_or_stopped(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_error error;
    struct listed listed = {.stop_at = 1};
    struct kw_position cursor = {.id = {{7}}};
    struct kw_position untouched = {.id = {{7}}};
    bool has_more = true;
    REQUIRE(t, library_open(t, &library));
    for (int i = 0; i < 3; i++) {
        REQUIRE(t, library_create(t, &library, &made));
        kw_new_key_clear(&made);
    }
    struct kw_list_request request = {.limit = 1001};
    CHECK_REFUSED(t, kw_list(library.keyward, &request, note, &listed, &has_more, &cursor, &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "limit");
    request = (struct kw_list_request){.project = KW_BYTES("nowhere")};
    CHECK_REFUSED(t, kw_list(library.keyward, &request, note, &listed, &has_more, &cursor, &error), error,
                  KW_E_NOT_FOUND, "PROJECT_NOT_FOUND", "project");
    CHECK_I64(t, listed.count, 0);
    request = (struct kw_list_request){.limit = 1000};
    CHECK_STATUS(t, kw_list(library.keyward, &request, note, &listed, &has_more, &cursor, &error), KW_E_DENIED);
    CHECK_I64(t, listed.count, 1);
    CHECK(t,
          has_more && kw_bytes_equal(kw_bytes_of(&cursor, sizeof cursor), kw_bytes_of(&untouched, sizeof untouched)));
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_created_key_and_its_record),
        TEST_CASE(refusals_that_all_changes_share),
        TEST_CASE(creations_that_are_refused),
        TEST_CASE(update_disable_and_enable),
        TEST_CASE(revoked_is_for_ever_and_erased_leaves_a_tombstone),
        TEST_CASE(rotations),
        TEST_CASE(keys_of_every_digest_scheme),
        TEST_CASE(pages_while_keys_are_added),
        TEST_CASE(lists_by_what_is_asked_for),
        TEST_CASE(lists_that_are_refused_or_stopped),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
