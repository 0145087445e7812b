#include "base/error.h"
#include "core/address.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/transition.h"

enum kw_status kw__no_memory(struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_MEMORY, "TOO_BUSY", NULL, "There is no memory for this now: try again.");
}

/* Sorts and drops doubles; returns how many are left. Lists are short: their caps are in keyward/record.h. */
static size_t sort_unique(struct kw_bytes *items, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes item = items[i];
        size_t at = kept;
        int order = 1;
        while (at > 0 && (order = kw_bytes_compare(item, items[at - 1])) < 0) {
            at--;
        }
        if (at > 0 && order == 0) {
            continue;
        }
        memmove(items + at + 1, items + at, (kept - at) * sizeof *items);
        items[at] = item;
        kept++;
    }
    return kept;
}

/* Packs `count` items in the arena, in their order. */
static bool pack(struct kw_arena *arena, const struct kw_bytes *items, size_t count, struct kw_list *list_out)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += kw__leb128_size(items[i].size) + items[i].size;
    }
    void *memory = kw_arena_take(arena, size);
    if (memory == NULL) {
        return false;
    }
    struct kw_buffer packed;
    kw_buffer_init_fixed(&packed, memory, size);
    for (size_t i = 0; i < count; i++) {
        kw_list_add(&packed, items[i]);
    }
    *list_out = (struct kw_list){kw_bytes_of(count == 0 ? NULL : memory, size), (uint32_t)count};
    return true;
}

static bool pack_set(struct kw_arena *arena, const struct kw_bytes *items, size_t count, struct kw_list *list_out)
{
    struct kw_bytes *sorted = kw_arena_take_array(arena, count, sizeof *sorted);
    if (sorted == NULL) {
        return false;
    }
    if (count != 0) {
        memcpy(sorted, items, count * sizeof *sorted);
    }
    return pack(arena, sorted, sort_unique(sorted, count), list_out);
}

static bool pack_tags(struct kw_arena *arena, const struct kw_bytes *tags, size_t count, struct kw_list *list_out)
{
    struct kw_bytes *lowered = kw_arena_take_array(arena, count, sizeof *lowered);
    if (lowered == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t *text = kw_arena_take(arena, tags[i].size);
        if (text == NULL) {
            return false;
        }
        kw_bytes_lower(tags[i], text);
        lowered[i] = kw_bytes_of(text, tags[i].size);
    }
    return pack_set(arena, lowered, count, list_out);
}

static void sort_resources(struct kw_resource_scopes *resources, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct kw_resource_scopes resource = resources[i];
        size_t at = i;
        for (; at > 0 && kw_bytes_compare(resource.resource, resources[at - 1].resource) < 0; at--) {
            resources[at] = resources[at - 1];
        }
        resources[at] = resource;
    }
}

/* As pairs of a resource and its scopes' packed bytes (struct kw_record). */
static bool pack_resources(struct kw_arena *arena, const struct kw_resource_scopes *resources, size_t count,
                           struct kw_list *list_out)
{
    struct kw_resource_scopes *sorted = kw_arena_take_array(arena, count, sizeof *sorted);
    struct kw_bytes *strings = kw_arena_take_array(arena, 2 * count, sizeof *strings);
    if (sorted == NULL || strings == NULL) {
        return false;
    }
    if (count != 0) {
        memcpy(sorted, resources, count * sizeof *sorted);
    }
    sort_resources(sorted, count);
    for (size_t i = 0; i < count; i++) {
        struct kw_list scopes;
        if (!pack_set(arena, sorted[i].scopes, sorted[i].scope_count, &scopes)) {
            return false;
        }
        strings[2 * i] = sorted[i].resource;
        strings[2 * i + 1] = scopes.packed;
    }
    if (!pack(arena, strings, 2 * count, list_out)) {
        return false;
    }
    list_out->count = (uint32_t)count;
    return true;
}

