/*
 * The records of hot keys as the answers to their verifications show them, so that they are not decoded and written
 * anew for each. What is kept is that of one entry in one version: a changed key is not found, whoever changed it.
 */
#ifndef KW_SERVER_RECORD_CACHE_H
#define KW_SERVER_RECORD_CACHE_H

#include "base/json.h"
#include "core/verdict.h"

#define KW_RECORD_CACHE_TEXT_MAX 1984 /* bytes of JSON; a longer record is written anew each time */

struct kw_record_cache;

/* About half a MiB, of which only what is used is resident. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_record_cache_new(struct kw_record_cache **cache_out);
void kw_record_cache_free(struct kw_record_cache *cache);

/*
 * Writes what is kept for the entry as a value. False: nothing was written, and the caller writes it; most of all where
 * another thread is at the same place, since nobody waits here. For all three: any number of threads.
 */
KW_MUST_USE bool kw_record_cache_write(struct kw_record_cache *cache, const struct kw_entry *entry,
                                       struct kw_json_writer *writer);
/*
 * What the caller wrote for the entry, copied; only of one that was wanted before as the last at its place, so that
 * keys which are used once cost no copies. The text must depend on nothing but the entry's version.
 */
void kw_record_cache_keep(struct kw_record_cache *cache, const struct kw_entry *entry, struct kw_bytes json);
/* Wipes all that is kept: after an erasure, so that nothing of the key stays here. */
void kw_record_cache_forget(struct kw_record_cache *cache);

#endif
