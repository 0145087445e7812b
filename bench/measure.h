/*
 * What the benches share: time, medians, and one way to print a figure. A figure with a limit is a budget; the
 * program's exit code says whether all of them are kept.
 */
#ifndef KW_BENCH_MEASURE_H
#define KW_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bench {
    const char *name;
    bool missed; /* a budget */
};

enum bench_direction { BENCH_AT_MOST, BENCH_AT_LEAST };

void bench_init(struct bench *bench, const char *name);
/* A figure without a budget. */
void bench_figure(struct bench *bench, const char *name, double value, const char *unit);
/* A figure that must keep to a limit. */
void bench_budget(struct bench *bench, const char *name, double value, const char *unit, enum bench_direction direction,
                  double limit);
/* A line for people, on standard error, so that long work shows where it is. */
#define bench_progress(...) ((void)fprintf(stderr, "  … " __VA_ARGS__), (void)fputc('\n', stderr))
int bench_end(const struct bench *bench);

#define BENCH_FOLDER_SIZE 4096
/* An empty folder in the build's, which lies on a disk, where the system's folder for such things may be memory. Exits
 * with 2 where it cannot be made. */
void bench_folder_make(const struct bench *bench, char folder[BENCH_FOLDER_SIZE]);
/* With all that is in it. */
void bench_folder_remove(const char *folder);

double bench_now_ns(void);
/* CPU time of the calling thread: what others do on the machine at the time counts less. */
double bench_thread_ns(void);
/* Sorts `values`. */
double bench_median(double *values, size_t count);
/* splitmix64 over `state`. */
uint64_t bench_random(uint64_t *state);
/* Resident memory of this process, in bytes. */
double bench_resident_bytes(void);

/* Calls of the allocator and of pthread_mutex_lock by this thread, counted by wrappers in counters.c. */
uint64_t bench_allocations(void);
uint64_t bench_locks(void);

#endif
