#include "engine/usage_table.h"

#include "base/bytes.h"
#include "core/use.h"

/* What was taken out of the rings is added up here until it is written. */

#define SLOT_INDEX (2 * KW__USAGE_SLOTS)
#define CELL_INDEX (2 * KW__USAGE_CELLS)
#define SCOPE_CELLS_MAX (KW__USAGE_CELLS / 4 * 3)
#define VALID_MAX (UINT32_MAX / 2) /* of one slot; then it begins anew */

enum kw_status kw__use_table_init(struct kw__use_table *table)
{
    table->slot_index = kw_alloc(SLOT_INDEX, sizeof *table->slot_index);
    table->slots = kw_alloc(KW__USAGE_SLOTS, sizeof *table->slots);
    table->places = kw_alloc(KW__USAGE_SLOTS, sizeof *table->places);
    table->cell_index = kw_alloc(CELL_INDEX, sizeof *table->cell_index);
    table->cells = kw_alloc(KW__USAGE_CELLS, sizeof *table->cells);
    bool is_whole = table->slot_index != NULL && table->slots != NULL && table->places != NULL &&
                    table->cell_index != NULL && table->cells != NULL;
    return is_whole ? KW_OK : KW_E_MEMORY;
}

void kw__use_table_deinit(struct kw__use_table *table)
{
    kw_free(table->slot_index);
    kw_free(table->slots);
    kw_free(table->places);
    kw_free(table->cell_index);
    kw_free(table->cells);
    *table = (struct kw__use_table){.slots = NULL};
}

/* A key's digest is as good as random, and need not be spread; but the sweep comes by its first bytes. */
static size_t slot_place(const uint8_t *digest)
{
    uint64_t part;
    memcpy(&part, digest + KW_DIGEST_INDEX_SIZE - sizeof part, sizeof part);
    return part % SLOT_INDEX;
}

/* What tells most digests apart without a look at the slots. */
static uint64_t slot_tag(const uint8_t *digest)
{
    uint32_t part;
    memcpy(&part, digest + sizeof(uint64_t), sizeof part);
    return (uint64_t)part << 32;
}

static uint32_t number_in(uint64_t indexed)
{
    return (uint32_t)indexed - 1;
}

/* FNV-1a, over what is told apart by. */
static size_t cell_place(const struct kw__use_cell *cell)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const uint64_t words[] = {cell->subject, (uint64_t)cell->hour, cell->dimension};
    for (size_t i = 0; i < KW_COUNT_OF(words); i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < cell->size; i++) {
        hash = (hash ^ cell->value[i]) * UINT64_C(0x100000001b3);
    }
    return (hash ^ hash >> 32) % CELL_INDEX;
}

void kw__use_table_clear(struct kw__use_table *table)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        /* Whatever lies between a place and its entry is forgotten too. */
        size_t at = slot_place(table->slots[i].digest);
        while (table->slot_index[at] != 0) {
            table->slot_index[at] = 0;
            at = (at + 1) % SLOT_INDEX;
        }
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t at = cell_place(&table->cells[i]);
        while (table->cell_index[at] != 0) {
            table->cell_index[at] = 0;
            at = (at + 1) % CELL_INDEX;
        }
    }
    table->slot_count = table->cell_count = 0;
    table->last_code = table->last_cost = 0;
}

/* Adds to a cell of the table, and returns one more than its number; 0, which is counted, where there is no room. */
static uint32_t add_cell(struct kw_usage *usage, struct kw__use_cell cell)
{
    struct kw__use_table *table = &usage->tables[usage->active];
    size_t at = cell_place(&cell);
    for (; table->cell_index[at] != 0; at = (at + 1) % CELL_INDEX) {
        struct kw__use_cell *found = &table->cells[table->cell_index[at] - 1];
        if (found->subject == cell.subject && found->hour == cell.hour && found->dimension == cell.dimension &&
            found->size == cell.size && memcmp(found->value, cell.value, cell.size) == 0) {
            found->amount += cell.amount;
            return table->cell_index[at];
        }
    }
    if (table->cell_count == KW__USAGE_CELLS) {
        uint64_t lost = cell.dimension == KW_USAGE_CODE ? (uint64_t)cell.amount : 0;
        __atomic_fetch_add(&usage->dropped, lost, __ATOMIC_RELAXED);
        return 0;
    }
    table->cells[table->cell_count++] = cell;
    table->cell_index[at] = (uint32_t)table->cell_count;
    return table->cell_index[at];
}

