#include "world.h"

#include "core/address.h"

/* What can be granted, and which of the world's scopes that covers: a:x, a:y, b, and one that only "*" covers. */
const char *const world_scopes[SCOPES] = {"a:x", "a:y", "b", "rest"};
static const struct {
    const char *text;
    unsigned covers;
} grants[] = {{"*", 15}, {"a:*", 3}, {"a:x", 1}, {"a:y", 2}, {"b", 4}};
const char *const world_resources[RESOURCES] = {"t:1", "t:2", "u:1"};
static const struct {
    const char *text;
    unsigned covers;
} resource_grants[] = {{"*", 7}, {"t:*", 3}, {"t:1", 1}, {"u:1", 4}};
const char *const world_addresses[ADDRESSES] = {"10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1", "::1"};
static const struct {
    const char *text;
    unsigned holds;
} ranges[] = {{"10.0.0.0/8", 3}, {"10.0.0.0/16", 1},   {"192.0.2.1", 4},
              {"0.0.0.0/0", 7},  {"2001:db8::/32", 8}, {"::/0", 24}};
const struct world_place world_places[PLACES] = {{"US", ""}, {"US", "CA"}, {"US", "US-NY"}, {"DE", "BY"}, {"NO", ""}};
static const struct {
    const char *text;
    unsigned holds, may_hold; /* of "US-CA" it is not known whether "US" lies in it */
} regions[] = {{"US", 7, 7}, {"US-CA", 2, 3}, {"DE", 8, 8}, {"EU", 8, 8}, {"EEA", 24, 24}};

bool once_in(struct test *t, uint64_t n)
{
    return test_random_below(t, n) == 0;
}

void draw_scopes(struct test *t, struct kw_arena *arena, struct rule *rule, struct kw_record *record)
{
    struct kw_bytes items[3];
    size_t count = test_random_below(t, 4);
    for (size_t i = 0; i < count; i++) {
        size_t grant = once_in(t, 3) ? 0 : test_random_below(t, KW_COUNT_OF(grants));
        items[i] = kw_bytes_of_text(grants[grant].text);
        rule->global |= grants[grant].covers;
    }
    record->scopes = list_of(arena, items, count);
    struct resource_of pairs[KW_COUNT_OF(resource_grants)];
    size_t pair_count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(resource_grants); i++) {
        if (once_in(t, 3)) {
            size_t grant = test_random_below(t, KW_COUNT_OF(grants));
            struct kw_bytes item = kw_bytes_of_text(grants[grant].text);
            pairs[pair_count++] =
                (struct resource_of){kw_bytes_of_text(resource_grants[i].text), list_of(arena, &item, 1)};
            for (size_t n = 0; n < RESOURCES; n++) {
                rule->on[n] |= (resource_grants[i].covers >> n & 1) != 0 ? grants[grant].covers : 0;
            }
        }
    }
    for (size_t n = 0; n < RESOURCES; n++) {
        rule->on[n] |= rule->global;
    }
    record->resources = resources_of(arena, pairs, pair_count);
}

static struct kw_list draw_ranges(struct test *t, struct kw_arena *arena, unsigned *held_out)
{
    struct kw_bytes items[2];
    size_t count = once_in(t, 2) ? 0 : 1 + test_random_below(t, 2);
    *held_out = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = test_random_below(t, KW_COUNT_OF(ranges));
        struct kw_address_range range = {.bits = 0};
        const char *why;
        uint8_t *packed = kw_arena_take(arena, KW_ADDRESS_RANGE_SIZE);
        CHECK_STATUS(t, kw_address_range_parse(kw_bytes_of_text(ranges[at].text), &range, &why), KW_OK);
        kw_address_range_pack(&range, packed);
        items[i] = kw_bytes_of(packed, KW_ADDRESS_RANGE_SIZE);
        *held_out |= ranges[at].holds;
    }
    return list_of(arena, items, count);
}

static struct kw_list draw_regions(struct test *t, struct kw_arena *arena, unsigned *held_out, unsigned *may_out)
{
    struct kw_bytes items[2];
    size_t count = once_in(t, 2) ? 0 : 1 + test_random_below(t, 2);
    *held_out = *may_out = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = test_random_below(t, KW_COUNT_OF(regions));
        items[i] = kw_bytes_of_text(regions[at].text);
        *held_out |= regions[at].holds;
        *may_out |= regions[at].may_hold;
    }
    return list_of(arena, items, count);
}

void draw_places(struct test *t, struct kw_arena *arena, struct rule *rule, struct kw_record *record)
{
    unsigned held;
    unsigned may;
    rule->ips = rule->regions = ~0U;
    record->allowed_ips = draw_ranges(t, arena, &held);
    rule->ips = record->allowed_ips.count != 0 ? held : rule->ips;
    record->blocked_ips = draw_ranges(t, arena, &held);
    rule->ips &= ~held;
    rule->has_ips = (record->allowed_ips.count | record->blocked_ips.count) != 0;
    record->allowed_regions = draw_regions(t, arena, &held, &may);
    rule->regions = record->allowed_regions.count != 0 ? held : rule->regions;
    record->blocked_regions = draw_regions(t, arena, &held, &may);
    rule->regions &= ~may;
    rule->has_regions = (record->allowed_regions.count | record->blocked_regions.count) != 0;
}

struct kw_record draw_record(struct test *t, struct kw_arena *arena, uint64_t trouble, struct rule *rule)
{
    struct kw_record record = record_typical(arena);
    *rule =
        (struct rule){.revoked = once_in(t, trouble), .expired = once_in(t, trouble), .disabled = once_in(t, trouble)};
    record.id = record.lineage_id = random_id(t);
    rule->env = once_in(t, 4) ? "test" : "live";
    record.env = kw_bytes_of_text(rule->env);
    record.enabled = !rule->disabled;
    record.revoked_at_ms = rule->revoked ? RECORD_BORN_MS + 1 : 0;
    record.expires_at_ms = rule->expired   ? WORLD_NOW_MS
                           : once_in(t, 2) ? 0
                                           : WORLD_NOW_MS + 1 + (int64_t)test_random_below(t, 3);
    rule->expires_at_ms = record.expires_at_ms;
    draw_scopes(t, arena, rule, &record);
    if (once_in(t, 2)) {
        draw_places(t, arena, rule, &record);
    } else {
        rule->ips = rule->regions = ~0U;
    }
    return record;
}
