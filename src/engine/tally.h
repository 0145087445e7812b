/*
 * What the index counts of its entries: keys and tombstones by the method of their digest, of all projects and of each;
 * imported keys by project. A tombstone that says `imported` is of a digest that an erased key had before, and counts
 * for nothing (former.c). Written under the index's lock, read by anybody.
 */
#ifndef KW_ENGINE_TALLY_H
#define KW_ENGINE_TALLY_H

#include "core/verdict.h"
#include "engine/method_set.h"

#define KW_TALLY_BLOCKS 256
#define KW_TALLY_BLOCK 256 /* projects in one piece of memory, which is taken when one of them has entries */

struct kw_tally_method;

struct kw_tally_project {
    struct kw_method_set with_keys, with_erased;
    uint64_t imported;
    struct kw_tally_method *methods; /* counts of those that entries of the project ever had; the writer's */
};

struct kw_tally {
    uint64_t keys[KW_METHODS_MAX];
    uint64_t erased[KW_METHODS_MAX];
    struct kw_tally_project *projects[KW_TALLY_BLOCKS];
};

void kw_tally_deinit(struct kw_tally *tally);
/* Before an entry is counted. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_tally_make_room(struct kw_tally *tally, const struct kw_entry *entry);
/* Counts an entry that comes. */
void kw_tally_add(struct kw_tally *tally, const struct kw_entry *entry);
/* And one that goes, which was counted when it came. */
void kw_tally_remove(struct kw_tally *tally, const struct kw_entry *entry);
/* Imported keys of a project, that are not erased. */
uint64_t kw_tally_imported(const struct kw_tally *tally, uint16_t project);
/* The methods that keys of a project have, or what was erased of it. */
void kw_tally_methods(const struct kw_tally *tally, uint16_t project, bool of_erased,
                      struct kw_method_set *methods_out);

#endif
