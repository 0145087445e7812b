#include "engine/usage_defer.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/use.h"

/* Pieces of use that the store has kept are added to the counts. */

#define PIECES_MAX 256 /* added at once */
#define COUNTRY_SIZE 2

struct settling {
    struct kw_engine *engine;
    struct kw__deferral *deferral;
    struct kw_bytes project;
    struct kw__settled_key *key;      /* whose the next entry is; NULL: the project's */
    struct kw__use_subjects projects; /* of the project alone */
    bool has_project;
};

/* --- reading --- */

/* What is left of a piece. What is not there reads as 0, and nothing is left then. */
struct piece {
    struct kw_bytes rest;
    bool is_cut;
};

static struct kw_bytes take_bytes(struct piece *piece, size_t size)
{
    struct kw_bytes taken = {NULL, 0};
    piece->is_cut |= size > piece->rest.size;
    if (piece->is_cut) {
        piece->rest = taken;
        return taken;
    }
    taken = kw_bytes_of(piece->rest.data, size);
    piece->rest = kw_bytes_skip(piece->rest, size);
    return taken;
}

static uint8_t take_byte(struct piece *piece)
{
    struct kw_bytes taken = take_bytes(piece, 1);
    return taken.size == 0 ? 0 : taken.data[0];
}

static uint64_t take_number(struct piece *piece)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_byte(piece);
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return number;
        }
    }
    piece->is_cut = true;
    return 0;
}

static int64_t to_amount(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

/* --- whose it is --- */

static enum kw_status keep_subjects(void *context, const struct kw_store_row *row)
{
    struct settling *settling = context;
    struct kw_record record;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status != KW_OK) {
        return status;
    }
    bool is_copied = kw__use_subjects_of_record(kw__use_rows_arena(settling->engine->usage->rows), &record,
                                                &settling->key->subjects);
    return is_copied ? KW_OK : KW_E_MEMORY;
}

