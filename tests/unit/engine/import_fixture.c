#include "import_fixture.h"

#include <stdio.h>

int64_t place_now(void *context)
{
    return ((struct library *)context)->now_ms;
}

bool place_open(struct test *t, struct place *place, bool in_memory)
{
    static const uint8_t pepper[KW_PEPPER_SIZE] = {7};
    *place = (struct place){.t = t, .in_memory = in_memory};
    if (!in_memory) {
        return library_open(t, &place->library);
    }
    place->library.now_ms = LIBRARY_NOW_MS;
    struct kw_options options = {.pepper = pepper, .now_ms = place_now, .now_context = &place->library};
    return kw_store_memory_open(&options.store_take) == KW_OK &&
           kw_open(&options, &place->library.keyward, NULL) == KW_OK;
}

void place_end(struct place *place)
{
    if (place->in_memory) {
        kw_close(place->library.keyward);
    } else {
        library_end(&place->library);
    }
}

void on_both(struct test *t, void (*run)(struct place *place))
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        REQUIRE(t, place_open(t, &place, i == 0));
        kw_wait_filled(place.library.keyward);
        run(&place);
        place_end(&place);
    }
}

enum kw_code verify(struct place *place, const char *key)
{
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    struct kw_verify_request request = {.project = place->project, .key = kw_text(key)};
    CHECK_STATUS(place->t, kw_verify(place->library.keyward, &request, &verdict), KW_OK);
    return verdict.code;
}

/* The digest of `before`, key and `after` in hexadecimal. */
const char *hash_of(enum kw_digest_scheme scheme, const char *before, const char *key, const char *after,
                    char hex[2 * KW_DIGEST_MAX + 1])
{
    struct kw_digester *digester = NULL;
    struct kw_digest digest;
    char text[KW_KEY_SIZE_MAX];
    int size = snprintf(text, sizeof text, "%s%s%s", before, key, after);
    memset(hex, 0, 2 * KW_DIGEST_MAX + 1);
    if (kw_digester_new(scheme, NULL, (struct kw_bytes){NULL, 0}, &digester) == KW_OK) {
        kw_digest_key(digester, kw_bytes_of(text, (size_t)size), &digest);
        kw_hex_encode(kw_bytes_of(digest.bytes, digest.size), hex);
    }
    kw_digester_free(digester);
    return hex;
}

/* "1 created|2 refused INVALID_FIELD ownerId|" */
void note(void *context, const struct kw_import_line *line)
{
    static const char *const names[] = {"created", "overwritten", "skipped", "refused"};
    struct kw_buffer *text = context;
    kw_buffer_add_format(text, "%llu %s", (unsigned long long)line->line, names[line->outcome]);
    if (line->error != NULL) {
        kw_buffer_add_format(text, " %s%s%s", line->error->code, line->error->field[0] == '\0' ? "" : " ",
                             line->error->field);
    }
    kw_buffer_add_byte(text, '|');
}

void import_and_check(struct place *place, int line, const char *text, const char *expected,
                      struct kw_import_options options)
{
    struct kw_buffer report;
    struct kw_import_counts counts;
    struct kw_error error = {0};
    struct kw_import_request request = {.project = place->project, .text = kw_text(text), .options = options};
    kw_buffer_init(&report, 65536);
    enum kw_status status = kw_import_many(place->library.keyward, &request, note, &report, &counts, &error);
    if (status != KW_OK) {
        kw_buffer_add_format(&report, "%s %s", error.code, error.field);
    }
    if (!kw_bytes_equal(kw_buffer_bytes(&report), kw_text(expected))) {
        test_fail(place->t, __FILE__, line, "%.*s, expected %s (%s)", (int)report.size, (const char *)report.data,
                  expected, error.message);
    }
    kw_buffer_deinit(&report);
}

uint64_t keys_in(struct place *place)
{
    uint64_t count = 0;
    bool is_exact;
    struct kw_error error;
    CHECK_STATUS(place->t,
                 kw_count(place->library.keyward, &(struct kw_list_request){.limit = 1}, &count, &is_exact, &error),
                 KW_OK);
    return count;
}

bool find(struct place *place, const char *key, struct kw_held_record *held)
{
    return kw_find(place->library.keyward, kw_text(NULL), kw_text(key), kw_text(NULL), held, NULL) == KW_OK;
}

/* Revokes, and erases where that is wanted. */
void end_key(struct place *place, const char *key, bool erases)
{
    struct kw_held_record held = {0};
    struct kw_error error;
    REQUIRE(place->t, find(place, key, &held));
    struct kw_change_request request = {.id = held.record.id};
    CHECK_STATUS(place->t, kw_revoke(place->library.keyward, &request, NULL, &error), KW_OK);
    if (erases) {
        CHECK_STATUS(place->t, kw_erase(place->library.keyward, &request, &error), KW_OK);
    }
    kw_held_record_clear(&held);
}
