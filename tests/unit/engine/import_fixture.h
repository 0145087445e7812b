/* Imports for the library's tests: a library on one of the stores, and what became of each item as one text. */
#ifndef KW_TESTS_UNIT_ENGINE_IMPORT_FIXTURE_H
#define KW_TESTS_UNIT_ENGINE_IMPORT_FIXTURE_H

#include "core/digest.h"
#include "library_fixture.h"

#include <stdio.h>

#define OLD_KEY "legacy_live_0123456789abcdefghij"
#define OTHER_KEY "legacy_live_ABCDEFGHIJ0123456789"

/* A library on one of the stores. */
struct place {
    struct test *t;
    struct library library;
    bool in_memory;
    struct kw_bytes project; /* of imports and verifications; empty: "default" */
};

int64_t place_now(void *context); /* struct library */
bool place_open(struct test *t, struct place *place, bool in_memory);
void place_end(struct place *place);
/* Runs it on a memory store, then on a folder. */
void on_both(struct test *t, void (*run)(struct place *place));

enum kw_code verify(struct place *place, const char *key);
/* The digest of `before`, key and `after` in hexadecimal. */
const char *hash_of(enum kw_digest_scheme scheme, const char *before, const char *key, const char *after,
                    char hex[2 * KW_DIGEST_MAX + 1]);
uint64_t keys_in(struct place *place);
bool find(struct place *place, const char *key, struct kw_held_record *held);
/* Revokes, and erases where that is wanted. */
void end_key(struct place *place, const char *key, bool erases);

/* A sink that writes "1 created|2 refused INVALID_FIELD ownerId|" into a struct kw_buffer. */
void note(void *context, const struct kw_import_line *line);
void import_and_check(struct place *place, int line, const char *text, const char *expected,
                      struct kw_import_options options);

/* Formats into `text`, an array, and gives it. */
#define FORM(text, ...) ((void)snprintf((text), sizeof(text), __VA_ARGS__), (const char *)(text))

#define IMPORT(place, text, expected) IMPORT_AS((place), (text), (expected), .dry_run = false)
#define IMPORT_AS(place, text, expected, ...) \
    import_and_check((place), __LINE__, (text), (expected), (struct kw_import_options){__VA_ARGS__})

#endif
