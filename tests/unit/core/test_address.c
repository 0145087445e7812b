#include "core/address.h"
#include "records.h"

#include <arpa/inet.h>
#include <stdio.h>

/* --- A slow model: an address is 128 bits in an array, texts are read by the C library --- */

struct bits {
    bool set[128];
};

static struct bits bits_of(const struct kw_address *address)
{
    struct bits bits;
    for (size_t i = 0; i < 128; i++) {
        bits.set[i] = (address->bytes[i / 8] & (0x80 >> i % 8)) != 0;
    }
    return bits;
}

static bool model_is_ipv4(const struct kw_address *address)
{
    struct bits bits = bits_of(address);
    for (size_t i = 0; i < 96; i++) {
        if (bits.set[i] != (i >= 80)) {
            return false;
        }
    }
    return true;
}

static bool model_begins_with(const struct kw_address *address, const struct kw_address *prefix, size_t count)
{
    struct bits bits = bits_of(address);
    struct bits wanted = bits_of(prefix);
    for (size_t i = 0; i < count; i++) {
        if (bits.set[i] != wanted.set[i]) {
            return false;
        }
    }
    return true;
}

static bool model_holds(const struct kw_address_range *range, const struct kw_address *address)
{
    bool ipv4_range = range->bits >= 96 && model_is_ipv4(&range->first);
    return model_is_ipv4(address) == ipv4_range && model_begins_with(address, &range->first, range->bits);
}

static bool model_parse(const char *text, struct kw_address *out)
{
    struct kw_address mapped = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (inet_pton(AF_INET, text, mapped.bytes + 12) == 1) {
        *out = mapped;
        return true;
    }
    return inet_pton(AF_INET6, text, out->bytes) == 1;
}

/* Addresses that lie close to each other and to the border of IPv4, so that ranges hold one another. */
static struct kw_address random_address(struct test *t)
{
    struct kw_address address = {.bytes = {0}};
    if (test_random_below(t, 2) == 0) {
        address.bytes[10] = address.bytes[11] = 0xff;
    }
    for (uint64_t flips = test_random_below(t, 4); flips > 0; flips--) {
        uint64_t bit = test_random_below(t, 128);
        address.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
    }
    return address;
}

/* Around `address`: its first bits, and zeros. */
static struct kw_address_range random_range_around(struct test *t, struct kw_address address)
{
    struct kw_address_range range = {address, (uint8_t)test_random_below(t, 129)};
    if (test_random_below(t, 3) == 0) {
        range.bits = (uint8_t)(93 + test_random_below(t, 6));
    }
    for (size_t i = range.bits; i < 128; i++) {
        range.first.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    }
    return range;
}

static void fail_text(struct test *t, int line, const char *text)
{
    test_fail(t, __FILE__, line, "\"%s\"", text);
}

/* --- Texts --- */

static void check_ended_text(struct test *t, const char *text)
{
    struct kw_address untouched;
    memset(&untouched, 0xab, sizeof untouched);
    struct kw_address expected = untouched;
    struct kw_address actual = untouched;
    bool valid = model_parse(text, &expected);
    if (kw_address_parse(kw_bytes_of_text(text), &actual) != valid) {
        fail_text(t, __LINE__, text);
    } else if (memcmp(&actual, valid ? &expected : &untouched, sizeof actual) != 0) {
        fail_text(t, __LINE__, text);
    }
}

