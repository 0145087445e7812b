#include "core/management.h"

#include "base/bytes.h"
#include "core/schedule.h"
#include "core/scope.h"
#include "core/transition.h"

bool kw_management_is_root(const struct kw_record *record)
{
    return kw_bytes_equal(record->owner, KW_BYTES(KW_ROOT_OWNER));
}

const struct kw_project *kw_management_project(const struct kw_record *record, const struct kw_catalog *catalog)
{
    struct kw_bytes rest = record->resources.packed;
    struct kw_bytes resource;
    struct kw_list scopes;
    if (record->resources.count != 1 || !kw_resources_next(&rest, &resource, &scopes)) {
        return NULL;
    }
    struct kw_bytes start = KW_BYTES("project:");
    return kw_bytes_starts_with(resource, start) ? kw_project_by_name(catalog, kw_bytes_skip(resource, start.size))
                                                 : NULL;
}

enum kw_status kw_management_check(const struct kw_record *record, const struct kw_catalog *catalog,
                                   struct kw_error *error_out)
{
    if (kw_management_is_root(record)) {
        return kw_refuse(error_out, KW_CODE_FORBIDDEN, "owner",
                         "%s is the root key's owner: name another one. A root key is made by keyward serve "
                         "--new-root-key, or chosen with KEYWARD_ROOT_KEY",
                         KW_ROOT_OWNER);
    }
    if (record->scopes.count > 0) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "scopes",
                         "a management key holds its scopes on a project: give them in resources, "
                         "for example {\"project:default\": [\"keys:verify\"]}");
    }
    if (kw_management_project(record, catalog) == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "resources",
                         "a management key belongs to one project: name one that there is, "
                         "for example {\"project:default\": [\"keys:verify\"]}");
    }
    return KW_OK;
}

enum kw_status kw_management_within(const struct kw_record *record, const struct kw_record *caller, bool is_made,
                                    struct kw_error *error_out)
{
    if (!kw_authority_within(&record->scopes, &record->resources, &caller->scopes, &caller->resources)) {
        return kw_refuse(error_out, KW_CODE_FORBIDDEN, NULL,
                         "this concerns a management key that may do more than the one you sent: use the root key");
    }
    if (is_made && kw_record_lives_until(record) > kw_record_lives_until(caller)) {
        return kw_refuse(error_out, KW_CODE_FORBIDDEN, "expiresAt",
                         "no management key makes one that lives longer than itself: give an earlier expiry");
    }
    return KW_OK;
}
