/*
 * Verifying in the process, held against the bare work: the same digest, then a read of the same index and record, and
 * nothing else. Both run in turn over the same keys in the same process; what counts is their ratio. The keys come from
 * a store that makes its rows up as they are asked for, so that ten million of them need no disk.
 */
#include "base/bytes.h"
#include "core/digest.h"
#include "core/id.h"
#include "core/key.h"
#include "core/record.h"
#include "engine/engine.h"
#include "engine/index.h"
#include "engine/library.h"
#include "measure.h"
#include "rows.h"
#include <keyward/keyward.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 9
#define SAMPLE ((size_t)400000) /* keys drawn for a round */

static const uint8_t pepper_bytes[KW_PEPPER_SIZE] = "a pepper for benches, no secret";

/* --- a store that makes its rows up --- */

struct made_up {
    struct kw_store store;
    struct kw_digester *digester;
    uint64_t row_count;
    enum bench_mix mix;
};

static enum kw_status made_up_list(struct kw_store *store, const struct kw_store_filter *filter,
                                   kw_store_row_sink *sink, void *context)
{
    struct made_up *self = (struct made_up *)store;
    uint64_t first = kw_id_is_none(&filter->after.id) ? 0 : bench_row_number(&filter->after.id) + 1;
    enum kw_status status = KW_OK;
    for (uint64_t at = first; status == KW_OK && at < self->row_count && at < first + filter->limit; at++) {
        struct bench_row row;
        bench_row_make(self->digester, at, self->mix, &row);
        status = sink(context, &row.row);
    }
    return status;
}

static enum kw_status made_up_find(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                   void *context)
{
    (void)store, (void)digest, (void)sink, (void)context;
    return KW_E_NOT_FOUND;
}

static enum kw_status made_up_tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                         kw_store_row_sink *sink, void *context)
{
    (void)store, (void)after, (void)limit, (void)sink, (void)context;
    return KW_OK;
}

static enum kw_status made_up_setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size,
                                      size_t *size_out)
{
    (void)store, (void)name, (void)value, (void)size, (void)size_out;
    return KW_E_NOT_FOUND;
}

static enum kw_status made_up_settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                            void *context)
{
    struct kw_store_setting policy = {
        .name = KW_BYTES("policy/default/" BENCH_POLICY),
        .value = KW_BYTES("{\"name\":\"" BENCH_POLICY "\",\"scopes\":[\"invoices:*\",\"read\",\"reports:*\"],"
                          "\"resources\":{\"website:*\":[\"publish\",\"read\",\"write\"]},\"maxTtl\":\"20y\","
                          "\"requireIP\":true,\"maxResources\":5,\"environments\":[\"live\"]}")};
    bool has_policy = ((struct made_up *)store)->mix == BENCH_RULED;
    return has_policy && kw_bytes_equal(prefix, KW_BYTES("policy/")) ? sink(context, &policy) : KW_OK;
}

static enum kw_status made_up_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    (void)store;
    for (size_t i = 0; i < batch_count; i++) {
        batches[i].outcome = KW_OK;
        for (size_t j = 0; j < batches[i].reservation_count; j++) { /* each account asks once a period, or so */
            struct kw_store_reservation *reservation = &batches[i].reservations[j];
            reservation->granted = reservation->taken = reservation->amount;
        }
    }
    return KW_OK;
}

static enum kw_status made_up_reservations(struct kw_store *store, const struct kw_id *lineage_id, struct kw_bytes name,
                                           int64_t from_ms, kw_store_reservation_sink *sink, void *context)
{
    (void)store, (void)lineage_id, (void)name, (void)from_ms, (void)sink, (void)context;
    return KW_OK;
}

static enum kw_status made_up_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    (void)store, (void)before_ms, (void)limit;
    *removed_out = 0;
    return KW_OK;
}

static enum kw_status made_up_audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                          kw_store_audit_sink *sink, void *context)
{
    (void)store, (void)filter, (void)sink, (void)context;
    return KW_OK;
}

