#include "cli/patience.h"
#include "cli/target.h"
#include "core/transition.h"

#include <curl/curl.h>
#include <stdio.h>

#define HEADER_SIZE 512

struct http_target {
    struct kw_target target;
    CURL *curl;
    char *url;
    struct kw_secret key;
    struct kw_patience patience;
    char failure[CURL_ERROR_SIZE];
};

static const char *const method_names[] = {
    [KW_GET] = "GET",
    [KW_POST] = "POST",
    [KW_PATCH] = "PATCH",
    [KW_DELETE] = "DELETE",
};

/* --- headers --- */

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *header = headers; header != NULL; header = header->next) {
        kw_wipe(header->data, strlen(header->data));
    }
    curl_slist_free_all(headers);
}

/* Adds "name: value"; false when it does not fit or there is no memory. */
static bool add_header(struct curl_slist **headers, const char *name, struct kw_bytes value)
{
    char line[HEADER_SIZE];
    int size = snprintf(line, sizeof line, "%s: %.*s", name, (int)value.size, (const char *)value.data);
    struct curl_slist *longer = NULL;
    if (size > 0 && (size_t)size < sizeof line) {
        longer = curl_slist_append(*headers, line);
    }
    kw_wipe(line, sizeof line);
    *headers = longer != NULL ? longer : *headers;
    return longer != NULL;
}

static bool add_authorization(struct curl_slist **headers, const struct kw_secret *key)
{
    char value[KW_SECRET_MAX + sizeof "Bearer "];
    struct kw_bytes bytes = kw_secret_expose(key);
    int size = snprintf(value, sizeof value, "Bearer %.*s", (int)bytes.size, (const char *)bytes.data);
    bool added = add_header(headers, "Authorization", kw_bytes_of(value, (size_t)size));
    kw_wipe(value, sizeof value);
    return added;
}

static struct curl_slist *make_headers(const struct http_target *self, const struct kw_request *request)
{
    struct curl_slist *headers = NULL;
    struct kw_bytes accepted = request->follows ? KW_BYTES("text/event-stream") : KW_BYTES("application/json");
    bool complete = add_authorization(&headers, &self->key) && add_header(&headers, "Accept", accepted);
    if (request->last_event != NULL) {
        complete = complete && add_header(&headers, "Last-Event-ID", kw_bytes_of_text(request->last_event));
    }
    if (request->project != NULL) {
        complete = complete && add_header(&headers, "Keyward-Project", kw_bytes_of_text(request->project));
    }
    if (request->if_version != NULL) {
        complete = complete && add_header(&headers, "If-Match", kw_bytes_of_text(request->if_version));
    }
    if (request->once != NULL) {
        complete = complete && add_header(&headers, "Idempotency-Key", kw_bytes_of_text(request->once));
    }
    if (request->body.size > 0) {
        complete = complete && add_header(&headers, "Content-Type", KW_BYTES("application/json"));
    }
    if (!complete) {
        free_headers(headers);
        return NULL;
    }
    return headers;
}

/* --- one call --- */

/* An answer on its way. */
struct reception {
    CURL *curl;
    bool head_is_whole; /* libcurl takes a head that was cut off for an answer without a body */
    const struct kw_request *request;
    struct kw_buffer *body;
    enum kw_status status; /* why it was not taken on */
    struct kw_error error;
};

/* Something else may listen there: only JSON is Keyward's, and streams of it. */
static bool is_json(CURL *curl)
{
    static const char *const types[] = {"application/json", "application/problem+json", "application/x-ndjson",
                                        "text/event-stream"};
    const char *type = NULL;
    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    for (size_t i = 0; i < KW_COUNT_OF(types); i++) {
        if (kw_bytes_starts_with(kw_bytes_of_text(type), kw_bytes_of_text(types[i]))) {
            return true;
        }
    }
    return false;
}

static size_t take_piece(char *piece, size_t one, size_t size, void *context)
{
    struct reception *reception = context;
    const struct kw_request *request = reception->request;
    struct kw_bytes bytes = kw_bytes_of(piece, size);
    long status = 0;
    (void)curl_easy_getinfo(reception->curl, CURLINFO_RESPONSE_CODE, &status);
    if (request->take != NULL && status == 200 && is_json(reception->curl)) {
        reception->status = request->take(request->take_context, bytes, &reception->error);
        return reception->status == KW_OK ? one * size : 0;
    }
    kw_buffer_add(reception->body, bytes);
    return kw_buffer_status(reception->body) == KW_OK ? one * size : 0;
}

