#include "server/watch.h"

#include "core/transition.h"
#include "engine/events_read.h"

#include <pthread.h>

#define ROUND_NS UINT64_C(40000000) /* how long news wait at most until somebody looks */
#define GONE_ROUNDS 25              /* rounds after which it is looked who is gone */
#define NS_A_SECOND UINT64_C(1000000000)

struct kw_watch {
    struct kw_api_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_started, is_stopping;
    struct kw_watched *waiting;
    unsigned stream_count;
    uint16_t projects[KW_STREAMS_MAX]; /* of each stream */
};

enum kw_status kw_watch_new(const struct kw_api_options *options, struct kw_watch **watch_out)
{
    struct kw_watch *watch = kw_alloc(1, sizeof *watch);
    pthread_condattr_t attributes;
    if (watch == NULL) {
        return KW_E_MEMORY;
    }
    watch->options = *options;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    *watch_out = watch;
    return KW_OK;
}

/* --- the thread --- */

static bool must_end(const struct kw_watch *watch)
{
    const struct kw_api_options *options = &watch->options;
    return options->draining != NULL && options->draining(options->transport_context);
}

/* Whether it goes on now; its client is asked after only now and then. */
static bool has_reason(const struct kw_watched *watched, uint64_t tellings, bool asks_after, enum kw_wake *why_out)
{
    bool is_gone = asks_after && watched->call->is_gone != NULL && watched->call->is_gone(watched->call);
    *why_out = is_gone ? KW_WAKE_END : watched->seen != tellings ? KW_WAKE_NEWS : KW_WAKE_BEAT;
    return is_gone || watched->seen != tellings || kw_monotonic_ns() >= watched->beat_ns;
}

/* Takes those that go on out of the list; each with why. */
static struct kw_watched *take_awake(struct kw_watch *watch, bool asks_after, enum kw_wake *whys, size_t *count_out)
{
    uint64_t tellings = kw_engine_tellings(watch->options.engine);
    bool ends = must_end(watch);
    struct kw_watched *awake = NULL;
    struct kw_watched **end = &awake;
    size_t count = 0;
    for (struct kw_watched **at = &watch->waiting; *at != NULL;) {
        struct kw_watched *watched = *at;
        enum kw_wake why = KW_WAKE_END;
        if (!ends && !has_reason(watched, tellings, asks_after, &why)) {
            at = &watched->next;
            continue;
        }
        *at = watched->next;
        watched->next = NULL;
        whys[count++] = why;
        *end = watched;
        end = &watched->next;
    }
    *count_out = count;
    return awake;
}

/* Under the lock: waits for a stream, or for a round to pass. */
static void wait_a_round(struct kw_watch *watch)
{
    if (watch->waiting == NULL) {
        pthread_cond_wait(&watch->changed, &watch->lock);
        return;
    }
    uint64_t until_ns = kw_monotonic_ns() + ROUND_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_A_SECOND), .tv_nsec = (long)(until_ns % NS_A_SECOND)};
    (void)pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
}

static void *watch_main(void *context)
{
    struct kw_watch *watch = context;
    enum kw_wake whys[KW_STREAMS_MAX];
    unsigned round = 0;
    pthread_mutex_lock(&watch->lock);
    while (!watch->is_stopping) {
        size_t count = 0;
        struct kw_watched *awake = take_awake(watch, ++round % GONE_ROUNDS == 0, whys, &count);
        if (awake == NULL) {
            wait_a_round(watch);
            continue;
        }
        pthread_mutex_unlock(&watch->lock);
        for (size_t i = 0; i < count; i++) {
            struct kw_watched *next = awake->next; /* it may wait again before the next one has its turn */
            awake->wake(awake, whys[i]);
            awake = next;
        }
        pthread_mutex_lock(&watch->lock);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

void kw_watch_free(struct kw_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    if (watch->is_started) {
        pthread_mutex_lock(&watch->lock);
        watch->is_stopping = true;
        pthread_cond_signal(&watch->changed);
        pthread_mutex_unlock(&watch->lock);
        pthread_join(watch->thread, NULL);
    }
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    kw_free(watch);
}

/* --- streams --- */

static unsigned count_of(const struct kw_watch *watch, uint16_t project)
{
    unsigned count = 0;
    for (unsigned i = 0; i < watch->stream_count; i++) {
        count += watch->projects[i] == project;
    }
    return count;
}

enum kw_status kw_watch_enter(struct kw_watch *watch, uint16_t project, struct kw_error *error_out)
{
    enum kw_status status = KW_OK;
    pthread_mutex_lock(&watch->lock);
    if (watch->stream_count == KW_STREAMS_MAX || count_of(watch, project) == KW_STREAMS_OF_PROJECT_MAX) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL,
                           "Too many streams of events are open, %d of a project or %d in all: close one, or read the "
                           "list.",
                           KW_STREAMS_OF_PROJECT_MAX, KW_STREAMS_MAX);
    } else if (!watch->is_started && pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "There are no threads left for this: try again later.");
    } else {
        watch->is_started = true;
        watch->projects[watch->stream_count++] = project;
    }
    pthread_mutex_unlock(&watch->lock);
    return status;
}

void kw_watch_leave(struct kw_watch *watch, uint16_t project)
{
    pthread_mutex_lock(&watch->lock);
    unsigned at = 0;
    while (at + 1 < watch->stream_count && watch->projects[at] != project) {
        at++;
    }
    watch->projects[at] = watch->projects[--watch->stream_count];
    pthread_mutex_unlock(&watch->lock);
}

void kw_watch_wait(struct kw_watch *watch, struct kw_watched *watched)
{
    pthread_mutex_lock(&watch->lock);
    watched->next = watch->waiting;
    watch->waiting = watched;
    if (watched->next == NULL) {
        pthread_cond_signal(&watch->changed);
    }
    pthread_mutex_unlock(&watch->lock);
}