/* A key that is not there any more counts for its project. */
static enum kw_status find_subjects(struct settling *settling)
{
    struct kw_store *store = settling->engine->store;
    struct kw__settled_key *key = settling->key;
    enum kw_status status = store->ops->find_by_id(store, &key->id, keep_subjects, settling);
    key->is_there = status == KW_OK || (status == KW_E_NOT_FOUND && settling->has_project);
    if (status == KW_E_NOT_FOUND) {
        key->subjects = settling->projects;
    }
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

/* KW_E_MEMORY where these are too many for one write. */
static enum kw_status choose_key(struct settling *settling, struct kw_bytes id)
{
    struct kw__deferral *deferral = settling->deferral;
    struct kw_id wanted;
    memcpy(wanted.bytes, id.data, sizeof wanted.bytes);
    size_t at = kw_id_hash(&wanted) % KW_COUNT_OF(deferral->key_index);
    for (; deferral->key_index[at] != 0; at = (at + 1) % KW_COUNT_OF(deferral->key_index)) {
        settling->key = &deferral->keys[deferral->key_index[at] - 1];
        if (kw_id_equal(&settling->key->id, &wanted)) {
            return KW_OK;
        }
    }
    if (deferral->key_count == KW_COUNT_OF(deferral->keys)) {
        return KW_E_MEMORY;
    }
    settling->key = &deferral->keys[deferral->key_count++];
    deferral->key_index[at] = (uint16_t)deferral->key_count;
    *settling->key = (struct kw__settled_key){.id = wanted};
    return find_subjects(settling);
}

static enum kw_status choose_project(struct settling *settling, struct kw_bytes name)
{
    kw_index_read_begin();
    settling->has_project = kw_project_by_name(kw__catalog(settling->engine), name) != NULL;
    kw_index_read_end();
    settling->key = NULL;
    settling->projects = (struct kw__use_subjects){.has_org = false};
    return kw_arena_copy(kw__use_rows_arena(settling->engine->usage->rows), name, &settling->projects.project);
}

/* Whom the next entry counts for; NULL: nobody. */
static const struct kw__use_subjects *subjects_of(const struct settling *settling)
{
    if (settling->key == NULL) {
        return settling->has_project ? &settling->projects : NULL;
    }
    return settling->key->is_there ? &settling->key->subjects : NULL;
}

/* --- entries --- */

static void note_use(struct kw__settled_key *key, int64_t at_ms, struct kw_bytes address, struct kw_bytes region)
{
    if (at_ms >= key->use.at_ms) {
        key->use = (struct kw_store_use){.key_id = key->id, .at_ms = at_ms, .address = address, .region = region};
    }
}

static void count_networks(struct kw__use_slot *slot, struct kw__use_place *place, struct kw_bytes address)
{
    memcpy(place->address.bytes, address.data, sizeof place->address.bytes);
    slot->has_networks = true;
    place->addressed = slot->valid;
    place->network_marks = (int64_t)slot->valid * kw_network_mark(&place->address);
}

static enum kw_status add_region(struct settling *settling, const struct kw__use_subjects *subjects,
                                 const struct kw__use_slot *slot, struct kw_bytes region)
{
    struct kw_store_usage usage = {.value = kw_bytes_of(region.data, COUNTRY_SIZE),
                                   .bucket_start_ms = (int64_t)slot->hour * KW_HOUR_MS,
                                   .amount = slot->valid,
                                   .dimension = KW_USAGE_REGION};
    return kw__use_rows_add(settling->engine, settling->engine->usage->rows, subjects, usage);
}

static enum kw_status add_use(struct settling *settling, struct piece *piece)
{
    struct kw__use_slot slot = {.hour = (int32_t)(uint32_t)take_number(piece)};
    struct kw__use_place place = {.addressed = 0};
    struct kw_bytes region = {NULL, 0};
    struct kw_bytes address = {NULL, 0};
    slot.valid = (uint32_t)take_number(piece);
    slot.cost = take_number(piece);
    slot.at_ms = to_amount(take_number(piece));
    uint8_t flags = take_byte(piece);
    slot.has_networks = (flags & KW__DEFER_NETWORKS) != 0;
    slot.has_lost_scopes = (flags & KW__DEFER_LOST_SCOPES) != 0;
    if (slot.has_networks) {
        place.addressed = (uint32_t)take_number(piece);
        place.network_marks = to_amount(take_number(piece));
    }
    if ((flags & KW__DEFER_PLACE) != 0) {
        region = take_bytes(piece, take_byte(piece));
    }
    if ((flags & KW__DEFER_ADDRESS) != 0) {
        address = take_bytes(piece, KW_STORE_USE_ADDRESS_SIZE);
    }
    if (piece->is_cut || region.size > KW_STORE_USE_REGION_MAX) {
        return KW_E_CORRUPT;
    }
    const struct kw__use_subjects *subjects = subjects_of(settling);
    if (subjects == NULL) {
        return KW_OK;
    }
    if (!kw_id_is_none(&subjects->key_id)) {
        note_use(settling->key, slot.at_ms, address, region);
    }
    if ((flags & KW__DEFER_ALIKE) != 0 && address.size > 0) {
        count_networks(&slot, &place, address);
    }
    enum kw_status status = kw__use_rows_add_slot(settling->engine, subjects, &slot, &place);
    bool has_region = (flags & KW__DEFER_ALIKE) != 0 && region.size >= COUNTRY_SIZE;
    return status == KW_OK && has_region ? add_region(settling, subjects, &slot, region) : status;
}

static enum kw_status add_count(struct settling *settling, struct piece *piece)
{
    struct kw_store_usage usage = {.dimension = take_byte(piece)};
    usage.bucket_start_ms = (int64_t)(int32_t)(uint32_t)take_number(piece) * KW_HOUR_MS;
    usage.amount = to_amount(take_number(piece));
    usage.value = take_bytes(piece, take_byte(piece));
    if (piece->is_cut || usage.value.size > KW_STORE_USAGE_VALUE_MAX) {
        return KW_E_CORRUPT;
    }
    const struct kw__use_subjects *subjects = subjects_of(settling);
    return subjects == NULL ? KW_OK
                            : kw__use_rows_add(settling->engine, settling->engine->usage->rows, subjects, usage);
}

static enum kw_status add_entry(struct settling *settling, struct piece *piece)
{
    struct kw_bytes text;
    switch (take_byte(piece)) {
    case KW__DEFER_PROJECT:
        text = take_bytes(piece, take_byte(piece));
        return piece->is_cut ? KW_E_CORRUPT : choose_project(settling, text);
    case KW__DEFER_KEY:
        text = take_bytes(piece, sizeof(struct kw_id));
        return piece->is_cut ? KW_E_CORRUPT : choose_key(settling, text);
    case KW__DEFER_USE:
        return add_use(settling, piece);
    case KW__DEFER_COUNT:
        return add_count(settling, piece);
    default:
        return KW_E_CORRUPT;
    }
}

/* KW_E_CORRUPT where it cannot be read from somewhere on: what stands before that is added. */
static enum kw_status add_piece(struct settling *settling, struct kw_bytes bytes)
{
    struct piece piece = {.rest = bytes};
    enum kw_status status = take_byte(&piece) == KW__DEFER_FORM ? KW_OK : KW_E_CORRUPT;
    settling->has_project = false;
    settling->key = NULL;
    while (status == KW_OK && piece.rest.size > 0) {
        status = add_entry(settling, &piece);
    }
    return status;
}

/* --- the pieces of one write --- */

/* Adding asks the store, which its sink may not: so pieces are copied first. */
static enum kw_status keep_piece(void *context, const struct kw_store_deferred *piece)
{
    struct kw__pieces *pieces = context;
    struct kw__pieces_at *at = &pieces->at;
    if (at->size + piece->bytes.size > KW__DEFER_BYTES || at->count == PIECES_MAX) {
        return KW_E_LIMIT;
    }
    uint8_t *copy = pieces->bytes + at->size;
    memcpy(copy, piece->bytes.data, piece->bytes.size);
    at->size += piece->bytes.size;
    pieces->items[at->count] = *piece;
    pieces->items[at->count++].bytes = kw_bytes_of(copy, piece->bytes.size);
    return KW_OK;
}

static enum kw_status add_pieces(struct settling *settling, size_t count)
{
    struct kw__deferral *deferral = settling->deferral;
    struct kw__use_rows *rows = settling->engine->usage->rows;
    enum kw_status status = KW_OK;
    kw__use_rows_reset(rows);
    memset(deferral->key_index, 0, sizeof deferral->key_index);
    deferral->key_count = 0;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = add_piece(settling, deferral->pieces.items[i].bytes);
        if (status == KW_E_CORRUPT) { /* it can never be read: better that it is missing than that nothing is added */
            __atomic_fetch_add(&settling->engine->usage->dropped, 1, __ATOMIC_RELAXED);
            status = KW_OK;
        }
    }
    for (size_t i = 0; i < deferral->key_count && status == KW_OK; i++) {
        if (deferral->keys[i].use.at_ms > 0) {
            kw__use_rows_note(rows, &deferral->keys[i].use);
        }
    }
    return status;
}

