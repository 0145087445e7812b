#include "server/transport.h"

#include "base/bytes.h"

#include <sys/socket.h>

#define OUTPUT_MAX (KW_CALL_ANSWER_MAX + 2 * KW__OUTPUT_CAP)
#define OVER_CAP_LOG_MS 1000

static void on_closed(uv_handle_t *handle)
{
    struct kw__connection *connection = handle->data;
    struct kw__loop *loop = connection->loop;
    kw_tls_free(connection->tls);
    kw_buffer_deinit(&connection->input);
    kw_buffer_deinit(&connection->output);
    if (connection->is_counted) {
        atomic_fetch_sub_explicit(&loop->server->connection_count, 1, memory_order_relaxed);
        kw__count(loop, KW__COUNT_CLOSED, 1);
    }
    kw_free(connection);
    loop->connection_count--;
    kw__loop_end_if_drained(loop);
}

void kw__connection_close(struct kw__connection *connection)
{
    if (uv_is_closing((uv_handle_t *)&connection->tcp)) {
        return;
    }
    struct kw__exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    if (exchange != NULL && connection->is_handed_on) {
        exchange->connection = NULL;
    } else if (exchange != NULL && connection->is_streaming) {
        kw__exchange_leave(exchange);
    } else {
        kw__exchange_give_back(exchange);
    }
    kw__deadline_remove(connection);
    if (!connection->must_reset || uv_tcp_close_reset(&connection->tcp, on_closed) != 0) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    }
}

bool kw__connection_is_idle(const struct kw__connection *connection)
{
    return connection->exchange == NULL && connection->input.size == 0 && kw__output_is_empty(connection) &&
           !connection->is_closing;
}

static void on_room_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct kw__connection *connection = handle->data;
    if (connection->tls != NULL) {
        *buffer = uv_buf_init((char *)connection->loop->wire_buffer, KW__READ_SIZE);
        return;
    }
    uint8_t *room;
    size_t size;
    kw__serve_room(connection, &room, &size);
    *buffer = uv_buf_init((char *)room, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct kw__connection *connection = stream->data;
    struct kw__loop *loop = connection->loop;
    if (count == 0) {
        return;
    }
    if (count < 0) {
        kw__connection_close(connection);
        return;
    }
    kw__count(loop, KW__COUNT_BYTES_IN, (uint64_t)count);
    if (connection->is_lingering) {
        kw_wipe(buffer->base, (size_t)count);
        return;
    }
    if (connection->tls == NULL) {
        kw__serve_arrived(connection, (size_t)count);
    } else if (kw_tls_receive(connection->tls, kw_bytes_of(buffer->base, (size_t)count))) {
        kw__serve_resume(connection);
    } else {
        connection->is_broken = true;
    }
    kw__connection_settle(connection);
}

static void stop_reading(struct kw__connection *connection)
{
    if (connection->is_reading) {
        (void)uv_read_stop((uv_stream_t *)&connection->tcp);
        connection->is_reading = false;
    }
}

static void start_reading(struct kw__connection *connection)
{
    if (connection->is_reading) {
        return;
    }
    connection->is_reading = uv_read_start((uv_stream_t *)&connection->tcp, on_room_wanted, on_read) == 0;
    if (!connection->is_reading) {
        kw__connection_close(connection);
    }
}

/* The last answer is out: says so to the client, and closes unless it may still be sending. */
static void part(struct kw__connection *connection)
{
    if (connection->tls != NULL && !connection->has_said_goodbye) {
        connection->has_said_goodbye = true;
        kw_tls_shutdown(connection->tls);
        kw__output_flush_wire(connection);
        if (connection->is_writing) {
            return;
        }
    }
    uv_os_fd_t fd;
    if (connection->is_broken || !connection->must_linger || uv_fileno((uv_handle_t *)&connection->tcp, &fd) != 0 ||
        shutdown(fd, SHUT_WR) != 0) {
        kw__connection_close(connection);
        return;
    }
    kw_buffer_deinit(&connection->input);
    connection->is_lingering = true;
}

static enum kw__deadline deadline_of(const struct kw__connection *connection)
{
    if (connection->is_writing) {
        return KW__DEADLINE_WRITE;
    }
    if (connection->is_handed_on) {
        return KW__DEADLINE_NONE;
    }
    if (connection->is_lingering) {
        return KW__DEADLINE_LINGER;
    }
    if (connection->parser.stage != KW_STAGE_HEAD) {
        return KW__DEADLINE_BODY;
    }
    bool is_between_requests = connection->has_served && connection->input.size == 0;
    return is_between_requests ? KW__DEADLINE_IDLE : KW__DEADLINE_HEAD;
}

void kw__connection_settle(struct kw__connection *connection)
{
    if (uv_is_closing((uv_handle_t *)&connection->tcp)) {
        return;
    }
    if (connection->is_broken) {
        kw__connection_close(connection);
        return;
    }
    if (connection->is_closing && !connection->is_lingering && !kw__connection_must_wait(connection)) {
        part(connection);
        if (uv_is_closing((uv_handle_t *)&connection->tcp)) {
            return;
        }
    }
    enum kw__deadline deadline = deadline_of(connection);
    if (connection->renew_deadline || deadline != connection->deadline) {
        kw__deadline_set(connection, deadline);
        connection->renew_deadline = false;
    }
    if (kw__connection_must_wait(connection)) {
        stop_reading(connection);
    } else {
        start_reading(connection);
    }
}

