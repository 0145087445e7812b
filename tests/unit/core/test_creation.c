/* What a creation comes to: the caller's fields, the template's, the preset's scopes, the project's expiry. */
#include "core/catalog.h"

#include "support/test.h"

#define NOW_MS INT64_C(1767225600000)
#define DAY_MS INT64_C(86400000)

struct fixture {
    struct kw_document *project, *template;
    struct kw_arena arena;
    uint8_t memory[8192];
};

static bool begin(struct test *t, struct fixture *f, const char *project, const char *template)
{
    kw_arena_init(&f->arena, f->memory, sizeof f->memory, sizeof f->memory);
    f->project = f->template = NULL;
    bool good =
        kw_document_read(KW_DOCUMENT_PROJECT, KW_BYTES(""), kw_bytes_of_text(project), &f->project) == KW_OK &&
        kw_document_read(KW_DOCUMENT_TEMPLATE, KW_BYTES("p"), kw_bytes_of_text(template), &f->template) == KW_OK;
    if (!good) {
        test_fail(t, __FILE__, __LINE__, "no fixture");
    }
    return good;
}

static void end(struct fixture *f)
{
    kw_document_release(f->project);
    kw_document_release(f->template);
    kw_arena_reset(&f->arena);
}

static enum kw_status create(struct fixture *f, const struct kw_key_params *params, const char *preset,
                             struct kw_key_params *params_out, struct kw_error *error_out)
{
    struct kw_creation creation = {.project = &f->project->is.project,
                                   .template = &f->template->is.template,
                                   .params = params,
                                   .preset = kw_bytes_of_text(preset)};
    return kw_creation_params(&creation, &f->arena, params_out, error_out);
}

#define PLAIN "\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"a_\"}]"

static void what_is_given_overrides_the_template(struct test *t)
{
    struct fixture f;
    struct kw_key_params made;
    struct kw_error error;
    REQUIRE(t, begin(t, &f, "{\"name\":\"p\"," PLAIN "}",
                     "{\"name\":\"ci\",\"fields\":{\"owner\":\"team:1\",\"name\":\"a\",\"tags\":[\"x\",\"y\"],"
                     "\"metadata\":{},\"expiresAt\":\"2030-01-01T00:00:00Z\",\"isPublic\":true}}"));
    REQUIRE_OK(t, create(&f, NULL, NULL, &made, &error));
    CHECK_I64(t, made.given, f.template->is.template.params.given);
    CHECK_BYTES(t, made.owner, KW_BYTES("team:1"));
    CHECK_I64(t, made.tag_count, 2);
    CHECK(t, made.is_public);
    struct kw_key_params own = {.given = KW_GIVEN_OWNER | KW_GIVEN_TAGS | KW_GIVEN_EXPIRES_IN | KW_GIVEN_PUBLIC,
                                .owner = KW_BYTES("user:2"),
                                .expires_in_ms = DAY_MS};
    REQUIRE_OK(t, create(&f, &own, NULL, &made, &error));
    CHECK_BYTES(t, made.owner, KW_BYTES("user:2"));
    CHECK_BYTES(t, made.name, KW_BYTES("a"));
    CHECK_I64(t, made.tag_count, 0);
    CHECK(t, !made.is_public);
    CHECK_I64(t, made.given & KW_GIVEN_EXPIRES_AT, 0);
    CHECK_I64(t, made.expires_in_ms, DAY_MS);
    end(&f);
}

