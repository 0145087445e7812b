/* How keys end: in a successor, as a tombstone, by a time that has passed. */
#include "base/time.h"
#include "core/id.h"
#include "core/record.h"
#include "transitions.h"

static void a_rotation_passes_everything_on(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(DISABLED, &arena);
    before.is_public = true;
    before.org_id = KW_BYTES("org");
    before.description = KW_BYTES("d");
    before.metadata = KW_BYTES("{}");
    before.lineage_id = (struct kw_id){{8}};
    before.rotated_from = (struct kw_id){{7}};
    before.expires_at_ms = NOW_MS + 10 * HOUR_MS;
    struct kw_command command = command_of(KW_COMMAND_ROTATE, NULL);
    command.grace_ms = HOUR_MS;
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    struct kw_record successor = before;
    successor.id = birth.id;
    successor.version = 1;
    successor.prefix = birth.prefix;
    memcpy(successor.last_four, "1234", 4);
    successor.digest_scheme = KW_DIGEST_SHA256;
    successor.created_by = KW_BYTES("key:admin");
    successor.created_at_ms = NOW_MS;
    successor.updated_at_ms = NOW_MS;
    successor.rotated_from = before.id;
    struct kw_record after = before;
    after.version = 6;
    after.updated_at_ms = NOW_MS;
    after.rotated_to = birth.id;
    after.grace_until_ms = NOW_MS + HOUR_MS;
    CHECK(t, change.has_successor && !change.erased);
    check_records_equal(t, &change.successor, &successor);
    check_records_equal(t, &change.after, &after);
    kw_arena_reset(&arena);
}

static void a_rotation_without_grace_revokes_at_once(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(LAPSED, &arena);
    struct kw_command command = command_of(KW_COMMAND_ROTATE, &expiry_params);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.after.revoked_at_ms, NOW_MS);
    CHECK_BYTES(t, change.after.revoke_reason, KW_BYTES("rotated"));
    CHECK_BYTES(t, change.after.revoked_by, KW_BYTES("key:admin"));
    CHECK_I64(t, change.after.grace_until_ms, 0);
    CHECK(t, kw_id_equal(&change.after.rotated_to, &birth.id));
    CHECK_I64(t, change.successor.expires_at_ms, NOW_MS + HOUR_MS);
    CHECK_I64(t, change.successor.lapsed_at_ms, 0);
    CHECK_I64(t, kw_record_status(&change.successor, NOW_MS), KW_KEY_ACTIVE);
    kw_arena_reset(&arena);
}

static void grace_is_at_most_a_year(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_command command = command_of(KW_COMMAND_ROTATE, NULL);
    command.grace_ms = YEAR_MS;
    CHECK_STATUS(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL), KW_OK);
    CHECK_I64(t, change.after.grace_until_ms, NOW_MS + YEAR_MS);
    command.grace_ms = YEAR_MS + 1;
    refused(t, &before, &command, "INVALID_FIELD", "gracePeriod");
    command.grace_ms = -1;
    refused(t, &before, &command, "INVALID_FIELD", "gracePeriod");
    command.grace_ms = YEAR_MS;
    CHECK_STATUS(t, kw_transition(&before, &command, KW_TIME_MS_MAX, &arena, &change, NULL), KW_OK);
    CHECK_I64(t, change.after.grace_until_ms, KW_TIME_MS_MAX);
    kw_arena_reset(&arena);
}

static void a_rotation_never_widens(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_bytes write[] = {KW_BYTES("write")};
    struct resource_of pair = {KW_BYTES("website:*"), list_of(&arena, write, 1)};
    before.resources = resources_of(&arena, &pair, 1);

    struct kw_bytes narrower[] = {KW_BYTES("billing:refund"), KW_BYTES("keys:read")};
    struct kw_bytes wider[] = {KW_BYTES("keys:read"), KW_BYTES("keys:*")};
    struct kw_resource_scopes within[] = {{KW_BYTES("website:7"), write, 1}};
    struct kw_resource_scopes beyond[] = {{KW_BYTES("*"), write, 1}};
    struct kw_key_params params = {.given = KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES,
                                   .scopes = narrower,
                                   .scope_count = 2,
                                   .resources = within,
                                   .resource_count = 1};
    struct kw_command command = command_of(KW_COMMAND_ROTATE, &params);
    CHECK_STATUS(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL), KW_OK);
    CHECK_I64(t, change.successor.scopes.count, 2);
    params.scopes = wider;
    refused(t, &before, &command, "INVALID_FIELD", "scopes");
    params.scopes = write; /* held on resources, not everywhere */
    params.scope_count = 1;
    refused(t, &before, &command, "INVALID_FIELD", "scopes");
    params.scopes = narrower;
    params.resources = beyond;
    refused(t, &before, &command, "INVALID_FIELD", "resources");
    params.given = KW_GIVEN_RESOURCES;
    refused(t, &before, &command, "INVALID_FIELD", "resources");
    kw_arena_reset(&arena);
}

static void erasing_leaves_a_tombstone(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(PAST_GRACE, &arena);
    struct kw_command command = command_of(KW_COMMAND_ERASE, NULL);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    struct kw_record expected = {.id = before.id,
                                 .lineage_id = before.lineage_id,
                                 .version = 6,
                                 .project = before.project,
                                 .digest_scheme = before.digest_scheme,
                                 .revoked_at_ms = NOW_MS};
    check_records_equal(t, &change.after, &expected);
    CHECK(t, change.erased && !change.has_successor);
    for (int kind = KW_COMMAND_UPDATE; kind <= KW_COMMAND_LAPSE; kind++) {
        command = command_of((enum kw_command_kind)kind, NULL);
        refused(t, &expected, &command, "KEY_NOT_FOUND", "");
    }
    kw_arena_reset(&arena);
}

static void a_lapse_is_written_down(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_command command = command_of(KW_COMMAND_LAPSE, NULL);
    struct kw_record before = record_in(EXPIRED, &arena);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS + 77, &arena, &change, NULL));
    CHECK_I64(t, change.after.lapsed_at_ms, NOW_MS);
    CHECK_I64(t, kw_record_status(&change.after, 1), KW_KEY_EXPIRED); /* the clock may step back now */
    before = record_in(PAST_GRACE, &arena);
    before.expires_at_ms = NOW_MS - 1;
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS + 77, &arena, &change, NULL));
    CHECK_I64(t, change.after.revoked_at_ms, NOW_MS);
    CHECK_BYTES(t, change.after.revoked_by, KW_BYTES("system"));
    CHECK_BYTES(t, change.after.revoke_reason, KW_BYTES("rotated"));
    CHECK_I64(t, kw_record_status(&change.after, 1), KW_KEY_REVOKED);
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_rotation_passes_everything_on), TEST_CASE(a_rotation_without_grace_revokes_at_once),
        TEST_CASE(grace_is_at_most_a_year),         TEST_CASE(a_rotation_never_widens),
        TEST_CASE(erasing_leaves_a_tombstone),      TEST_CASE(a_lapse_is_written_down),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
