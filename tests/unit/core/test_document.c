/* Documents: what a caller sends becomes what is kept, and what is kept is read again; nothing else passes. */
#include "core/document.h"

#include "core/catalog.h"
#include "support/test.h"

#define NOW_MS INT64_C(1767225600000)

static enum kw_status make(enum kw_document_kind kind, const struct kw_document *before, const char *json,
                           struct kw_document **document_out, struct kw_error *error_out)
{
    struct kw_document_change change = {.kind = kind,
                                        .before = before,
                                        .json = kw_bytes_of_text(json),
                                        .project = KW_BYTES("shop"),
                                        .number = 7,
                                        .now_ms = NOW_MS};
    return kw_document_make(&change, document_out, error_out);
}

static void a_new_project_gets_what_it_does_not_say(struct test *t)
{
    struct kw_document *made = NULL;
    struct kw_error error = {.message = ""};
    REQUIRE_OK(t, make(KW_DOCUMENT_PROJECT, NULL, " { \"name\" : \"shop\" } ", &made, &error));
    CHECK_BYTES(t, made->json,
                KW_BYTES("{\"name\":\"shop\",\"number\":7,\"version\":1,\"createdAt\":\"2026-01-01T00:00:00.000Z\","
                         "\"updatedAt\":\"2026-01-01T00:00:00.000Z\",\"environments\":[{\"name\":\"live\","
                         "\"secretPrefix\":\"sk_live_\",\"publicPrefix\":\"pk_live_\"},{\"name\":\"test\","
                         "\"secretPrefix\":\"sk_test_\",\"publicPrefix\":\"pk_test_\"}],\"presets\":{},"
                         "\"keyHeaders\":[\"Authorization\",\"X-API-Key\"],\"allowKeyInQuery\":\"never\"}"));
    const struct kw_project *project = &made->is.project;
    CHECK_I64(t, project->number, 7);
    CHECK_I64(t, project->environment_count, 2);
    CHECK_BYTES(t, project->environments[1].public_keys.prefix, KW_BYTES("pk_test_"));
    CHECK_I64(t, project->key_place_count, 2);
    CHECK_I64(t, project->key_places[1].kind, KW_KEY_IN_X_API_KEY);
    kw_document_release(made);
}

static void built_in_projects_are_what_the_catalog_says(struct test *t)
{
    struct kw_catalog *catalog = NULL;
    REQUIRE_OK(t, kw_catalog_new(&catalog));
    for (int number = KW_PROJECT_DEFAULT; number <= KW_PROJECT_KEYWARD; number++) {
        const struct kw_project *built_in = kw_project_built_in(number);
        const struct kw_project *project = kw_project_by_number(catalog, number);
        REQUIRE(t, built_in != NULL && project != NULL);
        CHECK_BYTES(t, project->name, built_in->name);
        REQUIRE(t, project->environment_count == built_in->environment_count);
        for (size_t i = 0; i < project->environment_count; i++) {
            const struct kw_environment *one = &project->environments[i];
            const struct kw_environment *other = &built_in->environments[i];
            CHECK_BYTES(t, one->name, other->name);
            CHECK_BYTES(t, one->secret_keys.prefix, other->secret_keys.prefix);
            CHECK_BYTES(t, one->public_keys.prefix, other->public_keys.prefix);
            CHECK_I64(t, one->secret_keys.length, other->secret_keys.length);
        }
    }
    kw_catalog_free(catalog);
}

