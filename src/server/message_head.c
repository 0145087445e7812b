#include "server/message_head.h"

#include "base/bytes.h"

#define VERSION_SIZE (sizeof " HTTP/1.1" - 1)

enum kw_parse kw__message_refuse(struct kw_message *message, enum kw_code code, const char *reason)
{
    if (message->refusal == KW_CODE_NONE) {
        message->refusal = code;
        message->reason = reason;
    }
    return KW_PARSE_REFUSED;
}

/* The same, as a callback of llhttp tells it to stop. */
static int refuse_here(llhttp_t *llhttp, enum kw_code code, const char *reason)
{
    (void)kw__message_refuse(llhttp->data, code, reason);
    return HPE_USER;
}

/* Who stands in between may read the first of two, the last, or both as one: even where they are equal nobody knows. */
#define TWICE(name) \
    "The header " name " stands twice, and may stand once, also where both say the same: send one of them."

struct known_field {
    struct kw_bytes name;
    uint8_t field;
    const char *twice;
};

#define KNOWN(name, field) \
    { \
        {(const uint8_t *)(name), sizeof(name) - 1}, (field), TWICE(name) \
    }

/* By length, so that a header that nobody reads costs one look. */
static const struct known_field known_fields[] = {
    KNOWN("Host", KW_FIELD_HOST),
    KNOWN("Expect", KW_FIELD_EXPECT),
    KNOWN("If-Match", KW_HEADER_IF_MATCH),
    KNOWN("X-API-Key", KW_HEADER_X_API_KEY),
    KNOWN("User-Agent", KW_HEADER_USER_AGENT),
    KNOWN("Content-Type", KW_HEADER_CONTENT_TYPE),
    KNOWN("X-Request-Id", KW_HEADER_REQUEST_ID),
    KNOWN("Authorization", KW_HEADER_AUTHORIZATION),
    KNOWN("Content-Length", KW_FIELD_CONTENT_LENGTH),
    KNOWN("Keyward-Project", KW_HEADER_KEYWARD_PROJECT),
    KNOWN("Keyward-Context", KW_HEADER_KEYWARD_CONTEXT),
    KNOWN("Idempotency-Key", KW_HEADER_IDEMPOTENCY_KEY),
    KNOWN("X-Forwarded-For", KW_FIELD_FORWARDED_FOR),
    KNOWN("Transfer-Encoding", KW_FIELD_TRANSFER_ENCODING),
};

static uint8_t field_of_name(struct kw_bytes name)
{
    for (size_t i = 0; i < KW_COUNT_OF(known_fields) && known_fields[i].name.size <= name.size; i++) {
        if (known_fields[i].name.size == name.size && kw_bytes_equal_ignoring_case(known_fields[i].name, name)) {
            return known_fields[i].field;
        }
    }
    return KW_FIELD_NONE;
}

static const char *why_not_twice(uint8_t field)
{
    size_t i = 0;
    while (known_fields[i].field != field) {
        i++;
    }
    return known_fields[i].twice;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
    struct kw_message *message = llhttp->data;
    if (size == 0) {
        return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "A header has no name.");
    }
    message->field = field_of_name(kw_bytes_of(at, size));
    return HPE_OK;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct kw_message *message = llhttp->data;
    if (message->field == KW_FIELD_NONE) {
        return HPE_OK;
    }
    if (message->field == KW_FIELD_FORWARDED_FOR) {
        kw_forwarded_add(&message->forwarded, kw_bytes_of(at, size));
        return HPE_OK;
    }
    uint32_t bit = UINT32_C(1) << message->field;
    if ((message->seen & bit) != 0) {
        return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, why_not_twice(message->field));
    }
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) {
        size--;
    }
    message->seen |= bit;
    message->fields[message->field] = kw_bytes_of(at, size);
    return HPE_OK;
}

