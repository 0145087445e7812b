/*
 * What requests are bound into: one struct a body or query of api/keyward.yaml, whose x-bind names these members. All
 * bytes lie in the request or in the call's arena. What was not given is zero.
 */
#ifndef KW_SERVER_BODIES_H
#define KW_SERVER_BODIES_H

#include "core/event.h"
#include "core/insight.h"
#include "core/once.h"
#include "core/transition.h"
#include "core/usage.h"
#include <keyward/document.h>
#include <keyward/import.h>

#define KW_BATCH_MAX 1000                               /* items of one request */
#define KW_VERSION_STATED_MAX INT64_C(9007199254740991) /* a whole number that every JSON reader keeps */

/* Of creations, updates and rotations. */
struct kw_key_body {
    struct kw_key_params params;
    int64_t grace_ms;                      /* rotations */
    bool ends_grace;                       /* rotations */
    struct kw_bytes template_name, preset; /* creations */
    struct kw_bytes project_id;            /* updates and rotations, which refuse it */
    /* Items of batches; of updates and revocations. */
    struct kw_bytes id;
    int64_t if_version; /* 0: any */
    struct kw_bytes reason;
    struct kw_bytes once;         /* its idempotency key; empty: none */
    const struct kw_error *fault; /* what is wrong with it; NULL: nothing that can be seen without the store */
    uint32_t given;               /* of revocations: whether there is a cascade */
    bool cascade;
};

struct kw_key_many_body {
    const struct kw_key_body *items;
    size_t item_count;
    bool atomic;
};

/* Of actions on a filter. */
struct kw_where_body {
    const struct kw_bytes *ids;
    size_t id_count;
    struct kw_bytes owner, org_id, tag;
    struct kw_bytes reason;
    uint32_t given; /* revoke, disable: whether there is a cascade */
    bool cascade;
};

/* Of projects, policies and templates: the core reads it (core/document.h). */
struct kw_document_body {
    struct kw_bytes json; /* first: see struct kw_schema */
};

struct kw_document_list_params {
    struct kw_bytes cursor;
    int64_t limit;
};

/* Of a pepper that is to go. */
struct kw_pepper_params {
    bool forgets_erased;
};

enum { KW_GIVEN_CASCADE = 1 };

/* Of revocations, disablings and, but for `cascade`, enablings. */
struct kw_stop_body {
    uint32_t given;
    struct kw_bytes reason;
    bool cascade; /* where it is given */
};

struct kw_resource_body {
    struct kw_bytes type; /* empty: no resource was given */
    struct kw_bytes id;
    const struct kw_bytes *scopes;
    size_t scope_count;
};

struct kw_place_body {
    struct kw_bytes country; /* empty: no place was given */
    struct kw_bytes region;
};

struct kw_verify_body {
    struct kw_bytes key;
    struct kw_bytes env;
    const struct kw_bytes *scopes;
    size_t scope_count;
    struct kw_resource_body resource;
    struct kw_bytes require;
    struct kw_bytes ip;
    struct kw_place_body geo;
    int64_t cost;
    struct kw_bytes endpoint;
    bool dry_run;
    const struct kw_error *fault; /* of an item: as above */
};

struct kw_verify_many_body {
    const struct kw_verify_body *items;
    size_t item_count;
};

/* Of requests whose query says nothing. */
struct kw_empty_body {
    char nothing;
};

/* "-key_…", "1767225600000.key_…": room for 19 digits */
#define KW_CURSOR_MAX (1 + 19 + 1 + KW_ID_TEXT_SIZE)

struct kw_list_params {
    struct kw_bytes owner, org_id, env, policy, parent, last_four, status, text;
    struct kw_bytes tags; /* with commas between them */
    struct kw_bytes tag_mode;
    struct kw_bytes sort, cursor;
    struct kw_bytes format; /* exports */
    int64_t created_after_ms, created_before_ms, expires_before_ms, used_before_ms, used_after_ms;
    int64_t limit;
};

struct kw_audit_params {
    struct kw_bytes key, owner, actor, action, sort, cursor;
    int64_t from_ms, until_ms; /* 0: not given */
    int64_t limit;
};

struct kw_events_params {
    struct kw_bytes types, key, owner, env, sort, cursor;
    int64_t since_ms; /* 0: not given */
    int64_t limit;
};

struct kw_audit_erase_body {
    struct kw_bytes owner, actor, reason;
};

struct kw_audit_prune_body {
    struct kw_bytes reason;
    int64_t before_ms;
};

struct kw_usage_params {
    struct kw_bytes owner, org_id, by, group;
    int64_t from_ms, until_ms; /* 0: not given */
};

/* One of amount and refill. */
struct kw_credit_body {
    struct kw_bytes quota, reason;
    int64_t amount; /* in millionths */
    bool refill;
};

struct kw_document_params {
    bool dry_run;
};

struct kw_webhook_secret_body {
    int64_t overlap_ms; /* 0: not given */
};

#define KW_DELIVERY_ID_MAX 20

struct kw_delivery_params {
    struct kw_bytes id, state, cursor;
    int64_t from_ms; /* 0: not given */
    int64_t limit;
};

/* One of the two. */
struct kw_replay_body {
    struct kw_bytes id;
    int64_t since_ms;
    bool failed_only;
};

/* Of imports; all of them texts, empty where they are not given. */
struct kw_import_params {
    struct kw_bytes format, on_conflict, dry_run;
    struct kw_bytes owner, env, prefix;
    struct kw_bytes algorithm, salt, salt_place;
    struct kw_bytes map; /* "column=field", with commas between them */
};

/* One of the two. */
struct kw_lookup_body {
    struct kw_bytes key;
    struct kw_bytes digest; /* hexadecimal */
};

#endif
