#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"

#define OWNERS(type, member) \
    const struct type *left = KW__TREE_OWNER(a, struct type, member); \
    const struct type *right = KW__TREE_OWNER(b, struct type, member)

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int kw__memory_order_row_id(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_id);
    return kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_row_digest(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_digest);
    return kw_bytes_compare(left->row.digest, right->row.digest);
}

int kw__memory_order_row_sequence(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_sequence);
    int order = order_u64(left->row.sequence, right->row.sequence);
    return order != 0 ? order : kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_row_expiry(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_expiry);
    int order = order_i64(left->row.expires_at_ms, right->row.expires_at_ms);
    return order != 0 ? order : kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_row_use(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_use);
    int order = order_i64(left->row.used_at_ms, right->row.used_at_ms);
    return order != 0 ? order : kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_tombstone(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_erased);
    return kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_row_due(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_row, by_due);
    int order = order_i64(left->row.due_at_ms, right->row.due_at_ms);
    return order != 0 ? order : kw_id_compare(&left->row.id, &right->row.id);
}

int kw__memory_order_audit(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_audit, by_sequence);
    return order_u64(left->audit.sequence, right->audit.sequence);
}

int kw__memory_order_seal(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_seal, by_sequence);
    return order_u64(left->seal.sequence, right->seal.sequence);
}

int kw__memory_order_checkpoint(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_checkpoint, by_place);
    int order = kw_bytes_compare(left->checkpoint.project, right->checkpoint.project);
    return order != 0 ? order : order_u64(left->checkpoint.place, right->checkpoint.place);
}

int kw__memory_order_event(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_event, by_sequence);
    return order_u64(left->event.sequence, right->event.sequence);
}

int kw__memory_order_event_id(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_event, by_id);
    return kw_id_compare(&left->event.id, &right->event.id);
}

int kw__memory_order_event_waiting(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_event, by_claim);
    return order_u64(left->event.sequence, right->event.sequence);
}

int kw__memory_order_setting(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_setting, by_name);
    return kw_bytes_compare(left->setting.name, right->setting.name);
}

int kw__memory_order_usage(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_usage, by_bucket);
    int order = kw_bytes_compare(left->usage.project, right->usage.project);
    order = order != 0 ? order : right->usage.is_day - left->usage.is_day;
    order = order != 0 ? order : order_i64(left->usage.bucket_start_ms, right->usage.bucket_start_ms);
    order = order != 0 ? order : kw_id_compare(&left->usage.lineage_id, &right->usage.lineage_id);
    order = order != 0 ? order : left->usage.dimension - right->usage.dimension;
    return order != 0 ? order : kw_bytes_compare(left->usage.value, right->usage.value);
}

static int order_period(const struct kw_store_reservation *a, const struct kw_store_reservation *b)
{
    int order = kw_id_compare(&a->lineage_id, &b->lineage_id);
    order = order != 0 ? order : kw_bytes_compare(a->name, b->name);
    return order != 0 ? order : order_i64(a->period_start_ms, b->period_start_ms);
}

int kw__memory_order_deferred(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_deferred, by_part);
    int order = order_u64(left->piece.part, right->piece.part);
    return order != 0 ? order : order_u64(left->piece.sequence, right->piece.sequence);
}

int kw__memory_order_reservation_period(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_reservation, by_period);
    return order_period(&left->row, &right->row);
}

int kw__memory_order_reservation_until(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_reservation, by_until);
    int order = order_i64(left->row.until_ms, right->row.until_ms);
    return order != 0 ? order : order_period(&left->row, &right->row);
}

int kw__memory_order_request_name(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_request, by_name);
    return memcmp(left->request.name, right->request.name, KW_STORE_REQUEST_SIZE);
}

int kw__memory_order_request_time(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_request, by_time);
    int order = order_i64(left->request.at_ms, right->request.at_ms);
    return order != 0 ? order : memcmp(left->request.name, right->request.name, KW_STORE_REQUEST_SIZE);
}

int kw__memory_order_message(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_message, by_sequence);
    return order_u64(left->sequence, right->sequence);
}

int kw__memory_order_delivery(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_delivery, by_channel);
    int order = order_u64(left->delivery.channel, right->delivery.channel);
    return order != 0 ? order : order_u64(left->delivery.sequence, right->delivery.sequence);
}

int kw__memory_order_delivery_due(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_delivery, by_due);
    int order = order_u64(left->delivery.channel, right->delivery.channel);
    order = order != 0 ? order : order_u64(left->delivery.state, right->delivery.state);
    order = order != 0 ? order : order_i64(left->delivery.due_ms, right->delivery.due_ms);
    return order != 0 ? order : order_u64(left->delivery.sequence, right->delivery.sequence);
}

int kw__memory_order_delivery_key(const struct kw__tree_node *a, const struct kw__tree_node *b)
{
    OWNERS(kw__memory_delivery, by_key);
    int order = order_u64(left->delivery.channel, right->delivery.channel);
    order = order != 0 ? order : kw_id_compare(&left->delivery.message.key_id, &right->delivery.message.key_id);
    return order != 0 ? order : order_u64(left->delivery.sequence, right->delivery.sequence);
}
