#include "server/transport.h"

#include "base/bytes.h"
#include "base/error.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#define DEFAULT_LISTEN "127.0.0.1:7411"
/* Files that are not connections: stores, logs, the loops' own. */
#define FILES_RESERVED 128
#define FILES_PER_LOOP 8

static uint64_t or_default(unsigned chosen, uint64_t otherwise)
{
    return chosen == 0 ? otherwise : chosen;
}

static void take_durations(struct kw_server *server, const struct kw_server_options *options)
{
    uint64_t *duration_ms = server->duration_ms;
    duration_ms[KW__DEADLINE_HEAD] = or_default(options->header_timeout_ms, 10000);
    duration_ms[KW__DEADLINE_BODY] = or_default(options->body_timeout_ms, 30000);
    duration_ms[KW__DEADLINE_IDLE] = or_default(options->idle_timeout_ms, 75000);
    duration_ms[KW__DEADLINE_WRITE] = or_default(options->write_timeout_ms, 30000);
    duration_ms[KW__DEADLINE_LINGER] = KW__LINGER_MS;
    server->drain_ms = or_default(options->drain_timeout_ms, 10000);
    uint64_t shortest_ms = server->drain_ms;
    for (int i = KW__DEADLINE_HEAD; i < KW__DEADLINE_COUNT; i++) {
        shortest_ms = duration_ms[i] < shortest_ms ? duration_ms[i] : shortest_ms;
    }
    server->sweep_ms = shortest_ms / 4 + 1 < KW__SWEEP_MS ? shortest_ms / 4 + 1 : KW__SWEEP_MS;
}

/* Loops, and where each is at home: a core of its own where there is one for each. */
static enum kw_status plan_loops(unsigned wanted, int *cpus_out, unsigned *count_out, struct kw_error *error_out)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    unsigned cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 1;
    if (wanted > KW_SERVER_LOOPS_MAX) {
        return kw_fail(error_out, KW_E_LIMIT, "INVALID_FIELD", "--loops", "must be at most %d", KW_SERVER_LOOPS_MAX);
    }
    unsigned count = wanted != 0 ? wanted : cores;
    count = count == 0 ? 1 : count > KW_SERVER_LOOPS_MAX ? KW_SERVER_LOOPS_MAX : count;
    bool is_pinned = count > 1 && count <= cores;
    unsigned cpu = 0;
    for (unsigned i = 0; i < count; i++) {
        cpus_out[i] = -1;
        while (is_pinned && cpus_out[i] < 0 && cpu < CPU_SETSIZE) {
            cpus_out[i] = CPU_ISSET(cpu, &allowed) ? (int)cpu : -1;
            cpu++;
        }
    }
    *count_out = count;
    return KW_OK;
}

/* As many files as this process may open, and how many of them may be connections. */
static enum kw_status plan_connections(struct kw_server *server, unsigned wanted, struct kw_error *error_out)
{
    struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1024};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        struct rlimit raised = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
        files = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised : files;
    }
    uint64_t reserve = FILES_RESERVED + (uint64_t)FILES_PER_LOOP * server->loop_count;
    uint64_t limit = files.rlim_cur > UINT32_MAX / 2 ? UINT32_MAX / 2 : files.rlim_cur;
    uint64_t available = limit > reserve ? limit - reserve : 0;
    if (available == 0 || wanted > available) {
        uint64_t connections = wanted == 0 ? 1 : wanted;
        return kw_fail(error_out, KW_E_LIMIT, "INVALID_FIELD", "--connections",
                       "%" PRIu64 " connections need %" PRIu64 " open files, but this process may open %" PRIu64
                       ": raise the limit (ulimit -n) or ask for fewer",
                       connections, connections + reserve, limit);
    }
    server->connection_max = wanted != 0 ? wanted : (unsigned)available;
    return KW_OK;
}

static bool is_draining(void *context)
{
    struct kw_server *server = context;
    return atomic_load_explicit(&server->must_stop, memory_order_relaxed);
}

static enum kw_status open_loops(struct kw_server *server, const struct kw__address *address, const int *cpus,
                                 struct kw_error *error_out)
{
    int fds[KW_SERVER_LOOPS_MAX];
    unsigned count = server->loop_count;
    server->loops = kw_alloc(count, sizeof *server->loops);
    if (server->loops == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, "INTERNAL", NULL, "there is no memory for the server");
    }
    enum kw_status status = kw__listen(address, cpus, count, fds, &server->port, error_out);
    if (status != KW_OK) {
        return status;
    }
    for (unsigned i = 0; i < count; i++) {
        server->loops[i].index = i;
        server->loops[i].cpu = cpus[i];
        /* After a failure the others still take their sockets, to close them. */
        struct kw_error *error = status == KW_OK ? error_out : NULL;
        enum kw_status opened = kw__loop_open(&server->loops[i], server, fds[i], error);
        status = status == KW_OK ? opened : status;
    }
    return status == KW_OK ? kw__loop_catch_signals(&server->loops[0], error_out) : status;
}

