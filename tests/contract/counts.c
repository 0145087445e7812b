/* What is counted of verifications, and when keys were last used. */
#include "contract/behaviours.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)
#define ALL KW_STORE_LIST_MAX

static struct kw_store_usage count_of(const char *project, uint64_t lineage, int64_t at_ms, const char *value)
{
    return (struct kw_store_usage){.lineage_id = contract_id(lineage),
                                   .value = kw_bytes_of_text(value),
                                   .bucket_start_ms = at_ms,
                                   .amount = 1,
                                   .project = kw_bytes_of_text(project),
                                   .dimension = KW_USAGE_CODE};
}

static enum kw_status add(struct contract *c, const struct kw_store_usage *usages, size_t count)
{
    return c->store->ops->usage_add(c->store, usages, count, NULL, 0);
}

static struct contract_usages read(struct contract *c, const char *project, uint64_t lineage)
{
    struct contract_usages usages = contract_usages(c);
    struct kw_id id = contract_id(lineage);
    CHECK_STATUS(c->t,
                 c->store->ops->usage_read(c->store, kw_bytes_of_text(project), &id, INT64_MIN, INT64_MAX,
                                           contract_keep_usage, &usages),
                 KW_OK);
    return usages;
}

/* "D86400000:A=2 H0:B=1": each bucket in hours. */
static void check_counts(struct contract *c, const char *project, uint64_t lineage, const char *expected)
{
    struct contract_usages usages = read(c, project, lineage);
    struct kw_bytes text = {NULL, 0};
    for (size_t i = 0; i < usages.count; i++) {
        const struct kw_store_usage *usage = &usages.items[i];
        text = contract_format(c, "%.*s%s%c%lld:%.*s=%lld", (int)text.size, (const char *)text.data, i == 0 ? "" : " ",
                               usage->is_day ? 'D' : 'H', (long long)(usage->bucket_start_ms / HOUR_MS),
                               (int)usage->value.size, (const char *)usage->value.data, (long long)usage->amount);
    }
    CHECK_BYTES(c->t, text, kw_bytes_of_text(expected));
}

void counts_of_other_projects_and_dimensions_are_apart(struct contract *c)
{
    struct kw_store_usage counts[] = {count_of("a", 1, 0, "X"), count_of("b", 1, 0, "X"), count_of("a", 1, 0, "X"),
                                      count_of("a", 1, 0, "X"), count_of("a", 1, 0, "Y")};
    counts[2].dimension = KW_USAGE_REGION;
    REQUIRE_OK(c->t, add(c, counts, KW_COUNT_OF(counts)));
    struct contract_usages usages = read(c, "a", 1);
    REQUIRE(c->t, usages.count == 3);
    CHECK_I64(c->t, usages.items[0].dimension, KW_USAGE_CODE);
    CHECK_I64(c->t, usages.items[0].amount, 2);
    CHECK_BYTES(c->t, usages.items[1].value, KW_BYTES("Y"));
    CHECK_I64(c->t, usages.items[2].dimension, KW_USAGE_REGION);
    CHECK_BYTES(c->t, usages.items[2].project, KW_BYTES("a"));
    check_counts(c, "b", 1, "H0:X=1");
    check_counts(c, "a", 2, "");
}

static uint64_t roll(struct contract *c, const char *project, int64_t before_ms, size_t limit)
{
    uint64_t rolled = 99;
    CHECK_STATUS(c->t, c->store->ops->usage_roll(c->store, kw_bytes_of_text(project), before_ms, limit, &rolled),
                 KW_OK);
    return rolled;
}

void hours_become_days_in_steps(struct contract *c)
{
    struct kw_store_usage counts[] = {count_of("a", 1, 0, "X"),        count_of("a", 1, HOUR_MS, "X"),
                                      count_of("a", 2, HOUR_MS, "X"),  count_of("a", 1, DAY_MS - HOUR_MS, "Y"),
                                      count_of("a", 1, DAY_MS, "X"),   count_of("b", 1, 0, "X"),
                                      count_of("a", 1, -HOUR_MS, "X"), count_of("a", 1, 2 * DAY_MS, "X")};
    REQUIRE_OK(c->t, add(c, counts, KW_COUNT_OF(counts)));
    CHECK_I64(c->t, roll(c, "a", -DAY_MS, ALL), 0);
    CHECK_I64(c->t, roll(c, "a", 2 * DAY_MS, 2), 2);
    check_counts(c, "a", 1, "D-24:X=1 D0:X=1 H1:X=1 H23:Y=1 H24:X=1 H48:X=1");
    CHECK_I64(c->t, roll(c, "a", 2 * DAY_MS, ALL), 4);
    REQUIRE(c->t, contract_reopen(c));
    check_counts(c, "a", 1, "D-24:X=1 D0:X=2 D0:Y=1 D24:X=1 H48:X=1");
    check_counts(c, "a", 2, "D0:X=1");
    check_counts(c, "b", 1, "H0:X=1");
    /* What comes late for a day that was added up already joins it later. */
    REQUIRE_OK(c->t, add(c, counts, 1));
    CHECK_I64(c->t, roll(c, "a", 2 * DAY_MS, ALL), 1);
    check_counts(c, "a", 1, "D-24:X=1 D0:X=3 D0:Y=1 D24:X=1 H48:X=1");
}

