/*
 * What goes out of the house: deliveries to webhooks, and to channels for people (notices.h). One thread makes
 * deliveries of events (the engine's kw_engine_fan_out), another claims those that are due, sends them and says what
 * became of them. Nothing is kept here that the store has not: whatever ends the process, the next life goes on where
 * the store says it was, and sends again what may have arrived.
 *
 * An endpoint has so many requests under way and so many deliveries in memory at most; one that fails again and again
 * rests, and is then tried with one at a time. So a slow or dead one takes nothing from the others.
 */
#ifndef KW_NOTIFY_NOTIFY_H
#define KW_NOTIFY_NOTIFY_H

#include "engine/engine.h"

#define KW_NOTIFY_UNDER_WAY_MAX 16 /* requests of one endpoint */
#define KW_NOTIFY_CLAIMED_MAX 200  /* deliveries of it in memory */
#define KW_NOTIFY_JOBS_MAX 64      /* pings and looks that wait; one more is refused */
#define KW_NOTIFY_PAUSE_AFTER_MS INT64_C(86400000)
#define KW_NOTIFY_REST_MAX_MS INT64_C(60000)

struct kw_notify;
struct kw_notify_setup;

struct kw_notify_options {
    struct kw_engine *engine; /* borrowed */
    const struct kw_log *log; /* borrowed */
    struct kw_clock clock;
    struct kw_entropy entropy;
    const struct kw_notify_setup *setup; /* for notices (setup.h), borrowed; NULL: nothing is set up */
    int64_t pause_after_ms; /* an endpoint that failed for so long is paused; 0: KW_NOTIFY_PAUSE_AFTER_MS */
};

/* Starts its threads. KW_E_MEMORY, KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw_notify_start(const struct kw_notify_options *options, struct kw_notify **notify_out);
/* Says what became of what has ended, leaves the rest for the next life, and ends the threads. NULL is fine. */
void kw_notify_stop(struct kw_notify *notify);

/* What the operator has set up. */
KW_MUST_USE bool kw_notify_has_command(const struct kw_notify *notify, struct kw_bytes name);
KW_MUST_USE bool kw_notify_has_relay(const struct kw_notify *notify);

enum kw_notify_job_kind {
    KW_NOTIFY_PING, /* sends webhook.ping to a webhook, as it is now, once */
    KW_NOTIFY_TEST, /* sends one message to a channel, as it is now */
    KW_NOTIFY_LOOK, /* finds out whether what a URL's name leads to is refused; nothing is sent */
};

/* In the caller's memory until `done`, which is called on a thread of notify's and must not block. */
struct kw_notify_job {
    enum kw_notify_job_kind kind;
    struct kw_bytes project, name; /* ping, test */
    struct kw_bytes url;           /* look */
    void (*done)(struct kw_notify_job *job);
    void *context;

    /* KW_OK; KW_E_NOT_FOUND: there is no such webhook or channel; KW_E_CORRUPT: its secrets cannot be read;
     * KW_E_MEMORY; KW_E_BUSY: too many wait, or it stops. */
    enum kw_status status;
    const char *refused;  /* what the guard says; NULL: nothing */
    struct kw_bytes json; /* ping, test: what became of it, until `done` returns */
    struct kw_notify_job *next;
};

/* From any thread. Where it cannot be begun, `done` is called at once. */
void kw_notify_submit(struct kw_notify *notify, struct kw_notify_job *job);

#endif
