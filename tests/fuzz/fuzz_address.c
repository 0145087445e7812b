/*
 * Texts of addresses and ranges. What is accepted is written and read again to the same; a plain address is one for
 * us when it is one for the C library. The input is also tried as a packed range.
 */
#include "core/address.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "not true: %s\n", what);
        abort();
    }
}

/* The library wants a NUL at the end: so a text that holds one is none of its own, and none for us. */
static bool library_parses(struct kw_bytes text, struct kw_address *out)
{
    char ended[INET6_ADDRSTRLEN + 1] = {0};
    if (text.size >= sizeof ended || (text.size != 0 && memchr(text.data, 0, text.size) != NULL)) {
        return false;
    }
    if (text.size != 0) {
        memcpy(ended, text.data, text.size);
    }
    struct kw_address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (inet_pton(AF_INET, ended, address.bytes + 12) != 1 && inet_pton(AF_INET6, ended, address.bytes) != 1) {
        return false;
    }
    *out = address;
    return true;
}

static void try_address(struct kw_bytes text)
{
    struct kw_address address = {.bytes = {0}};
    struct kw_address expected = {.bytes = {0}};
    bool valid = kw_address_parse(text, &address);
    require(valid == library_parses(text, &expected), "we and the C library accept the same texts");
    require(memcmp(&address, &expected, sizeof address) == 0, "and read the same from them");
    if (valid) {
        char written[KW_ADDRESS_TEXT_MAX];
        struct kw_address again;
        require(kw_address_parse(kw_bytes_of(written, kw_address_format(&address, written)), &again),
                "what is written can be read");
        require(memcmp(&address, &again, sizeof address) == 0, "and is the same address");
    }
}

static void try_written(const struct kw_address_range *range)
{
    char text[KW_ADDRESS_RANGE_TEXT_MAX];
    uint8_t packed[KW_ADDRESS_RANGE_SIZE];
    struct kw_address_range again;
    const char *why = NULL;
    size_t size = kw_address_range_format(range, text);
    require(kw_address_range_parse(kw_bytes_of(text, size), &again, &why) == KW_OK, "a written range can be read");
    require(again.bits == range->bits && memcmp(&again.first, &range->first, sizeof again.first) == 0,
            "and is the same range");
    kw_address_range_pack(range, packed);
    require(kw_address_range_unpack(kw_bytes_of(packed, sizeof packed), &again), "a packed range can be unpacked");
    require(again.bits == range->bits && memcmp(&again.first, &range->first, sizeof again.first) == 0,
            "to the same range");
    require(kw_address_range_holds(range, &range->first), "a range holds its first address");
    require(kw_address_range_within(range, &again), "a range is within itself");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_bytes input = kw_bytes_of(data, size);
    struct kw_address_range range;
    const char *why = NULL;
    try_address(input);
    if (kw_address_range_parse(input, &range, &why) == KW_OK) {
        try_written(&range);
    } else {
        require(why != NULL && why[0] != 0, "a refusal says what is wrong");
    }
    if (kw_address_range_unpack(input, &range)) {
        try_written(&range);
    }
    return 0;
}
