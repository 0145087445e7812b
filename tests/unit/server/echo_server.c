/*
 * The transport with a stand-in for the routes (echo_api.h). Options are those of `keyward serve`, but that there is no
 * data. Tests know it by its name.
 */
#include "echo_api.h"

#include "base/bytes.h"
#include "base/time.h"
#include "server/server.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

struct settings {
    struct kw_server_options server;
    struct kw_log log;
};

struct duration_option {
    const char *name;
    unsigned *value;
};

static bool take_duration(struct settings *settings, const char *name, const char *value)
{
    const struct duration_option options[] = {
        {"--header-timeout", &settings->server.header_timeout_ms},
        {"--body-timeout", &settings->server.body_timeout_ms},
        {"--idle-timeout", &settings->server.idle_timeout_ms},
        {"--write-timeout", &settings->server.write_timeout_ms},
        {"--drain-timeout", &settings->server.drain_timeout_ms},
    };
    int64_t ms;
    for (size_t i = 0; i < KW_COUNT_OF(options); i++) {
        if (strcmp(name, options[i].name) == 0) {
            bool is_valid = kw_duration_parse(kw_bytes_of_text(value), &ms);
            *options[i].value = is_valid ? (unsigned)ms : 0;
            return is_valid;
        }
    }
    return false;
}

static bool take_option(struct settings *settings, const char *name, const char *value)
{
    struct kw_server_options *server = &settings->server;
    if (strcmp(name, "--listen") == 0) {
        server->listen = value;
    } else if (strcmp(name, "--tls-cert") == 0) {
        server->tls_cert = value;
    } else if (strcmp(name, "--tls-key") == 0) {
        server->tls_key = value;
    } else if (strcmp(name, "--loops") == 0) {
        server->loop_count = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--connections") == 0) {
        server->connection_max = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--log-level") == 0) {
        settings->log.level_min = strcmp(value, "debug") == 0  ? KW_LOG_DEBUG
                                  : strcmp(value, "info") == 0 ? KW_LOG_INFO
                                                               : KW_LOG_WARN;
    } else {
        return take_duration(settings, name, value);
    }
    return true;
}

/*
 * The thread sanitizer of GCC 12 loses a signal that comes while a thread makes its first call that may block: it is
 * kept in a place that is replaced then. So this thread, which gets them, makes one before anybody can send any.
 */
static void be_ready_for_signals(void)
{
    (void)poll(NULL, 0, 0);
}

int main(int argc, char **argv)
{
    struct settings settings = {.log = {.fd = STDERR_FILENO, .level_min = KW_LOG_INFO, .clock = kw_clock_system()}};
    settings.server.log = &settings.log;
    settings.server.clock = kw_clock_system();
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !take_option(&settings, argv[i], argv[i + 1])) {
            fprintf(stderr, "%s: not understood\n", argv[i]);
            return 2;
        }
    }
    struct kw_server *server;
    struct kw_error error = {0};
    if (kw_server_open(&settings.server, &server, &error) != KW_OK) {
        fprintf(stderr, "echo_server: %s: %s\n", error.field, error.message);
        return 2;
    }
    be_ready_for_signals();
    printf("listening on port %u\n", kw_server_port(server));
    fflush(stdout);
    enum kw_status status = kw_server_run(server, &error);
    kw_server_close(server);
    if (status != KW_OK) {
        fprintf(stderr, "echo_server: %s\n", error.message);
    }
    return status == KW_OK ? 0 : 2;
}
