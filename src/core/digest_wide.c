/*
 * SHA-256 of sixteen messages at once, a lane for each, in the compiler's own vectors (no intrinsics): what
 * OpenSSL does for one with the processor's SHA instructions takes more than twice as long for sixteen, one after
 * another. The method is the plain one of FIPS 180-4, 6.2; only its words are sixteen wide.
 */
#include "core/internal.h"

#define BLOCK_SIZE 64
#define ROUND_COUNT 64

#if defined(__x86_64__) && KW__WIDE_LANES == 16

#define WIDE __attribute__((target("avx512f")))

typedef uint32_t lanes __attribute__((vector_size(KW__WIDE_LANES * sizeof(uint32_t))));

static const uint32_t round_constants[ROUND_COUNT] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define ROTATE(x, count) ((x) >> (count) | (x) << (32 - (count)))
#define BIG_SIGMA_0(x) (ROTATE(x, 2) ^ ROTATE(x, 13) ^ ROTATE(x, 22))
#define BIG_SIGMA_1(x) (ROTATE(x, 6) ^ ROTATE(x, 11) ^ ROTATE(x, 25))
#define SMALL_SIGMA_0(x) (ROTATE(x, 7) ^ ROTATE(x, 18) ^ (x) >> 3)
#define SMALL_SIGMA_1(x) (ROTATE(x, 17) ^ ROTATE(x, 19) ^ (x) >> 10)
#define CHOOSE(x, y, z) (((x) & (y)) ^ (~(x) & (z)))
#define MAJORITY(x, y, z) (((x) & (y)) ^ ((x) & (z)) ^ ((y) & (z)))

/* One round. Its eight variables move on by one place a round; naming them anew moves nothing. */
#define ROUND(a, b, c, d, e, f, g, h, i) \
    do { \
        lanes first = (h) + BIG_SIGMA_1(e) + CHOOSE(e, f, g) + (w[i] + constants[i]); \
        (d) += first; \
        (h) = first + BIG_SIGMA_0(a) + MAJORITY(a, b, c); \
    } while (0)
#define EIGHT_ROUNDS(i) \
    do { \
        ROUND(a, b, c, d, e, f, g, h, (i) + 0); \
        ROUND(h, a, b, c, d, e, f, g, (i) + 1); \
        ROUND(g, h, a, b, c, d, e, f, (i) + 2); \
        ROUND(f, g, h, a, b, c, d, e, (i) + 3); \
        ROUND(e, f, g, h, a, b, c, d, (i) + 4); \
        ROUND(d, e, f, g, h, a, b, c, (i) + 5); \
        ROUND(c, d, e, f, g, h, a, b, (i) + 6); \
        ROUND(b, c, d, e, f, g, h, a, (i) + 7); \
    } while (0)
#define EXPAND(i) (w[i] += SMALL_SIGMA_0(w[((i) + 1) & 15]) + w[((i) + 9) & 15] + SMALL_SIGMA_1(w[((i) + 14) & 15]))
#define EXPAND_EIGHT(i) \
    EXPAND((i) + 0), EXPAND((i) + 1), EXPAND((i) + 2), EXPAND((i) + 3), EXPAND((i) + 4), EXPAND((i) + 5), \
        EXPAND((i) + 6), EXPAND((i) + 7)

/* Takes one block of every lane, `w`, into the states; `w` is used up. */
WIDE static void compress(lanes state[8], lanes w[16])
{
    lanes a = state[0], b = state[1], c = state[2], d = state[3];
    lanes e = state[4], f = state[5], g = state[6], h = state[7];
    const uint32_t *constants = round_constants;
    for (;;) {
        EIGHT_ROUNDS(0);
        EIGHT_ROUNDS(8);
        constants += 16;
        if (constants == round_constants + ROUND_COUNT) {
            break;
        }
        EXPAND_EIGHT(0);
        EXPAND_EIGHT(8);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* Big-endian words from the processor's and back: whole vectors at a time rather than word by word. */
WIDE static void swap_bytes(lanes *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lanes halves = (words[i] >> 8 & 0x00ff00ff) | (words[i] & 0x00ff00ff) << 8;
        words[i] = ROTATE(halves, 16);
    }
}

/* The messages, padded, word by word: w[i] has the i-th word of each. */
WIDE static void load_messages(const struct kw_bytes messages[KW__WIDE_LANES], uint64_t prior_size, lanes w[16])
{
    uint32_t blocks[KW__WIDE_LANES][16] = {{0}};
    uint32_t words[16][KW__WIDE_LANES];
    for (size_t lane = 0; lane < KW__WIDE_LANES; lane++) {
        uint8_t *block = (uint8_t *)blocks[lane];
        memcpy(block, messages[lane].data, messages[lane].size);
        block[messages[lane].size] = 0x80;
    }
    /* Not in the loop above: reading what was just written in other widths would wait for it. */
    for (size_t lane = 0; lane < KW__WIDE_LANES; lane++) {
        for (size_t i = 0; i < 14; i++) {
            words[i][lane] = blocks[lane][i];
        }
        words[14][lane] = 0;
        words[15][lane] = __builtin_bswap32((uint32_t)((prior_size + messages[lane].size) * 8));
    }
    memcpy(w, words, sizeof words);
    swap_bytes(w, 16);
    kw_wipe(words, sizeof words);
    kw_wipe(blocks, sizeof blocks);
}

WIDE static void spread(const uint32_t one[8], lanes state[8])
{
    for (size_t i = 0; i < 8; i++) {
        state[i] = one[i] - (lanes){0};
    }
}

WIDE static void store_digests(lanes state[8], uint8_t digests[KW__WIDE_LANES][32])
{
    uint32_t words[8][KW__WIDE_LANES];
    swap_bytes(state, 8);
    memcpy(words, state, sizeof words);
    for (size_t lane = 0; lane < KW__WIDE_LANES; lane++) {
        for (size_t i = 0; i < 8; i++) {
            memcpy(digests[lane] + 4 * i, &words[i][lane], sizeof words[i][lane]);
        }
    }
}

bool kw__sha256_wide_helps(void)
{
    return __builtin_cpu_supports("avx512f");
}

WIDE void kw__sha256_wide(const uint32_t inner[8], uint64_t prior_size, const uint32_t *outer,
                          const struct kw_bytes messages[KW__WIDE_LANES], uint8_t digests[KW__WIDE_LANES][32])
{
    lanes state[8];
    lanes w[16];
    load_messages(messages, prior_size, w);
    spread(inner, state);
    compress(state, w);
    if (outer != NULL) {
        memcpy(w, state, sizeof state);
        memset(w + 8, 0, sizeof w - sizeof state);
        w[8] += 0x80000000;
        w[15] += (BLOCK_SIZE + 32) * 8;
        spread(outer, state);
        compress(state, w);
    }
    store_digests(state, digests);
    kw_wipe(w, sizeof w);
}

#else

bool kw__sha256_wide_helps(void)
{
    return false;
}

void kw__sha256_wide(const uint32_t inner[8], uint64_t prior_size, const uint32_t *outer,
                     const struct kw_bytes messages[KW__WIDE_LANES], uint8_t digests[KW__WIDE_LANES][32])
{
    (void)inner, (void)prior_size, (void)outer, (void)messages, (void)digests;
}

#endif
