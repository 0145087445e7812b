/*
 * A webhook: an endpoint of a project that is told of events, as a document (document.h). Which events it gets, where
 * they go and how they are signed; its secrets are kept apart from it, sealed.
 */
#ifndef KW_CORE_WEBHOOK_H
#define KW_CORE_WEBHOOK_H

#include "core/event.h"
#include "core/guard.h"
#include "core/webhook_signing.h"

#define KW_WEBHOOK_OWNERS_MAX 64
#define KW_WEBHOOK_TIMEOUT_MAX_MS INT64_C(30000)

enum kw_webhook_status {
    KW_WEBHOOK_ACTIVE,
    KW_WEBHOOK_PAUSED,   /* its deliveries wait */
    KW_WEBHOOK_DISABLED, /* it gets none */
};

struct kw_webhook {
    struct kw_bytes name;
    struct kw_bytes url;
    const struct kw_bytes *events; /* patterns; none: all */
    size_t event_count;
    const struct kw_bytes *environments, *owners; /* none: any */
    size_t environment_count, owner_count;
    bool is_ordered; /* the events of one key come one after the other, in their order */
    enum kw_webhook_status status;
    enum kw_signature signature;
    int64_t timeout_ms;
    /*
     * What its deliveries are found by: of project, name and the moment of its creation, so that one of the same name
     * gets nothing that was meant for another before it.
     */
    uint64_t channel;
};

/* Whether the webhook is told of such an event. An event about no key has neither environment nor owner, and goes to
 * webhooks that ask for none. */
bool kw_webhook_wants(const struct kw_webhook *webhook, const struct kw_event *event);

/* "active", "paused", "disabled" */
const char *kw_webhook_status_name(enum kw_webhook_status status);

/*
 * The text that is sent: what kw_event_write writes, with the event's name once more as `type`, which the Standard
 * Webhooks specification wants.
 */
void kw_webhook_write_body(const struct kw_event *event, struct kw_json_writer *json);

#endif
