#include "base/bytes.h"
#include "engine/pool.h"
#include "engine/table.h"
#include "engine/usage_defer.h"

/* What entries count by themselves (usage_word.h), and the origins that it is counted for. `busy` is held throughout.
 */

#define TOGETHER 32      /* keys whose reads of the table overlap */
#define BUCKETS_AHEAD 2  /* before their turn, when their entries are asked for */
#define HELD_KEYS 128    /* until others have a turn */
#define HELD_PARTS 4096  /* the same, where there is little to be found */
#define LOOKED_AT_EACH 4 /* so many times the keys that are wanted are looked at, at most */

/* --- origins --- */

enum kw_status kw__origins_reserve(struct kw_usage *usage)
{
    uint32_t chunk = usage->origin_end / KW__ORIGINS_EACH;
    if (usage->origin_end - usage->origin_made > KW__ORIGINS_EACH / 2 || chunk == KW__ORIGIN_CHUNKS) {
        return KW_OK;
    }
    struct kw__origin_chunk *origins = kw_pages_map(sizeof *origins);
    if (origins == NULL) {
        return KW_E_MEMORY;
    }
    kw__usage_hold(usage);
    __atomic_store_n(&usage->origins[chunk], origins, __ATOMIC_RELEASE);
    usage->origin_end += KW__ORIGINS_EACH;
    usage->origin_made += usage->origin_made == 0 ? 1 : 0; /* 0 is none */
    kw__usage_let_go(usage);
    return KW_OK;
}

void kw__origins_free(struct kw_usage *usage)
{
    for (size_t i = 0; i < KW__ORIGIN_CHUNKS; i++) {
        kw_pages_unmap(usage->origins[i], sizeof(struct kw__origin_chunk));
    }
}

static struct kw__origin_link *link_of(const struct kw_usage *usage, uint32_t number)
{
    return &usage->origins[number / KW__ORIGINS_EACH]->links[number % KW__ORIGINS_EACH];
}

static uint32_t *head_of(const struct kw_usage *usage, const struct kw__origin *origin)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < KW_COUNT_OF(origin->words); i++) {
        hash = (hash ^ __atomic_load_n(&origin->words[i], __ATOMIC_RELAXED)) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return &usage->origin_heads[hash % KW__ORIGIN_HEADS];
}

/* One that is in no chain; 0 where there is none left. */
static uint32_t take_origin(struct kw_usage *usage)
{
    uint32_t number = usage->origin_freed;
    if (number != 0) {
        usage->origin_freed = link_of(usage, number)->next;
        return number;
    }
    return usage->origin_made < usage->origin_end ? usage->origin_made++ : 0;
}

/* The origin of a use, for one entry more; 0 where there is no room for it. */
static uint32_t hold_origin(struct kw_usage *usage, const struct kw__use *use)
{
    struct kw__origin_text text = {.has_address = (use->head.parts & KW__USE_ADDRESS) != 0};
    struct kw__origin wanted;
    if (text.has_address) {
        memcpy(text.address, use->address.bytes, sizeof text.address);
    }
    if (use->place.size > 0) {
        memcpy(text.region, use->place.data, use->place.size);
    }
    memcpy(&wanted, &text, sizeof wanted);
    uint32_t *head = head_of(usage, &wanted);
    for (uint32_t number = *head; number != 0; number = link_of(usage, number)->next) {
        if (kw__origin_is(kw__origin_at(usage, number), &text)) {
            link_of(usage, number)->entries++;
            return number;
        }
    }
    uint32_t number = take_origin(usage);
    if (number != 0) {
        for (size_t i = 0; i < KW_COUNT_OF(wanted.words); i++) {
            __atomic_store_n(&kw__origin_at(usage, number)->words[i], wanted.words[i], __ATOMIC_RELAXED);
        }
        *link_of(usage, number) = (struct kw__origin_link){.next = *head, .entries = 1};
        *head = number;
    }
    return number;
}

static void let_go_origin(struct kw_usage *usage, uint32_t number)
{
    if (number == 0 || --link_of(usage, number)->entries > 0) {
        return;
    }
    uint32_t *at = head_of(usage, kw__origin_at(usage, number));
    while (*at != number) {
        at = &link_of(usage, *at)->next;
    }
    *at = link_of(usage, number)->next;
    link_of(usage, number)->next = usage->origin_freed;
    usage->origin_freed = number;
}

