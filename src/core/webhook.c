#include "core/webhook.h"

#include "base/error.h"
#include "base/time.h"
#include "core/digest.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/transition.h"

struct webhook_body {
    struct kw__envelope envelope;
    struct kw_bytes description, url;
    const struct kw_bytes *events, *environments, *owners;
    size_t event_count, environment_count, owner_count;
    bool is_ordered;
    enum kw_webhook_status status;
    enum kw_signature signature;
    int64_t timeout_ms;
};

static const struct kw_bytes status_choices[] = {KW__NAME("active"), KW__NAME("paused"), KW__NAME("disabled")};
static const struct kw_bytes signature_choices[] = {KW__NAME("hmac"), KW__NAME("ed25519"), KW__NAME("both")};

#define TEXTS(label, member, count, of_format, max, most) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_TEXTS, .format = (of_format), KW__AT(webhook_body, member), \
        .count_offset = offsetof(struct webhook_body, count), .size_min = 1, .size_max = (max), .count_max = (most) \
    }
#define CHOICE(label, member, list, first) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_CHOICE, KW__AT(webhook_body, member), .low = (first), \
        .choices = (list), .choice_count = KW_COUNT_OF(list) \
    }

static const struct kw_field webhook_fields[] = {
    KW__ENVELOPE_FIELDS(webhook_body, KW_DOCUMENT_NAME_MAX),
    KW__DESCRIPTION_FIELD(webhook_body),
    {.name = KW__NAME("url"), .kind = KW_FIELD_TEXT, KW__AT(webhook_body, url), .size_min = 1, .size_max = KW_URL_MAX},
    TEXTS("events", events, event_count, KW_FORMAT_NONE, KW_EVENT_PATTERN_MAX, KW_EVENT_PATTERN_COUNT_MAX),
    TEXTS("environments", environments, environment_count, KW_FORMAT_NONE, KW_ENV_MAX, KW_ENVIRONMENT_COUNT_MAX),
    TEXTS("owners", owners, owner_count, KW_FORMAT_OWNER, KW_OWNER_MAX, KW_WEBHOOK_OWNERS_MAX),
    {.name = KW__NAME("ordered"), .kind = KW_FIELD_BOOL, KW__AT(webhook_body, is_ordered)},
    CHOICE("status", status, status_choices, KW_WEBHOOK_ACTIVE),
    CHOICE("signature", signature, signature_choices, KW_SIGNATURE_HMAC),
    {.name = KW__NAME("timeout"), .kind = KW_FIELD_DURATION, KW__AT(webhook_body, timeout_ms)},
};

static const char *const webhook_otherwise[KW_COUNT_OF(webhook_fields)] = {
    [KW__ENVELOPE_COUNT + 2] = "[\"*\"]",    [KW__ENVELOPE_COUNT + 3] = "[]",
    [KW__ENVELOPE_COUNT + 4] = "[]",         [KW__ENVELOPE_COUNT + 5] = "true",
    [KW__ENVELOPE_COUNT + 6] = "\"active\"", [KW__ENVELOPE_COUNT + 7] = "\"hmac\"",
    [KW__ENVELOPE_COUNT + 8] = "\"15s\"",
};

static const struct kw_schema webhook_schema = {.name = "webhook",
                                                .size = sizeof(struct webhook_body),
                                                .given_offset = SIZE_MAX,
                                                .required = 1U << 0 | 1U << (KW__ENVELOPE_COUNT + 1),
                                                .fields = webhook_fields,
                                                .field_count = KW_COUNT_OF(webhook_fields)};

static uint64_t channel_of(const struct kw_document *document, int64_t created_at_ms)
{
    uint8_t digest[32];
    uint64_t channel = 0;
    const struct kw_bytes parts[] = {KW_BYTES("webhook"), document->project, document->name,
                                     kw_bytes_of(&created_at_ms, sizeof created_at_ms)};
    kw_digest_parts(parts, KW_COUNT_OF(parts), digest);
    for (size_t i = 0; i < sizeof channel; i++) {
        channel = channel << 8 | digest[i];
    }
    return channel >> 1; /* a store may have signed numbers */
}

static enum kw_status check_events(const struct webhook_body *body, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->event_count; i++) {
        if (!kw_event_pattern_valid(body->events[i])) {
            return kw__document_under(
                kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                          "means no event: give a name such as \"key.revoked\", \"key.*\" or \"*\""),
                "events", i, error_out);
        }
    }
    return KW_OK;
}

static enum kw_status take_webhook(struct kw_document *document, const void *bound, struct kw_error *error_out)
{
    const struct webhook_body *body = bound;
    struct kw_url url;
    const char *why = NULL;
    if (!kw_url_parse(body->url, &url, &why)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "url", "%s", why);
    }
    if (body->timeout_ms < 1000 || body->timeout_ms > KW_WEBHOOK_TIMEOUT_MAX_MS) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "timeout", "must be from 1s to 30s");
    }
    document->is.webhook = (struct kw_webhook){.name = document->name,
                                               .url = body->url,
                                               .events = body->events,
                                               .event_count = body->event_count,
                                               .environments = body->environments,
                                               .environment_count = body->environment_count,
                                               .owners = body->owners,
                                               .owner_count = body->owner_count,
                                               .is_ordered = body->is_ordered,
                                               .status = body->status,
                                               .signature = body->signature,
                                               .timeout_ms = body->timeout_ms,
                                               .channel = channel_of(document, body->envelope.created_at_ms)};
    return check_events(body, error_out);
}

const struct kw__form kw__webhook_form = {"webhook", &webhook_schema, webhook_otherwise, take_webhook};

static bool is_among(const struct kw_bytes *list, size_t count, struct kw_bytes text)
{
    bool found = count == 0;
    for (size_t i = 0; i < count && !found; i++) {
        found = kw_bytes_equal(list[i], text);
    }
    return found;
}

bool kw_webhook_wants(const struct kw_webhook *webhook, const struct kw_event *event)
{
    return webhook->status != KW_WEBHOOK_DISABLED &&
           kw_event_matches_any(webhook->events, webhook->event_count, event->type) &&
           is_among(webhook->environments, webhook->environment_count, event->env) &&
           is_among(webhook->owners, webhook->owner_count, event->owner);
}

const char *kw_webhook_status_name(enum kw_webhook_status status)
{
    return (const char *)status_choices[status].data;
}

void kw_webhook_write_body(const struct kw_event *event, struct kw_json_writer *json)
{
    char id[KW_EVENT_ID_TEXT_SIZE];
    char time[KW_TIME_TEXT_SIZE];
    kw_event_id_format(&event->id, id);
    kw_time_format(event->at_ms, time);
    kw_json_begin_object(json);
    kw_json_name(json, "id");
    kw_json_string(json, kw_bytes_of(id, sizeof id));
    kw_json_name(json, "type");
    kw_json_string(json, event->type);
    kw_json_name(json, "event");
    kw_json_string(json, event->type);
    kw_json_name(json, "timestamp");
    kw_json_string(json, kw_bytes_of(time, sizeof time));
    kw_json_name(json, "data");
    kw_event_write_data(event, json);
    kw_json_end_object(json);
}
