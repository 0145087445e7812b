#include "cli/commands_events.h"

static const struct kw_option events_options[] = {
    {.name = "type",
     .argument = "TYPE",
     .help = "what happened: key.revoked or revoked, quota.*, policy.*",
     .place = KW_PLACE_QUERY,
     .field = "type",
     .repeats = true},
    {.name = "key", .argument = "ID", .help = "what happened to this key", .place = KW_PLACE_QUERY, .field = "key"},
    {.name = "owner",
     .argument = "TYPE:ID",
     .help = "what happened to keys of this owner",
     .place = KW_PLACE_QUERY,
     .field = "owner"},
    {.name = "env",
     .argument = "NAME",
     .help = "what happened to keys of this environment",
     .place = KW_PLACE_QUERY,
     .field = "env"},
    {.name = "since",
     .argument = "TIME",
     .help = "from then on: 2026-01-31T00:00:00Z",
     .place = KW_PLACE_QUERY,
     .field = "since"},
    {.name = "sort",
     .argument = "ORDER",
     .help = "timestamp (if it is not given), or -timestamp: the latest first",
     .place = KW_PLACE_QUERY,
     .field = "sort"},
    {.name = "limit", .argument = "N", .help = "how many at once", .place = KW_PLACE_QUERY, .field = "limit"},
    {.name = "cursor", .argument = "CURSOR", .help = "where to go on", .place = KW_PLACE_QUERY, .field = "cursor"},
    {.name = "follow", .help = "go on with what happens, until Ctrl-C; needs a server"},
};

const struct kw_option_group kw__events_group = {"Options", events_options, KW_COUNT_OF(events_options)};
const struct kw_key_call kw__events_call = {.method = KW_GET, .path = "/v1/events"};
const char kw__events_about[] =
    "In the order in which it happened; docs/events.md lists all types. With --follow it begins with what happens\n"
    "from then on, or at --since or --cursor, and asks again where the server breaks off, so that nothing is left "
    "out.\n"
    "--json then shows each event as a line of JSON.";
