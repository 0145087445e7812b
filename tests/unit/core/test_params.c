#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "core/transition.h"
#include "records.h"

#define NOW_MS RECORD_BORN_MS
#define HUNDRED_YEARS_MS (INT64_C(100) * 365 * 86400 * 1000)

static uint8_t long_text[10000];

static struct kw_bytes letters(size_t count)
{
    memset(long_text, 'a', sizeof long_text);
    return kw_bytes_of(long_text, count);
}

/* NULL `field`: the params are good. */
static void check_params(struct test *t, const char *what, const struct kw_key_params *params, const char *field)
{
    struct kw_arena arena;
    struct kw_error error;
    kw_error_clear(&error);
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    enum kw_status status = kw_key_params_check(params, NOW_MS, &arena, &error);
    if ((status == KW_OK) != (field == NULL)) {
        test_fail(t, __FILE__, __LINE__, "%s: %s (%s %s)", what, kw_status_name(status), error.field, error.message);
    } else if (field != NULL) {
        CHECK_STATUS(t, status, KW_E_INVALID);
        CHECK_TEXT(t, error.field, field);
        CHECK_TEXT(t, error.code, "INVALID_FIELD");
        CHECK(t, error.message[0] != 0 && kw_utf8_valid(kw_bytes_of_text(error.message)));
    }
    kw_arena_reset(&arena);
}

static void texts_are_checked(struct test *t)
{
    static const struct {
        const char *text;
        bool name_ok, description_ok;
    } rows[] = {
        {"", true, true},
        {"Production key \xe2\x82\xac \xf0\x9f\x94\x91", true, true},
        {"two\nlines\tand a tab", false, true},
        {"\n\n", false, true},
        {"carriage\rreturn", false, false},
        {"bell\a", false, false},
        {"line\n\x1b[0m", false, false},
        {"\x7f", false, false},
        {"\xff", false, false},
        {"\xc3", false, false},
        {"\xc3\n\xa4", false, false},
        {"\xed\xa0\x80", false, false},
        {"\xc0\x80", false, false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes text = kw_bytes_of_text(rows[i].text);
        struct kw_key_params name = {.given = KW_GIVEN_NAME, .name = text};
        struct kw_key_params description = {.given = KW_GIVEN_DESCRIPTION, .description = text};
        struct kw_key_params org = {.given = KW_GIVEN_ORG, .org_id = text};
        check_params(t, rows[i].text, &name, rows[i].name_ok ? NULL : "name");
        check_params(t, rows[i].text, &description, rows[i].description_ok ? NULL : "description");
        check_params(t, rows[i].text, &org, rows[i].name_ok ? NULL : "orgId");
    }
    struct kw_key_params with_nul = {.given = KW_GIVEN_DESCRIPTION, .description = KW_BYTES("a\0b")};
    check_params(t, "NUL", &with_nul, "description");
}

static void sizes_are_capped(struct test *t)
{
    static const struct {
        uint32_t given;
        size_t size_max;
        const char *field;
    } rows[] = {{KW_GIVEN_NAME, KW_NAME_MAX, "name"},   {KW_GIVEN_DESCRIPTION, KW_DESCRIPTION_MAX, "description"},
                {KW_GIVEN_ORG, KW_OWNER_MAX, "orgId"},  {KW_GIVEN_ENV, KW_ENV_MAX, "env"},
                {KW_GIVEN_TAGS, KW_TAG_MAX, "tags[0]"}, {KW_GIVEN_SCOPES, KW_SCOPE_MAX, "scopes[0]"}};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        for (size_t beyond = 0; beyond < 2; beyond++) {
            struct kw_bytes text = letters(rows[i].size_max + beyond);
            struct kw_key_params params = {.given = rows[i].given,
                                           .name = text,
                                           .description = text,
                                           .org_id = text,
                                           .env = text,
                                           .tags = &text,
                                           .tag_count = 1,
                                           .scopes = &text,
                                           .scope_count = 1};
            check_params(t, rows[i].field, &params, beyond == 0 ? NULL : rows[i].field);
        }
    }
}

