/* Peppers through the library: on a folder, whose file Keyward keeps, and on a store of the program's own. */
#include "library_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX 1000
#define LINE ((size_t)2 * KW_PEPPER_SIZE + 1)

static const struct kw_bytes nobody = {NULL, 0};

/* The size of the folder's file of peppers, all of which have a line; its permissions. */
static off_t file_size(const struct library *library, mode_t *mode_out)
{
    char path[96];
    struct stat about = {.st_size = 0};
    snprintf(path, sizeof path, "%s/pepper", library->folder);
    *mode_out = stat(path, &about) == 0 ? about.st_mode & 0777 : 0;
    return about.st_size;
}

/* Uses the key until it has moved and the pepper can go: moves are written down by and by, behind other changes. */
static enum kw_status use_and_retire(struct test *t, struct library *library, const char *key,
                                     const uint8_t *fingerprint, struct kw_error *error_out)
{
    enum kw_status status = KW_E_CONFLICT;
    for (int i = 0; i < TRIES_MAX && status == KW_E_CONFLICT; i++) {
        struct kw_change_request no_change = {.id = {{0xff}}};
        CHECK_CODE(t, library_verify(t, library, key), KW_CODE_NONE);
        CHECK_STATUS(t, kw_revoke(library->keyward, &no_change, NULL, NULL), KW_E_NOT_FOUND);
        status = kw_pepper_retire(library->keyward, fingerprint, nobody, error_out);
    }
    return status;
}

static void a_folder_keeps_its_peppers(struct test *t)
{
    struct library library;
    struct kw_new_key before;
    struct kw_new_key after;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    uint8_t made[KW_PEPPER_FINGERPRINT_SIZE];
    uint8_t strange[KW_PEPPER_FINGERPRINT_SIZE] = {7};
    struct kw_error error;
    mode_t mode;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &before));
    REQUIRE_OK(t, kw_pepper_add(library.keyward, NULL, kw_text("me"), made, &error));
    CHECK_I64(t, file_size(&library, &mode), 2 * LINE);
    CHECK_I64(t, mode, 0600);
    REQUIRE(t, library_create(t, &library, &after));
    REQUIRE(t, kw_pepper_list(library.keyward, uses, KW_PEPPERS_MAX) == 2);
    CHECK(t, uses[0].is_current &&
                 kw_bytes_equal(kw_bytes_of(uses[0].fingerprint, sizeof made), kw_bytes_of(made, sizeof made)));
    CHECK_I64(t, kw_pepper_list(library.keyward, uses, 1), 1);
    CHECK_I64(t, kw_pepper_list(library.keyward, uses, KW_PEPPERS_MAX), 2);
    CHECK_REFUSED(t, kw_pepper_retire(library.keyward, made, nobody, &error), error, KW_E_CONFLICT, "PEPPER_IN_USE",
                  "fingerprint");
    CHECK_REFUSED(t, kw_pepper_retire(library.keyward, uses[1].fingerprint, nobody, &error), error, KW_E_CONFLICT,
                  "PEPPER_IN_USE", "fingerprint");
    CHECK_REFUSED(t, kw_pepper_retire(library.keyward, strange, nobody, &error), error, KW_E_NOT_FOUND,
                  "PEPPER_NOT_FOUND", "fingerprint");
    CHECK_REFUSED(t, kw_pepper_add(library.keyward, NULL, KW_BYTES("a\nb"), NULL, &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "actor");
    CHECK_STATUS(t, use_and_retire(t, &library, before.key, uses[1].fingerprint, &error), KW_OK);
    CHECK_I64(t, file_size(&library, &mode), LINE);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, before.key), KW_CODE_NONE);
    CHECK_CODE(t, library_verify(t, &library, after.key), KW_CODE_NONE);
    kw_new_key_clear(&before);
    kw_new_key_clear(&after);
    library_end(&library);
}

/* The path that the folder was opened with need not outlive the call. */
static void a_folders_path_may_go(struct test *t)
{
    struct library library;
    struct kw_error error;
    mode_t mode;
    char path[sizeof library.folder];
    REQUIRE(t, library_open(t, &library));
    kw_close(library.keyward);
    struct kw_options options = library_options(&library);
    memcpy(path, library.folder, sizeof path);
    options.data = path;
    REQUIRE_OK(t, kw_open(&options, &library.keyward, &error));
    memset(path, 'x', sizeof path - 1);
    CHECK_STATUS(t, kw_pepper_add(library.keyward, NULL, nobody, NULL, &error), KW_OK);
    CHECK_I64(t, file_size(&library, &mode), 2 * LINE);
    library_end(&library);
}

/* A store that outlives who has opened it. */
static struct {
    struct kw_store_ops ops;
    const struct kw_store_ops *inner;
    struct kw_store *store;
} lasting;

static void keep_open(struct kw_store *store)
{
    (void)store;
}

static bool open_lasting(struct library *library, const uint8_t *peppers, size_t count, struct kw_error *error_out)
{
    struct kw_options options = {.store_take = lasting.store, .pepper = peppers, .pepper_count = count};
    return kw_open(&options, &library->keyward, error_out) == KW_OK;
}

