/* Lists of so many rows that it matters how they are reached: broad filters, narrow ones, and long searches. */
#include "contract/contract.h"

#include "core/record.h"

#define ROW_COUNT 21500 /* more than one search looks at */
#define TOGETHER 500
#define WIDE 1500 /* rows: too many to be sorted for one list */

/*
 * Every row is of one owner, and of env "test" but for the last; every tenth expires and was used, the later made the
 * sooner. Rows from WIDE on have no organisation.
 */
static struct kw_store_put put_of(struct contract *c, uint64_t number)
{
    struct kw_store_put put = contract_put(c, number, 0);
    put.row.env = number == ROW_COUNT ? KW_BYTES("live") : KW_BYTES("test");
    put.row.org_id = number <= WIDE ? KW_BYTES("acme") : (struct kw_bytes){NULL, 0};
    put.row.expires_at_ms = number % 10 == 0 ? (int64_t)(2 * ROW_COUNT - number) : 0;
    return put;
}

static bool fill(struct contract *c)
{
    static struct kw_store_put puts[TOGETHER];
    static struct kw_store_use uses[TOGETHER];
    for (uint64_t first = 1; first <= ROW_COUNT; first += TOGETHER) {
        for (uint64_t i = 0; i < TOGETHER; i++) {
            puts[i] = put_of(c, first + i);
        }
        size_t use_count = 0;
        for (uint64_t i = 0; i < TOGETHER; i++) {
            uses[use_count] = (struct kw_store_use){.key_id = puts[i].row.id, .at_ms = puts[i].row.expires_at_ms};
            use_count += puts[i].row.expires_at_ms > 0;
        }
        if (contract_commit_puts(c, puts, TOGETHER) != KW_OK ||
            c->store->ops->usage_add(c->store, NULL, 0, uses, use_count) != KW_OK) {
            return false;
        }
    }
    return true;
}

/* Counts rows, and sees that each comes behind the one before. */
struct seen {
    struct test *t;
    enum kw_order order;
    struct kw_position last;
    size_t count;
};

static enum kw_status see(void *context, const struct kw_store_row *row)
{
    struct seen *seen = context;
    int by_id = memcmp(row->id.bytes, seen->last.id.bytes, sizeof row->id.bytes);
    bool is_in_order = seen->count == 0                       ? true
                       : seen->order == KW_ORDER_CREATED      ? by_id > 0
                       : seen->order == KW_ORDER_CREATED_BACK ? by_id < 0
                       : seen->order == KW_ORDER_EXPIRES      ? row->expires_at_ms > seen->last.expires_at_ms
                       : row->used_at_ms > 0                  ? row->used_at_ms > seen->last.used_at_ms
                                                              : seen->last.used_at_ms == 0 && by_id > 0;
    CHECK(seen->t, is_in_order);
    seen->last = (struct kw_position){row->id, row->expires_at_ms, row->used_at_ms};
    seen->count++;
    return KW_OK;
}

/* How many calls it takes to find all that the filter finds, which must be `expected` rows in order. */
static size_t page_through(struct contract *c, struct kw_store_filter filter, size_t expected)
{
    struct seen seen = {.t = c->t, .order = filter.order};
    struct kw_store_reached reached = {.ended = false};
    size_t calls = 0;
    filter.project = KW_BYTES("default");
    filter.owner = KW_BYTES("user:1");
    filter.reached = &reached;
    filter.limit = KW_STORE_LIST_MAX;
    for (; !reached.ended && calls <= ROW_COUNT; calls++) {
        CHECK_STATUS(c->t, c->store->ops->list(c->store, &filter, see, &seen), KW_OK);
        filter.after = reached.position;
    }
    CHECK_I64(c->t, seen.count, expected);
    uint64_t count = 0;
    bool is_exact = false;
    bool has_all = filter.order != KW_ORDER_EXPIRES;
    CHECK_STATUS(c->t, c->store->ops->count_found(c->store, &filter, &count, &is_exact), KW_OK);
    CHECK(c->t, is_exact && (has_all ? count == expected : count >= expected));
    return calls;
}

static void search(struct contract *c)
{
    REQUIRE(c->t, fill(c));
    for (int i = KW_ORDER_CREATED; i <= KW_ORDER_USED; i++) {
        enum kw_order order = (enum kw_order)i;
        bool by_expiry = order == KW_ORDER_EXPIRES;
        size_t all = by_expiry ? ROW_COUNT / 10 : ROW_COUNT;
        CHECK(c->t, page_through(c, (struct kw_store_filter){.order = order}, all) <= all / KW_STORE_LIST_MAX + 2);
        /* Wide in both; wide in one and narrow in the other; none. */
        CHECK(c->t, page_through(c, (struct kw_store_filter){.order = order, .env = KW_BYTES("test")}, all - 1) <=
                        all / KW_STORE_LIST_MAX + 2);
        page_through(c, (struct kw_store_filter){.order = order, .org_id = KW_BYTES("acme")},
                     by_expiry ? WIDE / 10 : WIDE);
        page_through(c, (struct kw_store_filter){.order = order, .expires_before_ms = ROW_COUNT + 1}, 1);
        page_through(c, (struct kw_store_filter){.order = order, .expires_before_ms = 2 * ROW_COUNT - 9},
                     ROW_COUNT / 10);
        page_through(c, (struct kw_store_filter){.order = order, .used_from_ms = 2 * ROW_COUNT - 10}, 1);
        page_through(c, (struct kw_store_filter){.order = order, .used_from_ms = 1}, ROW_COUNT / 10);
        page_through(c, (struct kw_store_filter){.order = order, .env = KW_BYTES("live")}, 1);
        page_through(c, (struct kw_store_filter){.order = order, .env = KW_BYTES("moon")}, 0);
    }
    /* What most have and none together: the search ends with the rows that it may look at, and says so. */
    struct contract_rows found = contract_rows(c);
    struct kw_store_reached reached = {.ended = true};
    struct kw_store_filter filter = {.env = KW_BYTES("moon"), .reached = &reached, .limit = 1};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &found));
    CHECK(c->t,
          found.count == 0 && !reached.ended && contract_id_equal(reached.position.id, contract_id(KW_STORE_SCAN_MAX)));
    filter.after = reached.position;
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &found));
    CHECK(c->t, found.count == 0 && reached.ended);
    filter = (struct kw_store_filter){.env = KW_BYTES("live"), .limit = 1};
    REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &found));
    CHECK_I64(c->t, found.count, 1);
}

static void long_searches_are_done_in_parts_in_memory(struct test *t)
{
    contract_run(t, &contract_memory, search);
}

static void long_searches_are_done_in_parts_in_sqlite(struct test *t)
{
    contract_run(t, &contract_sqlite, search);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(long_searches_are_done_in_parts_in_memory),
        TEST_CASE(long_searches_are_done_in_parts_in_sqlite),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
