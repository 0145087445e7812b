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

static void a_grace_period_can_end_early(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    before.ends_grace = true; /* of the key before: no business of the next one */
    struct kw_command command = command_of(KW_COMMAND_ROTATE, NULL);
    command.grace_ms = HOUR_MS;
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK(t, !change.successor.ends_grace && change.after.ends_grace);
    command.ends_grace = true;
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK(t, change.successor.ends_grace);
    struct kw_record old = change.after;
    struct kw_command end = command_of(KW_COMMAND_END_GRACE, NULL);
    REQUIRE_OK(t, kw_transition(&old, &end, NOW_MS + 5, &arena, &change, NULL));
    CHECK_TEXT(t, change.action, "key.revoked");
    CHECK_I64(t, change.after.revoked_at_ms, NOW_MS + 5);
    CHECK_BYTES(t, change.after.revoked_by, KW_BYTES("system"));
    CHECK_BYTES(t, change.after.revoke_reason, KW_BYTES("rotated"));
    REQUIRE_OK(t, kw_transition(&old, &end, NOW_MS + HOUR_MS + 5, &arena, &change, NULL)); /* passed by itself */
    CHECK_I64(t, change.after.revoked_at_ms, NOW_MS + HOUR_MS);
    command.grace_ms = 0;
    refused(t, &before, &command, "INVALID_FIELD", "endGraceOnFirstUse");
    kw_arena_reset(&arena);
}

/* Three rotations: each key names the one before and the one after, and the line is that of the first. */
static void rotations_are_linked_both_ways(struct test *t)
{
    enum { KEYS = 4 };
    struct kw_arena arena;
    struct kw_change change;
    struct kw_record line[KEYS];
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    line[0] = record_in(DISABLED, &arena);
    line[0].expires_at_ms = NOW_MS + HOUR_MS;
    for (int i = 1; i < KEYS; i++) {
        struct kw_birth next = birth;
        next.id.bytes[15] = (uint8_t)i;
        struct kw_command command = command_of(KW_COMMAND_ROTATE, i == 2 ? &expiry_params : NULL);
        command.birth = &next;
        command.grace_ms = i == 3 ? HOUR_MS : 0;
        REQUIRE_OK(t, kw_transition(&line[i - 1], &command, NOW_MS + i, &arena, &change, NULL));
        line[i - 1] = change.after;
        line[i] = change.successor;
    }
    CHECK(t, kw_id_is_none(&line[0].rotated_from) && kw_id_is_none(&line[KEYS - 1].rotated_to));
    for (size_t i = 0; i < KEYS; i++) {
        CHECK(t, i == 0 || kw_id_equal(&line[i].rotated_from, &line[i - 1].id));
        CHECK(t, i == KEYS - 1 || kw_id_equal(&line[i].rotated_to, &line[i + 1].id));
        CHECK(t, kw_id_equal(&line[i].lineage_id, &line[0].lineage_id));
        CHECK(t, !line[i].enabled); /* a disabled key rotates into a disabled one */
        CHECK_I64(t, line[i].expires_at_ms,
                  i < 2 ? NOW_MS + HOUR_MS : NOW_MS + 2 + HOUR_MS); /* kept, but for a new one */
    }
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
                                 .version = 7, /* the end of the grace period is told, too */
                                 .project = before.project,
                                 .digest_scheme = before.digest_scheme,
                                 .revoked_at_ms = NOW_MS};
    REQUIRE(t, change.passed_count == 1);
    CHECK_TEXT(t, change.passed[0].happening.action, "key.revoked");
    check_records_equal(t, &change.after, &expected);
    CHECK(t, change.erased && !change.has_successor);
    for (int kind = KW_COMMAND_UPDATE; kind <= KW_COMMAND_END_GRACE; kind++) {
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
        TEST_CASE(a_grace_period_can_end_early),    TEST_CASE(rotations_are_linked_both_ways),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
