/*
 * One call of the interface, wherever it came from: a socket (transport) or the command line on a data folder.
 * The transport fills the request, hands the call to kw_api_handle (api.h), and is handed it back with the answer. It
 * knows nothing of keys; the routes know nothing of sockets.
 */
#ifndef KW_SERVER_CALL_H
#define KW_SERVER_CALL_H

#include "base/memory.h"
#include "server/forwarded.h"
#include <keyward/codes.h>

#define KW_PROBLEM_TYPE_START "urn:keyward:problem:" /* of a problem's `type`; its code follows */
#define KW_PROBLEM_TYPE_SIZE 96

#define KW_CALL_BODY_MAX (1024 * 1024)        /* of a request */
#define KW_CALL_ANSWER_MAX (16 * 1024 * 1024) /* of an answer */
#define KW_CALL_ARENA_MAX (8 * 1024 * 1024)
#define KW_CALL_REQUEST_ID_MAX 64

enum kw_method { KW_GET, KW_HEAD, KW_POST, KW_PUT, KW_PATCH, KW_DELETE, KW_OPTIONS, KW_OTHER_METHOD };

/* Request headers that somebody here reads; the transport drops all others. Twice the same one is refused with 400. */
enum kw_header {
    KW_HEADER_AUTHORIZATION,
    KW_HEADER_X_API_KEY,
    KW_HEADER_KEYWARD_PROJECT,
    KW_HEADER_CONTENT_TYPE,
    KW_HEADER_IF_MATCH,
    KW_HEADER_IDEMPOTENCY_KEY,
    KW_HEADER_REQUEST_ID, /* X-Request-Id: kept when it is 1 to 64 of [A-Za-z0-9._-], else replaced */
    KW_HEADER_USER_AGENT,
    KW_HEADER_KEYWARD_CONTEXT, /* what the caller says for the audit log: JSON */
    KW_HEADER_COUNT,
};

#define KW_CALL_ANSWER_HEADERS_MAX 24

struct kw_answer_header {
    const char *name;      /* static */
    struct kw_bytes value; /* visible ASCII and spaces only (asserted); in the call's arena or static */
};

/*
 * An answer whose body comes in pieces, so that neither side ever holds all of it. With KW_STREAM_MORE `done` hands out
 * the head and the first piece, in `answer`. When the client has taken that, `go_on` is called: it never blocks, and
 * ends in `done` again, with the next piece (which may be empty), the last one (KW_STREAM_END), or none
 * (KW_STREAM_CUT): then the connection is cut, so that nobody takes what arrived for the whole. Where the client is
 * gone, or wants no body, `go_on` is called with `is_left`, once and as the last: its `done` says that nothing is under
 * way any more.
 */
enum kw_stream { KW_STREAM_NONE, KW_STREAM_MORE, KW_STREAM_END, KW_STREAM_CUT };

struct kw_call {
    /* The request, borrowed until `done`; of a stream until the last one. */
    enum kw_method method;
    struct kw_bytes path;  /* as sent, up to '?'; begins with '/'; visible ASCII */
    struct kw_bytes query; /* what follows '?' */
    struct kw_bytes headers[KW_HEADER_COUNT];
    struct kw_bytes head; /* all of it as sent, request line and headers; empty where there was none */
    struct kw_bytes body;
    struct kw_bytes peer;                  /* the address at the other end as text; empty for the command line */
    const struct kw_address *peer_address; /* the same; NULL for the command line */
    const struct kw_forwarded *forwarded;  /* what X-Forwarded-For says; NULL: nothing */
    bool is_operator;                      /* the command line on its own data folder: may do anything, needs no key */
    int64_t now_ms;                        /* one clock read a loop iteration */

    /* For the routes: everything here dies with the call. */
    struct kw_arena arena;
    char request_id[KW_CALL_REQUEST_ID_MAX + 1];
    void *route_state; /* a route's own, across an operation */

    /* The answer. */
    uint16_t status;
    const char *content_type; /* static; NULL with an empty body */
    struct kw_buffer answer;  /* the body, or a piece of it; wiped when `answer.secret` */
    enum kw_stream stream;
    void (*go_on)(struct kw_call *call); /* where the body comes in pieces */
    bool is_left;                        /* the transport's: nobody waits for the rest */
    /*
     * The transport's, from any thread until `done`; NULL where nobody can say. The client has closed its side, so that
     * a search may end early. What is answered must be right all the same: some close it and read on.
     */
    bool (*is_gone)(const struct kw_call *call);
    struct kw_answer_header answer_headers[KW_CALL_ANSWER_HEADERS_MAX];
    size_t answer_header_count;
    enum kw_code code; /* for the log and metrics: the verdict or error; KW_CODE_NONE where all is well */
    const char *route; /* for the log and metrics: "POST /v1/keys/{id}/revoke"; NULL where none matched */

    /* Called by whoever handled the call, possibly from inside kw_api_handle, possibly from another thread: once, and
     * of a stream once more for each `go_on`. */
    void (*done)(struct kw_call *call);
    void *context; /* the transport's */
};

#endif
