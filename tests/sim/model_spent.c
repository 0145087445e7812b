#include "sim/model_spent.h"

#include "sim/model_claims.h"

#define PARTS 32 /* a reserve is such a part of a limit */

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

void model_put(struct model_spent *spent, struct model_list *list, struct model_entry entry)
{
    if (list->count == MODEL_ENTRIES_MAX) { /* the two oldest are taken as one, of which less is known */
        struct model_entry *first = &list->entries[0];
        const struct model_entry *second = &list->entries[1];
        first->is_sure = first->is_sure && second->is_sure;
        first->is_kept = first->is_kept && second->is_kept;
        first->low = first->low < second->low ? first->low : second->low;
        first->high = first->high > second->high ? first->high : second->high;
        first->amount += second->amount;
        first->number = ++spent->numbers;
        list->count--;
        memmove(&list->entries[1], &list->entries[2], (size_t)(list->count - 1) * sizeof *list->entries);
    }
    list->entries[list->count++] = entry;
}

const struct model_entry *model_find_entry(const struct model_list *list, unsigned number)
{
    for (int i = 0; i < list->count; i++) {
        if (list->entries[i].number == number) {
            return &list->entries[i];
        }
    }
    return NULL;
}

void model_age(const struct model_spent *spent, struct model_slot *slot)
{
    bool is_alive = false;
    for (int i = 0; i < slot->spent.count; i++) {
        struct model_entry *entry = &slot->spent.entries[i];
        bool has_left = spent->high - entry->low >= slot->window;
        entry->is_sure = entry->is_sure && !(has_left && slot->window > 0);
        is_alive = is_alive || (entry->is_sure && !has_left);
    }
    slot->may_be_gone = slot->may_be_gone || !is_alive;
}

void model_spent_begin(struct model_spent *spent, int64_t now)
{
    memset(spent, 0, sizeof *spent);
    spent->now = spent->high = spent->life_low = spent->life = now;
}

void model_spent_clock(struct model_spent *spent, int64_t now)
{
    spent->now = now;
    spent->high = now > spent->high ? now : spent->high;
    for (int i = 0; i < spent->count; i++) {
        if (spent->slots[i].is_open) {
            model_age(spent, &spent->slots[i]);
        }
    }
}

/* The claim's list, as it is now. */
static struct model_slot *open(struct model_spent *spent, const struct model_claim *claim)
{
    struct model_slot *slot = find(spent, claim);
    if (slot == NULL) {
        spent->is_full = spent->is_full || spent->count == MODEL_SLOTS_MAX;
        slot = &spent->slots[spent->count < MODEL_SLOTS_MAX ? spent->count++ : 0];
        memset(slot, 0, sizeof *slot);
        slot->is_quota = claim->is_quota;
        memcpy(slot->account, claim->account, sizeof slot->account);
        memcpy(slot->claim, claim->id, sizeof slot->claim);
    }
    if (!claim->is_quota) {
        slot->may_be_gone = slot->may_be_gone || claim->is_ambiguous; /* each of them begins with its own */
        model_open_limit(spent, slot, &claim->limit);
    }
    return slot;
}

/* --- what a request meets --- */

static int64_t period_of(const struct model_claim *claim, int64_t time)
{
    int64_t length = claim->quota.period == KW_PERIOD_HOUR ? MODEL_HOUR : 24 * MODEL_HOUR;
    return time < claim->born ? 0 : (time - claim->born) / length;
}

static void sum_period(const struct model_claim *claim, int64_t period, int64_t *least, int64_t *most)
{
    *least = *most = 0;
    for (int i = 0; i < claim->slot->spent.count; i++) {
        const struct model_entry *entry = &claim->slot->spent.entries[i];
        int64_t first = period_of(claim, entry->low);
        int64_t last = period_of(claim, entry->high);
        *least += entry->is_sure && first == period && last == period ? entry->amount : 0;
        *most += first <= period && period <= last ? entry->amount : 0;
    }
}

void model_sum_window(const struct model_spent *spent, const struct model_list *list, int64_t window, int64_t *least,
                      int64_t *most)
{
    *least = *most = 0;
    for (int i = 0; i < list->count; i++) {
        const struct model_entry *entry = &list->entries[i];
        *least += entry->is_sure && spent->high - entry->low < window ? entry->amount : 0;
        *most += spent->now - entry->high < window ? entry->amount : 0;
    }
}

