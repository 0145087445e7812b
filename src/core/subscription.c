#include "core/subscription.h"

#include "base/error.h"
#include "core/digest.h"
#include "core/document_form.h"
#include "core/transition.h"

const struct kw_bytes kw__subscription_statuses[KW__SUBSCRIPTION_STATUS_COUNT] = {
    KW__NAME("active"), KW__NAME("paused"), KW__NAME("disabled")};

static uint64_t channel_of(const struct kw_document *document, struct kw_bytes noun, int64_t created_at_ms)
{
    uint8_t digest[32];
    uint64_t channel = 0;
    const struct kw_bytes parts[] = {noun, document->project, document->name,
                                     kw_bytes_of(&created_at_ms, sizeof created_at_ms)};
    kw_digest_parts(parts, KW_COUNT_OF(parts), digest);
    for (size_t i = 0; i < sizeof channel; i++) {
        channel = channel << 8 | digest[i];
    }
    return channel >> 1; /* a store may have signed numbers */
}

enum kw_status kw__subscription_take(const struct kw_document *document, struct kw_bytes noun, int64_t created_at_ms,
                                     struct kw_subscription *subscription, struct kw_error *error_out)
{
    subscription->channel = channel_of(document, noun, created_at_ms);
    for (size_t i = 0; i < subscription->event_count; i++) {
        if (!kw_event_pattern_valid(subscription->events[i])) {
            return kw__document_under(
                kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                          "means no event: give a name such as \"key.revoked\", \"key.*\" or \"*\""),
                "events", i, error_out);
        }
    }
    return KW_OK;
}

static bool is_among(const struct kw_bytes *list, size_t count, struct kw_bytes text)
{
    bool found = count == 0;
    for (size_t i = 0; i < count && !found; i++) {
        found = kw_bytes_equal(list[i], text);
    }
    return found;
}

bool kw_subscription_wants(const struct kw_subscription *subscription, const struct kw_event *event)
{
    return subscription->status != KW_SUBSCRIPTION_DISABLED &&
           kw_event_matches_any(subscription->events, subscription->event_count, event->type) &&
           is_among(subscription->environments, subscription->environment_count, event->env) &&
           is_among(subscription->owners, subscription->owner_count, event->owner);
}
