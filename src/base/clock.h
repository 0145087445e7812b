/*
 * The one place that reads the clock and the one place that draws entropy. The engine and the server hand these
 * tables in; tests hand in their own, so that every behaviour replays from a seed.
 */
#ifndef KW_BASE_CLOCK_H
#define KW_BASE_CLOCK_H

#include <keyward/types.h>

struct kw_clock {
    /* Milliseconds since 1970-01-01 UTC. Must be callable from any thread. */
    int64_t (*now_ms)(void *context);
    void *context;
};

struct kw_entropy {
    /* Fills `out` with unpredictable bytes, or fails with KW_E_SYSTEM. Must be callable from any thread. */
    enum kw_status (*draw)(void *context, uint8_t *out, size_t size);
    void *context;
};

/* The operating system's clock and getrandom(2). */
struct kw_clock kw_clock_system(void);
struct kw_entropy kw_entropy_system(void);

/* A clock that never goes back, in nanoseconds, for measuring how long things took. */
uint64_t kw_monotonic_ns(void);

#endif
