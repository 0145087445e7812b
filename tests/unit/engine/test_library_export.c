/* The library's export: what its text holds, how it comes in pieces, and what ends it. */
#include "base/json.h"
#include "core/digest.h"
#include "library_fixture.h"

#include <openssl/sha.h>
#include <stdio.h>

#define MANY 3000

struct taken {
    struct test *t;
    struct kw_buffer text;
    size_t pieces;
    size_t stop_at;          /* fail at this piece; 0: never */
    struct library *library; /* make a key with the first piece */
};

static enum kw_status take(void *context, struct kw_bytes piece)
{
    struct taken *taken = context;
    kw_buffer_add(&taken->text, piece);
    taken->pieces++;
    if (taken->library != NULL && taken->pieces == 1) {
        struct kw_new_key made;
        CHECK(taken->t, library_create(taken->t, taken->library, &made));
        kw_new_key_clear(&made);
    }
    return taken->pieces == taken->stop_at ? KW_E_DENIED : KW_OK;
}

static void taken_init(struct taken *taken, struct test *t)
{
    *taken = (struct taken){.t = t};
    kw_buffer_init(&taken->text, 64 << 20);
}

static size_t lines_in(const struct kw_buffer *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->size; i++) {
        count += text->data[i] == '\n';
    }
    return count;
}

static bool holds(const struct kw_buffer *text, const char *part)
{
    return kw_bytes_contains_ignoring_case(kw_buffer_bytes(text), kw_bytes_of_text(part));
}

/* The text behind the first `"name":"`, up to the next quote. */
static struct kw_bytes text_of(const struct kw_buffer *text, const char *name)
{
    char start[64];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    size_t size = strlen(start);
    for (size_t i = 0; i + size < text->size; i++) {
        if (memcmp(text->data + i, start, size) == 0) {
            const uint8_t *from = text->data + i + size;
            const uint8_t *end = memchr(from, '"', text->size - i - size);
            return kw_bytes_of(from, end == NULL ? 0 : (size_t)(end - from));
        }
    }
    return (struct kw_bytes){NULL, 0};
}

static bool make_many(struct test *t, struct library *library)
{
    static struct kw_change_item items[KW_TOGETHER_MAX];
    static struct kw_outcome outcomes[KW_TOGETHER_MAX];
    static const struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = {(const uint8_t *)"team:9", 6}};
    for (size_t i = 0; i < KW_TOGETHER_MAX; i++) {
        items[i] = (struct kw_change_item){.kind = KW_CHANGE_CREATE, .request = {.params = &params}};
    }
    for (size_t made = 0; made < MANY; made += KW_TOGETHER_MAX) {
        enum kw_status status = kw_change_many(library->keyward, items, KW_TOGETHER_MAX, false, outcomes);
        kw_outcomes_clear(outcomes, KW_TOGETHER_MAX);
        if (!test_check_status(t, __FILE__, __LINE__, "many keys", status, KW_OK)) {
            return false;
        }
    }
    return true;
}

static void pieces_of_many_keys(struct test *t)
{
    struct library library;
    struct taken taken;
    struct kw_error error;
    uint64_t count = 0;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, make_many(t, &library));
    taken_init(&taken, t);
    taken.library = &library; /* nothing of the store is held while a piece is taken */
    REQUIRE_OK(t, kw_export(library.keyward, &(struct kw_export_request){.actor = KW_BYTES("me")}, take, &taken, &count,
                            &error));
    CHECK(t, count == MANY || count == MANY + 1);
    CHECK(t, taken.pieces > 4);
    CHECK_I64(t, lines_in(&taken.text), count + 2);
    kw_buffer_reset(&taken.text);
    taken.library = NULL;
    struct kw_export_request of_team = {.owner = KW_BYTES("team:9"), .format = KW_EXPORT_JSON};
    REQUIRE_OK(t, kw_export(library.keyward, &of_team, take, &taken, &count, &error));
    CHECK_I64(t, count, MANY);
    CHECK_I64(t, lines_in(&taken.text), MANY + 2);
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_arena_init(&arena, NULL, 0, 64 << 20);
    kw_json_reader_init(&reader, kw_buffer_bytes(&taken.text), &arena);
    REQUIRE_OK(t, kw_json_next(&reader, &token, &error));
    CHECK_STATUS(t, kw_json_skip(&reader, &token, &raw, &error), KW_OK);
    CHECK_STATUS(t, kw_json_next(&reader, &token, &error), KW_OK);
    CHECK_I64(t, token.type, KW_JSON_END);
    kw_arena_reset(&arena);
    kw_buffer_deinit(&taken.text);
    library_end(&library);
}

