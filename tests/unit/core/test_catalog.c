/* The catalog against a plain list: random puts and removals, and copies that do not move when the next one does. */
#include "core/catalog.h"

#include "support/test.h"

#include <stdio.h>

#define NAMES 12

static struct kw_document *document_of(enum kw_document_kind kind, const char *project, const char *json)
{
    struct kw_document *document = NULL;
    enum kw_status status = kw_document_read(kind, kw_bytes_of_text(project), kw_bytes_of_text(json), &document);
    return status == KW_OK ? document : NULL;
}

static enum kw_status put(struct kw_catalog *catalog, enum kw_document_kind kind, const char *project, const char *json)
{
    struct kw_document *document = document_of(kind, project, json);
    enum kw_status status = document == NULL ? KW_E_INVALID : kw_catalog_put(catalog, document);
    kw_document_release(document);
    return status;
}

#define SHOP "{\"name\":\"shop\",\"number\":5,\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"a_\"}]}"

static void projects_are_found_by_name_and_number(struct test *t)
{
    struct kw_catalog *catalog = NULL;
    REQUIRE_OK(t, kw_catalog_new(&catalog));
    CHECK(t, kw_project_by_name(catalog, KW_BYTES("shop")) == NULL);
    CHECK(t, kw_project_by_number(catalog, 5) == NULL);
    CHECK(t, kw_project_by_number(catalog, UINT16_MAX) == NULL);
    CHECK(t, kw_project_by_number(catalog, 0) == NULL);
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_PROJECT, "", SHOP));
    CHECK(t, kw_project_by_number(catalog, 5) == kw_project_by_name(catalog, KW_BYTES("shop")));
    CHECK(t, kw_project_by_number(catalog, 4) == NULL);
    CHECK_I64(t, kw_catalog_count(catalog, KW_DOCUMENT_PROJECT, KW_BYTES("")), 3);
    CHECK_STATUS(t, put(catalog, KW_DOCUMENT_POLICY, "nobody", "{\"name\":\"a\"}"), KW_E_NOT_FOUND);
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_POLICY, "shop", "{\"name\":\"a\"}"));
    CHECK(t, kw_policy_by_name(catalog, KW_BYTES("shop"), KW_BYTES("a")) != NULL);
    CHECK(t, kw_policy_by_name(catalog, KW_BYTES("default"), KW_BYTES("a")) == NULL);
    CHECK(t, kw_template_by_name(catalog, KW_BYTES("shop"), KW_BYTES("a")) == NULL);
    kw_catalog_free(catalog);
}

static void a_deleted_project_leaves_its_number(struct test *t)
{
    struct kw_catalog *catalog = NULL;
    REQUIRE_OK(t, kw_catalog_new(&catalog));
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_PROJECT, "", SHOP));
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_POLICY, "shop", "{\"name\":\"a\"}"));
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_PROJECT, "",
                      "{\"name\":\"shop\",\"number\":5,\"deletedAt\":\"2026-01-01T00:00:00Z\"}"));
    CHECK(t, kw_project_by_name(catalog, KW_BYTES("shop")) == NULL);
    CHECK(t, kw_project_by_number(catalog, 5) == NULL);
    CHECK_I64(t, kw_project_number(catalog, KW_BYTES("shop")), 5);
    CHECK_I64(t, catalog->number_count, 6);
    CHECK_I64(t, kw_catalog_count(catalog, KW_DOCUMENT_PROJECT, KW_BYTES("")), 2);
    CHECK(t, kw_policy_by_name(catalog, KW_BYTES("shop"), KW_BYTES("a")) == NULL);
    CHECK_STATUS(t, put(catalog, KW_DOCUMENT_POLICY, "shop", "{\"name\":\"a\"}"), KW_E_NOT_FOUND);
    CHECK(t, kw_catalog_after(catalog, KW_DOCUMENT_PROJECT, KW_BYTES(""), KW_BYTES("keyward")) == NULL);
    kw_catalog_free(catalog);
}

