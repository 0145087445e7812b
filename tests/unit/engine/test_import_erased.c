/*
 * What was erased, imported again: the answer is the same in each form, under each pepper, in a dry run and before and
 * after a restart; and the pepper by which it is told stays, unless somebody says that it may go.
 */
#include "import_fixture.h"

#include <unistd.h>

#define NATIVE 0 /* made here; the others came as a list of hashes, and moved or did not, and as a plain key */
#define LISTED 1
#define MOVED 2
#define PLAIN 3
#define SALTED 4 /* as MOVED, with a salt */
#define KEYS 5

/* A folder with keys that were erased, and lines that name them. */
struct graves {
    struct place place;
    char keys[KEYS][KW_KEY_SIZE_MAX + 1];
    char text[8192];
    size_t line_count;
    uint8_t first_pepper[KW_PEPPER_FINGERPRINT_SIZE];
};

static struct keyward *keyward_of(struct graves *graves)
{
    return graves->place.library.keyward;
}

/* The writer writes what verifications left word of after each group: so before it takes the second of these. */
static void settle(struct graves *graves)
{
    for (int i = 0; i < 2; i++) {
        struct kw_change_request nobody = {.id = {{0xff}}};
        CHECK_STATUS(graves->place.t, kw_revoke(keyward_of(graves), &nobody, NULL, NULL), KW_E_NOT_FOUND);
    }
}

static void reopen(struct graves *graves)
{
    REQUIRE(graves->place.t, library_reopen(graves->place.t, &graves->place.library, 0));
    kw_wait_filled(keyward_of(graves));
}

static void add_line(struct graves *graves, const char *line)
{
    size_t size = strlen(graves->text);
    snprintf(graves->text + size, sizeof graves->text - size, "%s\n", line);
    graves->line_count++;
}

static enum kw_status keep_piece(void *context, struct kw_bytes piece)
{
    struct kw_buffer *text = context;
    kw_buffer_add(text, piece);
    return kw_buffer_status(text);
}

/* The line of an export that tells of the only key which is here. */
static void add_exported(struct graves *graves)
{
    struct kw_buffer text;
    uint64_t count = 0;
    kw_buffer_init(&text, sizeof graves->text);
    struct kw_export_request request = {.format = KW_EXPORT_NDJSON};
    CHECK_STATUS(graves->place.t, kw_export(keyward_of(graves), &request, keep_piece, &text, &count, NULL), KW_OK);
    CHECK_I64(graves->place.t, count, 1);
    kw_buffer_add_byte(&text, '\0');
    char *line = strchr((char *)text.data, '\n');
    REQUIRE(graves->place.t, line != NULL && strchr(line + 1, '\n') != NULL);
    *strchr(line + 1, '\n') = '\0';
    add_line(graves, line + 1);
    kw_buffer_deinit(&text);
}

static void add_plain(struct graves *graves, const char *key)
{
    char line[512];
    add_line(graves, FORM(line, "{\"key\":\"%s\",\"ownerId\":\"1\"}", key));
    add_line(graves, FORM(line, "{\"id\":\"x%s\",\"key\":\"%s\",\"ownerId\":\"1\"}", key + strlen(key) - 4, key));
}

/* Imports a hash, lets the key move where that is wanted, and ends it; all that could name it are lines then. */
static void bury_listed(struct graves *graves, int which, bool is_used, const char *salt)
{
    struct test *t = graves->place.t;
    const char *key = graves->keys[which];
    char hex[2 * KW_DIGEST_MAX + 1], given[64], line[512], other[512];
    hash_of(KW_DIGEST_SHA256, "", key, salt, hex);
    snprintf(given, sizeof given, salt[0] == '\0' ? "" : ",\"salt\":\"%s\"", salt);
    FORM(line, "{\"id\":\"k%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\"%s}", which, hex, given);
    FORM(other, "{\"id\":\"other%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\"%s}", which, hex, given);
    IMPORT(&graves->place, line, "1 created|");
    if (is_used) {
        struct kw_held_record held = {0};
        CHECK_CODE(t, verify(&graves->place, key), KW_CODE_NONE);
        settle(graves);
        REQUIRE(t, find(&graves->place, key, &held));
        CHECK_I64(t, held.record.digest_scheme, KW_DIGEST_HMAC_SHA256);
        kw_held_record_clear(&held);
        reopen(graves); /* which forgets where it was */
    }
    end_key(&graves->place, key, true);
    add_line(graves, line);
    add_line(graves, other);
    hash_of(KW_DIGEST_SHA512, "", key, "", hex); /* which only the id tells */
    add_line(graves, FORM(line, "{\"id\":\"k%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}", which, hex));
    add_plain(graves, key);
}

