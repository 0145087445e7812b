/*
 * Rows that are read from the store while the writer has not put into the index yet what it committed: no child is
 * refused for it, and in the end the index says what the store says.
 */
#include "core/id.h"
#include "core/record.h"
#include "engine/index.h"
#include "kin.h"
#include "shelf.h"

#include <pthread.h>

/* --- the engine --- */

struct house {
    struct test_engine fixture;
    struct kw_store *store;
    struct kin parent, child;
};

static bool settle(struct test *t, struct house *house)
{
    if (!shelf_open(&house->store) || !test_engine_open(t, &house->fixture, house->store)) {
        return false;
    }
    kw_engine_wait_filled(house->fixture.engine);
    return kin_make(t, &house->fixture, NULL, NULL, &house->parent) &&
           kin_make(t, &house->fixture, &house->parent, NULL, &house->child);
}

static void leave(struct house *house)
{
    test_engine_close(&house->fixture);
    shelf_close(house->store);
}

/* As a verification does that misses something of the key. */
static enum kw_status load(struct house *house, const struct kin *kin)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
    op.key = kw_secret_expose(&kin->key);
    enum kw_status status = kw_engine_run(house->fixture.engine, &op);
    kw_op_deinit(&op);
    return status;
}

static void nobody_waits(struct kw_op *op)
{
    (void)op;
}

/* When it returns the writer has done all that was handed in before, and its own work behind that. */
static void wait_for_writer(struct test *t, struct house *house)
{
    struct kin other;
    REQUIRE(t, kin_make(t, &house->fixture, NULL, NULL, &other));
    REQUIRE(t, kin_make(t, &house->fixture, NULL, NULL, &other));
}

/* The parent's line has gone on: its end is that of the child, and nothing before it. */
static void check_line(struct test *t, struct house *house, const struct kw_id *newest)
{
    CHECK_KIN(t, &house->fixture, &house->child, KW_CODE_NONE);
    REQUIRE_OK(t, test_engine_do(&house->fixture, KW_OP_REVOKE, newest, NULL));
    CHECK_KIN(t, &house->fixture, &house->child, KW_CODE_REVOKED);
    CHECK_STATUS(t, load(house, &house->child), KW_OK);
    CHECK_STATUS(t, load(house, &house->parent), KW_OK);
    CHECK_KIN(t, &house->fixture, &house->child, KW_CODE_REVOKED);
}

/* `kinds`: what becomes of the parent in one group, while loads see it earlier than the writer shows it. */
static void change_under_loads(struct test *t, const enum kw_op_kind *kinds, size_t count, enum kw_code parent_after)
{
    struct house house;
    struct kw_op parts[2];
    struct kw_op op;
    struct kw_record successor;
    REQUIRE(t, settle(t, &house));
    for (size_t i = 0; i < count; i++) {
        kw_op_init(&parts[i], kinds[i], KW_PROJECT_DEFAULT);
        parts[i].id = house.parent.id;
        parts[i].actor = KW_BYTES("test");
    }
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = parts;
    op.part_count = count;
    op.done = nobody_waits;
    shelf_stop_after_commits();
    kw_engine_submit(house.fixture.engine, &op);
    shelf_wait_for_commit();
    CHECK_STATUS(t, load(&house, &house.parent), KW_OK);
    CHECK_STATUS(t, load(&house, &house.child), KW_OK);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_NONE);
    shelf_let_commits_go(false);
    wait_for_writer(t, &house);
    CHECK_KIN(t, &house.fixture, &house.parent, parent_after);
    REQUIRE_OK(t, parts[count - 1].status);
    REQUIRE_OK(t, kw_record_decode(kw_buffer_bytes(&parts[0].result), &successor));
    check_line(t, &house, &successor.id);
    for (size_t i = 0; i < count; i++) {
        kw_op_deinit(&parts[i]);
    }
    kw_op_deinit(&op);
    leave(&house);
}

static void a_rotation_is_not_seen_before_the_successor(struct test *t)
{
    static const enum kw_op_kind kinds[] = {KW_OP_ROTATE};
    change_under_loads(t, kinds, 1, KW_CODE_REVOKED);
}

/* A tombstone does not say that another key follows. */
static void nor_is_an_erasure_behind_it(struct test *t)
{
    static const enum kw_op_kind kinds[] = {KW_OP_ROTATE, KW_OP_ERASE};
    change_under_loads(t, kinds, 2, KW_CODE_INVALID_KEY);
}

