/*
 * Durable creations: 64 callers against one caller who commits one key at a time, on a real disk. Then the process is
 * killed under load, and every key that it had acknowledged is looked for.
 */
#include "base/bytes.h"
#include "measure.h"
#include <keyward/keyward.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLERS 64
#define ROUNDS 5
#define ROUND_NS 1.5e9
#define KILL_AFTER 20000 /* acknowledged keys */

struct caller {
    struct keyward *keyward;
    double until_ns;
    uint64_t created;
    int report_fd; /* ids go here as they are acknowledged; -1: nowhere */
};

static void *create_until(void *context)
{
    struct caller *caller = context;
    struct kw_bytes scopes[] = {KW_BYTES("invoices:read"), KW_BYTES("read"), KW_BYTES("reports:*")};
    struct kw_bytes tag = KW_BYTES("production");
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_NAME | KW_GIVEN_SCOPES | KW_GIVEN_TAGS,
                                   .owner = KW_BYTES("user:42"),
                                   .name = KW_BYTES("Billing server"),
                                   .scopes = scopes,
                                   .scope_count = KW_COUNT_OF(scopes),
                                   .tags = &tag,
                                   .tag_count = 1};
    while (bench_now_ns() < caller->until_ns) {
        struct kw_new_key made;
        struct kw_error error;
        if (kw_create(caller->keyward, &(struct kw_change_request){.params = &params}, &made, &error) != KW_OK) {
            fprintf(stderr, "bench create: %s\n", error.message);
            exit(2);
        }
        if (caller->report_fd >= 0 &&
            write(caller->report_fd, &made.held.record.id, sizeof made.held.record.id) != sizeof made.held.record.id) {
            exit(2);
        }
        kw_new_key_clear(&made);
        caller->created++;
    }
    return NULL;
}

/* Creations a second. */
static double rate_of(struct keyward *keyward, size_t caller_count, double duration_ns, int report_fd)
{
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    double began = bench_now_ns();
    uint64_t created = 0;
    for (size_t i = 0; i < caller_count; i++) {
        callers[i] = (struct caller){keyward, began + duration_ns, 0, report_fd};
        if (pthread_create(&threads[i], NULL, create_until, &callers[i]) != 0) {
            exit(2);
        }
    }
    for (size_t i = 0; i < caller_count; i++) {
        pthread_join(threads[i], NULL);
        created += callers[i].created;
    }
    return (double)created / (bench_now_ns() - began) * 1e9;
}

static struct keyward *open_or_exit(const char *folder)
{
    struct keyward *keyward;
    struct kw_error error;
    if (kw_open(&(struct kw_options){.data = folder}, &keyward, &error) != KW_OK) {
        fprintf(stderr, "bench create: %s\n", error.message);
        exit(2);
    }
    return keyward;
}

static void compare_rates(struct bench *bench, const char *folder)
{
    struct keyward *keyward = open_or_exit(folder);
    double one[ROUNDS];
    double many[ROUNDS];
    double ratio[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        bench_progress("round %zu of %d", i + 1, ROUNDS);
        one[i] = rate_of(keyward, 1, ROUND_NS, -1);
        many[i] = rate_of(keyward, CALLERS, ROUND_NS, -1);
        ratio[i] = many[i] / one[i];
    }
    kw_close(keyward);
    bench_figure(bench, "one caller, one commit each", bench_median(one, ROUNDS), "1/s");
    bench_figure(bench, "64 callers", bench_median(many, ROUNDS), "1/s");
    bench_budget(bench, "64 callers against one", bench_median(ratio, ROUNDS), "times", BENCH_AT_LEAST, 5);
}

/* How many of the acknowledged keys are gone after the process that made them was killed. */
static void count_lost(struct bench *bench, const char *folder)
{
    int ends[2];
    if (pipe(ends) != 0) {
        exit(2);
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        (void)rate_of(open_or_exit(folder), CALLERS, 600e9, ends[1]);
        _exit(2);
    }
    (void)close(ends[1]);
    struct kw_id *ids = calloc(KILL_AFTER + 65536, sizeof *ids);
    size_t count = 0;
    while (count < KILL_AFTER && read(ends[0], &ids[count], sizeof *ids) == (ssize_t)sizeof *ids) {
        count++;
    }
    (void)kill(child, SIGKILL);
    /* What was acknowledged and is still in the pipe counts as well. */
    while (count < KILL_AFTER + 65536 && read(ends[0], &ids[count], sizeof *ids) == (ssize_t)sizeof *ids) {
        count++;
    }
    (void)waitpid(child, NULL, 0);
    (void)close(ends[0]);
    struct keyward *keyward = open_or_exit(folder);
    size_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        struct kw_held_record held = {0};
        lost += kw_get(keyward, kw_text(NULL), &ids[i], &held, NULL) != KW_OK;
        kw_held_record_clear(&held);
    }
    kw_close(keyward);
    free(ids);
    bench_figure(bench, "keys acknowledged before kill -9", (double)count, "keys");
    bench_budget(bench, "of these lost", (double)lost, "keys", BENCH_AT_MOST, 0);
}

int main(void)
{
    struct bench bench;
    char folder[BENCH_FOLDER_SIZE];
    bench_init(&bench, "create");
    bench_folder_make(&bench, folder);
    count_lost(&bench, folder);
    compare_rates(&bench, folder);
    bench_folder_remove(folder);
    return bench_end(&bench);
}
