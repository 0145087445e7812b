#include "base/bytes.h"
#include "engine/usage_table.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Verifications leave word here, each thread in a ring of its own. */

#define SPINS_MAX 256
#define YIELDS_MAX 8192 /* some milliseconds, where whoever holds it does not run */
#define RING_MASK (KW__RING_UNITS - 1)
#define TOGETHER 32 /* records whose reads of the table overlap */

/* What this thread has; in the library's own part of the thread's memory, found without a call. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uint64_t serial; /* of the engine whose shard it is */
    struct kw__shard *shard;
    uint64_t name;
    int64_t scopes_at_ms; /* the tick of the clock in which it took notice of scopes, and how often */
    uint32_t scopes_noted;
} mine;

static uint64_t last_name, last_serial; /* atomic */

static inline void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* False when others hold it all the while. */
static bool take(int *flag)
{
    for (int i = 0; i < SPINS_MAX + YIELDS_MAX; i++) {
        if (__atomic_load_n(flag, __ATOMIC_RELAXED) == 0 && __atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE) == 0) {
            return true;
        }
        if (i < SPINS_MAX) {
            pause_a_little();
        } else {
            sched_yield();
        }
    }
    return false;
}

static void give(int *flag)
{
    __atomic_store_n(flag, 0, __ATOMIC_RELEASE);
}

void kw__usage_hold(struct kw_usage *usage)
{
    while (!take(&usage->busy)) {
    }
}

void kw__usage_let_go(struct kw_usage *usage)
{
    give(&usage->busy);
}

