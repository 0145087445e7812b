/*
 * Streams of events that wait for something to happen. One thread, which the first stream starts, looks whether there
 * was a commit, and hands on whoever waits for one, has been silent for too long, or is left by its client. It does
 * nothing that takes time: reading the log is the engine's readers' work, and a slow client holds up nobody, since its
 * stream does not wait here before it has taken what there was.
 */
#ifndef KW_SERVER_WATCH_H
#define KW_SERVER_WATCH_H

#include "server/api.h"

#define KW_STREAMS_MAX 256           /* of a server */
#define KW_STREAMS_OF_PROJECT_MAX 64 /* of them */
#define KW_STREAM_BEAT_MS 15000      /* a client hears something at least this often */

struct kw_watch;

/* Why a stream goes on. */
enum kw_wake { KW_WAKE_NEWS, KW_WAKE_BEAT, KW_WAKE_END };

/* A stream while it waits; in its own memory. */
struct kw_watched {
    struct kw_watched *next;
    const struct kw_call *call;
    uint64_t seen;    /* kw_engine_tellings before it last looked */
    uint64_t beat_ns; /* when it is to say that it is still there */
    /* From the watch's thread, once for each kw_watch_wait. */
    void (*wake)(struct kw_watched *watched, enum kw_wake why);
};

KW_MUST_USE enum kw_status kw_watch_new(const struct kw_api_options *options, struct kw_watch **watch_out);
/* Nobody may be waiting any more. */
void kw_watch_free(struct kw_watch *watch);

/*
 * A stream of that project begins; it ends with kw_watch_leave. TOO_BUSY when there are too many, or when there are no
 * threads left.
 */
KW_MUST_USE enum kw_status kw_watch_enter(struct kw_watch *watch, uint16_t project, struct kw_error *error_out);
void kw_watch_leave(struct kw_watch *watch, uint16_t project);

/* Waits, without blocking: `wake` is called when there is a reason. */
void kw_watch_wait(struct kw_watch *watch, struct kw_watched *watched);

#endif
