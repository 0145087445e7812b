#include "core/id.h"
#include "core/record.h"
#include "transitions.h"

/* --- What each command does to each state --- */

#define MODIFY "CANNOT_MODIFY_REVOKED"
#define VERSION "VERSION_CONFLICT"
#define ENDED "ALREADY_REVOKED"

static void every_command_in_every_state(struct test *t)
{
    static const struct {
        enum kw_command_kind kind;
        const struct kw_key_params *params;
        const char *outcome[STATE_COUNT]; /* an action, or the code of a refusal */
    } rows[] = {
        {KW_COMMAND_UPDATE,
         &rename_params,
         {"key.updated", "key.updated", "key.updated", "key.updated", "key.updated", MODIFY, MODIFY}},
        {KW_COMMAND_UPDATE,
         &expiry_params,
         {"key.updated", "key.updated", "ALREADY_EXPIRED", "ALREADY_EXPIRED", "key.updated", MODIFY, MODIFY}},
        {KW_COMMAND_UPDATE,
         &clear_expiry_params,
         {"key.updated", "key.updated", "ALREADY_EXPIRED", "ALREADY_EXPIRED", "key.updated", MODIFY, MODIFY}},
        {KW_COMMAND_ENABLE,
         NULL,
         {"ALREADY_ENABLED", "key.enabled", "ALREADY_ENABLED", "ALREADY_ENABLED", "ALREADY_ENABLED", MODIFY, MODIFY}},
        {KW_COMMAND_DISABLE,
         NULL,
         {"key.disabled", "ALREADY_DISABLED", "key.disabled", "key.disabled", "key.disabled", MODIFY, MODIFY}},
        {KW_COMMAND_REVOKE,
         NULL,
         {"key.revoked", "key.revoked", "key.revoked", "key.revoked", "key.revoked", "ALREADY_REVOKED",
          "ALREADY_REVOKED"}},
        {KW_COMMAND_ROTATE,
         NULL,
         {"key.rotated", "key.rotated", "ALREADY_EXPIRED", "ALREADY_EXPIRED", "ALREADY_ROTATED", MODIFY, MODIFY}},
        {KW_COMMAND_ROTATE,
         &expiry_params,
         {"key.rotated", "key.rotated", "key.rotated", "key.rotated", "ALREADY_ROTATED", MODIFY, MODIFY}},
        {KW_COMMAND_ERASE,
         NULL,
         {"NOT_REVOKED", "NOT_REVOKED", "NOT_REVOKED", "NOT_REVOKED", "NOT_REVOKED", "key.erased", "key.erased"}},
        {KW_COMMAND_LAPSE, NULL, {VERSION, VERSION, "key.expired", "ALREADY_EXPIRED", VERSION, "key.revoked", ENDED}},
        {KW_COMMAND_END_GRACE, NULL, {VERSION, VERSION, VERSION, VERSION, "key.revoked", "key.revoked", ENDED}},
    };
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        for (int state = 0; state < STATE_COUNT; state++) {
            struct kw_record before = record_in((enum state)state, &arena);
            struct kw_record kept = before;
            struct kw_command command = command_of(rows[i].kind, rows[i].params);
            struct kw_change change = {.action = "untouched"};
            struct kw_error error = {.code = "none"};
            enum kw_status status = kw_transition(&before, &command, NOW_MS, &arena, &change, &error);
            const char *outcome = status == KW_OK ? change.action : error.code;
            if (strcmp(outcome, rows[i].outcome[state]) != 0) {
                test_fail(t, __FILE__, __LINE__, "row %zu, state %d: %s", i, state, outcome);
            }
            if (status == KW_OK) {
                CHECK_I64(t, change.after.version, 6 + change.passed_count); /* one more for each thing that is told */
                CHECK(t, change.erased || change.after.updated_at_ms == NOW_MS);
            } else {
                CHECK_STATUS(t, status, KW_E_CONFLICT);
                CHECK_TEXT(t, change.action, "untouched");
            }
            check_records_equal(t, &before, &kept);
            kw_arena_reset(&arena);
        }
    }
}

/* --- One command after another, in detail --- */

