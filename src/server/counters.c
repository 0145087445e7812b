#include "server/counters.h"

#include "base/bytes.h"
#include "server/router.h"

#include <sched.h>
#include <stdalign.h>

#define STRIPES 16 /* a power of two */
#define CLASSES 5  /* 1xx to 5xx */
#define LINE 64
#define SAMPLED 16 /* requests, of which one is timed; a power of two */

/* Upper ends of the buckets of durations. */
static const struct {
    uint64_t ns;
    const char *seconds;
} durations[] = {{5000, "0.000005"},  {10000, "0.00001"},  {25000, "0.000025"}, {50000, "0.00005"},  {100000, "0.0001"},
                 {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},
                 {10000000, "0.01"},  {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},  {1000000000, "1"}};
#define DURATIONS KW_COUNT_OF(durations)

struct stripe {
    alignas(LINE) uint64_t verified[KW_CODE_COUNT];
    uint64_t asked;               /* requests, for the sampling */
    uint64_t took[DURATIONS + 1]; /* the last: longer than all */
    uint64_t took_ns;
    alignas(LINE) uint64_t answered[KW_ROUTES_MAX + 1][CLASSES];
};

struct kw_counters {
    void *memory; /* what `stripes` was cut from */
    struct stripe *stripes;
};

enum kw_status kw_counters_new(struct kw_counters **counters_out)
{
    struct kw_counters *counters = kw_alloc(1, sizeof *counters);
    if (counters == NULL) {
        return KW_E_MEMORY;
    }
    counters->memory = kw_alloc(STRIPES + 1, sizeof(struct stripe));
    if (counters->memory == NULL) {
        kw_free(counters);
        return KW_E_MEMORY;
    }
    counters->stripes = (struct stripe *)(((uintptr_t)counters->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    *counters_out = counters;
    return KW_OK;
}

void kw_counters_free(struct kw_counters *counters)
{
    if (counters == NULL) {
        return;
    }
    kw_free(counters->memory);
    kw_free(counters);
}

static struct stripe *own_stripe(struct kw_counters *counters)
{
    return &counters->stripes[(unsigned)sched_getcpu() % STRIPES];
}

void kw_counters_verified(struct kw_counters *counters, enum kw_code code)
{
    __atomic_fetch_add(&own_stripe(counters)->verified[code], 1, __ATOMIC_RELAXED);
}

void kw_counters_answered(struct kw_counters *counters, unsigned route, unsigned http_status)
{
    unsigned class = http_status / 100 - 1;
    if (route <= KW_ROUTES_MAX && class < CLASSES) {
        __atomic_fetch_add(&own_stripe(counters)->answered[route][class], 1, __ATOMIC_RELAXED);
    }
}

bool kw_counters_samples(struct kw_counters *counters)
{
    return __atomic_fetch_add(&own_stripe(counters)->asked, 1, __ATOMIC_RELAXED) % SAMPLED == 0;
}

void kw_counters_took(struct kw_counters *counters, uint64_t duration_ns)
{
    struct stripe *stripe = own_stripe(counters);
    size_t bucket = 0;
    while (bucket < DURATIONS && duration_ns > durations[bucket].ns) {
        bucket++;
    }
    __atomic_fetch_add(&stripe->took[bucket], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&stripe->took_ns, duration_ns, __ATOMIC_RELAXED);
}

static void write_durations(const struct kw_counters *counters, struct kw_buffer *text)
{
    const char *name = "keyward_verification_duration_seconds";
    uint64_t count = 0, sum_ns = 0;
    kw_buffer_add_format(text, "# HELP %s How long requests for verdicts took, of one in %d.\n# TYPE %s histogram\n",
                         name, SAMPLED, name);
    for (size_t bucket = 0; bucket <= DURATIONS; bucket++) {
        for (size_t i = 0; i < STRIPES; i++) {
            count += __atomic_load_n(&counters->stripes[i].took[bucket], __ATOMIC_RELAXED);
        }
        kw_buffer_add_format(text, "%s_bucket{le=\"%s\"} %llu\n", name,
                             bucket == DURATIONS ? "+Inf" : durations[bucket].seconds, (unsigned long long)count);
    }
    for (size_t i = 0; i < STRIPES; i++) {
        sum_ns += __atomic_load_n(&counters->stripes[i].took_ns, __ATOMIC_RELAXED);
    }
    kw_buffer_add_format(text, "%s_sum %llu.%09llu\n%s_count %llu\n", name, (unsigned long long)(sum_ns / 1000000000),
                         (unsigned long long)(sum_ns % 1000000000), name, (unsigned long long)count);
}

static uint64_t verified_sum(const struct kw_counters *counters, unsigned code)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STRIPES; i++) {
        sum += __atomic_load_n(&counters->stripes[i].verified[code], __ATOMIC_RELAXED);
    }
    return sum;
}

static uint64_t answered_sum(const struct kw_counters *counters, unsigned route, unsigned class)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STRIPES; i++) {
        sum += __atomic_load_n(&counters->stripes[i].answered[route][class], __ATOMIC_RELAXED);
    }
    return sum;
}

static void write_verified(const struct kw_counters *counters, struct kw_buffer *text, enum kw_code code)
{
    kw_buffer_add_format(text, "keyward_verifications_total{code=\"%s\"} %llu\n", kw_code_info(code)->name,
                         (unsigned long long)verified_sum(counters, code));
}

static void write_answered(const struct kw_counters *counters, struct kw_buffer *text, unsigned route)
{
    const char *name = route < kw__route_count ? kw__route_names[route] : "none";
    for (unsigned class = 0; class < CLASSES; class ++) {
        uint64_t sum = answered_sum(counters, route, class);
        if (sum > 0) {
            kw_buffer_add_format(text, "keyward_requests_total{route=\"%s\",class=\"%uxx\"} %llu\n", name, class + 1,
                                 (unsigned long long)sum);
        }
    }
}

void kw_counters_write(const struct kw_counters *counters, struct kw_buffer *text)
{
    kw_buffer_add_text(text, "# HELP keyward_verifications_total Decisions on keys, by their code.\n"
                             "# TYPE keyward_verifications_total counter\n");
    write_verified(counters, text, KW_CODE_NONE);
#define X(name, http, meaning, advice) write_verified(counters, text, KW_CODE_##name);
    KW_VERDICT_CODES(X)
#undef X
    kw_buffer_add_text(text, "# HELP keyward_requests_total Answered requests, by route and class of status.\n"
                             "# TYPE keyward_requests_total counter\n");
    for (unsigned route = 0; route < kw__route_count; route++) {
        write_answered(counters, text, route);
    }
    write_answered(counters, text, KW_ROUTES_MAX);
    write_durations(counters, text);
}
