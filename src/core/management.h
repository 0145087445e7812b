/*
 * Management keys: keys of the built-in project `keyward`, which guard Keyward's own interface. One belongs to one
 * project, which its resources name ({"project:default": ["keys:verify"]}); only the root key has global scopes, and
 * holds in every project. Nobody makes or touches one that may do more than they may themselves.
 */
#ifndef KW_CORE_MANAGEMENT_H
#define KW_CORE_MANAGEMENT_H

#include "core/catalog.h"
#include <keyward/codes.h>
#include <keyward/record.h>

/*
 * Checks a management key as it would stand. INVALID_FIELD when it is not the root key and has global scopes, or does
 * not name exactly one project that there is; FORBIDDEN when it claims the root key's owner.
 */
KW_MUST_USE enum kw_status kw_management_check(const struct kw_record *record, const struct kw_catalog *catalog,
                                               struct kw_error *error_out);

/* FORBIDDEN when `record` may do anything that `caller` may not, or longer (`made` or changed by it, not merely
 * touched). */
KW_MUST_USE enum kw_status kw_management_within(const struct kw_record *record, const struct kw_record *caller,
                                                bool is_made, struct kw_error *error_out);

bool kw_management_is_root(const struct kw_record *record);

/* The project that a management key belongs to; NULL for the root key, which belongs to all. */
const struct kw_project *kw_management_project(const struct kw_record *record, const struct kw_catalog *catalog);

#endif
