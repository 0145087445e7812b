/*
 * What time does to a record, and that it stays done: the steps in their order, and laws that hold for every command
 * at every time, whichever way the clock goes.
 */
#include "core/schedule.h"

#include "core/record.h"
#include "transitions.h"

#include <stdio.h>

#define MINUTE_MS INT64_C(60000)
#define ROUNDS 300
#define STEPS 40

static struct kw_record fresh(struct kw_arena *arena)
{
    struct kw_record record = record_in(ACTIVE, arena);
    record.expires_at_ms = record.grace_until_ms = 0;
    return record;
}

/* "key.expiring revoke 100" of every step until `now_ms`, parted by commas. */
static void check_steps(struct test *t, const struct kw_record *before, int64_t now_ms, const char *expected)
{
    struct kw_record record = *before;
    struct kw_happening happening;
    char seen[512] = "";
    size_t size = 0;
    for (size_t i = 0; i < 10 && kw_schedule_step(&record, now_ms, true, &happening); i++) {
        size += (size_t)snprintf(seen + size, sizeof seen - size, "%s%s %s %d", i > 0 ? ", " : "",
                                 happening.action + strlen("key."), kw_end_name(happening.end),
                                 (int)(happening.at_ms - NOW_MS));
    }
    CHECK_TEXT(t, seen, expected);
    CHECK(t, kw_record_due(&record) == 0 || kw_record_due(&record) > now_ms);
    CHECK(t, !kw_schedule_has_passed(&record, now_ms));
}

static void steps_come_in_the_order_of_their_times(struct test *t)
{
    static const struct {
        struct kw_schedule schedule; /* after NOW_MS, as the next two */
        int64_t expires_at_ms, grace_until_ms;
        int64_t now_ms;
        const char *steps;
    } cases[] = {
        {{0, 0, 0}, 0, 0, 1000, ""},
        {{10, 0, 0}, 0, 0, 9, ""},
        {{10, 0, 0}, 0, 0, 10, "disabled disable 10"},
        {{0, 20, 0}, 10, 0, 30, "expired expire 10, revoked revoke 20"},
        {{10, 20, 5}, 0, 0, 5, "expiring disable 10"},
        {{10, 20, 5}, 0, 0, 15, "disabled disable 10, expiring revoke 20"},
        {{10, 20, 5}, 0, 0, 25, "disabled disable 10, revoked revoke 20"}, /* nothing is told of what has come */
        {{10, 10, 0}, 10, 0, 10, "disabled disable 10, expired expire 10, revoked revoke 10"},
        {{30, 20, 15}, 40, 0, 6, "expiring revoke 20"}, /* what comes after a revocation does not come */
        {{0, 40, 35}, 0, 20, 19, ""},                   /* nor is the end of a grace period told of */
        {{0, 40, 35}, 0, 20, 20, "revoked revoke 20"},
        {{0, 20, 15}, 0, 40, 10, "expiring revoke 20"},
        {{0, 0, 1000}, 50, 0, 10, "expiring expire 50"},
        {{0, 0, 1000}, 50, 0, 60, "expired expire 50"},
    };
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_record record = fresh(&arena);
        const struct kw_schedule *schedule = &cases[i].schedule;
        record.schedule = (struct kw_schedule){schedule->disable_at_ms > 0 ? NOW_MS + schedule->disable_at_ms : 0,
                                               schedule->revoke_at_ms > 0 ? NOW_MS + schedule->revoke_at_ms : 0,
                                               schedule->notify_before_ms};
        record.expires_at_ms = cases[i].expires_at_ms > 0 ? NOW_MS + cases[i].expires_at_ms : 0;
        record.grace_until_ms = cases[i].grace_until_ms > 0 ? NOW_MS + cases[i].grace_until_ms : 0;
        check_steps(t, &record, NOW_MS + cases[i].now_ms, cases[i].steps);
    }
    kw_arena_reset(&arena);
}

static struct kw_key_params schedule_params(uint32_t given, struct kw_schedule to)
{
    return (struct kw_key_params){.given = KW_GIVEN_SCHEDULE, .schedule = {given, to}};
}

