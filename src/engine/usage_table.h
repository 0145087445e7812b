/*
 * Inside of counting use: what gatherers, the table and the writer of counts share. See usage.h.
 *
 * Everything is allocated when the engine opens, and pages are touched as they are needed; so taking records out of a
 * ring never allocates, whoever does it.
 */
#ifndef KW_ENGINE_USAGE_TABLE_H
#define KW_ENGINE_USAGE_TABLE_H

#include "core/usage.h"
#include "engine/internal.h"
#include "engine/usage.h"
#include "engine/usage_word.h"

#define KW__USAGE_SLOTS ((size_t)1 << 18) /* keys between two writes; more count for their project alone */
#define KW__USAGE_CELLS ((size_t)1 << 16)
#define KW__USAGE_SHARDS 64
#define KW__RING_UNITS ((size_t)1 << 15) /* of 16 bytes: some 10,000 verifications */
#define KW__RECORD_UNITS_MAX 15
#define KW__SUBJECT_PROJECT UINT32_C(0x80000000) /* a cell of a project: its number stands in the low bits */

/* What a verification leaves: a head, and behind it what `parts` says, in this order. */
struct kw__use_head {
    int64_t at_ms;
    uint32_t cost;
    uint16_t project;
    uint8_t code;
    uint8_t parts;
};
enum {
    KW__USE_KNOWN = 1 << 0,       /* two units: the digest that the index knows the key by */
    KW__USE_ADDRESS = 1 << 1,     /* one */
    KW__USE_PLACE = 1 << 2,       /* one: a size and a text, "CH", "US-CA" */
    KW__USE_ENDPOINT = 1 << 3,    /* five: the same */
    KW__USE_SCOPES = 1 << 4,      /* five: the same, what was asked for, with spaces between */
    KW__USE_MORE_SCOPES = 1 << 5, /* none: not all of them are told */
    KW__USE_ELSEWHERE = 1 << 6,   /* none: the key's entry counts for another origin */
};
#define KW__USE_SCOPES_NOTED 16 /* verifications of a thread in a millisecond, and for so many at once */
#define KW__USE_SCOPES_TICKS 4
#define KW__USE_TEXT_MAX 79 /* in five units */

struct kw__use_unit {
    uint64_t words[2];
};

/* One thread writes, one at a time reads. */
struct kw__shard {
    uint64_t head __attribute__((aligned(64))); /* atomic; the writer's */
    uint64_t tail_seen;                         /* the writer's own */
    uint64_t dropped;                           /* atomic; the writer's */
    struct kw__use_unit *ring;
    uint64_t owner;                             /* atomic: what names the thread; 0: none */
    int thread;                                 /* its number in the system */
    uint64_t tail __attribute__((aligned(64))); /* atomic; the reader's */
};

/* A record, put together, or what an entry counted. */
struct kw__use {
    struct kw__use_head head;
    uint32_t times;
    uint8_t digest[KW_DIGEST_INDEX_SIZE];
    struct kw_address address;
    struct kw_bytes place, endpoint, scopes;
    uint8_t texts[3][KW__USE_TEXT_MAX + 1];
};

/* One key: what it was used for in one hour, as long as it was good. One cache line. */
struct kw__use_slot {
    uint8_t digest[KW_DIGEST_INDEX_SIZE];
    int64_t at_ms; /* of the last good verification; 0: none */
    uint64_t cost;
    uint32_t valid;
    int32_t hour; /* since 1970 */
    uint16_t project;
    bool has_place;
    bool has_networks;
    bool has_lost_scopes; /* some that were asked for are counted nowhere */
};

/* From where the last good verification came, and in `has_networks` those of the hour (core/use.h). */
struct kw__use_place {
    int64_t network_marks;
    uint32_t addressed;
    struct kw_address address;
    uint8_t region_size, region[KW_STORE_USE_REGION_MAX];
    bool has_address;
};

/* All that is rarer: an amount of one key, or of one project. */
struct kw__use_cell {
    int64_t amount;
    uint32_t subject; /* a slot's number, or KW__SUBJECT_PROJECT and a project's */
    int32_t hour;
    uint8_t dimension, size;
    uint8_t value[KW_ENDPOINT_MAX];
};

struct kw__use_table {
    uint64_t *slot_index; /* one more than a slot's number, and in the high half a part of its digest; 0: nothing */
    uint32_t *cell_index; /* one more than a cell's number */
    struct kw__use_slot *slots;
    struct kw__use_place *places;
    struct kw__use_cell *cells;
    size_t slot_count, cell_count;
    /* One more than the cells that a project's good verifications were last added to, by code and by cost: where there
     * are more keys than slots they come one after the other. 0: none. */
    uint32_t last_code, last_cost;
};

#define KW__ORIGINS_EACH ((uint32_t)1 << 16)
#define KW__ORIGIN_CHUNKS 256 /* for up to KW__WORD_ORIGIN_MAX different ones, as they come */
#define KW__ORIGIN_HEADS ((size_t)1 << 20)

struct kw__origin_link {
    uint32_t next;    /* of the same head, or of those that are free */
    uint32_t entries; /* whose words lead there */
};

struct kw__origin_chunk {
    struct kw__origin origins[KW__ORIGINS_EACH];
    struct kw__origin_link links[KW__ORIGINS_EACH];
};

