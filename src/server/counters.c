#include "server/counters.h"

#include "server/router.h"

#include <sched.h>
#include <stdalign.h>

#define STRIPES 16 /* a power of two */
#define CLASSES 5  /* 1xx to 5xx */
#define LINE 64

struct stripe {
    alignas(LINE) uint64_t verified[KW_CODE_COUNT];
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
}