/* What is no rotation of a parent is seen as soon as it is read. */
static void any_other_end_is_seen_at_once(struct test *t)
{
    struct house house;
    struct kw_op op;
    REQUIRE(t, settle(t, &house));
    kw_op_init(&op, KW_OP_REVOKE, KW_PROJECT_DEFAULT);
    op.id = house.parent.id;
    op.actor = KW_BYTES("test");
    op.done = nobody_waits;
    shelf_stop_after_commits();
    kw_engine_submit(house.fixture.engine, &op);
    shelf_wait_for_commit();
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_NONE);
    CHECK_STATUS(t, load(&house, &house.parent), KW_OK);
    CHECK_KIN(t, &house.fixture, &house.parent, KW_CODE_REVOKED);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_REVOKED);
    shelf_let_commits_go(false);
    wait_for_writer(t, &house);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_REVOKED);
    kw_op_deinit(&op);
    leave(&house);
}

/* A rotation whose outcome nobody knows is there after all. A load sees it before the writer has looked it up. */
static void a_rotation_in_doubt_is_mended_by_the_writer(struct test *t)
{
    struct house house;
    struct kw_op other;
    struct kw_record record;
    static uint8_t memory[4096];
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:2")};
    REQUIRE(t, settle(t, &house));
    shelf_doubt_next_change();
    CHECK_STATUS(t, kin_change(&house.fixture, &house.parent, KW_OP_ROTATE, NULL, 0, NULL), KW_E_UNCERTAIN);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_NONE);
    kw_op_init(&other, KW_OP_CREATE, KW_PROJECT_DEFAULT);
    other.params = &params;
    other.done = nobody_waits;
    shelf_stop_commits(); /* the writer looks up nothing meanwhile */
    kw_engine_submit(house.fixture.engine, &other);
    shelf_wait_for_commit();
    shelf_end_doubt();
    CHECK_STATUS(t, load(&house, &house.parent), KW_OK);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_NONE);
    shelf_let_commits_go(false);
    wait_for_writer(t, &house);
    CHECK_KIN(t, &house.fixture, &house.parent, KW_CODE_REVOKED);
    REQUIRE(t, kin_record(&house.fixture, &house.parent.id, &record, memory));
    check_line(t, &house, &record.rotated_to);
    kw_op_deinit(&other);
    leave(&house);
}

/* Nor does the rule that holds loads back keep the writer from showing what it found out. */
static void an_erasure_in_doubt_is_mended_by_the_writer(struct test *t)
{
    struct house house;
    REQUIRE(t, settle(t, &house));
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &house.parent.id, NULL));
    shelf_doubt_next_change();
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_ERASE, &house.parent.id, NULL), KW_E_UNCERTAIN);
    CHECK_KIN(t, &house.fixture, &house.parent, KW_CODE_REVOKED);
    shelf_end_doubt();
    wait_for_writer(t, &house);
    CHECK_KIN(t, &house.fixture, &house.parent, KW_CODE_INVALID_KEY);
    CHECK_KIN(t, &house.fixture, &house.child, KW_CODE_REVOKED);
    leave(&house);
}

/* --- the index: one line of keys, a child below it, and rows that come in any order --- */

static const struct kw_id line = {{1}};
static const struct kw_id second = {{2}};
static const struct kw_id third = {{3}};
static const struct kw_id below = {{9}};
static const struct kw_id none = {{0}};

struct row {
    struct kw_id id, next; /* `next`: its successor */
    uint64_t version;
    uint8_t digest; /* told by its first byte */
    bool revoked;
};

static struct kw_digest digest_of(const struct row *row)
{
    return (struct kw_digest){.size = 32, .bytes = {row->digest}};
}

static struct kw_bytes encode(struct test *t, const struct row *row, struct kw_buffer *encoding)
{
    bool is_child = kw_id_equal(&row->id, &below);
    struct kw_record record = {.id = row->id,
                               .lineage_id = is_child ? below : line,
                               .parent_id = is_child ? line : none,
                               .has_children = !is_child,
                               .version = row->version,
                               .project = KW_BYTES("default"),
                               .env = KW_BYTES("live"),
                               .prefix = KW_BYTES("sk_live_"),
                               .enabled = true,
                               .digest_scheme = KW_DIGEST_SHA256,
                               .owner = KW_BYTES("user:1"),
                               .created_at_ms = 1,
                               .updated_at_ms = 1,
                               .revoked_at_ms = row->revoked ? 1 : 0,
                               .rotated_to = row->next,
                               .grace_until_ms = kw_id_is_none(&row->next) ? 0 : 1};
    CHECK_STATUS(t, kw_record_encode(&record, encoding), KW_OK);
    return kw_buffer_bytes(encoding);
}

