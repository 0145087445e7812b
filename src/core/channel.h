/*
 * A channel: how people of a project are told of events, as a document (document.h): by e-mail, in a chat that takes
 * messages of the Slack form, or by a command that the operator's configuration names. Which events it gets is said as
 * for webhooks. The URL of a chat lets everybody write there who knows it: it is kept apart, sealed, and the document
 * shows no more than where it leads.
 */
#ifndef KW_CORE_CHANNEL_H
#define KW_CORE_CHANNEL_H

#include "core/guard.h"
#include "core/subscription.h"

#define KW_CHANNEL_ADDRESSES_MAX 20
#define KW_CHANNEL_URL_MAX 180 /* what a secret takes */
#define KW_CHANNEL_EVERY_MAX_MS INT64_C(86400000)
#define KW_CHANNEL_OWNER_MEMBER "ownerEmail" /* of a key's metadata: where mail to its owner goes */
#define KW_MAIL_ADDRESS_MAX 254
#define KW_COMMAND_NAME_MAX 64

enum kw_channel_kind {
    KW_CHANNEL_EMAIL,
    KW_CHANNEL_SLACK,
    KW_CHANNEL_COMMAND,
};

struct kw_channel {
    struct kw_bytes name;
    enum kw_channel_kind kind;
    const struct kw_bytes *to; /* e-mail: addresses; none: to_owner */
    size_t to_count;
    bool to_owner;           /* e-mail: the address of the key's owner */
    struct kw_bytes url;     /* Slack: kw_channel_mask_url */
    struct kw_bytes command; /* its name in the configuration */
    struct kw_subscription subscription;
    int64_t every_ms; /* after one message the next comes no sooner; 0: at once */
};

/* "email", "slack", "command" */
const char *kw_channel_kind_name(enum kw_channel_kind kind);

/* Appends where a URL leads and nothing that is secret of it: "https://hooks.example.com/...". It is one itself. */
void kw_channel_mask_url(struct kw_bytes url, struct kw_buffer *out);

/* "local@domain" of the characters that mail takes without quotes: nothing that could end a line or begin a command. */
KW_MUST_USE bool kw_mail_address_valid(struct kw_bytes text);

#endif
