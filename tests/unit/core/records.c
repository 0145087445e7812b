#include "records.h"
#include "core/limit_list.h"
#include "core/quota_list.h"

#include "core/internal.h"

#include "core/address.h"
#include "core/id.h"
#include "core/record.h"

#include <stdlib.h>

#define TEXT_ALPHABET "abcdefghijklmnopqrstuvwxyz 0123456789-_.:"
#define SCOPE_ALPHABET "abcdefghij"

static void *take(struct kw_arena *arena, size_t size)
{
    void *memory = kw_arena_take(arena, size);
    if (memory == NULL) {
        abort(); /* the test gave too small an arena */
    }
    return memory;
}

struct kw_bytes random_text(struct test *t, struct kw_arena *arena, const char *alphabet, size_t size_min,
                            size_t size_max)
{
    size_t size = size_min + test_random_below(t, size_max - size_min + 1);
    uint8_t *text = take(arena, size);
    for (size_t i = 0; i < size; i++) {
        text[i] = (uint8_t)alphabet[test_random_below(t, strlen(alphabet))];
    }
    return kw_bytes_of(size == 0 ? NULL : text, size);
}

struct kw_id random_id(struct test *t)
{
    uint8_t random[KW_ID_RANDOM_SIZE];
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (uint8_t)test_random(t);
    }
    return kw_id_make(RECORD_BORN_MS + (int64_t)test_random_below(t, 1000000), random);
}

static int compare(const void *a, const void *b)
{
    return kw_bytes_compare(*(const struct kw_bytes *)a, *(const struct kw_bytes *)b);
}

struct kw_list list_of(struct kw_arena *arena, struct kw_bytes *items, size_t count)
{
    if (count == 0) {
        return (struct kw_list){.count = 0};
    }
    qsort(items, count, sizeof *items, compare);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += items[i].size + 3;
    }
    struct kw_list list = {.count = 0};
    struct kw_buffer packed;
    kw_buffer_init_fixed(&packed, take(arena, size), size);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !kw_bytes_equal(items[i], items[i - 1])) {
            kw_list_add(&packed, items[i]);
            list.count++;
        }
    }
    list.packed = kw_buffer_bytes(&packed);
    return list;
}

struct kw_list resources_of(struct kw_arena *arena, const struct resource_of *resources, size_t count)
{
    if (count == 0) {
        return (struct kw_list){.count = 0};
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += resources[i].resource.size + resources[i].scopes.packed.size + 6;
    }
    struct kw_buffer packed;
    kw_buffer_init_fixed(&packed, take(arena, size), size);
    for (size_t i = 0; i < count; i++) {
        kw_list_add(&packed, resources[i].resource);
        kw_list_add(&packed, resources[i].scopes.packed);
    }
    return (struct kw_list){kw_buffer_bytes(&packed), (uint32_t)count};
}

struct kw_record record_typical(struct kw_arena *arena)
{
    static const uint8_t random[KW_ID_RANDOM_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct kw_bytes scopes[] = {KW_BYTES("keys:write"), KW_BYTES("billing:*"), KW_BYTES("keys:read")};
    struct kw_bytes tags[] = {KW_BYTES("backend")};
    struct kw_record record = {
        .id = kw_id_make(RECORD_BORN_MS, random),
        .version = 1,
        .project = KW_BYTES("default"),
        .env = KW_BYTES("live"),
        .prefix = KW_BYTES("sk_live_"),
        .last_four = {'w', 'X', 'y', '9'},
        .enabled = true,
        .digest_scheme = KW_DIGEST_HMAC_SHA256,
        .owner = KW_BYTES("user:42"),
        .name = KW_BYTES("Production key"),
        .tags = list_of(arena, tags, 1),
        .scopes = list_of(arena, scopes, 3),
        .created_by = KW_BYTES("cli"),
        .created_at_ms = RECORD_BORN_MS,
        .updated_at_ms = RECORD_BORN_MS,
    };
    record.lineage_id = record.id;
    return record;
}

static bool coin(struct test *t)
{
    return test_random_below(t, 2) == 0;
}

static struct kw_bytes maybe_text(struct test *t, struct kw_arena *arena, size_t size_max)
{
    /* Mostly short, sometimes as long as can be: lengths of one and of two bytes. */
    size_t most = test_random_below(t, 8) == 0 ? size_max : size_max < 20 ? size_max : 20;
    return coin(t) ? random_text(t, arena, TEXT_ALPHABET, 1, most) : (struct kw_bytes){NULL, 0};
}

static int64_t maybe_time(struct test *t)
{
    static const int64_t edges[] = {1, INT64_C(253402300799999)};
    if (coin(t)) {
        return 0;
    }
    return test_random_below(t, 10) == 0 ? edges[test_random_below(t, 2)]
                                         : RECORD_BORN_MS + (int64_t)test_random_below(t, INT64_C(1) << 36);
}

static struct kw_list random_list(struct test *t, struct kw_arena *arena, size_t count_min, size_t count_max,
                                  size_t size_max)
{
    struct kw_bytes items[KW_SCOPE_COUNT_MAX];
    size_t most = test_random_below(t, 8) == 0 ? count_max : 4;
    size_t count = count_min + test_random_below(t, most - count_min + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] = random_text(t, arena, SCOPE_ALPHABET, 1, size_max);
    }
    return list_of(arena, items, count);
}

