/* The route table that is made of api/keyward.yaml: what is found, and what is not. */
#include "server/router.h"
#include "support/test.h"

#include <stdio.h>

static struct kw_route_match find(enum kw_method method, const char *path)
{
    return kw_route_find(method, kw_bytes_of_text(path));
}

static const char *name_of(struct kw_route_match match)
{
    return match.route == NULL ? "" : match.route->name;
}

static void every_address_is_found(struct test *t)
{
    static const struct {
        enum kw_method method;
        const char *path, *route, *parameter;
    } cases[] = {
        {KW_POST, "/v1/keys", "POST /v1/keys", ""},
        {KW_GET, "/v1/keys", "GET /v1/keys", ""},
        {KW_POST, "/v1/keys/verify", "POST /v1/keys/verify", ""},
        {KW_POST, "/v1/keys/batch/verify", "POST /v1/keys/batch/verify", ""},
        {KW_GET, "/v1/keys/key_1", "GET /v1/keys/{id}", "key_1"},
        {KW_PATCH, "/v1/keys/key_1", "PATCH /v1/keys/{id}", "key_1"},
        {KW_DELETE, "/v1/keys/key_1", "DELETE /v1/keys/{id}", "key_1"},
        {KW_POST, "/v1/keys/key_1/revoke", "POST /v1/keys/{id}/revoke", "key_1"},
        {KW_POST, "/v1/keys/key_1/enable", "POST /v1/keys/{id}/enable", "key_1"},
        {KW_POST, "/v1/keys/key_1/disable", "POST /v1/keys/{id}/disable", "key_1"},
        {KW_POST, "/v1/keys/key_1/rotate", "POST /v1/keys/{id}/rotate", "key_1"},
        {KW_GET, "/v1/authorize/default", "ANY /v1/authorize/{profile}", "default"},
        {KW_OPTIONS, "/v1/authorize/default", "ANY /v1/authorize/{profile}", "default"},
        {KW_OTHER_METHOD, "/v1/authorize/a/b", "ANY /v1/authorize/{profile}/{rest}", "a"},
        {KW_PUT, "/v1/authorize/a//b/%2e?", "ANY /v1/authorize/{profile}/{rest}", "a"},
        {KW_GET, "/v1/authorize/a/", "ANY /v1/authorize/{profile}/{rest}", "a"},
        {KW_GET, "/healthz", "GET /healthz", ""},
        {KW_GET, "/readyz", "GET /readyz", ""},
        {KW_GET, "/metrics", "GET /metrics", ""},
        {KW_GET, "/openapi.json", "GET /openapi.json", ""},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_route_match match = find(cases[i].method, cases[i].path);
        CHECK_TEXT(t, name_of(match), cases[i].route);
        CHECK_BYTES(t, match.parameter, kw_bytes_of_text(cases[i].parameter));
    }
}

static void what_is_not_there_is_not_found(struct test *t)
{
    static const char *const paths[] = {
        "/",
        "",
        "/v1",
        "/v1/",
        "/v1/keys/",
        "/v1/keys//revoke",
        "//v1/keys",
        "/v1//keys",
        "/V1/keys",
        "/v1/keys/a/b",
        "/v1/keysx",
        "/v1/%6beys",
        "/v1/keys%2fverify",
        "/healthz/",
        "/healthzz",
        "/v1/authorize",
        "/v1/authorize/",
        "/v1/authorize//x",
        "/v1/keys/a/revoke/",
    };
    for (size_t i = 0; i < KW_COUNT_OF(paths); i++) {
        struct kw_route_match match = find(KW_GET, paths[i]);
        CHECK(t, match.path == NULL);
        CHECK(t, match.route == NULL);
    }
}

static void other_methods_name_those_that_are_taken(struct test *t)
{
    struct kw_route_match match = find(KW_PUT, "/v1/keys");
    REQUIRE(t, match.path != NULL);
    CHECK(t, match.route == NULL);
    CHECK_TEXT(t, match.path->allow, "POST, GET, HEAD, OPTIONS");
    match = find(KW_GET, "/v1/keys/verify"); /* never taken for an id */
    REQUIRE(t, match.path != NULL);
    CHECK(t, match.route == NULL);
    CHECK_TEXT(t, match.path->allow, "POST, OPTIONS");
    match = find(KW_OPTIONS, "/v1/keys/x");
    REQUIRE(t, match.path != NULL);
    CHECK_TEXT(t, match.path->allow, "GET, HEAD, PATCH, DELETE, OPTIONS");
}

static void head_goes_where_get_goes(struct test *t)
{
    for (size_t i = 0; i < kw__route_path_count; i++) {
        const struct kw_route_path *path = &kw__route_paths[i];
        char text[128];
        int size = snprintf(text, sizeof text, "%.*s%s%.*s", (int)path->start.size, (const char *)path->start.data,
                            path->has_parameter ? "x" : "", (int)path->end.size, (const char *)path->end.data);
        REQUIRE(t, size > 0);
        CHECK_TEXT(t, name_of(find(KW_HEAD, text)), name_of(find(KW_GET, text)));
    }
}

static void numbers_are_places_in_the_table_of_names(struct test *t)
{
    size_t count = 0;
    for (size_t i = 0; i < kw__route_path_count; i++) {
        for (size_t j = 0; j < kw__route_paths[i].route_count; j++, count++) {
            const struct kw_route *route = &kw__route_paths[i].routes[j];
            REQUIRE(t, route->number < kw__route_count);
            CHECK_TEXT(t, kw__route_names[route->number], route->name);
        }
    }
    CHECK_I64(t, count, kw__route_count);
}

/* Only these are open without a management key. */
static void the_open_routes_are_those_that_are_meant_to_be(struct test *t)
{
    static const char *const open[] = {"ANY /v1/authorize/{profile}",
                                       "ANY /v1/authorize/{profile}/{rest}",
                                       "GET /healthz",
                                       "GET /readyz",
                                       "GET /metrics",
                                       "GET /openapi.json"};
    for (size_t i = 0; i < kw__route_path_count; i++) {
        for (size_t j = 0; j < kw__route_paths[i].route_count; j++) {
            const struct kw_route *route = &kw__route_paths[i].routes[j];
            bool is_open = false;
            for (size_t k = 0; k < KW_COUNT_OF(open); k++) {
                is_open = is_open || strcmp(open[k], route->name) == 0;
            }
            CHECK_I64(t, route->scope == NULL, is_open);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_address_is_found),
        TEST_CASE(what_is_not_there_is_not_found),
        TEST_CASE(other_methods_name_those_that_are_taken),
        TEST_CASE(head_goes_where_get_goes),
        TEST_CASE(numbers_are_places_in_the_table_of_names),
        TEST_CASE(the_open_routes_are_those_that_are_meant_to_be),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
