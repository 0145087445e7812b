#include "core/limit_list.h"

#include "base/error.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/transition.h"

/*
 * A packed limit is whose spending it counts, two numbers, a number that stands for its name, and the name: of fixed
 * places, for verifications. Numbers are big end first.
 */
#define AT_REQUESTS 1
#define AT_WINDOW 5
#define AT_NUMBER 9
#define AT_NAME 13

_Static_assert(AT_NAME + KW_RATE_LIMIT_NAME_MAX == KW_RATE_LIMIT_PACKED_MAX, "all of it fits");
_Static_assert(KW_RATE_LIMIT_REQUESTS_MAX <= UINT32_MAX && KW_RATE_LIMIT_WINDOW_MS_MAX <= UINT32_MAX, "as do these");

#define NAME_OTHERWISE KW_BYTES("default")

static struct kw_bytes name_of(const struct kw_rate_limit *limit)
{
    return limit->name.size == 0 ? NAME_OTHERWISE : limit->name;
}

static uint32_t read_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void add_number(struct kw_buffer *buffer, uint64_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        kw_buffer_add_byte(buffer, (uint8_t)(number >> shift));
    }
}

/* FNV-1a. */
uint64_t kw__claim_hash(uint64_t hash, struct kw_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint32_t number_of(struct kw_bytes name)
{
    return (uint32_t)(kw__claim_hash(KW__CLAIM_HASH_BEGIN, name) >> 32);
}

bool kw__rate_limits_next_packed(struct kw_bytes *packed, struct kw_rate_limit *limit_out, uint32_t *number_out)
{
    struct kw_bytes item;
    if (!kw__list_next(packed, &item)) {
        return false;
    }
    *limit_out = (struct kw_rate_limit){.name = kw_bytes_skip(item, AT_NAME),
                                        .requests = read_number(item.data + AT_REQUESTS),
                                        .window_ms = read_number(item.data + AT_WINDOW),
                                        .per = (enum kw_limit_per)item.data[0]};
    *number_out = read_number(item.data + AT_NUMBER);
    return true;
}

static bool unpack(struct kw_bytes packed, struct kw_rate_limit *limit_out)
{
    if (packed.size <= AT_NAME || packed.data[0] > KW_PER_ORG) {
        return false;
    }
    struct kw_rate_limit limit = {.name = kw_bytes_skip(packed, AT_NAME),
                                  .requests = read_number(packed.data + AT_REQUESTS),
                                  .window_ms = read_number(packed.data + AT_WINDOW),
                                  .per = (enum kw_limit_per)packed.data[0]};
    *limit_out = limit;
    return limit.name.size <= KW_RATE_LIMIT_NAME_MAX && limit.requests > 0 &&
           limit.requests <= KW_RATE_LIMIT_REQUESTS_MAX && limit.window_ms > 0 &&
           limit.window_ms <= KW_RATE_LIMIT_WINDOW_MS_MAX &&
           read_number(packed.data + AT_NUMBER) == number_of(limit.name);
}

const char *kw_limit_per_name(enum kw_limit_per per)
{
    static const char *const names[] = {[KW_PER_KEY] = "key", [KW_PER_OWNER] = "owner", [KW_PER_ORG] = "org"};
    return (size_t)per < KW_COUNT_OF(names) ? names[per] : NULL;
}

bool kw_rate_limits_next(struct kw_bytes *rest, struct kw_rate_limit *limit_out)
{
    struct kw_bytes item;
    return kw__list_next(rest, &item) && unpack(item, limit_out);
}

bool kw_rate_limits_valid(const struct kw_list *list)
{
    struct kw_bytes rest = list->packed;
    struct kw_bytes item;
    struct kw_rate_limit limit;
    struct kw_bytes last = {NULL, 0};
    while (kw__list_next(&rest, &item)) {
        if (!unpack(item, &limit) || kw_bytes_compare(limit.name, last) <= 0) {
            return false;
        }
        last = limit.name;
    }
    return rest.size == 0;
}

static bool is_name(struct kw_bytes name)
{
    bool good = name.size >= 1 && name.size <= KW_RATE_LIMIT_NAME_MAX && name.data[0] >= 'a' && name.data[0] <= 'z';
    for (size_t i = 0; good && i < name.size; i++) {
        uint8_t c = name.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    return good;
}

static enum kw_status check_limit(const struct kw_rate_limit *limits, size_t index, struct kw_error *error_out)
{
    const struct kw_rate_limit *limit = &limits[index];
    if (!is_name(name_of(limit))) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "name",
                         "must be 1 to %d of a-z, 0-9, '-' and '_', starting with a letter", KW_RATE_LIMIT_NAME_MAX);
    }
    if (limit->requests < 1 || limit->requests > KW_RATE_LIMIT_REQUESTS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "requests", "must be 1 to %d", KW_RATE_LIMIT_REQUESTS_MAX);
    }
    if (limit->window_ms < 1 || limit->window_ms > KW_RATE_LIMIT_WINDOW_MS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "window",
                         "must be a duration of \"31d\" at most, such as \"1m\"");
    }
    if (kw_limit_per_name(limit->per) == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "per", "must be key, owner or org");
    }
    for (size_t i = 0; i < index; i++) {
        if (kw_bytes_equal(name_of(&limits[i]), name_of(limit))) {
            return kw_refuse(error_out, KW_CODE_DUPLICATE_FIELD, "name",
                             "stands twice: give each limit a name of its own");
        }
    }
    return KW_OK;
}

