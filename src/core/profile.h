/*
 * Profiles: what /v1/authorize asks of a key beside being valid, each under a name. They are settings of a project, so
 * that nothing that a client sends can weaken them.
 */
#ifndef KW_CORE_PROFILE_H
#define KW_CORE_PROFILE_H

#include "core/project.h"
#include "core/verdict.h"

/*
 * "shop" asks as the profile "default" of the project "shop" says, or for nothing but a valid key where the project has
 * none of that name; "shop.orders" as its profile "orders" says. False when there is no such project or profile.
 */
struct kw_catalog;
KW_MUST_USE bool kw_profile_find(const struct kw_catalog *catalog, struct kw_bytes reference,
                                 const struct kw_project **project_out, const struct kw_profile **profile_out);

/* What a key of the project is asked for: a copy, which needs the catalog no longer. KW_E_LIMIT, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_profile_question(const struct kw_project *project, const struct kw_profile *profile,
                                               struct kw_arena *arena, struct kw_question *question_out);

/* --- What profiles and the bodies of verifications have in common --- */

/* "type:id" of the two, held to the grammar of resources. INVALID_FIELD, naming "resource.type" or "resource.id". */
KW_MUST_USE enum kw_status kw_question_resource(struct kw_bytes type, struct kw_bytes id, struct kw_arena *arena,
                                                struct kw_bytes *resource_out, struct kw_error *error_out);
/* INVALID_FIELD, naming "require", where it cannot be read. */
KW_MUST_USE enum kw_status kw_question_require(struct kw_bytes require, struct kw_error *error_out);

#endif
