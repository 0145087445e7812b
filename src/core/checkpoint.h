/*
 * Checkpoints of the audit log: how far a project's chain had come at a time, signed. Who can write the database can
 * reckon a whole chain anew, but cannot sign it: a checkpoint that is held elsewhere, with the public key, shows that.
 *
 * A start is another kind: it says that the log begins behind that place, since what stood up to it was pruned. A
 * checkpoint never counts as one, so that nobody drops the begin of a log by way of an old checkpoint.
 */
#ifndef KW_CORE_CHECKPOINT_H
#define KW_CORE_CHECKPOINT_H

#include "base/error.h"
#include "core/audit.h"
#include "core/signing.h"

#define KW_CHECKPOINT_JSON_MAX 640 /* of one as JSON */

struct kw_checkpoint {
    bool is_start;
    struct kw_bytes project;
    struct kw_audit_chain chain;
    int64_t at_ms;
    uint8_t public_key[KW_PUBLIC_KEY_SIZE]; /* of who signed it */
    uint8_t signature[KW_SIGNATURE_SIZE];
};

/* Fills in public key and signature. KW_E_INVALID for a seed that is none, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_checkpoint_sign(struct kw_checkpoint *checkpoint, const struct kw_secret *seed);
/* Whether that key signed it. */
KW_MUST_USE bool kw_checkpoint_holds(const struct kw_checkpoint *checkpoint,
                                     const uint8_t public_key[KW_PUBLIC_KEY_SIZE]);

/* {"keyward":"checkpoint","projectId":…,"place":…,"sequence":…,"link":…,"timestamp":…,"publicKey":…,"signature":…};
 * of a start it is {"keyward":"start",…}. */
void kw_checkpoint_write(const struct kw_checkpoint *checkpoint, struct kw_json_writer *json);
/* Reads what that has written; borrows from `text` and `arena`. Fails with the error set. */
KW_MUST_USE enum kw_status kw_checkpoint_read(struct kw_bytes text, struct kw_arena *arena,
                                              struct kw_checkpoint *checkpoint_out, struct kw_error *error_out);

#endif
