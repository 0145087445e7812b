#include "engine/usage_defer.h"

#include "base/bytes.h"
#include "core/scope.h"

/* What was gathered becomes pieces, which the store keeps as they are. */

#define AHEAD 8 /* slots before their turn, when their entry is asked for */

struct writing {
    struct kw_engine *engine;
    const struct kw__use_table *table;
    struct kw__deferral *deferral;
    /* Of the slot whose turn it is, inside of a read section. */
    const struct kw_entry *entry; /* NULL: the key is not there any more */
    struct kw_id subject;         /* its id, or none: what follows is its project's alone */
};

/* A table of few keys has few parts: of each 2^n only the first. */
static uint32_t part_of(const struct kw_usage *usage, const uint8_t *digest)
{
    unsigned shift = usage->deferral->part_shift;
    return kw__defer_part_of(usage, digest) >> shift << shift;
}

void kw__defer_begin(struct kw_usage *usage, const struct kw__use_table *table)
{
    struct kw__deferral *deferral = usage->deferral;
    uint32_t begins[KW__DEFER_PARTS + 1] = {0};
    deferral->part_shift = kw__defer_shift(table->slot_count, KW__DEFER_PARTS);
    for (size_t i = 0; i < table->slot_count; i++) {
        begins[part_of(usage, table->slots[i].digest) + 1]++;
        deferral->first_cell[i] = KW__DEFER_NONE;
    }
    deferral->first_cell[KW__USAGE_SLOTS] = KW__DEFER_NONE;
    for (size_t i = 1; i <= KW__DEFER_PARTS; i++) {
        begins[i] += begins[i - 1];
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        deferral->order[begins[part_of(usage, table->slots[i].digest)]++] = (uint32_t)i;
    }
    for (size_t i = table->cell_count; i-- > 0;) {
        uint32_t subject = table->cells[i].subject;
        uint32_t *first =
            &deferral->first_cell[(subject & KW__SUBJECT_PROJECT) != 0 ? KW__USAGE_SLOTS : (size_t)subject];
        deferral->next_cell[i] = *first;
        *first = (uint32_t)i;
    }
}

static struct kw_digest digest_of(const struct kw__use_slot *slot)
{
    struct kw_digest digest = {.size = KW_DIGEST_INDEX_SIZE};
    memcpy(digest.bytes, slot->digest, KW_DIGEST_INDEX_SIZE);
    return digest;
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
        kw_index_prefetch_bucket(index, &digest);
    }
    if (at + AHEAD < table->slot_count) {
        struct kw_digest digest = digest_of(&table->slots[order[at + AHEAD]]);
        (void)kw_index_expect(index, &digest, false);
    }
}

