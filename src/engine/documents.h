/*
 * A change to a document in the writer, and what its keys say to it. For documents.c and documents_checks.c alone.
 */
#ifndef KW_ENGINE_DOCUMENTS_H
#define KW_ENGINE_DOCUMENTS_H

#include "engine/account.h"

/* A change to a document on its way. All it points to lives in the writer's arena. */
struct kw__edit {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw_bytes project; /* that the document belongs to; a project's own name */
    struct kw_document *before;
    struct kw_document *after; /* held; NULL: the document goes */
    struct kw_catalog *next;   /* with the change; its making is all that can fail, so it is made ahead of the commit */
    struct kw_store_setting *settings;
    size_t setting_count;
    struct kw_store_audit audit;
    struct kw_store_event event;
};

/* Whether environments may go, or change their prefixes; a project; a policy: not where keys would go with them. Fail
 * with op->error set. */
KW_MUST_USE enum kw_status kw__edit_check_environments(const struct kw__edit *edit);
KW_MUST_USE enum kw_status kw__edit_check_no_keys(const struct kw__edit *edit);
KW_MUST_USE enum kw_status kw__edit_check_no_keys_under(const struct kw__edit *edit);

#endif
