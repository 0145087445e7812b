#include "core/guard.h"

#include "base/bytes.h"

/* --- addresses --- */

/*
 * What is not the public internet: the special-purpose registries of IANA (RFC 6890 and what was entered since), and
 * the address that one cloud's machines ask for their own settings. Ranges stand in order; the first that holds counts.
 */
struct special {
    uint8_t first[16];
    uint8_t bits;
    const char *what;
};

#define IPV4(a, b, c, d) \
    { \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d \
    }
#define IPV4_BITS(bits) (KW_ADDRESS_IPV4_BITS + (bits))

static const struct special ipv4_ranges[] = {
    {IPV4(0, 0, 0, 0), IPV4_BITS(8), "an address of \"this network\""},
    {IPV4(10, 0, 0, 0), IPV4_BITS(8), "a private address"},
    {IPV4(100, 64, 0, 0), IPV4_BITS(10), "an address behind a provider's NAT"},
    {IPV4(127, 0, 0, 0), IPV4_BITS(8), "a loopback address"},
    {IPV4(169, 254, 169, 254), IPV4_BITS(32), "the address of a metadata service"},
    {IPV4(169, 254, 0, 0), IPV4_BITS(16), "a link-local address"},
    {IPV4(168, 63, 129, 16), IPV4_BITS(32), "the address of a metadata service"},
    {IPV4(172, 16, 0, 0), IPV4_BITS(12), "a private address"},
    {IPV4(192, 0, 0, 0), IPV4_BITS(24), "an address that is set aside for protocols"},
    {IPV4(192, 0, 2, 0), IPV4_BITS(24), "an address for documentation"},
    {IPV4(192, 88, 99, 0), IPV4_BITS(24), "an address of a relay"},
    {IPV4(192, 168, 0, 0), IPV4_BITS(16), "a private address"},
    {IPV4(198, 18, 0, 0), IPV4_BITS(15), "an address for measurements"},
    {IPV4(198, 51, 100, 0), IPV4_BITS(24), "an address for documentation"},
    {IPV4(203, 0, 113, 0), IPV4_BITS(24), "an address for documentation"},
    {IPV4(224, 0, 0, 0), IPV4_BITS(4), "a multicast address"},
    {IPV4(240, 0, 0, 0), IPV4_BITS(4), "a reserved address"},
};

static const struct special ipv6_ranges[] = {
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "an address for documentation"},
    {{0x20, 0x01, 0x00}, 23, "an address that is set aside for protocols"}, /* Teredo too */
    {{0x3f, 0xff, 0x00}, 20, "an address for documentation"},
    {{0xfc}, 7, "a private address"},
    {{0xfe, 0x80}, 10, "a link-local address"},
    {{0xff}, 8, "a multicast address"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "a loopback address"},
    {{0}, 128, "the address of no machine"},
};

/* The unicast addresses that are given out at all. */
static const struct special ipv6_public = {{0x20}, 3, "a reserved address"};

/* Where an IPv6 address has an IPv4 one in it. */
static const struct {
    uint8_t first[16];
    uint8_t bits;
    uint8_t at;
} carriers[] = {
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12}, /* NAT64, RFC 6052 */
    {{0x20, 0x02}, 16, 2},              /* 6to4, RFC 3056 */
};

static bool lies_in(const struct kw_address *address, const uint8_t first[16], uint8_t bits)
{
    size_t whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));
    return memcmp(address->bytes, first, whole) == 0 &&
           (bits % 8 == 0 || (address->bytes[whole] & mask) == (first[whole] & mask));
}

static const char *look_up(const struct special *ranges, size_t count, const struct kw_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (lies_in(address, ranges[i].first, ranges[i].bits)) {
            return ranges[i].what;
        }
    }
    return NULL;
}

/* The interface part of an ISATAP address (RFC 5214): 0000:5efe or 0200:5efe, then an IPv4 address. */
static bool is_isatap(const struct kw_address *address)
{
    const uint8_t *part = address->bytes + 8;
    return (part[0] & 0xfd) == 0 && part[1] == 0 && part[2] == 0x5e && part[3] == 0xfe;
}

