/* The builder of resources against a table of booleans, its caps against those of a creation, and its way into a key.
 */
#include "base/memory.h"
#include "core/transition.h"
#include "library_fixture.h"

#include <stdio.h>

#define TYPES 3
#define IDS 4
#define SCOPES 5

static const char *const types[] = {"website", "store", "*"};
static const char *const ids[] = {"1", "2", "a:b", "*"};
static const char *const scopes[] = {"read", "write", "orders:*", "*", "orders:read"};

/* What was added and not taken away. Of the type "*" there is one resource. */
struct model {
    bool held[TYPES * IDS][SCOPES];
};

#define ALL_RESOURCES (2 * IDS)

static int resource_at(size_t type, size_t id)
{
    return type == 2 ? ALL_RESOURCES : (int)(type * IDS + id);
}

static struct kw_bytes id_of(size_t type, size_t id)
{
    return kw_text(type == 2 ? "" : ids[id]);
}

static size_t held_on(const struct model *model, int resource)
{
    size_t count = 0;
    for (size_t s = 0; s < SCOPES; s++) {
        count += model->held[resource][s];
    }
    return count;
}

static const struct kw_resource_scopes *find_built(const struct kw_key_params *params, const char *name)
{
    for (size_t i = 0; i < params->resource_count; i++) {
        if (kw_bytes_equal(params->resources[i].resource, kw_text(name))) {
            return &params->resources[i];
        }
    }
    return NULL;
}

static void check_resource(struct test *t, const struct model *model, const struct kw_resources *resources,
                           const struct kw_key_params *params, size_t type, size_t id)
{
    char name[KW_RESOURCE_MAX + 1];
    int at = resource_at(type, id);
    snprintf(name, sizeof name, type == 2 ? "%s" : "%s:%s", types[type], ids[id]);
    const struct kw_resource_scopes *built = find_built(params, name);
    CHECK_I64(t, built == NULL ? 0 : built->scope_count, held_on(model, at));
    CHECK_I64(t, kw_resources_has(resources, kw_text(types[type]), id_of(type, id), KW_BYTES("")),
              held_on(model, at) > 0);
    for (size_t s = 0; s < SCOPES; s++) {
        bool is_built = false;
        for (size_t i = 0; built != NULL && i < built->scope_count; i++) {
            is_built = is_built || kw_bytes_equal(built->scopes[i], kw_text(scopes[s]));
        }
        CHECK_I64(t, is_built, model->held[at][s]);
        CHECK_I64(t, kw_resources_has(resources, kw_text(types[type]), id_of(type, id), kw_text(scopes[s])),
                  model->held[at][s]);
    }
}

static void check_all(struct test *t, const struct model *model, struct kw_resources *resources)
{
    struct kw_key_params params = {.given = KW_GIVEN_NAME};
    size_t count = 0;
    kw_resources_build(resources, &params);
    CHECK_I64(t, params.given, KW_GIVEN_NAME | KW_GIVEN_RESOURCES);
    for (int i = 0; i <= ALL_RESOURCES; i++) {
        count += held_on(model, i) > 0;
    }
    CHECK_I64(t, params.resource_count, count);
    CHECK_I64(t, kw_resources_count(resources), count);
    for (size_t type = 0; type < TYPES; type++) {
        for (size_t id = 0; id < IDS; id++) {
            check_resource(t, model, resources, &params, type, id);
        }
    }
}

static void add_one(struct test *t, struct model *model, struct kw_resources *resources, size_t type, size_t id)
{
    size_t scope = test_random_below(t, SCOPES);
    CHECK_STATUS(t, kw_resources_add(resources, kw_text(types[type]), id_of(type, id), kw_text(scopes[scope]), NULL),
                 KW_OK);
    model->held[resource_at(type, id)][scope] = true;
}

static void add_several(struct test *t, struct model *model, struct kw_resources *resources, size_t type, size_t id)
{
    struct kw_bytes added[6];
    size_t count = 1 + test_random_below(t, 5);
    bool is_good = test_random_below(t, 4) > 0;
    size_t chosen[6];
    for (size_t i = 0; i < count; i++) {
        chosen[i] = test_random_below(t, SCOPES);
        added[i] = kw_text(scopes[chosen[i]]);
    }
    added[count] = KW_BYTES("no scope");
    CHECK_STATUS(t,
                 kw_resources_add_many(resources, kw_text(types[type]), id_of(type, id), added,
                                       is_good ? count : count + 1, NULL),
                 is_good ? KW_OK : KW_E_INVALID);
    for (size_t i = 0; is_good && i < count; i++) {
        model->held[resource_at(type, id)][chosen[i]] = true;
    }
}