static bool graves_open(struct test *t, struct graves *graves)
{
    struct kw_new_key made;
    struct kw_pepper_use use;
    *graves = (struct graves){.line_count = 0};
    if (!place_open(t, &graves->place, false)) {
        return false;
    }
    kw_wait_filled(keyward_of(graves));
    for (int i = 0; i < KEYS; i++) {
        snprintf(graves->keys[i], sizeof graves->keys[i], "legacy_%d_0123456789abcdefghij%d", i, i);
    }
    CHECK_I64(t, kw_pepper_list(keyward_of(graves), &use, 1), 1);
    memcpy(graves->first_pepper, use.fingerprint, sizeof use.fingerprint);
    if (!library_create(t, &graves->place.library, &made)) {
        return false;
    }
    snprintf(graves->keys[NATIVE], sizeof graves->keys[NATIVE], "%s", made.key);
    kw_new_key_clear(&made);
    add_exported(graves);
    end_key(&graves->place, graves->keys[NATIVE], true);
    add_plain(graves, graves->keys[NATIVE]);
    bury_listed(graves, LISTED, false, "");
    bury_listed(graves, MOVED, true, "");
    bury_listed(graves, SALTED, true, "sal");
    char line[512];
    IMPORT(&graves->place, FORM(line, "{\"id\":\"p\",\"key\":\"%s\",\"ownerId\":\"1\"}", graves->keys[PLAIN]),
           "1 created|");
    end_key(&graves->place, graves->keys[PLAIN], true);
    add_line(graves, line);
    add_plain(graves, graves->keys[PLAIN]);
    return t->failures == 0;
}

static void graves_end(struct graves *graves)
{
    place_end(&graves->place);
}

/* Every line gets the same answer, however it is asked. */
static void check_all_dead(struct graves *graves, const char *when)
{
    static const enum kw_import_conflict ways[] = {KW_IMPORT_SKIP, KW_IMPORT_OVERWRITE, KW_IMPORT_ERROR};
    struct test *t = graves->place.t;
    int failures = t->failures;
    for (size_t i = 0; i < 2 * KW_COUNT_OF(ways); i++) {
        enum kw_import_conflict way = ways[i / 2];
        char expected[4096] = "";
        for (size_t line = 1; line <= graves->line_count; line++) {
            size_t size = strlen(expected);
            snprintf(expected + size, sizeof expected - size, "%zu %s CANNOT_MODIFY_REVOKED|", line,
                     way == KW_IMPORT_SKIP ? "skipped" : "refused");
        }
        IMPORT_AS(&graves->place, graves->text, expected, .on_conflict = way, .dry_run = i % 2 == 0);
    }
    for (size_t i = 0; i < KEYS; i++) {
        enum kw_code code = verify(&graves->place, graves->keys[i]);
        /* Where no imported key is left, none is looked up that is not of our form. */
        CHECK_CODE(t, code, i == NATIVE ? KW_CODE_INVALID_KEY : KW_CODE_INVALID_FORMAT);
    }
    CHECK_I64(t, keys_in(&graves->place), 0);
    if (t->failures != failures) {
        test_fail(t, __FILE__, __LINE__, "%s", when);
    }
}

static void what_is_erased_is_told_in_every_form(struct test *t)
{
    struct graves graves;
    struct kw_error error;
    REQUIRE(t, graves_open(t, &graves));
    check_all_dead(&graves, "in the life that erased it");
    reopen(&graves);
    check_all_dead(&graves, "after a restart");
    CHECK_STATUS(t, kw_pepper_add(keyward_of(&graves), NULL, kw_text(NULL), NULL, &error), KW_OK);
    check_all_dead(&graves, "under a newer pepper");
    reopen(&graves);
    check_all_dead(&graves, "under a newer pepper, after a restart");
    REQUIRE(t, library_reopen(t, &graves.place.library, KW_DIGEST_SHA512));
    kw_wait_filled(keyward_of(&graves));
    check_all_dead(&graves, "under another scheme");
    graves_end(&graves);
}

