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

static void check_told(struct test *t, const char *json, const struct kw_record *record, const char *message)
{
    struct kw_error error = {.code = ""};
    struct kw_document *document = policy_of(t, json);
    REQUIRE(t, document != NULL);
    CHECK_I64(t, kw_policy_admits(&document->is.policy, record, NOW_MS, &error) == KW_OK, false);
    CHECK_TEXT(t, error.message, message);
    kw_document_release(document);
}

/* Whoever may create keys need not be able to read the policy: the refusal says what is too much, or how much is not.
 */
static void refusals_say_what_is_beyond(struct test *t)
{
    uint8_t memory[4096];
    struct kw_arena arena;
    kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
    struct kw_bytes scopes[] = {KW_BYTES("orders:read"), KW_BYTES("orders:write")};
    struct kw_bytes rights[] = {KW_BYTES("read"), KW_BYTES("write")};
    struct resource_of resources[] = {{KW_BYTES("website:1"), list_of(&arena, rights, 2)}};
    struct kw_record record = {.env = KW_BYTES("live"),
                               .scopes = list_of(&arena, scopes, 2),
                               .resources = resources_of(&arena, resources, 1),
                               .expires_at_ms = NOW_MS + 7 * DAY_MS};
    check_told(t, "{\"name\":\"a\",\"environments\":[\"test\"]}", &record,
               "is none that the policy \"a\" allows: live");
    check_told(t, "{\"name\":\"a\",\"maxTtl\":\"6d\"}", &record,
               "lies further off than the policy \"a\" allows: at most 6d after the key's creation");
    check_told(t, "{\"name\":\"a\",\"requireIP\":true}", &record,
               "must name the addresses that the key may be used from: the policy \"a\" requires it");
    check_told(t, "{\"name\":\"a\",\"maxResources\":0}", &record, "are more than the policy \"a\" allows: at most 0");
    check_told(t, "{\"name\":\"a\",\"scopes\":[\"orders:read\"]}", &record,
               "go beyond what the policy \"a\" allows: orders:write");
    check_told(t, "{\"name\":\"a\",\"scopes\":[\"orders:*\"],\"resources\":{\"website:*\":[\"read\"]}}", &record,
               "go beyond what the policy \"a\" allows: write on website:1");
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

/* All that a record is too much in, by name. */
static void check_excess(struct test *t, const char *json, const struct kw_record *record, const char *expected)
{
    uint8_t memory[128];
    struct kw_buffer names;
    struct kw_document *document = policy_of(t, json);
    REQUIRE(t, document != NULL);
    kw_buffer_init_fixed(&names, memory, sizeof memory);
    unsigned excess = kw_policy_excess(&document->is.policy, record, NOW_MS);
    for (size_t i = 0; i < KW_EXCESS_COUNT; i++) {
        if ((excess >> i & 1) != 0) {
            kw_buffer_add_text(&names, kw_policy_excess_field(i));
            kw_buffer_add_byte(&names, ' ');
        }
    }
    CHECK_BYTES(t, kw_buffer_bytes(&names), kw_bytes_of_text(expected));
    kw_document_release(document);
}

static void every_excess_is_named(struct test *t)
{
    uint8_t memory[4096];
    struct kw_arena arena;
    kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
    struct kw_bytes scopes[] = {KW_BYTES("orders:read"), KW_BYTES("orders:write")};
    struct kw_bytes read[] = {KW_BYTES("read")};
    struct resource_of resources[] = {{KW_BYTES("website:1"), list_of(&arena, read, 1)}};
    struct kw_record record = {.env = KW_BYTES("live"),
                               .scopes = list_of(&arena, scopes, 2),
                               .resources = resources_of(&arena, resources, 1),
                               .expires_at_ms = NOW_MS + DAY_MS};
    check_excess(t, "{\"name\":\"a\",\"maxTtl\":\"1d\",\"environments\":[\"live\"]}", &record, "");
    check_excess(t, "{\"name\":\"a\",\"scopes\":[\"orders:read\"],\"maxTtl\":\"1h\"}", &record,
                 "expiresAt scopes resources ");
    check_excess(t, "{\"name\":\"a\",\"environments\":[\"test\"],\"requireIP\":true,\"maxResources\":0}", &record,
                 "env allowedIPs resources ");
    record.expires_at_ms = INT64_MAX; /* whatever a store hands out */
    check_excess(t, "{\"name\":\"a\",\"maxTtl\":\"1d\"}", &record, "expiresAt ");
    struct kw_document *document = policy_of(t, "{\"name\":\"a\",\"maxTtl\":\"1d\"}");
    REQUIRE(t, document != NULL);
    CHECK(t, !kw_policy_has_outlived(&document->is.policy, NOW_MS, NOW_MS + DAY_MS - 1));
    CHECK(t, kw_policy_has_outlived(&document->is.policy, NOW_MS, NOW_MS + DAY_MS));
    CHECK(t, kw_policy_has_outlived(&document->is.policy, INT64_MIN, NOW_MS));
    CHECK(t, !kw_policy_has_outlived(&document->is.policy, INT64_MAX, NOW_MS));
    kw_document_release(document);
    kw_arena_reset(&arena);
}

/* Only what a change takes away: a bound that is as wide as before, or wider, takes nothing. */
static void a_change_takes_what_is_less_than_before(struct test *t)
{
    static const struct {
        const char *before, *after;
        unsigned bits;
    } changes[] = {
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"description\":\"x\"}", 0},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"maxTtl\":\"1d\"}", KW_EXCESS_EXPIRY},
        {"{\"name\":\"a\",\"maxTtl\":\"1d\"}", "{\"name\":\"a\",\"maxTtl\":\"2d\"}", 0},
        {"{\"name\":\"a\",\"maxTtl\":\"2d\"}", "{\"name\":\"a\",\"maxTtl\":\"1d\"}", KW_EXCESS_EXPIRY},
        {"{\"name\":\"a\",\"maxTtl\":\"2d\"}", "{\"name\":\"a\"}", 0},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"requireIP\":true}", KW_EXCESS_ADDRESSES},
        {"{\"name\":\"a\",\"requireIP\":true}", "{\"name\":\"a\",\"requireIP\":true}", 0},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"maxResources\":3}", KW_EXCESS_RESOURCE_COUNT},
        {"{\"name\":\"a\",\"maxResources\":2}", "{\"name\":\"a\",\"maxResources\":3}", 0},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"environments\":[\"live\",\"test\"]}", KW_EXCESS_ENV},
        {"{\"name\":\"a\",\"environments\":[\"live\"]}", "{\"name\":\"a\",\"environments\":[\"test\",\"live\"]}", 0},
        {"{\"name\":\"a\",\"environments\":[\"live\",\"test\"]}", "{\"name\":\"a\",\"environments\":[\"test\"]}",
         KW_EXCESS_ENV},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"scopes\":[\"*\"]}", KW_EXCESS_SCOPES | KW_EXCESS_RESOURCES},
        {"{\"name\":\"a\",\"scopes\":[\"a:b\"]}", "{\"name\":\"a\",\"scopes\":[\"a:*\"]}", 0},
        {"{\"name\":\"a\",\"scopes\":[\"a:*\"]}", "{\"name\":\"a\",\"scopes\":[\"a:b\"]}",
         KW_EXCESS_SCOPES | KW_EXCESS_RESOURCES},
        {"{\"name\":\"a\",\"scopes\":[\"a:b\"]}", "{\"name\":\"a\"}", 0},
        {NULL, "{\"name\":\"a\",\"requireIP\":true}", KW_EXCESS_ADDRESSES},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"quotas\":[{\"limit\":5,\"period\":\"day\"}]}", KW_EXCESS_QUOTAS},
        {"{\"name\":\"a\",\"quotas\":[{\"limit\":5,\"period\":\"day\"}]}",
         "{\"name\":\"a\",\"quotas\":[{\"limit\":6,\"period\":\"day\"}]}", 0},
        {"{\"name\":\"a\",\"quotas\":[{\"limit\":5,\"period\":\"day\"}]}",
         "{\"name\":\"a\",\"quotas\":[{\"limit\":5,\"period\":\"day\",\"per\":\"owner\"}]}", KW_EXCESS_QUOTAS},
        {"{\"name\":\"a\",\"rateLimits\":[{\"requests\":5,\"window\":\"1m\"}]}",
         "{\"name\":\"a\",\"rateLimits\":[{\"requests\":5,\"window\":\"1m\",\"per\":\"org\"}]}", KW_EXCESS_RATE_LIMITS},
    };
    for (size_t i = 0; i < KW_COUNT_OF(changes); i++) {
        struct kw_document *before = changes[i].before == NULL ? NULL : policy_of(t, changes[i].before);
        struct kw_document *after = policy_of(t, changes[i].after);
        REQUIRE(t, after != NULL);
        unsigned bits = kw_policy_tightened(before == NULL ? NULL : &before->is.policy, &after->is.policy);
        if (bits != changes[i].bits) {
            test_fail(t, __FILE__, __LINE__, "row %zu: %u instead of %u", i, bits, changes[i].bits);
        }
        kw_document_release(before);
        kw_document_release(after);
    }
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
        TEST_CASE(refusals_say_what_is_beyond),
        TEST_CASE(each_bound_holds),
        TEST_CASE(every_excess_is_named),
        TEST_CASE(a_change_takes_what_is_less_than_before),
        TEST_CASE(only_its_creators_make_keys_under_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