static void creation_takes_what_is_given(struct test *t)
{
    struct kw_bytes tags[] = {KW_BYTES("Web"), KW_BYTES("api"), KW_BYTES("web"), KW_BYTES("API")};
    struct kw_bytes scopes[] = {KW_BYTES("b"), KW_BYTES("a:*"), KW_BYTES("b")};
    struct kw_resource_scopes resources[] = {{KW_BYTES("t:2"), scopes, 3}, {KW_BYTES("t:1"), scopes, 1}};
    struct kw_key_params params = {
        .given = KW_GIVEN_OWNER | KW_GIVEN_PUBLIC | KW_GIVEN_ORG | KW_GIVEN_NAME | KW_GIVEN_DESCRIPTION |
                 KW_GIVEN_TAGS | KW_GIVEN_METADATA | KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES | KW_GIVEN_EXPIRES_IN,
        .is_public = true,
        .owner = KW_BYTES("team:9"),
        .org_id = KW_BYTES("org"),
        .name = KW_BYTES("n"),
        .description = KW_BYTES("d\n"),
        .tags = tags,
        .tag_count = 4,
        .metadata = KW_BYTES(" { \"a b\" : [ 1 , \" \\\" \\\\\" ,\t\"}\" ] }\n"),
        .scopes = scopes,
        .scope_count = 3,
        .resources = resources,
        .resource_count = 2,
        .expires_in_ms = HOUR_MS,
    };
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL));
    struct kw_record expected = {
        .id = birth.id,
        .lineage_id = birth.id,
        .version = 1,
        .project = KW_BYTES("default"),
        .env = birth.env,
        .prefix = birth.prefix,
        .last_four = {'1', '2', '3', '4'},
        .is_public = true,
        .enabled = true,
        .digest_scheme = KW_DIGEST_SHA256,
        .owner = KW_BYTES("team:9"),
        .org_id = KW_BYTES("org"),
        .name = KW_BYTES("n"),
        .description = KW_BYTES("d\n"),
        .tags = {KW_BYTES("\x03"
                          "api\x03"
                          "web"),
                 2},
        .metadata = KW_BYTES("{\"a b\":[1,\" \\\" \\\\\",\"}\"]}"),
        .scopes = {KW_BYTES("\x03"
                            "a:*\x01"
                            "b"),
                   2},
        .resources = {KW_BYTES("\x03t:1\x02\x01"
                               "b\x03t:2\x06\x03"
                               "a:*\x01"
                               "b"),
                      2},
        .created_by = KW_BYTES("key:admin"),
        .created_at_ms = NOW_MS,
        .updated_at_ms = NOW_MS,
        .expires_at_ms = NOW_MS + HOUR_MS,
    };
    check_records_equal(t, &change.after, &expected);
    CHECK_TEXT(t, change.action, "key.created");
    CHECK(t, !change.has_successor && !change.erased);
    kw_arena_reset(&arena);
}

static void creation_needs_an_owner(struct test *t)
{
    static const struct kw_key_params empty_owner = {.given = KW_GIVEN_OWNER};
    const struct kw_key_params *rows[] = {NULL, &rename_params, &empty_owner};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_command command = command_of(KW_COMMAND_CREATE, rows[i]);
        struct kw_change change;
        struct kw_error error;
        CHECK_STATUS(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.code, "MISSING_FIELD");
        CHECK_TEXT(t, error.field, "ownerId");
    }
    kw_arena_reset(&arena);
}

static void what_a_key_is_born_with_cannot_change(struct test *t)
{
    static const struct {
        uint32_t given;
        const char *field;
    } rows[] = {
        {KW_GIVEN_ENV, "env"},     {KW_GIVEN_PUBLIC, "isPublic"},
        {KW_GIVEN_OWNER, "owner"}, {KW_GIVEN_OWNER | KW_GIVEN_OWNER_ID, "ownerId"},
        {KW_GIVEN_ORG, "orgId"},   {KW_GIVEN_PROJECT, "projectId"},
    };
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_key_params params = {.given = rows[i].given, .env = before.env, .owner = before.owner};
        struct kw_command update = command_of(KW_COMMAND_UPDATE, &params);
        struct kw_command rotate = command_of(KW_COMMAND_ROTATE, &params);
        refused(t, &before, &rotate, "CANNOT_CHANGE_FIELD", rows[i].field);
        if (rows[i].given != KW_GIVEN_ORG) {
            refused(t, &before, &update, "CANNOT_CHANGE_FIELD", rows[i].field);
        }
    }
    struct kw_record revoked = record_in(REVOKED, &arena);
    struct kw_key_params params = {.given = KW_GIVEN_ENV, .env = before.env};
    struct kw_command update = command_of(KW_COMMAND_UPDATE, &params);
    refused(t, &revoked, &update, "CANNOT_MODIFY_REVOKED", "");
    kw_arena_reset(&arena);
}

static void an_update_sets_and_clears(struct test *t)
{
    struct kw_key_params params = {.given = KW_GIVEN_NAME | KW_GIVEN_ORG | KW_GIVEN_TAGS | KW_GIVEN_EXPIRES_AT,
                                   .org_id = KW_BYTES("org2"),
                                   .description = KW_BYTES("not given")};
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    before.expires_at_ms = NOW_MS + 5;
    struct kw_record expected = before;
    expected.name = (struct kw_bytes){NULL, 0};
    expected.tags = (struct kw_list){.count = 0};
    expected.org_id = KW_BYTES("org2");
    expected.expires_at_ms = 0;
    expected.version = 6;
    expected.updated_at_ms = NOW_MS;
    struct kw_command command = command_of(KW_COMMAND_UPDATE, &params);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    check_records_equal(t, &change.after, &expected);
    kw_arena_reset(&arena);
}