static struct kw_list random_resources(struct test *t, struct kw_arena *arena)
{
    static const char *const names[] = {"project:1", "project:2", "website:*", "website:123"};
    struct resource_of resources[KW_COUNT_OF(names)];
    size_t count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        if (coin(t)) {
            resources[count++] = (struct resource_of){kw_bytes_of_text(names[i]), random_list(t, arena, 1, 20, 20)};
        }
    }
    return resources_of(arena, resources, count);
}

/* Ranges of IPv4 and IPv6 of every width, without a bit behind their prefix. */
static struct kw_list random_ranges(struct test *t, struct kw_arena *arena)
{
    struct kw_bytes items[KW_IP_COUNT_MAX];
    size_t count = test_random_below(t, test_random_below(t, 8) == 0 ? KW_IP_COUNT_MAX + 1 : 4);
    for (size_t i = 0; i < count; i++) {
        struct kw_address_range range = {.bits = (uint8_t)test_random_below(t, 129)};
        bool is_ipv4 = coin(t);
        range.bits = is_ipv4 && range.bits < KW_ADDRESS_IPV4_BITS ? KW_ADDRESS_IPV4_BITS : range.bits;
        for (size_t bit = 0; bit < range.bits; bit++) {
            bool is_set = is_ipv4 && bit < KW_ADDRESS_IPV4_BITS ? bit >= 80 : coin(t);
            range.first.bytes[bit / 8] |= is_set ? (uint8_t)(0x80U >> (bit % 8)) : 0;
        }
        uint8_t *packed = take(arena, KW_ADDRESS_RANGE_SIZE);
        kw_address_range_pack(&range, packed);
        items[i] = kw_bytes_of(packed, KW_ADDRESS_RANGE_SIZE);
    }
    return list_of(arena, items, count);
}

static struct kw_list random_regions(struct test *t, struct kw_arena *arena)
{
    static const char *const regions[] = {"AD", "DE", "DE-BY", "EEA", "EU", "US", "US-CA", "US-NY", "ZW"};
    struct kw_bytes items[KW_COUNT_OF(regions)];
    size_t count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(regions); i++) {
        if (test_random_below(t, 4) == 0) {
            items[count++] = kw_bytes_of_text(regions[i]);
        }
    }
    return list_of(arena, items, count);
}

static struct kw_list random_rate_limits(struct test *t, struct kw_arena *arena)
{
    struct kw_rate_limit limits[KW_RATE_LIMIT_COUNT_MAX];
    struct kw_list list = {.count = 0};
    size_t count = test_random_below(t, KW_RATE_LIMIT_COUNT_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t *name = kw_arena_take(arena, KW_RATE_LIMIT_NAME_MAX);
        if (name == NULL) {
            abort();
        }
        memset(name, (int)('a' + i), KW_RATE_LIMIT_NAME_MAX);
        limits[i] = (struct kw_rate_limit){.per = (enum kw_limit_per)test_random_below(t, 3),
                                           .name = kw_bytes_of(name, 1 + test_random_below(t, KW_RATE_LIMIT_NAME_MAX)),
                                           .requests = 1 + (int64_t)test_random_below(t, KW_RATE_LIMIT_REQUESTS_MAX),
                                           .window_ms = 1 + (int64_t)test_random_below(t, KW_RATE_LIMIT_WINDOW_MS_MAX)};
    }
    if (!kw_rate_limits_pack(arena, limits, count, &list)) {
        abort();
    }
    return list;
}

