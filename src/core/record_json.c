#include "base/time.h"
#include "core/address.h"
#include "core/amount.h"
#include "core/digest.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/period.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/schedule.h"

/*
 * Labels, ids and times go straight into the buffer, in one reservation each: they need no escaping, and the answer to
 * every verification carries them.
 */
static inline void write_label(struct kw_json_writer *writer, const struct kw__field *field)
{
    struct kw_buffer *buffer = writer->buffer;
    size_t skipped = writer->needs_comma ? 0 : 1;
    writer->needs_comma = false;
    if (buffer->failed == KW_OK && buffer->capacity - buffer->size >= KW__LABEL_MAX) {
        memcpy(buffer->data + buffer->size, field->label + skipped, KW__LABEL_MAX); /* a known size is one move */
        buffer->size += field->label_size - skipped;
        return;
    }
    kw_buffer_add(buffer, kw_bytes_of(field->label + skipped, field->label_size - skipped));
}

/* Room for `size` characters between quotes; NULL when there is none. */
static char *begin_plain(struct kw_json_writer *writer, size_t size)
{
    uint8_t *out = kw_buffer_reserve(writer->buffer, size + 2);
    if (out == NULL) {
        return NULL;
    }
    out[0] = '"';
    out[size + 1] = '"';
    writer->buffer->size += size + 2;
    writer->needs_comma = true;
    return (char *)out + 1;
}

static void write_id(struct kw_json_writer *writer, const struct kw_id *id)
{
    char *out = begin_plain(writer, KW_ID_TEXT_SIZE);
    if (out != NULL) {
        kw_id_format(id, out);
    }
}

static void write_time(struct kw_json_writer *writer, int64_t time_ms)
{
    char *out = begin_plain(writer, KW_TIME_TEXT_SIZE);
    if (out != NULL) {
        kw_time_format(time_ms, out);
    }
}

static void write_items(struct kw_json_writer *writer, struct kw_bytes packed)
{
    struct kw_bytes item;
    kw_json_begin_array(writer);
    while (kw__list_next(&packed, &item)) {
        kw_json_string(writer, item);
    }
    kw_json_end_array(writer);
}

static void write_ranges(struct kw_json_writer *writer, struct kw_bytes packed)
{
    struct kw_bytes item;
    struct kw_address_range range;
    char text[KW_ADDRESS_RANGE_TEXT_MAX];
    kw_json_begin_array(writer);
    while (kw__list_next(&packed, &item)) {
        if (kw_address_range_unpack(item, &range)) {
            kw_json_string(writer, kw_bytes_of(text, kw_address_range_format(&range, text)));
        }
    }
    kw_json_end_array(writer);
}

static void write_rate(struct kw_json_writer *writer, const struct kw_rate_limit *limit)
{
    char window[KW_DURATION_TEXT_MAX];
    kw_duration_format(limit->window_ms, window);
    kw_json_name(writer, "requests");
    kw_json_i64(writer, limit->requests);
    kw_json_name(writer, "window");
    kw_json_text(writer, window);
}

static void write_word(struct kw_json_writer *writer, const char *name, const char *word)
{
    kw_json_name(writer, name);
    kw_json_text(writer, word);
}

static void write_rate_limits(struct kw_json_writer *writer, struct kw_bytes packed)
{
    struct kw_rate_limit limit;
    kw_json_begin_array(writer);
    while (kw_rate_limits_next(&packed, &limit)) {
        kw_json_begin_object(writer);
        kw_json_name(writer, "name");
        kw_json_string(writer, limit.name);
        write_rate(writer, &limit);
        if (limit.per != KW_PER_KEY) {
            write_word(writer, "per", kw_limit_per_name(limit.per));
        }
        kw_json_end_object(writer);
    }
    kw_json_end_array(writer);
}

static void write_quota(struct kw_json_writer *writer, const struct kw_quota_rule *quota)
{
    static const char *const anchors[] = {[KW_ANCHOR_UTC] = "utc", [KW_ANCHOR_CREATED] = "created"};
    kw_json_name(writer, "name");
    kw_json_string(writer, quota->name);
    kw_amount_write_json(writer, "limit", quota->limit);
    kw_json_name(writer, "metric");
    kw_json_string(writer, quota->metric);
    write_word(writer, "period", kw_period_name(quota->period));
    write_word(writer, "anchor", anchors[quota->anchor]);
    write_word(writer, "per", kw_limit_per_name(quota->per));
    write_word(writer, "onExceeded", kw_quota_exceeded_name(quota->on_exceeded));
    if (quota->on_exceeded == KW_QUOTA_THROTTLE) {
        kw_json_name(writer, "throttle");
        kw_json_begin_object(writer);
        write_rate(writer, &quota->throttle);
        kw_json_end_object(writer);
    }
    kw_json_name(writer, "warnAt");
    kw_json_begin_array(writer);
    for (size_t i = 0; i < quota->mark_count; i++) {
        kw_json_i64(writer, quota->marks[i]);
    }
    kw_json_end_array(writer);
}

