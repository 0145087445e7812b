#include "base/time.h"
#include "core/address.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/schedule.h"

/*
 * One pass over the bytes, a step for each tag. What two encodings could say alike is refused in all forms but the one
 * that kw_record_encode writes, so that equal records have equal bytes.
 */
#define TIME_NONE INT64_C(-1)

static inline bool take(struct kw_bytes *rest, void *out, size_t size)
{
    if (rest->size < size) {
        return false;
    }
    memcpy(out, rest->data, size);
    rest->data += size;
    rest->size -= size;
    return true;
}

static inline bool take_time(struct kw_bytes *rest, int64_t *time_ms_out)
{
    uint8_t bytes[8] = {0};
    if (!take(rest, bytes + 2, KW__TIME_SIZE)) {
        return false;
    }
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    *time_ms_out = (int64_t)value;
    return *time_ms_out <= KW_TIME_MS_MAX;
}

static inline bool take_id(struct kw_bytes *rest, struct kw_id *id_out)
{
    return take(rest, id_out->bytes, sizeof id_out->bytes);
}

static inline bool take_own_id(struct kw_bytes *rest, struct kw_record *record)
{
    if (!take_id(rest, &record->id)) {
        return false;
    }
    record->lineage_id = record->id;
    return !kw_id_is_none(&record->id);
}

static inline bool take_text(struct kw_bytes *rest, size_t size_max, struct kw_bytes *text_out)
{
    return kw__list_next(rest, text_out) && text_out->size != 0 && text_out->size <= size_max;
}

static inline bool take_count(struct kw_bytes *rest, size_t count_max, uint32_t *count_out)
{
    uint64_t count;
    if (!kw__leb128_read(rest, &count) || count == 0 || count > count_max) {
        return false;
    }
    *count_out = (uint32_t)count;
    return true;
}

/* Strings of a list ascend: `item` must come after `last`. */
static inline bool ascends(struct kw_bytes last, struct kw_bytes item)
{
    size_t common = last.size < item.size ? last.size : item.size;
    int order = common == 0 ? 0 : memcmp(last.data, item.data, common);
    return order < 0 || (order == 0 && last.size < item.size);
}

static bool take_items(struct kw_bytes *rest, const struct kw__field *field, uint32_t count)
{
    struct kw_bytes last = {NULL, 0};
    for (uint32_t i = 0; i < count; i++) {
        struct kw_bytes item;
        /* By their names, which do not stand first. */
        bool is_sorted_within = field->kind == KW__FIELD_QUOTAS || field->kind == KW__FIELD_RATE_LIMITS;
        if (!take_text(rest, field->size_max, &item) || (!is_sorted_within && !ascends(last, item))) {
            return false;
        }
        last = item;
    }
    return true;
}

static bool take_list(struct kw_bytes *rest, const struct kw__field *field, struct kw_list *list_out)
{
    if (!take_count(rest, field->count_max, &list_out->count)) {
        return false;
    }
    const uint8_t *start = rest->data;
    if (!take_items(rest, field, list_out->count)) {
        return false;
    }
    list_out->packed = kw_bytes_of(start, (size_t)(rest->data - start));
    return true;
}

static bool are_ranges(const struct kw_list *list)
{
    struct kw_bytes rest = list->packed;
    struct kw_bytes item;
    struct kw_address_range range;
    while (kw__list_next(&rest, &item)) {
        if (!kw_address_range_unpack(item, &range)) {
            return false;
        }
    }
    return true;
}

static bool is_scope_list(struct kw_bytes packed)
{
    struct kw_bytes last = {NULL, 0};
    uint32_t count = 0;
    while (packed.size != 0) {
        struct kw_bytes item;
        if (++count > KW_SCOPE_COUNT_MAX || !take_text(&packed, KW_SCOPE_MAX, &item) || !ascends(last, item)) {
            return false;
        }
        last = item;
    }
    return true;
}

static bool take_resources(struct kw_bytes *rest, const struct kw__field *field, struct kw_list *list_out)
{
    if (!take_count(rest, field->count_max, &list_out->count)) {
        return false;
    }
    const uint8_t *start = rest->data;
    struct kw_bytes last = {NULL, 0};
    for (uint32_t i = 0; i < list_out->count; i++) {
        struct kw_bytes resource;
        struct kw_bytes scopes;
        if (!take_text(rest, field->size_max, &resource) || !ascends(last, resource) ||
            !take_text(rest, KW_RECORD_MAX, &scopes) || !is_scope_list(scopes)) {
            return false;
        }
        last = resource;
    }
    list_out->packed = kw_bytes_of(start, (size_t)(rest->data - start));
    return true;
}

static enum kw_status take_scheme(struct kw_bytes *rest, enum kw_digest_scheme *scheme_out)
{
    uint64_t number;
    if (!kw__leb128_read(rest, &number) || number == 0) {
        return KW_E_CORRUPT;
    }
    if (number > KW_DIGEST_SHA512_SALTED) {
        return KW_E_NEWER;
    }
    *scheme_out = (enum kw_digest_scheme)number;
    return KW_OK;
}

/* The scheme, whose tag is lower, has been read. */
static bool take_method(struct kw_bytes *rest, struct kw_record *record)
{
    uint64_t number;
    if (!kw__leb128_read(rest, &number) || number == 0 || number > UINT8_MAX || number == record->digest_scheme) {
        return false;
    }
    record->digest_method = (uint8_t)number;
    return true;
}

