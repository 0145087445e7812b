/* Outgoing HTTP against a server of this test's own: what the guard refuses is never connected to. */
#include "base/bytes.h"
#include "notify/outgoing.h"
#include "support/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers every request on 127.0.0.1 with `answer`, and counts connections. */
struct receiver {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *answer;
    int count;        /* atomic: of connections */
    int must_end;     /* atomic */
    size_t more_size; /* bytes that follow the answer */
};

static void answer_one(struct receiver *receiver, int fd)
{
    char request[4096];
    struct pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, 5000) == 1 && read(fd, request, sizeof request) > 0 && receiver->answer != NULL) {
        (void)!write(fd, receiver->answer, strlen(receiver->answer));
        for (size_t sent = 0; sent < receiver->more_size; sent += 1024) {
            memset(request, 'x', 1024);
            if (send(fd, request, 1024, MSG_NOSIGNAL) < 0) {
                break;
            }
        }
    }
    (void)close(fd);
}

static void *receive(void *context)
{
    struct receiver *receiver = context;
    while (!__atomic_load_n(&receiver->must_end, __ATOMIC_ACQUIRE)) {
        struct pollfd ready = {receiver->fd, POLLIN, 0};
        if (poll(&ready, 1, 20) == 1) {
            int fd = accept(receiver->fd, NULL, NULL);
            __atomic_fetch_add(&receiver->count, 1, __ATOMIC_RELEASE);
            answer_one(receiver, fd);
        }
    }
    return NULL;
}

