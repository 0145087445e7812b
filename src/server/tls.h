/*
 * TLS over memory: bytes of the wire in, plain text out, and the other way round. OpenSSL is behind it; sockets are
 * not its matter.
 */
#ifndef KW_SERVER_TLS_H
#define KW_SERVER_TLS_H

#include "base/error.h"
#include "base/memory.h"

struct kw_tls_context; /* certificate and settings, shared by all loops */
struct kw_tls;         /* one connection's */

/* Reads the PEM files. The error names the file and what is wrong with it. */
KW_MUST_USE enum kw_status kw_tls_context_new(const char *cert_path, const char *key_path,
                                              struct kw_tls_context **context_out, struct kw_error *error_out);
void kw_tls_context_free(struct kw_tls_context *context);

/* NULL when there is no memory. */
KW_MUST_USE struct kw_tls *kw_tls_new(const struct kw_tls_context *context);
void kw_tls_free(struct kw_tls *tls);

/* Takes all of `wire`; false when there is no memory. */
KW_MUST_USE bool kw_tls_receive(struct kw_tls *tls, struct kw_bytes wire);

enum kw_tls_outcome {
    KW_TLS_DATA,   /* `size_out` bytes of plain text */
    KW_TLS_MORE,   /* more of the wire is needed */
    KW_TLS_CLOSED, /* the client has said that nothing follows */
    KW_TLS_FAILED, /* kw_tls_reason says why; what is left on the wire may still be sent */
};
/* Does the handshake where it has to. */
KW_MUST_USE enum kw_tls_outcome kw_tls_read(struct kw_tls *tls, uint8_t *out, size_t size, size_t *size_out);

/* Encrypts; false on a failure. */
KW_MUST_USE bool kw_tls_write(struct kw_tls *tls, struct kw_bytes text);
void kw_tls_shutdown(struct kw_tls *tls);

/* What must be sent. Stays in place until the next call of another function with this `tls`. */
struct kw_bytes kw_tls_wire(const struct kw_tls *tls);
void kw_tls_wire_sent(struct kw_tls *tls, size_t size);

/* Why it failed, for the log. Never NULL. */
const char *kw_tls_reason(const struct kw_tls *tls);

#endif
