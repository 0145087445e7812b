/* What the files of the index share. */
#ifndef KW_ENGINE_INDEX_STATE_H
#define KW_ENGINE_INDEX_STATE_H

#include "engine/bounds.h"
#include "engine/index.h"
#include "engine/policies.h"
#include "engine/pool.h"
#include "engine/table.h"
#include "engine/tally.h"

#include <pthread.h>

#define KW__RETIRED_MAX 1024

struct kw_index {
    struct kw_table *table; /* readers */
    uint64_t count;         /* slots that are taken */
    uint64_t moves;
    bool complete;
    uint64_t signpost_count;
    struct kw_tally tally;

    pthread_mutex_t lock __attribute__((aligned(64))); /* writers: everything below, and the right to write above */
    struct kw_pool pool;
    struct kw_bounds bounds;
    struct kw_policies policies;
    struct kw_entry *retired[KW__RETIRED_MAX];
    size_t retired_count;
    uint64_t table_bytes;
};

/*
 * A signpost stands where a key was before it moved: an entry of no project, whose record is cut after the id and ends
 * in the digest that the key has now.
 */
#define KW__SIGNPOST_TO (KW_RECORD_ID_AT + sizeof(struct kw_id))
#define KW__SIGNPOST_SIZE (KW__SIGNPOST_TO + KW_DIGEST_INDEX_SIZE)

static inline bool kw__is_signpost(const struct kw_entry *entry)
{
    return entry->project == 0;
}

/* What stands under the digest, be it a signpost. */
static inline struct kw_entry *kw__index_at(const struct kw_index *index, const uint8_t *digest)
{
    uint64_t slot;
    (void)kw_table_find(__atomic_load_n(&index->table, __ATOMIC_ACQUIRE), digest, &slot);
    return kw_table_entry(slot);
}

#endif
