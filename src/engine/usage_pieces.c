#include "engine/usage_pieces.h"

#include "base/bytes.h"
#include "engine/table.h"

void kw__pieces_clear(struct kw__pieces *pieces)
{
    pieces->at = (struct kw__pieces_at){.part = KW__DEFER_NONE};
}

bool kw__pieces_have_room(const struct kw__pieces *pieces)
{
    return pieces->at.size + KW__DEFER_HEAD_MAX + KW__DEFER_ENTRY_MAX <= KW__DEFER_BYTES &&
           pieces->at.count + 2 <= KW__DEFER_PIECES;
}

uint32_t kw__defer_part_of(const struct kw_usage *usage, const uint8_t *digest)
{
    uint64_t buckets = (uint64_t)usage->part_count * KW_TABLE_PART;
    return buckets == 0 ? 0 : (uint32_t)((kw_table_hash(digest) & (buckets - 1)) * KW__DEFER_PARTS / buckets);
}

unsigned kw__defer_shift(size_t keys, uint64_t parts)
{
    unsigned shift = 0;
    while (((uint64_t)keys << shift) / parts < KW__DEFER_KEYS_EACH / 2 && 1U << shift < KW__DEFER_PARTS) {
        shift++;
    }
    return shift;
}

static void put_byte(struct kw__pieces *pieces, uint8_t byte)
{
    pieces->bytes[pieces->at.size++] = byte;
}

static void put_number(struct kw__pieces *pieces, uint64_t number)
{
    for (; number > 0x7f; number >>= 7) {
        put_byte(pieces, (uint8_t)(number | 0x80));
    }
    put_byte(pieces, (uint8_t)number);
}

static void put_bytes(struct kw__pieces *pieces, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(pieces->bytes + pieces->at.size, data, size);
        pieces->at.size += size;
    }
}

static void put_text(struct kw__pieces *pieces, const void *data, size_t size)
{
    put_byte(pieces, (uint8_t)size);
    put_bytes(pieces, data, size);
}

void kw__pieces_end(struct kw__pieces *pieces)
{
    struct kw__pieces_at *at = &pieces->at;
    if (at->size > at->begin) {
        pieces->items[at->count++] = (struct kw_store_deferred){
            .part = at->part, .bytes = kw_bytes_of(pieces->bytes + at->begin, at->size - at->begin)};
    }
    at->begin = at->size;
}

static bool is_full(const struct kw__pieces_at *at, size_t rows)
{
    return at->size - at->begin + KW__DEFER_HEAD_MAX + KW__DEFER_ENTRY_MAX > KW_STORE_DEFERRED_MAX ||
           at->rows + rows > KW__DEFER_ROWS_MAX || at->keys == KW__DEFER_KEYS_MAX;
}

bool kw__pieces_begin_entry(const struct kw_engine *engine, struct kw__pieces *pieces, uint32_t part, uint16_t project,
                            const struct kw_id *key, size_t rows)
{
    struct kw__pieces_at *at = &pieces->at;
    if (part != at->part || is_full(at, rows)) {
        kw__pieces_end(pieces);
        at->part = part;
    }
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name = {NULL, 0};
    bool is_new = at->size == at->begin;
    bool is_told = !is_new && at->project == project && (!kw_id_is_none(key) || kw_id_is_none(&at->key));
    if (!is_told && !kw__project_name(engine, project, memory, &name)) {
        return false;
    }
    if (is_new) {
        put_byte(pieces, KW__DEFER_FORM);
        at->rows = at->keys = 0;
    }
    if (!is_told) {
        put_byte(pieces, KW__DEFER_PROJECT);
        put_text(pieces, name.data, name.size);
        at->project = project;
        at->key = (struct kw_id){{0}};
    }
    if (!kw_id_equal(&at->key, key)) {
        put_byte(pieces, KW__DEFER_KEY);
        put_bytes(pieces, key->bytes, sizeof key->bytes);
        at->key = *key;
        at->keys++;
    }
    at->rows += rows;
    return true;
}

void kw__pieces_put_count(struct kw__pieces *pieces, const struct kw_store_usage *usage)
{
    put_byte(pieces, KW__DEFER_COUNT);
    put_byte(pieces, usage->dimension);
    put_number(pieces, (uint64_t)(uint32_t)(usage->bucket_start_ms / KW_HOUR_MS));
    put_number(pieces, (uint64_t)usage->amount);
    put_text(pieces, usage->value.data, usage->value.size);
}

/* What every use has; what `flags` tell of is put behind it. */
static void put_use(struct kw__pieces *pieces, const struct kw__use_slot *slot, uint8_t flags)
{
    put_byte(pieces, KW__DEFER_USE);
    put_number(pieces, (uint64_t)(uint32_t)slot->hour);
    put_number(pieces, slot->valid);
    put_number(pieces, slot->cost);
    put_number(pieces, (uint64_t)slot->at_ms);
    put_byte(pieces, flags);
    pieces->at.codes += slot->valid;
}

void kw__pieces_put_use(struct kw__pieces *pieces, const struct kw__use_slot *slot, const struct kw__use_place *place)
{
    uint8_t flags = (slot->has_networks ? KW__DEFER_NETWORKS : 0) | (slot->has_lost_scopes ? KW__DEFER_LOST_SCOPES : 0);
    flags |= slot->has_place ? KW__DEFER_PLACE | (place->has_address ? KW__DEFER_ADDRESS : 0) : 0;
    put_use(pieces, slot, flags);
    if (slot->has_networks) {
        put_number(pieces, place->addressed);
        put_number(pieces, (uint64_t)place->network_marks);
    }
    if ((flags & KW__DEFER_PLACE) != 0) {
        put_text(pieces, place->region, place->region_size);
    }
    if ((flags & KW__DEFER_ADDRESS) != 0) {
        put_bytes(pieces, place->address.bytes, sizeof place->address.bytes);
    }
}

void kw__pieces_put_alike(struct kw__pieces *pieces, const struct kw__use *use)
{
    bool has_address = (use->head.parts & KW__USE_ADDRESS) != 0;
    bool has_place = has_address || use->place.size > 0;
    struct kw__use_slot slot = {.at_ms = use->head.at_ms,
                                .valid = use->times,
                                .cost = use->times,
                                .hour = (int32_t)(use->head.at_ms / KW_HOUR_MS)};
    put_use(pieces, &slot,
            KW__DEFER_ALIKE | (has_place ? KW__DEFER_PLACE : 0) | (has_address ? KW__DEFER_ADDRESS : 0) |
                ((use->head.parts & KW__USE_MORE_SCOPES) != 0 ? KW__DEFER_LOST_SCOPES : 0));
    if (has_place) {
        put_text(pieces, use->place.data, use->place.size);
    }
    if (has_address) {
        put_bytes(pieces, use->address.bytes, sizeof use->address.bytes);
    }
}

enum kw_status kw__pieces_write(struct kw_engine *engine, struct kw__pieces *pieces)
{
    struct kw_usage *usage = engine->usage;
    uint64_t waiting = 0;
    kw__pieces_end(pieces);
    enum kw_status status = engine->store->ops->usage_defer(engine->store, pieces->items, pieces->at.count, &waiting);
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        usage->knows_deferred = status == KW_OK;
    }
    if (status == KW_OK) {
        __atomic_store_n(&usage->deferred, waiting, __ATOMIC_RELAXED);
    }
    return status;
}
