/*
 * Secrets from standard input and the terminal (from files: engine/secret_file.h): never from the command line, where
 * the list of processes and the shell's history show them.
 */
#ifndef KW_CLI_SECRET_INPUT_H
#define KW_CLI_SECRET_INPUT_H

#include "cli/cli.h"
#include "engine/secret_file.h"

/* As kw_secret_from_file, from standard input; on a terminal it asks, and what is typed is not shown. */
KW_MUST_USE enum kw_status kw_secret_from_input(struct kw_cli *cli, const char *prompt, struct kw_buffer *secret,
                                                struct kw_error *error_out);

#endif
