#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

static struct kw__memory_delivery *owner_by_channel(const struct kw__tree_node *node)
{
    return KW__TREE_OWNER(node, struct kw__memory_delivery, by_channel);
}

static bool has_ended(const struct kw_store_delivery *delivery)
{
    return delivery->state == KW_DELIVERY_DONE || delivery->state == KW_DELIVERY_FAILED;
}

static bool keeps_order(const struct kw_store_delivery *delivery)
{
    return delivery->is_ordered && !kw_id_is_none(&delivery->message.key_id);
}

/* The first of its key that has not ended; NULL: there is none, or it keeps no order. */
static struct kw__memory_delivery *first_of_key(struct kw__memory *memory, const struct kw_store_delivery *delivery)
{
    struct kw__memory_delivery probe = {.delivery = *delivery};
    probe.delivery.sequence = 0;
    const struct kw__tree_node *node =
        keeps_order(delivery) ? kw__tree_after(&memory->deliveries_by_key, &probe.by_key) : NULL;
    struct kw__memory_delivery *found = node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_delivery, by_key);
    bool is_same = found != NULL && found->delivery.channel == delivery->channel &&
                   kw_id_equal(&found->delivery.message.key_id, &delivery->message.key_id);
    return is_same ? found : NULL;
}

static void unlink_state(struct kw__memory *memory, struct kw__memory_delivery *held)
{
    enum kw_delivery_state state = held->delivery.state;
    if (state == KW_DELIVERY_WAITING || state == KW_DELIVERY_CLAIMED) {
        kw__tree_remove(&memory->deliveries_by_due, &held->by_due);
    }
    if (keeps_order(&held->delivery) && !has_ended(&held->delivery)) {
        kw__tree_remove(&memory->deliveries_by_key, &held->by_key);
    }
}

static void set_state(struct kw__memory *memory, struct kw__memory_delivery *held, enum kw_delivery_state state,
                      int64_t due_ms)
{
    unlink_state(memory, held);
    held->delivery.state = state;
    held->delivery.due_ms = due_ms;
    if (state == KW_DELIVERY_WAITING || state == KW_DELIVERY_CLAIMED) {
        kw__tree_insert(&memory->deliveries_by_due, &held->by_due);
    }
    if (keeps_order(&held->delivery) && !has_ended(&held->delivery)) {
        kw__tree_insert(&memory->deliveries_by_key, &held->by_key);
    }
}

/* One that ended, or is new: it waits, or is held behind another of its key. */
static void begin_waiting(struct kw__memory *memory, struct kw__memory_delivery *one, int64_t now_ms)
{
    bool is_held = first_of_key(memory, &one->delivery) != NULL;
    set_state(memory, one, is_held ? KW_DELIVERY_HELD : KW_DELIVERY_WAITING, now_ms);
}

/* After one of its key ended. */
static void let_next_go(struct kw__memory *memory, const struct kw_store_delivery *ended, int64_t now_ms)
{
    struct kw__memory_delivery *next = first_of_key(memory, ended);
    if (next != NULL && next->delivery.state == KW_DELIVERY_HELD) {
        set_state(memory, next, KW_DELIVERY_WAITING, now_ms);
    }
}

/* --- adding --- */

static struct kw__memory_message *new_message(const struct kw_store_fan *fan)
{
    uint8_t *text = NULL;
    const struct kw_store_message *from = &fan->message;
    struct kw__memory_message *made = kw__memory_object(sizeof *made, from->type.size + from->body.size, &text);
    if (made == NULL) {
        return NULL;
    }
    made->message = *from;
    made->message.type = kw__memory_keep(&text, from->type);
    made->message.body = kw__memory_keep(&text, from->body);
    made->delivery_count = fan->target_count;
    made->deliveries = kw_alloc(fan->target_count, sizeof *made->deliveries);
    if (made->deliveries == NULL) {
        kw_free(made);
        return NULL;
    }
    return made;
}

static void free_message(struct kw__memory_message *message)
{
    for (size_t i = 0; message != NULL && i < message->delivery_count; i++) {
        kw_free((void *)(uintptr_t)message->deliveries[i].delivery.tries.data);
    }
    if (message != NULL) {
        kw_free(message->deliveries);
        kw_free(message);
    }
}

static void link_message(struct kw__memory *memory, struct kw__memory_message *message, const struct kw_store_fan *fan,
                         int64_t now_ms)
{
    kw__tree_insert(&memory->messages, &message->by_sequence);
    for (size_t i = 0; i < fan->target_count; i++) {
        struct kw__memory_delivery *one = &message->deliveries[i];
        one->of = message;
        one->delivery = (struct kw_store_delivery){.channel = fan->targets[i].channel,
                                                   .sequence = message->sequence,
                                                   .is_ordered = fan->targets[i].is_ordered,
                                                   .state = KW_DELIVERY_DONE,
                                                   .message = message->message};
        kw__tree_insert(&memory->deliveries, &one->by_channel);
        begin_waiting(memory, one, now_ms);
    }
}

