/*
 * A webhook: an endpoint of a project that is told of events, as a document (document.h). Which events it gets, where
 * they go and how they are signed; its secrets are kept apart from it, sealed.
 */
#ifndef KW_CORE_WEBHOOK_H
#define KW_CORE_WEBHOOK_H

#include "core/guard.h"
#include "core/subscription.h"
#include "core/webhook_signing.h"

#define KW_WEBHOOK_TIMEOUT_MAX_MS INT64_C(30000)

struct kw_webhook {
    struct kw_bytes name;
    struct kw_bytes url;
    struct kw_subscription subscription;
    bool is_ordered; /* the events of one key come one after the other, in their order */
    enum kw_signature signature;
    int64_t timeout_ms;
};

#endif