static void made_up_close(struct kw_store *store)
{
    kw_digester_free(((struct made_up *)store)->digester);
}

static const struct kw_store_ops made_up_ops = {
    .version = KW_STORE_VERSION,
    .name = "made-up",
    .list = made_up_list,
    .find_by_digest = made_up_find,
    .tombstones = made_up_tombstones,
    .due = bench_nothing_due,
    .setting = made_up_setting,
    .settings_list = made_up_settings_list,
    .commit = made_up_commit,
    .audit_query = made_up_audit_query,
    .events_prune = bench_nothing_told,
    .usage_add = bench_usage_add,
    .usage_defer = bench_usage_defer,
    .usage_deferred = bench_usage_deferred,
    .usage_roll = bench_usage_forget,
    .usage_prune = bench_usage_forget,
    .reservations_read = made_up_reservations,
    .reservations_prune = made_up_prune,
    .request_prune = made_up_prune,
    .close = made_up_close,
};

/* --- the two loops that are compared --- */

struct sample {
    struct keyward *keyward;
    const struct kw_digester *digester;
    const struct kw_index *index;
    uint8_t (*keys)[64]; /* a cache line each */
    size_t count;
    enum bench_mix mix;
};

/*
 * Each step depends on the one before, in both loops: the digest on the key, the place in the index on the digest, the
 * record on the place, and the next key on what came out (its high bit, which is never set). So neither hides its
 * waiting for memory behind the next key's digest, and a caller does not either.
 */
static const uint8_t *next_key(const struct sample *sample, size_t at, uint64_t result)
{
    return sample->keys[at + (result >> 63)];
}

static uint64_t bare_work(const struct sample *sample, size_t from, size_t until)
{
    uint64_t seen = 0;
    for (size_t i = from; i < until; i++) {
        struct kw_digest digest;
        kw_index_read_begin();
        kw_digest_key(sample->digester, kw_bytes_of(next_key(sample, i, seen), BENCH_KEY_SIZE), &digest);
        const struct kw_entry *entry = kw_index_find(sample->index, &digest);
        if (entry != NULL) {
            const uint8_t *bytes = (const uint8_t *)entry;
            for (size_t at = 0; at < kw_entry_size(0, entry->record_size); at += 64) {
                seen += bytes[at];
            }
        }
        kw_index_read_end();
    }
    return seen;
}

/* Every check on: an environment, two scopes (one by wildcard), a resource; with rules, an address and a country too.
 */
static void ask(struct kw_verify_request *request, enum bench_mix mix, struct kw_bytes key)
{
    static const struct kw_bytes scopes[] = {{(const uint8_t *)"read", 4}, {(const uint8_t *)"reports:daily", 13}};
    static const struct kw_bytes on_resource[] = {{(const uint8_t *)"read", 4}};
    *request = (struct kw_verify_request){.key = key,
                                          .env = KW_BYTES("live"),
                                          .scopes = scopes,
                                          .scope_count = 2,
                                          .resource = KW_BYTES("website:123"),
                                          .resource_scopes = on_resource,
                                          .resource_scope_count = 1};
    if (mix == BENCH_RULED) {
        request->ip = KW_BYTES("10.11.12.13");
        request->country = KW_BYTES("US");
    }
}

static uint64_t verify_each(const struct sample *sample, size_t from, size_t until)
{
    uint64_t valid = 0;
    struct kw_verify_request request;
    ask(&request, sample->mix, (struct kw_bytes){NULL, 0});
    for (size_t i = from; i < until; i++) {
        struct kw_verdict verdict;
        request.key = kw_bytes_of(next_key(sample, i, valid), BENCH_KEY_SIZE);
        valid += kw_verify(sample->keyward, &request, &verdict) == KW_OK && verdict.code == KW_CODE_NONE;
    }
    return valid;
}

#define TOGETHER 64