static void bad_params_are_refused_everywhere(struct test *t)
{
    struct kw_key_params params = {
        .given = KW_GIVEN_NAME | KW_GIVEN_OWNER, .name = KW_BYTES("\xff"), .owner = KW_BYTES("user:1")};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_command create = command_of(KW_COMMAND_CREATE, &params);
    refused(t, NULL, &create, "INVALID_FIELD", "name");
    params.given = KW_GIVEN_NAME;
    struct kw_command update = command_of(KW_COMMAND_UPDATE, &params);
    struct kw_command rotate = command_of(KW_COMMAND_ROTATE, &params);
    refused(t, &before, &update, "INVALID_FIELD", "name");
    refused(t, &before, &rotate, "INVALID_FIELD", "name");
    struct kw_command revoke = command_of(KW_COMMAND_REVOKE, NULL);
    revoke.reason = KW_BYTES("line\nbreak");
    refused(t, &before, &revoke, "INVALID_FIELD", "reason");
    static const uint8_t long_reason[KW_REASON_MAX + 1] = {0};
    revoke.reason = kw_bytes_of(long_reason, sizeof long_reason);
    refused(t, &before, &revoke, "INVALID_FIELD", "reason");
    kw_arena_reset(&arena);
}

static void versions_are_compared_first(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (int kind = KW_COMMAND_UPDATE; kind <= KW_COMMAND_END_GRACE; kind++) {
        struct kw_record before = record_in(ACTIVE, &arena);
        struct kw_command command = command_of((enum kw_command_kind)kind, NULL);
        command.if_version = 4;
        refused(t, &before, &command, "VERSION_CONFLICT", "");
        command.if_version = 6;
        refused(t, &before, &command, "VERSION_CONFLICT", "");
    }
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_command command = command_of(KW_COMMAND_REVOKE, NULL);
    command.if_version = 5;
    CHECK_STATUS(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL), KW_OK);
    kw_arena_reset(&arena);
}

static void a_revocation_says_when_who_and_why(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(IN_GRACE, &arena);
    struct kw_command command = command_of(KW_COMMAND_REVOKE, NULL);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.after.revoked_at_ms, NOW_MS);
    CHECK_BYTES(t, change.after.revoked_by, KW_BYTES("key:admin"));
    CHECK_BYTES(t, change.after.revoke_reason, KW_BYTES("leaked"));
    CHECK(t, kw_id_equal(&change.after.rotated_to, &before.rotated_to));
    /* 0 means "not revoked": a clock that stands there must not leave the key alive. */
    before = record_in(ACTIVE, &arena);
    REQUIRE_OK(t, kw_transition(&before, &command, 0, &arena, &change, NULL));
    CHECK_I64(t, kw_record_status(&change.after, 0), KW_KEY_REVOKED);
    CHECK_I64(t, change.after.updated_at_ms, before.updated_at_ms); /* never back */
    kw_arena_reset(&arena);
}

static void no_memory_changes_nothing(struct test *t)
{
    struct kw_bytes items[] = {KW_BYTES("a"), KW_BYTES("b")};
    struct kw_resource_scopes resources[] = {{KW_BYTES("t:1"), items, 2}};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_TAGS | KW_GIVEN_METADATA | KW_GIVEN_SCOPES |
                                            KW_GIVEN_RESOURCES,
                                   .owner = KW_BYTES("user:1"),
                                   .tags = items,
                                   .tag_count = 2,
                                   .metadata = KW_BYTES("{\"\\u0061\":1}"),
                                   .scopes = items,
                                   .scope_count = 2,
                                   .resources = resources,
                                   .resource_count = 1};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    int failures = 0;
    bool done = false;
    for (size_t size = 0; size < 4096 && !done; size += 16) {
        struct kw_arena arena;
        struct kw_change change = {.action = "untouched"};
        struct kw_error error;
        kw_arena_init(&arena, NULL, 0, size);
        enum kw_status status = kw_transition(NULL, &command, NOW_MS, &arena, &change, &error);
        done = status == KW_OK;
        failures += !done;
        CHECK(t, done || (status == KW_E_MEMORY && strcmp(change.action, "untouched") == 0));
        kw_arena_reset(&arena);
    }
    CHECK(t, done && failures > 4);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_command_in_every_state), TEST_CASE(creation_takes_what_is_given),
        TEST_CASE(creation_needs_an_owner),      TEST_CASE(what_a_key_is_born_with_cannot_change),
        TEST_CASE(an_update_sets_and_clears),    TEST_CASE(bad_params_are_refused_everywhere),
        TEST_CASE(versions_are_compared_first),  TEST_CASE(a_revocation_says_when_who_and_why),
        TEST_CASE(no_memory_changes_nothing),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
