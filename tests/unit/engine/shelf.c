#include "shelf.h"

#include <pthread.h>

static struct {
    struct kw_store_ops ops;
    const struct kw_store_ops *inner;
    bool held_back; /* atomic, as the next two */
    bool change_uncertain, digests_unavailable;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped, stopped_after, stands, loses_first;
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum kw_status shelf_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                                 void *context)
{
    bool fills = filter->project.size == 0; /* nobody else asks for the keys of all projects */
    return fills && __atomic_load_n(&shelf.held_back, __ATOMIC_RELAXED)
               ? KW_E_UNAVAILABLE
               : shelf.inner->list(store, filter, sink, context);
}

static enum kw_status shelf_find_by_digest(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink,
                                           void *context)
{
    return __atomic_load_n(&shelf.digests_unavailable, __ATOMIC_RELAXED)
               ? KW_E_UNAVAILABLE
               : shelf.inner->find_by_digest(store, digest, sink, context);
}

static void stand_locked(const bool *stopped)
{
    while (*stopped) {
        shelf.stands = true;
        pthread_cond_broadcast(&shelf.changed);
        pthread_cond_wait(&shelf.changed, &shelf.lock);
    }
}

static enum kw_status stand_after(enum kw_status status)
{
    pthread_mutex_lock(&shelf.lock);
    stand_locked(&shelf.stopped_after);
    pthread_mutex_unlock(&shelf.lock);
    return status;
}

static enum kw_status shelf_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    pthread_mutex_lock(&shelf.lock);
    stand_locked(&shelf.stopped);
    bool loses_first = shelf.loses_first && batch_count > 1;
    shelf.loses_first = shelf.loses_first && !loses_first;
    pthread_mutex_unlock(&shelf.lock);
    enum kw_status status;
    if (!loses_first) {
        status = shelf.inner->commit(store, batches, batch_count);
        bool is_change = batches[0].put_count > 0 && __atomic_load_n(&shelf.change_uncertain, __ATOMIC_RELAXED);
        for (size_t i = 0; i < batch_count && is_change; i++) {
            batches[i].outcome = KW_E_UNCERTAIN;
        }
        if (is_change) {
            __atomic_store_n(&shelf.change_uncertain, false, __ATOMIC_RELAXED);
            __atomic_store_n(&shelf.digests_unavailable, true, __ATOMIC_RELAXED);
        }
        return stand_after(is_change ? KW_E_UNCERTAIN : status);
    }
    status = shelf.inner->commit(store, batches + 1, batch_count - 1);
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
    shelf.ops.find_by_digest = shelf_find_by_digest;
    shelf.ops.close = shelf_keep;
    shelf.stopped = shelf.stopped_after = shelf.loses_first = false;
    shelf_hold_back(false);
    shelf_end_doubt();
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

static void doubt(bool change_uncertain, bool digests_unavailable)
{
    __atomic_store_n(&shelf.change_uncertain, change_uncertain, __ATOMIC_RELAXED);
    __atomic_store_n(&shelf.digests_unavailable, digests_unavailable, __ATOMIC_RELAXED);
}

void shelf_doubt_next_change(void)
{
    doubt(true, false);
}

void shelf_end_doubt(void)
{
    doubt(false, false);
}

static void stop(bool *stopped)
{
    pthread_mutex_lock(&shelf.lock);
    *stopped = true;
    shelf.stands = false;
    pthread_mutex_unlock(&shelf.lock);
}

void shelf_stop_commits(void)
{
    stop(&shelf.stopped);
}

void shelf_stop_after_commits(void)
{
    stop(&shelf.stopped_after);
}

void shelf_wait_for_commit(void)
{
    pthread_mutex_lock(&shelf.lock);
    while (!shelf.stands) {
        pthread_cond_wait(&shelf.changed, &shelf.lock);
    }
    pthread_mutex_unlock(&shelf.lock);
}

void shelf_let_commits_go(bool lose_first)
{
    pthread_mutex_lock(&shelf.lock);
    shelf.stopped = shelf.stopped_after = false;
    shelf.loses_first = lose_first;
    pthread_cond_broadcast(&shelf.changed);
    pthread_mutex_unlock(&shelf.lock);
}
