/* Deliveries: made of an event once, handed out when they are due, in order of their key, and settled. */
#include "contract/behaviours.h"

#include "core/id.h"

#define CHANNELS 3 /* 1 and 2 keep the order of keys, 3 does not */
#define EVENTS 24

CONTRACT_KEPT(kept_deliveries, kw_store_delivery);

static enum kw_status keep(void *context, const struct kw_store_delivery *delivery)
{
    struct kept_deliveries *kept = context;
    if (kept->count == kept->capacity) {
        size_t capacity = kept->capacity == 0 ? 16 : 2 * kept->capacity;
        struct kw_store_delivery *longer = kw_arena_take_array(&kept->c->arena, capacity, sizeof *longer);
        if (longer == NULL) {
            return KW_E_MEMORY;
        }
        if (kept->count > 0) {
            memcpy(longer, kept->items, kept->count * sizeof *longer);
        }
        kept->items = longer;
        kept->capacity = capacity;
    }
    struct kw_store_delivery *item = &kept->items[kept->count++];
    *item = *delivery;
    item->tries = contract_copy(kept->c, delivery->tries);
    item->message.type = contract_copy(kept->c, delivery->message.type);
    item->message.body = contract_copy(kept->c, delivery->message.body);
    return kept->stop_after != 0 && kept->count == kept->stop_after ? kept->answer : KW_OK;
}

/* An event about key `key` (0: none) that waits. */
static enum kw_status put_event(struct contract *c, uint64_t number, uint64_t key)
{
    struct kw_store_event event = contract_event(c, number, (int64_t)number);
    event.key_id = key == 0 ? (struct kw_id){{0}} : contract_id(key);
    struct kw_store_batch batch = {.events = &event, .event_count = 1};
    return contract_commit(c, &batch);
}

static enum kw_status fan(struct contract *c, uint64_t number, uint64_t key, const struct kw_store_target *targets,
                          size_t count, int64_t now_ms)
{
    struct kw_store_event event = contract_event(c, number, (int64_t)number);
    struct kw_store_fan one = {.message = {.id = event.id,
                                           .at_ms = event.at_ms,
                                           .type = KW_BYTES("key.created"),
                                           .body = contract_format(c, "{\"n\":%llu}", (unsigned long long)number),
                                           .key_id = key == 0 ? (struct kw_id){{0}} : contract_id(key)},
                               .targets = targets,
                               .target_count = count};
    return c->store->ops->deliveries_add(c->store, &one, 1, now_ms);
}

static const struct kw_store_target all_targets[] = {{1, true}, {2, true}, {3, false}};

static enum kw_status add(struct contract *c, uint64_t number, uint64_t key, int64_t now_ms)
{
    enum kw_status status = put_event(c, number, key);
    return status == KW_OK ? fan(c, number, key, all_targets, CHANNELS, now_ms) : status;
}

static struct kept_deliveries claim(struct contract *c, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                    size_t limit)
{
    struct kept_deliveries kept = {.c = c};
    CHECK_STATUS(c->t, c->store->ops->deliveries_claim(c->store, channel, now_ms, until_ms, limit, keep, &kept), KW_OK);
    return kept;
}

static struct kept_deliveries list(struct contract *c, uint64_t channel)
{
    struct kept_deliveries kept = {.c = c};
    struct kw_store_delivery_filter filter = {.channel = channel, .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(c->t, c->store->ops->deliveries_list(c->store, &filter, keep, &kept), KW_OK);
    return kept;
}

static enum kw_status settle(struct contract *c, uint64_t channel, uint64_t sequence, enum kw_delivery_state state,
                             int64_t due_ms, int64_t now_ms)
{
    struct kw_store_settled settled = {.channel = channel,
                                       .sequence = sequence,
                                       .state = state,
                                       .due_ms = due_ms,
                                       .attempts = 1,
                                       .tries = KW_BYTES("tried")};
    return c->store->ops->deliveries_settle(c->store, &settled, 1, now_ms);
}

void an_event_becomes_deliveries_once(struct contract *c)
{
    REQUIRE_OK(c->t, add(c, 1, 7, 100));
    REQUIRE_OK(c->t, fan(c, 1, 7, all_targets, CHANNELS, 200)); /* it is settled: nothing happens */
    REQUIRE_OK(c->t, fan(c, 9, 7, all_targets, CHANNELS, 200)); /* there is no such event */
    struct kw_id id = contract_event(c, 1, 1).id;
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &id), KW_E_NOT_FOUND);
    REQUIRE(c->t, contract_reopen(c));
    for (uint64_t channel = 1; channel <= CHANNELS; channel++) {
        struct kept_deliveries kept = list(c, channel);
        REQUIRE(c->t, kept.count == 1);
        CHECK_I64(c->t, kept.items[0].channel, channel);
        CHECK_I64(c->t, kept.items[0].state, KW_DELIVERY_WAITING);
        CHECK_I64(c->t, kept.items[0].due_ms, 100);
        CHECK_I64(c->t, kept.items[0].attempts, 0);
        CHECK_I64(c->t, kept.items[0].message.at_ms, 1);
        CHECK_BYTES(c->t, kept.items[0].message.body, KW_BYTES("{\"n\":1}"));
        CHECK_BYTES(c->t, kept.items[0].message.type, KW_BYTES("key.created"));
        CHECK(c->t, contract_id_equal(kept.items[0].message.id, id));
        CHECK(c->t, contract_id_equal(kept.items[0].message.key_id, contract_id(7)));
        CHECK_I64(c->t, kept.items[0].is_ordered, channel != 3);
    }
    CHECK_I64(c->t, list(c, 4).count, 0);
}