static void a_program_keeps_peppers_beside_a_store_of_its_own(struct test *t)
{
    struct library library = {.now_ms = LIBRARY_NOW_MS};
    uint8_t peppers[KW_PEPPERS_MAX + 1][KW_PEPPER_SIZE] = {"the new one of this program", "its first one"};
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    struct kw_new_key made;
    struct kw_error error = {0};
    REQUIRE_OK(t, kw_store_memory_open(&lasting.store));
    lasting.inner = lasting.store->ops;
    lasting.ops = *lasting.inner;
    lasting.ops.close = keep_open;
    lasting.store->ops = &lasting.ops;
    REQUIRE(t, open_lasting(&library, peppers[1], 0, &error));
    REQUIRE(t, library_create(t, &library, &made));
    CHECK_REFUSED(t, kw_pepper_add(library.keyward, NULL, nobody, NULL, &error), error, KW_E_INVALID, "MISSING_FIELD",
                  "pepper");
    REQUIRE_OK(t, kw_pepper_add(library.keyward, peppers[0], nobody, NULL, &error));
    REQUIRE_OK(t, kw_pepper_add(library.keyward, peppers[0], nobody, NULL, &error));
    CHECK_I64(t, kw_pepper_list(library.keyward, uses, KW_PEPPERS_MAX), 2);
    kw_close(library.keyward);
    CHECK(t, !open_lasting(&library, peppers[0], 1, &error)); /* the first is needed still */
    CHECK_TEXT(t, error.code, "PEPPER_MISMATCH");
    CHECK(t, !open_lasting(&library, peppers[0], KW_PEPPERS_MAX + 1, &error));
    CHECK_TEXT(t, error.field, "pepper_count");
    REQUIRE(t, open_lasting(&library, peppers[0], 2, &error));
    kw_wait_filled(library.keyward);
    REQUIRE(t, kw_pepper_list(library.keyward, uses, KW_PEPPERS_MAX) == 2);
    CHECK(t, uses[0].is_current && uses[0].keys == 0 && uses[1].keys == 1 && uses[1].is_counted);
    CHECK_STATUS(t, use_and_retire(t, &library, made.key, uses[1].fingerprint, &error), KW_OK);
    CHECK_I64(t, kw_pepper_list(library.keyward, uses, KW_PEPPERS_MAX), 1);
    kw_close(library.keyward);
    REQUIRE(t, open_lasting(&library, peppers[0], 1, &error));
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_NONE);
    kw_close(library.keyward);
    kw_new_key_clear(&made);
    lasting.inner->close(lasting.store);
}

/* --- an import in between --- */

#define ITEMS (3 * KW_IMPORT_TOGETHER_MAX)
#define ITEM_MAX 72

struct importing {
    struct test *t;
    struct library *library;
    uint64_t fine, late, strange;
};

/* With the first item the pepper that all were to get goes. */
static void rotate_at_once(void *context, const struct kw_import_line *line)
{
    struct importing *importing = context;
    struct keyward *keyward = importing->library->keyward;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    struct kw_error error = {0};
    if (importing->fine + importing->late + importing->strange == 0) {
        CHECK_STATUS(importing->t, kw_pepper_add(keyward, NULL, nobody, NULL, &error), KW_OK);
        CHECK_I64(importing->t, kw_pepper_list(keyward, uses, KW_PEPPERS_MAX), 2);
        CHECK_STATUS(importing->t, kw_pepper_retire(keyward, uses[1].fingerprint, nobody, &error), KW_OK);
    }
    bool is_late = line->error != NULL && strcmp(line->error->code, "TOO_BUSY") == 0;
    importing->fine += line->outcome == KW_IMPORT_CREATED;
    importing->late += is_late;
    importing->strange += line->outcome != KW_IMPORT_CREATED && !is_late;
}

static void an_import_goes_on_with_the_pepper_that_there_is(struct test *t)
{
    static char text[ITEMS * ITEM_MAX];
    struct library library;
    struct importing importing = {.t = t, .library = &library};
    struct kw_import_request request = {.text = {(const uint8_t *)text, 0}, .options.dry_run = true};
    struct kw_import_counts counts;
    struct kw_error error = {0};
    for (unsigned i = 0; i < ITEMS; i++) {
        request.text.size += (size_t)snprintf(text + request.text.size, ITEM_MAX,
                                              "{\"key\":\"legacy_%06u_0123456789abcdef\",\"ownerId\":\"1\"}\n", i);
    }
    REQUIRE(t, library_open(t, &library));
    kw_wait_filled(library.keyward);
    REQUIRE_OK(t, kw_import_many(library.keyward, &request, rotate_at_once, &importing, &counts, &error));
    CHECK_I64(t, importing.fine + importing.late, ITEMS);
    CHECK_I64(t, importing.strange, 0);
    CHECK(t, importing.fine > KW_IMPORT_TOGETHER_MAX); /* those before it, and those that were read after it */
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_folder_keeps_its_peppers),
        TEST_CASE(a_folders_path_may_go),
        TEST_CASE(a_program_keeps_peppers_beside_a_store_of_its_own),
        TEST_CASE(an_import_goes_on_with_the_pepper_that_there_is),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
