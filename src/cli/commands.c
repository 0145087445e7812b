#include "cli/commands_events.h"
#include "cli/commands_usage.h"
#include "cli/commands_webhooks.h"
#include "cli/keys.h"
#include "cli/pepper.h"
#include "cli/progress.h"

#include <keyward/record.h>

/* clang-format off */

/* --- options that commands share --- */

static const struct kw_option where_options[] = {
    {.name = "url", .argument = "URL", .help = "a server's address (KEYWARD_URL; " KW_CLI_DEFAULT_URL " if KEYWARD_KEY is set)"},
    {.name = "management-key-file", .argument = "FILE", .help = "the server's management key, instead of KEYWARD_KEY"},
    {.name = "cacert", .argument = "FILE", .help = "trust the server's certificate by this one (PEM)"},
    {.name = "timeout", .argument = "DURATION", .help = "how long to wait for a server that is busy (" KW_CLI_DEFAULT_TIMEOUT ")"},
    {.name = "data", .argument = "DIR", .help = "a data folder, when no server holds it"},
    {.name = "pepper-file", .argument = "FILE", .help = "the folder's pepper, instead of KEYWARD_PEPPER or DIR/pepper"},
    {.name = "project", .argument = "NAME", .help = "the project (if it is not given, the management key's, or else default)"},
};

static const struct kw_option output_options[] = {
    {.name = "json", .help = "JSON for programs; problems too, on standard error"},
};

#define GROUP(heading, table) {.title = (heading), .options = (table), .count = KW_COUNT_OF(table)}

static const struct kw_option_group where_group = GROUP("Where the keys are", where_options);
static const struct kw_option_group output_group = GROUP("Output", output_options);

/* What creations, updates and rotations say about a key. Rows are macros, since tables hold them by value. */
#define OPTION_ORG {.name = "org", .argument = "ID", .help = "the organization that it belongs to", \
                    .place = KW_PLACE_TEXT, .field = "orgId"}
#define OPTIONS_DESCRIBING \
    {.name = "name", .argument = "TEXT", .help = "what people call it", .place = KW_PLACE_TEXT, .field = "name"}, \
    {.name = "description", .argument = "TEXT", .help = "what it is for", .place = KW_PLACE_TEXT, \
     .field = "description"}, \
    {.name = "tag", .argument = "TAG", .help = "a word to find it by", .place = KW_PLACE_LIST, .field = "tags", \
     .repeats = true}, \
    {.name = "metadata", .argument = "JSON|@FILE", .help = "a JSON object of your own, or @ and the file that it is in", .place = KW_PLACE_JSON, \
     .field = "metadata"}, \
    {.name = "scope", .argument = "SCOPE", .help = "what it may do: read, read:*, *", .place = KW_PLACE_LIST, \
     .field = "scopes", .repeats = true}, \
    {.name = "resource", .argument = "TYPE:ID=SCOPE,SCOPE", .help = "what it may do on one resource: website:123=read,write", \
     .place = KW_PLACE_RESOURCES, .field = "resources", .repeats = true}, \
    {.name = "rate-limit", .argument = "[NAME=]N/WINDOW[,PER]", \
     .help = "how often it may be used: 100/1m, burst=10/1s,owner", .place = KW_PLACE_RATE_LIMITS, \
     .field = "rateLimits", .repeats = true}, \
    {.name = "quota", .argument = "[METRIC=]N/PERIOD[,WORD]", \
     .help = "how much it may use: 10000/month, tokens=1000000/day,warn", .place = KW_PLACE_QUOTAS, .field = "quotas", \
     .repeats = true}, \
    {.name = "expires-in", .argument = "DURATION", .help = "how long it is valid: 12h, 90d, 1y", \
     .place = KW_PLACE_TEXT, .field = "expiresIn"}, \
    {.name = "expires-at", .argument = "TIME", .help = "or until when: 2027-01-31T00:00:00Z", .place = KW_PLACE_TEXT, \
     .field = "expiresAt"}, \
    {.name = "allow-ip", .argument = "ADDRESS|RANGE", .help = "it works from here only: 192.0.2.1, 2001:db8::/32", \
     .place = KW_PLACE_LIST, .field = "allowedIPs", .repeats = true}, \
    {.name = "block-ip", .argument = "ADDRESS|RANGE", .help = "it never works from here", .place = KW_PLACE_LIST, \
     .field = "blockedIPs", .repeats = true}, \
    {.name = "allow-region", .argument = "REGION", .help = "it works in these only: US, US-CA, EU, EEA", \
     .place = KW_PLACE_LIST, .field = "allowedRegions", .repeats = true}, \
    {.name = "block-region", .argument = "REGION", .help = "it never works in these", .place = KW_PLACE_LIST, \
     .field = "blockedRegions", .repeats = true}

