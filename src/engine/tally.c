#include "engine/tally.h"

#include "base/memory.h"

_Static_assert(KW_TALLY_BLOCKS *KW_TALLY_BLOCK > UINT16_MAX, "every project is counted");

/* One method in one project. */
struct kw_tally_method {
    struct kw_tally_method *next;
    uint8_t number;
    uint64_t keys, erased;
};

static bool is_imported(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_IMPORTED) != 0;
}

static bool is_erased(const struct kw_entry *entry)
{
    return (kw_entry_flags(entry) & KW_ENTRY_ERASED) != 0;
}

/* Not a former digest of what was erased under another one (former.c). */
static bool is_counted(const struct kw_entry *entry)
{
    return !is_erased(entry) || !is_imported(entry);
}

static void free_block(struct kw_tally_project *projects)
{
    for (size_t i = 0; projects != NULL && i < KW_TALLY_BLOCK; i++) {
        while (projects[i].methods != NULL) {
            struct kw_tally_method *next = projects[i].methods->next;
            kw_free(projects[i].methods);
            projects[i].methods = next;
        }
    }
    kw_free(projects);
}

void kw_tally_deinit(struct kw_tally *tally)
{
    for (size_t i = 0; i < KW_TALLY_BLOCKS; i++) {
        free_block(tally->projects[i]);
    }
}

static bool has_method(const struct kw_tally_project *project, uint8_t number)
{
    const struct kw_tally_method *method = project->methods;
    while (method != NULL && method->number != number) {
        method = method->next;
    }
    return method != NULL;
}

static struct kw_tally_project *project_of(const struct kw_tally *tally, uint16_t number)
{
    struct kw_tally_project *block = __atomic_load_n(&tally->projects[number / KW_TALLY_BLOCK], __ATOMIC_ACQUIRE);
    return block == NULL ? NULL : &block[number % KW_TALLY_BLOCK];
}

enum kw_status kw_tally_make_room(struct kw_tally *tally, const struct kw_entry *entry)
{
    if (!is_counted(entry)) {
        return KW_OK;
    }
    struct kw_tally_project *project = project_of(tally, entry->project);
    if (project == NULL) {
        struct kw_tally_project *block = kw_alloc(KW_TALLY_BLOCK, sizeof *block);
        __atomic_store_n(&tally->projects[entry->project / KW_TALLY_BLOCK], block, __ATOMIC_RELEASE);
        project = project_of(tally, entry->project);
    }
    if (project == NULL) {
        return KW_E_MEMORY;
    }
    if (!has_method(project, entry->method)) {
        struct kw_tally_method *method = kw_alloc(1, sizeof *method);
        if (method == NULL) {
            return KW_E_MEMORY;
        }
        *method = (struct kw_tally_method){.next = project->methods, .number = entry->method};
        project->methods = method;
    }
    return KW_OK;
}

static void add(uint64_t *count, int64_t amount)
{
    __atomic_store_n(count, *count + (uint64_t)amount, __ATOMIC_SEQ_CST);
}

static void mark(struct kw_method_set *set, uint8_t number, bool is_in)
{
    if (kw_method_set_has(set, number) != is_in) {
        __atomic_store_n(&set->words[number / 64], set->words[number / 64] ^ kw_method_bit(number), __ATOMIC_SEQ_CST);
    }
}

static void count(struct kw_tally *tally, const struct kw_entry *entry, int64_t amount)
{
    if (!is_counted(entry)) {
        return;
    }
    struct kw_tally_project *block = tally->projects[entry->project / KW_TALLY_BLOCK]; /* room was made for it */
    struct kw_tally_project *project = &block[entry->project % KW_TALLY_BLOCK];
    struct kw_tally_method *method = project->methods;
    while (method->number != entry->method) {
        method = method->next;
    }
    bool of_erased = is_erased(entry);
    uint64_t *here = of_erased ? &method->erased : &method->keys;
    *here += (uint64_t)amount;
    add(&(of_erased ? tally->erased : tally->keys)[entry->method], amount);
    mark(of_erased ? &project->with_erased : &project->with_keys, entry->method, *here != 0);
    if (is_imported(entry)) {
        add(&project->imported, amount);
    }
}

void kw_tally_add(struct kw_tally *tally, const struct kw_entry *entry)
{
    count(tally, entry, 1);
}

void kw_tally_remove(struct kw_tally *tally, const struct kw_entry *entry)
{
    count(tally, entry, -1);
}

uint64_t kw_tally_imported(const struct kw_tally *tally, uint16_t project)
{
    const struct kw_tally_project *found = project_of(tally, project);
    return found == NULL ? 0 : __atomic_load_n(&found->imported, __ATOMIC_RELAXED);
}

void kw_tally_methods(const struct kw_tally *tally, uint16_t project, bool of_erased, struct kw_method_set *methods_out)
{
    const struct kw_tally_project *found = project_of(tally, project);
    *methods_out = (struct kw_method_set){{0}};
    for (size_t i = 0; found != NULL && i < KW_METHOD_WORDS; i++) {
        const struct kw_method_set *set = of_erased ? &found->with_erased : &found->with_keys;
        methods_out->words[i] = __atomic_load_n(&set->words[i], __ATOMIC_SEQ_CST);
    }
}