/* Without white space between tokens: a line break there would break what holds one record a line. */
static bool compact_json(struct kw_arena *arena, struct kw_bytes json, struct kw_bytes *compact_out)
{
    uint8_t *text = kw_arena_take(arena, json.size);
    if (text == NULL) {
        return false;
    }
    size_t size = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.size; i++) {
        uint8_t c = json.data[i];
        if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            continue;
        }
        text[size++] = c;
        if (c == '"') {
            in_string = !in_string;
        } else if (c == '\\' && i + 1 < json.size) {
            text[size++] = json.data[++i]; /* valid JSON has this in strings only */
        }
    }
    *compact_out = kw_bytes_of(json.size == 0 ? NULL : text, size);
    return true;
}

static bool pack_ranges(struct kw_arena *arena, const struct kw_bytes *texts, size_t count, struct kw_list *list_out)
{
    struct kw_bytes *ranges = kw_arena_take_array(arena, count, sizeof *ranges);
    uint8_t *memory = kw_arena_take_array(arena, count, KW_ADDRESS_RANGE_SIZE);
    if (ranges == NULL || memory == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct kw_address_range range = {.bits = 0};
        const char *why;
        if (kw_address_range_parse(texts[i], &range, &why) != KW_OK) {
            return false; /* not after kw_key_params_check */
        }
        kw_address_range_pack(&range, memory + i * KW_ADDRESS_RANGE_SIZE);
        ranges[i] = kw_bytes_of(memory + i * KW_ADDRESS_RANGE_SIZE, KW_ADDRESS_RANGE_SIZE);
    }
    return pack_set(arena, ranges, count, list_out);
}

/* False without memory. */
static bool apply_rules(const struct kw_key_params *params, struct kw_arena *arena, struct kw_record *record)
{
    uint32_t given = params->given;
    bool done = (given & KW_GIVEN_ALLOWED_IPS) == 0 ||
                pack_ranges(arena, params->allowed_ips, params->allowed_ip_count, &record->allowed_ips);
    done = done && ((given & KW_GIVEN_BLOCKED_IPS) == 0 ||
                    pack_ranges(arena, params->blocked_ips, params->blocked_ip_count, &record->blocked_ips));
    done = done && ((given & KW_GIVEN_ALLOWED_REGIONS) == 0 ||
                    pack_set(arena, params->allowed_regions, params->allowed_region_count, &record->allowed_regions));
    return done && ((given & KW_GIVEN_BLOCKED_REGIONS) == 0 ||
                    pack_set(arena, params->blocked_regions, params->blocked_region_count, &record->blocked_regions));
}

static void apply_texts(const struct kw_key_params *params, int64_t now_ms, struct kw_record *record)
{
    if ((params->given & KW_GIVEN_PUBLIC) != 0) {
        record->is_public = params->is_public;
    }
    if ((params->given & KW_GIVEN_OWNER) != 0) {
        record->owner = params->owner;
    }
    if ((params->given & KW_GIVEN_ORG) != 0) {
        record->org_id = params->org_id;
    }
    if ((params->given & KW_GIVEN_NAME) != 0) {
        record->name = params->name;
    }
    if ((params->given & KW_GIVEN_POLICY) != 0) {
        record->policy = params->policy;
    }
    if ((params->given & KW_GIVEN_DESCRIPTION) != 0) {
        record->description = params->description;
    }
    if ((params->given & KW_GIVEN_EXPIRES_AT) != 0) {
        record->expires_at_ms = params->expires_at_ms;
    }
    if ((params->given & KW_GIVEN_EXPIRES_IN) != 0) {
        record->expires_at_ms = now_ms + params->expires_in_ms;
    }
}

