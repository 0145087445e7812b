#include "core/family.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "core/address.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/region.h"
#include "core/scope.h"
#include "core/transition.h"

static enum kw_status refuse(struct kw_error *error_out, const char *field, const char *why)
{
    return kw_refuse(error_out, KW_CODE_EXCEEDS_PARENT, field, "%s", why);
}

enum kw_status kw_family_admits(const struct kw_record *parent, const struct kw_record *child,
                                struct kw_error *error_out)
{
    static const struct kw_list none;
    if (!kw_bytes_equal(parent->env, child->env)) {
        return refuse(error_out, "env", "must be the environment of the parent");
    }
    if (!kw_authority_within(&child->scopes, &none, &parent->scopes, &parent->resources)) {
        return refuse(error_out, "scopes", "go beyond the parent's: a child may hold what its parent holds, or less");
    }
    if (!kw_authority_within(&none, &child->resources, &parent->scopes, &parent->resources)) {
        return refuse(error_out, "resources",
                      "go beyond the parent's: a child may hold what its parent holds, or less");
    }
    if (parent->expires_at_ms != 0 && (child->expires_at_ms == 0 || child->expires_at_ms > parent->expires_at_ms)) {
        char latest[KW_TIME_TEXT_SIZE];
        kw_time_format(parent->expires_at_ms, latest);
        return kw_refuse(error_out, KW_CODE_EXCEEDS_PARENT, "expiresAt",
                         "must not lie behind the parent's, which is %.*s: give that or an earlier one, or none",
                         (int)sizeof latest, latest);
    }
    if (!kw_rate_limits_within(&child->rate_limits, &parent->rate_limits)) {
        return refuse(error_out, "rateLimits",
                      "go beyond the parent's: for each of its limits give one that admits no more, or give none");
    }
    if (!kw_quotas_within(&child->quotas, &parent->quotas)) {
        return refuse(error_out, "quotas",
                      "go beyond the parent's: for each of its quotas give one that allows no more, or give none");
    }
    bool has_ips = child->allowed_ips.count != 0 && parent->allowed_ips.count != 0;
    if (has_ips && !kw_addresses_within(&child->allowed_ips, &parent->allowed_ips)) {
        return refuse(error_out, "allowedIPs", "go beyond the parent's: each must lie within one of them");
    }
    bool has_regions = child->allowed_regions.count != 0 && parent->allowed_regions.count != 0;
    if (has_regions && !kw_regions_within(&child->allowed_regions, &parent->allowed_regions)) {
        return refuse(error_out, "allowedRegions", "go beyond the parent's: each must lie within one of them");
    }
    return KW_OK;
}

/* An empty list of what is allowed allows everything. */
static bool allows_more(const struct kw_list *inner, const struct kw_list *outer,
                        bool (*within)(const struct kw_list *inner, const struct kw_list *outer))
{
    return outer->count != 0 && (inner->count == 0 || !within(inner, outer));
}

const char *kw_places_beyond(const struct kw_record *inner, const struct kw_record *outer)
{
    if (allows_more(&inner->allowed_ips, &outer->allowed_ips, kw_addresses_within)) {
        return "allowedIPs";
    }
    if (!kw_addresses_within(&outer->blocked_ips, &inner->blocked_ips)) {
        return "blockedIPs";
    }
    if (allows_more(&inner->allowed_regions, &outer->allowed_regions, kw_regions_within)) {
        return "allowedRegions";
    }
    return kw_regions_within(&outer->blocked_regions, &inner->blocked_regions) ? NULL : "blockedRegions";
}
