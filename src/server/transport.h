/*
 * Inside the transport: what its files share. A loop owns its connections, a connection borrows an exchange while a
 * request is under way. All of it belongs to the loop's thread; from others come only finished exchanges and the wish
 * to stop, both through `wake`.
 */
#ifndef KW_SERVER_TRANSPORT_H
#define KW_SERVER_TRANSPORT_H

#include "server/message.h"
#include "server/server.h"
#include "server/tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define KW__READ_SIZE (64 * 1024)
#define KW__WRITE_SLICE (64 * 1024) /* what a client must take within the write timeout */
#define KW__WRITE_PROGRESS 16384    /* the same where the system holds much that the client did not take yet */
#define KW__OUTPUT_CAP (256 * 1024) /* answers beyond it wait until those before were taken */
#define KW__INPUT_CAP (256 * 1024)  /* bytes of a connection that wait to be parsed */
#define KW__LINGER_MS 2000
#define KW__SWEEP_MS 250
#define KW__EXCHANGE_ARENA_SIZE 16384 /* first block of a call's arena */
#define KW__PEER_MAX 64               /* of an address as text */
#define KW__EXCHANGES_KEPT 256        /* of each loop, for the next requests */

/* What a connection has until when; each kind has one duration, so a list in order of entry is in order of time. */
enum kw__deadline {
    KW__DEADLINE_NONE, /* the engine is at work */
    KW__DEADLINE_HEAD,
    KW__DEADLINE_BODY,
    KW__DEADLINE_IDLE,
    KW__DEADLINE_WRITE,
    KW__DEADLINE_LINGER, /* the last answer is out; what the client still sends is read and dropped */
    KW__DEADLINE_COUNT,
};

enum kw__counter {
    KW__COUNT_ACCEPTED,
    KW__COUNT_CLOSED,
    KW__COUNT_OVER_CAP,
    KW__COUNT_BYTES_IN,
    KW__COUNT_BYTES_OUT,
    KW__COUNT_MALFORMED,
    KW__COUNT_TIMED_OUT_HEAD,
    KW__COUNT_TIMED_OUT_BODY,
    KW__COUNT_TIMED_OUT_IDLE,
    KW__COUNT_TIMED_OUT_WRITE,
    KW__COUNT_TLS_FAILED,
    KW__COUNT_HANDED_ON, /* calls that were not answered at once */
    KW__COUNT_CAME_BACK,
    KW__COUNT_STREAMS_CUT, /* answers in pieces that did not come to their end */
    KW__COUNT_ANSWERS_1XX, /* by hundreds of the status */
    KW__COUNT_ANSWERS_5XX = KW__COUNT_ANSWERS_1XX + 4,
    KW__COUNTER_COUNT,
};

struct kw__loop;
struct kw__connection;

/* A request under way and its answer. Reused, so that a request costs no allocation. */
struct kw__exchange {
    struct kw_call call;
    struct kw_message message;
    struct kw__loop *loop;
    struct kw__connection *connection; /* NULL: the client is gone */
    struct kw__exchange *next;         /* among the free, or among the finished */
    uint64_t started_ns;               /* 0 when nobody logs it */
    bool keeps_alive;                  /* said in the head of an answer that comes in pieces */
    bool answered;                     /* within kw_api_handle */
    int fd;                            /* of the socket, to look at; -1: none */
    struct kw_address peer_address;
    char peer[KW__PEER_MAX];
    uint8_t arena_memory[KW__EXCHANGE_ARENA_SIZE];
};

struct kw__connection {
    uv_tcp_t tcp;
    uv_write_t write;
    struct kw__loop *loop;
    struct kw_tls *tls; /* NULL: plain */
    struct kw__connection *previous, *next;
    enum kw__deadline deadline;
    uint64_t deadline_ms; /* of the loop's time */
    uint64_t deadline_tick;

    struct kw_message_parser parser;
    struct kw__exchange *exchange; /* its request is arriving, or being answered */
    struct kw_buffer input;        /* what arrived and is not parsed; secret */
    size_t input_at;
    struct kw_buffer output; /* plain text that the socket did not take at once */
    size_t output_at;
    size_t write_size; /* of the write under way */
    size_t untaken;    /* bytes that the client had not taken when the write's deadline began */

    bool is_handed_on; /* the exchange is with the engine */
    bool is_streaming; /* the exchange's answer has begun, and comes in pieces */
    bool must_reset;   /* nothing but a reset tells the client that the answer is not whole */
    bool is_writing;   /* a write is under way; nothing touches `output` meanwhile */
    bool is_reading;
    bool has_served; /* at least one request */
    bool renew_deadline;
    bool must_linger;
    bool has_said_goodbye; /* TLS: close_notify */
    bool is_lingering;
    bool is_closing; /* no more requests: close once the output is out */
    bool is_broken;  /* close now */
    bool is_counted; /* in the server's connection count */
    char peer[KW__PEER_MAX];
    size_t peer_size;
    struct kw_address peer_address;
};

