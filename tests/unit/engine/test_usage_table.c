/* The table that verifications are added up in, by itself. */
#include "base/bytes.h"
#include "engine/usage_table.h"
#include "support/engine.h"

/* A record of a key that nobody else has. */
static struct kw__use use_of(uint32_t number)
{
    struct kw__use use = {
        .times = 1, .head = {.at_ms = TEST_NOW_MS, .cost = 1, .project = KW_PROJECT_DEFAULT, .parts = KW__USE_KNOWN}};
    uint64_t spread = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(use.digest + sizeof use.digest - sizeof spread, &spread, sizeof spread);
    memcpy(use.digest + sizeof spread, &number, sizeof number);
    return use;
}

static void beyond_so_many_keys_only_the_project_is_told(struct test *t)
{
    struct kw_usage *usage;
    struct kw_usage_stats stats;
    REQUIRE(t, kw_usage_new(NULL, &usage) == KW_OK);
    const struct kw__use_table *table = &usage->tables[0];
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < KW__USAGE_SLOTS + 5; i++) {
            struct kw__use use = use_of(i);
            kw__use_add(usage, &use);
        }
    }
    kw_usage_stats(usage, &stats);
    CHECK_I64(t, stats.unattributed, 10);
    CHECK_I64(t, stats.dropped, 0);
    CHECK_I64(t, table->slot_count, KW__USAGE_SLOTS);
    CHECK_I64(t, table->slots[0].valid, 2);
    CHECK_I64(t, table->slots[KW__USAGE_SLOTS - 1].valid, 2);
    CHECK_I64(t, table->cell_count, 2); /* how many, and what they cost */
    CHECK_I64(t, table->cells[0].amount, 10);
    /* What was forgotten is not found again. */
    kw__use_table_clear(&usage->tables[0]);
    for (size_t i = 0; i < 2 * KW__USAGE_SLOTS; i++) {
        REQUIRE(t, table->slot_index[i] == 0);
    }
    struct kw__use use = use_of(7);
    kw__use_add(usage, &use);
    CHECK_I64(t, table->slots[0].valid, 1);
    kw_usage_free(usage);
}

static void an_hour_that_is_over_makes_room_for_the_next(struct test *t)
{
    struct kw_usage *usage;
    REQUIRE(t, kw_usage_new(NULL, &usage) == KW_OK);
    for (int hour = 0; hour < 3; hour++) {
        struct kw__use use = use_of(1);
        use.head.at_ms += hour * KW_HOUR_MS;
        kw__use_add(usage, &use);
        kw__use_add(usage, &use);
    }
    CHECK_I64(t, usage->tables[0].slots[0].valid, 2);
    CHECK_I64(t, usage->tables[0].slots[0].at_ms, TEST_NOW_MS + 2 * KW_HOUR_MS);
    CHECK_I64(t, usage->tables[0].cell_count, 4);
    kw_usage_free(usage);
}

static void no_memory_is_no_usage(struct test *t)
{
    enum kw_status status = KW_E_MEMORY;
    for (int64_t nth = 1; status != KW_OK && nth < 100; nth++) {
        struct kw_usage *usage = NULL;
        kw_alloc_fail_after(nth);
        status = kw_usage_new(NULL, &usage);
        kw_alloc_fail_after(-1);
        CHECK(t, status == KW_OK || (status == KW_E_MEMORY && usage == NULL));
        kw_usage_free(usage);
    }
    CHECK_STATUS(t, status, KW_OK);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(beyond_so_many_keys_only_the_project_is_told),
        TEST_CASE(an_hour_that_is_over_makes_room_for_the_next),
        TEST_CASE(no_memory_is_no_usage),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
