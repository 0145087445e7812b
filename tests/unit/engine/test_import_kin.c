/*
 * Imports through the library: that a rehearsal leaves nothing, that families and lines stay what they were, and that
 * many chunks are one import.
 */
#include "import_fixture.h"

/* --- rehearsals --- */

static enum kw_status fold_row(void *context, const struct kw_store_row *row)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < row->record.size; i++) {
        *sum = *sum * 31 + row->record.data[i];
    }
    *sum = *sum * 31 + row->sequence;
    return KW_OK;
}

static enum kw_status fold_setting(void *context, const struct kw_store_setting *setting)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < setting->value.size; i++) {
        *sum = *sum * 31 + setting->value.data[i];
    }
    return KW_OK;
}

static enum kw_status fold_audit(void *context, const struct kw_store_audit *audit)
{
    *(uint64_t *)context = *(uint64_t *)context * 31 + audit->sequence;
    return KW_OK;
}

static uint64_t sum_of(struct test *t, struct kw_store *store)
{
    uint64_t sum = 0;
    CHECK_STATUS(t, store->ops->changes(store, 0, KW_STORE_LIST_MAX, fold_row, &sum), KW_OK);
    CHECK_STATUS(t, store->ops->settings_list(store, kw_text(NULL), fold_setting, &sum), KW_OK);
    CHECK_STATUS(
        t,
        store->ops->audit_query(store, &(struct kw_store_audit_filter){.limit = KW_STORE_LIST_MAX}, fold_audit, &sum),
        KW_OK);
    return sum;
}

static void a_rehearsal_says_the_same_and_leaves_nothing(struct test *t)
{
    static const uint8_t pepper[KW_PEPPER_SIZE] = {7};
    struct place place = {.t = t, .in_memory = true, .library.now_ms = LIBRARY_NOW_MS};
    struct kw_options options = {.pepper = pepper, .now_ms = place_now, .now_context = &place.library};
    struct kw_store *store;
    char hex[2 * KW_DIGEST_MAX + 1], text[4096];
    REQUIRE_OK(t, kw_store_memory_open(&store));
    options.store_take = store;
    REQUIRE_OK(t, kw_open(&options, &place.library.keyward, NULL));
    kw_wait_filled(place.library.keyward);
    hash_of(KW_DIGEST_SHA512, "", OLD_KEY, "s", hex);
    IMPORT(&place, "{\"id\":\"here\",\"key\":\"" OTHER_KEY "\",\"ownerId\":\"1\"}", "1 created|");
    FORM(text,
         "{\"id\":\"here\",\"key\":\"" OTHER_KEY "\",\"ownerId\":\"1\",\"name\":\"n\"}\n"
         "{\"id\":\"a\",\"keyHash\":\"%s\",\"salt\":\"s\",\"prefix\":\"p_\",\"ownerId\":\"1\"}\n"
         "{\"id\":\"b\",\"keyHash\":\"%s\",\"salt\":\"s\",\"prefix\":\"p_\",\"ownerId\":\"1\"}\n{}\n",
         hex, hex);
    const char *expected = "1 overwritten|2 created|3 overwritten|4 refused MISSING_FIELD keyHash|";
    uint64_t before = sum_of(t, store);
    IMPORT_AS(&place, text, expected, .on_conflict = KW_IMPORT_OVERWRITE, .dry_run = true);
    CHECK(t, sum_of(t, store) == before);
    CHECK_CODE(t, verify(&place, OLD_KEY), KW_CODE_INVALID_KEY);
    IMPORT_AS(&place, text, expected, .on_conflict = KW_IMPORT_OVERWRITE);
    CHECK(t, sum_of(t, store) != before);
    CHECK_CODE(t, verify(&place, OLD_KEY), KW_CODE_NONE);
    kw_close(place.library.keyward);
}

/* --- families and lines --- */

#define OWN(id, digest, more) \
    "{\"record\":{\"id\":\"key_01JD5W3K2M8Q4T6V9X0Z1B3D" id "\",\"env\":\"live\",\"prefix\":\"sk_live_\",\"owner\":" \
    "\"user:1\",\"createdAt\":\"2026-01-01T00:00:00Z\"" more "},\"digest\":{\"scheme\":\"sha256\",\"value\":\"" digest \
    "000000000000000000000000000000000000000000000000000000000000\"}}\n"
#define ID(id) "\"key_01JD5W3K2M8Q4T6V9X0Z1B3D" id "\""