static void take_away(struct test *t, struct model *model, struct kw_resources *resources, size_t type, size_t id)
{
    bool *held = model->held[resource_at(type, id)];
    size_t scope = test_random_below(t, SCOPES + 1);
    bool is_whole = scope == SCOPES;
    bool is_there = is_whole ? held_on(model, resource_at(type, id)) > 0 : held[scope];
    CHECK_I64(t,
              kw_resources_remove(resources, kw_text(types[type]), id_of(type, id),
                                  is_whole ? KW_BYTES("") : kw_text(scopes[scope])),
              is_there);
    if (is_whole) {
        memset(held, 0, sizeof model->held[0]);
    } else {
        held[scope] = false;
    }
}

static void any_sequence_is_what_a_table_says(struct test *t)
{
    for (int round = 0; round < 50 && t->failures == 0; round++) {
        struct model model = {{{false}}};
        struct kw_resources *resources = kw_resources_new();
        REQUIRE(t, resources != NULL);
        for (int step = 0; step < 100 && t->failures == 0; step++) {
            size_t type = test_random_below(t, TYPES);
            size_t id = test_random_below(t, IDS);
            switch (test_random_below(t, 5)) {
            case 0:
            case 1:
                take_away(t, &model, resources, type, id);
                break;
            case 2:
                add_several(t, &model, resources, type, id);
                break;
            default:
                add_one(t, &model, resources, type, id);
            }
            check_all(t, &model, resources);
        }
        kw_resources_free(resources);
    }
}

/* Long and short names, until the builder refuses: a creation takes all that it took, and not one thing more. */
static void the_caps_are_those_of_a_creation(struct test *t)
{
    static char text[KW_SCOPE_MAX + 1];
    int refusals = 0;
    for (int round = 0; round < 30 && t->failures == 0; round++) {
        struct kw_resources *resources = kw_resources_new();
        size_t id_count = 1 + test_random_below(t, 100);
        size_t size = 8 + test_random_below(t, KW_SCOPE_MAX - 8);
        for (int step = 0; step < 400; step++) {
            struct kw_key_params params = {.given = 0};
            struct kw_arena arena;
            char id[16];
            memset(text, 'x', size);
            snprintf(text + size - 6, 7, "%06d", step);
            snprintf(id, sizeof id, "%d", (int)test_random_below(t, id_count));
            enum kw_status status = kw_resources_add(resources, KW_BYTES("t"), kw_text(id), kw_text(text), NULL);
            kw_resources_build(resources, &params);
            kw_arena_init(&arena, NULL, 0, KW_RECORD_MAX);
            CHECK_STATUS(t, kw_key_params_check(&params, 0, &arena, NULL), KW_OK);
            CHECK(t, status == KW_OK || status == KW_E_INVALID);
            if (status != KW_OK) { /* the same, added by hand */
                struct kw_resource_scopes by_hand[KW_RESOURCE_COUNT_MAX + 1];
                struct kw_bytes longer[KW_SCOPE_COUNT_MAX + 1];
                char name[32];
                size_t at = 0;
                memcpy(by_hand, params.resources, params.resource_count * sizeof *by_hand);
                snprintf(name, sizeof name, "t:%s", id);
                while (at < params.resource_count && !kw_bytes_equal(by_hand[at].resource, kw_text(name))) {
                    at++;
                }
                size_t before = at < params.resource_count ? by_hand[at].scope_count : 0;
                if (before > 0) {
                    memcpy(longer, by_hand[at].scopes, before * sizeof *longer);
                }
                longer[before] = kw_text(text);
                by_hand[at] = (struct kw_resource_scopes){kw_text(name), longer, before + 1};
                params.resources = by_hand;
                params.resource_count += before == 0;
                CHECK_STATUS(t, kw_key_params_check(&params, 0, &arena, NULL), KW_E_INVALID);
                refusals++;
            }
            kw_arena_reset(&arena);
        }
        kw_resources_free(resources);
    }
    CHECK(t, refusals > 0);
}

