/* Requests bound by the tables that are made of api/keyward.yaml. */
#include "base/error.h"
#include "core/schema.h"
#include "server/bodies.h"
#include "server/router.h"
#include "support/test.h"

#include <stdio.h>

#define ARENA_MAX (4 * 1024 * 1024)

/* One request on its way into its struct. */
struct binding {
    struct kw_arena arena;
    struct kw_error error;
    enum kw_status status;
    void *out;
};

static const struct kw_route *route_of(enum kw_method method, const char *path)
{
    return kw_route_find(method, kw_bytes_of_text(path)).route;
}

static struct binding begin(const struct kw_schema *schema)
{
    struct binding binding = {0};
    kw_arena_init(&binding.arena, NULL, 0, ARENA_MAX);
    kw_error_clear(&binding.error);
    binding.out = kw_arena_take(&binding.arena, schema->size);
    return binding;
}

static struct binding bind(enum kw_method method, const char *path, const char *body)
{
    const struct kw_schema *schema = route_of(method, path)->body;
    struct binding binding = begin(schema);
    binding.status = kw_schema_bind_json(schema, kw_bytes_of_text(body), &binding.arena, binding.out, &binding.error);
    return binding;
}

static struct binding bind_query(const char *query)
{
    const struct kw_schema *schema = route_of(KW_GET, "/v1/keys")->query;
    struct binding binding = begin(schema);
    binding.status = kw_schema_bind_query(schema, kw_bytes_of_text(query), &binding.arena, binding.out, &binding.error);
    return binding;
}

static void end(struct binding *binding)
{
    kw_arena_reset(&binding->arena);
}

struct refusal {
    const char *input, *code, *field;
};

static void check_refusal(struct test *t, const struct refusal *expected, struct binding *binding)
{
    CHECK(t, binding->status != KW_OK);
    if (binding->status == KW_OK || strcmp(binding->error.code, expected->code) != 0 ||
        strcmp(binding->error.field, expected->field) != 0) {
        test_fail(t, __FILE__, __LINE__, "%.80s: %s at \"%s\" instead of %s at \"%s\"", expected->input,
                  binding->status == KW_OK ? "taken" : binding->error.code, binding->error.field, expected->code,
                  expected->field);
    }
    end(binding);
}

static void a_creation_is_bound_whole(struct test *t)
{
    struct binding binding =
        bind(KW_POST, "/v1/keys",
             "{\"owner\":\"team:9\",\"env\":\"test\",\"isPublic\":true,\"orgId\":\"acme\",\"name\":\"N\\u00e4me\","
             "\"description\":\"d\",\"tags\":[\"a\",\"b\"],\"metadata\":{ \"x y\" : [ 1 , \"\\\" \" ] },"
             "\"scopes\":[\"read\"],\"resources\":{\"website:1\":[\"r\",\"w\"],\"website:2\":[]},"
             "\"expiresIn\":\"90d\"}");
    REQUIRE_OK(t, binding.status);
    const struct kw_key_params *params = &((const struct kw_key_body *)binding.out)->params;
    CHECK_I64(t, params->given,
              KW_GIVEN_OWNER | KW_GIVEN_ENV | KW_GIVEN_PUBLIC | KW_GIVEN_ORG | KW_GIVEN_NAME | KW_GIVEN_DESCRIPTION |
                  KW_GIVEN_TAGS | KW_GIVEN_METADATA | KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES | KW_GIVEN_EXPIRES_IN);
    CHECK_BYTES(t, params->owner, KW_BYTES("team:9"));
    CHECK_BYTES(t, params->env, KW_BYTES("test"));
    CHECK(t, params->is_public);
    CHECK_BYTES(t, params->name, KW_BYTES("N\xc3\xa4me"));
    CHECK_I64(t, params->tag_count, 2);
    CHECK_BYTES(t, params->tags[1], KW_BYTES("b"));
    CHECK_BYTES(t, params->metadata, KW_BYTES("{\"x y\":[1,\"\\\" \"]}"));
    CHECK_I64(t, params->scope_count, 1);
    REQUIRE(t, params->resource_count == 2);
    CHECK_BYTES(t, params->resources[0].resource, KW_BYTES("website:1"));
    CHECK_I64(t, params->resources[0].scope_count, 2);
    CHECK_BYTES(t, params->resources[0].scopes[1], KW_BYTES("w"));
    CHECK_I64(t, params->resources[1].scope_count, 0);
    CHECK_I64(t, params->expires_in_ms, INT64_C(90) * 86400 * 1000);
    end(&binding);
}

