#include "server/transport.h"

#include "base/bytes.h"
#include "base/error.h"
#include "core/key.h"

#include <assert.h>
#include <poll.h>

struct kw__exchange *kw__exchange_take(struct kw__connection *connection)
{
    struct kw__loop *loop = connection->loop;
    struct kw__exchange *exchange = loop->free_exchanges;
    if (exchange != NULL) {
        loop->free_exchanges = exchange->next;
        loop->free_exchange_count--;
    } else {
        exchange = kw_alloc(1, sizeof *exchange);
        if (exchange == NULL) {
            return NULL;
        }
        exchange->loop = loop;
        exchange->call.context = exchange;
        kw_arena_init(&exchange->call.arena, exchange->arena_memory, sizeof exchange->arena_memory, KW_CALL_ARENA_MAX);
        kw_buffer_init(&exchange->call.answer, KW_CALL_ANSWER_MAX);
        kw_message_init(&exchange->message);
    }
    exchange->next = NULL;
    exchange->connection = connection;
    return exchange;
}

static void destroy(struct kw__exchange *exchange)
{
    kw_message_deinit(&exchange->message);
    kw_buffer_deinit(&exchange->call.answer);
    kw_arena_reset(&exchange->call.arena);
    kw_free(exchange);
}

/* What the request and its answer left is wiped before the next one moves in. */
static void clean(struct kw__exchange *exchange)
{
    struct kw_call *call = &exchange->call;
    kw_message_reset(&exchange->message);
    kw_arena_reset(&call->arena);
    kw_buffer_reset(&call->answer);
    if (call->answer.capacity > KW__READ_SIZE) {
        kw_buffer_deinit(&call->answer);
    }
    call->answer.secret = false;
    call->stream = KW_STREAM_NONE;
    exchange->connection = NULL;
}

void kw__exchange_give_back(struct kw__exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    struct kw__loop *loop = exchange->loop;
    clean(exchange);
    if (loop->free_exchange_count >= KW__EXCHANGES_KEPT) {
        destroy(exchange);
        return;
    }
    exchange->next = loop->free_exchanges;
    loop->free_exchanges = exchange;
    loop->free_exchange_count++;
}

void kw__exchange_free_all(struct kw__loop *loop)
{
    while (loop->free_exchanges != NULL) {
        struct kw__exchange *exchange = loop->free_exchanges;
        loop->free_exchanges = exchange->next;
        destroy(exchange);
    }
    loop->free_exchange_count = 0;
}

static bool is_logged(const struct kw_log *log)
{
    return log != NULL && log->fd >= 0 && log->level_min <= KW_LOG_INFO;
}

