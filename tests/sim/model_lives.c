/*
 * What becomes of a limit where it is new to a life, or to an account: what notes of earlier lives say, what others of
 * the account have spent, and what a crash leaves. Where the library may have had one or another thing to go by, what
 * all of them know is sure, and what any of them knows may be.
 */
#include "sim/model_spent.h"

#include <string.h>

#define SOURCES_MAX 64

/* Where a limit that begins may have its list from. */
struct source {
    const struct model_list *list;
    int64_t reserve;
    unsigned number; /* of the reserve */
    int64_t window;  /* of a note with a reserve, which takes its place behind what has left this; 0: of none */
    int64_t coarse;  /* as of the list, and where a reserve was put into it */
};

struct sources {
    struct source all[SOURCES_MAX];
    int count;
    bool is_full;
};

static void add(struct sources *sources, const struct model_list *list, int64_t reserve, unsigned number)
{
    sources->is_full = sources->is_full || sources->count == SOURCES_MAX;
    if (!sources->is_full) {
        sources->all[sources->count++] = (struct source){list, reserve, number, 0, list->coarse};
    }
}

/* A reserve that comes on top of all that was spent is put in as if the limit were as large: then its sixtieth, too, is
 * that of both. */
static int64_t coarse_with_reserve(const struct model_note *note)
{
    int64_t spent = note->reserve;
    for (int i = 0; i < note->list.count; i++) {
        const struct model_entry *entry = &note->list.entries[i];
        spent += note->spent_low - entry->high < note->longest ? entry->amount : 0;
    }
    int64_t low = note->requests_low / 60;
    int64_t high = (spent > note->requests_high ? spent : note->requests_high) / 60;
    bool is_changed = note->reserve > 0 && (low != note->list.sixtieth || high != note->list.sixtieth);
    return is_changed ? note->list.coarse + high : note->list.coarse;
}

static void add_note(struct sources *sources, const struct model_note *note)
{
    add(sources, &note->list, note->reserve, note->number);
    struct source *source = &sources->all[sources->count - 1];
    source->window = note->reserve > 0 ? note->window : 0;
    source->coarse = coarse_with_reserve(note);
}

static bool shares_account(const struct model_slot *slot, const struct model_slot *other)
{
    return other != slot && !other->is_quota && strcmp(other->account, slot->account) == 0;
}

/* --- sources --- */

/*
 * Those of the account's limits that may be the one with the longest window; one that the same request begins is none.
 * Where all may be gone, there may be none.
 */
static void add_others(const struct model_spent *spent, const struct model_slot *slot, struct sources *sources)
{
    static const struct model_list nothing;
    int64_t longest = -1;
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        bool is_there = shares_account(slot, other) && other->is_open && other->opened != spent->asked;
        longest = is_there && !other->may_be_gone && other->window > longest ? other->window : longest;
    }
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        bool is_there = shares_account(slot, other) && other->is_open && other->opened != spent->asked;
        if (is_there && other->longest >= longest) {
            add(sources, &other->spent, 0, 0);
        }
    }
    if (longest < 0) {
        add(sources, &nothing, 0, 0);
    }
}

/* What a note says is there as long as its window has not passed, and that of the limit that reads it; later it may be
 * removed, or what was read given up before it is spent from. */
static bool is_note_there(const struct model_spent *spent, const struct model_note *note, int64_t window)
{
    int64_t least, most;
    model_sum_window(spent, &note->list, note->window < window ? note->window : window, &least, &most);
    return note->is_there && least > 0;
}

/* True where one is there for sure. */
static bool add_other_notes(const struct model_spent *spent, const struct model_slot *slot, struct sources *sources)
{
    int64_t longest = -1;
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        bool is_sure =
            shares_account(slot, other) && other->reserve == 0 && is_note_there(spent, &other->note, INT64_MAX);
        longest = is_sure && other->note.window > longest ? other->note.window : longest;
    }
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        if (shares_account(slot, other) && other->note.may_be_there && other->note.longest >= longest) {
            add_note(sources, &other->note);
        }
    }
    return longest >= 0;
}

