/*
 * Exporting a million keys out of SQLite as NDJSON, through the library: keys a second, and how much memory it takes
 * beyond what the process has anyway.
 */
#include "base/bytes.h"
#include "measure.h"
#include "rows.h"
#include <keyward/keyward.h>

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEYS 1000000
#define TOGETHER 1000
#define ROUNDS 5
#define LOOK_EVERY 64 /* pieces */
#define TAIL_SIZE 64

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench export: %s: %s\n", what, why);
    exit(2);
}

static const uint8_t pepper_bytes[KW_PEPPER_SIZE] = {1, 2, 3};

static void load(struct kw_store *store)
{
    static struct bench_row rows[TOGETHER];
    static struct kw_store_put puts[TOGETHER];
    struct kw_digester *digester;
    struct kw_secret pepper KW_WIPED = {0};
    if (kw_secret_set(&pepper, kw_bytes_of(pepper_bytes, sizeof pepper_bytes)) != KW_OK ||
        kw_digester_new(KW_DIGEST_HMAC_SHA256, &pepper, (struct kw_bytes){NULL, 0}, &digester) != KW_OK) {
        fail("digests", "no memory");
    }
    for (uint64_t first = 0; first < KEYS; first += TOGETHER) {
        for (size_t i = 0; i < TOGETHER; i++) {
            bench_row_make(digester, first + i, BENCH_PLAIN, &rows[i]);
            puts[i] = (struct kw_store_put){.row = rows[i].row};
        }
        struct kw_store_batch batch = {.puts = puts, .put_count = TOGETHER};
        if (store->ops->commit(store, &batch, 1) != KW_OK || batch.outcome != KW_OK) {
            fail("loading", kw_status_name(batch.outcome));
        }
    }
    bench_progress("%d keys written", KEYS);
    kw_digester_free(digester);
}

/* What an export came to. */
struct taken {
    double bytes;
    uint64_t pieces;
    double resident_max;
    char tail[TAIL_SIZE + 1];
};

static enum kw_status take(void *context, struct kw_bytes piece)
{
    struct taken *taken = context;
    taken->bytes += (double)piece.size;
    if (taken->pieces++ % LOOK_EVERY == 0) {
        double resident = bench_resident_bytes();
        taken->resident_max = resident > taken->resident_max ? resident : taken->resident_max;
    }
    size_t size = piece.size < TAIL_SIZE ? piece.size : TAIL_SIZE;
    memcpy(taken->tail, piece.data + piece.size - size, size);
    taken->tail[size] = '\0';
    return KW_OK;
}

static double process_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void export_all(struct keyward *keyward, const struct kw_export_request *request, struct taken *taken)
{
    static const char end[] = "{\"keyward\":\"end\",\"keys\":1000000}\n";
    struct kw_error error = {0};
    uint64_t count = 0;
    if (kw_export(keyward, request, take, taken, &count, &error) != KW_OK) {
        fail("exporting", error.message);
    }
    bool is_whole = count == KEYS && strlen(taken->tail) >= strlen(end) &&
                    strcmp(taken->tail + strlen(taken->tail) - strlen(end), end) == 0;
    if (!is_whole) {
        fail("exporting", "not all keys came");
    }
}

static void measure(struct bench *bench, struct keyward *keyward)
{
    const struct kw_export_request request = {.format = KW_EXPORT_NDJSON};
    double rates[ROUNDS];
    double cpu_us[ROUNDS];
    struct taken first = {0};
    double before = bench_resident_bytes();
    export_all(keyward, &request, &first);
    double resident_max = first.resident_max;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct taken taken = {0};
        double began = bench_now_ns();
        double cpu_began = process_ns();
        export_all(keyward, &request, &taken);
        rates[i] = KEYS / ((bench_now_ns() - began) / 1e9);
        cpu_us[i] = (process_ns() - cpu_began) / 1e3 / KEYS;
        resident_max = taken.resident_max > resident_max ? taken.resident_max : resident_max;
    }
    bench_figure(bench, "bytes of a key", first.bytes / KEYS, "bytes");
    bench_figure(bench, "CPU of a key", bench_median(cpu_us, ROUNDS), "us");
    bench_budget(bench, "keys exported", bench_median(rates, ROUNDS), "keys/s", BENCH_AT_LEAST, 200000);
    bench_budget(bench, "growth of memory in six exports", (resident_max - before) / 1048576, "MiB", BENCH_AT_MOST, 16);
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about, (void)type, (void)walk;
    return remove(path);
}

int main(void)
{
    struct bench bench;
    struct kw_store *store;
    struct keyward *keyward;
    struct kw_error error;
    char folder[4096];
    char path[4200];
    const char *build = getenv("KW_BUILD"); /* a disk, where the system's folder for such things may be memory */
    bench_init(&bench, "export");
    snprintf(folder, sizeof folder, "%s/bench-export-XXXXXX", build == NULL ? "." : build);
    if (mkdtemp(folder) == NULL) {
        fail(folder, strerror(errno));
    }
    snprintf(path, sizeof path, "%s/keyward.db", folder);
    if (kw_store_sqlite_open(path, &store, &error) != KW_OK) {
        fail(path, error.message);
    }
    load(store);
    struct kw_options options = {.store_take = store, .pepper = pepper_bytes};
    if (kw_open(&options, &keyward, &error) != KW_OK) {
        fail(path, error.message);
    }
    kw_wait_filled(keyward);
    measure(&bench, keyward);
    kw_close(keyward);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return bench_end(&bench);
}
