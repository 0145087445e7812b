#include "notify/internal.h"

#include "base/bytes.h"

#include <stdio.h>

#define CLAIM_MS INT64_C(3600000) /* longer than anything that is claimed waits here */
#define LOOK_MS 500               /* how often it is looked for retries that have become due */
#define FAILURES_BEFORE_REST 5
#define REST_MS 1000
#define SETTLED_TOGETHER 500

/* --- signing --- */

enum kw_status kw__sign(struct kw__endpoint *endpoint, struct kw_bytes id, struct kw_bytes body, int64_t now_ms,
                        char headers[3][KW__HEADER_MAX])
{
    struct kw_buffer value;
    struct kw_signed_message message = {.id = id, .timestamp_s = now_ms / 1000, .body = body};
    kw_buffer_init_fixed(&value, headers[2], KW__HEADER_MAX - 1);
    /* The header's name first: signatures are put behind with a space, which a header's value may begin with. */
    kw_buffer_add_text(&value, "webhook-signature:");
    enum kw_status status = kw_signing_sign(&endpoint->signing, endpoint->signature, &message, now_ms, &value);
    headers[2][value.size] = '\0';
    snprintf(headers[0], KW__HEADER_MAX, "webhook-id: %.*s", (int)id.size, (const char *)id.data);
    snprintf(headers[1], KW__HEADER_MAX, "webhook-timestamp: %lld", (long long)message.timestamp_s);
    return status;
}

/* --- claiming --- */

struct claiming {
    struct kw_notify *notify;
    struct kw__endpoint *endpoint;
    size_t count;
};

void kw__item_free(struct kw__item *item)
{
    kw_buffer_deinit(&item->tries_after);
    kw_free(item);
}

static enum kw_status take(void *context, const struct kw_store_delivery *delivery)
{
    struct claiming *claiming = context;
    struct kw__endpoint *endpoint = claiming->endpoint;
    struct kw__item *item = kw_alloc(1, sizeof *item + delivery->message.body.size + delivery->tries.size);
    claiming->count++;
    if (item == NULL) {
        return KW_OK; /* it comes again when the claim has run out */
    }
    uint8_t *text = (uint8_t *)(item + 1);
    memcpy(text, delivery->message.body.data, delivery->message.body.size);
    item->body = kw_bytes_of(text, delivery->message.body.size);
    if (delivery->tries.size > 0) {
        memcpy(text + item->body.size, delivery->tries.data, delivery->tries.size);
    }
    item->tries = kw_bytes_of(text + item->body.size, delivery->tries.size);
    item->notify = claiming->notify;
    item->endpoint = endpoint;
    item->sequence = delivery->sequence;
    item->attempts = delivery->attempts;
    item->id = delivery->message.id;
    kw_buffer_init(&item->tries_after, KW_STORE_TRIES_MAX);
    if (endpoint->last == NULL) {
        endpoint->first = item;
    } else {
        endpoint->last->next = item;
    }
    endpoint->last = item;
    endpoint->queued++;
    return KW_OK;
}

void kw__claim(struct kw_notify *notify, struct kw__endpoint *endpoint)
{
    int64_t now_ms = kw__notify_now(notify);
    struct kw_engine *engine = notify->options.engine;
    if (endpoint->queued >= KW_NOTIFY_CLAIMED_MAX / 2 || now_ms < endpoint->look_at_ms) {
        return;
    }
    if (!endpoint->is_released) {
        endpoint->is_released = kw_engine_deliveries_release(engine, endpoint->channel) == KW_OK;
    }
    struct claiming claiming = {.notify = notify, .endpoint = endpoint};
    size_t room = KW_NOTIFY_CLAIMED_MAX - endpoint->queued;
    enum kw_status status = KW_E_UNAVAILABLE;
    if (endpoint->is_released) {
        status = kw_engine_deliveries_claim(engine, endpoint->channel, now_ms + CLAIM_MS, room, take, &claiming);
    }
    /* A full claim says that there is more. */
    endpoint->look_at_ms = status == KW_OK && claiming.count == room ? 0 : now_ms + LOOK_MS;
}

