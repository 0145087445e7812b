#include "server/request.h"

#include "base/error.h"
#include "core/transition.h"
#include "server/watch.h"

enum kw_status kw_api_new(const struct kw_api_options *options, struct kw_api **api_out)
{
    struct kw_api *api = kw_alloc(1, sizeof *api);
    if (api == NULL) {
        return KW_E_MEMORY;
    }
    api->options = *options;
    enum kw_status status = kw_counters_new(&api->counters);
    if (status == KW_OK) {
        status = kw_failures_new(&api->failures);
    }
    if (status == KW_OK) {
        status = kw_record_cache_new(&api->record_cache);
    }
    if (status == KW_OK) {
        status = kw_watch_new(options, &api->watch);
    }
    if (status != KW_OK) {
        kw_api_free(api);
        return status;
    }
    *api_out = api;
    return KW_OK;
}

void kw_api_free(struct kw_api *api)
{
    if (api == NULL) {
        return;
    }
    kw_watch_free(api->watch);
    kw_record_cache_free(api->record_cache);
    kw_failures_free(api->failures);
    kw_counters_free(api->counters);
    kw_free(api);
}

/* Ends a call that came to no route. */
static void finish_unrouted(struct kw_api *api, struct kw_call *call)
{
    kw_counters_answered(api->counters, KW_ROUTES_MAX, call->status);
    call->done(call);
}

static void answer_unrouted(struct kw_api *api, struct kw_call *call, const struct kw_route_path *path)
{
    if (path == NULL) {
        kw_api_problem(call, KW_CODE_NOT_FOUND, NULL);
        finish_unrouted(api, call);
        return;
    }
    kw__answer_header(call, "Allow", kw_bytes_of_text(path->allow));
    if (call->method == KW_OPTIONS) {
        call->status = 204;
    } else {
        kw_api_problem(call, KW_CODE_METHOD_NOT_ALLOWED, NULL);
    }
    finish_unrouted(api, call);
}

/* "application/json", with or without parameters. */
static bool is_json(struct kw_bytes content_type)
{
    if (kw_bytes_equal(content_type, KW_BYTES("application/json"))) {
        return true; /* nearly always */
    }
    struct kw_bytes type, parameters;
    kw_bytes_split(content_type, ';', &type, &parameters);
    while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t')) {
        type.size--;
    }
    return kw_bytes_equal_ignoring_case(type, KW_BYTES("application/json"));
}

static enum kw_status bind_body(struct kw_request *request, struct kw_error *error)
{
    const struct kw_call *call = request->call;
    const struct kw_route *route = request->route;
    if (route->body_is_raw) {
        return KW_OK;
    }
    if (route->body == NULL) {
        return call->body.size == 0 || route->scope == NULL
                   ? KW_OK
                   : kw_refuse(error, KW_CODE_INVALID_REQUEST, NULL, "This request takes no body: send none.");
    }
    request->body = kw_arena_take(&request->call->arena, route->body->size);
    if (request->body == NULL) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    if (call->body.size == 0) {
        return route->body_required
                   ? kw_refuse(error, KW_CODE_INVALID_JSON, NULL, "The body is empty: send a JSON object.")
                   : KW_OK;
    }
    if (!is_json(call->headers[KW_HEADER_CONTENT_TYPE])) {
        return kw_refuse(error, KW_CODE_UNSUPPORTED_MEDIA_TYPE, NULL,
                         "The body must be JSON: send it with Content-Type: application/json.");
    }
    return kw_schema_bind_json(route->body, call->body, &request->call->arena, request->body, error);
}

static enum kw_status bind_query(struct kw_request *request, struct kw_error *error)
{
    const struct kw_schema *schema = request->route->query;
    if (schema == NULL) {
        return KW_OK;
    }
    request->query = kw_arena_take(&request->call->arena, schema->size);
    if (request->query == NULL) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    return kw_schema_bind_query(schema, request->call->query, &request->call->arena, request->query, error);
}

static void check_and_handle(struct kw_request *request)
{
    struct kw_error error;
    enum kw_status status = bind_query(request, &error);
    if (status == KW_OK && request->route->changes) {
        status = kw__note_circumstances(request, &error);
    }
    if (status == KW_OK) {
        status = bind_body(request, &error);
    }
    if (status != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    request->route->handle(request);
}

void kw_api_handle(struct kw_api *api, struct kw_call *call)
{
    struct kw_route_match match = kw_route_find(call->method, call->path);
    if (match.route == NULL) {
        answer_unrouted(api, call, match.path);
        return;
    }
    call->route = match.route->name;
    struct kw_request *request = kw_arena_take(&call->arena, sizeof *request);
    if (request == NULL) {
        kw_api_problem(call, KW_CODE_TOO_BUSY, NULL);
        finish_unrouted(api, call);
        return;
    }
    request->api = api;
    request->call = call;
    request->route = match.route;
    request->parameter = match.parameter;
    request->now_ms = call->now_ms;
    if (match.route->scope == NULL) {
        check_and_handle(request);
        return;
    }
    kw__authenticate(request, check_and_handle);
}
