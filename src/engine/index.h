/*
 * The live index: digest -> entry. Readers take no lock and touch one cache line of the table and the entry itself;
 * writers share one mutex. An entry is never changed in place, but for flags that a passed time sets: a newer one takes
 * its place, and the old one is freed when no reader can see it any more. Nothing ever leaves the index: an erased key
 * leaves a tombstone in it, and a key that was moved to another digest a signpost, so that a slow loader cannot bring
 * back what it read before (DESIGN, invariant 8).
 */
#ifndef KW_ENGINE_INDEX_H
#define KW_ENGINE_INDEX_H

#include "base/memory.h"
#include "core/catalog.h"
#include "core/verdict.h"
#include "engine/method_set.h"

struct kw_index;
struct kw_slot;
struct kw_table;

KW_MUST_USE enum kw_status kw_index_new(struct kw_index **index_out);
void kw_index_free(struct kw_index *index);

/* Around every find; entries stay valid until the end. They nest. */
void kw_index_read_begin(void);
void kw_index_read_end(void);

/* The entry of that digest, NULL when it is not here. What has moved is found by its former digests too. */
struct kw_entry *kw_index_find(const struct kw_index *index, const struct kw_digest *digest);
/* Asks the processor to fetch what a find will read first. */
void kw_index_prefetch_bucket(const struct kw_index *index, const struct kw_digest *digest);
/* And what it will read then, and what a decision reads beside it: what is likely the entry, not compared yet, or NULL.
 * Valid as what a find gives. `is_alone`: all of it at once, where no others are asked for meanwhile. */
struct kw_entry *kw_index_expect(const struct kw_index *index, const struct kw_digest *digest, bool is_alone);
/* Says where in the ledger a decision by that entry will read, so that it is fetched with the entry. Any thread. */
void kw_index_hint_run(struct kw_index *index, const struct kw_entry *entry, const struct kw_slot *run);
/* The find that follows, as of the moment of either call. */
struct kw_entry *kw_index_find_expected(const struct kw_index *index, const struct kw_digest *digest,
                                        struct kw_entry *expected);

/*
 * Puts a copy of a record's entry in, unless an entry of the same or a newer version is there. When it returns, every
 * find that begins sees it. KW_E_MEMORY, or as kw_entry_build.
 */
KW_MUST_USE enum kw_status kw_index_put(struct kw_index *index, const struct kw_digest *digest, uint16_t project,
                                        bool erased, struct kw_bytes encoding);

/*
 * The same for a row that somebody read from the store, before or after the writer's last changes of it were put in.
 * The writer puts a successor in ahead of the key that it follows. So when a key that others stand under was rotated or
 * erased, that is left to the writer: without the successor they would be refused. And a row that is older than the
 * newest key of its line does not take that one's place above them.
 */
KW_MUST_USE enum kw_status kw_index_load(struct kw_index *index, const struct kw_digest *digest, uint16_t project,
                                         bool erased, struct kw_bytes encoding);

/*
 * Puts a record in that is kept under the digest `to` from now on, and was under `from`. No find misses it in between,
 * and nothing that is put under `from` later, read from the store before, takes effect. Fails as
 * kw_index_put; then the key may be found under both, as it is and as it was: do it again.
 */
KW_MUST_USE enum kw_status kw_index_move(struct kw_index *index, const struct kw_digest *from,
                                         const struct kw_digest *to, uint16_t project, bool erased,
                                         struct kw_bytes encoding);
/* True when the digest is a former one of a key that is not `id`. */
bool kw_index_was_moved(const struct kw_index *index, const struct kw_digest *digest, const struct kw_id *id);
/*
 * Grows before a moved key can be missed under its old method: who skipped a method without entries, and found
 * nothing, looks again where it has grown.
 */
uint64_t kw_index_moves(const struct kw_index *index);

/* Entries of all projects by the method of their digest; of keys, and of what is erased. */
uint64_t kw_index_method_keys(const struct kw_index *index, uint8_t method);
uint64_t kw_index_method_erased(const struct kw_index *index, uint8_t method);
/* The methods of a project's entries; of its keys, or of what was erased of it. */
void kw_index_methods(const struct kw_index *index, uint16_t project, bool of_erased,
                      struct kw_method_set *methods_out);
/* Whether keys that came from elsewhere are here, of a project. */
bool kw_index_has_imported(const struct kw_index *index, uint16_t project);

/*
 * True when the newest key of the line and all that it stands under are here: `generation_out` is how many lines stand
 * above it. Else false, and `unknown_out` is the line that is missing.
 */
KW_MUST_USE bool kw_index_ancestry(struct kw_index *index, const struct kw_id *lineage, size_t *generation_out,
                                   struct kw_id *unknown_out);

/* The worst status of a line's newest key and of all that it stands under, REVOKED where one of them was erased; false
 * where one of them is not here yet. */
KW_MUST_USE bool kw_index_family_status(struct kw_index *index, const struct kw_id *lineage, int64_t now_ms,
                                        enum kw_key_status *status_out);

/*
 * A copy of the newest record of a line that others stand under. KW_E_NOT_FOUND when it is not here, or erased;
 * KW_E_MEMORY, KW_E_LIMIT.
 */
KW_MUST_USE enum kw_status kw_index_copy_newest(struct kw_index *index, const struct kw_id *lineage,
                                                struct kw_arena *arena, struct kw_bytes *encoding_out);

/*
 * Gives all entries the policies of this catalog, which is borrowed until the next one. When it returns, every
 * verification that begins is decided by these; one that is under way may still look into the catalog before.
 */
void kw_index_set_catalog(struct kw_index *index, const struct kw_catalog *catalog);

/* Frees what was replaced; waits for readers. Called by writers now and then, outside of any read. */
void kw_index_reclaim(struct kw_index *index);

/* The table as it is, for who looks through it; valid in the read section. */
const struct kw_table *kw_index_table(const struct kw_index *index);

/* From now on a digest that is not here is in no store. */
void kw_index_set_complete(struct kw_index *index);
/* To be asked before a find: when true, that find's NULL is final. */
bool kw_index_complete(const struct kw_index *index);

uint64_t kw_index_count(const struct kw_index *index);
uint64_t kw_index_bytes(const struct kw_index *index);

/* Returns when every read section that began before has ended. */
void kw_index_read_wait(void);

#endif
