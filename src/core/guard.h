/*
 * The guard of what goes out of the house: which addresses a request of Keyward's own may be sent to. Whoever may name
 * an endpoint could else reach what only this machine can: services on its loopback and in its network, and the
 * metadata of its cloud. Every address is asked about when it is connected to, however it was found; what a URL already
 * shows is refused when it is set up. Pure: it resolves nothing.
 */
#ifndef KW_CORE_GUARD_H
#define KW_CORE_GUARD_H

#include "core/address.h"

#define KW_GUARD_ALLOWED_MAX 64 /* ranges that an operator may open */
#define KW_URL_MAX 2048         /* bytes */
#define KW_HOST_MAX 253

/* What an operator has opened. Zero: nothing but the public internet. */
struct kw_guard {
    const struct kw_address_range *allowed; /* borrowed */
    size_t allowed_count;
};

/*
 * NULL when the address may be connected to: it is a public one, or lies in a range that was opened. Else what it is
 * ("a loopback address"). An IPv6 address that carries an IPv4 one (NAT64, 6to4, ISATAP) is what that one is.
 */
const char *kw_guard_refuses(const struct kw_guard *guard, const struct kw_address *address);

/* A URL that a request may go to. Borrows from its text. */
struct kw_url {
    bool is_https;
    bool is_address;      /* `address` is what stands there as its host */
    struct kw_bytes host; /* without brackets, as it was written */
    struct kw_address address;
    uint16_t port; /* the one that is meant where none is written */
};

/*
 * http:// or https://, a host, a port if need be, a path and a query; no user, no fragment, nothing that is not visible
 * ASCII. A host whose last part is a number must be an IPv4 address in its usual form: what else programs take for one
 * ("0177.1", "2130706433", "0x7f.1") is refused. False with `why_out` to stand after the name of what was given.
 */
KW_MUST_USE bool kw_url_parse(struct kw_bytes text, struct kw_url *url_out, const char **why_out);

/*
 * What a URL alone shows: an address that the guard refuses, or a name that is the machine's own or of no public
 * network ("localhost", "printer.local"), as long as nothing was opened. NULL: nothing; its name is yet to be resolved.
 */
const char *kw_guard_refuses_url(const struct kw_guard *guard, const struct kw_url *url);

#endif
