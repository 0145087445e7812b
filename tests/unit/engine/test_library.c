/* The library as its header has it: opening, verifying, and what a call that fails leaves alone. */
#include "library_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

static void nothing_can_be_closed_and_cleared(struct test *t)
{
    (void)t;
    kw_close(NULL);
    kw_new_key_clear(NULL);
    kw_held_record_clear(NULL);
    struct kw_new_key made = {0};
    struct kw_held_record held = {0};
    kw_new_key_clear(&made);
    kw_held_record_clear(&held);
}

static void options_that_do_not_go_together(struct test *t)
{
    static const uint8_t pepper[32] = "the pepper of the library's test";
    struct keyward *const before = (struct keyward *)(uintptr_t)1;
    struct keyward *keyward = before;
    struct kw_error error;
    struct kw_options options = {0};
    CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "options");
    options = (struct kw_options){.data = "/nowhere", .pepper = pepper};
    CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "options");
    options = (struct kw_options){.pepper = pepper};
    CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "options");
    /* A store that is handed over is closed also when it is refused; the leak checker would see it otherwise. */
    options = (struct kw_options){0};
    REQUIRE_OK(t, kw_store_memory_open(&options.store_take));
    CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "options");
    options = (struct kw_options){.data = "/nowhere", .pepper = pepper};
    REQUIRE_OK(t, kw_store_memory_open(&options.store_take));
    CHECK_STATUS(t, kw_open(&options, &keyward, NULL), KW_E_INVALID);
    CHECK(t, keyward == before);
}

/* Nothing else of its table can be called: where its functions stand is what may have changed. */
static void a_store_of_another_version_is_left_alone(struct test *t)
{
    static const uint8_t pepper[32] = {1};
    static const struct kw_store_ops older = {.version = KW_STORE_VERSION - 1};
    static const struct kw_store_ops newer = {.version = KW_STORE_VERSION + 1};
    const struct kw_store_ops *const tables[] = {&older, &newer};
    for (size_t i = 0; i < KW_COUNT_OF(tables); i++) {
        struct kw_store store = {tables[i]};
        struct keyward *keyward = NULL;
        struct kw_error error;
        struct kw_options options = {.store_take = &store, .pepper = pepper};
        CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "store_take");
        CHECK(t, keyward == NULL);
    }
}

/* It must not be written down either: the folder would never open again. */
static void a_digest_scheme_that_does_not_exist(struct test *t)
{
    struct library library;
    struct keyward *keyward = NULL;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    kw_close(library.keyward);
    library.keyward = NULL;
    struct kw_options options = library_options(&library);
    for (int scheme = -1; scheme < 300; scheme += scheme < 0 ? 7 : 125) { /* -1, 6, 131, 256 */
        options.digest = (enum kw_digest_scheme)scheme;
        CHECK_REFUSED(t, kw_open(&options, &keyward, &error), error, KW_E_INVALID, "INVALID_FIELD", "digest");
        CHECK(t, keyward == NULL);
    }
    CHECK(t, library_reopen(t, &library, 0));
    library_end(&library);
}

static void a_held_folder_is_refused(struct test *t)
{
    struct library library;
    struct keyward *other = NULL;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    struct kw_options options = library_options(&library);
    CHECK_REFUSED(t, kw_open(&options, &other, &error), error, KW_E_BUSY, "DATA_IN_USE", "");
    CHECK(t, other == NULL);
    CHECK(t, library_reopen(t, &library, 0));
    library_end(&library);
}

