/* What the commands on use and on the audit log take, and those that give a key a schedule, for their table
 * (commands.c). */
#ifndef KW_CLI_COMMANDS_USAGE_H
#define KW_CLI_COMMANDS_USAGE_H

#include "cli/cli.h"
#include "cli/keys.h"

extern const char kw__audit_about[];
extern const struct kw_option_group kw__audit_group, kw__usage_group, kw__report_group, kw__credit_group;
extern const struct kw_option_group kw__schedule_group;
extern const struct kw_key_call kw__audit_call, kw__usage_call, kw__report_call, kw__credit_call;

#endif
