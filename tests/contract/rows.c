/* Rows: put, found, listed, followed, counted. */
#include "contract/behaviours.h"

#define ALL 1000

static struct kw_store_put full_put(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 7, 0);
    put.row.digest_scheme = KW_DIGEST_SHA512_SALTED;
    put.row.project = KW_BYTES("shop");
    put.row.env = KW_BYTES("staging");
    put.row.owner = KW_BYTES("team:9");
    put.row.org_id = KW_BYTES("acme");
    put.row.tags = contract_tags(c, "billing,ci");
    put.row.version = 41;
    return put;
}

void a_row_comes_back_as_it_was_put(struct contract *c)
{
    struct kw_store_put put = full_put(c);
    struct kw_store_batch batch = {.puts = &put, .put_count = 1};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    REQUIRE(c->t, contract_reopen(c));

    struct contract_rows by_digest = contract_rows(c);
    REQUIRE_OK(c->t, c->store->ops->find_by_digest(c->store, put.row.digest, contract_keep_row, &by_digest));
    REQUIRE(c->t, by_digest.count == 1);
    contract_check_row(c, &by_digest.items[0], &put.row);
    CHECK(c->t, by_digest.items[0].sequence == batch.sequence);

    struct contract_rows listed = contract_rows(c);
    struct kw_store_filter filter = {.limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
    REQUIRE(c->t, listed.count == 1);
    contract_check_row(c, &listed.items[0], &put.row);
    CHECK(c->t, listed.items[0].sequence == batch.sequence);
    contract_check_found(c, 7, &put);
}

void any_bytes_and_the_largest_sizes_come_back(struct contract *c)
{
    uint8_t *bytes = kw_arena_take(&c->arena, KW_RECORD_MAX);
    REQUIRE(c->t, bytes != NULL);
    for (size_t i = 0; i < KW_RECORD_MAX; i++) {
        bytes[i] = (uint8_t)test_random(c->t);
    }
    struct kw_store_put put = contract_put(c, 1, 0);
    put.row.digest = kw_bytes_of(bytes, KW_STORE_DIGEST_MAX);
    put.row.project = kw_bytes_of("p\0q", 3);
    put.row.env = kw_bytes_of("\xff\xfe", 2);
    put.row.owner = kw_bytes_of("user:\0", 6);
    put.row.org_id = kw_bytes_of("\0", 1);
    put.row.record = kw_bytes_of(bytes, KW_RECORD_MAX);
    put.row.version = INT64_MAX;
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    contract_check_found(c, 1, &put);

    struct contract_rows listed = contract_rows(c);
    struct kw_store_filter filter = {.project = put.row.project, .owner = put.row.owner, .limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
    CHECK_I64(c->t, listed.count, 1);
    filter.owner = KW_BYTES("user:");
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
    CHECK_I64(c->t, listed.count, 1);

    struct kw_store_put bare = contract_put(c, 2, 0);
    bare.row.env = bare.row.owner = bare.row.record = (struct kw_bytes){NULL, 0};
    REQUIRE_OK(c->t, contract_commit_put(c, bare));
    contract_check_found(c, 2, &bare);
}

void what_is_not_there_is_not_found(struct contract *c)
{
    struct contract_rows found = contract_rows(c);
    struct kw_bytes digest = contract_digest(c, 1);
    struct kw_store_filter filter = {.limit = ALL};
    uint64_t count = 99;
    contract_check_found(c, 1, NULL);
    CHECK_STATUS(c->t, c->store->ops->find_by_digest(c->store, digest, contract_keep_row, &found), KW_E_NOT_FOUND);
    CHECK_STATUS(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &found), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->changes(c->store, 0, ALL, contract_keep_row, &found), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->changes(c->store, UINT64_MAX, ALL, contract_keep_row, &found), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("none"), &count), KW_OK);
    CHECK_I64(c->t, found.count, 0);
    CHECK_I64(c->t, count, 0);
}

