#include "server/tls.h"

#include "base/bytes.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>

/* Forward secrecy and authenticated encryption only; TLS 1.3 brings no others. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct kw_tls_context {
    SSL_CTX *ssl;
};

struct kw_tls {
    SSL *ssl;
    BIO *in, *out; /* the connection's, freed with it */
    size_t wire_at;
    char reason[160];
};

/* The oldest error in OpenSSL's queue; the queue is empty afterwards. */
static const char *take_reason(char *out, size_t size)
{
    unsigned long code = ERR_peek_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(out, size, "%s", text == NULL ? "no reason is known" : text);
    ERR_clear_error();
    return out;
}

/* There is nobody to ask for a passphrase. */
static int no_passphrase(char *out, int size, int is_for_writing, void *context)
{
    (void)out;
    (void)size;
    (void)is_for_writing;
    *(bool *)context = true;
    return -1;
}

static enum kw_status fail_file(const char *option, const char *path, const char *what, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", option, "%s: %s", path, what);
}

static enum kw_status check_readable(const char *option, const char *path, struct kw_error *error_out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail_file(option, path, strerror(errno), error_out);
    }
    int first = fgetc(file);
    bool failed = ferror(file) != 0;
    int why = errno;
    (void)fclose(file);
    if (failed) {
        return fail_file(option, path, strerror(why), error_out);
    }
    return first == EOF ? fail_file(option, path, "the file is empty", error_out) : KW_OK;
}

static enum kw_status load_cert(SSL_CTX *ssl, const char *path, struct kw_error *error_out)
{
    char reason[160];
    enum kw_status status = check_readable("--tls-cert", path, error_out);
    if (status != KW_OK || SSL_CTX_use_certificate_chain_file(ssl, path) == 1) {
        return status;
    }
    bool is_pem = ERR_GET_REASON(ERR_peek_error()) != PEM_R_NO_START_LINE;
    take_reason(reason, sizeof reason);
    status =
        fail_file("--tls-cert", path,
                  is_pem ? "its certificates cannot be used" : "holds no PEM certificate (-----BEGIN CERTIFICATE-----)",
                  error_out);
    kw_error_detail(error_out, "%s", reason);
    return status;
}

static enum kw_status load_key(SSL_CTX *ssl, const char *path, const char *cert_path, struct kw_error *error_out)
{
    char reason[160];
    bool is_encrypted = false;
    enum kw_status status = check_readable("--tls-key", path, error_out);
    if (status != KW_OK) {
        return status;
    }
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_bio_PrivateKey(file, NULL, no_passphrase, &is_encrypted);
    BIO_free(file);
    bool is_used = key != NULL && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    bool is_key = key != NULL;
    EVP_PKEY_free(key);
    if (is_used) {
        return KW_OK;
    }
    take_reason(reason, sizeof reason);
    if (is_encrypted) {
        status = fail_file("--tls-key", path, "is encrypted with a passphrase: give it without one", error_out);
    } else if (!is_key) {
        status = fail_file("--tls-key", path, "holds no PEM private key (-----BEGIN PRIVATE KEY-----)", error_out);
    } else {
        status = kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", "--tls-key",
                         "%s: is not the key of the certificate in %s", path, cert_path);
    }
    kw_error_detail(error_out, "%s", reason);
    return status;
}

/* HTTP/1.1 is what is spoken here; a client that wants only another protocol is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
                           unsigned int offered_size, void *context)
{
    (void)ssl;
    (void)context;
    struct kw_bytes rest = kw_bytes_of(offered, offered_size);
    while (rest.size > 1 && rest.data[0] < rest.size) {
        struct kw_bytes name = kw_bytes_of(rest.data + 1, rest.data[0]);
        if (kw_bytes_equal(name, KW_BYTES("http/1.1"))) {
            *out = name.data;
            *out_size = (unsigned char)name.size;
            return SSL_TLSEXT_ERR_OK;
        }
        rest = kw_bytes_skip(rest, 1 + name.size);
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool configure(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ssl, TLS12_CIPHERS) == 1;
}

enum kw_status kw_tls_context_new(const char *cert_path, const char *key_path, struct kw_tls_context **context_out,
                                  struct kw_error *error_out)
{
    if (cert_path == NULL || key_path == NULL) {
        return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", cert_path == NULL ? "--tls-cert" : "--tls-key",
                       "is missing: TLS takes both --tls-cert and --tls-key");
    }
    ERR_clear_error();
    struct kw_tls_context *context = kw_alloc(1, sizeof *context);
    SSL_CTX *ssl = context == NULL ? NULL : SSL_CTX_new(TLS_server_method());
    if (ssl == NULL || !configure(ssl)) {
        SSL_CTX_free(ssl);
        kw_free(context);
        return kw_fail(error_out, KW_E_SYSTEM, "INTERNAL", NULL, "OpenSSL cannot be set up for TLS");
    }
    context->ssl = ssl;
    enum kw_status status = load_cert(ssl, cert_path, error_out);
    status = status != KW_OK ? status : load_key(ssl, key_path, cert_path, error_out);
    if (status != KW_OK) {
        kw_tls_context_free(context);
        return status;
    }
    *context_out = context;
    return KW_OK;
}

void kw_tls_context_free(struct kw_tls_context *context)
{
    if (context == NULL) {
        return;
    }
    SSL_CTX_free(context->ssl);
    kw_free(context);
}

struct kw_tls *kw_tls_new(const struct kw_tls_context *context)
{
    struct kw_tls *tls = kw_alloc(1, sizeof *tls);
    if (tls == NULL) {
        return NULL;
    }
    tls->ssl = SSL_new(context->ssl);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        kw_free(tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void kw_tls_free(struct kw_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_free(tls->ssl);
    kw_free(tls);
}

bool kw_tls_receive(struct kw_tls *tls, struct kw_bytes wire)
{
    return BIO_write(tls->in, wire.data, (int)wire.size) == (int)wire.size;
}

enum kw_tls_outcome kw_tls_read(struct kw_tls *tls, uint8_t *out, size_t size, size_t *size_out)
{
    ERR_clear_error();
    if (SSL_read_ex(tls->ssl, out, size, size_out) == 1) {
        return KW_TLS_DATA;
    }
    switch (SSL_get_error(tls->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return KW_TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return KW_TLS_CLOSED;
    default:
        take_reason(tls->reason, sizeof tls->reason);
        return KW_TLS_FAILED;
    }
}

bool kw_tls_write(struct kw_tls *tls, struct kw_bytes text)
{
    size_t written;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, text.data, text.size, &written) == 1) {
        return true;
    }
    take_reason(tls->reason, sizeof tls->reason);
    return false;
}

void kw_tls_shutdown(struct kw_tls *tls)
{
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

struct kw_bytes kw_tls_wire(const struct kw_tls *tls)
{
    char *data = NULL;
    long size = BIO_get_mem_data(tls->out, &data);
    return size <= 0 ? (struct kw_bytes){NULL, 0} : kw_bytes_skip(kw_bytes_of(data, (size_t)size), tls->wire_at);
}

void kw_tls_wire_sent(struct kw_tls *tls, size_t size)
{
    tls->wire_at += size;
    if (tls->wire_at > 0 && kw_tls_wire(tls).size == 0) {
        (void)BIO_reset(tls->out);
        tls->wire_at = 0;
    }
}

const char *kw_tls_reason(const struct kw_tls *tls)
{
    return tls->reason;
}