static bool take_schedule(struct kw_bytes *rest, struct kw_schedule *schedule)
{
    return take_time(rest, &schedule->disable_at_ms) && take_time(rest, &schedule->revoke_at_ms) &&
           take_time(rest, &schedule->notify_before_ms) && schedule->notify_before_ms <= KW_NOTIFY_BEFORE_MS_MAX &&
           !kw_schedule_is_empty(schedule);
}

static bool take_announced(struct kw_bytes *rest, uint8_t *announced)
{
    uint64_t bits;
    if (!kw__leb128_read(rest, &bits) || bits == 0 || bits > (KW_END_DISABLE | KW_END_REVOKE | KW_END_EXPIRE)) {
        return false;
    }
    *announced = (uint8_t)bits;
    return true;
}

static bool take_last_four(struct kw_bytes *rest, uint8_t out[4])
{
    static const uint8_t none[4];
    return take(rest, out, sizeof none) && memcmp(out, none, sizeof none) != 0;
}

static inline enum kw_status sound(bool condition)
{
    return condition ? KW_OK : KW_E_CORRUPT;
}

static inline enum kw_status decode_field(struct kw_bytes *rest, const struct kw__field *field,
                                          struct kw_record *record)
{
    void *member = kw__field_in(record, field);
    switch ((enum kw__field_kind)field->kind) {
    case KW__FIELD_OWN_ID:
        return sound(take_own_id(rest, record));
    case KW__FIELD_TEXT:
    case KW__FIELD_JSON:
        return sound(take_text(rest, field->size_max, member));
    case KW__FIELD_ID:
        return sound(take_id(rest, member) && !kw_id_is_none(member));
    case KW__FIELD_LAST_FOUR:
        return sound(take_last_four(rest, member));
    case KW__FIELD_SET:
        *(bool *)member = true;
        return KW_OK;
    case KW__FIELD_CLEARED:
        *(bool *)member = false;
        return KW_OK;
    case KW__FIELD_LIST:
        return sound(take_list(rest, field, member));
    case KW__FIELD_RESOURCES:
        return sound(take_resources(rest, field, member));
    case KW__FIELD_RANGES:
        return sound(take_list(rest, field, member) && are_ranges(member));
    case KW__FIELD_RATE_LIMITS:
        return sound(take_list(rest, field, member) && kw_rate_limits_valid(member));
    case KW__FIELD_QUOTAS:
        return sound(take_list(rest, field, member) && kw_quotas_valid(member));
    case KW__FIELD_SCHEME:
        return take_scheme(rest, member);
    case KW__FIELD_METHOD:
        return sound(take_method(rest, record));
    case KW__FIELD_TIME:
        return sound(take_time(rest, member) && *(int64_t *)member != 0);
    case KW__FIELD_SCHEDULE:
        return sound(take_schedule(rest, member));
    case KW__FIELD_ANNOUNCED:
        return sound(take_announced(rest, member));
    case KW__FIELD_UPDATED:
        return sound(take_time(rest, member) && record->updated_at_ms != record->created_at_ms);
    case KW__FIELD_LINEAGE:
        return sound(take_id(rest, member) && !kw_id_equal(&record->lineage_id, &record->id));
    case KW__FIELD_VERSION:
        return sound(kw__leb128_read(rest, &record->version) && record->version != 0);
    case KW__FIELD_NONE:
        return KW_E_NEWER; /* a tag between ours that we do not know */
    case KW__FIELD_STATUS:
    case KW__FIELD_USER_ID:
        return KW_E_CORRUPT;
    }
    return KW_E_CORRUPT;
}

static enum kw_status decode_fields(struct kw_bytes rest, const uint8_t *places, struct kw_record *record)
{
    unsigned last_place = 0;
    while (rest.size != 0) {
        unsigned tag = rest.data[0];
        if (tag >= KW__FIELD_COUNT) {
            return KW_E_NEWER;
        }
        unsigned place = places[tag];
        if (place <= last_place) {
            return KW_E_CORRUPT;
        }
        last_place = place;
        rest.data++;
        rest.size--;
        enum kw_status status = decode_field(&rest, &kw__fields[tag], record);
        if (status != KW_OK) {
            return status;
        }
    }
    return KW_OK;
}

enum kw_status kw_record_decode(struct kw_bytes encoding, struct kw_record *record_out)
{
    if (encoding.size == 0 || encoding.size > KW_RECORD_MAX || encoding.data[0] == 0) {
        return KW_E_CORRUPT;
    }
    unsigned version = encoding.data[0];
    if (version > KW_RECORD_ENCODING_VERSION) {
        return KW_E_NEWER;
    }
    struct kw_record record = {.enabled = true, .updated_at_ms = TIME_NONE};
    enum kw_status status = decode_fields(kw_bytes_skip(encoding, 1), kw__field_places[version], &record);
    if (status != KW_OK) {
        return status;
    }
    if (kw_id_is_none(&record.id) || record.project.size == 0 || record.digest_scheme == 0 || record.version == 0) {
        return KW_E_CORRUPT;
    }
    if (record.updated_at_ms == TIME_NONE) {
        record.updated_at_ms = record.created_at_ms;
    }
    *record_out = record;
    return KW_OK;
}
