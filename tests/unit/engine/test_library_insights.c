/* Insight through the library: the same JSON as over HTTP, and what is refused. */
#include "library_fixture.h"

static bool holds(const struct kw_held_document *held, const char *part)
{
    return kw_bytes_contains_ignoring_case(held->json, kw_bytes_of_text(part));
}

static void a_key_is_told(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    struct kw_held_document held = {.memory = NULL};
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_insights_request request = {.id = &made.held.record.id};
    CHECK_STATUS(t, kw_insights(library.keyward, &request, &held, &error), KW_OK);
    CHECK(t, holds(&held, "\"owner\":\"user:1\""));
    CHECK(t, holds(&held, "\"scopes\",\"points\":12,\"of\":20"));
    kw_held_document_clear(&held);
    library_set_clock(&library, LIBRARY_NOW_MS + INT64_C(60) * 86400 * 1000 - 1);
    CHECK_STATUS(t, kw_insights(library.keyward, &request, &held, &error), KW_OK);
    CHECK(t, !holds(&held, "UNUSED"));
    kw_held_document_clear(&held);
    library_set_clock(&library, LIBRARY_NOW_MS + INT64_C(60) * 86400 * 1000);
    CHECK_STATUS(t, kw_insights(library.keyward, &request, &held, &error), KW_OK);
    CHECK(t, holds(&held, "\"code\":\"UNUSED\""));
    kw_held_document_clear(&held);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_project_is_told(struct test *t)
{
    struct library library;
    struct kw_held_document held = {.memory = NULL};
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    for (int i = 0; i < 25; i++) {
        struct kw_new_key made;
        REQUIRE(t, library_create(t, &library, &made));
        kw_new_key_clear(&made);
    }
    struct kw_insights_request request = {.limit = 0};
    CHECK_STATUS(t, kw_insights(library.keyward, &request, &held, &error), KW_OK);
    CHECK(t, holds(&held, "{\"keys\":25,\"complete\":true,"));
    size_t shown = 0;
    for (size_t i = 0; i + 14 < held.json.size; i++) {
        shown += memcmp(held.json.data + i, "\"securityScore", 14) == 0;
    }
    CHECK_I64(t, shown, 20);
    kw_held_document_clear(&held);
    request.owner = KW_BYTES("user:2");
    CHECK_STATUS(t, kw_insights(library.keyward, &request, &held, &error), KW_OK);
    CHECK(t, holds(&held, "{\"keys\":0,"));
    kw_held_document_clear(&held);
    library_end(&library);
}

static void what_cannot_be_is_refused(struct test *t)
{
    struct library library;
    struct kw_held_document held = {.memory = NULL};
    struct kw_error error;
    uint8_t long_text[KW_OWNER_MAX + 1];
    memset(long_text, 'a', sizeof long_text);
    struct kw_bytes too_long = kw_bytes_of(long_text, sizeof long_text);
    struct kw_bytes none = KW_BYTES("");
    struct kw_id id = {{1}};
    const struct {
        struct kw_insights_request request;
        enum kw_status status;
        const char *code, *field;
    } cases[] = {
        {{.id = &id}, KW_E_NOT_FOUND, "KEY_NOT_FOUND", ""},
        {{.project = KW_BYTES("nowhere")}, KW_E_NOT_FOUND, "PROJECT_NOT_FOUND", "project"},
        {{.limit = KW_INSIGHTS_MAX + 1}, KW_E_INVALID, "INVALID_FIELD", "limit"},
        {{.owner = too_long}, KW_E_INVALID, "INVALID_FIELD", "owner"},
        {{.org_id = too_long}, KW_E_INVALID, "INVALID_FIELD", "org_id"},
        {{.env = too_long}, KW_E_INVALID, "INVALID_FIELD", "env"},
        {{.tags = &none, .tag_count = 1}, KW_E_INVALID, "INVALID_FIELD", "tags"},
        {{.tags = &none, .tag_count = KW_TAG_COUNT_MAX + 1}, KW_E_INVALID, "INVALID_FIELD", "tags"},
    };
    REQUIRE(t, library_open(t, &library));
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        CHECK_REFUSED(t, kw_insights(library.keyward, &cases[i].request, &held, &error), error, cases[i].status,
                      cases[i].code, cases[i].field);
    }
    CHECK(t, held.memory == NULL);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_key_is_told),
        TEST_CASE(a_project_is_told),
        TEST_CASE(what_cannot_be_is_refused),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
