#include "core/catalog.h"

#include "base/bytes.h"

#include <assert.h>

/* Documents in order of their names. */
struct set {
    struct kw_document **items;
    size_t count, room;
};

/* A project with what belongs to it; shared by all catalogs in which it is the same. */
struct kw__catalog_project {
    unsigned references;
    struct kw_document *document;
    struct set sets[4]; /* policies, templates, webhooks, channels */
};

static const char *const built_in[] = {
    "{\"name\":\"default\",\"number\":1,\"version\":1,"
    "\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"sk_live_\",\"publicPrefix\":\"pk_live_\"},"
    "{\"name\":\"test\",\"secretPrefix\":\"sk_test_\",\"publicPrefix\":\"pk_test_\"}],\"presets\":{},"
    "\"keyHeaders\":[\"Authorization\",\"X-API-Key\"],\"allowKeyInQuery\":\"never\"}",
    "{\"name\":\"keyward\",\"number\":2,\"version\":1,"
    "\"environments\":[{\"name\":\"live\",\"secretPrefix\":\"kw_live_\"}],\"presets\":{},"
    "\"keyHeaders\":[\"Authorization\"],\"allowKeyInQuery\":\"never\"}",
};

/* Room for one more pointer. */
static bool grow(void **items, size_t count, size_t *room)
{
    if (count < *room) {
        return true;
    }
    size_t wanted = *room == 0 ? 4 : *room * 2;
    void *longer = kw_realloc(*items, wanted * sizeof(void *));
    if (longer == NULL) {
        return false;
    }
    *items = longer;
    *room = wanted;
    return true;
}

/* --- sets --- */

/* Where the name is, or would have to be put in. */
static size_t place_in(const struct set *set, struct kw_bytes name, bool *is_there_out)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kw_bytes_compare(set->items[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there_out = low < set->count && kw_bytes_equal(set->items[low]->name, name);
    return low;
}

static enum kw_status put_in(struct set *set, struct kw_document *document)
{
    bool is_there = false;
    size_t at = place_in(set, document->name, &is_there);
    if (is_there) {
        kw_document_release(set->items[at]);
    } else {
        if (!grow((void **)(void *)&set->items, set->count, &set->room)) {
            return KW_E_MEMORY;
        }
        memmove(set->items + at + 1, set->items + at, (set->count - at) * sizeof(void *));
        set->count++;
    }
    set->items[at] = kw_document_hold(document);
    return KW_OK;
}

static void set_free(struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        kw_document_release(set->items[i]);
    }
    kw_free(set->items);
}

static void sets_free(struct kw__catalog_project *shelf)
{
    for (size_t i = 0; i < KW_COUNT_OF(shelf->sets); i++) {
        set_free(&shelf->sets[i]);
    }
}

static struct set *set_of(struct kw__catalog_project *project, enum kw_document_kind kind)
{
    assert(kind != KW_DOCUMENT_PROJECT);
    return &project->sets[kind - KW_DOCUMENT_POLICY];
}

/* --- projects with what belongs to them --- */

static void shelf_release(struct kw__catalog_project *shelf)
{
    if (--shelf->references > 0) {
        return;
    }
    kw_document_release(shelf->document);
    sets_free(shelf);
    kw_free(shelf);
}

static struct kw__catalog_project *shelf_new(struct kw_document *document)
{
    struct kw__catalog_project *shelf = kw_alloc(1, sizeof *shelf);
    if (shelf != NULL) {
        shelf->references = 1;
        shelf->document = kw_document_hold(document);
    }
    return shelf;
}

static struct kw__catalog_project *shelf_copy(const struct kw__catalog_project *from)
{
    struct kw__catalog_project *copy = shelf_new(from->document);
    for (size_t i = 0; copy != NULL && i < KW_COUNT_OF(from->sets); i++) {
        for (size_t at = 0; at < from->sets[i].count; at++) {
            if (put_in(&copy->sets[i], from->sets[i].items[at]) != KW_OK) {
                shelf_release(copy);
                return NULL;
            }
        }
    }
    return copy;
}