static bool is_seen(const struct kw_message *message, unsigned field)
{
    return (message->seen & (UINT32_C(1) << field)) != 0;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool port_valid(struct kw_bytes port)
{
    unsigned value = 0;
    if (port.size > 5) {
        return false;
    }
    for (size_t i = 0; i < port.size; i++) {
        if (!is_digit(port.data[i])) {
            return false;
        }
        value = value * 10 + (port.data[i] - '0');
    }
    return value <= UINT16_MAX;
}

bool kw_host_valid(struct kw_bytes host)
{
    if (host.size == 0) {
        return false;
    }
    bool in_brackets = host.data[0] == '[';
    size_t at = in_brackets ? 1 : 0;
    size_t start = at;
    for (; at < host.size; at++) {
        uint8_t byte = host.data[at];
        uint8_t lower = byte | 0x20;
        bool is_hex = is_digit(byte) || (lower >= 'a' && lower <= 'f');
        bool in_name = is_digit(byte) || (lower >= 'a' && lower <= 'z') || byte == '.' || byte == '-' || byte == '_' ||
                       byte == '~';
        if (in_brackets ? !(is_hex || byte == ':' || byte == '.') : !in_name) {
            break;
        }
    }
    if (at == start) {
        return false;
    }
    if (in_brackets && (at == host.size || host.data[at++] != ']')) {
        return false;
    }
    return at == host.size || (host.data[at] == ':' && port_valid(kw_bytes_skip(host, at + 1)));
}

/* Where a body ends must be beyond doubt (RFC 9112, section 6). */
static int check_framing(llhttp_t *llhttp, struct kw_message *message)
{
    if (is_seen(message, KW_FIELD_TRANSFER_ENCODING)) {
        if (message->is_http10) {
            return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "HTTP/1.0 has no Transfer-Encoding.");
        }
        if (is_seen(message, KW_FIELD_CONTENT_LENGTH)) {
            return refuse_here(llhttp, KW_CODE_INVALID_REQUEST,
                               "Content-Length and Transfer-Encoding exclude another.");
        }
        bool is_chunked =
            (llhttp->flags & F_CHUNKED) != 0 &&
            kw_bytes_equal_ignoring_case(message->fields[KW_FIELD_TRANSFER_ENCODING], KW_BYTES("chunked"));
        return is_chunked ? HPE_OK
                          : refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "Transfer-Encoding may only be \"chunked\".");
    }
    if (llhttp->content_length > KW_CALL_BODY_MAX) {
        return refuse_here(llhttp, KW_CODE_BODY_TOO_LARGE, "The body is larger than 1 MiB.");
    }
    message->content_length = (size_t)llhttp->content_length;
    return HPE_OK;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct kw_message *message = llhttp->data;
    /* An offer to speak another protocol is passed over: the answer comes in this one. */
    llhttp->upgrade = 0;
    if (!is_seen(message, KW_FIELD_HOST) && !message->is_http10) {
        return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "The Host header is missing.");
    }
    if (is_seen(message, KW_FIELD_HOST) && !kw_host_valid(message->fields[KW_FIELD_HOST])) {
        return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "The Host header is not a host with an optional port.");
    }
    if (is_seen(message, KW_FIELD_EXPECT)) {
        if (!kw_bytes_equal_ignoring_case(message->fields[KW_FIELD_EXPECT], KW_BYTES("100-continue"))) {
            return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "Expect may only be \"100-continue\".");
        }
        message->expects_continue = !message->is_http10;
    }
    message->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    int refused = check_framing(llhttp, message);
    message->head_complete = refused == HPE_OK;
    return refused;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct kw_message *message = llhttp->data;
    if (size > KW_CALL_BODY_MAX - message->body_buffer.size) {
        return refuse_here(llhttp, KW_CODE_BODY_TOO_LARGE, "The body is larger than 1 MiB.");
    }
    kw_buffer_add(&message->body_buffer, kw_bytes_of(at, size));
    return HPE_OK;
}

/* Behind the line that gives a chunk's size. What follows the last one is not llhttp's (kw__section_scan). */
static int on_chunk_header(llhttp_t *llhttp)
{
    struct kw_message *message = llhttp->data;
    if (llhttp->content_length > KW_CALL_BODY_MAX - message->body_buffer.size) {
        return refuse_here(llhttp, KW_CODE_BODY_TOO_LARGE, "The body is larger than 1 MiB.");
    }
    return llhttp->content_length == 0 ? HPE_PAUSED : HPE_OK;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t size)
{
    (void)at;
    struct kw_message *message = llhttp->data;
    message->extension_size += size;
    if (message->extension_size > KW_MESSAGE_EXTENSIONS_MAX) {
        return refuse_here(llhttp, KW_CODE_INVALID_REQUEST, "The chunk extensions are too large.");
    }
    return HPE_OK;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
};

