/* All parts of a requirement that are missing, by example; test_requirement.c holds them against a model. */
#include "core/requirement.h"
#include "support/test.h"

#include <stdlib.h>

/* One letter each, a bit for each. */
static bool holds_letter(void *context, struct kw_bytes scope)
{
    const unsigned *held = context;
    return scope.size == 1 && (*held >> (scope.data[0] - 'a') & 1) != 0;
}

static void all_missing_by_example(struct test *t)
{
    static const struct {
        const char *text;
        unsigned held; /* bits: a, b, c */
        const char *parts[4];
    } rows[] = {
        {"a AND b AND c", 2, {"a", "c"}},
        {"a AND b AND c", 7, {NULL}},
        {"(a OR b) AND c", 0, {"a OR b", "c"}},
        {"c AND ((a OR (b)) AND e:f)", 0, {"c", "a OR (b)", "e:f"}},
        {"a AND (b AND c OR e:f)", 4, {"a", "b AND c OR e:f"}},
        {"a OR (b AND c)", 4, {"a OR (b AND c)"}},
        {"a AND (b OR c", 0, {NULL}}, /* no requirement */
        {"", 0, {NULL}},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes parts[KW_REQUIRE_SCOPE_MAX];
        struct kw_bytes text = kw_bytes_of_text(rows[i].text);
        unsigned held = rows[i].held;
        size_t count = kw_requirement_missing(text, kw_requirement_lacks(text, holds_letter, &held), parts);
        for (size_t n = 0; n < count; n++) {
            CHECK_BYTES(t, parts[n], kw_bytes_of_text(rows[i].parts[n]));
        }
        CHECK(t, count < 4 && rows[i].parts[count] == NULL);
    }
}

/* As many as there can be, and a text that goes wrong behind the last of them. */
static void there_is_room_for_all(struct test *t)
{
    struct kw_bytes *parts = malloc(KW_REQUIRE_SCOPE_MAX * sizeof *parts); /* by itself, so that its end is guarded */
    char text[KW_REQUIRE_MAX];
    size_t size = 0;
    REQUIRE(t, parts != NULL);
    for (int i = 0; i < KW_REQUIRE_SCOPE_MAX; i++) {
        memcpy(text + size, i == 0 ? "s" : " AND s", i == 0 ? 1 : 6);
        size += i == 0 ? 1 : 6;
    }
    memcpy(text + size, " AND (OR s)", 11);
    CHECK_I64(t, kw_requirement_missing(kw_bytes_of(text, size), UINT32_MAX, parts), KW_REQUIRE_SCOPE_MAX);
    CHECK_I64(t, kw_requirement_missing(kw_bytes_of(text, size), UINT32_C(1) << 31, parts), 1);
    CHECK_I64(t, parts[0].data - (const uint8_t *)text, size - 1);
    CHECK_I64(t, kw_requirement_missing(kw_bytes_of(text, size + 11), UINT32_MAX, parts), 0);
    free(parts);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(all_missing_by_example),
        TEST_CASE(there_is_room_for_all),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