#define OPTION_POLICY {.name = "policy", .argument = "NAME", .help = "a policy that the key must keep within", \
                       .place = KW_PLACE_TEXT, .field = "policy"}
#define OPTION_CLEAR {.name = "clear", .argument = "FIELD", .help = "empties a field: name, tag, expires-at, …", \
                      .place = KW_PLACE_CLEAR, .repeats = true}
#define OPTION_ONCE {.name = "idempotency-key", .argument = "TEXT", \
                     .help = "a name for this call, to try again with when its answer got lost"}
#define OPTION_IF_VERSION {.name = "if-version", .argument = "N", .help = "only if the key is still of this version"}
/* Which keys a list or an export is of. */
#define OPTIONS_WHICH_KEYS \
    {.name = "owner", .argument = "TYPE:ID", .help = "of this owner: user:1, team:9, service:ci", .place = KW_PLACE_QUERY, .field = "owner"}, \
    {.name = "org", .argument = "ID", .help = "of this organization", .place = KW_PLACE_QUERY, .field = "org"}, \
    {.name = "tag", .argument = "TAG", .help = "with this tag, or any of several", .place = KW_PLACE_QUERY, \
     .field = "tag", .repeats = true}, \
    {.name = "tag-mode", .argument = "MODE", .help = "any (of the tags, if it is not given) or all (of them)", \
     .place = KW_PLACE_QUERY, .field = "tagMode"}, \
    {.name = "env", .argument = "NAME", .help = "of this environment", .place = KW_PLACE_QUERY, .field = "env"}
#define OPTION_REASON {.name = "reason", .argument = "TEXT", .help = "why; it is kept with the key", \
                       .place = KW_PLACE_TEXT, .field = "reason"}
#define OPTION_REASON_TO_LOG {.name = "reason", .argument = "TEXT", .help = "why; kept in the audit log", \
                              .place = KW_PLACE_TEXT, .field = "reason"}

/* --- each command's own --- */

static const struct kw_option create_options[] = {
    {.name = "owner", .argument = "TYPE:ID", .help = "who holds it, where no parent or template says so: user:1, team:9, service:ci",
     .place = KW_PLACE_TEXT, .field = "owner"},
    {.name = "env", .argument = "NAME", .help = "the environment: live (if it is not given) or test",
     .place = KW_PLACE_TEXT, .field = "env"},
    {.name = "public", .help = "a public key, which may stand in browsers", .place = KW_PLACE_TRUE, .field = "isPublic"},
    {.name = "parent", .argument = "ID", .help = "a child of this key: it may do no more, and ends with it",
     .place = KW_PLACE_TEXT, .field = "parentId"},
    {.name = "template", .argument = "NAME", .help = "a template that gives what is not given here",
     .place = KW_PLACE_TEXT, .field = "template"},
    {.name = "preset", .argument = "NAME", .help = "scopes under a name: readOnly, fullAccess, or the project's own",
     .place = KW_PLACE_TEXT, .field = "preset"},
    OPTION_POLICY,
    OPTION_ORG,
    OPTIONS_DESCRIBING,
    OPTION_ONCE,
};

static const struct kw_option update_options[] = {OPTION_POLICY, OPTION_ORG, OPTIONS_DESCRIBING, OPTION_CLEAR,
                                                 OPTION_IF_VERSION};

static const struct kw_option rotate_options[] = {
    {.name = "grace", .argument = "DURATION", .help = "how long the old key goes on working: 1h, 7d, at most 1y; else it is revoked now",
     .place = KW_PLACE_TEXT, .field = "gracePeriod"},
    {.name = "end-grace-on-first-use", .help = "the grace also ends when the new key is first used",
     .place = KW_PLACE_TRUE, .field = "endGraceOnFirstUse"},
    OPTIONS_DESCRIBING,
    OPTION_CLEAR,
    OPTION_IF_VERSION,
    OPTION_ONCE,
};

#define OPTION_NO_CASCADE {.name = "no-cascade", .help = "only if no other key stops with it, as a child of it", \
                           .place = KW_PLACE_FALSE, .field = "cascade"}
static const struct kw_option revoke_options[] = {OPTION_REASON, OPTION_IF_VERSION, OPTION_NO_CASCADE};
static const struct kw_option disable_options[] = {OPTION_REASON_TO_LOG, OPTION_IF_VERSION, OPTION_NO_CASCADE};
static const struct kw_option enable_options[] = {OPTION_REASON_TO_LOG, OPTION_IF_VERSION};
static const struct kw_option version_options[] = {OPTION_IF_VERSION};

