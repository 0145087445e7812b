/*
 * Many changes in one operation, and one change to all keys that a filter means: each part's own outcome, all or none,
 * what is counted, and what is refused as a whole.
 */
#include "engine/index.h"
#include "support/engine.h"

#define CROWD 3000 /* what an action on a filter may change here: a dozen of its pieces */

struct many {
    struct test_engine fixture;
    struct kw_id ids[8];
    struct kw_secret keys[8];
};

struct facets {
    const char *owner, *org, *tag;
};

static bool create_as(struct test *t, struct many *many, size_t index, const struct facets *facets)
{
    struct kw_bytes tag = kw_bytes_of_text(facets->tag);
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_ORG | KW_GIVEN_TAGS,
                                   .owner = kw_bytes_of_text(facets->owner),
                                   .org_id = kw_bytes_of_text(facets->org),
                                   .tags = &tag,
                                   .tag_count = facets->tag == NULL ? 0 : 1};
    return test_engine_create(t, &many->fixture, &params, &many->ids[index], &many->keys[index]);
}

/* Three keys of user:1 in acme, of which one is tagged; one of user:1 elsewhere; two of user:2, one of them in acme. */
static bool open_many(struct test *t, struct many *many)
{
    static const struct facets all[] = {{"user:1", "acme", "ci"}, {"user:1", "acme", NULL}, {"user:1", "acme", NULL},
                                        {"user:1", NULL, "ci"},   {"user:2", "acme", NULL}, {"user:2", NULL, NULL}};
    bool opened = test_engine_open_small(t, &many->fixture, NULL, CROWD);
    for (size_t i = 0; i < KW_COUNT_OF(all) && opened; i++) {
        opened = create_as(t, many, i, &all[i]);
    }
    return opened;
}

static void close_many(struct many *many)
{
    for (size_t i = 0; i < KW_COUNT_OF(many->keys); i++) {
        kw_secret_wipe(&many->keys[i]);
    }
    test_engine_close(&many->fixture);
}

static void begin_part(struct kw_op *part, enum kw_op_kind kind, const struct kw_id *id)
{
    kw_op_init(part, kind, KW_PROJECT_DEFAULT);
    part->actor = KW_BYTES("test");
    if (id != NULL) {
        part->id = *id;
    }
}

static enum kw_status run_parts(struct many *many, struct kw_op *parts, size_t count, bool atomic)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = parts;
    op.part_count = count;
    op.atomic = atomic;
    enum kw_status status = kw_engine_run(many->fixture.engine, &op);
    kw_op_deinit(&op);
    return status;
}

static void end_parts(struct kw_op *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kw_op_deinit(&parts[i]);
    }
}

static uint64_t version_in(const struct kw_buffer *encoding)
{
    struct kw_record record;
    return kw_record_decode(kw_buffer_bytes(encoding), &record) == KW_OK ? record.version : 0;
}

static void a_later_part_sees_an_earlier_one(struct test *t)
{
    for (int atomic = 0; atomic < 2; atomic++) {
        static struct many many;
        struct kw_key_params params = {.given = KW_GIVEN_NAME, .name = KW_BYTES("n")};
        struct kw_op parts[5];
        REQUIRE(t, open_many(t, &many));
        begin_part(&parts[0], KW_OP_UPDATE, &many.ids[0]);
        begin_part(&parts[1], KW_OP_DISABLE, &many.ids[0]);
        begin_part(&parts[2], KW_OP_REVOKE, &many.ids[1]);
        begin_part(&parts[3], KW_OP_ENABLE, &many.ids[0]);
        begin_part(&parts[4], KW_OP_ERASE, &many.ids[1]);
        parts[0].params = &params;
        REQUIRE_OK(t, run_parts(&many, parts, KW_COUNT_OF(parts), atomic == 1));
        for (size_t i = 0; i < KW_COUNT_OF(parts); i++) {
            CHECK_STATUS(t, parts[i].status, KW_OK);
        }
        CHECK_I64(t, version_in(&parts[0].result), 2);
        CHECK_I64(t, version_in(&parts[3].result), 4);
        CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[0]), KW_CODE_NONE);
        CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[1]), KW_CODE_INVALID_KEY);
        end_parts(parts, KW_COUNT_OF(parts));
        close_many(&many);
    }
}

