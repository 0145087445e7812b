#include "notify/outgoing_mail.h"

#include "base/bytes.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDLES_KEPT 64
#define CONNECTIONS_KEPT 256

struct kw_outgoing {
    struct kw_outgoing_options options;
    CURLM *multi;
    CURL *handles[HANDLES_KEPT]; /* to be used again */
    size_t handle_count;
    struct curl_slist *resolved;
    struct kw_outgoing_request *under_way;
};

enum kw_status kw_outgoing_new(const struct kw_outgoing_options *options, struct kw_outgoing **outgoing_out)
{
    struct kw_outgoing *outgoing = kw_alloc(1, sizeof *outgoing);
    if (outgoing == NULL) {
        return KW_E_MEMORY;
    }
    outgoing->options = *options;
    bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    outgoing->multi = ready ? curl_multi_init() : NULL;
    if (outgoing->multi == NULL) {
        kw_free(outgoing);
        return KW_E_SYSTEM;
    }
    (void)curl_multi_setopt(outgoing->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    for (size_t i = 0; options->resolved != NULL && options->resolved[i] != NULL; i++) {
        outgoing->resolved = curl_slist_append(outgoing->resolved, options->resolved[i]);
    }
    *outgoing_out = outgoing;
    return KW_OK;
}

/* --- the guard --- */

static bool address_of(const struct curl_sockaddr *from, struct kw_address *address_out)
{
    if (from->family == AF_INET && from->addrlen >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, &from->addr, sizeof ipv4);
        *address_out = (struct kw_address){.bytes = {[10] = 0xff, [11] = 0xff}};
        memcpy(address_out->bytes + 12, &ipv4.sin_addr, 4);
        return true;
    }
    if (from->family == AF_INET6 && from->addrlen >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, &from->addr, sizeof ipv6);
        memcpy(address_out->bytes, &ipv6.sin6_addr, sizeof address_out->bytes);
        return true;
    }
    return false;
}

/* Called for each address that a connection is to be made to, whatever led there. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct kw_outgoing_request *request = context;
    struct kw_address address;
    (void)purpose;
    if (!address_of(to, &address)) {
        request->refused = "an address of no kind that is known here";
        return CURL_SOCKET_BAD;
    }
    const char *refused = kw_guard_refuses(request->owner->options.guard, &address);
    if (refused != NULL && request->mail != NULL) {
        refused = kw_guard_refuses(&request->mail->relay->guard, &address);
    }
    request->refused = refused != NULL ? refused : request->refused;
    if (refused != NULL || request->is_look) {
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* --- answers --- */

/* Less than what came ends the transfer. */
static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    struct kw_outgoing_request *request = context;
    size_t bytes = size * count;
    size_t room = sizeof request->answer - request->answer_size;
    size_t kept = bytes < room ? bytes : room;
    memcpy(request->answer + request->answer_size, data, kept);
    request->answer_size += kept;
    request->answer_total += bytes;
    return request->answer_total <= KW_OUTGOING_ANSWER_MAX ? bytes : 0;
}

/* Of the last answer: a redirect's headers are of no interest. */
static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct kw_outgoing_request *request = context;
    static const char name[] = "retry-after:";
    struct kw_bytes line = kw_bytes_of(data, size * count);
    struct kw_bytes wanted = KW_BYTES(name);
    if (request->mail != NULL) {
        return line.size;
    }
    if (kw_bytes_starts_with(line, KW_BYTES("HTTP/"))) {
        request->retry_after[0] = '\0';
        request->answer_size = 0;
        return line.size;
    }
    if (line.size < wanted.size || !kw_bytes_equal_ignoring_case(kw_bytes_of(line.data, wanted.size), wanted)) {
        return line.size;
    }
    struct kw_bytes value = kw_bytes_skip(line, wanted.size);
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value = kw_bytes_skip(value, 1);
    }
    while (value.size > 0 && value.data[value.size - 1] <= ' ') {
        value.size--;
    }
    if (value.size > 0 && value.size < sizeof request->retry_after) {
        memcpy(request->retry_after, value.data, value.size);
        request->retry_after[value.size] = '\0';
    }
    return line.size;
}

/* --- requests --- */

static void set_bounds(CURL *easy, struct kw_outgoing_request *request)
{
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           request->timeout_ms < KW_OUTGOING_CONNECT_MS ? (long)request->timeout_ms
                                                                        : (long)KW_OUTGOING_CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    if (request->owner->resolved != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_RESOLVE, request->owner->resolved);
    }
}

static void set_http(CURL *easy, const struct kw_outgoing_request *request)
{
    bool is_https = kw_bytes_starts_with(kw_bytes_of_text(request->url), KW_BYTES("https"));
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    /* What began under TLS stays there. */
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)KW_OUTGOING_REDIRECTS_MAX);
    (void)curl_easy_setopt(easy, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
}