/* --- sending --- */

static void end_item(struct kw__item *item, enum kw_delivery_state state, int64_t due_ms)
{
    struct kw_notify *notify = item->notify;
    item->state = state;
    item->due_ms = due_ms;
    item->next = notify->ended;
    notify->ended = item;
    notify->ended_count++;
}

static int64_t first_try_ms(const struct kw__item *item)
{
    struct kw_bytes rest = item->tries;
    struct kw_try one;
    size_t skip = kw_tries_count(rest) > item->attempts ? kw_tries_count(rest) - item->attempts : 0;
    bool is_there = kw_tries_next(&rest, &one);
    while (is_there && skip > 0) { /* those from before a replay */
        is_there = kw_tries_next(&rest, &one);
        skip--;
    }
    return is_there && item->attempts > 0 ? one.at_ms : item->started_ms;
}

/* One that fails again and again rests, so that it costs nobody else anything. */
static void note_failure(struct kw__item *item, int64_t now_ms, int64_t retry_after_ms)
{
    struct kw__endpoint *endpoint = item->endpoint;
    struct kw_notify *notify = item->notify;
    uint16_t http_status = item->request.http_status;
    endpoint->failures++;
    int64_t rest_ms = 0;
    if (endpoint->failures >= FAILURES_BEFORE_REST) {
        unsigned more = endpoint->failures - FAILURES_BEFORE_REST;
        rest_ms = more >= 6 ? KW_NOTIFY_REST_MAX_MS : (int64_t)REST_MS << more;
    }
    if ((http_status == 429 || http_status == 503) && retry_after_ms > rest_ms) {
        rest_ms = retry_after_ms;
    }
    if (now_ms + rest_ms > endpoint->rest_until_ms) {
        endpoint->rest_until_ms = now_ms + rest_ms;
    }
    int64_t since_ms = first_try_ms(item);
    if (now_ms - since_ms < notify->options.pause_after_ms || endpoint->is_stopping ||
        endpoint->delivered_ms >= since_ms) {
        return;
    }
    int64_t delivered_ms = 0;
    if (kw_engine_last_delivered(notify->options.engine, endpoint->channel, &delivered_ms) == KW_OK &&
        delivered_ms < since_ms) {
        kw__endpoint_stop(notify, endpoint, KW_SUBSCRIPTION_PAUSED,
                          "it has failed for long: see its deliveries, and enable it again");
    }
}

static void end_failed(struct kw__item *item, int64_t now_ms)
{
    struct kw_notify *notify = item->notify;
    struct kw_retry retry = {.first_ms = first_try_ms(item), .now_ms = now_ms, .attempts = item->attempts + 1};
    int64_t due_ms = 0;
    retry.retry_after_ms = kw_retry_after(kw_bytes_of_text(item->request.retry_after), now_ms);
    if (notify->options.entropy.draw(notify->options.entropy.context, (uint8_t *)&retry.random, sizeof retry.random) !=
        KW_OK) {
        retry.random = 0;
    }
    note_failure(item, now_ms, retry.retry_after_ms);
    bool again = item->request.http_status != 410 && kw_retry_next(&retry, &due_ms);
    item->attempts++;
    end_item(item, again ? KW_DELIVERY_WAITING : KW_DELIVERY_FAILED, due_ms);
}

static void sent(struct kw_outgoing_request *request)
{
    struct kw__item *item = request->context;
    struct kw__endpoint *endpoint = item->endpoint;
    struct kw_notify *notify = item->notify;
    int64_t now_ms = kw__notify_now(notify);
    char other[64] = "";
    endpoint->under_way--;
    if (kw__notify_stops(notify) && request->http_status == 0) {
        kw__item_free(item); /* its claim ends with this life */
        return;
    }
    bool good = request->http_status >= 200 && request->http_status < 300;
    if (!good && request->http_status != 0) {
        snprintf(other, sizeof other, "the endpoint answered with %u", request->http_status);
    }
    struct kw_try one = {.at_ms = item->started_ms,
                         .duration_ms = request->duration_ms,
                         .http_status = request->http_status,
                         .error = kw_bytes_of_text(request->http_status == 0 ? request->error : other),
                         .answer = kw_bytes_of(request->answer, request->answer_size)};
    kw_tries_add(item->tries, &one, &item->tries_after);
    if (good) {
        item->attempts++;
        endpoint->failures = 0;
        endpoint->rest_until_ms = 0;
        endpoint->delivered_ms = now_ms;
        end_item(item, KW_DELIVERY_DONE, 0);
        return;
    }
    if (request->http_status == 410) {
        kw__endpoint_stop(notify, endpoint, KW_SUBSCRIPTION_DISABLED, "its endpoint answered 410 Gone");
    }
    end_failed(item, now_ms);
}