/* How much a window holds by all of them at least, and by any of them at most. */
static void bound(const struct model_spent *spent, const struct sources *sources, int64_t window, int64_t *least,
                  int64_t *most)
{
    *least = INT64_MAX;
    *most = 0;
    for (int i = 0; i < sources->count; i++) {
        const struct source *source = &sources->all[i];
        int64_t some, all;
        model_sum_window(spent, source->list, window, &some, &all);
        all += source->reserve + source->coarse;
        *least = some < *least ? some : *least;
        *most = all > *most ? all : *most;
    }
}

/* Of others and their notes that count which says that more is spent. */
static void choose(const struct model_spent *spent, const struct model_limit *limit, struct sources *others,
                   struct sources *notes, bool has_note)
{
    int64_t others_least, others_most, notes_least, notes_most;
    bound(spent, others, limit->window, &others_least, &others_most);
    bound(spent, notes, limit->window, &notes_least, &notes_most);
    notes_least = notes_least < limit->requests ? notes_least : limit->requests;
    if (notes->count == 0 || notes_most <= others_least) {
        notes->count = 0;
    } else if (has_note && notes_least > others_most) {
        others->count = 0;
    }
}

static void join(struct sources *sources, const struct sources *more)
{
    for (int i = 0; i < more->count; i++) {
        add(sources, more->all[i].list, more->all[i].reserve, more->all[i].number);
        sources->all[sources->count - 1].window = more->all[i].window;
        sources->all[sources->count - 1].coarse = more->all[i].coarse;
    }
    sources->is_full = sources->is_full || more->is_full;
}

/* --- putting them together --- */

static bool all_know(const struct model_spent *spent, const struct sources *sources, unsigned number)
{
    for (int i = 0; i < sources->count; i++) {
        const struct model_entry *entry = model_find_entry(sources->all[i].list, number);
        int64_t window = sources->all[i].window;
        if (entry == NULL || !entry->is_sure || (window > 0 && spent->high - entry->low >= window)) {
            return false;
        }
    }
    return true;
}

static void put_once(struct model_spent *spent, struct model_list *list, struct model_entry entry)
{
    for (int i = 0; i < list->count; i++) {
        struct model_entry *there = &list->entries[i];
        if (there->number == entry.number) {
            there->low = entry.low < there->low ? entry.low : there->low;
            there->high = entry.high > there->high ? entry.high : there->high;
            there->is_sure = there->is_sure && entry.is_sure && there->amount == entry.amount;
            there->amount = entry.amount > there->amount ? entry.amount : there->amount;
            there->is_kept = there->is_kept && entry.is_kept;
            return;
        }
    }
    model_put(spent, list, entry);
}

static void merge(struct model_spent *spent, const struct sources *sources, struct model_list *list_out)
{
    static struct model_list list;
    list.count = 0;
    list.coarse = 0;
    list.sixtieth = sources->count == 1 ? sources->all[0].list->sixtieth : -1;
    for (int i = 0; i < sources->count; i++) {
        const struct source *source = &sources->all[i];
        list.coarse = source->coarse > list.coarse ? source->coarse : list.coarse;
        list.sixtieth = source->coarse > source->list->coarse ? -1 : list.sixtieth;
        for (int n = 0; n < source->list->count; n++) {
            struct model_entry entry = source->list->entries[n];
            entry.is_sure = all_know(spent, sources, entry.number);
            put_once(spent, &list, entry);
        }
        if (source->reserve > 0) { /* it counts from this life's beginning on, at the latest */
            struct model_entry entry = {.low = spent->now,
                                        .high = spent->life,
                                        .amount = source->reserve,
                                        .number = source->number,
                                        .is_kept = true};
            put_once(spent, &list, entry);
        }
    }
    *list_out = list;
}

/* --- a limit that begins --- */

/* A short window that begins just after a crash: all may have been spent from it before. True where it must be so. */
static bool add_wait(const struct model_spent *spent, const struct model_limit *limit, bool is_alone,
                     struct model_list *wait, struct sources *sources)
{
    bool is_short = limit->window <= MODEL_MINUTE;
    bool may = is_short && spent->may_wait && spent->now < spent->life + MODEL_MINUTE;
    bool must = is_short && spent->waits && spent->high < spent->life_low + MODEL_MINUTE;
    wait->count = 1;
    wait->coarse = wait->sixtieth = limit->requests / 60;
    int64_t now = spent->now < spent->life_low ? spent->now : spent->life_low;
    wait->entries[0] = (struct model_entry){.low = is_alone ? spent->life_low : now,
                                            .high = is_alone ? spent->life : spent->high,
                                            .amount = limit->requests,
                                            .number = ~spent->lives,
                                            .is_sure = must};
    if (may) {
        add(sources, wait, 0, 0);
    }
    return must;
}

