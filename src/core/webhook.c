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
    struct kw_subscription subscription;
    bool is_ordered;
    enum kw_signature signature;
    int64_t timeout_ms;
};

static const struct kw_bytes signature_choices[] = {KW__NAME("hmac"), KW__NAME("ed25519"), KW__NAME("both")};

static const struct kw_field webhook_fields[] = {
    KW__ENVELOPE_FIELDS(webhook_body, KW_DOCUMENT_NAME_MAX),
    KW__DESCRIPTION_FIELD(webhook_body),
    {.name = KW__NAME("url"), .kind = KW_FIELD_TEXT, KW__AT(webhook_body, url), .size_min = 1, .size_max = KW_URL_MAX},
    KW__SUBSCRIPTION_FIELDS(webhook_body),
    {.name = KW__NAME("ordered"), .kind = KW_FIELD_BOOL, KW__AT(webhook_body, is_ordered)},
    KW__SUBSCRIPTION_STATUS_FIELD(webhook_body),
    KW__CHOICE_FIELD(webhook_body, "signature", signature, signature_choices, KW_SIGNATURE_HMAC),
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
                                               .subscription = body->subscription,
                                               .is_ordered = body->is_ordered,
                                               .signature = body->signature,
                                               .timeout_ms = body->timeout_ms};
    return kw__subscription_take(document, KW_BYTES("webhook"), body->envelope.created_at_ms,
                                 &document->is.webhook.subscription, error_out);
}

const struct kw__form kw__webhook_form = {"webhook", &webhook_schema, webhook_otherwise, take_webhook};