void an_event_for_nobody_is_settled(struct contract *c)
{
    REQUIRE_OK(c->t, put_event(c, 1, 7));
    REQUIRE_OK(c->t, fan(c, 1, 7, NULL, 0, 100));
    struct kw_id id = contract_event(c, 1, 1).id;
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &id), KW_E_NOT_FOUND);
}

void deliveries_of_a_key_are_handed_out_one_at_a_time(struct contract *c)
{
    for (uint64_t i = 1; i <= 4; i++) {
        REQUIRE_OK(c->t, add(c, i, i == 3 ? 8 : 7, 100));
    }
    struct kept_deliveries first = claim(c, 1, 100, 1000, 10);
    REQUIRE(c->t, first.count == 2); /* the first of each key */
    uint64_t sequence = first.items[0].sequence;
    CHECK_I64(c->t, first.items[1].sequence, sequence + 2);
    CHECK_I64(c->t, claim(c, 1, 999, 2000, 10).count, 0);
    CHECK_I64(c->t, claim(c, 3, 100, 1000, 10).count, 4); /* keeps no order */
    REQUIRE_OK(c->t, settle(c, 1, sequence, KW_DELIVERY_WAITING, 500, 200));
    CHECK_I64(c->t, claim(c, 1, 499, 1000, 10).count, 0); /* the next waits for it */
    struct kept_deliveries again = claim(c, 1, 500, 1000, 10);
    REQUIRE(c->t, again.count == 1);
    CHECK_I64(c->t, again.items[0].sequence, sequence);
    CHECK_I64(c->t, again.items[0].attempts, 1);
    CHECK_BYTES(c->t, again.items[0].tries, KW_BYTES("tried"));
    REQUIRE_OK(c->t, settle(c, 1, sequence, KW_DELIVERY_FAILED, 0, 600));
    REQUIRE(c->t, contract_reopen(c));
    struct kept_deliveries next = claim(c, 1, 600, 1000, 10);
    REQUIRE(c->t, next.count == 1);
    CHECK_I64(c->t, next.items[0].sequence, sequence + 1);
}

void a_claim_of_a_delivery_runs_out_or_is_released(struct contract *c)
{
    REQUIRE_OK(c->t, add(c, 1, 7, 100));
    CHECK_I64(c->t, claim(c, 1, 99, 200, 10).count, 0); /* not due yet */
    CHECK_I64(c->t, claim(c, 1, 100, 200, 10).count, 1);
    CHECK_I64(c->t, claim(c, 1, 199, 300, 10).count, 0);
    CHECK_I64(c->t, claim(c, 1, 200, 300, 10).count, 1);
    REQUIRE_OK(c->t, c->store->ops->deliveries_release(c->store, 2, 250)); /* another channel's */
    CHECK_I64(c->t, claim(c, 1, 250, 400, 10).count, 0);
    REQUIRE_OK(c->t, c->store->ops->deliveries_release(c->store, 1, 250));
    REQUIRE(c->t, contract_reopen(c));
    struct kept_deliveries kept = claim(c, 1, 250, 400, 10);
    REQUIRE(c->t, kept.count == 1);
    REQUIRE_OK(c->t, settle(c, 1, kept.items[0].sequence, KW_DELIVERY_DONE, 0, 260));
    REQUIRE_OK(c->t, settle(c, 1, kept.items[0].sequence, KW_DELIVERY_WAITING, 0, 270)); /* it is not claimed */
    CHECK_I64(c->t, list(c, 1).items[0].state, KW_DELIVERY_DONE);
}

