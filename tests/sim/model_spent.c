#include "sim/model_spent.h"

#include "sim/model_claims.h"

#define HOUR INT64_C(3600000)
#define MINUTE INT64_C(60000)
#define PARTS 32  /* a reserve is such a part of a limit */
#define STEPS 100 /* milliseconds by which a life may begin later than the clock says */

/* --- lists --- */

static struct model_slot *find(struct model_spent *spent, const struct model_claim *claim)
{
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        if (slot->is_quota == claim->is_quota && strcmp(slot->account, claim->account) == 0 &&
            strcmp(slot->claim, claim->id) == 0) {
            return slot;
        }
    }
    return NULL;
}

static void put(struct model_spent *spent, struct model_slot *slot, struct model_entry entry)
{
    if (slot->count == MODEL_ENTRIES_MAX) { /* the two oldest are taken as one, of which less is known */
        struct model_entry *first = &slot->entries[0];
        const struct model_entry *second = &slot->entries[1];
        first->is_sure = first->is_sure && second->is_sure && slot->is_quota;
        first->low = first->low < second->low ? first->low : second->low;
        first->high = first->high > second->high ? first->high : second->high;
        first->amount += second->amount;
        first->number = ++spent->numbers;
        slot->count--;
        memmove(&slot->entries[1], &slot->entries[2], (size_t)(slot->count - 1) * sizeof *slot->entries);
    }
    slot->entries[slot->count++] = entry;
}

/* What nobody knows for sure, neither when nor whether. */
static void put_unsure(struct model_spent *spent, struct model_slot *slot, int64_t amount)
{
    struct model_entry entry = {.low = spent->now, .high = spent->high, .amount = amount, .number = ++spent->numbers};
    put(spent, slot, entry);
}

/* What has left a limit's window is not known any more, should the window become longer. */
static void age(const struct model_spent *spent, struct model_slot *slot)
{
    bool is_idle = true;
    for (int i = 0; i < slot->count; i++) {
        bool has_left = spent->high - slot->entries[i].low >= slot->window;
        slot->entries[i].is_sure = slot->entries[i].is_sure && !(has_left && slot->window > 0);
        is_idle = is_idle && has_left;
    }
    slot->may_be_gone = slot->may_be_gone || is_idle;
}

void model_spent_clock(struct model_spent *spent, int64_t now)
{
    spent->now = now;
    spent->high = now > spent->high ? now : spent->high;
    for (int i = 0; i < spent->count; i++) {
        if (!spent->slots[i].is_quota) {
            age(spent, &spent->slots[i]);
        }
    }
}

/* --- limits that are new to an account, which knows what its others have spent --- */

static const struct model_entry *find_entry(const struct model_slot *slot, unsigned number)
{
    for (int i = 0; i < slot->count; i++) {
        if (slot->entries[i].number == number) {
            return &slot->entries[i];
        }
    }
    return NULL;
}

/* The longest window that is in use for sure; those of as long a one or a longer may be what is taken over. */
static int64_t longest_of(const struct model_spent *spent, const struct model_slot *slot)
{
    int64_t longest = 0;
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        bool is_one = other != slot && !other->is_quota && strcmp(other->account, slot->account) == 0;
        longest = is_one && !other->may_be_gone && other->window > longest ? other->window : longest;
    }
    return longest;
}

/* Whether the request stands in all that may be taken over. */
static bool is_known(const struct model_spent *spent, const struct model_slot *slot, unsigned number, int64_t longest)
{
    bool known = longest > 0;
    for (int i = 0; i < spent->count && known; i++) {
        const struct model_slot *other = &spent->slots[i];
        if (other != slot && !other->is_quota && strcmp(other->account, slot->account) == 0 &&
            other->window >= longest) {
            const struct model_entry *entry = find_entry(other, number);
            known = entry != NULL && entry->is_sure;
        }
    }
    return known;
}

static void take_over(struct model_spent *spent, struct model_slot *slot, int64_t window, bool is_new)
{
    int64_t longest = longest_of(spent, slot);
    for (int i = 0; i < slot->count; i++) { /* of what it had it may have kept all or nothing */
        struct model_entry *entry = &slot->entries[i];
        entry->is_sure =
            entry->is_sure && is_known(spent, slot, entry->number, longest) && spent->high - entry->low < window;
    }
    for (int i = 0; i < spent->count; i++) {
        const struct model_slot *other = &spent->slots[i];
        if (other == slot || other->is_quota || strcmp(other->account, slot->account) != 0) {
            continue;
        }
        slot->coarsest = other->coarsest > slot->coarsest ? other->coarsest : slot->coarsest;
        for (int n = 0; n < other->count; n++) {
            struct model_entry entry = other->entries[n];
            if (find_entry(slot, entry.number) == NULL && spent->now - entry.high < 2 * HOUR) {
                entry.is_sure =
                    is_new && is_known(spent, slot, entry.number, longest) && spent->high - entry.low < window;
                put(spent, slot, entry);
            }
        }
    }
}

