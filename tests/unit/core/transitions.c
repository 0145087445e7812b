#include "transitions.h"

const struct kw_birth birth = {
    .id = {{1, 2, 3}},
    .env = {(const uint8_t *)"live", 4},
    .prefix = {(const uint8_t *)"acme_", 5},
    .last_four = {'1', '2', '3', '4'},
    .digest_scheme = KW_DIGEST_SHA256,
};

struct kw_command command_of(enum kw_command_kind kind, const struct kw_key_params *params)
{
    return (struct kw_command){.kind = kind,
                               .project = KW_BYTES("default"),
                               .params = params,
                               .birth = &birth,
                               .actor = KW_BYTES("key:admin"),
                               .reason = KW_BYTES("leaked")};
}

struct kw_record record_in(enum state state, struct kw_arena *arena)
{
    struct kw_record record = record_typical(arena);
    record.version = 5;
    record.enabled = state != DISABLED;
    record.expires_at_ms = state == EXPIRED || state == LAPSED ? NOW_MS : 0;
    record.lapsed_at_ms = state == LAPSED ? NOW_MS : 0;
    if (state == IN_GRACE || state == PAST_GRACE) {
        record.rotated_to = (struct kw_id){{9}};
        record.grace_until_ms = state == IN_GRACE ? NOW_MS + 1 : NOW_MS;
    }
    if (state == REVOKED) {
        record.revoked_at_ms = NOW_MS + HOUR_MS; /* the clock may have stepped back since */
    }
    return record;
}

const struct kw_key_params rename_params = {.given = KW_GIVEN_NAME, .name = {(const uint8_t *)"new", 3}};
const struct kw_key_params expiry_params = {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = HOUR_MS};
const struct kw_key_params clear_expiry_params = {.given = KW_GIVEN_EXPIRES_AT};

void refused(struct test *t, const struct kw_record *before, const struct kw_command *command, const char *code,
             const char *field)
{
    struct kw_arena arena;
    struct kw_change change = {.action = "untouched"};
    struct kw_error error = {.code = "none"};
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    CHECK(t, kw_transition(before, command, NOW_MS, &arena, &change, &error) != KW_OK);
    CHECK_TEXT(t, error.code, code);
    CHECK_TEXT(t, error.field, field);
    CHECK_TEXT(t, change.action, "untouched");
    kw_arena_reset(&arena);
}
