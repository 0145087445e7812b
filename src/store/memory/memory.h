/*
 * The store that keeps everything in memory: plain, because it is the model that the others are held against. Every
 * kind of thing is one object on the heap, linked into an ordered tree for each way of finding it. A reader-writer lock
 * guards all of it; what a batch links and unlinks goes through a journal, which takes it back when the batch fails.
 */
#ifndef KW_STORE_MEMORY_MEMORY_H
#define KW_STORE_MEMORY_MEMORY_H

#include "base/memory.h"
#include "store/memory/tree.h"
#include <keyward/store.h>
#include <pthread.h>

struct kw__memory_row {
    struct kw__tree_node by_id, by_digest, by_sequence, by_expiry, by_use, by_erased, by_due;
    struct kw_store_row row;
    uint8_t used_address[KW_STORE_USE_ADDRESS_SIZE], used_region[KW_STORE_USE_REGION_MAX];
};

struct kw__memory_audit {
    struct kw__tree_node by_sequence;
    struct kw_store_audit audit;
};

struct kw__memory_seal {
    struct kw__tree_node by_sequence;
    struct kw_store_seal seal;
};

struct kw__memory_checkpoint {
    struct kw__tree_node by_place;
    struct kw_store_checkpoint checkpoint;
};

struct kw__memory_event {
    struct kw__tree_node by_sequence, by_id;
    struct kw__tree_node by_claim; /* until it is settled */
    struct kw_store_event event;
    bool is_settled;
    int64_t claimed_until_ms;
};

struct kw__memory_message {
    struct kw__tree_node by_sequence;
    struct kw_store_message message;
    uint64_t sequence;
    size_t delivery_count;
    struct kw__memory_delivery *deliveries; /* as many */
};

struct kw__memory_delivery {
    struct kw__tree_node by_channel, by_due, by_key;
    struct kw_store_delivery delivery; /* its tries are on the heap, its message is that of `of` */
    const struct kw__memory_message *of;
};

struct kw__memory_setting {
    struct kw__tree_node by_name;
    struct kw_store_setting setting;
};

struct kw__memory_usage {
    struct kw__tree_node by_bucket;
    struct kw_store_usage usage;
};

struct kw__memory_deferred {
    struct kw__tree_node by_part;
    struct kw_store_deferred piece;
};

struct kw__memory_reservation {
    struct kw__tree_node by_period, by_until;
    struct kw_store_reservation row; /* as a sink gets it */
};

struct kw__memory_request {
    struct kw__tree_node by_name, by_time;
    struct kw_store_request request;
};

/* The last sequences given. */
struct kw__memory_sequences {
    uint64_t commit, audit, event;
};

struct kw__memory {
    struct kw_store base;
    pthread_rwlock_t lock;
    struct kw__memory_sequences last;
    struct kw__tree rows_by_id; /* tombstones too */
    struct kw__tree rows_by_digest;
    struct kw__tree rows_by_sequence;
    struct kw__tree rows_by_expiry;
    struct kw__tree rows_by_use;
    struct kw__tree tombstones;  /* by id */
    struct kw__tree rows_by_due; /* those that are due at any time */
    struct kw__tree audits;
    struct kw__tree seals;
    struct kw__tree checkpoints;
    struct kw__tree events;
    struct kw__tree events_by_id;
    struct kw__tree events_waiting; /* by sequence */
    struct kw__tree messages;
    struct kw__tree deliveries;        /* by channel and sequence */
    struct kw__tree deliveries_by_due; /* that wait or are claimed */
    struct kw__tree deliveries_by_key; /* ordered ones that have not ended */
    struct kw__tree settings;
    struct kw__tree usages;
    struct kw__tree deferred;
    uint64_t deferred_last; /* the last sequence of a piece */
    uint64_t deferred_bytes;
    struct kw__tree reservations_by_period;
    struct kw__tree reservations_by_until;
    struct kw__tree requests_by_name;
    struct kw__tree requests_by_time;
};

