/*
 * Imports through the library, on both stores: what becomes of each item, and that nothing comes back that has ended.
 */
#include "import_fixture.h"

#include <stdio.h>

/* --- forms --- */

static void import_hashes(struct place *place)
{
    static const struct {
        enum kw_digest_scheme scheme;
        const char *before, *after;
    } cases[] = {
        {KW_DIGEST_SHA256, "", ""},    {KW_DIGEST_SHA512, "", ""},    {KW_DIGEST_SHA256, "salz", ""},
        {KW_DIGEST_SHA256, "", "sel"}, {KW_DIGEST_SHA512, "sal", ""}, {KW_DIGEST_SHA512, "", "sale"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        char hex[2 * KW_DIGEST_MAX + 1], key[64], text[4096];
        snprintf(key, sizeof key, "foreign%zu-0123456789abcdef", i);
        hash_of(cases[i].scheme, cases[i].before, key, cases[i].after, hex);
        CHECK_CODE(place->t, verify(place, key), i == 0 ? KW_CODE_INVALID_FORMAT : KW_CODE_INVALID_KEY);
        IMPORT_AS(place, FORM(text, "{\"id\":\"f%zu\",\"keyHash\":\"%s\",\"metadata\":{\"ownerId\":\"1\"}}", i, hex),
                  "1 created|", .salt = kw_text(cases[i].before[0] != '\0' ? cases[i].before : cases[i].after),
                  .salt_before = cases[i].before[0] != '\0');
        CHECK_CODE(place->t, verify(place, key), KW_CODE_NONE);
        key[0] = 'F';
        CHECK_CODE(place->t, verify(place, key), KW_CODE_INVALID_KEY);
    }
}

static void foreign_hashes_verify_with_their_keys(struct test *t)
{
    on_both(t, import_hashes);
}

static void import_plain(struct place *place)
{
    struct kw_held_record held = {0};
    IMPORT_AS(place,
              "key,ownerId,scopes\r\n" OLD_KEY ",1,read;write\r\nshort,1,\r\n" OTHER_KEY
              ",,\r\nunrelated_0123456789,1,\r\n",
              "2 created|3 refused INVALID_FIELD key|4 refused MISSING_FIELD ownerId|5 refused INVALID_FIELD prefix|",
              .format = KW_IMPORT_CSV, .prefix = KW_BYTES("legacy_"));
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_NONE);
    CHECK_CODE(place->t, verify(place, OTHER_KEY), KW_CODE_INVALID_KEY);
    CHECK_CODE(place->t, verify(place, "unrelated_0123456789"), KW_CODE_INVALID_FORMAT);
    REQUIRE(place->t, find(place, OLD_KEY, &held));
    CHECK(place->t, held.record.imported);
    CHECK_FIELD(place->t, held.record.prefix, "legacy_");
    CHECK_FIELD(place->t, kw_bytes_of(held.record.last_four, 4), "ghij");
    CHECK_I64(place->t, held.record.scopes.count, 2);
    CHECK_I64(place->t, held.record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    kw_held_record_clear(&held);
    /* A key of our own form is looked up as ours. */
    struct kw_new_key made;
    struct place other;
    REQUIRE(place->t, place_open(place->t, &other, true));
    REQUIRE(place->t, library_create(place->t, &other.library, &made));
    char text[4096];
    IMPORT(place, FORM(text, "{\"key\":\"%s\",\"ownerId\":\"1\"}", made.key), "1 created|");
    CHECK_CODE(place->t, verify(place, made.key), KW_CODE_NONE);
    kw_new_key_clear(&made);
    place_end(&other);
}

static void plain_keys_are_digested_on_the_way_in(struct test *t)
{
    on_both(t, import_plain);
}

static void import_json(struct place *place)
{
    char hex[2 * KW_DIGEST_MAX + 1], text[4096];
    hash_of(KW_DIGEST_SHA256, "", OLD_KEY, "", hex);
    IMPORT_AS(
        place,
        FORM(text, "[\n {\"id\": \"a\",\n \"keyHash\": \"%s\", \"metadata\": {\"ownerId\": \"1\"}},\n 5, {}]", hex),
        "1 created|2 refused INVALID_JSON|3 refused MISSING_FIELD keyHash|", .format = KW_IMPORT_JSON);
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_NONE);
    IMPORT_AS(place, "{\"items\": []}", "INVALID_JSON ", .format = KW_IMPORT_JSON);
    IMPORT_AS(place, "key,colour\n", "INVALID_FIELD colour", .format = KW_IMPORT_CSV);
    IMPORT_AS(place, "{}", "INVALID_FIELD owner", .owner = KW_BYTES("nobody"));
}