static uint32_t add_text(struct kw_usage *usage, struct kw__use_cell cell, enum kw_usage_dimension dimension,
                         struct kw_bytes value)
{
    cell.dimension = (uint8_t)dimension;
    cell.size = (uint8_t)value.size;
    memcpy(cell.value, value.data, value.size);
    return add_cell(usage, cell);
}

static uint32_t add_code(struct kw_usage *usage, struct kw__use_cell cell, uint8_t code)
{
    return add_text(usage, cell, KW_USAGE_CODE, kw_bytes_of(&code, 1));
}

static uint32_t add_cost(struct kw_usage *usage, struct kw__use_cell cell)
{
    return add_text(usage, cell, KW_USAGE_METRIC, KW_BYTES(KW_METRIC_REQUESTS));
}

/* What a slot says of an hour that is over becomes cells, and it begins anew. */
static void spill(struct kw_usage *usage, struct kw__use_slot *slot, uint32_t number)
{
    struct kw__use_cell cell = {.subject = number, .hour = slot->hour, .amount = slot->valid};
    if (slot->valid > 0) {
        (void)add_code(usage, cell, KW_CODE_NONE);
        cell.amount = (int64_t)slot->cost;
        (void)add_cost(usage, cell);
    }
    if (slot->has_networks) {
        const struct kw__use_place *place = &usage->tables[usage->active].places[number];
        cell.amount = place->addressed;
        (void)add_text(usage, cell, KW_USAGE_NETWORK, KW_NETWORK_USES);
        cell.amount = place->network_marks;
        (void)add_text(usage, cell, KW_USAGE_NETWORK, KW_NETWORK_MARKS);
    }
    slot->valid = 0;
    slot->cost = 0;
    slot->has_networks = false;
}

static struct kw__use_slot *slot_of(struct kw_usage *usage, const struct kw__use *use, uint32_t *number_out)
{
    struct kw__use_table *table = &usage->tables[usage->active];
    size_t at = slot_place(use->digest);
    uint64_t tag = slot_tag(use->digest);
    for (; table->slot_index[at] != 0; at = (at + 1) % SLOT_INDEX) {
        *number_out = number_in(table->slot_index[at]);
        if (table->slot_index[at] >> 32 == tag >> 32 &&
            memcmp(table->slots[*number_out].digest, use->digest, sizeof use->digest) == 0) {
            return &table->slots[*number_out];
        }
    }
    if (table->slot_count == KW__USAGE_SLOTS) {
        return NULL;
    }
    *number_out = (uint32_t)table->slot_count++;
    table->slot_index[at] = tag | (*number_out + 1);
    struct kw__use_slot *slot = &table->slots[*number_out];
    *slot = (struct kw__use_slot){.project = use->head.project};
    memcpy(slot->digest, use->digest, sizeof slot->digest);
    return slot;
}

void kw__use_prefetch_index(const struct kw_usage *usage, const struct kw__use *use)
{
    if ((use->head.parts & KW__USE_KNOWN) != 0) {
        __builtin_prefetch(&usage->tables[usage->active].slot_index[slot_place(use->digest)], 1);
    }
}

void kw__use_prefetch_slot(const struct kw_usage *usage, const struct kw__use *use)
{
    const struct kw__use_table *table = &usage->tables[usage->active];
    if ((use->head.parts & KW__USE_KNOWN) != 0) {
        uint64_t indexed = table->slot_index[slot_place(use->digest)];
        __builtin_prefetch(&table->slots[indexed == 0 ? table->slot_count : number_in(indexed)], 1);
    }
}

static void note_place(struct kw__use_table *table, struct kw__use_slot *slot, uint32_t number,
                       const struct kw__use *use)
{
    slot->has_place = (use->head.parts & (KW__USE_ADDRESS | KW__USE_PLACE)) != 0;
    if (slot->has_place) {
        struct kw__use_place *place = &table->places[number];
        place->has_address = (use->head.parts & KW__USE_ADDRESS) != 0;
        place->region_size = (uint8_t)use->place.size;
        if (place->has_address) {
            place->address = use->address;
        }
        if (use->place.size > 0) {
            memcpy(place->region, use->place.data, use->place.size);
        }
    }
}

static void count_network(struct kw__use_table *table, struct kw__use_slot *slot, uint32_t number,
                          const struct kw__use *use)
{
    struct kw__use_place *place = &table->places[number];
    if (!slot->has_networks) {
        slot->has_networks = true;
        place->addressed = 0;
        place->network_marks = 0;
    }
    place->addressed += use->times;
    place->network_marks += (int64_t)use->times * kw_network_mark(&use->address);
}

static bool is_between_scopes(uint8_t c)
{
    return c == ' ' || c == '(' || c == ')';
}