void days_are_removed_in_steps(struct contract *c)
{
    struct kw_store_usage counts[] = {count_of("a", 1, 0, "X"), count_of("a", 1, 0, "Y"), count_of("a", 1, DAY_MS, "X"),
                                      count_of("b", 1, 0, "X")};
    uint64_t removed = 99;
    const struct kw_store_ops *ops = c->store->ops;
    REQUIRE_OK(c->t, add(c, counts, KW_COUNT_OF(counts)));
    CHECK_STATUS(c->t, ops->usage_prune(c->store, KW_BYTES("a"), INT64_MAX, ALL, &removed), KW_OK);
    CHECK_I64(c->t, removed, 0); /* hours are not removed as such */
    CHECK_I64(c->t, roll(c, "a", INT64_MAX, ALL), 3);
    CHECK_I64(c->t, roll(c, "b", INT64_MAX, ALL), 1);
    CHECK_STATUS(c->t, ops->usage_prune(c->store, KW_BYTES("a"), DAY_MS, 1, &removed), KW_OK);
    CHECK_I64(c->t, removed, 1);
    CHECK_STATUS(c->t, ops->usage_prune(c->store, KW_BYTES("a"), DAY_MS, ALL, &removed), KW_OK);
    CHECK_I64(c->t, removed, 1);
    check_counts(c, "a", 1, "D24:X=1");
    check_counts(c, "b", 1, "D0:X=1");
}

static enum kw_status use(struct contract *c, uint64_t number, int64_t at_ms, const char *address, const char *region)
{
    struct kw_store_use note = {.key_id = contract_id(number),
                                .at_ms = at_ms,
                                .address = kw_bytes_of_text(address),
                                .region = kw_bytes_of_text(region)};
    return c->store->ops->usage_add(c->store, NULL, 0, &note, 1);
}

static struct kw_store_row row_of(struct contract *c, uint64_t number)
{
    struct contract_rows rows = contract_rows(c);
    struct kw_id id = contract_id(number);
    CHECK_STATUS(c->t, c->store->ops->find_by_id(c->store, &id, contract_keep_row, &rows), KW_OK);
    return rows.count == 1 ? rows.items[0] : (struct kw_store_row){.used_at_ms = -1};
}

void the_latest_use_is_shown_with_its_row(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 2, 0)));
    CHECK_I64(c->t, row_of(c, 1).used_at_ms, 0);
    REQUIRE_OK(c->t, use(c, 1, 50, "0123456789abcdef", "CH"));
    REQUIRE_OK(c->t, use(c, 1, 40, "ffffffffffffffff", "US-CA"));
    REQUIRE_OK(c->t, use(c, 7, 40, "", "")); /* no such key: nothing to say */
    REQUIRE(c->t, contract_reopen(c));
    struct kw_store_row row = row_of(c, 1);
    CHECK_I64(c->t, row.used_at_ms, 50);
    CHECK_BYTES(c->t, row.used_address, KW_BYTES("0123456789abcdef"));
    CHECK_BYTES(c->t, row.used_region, KW_BYTES("CH"));
    CHECK_I64(c->t, row_of(c, 2).used_at_ms, 0);
    CHECK_I64(c->t, row_of(c, 2).used_address.size, 0);
    REQUIRE_OK(c->t, use(c, 1, 60, "", ""));
    CHECK_I64(c->t, row_of(c, 1).used_at_ms, 60);
    CHECK_I64(c->t, row_of(c, 1).used_address.size, 0);
    CHECK_I64(c->t, row_of(c, 1).version, 1);
}