static size_t take_head_line(char *line, size_t one, size_t size, void *context)
{
    struct reception *reception = context;
    reception->head_is_whole = size == 2 && line[0] == '\r' && line[1] == '\n';
    return one * size;
}

static CURLcode perform(struct http_target *self, const struct kw_request *request, const char *url,
                        struct curl_slist *headers, struct reception *reception)
{
    CURL *curl = self->curl;
    self->failure[0] = '\0';
    kw_patience_begin(&self->patience, curl, request->take != NULL);
    if (request->follows) {
        kw_patience_follow(&self->patience, request->signals);
    }
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, reception);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, reception);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (request->body.size > 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.data);
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method_names[request->method]);
    CURLcode code = curl_easy_perform(curl);
    return code == CURLE_OK && !reception->head_is_whole ? CURLE_RECV_ERROR : code;
}

/* What to do where a change was sent, and no answer came. */
static const char *advice_on(const struct kw_request *request)
{
    return request->once != NULL         ? "the same call with the same --idempotency-key is safe: it is done once"
           : request->if_unknown != NULL ? request->if_unknown
                                         : "look before trying again";
}

static bool was_sent(const struct http_target *self)
{
    long size = 0;
    (void)curl_easy_getinfo(self->curl, CURLINFO_REQUEST_SIZE, &size);
    return size > 0;
}

static enum kw_status explain_silence(const struct http_target *self, const struct kw_request *request,
                                      const char *silence, struct kw_error *error_out)
{
    if (!was_sent(self)) {
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL, "%s %s: nothing was sent; try again",
                       self->url, silence);
    }
    if (request->method == KW_GET || request->changes_nothing) {
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL, "%s %s: try again", self->url, silence);
    }
    return kw_refuse(error_out, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                     "%s %s: the change may have happened, or happen yet; %s", self->url, silence, advice_on(request));
}

static enum kw_status explain(const struct http_target *self, const struct kw_request *request, CURLcode code,
                              struct kw_error *error_out)
{
    char memory[64];
    const char *silence = kw_patience_end(&self->patience, code, memory, sizeof memory);
    const char *reason = self->failure[0] != '\0' ? self->failure : curl_easy_strerror(code);
    if (silence != NULL) {
        return explain_silence(self, request, silence, error_out);
    }
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL,
                       "no server answers at %s (%s): start one with 'keyward serve', or give another --url", self->url,
                       reason);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return kw_fail(error_out, KW_E_DENIED, KW_CLI_FAILED, NULL,
                       "the certificate of %s is not trusted (%s): --cacert FILE names one that is", self->url, reason);
    case CURLE_SSL_CONNECT_ERROR:
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL,
                       "no TLS with %s (%s): does its address begin with http:// rather than https://?", self->url,
                       reason);
    case CURLE_WRITE_ERROR:
        return kw_fail(error_out, KW_E_LIMIT, KW_CLI_FAILED, NULL, "the answer of %s is too large", self->url);
    default:
        break;
    }
    if (request->take != NULL && (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)) {
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL,
                       "the answer of %s broke off, and what came of it is not whole (%s): try again", self->url,
                       reason);
    }
    if (request->method == KW_GET || request->changes_nothing) {
        return kw_fail(error_out, KW_E_UNAVAILABLE, KW_CLI_FAILED, NULL, "no answer from %s: %s", self->url, reason);
    }
    return kw_refuse(error_out, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                     "no answer from %s (%s): the change may or may not have happened; %s", self->url, reason,
                     advice_on(request));
}

