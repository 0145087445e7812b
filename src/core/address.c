#include "core/address.h"

#include "core/internal.h"

#define ADDRESS_SIZE 16
#define IPV4_SIZE 4
#define IPV4_OFFSET (ADDRESS_SIZE - IPV4_SIZE)
#define ADDRESS_BITS 128
#define GROUP_SIZE 2 /* between two colons */
#define GROUP_COUNT (ADDRESS_SIZE / GROUP_SIZE)
#define GROUP_DIGITS_MAX 4
#define NO_GAP SIZE_MAX

/* --- Bits --- */

/* An address as two numbers. */
struct words {
    uint64_t high, low;
};

/* Written out, since compilers make one load of this, but not of a loop. */
static inline uint64_t load(const uint8_t bytes[8])
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 | (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
           (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 | (uint64_t)bytes[6] << 8 | (uint64_t)bytes[7];
}

static inline struct words words_of(const uint8_t bytes[ADDRESS_SIZE])
{
    return (struct words){load(bytes), load(bytes + 8)};
}

static inline struct words mask_of(unsigned bits)
{
    return (struct words){
        .high = bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits),
        .low = bits >= ADDRESS_BITS ? UINT64_MAX
               : bits <= 64         ? 0
                                    : ~(UINT64_MAX >> (bits - 64)),
    };
}

static inline bool is_ipv4(struct words address)
{
    return address.high == 0 && address.low >> 32 == 0xffff;
}

static inline bool holds(struct words first, unsigned bits, struct words address)
{
    uint64_t high = first.high ^ address.high;
    uint64_t low = first.low ^ address.low;
    bool is_same = bits > 64 ? (high | low >> (ADDRESS_BITS - bits)) == 0 : bits == 0 || high >> (64 - bits) == 0;
    return is_same && (bits >= KW_ADDRESS_IPV4_BITS || !is_ipv4(address));
}

static bool has_host_bits(const struct kw_address_range *range)
{
    struct words first = words_of(range->first.bytes);
    struct words mask = mask_of(range->bits);
    return ((first.high & ~mask.high) | (first.low & ~mask.low)) != 0;
}

bool kw_address_is_ipv4(const struct kw_address *address)
{
    return is_ipv4(words_of(address->bytes));
}

bool kw_address_range_holds(const struct kw_address_range *range, const struct kw_address *address)
{
    return holds(words_of(range->first.bytes), range->bits, words_of(address->bytes));
}

/* A range that begins with an IPv4 address is one of IPv4, since the prefix ends in a bit that is set. */
bool kw_address_range_within(const struct kw_address_range *inner, const struct kw_address_range *outer)
{
    return inner->bits >= outer->bits && kw_address_range_holds(outer, &inner->first);
}

/* --- Reading --- */

/* A number of 1 to 3 digits, without leading zero, below 256: how many digits it has, 0 where there is none. */
static inline size_t take_octet(const uint8_t *digits, size_t size, uint8_t *octet_out)
{
    unsigned first = size > 0 ? (unsigned)digits[0] - '0' : 10;
    unsigned second = size > 1 ? (unsigned)digits[1] - '0' : 10;
    unsigned third = size > 2 ? (unsigned)digits[2] - '0' : 10;
    if (first > 9 || second > 9) {
        *octet_out = (uint8_t)first;
        return first <= 9;
    }
    size_t count = third <= 9 ? 3 : 2;
    unsigned value = third <= 9 ? first * 100 + second * 10 + third : first * 10 + second;
    *octet_out = (uint8_t)value;
    return first != 0 && value <= UINT8_MAX ? count : 0;
}