static void json_is_taken_item_by_item(struct test *t)
{
    on_both(t, import_json);
}

/* --- conflicts --- */

#define FIRST "{\"id\":\"a\",\"keyHash\":\"%s\",\"ownerId\":\"1\",\"name\":\"%s\"}"
#define RENAMED "{\"id\":\"b\",\"keyHash\":\"%s\",\"ownerId\":\"1\",\"name\":\"three\"}"
#define REVOKED "{\"keyHash\":\"%s\",\"ownerId\":\"1\",\"revokedAt\":\"2025-06-01T00:00:00Z\"}"

static void meet_conflicts(struct place *place)
{
    char hex[2 * KW_DIGEST_MAX + 1], other[2 * KW_DIGEST_MAX + 1], text[4096];
    struct kw_held_record held = {0};
    hash_of(KW_DIGEST_SHA256, "", OLD_KEY, "", hex);
    hash_of(KW_DIGEST_SHA256, "", OTHER_KEY, "", other);
    IMPORT(place, FORM(text, FIRST, hex, "one"), "1 created|");
    /* The same id and digest. */
    IMPORT_AS(place, FORM(text, FIRST, hex, "two"), "1 skipped ALREADY_EXISTS digest|", .on_conflict = KW_IMPORT_SKIP);
    IMPORT_AS(place, FORM(text, FIRST, hex, "two"), "1 refused ALREADY_EXISTS digest|", .on_conflict = KW_IMPORT_ERROR);
    IMPORT_AS(place, FORM(text, FIRST, hex, "two"), "1 overwritten|", .on_conflict = KW_IMPORT_OVERWRITE);
    REQUIRE(place->t, find(place, OLD_KEY, &held));
    CHECK_FIELD(place->t, held.record.name, "two");
    CHECK_I64(place->t, held.record.version, 2);
    struct kw_id id = held.record.id;
    kw_held_record_clear(&held);
    /* The same digest under another id: it is the same key. */
    IMPORT(place, FORM(text, RENAMED, hex), "1 skipped ALREADY_EXISTS digest|");
    IMPORT_AS(place, FORM(text, RENAMED, hex), "1 refused ALREADY_EXISTS digest|", .on_conflict = KW_IMPORT_ERROR);
    IMPORT_AS(place, FORM(text, RENAMED, hex), "1 overwritten|", .on_conflict = KW_IMPORT_OVERWRITE);
    REQUIRE(place->t, find(place, OLD_KEY, &held));
    CHECK(place->t, memcmp(&held.record.id, &id, sizeof id) == 0);
    CHECK_FIELD(place->t, held.record.name, "three");
    kw_held_record_clear(&held);
    /* Another key under the same id is never put over it. */
    IMPORT(place, FORM(text, FIRST, other, "four"), "1 skipped ALREADY_EXISTS id|");
    IMPORT_AS(place, FORM(text, FIRST, other, "four"), "1 refused ALREADY_EXISTS id|",
              .on_conflict = KW_IMPORT_OVERWRITE);
    CHECK_CODE(place->t, verify(place, OTHER_KEY), KW_CODE_INVALID_KEY);
    /* What may not change. */
    IMPORT_AS(place, FORM(text, "{\"keyHash\":\"%s\",\"ownerId\":\"2\"}", hex), "1 refused CANNOT_CHANGE_FIELD owner|",
              .on_conflict = KW_IMPORT_OVERWRITE);
    /* Within one text, too. */
    IMPORT(place,
           FORM(text, "{\"keyHash\":\"%s\",\"ownerId\":\"1\"}\n{\"keyHash\":\"%s\",\"ownerId\":\"1\",\"name\":\"x\"}",
                other, other),
           "1 created|2 skipped ALREADY_EXISTS digest|");
    CHECK_I64(place->t, keys_in(place), 2);
}

