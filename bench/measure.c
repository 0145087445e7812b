#include "measure.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void bench_init(struct bench *bench, const char *name)
{
    *bench = (struct bench){.name = name};
    setvbuf(stdout, NULL, _IOLBF, 0);
}

void bench_figure(struct bench *bench, const char *name, double value, const char *unit)
{
    printf("{\"bench\":\"%s\",\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", bench->name, name, value, unit);
}

void bench_budget(struct bench *bench, const char *name, double value, const char *unit, enum bench_direction direction,
                  double limit)
{
    bool ok = direction == BENCH_AT_MOST ? value <= limit : value >= limit;
    bench->missed = bench->missed || !ok;
    printf("{\"bench\":\"%s\",\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"limit\":%.6g,\"ok\":%s}\n", bench->name,
           name, value, unit, limit, ok ? "true" : "false");
}

void bench_folder_make(const struct bench *bench, char folder[BENCH_FOLDER_SIZE])
{
    const char *build = getenv("KW_BUILD");
    snprintf(folder, BENCH_FOLDER_SIZE, "%s/bench-%s-XXXXXX", build == NULL ? "." : build, bench->name);
    if (mkdtemp(folder) == NULL) {
        fprintf(stderr, "bench %s: cannot make %s: %s\n", bench->name, folder, strerror(errno));
        exit(2);
    }
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about, (void)type, (void)walk;
    return remove(path);
}

void bench_folder_remove(const char *folder)
{
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int bench_end(const struct bench *bench)
{
    return bench->missed ? 1 : 0;
}

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double bench_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

uint64_t bench_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double bench_resident_bytes(void)
{
    char text[128] = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) {
        return 0;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char *resident = size == 0 ? NULL : strchr(text, ' '); /* the second number, in pages */
    return resident == NULL ? 0 : strtod(resident, NULL) * (double)sysconf(_SC_PAGESIZE);
}