static void locks_hold(struct test *t)
{
    struct fixture f;
    struct kw_key_params made;
    struct kw_error error;
    REQUIRE(t, begin(t, &f, "{\"name\":\"p\"," PLAIN "}",
                     "{\"name\":\"ci\",\"locked\":[\"preset\",\"ownerId\",\"expiresAt\"]}"));
    static const struct {
        uint32_t given;
        const char *field;
    } fields[] = {{KW_GIVEN_SCOPES, "scopes"},
                  {KW_GIVEN_OWNER, "owner"},
                  {KW_GIVEN_EXPIRES_AT, "expiresAt"},
                  {KW_GIVEN_EXPIRES_IN, "expiresIn"}};
    for (size_t i = 0; i < KW_COUNT_OF(fields); i++) {
        struct kw_key_params own = {.given = fields[i].given};
        CHECK(t, create(&f, &own, NULL, &made, &error) != KW_OK);
        CHECK_TEXT(t, error.code, "FIELD_LOCKED");
        CHECK_TEXT(t, error.field, fields[i].field);
    }
    CHECK(t, create(&f, NULL, "readOnly", &made, &error) != KW_OK);
    CHECK_TEXT(t, error.field, "preset");
    struct kw_key_params open = {.given = KW_GIVEN_NAME | KW_GIVEN_RESOURCES};
    CHECK_STATUS(t, create(&f, &open, NULL, &made, &error), KW_OK);
    end(&f);
}

static void presets_add_their_scopes(struct test *t)
{
    struct fixture f;
    struct kw_key_params made;
    struct kw_error error;
    struct kw_bytes scope = KW_BYTES("x");
    struct kw_key_params own = {.given = KW_GIVEN_SCOPES, .scopes = &scope, .scope_count = 1};
    REQUIRE(t, begin(t, &f, "{\"name\":\"p\"," PLAIN ",\"presets\":{\"a\":[\"one\",\"two\"],\"readOnly\":[\"see\"]}}",
                     "{\"name\":\"ci\",\"fields\":{\"preset\":\"a\",\"scopes\":[\"own\"]}}"));
    REQUIRE_OK(t, create(&f, NULL, NULL, &made, &error));
    REQUIRE(t, made.scope_count == 3);
    CHECK_BYTES(t, made.scopes[0], KW_BYTES("own"));
    CHECK_BYTES(t, made.scopes[2], KW_BYTES("two"));
    REQUIRE_OK(t, create(&f, &own, "readOnly", &made, &error));
    REQUIRE(t, made.scope_count == 2);
    CHECK_BYTES(t, made.scopes[1], KW_BYTES("see"));
    REQUIRE_OK(t, create(&f, &own, NULL, &made, &error));
    CHECK_I64(t, made.scope_count, 1);
    REQUIRE_OK(t, create(&f, NULL, "fullAccess", &made, &error));
    REQUIRE(t, made.scope_count == 1);
    CHECK_BYTES(t, made.scopes[0], KW_BYTES("*"));
    CHECK(t, create(&f, NULL, "none", &made, &error) != KW_OK);
    CHECK_TEXT(t, error.field, "preset");
    end(&f);
}

