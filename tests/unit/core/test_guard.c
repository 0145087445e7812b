#include "core/guard.h"
#include "support/test.h"

/* Addresses by their text, and a word of what they are; NULL: public. */
static const struct {
    const char *address, *what;
} addresses[] = {
    {"8.8.8.8", NULL},
    {"1.1.1.1", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "NAT"},
    {"100.127.255.255", "NAT"},
    {"100.128.0.0", NULL},
    {"127.0.0.1", "loopback"},
    {"127.255.255.254", "loopback"},
    {"10.0.0.1", "private"},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"172.32.0.0", NULL},
    {"192.168.1.1", "private"},
    {"169.254.169.254", "metadata"},
    {"169.254.1.1", "link-local"},
    {"168.63.129.16", "metadata"},
    {"100.100.100.200", "NAT"},
    {"0.0.0.0", "this network"},
    {"0.1.2.3", "this network"},
    {"192.0.0.192", "protocols"},
    {"192.0.2.1", "documentation"},
    {"198.18.0.1", "measurements"},
    {"198.51.100.1", "documentation"},
    {"203.0.113.1", "documentation"},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.255", "reserved"},
    {"2606:4700:4700::1111", NULL},
    {"2a00:1450:4001:80e::200e", NULL},
    {"::1", "loopback"},
    {"::", "no machine"},
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:169.254.169.254", "metadata"},
    {"::ffff:7f00:1", "loopback"},
    {"::127.0.0.1", "reserved"},
    {"::ffff:0:127.0.0.1", "reserved"},
    {"64:ff9b::127.0.0.1", "loopback"},
    {"64:ff9b::8.8.8.8", NULL},
    {"64:ff9b::a00:1", "private"},
    {"64:ff9b:1::8.8.8.8", "reserved"},
    {"2002:7f00:1::", "loopback"},
    {"2002:a00:1::1", "private"},
    {"2002:808:808::1", NULL},
    {"2001:0:4136:e378::1", "protocols"},
    {"2001:db8::1", "documentation"},
    {"3fff::1", "documentation"},
    {"2607:f8b0::5efe:10.0.0.1", "private"},
    {"2607:f8b0::200:5efe:8.8.8.8", NULL},
    {"fc00::1", "private"},
    {"fd00:ec2::254", "private"},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "reserved"},
    {"ff02::1", "multicast"},
    {"4000::1", "reserved"},
};

static const struct kw_guard closed;

static struct kw_address address_of(struct test *t, const char *text)
{
    struct kw_address address = {{0}};
    if (!kw_address_parse(kw_bytes_of_text(text), &address)) {
        test_fail(t, __FILE__, __LINE__, "no address: %s", text);
    }
    return address;
}

static void only_public_addresses_pass(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(addresses); i++) {
        struct kw_address address = address_of(t, addresses[i].address);
        const char *what = kw_guard_refuses(&closed, &address);
        bool good = addresses[i].what == NULL ? what == NULL : what != NULL && strstr(what, addresses[i].what) != NULL;
        if (!good) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", addresses[i].address, what == NULL ? "passes" : what);
        }
    }
}

static void an_operator_opens_a_range_and_no_more(struct test *t)
{
    static const struct {
        const char *address;
        bool passes;
    } cases[] = {
        {"10.1.2.3", true},       {"10.2.0.0", false},       {"127.0.0.1", false},          {"8.8.8.8", true},
        {"fd00::5", true},        {"fe80::5", false},        {"::ffff:10.1.2.3", true},     {"64:ff9b::10.1.2.3", true},
        {"2002:a01:203::", true}, {"2002:a02:203::", false}, {"64:ff9b::127.0.0.1", false}, {"fd01::5", false},
    };
    struct kw_address_range ranges[2];
    const char *why;
    REQUIRE_OK(t, kw_address_range_parse(KW_BYTES("10.1.0.0/16"), &ranges[0], &why));
    REQUIRE_OK(t, kw_address_range_parse(KW_BYTES("fd00::/64"), &ranges[1], &why));
    struct kw_guard guard = {ranges, 2};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_address address = address_of(t, cases[i].address);
        bool passes = kw_guard_refuses(&guard, &address) == NULL;
        if (passes != cases[i].passes) {
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].address);
        }
    }
}

/* An address that carries another is refused exactly when that one is. */
static void what_is_carried_counts(struct test *t)
{
    for (int i = 0; i < 20000; i++) {
        uint32_t drawn = (uint32_t)test_random(t);
        struct kw_address plain = {.bytes = {[10] = 0xff, [11] = 0xff}};
        struct kw_address nat64 = {.bytes = {0x00, 0x64, 0xff, 0x9b}};
        struct kw_address six_to_four = {.bytes = {0x20, 0x02}};
        struct kw_address isatap = {.bytes = {0x26, 0x07, [10] = 0x5e, [11] = 0xfe}};
        memcpy(plain.bytes + 12, &drawn, 4);
        memcpy(nat64.bytes + 12, &drawn, 4);
        memcpy(six_to_four.bytes + 2, &drawn, 4);
        memcpy(isatap.bytes + 12, &drawn, 4);
        bool passes = kw_guard_refuses(&closed, &plain) == NULL;
        CHECK_I64(t, kw_guard_refuses(&closed, &nat64) == NULL, passes);
        CHECK_I64(t, kw_guard_refuses(&closed, &six_to_four) == NULL, passes);
        CHECK_I64(t, kw_guard_refuses(&closed, &isatap) == NULL, passes);
    }
}

