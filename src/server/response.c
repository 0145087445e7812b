#include "server/transport.h"

#include "base/bytes.h"

#include <assert.h>

#define CRLF "\r\n"

struct status_line {
    uint16_t status;
    struct kw_bytes line;
};

#define STATUS_LINE(status, text) \
    { \
        status, \
        { \
            (const uint8_t *)"HTTP/1.1 " #status " " text CRLF, sizeof("HTTP/1.1 " #status " " text CRLF) - 1 \
        } \
    }

/* The most frequent first. */
static const struct status_line status_lines[] = {
    STATUS_LINE(200, "OK"),
    STATUS_LINE(201, "Created"),
    STATUS_LINE(401, "Unauthorized"),
    STATUS_LINE(403, "Forbidden"),
    STATUS_LINE(404, "Not Found"),
    STATUS_LINE(400, "Bad Request"),
    STATUS_LINE(429, "Too Many Requests"),
    STATUS_LINE(204, "No Content"),
    STATUS_LINE(202, "Accepted"),
    STATUS_LINE(304, "Not Modified"),
    STATUS_LINE(405, "Method Not Allowed"),
    STATUS_LINE(408, "Request Timeout"),
    STATUS_LINE(409, "Conflict"),
    STATUS_LINE(412, "Precondition Failed"),
    STATUS_LINE(413, "Content Too Large"),
    STATUS_LINE(414, "URI Too Long"),
    STATUS_LINE(415, "Unsupported Media Type"),
    STATUS_LINE(422, "Unprocessable Content"),
    STATUS_LINE(431, "Request Header Fields Too Large"),
    STATUS_LINE(500, "Internal Server Error"),
    STATUS_LINE(503, "Service Unavailable"),
};

static void add_status_line(struct kw_buffer *out, uint16_t status)
{
    for (size_t i = 0; i < KW_COUNT_OF(status_lines); i++) {
        if (status_lines[i].status == status) {
            kw_buffer_add(out, status_lines[i].line);
            return;
        }
    }
    kw_buffer_add(out, KW_BYTES("HTTP/1.1 "));
    kw_buffer_add_u64(out, status);
    kw_buffer_add(out, KW_BYTES(" " CRLF));
}

/* A value that could begin a header of its own would let a caller write answers. */
static bool is_safe_value(struct kw_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < 0x20 || value.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void add_header(struct kw_buffer *out, const char *name, struct kw_bytes value)
{
    kw_buffer_add_text(out, name);
    kw_buffer_add(out, KW_BYTES(": "));
    kw_buffer_add(out, value);
    kw_buffer_add(out, KW_BYTES(CRLF));
}

/* The routes' own headers. True when how to cache the answer was among them. */
static bool add_answer_headers(struct kw_buffer *out, const struct kw_call *call)
{
    bool says_cache = false;
    for (size_t i = 0; i < call->answer_header_count; i++) {
        const struct kw_answer_header *header = &call->answer_headers[i];
        bool is_safe = is_safe_value(header->value);
        assert(is_safe);
        if (is_safe) {
            add_header(out, header->name, header->value);
        }
        says_cache =
            says_cache || kw_bytes_equal_ignoring_case(kw_bytes_of_text(header->name), KW_BYTES("Cache-Control"));
    }
    return says_cache;
}

void kw__response_write(const struct kw_call *call, const struct kw__response_manner *manner, struct kw_buffer *out)
{
    bool may_have_body = call->status != 204 && call->status != 304;
    if (call->answer.secret) {
        out->secret = true;
    }
    add_status_line(out, call->status);
    kw_buffer_add(out, KW_BYTES("Date: "));
    kw_buffer_add(out, manner->date);
    bool is_stream = call->stream != KW_STREAM_NONE;
    if (may_have_body && !is_stream) {
        kw_buffer_add(out, KW_BYTES(CRLF "Content-Length: "));
        kw_buffer_add_u64(out, call->answer.size);
    }
    if (is_stream && !manner->is_http10) {
        kw_buffer_add(out, KW_BYTES(CRLF "Transfer-Encoding: chunked"));
    }
    if (may_have_body && call->content_type != NULL) {
        kw_buffer_add(out, KW_BYTES(CRLF "Content-Type: "));
        kw_buffer_add_text(out, call->content_type);
    }
    kw_buffer_add(out, KW_BYTES(CRLF "X-Content-Type-Options: nosniff" CRLF "X-Request-Id: "));
    kw_buffer_add_text(out, call->request_id);
    kw_buffer_add(out, KW_BYTES(CRLF));
    if (!add_answer_headers(out, call)) {
        kw_buffer_add(out, KW_BYTES("Cache-Control: no-store" CRLF));
    }
    if (!manner->keep_alive) {
        kw_buffer_add(out, KW_BYTES("Connection: close" CRLF));
    } else if (manner->is_http10) {
        kw_buffer_add(out, KW_BYTES("Connection: keep-alive" CRLF));
    }
    kw_buffer_add(out, KW_BYTES(CRLF));
    if (may_have_body && !manner->is_head && !is_stream) {
        kw_buffer_add(out, kw_buffer_bytes(&call->answer));
    }
}

void kw__response_write_piece(struct kw_bytes piece, bool is_http10, bool is_last, struct kw_buffer *out)
{
    if (is_http10) {
        kw_buffer_add(out, piece);
        return;
    }
    if (piece.size > 0) { /* a chunk without bytes would be the end */
        kw_buffer_add_format(out, "%zx" CRLF, piece.size);
        kw_buffer_add(out, piece);
        kw_buffer_add(out, KW_BYTES(CRLF));
    }
    if (is_last) {
        kw_buffer_add(out, KW_BYTES("0" CRLF CRLF));
    }
}
