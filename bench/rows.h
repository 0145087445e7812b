/*
 * Typical keys, made from a number, always the same: what the benches fill stores and indexes with.
 */
#ifndef KW_BENCH_ROWS_H
#define KW_BENCH_ROWS_H

#include "core/digest.h"
#include "core/record.h"
#include <keyward/store.h>

#define BENCH_KEY_SIZE 46 /* sk_live_, 32 characters, checksum */
#define BENCH_NOW_MS INT64_C(1767225600000)
#define BENCH_ROW_SIZE 768

/* A row and the memory that it borrows from. */
struct bench_row {
    struct kw_store_row row;
    struct kw_digest digest;
    uint8_t encoding[BENCH_ROW_SIZE];
    uint8_t packed[256];
    uint8_t limits[128];
    uint8_t quotas[192];
    char owner[32];
    char name[32];
};

void bench_key_text(uint64_t number, uint8_t out[BENCH_KEY_SIZE]);

enum bench_mix {
    BENCH_PLAIN,   /* an owner with two other keys, a name, three scopes, one tag */
    BENCH_LIMITED, /* beside that two rate limits, which are never reached */
    /* Beside what a plain one has that two ranges of addresses, a list of regions, three scopes on a resource, a
       parent, a policy. */
    BENCH_RULED,
};
#define BENCH_POLICY "partners" /* that all keys of a ruled mix stand under */
#define BENCH_FAMILY 100        /* of a ruled mix each hundredth key is the parent of the 99 after it */

/* Key `number`. Its id ascends with the number. */
void bench_row_make(const struct kw_digester *digester, uint64_t number, enum bench_mix mix, struct bench_row *row_out);

/* The number that an id of such a row was made from. */
uint64_t bench_row_number(const struct kw_id *id);

/* For stores that are made up: use is added, deferred and forgotten, and nothing of it is kept. */
enum kw_status bench_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                               const struct kw_store_use *uses, size_t use_count);
enum kw_status bench_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                 uint64_t *waiting_out);
enum kw_status bench_usage_deferred(struct kw_store *store, uint32_t part, size_t limit, kw_store_deferred_sink *sink,
                                    void *context);
enum kw_status bench_usage_forget(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *count_out);
/* Nor anything that is told of. */
enum kw_status bench_nothing_told(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *removed_out);
/* And nothing is ever due. */
enum kw_status bench_nothing_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                                 void *context);

#endif
