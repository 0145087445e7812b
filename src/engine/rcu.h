/*
 * Userspace RCU (liburcu's "bulletproof" flavour: threads register themselves at their first read). One wrapper, so
 * that the thread sanitizer, which cannot see through the library's barriers, is told what they order.
 */
#ifndef KW_ENGINE_RCU_H
#define KW_ENGINE_RCU_H

#ifdef __clang_analyzer__
#undef _LGPL_SOURCE /* or it follows the library's inline code into paths that it cannot judge */
#endif
#include <urcu-bp.h>

#if defined(__SANITIZE_THREAD__)
#define KW_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KW_THREAD_SANITIZER 1
#endif
#endif

#ifdef KW_THREAD_SANITIZER
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#endif

static inline void kw__rcu_read_begin(void)
{
    urcu_bp_read_lock();
}

static inline void kw__rcu_read_end(void *domain)
{
#ifdef KW_THREAD_SANITIZER
    __tsan_release(domain);
#else
    (void)domain;
#endif
    urcu_bp_read_unlock();
}

/* Returns when every read that began before has ended. */
static inline void kw__rcu_wait(void *domain)
{
    urcu_bp_synchronize_rcu();
#ifdef KW_THREAD_SANITIZER
    __tsan_acquire(domain);
#else
    (void)domain;
#endif
}

#endif