static const struct {
    const char *text, *canonical; /* NULL: refused */
} address_rows[] = {
    {"1.2.3.4", "1.2.3.4"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"::ffff:1.2.3.4", "1.2.3.4"},
    {"::FFFF:102:304", "1.2.3.4"},
    {"0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"::1.2.3.4", "::102:304"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"2001:DB8::A", "2001:db8::a"},
    {"2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},  /* RFC 5952, 4.2.3: the first of equal runs */
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},         /* the longest run */
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* RFC 5952, 4.2.2: not for one group */
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"", NULL},
    {"1", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.", NULL},
    {"1.2.3.4.", NULL},
    {"1..2.3", NULL},
    {"01.2.3.4", NULL},
    {"1.2.3.00", NULL},
    {"1.2.3.256", NULL},
    {"1.2.3.4294967297", NULL},
    {"16909060", NULL},
    {"1.2.3.4 ", NULL},
    {" 1.2.3.4", NULL},
    {"1.2.3.4:80", NULL},
    {"+1.2.3.4", NULL},
    {"1.2.3.4/32", NULL},
    {"[::1]", NULL},
    {"fe80::1%eth0", NULL},
    {"fe80::1%1", NULL},
    {":", NULL},
    {":::", NULL},
    {"::1::", NULL},
    {"1:::2", NULL},
    {":1", NULL},
    {"1:", NULL},
    {"::1:", NULL},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"1:2:3:4:5:6:7:8::", NULL},
    {"::1:2:3:4:5:6:7:8", NULL},
    {"1:2:3:4::5:6:7:8", NULL},
    {"00001::", NULL},
    {"::10000", NULL},
    {"::g", NULL},
    {"::01.2.3.4", NULL},
    {"::1.2.3.4:5", NULL},
    {"::1.2.3.4.5", NULL},
    {"1.2.3.4::", NULL},
    {"1:2:3:4:5:6:7:1.2.3.4", NULL},
    {"1:2:3:4:5:1.2.3.4", NULL},
};

static void addresses_by_example(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(address_rows); i++) {
        struct kw_address address;
        check_ended_text(t, address_rows[i].text);
        bool valid = kw_address_parse(kw_bytes_of_text(address_rows[i].text), &address);
        if (valid != (address_rows[i].canonical != NULL)) {
            fail_text(t, __LINE__, address_rows[i].text);
        } else if (valid) {
            char text[KW_ADDRESS_TEXT_MAX];
            CHECK_BYTES(t, kw_bytes_of(text, kw_address_format(&address, text)),
                        kw_bytes_of_text(address_rows[i].canonical));
        }
    }
    struct kw_address address;
    CHECK(t, !kw_address_parse(KW_BYTES("1.2.3.4\0"), &address));
    CHECK(t, !kw_address_parse(KW_BYTES("::1\0"), &address));
    CHECK(t, !kw_address_parse((struct kw_bytes){NULL, 0}, &address));
}

/* Spelled as people might, then perhaps spoiled in one place. */
static void random_spelling(struct test *t, char out[80])
{
    struct kw_address address = random_address(t);
    size_t used = 0;
    size_t groups = test_random_below(t, 2) == 0 ? 6 : 8;
    size_t gap = test_random_below(t, 9);
    size_t gap_end = gap + test_random_below(t, 8);
    for (size_t i = 0; i < groups; i++) {
        if (i >= gap && i < gap_end) {
            used += (size_t)snprintf(out + used, 80 - used, "%s", i == gap ? (i == 0 ? "::" : ":") : "");
            continue;
        }
        int width = test_random_below(t, 2) == 0 ? 1 : 4;
        unsigned value = (unsigned)address.bytes[2 * i] << 8 | address.bytes[2 * i + 1];
        used += (size_t)snprintf(out + used, 80 - used, "%0*x%s", width, value, i == 7 ? "" : ":");
    }
    if (groups == 6) {
        used += (size_t)snprintf(out + used, 80 - used, "%u.%u.%u.%u", address.bytes[12], address.bytes[13],
                                 address.bytes[14], address.bytes[15]);
    }
    if (used != 0 && test_random_below(t, 3) == 0) {
        size_t at = test_random_below(t, used);
        out[at] = "0123456789abcdefAF:.gG/% "[test_random_below(t, 25)];
    }
}

static void reading_agrees_with_the_c_library(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    int valid = 0;
    for (int i = 0; i < 40000; i++) {
        char text[80] = {0};
        struct kw_address ignored;
        random_spelling(t, text);
        check_ended_text(t, text);
        valid += model_parse(text, &ignored);
        static const char *const alphabets[] = {"01.", "0:", "19:.", "0123456789.", "af0::::"};
        struct kw_bytes wild = random_text(t, &arena, alphabets[test_random_below(t, 5)], 0, 18);
        memset(text, 0, sizeof text);
        if (wild.size != 0) {
            memcpy(text, wild.data, wild.size);
        }
        check_ended_text(t, text);
        valid += model_parse(text, &ignored);
        kw_arena_reset(&arena);
    }
    CHECK(t, valid > 5000 && valid < 75000);
}