static bool find_carried(const struct kw_address *address, struct kw_address *carried_out)
{
    size_t at = is_isatap(address) ? 12 : 0;
    for (size_t i = 0; i < KW_COUNT_OF(carriers) && at == 0; i++) {
        at = lies_in(address, carriers[i].first, carriers[i].bits) ? carriers[i].at : 0;
    }
    if (at == 0) {
        return false;
    }
    *carried_out = (struct kw_address){IPV4(0, 0, 0, 0)};
    memcpy(carried_out->bytes + 12, address->bytes + at, 4);
    return true;
}

static bool is_allowed(const struct kw_guard *guard, const struct kw_address *address)
{
    bool allowed = false;
    for (size_t i = 0; i < guard->allowed_count && !allowed; i++) {
        allowed = kw_address_range_holds(&guard->allowed[i], address);
    }
    return allowed;
}

static const char *refuses_plain(const struct kw_guard *guard, const struct kw_address *address)
{
    if (is_allowed(guard, address)) {
        return NULL;
    }
    if (kw_address_is_ipv4(address)) {
        return look_up(ipv4_ranges, KW_COUNT_OF(ipv4_ranges), address);
    }
    return look_up(ipv6_ranges, KW_COUNT_OF(ipv6_ranges), address);
}

const char *kw_guard_refuses(const struct kw_guard *guard, const struct kw_address *address)
{
    struct kw_address carried;
    if (kw_address_is_ipv4(address) || is_allowed(guard, address)) {
        return refuses_plain(guard, address);
    }
    const char *what = refuses_plain(guard, address);
    if (what == NULL && find_carried(address, &carried)) {
        /* NAT64's own prefix lies beside the public addresses; whom it leads to is what counts. */
        return refuses_plain(guard, &carried);
    }
    bool is_public = lies_in(address, ipv6_public.first, ipv6_public.bits);
    return what != NULL || is_public ? what : ipv6_public.what;
}

/* --- URLs --- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_of_name(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_';
}

static struct kw_bytes without_last_dot(struct kw_bytes host)
{
    bool has_dot = host.size > 0 && host.data[host.size - 1] == '.';
    return kw_bytes_of(host.data, host.size - has_dot);
}

static struct kw_bytes last_label(struct kw_bytes host)
{
    size_t from = host.size;
    while (from > 0 && host.data[from - 1] != '.') {
        from--;
    }
    return kw_bytes_skip(host, from);
}

/* What a lenient reader would take for a number: digits, or 0x and hexadecimal ones. */
static bool is_number(struct kw_bytes label)
{
    bool has_mark = label.size >= 2 && label.data[0] == '0' && (label.data[1] | 0x20) == 'x';
    bool number = label.size > 0;
    for (size_t i = has_mark ? 2 : 0; i < label.size && number; i++) {
        number = has_mark ? is_hex(label.data[i]) : is_digit(label.data[i]);
    }
    return number;
}

static bool is_name(struct kw_bytes host)
{
    struct kw_bytes rest = without_last_dot(host);
    struct kw_bytes label;
    bool good = rest.size > 0 && rest.size <= KW_HOST_MAX;
    while (good && rest.size > 0) {
        bool has_more = kw_bytes_split(rest, '.', &label, &rest);
        good = label.size >= 1 && label.size <= 63 && !(has_more && rest.size == 0);
        for (size_t i = 0; i < label.size && good; i++) {
            good = is_of_name(label.data[i]);
        }
    }
    return good;
}

static bool take_port(struct kw_bytes text, struct kw_url *url)
{
    uint64_t port = 0;
    if (text.size == 0) {
        return true;
    }
    bool good = kw_bytes_to_u64(text, &port) && port >= 1 && port <= UINT16_MAX;
    url->port = good ? (uint16_t)port : 0;
    return good;
}