enum kw_status kw__memory_deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                         int64_t now_ms)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_fans(fans, count);
    if (status != KW_OK || count == 0) {
        return status;
    }
    struct kw__memory_message **made = kw_alloc(count, sizeof(void *));
    for (size_t i = 0; made != NULL && i < count && status == KW_OK; i++) {
        made[i] = fans[i].target_count == 0 ? NULL : new_message(&fans[i]);
        status = made[i] == NULL && fans[i].target_count > 0 ? KW_E_MEMORY : KW_OK;
    }
    status = made == NULL ? KW_E_MEMORY : status;
    pthread_rwlock_wrlock(&memory->lock);
    for (size_t i = 0; made != NULL && i < count; i++) {
        uint64_t sequence = status == KW_OK ? kw__memory_settle_event(memory, &fans[i].message.id) : 0;
        if (sequence == 0) {
            free_message(made[i]);
        } else if (made[i] != NULL) {
            made[i]->sequence = sequence;
            link_message(memory, made[i], &fans[i], now_ms);
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    kw_free(made);
    return status;
}

/* --- claiming and settling --- */

/* The first of a channel in this state. */
static struct kw__memory_delivery *first_due(struct kw__memory *memory, uint64_t channel, enum kw_delivery_state state,
                                             int64_t now_ms)
{
    struct kw__memory_delivery probe = {
        .delivery = {.channel = channel, .state = state, .due_ms = INT64_MIN, .sequence = 0}};
    const struct kw__tree_node *node = kw__tree_after(&memory->deliveries_by_due, &probe.by_due);
    struct kw__memory_delivery *found = node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_delivery, by_due);
    bool is_due = found != NULL && found->delivery.channel == channel && found->delivery.state == state &&
                  found->delivery.due_ms <= now_ms;
    return is_due ? found : NULL;
}