/* An empty schedule is none. */
static void apply_schedule(const struct kw_schedule_params *params, struct kw_schedule *schedule)
{
    uint32_t given = params->given != 0 ? params->given : UINT32_MAX;
    schedule->disable_at_ms = (given & KW_GIVEN_DISABLE_AT) != 0 ? params->to.disable_at_ms : schedule->disable_at_ms;
    schedule->revoke_at_ms = (given & KW_GIVEN_REVOKE_AT) != 0 ? params->to.revoke_at_ms : schedule->revoke_at_ms;
    if ((given & KW_GIVEN_NOTIFY_BEFORE) != 0) {
        schedule->notify_before_ms = params->to.notify_before_ms;
    }
}

enum kw_status kw__params_apply(const struct kw_key_params *params, int64_t now_ms, struct kw_arena *arena,
                                struct kw_record *record, struct kw_error *error_out)
{
    uint32_t given = params->given;
    apply_texts(params, now_ms, record);
    if ((given & KW_GIVEN_SCHEDULE) != 0) {
        apply_schedule(&params->schedule, &record->schedule);
    }
    if ((given & KW_GIVEN_TAGS) != 0 && !pack_tags(arena, params->tags, params->tag_count, &record->tags)) {
        return kw__no_memory(error_out);
    }
    if ((given & KW_GIVEN_METADATA) != 0 && !compact_json(arena, params->metadata, &record->metadata)) {
        return kw__no_memory(error_out);
    }
    if ((given & KW_GIVEN_SCOPES) != 0 && !pack_set(arena, params->scopes, params->scope_count, &record->scopes)) {
        return kw__no_memory(error_out);
    }
    if ((given & KW_GIVEN_RESOURCES) != 0 &&
        !pack_resources(arena, params->resources, params->resource_count, &record->resources)) {
        return kw__no_memory(error_out);
    }
    if ((given & KW_GIVEN_RATE_LIMITS) != 0 &&
        !kw_rate_limits_pack(arena, params->rate_limits, params->rate_limit_count, &record->rate_limits)) {
        return kw__no_memory(error_out);
    }
    if ((given & KW_GIVEN_QUOTAS) != 0 &&
        !kw_quotas_pack(arena, params->quotas, params->quota_count, &record->quotas)) {
        return kw__no_memory(error_out);
    }
    return apply_rules(params, arena, record) ? KW_OK : kw__no_memory(error_out);
}

/* --- limits of an organisation --- */

static enum kw_status refuse_orgless(const char *field, size_t index, struct kw_error *error_out)
{
    enum kw_status status =
        kw_refuse(error_out, KW_CODE_INVALID_FIELD, "per",
                  "counts what the key's organisation spends, and it has none: give it an orgId, or say key or owner");
    return kw__document_under(status, field, index, error_out);
}

static bool has_org_limit(const struct kw_record *record)
{
    struct kw_bytes limits = record->rate_limits.packed;
    struct kw_bytes quotas = record->quotas.packed;
    struct kw_rate_limit limit;
    struct kw_quota_rule quota;
    bool found = false;
    while (!found && kw_rate_limits_next(&limits, &limit)) {
        found = limit.per == KW_PER_ORG;
    }
    while (!found && kw_quota_rules_next(&quotas, &quota)) {
        found = quota.per == KW_PER_ORG;
    }
    return found;
}

enum kw_status kw__org_check(const struct kw_key_params *params, const struct kw_record *record,
                             struct kw_error *error_out)
{
    if (record->org_id.size > 0 || !has_org_limit(record)) {
        return KW_OK;
    }
    size_t limit_count = (params->given & KW_GIVEN_RATE_LIMITS) != 0 ? params->rate_limit_count : 0;
    for (size_t i = 0; i < limit_count; i++) {
        if (params->rate_limits[i].per == KW_PER_ORG) {
            return refuse_orgless("rateLimits", i, error_out);
        }
    }
    size_t quota_count = (params->given & KW_GIVEN_QUOTAS) != 0 ? params->quota_count : 0;
    for (size_t i = 0; i < quota_count; i++) {
        if (params->quotas[i].per == KW_PER_ORG) {
            return refuse_orgless("quotas", i, error_out);
        }
    }
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "orgId",
                     "must stay: the key has a limit or quota per org. Change these in the same request");
}