static void conflicts_are_met_as_asked(struct test *t)
{
    on_both(t, meet_conflicts);
}

/* --- nothing comes back --- */

static void end_and_import(struct place *place, bool erases)
{
    static const enum kw_import_conflict ways[] = {KW_IMPORT_SKIP, KW_IMPORT_OVERWRITE, KW_IMPORT_ERROR};
    char hex[2 * KW_DIGEST_MAX + 1], text[4096];
    hash_of(KW_DIGEST_SHA256, "", OLD_KEY, "", hex);
    IMPORT(place, FORM(text, "{\"id\":\"a\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}", hex), "1 created|");
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_NONE);
    end_key(place, OLD_KEY, erases);
    enum kw_code dead = erases ? KW_CODE_INVALID_KEY : KW_CODE_REVOKED;
    for (size_t i = 0; i < KW_COUNT_OF(ways); i++) {
        struct kw_error error;
        struct kw_import_counts counts;
        /* As it was, under another id, as a plain key, and under another digest. */
        char other[2 * KW_DIGEST_MAX + 1];
        hash_of(KW_DIGEST_SHA512, "", OLD_KEY, "pepper", other);
        FORM(
            text,
            "{\"id\":\"a\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}\n{\"id\":\"c\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}\n"
            "{\"key\":\"" OLD_KEY "\",\"ownerId\":\"1\"}\n"
            "{\"id\":\"d%zu\",\"keyHash\":\"%s\",\"salt\":\"pepper\",\"ownerId\":\"1\"}",
            hex, hex, i, other);
        struct kw_import_request request = {.text = kw_text(text), .options.on_conflict = ways[i]};
        CHECK_STATUS(place->t, kw_import_many(place->library.keyward, &request, NULL, NULL, &counts, &error), KW_OK);
        CHECK(place->t, counts.created + counts.overwritten <= 1); /* the last one, whose key nobody can tell */
        CHECK_CODE(place->t, verify(place, OLD_KEY), dead);
    }
    if (!place->in_memory) {
        REQUIRE(place->t, library_reopen(place->t, &place->library, 0));
        kw_wait_filled(place->library.keyward);
        CHECK_CODE(place->t, verify(place, OLD_KEY), dead);
    }
}

static void revoke_and_import(struct place *place)
{
    end_and_import(place, false);
}

static void erase_and_import(struct place *place)
{
    end_and_import(place, true);
}

static void what_is_revoked_stays_revoked(struct test *t)
{
    on_both(t, revoke_and_import);
}

static void what_is_erased_stays_away(struct test *t)
{
    on_both(t, erase_and_import);
}

/* The same key by two lists: what the one says has ended is not brought back by the other. */
static void import_twice(struct place *place)
{
    static const struct {
        const char *ended;
        enum kw_code code;
    } cases[] = {{"\"enabled\":false", KW_CODE_DISABLED}, {"\"expiresAt\":\"2020-01-01T00:00:00Z\"", KW_CODE_EXPIRED}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        char hex[2 * KW_DIGEST_MAX + 1], key[64], text[4096];
        snprintf(key, sizeof key, "listed-twice%zu-0123456789abcdef", i);
        hash_of(KW_DIGEST_SHA512, "sal", key, "", hex);
        IMPORT_AS(place, FORM(text, "{\"keyHash\":\"%s\",\"ownerId\":\"1\",%s}", hex, cases[i].ended), "1 created|",
                  .salt = KW_BYTES("sal"), .salt_before = true);
        CHECK_CODE(place->t, verify(place, key), cases[i].code);
        hash_of(KW_DIGEST_SHA256, "", key, "", hex);
        IMPORT(place, FORM(text, "{\"keyHash\":\"%s\",\"ownerId\":\"1\"}", hex), "1 created|");
        CHECK_CODE(place->t, verify(place, key), cases[i].code);
    }
    IMPORT(place,
           "{\"key\":\"no-parent-0123456789abcdef\",\"ownerId\":\"1\",\"parentId\":\"key_00000000000000000000000000\"}",
           "1 refused INVALID_FIELD parentId|");
}