static void a_schedule_is_changed_member_by_member(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = fresh(&arena);
    before.schedule = (struct kw_schedule){NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS, MINUTE_MS};
    before.announced = KW_END_DISABLE | KW_END_REVOKE | KW_END_EXPIRE;
    struct kw_key_params params = schedule_params(KW_GIVEN_REVOKE_AT, (struct kw_schedule){.revoke_at_ms = NOW_MS + 5});
    struct kw_command command = command_of(KW_COMMAND_UPDATE, &params);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.after.schedule.disable_at_ms, NOW_MS + HOUR_MS);
    CHECK_I64(t, change.after.schedule.revoke_at_ms, NOW_MS + 5);
    CHECK_I64(t, change.after.schedule.notify_before_ms, MINUTE_MS);
    CHECK_I64(t, change.after.announced, KW_END_DISABLE | KW_END_EXPIRE); /* the other time is told of anew */
    params = schedule_params(KW_GIVEN_NOTIFY_BEFORE, (struct kw_schedule){.notify_before_ms = 2 * MINUTE_MS});
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.after.announced, 0);
    params = schedule_params(0, (struct kw_schedule){0, 0, 0});
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK(t, kw_schedule_is_empty(&change.after.schedule));
    REQUIRE_OK(t, kw_transition(&before, &(struct kw_command){.kind = KW_COMMAND_UPDATE, .params = &rename_params},
                                NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.after.announced, before.announced);
    params = schedule_params(KW_GIVEN_DISABLE_AT, (struct kw_schedule){.disable_at_ms = NOW_MS});
    refused(t, &before, &command, "INVALID_FIELD", "schedule.disableAt");
    params = schedule_params(KW_GIVEN_REVOKE_AT, (struct kw_schedule){.revoke_at_ms = NOW_MS});
    refused(t, &before, &command, "INVALID_FIELD", "schedule.revokeAt");
    params = schedule_params(KW_GIVEN_NOTIFY_BEFORE, (struct kw_schedule){.notify_before_ms = YEAR_MS + 1});
    refused(t, &before, &command, "INVALID_FIELD", "schedule.notifyBefore");
    before.schedule.revoke_at_ms = NOW_MS; /* that has passed, and nobody has written it down */
    params = schedule_params(KW_GIVEN_REVOKE_AT, (struct kw_schedule){.revoke_at_ms = NOW_MS + HOUR_MS});
    refused(t, &before, &command, "CANNOT_MODIFY_REVOKED", "");
    kw_arena_reset(&arena);
}

static void what_has_passed_is_told_with_the_command_that_meets_it(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = fresh(&arena);
    before.schedule.disable_at_ms = NOW_MS - 1;
    struct kw_command command = command_of(KW_COMMAND_ENABLE, NULL);
    CHECK_I64(t, kw_record_status(&before, NOW_MS), KW_KEY_DISABLED);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    REQUIRE(t, change.passed_count == 1);
    CHECK_TEXT(t, change.passed[0].happening.action, "key.disabled");
    CHECK_BYTES(t, change.passed[0].happening.actor, KW_SCHEDULE_ACTOR);
    CHECK(t, !change.passed[0].after.enabled);
    CHECK_TEXT(t, change.action, "key.enabled");
    CHECK(t, change.happening.action == NULL);
    CHECK(t, change.after.enabled && change.after.schedule.disable_at_ms == 0);
    CHECK_I64(t, change.after.version, before.version + 2);
    CHECK_I64(t, kw_record_status(&change.after, NOW_MS + YEAR_MS), KW_KEY_ACTIVE); /* it is not disabled again */
    command = command_of(KW_COMMAND_DISABLE, NULL);
    refused(t, &before, &command, "ALREADY_DISABLED", "");
    command = command_of(KW_COMMAND_ROTATE, NULL);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK(t, !change.successor.enabled && change.successor.schedule.disable_at_ms == 0);
    /* Somebody was quicker: its time comes, and there is nothing to do or to tell. */
    before.enabled = false;
    command = command_of(KW_COMMAND_LAPSE, NULL);
    CHECK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL) == KW_E_CONFLICT);
    CHECK_I64(t, kw_record_due(&before), 0);
    command = command_of(KW_COMMAND_ENABLE, NULL);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_I64(t, change.passed_count, 0);
    CHECK_I64(t, change.after.schedule.disable_at_ms, 0);
    kw_arena_reset(&arena);
}

static void an_announcement_changes_nothing_but_that_it_was_made(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = fresh(&arena);
    before.schedule = (struct kw_schedule){.revoke_at_ms = NOW_MS + HOUR_MS, .notify_before_ms = 2 * HOUR_MS};
    struct kw_command command = command_of(KW_COMMAND_LAPSE, NULL);
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL));
    CHECK_TEXT(t, change.action, "key.expiring");
    CHECK(t, change.happening.is_announcement && change.happening.end == KW_END_REVOKE);
    CHECK_I64(t, change.happening.at_ms, NOW_MS + HOUR_MS);
    struct kw_record expected = before;
    expected.announced = KW_END_REVOKE;
    expected.version++;
    check_records_equal(t, &change.after, &expected);
    CHECK(t, kw_transition(&expected, &command, NOW_MS, &arena, &change, NULL) == KW_E_CONFLICT); /* once */
    CHECK_I64(t, kw_record_due(&expected), NOW_MS + HOUR_MS);
    kw_arena_reset(&arena);
}

static int64_t random_time(struct test *t)
{
    static const int64_t steps[] = {1, 100, MINUTE_MS, HOUR_MS};
    return test_random_below(t, 3) == 0 ? 0
                                        : NOW_MS + steps[test_random_below(t, 4)] * (int64_t)test_random_below(t, 20);
}