void a_change_replaces_the_row(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_put changed = contract_put(c, 1, 1);
    REQUIRE_OK(c->t, contract_commit_put(c, changed));
    contract_check_found(c, 1, &changed);
    struct kw_store_put moved = contract_put(c, 1, 2);
    moved.row.env = KW_BYTES("test");
    moved.row.owner = KW_BYTES("user:2");
    moved.row.org_id = KW_BYTES("acme");
    moved.row.tags = contract_tags(c, "a,b");
    REQUIRE_OK(c->t, contract_commit_put(c, moved));
    contract_check_found(c, 1, &moved);
    REQUIRE(c->t, contract_reopen(c));
    contract_check_found(c, 1, &moved);

    struct contract_rows listed = contract_rows(c);
    struct kw_store_filter before = {.project = KW_BYTES("default"), .owner = KW_BYTES("user:1"), .limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &before, contract_keep_row, &listed));
    CHECK_I64(c->t, listed.count, 0);
    struct kw_store_filter after = {
        .project = KW_BYTES("default"), .tags = &KW_BYTES("b"), .tag_count = 1, .limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &after, contract_keep_row, &listed));
    CHECK_I64(c->t, listed.count, 1);
}

/* How many rows a filter finds. */
static size_t count_listed(struct contract *c, struct kw_store_filter filter)
{
    struct contract_rows listed = contract_rows(c);
    filter.project = KW_BYTES("default");
    filter.limit = ALL;
    CHECK_STATUS(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed), KW_OK);
    return listed.count;
}

void a_change_of_one_field_is_found_by_it(struct contract *c)
{
    const struct kw_bytes tag = KW_BYTES("new");
    const struct kw_store_filter filters[] = {
        {.owner = KW_BYTES("user:2")},          {.org_id = KW_BYTES("acme")},   {.env = KW_BYTES("test")},
        {.policy = KW_BYTES("internal")},       {.tags = &tag, .tag_count = 1}, {.last_four = KW_BYTES("wxyz")},
        {.parent_id = contract_id(UINT64_MAX)}, {.expires_before_ms = 2000},
    };
    uint64_t version = 0;
    for (size_t i = 0; i < KW_COUNT_OF(filters); i++) {
        struct kw_store_put put = contract_put(c, 1, version++);
        REQUIRE_OK(c->t, contract_commit_put(c, put));
        CHECK_I64(c->t, count_listed(c, filters[i]), 0);
        put = contract_put(c, 1, version++);
        switch (i) {
        case 0:
            put.row.owner = filters[i].owner;
            break;
        case 1:
            put.row.org_id = filters[i].org_id;
            break;
        case 2:
            put.row.env = filters[i].env;
            break;
        case 3:
            put.row.policy = filters[i].policy;
            break;
        case 4:
            put.row.tags = contract_tags(c, "new");
            break;
        case 5:
            memcpy(put.row.last_four, filters[i].last_four.data, sizeof put.row.last_four);
            break;
        case 6:
            put.row.parent_id = filters[i].parent_id;
            break;
        default:
            put.row.expires_at_ms = 1999;
            break;
        }
        REQUIRE_OK(c->t, contract_commit_put(c, put));
        CHECK_I64(c->t, count_listed(c, filters[i]), 1);
        contract_check_found(c, 1, &put);
    }
}

static const uint64_t numbers_in_disorder[] = {40, 10, 30, 50, 20};

static void put_in_disorder(struct contract *c)
{
    for (size_t i = 0; i < KW_COUNT_OF(numbers_in_disorder); i++) {
        CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, numbers_in_disorder[i], 0)), KW_OK);
    }
}