static void writing_agrees_with_the_c_library(struct test *t)
{
    int embedded = 0;
    for (int i = 0; i < 40000; i++) {
        struct kw_address address = random_address(t);
        char text[KW_ADDRESS_TEXT_MAX + 1] = {0};
        char expected[INET6_ADDRSTRLEN] = {0};
        size_t size = kw_address_format(&address, text);
        REQUIRE(t, size <= KW_ADDRESS_TEXT_MAX && text[size] == 0);
        struct kw_address again;
        if (!kw_address_parse(kw_bytes_of(text, size), &again) || memcmp(&again, &address, sizeof again) != 0) {
            fail_text(t, __LINE__, text);
        }
        bool ipv4 = model_is_ipv4(&address);
        REQUIRE(t, inet_ntop(ipv4 ? AF_INET : AF_INET6, address.bytes + (ipv4 ? 12 : 0), expected, sizeof expected));
        CHECK(t, kw_address_is_ipv4(&address) == ipv4);
        if (!ipv4 && strchr(expected, '.') != NULL) {
            embedded++; /* the deprecated IPv4-compatible ones, which the library writes with four numbers */
        } else {
            CHECK_TEXT(t, text, expected);
        }
    }
    CHECK(t, embedded < 20000);
}

/* --- Ranges --- */

static const struct {
    const char *text, *canonical; /* NULL: refused */
    const char *why;              /* a part of what is said */
} range_rows[] = {
    {"10.0.0.0/8", "10.0.0.0/8", NULL},
    {"::ffff:10.0.0.0/104", "10.0.0.0/8", NULL},
    {"::ffff:0:0/96", "0.0.0.0/0", NULL},
    {"0.0.0.0/0", "0.0.0.0/0", NULL},
    {"::/0", "::/0", NULL},
    {"::/96", "::/96", NULL},
    {"::fffe:0:0/95", "::fffe:0:0/95", NULL},
    {"192.0.2.1", "192.0.2.1", NULL},
    {"192.0.2.1/32", "192.0.2.1", NULL},
    {"::1/128", "::1", NULL},
    {"2001:db8::/32", "2001:db8::/32", NULL},
    {"2001:DB8:0:0::/127", "2001:db8::/127", NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", NULL},
    {"", NULL, "no IPv4 or IPv6"},
    {"10/8", NULL, "no IPv4 or IPv6"},
    {"10.0.0.0-10.0.0.9", NULL, "no IPv4 or IPv6"},
    {"010.0.0.0/8", NULL, "no IPv4 or IPv6"},
    {"10.0.0.0/", NULL, "no plain number"},
    {"10.0.0.0/08", NULL, "no plain number"},
    {"10.0.0.0/+8", NULL, "no plain number"},
    {"10.0.0.0/-8", NULL, "no plain number"},
    {"10.0.0.0/ 8", NULL, "no plain number"},
    {"10.0.0.0/8 ", NULL, "no plain number"},
    {"10.0.0.0/8/8", NULL, "no plain number"},
    {"10.0.0.0/255.0.0.0", NULL, "no plain number"},
    {"10.0.0.0/18446744073709551624", NULL, "no plain number"}, /* 2 to the 64th, and 8 */
    {"10.0.0.0/33", NULL, "more than 32"},
    {"10.0.0.0/104", NULL, "more than 32"},
    {"10.0.0.0/4294967304", NULL, "more than 32"},
    {"::/129", NULL, "more than 128"},
    {"::ffff:10.0.0.0/129", NULL, "more than 128"},
    {"10.0.0.01", NULL, "leading zeros"},
    {"10.0.0.1/8", NULL, "host bits"},
    {"10.0.0.1/31", NULL, "host bits"},
    {"128.0.0.0/0", NULL, "host bits"},
    {"::ffff:10.0.0.0/8", NULL, "host bits"},
    {"::ffff:0:0/95", NULL, "host bits"},
    {"2001:db8::1/64", NULL, "host bits"},
    {"8000::/0", NULL, "host bits"},
};

static void ranges_by_example(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(range_rows); i++) {
        struct kw_address_range range;
        memset(&range, 0xab, sizeof range);
        const char *why = NULL;
        enum kw_status status = kw_address_range_parse(kw_bytes_of_text(range_rows[i].text), &range, &why);
        if ((status == KW_OK) != (range_rows[i].canonical != NULL)) {
            fail_text(t, __LINE__, range_rows[i].text);
        } else if (status == KW_OK) {
            char text[KW_ADDRESS_RANGE_TEXT_MAX];
            size_t size = kw_address_range_format(&range, text);
            CHECK_BYTES(t, kw_bytes_of(text, size), kw_bytes_of_text(range_rows[i].canonical));
        } else if (status != KW_E_INVALID || why == NULL || strstr(why, range_rows[i].why) == NULL ||
                   range.bits != 0xab) {
            fail_text(t, __LINE__, range_rows[i].text);
        }
    }
}