static void another_pepper_is_refused(struct test *t)
{
    struct library library;
    struct keyward *other = NULL;
    struct kw_new_key made;
    struct kw_error error;
    char path[96];
    char kept[96];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    kw_close(library.keyward);
    library.keyward = NULL;
    snprintf(path, sizeof path, "%s/pepper", library.folder);
    snprintf(kept, sizeof kept, "%s/kept", library.folder);
    REQUIRE(t, rename(path, kept) == 0);
    FILE *file = fopen(path, "w");
    REQUIRE(t, file != NULL);
    fputs("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", file);
    REQUIRE(t, fchmod(fileno(file), 0600) == 0 && fclose(file) == 0);
    struct kw_options options = library_options(&library);
    CHECK_STATUS(t, kw_open(&options, &other, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "PEPPER_MISMATCH");
    REQUIRE(t, rename(kept, path) == 0);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK_CODE(t, library_verify(t, &library, made.key), KW_CODE_NONE);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void a_folder_that_cannot_be(struct test *t)
{
    struct keyward *keyward = NULL;
    struct kw_error error = {0};
    struct kw_options options = {.data = "/dev/null/data"};
    CHECK(t, kw_open(&options, &keyward, &error) != KW_OK);
    CHECK(t, keyward == NULL && error.code != NULL && error.message[0] != '\0');
}

static void *verify_here(void *context)
{
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    const struct kw_verify_request *request = ((void **)context)[1];
    return kw_verify(((void **)context)[0], request, &verdict) == KW_OK && verdict.code == KW_CODE_NONE ? context
                                                                                                        : NULL;
}

static void a_store_of_ones_own_and_threads_of_ones_own(struct test *t)
{
    static const uint8_t pepper[32] = "the pepper of the library's test";
    struct library library = {.now_ms = LIBRARY_NOW_MS};
    struct kw_options options = {.pepper = pepper, .digest = KW_DIGEST_SHA512};
    struct kw_error error = {0};
    struct kw_new_key made;
    REQUIRE_OK(t, kw_store_memory_open(&options.store_take));
    REQUIRE_OK(t, kw_open(&options, &library.keyward, &error));
    REQUIRE(t, library_create(t, &library, &made));
    CHECK_I64(t, made.held.record.digest_scheme, KW_DIGEST_SHA512);
    struct kw_verify_request request = {.key = kw_text(made.key)};
    void *context[] = {library.keyward, &request};
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        void *result = NULL;
        REQUIRE(t, pthread_create(&thread, NULL, verify_here, context) == 0);
        REQUIRE(t, pthread_join(thread, &result) == 0);
        CHECK(t, result == context);
    }
    kw_new_key_clear(&made);
    kw_close(library.keyward);
}

static void ids_as_text(struct test *t)
{
    char text[KW_ID_TEXT_SIZE + 1];
    struct kw_id id = {{0}};
    struct kw_id untouched = {{7}};
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id.bytes[i] = (uint8_t)test_random(t);
    }
    struct kw_id again;
    kw_id_to_text(&id, text);
    CHECK_I64(t, strlen(text), KW_ID_TEXT_SIZE);
    REQUIRE(t, kw_id_from_text(kw_text(text), &again));
    CHECK(t, kw_bytes_equal(kw_bytes_of(&again, sizeof again), kw_bytes_of(&id, sizeof id)));
    const char *wrong[] = {"",
                           "key_",
                           "kee_01JD5W3K2M8Q4T6V9X0Z1B3D5F",
                           "key_01JD5W3K2M8Q4T6V9X0Z1B3D5",
                           "key_81JD5W3K2M8Q4T6V9X0Z1B3D5F",
                           "key_01JD5W3K2M8Q4T6V9X0Z1B3DUF",
                           NULL};
    for (size_t i = 0; i < KW_COUNT_OF(wrong); i++) {
        again = untouched;
        CHECK(t, !kw_id_from_text(kw_text(wrong[i]), &again));
        CHECK(t, kw_bytes_equal(kw_bytes_of(&again, sizeof again), kw_bytes_of(&untouched, sizeof untouched)));
    }
}

/* --- verifying --- */

