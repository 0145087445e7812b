/* Wrappers that count: linked into a bench, they stand before the C library's own functions. */
#include "measure.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

/* Of the calling thread: what workers do in the background is not the verification's. */
static _Thread_local uint64_t allocations;
static _Thread_local uint64_t locks;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    allocations++;
    return __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    allocations++;
    return __libc_realloc(ptr, size);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    }
    locks++;
    return real(mutex);
}

uint64_t bench_allocations(void)
{
    return allocations;
}

uint64_t bench_locks(void)
{
    return locks;
}