/* cmd_import.c reads those that go nowhere. */
static const struct kw_option import_options[] = {
    {.name = "format", .argument = "FORMAT", .help = "ndjson, json, csv or keypal; if it is not given, by the file's name or first bytes"},
    {.name = "map", .argument = "COLUMN=FIELD", .help = "what a column of CSV means: a field, metadata.NAME, or - to leave it out",
     .repeats = true},
    {.name = "on-conflict", .argument = "WAY", .help = "what is here already: skip it (if it is not given), overwrite it, or error",
     .place = KW_PLACE_QUERY, .field = "onConflict"},
    {.name = "dry-run", .help = "only say what would become of each line"},
    {.name = "owner", .argument = "TYPE:ID", .help = "who holds keys whose line does not say it: user:1", .place = KW_PLACE_QUERY,
     .field = "owner"},
    {.name = "env", .argument = "NAME", .help = "the environment of such keys", .place = KW_PLACE_QUERY, .field = "env"},
    {.name = "prefix", .argument = "TEXT", .help = "what keys of another form than Keyward's begin with",
     .place = KW_PLACE_QUERY, .field = "prefix"},
    {.name = "algorithm", .argument = "NAME", .help = "what made each keyHash: sha256 or sha512; else its length says it",
     .place = KW_PLACE_QUERY, .field = "algorithm"},
    {.name = "salt", .argument = "TEXT", .help = "the salt that each keyHash was made with", .place = KW_PLACE_QUERY,
     .field = "salt"},
    {.name = "salt-place", .argument = "PLACE", .help = "where it stood: after the key (if it is not given), or before",
     .place = KW_PLACE_QUERY, .field = "saltPlace"},
    {.name = "report", .argument = "FILE|-",
     .help = "what became of every line that was not simply created, as NDJSON. -: standard output"},
    KW_OPTION_PROGRESS,
};

/* cmd_many.c knows them by name. */
static const struct kw_option filter_options[] = {
    {.name = "owner", .argument = "TYPE:ID", .help = "all keys of this owner: user:1, team:9, service:ci", .place = KW_PLACE_TEXT, .field = "owner"},
    {.name = "org", .argument = "ID", .help = "all keys of this organization", .place = KW_PLACE_TEXT, .field = "org"},
    {.name = "tag", .argument = "TAG", .help = "all keys with this tag", .place = KW_PLACE_TEXT, .field = "tag"},
    {.name = "yes", .help = "do not ask before changing what a filter means"},
};

static const struct kw_option list_options[] = {
    OPTIONS_WHICH_KEYS,
    {.name = "policy", .argument = "NAME", .help = "under this policy", .place = KW_PLACE_QUERY, .field = "policy"},
    {.name = "parent", .argument = "ID", .help = "children of this key", .place = KW_PLACE_QUERY, .field = "parent"},
    {.name = "last-four", .argument = "XXXX", .help = "that end in these four characters", .place = KW_PLACE_QUERY,
     .field = "lastFour"},
    {.name = "created-after", .argument = "TIME", .help = "made then or later: 2026-01-31T00:00:00Z",
     .place = KW_PLACE_QUERY, .field = "createdAfter"},
    {.name = "created-before", .argument = "TIME", .help = "made before", .place = KW_PLACE_QUERY,
     .field = "createdBefore"},
    {.name = "expires-before", .argument = "TIME", .help = "that expire before, in the order of their expiry",
     .place = KW_PLACE_QUERY, .field = "expiresBefore"},
    {.name = "used-before", .argument = "TIME", .help = "last used before, or never, in that order", .place = KW_PLACE_QUERY,
     .field = "usedBefore"},
    {.name = "used-after", .argument = "TIME", .help = "last used then or later, in that order", .place = KW_PLACE_QUERY,
     .field = "usedAfter"},
    {.name = "status", .argument = "STATUS", .help = "active, disabled, expired or revoked, as a verification sees it", .place = KW_PLACE_QUERY,
     .field = "status"},
    {.name = "search", .argument = "TEXT", .help = "with this text in name or description", .place = KW_PLACE_QUERY,
     .field = "q"},
    {.name = "sort", .argument = "ORDER", .help = "createdAt (if it is not given), -createdAt, expiresAt or lastUsedAt",
     .place = KW_PLACE_QUERY, .field = "sort"},
    {.name = "limit", .argument = "N", .help = "how many at once, 1 to 1000 (50)", .place = KW_PLACE_QUERY, .field = "limit"},
    {.name = "cursor", .argument = "CURSOR", .help = "where to go on: the nextCursor of the answer before", .place = KW_PLACE_QUERY, .field = "cursor"},
    {.name = "all", .help = "all of them, page after page"},
    {.name = "count", .help = "only how many there are"},
};

static const struct kw_option analyze_options[] = {
    OPTIONS_WHICH_KEYS,
    {.name = "limit", .argument = "N", .help = "how many keys to show (20, if it is not given)", .place = KW_PLACE_QUERY,
     .field = "limit"},
};