static void check_same(struct test *t, const struct kw_catalog *catalog, const uint64_t *versions)
{
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%c", (char)('a' + i));
        const struct kw_document *found =
            kw_catalog_find(catalog, KW_DOCUMENT_TEMPLATE, KW_BYTES("default"), kw_bytes_of_text(name));
        CHECK_I64(t, found == NULL ? 0 : found->version, versions[i]);
        count += versions[i] != 0;
    }
    CHECK_I64(t, kw_catalog_count(catalog, KW_DOCUMENT_TEMPLATE, KW_BYTES("default")), count);
    struct kw_bytes last = {NULL, 0};
    const struct kw_document *next = kw_catalog_after(catalog, KW_DOCUMENT_TEMPLATE, KW_BYTES("default"), last);
    for (; next != NULL; count--) {
        CHECK(t, last.size == 0 || kw_bytes_compare(last, next->name) < 0);
        last = next->name;
        next = kw_catalog_after(catalog, KW_DOCUMENT_TEMPLATE, KW_BYTES("default"), last);
    }
    CHECK_I64(t, count, 0);
}

static void copies_agree_with_a_plain_list(struct test *t)
{
    uint64_t versions[NAMES] = {0};
    struct kw_catalog *catalog = NULL;
    REQUIRE_OK(t, kw_catalog_new(&catalog));
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t before[NAMES];
        memcpy(before, versions, sizeof before);
        struct kw_catalog *next = NULL;
        REQUIRE_OK(t, kw_catalog_copy(catalog, &next));
        size_t at = test_random_below(t, NAMES);
        char json[64];
        snprintf(json, sizeof json, "{\"name\":\"n%c\",\"version\":%d}", (char)('a' + at), (int)round);
        struct kw_document *document = document_of(KW_DOCUMENT_TEMPLATE, "default", json);
        REQUIRE(t, document != NULL);
        if (test_random_below(t, 3) == 0) {
            CHECK_STATUS(t, kw_catalog_remove(next, document), versions[at] == 0 ? KW_E_NOT_FOUND : KW_OK);
            versions[at] = 0;
        } else {
            CHECK_STATUS(t, kw_catalog_put(next, document), KW_OK);
            versions[at] = round;
        }
        kw_document_release(document);
        check_same(t, catalog, before);
        check_same(t, next, versions);
        kw_catalog_free(catalog);
        catalog = next;
    }
    kw_catalog_free(catalog);
}

static void without_memory_a_copy_is_not_made(struct test *t)
{
    struct kw_catalog *catalog = NULL;
    REQUIRE_OK(t, kw_catalog_new(&catalog));
    REQUIRE_OK(t, put(catalog, KW_DOCUMENT_POLICY, "default", "{\"name\":\"a\"}"));
    struct kw_document *other = document_of(KW_DOCUMENT_POLICY, "default", "{\"name\":\"b\"}");
    REQUIRE(t, other != NULL);
    enum kw_status status = KW_E_MEMORY;
    for (int64_t count = 1; count < 50 && status != KW_OK; count++) {
        struct kw_catalog *copy = NULL;
        kw_alloc_fail_after(count);
        status = kw_catalog_copy(catalog, &copy);
        status = status != KW_OK ? status : kw_catalog_put(copy, other);
        kw_alloc_fail_after(-1);
        kw_catalog_free(copy);
        CHECK_I64(t, kw_catalog_count(catalog, KW_DOCUMENT_POLICY, KW_BYTES("default")), 1);
    }
    CHECK_STATUS(t, status, KW_OK);
    kw_document_release(other);
    kw_catalog_free(catalog);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(projects_are_found_by_name_and_number),
        TEST_CASE(a_deleted_project_leaves_its_number),
        TEST_CASE(copies_agree_with_a_plain_list),
        TEST_CASE(without_memory_a_copy_is_not_made),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