static void write_quotas(struct kw_json_writer *writer, struct kw_bytes packed)
{
    struct kw_quota_rule quota;
    kw_json_begin_array(writer);
    while (kw_quota_rules_next(&packed, &quota)) {
        kw_json_begin_object(writer);
        write_quota(writer, &quota);
        kw_json_end_object(writer);
    }
    kw_json_end_array(writer);
}

static void write_schedule(struct kw_json_writer *writer, const struct kw_schedule *schedule)
{
    kw_json_begin_object(writer);
    if (schedule->disable_at_ms != 0) {
        kw_json_name(writer, "disableAt");
        write_time(writer, schedule->disable_at_ms);
    }
    if (schedule->revoke_at_ms != 0) {
        kw_json_name(writer, "revokeAt");
        write_time(writer, schedule->revoke_at_ms);
    }
    if (schedule->notify_before_ms != 0) {
        char text[KW_DURATION_TEXT_MAX];
        kw_duration_format(schedule->notify_before_ms, text);
        write_word(writer, "notifyBefore", text);
    }
    kw_json_end_object(writer);
}

static void write_resources(struct kw_json_writer *writer, struct kw_bytes packed)
{
    struct kw_bytes resource;
    struct kw_bytes scopes;
    kw_json_begin_object(writer);
    while (kw__list_next(&packed, &resource) && kw__list_next(&packed, &scopes)) {
        kw_json_name_bytes(writer, resource);
        write_items(writer, scopes);
    }
    kw_json_end_object(writer);
}

/* The ID of "user:ID"; nothing for other owners. */
static struct kw_bytes user_id(struct kw_bytes owner)
{
    return kw_bytes_starts_with(owner, KW_BYTES("user:")) ? kw_bytes_skip(owner, 5) : (struct kw_bytes){NULL, 0};
}

static bool is_present(const struct kw_record *record, const struct kw__field *field)
{
    static const uint8_t no_last_four[4];
    const void *member = kw__field_of(record, field);
    switch ((enum kw__field_kind)field->kind) {
    case KW__FIELD_OWN_ID:
    case KW__FIELD_ID:
    case KW__FIELD_LINEAGE:
        return !kw_id_is_none(member);
    case KW__FIELD_TEXT:
    case KW__FIELD_JSON:
        return ((const struct kw_bytes *)member)->size != 0;
    case KW__FIELD_USER_ID:
        return user_id(record->owner).size != 0;
    case KW__FIELD_LAST_FOUR:
        return memcmp(member, no_last_four, sizeof no_last_four) != 0;
    case KW__FIELD_TIME:
    case KW__FIELD_UPDATED:
        return *(const int64_t *)member != 0;
    case KW__FIELD_SCHEDULE:
        return !kw_schedule_is_empty(member);
    case KW__FIELD_ANNOUNCED:
        return record->announced != 0;
    case KW__FIELD_SET:
        return (field->flags & KW__FIELD_RARE) == 0 || *(const bool *)member;
    case KW__FIELD_LIST:
    case KW__FIELD_RANGES:
    case KW__FIELD_RATE_LIMITS:
    case KW__FIELD_QUOTAS:
        return (field->flags & KW__FIELD_RARE) == 0 || ((const struct kw_list *)member)->count != 0;
    case KW__FIELD_METHOD:
        return kw_record_digest_method(record) != (uint8_t)record->digest_scheme;
    case KW__FIELD_CLEARED:
    case KW__FIELD_RESOURCES:
    case KW__FIELD_SCHEME:
    case KW__FIELD_VERSION:
    case KW__FIELD_STATUS:
        return true;
    case KW__FIELD_NONE:
        return false;
    }
    return false;
}