static void learn_what_waits(struct kw_engine *engine)
{
    struct kw_usage *usage = engine->usage;
    uint64_t waiting = 0;
    usage->knows_deferred = engine->store->ops->usage_defer(engine->store, NULL, 0, &waiting) == KW_OK;
    if (usage->knows_deferred) {
        __atomic_store_n(&usage->deferred, waiting, __ATOMIC_RELAXED);
    }
}

enum kw_status kw__settle_some(struct kw_engine *engine, uint32_t *part, bool *found_out)
{
    struct kw_store *store = engine->store;
    struct kw__deferral *deferral = engine->usage->deferral;
    struct settling settling = {.engine = engine, .deferral = deferral};
    kw__pieces_clear(&deferral->pieces);
    enum kw_status status = store->ops->usage_deferred(store, *part, PIECES_MAX + 1, keep_piece, &deferral->pieces);
    bool is_all = status == KW_OK;
    size_t count = deferral->pieces.at.count;
    *found_out = count > 0;
    if ((status == KW_OK || status == KW_E_LIMIT) && count > 0) {
        status = add_pieces(&settling, count);
        while (status == KW_E_MEMORY && count > 1) { /* half as many, which need less room */
            is_all = false;
            count /= 2;
            status = add_pieces(&settling, count);
        }
        const struct kw_store_deferred *last = &deferral->pieces.items[count - 1];
        status = status == KW_OK ? kw__use_rows_settle(engine, engine->usage->rows, last) : status;
        *part = status == KW_OK ? last->part + (is_all ? 1 : 0) : *part;
    }
    if (status == KW_OK) {
        learn_what_waits(engine);
    }
    return status;
}