/* A request id is repeated in the answer and in the log: a key that was sent as one is not. */
static bool is_request_id(struct kw_bytes id)
{
    if (id.size == 0 || id.size > KW_CALL_REQUEST_ID_MAX || kw_key_well_formed(id)) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        uint8_t byte = id.data[i];
        uint8_t lower = byte | 0x20;
        bool is_letter = lower >= 'a' && lower <= 'z';
        bool is_digit = byte >= '0' && byte <= '9';
        if (!is_letter && !is_digit && byte != '.' && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

/* A fresh one: splitmix64 (Steele, Lea and Flood 2014) gives every number once, from a random start. */
static void draw_request_id(struct kw__loop *loop, char *out)
{
    uint64_t z = (loop->id_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    kw_hex_encode(kw_bytes_of(&z, sizeof z), out);
    out[2 * sizeof z] = '\0';
}

/* On the loop's own thread inside kw_api_handle: at once. From elsewhere: through the queue. */
/*
 * While a call is handed on nothing is read, so the loop does not learn of it. The socket may be closed by now, and its
 * number another's: then the client is gone whatever this says.
 */
static bool is_gone(const struct kw_call *call)
{
    const struct kw__exchange *exchange = call->context;
    struct pollfd socket = {.fd = exchange->fd, .events = POLLRDHUP};
    return exchange->fd >= 0 && poll(&socket, 1, 0) == 1;
}

static void on_done(struct kw_call *call)
{
    struct kw__exchange *exchange = call->context;
    struct kw__loop *loop = exchange->loop;
    if (pthread_equal(pthread_self(), loop->thread) && loop->handling == exchange) {
        exchange->answered = true;
        return;
    }
    /* The wake-up is sent under the lock, so that nobody is at `wake` once the last exchange was collected. */
    pthread_mutex_lock(&loop->finished_lock);
    bool is_first = loop->finished == NULL;
    exchange->next = loop->finished;
    loop->finished = exchange;
    if (is_first) {
        (void)uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&loop->finished_lock);
}

/* Makes the call of the request: everything but the arena and the answer's buffer, which are ready. */
static void prepare_call(struct kw__exchange *exchange)
{
    struct kw_call *call = &exchange->call;
    const struct kw_message *message = &exchange->message;
    const struct kw__connection *connection = exchange->connection;
    call->method = message->method;
    call->path = message->path;
    call->query = message->query;
    memcpy(call->headers, message->fields, sizeof call->headers);
    call->head = kw_bytes_of(message->head, message->head_size);
    call->body = message->body;
    /* A copy: the connection may go while the engine is at work. */
    memcpy(exchange->peer, connection->peer, connection->peer_size);
    call->peer = kw_bytes_of(exchange->peer, connection->peer_size);
    exchange->peer_address = connection->peer_address;
    call->peer_address = &exchange->peer_address;
    call->forwarded = &message->forwarded;
    call->is_operator = false;
    call->now_ms = kw__loop_now_ms(exchange->loop);
    struct kw_bytes id = message->fields[KW_HEADER_REQUEST_ID];
    if (is_request_id(id)) {
        memcpy(call->request_id, id.data, id.size);
        call->request_id[id.size] = '\0';
    } else {
        draw_request_id(exchange->loop, call->request_id);
    }
    call->route_state = NULL;
    call->status = 0;
    call->content_type = NULL;
    call->answer_header_count = 0;
    call->code = KW_CODE_NONE;
    call->route = NULL;
    call->stream = KW_STREAM_NONE;
    call->go_on = NULL;
    call->is_left = false;
    call->is_gone = is_gone;
    call->done = on_done;
    exchange->answered = false;
    exchange->started_ns = is_logged(exchange->loop->server->log) ? kw_monotonic_ns() : 0;
}

bool kw__exchange_handle(struct kw__exchange *exchange)
{
    struct kw__loop *loop = exchange->loop;
    uv_os_fd_t fd;
    prepare_call(exchange);
    exchange->fd = uv_fileno((uv_handle_t *)&exchange->connection->tcp, &fd) == 0 ? fd : -1;
    loop->handling = exchange;
    kw_api_handle(loop->server->api, &exchange->call);
    loop->handling = NULL;
    /* Where it was not answered it is another thread's: only `answered`, which this thread alone writes, may be read.
     */
    if (exchange->answered) {
        return true;
    }
    loop->handed_on++;
    kw__count(loop, KW__COUNT_HANDED_ON, 1);
    return false;
}

void kw__exchange_refuse(struct kw__exchange *exchange, enum kw_code code, const char *reason)
{
    struct kw_error error;
    prepare_call(exchange);
    (void)kw_fail(&error, KW_E_INVALID, kw_code_info(code)->name, NULL, "%s", reason);
    kw_api_problem(&exchange->call, code, &error);
}

static void log_request(const struct kw__exchange *exchange)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"};
    const struct kw_call *call = &exchange->call;
    const struct kw_log *log = exchange->loop->server->log;
    if (!is_logged(log)) {
        return;
    }
    struct kw_log_line line;
    kw_log_begin(&line, log, KW_LOG_INFO, "request");
    kw_log_text(&line, "method", methods[call->method]);
    if (call->route != NULL) {
        kw_log_text(&line, "route", call->route);
    }
    kw_log_i64(&line, "status", call->status);
    if (call->code != KW_CODE_NONE) {
        kw_log_text(&line, "code", kw_code_info(call->code)->name);
    }
    if (call->stream != KW_STREAM_NONE && call->method != KW_HEAD) {
        kw_log_text(&line, "body", call->stream == KW_STREAM_END ? "whole" : call->is_left ? "left" : "cut");
    }
    kw_log_text(&line, "requestId", call->request_id);
    kw_log_bytes(&line, "peer", call->peer);
    if (exchange->started_ns != 0) {
        kw_log_i64(&line, "durationUs", (int64_t)((kw_monotonic_ns() - exchange->started_ns) / 1000));
    }
    kw_log_end(&line);
}

/* An answer that could not be written whole becomes a problem that says so. */
static void replace_failed_answer(struct kw__exchange *exchange)
{
    struct kw_call *call = &exchange->call;
    bool is_whole = kw_buffer_status(&call->answer) == KW_OK && call->status >= 200 && call->status <= 599;
    if (is_whole) {
        return;
    }
    assert(call->stream == KW_STREAM_NONE); /* who answers in pieces sees to it that they fit */
    struct kw_error error;
    bool secret = call->answer.secret;
    kw_buffer_deinit(&call->answer);
    call->answer.secret = secret;
    call->answer_header_count = 0;
    (void)kw_fail(&error, KW_E_LIMIT, "INTERNAL", NULL, "The answer could not be written.");
    kw_api_problem(call, KW_CODE_INTERNAL, &error);
}

void kw__exchange_answer(struct kw__exchange *exchange, bool keep_alive)
{
    struct kw__loop *loop = exchange->loop;
    struct kw_call *call = &exchange->call;
    replace_failed_answer(exchange);
    struct kw__response_manner manner = {
        .date = kw__loop_date(loop),
        .is_head = exchange->message.method == KW_HEAD,
        .keep_alive = keep_alive,
        .is_http10 = exchange->message.is_http10,
    };
    kw__response_write(call, &manner, &loop->out);
    kw__count(loop, KW__COUNT_ANSWERS_1XX + call->status / 100 - 1, 1);
    if (call->stream == KW_STREAM_NONE) {
        log_request(exchange);
    }
}

/* --- answers in pieces --- */

/* Ends an answer in pieces, however it came out. */
static void note_end(struct kw__exchange *exchange)
{
    if (exchange->call.stream != KW_STREAM_END && exchange->message.method != KW_HEAD) {
        kw__count(exchange->loop, KW__COUNT_STREAMS_CUT, 1);
    }
    log_request(exchange);
}

void kw__exchange_answer_piece(struct kw__exchange *exchange)
{
    struct kw_call *call = &exchange->call;
    struct kw_buffer *out = &exchange->loop->out;
    if (kw_buffer_status(&call->answer) != KW_OK) {
        call->stream = KW_STREAM_CUT;
    }
    if (call->stream != KW_STREAM_CUT) {
        out->secret = out->secret || call->answer.secret;
        kw__response_write_piece(kw_buffer_bytes(&call->answer), exchange->message.is_http10,
                                 call->stream == KW_STREAM_END, out);
    }
    kw_buffer_reset(&call->answer);
    if (call->stream != KW_STREAM_MORE) {
        note_end(exchange);
    }
}

void kw__exchange_go_on(struct kw__exchange *exchange)
{
    exchange->loop->handed_on++;
    kw__count(exchange->loop, KW__COUNT_HANDED_ON, 1);
    exchange->call.go_on(&exchange->call);
}

void kw__exchange_leave(struct kw__exchange *exchange)
{
    exchange->connection = NULL;
    exchange->call.is_left = true;
    kw__exchange_go_on(exchange);
}

/* A finished call whose client is gone: an answer in pieces is told so, and comes back once more. */
static void collect_left(struct kw__exchange *exchange)
{
    struct kw_call *call = &exchange->call;
    if (call->stream == KW_STREAM_MORE && !call->is_left) {
        kw__exchange_leave(exchange);
        return;
    }
    if (call->stream != KW_STREAM_NONE) {
        call->is_left = true;
        call->stream = KW_STREAM_CUT; /* also where the last piece came too late for its client */
        note_end(exchange);
    }
    kw__exchange_give_back(exchange);
}

void kw__exchange_collect(struct kw__loop *loop)
{
    pthread_mutex_lock(&loop->finished_lock);
    struct kw__exchange *newest = loop->finished;
    loop->finished = NULL;
    pthread_mutex_unlock(&loop->finished_lock);
    struct kw__exchange *oldest = NULL;
    while (newest != NULL) {
        struct kw__exchange *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct kw__exchange *exchange = oldest;
        oldest = exchange->next;
        loop->handed_on--;
        kw__count(loop, KW__COUNT_CAME_BACK, 1);
        if (exchange->connection == NULL) {
            collect_left(exchange);
        } else {
            kw__serve_finished(exchange);
        }
    }
}
