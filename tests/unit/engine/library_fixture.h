/*
 * libkeyward for its tests: on a folder of its own that can be closed and opened again, with a clock that the test
 * sets.
 */
#ifndef KW_TESTS_UNIT_ENGINE_LIBRARY_FIXTURE_H
#define KW_TESTS_UNIT_ENGINE_LIBRARY_FIXTURE_H

#include "support/test.h"
#include <keyward/keyward.h>

#define LIBRARY_NOW_MS INT64_C(1767225600000) /* 2026-01-01 */

struct library {
    struct keyward *keyward; /* NULL while it is closed */
    char folder[64];
    int64_t now_ms; /* atomic */
};

/* On a fresh folder, with hmac-sha256. False (and a failed check) when it cannot be opened. */
bool library_open(struct test *t, struct library *library);
/* Closes it, and opens it again. `digest` 0 leaves the scheme as it is. */
bool library_reopen(struct test *t, struct library *library, enum kw_digest_scheme digest);
/* Closes, and removes the folder. */
void library_end(struct library *library);
void library_set_clock(struct library *library, int64_t now_ms);
/* What kw_open is to be given for this folder and clock. */
struct kw_options library_options(struct library *library);

/* A key of user:1 with the scopes a and b:*; false (and a failed check) when there is none. Clear `made`. */
bool library_create(struct test *t, struct library *library, struct kw_new_key *made);
/* As above, as `params` say. */
bool library_create_as(struct test *t, struct library *library, const struct kw_key_params *params,
                       struct kw_new_key *made);
/* A limit of the key's own spending. */
struct kw_rate_limit library_limit(const char *name, int64_t requests, int64_t window_ms);
/* A key of user:1 with these limits. */
bool library_create_limited(struct test *t, struct library *library, const struct kw_rate_limit *limits, size_t count,
                            struct kw_new_key *made);
/* A verification of that cost; the code is KW_CODE_INTERNAL, with a failed check, when there is no verdict. */
struct kw_verdict library_spend(struct test *t, struct library *library, const char *key, uint32_t cost);
/* The verdict's code, or KW_CODE_INTERNAL and a failed check when there is none. */
enum kw_code library_verify(struct test *t, struct library *library, const char *key);
/* The text of a field. */
void library_check_text(struct test *t, int line, struct kw_bytes actual, const char *expected);

#define CHECK_FIELD(t, actual, expected) library_check_text((t), __LINE__, (actual), (expected))
#define CHECK_CODE(t, actual, expected) CHECK_TEXT((t), kw_code_info(actual)->name, kw_code_info(expected)->name)
/* That a call failed so, with this code, and named this field. */
#define CHECK_REFUSED(t, call, error, status, code_text, field_text) \
    do { \
        (error) = (struct kw_error){0}; \
        CHECK_STATUS((t), (call), (status)); \
        CHECK_TEXT((t), (error).code == NULL ? "(none)" : (error).code, (code_text)); \
        CHECK_TEXT((t), (error).field, (field_text)); \
        CHECK((t), (error).message[0] != '\0'); \
    } while (0)

#endif