static void find_sources(const struct model_spent *spent, const struct model_slot *slot,
                         const struct model_limit *limit, struct model_list *wait, struct sources *sources)
{
    static struct sources others, notes;
    bool is_long = limit->window > MODEL_MINUTE;
    others.count = notes.count = 0;
    others.is_full = notes.is_full = false;
    add_others(spent, slot, &others);
    bool is_alone = others.count == 1 && others.all[0].list->count == 0;
    if (add_wait(spent, limit, is_alone, wait, sources)) {
        return;
    }
    bool may_read = is_long || spent->now < spent->may_read;
    bool reads = is_long || spent->high < spent->reads;
    if (may_read && slot->note.may_be_there) {
        add_note(sources, &slot->note);
    }
    if (reads && slot->reserve == 0 && is_note_there(spent, &slot->note, limit->window)) {
        return; /* nothing but its own note counts */
    }
    if (may_read) {
        bool has_note = add_other_notes(spent, slot, &notes);
        choose(spent, limit, &others, &notes, has_note && reads);
    }
    join(sources, &others);
    join(sources, &notes);
}

void model_open_limit(struct model_spent *spent, struct model_slot *slot, const struct model_limit *limit)
{
    static struct sources sources;
    static struct model_list wait;
    bool was_open = slot->is_open;
    if (was_open && !slot->may_be_gone) {
        return;
    }
    sources.count = 0;
    sources.is_full = false;
    if (was_open) {
        add(&sources, &slot->spent, 0, 0);
    }
    find_sources(spent, slot, limit, &wait, &sources);
    spent->is_full = spent->is_full || sources.is_full;
    bool may_be_own = false; /* what it has for its own is of its own window, as if it had been spent from */
    for (int i = 0; i < sources.count; i++) {
        const struct model_list *list = sources.all[i].list;
        may_be_own = may_be_own || list == &wait || list == &slot->note.list;
    }
    bool is_own = may_be_own && sources.count == 1;
    merge(spent, &sources, &slot->spent);
    if (!was_open) {
        slot->is_written = false;
        slot->reserve = 0;
        slot->window = slot->longest = slot->asked_window = 0;
        slot->opened = spent->asked;
    }
    slot->is_open = true;
    slot->window = may_be_own && limit->window > slot->window ? limit->window : slot->window;
    slot->longest = slot->window > slot->longest ? slot->window : slot->longest;
    slot->may_be_gone = !is_own;
    for (int i = 0; i < slot->spent.count; i++) { /* it is there only as long as nothing is spent */
        struct model_entry *entry = &slot->spent.entries[i];
        entry->is_sure = entry->is_sure && spent->high - entry->low < limit->window;
    }
    model_age(spent, slot);
}

void model_catch_up(struct model_spent *spent, struct model_slot *slot, const struct model_slot *other)
{
    static struct sources sources;
    int64_t own = INT64_MIN, others = INT64_MIN; /* what was spent last, at the earliest and at the latest */
    for (int i = 0; i < slot->spent.count; i++) {
        own = slot->spent.entries[i].low > own ? slot->spent.entries[i].low : own;
    }
    for (int i = 0; i < other->spent.count; i++) {
        others = other->spent.entries[i].high > others ? other->spent.entries[i].high : others;
    }
    if (!shares_account(slot, other) || !other->is_open || others < own) {
        return;
    }
    sources.count = 0;
    sources.is_full = false;
    add(&sources, &slot->spent, 0, 0);
    add(&sources, &other->spent, 0, 0);
    merge(spent, &sources, &slot->spent);
}

/* --- ends --- */

/* Of two the one that may count for more, from the earlier time on. */
static void keep_reserve(const struct model_spent *spent, struct model_slot *slot)
{
    struct model_note *note = &slot->note;
    if (slot->reserve == 0) {
        return;
    }
    bool is_new = note->reserve == 0;
    note->requests_low = is_new || slot->requests_low < note->requests_low ? slot->requests_low : note->requests_low;
    note->requests_high =
        is_new || slot->requests_high > note->requests_high ? slot->requests_high : note->requests_high;
    note->spent_low = is_new || spent->now < note->spent_low ? spent->now : note->spent_low;
    note->reserve = slot->reserve > note->reserve ? slot->reserve : note->reserve;
}

