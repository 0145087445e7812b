/* Projects, policies and templates through the library, and keys that are made by them. */
#include "library_fixture.h"

static void a_project_of_ones_own(struct test *t)
{
    struct library library;
    struct kw_error error;
    struct kw_held_document held = {0};
    struct kw_document_request request = {.kind = KW_DOCUMENT_PROJECT,
                                          .json = kw_text("{\"name\":\"shop\",\"presets\":{\"see\":[\"read\"]},"
                                                          "\"environments\":[{\"name\":\"live\","
                                                          "\"secretPrefix\":\"shop_\"}]}")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE_OK(t, kw_document_create(library.keyward, &request, &held, &error));
    CHECK(t, kw_bytes_starts_with(held.json, KW_BYTES("{\"name\":\"shop\",\"number\":3,\"version\":1,")));
    kw_held_document_clear(&held);

    request = (struct kw_document_request){.kind = KW_DOCUMENT_TEMPLATE,
                                           .project = kw_text("shop"),
                                           .json = kw_text("{\"name\":\"ci\",\"fields\":{\"ownerId\":\"7\"}}")};
    REQUIRE_OK(t, kw_document_create(library.keyward, &request, NULL, &error));
    struct kw_new_key made = {0};
    struct kw_change_request create = {
        .project = kw_text("shop"), .template_name = kw_text("ci"), .preset = kw_text("see")};
    REQUIRE_OK(t, kw_create(library.keyward, &create, &made, &error));
    CHECK(t, strncmp(made.key, "shop_", 5) == 0);
    CHECK_FIELD(t, made.held.record.owner, "user:7");
    CHECK_FIELD(t, made.held.record.template_name, "ci");
    CHECK_I64(t, made.held.record.scopes.count, 1);
    struct kw_verdict verdict;
    struct kw_verify_request verify = {.key = kw_text(made.key), .project = kw_text("shop")};
    REQUIRE_OK(t, kw_verify(library.keyward, &verify, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_NONE);
    REQUIRE(t, library_reopen(t, &library, 0));
    REQUIRE_OK(t, kw_verify(library.keyward, &verify, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_NONE);
    verify.project = (struct kw_bytes){NULL, 0};
    REQUIRE_OK(t, kw_verify(library.keyward, &verify, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_INVALID_FORMAT);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void documents_are_read_and_changed(struct test *t)
{
    struct library library;
    struct kw_error error;
    struct kw_held_document held = {0};
    struct kw_document_request request = {
        .kind = KW_DOCUMENT_POLICY, .name = kw_text("a"), .json = kw_text("{\"name\":\"a\"}")};
    REQUIRE(t, library_open(t, &library));
    CHECK_REFUSED(t, kw_document_get(library.keyward, &request, &held, &error), error, KW_E_NOT_FOUND,
                  "POLICY_NOT_FOUND", "");
    CHECK(t, held.memory == NULL);
    REQUIRE_OK(t, kw_document_create(library.keyward, &request, NULL, &error));
    request.if_version = 2;
    request.json = kw_text("{\"maxTtl\":\"1d\"}");
    CHECK_REFUSED(t, kw_document_update(library.keyward, &request, NULL, &error), error, KW_E_CONFLICT,
                  "VERSION_CONFLICT", "");
    request.if_version = 1;
    REQUIRE_OK(t, kw_document_update(library.keyward, &request, NULL, &error));
    REQUIRE_OK(t, kw_document_get(library.keyward, &request, &held, &error));
    CHECK(t, kw_bytes_contains_ignoring_case(held.json, KW_BYTES("\"version\":2")));
    kw_held_document_clear(&held);
    request.name = kw_text("");
    REQUIRE_OK(t, kw_document_after(library.keyward, &request, &held, &error));
    kw_held_document_clear(&held);
    request.name = kw_text("a");
    CHECK_STATUS(t, kw_document_after(library.keyward, &request, &held, &error), KW_E_NOT_FOUND);
    request.if_version = 0;
    REQUIRE_OK(t, kw_document_delete(library.keyward, &request, &error));
    CHECK_STATUS(t, kw_document_delete(library.keyward, &request, NULL), KW_E_NOT_FOUND);
    request.project = kw_text("nobody");
    CHECK_REFUSED(t, kw_document_create(library.keyward, &request, NULL, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    request.kind = (enum kw_document_kind)9;
    CHECK_REFUSED(t, kw_document_get(library.keyward, &request, NULL, &error), error, KW_E_INVALID, "INVALID_FIELD",
                  "kind");
    kw_held_document_clear(NULL);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_project_of_ones_own),
        TEST_CASE(documents_are_read_and_changed),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