static void read_origin(const struct kw__origin *origin, struct kw__use *use)
{
    struct kw__origin_text text;
    uint64_t words[4];
    for (size_t i = 0; i < 4; i++) {
        words[i] = __atomic_load_n(&origin->words[i], __ATOMIC_RELAXED);
    }
    memcpy(&text, words, sizeof text);
    if (text.has_address) {
        use->head.parts |= KW__USE_ADDRESS;
        memcpy(use->address.bytes, text.address, sizeof use->address.bytes);
    }
    memcpy(use->texts[0], text.region, sizeof text.region);
    use->place = kw_bytes_of(use->texts[0], strnlen((const char *)text.region, sizeof text.region));
    use->head.parts |= use->place.size > 0 ? KW__USE_PLACE : 0;
}

/* --- words --- */

static bool is_signpost(const struct kw_entry *entry)
{
    return entry->project == KW_PROJECT_NONE;
}

/* What a key has left at a signpost counts for it where it is now. */
static const struct kw_entry *counting(const struct kw_usage *usage, const struct kw_entry *entry)
{
    struct kw_digest digest = {.size = KW_DIGEST_INDEX_SIZE};
    memcpy(digest.bytes, entry->digest, KW_DIGEST_INDEX_SIZE);
    const struct kw_entry *found = is_signpost(entry) ? kw_index_find(usage->index, &digest) : entry;
    return found == NULL ? entry : found;
}

static void make_use(const struct kw_usage *usage, const struct kw_entry *entry, uint64_t word, struct kw__use *use)
{
    uint32_t origin = kw__word_origin(word);
    use->head = (struct kw__use_head){
        .at_ms = usage->hours[kw__word_hour(word)] * KW_HOUR_MS + kw__word_ms(word),
        .cost = 1,
        .project = entry->project,
        .code = KW_CODE_NONE,
        .parts = KW__USE_KNOWN | ((word & KW__WORD_LOST) != 0 ? KW__USE_MORE_SCOPES : 0),
    };
    use->times = kw__word_count(word);
    use->place = use->endpoint = use->scopes = (struct kw_bytes){NULL, 0};
    memcpy(use->digest, entry->digest, sizeof use->digest);
    if (origin != 0) {
        read_origin(kw__origin_at(usage, origin), use);
    }
}

