/*
 * Secrets from files: a pepper, a key to verify, a management key.
 */
#ifndef KW_ENGINE_SECRET_FILE_H
#define KW_ENGINE_SECRET_FILE_H

#include "base/error.h"
#include "base/memory.h"

#define KW_SECRET_INPUT_MAX 4096

/*
 * Appends what the file holds, without white space around it, to `secret` (a secret buffer of KW_SECRET_INPUT_MAX).
 * With `is_private` a file that others may read is refused, with the chmod line that helps. `what` names the secret
 * ("the management key").
 */
KW_MUST_USE enum kw_status kw_secret_from_file(int folder_fd, const char *path, const char *what, bool is_private,
                                               struct kw_buffer *secret, struct kw_error *error_out);

/* All that an open file or pipe gives, without white space around it. `what` names it in a message. */
KW_MUST_USE enum kw_status kw_secret_drain(int fd, const char *what, struct kw_buffer *secret,
                                           struct kw_error *error_out);

/* The text without white space at either end. */
struct kw_bytes kw_trim(struct kw_bytes text);

#endif