static const struct kw_option export_options[] = {
    OPTIONS_WHICH_KEYS,
    {.name = "format", .argument = "FORMAT", .help = "ndjson (if it is not given), or json for one document",
     .place = KW_PLACE_QUERY, .field = "format"},
    {.name = "out", .argument = "FILE|-",
     .help = "write to this file, there only once it is whole. -: standard output, as without it"},
    KW_OPTION_PROGRESS,
};

static const struct kw_option find_options[] = {
    {.name = "key-file", .argument = "FILE", .help = "the file that holds the key; else standard input"},
    {.name = "digest", .argument = "HEX", .help = "the key's digest, instead of a key", .place = KW_PLACE_TEXT,
     .field = "digest"},
};

static const struct kw_option apply_options[] = {
    {.name = "yes", .help = "make the changes without asking"},
    {.name = "dry-run", .help = "only show what would change"},
};

static const struct kw_option verify_options[] = {
    {.name = "key-file", .argument = "FILE", .help = "the file that holds the key; else standard input"},
    {.name = "scope", .argument = "SCOPE", .help = "what it must be allowed to do", .place = KW_PLACE_LIST,
     .field = "scopes", .repeats = true},
    {.name = "resource", .argument = "TYPE:ID=SCOPE,SCOPE", .help = "and on which resource",
     .place = KW_PLACE_RESOURCE, .field = "resource"},
    {.name = "require", .argument = "EXPRESSION", .help = "scopes in AND, OR and (): 'read AND (invoices OR admin)'",
     .place = KW_PLACE_TEXT, .field = "require"},
    {.name = "env", .argument = "NAME", .help = "the environment that it must belong to", .place = KW_PLACE_TEXT,
     .field = "env"},
    {.name = "ip", .argument = "ADDRESS", .help = "the address that the request comes from", .place = KW_PLACE_TEXT,
     .field = "ip"},
    {.name = "geo", .argument = "REGION", .help = "the country or part of it that it comes from: US, US-CA",
     .place = KW_PLACE_GEO, .field = "geo"},
    {.name = "cost", .argument = "N", .help = "what it takes from rate limits and quotas of requests (1, if it is not given)",
     .place = KW_PLACE_JSON, .field = "cost"},
    {.name = "endpoint", .argument = "TEXT", .help = "what it is used for, to be counted: 'GET /v1/things'",
     .place = KW_PLACE_TEXT, .field = "endpoint"},
};

static const struct kw_option batch_options[] = {
    {.name = "format", .argument = "FORMAT", .help = "of FILE: csv or ndjson (its name says, if it is not given)"},
    {.name = "map", .argument = "COLUMN=FIELD", .help = "a column of a CSV is this field; 'COLUMN=-' leaves it out",
     .repeats = true},
    {.name = "out", .argument = "FILE|-", .help = "where the lines go, keys too; made with mode 0600. -: standard output"},
    {.name = "out-format", .argument = "FORMAT", .help = "of --out: ndjson (if it is not given) or csv"},
    {.name = "atomic", .help = "each chunk as a whole or not at all"},
    {.name = "chunk", .argument = "N", .help = "items of one request, 1 to 1000 (1000)"},
    {.name = "state", .argument = "FILE", .help = "how far it has come (the name of --out with .state)"},
    {.name = "resume", .help = "go on with a run that was stopped, or that broke off"},
    {.name = "rotate-unseen", .help = "replace keys whose secret was lost when a run broke off"},
    {.name = "dry-run", .help = "only check what can be checked here; send nothing"},
    KW_OPTION_PROGRESS,
};

static const struct kw_option generate_options[] = {
    {.name = "env", .argument = "NAME", .help = "as the keys of this environment: live (if it is not given) or test"},
    {.name = "public", .help = "as its public keys"},
    {.name = "prefix", .argument = "PREFIX", .help = "with a prefix of your own: a-z, 0-9, '_', '-', '_' at the end"},
    {.name = "length", .argument = "N", .help = "random characters (32, if it is not given)"},
    {.name = "alphabet", .argument = "LETTERS", .help = "the characters to draw from (0-9, A-Z and a-z)"},
    {.name = "management", .help = "a management key, which KEYWARD_ROOT_KEY accepts"},
};

