#include "server/record_cache.h"

#include "base/memory.h"
#include "engine/table.h"

#include <sched.h>

#define PLACES 256      /* a power of two */
#define PLACES_APART 37 /* of one key, as two processors see it: each has places of its own, as far as they go */

struct place {
    uint8_t is_taken; /* atomic */
    uint8_t digest[KW_DIGEST_INDEX_SIZE];
    uint64_t version; /* 0: nobody's */
    size_t size;      /* 0: its key was wanted once */
    uint8_t text[KW_RECORD_CACHE_TEXT_MAX];
};

struct kw_record_cache {
    struct place *places;
};

enum kw_status kw_record_cache_new(struct kw_record_cache **cache_out)
{
    struct kw_record_cache *cache = kw_alloc(1, sizeof *cache);
    if (cache == NULL) {
        return KW_E_MEMORY;
    }
    cache->places = kw_alloc(PLACES, sizeof *cache->places);
    if (cache->places == NULL) {
        kw_free(cache);
        return KW_E_MEMORY;
    }
    *cache_out = cache;
    return KW_OK;
}

void kw_record_cache_free(struct kw_record_cache *cache)
{
    if (cache != NULL) {
        kw_free(cache->places);
        kw_free(cache);
    }
}

static struct place *place_of(const struct kw_record_cache *cache, const struct kw_entry *entry)
{
    int cpu = sched_getcpu();
    uint64_t apart = cpu < 0 ? 0 : (uint64_t)cpu * PLACES_APART;
    return &cache->places[(kw_table_hash(entry->digest) + apart) % PLACES];
}

static bool take(struct place *place)
{
    return __atomic_load_n(&place->is_taken, __ATOMIC_RELAXED) == 0 &&
           __atomic_exchange_n(&place->is_taken, 1, __ATOMIC_ACQUIRE) == 0;
}

static void give_back(struct place *place)
{
    __atomic_store_n(&place->is_taken, 0, __ATOMIC_RELEASE);
}

static bool is_of(const struct place *place, const struct kw_entry *entry)
{
    return place->version == entry->version && kw__digest_equal(place->digest, entry->digest);
}

bool kw_record_cache_write(struct kw_record_cache *cache, const struct kw_entry *entry, struct kw_json_writer *writer)
{
    struct place *place = place_of(cache, entry);
    if (!take(place)) {
        return false;
    }
    bool is_kept = place->size > 0 && is_of(place, entry);
    if (is_kept) {
        kw_json_raw(writer, kw_bytes_of(place->text, place->size));
    }
    give_back(place);
    return is_kept;
}

void kw_record_cache_keep(struct kw_record_cache *cache, const struct kw_entry *entry, struct kw_bytes json)
{
    struct place *place = place_of(cache, entry);
    if (json.size > sizeof place->text || !take(place)) {
        return;
    }
    if (is_of(place, entry)) {
        memcpy(place->text, json.data, json.size);
        place->size = json.size;
    } else {
        memcpy(place->digest, entry->digest, sizeof place->digest);
        place->version = entry->version;
        place->size = 0;
    }
    give_back(place);
}

void kw_record_cache_forget(struct kw_record_cache *cache)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &cache->places[i];
        while (!take(place)) {
            sched_yield();
        }
        if (place->version != 0) {
            place->version = 0;
            place->size = 0;
            kw_wipe(place->text, sizeof place->text);
        }
        give_back(place);
    }
}
