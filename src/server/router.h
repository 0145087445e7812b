/*
 * Which route a request means. The table is generated from api/keyward.yaml. Nothing is decoded: no path that means
 * something here needs percent-encoding, so what has any is an address or id that does not exist.
 */
#ifndef KW_SERVER_ROUTER_H
#define KW_SERVER_ROUTER_H

#include "core/schema.h"
#include "server/call.h"

struct kw_request; /* request.h */

struct kw_route {
    const char *name;  /* "POST /v1/keys/{id}/revoke" */
    const char *scope; /* that a management key must hold; NULL: open without one */
    bool changes;      /* may change a key: the audit log wants to know who asked */
    bool body_required;
    bool body_is_raw; /* the handler reads it, whatever its type */
    uint16_t number;  /* for counters */
    enum kw_method method;
    const struct kw_schema *query; /* NULL: whatever stands there is ignored */
    const struct kw_schema *body;  /* NULL: takes none */
    void (*handle)(struct kw_request *request);
};

/* An address and its methods: a start, and, where there is a parameter, what follows it. */
struct kw_route_path {
    struct kw_bytes start; /* "/v1/keys/", or all of it */
    struct kw_bytes end;   /* "/revoke" */
    bool has_parameter;
    bool takes_rest;   /* anything may follow, behind a '/' */
    bool any_method;   /* the one route takes every method */
    const char *allow; /* "GET, HEAD, POST, OPTIONS" */
    const struct kw_route *routes;
    size_t route_count;
};

/* Generated. Addresses without a parameter stand first. */
extern const struct kw_route_path kw__route_paths[];
extern const size_t kw__route_path_count;
extern const char *const kw__route_names[]; /* by number */
extern const size_t kw__route_count;
extern const struct kw_schema *const kw__body_schemas[]; /* all of them, for fuzzing */
extern const size_t kw__body_schema_count;
extern const uint8_t kw__openapi_json[];
extern const size_t kw__openapi_json_size;

#define KW_ROUTES_MAX 96

struct kw_route_match {
    const struct kw_route_path *path; /* NULL: NOT_FOUND */
    const struct kw_route *route;     /* NULL: METHOD_NOT_ALLOWED, or OPTIONS: see path->allow */
    struct kw_bytes parameter;
};

struct kw_route_match kw_route_find(enum kw_method method, struct kw_bytes path);

#endif
