/*
 * `keyward pepper`: what is asked of a server, or of a data folder that none holds, in the same words (cmd_pepper.c);
 * and what concerns the file of a folder alone, since no server ever shows a pepper (pepper_file.c).
 */
#ifndef KW_CLI_PEPPER_H
#define KW_CLI_PEPPER_H

#include "cli/cli.h"

extern const struct kw_option_group kw__pepper_group;

/* `keyward pepper export [FILE]` and `keyward pepper import FILE`; the exit code. */
int kw_pepper_export(struct kw_cli *cli, const struct kw_command_line *line);
int kw_pepper_import(struct kw_cli *cli, const struct kw_command_line *line);

#endif