static uint64_t verify_together(const struct sample *sample, size_t from, size_t until)
{
    uint64_t valid = 0;
    struct kw_verify_request requests[TOGETHER];
    struct kw_verdict verdicts[TOGETHER];
    enum kw_status statuses[TOGETHER];
    for (size_t i = 0; i < TOGETHER; i++) {
        ask(&requests[i], sample->mix, (struct kw_bytes){NULL, 0});
    }
    for (size_t at = from; at < until; at += TOGETHER) {
        size_t count = until - at < TOGETHER ? until - at : TOGETHER;
        for (size_t i = 0; i < count; i++) {
            requests[i].key = kw_bytes_of(next_key(sample, at + i, valid), BENCH_KEY_SIZE);
        }
        if (kw_verify_many(sample->keyward, requests, count, statuses, verdicts) != KW_OK) {
            abort();
        }
        for (size_t i = 0; i < count; i++) {
            valid += verdicts[i].code == KW_CODE_NONE;
        }
    }
    return valid;
}

typedef uint64_t work_function(const struct sample *sample, size_t from, size_t until);

static double time_of(work_function *work, const struct sample *sample)
{
    double began = bench_thread_ns();
    uint64_t result = work(sample, 0, sample->count);
    double took = bench_thread_ns() - began;
    if (work != bare_work && result != sample->count) {
        fprintf(stderr, "bench verify: %zu keys asked, %llu valid\n", sample->count, (unsigned long long)result);
        abort();
    }
    __asm__ volatile("" : : "r"(result));
    return took / (double)sample->count;
}

struct share {
    const struct sample *sample;
    size_t from, until;
};

static void *verify_share(void *context)
{
    const struct share *share = context;
    verify_each(share->sample, share->from, share->until);
    return NULL;
}