static struct kw_list random_quotas(struct test *t, struct kw_arena *arena)
{
    struct kw_quota_rule quotas[KW_QUOTA_COUNT_MAX];
    struct kw_list list = {.count = 0};
    size_t count = test_random_below(t, KW_QUOTA_COUNT_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes number = random_text(t, arena, "0123456789", 1, 30);
        uint8_t *name = kw_arena_take(arena, KW_QUOTA_NAME_MAX);
        if (name == NULL) {
            abort();
        }
        name[0] = (uint8_t)('a' + i);
        memcpy(name + 1, number.data, number.size);
        quotas[i] = (struct kw_quota_rule){
            .name = kw_bytes_of(name, 1 + number.size),
            .metric = coin(t) ? KW_BYTES("tokens") : (struct kw_bytes){NULL, 0},
            .limit = (int64_t)(test_random(t) % (uint64_t)(KW_AMOUNT_MAX + 1)),
            .period = (enum kw_period)(KW_PERIOD_HOUR + test_random_below(t, 5)),
            .on_exceeded = (enum kw_quota_exceeded)test_random_below(t, 3),
            .per = (enum kw_limit_per)test_random_below(t, 3),
            .mark_count = (uint8_t)test_random_below(t, KW_QUOTA_MARK_COUNT_MAX + 1),
            .marks = {1, 20, 50, 100},
        };
        if (quotas[i].per == KW_PER_KEY && coin(t)) {
            quotas[i].anchor = KW_ANCHOR_CREATED;
        }
        if (quotas[i].on_exceeded == KW_QUOTA_THROTTLE) {
            quotas[i].throttle = (struct kw_rate_limit){.requests = 7, .window_ms = 90000};
        }
    }
    if (!kw_quotas_pack(arena, quotas, count, &list)) {
        abort();
    }
    return list;
}

static struct kw_schedule random_schedule(struct test *t)
{
    return (struct kw_schedule){.disable_at_ms = maybe_time(t),
                                .revoke_at_ms = maybe_time(t),
                                .notify_before_ms =
                                    coin(t) ? (int64_t)test_random_below(t, KW_NOTIFY_BEFORE_MS_MAX + 1) : 0};
}

struct kw_record record_random(struct test *t, struct kw_arena *arena)
{
    struct kw_record record = {
        .id = random_id(t),
        .version = 1 + (test_random(t) >> test_random_below(t, 64) >> 1),
        .project = random_text(t, arena, TEXT_ALPHABET, 1, KW_PROJECT_MAX),
        .env = maybe_text(t, arena, KW_ENV_MAX),
        .prefix = maybe_text(t, arena, KW_PREFIX_MAX),
        .is_public = coin(t),
        .enabled = coin(t),
        .digest_scheme = (enum kw_digest_scheme)(1 + test_random_below(t, 5)),
        .owner = maybe_text(t, arena, KW_OWNER_MAX),
        .org_id = maybe_text(t, arena, KW_OWNER_MAX),
        .name = maybe_text(t, arena, KW_NAME_MAX),
        .description = maybe_text(t, arena, KW_DESCRIPTION_MAX),
        .tags = random_list(t, arena, 0, KW_TAG_COUNT_MAX, KW_TAG_MAX),
        .metadata = coin(t) ? KW_BYTES("{\"plan\":\"pro\"}") : (struct kw_bytes){NULL, 0},
        .scopes = random_list(t, arena, 0, KW_SCOPE_COUNT_MAX, 20),
        .resources = random_resources(t, arena),
        .created_by = maybe_text(t, arena, KW_ACTOR_MAX),
        .created_at_ms = maybe_time(t),
        .expires_at_ms = maybe_time(t),
        .lapsed_at_ms = maybe_time(t),
        .revoked_at_ms = maybe_time(t),
        .revoked_by = maybe_text(t, arena, KW_ACTOR_MAX),
        .revoke_reason = maybe_text(t, arena, KW_REASON_MAX),
        .grace_until_ms = maybe_time(t),
        .allowed_ips = random_ranges(t, arena),
        .blocked_ips = random_ranges(t, arena),
        .allowed_regions = random_regions(t, arena),
        .blocked_regions = random_regions(t, arena),
        .rate_limits = random_rate_limits(t, arena),
        .quotas = random_quotas(t, arena),
        .schedule = random_schedule(t),
        .announced = coin(t) ? (uint8_t)(1 + test_random_below(t, 7)) : 0,
        .policy = maybe_text(t, arena, KW_POLICY_MAX),
        .template_name = maybe_text(t, arena, KW_TEMPLATE_MAX),
        .parent_id = coin(t) ? random_id(t) : (struct kw_id){{0}},
        .has_children = coin(t),
    };
    memcpy(record.last_four, coin(t) ? "aB3x" : "\0\0\0", 4);
    record.updated_at_ms = coin(t) ? record.created_at_ms : maybe_time(t);
    record.rotated_from = coin(t) ? random_id(t) : (struct kw_id){{0}};
    record.rotated_to = coin(t) ? random_id(t) : (struct kw_id){{0}};
    record.lineage_id = coin(t) ? record.id : random_id(t);
    record.ends_grace = coin(t);
    record.imported = coin(t);
    record.digest_method = coin(t) ? (uint8_t)(6 + test_random_below(t, 250)) : 0;
    return record;
}

