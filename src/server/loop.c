#include "server/transport.h"

#include "base/bytes.h"
#include "base/error.h"

#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
#define SPREAD_MIN 256 /* connections before which nothing is said of how even they are spread */
#define OUT_MAX (KW_CALL_ANSWER_MAX + 2 * KW__OUTPUT_CAP)

int64_t kw__loop_now_ms(struct kw__loop *loop)
{
    uint64_t loop_ms = uv_now(&loop->uv);
    if (loop->now_ms == 0 || loop->now_read_ms != loop_ms) {
        struct kw_clock clock = loop->server->clock;
        loop->now_ms = clock.now_ms(clock.context);
        loop->now_read_ms = loop_ms;
    }
    return loop->now_ms;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), without asking the locale. */
static void format_date(int64_t second, char *out, size_t size)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts = {0};
    time_t time = (time_t)second;
    (void)gmtime_r(&time, &parts);
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, out, size - 1);
    kw_buffer_add_format(&text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday,
                         months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    out[text.size] = '\0';
}

struct kw_bytes kw__loop_date(struct kw__loop *loop)
{
    int64_t second = kw__loop_now_ms(loop) / 1000;
    if (second != loop->date_second) {
        format_date(second, loop->date, sizeof loop->date);
        loop->date_second = second;
    }
    return kw_bytes_of_text(loop->date);
}

/* Each connection once, also where `act` takes it out of its list. */
static void for_each_connection(struct kw__loop *loop, void (*act)(struct kw__connection *connection))
{
    for (int deadline = 0; deadline < KW__DEADLINE_COUNT; deadline++) {
        struct kw__connection *next;
        for (struct kw__connection *at = loop->lists[deadline].first; at != NULL; at = next) {
            next = at->next;
            act(at);
        }
    }
}

static void close_if_idle(struct kw__connection *connection)
{
    if (kw__connection_is_idle(connection)) {
        kw__connection_close(connection);
    }
}

static void drain(struct kw__loop *loop)
{
    loop->is_draining = true;
    loop->drain_until_ms = uv_now(&loop->uv) + loop->server->drain_ms;
    uv_close((uv_handle_t *)&loop->listener, NULL);
    for_each_connection(loop, close_if_idle);
    kw__loop_sweep_on(loop);
}

