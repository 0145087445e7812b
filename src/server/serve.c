#include "server/transport.h"

#include "base/bytes.h"

/* What is left to be read of a partial request arrives in pieces of this size. */
#define INPUT_STEP 16384

static bool may_serve(const struct kw__connection *connection)
{
    return !kw__connection_must_wait(connection) && !connection->is_closing && !connection->is_broken;
}

/* The answer is out: parts with its exchange, and makes ready for the next request. */
static struct kw__exchange *end_exchange(struct kw__connection *connection, bool keep_alive)
{
    struct kw__exchange *exchange = connection->exchange;
    /* Unread bytes at a close would take the answer with them: a client that does not expect the end may be sending. */
    connection->must_linger = connection->must_linger || keep_alive != exchange->message.keep_alive;
    connection->exchange = NULL;
    connection->has_served = true;
    connection->renew_deadline = true;
    connection->is_closing = !keep_alive;
    return exchange;
}

/* The next piece of an answer stands in the call. */
static void put_piece(struct kw__connection *connection)
{
    struct kw__exchange *exchange = connection->exchange;
    kw__exchange_answer_piece(exchange);
    enum kw_stream stream = exchange->call.stream;
    if (stream == KW_STREAM_MORE) {
        return;
    }
    connection->is_streaming = false;
    /* Where only the close ends a body, a close alone would make this one look whole. */
    connection->must_reset = stream == KW_STREAM_CUT && exchange->message.is_http10;
    kw__exchange_give_back(end_exchange(connection, exchange->keeps_alive && !connection->loop->is_draining));
    connection->is_broken = connection->is_broken || stream == KW_STREAM_CUT;
}

/* The head of an answer in pieces, and the first of them. */
static void begin_stream(struct kw__connection *connection, bool keep_alive)
{
    struct kw__exchange *exchange = connection->exchange;
    exchange->keeps_alive = keep_alive && !exchange->message.is_http10;
    kw__exchange_answer(exchange, exchange->keeps_alive);
    if (exchange->message.method == KW_HEAD) {
        kw__exchange_leave(end_exchange(connection, exchange->keeps_alive));
        return;
    }
    connection->is_streaming = true;
    put_piece(connection);
}

/* The answer stands in the call: puts it out and makes ready for the next request. */
static void finish(struct kw__connection *connection)
{
    struct kw__exchange *exchange = connection->exchange;
    bool keep_alive = exchange->message.keep_alive && !connection->is_closing && !connection->loop->is_draining;
    if (exchange->call.stream == KW_STREAM_END) {
        exchange->call.stream = KW_STREAM_NONE; /* the first piece is all there is */
    }
    if (exchange->call.stream != KW_STREAM_NONE) {
        begin_stream(connection, keep_alive);
        return;
    }
    kw__exchange_answer(exchange, keep_alive);
    kw__exchange_give_back(end_exchange(connection, keep_alive));
}

/* Asks for the next piece of an answer once the client has taken those before: so much is held of it and no more. */
static void stream_on(struct kw__connection *connection)
{
    if (connection->is_streaming && !connection->is_handed_on && !connection->is_broken &&
        kw__output_is_empty(connection)) {
        connection->is_handed_on = true;
        kw__exchange_go_on(connection->exchange);
    }
}

static void refuse(struct kw__connection *connection, enum kw_code code, const char *reason)
{
    struct kw__exchange *exchange = connection->exchange;
    exchange->message.keep_alive = false;
    connection->must_linger = true;
    kw__exchange_refuse(exchange, code, reason);
    finish(connection);
}