static void environments_and_owners_are_checked(struct test *t)
{
    static const struct {
        const char *env, *field;
    } envs[] = {{"live", NULL},   {"eu-1_b", NULL}, {"", "env"},   {"Live", "env"},
                {"1live", "env"}, {"a b", "env"},   {"-a", "env"}, {"a\xc3\xa4", "env"}};
    static const struct {
        const char *owner, *field;
    } owners[] = {{"user:1", NULL},
                  {"team:a:b", NULL},
                  {"service:ci@example.com", NULL},
                  {"user:Zo\xc3\xab", NULL},
                  {"", "owner"},
                  {"user", "owner"},
                  {"42", "owner"},
                  {":1", "owner"},
                  {"User:1", "owner"},
                  {"robot:1", "owner"},
                  {"user:", "ownerId"},
                  {"team:", "owner"},
                  {"user:\n", "ownerId"},
                  {"service:\xff", "owner"}};
    for (size_t i = 0; i < KW_COUNT_OF(envs); i++) {
        struct kw_key_params params = {.given = KW_GIVEN_ENV, .env = kw_bytes_of_text(envs[i].env)};
        check_params(t, envs[i].env, &params, envs[i].field);
    }
    for (size_t i = 0; i < KW_COUNT_OF(owners); i++) {
        struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = kw_bytes_of_text(owners[i].owner)};
        check_params(t, owners[i].owner, &params, owners[i].field);
    }
    memcpy(long_text, "team:", 5);
    memset(long_text + 5, 'x', KW_OWNER_MAX);
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = kw_bytes_of(long_text, KW_OWNER_MAX)};
    check_params(t, "longest owner", &params, NULL);
    params.owner.size++;
    check_params(t, "too long an owner", &params, "owner");
}

static void tags_and_scopes_are_named_by_their_place(struct test *t)
{
    struct kw_bytes items[KW_SCOPE_COUNT_MAX + 1];
    for (size_t i = 0; i < KW_COUNT_OF(items); i++) {
        items[i] = KW_BYTES("a.b:c/d@e+f-G_1");
    }
    struct kw_key_params tags = {.given = KW_GIVEN_TAGS, .tags = items, .tag_count = KW_TAG_COUNT_MAX};
    struct kw_key_params scopes = {.given = KW_GIVEN_SCOPES, .scopes = items, .scope_count = KW_SCOPE_COUNT_MAX};
    check_params(t, "full tags", &tags, NULL);
    check_params(t, "full scopes", &scopes, NULL);
    static const char *const bad_tags[] = {"", "a b", "a\n", "a,b", "*", "\xc3\xa4", "a\"", "sp ace"};
    static const char *const bad_scopes[] = {"", "a b", ":a", "a:", "a::b", "*:a", "a*", "a:**", "\xc3\xa4"};
    for (size_t i = 0; i < KW_COUNT_OF(bad_tags); i++) {
        items[2] = kw_bytes_of_text(bad_tags[i]);
        check_params(t, bad_tags[i], &tags, "tags[2]");
    }
    for (size_t i = 0; i < KW_COUNT_OF(bad_scopes); i++) {
        items[2] = KW_BYTES("a:*");
        items[127] = kw_bytes_of_text(bad_scopes[i]);
        check_params(t, bad_scopes[i], &scopes, "scopes[127]");
    }
    tags.tag_count++;
    scopes.scope_count++;
    check_params(t, "too many tags", &tags, "tags");
    check_params(t, "too many scopes", &scopes, "scopes");
}