/* What was read and not spent from is as it was, or written down anew with a reserve. */
static void leave_unspent(struct model_spent *spent, struct model_slot *slot)
{
    static struct sources sources;
    struct model_note *note = &slot->note;
    bool was_touched = slot->window > 0 || slot->reserve > 0;
    if (!was_touched) {
        return;
    }
    sources.count = 0;
    if (note->may_be_there) {
        add(&sources, &note->list, 0, 0);
    }
    add(&sources, &slot->spent, 0, 0);
    note->longest = slot->longest > note->longest ? slot->longest : note->longest;
    note->longest = slot->long_longest > note->longest ? slot->long_longest : note->longest;
    merge(spent, &sources, &note->list);
    note->may_be_there = true;
    keep_reserve(spent, slot);
    note->number = ++spent->numbers;
}

static void leave(struct model_slot *slot, int64_t window, int64_t longest)
{
    slot->note.is_there = slot->note.may_be_there = true;
    slot->note.window = window;
    slot->note.longest = longest;
    slot->note.reserve = 0;
    slot->note.list = slot->spent;
}

/* What only a life that goes on knows, is gone. */
static void leave_after_crash(struct model_spent *spent, struct model_slot *slot)
{
    for (int i = 0; i < slot->spent.count; i++) {
        struct model_entry *entry = &slot->spent.entries[i];
        entry->is_sure = entry->is_sure && entry->is_kept;
    }
    if (slot->is_written) {
        leave(slot, slot->long_window, slot->long_longest);
        keep_reserve(spent, slot);
        slot->note.number = ++spent->numbers;
    } else if (slot->reserve > 0) {
        leave_unspent(spent, slot);
    }
}

static void begin_life(struct model_spent *spent)
{
    int64_t after = (spent->life > spent->high ? spent->life : spent->high) + 1;
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        slot->is_open = slot->may_be_gone = slot->is_written = false;
        slot->reserve = slot->window = slot->longest = slot->long_window = slot->long_longest = 0;
        slot->spent.count = slot->is_quota ? slot->spent.count : 0;
    }
    spent->lives++;
    spent->life = after;
    spent->life_low = spent->now;
    spent->high = after;
    spent->has_spent = spent->may_spend = spent->has_failed = false;
}

static void lose_reserve(struct model_spent *spent, struct model_slot *slot)
{
    struct model_entry entry = {
        .low = slot->reserve_low, .high = spent->high, .amount = slot->reserve, .number = ++spent->numbers};
    if (slot->reserve > 0) {
        model_put(spent, &slot->spent, entry);
    }
}

void model_spent_stop(struct model_spent *spent)
{
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        if (slot->is_quota && spent->has_failed && !spent->has_spent) {
            lose_reserve(spent, slot);
        } else if (slot->is_open && spent->has_spent && !slot->may_be_gone && slot->window > 0) {
            leave(slot, slot->window, slot->longest);
        } else if (slot->is_open) {
            leave_unspent(spent, slot);
        }
    }
    spent->waits = spent->waits && !spent->may_spend;
    spent->may_wait = (spent->may_wait && !spent->has_spent) || (spent->has_failed && !spent->has_spent);
    spent->may_read = spent->may_spend ? spent->high + MODEL_MINUTE : spent->may_read;
    /* A dry run may have begun to spend, too: then this stop is the last one, though the clock had stepped back. */
    bool is_last = spent->has_spent || (spent->may_spend && spent->now + MODEL_MINUTE < spent->reads);
    spent->reads = is_last ? spent->now + MODEL_MINUTE : spent->reads;
    begin_life(spent);
}

void model_spent_crash(struct model_spent *spent)
{
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        if (slot->is_quota) {
            lose_reserve(spent, slot);
        } else if (slot->is_open) {
            leave_after_crash(spent, slot);
        }
    }
    spent->waits = spent->waits || spent->has_spent;
    spent->may_wait = spent->may_wait || spent->may_spend;
    begin_life(spent);
}
