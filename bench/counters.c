/* Wrappers that count: linked into a bench, they stand before the C library's own functions. */
#include "measure.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static uint64_t allocations;
static uint64_t locks;

void *malloc(size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(old, size);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    }
    __atomic_fetch_add(&locks, 1, __ATOMIC_RELAXED);
    return real(mutex);
}

uint64_t bench_allocations(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

uint64_t bench_locks(void)
{
    return __atomic_load_n(&locks, __ATOMIC_RELAXED);
}
