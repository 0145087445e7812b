#include "library_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t now_of(void *context)
{
    return __atomic_load_n(&((struct library *)context)->now_ms, __ATOMIC_RELAXED);
}

void library_set_clock(struct library *library, int64_t now_ms)
{
    __atomic_store_n(&library->now_ms, now_ms, __ATOMIC_RELAXED);
}

struct kw_options library_options(struct library *library)
{
    return (struct kw_options){.data = library->folder, .now_ms = now_of, .now_context = library};
}

static bool open_as(struct test *t, struct library *library, enum kw_digest_scheme digest)
{
    struct kw_options options = library_options(library);
    struct kw_error error = {0};
    options.digest = digest;
    if (kw_open(&options, &library->keyward, &error) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "not opened: %s %s", error.message, error.detail);
        return false;
    }
    return true;
}

bool library_open(struct test *t, struct library *library)
{
    const char *place = getenv("TMPDIR");
    *library = (struct library){.now_ms = LIBRARY_NOW_MS};
    snprintf(library->folder, sizeof library->folder, "%.40s/keyward-XXXXXX", place == NULL ? "/tmp" : place);
    if (mkdtemp(library->folder) == NULL) {
        test_fail(t, __FILE__, __LINE__, "no folder %s", library->folder);
        return false;
    }
    return open_as(t, library, 0);
}

bool library_reopen(struct test *t, struct library *library, enum kw_digest_scheme digest)
{
    kw_close(library->keyward);
    library->keyward = NULL;
    return open_as(t, library, digest);
}

static int remove_one(const char *path, const struct stat *state, int kind, struct FTW *walk)
{
    (void)state;
    (void)kind;
    (void)walk;
    return remove(path);
}

void library_end(struct library *library)
{
    kw_close(library->keyward);
    library->keyward = NULL;
    (void)nftw(library->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

bool library_create_as(struct test *t, struct library *library, const struct kw_key_params *params,
                       struct kw_new_key *made)
{
    struct kw_error error = {0};
    enum kw_status status = kw_create(library->keyward, &(struct kw_change_request){.params = params}, made, &error);
    if (status != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "not created: %s %s", error.field, error.message);
    }
    return status == KW_OK;
}

bool library_create(struct test *t, struct library *library, struct kw_new_key *made)
{
    struct kw_bytes scopes[] = {KW_BYTES("a"), KW_BYTES("b:*")};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES,
                                   .owner = KW_BYTES("user:1"),
                                   .scopes = scopes,
                                   .scope_count = KW_COUNT_OF(scopes)};
    return library_create_as(t, library, &params, made);
}

enum kw_code library_verify(struct test *t, struct library *library, const char *key)
{
    struct kw_verdict verdict;
    struct kw_verify_request request = {.key = kw_text(key)};
    enum kw_status status = kw_verify(library->keyward, &request, &verdict);
    if (status != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "no verdict: %s", kw_status_name(status));
        return KW_CODE_INTERNAL;
    }
    return verdict.code;
}

void library_check_text(struct test *t, int line, struct kw_bytes actual, const char *expected)
{
    (void)test_check_bytes(t, "field", line, "field", actual, kw_bytes_of_text(expected));
}

struct kw_rate_limit library_limit(const char *name, int64_t requests, int64_t window_ms)
{
    return (struct kw_rate_limit){.name = kw_text(name), .requests = requests, .window_ms = window_ms};
}

bool library_create_limited(struct test *t, struct library *library, const struct kw_rate_limit *limits, size_t count,
                            struct kw_new_key *made)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_RATE_LIMITS,
                                   .owner = KW_BYTES("user:1"),
                                   .rate_limits = limits,
                                   .rate_limit_count = count};
    return library_create_as(t, library, &params, made);
}

struct kw_verdict library_spend(struct test *t, struct library *library, const char *key, uint32_t cost)
{
    struct kw_verdict verdict = {.code = KW_CODE_INTERNAL};
    CHECK_STATUS(t,
                 kw_verify(library->keyward, &(struct kw_verify_request){.key = kw_text(key), .cost = cost}, &verdict),
                 KW_OK);
    return verdict;
}
