/* Random commands, one after another, under a clock that also steps back: what may never happen, never does. */
#include "core/id.h"
#include "core/record.h"
#include "core/scope.h"
#include "transitions.h"

#define KEYS_MAX 12
#define COMMANDS 60

struct world {
    struct kw_arena arena;
    int64_t now_ms;
    struct kw_record keys[KEYS_MAX];
    bool erased[KEYS_MAX];
    size_t key_count;
};

struct choice {
    struct kw_key_params params;
    struct kw_bytes scopes[4];
    struct kw_bytes resource_scopes[2];
    struct kw_resource_scopes resources[2];
    struct kw_birth birth;
    struct kw_command command;
};

static struct kw_bytes random_scope(struct test *t)
{
    static const char *const scopes[] = {"*", "a:*", "a:b", "a:b:*", "b", "c:*", "c:d"};
    return kw_bytes_of_text(scopes[test_random_below(t, KW_COUNT_OF(scopes))]);
}

static void choose_params(struct test *t, const struct world *world, struct choice *choice)
{
    static const char *const resources[] = {"t:*", "t:1", "u:1", "*"};
    uint32_t given = (uint32_t)test_random(t) & (KW_GIVEN_NAME | KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES);
    if (test_random_below(t, 4) == 0) {
        given |= test_random_below(t, 2) == 0 ? KW_GIVEN_EXPIRES_AT : KW_GIVEN_EXPIRES_IN;
    }
    if (test_random_below(t, 30) == 0) {
        given |= KW_GIVEN_ENV << test_random_below(t, 4);
    }
    for (size_t i = 0; i < KW_COUNT_OF(choice->scopes); i++) {
        choice->scopes[i] = random_scope(t);
    }
    for (size_t i = 0; i < KW_COUNT_OF(choice->resources); i++) {
        size_t name = 2 * i + test_random_below(t, 2);
        choice->resource_scopes[i] = random_scope(t);
        choice->resources[i] =
            (struct kw_resource_scopes){kw_bytes_of_text(resources[name]), &choice->resource_scopes[i], 1};
    }
    choice->params = (struct kw_key_params){
        .given = given,
        .env = KW_BYTES("test"),
        .owner = KW_BYTES("user:other"),
        .name = KW_BYTES("renamed"),
        .scopes = choice->scopes,
        .scope_count = test_random_below(t, 1 + KW_COUNT_OF(choice->scopes)),
        .resources = choice->resources,
        .resource_count = test_random_below(t, 1 + KW_COUNT_OF(choice->resources)),
        .expires_at_ms = test_random_below(t, 3) == 0 ? 0 : world->now_ms + (int64_t)test_random_below(t, 5000),
        .expires_in_ms = 1 + (int64_t)test_random_below(t, 5000),
    };
}

static void choose(struct test *t, const struct world *world, struct choice *choice)
{
    choose_params(t, world, choice);
    choice->birth = birth;
    choice->birth.id = random_id(t);
    choice->command = (struct kw_command){
        .kind = (enum kw_command_kind)(KW_COMMAND_UPDATE + test_random_below(t, KW_COMMAND_END_GRACE)),
        .project = KW_BYTES("default"),
        .params = &choice->params,
        .birth = &choice->birth,
        .actor = KW_BYTES("key:admin"),
        .grace_ms = (int64_t)test_random_below(t, 2) * (int64_t)test_random_below(t, 3000),
    };
    /* Ends are rarer than changes, so that keys live long enough to change. */
    bool ends = choice->command.kind == KW_COMMAND_REVOKE || choice->command.kind == KW_COMMAND_ERASE;
    if (ends && test_random_below(t, 3) != 0) {
        choice->command.kind = KW_COMMAND_UPDATE;
    }
}

static bool expired(const struct kw_record *record, int64_t now_ms)
{
    return record->lapsed_at_ms != 0 || (record->expires_at_ms != 0 && now_ms >= record->expires_at_ms);
}

/* What holds for the record that was changed. */
static void check_after(struct test *t, const struct kw_record *before, const struct choice *choice,
                        const struct kw_change *change, int64_t now_ms)
{
    const struct kw_record *after = &change->after;
    enum kw_command_kind kind = choice->command.kind;
    bool was_revoked = kw_record_status(before, now_ms) == KW_KEY_REVOKED;
    CHECK(t, after->version == before->version + change->passed_count + 1);
    CHECK(t, kw_id_equal(&after->id, &before->id) && kw_id_equal(&after->lineage_id, &before->lineage_id));
    CHECK_BYTES(t, after->project, before->project);
    bool writes_down = kind == KW_COMMAND_LAPSE || kind == KW_COMMAND_END_GRACE;
    CHECK(t, !was_revoked || kind == KW_COMMAND_ERASE || writes_down);
    CHECK(t, !was_revoked || kw_record_status(after, 1) == KW_KEY_REVOKED);
    CHECK(t, before->revoked_at_ms == 0 || after->revoked_at_ms == before->revoked_at_ms);
    CHECK(t, change->erased == (kind == KW_COMMAND_ERASE));
    if (change->erased) {
        CHECK(t, was_revoked && after->owner.size == 0 && after->created_at_ms == 0 && after->name.size == 0);
        return;
    }
    CHECK(t, after->updated_at_ms >= before->updated_at_ms);
    CHECK_BYTES(t, after->owner, before->owner);
    CHECK_BYTES(t, after->env, before->env);
    CHECK(t, after->is_public == before->is_public && after->created_at_ms == before->created_at_ms);
    CHECK(t, before->lapsed_at_ms == 0 || after->lapsed_at_ms == before->lapsed_at_ms);
    CHECK(t, !expired(before, now_ms) || after->expires_at_ms == before->expires_at_ms);
    CHECK(t, kw_id_is_none(&before->rotated_to) || kw_id_equal(&after->rotated_to, &before->rotated_to));
}

