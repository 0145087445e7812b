#include "base/time.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/schedule.h"

#include <assert.h>

_Static_assert(KW_RECORD_ENCODING_VERSION + 1 == KW__ENCODINGS, "each version has its order");

_Static_assert(KW_TIME_MS_MAX < INT64_C(1) << (8 * KW__TIME_SIZE), "every time that has an RFC 3339 text fits");

static void add_tag(struct kw_buffer *buffer, unsigned tag)
{
    kw_buffer_add_byte(buffer, (uint8_t)tag);
}

static void add_number(struct kw_buffer *buffer, unsigned tag, uint64_t value)
{
    uint8_t bytes[1 + KW_LEB128_MAX] = {(uint8_t)tag};
    kw_buffer_add(buffer, kw_bytes_of(bytes, 1 + kw__leb128_write(value, bytes + 1)));
}

static void add_time(struct kw_buffer *buffer, unsigned tag, int64_t time_ms)
{
    assert(time_ms >= 0 && time_ms <= KW_TIME_MS_MAX);
    uint8_t bytes[1 + KW__TIME_SIZE] = {(uint8_t)tag};
    for (int i = KW__TIME_SIZE; i > 0; i--, time_ms >>= 8) {
        bytes[i] = (uint8_t)time_ms;
    }
    kw_buffer_add(buffer, kw_bytes_of(bytes, sizeof bytes));
}

/* All three, so that what is kept has one form and one size. */
static void add_schedule(struct kw_buffer *buffer, unsigned tag, const struct kw_schedule *schedule)
{
    if (kw_schedule_is_empty(schedule)) {
        return;
    }
    add_time(buffer, tag, schedule->disable_at_ms);
    const int64_t rest[] = {schedule->revoke_at_ms, schedule->notify_before_ms};
    for (size_t i = 0; i < KW_COUNT_OF(rest); i++) {
        uint8_t bytes[KW__TIME_SIZE];
        for (int j = KW__TIME_SIZE - 1, shift = 0; j >= 0; j--, shift += 8) {
            bytes[j] = (uint8_t)(rest[i] >> shift);
        }
        kw_buffer_add(buffer, kw_bytes_of(bytes, sizeof bytes));
    }
}

static void add_id(struct kw_buffer *buffer, unsigned tag, const struct kw_id *id)
{
    add_tag(buffer, tag);
    kw_buffer_add(buffer, kw_bytes_of(id->bytes, sizeof id->bytes));
}

static void add_text(struct kw_buffer *buffer, unsigned tag, struct kw_bytes text)
{
    if (text.size == 0) {
        return;
    }
    add_tag(buffer, tag);
    kw_list_add(buffer, text);
}

static void add_list(struct kw_buffer *buffer, unsigned tag, const struct kw_list *list)
{
    if (list->count == 0) {
        return;
    }
    add_number(buffer, tag, list->count);
    kw_buffer_add(buffer, list->packed);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

static void add_last_four(struct kw_buffer *buffer, unsigned tag, struct kw_bytes last_four)
{
    if (!is_zero(last_four.data, last_four.size)) {
        add_tag(buffer, tag);
        kw_buffer_add(buffer, last_four);
    }
}

static void add_bits(struct kw_buffer *buffer, unsigned tag, uint8_t bits)
{
    if (bits != 0) {
        add_number(buffer, tag, bits);
    }
}

static void encode_field(const struct kw_record *record, unsigned tag, struct kw_buffer *buffer)
{
    const struct kw__field *field = &kw__fields[tag];
    const void *member = kw__field_of(record, field);
    switch ((enum kw__field_kind)field->kind) {
    case KW__FIELD_OWN_ID:
    case KW__FIELD_ID:
        if (!kw_id_is_none(member)) {
            add_id(buffer, tag, member);
        }
        return;
    case KW__FIELD_TEXT:
    case KW__FIELD_JSON:
        add_text(buffer, tag, *(const struct kw_bytes *)member);
        return;
    case KW__FIELD_LAST_FOUR:
        add_last_four(buffer, tag, kw_bytes_of(member, sizeof record->last_four));
        return;
    case KW__FIELD_SET:
    case KW__FIELD_CLEARED:
        if (*(const bool *)member == (field->kind == KW__FIELD_SET)) {
            add_tag(buffer, tag);
        }
        return;
    case KW__FIELD_LIST:
    case KW__FIELD_RESOURCES:
    case KW__FIELD_RANGES:
    case KW__FIELD_RATE_LIMITS:
    case KW__FIELD_QUOTAS:
        add_list(buffer, tag, member);
        return;
    case KW__FIELD_SCHEME:
        add_number(buffer, tag, record->digest_scheme);
        return;
    case KW__FIELD_METHOD:
        if (kw_record_digest_method(record) != (uint8_t)record->digest_scheme) {
            add_number(buffer, tag, record->digest_method);
        }
        return;
    case KW__FIELD_TIME:
        if (*(const int64_t *)member != 0) {
            add_time(buffer, tag, *(const int64_t *)member);
        }
        return;
    case KW__FIELD_SCHEDULE:
        add_schedule(buffer, tag, member);
        return;
    case KW__FIELD_ANNOUNCED:
        add_bits(buffer, tag, record->announced);
        return;
    case KW__FIELD_UPDATED:
        if (record->updated_at_ms != record->created_at_ms) {
            add_time(buffer, tag, record->updated_at_ms);
        }
        return;
    case KW__FIELD_LINEAGE:
        if (!kw_id_equal(&record->lineage_id, &record->id)) {
            add_id(buffer, tag, &record->lineage_id);
        }
        return;
    case KW__FIELD_VERSION:
        add_number(buffer, tag, record->version);
        return;
    case KW__FIELD_NONE:
    case KW__FIELD_STATUS:
    case KW__FIELD_USER_ID:
        return;
    }
}

enum kw_status kw__record_encode_as(const struct kw_record *record, unsigned version, struct kw_buffer *buffer)
{
    uint8_t tags[KW__FIELD_COUNT] = {0}; /* by their places */
    for (unsigned tag = 1; tag < KW__FIELD_COUNT; tag++) {
        tags[kw__field_places[version][tag]] = (uint8_t)tag;
    }
    kw_buffer_add_byte(buffer, (uint8_t)version);
    for (size_t place = 1; place < KW_COUNT_OF(tags); place++) {
        encode_field(record, tags[place], buffer);
    }
    return kw_buffer_status(buffer);
}

enum kw_status kw_record_encode(const struct kw_record *record, struct kw_buffer *buffer)
{
    return kw__record_encode_as(record, KW_RECORD_ENCODING_VERSION, buffer);
}