/* The parent is narrowed by an earlier part, as it is or in the rotation that replaces it; then its child is widened.
 */
static void a_child_lies_within_what_an_earlier_part_leaves_of_its_parent(struct test *t)
{
    for (int i = 0; i < 4; i++) {
        static struct many many;
        struct kw_bytes scopes[] = {KW_BYTES("a"), KW_BYTES("b")};
        struct kw_key_params wide = {.given = KW_GIVEN_SCOPES, .scopes = scopes, .scope_count = 2};
        struct kw_key_params narrow = {.given = KW_GIVEN_SCOPES, .scopes = scopes, .scope_count = 1};
        struct kw_key_params born = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES, .owner = KW_BYTES("user:1")};
        char parent[KW_ID_TEXT_SIZE];
        struct kw_op parts[2];
        REQUIRE(t, test_engine_open(t, &many.fixture, NULL));
        born.scopes = scopes;
        born.scope_count = 2;
        REQUIRE(t, test_engine_create(t, &many.fixture, &born, &many.ids[0], &many.keys[0]));
        kw_id_format(&many.ids[0], parent);
        born.given = KW_GIVEN_PARENT | KW_GIVEN_SCOPES;
        born.parent = kw_bytes_of(parent, sizeof parent);
        born.scope_count = 1;
        REQUIRE(t, test_engine_create(t, &many.fixture, &born, &many.ids[1], &many.keys[1]));
        begin_part(&parts[0], i % 2 == 0 ? KW_OP_UPDATE : KW_OP_ROTATE, &many.ids[0]);
        begin_part(&parts[1], KW_OP_UPDATE, &many.ids[1]);
        parts[0].params = &narrow;
        parts[1].params = &wide;
        (void)!run_parts(&many, parts, KW_COUNT_OF(parts), i < 2);
        CHECK_TEXT(t, parts[1].error.code, "EXCEEDS_PARENT");
        end_parts(parts, KW_COUNT_OF(parts));
        close_many(&many);
    }
}

/* Its line goes on with the new key: its child may be changed, and have children, in the same batch. */
static void a_parent_may_be_rotated_and_the_old_key_erased(struct test *t)
{
    for (int atomic = 0; atomic < 2; atomic++) {
        static struct many many;
        struct kw_bytes scopes[] = {KW_BYTES("a"), KW_BYTES("b")};
        struct kw_key_params born = {
            .given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES, .owner = KW_BYTES("user:1"), .scopes = scopes, .scope_count = 2};
        struct kw_key_params wide = {.given = KW_GIVEN_SCOPES, .scopes = scopes, .scope_count = 2};
        char parents[2][KW_ID_TEXT_SIZE];
        struct kw_op parts[4];
        REQUIRE(t, test_engine_open(t, &many.fixture, NULL));
        for (size_t i = 0; i < 2; i++) {
            REQUIRE(t, test_engine_create(t, &many.fixture, &born, &many.ids[i], &many.keys[i]));
            kw_id_format(&many.ids[i], parents[i]);
            born.given = KW_GIVEN_PARENT | KW_GIVEN_SCOPES;
            born.parent = kw_bytes_of(parents[i], sizeof parents[i]);
            born.scope_count = 1;
        }
        begin_part(&parts[0], KW_OP_ROTATE, &many.ids[0]);
        begin_part(&parts[1], KW_OP_ERASE, &many.ids[0]);
        begin_part(&parts[2], KW_OP_UPDATE, &many.ids[1]);
        begin_part(&parts[3], KW_OP_CREATE, NULL);
        parts[2].params = &wide;
        parts[3].params = &born;
        REQUIRE_OK(t, run_parts(&many, parts, KW_COUNT_OF(parts), atomic == 1));
        for (size_t i = 0; i < KW_COUNT_OF(parts); i++) {
            CHECK_STATUS(t, parts[i].status, KW_OK);
        }
        CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[1]), KW_CODE_NONE);
        end_parts(parts, KW_COUNT_OF(parts));
        close_many(&many);
    }
}

