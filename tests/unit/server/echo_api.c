#include "echo_api.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define WORKERS 2
#define PIECE_SIZE 65536

/* A call that a worker is to answer, in the call's arena. */
struct work {
    struct kw_api *api;
    struct kw_call *call;
    struct work *next;
    uint64_t size; /* of the rest of an answer in pieces */
    uint64_t pieces;
};

struct kw_api {
    struct kw_api_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct work *first, *last;
    uint64_t streamed_bytes, streams_begun, streams_ended, streams_left, calls_gone; /* under the lock */
    bool must_end;
    pthread_t workers[WORKERS];
};

static void answer_text(struct kw_call *call, uint16_t status, const char *text)
{
    call->status = status;
    call->content_type = "text/plain";
    kw_buffer_add_text(&call->answer, text);
}

static void answer_report(struct kw_call *call)
{
    struct kw_json_writer json;
    kw_json_writer_init(&json, &call->answer);
    kw_json_begin_object(&json);
    kw_json_name(&json, "method");
    kw_json_i64(&json, call->method);
    kw_json_name(&json, "path");
    kw_json_string(&json, call->path);
    kw_json_name(&json, "query");
    kw_json_string(&json, call->query);
    kw_json_name(&json, "bodySize");
    kw_json_i64(&json, (int64_t)call->body.size);
    kw_json_name(&json, "authorizationSize");
    kw_json_i64(&json, (int64_t)call->headers[KW_HEADER_AUTHORIZATION].size);
    kw_json_name(&json, "peer");
    kw_json_string(&json, call->peer);
    kw_json_name(&json, "requestId");
    kw_json_text(&json, call->request_id);
    kw_json_end_object(&json);
    call->status = 200;
    call->content_type = "application/json";
    call->route = "ANY /{path}";
}

static uint64_t number_of(const struct kw_call *call)
{
    uint64_t number = 0;
    return kw_bytes_to_u64(call->query, &number) ? number : 0;
}

static void answer_bytes(struct kw_call *call, size_t size)
{
    uint8_t *room = kw_buffer_reserve(&call->answer, size);
    if (room != NULL) {
        memset(room, 'x', size);
        call->answer.size += size;
    }
    call->status = 200;
    call->content_type = "application/octet-stream";
}

static void answer_secret(struct kw_call *call)
{
    static const uint8_t masked[] = {'s' ^ 1, 'k' ^ 1, '_' ^ 1, 'c' ^ 1, 'a' ^ 1, 'n' ^ 1, 'a' ^ 1, 'r' ^ 1, 'y' ^ 1};
    call->answer.secret = true;
    for (size_t i = 0; i < sizeof masked; i++) {
        kw_buffer_add_byte(&call->answer, masked[i] ^ 1);
    }
    call->status = 201;
    call->content_type = "text/plain";
}

static bool is_at(const struct kw_call *call, const char *path)
{
    return kw_bytes_equal(call->path, kw_bytes_of_text(path));
}

static void answer_streams(struct kw_api *api, struct kw_call *call)
{
    struct kw_json_writer json;
    kw_json_writer_init(&json, &call->answer);
    pthread_mutex_lock(&api->lock);
    kw_json_begin_object(&json);
    kw_json_name(&json, "bytes");
    kw_json_i64(&json, (int64_t)api->streamed_bytes);
    kw_json_name(&json, "begun");
    kw_json_i64(&json, (int64_t)api->streams_begun);
    kw_json_name(&json, "left");
    kw_json_i64(&json, (int64_t)api->streams_left);
    kw_json_name(&json, "gone");
    kw_json_i64(&json, (int64_t)api->calls_gone);
    kw_json_name(&json, "ended");
    kw_json_i64(&json, (int64_t)api->streams_ended);
    kw_json_end_object(&json);
    pthread_mutex_unlock(&api->lock);
    call->status = 200;
    call->content_type = "application/json";
}

static void answer(struct kw_api *api, struct kw_call *call)
{
    const struct kw_api_options *options = &api->options;
    if (is_at(call, "/big")) {
        answer_bytes(call, number_of(call));
    } else if (is_at(call, "/broken")) {
        answer_bytes(call, KW_CALL_ANSWER_MAX + 1);
    } else if (is_at(call, "/echo")) {
        kw_buffer_add(&call->answer, call->body);
        call->status = 200;
        call->content_type = "application/octet-stream";
    } else if (is_at(call, "/secret")) {
        answer_secret(call);
    } else if (is_at(call, "/nothing")) {
        call->status = 204;
    } else if (is_at(call, "/streams")) {
        answer_streams(api, call);
    } else if (is_at(call, "/metrics")) {
        answer_text(call, 200, "");
        options->transport_metrics(options->transport_context, &call->answer);
    } else if (is_at(call, "/readyz")) {
        bool draining = options->draining(options->transport_context);
        answer_text(call, draining ? 503 : 200, draining ? "draining\n" : "ready\n");
    } else {
        answer_report(call);
    }
}

static bool is_stream(const struct kw_call *call)
{
    return kw_bytes_starts_with(call->path, KW_BYTES("/stream/"));
}

static void submit(struct kw_api *api, struct kw_call *call);

