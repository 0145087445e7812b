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
#define BENCH_ROW_SIZE 512

/* A row and the memory that it borrows from. */
struct bench_row {
    struct kw_store_row row;
    struct kw_digest digest;
    uint8_t encoding[BENCH_ROW_SIZE];
    uint8_t packed[128];
    char owner[32];
    char name[32];
};

void bench_key_text(uint64_t number, uint8_t out[BENCH_KEY_SIZE]);

/* Key `number`: an owner with two other keys, a name, three scopes, one tag. Its id ascends with the number. */
void bench_row_make(const struct kw_digester *digester, uint64_t number, struct bench_row *row_out);

/* The number that an id of such a row was made from. */
uint64_t bench_row_number(const struct kw_id *id);

#endif
