/*
 * HTTP and mail that go out of the house, through libcurl: many requests side by side on one thread. Each has caps on
 * its time, on what is read of its answer, and on its redirects; http and https only, no proxy, no cookies, no
 * credentials but what the request brings. Whatever address a connection is made to, the guard (core/guard.h) is asked
 * first: after each name that was resolved, and on each redirect.
 */
#ifndef KW_NOTIFY_OUTGOING_H
#define KW_NOTIFY_OUTGOING_H

#include "base/memory.h"
#include "core/guard.h"
#include "core/retry.h"
#include "core/tries.h"
#include "notify/setup.h"

#define KW_OUTGOING_REDIRECTS_MAX 3
#define KW_OUTGOING_ANSWER_MAX 65536 /* bytes that are read of an answer; what is longer is cut off */
#define KW_OUTGOING_HEADERS_MAX 8
#define KW_OUTGOING_CONNECT_MS 10000

struct kw_outgoing;

struct kw_outgoing_options {
    const struct kw_guard *guard; /* borrowed */
    const char *user_agent;       /* static */
    /* For tests: what names resolve to, as CURLOPT_RESOLVE takes it; ends in NULL. NULL: as the system says. */
    const char *const *resolved;
};

/* Whom a mail goes to: its envelope. */
struct kw_outgoing_mail {
    const struct kw_mail_relay *relay; /* borrowed */
    const char *const *to;             /* addresses, borrowed until `done` */
    size_t to_count;
};

/* One request, in the caller's memory until `done`. */
struct kw_outgoing_request {
    const char *url;
    struct kw_bytes body;                         /* sent by POST, as JSON; a mail with its headers */
    const struct kw_outgoing_mail *mail;          /* NULL: it is HTTP; else `url` is that of the relay */
    const char *headers[KW_OUTGOING_HEADERS_MAX]; /* "name: value"; borrowed until it is sent; NULLs behind */
    int64_t timeout_ms;
    bool is_look; /* nothing is sent: it only finds out whether its name leads to an address that is refused */
    void (*done)(struct kw_outgoing_request *request); /* on the thread of kw_outgoing_run */
    void *context;

    /* What became of it. */
    uint16_t http_status;         /* 0: there was no answer; of mail 250, or what the relay said instead */
    char error[KW_TRY_ERROR_MAX]; /* why not; empty: there was one */
    const char *refused;          /* what the guard said of an address; NULL: nothing */
    uint32_t duration_ms;
    uint8_t answer[KW_TRY_ANSWER_MAX]; /* its first bytes */
    size_t answer_size;
    size_t answer_total; /* bytes that were read */
    char retry_after[KW_RETRY_AFTER_TEXT_MAX];

    struct kw_outgoing *owner; /* its own, as what follows */
    void *easy, *header_list;
    size_t sent; /* bytes of a mail */
    struct kw_outgoing_request *next;
};

/* KW_E_MEMORY, KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw_outgoing_new(const struct kw_outgoing_options *options,
                                           struct kw_outgoing **outgoing_out);
/* Ends what is under way; its `done` is called, with an error. */
void kw_outgoing_free(struct kw_outgoing *outgoing);

/* Begins a request. KW_E_MEMORY: it was not begun, and `done` is not called. */
KW_MUST_USE enum kw_status kw_outgoing_send(struct kw_outgoing *outgoing, struct kw_outgoing_request *request);
/* Waits until something happens, `wait_ms` at most, and goes on with all requests. */
void kw_outgoing_run(struct kw_outgoing *outgoing, int wait_ms);
/* Ends a wait. From any thread. */
void kw_outgoing_wake(struct kw_outgoing *outgoing);

#endif
