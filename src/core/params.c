#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "core/address.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/region.h"
#include "core/scope.h"
#include "core/transition.h"

/* The record's JSON stands inside answers and exports, which must stay within KW_JSON_DEPTH_MAX for their readers. */
#define METADATA_DEPTH_MAX 16
#define KEY_SIZE_MIN 20 /* 128 bits in characters that can be printed */
#define LIST_OVERHEAD 3 /* bytes that a packed string needs beside its own, at most */

_Static_assert(METADATA_DEPTH_MAX < KW_JSON_DEPTH_MAX, "metadata that is too deep is still read far enough to say so");
_Static_assert(KW_RESOURCES_MAX + KW_SCOPE_COUNT_MAX * (KW_SCOPE_MAX + LIST_OVERHEAD) +
                       KW_TAG_COUNT_MAX * (KW_TAG_MAX + LIST_OVERHEAD) + KW_METADATA_MAX + KW_DESCRIPTION_MAX +
                       2 * KW_IP_COUNT_MAX * (KW_ADDRESS_RANGE_SIZE + 1) +
                       2 * KW_REGION_COUNT_MAX * (KW_REGION_MAX + 1) +
                       KW_RATE_LIMIT_COUNT_MAX * (KW_RATE_LIMIT_PACKED_MAX + 1) +
                       KW_QUOTA_COUNT_MAX * (KW_QUOTA_PACKED_MAX + 1) + KW_REASON_MAX + 8 * 256 <=
                   KW_RECORD_MAX,
               "params that pass here make a record that can be encoded");

struct check {
    const struct kw_key_params *params;
    int64_t now_ms;
    struct kw_arena *arena;
    struct kw_error *error;
};

static const struct kw_bytes owner_kinds[] = {
    {(const uint8_t *)"user", 4},
    {(const uint8_t *)"team", 4},
    {(const uint8_t *)"service", 7},
};

enum kw_status kw__text_check(struct kw_bytes text, size_t size_max, const char *field, struct kw_error *error_out)
{
    if (text.size > size_max) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "is too long: at most %zu bytes", size_max);
    }
    if (!kw_utf8_valid(text)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "must be valid UTF-8");
    }
    if (kw_bytes_has_control(text)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "must not hold control characters");
    }
    return KW_OK;
}

#define INDEX_MAX 8 /* "[127]" and what may be added */

/* A field's name is cut rather than the index that ends it. */
static void name_field(struct kw_bytes start, struct kw_bytes name, size_t room, struct kw_buffer *field)
{
    size_t left = room - start.size;
    kw_buffer_add(field, start);
    kw_buffer_add(field, kw_bytes_of(name.data, name.size < left ? name.size : left));
}

void kw__name_item(struct kw_bytes parent, size_t index, char field_out[KW_ERROR_FIELD_MAX])
{
    struct kw_buffer field;
    kw_buffer_init_fixed(&field, field_out, KW_ERROR_FIELD_MAX);
    name_field(KW_BYTES(""), parent, KW_ERROR_FIELD_MAX - INDEX_MAX, &field);
    kw_buffer_add_byte(&field, '[');
    kw_buffer_add_u64(&field, index);
    kw_buffer_add(&field, KW_BYTES("]\0"));
}

/* "resources.website:123" */
static void name_resource(struct kw_bytes resource, char field_out[KW_ERROR_FIELD_MAX])
{
    struct kw_buffer field;
    kw_buffer_init_fixed(&field, field_out, KW_ERROR_FIELD_MAX);
    name_field(KW_BYTES("resources."), resource, KW_ERROR_FIELD_MAX - INDEX_MAX, &field);
    kw_buffer_add_byte(&field, '\0');
}

