#include "store/memory/memory.h"

static void close_memory(struct kw_store *store);

static const struct kw_store_ops memory_ops = {
    .version = KW_STORE_VERSION,
    .name = "memory",
    .find_by_digest = kw__memory_find_by_digest,
    .find_by_id = kw__memory_find_by_id,
    .list = kw__memory_list,
    .changes = kw__memory_changes,
    .tombstones = kw__memory_tombstones,
    .due = kw__memory_due,
    .count = kw__memory_count,
    .count_found = kw__memory_count_found,
    .commit = kw__memory_commit,
    .setting = kw__memory_setting,
    .settings_list = kw__memory_settings_list,
    .audit_query = kw__memory_audit_query,
    .audit_prune = kw__memory_audit_prune,
    .audit_checkpoints = kw__memory_audit_checkpoints,
    .events_claim = kw__memory_events_claim,
    .events_settle = kw__memory_events_settle,
    .events_list = kw__memory_events_list,
    .events_prune = kw__memory_events_prune,
    .deliveries_add = kw__memory_deliveries_add,
    .deliveries_claim = kw__memory_deliveries_claim,
    .deliveries_settle = kw__memory_deliveries_settle,
    .deliveries_release = kw__memory_deliveries_release,
    .deliveries_list = kw__memory_deliveries_list,
    .deliveries_replay = kw__memory_deliveries_replay,
    .deliveries_prune = kw__memory_deliveries_prune,
    .usage_add = kw__memory_usage_add,
    .usage_defer = kw__memory_usage_defer,
    .usage_deferred = kw__memory_usage_deferred,
    .usage_settle = kw__memory_usage_settle,
    .usage_read = kw__memory_usage_read,
    .reservations_read = kw__memory_reservations_read,
    .reservations_prune = kw__memory_reservations_prune,
    .usage_roll = kw__memory_usage_roll,
    .usage_prune = kw__memory_usage_prune,
    .request_find = kw__memory_request_find,
    .request_prune = kw__memory_request_prune,
    .close = close_memory,
};

enum kw_status kw_store_memory_open(struct kw_store **store_out)
{
    struct kw__memory *memory = kw_alloc(1, sizeof *memory);
    if (memory == NULL) {
        return KW_E_MEMORY;
    }
    if (pthread_rwlock_init(&memory->lock, NULL) != 0) {
        kw_free(memory);
        return KW_E_MEMORY;
    }
    memory->base.ops = &memory_ops;
    kw__tree_init(&memory->rows_by_id, kw__memory_order_row_id);
    kw__tree_init(&memory->rows_by_digest, kw__memory_order_row_digest);
    kw__tree_init(&memory->rows_by_sequence, kw__memory_order_row_sequence);
    kw__tree_init(&memory->rows_by_expiry, kw__memory_order_row_expiry);
    kw__tree_init(&memory->rows_by_use, kw__memory_order_row_use);
    kw__tree_init(&memory->tombstones, kw__memory_order_tombstone);
    kw__tree_init(&memory->rows_by_due, kw__memory_order_row_due);
    kw__tree_init(&memory->audits, kw__memory_order_audit);
    kw__tree_init(&memory->seals, kw__memory_order_seal);
    kw__tree_init(&memory->checkpoints, kw__memory_order_checkpoint);
    kw__tree_init(&memory->events, kw__memory_order_event);
    kw__tree_init(&memory->events_by_id, kw__memory_order_event_id);
    kw__tree_init(&memory->events_waiting, kw__memory_order_event_waiting);
    kw__tree_init(&memory->messages, kw__memory_order_message);
    kw__tree_init(&memory->deliveries, kw__memory_order_delivery);
    kw__tree_init(&memory->deliveries_by_due, kw__memory_order_delivery_due);
    kw__tree_init(&memory->deliveries_by_key, kw__memory_order_delivery_key);
    kw__tree_init(&memory->settings, kw__memory_order_setting);
    kw__tree_init(&memory->usages, kw__memory_order_usage);
    kw__tree_init(&memory->deferred, kw__memory_order_deferred);
    kw__tree_init(&memory->reservations_by_period, kw__memory_order_reservation_period);
    kw__tree_init(&memory->reservations_by_until, kw__memory_order_reservation_until);
    kw__tree_init(&memory->requests_by_name, kw__memory_order_request_name);
    kw__tree_init(&memory->requests_by_time, kw__memory_order_request_time);
    *store_out = &memory->base;
    return KW_OK;
}

/* `node_offset` is where the tree's node lies in its owner. */
static void free_all(struct kw__tree *tree, size_t node_offset)
{
    while (tree->root != NULL) {
        struct kw__tree_node *node = tree->root;
        kw__tree_remove(tree, node);
        kw_free((uint8_t *)node - node_offset);
    }
}

static void close_memory(struct kw_store *store)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    free_all(&memory->rows_by_id, offsetof(struct kw__memory_row, by_id));
    free_all(&memory->audits, offsetof(struct kw__memory_audit, by_sequence));
    free_all(&memory->seals, offsetof(struct kw__memory_seal, by_sequence));
    free_all(&memory->checkpoints, offsetof(struct kw__memory_checkpoint, by_place));
    free_all(&memory->events, offsetof(struct kw__memory_event, by_sequence));
    kw__memory_free_messages(memory);
    free_all(&memory->settings, offsetof(struct kw__memory_setting, by_name));
    free_all(&memory->usages, offsetof(struct kw__memory_usage, by_bucket));
    free_all(&memory->deferred, offsetof(struct kw__memory_deferred, by_part));
    free_all(&memory->reservations_by_period, offsetof(struct kw__memory_reservation, by_period));
    free_all(&memory->requests_by_name, offsetof(struct kw__memory_request, by_name));
    pthread_rwlock_destroy(&memory->lock);
    kw_free(memory);
}