static bool receiver_open(struct test *t, struct receiver *receiver, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    *receiver = (struct receiver){.fd = socket(AF_INET, SOCK_STREAM, 0), .answer = answer};
    bool good = bind(receiver->fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(receiver->fd, 8) == 0 &&
                getsockname(receiver->fd, (struct sockaddr *)&address, &size) == 0;
    receiver->port = ntohs(address.sin_port);
    good = good && pthread_create(&receiver->thread, NULL, receive, receiver) == 0;
    CHECK(t, good);
    return good;
}

static void receiver_close(struct receiver *receiver)
{
    __atomic_store_n(&receiver->must_end, 1, __ATOMIC_RELEASE);
    pthread_join(receiver->thread, NULL);
    (void)close(receiver->fd);
}

static void note_end(struct kw_outgoing_request *request)
{
    *(bool *)request->context = true;
}

/* One request to its end. */
static void ask(struct test *t, struct kw_outgoing *outgoing, struct kw_outgoing_request *request)
{
    bool has_ended = false;
    request->done = note_end;
    request->context = &has_ended;
    request->body = KW_BYTES("{}");
    request->timeout_ms = request->timeout_ms == 0 ? 5000 : request->timeout_ms;
    REQUIRE_OK(t, kw_outgoing_send(outgoing, request));
    for (int i = 0; i < 1000 && !has_ended; i++) {
        kw_outgoing_run(outgoing, 20);
    }
    CHECK(t, has_ended);
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

static struct kw_address_range loopback(void)
{
    struct kw_address_range range;
    const char *why;
    (void)!kw_address_range_parse(KW_BYTES("127.0.0.0/8"), &range, &why);
    return range;
}

static void an_open_address_is_sent_to(struct test *t)
{
    struct receiver receiver;
    struct kw_address_range range = loopback();
    struct kw_guard guard = {&range, 1};
    struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test"};
    struct kw_outgoing *outgoing = NULL;
    char url[64];
    REQUIRE(t, receiver_open(t, &receiver, OK_ANSWER));
    REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/x", receiver.port);
    struct kw_outgoing_request request = {.url = url};
    ask(t, outgoing, &request);
    CHECK_I64(t, request.http_status, 200);
    CHECK_BYTES(t, kw_bytes_of(request.answer, request.answer_size), KW_BYTES("hello"));
    CHECK_TEXT(t, request.error, "");
    kw_outgoing_free(outgoing);
    receiver_close(&receiver);
}

static void what_is_refused_is_never_connected_to(struct test *t)
{
    static const char *const forms[] = {"http://127.0.0.1:%u/",  "http://2130706433:%u/",      "http://0x7f000001:%u/",
                                        "http://0177.0.0.1:%u/", "http://127.1:%u/",           "http://localhost:%u/",
                                        "http://[::1]:%u/",      "http://[::ffff:7f00:1]:%u/", "http://0:%u/",
                                        "http://named.test:%u/"};
    struct receiver receiver;
    struct kw_guard guard = {NULL, 0};
    struct kw_outgoing *outgoing = NULL;
    char url[64], resolved[64];
    REQUIRE(t, receiver_open(t, &receiver, OK_ANSWER));
    snprintf(resolved, sizeof resolved, "named.test:%u:127.0.0.1", receiver.port);
    const char *const names[] = {resolved, NULL};
    struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test", .resolved = names};
    REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
    for (size_t i = 0; i < KW_COUNT_OF(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(url, sizeof url, forms[i], receiver.port);
#pragma GCC diagnostic pop
        struct kw_outgoing_request request = {.url = url};
        ask(t, outgoing, &request);
        CHECK_I64(t, request.http_status, 0);
        CHECK(t, request.error[0] != '\0');
    }
    CHECK_I64(t, __atomic_load_n(&receiver.count, __ATOMIC_ACQUIRE), 0);
    kw_outgoing_free(outgoing);
    receiver_close(&receiver);
}

/* Its first address is open, the next one it resolves to is not: a name is asked about whenever it is connected to. */
static void a_name_that_resolves_twice_is_asked_about_twice(struct test *t)
{
    struct receiver receiver;
    struct kw_address_range range = loopback();
    range.bits = 128; /* 127.0.0.2 alone */
    range.first.bytes[15] = 2;
    struct kw_guard guard = {&range, 1};
    char url[64], first[64], second[64];
    REQUIRE(t, receiver_open(t, &receiver, OK_ANSWER));
    snprintf(url, sizeof url, "http://named.test:%u/", receiver.port);
    snprintf(first, sizeof first, "named.test:%u:127.0.0.2", receiver.port);
    snprintf(second, sizeof second, "named.test:%u:127.0.0.1", receiver.port);
    const char *const resolved[] = {first, second};
    const char *refused[2];
    for (size_t i = 0; i < 2; i++) {
        const char *const names[] = {resolved[i], NULL};
        struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test", .resolved = names};
        struct kw_outgoing *outgoing = NULL;
        struct kw_outgoing_request request = {.url = url};
        REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
        ask(t, outgoing, &request);
        refused[i] = request.refused;
        kw_outgoing_free(outgoing);
    }
    CHECK(t, refused[0] == NULL);
    REQUIRE(t, refused[1] != NULL);
    CHECK_TEXT(t, refused[1], "a loopback address");
    CHECK_I64(t, __atomic_load_n(&receiver.count, __ATOMIC_ACQUIRE), 0); /* nobody listens on 127.0.0.2 */
    receiver_close(&receiver);
}

static void a_redirect_to_what_is_refused_ends_there(struct test *t)
{
    struct receiver inner, outer;
    struct kw_address_range range = loopback();
    range.bits = 128; /* 127.0.0.1 alone: 127.0.0.2 stands for what is private */
    struct kw_guard guard = {&range, 1};
    struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test"};
    struct kw_outgoing *outgoing = NULL;
    char url[64], answer[256];
    range.first.bytes[15] = 1;
    REQUIRE(t, receiver_open(t, &inner, OK_ANSWER));
    snprintf(answer, sizeof answer,
             "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.2:%u/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
             inner.port);
    REQUIRE(t, receiver_open(t, &outer, answer));
    REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", outer.port);
    struct kw_outgoing_request request = {.url = url};
    ask(t, outgoing, &request);
    CHECK_I64(t, request.http_status, 0);
    CHECK_TEXT(t, request.error, "refused to connect to a loopback address");
    CHECK_I64(t, __atomic_load_n(&outer.count, __ATOMIC_ACQUIRE), 1);
    CHECK_I64(t, __atomic_load_n(&inner.count, __ATOMIC_ACQUIRE), 0);
    kw_outgoing_free(outgoing);
    receiver_close(&outer);
    receiver_close(&inner);
}

static void redirects_time_and_size_have_caps(struct test *t)
{
    struct receiver loop, silent, large;
    struct kw_address_range range = loopback();
    struct kw_guard guard = {&range, 1};
    struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test"};
    struct kw_outgoing *outgoing = NULL;
    char url[64];
    REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
    REQUIRE(t, receiver_open(t, &loop,
                             "HTTP/1.1 307 Go\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", loop.port);
    struct kw_outgoing_request request = {.url = url};
    ask(t, outgoing, &request);
    CHECK_I64(t, request.http_status, 0);
    CHECK_I64(t, __atomic_load_n(&loop.count, __ATOMIC_ACQUIRE), KW_OUTGOING_REDIRECTS_MAX + 1);
    receiver_close(&loop);
    REQUIRE(t, receiver_open(t, &large, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
    large.more_size = (size_t)16 * KW_OUTGOING_ANSWER_MAX;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", large.port);
    request = (struct kw_outgoing_request){.url = url};
    ask(t, outgoing, &request);
    CHECK_I64(t, request.http_status, 200);
    CHECK_I64(t, request.answer_size, KW_TRY_ANSWER_MAX);
    CHECK(t, request.answer_total < (size_t)2 * KW_OUTGOING_ANSWER_MAX);
    receiver_close(&large);
    REQUIRE(t, receiver_open(t, &silent, NULL));
    (void)close(silent.fd); /* whoever connects is refused */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", silent.port);
    request = (struct kw_outgoing_request){.url = url};
    ask(t, outgoing, &request);
    CHECK_I64(t, request.http_status, 0);
    __atomic_store_n(&silent.must_end, 1, __ATOMIC_RELEASE);
    pthread_join(silent.thread, NULL);
    kw_outgoing_free(outgoing);
}

static void other_schemes_go_nowhere(struct test *t)
{
    static const char *const urls[] = {"file:///etc/hostname", "gopher://127.0.0.1:70/", "ftp://127.0.0.1/",
                                       "dict://127.0.0.1:11211/"};
    struct kw_guard guard = {NULL, 0};
    struct kw_outgoing_options options = {.guard = &guard, .user_agent = "test"};
    struct kw_outgoing *outgoing = NULL;
    REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
    for (size_t i = 0; i < KW_COUNT_OF(urls); i++) {
        struct kw_outgoing_request request = {.url = urls[i]};
        ask(t, outgoing, &request);
        CHECK_I64(t, request.http_status, 0);
        CHECK_I64(t, request.answer_total, 0);
        CHECK(t, strstr(request.error, "rotocol") != NULL);
    }
    kw_outgoing_free(outgoing);
}

static void a_look_finds_out_and_connects_to_nobody(struct test *t)
{
    struct receiver receiver;
    struct kw_address_range range = loopback();
    struct kw_guard closed = {NULL, 0}, open = {&range, 1};
    char url[64];
    REQUIRE(t, receiver_open(t, &receiver, OK_ANSWER));
    snprintf(url, sizeof url, "http://localhost:%u/", receiver.port);
    for (size_t i = 0; i < 2; i++) {
        struct kw_outgoing_options options = {.guard = i == 0 ? &closed : &open, .user_agent = "test"};
        struct kw_outgoing *outgoing = NULL;
        struct kw_outgoing_request request = {.url = i == 0 ? url : "http://127.0.0.1:1/", .is_look = true};
        REQUIRE_OK(t, kw_outgoing_new(&options, &outgoing));
        ask(t, outgoing, &request);
        CHECK_I64(t, request.refused != NULL, i == 0);
        kw_outgoing_free(outgoing);
    }
    CHECK_I64(t, __atomic_load_n(&receiver.count, __ATOMIC_ACQUIRE), 0);
    receiver_close(&receiver);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(an_open_address_is_sent_to),
        TEST_CASE(what_is_refused_is_never_connected_to),
        TEST_CASE(a_name_that_resolves_twice_is_asked_about_twice),
        TEST_CASE(a_redirect_to_what_is_refused_ends_there),
        TEST_CASE(redirects_time_and_size_have_caps),
        TEST_CASE(other_schemes_go_nowhere),
        TEST_CASE(a_look_finds_out_and_connects_to_nobody),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
