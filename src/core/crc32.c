#include "core/key.h"

#include <string.h>

/*
 * CRC-32 of IEEE 802.3, eight bytes a step ("slicing-by-8": Kounavis and Berry, "A systematic approach to building
 * high performance software-based CRC generators", 2005). For the forty bytes of a key zlib's function takes four times
 * as long, and libdeflate's half: the 7 ns less are not worth a library that every user of this one would need.
 *
 * A table of a CRC is linear: an entry is the sum of the entries of its bits. So each of the eight tables follows from
 * eight numbers, and these 64 follow from one another: each is the one before it, one bit further through the
 * polynomial 0xedb88320.
 */
#define ENTRY(n, b7, b6, b5, b4, b3, b2, b1, b0) \
    ((((n) >> 7 & 1U) * (b7)) ^ (((n) >> 6 & 1U) * (b6)) ^ (((n) >> 5 & 1U) * (b5)) ^ (((n) >> 4 & 1U) * (b4)) ^ \
     (((n) >> 3 & 1U) * (b3)) ^ (((n) >> 2 & 1U) * (b2)) ^ (((n) >> 1 & 1U) * (b1)) ^ (((n)&1U) * (b0)))
#define ENTRIES_4(n, ...) \
    ENTRY(n, __VA_ARGS__), ENTRY((n) + 1U, __VA_ARGS__), ENTRY((n) + 2U, __VA_ARGS__), ENTRY((n) + 3U, __VA_ARGS__)
#define ENTRIES_16(n, ...) \
    ENTRIES_4(n, __VA_ARGS__), ENTRIES_4((n) + 4U, __VA_ARGS__), ENTRIES_4((n) + 8U, __VA_ARGS__), \
        ENTRIES_4((n) + 12U, __VA_ARGS__)
#define ENTRIES_64(n, ...) \
    ENTRIES_16(n, __VA_ARGS__), ENTRIES_16((n) + 16U, __VA_ARGS__), ENTRIES_16((n) + 32U, __VA_ARGS__), \
        ENTRIES_16((n) + 48U, __VA_ARGS__)
#define TABLE(...) \
    { \
        ENTRIES_64(0U, __VA_ARGS__), ENTRIES_64(64U, __VA_ARGS__), ENTRIES_64(128U, __VA_ARGS__), \
            ENTRIES_64(192U, __VA_ARGS__) \
    }

/* tables[k][n]: what byte n does to the checksum when k more bytes follow it. */
/* clang-format off */
static const uint32_t tables[8][256] = {
    TABLE(0xedb88320U, 0x76dc4190U, 0x3b6e20c8U, 0x1db71064U, 0x0edb8832U, 0x076dc419U, 0xee0e612cU, 0x77073096U),
    TABLE(0x3b83984bU, 0xf0794f05U, 0x958424a2U, 0x4ac21251U, 0xc8d98a08U, 0x646cc504U, 0x32366282U, 0x191b3141U),
    TABLE(0xe1351b80U, 0x709a8dc0U, 0x384d46e0U, 0x1c26a370U, 0x0e1351b8U, 0x0709a8dcU, 0x0384d46eU, 0x01c26a37U),
    TABLE(0xed59b63bU, 0x9b14583dU, 0xa032af3eU, 0x5019579fU, 0xc5b428efU, 0x8f629757U, 0xaa09c88bU, 0xb8bc6765U),
    TABLE(0xb1e6b092U, 0x58f35849U, 0xc1c12f04U, 0x60e09782U, 0x30704bc1U, 0xf580a6c0U, 0x7ac05360U, 0x3d6029b0U),
    TABLE(0x1eb014d8U, 0x0f580a6cU, 0x07ac0536U, 0x03d6029bU, 0xec53826dU, 0x9b914216U, 0x4dc8a10bU, 0xcb5cd3a5U),
    TABLE(0x8816eaf2U, 0x440b7579U, 0xcfbd399cU, 0x67de9cceU, 0x33ef4e67U, 0xf44f2413U, 0x979f1129U, 0xa6770bb4U),
    TABLE(0x533b85daU, 0x299dc2edU, 0xf9766256U, 0x7cbb312bU, 0xd3e51bb5U, 0x844a0efaU, 0x4225077dU, 0xccaa009eU),
};
/* clang-format on */

static inline uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

uint32_t kw_crc32(struct kw_bytes bytes)
{
    uint32_t crc = UINT32_MAX;
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; at += 8, left -= 8) {
        uint32_t low = load_u32(at) ^ crc;
        uint32_t high = load_u32(at + 4);
        /* What does not wait for the step before comes first: the brackets keep the chain from step to step short. */
        uint32_t ready =
            tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
        crc =
            ((tables[7][low & 255] ^ tables[6][low >> 8 & 255]) ^ (tables[5][low >> 16 & 255] ^ tables[4][low >> 24])) ^
            ready;
    }
    for (; left > 0; at++, left--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    }
    return ~crc;
}