static void a_sink_ends_it(struct test *t)
{
    struct library library;
    struct kw_error error;
    struct kw_new_key made;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    for (size_t stop_at = 1; stop_at <= 3; stop_at++) {
        struct taken taken;
        uint64_t count = 77;
        taken_init(&taken, t);
        taken.stop_at = stop_at;
        CHECK_STATUS(t, kw_export(library.keyward, &(struct kw_export_request){0}, take, &taken, &count, &error),
                     KW_E_DENIED);
        CHECK_I64(t, count, 77);
        CHECK_I64(t, taken.pieces, stop_at);
        kw_buffer_deinit(&taken.text);
    }
    kw_new_key_clear(&made);
    library_end(&library);
}

/* What the exported digest must be, computed from what the line itself says. */
static void check_digest(struct test *t, const struct kw_buffer *text, enum kw_digest_scheme scheme, const char *key)
{
    uint8_t message[KW_SALT_SIZE + KW_KEY_SIZE_MAX];
    uint8_t digest[SHA512_DIGEST_LENGTH];
    char hex[2 * SHA512_DIGEST_LENGTH];
    size_t size = 0;
    bool is_salted = scheme == KW_DIGEST_SHA256_SALTED || scheme == KW_DIGEST_SHA512_SALTED;
    bool is_512 = scheme == KW_DIGEST_SHA512 || scheme == KW_DIGEST_SHA512_SALTED;
    CHECK_BYTES(t, text_of(text, "scheme"), kw_bytes_of_text(kw_digest_scheme_name(scheme)));
    if (is_salted) {
        REQUIRE(t, kw_hex_decode(text_of(text, "salt"), message, KW_SALT_SIZE));
        CHECK_BYTES(t, text_of(text, "saltPlace"), KW_BYTES("before"));
        size = KW_SALT_SIZE;
    }
    CHECK_I64(t, holds(text, "\"salt\":"), is_salted);
    CHECK_I64(t, holds(text, "\"pepper\":"), false);
    memcpy(message + size, key, strlen(key));
    size += strlen(key);
    size_t digest_size = is_512 ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
    (void)(is_512 ? SHA512(message, size, digest) : SHA256(message, size, digest));
    kw_hex_encode(kw_bytes_of(digest, digest_size), hex);
    CHECK_BYTES(t, text_of(text, "value"), kw_bytes_of(hex, 2 * digest_size));
}

static void digests_of_every_scheme(struct test *t)
{
    for (enum kw_digest_scheme scheme = KW_DIGEST_SHA256; scheme <= KW_DIGEST_SHA512_SALTED; scheme++) {
        struct library library;
        struct taken taken;
        struct kw_new_key made;
        struct kw_error error;
        REQUIRE(t, library_open(t, &library));
        REQUIRE(t, library_reopen(t, &library, scheme));
        REQUIRE(t, library_create(t, &library, &made));
        taken_init(&taken, t);
        REQUIRE_OK(t, kw_export(library.keyward, &(struct kw_export_request){0}, take, &taken, NULL, &error));
        check_digest(t, &taken.text, scheme, made.key);
        CHECK(t, !holds(&taken.text, made.key));
        kw_buffer_deinit(&taken.text);
        kw_new_key_clear(&made);
        library_end(&library);
    }
}

static void what_cannot_be_asked(struct test *t)
{
    static const uint8_t long_text[KW_OWNER_MAX + 1] = {'x'};
    struct library library;
    struct kw_error error;
    struct taken taken;
    struct kw_bytes no_tag = {NULL, 0};
    const struct {
        struct kw_export_request request;
        const char *field;
    } cases[] = {
        {{.format = (enum kw_export_format)7}, "format"},
        {{.owner = {long_text, sizeof long_text}}, "owner"},
        {{.org_id = {(const uint8_t *)"\xff", 1}}, "org_id"},
        {{.env = {long_text, KW_ENV_MAX + 1}}, "env"},
        {{.tags = &no_tag, .tag_count = 1}, "tags"},
        {{.tags = &no_tag, .tag_count = KW_TAG_COUNT_MAX + 1}, "tags"},
        {{.actor = {(const uint8_t *)"a\n", 2}}, "actor"},
    };
    REQUIRE(t, library_open(t, &library));
    taken_init(&taken, t);
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        CHECK_REFUSED(t, kw_export(library.keyward, &cases[i].request, take, &taken, NULL, &error), error, KW_E_INVALID,
                      "INVALID_FIELD", cases[i].field);
    }
    struct kw_export_request elsewhere = {.project = KW_BYTES("nowhere")};
    CHECK_REFUSED(t, kw_export(library.keyward, &elsewhere, take, &taken, NULL, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    CHECK_I64(t, taken.pieces, 0);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(pieces_of_many_keys), TEST_CASE(a_sink_ends_it),
                                             TEST_CASE(digests_of_every_scheme), TEST_CASE(what_cannot_be_asked)};
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