static void import_families(struct place *place)
{
    /* A child before its parent; then a parent that was rotated, a child of its line, a grandchild, and the new key. */
    IMPORT(place,
           OWN("C1", "00c1", ",\"parentId\":" ID("P1")) OWN(
               "P1", "00a1", ",\"scopes\":[\"read\"],\"rotatedTo\":" ID("P2") ",\"revokedAt\":\"2026-01-01T00:00:01Z\"")
               OWN("C2", "00c2", ",\"scopes\":[\"read\"],\"parentId\":" ID("P1"))
                   OWN("G1", "00e1", ",\"scopes\":[\"write\"],\"parentId\":" ID("C2"))
                       OWN("P2", "00a2", ",\"scopes\":[\"read\"],\"rotatedFrom\":" ID("P1") ",\"lineageId\":" ID("P1")),
           "1 refused INVALID_FIELD parentId|2 created|3 created|4 created|5 created|");
    /* A stranger that claims to be the line's next key. */
    IMPORT(place, OWN("P3", "00a3", ",\"scopes\":[\"*\"],\"rotatedFrom\":" ID("P1") ",\"lineageId\":" ID("P1")),
           "1 refused INVALID_FIELD rotatedFrom|");
    IMPORT(place, OWN("P3", "00a3", ",\"scopes\":[\"*\"],\"rotatedFrom\":" ID("X9") ",\"lineageId\":" ID("P1")),
           "1 refused INVALID_FIELD rotatedFrom|");
    IMPORT(place, OWN("P3", "00a3", ",\"lineageId\":" ID("P1")), "1 refused INVALID_FIELD lineageId|");
    IMPORT(place, OWN("P4", "00a4", ",\"rotatedTo\":" ID("C2")), "1 refused INVALID_FIELD rotatedTo|");
    /* Names that do not exist, and other environments. */
    IMPORT(place, OWN("N1", "00b1", ",\"policy\":\"strict\""), "1 refused INVALID_FIELD policy|");
    IMPORT(place, OWN("N1", "00b1", ",\"template\":\"ci\""), "1 refused INVALID_FIELD template|");
    IMPORT(place, "{\"key\":\"" OLD_KEY "\",\"ownerId\":\"1\",\"env\":\"stage\"}", "1 refused INVALID_FIELD env|");
    IMPORT(place, "{\"key\":\"" OLD_KEY "\",\"ownerId\":\"1\",\"env\":\"test\",\"parentId\":" ID("P2") "}",
           "1 refused EXCEEDS_PARENT env|");
    IMPORT(place, "{\"key\":\"" OLD_KEY "\",\"ownerId\":\"1\",\"scopes\":[\"write\"],\"parentId\":" ID("P2") "}",
           "1 refused EXCEEDS_PARENT scopes|");
    IMPORT(place, "{\"key\":\"" OLD_KEY "\",\"ownerId\":\"1\",\"scopes\":[\"read\"],\"parentId\":" ID("P2") "}",
           "1 created|");
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_NONE);
    /* The parent's end is the child's. */
    struct kw_change_request request = {.id = {{0}}};
    struct kw_error error;
    REQUIRE(place->t, kw_id_from_text(kw_text("key_01JD5W3K2M8Q4T6V9X0Z1B3DP2"), &request.id));
    CHECK_STATUS(place->t, kw_revoke(place->library.keyward, &request, NULL, &error), KW_OK);
    CHECK_CODE(place->t, verify(place, OLD_KEY), KW_CODE_REVOKED);
}

static void families_and_lines_hold(struct test *t)
{
    on_both(t, import_families);
}

static void an_unknown_pepper_is_named(struct test *t)
{
    struct place place;
    REQUIRE(t, place_open(t, &place, true));
    IMPORT(
        &place,
        "{\"record\":{\"id\":" ID("P1") ",\"env\":\"live\",\"prefix\":\"sk_live_\",\"owner\":\"user:1\",\"createdAt\":"
                                        "\"2026-01-01T00:00:00Z\"},\"digest\":{\"scheme\":\"hmac-sha256\",\"pepper\":"
                                        "\"00112233445566778899aabbccddeeff\",\"value\":"
                                        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}}",
        "1 refused PEPPER_MISMATCH digest.pepper|");
    place_end(&place);
}

static void an_export_that_was_cut_is_told(struct test *t)
{
    static const struct {
        const char *text;
        bool is_cut;
    } cases[] = {
        {"{\"keyward\":\"export\",\"version\":1}\n{}\n{\"keyward\":\"end\",\"keys\":1}\n", false},
        {"{\"keyward\":\"export\",\"version\":1}\n{}\n", true},
        {"{\"keyward\":\"export\",\"version\":1}\n{\"keyward\":\"end\",\"keys\":1}\n", true},
        {"{}\n", false},
    };
    struct place place;
    REQUIRE(t, place_open(t, &place, true));
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_import_counts counts;
        struct kw_error error;
        struct kw_import_request request = {.text = kw_text(cases[i].text)};
        CHECK_STATUS(t, kw_import_many(place.library.keyward, &request, NULL, NULL, &counts, &error), KW_OK);
        CHECK_I64(t, counts.is_cut, cases[i].is_cut);
    }
    place_end(&place);
}

/* More than one chunk, of which each is a commit: all are there, and a second time none is new. */
static void import_many_chunks(struct place *place)
{
    enum { KEYS = 2 * KW_IMPORT_TOGETHER_MAX + 500 };
    struct kw_buffer text;
    kw_buffer_init(&text, (size_t)1024 * 1024);
    for (int i = 0; i < KEYS; i++) {
        kw_buffer_add_format(&text, "{\"id\":\"k%d\",\"keyHash\":\"%064d\",\"ownerId\":\"%d\"}\n", i, i + 1, i % 7);
    }
    struct kw_import_counts counts;
    struct kw_error error;
    struct kw_import_request request = {.text = kw_buffer_bytes(&text)};
    CHECK_STATUS(place->t, kw_import_many(place->library.keyward, &request, NULL, NULL, &counts, &error), KW_OK);
    CHECK_I64(place->t, counts.created, KEYS);
    CHECK_I64(place->t, keys_in(place), KEYS);
    CHECK_STATUS(place->t, kw_import_many(place->library.keyward, &request, NULL, NULL, &counts, &error), KW_OK);
    CHECK_I64(place->t, counts.skipped, KEYS);
    CHECK_I64(place->t, keys_in(place), KEYS);
    kw_buffer_deinit(&text);
}

static void many_chunks_are_one_import(struct test *t)
{
    on_both(t, import_many_chunks);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_rehearsal_says_the_same_and_leaves_nothing),
        TEST_CASE(families_and_lines_hold),
        TEST_CASE(an_unknown_pepper_is_named),
        TEST_CASE(an_export_that_was_cut_is_told),
        TEST_CASE(many_chunks_are_one_import),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