static void write_value(const struct kw_record *record, const struct kw__field *field, enum kw_key_status status,
                        struct kw_json_writer *writer)
{
    const void *member = kw__field_of(record, field);
    switch ((enum kw__field_kind)field->kind) {
    case KW__FIELD_OWN_ID:
    case KW__FIELD_ID:
    case KW__FIELD_LINEAGE:
        write_id(writer, member);
        return;
    case KW__FIELD_TEXT:
        kw_json_string(writer, *(const struct kw_bytes *)member);
        return;
    case KW__FIELD_JSON:
        kw_json_raw(writer, *(const struct kw_bytes *)member);
        return;
    case KW__FIELD_USER_ID:
        kw_json_string(writer, user_id(record->owner));
        return;
    case KW__FIELD_LAST_FOUR:
        kw_json_string(writer, kw_bytes_of(record->last_four, sizeof record->last_four));
        return;
    case KW__FIELD_SET:
    case KW__FIELD_CLEARED:
        kw_json_bool(writer, *(const bool *)member);
        return;
    case KW__FIELD_LIST:
        write_items(writer, ((const struct kw_list *)member)->packed);
        return;
    case KW__FIELD_RANGES:
        write_ranges(writer, ((const struct kw_list *)member)->packed);
        return;
    case KW__FIELD_RATE_LIMITS:
        write_rate_limits(writer, ((const struct kw_list *)member)->packed);
        return;
    case KW__FIELD_QUOTAS:
        write_quotas(writer, ((const struct kw_list *)member)->packed);
        return;
    case KW__FIELD_RESOURCES:
        write_resources(writer, ((const struct kw_list *)member)->packed);
        return;
    case KW__FIELD_SCHEME:
        kw_json_text(writer, kw_digest_scheme_name(record->digest_scheme));
        return;
    case KW__FIELD_METHOD:
        kw_json_i64(writer, kw_record_digest_method(record));
        return;
    case KW__FIELD_TIME:
    case KW__FIELD_UPDATED:
        write_time(writer, *(const int64_t *)member);
        return;
    case KW__FIELD_SCHEDULE:
        write_schedule(writer, member);
        return;
    case KW__FIELD_ANNOUNCED:
        kw_json_i64(writer, record->announced);
        return;
    case KW__FIELD_VERSION:
        kw_json_i64(writer, (int64_t)record->version);
        return;
    case KW__FIELD_STATUS:
        kw_json_text(writer, kw_key_status_name(status));
        return;
    case KW__FIELD_NONE:
        return;
    }
}

static void write_last_use(const struct kw_record *record, struct kw_json_writer *writer)
{
    struct kw_address address;
    char text[KW_ADDRESS_TEXT_MAX];
    if (record->last_used_at_ms == 0) {
        return;
    }
    kw_json_name(writer, "lastUsedAt");
    write_time(writer, record->last_used_at_ms);
    if (record->last_used_ip.size == sizeof address.bytes) {
        memcpy(address.bytes, record->last_used_ip.data, sizeof address.bytes);
        kw_json_name(writer, "lastUsedIP");
        kw_json_string(writer, kw_bytes_of(text, kw_address_format(&address, text)));
    }
    if (record->last_used_region.size > 0) {
        kw_json_name(writer, "lastUsedRegion");
        kw_json_string(writer, record->last_used_region);
    }
}

static void write_record(const struct kw_record *record, const enum kw_key_status *above, int64_t now_ms,
                         struct kw_json_writer *writer)
{
    enum kw_key_status status = kw_record_status(record, now_ms);
    struct kw_record lapsed;
    if (kw_schedule_has_passed(record, now_ms)) {
        lapsed = *record;
        kw_schedule_settle(&lapsed, now_ms);
        record = &lapsed;
    }
    kw_json_begin_object(writer);
    for (unsigned tag = 1; tag < KW__FIELD_COUNT; tag++) {
        const struct kw__field *field = &kw__fields[tag];
        if ((field->flags & KW__FIELD_HIDDEN) == 0 && is_present(record, field)) {
            write_label(writer, field);
            write_value(record, field, status, writer);
        }
    }
    write_last_use(record, writer);
    if (above != NULL) {
        kw_json_name(writer, "effectiveStatus");
        kw_json_text(writer, kw_key_status_name(*above > status ? *above : status));
    }
    kw_json_end_object(writer);
}

void kw_record_write_kept(const struct kw_record *record, struct kw_json_writer *writer)
{
    kw_json_begin_object(writer);
    for (unsigned tag = 1; tag < KW__FIELD_COUNT; tag++) {
        const struct kw__field *field = &kw__fields[tag];
        bool is_own = field->kind == KW__FIELD_METHOD || field->kind == KW__FIELD_ANNOUNCED;
        bool is_kept = (field->flags & KW__FIELD_HIDDEN) != 0 && !is_own;
        if (is_kept && is_present(record, field)) {
            write_label(writer, field);
            write_value(record, field, KW_KEY_ACTIVE, writer);
        }
    }
    kw_json_end_object(writer);
}

