#include "engine/tally.h"

#include "base/memory.h"

_Static_assert(KW_TALLY_METHODS > UINT8_MAX, "every method's number is counted");
_Static_assert(KW_TALLY_METHODS *KW_TALLY_BLOCK > UINT16_MAX, "and every project's");

static bool is_imported(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_IMPORTED) != 0;
}

void kw_tally_deinit(struct kw_tally *tally)
{
    for (size_t i = 0; i < KW_TALLY_METHODS; i++) {
        kw_free(tally->imported[i]);
    }
}

enum kw_status kw_tally_make_room(struct kw_tally *tally, const struct kw_entry *entry)
{
    uint64_t **block = &tally->imported[entry->project / KW_TALLY_BLOCK];
    if (!is_imported(entry) || *block != NULL) {
        return KW_OK;
    }
    uint64_t *counts = kw_alloc(KW_TALLY_BLOCK, sizeof *counts);
    __atomic_store_n(block, counts, __ATOMIC_RELEASE);
    return counts == NULL ? KW_E_MEMORY : KW_OK;
}

static void add(uint64_t *count, int64_t amount)
{
    __atomic_store_n(count, *count + (uint64_t)amount, __ATOMIC_SEQ_CST);
}

void kw_tally_add(struct kw_tally *tally, const struct kw_entry *entry, int64_t amount)
{
    bool is_erased = (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
    if (is_erased && is_imported(entry)) { /* a former digest of what was erased under another one (former.c) */
        return;
    }
    add(&(is_erased ? tally->erased : tally->keys)[entry->method], amount);
    if (is_imported(entry)) {
        add(&tally->imported[entry->project / KW_TALLY_BLOCK][entry->project % KW_TALLY_BLOCK], amount);
    }
}

uint64_t kw_tally_imported(const struct kw_tally *tally, uint16_t project)
{
    const uint64_t *block = __atomic_load_n(&tally->imported[project / KW_TALLY_BLOCK], __ATOMIC_ACQUIRE);
    return block == NULL ? 0 : __atomic_load_n(&block[project % KW_TALLY_BLOCK], __ATOMIC_RELAXED);
}