static void resources_are_named_by_their_name(struct test *t)
{
    struct kw_bytes good[] = {KW_BYTES("read"), KW_BYTES("write:*")};
    struct kw_bytes bad[] = {KW_BYTES("read"), KW_BYTES("not a scope")};
    struct kw_resource_scopes resources[KW_RESOURCE_COUNT_MAX + 1] = {
        {KW_BYTES("website:123"), good, 2}, {KW_BYTES("website:*"), good, 1}, {KW_BYTES("*"), good, 1}};
    struct kw_key_params params = {.given = KW_GIVEN_RESOURCES, .resources = resources, .resource_count = 3};
    check_params(t, "good", &params, NULL);
    params.resource_count = 0;
    check_params(t, "none", &params, NULL);
    params.resource_count = 3;
    resources[0].scopes = bad;
    check_params(t, "bad scope", &params, "resources.website:123[1]");
    /* A name that is too long to be shown is cut, not its index. */
    static char long_name[KW_RESOURCE_MAX + 1];
    char field[KW_ERROR_FIELD_MAX] = "resources.t:";
    memset(long_name, 'x', KW_RESOURCE_MAX);
    memcpy(long_name, "t:", 2);
    memset(field + 12, 'x', 88 - 12);
    memcpy(field + 88, "[1]", 4);
    resources[0].resource = kw_bytes_of_text(long_name);
    check_params(t, "bad scope on a long name", &params, field);
    resources[0].resource = KW_BYTES("website:123");
    resources[0].scopes = good;
    resources[0].scope_count = 0;
    check_params(t, "no scopes", &params, "resources.website:123");
    resources[0].scope_count = 2;
    static const char *const names[][2] = {
        {"", "resources.*"},
        {"website", "resources.website"},
        {"website:", "resources.website:"},
        {":1", "resources.:1"},
        {"Website:1", "resources.Website:1"},
        {"web site:a b", "resources.web site:a b"},
        {"**", "resources.**"},
        {"w:1*", "resources.w:1*"},
        {"w\n:1", "resources.*"},
        {"w\xff:1", "resources.*"},
        {"sk_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "resources.*"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        resources[1].resource = kw_bytes_of_text(names[i][0]);
        check_params(t, names[i][0], &params, names[i][1]);
    }
    params.resource_count = KW_RESOURCE_COUNT_MAX + 1;
    check_params(t, "too many", &params, "resources");
}

static void a_resource_stands_once(struct test *t)
{
    struct kw_bytes scope = KW_BYTES("read");
    struct kw_resource_scopes resources[] = {
        {KW_BYTES("t:1"), &scope, 1}, {KW_BYTES("t:2"), &scope, 1}, {KW_BYTES("t:1"), &scope, 1}};
    struct kw_key_params params = {.given = KW_GIVEN_RESOURCES, .resources = resources, .resource_count = 3};
    struct kw_arena arena;
    struct kw_error error;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    CHECK_STATUS(t, kw_key_params_check(&params, NOW_MS, &arena, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "DUPLICATE_FIELD");
    CHECK_TEXT(t, error.field, "resources.t:1");
    kw_arena_reset(&arena);
}

static void resources_are_capped_together(struct test *t)
{
    static uint8_t names[KW_RESOURCE_COUNT_MAX][8];
    struct kw_bytes scopes[KW_SCOPE_COUNT_MAX];
    struct kw_resource_scopes resources[KW_RESOURCE_COUNT_MAX];
    for (size_t i = 0; i < KW_SCOPE_COUNT_MAX; i++) {
        scopes[i] = letters(KW_SCOPE_MAX);
    }
    for (size_t i = 0; i < KW_RESOURCE_COUNT_MAX; i++) {
        memcpy(names[i], "site:00", 8);
        names[i][5] = (uint8_t)('0' + i / 10);
        names[i][6] = (uint8_t)('0' + i % 10);
        resources[i] = (struct kw_resource_scopes){kw_bytes_of(names[i], 7), scopes, 1};
    }
    struct kw_key_params params = {
        .given = KW_GIVEN_RESOURCES, .resources = resources, .resource_count = KW_RESOURCE_COUNT_MAX};
    check_params(t, "many", &params, NULL);
    for (size_t i = 0; i < KW_RESOURCE_COUNT_MAX; i++) {
        resources[i].scope_count = 20;
    }
    check_params(t, "too large together", &params, "resources");
}

static void metadata_is_a_json_object(struct test *t)
{
    static const struct {
        const char *json;
        bool good;
    } rows[] = {
        {"", true},
        {"{}", true},
        {" { \"plan\" : \"pro\", \"seats\": [1, 2.5, null, true] } ", true},
        {"[]", false},
        {"null", false},
        {"\"text\"", false},
        {"7", false},
        {"{", false},
        {"{\"a\":1,}", false},
        {"{\"a\":1}x", false},
        {"{\"a\":1,\"a\":2}", false},
        {"{\"a\":{\"b\":1,\"b\":2}}", false},
        {"{\"a\":[{\"b\":1,\"\\u0062\":2}]}", false},
        {"{\"a\":\"\\ud800\"}", false},
        {"{\"a\":\"\xff\"}", false},
        {"{\"a\":1e999}", false},
        {"{'a':1}", false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_key_params params = {.given = KW_GIVEN_METADATA, .metadata = kw_bytes_of_text(rows[i].json)};
        check_params(t, rows[i].json, &params, rows[i].good ? NULL : "metadata");
    }
}

static void metadata_is_bounded(struct test *t)
{
    for (size_t depth = 1; depth < 100; depth++) {
        uint8_t json[1024];
        struct kw_buffer buffer;
        kw_buffer_init_fixed(&buffer, json, sizeof json);
        for (size_t i = 0; i < depth; i++) {
            kw_buffer_add_text(&buffer, "{\"a\":");
        }
        kw_buffer_add_text(&buffer, "1");
        for (size_t i = 0; i < depth; i++) {
            kw_buffer_add_text(&buffer, "}");
        }
        struct kw_key_params params = {.given = KW_GIVEN_METADATA, .metadata = kw_buffer_bytes(&buffer)};
        check_params(t, "depth", &params, depth <= 16 ? NULL : "metadata");
    }
    letters(KW_METADATA_MAX + 1);
    memcpy(long_text, "{\"a\":\"", 6);
    memcpy(long_text + KW_METADATA_MAX - 2, "\"}", 2);
    struct kw_key_params params = {.given = KW_GIVEN_METADATA, .metadata = kw_bytes_of(long_text, KW_METADATA_MAX)};
    check_params(t, "largest", &params, NULL);
    memcpy(long_text + KW_METADATA_MAX - 2, "a\"}", 3);
    params.metadata.size++;
    check_params(t, "too large", &params, "metadata");
}

static void times_lie_in_the_future(struct test *t)
{
    static const struct {
        int64_t expires_at_ms;
        const char *field;
    } at[] = {{0, NULL},
              {NOW_MS + 1, NULL},
              {NOW_MS, "expiresAt"},
              {NOW_MS - 1, "expiresAt"},
              {1, "expiresAt"},
              {-1, "expiresAt"},
              {INT64_MIN, "expiresAt"},
              {KW_TIME_MS_MAX, NULL},
              {KW_TIME_MS_MAX + 1, "expiresAt"},
              {INT64_MAX, "expiresAt"}};
    static const struct {
        int64_t expires_in_ms;
        const char *field;
    } in[] = {{1, NULL},
              {0, "expiresIn"},
              {-1, "expiresIn"},
              {INT64_MIN, "expiresIn"},
              {HUNDRED_YEARS_MS, NULL},
              {HUNDRED_YEARS_MS + 1, "expiresIn"},
              {INT64_MAX, "expiresIn"}};
    for (size_t i = 0; i < KW_COUNT_OF(at); i++) {
        struct kw_key_params params = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = at[i].expires_at_ms};
        check_params(t, "expires_at", &params, at[i].field);
    }
    for (size_t i = 0; i < KW_COUNT_OF(in); i++) {
        struct kw_key_params params = {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = in[i].expires_in_ms};
        check_params(t, "expires_in", &params, in[i].field);
    }
    struct kw_key_params both = {
        .given = KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN, .expires_at_ms = NOW_MS + 5, .expires_in_ms = 5};
    check_params(t, "both", &both, "expiresIn");
}

static void addresses_are_named_by_their_place(struct test *t)
{
    static const struct {
        const char *address;
        bool good;
    } rows[] = {{"192.0.2.1", true},
                {"10.0.0.0/8", true},
                {"0.0.0.0/0", true},
                {"10.0.0.1/32", true},
                {"2001:db8::/32", true},
                {"::/0", true},
                {"::1", true},
                {"::ffff:192.0.2.1", true},
                {"::ffff:10.0.0.0/104", true},
                {"", false},
                {"10.0.0.1/8", false},
                {"010.0.0.0/8", false},
                {"10.0.0.0/33", false},
                {"10.0.0.0/08", false},
                {"10.0.0.0/", false},
                {"10.0.0/8", false},
                {"2001:db8::1/32", false},
                {"2001:db8::/129", false},
                {"10.0.0.0/8 ", false},
                {" 10.0.0.0/8", false},
                {"10.0.0.0-10.0.0.9", false},
                {"[::1]", false},
                {"fe80::1%eth0", false},
                {"localhost", false},
                {"256.0.0.1", false},
                {"10.0.0.0/-1", false},
                {"::ffff:10.0.0.1/104", false}};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes two[] = {KW_BYTES("198.51.100.0/24"), kw_bytes_of_text(rows[i].address)};
        struct kw_key_params allowed = {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = two, .allowed_ip_count = 2};
        struct kw_key_params blocked = {.given = KW_GIVEN_BLOCKED_IPS, .blocked_ips = two, .blocked_ip_count = 2};
        check_params(t, rows[i].address, &allowed, rows[i].good ? NULL : "allowedIPs[1]");
        check_params(t, rows[i].address, &blocked, rows[i].good ? NULL : "blockedIPs[1]");
    }
}

static void regions_are_named_by_their_place(struct test *t)
{
    static const struct {
        const char *region;
        bool good;
    } rows[] = {{"US", true},   {"US-CA", true},    {"EU", true},     {"EEA", true},    {"FR-75C", true},
                {"", false},    {"us", false},      {"UK", false},    {"XX", false},    {"USA", false},
                {"US-", false}, {"US-CALA", false}, {"US-ca", false}, {"EU-DE", false}, {"US CA", false},
                {"*", false},   {"U", false},       {"EEA-1", false}};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes two[] = {KW_BYTES("DE"), kw_bytes_of_text(rows[i].region)};
        struct kw_key_params allowed = {
            .given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = two, .allowed_region_count = 2};
        struct kw_key_params blocked = {
            .given = KW_GIVEN_BLOCKED_REGIONS, .blocked_regions = two, .blocked_region_count = 2};
        check_params(t, rows[i].region, &allowed, rows[i].good ? NULL : "allowedRegions[1]");
        check_params(t, rows[i].region, &blocked, rows[i].good ? NULL : "blockedRegions[1]");
    }
}