/* Two creations, a revocation, and one part that cannot be done. */
static void make_mixed(struct many *many, struct kw_op parts[4], const struct kw_key_params *params,
                       const struct kw_key_params *bad)
{
    begin_part(&parts[0], KW_OP_CREATE, NULL);
    begin_part(&parts[1], KW_OP_REVOKE, &many->ids[0]);
    begin_part(&parts[2], KW_OP_CREATE, NULL);
    begin_part(&parts[3], KW_OP_ROTATE, &many->ids[1]);
    parts[0].params = params;
    parts[2].params = bad;
}

static void all_or_none(struct test *t)
{
    static struct many many;
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:9")};
    struct kw_key_params bad = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("nobody")};
    struct kw_op parts[4];
    REQUIRE(t, open_many(t, &many));
    uint64_t before = kw_index_count(kw_engine_index(many.fixture.engine));
    make_mixed(&many, parts, &params, &bad);
    REQUIRE_OK(t, run_parts(&many, parts, KW_COUNT_OF(parts), true));
    for (size_t i = 0; i < KW_COUNT_OF(parts); i++) {
        CHECK_STATUS(t, parts[i].status, i == 2 ? KW_E_INVALID : KW_E_CONFLICT);
        CHECK_TEXT(t, parts[i].error.code, i == 2 ? "INVALID_FIELD" : "NOT_DONE");
        CHECK_I64(t, parts[i].secret.size, 0);
        CHECK_I64(t, parts[i].result.size, 0);
    }
    CHECK_TEXT(t, parts[2].error.field, "owner");
    CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[0]), KW_CODE_NONE);
    CHECK_I64(t, kw_index_count(kw_engine_index(many.fixture.engine)), before);
    end_parts(parts, KW_COUNT_OF(parts));

    make_mixed(&many, parts, &params, &params);
    REQUIRE_OK(t, run_parts(&many, parts, KW_COUNT_OF(parts), true));
    CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[0]), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[1]), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&many.fixture, &parts[0].secret), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&many.fixture, &parts[2].secret), KW_CODE_NONE);
    CHECK_I64(t, test_engine_verify(&many.fixture, &parts[3].secret), KW_CODE_NONE);
    CHECK_I64(t, version_in(&parts[3].other), 2);
    end_parts(parts, KW_COUNT_OF(parts));
    close_many(&many);
}

static void each_for_itself(struct test *t)
{
    static struct many many;
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:9")};
    struct kw_key_params bad = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("nobody")};
    struct kw_op parts[4];
    REQUIRE(t, open_many(t, &many));
    make_mixed(&many, parts, &params, &bad);
    REQUIRE_OK(t, run_parts(&many, parts, KW_COUNT_OF(parts), false));
    for (size_t i = 0; i < KW_COUNT_OF(parts); i++) {
        CHECK_STATUS(t, parts[i].status, i == 2 ? KW_E_INVALID : KW_OK);
    }
    CHECK_I64(t, parts[2].secret.size, 0);
    CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[0]), KW_CODE_REVOKED);
    CHECK_I64(t, test_engine_verify(&many.fixture, &parts[0].secret), KW_CODE_NONE);
    end_parts(parts, KW_COUNT_OF(parts));
    struct kw_op none[1];
    CHECK_STATUS(t, run_parts(&many, none, 0, true), KW_OK);
    CHECK_STATUS(t, run_parts(&many, none, KW_TOGETHER_MAX + 1, true), KW_E_INVALID);
    close_many(&many);
}

struct outcome {
    enum kw_status status;
    uint64_t matched, changed;
    struct kw_error error;
};

static struct outcome act(struct many *many, enum kw_op_kind then, const struct kw_where *where)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
    op.then = then;
    op.where = where;
    op.actor = KW_BYTES("test");
    op.reason = KW_BYTES("why");
    (void)kw_engine_run(many->fixture.engine, &op);
    struct outcome outcome = {op.status, op.matched, op.changed, op.error};
    kw_op_deinit(&op);
    return outcome;
}

