#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "core/id.h"
#include "store/check.h"

/* --- adding --- */

static enum kw_status settle_event(struct kw__connection *writer, const struct kw_id *id)
{
    struct kw__query claim = kw__query_open(writer, KW__SQL_EVENT_CLAIM_DELETE);
    kw__query_id(&claim, id);
    return kw__query_run(&claim);
}

/* 0: it is settled already. */
static enum kw_status find_event(struct kw__connection *writer, const struct kw_id *id, int64_t *sequence_out)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_EVENT_SEQUENCE);
    bool is_there = false;
    kw__query_id(&query, id);
    enum kw_status status = kw__query_next(&query, &is_there);
    *sequence_out = status == KW_OK && is_there ? sqlite3_column_int64(query.statement, 0) : 0;
    kw__query_close(&query);
    return status;
}

static enum kw_status add_message(struct kw__connection *writer, const struct kw_store_fan *fan, int64_t sequence)
{
    const struct kw_store_message *message = &fan->message;
    uint8_t *channels = kw_alloc(fan->target_count, sizeof(uint64_t));
    if (channels == NULL) {
        return KW_E_MEMORY;
    }
    for (size_t i = 0; i < fan->target_count; i++) {
        uint64_t channel = fan->targets[i].channel;
        for (size_t at = 8; at-- > 0; channel >>= 8) {
            channels[8 * i + at] = (uint8_t)channel;
        }
    }
    struct kw__query query = kw__query_open(writer, KW__SQL_MESSAGE_INSERT);
    kw__query_i64(&query, sequence);
    kw__query_id(&query, &message->id);
    kw__query_i64(&query, message->at_ms);
    kw__query_text(&query, message->type);
    kw__query_blob(&query, message->body);
    kw__query_id_or_null(&query, &message->key_id);
    kw__query_blob(&query, kw_bytes_of(channels, 8 * fan->target_count));
    enum kw_status status = kw__query_run(&query);
    kw_free(channels);
    return status;
}

static enum kw_status add_delivery(struct kw__connection *writer, const struct kw_store_fan *fan, size_t index,
                                   int64_t sequence, int64_t now_ms)
{
    const struct kw_store_target *target = &fan->targets[index];
    struct kw_id none = {{0}};
    struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_INSERT);
    kw__query_i64(&query, (int64_t)target->channel);
    kw__query_i64(&query, sequence);
    kw__query_id_or_null(&query, target->is_ordered ? &fan->message.key_id : &none);
    kw__query_i64(&query, target->is_ordered);
    kw__query_i64(&query, now_ms);
    return kw__query_run(&query);
}

static enum kw_status add_fan(struct kw__connection *writer, const struct kw_store_fan *fan, int64_t now_ms)
{
    int64_t sequence = 0;
    enum kw_status status = find_event(writer, &fan->message.id, &sequence);
    if (status != KW_OK || sequence == 0) {
        return status;
    }
    status = settle_event(writer, &fan->message.id);
    if (status == KW_OK && fan->target_count > 0) {
        status = add_message(writer, fan, sequence);
    }
    for (size_t i = 0; i < fan->target_count && status == KW_OK; i++) {
        status = add_delivery(writer, fan, i, sequence, now_ms);
    }
    return status;
}

enum kw_status kw__sqlite_deliveries_add(struct kw_store *store, const struct kw_store_fan *fans, size_t count,
                                         int64_t now_ms)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_fans(fans, count);
    if (status != KW_OK || count == 0) {
        return status;
    }
    status = kw__write_begin_lazy(sqlite);
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = add_fan(&sqlite->writer, &fans[i], now_ms);
    }
    return kw__write_end(sqlite, status, NULL);
}

/* --- claiming --- */

/* Adds the sequences of what is due in this state to those that are there. */
static enum kw_status find_due(struct kw__connection *writer, uint64_t channel, enum kw_delivery_state state,
                               int64_t now_ms, size_t limit, int64_t *sequences, size_t *count)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_DUE);
    bool is_there = false;
    kw__query_i64(&query, (int64_t)channel);
    kw__query_i64(&query, state);
    kw__query_i64(&query, now_ms);
    kw__query_i64(&query, (int64_t)(limit - *count));
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there && *count < limit) {
        sequences[(*count)++] = sqlite3_column_int64(query.statement, 0);
        status = kw__query_next(&query, &is_there);
    }
    kw__query_close(&query);
    return status;
}

