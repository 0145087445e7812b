/* What the command on events takes, for its table (commands.c). */
#ifndef KW_CLI_COMMANDS_EVENTS_H
#define KW_CLI_COMMANDS_EVENTS_H

#include "cli/cli.h"
#include "cli/keys.h"

extern const struct kw_option_group kw__events_group;
extern const struct kw_key_call kw__events_call;
extern const char kw__events_about[];

int kw_cmd_events(struct kw_cli *cli, const struct kw_command_line *line);

/* Its row; the groups that commands share are given. */
#define KW__EVENTS_COMMAND(where, output) \
    { \
        .name = "events", .summary = "Shows what happened, and what happens from now on.", .run = kw_cmd_events, \
        .key_call = &kw__events_call, .about = kw__events_about, .groups = {&kw__events_group, where, output}, \
        .example = "keyward events --type revoked --type 'quota.*'" \
    }

#endif