static void places_are_counted(struct test *t)
{
    struct kw_bytes ips[KW_IP_COUNT_MAX + 1];
    struct kw_bytes regions[KW_REGION_COUNT_MAX + 1];
    for (size_t i = 0; i < KW_COUNT_OF(ips); i++) {
        ips[i] = KW_BYTES("192.0.2.1");
    }
    for (size_t i = 0; i < KW_COUNT_OF(regions); i++) {
        regions[i] = KW_BYTES("US-CA");
    }
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct kw_key_params params = {.allowed_ips = ips,
                                       .allowed_ip_count = KW_IP_COUNT_MAX + beyond,
                                       .blocked_ips = ips,
                                       .blocked_ip_count = KW_IP_COUNT_MAX + beyond,
                                       .allowed_regions = regions,
                                       .allowed_region_count = KW_REGION_COUNT_MAX + beyond,
                                       .blocked_regions = regions,
                                       .blocked_region_count = KW_REGION_COUNT_MAX + beyond};
        static const struct {
            uint32_t given;
            const char *field;
        } rows[] = {{KW_GIVEN_ALLOWED_IPS, "allowedIPs"},
                    {KW_GIVEN_BLOCKED_IPS, "blockedIPs"},
                    {KW_GIVEN_ALLOWED_REGIONS, "allowedRegions"},
                    {KW_GIVEN_BLOCKED_REGIONS, "blockedRegions"}};
        for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
            params.given = rows[i].given;
            check_params(t, rows[i].field, &params, beyond == 0 ? NULL : rows[i].field);
        }
    }
}