static enum kw_status claim_all(struct kw__sqlite *sqlite, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                size_t limit, int64_t *sequences, size_t *count)
{
    enum kw_status status = kw__write_begin_lazy(sqlite);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *writer = &sqlite->writer;
    status = find_due(writer, channel, KW_DELIVERY_CLAIMED, now_ms, limit, sequences, count);
    status = status == KW_OK ? find_due(writer, channel, KW_DELIVERY_WAITING, now_ms, limit, sequences, count) : status;
    for (size_t i = 0; i < *count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_CLAIM);
        kw__query_i64(&query, (int64_t)channel);
        kw__query_i64(&query, sequences[i]);
        kw__query_i64(&query, until_ms);
        status = kw__query_run(&query);
    }
    return kw__write_end(sqlite, status, NULL);
}

/* One that was pruned since it was claimed is passed over. */
static enum kw_status give(struct kw__connection *reader, uint64_t channel, int64_t sequence,
                           kw_store_delivery_sink *sink, void *context)
{
    struct kw__query query = kw__query_open(reader, KW__SQL_DELIVERY_READ);
    struct kw_store_delivery delivery = {.channel = channel};
    bool is_there = false;
    kw__query_i64(&query, (int64_t)channel);
    kw__query_i64(&query, sequence);
    enum kw_status status = kw__query_next(&query, &is_there);
    if (status == KW_E_UNAVAILABLE || status == KW_E_FULL || status == KW_E_MEMORY) {
        status = KW_E_UNCERTAIN; /* it is claimed by now */
    }
    if (status == KW_OK && is_there) {
        status = kw__delivery_read(&query, &delivery);
        status = status == KW_OK ? sink(context, &delivery) : status;
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_deliveries_claim(struct kw_store *store, uint64_t channel, int64_t now_ms, int64_t until_ms,
                                           size_t limit, kw_store_delivery_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__store_check_channel(channel) : status;
    if (status != KW_OK || until_ms <= now_ms) {
        return status == KW_OK ? KW_E_INVALID : status;
    }
    int64_t *sequences = kw_alloc(limit, sizeof *sequences);
    if (sequences == NULL) {
        return KW_E_MEMORY;
    }
    size_t count = 0;
    status = claim_all(sqlite, channel, now_ms, until_ms, limit, sequences, &count);
    if (status == KW_OK && count > 0) {
        struct kw__connection *reader = kw__reader_take(sqlite);
        for (size_t i = 0; i < count && status == KW_OK; i++) {
            status = give(reader, channel, sequences[i], sink, context);
        }
        kw__reader_give(sqlite, reader);
    }
    kw_free(sequences);
    return status;
}

/* --- settling --- */

enum kw_status kw__delivery_let_next_go(struct kw__connection *writer, uint64_t channel, const struct kw_id *key_id,
                                        int64_t now_ms)
{
    if (kw_id_is_none(key_id)) {
        return KW_OK;
    }
    struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_NEXT);
    kw__query_i64(&query, (int64_t)channel);
    kw__query_id(&query, key_id);
    kw__query_i64(&query, now_ms);
    return kw__query_run(&query);
}

static enum kw_status settle_one(struct kw__connection *writer, const struct kw_store_settled *settled, int64_t now_ms)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_SETTLE);
    struct kw_id key_id = {{0}};
    bool is_there = false;
    kw__query_i64(&query, (int64_t)settled->channel);
    kw__query_i64(&query, (int64_t)settled->sequence);
    kw__query_i64(&query, settled->state);
    kw__query_i64(&query, settled->due_ms);
    kw__query_i64(&query, settled->attempts);
    kw__query_blob(&query, settled->tries);
    enum kw_status status = kw__query_next(&query, &is_there);
    if (status == KW_OK && is_there) {
        status = kw__column_id(&query, 0, &key_id) ? kw__query_next(&query, &is_there) : KW_E_CORRUPT;
    }
    kw__query_close(&query);
    bool has_ended = settled->state != KW_DELIVERY_WAITING;
    return status == KW_OK && has_ended ? kw__delivery_let_next_go(writer, settled->channel, &key_id, now_ms) : status;
}

enum kw_status kw__sqlite_deliveries_settle(struct kw_store *store, const struct kw_store_settled *settled,
                                            size_t count, int64_t now_ms)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_settled(settled, count);
    if (status != KW_OK || count == 0) {
        return status;
    }
    status = kw__write_begin_lazy(sqlite);
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = settle_one(&sqlite->writer, &settled[i], now_ms);
    }
    return kw__write_end(sqlite, status, NULL);
}

enum kw_status kw__sqlite_deliveries_release(struct kw_store *store, uint64_t channel, int64_t now_ms)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_channel(channel);
    status = status == KW_OK ? kw__write_begin_lazy(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_DELIVERY_RELEASE);
    kw__query_i64(&query, (int64_t)channel);
    kw__query_i64(&query, now_ms);
    status = kw__query_run(&query);
    return kw__write_end(sqlite, status, NULL);
}
