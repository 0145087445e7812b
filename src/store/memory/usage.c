#include "store/memory/memory.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

/* The counter of that lineage, bucket and value; made, at 0, when there is none. NULL: no memory. */
static struct kw__memory_usage *counter_of(struct kw__memory *memory, struct kw__memory_journal *journal,
                                           const struct kw_store_usage *usage)
{
    struct kw__memory_usage probe = {.usage = *usage};
    struct kw__tree_node *node = kw__tree_find(&memory->usages, &probe.by_bucket);
    if (node != NULL) {
        return KW__TREE_OWNER(node, struct kw__memory_usage, by_bucket);
    }
    uint8_t *text = NULL;
    struct kw__memory_usage *made = kw__memory_object(sizeof *made, usage->value.size + usage->project.size, &text);
    if (made == NULL) {
        return NULL;
    }
    made->usage = *usage;
    made->usage.value = kw__memory_keep(&text, usage->value);
    made->usage.project = kw__memory_keep(&text, usage->project);
    made->usage.amount = 0;
    kw__memory_link(journal, &memory->usages, &made->by_bucket, made);
    return made;
}

static struct kw_store_usage hour_of(const struct kw_store_usage *usage)
{
    struct kw_store_usage hour = *usage;
    hour.is_day = false;
    return hour;
}

static void count_use(struct kw__memory_usage *counter, int64_t amount)
{
    bool fits = counter->usage.amount <= INT64_MAX - amount;
    counter->usage.amount = fits ? counter->usage.amount + amount : INT64_MAX;
}

/* Every counter is there before the first one moves, so that no memory means nothing was added. */
enum kw_status kw__memory_count_uses(struct kw__memory *memory, struct kw__memory_journal *journal,
                                     const struct kw_store_usage *usages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct kw_store_usage hour = hour_of(&usages[i]);
        if (counter_of(memory, journal, &hour) == NULL) {
            return KW_E_MEMORY;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct kw_store_usage hour = hour_of(&usages[i]);
        count_use(counter_of(memory, journal, &hour), usages[i].amount);
    }
    return KW_OK;
}

static struct kw_bytes keep(uint8_t *memory, struct kw_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(memory, bytes.data, bytes.size);
    }
    return kw_bytes_of(memory, bytes.size);
}

void kw__memory_note_use(struct kw__memory_row *row, int64_t at_ms, struct kw_bytes address, struct kw_bytes region)
{
    if (!row->row.erased && at_ms >= row->row.used_at_ms) {
        row->row.used_at_ms = at_ms;
        row->row.used_address = keep(row->used_address, address);
        row->row.used_region = keep(row->used_region, region);
    }
}

/* Removes the pieces of a part up to a sequence. */
static void drop_deferred(struct kw__memory *memory, const struct kw_store_deferred *settled)
{
    struct kw__memory_deferred first = {.piece.part = settled->part};
    struct kw__tree_node *node = kw__tree_after(&memory->deferred, &first.by_part);
    while (node != NULL) {
        struct kw__memory_deferred *found = KW__TREE_OWNER(node, struct kw__memory_deferred, by_part);
        if (found->piece.part != settled->part || found->piece.sequence > settled->sequence) {
            return;
        }
        node = kw__tree_after(&memory->deferred, node);
        kw__tree_remove(&memory->deferred, &found->by_part);
        memory->deferred_bytes -= found->piece.bytes.size;
        kw_free(found);
    }
}