static void what_is_not_given_is_not_looked_at(struct test *t)
{
    struct kw_key_params params = {.name = KW_BYTES("\xff"),
                                   .expires_at_ms = 1,
                                   .metadata = KW_BYTES("{"),
                                   .tag_count = 1000,
                                   .scope_count = 1000,
                                   .resource_count = 1000,
                                   .allowed_ip_count = 1000,
                                   .blocked_ip_count = 1000,
                                   .allowed_region_count = 1000,
                                   .blocked_region_count = 1000};
    check_params(t, "nothing given", &params, NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(texts_are_checked),
        TEST_CASE(sizes_are_capped),
        TEST_CASE(environments_and_owners_are_checked),
        TEST_CASE(tags_and_scopes_are_named_by_their_place),
        TEST_CASE(resources_are_named_by_their_name),
        TEST_CASE(a_resource_stands_once),
        TEST_CASE(resources_are_capped_together),
        TEST_CASE(metadata_is_a_json_object),
        TEST_CASE(metadata_is_bounded),
        TEST_CASE(times_lie_in_the_future),
        TEST_CASE(addresses_are_named_by_their_place),
        TEST_CASE(regions_are_named_by_their_place),
        TEST_CASE(places_are_counted),
        TEST_CASE(what_is_not_given_is_not_looked_at),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