/* Elapsed nanoseconds a key, the sample divided among threads. */
static double time_of_threads(const struct sample *sample, size_t thread_count)
{
    struct share shares[2];
    pthread_t threads[2];
    double began = bench_now_ns();
    for (size_t i = 0; i < thread_count; i++) {
        shares[i] = (struct share){sample, sample->count * i / thread_count, sample->count * (i + 1) / thread_count};
        if (pthread_create(&threads[i], NULL, verify_share, &shares[i]) != 0) {
            abort();
        }
    }
    for (size_t i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    return (bench_now_ns() - began) / (double)sample->count;
}

/* Two threads that both ask for the one key, against one that does. */
static double hot_key_ratio(const struct sample *sample)
{
    double ratios[ROUNDS];
    struct sample hot = *sample;
    hot.keys = aligned_alloc(64, sample->count * sizeof *hot.keys);
    for (size_t i = 0; i < hot.count; i++) {
        memcpy(hot.keys[i], sample->keys[0], sizeof hot.keys[i]);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        ratios[round] = time_of_threads(&hot, 1) / time_of_threads(&hot, 2);
    }
    free(hot.keys);
    return bench_median(ratios, ROUNDS);
}

static double ledger_bytes(const struct sample *sample)
{
    struct kw_engine_stats stats;
    kw_engine_stats(sample->keyward->engine, &stats);
    return (double)stats.ledger_bytes;
}

/* The first use of a key makes the place where what it spends is kept. */
static void use_all(struct sample *sample, uint64_t row_count)
{
    for (uint64_t number = 0; number < row_count; number += sample->count) {
        for (size_t i = 0; i < sample->count; i++) {
            bench_key_text((number + i) % row_count, sample->keys[i]);
        }
        verify_each(sample, 0, sample->count);
    }
}

/* From here on the kernel kills this process at every system call but exit. */
static bool forbid_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {KW_COUNT_OF(filter), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool makes_no_system_call(const struct sample *sample)
{
    size_t count = sample->count / 10;
    verify_each(sample, 0, 64); /* a thread's first verification registers it */
    pid_t child = fork();
    if (child == 0) {
        if (!forbid_system_calls()) {
            _exit(2);
        }
        _exit(verify_each(sample, 0, count) + verify_together(sample, 0, count) == 2 * count ? 0 : 3);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void draw(struct sample *sample, uint64_t row_count, uint64_t *state)
{
    for (size_t i = 0; i < sample->count; i++) {
        uint64_t number = bench_random(state) % row_count;
        bool is_parent = sample->mix == BENCH_RULED && number % BENCH_FAMILY == 0;
        bench_key_text(is_parent ? number + 1 : number, sample->keys[i]);
    }
}

/* A draw of its own for each: none finds its keys in the cache because another has just asked for them. */
static double time_of_draw(work_function *work, struct sample *sample, uint64_t row_count, uint64_t *state)
{
    draw(sample, row_count, state);
    return time_of(work, sample);
}

static void compare_rounds(struct bench *bench, struct sample *sample, uint64_t row_count, const char *label)
{
    double verify_ratio[ROUNDS], many_ratio[ROUNDS], thread_ratio[ROUNDS], bare[ROUNDS], single[ROUNDS], many[ROUNDS];
    uint64_t state = row_count;
    for (size_t round = 0; round < ROUNDS; round++) {
        bare[round] = time_of_draw(bare_work, sample, row_count, &state);
        single[round] = time_of_draw(verify_each, sample, row_count, &state);
        many[round] = time_of_draw(verify_together, sample, row_count, &state);
        thread_ratio[round] = time_of_threads(sample, 1) / time_of_threads(sample, 2);
        verify_ratio[round] = single[round] / bare[round];
        many_ratio[round] = single[round] / many[round];
    }
    char name[128];
    snprintf(name, sizeof name, "%s: bare work", label);
    bench_figure(bench, name, bench_median(bare, ROUNDS), "ns");
    snprintf(name, sizeof name, "%s: verify", label);
    bench_figure(bench, name, bench_median(single, ROUNDS), "ns");
    snprintf(name, sizeof name, "%s: verify, many at once", label);
    bench_figure(bench, name, bench_median(many, ROUNDS), "ns");
    snprintf(name, sizeof name, "%s: verify against the bare work", label);
    bench_budget(bench, name, bench_median(verify_ratio, ROUNDS), "times", BENCH_AT_MOST,
                 sample->mix == BENCH_LIMITED ? 1.5 : 1.3);
    snprintf(name, sizeof name, "%s: rate of many at once against one by one", label);
    bench_budget(bench, name, bench_median(many_ratio, ROUNDS), "times", BENCH_AT_LEAST, 2);
    snprintf(name, sizeof name, "%s: rate of two threads against one", label);
    bench_budget(bench, name, bench_median(thread_ratio, ROUNDS), "times", BENCH_AT_LEAST, 1.8);
}

static void run_with(struct bench *bench, uint64_t row_count, enum bench_mix mix, const char *label)
{
    struct kw_secret pepper KW_WIPED = {0};
    struct made_up store = {.store = {&made_up_ops}, .row_count = row_count, .mix = mix};
    if (kw_secret_set(&pepper, kw_bytes_of(pepper_bytes, sizeof pepper_bytes)) != KW_OK ||
        kw_digester_new(KW_DIGEST_HMAC_SHA256, &pepper, (struct kw_bytes){NULL, 0}, &store.digester) != KW_OK) {
        abort();
    }
    double resident_before = bench_resident_bytes();
    struct sample sample = {.digester = store.digester, .count = SAMPLE, .mix = mix};
    struct kw_error error;
    if (kw_open(&(struct kw_options){.store_take = &store.store, .pepper = pepper_bytes}, &sample.keyward, &error) !=
        KW_OK) {
        fprintf(stderr, "bench verify: %s\n", error.message);
        exit(2);
    }
    bench_progress("filling the index with %s", label);
    kw_wait_filled(sample.keyward);
    double resident = bench_resident_bytes() - resident_before;
    sample.index = kw_engine_index(sample.keyward->engine);
    sample.keys = aligned_alloc(64, SAMPLE * sizeof *sample.keys);
    char name[128];
    snprintf(name, sizeof name, "%s: resident memory a key", label);
    if (mix == BENCH_PLAIN) {
        bench_budget(bench, name, resident / (double)row_count, "bytes", BENCH_AT_MOST, 300);
    } else {
        bench_figure(bench, name, resident / (double)row_count, "bytes");
    }
    if (mix == BENCH_LIMITED) {
        use_all(&sample, row_count);
        snprintf(name, sizeof name, "%s: memory a limit or quota in use", label);
        bench_budget(bench, name, ledger_bytes(&sample) / (double)row_count / 3, "bytes", BENCH_AT_MOST, 300);
        snprintf(name, sizeof name, "%s: memory of all of them", label);
        bench_figure(bench, name, ledger_bytes(&sample) / 1048576, "MiB");
        snprintf(name, sizeof name, "%s: rate of two threads against one, on one key", label);
        bench_budget(bench, name, hot_key_ratio(&sample), "times", BENCH_AT_LEAST, 1);
    }
    bench_progress("verifying keys drawn from %s", label);
    compare_rounds(bench, &sample, row_count, label);
    uint64_t allocations = bench_allocations();
    uint64_t locks = bench_locks();
    verify_each(&sample, 0, sample.count);
    verify_together(&sample, 0, sample.count);
    snprintf(name, sizeof name, "%s: allocations in %zu verifications", label, 2 * sample.count);
    bench_budget(bench, name, (double)(bench_allocations() - allocations), "calls", BENCH_AT_MOST, 0);
    snprintf(name, sizeof name, "%s: locks taken in %zu verifications", label, 2 * sample.count);
    bench_budget(bench, name, (double)(bench_locks() - locks), "calls", BENCH_AT_MOST, 0);
    snprintf(name, sizeof name, "%s: system calls made", label);
    bench_budget(bench, name, makes_no_system_call(&sample) ? 0 : 1, "calls", BENCH_AT_MOST, 0);
    free(sample.keys);
    kw_close(sample.keyward);
}

/* What stands behind an option; NULL where it is not given. */
static const char *value_of(int argc, char **argv, const char *option)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], option) == 0) {
            return argv[i + 1];
        }
    }
    return NULL;
}