void kw_record_write_json(const struct kw_record *record, int64_t now_ms, struct kw_json_writer *writer)
{
    write_record(record, NULL, now_ms, writer);
}

void kw_record_write_json_under(const struct kw_record *record, enum kw_key_status above, int64_t now_ms,
                                struct kw_json_writer *writer)
{
    write_record(record, &above, now_ms, writer);
}

static bool is_equal(const struct kw_record *a, const struct kw_record *b, const struct kw__field *field)
{
    const void *left = kw__field_of(a, field);
    const void *right = kw__field_of(b, field);
    switch ((enum kw__field_kind)field->kind) {
    case KW__FIELD_OWN_ID:
    case KW__FIELD_ID:
    case KW__FIELD_LINEAGE:
        return kw_id_equal(left, right);
    case KW__FIELD_TEXT:
    case KW__FIELD_JSON:
        return kw_bytes_equal(*(const struct kw_bytes *)left, *(const struct kw_bytes *)right);
    case KW__FIELD_LAST_FOUR:
        return memcmp(left, right, sizeof a->last_four) == 0;
    case KW__FIELD_SET:
    case KW__FIELD_CLEARED:
        return *(const bool *)left == *(const bool *)right;
    case KW__FIELD_LIST:
    case KW__FIELD_RESOURCES:
    case KW__FIELD_RANGES:
    case KW__FIELD_RATE_LIMITS:
    case KW__FIELD_QUOTAS:
        return kw_bytes_equal(((const struct kw_list *)left)->packed, ((const struct kw_list *)right)->packed);
    case KW__FIELD_SCHEME:
        return a->digest_scheme == b->digest_scheme;
    case KW__FIELD_METHOD:
        return kw_record_digest_method(a) == kw_record_digest_method(b);
    case KW__FIELD_TIME:
    case KW__FIELD_UPDATED:
        return *(const int64_t *)left == *(const int64_t *)right;
    case KW__FIELD_SCHEDULE:
        return kw_schedule_equal(left, right);
    case KW__FIELD_NONE:
    case KW__FIELD_ANNOUNCED:
    case KW__FIELD_VERSION:
    case KW__FIELD_STATUS:
    case KW__FIELD_USER_ID:
        return true;
    }
    return true;
}

static bool is_list(const struct kw__field *field)
{
    return field->kind == KW__FIELD_LIST || field->kind == KW__FIELD_RESOURCES || field->kind == KW__FIELD_RANGES ||
           field->kind == KW__FIELD_RATE_LIMITS || field->kind == KW__FIELD_QUOTAS;
}

/* Whether a record that is being born has something to show for `field`. */
static bool is_set(const struct kw_record *record, const struct kw__field *field)
{
    if (is_list(field)) {
        return ((const struct kw_list *)kw__field_of(record, field))->count != 0;
    }
    return is_present(record, field);
}

static void write_side(const char *name, const struct kw_record *record, const struct kw__field *field,
                       struct kw_json_writer *writer)
{
    kw_json_name(writer, name);
    if (record == NULL || !is_present(record, field)) {
        kw_json_null(writer);
        return;
    }
    write_value(record, field, KW_KEY_ACTIVE, writer);
}

/* Whether the field is among the differences of two records. */
static bool has_changed(const struct kw_record *before, const struct kw_record *after, const struct kw__field *field)
{
    bool differs = before == NULL ? is_set(after, field) : !is_equal(before, after, field);
    return differs && (field->flags & KW__FIELD_UNCOMPARED) == 0;
}

void kw_record_write_changed(const struct kw_record *before, const struct kw_record *after,
                             struct kw_json_writer *writer)
{
    kw_json_begin_array(writer);
    for (unsigned tag = 1; tag < KW__FIELD_COUNT; tag++) {
        const struct kw__field *field = &kw__fields[tag];
        if (has_changed(before, after, field)) {
            /* A label is a comma, the name in quotes, and a colon. */
            kw_json_string(writer, kw_bytes_of(field->label + 2, field->label_size - 4U));
        }
    }
    kw_json_end_array(writer);
}

void kw_record_write_changes(const struct kw_record *before, const struct kw_record *after,
                             struct kw_json_writer *writer)
{
    kw_json_begin_object(writer);
    for (unsigned tag = 1; tag < KW__FIELD_COUNT; tag++) {
        const struct kw__field *field = &kw__fields[tag];
        if (!has_changed(before, after, field)) {
            continue;
        }
        write_label(writer, field);
        kw_json_begin_object(writer);
        write_side("from", before, field, writer);
        write_side("to", after, field, writer);
        kw_json_end_object(writer);
    }
    kw_json_end_object(writer);
}
