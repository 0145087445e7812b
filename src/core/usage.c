#include "core/usage.h"

#include "base/bytes.h"
#include "core/digest.h"

#define ID_FIRST 0xff /* no key's: its time would lie beyond the year 10000 */

static int64_t begin_of(int64_t time_ms, int64_t span_ms)
{
    int64_t into = time_ms % span_ms;
    return time_ms - (into < 0 ? into + span_ms : into);
}

int64_t kw_usage_hour(int64_t time_ms)
{
    return begin_of(time_ms, KW_HOUR_MS);
}

int64_t kw_usage_day(int64_t time_ms)
{
    return begin_of(time_ms, KW_DAY_MS);
}

int64_t kw_usage_hours_from(int64_t now_ms)
{
    return kw_usage_day(now_ms - KW_HOURS_KEPT_MS);
}

bool kw_endpoint_valid(struct kw_bytes endpoint)
{
    return endpoint.size >= 1 && endpoint.size <= KW_ENDPOINT_MAX && kw_utf8_valid(endpoint) &&
           !kw_bytes_has_control(endpoint);
}

struct kw_bytes kw_usage_endpoint_of(struct kw_bytes value)
{
    const uint8_t *end = value.size == 0 ? NULL : memchr(value.data, KW_ENDPOINT_END, value.size);
    return end == NULL ? value : kw_bytes_of(value.data, (size_t)(end - value.data));
}

static struct kw_id id_of(struct kw_bytes kind, struct kw_bytes name)
{
    const struct kw_bytes parts[] = {kind, name};
    uint8_t digest[KW_DIGEST_INDEX_SIZE];
    struct kw_id id;
    kw_digest_parts(parts, KW_COUNT_OF(parts), digest);
    memcpy(id.bytes, digest, sizeof id.bytes);
    id.bytes[0] = ID_FIRST;
    return id;
}

struct kw_id kw_usage_owner(struct kw_bytes owner)
{
    return id_of(KW_BYTES("owner"), owner);
}

struct kw_id kw_usage_org(struct kw_bytes org_id)
{
    return id_of(KW_BYTES("org"), org_id);
}

static const char *const dimension_names[] = {[KW_USAGE_CODE] = "code",
                                              [KW_USAGE_ENDPOINT] = "endpoint",
                                              [KW_USAGE_REGION] = "region",
                                              [KW_USAGE_METRIC] = "metric"};

bool kw_usage_dimension_of_name(struct kw_bytes name, enum kw_usage_dimension *dimension_out)
{
    for (size_t i = KW_USAGE_CODE; i < KW_COUNT_OF(dimension_names); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(dimension_names[i]))) {
            *dimension_out = (enum kw_usage_dimension)i;
            return true;
        }
    }
    return false;
}

const char *kw_usage_dimension_name(enum kw_usage_dimension dimension)
{
    return dimension_names[dimension];
}
