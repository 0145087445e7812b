/*
 * The catalog: all projects, policies, templates and webhooks at one moment. Whoever publishes it does not change it
 * any more, so that any number of threads may look into it; a change is made to a copy, which shares what did not
 * change.
 */
#ifndef KW_CORE_CATALOG_H
#define KW_CORE_CATALOG_H

#include "core/document.h"

struct kw_catalog {
    const struct kw_project **by_number;   /* NULL where there is none, or none any more */
    size_t number_count;                   /* the highest number ever given, plus one */
    struct kw__catalog_project **projects; /* in order of their names, deleted ones too */
    size_t project_count, project_room;
    size_t live_count;
};

/* One with the built-in projects. */
KW_MUST_USE enum kw_status kw_catalog_new(struct kw_catalog **catalog_out);
/* A copy that may be changed. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_catalog_copy(const struct kw_catalog *catalog, struct kw_catalog **copy_out);
/* Neither copies nor frees may be made by several threads at once. */
void kw_catalog_free(struct kw_catalog *catalog);

/* Puts a document in, in place of what has its name; holds it. KW_E_NOT_FOUND for one of no project. */
KW_MUST_USE enum kw_status kw_catalog_put(struct kw_catalog *catalog, struct kw_document *document);
/* Takes a policy, template or webhook out. */
KW_MUST_USE enum kw_status kw_catalog_remove(struct kw_catalog *catalog, const struct kw_document *document);

/* NULL when there is none: no deleted project is found. */
const struct kw_project *kw_project_by_name(const struct kw_catalog *catalog, struct kw_bytes name);
static inline const struct kw_project *kw_project_by_number(const struct kw_catalog *catalog, uint16_t number)
{
    return number < catalog->number_count ? catalog->by_number[number] : NULL;
}
/* The number of a project, deleted or not; KW_PROJECT_NONE when there never was one. */
uint16_t kw_project_number(const struct kw_catalog *catalog, struct kw_bytes name);

/* `project` is what a policy or template belongs to. Deleted projects are found too. */
struct kw_document *kw_catalog_find(const struct kw_catalog *catalog, enum kw_document_kind kind,
                                    struct kw_bytes project, struct kw_bytes name);
/* The first whose name comes after `name` (empty: the first of all); NULL behind the last. No deleted ones. */
struct kw_document *kw_catalog_after(const struct kw_catalog *catalog, enum kw_document_kind kind,
                                     struct kw_bytes project, struct kw_bytes name);
size_t kw_catalog_count(const struct kw_catalog *catalog, enum kw_document_kind kind, struct kw_bytes project);

const struct kw_policy *kw_policy_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                          struct kw_bytes name);
const struct kw_template *kw_template_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                              struct kw_bytes name);
const struct kw_webhook *kw_webhook_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                            struct kw_bytes name);
const struct kw_channel *kw_channel_by_name(const struct kw_catalog *catalog, struct kw_bytes project,
                                            struct kw_bytes name);

#endif
