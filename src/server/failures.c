#include "server/failures.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdalign.h>

#define SETS 512 /* a power of two */
#define WAYS 8   /* slots of one set: a cache line */
#define MINUTE_MS 60000
#define COUNT_MAX UINT16_MAX

/* One address in one minute, packed so that a single compare-and-swap changes it: tag 32, minute 16, count 16 bits. */
struct set {
    alignas(64) uint64_t slots[WAYS];
};

struct kw_failures {
    void *memory; /* what `sets` was cut from */
    struct set *sets;
    uint64_t seed; /* so that nobody can choose addresses that meet in one set */
};

enum kw_status kw_failures_new(struct kw_failures **failures_out)
{
    struct kw_failures *failures = kw_alloc(1, sizeof *failures);
    if (failures == NULL) {
        return KW_E_MEMORY;
    }
    struct kw_entropy entropy = kw_entropy_system();
    enum kw_status status = entropy.draw(entropy.context, (uint8_t *)&failures->seed, sizeof failures->seed);
    if (status == KW_OK) {
        failures->memory = kw_alloc(SETS + 1, sizeof(struct set));
        status = failures->memory == NULL ? KW_E_MEMORY : KW_OK;
    }
    if (status != KW_OK) {
        kw_free(failures);
        return status;
    }
    failures->sets = (struct set *)(((uintptr_t)failures->memory + 63) & ~(uintptr_t)63);
    *failures_out = failures;
    return KW_OK;
}

void kw_failures_free(struct kw_failures *failures)
{
    if (failures == NULL) {
        return;
    }
    kw_free(failures->memory);
    kw_free(failures);
}

/* What an address counts as, in 64 bits: all of IPv4, half of IPv6. */
static uint64_t number_of(const struct kw_address *address)
{
    uint64_t number = 0;
    uint32_t v4;
    if (kw_address_is_ipv4(address)) {
        memcpy(&v4, address->bytes + sizeof address->bytes - sizeof v4, sizeof v4);
        return v4;
    }
    memcpy(&number, address->bytes, sizeof number);
    return number;
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The slot of this address and minute; else the one that is missed least: of an earlier minute, or of few failures. */
static size_t choose_slot(const struct set *set, uint64_t tag_and_minute)
{
    size_t best = 0;
    uint64_t best_count = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t slot = __atomic_load_n(&set->slots[i], __ATOMIC_RELAXED);
        if (slot >> 16 == tag_and_minute) {
            return i;
        }
        bool is_old = (slot >> 16 & 0xffff) != (tag_and_minute & 0xffff);
        uint64_t count = is_old ? 0 : slot & COUNT_MAX;
        if (count < best_count) {
            best = i;
            best_count = count;
        }
    }
    return best;
}

unsigned kw_failures_count(struct kw_failures *failures, const struct kw_address *address, int64_t now_ms)
{
    if (now_ms < 0) {
        return 0;
    }
    uint64_t hash = mix(mix(number_of(address) ^ failures->seed) + failures->seed);
    uint64_t minute = (uint64_t)(now_ms / MINUTE_MS) & 0xffff;
    uint64_t tag_and_minute = (hash >> 32) << 16 | minute;
    struct set *set = &failures->sets[hash % SETS];
    uint64_t *slot = &set->slots[choose_slot(set, tag_and_minute)];
    uint64_t before = __atomic_load_n(slot, __ATOMIC_RELAXED);
    uint64_t count;
    do {
        count = before >> 16 == tag_and_minute ? (before & COUNT_MAX) : 0;
        count += count < COUNT_MAX;
    } while (!__atomic_compare_exchange_n(slot, &before, tag_and_minute << 16 | count, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return count <= KW_FAILURES_MAX ? 0 : (unsigned)((MINUTE_MS - now_ms % MINUTE_MS + 999) / 1000);
}
