/*
 * How long a call waits for a server's answer. A server that makes a change of a million keys answers nothing else that
 * has to be written until it is done, but goes on answering at /healthz: so a call whose answer is late asks there, and
 * waits on as long as there is a sign of life, up to the caller's --timeout.
 */
#ifndef KW_CLI_PATIENCE_H
#define KW_CLI_PATIENCE_H

#include "cli/cli.h"

#include <curl/curl.h>

/* Of one server. */
struct kw_patience {
    const char *url;
    const char *ca_file; /* NULL: the system's */
    bool is_loopback;
    int64_t timeout_ms;        /* without an answer; of an answer that is taken piece by piece, without another piece */
    struct kw_output *notices; /* where it is said that an answer is late; NULL: nowhere */

    /* of the call under way */
    bool follows;
    int signals;
    bool is_endless, is_told, has_given_up, was_silent;
    curl_off_t moved; /* bytes, both ways */
    uint64_t moved_ns, heard_ns, asked_ns;
};

/* What every call of a server needs: no redirects, no signals, no proxy for this machine. */
void kw_patience_set_up(CURL *curl, const char *ca_file, bool is_loopback);

/* Makes the next transfer of `curl` one that waits so. `is_endless`: its answer may be of any size, and take any time.
 */
void kw_patience_begin(struct kw_patience *patience, CURL *curl, bool is_endless);

/* After that: it follows what happens. A server that says nothing for three of its signs of life is gone, whatever the
 * timeout; a signal that arrives ends the transfer. */
void kw_patience_follow(struct kw_patience *patience, int signals);

/* After a transfer that failed with `code`: "has not answered within 15m (--timeout)"; or NULL, where it failed for
 * another reason. */
const char *kw_patience_end(const struct kw_patience *patience, CURLcode code, char *memory, size_t size);

#endif
