#include "core/use.h"

#include "base/bytes.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static void add_up(int64_t *sum, int64_t amount)
{
    *sum = amount > KW_USE_AMOUNT_MAX - *sum ? KW_USE_AMOUNT_MAX : *sum + amount;
}

void kw_use_init(struct kw_use *use, int64_t now_ms, int64_t last_used_ms)
{
    memset(use, 0, sizeof *use);
    use->now_ms = now_ms;
    use->last_used_ms = last_used_ms;
}

static void count_outcome(struct kw_use *use, const struct kw_use_row *row, int64_t amount)
{
    if (!kw_bytes_equal(row->value, KW_BYTES("VALID"))) {
        add_up(&use->refused, amount);
        return;
    }
    int64_t day = use->now_ms / DAY_MS - row->start_ms / DAY_MS;
    add_up(&use->passed, amount);
    add_up(&use->days[day < 0 ? 0 : day], amount);
    int64_t hours_ago = use->now_ms / HOUR_MS - row->start_ms / HOUR_MS;
    if (!row->is_hour || hours_ago < 1 || hours_ago > KW_USE_HOURS) {
        return;
    }
    int64_t *hour = &use->each_hour[hours_ago - 1];
    add_up(hour, amount);
    add_up(&use->hours[row->start_ms / HOUR_MS % 24], amount);
    use->hour_max = *hour > use->hour_max ? *hour : use->hour_max;
}

struct kw_address_range kw_network_of(const struct kw_address *address)
{
    struct kw_address_range network = {.bits = kw_address_is_ipv4(address) ? KW_ADDRESS_IPV4_BITS + KW_NETWORK_IPV4_BITS
                                                                           : KW_NETWORK_IPV6_BITS};
    memcpy(network.first.bytes, address->bytes, network.bits / 8);
    return network;
}

uint32_t kw_network_mark(const struct kw_address *address)
{
    struct kw_address_range network = kw_network_of(address);
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < network.bits / 8U; i++) {
        hash = (hash ^ network.first.bytes[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)((hash >> 32 ^ hash) % KW_NETWORK_MARK_MAX) + 1;
}

/* Marks are larger than what else is counted: they have the room of 64 bits. */
static void count_network(struct kw_use *use, const struct kw_use_row *row)
{
    int64_t *sum = kw_bytes_equal(row->value, KW_NETWORK_MARKS) ? &use->network_marks : &use->addressed;
    *sum = row->amount > INT64_MAX - *sum ? INT64_MAX : *sum + row->amount;
}

static enum kw_status count_value(struct kw_use_values *values, struct kw_arena *arena, struct kw_bytes value,
                                  int64_t amount)
{
    size_t at = 0;
    while (at < values->count && !kw_bytes_equal(values->items[at].value, value)) {
        at++;
    }
    bool is_other = at == KW_USE_VALUES_MAX || value.size == 0 || value.size > KW_USE_VALUE_SIZE ||
                    kw_bytes_equal(value, KW_USE_OTHER);
    if (!is_other && at == values->count) {
        enum kw_status status = kw_arena_copy(arena, value, &values->items[at].value);
        if (status != KW_OK) {
            return status;
        }
        values->items[at].amount = 0;
        values->count++;
    }
    add_up(is_other ? &values->other : &values->items[at].amount, amount);
    add_up(&values->total, amount);
    return KW_OK;
}

enum kw_status kw_use_add(struct kw_use *use, struct kw_arena *arena, const struct kw_use_row *row)
{
    int64_t amount = row->amount > KW_USE_AMOUNT_MAX ? KW_USE_AMOUNT_MAX : row->amount;
    if (amount <= 0 || row->start_ms < 0 || use->now_ms / DAY_MS - row->start_ms / DAY_MS >= KW_USE_DAYS) {
        return KW_OK;
    }
    switch (row->kind) {
    case KW_USE_OUTCOME:
        count_outcome(use, row, amount);
        return KW_OK;
    case KW_USE_ENDPOINT:
        return count_value(&use->endpoints, arena, row->value, amount);
    case KW_USE_COUNTRY:
        return count_value(&use->countries, arena, row->value, amount);
    case KW_USE_NETWORK:
        count_network(use, row);
        return KW_OK;
    case KW_USE_SCOPE:
        return count_value(&use->scopes, arena, row->value, amount);
    }
    return KW_OK;
}

unsigned kw_use_day_count(const struct kw_use *use)
{
    unsigned count = 0;
    for (size_t i = 0; i < KW_USE_DAYS; i++) {
        count += use->days[i] > 0;
    }
    return count;
}

int64_t kw_use_of_days(const struct kw_use *use, unsigned first, unsigned count)
{
    int64_t sum = 0;
    for (unsigned i = first; i < KW_USE_DAYS && i - first < count; i++) {
        add_up(&sum, use->days[i]);
    }
    return sum;
}
