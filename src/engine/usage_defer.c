#include "engine/usage_defer.h"

#include "base/bytes.h"
#include "core/scope.h"

/* What was gathered becomes pieces, which the store keeps as they are. */

#define AHEAD 8                          /* slots before their turn, when their entry is asked for */
#define KEYS_EACH 128                    /* of a part, of one table, as a rule: few writes, and none that takes long */
#define SUBJECTS_MAX 4                   /* rows that one amount may become */
#define SLOT_ROWS (2 * SUBJECTS_MAX + 3) /* two of these are told of all subjects, three of the key alone */

struct writing {
    struct kw_engine *engine;
    const struct kw__use_table *table;
    struct kw__deferral *deferral;
    size_t begin; /* of the piece that is being written, in `bytes` */
    size_t rows, keys;
    uint32_t part;
    uint16_t project;     /* that the piece was last told of; KW_PROJECT_NONE: none */
    struct kw_id key;     /* the same */
    struct kw_id subject; /* whose the next entry is; none: its project's alone */
    uint64_t codes;
};

/* Always the same of a key, but that a table of few keys has few parts: of each 2^n only the first. */
static size_t part_of(const struct kw__deferral *deferral, const uint8_t *digest)
{
    size_t part = (digest[16] | (size_t)digest[17] << 8) % KW__DEFER_PARTS;
    return part >> deferral->part_shift << deferral->part_shift;
}

void kw__defer_begin(struct kw_usage *usage, const struct kw__use_table *table)
{
    struct kw__deferral *deferral = usage->deferral;
    uint32_t begins[KW__DEFER_PARTS + 1] = {0};
    deferral->part_shift = 0;
    while ((table->slot_count << deferral->part_shift) / KW__DEFER_PARTS < KEYS_EACH / 2 &&
           1U << deferral->part_shift < KW__DEFER_PARTS) {
        deferral->part_shift++;
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        begins[part_of(deferral, table->slots[i].digest) + 1]++;
        deferral->first_cell[i] = KW__DEFER_NONE;
    }
    deferral->first_cell[KW__USAGE_SLOTS] = KW__DEFER_NONE;
    for (size_t i = 1; i <= KW__DEFER_PARTS; i++) {
        begins[i] += begins[i - 1];
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        deferral->order[begins[part_of(deferral, table->slots[i].digest)]++] = (uint32_t)i;
    }
    for (size_t i = table->cell_count; i-- > 0;) {
        uint32_t subject = table->cells[i].subject;
        uint32_t *first =
            &deferral->first_cell[(subject & KW__SUBJECT_PROJECT) != 0 ? KW__USAGE_SLOTS : (size_t)subject];
        deferral->next_cell[i] = *first;
        *first = (uint32_t)i;
    }
}

/* --- entries; there is room for them --- */

static void put_byte(struct writing *writing, uint8_t byte)
{
    writing->deferral->bytes[writing->deferral->size++] = byte;
}

static void put_number(struct writing *writing, uint64_t number)
{
    for (; number > 0x7f; number >>= 7) {
        put_byte(writing, (uint8_t)(number | 0x80));
    }
    put_byte(writing, (uint8_t)number);
}

static void put_bytes(struct writing *writing, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(writing->deferral->bytes + writing->deferral->size, data, size);
        writing->deferral->size += size;
    }
}

static void end_piece(struct writing *writing)
{
    struct kw__deferral *deferral = writing->deferral;
    if (deferral->size > writing->begin) {
        deferral->pieces[deferral->count++] = (struct kw_store_deferred){
            .part = writing->part,
            .bytes = kw_bytes_of(deferral->bytes + writing->begin, deferral->size - writing->begin)};
    }
    writing->begin = deferral->size;
}

/* Whether as much as one more entry may need fits what is written at once. */
static bool has_room(const struct writing *writing)
{
    return writing->deferral->size + KW__DEFER_HEAD_MAX + KW__DEFER_ENTRY_MAX <= KW__DEFER_BYTES &&
           writing->deferral->count + 2 <= KW__DEFER_PIECES;
}

