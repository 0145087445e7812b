/*
 * An import of a million records, as Keyward exports them, into SQLite on a real disk: through the library, from text
 * in pieces of some megabytes, as a program would read a file. Memory is told beside what the index takes of it.
 */
#include "base/bytes.h"
#include "core/id.h"
#include "engine/internal.h"
#include "engine/library.h"
#include "measure.h"
#include "rows.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RECORDS_MAX 1000000
#define PIECE_MAX ((size_t)8 * 1024 * 1024)
#define RATE_MIN 50000
#define MEMORY_MAX 64 /* MiB beside the index: SQLite's caches, two chunks, one piece of text */

struct piece {
    char *text;
    size_t size;
};

/* A line of an export. The digest is made up: what matters is that it is spread like one. */
static size_t write_line(char *out, size_t room, uint64_t number)
{
    char id[KW_ID_TEXT_SIZE + 1] = {0};
    char digest[65];
    uint8_t random[KW_ID_RANDOM_SIZE];
    uint64_t state = number;
    struct kw_id made;
    for (size_t i = 0; i < 4; i++) {
        snprintf(digest + 16 * i, 17, "%016llx", (unsigned long long)bench_random(&state));
    }
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = i < 2 ? 0 : (uint8_t)(number >> (8 * (sizeof random - 1 - i)));
    }
    made = kw_id_make(BENCH_NOW_MS, random);
    kw_id_format(&made, id);
    return (size_t)snprintf(
        out, room,
        "{\"record\":{\"id\":\"%s\",\"projectId\":\"default\",\"env\":\"live\",\"prefix\":\"sk_live_\",\"lastFour\":"
        "\"%.4s\",\"isPublic\":false,\"status\":\"active\",\"enabled\":true,\"ownerId\":\"%llu\",\"owner\":"
        "\"user:%llu\",\"name\":\"Billing server\",\"tags\":[\"production\"],\"scopes\":[\"invoices:read\",\"read\","
        "\"reports:*\"],\"resources\":{},\"digest\":\"sha256\",\"createdAt\":\"2026-01-01T00:00:00.000Z\","
        "\"createdBy\":\"operator\",\"updatedAt\":\"2026-01-01T00:00:00.000Z\",\"version\":1},\"digest\":{\"scheme\":"
        "\"sha256\",\"value\":\"%s\"}}\n",
        id, digest, (unsigned long long)number / 10, (unsigned long long)number / 10, digest);
}

static uint64_t record_count = RECORDS_MAX;

static uint64_t fill_piece(struct piece *piece, uint64_t number)
{
    piece->size = 0;
    while (number < record_count && piece->size + 2048 < PIECE_MAX) {
        piece->size += write_line(piece->text + piece->size, PIECE_MAX - piece->size, number++);
    }
    return number;
}

static struct keyward *open_or_exit(const char *folder)
{
    struct keyward *keyward;
    struct kw_error error;
    if (kw_open(&(struct kw_options){.data = folder}, &keyward, &error) != KW_OK) {
        fprintf(stderr, "bench import: %s\n", error.message);
        exit(2);
    }
    kw_wait_filled(keyward);
    return keyward;
}

/* CPU time of the thread that commits: it bounds the rate where there is a core for each thread. */
static double writer_us(const struct keyward *keyward)
{
    clockid_t clock;
    struct timespec took = {0};
    if (pthread_getcpuclockid(keyward->engine->writer, &clock) == 0) {
        (void)clock_gettime(clock, &took);
    }
    return (double)took.tv_sec * 1e6 + (double)took.tv_nsec / 1e3;
}

static double import_all(struct keyward *keyward, struct piece *piece)
{
    double took_ns = 0;
    uint64_t number = 0;
    while (number < record_count) {
        struct kw_import_counts counts;
        struct kw_error error;
        uint64_t first = number;
        number = fill_piece(piece, number);
        struct kw_import_request request = {.text = kw_bytes_of(piece->text, piece->size)};
        double began = bench_now_ns();
        enum kw_status status = kw_import_many(keyward, &request, NULL, NULL, &counts, &error);
        took_ns += bench_now_ns() - began;
        if (status != KW_OK || counts.created != number - first) {
            fprintf(stderr, "bench import: %llu of %llu: %s\n", (unsigned long long)counts.created,
                    (unsigned long long)(number - first), status == KW_OK ? "refused" : error.message);
            exit(2);
        }
        if (number / 100000 != first / 100000) {
            bench_progress("%llu records, %.0f/s", (unsigned long long)number, (double)number / took_ns * 1e9);
        }
    }
    return (double)record_count / took_ns * 1e9;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about, (void)type, (void)walk;
    return remove(path);
}

int main(int argc, char **argv)
{
    struct bench bench;
    char folder[4096];
    record_count = argc > 1 ? strtoull(argv[1], NULL, 10) : RECORDS_MAX; /* fewer, to try it out */
    struct piece piece = {.text = calloc(1, PIECE_MAX)};
    const char *build = getenv("KW_BUILD"); /* a disk, where the system's folder for such things may be memory */
    bench_init(&bench, "import");
    snprintf(folder, sizeof folder, "%s/bench-import-XXXXXX", build == NULL ? "." : build);
    if (piece.text == NULL || mkdtemp(folder) == NULL) {
        fprintf(stderr, "bench import: cannot make %s: %s\n", folder, strerror(errno));
        exit(2);
    }
    struct keyward *keyward = open_or_exit(folder);
    double before = bench_resident_bytes();
    double rate = import_all(keyward, &piece);
    double grown = bench_resident_bytes() - before;
    double writer = writer_us(keyward) / (double)record_count;
    struct kw_engine_stats stats;
    kw_engine_stats(keyward->engine, &stats);
    double index = (double)stats.index_bytes;
    kw_close(keyward);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(piece.text);
    bench_budget(&bench, "a million records from NDJSON", rate, "1/s", BENCH_AT_LEAST, RATE_MIN);
    bench_figure(&bench, "CPU of the writer a record", writer, "us");
    bench_figure(&bench, "memory that it grew by", grown / 1048576, "MiB");
    bench_figure(&bench, "of it the index", index / 1048576, "MiB");
    bench_budget(&bench, "beside the index", (grown - index) / 1048576, "MiB", BENCH_AT_MOST, MEMORY_MAX);
    return bench_end(&bench);
}