static void projects_bound_the_life_of_keys(struct test *t)
{
    struct fixture f;
    struct kw_key_params made;
    struct kw_error error;
    REQUIRE(t, begin(t, &f, "{\"name\":\"p\"," PLAIN ",\"defaultExpiresIn\":\"1d\",\"maxExpiresIn\":\"2d\"}",
                     "{\"name\":\"ci\"}"));
    const struct kw_project *project = &f.project->is.project;
    REQUIRE_OK(t, create(&f, NULL, NULL, &made, &error));
    CHECK_I64(t, made.given, KW_GIVEN_EXPIRES_IN);
    CHECK_I64(t, made.expires_in_ms, DAY_MS);
    struct kw_key_params in = {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = 2 * DAY_MS};
    struct kw_key_params at = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = NOW_MS + 2 * DAY_MS};
    CHECK_STATUS(t, kw_project_admits_expiry(project, &in, NOW_MS, &error), KW_OK);
    CHECK_STATUS(t, kw_project_admits_expiry(project, &at, NOW_MS, &error), KW_OK);
    in.expires_in_ms++;
    CHECK_STATUS(t, kw_project_admits_expiry(project, &in, NOW_MS, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "expiresIn");
    at.expires_at_ms++;
    CHECK_STATUS(t, kw_project_admits_expiry(project, &at, NOW_MS, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "expiresAt");
    at.expires_at_ms = 0;
    CHECK_STATUS(t, kw_project_admits_expiry(project, &at, NOW_MS, &error), KW_E_INVALID);
    at.given = KW_GIVEN_NAME;
    CHECK_STATUS(t, kw_project_admits_expiry(project, &at, NOW_MS, &error), KW_OK);
    CHECK_STATUS(t, kw_project_admits_expiry(project, NULL, NOW_MS, &error), KW_OK);
    end(&f);
}

static struct kw_catalog *catalog_with(const struct fixture *f, const char *policy)
{
    struct kw_catalog *catalog = NULL;
    struct kw_document *document = NULL;
    bool good = kw_catalog_new(&catalog) == KW_OK && kw_catalog_put(catalog, f->project) == KW_OK &&
                kw_document_read(KW_DOCUMENT_POLICY, KW_BYTES("p"), kw_bytes_of_text(policy), &document) == KW_OK &&
                kw_catalog_put(catalog, document) == KW_OK;
    kw_document_release(document);
    if (!good) {
        kw_catalog_free(catalog);
    }
    return good ? catalog : NULL;
}

static void a_policy_gives_scopes_and_expiry(struct test *t)
{
    struct fixture f;
    struct kw_key_params made;
    struct kw_error error;
    REQUIRE(t,
            begin(t, &f, "{\"name\":\"p\",\"number\":5," PLAIN ",\"defaultExpiresIn\":\"2d\",\"maxExpiresIn\":\"9d\"}",
                  "{\"name\":\"ci\",\"fields\":{\"policy\":\"a\"}}"));
    struct kw_catalog *catalog = catalog_with(&f, "{\"name\":\"a\",\"scopes\":[\"x\",\"y:*\"],\"maxTtl\":\"1d\"}");
    REQUIRE(t, catalog != NULL);
    struct kw_key_params own = {.given = KW_GIVEN_POLICY, .policy = KW_BYTES("a")};
    struct kw_creation creation = {.catalog = catalog, .project = &f.project->is.project, .params = &own};
    REQUIRE_OK(t, kw_creation_params(&creation, &f.arena, &made, &error));
    REQUIRE(t, made.scope_count == 2);
    CHECK_BYTES(t, made.scopes[1], KW_BYTES("y:*"));
    CHECK_I64(t, made.expires_in_ms, DAY_MS);
    creation.params = NULL;
    creation.template = &f.template->is.template;
    REQUIRE_OK(t, kw_creation_params(&creation, &f.arena, &made, &error));
    CHECK_BYTES(t, made.policy, KW_BYTES("a"));
    CHECK_I64(t, made.scope_count, 2);
    own = (struct kw_key_params){.given = KW_GIVEN_POLICY | KW_GIVEN_SCOPES | KW_GIVEN_EXPIRES_IN,
                                 .policy = KW_BYTES("a"),
                                 .expires_in_ms = 3 * DAY_MS};
    creation.params = &own;
    REQUIRE_OK(t, kw_creation_params(&creation, &f.arena, &made, &error));
    CHECK_I64(t, made.scope_count, 0);
    CHECK_I64(t, made.expires_in_ms, 3 * DAY_MS);
    own = (struct kw_key_params){.given = KW_GIVEN_POLICY};
    REQUIRE_OK(t, kw_creation_params(&creation, &f.arena, &made, &error));
    CHECK_I64(t, made.expires_in_ms, 2 * DAY_MS);
    own = (struct kw_key_params){.given = KW_GIVEN_POLICY | KW_GIVEN_RESOURCES, .policy = KW_BYTES("a")};
    REQUIRE_OK(t, kw_creation_params(&creation, &f.arena, &made, &error));
    CHECK_I64(t, made.given & KW_GIVEN_SCOPES, 0); /* resources alone are all that was asked for */
    CHECK_I64(t, made.scope_count, 0);
    own.policy = KW_BYTES("b");
    CHECK_STATUS(t, kw_creation_params(&creation, &f.arena, &made, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "policy");
    kw_catalog_free(catalog);
    end(&f);
}

/* The names of the quotas and of the rate limits, joined. */
static void check_limits(struct test *t, const struct kw_creation *creation, struct kw_arena *arena,
                         const char *expected)
{
    uint8_t memory[256];
    struct kw_buffer names;
    struct kw_key_params made = {.given = 0};
    CHECK_STATUS(t, kw_creation_params(creation, arena, &made, NULL), KW_OK);
    kw_buffer_init_fixed(&names, memory, sizeof memory);
    for (size_t i = 0; (made.given & KW_GIVEN_QUOTAS) != 0 && i < made.quota_count; i++) {
        kw_buffer_add(&names, made.quotas[i].name);
        kw_buffer_add_byte(&names, ' ');
    }
    for (size_t i = 0; (made.given & KW_GIVEN_RATE_LIMITS) != 0 && i < made.rate_limit_count; i++) {
        kw_buffer_add(&names, made.rate_limits[i].name);
        kw_buffer_add_byte(&names, ' ');
    }
    CHECK_BYTES(t, kw_buffer_bytes(&names), kw_bytes_of_text(expected));
}

#define QUOTA(name, rest) "{\"name\":\"" name "\",\"limit\":1,\"period\":\"day\"" rest "}"
#define LIMIT(name, rest) "{\"name\":\"" name "\",\"requests\":1,\"window\":\"1s\"" rest "}"
#define ORG ",\"per\":\"org\""

static void limits_come_from_the_nearest_that_says_any(struct test *t)
{
    struct fixture f;
    REQUIRE(
        t,
        begin(t, &f,
              "{\"name\":\"p\",\"number\":5,\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"a_\"},"
              "{\"name\":\"test\",\"secretPrefix\":\"b_\",\"quotas\":[" QUOTA(
                  "e",
                  "") "]},"
                      "{\"name\":\"free\",\"secretPrefix\":\"c_\",\"quotas\":[],\"rateLimits\":[]}],\"quotas\":[" QUOTA(
                          "p", "") "," QUOTA("po", ORG) "],\"rateLimits\":[" LIMIT("lo", ORG) "," LIMIT("l", "") "]}",
              "{\"name\":\"ci\",\"fields\":{\"quota\":" QUOTA("t", "") "}}"));
    struct kw_catalog *catalog =
        catalog_with(&f, "{\"name\":\"a\",\"quotas\":[" QUOTA("a", "") "," QUOTA("ao", ORG) "]}");
    REQUIRE(t, catalog != NULL);
    struct kw_key_params own = {.given = 0, .policy = KW_BYTES("a"), .org_id = KW_BYTES("acme")};
    struct kw_creation creation = {.catalog = catalog, .project = &f.project->is.project, .params = &own};
    check_limits(t, &creation, &f.arena, "p l "); /* no organisation, so none of its limits */
    own.given = KW_GIVEN_ORG;
    check_limits(t, &creation, &f.arena, "p po lo l ");
    own.given = KW_GIVEN_ENV;
    own.env = KW_BYTES("test");
    check_limits(t, &creation, &f.arena, "e l ");
    own.env = KW_BYTES("free");
    check_limits(t, &creation, &f.arena, "");
    own.given = KW_GIVEN_POLICY;
    check_limits(t, &creation, &f.arena, "a ao l "); /* which is refused for want of an organisation */
    own.given = KW_GIVEN_PARENT;
    check_limits(t, &creation, &f.arena, "");
    own.given = KW_GIVEN_PARENT | KW_GIVEN_POLICY;
    check_limits(t, &creation, &f.arena, "a ao ");
    own.given = KW_GIVEN_QUOTAS; /* none, and that was said */
    check_limits(t, &creation, &f.arena, "l ");
    own.given = KW_GIVEN_POLICY;
    creation.template = &f.template->is.template;
    check_limits(t, &creation, &f.arena, "t l ");
    kw_catalog_free(catalog);
    end(&f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_is_given_overrides_the_template),
        TEST_CASE(locks_hold),
        TEST_CASE(presets_add_their_scopes),
        TEST_CASE(projects_bound_the_life_of_keys),
        TEST_CASE(a_policy_gives_scopes_and_expiry),
        TEST_CASE(limits_come_from_the_nearest_that_says_any),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
