/*
 * load_keys FOLDER COUNT: a data folder with COUNT typical keys, written through the store's own contract. Prints every
 * hundred-thousandth key, for whoever wants to verify some.
 */
#include "base/bytes.h"
#include "measure.h"
#include "rows.h"
#include <keyward/keyward.h>

#include <stdio.h>
#include <stdlib.h>

#define TOGETHER 1000
#define PRINT_EVERY 100000

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "load_keys: %s: %s\n", what, why);
    exit(2);
}

/* Lets the library make the folder, then reads the pepper that belongs to it. */
static struct kw_digester *make_folder(const char *folder)
{
    struct keyward *keyward;
    struct kw_error error;
    if (kw_open(&(struct kw_options){.data = folder}, &keyward, &error) != KW_OK) {
        fail(folder, error.message);
    }
    kw_close(keyward);
    char path[4096];
    char hex[2 * KW_PEPPER_SIZE];
    uint8_t bytes[KW_PEPPER_SIZE];
    snprintf(path, sizeof path, "%s/pepper", folder);
    FILE *file = fopen(path, "r");
    if (file == NULL || fread(hex, 1, sizeof hex, file) != sizeof hex ||
        !kw_hex_decode(kw_bytes_of(hex, sizeof hex), bytes, sizeof bytes)) {
        fail(path, "no pepper");
    }
    fclose(file);
    struct kw_secret pepper KW_WIPED = {0};
    struct kw_digester *digester;
    if (kw_secret_set(&pepper, kw_bytes_of(bytes, sizeof bytes)) != KW_OK ||
        kw_digester_new(KW_DIGEST_HMAC_SHA256, &pepper, (struct kw_bytes){NULL, 0}, &digester) != KW_OK) {
        fail(path, "no memory");
    }
    return digester;
}

static void load(struct kw_store *store, const struct kw_digester *digester, uint64_t count)
{
    static struct bench_row rows[TOGETHER];
    static struct kw_store_put puts[TOGETHER];
    for (uint64_t first = 0; first < count; first += TOGETHER) {
        size_t together = count - first < TOGETHER ? count - first : TOGETHER;
        for (size_t i = 0; i < together; i++) {
            bench_row_make(digester, first + i, BENCH_PLAIN, &rows[i]);
            puts[i] = (struct kw_store_put){.row = rows[i].row};
        }
        struct kw_store_batch batch = {.puts = puts, .put_count = together};
        if (store->ops->commit(store, &batch, 1) != KW_OK || batch.outcome != KW_OK) {
            fail("commit", kw_status_name(batch.outcome));
        }
        if (first % PRINT_EVERY == 0) {
            uint8_t key[BENCH_KEY_SIZE];
            bench_key_text(first, key);
            printf("%.*s\n", BENCH_KEY_SIZE, (const char *)key);
        }
        if ((first + together) % 1000000 == 0) {
            bench_progress("%llu million keys written", (unsigned long long)((first + together) / 1000000));
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fail("usage", "load_keys FOLDER COUNT");
    }
    struct kw_digester *digester = make_folder(argv[1]);
    char path[4096];
    struct kw_store *store;
    struct kw_error error;
    snprintf(path, sizeof path, "%s/keyward.db", argv[1]);
    if (kw_store_sqlite_open(path, &store, &error) != KW_OK) {
        fail(path, error.message);
    }
    load(store, digester, strtoull(argv[2], NULL, 10));
    store->ops->close(store);
    kw_digester_free(digester);
    return 0;
}