/* Where there is little room left for the codes of refusals, these come first. */
static void count_scopes(struct kw_usage *usage, struct kw__use_slot *slot, struct kw__use_cell cell,
                         const struct kw__use *use)
{
    struct kw_bytes rest = use->scopes;
    slot->has_lost_scopes |= (use->head.parts & KW__USE_MORE_SCOPES) != 0;
    while (rest.size > 0) {
        size_t size = 0;
        while (size < rest.size && !is_between_scopes(rest.data[size])) {
            size++;
        }
        struct kw_bytes scope = kw_bytes_of(rest.data, size);
        bool has_room = size <= sizeof cell.value && usage->tables[usage->active].cell_count < SCOPE_CELLS_MAX;
        if (size > 0 && has_room && !kw_bytes_equal(scope, KW_BYTES("AND")) && !kw_bytes_equal(scope, KW_BYTES("OR"))) {
            (void)add_text(usage, cell, KW_USAGE_SCOPE, scope);
        }
        slot->has_lost_scopes |= !has_room;
        rest = kw_bytes_skip(rest, size + 1);
    }
}

static void add_valid(struct kw_usage *usage, struct kw__use_slot *slot, uint32_t number, const struct kw__use *use,
                      int32_t hour)
{
    if (slot->hour != hour || slot->valid >= VALID_MAX) {
        spill(usage, slot, number);
        slot->hour = hour;
    }
    slot->valid += use->times;
    slot->cost += (uint64_t)use->head.cost * use->times;
    if ((use->head.parts & KW__USE_ADDRESS) != 0) {
        count_network(&usage->tables[usage->active], slot, number, use);
    }
    if (use->head.at_ms >= slot->at_ms) {
        slot->at_ms = use->head.at_ms;
        note_place(&usage->tables[usage->active], slot, number, use);
    }
}

/* Most records are of the hour of the one before. */
static int32_t hour_of(struct kw_usage *usage, int64_t at_ms)
{
    if (at_ms < usage->hour_ms || at_ms - usage->hour_ms >= KW_HOUR_MS) {
        usage->hour_ms = kw_usage_hour(at_ms);
        usage->hour = (int32_t)(usage->hour_ms / KW_HOUR_MS);
    }
    return usage->hour;
}

/* Adds to the cell that was the last of its kind, if it is the same. */
static bool add_again(struct kw__use_table *table, uint32_t last, const struct kw__use_cell *cell, int64_t amount)
{
    if (last == 0 || table->cells[last - 1].subject != cell->subject || table->cells[last - 1].hour != cell->hour) {
        return false;
    }
    table->cells[last - 1].amount += amount;
    return true;
}

/* A good verification of a key that there is no slot for. */
static void add_valid_of_project(struct kw_usage *usage, struct kw__use_cell cell, int64_t cost)
{
    struct kw__use_table *table = &usage->tables[usage->active];
    if (!add_again(table, table->last_code, &cell, cell.amount)) {
        table->last_code = add_code(usage, cell, KW_CODE_NONE);
    }
    if (!add_again(table, table->last_cost, &cell, cost)) {
        cell.amount = cost;
        table->last_cost = add_cost(usage, cell);
    }
}

void kw__use_add(struct kw_usage *usage, const struct kw__use *use)
{
    struct kw__use_cell cell = {.amount = use->times, .hour = hour_of(usage, use->head.at_ms)};
    bool is_known = (use->head.parts & KW__USE_KNOWN) != 0;
    struct kw__use_slot *slot = is_known ? slot_of(usage, use, &cell.subject) : NULL;
    __atomic_fetch_add(&usage->counted, use->times, __ATOMIC_RELAXED);
    if (slot == NULL) {
        cell.subject = KW__SUBJECT_PROJECT | use->head.project;
        __atomic_fetch_add(&usage->unattributed, is_known ? use->times : 0, __ATOMIC_RELAXED);
    }
    if (slot != NULL && use->head.code == KW_CODE_NONE) {
        add_valid(usage, slot, cell.subject, use, cell.hour);
        count_scopes(usage, slot, cell, use);
    } else if (use->head.code == KW_CODE_NONE) {
        add_valid_of_project(usage, cell, (int64_t)use->head.cost * use->times);
    } else {
        (void)add_code(usage, cell, use->head.code);
    }
    if (use->endpoint.size > 0) {
        (void)add_text(usage, cell, KW_USAGE_ENDPOINT, use->endpoint);
    }
    if (use->place.size > 0) {
        (void)add_text(usage, cell, KW_USAGE_REGION, kw_bytes_of(use->place.data, 2));
    }
}