static enum kw_status check_env(const struct check *check)
{
    struct kw_bytes env = check->params->env;
    bool good = env.size >= 1 && env.size <= KW_ENV_MAX && env.data[0] >= 'a' && env.data[0] <= 'z';
    for (size_t i = 0; good && i < env.size; i++) {
        uint8_t c = env.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (good) {
        return KW_OK;
    }
    return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "env",
                     "must be 1 to %d of a-z, 0-9, '-' and '_', starting with a letter", KW_ENV_MAX);
}

static enum kw_status check_owner(const struct check *check)
{
    struct kw_bytes kind;
    struct kw_bytes id;
    bool known = false;
    if (kw_bytes_split(check->params->owner, ':', &kind, &id)) {
        for (size_t i = 0; i < KW_COUNT_OF(owner_kinds); i++) {
            known = known || kw_bytes_equal(kind, owner_kinds[i]);
        }
    }
    if (!known) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "owner",
                         "must be \"user:ID\", \"team:ID\" or \"service:ID\"");
    }
    const char *field = kw_bytes_equal(kind, owner_kinds[0]) ? "ownerId" : "owner";
    if (id.size == 0) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, field, "must not be empty: give the id of the owner");
    }
    return kw__text_check(check->params->owner, KW_OWNER_MAX, field, check->error);
}

static enum kw_status check_org(const struct check *check)
{
    return kw__text_check(check->params->org_id, KW_OWNER_MAX, "orgId", check->error);
}

static enum kw_status check_name(const struct check *check)
{
    return kw__text_check(check->params->name, KW_NAME_MAX, "name", check->error);
}

/* A description may run over several lines. */
static enum kw_status check_description(const struct check *check)
{
    struct kw_bytes rest = check->params->description;
    if (rest.size > KW_DESCRIPTION_MAX) {
        return kw__text_check(rest, KW_DESCRIPTION_MAX, "description", check->error);
    }
    for (size_t i = 0; i < check->params->description.size; i++) {
        uint8_t c = check->params->description.data[i];
        if (c != '\n' && c != '\t') {
            continue;
        }
        struct kw_bytes line = kw_bytes_of(rest.data, (size_t)(check->params->description.data + i - rest.data));
        enum kw_status status = kw__text_check(line, KW_DESCRIPTION_MAX, "description", check->error);
        if (status != KW_OK) {
            return status;
        }
        rest = kw_bytes_skip(rest, line.size + 1);
    }
    return kw__text_check(rest, KW_DESCRIPTION_MAX, "description", check->error);
}

static bool is_tag(struct kw_bytes tag)
{
    bool good = tag.size >= 1 && tag.size <= KW_TAG_MAX;
    for (size_t i = 0; good && i < tag.size; i++) {
        uint8_t c = tag.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != 0 && strchr("._:/@+-", c) != NULL);
    }
    return good;
}

static enum kw_status check_tags(const struct check *check)
{
    if (check->params->tag_count > KW_TAG_COUNT_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "tags", "are too many: at most %d", KW_TAG_COUNT_MAX);
    }
    for (size_t i = 0; i < check->params->tag_count; i++) {
        if (!is_tag(check->params->tags[i])) {
            char field[KW_ERROR_FIELD_MAX];
            kw__name_item(KW_BYTES("tags"), i, field);
            return kw_refuse(check->error, KW_CODE_INVALID_FIELD, field,
                             "must be 1 to %d letters, digits or any of . _ : / @ + - (without spaces)", KW_TAG_MAX);
        }
    }
    return KW_OK;
}

/* `parent` is "scopes", or the resource that they are of. */
static enum kw_status check_scopes(const struct kw_bytes *scopes, size_t count, const char *parent,
                                   struct kw_error *error)
{
    if (count > KW_SCOPE_COUNT_MAX) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, parent, "are too many: at most %d", KW_SCOPE_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!kw_scope_valid(scopes[i])) {
            char field[KW_ERROR_FIELD_MAX];
            kw__name_item(kw_bytes_of_text(parent), i, field);
            return kw_refuse(error, KW_CODE_INVALID_FIELD, field,
                             "must be names of letters, digits and . _ / @ + - joined by ':', such as \"keys:read\"; "
                             "the last may be '*'; at most %d bytes",
                             KW_SCOPE_MAX);
        }
    }
    return KW_OK;
}

