#include "core/channel.h"

#include "base/error.h"
#include "base/time.h"
#include "core/digest.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/transition.h"

struct channel_body {
    struct kw__envelope envelope;
    struct kw_bytes description, url, command;
    enum kw_channel_kind kind;
    const struct kw_bytes *to;
    size_t to_count;
    bool to_owner;
    struct kw_subscription subscription;
    struct kw_bytes every;
};

static const struct kw_bytes kind_choices[] = {KW__NAME("email"), KW__NAME("slack"), KW__NAME("command")};

#define TEXT(label, member, max) \
    { \
        .name = KW__NAME(label), .kind = KW_FIELD_TEXT, KW__AT(channel_body, member), .size_min = 1, .size_max = (max) \
    }

static const struct kw_field channel_fields[] = {
    KW__ENVELOPE_FIELDS(channel_body, KW_DOCUMENT_NAME_MAX),
    KW__DESCRIPTION_FIELD(channel_body),
    KW__CHOICE_FIELD(channel_body, "kind", kind, kind_choices, KW_CHANNEL_EMAIL),
    KW__TEXTS_FIELD(channel_body, "to", to, to_count, KW_FORMAT_NONE, KW_MAIL_ADDRESS_MAX, KW_CHANNEL_ADDRESSES_MAX),
    {.name = KW__NAME("toOwner"), .kind = KW_FIELD_BOOL, KW__AT(channel_body, to_owner)},
    TEXT("url", url, KW_CHANNEL_URL_MAX),
    TEXT("command", command, KW_COMMAND_NAME_MAX),
    KW__SUBSCRIPTION_FIELDS(channel_body),
    KW__SUBSCRIPTION_STATUS_FIELD(channel_body),
    TEXT("every", every, KW_DURATION_TEXT_MAX),
};

static const char *const channel_otherwise[KW_COUNT_OF(channel_fields)] = {
    [KW__ENVELOPE_COUNT + 2] = "[]",      [KW__ENVELOPE_COUNT + 3] = "false", [KW__ENVELOPE_COUNT + 6] = "[\"*\"]",
    [KW__ENVELOPE_COUNT + 7] = "[]",      [KW__ENVELOPE_COUNT + 8] = "[]",    [KW__ENVELOPE_COUNT + 9] = "\"active\"",
    [KW__ENVELOPE_COUNT + 10] = "\"5m\"",
};

static const struct kw_schema channel_schema = {.name = "channel",
                                                .size = sizeof(struct channel_body),
                                                .given_offset = SIZE_MAX,
                                                .required = 1U << 0 | 1U << (KW__ENVELOPE_COUNT + 1),
                                                .fields = channel_fields,
                                                .field_count = KW_COUNT_OF(channel_fields)};

static enum kw_status check_addresses(const struct channel_body *body, struct kw_error *error_out)
{
    for (size_t i = 0; i < body->to_count; i++) {
        if (!kw_mail_address_valid(body->to[i])) {
            return kw__document_under(kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                                                "is no mail address: give one such as ops@example.com"),
                                      "to", i, error_out);
        }
    }
    return KW_OK;
}

/* Each kind has a target of its own, and none of another's. */
static enum kw_status check_target(const struct channel_body *body, struct kw_error *error_out)
{
    bool is_mail = body->kind == KW_CHANNEL_EMAIL;
    const struct {
        const char *name;
        bool is_given, fits;
    } targets[] = {{"to", body->to_count > 0, is_mail},
                   {"toOwner", body->to_owner, is_mail},
                   {"url", body->url.size > 0, body->kind == KW_CHANNEL_SLACK},
                   {"command", body->command.size > 0, body->kind == KW_CHANNEL_COMMAND}};
    size_t count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(targets); i++) {
        if (targets[i].is_given && !targets[i].fits) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, targets[i].name, "is not for a channel of the kind %s",
                             kw_channel_kind_name(body->kind));
        }
        count += targets[i].is_given;
    }
    if (count == 1) {
        return KW_OK;
    }
    return is_mail ? kw_refuse(error_out, KW_CODE_INVALID_FIELD, "to", "give one of to and toOwner")
                   : kw_refuse(error_out, KW_CODE_MISSING_FIELD, body->kind == KW_CHANNEL_SLACK ? "url" : "command",
                               "is missing");
}

static enum kw_status check_url(struct kw_bytes text, struct kw_error *error_out)
{
    struct kw_url url;
    const char *why = NULL;
    bool good = text.size == 0 || kw_url_parse(text, &url, &why);
    return good ? KW_OK : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "url", "%s", why);
}

static enum kw_status take_every(struct kw_bytes text, int64_t *every_ms_out, struct kw_error *error_out)
{
    if (kw_bytes_equal(text, KW_BYTES("0s"))) {
        *every_ms_out = 0;
        return KW_OK;
    }
    bool good = kw_duration_parse(text, every_ms_out) && *every_ms_out <= KW_CHANNEL_EVERY_MAX_MS;
    return good ? KW_OK
                : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "every",
                            "must be \"0s\", or a duration of at most a day, such as \"5m\"");
}

static enum kw_status take_channel(struct kw_document *document, const void *bound, struct kw_error *error_out)
{
    const struct channel_body *body = bound;
    document->is.channel = (struct kw_channel){.name = document->name,
                                               .kind = body->kind,
                                               .to = body->to,
                                               .to_count = body->to_count,
                                               .to_owner = body->to_owner,
                                               .url = body->url,
                                               .command = body->command,
                                               .subscription = body->subscription};
    enum kw_status status = check_addresses(body, error_out);
    if (status == KW_OK) {
        status = kw__subscription_take(document, KW_BYTES("channel"), body->envelope.created_at_ms,
                                       &document->is.channel.subscription, error_out);
    }
    status = status == KW_OK ? check_target(body, error_out) : status;
    status = status == KW_OK ? check_url(body->url, error_out) : status;
    return status == KW_OK ? take_every(body->every, &document->is.channel.every_ms, error_out) : status;
}

const struct kw__form kw__channel_form = {"channel", &channel_schema, channel_otherwise, take_channel};

const char *kw_channel_kind_name(enum kw_channel_kind kind)
{
    return (const char *)kind_choices[kind].data;
}

void kw_channel_mask_url(struct kw_bytes url, struct kw_buffer *out)
{
    size_t end = 0;
    for (unsigned slashes = 0; end < url.size && url.data[end] != '?'; end++) {
        slashes += url.data[end] == '/';
        if (slashes == 3) {
            break;
        }
    }
    kw_buffer_add(out, kw_bytes_of(url.data, end));
    kw_buffer_add_text(out, "/...");
}

static bool is_atom(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_host(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Words of such characters with one dot between them. */
static bool are_words(struct kw_bytes text, bool (*fits)(uint8_t c))
{
    bool good = text.size > 0 && text.data[0] != '.' && text.data[text.size - 1] != '.';
    for (size_t i = 0; good && i < text.size; i++) {
        good = text.data[i] == '.' ? text.data[i - 1] != '.' : fits(text.data[i]);
    }
    return good;
}

bool kw_mail_address_valid(struct kw_bytes text)
{
    struct kw_bytes local, domain;
    return text.size <= KW_MAIL_ADDRESS_MAX && kw_bytes_split(text, '@', &local, &domain) && local.size <= 64 &&
           are_words(local, is_atom) && are_words(domain, is_host) && domain.data[0] != '-';
}
