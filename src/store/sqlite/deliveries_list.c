#include "store/sqlite/sqlite.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "store/check.h"

enum kw_status kw__delivery_read(const struct kw__query *query, struct kw_store_delivery *delivery_out)
{
    struct kw_store_delivery delivery = *delivery_out;
    delivery.sequence = (uint64_t)sqlite3_column_int64(query->statement, 0);
    delivery.state = (enum kw_delivery_state)sqlite3_column_int64(query->statement, 2);
    delivery.due_ms = sqlite3_column_int64(query->statement, 3);
    delivery.attempts = (uint32_t)sqlite3_column_int64(query->statement, 4);
    delivery.tries = kw__column_bytes(query, 5);
    delivery.is_ordered = sqlite3_column_int64(query->statement, 6) != 0;
    delivery.message.at_ms = sqlite3_column_int64(query->statement, 8);
    delivery.message.type = kw__column_bytes(query, 9);
    delivery.message.body = kw__column_bytes(query, 10);
    if (!kw__column_id(query, 7, &delivery.message.id) || !kw__column_id(query, 11, &delivery.message.key_id) ||
        delivery.state > KW_DELIVERY_FAILED) {
        return KW_E_CORRUPT;
    }
    *delivery_out = delivery;
    return KW_OK;
}

static enum kw_status check_filter(const struct kw_store_delivery_filter *filter)
{
    enum kw_status status = kw__store_check_limit(filter->limit);
    return status == KW_OK ? kw__store_check_channel(filter->channel) : status;
}

/* Channel, and the sequences in which to look. */
static void bind_range(struct kw__query *query, const struct kw_store_delivery_filter *filter)
{
    bool is_one = filter->sequence != 0;
    bool has_end = filter->before != 0 && filter->before <= INT64_MAX;
    kw__query_i64(query, (int64_t)filter->channel);
    kw__query_i64(query, is_one ? (int64_t)filter->sequence : INT64_MIN);
    kw__query_i64(query, is_one ? (int64_t)filter->sequence + 1 : has_end ? (int64_t)filter->before : INT64_MAX);
}

enum kw_status kw__sqlite_deliveries_list(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                          kw_store_delivery_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = check_filter(filter);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    struct kw__query query = kw__query_open(reader, KW__SQL_DELIVERY_LIST);
    bool is_there = false;
    bind_range(&query, filter);
    kw__query_i64(&query, filter->states);
    kw__query_i64(&query, filter->from_ms);
    kw__query_i64(&query, (int64_t)filter->limit);
    status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_delivery delivery = {.channel = filter->channel};
        status = kw__delivery_read(&query, &delivery);
        status = status == KW_OK ? sink(context, &delivery) : status;
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    kw__reader_give(sqlite, reader);
    return status;
}

/* --- replays --- */

struct replay {
    int64_t *sequences; /* of what is to wait again, in the order in which it was sent */
    size_t count, seen;
    int64_t last;
};

static enum kw_status find_ended(struct kw__connection *writer, const struct kw_store_delivery_filter *filter,
                                 struct replay *replay)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_ENDED);
    bool is_there = false;
    bind_range(&query, filter);
    kw__query_i64(&query, (int64_t)filter->limit);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        enum kw_delivery_state state = (enum kw_delivery_state)sqlite3_column_int64(query.statement, 1);
        bool has_ended = state == KW_DELIVERY_DONE || state == KW_DELIVERY_FAILED;
        replay->last = sqlite3_column_int64(query.statement, 0);
        replay->seen++;
        if (has_ended && kw__store_wants_state(filter, state) &&
            sqlite3_column_int64(query.statement, 2) >= filter->from_ms) {
            replay->sequences[replay->count++] = replay->last;
        }
        status = kw__query_next(&query, &is_there);
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_deliveries_replay(struct kw_store *store, const struct kw_store_delivery_filter *filter,
                                            int64_t now_ms, uint64_t *replayed_out, uint64_t *reached_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = check_filter(filter);
    if (status != KW_OK) {
        return status;
    }
    struct replay replay = {.sequences = kw_alloc(filter->limit, sizeof *replay.sequences)};
    status = replay.sequences == NULL ? KW_E_MEMORY : kw__write_begin_lazy(sqlite);
    if (status != KW_OK) {
        kw_free(replay.sequences);
        return status;
    }
    status = find_ended(&sqlite->writer, filter, &replay);
    for (size_t i = 0; i < replay.count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_DELIVERY_REPLAY);
        kw__query_i64(&query, (int64_t)filter->channel);
        kw__query_i64(&query, replay.sequences[i]);
        kw__query_i64(&query, now_ms);
        status = kw__query_run(&query);
    }
    kw_free(replay.sequences);
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        bool has_more = replay.seen == filter->limit && filter->sequence == 0;
        *replayed_out = replay.count;
        *reached_out = has_more ? (uint64_t)replay.last : 0;
    }
    return status;
}