/* A digit at a time, without a loop over them: many verifications state an address. */
static bool parse_ipv4(struct kw_bytes text, uint8_t out[IPV4_SIZE])
{
    size_t at = 0;
    for (size_t octet = 0; octet < IPV4_SIZE; octet++) {
        if (octet > 0 && (at == text.size || text.data[at++] != '.')) {
            return false;
        }
        size_t count = take_octet(text.data + at, text.size - at, &out[octet]);
        if (count == 0) {
            return false;
        }
        at += count;
    }
    return at == text.size;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The group that `rest` begins with, which then starts after it; a fifth digit is left where no colon is. */
static bool take_group(struct kw_bytes *rest, uint8_t out[GROUP_SIZE])
{
    unsigned value = 0;
    size_t digits = 0;
    while (digits < rest->size && digits < GROUP_DIGITS_MAX && hex_value(rest->data[digits]) >= 0) {
        value = value << 4 | (unsigned)hex_value(rest->data[digits]);
        digits++;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    *rest = kw_bytes_skip(*rest, digits);
    return digits != 0;
}

/* What stands between groups: ':', or once '::' instead of zeros, which `gap` then marks. A ':' ends no address. */
static bool take_colon(struct kw_bytes *rest, size_t size, size_t *gap)
{
    if (*gap == NO_GAP && kw_bytes_starts_with(*rest, KW_BYTES("::"))) {
        *gap = size;
        *rest = kw_bytes_skip(*rest, 2);
        return true;
    }
    if (rest->size < 2 || rest->data[0] != ':') {
        return false;
    }
    *rest = kw_bytes_skip(*rest, 1);
    return true;
}

/* Puts zeros in the gap, one group at least; without one everything must be there. */
static bool fill_gap(uint8_t bytes[ADDRESS_SIZE], size_t size, size_t gap)
{
    if (gap == NO_GAP) {
        return size == ADDRESS_SIZE;
    }
    if (size == ADDRESS_SIZE) {
        return false;
    }
    size_t after = size - gap;
    memmove(bytes + ADDRESS_SIZE - after, bytes + gap, after);
    memset(bytes + gap, 0, ADDRESS_SIZE - size);
    return true;
}

static bool parse_ipv6(struct kw_bytes text, uint8_t bytes[ADDRESS_SIZE])
{
    size_t size = 0;
    size_t gap = NO_GAP;
    struct kw_bytes rest = text;
    if (kw_bytes_starts_with(rest, KW_BYTES("::")) && !take_colon(&rest, size, &gap)) {
        return false;
    }
    while (rest.size != 0) {
        if (size != 0 && gap != size && !take_colon(&rest, size, &gap)) {
            return false;
        }
        if (rest.size == 0) {
            break; /* a gap at the end */
        }
        if (size + IPV4_SIZE <= ADDRESS_SIZE && parse_ipv4(rest, bytes + size)) {
            return fill_gap(bytes, size + IPV4_SIZE, gap);
        }
        if (size == ADDRESS_SIZE || !take_group(&rest, bytes + size)) {
            return false;
        }
        size += GROUP_SIZE;
    }
    return fill_gap(bytes, size, gap);
}

bool kw_address_parse(struct kw_bytes text, struct kw_address *out)
{
    struct kw_address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (!parse_ipv4(text, address.bytes + IPV4_OFFSET) && !parse_ipv6(text, address.bytes)) {
        return false;
    }
    *out = address;
    return true;
}

static enum kw_status refuse(const char *why, const char **why_out)
{
    *why_out = why;
    return KW_E_INVALID;
}

enum kw_status kw_address_range_parse(struct kw_bytes text, struct kw_address_range *out, const char **why_out)
{
    struct kw_bytes address;
    struct kw_bytes length;
    bool has_length = kw_bytes_split(text, '/', &address, &length);
    struct kw_address_range range;
    if (!kw_address_parse(address, &range.first)) {
        return refuse("is no IPv4 or IPv6 address, nor a range like 192.0.2.0/24 or 2001:db8::/32; numbers of IPv4 "
                      "have no leading zeros",
                      why_out);
    }
    uint64_t bits = ADDRESS_BITS;
    if (has_length) {
        bool as_ipv6 = memchr(address.data, ':', address.size) != NULL;
        uint64_t start = as_ipv6 ? 0 : KW_ADDRESS_IPV4_BITS;
        if (!kw_bytes_to_u64(length, &bits)) {
            return refuse("has no plain number after the '/'", why_out);
        }
        if (bits > ADDRESS_BITS - start) {
            return refuse(as_ipv6 ? "has more than 128 after the '/'" : "has more than 32 after the '/'", why_out);
        }
        bits += start;
    }
    range.bits = (uint8_t)bits;
    if (has_host_bits(&range)) {
        return refuse("has host bits set: write the first address of the range", why_out);
    }
    *out = range;
    return KW_OK;
}

/* --- Writing --- */

static size_t write_decimal(unsigned value, char *out)
{
    size_t size = 0;
    if (value >= 100) {
        out[size++] = (char)('0' + value / 100);
    }
    if (value >= 10) {
        out[size++] = (char)('0' + value / 10 % 10);
    }
    out[size++] = (char)('0' + value % 10);
    return size;
}

static size_t write_hex(unsigned value, char *out)
{
    size_t size = 0;
    for (unsigned shift = 16; shift > 0; shift -= 4) {
        unsigned digit = value >> (shift - 4) & 0xf;
        if (size != 0 || digit != 0 || shift == 4) {
            out[size++] = "0123456789abcdef"[digit];
        }
    }
    return size;
}

/* The longest run of groups that are 0, the first of equals; of one group it is not worth a "::" (RFC 5952, 4.2). */
static size_t zeros_of(const unsigned groups[GROUP_COUNT], size_t *count_out)
{
    size_t best = 0;
    size_t best_count = 0;
    for (size_t start = 0; start < GROUP_COUNT; start++) {
        size_t end = start;
        while (end < GROUP_COUNT && groups[end] == 0) {
            end++;
        }
        if (end - start > best_count) {
            best = start;
            best_count = end - start;
        }
    }
    *count_out = best_count > 1 ? best_count : 0;
    return best;
}

static size_t write_ipv4(const uint8_t bytes[IPV4_SIZE], char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < IPV4_SIZE; i++) {
        if (i != 0) {
            out[size++] = '.';
        }
        size += write_decimal(bytes[i], out + size);
    }
    return size;
}

static size_t write_ipv6(const uint8_t bytes[ADDRESS_SIZE], char *out)
{
    unsigned groups[GROUP_COUNT];
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    }
    size_t zero_count;
    size_t zeros = zeros_of(groups, &zero_count);
    size_t size = 0;
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (zero_count != 0 && i == zeros) {
            out[size++] = ':';
            out[size++] = ':';
            i += zero_count - 1;
            continue;
        }
        if (i != 0 && out[size - 1] != ':') {
            out[size++] = ':';
        }
        size += write_hex(groups[i], out + size);
    }
    return size;
}