void a_change_of_a_row_keeps_its_use(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    REQUIRE_OK(c->t, use(c, 1, 50, "0123456789abcdef", "CH"));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 1)));
    struct kw_store_put moved = contract_put(c, 1, 2);
    moved.row.owner = KW_BYTES("user:2");
    moved.row.used_at_ms = 7; /* the store's to say */
    REQUIRE_OK(c->t, contract_commit_put(c, moved));
    CHECK_I64(c->t, row_of(c, 1).version, 3);
    CHECK_I64(c->t, row_of(c, 1).used_at_ms, 50);
    CHECK_BYTES(c->t, row_of(c, 1).used_region, KW_BYTES("CH"));
}

void a_tombstone_has_no_use(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    REQUIRE_OK(c->t, use(c, 1, 50, "0123456789abcdef", "CH"));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_tombstone(c, 1, 1)));
    CHECK_STATUS(c->t, use(c, 1, 60, "0123456789abcdef", "CH"), KW_OK);
    struct contract_rows rows = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->changes(c->store, 0, ALL, contract_keep_row, &rows), KW_OK);
    REQUIRE(c->t, rows.count == 1);
    CHECK_I64(c->t, rows.items[0].used_at_ms, 0);
    CHECK_I64(c->t, rows.items[0].used_address.size, 0);
    CHECK_I64(c->t, rows.items[0].used_region.size, 0);
}

static void check_found(struct contract *c, int64_t from_ms, int64_t before_ms, const char *expected)
{
    struct kw_store_filter filter = {
        .project = KW_BYTES("default"), .used_from_ms = from_ms, .used_before_ms = before_ms, .limit = ALL};
    struct contract_rows rows = contract_rows(c);
    struct kw_bytes text = {NULL, 0};
    uint64_t count = 0;
    bool is_exact = false;
    CHECK_STATUS(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &rows), KW_OK);
    for (size_t i = 0; i < rows.count; i++) {
        text = contract_format(c, "%.*s%lld ", (int)text.size, (const char *)text.data,
                               (long long)rows.items[i].used_at_ms);
    }
    CHECK_BYTES(c->t, text, kw_bytes_of_text(expected));
    CHECK_STATUS(c->t, c->store->ops->count_found(c->store, &filter, &count, &is_exact), KW_OK);
    CHECK(c->t, is_exact);
    CHECK_I64(c->t, count, rows.count);
}

void rows_are_found_by_their_use(struct contract *c)
{
    for (uint64_t number = 1; number <= 4; number++) {
        REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, number, 0)));
    }
    REQUIRE_OK(c->t, use(c, 1, 300, "", ""));
    REQUIRE_OK(c->t, use(c, 2, 100, "", ""));
    REQUIRE_OK(c->t, use(c, 4, 200, "", ""));
    check_found(c, 0, 0, "300 100 0 200 ");
    check_found(c, 0, 200, "100 0 ");
    check_found(c, 0, 1, "0 ");
    check_found(c, 200, 0, "300 200 ");
    check_found(c, 100, 300, "100 200 ");
    check_found(c, 301, 0, "");
}

void counts_are_committed_with_their_batch(struct contract *c)
{
    struct kw_store_usage counts[] = {count_of("a", 1, 0, "X"), count_of("a", 1, 0, "X")};
    struct kw_store_request request = contract_request(1, 1);
    struct kw_store_batch batch = {
        .requests = &request, .request_count = 1, .usages = counts, .usage_count = KW_COUNT_OF(counts)};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_CONFLICT);
    REQUIRE(c->t, contract_reopen(c));
    check_counts(c, "a", 1, "H0:X=2");
    counts[1].amount = -1;
    batch.request_count = 0;
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_INVALID);
    check_counts(c, "a", 1, "H0:X=2");
}

void uses_that_cannot_be_are_refused(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    struct kw_store_usage count = count_of("a", 1, 0, "X");
    struct kw_store_use uses[] = {{.key_id = contract_id(1), .at_ms = 5}, {.key_id = contract_id(1), .at_ms = 0}};
    CHECK_STATUS(c->t, c->store->ops->usage_add(c->store, &count, 1, uses, 2), KW_E_INVALID);
    CHECK_STATUS(c->t, use(c, 1, 5, "short", ""), KW_E_INVALID);
    CHECK_STATUS(c->t, use(c, 1, 5, "", "123456789"), KW_E_LIMIT);
    CHECK_I64(c->t, row_of(c, 1).used_at_ms, 0);
    check_counts(c, "a", 1, "");
}
