/*
 * Checkpoints of the audit log (core/checkpoint.h), as the sealer makes them: signed with the engine's seed, kept in
 * the store, told as the event audit.checkpoint, and handed to whoever keeps copies out of an intruder's reach. An
 * engine without a seed makes none.
 */
#ifndef KW_ENGINE_CHECKPOINTS_H
#define KW_ENGINE_CHECKPOINTS_H

#include "core/checkpoint.h"
#include "engine/internal.h"

#define KW_CHECKPOINTS_TOGETHER 64
#define KW_AUDIT_START_SETTING "audit.start."

/* How far a project's log has come. */
struct kw__reached {
    struct kw_bytes project;
    struct kw_audit_chain chain;
};

/* Signs that, KW_CHECKPOINTS_TOGETHER at most, and commits it. Fails as the store does, or with KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__checkpoints_make(struct kw_engine *engine, const struct kw__reached *reached,
                                                size_t count);
/* Whether this engine's seed has signed it. */
KW_MUST_USE bool kw__checkpoint_is_ours(const struct kw_engine *engine, const struct kw_checkpoint *checkpoint);
/* The place of a project's last checkpoint that this engine's seed has signed; 0: there is none. Fails as the store. */
KW_MUST_USE enum kw_status kw__checkpoint_last(struct kw_engine *engine, struct kw_bytes project, uint64_t *place_out);

/* Where a project's log begins, as the store has it; place 0: at its first line. Whether its signature holds is the
 * caller's to look at. KW_E_CORRUPT, or as the store fails. The project's name is borrowed. */
KW_MUST_USE enum kw_status kw__audit_start(struct kw_engine *engine, struct kw_bytes project,
                                           struct kw_checkpoint *start_out);

/* Room for the name of a project's setting. */
#define KW__AUDIT_SETTING_MAX (16 + KW_PROJECT_MAX)
struct kw_bytes kw__audit_setting(const char *start, struct kw_bytes project, uint8_t memory[KW__AUDIT_SETTING_MAX]);

#endif
