/*
 * Records for the core's tests: one typical, and random ones that may have any field that a record can have. Their
 * bytes lie in the arena that is handed in.
 */
#ifndef KW_TESTS_UNIT_CORE_RECORDS_H
#define KW_TESTS_UNIT_CORE_RECORDS_H

#include "base/memory.h"
#include "support/test.h"
#include <keyward/record.h>

#define RECORD_BORN_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

/* Owner user:42, three scopes, one tag: what memory and answers are reckoned by. */
struct kw_record record_typical(struct kw_arena *arena);
struct kw_record record_random(struct test *t, struct kw_arena *arena);

/* Random bytes of `alphabet`, in the arena, between size_min and size_max. */
struct kw_bytes random_text(struct test *t, struct kw_arena *arena, const char *alphabet, size_t size_min,
                            size_t size_max);
struct kw_id random_id(struct test *t);

/* Sorts, drops doubles and packs. */
struct kw_list list_of(struct kw_arena *arena, struct kw_bytes *items, size_t count);
/* Packs pairs of a resource and its scopes, in the order given. */
struct resource_of {
    struct kw_bytes resource;
    struct kw_list scopes;
};
struct kw_list resources_of(struct kw_arena *arena, const struct resource_of *resources, size_t count);

/* Checks every member, without the table that encoding and JSON share. */
void check_records_equal(struct test *t, const struct kw_record *actual, const struct kw_record *expected);

/*
 * Decodes from memory of exactly that size, so that a sanitizer sees every byte read beyond it. What is read must
 * encode to the same bytes again; on a failure nothing may be written.
 */
enum kw_status decode_exactly(struct test *t, const uint8_t *bytes, size_t size);

#endif
