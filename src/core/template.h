/*
 * Templates: fields of a creation under a name, some of which may be locked. And what a creation comes to in the end:
 * the caller's fields over the template's, the preset's scopes, the project's expiry.
 */
#ifndef KW_CORE_TEMPLATE_H
#define KW_CORE_TEMPLATE_H

#include "base/memory.h"
#include "core/project.h"

struct kw_template {
    struct kw_bytes name;
    struct kw_key_params params; /* the fields */
    struct kw_bytes preset;      /* one of them; may be empty */
    uint32_t locked;             /* of enum kw_given: fields that a creation may not give */
};

struct kw_catalog;

struct kw_creation {
    const struct kw_catalog *catalog; /* where a policy is looked for; NULL: there is none */
    const struct kw_project *project;
    const struct kw_template *template; /* NULL: none */
    const struct kw_key_params *params; /* as the caller gives them; NULL: nothing */
    struct kw_bytes preset;             /* may be empty */
};

/*
 * What a key is made of: the fields, then scopes from the policy where there are none (an empty list is one), then an
 * expiry from project and policy, the shorter one. FIELD_LOCKED; INVALID_FIELD for a preset or policy that there is
 * not. Scopes and preset are overridden
 * together: a creation that gives one of the two gets neither from the template. `params_out` borrows from all of
 * `creation` and from the arena.
 */
KW_MUST_USE enum kw_status kw_creation_params(const struct kw_creation *creation, struct kw_arena *arena,
                                              struct kw_key_params *params_out, struct kw_error *error_out);

/* Refuses an expiry in `params` that lies further off than the project allows, or none where it must have one. */
KW_MUST_USE enum kw_status kw_project_admits_expiry(const struct kw_project *project,
                                                    const struct kw_key_params *params, int64_t now_ms,
                                                    struct kw_error *error_out);

#endif