enum kw_status kw__memory_deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                           size_t limit, kw_store_delivery_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__store_check_channel(channel) : status;
    if (status != KW_OK || until_ms <= now_ms) {
        return status == KW_OK ? KW_E_INVALID : status;
    }
    pthread_rwlock_wrlock(&memory->lock);
    for (size_t given = 0; given < limit; given++) {
        struct kw__memory_delivery *next = first_due(memory, channel, KW_DELIVERY_CLAIMED, now_ms);
        next = next != NULL ? next : first_due(memory, channel, KW_DELIVERY_WAITING, now_ms);
        if (next == NULL) {
            break;
        }
        set_state(memory, next, KW_DELIVERY_CLAIMED, until_ms);
        status = status == KW_OK ? sink(context, &next->delivery) : status;
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

static struct kw__memory_delivery *find(struct kw__memory *memory, uint64_t channel, uint64_t sequence)
{
    struct kw__memory_delivery probe = {.delivery = {.channel = channel, .sequence = sequence}};
    struct kw__tree_node *node = kw__tree_find(&memory->deliveries, &probe.by_channel);
    return node == NULL ? NULL : owner_by_channel(node);
}

static void settle_one(struct kw__memory *memory, const struct kw_store_settled *settled, uint8_t *tries_take,
                       int64_t now_ms)
{
    struct kw__memory_delivery *one = find(memory, settled->channel, settled->sequence);
    if (one == NULL || one->delivery.state != KW_DELIVERY_CLAIMED) {
        kw_free(tries_take);
        return;
    }
    kw_free((void *)(uintptr_t)one->delivery.tries.data);
    one->delivery.tries = kw_bytes_of(tries_take, settled->tries.size);
    one->delivery.attempts = settled->attempts;
    set_state(memory, one, settled->state, settled->due_ms);
    if (has_ended(&one->delivery)) {
        let_next_go(memory, &one->delivery, now_ms);
    }
}

enum kw_status kw__memory_deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled,
                                            size_t count, int64_t now_ms)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_settled(settled, count);
    if (status != KW_OK || count == 0) {
        return status;
    }
    uint8_t **tries = kw_alloc(count, sizeof(void *));
    status = tries == NULL ? KW_E_MEMORY : KW_OK;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        tries[i] = kw_alloc(1, settled[i].tries.size + 1);
        status = tries[i] == NULL ? KW_E_MEMORY : KW_OK;
        if (status == KW_OK && settled[i].tries.size > 0) {
            memcpy(tries[i], settled[i].tries.data, settled[i].tries.size);
        }
    }
    pthread_rwlock_wrlock(&memory->lock);
    for (size_t i = 0; tries != NULL && i < count; i++) {
        if (status == KW_OK) {
            settle_one(memory, &settled[i], tries[i], now_ms);
        } else {
            kw_free(tries[i]);
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    kw_free(tries);
    return status;
}

enum kw_status kw__memory_deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_delivery *claimed = NULL;
    enum kw_status status = kw__store_check_channel(channel);
    pthread_rwlock_wrlock(&memory->lock);
    while (status == KW_OK && (claimed = first_due(memory, channel, KW_DELIVERY_CLAIMED, INT64_MAX)) != NULL) {
        set_state(memory, claimed, KW_DELIVERY_WAITING, now_ms);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

/* --- lists, replays, pruning --- */

static struct kw__memory_delivery *next_listed(struct kw__memory *memory, const struct kw_store_delivery_filter *filter,
                                               const struct kw__memory_delivery *behind)
{
    uint64_t below = filter->sequence != 0 ? filter->sequence + 1 : filter->before == 0 ? UINT64_MAX : filter->before;
    struct kw__memory_delivery probe = {.delivery = {.channel = filter->channel, .sequence = below}};
    const struct kw__tree_node *node =
        kw__tree_before(&memory->deliveries, behind == NULL ? &probe.by_channel : &behind->by_channel);
    struct kw__memory_delivery *found = node == NULL ? NULL : owner_by_channel(node);
    bool is_in = found != NULL && found->delivery.channel == filter->channel &&
                 (filter->sequence == 0 || found->delivery.sequence == filter->sequence);
    return is_in ? found : NULL;
}

static bool is_wanted(const struct kw_store_delivery_filter *filter, const struct kw_store_delivery *delivery)
{
    return kw__store_wants_state(filter, delivery->state) && delivery->message.at_ms >= filter->from_ms;
}

static enum kw_status check_filter(const struct kw_store_delivery_filter *filter)
{
    enum kw_status status = kw__store_check_limit(filter->limit);
    return status == KW_OK ? kw__store_check_channel(filter->channel) : status;
}

enum kw_status kw__memory_deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                          kw_store_delivery_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = check_filter(filter);
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_rdlock(&memory->lock);
    size_t given = 0;
    struct kw__memory_delivery *one = next_listed(memory, filter, NULL);
    for (; one != NULL && given < filter->limit && status == KW_OK; one = next_listed(memory, filter, one)) {
        if (is_wanted(filter, &one->delivery)) {
            status = sink(context, &one->delivery);
            given++;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                            int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = check_filter(filter);
    if (status != KW_OK) {
        return status;
    }
    uint64_t replayed = 0, reached = 0;
    size_t seen = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__memory_delivery *one = next_listed(memory, filter, NULL);
    for (; one != NULL && seen < filter->limit; one = next_listed(memory, filter, one), seen++) {
        reached = one->delivery.sequence;
        if (is_wanted(filter, &one->delivery) && has_ended(&one->delivery)) {
            one->delivery.attempts = 0;
            begin_waiting(memory, one, now_ms);
            replayed++;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    *replayed_out = replayed;
    *reached_out = one == NULL || filter->sequence != 0 ? 0 : reached;
    return KW_OK;
}

static void drop_message(struct kw__memory *memory, struct kw__memory_message *message, int64_t now_ms)
{
    for (size_t i = 0; i < message->delivery_count; i++) {
        struct kw__memory_delivery *one = &message->deliveries[i];
        unlink_state(memory, one);
        kw__tree_remove(&memory->deliveries, &one->by_channel);
        let_next_go(memory, &one->delivery, now_ms);
    }
    kw__tree_remove(&memory->messages, &message->by_sequence);
    free_message(message);
}

static struct kw__memory_message *first_message(struct kw__memory *memory)
{
    struct kw__memory_message probe = {.sequence = 0};
    struct kw__tree_node *node = kw__tree_after(&memory->messages, &probe.by_sequence);
    return node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_message, by_sequence);
}

enum kw_status kw__memory_deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                           uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__memory_message *first = first_message(memory);
    while (first != NULL && removed < limit && first->message.at_ms < before_ms) {
        drop_message(memory, first, before_ms);
        removed++;
        first = first_message(memory);
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}

void kw__memory_free_messages(struct kw__memory *memory)
{
    struct kw__memory_message *first = first_message(memory);
    for (; first != NULL; first = first_message(memory)) {
        kw__tree_remove(&memory->messages, &first->by_sequence);
        free_message(first);
    }
}
