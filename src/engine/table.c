#include "engine/table.h"

#include "base/memory.h"
#include "engine/pool.h"

struct kw_table *kw_table_new(size_t bucket_count)
{
    struct kw_table *table = kw_alloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->buckets = kw_pages_map(bucket_count * sizeof *table->buckets);
    table->mask = bucket_count - 1;
    table->marks = kw_alloc(kw_table_parts(table), sizeof *table->marks);
    if (table->buckets == NULL || table->marks == NULL) {
        kw_table_free(table);
        return NULL;
    }
    return table;
}

void kw_table_free(struct kw_table *table)
{
    if (table == NULL) {
        return;
    }
    kw_pages_unmap(table->buckets, (table->mask + 1) * sizeof *table->buckets);
    kw_free(table->marks);
    kw_pages_unmap(table->hints, kw_table_hint_bytes(table));
    kw_free(table);
}

static size_t slot_count(const struct kw_table *table)
{
    return (table->mask + 1) * KW_TABLE_SLOTS;
}

/* Those of the table, made when they are asked for. */
static uint32_t *hints_of(struct kw_table *table)
{
    uint32_t *hints = __atomic_load_n(&table->hints, __ATOMIC_ACQUIRE);
    if (hints != NULL) {
        return hints;
    }
    uint32_t *made = kw_pages_map(slot_count(table) * sizeof *made);
    if (made == NULL ||
        __atomic_compare_exchange_n(&table->hints, &hints, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return made;
    }
    kw_pages_unmap(made, slot_count(table) * sizeof *made);
    return hints;
}

void kw_table_set_hint(struct kw_table *table, const uint64_t *slot, uint32_t hint)
{
    uint32_t *hints = hints_of(table);
    if (hints != NULL) {
        __atomic_store_n(&hints[slot - table->buckets[0].slots], hint, __ATOMIC_RELAXED);
    }
}

uint64_t kw_table_hint_bytes(const struct kw_table *table)
{
    return __atomic_load_n(&table->hints, __ATOMIC_ACQUIRE) == NULL ? 0 : slot_count(table) * sizeof(uint32_t);
}

void kw_table_mark_all(const struct kw_table *table)
{
    for (size_t part = 0; part < kw_table_parts(table); part++) {
        __atomic_store_n(&table->marks[part], 1, __ATOMIC_SEQ_CST);
    }
}

struct kw_table *kw_table_bigger(const struct kw_table *old)
{
    struct kw_table *bigger = kw_table_new((old->mask + 1) * 2);
    if (bigger == NULL) {
        return NULL;
    }
    const uint32_t *hints = __atomic_load_n(&old->hints, __ATOMIC_ACQUIRE);
    for (size_t at = 0; at <= old->mask; at++) {
        const uint64_t *slots = old->buckets[at].slots;
        const uint64_t *ahead = old->buckets[(at + 4) & old->mask].slots;
        for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
            __builtin_prefetch(kw_table_entry(ahead[i]));
        }
        for (size_t i = 0; i < KW_TABLE_SLOTS && slots[i] != 0; i++) {
            uint64_t empty;
            uint64_t *place = kw_table_find(bigger, kw_table_entry(slots[i])->digest, &empty);
            *place = slots[i];
            if (hints != NULL) {
                kw_table_set_hint(bigger, place, __atomic_load_n(&hints[at * KW_TABLE_SLOTS + i], __ATOMIC_RELAXED));
            }
        }
    }
    return bigger;
}