/* One of each verdict that a request can come to. */
static void every_verdict(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_bytes held[] = {KW_BYTES("a"), KW_BYTES("b:c")};
    struct kw_bytes wider[] = {KW_BYTES("a"), KW_BYTES("c"), KW_BYTES("d")};
    char typo[sizeof made.key];
    memcpy(typo, made.key, sizeof typo);
    typo[12] = typo[12] == 'x' ? 'y' : 'x';
    const struct {
        struct kw_verify_request request;
        enum kw_code code;
    } rows[] = {
        {{.key = kw_text(made.key)}, KW_CODE_NONE},
        {{.key = kw_text(made.key), .project = KW_BYTES("default"), .env = KW_BYTES("live")}, KW_CODE_NONE},
        {{.key = kw_text(made.key), .scopes = held, .scope_count = 2}, KW_CODE_NONE},
        {{.key = kw_text(made.key), .resource = KW_BYTES("site:1"), .resource_scopes = held, .resource_scope_count = 2},
         KW_CODE_NONE},
        {{.key = {NULL, 0}}, KW_CODE_MISSING_KEY},
        {{.key = KW_BYTES("no key")}, KW_CODE_INVALID_FORMAT},
        {{.key = kw_text(typo)}, KW_CODE_INVALID_FORMAT},
        {{.key = kw_text(made.key), .env = KW_BYTES("test")}, KW_CODE_ENVIRONMENT_MISMATCH},
        {{.key = kw_text(made.key), .scopes = wider, .scope_count = 3}, KW_CODE_INSUFFICIENT_SCOPE},
        {{.key = kw_text(made.key),
          .resource = KW_BYTES("site:1"),
          .resource_scopes = wider,
          .resource_scope_count = 2},
         KW_CODE_INSUFFICIENT_SCOPE},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_verdict verdict;
        CHECK_STATUS(t, kw_verify(library.keyward, &rows[i].request, &verdict), KW_OK);
        CHECK_CODE(t, verdict.code, rows[i].code);
        bool is_known = rows[i].code == KW_CODE_NONE || rows[i].code >= KW_CODE_REVOKED;
        struct kw_id expected = is_known ? made.held.record.id : (struct kw_id){{0}};
        CHECK(t, memcmp(&verdict.id, &expected, sizeof expected) == 0);
        CHECK_TEXT(t, verdict.missing, rows[i].code == KW_CODE_INSUFFICIENT_SCOPE ? "c" : "");
        CHECK(t, !verdict.has_record);
    }
    /* What there is not cannot be asked about: no verdict, as no answer over HTTP. */
    struct kw_verify_request nowhere = {.key = kw_text(made.key), .env = KW_BYTES("nowhere")};
    struct kw_verdict untouched = {.code = KW_CODE_INTERNAL};
    enum kw_status many;
    CHECK_STATUS(t, kw_verify(library.keyward, &nowhere, &untouched), KW_E_INVALID);
    CHECK_STATUS(t, kw_verify_many(library.keyward, &nowhere, 1, &many, &untouched), KW_E_INVALID);
    CHECK_STATUS(t, many, KW_E_INVALID);
    CHECK_CODE(t, untouched.code, KW_CODE_INTERNAL);
    kw_new_key_clear(&made);
    library_end(&library);
}