void a_list_is_in_order_of_ids(struct contract *c)
{
    put_in_disorder(c);
    struct contract_rows listed = contract_rows(c);
    struct kw_store_filter filter = {.limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
    REQUIRE(c->t, listed.count == KW_COUNT_OF(numbers_in_disorder));
    for (size_t i = 0; i < listed.count; i++) {
        CHECK(c->t, contract_id_equal(listed.items[i].id, contract_id(10 * (i + 1))));
    }
}

void a_list_goes_on_after_an_id(struct contract *c)
{
    put_in_disorder(c);
    struct contract_rows listed = contract_rows(c);
    struct kw_store_filter filter = {.project = KW_BYTES("default"), .limit = 2};
    for (size_t page = 0; page < 3; page++) {
        REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
        REQUIRE(c->t, listed.count > 0);
        filter.after.id = listed.items[listed.count - 1].id;
    }
    CHECK_I64(c->t, listed.count, 5);
    filter.after.id = contract_id(25);
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
    REQUIRE(c->t, listed.count == 7);
    CHECK(c->t, contract_id_equal(listed.items[5].id, contract_id(30)));
}

void a_tombstone_is_found_by_no_id_and_in_no_list(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    put.row.tags = contract_tags(c, "ci");
    put.row.org_id = KW_BYTES("acme");
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_put tombstone = contract_tombstone(c, 1, 1);
    REQUIRE_OK(c->t, contract_commit_put(c, tombstone));
    REQUIRE(c->t, contract_reopen(c));
    contract_check_found(c, 1, NULL);

    struct contract_rows found = contract_rows(c);
    REQUIRE_OK(c->t, c->store->ops->find_by_digest(c->store, put.row.digest, contract_keep_row, &found));
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, 0, ALL, contract_keep_row, &found));
    REQUIRE(c->t, found.count == 2);
    contract_check_row(c, &found.items[0], &tombstone.row);
    contract_check_row(c, &found.items[1], &tombstone.row);

    const struct kw_store_filter filters[] = {
        {.limit = ALL},
        {.project = KW_BYTES("default"), .limit = ALL},
        {.project = KW_BYTES("default"), .env = KW_BYTES("live"), .limit = ALL},
        {.project = KW_BYTES("default"), .owner = KW_BYTES("user:1"), .limit = ALL},
        {.project = KW_BYTES("default"), .org_id = KW_BYTES("acme"), .limit = ALL},
        {.project = KW_BYTES("default"), .tags = &KW_BYTES("ci"), .tag_count = 1, .limit = ALL},
    };
    for (size_t i = 0; i < KW_COUNT_OF(filters); i++) {
        CHECK_STATUS(c->t, c->store->ops->list(c->store, &filters[i], contract_keep_row, &found), KW_OK);
    }
    uint64_t count = 99;
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_I64(c->t, found.count, 2);
    CHECK_I64(c->t, count, 0);
}

void tombstones_are_listed_in_order_of_ids(struct contract *c)
{
    static const uint64_t numbers[] = {7, 3, 9, 1, 5};
    const struct kw_id none = {{0}};
    const struct kw_id last = {{0xff}};
    const struct kw_store_ops *ops = c->store->ops;
    struct contract_rows found = contract_rows(c);
    CHECK_STATUS(c->t, ops->tombstones(c->store, &none, ALL, contract_keep_row, &found), KW_OK);
    for (size_t i = 0; i < KW_COUNT_OF(numbers); i++) {
        REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, numbers[i], 0)));
        REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, numbers[i] + 20, 0)));
    }
    for (size_t i = 0; i < 4; i++) {
        REQUIRE_OK(c->t, contract_commit_put(c, contract_tombstone(c, numbers[i], 1)));
    }
    struct kw_store_put born_dead = contract_tombstone(c, 30, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, born_dead));
    REQUIRE(c->t, contract_reopen(c));
    ops = c->store->ops;
    CHECK_STATUS(c->t, ops->tombstones(c->store, &none, 3, contract_keep_row, &found), KW_OK);
    REQUIRE(c->t, found.count == 3);
    struct kw_id after = contract_id(3);
    CHECK_STATUS(c->t, ops->tombstones(c->store, &after, ALL, contract_keep_row, &found), KW_OK);
    static const uint64_t expected[] = {1, 3, 7, 7, 9, 30};
    REQUIRE(c->t, found.count == KW_COUNT_OF(expected));
    for (size_t i = 0; i < found.count; i++) {
        CHECK(c->t, contract_id_equal(found.items[i].id, contract_id(expected[i])) && found.items[i].erased);
    }
    contract_check_row(c, &found.items[5], &born_dead.row);
    CHECK_STATUS(c->t, ops->tombstones(c->store, &last, ALL, contract_keep_row, &found), KW_OK);
    CHECK_STATUS(c->t, ops->tombstones(c->store, &none, 0, contract_keep_row, &found), KW_E_LIMIT);
    CHECK_STATUS(c->t, ops->tombstones(c->store, &none, KW_STORE_LIST_MAX + 1, contract_keep_row, &found), KW_E_LIMIT);
    CHECK_I64(c->t, found.count, KW_COUNT_OF(expected));
    struct contract_rows stopped = {.c = c, .stop_after = 1, .answer = KW_E_DENIED};
    CHECK_STATUS(c->t, ops->tombstones(c->store, &none, ALL, contract_keep_row, &stopped), KW_E_DENIED);
    CHECK_I64(c->t, stopped.count, 1);
}

