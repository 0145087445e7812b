#include "base/bytes.h"
#include "engine/table.h"
#include "engine/usage_defer.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What verifications left, in rings and in entries, is taken out and added to the table. */

#define RING_MASK (KW__RING_UNITS - 1)
#define TOGETHER 32 /* records whose reads of the table overlap */

void kw__usage_hold(struct kw_usage *usage)
{
    while (!kw__usage_take(&usage->busy)) {
    }
}

void kw__usage_let_go(struct kw_usage *usage)
{
    kw__usage_give(&usage->busy);
}

void kw__shards_reclaim(struct kw_usage *usage)
{
    for (size_t i = 0; i + 1 < KW__USAGE_SHARDS; i++) {
        struct kw__shard *shard = &usage->shards[i];
        int thread = __atomic_load_n(&shard->thread, __ATOMIC_ACQUIRE);
        bool is_gone = thread != 0 && syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH;
        bool is_empty =
            __atomic_load_n(&shard->head, __ATOMIC_ACQUIRE) == __atomic_load_n(&shard->tail, __ATOMIC_ACQUIRE);
        if (is_gone && is_empty) {
            __atomic_store_n(&shard->thread, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&shard->owner, 0, __ATOMIC_RELEASE);
        }
    }
}

static void read_units(const struct kw__shard *shard, uint64_t at, void *out, size_t units)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < units; i++) {
        memcpy(bytes + i * sizeof(struct kw__use_unit), &shard->ring[(at + i) & RING_MASK],
               sizeof(struct kw__use_unit));
    }
}

/* Puts one record together; how many units it has. */
static size_t read_use(const struct kw__shard *shard, uint64_t at, struct kw__use *use)
{
    size_t units = 1;
    read_units(shard, at, &use->head, 1);
    use->times = 1;
    use->place = use->endpoint = use->scopes = (struct kw_bytes){NULL, 0};
    if ((use->head.parts & KW__USE_KNOWN) != 0) {
        read_units(shard, at + units, use->digest, 2);
        units += 2;
    }
    if ((use->head.parts & KW__USE_ADDRESS) != 0) {
        read_units(shard, at + units, &use->address, 1);
        units++;
    }
    if ((use->head.parts & KW__USE_PLACE) != 0) {
        read_units(shard, at + units, use->texts[0], 1);
        use->place = kw_bytes_of(use->texts[0] + 1, use->texts[0][0]);
        units++;
    }
    if ((use->head.parts & KW__USE_ENDPOINT) != 0) {
        read_units(shard, at + units, use->texts[1], 5);
        use->endpoint = kw_bytes_of(use->texts[1] + 1, use->texts[1][0]);
        units += 5;
    }
    if ((use->head.parts & KW__USE_SCOPES) != 0) {
        read_units(shard, at + units, use->texts[2], 5);
        use->scopes = kw_bytes_of(use->texts[2] + 1, use->texts[2][0]);
        units += 5;
    }
    return units;
}

static void add_all(struct kw_usage *usage, const struct kw__use *uses, size_t count)
{
    kw_index_read_begin();
    for (size_t i = 0; i < count; i++) {
        kw__use_prefetch_slot(usage, &uses[i]);
    }
    for (size_t i = 0; i < count; i++) {
        kw__use_add(usage, &uses[i]);
        if ((uses[i].head.parts & KW__USE_ELSEWHERE) != 0 && uses[i].endpoint.size == 0) {
            kw__entry_settle(usage, &uses[i]);
        }
    }
    kw_index_read_end();
}

size_t kw__shard_empty(struct kw_usage *usage, struct kw__shard *shard, size_t most)
{
    uint64_t begin = __atomic_load_n(&shard->tail, __ATOMIC_RELAXED);
    uint64_t head = __atomic_load_n(&shard->head, __ATOMIC_ACQUIRE);
    uint64_t at = begin;
    size_t taken = 0;
    while (at != head && taken < most) {
        struct kw__use uses[TOGETHER];
        size_t count = 0;
        for (; at != head && count < TOGETHER; count++) {
            at += read_use(shard, at, &uses[count]);
            kw__use_prefetch_index(usage, &uses[count]);
        }
        add_all(usage, uses, count);
        taken += count;
        __atomic_store_n(&shard->tail, at, __ATOMIC_RELEASE);
    }
    return at - begin;
}

