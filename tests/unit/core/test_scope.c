#include "core/scope.h"
#include "records.h"

#include <regex.h>

/* --- An independent model: segments in arrays, compared one by one --- */

#define SEGMENTS_MAX 8

struct segments {
    char text[SEGMENTS_MAX][16];
    size_t count;
};

static struct segments segments_of(struct kw_bytes scope)
{
    struct segments segments = {.count = 0};
    char copy[KW_SCOPE_MAX + 1] = {0};
    memcpy(copy, scope.data, scope.size);
    for (char *at = copy; at != NULL && segments.count < SEGMENTS_MAX; segments.count++) {
        char *end = strchr(at, ':');
        size_t size = end == NULL ? strlen(at) : (size_t)(end - at);
        memcpy(segments.text[segments.count], at, size);
        at = end == NULL ? NULL : end + 1;
    }
    return segments;
}

static bool model_covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    struct segments g = segments_of(granted);
    struct segments w = segments_of(wanted);
    bool wild = strcmp(g.text[g.count - 1], "*") == 0;
    if (wild ? w.count < g.count : w.count != g.count) {
        return false;
    }
    for (size_t i = 0; i < g.count - wild; i++) {
        if (strcmp(g.text[i], w.text[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* A valid scope of one to three segments of few letters, so that many cover one another. */
static struct kw_bytes random_scope(struct test *t, struct kw_arena *arena)
{
    static const char *const words[] = {"a", "b", "ab", "ba"};
    uint8_t text[32];
    struct kw_buffer buffer;
    size_t count = 1 + test_random_below(t, 3);
    kw_buffer_init_fixed(&buffer, text, sizeof text);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        kw_buffer_add_text(&buffer, last && test_random_below(t, 3) == 0 ? "*" : words[test_random_below(t, 4)]);
        kw_buffer_add_text(&buffer, last ? "" : ":");
    }
    struct kw_bytes copy = {NULL, 0};
    return kw_arena_copy(arena, kw_buffer_bytes(&buffer), &copy) == KW_OK ? copy : KW_BYTES("a");
}

static void covering_agrees_with_the_model(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    int covered = 0;
    for (int i = 0; i < 50000; i++) {
        struct kw_bytes granted = random_scope(t, &arena);
        struct kw_bytes wanted = random_scope(t, &arena);
        bool expected = model_covers(granted, wanted);
        covered += expected;
        if (kw_scope_covers(granted, wanted) != expected) {
            test_fail(t, __FILE__, __LINE__, "%.*s, %.*s", (int)granted.size, granted.data, (int)wanted.size,
                      wanted.data);
        }
        kw_arena_reset(&arena);
    }
    CHECK(t, covered > 1000);
}

static void covering_by_example(struct test *t)
{
    static const struct {
        const char *granted, *wanted;
        bool covers;
    } rows[] = {
        {"read", "read", true},       {"read", "reads", false},
        {"reads", "read", false},     {"read:*", "read:a", true},
        {"read:*", "read:a:b", true}, {"read:*", "read", false},
        {"read:*", "reads:a", false}, {"*", "read", true},
        {"*", "read:a:*", true},      {"*", "*", true},
        {"read:*", "*", false},       {"read:*", "read:*", true},
        {"read:*", "read:a:*", true}, {"read:a:*", "read:*", false},
        {"read", "read:*", false},    {"read", "*", false},
        {"Read", "read", false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        bool covers = kw_scope_covers(kw_bytes_of_text(rows[i].granted), kw_bytes_of_text(rows[i].wanted));
        if (covers != rows[i].covers) {
            test_fail(t, __FILE__, __LINE__, "%s, %s", rows[i].granted, rows[i].wanted);
        }
    }
    CHECK(t, kw_resource_covers(KW_BYTES("website:*"), KW_BYTES("website:123")));
    CHECK(t, kw_resource_covers(KW_BYTES("website:*"), KW_BYTES("website:*")));
    CHECK(t, kw_resource_covers(KW_BYTES("*"), KW_BYTES("website:*")));
    CHECK(t, kw_resource_covers(KW_BYTES("website:1"), KW_BYTES("website:1")));
    CHECK(t, !kw_resource_covers(KW_BYTES("website:1"), KW_BYTES("website:12")));
    CHECK(t, !kw_resource_covers(KW_BYTES("website:1"), KW_BYTES("website:*")));
    CHECK(t, !kw_resource_covers(KW_BYTES("website:*"), KW_BYTES("*")));
    CHECK(t, !kw_resource_covers(KW_BYTES("website:*"), KW_BYTES("websites:1")));
}

/* Validity against the grammar written as regular expressions, which another's code reads. */
static void grammar_agrees_with_its_regular_expression(struct test *t)
{
    regex_t scope;
    regex_t resource;
    REQUIRE(t, regcomp(&scope, "^([A-Za-z0-9._/@+-]+:)*([A-Za-z0-9._/@+-]+|\\*)$", REG_EXTENDED | REG_NOSUB) == 0);
    REQUIRE(t, regcomp(&resource, "^([a-z0-9_-]+:([A-Za-z0-9._/@+:-]+|\\*)|\\*)$", REG_EXTENDED | REG_NOSUB) == 0);
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    int valid = 0;
    for (int i = 0; i < 60000; i++) {
        const char *alphabet = i % 2 == 0 ? "aZ9:*" : "a:*:_-./@+ A\n\"{~\x7f,;";
        struct kw_bytes text = random_text(t, &arena, alphabet, 0, 7);
        char ended[8] = {0};
        if (text.size != 0) {
            memcpy(ended, text.data, text.size);
        }
        bool scope_expected = regexec(&scope, ended, 0, NULL, 0) == 0;
        bool resource_expected = regexec(&resource, ended, 0, NULL, 0) == 0;
        valid += scope_expected + resource_expected;
        if (kw_scope_valid(text) != scope_expected || kw_resource_valid(text) != resource_expected) {
            test_fail(t, __FILE__, __LINE__, "\"%s\"", ended);
        }
        kw_arena_reset(&arena);
    }
    CHECK(t, valid > 1000);
    regfree(&scope);
    regfree(&resource);
}

static void sizes_are_bounded(struct test *t)
{
    uint8_t text[KW_SCOPE_MAX + 1];
    memset(text, 'a', sizeof text);
    CHECK(t, kw_scope_valid(kw_bytes_of(text, KW_SCOPE_MAX)));
    CHECK(t, !kw_scope_valid(kw_bytes_of(text, KW_SCOPE_MAX + 1)));
    CHECK(t, !kw_scope_valid((struct kw_bytes){NULL, 0}));
    text[1] = ':';
    CHECK(t, kw_resource_valid(kw_bytes_of(text, KW_RESOURCE_MAX)));
    CHECK(t, !kw_resource_valid(kw_bytes_of(text, KW_RESOURCE_MAX + 1)));
    CHECK(t, !kw_resource_valid((struct kw_bytes){NULL, 0}));
    CHECK(t, !kw_scope_valid(KW_BYTES("a\0b")));
    CHECK(t, !kw_scope_valid(KW_BYTES("a\xff")));
    CHECK(t, !kw_resource_valid(KW_BYTES("a:\0")));
}

/* --- Authority: every single thing that may be done, in a small world that has more names than any grant --- */

#define GRANT_SCOPES_MAX 3
#define GRANTS_MAX 3

struct authority {
    struct kw_list scopes;
    struct kw_list resources;
    struct kw_bytes scope_items[GRANT_SCOPES_MAX];
    size_t scope_count;
    struct {
        struct kw_bytes resource;
        struct kw_bytes scopes[GRANT_SCOPES_MAX];
        size_t scope_count;
    } grants[GRANTS_MAX];
    size_t grant_count;
};

static void random_authority(struct test *t, struct kw_arena *arena, struct authority *authority)
{
    static const char *const names[] = {"*", "t:*", "t:1", "t:2", "u:*", "u:1"};
    struct kw_bytes sorted[GRANT_SCOPES_MAX];
    struct resource_of packed[GRANTS_MAX];
    *authority = (struct authority){.scope_count = test_random_below(t, GRANT_SCOPES_MAX)};
    for (size_t i = 0; i < authority->scope_count; i++) {
        sorted[i] = authority->scope_items[i] = random_scope(t, arena);
    }
    authority->scopes = list_of(arena, sorted, authority->scope_count);
    for (size_t name = 0; name < KW_COUNT_OF(names) && authority->grant_count < GRANTS_MAX; name++) {
        if (test_random_below(t, 3) != 0) {
            continue;
        }
        size_t at = authority->grant_count++;
        authority->grants[at].resource = kw_bytes_of_text(names[name]);
        authority->grants[at].scope_count = 1 + test_random_below(t, GRANT_SCOPES_MAX);
        for (size_t i = 0; i < authority->grants[at].scope_count; i++) {
            sorted[i] = authority->grants[at].scopes[i] = random_scope(t, arena);
        }
        packed[at] = (struct resource_of){kw_bytes_of_text(names[name]),
                                          list_of(arena, sorted, authority->grants[at].scope_count)};
    }
    authority->resources = resources_of(arena, packed, authority->grant_count);
}

static bool any_model_covers(const struct kw_bytes *scopes, size_t count, struct kw_bytes wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (model_covers(scopes[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* `resource` without data: what is done on no resource. */
static bool model_allows(const struct authority *authority, struct kw_bytes resource, struct kw_bytes wanted)
{
    if (any_model_covers(authority->scope_items, authority->scope_count, wanted)) {
        return true;
    }
    for (size_t i = 0; i < authority->grant_count; i++) {
        if (resource.data != NULL && model_covers(authority->grants[i].resource, resource) &&
            any_model_covers(authority->grants[i].scopes, authority->grants[i].scope_count, wanted)) {
            return true;
        }
    }
    return false;
}

/* "z" stands for all the names that no grant names. */
static const char *const world_words[] = {"a", "b", "ab", "ba", "z"};
static const char *const world_resources[] = {NULL, "t:1", "t:2", "t:z", "u:1", "u:2", "u:z", "v:z"};
#define WORLD_SCOPES (5 + 25 + 125 + 1)

/* All scopes of up to three segments; one of four stands for the longer ones. */
static struct kw_bytes world_scope(size_t number, uint8_t text[32])
{
    struct kw_buffer buffer;
    if (number == WORLD_SCOPES - 1) {
        return KW_BYTES("z:z:z:z");
    }
    size_t depth = number < 5 ? 1 : number < 30 ? 2 : 3;
    number -= depth == 1 ? 0 : depth == 2 ? 5 : 30;
    kw_buffer_init_fixed(&buffer, text, 32);
    for (size_t i = 0; i < depth; i++, number /= 5) {
        kw_buffer_add_text(&buffer, i == 0 ? "" : ":");
        kw_buffer_add_text(&buffer, world_words[number % 5]);
    }
    return kw_buffer_bytes(&buffer);
}

static bool model_within(const struct authority *inner, const struct authority *outer)
{
    uint8_t text[32];
    for (size_t r = 0; r < KW_COUNT_OF(world_resources); r++) {
        struct kw_bytes resource = kw_bytes_of_text(world_resources[r]);
        for (size_t s = 0; s < WORLD_SCOPES; s++) {
            struct kw_bytes scope = world_scope(s, text);
            if (model_allows(inner, resource, scope) && !model_allows(outer, resource, scope)) {
                return false;
            }
        }
    }
    return true;
}

static void authority_agrees_with_trying_everything(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    int within = 0;
    for (int i = 0; i < 4000; i++) {
        struct authority inner;
        struct authority outer;
        random_authority(t, &arena, &inner);
        random_authority(t, &arena, &outer);
        bool expected = model_within(&inner, &outer);
        within += expected;
        CHECK(t, kw_authority_within(&inner.scopes, &inner.resources, &outer.scopes, &outer.resources) == expected);
        CHECK(t, kw_authority_within(&inner.scopes, &inner.resources, &inner.scopes, &inner.resources));
        kw_arena_reset(&arena);
    }
    CHECK(t, within > 200 && within < 3800);
}

#define LINKS_MAX 3

/* What all of them do may be more than the outer one does. */
static bool model_shared_beyond(const struct authority *links, size_t count, const struct authority *outer)
{
    uint8_t text[32];
    for (size_t r = 0; r < KW_COUNT_OF(world_resources); r++) {
        struct kw_bytes resource = kw_bytes_of_text(world_resources[r]);
        for (size_t s = 0; s < WORLD_SCOPES; s++) {
            struct kw_bytes scope = world_scope(s, text);
            bool is_shared = !model_allows(outer, resource, scope);
            for (size_t i = 0; i < count && is_shared; i++) {
                is_shared = model_allows(&links[i], resource, scope);
            }
            if (is_shared) {
                return true;
            }
        }
    }
    return false;
}

static void what_is_shared_agrees_with_trying_everything(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    int beyond = 0;
    for (int i = 0; i < 3000; i++) {
        struct authority links[LINKS_MAX];
        struct authority outer;
        struct kw_authority packed[LINKS_MAX];
        size_t count = 1 + test_random_below(t, LINKS_MAX);
        size_t budget = 10000;
        size_t none = 0;
        for (size_t link = 0; link < count; link++) {
            random_authority(t, &arena, &links[link]);
            packed[link] = (struct kw_authority){links[link].scopes, links[link].resources};
        }
        random_authority(t, &arena, &outer);
        const struct kw_authority bound = {outer.scopes, outer.resources};
        bool expected = model_shared_beyond(links, count, &outer);
        beyond += expected;
        CHECK(t, kw_authority_shared_beyond(packed, count, &bound, &budget) == expected);
        CHECK(t, !expected || kw_authority_shared_beyond(packed, count, &bound, &none)); /* rather so than not */
        kw_arena_reset(&arena);
    }
    CHECK(t, beyond > 150 && beyond < 2850);
}

static void allowing_agrees_with_the_model(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    int allowed = 0;
    for (int i = 0; i < 1000; i++) {
        struct authority authority;
        random_authority(t, &arena, &authority);
        for (int n = 0; n < 20; n++) {
            struct kw_bytes scope = random_scope(t, &arena);
            const char *name = world_resources[1 + test_random_below(t, KW_COUNT_OF(world_resources) - 1)];
            struct kw_bytes resource = kw_bytes_of_text(name);
            bool expected = model_allows(&authority, resource, scope);
            allowed += expected;
            CHECK(t,
                  kw_resources_allow(authority.scopes.packed, authority.resources.packed, resource, scope) == expected);
            CHECK(t, kw_scopes_allow(authority.scopes.packed, scope) ==
                         model_allows(&authority, (struct kw_bytes){NULL, 0}, scope));
        }
        kw_arena_reset(&arena);
    }
    CHECK(t, allowed > 1000 && allowed < 19000);
}

static void pairs_are_read_one_after_another(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_bytes scopes[] = {KW_BYTES("read"), KW_BYTES("write")};
    struct resource_of pairs[] = {{KW_BYTES("t:1"), list_of(&arena, scopes, 2)},
                                  {KW_BYTES("t:2"), list_of(&arena, scopes, 1)}};
    struct kw_list resources = resources_of(&arena, pairs, 2);
    struct kw_bytes rest = resources.packed;
    struct kw_bytes resource;
    struct kw_list held;
    REQUIRE(t, kw_resources_next(&rest, &resource, &held));
    CHECK_BYTES(t, resource, KW_BYTES("t:1"));
    CHECK_I64(t, held.count, 2);
    REQUIRE(t, kw_resources_next(&rest, &resource, &held));
    CHECK_BYTES(t, resource, KW_BYTES("t:2"));
    CHECK_I64(t, held.count, 1);
    CHECK_BYTES(t, held.packed, KW_BYTES("\x04read"));
    CHECK(t, !kw_resources_next(&rest, &resource, &held));
    rest = KW_BYTES("\x03t:1");
    CHECK(t, !kw_resources_next(&rest, &resource, &held)); /* half a pair */
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(covering_by_example),
        TEST_CASE(covering_agrees_with_the_model),
        TEST_CASE(grammar_agrees_with_its_regular_expression),
        TEST_CASE(sizes_are_bounded),
        TEST_CASE(authority_agrees_with_trying_everything),
        TEST_CASE(what_is_shared_agrees_with_trying_everything),
        TEST_CASE(allowing_agrees_with_the_model),
        TEST_CASE(pairs_are_read_one_after_another),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
