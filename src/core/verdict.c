#include "core/verdict.h"

#include "core/internal.h"
#include "core/record.h"
#include "core/scope.h"

_Static_assert(offsetof(struct kw_entry, scopes_at) < 64, "what a key without scopes is decided by is one cache line");
_Static_assert(sizeof(struct kw_entry) <= 96, "entries are what memory is spent on");
_Static_assert(KW_RECORD_MAX <= UINT16_MAX, "places in an encoding are 16 bits");
_Static_assert(KW_SCOPE_COUNT_MAX <= UINT8_MAX && KW_RESOURCE_COUNT_MAX <= UINT8_MAX, "counts are 8 bits");
_Static_assert(KW_ENV_MAX <= UINT8_MAX, "the size of an environment's name is 8 bits");

#define ENTRY_BAD \
    (KW_ENTRY_REVOKED | KW_ENTRY_DISABLED | KW_ENTRY_LAPSED | KW_ENTRY_ERASED | KW_ENTRY_SEEN_LAPSED | \
     KW_ENTRY_SEEN_ENDED)

size_t kw_entry_size(size_t encoding_size)
{
    size_t size = offsetof(struct kw_entry, record) + encoding_size;
    return size < sizeof(struct kw_entry) ? sizeof(struct kw_entry) : size;
}

static uint8_t flags_of(const struct kw_record *record, bool erased)
{
    unsigned flags = (record->revoked_at_ms != 0 ? KW_ENTRY_REVOKED : 0U) | (record->enabled ? 0U : KW_ENTRY_DISABLED) |
                     (record->lapsed_at_ms != 0 ? KW_ENTRY_LAPSED : 0U) | (erased ? KW_ENTRY_ERASED : 0U) |
                     (record->ends_grace ? KW_ENTRY_ENDS_GRACE : 0U);
    return (uint8_t)flags;
}

static uint16_t place_of(struct kw_bytes part, struct kw_bytes encoding)
{
    return part.size == 0 ? 0 : (uint16_t)(part.data - encoding.data);
}

enum kw_status kw_entry_build(const struct kw_digest *digest, uint16_t project, bool erased, struct kw_bytes encoding,
                              struct kw_entry *entry_out)
{
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status != KW_OK) {
        return status;
    }
    *entry_out = (struct kw_entry){
        .expires_at_ms = record.expires_at_ms == 0 ? INT64_MAX : record.expires_at_ms,
        .grace_until_ms = record.grace_until_ms == 0 ? INT64_MAX : record.grace_until_ms,
        .version = record.version,
        .project = project,
        .flags = flags_of(&record, erased),
        .env_size = (uint8_t)record.env.size,
        .env_at = place_of(record.env, encoding),
        .scopes_at = place_of(record.scopes.packed, encoding),
        .scopes_size = (uint16_t)record.scopes.packed.size,
        .resources_at = place_of(record.resources.packed, encoding),
        .resources_size = (uint16_t)record.resources.packed.size,
        .record_size = (uint16_t)encoding.size,
        .scope_count = (uint8_t)record.scopes.count,
        .resource_count = (uint8_t)record.resources.count,
        .scheme = (uint8_t)record.digest_scheme,
    };
    memcpy(entry_out->digest, digest->bytes, sizeof entry_out->digest);
    memcpy(entry_out->record, encoding.data, encoding.size);
    return KW_OK;
}

/* Why a key is refused whose flags or times speak against it, and whether somebody has to write down that a time
 * passed. */
static struct kw_decision refuse_state(const struct kw_entry *entry, int64_t now_ms)
{
    unsigned flags = kw_entry_flags(entry);
    bool is_news = (flags & KW_ENTRY_NOTED) == 0;
    if ((flags & KW_ENTRY_ERASED) != 0) {
        return (struct kw_decision){.code = KW_CODE_INVALID_KEY};
    }
    if ((flags & KW_ENTRY_REVOKED) != 0) {
        return (struct kw_decision){.code = KW_CODE_REVOKED};
    }
    if ((flags & KW_ENTRY_SEEN_ENDED) != 0 || now_ms >= entry->grace_until_ms) {
        return (struct kw_decision){.code = KW_CODE_REVOKED, .lapse_noticed = is_news};
    }
    if ((flags & KW_ENTRY_LAPSED) != 0) {
        return (struct kw_decision){.code = KW_CODE_EXPIRED};
    }
    if ((flags & KW_ENTRY_SEEN_LAPSED) != 0 || now_ms >= entry->expires_at_ms) {
        return (struct kw_decision){.code = KW_CODE_EXPIRED, .lapse_noticed = is_news};
    }
    return (struct kw_decision){.code = KW_CODE_DISABLED};
}

static bool holds_grant_on(const struct kw_list *resources, struct kw_bytes wanted)
{
    struct kw_bytes rest = resources->packed;
    struct kw_bytes resource;
    struct kw_list scopes;
    while (kw_resources_next(&rest, &resource, &scopes)) {
        if (kw_resource_covers(resource, wanted)) {
            return true;
        }
    }
    return false;
}

/* True, with the first of them, when scopes are asked for that are not held. It may be empty: that is no scope. */
static bool lacks_scope(const struct kw_entry *entry, const struct kw_question *question, struct kw_bytes *missing_out)
{
    struct kw_list scopes = {{entry->record + entry->scopes_at, entry->scopes_size}, entry->scope_count};
    struct kw_list resources = {{entry->record + entry->resources_at, entry->resources_size}, entry->resource_count};
    for (size_t i = 0; i < question->scope_count; i++) {
        if (!kw_scopes_allow(&scopes, question->scopes[i])) {
            *missing_out = question->scopes[i];
            return true;
        }
    }
    for (size_t i = 0; i < question->resource_scope_count; i++) {
        if (!kw_resources_allow(&scopes, &resources, question->resource, question->resource_scopes[i])) {
            *missing_out = question->resource_scopes[i];
            return true;
        }
    }
    bool needs_any = question->resource.size != 0 && question->resource_scope_count == 0;
    *missing_out = question->resource;
    return needs_any && scopes.count == 0 && !holds_grant_on(&resources, question->resource);
}

struct kw_decision kw_decide(const struct kw_entry *entry, const struct kw_question *question, int64_t now_ms)
{
    if (entry == NULL || entry->project != question->project) {
        return (struct kw_decision){.code = KW_CODE_INVALID_KEY};
    }
    /* One branch for what a good key passes: the order of refusals is looked at only when there is one. */
    unsigned flags = kw_entry_flags(entry);
    bool bad = ((flags & ENTRY_BAD) != 0) | (now_ms >= entry->expires_at_ms) | (now_ms >= entry->grace_until_ms);
    if (bad) {
        return refuse_state(entry, now_ms);
    }
    if (question->env.size != 0 &&
        !kw_bytes_equal(question->env, kw_bytes_of(entry->record + entry->env_at, entry->env_size))) {
        return (struct kw_decision){.code = KW_CODE_ENVIRONMENT_MISMATCH};
    }
    if ((question->scope_count | question->resource_scope_count | question->resource.size) != 0) {
        struct kw_bytes missing;
        if (lacks_scope(entry, question, &missing)) {
            return (struct kw_decision){.code = KW_CODE_INSUFFICIENT_SCOPE, .missing = missing};
        }
    }
    return (struct kw_decision){.code = KW_CODE_NONE, .first_use = (flags & KW_ENTRY_ENDS_GRACE) != 0};
}