static const char *take_host(struct kw_bytes host, struct kw_url *url)
{
    url->host = host;
    struct kw_bytes plain = without_last_dot(host);
    if (is_number(last_label(plain))) {
        url->is_address = true;
        return kw_address_parse(plain, &url->address) ? NULL
                                                      : "has a number as its host: write an IPv4 address as four "
                                                        "decimal numbers without leading zeros";
    }
    return is_name(host) ? NULL : "has no host that could be looked up";
}

static const char *take_authority(struct kw_bytes authority, struct kw_url *url)
{
    struct kw_bytes port = {NULL, 0};
    if (memchr(authority.data, '@', authority.size) != NULL) {
        return "must not hold a user or password: requests are signed instead";
    }
    if (authority.data[0] == '[') {
        const uint8_t *end = memchr(authority.data, ']', authority.size);
        size_t size = end == NULL ? 0 : (size_t)(end - authority.data);
        url->host = kw_bytes_of(authority.data + 1, size == 0 ? 0 : size - 1);
        url->is_address = true;
        struct kw_bytes behind = end == NULL ? authority : kw_bytes_skip(authority, size + 1);
        bool is_address = memchr(url->host.data, ':', url->host.size) != NULL &&
                          kw_address_parse(url->host, &url->address) && (behind.size == 0 || behind.data[0] == ':');
        return is_address && take_port(kw_bytes_skip(behind, 1), url) ? NULL : "has no IPv6 address in its brackets";
    }
    struct kw_bytes host;
    (void)kw_bytes_split(authority, ':', &host, &port);
    if (!take_port(port, url)) {
        return "has a port that is no number from 1 to 65535";
    }
    return take_host(host, url);
}

static const char *parse(struct kw_bytes text, struct kw_url *url)
{
    struct kw_bytes https = KW_BYTES("https://"), http = KW_BYTES("http://");
    if (text.size > KW_URL_MAX) {
        return "is too long: at most 2,048 bytes";
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f || strchr("\\\"<>^`{|}", text.data[i]) != NULL) {
            return "holds what must be percent-encoded";
        }
    }
    if (memchr(text.data, '#', text.size) != NULL) {
        return "must not have a fragment: leave out what begins with #";
    }
    url->is_https = kw_bytes_equal_ignoring_case(kw_bytes_of(text.data, text.size < 8 ? text.size : 8), https);
    url->port = url->is_https ? 443 : 80;
    if (!url->is_https && !kw_bytes_equal_ignoring_case(kw_bytes_of(text.data, text.size < 7 ? text.size : 7), http)) {
        return "must begin with https:// or http://";
    }
    struct kw_bytes rest = kw_bytes_skip(text, url->is_https ? https.size : http.size);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?') {
        size++;
    }
    return size == 0 ? "has no host" : take_authority(kw_bytes_of(rest.data, size), url);
}

bool kw_url_parse(struct kw_bytes text, struct kw_url *url_out, const char **why_out)
{
    struct kw_url url = {.port = 0};
    const char *why = text.size == 0 ? "must not be empty" : parse(text, &url);
    if (why != NULL) {
        *why_out = why;
        return false;
    }
    *url_out = url;
    return true;
}

/* Names that are never those of a public machine: RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what clouds use. */
static const char *const inner_names[] = {"localhost", "localdomain", "local", "internal",
                                          "intranet",  "lan",         "home",  "corp"};

const char *kw_guard_refuses_url(const struct kw_guard *guard, const struct kw_url *url)
{
    if (url->is_address) {
        return kw_guard_refuses(guard, &url->address);
    }
    struct kw_bytes last = last_label(without_last_dot(url->host));
    struct kw_bytes home = KW_BYTES("home.arpa");
    struct kw_bytes host = without_last_dot(url->host);
    bool is_inner =
        host.size >= home.size && kw_bytes_equal_ignoring_case(kw_bytes_skip(host, host.size - home.size), home);
    for (size_t i = 0; i < KW_COUNT_OF(inner_names) && !is_inner; i++) {
        is_inner = kw_bytes_equal_ignoring_case(last, kw_bytes_of_text(inner_names[i]));
    }
    return is_inner && guard->allowed_count == 0 ? "a name of this machine or its own network" : NULL;
}