/* URLs, and whether they may be set up. */
static const struct {
    const char *url;
    bool parses, passes;
} urls[] = {
    {"https://hooks.example.com/keyward", true, true},
    {"HTTPS://hooks.example.com:8443?x=1", true, true},
    {"http://hooks.example.com./x", true, true},
    {"http://8.8.8.8/x", true, true},
    {"http://[2606:4700:4700::1111]:80/", true, true},
    {"http://1.2.3.4.example.com/", true, true},
    {"http://127.0.0.1/", true, false},
    {"http://127.0.0.1./", true, false},
    {"http://[::1]/", true, false},
    {"http://[::ffff:127.0.0.1]/", true, false},
    {"http://[::ffff:7f00:1]/", true, false},
    {"http://[64:ff9b::7f00:1]/", true, false},
    {"http://169.254.169.254/latest/meta-data", true, false},
    {"http://localhost/", true, false},
    {"http://LOCALHOST:80/", true, false},
    {"http://localhost./", true, false},
    {"http://a.localhost/", true, false},
    {"http://metadata.google.internal/", true, false},
    {"http://printer.local/", true, false},
    {"http://router.home.arpa/", true, false},
    {"http://2130706433/", false, false},
    {"http://017700000001/", false, false},
    {"http://0x7f000001/", false, false},
    {"http://0x7f.1/", false, false},
    {"http://0177.0.0.1/", false, false},
    {"http://127.1/", false, false},
    {"http://127.0.0.1.0/", false, false},
    {"http://127.0.0.01/", false, false},
    {"http://127.0.0.0x1/", false, false},
    {"http://example.com.0x7f/", false, false},
    {"http://[127.0.0.1]/", false, false},
    {"http://[fe80::1%25eth0]/", false, false},
    {"http://[::1/", false, false},
    {"http://[::1]x/", false, false},
    {"http://user@example.com/", false, false},
    {"http://example.com@127.0.0.1/", false, false},
    {"http://example.com:80@127.0.0.1/", false, false},
    {"http://example.com\\@127.0.0.1/", false, false},
    {"http://example.com#@127.0.0.1/", false, false},
    {"http://127.0.0.1%2f@example.com/", false, false},
    {"http://%31%32%37.0.0.1/", false, false},
    {"http://example..com/", false, false},
    {"http://.example.com/", false, false},
    {"http:///x", false, false},
    {"http://", false, false},
    {"https:example.com", false, false},
    {"ftp://example.com/", false, false},
    {"file:///etc/passwd", false, false},
    {"gopher://127.0.0.1:70/", false, false},
    {"http://example.com:0/", false, false},
    {"http://example.com:65536/", false, false},
    {"http://example.com:80a/", false, false},
    {"http://exa mple.com/", false, false},
    {"http://example.com/\n", false, false},
    {"http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa7.0.0.1/", false, false}, /* digits in circles */
    {"", false, false},
};

static void tricks_with_urls_are_seen_through(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(urls); i++) {
        struct kw_url url;
        const char *why = NULL;
        bool parses = kw_url_parse(kw_bytes_of_text(urls[i].url), &url, &why);
        bool passes = parses && kw_guard_refuses_url(&closed, &url) == NULL;
        if (parses != urls[i].parses || passes != urls[i].passes || (!parses && why == NULL)) {
            test_fail(t, __FILE__, __LINE__, "%s: %s, %s", urls[i].url, parses ? "parses" : why,
                      passes ? "passes" : "is refused");
        }
    }
}

static void the_parts_of_a_url_are_found(struct test *t)
{
    struct kw_url url;
    const char *why = NULL;
    REQUIRE(t, kw_url_parse(KW_BYTES("https://Hooks.example.com/x?y"), &url, &why));
    CHECK(t, url.is_https && !url.is_address);
    CHECK_I64(t, url.port, 443);
    CHECK_BYTES(t, url.host, KW_BYTES("Hooks.example.com"));
    REQUIRE(t, kw_url_parse(KW_BYTES("http://[2001:db8::1]:8080"), &url, &why));
    CHECK(t, !url.is_https && url.is_address);
    CHECK_I64(t, url.port, 8080);
    CHECK_BYTES(t, url.host, KW_BYTES("2001:db8::1"));
}

static void inner_names_are_open_where_a_range_is(struct test *t)
{
    struct kw_address_range range;
    struct kw_url url;
    const char *why = NULL;
    REQUIRE_OK(t, kw_address_range_parse(KW_BYTES("127.0.0.0/8"), &range, &why));
    struct kw_guard guard = {&range, 1};
    REQUIRE(t, kw_url_parse(KW_BYTES("http://localhost:9000/"), &url, &why));
    CHECK(t, kw_guard_refuses_url(&guard, &url) == NULL); /* what it leads to is asked about when it is known */
    REQUIRE(t, kw_url_parse(KW_BYTES("http://10.0.0.1/"), &url, &why));
    CHECK(t, kw_guard_refuses_url(&guard, &url) != NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(only_public_addresses_pass),   TEST_CASE(an_operator_opens_a_range_and_no_more),
        TEST_CASE(what_is_carried_counts),       TEST_CASE(tricks_with_urls_are_seen_through),
        TEST_CASE(the_parts_of_a_url_are_found), TEST_CASE(inner_names_are_open_where_a_range_is),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
