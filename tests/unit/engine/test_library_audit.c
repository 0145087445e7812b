/* The library's calls on the audit log: proved, handed out, signed, pruned; with a folder, and with a store and a key.
 */
#include "library_fixture.h"

#include <sched.h>

static bool contains(struct kw_bytes text, const char *part)
{
    return text.size > 0 && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static enum kw_status count_bytes(void *context, struct kw_bytes piece)
{
    *(size_t *)context += piece.size;
    return KW_OK;
}

static enum kw_status stop(void *context, struct kw_bytes piece)
{
    (void)context, (void)piece;
    return KW_E_DENIED;
}

/* Asks until every line has its seal and the answer has that part, which it gets some time. */
static bool prove(struct test *t, struct keyward *keyward, const char *expected)
{
    bool has = false;
    while (!has) {
        struct kw_held_document held = {0};
        struct kw_error error = {0};
        if (kw_audit_verify(keyward, kw_text("default"), &held, &error) != KW_OK) {
            test_fail(t, __FILE__, __LINE__, "%s", error.message);
            return false;
        }
        has = contains(held.json, "\"unsealed\":0") && contains(held.json, expected);
        kw_held_document_clear(&held);
        (void)sched_yield();
    }
    return has;
}

static void a_log_is_signed_when_the_library_is_closed(struct test *t)
{
    struct library library;
    struct kw_new_key made = {0};
    struct kw_error error = {0};
    REQUIRE(t, library_open(t, &library));
    CHECK(t, library_create(t, &library, &made));
    kw_new_key_clear(&made);
    CHECK(t, prove(t, library.keyward, "\"whole\":true"));
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK(t, prove(t, library.keyward, "\"signedPlace\":1"));
    struct kw_held_document held = {0};
    REQUIRE_OK(t, kw_audit_checkpoints(library.keyward, &(struct kw_audit_page){.limit = 1}, &held, &error));
    CHECK(t, contains(held.json, "\"place\":1") && contains(held.json, "\"publicKey\":\""));
    kw_held_document_clear(&held);
    CHECK_REFUSED(t, kw_audit_checkpoints(library.keyward, &(struct kw_audit_page){.limit = 1001}, &held, &error),
                  error, KW_E_INVALID, "INVALID_FIELD", "limit");
    CHECK_REFUSED(t, kw_audit_verify(library.keyward, kw_text("nowhere"), &held, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    size_t size = 0;
    REQUIRE_OK(t, kw_audit_export(library.keyward, kw_text(""), count_bytes, &size, &error));
    CHECK(t, size > 200);
    CHECK_STATUS(t, kw_audit_export(library.keyward, kw_text(""), stop, NULL, &error), KW_E_DENIED);
    library_end(&library);
}

static void a_log_is_pruned(struct test *t)
{
    struct library library;
    struct kw_new_key made = {0};
    struct kw_error error = {0};
    uint64_t count = 99;
    REQUIRE(t, library_open(t, &library));
    for (int i = 0; i < 3; i++) {
        library_set_clock(&library, LIBRARY_NOW_MS + i);
        CHECK(t, library_create(t, &library, &made));
        kw_new_key_clear(&made);
    }
    struct kw_audit_prune_request request = {.before_ms = LIBRARY_NOW_MS + 2, .reason = kw_text("old")};
    REQUIRE_OK(t, kw_audit_prune(library.keyward, &request, &count, &error));
    CHECK_I64(t, count, 2);
    CHECK(t, prove(t, library.keyward, "\"start\":{\"place\":2,"));
    REQUIRE_OK(t, kw_audit_prune(library.keyward, &request, &count, &error));
    CHECK_I64(t, count, 0);
    request.project = kw_text("nowhere");
    CHECK_REFUSED(t, kw_audit_prune(library.keyward, &request, &count, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    library_end(&library);
}

static void a_person_s_data_goes(struct test *t)
{
    struct library library;
    struct kw_new_key made = {0};
    struct kw_error error = {0};
    uint64_t count = 99;
    REQUIRE(t, library_open(t, &library));
    CHECK(t, library_create(t, &library, &made));
    kw_new_key_clear(&made);
    struct kw_audit_erase_request request = {.owner = kw_text("user:1"), .reason = kw_text("asked for")};
    REQUIRE_OK(t, kw_audit_erase_person(library.keyward, &request, &count, &error));
    CHECK_I64(t, count, 1);
    CHECK(t, prove(t, library.keyward, "\"proved\":2"));
    REQUIRE_OK(t, kw_audit_erase_person(library.keyward, &request, &count, &error));
    CHECK_I64(t, count, 0);
    request.owner = kw_text("");
    CHECK_REFUSED(t, kw_audit_erase_person(library.keyward, &request, &count, &error), error, KW_E_INVALID,
                  "MISSING_FIELD", "owner");
    request.actor = kw_text("\xff");
    CHECK_REFUSED(t, kw_audit_erase_person(library.keyward, &request, &count, &error), error, KW_E_INVALID,
                  "INVALID_FIELD", "owner");
    library_end(&library);
}

/* Without a key nothing is signed, and nothing goes; with one it is as with a folder. */
static void a_store_of_ones_own_is_signed_with_ones_own_key(struct test *t)
{
    const uint8_t pepper[KW_PEPPER_SIZE] = "a pepper for a store of ones own";
    const uint8_t key[KW_AUDIT_KEY_SIZE] = "a key for the log of this store";
    for (int has_key = 0; has_key < 2; has_key++) {
        struct kw_options options = {.pepper = pepper, .audit = {.key = has_key == 1 ? key : NULL}};
        struct keyward *keyward = NULL;
        struct kw_error error = {0};
        uint64_t count = 0;
        REQUIRE_OK(t, kw_store_memory_open(&options.store_take));
        REQUIRE_OK(t, kw_open(&options, &keyward, &error));
        struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = kw_text("user:1")};
        struct kw_new_key made = {0};
        CHECK_STATUS(t, kw_create(keyward, &(struct kw_change_request){.params = &params}, &made, &error), KW_OK);
        kw_new_key_clear(&made);
        struct kw_audit_prune_request request = {.before_ms = INT64_MAX};
        CHECK_STATUS(t, kw_audit_prune(keyward, &request, &count, &error), has_key == 1 ? KW_OK : KW_E_INVALID);
        CHECK_I64(t, count, has_key);
        CHECK(t, prove(t, keyward, has_key == 1 ? "\"publicKey\"" : "\"whole\":true"));
        kw_close(keyward);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_log_is_signed_when_the_library_is_closed),
        TEST_CASE(a_log_is_pruned),
        TEST_CASE(a_person_s_data_goes),
        TEST_CASE(a_store_of_ones_own_is_signed_with_ones_own_key),
    };
    return test_main(cases, sizeof cases / sizeof cases[0], argc, argv);
}
