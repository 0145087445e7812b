/* Use that is kept as it was counted, and added later. */
#include "contract/behaviours.h"

#define KEPT_MAX 8

struct kept {
    struct kw_store_deferred pieces[KEPT_MAX];
    uint8_t first[KEPT_MAX]; /* bytes */
    size_t count, stop_at;
};

static enum kw_status keep(void *context, const struct kw_store_deferred *piece)
{
    struct kept *kept = context;
    if (kept->count == KEPT_MAX || piece->bytes.size == 0) {
        return KW_E_CORRUPT;
    }
    kept->pieces[kept->count] = *piece;
    kept->first[kept->count++] = piece->bytes.data[0];
    return kept->stop_at == kept->count ? KW_E_LIMIT : KW_OK;
}

static struct kept kept_from(struct contract *c, uint32_t part, size_t limit)
{
    struct kept kept = {.count = 0};
    CHECK_STATUS(c->t, c->store->ops->usage_deferred(c->store, part, limit, keep, &kept), KW_OK);
    return kept;
}

static struct kw_store_deferred piece_of(uint32_t part, const char *bytes)
{
    return (struct kw_store_deferred){.part = part, .bytes = kw_bytes_of_text(bytes)};
}

static uint64_t defer(struct contract *c, const struct kw_store_deferred *pieces, size_t count)
{
    uint64_t waiting = 99;
    CHECK_STATUS(c->t, c->store->ops->usage_defer(c->store, pieces, count, &waiting), KW_OK);
    return waiting;
}

void deferred_use_comes_back_by_parts_and_in_order(struct contract *c)
{
    struct kw_store_deferred first[] = {piece_of(7, "abc"), piece_of(3, "d"), piece_of(7, "ef")};
    struct kw_store_deferred second[] = {piece_of(7, "g"), piece_of(UINT32_MAX, "h")};
    CHECK_I64(c->t, kept_from(c, 0, 1).count, 0);
    CHECK_I64(c->t, defer(c, NULL, 0), 0);
    CHECK_I64(c->t, defer(c, first, KW_COUNT_OF(first)), 6);
    CHECK_I64(c->t, defer(c, second, KW_COUNT_OF(second)), 8);
    REQUIRE(c->t, contract_reopen(c));
    CHECK_I64(c->t, defer(c, NULL, 0), 8);
    struct kept kept = kept_from(c, 0, KEPT_MAX);
    REQUIRE(c->t, kept.count == 1);
    CHECK_I64(c->t, kept.pieces[0].part, 3);
    kept = kept_from(c, 4, KEPT_MAX);
    REQUIRE(c->t, kept.count == 3);
    CHECK(c->t, memcmp(kept.first, "aeg", 3) == 0);
    CHECK_I64(c->t, kept.pieces[2].part, 7);
    CHECK(c->t, kept.pieces[0].sequence < kept.pieces[1].sequence && kept.pieces[1].sequence < kept.pieces[2].sequence);
    CHECK_I64(c->t, kept_from(c, 4, 2).count, 2);
    CHECK_I64(c->t, kept_from(c, UINT32_MAX, 1).count, 1);
    kept = (struct kept){.stop_at = 2};
    CHECK_STATUS(c->t, c->store->ops->usage_deferred(c->store, 7, KEPT_MAX, keep, &kept), KW_E_LIMIT);
    CHECK_I64(c->t, kept.count, 2);
}

static struct kw_store_usage use_of(int64_t amount)
{
    return (struct kw_store_usage){contract_id(1), KW_BYTES("verify"), 1000, amount};
}

static int64_t amount_of(struct contract *c)
{
    struct contract_usages usages = contract_usages(c);
    struct kw_id id = contract_id(1);
    CHECK_STATUS(
        c->t,
        c->store->ops->usage_read(c->store, KW_BYTES(""), &id, INT64_MIN, INT64_MAX, contract_keep_usage, &usages),
        KW_OK);
    return usages.count == 1 ? usages.items[0].amount : -(int64_t)usages.count;
}