static enum kw_status begin(struct kw_notify *notify, struct kw__item *item)
{
    struct kw__endpoint *endpoint = item->endpoint;
    char id[KW_EVENT_ID_TEXT_SIZE];
    enum kw_status status = kw__endpoint_signing(notify, endpoint);
    kw_event_id_format(&item->id, id);
    item->started_ms = kw__notify_now(notify);
    if (status == KW_OK) {
        status = kw__sign(endpoint, kw_bytes_of(id, sizeof id), item->body, item->started_ms, item->headers);
    }
    item->request = (struct kw_outgoing_request){.url = endpoint->url,
                                                 .body = item->body,
                                                 .headers = {item->headers[0], item->headers[1], item->headers[2]},
                                                 .timeout_ms = endpoint->timeout_ms,
                                                 .done = sent,
                                                 .context = item};
    return status == KW_OK ? kw_outgoing_send(notify->outgoing, &item->request) : status;
}

void kw__send_some(struct kw_notify *notify, struct kw__endpoint *endpoint)
{
    int64_t now_ms = kw__notify_now(notify);
    size_t most = endpoint->failures >= FAILURES_BEFORE_REST ? 1 : KW_NOTIFY_UNDER_WAY_MAX;
    while (endpoint->first != NULL && endpoint->under_way < most && now_ms >= endpoint->rest_until_ms) {
        struct kw__item *item = endpoint->first;
        if (begin(notify, item) != KW_OK) {
            endpoint->rest_until_ms = now_ms + REST_MS; /* no memory, or its secrets cannot be read */
            return;
        }
        endpoint->first = item->next;
        endpoint->last = endpoint->first == NULL ? NULL : endpoint->last;
        endpoint->queued--;
        endpoint->under_way++;
    }
}

/* --- what became of them --- */

void kw__give_back(struct kw_notify *notify, struct kw__endpoint *endpoint)
{
    int64_t now_ms = kw__notify_now(notify);
    while (endpoint->first != NULL) {
        struct kw__item *item = endpoint->first;
        endpoint->first = item->next;
        kw_buffer_add(&item->tries_after, item->tries);
        end_item(item, KW_DELIVERY_WAITING, now_ms);
    }
    endpoint->last = NULL;
    endpoint->queued = 0;
}

void kw__settle(struct kw_notify *notify)
{
    struct kw_store_settled settled[SETTLED_TOGETHER];
    while (notify->ended != NULL) {
        size_t count = 0;
        struct kw__item *item = notify->ended;
        for (; item != NULL && count < SETTLED_TOGETHER; item = item->next) {
            settled[count++] = (struct kw_store_settled){.channel = item->endpoint->channel,
                                                         .sequence = item->sequence,
                                                         .state = item->state,
                                                         .due_ms = item->due_ms,
                                                         .attempts = item->attempts,
                                                         .tries = kw_buffer_bytes(&item->tries_after)};
        }
        /* Where the store cannot say whether it was done, it is told once more: what was done stays so. */
        if (kw_engine_deliveries_settle(notify->options.engine, settled, count) != KW_OK) {
            return;
        }
        for (; count > 0; count--) {
            item = notify->ended;
            notify->ended = item->next;
            notify->ended_count--;
            item->endpoint->look_at_ms = 0; /* the next of its key may be due */
            kw__item_free(item);
        }
    }
}