void kw__loop_end_if_drained(struct kw__loop *loop)
{
    bool must_stay = loop->index == 0 && atomic_load(&loop->server->threads_running) > 0;
    if (loop->is_draining && loop->connection_count == 0 && !must_stay) {
        uv_stop(&loop->uv);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct kw__loop *loop = wake->data;
    kw__exchange_collect(loop);
    if (atomic_load(&loop->server->must_stop) && !loop->is_draining) {
        drain(loop);
    }
    if (atomic_load(&loop->server->must_give_up)) {
        for_each_connection(loop, kw__connection_close);
    }
    kw__loop_end_if_drained(loop);
}

/*
 * Where all packets come in on one core, its loop would get all connections. One that got twice its share (of two
 * loops: nearly everything) no longer asks for those of its core; the system then spreads them.
 */
static void spread_if_uneven(struct kw__loop *loop)
{
    const struct kw_server *server = loop->server;
    uint64_t own = kw__counter_of(loop, KW__COUNT_ACCEPTED);
    uint64_t all = 0;
    for (unsigned i = 0; i < server->loop_count; i++) {
        all += kw__counter_of(&server->loops[i], KW__COUNT_ACCEPTED);
    }
    uint64_t uneven_eighths = server->loop_count > 2 ? 16 : 15;
    uv_os_fd_t fd;
    if (all < SPREAD_MIN || own * server->loop_count * 8 < all * uneven_eighths ||
        uv_fileno((uv_handle_t *)&loop->listener, &fd) != 0) {
        return;
    }
    kw__listen_anywhere(fd);
    loop->prefers_cpu = false;
}

static void on_sweep(uv_timer_t *timer)
{
    struct kw__loop *loop = timer->data;
    loop->tick++;
    kw__deadline_sweep(loop);
    if (loop->prefers_cpu) {
        spread_if_uneven(loop);
    }
    if (loop->is_draining && uv_now(&loop->uv) >= loop->drain_until_ms) {
        for_each_connection(loop, kw__connection_close);
    }
    if (loop->connection_count == 0) {
        (void)uv_timer_stop(timer);
        loop->is_sweeping = false;
    }
}

void kw__loop_sweep_on(struct kw__loop *loop)
{
    if (!loop->is_sweeping) {
        uint64_t every_ms = loop->server->sweep_ms;
        loop->is_sweeping = uv_timer_start(&loop->sweep, on_sweep, every_ms, every_ms) == 0;
    }
}

/* The first asks to finish, the second to be gone. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct kw__loop *loop = handle->data;
    if (atomic_load(&loop->server->must_stop)) {
        atomic_store(&loop->server->must_give_up, true);
    }
    kw_server_stop(loop->server);
}

enum kw_status kw__loop_catch_signals(struct kw__loop *loop, struct kw_error *error_out)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < KW_COUNT_OF(numbers); i++) {
        int failed = uv_signal_init(&loop->uv, &loop->signals[i]);
        loop->signals[i].data = loop;
        failed = failed != 0 ? failed : uv_signal_start(&loop->signals[i], on_signal, numbers[i]);
        if (failed != 0) {
            return kw_fail(error_out, KW_E_SYSTEM, "INTERNAL", NULL, "signals cannot be caught: %s",
                           uv_strerror(failed));
        }
    }
    return KW_OK;
}

static int listen_on(struct kw__loop *loop, int fd_take)
{
    int failed = uv_tcp_init(&loop->uv, &loop->listener);
    loop->listener.data = loop;
    failed = failed != 0 ? failed : uv_tcp_open(&loop->listener, fd_take);
    if (failed != 0) {
        (void)close(fd_take);
        return failed;
    }
    return uv_listen((uv_stream_t *)&loop->listener, BACKLOG, kw__connection_accept);
}

enum kw_status kw__loop_open(struct kw__loop *loop, struct kw_server *server, int fd_take, struct kw_error *error_out)
{
    struct kw_entropy entropy = kw_entropy_system();
    loop->server = server;
    loop->prefers_cpu = loop->cpu >= 0;
    loop->date_second = -1;
    kw_buffer_init(&loop->out, OUT_MAX);
    int failed = uv_loop_init(&loop->uv);
    if (failed != 0) {
        (void)close(fd_take);
        return kw_fail(error_out, KW_E_SYSTEM, "INTERNAL", NULL, "an event loop cannot be had: %s",
                       uv_strerror(failed));
    }
    loop->is_open = true;
    (void)pthread_mutex_init(&loop->finished_lock, NULL);
    failed = listen_on(loop, fd_take);
    failed = failed != 0 ? failed : uv_async_init(&loop->uv, &loop->wake, on_wake);
    failed = failed != 0 ? failed : uv_timer_init(&loop->uv, &loop->sweep);
    if (failed != 0) {
        return kw_fail(error_out, failed == UV_EADDRINUSE ? KW_E_BUSY : KW_E_SYSTEM, "INTERNAL", NULL,
                       "port %u cannot be listened on: %s", server->port, uv_strerror(failed));
    }
    loop->wake.data = loop;
    loop->sweep.data = loop;
    loop->read_buffer = kw_alloc(1, KW__READ_SIZE);
    loop->wire_buffer = server->tls == NULL ? NULL : kw_alloc(1, KW__READ_SIZE);
    if (loop->read_buffer == NULL || (server->tls != NULL && loop->wire_buffer == NULL)) {
        return kw_fail(error_out, KW_E_MEMORY, "INTERNAL", NULL, "there is no memory for another loop");
    }
    enum kw_status status = entropy.draw(entropy.context, (uint8_t *)&loop->id_state, sizeof loop->id_state);
    return status == KW_OK ? KW_OK : kw_fail(error_out, status, "INTERNAL", NULL, "the system gives no entropy");
}

/* Where clients share the machine, a loop that stays on its core answers twice as many. */
static void pin(const struct kw__loop *loop, const cpu_set_t *before)
{
    cpu_set_t only;
    if (loop->cpu < 0) {
        return;
    }
    CPU_ZERO(&only);
    CPU_SET((unsigned)loop->cpu, &only);
    (void)pthread_setaffinity_np(pthread_self(), sizeof only, before == NULL ? &only : before);
}

void kw__loop_run(struct kw__loop *loop)
{
    cpu_set_t before;
    loop->thread = pthread_self();
    bool known = pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
    pin(loop, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (known) {
        pin(loop, &before);
    }
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void kw__loop_close(struct kw__loop *loop)
{
    if (loop->is_open) {
        for_each_connection(loop, kw__connection_close);
        while (loop->handed_on > 0 || loop->connection_count > 0) {
            (void)uv_run(&loop->uv, UV_RUN_ONCE);
        }
        uv_walk(&loop->uv, close_handle, NULL);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        (void)uv_loop_close(&loop->uv);
        (void)pthread_mutex_destroy(&loop->finished_lock);
    }
    kw__exchange_free_all(loop);
    kw_buffer_deinit(&loop->out);
    kw_free(loop->read_buffer);
    kw_free(loop->wire_buffer);
}