static void go_on(struct kw_call *call)
{
    const struct work *work = call->route_state;
    submit(work->api, call);
}

/* Pieces that tell where they stand, an empty one now and then. */
static void answer_piece(struct kw_api *api, struct work *work)
{
    struct kw_call *call = work->call;
    bool is_first = work->pieces == 0;
    uint64_t size = work->pieces % 5 == 1 ? 0 : work->size < PIECE_SIZE ? work->size : PIECE_SIZE;
    uint8_t *room = call->is_left || size == 0 ? NULL : kw_buffer_reserve(&call->answer, size);
    if (room != NULL) {
        memset(room, 'a' + (int)(work->pieces % 26), size);
        call->answer.size += size;
    }
    work->pieces++;
    work->size -= size;
    call->status = 200;
    call->content_type = "application/octet-stream";
    call->go_on = go_on;
    call->stream = call->is_left ? KW_STREAM_CUT : work->size > 0 || is_first ? KW_STREAM_MORE : KW_STREAM_END;
    if (call->stream == KW_STREAM_END && is_at(call, "/stream/cut")) {
        call->stream = KW_STREAM_CUT;
    }
    pthread_mutex_lock(&api->lock);
    api->streamed_bytes += call->is_left ? 0 : size;
    api->streams_begun += is_first;
    api->streams_left += call->is_left;
    api->streams_ended += call->stream != KW_STREAM_MORE;
    pthread_mutex_unlock(&api->lock);
}

/* Is never answered but to a client that went. */
static void wait_for_the_end(struct kw_api *api, struct kw_call *call)
{
    while (!call->is_gone(call)) {
        (void)sched_yield();
    }
    pthread_mutex_lock(&api->lock);
    api->calls_gone++;
    pthread_mutex_unlock(&api->lock);
}

static void do_work(struct kw_api *api, struct work *work)
{
    struct kw_call *call = work->call;
    if (is_at(call, "/delay")) {
        uint64_t ms = number_of(call);
        struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    }
    if (is_at(call, "/async/gone")) {
        wait_for_the_end(api, call);
    }
    if (is_stream(call)) {
        answer_piece(api, work);
    } else {
        answer(api, call);
    }
    call->done(call);
}

static void *work_on(void *context)
{
    struct kw_api *api = context;
    pthread_mutex_lock(&api->lock);
    for (;;) {
        while (api->first == NULL && !api->must_end) {
            pthread_cond_wait(&api->changed, &api->lock);
        }
        struct work *work = api->first;
        if (work == NULL) {
            break;
        }
        api->first = work->next;
        pthread_mutex_unlock(&api->lock);
        do_work(api, work);
        pthread_mutex_lock(&api->lock);
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

enum kw_status kw_api_new(const struct kw_api_options *options, struct kw_api **api_out)
{
    struct kw_api *api = kw_alloc(1, sizeof *api);
    if (api == NULL) {
        return KW_E_MEMORY;
    }
    api->options = *options;
    pthread_mutex_init(&api->lock, NULL);
    pthread_cond_init(&api->changed, NULL);
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&api->workers[i], NULL, work_on, api) != 0) {
            abort();
        }
    }
    *api_out = api;
    return KW_OK;
}

void kw_api_free(struct kw_api *api)
{
    if (api == NULL) {
        return;
    }
    pthread_mutex_lock(&api->lock);
    api->must_end = true;
    pthread_cond_broadcast(&api->changed);
    pthread_mutex_unlock(&api->lock);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(api->workers[i], NULL);
    }
    pthread_mutex_destroy(&api->lock);
    pthread_cond_destroy(&api->changed);
    kw_free(api);
}

static void submit(struct kw_api *api, struct kw_call *call)
{
    struct work *work = call->route_state;
    if (work == NULL) {
        work = call->route_state = kw_arena_take(&call->arena, sizeof *work);
        *work = (struct work){.api = api, .call = call, .size = number_of(call)};
    }
    work->next = NULL;
    pthread_mutex_lock(&api->lock);
    if (api->first == NULL) {
        api->first = work;
    } else {
        api->last->next = work;
    }
    api->last = work;
    pthread_cond_signal(&api->changed);
    pthread_mutex_unlock(&api->lock);
}

void kw_api_handle(struct kw_api *api, struct kw_call *call)
{
    bool is_async = kw_bytes_starts_with(call->path, KW_BYTES("/async")) || is_stream(call);
    if (is_at(call, "/delay") || is_async) {
        submit(api, call);
        return;
    }
    answer(api, call);
    call->done(call);
}

void kw_api_problem(struct kw_call *call, enum kw_code code, const struct kw_error *error)
{
    struct kw_json_writer json;
    call->status = kw_code_info(code)->http_status;
    call->content_type = "application/problem+json";
    call->code = code;
    kw_json_writer_init(&json, &call->answer);
    kw_json_begin_object(&json);
    kw_json_name(&json, "status");
    kw_json_i64(&json, call->status);
    kw_json_name(&json, "code");
    kw_json_text(&json, kw_code_info(code)->name);
    kw_json_name(&json, "detail");
    kw_json_text(&json, error == NULL ? "" : error->message);
    kw_json_end_object(&json);
}
