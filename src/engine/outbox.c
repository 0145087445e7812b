#include "engine/tell.h"
#include "engine/webhooks.h"

#include "base/bytes.h"
#include "core/id.h"

#define BODIES_MAX ((size_t)64 * 1024 * 1024) /* of all events that become deliveries together */
#define LOOKED_AT 100                         /* deliveries that are looked through for the last that succeeded */
#define PRUNED_TOGETHER 1000

uint64_t kw_engine_catalog_version(const struct kw_engine *engine)
{
    return __atomic_load_n(&engine->catalog_version, __ATOMIC_ACQUIRE);
}

uint64_t kw_engine_commit_count(const struct kw_engine *engine)
{
    return __atomic_load_n(&engine->commits, __ATOMIC_ACQUIRE);
}

void kw__documents_each(struct kw_engine *engine, enum kw_document_kind kind, kw_webhook_sink *each, void *context)
{
    const struct kw_bytes none = {NULL, 0};
    kw_engine_read_begin();
    const struct kw_catalog *catalog = kw_engine_catalog(engine);
    const struct kw_document *project = kw_catalog_after(catalog, KW_DOCUMENT_PROJECT, none, none);
    for (; project != NULL; project = kw_catalog_after(catalog, KW_DOCUMENT_PROJECT, none, project->name)) {
        const struct kw_document *document = kw_catalog_after(catalog, kind, project->name, none);
        for (; document != NULL; document = kw_catalog_after(catalog, kind, project->name, document->name)) {
            each(context, project->name, document);
        }
    }
    kw_engine_read_end();
}

void kw_engine_webhooks(struct kw_engine *engine, kw_webhook_sink *each, void *context)
{
    kw__documents_each(engine, KW_DOCUMENT_WEBHOOK, each, context);
}

/* --- events become deliveries --- */

struct fanning {
    struct kw_engine *engine;
    struct kw_arena arena;
    struct kw_store_fan fans[KW_FAN_TOGETHER];
    size_t count;
};

/* Whom an event goes to, in the arena. */
static enum kw_status choose_targets(struct fanning *fanning, const struct kw_event *event, struct kw_store_fan *fan)
{
    struct kw_store_target targets[KW_WEBHOOK_COUNT_MAX + KW_CHANNEL_COUNT_MAX];
    const struct kw_bytes none = {NULL, 0};
    size_t count = 0;
    kw_engine_read_begin();
    const struct kw_catalog *catalog = kw_engine_catalog(fanning->engine);
    const struct kw_document *webhook = kw_catalog_after(catalog, KW_DOCUMENT_WEBHOOK, event->project, none);
    while (webhook != NULL && count < KW_WEBHOOK_COUNT_MAX) {
        const struct kw_webhook *is = &webhook->is.webhook;
        if (kw_subscription_wants(&is->subscription, event)) {
            targets[count++] = (struct kw_store_target){is->subscription.channel, is->is_ordered};
        }
        webhook = kw_catalog_after(catalog, KW_DOCUMENT_WEBHOOK, event->project, webhook->name);
    }
    const struct kw_document *channel = kw_catalog_after(catalog, KW_DOCUMENT_CHANNEL, event->project, none);
    while (channel != NULL && count < KW_COUNT_OF(targets)) {
        const struct kw_channel *is = &channel->is.channel;
        if (kw_subscription_wants(&is->subscription, event)) {
            targets[count++] = (struct kw_store_target){is->subscription.channel, false};
        }
        channel = kw_catalog_after(catalog, KW_DOCUMENT_CHANNEL, event->project, channel->name);
    }
    kw_engine_read_end();
    struct kw_bytes copy = {NULL, 0};
    enum kw_status status = KW_OK;
    if (count > 0) {
        status = kw_arena_copy(&fanning->arena, kw_bytes_of(targets, count * sizeof *targets), &copy);
    }
    fan->targets = (const void *)copy.data;
    fan->target_count = count;
    return status;
}

static enum kw_status write_message(struct fanning *fanning, const struct kw_event *event,
                                    struct kw_store_message *message)
{
    struct kw_buffer text;
    struct kw_json_writer json;
    kw_buffer_init(&text, KW_STORE_BODY_MAX);
    kw_json_writer_init(&json, &text);
    kw_event_write_message(event, &json);
    enum kw_status status = kw_buffer_status(&text);
    status = status == KW_OK ? kw_arena_copy(&fanning->arena, kw_buffer_bytes(&text), &message->body) : status;
    status = status == KW_OK ? kw_arena_copy(&fanning->arena, event->type, &message->type) : status;
    kw_buffer_deinit(&text);
    return status;
}

