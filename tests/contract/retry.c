#include "contract/contract.h"

/* A call that failed as unavailable changed nothing: made again, it must end as if it had not failed. */
struct retry {
    struct kw_store base;
    struct kw_store *inner;
};

#define RETRY(call) \
    struct kw_store *inner = ((struct retry *)store)->inner; \
    enum kw_status status = inner->ops->call; \
    return status == KW_E_UNAVAILABLE ? inner->ops->call : status

static enum kw_status find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                     void *context)
{
    RETRY(find_by_digest(inner, digest, sink, context));
}

static enum kw_status find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink, void *context)
{
    RETRY(find_by_id(inner, id, sink, context));
}

static enum kw_status list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                           void *context)
{
    RETRY(list(inner, filter, sink, context));
}

static enum kw_status changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                              void *context)
{
    RETRY(changes(inner, after, limit, sink, context));
}

static enum kw_status tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                 kw_store_row_sink *sink, void *context)
{
    RETRY(tombstones(inner, after, limit, sink, context));
}

static enum kw_status due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                          void *context)
{
    RETRY(due(inner, until_ms, limit, sink, context));
}

static enum kw_status count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out)
{
    RETRY(count(inner, project, count_out));
}

static enum kw_status count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                  bool *exact_out)
{
    RETRY(count_found(inner, filter, count_out, exact_out));
}

static enum kw_status commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    RETRY(commit(inner, batches, batch_count));
}

static enum kw_status setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size, size_t *size_out)
{
    RETRY(setting(inner, name, value, size, size_out));
}

static enum kw_status settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                    void *context)
{
    RETRY(settings_list(inner, prefix, sink, context));
}

static enum kw_status audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                  kw_store_audit_sink *sink, void *context)
{
    RETRY(audit_query(inner, filter, sink, context));
}

static enum kw_status audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                  uint64_t *removed_out)
{
    RETRY(audit_prune(inner, project, sequence, limit, removed_out));
}

static enum kw_status audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after, bool is_back,
                                        size_t limit, kw_store_checkpoint_sink *sink, void *context)
{
    RETRY(audit_checkpoints(inner, project, after, is_back, limit, sink, context));
}

static enum kw_status events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                   kw_store_event_sink *sink, void *context)
{
    RETRY(events_claim(inner, now_ms, until_ms, limit, sink, context));
}

static enum kw_status events_settle(struct kw_store *store, const struct kw_id *id)
{
    RETRY(events_settle(inner, id));
}

static enum kw_status events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                  kw_store_event_sink *sink, void *context)
{
    RETRY(events_list(inner, filter, sink, context));
}

static enum kw_status events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                   uint64_t *removed_out)
{
    RETRY(events_prune(inner, project, before_ms, limit, removed_out));
}

static enum kw_status deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                     int64_t now_ms)
{
    RETRY(deliveries_add(inner, fans, count, now_ms));
}

static enum kw_status deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                       size_t limit, kw_store_delivery_sink *sink, void *context)
{
    RETRY(deliveries_claim(inner, channel, now_ms, until_ms, limit, sink, context));
}

static enum kw_status deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled, size_t count,
                                        int64_t now_ms)
{
    RETRY(deliveries_settle(inner, settled, count, now_ms));
}

static enum kw_status deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms)
{
    RETRY(deliveries_release(inner, channel, now_ms));
}

static enum kw_status deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                      kw_store_delivery_sink *sink, void *context)
{
    RETRY(deliveries_list(inner, filter, sink, context));
}

static enum kw_status deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                        int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out)
{
    RETRY(deliveries_replay(inner, filter, now_ms, replayed_out, reached_out));
}

static enum kw_status deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    RETRY(deliveries_prune(inner, before_ms, limit, removed_out));
}

static enum kw_status usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                const struct kw_store_use *uses, size_t use_count)
{
    RETRY(usage_add(inner, usages, usage_count, uses, use_count));
}

static enum kw_status usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                  uint64_t *waiting_out)
{
    RETRY(usage_defer(inner, pieces, count, waiting_out));
}

static enum kw_status usage_deferred(struct kw_store *store, uint32_t part, size_t limit, kw_store_deferred_sink *sink,
                                     void *context)
{
    RETRY(usage_deferred(inner, part, limit, sink, context));
}

static enum kw_status usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                   const struct kw_store_usage *usages, size_t usage_count,
                                   const struct kw_store_use *uses, size_t use_count)
{
    RETRY(usage_settle(inner, settled, usages, usage_count, uses, use_count));
}

static enum kw_status usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                 int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    RETRY(usage_read(inner, project, lineage_id, from_ms, until_ms, sink, context));
}

static enum kw_status usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                 uint64_t *rolled_out)
{
    RETRY(usage_roll(inner, project, before_ms, limit, rolled_out));
}

static enum kw_status usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *removed_out)
{
    RETRY(usage_prune(inner, project, before_ms, limit, removed_out));
}

static enum kw_status reservations_read(struct kw_store *store, const struct kw_id *lineage_id, struct kw_bytes name,
                                        int64_t from_ms, kw_store_reservation_sink *sink, void *context)
{
    RETRY(reservations_read(inner, lineage_id, name, from_ms, sink, context));
}

static enum kw_status reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    RETRY(reservations_prune(inner, before_ms, limit, removed_out));
}

static enum kw_status request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                   struct kw_store_request *request_out)
{
    RETRY(request_find(inner, name, request_out));
}

static enum kw_status request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    RETRY(request_prune(inner, before_ms, limit, removed_out));
}

static void close_retry(struct kw_store *store)
{
    struct retry *retry = (struct retry *)store;
    retry->inner->ops->close(retry->inner);
    kw_free(retry);
}

static const struct kw_store_ops retry_ops = {
    .version = KW_STORE_VERSION,
    .name = "retry",
    .find_by_digest = find_by_digest,
    .find_by_id = find_by_id,
    .list = list,
    .changes = changes,
    .tombstones = tombstones,
    .due = due,
    .count = count,
    .count_found = count_found,
    .commit = commit,
    .setting = setting,
    .settings_list = settings_list,
    .audit_query = audit_query,
    .audit_prune = audit_prune,
    .audit_checkpoints = audit_checkpoints,
    .events_claim = events_claim,
    .events_settle = events_settle,
    .deliveries_add = deliveries_add,
    .deliveries_claim = deliveries_claim,
    .deliveries_settle = deliveries_settle,
    .deliveries_release = deliveries_release,
    .deliveries_list = deliveries_list,
    .deliveries_replay = deliveries_replay,
    .deliveries_prune = deliveries_prune,
    .events_list = events_list,
    .events_prune = events_prune,
    .usage_add = usage_add,
    .usage_defer = usage_defer,
    .usage_deferred = usage_deferred,
    .usage_settle = usage_settle,
    .usage_read = usage_read,
    .reservations_read = reservations_read,
    .reservations_prune = reservations_prune,
    .usage_roll = usage_roll,
    .usage_prune = usage_prune,
    .request_find = request_find,
    .request_prune = request_prune,
    .close = close_retry,
};

struct kw_store *contract_retry_open(struct kw_store *inner_take)
{
    struct retry *retry = kw_alloc(1, sizeof *retry);
    if (retry == NULL) {
        inner_take->ops->close(inner_take);
        return NULL;
    }
    retry->base.ops = &retry_ops;
    retry->inner = inner_take;
    return &retry->base;
}