/* One node linked or unlinked. */
struct kw__memory_change {
    struct kw__tree *tree;
    struct kw__tree_node *node;
    bool linked;
    void *object; /* to be freed with the node's last change; NULL when another change frees it */
};

/* What a batch did so far. Its room is taken before the changes, so that noting one cannot fail. Begins zeroed. */
struct kw__memory_journal {
    struct kw__memory_change *changes;
    size_t count, capacity;
};

/* Room for so many changes more. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__memory_journal_reserve(struct kw__memory_journal *journal, size_t more);
void kw__memory_link(struct kw__memory_journal *journal, struct kw__tree *tree, struct kw__tree_node *node,
                     void *object);
void kw__memory_unlink(struct kw__memory_journal *journal, struct kw__tree *tree, struct kw__tree_node *node,
                       void *object);
/* Keeps what was done (KW_OK) or takes it back, frees what is no longer linked, and returns `status`. */
enum kw_status kw__memory_journal_end(struct kw__memory_journal *journal, enum kw_status status);

/* A zeroed object of `size` bytes with room for `text_size` bytes behind it. */
KW_MUST_USE void *kw__memory_object(size_t size, size_t text_size, uint8_t **text_out);
/* Copies to `*text`, moves it on, and returns the copy. */
struct kw_bytes kw__memory_keep(uint8_t **text, struct kw_bytes bytes);

