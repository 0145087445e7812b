/*
 * Small files that must be there whole or not at all, in a folder that this process holds.
 */
#ifndef KW_ENGINE_FILES_H
#define KW_ENGINE_FILES_H

#include "base/error.h"
#include "base/memory.h"

#define KW_FILE_UNUSABLE "FILE_UNUSABLE" /* KW_CODE_FILE_UNUSABLE, where the status says more than the code */

/*
 * Writes `name` (mode 0600) durably: a temporary file, synced, renamed, and the folder synced. What stood there before
 * stays until then, also on failure. `folder` is the folder's path, for the message.
 */
KW_MUST_USE enum kw_status kw_file_replace(int folder_fd, const char *folder, const char *name, struct kw_bytes content,
                                           struct kw_error *error_out);
/* Renames inside the folder, durably. */
KW_MUST_USE enum kw_status kw_file_rename(int folder_fd, const char *folder, const char *from, const char *to,
                                          struct kw_error *error_out);
/* Removes a file, durably; one that is not there is fine. */
KW_MUST_USE enum kw_status kw_file_remove(int folder_fd, const char *folder, const char *name,
                                          struct kw_error *error_out);
/* Removes what a kw_file_replace of `name` has left behind when the process was killed: it may hold a secret. */
KW_MUST_USE enum kw_status kw_file_tidy(int folder_fd, const char *folder, const char *name,
                                        struct kw_error *error_out);
bool kw_file_exists(int folder_fd, const char *name);

/*
 * Appends all of an open file (or pipe) to `content`. KW_E_LIMIT when there is more than the buffer takes, KW_E_SYSTEM
 * with errno set when it cannot be read.
 */
KW_MUST_USE enum kw_status kw_file_drain(int fd, struct kw_buffer *content);

#endif
