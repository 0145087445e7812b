/*
 * An import on a store whose n-th call fails, for every n and both ways of failing: it says so, it can simply be run
 * again, and then every key is there once.
 */
#include "import_fixture.h"

#include <stdio.h>

#define CALLS_MAX 400
#define KEYS 3

static const char text[] = "{\"id\":\"a\",\"key\":\"foreign_0_0123456789\",\"ownerId\":\"1\"}\n"
                           "{\"id\":\"b\",\"key\":\"foreign_1_0123456789\",\"ownerId\":\"1\"}\n"
                           "{\"id\":\"c\",\"key\":\"foreign_2_0123456789\",\"ownerId\":\"1\"}\n";

static enum kw_status count_row(void *context, const struct kw_store_row *row)
{
    (void)row;
    (*(size_t *)context)++;
    return KW_OK;
}

/* False when the fault did not come: there are no more calls to fail. */
static bool fail_at(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    static const uint8_t pepper[KW_PEPPER_SIZE] = {7};
    struct place place = {.t = t, .in_memory = true, .library.now_ms = LIBRARY_NOW_MS};
    struct kw_options options = {.pepper = pepper, .now_ms = place_now, .now_context = &place.library};
    struct kw_store *inner = NULL;
    struct kw_import_counts counts;
    struct kw_error error;
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, nth, &options.store_take) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "no store");
        return false;
    }
    struct kw_store *fault = options.store_take;
    if (kw_open(&options, &place.library.keyward, &error) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "not opened: %s", error.message);
        return false;
    }
    kw_wait_filled(place.library.keyward);
    kw_store_fault_arm(fault, kind, nth);
    struct kw_import_request request = {.text = kw_text(text)};
    enum kw_status first = kw_import_many(place.library.keyward, &request, NULL, NULL, &counts, &error);
    bool came = kw_store_fault_calls(fault) >= nth;
    kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, 0);
    CHECK(t, came || (first == KW_OK && counts.created == KEYS));
    CHECK(t, counts.refused == 0); /* a store that fails is no fault of an item */
    enum kw_status again = kw_import_many(place.library.keyward, &request, NULL, NULL, &counts, &error);
    CHECK_STATUS(t, again, KW_OK);
    CHECK_I64(t, counts.created + counts.skipped, KEYS);
    size_t rows = 0;
    struct kw_store_filter filter = {.owner = kw_text("user:1"), .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, inner->ops->list(inner, &filter, count_row, &rows), KW_OK);
    CHECK_I64(t, rows, KEYS);
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        snprintf(key, sizeof key, "foreign_%d_0123456789", i);
        CHECK_CODE(t, verify(&place, key), KW_CODE_NONE);
    }
    kw_close(place.library.keyward);
    return came;
}

static void fail_everywhere(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && fail_at(t, kind, nth) && t->failures == 0) {
        nth++;
    }
    CHECK(t, nth > 3 && nth < CALLS_MAX);
}

static void an_import_survives_a_store_that_is_away(struct test *t)
{
    fail_everywhere(t, KW_FAULT_UNAVAILABLE);
}

static void an_import_survives_writes_of_unknown_outcome(struct test *t)
{
    fail_everywhere(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(an_import_survives_a_store_that_is_away),
        TEST_CASE(an_import_survives_writes_of_unknown_outcome),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