void deferred_use_is_settled_up_to_a_piece(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    struct kw_store_batch batch = {.puts = &put, .put_count = 1};
    struct kw_store_deferred pieces[] = {piece_of(2, "a"), piece_of(1, "bb"), piece_of(2, "ccc"), piece_of(2, "dddd")};
    struct kw_store_usage usage = use_of(5);
    struct kw_store_use use = {.key_id = contract_id(1), .at_ms = 77};
    struct contract_rows rows = contract_rows(c);
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, &batch, 1));
    CHECK_I64(c->t, defer(c, pieces, KW_COUNT_OF(pieces)), 10);
    struct kept kept = kept_from(c, 2, KEPT_MAX);
    REQUIRE(c->t, kept.count == 3);
    REQUIRE_OK(c->t, c->store->ops->usage_settle(c->store, &kept.pieces[1], &usage, 1, &use, 1));
    REQUIRE(c->t, contract_reopen(c));
    CHECK_I64(c->t, amount_of(c), 5);
    CHECK_STATUS(c->t, c->store->ops->find_by_id(c->store, &use.key_id, contract_keep_row, &rows), KW_OK);
    CHECK_I64(c->t, rows.items[0].used_at_ms, 77);
    CHECK_I64(c->t, defer(c, NULL, 0), 6);
    kept = kept_from(c, 2, KEPT_MAX);
    CHECK(c->t, kept.count == 1 && kept.first[0] == 'd');
    REQUIRE_OK(c->t, c->store->ops->usage_settle(c->store, &kept.pieces[0], NULL, 0, NULL, 0));
    CHECK_I64(c->t, kept_from(c, 2, KEPT_MAX).count, 0);
    kept = kept_from(c, 0, KEPT_MAX);
    CHECK(c->t, kept.count == 1 && kept.first[0] == 'b');
    REQUIRE_OK(c->t, c->store->ops->usage_settle(c->store, &kept.pieces[0], &usage, 1, NULL, 0));
    CHECK_I64(c->t, defer(c, NULL, 0), 0);
    CHECK_I64(c->t, amount_of(c), 10);
}

/* What is refused has added nothing, and removed nothing. */
void deferred_use_is_kept_and_settled_all_or_none(struct contract *c)
{
    static const uint8_t large[KW_STORE_DEFERRED_MAX + 1] = {1};
    struct kw_store_deferred pieces[] = {piece_of(1, "a"), piece_of(1, "")};
    struct kw_store_usage usages[] = {use_of(5), use_of(-1)};
    uint64_t waiting = 99;
    CHECK_STATUS(c->t, c->store->ops->usage_defer(c->store, pieces, 2, &waiting), KW_E_LIMIT);
    pieces[1].bytes = kw_bytes_of(large, sizeof large);
    CHECK_STATUS(c->t, c->store->ops->usage_defer(c->store, pieces, 2, &waiting), KW_E_LIMIT);
    CHECK_I64(c->t, waiting, 99);
    CHECK_I64(c->t, defer(c, NULL, 0), 0);
    pieces[1].bytes.size--;
    CHECK_I64(c->t, defer(c, pieces, 2), 1 + KW_STORE_DEFERRED_MAX);
    struct kept kept = kept_from(c, 1, KEPT_MAX);
    REQUIRE(c->t, kept.count == 2);
    CHECK_I64(c->t, kept.pieces[1].bytes.size, KW_STORE_DEFERRED_MAX);
    CHECK_STATUS(c->t, c->store->ops->usage_settle(c->store, &kept.pieces[1], usages, 2, NULL, 0), KW_E_INVALID);
    CHECK_I64(c->t, amount_of(c), 0);
    CHECK_I64(c->t, kept_from(c, 1, KEPT_MAX).count, 2);
    CHECK_STATUS(c->t, c->store->ops->usage_deferred(c->store, 1, 0, keep, &kept), KW_E_LIMIT);
}
