#include "server/transport.h"

#include "base/bytes.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void on_written(uv_write_t *write, int status);

bool kw__output_is_empty(const struct kw__connection *connection)
{
    return !connection->is_writing && connection->output_at == connection->output.size;
}

/* As much as the socket takes at once. */
static size_t send_at_once(struct kw__connection *connection, struct kw_bytes bytes)
{
    if (bytes.size == 0 || connection->is_broken) {
        return 0;
    }
    uv_buf_t piece = uv_buf_init((char *)bytes.data, (unsigned)bytes.size);
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, &piece, 1);
    if (sent < 0) {
        connection->is_broken = sent != UV_EAGAIN;
        return 0;
    }
    kw__count(connection->loop, KW__COUNT_BYTES_OUT, (uint64_t)sent);
    return (size_t)sent;
}

/* True when all that TLS has for the wire is gone. */
static bool send_wire(struct kw__connection *connection)
{
    struct kw_bytes wire = kw_tls_wire(connection->tls);
    size_t sent = send_at_once(connection, wire);
    kw_tls_wire_sent(connection->tls, sent);
    return sent == wire.size;
}

/* Plain text; returns how much of it is on its way. With TLS the rest of the last piece may still lie in its memory. */
static size_t push(struct kw__connection *connection, struct kw_bytes bytes)
{
    if (connection->tls == NULL) {
        return send_at_once(connection, bytes);
    }
    size_t taken = 0;
    while (taken < bytes.size && !connection->is_broken) {
        struct kw_bytes piece = kw_bytes_skip(bytes, taken);
        piece.size = piece.size > KW__WRITE_SLICE ? KW__WRITE_SLICE : piece.size;
        if (!kw_tls_write(connection->tls, piece)) {
            connection->is_broken = true;
            break;
        }
        taken += piece.size;
        if (!send_wire(connection)) {
            break;
        }
    }
    return taken;
}

/* What the system holds of a connection's answers; 0 when it does not say. */
static size_t untaken_by_client(const struct kw__connection *connection)
{
    uv_os_fd_t fd;
    int count = 0;
    bool is_known =
        uv_fileno((const uv_handle_t *)&connection->tcp, &fd) == 0 && ioctl(fd, SIOCOUTQ, &count) == 0 && count > 0;
    return is_known ? (size_t)count : 0;
}

bool kw__output_has_progressed(struct kw__connection *connection)
{
    /* The system asks for more only when a third of its megabytes is gone, which may take a slow client its time. */
    size_t untaken = untaken_by_client(connection);
    bool has_progressed = untaken + KW__WRITE_PROGRESS <= connection->untaken;
    connection->untaken = untaken;
    return has_progressed;
}

/* Has libuv send the next slice when the client takes it. */
static void start_write(struct kw__connection *connection)
{
    struct kw_bytes next = kw_bytes_skip(kw_buffer_bytes(&connection->output), connection->output_at);
    if (connection->tls != NULL) {
        next = kw_tls_wire(connection->tls);
    }
    if (next.size == 0 || connection->is_broken) {
        return;
    }
    next.size = next.size > KW__WRITE_SLICE ? KW__WRITE_SLICE : next.size;
    uv_buf_t piece = uv_buf_init((char *)next.data, (unsigned)next.size);
    if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &piece, 1, on_written) != 0) {
        connection->is_broken = true;
        return;
    }
    connection->write_size = next.size;
    connection->is_writing = true;
    connection->renew_deadline = true;
    connection->untaken = untaken_by_client(connection);
}

/* Goes on with what was kept; drops it when it is out. */
static void push_kept(struct kw__connection *connection)
{
    struct kw_bytes rest = kw_bytes_skip(kw_buffer_bytes(&connection->output), connection->output_at);
    connection->output_at += push(connection, rest);
    start_write(connection);
    if (connection->output_at == connection->output.size) {
        kw_buffer_deinit(&connection->output);
        connection->output.secret = false;
        connection->output_at = 0;
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct kw__connection *connection = write->data;
    if (uv_is_closing((uv_handle_t *)&connection->tcp)) {
        return;
    }
    connection->is_writing = false;
    if (status < 0) {
        connection->is_broken = true;
        kw__connection_settle(connection);
        return;
    }
    kw__count(connection->loop, KW__COUNT_BYTES_OUT, connection->write_size);
    if (connection->tls != NULL) {
        kw_tls_wire_sent(connection->tls, connection->write_size);
    } else {
        connection->output_at += connection->write_size;
    }
    push_kept(connection);
    kw__serve_resume(connection);
    kw__connection_settle(connection);
}

/* An answer with a secret leaves nothing behind. */
static void empty(struct kw_buffer *out)
{
    kw_buffer_reset(out);
    if (out->capacity > 2 * KW__OUTPUT_CAP) {
        kw_buffer_deinit(out);
    }
    out->secret = false;
}

void kw__output_flush(struct kw__connection *connection)
{
    struct kw_buffer *out = &connection->loop->out;
    if (out->size == 0 && kw_buffer_status(out) == KW_OK) {
        return;
    }
    connection->is_broken = connection->is_broken || kw_buffer_status(out) != KW_OK;
    struct kw_bytes bytes = kw_buffer_bytes(out);
    size_t taken = push(connection, bytes);
    if (taken < bytes.size && !connection->is_broken) {
        connection->output.secret = out->secret;
        kw_buffer_add(&connection->output, kw_bytes_skip(bytes, taken));
        connection->is_broken = kw_buffer_status(&connection->output) != KW_OK;
    }
    if (taken < bytes.size || connection->tls != NULL) {
        start_write(connection);
    }
    empty(out);
}

void kw__output_flush_wire(struct kw__connection *connection)
{
    if (!connection->is_writing && !send_wire(connection)) {
        start_write(connection);
    }
}
