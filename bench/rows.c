#include "rows.h"

#include "base/bytes.h"
#include "core/address.h"
#include "core/id.h"
#include "core/key.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

void bench_key_text(uint64_t number, uint8_t out[BENCH_KEY_SIZE])
{
    static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t state = number * UINT64_C(0xd1342543de82ef95) + 1;
    uint8_t random[32];
    memcpy(out, "sk_live_", 8);
    for (size_t i = 0; i < sizeof random; i += 8) {
        uint64_t word = bench_random(&state);
        memcpy(random + i, &word, 8);
    }
    for (size_t i = 0; i < sizeof random; i++) {
        out[8 + i] = (uint8_t)base62[random[i] % 62];
    }
    uint32_t crc = kw_crc32(kw_bytes_of(out, 40));
    for (size_t i = 6; i-- > 0; crc /= 62) {
        out[40 + i] = (uint8_t)base62[crc % 62];
    }
}

static struct kw_bytes numbered(char *out, size_t size, const char *start, uint64_t number)
{
    int length = snprintf(out, size, "%s%llu", start, (unsigned long long)number);
    return kw_bytes_of(out, (size_t)length);
}

uint64_t bench_row_number(const struct kw_id *id)
{
    uint64_t number = 0;
    for (size_t i = 8; i < sizeof id->bytes; i++) {
        number = number << 8 | id->bytes[i];
    }
    return number;
}

static struct kw_id id_of(uint64_t number)
{
    uint8_t random[KW_ID_RANDOM_SIZE] = {0};
    for (size_t i = sizeof random; i-- > 2; number >>= 8) {
        random[i] = (uint8_t)number;
    }
    return kw_id_make(BENCH_NOW_MS, random);
}

static struct kw_list list_of(struct kw_buffer *packed, const char *const *texts, uint32_t count)
{
    size_t before = packed->size;
    for (uint32_t i = 0; i < count; i++) {
        kw_list_add(packed, kw_bytes_of_text(texts[i]));
    }
    return (struct kw_list){kw_bytes_of(packed->data + before, packed->size - before), count};
}

static struct kw_list ranges_of(struct kw_buffer *packed, const char *const *texts, uint32_t count)
{
    size_t before = packed->size;
    for (uint32_t i = 0; i < count; i++) {
        struct kw_address_range range;
        const char *why;
        uint8_t bytes[KW_ADDRESS_RANGE_SIZE];
        if (kw_address_range_parse(kw_bytes_of_text(texts[i]), &range, &why) != KW_OK) {
            abort();
        }
        kw_address_range_pack(&range, bytes);
        kw_list_add(packed, kw_bytes_of(bytes, sizeof bytes));
    }
    return (struct kw_list){kw_bytes_of(packed->data + before, packed->size - before), count};
}

static void add_rules(uint64_t number, struct kw_buffer *packed, struct kw_record *record)
{
    static const char *const ranges[] = {"10.0.0.0/8", "2001:db8::/32"};
    static const char *const regions[] = {"EEA", "US"};
    static const char *const on_website[] = {"publish", "read", "write"};
    uint8_t memory[64];
    struct kw_buffer scopes;
    kw_buffer_init_fixed(&scopes, memory, sizeof memory);
    (void)list_of(&scopes, on_website, KW_COUNT_OF(on_website));
    record->allowed_ips = ranges_of(packed, ranges, KW_COUNT_OF(ranges));
    record->allowed_regions = list_of(packed, regions, KW_COUNT_OF(regions));
    size_t before = packed->size;
    kw_list_add(packed, KW_BYTES("website:123"));
    kw_list_add(packed, kw_buffer_bytes(&scopes));
    record->resources = (struct kw_list){kw_bytes_of(packed->data + before, packed->size - before), 1};
    record->has_children = number % BENCH_FAMILY == 0;
    record->policy = KW_BYTES(BENCH_POLICY);
    if (!record->has_children) {
        record->parent_id = id_of(number - number % BENCH_FAMILY);
    }
}

/* Windows that outlast the bench. */
static struct kw_list limits_of(uint8_t *memory, size_t size)
{
    static const struct kw_rate_limit limits[] = {
        {{(const uint8_t *)"burst", 5}, 900000000, INT64_C(3600000)},
        {{(const uint8_t *)"steady", 6}, 1000000000, INT64_C(86400000)},
    };
    struct kw_arena arena;
    struct kw_list list;
    kw_arena_init(&arena, memory, size, size);
    if (!kw_rate_limits_pack(&arena, limits, KW_COUNT_OF(limits), &list)) {
        abort();
    }
    return list;
}

