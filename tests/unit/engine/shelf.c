#include "shelf.h"

#include <pthread.h>

static struct {
    struct kw_store_ops ops;
    const struct kw_store_ops *inner;
    bool held_back; /* atomic */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped, stands_before, loses_first;
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum kw_status shelf_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                                 void *context)
{
    return __atomic_load_n(&shelf.held_back, __ATOMIC_RELAXED) ? KW_E_UNAVAILABLE
                                                               : shelf.inner->list(store, filter, sink, context);
}

static enum kw_status shelf_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    pthread_mutex_lock(&shelf.lock);
    while (shelf.stopped) {
        shelf.stands_before = true;
        pthread_cond_broadcast(&shelf.changed);
        pthread_cond_wait(&shelf.changed, &shelf.lock);
    }
    bool loses_first = shelf.loses_first && batch_count > 1;
    shelf.loses_first = shelf.loses_first && !loses_first;
    pthread_mutex_unlock(&shelf.lock);
    if (!loses_first) {
        return shelf.inner->commit(store, batches, batch_count);
    }
    enum kw_status status = shelf.inner->commit(store, batches + 1, batch_count - 1);
    batches[0].outcome = KW_E_UNAVAILABLE;
    return status;
}

static void shelf_keep(struct kw_store *store)
{
    (void)store;
}

bool shelf_open(struct kw_store **store_out)
{
    if (kw_store_memory_open(store_out) != KW_OK) {
        return false;
    }
    shelf.inner = (*store_out)->ops;
    shelf.ops = *shelf.inner;
    shelf.ops.list = shelf_list;
    shelf.ops.commit = shelf_commit;
    shelf.ops.close = shelf_keep;
    shelf.stopped = shelf.loses_first = false;
    shelf_hold_back(false);
    (*store_out)->ops = &shelf.ops;
    return true;
}

void shelf_close(struct kw_store *store)
{
    shelf.inner->close(store);
}

void shelf_hold_back(bool held_back)
{
    __atomic_store_n(&shelf.held_back, held_back, __ATOMIC_RELAXED);
}

void shelf_stop_commits(void)
{
    pthread_mutex_lock(&shelf.lock);
    shelf.stopped = true;
    shelf.stands_before = false;
    pthread_mutex_unlock(&shelf.lock);
}

void shelf_wait_for_commit(void)
{
    pthread_mutex_lock(&shelf.lock);
    while (!shelf.stands_before) {
        pthread_cond_wait(&shelf.changed, &shelf.lock);
    }
    pthread_mutex_unlock(&shelf.lock);
}

void shelf_let_commits_go(bool lose_first)
{
    pthread_mutex_lock(&shelf.lock);
    shelf.stopped = false;
    shelf.loses_first = lose_first;
    pthread_cond_broadcast(&shelf.changed);
    pthread_mutex_unlock(&shelf.lock);
}
