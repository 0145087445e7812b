/*
 * The interface's routes, without a transport. What there is is described once in api/keyward.yaml; route table,
 * request checks and /openapi.json are generated from it (tools/generate_api.py); a handler is one function a route, in
 * the file of its resource (route_*.c). Policy lives in the core: a handler reads the request, asks the engine, writes
 * the answer.
 */
#ifndef KW_SERVER_API_H
#define KW_SERVER_API_H

#include "engine/engine.h"
#include "server/call.h"
#include "server/geo.h"

struct kw_api;
struct kw_notify;

/* What tells where requests come from. All borrowed. */
struct kw_origins {
    struct kw_proxies proxies; /* whose X-Forwarded-For counts */
    const struct kw_geo *geo;  /* NULL: places are those that are stated */
};

struct kw_api_options {
    struct kw_engine *engine; /* borrowed */
    const struct kw_log *log; /* borrowed */
    struct kw_notify *notify; /* borrowed; NULL: nothing is sent here, as on the command line */
    struct kw_origins origins;
    /* Fills in what only the transport knows of /metrics (Prometheus text); may be NULL. */
    void (*transport_metrics)(void *context, struct kw_buffer *text);
    void *transport_context;
    /* Reports that the server is draining: /readyz answers 503. May be NULL. */
    bool (*draining)(void *context);
};

KW_MUST_USE enum kw_status kw_api_new(const struct kw_api_options *options, struct kw_api **api_out);
void kw_api_free(struct kw_api *api);

/*
 * Answers the call: finds the route, authenticates, checks the request, runs the handler. Ends in call->done, at once
 * or later from a worker. Never blocks. Any number of threads. `call->arena`, `answer`, the request and `done` must be
 * set; everything else zero.
 */
void kw_api_handle(struct kw_api *api, struct kw_call *call);

/*
 * A problem (RFC 9457) as the answer: status and texts from the table of codes, `detail` from the error's message,
 * `field` and a list of nothing else. For the transport's own refusals too. Does not call `done`.
 */
void kw_api_problem(struct kw_call *call, enum kw_code code, const struct kw_error *error);

#endif