static enum kw_status take_event(void *context, const struct kw_store_event *row)
{
    struct fanning *fanning = context;
    struct kw_store_fan *fan = &fanning->fans[fanning->count];
    struct kw_event event = kw__event_of(row);
    *fan = (struct kw_store_fan){.message = {.id = row->id, .at_ms = row->at_ms, .key_id = row->key_id}};
    enum kw_status status = choose_targets(fanning, &event, fan);
    if (status == KW_OK && fan->target_count > 0) {
        status = write_message(fanning, &event, &fan->message);
    }
    fanning->count += status == KW_OK;
    /* Without memory for more, those before it go first. */
    return status;
}

/*
 * All that is not settled is taken, claimed or not: whoever claimed it was this thread, or one of a life that has
 * ended, and what it did not come to must not be overtaken.
 */
enum kw_status kw_engine_fan_out(struct kw_engine *engine, size_t *count_out)
{
    struct kw_store *store = engine->store;
    struct fanning *fanning = kw_alloc(1, sizeof *fanning);
    if (fanning == NULL) {
        return KW_E_MEMORY;
    }
    fanning->engine = engine;
    kw_arena_init(&fanning->arena, NULL, 0, BODIES_MAX);
    enum kw_status status =
        store->ops->events_claim(store, INT64_MAX - 1, INT64_MAX - 1, KW_FAN_TOGETHER, take_event, fanning);
    size_t count = fanning->count;
    if (status == KW_OK || count > 0) {
        status = store->ops->deliveries_add(store, fanning->fans, count, kw_engine_now_ms(engine));
    }
    kw_arena_reset(&fanning->arena);
    kw_free(fanning);
    if (status == KW_OK) {
        *count_out = count;
    }
    return status;
}

/* --- claims --- */

enum kw_status kw_engine_deliveries_claim(struct kw_engine *engine, uint64_t channel, int64_t until_ms, size_t limit,
                                          kw_store_delivery_sink *sink, void *context)
{
    struct kw_store *store = engine->store;
    return store->ops->deliveries_claim(store, channel, kw_engine_now_ms(engine), until_ms, limit, sink, context);
}

enum kw_status kw_engine_deliveries_settle(struct kw_engine *engine, const struct kw_store_settled *settled,
                                           size_t count)
{
    return engine->store->ops->deliveries_settle(engine->store, settled, count, kw_engine_now_ms(engine));
}

enum kw_status kw_engine_deliveries_release(struct kw_engine *engine, uint64_t channel)
{
    return engine->store->ops->deliveries_release(engine->store, channel, kw_engine_now_ms(engine));
}

enum kw_status kw_engine_deliveries_prune(struct kw_engine *engine, uint64_t *removed_out)
{
    int64_t before_ms = kw_engine_now_ms(engine) - KW_DELIVERY_RETENTION_MS;
    return engine->store->ops->deliveries_prune(engine->store, before_ms, PRUNED_TOGETHER, removed_out);
}

static enum kw_status see_delivered(void *context, const struct kw_store_delivery *delivery)
{
    int64_t *latest_ms = context;
    struct kw_bytes rest = delivery->tries;
    struct kw_try one;
    while (kw_tries_next(&rest, &one)) {
        bool counts = one.error.size == 0 && one.at_ms > *latest_ms;
        *latest_ms = counts ? one.at_ms : *latest_ms;
    }
    return KW_OK;
}

enum kw_status kw_engine_last_delivered(struct kw_engine *engine, uint64_t channel, int64_t *at_ms_out)
{
    int64_t latest_ms = 0;
    struct kw_store_delivery_filter filter = {
        .channel = channel, .states = UINT32_C(1) << KW_DELIVERY_DONE, .limit = LOOKED_AT};
    enum kw_status status = engine->store->ops->deliveries_list(engine->store, &filter, see_delivered, &latest_ms);
    if (status == KW_OK) {
        *at_ms_out = latest_ms;
    }
    return status;
}
