/*
 * Whose request it is that came through proxies: the address at the other end of the socket, and what the proxies wrote
 * into X-Forwarded-For. Each proxy adds to the right of what it was sent, so the list is read from the right, and only
 * as far as whoever wrote it is trusted; all that stands left of there a client may have made up. Pure; knows no
 * sockets.
 */
#ifndef KW_SERVER_FORWARDED_H
#define KW_SERVER_FORWARDED_H

#include "core/address.h"

#define KW_PROXIES_MAX 64        /* ranges of trusted proxies */
#define KW_FORWARDED_LINES_MAX 8 /* headers of a request that are looked at, from the last */
#define KW_FORWARDED_ENTRIES_MAX 32

/* The values of the X-Forwarded-For headers of one request, borrowed. What follows a value in a later one is to the
 * right of it. All zero: none. */
struct kw_forwarded {
    struct kw_bytes lines[KW_FORWARDED_LINES_MAX]; /* the n-th, from 0, at n % KW_FORWARDED_LINES_MAX: the last stay */
    size_t count;                                  /* that there were */
};

/* The addresses of proxies that say the truth of where they had a request from. */
struct kw_proxies {
    const struct kw_address_range *ranges;
    size_t count;
};

static inline void kw_forwarded_add(struct kw_forwarded *forwarded, struct kw_bytes value)
{
    forwarded->lines[forwarded->count++ % KW_FORWARDED_LINES_MAX] = value;
}

/*
 * The first address from the right that is no trusted proxy, `peer` being the rightmost; where all are trusted, the
 * leftmost. Entries are addresses, with or without a port ("192.0.2.1:4711", "[2001:db8::1]:4711") and with spaces and
 * tabs around. False, with `client_out` untouched, where a trusted proxy wrote something else there, or where the
 * limits above end the walk: then nobody knows.
 */
KW_MUST_USE bool kw_forwarded_client(const struct kw_forwarded *forwarded, const struct kw_address *peer,
                                     const struct kw_proxies *proxies, struct kw_address *client_out);

#endif
