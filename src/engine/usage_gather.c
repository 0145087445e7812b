#include "base/bytes.h"
#include "engine/pool.h"
#include "engine/table.h"
#include "engine/usage_table.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Verifications leave word here, each thread in a ring of its own. */

#define SPINS_MAX 256
#define SLEEPS_MAX 200 /* some ten milliseconds, where whoever holds it does not run */
#define SLEEP_NS 50000
#define RING_MASK (KW__RING_UNITS - 1)
#define ROOM 512
#define RECENT 8
#define RECENT_TIMES (KW_POOL_ALIGNMENT - 1)
#define HOT 3

/* What this thread has; in the library's own part of the thread's memory, found without a call. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uint64_t serial; /* of the engine whose shard it is */
    struct kw__shard *shard;
    uint64_t name;
    int64_t scopes_at_ms; /* when it took notice of scopes, and how often it still does until the clock goes on */
    uint32_t scopes_left;
    uint64_t recent[RECENT]; /* entries that it counted, and in the low bits how often again */
} mine;

static uint64_t last_name; /* atomic */

static inline void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

bool kw__usage_take(int *flag)
{
    const struct timespec moment = {.tv_nsec = SLEEP_NS};
    for (int i = 0; i < SPINS_MAX + SLEEPS_MAX; i++) {
        if (__atomic_load_n(flag, __ATOMIC_RELAXED) == 0 && __atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE) == 0) {
            return true;
        }
        if (i < SPINS_MAX) {
            pause_a_little();
        } else {
            nanosleep(&moment, NULL);
        }
    }
    return false;
}

void kw__usage_give(int *flag)
{
    __atomic_store_n(flag, 0, __ATOMIC_RELEASE);
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

/* The ring is full: the thread takes a part of the work over. False: others are at it all the while. */
static __attribute__((noinline, cold)) bool make_room(struct kw_usage *usage, struct kw__shard *shard)
{
    if (!kw__usage_take(&usage->busy)) {
        return false;
    }
    (void)kw__shard_empty(usage, shard, ROOM); /* not all: others wait for it too */
    kw__usage_give(&usage->busy);
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
    int64_t passed_ms = now_ms - mine.scopes_at_ms;
    if (passed_ms != 0) {
        bool is_long = passed_ms < 0 || passed_ms >= KW__USE_SCOPES_TICKS;
        mine.scopes_left = KW__USE_SCOPES_NOTED * (uint32_t)(is_long ? KW__USE_SCOPES_TICKS : passed_ms);
        mine.scopes_at_ms = now_ms;
    }
    if (mine.scopes_left == 0) {
        return KW__USE_MORE_SCOPES;
    }
    mine.scopes_left--;
    return KW__USE_SCOPES;
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

/*
 * A thread that is asked for the same key again and again counts it in its ring: others may be at it too, and a line
 * that two processors write to is slower than two that are each one's own.
 */
static inline bool is_hot(const struct kw_entry *entry)
{
    uint64_t *recent = &mine.recent[entry->digest[sizeof entry->digest - 1] % RECENT];
    uint64_t address = (uint64_t)(uintptr_t)entry;
    if ((*recent & ~(uint64_t)RECENT_TIMES) != address) {
        *recent = address;
        return false;
    }
    if ((*recent & RECENT_TIMES) >= HOT) {
        return true;
    }
    (*recent)++;
    return false;
}

static inline void origin_of(const struct kw_question *question, struct kw__origin_text *origin_out)
{
    *origin_out = (struct kw__origin_text){.has_address = 0};
    if (question->address != NULL) {
        memcpy(origin_out->address, question->address->bytes, sizeof origin_out->address);
        origin_out->has_address = 1;
    }
    if (question->place != NULL) {
        (void)name_place(question->place, origin_out->region);
    }
}

void kw__usage_prefetch(const struct kw_usage *usage, const struct kw_entry *entry)
{
    uint32_t number = kw__word_origin(__atomic_load_n(&entry->uses, __ATOMIC_RELAXED));
    if (number != 0) {
        __builtin_prefetch(kw__origin_at(usage, number));
    }
}

static inline bool is_from_there(const struct kw_usage *usage, uint64_t word, const struct kw_question *question)
{
    uint32_t number = kw__word_origin(word);
    if (number == 0) {
        return question->address == NULL && question->place == NULL;
    }
    const struct kw__origin *origin = kw__origin_at(usage, number);
    if (question->place == NULL || question->place->region.size == 0) {
        const struct kw_bytes *country = question->place == NULL ? NULL : &question->place->country;
        return kw__origin_is_country(origin, question->address, country);
    }
    struct kw__origin_text text;
    origin_of(question, &text);
    return kw__origin_is(origin, &text);
}

/* Whether it was counted in the entry; else `parts` says more of why not. */
static inline bool count_in_entry(const struct kw_usage *usage, const struct kw_verification *v, struct kw_entry *entry,
                                  int64_t now_ms, uint8_t *parts)
{
    uint64_t hour = __atomic_load_n(&usage->hour_now, __ATOMIC_ACQUIRE);
    uint64_t ms = (uint64_t)now_ms - (hour >> 1) * (uint64_t)KW_HOUR_MS;
    uint64_t word = __atomic_load_n(&entry->uses, __ATOMIC_ACQUIRE);
    bool is_first = kw__word_count(word) == 0;
    if (ms >= KW_HOUR_MS || kw__word_count(word) >= KW__WORD_CLOSED - 1 ||
        (!is_first && kw__word_hour(word) != (hour & 1)) || is_hot(entry)) {
        return false;
    }
    if (!is_from_there(usage, word, &v->question)) {
        *parts |= KW__USE_ELSEWHERE;
        return false;
    }
    ms = !is_first && (uint64_t)kw__word_ms(word) > ms ? (uint64_t)kw__word_ms(word) : ms; /* the latest */
    uint64_t next = (word & ~(KW__WORD_MS | KW__WORD_HOUR)) + 1;
    next |= ms << KW__WORD_MS_AT | (hour & 1) << KW__WORD_HOUR_AT;
    next |= (*parts & KW__USE_MORE_SCOPES) != 0 ? KW__WORD_LOST : 0;
    if (!__atomic_compare_exchange_n(&entry->uses, &word, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return false;
    }
    if (is_first) {
        kw_table_mark(kw_index_table(usage->index), entry);
    }
    return true;
}

static inline void put(struct kw_usage *usage, struct kw__shard *shard, const struct kw_verification *v,
                       struct kw_entry *entry, int64_t now_ms)
{
    uint32_t cost = v->cost == 0 ? 1 : v->cost;
    uint8_t parts = entry == NULL ? 0 : KW__USE_KNOWN | scope_parts(v, now_ms);
    bool is_plain =
        entry != NULL && v->code == KW_CODE_NONE && cost == 1 && v->endpoint.size == 0 && (parts & KW__USE_SCOPES) == 0;
    if (is_plain && count_in_entry(usage, v, entry, now_ms, &parts)) {
        return;
    }
    struct kw__use_head head = {
        .at_ms = now_ms, .cost = cost, .project = v->question.project, .code = (uint8_t)v->code, .parts = parts};
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
                                                       const struct kw_verification *v, struct kw_entry *entry,
                                                       int64_t now_ms)
{
    if (!kw__usage_take(&usage->shared_busy)) {
        __atomic_fetch_add(&shard->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    put(usage, shard, v, entry, now_ms);
    kw__usage_give(&usage->shared_busy);
}

void kw__usage_count(struct kw_usage *usage, const struct kw_verification *v, struct kw_entry *entry, int64_t now_ms)
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