static void holding_agrees_with_the_model(struct test *t)
{
    int held = 0;
    for (int i = 0; i < 100000; i++) {
        struct kw_address address = random_address(t);
        struct kw_address near = test_random_below(t, 2) == 0 ? address : random_address(t);
        struct kw_address_range range = random_range_around(t, near);
        bool expected = model_holds(&range, &address);
        held += expected;
        CHECK(t, kw_address_range_holds(&range, &address) == expected);
    }
    CHECK(t, held > 20000 && held < 80000);
}

static bool model_within(const struct kw_address_range *inner, const struct kw_address_range *outer)
{
    bool inner_ipv4 = inner->bits >= 96 && model_is_ipv4(&inner->first);
    bool outer_ipv4 = outer->bits >= 96 && model_is_ipv4(&outer->first);
    return inner_ipv4 == outer_ipv4 && inner->bits >= outer->bits &&
           model_begins_with(&inner->first, &outer->first, outer->bits);
}

static void being_within_agrees_with_the_model(struct test *t)
{
    int within = 0;
    for (int i = 0; i < 100000; i++) {
        struct kw_address address = random_address(t);
        struct kw_address_range inner = random_range_around(t, address);
        struct kw_address_range outer =
            random_range_around(t, test_random_below(t, 2) == 0 ? address : random_address(t));
        bool expected = model_within(&inner, &outer);
        within += expected;
        CHECK(t, kw_address_range_within(&inner, &outer) == expected);
        CHECK(t, kw_address_range_within(&inner, &inner));
        CHECK(t, !expected || !model_holds(&inner, &address) || model_holds(&outer, &address));
    }
    CHECK(t, within > 10000 && within < 80000);
}

/* --- Packed --- */

