/*
 * Use is counted (DESIGN, sections 5 and 8). A verification that was like the key's last is counted in the key's entry
 * (usage_word.h), any other leaves a few words in a ring that only its thread writes to (usage_gather.c): no lock, no
 * allocation, no system call. A thread of the engine's own takes both into a table (usage_collect.c, usage_entries.c),
 * where what belongs together is added up (usage_table.c), and writes that every second (usage_write.c). So a crash
 * loses the last second of statistics. Nothing of it is in a record, and no verdict hangs on it.
 */
#ifndef KW_ENGINE_USAGE_H
#define KW_ENGINE_USAGE_H

#include "core/verdict.h"
#include <keyward/store.h>

struct kw_engine;
struct kw_index;
struct kw_op;
struct kw_usage;
struct kw_verification;

#define KW_USAGE_TICK_MS 250   /* between two looks at the rings, while nobody verifies */
#define KW_USAGE_WRITE_MS 750  /* between two writes */
#define KW_USAGE_TEND_MS 60000 /* between two looks for what is old */
#define KW_USAGE_AT_ONCE 1024  /* keys whose use is added to their counts at once; that of more is deferred */
#define KW_USAGE_DEFERRED_MAX (UINT64_C(1) << 30) /* bytes that wait in the store at most, but for one write */
#define KW_USAGE_KEYS ((size_t)1 << 14)           /* of one write where no more may wait: further ones come in turn */

/* KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_usage_new(const struct kw_index *index, struct kw_usage **usage_out);
void kw_usage_free(struct kw_usage *usage);

/* Starts the thread. KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw__usage_start(struct kw_engine *engine);
/* Keeps the clock of what is counted in entries, and room for it. Outside of any read section. */
void kw__usage_keep(struct kw_engine *engine);
/* Ends it, and writes all that was counted. No verification may be under way. */
void kw__usage_stop(struct kw_engine *engine);

/*
 * Counts one verification; `entry` NULL: of a key that is not known, which counts for its project alone. Inside of a
 * read section. Any number of threads.
 */
void kw__usage_count(struct kw_usage *usage, const struct kw_verification *v, struct kw_entry *entry, int64_t now_ms);

/* Asks the processor to fetch what counting a verification of the key from somewhere will read. */
void kw__usage_prefetch(const struct kw_usage *usage, const struct kw_entry *entry);

#define KW_USAGE_JSON_MAX ((size_t)4 << 20) /* of an answer */

struct kw_usage_stats {
    uint64_t counted;      /* verifications that were taken out of the rings */
    uint64_t written;      /* those of them that are in the store */
    uint64_t dropped;      /* that are counted nowhere */
    uint64_t unattributed; /* that count for their project and not for their key */
    uint64_t deferred;     /* bytes of use that are in the store and not yet added to counts */
};
void kw_usage_stats(const struct kw_usage *usage, struct kw_usage_stats *stats_out);

/* KW_OP_USAGE, on a reader, and KW_OP_REPORT, for a chain of them on the writer. Fail with op->error set. */
KW_MUST_USE enum kw_status kw__usage_read(struct kw_engine *engine, struct kw_op *op);
void kw__reports_write(struct kw_engine *engine, struct kw_op *chain);

#endif