/* Takes one step through `bytes`; false when more of them are needed first. */
static bool step(struct kw__connection *connection, struct kw_bytes bytes, size_t *taken)
{
    struct kw__loop *loop = connection->loop;
    *taken = 0;
    if (connection->exchange == NULL) {
        connection->exchange = kw__exchange_take(connection);
    }
    struct kw__exchange *exchange = connection->exchange;
    if (exchange == NULL) {
        connection->is_broken = true;
        return false;
    }
    switch (kw_message_feed(&connection->parser, &exchange->message, bytes, taken)) {
    case KW_PARSE_MORE:
        if (connection->parser.stage == KW_STAGE_HEAD) {
            connection->exchange = NULL;
            kw__exchange_give_back(exchange);
        }
        return false;
    case KW_PARSE_CONTINUE:
        kw_buffer_add(&loop->out, KW_BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
        return true;
    case KW_PARSE_REFUSED:
        kw__count(loop, KW__COUNT_MALFORMED, 1);
        refuse(connection, exchange->message.refusal, exchange->message.reason);
        return false;
    case KW_PARSE_REQUEST:
        break;
    }
    if (kw__exchange_handle(exchange)) {
        finish(connection);
    } else {
        connection->is_handed_on = true;
    }
    return true;
}

/* Answers what `bytes` hold, as far as it goes without waiting, with one write for all; returns how much was taken. */
static size_t serve(struct kw__connection *connection, struct kw_bytes bytes)
{
    size_t taken = 0;
    bool goes_on = true;
    while (goes_on && taken < bytes.size && may_serve(connection)) {
        size_t more;
        goes_on = step(connection, kw_bytes_skip(bytes, taken), &more);
        taken += more;
        if (connection->loop->out.size > KW__OUTPUT_CAP) {
            kw__output_flush(connection);
        }
    }
    kw__output_flush(connection);
    stream_on(connection);
    return taken;
}

static void drop_input(struct kw__connection *connection)
{
    kw_buffer_deinit(&connection->input);
    connection->input_at = 0;
}

static void serve_kept_input(struct kw__connection *connection)
{
    struct kw_bytes bytes = kw_bytes_skip(kw_buffer_bytes(&connection->input), connection->input_at);
    connection->input_at += serve(connection, bytes);
    if (connection->input_at == connection->input.size || connection->is_closing) {
        drop_input(connection);
    }
}

void kw__serve_room(struct kw__connection *connection, uint8_t **room_out, size_t *size_out)
{
    struct kw_buffer *input = &connection->input;
    *room_out = connection->loop->read_buffer;
    *size_out = KW__READ_SIZE;
    if (input->size == 0 || connection->is_lingering) {
        return;
    }
    if (connection->input_at > 0) {
        memmove(input->data, input->data + connection->input_at, input->size - connection->input_at);
        input->size -= connection->input_at;
        connection->input_at = 0;
    }
    *room_out = kw_buffer_reserve(input, INPUT_STEP);
    *size_out = *room_out == NULL ? 0 : INPUT_STEP;
}

void kw__serve_arrived(struct kw__connection *connection, size_t count)
{
    struct kw__loop *loop = connection->loop;
    if (connection->input.size > 0 && !connection->is_lingering) {
        connection->input.size += count;
        serve_kept_input(connection);
        return;
    }
    struct kw_bytes bytes = kw_bytes_of(loop->read_buffer, count);
    size_t taken = serve(connection, bytes);
    if (taken < count && connection->is_closing) {
        connection->must_linger = true;
    } else if (taken < count) {
        kw_buffer_add(&connection->input, kw_bytes_skip(bytes, taken));
        connection->is_broken = connection->is_broken || kw_buffer_status(&connection->input) != KW_OK;
    }
    kw_wipe(loop->read_buffer, count);
}

static void note_tls_failure(struct kw__connection *connection)
{
    kw__count(connection->loop, KW__COUNT_TLS_FAILED, 1);
    struct kw_log_line line;
    kw_log_begin(&line, connection->loop->server->log, KW_LOG_DEBUG, "tls_failed");
    kw_log_bytes(&line, "peer", kw_bytes_of(connection->peer, connection->peer_size));
    kw_log_text(&line, "reason", kw_tls_reason(connection->tls));
    kw_log_end(&line);
}

/* Plain text that TLS has, until a request has to wait or the wire has no more. */
static void serve_tls(struct kw__connection *connection)
{
    while (may_serve(connection)) {
        uint8_t *room;
        size_t size;
        size_t count = 0;
        kw__serve_room(connection, &room, &size);
        switch (size == 0 ? KW_TLS_FAILED : kw_tls_read(connection->tls, room, size, &count)) {
        case KW_TLS_DATA:
            kw__serve_arrived(connection, count);
            break;
        case KW_TLS_MORE:
            kw__output_flush_wire(connection);
            return;
        case KW_TLS_CLOSED:
            connection->is_closing = true;
            break;
        case KW_TLS_FAILED:
            note_tls_failure(connection);
            kw__output_flush_wire(connection);
            connection->is_broken = true;
            break;
        }
    }
}

void kw__serve_resume(struct kw__connection *connection)
{
    stream_on(connection);
    if (connection->input.size > connection->input_at && may_serve(connection)) {
        serve_kept_input(connection);
    }
    if (connection->tls != NULL) {
        serve_tls(connection);
    }
}

void kw__serve_finished(struct kw__exchange *exchange)
{
    struct kw__connection *connection = exchange->connection;
    connection->is_handed_on = false;
    if (connection->is_streaming) {
        put_piece(connection);
    } else {
        finish(connection);
    }
    kw__output_flush(connection);
    kw__serve_resume(connection);
    kw__connection_settle(connection);
}

void kw__serve_refuse(struct kw__connection *connection, enum kw_code code, const char *reason)
{
    if (connection->exchange == NULL) {
        connection->exchange = kw__exchange_take(connection);
    }
    if (connection->exchange == NULL) {
        connection->is_broken = true;
        return;
    }
    refuse(connection, code, reason);
    kw__output_flush(connection);
}