#define CHECK_DONE(t, acted, changed_wanted, matched_wanted) \
    do { \
        struct outcome done = (acted); \
        CHECK_STATUS((t), done.status, KW_OK); \
        CHECK_I64((t), done.changed, (changed_wanted)); \
        CHECK_I64((t), done.matched, (matched_wanted)); \
    } while (0)

/* One letter a key: active, disabled, revoked, unknown. */
static void check_keys(struct test *t, struct many *many, const char *expected)
{
    char seen[8] = {0};
    for (size_t i = 0; i < strlen(expected); i++) {
        enum kw_code code = test_engine_verify(&many->fixture, &many->keys[i]);
        const char *letter = code == KW_CODE_NONE       ? "a"
                             : code == KW_CODE_DISABLED ? "d"
                             : code == KW_CODE_REVOKED  ? "r"
                                                        : "u";
        seen[i] = *letter;
    }
    CHECK_TEXT(t, seen, expected);
}

static void a_filter_means_what_all_that_is_given_holds_for(struct test *t)
{
    static struct many many;
    REQUIRE(t, open_many(t, &many));
    struct kw_where in_acme = {.owner = KW_BYTES("user:1"), .org_id = KW_BYTES("acme")};
    struct kw_where tagged = {.tag = KW_BYTES("CI")};
    struct kw_where acme = {.org_id = KW_BYTES("acme")};
    struct kw_where first = {.owner = KW_BYTES("user:1")};
    struct kw_where nobody = {.owner = KW_BYTES("user:")};
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &in_acme), 3, 3);
    check_keys(t, &many, "dddaaa");
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &acme), 1, 4);
    check_keys(t, &many, "dddada");
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &acme), 0, 4);
    CHECK_DONE(t, act(&many, KW_OP_REVOKE, &tagged), 2, 2);
    check_keys(t, &many, "rddrda");
    CHECK_DONE(t, act(&many, KW_OP_ENABLE, &first), 2, 4);
    check_keys(t, &many, "raarda");
    CHECK_DONE(t, act(&many, KW_OP_REVOKE, &first), 2, 4);
    CHECK_DONE(t, act(&many, KW_OP_REVOKE, &first), 0, 4);
    CHECK_DONE(t, act(&many, KW_OP_REVOKE, &nobody), 0, 0);
    check_keys(t, &many, "rrrrda");
    close_many(&many);
}

/* Rotated with a grace period that is over: revoked by time alone, as no record says. */
static void what_time_has_revoked_is_left_alone(struct test *t)
{
    static struct many many;
    struct kw_op part;
    REQUIRE(t, open_many(t, &many));
    begin_part(&part, KW_OP_ROTATE, &many.ids[4]);
    part.grace_ms = 1000;
    REQUIRE_OK(t, kw_engine_run(many.fixture.engine, &part));
    many.keys[7] = part.secret;
    kw_op_deinit(&part);
    __atomic_store_n(&many.fixture.now_ms, TEST_NOW_MS + 1000, __ATOMIC_RELAXED);
    struct kw_where second = {.owner = KW_BYTES("user:2"), .org_id = KW_BYTES("acme")};
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &second), 1, 2);
    CHECK_DONE(t, act(&many, KW_OP_REVOKE, &second), 1, 2);
    check_keys(t, &many, "aaaara");
    CHECK_I64(t, test_engine_verify(&many.fixture, &many.keys[7]), KW_CODE_REVOKED);
    close_many(&many);
}

static void ids_mean_themselves(struct test *t)
{
    static struct many many;
    REQUIRE(t, open_many(t, &many));
    struct kw_id ids[] = {many.ids[5], many.ids[0], many.ids[5], many.ids[2]};
    struct kw_where named = {.ids = ids, .id_count = KW_COUNT_OF(ids)};
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &named), 3, 3);
    check_keys(t, &many, "dadaad");
    ids[1] = (struct kw_id){{1}};
    struct outcome refused = act(&many, KW_OP_REVOKE, &named);
    CHECK_STATUS(t, refused.status, KW_E_NOT_FOUND);
    CHECK_TEXT(t, refused.error.field, "ids[1]");
    check_keys(t, &many, "dadaad");
    close_many(&many);
}