/* Of the pepper that erased keys need: how many, and what they do to it. */
static void what_is_erased_holds_its_pepper_back(struct test *t)
{
    struct graves graves;
    struct kw_error error;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    REQUIRE(t, graves_open(t, &graves));
    CHECK_STATUS(t, kw_pepper_add(keyward_of(&graves), NULL, kw_text(NULL), NULL, &error), KW_OK);
    for (int life = 0; life < 2; life++) {
        REQUIRE(t, kw_pepper_list(keyward_of(&graves), uses, KW_PEPPERS_MAX) == 2);
        CHECK(t, uses[0].keys == 0 && uses[0].erased == 0 && uses[1].keys == 0);
        CHECK_I64(t, uses[1].erased, KEYS - 1); /* all but the one that was never used: it needs none */
        CHECK_REFUSED(t, kw_pepper_retire(keyward_of(&graves), graves.first_pepper, kw_text(NULL), &error), error,
                      KW_E_CONFLICT, "PEPPER_IN_USE", "fingerprint");
        CHECK(t, strstr(error.message, "still needed by 4 erased keys:") != NULL);
        CHECK(t, strstr(error.message, "forgetErased (--forget-erased)") != NULL);
        reopen(&graves);
    }
    check_all_dead(&graves, "what was refused has changed nothing");
    CHECK_STATUS(t, kw_pepper_retire_and_forget(keyward_of(&graves), graves.first_pepper, kw_text(NULL), &error),
                 KW_OK);
    CHECK_I64(t, kw_pepper_list(keyward_of(&graves), uses, KW_PEPPERS_MAX), 1);
    for (int life = 0; life < 2; life++) {
        char line[512], key[KW_KEY_SIZE_MAX + 1];
        reopen(&graves);
        snprintf(key, sizeof key, "%s", graves.keys[life == 0 ? PLAIN : NATIVE]);
        IMPORT(&graves.place, FORM(line, "{\"key\":\"%s\",\"ownerId\":\"1\"}", key), "1 created|");
        CHECK_CODE(t, verify(&graves.place, key), KW_CODE_NONE); /* as was asked for */
    }
    graves_end(&graves);
}

/* The folder's file of peppers, of which the second line is lost. */
static void lose_second_pepper(const struct library *library)
{
    char path[96];
    snprintf(path, sizeof path, "%s/pepper", library->folder);
    (void)!truncate(path, 2 * KW_PEPPER_SIZE + 1);
}

static void a_start_without_that_pepper_is_refused(struct test *t)
{
    struct graves graves;
    struct kw_error error;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    REQUIRE(t, graves_open(t, &graves));
    struct library *library = &graves.place.library;
    CHECK_STATUS(t, kw_pepper_add(keyward_of(&graves), NULL, kw_text(NULL), NULL, &error), KW_OK);
    CHECK_I64(t, kw_pepper_list(keyward_of(&graves), uses, KW_PEPPERS_MAX), 2);
    kw_close(library->keyward);
    library->keyward = NULL;
    lose_second_pepper(library);
    struct kw_options options = library_options(library);
    CHECK_REFUSED(t, kw_open(&options, &library->keyward, &error), error, KW_E_INVALID, "PEPPER_MISMATCH", "");
    CHECK(t, strstr(error.message, "4 erased keys are kept away by the pepper") != NULL);
    CHECK(t, strstr(error.message, "--forget-erased --data DIR\")") != NULL);
    options.forget_erased = uses[0].fingerprint; /* another one */
    CHECK_REFUSED(t, kw_open(&options, &library->keyward, &error), error, KW_E_INVALID, "PEPPER_MISMATCH", "");
    options.forget_erased = graves.first_pepper;
    REQUIRE_OK(t, kw_open(&options, &library->keyward, &error));
    reopen(&graves); /* it is forgotten for good */
    char line[512];
    IMPORT(&graves.place, FORM(line, "{\"key\":\"%s\",\"ownerId\":\"1\"}", graves.keys[PLAIN]), "1 created|");
    graves_end(&graves);
}