static void a_change_replaces_and_null_takes_back(struct test *t)
{
    struct kw_document *first = NULL;
    struct kw_document *second = NULL;
    struct kw_document *third = NULL;
    struct kw_error error = {.message = ""};
    REQUIRE_OK(t, make(KW_DOCUMENT_PROJECT, NULL,
                       "{\"name\":\"shop\",\"presets\":{\"a\":[\"x\"]},\"maxExpiresIn\":\"90d\"}", &first, &error));
    REQUIRE_OK(t, make(KW_DOCUMENT_PROJECT, first, "{\"defaultExpiresIn\":\"1d\",\"keyHeaders\":[\"X-Own\"]}", &second,
                       &error));
    CHECK_I64(t, second->version, 2);
    CHECK_I64(t, second->is.project.number, 7);
    CHECK_I64(t, second->is.project.max_expires_in_ms, INT64_C(90) * 86400000);
    CHECK_I64(t, second->is.project.default_expires_in_ms, 86400000);
    CHECK_I64(t, second->is.project.key_place_count, 1);
    REQUIRE_OK(t,
               make(KW_DOCUMENT_PROJECT, second,
                    "{\"maxExpiresIn\":null,\"keyHeaders\":null,\"presets\":null,\"name\":\"shop\"}", &third, &error));
    CHECK_I64(t, third->is.project.max_expires_in_ms, 0);
    CHECK_I64(t, third->is.project.key_place_count, 2);
    CHECK_I64(t, third->is.project.preset_count, 0);

    uint8_t memory[512];
    struct kw_buffer text;
    struct kw_json_writer json;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    kw_json_writer_init(&json, &text);
    REQUIRE_OK(t, kw_document_write_changes(KW_DOCUMENT_PROJECT, second, third, &json));
    CHECK_BYTES(
        t, kw_buffer_bytes(&text),
        KW_BYTES("{\"maxExpiresIn\":{\"from\":\"90d\",\"to\":null},\"presets\":{\"from\":{\"a\":[\"x\"]},\"to\":{}},"
                 "\"keyHeaders\":{\"from\":[\"X-Own\"],\"to\":[\"Authorization\",\"X-API-Key\"]}}"));
    kw_document_release(first);
    kw_document_release(second);
    kw_document_release(third);
}

static void what_is_kept_is_read_again(struct test *t)
{
    struct kw_document *made = NULL;
    struct kw_document *read = NULL;
    struct kw_error error = {.message = ""};
    REQUIRE_OK(t, make(KW_DOCUMENT_TEMPLATE, NULL,
                       "{\"name\":\"ci\",\"fields\":{\"ownerId\":\"1\",\"tags\":[\"\\u0061b\"],\"expiresAt\":"
                       "\"1990-01-01T00:00:00Z\"},\"locked\":[\"tags\",\"expiresIn\"]}",
                       &made, &error));
    REQUIRE_OK(t, kw_document_read(KW_DOCUMENT_TEMPLATE, KW_BYTES("shop"), made->json, &read));
    CHECK_BYTES(t, read->json, made->json);
    CHECK_BYTES(t, read->project, KW_BYTES("shop"));
    CHECK_BYTES(t, read->is.template.params.owner, KW_BYTES("user:1"));
    CHECK_BYTES(t, read->is.template.params.tags[0], KW_BYTES("ab"));
    CHECK_I64(t, read->is.template.locked, KW_GIVEN_TAGS | KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN);
    kw_document_release(made);
    kw_document_release(read);
    CHECK_STATUS(t,
                 kw_document_read(KW_DOCUMENT_POLICY, KW_BYTES("shop"), KW_BYTES("{\"name\":\"a\",\"new\":1}"), &read),
                 KW_E_NEWER);
    CHECK_STATUS(t, kw_document_read(KW_DOCUMENT_POLICY, KW_BYTES("shop"), KW_BYTES("{\"name\":\"a\""), &read),
                 KW_E_CORRUPT);
    CHECK_STATUS(t, kw_document_read(KW_DOCUMENT_POLICY, KW_BYTES("shop"), KW_BYTES("{}"), &read), KW_E_CORRUPT);
}

static void what_is_left_of_a_project_is_its_name_and_number(struct test *t)
{
    struct kw_document *made = NULL;
    struct kw_document *left = NULL;
    struct kw_error error = {.message = ""};
    REQUIRE_OK(t, make(KW_DOCUMENT_PROJECT, NULL, "{\"name\":\"shop\"}", &made, &error));
    REQUIRE_OK(t, kw_document_tombstone(made, NOW_MS, &left, &error));
    CHECK_BYTES(t, left->json,
                KW_BYTES("{\"name\":\"shop\",\"number\":7,\"version\":2,\"deletedAt\":"
                         "\"2026-01-01T00:00:00.000Z\"}"));
    CHECK(t, left->is_deleted);
    CHECK_I64(t, left->is.project.number, 7);
    kw_document_release(made);
    kw_document_release(left);
}

struct refusal {
    enum kw_document_kind kind;
    const char *json, *code, *field;
};

#define ENV(rest) "{\"name\":\"p\",\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"a_\"" rest "]}"

#define AUTHORIZE(rest) "{\"name\":\"p\",\"authorize\":{\"orders\":{" rest "}}}"