static size_t packed_size(const struct kw_resource_scopes *resource)
{
    size_t size = resource->resource.size + 2 * LIST_OVERHEAD;
    for (size_t i = 0; i < resource->scope_count; i++) {
        size += resource->scopes[i].size + LIST_OVERHEAD;
    }
    return size;
}

static bool stands_before(const struct kw_key_params *params, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (kw_bytes_equal(params->resources[i].resource, params->resources[index].resource)) {
            return true;
        }
    }
    return false;
}

/* What is no resource stands in the error as it was sent, unless it is so long that it could be a key. */
static struct kw_bytes shown_of(struct kw_bytes name)
{
    bool may_be_shown = name.size > 0 && name.size < KEY_SIZE_MIN && kw_utf8_valid(name) && !kw_bytes_has_control(name);
    return may_be_shown ? name : KW_BYTES("*");
}

static enum kw_status check_resource(const struct check *check, size_t index)
{
    const struct kw_resource_scopes *resource = &check->params->resources[index];
    char field[KW_ERROR_FIELD_MAX];
    if (!kw_resource_valid(resource->resource)) {
        name_resource(shown_of(resource->resource), field);
        return kw_refuse(
            check->error, KW_CODE_INVALID_FIELD, field,
            "must be named \"type:id\", such as \"website:123\" or \"website:*\", or \"*\" for all; at most %d bytes",
            KW_RESOURCE_MAX);
    }
    name_resource(resource->resource, field);
    if (resource->scope_count == 0) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, field,
                         "needs a scope or more: leave the resource out to grant nothing on it");
    }
    if (stands_before(check->params, index)) {
        return kw_refuse(check->error, KW_CODE_DUPLICATE_FIELD, field, "stands twice: name all its scopes at once");
    }
    return check_scopes(resource->scopes, resource->scope_count, field, check->error);
}

static enum kw_status check_resources(const struct check *check)
{
    const struct kw_key_params *params = check->params;
    if (params->resource_count > KW_RESOURCE_COUNT_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "resources", "are too many: at most %d",
                         KW_RESOURCE_COUNT_MAX);
    }
    size_t size = 0;
    for (size_t i = 0; i < params->resource_count; i++) {
        enum kw_status status = check_resource(check, i);
        if (status != KW_OK) {
            return status;
        }
        size += packed_size(&params->resources[i]);
    }
    if (size > KW_RESOURCES_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "resources",
                         "are too large together: at most %d bytes; use wildcards such as \"website:*\"",
                         KW_RESOURCES_MAX);
    }
    return KW_OK;
}

/* Walks the whole of it for its depth, which only the reader knows. */
static enum kw_status check_metadata_depth(const struct check *check)
{
    struct kw_json_reader reader;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    kw_json_reader_init(&reader, check->params->metadata, check->arena);
    while (token.type != KW_JSON_END) {
        enum kw_status status = kw_json_next(&reader, &token, check->error);
        if (status == KW_E_INVALID) {
            return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "metadata", "must be a JSON object (RFC 8259)");
        }
        if (status != KW_OK) {
            return kw__no_memory(check->error); /* the reader's own limit of depth lies beyond the one below */
        }
        if (reader.depth > METADATA_DEPTH_MAX) {
            return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "metadata", "is nested too deep: at most %d levels",
                             METADATA_DEPTH_MAX);
        }
    }
    return KW_OK;
}

