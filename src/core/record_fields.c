#include "core/address.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/schedule.h"

#include <stddef.h>

#define LABEL(name) .label = ",\"" name "\":", .label_size = sizeof(",\"" name "\":") - 1
#define MEMBER(member) .offset = offsetof(struct kw_record, member)
#define FIELD(kind_, name, member) .kind = KW__FIELD_##kind_, LABEL(name), MEMBER(member)
#define TEXT(name, member, max) FIELD(TEXT, name, member), .size_max = (max)
#define RANGES(name, member) \
    FIELD(RANGES, name, member), .size_max = KW_ADDRESS_RANGE_SIZE, .count_max = KW_IP_COUNT_MAX, \
                                 .flags = KW__FIELD_RARE
#define REGIONS(name, member) LIST(name, member, KW_REGION_MAX, KW_REGION_COUNT_MAX), .flags = KW__FIELD_RARE
#define LIST(name, member, item_max, most) FIELD(LIST, name, member), .size_max = (item_max), .count_max = (most)

/*
 * A tag is kept in every record that was ever written: it never changes its meaning and is never used again. The order
 * is that of the record's JSON too. A new field is a row at the end, and has its place in the newest encoding, behind
 * all others but the version.
 */
/* clang-format off */
const struct kw__field kw__fields[KW__FIELD_COUNT] = {
    [1] = {FIELD(OWN_ID, "id", id)},
    [2] = {TEXT("projectId", project, KW_PROJECT_MAX)},
    [3] = {TEXT("env", env, KW_ENV_MAX)},
    [4] = {TEXT("prefix", prefix, KW_PREFIX_MAX)},
    [5] = {FIELD(LAST_FOUR, "lastFour", last_four)},
    [6] = {FIELD(SET, "isPublic", is_public)},
    [7] = {.kind = KW__FIELD_STATUS, LABEL("status"), .flags = KW__FIELD_UNCOMPARED},
    [8] = {FIELD(CLEARED, "enabled", enabled)},
    [9] = {FIELD(USER_ID, "ownerId", owner), .flags = KW__FIELD_UNCOMPARED},
    [10] = {TEXT("owner", owner, KW_OWNER_MAX)},
    [11] = {TEXT("orgId", org_id, KW_OWNER_MAX)},
    [12] = {TEXT("name", name, KW_NAME_MAX)},
    [13] = {TEXT("description", description, KW_DESCRIPTION_MAX)},
    [14] = {LIST("tags", tags, KW_TAG_MAX, KW_TAG_COUNT_MAX)},
    [15] = {FIELD(JSON, "metadata", metadata), .size_max = KW_METADATA_MAX},
    [16] = {LIST("scopes", scopes, KW_SCOPE_MAX, KW_SCOPE_COUNT_MAX)},
    [17] = {FIELD(RESOURCES, "resources", resources), .size_max = KW_RESOURCE_MAX, .count_max = KW_RESOURCE_COUNT_MAX},
    [18] = {FIELD(SCHEME, "digest", digest_scheme)},
    [19] = {FIELD(TIME, "createdAt", created_at_ms)},
    [20] = {TEXT("createdBy", created_by, KW_ACTOR_MAX)},
    [21] = {FIELD(UPDATED, "updatedAt", updated_at_ms), .flags = KW__FIELD_UNCOMPARED},
    [22] = {FIELD(TIME, "expiresAt", expires_at_ms)},
    [23] = {FIELD(TIME, "lapsedAt", lapsed_at_ms), .flags = KW__FIELD_HIDDEN},
    [24] = {FIELD(TIME, "revokedAt", revoked_at_ms)},
    [25] = {TEXT("revokedBy", revoked_by, KW_ACTOR_MAX)},
    [26] = {TEXT("revokeReason", revoke_reason, KW_REASON_MAX)},
    [27] = {FIELD(ID, "rotatedFrom", rotated_from)},
    [28] = {FIELD(ID, "rotatedTo", rotated_to)},
    [29] = {FIELD(TIME, "graceUntil", grace_until_ms)},
    [30] = {FIELD(LINEAGE, "lineageId", lineage_id)},
    [KW__TAG_VERSION] = {FIELD(VERSION, "version", version), .flags = KW__FIELD_UNCOMPARED},
    [KW__TAG_ALLOWED_IPS] = {RANGES("allowedIPs", allowed_ips)},
    [KW__TAG_BLOCKED_IPS] = {RANGES("blockedIPs", blocked_ips)},
    [KW__TAG_ALLOWED_REGIONS] = {REGIONS("allowedRegions", allowed_regions)},
    [KW__TAG_BLOCKED_REGIONS] = {REGIONS("blockedRegions", blocked_regions)},
    [36] = {TEXT("policy", policy, KW_POLICY_MAX)},
    [37] = {TEXT("template", template_name, KW_TEMPLATE_MAX)},
    [38] = {FIELD(ID, "parentId", parent_id)},
    [39] = {FIELD(SET, "endGraceOnFirstUse", ends_grace), .flags = KW__FIELD_RARE},
    [40] = {FIELD(SET, "hasChildren", has_children),
            .flags = KW__FIELD_HIDDEN | KW__FIELD_UNCOMPARED | KW__FIELD_RARE},
    [41] = {FIELD(METHOD, "digestMethod", digest_method), .flags = KW__FIELD_HIDDEN},
    [42] = {FIELD(SET, "imported", imported), .flags = KW__FIELD_RARE},
    [43] = {FIELD(RATE_LIMITS, "rateLimits", rate_limits), .size_max = KW_RATE_LIMIT_PACKED_MAX,
            .count_max = KW_RATE_LIMIT_COUNT_MAX, .flags = KW__FIELD_RARE},
    [44] = {FIELD(QUOTAS, "quotas", quotas), .size_max = KW_QUOTA_PACKED_MAX, .count_max = KW_QUOTA_COUNT_MAX,
            .flags = KW__FIELD_RARE},
    [45] = {FIELD(SCHEDULE, "schedule", schedule)},
    [46] = {FIELD(ANNOUNCED, "announced", announced), .flags = KW__FIELD_HIDDEN | KW__FIELD_UNCOMPARED},
};
const uint8_t kw__field_places[KW__ENCODINGS][KW__FIELD_COUNT] = {
    [1] = {[1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8, [9] = 9, [10] = 10,
           [11] = 11, [12] = 12, [13] = 13, [14] = 14, [15] = 15, [16] = 16, [17] = 17, [18] = 18, [19] = 19, [20] = 20,
           [21] = 21, [22] = 22, [23] = 23, [24] = 24, [25] = 25, [26] = 26, [27] = 27, [28] = 28, [29] = 29, [30] = 30,
           [32] = 31, [33] = 32, [34] = 33, [35] = 34, [36] = 35, [37] = 36, [38] = 37, [39] = 38, [40] = 39,
           [KW__TAG_VERSION] = 40},
    /* The id, environment, scopes, resources and places; then as in version 1. */
    [2] = {[1] = 1, [3] = 2, [16] = 3, [17] = 4, [32] = 5, [33] = 6, [34] = 7, [35] = 8,
           [2] = 9, [4] = 10, [5] = 11, [6] = 12, [7] = 13, [8] = 14, [9] = 15, [10] = 16, [11] = 17, [12] = 18,
           [13] = 19, [14] = 20, [15] = 21, [18] = 22, [19] = 23, [20] = 24, [21] = 25, [22] = 26, [23] = 27, [24] = 28,
           [25] = 29, [26] = 30, [27] = 31, [28] = 32, [29] = 33, [30] = 34, [36] = 35, [37] = 36, [38] = 37, [39] = 38,
           [40] = 39, [41] = 40, [42] = 41, [43] = 42, [44] = 43, [45] = 44,
           [46] = 45, [KW__TAG_VERSION] = 46},
};
/* clang-format on */

static const char *const status_names[] = {
    [KW_KEY_ACTIVE] = "active",
    [KW_KEY_DISABLED] = "disabled",
    [KW_KEY_EXPIRED] = "expired",
    [KW_KEY_REVOKED] = "revoked",
};

enum kw_key_status kw_record_status(const struct kw_record *record, int64_t now_ms)
{
    if (record->revoked_at_ms != 0 || now_ms >= kw_record_ends_at(record)) {
        return KW_KEY_REVOKED;
    }
    if (record->lapsed_at_ms != 0 || (record->expires_at_ms != 0 && now_ms >= record->expires_at_ms)) {
        return KW_KEY_EXPIRED;
    }
    return kw_record_is_enabled(record, now_ms) ? KW_KEY_ACTIVE : KW_KEY_DISABLED;
}

const char *kw_key_status_name(enum kw_key_status status)
{
    return (size_t)status < KW_COUNT_OF(status_names) ? status_names[status] : NULL;
}

bool kw_key_status_of_name(struct kw_bytes name, enum kw_key_status *status_out)
{
    for (size_t i = 0; i < KW_COUNT_OF(status_names); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(status_names[i]))) {
            *status_out = (enum kw_key_status)i;
            return true;
        }
    }
    return false;
}
