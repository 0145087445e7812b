/*
 * The HTTP server: sockets, TLS and time around the interface (api.h). Never policy. One loop thread a core, each
 * with a listening socket of its own on the same port; a connection lives and dies on one loop.
 */
#ifndef KW_SERVER_SERVER_H
#define KW_SERVER_SERVER_H

#include "server/api.h"

#define KW_SERVER_LOOPS_MAX 64

struct kw_server_options {
    struct kw_engine *engine; /* borrowed */
    const struct kw_log *log; /* borrowed; one line a request at level info */
    struct kw_notify *notify; /* borrowed; NULL: nothing is sent to webhooks */
    struct kw_origins origins;
    struct kw_clock clock;
    const char *listen;   /* "127.0.0.1:7411", "[::1]:7411"; port 0: a free one */
    const char *tls_cert; /* PEM file with the chain; NULL: plain HTTP */
    const char *tls_key;
    unsigned loop_count;     /* 0: one a core */
    unsigned connection_max; /* of all loops; 0: what the file limit allows, less a reserve */
    /* Milliseconds; 0: the default that stands here. */
    unsigned header_timeout_ms; /* 10,000: from a request's first byte (or the accept) to the end of its head, TLS
                                   handshake included */
    unsigned body_timeout_ms;   /* 30,000: from there to the end of its body */
    unsigned idle_timeout_ms;   /* 75,000: between requests */
    unsigned write_timeout_ms;  /* 30,000: an answer that the client does not take */
    unsigned drain_timeout_ms;  /* 10,000: after SIGTERM, until what is left is closed */
};

struct kw_server;

/*
 * Binds and listens. Fails with what to do: address in use, not permitted, unreadable or mismatched certificate and
 * key, a loop count or limit that cannot be had.
 */
KW_MUST_USE enum kw_status kw_server_open(const struct kw_server_options *options, struct kw_server **server_out,
                                          struct kw_error *error_out);
/* The port that it listens on. */
uint16_t kw_server_port(const struct kw_server *server);
/* Serves until SIGTERM or SIGINT (or kw_server_stop), drains, returns. Runs one loop on the calling thread. */
KW_MUST_USE enum kw_status kw_server_run(struct kw_server *server, struct kw_error *error_out);
/* Asks kw_server_run to drain and return. From any thread. */
void kw_server_stop(struct kw_server *server);
void kw_server_close(struct kw_server *server);

#endif