struct kw__list {
    struct kw__connection *first, *last;
};

struct kw__loop {
    uv_loop_t uv;
    uv_tcp_t listener;
    uv_tcp_t spare; /* takes a connection for which there is no memory, to close it */
    uv_async_t wake;
    uv_timer_t sweep;
    uv_signal_t signals[2];
    struct kw_server *server;
    unsigned index;
    int cpu;             /* -1: anywhere */
    bool prefers_cpu;    /* the system is asked for the connections of that core */
    pthread_t thread;    /* that runs it */
    pthread_t thread_id; /* of its own, to be joined */
    bool has_thread;
    bool is_open; /* `uv` is initialised */
    bool is_draining;
    bool is_sweeping;
    bool spare_in_use;

    struct kw__list lists[KW__DEADLINE_COUNT];
    size_t connection_count;
    uint64_t tick; /* sweeps so far */
    uint64_t drain_until_ms;
    uint64_t over_cap_logged_ms, over_cap_unlogged;

    struct kw__exchange *free_exchanges;
    size_t free_exchange_count;
    struct kw__exchange *handling; /* the one inside kw_api_handle */
    pthread_mutex_t finished_lock;
    struct kw__exchange *finished; /* under the lock: pushed by other threads, newest first */
    size_t handed_on;

    uint64_t now_read_ms; /* loop time at which `now_ms` was read */
    int64_t now_ms;
    int64_t date_second;
    char date[32];
    uint64_t id_state;

    uint8_t *read_buffer; /* KW__READ_SIZE */
    uint8_t *wire_buffer; /* the same, for what is still encrypted; NULL without TLS */
    struct kw_buffer out; /* answers of the event that is being handled */
    _Atomic uint64_t counters[KW__COUNTER_COUNT];
};

struct kw_server {
    struct kw_api *api;
    const struct kw_log *log;
    struct kw_clock clock;
    struct kw_tls_context *tls;
    uint64_t duration_ms[KW__DEADLINE_COUNT];
    uint64_t drain_ms;
    uint64_t sweep_ms;
    unsigned connection_max;
    uint16_t port;
    atomic_uint connection_count;
    atomic_bool must_stop;
    atomic_bool must_give_up;
    atomic_uint threads_running; /* of loops but the first */
    unsigned loop_count;
    struct kw__loop *loops;
};

/* Counters have one writer, and any number of readers. */
static inline void kw__count(struct kw__loop *loop, enum kw__counter counter, uint64_t more)
{
    uint64_t before = atomic_load_explicit(&loop->counters[counter], memory_order_relaxed);
    atomic_store_explicit(&loop->counters[counter], before + more, memory_order_relaxed);
}

static inline uint64_t kw__counter_of(const struct kw__loop *loop, enum kw__counter counter)
{
    return atomic_load_explicit(&loop->counters[counter], memory_order_relaxed);
}

/* --- listen.c --- */

struct kw__address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* "127.0.0.1:7411" or "[::1]:7411". */
KW_MUST_USE enum kw_status kw__address_parse(const char *text, struct kw__address *address_out,
                                             struct kw_error *error_out);
/*
 * `count` bound sockets on one address, which no other program listens on; `cpus[i]` (or -1) is where the i-th prefers
 * its connections from. The port that was had is in `port_out`.
 */
KW_MUST_USE enum kw_status kw__listen(const struct kw__address *address, const int *cpus, unsigned count, int *fds_out,
                                      uint16_t *port_out, struct kw_error *error_out);

/* No longer prefers the connections of one core. */
void kw__listen_anywhere(int fd);

/* --- loop.c --- */

/* Takes `fd`. On failure kw__loop_close still has to be called. */
KW_MUST_USE enum kw_status kw__loop_open(struct kw__loop *loop, struct kw_server *server, int fd_take,
                                         struct kw_error *error_out);
KW_MUST_USE enum kw_status kw__loop_catch_signals(struct kw__loop *loop, struct kw_error *error_out);
/* Until it is drained. The first one, which hears the signals, stays until the others have ended. */
void kw__loop_run(struct kw__loop *loop);
void kw__loop_end_if_drained(struct kw__loop *loop);
/* Looks after deadlines from now on; ends by itself when no connection is left. */
void kw__loop_sweep_on(struct kw__loop *loop);
/* Waits for the calls that the engine still has, then gives everything back. */
void kw__loop_close(struct kw__loop *loop);
/* The wall clock, read once a millisecond at most. */
int64_t kw__loop_now_ms(struct kw__loop *loop);
/* The Date header's value, 29 characters. */
struct kw_bytes kw__loop_date(struct kw__loop *loop);