/* With --mix plain|limited|ruled one of the mixes, with --keys N so many keys: for whoever looks for where the time
 * goes. */
int main(int argc, char **argv)
{
    static const struct {
        const char *name, *label;
    } mixes[] = {[BENCH_PLAIN] = {"plain", "keys"},
                 [BENCH_LIMITED] = {"limited", "keys with two rate limits and a quota"},
                 [BENCH_RULED] = {"ruled", "keys with rules, a policy and a parent"}};
    const char *mix = value_of(argc, argv, "--mix");
    const char *keys = value_of(argc, argv, "--keys");
    struct bench bench;
    bench_init(&bench, "verify");
    for (size_t i = 0; i < KW_COUNT_OF(mixes); i++) {
        char label[64];
        if (mix != NULL && strcmp(mix, mixes[i].name) != 0) {
            continue;
        }
        if (keys != NULL) {
            snprintf(label, sizeof label, "%.10s %s", keys, mixes[i].label);
            run_with(&bench, strtoull(keys, NULL, 10), (enum bench_mix)i, label);
            continue;
        }
        for (uint64_t millions = 1; millions <= 10; millions += 9) {
            if (millions > 1 && i == BENCH_LIMITED) {
                continue; /* their limits in use would take 6 GB */
            }
            snprintf(label, sizeof label, "%llu million %s", (unsigned long long)millions, mixes[i].label);
            run_with(&bench, millions * 1000000, (enum bench_mix)i, label);
        }
    }
    return bench_end(&bench);
}