static void refusals_name_their_place(struct test *t)
{
    struct kw_resources *resources = kw_resources_new();
    struct kw_error error;
    struct kw_bytes many[KW_SCOPE_COUNT_MAX + 1];
    static char texts[KW_SCOPE_COUNT_MAX + 1][8];
    struct kw_bytes website = KW_BYTES("website");
    const struct kw_bytes two[] = {KW_BYTES("read"), KW_BYTES("a b")};
    static const char *const no_types[][3] = {
        {"", "1", "resources.:1"},   {"website", "", "resources.website:"}, {"Web", "1", "resources.Web:1"},
        {"a:b", "1", "resources.*"}, {"a", "b c", "resources.a:b c"},       {"*", "1", "resources.*:1"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(no_types); i++) {
        CHECK_REFUSED(t, kw_resources_add(resources, kw_text(no_types[i][0]), kw_text(no_types[i][1]), two[0], &error),
                      error, KW_E_INVALID, "INVALID_FIELD", no_types[i][2]);
    }
    CHECK_REFUSED(t, kw_resources_add_many(resources, website, KW_BYTES("1"), two, 2, &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "resources.website:1[1]");
    CHECK_REFUSED(t, kw_resources_add_many(resources, website, KW_BYTES("1"), NULL, 0, &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "resources.website:1");
    for (size_t i = 0; i <= KW_SCOPE_COUNT_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "s%zu", i);
        many[i] = kw_text(texts[i]);
    }
    REQUIRE_OK(t, kw_resources_add_many(resources, website, KW_BYTES("1"), many, KW_SCOPE_COUNT_MAX, &error));
    REQUIRE_OK(t, kw_resources_add(resources, website, KW_BYTES("1"), many[0], &error)); /* it is there */
    CHECK_REFUSED(t, kw_resources_add(resources, website, KW_BYTES("1"), many[KW_SCOPE_COUNT_MAX], &error), error,
                  KW_E_INVALID, "INVALID_FIELD", "resources.website:1");
    CHECK(t, kw_resources_remove(resources, website, KW_BYTES("1"), KW_BYTES("")));
    for (size_t i = 0; i < KW_RESOURCE_COUNT_MAX; i++) {
        REQUIRE_OK(t, kw_resources_add(resources, website, many[i], two[0], &error));
    }
    CHECK_REFUSED(t, kw_resources_add(resources, website, many[KW_RESOURCE_COUNT_MAX], two[0], &error), error,
                  KW_E_INVALID, "INVALID_FIELD", "resources");
    CHECK_REFUSED(t, kw_resources_add_json(resources, KW_BYTES("{\"a:1\": [\"read\"]}"), &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "resources");
    CHECK_I64(t, kw_resources_count(resources), KW_RESOURCE_COUNT_MAX);
    kw_resources_free(resources);
    CHECK_REFUSED(t, kw_resources_add(NULL, website, KW_BYTES("1"), two[0], &error), error, KW_E_BUSY, "TOO_BUSY", "");
    CHECK(t, !kw_resources_has(NULL, website, KW_BYTES("1"), two[0]));
    CHECK(t, !kw_resources_remove(NULL, website, KW_BYTES("1"), two[0]));
    kw_resources_free(NULL);
}

static void json_is_read_strictly(struct test *t)
{
    static const char *const cases[][3] = {
        {"", "INVALID_JSON", ""},
        {"{", "INVALID_JSON", ""},
        {"{} {}", "INVALID_JSON", ""},
        {"{}, \"resources\": {}", "INVALID_JSON", ""},
        {"[]", "INVALID_FIELD", "resources"},
        {"null", "INVALID_FIELD", "resources"},
        {"{\"a:1\": \"read\"}", "INVALID_FIELD", "resources.a:1"},
        {"{\"a:1\": [1]}", "INVALID_FIELD", "resources.a:1[0]"},
        {"{\"a:1\": [\"r\"], \"b:1\": [\"r\", \"a b\"]}", "INVALID_FIELD", "resources.b:1[1]"},
        {"{\"a:1\": []}", "INVALID_FIELD", "resources.a:1"},
        {"{\"a\": [\"r\"]}", "INVALID_FIELD", "resources.a"},
        {"{\"a:1\": [\"r\"], \"a:1\": [\"w\"]}", "DUPLICATE_FIELD", "resources.a:1"},
    };
    struct kw_resources *resources = kw_resources_new();
    struct kw_error error;
    struct kw_key_params params = {.given = 0};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        CHECK_REFUSED(t, kw_resources_add_json(resources, kw_text(cases[i][0]), &error), error, KW_E_INVALID,
                      cases[i][1], cases[i][2]);
        CHECK_I64(t, kw_resources_count(resources), 0);
    }
    REQUIRE_OK(t, kw_resources_add_json(resources, KW_BYTES(" {} "), &error));
    REQUIRE_OK(t, kw_resources_add_json(resources,
                                        KW_BYTES("{\"website:123\": [\"read\", \"wr\\u0069te\"], \"*\": [\"list\"]}\n"),
                                        &error));
    CHECK(t, kw_resources_has(resources, KW_BYTES("website"), KW_BYTES("123"), KW_BYTES("write")));
    CHECK(t, kw_resources_has(resources, KW_BYTES("*"), KW_BYTES(""), KW_BYTES("list")));
    CHECK(t, !kw_resources_has(resources, KW_BYTES("website"), KW_BYTES("1234"), KW_BYTES("")));
    kw_resources_build(resources, &params);
    CHECK_I64(t, params.resource_count, 2);
    kw_resources_free(resources);
}

/* A key made from what was built, and another from the first one's record, with less. */
static void a_key_takes_what_was_built(struct test *t)
{
    struct library library;
    struct kw_new_key first, second;
    struct kw_error error;
    struct kw_verdict verdict;
    struct kw_resources *resources = kw_resources_new();
    struct kw_resources *fewer = kw_resources_new();
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    const struct kw_bytes both[] = {KW_BYTES("write"), KW_BYTES("read")};
    REQUIRE(t, library_open(t, &library));
    REQUIRE_OK(t, kw_resources_add_many(resources, KW_BYTES("website"), KW_BYTES("123"), both, 2, &error));
    kw_resources_build(resources, &params);
    REQUIRE(t, library_create_as(t, &library, &params, &first));
    REQUIRE_OK(t, kw_resources_add_record(fewer, &first.held.record, &error));
    CHECK(t, kw_resources_has(fewer, KW_BYTES("website"), KW_BYTES("123"), both[0]));
    CHECK(t, kw_resources_remove(fewer, KW_BYTES("website"), KW_BYTES("123"), both[0]));
    kw_resources_build(fewer, &params);
    REQUIRE(t, library_create_as(t, &library, &params, &second));
    struct kw_verify_request request = {
        .resource = KW_BYTES("website:123"), .resource_scopes = both, .resource_scope_count = 2};
    request.key = kw_text(first.key);
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_NONE);
    request.key = kw_text(second.key);
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    CHECK_CODE(t, verdict.code, KW_CODE_INSUFFICIENT_SCOPE);
    CHECK_TEXT(t, verdict.missing, "write");
    CHECK_TEXT(t, verdict.missing_on, "website:123");
    kw_new_key_clear(&first);
    kw_new_key_clear(&second);
    kw_resources_free(resources);
    kw_resources_free(fewer);
    library_end(&library);
}

static void without_memory_nothing_is_added(struct test *t)
{
    struct kw_resources *resources = kw_resources_new();
    struct kw_error error;
    bool is_done = false;
    REQUIRE_OK(t, kw_resources_add(resources, KW_BYTES("a"), KW_BYTES("1"), KW_BYTES("read"), &error));
    for (int64_t n = 1; n < 100 && !is_done; n++) {
        kw_alloc_fail_after(n);
        enum kw_status status =
            kw_resources_add_json(resources, KW_BYTES("{\"a:1\": [\"write\"], \"b:1\": [\"read\", \"x\"]}"), &error);
        kw_alloc_fail_after(-1);
        is_done = status == KW_OK;
        CHECK(t, is_done || status == KW_E_BUSY || status == KW_E_MEMORY);
        CHECK_I64(t, kw_resources_count(resources), is_done ? 2 : 1);
        CHECK_I64(t, kw_resources_has(resources, KW_BYTES("a"), KW_BYTES("1"), KW_BYTES("write")), is_done);
    }
    CHECK(t, is_done);
    kw_resources_free(resources);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(any_sequence_is_what_a_table_says), TEST_CASE(the_caps_are_those_of_a_creation),
        TEST_CASE(refusals_name_their_place),         TEST_CASE(json_is_read_strictly),
        TEST_CASE(a_key_takes_what_was_built),        TEST_CASE(without_memory_nothing_is_added),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