static struct kw_key_params random_params(struct test *t)
{
    struct kw_key_params params =
        schedule_params((uint32_t)test_random_below(t, 8),
                        (struct kw_schedule){.disable_at_ms = random_time(t),
                                             .revoke_at_ms = random_time(t),
                                             .notify_before_ms = (int64_t)test_random_below(t, 3) * MINUTE_MS});
    params.given |= test_random_below(t, 3) == 0 ? (uint32_t)KW_GIVEN_EXPIRES_AT : 0;
    params.expires_at_ms = random_time(t);
    return params;
}

/* What a line of changes told of each time. */
struct told {
    unsigned disabled, revoked, expired;
};

static void count(struct told *told, const char *action)
{
    told->disabled += strcmp(action, "key.disabled") == 0;
    told->revoked += strcmp(action, "key.revoked") == 0;
    told->expired += strcmp(action, "key.expired") == 0;
}

/* The laws of one change: `was` is what a verification would have said just before it. */
static void check_change(struct test *t, const struct kw_record *before, const struct kw_command *command,
                         const struct kw_change *change, int64_t now_ms)
{
    enum kw_key_status was = kw_record_status(before, now_ms);
    enum kw_key_status is = kw_record_status(&change->after, now_ms);
    CHECK(t, was != KW_KEY_REVOKED || command->kind == KW_COMMAND_LAPSE);
    CHECK(t, was != KW_KEY_REVOKED || is == KW_KEY_REVOKED);
    CHECK(t, was != KW_KEY_EXPIRED || is >= KW_KEY_EXPIRED);
    CHECK(t, was != KW_KEY_DISABLED || is >= KW_KEY_DISABLED || command->kind == KW_COMMAND_ENABLE);
    CHECK(t, !change->has_successor || was != KW_KEY_DISABLED ||
                 kw_record_status(&change->successor, now_ms) >= KW_KEY_DISABLED);
    /* What had passed is written down: no clock that steps back undoes it. */
    enum kw_key_status later = kw_record_status(&change->after, 0);
    CHECK(t, later >= was || command->kind == KW_COMMAND_ENABLE);
    CHECK_I64(t, change->after.version, before->version + change->passed_count + 1);
    int64_t due_ms = kw_record_due(&change->after);
    CHECK(t, command->kind != KW_COMMAND_LAPSE || due_ms == 0 || due_ms > now_ms);
    CHECK(t, !kw_schedule_has_passed(&change->after, now_ms));
}

static void whatever_is_asked_at_whatever_time_nothing_comes_back(struct test *t)
{
    static const enum kw_command_kind kinds[] = {KW_COMMAND_UPDATE,  KW_COMMAND_UPDATE, KW_COMMAND_ENABLE,
                                                 KW_COMMAND_DISABLE, KW_COMMAND_ROTATE, KW_COMMAND_LAPSE,
                                                 KW_COMMAND_LAPSE,   KW_COMMAND_MOVE};
    for (int round = 0; round < ROUNDS && t->failures == 0; round++) {
        struct kw_arena arena;
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        struct kw_record record = fresh(&arena);
        struct told told = {0, 0, 0};
        int64_t now_ms = NOW_MS;
        for (int i = 0; i < STEPS && t->failures == 0; i++) {
            struct kw_key_params params = random_params(t);
            enum kw_command_kind kind = kinds[test_random_below(t, KW_COUNT_OF(kinds))];
            bool has_params = kind == KW_COMMAND_UPDATE || kind == KW_COMMAND_ROTATE;
            struct kw_command command = command_of(kind, has_params ? &params : NULL);
            command.grace_ms = kind == KW_COMMAND_ROTATE ? HOUR_MS : 0;
            command.moved_scheme = KW_DIGEST_SHA256;
            struct kw_change change;
            now_ms += (int64_t)test_random_below(t, 40) * MINUTE_MS - 10 * MINUTE_MS;
            if (kw_transition(&record, &command, now_ms, &arena, &change, NULL) != KW_OK) {
                continue;
            }
            check_change(t, &record, &command, &change, now_ms);
            for (size_t p = 0; p < change.passed_count; p++) {
                count(&told, change.passed[p].happening.action);
            }
            count(&told, change.action);
            record = change.after;
        }
        CHECK(t, told.revoked <= 1);
        CHECK(t, told.expired <= 1);
        kw_arena_reset(&arena);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(steps_come_in_the_order_of_their_times),
        TEST_CASE(a_schedule_is_changed_member_by_member),
        TEST_CASE(what_has_passed_is_told_with_the_command_that_meets_it),
        TEST_CASE(an_announcement_changes_nothing_but_that_it_was_made),
        TEST_CASE(whatever_is_asked_at_whatever_time_nothing_comes_back),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