static void an_owner_id_is_a_user(struct test *t)
{
    struct binding binding = bind(KW_POST, "/v1/keys", "{\"ownerId\":\"team:1\"}");
    REQUIRE_OK(t, binding.status);
    CHECK_BYTES(t, ((const struct kw_key_body *)binding.out)->params.owner, KW_BYTES("user:team:1"));
    end(&binding);
}

static void null_clears_in_an_update(struct test *t)
{
    struct binding binding = bind(KW_PATCH, "/v1/keys/x", "{\"name\":null,\"tags\":null,\"expiresAt\":null}");
    REQUIRE_OK(t, binding.status);
    const struct kw_key_params *params = &((const struct kw_key_body *)binding.out)->params;
    CHECK_I64(t, params->given, KW_GIVEN_NAME | KW_GIVEN_TAGS | KW_GIVEN_EXPIRES_AT);
    CHECK_I64(t, params->name.size + params->tag_count, 0);
    CHECK_I64(t, params->expires_at_ms, 0);
    end(&binding);
}

/* 0 means "no expiry" inside: what was before must stay before. */
static void the_first_moment_of_1970_is_no_clearing(struct test *t)
{
    struct binding binding = bind(KW_PATCH, "/v1/keys/x", "{\"expiresAt\":\"1970-01-01T00:00:00Z\"}");
    REQUIRE_OK(t, binding.status);
    CHECK_I64(t, ((const struct kw_key_body *)binding.out)->params.expires_at_ms, 1);
    end(&binding);
}