static enum kw_status http_send(struct kw_target *target, const struct kw_request *request,
                                struct kw_answer *answer_out, struct kw_error *error_out)
{
    struct http_target *self = (struct http_target *)target;
    struct kw_buffer url;
    kw_buffer_init(&url, 65536);
    kw_buffer_add_text(&url, self->url);
    kw_buffer_add_text(&url, request->path);
    kw_buffer_add_text(&url, request->query.size > 0 ? "?" : "");
    kw_buffer_add(&url, request->query);
    kw_buffer_add_byte(&url, '\0');
    struct curl_slist *headers = make_headers(self, request);
    if (headers == NULL || kw_buffer_status(&url) != KW_OK) {
        free_headers(headers);
        kw_buffer_deinit(&url);
        return kw_fail(error_out, KW_E_LIMIT, KW_CLI_FAILED, NULL, "the request is too long");
    }
    struct reception reception = {.curl = self->curl, .request = request, .body = &answer_out->body};
    CURLcode code = perform(self, request, (const char *)url.data, headers, &reception);
    free_headers(headers);
    kw_buffer_deinit(&url);
    if (reception.status != KW_OK) {
        *error_out = reception.error;
        return reception.status;
    }
    if (code != CURLE_OK) {
        return explain(self, request, code, error_out);
    }
    long status = 0;
    (void)curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer_out->body.size > 0 && !is_json(self->curl)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "what answers at %s is not Keyward (HTTP %ld, not JSON): give another --url", self->url, status);
    }
    answer_out->status = (uint16_t)status;
    return KW_OK;
}

static void http_close(struct kw_target *target)
{
    struct http_target *self = (struct http_target *)target;
    curl_easy_cleanup(self->curl);
    curl_global_cleanup();
    kw_secret_wipe(&self->key);
    kw_free(self->url);
    kw_free(self);
}

static const struct kw_target_ops http_ops = {KW_TARGET_VERSION, "http", http_send, http_close};

/* --- opening --- */

/* True for an address that only this machine can mean: no proxy has business there. */
static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

/* Takes the address apart as libcurl will. */
static enum kw_status check_url(const char *url, bool *loopback_out, struct kw_error *error_out)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *query = NULL, *fragment = NULL, *user = NULL;
    bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    good = good && curl_url_get(parts, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
           curl_url_get(parts, CURLUPART_FRAGMENT, &fragment, 0) != CURLUE_OK &&
           curl_url_get(parts, CURLUPART_USER, &user, 0) != CURLUE_OK;
    bool loopback = good && is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_free(query);
    curl_free(fragment);
    curl_free(user);
    curl_url_cleanup(parts);
    if (!good) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "the server's address must be http:// or https://, a host and a port, such as %s",
                       KW_CLI_DEFAULT_URL);
    }
    *loopback_out = loopback;
    return KW_OK;
}

/* It goes into a line of the request's head: a line break in it would begin another one. */
static enum kw_status check_key(const struct kw_secret *key, struct kw_error *error_out)
{
    struct kw_bytes bytes = kw_secret_expose(key);
    if (kw_bytes_has_control(bytes) || !kw_utf8_valid(bytes)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "the management key is not one line of text");
    }
    return KW_OK;
}

static char *copy_without_slash(const char *url)
{
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/') {
        size--;
    }
    char *copy = kw_alloc(size + 1, 1);
    if (copy != NULL) {
        memcpy(copy, url, size);
    }
    return copy;
}

static void set_up(struct http_target *self, const struct kw_http_options *options, bool loopback)
{
    CURL *curl = self->curl;
    kw_patience_set_up(curl, options->ca_file, loopback);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, self->failure);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_piece);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head_line);
    self->patience = (struct kw_patience){.url = self->url,
                                          .ca_file = options->ca_file,
                                          .is_loopback = loopback,
                                          .timeout_ms = options->timeout_ms,
                                          .notices = options->notices};
}

static void name_place(struct http_target *self)
{
    struct kw_bytes key = kw_secret_expose(&self->key);
    struct kw_bytes last = kw_bytes_skip(key, key.size < 4 ? key.size : key.size - 4);
    snprintf(self->target.place, sizeof self->target.place, "%s …%.*s", self->url, (int)last.size,
             (const char *)last.data);
}

enum kw_status kw_target_http_open(const struct kw_http_options *options, struct kw_target **target_out,
                                   struct kw_error *error_out)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "libcurl cannot be set up");
    }
    bool loopback = false;
    enum kw_status status = check_url(options->url, &loopback, error_out);
    status = status != KW_OK ? status : check_key(options->key, error_out);
    if (status != KW_OK) {
        curl_global_cleanup();
        return status;
    }
    struct http_target *self = kw_alloc(1, sizeof *self);
    if (self == NULL) {
        curl_global_cleanup();
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    self->target.ops = &http_ops;
    self->key = *options->key;
    self->url = copy_without_slash(options->url);
    self->curl = curl_easy_init();
    if (self->url == NULL || self->curl == NULL) {
        http_close(&self->target);
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    set_up(self, options, loopback);
    name_place(self);
    *target_out = &self->target;
    return KW_OK;
}
