/*
 * Bytes in, requests out: the head and body of HTTP/1.1 messages, without sockets. llhttp splits the head and undoes
 * the chunks; what it lets through is refused here (bare CR and LF, folded headers, no Host or two, ...), because two
 * readers of one stream must never disagree on where a request ends. How the bytes come in pieces changes nothing.
 */
#ifndef KW_SERVER_MESSAGE_H
#define KW_SERVER_MESSAGE_H

#include "server/call.h"

#include <llhttp.h>

#define KW_MESSAGE_LINE_MAX 8192
#define KW_MESSAGE_HEAD_MAX 16384
#define KW_MESSAGE_HEADERS_MAX 64
#define KW_MESSAGE_TRAILERS_MAX 8192   /* bytes of a chunked body's trailer section, which is dropped */
#define KW_MESSAGE_EXTENSIONS_MAX 4096 /* bytes of chunk extensions, all chunks together */
/* Of a chunked body with its framing. One-byte chunks take six bytes a byte. */
#define KW_MESSAGE_CHUNKED_MAX (8 * KW_CALL_BODY_MAX)

enum kw_parse {
    KW_PARSE_MORE,     /* everything that can be taken was taken: more bytes are needed */
    KW_PARSE_CONTINUE, /* the client waits for "100 Continue"; go on after it was sent */
    KW_PARSE_REQUEST,  /* a request is complete */
    KW_PARSE_REFUSED,  /* `refusal` and `reason` say why; where the next request begins is unknown */
};

enum kw_parse_stage { KW_STAGE_HEAD, KW_STAGE_SIZED, KW_STAGE_CHUNKED, KW_STAGE_TRAILERS };

/* What a connection keeps between two pieces of input. All zero at the start. */
struct kw_message_parser {
    enum kw_parse_stage stage;
    bool skipped_blank_line;
    size_t scanned; /* bytes of the section that were looked at already */
    unsigned line_count;
};

/* Headers that the transport itself reads, behind those of call.h. */
enum {
    KW_FIELD_HOST = KW_HEADER_COUNT,
    KW_FIELD_EXPECT,
    KW_FIELD_CONTENT_LENGTH,
    KW_FIELD_TRANSFER_ENCODING,
    KW_FIELD_COUNT,
    KW_FIELD_FORWARDED_FOR = KW_FIELD_COUNT, /* the one that may stand several times: kept in `forwarded` */
    KW_FIELD_NONE,
};

/* One request in its own memory, which is reused for the next. */
struct kw_message {
    enum kw_method method;
    struct kw_bytes path, query;
    struct kw_bytes fields[KW_FIELD_COUNT]; /* the first KW_HEADER_COUNT are those of call.h */
    struct kw_forwarded forwarded;
    struct kw_bytes body;
    bool keep_alive;
    bool is_http10;

    enum kw_code refusal;
    const char *reason; /* static */

    /* The parser's. */
    bool head_complete;
    bool expects_continue;
    uint8_t field; /* whose value comes next */
    uint32_t seen; /* bit per field */
    size_t head_size;
    size_t content_length;
    size_t extension_size;
    size_t chunked_size; /* of the body with its framing */
    llhttp_t llhttp;
    struct kw_buffer body_buffer;
    uint8_t head[KW_MESSAGE_HEAD_MAX + 4];
};

void kw_message_init(struct kw_message *message);
/* Wipes what the last request left, keeps the memory. */
void kw_message_reset(struct kw_message *message);
void kw_message_deinit(struct kw_message *message);

/*
 * Looks at `input`, which begins where the last call stopped taking. `message` is freshly reset when the parser's stage
 * is KW_STAGE_HEAD, else the one of the call before; it holds copies, so the input may go. After KW_PARSE_REQUEST the
 * parser is ready for the next one; after KW_PARSE_REFUSED it is done for. Bytes of an unfinished section are not
 * taken: hand them in again with more behind them.
 */
KW_MUST_USE enum kw_parse kw_message_feed(struct kw_message_parser *parser, struct kw_message *message,
                                          struct kw_bytes input, size_t *taken_out);

/* A Host value: a name or address without user, with or without port. For kw_message_feed and its tests. */
KW_MUST_USE bool kw_host_valid(struct kw_bytes host);

#endif