static void what_means_nothing_or_too_much_is_refused(struct test *t)
{
    static struct many many;
    static struct kw_id ids[KW_BULK_IDS_MAX + 1];
    REQUIRE(t, open_many(t, &many));
    struct kw_where nothing = {.owner = {NULL, 0}};
    struct kw_where both = {.owner = KW_BYTES("user:1"), .ids = many.ids, .id_count = 1};
    struct kw_where too_many = {.ids = ids, .id_count = KW_COUNT_OF(ids)};
    CHECK_TEXT(t, act(&many, KW_OP_REVOKE, &nothing).error.code, "MISSING_FIELD");
    CHECK_TEXT(t, act(&many, KW_OP_REVOKE, &both).error.code, "INVALID_FIELD");
    CHECK_TEXT(t, act(&many, KW_OP_REVOKE, &too_many).error.code, "TOO_MANY_KEYS");
    struct kw_op op;
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_KEYWARD);
    op.then = KW_OP_REVOKE;
    op.where = &(struct kw_where){.owner = KW_BYTES("user:1")};
    CHECK_STATUS(t, kw_engine_run(many.fixture.engine, &op), KW_OK);
    CHECK_I64(t, op.matched, 0); /* of another project */
    kw_op_deinit(&op);
    check_keys(t, &many, "aaaaaa");
    close_many(&many);
}

/* `count` keys of user:3, as many at once as one operation takes. */
static bool create_crowd(struct test *t, struct many *many, size_t count)
{
    static struct kw_op parts[KW_TOGETHER_MAX];
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:3")};
    while (count > 0) {
        size_t now = count < KW_COUNT_OF(parts) ? count : KW_COUNT_OF(parts);
        for (size_t i = 0; i < now; i++) {
            begin_part(&parts[i], KW_OP_CREATE, NULL);
            parts[i].params = &params;
        }
        CHECK_STATUS(t, run_parts(many, parts, now, count % 2 == 0), KW_OK);
        bool made = true;
        for (size_t i = 0; i < now; i++) {
            made = made && parts[i].status == KW_OK;
        }
        many->ids[7] = (struct kw_id){{0}};
        many->keys[7] = parts[now - 1].secret;
        end_parts(parts, now);
        if (!made) {
            return false;
        }
        count -= now;
    }
    return true;
}

static void one_action_changes_only_so_many(struct test *t)
{
    static struct many many;
    struct kw_where crowd = {.owner = KW_BYTES("user:3")};
    REQUIRE(t, open_many(t, &many));
    REQUIRE(t, create_crowd(t, &many, CROWD));
    struct kw_secret one KW_WIPED = many.keys[7];
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &crowd), CROWD, CROWD);
    CHECK_I64(t, test_engine_verify(&many.fixture, &one), KW_CODE_DISABLED);
    REQUIRE(t, create_crowd(t, &many, 1));
    CHECK_DONE(t, act(&many, KW_OP_DISABLE, &crowd), 1, CROWD + 1);
    struct outcome refused = act(&many, KW_OP_REVOKE, &crowd);
    CHECK_TEXT(t, refused.error.code, "TOO_MANY_KEYS");
    CHECK_STATUS(t, refused.status, KW_E_LIMIT);
    CHECK_I64(t, test_engine_verify(&many.fixture, &one), KW_CODE_DISABLED);
    close_many(&many);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_later_part_sees_an_earlier_one),
        TEST_CASE(a_child_lies_within_what_an_earlier_part_leaves_of_its_parent),
        TEST_CASE(a_parent_may_be_rotated_and_the_old_key_erased),
        TEST_CASE(all_or_none),
        TEST_CASE(each_for_itself),
        TEST_CASE(a_filter_means_what_all_that_is_given_holds_for),
        TEST_CASE(what_time_has_revoked_is_left_alone),
        TEST_CASE(ids_mean_themselves),
        TEST_CASE(what_means_nothing_or_too_much_is_refused),
        TEST_CASE(one_action_changes_only_so_many),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
