#include "notify/internal.h"
#include "notify/notices.h"

#include "base/bytes.h"

#include <errno.h>

#define FAN_WAIT_MS 20  /* how soon a commit is looked at for events */
#define SEND_WAIT_MS 25 /* how soon the sender sees new deliveries, where it has nothing else to do */
#define FAIL_WAIT_MS 500
#define PRUNE_MS 60000
#define ENDED_MAX 2000 /* that the store could not be told of yet: nothing more is sent until it can */
#define NS_A_MS UINT64_C(1000000)

bool kw__notify_stops(const struct kw_notify *notify)
{
    return __atomic_load_n(&notify->is_stopping, __ATOMIC_ACQUIRE);
}

int64_t kw__notify_now(const struct kw_notify *notify)
{
    return notify->options.clock.now_ms(notify->options.clock.context);
}

/* --- events become deliveries --- */

static void wait_for(struct kw_notify *notify, uint64_t wait_ms)
{
    uint64_t until_ns = kw_monotonic_ns() + wait_ms * NS_A_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / (1000 * NS_A_MS)),
                             .tv_nsec = (long)(until_ns % (1000 * NS_A_MS))};
    pthread_mutex_lock(&notify->lock);
    if (!kw__notify_stops(notify)) {
        (void)pthread_cond_timedwait(&notify->told, &notify->lock, &until);
    }
    pthread_mutex_unlock(&notify->lock);
}

static void *fan_main(void *context)
{
    struct kw_notify *notify = context;
    struct kw_engine *engine = notify->options.engine;
    uint64_t seen = 0;
    bool is_done = false; /* there was nothing when it was last looked */
    while (!kw__notify_stops(notify)) {
        uint64_t commits = kw_engine_commit_count(engine);
        if (is_done && commits == seen) {
            wait_for(notify, FAN_WAIT_MS);
            continue;
        }
        size_t count = 0;
        seen = commits;
        enum kw_status status = kw_engine_fan_out(engine, &count);
        is_done = status == KW_OK && count == 0;
        if (status == KW_OK && count > 0) {
            __atomic_fetch_add(&notify->fan_count, 1, __ATOMIC_RELEASE);
            kw_outgoing_wake(notify->outgoing);
            kw__notices_wake(notify->notices);
        } else if (status != KW_OK) {
            wait_for(notify, FAIL_WAIT_MS);
        }
    }
    return NULL;
}

/* --- deliveries are sent --- */

static void prune(struct kw_notify *notify)
{
    int64_t now_ms = kw__notify_now(notify);
    uint64_t removed = 0;
    if (now_ms < notify->prune_at_ms) {
        return;
    }
    enum kw_status status = kw_engine_deliveries_prune(notify->options.engine, &removed);
    notify->prune_at_ms = status == KW_OK && removed > 0 ? 0 : now_ms + PRUNE_MS;
}

static void look_everywhere(struct kw_notify *notify)
{
    uint64_t fans = __atomic_load_n(&notify->fan_count, __ATOMIC_ACQUIRE);
    bool is_new = fans != notify->seen_fans;
    notify->seen_fans = fans;
    for (size_t i = 0; i < notify->endpoint_count; i++) {
        struct kw__endpoint *endpoint = notify->endpoints[i];
        endpoint->look_at_ms = is_new ? 0 : endpoint->look_at_ms;
        bool may_send = endpoint->is_there && endpoint->status == KW_SUBSCRIPTION_ACTIVE && !endpoint->is_stopping;
        if (!may_send) {
            kw__give_back(notify, endpoint);
        } else if (notify->ended_count < ENDED_MAX && kw__notify_now(notify) >= endpoint->rest_until_ms) {
            kw__claim(notify, endpoint);
            kw__send_some(notify, endpoint);
        }
    }
}

static void *send_main(void *context)
{
    struct kw_notify *notify = context;
    while (!kw__notify_stops(notify)) {
        kw__endpoints_refresh(notify);
        kw__jobs_run(notify);
        look_everywhere(notify);
        kw_outgoing_run(notify->outgoing, SEND_WAIT_MS);
        kw__settle(notify);
        prune(notify);
    }
    kw__settle(notify);
    return NULL;
}

/* --- life --- */

static void free_notify(struct kw_notify *notify)
{
    kw_outgoing_free(notify->outgoing);
    while (notify->ended != NULL) {
        struct kw__item *item = notify->ended;
        notify->ended = item->next;
        kw__item_free(item);
    }
    kw__endpoints_free(notify);
    pthread_cond_destroy(&notify->told);
    pthread_mutex_destroy(&notify->lock);
    kw_free(notify);
}

enum kw_status kw_notify_start(const struct kw_notify_options *options, struct kw_notify **notify_out)
{
    struct kw_notify *notify = kw_alloc(1, sizeof *notify);
    if (notify == NULL) {
        return KW_E_MEMORY;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&notify->lock, NULL);
    pthread_cond_init(&notify->told, &attributes);
    pthread_condattr_destroy(&attributes);
    notify->options = *options;
    if (options->pause_after_ms == 0) {
        notify->options.pause_after_ms = KW_NOTIFY_PAUSE_AFTER_MS;
    }
    struct kw_outgoing_options outgoing = {.guard = kw_engine_guard(options->engine), .user_agent = "Keyward"};
    enum kw_status status = kw_outgoing_new(&outgoing, &notify->outgoing);
    status = status == KW_OK ? kw__notices_start(notify, &notify->notices) : status;
    notify->has_sender = status == KW_OK && pthread_create(&notify->sender, NULL, send_main, notify) == 0;
    notify->has_fanner = notify->has_sender && pthread_create(&notify->fanner, NULL, fan_main, notify) == 0;
    if (!notify->has_fanner) {
        kw_notify_stop(notify);
        return status != KW_OK ? status : KW_E_SYSTEM;
    }
    *notify_out = notify;
    return KW_OK;
}

void kw_notify_stop(struct kw_notify *notify)
{
    if (notify == NULL) {
        return;
    }
    __atomic_store_n(&notify->is_stopping, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&notify->lock);
    pthread_cond_broadcast(&notify->told);
    pthread_mutex_unlock(&notify->lock);
    if (notify->outgoing != NULL) {
        kw_outgoing_wake(notify->outgoing);
    }
    if (notify->has_sender) {
        pthread_join(notify->sender, NULL);
    }
    if (notify->has_fanner) {
        pthread_join(notify->fanner, NULL);
    }
    kw__notices_stop(notify->notices);
    kw__jobs_refuse(notify);
    free_notify(notify);
}
