#include "core/internal.h"
#include "core/key.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/*
 * CRC-32 of IEEE 802.3, eight bytes a step ("slicing-by-8": Kounavis and Berry, "A systematic approach to building
 * high performance software-based CRC generators", 2005). For the forty bytes of a key zlib's function takes four times
 * as long, and libdeflate's half, as ours does by products below.
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

uint32_t kw__crc32_by_tables(struct kw_bytes bytes)
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

#if defined(__x86_64__)

#define BLOCK 16 /* bytes that are folded at once */

/*
 * The same without tables, by products of polynomials: half of the time where the tables are in the first-level cache,
 * and from there they are driven by the keys of a server that has many. What is read is folded on to the next block,
 * and what is left of the last one reduced (Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ
 * instruction", Intel, 2009; the constants are its powers of x modulo the polynomial, bits reflected). A first block
 * that is not whole is filled up in front, which a CRC that begins with zero does not see; that it begins with ones is
 * the same as four bytes turned around.
 */
__attribute__((target("pclmul,sse4.1"))) static uint32_t crc32_by_products(const uint8_t *at, size_t size)
{
    static const uint8_t moves[2 * BLOCK] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
                                             128, 128, 128, 128, 128, 0,   1,   2,   3,   4,   5,
                                             6,   7,   8,   9,   10,  11,  12,  13,  14,  15};
    static const uint8_t begins[3 * BLOCK] = {[BLOCK] = 255, 255, 255, 255};
    const __m128i block_on = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i half_on = _mm_set_epi64x(0, 0x163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x1f7011641, 0x1db710641); /* and its inverse */
    const __m128i low_32 = _mm_set_epi32(0, 0, 0, -1);
    const uint8_t *end = at + size;
    size_t filled = -size % BLOCK;
    __m128i sum =
        _mm_shuffle_epi8(_mm_loadu_si128((const void *)at), _mm_loadu_si128((const void *)(moves + BLOCK - filled)));
    sum = _mm_xor_si128(sum, _mm_loadu_si128((const void *)(begins + BLOCK - filled)));
    __m128i turned = _mm_loadu_si128((const void *)(begins + 2 * BLOCK - filled)); /* what of the four is in the next */
    for (at += BLOCK - filled; at < end; at += BLOCK) {
        __m128i next = _mm_xor_si128(_mm_loadu_si128((const void *)at), turned);
        __m128i folded =
            _mm_xor_si128(_mm_clmulepi64_si128(sum, block_on, 0x00), _mm_clmulepi64_si128(sum, block_on, 0x11));
        sum = _mm_xor_si128(folded, next);
        turned = _mm_setzero_si128();
    }
    sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, block_on, 0x10));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 4), _mm_clmulepi64_si128(_mm_and_si128(sum, low_32), half_on, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, low_32), polynomial, 0x10);
    __m128i multiple = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_32), polynomial, 0x00);
    return ~(uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, multiple), 1);
}

#endif

uint32_t kw_crc32(struct kw_bytes bytes)
{
#if defined(__x86_64__)
    if (bytes.size >= BLOCK && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        return crc32_by_products(bytes.data, bytes.size);
    }
#endif
    return kw__crc32_by_tables(bytes);
}