/* Room in the piece for an entry of so many rows, and whose it is. False: the project is gone. */
static bool begin_entry(struct writing *writing, uint32_t part, uint16_t project, size_t rows)
{
    size_t size = writing->deferral->size - writing->begin;
    bool is_full = size + KW__DEFER_HEAD_MAX + KW__DEFER_ENTRY_MAX > KW_STORE_DEFERRED_MAX ||
                   writing->rows + rows > KW__DEFER_ROWS_MAX || writing->keys == KW__DEFER_KEYS_MAX;
    if (part != writing->part || is_full) {
        end_piece(writing);
        writing->part = part;
    }
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name = {NULL, 0};
    bool is_new = writing->deferral->size == writing->begin;
    bool is_told =
        !is_new && writing->project == project && (!kw_id_is_none(&writing->subject) || kw_id_is_none(&writing->key));
    if (!is_told && !kw__project_name(writing->engine, project, memory, &name)) {
        return false;
    }
    if (is_new) {
        put_byte(writing, KW__DEFER_FORM);
        writing->rows = writing->keys = 0;
    }
    if (!is_told) {
        put_byte(writing, KW__DEFER_PROJECT);
        put_byte(writing, (uint8_t)name.size);
        put_bytes(writing, name.data, name.size);
        writing->project = project;
        writing->key = (struct kw_id){{0}};
    }
    if (!kw_id_equal(&writing->key, &writing->subject)) {
        put_byte(writing, KW__DEFER_KEY);
        put_bytes(writing, writing->subject.bytes, sizeof writing->subject.bytes);
        writing->key = writing->subject;
        writing->keys++;
    }
    writing->rows += rows;
    return true;
}

static void put_count(struct writing *writing, uint8_t dimension, int32_t hour, struct kw_bytes value, int64_t amount)
{
    put_byte(writing, KW__DEFER_COUNT);
    put_byte(writing, dimension);
    put_number(writing, (uint64_t)(uint32_t)hour);
    put_number(writing, (uint64_t)amount);
    put_byte(writing, (uint8_t)value.size);
    put_bytes(writing, value.data, value.size);
}

static void put_use(struct writing *writing, const struct kw__use_slot *slot, const struct kw__use_place *place)
{
    uint8_t flags = (slot->has_networks ? KW__DEFER_NETWORKS : 0) | (slot->has_lost_scopes ? KW__DEFER_LOST_SCOPES : 0);
    flags |= slot->has_place ? KW__DEFER_PLACE | (place->has_address ? KW__DEFER_ADDRESS : 0) : 0;
    put_byte(writing, KW__DEFER_USE);
    put_number(writing, (uint64_t)(uint32_t)slot->hour);
    put_number(writing, slot->valid);
    put_number(writing, slot->cost);
    put_number(writing, (uint64_t)slot->at_ms);
    put_byte(writing, flags);
    if (slot->has_networks) {
        put_number(writing, place->addressed);
        put_number(writing, (uint64_t)place->network_marks);
    }
    if ((flags & KW__DEFER_PLACE) != 0) {
        put_byte(writing, place->region_size);
        put_bytes(writing, place->region, place->region_size);
    }
    if ((flags & KW__DEFER_ADDRESS) != 0) {
        put_bytes(writing, place->address.bytes, sizeof place->address.bytes);
    }
}

/* --- the table --- */

static struct kw_digest digest_of(const struct kw__use_slot *slot)
{
    struct kw_digest digest = {.size = KW_DIGEST_INDEX_SIZE};
    memcpy(digest.bytes, slot->digest, KW_DIGEST_INDEX_SIZE);
    return digest;
}