static enum kw_status check_metadata(const struct check *check)
{
    struct kw_bytes metadata = check->params->metadata;
    if (metadata.size == 0) {
        return KW_OK;
    }
    if (metadata.size > KW_METADATA_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "metadata", "is too large: at most %d bytes of JSON",
                         KW_METADATA_MAX);
    }
    enum kw_status status = check_metadata_depth(check);
    if (status != KW_OK) {
        return status;
    }
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_json_reader_init(&reader, metadata, check->arena);
    status = kw_json_next(&reader, &token, check->error);
    if (status == KW_OK && token.type != KW_JSON_OBJECT_BEGIN) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "metadata", "must be a JSON object");
    }
    if (status == KW_OK) {
        status = kw_json_skip(&reader, &token, &raw, check->error);
    }
    if (status == KW_E_INVALID) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "metadata", "must not hold a name twice");
    }
    return status == KW_OK ? KW_OK : kw__no_memory(check->error);
}

static enum kw_status check_expires_at(const struct check *check)
{
    int64_t expires_at_ms = check->params->expires_at_ms;
    if (expires_at_ms == 0) {
        return KW_OK; /* none from now on */
    }
    if (expires_at_ms <= check->now_ms) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "expiresAt", "must lie in the future");
    }
    if (expires_at_ms > KW_TIME_MS_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "expiresAt", "must lie before the year 10000");
    }
    return KW_OK;
}

static enum kw_status check_schedule(const struct check *check)
{
    const struct kw_schedule *schedule = &check->params->schedule.to;
    const struct {
        const char *field;
        int64_t at_ms;
    } times[] = {{"schedule.disableAt", schedule->disable_at_ms}, {"schedule.revokeAt", schedule->revoke_at_ms}};
    for (size_t i = 0; i < KW_COUNT_OF(times); i++) {
        if (times[i].at_ms != 0 && times[i].at_ms <= check->now_ms) {
            return kw_refuse(check->error, KW_CODE_INVALID_FIELD, times[i].field, "must lie in the future");
        }
        if (times[i].at_ms > KW_TIME_MS_MAX) {
            return kw_refuse(check->error, KW_CODE_INVALID_FIELD, times[i].field, "must lie before the year 10000");
        }
    }
    if (schedule->notify_before_ms < 0 || schedule->notify_before_ms > KW_NOTIFY_BEFORE_MS_MAX) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "schedule.notifyBefore",
                         "must be at most \"1y\" (365 days): a number and its unit, such as \"24h\" or \"7d\"");
    }
    return KW_OK;
}

static enum kw_status check_expires_in(const struct check *check)
{
    int64_t expires_in_ms = check->params->expires_in_ms;
    if ((check->params->given & KW_GIVEN_EXPIRES_AT) != 0) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "expiresIn",
                         "cannot stand beside expiresAt: give one of the two");
    }
    if (expires_in_ms <= 0) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "expiresIn",
                         "must be a duration above zero, such as \"30d\"");
    }
    if (expires_in_ms > KW_DURATION_MS_MAX || expires_in_ms > KW_TIME_MS_MAX - check->now_ms) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "expiresIn", "is too long: at most \"100y\"");
    }
    return KW_OK;
}

static enum kw_status check_ips(const struct kw_bytes *ips, size_t count, const char *field, struct kw_error *error)
{
    if (count > KW_IP_COUNT_MAX) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, field, "are too many: at most %d", KW_IP_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct kw_address_range range;
        const char *why;
        if (kw_address_range_parse(ips[i], &range, &why) != KW_OK) {
            char item[KW_ERROR_FIELD_MAX];
            kw__name_item(kw_bytes_of_text(field), i, item);
            return kw_refuse(error, KW_CODE_INVALID_FIELD, item, "%s", why);
        }
    }
    return KW_OK;
}

static enum kw_status check_allowed_ips(const struct check *check)
{
    return check_ips(check->params->allowed_ips, check->params->allowed_ip_count, "allowedIPs", check->error);
}

static enum kw_status check_blocked_ips(const struct check *check)
{
    return check_ips(check->params->blocked_ips, check->params->blocked_ip_count, "blockedIPs", check->error);
}