/* Takes what an entry has counted, which its word said; one that counts nothing stays. */
static uint64_t take_word(struct kw_entry *entry)
{
    uint64_t word = __atomic_load_n(&entry->uses, __ATOMIC_SEQ_CST);
    while (kw__word_count(word) != 0 && kw__word_count(word) != KW__WORD_CLOSED) {
        if (__atomic_compare_exchange_n(&entry->uses, &word, kw__word_taken(word), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            break;
        }
    }
    return word;
}

static bool has_counted(uint64_t taken)
{
    return kw__word_count(taken) != 0 && kw__word_count(taken) != KW__WORD_CLOSED;
}

/* What is left of a word that was taken. */
static uint64_t left_of(uint64_t taken)
{
    return has_counted(taken) ? kw__word_taken(taken) : taken;
}

/* Who is asked for no more, as what is erased, leaves its origin to others. */
static void forget_origin(struct kw_usage *usage, struct kw_entry *entry, uint64_t word)
{
    if (kw__word_origin(word) != 0 &&
        __atomic_compare_exchange_n(&entry->uses, &word, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        let_go_origin(usage, kw__word_origin(word));
    }
}

void kw__entry_settle(struct kw_usage *usage, const struct kw__use *use)
{
    struct kw_digest digest = {.size = KW_DIGEST_INDEX_SIZE};
    memcpy(digest.bytes, use->digest, KW_DIGEST_INDEX_SIZE);
    struct kw_entry *entry = kw_index_find(usage->index, &digest);
    bool is_stated = (use->head.parts & (KW__USE_ADDRESS | KW__USE_PLACE)) != 0;
    if (entry == NULL || (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0) {
        return;
    }
    uint64_t taken = take_word(entry);
    if (has_counted(taken)) {
        struct kw__use before;
        make_use(usage, entry, taken, &before);
        kw__use_add(usage, &before);
    }
    uint64_t word = left_of(taken);
    uint32_t origin = is_stated ? hold_origin(usage, use) : 0;
    if (kw__word_count(word) == KW__WORD_CLOSED || (is_stated && origin == 0)) {
        let_go_origin(usage, origin);
        return;
    }
    uint64_t turn = (word >> KW__WORD_TURN_AT) + 1;
    uint64_t settled = (uint64_t)origin << KW__WORD_ORIGIN_AT | turn << KW__WORD_TURN_AT;
    bool is_settled = __atomic_compare_exchange_n(&entry->uses, &word, settled, false, __ATOMIC_SEQ_CST,
                                                  __ATOMIC_SEQ_CST); /* else it was counted in between: another time */
    let_go_origin(usage, is_settled ? kw__word_origin(word) : origin);
}

/* --- the sweep --- */

/* What was taken, and of whom. */
struct taken {
    const struct kw_entry *entry;
    uint64_t word;
};

struct sweep {
    struct kw_engine *engine;
    struct kw_usage *usage;
    bool may_defer;
    struct taken waiting[TOGETHER]; /* for what they lead to */
    size_t count;                   /* of `waiting` */
    size_t taken, looked;           /* at, keys */
};

static struct kw__pieces *pieces_of(const struct sweep *sweep)
{
    return &sweep->usage->deferral->swept;
}

/* Whether these are more keys than are added to their counts at once. Then they need no place in the table: each comes
 * once, and what it has counted is as good as written. */
static bool is_deferring(const struct sweep *sweep)
{
    const struct kw_usage *usage = sweep->usage;
    return sweep->may_defer && usage->tables[usage->active].slot_count >= usage->at_once_max &&
           kw__pieces_have_room(pieces_of(sweep));
}

static void defer(const struct sweep *sweep, const struct kw_entry *entry, const struct kw__use *use)
{
    struct kw__pieces *pieces = pieces_of(sweep);
    bool is_begun = pieces->at.size > pieces->at.begin && pieces->at.keys < KW__DEFER_KEYS_EACH / 2;
    uint32_t part = is_begun ? pieces->at.part : kw__defer_part_of(sweep->usage, entry->digest);
    struct kw_id key = (kw_entry_flags(entry) & KW_ENTRY_ERASED) == 0 ? kw_entry_id(entry) : (struct kw_id){{0}};
    if (!kw__pieces_begin_entry(sweep->engine, pieces, part, use->head.project, &key, KW__ALIKE_ROWS)) {
        __atomic_fetch_add(&sweep->usage->dropped, use->times, __ATOMIC_RELAXED);
        return;
    }
    kw__pieces_put_alike(pieces, use);
}

static void defer_all(struct sweep *sweep)
{
    struct kw__use use;
    uint64_t counted = 0;
    for (size_t i = 0; i < sweep->count; i++) {
        make_use(sweep->usage, sweep->waiting[i].entry, sweep->waiting[i].word, &use);
        counted += use.times;
        if (kw__pieces_have_room(pieces_of(sweep))) {
            defer(sweep, sweep->waiting[i].entry, &use);
        } else {
            kw__use_add(sweep->usage, &use);
            counted -= use.times;
        }
    }
    __atomic_fetch_add(&sweep->usage->counted, counted, __ATOMIC_RELAXED);
}

static void tabulate_all(struct sweep *sweep)
{
    struct kw__use uses[TOGETHER];
    for (size_t i = 0; i < sweep->count; i++) {
        make_use(sweep->usage, sweep->waiting[i].entry, sweep->waiting[i].word, &uses[i]);
        kw__use_prefetch_index(sweep->usage, &uses[i]);
    }
    for (size_t i = 0; i < sweep->count; i++) {
        kw__use_prefetch_slot(sweep->usage, &uses[i]);
    }
    for (size_t i = 0; i < sweep->count; i++) {
        kw__use_add(sweep->usage, &uses[i]);
    }
}

static void add_all(struct sweep *sweep)
{
    if (is_deferring(sweep)) {
        defer_all(sweep);
    } else {
        tabulate_all(sweep);
    }
    sweep->taken += sweep->count;
    sweep->count = 0;
}

/* Its origin and its id are read when others have been taken, too. */
static void wait_for(struct sweep *sweep, const struct kw_entry *entry, uint64_t word)
{
    uint32_t origin = kw__word_origin(word);
    if (origin != 0) {
        __builtin_prefetch(kw__origin_at(sweep->usage, origin));
    }
    const uint8_t *id = kw_entry_record(entry).data + KW_RECORD_ID_AT;
    __builtin_prefetch(id);
    __builtin_prefetch(id + sizeof(struct kw_id) - 1);
    sweep->waiting[sweep->count++] = (struct taken){.entry = counting(sweep->usage, entry), .word = word};
}

static void fetch_bucket(const struct kw_bucket *bucket)
{
    for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
        const struct kw_entry *entry = kw_table_entry(__atomic_load_n(&bucket->slots[i], __ATOMIC_RELAXED));
        if (entry == NULL) {
            return;
        }
        __builtin_prefetch(entry);
        __builtin_prefetch(&entry->uses);
    }
}

static void take_bucket(struct sweep *sweep, const struct kw_bucket *bucket)
{
    for (size_t i = 0; i < KW_TABLE_SLOTS; i++) {
        struct kw_entry *entry = kw_table_entry(__atomic_load_n(&bucket->slots[i], __ATOMIC_ACQUIRE));
        if (entry == NULL) {
            return;
        }
        sweep->looked++;
        uint64_t word = take_word(entry);
        if (has_counted(word)) {
            wait_for(sweep, entry, word);
        }
        if (is_signpost(entry) || (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0) {
            forget_origin(sweep->usage, entry, left_of(word));
        }
        if (sweep->count == TOGETHER) {
            add_all(sweep);
        }
    }
}

/* All whose place is in that part: where the last bucket is full, they go on in those behind it. */
static void take_part(struct sweep *sweep, const struct kw_table *table, size_t part)
{
    size_t first = part * KW_TABLE_PART;
    bool is_full = true;
    for (size_t i = 0; i < KW_TABLE_PART || (is_full && i <= table->mask); i++) {
        const struct kw_bucket *bucket = &table->buckets[(first + i) & table->mask];
        fetch_bucket(&table->buckets[(first + i + BUCKETS_AHEAD) & table->mask]);
        take_bucket(sweep, bucket);
        is_full = __atomic_load_n(&bucket->slots[KW_TABLE_SLOTS - 1], __ATOMIC_RELAXED) != 0;
    }
}

static void take_parts(struct sweep *sweep, const struct kw_table *table, uint64_t passed_until)
{
    struct kw_usage *usage = sweep->usage;
    size_t taken_until = sweep->taken + HELD_KEYS;
    for (size_t parts = 0; parts < HELD_PARTS && sweep->taken < taken_until && usage->parts_passed < passed_until;
         parts++) {
        size_t part = usage->part_at;
        if (__atomic_load_n(&table->marks[part], __ATOMIC_RELAXED) != 0) {
            __atomic_store_n(&table->marks[part], 0, __ATOMIC_SEQ_CST);
            take_part(sweep, table, part);
        }
        usage->part_at = part + 1 < kw_table_parts(table) ? part + 1 : 0;
        usage->parts_passed++;
    }
    add_all(sweep);
}

/* A table that has grown is looked through from its beginning: all of it is marked. */
static void follow_table(struct kw_usage *usage, const struct kw_table *table)
{
    if (usage->part_count != kw_table_parts(table)) {
        usage->part_count = kw_table_parts(table);
        usage->part_at = 0;
        usage->passed_once_at = usage->parts_passed + usage->part_count;
    }
}

/* Of few keys there are few parts, as in a table (usage_defer.c), so that what one key counts comes together. */
static void join_parts(const struct sweep *sweep, uint64_t passed)
{
    struct kw__pieces *pieces = pieces_of(sweep);
    uint64_t parts = passed * KW__DEFER_PARTS / sweep->usage->part_count;
    unsigned shift = kw__defer_shift(sweep->taken, parts > 0 ? parts : 1);
    kw__pieces_end(pieces);
    for (size_t i = 0; i < pieces->at.count; i++) {
        pieces->items[i].part = pieces->items[i].part >> shift << shift;
    }
}

void kw__usage_sweep(struct kw_engine *engine, size_t most, bool may_defer)
{
    struct kw_usage *usage = engine->usage;
    struct sweep sweep = {.engine = engine, .usage = usage, .may_defer = may_defer};
    uint64_t began = usage->parts_passed;
    bool goes_on = true;
    while (goes_on) {
        kw__usage_hold(usage);
        kw_index_read_begin();
        const struct kw_table *table = kw_index_table(usage->index);
        follow_table(usage, table);
        take_parts(&sweep, table, began + usage->part_count);
        kw_index_read_end();
        goes_on = sweep.taken < most && sweep.looked < LOOKED_AT_EACH * most &&
                  usage->parts_passed < began + usage->part_count &&
                  (pieces_of(&sweep)->at.size == 0 || kw__pieces_have_room(pieces_of(&sweep)));
        kw__usage_let_go(usage);
    }
    join_parts(&sweep, usage->parts_passed - began);
}

/*
 * From now on entries count in the hour of that time. Two hours are told apart in a word, so that all which was counted
 * in the one before the last must have been taken.
 */
void kw__usage_turn_hour(struct kw_usage *usage, int64_t now_ms)
{
    uint64_t hour_now = usage->hour_now;
    int64_t hour = kw_usage_hour(now_ms) / KW_HOUR_MS;
    if (hour < 0 || hour == (int64_t)(hour_now >> 1) || usage->parts_passed < usage->passed_once_at) {
        return;
    }
    uint64_t which = (hour_now & 1) ^ 1;
    kw__usage_hold(usage);
    usage->hours[which] = hour;
    __atomic_store_n(&usage->hour_now, (uint64_t)hour << 1 | which, __ATOMIC_RELEASE);
    kw__usage_let_go(usage);
    kw_index_read_wait(); /* nobody counts in the former hour any more */
    usage->passed_once_at = usage->parts_passed + usage->part_count;
}
