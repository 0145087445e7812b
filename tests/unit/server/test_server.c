#include "base/bytes.h"
#include "base/error.h"
#include "echo_api.h"
#include "server/server.h"
#include "server/transport.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALLOCATIONS_MAX 1000

static const struct kw_server_options any_port = {.listen = "127.0.0.1:0", .loop_count = 2};

static void *run(void *context)
{
    struct kw_error error;
    return kw_server_run(context, &error) == KW_OK ? NULL : context;
}

static int connect_to(const struct kw_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(kw_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Everything up to the end, as text. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t used = 0;
    ssize_t count;
    while (used < size - 1 && (count = read(fd, out + used, size - 1 - used)) > 0) {
        used += (size_t)count;
    }
    out[used] = '\0';
    return used;
}

static void a_server_can_be_opened_and_closed(struct test *t)
{
    struct kw_server *server;
    struct kw_error error;
    REQUIRE_OK(t, kw_server_open(&any_port, &server, &error));
    CHECK(t, kw_server_port(server) != 0);
    kw_server_close(server);
    kw_server_close(NULL);
}

static void a_stop_before_the_run_counts(struct test *t)
{
    struct kw_server *server;
    struct kw_error error;
    REQUIRE_OK(t, kw_server_open(&any_port, &server, &error));
    kw_server_stop(server);
    REQUIRE_OK(t, kw_server_run(server, &error));
    kw_server_close(server);
}

static void a_stop_from_another_thread_ends_what_is_under_way(struct test *t)
{
    static const char request[] = "GET /delay?100 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int round = 0; round < 10; round++) {
        struct kw_server *server;
        struct kw_error error;
        pthread_t thread;
        void *result = NULL;
        REQUIRE_OK(t, kw_server_open(&any_port, &server, &error));
        REQUIRE(t, pthread_create(&thread, NULL, run, server) == 0);
        int fd = connect_to(server);
        char answer[2000] = "";
        CHECK(t, fd >= 0 && write(fd, request, sizeof request - 1) == (ssize_t)sizeof request - 1);
        kw_server_stop(server);
        size_t size = read_all(fd, answer, sizeof answer);
        close(fd);
        pthread_join(thread, &result);
        CHECK(t, result == NULL);
        /* The request may have come too late. */
        CHECK(t, size == 0 || strstr(answer, "HTTP/1.1 200 OK\r\n") == answer);
        kw_server_close(server);
    }
}

static void no_memory_is_an_error_wherever_it_ends(struct test *t)
{
    enum kw_status status = KW_E_MEMORY;
    int64_t count;
    for (count = 1; status != KW_OK && count < ALLOCATIONS_MAX; count++) {
        struct kw_server *server = NULL;
        struct kw_error error;
        kw_error_clear(&error);
        kw_alloc_fail_after(count);
        status = kw_server_open(&any_port, &server, &error);
        kw_alloc_fail_after(-1);
        if (status == KW_OK) {
            kw_server_close(server);
        } else {
            CHECK_STATUS(t, status, KW_E_MEMORY);
            CHECK(t, error.code != NULL && error.message[0] != '\0');
        }
    }
    CHECK_STATUS(t, status, KW_OK);
    CHECK(t, count > 3);
}

static void bad_addresses_name_the_option(struct test *t)
{
    static const char *const addresses[] = {"",      ":",    ":1", "a:1", "1.2.3.4", "1.2.3.4:x", "1.2.3.4:99999",
                                            "[::1]", "::1:1"};
    for (size_t i = 0; i < KW_COUNT_OF(addresses); i++) {
        struct kw_server_options options = {.listen = addresses[i]};
        struct kw_server *server = NULL;
        struct kw_error error;
        CHECK_STATUS(t, kw_server_open(&options, &server, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.field, "--listen");
        CHECK(t, server == NULL);
    }
}

static void what_cannot_be_had_is_said(struct test *t)
{
    struct kw_server *server;
    struct kw_server *second;
    struct kw_error error;
    char address[32];
    REQUIRE_OK(t, kw_server_open(&any_port, &server, &error));
    snprintf(address, sizeof address, "127.0.0.1:%u", kw_server_port(server));
    struct kw_server_options taken = {.listen = address};
    CHECK_STATUS(t, kw_server_open(&taken, &second, &error), KW_E_BUSY);
    CHECK(t, strstr(error.message, "is in use by another program") != NULL);
    kw_server_close(server);
    struct kw_server_options many_loops = {.listen = "127.0.0.1:0", .loop_count = KW_SERVER_LOOPS_MAX + 1};
    CHECK_STATUS(t, kw_server_open(&many_loops, &second, &error), KW_E_LIMIT);
    struct kw_server_options many_connections = {.listen = "127.0.0.1:0", .connection_max = 2000000000};
    CHECK_STATUS(t, kw_server_open(&many_connections, &second, &error), KW_E_LIMIT);
    CHECK_TEXT(t, error.field, "--connections");
    struct kw_server_options half_tls = {.listen = "127.0.0.1:0", .tls_cert = "cert.pem"};
    CHECK_STATUS(t, kw_server_open(&half_tls, &second, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "--tls-key");
}

static void answers_are_written_as_they_should(struct test *t)
{
    struct kw_call call = {.status = 201, .content_type = "application/json", .request_id = "r-1"};
    struct kw_buffer out;
    struct kw__response_manner manner = {.date = KW_BYTES("today"), .keep_alive = true};
    kw_buffer_init(&out, 10000);
    kw_buffer_init(&call.answer, 100);
    kw_buffer_add_text(&call.answer, "{}");
    call.answer_headers[call.answer_header_count++] = (struct kw_answer_header){"Location", KW_BYTES("/v1/keys/key_1")};
    kw__response_write(&call, &manner, &out);
    CHECK_BYTES(
        t, kw_buffer_bytes(&out),
        KW_BYTES("HTTP/1.1 201 Created\r\nDate: today\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
                 "X-Content-Type-Options: nosniff\r\nX-Request-Id: r-1\r\nLocation: /v1/keys/key_1\r\n"
                 "Cache-Control: no-store\r\n\r\n{}"));
    CHECK(t, !out.secret);
    kw_buffer_reset(&out);
    call.status = 418;
    call.answer.secret = true;
    call.answer_headers[0] = (struct kw_answer_header){"cache-control", KW_BYTES("max-age=60")};
    manner = (struct kw__response_manner){.date = KW_BYTES("today"), .is_head = true};
    kw__response_write(&call, &manner, &out);
    CHECK_BYTES(t, kw_buffer_bytes(&out),
                KW_BYTES("HTTP/1.1 418 \r\nDate: today\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
                         "X-Content-Type-Options: nosniff\r\nX-Request-Id: r-1\r\ncache-control: max-age=60\r\n"
                         "Connection: close\r\n\r\n"));
    CHECK(t, out.secret);
    kw_buffer_deinit(&out);
    kw_buffer_deinit(&call.answer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_server_can_be_opened_and_closed),
        TEST_CASE(a_stop_before_the_run_counts),
        TEST_CASE(a_stop_from_another_thread_ends_what_is_under_way),
        TEST_CASE(no_memory_is_an_error_wherever_it_ends),
        TEST_CASE(bad_addresses_name_the_option),
        TEST_CASE(what_cannot_be_had_is_said),
        TEST_CASE(answers_are_written_as_they_should),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