int kw__memory_order_row_id(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_row_digest(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_row_sequence(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_row_expiry(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_row_use(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_tombstone(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_row_due(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_audit(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_seal(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_checkpoint(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_event(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_event_id(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_event_waiting(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_message(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_delivery(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_delivery_due(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_delivery_key(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_setting(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_usage(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_deferred(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_reservation_period(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_reservation_until(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_request_name(const struct kw__tree_node *a, const struct kw__tree_node *b);
int kw__memory_order_request_time(const struct kw__tree_node *a, const struct kw__tree_node *b);

/* Writes one request of a batch down. */
KW_MUST_USE enum kw_status kw__memory_request_add(struct kw__memory *memory, struct kw__memory_journal *journal,
                                                  const struct kw_store_request *request);

/* Makes one reservation of a batch, and says in it what came of it. */
KW_MUST_USE enum kw_status kw__memory_reserve(struct kw__memory *memory, struct kw__memory_journal *journal,
                                              struct kw_store_reservation *reservation);
/* Adds to counts, all or none; `journal` has room for one change each. */
KW_MUST_USE enum kw_status kw__memory_count_uses(struct kw__memory *memory, struct kw__memory_journal *journal,
                                                 const struct kw_store_usage *usages, size_t count);
/* Notes the latest use of a row, unless a later one is there. */
void kw__memory_note_use(struct kw__memory_row *row, int64_t at_ms, struct kw_bytes address, struct kw_bytes region);

/* Settles an event, and gives its sequence; 0: it does not wait. */
uint64_t kw__memory_settle_event(struct kw__memory *memory, const struct kw_id *id);
/* Removes all messages with their deliveries. */
void kw__memory_free_messages(struct kw__memory *memory);

/* The contract's functions. */
enum kw_status kw__memory_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                         void *context);
enum kw_status kw__memory_find_by_id(struct kw_store *store, const struct kw_id *id, kw_store_row_sink *sink,
                                     void *context);
enum kw_status kw__memory_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                               void *context);
enum kw_status kw__memory_changes(struct kw_store *store, uint64_t after, size_t limit, kw_store_row_sink *sink,
                                  void *context);
enum kw_status kw__memory_tombstones(struct kw_store *store, const struct kw_id *after, size_t limit,
                                     kw_store_row_sink *sink, void *context);
enum kw_status kw__memory_due(struct kw_store *store, int64_t until_ms, size_t limit, kw_store_row_sink *sink,
                              void *context);
enum kw_status kw__memory_count(struct kw_store *store, struct kw_bytes project, uint64_t *count_out);
enum kw_status kw__memory_count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                      bool *exact_out);
enum kw_status kw__memory_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count);
enum kw_status kw__memory_setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size,
                                  size_t *size_out);
enum kw_status kw__memory_settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                        void *context);
enum kw_status kw__memory_audit_query(struct kw_store *store, const struct kw_store_audit_filter *filter,
                                      kw_store_audit_sink *sink, void *context);
enum kw_status kw__memory_audit_prune(struct kw_store *store, struct kw_bytes project, uint64_t sequence, size_t limit,
                                      uint64_t *removed_out);
enum kw_status kw__memory_audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after,
                                            bool is_back, size_t limit, kw_store_checkpoint_sink *sink, void *context);
/* Parts of a batch. */
KW_MUST_USE enum kw_status kw__memory_add_audit(struct kw__memory *memory, struct kw__memory_journal *journal,
                                                const struct kw_store_audit *from, uint64_t sequence);
KW_MUST_USE enum kw_status kw__memory_add_seal(struct kw__memory *memory, struct kw__memory_journal *journal,
                                               const struct kw_store_seal *from);
KW_MUST_USE enum kw_status kw__memory_set_checkpoint(struct kw__memory *memory, struct kw__memory_journal *journal,
                                                     const struct kw_store_checkpoint *from);
KW_MUST_USE enum kw_status kw__memory_erase(struct kw__memory *memory, struct kw__memory_journal *journal,
                                            const struct kw_store_erasure *erasure);
enum kw_status kw__memory_events_claim(struct kw_store *store, int64_t now_ms, int64_t until_ms, size_t limit,
                                       kw_store_event_sink *sink, void *context);
enum kw_status kw__memory_events_settle(struct kw_store *store, const struct kw_id *id);
enum kw_status kw__memory_events_list(struct kw_store *store, const struct kw_store_event_filter *filter,
                                      kw_store_event_sink *sink, void *context);
enum kw_status kw__memory_events_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                       uint64_t *removed_out);
enum kw_status kw__memory_deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                         int64_t now_ms);
enum kw_status kw__memory_deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                           size_t limit, kw_store_delivery_sink *sink, void *context);
enum kw_status kw__memory_deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled,
                                            size_t count, int64_t now_ms);
enum kw_status kw__memory_deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms);
enum kw_status kw__memory_deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                          kw_store_delivery_sink *sink, void *context);
enum kw_status kw__memory_deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                            int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out);
enum kw_status kw__memory_deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                           uint64_t *removed_out);
enum kw_status kw__memory_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                    const struct kw_store_use *uses, size_t use_count);
enum kw_status kw__memory_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                      uint64_t *waiting_out);
enum kw_status kw__memory_usage_deferred(struct kw_store *store, uint32_t part, size_t limit,
                                         kw_store_deferred_sink *sink, void *context);
enum kw_status kw__memory_usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                       const struct kw_store_usage *usages, size_t usage_count,
                                       const struct kw_store_use *uses, size_t use_count);
enum kw_status kw__memory_usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                     int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context);
enum kw_status kw__memory_usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                     uint64_t *rolled_out);
enum kw_status kw__memory_usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                      uint64_t *removed_out);
enum kw_status kw__memory_reservations_read(struct kw_store *store, const struct kw_id *lineage_id,
                                            struct kw_bytes name, int64_t from_ms, kw_store_reservation_sink *sink,
                                            void *context);
enum kw_status kw__memory_reservations_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                             uint64_t *removed_out);
enum kw_status kw__memory_request_find(struct kw_store *store, const uint8_t name[KW_STORE_REQUEST_SIZE],
                                       struct kw_store_request *request_out);
enum kw_status kw__memory_request_prune(struct kw_store *store, int64_t before_ms, size_t limit, uint64_t *removed_out);

#endif