static void another_projects_key_is_not_told_from_an_unknown_one(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_verify_request request = {.key = kw_text(made.key), .project = KW_BYTES("keyward")};
    struct kw_verdict verdict;
    CHECK_STATUS(t, kw_verify(library.keyward, &request, &verdict), KW_OK);
    CHECK(t, verdict.code == KW_CODE_INVALID_FORMAT || verdict.code == KW_CODE_INVALID_KEY);
    CHECK(t, memcmp(&verdict.id, &(struct kw_id){{0}}, sizeof verdict.id) == 0);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* What cannot be asked, for a valid key: a refusal of the question, which must never read as a verdict. */
static void questions_that_cannot_be_asked(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_bytes key = kw_text(made.key);
    struct kw_bytes bad[] = {KW_BYTES("a"), KW_BYTES("b c")};
    struct kw_bytes empty = {NULL, 0};
    const struct kw_verify_request requests[] = {
        {.key = key, .project = KW_BYTES("nowhere")},
        {.key = key, .scopes = bad, .scope_count = 2},
        {.key = key, .scopes = &empty, .scope_count = 1},
        {.key = key, .resource = KW_BYTES("website"), .resource_scopes = bad, .resource_scope_count = 1},
        {.key = key, .resource = KW_BYTES("website:1"), .resource_scopes = bad, .resource_scope_count = 2},
        {.key = key, .resource_scopes = bad, .resource_scope_count = 1},
    };
    for (size_t i = 0; i < KW_COUNT_OF(requests); i++) {
        struct kw_verdict verdict, untouched;
        memset(&verdict, 0x5a, sizeof verdict);
        memset(&untouched, 0x5a, sizeof untouched);
        CHECK_STATUS(t, kw_verify(library.keyward, &requests[i], &verdict), KW_E_INVALID);
        CHECK(t, kw_bytes_equal(kw_bytes_of(&verdict, sizeof verdict), kw_bytes_of(&untouched, sizeof untouched)));
        enum kw_status one;
        CHECK_STATUS(t, kw_verify_many(library.keyward, &requests[i], 1, &one, &verdict), KW_E_INVALID);
        CHECK_STATUS(t, one, KW_E_INVALID);
        CHECK(t, kw_bytes_equal(kw_bytes_of(&verdict, sizeof verdict), kw_bytes_of(&untouched, sizeof untouched)));
    }
    kw_new_key_clear(&made);
    library_end(&library);
}

static void the_record_beside_the_verdict(struct test *t)
{
    struct library library;
    struct kw_new_key made;
    static uint8_t memory[KW_RECORD_MAX];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, library_create(t, &library, &made));
    struct kw_verify_request request = {
        .key = kw_text(made.key), .record_memory = memory, .record_memory_size = sizeof memory};
    struct kw_verdict verdict;
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    REQUIRE(t, verdict.has_record);
    CHECK_FIELD(t, verdict.record.owner, "user:1");
    CHECK_I64(t, verdict.record.scopes.count, 2);
    CHECK(t, verdict.record.owner.data >= memory && verdict.record.owner.data < memory + sizeof memory);
    /* One byte after the other: too small until it fits, and then the same. */
    enum kw_status status = KW_E_LIMIT;
    size_t size = 0;
    for (; status == KW_E_LIMIT && size < sizeof memory; size++) {
        struct kw_verdict untouched;
        memset(&verdict, 0x5a, sizeof verdict);
        memset(&untouched, 0x5a, sizeof untouched);
        request.record_memory_size = size;
        status = kw_verify(library.keyward, &request, &verdict);
        REQUIRE(t, status != KW_E_LIMIT || kw_bytes_equal(kw_bytes_of(&verdict, sizeof verdict),
                                                          kw_bytes_of(&untouched, sizeof untouched)));
    }
    CHECK_STATUS(t, status, KW_OK);
    CHECK(t, size > 50 && size < 1000);
    CHECK(t, verdict.code == KW_CODE_NONE && verdict.has_record);
    /* A key that is not known has none, however little room there is. */
    request.key = KW_BYTES("no key");
    request.record_memory_size = 0;
    REQUIRE_OK(t, kw_verify(library.keyward, &request, &verdict));
    CHECK(t, verdict.code == KW_CODE_INVALID_FORMAT && !verdict.has_record);
    kw_new_key_clear(&made);
    library_end(&library);
}

/* --- many at once --- */

#define MANY 150
#define MANY_KEYS 30

struct many {
    struct kw_new_key made[MANY_KEYS];
    struct kw_verify_request requests[MANY];
    uint8_t memory[MANY][512];
    enum kw_status statuses[MANY];
    struct kw_verdict verdicts[MANY];
};