static const struct refusal refusals[] = {
    {KW_DOCUMENT_PROJECT, "[]", "INVALID_REQUEST", ""},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\"}x", "INVALID_JSON", ""},
    {KW_DOCUMENT_PROJECT, "{}", "MISSING_FIELD", "name"},
    {KW_DOCUMENT_PROJECT, "{\"name\":null}", "INVALID_FIELD", "name"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"P\"}", "INVALID_FIELD", "name"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"name\":\"p\"}", "DUPLICATE_FIELD", "name"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"x\":1}", "UNKNOWN_FIELD", "x"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"deletedAt\":\"2026-01-01T00:00:00Z\"}", "CANNOT_CHANGE_FIELD",
     "deletedAt"},
    {KW_DOCUMENT_PROJECT, ENV(",\"length\":21}"), "WEAK_KEY_FORMAT", "environments[0].length"},
    {KW_DOCUMENT_PROJECT, ENV(",\"length\":128,\"alphabet\":\"0\"}"), "INVALID_FIELD", "environments[0].alphabet"},
    {KW_DOCUMENT_PROJECT, ENV(",\"publicPrefix\":\"a_b_\"}"), "INVALID_FIELD", "environments[0].publicPrefix"},
    {KW_DOCUMENT_PROJECT, ENV("},{\"name\":\"b\",\"secretPrefix\":\"a_b_\"}"), "INVALID_FIELD",
     "environments[1].secretPrefix"},
    {KW_DOCUMENT_PROJECT, ENV("},{\"name\":\"live\",\"secretPrefix\":\"b_\"}"), "INVALID_FIELD",
     "environments[1].name"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"keyHeaders\":[\"Authorization\",\"AUTHORIZATION\"]}", "INVALID_FIELD",
     "keyHeaders[1]"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"allowKeyInQuery\":[]}", "INVALID_FIELD", "allowKeyInQuery"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"maxExpiresIn\":\"1h\",\"defaultExpiresIn\":\"61m\"}", "INVALID_FIELD",
     "defaultExpiresIn"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"presets\":{\"*\":[\"read\"]}}", "INVALID_FIELD", "presets"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"authorize\":[]}", "INVALID_FIELD", "authorize"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"authorize\":{\"a.b\":{}}}", "INVALID_FIELD", "authorize"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"authorize\":{\"a\":{},\"\\u0061\":{}}}", "INVALID_JSON", ""},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"authorize\":{\"a\":true}}", "INVALID_FIELD", "authorize.a"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"env\":\"prod\""), "INVALID_FIELD", "authorize.orders.env"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"scope\":\"read\""), "UNKNOWN_FIELD", "authorize.orders.scope"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"scopes\":\"read\""), "INVALID_FIELD", "authorize.orders.scopes"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"scopes\":[\"read\",\"a b\"]"), "INVALID_FIELD", "authorize.orders.scopes[1]"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"require\":\"read AND\""), "INVALID_FIELD", "authorize.orders.require"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"resource\":{\"type\":\"website\"}"), "MISSING_FIELD",
     "authorize.orders.resource.id"},
    {KW_DOCUMENT_PROJECT, AUTHORIZE("\"resource\":{\"type\":\"Web\",\"id\":\"1\"}"), "INVALID_FIELD",
     "authorize.orders.resource.type"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"creators\":[\"key_1\"]}", "INVALID_FIELD", "creators[0]"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"resources\":{\"a:1\":[\"read\"],\"b\":[\"read\"]}}", "INVALID_FIELD",
     "resources.b"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"number\":1}", "CANNOT_CHANGE_FIELD", "number"},
    {KW_DOCUMENT_TEMPLATE, "{\"name\":\"p\",\"fields\":{\"tags\":[\" \"]}}", "INVALID_FIELD", "fields.tags[0]"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"metrics\":[\"Images\"]}", "INVALID_FIELD", "metrics[0]"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"metrics\":[\"images\",\"cost\"]}", "INVALID_FIELD", "metrics[1]"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"metrics\":[\"images\",\"minutes\",\"images\"]}", "INVALID_FIELD",
     "metrics[2]"},
    {KW_DOCUMENT_PROJECT,
     "{\"name\":\"p\",\"metrics\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\","
     "\"o\",\"p\",\"q\"]}",
     "INVALID_FIELD", "metrics"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"metric\":\"images\"}]}",
     "INVALID_FIELD", "quotas[0].metric"},
    {KW_DOCUMENT_PROJECT,
     "{\"name\":\"p\",\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"a_\",\"quotas\":[{\"limit\":1,\"period\":"
     "\"day\",\"metric\":\"images\"}]}]}",
     "INVALID_FIELD", "environments[0].quotas[0].metric"},
    {KW_DOCUMENT_PROJECT, "{\"name\":\"p\",\"rateLimits\":[{\"requests\":1,\"window\":\"1s\",\"per\":\"team\"}]}",
     "INVALID_FIELD", "rateLimits[0].per"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1}]}", "MISSING_FIELD", "quotas[0].period"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":\"1\",\"period\":\"day\"}]}", "INVALID_FIELD",
     "quotas[0].limit"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":0.0000001,\"period\":\"day\"}]}", "INVALID_FIELD",
     "quotas[0].limit"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1000000000000.1,\"period\":\"day\"}]}",
     "INVALID_FIELD", "quotas[0].limit"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"fortnight\"}]}", "INVALID_FIELD",
     "quotas[0].period"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"warnAt\":[]}]}",
     "INVALID_FIELD", "quotas[0].warnAt"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"warnAt\":[101]}]}",
     "INVALID_FIELD", "quotas[0].warnAt[0]"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"warnAt\":[1,2,3,4,5]}]}",
     "INVALID_FIELD", "quotas[0].warnAt"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"warnAt\":80}]}",
     "INVALID_FIELD", "quotas[0].warnAt"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"throttle\":{\"requests\":1}}]}",
     "MISSING_FIELD", "quotas[0].throttle.window"},
    {KW_DOCUMENT_POLICY, "{\"name\":\"p\",\"quotas\":[{\"limit\":1,\"period\":\"day\",\"onExceeded\":\"throttle\"}]}",
     "MISSING_FIELD", "quotas[0].throttle"},
    {KW_DOCUMENT_TEMPLATE, "{\"name\":\"p\",\"fields\":{\"quota\":{\"limit\":1,\"period\":\"day\"},\"quotas\":[]}}",
     "INVALID_FIELD", "fields.quota"},
    {KW_DOCUMENT_TEMPLATE,
     "{\"name\":\"p\",\"fields\":{\"rateLimit\":{\"requests\":1,\"window\":\"1s\"},\"rateLimits\":[]}}",
     "INVALID_FIELD", "fields.rateLimit"},
    {KW_DOCUMENT_TEMPLATE, "{\"name\":\"p\",\"locked\":[\"scopes\",\"nothing\"]}", "INVALID_FIELD", "locked[1]"},
};

