#include "engine/internal.h"

#include <errno.h>
#include <time.h>

void kw__queue_init(struct kw_queue *queue)
{
    *queue = (struct kw_queue){0};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->ready, &attributes);
    pthread_condattr_destroy(&attributes);
}

void kw__queue_deinit(struct kw_queue *queue)
{
    pthread_cond_destroy(&queue->ready);
    pthread_mutex_destroy(&queue->lock);
}

/* Written under the lock, read by whoever wants to know the depth. */
static void set_count(struct kw_queue *queue, size_t count)
{
    __atomic_store_n(&queue->count, count, __ATOMIC_RELAXED);
}

size_t kw__queue_depth(const struct kw_queue *queue)
{
    return __atomic_load_n(&queue->count, __ATOMIC_RELAXED);
}

bool kw__queue_put(struct kw_queue *queue, struct kw_op *op)
{
    op->next = NULL;
    pthread_mutex_lock(&queue->lock);
    bool fits = !queue->closed && queue->count < KW_ENGINE_QUEUE_MAX;
    if (fits) {
        if (queue->last == NULL) {
            queue->first = op;
        } else {
            queue->last->next = op;
        }
        queue->last = op;
        set_count(queue, queue->count + 1);
        pthread_cond_signal(&queue->ready);
    }
    pthread_mutex_unlock(&queue->lock);
    return fits;
}

static struct timespec deadline_of(int wait_ms)
{
    uint64_t ns = kw_monotonic_ns() + (uint64_t)wait_ms * 1000000U;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U)};
}

static void wait_for_first(struct kw_queue *queue, int wait_ms)
{
    struct timespec deadline = deadline_of(wait_ms < 0 ? 0 : wait_ms);
    while (queue->first == NULL && !queue->closed) {
        if (wait_ms < 0) {
            pthread_cond_wait(&queue->ready, &queue->lock);
        } else if (pthread_cond_timedwait(&queue->ready, &queue->lock, &deadline) == ETIMEDOUT) {
            return;
        }
    }
}

struct kw_op *kw__queue_take(struct kw_queue *queue, size_t most, int wait_ms, bool *closed_out)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_first(queue, wait_ms);
    struct kw_op *first = queue->first;
    struct kw_op *last = first;
    size_t count = first == NULL ? 0 : 1;
    while (last != NULL && last->next != NULL && count < most) {
        last = last->next;
        count++;
    }
    if (last != NULL) {
        queue->first = last->next;
        queue->last = queue->first == NULL ? NULL : queue->last;
        last->next = NULL;
    }
    set_count(queue, queue->count - count);
    *closed_out = queue->closed && first == NULL;
    pthread_mutex_unlock(&queue->lock);
    return first;
}

void kw__queue_close(struct kw_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}
