/*
 * What a change of a policy takes from a key because of those that it stands below: they may do less from then on, and
 * so may the key, whatever policy it names itself. A path leads from a key down its family to one that is looked at.
 */
#ifndef KW_ENGINE_NARROWED_PATH_H
#define KW_ENGINE_NARROWED_PATH_H

#include "engine/internal.h"

#define KW__NARROWED_PATH_MAX (KW_FAMILY_DEPTH_MAX + 1)

struct kw__narrowed_step {
    struct kw_arena arena; /* of what the record borrows from, where that is kept */
    struct kw_record record;
    unsigned fields;        /* by which it is narrowed: bits of an excess */
    const struct kw_id *by; /* the nearest, itself or above, that names the policy; NULL: none */
    int64_t born_ms;        /* when the first of these was created */
    bool is_nested;         /* it lies within all above it, up to the first that names the policy */
    struct kw_id after;     /* of its children the last that was looked at */
};

struct kw__narrowed_path {
    const struct kw_policy *policy; /* as it is to be */
    unsigned tightened;             /* in what it allows less */
    int64_t now_ms;
    size_t budget; /* of comparisons of what several keys leave together */
    struct kw__narrowed_step steps[KW__NARROWED_PATH_MAX];
};

void kw__narrowed_path_init(struct kw__narrowed_path *path, const struct kw_policy *policy, unsigned tightened,
                            int64_t now_ms);
void kw__narrowed_path_deinit(struct kw__narrowed_path *path);

/* Makes a step of the record's encoding, which is borrowed; those before it stand. */
KW_MUST_USE enum kw_status kw__narrowed_step(struct kw__narrowed_path *path, size_t at, struct kw_bytes encoding);
/* Keeps what that step has borrowed. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__narrowed_keep(struct kw__narrowed_path *path, size_t at, struct kw_bytes encoding);
/*
 * Makes the whole path to a record, which is kept: its ancestors are asked of the index, which is given them first.
 * KW_E_NOT_FOUND for one below a key that is revoked or erased, which has nothing to lose; else fails as the store
 * does.
 */
KW_MUST_USE enum kw_status kw__narrowed_path_to(struct kw__narrowed_path *path, struct kw_engine *engine,
                                                struct kw_bytes encoding, size_t *at_out);

#endif