static struct kw_list quotas_of(uint8_t *memory, size_t size)
{
    static const struct kw_quota_rule quota = {.limit = INT64_C(1000000000) * KW_AMOUNT_ONE, .period = KW_PERIOD_MONTH};
    struct kw_arena arena;
    struct kw_list list;
    kw_arena_init(&arena, memory, size, size);
    if (!kw_quotas_pack(&arena, &quota, 1, &list)) {
        abort();
    }
    return list;
}

void bench_row_make(const struct kw_digester *digester, uint64_t number, enum bench_mix mix, struct bench_row *row_out)
{
    static const char *const scopes[] = {"invoices:read", "read", "reports:*"};
    static const char *const tags[] = {"production"};
    struct kw_buffer packed;
    struct kw_buffer encoding;
    kw_buffer_init_fixed(&packed, row_out->packed, sizeof row_out->packed);
    kw_buffer_init_fixed(&encoding, row_out->encoding, sizeof row_out->encoding);
    struct kw_record record = {
        .id = id_of(number),
        .version = 1,
        .project = KW_BYTES("default"),
        .env = KW_BYTES("live"),
        .prefix = KW_BYTES("sk_live_"),
        .last_four = {'a', 'b', 'c', 'd'},
        .enabled = true,
        .digest_scheme = kw_digester_scheme(digester),
        .owner = numbered(row_out->owner, sizeof row_out->owner, "user:", number / 3),
        .name = numbered(row_out->name, sizeof row_out->name, "Server ", number),
        .scopes = list_of(&packed, scopes, KW_COUNT_OF(scopes)),
        .tags = list_of(&packed, tags, KW_COUNT_OF(tags)),
        .created_by = KW_BYTES("operator"),
        .created_at_ms = BENCH_NOW_MS,
        .updated_at_ms = BENCH_NOW_MS,
        .expires_at_ms = BENCH_NOW_MS + INT64_C(1000) * 86400 * 3650,
        .lineage_id = id_of(number),
    };
    if (mix == BENCH_LIMITED) {
        record.rate_limits = limits_of(row_out->limits, sizeof row_out->limits);
        record.quotas = quotas_of(row_out->quotas, sizeof row_out->quotas);
    }
    if (mix == BENCH_RULED) {
        add_rules(number, &packed, &record);
    }
    uint8_t key[BENCH_KEY_SIZE];
    bench_key_text(number, key);
    kw_digest_key(digester, kw_bytes_of(key, sizeof key), &row_out->digest);
    if (kw_record_encode(&record, &encoding) != KW_OK) {
        abort();
    }
    row_out->row = (struct kw_store_row){
        .id = record.id,
        .digest = kw_bytes_of(row_out->digest.bytes, row_out->digest.size),
        .digest_scheme = (uint8_t)record.digest_scheme,
        .project = record.project,
        .env = record.env,
        .owner = record.owner,
        .tags = record.tags,
        .policy = record.policy,
        .last_four = {'a', 'b', 'c', 'd'},
        .expires_at_ms = record.expires_at_ms,
        .version = 1,
        .record = kw_buffer_bytes(&encoding),
    };
}

/* --- use that nobody keeps --- */

enum kw_status bench_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                               const struct kw_store_use *uses, size_t use_count)
{
    (void)store, (void)usages, (void)usage_count, (void)uses, (void)use_count;
    return KW_OK;
}

enum kw_status bench_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                 uint64_t *waiting_out)
{
    (void)store, (void)pieces, (void)count;
    *waiting_out = 0;
    return KW_OK;
}

enum kw_status bench_usage_deferred(struct kw_store *store, uint32_t part, size_t limit, kw_store_deferred_sink *sink,
                                    void *context)
{
    (void)store, (void)part, (void)limit, (void)sink, (void)context;
    return KW_OK;
}

enum kw_status bench_usage_forget(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *count_out)
{
    (void)store, (void)project, (void)before_ms, (void)limit;
    *count_out = 0;
    return KW_OK;
}

enum kw_status bench_nothing_told(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *removed_out)
{
    (void)store, (void)project, (void)before_ms, (void)limit;
    *removed_out = 0;
    return KW_OK;
}

enum kw_status bench_nothing_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                                 void *context)
{
    (void)store, (void)until_ms, (void)limit, (void)sink, (void)context;
    return KW_OK;
}
