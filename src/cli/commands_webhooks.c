#include "cli/commands_webhooks.h"

#include "base/bytes.h"

static const struct kw_option webhooks_options[] = {
    {.name = "name", .argument = "NAME", .help = "create: its name", .place = KW_PLACE_TEXT, .field = "name"},
    {.name = "to",
     .argument = "URL",
     .help = "create, update: where events are sent",
     .place = KW_PLACE_TEXT,
     .field = "url"},
    {.name = "unordered",
     .help = "each event as soon as it can, not one after the other for each key",
     .place = KW_PLACE_FALSE,
     .field = "ordered"},
    {.name = "signature",
     .argument = "HOW",
     .help = "hmac (if it is not given), ed25519 or both",
     .place = KW_PLACE_TEXT,
     .field = "signature"},
    {.name = "answer-within",
     .argument = "DURATION",
     .help = "how long an answer may take, 1s to 30s",
     .place = KW_PLACE_TEXT,
     .field = "timeout"},
    {.name = "overlap",
     .argument = "DURATION",
     .help = "rotate: how long the secret before signs on (1d)",
     .place = KW_PLACE_TEXT,
     .field = "overlap"},
};

static const struct kw_option subscription_options[] = {
    {.name = "event",
     .argument = "NAME",
     .help = "which events: key.revoked, 'key.*' (all, if none is given)",
     .place = KW_PLACE_LIST,
     .field = "events",
     .repeats = true},
    {.name = "env",
     .argument = "ENV",
     .help = "of keys of this environment alone",
     .place = KW_PLACE_LIST,
     .field = "environments",
     .repeats = true},
    {.name = "owner",
     .argument = "TYPE:ID",
     .help = "of keys of this owner alone",
     .place = KW_PLACE_LIST,
     .field = "owners",
     .repeats = true},
    {.name = "status",
     .argument = "STATUS",
     .help = "update: active, paused or disabled",
     .place = KW_PLACE_TEXT,
     .field = "status"},
    {.name = "description",
     .argument = "TEXT",
     .help = "what it is for",
     .place = KW_PLACE_TEXT,
     .field = "description"},
    {.name = "delivery", .argument = "ID", .help = "replay: this one", .place = KW_PLACE_TEXT, .field = "id"},
    {.name = "since",
     .argument = "TIME",
     .help = "replay: all of events from then on: 2026-01-31T00:00:00Z",
     .place = KW_PLACE_TEXT,
     .field = "since"},
    {.name = "failed-only",
     .help = "replay: of these, those alone that have failed for good",
     .place = KW_PLACE_TRUE,
     .field = "failedOnly"},
    {.name = "state",
     .argument = "STATE",
     .help = "deliveries: waiting, sending, held, delivered or failed",
     .place = KW_PLACE_QUERY,
     .field = "state"},
    {.name = "from",
     .argument = "TIME",
     .help = "deliveries: of events from then on",
     .place = KW_PLACE_QUERY,
     .field = "from"},
    {.name = "limit", .argument = "N", .help = "how many at once", .place = KW_PLACE_QUERY, .field = "limit"},
    {.name = "cursor", .argument = "CURSOR", .help = "where to go on", .place = KW_PLACE_QUERY, .field = "cursor"},
};

static const struct kw_option outgoing_options[] = {
    {.name = "config",
     .argument = "FILE",
     .help = "the relay for mail, and commands that channels may name (docs/notices.md)"},
    {.name = "allow-private",
     .argument = "RANGE",
     .help = "a range that webhooks and chats may lead to: 10.1.0.0/16, 127.0.0.1",
     .repeats = true},
};

const struct kw_option_group kw__subscription_group = {"What it is told, and what was sent", subscription_options,
                                                       KW_COUNT_OF(subscription_options)};
const struct kw_option_group kw__webhooks_group = {"The endpoint", webhooks_options, KW_COUNT_OF(webhooks_options)};
const struct kw_option_group kw__outgoing_group = {"What goes out", outgoing_options, KW_COUNT_OF(outgoing_options)};
const struct kw_key_call kw__webhooks_call = {.method = KW_GET, .path = "/v1/webhooks"};
const char kw__webhooks_about[] =
    "list, create, show NAME, update NAME, delete NAME; enable and disable; rotate gives it another secret, ping "
    "tries\n"
    "it out. deliveries NAME lists what was sent and what became of it, replay NAME sends again: one with --delivery, "
    "or\n"
    "all with --since. A new secret is shown once. docs/webhooks.md says how to check what was signed with it.";
