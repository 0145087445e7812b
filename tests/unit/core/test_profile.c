/* Profiles: which of a project's is meant, and what is asked by it. */
#include "core/profile.h"

#include "core/catalog.h"
#include "core/document.h"
#include "support/test.h"
#include <stdio.h>

#define NOW_MS INT64_C(1767225600000)

/* A catalog in which a project "shop" is, beside the two that are built in. */
static void add_shop(struct test *t, const char *authorize, struct kw_catalog **catalog_out)
{
    char json[1024];
    struct kw_error error = {.message = ""};
    struct kw_document *made = NULL;
    snprintf(json, sizeof json, "{\"name\":\"shop\"%s%s}", authorize[0] == '\0' ? "" : ",\"authorize\":", authorize);
    struct kw_document_change change = {
        .kind = KW_DOCUMENT_PROJECT, .json = kw_bytes_of_text(json), .number = 7, .now_ms = NOW_MS};
    REQUIRE_OK(t, kw_document_make(&change, &made, &error));
    REQUIRE_OK(t, kw_catalog_new(catalog_out));
    REQUIRE_OK(t, kw_catalog_put(*catalog_out, made));
    kw_document_release(made);
}

static bool finds(const struct kw_catalog *catalog, const char *reference, const struct kw_profile **profile_out)
{
    const struct kw_project *project;
    return kw_profile_find(catalog, kw_bytes_of_text(reference), &project, profile_out);
}

static void a_project_alone_stands_for_its_default(struct test *t)
{
    const struct kw_profile *profile = NULL;
    struct kw_catalog *catalog = NULL;
    add_shop(t, "", &catalog);
    REQUIRE(t, finds(catalog, "shop", &profile));
    CHECK_I64(t, profile->scope_count, 0);
    CHECK_I64(t, profile->env.size, 0);
    REQUIRE(t, finds(catalog, "shop.default", &profile));
    CHECK_I64(t, profile->scope_count, 0);
    kw_catalog_free(catalog);
    add_shop(t, "{\"default\":{\"env\":\"live\"},\"orders\":{\"scopes\":[\"orders:read\"]}}", &catalog);
    REQUIRE(t, finds(catalog, "shop", &profile));
    CHECK_BYTES(t, profile->env, KW_BYTES("live"));
    REQUIRE(t, finds(catalog, "shop.default", &profile));
    CHECK_BYTES(t, profile->env, KW_BYTES("live"));
    REQUIRE(t, finds(catalog, "shop.orders", &profile));
    CHECK_BYTES(t, profile->scopes[0], KW_BYTES("orders:read"));
    kw_catalog_free(catalog);
}

static void what_is_not_there_is_not_found(struct test *t)
{
    static const char *const references[] = {"",     ".",       "shop.",          "shop.none",    "shop.Orders",
                                             "Shop", ".orders", "orders",         "shop.orders.", "shop.orders.a",
                                             "none", "keyward", "keyward.default"};
    const struct kw_profile *profile = NULL;
    struct kw_catalog *catalog = NULL;
    add_shop(t, "{\"orders\":{}}", &catalog);
    CHECK(t, finds(catalog, "shop.orders", &profile));
    for (size_t i = 0; i < KW_COUNT_OF(references); i++) {
        CHECK(t, !finds(catalog, references[i], &profile));
    }
    kw_catalog_free(catalog);
}

static void what_is_asked_outlives_the_catalog(struct test *t)
{
    uint8_t memory[64];
    struct kw_arena arena;
    struct kw_question question;
    const struct kw_profile *profile = NULL;
    const struct kw_project *project = NULL;
    struct kw_catalog *catalog = NULL;
    add_shop(t,
             "{\"orders\":{\"env\":\"test\",\"scopes\":[\"a\",\"b:*\"],\"require\":\"c OR d\",\"resource\":"
             "{\"type\":\"website\",\"id\":\"1\",\"scopes\":[\"e\"]}}}",
             &catalog);
    kw_arena_init(&arena, memory, sizeof memory, 4096);
    REQUIRE(t, kw_profile_find(catalog, KW_BYTES("shop.orders"), &project, &profile));
    REQUIRE_OK(t, kw_profile_question(project, profile, &arena, &question));
    kw_catalog_free(catalog);
    CHECK_I64(t, question.project, 7);
    CHECK_BYTES(t, question.env, KW_BYTES("test"));
    REQUIRE(t, question.scope_count == 2);
    CHECK_BYTES(t, question.scopes[0], KW_BYTES("a"));
    CHECK_BYTES(t, question.scopes[1], KW_BYTES("b:*"));
    CHECK_BYTES(t, question.require, KW_BYTES("c OR d"));
    CHECK_BYTES(t, question.resource, KW_BYTES("website:1"));
    REQUIRE(t, question.resource_scope_count == 1);
    CHECK_BYTES(t, question.resource_scopes[0], KW_BYTES("e"));
    kw_arena_reset(&arena);
}

static void a_project_has_so_many_and_no_more(struct test *t)
{
    static char json[64 * KW_PROFILE_COUNT_MAX];
    for (size_t extra = 0; extra < 2; extra++) {
        struct kw_document *made = NULL;
        struct kw_error error = {.message = ""};
        size_t size = (size_t)snprintf(json, sizeof json, "{\"name\":\"shop\",\"authorize\":{");
        for (size_t i = 0; i < KW_PROFILE_COUNT_MAX + extra; i++) {
            size += (size_t)snprintf(json + size, sizeof json - size, "%s\"p%zu\":{}", i == 0 ? "" : ",", i);
        }
        snprintf(json + size, sizeof json - size, "}}");
        struct kw_document_change change = {
            .kind = KW_DOCUMENT_PROJECT, .json = kw_bytes_of_text(json), .number = 7, .now_ms = NOW_MS};
        enum kw_status status = kw_document_make(&change, &made, &error);
        CHECK_STATUS(t, status, extra == 0 ? KW_OK : KW_E_INVALID);
        CHECK_TEXT(t, error.field, extra == 0 ? "" : "authorize");
        CHECK(t, extra != 0 || kw_project_profile(&made->is.project, KW_BYTES("p63")) != NULL);
        kw_document_release(made);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_project_alone_stands_for_its_default),
        TEST_CASE(what_is_not_there_is_not_found),
        TEST_CASE(what_is_asked_outlives_the_catalog),
        TEST_CASE(a_project_has_so_many_and_no_more),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