static void find_subject(struct writing *writing, const struct kw__use_slot *slot)
{
    struct kw_digest wanted = digest_of(slot);
    const struct kw_entry *entry = kw_index_find(writing->engine->index, &wanted);
    bool is_there = entry != NULL && (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0;
    writing->entry = is_there ? entry : NULL;
    writing->subject = is_there ? kw_entry_id(entry) : (struct kw_id){{0}};
}

static bool begin_entry(const struct writing *writing, const struct kw__use_slot *slot, size_t rows)
{
    return kw__pieces_begin_entry(writing->engine, &writing->deferral->pieces,
                                  part_of(writing->engine->usage, slot->digest), slot->project, &writing->subject,
                                  rows);
}

static void add_slot(const struct writing *writing, const struct kw__use_slot *slot, const struct kw__use_place *place)
{
    if (slot->valid == 0 && slot->at_ms == 0) {
        return; /* it is there for its cells */
    }
    if (!begin_entry(writing, slot, KW__SLOT_ROWS)) {
        __atomic_fetch_add(&writing->engine->usage->dropped, slot->valid, __ATOMIC_RELAXED);
        return;
    }
    kw__pieces_put_use(&writing->deferral->pieces, slot, place);
}

/* Those of the key's own scopes that cover one that was asked for; false: there is no room for all of them, and none is
 * there. */
static bool add_scopes(const struct writing *writing, const struct kw__use_cell *cell, const struct kw__use_slot *slot)
{
    struct kw__pieces *pieces = &writing->deferral->pieces;
    const struct kw__pieces_at before = pieces->at;
    struct kw_record record = {.version = 0};
    struct kw_store_usage usage = {
        .bucket_start_ms = (int64_t)cell->hour * KW_HOUR_MS, .amount = cell->amount, .dimension = KW_USAGE_SCOPE};
    bool is_there = writing->entry != NULL && kw_record_decode(kw_entry_record(writing->entry), &record) == KW_OK;
    struct kw_bytes rest = is_there ? record.scopes.packed : (struct kw_bytes){NULL, 0};
    bool is_whole = true;
    while (kw_list_next(&rest, &usage.value) && is_whole) {
        bool is_meant = kw_scope_covers(usage.value, kw_bytes_of(cell->value, cell->size));
        is_whole = !is_meant || kw__pieces_have_room(pieces);
        if (is_meant && is_whole && begin_entry(writing, slot, 1)) {
            kw__pieces_put_count(pieces, &usage);
        }
    }
    pieces->at = is_whole ? pieces->at : before;
    return is_whole;
}

static bool add_cell(const struct writing *writing, uint32_t number)
{
    const struct kw__use_cell *cell = &writing->table->cells[number];
    bool is_projects = (cell->subject & KW__SUBJECT_PROJECT) != 0;
    bool is_code = cell->dimension == KW_USAGE_CODE;
    bool is_metric = cell->dimension == KW_USAGE_METRIC;
    const struct kw__use_slot *slot = is_projects ? NULL : &writing->table->slots[cell->subject];
    struct kw__pieces *pieces = &writing->deferral->pieces;
    struct kw_usage *usage = writing->engine->usage;
    if (cell->dimension == KW_USAGE_SCOPE && slot != NULL) {
        return add_scopes(writing, cell, slot);
    }
    bool is_anybodys = slot != NULL ? begin_entry(writing, slot, KW__COUNT_ROWS)
                                    : kw__pieces_begin_entry(writing->engine, pieces, KW__DEFER_PARTS,
                                                             (uint16_t)(cell->subject & ~KW__SUBJECT_PROJECT),
                                                             &writing->subject, KW__COUNT_ROWS);
    if (!is_anybodys) {
        __atomic_fetch_add(&usage->dropped, is_code ? (uint64_t)cell->amount : 0, __ATOMIC_RELAXED);
        return true;
    }
    struct kw_store_usage count = {
        .value = is_code ? kw_bytes_of_text(kw_code_info((enum kw_code)cell->value[0])->name)
                         : kw_bytes_of(cell->value, cell->size),
        .bucket_start_ms = (int64_t)cell->hour * KW_HOUR_MS,
        .amount = is_metric ? kw__use_amount_of((uint64_t)cell->amount) : cell->amount,
        .dimension = cell->dimension,
    };
    kw__pieces_put_count(pieces, &count);
    pieces->at.codes += is_code ? (uint64_t)cell->amount : 0;
    return true;
}

/* The cells of one subject, from `*cell` on; false: there was no more room. */
static bool add_cells(const struct writing *writing, uint32_t *cell)
{
    while (*cell != KW__DEFER_NONE) {
        if (!kw__pieces_have_room(&writing->deferral->pieces) || !add_cell(writing, *cell)) {
            return false;
        }
        *cell = writing->deferral->next_cell[*cell];
    }
    return true;
}

/* A slot and its cells, or behind the last slot the cells of projects; false: there was no more room. */
static bool add_subject(struct writing *writing, size_t slot_at, size_t *cell_at)
{
    const struct kw__use_table *table = writing->table;
    bool is_slot = slot_at < table->slot_count;
    uint32_t number = is_slot ? writing->deferral->order[slot_at] : KW__USAGE_SLOTS;
    uint32_t cell = *cell_at == 0 ? writing->deferral->first_cell[number] : (uint32_t)*cell_at - 1;
    kw_index_read_begin();
    writing->subject = (struct kw_id){{0}};
    if (is_slot) {
        fetch_ahead(writing, slot_at);
        find_subject(writing, &table->slots[number]);
    }
    if (is_slot && *cell_at == 0) {
        add_slot(writing, &table->slots[number], &table->places[number]);
    }
    bool is_all = add_cells(writing, &cell);
    kw_index_read_end();
    *cell_at = is_all ? 0 : (size_t)cell + 1;
    return is_all;
}

/* `slot_at` counts slots in their order, and behind the last one stand the cells of projects; `cell_at` is 0 for the
 * slot itself, else one more than the number of its next cell. True: all of it. */
static bool add_from(struct writing *writing, size_t *slot_at, size_t *cell_at)
{
    bool goes_on = true;
    while (goes_on && *slot_at <= writing->table->slot_count) {
        goes_on = kw__pieces_have_room(&writing->deferral->pieces) && add_subject(writing, *slot_at, cell_at);
        *slot_at += goes_on ? 1 : 0;
    }
    return goes_on;
}

enum kw_status kw__defer_part(struct kw_engine *engine, const struct kw__use_table *table, bool *more_out,
                              uint64_t *codes_out)
{
    struct kw_usage *usage = engine->usage;
    struct kw__pieces *pieces = &usage->deferral->pieces;
    struct writing writing = {.engine = engine, .table = table, .deferral = usage->deferral};
    size_t slot_at = usage->slot_at;
    size_t cell_at = usage->cell_at;
    kw__pieces_clear(pieces);
    *more_out = !add_from(&writing, &slot_at, &cell_at);
    *codes_out = pieces->at.codes;
    enum kw_status status = kw__pieces_write(engine, pieces);
    if (status == KW_OK || status == KW_E_UNCERTAIN) {
        usage->slot_at = slot_at;
        usage->cell_at = cell_at;
    }
    return status;
}
