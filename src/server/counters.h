/*
 * What happened how often, for /metrics. Counters are laid out in stripes, one per processor as far as they go, so that
 * two loops do not fight over a cache line; a reading adds the stripes up.
 */
#ifndef KW_SERVER_COUNTERS_H
#define KW_SERVER_COUNTERS_H

#include "base/memory.h"
#include <keyward/codes.h>

struct kw_counters;

KW_MUST_USE enum kw_status kw_counters_new(struct kw_counters **counters_out);
void kw_counters_free(struct kw_counters *counters);

/* Any number of threads. */
void kw_counters_verified(struct kw_counters *counters, enum kw_code code);
/* `route` is its number, or KW_ROUTES_MAX where none matched. */
void kw_counters_answered(struct kw_counters *counters, unsigned route, unsigned http_status);

/*
 * Whether the request that begins is one whose duration is to be told: one of 16, since two readings of the clock cost
 * about a hundredth of a request. Then how long it took, in ns.
 */
bool kw_counters_samples(struct kw_counters *counters);
void kw_counters_took(struct kw_counters *counters, uint64_t duration_ns);

/* Appends them as Prometheus text. */
void kw_counters_write(const struct kw_counters *counters, struct kw_buffer *text);

#endif