static const struct kw_option serve_options[] = {
    {.name = "data", .argument = "DIR", .help = "the data folder (" KW_CLI_DEFAULT_DATA ", if it is not given)"},
    {.name = "listen", .argument = "ADDRESS:PORT", .help = "where to listen (" KW_CLI_DEFAULT_LISTEN ")"},
    {.name = "tls-cert", .argument = "FILE", .help = "the certificate and its chain (PEM): serve HTTPS"},
    {.name = "tls-key", .argument = "FILE", .help = "the certificate's private key (PEM)"},
    {.name = "pepper-file", .argument = "FILE", .help = "the pepper, instead of KEYWARD_PEPPER or DIR/pepper"},
    {.name = "audit-key-file", .argument = "FILE", .help = "the key that signs the audit log, instead of DIR/audit-key"},
    {.name = "checkpoint-file", .argument = "FILE", .help = "append each checkpoint of the audit log to it"},
    {.name = "trust-proxy", .argument = "ADDRESS|RANGE", .help = "a proxy whose X-Forwarded-For is true; 64 at most",
     .repeats = true},
    {.name = "geo-database", .argument = "FILE", .help = "a MaxMind database: the country of each address"},
    {.name = "new-root-key", .help = "make a new root key and retire the one there is"},
    {.name = "log-level", .argument = "LEVEL", .help = "debug, info (if it is not given), warn or error"},
};

static const struct kw_option limit_options[] = {
    {.name = "loops", .argument = "N", .help = "event loops (one a core)"},
    {.name = "connections", .argument = "N", .help = "connections at a time (what the limit of open files allows)"},
    {.name = "header-timeout", .argument = "DURATION", .help = "for the head of a request (10s)"},
    {.name = "body-timeout", .argument = "DURATION", .help = "for the body of a request (30s)"},
    {.name = "idle-timeout", .argument = "DURATION", .help = "between requests (75s)"},
    {.name = "write-timeout", .argument = "DURATION", .help = "for a client to take its answer (30s)"},
    {.name = "drain-timeout", .argument = "DURATION", .help = "after SIGTERM, for what is under way (10s)"},
};

static const struct kw_option_group create_group = GROUP("The key", create_options);
static const struct kw_option_group update_group = GROUP("What changes; lists are replaced", update_options);
static const struct kw_option_group rotate_group = GROUP("The new key; what is not given stays as it was", rotate_options);
static const struct kw_option_group revoke_group = GROUP("Options", revoke_options);
static const struct kw_option_group disable_group = GROUP("Options", disable_options);
static const struct kw_option_group enable_group = GROUP("Options", enable_options);
static const struct kw_option_group version_group = GROUP("Options", version_options);
static const struct kw_option_group filter_group = GROUP("Instead of ids; all that is given must hold", filter_options);
static const struct kw_option_group list_group = GROUP("Which keys", list_options);
static const struct kw_option_group analyze_group = GROUP("Which keys", analyze_options);
static const struct kw_option_group export_group = GROUP("Which keys, and where to", export_options);
static const struct kw_option_group find_group = GROUP("The key", find_options);
static const struct kw_option_group import_group = GROUP("Options", import_options);
static const struct kw_option_group apply_group = GROUP("Options", apply_options);
static const struct kw_option_group verify_group = GROUP("The question", verify_options);
static const struct kw_option_group batch_group = GROUP("Options", batch_options);
static const struct kw_option_group generate_group = GROUP("The key's form", generate_options);
static const struct kw_option_group serve_group = GROUP("Options", serve_options);
static const struct kw_option_group limit_group = GROUP("Limits", limit_options);

/* --- calls --- */

static const struct kw_key_call create_call = {
    .method = KW_POST, .path = "/v1/keys", .has_body = true, .may_make = true, .view = KW_VIEW_CREATED};
static const struct kw_key_call list_call = {
    .method = KW_GET, .path = "/v1/keys", .count_path = "/v1/keys/count"};
static const struct kw_key_call show_call = {.method = KW_GET, .path = "/v1/keys/{id}", .view = KW_VIEW_RECORD};
static const struct kw_key_call find_call = {
    .method = KW_POST, .path = "/v1/keys/lookup", .has_body = true, .sends_key = true, .view = KW_VIEW_RECORD};
static const struct kw_key_call analyze_call = {
    .method = KW_GET, .path = "/v1/keys/{id}/insights", .bare_path = "/v1/insights"};
static const struct kw_key_call export_call = {.method = KW_GET, .path = "/v1/export"};
static const struct kw_key_call update_call = {
    .method = KW_PATCH, .path = "/v1/keys/{id}", .has_body = true, .view = KW_VIEW_RECORD};
static const struct kw_key_call verify_call = {
    .method = KW_POST, .path = "/v1/keys/verify", .has_body = true, .sends_key = true};
static const struct kw_key_call explain_call = {
    .method = KW_POST, .path = "/v1/keys/verify", .has_body = true, .sends_key = true, .is_dry_run = true};
static const struct kw_key_call enable_call = {
    .method = KW_POST, .path = "/v1/keys/{id}/enable", .many = "/v1/keys/enable", .has_body = true, .view = KW_VIEW_DONE,
    .done = "Enabled"};