enum kw_status kw__memory_usage_settle(struct kw_store *store, const struct kw_store_deferred *settled,
                                       const struct kw_store_usage *usages, size_t usage_count,
                                       const struct kw_store_use *uses, size_t use_count)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_journal journal = {.count = 0};
    enum kw_status status = kw__store_check_usages(usages, usage_count);
    status = status == KW_OK ? kw__store_check_uses(uses, use_count) : status;
    status = status == KW_OK ? kw__memory_journal_reserve(&journal, usage_count) : status;
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_wrlock(&memory->lock);
    status = kw__memory_journal_end(&journal, kw__memory_count_uses(memory, &journal, usages, usage_count));
    for (size_t i = 0; i < use_count && status == KW_OK; i++) {
        struct kw__memory_row probe = {.row.id = uses[i].key_id};
        struct kw__tree_node *node = kw__tree_find(&memory->rows_by_id, &probe.by_id);
        if (node != NULL) {
            struct kw__memory_row *row = KW__TREE_OWNER(node, struct kw__memory_row, by_id);
            kw__tree_remove(&memory->rows_by_use, &row->by_use);
            kw__memory_note_use(row, uses[i].at_ms, uses[i].address, uses[i].region);
            kw__tree_insert(&memory->rows_by_use, &row->by_use);
        }
    }
    if (status == KW_OK && settled != NULL) {
        drop_deferred(memory, settled);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_usage_add(struct kw_store *store, const struct kw_store_usage *usages, size_t usage_count,
                                    const struct kw_store_use *uses, size_t use_count)
{
    return kw__memory_usage_settle(store, NULL, usages, usage_count, uses, use_count);
}

/* NULL: no memory. */
static struct kw__memory_deferred *copy_of(const struct kw_store_deferred *piece)
{
    uint8_t *text = NULL;
    struct kw__memory_deferred *made = kw__memory_object(sizeof *made, piece->bytes.size, &text);
    if (made != NULL) {
        made->piece = *piece;
        made->piece.bytes = kw__memory_keep(&text, piece->bytes);
    }
    return made;
}

enum kw_status kw__memory_usage_defer(struct kw_store *store, const struct kw_store_deferred *pieces, size_t count,
                                      uint64_t *waiting_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_journal journal = {.count = 0};
    uint64_t bytes = 0;
    enum kw_status status = kw__store_check_deferred(pieces, count);
    status = status == KW_OK ? kw__memory_journal_reserve(&journal, count) : status;
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_wrlock(&memory->lock);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        struct kw__memory_deferred *made = copy_of(&pieces[i]);
        status = made == NULL ? KW_E_MEMORY : KW_OK;
        if (made != NULL) {
            made->piece.sequence = ++memory->deferred_last;
            bytes += made->piece.bytes.size;
            kw__memory_link(&journal, &memory->deferred, &made->by_part, made);
        }
    }
    status = kw__memory_journal_end(&journal, status);
    if (status == KW_OK) {
        memory->deferred_bytes += bytes;
        *waiting_out = memory->deferred_bytes;
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_usage_deferred(struct kw_store *store, uint32_t part, size_t limit,
                                         kw_store_deferred_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_deferred before = {.piece.part = part};
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_after(&memory->deferred, &before.by_part);
    for (size_t i = 0; i < limit && node != NULL && status == KW_OK; i++) {
        const struct kw__memory_deferred *found = KW__TREE_OWNER(node, struct kw__memory_deferred, by_part);
        if (i > 0 && found->piece.part != before.piece.part) {
            break;
        }
        before.piece.part = found->piece.part;
        status = sink(context, &found->piece);
        node = kw__tree_after(&memory->deferred, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

/* The first count of a project's hours or days that is behind `from`; NULL when there is none. */
static struct kw__memory_usage *next_of(struct kw__memory *memory, struct kw_bytes project, bool is_day,
                                        const struct kw__tree_node *from)
{
    struct kw__memory_usage first = {.usage = {.project = project, .is_day = is_day, .bucket_start_ms = INT64_MIN}};
    struct kw__tree_node *node = kw__tree_after(&memory->usages, from == NULL ? &first.by_bucket : from);
    struct kw__memory_usage *found = node == NULL ? NULL : KW__TREE_OWNER(node, struct kw__memory_usage, by_bucket);
    bool is_of_these = found != NULL && found->usage.is_day == is_day && kw_bytes_equal(found->usage.project, project);
    return is_of_these ? found : NULL;
}

enum kw_status kw__memory_usage_read(struct kw_store *store, struct kw_bytes project, const struct kw_id *lineage_id,
                                     int64_t from_ms, int64_t until_ms, kw_store_usage_sink *sink, void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = KW_OK;
    pthread_rwlock_rdlock(&memory->lock);
    for (int span = 0; span < 2; span++) {
        const struct kw__memory_usage *found = next_of(memory, project, span == 0, NULL);
        for (; found != NULL && status == KW_OK; found = next_of(memory, project, span == 0, &found->by_bucket)) {
            const struct kw_store_usage *usage = &found->usage;
            if (kw_id_equal(&usage->lineage_id, lineage_id) && usage->bucket_start_ms >= from_ms &&
                usage->bucket_start_ms < until_ms) {
                status = sink(context, usage);
            }
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

enum kw_status kw__memory_usage_roll(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                     uint64_t *rolled_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(limit);
    uint64_t rolled = 0;
    pthread_rwlock_wrlock(&memory->lock);
    while (status == KW_OK && rolled < limit) {
        struct kw__memory_usage *hour = next_of(memory, project, false, NULL);
        struct kw__memory_journal journal = {.count = 0};
        if (hour == NULL || hour->usage.bucket_start_ms >= before_ms) {
            break;
        }
        status = kw__memory_journal_reserve(&journal, 1);
        if (status == KW_OK) {
            struct kw_store_usage day = hour->usage;
            day.is_day = true;
            day.bucket_start_ms = kw__store_day_of(day.bucket_start_ms);
            struct kw__memory_usage *counter = counter_of(memory, &journal, &day);
            status = kw__memory_journal_end(&journal, counter == NULL ? KW_E_MEMORY : KW_OK);
            if (status == KW_OK) {
                count_use(counter, hour->usage.amount);
                kw__tree_remove(&memory->usages, &hour->by_bucket);
                kw_free(hour);
                rolled++;
            }
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    if (status == KW_OK) {
        *rolled_out = rolled;
    }
    return status;
}

enum kw_status kw__memory_usage_prune(struct kw_store *store, struct kw_bytes project, int64_t before_ms, size_t limit,
                                      uint64_t *removed_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    uint64_t removed = 0;
    pthread_rwlock_wrlock(&memory->lock);
    struct kw__memory_usage *day = next_of(memory, project, true, NULL);
    while (day != NULL && day->usage.bucket_start_ms < before_ms && removed < limit) {
        kw__tree_remove(&memory->usages, &day->by_bucket);
        kw_free(day);
        removed++;
        day = next_of(memory, project, true, NULL);
    }
    pthread_rwlock_unlock(&memory->lock);
    *removed_out = removed;
    return KW_OK;
}