/*
 * METHOD SP /path[?query] SP HTTP/1.0 or 1.1, nothing more: llhttp would take several spaces, HTTP/0.9, RTSP, fragments
 * and whole addresses. Which methods there are, and the characters of the target, are left to it.
 */
static bool take_request_line(struct kw_message *message, struct kw_bytes line)
{
    struct kw_bytes method, target, version;
    (void)kw_bytes_split(line, ' ', &method, &target);
    if (target.size < VERSION_SIZE + 1) {
        return false;
    }
    version = kw_bytes_skip(target, target.size - VERSION_SIZE);
    target.size -= VERSION_SIZE;
    message->is_http10 = kw_bytes_equal(version, KW_BYTES(" HTTP/1.0"));
    if (!message->is_http10 && !kw_bytes_equal(version, KW_BYTES(" HTTP/1.1"))) {
        (void)kw__message_refuse(message, KW_CODE_INVALID_REQUEST,
                                 "The request line must end in HTTP/1.1 or HTTP/1.0.");
        return false;
    }
    if (target.data[0] != '/' || memchr(target.data, '#', target.size) != NULL ||
        memchr(target.data, ' ', target.size) != NULL) {
        (void)kw__message_refuse(message, KW_CODE_INVALID_REQUEST, "The request's target must be a path.");
        return false;
    }
    (void)kw_bytes_split(target, '?', &message->path, &message->query);
    return true;
}

static enum kw_method method_of(uint8_t llhttp_method)
{
    switch (llhttp_method) {
    case HTTP_GET:
        return KW_GET;
    case HTTP_HEAD:
        return KW_HEAD;
    case HTTP_POST:
        return KW_POST;
    case HTTP_PUT:
        return KW_PUT;
    case HTTP_PATCH:
        return KW_PATCH;
    case HTTP_DELETE:
        return KW_DELETE;
    case HTTP_OPTIONS:
        return KW_OPTIONS;
    default:
        return KW_OTHER_METHOD;
    }
}

bool kw__message_take_head(struct kw_message *message, struct kw_bytes head)
{
    memcpy(message->head, head.data, head.size);
    message->head_size = head.size;
    const uint8_t *line_end = memchr(message->head, '\r', head.size);
    if (line_end == NULL ||
        !take_request_line(message, kw_bytes_of(message->head, (size_t)(line_end - message->head)))) {
        (void)kw__message_refuse(message, KW_CODE_INVALID_REQUEST, "The request line is not understood.");
        return false;
    }
    llhttp_init(&message->llhttp, HTTP_REQUEST, &settings);
    message->llhttp.data = message;
    (void)llhttp_execute(&message->llhttp, (const char *)message->head, head.size);
    if (!message->head_complete) {
        (void)kw__message_refuse(message, KW_CODE_INVALID_REQUEST, "The request's head is malformed.");
        return false;
    }
    message->method = method_of(message->llhttp.method);
    return true;
}

bool kw__message_is_chunked(const struct kw_message *message)
{
    return is_seen(message, KW_FIELD_TRANSFER_ENCODING);
}

enum kw_parse kw__message_take_chunks(struct kw_message *message, struct kw_bytes input, size_t *taken_out)
{
    struct kw_bytes allowed = input;
    if (allowed.size > KW_MESSAGE_CHUNKED_MAX - message->chunked_size) {
        allowed.size = KW_MESSAGE_CHUNKED_MAX - message->chunked_size;
    }
    const char *start = (const char *)allowed.data;
    llhttp_errno_t ended = allowed.size == 0 ? HPE_OK : llhttp_execute(&message->llhttp, start, allowed.size);
    if (ended == HPE_PAUSED) {
        *taken_out = (size_t)(llhttp_get_error_pos(&message->llhttp) - start);
        return KW_PARSE_REQUEST;
    }
    message->chunked_size += allowed.size;
    *taken_out = allowed.size;
    if (ended != HPE_OK) {
        return kw__message_refuse(message, KW_CODE_INVALID_REQUEST, "The body's chunks are malformed.");
    }
    if (kw_buffer_status(&message->body_buffer) != KW_OK) {
        return kw__message_refuse(message, KW_CODE_TOO_BUSY, "There is no memory for the body.");
    }
    if (message->chunked_size == KW_MESSAGE_CHUNKED_MAX) {
        return kw__message_refuse(message, KW_CODE_BODY_TOO_LARGE, "The body's chunks are too small for its size.");
    }
    return KW_PARSE_MORE;
}