/* Inside of a read section; NULL: the key is not there any more. */
/* Inside of a read section; NULL: the key is not there any more. */
static const struct kw_entry *entry_of(const struct kw_engine *engine, const struct kw__use_slot *slot)
{
    struct kw_digest wanted = digest_of(slot);
    const struct kw_entry *entry = kw_index_find(engine->index, &wanted);
    return entry != NULL && (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0 ? entry : NULL;
}

/*
 * Slots come in the order of their parts, so nothing of the next one is near: what is known of it, its place in the
 * index and its entry are asked for one after the other, each while others come.
 */
static void fetch_ahead(const struct writing *writing, size_t at)
{
    const struct kw__use_table *table = writing->table;
    const uint32_t *order = writing->deferral->order;
    const struct kw_index *index = writing->engine->index;
    if (at + 3 * AHEAD < table->slot_count) {
        uint32_t number = order[at + 3 * AHEAD];
        __builtin_prefetch(&table->slots[number]);
        __builtin_prefetch(&table->places[number]);
        __builtin_prefetch(&writing->deferral->first_cell[number]);
    }
    if (at + 2 * AHEAD < table->slot_count) {
        struct kw_digest digest = digest_of(&table->slots[order[at + 2 * AHEAD]]);
        kw_index_read_begin();
        kw_index_prefetch_bucket(index, &digest);
        kw_index_read_end();
    }
    if (at + AHEAD < table->slot_count) {
        struct kw_digest digest = digest_of(&table->slots[order[at + AHEAD]]);
        kw_index_read_begin();
        (void)kw_index_expect(index, &digest, false);
        kw_index_read_end();
    }
}

static void find_subject(struct writing *writing, const struct kw__use_slot *slot)
{
    kw_index_read_begin();
    const struct kw_entry *entry = entry_of(writing->engine, slot);
    writing->subject = (struct kw_id){{0}};
    if (entry != NULL) {
        writing->subject = kw_entry_id(entry);
    }
    kw_index_read_end();
}

static void add_slot(struct writing *writing, const struct kw__use_slot *slot, const struct kw__use_place *place)
{
    if (slot->valid == 0 && slot->at_ms == 0) {
        return; /* it is there for its cells */
    }
    if (!begin_entry(writing, (uint32_t)part_of(writing->deferral, slot->digest), slot->project, SLOT_ROWS)) {
        __atomic_fetch_add(&writing->engine->usage->dropped, slot->valid, __ATOMIC_RELAXED);
        return;
    }
    put_use(writing, slot, place);
    writing->codes += slot->valid;
}

/* Those of the key's own scopes that cover one that was asked for; false: there is no room for all of them, and none is
 * there. */
static bool add_scopes(struct writing *writing, const struct kw__use_cell *cell, const struct kw__use_slot *slot)
{
    struct kw_record record = {.version = 0};
    struct kw_bytes granted;
    const struct writing before = *writing;
    size_t size = writing->deferral->size;
    size_t count = writing->deferral->count;
    bool is_whole = true;
    kw_index_read_begin();
    const struct kw_entry *entry = entry_of(writing->engine, slot);
    bool is_there = entry != NULL && kw_record_decode(kw_entry_record(entry), &record) == KW_OK;
    struct kw_bytes rest = is_there ? record.scopes.packed : (struct kw_bytes){NULL, 0};
    while (kw_list_next(&rest, &granted) && is_whole) {
        bool is_meant = kw_scope_covers(granted, kw_bytes_of(cell->value, cell->size));
        is_whole = !is_meant || has_room(writing);
        if (is_meant && is_whole &&
            begin_entry(writing, (uint32_t)part_of(writing->deferral, slot->digest), slot->project, 1)) {
            put_count(writing, KW_USAGE_SCOPE, cell->hour, granted, cell->amount);
        }
    }
    kw_index_read_end();
    if (!is_whole) {
        *writing = before;
        writing->deferral->size = size;
        writing->deferral->count = count;
    }
    return is_whole;
}

static bool add_cell(struct writing *writing, uint32_t number)
{
    const struct kw__use_cell *cell = &writing->table->cells[number];
    bool is_projects = (cell->subject & KW__SUBJECT_PROJECT) != 0;
    bool is_code = cell->dimension == KW_USAGE_CODE;
    const struct kw__use_slot *slot = is_projects ? NULL : &writing->table->slots[cell->subject];
    uint16_t project = slot == NULL ? (uint16_t)(cell->subject & ~KW__SUBJECT_PROJECT) : slot->project;
    uint32_t part = slot == NULL ? KW__DEFER_PARTS : (uint32_t)part_of(writing->deferral, slot->digest);
    if (cell->dimension == KW_USAGE_SCOPE && slot != NULL) {
        return add_scopes(writing, cell, slot);
    }
    if (!begin_entry(writing, part, project, SUBJECTS_MAX)) {
        __atomic_fetch_add(&writing->engine->usage->dropped, is_code ? (uint64_t)cell->amount : 0, __ATOMIC_RELAXED);
        return true;
    }
    struct kw_bytes value = is_code ? kw_bytes_of_text(kw_code_info((enum kw_code)cell->value[0])->name)
                                    : kw_bytes_of(cell->value, cell->size);
    bool is_metric = cell->dimension == KW_USAGE_METRIC;
    put_count(writing, cell->dimension, cell->hour, value,
              is_metric ? kw__use_amount_of((uint64_t)cell->amount) : cell->amount);
    writing->codes += is_code ? (uint64_t)cell->amount : 0;
    return true;
}

/* The cells of one subject, from `*cell` on; false: there was no more room. */
static bool add_cells(struct writing *writing, uint32_t *cell)
{
    while (*cell != KW__DEFER_NONE) {
        if (!has_room(writing) || !add_cell(writing, *cell)) {
            return false;
        }
        *cell = writing->deferral->next_cell[*cell];
    }
    return true;
}

/* `slot_at` counts slots in their order, and behind the last one stand the cells of projects; `cell_at` is 0 for the
 * slot itself, else one more than the number of its next cell. True: all of it. */
static bool add_from(struct writing *writing, size_t *slot_at, size_t *cell_at)
{
    const struct kw__use_table *table = writing->table;
    const struct kw__deferral *deferral = writing->deferral;
    bool goes_on = true;
    while (goes_on && *slot_at <= table->slot_count) {
        bool is_slot = *slot_at < table->slot_count;
        uint32_t number = is_slot ? deferral->order[*slot_at] : KW__USAGE_SLOTS;
        uint32_t cell = *cell_at == 0 ? deferral->first_cell[number] : (uint32_t)*cell_at - 1;
        writing->subject = (struct kw_id){{0}};
        if (!has_room(writing)) {
            return false;
        }
        if (is_slot) {
            fetch_ahead(writing, *slot_at);
            find_subject(writing, &table->slots[number]);
        }
        if (is_slot && *cell_at == 0) {
            add_slot(writing, &table->slots[number], &table->places[number]);
        }
        goes_on = add_cells(writing, &cell);
        *cell_at = goes_on ? 0 : (size_t)cell + 1;
        *slot_at += goes_on ? 1 : 0;
    }
    return goes_on;
}

enum kw_status kw__defer_part(struct kw_engine *engine, const struct kw__use_table *table, bool *more_out,
                              uint64_t *codes_out)
{
    struct kw_usage *usage = engine->usage;
    struct kw__deferral *deferral = usage->deferral;
    struct writing writing = {.engine = engine, .table = table, .deferral = deferral, .part = KW__DEFER_NONE};
    size_t slot_at = usage->slot_at;
    size_t cell_at = usage->cell_at;
    deferral->size = deferral->count = 0;
    bool is_all = add_from(&writing, &slot_at, &cell_at);
    end_piece(&writing);
    uint64_t waiting = 0;
    enum kw_status status = engine->store->ops->usage_defer(engine->store, deferral->pieces, deferral->count, &waiting);
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        usage->slot_at = slot_at;
        usage->cell_at = cell_at;
        usage->knows_deferred = status == KW_OK;
    }
    if (status == KW_OK) {
        __atomic_store_n(&usage->deferred, waiting, __ATOMIC_RELAXED);
    }
    *more_out = !is_all;
    *codes_out = writing.codes;
    return status;
}
