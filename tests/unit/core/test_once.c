/* The keys of requests, in the forms that they come in, and what tells one request from another. */
#include "core/once.h"

#include "base/memory.h"
#include "support/test.h"

static void a_key_reads_alike_in_both_forms(struct test *t)
{
    static const struct {
        const char *header, *key; /* NULL: refused */
    } rows[] = {
        {"a", "a"},
        {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        {"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        {"\"a\\\"b\\\\c\"", "a\"b\\c"},
        {"a\"b\\c", "a\"b\\c"},
        {"!~", "!~"},
        {"", NULL},
        {"\"\"", NULL},
        {"\"", NULL},
        {"\"a", NULL},
        {"\"a\\\"", NULL},
        {"\"a\\b\"", NULL},
        {"\"a\"b", NULL},
        {"\"a\";p=1", NULL},
        {"\"a\", \"b\"", NULL},
        {"a b", NULL},
        {"\"a b\"", NULL},
        {"a\tb", NULL},
        {"\x7f", NULL},
        {"\xc3\xa4", NULL},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        uint8_t memory[KW_ONCE_KEY_MAX];
        struct kw_bytes key = {NULL, 0};
        struct kw_error error = {0};
        enum kw_status status =
            kw_once_key_read(kw_bytes_of_text(rows[i].header), "Idempotency-Key", memory, &key, &error);
        CHECK_STATUS(t, status, rows[i].key == NULL ? KW_E_INVALID : KW_OK);
        CHECK_BYTES(t, key, kw_bytes_of_text(rows[i].key));
        CHECK_TEXT(t, error.field, rows[i].key == NULL ? "Idempotency-Key" : "");
    }
}

static void a_key_has_255_characters_at_most(struct test *t)
{
    uint8_t header[2 * KW_ONCE_KEY_MAX + 4];
    uint8_t memory[KW_ONCE_KEY_MAX];
    struct kw_bytes key = {NULL, 0};
    memset(header, 'x', sizeof header);
    CHECK_STATUS(t, kw_once_key_read(kw_bytes_of(header, KW_ONCE_KEY_MAX), "k", memory, &key, NULL), KW_OK);
    CHECK_I64(t, key.size, KW_ONCE_KEY_MAX);
    CHECK_STATUS(t, kw_once_key_read(kw_bytes_of(header, KW_ONCE_KEY_MAX + 1), "k", memory, &key, NULL), KW_E_INVALID);
    for (size_t i = 1; i < sizeof header; i++) {
        header[i] = i % 2 == 1 ? '\\' : '"';
    }
    header[0] = '"';
    header[2 * KW_ONCE_KEY_MAX + 1] = '"';
    CHECK_STATUS(t, kw_once_key_read(kw_bytes_of(header, 2 * KW_ONCE_KEY_MAX + 2), "k", memory, &key, NULL), KW_OK);
    CHECK_I64(t, key.size, KW_ONCE_KEY_MAX);
    header[2 * KW_ONCE_KEY_MAX + 1] = '\\';
    header[2 * KW_ONCE_KEY_MAX + 3] = '"';
    CHECK_STATUS(t, kw_once_key_read(kw_bytes_of(header, 2 * KW_ONCE_KEY_MAX + 4), "k", memory, &key, NULL),
                 KW_E_INVALID);
}

static bool is_named_alike(const struct kw_once_place *a, const char *a_key, const struct kw_once_place *b,
                           const char *b_key)
{
    struct kw_once left, right;
    kw_once_make(a, kw_bytes_of_text(a_key), NULL, 0, &left);
    kw_once_make(b, kw_bytes_of_text(b_key), NULL, 0, &right);
    return memcmp(left.name, right.name, sizeof left.name) == 0;
}

static void callers_projects_and_routes_are_apart(struct test *t)
{
    const struct kw_once_place place = {KW_BYTES("key:1"), KW_BYTES("default"), KW_BYTES("POST /v1/keys")};
    const struct kw_once_place others[] = {
        {KW_BYTES("key:2"), KW_BYTES("default"), KW_BYTES("POST /v1/keys")},
        {KW_BYTES("key:1"), KW_BYTES("keyward"), KW_BYTES("POST /v1/keys")},
        {KW_BYTES("key:1"), KW_BYTES("default"), KW_BYTES("POST /v1/keys/{id}/rotate")},
        {KW_BYTES("key:1d"), KW_BYTES("efault"), KW_BYTES("POST /v1/keys")},
    };
    CHECK(t, is_named_alike(&place, "a", &place, "a"));
    CHECK(t, !is_named_alike(&place, "a", &place, "b"));
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        CHECK(t, !is_named_alike(&place, "a", &others[i], "a"));
    }
}

static struct kw_bytes params_of(struct test *t, struct kw_arena *arena, const struct kw_key_params *params)
{
    struct kw_bytes bytes = {NULL, 0};
    CHECK_STATUS(t, kw_once_params(params, arena, &bytes, NULL), KW_OK);
    return bytes;
}

static void params_that_say_the_same_ask_for_the_same(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    struct kw_bytes forth[] = {KW_BYTES("read"), KW_BYTES("write")};
    struct kw_bytes back[] = {KW_BYTES("write"), KW_BYTES("read")};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES | KW_GIVEN_EXPIRES_AT,
                                   .owner = KW_BYTES("user:1"),
                                   .scopes = forth,
                                   .scope_count = 2,
                                   .expires_at_ms = 2}; /* long past: a late repetition */
    struct kw_key_params same = params;
    same.scopes = back;
    struct kw_key_params others[] = {params, params, params, params, params};
    others[0].owner = KW_BYTES("user:2");
    others[1].scope_count = 1;
    others[2].given |= KW_GIVEN_ENV;
    others[2].env = KW_BYTES("test");
    others[3].given |= KW_GIVEN_NAME; /* given, and empty */
    others[4].expires_at_ms = 3;
    struct kw_bytes asked = params_of(t, &arena, &params);
    CHECK_BYTES(t, params_of(t, &arena, &same), asked);
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        CHECK(t, !kw_bytes_equal(params_of(t, &arena, &others[i]), asked));
    }
    struct kw_error error = {0};
    params.owner = KW_BYTES("nobody");
    CHECK_STATUS(t, kw_once_params(&params, &arena, &asked, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_key_reads_alike_in_both_forms),
        TEST_CASE(a_key_has_255_characters_at_most),
        TEST_CASE(callers_projects_and_routes_are_apart),
        TEST_CASE(params_that_say_the_same_ask_for_the_same),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
