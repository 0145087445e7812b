/*
 * What the files of notify share: the endpoints as the sender knows them, and deliveries on their way. All of it is the
 * sender's thread's alone, but for jobs and what stops the threads.
 */
#ifndef KW_NOTIFY_INTERNAL_H
#define KW_NOTIFY_INTERNAL_H

#include "engine/webhooks.h"
#include "notify/notify.h"
#include "notify/outgoing.h"

#include <pthread.h>

#define KW__HEADER_MAX (KW_SIGNATURES_MAX + 64)

struct kw__endpoint {
    uint64_t channel;
    uint64_t version; /* of its document */
    uint8_t project[KW_PROJECT_MAX], name[KW_DOCUMENT_NAME_MAX];
    size_t project_size, name_size;
    char url[KW_URL_MAX + 1];
    int64_t timeout_ms;
    enum kw_signature signature;
    enum kw_subscription_status status;
    bool is_there;    /* seen by the last look at the catalog */
    bool is_released; /* claims of an earlier life have been ended */
    bool is_stopping; /* an operation that pauses or disables it is under way */
    struct kw_signing signing;
    bool has_signing;

    struct kw__item *first, *last; /* claimed, and not yet sent */
    size_t queued, under_way;
    unsigned failures; /* since the last success */
    int64_t rest_until_ms, look_at_ms, delivered_ms;
};

/* A delivery on its way. Its texts lie behind it. */
struct kw__item {
    struct kw__item *next;
    struct kw_notify *notify;
    struct kw__endpoint *endpoint;
    uint64_t sequence;
    uint32_t attempts;
    int64_t started_ms;
    struct kw_id id;
    struct kw_bytes body, tries;
    struct kw_outgoing_request request;
    char headers[3][KW__HEADER_MAX];
    /* What became of it. */
    enum kw_delivery_state state;
    int64_t due_ms;
    struct kw_buffer tries_after;
};

struct kw_notify {
    struct kw_notify_options options;
    struct kw_outgoing *outgoing;
    struct kw__notices *notices;
    pthread_t sender, fanner;
    bool has_sender, has_fanner;
    bool is_stopping;   /* atomic */
    uint64_t fan_count; /* atomic: grows when there are new deliveries */
    pthread_mutex_t lock;
    pthread_cond_t told;
    struct kw_notify_job *jobs; /* under the lock */
    size_t job_count;

    struct kw__endpoint **endpoints;
    size_t endpoint_count, endpoint_room;
    uint64_t catalog_version, seen_fans;
    bool is_loaded;
    struct kw__item *ended; /* to be settled */
    size_t ended_count;
    int64_t prune_at_ms;
};

bool kw__notify_stops(const struct kw_notify *notify);
int64_t kw__notify_now(const struct kw_notify *notify);

/* --- endpoints.c --- */

/* Brings the endpoints to what the catalog says, where that has changed. */
void kw__endpoints_refresh(struct kw_notify *notify);
struct kw__endpoint *kw__endpoint_find(struct kw_notify *notify, struct kw_bytes project, struct kw_bytes name);
/* Reads its secrets, unless they are known. Fails as kw_engine_signing. */
KW_MUST_USE enum kw_status kw__endpoint_signing(struct kw_notify *notify, struct kw__endpoint *endpoint);
/* Pauses it, or with KW_SUBSCRIPTION_DISABLED switches it off, as a change of its document. */
void kw__endpoint_stop(struct kw_notify *notify, struct kw__endpoint *endpoint, enum kw_subscription_status status,
                       const char *reason);
void kw__endpoints_free(struct kw_notify *notify);

/* --- deliver.c --- */

/* Claims what is due of an endpoint that has room for it. */
void kw__claim(struct kw_notify *notify, struct kw__endpoint *endpoint);
/* Sends what it may. */
void kw__send_some(struct kw_notify *notify, struct kw__endpoint *endpoint);
/* Gives back what was claimed and not sent: the endpoint stopped, or is gone. */
void kw__give_back(struct kw_notify *notify, struct kw__endpoint *endpoint);
/* Tells the store what became of what has ended. */
void kw__settle(struct kw_notify *notify);
void kw__item_free(struct kw__item *item);
/* The three headers of a signed message. */
KW_MUST_USE enum kw_status kw__sign(struct kw__endpoint *endpoint, struct kw_bytes id, struct kw_bytes body,
                                    int64_t now_ms, char headers[3][KW__HEADER_MAX]);

/* --- jobs.c --- */

void kw__jobs_run(struct kw_notify *notify);
void kw__jobs_refuse(struct kw_notify *notify);

#endif
