/*
 * Scopes: what a key may do. A scope is one or more segments of [A-Za-z0-9._/@+-], joined by ':'; the last segment
 * may be '*'. "read:*" covers "read:a" and "read:a:b" but not "read"; "*" covers everything. What is asked for may be a
 * wildcard too: it is covered only by one as wide. Resources are "type:id"; a grant's id, or all of it, may be '*'.
 */
#ifndef KW_CORE_SCOPE_H
#define KW_CORE_SCOPE_H

#include <keyward/record.h>

KW_MUST_USE bool kw_scope_valid(struct kw_bytes scope);
/* "type:id": a type of [a-z0-9_-]+, an id of [A-Za-z0-9._/@+:-]+ or "*"; or "*" alone. */
KW_MUST_USE bool kw_resource_valid(struct kw_bytes resource);

/* `granted` is valid, `wanted` of a resource too. A text that is no scope is covered by nothing. */
bool kw_scope_covers(struct kw_bytes granted, struct kw_bytes wanted);
bool kw_resource_covers(struct kw_bytes granted, struct kw_bytes wanted);

/* True when one of `granted` covers `wanted`. Here and below lists are packed, as in a record. */
bool kw_scopes_allow(struct kw_bytes granted, struct kw_bytes wanted);

/*
 * True when the key may do `wanted` on `resource`: by its global scopes, which hold on every resource, or by the scopes
 * of a grant that covers the resource.
 */
bool kw_resources_allow(struct kw_bytes scopes, struct kw_bytes resources, struct kw_bytes resource,
                        struct kw_bytes wanted);

/* The next pair of a record's resources (see struct kw_record); start with `rest` = resources.packed. */
KW_MUST_USE bool kw_resources_next(struct kw_bytes *rest, struct kw_bytes *resource_out, struct kw_list *scopes_out);

/* True when everything that `inner` grants, `outer` grants too: nobody hands on more than they hold. */
bool kw_authority_within(const struct kw_list *inner_scopes, const struct kw_list *inner_resources,
                         const struct kw_list *outer_scopes, const struct kw_list *outer_resources);
/* The first grant of `inner` that `outer` does not hold: a scope, and the resource that it is on (empty: on none).
 * False when there is none. */
bool kw_authority_beyond(const struct kw_list *inner_scopes, const struct kw_list *inner_resources,
                         const struct kw_list *outer_scopes, const struct kw_list *outer_resources,
                         struct kw_bytes *scope_out, struct kw_bytes *resource_out);

/* What may be done as far as one key goes, or one policy. */
struct kw_authority {
    struct kw_list scopes, resources; /* as in a record */
};

/*
 * True when `links` all grant something that `outer` does not: what each of them holds may go beyond it, and what is
 * left of them together may not. Each combination of a scope and a resource costs one of `budget`; when none is left it
 * is true.
 */
bool kw_authority_shared_beyond(const struct kw_authority *links, size_t count, const struct kw_authority *outer,
                                size_t *budget);

#endif
