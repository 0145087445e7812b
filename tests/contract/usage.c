/* Use that is counted. */
#include "contract/behaviours.h"

static struct contract_usages read_use(struct contract *c, uint64_t lineage, int64_t from_ms, int64_t until_ms)
{
    struct contract_usages usages = contract_usages(c);
    struct kw_id id = contract_id(lineage);
    CHECK_STATUS(
        c->t, c->store->ops->usage_read(c->store, KW_BYTES(""), &id, from_ms, until_ms, contract_keep_usage, &usages),
        KW_OK);
    return usages;
}

static struct kw_store_usage use_of(uint64_t lineage, struct kw_bytes metric, int64_t bucket_start_ms, int64_t amount)
{
    return (struct kw_store_usage){contract_id(lineage), metric, bucket_start_ms, amount};
}

void use_is_added_up(struct contract *c)
{
    struct kw_store_usage first[] = {use_of(1, KW_BYTES("verify"), 1000, 5), use_of(2, KW_BYTES("verify"), 1000, 7),
                                     use_of(1, KW_BYTES("verify"), 1000, 3), use_of(1, KW_BYTES("verify"), 1000, 0)};
    struct kw_store_usage second[] = {use_of(1, KW_BYTES("verify"), 1000, 2)};
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, first, KW_COUNT_OF(first), NULL, 0));
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, second, KW_COUNT_OF(second), NULL, 0));
    REQUIRE(c->t, contract_reopen(c));
    struct contract_usages usages = read_use(c, 1, 0, 2000);
    REQUIRE(c->t, usages.count == 1);
    CHECK_I64(c->t, usages.items[0].amount, 10);
    CHECK_I64(c->t, usages.items[0].bucket_start_ms, 1000);
    CHECK_BYTES(c->t, usages.items[0].value, KW_BYTES("verify"));
    CHECK(c->t, contract_id_equal(usages.items[0].lineage_id, contract_id(1)));
    CHECK_I64(c->t, read_use(c, 3, 0, 2000).count, 0);
}

void use_is_read_in_order_and_range(struct contract *c)
{
    struct kw_store_usage use[] = {use_of(1, KW_BYTES("b"), 20, 1), use_of(1, KW_BYTES("a"), 30, 2),
                                   use_of(1, KW_BYTES("a"), 10, 3), use_of(1, KW_BYTES("ab"), 10, 4),
                                   use_of(1, KW_BYTES("a"), -5, 5), use_of(1, KW_BYTES("a"), 20, 6),
                                   use_of(0, KW_BYTES("a"), 20, 7), use_of(2, KW_BYTES("a"), 20, 8)};
    const int64_t in_order[] = {5, 3, 4, 6, 1, 2};
    const int64_t in_range[] = {3, 4, 6, 1};
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, use, KW_COUNT_OF(use), NULL, 0));
    struct contract_usages all = read_use(c, 1, INT64_MIN, INT64_MAX);
    REQUIRE(c->t, all.count == KW_COUNT_OF(in_order));
    for (size_t i = 0; i < all.count; i++) {
        CHECK_I64(c->t, all.items[i].amount, in_order[i]);
    }
    struct contract_usages some = read_use(c, 1, 10, 30);
    REQUIRE(c->t, some.count == KW_COUNT_OF(in_range));
    for (size_t i = 0; i < some.count; i++) {
        CHECK_I64(c->t, some.items[i].amount, in_range[i]);
    }
}

void use_stays_at_the_largest_number(struct contract *c)
{
    struct kw_store_usage use[] = {use_of(1, KW_BYTES("a"), 0, INT64_MAX - 1), use_of(1, KW_BYTES("a"), 0, 1),
                                   use_of(1, KW_BYTES("b"), 0, INT64_MAX), use_of(1, KW_BYTES("b"), 0, INT64_MAX)};
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, use, KW_COUNT_OF(use), NULL, 0));
    REQUIRE_OK(c->t, c->store->ops->usage_add(c->store, &use[1], 1, NULL, 0));
    struct contract_usages usages = read_use(c, 1, 0, 1);
    REQUIRE(c->t, usages.count == 2);
    CHECK_I64(c->t, usages.items[0].amount, INT64_MAX);
    CHECK_I64(c->t, usages.items[1].amount, INT64_MAX);
}

void use_is_added_all_or_none(struct contract *c)
{
    struct kw_store_usage use[] = {use_of(1, KW_BYTES("a"), 0, 1), use_of(1, KW_BYTES("b"), 0, -1)};
    CHECK_STATUS(c->t, c->store->ops->usage_add(c->store, use, KW_COUNT_OF(use), NULL, 0), KW_E_INVALID);
    CHECK_I64(c->t, read_use(c, 1, INT64_MIN, INT64_MAX).count, 0);
}