static void check_successor(struct test *t, const struct kw_record *before, const struct choice *choice,
                            const struct kw_change *change, int64_t now_ms)
{
    const struct kw_record *successor = &change->successor;
    bool asked = (choice->params.given & (KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN)) != 0;
    CHECK(t, kw_authority_within(&successor->scopes, &successor->resources, &before->scopes, &before->resources));
    CHECK(t, asked || successor->expires_at_ms == before->expires_at_ms);
    CHECK(t, asked || !expired(before, now_ms));
    CHECK(t, successor->enabled == before->enabled && successor->is_public == before->is_public);
    CHECK(t, kw_id_equal(&successor->lineage_id, &before->lineage_id));
    CHECK(t, kw_id_equal(&successor->rotated_from, &before->id));
    CHECK(t, kw_id_equal(&change->after.rotated_to, &successor->id));
    CHECK(t, successor->version == 1 && successor->revoked_at_ms == 0 && successor->grace_until_ms == 0);
    CHECK(t, kw_id_is_none(&before->rotated_to)); /* a key has one successor */
    CHECK_BYTES(t, successor->owner, before->owner);
    int64_t grace_ms = choice->command.grace_ms;
    CHECK(t, kw_record_status(&change->after, now_ms + grace_ms) == KW_KEY_REVOKED);
    CHECK(t, grace_ms == 0 || kw_record_status(&change->after, now_ms) == kw_record_status(before, now_ms));
}

/* Keeps a record as a store would: its encoding, decoded again. */
static struct kw_record kept(struct test *t, struct world *world, const struct kw_record *record)
{
    struct kw_record again = {.version = 0};
    struct kw_buffer buffer;
    void *room = kw_arena_take(&world->arena, 1024);
    kw_buffer_init_fixed(&buffer, room, room == NULL ? 0 : 1024);
    CHECK_STATUS(t, kw_record_encode(record, &buffer), KW_OK);
    CHECK_STATUS(t, kw_record_decode(kw_buffer_bytes(&buffer), &again), KW_OK);
    check_records_equal(t, &again, record);
    return again;
}

static void give_birth(struct test *t, struct world *world)
{
    struct choice choice;
    struct kw_change change;
    choose(t, world, &choice);
    choice.command.kind = KW_COMMAND_CREATE;
    choice.params.given =
        (choice.params.given | KW_GIVEN_OWNER) & (KW_GIVEN_OWNER | KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES);
    CHECK_STATUS(t, kw_transition(NULL, &choice.command, world->now_ms, &world->arena, &change, NULL), KW_OK);
    world->keys[world->key_count++] = kept(t, world, &change.after);
}

static bool take_step(struct test *t, struct world *world)
{
    size_t at = test_random_below(t, world->key_count);
    struct kw_record before = world->keys[at];
    struct choice choice;
    struct kw_change change;
    choose(t, world, &choice);
    if (world->erased[at] || (choice.command.kind == KW_COMMAND_ROTATE && world->key_count == KEYS_MAX)) {
        return false;
    }
    enum kw_status status = kw_transition(&before, &choice.command, world->now_ms, &world->arena, &change, NULL);
    check_records_equal(t, &before, &world->keys[at]);
    CHECK(t, status == KW_OK || status == KW_E_CONFLICT || status == KW_E_INVALID);
    if (status != KW_OK) {
        return false;
    }
    check_after(t, &before, &choice, &change, world->now_ms);
    world->keys[at] = kept(t, world, &change.after);
    world->erased[at] = change.erased;
    CHECK(t, change.has_successor == (choice.command.kind == KW_COMMAND_ROTATE));
    if (change.has_successor) {
        check_successor(t, &before, &choice, &change, world->now_ms);
        world->keys[world->key_count++] = kept(t, world, &change.successor);
    }
    return true;
}

static void random_commands_keep_the_invariants(struct test *t)
{
    int changes = 0;
    int rotations = 0;
    int erasures = 0;
    for (int round = 0; round < 400 && t->failures < 20; round++) {
        struct world world = {.now_ms = NOW_MS};
        kw_arena_init(&world.arena, NULL, 0, 1 << 20);
        give_birth(t, &world);
        for (int i = 0; i < COMMANDS; i++) {
            world.now_ms += (int64_t)test_random_below(t, 1000) - 250;
            changes += take_step(t, &world);
        }
        rotations += (int)world.key_count - 1;
        for (size_t i = 0; i < world.key_count; i++) {
            erasures += world.erased[i];
        }
        kw_arena_reset(&world.arena);
    }
    CHECK(t, changes > 2000 && rotations > 200 && erasures > 50); /* the test tested something */
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(random_commands_keep_the_invariants)};
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
