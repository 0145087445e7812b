/*
 * The configuration file of `keyward serve --config FILE`: what only the operator may set up, since it runs programs or
 * names hosts of his own. JSON, read once at the start; what is not known in it is refused.
 */
#ifndef KW_CLI_CONFIG_H
#define KW_CLI_CONFIG_H

#include "notify/setup.h"

#define KW_CONFIG_MAX 65536 /* bytes */
#define KW_CONFIG_RANGES_MAX 16

/* Borrows from its arena. */
struct kw_config {
    struct kw_arena arena;
    struct kw_notify_setup setup;
    struct kw_notice_command commands[KW_COMMANDS_MAX];
    struct kw_address_range allowed[KW_CONFIG_RANGES_MAX]; /* for the relay */
};

/*
 * Reads it. Fails with FILE_UNUSABLE (KW_CLI_USAGE for what the file says), which names the file, and the line or the
 * field.
 */
KW_MUST_USE enum kw_status kw_config_read(const char *path, struct kw_config *config_out, struct kw_error *error_out);
/* Wipes and frees. */
void kw_config_deinit(struct kw_config *config);

#endif