void model_spent_of(const struct model_spent *spent, const struct model_claim *claim, int64_t *least, int64_t *most)
{
    int64_t first = period_of(claim, spent->now);
    int64_t last = period_of(claim, spent->high);
    if (!claim->is_quota) {
        model_sum_window(spent, &claim->slot->spent, claim->limit.window, least, most);
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
    bool may = most + weighed->cost + claim->slot->spent.coarse > claim->limit.requests;
    may = may || (claim->is_ambiguous && spent->may_wait); /* it may be the other that waits */
    bool must = must_be_asked && least + weighed->cost > claim->limit.requests;
    weighed->may_limit = weighed->may_limit || (may_be_asked && may);
    weighed->must_limit = weighed->must_limit || (must && quota == NULL);
    weighed->must_throttle = weighed->must_throttle || (must && quota != NULL);
}

static bool is_claimed(const struct model_weighed *weighed, const struct model_slot *slot)
{
    for (int i = 0; i < weighed->count; i++) {
        if (weighed->claims[i].slot == slot) {
            return true;
        }
    }
    return false;
}

/* Before they are weighed: what is spent under a name counts under that of before. */
static void catch_up(struct model_spent *spent, const struct model_weighed *weighed)
{
    for (int i = 0; i < weighed->count; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        bool counts = !claim->is_quota && claim->limit.per == KW_PER_KEY && claim->throttled_by < 0;
        for (int n = 0; counts && n < spent->count; n++) {
            if (!is_claimed(weighed, &spent->slots[n])) {
                model_catch_up(spent, claim->slot, &spent->slots[n]);
            }
        }
    }
}

void model_weigh(struct model_spent *spent, const struct model *model, int key, int64_t cost,
                 struct model_weighed *weighed_out)
{
    weighed_out->cost = cost;
    weighed_out->may_limit = weighed_out->must_limit = weighed_out->must_throttle = false;
    weighed_out->may_exceed = weighed_out->must_exceed = false;
    model_find_claims(model, key, weighed_out);
    spent->asked++;
    spent->may_spend = spent->may_spend || weighed_out->count > 0;
    for (int i = 0; i < weighed_out->count; i++) {
        weighed_out->claims[i].slot = open(spent, &weighed_out->claims[i]);
    }
    catch_up(spent, weighed_out);
    for (int i = 0; i < weighed_out->count; i++) {
        weigh_claim(spent, weighed_out, &weighed_out->claims[i]);
    }
}

/* --- what is written down ahead --- */

/* More is written down where too little is left: then less than the cost, or than half a part, is there. */
static int64_t reserve_of(const struct model_limit *limit, int64_t cost)
{
    int64_t part = limit->requests / PARTS + 1;
    int64_t left = cost - 1 > part / 2 ? cost - 1 : part / 2;
    int64_t reserve = left + (part > cost ? part : cost);
    return reserve < limit->requests ? reserve : limit->requests;
}

/* One part and a half, or the cost. */
static int64_t quota_reserve_of(const struct model_quota *quota, int64_t cost)
{
    int64_t part = quota->limit / PARTS + 1;
    int64_t reserve = part + (part + 1) / 2;
    return reserve > cost ? reserve : cost;
}

static void keep_ready(struct model_spent *spent, const struct model_weighed *weighed, const struct model_claim *claim)
{
    struct model_slot *slot = claim->slot;
    int64_t reserve = 0;
    if (claim->is_quota && strcmp(claim->quota.metric, "requests") == 0) {
        reserve = quota_reserve_of(&claim->quota, weighed->cost);
        slot->reserve_low = slot->reserve == 0 || spent->now < slot->reserve_low ? spent->now : slot->reserve_low;
    } else if (!claim->is_quota && claim->limit.window > MODEL_MINUTE) { /* ahead of use it is filled up as for 1 */
        reserve = reserve_of(&claim->limit, weighed->cost <= claim->limit.requests ? weighed->cost : 1);
    }
    bool is_longer = !claim->is_quota && slot->longest > 0 && claim->limit.window > slot->longest;
    bool is_longest = !claim->is_quota && reserve > 0 && claim->limit.window > slot->long_longest;
    slot->longest = is_longer ? claim->limit.window : slot->longest;
    slot->long_longest = is_longest ? claim->limit.window : slot->long_longest;
    if (!claim->is_quota && reserve > 0) {
        bool is_first = slot->reserve == 0;
        int64_t requests = claim->limit.requests;
        slot->requests_low = is_first || requests < slot->requests_low ? requests : slot->requests_low;
        slot->requests_high = is_first || requests > slot->requests_high ? requests : slot->requests_high;
    }
    slot->reserve = reserve > slot->reserve ? reserve : slot->reserve;
    slot->asked_window = slot->asked_window == 0 && reserve > 0 ? claim->limit.window : slot->asked_window;
}

/* A longer window holds from the request on that it is asked by, though it refuses; if it is not written down first. */
static void lengthen(const struct model_claim *claim)
{
    struct model_slot *slot = claim->slot;
    bool is_short = !claim->is_quota && claim->limit.window <= MODEL_MINUTE;
    bool is_known = slot->window > 0 && !slot->may_be_gone && !claim->is_ambiguous;
    if (is_short && is_known && claim->limit.window > slot->window) {
        slot->window = claim->limit.window;
    }
}

void model_asked(struct model_spent *spent, const struct model_weighed *weighed, bool is_answered)
{
    spent->has_spent = spent->has_spent || (is_answered && weighed->count > 0);
    spent->has_failed = spent->has_failed || (!is_answered && weighed->count > 0);
    for (int i = 0; i < weighed->count; i++) {
        keep_ready(spent, weighed, &weighed->claims[i]);
        if (is_answered) {
            lengthen(&weighed->claims[i]);
        }
    }
}

void model_lose(struct model_spent *spent, const struct model_weighed *weighed)
{
    for (int i = 0; i < weighed->count; i++) {
        const struct model_claim *claim = &weighed->claims[i];
        struct model_entry entry = {.low = spent->now, .high = spent->high, .number = ++spent->numbers};
        entry.amount = claim->is_quota ? quota_reserve_of(&claim->quota, weighed->cost) : 0;
        if (claim->is_quota) {
            model_put(spent, &claim->slot->spent, entry);
        }
    }
}

/* --- spending --- */

/* A limit's sixtieth is what it may count too much, and each change adds its own to what was there before. */
static void coarsen(const struct model_spent *spent, const struct model_limit *limit, struct model_list *list)
{
    int64_t least, most;
    int64_t sixtieth = limit->requests / 60;
    model_sum_window(spent, list, limit->window, &least, &most);
    if (most == 0) {
        list->coarse = sixtieth;
    } else if (list->sixtieth != sixtieth) {
        list->coarse += sixtieth;
    }
    list->sixtieth = sixtieth;
}

static void spend_limit(struct model_spent *spent, const struct model_weighed *weighed, const struct model_claim *claim,
                        struct model_entry entry)
{
    struct model_slot *slot = claim->slot;
    const struct model_claim *quota = claim->throttled_by < 0 ? NULL : &weighed->claims[claim->throttled_by];
    if (quota != NULL && !quota->may_be_over) {
        return;
    }
    bool is_long = claim->limit.window > MODEL_MINUTE;
    bool is_sure = (quota == NULL || quota->must_be_over) && !claim->is_ambiguous;
    entry.is_sure = is_sure;
    entry.is_kept = is_long;
    coarsen(spent, &claim->limit, &slot->spent);
    bool is_noted =
        is_long && (slot->is_written ? claim->limit.window > slot->window : claim->limit.window <= slot->asked_window);
    slot->window = claim->limit.window;
    slot->longest = is_sure || slot->window > slot->longest ? slot->window : slot->longest;
    slot->may_be_gone = !is_sure;
    for (int i = 0; i < slot->spent.count; i++) { /* with a first reserve all that is there is written down */
        struct model_entry *earlier = &slot->spent.entries[i];
        earlier->is_sure = earlier->is_sure && is_sure;
        earlier->is_kept = earlier->is_kept || is_noted;
    }
    slot->is_written = slot->is_written || (is_long && is_sure);
    slot->long_window = is_long ? slot->window : slot->long_window;
    model_put(spent, &slot->spent, entry);
    model_age(spent, slot);
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
            model_put(spent, &claim->slot->spent, entry);
        }
    }
}