static void bad_creations_name_their_field(struct test *t)
{
    static const struct refusal cases[] = {
        {"", "INVALID_JSON", ""},
        {"[]", "INVALID_REQUEST", ""},
        {"\"x\"", "INVALID_REQUEST", ""},
        {"{\"ownerId\":\"1\"", "INVALID_JSON", ""},
        {"{\"ownerId\":\"1\"} x", "INVALID_JSON", ""},
        {"{\"ownerId\":\"1\",\"owner\":\"team:2\"}", "INVALID_FIELD", "owner"},
        {"{\"owner\":\"bob\"}", "INVALID_FIELD", "owner"},
        {"{\"owner\":\"team:\"}", "INVALID_FIELD", "owner"},
        {"{\"ownerId\":\"\"}", "INVALID_FIELD", "ownerId"},
        {"{\"ownerId\":1}", "INVALID_FIELD", "ownerId"},
        {"{\"ownerId\":null}", "INVALID_FIELD", "ownerId"},
        {"{\"ownerId\":\"1\",\"nane\":\"x\"}", "UNKNOWN_FIELD", "nane"},
        {"{\"ownerId\":\"1\",\"Name\":\"x\"}", "UNKNOWN_FIELD", "Name"},
        {"{\"ownerId\":\"1\",\"\":\"x\"}", "UNKNOWN_FIELD", ""},
        {"{\"ownerId\":\"1\",\"ownerId\":\"1\"}", "DUPLICATE_FIELD", "ownerId"},
        {"{\"ownerId\":\"1\",\"own\\u0065rId\":\"1\"}", "DUPLICATE_FIELD", "ownerId"},
        {"{\"ownerId\":\"1\",\"name\":7}", "INVALID_FIELD", "name"},
        {"{\"ownerId\":\"1\",\"name\":null}", "INVALID_FIELD", "name"},
        {"{\"ownerId\":\"1\",\"isPublic\":\"true\"}", "INVALID_FIELD", "isPublic"},
        {"{\"ownerId\":\"1\",\"tags\":\"a\"}", "INVALID_FIELD", "tags"},
        {"{\"ownerId\":\"1\",\"tags\":[\"a\",\"b\",3]}", "INVALID_FIELD", "tags[2]"},
        {"{\"ownerId\":\"1\",\"tags\":[\"\"]}", "INVALID_FIELD", "tags[0]"},
        {"{\"ownerId\":\"1\",\"tags\":[null]}", "INVALID_FIELD", "tags[0]"},
        {"{\"ownerId\":\"1\",\"scopes\":[\"a b\"]}", "INVALID_FIELD", "scopes[0]"},
        {"{\"ownerId\":\"1\",\"scopes\":[\"a\",\"b:*:c\"]}", "INVALID_FIELD", "scopes[1]"},
        {"{\"ownerId\":\"1\",\"resources\":[]}", "INVALID_FIELD", "resources"},
        {"{\"ownerId\":\"1\",\"resources\":{\"w:1\":\"read\"}}", "INVALID_FIELD", "resources.w:1"},
        {"{\"ownerId\":\"1\",\"resources\":{\"w:1\":[\"a\",\"?\"]}}", "INVALID_FIELD", "resources.w:1[1]"},
        {"{\"ownerId\":\"1\",\"resources\":{\"w:1\":[],\"w:1\":[]}}", "DUPLICATE_FIELD", "resources.w:1"},
        {"{\"ownerId\":\"1\",\"metadata\":\"{}\"}", "INVALID_FIELD", "metadata"},
        {"{\"ownerId\":\"1\",\"metadata\":[]}", "INVALID_FIELD", "metadata"},
        {"{\"ownerId\":\"1\",\"metadata\":{\"a\":1,\"a\":2}}", "INVALID_JSON", ""},
        {"{\"ownerId\":\"1\",\"expiresIn\":\"90\"}", "INVALID_FIELD", "expiresIn"},
        {"{\"ownerId\":\"1\",\"expiresIn\":\"0d\"}", "INVALID_FIELD", "expiresIn"},
        {"{\"ownerId\":\"1\",\"expiresIn\":90}", "INVALID_FIELD", "expiresIn"},
        {"{\"ownerId\":\"1\",\"expiresIn\":\"101y\"}", "INVALID_FIELD", "expiresIn"},
        {"{\"ownerId\":\"1\",\"expiresAt\":\"2027-02-29T00:00:00Z\"}", "INVALID_FIELD", "expiresAt"},
        {"{\"ownerId\":\"1\",\"expiresAt\":\"2027-02-28\"}", "INVALID_FIELD", "expiresAt"},
        {"{\"ownerId\":\"1\",\"expiresAt\":1893456000}", "INVALID_FIELD", "expiresAt"},
        {"{\"ownerId\":\"1\",\"expiresAt\":\"2099-01-01T00:00:00Z\",\"expiresIn\":\"1d\"}", "INVALID_FIELD",
         "expiresIn"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct binding binding = bind(KW_POST, "/v1/keys", cases[i].input);
        check_refusal(t, &cases[i], &binding);
    }
}

static void bad_verifications_name_their_field(struct test *t)
{
    static const struct refusal cases[] = {
        {"{}", "MISSING_FIELD", "key"},
        {"{\"key\":1}", "INVALID_FIELD", "key"},
        {"{\"key\":null}", "INVALID_FIELD", "key"},
        {"{\"key\":\"a\",\"address\":\"127.0.0.1\"}", "UNKNOWN_FIELD", "address"},
        {"{\"key\":\"a\",\"price\":1}", "UNKNOWN_FIELD", "price"},
        {"{\"key\":\"a\",\"resource\":\"w:1\"}", "INVALID_FIELD", "resource"},
        {"{\"key\":\"a\",\"resource\":{\"type\":\"w\"}}", "MISSING_FIELD", "resource.id"},
        {"{\"key\":\"a\",\"resource\":{\"type\":\"w\",\"id\":1}}", "INVALID_FIELD", "resource.id"},
        {"{\"key\":\"a\",\"resource\":{\"type\":\"w\",\"id\":\"1\",\"x\":1}}", "UNKNOWN_FIELD", "resource.x"},
        {"{\"key\":\"a\",\"resource\":{\"type\":\"w\",\"id\":\"1\",\"scopes\":[\" \"]}}", "INVALID_FIELD",
         "resource.scopes[0]"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct binding binding = bind(KW_POST, "/v1/keys/verify", cases[i].input);
        check_refusal(t, &cases[i], &binding);
    }
    static const struct refusal many[] = {
        {"{\"items\":{}}", "INVALID_FIELD", "items"},
        {"{\"items\":[{\"key\":\"a\"},7],\"x\":1}", "UNKNOWN_FIELD", "x"},
        {"{\"items\":[{\"key\":1,\"x\":nul}]}", "INVALID_JSON", ""},
        {"{\"items\":[{\"key\":1},{\"x\":1]]}", "INVALID_JSON", ""},
    };
    for (size_t i = 0; i < KW_COUNT_OF(many); i++) {
        struct binding binding = bind(KW_POST, "/v1/keys/batch/verify", many[i].input);
        check_refusal(t, &many[i], &binding);
    }
}

/* As long as all of the body is JSON; the rest of such an item is zero, and what stands behind it is read. */
static void a_fault_of_an_item_is_put_there(struct test *t)
{
    static const struct refusal cases[] = {
        {"7", "INVALID_FIELD", ""},
        {"[{\"key\":\"a\"}]", "INVALID_FIELD", ""},
        {"{}", "MISSING_FIELD", "key"},
        {"{\"key\":\"a\",\"key\":\"a\"}", "DUPLICATE_FIELD", "key"},
        {"{\"key\":\"a\",\"x\":[{\"b\":1,\"b\":[2]}]}", "UNKNOWN_FIELD", "x"},
        {"{\"scopes\":[\"a\",1,\"\\u0041\"],\"key\":\"a\"}", "INVALID_FIELD", "scopes[1]"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"items\":[%s,{\"key\":\"b\"},%s]}", cases[i].input, cases[i].input);
        struct binding binding = bind(KW_POST, "/v1/keys/batch/verify", body);
        const struct kw_verify_many_body *many = binding.out;
        CHECK_STATUS(t, binding.status, KW_OK);
        REQUIRE(t, many->item_count == 3);
        CHECK(t, many->items[1].fault == NULL);
        CHECK_BYTES(t, many->items[1].key, KW_BYTES("b"));
        for (size_t at = 0; at < 3; at += 2) {
            REQUIRE(t, many->items[at].fault != NULL);
            CHECK_TEXT(t, many->items[at].fault->code, cases[i].code);
            CHECK_TEXT(t, many->items[at].fault->field, cases[i].field);
            CHECK_I64(t, many->items[at].key.size + many->items[at].scope_count, 0);
        }
        end(&binding);
    }
}

/* No item can be told of its fault for want of memory: then it is the whole body that is refused. */
static void without_room_there_is_no_fault_of_an_item(struct test *t)
{
    static const char body[] =
        "{\"items\":[{\"key\":\"a\",\"x\":\"\\u0041\"},{\"key\":\"\\u0041\",\"scopes\":[\"read\"]}]}";
    enum kw_status status = KW_E_MEMORY;
    for (int64_t n = 1; status != KW_OK && n < 100; n++) {
        struct kw_verify_many_body out = {0};
        struct kw_error error;
        struct kw_arena arena;
        kw_arena_init(&arena, NULL, 0, ARENA_MAX);
        kw_alloc_fail_after(n);
        status = kw_schema_bind_json(route_of(KW_POST, "/v1/keys/batch/verify")->body, kw_bytes_of_text(body), &arena,
                                     &out, &error);
        kw_alloc_fail_after(-1);
        CHECK(t, status == KW_OK || status == KW_E_BUSY || status == KW_E_MEMORY);
        CHECK(t, status != KW_OK || (out.items[0].fault != NULL && out.items[1].fault == NULL));
        kw_arena_reset(&arena);
    }
    CHECK_STATUS(t, status, KW_OK);
    /* And where the arena has room for the items, but not for what is wrong with one. */
    for (size_t size = 64; size < 8192; size += 64) {
        struct kw_verify_many_body out = {0};
        struct kw_error error;
        struct kw_arena arena;
        kw_arena_init(&arena, NULL, 0, size);
        status = kw_schema_bind_json(route_of(KW_POST, "/v1/keys/batch/verify")->body, kw_bytes_of_text(body), &arena,
                                     &out, &error);
        CHECK(t, status == KW_OK ? kw_code_of_name(out.items[0].fault->code) == KW_CODE_UNKNOWN_FIELD
                                 : kw_code_of_name(error.code) == KW_CODE_BODY_TOO_LARGE);
        kw_arena_reset(&arena);
    }
    CHECK_STATUS(t, status, KW_OK);
}

/* Builds {"ownerId":"1","<field>":<before><count times each, '#' its number><after>}. */
static struct binding bind_repeated(const char *field, const char *before, const char *each, size_t count,
                                    const char *comma, const char *after)
{
    struct kw_buffer body;
    kw_buffer_init(&body, ARENA_MAX);
    kw_buffer_add_format(&body, "{\"ownerId\":\"1\",\"%s\":%s", field, before);
    for (size_t i = 0; i < count; i++) {
        kw_buffer_add_text(&body, i == 0 ? "" : comma);
        for (const char *at = each; *at != '\0'; at++) {
            if (*at == '#') {
                kw_buffer_add_u64(&body, i);
            } else {
                kw_buffer_add_byte(&body, (uint8_t)*at);
            }
        }
    }
    kw_buffer_add_text(&body, after);
    kw_buffer_add_text(&body, "}");
    const struct kw_schema *schema = route_of(KW_POST, "/v1/keys")->body;
    struct binding binding = begin(schema);
    binding.status = kw_schema_bind_json(schema, kw_buffer_bytes(&body), &binding.arena, binding.out, &binding.error);
    kw_buffer_deinit(&body);
    return binding;
}

/* Every cap: what just fits is taken, one more is refused. */
static void caps_hold_exactly(struct test *t)
{
    static const struct {
        const char *field, *before, *each, *comma, *after;
        size_t most;
        const char *named;
    } cases[] = {
        {"name", "\"", "a", "", "\"", KW_NAME_MAX, "name"},
        {"description", "\"", "a", "", "\"", KW_DESCRIPTION_MAX, "description"},
        {"orgId", "\"", "a", "", "\"", KW_OWNER_MAX, "orgId"},
        {"env", "\"", "a", "", "\"", KW_ENV_MAX, "env"},
        {"tags", "[\"", "a", "", "\"]", KW_TAG_MAX, "tags[0]"},
        {"tags", "[", "\"t#\"", ",", "]", KW_TAG_COUNT_MAX, "tags"},
        {"scopes", "[\"", "a", "", "\"]", KW_SCOPE_MAX, "scopes[0]"},
        {"scopes", "[", "\"s#\"", ",", "]", KW_SCOPE_COUNT_MAX, "scopes"},
        {"resources", "{", "\"w:#\":[]", ",", "}", KW_RESOURCE_COUNT_MAX, "resources"},
        {"resources", "{\"w:1\":[", "\"s#\"", ",", "]}", KW_SCOPE_COUNT_MAX, "resources.w:1"},
        {"metadata", "{\"a\":\"", "a", "", "\"}", KW_METADATA_MAX - 8, "metadata"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct binding fits = bind_repeated(cases[i].field, cases[i].before, cases[i].each, cases[i].most,
                                            cases[i].comma, cases[i].after);
        CHECK_STATUS(t, fits.status, KW_OK);
        end(&fits);
        struct binding beyond = bind_repeated(cases[i].field, cases[i].before, cases[i].each, cases[i].most + 1,
                                              cases[i].comma, cases[i].after);
        struct refusal expected = {cases[i].field, "INVALID_FIELD", cases[i].named};
        check_refusal(t, &expected, &beyond);
    }
}

/* White space inside metadata costs nothing of its cap. */
static void metadata_is_measured_without_white_space(struct test *t)
{
    struct binding binding = bind_repeated("metadata", "{", " \t\n\r", KW_METADATA_MAX, "", "}");
    REQUIRE_OK(t, binding.status);
    CHECK_BYTES(t, ((const struct kw_key_body *)binding.out)->params.metadata, KW_BYTES("{}"));
    end(&binding);
}

/* A key that somebody took for a name is not repeated in the answer. */
static void what_might_be_a_key_is_not_repeated(struct test *t)
{
    static const char *const bodies[] = {
        "{\"sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef\":1}",
        "{\"ownerId\":\"1\",\"metadata\":{},\"sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef\":1}",
    };
    for (size_t i = 0; i < KW_COUNT_OF(bodies); i++) {
        struct binding binding = bind(KW_POST, "/v1/keys", bodies[i]);
        CHECK_TEXT(t, binding.error.code, "UNKNOWN_FIELD");
        CHECK(t, strstr(binding.error.field, "0123") == NULL);
        CHECK(t, strstr(binding.error.message, "0123") == NULL);
        end(&binding);
    }
}

static void a_query_is_decoded_and_bound(struct test *t)
{
    struct binding binding = bind_query("owner=team%3A9&tag=a%2Bb&q=a+b%20c&limit=7&status=active&env=live&&org=x"
                                        "&createdAfter=2031-01-31T13:00:00%2B01:00&expiresBefore=1970-01-01T00:00:00Z");
    REQUIRE_OK(t, binding.status);
    const struct kw_list_params *params = binding.out;
    CHECK_BYTES(t, params->owner, KW_BYTES("team:9"));
    CHECK_BYTES(t, params->tags, KW_BYTES("a+b"));
    CHECK_BYTES(t, params->text, KW_BYTES("a b c"));
    CHECK_BYTES(t, params->status, KW_BYTES("active"));
    CHECK_I64(t, params->limit, 7);
    CHECK_I64(t, params->created_after_ms, INT64_C(1927627200000));
    CHECK_I64(t, params->expires_before_ms, 1); /* 0 would be none */
    CHECK_I64(t, params->created_before_ms, 0);
    end(&binding);
    binding = bind_query("");
    REQUIRE_OK(t, binding.status);
    CHECK_I64(t, ((const struct kw_list_params *)binding.out)->limit, 50);
    end(&binding);
}

static void bad_queries_name_their_field(struct test *t)
{
    static const struct refusal cases[] = {
        {"nope=1", "UNKNOWN_FIELD", "nope"},
        {"Tag=1", "UNKNOWN_FIELD", "Tag"},
        {"tag=a&tag=b", "DUPLICATE_FIELD", "tag"},
        {"tag=a&t%61g=b", "DUPLICATE_FIELD", "tag"},
        {"tag=", "INVALID_FIELD", "tag"},
        {"tag", "INVALID_FIELD", "tag"},
        {"tag=%", "INVALID_FIELD", "tag"},
        {"tag=%4", "INVALID_FIELD", "tag"},
        {"tag=%zz", "INVALID_FIELD", "tag"},
        {"tag=%ff", "INVALID_FIELD", "tag"},
        {"tag=%00", "INVALID_FIELD", "tag"},
        {"tag=%0a", "INVALID_FIELD", "tag"},
        {"owner=bob", "INVALID_FIELD", "owner"},
        {"owner=team:1&ownerId=2", "INVALID_FIELD", "owner"},
        {"status=gone", "INVALID_FIELD", "status"},
        {"limit=0", "INVALID_FIELD", "limit"},
        {"limit=1001", "INVALID_FIELD", "limit"},
        {"limit=-1", "INVALID_FIELD", "limit"},
        {"limit=1.5", "INVALID_FIELD", "limit"},
        {"limit=99999999999999999999", "INVALID_FIELD", "limit"},
        {"limit=", "INVALID_FIELD", "limit"},
        {"createdAfter=", "INVALID_FIELD", "createdAfter"},
        {"createdAfter=2031-02-29T00:00:00Z", "INVALID_FIELD", "createdAfter"},
        {"createdBefore=2031-01-01T00:00:00+01:00", "INVALID_FIELD", "createdBefore"}, /* '+' is a space */
        {"expiresBefore=1", "INVALID_FIELD", "expiresBefore"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct binding binding = bind_query(cases[i].input);
        check_refusal(t, &cases[i], &binding);
    }
}

/* Any allocation may fail: then the request is refused, and nothing is lost or used after it is gone. */
static void every_allocation_may_fail(struct test *t)
{
    static const char body[] = "{\"owner\":\"team:9\",\"tags\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"metadata\":{\"a\":1},"
                               "\"scopes\":[\"read\"],\"resources\":{\"w:1\":[\"r\"]},\"name\":\"\\u0041\"}";
    enum kw_status status = KW_E_MEMORY;
    for (int64_t n = 1; status != KW_OK && n < 100; n++) {
        struct kw_key_body out = {0};
        struct kw_error error;
        struct kw_arena arena;
        kw_arena_init(&arena, NULL, 0, ARENA_MAX);
        kw_alloc_fail_after(n);
        status = kw_schema_bind_json(route_of(KW_POST, "/v1/keys")->body, kw_bytes_of_text(body), &arena, &out, &error);
        kw_alloc_fail_after(-1);
        CHECK(t, status == KW_OK || status == KW_E_BUSY || status == KW_E_MEMORY);
        kw_arena_reset(&arena);
    }
    CHECK_STATUS(t, status, KW_OK);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_creation_is_bound_whole),
        TEST_CASE(an_owner_id_is_a_user),
        TEST_CASE(null_clears_in_an_update),
        TEST_CASE(the_first_moment_of_1970_is_no_clearing),
        TEST_CASE(bad_creations_name_their_field),
        TEST_CASE(bad_verifications_name_their_field),
        TEST_CASE(a_fault_of_an_item_is_put_there),
        TEST_CASE(without_room_there_is_no_fault_of_an_item),
        TEST_CASE(caps_hold_exactly),
        TEST_CASE(metadata_is_measured_without_white_space),
        TEST_CASE(what_might_be_a_key_is_not_repeated),
        TEST_CASE(a_query_is_decoded_and_bound),
        TEST_CASE(bad_queries_name_their_field),
        TEST_CASE(every_allocation_may_fail),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
