/* Who sent a request that came through proxies: tables, and random headers against a slow model. */
#include "server/forwarded.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES_MAX 12
#define TEXT_MAX 512

static struct kw_address address_of(const char *text)
{
    struct kw_address address = {0};
    bool is_address = kw_address_parse(kw_bytes_of_text(text), &address);
    return is_address ? address : (struct kw_address){.bytes = {0xff}};
}

/* 10.0.0.0/8, 192.0.2.7 and 2001:db8:ffff::/48 are trusted. */
static const char *const trusted_texts[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48"};
static struct kw_address_range trusted_ranges[KW_COUNT_OF(trusted_texts)];

static struct kw_proxies proxies_of_tests(void)
{
    const char *why;
    for (size_t i = 0; i < KW_COUNT_OF(trusted_texts); i++) {
        if (kw_address_range_parse(kw_bytes_of_text(trusted_texts[i]), &trusted_ranges[i], &why) != KW_OK) {
            return (struct kw_proxies){NULL, 0};
        }
    }
    return (struct kw_proxies){trusted_ranges, KW_COUNT_OF(trusted_ranges)};
}

/* What the walk says, as text; "unknown" where nobody knows. Lines end in a NULL. */
static const char *client_of(const char *peer, const char *const *lines, char out[KW_ADDRESS_TEXT_MAX + 1])
{
    struct kw_proxies proxies = proxies_of_tests();
    struct kw_forwarded forwarded = {.count = 0};
    struct kw_address address = address_of(peer);
    struct kw_address client;
    for (size_t i = 0; lines[i] != NULL; i++) {
        kw_forwarded_add(&forwarded, kw_bytes_of_text(lines[i]));
    }
    if (!kw_forwarded_client(&forwarded, &address, &proxies, &client)) {
        return "unknown";
    }
    out[kw_address_format(&client, out)] = '\0';
    return out;
}

static void the_walk_goes_from_the_right(struct test *t)
{
    static const struct {
        const char *peer, *first, *second, *client;
    } cases[] = {
        {"198.51.100.1", NULL, NULL, "198.51.100.1"},
        {"198.51.100.1", "203.0.113.9", NULL, "198.51.100.1"}, /* not trusted: what it says is nothing */
        {"198.51.100.1", "unknown", NULL, "198.51.100.1"},
        {"10.0.0.1", NULL, NULL, "10.0.0.1"},
        {"10.0.0.1", "203.0.113.9", NULL, "203.0.113.9"},
        {"::ffff:10.0.0.1", "203.0.113.9", NULL, "203.0.113.9"},
        {"10.0.0.1", "192.0.2.1, 203.0.113.9", NULL, "203.0.113.9"}, /* the left one is made up */
        {"10.0.0.1", "10.9.9.9, 203.0.113.9", NULL, "203.0.113.9"},
        {"10.0.0.1", "unknown, 203.0.113.9", NULL, "203.0.113.9"},
        {"10.0.0.1", "203.0.113.9, 10.0.0.2, 192.0.2.7", NULL, "203.0.113.9"},
        {"10.0.0.1", "203.0.113.9, 192.0.2.8, 192.0.2.7", NULL, "192.0.2.8"},
        {"10.0.0.1", "10.0.0.3, 10.0.0.2", NULL, "10.0.0.3"}, /* all trusted: the leftmost */
        {"10.0.0.1", "192.0.2.1", "203.0.113.9", "203.0.113.9"},
        {"10.0.0.1", "203.0.113.9", "10.0.0.2", "203.0.113.9"},
        {"10.0.0.1", "1.1.1.1, 203.0.113.9", "10.0.0.3, 10.0.0.2", "203.0.113.9"},
        {"2001:db8:ffff::1", "2001:db8::5", NULL, "2001:db8::5"},
        {"2001:db8:fffe::1", "2001:db8::5", NULL, "2001:db8:fffe::1"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        char text[KW_ADDRESS_TEXT_MAX + 1];
        const char *const lines[] = {cases[i].first, cases[i].second, NULL};
        CHECK_TEXT(t, client_of(cases[i].peer, lines, text), cases[i].client);
    }
}

static void entries_have_these_forms(struct test *t)
{
    static const struct {
        const char *entry, *client;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {" \t192.0.2.1\t ", "192.0.2.1"},
        {"192.0.2.1:4711", "192.0.2.1"},
        {"192.0.2.1:0", "192.0.2.1"},
        {"192.0.2.1:65535", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:db8::1:4711", "2001:db8::1:4711"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:DB8::1]:4711", "2001:db8::1"},
        {"[::ffff:192.0.2.1]:1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
    };
    static const char *const bad[] = {"",
                                      " ",
                                      "unknown",
                                      "_hidden",
                                      "client.example",
                                      "192.0.2.1:",
                                      "192.0.2.1:65536",
                                      "192.0.2.1:123456",
                                      "192.0.2.1:x",
                                      "192.0.2.1:-1",
                                      "192.0.2.1 :80",
                                      "192.0.2.1 192.0.2.2",
                                      "192.0.2.1;192.0.2.2",
                                      "192.0.2.01",
                                      "192.0.2.0/24",
                                      "\"192.0.2.1\"",
                                      "for=192.0.2.1",
                                      "[192.0.2.1]",
                                      "[192.0.2.1]:80",
                                      "[2001:db8::1",
                                      "2001:db8::1]",
                                      "[2001:db8::1]80",
                                      "[2001:db8::1]:",
                                      "[2001:db8::1]:99999",
                                      "[2001:db8::1]]:80",
                                      "[[2001:db8::1]]",
                                      "[]",
                                      "[]:80",
                                      "[",
                                      ":",
                                      "::1%eth0",
                                      "fe80::1%eth0"};
    char text[KW_ADDRESS_TEXT_MAX + 1];
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        const char *const lines[] = {cases[i].entry, NULL};
        CHECK_TEXT(t, client_of("10.0.0.1", lines, text), cases[i].client);
    }
    for (size_t i = 0; i < KW_COUNT_OF(bad); i++) {
        char after[128];
        snprintf(after, sizeof after, "203.0.113.9, %s", bad[i]);
        const char *const lines[] = {bad[i], NULL};
        const char *const longer[] = {after, NULL};
        const char *const reached[] = {"203.0.113.9", bad[i], "10.0.0.4", NULL};
        CHECK_TEXT(t, client_of("10.0.0.1", lines, text), "unknown");
        CHECK_TEXT(t, client_of("10.0.0.1", longer, text), "unknown");
        CHECK_TEXT(t, client_of("10.0.0.1", reached, text), "unknown");
    }
}

/* `count` times the same entry, behind a first one. */
static const char *many(char *out, size_t size, const char *first, const char *entry, unsigned count)
{
    int end = snprintf(out, size, "%s", first);
    for (unsigned i = 0; i < count; i++) {
        end += snprintf(out + end, size - (size_t)end, ", %s", entry);
    }
    return out;
}

static void the_walk_has_an_end(struct test *t)
{
    char text[KW_ADDRESS_TEXT_MAX + 1];
    char line[TEXT_MAX];
    const char *const lines[] = {line, NULL};
    many(line, sizeof line, "203.0.113.9", "10.0.0.2", KW_FORWARDED_ENTRIES_MAX - 1);
    CHECK_TEXT(t, client_of("10.0.0.1", lines, text), "203.0.113.9");
    many(line, sizeof line, "203.0.113.9", "10.0.0.2", KW_FORWARDED_ENTRIES_MAX);
    CHECK_TEXT(t, client_of("10.0.0.1", lines, text), "unknown");
    /* What is made up does not end it before its time. */
    char made_up[KW_FORWARDED_LINES_MAX * TEXT_MAX];
    many(made_up, sizeof made_up, "203.0.113.9", "10.0.0.2", 200);
    const char *const after[] = {made_up, "198.51.100.4", NULL};
    CHECK_TEXT(t, client_of("10.0.0.1", after, text), "198.51.100.4");

    const char *headers[KW_FORWARDED_LINES_MAX + 4] = {"203.0.113.9"};
    for (size_t i = 1; i < KW_FORWARDED_LINES_MAX; i++) {
        headers[i] = "10.0.0.2";
    }
    CHECK_TEXT(t, client_of("10.0.0.1", headers, text), "203.0.113.9");
    headers[KW_FORWARDED_LINES_MAX] = "10.0.0.3";
    CHECK_TEXT(t, client_of("10.0.0.1", headers, text), "unknown");
    headers[KW_FORWARDED_LINES_MAX + 1] = "198.51.100.4";
    CHECK_TEXT(t, client_of("10.0.0.1", headers, text), "198.51.100.4");
    headers[KW_FORWARDED_LINES_MAX + 2] = "10.0.0.4";
    CHECK_TEXT(t, client_of("10.0.0.1", headers, text), "198.51.100.4");
}

/* --- a slow model: the whole list at once, the C library's own parser --- */

static bool model_parses(char *entry, struct kw_address *out)
{
    struct kw_address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
    entry += strspn(entry, " \t");
    for (size_t end = strlen(entry); end > 0 && strchr(" \t", entry[end - 1]) != NULL; end--) {
        entry[end - 1] = '\0';
    }
    char *port = entry[0] == '['                             ? strchr(entry, ']')
                 : strchr(entry, ':') == strrchr(entry, ':') ? strchr(entry, ':')
                                                             : NULL;
    if (entry[0] == '[') {
        if (port == NULL) {
            return false;
        }
        *port++ = '\0';
        port = *port == '\0' ? NULL : port;
        if (port != NULL && *port != ':') {
            return false;
        }
        entry++;
        if (inet_pton(AF_INET6, entry, address.bytes) != 1) {
            return false;
        }
    }
    if (port != NULL) {
        char again[16];
        *port++ = '\0';
        snprintf(again, sizeof again, "%ld", strtol(port, NULL, 10));
        if (strcmp(again, port) != 0 || strtol(port, NULL, 10) < 0 || strtol(port, NULL, 10) > 65535) {
            return false;
        }
    }
    *out = address;
    return inet_pton(AF_INET, entry, out->bytes + 12) == 1 || inet_pton(AF_INET6, entry, out->bytes) == 1;
}

static bool model_trusts(const struct kw_address *address)
{
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, address->bytes, text, sizeof text);
    return strncmp(text, "::ffff:10.", 10) == 0 || strcmp(text, "::ffff:192.0.2.7") == 0 ||
           strncmp(text, "2001:db8:ffff:", 14) == 0;
}

static bool model_client(const char *const *lines, size_t count, struct kw_address client, struct kw_address *out)
{
    char whole[LINES_MAX * TEXT_MAX] = "";
    char *entries[LINES_MAX * TEXT_MAX];
    size_t entry_count = 0;
    size_t start = count > KW_FORWARDED_LINES_MAX ? count - KW_FORWARDED_LINES_MAX : 0;
    for (size_t i = start; i < count; i++) {
        snprintf(whole + strlen(whole), sizeof whole - strlen(whole), "%s%s", i == start ? "" : ",", lines[i]);
    }
    if (count > 0) {
        char *rest = whole;
        while (rest != NULL) {
            entries[entry_count++] = strsep(&rest, ",");
        }
    }
    for (size_t walked = 0; model_trusts(&client); walked++) {
        if (walked == entry_count) {
            *out = client;
            return start == 0;
        }
        if (walked == KW_FORWARDED_ENTRIES_MAX || !model_parses(entries[entry_count - 1 - walked], &client)) {
            return false;
        }
    }
    *out = client;
    return true;
}

/* Mostly trusted addresses, so that walks are long; now and then any bytes at all. */
static void random_entry(struct test *t, char *out, size_t size)
{
    static const char *const plain[] = {"203.0.113.9", "2001:db8::9", "[2001:db8::9]:80", "192.0.2.8:1", "unknown", ""};
    static const char bytes[] = "0123456789abcdef:.[]% \t/x";
    unsigned last = (unsigned)test_random_below(t, 4);
    switch (test_random_below(t, 12)) {
    case 0:
        snprintf(out, size, "%s", plain[test_random_below(t, KW_COUNT_OF(plain))]);
        break;
    case 1: {
        size_t count = (size_t)test_random_below(t, 20);
        for (size_t i = 0; i < count; i++) {
            out[i] = bytes[test_random_below(t, sizeof bytes - 1)];
        }
        out[count] = '\0';
        break;
    }
    case 2:
        snprintf(out, size, "[2001:db8:ffff::%x]:%u", last, (unsigned)test_random_below(t, 70000));
        break;
    case 3:
        snprintf(out, size, "10.%u.0.1:%u", last, (unsigned)test_random_below(t, 70000));
        break;
    case 4:
        snprintf(out, size, "2001:db8:ffff::%x", last);
        break;
    case 5:
        snprintf(out, size, "192.0.2.7");
        break;
    default:
        snprintf(out, size, "%s10.0.0.%u%s", last == 0 ? "\t " : "", last, last == 1 ? " " : "");
    }
}

static void random_headers_mean_what_the_model_says(struct test *t)
{
    struct kw_proxies proxies = proxies_of_tests();
    unsigned known = 0, far = 0;
    for (unsigned round = 0; round < 50000; round++) {
        char texts[LINES_MAX][TEXT_MAX];
        const char *lines[LINES_MAX];
        struct kw_forwarded forwarded = {.count = 0};
        size_t count = (size_t)test_random_below(t, LINES_MAX);
        for (size_t i = 0; i < count; i++) {
            size_t entries = 1 + (size_t)test_random_below(t, 6);
            texts[i][0] = '\0';
            for (size_t j = 0; j < entries; j++) {
                char entry[64];
                random_entry(t, entry, sizeof entry);
                snprintf(texts[i] + strlen(texts[i]), TEXT_MAX - strlen(texts[i]), "%s%s", j == 0 ? "" : ",", entry);
            }
            lines[i] = texts[i];
            kw_forwarded_add(&forwarded, kw_bytes_of_text(texts[i]));
        }
        struct kw_address peer = address_of(test_random_below(t, 8) == 0 ? "198.51.100.1" : "10.0.0.1");
        struct kw_address expected = {0}, actual = {0};
        bool is_known = model_client(lines, count, peer, &expected);
        CHECK_I64(t, kw_forwarded_client(&forwarded, &peer, &proxies, &actual), is_known);
        if (is_known) {
            CHECK_BYTES(t, kw_bytes_of(actual.bytes, 16), kw_bytes_of(expected.bytes, 16));
        } else {
            CHECK_BYTES(t, kw_bytes_of(actual.bytes, 16), kw_bytes_of((uint8_t[16]){0}, 16)); /* untouched */
        }
        known += is_known;
        far += is_known && memcmp(expected.bytes, peer.bytes, sizeof peer.bytes) != 0;
        REQUIRE(t, t->failures == 0);
    }
    CHECK(t, known > 5000 && known < 45000 && far > 2000); /* both outcomes are seen, and walks */
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_walk_goes_from_the_right),
        TEST_CASE(entries_have_these_forms),
        TEST_CASE(the_walk_has_an_end),
        TEST_CASE(random_headers_mean_what_the_model_says),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