/* Keys in every state, and questions of every kind about them. */
static bool draw_many(struct test *t, struct library *library, struct many *many)
{
    static const struct kw_bytes scopes[] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"z", 1}, {NULL, 0}};
    static const struct kw_bytes envs[] = {{NULL, 0}, {(const uint8_t *)"live", 4}, {(const uint8_t *)"test", 4}};
    for (size_t i = 0; i < MANY_KEYS; i++) {
        if (!library_create(t, library, &many->made[i])) {
            return false;
        }
        struct kw_change_request change = {.id = many->made[i].held.record.id};
        enum kw_status status = i % 4 == 1   ? kw_disable(library->keyward, &change, NULL, NULL)
                                : i % 4 == 2 ? kw_revoke(library->keyward, &change, NULL, NULL)
                                             : KW_OK;
        CHECK_STATUS(t, status, KW_OK);
    }
    for (size_t i = 0; i < MANY; i++) {
        struct kw_bytes key = kw_text(many->made[test_random_below(t, MANY_KEYS)].key);
        key.size -= test_random_below(t, 8) == 0;
        many->requests[i] = (struct kw_verify_request){.key = key,
                                                       .env = envs[test_random_below(t, 3)],
                                                       .scopes = &scopes[test_random_below(t, 3)],
                                                       .scope_count = test_random_below(t, 2)};
        if (test_random_below(t, 2) == 0) {
            many->requests[i].record_memory = many->memory[i];
            many->requests[i].record_memory_size = test_random_below(t, 4) == 0 ? 20 : sizeof many->memory[i];
        }
    }
    return true;
}

static void check_same(struct test *t, const struct kw_verdict *a, const struct kw_verdict *b)
{
    CHECK_CODE(t, a->code, b->code);
    CHECK(t, memcmp(&a->id, &b->id, sizeof a->id) == 0);
    CHECK_TEXT(t, a->missing, b->missing);
    CHECK_I64(t, a->has_record, b->has_record);
    if (a->has_record && b->has_record) {
        CHECK(t, memcmp(&a->record.id, &b->record.id, sizeof a->record.id) == 0);
        CHECK_I64(t, a->record.version, b->record.version);
        CHECK_BYTES(t, a->record.owner, b->record.owner);
    }
}

static void many_are_as_one_by_one(struct test *t)
{
    struct library library;
    static struct many many;
    static uint8_t memory[KW_RECORD_MAX];
    REQUIRE(t, library_open(t, &library));
    REQUIRE(t, draw_many(t, &library, &many));
    enum kw_status first = KW_OK;
    enum kw_status whole = kw_verify_many(library.keyward, many.requests, MANY, many.statuses, many.verdicts);
    for (size_t i = 0; i < MANY; i++) {
        struct kw_verify_request request = many.requests[i];
        struct kw_verdict verdict;
        request.record_memory = request.record_memory == NULL ? NULL : memory;
        enum kw_status status = kw_verify(library.keyward, &request, &verdict);
        CHECK_STATUS(t, many.statuses[i], status);
        if (status == KW_OK && many.statuses[i] == KW_OK) {
            check_same(t, &many.verdicts[i], &verdict);
        }
        first = first == KW_OK ? status : first;
    }
    CHECK(t, first != KW_OK);
    CHECK_STATUS(t, whole, first);
    CHECK_STATUS(t, kw_verify_many(library.keyward, NULL, 0, NULL, NULL), KW_OK);
    for (size_t i = 0; i < MANY_KEYS; i++) {
        kw_new_key_clear(&many.made[i]);
    }
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(nothing_can_be_closed_and_cleared),
        TEST_CASE(options_that_do_not_go_together),
        TEST_CASE(a_store_of_another_version_is_left_alone),
        TEST_CASE(a_digest_scheme_that_does_not_exist),
        TEST_CASE(a_held_folder_is_refused),
        TEST_CASE(another_pepper_is_refused),
        TEST_CASE(a_folder_that_cannot_be),
        TEST_CASE(a_store_of_ones_own_and_threads_of_ones_own),
        TEST_CASE(ids_as_text),
        TEST_CASE(every_verdict),
        TEST_CASE(another_projects_key_is_not_told_from_an_unknown_one),
        TEST_CASE(questions_that_cannot_be_asked),
        TEST_CASE(the_record_beside_the_verdict),
        TEST_CASE(many_are_as_one_by_one),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
