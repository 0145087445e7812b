#include "notify/internal.h"

#include "base/bytes.h"

#include <stdio.h>

static struct kw_bytes project_of(const struct kw__endpoint *endpoint)
{
    return kw_bytes_of(endpoint->project, endpoint->project_size);
}

static struct kw_bytes name_of(const struct kw__endpoint *endpoint)
{
    return kw_bytes_of(endpoint->name, endpoint->name_size);
}

struct kw__endpoint *kw__endpoint_find(struct kw_notify *notify, struct kw_bytes project, struct kw_bytes name)
{
    for (size_t i = 0; i < notify->endpoint_count; i++) {
        struct kw__endpoint *endpoint = notify->endpoints[i];
        if (endpoint->is_there && kw_bytes_equal(name_of(endpoint), name) &&
            kw_bytes_equal(project_of(endpoint), project)) {
            return endpoint;
        }
    }
    return NULL;
}

static struct kw__endpoint *find_channel(struct kw_notify *notify, uint64_t channel)
{
    for (size_t i = 0; i < notify->endpoint_count; i++) {
        if (notify->endpoints[i]->channel == channel) {
            return notify->endpoints[i];
        }
    }
    return NULL;
}

static struct kw__endpoint *add(struct kw_notify *notify, uint64_t channel)
{
    if (notify->endpoint_count == notify->endpoint_room) {
        size_t room = notify->endpoint_room == 0 ? 16 : 2 * notify->endpoint_room;
        struct kw__endpoint **longer = kw_realloc((void *)notify->endpoints, room * sizeof(void *));
        if (longer == NULL) {
            return NULL;
        }
        notify->endpoints = longer;
        notify->endpoint_room = room;
    }
    struct kw__endpoint *endpoint = kw_alloc(1, sizeof *endpoint);
    if (endpoint != NULL) {
        endpoint->channel = channel;
        notify->endpoints[notify->endpoint_count++] = endpoint;
    }
    return endpoint;
}

static void see_webhook(void *context, struct kw_bytes project, const struct kw_document *document)
{
    struct kw_notify *notify = context;
    const struct kw_webhook *webhook = &document->is.webhook;
    struct kw__endpoint *endpoint = find_channel(notify, webhook->subscription.channel);
    endpoint = endpoint != NULL ? endpoint : add(notify, webhook->subscription.channel);
    if (endpoint == NULL) {
        notify->is_loaded = false; /* no memory: another time */
        return;
    }
    endpoint->is_there = true;
    if (endpoint->version == document->version) {
        return;
    }
    bool was_active = endpoint->version != 0 && endpoint->status == KW_SUBSCRIPTION_ACTIVE;
    memcpy(endpoint->project, project.data, project.size);
    memcpy(endpoint->name, webhook->name.data, webhook->name.size);
    memcpy(endpoint->url, webhook->url.data, webhook->url.size);
    endpoint->url[webhook->url.size] = '\0';
    endpoint->project_size = project.size;
    endpoint->name_size = webhook->name.size;
    endpoint->timeout_ms = webhook->timeout_ms;
    endpoint->signature = webhook->signature;
    endpoint->status = webhook->subscription.status;
    endpoint->version = document->version;
    endpoint->has_signing = endpoint->is_stopping = false;
    endpoint->look_at_ms = 0;
    if (!was_active) {
        endpoint->failures = 0;
        endpoint->rest_until_ms = 0;
    }
}

static void drop(struct kw_notify *notify, size_t index)
{
    struct kw__endpoint *endpoint = notify->endpoints[index];
    kw__give_back(notify, endpoint);
    if (endpoint->under_way > 0 || notify->ended_count > 0) {
        return; /* something still points to it */
    }
    kw_signing_wipe(&endpoint->signing);
    kw_free(endpoint);
    notify->endpoints[index] = notify->endpoints[--notify->endpoint_count];
}

void kw__endpoints_refresh(struct kw_notify *notify)
{
    uint64_t version = kw_engine_catalog_version(notify->options.engine);
    if (!notify->is_loaded || version != notify->catalog_version) {
        for (size_t i = 0; i < notify->endpoint_count; i++) {
            notify->endpoints[i]->is_there = false;
        }
        notify->is_loaded = true;
        notify->catalog_version = version;
        kw_engine_webhooks(notify->options.engine, see_webhook, notify);
    }
    for (size_t i = notify->endpoint_count; i-- > 0;) {
        if (!notify->endpoints[i]->is_there) {
            drop(notify, i);
        }
    }
}

enum kw_status kw__endpoint_signing(struct kw_notify *notify, struct kw__endpoint *endpoint)
{
    if (endpoint->has_signing) {
        return KW_OK;
    }
    enum kw_status status =
        kw_engine_signing(notify->options.engine, project_of(endpoint), name_of(endpoint), &endpoint->signing);
    endpoint->has_signing = status == KW_OK;
    return status;
}

/* --- stopping one --- */

/* The change of a document, and what it needs until it is done. */
struct stop {
    struct kw_op op;
    uint8_t name[KW_DOCUMENT_NAME_MAX];
    char reason[128];
};

static void stopped(struct kw_op *op)
{
    struct stop *stop = op->context;
    kw_op_deinit(op);
    kw_free(stop);
}

void kw__endpoint_stop(struct kw_notify *notify, struct kw__endpoint *endpoint, enum kw_subscription_status status,
                       const char *reason)
{
    struct stop *stop = endpoint->is_stopping ? NULL : kw_alloc(1, sizeof *stop);
    if (stop == NULL) {
        return; /* it will fail again */
    }
    kw_engine_read_begin();
    uint16_t project = kw_project_number(kw_engine_catalog(notify->options.engine), project_of(endpoint));
    kw_engine_read_end();
    endpoint->is_stopping = true;
    kw_op_init(&stop->op, KW_OP_DOCUMENT_UPDATE, project);
    memcpy(stop->name, endpoint->name, endpoint->name_size);
    (void)snprintf(stop->reason, sizeof stop->reason, "%s", reason);
    stop->op.document = KW_DOCUMENT_WEBHOOK;
    stop->op.name = kw_bytes_of(stop->name, endpoint->name_size);
    stop->op.json =
        status == KW_SUBSCRIPTION_PAUSED ? KW_BYTES("{\"status\":\"paused\"}") : KW_BYTES("{\"status\":\"disabled\"}");
    stop->op.if_version = endpoint->version; /* what somebody has changed since is his to decide */
    stop->op.actor = KW_BYTES("keyward");
    stop->op.reason = kw_bytes_of_text(stop->reason);
    stop->op.is_stopped = true;
    stop->op.done = stopped;
    stop->op.context = stop;
    struct kw_log_line line;
    kw_log_begin(&line, notify->options.log, KW_LOG_WARN, "webhook_stopped");
    kw_log_bytes(&line, "project", project_of(endpoint));
    kw_log_bytes(&line, "webhook", name_of(endpoint));
    kw_log_text(&line, "reason", reason);
    kw_log_end(&line);
    kw_engine_submit(notify->options.engine, &stop->op);
}

void kw__endpoints_free(struct kw_notify *notify)
{
    for (size_t i = 0; i < notify->endpoint_count; i++) {
        struct kw__endpoint *endpoint = notify->endpoints[i];
        while (endpoint->first != NULL) {
            struct kw__item *item = endpoint->first;
            endpoint->first = item->next;
            kw__item_free(item);
        }
        kw_signing_wipe(&endpoint->signing);
        kw_free(endpoint);
    }
    kw_free((void *)notify->endpoints);
}
