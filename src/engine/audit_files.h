/*
 * What the audit log has beside the database: the seed that checkpoints are signed with, in a file of its own (0600),
 * and where the operator wants it, a file that each checkpoint is appended to.
 */
#ifndef KW_ENGINE_AUDIT_FILES_H
#define KW_ENGINE_AUDIT_FILES_H

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"

#define KW_AUDIT_KEY_FILE "audit-key"

/* Takes a copy of each checkpoint that was made, on the sealer's thread. */
struct kw_checkpoint_keeper {
    void *context;
    void (*keep)(void *context, struct kw_bytes json); /* NULL: nobody does */
};

/*
 * The seed of a data folder: what `path` holds, or KW_AUDIT_KEY_FILE in the folder where that is NULL; 64 hexadecimal
 * digits. One that is not there is drawn, and durable when this returns. FILE_UNUSABLE.
 */
KW_MUST_USE enum kw_status kw_audit_seed_find(int folder_fd, const char *folder, const char *path,
                                              const struct kw_entropy *entropy, struct kw_secret *seed_out,
                                              struct kw_error *error_out);

struct kw_checkpoint_file;

/* Opens a file to append to, made (0600) if it is missing. FILE_UNUSABLE. `log` outlives it; NULL: none. */
KW_MUST_USE enum kw_status kw_checkpoint_file_open(const char *path, const struct kw_log *log,
                                                   struct kw_checkpoint_file **file_out, struct kw_error *error_out);
/* NULL is fine. */
void kw_checkpoint_file_close(struct kw_checkpoint_file *file);
/*
 * Appends a line, durably, as struct kw_checkpoint_keeper's `keep`. One that cannot be written is told to the log and
 * left out: the next one says all that it did.
 */
void kw_checkpoint_file_keep(void *context, struct kw_bytes json);

#endif
