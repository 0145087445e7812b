#include "base/memory.h"
#include "store/check.h"
#include <stdatomic.h>

/* A store before a store: it counts the calls, and makes one of them fail. */
struct fault {
    struct kw_store base;
    struct kw_store *inner;
    _Atomic uint64_t calls;
    _Atomic uint64_t nth; /* 0: none */
    _Atomic int kind;
    _Atomic uint64_t random;
};

/* The store behind, or NULL when this call is the one that fails. */
static struct kw_store *next_call(struct kw_store *store)
{
    struct fault *fault = (struct fault *)store;
    uint64_t call = atomic_fetch_add(&fault->calls, 1) + 1;
    return call == atomic_load(&fault->nth) ? NULL : fault->inner;
}

/* splitmix64, Steele, Lea and Flood 2014. */
static bool toss(struct fault *fault)
{
    uint64_t z = atomic_fetch_add(&fault->random, UINT64_C(0x9e3779b97f4a7c15)) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((z ^ (z >> 31)) & 1) != 0;
}

static enum kw_status find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                     void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->find_by_digest(inner, digest, sink, context);
}

static enum kw_status find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->find_by_id(inner, id, sink, context);
}

static enum kw_status list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                           void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->list(inner, filter, sink, context);
}

static enum kw_status changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                              void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->changes(inner, after, limit, sink, context);
}

static enum kw_status tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                 kw_store_row_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->tombstones(inner, after, limit, sink, context);
}

static enum kw_status due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                          void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->due(inner, until_ms, limit, sink, context);
}

static enum kw_status count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->count(inner, project, count_out);
}

static enum kw_status count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                  bool *exact_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->count_found(inner, filter, count_out, exact_out);
}

static enum kw_status commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    struct fault *fault = (struct fault *)store;
    struct kw_store *inner = next_call(store);
    if (inner != NULL) {
        return inner->ops->commit(inner, batches, batch_count);
    }
    if (atomic_load(&fault->kind) == KW_FAULT_UNAVAILABLE) {
        return kw__store_outcome_for_all(batches, batch_count, KW_E_UNAVAILABLE);
    }
    if (toss(fault)) {
        (void)!fault->inner->ops->commit(fault->inner, batches, batch_count);
    }
    return kw__store_outcome_for_all(batches, batch_count, KW_E_UNCERTAIN);
}

static enum kw_status setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size, size_t *size_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->setting(inner, name, value, size, size_out);
}

static enum kw_status settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                    void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->settings_list(inner, prefix, sink, context);
}

static enum kw_status audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                  kw_store_audit_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->audit_query(inner, filter, sink, context);
}

static enum kw_status audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                  uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->audit_prune(inner, project, sequence, limit, removed_out);
}

static enum kw_status audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after, bool is_back,
                                        size_t limit, kw_store_checkpoint_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->audit_checkpoints(inner, project, after, is_back, limit, sink, context);
}

static enum kw_status events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                   kw_store_event_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->events_claim(inner, now_ms, until_ms, limit, sink, context);
}

static enum kw_status events_settle(struct kw_store *store, const struct kw_id *id)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->events_settle(inner, id);
}

static enum kw_status events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                  kw_store_event_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->events_list(inner, filter, sink, context);
}

static enum kw_status events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                   uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->events_prune(inner, project, before_ms, limit, removed_out);
}

static enum kw_status deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                     int64_t now_ms)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->deliveries_add(inner, fans, count, now_ms);
}

static enum kw_status deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                       size_t limit, kw_store_delivery_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->deliveries_claim(inner, channel, now_ms, until_ms, limit, sink, context);
}

static enum kw_status deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled, size_t count,
                                        int64_t now_ms)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->deliveries_settle(inner, settled, count, now_ms);
}

static enum kw_status deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->deliveries_release(inner, channel, now_ms);
}

static enum kw_status deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                      kw_store_delivery_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->deliveries_list(inner, filter, sink, context);
}

static enum kw_status deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                        int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->deliveries_replay(inner, filter, now_ms, replayed_out, reached_out);
}

static enum kw_status deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->deliveries_prune(inner, before_ms, limit, removed_out);
}

static enum kw_status usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                const struct kw_store_use *uses, size_t use_count)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->usage_add(inner, usages, usage_count, uses, use_count);
}

static enum kw_status usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                  uint64_t *waiting_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->usage_defer(inner, pieces, count, waiting_out);
}

static enum kw_status usage_deferred(struct kw_store *store, uint32_t part, size_t limit, kw_store_deferred_sink *sink,
                                     void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->usage_deferred(inner, part, limit, sink, context);
}

static enum kw_status usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                   const struct kw_store_usage *usages, size_t usage_count,
                                   const struct kw_store_use *uses, size_t use_count)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->usage_settle(inner, settled, usages, usage_count, uses, use_count);
}

static enum kw_status usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                 int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->usage_read(inner, project, lineage_id, from_ms, until_ms, sink, context);
}

static enum kw_status usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                 uint64_t *rolled_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->usage_roll(inner, project, before_ms, limit, rolled_out);
}

static enum kw_status usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                  uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->usage_prune(inner, project, before_ms, limit, removed_out);
}

static enum kw_status reservations_read(struct kw_store *store, const struct kw_id *lineage_id, struct kw_bytes name,
                                        int64_t from_ms, kw_store_reservation_sink *sink, void *context)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE
                         : inner->ops->reservations_read(inner, lineage_id, name, from_ms, sink, context);
}

static enum kw_status reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->reservations_prune(inner, before_ms, limit, removed_out);
}

static enum kw_status request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                   struct kw_store_request *request_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->request_find(inner, name, request_out);
}

static enum kw_status request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out)
{
    struct kw_store *inner = next_call(store);
    return inner == NULL ? KW_E_UNAVAILABLE : inner->ops->request_prune(inner, before_ms, limit, removed_out);
}

static void close_fault(struct kw_store *store)
{
    struct fault *fault = (struct fault *)store;
    fault->inner->ops->close(fault->inner);
    kw_free(fault);
}

static const struct kw_store_ops fault_ops = {
    .version = KW_STORE_VERSION,
    .name = "fault",
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
    .events_list = events_list,
    .events_prune = events_prune,
    .deliveries_add = deliveries_add,
    .deliveries_claim = deliveries_claim,
    .deliveries_settle = deliveries_settle,
    .deliveries_release = deliveries_release,
    .deliveries_list = deliveries_list,
    .deliveries_replay = deliveries_replay,
    .deliveries_prune = deliveries_prune,
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
    .close = close_fault,
};

enum kw_status kw_store_fault_open(struct kw_store *inner_take, uint64_t seed, struct kw_store **store_out)
{
    struct fault *fault = kw_alloc(1, sizeof *fault);
    if (fault == NULL) {
        inner_take->ops->close(inner_take);
        return KW_E_MEMORY;
    }
    fault->base.ops = &fault_ops;
    fault->inner = inner_take;
    atomic_init(&fault->random, seed);
    *store_out = &fault->base;
    return KW_OK;
}

void kw_store_fault_arm(struct kw_store *store, enum kw_fault_kind kind, uint64_t nth)
{
    struct fault *fault = (struct fault *)store;
    atomic_store(&fault->kind, (int)kind);
    atomic_store(&fault->calls, 0);
    atomic_store(&fault->nth, nth);
}

uint64_t kw_store_fault_calls(const struct kw_store *store)
{
    return atomic_load(&((const struct fault *)store)->calls);
}