static size_t place_of(const struct kw_catalog *catalog, struct kw_bytes name, bool *is_there_out)
{
    size_t low = 0;
    size_t high = catalog->project_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kw_bytes_compare(catalog->projects[middle]->document->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there_out = low < catalog->project_count && kw_bytes_equal(catalog->projects[low]->document->name, name);
    return low;
}

static struct kw__catalog_project *shelf_of(const struct kw_catalog *catalog, struct kw_bytes name)
{
    bool is_there = false;
    size_t at = place_of(catalog, name, &is_there);
    return is_there ? catalog->projects[at] : NULL;
}

/* The project at `at` as this catalog's own, so that it can be changed. NULL: no memory. */
static struct kw__catalog_project *own(struct kw_catalog *catalog, size_t at)
{
    struct kw__catalog_project *shelf = catalog->projects[at];
    if (shelf->references == 1) {
        return shelf;
    }
    struct kw__catalog_project *copy = shelf_copy(shelf);
    if (copy != NULL) {
        catalog->projects[at] = copy;
        shelf_release(shelf);
    }
    return copy;
}

/* --- the catalog --- */

static bool number_fits(struct kw_catalog *catalog, uint16_t number)
{
    if (number < catalog->number_count) {
        return true;
    }
    size_t count = (size_t)number + 1;
    const struct kw_project **longer = kw_realloc((void *)catalog->by_number, count * sizeof(void *));
    if (longer == NULL) {
        return false;
    }
    memset((void *)(longer + catalog->number_count), 0, (count - catalog->number_count) * sizeof(void *));
    catalog->by_number = longer;
    catalog->number_count = count;
    return true;
}

static enum kw_status put_project(struct kw_catalog *catalog, struct kw_document *document)
{
    uint16_t number = document->is.project.number;
    bool is_there = false;
    size_t at = place_of(catalog, document->name, &is_there);
    if (!number_fits(catalog, number)) {
        return KW_E_MEMORY;
    }
    if (is_there) {
        struct kw__catalog_project *shelf = own(catalog, at);
        if (shelf == NULL) {
            return KW_E_MEMORY;
        }
        catalog->live_count -= !shelf->document->is_deleted;
        kw_document_release(shelf->document);
        shelf->document = kw_document_hold(document);
        if (document->is_deleted) {
            sets_free(shelf);
            memset(shelf->sets, 0, sizeof shelf->sets);
        }
    } else {
        struct kw__catalog_project *shelf = shelf_new(document);
        if (shelf == NULL ||
            !grow((void **)(void *)&catalog->projects, catalog->project_count, &catalog->project_room)) {
            if (shelf != NULL) {
                shelf_release(shelf);
            }
            return KW_E_MEMORY;
        }
        memmove(catalog->projects + at + 1, catalog->projects + at, (catalog->project_count - at) * sizeof(void *));
        catalog->projects[at] = shelf;
        catalog->project_count++;
    }
    catalog->live_count += !document->is_deleted;
    catalog->by_number[number] = document->is_deleted ? NULL : &document->is.project;
    return KW_OK;
}

enum kw_status kw_catalog_put(struct kw_catalog *catalog, struct kw_document *document)
{
    if (document->kind == KW_DOCUMENT_PROJECT) {
        return put_project(catalog, document);
    }
    bool is_there = false;
    size_t at = place_of(catalog, document->project, &is_there);
    if (!is_there || catalog->projects[at]->document->is_deleted) {
        return KW_E_NOT_FOUND;
    }
    struct kw__catalog_project *shelf = own(catalog, at);
    return shelf == NULL ? KW_E_MEMORY : put_in(set_of(shelf, document->kind), document);
}

enum kw_status kw_catalog_remove(struct kw_catalog *catalog, const struct kw_document *document)
{
    bool is_there = false;
    size_t at = place_of(catalog, document->project, &is_there);
    struct kw__catalog_project *shelf = is_there ? own(catalog, at) : NULL;
    if (shelf == NULL) {
        return is_there ? KW_E_MEMORY : KW_E_NOT_FOUND;
    }
    struct set *set = set_of(shelf, document->kind);
    at = place_in(set, document->name, &is_there);
    if (!is_there) {
        return KW_E_NOT_FOUND;
    }
    struct kw_document *old = set->items[at];
    memmove(set->items + at, set->items + at + 1, (set->count - at - 1) * sizeof(void *));
    set->count--;
    kw_document_release(old);
    return KW_OK;
}

enum kw_status kw_catalog_new(struct kw_catalog **catalog_out)
{
    struct kw_catalog *catalog = kw_alloc(1, sizeof *catalog);
    enum kw_status status = catalog == NULL ? KW_E_MEMORY : KW_OK;
    for (size_t i = 0; i < KW_COUNT_OF(built_in) && status == KW_OK; i++) {
        struct kw_document *document = NULL;
        status =
            kw_document_read(KW_DOCUMENT_PROJECT, (struct kw_bytes){NULL, 0}, kw_bytes_of_text(built_in[i]), &document);
        status = status != KW_OK ? status : kw_catalog_put(catalog, document);
        kw_document_release(document);
    }
    if (status != KW_OK) {
        kw_catalog_free(catalog);
        return status;
    }
    *catalog_out = catalog;
    return KW_OK;
}

enum kw_status kw_catalog_copy(const struct kw_catalog *catalog, struct kw_catalog **copy_out)
{
    struct kw_catalog *copy = kw_alloc(1, sizeof *copy);
    if (copy == NULL) {
        return KW_E_MEMORY;
    }
    copy->projects = kw_alloc(catalog->project_count + 1, sizeof(void *));
    copy->by_number = kw_alloc(catalog->number_count, sizeof(void *));
    if (copy->projects == NULL || copy->by_number == NULL) {
        kw_catalog_free(copy);
        return KW_E_MEMORY;
    }
    memcpy((void *)copy->by_number, (const void *)catalog->by_number, catalog->number_count * sizeof(void *));
    for (size_t i = 0; i < catalog->project_count; i++) {
        copy->projects[i] = catalog->projects[i];
        copy->projects[i]->references++;
    }
    copy->project_count = catalog->project_count;
    copy->project_room = catalog->project_count + 1;
    copy->number_count = catalog->number_count;
    copy->live_count = catalog->live_count;
    *copy_out = copy;
    return KW_OK;
}

void kw_catalog_free(struct kw_catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    for (size_t i = 0; catalog->projects != NULL && i < catalog->project_count; i++) {
        shelf_release(catalog->projects[i]);
    }
    kw_free(catalog->projects);
    kw_free((void *)catalog->by_number);
    kw_free(catalog);
}

/* --- looking into it --- */

const struct kw_project *kw_project_by_name(const struct kw_catalog *catalog, struct kw_bytes name)
{
    const struct kw__catalog_project *shelf = shelf_of(catalog, name);
    return shelf == NULL || shelf->document->is_deleted ? NULL : &shelf->document->is.project;
}

uint16_t kw_project_number(const struct kw_catalog *catalog, struct kw_bytes name)
{
    const struct kw__catalog_project *shelf = shelf_of(catalog, name);
    return shelf == NULL ? KW_PROJECT_NONE : shelf->document->is.project.number;
}

struct kw_document *kw_catalog_find(const struct kw_catalog *catalog, enum kw_document_kind kind,
                                    struct kw_bytes project, struct kw_bytes name)
{
    bool is_project = kind == KW_DOCUMENT_PROJECT;
    struct kw__catalog_project *shelf = shelf_of(catalog, is_project ? name : project);
    if (shelf == NULL || is_project) {
        return shelf == NULL ? NULL : shelf->document;
    }
    bool is_there = false;
    const struct set *set = set_of(shelf, kind);
    size_t at = place_in(set, name, &is_there);
    return is_there ? set->items[at] : NULL;
}

struct kw_document *kw_catalog_after(const struct kw_catalog *catalog, enum kw_document_kind kind,
                                     struct kw_bytes project, struct kw_bytes name)
{
    bool is_there = false;
    if (kind == KW_DOCUMENT_PROJECT) {
        size_t at = place_of(catalog, name, &is_there) + is_there;
        while (at < catalog->project_count && catalog->projects[at]->document->is_deleted) {
            at++;
        }
        return at < catalog->project_count ? catalog->projects[at]->document : NULL;
    }
    struct kw__catalog_project *shelf = shelf_of(catalog, project);
    if (shelf == NULL) {
        return NULL;
    }
    const struct set *set = set_of(shelf, kind);
    size_t at = place_in(set, name, &is_there) + is_there;
    return at < set->count ? set->items[at] : NULL;
}

size_t kw_catalog_count(const struct kw_catalog *catalog, enum kw_document_kind kind, struct kw_bytes project)
{
    if (kind == KW_DOCUMENT_PROJECT) {
        return catalog->live_count;
    }
    struct kw__catalog_project *shelf = shelf_of(catalog, project);
    return shelf == NULL ? 0 : set_of(shelf, kind)->count;
}

const struct kw_policy *kw_policy_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                          struct kw_bytes name)
{
    const struct kw_document *document = kw_catalog_find(catalog, KW_DOCUMENT_POLICY, project, name);
    return document == NULL ? NULL : &document->is.policy;
}

const struct kw_template *kw_template_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                              struct kw_bytes name)
{
    const struct kw_document *document = kw_catalog_find(catalog, KW_DOCUMENT_TEMPLATE, project, name);
    return document == NULL ? NULL : &document->is.template;
}

const struct kw_webhook *kw_webhook_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                            struct kw_bytes name)
{
    const struct kw_document *document = kw_catalog_find(catalog, KW_DOCUMENT_WEBHOOK, project, name);
    return document == NULL ? NULL : &document->is.webhook;
}

const struct kw_channel *kw_channel_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                            struct kw_bytes name)
{
    const struct kw_document *document = kw_catalog_find(catalog, KW_DOCUMENT_CHANNEL, project, name);
    return document == NULL ? NULL : &document->is.channel;
}