static void every_refusal_names_its_field(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(refusals); i++) {
        struct kw_document *made = NULL;
        struct kw_error error = {.code = ""};
        CHECK(t, make(refusals[i].kind, NULL, refusals[i].json, &made, &error) != KW_OK);
        CHECK(t, made == NULL);
        CHECK_TEXT(t, error.code, refusals[i].code);
        CHECK_TEXT(t, error.field, refusals[i].field);
    }
}

/* Every allocation fails in turn; none of it may leak, which a sanitizer sees. */
static void without_memory_nothing_is_made(struct test *t)
{
    enum kw_status status = KW_E_MEMORY;
    for (int64_t count = 1; count < 100 && status != KW_OK; count++) {
        struct kw_document *made = NULL;
        struct kw_error error;
        kw_alloc_fail_after(count);
        status =
            make(KW_DOCUMENT_TEMPLATE, NULL, "{\"name\":\"ci\",\"fields\":{\"tags\":[\"\\u0061\"]}}", &made, &error);
        kw_alloc_fail_after(-1);
        CHECK(t, status == KW_OK || status == KW_E_MEMORY || status == KW_E_BUSY || status == KW_E_UNAVAILABLE);
        kw_document_release(made);
    }
    CHECK_STATUS(t, status, KW_OK);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_new_project_gets_what_it_does_not_say),
        TEST_CASE(built_in_projects_are_what_the_catalog_says),
        TEST_CASE(a_change_replaces_and_null_takes_back),
        TEST_CASE(what_is_kept_is_read_again),
        TEST_CASE(what_is_left_of_a_project_is_its_name_and_number),
        TEST_CASE(every_refusal_names_its_field),
        TEST_CASE(without_memory_nothing_is_made),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