static struct contract_rows due(struct contract *c, int64_t until_ms, size_t limit)
{
    struct contract_rows found = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->due(c->store, until_ms, limit, contract_keep_row, &found), KW_OK);
    return found;
}

static void check_due(struct contract *c, int64_t until_ms, size_t limit, const uint64_t *expected, size_t count)
{
    struct contract_rows found = due(c, until_ms, limit);
    CHECK_I64(c->t, found.count, count);
    for (size_t i = 0; i < count && i < found.count; i++) {
        CHECK(c->t, contract_id_equal(found.items[i].id, contract_id(expected[i])));
    }
}

void rows_that_are_due_come_in_the_order_of_their_times(struct contract *c)
{
    static const struct {
        uint64_t number;
        int64_t due_at_ms;
    } rows[] = {{4, 30}, {2, 10}, {9, 0}, {1, 20}, {3, 10}, {7, INT64_MAX}, {5, 0}};
    static const uint64_t order[] = {2, 3, 1, 4, 7};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_store_put put = contract_put(c, rows[i].number, 0);
        put.row.due_at_ms = rows[i].due_at_ms;
        put.row.project = i % 2 == 0 ? KW_BYTES("default") : KW_BYTES("other");
        REQUIRE_OK(c->t, contract_commit_put(c, put));
        contract_check_found(c, rows[i].number, &put);
    }
    REQUIRE(c->t, contract_reopen(c));
    check_due(c, 0, ALL, order, 0);
    check_due(c, 9, ALL, order, 0);
    check_due(c, 10, ALL, order, 2);
    check_due(c, 29, ALL, order, 3);
    check_due(c, 30, ALL, order, 4);
    check_due(c, INT64_MAX, ALL, order, 5);
    check_due(c, INT64_MAX, 3, order, 3);
    struct contract_rows found = contract_rows(c);
    const struct kw_store_ops *ops = c->store->ops;
    CHECK_STATUS(c->t, ops->due(c->store, 99, 0, contract_keep_row, &found), KW_E_LIMIT);
    CHECK_STATUS(c->t, ops->due(c->store, 99, KW_STORE_LIST_MAX + 1, contract_keep_row, &found), KW_E_LIMIT);
    struct contract_rows stopped = {.c = c, .stop_after = 1, .answer = KW_E_DENIED};
    CHECK_STATUS(c->t, ops->due(c->store, 99, ALL, contract_keep_row, &stopped), KW_E_DENIED);
    CHECK_I64(c->t, stopped.count, 1);
    struct kw_store_put early = contract_put(c, 11, 0);
    early.row.due_at_ms = -1;
    CHECK(c->t, contract_commit_put(c, early) != KW_OK);
}

void what_is_due_follows_every_change(struct contract *c)
{
    static const uint64_t one[] = {1};
    static const uint64_t both[] = {1, 2};
    static const uint64_t turned[] = {2, 1};
    struct kw_store_put first = contract_put(c, 1, 0);
    struct kw_store_put second = contract_put(c, 2, 0);
    first.row.due_at_ms = 10;
    REQUIRE_OK(c->t, contract_commit_put(c, first));
    REQUIRE_OK(c->t, contract_commit_put(c, second));
    check_due(c, 99, ALL, one, 1);
    second = contract_put(c, 2, 1);
    second.row.due_at_ms = 20; /* nothing else that it is found by has changed */
    REQUIRE_OK(c->t, contract_commit_put(c, second));
    check_due(c, 99, ALL, both, 2);
    first = contract_put(c, 1, 1);
    first.row.due_at_ms = 30;
    first.row.owner = KW_BYTES("user:2");
    REQUIRE_OK(c->t, contract_commit_put(c, first));
    check_due(c, 99, ALL, turned, 2);
    first = contract_put(c, 1, 2);
    first.row.version = 2; /* of the same version: only when it is due was not known before */
    first.row.due_at_ms = 15;
    REQUIRE_OK(c->t, contract_commit_put(c, first));
    check_due(c, 99, ALL, both, 2);
    second = contract_put(c, 2, 2);
    REQUIRE_OK(c->t, contract_commit_put(c, second));
    check_due(c, 99, ALL, one, 1);
    struct kw_store_put gone = contract_tombstone(c, 1, 2);
    gone.row.due_at_ms = 5;
    REQUIRE_OK(c->t, contract_commit_put(c, gone));
    check_due(c, 99, ALL, one, 0);
    REQUIRE(c->t, contract_reopen(c));
    check_due(c, 99, ALL, one, 0);
}