size_t kw__usage_empty_all(struct kw_usage *usage)
{
    size_t fullest = 0;
    for (size_t i = 0; i < KW__USAGE_SHARDS; i++) {
        struct kw__shard *shard = &usage->shards[i];
        uint64_t until = __atomic_load_n(&shard->head, __ATOMIC_ACQUIRE);
        size_t held = until - __atomic_load_n(&shard->tail, __ATOMIC_RELAXED);
        fullest = held > fullest ? held : fullest;
        bool goes_on = held > 0;
        while (goes_on) { /* in parts, so that a thread whose ring is full need not wait long */
            kw__usage_hold(usage);
            size_t units = kw__shard_empty(usage, shard, (size_t)4 * TOGETHER);
            goes_on = units > 0 && (int64_t)(until - __atomic_load_n(&shard->tail, __ATOMIC_RELAXED)) > 0;
            kw__usage_let_go(usage);
        }
    }
    return fullest;
}

static uint64_t last_serial; /* atomic */

static struct kw__shard *aligned(uint8_t *memory)
{
    size_t beyond = (uintptr_t)memory % _Alignof(struct kw__shard);
    return (struct kw__shard *)(void *)(memory + (beyond == 0 ? 0 : _Alignof(struct kw__shard) - beyond));
}

enum kw_status kw_usage_new(const struct kw_index *index, struct kw_usage **usage_out)
{
    struct kw_usage *usage = kw_alloc(1, sizeof *usage);
    if (usage == NULL) {
        return KW_E_MEMORY;
    }
    usage->index = index;
    usage->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&usage->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&usage->lock, NULL);
    pthread_mutex_init(&usage->writing, NULL);
    usage->memory = kw_alloc(KW__USAGE_SHARDS + 1, sizeof *usage->shards);
    usage->shards = usage->memory == NULL ? NULL : aligned(usage->memory);
    usage->rings = kw_alloc(KW__USAGE_SHARDS * KW__RING_UNITS, sizeof *usage->rings);
    usage->deferral = kw_alloc(1, sizeof *usage->deferral);
    usage->at_once_max = KW_USAGE_AT_ONCE;
    usage->deferred_max = KW_USAGE_DEFERRED_MAX;
    usage->origin_heads = kw_alloc(KW__ORIGIN_HEADS, sizeof *usage->origin_heads);
    bool is_whole = usage->shards != NULL && usage->rings != NULL && usage->origin_heads != NULL &&
                    usage->deferral != NULL && kw__use_rows_new(&usage->rows) == KW_OK &&
                    kw__use_table_init(&usage->tables[0]) == KW_OK && kw__use_table_init(&usage->tables[1]) == KW_OK;
    if (!is_whole) {
        kw_usage_free(usage);
        return KW_E_MEMORY;
    }
    for (size_t i = 0; i < KW__USAGE_SHARDS; i++) {
        usage->shards[i].ring = usage->rings + i * KW__RING_UNITS;
    }
    *usage_out = usage;
    return KW_OK;
}

void kw_usage_free(struct kw_usage *usage)
{
    if (usage == NULL) {
        return;
    }
    kw__use_table_deinit(&usage->tables[0]);
    kw__use_table_deinit(&usage->tables[1]);
    kw__use_rows_free(usage->rows);
    kw__origins_free(usage);
    kw_free(usage->origin_heads);
    kw_free(usage->deferral);
    kw_free(usage->memory);
    kw_free(usage->rings);
    pthread_mutex_destroy(&usage->writing);
    pthread_mutex_destroy(&usage->lock);
    pthread_cond_destroy(&usage->wake);
    kw_free(usage);
}

void kw_usage_stats(const struct kw_usage *usage, struct kw_usage_stats *stats_out)
{
    *stats_out = (struct kw_usage_stats){
        .counted = __atomic_load_n(&usage->counted, __ATOMIC_RELAXED),
        .written = __atomic_load_n(&usage->written, __ATOMIC_RELAXED),
        .dropped = __atomic_load_n(&usage->dropped, __ATOMIC_RELAXED),
        .deferred = __atomic_load_n(&usage->deferred, __ATOMIC_RELAXED),
        .unattributed = __atomic_load_n(&usage->unattributed, __ATOMIC_RELAXED),
    };
    for (size_t i = 0; i < KW__USAGE_SHARDS; i++) {
        stats_out->dropped += __atomic_load_n(&usage->shards[i].dropped, __ATOMIC_RELAXED);
    }
}
