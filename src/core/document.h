/*
 * A document on its way from JSON to what it says and back: projects, policies, templates, webhooks and channels alike.
 * Made or changed from what a caller sends, or read as it was kept; in both cases it is checked whole. Pure: it
 * allocates, and does nothing else.
 */
#ifndef KW_CORE_DOCUMENT_H
#define KW_CORE_DOCUMENT_H

#include "base/json.h"
#include "core/channel.h"
#include "core/policy.h"
#include "core/template.h"
#include "core/webhook.h"
#include <keyward/codes.h>

/* Never changes once it is made; lives as long as somebody refers to it. */
struct kw_document {
    enum kw_document_kind kind;
    bool is_deleted;         /* a project that was: its name and number are not given again */
    struct kw_bytes project; /* that it belongs to; a project's own name */
    struct kw_bytes name;
    uint64_t version;
    struct kw_bytes json; /* as it is kept and shown */
    union {
        struct kw_project project;
        struct kw_policy policy;
        struct kw_template template;
        struct kw_webhook webhook;
        struct kw_channel channel;
    } is;

    unsigned references;
    struct kw_arena arena;
};

/* Reads a document as it was kept. KW_E_CORRUPT; KW_E_NEWER for a field that is not known here; KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_document_read(enum kw_document_kind kind, struct kw_bytes project, struct kw_bytes json,
                                            struct kw_document **document_out);

/* What a caller wants a document to be. */
struct kw_document_change {
    enum kw_document_kind kind;
    const struct kw_document *before; /* NULL: a new one, which `json` names */
    struct kw_bytes json;             /* an object: fields that are given, null for those to be as if never given */
    struct kw_bytes project;          /* of policies, templates, webhooks and channels */
    struct kw_bytes name;             /* of a new one whose `json` has none; empty: it must */
    uint16_t number;                  /* of a new project */
    int64_t now_ms;
};

/*
 * The document as it is to be, one version later. INVALID_FIELD, UNKNOWN_FIELD, DUPLICATE_FIELD, MISSING_FIELD,
 * CANNOT_CHANGE_FIELD, WEAK_KEY_FORMAT, naming the field by its path; BODY_TOO_LARGE, INVALID_JSON.
 */
KW_MUST_USE enum kw_status kw_document_make(const struct kw_document_change *change, struct kw_document **document_out,
                                            struct kw_error *error_out);

/*
 * Whether a policy, template or webhook, `before` a change (NULL: a new one) and after it, names environments and
 * presets, and counts in its quotas, what its project has; what the project has given up since may stay. INVALID_FIELD.
 */
KW_MUST_USE enum kw_status kw_document_fits(const struct kw_project *project, const struct kw_document *before,
                                            const struct kw_document *after, struct kw_error *error_out);
/* The policy that a template names and did not name before: there must be one. Empty: none. */
struct kw_bytes kw_document_new_policy(const struct kw_document *before, const struct kw_document *after);
#define KW_DOCUMENT_POLICY_FIELD "fields.policy"
/* Says that there is no such policy. INVALID_FIELD. */
KW_MUST_USE enum kw_status kw_document_refuse_policy(struct kw_error *error_out);

/* What is left of a project: its name and number. */
KW_MUST_USE enum kw_status kw_document_tombstone(const struct kw_document *project, int64_t now_ms,
                                                 struct kw_document **document_out, struct kw_error *error_out);

/* {"scopes":{"from":…,"to":…},…}: the fields that differ; NULL stands for a document that is not there. */
KW_MUST_USE enum kw_status kw_document_write_changes(enum kw_document_kind kind, const struct kw_document *before,
                                                     const struct kw_document *after, struct kw_json_writer *writer);

/* Another holder; the last one to release it frees it. Not from several threads at once. */
struct kw_document *kw_document_hold(struct kw_document *document);
void kw_document_release(struct kw_document *document);

/* "project", "policy", "template", "webhook", "channel". */
const char *kw_document_kind_name(enum kw_document_kind kind);

/* A letter, then letters, digits, '-' and '_': names of policies, templates and presets. A project's has no capitals.
 */
KW_MUST_USE bool kw_document_name_valid(enum kw_document_kind kind, struct kw_bytes name);

#endif