void changes_follow_the_commits(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 3, 0)));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 2, 0)));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 3, 1)));
    struct contract_rows changed = contract_rows(c);
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, 0, ALL, contract_keep_row, &changed));
    REQUIRE(c->t, changed.count == 3);
    CHECK(c->t, contract_id_equal(changed.items[0].id, contract_id(1)));
    CHECK(c->t, contract_id_equal(changed.items[1].id, contract_id(2)));
    CHECK(c->t, contract_id_equal(changed.items[2].id, contract_id(3)));
    CHECK_I64(c->t, changed.items[2].version, 2);
    CHECK(c->t, changed.items[0].sequence < changed.items[1].sequence);
    CHECK(c->t, changed.items[1].sequence < changed.items[2].sequence);

    uint64_t after = changed.items[1].sequence;
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, after, ALL, contract_keep_row, &changed));
    CHECK_I64(c->t, changed.count, 4);
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, 0, 1, contract_keep_row, &changed));
    CHECK_I64(c->t, changed.count, 5);
}

void changes_never_part_a_batch(struct contract *c)
{
    struct kw_store_put first[] = {contract_put(c, 5, 0), contract_put(c, 2, 0), contract_put(c, 9, 0)};
    struct kw_store_put second[] = {contract_put(c, 1, 0), contract_put(c, 7, 0)};
    REQUIRE_OK(c->t, contract_commit_puts(c, first, KW_COUNT_OF(first)));
    REQUIRE_OK(c->t, contract_commit_puts(c, second, KW_COUNT_OF(second)));
    struct contract_rows changed = contract_rows(c);
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, 0, 1, contract_keep_row, &changed));
    REQUIRE(c->t, changed.count == 3);
    CHECK(c->t, contract_id_equal(changed.items[0].id, contract_id(2)));
    CHECK(c->t, contract_id_equal(changed.items[2].id, contract_id(9)));
    CHECK(c->t, changed.items[0].sequence == changed.items[2].sequence);
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, changed.items[2].sequence, 1, contract_keep_row, &changed));
    CHECK_I64(c->t, changed.count, 5);
    REQUIRE_OK(c->t, c->store->ops->changes(c->store, 0, 4, contract_keep_row, &changed));
    CHECK_I64(c->t, changed.count, 10);
}

void rows_are_counted_by_project(struct contract *c)
{
    for (uint64_t number = 1; number <= 5; number++) {
        struct kw_store_put put = contract_put(c, number, 0);
        put.row.project = number <= 3 ? KW_BYTES("shop") : KW_BYTES("default");
        REQUIRE_OK(c->t, contract_commit_put(c, put));
    }
    struct kw_store_put mixed[] = {contract_put(c, 6, 0), contract_put(c, 7, 0), contract_put(c, 8, 0)};
    mixed[1].row.project = KW_BYTES("shop");
    REQUIRE_OK(c->t, contract_commit_puts(c, mixed, KW_COUNT_OF(mixed)));
    struct kw_store_put tombstone = contract_tombstone(c, 2, 1);
    tombstone.row.project = KW_BYTES("shop");
    REQUIRE_OK(c->t, contract_commit_put(c, tombstone));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 4, 1)));
    CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, 4, 1)), KW_E_CONFLICT);
    REQUIRE(c->t, contract_reopen(c));

    uint64_t shop = 0;
    uint64_t other = 0;
    uint64_t all = 0;
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("shop"), &shop), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &other), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->count(c->store, (struct kw_bytes){NULL, 0}, &all), KW_OK);
    CHECK_I64(c->t, shop, 3);
    CHECK_I64(c->t, other, 4);
    CHECK_I64(c->t, all, 7);
}

