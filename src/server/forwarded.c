#include "server/forwarded.h"

#include "base/bytes.h"

#define PORT_DIGITS_MAX 5

static bool is_trusted(const struct kw_proxies *proxies, const struct kw_address *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (kw_address_range_holds(&proxies->ranges[i], address)) {
            return true;
        }
    }
    return false;
}

static bool is_port(struct kw_bytes text)
{
    uint64_t port;
    return text.size <= PORT_DIGITS_MAX && kw_bytes_to_u64(text, &port) && port <= UINT16_MAX;
}

static struct kw_bytes trim(struct kw_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* "[2001:db8::1]", with or without a port behind it. */
static bool parse_brackets(struct kw_bytes text, struct kw_address *out)
{
    struct kw_bytes inside, behind;
    if (!kw_bytes_split(kw_bytes_skip(text, 1), ']', &inside, &behind) ||
        memchr(inside.data, ':', inside.size) == NULL) {
        return false;
    }
    bool is_whole = behind.size == 0 || (behind.data[0] == ':' && is_port(kw_bytes_skip(behind, 1)));
    return is_whole && kw_address_parse(inside, out);
}

static bool parse_entry(struct kw_bytes text, struct kw_address *out)
{
    struct kw_bytes address, port;
    text = trim(text);
    if (text.size > 0 && text.data[0] == '[') {
        return parse_brackets(text, out);
    }
    /* One colon stands before a port; an address of IPv6 has two at least. */
    bool has_colon = kw_bytes_split(text, ':', &address, &port);
    if (has_colon && (port.size == 0 || memchr(port.data, ':', port.size) == NULL)) {
        return is_port(port) && kw_address_parse(address, out);
    }
    return kw_address_parse(text, out);
}

/* Takes the last entry of a line. True when there are others before it. */
static bool take_last(struct kw_bytes *line, struct kw_bytes *entry_out)
{
    size_t start = line->size;
    while (start > 0 && line->data[start - 1] != ',') {
        start--;
    }
    *entry_out = kw_bytes_skip(*line, start);
    line->size = start == 0 ? 0 : start - 1;
    return start > 0;
}

bool kw_forwarded_client(const struct kw_forwarded *forwarded, const struct kw_address *peer,
                         const struct kw_proxies *proxies, struct kw_address *client_out)
{
    struct kw_address client = *peer;
    size_t entries = 0;
    size_t first = forwarded->count < KW_FORWARDED_LINES_MAX ? 0 : forwarded->count - KW_FORWARDED_LINES_MAX;
    for (size_t at = forwarded->count; at > first && is_trusted(proxies, &client); at--) {
        struct kw_bytes line = forwarded->lines[(at - 1) % KW_FORWARDED_LINES_MAX];
        bool has_more = true;
        while (has_more && is_trusted(proxies, &client)) {
            struct kw_bytes entry;
            has_more = take_last(&line, &entry);
            if (entries++ == KW_FORWARDED_ENTRIES_MAX || !parse_entry(entry, &client)) {
                return false;
            }
        }
    }
    if (first > 0 && is_trusted(proxies, &client)) {
        return false;
    }
    *client_out = client;
    return true;
}
