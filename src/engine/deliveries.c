#include "engine/webhooks.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/id.h"
#include "core/transition.h"

#define REPLAY_ROUNDS_MAX 1000 /* of a thousand deliveries each */

static const char *const state_names[] = {
    [KW_DELIVERY_WAITING] = "waiting", [KW_DELIVERY_CLAIMED] = "sending", [KW_DELIVERY_HELD] = "held",
    [KW_DELIVERY_DONE] = "delivered",  [KW_DELIVERY_FAILED] = "failed",
};

bool kw_delivery_state_of_name(struct kw_bytes name, enum kw_delivery_state *state_out)
{
    for (size_t i = 0; i < KW_COUNT_OF(state_names); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(state_names[i]))) {
            *state_out = (enum kw_delivery_state)i;
            return true;
        }
    }
    return false;
}

/* The channel of the webhook, or that channel, that the operation names. */
static enum kw_status find_channel(struct kw_engine *engine, struct kw_op *op, uint64_t *channel_out)
{
    bool is_channel = op->document == KW_DOCUMENT_CHANNEL;
    kw_engine_read_begin();
    const struct kw_catalog *catalog = kw_engine_catalog(engine);
    const struct kw_project *project = kw_project_by_number(catalog, op->project);
    const struct kw_document *document =
        project == NULL
            ? NULL
            : kw_catalog_find(catalog, is_channel ? KW_DOCUMENT_CHANNEL : KW_DOCUMENT_WEBHOOK, project->name, op->name);
    *channel_out = document == NULL ? 0
                   : is_channel     ? document->is.channel.subscription.channel
                                    : document->is.webhook.subscription.channel;
    kw_engine_read_end();
    return document != NULL ? KW_OK
           : is_channel     ? kw_refuse(&op->error, KW_CODE_CHANNEL_NOT_FOUND, NULL, "there is no such channel")
                            : kw_refuse(&op->error, KW_CODE_WEBHOOK_NOT_FOUND, NULL, "there is no such webhook");
}

static void write_time(struct kw_json_writer *json, const char *name, int64_t at_ms)
{
    char text[KW_TIME_TEXT_SIZE];
    kw_time_format(at_ms, text);
    kw_json_name(json, name);
    kw_json_string(json, kw_bytes_of(text, sizeof text));
}

struct page {
    struct kw_json_writer json;
    uint64_t last;
    size_t count;
};

static enum kw_status write_delivery(void *context, const struct kw_store_delivery *delivery)
{
    struct page *page = context;
    struct kw_json_writer *json = &page->json;
    char id[KW_EVENT_ID_TEXT_SIZE];
    uint8_t memory[24];
    struct kw_buffer number;
    kw_buffer_init_fixed(&number, memory, sizeof memory);
    kw_buffer_add_u64(&number, delivery->sequence);
    kw_event_id_format(&delivery->message.id, id);
    kw_json_begin_object(json);
    kw_json_name(json, "id");
    kw_json_string(json, kw_buffer_bytes(&number));
    kw_json_name(json, "eventId");
    kw_json_string(json, kw_bytes_of(id, sizeof id));
    kw_json_name(json, "event");
    kw_json_string(json, delivery->message.type);
    write_time(json, "timestamp", delivery->message.at_ms);
    kw_json_name(json, "state");
    kw_json_text(json, state_names[delivery->state]);
    kw_json_name(json, "attempts");
    kw_json_i64(json, delivery->attempts);
    if (delivery->state == KW_DELIVERY_WAITING) {
        write_time(json, "nextAttemptAt", delivery->due_ms);
    }
    kw_json_name(json, "tries");
    kw_tries_write(delivery->tries, json);
    kw_json_end_object(json);
    page->last = delivery->sequence;
    page->count++;
    return kw_buffer_status(json->buffer);
}

static enum kw_status list(struct kw_engine *engine, struct kw_op *op, const struct kw_store_delivery_filter *filter)
{
    struct page page = {.last = 0};
    bool is_one = filter->sequence != 0;
    kw_json_writer_init(&page.json, &op->result);
    if (!is_one) {
        kw_json_begin_object(&page.json);
        kw_json_name(&page.json, "items");
        kw_json_begin_array(&page.json);
    }
    enum kw_status status = engine->store->ops->deliveries_list(engine->store, filter, write_delivery, &page);
    if (status == KW_OK && is_one && page.count == 0) {
        return kw_refuse(&op->error, KW_CODE_DELIVERY_NOT_FOUND, NULL, "there is no such delivery, or no more");
    }
    if (!is_one) {
        kw_json_end_array(&page.json);
    }
    if (!is_one && page.count == filter->limit) {
        uint8_t memory[24];
        struct kw_buffer number;
        kw_buffer_init_fixed(&number, memory, sizeof memory);
        kw_buffer_add_u64(&number, page.last);
        kw_json_name(&page.json, "nextCursor");
        kw_json_string(&page.json, kw_buffer_bytes(&number));
    }
    if (!is_one) {
        kw_json_end_object(&page.json);
    }
    status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

enum kw_status kw__deliveries_read(struct kw_engine *engine, struct kw_op *op)
{
    const struct kw_delivery_query *query = op->deliveries;
    struct kw_store_delivery_filter filter = {.sequence = query->sequence,
                                              .before = query->before,
                                              .from_ms = query->from_ms,
                                              .states = query->states,
                                              .limit = query->limit == 0 ? 1 : query->limit};
    enum kw_status status = find_channel(engine, op, &filter.channel);
    return status == KW_OK ? list(engine, op, &filter) : status;
}

static enum kw_status see_one(void *context, const struct kw_store_delivery *delivery)
{
    (void)delivery;
    *(bool *)context = true;
    return KW_OK;
}

enum kw_status kw__deliveries_replay(struct kw_engine *engine, struct kw_op *op)
{
    const struct kw_delivery_query *query = op->deliveries;
    struct kw_store *store = engine->store;
    struct kw_store_delivery_filter filter = {
        .sequence = query->sequence, .from_ms = query->from_ms, .states = query->states, .limit = KW_STORE_LIST_MAX};
    bool is_there = query->sequence == 0;
    uint64_t all = 0;
    enum kw_status status = find_channel(engine, op, &filter.channel);
    if (status != KW_OK) {
        return status;
    }
    status = is_there ? KW_OK : store->ops->deliveries_list(store, &filter, see_one, &is_there);
    if (status == KW_OK && !is_there) {
        return kw_refuse(&op->error, KW_CODE_DELIVERY_NOT_FOUND, NULL, "there is no such delivery, or no more");
    }
    bool more = true;
    for (size_t i = 0; status == KW_OK && more && i < REPLAY_ROUNDS_MAX; i++) {
        uint64_t some = 0;
        status = store->ops->deliveries_replay(store, &filter, op->now_ms, &some, &filter.before);
        all += status == KW_OK ? some : 0;
        more = filter.before != 0;
    }
    struct kw_json_writer json;
    kw_json_writer_init(&json, &op->result);
    kw_json_begin_object(&json);
    kw_json_name(&json, "replayed");
    kw_json_i64(&json, (int64_t)all);
    kw_json_end_object(&json);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
