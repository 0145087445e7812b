/*
 * What requests are bound into: one struct a body or query of api/keyward.yaml, whose x-bind names these members. All
 * bytes lie in the request or in the call's arena. What was not given is zero.
 */
#ifndef KW_SERVER_BODIES_H
#define KW_SERVER_BODIES_H

#include <keyward/document.h>

#define KW_BATCH_MAX 1000 /* items of one request */

/* Of creations, updates and rotations. */
struct kw_key_body {
    struct kw_key_params params;
    int64_t grace_ms;                      /* rotations */
    struct kw_bytes template_name, preset; /* creations */
};

/* Of projects, policies and templates: the core reads it (core/document.h). */
struct kw_document_body {
    struct kw_bytes json; /* first: see struct kw_schema */
};

struct kw_document_list_params {
    struct kw_bytes cursor;
    int64_t limit;
};

/* Of revocations and disablings. */
struct kw_reason_body {
    struct kw_bytes reason;
};

struct kw_resource_body {
    struct kw_bytes type; /* empty: no resource was given */
    struct kw_bytes id;
    const struct kw_bytes *scopes;
    size_t scope_count;
};

struct kw_verify_body {
    struct kw_bytes key;
    struct kw_bytes env;
    const struct kw_bytes *scopes;
    size_t scope_count;
    struct kw_resource_body resource;
};

struct kw_verify_many_body {
    const struct kw_verify_body *items;
    size_t item_count;
};

/* Of requests that take an object without members. */
struct kw_empty_body {
    char nothing;
};

struct kw_list_params {
    struct kw_bytes owner, org_id, tag, env, status, text, cursor;
    int64_t limit;
};

#endif