static const struct kw_key_call disable_call = {
    .method = KW_POST, .path = "/v1/keys/{id}/disable", .many = "/v1/keys/disable", .has_body = true, .view = KW_VIEW_DONE,
    .done = "Disabled"};
static const struct kw_key_call revoke_call = {
    .method = KW_POST, .path = "/v1/keys/{id}/revoke", .many = "/v1/keys/revoke", .has_body = true, .view = KW_VIEW_DONE,
    .done = "Revoked"};
static const struct kw_key_call rotate_call = {
    .method = KW_POST, .path = "/v1/keys/{id}/rotate", .has_body = true, .view = KW_VIEW_CREATED};
static const struct kw_key_call import_call = {.method = KW_POST, .path = "/v1/import", .may_make = true};
static const struct kw_key_call erase_call = {
    .method = KW_DELETE, .path = "/v1/keys/{id}", .view = KW_VIEW_DONE, .done = "Erased"};

/* --- the table --- */

#define IDS .operands = "[ID]...", .operands_max = KW_BULK_IDS_MAX
#define ABOUT_MANY "Several ids, or a filter, are one change: all of it is made or nothing. Keys that are so already are left\n" \
                   "alone. Before a filter is obeyed it is asked for confirmation, unless --yes is given."

#define DOCUMENTS .run = kw_cmd_documents, .operands = "list|show NAME|delete NAME", .operands_min = 1, .operands_max = 2
#define ONE_ID .operands = "ID", .operands_min = 1, .operands_max = 1
#define ABOUT_ONCE \
    "Exits with 0 when the new key was shown, 2 when there is none, and 3 when the same call was done before under its\n" \
    "--idempotency-key: then the key was shown at that time, and only its record is shown now."
#define EXAMPLE_ID "key_01J9ZV3T5K8W2Q7R4M6N0PXYBC"