/* The claim's list, as it is now. */
static struct model_slot *open(struct model_spent *spent, const struct model_claim *claim)
{
    struct model_slot *slot = find(spent, claim);
    bool is_new = slot == NULL;
    if (is_new) {
        spent->is_full = spent->is_full || spent->count == MODEL_SLOTS_MAX;
        slot = &spent->slots[spent->count < MODEL_SLOTS_MAX ? spent->count++ : 0];
        *slot = (struct model_slot){.is_quota = claim->is_quota, .may_be_gone = !claim->is_quota};
        memcpy(slot->account, claim->account, sizeof slot->account);
        memcpy(slot->claim, claim->id, sizeof slot->claim);
    }
    int64_t most = claim->is_quota ? claim->quota.limit : claim->limit.requests;
    slot->most = most > slot->most ? most : slot->most;
    slot->coarsest = most > slot->coarsest ? most : slot->coarsest;
    if (slot->may_be_gone) {
        take_over(spent, slot, claim->limit.window, is_new);
        /* A short one that begins after a crash waits for its end. */
        bool waits =
            claim->limit.window <= MINUTE && spent->crashed_at > 0 && spent->now - spent->crashed_at < MINUTE + STEPS;
        if (waits && is_new) {
            put_unsure(spent, slot, most);
        }
    }
    return slot;
}

/* --- what a request meets --- */

static int64_t period_of(const struct model_claim *claim, int64_t time)
{
    int64_t length = claim->quota.period == KW_PERIOD_HOUR ? HOUR : 24 * HOUR;
    return time < claim->born ? 0 : (time - claim->born) / length;
}

static void sum_period(const struct model_claim *claim, int64_t period, int64_t *least, int64_t *most)
{
    *least = *most = 0;
    for (int i = 0; i < claim->slot->count; i++) {
        const struct model_entry *entry = &claim->slot->entries[i];
        int64_t first = period_of(claim, entry->low);
        int64_t last = period_of(claim, entry->high);
        *least += entry->is_sure && first == period && last == period ? entry->amount : 0;
        *most += first <= period && period <= last ? entry->amount : 0;
    }
}

static void sum_window(const struct model_spent *spent, const struct model_claim *claim, int64_t *least, int64_t *most)
{
    *least = *most = 0;
    for (int i = 0; i < claim->slot->count; i++) {
        const struct model_entry *entry = &claim->slot->entries[i];
        *least += entry->is_sure && spent->high - entry->low < claim->limit.window ? entry->amount : 0;
        *most += spent->now - entry->high < claim->limit.window ? entry->amount : 0;
    }
}

void model_spent_of(const struct model_spent *spent, const struct model_claim *claim, int64_t *least, int64_t *most)
{
    int64_t first = period_of(claim, spent->now);
    int64_t last = period_of(claim, spent->high);
    if (!claim->is_quota) {
        sum_window(spent, claim, least, most);
        return;
    }
    sum_period(claim, last, least, most);
    for (int64_t period = first; period < last; period++) { /* which of them, nobody can tell */
        int64_t more, none;
        sum_period(claim, period, &none, &more);
        *least = 0;
        *most = more > *most ? more : *most;
    }
}

static bool is_over(const struct model_quota *quota, int64_t used, int64_t cost)
{
    bool is_reported = strcmp(quota->metric, "requests") != 0;
    return is_reported ? used >= quota->limit : used + cost > quota->limit;
}

static void weigh_claim(struct model_spent *spent, struct model_weighed *weighed, struct model_claim *claim)
{
    int64_t least, most;
    claim->slot = open(spent, claim);
    model_spent_of(spent, claim, &least, &most);
    if (claim->is_quota) {
        claim->may_be_over = is_over(&claim->quota, most, weighed->cost);
        claim->must_be_over = is_over(&claim->quota, least, weighed->cost);
        bool blocks = claim->quota.on_exceeded == KW_QUOTA_BLOCK;
        weighed->may_exceed = weighed->may_exceed || (blocks && claim->may_be_over);
        weighed->must_exceed = weighed->must_exceed || (blocks && claim->must_be_over);
        return;
    }
    const struct model_claim *quota = claim->throttled_by < 0 ? NULL : &weighed->claims[claim->throttled_by];
    bool may_be_asked = quota == NULL || quota->may_be_over;
    bool must_be_asked = (quota == NULL || quota->must_be_over) && !claim->is_ambiguous;
    bool waits = spent->crashed_at > 0 && claim->limit.window <= MINUTE &&
                 spent->now - spent->crashed_at < claim->limit.window + STEPS;
    bool may = waits || most + weighed->cost + claim->slot->coarsest / 60 > claim->limit.requests;
    weighed->may_limit = weighed->may_limit || (may_be_asked && may);
    bool must = must_be_asked && least + weighed->cost > claim->limit.requests;
    weighed->must_limit = weighed->must_limit || (must && quota == NULL);
    weighed->must_throttle = weighed->must_throttle || (must && quota != NULL);
}

