#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static int64_t system_now_ms(void *context)
{
    (void)context;
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Large draws may come in pieces, and a signal may end one (getrandom(2)). */
static enum kw_status system_draw(void *context, uint8_t *out, size_t size)
{
    (void)context;
    size_t drawn = 0;
    while (drawn < size) {
        ssize_t count = getrandom(out + drawn, size - drawn, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return KW_E_SYSTEM;
        }
        drawn += (size_t)count;
    }
    return KW_OK;
}

struct kw_clock kw_clock_system(void)
{
    return (struct kw_clock){.now_ms = system_now_ms};
}

struct kw_entropy kw_entropy_system(void)
{
    return (struct kw_entropy){.draw = system_draw};
}

uint64_t kw_monotonic_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
