/*
 * How many keys were refused, by the address that sent them: a small table of fixed size in this process's memory. It
 * forgets with the minute. Where more addresses fail than it has room for, those that failed least are forgotten first,
 * so it errs towards letting through. Addresses of IPv6 count by their /64, which is what one subscriber has.
 */
#ifndef KW_SERVER_FAILURES_H
#define KW_SERVER_FAILURES_H

#include "core/address.h"

#define KW_FAILURES_MAX 60 /* in one minute of the clock, from one address */

struct kw_failures;

KW_MUST_USE enum kw_status kw_failures_new(struct kw_failures **failures_out);
void kw_failures_free(struct kw_failures *failures);

/*
 * Counts one more failure of `address`. Returns 0, or the seconds until the address is let off once it has passed
 * KW_FAILURES_MAX. Any number of threads; takes no lock.
 */
unsigned kw_failures_count(struct kw_failures *failures, const struct kw_address *address, int64_t now_ms);

#endif
