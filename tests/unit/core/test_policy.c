/* Whether records keep within policies: each bound alone, at its edge and one beyond. */
#include "core/document.h"

#include "records.h"

#define NOW_MS INT64_C(1767225600000)
#define DAY_MS INT64_C(86400000)

static struct kw_document *policy_of(struct test *t, const char *json)
{
    struct kw_document *document = NULL;
    if (kw_document_read(KW_DOCUMENT_POLICY, KW_BYTES("default"), kw_bytes_of_text(json), &document) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "no policy: %s", json);
    }
    return document;
}

/* NULL: the policy admits it; else the field that it names. */
static void check(struct test *t, const char *json, const struct kw_record *record, const char *field)
{
    struct kw_error error = {.code = ""};
    struct kw_document *document = policy_of(t, json);
    REQUIRE(t, document != NULL);
    enum kw_status status = kw_policy_admits(&document->is.policy, record, NOW_MS, &error);
    CHECK_I64(t, status == KW_OK, field == NULL);
    if (field != NULL) {
        CHECK_TEXT(t, error.code, "POLICY_VIOLATION");
        CHECK_TEXT(t, error.field, field);
    }
    kw_document_release(document);
}

static void each_bound_holds(struct test *t)
{
    uint8_t memory[4096];
    struct kw_arena arena;
    kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
    struct kw_bytes scopes[] = {KW_BYTES("orders:read"), KW_BYTES("orders:write")};
    struct kw_bytes read[] = {KW_BYTES("read")};
    struct resource_of resources[] = {{KW_BYTES("website:1"), list_of(&arena, read, 1)},
                                      {KW_BYTES("website:2"), list_of(&arena, read, 1)}};
    struct kw_record record = {.env = KW_BYTES("live"),
                               .scopes = list_of(&arena, scopes, 2),
                               .resources = resources_of(&arena, resources, 2),
                               .expires_at_ms = NOW_MS + 7 * DAY_MS};
    check(t, "{\"name\":\"a\"}", &record, NULL);
    check(t, "{\"name\":\"a\",\"environments\":[\"test\",\"live\"]}", &record, NULL);
    check(t, "{\"name\":\"a\",\"environments\":[\"test\"]}", &record, "env");
    check(t, "{\"name\":\"a\",\"maxTtl\":\"7d\"}", &record, NULL);
    check(t, "{\"name\":\"a\",\"maxTtl\":\"604799999ms\"}", &record, "expiresAt");
    check(t, "{\"name\":\"a\",\"maxResources\":2}", &record, NULL);
    check(t, "{\"name\":\"a\",\"maxResources\":1}", &record, "resources");
    check(t, "{\"name\":\"a\",\"maxResources\":0}", &record, "resources");
    check(t, "{\"name\":\"a\",\"scopes\":[\"*\"]}", &record, NULL);
    check(t, "{\"name\":\"a\",\"scopes\":[\"orders:*\",\"read\"]}", &record, NULL);
    check(t, "{\"name\":\"a\",\"scopes\":[\"orders:*\"],\"resources\":{\"website:*\":[\"read\"]}}", &record, NULL);
    check(t, "{\"name\":\"a\",\"scopes\":[\"orders:*\"]}", &record, "resources");
    check(t, "{\"name\":\"a\",\"scopes\":[\"orders:*\"],\"resources\":{\"website:1\":[\"read\"]}}", &record,
          "resources");
    check(t, "{\"name\":\"a\",\"scopes\":[\"orders:read\"],\"resources\":{\"*\":[\"*\"]}}", &record, "scopes");
    check(t, "{\"name\":\"a\",\"scopes\":[]}", &record, "scopes");
    check(t, "{\"name\":\"a\",\"requireIP\":true}", &record, "allowedIPs");
    check(t, "{\"name\":\"a\",\"requireIP\":false}", &record, NULL);
    record.allowed_ips.count = 1; /* which ones does not matter here */
    check(t, "{\"name\":\"a\",\"requireIP\":true}", &record, NULL);
    record.expires_at_ms = 0;
    check(t, "{\"name\":\"a\",\"maxTtl\":\"100y\"}", &record, "expiresAt");
    kw_arena_reset(&arena);
}

static void only_its_creators_make_keys_under_it(struct test *t)
{
    struct kw_error error;
    struct kw_document *open = policy_of(t, "{\"name\":\"a\"}");
    struct kw_document *closed = policy_of(t, "{\"name\":\"a\",\"creators\":[\"key_01JD5W3K2M8Q4T6V9X0Z1B3D5F\"]}");
    REQUIRE(t, open != NULL && closed != NULL);
    struct kw_bytes one = KW_BYTES("key:key_01JD5W3K2M8Q4T6V9X0Z1B3D5F");
    struct kw_bytes other = KW_BYTES("key:key_01JD5W3K2M8Q4T6V9X0Z1B3D5G");
    CHECK_STATUS(t, kw_policy_lets_create(&open->is.policy, other, &error), KW_OK);
    CHECK_STATUS(t, kw_policy_lets_create(&closed->is.policy, one, &error), KW_OK);
    CHECK_STATUS(t, kw_policy_lets_create(&closed->is.policy, KW_BYTES("operator"), &error), KW_OK);
    CHECK(t, kw_policy_lets_create(&closed->is.policy, other, &error) != KW_OK);
    CHECK_TEXT(t, error.code, "POLICY_VIOLATION");
    CHECK(t, kw_policy_lets_create(&closed->is.policy, KW_BYTES("library"), &error) != KW_OK);
    kw_document_release(open);
    kw_document_release(closed);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(each_bound_holds),
        TEST_CASE(only_its_creators_make_keys_under_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
