/*
 * IP addresses, and the ranges of them that a key may be used from. There is one form: an IPv4 address is kept as its
 * IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that "::ffff:192.0.2.1" and "192.0.2.1" are the same. Texts are read
 * strictly, since what one program takes for octal or for a short form another does not. Nothing here knows sockets.
 */
#ifndef KW_CORE_ADDRESS_H
#define KW_CORE_ADDRESS_H

#include <keyward/record.h>

struct kw_address {
    uint8_t bytes[16]; /* in network order */
};

/* The addresses whose first `bits` bits are those of `first`; all other bits of `first` are 0. */
struct kw_address_range {
    struct kw_address first;
    uint8_t bits; /* 0 to 128, of the mapped form: "10.0.0.0/8" has 104 */
};

#define KW_ADDRESS_TEXT_MAX 39       /* what kw_address_format writes, without NUL */
#define KW_ADDRESS_RANGE_TEXT_MAX 43 /* and kw_address_range_format */
#define KW_ADDRESS_RANGE_SIZE 17     /* a packed range: its first address, its bits */
#define KW_ADDRESS_IPV4_BITS 96      /* the prefix that all IPv4-mapped addresses share */

/* True when the address is an IPv4 one. */
bool kw_address_is_ipv4(const struct kw_address *address);

/*
 * Four decimal numbers without leading zeros, or the text of an IPv6 address (RFC 4291, 2.2), whose last 32 bits may be
 * four decimal numbers. No zone, no port, no brackets, no white space. `out` is untouched on false.
 */
KW_MUST_USE bool kw_address_parse(struct kw_bytes text, struct kw_address *out);

/*
 * An address, which is a range of one, or a range in CIDR notation (RFC 4632, 3.1; RFC 4291, 2.3): address, '/', length
 * of the prefix, up to 32 or 128 as the address is written. KW_E_INVALID when it is neither, or when bits are set
 * behind the prefix; `why_out` is then what is wrong, to stand after the name of what was given, and `out` untouched.
 */
KW_MUST_USE enum kw_status kw_address_range_parse(struct kw_bytes text, struct kw_address_range *out,
                                                  const char **why_out);

/* The canonical text (RFC 5952, 4), of IPv4 the four numbers. Returns its size; no NUL is written. */
size_t kw_address_format(const struct kw_address *address, char out[KW_ADDRESS_TEXT_MAX]);
/* As above, with "/" and the length of the prefix, unless the range is a single address. */
size_t kw_address_range_format(const struct kw_address_range *range, char out[KW_ADDRESS_RANGE_TEXT_MAX]);

/* As a record keeps it. Unpacking checks size, bits, and that none is set behind the prefix. */
void kw_address_range_pack(const struct kw_address_range *range, uint8_t out[KW_ADDRESS_RANGE_SIZE]);
KW_MUST_USE bool kw_address_range_unpack(struct kw_bytes packed, struct kw_address_range *out);

/*
 * True when the address lies in the range. IPv4 addresses lie in ranges of IPv4 only: "::/0" is all of IPv6, and
 * "0.0.0.0/0" (that is, "::ffff:0:0/96") all of IPv4.
 */
bool kw_address_range_holds(const struct kw_address_range *range, const struct kw_address *address);

/*
 * True when the prefix of `outer` begins that of `inner`, and both are ranges of IPv4 or neither is. So whatever
 * `inner` holds, `outer` holds.
 */
bool kw_address_range_within(const struct kw_address_range *inner, const struct kw_address_range *outer);

/* Of lists whose items are packed ranges that unpacking accepts; items of another size hold nothing. */

/* True when one of the ranges holds the address. */
bool kw_addresses_hold(struct kw_bytes packed_ranges, const struct kw_address *address);

/*
 * True when every range of `inner` lies within one of `outer`. Never true where `inner` holds more; but ranges of
 * `outer` are not put together: "10.0.0.0/8" is not within "10.0.0.0/9" and "10.128.0.0/9".
 */
bool kw_addresses_within(const struct kw_list *inner, const struct kw_list *outer);

#endif
