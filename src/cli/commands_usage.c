#include "cli/commands_usage.h"

#include "base/bytes.h"

static const struct kw_option audit_options[] = {
    {.name = "key", .argument = "ID", .help = "what was done to this key", .place = KW_PLACE_QUERY, .field = "key"},
    {.name = "owner",
     .argument = "TYPE:ID",
     .help = "what was done to keys of this owner",
     .place = KW_PLACE_QUERY,
     .field = "owner"},
    {.name = "actor", .argument = "WHO", .help = "what this one did", .place = KW_PLACE_QUERY, .field = "actor"},
    {.name = "action",
     .argument = "ACTION",
     .help = "one action, such as key.revoked",
     .place = KW_PLACE_QUERY,
     .field = "action"},
    {.name = "from",
     .argument = "TIME",
     .help = "from then on: 2026-01-31T00:00:00Z",
     .place = KW_PLACE_QUERY,
     .field = "from"},
    {.name = "until", .argument = "TIME", .help = "before then", .place = KW_PLACE_QUERY, .field = "until"},
    {.name = "sort",
     .argument = "ORDER",
     .help = "timestamp, or -timestamp: the latest first (if it is not given)",
     .place = KW_PLACE_QUERY,
     .field = "sort"},
    {.name = "limit", .argument = "N", .help = "how many at once", .place = KW_PLACE_QUERY, .field = "limit"},
    {.name = "cursor", .argument = "CURSOR", .help = "where to go on", .place = KW_PLACE_QUERY, .field = "cursor"},
    {.name = "head",
     .argument = "HEAD",
     .help = "verify: the head that an earlier proof gave; the log must come past it"},
    {.name = "before", .argument = "TIME", .help = "prune: entries from before then go"},
    {.name = "reason", .argument = "TEXT", .help = "prune, erase: why; kept in the log"},
    {.name = "checkpoints",
     .argument = "FILE",
     .help = "verify: checkpoints that were kept elsewhere, a line each; the log must agree with them"},
    {.name = "public-key",
     .argument = "HEX",
     .help = "verify: the key that signs checkpoints (if it is not given, the one that file or log says)"},
};

static const struct kw_option usage_options[] = {
    {.name = "owner",
     .argument = "TYPE:ID",
     .help = "of all keys of this owner: user:1, team:9, service:ci",
     .place = KW_PLACE_QUERY,
     .field = "owner"},
    {.name = "org",
     .argument = "ID",
     .help = "of all keys of this organization",
     .place = KW_PLACE_QUERY,
     .field = "org"},
    {.name = "from",
     .argument = "TIME",
     .help = "from then on: 2026-01-31T00:00:00Z (a day ago, if it is not given)",
     .place = KW_PLACE_QUERY,
     .field = "from"},
    {.name = "until",
     .argument = "TIME",
     .help = "until then (now, if it is not given)",
     .place = KW_PLACE_QUERY,
     .field = "until"},
    {.name = "by",
     .argument = "SPAN",
     .help = "hour or day (days, if it is not given, where the time is longer than two)",
     .place = KW_PLACE_QUERY,
     .field = "by"},
    {.name = "group",
     .argument = "WHAT",
     .help = "code (if it is not given), endpoint, region or metric",
     .place = KW_PLACE_QUERY,
     .field = "group"},
    {.name = "csv", .help = "a line for each amount: at, what, amount"},
};

static const struct kw_option report_options[] = {
    {.name = "used",
     .argument = "METRIC=N",
     .help = "how much of what: tokens=1500, cost=0.002",
     .place = KW_PLACE_AMOUNTS,
     .field = "used",
     .repeats = true},
    {.name = "endpoint",
     .argument = "TEXT",
     .help = "what it was used for: 'POST /v1/chat'",
     .place = KW_PLACE_TEXT,
     .field = "endpoint"},
    {.name = "idempotency-key",
     .argument = "TEXT",
     .help = "a name for this call, to try again with when its answer got lost"},
};

static const struct kw_option credit_options[] = {
    {.name = "quota",
     .argument = "NAME",
     .help = "which: its name, as `keyward usage ID` shows it",
     .place = KW_PLACE_TEXT,
     .field = "quota"},
    {.name = "amount", .argument = "N", .help = "how much", .place = KW_PLACE_JSON, .field = "amount"},
    {.name = "refill", .help = "all that was used in this period", .place = KW_PLACE_TRUE, .field = "refill"},
    {.name = "reason",
     .argument = "TEXT",
     .help = "why; kept in the audit log",
     .place = KW_PLACE_TEXT,
     .field = "reason"},
};

const char kw__audit_about[] =
    "`list` shows the latest entries, `checkpoints` what was signed of the log. `export` writes all of it, a line of\n"
    "JSON for each entry, from the first on. `verify` reckons the chain of the log anew, or that of an exported FILE,\n"
    "holds it against checkpoints, and names the first entry that was changed, is missing, was added or moved. Exits\n"
    "with 0 if it is whole, 1 if not, and 2 if nobody can say. `prune` removes what is old, `erase`\n"
    "takes what tells of an owner or actor out of the entries; the log stays provable.";
const struct kw_option_group kw__audit_group = {"Options", audit_options, KW_COUNT_OF(audit_options)};
const struct kw_option_group kw__usage_group = {"Of what, and when", usage_options, KW_COUNT_OF(usage_options)};
const struct kw_option_group kw__report_group = {"Options", report_options, KW_COUNT_OF(report_options)};
const struct kw_option_group kw__credit_group = {"Options", credit_options, KW_COUNT_OF(credit_options)};
const struct kw_key_call kw__audit_call = {.method = KW_GET, .path = "/v1/audit"};
const struct kw_key_call kw__usage_call = {.method = KW_GET, .path = "/v1/keys/{id}/usage", .bare_path = "/v1/usage"};
const struct kw_key_call kw__report_call = {.method = KW_POST, .path = "/v1/keys/{id}/usage", .has_body = true};
const struct kw_key_call kw__credit_call = {.method = KW_POST, .path = "/v1/keys/{id}/credit", .has_body = true};