/* Once a thread and engine; the last shard is everybody's who gets no other. */
static __attribute__((noinline, cold)) struct kw__shard *claim(struct kw_usage *usage)
{
    if (mine.name == 0) {
        mine.name = __atomic_add_fetch(&last_name, 1, __ATOMIC_RELAXED);
    }
    struct kw__shard *found = &usage->shards[KW__USAGE_SHARDS - 1];
    for (size_t i = 0; i + 1 < KW__USAGE_SHARDS; i++) {
        uint64_t owner = __atomic_load_n(&usage->shards[i].owner, __ATOMIC_ACQUIRE);
        if (owner == mine.name) { /* it was in use elsewhere in between */
            found = &usage->shards[i];
            break;
        }
    }
    for (size_t i = 0; i + 1 < KW__USAGE_SHARDS && found == &usage->shards[KW__USAGE_SHARDS - 1]; i++) {
        uint64_t none = 0;
        struct kw__shard *shard = &usage->shards[i];
        if (__atomic_compare_exchange_n(&shard->owner, &none, mine.name, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            __atomic_store_n(&shard->thread, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
            found = shard;
        }
    }
    mine.serial = usage->serial;
    mine.shard = found;
    return found;
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
        for (size_t i = 0; i < count; i++) {
            kw__use_prefetch_slot(usage, &uses[i]);
        }
        for (size_t i = 0; i < count; i++) {
            kw__use_add(usage, &uses[i]);
        }
        taken += count;
        __atomic_store_n(&shard->tail, at, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&usage->counted, taken, __ATOMIC_RELAXED);
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

/* The ring is full: the thread takes a part of the work over. False: others are at it all the while. */
static __attribute__((noinline, cold)) bool make_room(struct kw_usage *usage, struct kw__shard *shard)
{
    if (!take(&usage->busy)) {
        return false;
    }
    (void)kw__shard_empty(usage, shard, SIZE_MAX);
    give(&usage->busy);
    shard->tail_seen = __atomic_load_n(&shard->tail, __ATOMIC_ACQUIRE);
    return true;
}

static inline bool has_room(struct kw_usage *usage, struct kw__shard *shard, uint64_t head, size_t units)
{
    if (__builtin_expect(head + units - shard->tail_seen <= KW__RING_UNITS, 1)) {
        return true;
    }
    shard->tail_seen = __atomic_load_n(&shard->tail, __ATOMIC_ACQUIRE);
    return head + units - shard->tail_seen <= KW__RING_UNITS || make_room(usage, shard);
}

static inline void put_units(struct kw__shard *shard, uint64_t at, const void *from, size_t units)
{
    const uint8_t *bytes = from;
    for (size_t i = 0; i < units; i++) {
        memcpy(&shard->ring[(at + i) & RING_MASK], bytes + i * sizeof(struct kw__use_unit),
               sizeof(struct kw__use_unit));
    }
}

static size_t put_text(struct kw__shard *shard, uint64_t at, struct kw_bytes text, size_t units)
{
    uint8_t bytes[5 * sizeof(struct kw__use_unit)] = {(uint8_t)text.size};
    memcpy(bytes + 1, text.data, text.size);
    put_units(shard, at, bytes, units);
    return units;
}

/* "CH", "US-CA". */
static struct kw_bytes name_place(const struct kw_place *place, uint8_t memory[KW_STORE_USE_REGION_MAX])
{
    bool is_whole = place->region.size > 2 && place->region.data[2] == '-';
    struct kw_bytes part = is_whole ? kw_bytes_skip(place->region, 3) : place->region;
    if (place->country.size != 2 || part.size > KW_STORE_USE_REGION_MAX - 3) {
        return (struct kw_bytes){NULL, 0};
    }
    memcpy(memory, place->country.data, 2);
    if (part.size > 0) {
        memory[2] = '-';
        memcpy(memory + 3, part.data, part.size);
    }
    return kw_bytes_of(memory, part.size > 0 ? 3 + part.size : 2);
}

static bool add_scopes(struct kw_buffer *text, const struct kw_bytes *scopes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text->size + scopes[i].size + 1 > KW__USE_TEXT_MAX) {
            return false;
        }
        kw_buffer_add(text, scopes[i]);
        kw_buffer_add_byte(text, ' ');
    }
    return true;
}

/*
 * What is to become of the scopes that were asked for. Their texts cost more than all else that is counted: a thread
 * that has so much to do that it shows takes notice of some, and says of the others that they are not known.
 */
static inline uint8_t scope_parts(const struct kw_verification *v, int64_t now_ms)
{
    const struct kw_question *question = &v->question;
    if (v->code != KW_CODE_NONE ||
        (question->scope_count | question->resource_scope_count | question->require.size) == 0) {
        return 0;
    }
    if (mine.scopes_at_ms != now_ms) {
        mine.scopes_at_ms = now_ms;
        mine.scopes_noted = 0;
    }
    return mine.scopes_noted++ < KW__USE_SCOPES_NOTED ? KW__USE_SCOPES : KW__USE_MORE_SCOPES;
}

/* What was asked for, of a good verification; how its parts are to be marked. */
static uint8_t gather_scopes(const struct kw_question *question, struct kw_buffer *text)
{
    size_t require_count = question->require.size > 0 ? 1 : 0;
    bool is_whole = add_scopes(text, question->scopes, question->scope_count) &&
                    add_scopes(text, question->resource_scopes, question->resource_scope_count) &&
                    add_scopes(text, &question->require, require_count);
    return (text->size > 0 ? KW__USE_SCOPES : 0) | (is_whole ? 0 : KW__USE_MORE_SCOPES);
}

/* All that goes beyond a head and a digest. */
static __attribute__((noinline)) void put_more(struct kw_usage *usage, struct kw__shard *shard,
                                               const struct kw_verification *v, struct kw__use_head head,
                                               const struct kw_entry *entry)
{
    uint8_t memory[KW_STORE_USE_REGION_MAX];
    uint8_t scope_memory[KW__USE_TEXT_MAX];
    struct kw_buffer scopes;
    const struct kw_question *question = &v->question;
    struct kw_bytes place = question->place == NULL ? (struct kw_bytes){NULL, 0} : name_place(question->place, memory);
    uint64_t at = shard->head;
    if (!has_room(usage, shard, at, KW__RECORD_UNITS_MAX)) {
        __atomic_fetch_add(&shard->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    head.parts |= question->address != NULL ? KW__USE_ADDRESS : 0;
    head.parts |= place.size > 0 ? KW__USE_PLACE : 0;
    head.parts |= v->endpoint.size > 0 ? KW__USE_ENDPOINT : 0;
    kw_buffer_init_fixed(&scopes, scope_memory, sizeof scope_memory);
    if ((head.parts & KW__USE_SCOPES) != 0) {
        head.parts = (uint8_t)(head.parts & ~KW__USE_SCOPES) | gather_scopes(question, &scopes);
    }
    put_units(shard, at++, &head, 1);
    put_units(shard, at, entry->digest, 2);
    at += 2;
    if (question->address != NULL) {
        put_units(shard, at++, question->address, 1);
    }
    if (place.size > 0) {
        at += put_text(shard, at, place, 1);
    }
    if (v->endpoint.size > 0) {
        at += put_text(shard, at, v->endpoint, 5);
    }
    if ((head.parts & KW__USE_SCOPES) != 0) {
        at += put_text(shard, at, kw_buffer_bytes(&scopes), 5);
    }
    __atomic_store_n(&shard->head, at, __ATOMIC_RELEASE);
}

static inline void put(struct kw_usage *usage, struct kw__shard *shard, const struct kw_verification *v,
                       const struct kw_entry *entry, int64_t now_ms)
{
    struct kw__use_head head = {.at_ms = now_ms,
                                .cost = v->cost == 0 ? 1 : v->cost,
                                .project = v->question.project,
                                .code = (uint8_t)v->code,
                                .parts = entry == NULL ? 0 : KW__USE_KNOWN | scope_parts(v, now_ms)};
    bool has_more = v->question.address != NULL || v->question.place != NULL || v->endpoint.size > 0 ||
                    (head.parts & KW__USE_SCOPES) != 0;
    if (entry != NULL && has_more) {
        put_more(usage, shard, v, head, entry);
        return;
    }
    uint64_t at = shard->head;
    if (!has_room(usage, shard, at, 3)) {
        __atomic_fetch_add(&shard->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    put_units(shard, at++, &head, 1);
    if (entry != NULL) {
        put_units(shard, at, entry->digest, 2);
        at += 2;
    }
    __atomic_store_n(&shard->head, at, __ATOMIC_RELEASE);
}

static __attribute__((noinline, cold)) void put_shared(struct kw_usage *usage, struct kw__shard *shard,
                                                       const struct kw_verification *v, const struct kw_entry *entry,
                                                       int64_t now_ms)
{
    if (!take(&usage->shared_busy)) {
        __atomic_fetch_add(&shard->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    put(usage, shard, v, entry, now_ms);
    give(&usage->shared_busy);
}

void kw__usage_count(struct kw_usage *usage, const struct kw_verification *v, const struct kw_entry *entry,
                     int64_t now_ms)
{
    if (__builtin_expect(v->question.project == KW_PROJECT_NONE, 0)) {
        return;
    }
    struct kw__shard *shard = __builtin_expect(mine.serial == usage->serial, 1) ? mine.shard : claim(usage);
    if (__builtin_expect(shard == &usage->shards[KW__USAGE_SHARDS - 1], 0)) {
        put_shared(usage, shard, v, entry, now_ms);
        return;
    }
    put(usage, shard, v, entry, now_ms);
}

static struct kw__shard *aligned(uint8_t *memory)
{
    size_t beyond = (uintptr_t)memory % _Alignof(struct kw__shard);
    return (struct kw__shard *)(void *)(memory + (beyond == 0 ? 0 : _Alignof(struct kw__shard) - beyond));
}

enum kw_status kw_usage_new(struct kw_usage **usage_out)
{
    struct kw_usage *usage = kw_alloc(1, sizeof *usage);
    if (usage == NULL) {
        return KW_E_MEMORY;
    }
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
    bool is_whole = usage->shards != NULL && usage->rings != NULL && kw__use_rows_new(&usage->rows) == KW_OK &&
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
        .unattributed = __atomic_load_n(&usage->unattributed, __ATOMIC_RELAXED),
    };
    for (size_t i = 0; i < KW__USAGE_SHARDS; i++) {
        stats_out->dropped += __atomic_load_n(&usage->shards[i].dropped, __ATOMIC_RELAXED);
    }
}