size_t kw_address_format(const struct kw_address *address, char out[KW_ADDRESS_TEXT_MAX])
{
    return kw_address_is_ipv4(address) ? write_ipv4(address->bytes + IPV4_OFFSET, out)
                                       : write_ipv6(address->bytes, out);
}

size_t kw_address_range_format(const struct kw_address_range *range, char out[KW_ADDRESS_RANGE_TEXT_MAX])
{
    size_t size = kw_address_format(&range->first, out);
    if (range->bits < ADDRESS_BITS) {
        unsigned start = kw_address_is_ipv4(&range->first) ? KW_ADDRESS_IPV4_BITS : 0;
        out[size++] = '/';
        size += write_decimal(range->bits - start, out + size);
    }
    return size;
}

/* --- Packed --- */

void kw_address_range_pack(const struct kw_address_range *range, uint8_t out[KW_ADDRESS_RANGE_SIZE])
{
    memcpy(out, range->first.bytes, ADDRESS_SIZE);
    out[ADDRESS_SIZE] = range->bits;
}

static struct kw_address_range unpacked(const uint8_t packed[KW_ADDRESS_RANGE_SIZE])
{
    struct kw_address_range range = {.bits = packed[ADDRESS_SIZE]};
    memcpy(range.first.bytes, packed, ADDRESS_SIZE);
    return range;
}

bool kw_address_range_unpack(struct kw_bytes packed, struct kw_address_range *out)
{
    if (packed.size != KW_ADDRESS_RANGE_SIZE) {
        return false;
    }
    struct kw_address_range range = unpacked(packed.data);
    if (range.bits > ADDRESS_BITS || has_host_bits(&range)) {
        return false;
    }
    *out = range;
    return true;
}

bool kw_addresses_hold(struct kw_bytes packed_ranges, const struct kw_address *address)
{
    struct words wanted = words_of(address->bytes);
    const size_t step = 1 + KW_ADDRESS_RANGE_SIZE; /* each has its size before it */
    bool is_held = false;
    for (size_t at = 0; at + step <= packed_ranges.size && !is_held; at += step) {
        const uint8_t *range = packed_ranges.data + at + 1;
        is_held = range[-1] == KW_ADDRESS_RANGE_SIZE && holds(words_of(range), range[ADDRESS_SIZE], wanted);
    }
    return is_held;
}

static bool any_contains(struct kw_bytes rest, const struct kw_address_range *inner)
{
    struct kw_bytes item;
    while (kw__list_next(&rest, &item)) {
        struct kw_address_range outer;
        if (kw_address_range_unpack(item, &outer) && kw_address_range_within(inner, &outer)) {
            return true;
        }
    }
    return false;
}

bool kw_addresses_within(const struct kw_list *inner, const struct kw_list *outer)
{
    struct kw_bytes rest = inner->packed;
    struct kw_bytes item;
    while (kw__list_next(&rest, &item)) {
        struct kw_address_range range;
        if (!kw_address_range_unpack(item, &range) || !any_contains(outer->packed, &range)) {
            return false;
        }
    }
    return true;
}