static bool set_request(CURL *easy, struct kw_outgoing_request *request)
{
    const struct kw_outgoing *outgoing = request->owner;
    set_bounds(easy, request);
    if (request->mail != NULL) {
        return kw__outgoing_set_mail(easy, request);
    }
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    /* No pause for an answer to "Expect". */
    struct curl_slist *longer = list == NULL ? NULL : curl_slist_append(list, "Expect:");
    for (size_t i = 0; longer != NULL && i < KW_OUTGOING_HEADERS_MAX && request->headers[i] != NULL; i++) {
        longer = curl_slist_append(list, request->headers[i]);
    }
    request->header_list = list;
    set_http(easy, request);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, outgoing->options.user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.size == 0 ? "" : (const char *)request->body.data);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    return longer != NULL && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
}

/* Keeps the handle for another request, or lets go of it. */
static void put_away(struct kw_outgoing *outgoing, struct kw_outgoing_request *request)
{
    CURL *easy = request->easy;
    if (outgoing->handle_count < HANDLES_KEPT) {
        curl_easy_reset(easy);
        outgoing->handles[outgoing->handle_count++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
    curl_slist_free_all(request->header_list);
    request->easy = request->header_list = NULL;
}

enum kw_status kw_outgoing_send(struct kw_outgoing *outgoing, struct kw_outgoing_request *request)
{
    CURL *easy = outgoing->handle_count > 0 ? outgoing->handles[--outgoing->handle_count] : curl_easy_init();
    if (easy == NULL) {
        return KW_E_MEMORY;
    }
    request->owner = outgoing;
    request->easy = easy;
    request->http_status = 0;
    request->error[0] = request->retry_after[0] = '\0';
    request->refused = NULL;
    request->answer_size = request->answer_total = request->sent = 0;
    if (!set_request(easy, request) || curl_multi_add_handle(outgoing->multi, easy) != CURLM_OK) {
        put_away(outgoing, request);
        return KW_E_MEMORY;
    }
    request->next = outgoing->under_way;
    outgoing->under_way = request;
    return KW_OK;
}

static void take_out(struct kw_outgoing *outgoing, struct kw_outgoing_request *request)
{
    struct kw_outgoing_request **place = &outgoing->under_way;
    while (*place != request) {
        place = &(*place)->next;
    }
    *place = request->next;
}

static void finish(struct kw_outgoing *outgoing, struct kw_outgoing_request *request, CURLcode result)
{
    long status = 0;
    curl_off_t duration_us = 0;
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &duration_us);
    bool is_cut = result == CURLE_WRITE_ERROR && request->answer_total > KW_OUTGOING_ANSWER_MAX;
    request->duration_ms = (uint32_t)(duration_us / 1000);
    request->http_status = result == CURLE_OK || is_cut ? (uint16_t)status : 0;
    if (request->mail != NULL && result != CURLE_OK) {
        request->http_status = status >= 400 && status < 600 ? (uint16_t)status : 0; /* what the relay said */
    }
    if (request->http_status == 0 && request->refused != NULL) {
        snprintf(request->error, sizeof request->error, "refused to connect to %s", request->refused);
    } else if (request->http_status == 0) {
        snprintf(request->error, sizeof request->error, "%s", curl_easy_strerror(result));
    }
    (void)curl_multi_remove_handle(outgoing->multi, request->easy);
    put_away(outgoing, request);
    take_out(outgoing, request);
    request->done(request);
}

void kw_outgoing_run(struct kw_outgoing *outgoing, int wait_ms)
{
    int running = 0;
    int left = 0;
    CURLMsg *message;
    (void)curl_multi_poll(outgoing->multi, NULL, 0, wait_ms, NULL);
    (void)curl_multi_perform(outgoing->multi, &running);
    while ((message = curl_multi_info_read(outgoing->multi, &left)) != NULL) {
        struct kw_outgoing_request *request = NULL;
        if (message->msg == CURLMSG_DONE) {
            CURLcode result = message->data.result;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
            finish(outgoing, request, result);
        }
    }
}

void kw_outgoing_wake(struct kw_outgoing *outgoing)
{
    (void)curl_multi_wakeup(outgoing->multi);
}

void kw_outgoing_free(struct kw_outgoing *outgoing)
{
    if (outgoing == NULL) {
        return;
    }
    while (outgoing->under_way != NULL) {
        finish(outgoing, outgoing->under_way, CURLE_ABORTED_BY_CALLBACK);
    }
    for (size_t i = 0; i < outgoing->handle_count; i++) {
        curl_easy_cleanup(outgoing->handles[i]);
    }
    curl_slist_free_all(outgoing->resolved);
    (void)curl_multi_cleanup(outgoing->multi);
    kw_free(outgoing);
}