static enum kw_status open_parts(struct kw_server *server, const struct kw_server_options *options,
                                 struct kw_error *error_out)
{
    struct kw__address address;
    int cpus[KW_SERVER_LOOPS_MAX] = {0};
    const char *listen = options->listen == NULL ? DEFAULT_LISTEN : options->listen;
    enum kw_status status = kw__address_parse(listen, &address, error_out);
    status = status != KW_OK ? status : plan_loops(options->loop_count, cpus, &server->loop_count, error_out);
    status = status != KW_OK ? status : plan_connections(server, options->connection_max, error_out);
    if (status == KW_OK && (options->tls_cert != NULL || options->tls_key != NULL)) {
        status = kw_tls_context_new(options->tls_cert, options->tls_key, &server->tls, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    struct kw_api_options api_options = {
        .engine = options->engine,
        .log = options->log,
        .notify = options->notify,
        .origins = options->origins,
        .transport_metrics = kw__metrics_write,
        .transport_context = server,
        .draining = is_draining,
    };
    status = kw_api_new(&api_options, &server->api);
    if (status != KW_OK) {
        return kw_fail(error_out, status, "INTERNAL", NULL, "the interface cannot be set up (%s)",
                       kw_status_name(status));
    }
    return open_loops(server, &address, cpus, error_out);
}

enum kw_status kw_server_open(const struct kw_server_options *options, struct kw_server **server_out,
                              struct kw_error *error_out)
{
    struct kw_server *server = kw_alloc(1, sizeof *server);
    if (server == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, "INTERNAL", NULL, "there is no memory for the server");
    }
    server->log = options->log;
    server->clock = options->clock;
    if (server->clock.now_ms == NULL) {
        server->clock = kw_clock_system();
    }
    take_durations(server, options);
    /* A client that is gone shows as an error of the write, not as a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    enum kw_status status = open_parts(server, options, error_out);
    if (status != KW_OK) {
        kw_server_close(server);
        return status;
    }
    *server_out = server;
    return KW_OK;
}

uint16_t kw_server_port(const struct kw_server *server)
{
    return server->port;
}

void kw_server_stop(struct kw_server *server)
{
    atomic_store(&server->must_stop, true);
    for (unsigned i = 0; i < server->loop_count; i++) {
        (void)uv_async_send(&server->loops[i].wake);
    }
}

static void *run_on_thread(void *context)
{
    struct kw__loop *loop = context;
    kw__loop_run(loop);
    atomic_fetch_sub(&loop->server->threads_running, 1);
    (void)uv_async_send(&loop->server->loops[0].wake);
    return NULL;
}

static void log_event(const struct kw_server *server, const char *event)
{
    struct kw_log_line line;
    kw_log_begin(&line, server->log, KW_LOG_INFO, event);
    kw_log_i64(&line, "port", server->port);
    kw_log_i64(&line, "loops", server->loop_count);
    kw_log_i64(&line, "connectionMax", server->connection_max);
    kw_log_text(&line, "tls", server->tls != NULL ? "on" : "off");
    kw_log_end(&line);
}

enum kw_status kw_server_run(struct kw_server *server, struct kw_error *error_out)
{
    enum kw_status status = KW_OK;
    log_event(server, "server_started");
    for (unsigned i = 1; i < server->loop_count && status == KW_OK; i++) {
        struct kw__loop *loop = &server->loops[i];
        atomic_fetch_add(&server->threads_running, 1);
        int failed = pthread_create(&loop->thread_id, NULL, run_on_thread, loop);
        loop->has_thread = failed == 0;
        if (failed != 0) {
            atomic_fetch_sub(&server->threads_running, 1);
            status = kw_fail(error_out, KW_E_SYSTEM, "INTERNAL", NULL, "a thread for loop %u cannot be had: %s", i,
                             strerror(failed));
        }
    }
    if (status != KW_OK) {
        kw_server_stop(server);
    }
    kw__loop_run(&server->loops[0]);
    for (unsigned i = 1; i < server->loop_count; i++) {
        if (server->loops[i].has_thread) {
            (void)pthread_join(server->loops[i].thread_id, NULL);
            server->loops[i].has_thread = false;
        }
    }
    log_event(server, "server_stopped");
    return status;
}

void kw_server_close(struct kw_server *server)
{
    if (server == NULL) {
        return;
    }
    for (unsigned i = 0; server->loops != NULL && i < server->loop_count; i++) {
        kw__loop_close(&server->loops[i]);
    }
    kw_api_free(server->api);
    kw_tls_context_free(server->tls);
    kw_free(server->loops);
    kw_free(server);
}
