/* What `keyward webhooks`, `keyward channels` and what goes out of `keyward serve` take, for their table (commands.c).
 */
#ifndef KW_CLI_COMMANDS_WEBHOOKS_H
#define KW_CLI_COMMANDS_WEBHOOKS_H

#include "cli/cli.h"
#include "cli/keys.h"

extern const struct kw_option_group kw__webhooks_group, kw__outgoing_group;
/* Of webhooks and channels alike. */
extern const struct kw_option_group kw__subscription_group;
extern const struct kw_key_call kw__webhooks_call;
extern const char kw__webhooks_about[];

int kw_cmd_webhooks(struct kw_cli *cli, const struct kw_command_line *line);

/* commands_channels.c */
extern const struct kw_option_group kw__channels_group;
extern const struct kw_key_call kw__channels_call;
extern const char kw__channels_about[];

#define KW__CHANNELS_ROW \
    .name = "channels", .summary = "Sets up how people are told of events: mail, chats, commands.", \
    .run = kw_cmd_webhooks, .key_call = &kw__channels_call, .operands = "list|create|show NAME|test NAME|…", \
    .operands_min = 1, .operands_max = 2, .about = kw__channels_about, \
    .example = \
        "keyward channels create --name team --kind slack --chat https://hooks.example.com/T01/B02 --event revoked"

#define KW__WEBHOOKS_ROW \
    .name = "webhooks", .summary = "Sets up endpoints that are told of events, and shows what was sent.", \
    .run = kw_cmd_webhooks, .key_call = &kw__webhooks_call, .operands = "list|create|show NAME|ping NAME|…", \
    .operands_min = 1, .operands_max = 2, .about = kw__webhooks_about, \
    .example = "keyward webhooks create --name orders --to https://hooks.example.com/keyward --event 'key.*'"

#endif