typedef enum kw_status putting(struct kw_index *index, const struct kw_digest *digest, uint16_t project, bool erased,
                               struct kw_bytes encoding);

/* What a child of the line is by it afterwards. */
static enum kw_key_status bring(struct test *t, struct kw_index *index, putting *put, struct row row)
{
    uint8_t memory[256];
    struct kw_buffer encoding;
    enum kw_key_status status;
    struct kw_digest digest = digest_of(&row);
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    CHECK_STATUS(t, put(index, &digest, 1, false, encode(t, &row, &encoding)), KW_OK);
    return kw_index_family_status(index, &line, TEST_NOW_MS, &status) ? status : KW_KEY_REVOKED;
}

#define CHECK_BRING(t, index, put, expected, ...) \
    CHECK_I64((t), bring((t), (index), (put), (struct row){__VA_ARGS__}), (expected))

/* A loader brings the successor first: the writer shows it all the same. */
static void what_a_loader_brought_the_writer_shows(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, line, none, 1, 1);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, below, none, 1, 9);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, second, none, 1, 2);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, line, second, 2, 1);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, second, none, 1, 2);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, line, second, 2, 1);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_REVOKED, second, none, 2, 2, true);
    kw_index_free(index);
}

/* The writer had no memory for the successor: whoever brings it mends the line. */
static void a_loader_brings_what_the_writer_could_not(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, line, none, 1, 1);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, below, none, 1, 9);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_REVOKED, line, second, 2, 1);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, second, none, 1, 2);
    kw_index_free(index);
}

/* While the index is filling one loader brings the newest key alone, and a slow one then what was that before. */
static void a_slow_loader_does_not_hide_the_newest_key(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_BRING(t, index, kw_index_load, KW_KEY_REVOKED, below, none, 1, 9); /* nothing is known yet */
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, third, none, 1, 3);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, second, none, 1, 2);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, third, none, 1, 3);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, second, third, 2, 2);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_REVOKED, third, none, 2, 3, true);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_REVOKED, second, none, 1, 2);
    kw_index_free(index);
}

/* It comes even later: what was acknowledged of the newest key stays. */
static void a_slow_loader_revives_no_line(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_BRING(t, index, kw_index_load, KW_KEY_REVOKED, below, none, 1, 9);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, third, none, 1, 3);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_REVOKED, third, none, 2, 3, true);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_REVOKED, second, none, 1, 2);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_REVOKED, third, none, 1, 3);
    kw_index_free(index);
}

/* One group moves a key to another digest and rotates it: loaders meet it under a digest that the index has not. */
static void a_moved_parent_is_left_to_the_writer_too(struct test *t)
{
    struct kw_index *index;
    uint8_t memory[256];
    struct kw_buffer encoding;
    struct row before = {.id = line, .digest = 1, .version = 1};
    struct row moved = {.id = line, .digest = 11, .version = 2};
    struct kw_digest from = digest_of(&before);
    struct kw_digest to = digest_of(&moved);
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_I64(t, bring(t, index, kw_index_put, before), KW_KEY_ACTIVE);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, below, none, 1, 9);
    CHECK_BRING(t, index, kw_index_load, KW_KEY_ACTIVE, line, second, 3, 11);
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    CHECK_STATUS(t, kw_index_move(index, &from, &to, 1, false, encode(t, &moved, &encoding)), KW_OK);
    kw_index_reclaim(index); /* what stood under the former digest is freed */
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, second, none, 1, 2);
    CHECK_BRING(t, index, kw_index_put, KW_KEY_ACTIVE, line, second, 3, 11);
    kw_index_free(index);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_rotation_is_not_seen_before_the_successor),
        TEST_CASE(nor_is_an_erasure_behind_it),
        TEST_CASE(any_other_end_is_seen_at_once),
        TEST_CASE(a_rotation_in_doubt_is_mended_by_the_writer),
        TEST_CASE(an_erasure_in_doubt_is_mended_by_the_writer),
        TEST_CASE(what_a_loader_brought_the_writer_shows),
        TEST_CASE(a_loader_brings_what_the_writer_could_not),
        TEST_CASE(a_slow_loader_does_not_hide_the_newest_key),
        TEST_CASE(a_slow_loader_revives_no_line),
        TEST_CASE(a_moved_parent_is_left_to_the_writer_too),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
