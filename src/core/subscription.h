/*
 * What webhooks and channels share: of which events somebody is told, whether anything is sent at the moment, and the
 * number that the deliveries are found by.
 */
#ifndef KW_CORE_SUBSCRIPTION_H
#define KW_CORE_SUBSCRIPTION_H

#include "core/event.h"

#define KW_SUBSCRIPTION_OWNERS_MAX 64

enum kw_subscription_status {
    KW_SUBSCRIPTION_ACTIVE,
    KW_SUBSCRIPTION_PAUSED,   /* its deliveries wait */
    KW_SUBSCRIPTION_DISABLED, /* it gets none */
};

struct kw_subscription {
    const struct kw_bytes *events; /* patterns; none: all */
    size_t event_count;
    const struct kw_bytes *environments, *owners; /* none: any */
    size_t environment_count, owner_count;
    enum kw_subscription_status status;
    /*
     * What its deliveries are found by: of kind, project, name and the moment of its creation, so that one of the same
     * name gets nothing that was meant for another before it.
     */
    uint64_t channel;
};

/* Whether it is told of such an event. An event about no key has neither environment nor owner, and goes to those that
 * ask for none. */
bool kw_subscription_wants(const struct kw_subscription *subscription, const struct kw_event *event);

#endif