static enum kw_status check_regions(const struct kw_bytes *regions, size_t count, const char *field,
                                    struct kw_error *error)
{
    if (count > KW_REGION_COUNT_MAX) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, field, "are too many: at most %d; use groups such as \"EU\"",
                         KW_REGION_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!kw_region_valid(regions[i])) {
            char item[KW_ERROR_FIELD_MAX];
            kw__name_item(kw_bytes_of_text(field), i, item);
            return kw_refuse(error, KW_CODE_INVALID_FIELD, item,
                             "must be a country of ISO 3166-1 (\"US\"), a part of one as in ISO 3166-2 (\"US-CA\"), "
                             "\"EU\" or \"EEA\", in capitals");
        }
    }
    return KW_OK;
}

static enum kw_status check_allowed_regions(const struct check *check)
{
    return check_regions(check->params->allowed_regions, check->params->allowed_region_count, "allowedRegions",
                         check->error);
}

static enum kw_status check_blocked_regions(const struct check *check)
{
    return check_regions(check->params->blocked_regions, check->params->blocked_region_count, "blockedRegions",
                         check->error);
}

static enum kw_status check_parent(const struct check *check)
{
    struct kw_id id;
    if (!kw_id_parse(check->params->parent, &id)) {
        return kw_refuse(check->error, KW_CODE_INVALID_FIELD, "parentId",
                         "must be the id of a key: \"key_\" and 26 characters");
    }
    return KW_OK;
}

static enum kw_status check_rate_limits(const struct check *check)
{
    return kw_rate_limits_check(check->params->rate_limits, check->params->rate_limit_count, "rateLimits",
                                check->error);
}

static enum kw_status check_quotas(const struct check *check)
{
    return kw_quotas_check(check->params->quotas, check->params->quota_count, "quotas", check->error);
}

static enum kw_status check_global_scopes(const struct check *check)
{
    return check_scopes(check->params->scopes, check->params->scope_count, "scopes", check->error);
}

enum kw_status kw_key_params_check(const struct kw_key_params *params, int64_t now_ms, struct kw_arena *arena,
                                   struct kw_error *error_out)
{
    static const struct {
        uint32_t given;
        enum kw_status (*run)(const struct check *check);
    } checks[] = {
        {KW_GIVEN_ENV, check_env},
        {KW_GIVEN_OWNER, check_owner},
        {KW_GIVEN_ORG, check_org},
        {KW_GIVEN_NAME, check_name},
        {KW_GIVEN_DESCRIPTION, check_description},
        {KW_GIVEN_TAGS, check_tags},
        {KW_GIVEN_METADATA, check_metadata},
        {KW_GIVEN_SCOPES, check_global_scopes},
        {KW_GIVEN_RESOURCES, check_resources},
        {KW_GIVEN_EXPIRES_AT, check_expires_at},
        {KW_GIVEN_EXPIRES_IN, check_expires_in},
        {KW_GIVEN_ALLOWED_IPS, check_allowed_ips},
        {KW_GIVEN_BLOCKED_IPS, check_blocked_ips},
        {KW_GIVEN_ALLOWED_REGIONS, check_allowed_regions},
        {KW_GIVEN_BLOCKED_REGIONS, check_blocked_regions},
        {KW_GIVEN_RATE_LIMITS, check_rate_limits},
        {KW_GIVEN_QUOTAS, check_quotas},
        {KW_GIVEN_PARENT, check_parent},
        {KW_GIVEN_SCHEDULE, check_schedule},
    };
    struct check check = {params, now_ms, arena, error_out};
    for (size_t i = 0; i < KW_COUNT_OF(checks); i++) {
        if ((params->given & checks[i].given) == 0) {
            continue;
        }
        enum kw_status status = checks[i].run(&check);
        if (status != KW_OK) {
            return status;
        }
    }
    return KW_OK;
}