/* Of marks there may be something to tell: as if the key was asked, one knows not when. */
static void look_for_marks(struct model_spent *spent, const struct model *model, int key)
{
    static struct model_weighed weighed;
    model_weigh(spent, model, key, 1, &weighed);
    for (int i = 0; i < weighed.count; i++) {
        struct model_slot *slot = weighed.claims[i].slot;
        keep_ready(spent, &weighed, &weighed.claims[i]);
        slot->may_be_gone = slot->may_be_gone || (slot->is_open && slot->opened == spent->asked);
    }
}

void model_report(struct model_spent *spent, const struct model *model, int key, const char *metric, int64_t amount,
                  bool is_sure)
{
    static struct model_weighed weighed;
    bool is_any = false;
    model_find_claims(model, key, &weighed);
    for (int i = 0; i < weighed.count; i++) {
        const struct model_claim *claim = &weighed.claims[i];
        if (claim->is_quota && !claim->is_second && strcmp(claim->quota.metric, metric) == 0) {
            struct model_entry entry = {
                .low = spent->now, .high = spent->high, .amount = amount, .number = ++spent->numbers};
            entry.is_sure = is_sure;
            model_put(spent, &open(spent, claim)->spent, entry);
            is_any = true;
        }
    }
    if (is_any) {
        look_for_marks(spent, model, key);
    }
}