static void what_ended_by_one_list_is_not_revived_by_another(struct test *t)
{
    on_both(t, import_twice);
}

static void import_revocation(struct place *place)
{
    char hex[2 * KW_DIGEST_MAX + 1], text[4096];
    hash_of(KW_DIGEST_SHA256, "", OLD_KEY, "", hex);
    IMPORT(place, FORM(text, "{\"keyHash\":\"%s\",\"ownerId\":\"1\"}", hex), "1 created|");
    IMPORT(place, FORM(text, REVOKED, hex), "1 skipped ALREADY_EXISTS digest|");
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_NONE);
    IMPORT_AS(place, FORM(text, REVOKED, hex), "1 overwritten|", .on_conflict = KW_IMPORT_OVERWRITE);
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_REVOKED);
    IMPORT_AS(place, FORM(text, REVOKED, hex), "1 skipped ALREADY_REVOKED|", .on_conflict = KW_IMPORT_OVERWRITE);
}

static void an_imported_revocation_revokes(struct test *t)
{
    on_both(t, import_revocation);
}

/* --- salts --- */

#define SALTED "{\"id\":\"%s%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\",\"salt\":\"s%d\"}\n"

static void form_salted(const char *project, int i, char key[64], char line[512])
{
    char hex[2 * KW_DIGEST_MAX + 1], salt[8];
    snprintf(salt, sizeof salt, "s%d", i);
    snprintf(key, 64, "%s-%d-0123456789abcdef", project, i);
    hash_of(KW_DIGEST_SHA256, "", key, salt, hex);
    snprintf(line, 512, SALTED, project, i, hex, i);
}

static void verify_salted(struct place *place, const char *project, const char *key_of)
{
    for (int i = 0; i < 7; i++) {
        char key[64], line[512];
        form_salted(key_of, i, key, line);
        place->project = kw_text(project);
        CHECK_CODE(place->t, verify(place, key), project == key_of ? KW_CODE_NONE : KW_CODE_INVALID_KEY);
    }
}

/* Each project has seven salts beside its own digest, whatever the other one has. */
static void import_into_both(struct place *place)
{
    static const char *const projects[] = {"default", "other"};
    struct kw_document_request request = {.kind = KW_DOCUMENT_PROJECT, .json = kw_text("{\"name\":\"other\"}")};
    CHECK_STATUS(place->t, kw_document_create(place->library.keyward, &request, NULL, NULL), KW_OK);
    for (size_t p = 0; p < 2; p++) {
        char key[64], line[512], memory[4096];
        struct kw_buffer text;
        kw_buffer_init_fixed(&text, (uint8_t *)memory, sizeof memory);
        place->project = kw_text(projects[p]);
        for (int i = 0; i < 8; i++) {
            form_salted(projects[p], i, key, line);
            kw_buffer_add_text(&text, line);
        }
        kw_buffer_add_byte(&text, '\0');
        IMPORT(place, memory,
               "1 created|2 created|3 created|4 created|5 created|6 created|7 created|8 refused LIMIT_REACHED|");
        IMPORT_AS(place, line, "1 refused LIMIT_REACHED|", .dry_run = true);
    }
    if (!place->in_memory) {
        REQUIRE(place->t, library_reopen(place->t, &place->library, 0));
        kw_wait_filled(place->library.keyward);
    }
    for (int use = 0; use < 2; use++) { /* they move with the first */
        for (size_t p = 0; p < 2; p++) {
            verify_salted(place, projects[p], projects[1 - p]);
            verify_salted(place, projects[p], projects[p]);
        }
    }
}

static void every_project_has_salts_of_its_own(struct test *t)
{
    on_both(t, import_into_both);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(foreign_hashes_verify_with_their_keys),
        TEST_CASE(plain_keys_are_digested_on_the_way_in),
        TEST_CASE(json_is_taken_item_by_item),
        TEST_CASE(conflicts_are_met_as_asked),
        TEST_CASE(what_is_revoked_stays_revoked),
        TEST_CASE(what_is_erased_stays_away),
        TEST_CASE(what_ended_by_one_list_is_not_revived_by_another),
        TEST_CASE(an_imported_revocation_revokes),
        TEST_CASE(every_project_has_salts_of_its_own),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