/* --- deadline.c --- */

/* Puts the connection under a deadline that begins now. */
void kw__deadline_set(struct kw__connection *connection, enum kw__deadline deadline);
/* Takes it out of all lists. */
void kw__deadline_remove(struct kw__connection *connection);
/* Ends what has run out of time. */
void kw__deadline_sweep(struct kw__loop *loop);

/* --- connection.c --- */

/* A connection waits at the listener. */
void kw__connection_accept(uv_stream_t *listener, int status);
/* Reads, waits, lingers or closes, as the connection's state asks for. Call after every event. */
void kw__connection_settle(struct kw__connection *connection);
void kw__connection_close(struct kw__connection *connection);
/* Nothing of a request has arrived, nothing of an answer is left. */
bool kw__connection_is_idle(const struct kw__connection *connection);

/* --- output.c --- */

/* Sends what stands in loop->out, keeps what the socket does not take. */
void kw__output_flush(struct kw__connection *connection);
bool kw__output_is_empty(const struct kw__connection *connection);
/* True when the client took a fair part of what waits for it since the write's deadline began; then it begins anew. */
bool kw__output_has_progressed(struct kw__connection *connection);
/* Sends TLS's own messages. */
void kw__output_flush_wire(struct kw__connection *connection);

/* --- exchange.c --- */

/* NULL when there is no memory. */
KW_MUST_USE struct kw__exchange *kw__exchange_take(struct kw__connection *connection);
void kw__exchange_give_back(struct kw__exchange *exchange);
void kw__exchange_free_all(struct kw__loop *loop);
/* Hands the request to the routes. True when it was answered at once; else its end arrives at kw__exchange_collect. */
KW_MUST_USE bool kw__exchange_handle(struct kw__exchange *exchange);
/* The transport's own answer: a problem. */
void kw__exchange_refuse(struct kw__exchange *exchange, enum kw_code code, const char *reason);
/* Appends the answer to loop->out, counts it, and logs it unless more pieces of it are to come. */
void kw__exchange_answer(struct kw__exchange *exchange, bool keep_alive);
/* Appends the piece that stands in the call to loop->out, and the end of the answer where it is the last. */
void kw__exchange_answer_piece(struct kw__exchange *exchange);
/* Asks for the next piece, which arrives at kw__exchange_collect. */
void kw__exchange_go_on(struct kw__exchange *exchange);
/* Takes an answer in pieces from its client, who gets no more of it. The exchange is given back when it has ended. */
void kw__exchange_leave(struct kw__exchange *exchange);
/* Ends the calls that other threads have finished. */
void kw__exchange_collect(struct kw__loop *loop);

/* --- serve.c --- */

/* Answers the requests in `count` bytes that arrived where kw__serve_room said. */
void kw__serve_arrived(struct kw__connection *connection, size_t count);
/* Where the next bytes go; no size when there is no room. */
void kw__serve_room(struct kw__connection *connection, uint8_t **room_out, size_t *size_out);
/* Goes on with what had arrived before the connection had to wait. */
void kw__serve_resume(struct kw__connection *connection);
/* The call that was with the engine is done, or the next piece of its answer is there. */
void kw__serve_finished(struct kw__exchange *exchange);
/* Answers with a problem and closes. */
void kw__serve_refuse(struct kw__connection *connection, enum kw_code code, const char *reason);
/* A call is with the engine or its answer not at its end, or the client has to take its answers first. */
static inline bool kw__connection_must_wait(const struct kw__connection *connection)
{
    return connection->is_handed_on || connection->is_writing || connection->is_streaming;
}

/* --- response.c --- */

struct kw__response_manner {
    struct kw_bytes date;
    bool is_head;
    bool keep_alive;
    bool is_http10;
};

/* Appends the answer as HTTP/1.1; of one that comes in pieces the head. Failures show in the buffer. */
void kw__response_write(const struct kw_call *call, const struct kw__response_manner *manner, struct kw_buffer *out);
/* Appends a piece of a body: as a chunk, unless the client knows of none; and its end where it is the last. */
void kw__response_write_piece(struct kw_bytes piece, bool is_http10, bool is_last, struct kw_buffer *out);

/* --- metrics.c --- */

/* For kw_api_options.transport_metrics; the context is the server. */
void kw__metrics_write(void *context, struct kw_buffer *text);

#endif
