#include "engine/internal.h"

#include "base/bytes.h"
#include "core/id.h"

#include <time.h>

#define RETRY_MS 200

struct page {
    struct kw_engine *engine;
    struct kw_id last;
    size_t count;
    bool of_tombstones; /* which the index has as it has keys: by them an import is held against what was erased */
    bool out_of_memory;
};

enum kw_status kw__row_digest(const struct kw_store_row *row, struct kw_digest *digest_out)
{
    *digest_out = (struct kw_digest){.size = (uint8_t)row->digest.size};
    if (row->digest.size < KW_DIGEST_INDEX_SIZE || row->digest.size > sizeof digest_out->bytes) {
        return KW_E_CORRUPT;
    }
    memcpy(digest_out->bytes, row->digest.data, row->digest.size);
    return KW_OK;
}

enum kw_status kw__index_row(struct kw_engine *engine, const struct kw_store_row *row)
{
    kw_index_read_begin();
    uint16_t project = kw_project_number(kw__catalog(engine), row->project);
    kw_index_read_end();
    struct kw_digest digest;
    if (project == KW_PROJECT_NONE || kw__row_digest(row, &digest) != KW_OK) {
        return KW_E_CORRUPT;
    }
    return kw_index_load(engine->index, &digest, project, row->erased, row->record);
}

static void log_damaged(struct kw_engine *engine, const struct kw_id *id, enum kw_status status)
{
    char text[KW_ID_TEXT_SIZE];
    kw_id_format(id, text);
    struct kw_log_line line;
    kw_log_begin(&line, &engine->log, KW_LOG_ERROR, "record_unreadable");
    kw_log_bytes(&line, "keyId", kw_bytes_of(text, sizeof text));
    kw_log_text(&line, "status", kw_status_name(status));
    kw_log_end(&line);
}

/* A record that cannot be read must not keep the others from being served: it is reported and left out. */
static enum kw_status fill_sink(void *context, const struct kw_store_row *row)
{
    struct page *page = context;
    page->last = row->id;
    if (!page->of_tombstones) {
        page->engine->newest = row->id; /* they come in order */
    }
    page->count++;
    enum kw_status status = kw__index_row(page->engine, row);
    if (status == KW_E_MEMORY) {
        page->out_of_memory = true;
        return status;
    }
    if (status != KW_OK) {
        log_damaged(page->engine, &row->id, status);
        __atomic_store_n(&page->engine->fill_skipped, true, __ATOMIC_RELEASE);
    }
    return KW_OK;
}

static enum kw_status read_page(const struct kw_store_filter *filter, struct page *page)
{
    struct kw_store *store = page->engine->store;
    return page->of_tombstones ? store->ops->tombstones(store, &filter->after.id, filter->limit, fill_sink, page)
                               : store->ops->list(store, filter, fill_sink, page);
}

static void pause_before_retry(struct kw_engine *engine)
{
    uint64_t until = kw_monotonic_ns() + RETRY_MS * UINT64_C(1000000);
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000000000U), .tv_nsec = (long)(until % 1000000000U)};
    pthread_mutex_lock(&engine->filled_lock);
    while (!engine->stopping && pthread_cond_timedwait(&engine->filled, &engine->filled_lock, &deadline) == 0) {
    }
    pthread_mutex_unlock(&engine->filled_lock);
}

static bool is_stopping(struct kw_engine *engine)
{
    pthread_mutex_lock(&engine->filled_lock);
    bool stopping = engine->stopping;
    pthread_mutex_unlock(&engine->filled_lock);
    return stopping;
}

/* True when every row was seen. Without memory for all of them the index stays partial, and misses ask the store. */
static bool fill(struct kw_engine *engine, bool of_tombstones)
{
    struct kw_store_filter filter = {.limit = KW_STORE_LIST_MAX};
    while (!is_stopping(engine)) {
        struct page page = {.engine = engine, .last = filter.after.id, .of_tombstones = of_tombstones};
        enum kw_status status = read_page(&filter, &page);
        filter.after.id = page.last;
        if (page.out_of_memory) {
            return false;
        }
        if (status != KW_OK) {
            pause_before_retry(engine);
        } else if (page.count < filter.limit) {
            return true;
        }
    }
    return false;
}

void *kw__filler_main(void *context)
{
    struct kw_engine *engine = context;
    uint64_t began = kw_monotonic_ns();
    if (fill(engine, false) && fill(engine, true)) {
        kw_index_set_complete(engine->index);
    }
    struct kw_log_line line;
    kw_log_begin(&line, &engine->log, KW_LOG_INFO, "index_filled");
    kw_log_i64(&line, "keys", (int64_t)kw_index_count(engine->index));
    kw_log_i64(&line, "bytes", (int64_t)kw_index_bytes(engine->index));
    kw_log_i64(&line, "ms", (int64_t)((kw_monotonic_ns() - began) / 1000000U));
    kw_log_end(&line);
    pthread_mutex_lock(&engine->filled_lock);
    __atomic_store_n(&engine->fill_ended, true, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&engine->filled);
    pthread_mutex_unlock(&engine->filled_lock);
    return NULL;
}