/* --- pruning --- */

struct oldest {
    bool is_there;
    int64_t sequence;
    struct kw_id key_id;
    size_t channel_count;
    uint64_t channels[KW_STORE_TARGETS_MAX];
};

/* The first message, where it is older than that. */
static enum kw_status find_oldest(struct kw__connection *writer, int64_t before_ms, struct oldest *oldest)
{
    struct kw__query query = kw__query_open(writer, KW__SQL_MESSAGE_OLDEST);
    enum kw_status status = kw__query_next(&query, &oldest->is_there);
    if (status == KW_OK && oldest->is_there) {
        struct kw_bytes packed = kw__column_bytes(&query, 3);
        oldest->sequence = sqlite3_column_int64(query.statement, 0);
        oldest->is_there = sqlite3_column_int64(query.statement, 1) < before_ms;
        oldest->channel_count = packed.size / 8;
        bool is_sound = kw__column_id(&query, 2, &oldest->key_id) && oldest->channel_count <= KW_STORE_TARGETS_MAX;
        for (size_t i = 0; is_sound && i < packed.size; i++) {
            oldest->channels[i / 8] = oldest->channels[i / 8] << 8 | packed.data[i];
        }
        status = is_sound ? KW_OK : KW_E_CORRUPT;
    }
    kw__query_close(&query);
    return status;
}

static enum kw_status drop_oldest(struct kw__connection *writer, const struct oldest *oldest, int64_t now_ms)
{
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < oldest->channel_count && status == KW_OK; i++) {
        struct kw__query query = kw__query_open(writer, KW__SQL_DELIVERY_DELETE);
        kw__query_i64(&query, (int64_t)oldest->channels[i]);
        kw__query_i64(&query, oldest->sequence);
        status = kw__query_run(&query);
        status =
            status == KW_OK ? kw__delivery_let_next_go(writer, oldest->channels[i], &oldest->key_id, now_ms) : status;
    }
    if (status == KW_OK) {
        struct kw__query query = kw__query_open(writer, KW__SQL_MESSAGE_DELETE);
        kw__query_i64(&query, oldest->sequence);
        status = kw__query_run(&query);
    }
    return status;
}

enum kw_status kw__sqlite_deliveries_prune(struct kw_store *store, int64_t before_ms, size_t limit,
                                           uint64_t *removed_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    status = status == KW_OK ? kw__write_begin_lazy(sqlite) : status;
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    bool has_more = true;
    while (removed < limit && has_more && status == KW_OK) {
        struct oldest oldest = {.is_there = false};
        status = find_oldest(&sqlite->writer, before_ms, &oldest);
        has_more = oldest.is_there;
        if (status == KW_OK && has_more) {
            status = drop_oldest(&sqlite->writer, &oldest, before_ms);
            removed++;
        }
    }
    status = kw__write_end(sqlite, status, NULL);
    if (status == KW_OK) {
        *removed_out = removed;
    }
    return status;
}