static void packing_is_read_back_and_checked(struct test *t)
{
    for (int i = 0; i < 20000; i++) {
        struct kw_address_range range = random_range_around(t, random_address(t));
        uint8_t packed[KW_ADDRESS_RANGE_SIZE];
        char text[KW_ADDRESS_RANGE_TEXT_MAX];
        const char *why = NULL;
        kw_address_range_pack(&range, packed);
        struct kw_address_range again;
        REQUIRE(t, kw_address_range_unpack(kw_bytes_of(packed, sizeof packed), &again));
        CHECK(t, again.bits == range.bits && memcmp(&again.first, &range.first, sizeof again.first) == 0);
        size_t size = kw_address_range_format(&range, text);
        REQUIRE_OK(t, kw_address_range_parse(kw_bytes_of(text, size), &again, &why));
        CHECK(t, again.bits == range.bits && memcmp(&again.first, &range.first, sizeof again.first) == 0);
        if (range.bits < 128) {
            uint64_t bit = range.bits + test_random_below(t, 128 - range.bits);
            packed[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            CHECK(t, !kw_address_range_unpack(kw_bytes_of(packed, sizeof packed), &again));
        }
    }
    struct kw_address_range range = {.bits = 0};
    uint8_t packed[KW_ADDRESS_RANGE_SIZE + 1] = {[16] = 129};
    CHECK(t, !kw_address_range_unpack(kw_bytes_of(packed, 17), &range));
    packed[16] = 128;
    CHECK(t, kw_address_range_unpack(kw_bytes_of(packed, 17), &range));
    CHECK(t, !kw_address_range_unpack(kw_bytes_of(packed, 16), &range));
    CHECK(t, !kw_address_range_unpack(kw_bytes_of(packed, 18), &range));
    CHECK(t, !kw_address_range_unpack((struct kw_bytes){NULL, 0}, &range));
}

#define RANGES_MAX 4

struct ranges {
    struct kw_address_range items[RANGES_MAX];
    size_t count;
    struct kw_list list;
};

static void random_ranges(struct test *t, struct kw_arena *arena, struct ranges *ranges)
{
    uint8_t packed[RANGES_MAX][KW_ADDRESS_RANGE_SIZE];
    struct kw_bytes items[RANGES_MAX];
    ranges->count = test_random_below(t, RANGES_MAX + 1);
    for (size_t i = 0; i < ranges->count; i++) {
        ranges->items[i] = random_range_around(t, random_address(t));
        kw_address_range_pack(&ranges->items[i], packed[i]);
        items[i] = kw_bytes_of(packed[i], KW_ADDRESS_RANGE_SIZE);
    }
    ranges->list = list_of(arena, items, ranges->count);
}

static bool model_list_within(const struct ranges *inner, const struct ranges *outer)
{
    for (size_t i = 0; i < inner->count; i++) {
        bool found = false;
        for (size_t o = 0; o < outer->count; o++) {
            found |= model_within(&inner->items[i], &outer->items[o]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static void lists_agree_with_the_model(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    int held = 0;
    int within = 0;
    for (int i = 0; i < 20000; i++) {
        struct ranges inner;
        struct ranges outer;
        random_ranges(t, &arena, &inner);
        random_ranges(t, &arena, &outer);
        struct kw_address address = random_address(t);
        bool expected = false;
        for (size_t n = 0; n < inner.count; n++) {
            expected |= model_holds(&inner.items[n], &address);
        }
        held += expected;
        CHECK(t, kw_addresses_hold(inner.list.packed, &address) == expected);
        expected = model_list_within(&inner, &outer);
        within += expected && inner.count != 0;
        CHECK(t, kw_addresses_within(&inner.list, &outer.list) == expected);
        CHECK(t, kw_addresses_within(&inner.list, &inner.list));
        kw_arena_reset(&arena);
    }
    CHECK(t, held > 500 && held < 19500);
    CHECK(t, within > 200 && within < 19800);
}

static void damaged_items_hold_nothing(struct test *t)
{
    struct kw_list any = {KW_BYTES("\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1}; /* ::/0 */
    struct kw_list short_one = {KW_BYTES("\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1};
    struct kw_list cut = {KW_BYTES("\x11\0\0\0"), 1};
    struct kw_address address = {.bytes = {0x20, 0x01}};
    CHECK(t, kw_addresses_hold(any.packed, &address));
    CHECK(t, !kw_addresses_hold(short_one.packed, &address));
    CHECK(t, !kw_addresses_hold(cut.packed, &address));
    CHECK(t, kw_addresses_within(&any, &any));
    CHECK(t, !kw_addresses_within(&short_one, &any));
    CHECK(t, !kw_addresses_within(&any, &short_one));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(addresses_by_example),
        TEST_CASE(reading_agrees_with_the_c_library),
        TEST_CASE(writing_agrees_with_the_c_library),
        TEST_CASE(ranges_by_example),
        TEST_CASE(holding_agrees_with_the_model),
        TEST_CASE(being_within_agrees_with_the_model),
        TEST_CASE(packing_is_read_back_and_checked),
        TEST_CASE(lists_agree_with_the_model),
        TEST_CASE(damaged_items_hold_nothing),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