/* The address at the other end, also as text; an IPv4 address in IPv6 clothes is an IPv4 address. */
static bool learn_peer(struct kw__connection *connection)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &size) != 0) {
        return false;
    }
    struct kw_address *peer = &connection->peer_address;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &address, sizeof v4);
    memcpy(&v6, &address, sizeof v6);
    bool is_v4 = address.ss_family == AF_INET;
    const size_t v4_at = sizeof peer->bytes - sizeof v4.sin_addr;
    if (is_v4) {
        *peer = (struct kw_address){.bytes = {[10] = 0xff, [11] = 0xff}};
        memcpy(peer->bytes + v4_at, &v4.sin_addr, sizeof v4.sin_addr);
    } else {
        memcpy(peer->bytes, &v6.sin6_addr, sizeof peer->bytes);
        is_v4 = kw_address_is_ipv4(peer);
        memcpy(&v4.sin_addr, peer->bytes + v4_at, sizeof v4.sin_addr);
    }
    int failed = is_v4 ? uv_ip4_name(&v4, connection->peer, sizeof connection->peer)
                       : uv_ip6_name(&v6, connection->peer, sizeof connection->peer);
    connection->peer_size = strlen(connection->peer);
    return failed == 0;
}

static void on_spare_closed(uv_handle_t *handle)
{
    struct kw__loop *loop = handle->data;
    loop->spare_in_use = false;
    /* One that came meanwhile waits still; libuv listens again only after it was taken. */
    kw__connection_accept((uv_stream_t *)&loop->listener, 0);
}

/* Without memory for it, a connection is taken to be closed. */
static void turn_away(struct kw__loop *loop)
{
    if (loop->spare_in_use || loop->is_draining || uv_tcp_init(&loop->uv, &loop->spare) != 0) {
        return;
    }
    loop->spare_in_use = true;
    loop->spare.data = loop;
    (void)uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)&loop->spare);
    uv_close((uv_handle_t *)&loop->spare, on_spare_closed);
}

static void note_over_cap(struct kw__loop *loop)
{
    kw__count(loop, KW__COUNT_OVER_CAP, 1);
    loop->over_cap_unlogged++;
    uint64_t now_ms = uv_now(&loop->uv);
    if (loop->over_cap_logged_ms != 0 && now_ms - loop->over_cap_logged_ms < OVER_CAP_LOG_MS) {
        return;
    }
    struct kw_log_line line;
    kw_log_begin(&line, loop->server->log, KW_LOG_WARN, "connections_refused");
    kw_log_i64(&line, "connectionMax", loop->server->connection_max);
    kw_log_i64(&line, "refused", (int64_t)loop->over_cap_unlogged);
    kw_log_end(&line);
    loop->over_cap_logged_ms = now_ms;
    loop->over_cap_unlogged = 0;
}

static struct kw__connection *connection_new(struct kw__loop *loop)
{
    struct kw__connection *connection = kw_alloc(1, sizeof *connection);
    if (connection == NULL || uv_tcp_init(&loop->uv, &connection->tcp) != 0) {
        kw_free(connection);
        return NULL;
    }
    connection->loop = loop;
    connection->tcp.data = connection;
    connection->write.data = connection;
    kw_buffer_init_secret(&connection->input, KW__INPUT_CAP);
    kw_buffer_init(&connection->output, OUTPUT_MAX);
    loop->connection_count++;
    return connection;
}

/* False when it was one too many. */
static bool count_in(struct kw__connection *connection)
{
    struct kw_server *server = connection->loop->server;
    unsigned before = atomic_fetch_add_explicit(&server->connection_count, 1, memory_order_relaxed);
    if (before >= server->connection_max) {
        atomic_fetch_sub_explicit(&server->connection_count, 1, memory_order_relaxed);
        note_over_cap(connection->loop);
        return false;
    }
    connection->is_counted = true;
    kw__count(connection->loop, KW__COUNT_ACCEPTED, 1);
    return true;
}

void kw__connection_accept(uv_stream_t *listener, int status)
{
    struct kw__loop *loop = listener->data;
    if (status < 0 || uv_is_closing((uv_handle_t *)listener)) {
        return;
    }
    struct kw__connection *connection = connection_new(loop);
    if (connection == NULL) {
        turn_away(loop);
        return;
    }
    bool is_welcome =
        uv_accept(listener, (uv_stream_t *)&connection->tcp) == 0 && count_in(connection) && learn_peer(connection);
    if (is_welcome && loop->server->tls != NULL) {
        connection->tls = kw_tls_new(loop->server->tls);
        is_welcome = connection->tls != NULL;
    }
    if (!is_welcome) {
        kw__connection_close(connection);
        return;
    }
    connection->deadline_tick = UINT64_MAX;
    kw__loop_sweep_on(loop);
    kw__connection_settle(connection);
}
