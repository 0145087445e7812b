/*
 * Secrets from files, standard input and the terminal: never from the command line, where the list of processes and
 * the shell's history show them.
 */
#ifndef KW_CLI_SECRET_INPUT_H
#define KW_CLI_SECRET_INPUT_H

#include "cli/cli.h"

#define KW_SECRET_INPUT_MAX 4096

/*
 * Appends what the file holds, without white space around it, to `secret` (a secret buffer of KW_SECRET_INPUT_MAX).
 * With `is_private` a file that others may read is refused, with the chmod line that helps. `what` names the secret
 * ("the management key").
 */
KW_MUST_USE enum kw_status kw_secret_from_file(int folder_fd, const char *path, const char *what, bool is_private,
                                               struct kw_buffer *secret, struct kw_error *error_out);

/* The same from standard input; on a terminal it asks, and what is typed is not shown. */
KW_MUST_USE enum kw_status kw_secret_from_input(struct kw_cli *cli, const char *prompt, struct kw_buffer *secret,
                                                struct kw_error *error_out);

/* The text without white space at either end. */
struct kw_bytes kw_trim(struct kw_bytes text);

#endif