void deliveries_beyond_the_caps_are_refused(struct contract *c)
{
    static const struct kw_store_target none[] = {{0, true}}, large[] = {{(uint64_t)INT64_MAX + 1, true}};
    struct kept_deliveries kept = {.c = c};
    const struct kw_store_ops *ops = c->store->ops;
    REQUIRE_OK(c->t, put_event(c, 1, 7));
    CHECK_STATUS(c->t, fan(c, 1, 7, none, 1, 1), KW_E_LIMIT);
    CHECK_STATUS(c->t, fan(c, 1, 7, large, 1, 1), KW_E_LIMIT);
    CHECK_STATUS(c->t, fan(c, 1, 7, all_targets, KW_STORE_TARGETS_MAX + 1, 1), KW_E_LIMIT);
    CHECK_STATUS(c->t, ops->deliveries_claim(c->store, 1, 1, 2, 0, keep, &kept), KW_E_LIMIT);
    CHECK_STATUS(c->t, ops->deliveries_claim(c->store, 0, 1, 2, 1, keep, &kept), KW_E_LIMIT);
    CHECK_STATUS(c->t, ops->deliveries_claim(c->store, 1, 2, 2, 1, keep, &kept), KW_E_INVALID);
    CHECK_STATUS(c->t, settle(c, 1, 1, KW_DELIVERY_HELD, 0, 1), KW_E_INVALID);
    CHECK_STATUS(c->t, settle(c, 0, 1, KW_DELIVERY_DONE, 0, 1), KW_E_LIMIT);
    struct kw_id id = contract_event(c, 1, 1).id;
    CHECK_STATUS(c->t, ops->events_settle(c->store, &id), KW_OK); /* it still waited */
}

/* --- against a plain model --- */

struct model_delivery {
    bool exists, is_ordered;
    uint64_t sequence, key;
    enum kw_delivery_state state;
    int64_t at_ms, due_ms;
    uint32_t attempts;
};

struct model {
    struct model_delivery of[CHANNELS + 1][EVENTS + 1];
    uint64_t count; /* of events; the n-th has the n-th sequence */
};

static bool has_ended(const struct model_delivery *one)
{
    return one->state == KW_DELIVERY_DONE || one->state == KW_DELIVERY_FAILED;
}

/* The first of a key that has not ended; 0: none. */
static uint64_t first_of_key(const struct model *model, uint64_t channel, uint64_t key)
{
    for (uint64_t i = 1; i <= model->count; i++) {
        const struct model_delivery *one = &model->of[channel][i];
        if (one->exists && one->is_ordered && one->key == key && !has_ended(one)) {
            return i;
        }
    }
    return 0;
}

static bool is_held(const struct model *model, uint64_t channel, const struct model_delivery *one)
{
    return one->is_ordered && one->key != 0 && first_of_key(model, channel, one->key) != 0;
}

static void model_next(struct model *model, uint64_t channel, uint64_t key, int64_t now_ms)
{
    uint64_t first = key == 0 || channel == 3 ? 0 : first_of_key(model, channel, key);
    if (first != 0 && model->of[channel][first].state == KW_DELIVERY_HELD) {
        model->of[channel][first].state = KW_DELIVERY_WAITING;
        model->of[channel][first].due_ms = now_ms;
    }
}

static void check_model(struct contract *c, const struct model *model)
{
    for (uint64_t channel = 1; channel <= CHANNELS; channel++) {
        struct kept_deliveries kept = list(c, channel);
        size_t at = 0;
        for (uint64_t i = model->count; i >= 1; i--) {
            const struct model_delivery *one = &model->of[channel][i];
            if (!one->exists) {
                continue;
            }
            REQUIRE(c->t, at < kept.count);
            CHECK_I64(c->t, kept.items[at].sequence, one->sequence);
            CHECK_I64(c->t, kept.items[at].state, one->state);
            CHECK_I64(c->t, kept.items[at].attempts, one->attempts);
            if (one->state == KW_DELIVERY_WAITING || one->state == KW_DELIVERY_CLAIMED) {
                CHECK_I64(c->t, kept.items[at].due_ms, one->due_ms);
            }
            at++;
        }
        CHECK_I64(c->t, kept.count, at);
    }
}

static void step_add(struct contract *c, struct model *model, int64_t now_ms)
{
    uint64_t key = test_random_below(c->t, 3);
    uint64_t number = ++model->count;
    REQUIRE_OK(c->t, add(c, number, key, now_ms));
    for (uint64_t channel = 1; channel <= CHANNELS; channel++) {
        struct model_delivery one = {
            .is_ordered = channel != 3, .key = key, .sequence = number, .at_ms = (int64_t)number, .due_ms = now_ms};
        one.state = is_held(model, channel, &one) ? KW_DELIVERY_HELD : KW_DELIVERY_WAITING;
        one.exists = true;
        model->of[channel][number] = one;
    }
}