enum kw_status kw_rate_limits_check(const struct kw_rate_limit *limits, size_t count, const char *field,
                                    struct kw_error *error_out)
{
    if (count > KW_RATE_LIMIT_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "are too many: at most %d", KW_RATE_LIMIT_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum kw_status status = check_limit(limits, i, error_out);
        if (status != KW_OK) {
            return kw__document_under(status, field, i, error_out);
        }
    }
    return KW_OK;
}

static void add_packed(struct kw_buffer *packed, const struct kw_rate_limit *limit)
{
    uint8_t memory[KW_RATE_LIMIT_PACKED_MAX];
    struct kw_buffer item;
    kw_buffer_init_fixed(&item, memory, sizeof memory);
    kw_buffer_add_byte(&item, (uint8_t)limit->per);
    add_number(&item, (uint64_t)limit->requests);
    add_number(&item, (uint64_t)limit->window_ms);
    add_number(&item, number_of(name_of(limit)));
    kw_buffer_add(&item, name_of(limit));
    kw_list_add(packed, kw_buffer_bytes(&item));
}

bool kw_rate_limits_pack(struct kw_arena *arena, const struct kw_rate_limit *limits, size_t count,
                         struct kw_list *list_out)
{
    const struct kw_rate_limit *sorted[KW_RATE_LIMIT_COUNT_MAX];
    size_t size = count * (KW_RATE_LIMIT_PACKED_MAX + 1);
    void *memory = kw_arena_take(arena, size);
    if (memory == NULL || count > KW_RATE_LIMIT_COUNT_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && kw_bytes_compare(name_of(&limits[i]), name_of(sorted[at - 1])) < 0; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = &limits[i];
    }
    struct kw_buffer packed;
    kw_buffer_init_fixed(&packed, memory, size);
    for (size_t i = 0; i < count; i++) {
        add_packed(&packed, sorted[i]);
    }
    list_out->packed = count == 0 ? (struct kw_bytes){NULL, 0} : kw_buffer_bytes(&packed);
    list_out->count = (uint32_t)count;
    return true;
}

bool kw_rate_limit_implies(const struct kw_rate_limit *inner, const struct kw_rate_limit *outer)
{
    int64_t windows = (outer->window_ms + inner->window_ms - 1) / inner->window_ms;
    return inner->requests * windows <= outer->requests; /* both factors are below 2^32 */
}

bool kw_rate_limits_within(const struct kw_list *inner, const struct kw_list *outer)
{
    struct kw_bytes outer_rest = outer->packed;
    struct kw_rate_limit wanted;
    while (kw_rate_limits_next(&outer_rest, &wanted)) {
        struct kw_bytes rest = inner->packed;
        struct kw_rate_limit limit;
        bool is_implied = false;
        while (!is_implied && kw_rate_limits_next(&rest, &limit)) {
            is_implied = kw_limit_per_within(limit.per, wanted.per) && kw_rate_limit_implies(&limit, &wanted);
        }
        if (!is_implied) {
            return false;
        }
    }
    return true;
}
