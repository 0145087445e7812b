#include "store/sqlite/pile.h"

#include "base/memory.h"

bool kw__pile_init(struct kw__pile *pile)
{
    *pile = (struct kw__pile){
        .entries = kw_alloc(KW__PILE_ENTRIES_MAX, sizeof *pile->entries),
        .slots = kw_alloc(KW__PILE_SLOTS, sizeof *pile->slots),
    };
    return pile->entries != NULL && pile->slots != NULL;
}

void kw__pile_deinit(struct kw__pile *pile)
{
    kw_free(pile->entries);
    kw_free(pile->slots);
    *pile = (struct kw__pile){0};
}

/* All bytes count: what is imported may begin alike. */
static size_t slot_of(const uint8_t *digest)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < KW__PILE_DIGEST_SIZE; i += sizeof hash) {
        uint64_t word;
        memcpy(&word, digest + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (size_t)(hash % KW__PILE_SLOTS);
}

bool kw__pile_add(struct kw__pile *pile, struct kw_bytes digest, const struct kw_id *id)
{
    if (pile->count == KW__PILE_ENTRIES_MAX) {
        return false;
    }
    struct kw__pile_entry *entry = &pile->entries[pile->count];
    size_t slot = slot_of(digest.data);
    while (pile->slots[slot] != 0) {
        slot = (slot + 1) % KW__PILE_SLOTS;
    }
    memcpy(entry->digest, digest.data, sizeof entry->digest);
    entry->id = *id;
    entry->gone_at = 0;
    pile->count++;
    pile->slots[slot] = (uint32_t)pile->count;
    return true;
}

/* What came last is at the end of every run of slots that it is in, so that emptying its slot breaks none. */
void kw__pile_cut(struct kw__pile *pile, size_t count)
{
    for (; pile->count > count; pile->count--) {
        size_t slot = slot_of(pile->entries[pile->count - 1].digest);
        while (pile->slots[slot] != pile->count) {
            slot = (slot + 1) % KW__PILE_SLOTS;
        }
        pile->slots[slot] = 0;
    }
}

void kw__pile_clear(struct kw__pile *pile)
{
    memset(pile->slots, 0, KW__PILE_SLOTS * sizeof *pile->slots);
    pile->count = 0;
}

struct kw__pile_entry *kw__pile_find(const struct kw__pile *pile, struct kw_bytes digest, size_t count,
                                     uint64_t sequence)
{
    for (size_t slot = slot_of(digest.data); pile->slots[slot] != 0; slot = (slot + 1) % KW__PILE_SLOTS) {
        struct kw__pile_entry *entry = &pile->entries[pile->slots[slot] - 1];
        bool stands = pile->slots[slot] <= count && (entry->gone_at == 0 || entry->gone_at > sequence);
        if (stands && memcmp(entry->digest, digest.data, sizeof entry->digest) == 0) {
            return entry;
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct kw__pile_place *left = a;
    const struct kw__pile_place *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

void kw__pile_sort(const struct kw__pile *pile, struct kw__pile_place *places_out)
{
    for (size_t i = 0; i < pile->count; i++) {
        uint64_t start = 0;
        for (size_t byte = 0; byte < sizeof start; byte++) {
            start = start << 8 | pile->entries[i].digest[byte];
        }
        places_out[i] = (struct kw__pile_place){start, (uint32_t)i};
    }
    qsort(places_out, pile->count, sizeof *places_out, compare);
}