static void step_claim(struct contract *c, struct model *model, int64_t now_ms)
{
    uint64_t channel = 1 + test_random_below(c->t, CHANNELS);
    struct kept_deliveries kept = claim(c, channel, now_ms, now_ms + 20, KW_STORE_LIST_MAX);
    size_t due = 0;
    for (uint64_t i = 1; i <= model->count; i++) {
        struct model_delivery *one = &model->of[channel][i];
        bool is_due = one->exists && one->due_ms <= now_ms &&
                      (one->state == KW_DELIVERY_WAITING || one->state == KW_DELIVERY_CLAIMED);
        if (is_due) {
            one->state = KW_DELIVERY_CLAIMED;
            one->due_ms = now_ms + 20;
            due++;
        }
    }
    CHECK_I64(c->t, kept.count, due);
}

static void step_settle(struct contract *c, struct model *model, int64_t now_ms)
{
    static const enum kw_delivery_state states[] = {KW_DELIVERY_WAITING, KW_DELIVERY_DONE, KW_DELIVERY_FAILED};
    uint64_t channel = 1 + test_random_below(c->t, CHANNELS);
    uint64_t number = 1 + test_random_below(c->t, model->count);
    enum kw_delivery_state state = states[test_random_below(c->t, KW_COUNT_OF(states))];
    struct model_delivery *one = &model->of[channel][number];
    REQUIRE_OK(c->t, settle(c, channel, number, state, now_ms + 5, now_ms));
    if (one->exists && one->state == KW_DELIVERY_CLAIMED) {
        one->state = state;
        one->due_ms = now_ms + 5;
        one->attempts = 1;
        if (has_ended(one)) {
            model_next(model, channel, one->key, now_ms);
        }
    }
}

static void step_replay(struct contract *c, struct model *model, int64_t now_ms)
{
    uint64_t channel = 1 + test_random_below(c->t, CHANNELS);
    struct kw_store_delivery_filter filter = {
        .channel = channel, .from_ms = (int64_t)test_random_below(c->t, EVENTS), .limit = KW_STORE_LIST_MAX};
    uint64_t replayed = 99, reached = 99, expected = 0;
    REQUIRE_OK(c->t, c->store->ops->deliveries_replay(c->store, &filter, now_ms, &replayed, &reached));
    for (uint64_t i = model->count; i >= 1; i--) {
        struct model_delivery *one = &model->of[channel][i];
        if (one->exists && has_ended(one) && one->at_ms >= filter.from_ms) {
            bool held = is_held(model, channel, one);
            one->state = held ? KW_DELIVERY_HELD : KW_DELIVERY_WAITING;
            one->due_ms = now_ms;
            one->attempts = 0;
            expected++;
        }
    }
    CHECK_I64(c->t, replayed, expected);
    CHECK_I64(c->t, reached, 0);
}

static void step_prune(struct contract *c, struct model *model)
{
    int64_t before_ms = (int64_t)test_random_below(c->t, model->count / 2 + 1);
    uint64_t removed = 99, expected = 0;
    REQUIRE_OK(c->t, c->store->ops->deliveries_prune(c->store, before_ms, KW_STORE_LIST_MAX, &removed));
    for (uint64_t i = 1; i <= model->count && (int64_t)i < before_ms; i++) {
        expected += model->of[1][i].exists;
        for (uint64_t channel = 1; channel <= CHANNELS; channel++) {
            model->of[channel][i].exists = false;
            model_next(model, channel, model->of[channel][i].key, before_ms);
        }
    }
    CHECK_I64(c->t, removed, expected);
}

void deliveries_agree_with_a_plain_model(struct contract *c)
{
    struct model model = {.count = 0};
    size_t steps = c->kind->is_faulty ? 12 : 150;
    step_add(c, &model, 1000);
    for (size_t i = 0; i < steps && c->t->failures == 0; i++) {
        int64_t now_ms = 1000 + 3 * (int64_t)i;
        uint64_t drawn = test_random_below(c->t, 10);
        if (drawn < 3 && model.count < EVENTS) {
            step_add(c, &model, now_ms);
        } else if (drawn < 6) {
            step_claim(c, &model, now_ms);
        } else if (drawn < 8) {
            step_settle(c, &model, now_ms);
        } else if (drawn < 9) {
            step_replay(c, &model, now_ms);
        } else {
            step_prune(c, &model);
        }
        check_model(c, &model);
    }
}
