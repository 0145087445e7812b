#include "base/bytes.h"
#include "cli/commands_webhooks.h"

static const struct kw_option channels_options[] = {
    {.name = "name", .argument = "NAME", .help = "create: its name", .place = KW_PLACE_TEXT, .field = "name"},
    {.name = "kind",
     .argument = "KIND",
     .help = "create: email, slack or command",
     .place = KW_PLACE_TEXT,
     .field = "kind"},
    {.name = "to",
     .argument = "ADDRESS",
     .help = "email: whom it goes to",
     .place = KW_PLACE_LIST,
     .field = "to",
     .repeats = true},
    {.name = "to-owner",
     .help = "email, instead: to the owner of each key, at the ownerEmail of its metadata",
     .place = KW_PLACE_TRUE,
     .field = "toOwner"},
    {.name = "chat",
     .argument = "URL",
     .help = "slack: where messages are sent; it is kept sealed",
     .place = KW_PLACE_TEXT,
     .field = "url"},
    {.name = "command",
     .argument = "NAME",
     .help = "command: its name in the server's configuration",
     .place = KW_PLACE_TEXT,
     .field = "command"},
    {.name = "every",
     .argument = "DURATION",
     .help = "how long it is quiet after a message: 0s to 1d (5m)",
     .place = KW_PLACE_TEXT,
     .field = "every"},
};

const struct kw_option_group kw__channels_group = {"The channel", channels_options, KW_COUNT_OF(channels_options)};
const struct kw_key_call kw__channels_call = {.method = KW_GET, .path = "/v1/channels"};
const char kw__channels_about[] =
    "list, create, show NAME, update NAME, delete NAME; enable and disable; test sends one message. deliveries NAME\n"
    "lists what was sent and what became of it, replay NAME sends again: one event with --delivery, or all with\n"
    "--since. Mail and commands need the server's configuration file (keyward serve --config): docs/notices.md.";