enum kw_status decode_exactly(struct test *t, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    uint8_t *again = malloc((2 * KW_RECORD_MAX));
    if (exact == NULL || again == NULL) {
        abort();
    }
    memcpy(exact, bytes, size);
    struct kw_record record = {.version = 77};
    enum kw_status status = kw_record_decode(kw_bytes_of(exact, size), &record);
    if (status == KW_OK) {
        struct kw_buffer buffer;
        kw_buffer_init_fixed(&buffer, again, (2 * KW_RECORD_MAX));
        CHECK_STATUS(t, kw__record_encode_as(&record, exact[0], &buffer), KW_OK);
        CHECK_BYTES(t, kw_buffer_bytes(&buffer), kw_bytes_of(exact, size));
    } else {
        CHECK(t, status == KW_E_CORRUPT || status == KW_E_NEWER);
        CHECK_I64(t, record.version, 77); /* untouched */
    }
    free(again);
    free(exact);
    return status;
}

static void check_ids_equal(struct test *t, const struct kw_id *actual, const struct kw_id *expected)
{
    CHECK_BYTES(t, kw_bytes_of(actual->bytes, 16), kw_bytes_of(expected->bytes, 16));
}

static void check_lists_equal(struct test *t, const struct kw_list *actual, const struct kw_list *expected)
{
    CHECK_BYTES(t, actual->packed, expected->packed);
    CHECK_I64(t, actual->count, expected->count);
}

void check_records_equal(struct test *t, const struct kw_record *actual, const struct kw_record *expected)
{
    check_ids_equal(t, &actual->id, &expected->id);
    check_ids_equal(t, &actual->rotated_from, &expected->rotated_from);
    check_ids_equal(t, &actual->rotated_to, &expected->rotated_to);
    check_ids_equal(t, &actual->lineage_id, &expected->lineage_id);
    check_ids_equal(t, &actual->parent_id, &expected->parent_id);
    check_lists_equal(t, &actual->tags, &expected->tags);
    check_lists_equal(t, &actual->allowed_ips, &expected->allowed_ips);
    check_lists_equal(t, &actual->blocked_ips, &expected->blocked_ips);
    check_lists_equal(t, &actual->allowed_regions, &expected->allowed_regions);
    check_lists_equal(t, &actual->blocked_regions, &expected->blocked_regions);
    check_lists_equal(t, &actual->rate_limits, &expected->rate_limits);
    check_lists_equal(t, &actual->quotas, &expected->quotas);
    CHECK_I64(t, actual->schedule.disable_at_ms, expected->schedule.disable_at_ms);
    CHECK_I64(t, actual->schedule.revoke_at_ms, expected->schedule.revoke_at_ms);
    CHECK_I64(t, actual->schedule.notify_before_ms, expected->schedule.notify_before_ms);
    CHECK_I64(t, actual->announced, expected->announced);
    check_lists_equal(t, &actual->scopes, &expected->scopes);
    check_lists_equal(t, &actual->resources, &expected->resources);
    CHECK_BYTES(t, kw_bytes_of(actual->last_four, 4), kw_bytes_of(expected->last_four, 4));
    CHECK_BYTES(t, actual->project, expected->project);
    CHECK_BYTES(t, actual->env, expected->env);
    CHECK_BYTES(t, actual->prefix, expected->prefix);
    CHECK_BYTES(t, actual->owner, expected->owner);
    CHECK_BYTES(t, actual->org_id, expected->org_id);
    CHECK_BYTES(t, actual->name, expected->name);
    CHECK_BYTES(t, actual->description, expected->description);
    CHECK_BYTES(t, actual->metadata, expected->metadata);
    CHECK_BYTES(t, actual->created_by, expected->created_by);
    CHECK_BYTES(t, actual->revoked_by, expected->revoked_by);
    CHECK_BYTES(t, actual->revoke_reason, expected->revoke_reason);
    CHECK_BYTES(t, actual->policy, expected->policy);
    CHECK_BYTES(t, actual->template_name, expected->template_name);
    CHECK(t, actual->has_children == expected->has_children);
    CHECK(t, actual->version == expected->version);
    CHECK(t, actual->is_public == expected->is_public);
    CHECK(t, actual->enabled == expected->enabled);
    CHECK(t, actual->ends_grace == expected->ends_grace);
    CHECK(t, actual->imported == expected->imported);
    CHECK_I64(t, actual->digest_scheme, expected->digest_scheme);
    CHECK_I64(t, actual->digest_method, expected->digest_method);
    CHECK_I64(t, actual->created_at_ms, expected->created_at_ms);
    CHECK_I64(t, actual->updated_at_ms, expected->updated_at_ms);
    CHECK_I64(t, actual->expires_at_ms, expected->expires_at_ms);
    CHECK_I64(t, actual->lapsed_at_ms, expected->lapsed_at_ms);
    CHECK_I64(t, actual->revoked_at_ms, expected->revoked_at_ms);
    CHECK_I64(t, actual->grace_until_ms, expected->grace_until_ms);
}