void a_sink_that_stops_ends_the_call(struct contract *c)
{
    struct kw_store_audit audits[] = {contract_audit(c, 1, 1), contract_audit(c, 2, 2)};
    struct kw_store_put puts[] = {contract_put(c, 1, 0), contract_put(c, 2, 0)};
    struct kw_store_batch batch = {.puts = puts, .put_count = 2, .audits = audits, .audit_count = 2};
    struct kw_store_usage use[] = {{contract_id(1), KW_BYTES("a"), 1, 1}, {contract_id(1), KW_BYTES("b"), 1, 1}};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, use, KW_COUNT_OF(use), NULL, 0));

    const struct kw_store_ops *ops = c->store->ops;
    struct contract_rows rows = {.c = c, .stop_after = 1, .answer = KW_E_DENIED};
    struct contract_audits lines = {.c = c, .stop_after = 1, .answer = KW_E_DENIED};
    struct contract_usages usages = {.c = c, .stop_after = 1, .answer = KW_E_DENIED};
    struct kw_store_filter filter = {.limit = ALL};
    struct kw_store_audit_filter audit_filter = {.limit = ALL};
    struct kw_id id = contract_id(1);
    CHECK_STATUS(c->t, ops->find_by_id(c->store, &id, contract_keep_row, &rows), KW_E_DENIED);
    CHECK_STATUS(c->t, ops->find_by_digest(c->store, puts[0].row.digest, contract_keep_row, &rows), KW_E_DENIED);
    CHECK_STATUS(c->t, ops->list(c->store, &filter, contract_keep_row, &rows), KW_E_DENIED);
    CHECK_STATUS(c->t, ops->changes(c->store, 0, ALL, contract_keep_row, &rows), KW_E_DENIED);
    CHECK_STATUS(c->t, ops->audit_query(c->store, &audit_filter, contract_keep_audit, &lines), KW_E_DENIED);
    CHECK_STATUS(c->t, ops->usage_read(c->store, KW_BYTES(""), &id, 0, 9, contract_keep_usage, &usages), KW_E_DENIED);
    CHECK_I64(c->t, rows.count, 4);
    CHECK_I64(c->t, lines.count, 1);
    CHECK_I64(c->t, usages.count, 1);
    contract_check_found(c, 2, &puts[1]);
}

/* Two pages of each order with rows put in between: what was there comes once each, and nothing is missed. */
void a_cursor_stays_right_while_rows_are_added(struct contract *c)
{
    for (int order = KW_ORDER_CREATED; order <= KW_ORDER_USED; order++) {
        struct contract_rows listed = contract_rows(c);
        struct kw_bytes org = contract_format(c, "org%d", order);
        uint64_t base = 1000 * (uint64_t)(order + 1);
        struct kw_store_filter filter = {
            .project = KW_BYTES("default"), .org_id = org, .order = (enum kw_order)order, .limit = 2};
        for (uint64_t i = 0; i < 8; i++) {
            /* The orders of expiry and use are not that of ids; some are equal. Four are there at first. */
            struct kw_store_put put = contract_put(c, base + 10 * (i < 4 ? i : 7 - i) + (i < 4 ? 0 : 5), 0);
            put.row.org_id = org;
            put.row.expires_at_ms = 100 + (int64_t)(i * 7 % 4);
            REQUIRE_OK(c->t, contract_commit_put(c, put));
            struct kw_store_use note = {.key_id = put.row.id, .at_ms = put.row.expires_at_ms};
            REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, NULL, 0, &note, 1));
            if (i == 3 || i == 5 || i == 7) {
                REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
                REQUIRE(c->t, listed.count > 0);
                const struct kw_store_row *last = &listed.items[listed.count - 1];
                filter.after = (struct kw_position){last->id, last->expires_at_ms, last->used_at_ms};
            }
        }
        filter.limit = 100;
        REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &listed));
        for (uint64_t number = base; number < base + 40; number += 10) {
            size_t times = 0;
            for (size_t i = 0; i < listed.count; i++) {
                times += contract_id_equal(listed.items[i].id, contract_id(number));
            }
            CHECK_I64(c->t, times, 1);
        }
    }
}