void model_weigh(struct model_spent *spent, const struct model *model, int key, int64_t cost,
                 struct model_weighed *weighed_out)
{
    weighed_out->cost = cost;
    weighed_out->may_limit = weighed_out->must_limit = weighed_out->must_throttle = false;
    weighed_out->may_exceed = weighed_out->must_exceed = false;
    model_find_claims(model, key, weighed_out);
    spent->has_spent = spent->has_spent || weighed_out->count > 0;
    for (int i = 0; i < weighed_out->count; i++) {
        weigh_claim(spent, weighed_out, &weighed_out->claims[i]);
    }
}

/* --- spending --- */

static void spend_limit(struct model_spent *spent, const struct model_weighed *weighed, const struct model_claim *claim,
                        struct model_entry entry)
{
    struct model_slot *slot = claim->slot;
    const struct model_claim *quota = claim->throttled_by < 0 ? NULL : &weighed->claims[claim->throttled_by];
    if (quota != NULL && !quota->may_be_over) {
        return;
    }
    bool is_sure = (quota == NULL || quota->must_be_over) && !claim->is_ambiguous;
    entry.is_sure = is_sure;
    put(spent, slot, entry);
    slot->window = is_sure ? claim->limit.window : 0;
    slot->may_be_gone = !is_sure;
    for (int i = 0; i < slot->count && !is_sure; i++) {
        slot->entries[i].is_sure = false;
    }
    age(spent, slot);
}

void model_spend(struct model_spent *spent, const struct model_weighed *weighed)
{
    struct model_entry entry = {
        .low = spent->now, .high = spent->high, .amount = weighed->cost, .number = ++spent->numbers, .is_sure = true};
    for (int i = 0; i < weighed->count; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        if (!claim->is_quota) {
            spend_limit(spent, weighed, claim, entry);
        } else if (!claim->is_second && strcmp(claim->quota.metric, "requests") == 0) {
            put(spent, claim->slot, entry);
        }
    }
}

void model_lose(struct model_spent *spent, const struct model_weighed *weighed)
{
    for (int i = 0; i < weighed->count; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        if (claim->is_quota) {
            put_unsure(spent, claim->slot, claim->slot->most / PARTS * 3 / 2 + 2 + weighed->cost);
        }
    }
}

void model_report(struct model_spent *spent, const struct model *model, int key, const char *metric, int64_t amount,
                  bool is_sure)
{
    static struct model_weighed weighed;
    model_find_claims(model, key, &weighed);
    for (int i = 0; i < weighed.count; i++) {
        struct model_claim *claim = &weighed.claims[i];
        if (claim->is_quota && !claim->is_second && strcmp(claim->quota.metric, metric) == 0) {
            struct model_entry entry = {
                .low = spent->now, .high = spent->high, .amount = amount, .number = ++spent->numbers};
            entry.is_sure = is_sure;
            put(spent, open(spent, claim), entry);
        }
    }
}

static int64_t part_of(const struct model_slot *slot)
{
    int64_t part = slot->most / PARTS + 1;
    return part > MODEL_COST_MAX ? part : MODEL_COST_MAX;
}

void model_spent_stop(struct model_spent *spent)
{
    if (spent->is_after_crash && !spent->has_spent) {
        model_spent_crash(spent);
        return;
    }
    spent->has_spent = spent->is_after_crash = false;
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        if (!slot->is_quota && slot->may_be_gone) {
            put_unsure(spent, slot, 2 * part_of(slot));
        }
    }
}

void model_spent_crash(struct model_spent *spent)
{
    spent->high += STEPS; /* no life begins before the one that it follows */
    spent->crashed_at = spent->high;
    spent->is_after_crash = true;
    spent->has_spent = false;
    for (int i = 0; i < spent->count; i++) {
        struct model_slot *slot = &spent->slots[i];
        int64_t part = part_of(slot);
        bool is_short = !slot->is_quota && slot->window <= MINUTE;
        for (int n = 0; n < slot->count && is_short; n++) { /* when they were is forgotten: it waits from now on */
            struct model_entry *entry = &slot->entries[n];
            entry->low = entry->low < spent->now ? entry->low : spent->now;
        }
        put_unsure(spent, slot, slot->is_quota ? part * 3 / 2 : is_short ? slot->most : 2 * part);
    }
}