/* Keys that moved are erased together, all or none, and leave as much. */
static void many_that_are_erased_together_leave_as_much(struct test *t)
{
    struct graves graves = {.line_count = 0};
    struct kw_change_item items[2];
    struct kw_outcome outcomes[2];
    char hex[2 * KW_DIGEST_MAX + 1], line[512];
    REQUIRE(t, place_open(t, &graves.place, false));
    kw_wait_filled(keyward_of(&graves));
    for (int i = 0; i < 2; i++) {
        struct kw_held_record held = {0};
        snprintf(graves.keys[i], sizeof graves.keys[i], "legacy_%d_0123456789abcdefghij%d", i, i);
        hash_of(i == 0 ? KW_DIGEST_SHA256 : KW_DIGEST_SHA512, "", graves.keys[i], "", hex);
        IMPORT(&graves.place, FORM(line, "{\"id\":\"%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}", i, hex), "1 created|");
        CHECK_CODE(t, verify(&graves.place, graves.keys[i]), KW_CODE_NONE);
        settle(&graves);
        REQUIRE(t, find(&graves.place, graves.keys[i], &held));
        items[i] = (struct kw_change_item){.kind = KW_CHANGE_ERASE, .request = {.id = held.record.id}};
        kw_held_record_clear(&held);
        end_key(&graves.place, graves.keys[i], false);
        add_line(&graves, FORM(line, "{\"id\":\"other%d\",\"keyHash\":\"%s\",\"ownerId\":\"1\"}", i, hex));
    }
    REQUIRE_OK(t, kw_change_many(keyward_of(&graves), items, 2, true, outcomes));
    for (int life = 0; life < 2; life++) {
        CHECK(t, outcomes[0].status == KW_OK && outcomes[1].status == KW_OK);
        IMPORT(&graves.place, graves.text, "1 skipped CANNOT_MODIFY_REVOKED|2 skipped CANNOT_MODIFY_REVOKED|");
        reopen(&graves);
    }
    graves_end(&graves);
}

/* A project may have keys of eight methods; what was erased takes none of them away. */
static void what_was_erased_leaves_room_for_other_lists(struct test *t)
{
    struct graves graves = {.line_count = 0};
    REQUIRE(t, place_open(t, &graves.place, false));
    kw_wait_filled(keyward_of(&graves));
    for (int i = 0; i < 20; i++) {
        char hex[2 * KW_DIGEST_MAX + 1], line[512], salt[8];
        snprintf(graves.keys[0], sizeof graves.keys[0], "legacy_%d_0123456789abcdefghij%d", i, i);
        snprintf(salt, sizeof salt, "salt%d", i);
        hash_of(KW_DIGEST_SHA256, "", graves.keys[0], salt, hex);
        FORM(line, "{\"keyHash\":\"%s\",\"ownerId\":\"1\",\"salt\":\"%s\"}", hex, salt);
        IMPORT(&graves.place, line, "1 created|");
        if (i % 2 == 0) {
            CHECK_CODE(t, verify(&graves.place, graves.keys[0]), KW_CODE_NONE); /* it moves */
            settle(&graves);
        }
        end_key(&graves.place, graves.keys[0], true);
        reopen(&graves);
        IMPORT(&graves.place, line, "1 skipped CANNOT_MODIFY_REVOKED|");
    }
    /* And a key that comes in under yet another digest is held against all of them. */
    char hex[2 * KW_DIGEST_MAX + 1], line[512];
    hash_of(KW_DIGEST_SHA512, "", graves.keys[0], "", hex);
    IMPORT(&graves.place, FORM(line, "{\"keyHash\":\"%s\",\"ownerId\":\"1\"}", hex), "1 created|");
    CHECK_CODE(t, verify(&graves.place, graves.keys[0]), KW_CODE_INVALID_KEY);
    graves_end(&graves);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_is_erased_is_told_in_every_form),        TEST_CASE(what_is_erased_holds_its_pepper_back),
        TEST_CASE(a_start_without_that_pepper_is_refused),      TEST_CASE(what_was_erased_leaves_room_for_other_lists),
        TEST_CASE(many_that_are_erased_together_leave_as_much),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