struct kw__use_rows;
struct kw__deferral;

struct kw_usage {
    const struct kw_index *index;
    uint64_t hour_now; /* atomic: twice the number of the hour that entries count in now, and which of `hours` it is */
    uint64_t serial;   /* no two in a process have the same */
    struct kw__shard *shards; /* in `memory`, each in cache lines of its own */
    void *memory;
    struct kw__use_unit *rings;
    int shared_busy; /* atomic: the last shard is for threads that got none of their own */
    int busy;        /* atomic: whoever sets it empties rings and adds to tables[active] */
    unsigned active; /* under `busy`, as are the next */
    int64_t hour_ms; /* the hour of the last record, whose number is `hour` */
    int32_t hour;
    struct kw__use_table tables[2];
    int64_t hours[2];                                    /* that entries have counted in */
    struct kw__origin_chunk *origins[KW__ORIGIN_CHUNKS]; /* atomic */
    uint32_t *origin_heads;
    uint32_t origin_made, origin_end,
        origin_freed; /* numbers: the next new one, behind the last, and a list of others */
    /* The sweep through the index: where it is, in so many parts, how many it has passed, ever, and when it has passed
     * all of them since the hour before the last. */
    size_t part_at, part_count;
    uint64_t parts_passed, passed_once_at;
    uint64_t counted, unattributed, dropped, written; /* atomic */

    pthread_mutex_t writing; /* guards what follows */
    struct kw__use_rows *rows;
    struct kw__deferral *deferral; /* usage_defer.h */
    bool is_writing;               /* the other table is not all written */
    bool is_deferring;             /* it is deferred, and not added at once */
    bool knows_deferred;           /* `deferred` is what the store says */
    uint64_t swaps;                /* tables that writing has begun with */
    size_t slot_at, cell_at;       /* what of it is */
    size_t at_once_max;            /* slots or cells that are added at once */
    uint64_t deferred_max;         /* bytes; where more wait keys are written in turn */
    uint64_t deferred;             /* atomic: bytes that wait in the store */

    pthread_mutex_t lock; /* guards `stopping` */
    pthread_cond_t wake;
    bool stopping;
    bool is_started;
    pthread_t thread;
    int64_t tend_at_ms;
};

KW_MUST_USE enum kw_status kw__use_table_init(struct kw__use_table *table);
void kw__use_table_deinit(struct kw__use_table *table);
/* Forgets all of it. */
void kw__use_table_clear(struct kw__use_table *table);

/* The three below: `busy` is held. */
/* Adds a record to the active table. */
void kw__use_add(struct kw_usage *usage, const struct kw__use *use);
/* Ask the processor for what adding a record will read: first the one for several records, then the other. */
void kw__use_prefetch_index(const struct kw_usage *usage, const struct kw__use *use);
void kw__use_prefetch_slot(const struct kw_usage *usage, const struct kw__use *use);
/* Takes up to `most` records out of a ring; how many units it were. */
size_t kw__shard_empty(struct kw_usage *usage, struct kw__shard *shard, size_t most);

/* Takes everything out of all rings; the most units that one of them held. */
size_t kw__usage_empty_all(struct kw_usage *usage);

/*
 * What entries have counted is taken out in turn, of some `most` keys, or of one turn through the index: `parts_passed`
 * grows by `part_count` in a turn. It goes to the active table, or where these are too many to be added at once, and
 * they may be deferred, to the deferral's `swept`. One thread at a time, as the two below.
 */
void kw__usage_sweep(struct kw_engine *engine, size_t most, bool may_defer);
/* Entries count in the hour of now, as soon as that can be. Outside of any read section. */
void kw__usage_turn_hour(struct kw_usage *usage, int64_t now_ms);
/* Room for the origins of more keys. KW_E_MEMORY: what comes from others is not counted in entries. */
KW_MUST_USE enum kw_status kw__origins_reserve(struct kw_usage *usage);
void kw__origins_free(struct kw_usage *usage);
/* From now on the key's entry counts for the origin of that use. `busy` is held, inside of a read section. */
void kw__entry_settle(struct kw_usage *usage, const struct kw__use *use);

static inline struct kw__origin *kw__origin_at(const struct kw_usage *usage, uint32_t number)
{
    struct kw__origin_chunk *chunk = __atomic_load_n(&usage->origins[number / KW__ORIGINS_EACH], __ATOMIC_ACQUIRE);
    return &chunk->origins[number % KW__ORIGINS_EACH];
}

/* False when others hold it all the while. */
bool kw__usage_take(int *flag);
void kw__usage_give(int *flag);
void kw__usage_hold(struct kw_usage *usage);
void kw__usage_let_go(struct kw_usage *usage);
/* Frees the rings of threads that have ended. */
void kw__shards_reclaim(struct kw_usage *usage);

/* Room for the rows of one write. */
KW_MUST_USE enum kw_status kw__use_rows_new(struct kw__use_rows **rows_out);
void kw__use_rows_free(struct kw__use_rows *rows);
/* Writes a part of the table that is being written, as large as one write may be, or begins with the next table, which
 * has what some `most` keys have counted. True in `more_out`: there is more in that table. `writing` is held. */
KW_MUST_USE enum kw_status kw__usage_write_part(struct kw_engine *engine, size_t most, bool *more_out);

#endif