static const struct kw_cli_command commands[] = {
    {.name = "serve", .summary = "Runs the server on a data folder.", .run = kw_cmd_serve,
     .about = "The first start makes the folder and a root management key, and shows that key on the terminal; without a\n"
              "terminal it is written to DIR/root-key. KEYWARD_ROOT_KEY sets it instead. SIGTERM ends the server when what\n"
              "is under way is done. One line of JSON for each request goes to standard error.",
     .groups = {&serve_group, &limit_group, &kw__outgoing_group},
     .example = "keyward serve --data /var/lib/keyward --listen 127.0.0.1:7411"},
    {.name = "create", .summary = "Makes a key and shows it, once.", .run = kw_cmd_key, .key_call = &create_call,
     .about = ABOUT_ONCE, .groups = {&create_group, &kw__schedule_group, &where_group, &output_group},
     .example = "keyward create --owner user:1 --name laptop --scope read --expires-in 90d"},
    {.name = "list", .summary = "Lists keys.", .run = kw_cmd_list, .key_call = &list_call,
     .groups = {&list_group, &where_group, &output_group},
     .example = "keyward list --owner user:1 --status active --all"},
    {.name = "show", .summary = "Shows all that is kept of a key.", .run = kw_cmd_key, .key_call = &show_call, ONE_ID,
     .groups = {&where_group, &output_group}, .example = "keyward show " EXAMPLE_ID},
    {.name = "find", .summary = "Shows what is kept of a key that turned up.", .run = kw_cmd_find,
     .key_call = &find_call, .operands = "[-]", .operands_max = 1,
     .about = "The key is read from standard input or from a file, as 'verify' does; on a terminal it is asked for. Its\n"
              "record is shown whatever its state, and nothing is counted.",
     .groups = {&find_group, &where_group, &output_group}, .example = "keyward find --key-file key.txt"},
    {.name = "analyze", .summary = "Tells what to look at: of a key, or of all keys.", .run = kw_cmd_analyze,
     .key_call = &analyze_call, .operands = "[ID]", .operands_max = 1,
     .about = "Of a key: a name for it, the shape of its use, a score of how well it is bounded, and what to do. Without an\n"
              "ID the keys to look at first. docs/insights.md has the rules.",
     .groups = {&analyze_group, &where_group, &output_group},
     .example = "keyward analyze " EXAMPLE_ID},
    {.name = "update", .summary = "Changes what is kept of a key.", .run = kw_cmd_key, .key_call = &update_call, ONE_ID,
     .groups = {&update_group, &kw__schedule_group, &where_group, &output_group},
     .example = "keyward update " EXAMPLE_ID " --name 'build server' --clear expires-at"},
    {.name = "verify", .summary = "Asks whether a key is valid.", .run = kw_cmd_verify, .key_call = &verify_call,
     .operands = "[-]", .operands_max = 1,
     .about = "The key is read from standard input or from a file, so that neither the shell's history nor the list of\n"
              "processes shows it; on a terminal it is asked for. Exits with 0 if it is valid, 1 if it is not, and 2 if\n"
              "that could not be found out.",
     .groups = {&verify_group, &where_group, &output_group},
     .example = "keyward verify --key-file key.txt --scope read"},
    {.name = "explain", .summary = "Shows what each rule says of a key and a request.", .run = kw_cmd_verify,
     .key_call = &explain_call, .operands = "[-]", .operands_max = 1,
     .about = "As 'verify', with every rule on a line of its own and nothing spent. Exits with 0 if the key is valid, 1 if it\n"
              "is not, and 2 if that could not be found out.",
     .groups = {&verify_group, &where_group, &output_group},
     .example = "keyward explain --key-file key.txt --scope read --ip 192.0.2.1"},
    {.name = "usage", .summary = "Shows what keys were used for, by hour or day.", .run = kw_cmd_usage,
     .key_call = &kw__usage_call, .operands = "[ID]", .operands_max = 1,
     .about = "Of one key with its whole line of rotations; else of an owner, an organization or the project. Hours are kept\n"
              "for two days, days for as long as the project says.",
     .groups = {&kw__usage_group, &where_group, &output_group}, .example = "keyward usage " EXAMPLE_ID " --by day --group endpoint"},
    {.name = "audit", .summary = "Shows who did what, and proves that the log of it is whole.", .run = kw_cmd_audit,
     .key_call = &kw__audit_call, .operands = "[list|export|verify [FILE]|checkpoints|prune|erase]", .operands_max = 2,
     .about = kw__audit_about,
     .groups = {&kw__audit_group, &where_group, &output_group}, .example = "keyward audit verify"},
    KW__EVENTS_COMMAND(&where_group, &output_group),
    {.name = "report", .summary = "Counts what a key used, known only afterwards.", .run = kw_cmd_report,
     .key_call = &kw__report_call, ONE_ID, .groups = {&kw__report_group, &where_group, &output_group},
     .example = "keyward report " EXAMPLE_ID " --used tokens=1500 --used cost=0.002"},
    {.name = "credit", .summary = "Gives a quota of a key back what was used.", .run = kw_cmd_credit,
     .key_call = &kw__credit_call, ONE_ID, .groups = {&kw__credit_group, &where_group, &output_group},
     .example = "keyward credit " EXAMPLE_ID " --quota requests-month --amount 500 --reason 'the outage of Monday'"},
    {.name = "enable", .summary = "Lets disabled keys work again.", .run = kw_cmd_change, .key_call = &enable_call, IDS,
     .about = ABOUT_MANY, .groups = {&enable_group, &filter_group, &where_group, &output_group},
     .example = "keyward enable " EXAMPLE_ID},
    {.name = "disable", .summary = "Stops keys for the time being.", .run = kw_cmd_change, .key_call = &disable_call,
     IDS, .about = ABOUT_MANY, .groups = {&disable_group, &filter_group, &where_group, &output_group},
     .example = "keyward disable " EXAMPLE_ID " --reason 'the contract is being renewed'"},
    {.name = "revoke", .summary = "Stops keys for ever.", .run = kw_cmd_change, .key_call = &revoke_call, IDS,
     .about = ABOUT_MANY, .groups = {&revoke_group, &filter_group, &where_group, &output_group},
     .example = "keyward revoke " EXAMPLE_ID " --reason 'found in a public repository'"},
    {.name = "rotate", .summary = "Replaces a key by a new one, and shows that, once.", .run = kw_cmd_key,
     .key_call = &rotate_call, ONE_ID, .about = ABOUT_ONCE, .groups = {&rotate_group, &kw__schedule_group, &where_group, &output_group},
     .example = "keyward rotate " EXAMPLE_ID " --grace 24h"},
    {.name = "erase", .summary = "Removes what is kept of a revoked key.", .run = kw_cmd_key, .key_call = &erase_call,
     ONE_ID, .groups = {&version_group, &where_group, &output_group},
     .example = "keyward erase " EXAMPLE_ID},
    {.name = "import", .summary = "Imports keys: an export, a list of hashes, CSV, or plain keys.", .run = kw_cmd_import,
     .key_call = &import_call, .operands = "FILE|-", .operands_min = 1, .operands_max = 1,
     .about = "docs/import.md says which forms are understood. What is revoked, expired or erased here stays so. An import\n"
              "that was interrupted can simply be run again. Exits with 0 when no line was refused, 1 when some were or\n"
              "the file was cut short, and 2 when it could not go on.",
     .groups = {&import_group, &where_group, &output_group},
     .example = "keyward import keys.csv --map token=key --map customer=ownerId --dry-run"},
    {.name = "projects", .summary = "Lists projects, shows or deletes one.", DOCUMENTS,
     .about = "Only a project without keys can be deleted: erase them first. Its policies and templates go with it. Projects are\n"
              "made and changed with 'apply'.",
     .groups = {&where_group, &output_group}, .example = "keyward projects show default"},
    {.name = "policies", .summary = "Lists a project's policies, shows or deletes one.", DOCUMENTS,
     .about = "Only a policy without keys that are not revoked can be deleted. Policies are made and changed with 'apply'.",
     .groups = {&where_group, &output_group},
     .example = "keyward policies list --project shop"},
    {.name = "templates", .summary = "Lists a project's templates, shows or deletes one.", DOCUMENTS,
     .about = "Keys stay as they are when the template that they were made from is deleted. Templates are made and changed\n"
              "with 'apply'.",
     .groups = {&where_group, &output_group}, .example = "keyward templates show ci"},
    {KW__WEBHOOKS_ROW, .groups = {&kw__webhooks_group, &kw__subscription_group, &where_group, &output_group}},
    {KW__CHANNELS_ROW, .groups = {&kw__channels_group, &kw__subscription_group, &where_group, &output_group}},
    {.name = "apply", .summary = "Brings projects, policies and templates to what a file says.", .run = kw_cmd_apply,
     .operands = "FILE|-", .operands_min = 1, .operands_max = 1,
     .about = "FILE is JSON: {\"projects\": [...], \"policies\": [...], \"templates\": [...]}, as show --json prints them.\n"
              "What would change is shown first, field by field, and then asked about. Fields that the file does not name\n"
              "stay, and so does what it does not name at all. Exits with 1 if the answer was no.",
     .groups = {&apply_group, &where_group, &output_group},
     .example = "keyward apply keyward.json --dry-run"},
    {.name = "export", .summary = "Writes keys with their digests, to take elsewhere.", .run = kw_cmd_export,
     .key_call = &export_call,
     .about = "All that is kept of each key, and its digest; never a key, and never a pepper. Without --out it goes to standard\n"
              "output. The audit log says who took what. Exits with 0 only if everything is there: then the last line says\n"
              "how many keys it were.",
     .groups = {&export_group, &where_group, &output_group},
     .example = "keyward export --org acme --out acme.ndjson"},
    {.name = "batch", .summary = "Creates, verifies, updates or revokes many keys from a file.", .run = kw_cmd_batch,
     .operands = "create|verify|update|revoke FILE|-", .operands_min = 2, .operands_max = 2,
     .about = "FILE is CSV whose first line names the fields, or NDJSON: an item a line, with the fields that the\n"
              "interface's batches take. Each item gets a line of output: {line, ok, id, key, code, message}. Ctrl-C ends it\n"
              "after the chunk under way; --resume goes on, also after a crash, and does nothing twice.\n"
              "Exits with 0 when all items were done, 1 when some were refused, 2 when it broke off, 4 when it was stopped.",
     .groups = {&batch_group, &where_group, &output_group},
     .example = "keyward batch create customers.csv --map mail=name --out keys.ndjson"},
    {.name = "generate", .summary = "Prints a fresh key without keeping it.", .run = kw_cmd_generate,
     .groups = {&generate_group, &output_group},
     .example = "KEYWARD_ROOT_KEY=$(keyward generate --management) keyward serve"},
    {.name = "pepper", .summary = "Shows, renews and retires peppers.", .run = kw_cmd_pepper,
     .operands = "list|rotate|retire FINGERPRINT|export [FILE]|import FILE", .operands_min = 1, .operands_max = 2,
     .about = "There is one pepper or several, a line each in their file: the first is that of new keys, the others are kept\n"
              "for keys that were made with them. 'rotate' puts a new one first; keys move to it when they are next used,\n"
              "and 'retire' takes one out that no key needs any more. Erased keys need it too, to be kept away: without it an\n"
              "import may bring them in anew, which --forget-erased allows. A server does both while it runs, for its root key.\n"
              "Back the file up after each. 'export' and 'import' bring peppers to another installation, where records\n"
              "that were made with them are to be imported; they work on a data folder that no server holds.",
     .groups = {&kw__pepper_group, &output_group},
     .example = "keyward pepper rotate --data /var/lib/keyward"},
    {.name = "version", .summary = "Prints the version.", .run = kw_cmd_version, .example = "keyward version"},
    {.name = "help", .summary = "Shows this, or the page of a command.", .run = kw_cmd_help, .operands = "[COMMAND]",
     .operands_max = 1, .example = "keyward help create"},
};

/* clang-format on */

const struct kw_cli_command *kw_cli_command_at(size_t index)
{
    return index < KW_COUNT_OF(commands) ? &commands[index] : NULL;
}

const struct kw_cli_command *kw_cli_command_by_name(const char *name)
{
    for (size_t i = 0; i < KW_COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}
