/*
 * What the index counts of its entries: keys and tombstones by the method of their digest, imported keys by project.
 * A tombstone that says `imported` is of a digest that an erased key had before, and counts for nothing (former.c).
 * Written under the index's lock, read by anybody.
 */
#ifndef KW_ENGINE_TALLY_H
#define KW_ENGINE_TALLY_H

#include "core/verdict.h"

#define KW_TALLY_METHODS 256
#define KW_TALLY_BLOCK \
    256 /* projects that are counted in one piece of memory, which is taken when one has imported keys */

struct kw_tally {
    uint64_t keys[KW_TALLY_METHODS];
    uint64_t erased[KW_TALLY_METHODS];
    uint64_t *imported[KW_TALLY_METHODS];
};

void kw_tally_deinit(struct kw_tally *tally);
/* Before the first of a project's imported entries is counted. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_tally_make_room(struct kw_tally *tally, const struct kw_entry *entry);
void kw_tally_add(struct kw_tally *tally, const struct kw_entry *entry, int64_t amount);
/* Imported keys of a project, that are not erased. */
uint64_t kw_tally_imported(const struct kw_tally *tally, uint16_t project);

#endif
